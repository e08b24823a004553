"""Accuracy of the surrogate against numerical relativity and SEOBNRv5HM, on runs that training did not see.

    python -m data_prep eob --n 1024 --seed 777 --out FOLDER
    python benchmarks/surrogate_accuracy.py --nr NR_TABLE --unseen FOLDER [--model nrhm] [--parts eob sxs spec]

Stage 1 (trained on SEOBNRv5HM alone) is taken from the model; stage 2 is fitted anew without the runs under test:
1. SXS aligned and non-spinning runs, 8 folds by parameter cluster, white noise, t in [-395, 90] M. Clusters join runs closer
   than `--isolation` in eta and both spins (exchange counted), so that a near-duplicate never sits on the other side.
2. SpEC non-spinning runs (-2750 M), leave one out over the 20 interior ones, aLIGO design from 15 Hz at 70, 120, 200 Msun; SXS
   runs of the same cluster are left out with it.
3. Stage 1, and beside it the shipped model, against SEOBNRv5HM on points drawn for this test (`--unseen`; with `--eob`
   the validation fraction of the training set): each mode (points where it nearly vanishes left out: see `VANISHING`), and
   h_plus with all modes over inclination.
   Stage 3, which moves the higher modes towards NRSur7dq2, is left out: `aligned_accuracy.py` is its test.
4. Predicted against true errors on the held-out runs of 1, with a figure.
Beside each mismatch stand amplitude and phase errors, which mismatch is blind to or hides, and the length used.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import held_out
import numpy as np
from scipy.interpolate import CubicSpline
from scipy.stats import spearmanr

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.plot import style
from gwsurrogate_ml.surrogate.aligned import stage2
from gwsurrogate_ml.surrogate.aligned.uncertainty import calibration_factor, coverage
from gwsurrogate_ml.surrogate.config import SurrogateConfig
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.surrogate.validation import clusters, cross_validate, percentiles, waveforms
from gwsurrogate_ml.waveform.compare import psd_mismatch, white_mismatch

LENGTH = 10_000.0
"""How far before the peak waveforms are compared with SEOBNRv5HM, in M."""
MASSES = (70.0, 120.0)
F_LOW = 20.0
INCLINATIONS = (0.0, 30.0, 60.0, 90.0)
VANISHING = 0.1
"""A mode counts as vanishing where its norm relative to (2,2) is below this fraction of the median over the set: odd m near
equal bodies, and (2,1) where spins cancel it. Relative errors say nothing there."""


def sxs(
    runs: stage2.Runs, eob: np.ndarray, tensors: dict[str, np.ndarray], config: SurrogateConfig, isolation: float
) -> tuple[dict, dict[str, np.ndarray]]:
    """Eight-fold cross-validation over the SpEC-code runs of the table, beside SEOBNRv5HM: summary, and figures of each run."""
    code = np.array([name.startswith("SXS") for name in runs.name])
    h, ours, expected = cross_validate(tensors, runs, config, isolation)
    first = waveforms(tensors, config.degree, runs.parameters, runs.t)
    window = (runs.t >= stage2.NR_WINDOW[0]) & (runs.t <= stage2.NR_WINDOW[1])
    amplitude = np.abs(np.linalg.norm(h[:, window], axis=1) / np.linalg.norm(runs.h22[:, window], axis=1) - 1)
    label = clusters(runs.parameters, isolation)
    rows = np.flatnonzero(code)
    theirs = np.array([white_mismatch(runs.t, runs.h22[i], eob[i], stage2.NR_WINDOW) for i in rows])
    stage_one = np.array([white_mismatch(runs.t, runs.h22[i], first[i], stage2.NR_WINDOW) for i in rows])
    ours, amplitude, expected = ours[code], amplitude[code], expected[code]
    worst = np.argsort(ours)[::-1][:8]
    names, parameters = runs.name[code], runs.parameters[code]
    points = {"names": names, "parameters": parameters, "true": ours, "expected": expected, "eob": theirs}
    points |= {
        "t": runs.t,
        "worst": rows[worst[:3]],
        "worst_nr": runs.h22[rows[worst[:3]]],
        "worst_model": h[rows[worst[:3]]],
    }
    summary = {
        "n": int(code.sum()),
        "clusters": len(np.unique(label[code])),
        "isolation": isolation,
        "surrogate": percentiles(ours),
        "stage1_only": percentiles(stage_one),
        "SEOBNRv5HM": percentiles(theirs),
        "ratio_median": float(np.median(ours) / np.median(theirs)),
        "ratio_p90": float(np.percentile(ours, 90) / np.percentile(theirs, 90)),
        "amplitude_error": percentiles(amplitude),
        "error_estimate": {
            "share_below_predicted_90": coverage(ours, expected, label[code]),
            "rank_correlation": float(spearmanr(ours, expected).statistic),
        },
        "worst": [[str(names[i]), *np.round(parameters[i], 3).tolist(), float(ours[i]), float(theirs[i])] for i in worst],
    }
    return summary, points


def spec(
    runs: stage2.Runs, long_runs: stage2.Runs, eob: np.ndarray, tensors: dict[str, np.ndarray], config: SurrogateConfig
) -> dict:
    """Leave-one-out over the interior non-spinning runs, beside SEOBNRv5HM and a cubic spline in log q through the others."""
    import pycbc.psd

    frequencies = np.arange(0.0, 4096.0, 0.25)
    psd = pycbc.psd.aLIGOZeroDetHighPower(len(frequencies), 0.25, 5.0).numpy()
    psd[psd == 0] = np.inf
    order = np.argsort(long_runs.parameters[:, 0])[1:-1]
    result: dict[str, dict] = {f"{mass}": {"surrogate": [], "SEOBNRv5HM": [], "spline_log_q": []} for mass in (70, 120, 200)}
    log_q = np.log(long_runs.parameters[:, 0])
    amplitude = np.abs(long_runs.h22)
    phase = -np.unwrap(np.angle(long_runs.h22), axis=1)
    phase -= phase[:, [int(np.argmin(np.abs(long_runs.t)))]]
    for i in order:
        q = long_runs.parameters[i, 0]
        eta = q / (1 + q) ** 2
        theirs = runs.parameters[:, 0] / (1 + runs.parameters[:, 0]) ** 2
        near = (np.abs(theirs - eta) < 1e-3) & np.all(np.abs(runs.parameters[:, 1:]) < 1e-3, axis=1)
        others = np.delete(np.arange(len(log_q)), i)
        model = stage2.add(tensors, runs.take(~near), long_runs.take(others), config)
        h = waveforms(model, config.degree, long_runs.parameters[i : i + 1], long_runs.t)[0]
        others = others[np.argsort(log_q[others])]
        a = CubicSpline(log_q[others], amplitude[others])(log_q[i])
        p = CubicSpline(log_q[others], phase[others])(log_q[i])
        for mass, row in result.items():
            for key, candidate in (("surrogate", h), ("SEOBNRv5HM", eob[i]), ("spline_log_q", a * np.exp(-1j * p))):
                row[key].append(float(psd_mismatch(long_runs.t, long_runs.h22[i], candidate, float(mass), frequencies, psd, 15.0)))
    return {
        mass: {key: percentiles(np.array(values)) for key, values in row.items()} | {"n": len(order)}
        for mass, row in result.items()
    }


def design_noise(f: np.ndarray) -> np.ndarray:
    """aLIGO design sensitivity in 1/Hz at frequencies `f` (Hz)."""
    import pycbc.psd

    grid = np.arange(0.0, 4096.0, 0.25)
    psd = pycbc.psd.aLIGOZeroDetHighPower(len(grid), 0.25, 9.0).numpy()
    good = psd > 0
    return np.exp(np.interp(np.log(f), np.log(grid[good]), np.log(psd[good])))


def against_eob(data: dict[str, np.ndarray], sur: Surrogate, seed: int) -> tuple[dict, dict[str, np.ndarray]]:
    """Mismatches of `sur` with the waveforms of `data`: summary, and the figures of every point."""
    t, modes = held_out.grid(-LENGTH, 90.0), sur.modes
    bands = {mass: held_out.Band(-LENGTH, 110.0, mass, design_noise, F_LOW) for mass in MASSES}
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(data["parameters"]))
    points = []
    for row, parameters in enumerate(data["parameters"]):
        ours, theirs = held_out.model(sur, parameters), held_out.Eob(data, row, modes)
        point: dict[str, Any] = {
            "parameters": parameters.tolist(),
            "white": held_out.compare_white(ours, theirs, modes, t),
        }
        for mass, band in bands.items():
            a, b = band.spectra(ours, modes), band.spectra(theirs, modes)
            lag = band.lag(a[0], b[0])
            plus = [held_out.compare_plus(band, a, b, lag, modes, np.radians(x), phases[row])[0] for x in INCLINATIONS]
            point[f"{mass:g}"] = {"modes": held_out.compare_psd(band, a, b, lag), "plus": plus}
        points.append(point)
    out: dict[str, Any] = {"n": len(points), "modes": {}, "h_plus": {}}
    for k, mode in enumerate(modes):
        size = np.array([point["white"][mode]["size"] for point in points])
        kept = [points[i] for i in np.flatnonzero(size >= VANISHING * np.median(size))]
        out["modes"][f"{mode[0]}{mode[1]}"] = {"n": len(kept)} | {
            "white": tails([point["white"][mode]["mismatch"] for point in kept]),
            "amplitude_error": tails([point["white"][mode]["amplitude"] for point in kept]),
            "phase_error_rad": tails([point["white"][mode]["phase"] for point in kept]),
            **{f"{mass:g} Msun": tails([point[f"{mass:g}"]["modes"][k] for point in kept]) for mass in MASSES},
        }
    for mass in MASSES:
        table = np.array([point[f"{mass:g}"]["plus"] for point in points])
        out["h_plus"][f"{mass:g} Msun"] = {f"{x:g} deg": tails(table[:, k]) for k, x in enumerate(INCLINATIONS)} | {
            "all": tails(table.ravel())
        }
    white = [[point["white"][mode]["mismatch"] for mode in modes] for point in points]
    arrays = {"parameters": data["parameters"], "white": np.array(white), "phases": phases}
    for mass in MASSES:
        arrays |= {f"{key}_{mass:g}": np.array([point[f"{mass:g}"][key] for point in points]) for key in ("modes", "plus")}
    return out, arrays


def tails(values: list[float] | np.ndarray) -> dict[str, float]:
    """Median, 90th and 99th percentile and maximum, three digits."""
    return {str(p): float(f"{np.percentile(values, p):.3g}") for p in (50, 90, 99, 100)}


def figure(results: list[tuple[dict, dict[str, np.ndarray]]], path: Path) -> None:
    """Predicted against true errors of the held-out runs, one panel for each isolation; the share is of bounds calibrated on
    other runs."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with matplotlib.rc_context(style.RC):
        drawing, axes = plt.subplots(1, len(results), figsize=(4.2 * len(results), 3.8), layout="constrained", sharey=True)
        for ax, (result, points) in zip(np.atleast_1d(axes), results, strict=True):
            factor = calibration_factor(points["true"], points["expected"])
            bound = factor * points["expected"]
            ax.loglog(bound, points["true"], "o", ms=4, color=style.BLUE, alpha=0.7, mec="none")
            ends = np.array([0.7 * bound.min(), 1.4 * bound.max()])
            ax.loglog(ends, ends, color=style.BLACK, label="90 % bound")
            ax.loglog(ends, ends / factor, color=style.BLACK, ls="--", label="expected mismatch")
            ax.set(xlabel="predicted 90 % bound of the mismatch")
            share = result["error_estimate"]["share_below_predicted_90"]["mean"]
            ax.set_title(f"clusters {result['isolation']:g} apart: {share:.0%} below the bound")
            style.legend(ax, loc="upper left")
        np.atleast_1d(axes)[0].set_ylabel("true mismatch with the held-out run")
        drawing.savefig(path)
        plt.close(drawing)


