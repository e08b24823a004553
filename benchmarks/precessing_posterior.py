"""Posteriors of precessing binaries with all modes, from nothing: GW150914 and simulated events.

    python benchmarks/precessing_posterior.py --strain FOLDER [--model nrphm] [--n 20000] [--pilot 4096] [--injections 5]

`sample_event` under the model, H1 and L1, 4 s from 20 to 1024 Hz. GW150914 from GWOSC's 32 s files in the folder; simulated
binaries are drawn from the same prior (chirp mass 25 to 37, mass ratio from 1/2 on, isotropic spins below 0.8), kept where
their optimal signal-to-noise ratio is between 12 and 30, in Gaussian noise of spectra drawn as for training. Of each: sample
efficiency, Pareto k, evidence, what the exact likelihoods changed, the waveforms that were made, the CPU time, the quantile of each
true value, and the largest difference of 50 draws' likelihoods to bilby's. Results are kept in a folder one by one: the same
command goes on from there. Writes benchmarks/results/precessing_posterior.json and .md.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import bilby
import numpy as np

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.inference import SamplingOptions, sample_event
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import draw_injection
from gwsurrogate_ml.inference.prior.composition import ComposedPrior
from gwsurrogate_ml.inference.prior.masses import ChirpMass, MassRatio
from gwsurrogate_ml.inference.prior.spins import Isotropic
from gwsurrogate_ml.inference.result.draws import derived, parameters_of
from gwsurrogate_ml.inference.result.result import Result
from gwsurrogate_ml.strain.segment import AnalysisSegment
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.waveform.model import Grid, WaveformModel

PRIOR = ComposedPrior((ChirpMass(25.0, 37.0), MassRatio(0.5, 1.0), Isotropic(0.8)), luminosity_distance=(10.0, 2000.0))
QUIETEST, LOUDEST = 12.0, 30.0
SHOWN = ("chirp_mass", "mass_ratio", "chi_eff", "chi_p", "theta_jn", "luminosity_distance")
CHECKED = 50
RESULTS = Path(__file__).parent / "results"


def gw150914(folder: Path) -> AnalysisSegment:
    """The segment of the event."""
    files = {name: folder / f"{name[0]}-{name}_LOSC_4_V2-1126259446-32.hdf5" for name in ("H1", "L1")}
    return gw.StrainData.from_files(files, gps=1126259462.4).segment()


def injection(number: int, model: WaveformModel) -> tuple[AnalysisSegment, dict[str, float]]:
    """A simulated event and its parameters."""
    rng = np.random.default_rng([2015, number])
    while True:
        drawn = draw_injection(SegmentConfig(), PRIOR, model, rng)
        if QUIETEST < drawn.snr < LOUDEST:
            return drawn.segment, drawn.parameters


def difference(result: Result, segment: AnalysisSegment, model: WaveformModel) -> float:
    """Largest difference of the log likelihood of posterior draws to bilby's."""
    grid = Grid(segment.duration, 2 * float(segment.frequencies[-1]), segment.f_min)

    def source(
        frequencies, chirp_mass, mass_ratio, a_1, a_2, tilt_1, tilt_2, phi_12, phi_jl, luminosity_distance, theta_jn, phase, **rest
    ):
        p = {name: value for name, value in locals().items() if name not in ("frequencies", "rest", "model", "grid")}
        place = (np.array([p[name]]) for name in ("theta_jn", "phase", "luminosity_distance"))
        plus, cross = model.transforms(model.space.binaries(model.space.theta(p)), grid, *place)[0]
        return {"plus": plus, "cross": cross}

    interferometers = segment.to_bilby()
    generator = bilby.gw.WaveformGenerator(
        duration=segment.duration,
        sampling_frequency=interferometers.sampling_frequency,
        frequency_domain_source_model=source,
        parameter_conversion=lambda p: (p, []),
    )
    theirs = bilby.gw.GravitationalWaveTransient(interferometers, generator)
    rows = result.posterior.iloc[:CHECKED]
    names = list(parameters_of(rows))
    found = [theirs.log_likelihood_ratio({name: float(row[name]) for name in names}) for _, row in rows.iterrows()]
    return float(np.abs(np.array(found) - rows["log_likelihood_ratio"]).max())


