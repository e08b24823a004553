"""The signal denoiser on real noise: injections, noise alone, glitches, GW150914; trained with --train.

    python benchmarks/denoise_signal.py --data FOLDER [--train MODEL_FOLDER] [--model NAME] [--n 40] [--out benchmarks/results]

`--data` holds GWOSC files and frequency-domain stretches of real noise around events. Calibration uses the stretches around
GW190503 and GW190512, the tests those around GW150914, GW151012, GW170608 and GW191222 (the events cut out), with waveforms and
seeds that neither the bank nor its calibration saw. Beside every overlap stands the projection on the true waveform: the bound.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from gwpy.timeseries import TimeSeries

import gwsurrogate_ml as gw
from gwsurrogate_ml.denoise import bank as banks
from gwsurrogate_ml.denoise import calibration
from gwsurrogate_ml.denoise.calibration import Segment
from gwsurrogate_ml.denoise.signal import DURATION, SignalDenoiser, load_denoiser

CALIBRATION = {"GW190503_185404": 8.0, "GW190512_180714": 4.0}
TESTS = {"GW170608": 0.0, "GW191222_033537": 8.0, "GW150914": 0.0}
POSTERIOR = 150
"""Samples of the posterior among which the best fit is taken."""
FILES = {"GW150914": ("1126259446", 1126259462.4), "GW151012": ("1128678884", 1128678900.44)}


def stretches(data: Path, denoiser: SignalDenoiser, names: dict[str, float]) -> list[Segment]:
    """Segments of real noise from the frequency-domain files; their tapered ends and the event are left out."""
    found = []
    for name, margin in names.items():
        with np.load(data / "strain" / f"{name}.npz", allow_pickle=True) as content:
            rate, event = 2.0 * float(content["frequencies"][-1]), float(content["tcoarse"])
            for detector, row in zip(str(content["detector_names"]), content["strain"], strict=False):
                values = np.fft.irfft(row.astype(complex)) * rate
                cut = slice(round(margin * rate), values.size - round(margin * rate))
                series = TimeSeries(values[cut], sample_rate=rate, t0=margin, name=detector)
                found += calibration.noise_segments(denoiser, series, [(event - 3.0, event + 1.0)])
    return found


def gwosc(data: Path, denoiser: SignalDenoiser) -> list[Segment]:
    """Segments of the 32 s files around GW150914 and GW151012, the events cut out."""
    found = []
    for gps, event in FILES.values():
        for detector in ("H1", "L1"):
            path = data / "strain" / f"{detector[0]}-{detector}_LOSC_4_V2-{gps}-32.hdf5"
            series = gw.StrainData.from_files({detector: path}, gps=event).series[detector]
            found += calibration.noise_segments(denoiser, series, [(event - 2.0, event + 0.5)])
    return found


def binaries(n: int, seed: int) -> np.ndarray:
    """Uniform in both masses, 10 to 80 Msun, aligned spins to 0.6."""
    rng = np.random.default_rng(seed)
    masses = np.sort(rng.uniform(10.0, 80.0, (n, 2)), axis=1)[:, ::-1]
    return np.concatenate([masses, rng.uniform(-0.6, 0.6, (n, 2))], axis=1)


def injections(
    denoiser: SignalDenoiser, noise: list[Segment], bank: banks.Bank, snr: float, seed: int
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    rows = []
    for waveform in bank.evaluate(denoiser.frequencies):
        segment = noise[int(rng.integers(len(noise)))]
        data, signal = calibration.inject(denoiser, segment, waveform, snr, rng)
        rows.append(calibration.judge(denoiser, segment, data, signal))
    return {
        "n": len(rows),
        "overlap_median": float(np.median([r.overlap for r in rows])),
        "overlap_p10": float(np.quantile([r.overlap for r in rows], 0.1)),
        "bound_overlap_median": float(np.median([r.bound for r in rows])),
        "amplitude_error_median": float(np.median([r.amplitude_error for r in rows])),
        "bound_amplitude_error_median": float(np.median([r.bound_amplitude_error for r in rows])),
        "coverage_68": float(np.mean([r.coverage for r in rows])),
        "found": float(np.mean([r.probability > 0.5 for r in rows])),
        "flagged_out_of_distribution": float(np.mean([r.ood > denoiser.card["ood_threshold"] for r in rows])),
    }


def noise_alone(denoiser: SignalDenoiser, noise: list[Segment]) -> dict[str, Any]:
    """How often something is seen in noise: energy of the reconstruction above that of SNR 4, and the flag's rate."""
    energy, ood, bayes = [], [], []
    for segment in noise:
        r = denoiser.reconstruct(segment.white, segment.psd, calibration.RATE, n_draws=4)
        energy.append(float(np.sum(r.signal**2)) * 2.0 / calibration.RATE * calibration.RATE / 2.0)
        ood.append(r.ood)
        bayes.append(r.log_bayes)
    return {
        "n": len(noise),
        "hallucinated": float(np.mean(np.array(energy) > 16.0)),
        "log_bayes_max": float(np.max(bayes)),
        "flagged_out_of_distribution": float(np.mean(np.array(ood) > denoiser.card["ood_threshold"])),
    }