def without_stages(tensors: dict[str, np.ndarray], *names: str) -> dict[str, np.ndarray]:
    """The tensors that do not belong to the stages named."""
    return {key: value for key, value in tensors.items() if not key.startswith(names)}


def digest(tensors: dict[str, np.ndarray]) -> str:
    """SHA-256 of the tensors of stages 1 and 2, of which all results here are: stage 3 is `aligned_accuracy.py`'s."""
    found = hashlib.sha256()
    for key, value in sorted(without_stages(tensors, "stage3").items()):
        found.update(key.encode() + np.ascontiguousarray(value, dtype=np.float64).tobytes())
    return found.hexdigest()


def earlier(stem: Path, card: dict[str, Any], tensors: dict[str, np.ndarray]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Results of the other parts, where they were measured on the same stages, and a fresh head."""
    result: dict[str, Any] = {
        "command": f"python benchmarks/surrogate_accuracy.py --nr NR_TABLE --unseen FOLDER --model {card['name']}",
        "model": {"name": card["name"], "stages_1_and_2_sha256": digest(tensors)},
        "versions": artifacts.package_versions("numpy", "scipy", "scikit-learn"),
    }
    if not stem.with_suffix(".json").exists():
        return result, {}
    old = json.loads(stem.with_suffix(".json").read_text())
    if old["model"] != result["model"]:
        return result, {}
    with np.load(stem.with_suffix(".npz")) as stored:
        return old | result, {key: stored[key] for key in stored}


def save(stem: Path, result: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write the results so far: numbers, and what the model card draws."""
    stem.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    small = {key: value.astype(np.float32) if value.dtype == np.float64 else value for key, value in arrays.items()}
    np.savez_compressed(stem.with_suffix(".npz"), **small)


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nr", type=Path, required=True)
    waveforms_of = parser.add_mutually_exclusive_group()
    waveforms_of.add_argument("--eob", type=Path, help="the training set: its validation fraction is used")
    waveforms_of.add_argument("--unseen", type=Path, help="a set of another seed: all of it is used")
    parser.add_argument("--model", default="nr22")
    parser.add_argument("--parts", nargs="+", choices=("eob", "sxs", "spec"), default=["eob", "sxs", "spec"])
    parser.add_argument("--points", type=int, help="at most so many points against SEOBNRv5HM (default: all)")
    parser.add_argument("--isolation", type=float, nargs="+", default=[1e-3, 1e-2])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    folder = arguments.unseen or arguments.eob
    if "eob" in arguments.parts and not folder:
        parser.error("the part eob needs --unseen FOLDER or --eob FOLDER")
    card, tensors = artifacts.load(arguments.model, "surrogate")
    tensors = {key: value.astype(np.float64) for key, value in without_stages(tensors, "stage3").items()}
    config = SurrogateConfig(**card["config"], eob=folder or Path(), nr=arguments.nr)
    stage_one = without_stages(tensors, "stage2")
    arguments.out.mkdir(parents=True, exist_ok=True)
    stem = arguments.out / f"surrogate_accuracy_{card['name']}"
    result, arrays = earlier(stem, card, tensors)
    runs, long_runs = stage2.load_runs(str(arguments.nr)), stage2.load_runs(str(arguments.nr), "spec_")
    with np.load(arguments.nr) as table:
        eob, long_eob = table["eob_h22"], table["spec_eob_h22"]
    if "eob" in arguments.parts:
        data = held_out.load(folder, config, unseen=arguments.unseen is not None)
        data = {key: value if key == "times" else value[: arguments.points] for key, value in data.items()}
        fewer = {key: value if key == "times" else value[:50] for key, value in data.items()}
        first = Surrogate(card, stage_one)
        summary, points = against_eob(data, first, config.seed)
        arrays |= {f"eob_{key}": value for key, value in points.items()}
        result["against_SEOBNRv5HM"] = {
            "how": f"unseen points inside the domain; white: t in [-{LENGTH:g}, 90] M, each mode over its own shifts in time and "
            f"phase; Msun: aLIGO design from {F_LOW:g} Hz, from {LENGTH:g} M before the peak; h_plus: over time and orbital phase, "
            f"reference phase at random; modes below {VANISHING:g} of their median size left out",
            "stage1": summary,
            "with_stage2": against_eob(fewer, Surrogate(card, tensors), config.seed)[0],
            "check_against_package": held_out.check(
                data, first, held_out.Band(-LENGTH, 110.0, 70.0, design_noise, F_LOW), design_noise, 70.0, F_LOW
            ),
        }
        save(stem, result, arrays)
    if "sxs" in arguments.parts:
        held_out_runs = [sxs(runs, eob, stage_one, config, isolation) for isolation in arguments.isolation]
        arrays |= {f"nr{i}_{key}": value for i, (_, points) in enumerate(held_out_runs) for key, value in points.items()}
        result["sxs"] = [part for part, _ in held_out_runs]
        figure(held_out_runs, stem.with_suffix(".png"))
        save(stem, result, arrays)
    if "spec" in arguments.parts:
        result["spec_leave_one_out"] = spec(runs, long_runs, long_eob, stage_one, config)
        save(stem, result, arrays)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
