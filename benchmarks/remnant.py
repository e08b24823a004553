"""Remnant model beside published fits, on runs of the SXS and RIT catalogues that training did not see.

    python -m data_prep remnants --out FOLDER
    python benchmarks/remnant.py --runs FOLDER/remnants.npz [--out benchmarks/results]

Eight folds by parameter cluster; hyperparameters, coefficients and the calibration of the errors come from the other folds.
The published fits (lalinference) saw many of the runs when they were made; spins are those at the catalogues' relaxed time.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import os
import timeit
from pathlib import Path
from typing import Any

import numpy as np

import gwsurrogate_ml as gw
from data_prep.remnants import clusters
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.surrogate.remnant.train import NINETY, calibrate, cross_validate, load_runs, read_config


def published(runs: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
    """Final mass and |final spin| (n,) of published fits for `rows`; general spins as the fits prescribe or in quadrature."""
    from lalinference.imrtgr import nrutils

    q, chi1, chi2 = runs["q"][rows], runs["chi1"][rows], runs["chi2"][rows]
    m1, m2, z1, z2 = q / (1 + q), 1 / (1 + q), chi1[:, 2], chi2[:, 2]
    sizes = [np.minimum(np.linalg.norm(chi, axis=1), 1) for chi in (chi1, chi2)]
    tilts = [np.arctan2(np.hypot(chi[:, 0], chi[:, 1]), chi[:, 2]) for chi in (chi1, chi2)]
    angles = [np.arctan2(chi[:, 1], chi[:, 0]) for chi in (chi1, chi2)]
    plane = np.sum((m1[:, None] ** 2 * chi1[:, :2] + m2[:, None] ** 2 * chi2[:, :2]) ** 2, axis=1)
    # The fits report on standard output that eta was rounded down to 1/4.
    with contextlib.redirect_stdout(io.StringIO()):
        along = {
            "UIB2016": nrutils.bbh_final_spin_non_precessing_UIB2016(m1, m2, z1, z2),
            "HL2016": nrutils.bbh_final_spin_non_precessing_Healyetal(m1, m2, z1, z2, version="2016"),
        }
        spins = {name: np.sqrt(value**2 + plane) for name, value in along.items()}
        spins["HBR2016 (M3J4)"] = nrutils.bbh_final_spin_precessing_HBR2016(
            m1, m2, *sizes, *tilts, angles[1] - angles[0], version="M3J4"
        )
        masses = {
            "UIB2016": nrutils.bbh_final_mass_non_precessing_UIB2016(m1, m2, z1, z2),
            "HL2016": nrutils.bbh_final_mass_non_precessing_Healyetal(m1, m2, z1, z2, version="2016"),
        }
    return {"mass": masses, "spin": spins}


def spread(error: np.ndarray) -> dict[str, float]:
    """Root mean square, median, 90th percentile and maximum of |error|."""
    error = np.abs(error)
    values = (np.sqrt(np.mean(error**2)), np.median(error), np.quantile(error, 0.9), np.max(error))
    return {key: float(f"{value:.3g}") for key, value in zip(("rms", "median", "p90", "max"), values, strict=True)}


def duplicates(runs: dict[str, np.ndarray], rows: np.ndarray, quantity: str) -> dict[str, float]:
    """Deviation of near-duplicate runs (within 1e-3 in delta and spins) from their mean: what runs agree to among themselves."""
    label = clusters({key: value[rows] for key, value in runs.items()}, 1e-3)
    value = runs[quantity][rows]
    count = np.bincount(label)[label]
    mean = (np.bincount(label, value) / np.maximum(np.bincount(label), 1))[label]
    several = count > 1
    deviation = (value - mean)[several] * np.sqrt(count / np.maximum(count - 1, 1))[several]
    return {"n": int(several.sum()), **spread(deviation)} if np.any(several) else {"n": 0}


def speed() -> dict[str, float]:
    """Milliseconds for one binary and microseconds for each of 10,000, errors included; and how busy the machine was."""
    model = gw.load_remnant()
    q, spins = np.linspace(1, 6, 10_000), np.linspace(-0.5, 0.5, 10_000)
    vectors = np.stack([spins, spins, spins], axis=1)
    one = {"aligned": lambda: model(1.5, 0.3, -0.1), "general": lambda: model(1.5, [0.3, 0.1, 0.2], -0.1)}
    many = {"aligned": lambda: model(q, spins, spins), "general": lambda: model(q, vectors, spins)}
    busy = {"load average": os.getloadavg()[0], "cores": float(os.cpu_count() or 1)}
    return (
        busy
        | {f"one {k}, ms": 1e3 * min(timeit.repeat(f, number=50, repeat=5)) / 50 for k, f in one.items()}
        | {f"10000 {k}, us each": 1e2 * min(timeit.repeat(f, number=1, repeat=3)) for k, f in many.items()}
    )


def measure(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The report, the runs, and the predictions for them while held out."""
    runs = load_runs(path)
    card = gw.load_remnant().info
    config = read_config({**card["config"], "runs": path})
    fold, held_out = cross_validate(runs, config)
    _, metrics = calibrate(runs, fold, held_out)
    report: dict[str, Any] = {"how": __doc__, "runs_sha256": artifacts.sha256(path), "cross_validation": metrics}
    for group, of_group in (("aligned", runs["aligned"]), ("general", ~runs["aligned"])):
        for code in ("SXS", "RIT"):
            rows = of_group & (runs["code"] == code)
            fits = published(runs, rows)
            for quantity in ("mass", "spin"):
                truth = runs[quantity][rows]
                report[f"{code} {group} {quantity}"] = {
                    "n": int(rows.sum()),
                    "gwsurrogate_ml": spread(held_out[quantity][rows] - truth),
                    **{name: spread(value - truth) for name, value in fits[quantity].items()},
                    "near-duplicate runs": duplicates(runs, rows, quantity),
                }
    report["speed, one core"] = speed()
    return report, runs, held_out


