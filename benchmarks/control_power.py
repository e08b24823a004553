"""Control of a suspended mirror whose laser power the controller is not told.

    python benchmarks/control_power.py [--out out/control]        # trains five seeds (those that are there are kept), and measures

What knowing the power is worth is exact: told the power, LQG costs the least that any controller can; the best fixed linear
controller is sought on its exact cost over the powers. Where that leaves room, a network learns by descent through the simulated
mirror whom of four Kalman filters, each of another power, to trust: from how well each foretold the angle within the last 10 s. Its
classical rival, multiple-model control, weighs the same filters by Bayes' rule. Writes benchmarks/results/control_power.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import nn

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.control.learn import RENEWED, WINDOW, tensor
from gwsurrogate_ml.control.linear import exact_cost, lqg, lqg_gains, optimal_cost, radius
from gwsurrogate_ml.control.noise import StateSpace
from gwsurrogate_ml.control.plant import Plant, make_plant
from gwsurrogate_ml.control.policy import spread
from gwsurrogate_ml.control.simulation import Controller, Estimating, Linear, Pool, Run, simulate

RESULT = Path(__file__).parent / "results" / "control_power.json"
RANGES = ((0.6, 1.6), (0.2, 3.0), (0.5, 8.0))
WIDE = RANGES[-1]
BANK = (0.8, 2.4, 4.4, 6.8)
"""Powers of the filters."""
START = 5.5
"""Power of the LQG whose stationary states runs begin from: it holds the mirror at all of `WIDE`."""
MEMORY, FALL, DEAD = 10.0, 10.0, 10.0
"""Seconds of memory; nrad; log likelihood, in the network's unit of 2, below which a filter is no longer told from worse ones."""
SEEDS, STEPS, MIRRORS = range(5), 80, 256
NOISE_SEED, EACH, SECONDS, BINS = 303, 32, 20.0, 8


def relative(evidence: Any) -> Any:
    """Log likelihoods (n, m) as the network sees them: of the best filter 0, of the others down to -`DEAD`."""
    best = evidence.max(1)[0] if isinstance(evidence, torch.Tensor) else evidence.max(1)
    return (0.5 * (evidence - best[:, None])).clip(-DEAD, 0)


def bayes(evidence: np.ndarray) -> np.ndarray:
    """Weights (n, m) of filters by Bayes' rule."""
    likelihood = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    return likelihood / likelihood.sum(axis=1, keepdims=True)


class Bank:
    """LQG of several powers, their torques weighed by a `gate` from how well each filter foretold: see `Controller`."""

    def __init__(self, n: int, gate: Callable[[np.ndarray], np.ndarray], powers: tuple[float, ...] = BANK) -> None:
        plants = [make_plant(power=power) for power in powers]
        gains = [lqg_gains(plant) for plant in plants]
        self.loop, self.gate, self.n = lqg(make_plant(power=START)), gate, n
        self.c, self.b, self.a = plants[0].c[0], plants[0].b[:, 0], np.stack([plant.a.T for plant in plants])
        self.kalman, self.regulator = np.stack([g.kalman[:, 0] for g in gains]), np.stack([g.regulator[0] for g in gains])
        self.variance = plants[0].r.item() ** 2 / (1 - self.kalman @ self.c)  # of what a right filter did not foretell
        self.keep = float(np.exp(-1 / (MEMORY * plants[0].rate)))
        self.ahead, self.evidence = np.zeros((len(powers), n, plants[0].n)), np.zeros((n, len(powers)))
        self.estimate = self.ahead

    def start(self, state: np.ndarray, rows: np.ndarray) -> None:
        """Begin anew, all filters alike and none trusted more."""
        self.ahead[:, rows], self.evidence[rows] = state, 0

    def command(self, measured: np.ndarray) -> np.ndarray:
        """Torques (n,)."""
        surprise = measured - self.ahead @ self.c
        self.estimate = self.ahead + surprise[:, :, None] * self.kalman[:, None]
        self.evidence = self.keep * self.evidence - 0.5 * (surprise.T**2 / self.variance + np.log(self.variance))
        return -np.einsum("nm,mnk,mk->n", self.gate(self.evidence), self.estimate, self.regulator)

    def applied(self, torque: np.ndarray) -> None:
        """Go on by one sample."""
        self.ahead = self.estimate @ self.a + torque[None, :, None] * self.b


