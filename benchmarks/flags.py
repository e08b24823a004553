"""How often each flag is raised where nothing is wrong, and how many planted faults it finds, in real noise.

    python benchmarks/flags.py --data FOLDER [--injections 200] [--planted 30] [--draws 2000] [--seed 5] [--processes 2]

FOLDER holds the strain files of shared data's `strain`. Stretches of 4 s, overlapping by half, are taken from the files with H1
and L1, away from the events and from the eighth of each file at its ends that is tapered in most. Flags of the data and of their
spectra are counted on all; on binaries drawn from the estimator's prior (network signal-to-noise ratio 8 to 40) added to them,
those of the whole analysis; then one fault at a time is planted with the binary. Writes benchmarks/results/flags.json and
flags.md, and goes on from them.
"""

from __future__ import annotations

import argparse
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from events import load

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import PARAMETERS
from gwsurrogate_ml.errors import GwsmlError
from gwsurrogate_ml.inference.analysis.conclude import require_strain
from gwsurrogate_ml.inference.analysis.preflight import spectrum_flags
from gwsurrogate_ml.inference.calibration.campaign import QUICK
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import search
from gwsurrogate_ml.strain.segment import AnalysisSegment

FILES = (
    "GW150914", "GW170608", "GW190421_213856", "GW190503_185404", "GW190512_180714", "GW190513_205428", "GW190527_092055",
    "GW190720_000836", "GW190731_140936", "GW190929_012149", "GW191103_012549", "GW191204_171526", "GW191222_033537",
    "GW200208_130117",
)  # fmt: skip
STEP, AWAY, END = 2.0, 4.5, 0.125
"""Seconds between stretches and from an event; share of a file at each end that is left out."""
SNR = (8.0, 40.0)
NEAR = 0.15
"""Share of a prior's range from its end within which a truth is near it."""
OPTIONS = replace(QUICK, refine_below=0.3, centre_time=True)


@cache
def estimator() -> Any:
    """The shipped estimator, once a process."""
    import torch

    torch.set_num_threads(1)
    return gw.load_estimator()


@cache
def data_of(name: str, folder: Path) -> gw.StrainData:
    """H1 and L1 of a file."""
    data = load(name, folder)
    return replace(data, series={d: data.series[d] for d in ("H1", "L1")})


def stretches(folder: Path) -> list[tuple[str, float]]:
    """File and middle (GPS s) of every stretch."""
    out = []
    for name in FILES:
        data = data_of(name, folder)
        start = float(data.series["H1"].t0.value)
        length = data.series["H1"].size / data.sampling_frequency
        for middle in np.arange(start + END * length + 2, start + (1 - END) * length - 2, STEP):
            if abs(middle - data.gps) > AWAY:
                out.append((name, float(middle)))
    return out


def cut(where: tuple[str, float], folder: Path) -> AnalysisSegment:
    """The segment as it is analysed."""
    name, middle = where
    return replace(data_of(name, folder), gps=middle).segment(extend=True)


def names(flags: list[str]) -> list[str]:
    """What the flags are called."""
    return sorted({text.partition(":")[0] for text in flags})


def of_noise(where: tuple[str, float], folder: Path) -> dict[str, Any]:
    """Flags of a stretch of noise, and of the spectra against it."""
    model, prior = estimator().model, estimator().prior
    try:
        segment = cut(where, folder)
        require_strain(segment)
        likelihood = SegmentLikelihood(segment, model)
        found = search(likelihood, prior, estimator()._reference, estimator()._band, 0)
        flags = [*segment.flags, *spectrum_flags(likelihood, found)]
    except GwsmlError as error:
        return {"where": where, "refused": str(error)}
    return {"where": where, "flags": names(flags), "said": flags, "snr": found.network_snr}


def with_binary(where: tuple[str, float], number: int, seed: int, folder: Path) -> tuple[AnalysisSegment, dict[str, float], float]:
    """A stretch with a binary of the prior, its parameters, and its signal-to-noise ratio."""
    import bilby

    rng = np.random.default_rng([seed, number])
    bilby.core.utils.random.seed(int(rng.integers(2**31)))
    segment = cut(where, folder)
    likelihood = SegmentLikelihood(segment, estimator().model)
    prior = estimator().prior.to_bilby(segment.gps)
    while True:
        table = prior.sample(64)
        table["geocent_time"] = segment.gps + 0.4 * (table["geocent_time"] - segment.gps)
        signals = likelihood.signals(table)
        snr = np.sqrt(np.sum(np.abs(signals) ** 2 * likelihood.weight, axis=(1, 2)))
        good = np.flatnonzero((snr > SNR[0]) & (snr < SNR[1]))
        if len(good):
            i = int(good[0])
            binary = {name: float(table[name][i]) for name in PARAMETERS}
            return replace(segment, strain=segment.strain + signals[i]), binary, float(snr[i])


