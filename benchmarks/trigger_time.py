"""Does the posterior depend on the time given? GW150914 and three simulated events, with GPS times off by up to two seconds.

    python benchmarks/trigger_time.py --data FOLDER [--draws 10000] [--seed 0] [--processes 2]

FOLDER holds the strain files of shared data's `strain`. Shifts are of the medians against the analysis with the right time, over
the posterior's standard deviation there; the time itself is left out. Another seed with the right time shows what sampling does.
Writes benchmarks/results/trigger_time.json and trigger_time.md.
"""

from __future__ import annotations

import argparse
import json
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.strain.simulate import simulate

OFFSETS = (-2.0, -0.3, -0.1, 0.1, 0.12, 0.15, 0.3, 2.0)
COMPARED = (
    "chirp_mass", "mass_ratio", "chi_1", "chi_2", "chi_eff", "luminosity_distance", "theta_jn", "network_snr",
)  # fmt: skip
GW150914 = 1126259462.4
INTRINSIC = ("chirp_mass", "mass_ratio", "chi_1", "chi_2", "luminosity_distance")
SIMULATED = {
    "heavy, SNR 20": ((42.0, 0.8, 0.3, 0.1, 720.0), 1300000016.0, 21),
    "light, SNR 14": ((18.0, 0.6, -0.2, 0.4, 530.0), 1300000016.25, 22),
    "SNR 9": ((28.0, 0.7, 0.2, -0.1, 1050.0), 1300000015.87, 23),
}
"""Parameters, GPS time and seed."""
ORIENTATION = {"theta_jn": 0.7, "phase": 1.0, "psi": 0.4, "ra": 1.7, "dec": -1.2}


@cache
def estimator() -> Any:
    """The shipped estimator, once a process."""
    import torch

    torch.set_num_threads(1)
    return gw.load_estimator()


def event(name: str, folder: Path) -> gw.StrainData:
    """The data with the right time."""
    if name == "GW150914":
        files = {f"{x}1": folder / f"{x}-{x}1_LOSC_4_V2-1126259446-32.hdf5" for x in "HL"}
        return gw.StrainData.from_files(files, gps=GW150914, name=name)
    values, gps, seed = SIMULATED[name]
    curve = "aLIGO_early_high_asd"
    binary = dict(zip(INTRINSIC, values, strict=True)) | ORIENTATION
    return simulate(binary, gw.load_surrogate("nr22"), psds=curve, duration=64.0, gps=gps, seed=seed, name=name)


def analysis(task: tuple[str, float, int], draws: int, folder: Path) -> dict[str, Any]:
    """Medians and widths with the time off by `task`'s second entry."""
    name, offset, seed = task
    data = event(name, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = estimator().sample(replace(data, gps=data.gps + offset), n=draws, seed=seed)
    posterior = result.posterior
    return {
        "event": name,
        "offset": offset,
        "seed": seed,
        "centre": result.meta["segment"]["gps"],
        "snr": float(np.linalg.norm(list(result.meta["search"]["snr"].values()))),
        "log_bayes_factor": result.log_bayes_factor,
        "efficiency": result.sample_efficiency,
        "pareto_k": result.pareto_k,
        "flags": [text.partition(":")[0] for text in result.flags],
        "median": {key: float(posterior[key].median()) for key in COMPARED},
        "sigma": {key: float(posterior[key].std()) for key in COMPARED},
    }


def shifts(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each record's largest shift of a median, in standard deviations, against its event's with the right time and first seed."""
    right = {r["event"]: r for r in records if r["offset"] == 0 and r["seed"] == min(x["seed"] for x in records)}
    out = []
    for r in records:
        base = right[r["event"]]
        shift = {k: (r["median"][k] - base["median"][k]) / base["sigma"][k] for k in COMPARED}
        worst = max(shift, key=lambda k: abs(shift[k]))
        out.append(r | {"shift": shift, "worst": worst, "largest": abs(shift[worst])})
    return out


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table."""
    lines = [
        "| event | time off by (s) | moved to | SNR | log BF | efficiency | Pareto k | largest shift of a median | flags |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        seed = f", seed {r['seed']}" if r["seed"] else ""
        lines.append(
            f"| {r['event']}{seed} | {r['offset']:+g} | {r['centre']:.2f} | {r['snr']:.1f} | {r['log_bayes_factor']:.2f} | "
            f"{r['efficiency']:.0%} | {r['pareto_k']:.2f} | {r['largest']:.3f} sigma ({r['worst']}) | "
            f"{', '.join(r['flags']) or 'none'} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Analyse with every time, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()

    names = ("GW150914", *SIMULATED)
    tasks = [(name, offset, arguments.seed) for name in names for offset in (0.0, *OFFSETS)]
    tasks += [(name, 0.0, arguments.seed + 1) for name in names]
    with ProcessPoolExecutor(arguments.processes) as pool:
        rows = shifts(list(pool.map(partial(analysis, draws=arguments.draws, folder=arguments.data), tasks)))
    head = {
        "command": f"python benchmarks/trigger_time.py --data DATA --draws {arguments.draws} --seed {arguments.seed}",
        "versions": artifacts.package_versions("numpy", "torch"),
    }
    stem = arguments.out / "trigger_time"
    stem.with_suffix(".json").write_text(json.dumps({**head, "rows": rows}, indent=1) + "\n")
    stem.with_suffix(".md").write_text(markdown(rows) + "\n")
    print(markdown(rows))


if __name__ == "__main__":
    main()
