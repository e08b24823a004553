"""Control of a suspended mirror: linear rivals and learned policies beside the exact optimum.

    python benchmarks/control.py train [--out out/control]        # five seeds of each policy; a stopped run goes on where it was
    python benchmarks/control.py evaluate [--out out/control]
    python benchmarks/control.py ship [--out out/control]         # the policy of median cost within the limit, as mirror-policy

Policies are trained without a limit on torque, and `descent-residual` with one of 80 nrad. Their costs are ratios to LQG's on
the same simulated noise, which no seed of the training has seen; linear controllers have exact costs. Writes
benchmarks/results/control.json and control.png.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gwsurrogate_ml.artifacts import SHIPPED, package_versions
from gwsurrogate_ml.control.evaluate import LQG_PEAK, PEAK, stiffer, train_policy
from gwsurrogate_ml.control.learn import Task
from gwsurrogate_ml.control.linear import exact_cost, lqg, margins, optimal_cost, radius
from gwsurrogate_ml.control.plant import Plant, make_plant
from gwsurrogate_ml.control.policy import Policy, load_policy
from gwsurrogate_ml.control.rivals import tuned_classical, tuned_lqg
from gwsurrogate_ml.control.simulate import Estimating, Linear, linear_law, simulate

RESULT = Path(__file__).parent / "results" / "control.json"
LIMIT, FALL = 80.0, 10.0
SEEDS = range(5)
LABEL = "added to LQG by descent, limit 80 nrad"
TRAININGS: dict[str, tuple[str, float | None, dict[str, int]]] = {
    LABEL: ("descent-residual", LIMIT, {"steps": 200}),
    "DAgger": ("dagger", None, {"rounds": 20}),
    "PPO added to LQG": ("ppo-residual", None, {"steps": 200_000}),
    "PPO from nothing": ("ppo", None, {"steps": 400_000}),
    "SAC from nothing": ("sac", None, {"steps": 64_000}),
    "descent from nothing": ("descent", None, {"steps": 200}),
}
NOISE_SEEDS = (101, 102)
POWERS = (0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6, 1.8, 2.0)


def folder(out: Path, label: str, seed: int) -> Path:
    return out / f"{TRAININGS[label][0]}-{seed}"


def train(out: Path) -> None:
    plant = make_plant()
    for label, (method, limit, settings) in TRAININGS.items():
        for seed in SEEDS:
            place = folder(out, label, seed)
            if (place / "card.json").exists():
                continue
            start, wall = time.process_time(), time.time()
            policy = train_policy(plant, method, Task(limit=limit, fall=FALL, seed=seed), **settings)
            seconds = {"cpu": time.process_time() - start, "wall": time.time() - wall}
            Policy(plant, policy.network, policy.base, policy.scale, {**policy.info, "seconds": seconds}).save(place)
            print(f"{place}: {seconds['cpu']:.0f} s of CPU time, {seconds['wall']:.0f} s", flush=True)


def trained(out: Path) -> dict[str, list[Policy]]:
    """Policies by training, of the seeds that are there."""
    found = {label: [load_policy(p) for s in SEEDS if (p := folder(out, label, s)).exists()] for label in TRAININGS}
    return {label: policies for label, policies in found.items() if policies}


def verify(plant: Plant, loops: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for name, loop in loops.items():
        controller = Estimating(plant, 512) if name == "LQG" else Linear(loop, 512)
        run, exact = simulate(plant, controller, 50.0, 512, seed=7), exact_cost(plant, loop).total
        rows.append({"name": name, "exact": exact, "simulated / exact": run.total / exact, "standard error": run.error / exact})
        print(rows[-1], flush=True)
    return rows


def over_lqg(plant: Plant, make: Any, limit: float, best: list[Any], n: int, seconds: float) -> dict[str, Any]:
    """Cost over LQG's on the same noise, by seed of the noise; control noise and falls."""
    runs = [simulate(plant, make(n), seconds, n, seed, limit, FALL) for seed in NOISE_SEEDS[: len(best)]]
    return {
        "cost": float(np.mean([run.total / peer.total for run, peer in zip(runs, best, strict=True)])),
        "by_noise": [run.total / peer.total for run, peer in zip(runs, best, strict=True)],
        "noise": float(np.mean([run.noise for run in runs])),
        "falls_per_hour": float(np.mean([run.falls_per_hour for run in runs])),
    }


def free(plant: Plant, loops: dict[str, Any], policies: dict[str, list[Policy]]) -> list[dict[str, Any]]:
    """The linear plant: exact costs of linear controllers, costs of policies on LQG's noise."""
    best = optimal_cost(plant)
    rows: list[dict[str, Any]] = []
    for name, loop in loops.items():
        cost, safe = exact_cost(plant, loop), margins(plant, loop)
        rows.append({"name": name, "exact": True, "cost": cost.total / best, "noise": cost.noise, **safe._asdict()})
    n, seconds = 128, 20.0
    peers = [simulate(plant, Estimating(plant, n), seconds, n, seed, np.inf, FALL) for seed in NOISE_SEEDS[:2]]
    for label, seeds in policies.items():
        each = [over_lqg(plant, policy.controller, np.inf, peers, n, seconds) for policy in seeds]
        rows.append(
            {
                "name": label,
                "exact": False,
                **summary(each),
                "given": seeds[0].info["given"],
                "cpu_s": float(np.median([policy.info["seconds"]["cpu"] for policy in seeds])),
            }
        )
        print(rows[-1], flush=True)
    return rows


