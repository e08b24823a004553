"""Policies learned without reinforcement learning: imitation of LQG (DAgger), and descent through the simulated mirror.

DAgger (Ross, Gordon and Bagnell 2011) lets the learner drive and asks LQG what it would have done. Descent back-propagates the cost
through plant, filter, limit and network over `WINDOW` samples; Riccati's value of the last state stands for what comes after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import nn

from gwsurrogate_ml.arguments import whole
from gwsurrogate_ml.control.linear import lqg, lqg_gains, optimal_cost
from gwsurrogate_ml.control.plant import Plant
from gwsurrogate_ml.control.policy import Network, Policy, regulator_power, spread
from gwsurrogate_ml.control.simulation import Estimating, Law, Mirrors, Pool
from gwsurrogate_ml.settings import Strict

HIDDEN = 32
WINDOW = 128
RENEWED = 0.02
"""Share of the mirrors that begin anew after each window, so that no state is forgotten."""
Progress = Callable[[str, int, int], None]


class Task(Strict):
    """What a policy is trained for: the torque's `limit` and the angle of a `fall`, both in nrad, and a seed."""

    limit: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    fall: float = Field(default=10.0, gt=0, allow_inf_nan=False)
    seed: int = Field(default=0, ge=0)

    @property
    def most(self) -> float:
        """The limit as a number."""
        return np.inf if self.limit is None else self.limit


class Student(nn.Module):
    """A linear path and two hidden layers, all beginning at zero output."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(n, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1))
        self.skip = nn.Linear(n, 1, bias=False)
        for part in (self.net[4], self.skip):
            nn.init.zeros_(part.weight)
        nn.init.zeros_(self.net[4].bias)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Numbers (n, 1) for inputs (n, n_in)."""
        return self.net(z) + self.skip(z)

    def network(self) -> Network:
        """As arrays."""
        layers = [part for part in self.net if isinstance(part, nn.Linear)]
        arrays = [(p.weight.detach().numpy().astype(float), p.bias.detach().numpy().astype(float)) for p in layers]
        return Network(tuple(w for w, _ in arrays), tuple(b for _, b in arrays), self.skip.weight.detach().numpy().astype(float))


def dagger(plant: Plant, task: Task, rounds: int = 30, n: int = 64, progress: Progress | None = None) -> Policy:
    """Learn LQG's law by imitation, the learner driving; the filter is given, the law is learned from nothing.

    Parameters
    ----------
    plant : Plant
    task : Task
    rounds : int, of one second of driving and 200 steps of Adam
    n : int, mirrors
    progress : called with stage, done, total
    """
    rounds, n = whole(rounds, "rounds", 1), whole(n, "n", 1)
    torch.manual_seed(task.seed)
    regulator, units = lqg_gains(plant).regulator[0], spread(plant)
    scale = float(np.sqrt(plant.rate) * np.abs(regulator * units).max() / 16)
    student = Student(plant.n)
    pool = Pool(plant, lqg(plant), task.most, (task.seed, 1))
    seen, wanted = np.zeros((0, plant.n), np.float32), np.zeros(0, np.float32)
    rng = np.random.default_rng((task.seed, 2))
    mirrors = Mirrors(plant, n, (task.seed, 0), task.most)
    for done in range(rounds):
        if progress is not None:
            progress("DAgger", done, rounds)
        policy = Policy(plant, student.network(), 0, scale, {})
        share = 0.5**done  # of the teacher's torque, as the paper mixes
        controller = Estimating(plant, n, _mixed(policy, regulator, share))
        mirrors.state, own = pool.draw(n)
        controller.start(own, np.arange(n))
        states = []
        for _ in range(round(plant.rate)):
            _, torque = mirrors.push(controller.command(mirrors.measured))
            states.append(controller.estimate)
            controller.applied(torque)
            down = np.flatnonzero(np.abs(mirrors.state[:, 0]) > task.fall)
            mirrors.state[down], own = pool.draw(len(down))
            controller.start(own, down)
        x = np.concatenate(states)
        seen = np.concatenate([seen, (x / units).astype(np.float32)])
        wanted = np.concatenate([wanted, (-(x @ regulator) / scale).astype(np.float32)])
        optimiser = torch.optim.Adam(student.parameters(), lr=3e-3 * 0.9**done)
        for _ in range(200):
            rows = rng.integers(len(seen), size=512)
            loss = torch.mean((student(torch.from_numpy(seen[rows]))[:, 0] - torch.from_numpy(wanted[rows])) ** 2)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    info = {"method": "dagger", "task": task.model_dump(), "given": "the Kalman filter; LQG as the teacher", "learned": "the law"}
    return Policy(plant, student.network(), 0, scale, info)


def _mixed(policy: Policy, regulator: np.ndarray, share: float) -> Law:
    """`share` of the teacher's torque, the rest the learner's."""
    return lambda x: (1 - share) * policy.law(x) - share * (x @ regulator)


