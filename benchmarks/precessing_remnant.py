"""Remnants of precessing binaries by `nrphm` against NRSur7dq2's momentum flux and against the SXS and RIT catalogues.

    python -m data_prep precessing-truth --out TRUTH.npz          # in the environment of `make nr`
    python -m data_prep remnants --out FOLDER
    python benchmarks/precessing_remnant.py --truth TRUTH.npz --runs FOLDER/remnants.npz [--data DATA] [--model nrphm]

Recoil: the same flux formula applied to NRSur7dq2's modes of binaries that training did not see, as vectors; then the speeds of the
RIT catalogue's runs, whose spins are given at an orbital frequency. Mass and spin: of the same RIT runs, and of SXS runs whose
reference is known, the spin's direction too. `load_remnant` stands beside, which was trained on most of these runs; it gives the
recoil's mean over the orbital phase. Writes benchmarks/results/precessing_remnant.json and .md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

import gwsurrogate_ml as gw
from data_prep.precessing_nr import inside
from data_prep.precessing_runs import read_sxs_gatech
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.surrogate.precessing import coorbital, flux
from gwsurrogate_ml.surrogate.precessing.remnant import LIGHT, sums

ECCENTRICITY_MAX = 0.01
NINETY = 1.6448536269514722
QUANTILES = (0.5, 0.9, 1.0)
REPEATS = 50
EARLY = -4000.0
KNOWN = np.array([l < 5 for l, _ in coorbital.MODES])


def spread(values: Any) -> list[float]:
    """Median, 90th percentile and largest of absolute values."""
    return [float(f"{x:.3g}") for x in np.quantile(np.abs(values), QUANTILES)]


def against_nrsur7dq2(model: Any, truth: dict[str, np.ndarray]) -> dict[str, Any]:
    """Recoil vectors against NRSur7dq2's, in km/s."""
    times, places = truth["times"], [flux.place(l, m) for l, m in coorbital.KNOWN]
    names = ("vector", "speed", "true speed", "before the first time", "after the last", "of (5, +-5)")
    found: dict[str, list[float]] = {name: [] for name in names}
    for row, modes, omega in zip(truth["parameters"], truth["modes"], truth["omega"], strict=True):
        h = np.zeros((len(times), flux.place(5, 5) + 1), complex)
        h[:, places] = modes.T
        fluxes = CubicSpline(times, flux.of_modes(flux.couplings(), h, CubicSpline(times, h).derivative()(times))[:, 1:4])
        ours = model.remnant(row[0], row[1:4], row[4:], t_ref=-4499.999)
        unit = LIGHT / ours.mass
        velocity = -unit * fluxes.integrate(times[0], times[-1])
        found["vector"].append(float(np.linalg.norm(ours.velocity - velocity)))
        found["speed"].append(ours.kick - float(np.linalg.norm(velocity)))
        found["true speed"].append(float(np.linalg.norm(velocity)))
        # What turns with the orbit integrates to its rate over the square of the frequency; the ringdown decays in some 11 M.
        found["before the first time"].append(unit * float(np.linalg.norm(fluxes.derivative()(times[0])) / omega**2))
        found["after the last"].append(unit * float(np.linalg.norm(fluxes(times[-1]))) * 6.0)
        e = model.mode_model.evolve(row[0], row[1:4], row[4:], -4499.999, EARLY)
        known = sums(e._replace(coorbital=e.coorbital * KNOWN), EARLY)
        found["of (5, +-5)"].append(unit * float(np.linalg.norm(sums(e, EARLY).momentum - known.momentum)))
    return {"n": len(truth["modes"])} | {name: spread(values) for name, values in found.items()}


def against_aligned(model: Any) -> dict[str, Any]:
    """Speed of the recoil of aligned spins (km/s) against `load_remnant`, which knows it to 1.3 km/s in the median."""
    rng, plain = np.random.default_rng(3), gw.load_remnant()
    ranges = model.info["ranges"]
    off = []
    for _ in range(REPEATS):
        q, (z1, z2) = rng.uniform(1, ranges["q"]["max"]), rng.uniform(-1, 1, 2) * ranges["chi1"]["max"]
        off.append(model.remnant(q, [0, 0, z1], [0, 0, z2], t_ref=-4000.0).kick - plain(q, z1, z2).kick)
    return {"n": REPEATS, "kick": spread(off)}


def within(ratio: np.ndarray) -> float:
    """Share within the 90 % interval of the predicted error."""
    return round(float(np.mean(np.abs(ratio) < NINETY)), 3)


def against_rit(model: Any, runs: dict[str, np.ndarray], q_range: tuple[float, float]) -> dict[str, Any]:
    """Speed (km/s), mass and spin of the RIT catalogue's precessing runs with mass ratios in `q_range`."""
    ranges, plain = model.info["ranges"], gw.load_remnant()
    sizes = np.maximum(np.linalg.norm(runs["chi1"], axis=1), np.linalg.norm(runs["chi2"], axis=1))
    chosen = (runs["code"] == "RIT") & ~runs["aligned"] & np.isfinite(runs["omega"]) & (runs["kick"] > 0)
    chosen &= (runs["q"] > q_range[0] - 2e-3) & (runs["q"] < q_range[1] + 2e-3) & (sizes < ranges["chi1"]["max"] + 5e-3)
    chosen &= (runs["eccentricity"] >= 0) & (runs["eccentricity"] < ECCENTRICITY_MAX)
    rows: dict[str, list[list[float]]] = {name: [] for name in ("kick", "mass", "spin")}
    for i in np.flatnonzero(chosen):
        q, chi1, chi2 = (runs[name][i] for name in ("q", "chi1", "chi2"))
        ours = model.remnant(min(q, ranges["q"]["max"]), chi1, chi2, omega_ref=float(runs["omega"][i]))
        other = plain(q, chi1, chi2)
        for name, values in rows.items():
            true = float(runs[name][i])
            error = getattr(ours, f"{name}_error")
            values.append([getattr(ours, name) - true, getattr(other, name) - true, (getattr(ours, name) - true) / error])
    out: dict[str, Any] = {"n": int(chosen.sum())}
    for name, values in rows.items():
        table = np.array(values).T
        out[name] = {"nrphm": spread(table[0]), "load_remnant": spread(table[1]), "coverage_90": within(table[2])}
    return out


