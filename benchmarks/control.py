"""Control of a suspended mirror: linear rivals and learned policies beside the exact optimum.

    python benchmarks/control.py train [--out out/control]        # five seeds of each policy; a stopped run goes on where it was
    python benchmarks/control.py evaluate [--out out/control]
    python benchmarks/control.py ship [--out out/control]         # the policy of median cost within the limit, as mirror-policy

Policies are trained without a limit on torque, `descent-residual` and `descent-linear` with one of 80 nrad. Their costs are ratios
to LQG's on the same simulated noise, which no seed of the training has seen; linear controllers have exact costs. Writes
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
from gwsurrogate_ml.control.evaluate import MPC, beside, rivals, train_policy
from gwsurrogate_ml.control.learn import Task
from gwsurrogate_ml.control.linear import exact_cost, margins, optimal_cost, radius
from gwsurrogate_ml.control.plant import Plant, make_plant
from gwsurrogate_ml.control.policy import Policy, load_policy
from gwsurrogate_ml.control.simulation import Estimating, Run, simulate

RESULT = Path(__file__).parent / "results" / "control.json"
LIMIT, FALL = 80.0, 10.0
SEEDS = range(5)
LABEL = "added to LQG by descent, limit 80 nrad"
LINEAR = "linear law by the same descent, limit 80 nrad"
TRAININGS: dict[str, tuple[str, float | None, dict[str, int]]] = {
    LABEL: ("descent-residual", LIMIT, {"steps": 200}),
    LINEAR: ("descent-linear", LIMIT, {"steps": 200}),
    "DAgger": ("dagger", None, {"rounds": 20}),
    "PPO added to LQG": ("ppo-residual", None, {"steps": 400_000}),
    "PPO from nothing": ("ppo", None, {"steps": 3_000_000}),
    "SAC from nothing": ("sac", None, {"steps": 240_000}),
    "descent from nothing": ("descent", None, {"steps": 200}),
}
NOISE_SEED = 101
MPC_MIRRORS = 128
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


def verify(plant: Plant, made: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for name in ("LQG", "classical, tuned on cost"):
        loop, make = made[name]
        run, exact = simulate(plant, make(512), 50.0, 512, seed=7), exact_cost(plant, loop).total
        rows.append({"name": name, "exact": exact, "simulated / exact": run.total / exact, "standard error": run.error / exact})
        print(rows[-1], flush=True)
    return rows


def summary(runs: list[Run], peer: Run, seeds: list[int]) -> dict[str, Any]:
    """Cost over LQG's on the same noise: of the training of median cost, with its paired error, and of all."""
    pairs = [beside(run, peer) for run in runs]
    middle = int(np.argsort([pair["ratio"] for pair in pairs])[len(pairs) // 2])
    found = {
        "cost": pairs[middle]["ratio"],
        "error": pairs[middle]["ratio_error"],
        "more_falls": pairs[middle]["more_falls"],
        "more_falls_error": pairs[middle]["more_falls_error"],
        "noise": runs[middle].noise,
        "falls_per_hour": runs[middle].falls_per_hour,
        "hours": runs[middle].seconds / 3600,
        "training_seeds": seeds,
        "median_seed": seeds[middle] if seeds else None,
        "by_training": [pair["ratio"] for pair in pairs],
        "falls_by_training": [run.falls_per_hour for run in runs],
        "more_falls_by_training": [pair["more_falls"] for pair in pairs],
    }
    return found


def seeds_of(policies: list[Policy]) -> list[int]:
    return [policy.info["task"]["seed"] for policy in policies]


def free(plant: Plant, made: dict[str, Any], policies: dict[str, list[Policy]]) -> list[dict[str, Any]]:
    """The linear plant: exact costs of linear controllers, costs of policies on LQG's noise."""
    best = optimal_cost(plant)
    rows: list[dict[str, Any]] = []
    for name, (loop, _) in made.items():
        if loop is not None and "growing" not in name:
            cost, safe = exact_cost(plant, loop), margins(plant, loop)
            rows.append({"name": name, "exact": True, "cost": cost.total / best, "noise": cost.noise})
            rows[-1] |= safe._asdict()
    n, seconds = 128, 20.0
    peer = simulate(plant, Estimating(plant, n), seconds, n, NOISE_SEED, np.inf, FALL)
    for label, seeds in policies.items():
        runs = [simulate(plant, policy.controller(n), seconds, n, NOISE_SEED, np.inf, FALL) for policy in seeds]
        row = {"name": label, "exact": False, **summary(runs, peer, seeds_of(seeds)), "given": seeds[0].info["given"]}
        rows.append(row | {"cpu_s": float(np.median([policy.info["seconds"]["cpu"] for policy in seeds]))})
        print(rows[-1], flush=True)
    return rows


def limited(plant: Plant, made: dict[str, Any], policies: dict[str, list[Policy]]) -> dict[str, Any]:
    """Within `LIMIT`: linear rivals whose filters are told of it, MPC, and what was trained for it; and the strongest in pairs."""
    n, seconds = 512, 20.0
    runs: dict[str, Run] = {}
    rows = []

    def add(name: str, found: list[Run], seeds: list[int]) -> None:
        rows.append({"name": name, **summary(found, runs.setdefault("LQG", found[0]), seeds)})
        runs[name] = found[seeds.index(rows[-1]["median_seed"])] if seeds else found[0]
        print(rows[-1], flush=True)

    for name, (_, make) in made.items():
        if name.startswith("classical"):  # these know nothing of limits
            continue
        mirrors = MPC_MIRRORS if name == MPC else n
        add(name, [simulate(plant, make(mirrors), seconds, mirrors, NOISE_SEED, LIMIT, FALL)], [])
    for name in (LINEAR, LABEL):
        seeds = policies[name]
        each = [simulate(plant, policy.controller(n), seconds, n, NOISE_SEED, LIMIT, FALL) for policy in seeds]
        add(name, each, seeds_of(seeds))
    pairs = [{"first": LABEL, "second": other, **beside(runs[LABEL], runs[other])} for other in runs if other not in ("LQG", LABEL)]
    return {"limit": rows, "pairs": pairs}


def powers(plant: Plant, loops: dict[str, Any]) -> dict[str, Any]:
    """Cost over the nominal optimum's against laser power: exact for linear controllers, None where they do not hold the mirror."""
    best, curves = optimal_cost(plant), {"LQG of each power": []} | {name: [] for name in loops}
    for power in POWERS:
        other = make_plant(power=power)
        curves["LQG of each power"].append(optimal_cost(other) / best)
        for name, loop in loops.items():
            curves[name].append(exact_cost(other, loop).total / best if radius(other, loop) <= other.largest_radius else None)
    return {"power": POWERS, "curves": curves}


def figure(result: dict[str, Any]) -> None:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), constrained_layout=True)
    for k, (name, curve) in enumerate(result["power"]["curves"].items()):
        left.plot(POWERS, [np.nan if y is None else y for y in curve], "k-" if k == 0 else f"C{k - 1}-", label=name)
    left.set(xlabel="laser power / nominal", ylabel="cost / LQG's at nominal power", yscale="log")
    left.legend(fontsize=7, loc="center right", bbox_to_anchor=(1, 0.33))
    for row, mark in zip(result["limit"], "so^v<>DPX*", strict=False):
        right.plot(row["more_falls_by_training"], row["by_training"], mark, ls="", label=row["name"], alpha=0.7)
    right.set(xlabel="falls per hour more than LQG's, same noise", ylabel=f"cost / LQG's, torque within {LIMIT:g} nrad")
    right.legend(fontsize=7)
    figure.savefig(RESULT.with_suffix(".png"), dpi=120)


