"""Coverage of all parameters by a shipped estimator where calibration or waveform errors are in the data: integrated, and left out.

    python benchmarks/nuisances_estimator.py [--estimator bbh-h1l1] [--of calibration | waveform] [--error 0.2] [--events 100]

Signals of the estimator's prior in noise of its ensemble of spectra, those of an optimal network signal-to-noise ratio from 15 to
60 as their own waveform has it: a prior that is cut there, as the posteriors then are, so that ranks of the true values are uniform
if all is right. Each detector's calibration, or the waveform in all of them alike, is drawn from splines of 10 nodes with errors of
20 % and 20 degrees, or as `--error` says. Each event is analysed with these integrated (`Estimator.sample(calibration=...)`,
`waveform_error=`) and as if there were none. Writes benchmarks/results/nuisances_estimator.json and .md, or
nuisances_estimator_waveform, and goes on from them.
"""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import EXTRINSIC
from gwsurrogate_ml.errors import DomainWarning, GwsmlError
from gwsurrogate_ml.inference.calibration.campaign import THOROUGH
from gwsurrogate_ml.inference.calibration.coverage import pp_test
from gwsurrogate_ml.inference.likelihood.injections import GPS, random_psds, simulate_segment
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.nuisances.envelope import CalibrationEnvelope
from gwsurrogate_ml.inference.nuisances.prior import Nuisances
from gwsurrogate_ml.inference.result.draws import parameters_of

LOUD = 15.0, 60.0
WAYS = ("integrated", "left out")
FEWEST = 10
"""Events, at least, that are analysed, and after which results are written."""


def optimal(likelihood: SegmentLikelihood, table: Any) -> np.ndarray:
    """Network signal-to-noise ratios (N,) of signals as the waveform model has them."""
    return np.sqrt(np.sum(np.abs(likelihood.signals(table)) ** 2 * likelihood.weight, axis=(1, 2)))


def simulated(estimator: gw.Estimator, of: str, error: float, rng: np.random.Generator) -> tuple[dict[str, float], float, Any]:
    """True parameters, their signal-to-noise ratio, and data with an error in the signal."""
    import bilby

    config, model = estimator.config.segment, estimator.model
    bilby.core.utils.random.seed(int(rng.integers(2**31)))
    priors = estimator.prior.to_bilby(GPS)
    while True:
        psd = random_psds(config, rng)
        likelihood = SegmentLikelihood(simulate_segment(None, model, psd, config, None), model)
        table = priors.sample(256)
        snr = optimal(likelihood, table)
        if len(loud := np.flatnonzero((snr > LOUD[0]) & (snr < LOUD[1]))):
            break
    row = {name: float(table[name][loud[0]]) for name in (*model.space.names, *EXTRINSIC)}
    segment = simulate_segment(row, model, psd, config, rng)
    errors = nuisances(config, of, error)
    signal = likelihood.signals({name: np.array([value]) for name, value in row.items()})[0]
    factor = errors.factor(errors.draw(rng), likelihood.frequencies[likelihood.band])
    segment.strain[:, likelihood.band] += signal[:, likelihood.band] * (factor - 1)
    return row, float(snr[loud[0]]), segment


def widths(error: float) -> tuple[float, float]:
    """Standard deviations of amplitude, and of phase in rad: as many degrees as per cent."""
    return error, float(np.radians(100 * error))


def nuisances(config: Any, of: str, error: float) -> Nuisances:
    """The errors that are drawn."""
    band = config.f_min, config.f_max
    if of == "waveform":
        return Nuisances.of(config.detectors, band, waveform=(*widths(error), "drawn"))
    return Nuisances.of(config.detectors, band, {d: CalibrationEnvelope.constant(*widths(error)) for d in config.detectors})