def burst(segment: AnalysisSegment, at: float, frequency: float, q: float, snr: float) -> AnalysisSegment:
    """A sine-Gaussian in the first detector, `at` s from the segment's start."""
    f, psd = segment.frequencies, segment.psd[0]
    tau = q / (np.sqrt(2.0) * np.pi * frequency)
    h = np.exp(-((np.pi * tau * (f - frequency)) ** 2) - 2j * np.pi * f * at)
    usable = segment.mask & np.isfinite(psd)
    h *= snr / np.sqrt(4 / segment.duration * np.sum((np.abs(h) ** 2 / psd)[usable]))
    strain = segment.strain.copy()
    strain[0] += h
    return replace(segment, strain=strain)


Fault = Callable[[AnalysisSegment, dict[str, float]], AnalysisSegment]
"""What is planted: with the flag that should tell, or "refused"."""
FAULTS: dict[str, tuple[str, Fault]] = {
    "glitch of SNR 20, 1 s before": (
        "glitch",
        lambda s, b: burst(s, b["geocent_time"] - s.start_time - 1.0, 80.0, 8.0, 20.0),
    ),
    "glitch of SNR 200, 1 s before": (
        "glitch",
        lambda s, b: burst(s, b["geocent_time"] - s.start_time - 1.0, 80.0, 8.0, 200.0),
    ),
    "glitch of SNR 20, 0.05 s before": (
        "poor residual",
        lambda s, b: burst(s, b["geocent_time"] - s.start_time - 0.05, 80.0, 8.0, 20.0),
    ),
    "spectrum 4 times too small": ("refused", lambda s, b: replace(s, psd=s.psd / 4)),
    "spectrum 2 times too small": ("spectrum unlike the noise", lambda s, b: replace(s, psd=s.psd / 2)),
    "spectrum 2 times too large": ("spectrum unlike the noise", lambda s, b: replace(s, psd=2 * s.psd)),
    "strain and spectrum in metres": (
        "refused",
        lambda s, b: replace(s, strain=4000 * s.strain, psd=4000**2 * s.psd),
    ),
    "time 0.3 s late": ("time moved", lambda s, b: replace(s, gps=s.gps + 0.3)),
}


def analysed(segment: AnalysisSegment, draws: int, seed: int) -> dict[str, Any]:
    """What the analysis says of a segment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = estimator().sample(segment, n=draws, seed=seed, options=OPTIONS)
        except GwsmlError as error:
            return {"refused": str(error)}
    return {
        "flags": names(result.flags),
        "said": result.flags,
        "efficiency": result.sample_efficiency,
        "pareto_k": result.pareto_k,
        "residual_p": result.meta["checks"]["residual"]["p_value"],
    }


def of_injection(task: tuple[int, tuple[str, float], str | None], draws: int, seed: int, folder: Path) -> dict[str, Any]:
    """One binary in one stretch, with a fault or without."""
    number, where, fault = task
    segment, binary, snr = with_binary(where, number, seed, folder)
    if fault is not None:
        segment = FAULTS[fault][1](segment, binary)
    return {"number": number, "where": where, "fault": fault, "snr": snr, "truth": binary} | analysed(segment, draws, number)


def called(record: dict[str, Any]) -> list[str]:
    """Flags of a record by name; what the prior does cut off, as the truth lies near that end, by a name of its own."""
    bounds = {name: (float(p.minimum), float(p.maximum)) for name, p in estimator().prior.to_bilby(0.0).items()}
    out = set()
    for text in record.get("said", record["flags"]):
        name = text.partition(":")[0]
        if cut := re.search(r"^cut off.* of (\w+) lie at the end of its prior, ([-\d.e+]+):", text):
            low, high = bounds[cut[1]]
            if cut[1] != "geocent_time" and abs(record["truth"][cut[1]] - float(cut[2])) < NEAR * (high - low):
                name += ", with the truth near that end"
        out.add(name)
    return sorted(out)


def rates(records: list[dict[str, Any]]) -> dict[str, float]:
    """Share of the records with each flag, of those that were refused, and of those with any of it."""
    count = Counter(name for r in records for name in (["refused"] if "refused" in r else called(r)))
    any_ = sum(1 for r in records if "refused" in r or r["flags"])
    return {name: n / len(records) for name, n in sorted(count.items())} | {"any": any_ / len(records)}


def found(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each planted fault: the share that its own flag found, and that anything did, refusals included."""
    out = {}
    for fault, (flag, _) in FAULTS.items():
        mine = [r for r in records if r["fault"] == fault]
        if mine:
            told = [("refused" in r) if flag == "refused" else flag in r.get("flags", []) for r in mine]
            out[fault] = {
                "flag": flag,
                "by its flag": float(np.mean(told)),
                "by anything": float(np.mean(["refused" in r or bool(r["flags"]) for r in mine])),
                "n": len(mine),
            }
    return out