def against_sxs(model: Any, data: Path) -> dict[str, Any]:
    """Mass, spin and direction of the spin (degrees) of SXS runs whose orbital phase at the reference is known."""
    with open(data / "remnants" / "sxs_remnants.csv", newline="", encoding="utf-8") as stream:
        table = {row["waveform_id"]: row for row in csv.DictReader(stream)}
    ranges, plain, rows = model.info["ranges"], gw.load_remnant(), []
    for run in read_sxs_gatech(data / "nr" / "sxs_gatech_h22.npz", {}):
        row = table.get("SXS:BBH:" + run.name.split("_")[2]) if run.code == "SpEC" else None
        if row is None or not inside(run, ranges["q"]["max"], ranges["chi1"]["max"]):
            continue
        mass = float(row["massf"]) / (float(row["mass1"]) + float(row["mass2"]))
        true = run.frame.T @ np.array([float(row[f"chif{axis}"]) for axis in "xyz"])
        spin = float(np.linalg.norm(true))
        ours = model.remnant(min(run.q, ranges["q"]["max"]), run.chi1, run.chi2, omega_ref=run.omega)
        other = plain(run.q, run.chi1, run.chi2)
        angle = np.degrees(np.arccos(np.clip(ours.spin_vector @ true / ours.spin / spin, -1, 1)))
        errors = (ours.mass - mass) / ours.mass_error, (ours.spin - spin) / ours.spin_error
        rows.append([ours.mass - mass, other.mass - mass, ours.spin - spin, other.spin - spin, angle, *errors])
    t = np.array(rows).T
    return {
        "n": len(rows),
        "mass": {"nrphm": spread(t[0]), "load_remnant": spread(t[1]), "coverage_90": within(t[5])},
        "spin": {"nrphm": spread(t[2]), "load_remnant": spread(t[3]), "coverage_90": within(t[6])},
        "direction": {"nrphm": spread(t[4])},
    }


def speed(model: Any, parameters: np.ndarray) -> dict[str, float]:
    """Milliseconds for one binary, median and least of `REPEATS`, and how busy the machine was."""
    took = []
    for row in parameters[: REPEATS + 1]:
        begin = time.perf_counter()
        model.remnant(row[0], row[1:4], row[4:], t_ref=-4000.0)
        took.append(1e3 * (time.perf_counter() - begin))
    return {"median": float(np.median(took[1:])), "least": min(took), "load average": os.getloadavg()[0]}


def markdown(report: dict[str, Any]) -> str:
    """The table."""
    lines = ["| quantity | against | binaries | nrphm: median, 90 %, largest | load_remnant | in the 90 % interval |"]
    lines.append("| --- | --- | ---: | --- | --- | ---: |")

    def cells(values: list[float] | None) -> str:
        return ", ".join(f"{x:.2g}" if x < 10 else f"{x:.0f}" for x in values) if values else ""

    found = report["NRSur7dq2"]
    lines.append(f"| recoil vector, km/s | NRSur7dq2 | {found['n']} | {cells(found['vector'])} | | |")
    lines.append(f"| recoil speed, km/s | NRSur7dq2 | {found['n']} | {cells(found['speed'])} | | |")
    found = report["aligned"]
    lines.append(f"| recoil speed, km/s | load_remnant, aligned spins | {found['n']} | {cells(found['kick'])} | | |")
    for code in (*(key for key in report if key.startswith("RIT")), "SXS"):
        for quantity, unit in (
            ("kick", "recoil speed, km/s"),
            ("mass", "mass, M"),
            ("spin", "spin"),
            ("direction", "its direction, °"),
        ):
            if quantity in report[code]:
                values = report[code][quantity]
                lines.append(
                    f"| {unit} | {code} | {report[code]['n']} | {cells(values['nrphm'])} | {cells(values.get('load_remnant'))} | "
                    f"{values.get('coverage_90', '')} |"
                )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GWSML_DATA", "../shared/data")))
    parser.add_argument("--model", default="nrphm")
    args = parser.parse_args()
    with np.load(args.truth) as file:
        truth = {name: file[name] for name in ("times", "parameters", "omega", "modes")}
    with np.load(args.runs) as file:
        runs = dict(file)
    model = gw.load_surrogate(args.model)
    report: dict[str, Any] = {
        "command": "benchmarks/precessing_remnant.py --truth TRUTH.npz --runs remnants.npz",
        "versions": artifacts.package_versions("numpy", "scipy", "numba"),
        "model": model.identity,
        "NRSur7dq2": against_nrsur7dq2(model, truth),
        "aligned": against_aligned(model),
        "RIT, q to 2": against_rit(model, runs, (1.0, 2.0)),
        "RIT, q from 2.1 on": against_rit(model, runs, (2.1, float(model.info["ranges"]["q"]["max"]))),
        "SXS": against_sxs(model, args.data),
        "speed, ms": speed(model, truth["parameters"]),
    }
    folder = Path(__file__).parent / "results"
    (folder / "precessing_remnant.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (folder / "precessing_remnant.md").write_text(markdown(report), encoding="utf-8")
    print(markdown(report), report["NRSur7dq2"], report["speed, ms"], flush=True)


if __name__ == "__main__":
    main()
