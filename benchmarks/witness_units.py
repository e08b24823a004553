"""Scattered light witnessed in metres, micrometres, counts, or in no unit at all: how much of it is subtracted, and what is not.

    python benchmarks/witness_units.py [--seeds 2] [--null-seeds 8] [--out benchmarks/results]

A mock of its own, with nothing of `denoise.witness.bench`: the microseism, a drift, and a suspension's swing move a surface by
several wavelengths; the strain gets K(t) sin(4 pi x / lambda + phi), in one variant with light reflected twice, linear couplings of
two fast channels, and Gaussian noise of a detector's curve. Other channels, fast and slow, witness nothing. The attainable gain is
the log of the ratio of the band's power before to after the truth is subtracted; all figures are of data after those of the fit. In
the nulls nothing couples: what is accepted all the same is counted, and the power held to that before. Writes witness_units.json
and .md.
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
from scipy.signal import welch

from gwsurrogate_ml.denoise.witness.channels import at_rate
from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner
from gwsurrogate_ml.strain.spectrum import load_psd

LASER = 1.064e-6
RATE = 512.0
START = 1262304018.0
BANDS = ((10.0, 50.0), (50.0, 75.0), (75.0, 200.0))
UNITS = {"m": 1.0, "um": 1e-6, "nm": 1e-9, "counts": 3.7e-8, "": 0.81e-6, "2.5 nm": 2.5e-9}


@dataclass(frozen=True)
class Setup:
    """One detector: what moves, what couples, and how the surface's position is recorded.

    Parameters
    ----------
    unit : of the position's channel, a key of UNITS (metres a unit)
    couples : whether light is scattered
    twice : light reflected twice, as a share of the light reflected once
    linear : whether two fast channels couple
    rate : Hz, at which the position is recorded
    loudness : ASD of the fringes over the noise's where they are strongest
    calibration : by which the channel differs from its unit
    lag : s, of the channel
    whole : positions are rounded to whole counts
    """

    unit: str = "m"
    couples: bool = True
    twice: float = 0.0
    linear: bool = True
    rate: float = RATE
    loudness: float = 6.0
    calibration: float = 1.0
    lag: float = 0.0
    whole: bool = False


@dataclass(frozen=True)
class Drawn:
    """Strain, its channels, and all that was added to the noise (n,)."""

    strain: TimeSeries
    witnesses: dict[str, TimeSeries]
    added: np.ndarray
    scattered: np.ndarray

    def part(self, first: float, last: float) -> Drawn:
        """From `first` to `last`, s."""
        span = slice(round(first * RATE), round(last * RATE))
        channels = {name: series[span] for name, series in self.witnesses.items()}
        return Drawn(self.strain[span], channels, self.added[span], self.scattered[span])


def coloured(psd: np.ndarray, rng: np.random.Generator, rate: float = RATE) -> np.ndarray:
    """Noise (n,) of a one-sided PSD (n // 2 + 1,)."""
    n = 2 * (psd.size - 1)
    white = np.fft.rfft(rng.normal(size=n))
    return np.asarray(np.fft.irfft(white * np.sqrt(psd * rate / 2.0), n))


def draw(setup: Setup, duration: float, seed: int, floor: str = "aLIGO_late_asd.txt") -> Drawn:
    """One realisation of `duration` (s)."""
    rng = np.random.default_rng([seed, 7])
    n = round(duration * RATE)
    f, t = np.fft.rfftfreq(n, 1 / RATE), np.arange(n) / RATE
    known_f, known = load_psd(floor)
    noise_psd = np.interp(np.maximum(f, 9.0), known_f, known)
    noise = coloured(noise_psd, rng)

    swell, width, size = rng.uniform(0.12, 0.25), rng.uniform(0.02, 0.05), rng.uniform(3.0, 12.0) * LASER
    shape = np.exp(-0.5 * ((f - swell) / width) ** 2)
    x = size * unit_rms(coloured(shape, rng))
    x += rng.uniform(1.0, 10.0) * LASER * np.sin(2 * np.pi * t / rng.uniform(200.0, 900.0) + rng.uniform(0, 6))
    swing = coloured(np.exp(-0.5 * ((f - rng.uniform(0.8, 1.6)) / 0.02) ** 2), rng)
    x += rng.uniform(0.0, 0.3) * LASER * unit_rms(swing)

    phase, phase_2 = rng.uniform(0, 2 * np.pi, 2)
    k = 4 * np.pi / LASER
    fringes = np.sin(k * x + phase) + setup.twice * np.sin(2 * k * x + phase_2)
    where, level = welch(fringes, RATE, nperseg=round(4 * RATE))
    inside = (where > 10) & (where < 100)
    ratio = np.sqrt(np.max(level[inside] / np.interp(where[inside], f, noise_psd)))
    drift = 1.0 + rng.uniform(0.0, 0.1) * np.sin(2 * np.pi * t / rng.uniform(300.0, 900.0) + rng.uniform(0, 6))
    scattered = setup.loudness / ratio * drift * fringes * setup.couples

    witnesses: dict[str, TimeSeries] = {}
    added = scattered.copy()
    for name, centre, width, factor in (("H1:PEM-ACC", 28.0, 8.0, 1.5), ("H1:PEM-MIC", 90.0, 20.0, 1.2)):
        source = coloured(1.0 / (1.0 + (f / 50.0) ** 2), rng)
        response = factor * np.exp(-0.5 * ((f - centre) / width) ** 2) * np.sqrt(noise_psd * (1.0 + (f / 50.0) ** 2))
        delay = np.exp(-2j * np.pi * f * rng.uniform(0.0, 0.01))
        if setup.linear:
            added += np.fft.irfft(np.fft.rfft(source) * response * delay, n)
        witnesses[name] = made(source + 0.05 * rng.normal(size=n), name, "m/s^2")

    seen = x * setup.calibration * rng.choice([-1.0, 1.0]) + rng.uniform(-200.0, 200.0) * LASER
    seen += rng.uniform(0.3, 1.5) * 1e-3 * LASER * rng.normal(size=n)  # a sensor of 0.02 to 0.1 nm in a root hertz
    recorded = np.interp(t - setup.lag, t, seen) / UNITS[setup.unit]
    witnesses["H1:STAGE"] = made(np.round(recorded) if setup.whole else recorded, "H1:STAGE", setup.unit, setup.rate)

    others = (
        ("H1:STS-X", 0.16, 4e-6, "um"),
        ("H1:TILT", 0.4, 20.0, "urad"),
        ("H1:TEMP", 0.02, 300.0, ""),
        ("H1:OPLEV", 0.9, 5e3, "counts"),
    )
    for name, centre, size, unit in others:
        slow = size * unit_rms(coloured(np.exp(-0.5 * ((f - centre) / (0.2 * centre)) ** 2), rng))
        series = (slow + 1e-4 * size * rng.normal(size=n)) / (UNITS[unit] if unit == "um" else 1.0)
        witnesses[name] = made(series, name, unit, setup.rate)
    witnesses["H1:MAG"] = made(coloured(1.0 / (1.0 + f), rng), "H1:MAG", "T")
    return Drawn(made(noise + added, "strain", ""), witnesses, added, scattered)


def unit_rms(x: np.ndarray) -> np.ndarray:
    return np.asarray(x / x.std())


def made(values: np.ndarray, name: str, unit: str, rate: float = RATE) -> TimeSeries:
    """A channel as recorded at `rate` and brought back to that of the strain."""
    series = TimeSeries(values, t0=START, sample_rate=RATE, name=name)
    series.override_unit(unit or None)
    return series if rate == RATE else at_rate(at_rate(series, rate), RATE)


def band_power(x: np.ndarray, band: tuple[float, float]) -> float:
    """Power of a series in a band, as it is."""
    f, psd = welch(x, RATE, nperseg=round(4 * RATE))
    return float(psd[(f >= band[0]) & (f <= band[1])].sum())


def gains(data: Drawn, clean: np.ndarray, use: np.ndarray) -> dict[str, dict[str, float]]:
    """Log of power before over after, reached and attainable, by band; the whole is the mean over frequencies of the log."""
    raw, truth = data.strain.value[use], (data.strain.value - data.added)[use]
    found = {}
    for band in ((10.0, 30.0), (30.0, 60.0), (10.0, 60.0), (10.0, 200.0)):
        before, after, best = (band_power(x, band) for x in (raw, clean[use], truth))
        found[f"{band[0]:g}-{band[1]:g} Hz"] = {"reached": np.log(before / after), "attainable": np.log(before / best)}
    spectra = [welch(x, RATE, nperseg=round(4 * RATE))[1] for x in (raw, clean[use], truth)]
    f = welch(raw, RATE, nperseg=round(4 * RATE))[0]
    inside = (f >= 10) & (f <= 100)
    logs = [float(np.mean(np.log(spectra[0][inside] / psd[inside]))) for psd in spectra[1:]]
    found["by frequency, 10-100 Hz"] = {"reached": logs[0], "attainable": logs[1]}
    return found


def judged(setup: Setup, seed: int, training: float = 512.0, held_out: float = 256.0) -> dict[str, Any]:
    """Fit, clean what comes after, and say what was reached of what is attainable."""
    data = draw(setup, training + held_out, seed)
    past, later = data.part(4.0, training), data.part(training, training + held_out - 4.0)
    begin = time.process_time()
    cleaner = WitnessCleaner.fit(past.strain, past.witnesses, BANDS)
    seconds = time.process_time() - begin
    frame = cleaner.apply(later.strain, later.witnesses)
    use = frame.subtracted if frame.subtracted.any() else np.ones(later.added.size, bool)
    records = cleaner.card["scattering"]
    return {
        "gains": gains(later, frame.strain, use),
        "found": [entry for record in records if record["channel"] == SURFACE for entry in record["found"]],
        "wrong": sum(entry["accepted"] for record in records if record["channel"] != SURFACE for entry in record["found"]),
        "slow_channels": len(records),
        "candidates": sum(len(record["found"]) for record in records),
        "subtracted": [band["subtracted"] for band in cleaner.card["bands"]],
        "fit_cpu_seconds": seconds,
    }


SURFACE = "H1:STAGE"
VARIANTS = {
    "metres": Setup("m"),
    "micrometres": Setup("um"),
    "counts": Setup("counts"),
    "no unit": Setup(""),
    "counts, recorded at 16 Hz": Setup("counts", rate=16.0),
    "micrometres at 64 Hz, 60 ms late": Setup("um", rate=64.0, lag=0.06),
    "micrometres, calibration off by 4 %": Setup("um", calibration=1.04),
    "whole counts of 37 nm": Setup("counts", whole=True),
    "micrometres, a fifth of the light reflected twice": Setup("um", twice=0.2),
    "counts, as much light reflected twice as once": Setup("counts", twice=1.0),
    "counts, faint: fringes twice the noise": Setup("counts", loudness=2.0),
    "counts, nothing else couples": Setup("counts", linear=False),
    "metres by its label, micrometres in truth": Setup("m", calibration=1e6),
}
NULL = Setup("counts", couples=False, linear=False)


def shares(results: list[dict[str, Any]], band: str) -> list[float]:
    """Reached over attainable log-gain of every seed."""
    return [float(r["gains"][band]["reached"] / r["gains"][band]["attainable"]) for r in results]


def table(report: dict[str, Any]) -> str:
    """The table of the documentation, in Markdown."""
    bands = ("10-60 Hz", "by frequency, 10-100 Hz")
    lines = [
        "| the surface's channel | seeds | attainable: power falls, 10 to 60 Hz | share of the log-gain reached, median (worst) | "
        "the same of the mean over 10 to 100 Hz | other channels accepted |",
        "|" + " --- |" * 6,
    ]
    for name, results in report["variants"].items():
        factor = np.median([np.exp(r["gains"][bands[0]]["attainable"]) for r in results])
        cells = [f"{np.median(found):.3f} ({min(found):.3f})" for found in (shares(results, band) for band in bands)]
        wrong, of = sum(r["wrong"] for r in results), sum(r["slow_channels"] - 1 for r in results)
        lines.append(f"| {name} | {len(results)} | {factor:.1f} times | {cells[0]} | {cells[1]} | {wrong} of {of} |")
    null = report["null"]
    lines += [
        "",
        f"Where nothing couples at all, {null['accepted']} of {null['channels']} slow channels were taken for a scatterer; "
        f"{null['candidates']} stood out and were judged on held-back data. {null['bands_subtracted']} of {null['bands']} bands "
        f"were subtracted from, and no band's power in the data after the fit changed by more than {null['largest_change']:.2%}.",
        f"{null['seeds']} seeds without coupling; {report['training_s']:g} s to fit, "
        f"{report['held_out_s']:g} s to judge; a fit takes {report['fit_cpu_seconds']:.0f} s of CPU time (median).",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--null-seeds", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    training, held_out = 256.0, 128.0
    nulls = [judged(NULL, 100_000 + seed, training, held_out) for seed in range(given.null_seeds)]
    null = {
        "seeds": given.null_seeds,
        "channels": sum(r["slow_channels"] for r in nulls),
        "candidates": sum(r["candidates"] for r in nulls),
        "accepted": sum(r["wrong"] + sum(entry["accepted"] for entry in r["found"]) for r in nulls),
        "bands": sum(len(r["subtracted"]) for r in nulls),
        "bands_subtracted": sum(sum(r["subtracted"]) for r in nulls),
        "largest_change": max((abs(1 - np.exp(-g["reached"])) for r in nulls for g in r["gains"].values()), default=0.0),
    }
    print(null, flush=True)
    variants: dict[str, list[dict[str, Any]]] = {name: [] for name in VARIANTS}
    given.out.mkdir(parents=True, exist_ok=True)
    for seed in range(given.seeds):
        for i, (name, setup) in enumerate(VARIANTS.items()):
            variants[name].append(judged(setup, 1000 * (i + 1) + seed, training, held_out))
            print(seed, name, [f"{share:.3f}" for share in shares(variants[name][-1:], "10-60 Hz")], flush=True)
            done = {key: results for key, results in variants.items() if results}
            seconds = float(np.median([r["fit_cpu_seconds"] for results in done.values() for r in results]))
            report = {"training_s": training, "held_out_s": held_out, "fit_cpu_seconds": seconds, "variants": done, "null": null}
            (given.out / "witness_units.json").write_text(json.dumps(report, indent=1) + "\n")
            (given.out / "witness_units.md").write_text(table(report), encoding="utf-8")
    print(table(report))


if __name__ == "__main__":
    main()
