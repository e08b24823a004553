"""Light binaries, chirp mass 5 to 13 from 20 Hz: accuracy against SEOBNRv5HM, speed beside IMRPhenomTHM.

    python -m data_prep inspiral-truth --out TRUTH.npz          # in the environment of `make nr`
    python -m data_prep nrsur7dq2-aligned --n 512 --seed 777 --out FOLDER     # there too
    python benchmarks/low_mass.py --truth TRUTH.npz --held-out FOLDER [--repeat 15]

The truth are whole waveforms of SEOBNRv5HM (pyseobnr's own `generate_modes_opt`, its dynamics integrated without approximation) of
binaries drawn with another seed than training's: chirp mass 5 to 13 and spins -0.9 to 0.9 uniform, q 1 to 8 uniform in its
logarithm. Mismatch with advanced LIGO's design spectrum from 20 Hz, over time and phase: of (2,2), and of h_plus with all modes at
four inclinations, over time and orbital phase. The models are compared as they are, and as they were before stage 2, which moves
them away from SEOBNRv5HM near the merger, towards numerical relativity. What that is worth is measured with (2,2) of NRSur7dq2,
from 4,490 M before the peak on, of 60 binaries with spins along the orbit and mass ratios to 2, at two light total masses. Speed: a
pair of polarizations in turn with LAL's, A B A B, CPU time, each at the lowest rate that holds the ringdown of all modes. Writes
benchmarks/results/low_mass.json.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import held_out
import lal
import lalsimulation
import numpy as np
from aligned_accuracy import TIMES
from aligned_accuracy import truth as aligned_truth
from precessing_accuracy import RATE
from precessing_accuracy import Band as PlainBand
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar
from surrogate_accuracy import design_noise, tails

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.cli.bench import alternate
from gwsurrogate_ml.conventions import MTSUN_SI, ModeKey
from gwsurrogate_ml.surrogate.aligned import stage3
from gwsurrogate_ml.surrogate.load import load_aligned
from gwsurrogate_ml.surrogate.model import Surrogate

F_MIN, TAPER = 20.0, 0.45
INCLINATIONS = (0.0, 30.0, 60.0, 90.0)
TIMED = ((5.0, 1.0), (5.0, 3.0), (8.0, 1.5), (13.0, 1.2))
"""Chirp mass and q of the pairs that are timed."""
TOTALS, BINARIES = (14.0, 28.0), 60
"""Total masses (solar masses) and number of the binaries that are compared with NRSur7dq2."""
PLACE = {"luminosity_distance": 100.0, "theta_jn": 0.6, "phase": 1.2, "chi_1": 0.3, "chi_2": -0.1}


def eob(truth: dict[str, np.ndarray], i: int, modes: tuple[ModeKey, ...]) -> tuple[held_out.Eob, float]:
    """The i-th waveform as a function of time, and where it begins."""
    there = np.isfinite(truth["amp22"][i])
    data = {key: truth[key][i : i + 1][..., there] for key in ("amp22", "phase22", "coorbital")}
    return held_out.Eob(data | {"times": truth["times"][there]}, 0, modes), float(truth["times"][there][0])


def before_stage_2(name: str) -> Surrogate:
    """The shipped surrogate `name` as it was trained on SEOBNRv5HM alone."""
    card, tensors = artifacts.load(name, "surrogate")
    inspiral = artifacts.load(card["inspiral"], "inspiral")
    return Surrogate(card, {key: value for key, value in tensors.items() if not key.startswith("stage2")}, inspiral)


def accuracy(name: str, truth: dict[str, np.ndarray]) -> dict[str, Any]:
    """Mismatches of all binaries of `truth`: tails, and every point."""
    versions = {"": load_aligned(name), " before stage 2": before_stage_2(name)}
    sur = versions[""]
    modes = sur.modes
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, len(truth["parameters"]))
    rows: dict[str, list[Any]] = {"parameters": [], "22": [], "plus": [], "22 before stage 2": [], "plus before stage 2": []}
    for i, (chirp_mass, q, chi1, chi2) in enumerate(truth["parameters"]):
        total = chirp_mass * (q / (1 + q) ** 2) ** -0.6
        unit = total * MTSUN_SI
        binary = {"mass_1": total * q / (1 + q), "mass_2": total / (1 + q), "chi_1": chi1, "chi_2": chi2}
        theirs, first = eob(truth, i, modes)
        start = max(-(sur.time_before_peak(**binary, f_min=F_MIN) + TAPER) / unit, first + 40.0, sur.t_min)
        band = held_out.Band(start, 110.0, total, design_noise, F_MIN)
        band.taper = 0.5 - 0.5 * np.cos(np.pi * np.clip((band.t - start) * unit / (0.9 * TAPER), 0.0, 1.0))
        b = band.spectra(theirs, modes)
        rows["parameters"].append([float(x) for x in (chirp_mass, q, chi1, chi2)])
        for kind, version in versions.items():
            a = band.spectra(held_out.model(version, np.array([q, chi1, chi2])), modes)
            lag = band.lag(a[0], b[0])
            rows["22" + kind].append(float(held_out.compare_psd(band, a[:1], b[:1], lag)[0]))
            rows["plus" + kind].append(
                [held_out.compare_plus(band, a, b, lag, modes, np.radians(x), phases[i])[0] for x in INCLINATIONS]
            )
        shown = (chirp_mass, q, chi1, chi2, rows["22"][-1], rows["22 before stage 2"][-1], *rows["plus"][-1])
        print(i, *(f"{x:.3g}" for x in shown), flush=True)
    table = {name: tails(np.array(values).ravel()) for name, values in rows.items() if name != "parameters"}
    return {"n": len(rows["22"]), "mismatch": table, "points": rows}


def beside_simulations(name: str, folder: Path) -> dict[str, dict[str, list[float]]]:
    """Mismatches of (2,2) with NRSur7dq2's, as they are and before stage 2, by total mass."""
    data, _ = stage3.read(folder)
    versions = {"as shipped": load_aligned(name), "before stage 2": before_stage_2(name)}
    found: dict[str, dict[str, list[float]]] = {version: {} for version in versions}
    for mass in TOTALS:
        band = PlainBand(mass)
        step = 1 / RATE / band.unit
        at = np.arange(np.ceil(TIMES[0] / step), np.floor(TIMES[-1] / step) + 1)
        for row in range(BINARIES):
            nr = band.transform(CubicSpline(TIMES, aligned_truth(data, row)[2, 2])(at * step), round(at[0]))
            for version, sur in versions.items():
                ours = band.transform(sur(*data["parameters"][row], times=at * step)[2, 2], round(at[0]))
                product = np.conj(nr) * ours

                def loss(lag: float, product: np.ndarray = product, f: np.ndarray = band.f) -> float:
                    return -abs(np.sum(product * np.exp(2e-3j * np.pi * f * lag)))

                best = float(minimize_scalar(loss, bracket=(-0.05, 0.05)).fun)
                found[version].setdefault(f"{mass:g}", []).append(1 + best / float(np.linalg.norm(nr) * np.linalg.norm(ours)))
    return found