def tensor(x: np.ndarray) -> torch.Tensor:
    """In single precision."""
    return torch.as_tensor(np.asarray(x), dtype=torch.float32)


class _Loop:
    """Plant and filter side by side, in units of the states' spread, which keeps numbers near one for single precision."""

    def __init__(self, plant: Plant, units: np.ndarray) -> None:
        kalman, n = lqg_gains(plant).kalman / units[:, None], plant.n
        a, b, c = plant.a * units / units[:, None], plant.b / units[:, None], plant.c * units
        see = np.hstack([kalman @ c, np.eye(n) - kalman @ c])  # the estimate, of state and expected state
        self.see, self.heard = tensor(see.T), tensor(kalman[:, 0] * plant.r[0, 0])
        self.go = tensor(np.vstack([np.hstack([a, np.zeros((n, n))]), a @ see]).T)
        self.pushed = tensor(np.concatenate([b, b])[:, 0])
        enter = np.hstack([plant.g / units[:, None], np.zeros((n, 1))])
        self.enter = tensor(np.vstack([enter, a @ kalman @ plant.r @ np.array([[0.0, 0.0, 1.0]])]).T)
        self.cz, self.dz, self.n = tensor((plant.cz * units).T), tensor(plant.dz[:, 0]), n

    def run(
        self, law: Callable[[torch.Tensor], torch.Tensor], state: torch.Tensor, noise: torch.Tensor, limit: float | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Costly outputs (samples, n, 3), angles after each (samples, n), the last state, under a law (n, states) to (n, 1)."""
        heard, enter = noise[:, :, 2:] * self.heard, noise @ self.enter
        states, torques = [state], []
        for k in range(len(noise)):
            torque = law(state @ self.see + heard[k])
            if limit is not None:
                torque = torch.clamp(torque, -limit, limit)
            state = torch.addmm(enter[k], state, self.go) + torque * self.pushed
            states.append(state)
            torques.append(torque)
        x = torch.stack(states)[:, :, : self.n]
        return x[:-1] @ self.cz + torch.stack(torques) * self.dz, x[1:, :, 0].detach(), state


def descend(
    plant: Plant,
    task: Task,
    steps: int = 600,
    n: int = 256,
    base: int = 1,
    progress: Progress | None = None,
    *,
    linear: bool = False,
) -> Policy:
    """Learn by back-propagation through the simulated mirror; with base 1 what is added to LQG, with base 0 all of the law.

    Parameters
    ----------
    plant : Plant
    task : Task
    steps : int, of Adam, each of `WINDOW` samples
    n : int, mirrors
    base : 0 or 1
    progress : called with stage, done, total
    linear : bool, to learn the linear path only: the best linear law that this descent finds, which says what the network adds
    """
    steps, n = whole(steps, "steps", 1), whole(n, "n", 1)
    torch.manual_seed(task.seed)
    gains, units, rate = lqg_gains(plant), spread(plant), optimal_cost(plant)
    scale = regulator_power(gains.regulator[0], units) ** 0.5
    student = Student(plant.n)
    student.net.requires_grad_(not linear)  # its output is zero until it learns
    loop = _Loop(plant, units)
    value = tensor(gains.value * units * units[:, None] / rate)
    fall, most = task.fall / float(units[0]), 20 * plant.rate  # samples of LQG's cost beyond which a state counts as lost
    regulator = tensor(base * gains.regulator * units)
    pool = Pool(plant, lqg(plant), task.most, (task.seed, 1))
    generator = torch.Generator().manual_seed(task.seed)

    def fresh(count: int) -> torch.Tensor:
        return torch.cat([tensor(part / units) for part in pool.draw(count)], 1)

    state = fresh(n)
    optimiser = torch.optim.Adam(student.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for done in range(steps):
        if progress is not None:
            progress("descent", done, steps)
        law = lambda x: scale * student(x) - nn.functional.linear(x, regulator)  # noqa: E731
        noise = torch.randn(WINDOW, n, 3, generator=generator)
        z, angle, last = loop.run(law, state, noise, task.limit)
        alive = torch.cat([torch.ones(1, n), torch.cumprod((angle.abs() < fall).float(), 0)])
        after = ((last[:, : plant.n] @ value) * last[:, : plant.n]).sum(1)
        lost = most * (1 - alive[-1] * torch.exp(-after / most))
        loss = ((alive[:-1] * (z**2).sum(2)).sum(0) / rate + lost).mean() / WINDOW
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        state = last.detach()
        again = torch.nonzero((alive[-1] == 0) | (torch.rand(n, generator=generator) < RENEWED))[:, 0]
        state[again] = fresh(len(again))
    given = "the Kalman filter, the equations of the plant, Riccati's value of the last state" + (", LQG's law" if base else "")
    learned = ("a linear law" if linear else "a law") + (" that is added to LQG's" if base else "")
    method = "descent-linear" if linear else "descent-residual" if base else "descent"
    info: dict[str, Any] = {"method": method, "task": task.model_dump(), "given": given, "learned": learned}
    return Policy(plant, student.network(), base, scale, info)
