"""Every event at hand through the estimator (or from scratch where it does not reach): one table, none silently bad.

    python benchmarks/events.py --data FOLDER [--draws 20000] [--estimator bbh-h1l1] [--estimator3 bbh-h1l1v1] [--only GW150914 ...]

FOLDER holds the strain files of shared data's `strain` (GWOSC's HDF5 files and the .npz files in the frequency domain). Events in
three detectors go through the three-detector network as well. Writes benchmarks/results/events.json and events.md.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gwpy.timeseries import TimeSeries

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import GwsmlError
from gwsurrogate_ml.inference import BinaryPrior, sample_event
from gwsurrogate_ml.inference.config import SegmentConfig


@dataclass(frozen=True)
class Event:
    """An event's files; for one beyond the networks' range, the prior and band it is sampled with from scratch."""

    name: str
    gps: float | None = None
    files: str | None = None
    scratch: tuple[BinaryPrior, SegmentConfig] | None = None


EVENTS = (
    Event("GW150914", 1126259462.4, "{letter}-{detector}_LOSC_4_V2-1126259446-32.hdf5"),
    Event("LVT151012", 1128678900.44, "{letter}-{detector}_LOSC_4_V2-1128678884-32.hdf5"),
    Event(
        "GW170608",
        scratch=(
            BinaryPrior(chirp_mass=(7.7, 10.0), luminosity_distance=(10.0, 1500.0)),
            SegmentConfig(f_min=35.0, f_max=500.0),
        ),
    ),
    Event("GW190503_185404"),
    Event("GW190512_180714"),
    # H1 was off: no network for L1 and V1 is shipped.
    Event(
        "GW190630_185205",
        scratch=(
            BinaryPrior(chirp_mass=(20.0, 45.0), luminosity_distance=(10.0, 4000.0)),
            SegmentConfig(detectors=("L1", "V1"), f_max=430.0),
        ),
    ),
    Event("GW191222_033537"),
)


def load(event: Event, folder: Path) -> gw.StrainData:
    """The event's strain in all detectors that the files hold."""
    if event.files is not None and event.gps is not None:
        paths = {d: folder / event.files.format(letter=d[0], detector=d) for d in ("H1", "L1")}
        return gw.StrainData.from_files(paths, gps=event.gps)
    with np.load(folder / f"{event.name}.npz") as stored:
        frequencies, strain = stored["frequencies"], stored["strain"]
        names = [f"{letter}1" for letter in str(stored["detector_names"])]
        gps = float(stored["tgps"])
        start = gps - float(stored["tcoarse"])
    rate = 2 * frequencies[-1]
    series = {
        name: TimeSeries(np.fft.irfft(row.astype(np.complex128)) * rate, t0=start, sample_rate=rate)
        for name, row in zip(names, strain, strict=True)
    }
    return gw.StrainData.from_series(series, gps=gps, name=event.name)


def row(name: str, how: str, call: Any) -> dict[str, Any]:
    """One line of the table: what the result says of itself, or the error."""
    cpu, wall = time.process_time(), time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = call()
        except GwsmlError as error:
            return {"event": name, "how": how, "error": str(error)}
    posterior = result.posterior
    return {
        "event": name,
        "how": how,
        "n_draws": result.n_draws,
        "efficiency": result.sample_efficiency,
        "pareto_k": result.pareto_k,
        "extrinsic_ess": result.extrinsic_ess,
        "log_bayes_factor": result.log_bayes_factor,
        "log_evidence_error": result.log_evidence_error,
        "rounds": len(result.meta["rounds"]),
        **{
            key: np.quantile(posterior[key], [0.05, 0.5, 0.95]).round(3).tolist()
            for key in ("chirp_mass", "mass_1_source", "mass_2_source", "chi_eff", "luminosity_distance")
        },
        "flags": list(result.flags),
        "cpu_seconds": time.process_time() - cpu,
        "wall_seconds": time.perf_counter() - wall,
    }


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table."""
    lines = [
        "| event | how | draws | efficiency | Pareto-k | log BF | chirp mass (90 %) | source masses | CPU s | flags |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        if "error" in r:
            lines.append(f"| {r['event']} | {r['how']} | refused: {r['error']} |" + " |" * 7)
            continue
        low, middle, high = r["chirp_mass"]
        flags = "; ".join(r["flags"]) or "none"
        lines.append(
            f"| {r['event']} | {r['how']} | {r['n_draws']:,} | {r['efficiency']:.0%} | {r['pareto_k']:.2f} | "
            f"{r['log_bayes_factor']:.2f} ± {r['log_evidence_error']:.3f} | {middle:.2f} ({low:.2f} to {high:.2f}) | "
            f"{r['mass_1_source'][1]:.1f} + {r['mass_2_source'][1]:.1f} | {r['cpu_seconds']:.0f} | {flags} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Analyse the events and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--estimator", default="bbh-h1l1")
    parser.add_argument("--estimator3", default="bbh-h1l1v1")
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    two = gw.load_estimator(arguments.estimator)
    three = gw.load_estimator(arguments.estimator3) if arguments.estimator3 in artifacts.available() else None
    rows: list[dict[str, Any]] = []
    stem = arguments.out / "events"
    for event in EVENTS:
        if arguments.only and event.name not in arguments.only:
            continue
        data = load(event, arguments.data)
        both = data
        if {"H1", "L1"} < set(data.detectors):
            both = gw.StrainData.from_series({d: data.series[d] for d in ("H1", "L1")}, gps=data.gps, name=data.name)
        jobs = [(two.info["name"], lambda d=both: two.sample(d, n=arguments.draws))]
        if event.scratch is not None:
            jobs.append(("from scratch", lambda d=data, e=event: sample_event(d, *e.scratch, n=arguments.draws)))
        elif three is not None and tuple(data.detectors) == three.config.segment.detectors:
            jobs.append((three.info["name"], lambda d=data: three.sample(d, n=arguments.draws)))
        for how, job in jobs:
            rows.append(row(event.name, how, job))
            print(json.dumps(rows[-1]), flush=True)
            head = {
                "command": "python benchmarks/events.py --data FOLDER",
                "versions": artifacts.package_versions("numpy", "torch"),
            }
            stem.with_suffix(".json").write_text(json.dumps({**head, "events": rows}, indent=1) + "\n")
            stem.with_suffix(".md").write_text(markdown(rows) + "\n")


if __name__ == "__main__":
    main()