def event(estimator: gw.Estimator, number: int, seed: int, draws: int, of: str, error: float) -> dict[str, Any]:
    """One signal, analysed both ways."""
    rng = np.random.default_rng([seed, number])
    truth, snr, segment = simulated(estimator, of, error, rng)
    likelihood = SegmentLikelihood(segment, estimator.model)
    detectors = estimator.config.segment.detectors
    given: dict[str, Any] = {"waveform_error": widths(error)}
    if of == "calibration":
        given = {"calibration": {d: CalibrationEnvelope.constant(*widths(error)) for d in detectors}}
    record: dict[str, Any] = {"event": number, "snr": snr}
    for way, errors in zip(WAYS, (given, {}), strict=True):
        try:
            result = estimator.sample(segment, n=draws, seed=number, options=replace(THOROUGH, max_posterior=draws), **errors)
        except GwsmlError as problem:
            record[way] = {"failed": str(problem)}
            continue
        posterior = result.posterior
        seen = optimal(likelihood, {name: posterior[name].to_numpy() for name in parameters_of(posterior)})
        inside = posterior[(seen > LOUD[0]) & (seen < LOUD[1])]
        record[way] = {
            "rank": {name: float(np.mean(inside[name] < truth[name])) for name in truth},
            "draws": len(inside),
            "efficiency": result.sample_efficiency,
            "pareto_k": result.pareto_k,
            "seconds": result.seconds,
        }
    return record


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """P-P tests of both ways."""
    out: dict[str, Any] = {"events": len(records), "snr": np.quantile([r["snr"] for r in records], (0.05, 0.5, 0.95)).tolist()}
    for way in WAYS:
        mine = [r[way] for r in records if r[way].get("draws", 0) > 0]
        if len(mine) >= FEWEST:
            out[way] = {
                "events": len(mine),
                "failed": len(records) - len(mine),
                "pp": pp_test(mine),
                "efficiency": np.quantile([r["efficiency"] for r in mine], (0.05, 0.5)).tolist(),
                "heavy": float(np.mean([r["pareto_k"] > 0.7 for r in mine])),
            }
    return out


def markdown(found: dict[str, Any], error: float) -> str:
    """The table."""
    ways = [way for way in WAYS if way in found]
    counts = ", ".join(f"{found[way]['events']} {way} ({found[way]['failed']} failed)" for way in ways)
    lines = [f"Errors of {error:.0%} and {100 * error:.0f} degrees; events: {counts}; network SNR 5 %, 50 %, 95 %: "]
    lines[0] += ", ".join(f"{x:.0f}" for x in found["snr"]) + "."
    lines += ["", "| parameter | " + " | ".join(f"{way}: p, truth inside 50 %, 90 %" for way in ways) + " |", "| --- " * 3 + "|"]
    for name in found[ways[0]]["pp"]:
        cells = [found[way]["pp"][name] for way in ways]
        lines.append(
            f"| {name} | " + " | ".join(f"{c['ks_p']:.2g}, {c['inside_50']:.0%}, {c['inside_90']:.0%}" for c in cells) + " |"
        )
    for label, of in (
        ("efficiency, 5 % and 50 %", lambda x: "{:.0%}, {:.0%}".format(*x["efficiency"])),
        ("Pareto k above 0.7", lambda x: f"{x['heavy']:.0%}"),
    ):
        lines.append(f"| {label} | " + " | ".join(of(found[way]) for way in ways) + " |")
    return "\n".join(lines)


def main() -> None:
    """Simulate, analyse, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--estimator", default="bbh-h1l1")
    parser.add_argument("--of", choices=("calibration", "waveform"), default="calibration")
    parser.add_argument("--error", type=float, default=0.2, help="of amplitudes; phases have as many degrees as this has per cent")
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--draws", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", DomainWarning)
    estimator = gw.load_estimator(arguments.estimator)
    stem = arguments.out / ("nuisances_estimator" + ("_waveform" if arguments.of == "waveform" else ""))
    settings = {name: getattr(arguments, name) for name in ("estimator", "of", "error", "draws", "seed")}
    records: list[dict[str, Any]] = []
    if stem.with_suffix(".json").exists():
        kept = json.loads(stem.with_suffix(".json").read_text())
        if kept["settings"] == settings:
            records = kept["events"]
    for number in range(len(records), max(arguments.events, FEWEST)):
        records.append(event(estimator, number, arguments.seed, arguments.draws, arguments.of, arguments.error))
        if len(records) % FEWEST and len(records) < arguments.events:
            continue
        found = summary(records)
        content = {
            "command": f"python benchmarks/nuisances_estimator.py --events {len(records)} "
            + " ".join(f"--{name} {value}" for name, value in settings.items()),
            "settings": settings,
            "versions": artifacts.package_versions("numpy", "scipy", "numba", "torch"),
            "summary": found,
            "events": records,
        }
        stem.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
        stem.with_suffix(".md").write_text(markdown(found, arguments.error) + "\n")
        print(f"{len(records)} of {arguments.events}", flush=True)
    print(stem.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
