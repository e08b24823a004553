"""Posteriors of precessing binaries with all modes, from nothing: GW150914 and simulated events.

    python benchmarks/precessing_posterior.py --strain FOLDER [--n 50000] [--draws 5000] [--injections 30] [--keep FOLDER]

`sample_event` under nrphm, 4 s from 20 to 1024 Hz, chirp masses 15 to 60, mass ratios from 1/4 on, isotropic spins below 0.8.
GW150914 from GWOSC's 32 s files in the folder, `--n` draws of it. Simulated events are drawn from the same prior, distances up to
`FARTHEST` in turn, in Gaussian noise of spectra drawn as for training, of H1 and L1 and of H1, L1 and V1 in turn. Which of them are
analysed the data alone decide: all in which the search finds a signal. Of each, `--draws` draws: sample efficiency, Pareto k,
evidence, what the exact likelihoods changed, CPU time (of the last start, where it was killed), and the rank of every true value,
whose uniformity is tested. The largest difference of 100 draws' likelihoods to bilby's is that of GW150914. Results are kept in a
folder one by one: the same command goes on from there. Writes benchmarks/results/precessing_posterior.json and .md.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import bilby
import numpy as np

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.binaries import PRECESSING
from gwsurrogate_ml.conventions import EXTRINSIC
from gwsurrogate_ml.errors import DomainError, DomainWarning
from gwsurrogate_ml.inference import SamplingOptions, sample_event
from gwsurrogate_ml.inference.calibration.coverage import pp_test
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import Injection, draw_injection
from gwsurrogate_ml.inference.prior.composition import ComposedPrior
from gwsurrogate_ml.inference.prior.masses import ChirpMass, MassRatio
from gwsurrogate_ml.inference.prior.spins import Isotropic
from gwsurrogate_ml.inference.result.draws import parameters_of
from gwsurrogate_ml.inference.result.result import Result
from gwsurrogate_ml.strain.segment import AnalysisSegment
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.waveform.model import Grid, WaveformModel

PRIOR = ComposedPrior((ChirpMass(15.0, 60.0), MassRatio(0.25, 1.0), Isotropic(0.8)), luminosity_distance=(10.0, 2000.0))
FARTHEST = (500.0, 1000.0, 2000.0, 4000.0)
"""Mpc, of simulated events in turn: loud ones as well as quiet ones."""
DETECTORS = (("H1", "L1"), ("H1", "L1", "V1"))
SHOWN = ("chirp_mass", "mass_ratio", "chi_eff", "chi_p", "theta_jn", "luminosity_distance")
CHECKED, FEWEST = 100, 20
"""Draws compared with bilby's likelihood; simulated events from which on ranks are shown."""
RESULTS = Path(__file__).parent / "results"


def gw150914(folder: Path) -> AnalysisSegment:
    """The segment of the event."""
    files = {name: folder / f"{name[0]}-{name}_LOSC_4_V2-1126259446-32.hdf5" for name in ("H1", "L1")}
    return gw.StrainData.from_files(files, gps=1126259462.4).segment(smooth=False)