def analysed(name: str, segment: AnalysisSegment, model: WaveformModel, args: argparse.Namespace) -> Result:
    """The result, from the folder where it is there."""
    path = args.keep / f"{model.name.replace(':', '_')}-{name}.hdf5"
    if path.exists():
        return Result.load(path)
    begin = time.process_time()
    options = SamplingOptions(pilot=args.pilot, on_edge="warn")
    steps = args.keep / f"{path.stem}.steps"
    result = sample_event(segment, PRIOR, model=model, n=args.n, seed=1, options=options, checkpoint=steps)
    result = replace(result, meta=result.meta | {"cpu_seconds": time.process_time() - begin})
    result.save(path)
    return result


def row(
    name: str, result: Result, segment: AnalysisSegment, model: WaveformModel, truth: dict[str, float] | None
) -> dict[str, Any]:
    """What is kept of one event."""
    *rounds, last = result.meta["rounds"]
    rounds = [entry for entry in rounds if entry["proposal"] != "thinned"]
    pilot = result.meta["options"]["pilot"]
    out: dict[str, Any] = {
        "event": name,
        "snr": float(result.posterior["network_snr"].median()),
        "n": result.n_draws,
        "pilot": pilot,
        "rounds": len(rounds),
        "waveforms": pilot * (len(rounds) + 1) + result.n_draws,
        "efficiency": result.sample_efficiency,
        "pareto_k": result.pareto_k,
        "log_bayes_factor": result.log_bayes_factor,
        "log_evidence_error": result.log_evidence_error,
        "extrinsic_ess": result.extrinsic_ess,
        "exact": {key: last[key] for key in ("step_efficiency", "mean_change", "rms_change")},
        "cpu_seconds": result.meta["cpu_seconds"],
        "bilby_difference": difference(result, segment, model),
        "flags": result.flags,
        "posterior": result.posterior[list(SHOWN)].quantile([0.05, 0.5, 0.95]).to_dict("list"),
    }
    if truth is not None:
        known = truth | {k: float(v[0]) for k, v in derived({k: np.array([v]) for k, v in truth.items()}).items()}
        out["truth"] = known
        out["quantile"] = {key: float(np.mean(result.posterior[key] < known[key])) for key in SHOWN}
    return out


def main() -> None:
    """Analyse, and write what came of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--strain", type=Path, required=True)
    parser.add_argument("--model", default="nrphm")
    parser.add_argument("--n", type=int, default=20_000)
    parser.add_argument("--pilot", type=int, default=4096)
    parser.add_argument("--injections", type=int, default=5)
    parser.add_argument("--keep", type=Path, default=Path("out/precessing_posterior"))
    args = parser.parse_args()
    args.keep.mkdir(parents=True, exist_ok=True)
    model = load_model(args.model)
    segment = gw150914(args.strain)
    rows = [row("GW150914", analysed("GW150914", segment, model, args), segment, model, None)]
    for number in range(args.injections):
        segment, truth = injection(number, model)
        name = f"simulated {number}"
        rows.append(row(name, analysed(f"simulated-{number}", segment, model, args), segment, model, truth))
    report = {
        "model": model.identity,
        "prior": PRIOR.record(1126259462.4)["bilby_prior"],
        "versions": artifacts.package_versions("numpy", "numba", "torch", "bilby"),
        "events": rows,
    }
    (RESULTS / "precessing_posterior.json").write_text(json.dumps(report, indent=1))
    head = [
        "event",
        "SNR",
        "draws",
        "efficiency",
        "Pareto k",
        "log Bayes factor",
        "exact: efficiency, rms",
        "CPU s",
        "off bilby",
        *SHOWN,
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for r in rows:
        cells = [
            r["event"], f"{r['snr']:.1f}", f"{r['n']:,}", f"{r['efficiency']:.1%}", f"{r['pareto_k']:.2f}",
            f"{r['log_bayes_factor']:.2f} ± {r['log_evidence_error']:.2f}",
            f"{r['exact']['step_efficiency']:.0%}, {r['exact']['rms_change']:.2f}", f"{r['cpu_seconds']:.0f}",
            f"{r['bilby_difference']:.4f}",
        ]  # fmt: skip
        for key in SHOWN:
            low, middle, high = r["posterior"][key]
            cells.append(f"{r['quantile'][key]:.2f}" if "quantile" in r else f"{middle:.3g} ({low:.3g} to {high:.3g})")
        lines.append("| " + " | ".join(cells) + " |")
    (RESULTS / "precessing_posterior.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