def glitches(denoiser: SignalDenoiser, noise: list[Segment], n: int, seed: int) -> dict[str, Any]:
    """Sine-Gaussians (40 to 300 Hz, Q 3 to 20) and blips (Q 1.5, 100 to 250 Hz) of SNR 12 to 30."""
    rng = np.random.default_rng(seed)
    f = denoiser.frequencies
    result = {}
    for kind in ("sine-Gaussian", "blip"):
        seen, flagged, share = [], [], []
        for _ in range(n):
            segment = noise[int(rng.integers(len(noise)))]
            centre = rng.uniform(40, 300) if kind == "sine-Gaussian" else rng.uniform(100, 250)
            quality = rng.uniform(3, 20) if kind == "sine-Gaussian" else 1.5
            waveform = np.exp(-(((f - centre) * quality / centre) ** 2)) * np.sqrt(segment.psd)
            data, signal = calibration.inject(denoiser, segment, waveform, rng.uniform(12, 30), rng)
            r = denoiser.reconstruct(data, segment.psd, calibration.RATE, n_draws=4)
            seen.append(r.probability > 0.5)
            flagged.append(r.ood > denoiser.card["ood_threshold"])
            truth = denoiser.series(signal[None], calibration.RATE)[0]
            share.append(float(np.sum(r.signal**2) / np.sum(truth**2)))
        result[kind] = {
            "n": n,
            "reconstructed_as_binary": float(np.mean(seen)),
            "energy_share_median": float(np.median(share)),
            "flagged_out_of_distribution": float(np.mean(flagged)),
        }
    return result