def summary(each: list[dict[str, Any]]) -> dict[str, Any]:
    costs = [one["cost"] for one in each]
    return {
        "seeds": len(each),
        "cost": float(np.median(costs)),
        "by_training": costs,
        "by_noise": [one["by_noise"] for one in each],
        "noise": float(np.median([one["noise"] for one in each])),
        "falls_per_hour": float(np.median([one["falls_per_hour"] for one in each])),
        "falls_by_training": [one["falls_per_hour"] for one in each],
    }


def limited(plant: Plant, policies: list[Policy]) -> list[dict[str, Any]]:
    """Within `LIMIT`: LQG with a filter that is told of it, LQG with more gain on the growing mode, the policies trained for it."""
    n, seconds = 256, 20.0
    peers = [simulate(plant, Estimating(plant, n), seconds, n, seed, LIMIT, FALL) for seed in NOISE_SEEDS]
    falls, noise = (float(np.mean([getattr(run, key) for run in peers])) for key in ("falls_per_hour", "noise"))
    told = {"cost": 1.0, "by_noise": [1.0] * len(peers), "noise": noise, "falls_per_hour": falls}
    rows = [{"name": "LQG, told of the limit", **summary([told])}]
    for share in (0.5, 1.0):
        law = linear_law(stiffer(plant, share))
        each = [over_lqg(plant, lambda n, law=law: Estimating(plant, n, law), LIMIT, peers, n, seconds)]
        rows.append({"name": f"the same, growing mode +{share:g}", **summary(each)})
        print(rows[-1], flush=True)
    each = [over_lqg(plant, policy.controller, LIMIT, peers, n, seconds) for policy in policies]
    rows.append({"name": LABEL, **summary(each)})
    print(rows[-1], flush=True)
    return rows


def powers(plant: Plant, loops: dict[str, Any]) -> dict[str, Any]:
    """Cost over the nominal optimum's against laser power: exact for linear controllers, None where they do not hold the mirror."""
    best, curves = optimal_cost(plant), {"LQG of each power": []} | {name: [] for name in loops}
    for power in POWERS:
        other = make_plant(power=power)
        curves["LQG of each power"].append(optimal_cost(other) / best)
        for name, loop in loops.items():
            curves[name].append(exact_cost(other, loop).total / best if radius(other, loop) < 0.9995 else None)
    return {"power": POWERS, "curves": curves}


def figure(result: dict[str, Any]) -> None:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), constrained_layout=True)
    for (name, curve), style in zip(result["power"]["curves"].items(), ("k-", "k--", "C0-", "C0--", "C1-"), strict=True):
        left.plot(POWERS, [np.nan if y is None else y for y in curve], style, label=name)
    left.set(xlabel="laser power / nominal", ylabel="cost / LQG's at nominal power", yscale="log")
    left.legend(fontsize=7)
    for row, mark in zip(result["limit"], ("ks", "k^", "kv", "C1o"), strict=True):
        right.plot(row["falls_by_training"], row["by_training"], mark, label=row["name"], alpha=0.7)
    right.set(xlabel="falls per hour", ylabel=f"cost / LQG's, torque within {LIMIT:g} nrad")
    right.legend(fontsize=7)
    figure.savefig(RESULT.with_suffix(".png"), dpi=120)


def evaluate(out: Path) -> None:
    plant, start = make_plant(), time.time()
    loops = {
        "LQG": lqg(plant),
        "classical, tuned on cost": tuned_classical(plant),
        f"classical, peak sensitivity {PEAK:g}": tuned_classical(plant, PEAK),
        f"LQG, peak sensitivity {LQG_PEAK:g}": tuned_lqg(plant, LQG_PEAK),
    }
    print(f"tuned in {time.time() - start:.0f} s", flush=True)
    policies = trained(out)
    result: dict[str, Any] = {"command": "python benchmarks/control.py evaluate", "optimal_cost": optimal_cost(plant)}
    result["versions"] = package_versions("numpy", "scipy", "torch")
    parts = {
        "free": lambda: free(plant, loops, policies),
        "power": lambda: powers(plant, loops),
        "limit": lambda: limited(plant, policies[LABEL]),
        "verification": lambda: verify(plant, {name: loops[name] for name in ("LQG", "classical, tuned on cost")}),
    }
    for name, part in parts.items():
        result[name] = part()
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
        print(f"{name}: {time.time() - start:.0f} s", flush=True)
    figure(result)


def ship(out: Path) -> None:
    result = json.loads(RESULT.read_text())
    within, free_row = (next(row for row in result[part] if row["name"] == LABEL) for part in ("limit", "free"))
    seed = int(np.argsort(within["by_training"])[len(within["by_training"]) // 2])
    policy = load_policy(folder(out, LABEL, SEEDS[seed]))
    kept = {key: policy.info[key] for key in ("method", "task", "given", "learned", "seconds")}
    card = {
        "version": "1",
        "description": "torque of a suspended mirror, added to LQG's, for a limit on torque",
        "ranges": {"power": [1.0, 1.0], "torque_nrad": [-LIMIT, LIMIT]},
        **kept,
        "metrics": {
            "how": "python benchmarks/control.py evaluate: five trainings, this is the one of median cost within the limit",
            "cost over LQG's without a limit": free_row["by_training"][seed],
            "cost over LQG's within the limit": within["by_training"][seed],
        },
    }
    Policy(policy.plant, policy.network, policy.base, policy.scale, card).save(SHIPPED / "mirror-policy")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("train", "evaluate", "ship"))
    parser.add_argument("--out", type=Path, default=Path("out/control"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    {"train": train, "evaluate": evaluate, "ship": ship}[given.what](given.out)
