"""Posteriors of binaries with a blip near the merger in real noise: the glitch ignored, and integrated.

    python benchmarks/glitch.py --data FOLDER [--events 40] [--draws 1200] [--seed 21]

FOLDER is the shared data: its strain files give noise off the events, as in benchmarks/flags.py, its table of O3's glitches the
blips: shape and signal-to-noise ratio (8 to 100) of a random row, a random phase, 0 to 200 ms before the merger in H1. Binaries
come from the estimator's prior with a network signal-to-noise ratio of 8 to 40. Each is analysed without the blip, with it, and
with it and ``glitch="H1"``; every fourth also with ``glitch="H1"`` where there is none. Shift: of the median against the
analysis without the blip, over its standard deviation. Writes benchmarks/results/glitch.json and glitch.md, and goes on from them.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from flags import estimator, stretches, with_binary

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import component_masses
from gwsurrogate_ml.errors import GwsmlError
from gwsurrogate_ml.inference.calibration.campaign import QUICK
from gwsurrogate_ml.inference.likelihood.detectors import earth_direction
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.nuisances.glitch_prior import unit_strain
from gwsurrogate_ml.inference.result.glitches import column, summary
from gwsurrogate_ml.strain.segment import AnalysisSegment

COMPARED = ("chirp_mass", "chi_eff", "luminosity_distance")
BEFORE, SNR = 0.2, (8.0, 100.0)
OPTIONS = replace(QUICK, n_sets=2, pilot=400)
WAYS = {"clean": "no blip", "ignored": "blip, ignored", "integrated": "blip, integrated", "none there": "no blip, integrated"}


def blip(
    segment: AnalysisSegment, binary: dict[str, float], rows: pd.DataFrame, rng: np.random.Generator
) -> tuple[np.ndarray, dict]:
    """A blip's strain (n_f,) in the first detector, and what it is."""
    likelihood = SegmentLikelihood(segment, estimator().model)
    row = rows.iloc[int(rng.integers(len(rows)))]
    where = (np.array([binary[name]]) for name in ("ra", "dec", "geocent_time"))
    merger = binary["geocent_time"] + float(likelihood.network.delays(earth_direction(*where))[0, 0])
    before = float(rng.uniform(0, BEFORE))
    shape = np.log(np.array([[row["f0"], row["gbw"]]]))
    strain = unit_strain(likelihood, 0, shape, np.array([merger - before - segment.start_time]))[0]
    about = {"snr": float(row["snr"]), "before": before, "time": merger - before, "f0": float(row["f0"]), "gbw": float(row["gbw"])}
    return float(row["snr"]) * np.exp(2j * np.pi * rng.random()) * strain, about


def analyse(segment: AnalysisSegment, truth: dict[str, float], draws: int, seed: int, **options: Any) -> dict[str, Any]:
    """What the estimator says of a segment."""
    begin = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = estimator().sample(segment, n=draws, seed=seed, options=OPTIONS, **options)
        except GwsmlError as error:
            return {"refused": str(error)}
    columns = {name: result.posterior[name].to_numpy() for name in COMPARED}
    out = {
        "median": {name: float(np.median(x)) for name, x in columns.items()},
        "sigma": {name: float(np.std(x)) for name, x in columns.items()},
        "rank": {name: float(np.mean(x < truth[name])) for name, x in columns.items()},
        "efficiency": result.sample_efficiency,
        "effective": result.sample_efficiency * result.n_draws,
        "pareto_k": result.pareto_k,
        "flags": sorted({flag.partition(":")[0] for flag in result.flags}),
        "cpu_seconds": time.process_time() - begin,
    }
    if options:
        out["glitch"] = summary(result)["H1"] | {"runs": len(result.meta["glitch"]["drawn_from"])}
        out["snrs"] = np.quantile(result.posterior[column("H1", "snr")], np.linspace(0.05, 0.95, 19)).tolist()
    return out


def event(number: int, place: tuple[str, float], rows: pd.DataFrame, arguments: argparse.Namespace) -> dict[str, Any]:
    """One binary and one blip in one stretch of noise."""
    rng = np.random.default_rng([arguments.seed, number, 1])
    segment, binary, snr = with_binary(place, number, arguments.seed, arguments.data / "strain")
    mass_1, mass_2 = component_masses(np.array([binary["chirp_mass"]]), np.array([binary["mass_ratio"]]))
    truth = binary | {"chi_eff": float((mass_1 * binary["chi_1"] + mass_2 * binary["chi_2"])[0] / (mass_1 + mass_2)[0])}
    strain, about = blip(segment, binary, rows, rng)
    spoiled = replace(segment, strain=segment.strain + np.stack([strain, np.zeros_like(strain)]))
    record = {"number": number, "where": place, "snr": snr, "truth": {name: truth[name] for name in COMPARED}, "blip": about}
    record["clean"] = analyse(segment, truth, arguments.draws, number)
    record["ignored"] = analyse(spoiled, truth, arguments.draws, number)
    record["integrated"] = analyse(spoiled, truth, arguments.draws, number, glitch="H1")
    if number % 4 == 0:
        record["none there"] = analyse(segment, truth, arguments.draws, number, glitch="H1")
    return record


