"""What the estimator does with data that are not as assumed: efficiency, bias, and the flag raised.

    python benchmarks/robustness.py [--estimator bbh-h1l1] [--events 12] [--draws 4000] [--seed 3]

Simulated signals of network signal-to-noise ratio 10 to 25, drawn from the estimator's prior in noise of its ensemble of PSDs, are
analysed as they are and with one fault at a time:
- the PSD given is 20 % too large, or 20 % too small;
- a glitch (sine-Gaussian, 80 Hz, Q = 8, signal-to-noise ratio 20) in the first detector 1 s before the merger, or 0.05 s before it;
- a calibration error of the first detector of 5 % in amplitude and 5 degrees in phase.
Bias is the shift of a parameter's median against the analysis without the fault, over the standard deviation there. Writes
benchmarks/results/robustness.json and robustness.md.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import GwsmlError
from gwsurrogate_ml.inference.calibration.campaign import QUICK
from gwsurrogate_ml.inference.likelihood.injections import draw_injection
from gwsurrogate_ml.strain.segment import AnalysisSegment

COMPARED = ("chirp_mass", "mass_ratio", "chi_eff", "luminosity_distance")
SNR = (10.0, 25.0)
GLITCH_FREQUENCY, GLITCH_Q, GLITCH_SNR = 80.0, 8.0, 20.0


def with_psd(factor: float) -> Callable[[AnalysisSegment, float], AnalysisSegment]:
    """The same data with a PSD wrong by `factor`."""
    return lambda segment, arrival: replace(segment, psd=factor * segment.psd)


def with_glitch(before: float) -> Callable[[AnalysisSegment, float], AnalysisSegment]:
    """A sine-Gaussian in the first detector, `before` seconds before the merger."""

    def add(segment: AnalysisSegment, arrival: float) -> AnalysisSegment:
        f, psd = segment.frequencies, segment.psd[0]
        tau = GLITCH_Q / (np.sqrt(2.0) * np.pi * GLITCH_FREQUENCY)
        h = np.exp(-((np.pi * tau * (f - GLITCH_FREQUENCY)) ** 2)) * np.exp(-2j * np.pi * f * (arrival - before))
        power = 4 / segment.duration * np.sum((np.abs(h) ** 2 / psd)[segment.mask & np.isfinite(psd)])
        strain = segment.strain.copy()
        strain[0] += np.where(segment.mask, h, 0.0) * GLITCH_SNR / np.sqrt(power)
        return replace(segment, strain=strain)

    return add


def with_calibration(segment: AnalysisSegment, arrival: float) -> AnalysisSegment:
    """The first detector's strain 5 % too large and turned by 5 degrees."""
    strain = segment.strain.copy()
    strain[0] *= 1.05 * np.exp(1j * np.radians(5.0))
    return replace(segment, strain=strain)


FAULTS: dict[str, Callable[[AnalysisSegment, float], AnalysisSegment]] = {
    "none": lambda segment, arrival: segment,
    "PSD 20 % too large": with_psd(1.2),
    "PSD 20 % too small": with_psd(0.8),
    "glitch 1 s before": with_glitch(1.0),
    "glitch 0.05 s before": with_glitch(0.05),
    "calibration 5 %, 5 deg": with_calibration,
}


def analyse(estimator: Any, segment: AnalysisSegment, draws: int, seed: int) -> dict[str, Any]:
    """What the estimator says of a segment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = estimator.sample(segment, n=draws, seed=seed, options=QUICK)
        except GwsmlError as error:
            return {"refused": str(error)}
    columns = {name: result.posterior[name].to_numpy() for name in COMPARED}
    return {
        "efficiency": result.sample_efficiency,
        "pareto_k": result.pareto_k,
        "flags": list(result.flags),
        "median": {name: float(np.median(x)) for name, x in columns.items()},
        "sigma": {name: float(np.std(x)) for name, x in columns.items()},
    }


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Each fault's medians over the events."""
    out: dict[str, Any] = {}
    for fault in FAULTS:
        pairs = [(r["none"], r[fault]) for r in records if "median" in r["none"]]
        done = [(a, b) for a, b in pairs if "median" in b]
        bias = {name: np.array([(b["median"][name] - a["median"][name]) / a["sigma"][name] for a, b in done]) for name in COMPARED}
        out[fault] = {
            "events": len(pairs),
            "refused": len(pairs) - len(done),
            "efficiency_median": float(np.median([b["efficiency"] for _, b in done])),
            "efficiency_worst": float(np.min([b["efficiency"] for _, b in done])),
            "bias_median_abs": {name: float(np.median(np.abs(x))) for name, x in bias.items()},
            "bias_worst": {name: float(np.max(np.abs(x))) for name, x in bias.items()},
            "width_ratio": {name: float(np.median([b["sigma"][name] / a["sigma"][name] for a, b in done])) for name in COMPARED},
            "flagged": sum(bool(b["flags"]) for _, b in done),
        }
    return out


def markdown(table: dict[str, Any]) -> str:
    """The table."""
    lines = [
        "| fault | efficiency: median, worst | flagged or refused | bias in sigma, median (worst): "
        + " | ".join(COMPARED)
        + " | width of chirp mass |",
        "| --- " * (4 + len(COMPARED)) + "|",
    ]
    for fault, r in table.items():
        flagged = f"{r['flagged'] + r['refused']} of {r['events']}"
        bias = " | ".join(f"{r['bias_median_abs'][name]:.2f} ({r['bias_worst'][name]:.2f})" for name in COMPARED)
        lines.append(
            f"| {fault} | {r['efficiency_median']:.0%}, {r['efficiency_worst']:.0%} | {flagged} | "
            f"{bias} | {r['width_ratio']['chirp_mass']:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Simulate, spoil, analyse, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--estimator", default="bbh-h1l1")
    parser.add_argument("--events", type=int, default=12)
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    estimator = gw.load_estimator(arguments.estimator)
    records: list[dict[str, Any]] = []
    number = 0
    while len(records) < arguments.events:
        number += 1
        injection = draw_injection(
            estimator.config.segment, estimator.prior, estimator.model, np.random.default_rng([arguments.seed, number])
        )
        if not SNR[0] <= injection.snr <= SNR[1]:
            continue
        arrival = injection.parameters["geocent_time"] - injection.segment.start_time
        record: dict[str, Any] = {"number": number, "snr": injection.snr, "truth": injection.parameters}
        for fault, spoil in FAULTS.items():
            record[fault] = analyse(estimator, spoil(injection.segment, arrival), arguments.draws, number)
        records.append(record)
        print(f"{len(records)} of {arguments.events}", flush=True)
    table = summary(records)
    head = {
        "command": f"python benchmarks/robustness.py --events {arguments.events} --draws {arguments.draws} --seed {arguments.seed}",
        "estimator": estimator.info["name"],
        "weights_sha256": estimator.info["weights_sha256"],
        "versions": artifacts.package_versions("numpy", "torch"),
    }
    stem = arguments.out / "robustness"
    stem.with_suffix(".json").write_text(json.dumps({**head, "summary": table, "events": records}, indent=1) + "\n")
    stem.with_suffix(".md").write_text(markdown(table) + "\n")
    print(markdown(table))


if __name__ == "__main__":
    main()