def evaluate(out: Path) -> None:
    plant, start, policies = make_plant(), time.time(), trained(out)
    made = {name: maker() for name, maker in rivals(plant, LIMIT).items()}
    print(f"tuned in {time.time() - start:.0f} s", flush=True)
    result: dict[str, Any] = {"command": "python benchmarks/control.py evaluate", "optimal_cost": optimal_cost(plant)}
    result["versions"] = package_versions("numpy", "scipy", "torch")
    result["free"] = free(plant, made, policies)
    result |= limited(plant, made, policies)
    result["power"] = powers(plant, {name: loop for name, (loop, _) in made.items() if loop is not None and "growing" not in name})
    result["verification"] = verify(plant, made)
    print(f"{time.time() - start:.0f} s", flush=True)
    whole = RESULT.with_suffix(".part")
    whole.write_text(json.dumps(result, indent=1) + "\n")
    whole.replace(RESULT)
    figure(result)


def ship(out: Path) -> None:
    result = json.loads(RESULT.read_text())
    within, free_row = (next(row for row in result[part] if row["name"] == LABEL) for part in ("limit", "free"))
    seed = within["median_seed"]
    policy = load_policy(folder(out, LABEL, seed))
    card = {
        "version": "2",
        "description": "torque of a suspended mirror, added to LQG's, for a limit on torque",
        "ranges": {"power": [1.0, 1.0], "torque_nrad": [-LIMIT, LIMIT]},
        **{key: policy.info[key] for key in ("task", "seconds")},
        "method": "descent-residual",
        "given": "the Kalman filter, the equations of the plant, Riccati's value of the last state, LQG's law",
        "learned": "a law that is added to LQG's",
        "metrics": {
            "how": f"python benchmarks/control.py evaluate: of {len(within['by_training'])} trainings the one of median cost "
            "within the limit; ratios of costs on the same noise, with paired standard errors",
            "cost over LQG's without a limit": free_row["by_training"][free_row["training_seeds"].index(seed)],
            "cost over LQG's within the limit": [within["cost"], within["error"]],
            **{f"cost over that of: {pair['second']}": [pair["ratio"], pair["ratio_error"]] for pair in result["pairs"]},
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