def peer(binary: dict[str, float], rate: float) -> Callable[[], Any]:
    """A pair of IMRPhenomTHM."""
    masses = (binary["mass_1"] * lal.MSUN_SI, binary["mass_2"] * lal.MSUN_SI)
    spins = (0.0, 0.0, PLACE["chi_1"], 0.0, 0.0, PLACE["chi_2"])
    place = (PLACE["luminosity_distance"] * 1e6 * lal.PC_SI, PLACE["theta_jn"], PLACE["phase"], 0.0, 0.0, 0.0)
    model = lalsimulation.IMRPhenomTHM
    return lambda: lalsimulation.SimInspiralChooseTDWaveform(*masses, *spins, *place, 1 / rate, F_MIN, F_MIN, None, model)


def speed(sur: Surrogate, repeat: int) -> list[dict[str, Any]]:
    """Times of a pair in ms beside IMRPhenomTHM's."""
    lines = []
    for chirp_mass, q in TIMED:
        total = chirp_mass * (q / (1 + q) ** 2) ** -0.6
        binary = {"mass_1": total * q / (1 + q), "mass_2": total / (1 + q)}
        rate = 2.0 ** np.ceil(np.log2(2.0 * 0.25 / (total * MTSUN_SI)))
        call = lambda b=binary, r=rate: sur.strain(**b, **PLACE, f_min=F_MIN, sampling_frequency=r)  # type: ignore[misc]  # noqa: E731
        samples = len(call()[1])
        ours, theirs = alternate(call, peer(binary, rate), repeat)
        line = {"chirp_mass": chirp_mass, "q": q, "rate": rate, "samples": samples}
        line |= {"ours_ms": 1e3 * float(np.median(ours)), "peer_ms": 1e3 * float(np.median(theirs))}
        lines.append(line | {"ratio": line["peer_ms"] / line["ours_ms"]})
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Run and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--held-out", type=Path, required=True)
    args = parser.parse_args()
    with np.load(args.truth) as file:
        truth = dict(file)
    models = {name: load_aligned(name) for name in ("nrhm", "nr22")}
    inspiral = models["nrhm"].mode_model.inspiral
    assert inspiral is not None
    content = {
        "command": f"python benchmarks/low_mass.py --truth TRUTH.npz --held-out FOLDER --repeat {args.repeat}",
        "versions": artifacts.package_versions("numpy", "scipy", "lalsuite"),
        "inspiral": {key: inspiral.info[key] for key in ("name", "version", "weights_sha256")},
        "models": {
            name: {
                "identity": sur.identity,
                "speed": speed(sur, args.repeat),
                "accuracy": accuracy(name, truth),
                "against NRSur7dq2": beside_simulations(name, args.held_out),
            }
            for name, sur in models.items()
        },
    }
    path = Path(__file__).parent / "results" / "low_mass.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    for name, found in content["models"].items():
        print(name, json.dumps(found["accuracy"]["mismatch"], indent=1))
        for version, by_mass in found["against NRSur7dq2"].items():
            print(version, {mass: np.quantile(values, [0.5, 0.9, 1.0]).tolist() for mass, values in by_mass.items()})


if __name__ == "__main__":
    main()