class Gate(nn.Module):
    """Weights of filters from what they foretold: a hidden layer beside a linear path, all filters alike at first."""

    def __init__(self, m: int) -> None:
        super().__init__()
        self.inner, self.outer, self.skip = nn.Linear(m, 16), nn.Linear(16, m), nn.Linear(m, m, bias=False)
        for part in (self.outer.weight, self.outer.bias, self.skip.weight):
            nn.init.zeros_(part)

    def forward(self, evidence: torch.Tensor) -> torch.Tensor:
        """Weights (n, m) of log likelihoods (n, m)."""
        seen = relative(evidence)
        return torch.softmax(self.outer(torch.tanh(self.inner(seen))) + self.skip(seen), 1)

    def numpy(self) -> Callable[[np.ndarray], np.ndarray]:
        """The same in arrays."""

        def weigh(evidence: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return self(torch.as_tensor(evidence, dtype=torch.float32)).numpy().astype(float)

        return weigh


def train(seed: int) -> Gate:
    """A gate by descent: mirrors of random powers, windows of `WINDOW` samples, Riccati's value of each one's last state."""
    torch.manual_seed(seed)
    rng = np.random.default_rng((seed, 7))
    plants = [make_plant(power=power) for power in rng.uniform(*WIDE, MIRRORS)]
    bank, start = Bank(1, bayes), make_plant(power=START)
    units, n, m = spread(start), start.n, len(BANK)
    rates = tensor(np.array([optimal_cost(plant) for plant in plants]))
    value = tensor(np.stack([lqg_gains(plant).value for plant in plants]) * units * units[:, None]) / rates[:, None, None]
    a = tensor(np.stack([(plant.a * units / units[:, None]).T for plant in plants]))
    g = tensor(np.stack([(plant.g / units[:, None]).T for plant in plants]))
    models, b, c = tensor(bank.a / units * units[:, None]), tensor(start.b[:, 0] / units), tensor(start.c[0] * units)
    kalman, regulator, variance = tensor(bank.kalman / units), tensor(bank.regulator * units), tensor(bank.variance)
    cz, dz, r = tensor((start.cz * units).T), tensor(start.dz[:, 0]), start.r.item()
    pool = Pool(start, bank.loop, np.inf, (seed, 8))
    gate = Gate(m)
    fall, most = FALL / float(units[0]), 20 * start.rate
    optimiser = torch.optim.Adam(gate.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    x, ahead, evidence = torch.zeros(MIRRORS, n), torch.zeros(m, MIRRORS, n), torch.zeros(MIRRORS, m)
    again = torch.arange(MIRRORS)
    for _ in range(STEPS):
        state, own = (tensor(part / units) for part in pool.draw(len(again)))
        x[again], ahead[:, again], evidence[again] = state, own, 0
        noise = torch.randn(WINDOW, MIRRORS, 3)
        costs, alive = torch.zeros(MIRRORS), torch.ones(MIRRORS)
        for k in range(WINDOW):
            surprise = x @ c + r * noise[k, :, 2] - ahead @ c
            estimate = ahead + surprise[:, :, None] * kalman[:, None]
            evidence = bank.keep * evidence - 0.5 * (surprise.T**2 / variance + torch.log(variance))
            torque = -(gate(evidence).T * (estimate * regulator[:, None]).sum(2)).sum(0)
            costs = costs + alive * ((x @ cz + torque[:, None] * dz) ** 2).sum(1)
            x = torch.bmm(x[:, None], a)[:, 0] + torque[:, None] * b + torch.bmm(noise[k, :, None, :2], g)[:, 0]
            ahead = torch.bmm(estimate, models) + torque[:, None] * b
            alive = alive * (x[:, 0].detach().abs() < fall)
        after = torch.einsum("ni,nij,nj->n", x, value, x)
        loss = (costs / rates + most * (1 - alive * torch.exp(-after / most))).mean() / WINDOW
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(gate.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        x, ahead, evidence = x.detach(), ahead.detach(), evidence.detach()
        again = torch.nonzero((alive == 0) | (torch.rand(MIRRORS) < RENEWED))[:, 0]
    return gate


def gates(out: Path) -> tuple[list[Gate], list[float]]:
    """Trained gates, kept in `out`, and the CPU seconds of their trainings."""
    found, seconds = [], []
    for seed in SEEDS:
        place = out / f"gate-{seed}"
        if not (place / "card.json").exists():
            start = time.process_time()
            arrays = {name: x.numpy() for name, x in train(seed).state_dict().items()}
            card = {"name": place.name, "kind": "control-gate", "seed": seed, "cpu_s": time.process_time() - start}
            artifacts.save(place, card, arrays)
            print(f"{place}: {card['cpu_s']:.0f} s of CPU time", flush=True)
        card, tensors = artifacts.load(place, "control-gate")
        gate = Gate(len(BANK))
        gate.load_state_dict({name: torch.as_tensor(np.array(x)) for name, x in tensors.items()})
        found.append(gate)
        seconds.append(card["cpu_s"])
    return found, seconds


def mixture(low: float, high: float, n: int = 9) -> tuple[list[Plant], np.ndarray]:
    """Plants of `n` powers and their weights: the trapezium rule over a uniform distribution of power."""
    share = np.r_[0.5, np.ones(n - 2), 0.5] / (n - 1)
    return [make_plant(power=power) for power in np.linspace(low, high, n)], share


def mean_cost(plants: list[Plant], share: np.ndarray, loop: StateSpace) -> float:
    """Exact cost of a fixed linear controller over powers, infinite where it does not hold one of the mirrors."""
    if any(radius(plant, loop) > plant.largest_radius for plant in plants):
        return np.inf
    return float(share @ [exact_cost(plant, loop).total for plant in plants])


def fixed(low: float, high: float) -> tuple[StateSpace, float]:
    """The cheapest LQG of one power over a range, and that power."""
    plants, share = mixture(low, high)
    designs = np.linspace(low, 1.2 * high, 25)
    costs = [mean_cost(plants, share, lqg(make_plant(power=power))) for power in designs]
    power = float(designs[int(np.argmin(costs))])
    return lqg(make_plant(power=power)), power


def tuned(loop: StateSpace, low: float, high: float) -> StateSpace:
    """A fixed linear controller of the order of `loop`, all of its numbers tuned by L-BFGS on the exact cost over the powers."""
    plants, share = mixture(low, high)
    told, shapes = float(share @ [optimal_cost(plant) for plant in plants]), [part.shape for part in loop]
    n, many = len(loop.a), len(plants)
    units = 1 / np.maximum(np.linalg.norm(loop.a, axis=0), 1e-6)
    loop = StateSpace(loop.a * units / units[:, None], loop.b / units[:, None], loop.c * units, loop.d)
    scale = np.concatenate([np.full(part.size, max(np.abs(part).max(), 1e-3)) for part in loop])
    names = ("a", "b", "g", "c", "r", "cz", "dz")
    a0, b0, g0, c0, r0, cz, dz = (torch.as_tensor(np.stack([getattr(p, k) for p in plants])) for k in names)

    def price(numbers: np.ndarray) -> tuple[float, np.ndarray]:
        x = torch.tensor(numbers * scale, requires_grad=True)
        a, b, c, d = (part.reshape(s) for part, s in zip(x.split([i * j for i, j in shapes]), shapes, strict=True))
        top = torch.cat([a0 + b0 @ (d @ c0), b0 @ c.expand(many, 1, n)], 2)
        go = torch.cat([top, torch.cat([b @ c0, a.expand(many, n, n)], 2)], 1)
        with torch.no_grad():
            found = float(torch.linalg.eigvals(go).abs().max())
        if not found <= plants[0].largest_radius:
            return 1e3 * (1 + found), np.zeros_like(numbers)
        nothing = torch.zeros(many, n, g0.shape[2], dtype=torch.float64)
        enter = torch.cat([torch.cat([g0, b0 @ (d @ r0)], 2), torch.cat([nothing, b @ r0], 2)], 1)
        covariance, power = enter @ enter.transpose(1, 2), go
        for _ in range(15):  # Lyapunov's equation by doubling
            covariance = covariance + power @ covariance @ power.transpose(1, 2)
            power = power @ power
        z = torch.cat([cz + dz @ (d @ c0), dz @ c.expand(many, 1, n)], 2)
        costs = (z @ covariance @ z.transpose(1, 2)).diagonal(dim1=1, dim2=2).sum(1) + ((dz @ (d @ r0)) ** 2).sum((1, 2))
        total = (torch.as_tensor(share) * costs).sum() / told
        total.backward()
        assert x.grad is not None
        return total.item(), x.grad.numpy() * scale

    begin = np.concatenate([part.ravel() for part in loop]) / scale
    best = minimize(price, begin, jac=True, method="L-BFGS-B", options={"maxiter": 500, "maxcor": 30}).x * scale
    parts = np.split(best, np.cumsum([i * j for i, j in shapes])[:-1])
    return StateSpace(*(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)))


def worth(low: float, high: float) -> tuple[dict[str, Any], StateSpace]:
    """What knowing the power is worth over a range, exactly: costs of fixed controllers over told LQG's; and the best of them."""
    plants, share = mixture(low, high)
    told = float(share @ [optimal_cost(plant) for plant in plants])
    loop, power = fixed(low, high)
    best = tuned(loop, low, high)
    row = {"powers": [low, high], "told": told, "LQG designed at": power, "LQG": mean_cost(plants, share, loop) / told}
    row["tuned"] = mean_cost(plants, share, best) / told
    print(row, flush=True)
    return row, best


def measure(make: Callable[[Plant], Controller]) -> tuple[np.ndarray, list[Run]]:
    """Costs of all mirrors (`BINS`, `EACH`), powers in the middle of equal bins of `WIDE`, all on the same noise; and the runs."""
    powers = WIDE[0] + (WIDE[1] - WIDE[0]) * (np.arange(BINS) + 0.5) / BINS
    runs = []
    for k, plant in enumerate(make_plant(power=power) for power in powers):
        runs.append(simulate(plant, make(plant), SECONDS, EACH, NOISE_SEED + k, fall=FALL))
    return np.stack([run.each for run in runs]), runs


def beside(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Ratio of mean costs on the same noise, and its standard error over the mirrors of each power."""
    ratio = ours.mean() / theirs.mean()
    rest = np.var(ours - ratio * theirs, axis=1, ddof=1).mean() / ours.size
    return float(ratio), float(np.sqrt(rest) / theirs.mean())


def main(out: Path) -> None:
    start = time.time()
    learned, cpu = gates(out)
    rows, loops = zip(*(worth(*span) for span in RANGES), strict=True)
    best_lqg, _ = fixed(*WIDE)
    makers: dict[str, list[Callable[[Plant], Controller]]] = {
        "LQG, told the power": [lambda plant: Estimating(plant, EACH)],
        f"LQG designed at {rows[-1]['LQG designed at']:.2g}": [lambda plant: Linear(best_lqg, EACH)],
        "best fixed linear controller found": [lambda plant: Linear(loops[-1], EACH)],
        "four filters weighed by Bayes' rule": [lambda plant: Bank(EACH, bayes)],
        "four filters weighed by a network": [lambda plant, gate=gate: Bank(EACH, gate.numpy()) for gate in learned],
    }
    costs: dict[str, np.ndarray] = {}
    table = []
    for name, each in makers.items():
        found = [measure(make) for make in each]
        costs.setdefault("told", found[0][0])
        ratios = [beside(c, costs["told"]) for c, _ in found]
        middle = sorted(range(len(found)), key=lambda k: ratios[k][0])[len(found) // 2]
        costs[name] = found[middle][0]
        row: dict[str, Any] = {"name": name, "cost": ratios[middle][0], "error": ratios[middle][1]}
        row["by_power"] = (costs[name].mean(1) / costs["told"].mean(1)).tolist()
        row["falls"] = [sum(run.falls for run in runs) for _, runs in found]
        row["by_training"] = [ratio for ratio, _ in ratios] if len(found) > 1 else []
        row["noise"] = float(np.sqrt(np.mean([run.noise**2 for run in found[middle][1]])))
        table.append(row)
        print(row, flush=True)
    mine = costs[table[-1]["name"]]
    pairs = {name: beside(mine, theirs) for name, theirs in costs.items() if name not in ("told", table[-1]["name"])}
    result = {
        "command": "python benchmarks/control_power.py",
        "versions": artifacts.package_versions("numpy", "scipy", "torch"),
        "worth": list(rows),
        "unknown": table,
        "pairs": [{"second": name, "ratio": ratio, "ratio_error": error} for name, (ratio, error) in pairs.items()],
        "cpu_s": cpu,
        "hours": BINS * EACH * SECONDS / 3600,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{time.time() - start:.0f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/control"))
    torch.set_num_threads(1)
    main(parser.parse_args().out)