def gw150914(denoiser: SignalDenoiser, data: Path, out: Path) -> dict[str, Any]:
    """Overlap of the reconstruction with the best-fitting surrogate waveform among a published posterior's samples."""
    from gwsurrogate_ml.plot.denoise import reconstruction

    table = np.genfromtxt(data / "posteriors" / "GW150914_IMRPhenomD_bilby.dat", names=True)[:: 5103 // POSTERIOR]
    samples = np.array([_parameters(row) for row in table])
    samples = samples[np.all(np.abs(samples[:, 2:]) < 0.85, axis=1)]
    templates = banks.build(gw.load_surrogate("nr22"), samples).evaluate(denoiser.frequencies)
    result: dict[str, Any] = {}
    gps, event = FILES["GW150914"]
    found: dict[str, tuple[float, Any, Any, Any]] = {}
    total = np.zeros(len(templates))
    for detector in ("H1", "L1"):
        path = data / "strain" / f"{detector[0]}-{detector}_LOSC_4_V2-{gps}-32.hdf5"
        series = gw.StrainData.from_files({detector: path}, gps=event).series[detector]
        rate, start = float(series.sample_rate.value), float(series.t0.value)
        first = round((event - 3.0 - start) * rate)
        segment = calibration.whitened(denoiser, series).segment(denoiser, first)
        psd = segment.psd
        r = denoiser.reconstruct(segment.white, psd, calibration.RATE)
        white = templates / np.sqrt(psd)
        white /= np.sqrt(4.0 / DURATION * np.sum(np.abs(white) ** 2, axis=1))[:, None]
        times = r.time + np.arange(-100, 101) * 1e-4
        turns = np.exp(2j * np.pi * np.outer(denoiser.frequencies, times))
        z = 4.0 / DURATION * (np.conj(white) * segment.white) @ turns
        total += np.max(np.abs(z) ** 2, axis=1)
        found[detector] = (start + first / rate, r, (white, z, times), segment)
    best = int(np.argmax(total))
    result["best_fit"] = dict(zip(("mass_1", "mass_2", "chi_1", "chi_2"), samples[best].tolist(), strict=True))
    panels = {}
    for detector, (begin, r, (white, z, times), segment) in found.items():
        # Every sample's waveform at its own best time, amplitude and phase.
        k = np.argmax(np.abs(z), axis=1)
        turns = np.exp(-2j * np.pi * denoiser.frequencies * times[k][:, None])
        fits = denoiser.series(z[np.arange(len(k)), k][:, None] * white * turns, calibration.RATE)
        fit, raw = fits[best], denoiser.series(segment.white[None], calibration.RATE)[0]
        low, high = np.quantile(fits, (0.05, 0.95), axis=0)
        result[detector] = {
            "overlap": float(r.signal @ fit / np.linalg.norm(r.signal) / np.linalg.norm(fit)),
            "amplitude_ratio": float(np.linalg.norm(r.signal) / np.linalg.norm(fit)),
            "snr": r.snr,
            "probability": r.probability,
            "ood": r.ood,
            "ood_threshold": denoiser.card["ood_threshold"],
            "gps": begin + r.time,
        }
        t = begin + np.arange(raw.size) / calibration.RATE - event
        panels[detector] = (t, raw, r.signal, r.sigma, np.stack([low, fit, high]))
    reconstruction(panels, event).savefig(out / "denoise_gw150914.png")
    return result


def _parameters(row: np.ndarray) -> tuple[float, float, float, float]:
    q, chirp = float(row["mass_ratio"]), float(row["chirp_mass"])
    m_1 = chirp * (1 + q) ** 0.2 / q**0.6
    return m_1, q * m_1, float(row["chi_1"]), float(row["chi_2"])


def train(data: Path, folder: Path, n: int) -> SignalDenoiser:
    """Build the bank from the shipped surrogate, calibrate it on real noise and save it."""
    start = time.process_time()
    surrogate = gw.load_surrogate("nr22")
    denoiser = SignalDenoiser.build(surrogate, n, seed=7)
    noise = stretches(data, denoiser, CALIBRATION)
    record = calibration.calibrate(denoiser, banks.build(surrogate, binaries(24, seed=5)), noise)
    denoiser.card |= {
        "calibration": record,
        "ranges": {"mass_1": [10, 80], "mass_2": [10, 80], "chi_1": [-0.8, 0.8], "chi_2": [-0.8, 0.8]},
        "units": {
            "mass_1": "solar mass, detector frame",
            "frequency": "Hz",
            "signal": "standard deviations of whitened noise",
        },
        "waveforms": "surrogate nr22, (2,2) mode",
        "noise": f"real noise around {', '.join(CALIBRATION)} (GWOSC)",
        "cpu_seconds": time.process_time() - start,
    }
    denoiser.save(folder)
    return denoiser


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GWSML_DATA", "../shared/data")))
    parser.add_argument("--train", type=Path, help="build, calibrate and save a model here first")
    parser.add_argument("--waveforms", type=int, default=3000)
    parser.add_argument("--model", default="bbh-signal")
    parser.add_argument("--n", type=int, default=40, help="injections per SNR, and glitches per kind")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    denoiser = train(args.data, args.train, args.waveforms) if args.train else load_denoiser(args.model)
    print(json.dumps({key: denoiser.card[key] for key in ("temperature", "threshold", "ood_threshold")}), flush=True)
    result: dict[str, Any] = {"model": denoiser.card["name"], "version": denoiser.card["version"]}
    result["GW150914"] = gw150914(denoiser, args.data, args.out)
    print("GW150914", json.dumps(result["GW150914"]), flush=True)
    noise = gwosc(args.data, denoiser) + stretches(args.data, denoiser, TESTS)
    start = time.process_time()
    result["noise"] = noise_alone(denoiser, noise)
    result["cpu_seconds_per_segment"] = (time.process_time() - start) / len(noise)
    print("noise", json.dumps(result["noise"]), result["cpu_seconds_per_segment"], flush=True)
    bank = banks.build(gw.load_surrogate("nr22"), binaries(args.n, seed=1234))
    for snr in (8.0, 12.0, 20.0):
        result[f"SNR {snr:g}"] = injections(denoiser, noise, bank, snr, seed=int(snr))
        print(f"SNR {snr:g}", json.dumps(result[f"SNR {snr:g}"]), flush=True)
    result["glitches"] = glitches(denoiser, noise, args.n, seed=77)
    print("glitches", json.dumps(result["glitches"]), flush=True)
    if args.train:
        denoiser.card["metrics"] = {"measured_by": "benchmarks/denoise_signal.py", **result}
        denoiser.save(args.train)
    temporary = args.out / "denoise_signal.tmp"
    temporary.write_text(json.dumps(result, indent=1) + "\n")
    temporary.rename(args.out / "denoise_signal.json")


if __name__ == "__main__":
    main()
