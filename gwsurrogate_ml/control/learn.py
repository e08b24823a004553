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

from gwsurrogate_ml.control.linear import lqg, lqg_gains, optimal_cost
from gwsurrogate_ml.control.plant import Plant
from gwsurrogate_ml.control.policy import Network, Policy, spread
from gwsurrogate_ml.control.simulate import Estimating, Mirrors, Pool
from gwsurrogate_ml.settings import Strict

HIDDEN = 32
WINDOW = 128
Progress = Callable[[str, int, int], None]


class Task(Strict):
    """What a policy is trained for: the torque's `limit` and the angle of a `fall`, both in nrad, and a seed."""

    limit: float | None = Field(None, gt=0)
    fall: float = Field(10.0, gt=0)
    seed: int = Field(0, ge=0)

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
        """Numbers (n,) for inputs (n, n_in)."""
        return (self.net(z) + self.skip(z))[:, 0]

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
        controller = Estimating(plant, n, lambda x, p=policy, s=share: s * -(x @ regulator) + (1 - s) * p.law(x))
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
            loss = torch.mean((student(torch.from_numpy(seen[rows])) - torch.from_numpy(wanted[rows])) ** 2)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    info = {"method": "dagger", "task": task.model_dump(), "given": "the Kalman filter; LQG as the teacher", "learned": "the law"}
    return Policy(plant, student.network(), 0, scale, info)


def descend(
    plant: Plant, task: Task, steps: int = 600, n: int = 256, base: int = 1, progress: Progress | None = None
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
    """
    torch.manual_seed(task.seed)
    gains, units, rate = lqg_gains(plant), spread(plant), optimal_cost(plant)
    scale = float(np.sqrt(regulator_power(gains.regulator[0], units)))
    student = Student(plant.n)
    tensor = lambda x: torch.as_tensor(np.asarray(x), dtype=torch.float32)  # noqa: E731
    # In units of the states' spread all numbers are of order one, which single precision needs.
    a, b = tensor(plant.a * units / units[:, None]), tensor(plant.b[:, 0] / units)
    g, c = tensor(plant.g / units[:, None]), tensor(plant.c[0] * units)
    cz, dz = tensor(plant.cz * units), tensor(plant.dz[:, 0])
    kalman, regulator = tensor(gains.kalman[:, 0] / units), tensor(gains.regulator[0] * units)
    value = tensor(gains.value * units * units[:, None] / rate)
    white, fall = float(plant.r[0, 0]), task.fall / float(units[0])
    most = 20 * plant.rate  # samples of LQG's cost beyond which a state counts as lost
    pool = Pool(plant, lqg(plant), task.most, (task.seed, 1))
    generator = torch.Generator().manual_seed(task.seed)

    def fresh(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        return tuple(tensor(part / units) for part in pool.draw(count))  # type: ignore[return-value]

    x, ahead = fresh(n)
    optimiser = torch.optim.Adam(student.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for done in range(steps):
        if progress is not None:
            progress("descent", done, steps)
        loss, alive = torch.zeros(n), torch.ones(n)
        noise = torch.randn(WINDOW, n, 3, generator=generator)
        for k in range(WINDOW):
            y = x @ c + white * noise[k, :, 2]
            estimate = ahead + (y - ahead @ c)[:, None] * kalman
            torque = scale * student(estimate) - base * (estimate @ regulator)
            if task.limit is not None:
                torque = torch.clamp(torque, -task.limit, task.limit)
            z = x @ cz.T + torque[:, None] * dz
            loss = loss + alive * (z**2).sum(1) / rate
            x = x @ a.T + torque[:, None] * b + noise[k, :, :2] @ g.T
            ahead = estimate @ a.T + torque[:, None] * b
            alive = alive * (x[:, 0].detach().abs() < fall)
        ahead_cost = ((x @ value) * x).sum(1)
        loss = loss + alive * most * (1 - torch.exp(-ahead_cost / most)) + (1 - alive) * most
        optimiser.zero_grad()
        (loss.mean() / WINDOW).backward()
        nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        x, ahead = x.detach(), ahead.detach()
        again = torch.nonzero((alive == 0) | (torch.rand(n, generator=generator) < 0.02))[:, 0]
        x[again], ahead[again] = fresh(len(again))
    learned = "what is added to LQG's law" if base else "the law"
    given = "the Kalman filter, the equations of the plant" + (", LQG's law" if base else ", Riccati's value of the last state")
    info: dict[str, Any] = {"method": "descent", "task": task.model_dump(), "given": given, "learned": learned}
    return Policy(plant, student.network(), base, scale, info)


def regulator_power(regulator: np.ndarray, units: np.ndarray) -> float:
    """Squared torque (nrad^2) that states at their standard deviations call for, one at a time: the scale of a network's output."""
    return float(np.mean((regulator * units) ** 2))