def figure(runs: dict[str, np.ndarray], held_out: dict[str, np.ndarray], path: Path) -> None:
    """Distributions of held-out errors beside published fits, and true error against predicted."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    drawn, axes = plt.subplots(2, 3, figsize=(13, 7.5), constrained_layout=True)
    units = {"mass": "M", "spin": "1", "kick": "km/s"}
    for row, (group, of_group) in zip(axes, (("aligned", runs["aligned"]), ("general", ~runs["aligned"])), strict=True):
        chosen = of_group & (runs["code"] == "SXS")
        fits = published(runs, chosen)
        for axis, quantity in zip(row[:2], ("mass", "spin"), strict=True):
            lines = {"gwsurrogate_ml, held out": held_out[quantity][chosen], **fits[quantity]}
            for (name, value), style in zip(lines.items(), ("k-", "k--", "k:", "k-."), strict=False):
                error = np.sort(np.abs(value - runs[quantity][chosen]))
                axis.plot(error, np.linspace(0, 1, len(error)), style, label=name, lw=1.3)
            axis.set(xscale="log", xlim=(1e-6, 0.1), xlabel=f"|error| of final {quantity} ({units[quantity]})")
            axis.set(ylabel="fraction of SXS runs below", title=f"{group} spins")
            axis.legend(fontsize=7)
        kicked = of_group & np.isfinite(runs["kick"])
        row[2].errorbar(
            runs["kick"][kicked], held_out["kick"][kicked], NINETY * held_out["kick_error"][kicked],
            fmt="o", ms=2, lw=0.4, color="0.2", ecolor="0.7",
        )  # fmt: skip
        end = runs["kick"][kicked].max()
        row[2].plot([0, end], [0, end], "k-", lw=0.8)
        row[2].set(xlabel="kick of the RIT run (km/s)", ylabel="held-out kick, 90 % interval (km/s)", title=f"{group} spins")
    temporary = path.with_suffix(".tmp.png")
    drawn.savefig(temporary, dpi=100)
    temporary.replace(path)
    plt.close(drawn)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="remnants.npz of `python -m data_prep remnants`")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    report, runs, held_out = measure(arguments.runs)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "remnant.json").write_text(json.dumps(report, indent=1) + "\n")
    figure(runs, held_out, arguments.out / "remnant.png")
    for key, part in report.items():
        if isinstance(part, dict) and "gwsurrogate_ml" in part:
            print(key, f"(n = {part['n']})")
            for name, values in part.items():
                if isinstance(values, dict) and "rms" in values:
                    print(f"  {name:24s} rms {values['rms']:.2e}  median {values['median']:.2e}  p90 {values['p90']:.2e}")
    for key, value in report["cross_validation"].items():
        print(key, value)
    print(report["speed, one core"])


if __name__ == "__main__":
    main()
