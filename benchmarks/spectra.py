"""Noise spectra from little data: scatter smoothed away or not, on real noise, in posteriors of real events, over simulated ones.

    python benchmarks/spectra.py --strain FOLDER --psd FOLDER [--events 60]

Real noise: 128 s of each detector of six events. A spectrum is measured from 6, 12 and 28 half-overlapping stretches of 4 s around
the event and judged by the other stretches: mean log likelihood per frequency, weighed as a binary's signal is (f^(-7/3) / S below
300 Hz, S the median of the other stretches), each spectrum at its best scale; and the excess of the score's variance, E[x^2] over
E[x]^2 less 1, x = S / spectrum, less that of the other stretches' own scatter. Real events: the same six from all their 128 s and
from the 32 s about them; how far medians lie from those of 128 s, smoothed, in standard deviations, and how wide intervals are
beside them. Simulated events: `--events` of the prior of bbh-h1l1 in 32 s of noise of O4's spectra (o4_h1_asd.txt, o4_l1_asd.txt in
the second folder), these given, measured, measured and smoothed: how often the truth lies in the central 50 and 90 %, all
parameters together, with the standard error over events. Signal-to-noise ratios of GW150914 in GWOSC's 32 s, beside those under
GWTC-1's spectra (GWTC1_GW150914_PSD_H1.dat, _L1.dat in the second folder). Half an hour of CPU. Writes
benchmarks/results/spectra.json and .md.
"""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import bilby
import numpy as np
from gwpy.timeseries import TimeSeries

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import PARAMETERS
from gwsurrogate_ml.errors import DomainError, DomainWarning
from gwsurrogate_ml.inference import sample_event
from gwsurrogate_ml.inference.analysis.choice import choose
from gwsurrogate_ml.inference.calibration.campaign import QUICK
from gwsurrogate_ml.inference.likelihood.injections import GPS, simulate_segment
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import search
from gwsurrogate_ml.inference.prior.binary import of_file
from gwsurrogate_ml.kernels.psd import median_bias
from gwsurrogate_ml.strain.scatter import excess_sharpness, inverse_bias, overlap_correlation
from gwsurrogate_ml.strain.simulate import simulate
from gwsurrogate_ml.strain.smooth import smoothed
from gwsurrogate_ml.strain.spectrum import load_psd, psd_on_grid, tapered
from gwsurrogate_ml.surrogate.load import load_model

EVENTS = ("GW150914", "GW170608", "GW190527_092055", "GW190630_185205", "GW190731_140936", "GW190910_112807")
LENGTH, AWAY, EDGE = 4.0, 2.0, 4.0
"""Seconds of a stretch, kept away from the event, and left out at the ends of the data."""
COUNTS, BAND, LIGHT = (6, 12, 28), (22.0, 430.0), 300.0
DRAWS, LONG, SHORT = 6000, 128.0, 32.0
QUIETEST = 8.0
SHOWN = ("chirp_mass", "chi_eff", "luminosity_distance")
RESULTS = Path(__file__).parent / "results"