def markdown(noise: dict[str, float], binaries: dict[str, float], planted: dict[str, dict[str, Any]], n: tuple[int, int]) -> str:
    """The tables."""
    lines = [f"| flag | {n[0]} stretches of noise | {n[1]} binaries in them |", "| --- | --- | --- |"]
    for name in sorted(set(noise) | set(binaries), key=lambda x: (x == "any", x)):
        lines.append(f"| {name} | {noise.get(name, 0.0):.1%} | {binaries.get(name, 0.0):.1%} |")
    lines += ["", "| planted fault | flag | found by it | by anything |", "| --- | --- | --- | --- |"]
    for fault, r in planted.items():
        lines.append(f"| {fault} | {r['flag']} | {r['by its flag']:.0%} of {r['n']} | {r['by anything']:.0%} |")
    return "\n".join(lines)


def main() -> None:
    """Noise, binaries, faults; count and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--injections", type=int, default=200)
    parser.add_argument("--planted", type=int, default=30)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()

    places = stretches(arguments.data)
    order = np.random.default_rng(arguments.seed).permutation(len(places))
    tasks: list[tuple[int, tuple[str, float], str | None]] = [
        (i, places[order[i % len(places)]], None) for i in range(arguments.injections)
    ]
    tasks += [(i, places[order[i]], fault) for fault in FAULTS for i in range(arguments.planted)]
    inject = partial(of_injection, draws=arguments.draws, seed=arguments.seed, folder=arguments.data)
    noise, done = before(arguments)
    left = [task for task in tasks if (task[0], task[2]) not in done]
    with ProcessPoolExecutor(arguments.processes) as pool:
        noise = noise or list(pool.map(partial(of_noise, folder=arguments.data), places, chunksize=8))
        for record in pool.map(inject, left):
            done[record["number"], record["fault"]] = record
            if len(done) % 10 == 0 or len(done) >= len(tasks):
                write(arguments, noise, [done[i, fault] for i, _, fault in tasks if (i, fault) in done])
                print(f"{len(done)} of {len(tasks)} binaries", flush=True)
    print((arguments.out / "flags.md").read_text())


def before(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[tuple[int, str | None], dict[str, Any]]]:
    """Records of an earlier run with the same draws and seed, from which this one goes on."""
    path = arguments.out / "flags.json"
    if not path.exists():
        return [], {}
    kept = json.loads(path.read_text())
    if f"--draws {arguments.draws} --seed {arguments.seed}" not in kept["command"]:
        return [], {}
    return kept["noise"], {(r["number"], r["fault"]): r for r in kept["binaries"]}


def write(arguments: argparse.Namespace, noise: list[dict[str, Any]], records: list[dict[str, Any]]) -> None:
    """The tables of what is done, and the records, without the parameters of the binaries."""
    clean = [r for r in records if r["fault"] is None]
    table = rates(noise), rates(clean), found(records)
    head = {
        "command": f"python benchmarks/flags.py --data DATA --injections {arguments.injections} --planted {arguments.planted} "
        f"--draws {arguments.draws} --seed {arguments.seed}",
        "estimator": estimator().info["name"],
        "weights_sha256": estimator().info["weights_sha256"],
        "versions": artifacts.package_versions("numpy", "torch"),
        "rates in noise": table[0],
        "rates with binaries": table[1],
        "planted": table[2],
    }
    stem = arguments.out / "flags"
    stem.with_suffix(".json").write_text(json.dumps({**head, "noise": noise, "binaries": records}, indent=1) + "\n")
    stem.with_suffix(".md").write_text(markdown(*table, (len(noise), len(clean))) + "\n")


if __name__ == "__main__":
    main()
