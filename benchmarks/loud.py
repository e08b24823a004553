"""How the estimator does from faint to very loud: simulated signals of network signal-to-noise ratio 8 to 1000, truth known.

    python benchmarks/loud.py [--estimator bbh-h1l1] [--draws 10000] [--seed 5] [--anew]

Binaries are drawn from the estimator's prior, chirp masses of 20 to 45 solar masses (lighter ones begin under the segment's
window, posteriors of quiet heavier ones reach the prior's end), at the distance that gives the wanted optimal network
signal-to-noise ratio, in noise of advanced LIGO's design; noise spectra are measured from the 64 s around the signal. Every
event is analysed twice, with different seeds. Reported are efficiency and Pareto-k, the log Bayes factor of both, the largest
difference between the log likelihood of completed draws and its value recomputed from the strain (`SegmentLikelihood`), and the
quantile of the truth in the posterior. Writes benchmarks/results/loud.json and loud.md; goes on from what they hold of the same
estimator, draws and seed, unless `--anew`.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import INTRINSIC, PARAMETERS, effective_spin
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.strain.segment import AnalysisSegment
from gwsurrogate_ml.strain.simulate import GPS, simulate

SNRS = np.geomspace(8.0, 1000.0, 12)
CHIRP_MASS, NEAREST = (20.0, 45.0), 1.2
"""Solar masses; the least distance of a truth, in units of the prior's nearest."""
LENGTH, RECOMPUTED = 64.0, 400
TOLD = ("chirp_mass", "mass_ratio", "chi_eff", "luminosity_distance")


def segment_of(parameters: dict[str, float], estimator: Any, seed: int) -> AnalysisSegment:
    """The signal in noise, cut as the estimator was trained."""
    config = estimator.config.segment
    data = simulate(parameters, estimator.model, config.detectors, duration=LENGTH, gps=GPS, seed=seed)
    return data.segment(duration=config.duration, f_min=config.f_min, f_max=config.f_max)


def draw(estimator: Any, snr: float, seed: int) -> tuple[dict[str, float], AnalysisSegment]:
    """A binary of the prior at the distance that gives `snr`, and its segment."""
    prior, rng = estimator.prior, np.random.default_rng(seed)
    near, far = prior.luminosity_distance
    while True:
        theta = prior.sample_intrinsic(1, rng)[0]
        angles = {name: rng.uniform(0, top * np.pi) for name, top in (("phase", 2), ("psi", 1), ("ra", 2))}
        tilted = {"theta_jn": np.arccos(rng.uniform(-1, 1)), "dec": np.arcsin(rng.uniform(-1, 1))}
        parameters = {name: float(x) for name, x in (dict(zip(INTRINSIC, theta, strict=True)) | angles | tilted).items()}
        parameters |= {"luminosity_distance": 1000.0, "geocent_time": GPS + float(rng.uniform(-0.05, 0.05))}
        if not CHIRP_MASS[0] <= parameters["chirp_mass"] <= CHIRP_MASS[1]:
            continue
        likelihood = SegmentLikelihood(segment_of(parameters, estimator, seed), estimator.model)
        signal = likelihood.signals({name: np.array([x]) for name, x in parameters.items()})[0]
        parameters["luminosity_distance"] *= float(np.sqrt(np.sum(likelihood.weight * np.abs(signal) ** 2))) / snr
        if NEAREST * near < parameters["luminosity_distance"] < far:
            return parameters, segment_of(parameters, estimator, seed)


def difference(result: Any, likelihood: SegmentLikelihood) -> float:
    """Largest difference of the draws' log likelihood ratio from that of the strain itself."""
    table = result.posterior.iloc[:RECOMPUTED]
    worst = 0.0
    for start in range(0, len(table), 50):
        rows = table.iloc[start : start + 50]
        exact = likelihood.log_likelihood_ratio({name: rows[name].to_numpy() for name in PARAMETERS})
        worst = max(worst, float(np.abs(exact - rows["log_likelihood_ratio"].to_numpy()).max()))
    return worst


def analyse(estimator: Any, snr: float, draws: int, seed: int) -> dict[str, Any]:
    """One event, analysed with two seeds."""
    truth, segment = draw(estimator, snr, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begin = time.perf_counter()
        one = estimator.sample(segment, n=draws, seed=seed)
        seconds = time.perf_counter() - begin
        other = estimator.sample(segment, n=draws, seed=seed + 1)
    true = truth | {"chi_eff": float(effective_spin(1 / truth["mass_ratio"], truth["chi_1"], truth["chi_2"]))}
    return {
        "snr": float(snr),
        "truth": true,
        "efficiency": one.sample_efficiency,
        "pareto_k": one.pareto_k,
        "log_bayes_factor": one.log_bayes_factor,
        "log_bayes_factor_error": one.log_evidence_error,
        "second_seed": {
            "efficiency": other.sample_efficiency,
            "pareto_k": other.pareto_k,
            "log_bayes_factor": other.log_bayes_factor,
            "log_bayes_factor_error": other.log_evidence_error,
        },
        "log_likelihood_difference": difference(one, SegmentLikelihood(segment, estimator.model)),
        "quantile": {name: float(np.mean(one.posterior[name] < true[name])) for name in TOLD},
        "sigma": {name: float(np.std(one.posterior[name])) for name in TOLD},
        "seconds": seconds,
        "flags": list(one.flags),
    }


def markdown(records: list[dict[str, Any]]) -> str:
    """The table."""
    lines = [
        "| SNR | efficiency | Pareto k | log Bayes factor | second seed | log likelihood off by | truth's quantile: "
        + " | ".join(TOLD)
        + " | s |",
        "| ---: " * (7 + len(TOLD)) + "|",
    ]
    for r in records:
        second = r["second_seed"]
        lines.append(
            f"| {r['snr']:.0f} | {r['efficiency']:.0%} | {r['pareto_k']:.2f} | {r['log_bayes_factor']:.3f} ± "
            f"{r['log_bayes_factor_error']:.3f} | {second['log_bayes_factor'] - r['log_bayes_factor']:+.3f} ± "
            f"{second['log_bayes_factor_error']:.3f} | {r['log_likelihood_difference']:.4f} | "
            + " | ".join(f"{r['quantile'][name]:.2f}" for name in TOLD)
            + f" | {r['seconds']:.0f} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--estimator", default="bbh-h1l1")
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--anew", action="store_true")
    args = parser.parse_args()
    estimator = gw.load_estimator(args.estimator)
    folder, records = Path(__file__).parent / "results", []
    if not args.anew and (folder / "loud.json").exists():
        kept = json.loads((folder / "loud.json").read_text(encoding="utf-8"))
        if all(kept[name] == getattr(args, name) for name in ("estimator", "draws", "seed")):
            records = kept["events"]
    for i, snr in list(enumerate(SNRS))[len(records) :]:
        records.append(analyse(estimator, snr, args.draws, args.seed + 100 * i))
        print(markdown(records[-1:]).splitlines()[-1], flush=True)
        content = {
            "estimator": args.estimator,
            "draws": args.draws,
            "seed": args.seed,
            "versions": artifacts.package_versions("numpy", "scipy", "torch", "zuko"),
            "events": records,
        }
        (folder / "loud.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        (folder / "loud.md").write_text(markdown(records), encoding="utf-8")


if __name__ == "__main__":
    main()
