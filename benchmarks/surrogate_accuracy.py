"""Accuracy of the surrogate against numerical relativity and SEOBNRv5HM, on runs that training did not see.

    python benchmarks/surrogate_accuracy.py --nr NR_TABLE [--eob FOLDER] [--model nr22] [--out benchmarks/results]

Stage 1 (trained on SEOBNRv5HM alone) is taken from the model; stage 2 is fitted anew without the runs under test:
1. SXS aligned and non-spinning runs, 8 folds by parameter cluster, white noise, t in [-395, 90] M. Clusters join runs closer
   than `--isolation` in eta and both spins (exchange counted), so that a near-duplicate never sits on the other side.
2. SpEC non-spinning runs (-2750 M), leave one out over the 20 interior ones, aLIGO design from 15 Hz at 70, 120, 200 Msun; SXS
   runs of the same cluster are left out with it.
3. The shipped model against SEOBNRv5HM waveforms of the validation fraction that stage 1 never saw, over its whole length.
Beside each mismatch stands the amplitude error, which mismatch is blind to.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.stats import spearmanr

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.surrogate import stage1, stage2
from gwsurrogate_ml.surrogate.config import SurrogateConfig
from gwsurrogate_ml.surrogate.uncertainty import coverage
from gwsurrogate_ml.surrogate.validation import clusters, cross_validate, percentiles, waveforms
from gwsurrogate_ml.waveform.compare import psd_mismatch, white_mismatch


def sxs(
    runs: stage2.Runs, eob: np.ndarray, tensors: dict[str, np.ndarray], config: SurrogateConfig, isolation: float
) -> dict:
    """Eight-fold cross-validation over the SpEC-code runs of the table, beside SEOBNRv5HM on the same runs."""
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
    return {
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
        "worst": [
            [str(names[i]), *np.round(parameters[i], 3).tolist(), float(ours[i]), float(theirs[i])] for i in worst
        ],
    }


def spec(
    runs: stage2.Runs, long_runs: stage2.Runs, eob: np.ndarray, tensors: dict[str, np.ndarray], config: SurrogateConfig
) -> dict:
    """Leave-one-out over the interior non-spinning runs, beside SEOBNRv5HM and a cubic spline in log q through the others."""
    import pycbc.psd

    frequencies = np.arange(0.0, 4096.0, 0.25)
    psd = pycbc.psd.aLIGOZeroDetHighPower(len(frequencies), 0.25, 5.0).numpy()
    psd[psd == 0] = np.inf
    order = np.argsort(long_runs.parameters[:, 0])[1:-1]
    result: dict[str, dict] = {
        f"{mass}": {"surrogate": [], "SEOBNRv5HM": [], "spline_log_q": []} for mass in (70, 120, 200)
    }
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
                row[key].append(
                    float(psd_mismatch(long_runs.t, long_runs.h22[i], candidate, float(mass), frequencies, psd, 15.0))
                )
    return {
        mass: {key: percentiles(np.array(values)) for key, values in row.items()} | {"n": len(order)}
        for mass, row in result.items()
    }


def against_eob(folder: Path, stage_one: dict[str, np.ndarray], config: SurrogateConfig) -> dict:
    """Validation waveforms of the EOB set: white-noise mismatch and phase error over the model's length."""
    data = stage1.load_eob(folder)
    held = np.random.default_rng(config.seed).random(len(data["parameters"])) < config.validation_fraction
    inside = (data["parameters"][:, 0] <= config.q_max) & (np.abs(data["parameters"][:, 1:]) <= config.chi_max).all(1)
    rows = np.flatnonzero(held & inside)[:300]
    out: dict[str, dict] = {"n": len(rows)}
    for start in (-10_000.0, -1_000.0):
        t = np.arange(start - 20, 110.0, 0.5)
        h1 = waveforms(stage_one, config.degree, data["parameters"][rows], t)
        mismatch = []
        for i, h in zip(rows, h1, strict=True):
            a = CubicSpline(data["times"], data["amp22"][i])(t)
            p = CubicSpline(data["times"], data["phase22"][i])(t)
            mismatch.append(white_mismatch(t, a * np.exp(-1j * p), h, (start, 90.0)))
        out[f"white, t in [{start:g}, 90] M"] = percentiles(np.array(mismatch))
    return out


def main() -> None:
    """Run, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nr", type=Path, required=True)
    parser.add_argument("--eob", type=Path)
    parser.add_argument("--model", default="nr22")
    parser.add_argument("--isolation", type=float, nargs="+", default=[1e-3, 1e-2])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    card, tensors = artifacts.load(arguments.model, "surrogate")
    tensors = {key: value.astype(np.float64) for key, value in tensors.items()}
    config = SurrogateConfig(**card["config"], eob=arguments.eob or Path(), nr=arguments.nr)
    stage_one = {key: value for key, value in tensors.items() if not key.startswith("stage2")}
    runs, long_runs = stage2.load_runs(str(arguments.nr)), stage2.load_runs(str(arguments.nr), "spec_")
    with np.load(arguments.nr) as table:
        eob, long_eob = table["eob_h22"], table["spec_eob_h22"]
    result: dict[str, object] = {
        "command": f"python benchmarks/surrogate_accuracy.py --nr NR_TABLE --eob FOLDER --model {card['name']}",
        "model": {"name": card["name"], "weights_sha256": card["weights_sha256"]},
        "versions": artifacts.package_versions("numpy", "scipy", "scikit-learn"),
        "sxs": [sxs(runs, eob, stage_one, config, isolation) for isolation in arguments.isolation],
        "spec_leave_one_out": spec(runs, long_runs, long_eob, stage_one, config),
    }
    if arguments.eob:
        result["eob_validation"] = against_eob(arguments.eob, stage_one, config)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "surrogate_accuracy.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