def injection(number: int, model: WaveformModel) -> tuple[Injection, ComposedPrior]:
    """A simulated event, and the prior it is of."""
    prior = replace(PRIOR, luminosity_distance=(10.0, FARTHEST[number % len(FARTHEST)]))
    config = SegmentConfig(detectors=DETECTORS[number // len(FARTHEST) % len(DETECTORS)])
    return draw_injection(config, prior, model, np.random.default_rng([2015, number])), prior


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


def analysed(
    path: Path, segment: AnalysisSegment, prior: ComposedPrior, model: WaveformModel, n: int, options: SamplingOptions, seed: int
) -> Result:
    """The result, from its file where it is there."""
    if path.exists():
        return Result.load(path)
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DomainWarning)
        result = sample_event(segment, prior, model=model, n=n, seed=seed, options=options, checkpoint=path.with_suffix(".steps"))
    result = replace(result, meta=result.meta | {"cpu_seconds": time.process_time() - begin})
    result.save(path)
    return result


def row(name: str, result: Result) -> dict[str, Any]:
    """What is kept of one event."""
    exact = result.meta["rounds"][-1]
    return {
        "event": name,
        "detectors": list(result.meta["search"]["snr"]),
        "snr": float(np.linalg.norm(list(result.meta["search"]["snr"].values()))),
        "n": result.n_draws,
        "efficiency": result.sample_efficiency,
        "pareto_k": result.pareto_k,
        "log_bayes_factor": result.log_bayes_factor,
        "log_evidence_error": result.log_evidence_error,
        "extrinsic_ess": result.extrinsic_ess,
        "exact": {key: exact[key] for key in ("step_efficiency", "mean_change", "rms_change")},
        "cpu_seconds": result.meta["cpu_seconds"],
        "seconds": result.seconds,
        "flags": result.flags,
    }


def simulated(number: int, model: WaveformModel, keep: Path, n: int, pilot: int) -> dict[str, Any]:
    """One simulated event; `skipped` where the search finds no signal, `failed` where the analysis gives up."""
    kept = keep / f"simulated-{number}-{n}-{pilot}-{model.identity['version']}.json"
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text())
        return found
    event, prior = injection(number, model)
    name = f"simulated {number}"
    begin = {"event": name, "optimal_snr": event.snr, "truth": event.parameters}
    try:
        # Times are drawn from the prior: it stays where it is.
        options = SamplingOptions(pilot=pilot, on_edge="warn", centre_time=False)
        result = analysed(kept.with_suffix(".hdf5"), event.segment, prior, model, n, options, number)
    except DomainError as error:
        out = begin | {"skipped" if str(error).startswith("no signal") else "failed": str(error)}
    else:
        posterior = result.posterior
        rank = {key: float(np.mean(posterior[key] < event.parameters[key])) for key in (*PRECESSING.names, *EXTRINSIC)}
        out = begin | row(name, result) | {"rank": rank}
    kept.write_text(json.dumps(out) + "\n")
    return out


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Efficiency, k and coverage over the simulated events that were analysed."""
    ran = [r for r in rows if "rank" in r]
    efficiency, k = (np.array([r[key] for r in ran]) for key in ("efficiency", "pareto_k"))
    flags = Counter(flag.partition(":")[0] for r in ran for flag in r["flags"])
    return {
        "analysed": len(ran),
        "skipped": sum("skipped" in r for r in rows),
        "failed": [r["failed"] for r in rows if "failed" in r],
        "efficiency": dict(zip(("5 %", "50 %", "95 %"), np.percentile(efficiency, [5, 50, 95]).tolist(), strict=True)),
        "k below 0.7": float(np.mean(k < 0.7)),
        "cpu_seconds": float(np.median([r["cpu_seconds"] for r in ran])),
        "flags": dict(flags),
        "coverage": pp_test(ran),
    }


def tables(report: dict[str, Any]) -> str:
    """The page's tables."""
    event, rest = report["event"], report["summary"]
    lines = [
        "| event | SNR of the search | draws | efficiency | k | log Bayes factor | exact: efficiency, rms | CPU s | off bilby |",
        "|" + " --- |" * 9,
        f"| {event['event']} | {event['snr']:.1f} | {event['n']:,} | {event['efficiency']:.1%} | {event['pareto_k']:.2f} | "
        f"{event['log_bayes_factor']:.2f} ± {event['log_evidence_error']:.3f} | {event['exact']['step_efficiency']:.0%}, "
        f"{event['exact']['rms_change']:.2f} | {event['cpu_seconds']:.0f} | {event['bilby_difference']:.0e} |",
        "",
        "| " + " | ".join(SHOWN) + " |",
        "|" + " --- |" * len(SHOWN),
        "| " + " | ".join("{1:.3g} ({0:.3g} to {2:.3g})".format(*event["posterior"][key]) for key in SHOWN) + " |",
    ]
    if not rest:
        return "\n".join(lines) + "\n"
    efficiency, flags = rest["efficiency"], ", ".join(f"{name} {count}" for name, count in rest["flags"].items()) or "none"
    lines += [
        "",
        f"{rest['analysed']} simulated events in which the search found a signal ({rest['skipped']} more held none that it found, "
        f"{len(rest['failed'])} were given up), {report['draws']:,} draws each: efficiency {efficiency['50 %']:.0%} in the median, "
        f"{efficiency['5 %']:.0%} and {efficiency['95 %']:.0%} at 5 and 95 %; k below 0.7 for {rest['k below 0.7']:.0%}; "
        f"{rest['cpu_seconds']:.0f} s of CPU time each (median). Flags: {flags}.",
    ]
    if rest["analysed"] < FEWEST:
        return "\n".join(lines) + "\n"
    lines += [
        "",
        "| parameter | p of uniform ranks | inside the central 50 % | 90 % |",
        "|" + " --- |" * 4,
    ]
    for name, test in rest["coverage"].items():
        lines.append(f"| {name} | {test['ks_p']:.3f} | {test['inside_50']:.0%} | {test['inside_90']:.0%} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Analyse, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strain", type=Path, required=True)
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--pilot", type=int, default=4096)
    parser.add_argument("--draws", type=int, default=5000)
    parser.add_argument("--injections", type=int, default=30)
    parser.add_argument("--keep", type=Path, default=Path("out/precessing_posterior"))
    args = parser.parse_args()
    args.keep.mkdir(parents=True, exist_ok=True)
    model = load_model("nrphm")
    rows = []
    for number in range(args.injections):
        rows.append(simulated(number, model, args.keep, args.draws, args.pilot // 2))
        shown = ("event", "snr", "efficiency", "pareto_k", "cpu_seconds", "flags", "skipped", "failed")
        print({key: rows[-1][key] for key in shown if key in rows[-1]}, flush=True)
    segment = gw150914(args.strain)
    options = SamplingOptions(pilot=args.pilot, on_edge="warn")
    path = args.keep / f"GW150914-{args.n}-{args.pilot}-{model.identity['version']}.hdf5"
    result = analysed(path, segment, PRIOR, model, args.n, options, 1)
    event = row("GW150914", result) | {
        "bilby_difference": difference(result, segment, model),
        "posterior": result.posterior[list(SHOWN)].quantile([0.05, 0.5, 0.95]).to_dict("list"),
    }
    report = {
        "command": f"python benchmarks/precessing_posterior.py --strain FOLDER --n {args.n} --pilot {args.pilot} "
        f"--draws {args.draws} --injections {args.injections}",
        "model": model.identity,
        "prior": PRIOR.record(1126259462.4)["bilby_prior"],
        "draws": args.draws,
        "versions": artifacts.package_versions("numpy", "numba", "torch", "bilby"),
        "event": event,
        "summary": summary(rows) if rows else {},
        "simulated": rows,
    }
    (RESULTS / "precessing_posterior.json").write_text(json.dumps(report, indent=1) + "\n")
    (RESULTS / "precessing_posterior.md").write_text(tables(report))
    print(tables(report))


if __name__ == "__main__":
    main()