def stretches(x: np.ndarray, rate: float, window: np.ndarray) -> np.ndarray:
    """Half-overlapping periodograms (n, n_f) of a series."""
    n = len(window)
    scale = 2 / rate / np.sum(window**2)
    return np.array([np.abs(np.fft.rfft(window * x[b : b + n])) ** 2 * scale for b in range(0, len(x) - n + 1, n // 2)])


def real_noise(data: gw.StrainData, count: int) -> list[dict[str, float]]:
    """What a spectrum of `count` stretches says of the others, for each detector whose data have no notch."""
    out = []
    for name in data.detectors:
        series, rate = data.series[name], data.sampling_frequency
        if data.notches(name, *BAND):
            continue
        window, event = tapered(LENGTH, rate, 0.4), data.gps - float(series.t0.value)
        parts = (
            series.value[round(EDGE * rate) : round((event - AWAY) * rate)],
            series.value[round((event + AWAY) * rate) : -round(EDGE * rate)],
        )
        left, right = (stretches(part, rate, window) for part in parts)
        half = count // 2
        near, far = np.concatenate([left[-half:], right[:half]]), np.concatenate([left[: -half - 2], right[half + 2 :]])
        f = np.arange(near.shape[1]) / LENGTH
        band = (f >= BAND[0]) & (f <= BAND[1])
        r = overlap_correlation(window, len(window) // 2)
        truth = np.median(far, axis=0)[band] / median_bias(len(far))
        measured = np.median(near, axis=0) / median_bias(count) * inverse_bias(count, r, count - 2)
        light = f[band] ** (-7 / 3) * (f[band] < LIGHT) / truth
        light /= light.sum()
        row = {"own": excess_sharpness(len(far), r, len(far) - 2)}
        for kind, psd in (("measured", measured), ("smoothed", smoothed(f, measured, count, window))):
            x, held_out = truth / psd[band], far[:, band].mean(axis=0) / psd[band]
            scale = light @ held_out
            row[f"{kind} score"] = -float(light @ (np.log(scale * psd[band] / truth) + held_out / scale))
            row[f"{kind} excess"] = float(light @ x**2 / (light @ x) ** 2 - 1)
        out.append(row)
    return out


def read(name: str, folder: Path) -> gw.StrainData:
    """The 128 s of an event in the frequency domain."""
    with np.load(folder / f"{name}.npz") as stored:
        frequencies, strain = stored["frequencies"], stored["strain"]
        detectors = [f"{letter}1" for letter in str(stored["detector_names"])]
        gps, start = float(stored["tgps"]), float(stored["tgps"] - stored["tcoarse"])
    rate = 2 * float(frequencies[-1])
    rows = (np.fft.irfft(row.astype(np.complex128)) * rate for row in strain)
    series = {name: TimeSeries(x, t0=start, sample_rate=rate) for name, x in zip(detectors, rows, strict=True)}
    return gw.StrainData.from_series(series, gps=gps)


def cut(data: gw.StrainData, seconds: float) -> gw.StrainData:
    """The seconds about the event."""
    return replace(
        data, series={k: s.crop(data.gps - seconds / 2, data.gps + seconds / 2, copy=True) for k, s in data.series.items()}
    )


def posteriors(name: str, data: gw.StrainData) -> list[dict[str, Any]]:
    """Medians and widths from 128 s and 32 s, measured and smoothed, beside those of 128 s, smoothed."""
    choice, rows = choose(data), []
    model = load_model(choice.surrogate)
    band = {"duration": choice.duration, "f_min": choice.f_min, "f_max": choice.f_max, "extend": True}
    for seconds, smooth in ((LONG, True), (LONG, False), (SHORT, False), (SHORT, True)):
        some = data if seconds == LONG else cut(data, seconds)
        if choice.estimator:
            estimator = gw.load_estimator(choice.estimator)
            ordered = replace(some, series={k: some.series[k] for k in estimator.config.segment.detectors})
            result = estimator.sample(ordered.segment(smooth=smooth, **band), n=DRAWS, seed=1)
        else:
            result = sample_event(some.segment(smooth=smooth, **band), of_file(choice.prior, model), model=model, n=DRAWS, seed=1)
        row: dict[str, Any] = {"event": name, "seconds": seconds, "smoothed": smooth, "log_bayes_factor": result.log_bayes_factor}
        for key in SHOWN:
            first = rows[0][key] if rows else {"median": result.posterior[key].median(), "sd": result.posterior[key].std()}
            row[key] = {"median": float(result.posterior[key].median()), "sd": float(result.posterior[key].std())}
            row[key] |= {"shift": (row[key]["median"] - first["median"]) / first["sd"], "width": row[key]["sd"] / first["sd"]}
        rows.append(row)
    return rows


def loudness(strain: Path, psd: Path) -> dict[str, dict[str, float]]:
    """Signal-to-noise ratios of GW150914's loudest template by detector, from GWOSC's 32 s, under three spectra."""
    names = ("H1", "L1")
    files = {name: strain / f"{name[0]}-{name}_LOSC_4_V2-1126259446-32.hdf5" for name in names}
    given = {name: load_psd(psd / f"GWTC1_GW150914_PSD_{name}.dat") for name in names}
    estimator, data = gw.load_estimator(), gw.StrainData.from_files(files, gps=1126259462.4)
    out = {}
    for kind, how in {"smoothed": {}, "measured": {"smooth": False}, "GWTC-1's": {"psd": given}}.items():
        likelihood = SegmentLikelihood(data.segment(**how), estimator.model)
        band = np.flatnonzero(likelihood.frequencies >= likelihood.segment.f_min)
        reference = likelihood.waveforms(estimator.prior.reference())[0, band]
        out[kind] = dict(zip(names, map(float, search(likelihood, estimator.prior, reference, band, 0).snr), strict=True))
    return out


def simulated(number: int, estimator: Any, known: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, dict[str, float]]:
    """Ranks of the true values under the three spectra; nothing where one of them shows no signal."""
    config, model, rng = estimator.config.segment, estimator.model, np.random.default_rng([77, number])
    f = np.arange(round(config.f_max * config.duration) + 1) / config.duration
    psd = np.array([psd_on_grid(*known[name], f, f_min=config.f_min, f_max=config.f_max) for name in config.detectors])
    likelihood = SegmentLikelihood(simulate_segment(None, model, psd, config, None), model)
    bilby.core.utils.random.seed(int(rng.integers(2**31)))
    loud = np.zeros(0)
    while not len(loud):
        drawn = estimator.prior.to_bilby(GPS).sample(64)
        power = np.sum(np.abs(likelihood.signals(drawn)) ** 2 * likelihood.weight, axis=(1, 2))
        loud = np.flatnonzero(power > QUIETEST**2)
    truth = {name: float(drawn[name][loud[0]]) for name in PARAMETERS}
    data = simulate(truth, model, config.detectors, known, duration=SHORT, sampling_frequency=4096.0, gps=GPS, seed=number)
    ranks = {}
    for kind, options in (("given", {"psd": known}), ("measured", {"smooth": False}), ("smoothed", {})):
        try:
            result = estimator.sample(data.segment(**options), n=4000, seed=number, options=QUICK)
        except DomainError:
            return {}
        ranks[kind] = {name: float(np.mean(result.posterior[name] < truth[name])) for name in PARAMETERS}
    return ranks


def inside(events: list[dict[str, dict[str, float]]], kind: str, share: float) -> tuple[float, float]:
    """How often the truth lies in the central share of the posterior, all parameters together, and the standard error."""
    each = [np.mean([abs(rank - 0.5) < share / 2 for rank in event[kind].values()]) for event in events]
    return float(np.mean(each)), float(np.std(each) / np.sqrt(len(each)))


def table(report: dict[str, Any]) -> str:
    """The page's tables."""
    lines = [
        "| stretches of 4 s | log likelihood per frequency gained by smoothing | excess of the score's variance | smoothed |",
        "| --- | --- | --- | --- |",
    ]
    for count, rows in report["noise"].items():
        gain = [r["smoothed score"] - r["measured score"] for r in rows]
        left = [np.mean([r[f"{kind} excess"] - r["own"] for r in rows]) for kind in ("measured", "smoothed")]
        lines.append(f"| {count} | {np.mean(gain):.3f} ({min(gain):.3f} to {max(gain):.3f}) | {left[0]:.2f} | {left[1]:.2f} |")
    lines += [
        "",
        f"{len(rows)} detectors, each 128 s of real noise.",
        "",
        "| event | data | log Bayes factor | " + " | ".join(f"{key}: shift, width" for key in SHOWN) + " |",
    ]
    lines.append("| --- " * (3 + len(SHOWN)) + "|")
    for r in report["events"]:
        said = " | ".join(f"{r[key]['shift']:+.2f}, {r[key]['width']:.2f}" for key in SHOWN)
        kind = "smoothed" if r["smoothed"] else "measured"
        lines.append(f"| {r['event']} | {r['seconds']:g} s, {kind} | {r['log_bayes_factor']:.1f} | {said} |")
    far = {
        kind: np.sqrt(
            np.mean(
                [r[key]["shift"] ** 2 for r in report["events"] for key in SHOWN if r["seconds"] == SHORT and r["smoothed"] == kind]
            )
        )
        for kind in (False, True)
    }
    lines += [
        "",
        f"Root mean square shift of 32 s from 128 s: {far[False]:.2f} standard deviations measured, {far[True]:.2f} smoothed.",
        "",
    ]
    lines += [
        f"| spectrum of {len(report['simulated'])} simulated events | truth inside the central 50 % | 90 % |",
        "| --- | --- | --- |",
    ]
    for kind in ("given", "measured", "smoothed"):
        half, most = (inside(report["simulated"], kind, share) for share in (0.5, 0.9))
        lines.append(f"| {kind} | {half[0]:.1%} ± {half[1]:.1%} | {most[0]:.1%} ± {most[1]:.1%} |")
    lines += ["", "| GW150914's spectrum, of 32 s | signal-to-noise ratio in H1 | L1 |", "| --- | --- | --- |"]
    lines += [f"| {kind} | {snr['H1']:.1f} | {snr['L1']:.1f} |" for kind, snr in report["loudness"].items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strain", type=Path, required=True)
    parser.add_argument("--psd", type=Path, required=True)
    parser.add_argument("--events", type=int, default=60)
    args = parser.parse_args()
    warnings.simplefilter("ignore", DomainWarning)
    data = {name: read(name, args.strain) for name in EVENTS}
    noise = {count: [row for one in data.values() for row in real_noise(one, count)] for count in COUNTS}
    print(json.dumps({k: len(v) for k, v in noise.items()}), flush=True)
    estimator = gw.load_estimator()
    known = {name: load_psd(args.psd / f"o4_{name.lower()}_asd.txt") for name in estimator.config.segment.detectors}
    events, number = [], 0
    while len(events) < args.events:
        if found := simulated(number, estimator, known):
            events.append(found)
            print(number, len(events), flush=True)
        number += 1
    real = [row for name, one in data.items() for row in posteriors(name, one)]
    report = {
        "command": f"python benchmarks/spectra.py --strain FOLDER --psd FOLDER --events {args.events}",
        "versions": artifacts.package_versions("numpy", "scipy", "torch"),
        "noise": noise,
        "loudness": loudness(args.strain, args.psd),
        "events": real,
        "simulated": events,
    }
    (RESULTS / "spectra.json").write_text(json.dumps(report, indent=1) + "\n")
    (RESULTS / "spectra.md").write_text(table(report))
    print(table(report))


if __name__ == "__main__":
    main()