def table(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each way: refusals, shifts, the share of truths inside 90 % intervals, efficiency."""
    out: dict[str, Any] = {}
    for way in WAYS:
        asked = [r for r in records if way in r]
        done = [r for r in asked if "median" in r[way] and "median" in r["clean"]]
        if not done:
            continue
        out[way] = {
            "events": len(asked),
            "refused": len(asked) - sum("median" in r[way] for r in asked),
            "inside_90": {name: float(np.mean([0.05 <= r[way]["rank"][name] <= 0.95 for r in done])) for name in COMPARED},
            "shift": {
                name: np.quantile(
                    [abs(r[way]["median"][name] - r["clean"]["median"][name]) / r["clean"]["sigma"][name] for r in done],
                    (0.5, 0.9, 1.0),
                ).tolist()
                for name in COMPARED
            },
            "width": {
                name: float(np.median([r[way]["sigma"][name] / r["clean"]["sigma"][name] for r in done])) for name in COMPARED
            },
            "efficiency": np.quantile([r[way]["efficiency"] for r in done], (0.0, 0.1, 0.5)).tolist(),
            "poor_k": float(np.mean([r[way]["pareto_k"] > 0.7 for r in done])),
            "cpu_seconds": float(np.median([r[way]["cpu_seconds"] for r in done])),
        }
        if way in ("integrated", "none there"):
            out[way]["found"] = float(np.mean([r[way]["glitch"]["log_bayes_factor"] > 0 for r in done]))
            out[way]["log_bayes_factor"] = np.quantile(
                [r[way]["glitch"]["log_bayes_factor"] for r in done], (0.0, 0.5, 1.0)
            ).tolist()
        if way == "integrated":
            out[way]["snr_inside_90"] = float(np.mean([r[way]["snrs"][0] <= r["blip"]["snr"] <= r[way]["snrs"][-1] for r in done]))
    return out


def markdown(found: dict[str, Any], records: list[dict[str, Any]]) -> str:
    """The tables."""
    loud, spoiled = (
        [f"{f(r):.0f}" for f in (min, max)] for r in ([x["snr"] for x in records], [x["blip"]["snr"] for x in records])
    )
    lines = [
        f"{len(records)} binaries, network SNR {' to '.join(loud)}; blips of SNR {' to '.join(spoiled)} in H1, 0 to 200 ms "
        "before the merger.",
        "",
        "| data and analysis | events | refused | "
        + " | ".join(f"{name}: truth inside 90 %; shift median, 90th percentile, worst" for name in COMPARED)
        + " | efficiency: worst, 10th percentile, median | CPU s |",
        "| --- " * (5 + len(COMPARED)) + "|",
    ]
    for way, r in found.items():
        cells = []
        for name in COMPARED:
            shift = "" if way == "clean" else "; " + ", ".join(f"{x:.2f}" for x in r["shift"][name])
            cells.append(f"{r['inside_90'][name]:.0%}{shift}")
        efficiency = ", ".join(f"{x:.0%}" for x in r["efficiency"])
        lines.append(
            f"| {WAYS[way]} | {r['events']} | {r['refused']} | " + " | ".join(cells) + f" | {efficiency} | {r['cpu_seconds']:.0f} |"
        )
    for way in ("integrated", "none there"):
        if way in found:
            low, middle, high = found[way]["log_bayes_factor"]
            lines += [
                "",
                f"{WAYS[way].capitalize()}: log Bayes factor of a glitch above zero in {found[way]['found']:.0%}; least {low:.1f}, "
                f"median {middle:.1f}, largest {high:.1f}.",
            ]
    if "integrated" in found:
        lines[-3 if "none there" in found else -1] += (
            f" Its true SNR lies inside 90 % in {found['integrated']['snr_inside_90']:.0%}."
        )
    return "\n".join(lines)


def main() -> None:
    """Inject, analyse, count, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--events", type=int, default=40)
    parser.add_argument("--draws", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=21)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()

    rows = pd.read_csv(arguments.data / "glitches/antiglitch_o3.csv")
    rows = rows[(rows["ml_label"] == "Blip") & rows["ifo"].isin(["H1", "L1"]) & rows["snr"].between(*SNR) & (rows["f0"] > 8)]
    places = stretches(arguments.data / "strain")
    order = np.random.default_rng(arguments.seed).permutation(len(places))
    stem, same = arguments.out / "glitch", f"--draws {arguments.draws} --seed {arguments.seed}"
    records: list[dict[str, Any]] = []
    if stem.with_suffix(".json").exists():
        kept = json.loads(stem.with_suffix(".json").read_text())
        records = kept["events"] if same in kept["command"] else []
    for number in range(len(records), arguments.events):
        records.append(event(number, places[order[number]], rows, arguments))
        found = table(records)
        head = {
            "command": f"python benchmarks/glitch.py --data DATA --events {len(records)} {same}",
            "estimator": estimator().info["name"],
            "weights_sha256": estimator().info["weights_sha256"],
            "versions": artifacts.package_versions("numpy", "torch"),
            "summary": found,
        }
        stem.with_suffix(".json").write_text(json.dumps({**head, "events": records}, indent=1) + "\n")
        stem.with_suffix(".md").write_text(markdown(found, records) + "\n")
        print(f"{number + 1} of {arguments.events}", flush=True)
    print(stem.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
