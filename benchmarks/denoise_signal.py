"""Both signal denoisers on real noise: injections, noise alone, glitches, GW150914, streams.

    python benchmarks/denoise_signal.py --data FOLDER [--n 40] [--out benchmarks/results] [--models NAME NAME]

`--data` holds GWOSC files and frequency-domain stretches of real noise around events. Trained or calibrated is on the stretches
around GW190503, GW190512 and GW191222; tested on those around GW150914, GW151012 and GW170608 (the events cut out), with waveforms
and seeds that nothing else saw. Beside every overlap stands the projection on the true waveform: the bound.

    python benchmarks/denoise_signal.py --data FOLDER --noise out/noise     # the real noise as files, to train on
    python benchmarks/denoise_signal.py --data FOLDER --train MODEL_FOLDER  # build and calibrate the bank anew
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from denoise_signal_data import binaries, filtered_noise, noise_for_bank, test_noise, write_noise
from denoise_signal_event import gw150914
from denoise_signal_figure import summary

import gwsurrogate_ml as gw
from gwsurrogate_ml.artifacts import SHIPPED
from gwsurrogate_ml.denoise.signal import calibration, glitches
from gwsurrogate_ml.denoise.signal import waveform_bank as banks
from gwsurrogate_ml.denoise.signal.bank_denoiser import BankDenoiser
from gwsurrogate_ml.denoise.signal.denoiser import DEFAULT, SignalDenoiser
from gwsurrogate_ml.denoise.signal.segment import Reconstruction, Segment

SNRS, GLITCH_SNRS = (8.0, 12.0, 20.0), (8.0, 15.0, 30.0)
KINDS = ("sine-Gaussian", "blip", "whistle")
"""Glitches; the autoencoder saw others of the first kind in training, none of the other two."""
TARGETS = {"SNR 8": 0.93, "SNR 12": 0.97, "SNR 20": 0.985}
ENERGY = 16.0
"""Energy of a reconstruction, in squared SNR, from which on something is seen."""
TEMPERATURES, CALIBRATION_SNRS = (0.0, 0.001, 0.002, 0.004, 0.008), (12.0, 20.0)
FALSE_ALARMS = 0.005
"""Probability that the odds of a calibrated bank pass one half in a segment of noise."""


def injections(denoiser: SignalDenoiser, noise: list[Segment], bank: banks.Bank, snr: float, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    rows = []
    for waveform in bank.evaluate(denoiser.frequencies):
        segment = noise[int(rng.integers(len(noise)))]
        data, signal = calibration.inject(segment, waveform, snr, rng)
        rows.append(calibration.judge(denoiser, segment, data, signal))
    return {
        "n": len(rows),
        "overlap_median": float(np.median([r.overlap for r in rows])),
        "overlap_p10": float(np.quantile([r.overlap for r in rows], 0.1)),
        "overlap_p90": float(np.quantile([r.overlap for r in rows], 0.9)),
        "bound_overlap_median": float(np.median([r.bound for r in rows])),
        "amplitude_error_median": float(np.median([r.amplitude_error for r in rows])),
        "bound_amplitude_error_median": float(np.median([r.bound_amplitude_error for r in rows])),
        "coverage_68": float(np.mean([r.coverage for r in rows])),
        "found": float(np.mean([r.probability > 0.5 for r in rows])),
        "flagged_out_of_distribution": float(np.mean([r.flagged for r in rows])),
    }


def flag_rates(denoiser: SignalDenoiser, found: list[Reconstruction]) -> dict[str, float]:
    """Shares of segments flagged by the residual, by the latent score where there is one, and by either."""
    rates = {"residual": float(np.mean([r.ood > denoiser.card["ood_threshold"] for r in found]))}
    if "latent_threshold" in denoiser.card:
        rates["latent"] = float(np.mean([r.ood_latent > denoiser.card["latent_threshold"] for r in found]))
    return rates | {"either": float(np.mean([denoiser.flags(r) for r in found]))}


def noise_alone(denoiser: SignalDenoiser, noise: list[Segment]) -> dict[str, Any]:
    """How often something is seen in noise: energy of the reconstruction above that of SNR 4, and the flags' rates."""
    found = [denoiser.reconstruct(s.white, s.psd, calibration.RATE, n_draws=4) for s in noise]
    rates = flag_rates(denoiser, found)
    return {
        "n": len(noise),
        "hallucinated": float(np.mean([np.sum(r.signal**2) > ENERGY for r in found])),
        "log_bayes_max": float(np.max([r.log_bayes for r in found])),
        "flagged_out_of_distribution": rates["either"],
        "flagged_by": rates,
    }


def glitch_tests(denoiser: SignalDenoiser, noise: list[Segment], n: int, seed: int) -> dict[str, Any]:
    """Simulated glitches by kind and SNR: taken for a binary, share of their energy reconstructed, flagged."""
    result: dict[str, Any] = {}
    for kind in KINDS:
        result[kind] = {}
        for snr in GLITCH_SNRS:
            rng = np.random.default_rng([seed, KINDS.index(kind), int(snr)])
            found, share = [], []
            for _ in range(n):
                segment = noise[int(rng.integers(len(noise)))]
                shape = glitches.spectrum(kind, denoiser.frequencies, rng) * np.sqrt(segment.psd)
                data, _ = calibration.inject(segment, shape, snr, rng)
                r = denoiser.reconstruct(data, segment.psd, calibration.RATE, n_draws=4)
                found.append(r)
                share.append(float(np.sum(r.signal**2) / snr**2))
            rates = flag_rates(denoiser, found)
            result[kind][f"SNR {snr:g}"] = {
                "n": n,
                "reconstructed_as_binary": float(np.mean([r.probability > 0.5 for r in found])),
                "energy_share_median": float(np.median(share)),
                "flagged_out_of_distribution": rates["either"],
                "flagged_by": rates,
            }
    return result


def stream(denoiser: SignalDenoiser, seed: int = 0, seconds: float = 60.0) -> dict[str, Any]:
    """Latency and real-time factor of the exported denoiser on one core, frames of 1 s and 1/16 s of white noise.

    A segment is looked at every 1.7 s: of short frames most wait for others.
    """
    from gwsurrogate_ml.denoise.signal.onnx import export_onnx
    from gwsurrogate_ml.denoise.signal.onnx_stream import SignalStream

    rng, result = np.random.default_rng(seed), {}
    with tempfile.TemporaryDirectory() as folder:
        flow = SignalStream(export_onnx(denoiser, Path(folder) / "denoiser.onnx"))
    for length in (1.0, 0.0625):
        size = round(length * flow.sampling_frequency)
        state = flow.start(0.0)
        for _ in range(round(6.0 / length)):  # until the first segments are done
            state, _ = flow.step(state, rng.standard_normal(size))
        wall, segments, before = [], 0, time.process_time()
        for _ in range(round(seconds / length)):
            frame = rng.standard_normal(size)
            tick = time.perf_counter()
            state, out = flow.step(state, frame)
            wall.append(time.perf_counter() - tick)
            segments += len(out.found)
        cpu = (time.process_time() - before) / len(wall)
        p50, p95, p99 = (1e3 * float(q) for q in np.quantile(wall, (0.5, 0.95, 0.99)))
        result[f"frames of {length:g} s"] = {
            "n": len(wall),
            "segments": segments,
            "latency_ms": {"p50": p50, "p95": p95, "p99": p99},
            "cpu_ms": 1e3 * cpu,
            "real_time_factor": length / cpu,
            "real_time_factor_clock": length / float(np.mean(wall)),
        }
    return result | {"delay_s": flow.delay / flow.sampling_frequency, "threads": 1}


def calibrate(denoiser: BankDenoiser, bank: banks.Bank, noise: Sequence[Segment]) -> dict[str, Any]:
    """Set the denoiser's temperature by the coverage of its bands, thresholds by what noise does; returns what they were set by.

    Waveforms of `bank` are not in the denoiser's own bank; `noise`, without signals, is not to be used in any test.
    """
    rng = np.random.default_rng(0)
    waveforms = bank.evaluate(denoiser.frequencies)
    denoiser.card["threshold"] = -1e3  # every injection counts
    coverage: dict[float, list[float]] = {temperature: [] for temperature in TEMPERATURES}
    for waveform in waveforms:
        for snr in CALIBRATION_SNRS:
            segment = noise[int(rng.integers(len(noise)))]
            data, signal = calibration.inject(segment, waveform, snr, rng)
            for temperature in TEMPERATURES:
                denoiser.card["temperature"] = temperature
                coverage[temperature].append(calibration.judge(denoiser, segment, data, signal).coverage)
    means = {temperature: float(np.mean(values)) for temperature, values in coverage.items()}
    denoiser.card["temperature"] = min(means, key=lambda temperature: abs(means[temperature] - 0.68))
    denoiser.card["threshold"] = 1e3  # nothing is subtracted before the residual is judged
    quiet = [denoiser.reconstruct(segment.white, segment.psd, calibration.RATE, n_draws=2) for segment in noise]
    denoiser.card["threshold"] = calibration.noise_level([r.log_bayes for r in quiet], FALSE_ALARMS)
    denoiser.card["ood_threshold"] = float(np.quantile([r.ood for r in quiet], 0.99))
    total = len(waveforms) * len(CALIBRATION_SNRS)
    return {"coverage": means, "n_noise": len(noise), "n_injections": total, "false_alarms": FALSE_ALARMS}


def train_bank(data: Path, folder: Path, n: int) -> None:
    """Build the bank from the shipped surrogate, calibrate it on real noise and save it."""
    start = time.process_time()
    surrogate = gw.load_surrogate("nr22")
    denoiser = BankDenoiser.build(surrogate, n, seed=7)
    record = calibrate(denoiser, banks.build(surrogate, binaries(24, seed=5)), noise_for_bank(data))
    denoiser.card |= {
        "calibration": record,
        "ranges": {"mass_1": [10, 80], "mass_2": [10, 80], "chi_1": [-0.8, 0.8], "chi_2": [-0.8, 0.8]},
        "units": {
            "mass_1": "solar mass, detector frame",
            "frequency": "Hz",
            "signal": "standard deviations of whitened noise",
        },
        "waveforms": "surrogate nr22, (2,2) mode",
        "noise": "real noise around GW190503_185404, GW190512_180714 (GWOSC)",
        "cpu_seconds": time.process_time() - start,
    }
    denoiser.save(folder)


def measure(denoiser: SignalDenoiser, noise: list[Segment], args: argparse.Namespace) -> dict[str, Any]:
    name = denoiser.card["name"]
    result: dict[str, Any] = {"model": name, "version": denoiser.card["version"]}
    result["GW150914"] = gw150914(denoiser, args.data, args.out, args.posterior)
    print(name, "GW150914", json.dumps(result["GW150914"]), flush=True)
    start = time.process_time()
    result["noise"] = noise_alone(denoiser, noise)
    result["cpu_seconds_per_segment"] = (time.process_time() - start) / len(noise)
    print(name, "noise", json.dumps(result["noise"]), result["cpu_seconds_per_segment"], flush=True)
    bank = banks.build(gw.load_surrogate("nr22"), binaries(args.n, seed=1234))
    for snr in SNRS:
        result[f"SNR {snr:g}"] = injections(denoiser, noise, bank, snr, seed=int(snr))
        print(name, f"SNR {snr:g}", json.dumps(result[f"SNR {snr:g}"]), flush=True)
    left_out = filtered_noise(args.data)
    result["left_out"] = {f"SNR {snr:g}": injections(denoiser, left_out, bank, snr, seed=int(snr)) for snr in SNRS}
    print(name, "left out", json.dumps(result["left_out"]), flush=True)
    result["glitches"] = glitch_tests(denoiser, noise, args.glitches, seed=77)
    print(name, "glitches", json.dumps(result["glitches"]), flush=True)
    return result


def record(name: str, result: dict[str, Any]) -> None:
    """Put a shipped model's figures into its card."""
    path = SHIPPED / name / "card.json"
    if path.is_file():
        card = json.loads(path.read_text())
        card["metrics"] = {"measured_by": "benchmarks/denoise_signal.py", **result}
        _write(path, card)


def _write(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    temporary.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GWSML_DATA", "../shared/data")))
    parser.add_argument("--noise", type=Path, help="write the real noise to train and calibrate on here, and stop")
    parser.add_argument("--train", type=Path, help="build, calibrate and save a bank here, and stop")
    parser.add_argument("--waveforms", type=int, default=3000)
    parser.add_argument("--models", nargs="+", default=[DEFAULT, "bbh-autoencoder"])
    parser.add_argument("--posterior", type=Path, help="result.json of gwsml analyze GW150914; default a published table")
    parser.add_argument("--n", type=int, default=40, help="injections per SNR")
    parser.add_argument("--glitches", type=int, default=24, help="glitches per kind and SNR")
    parser.add_argument("--record", action="store_true", help="put the figures into the shipped models' cards")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    if args.noise:
        return write_noise(args.data, args.noise)
    if args.train:
        return train_bank(args.data, args.train, args.waveforms)
    args.out.mkdir(parents=True, exist_ok=True)
    noise = test_noise(args.data)
    path = args.out / "denoise_signal.json"
    # Models measured in another run stay in the file.
    result: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    others, earlier = result.pop("others", {}), result.pop("without_projection", None)
    for name in args.models:
        denoiser = gw.load_denoiser(name)
        found = measure(denoiser, noise, args)
        if not isinstance(denoiser, BankDenoiser):
            found["stream"] = stream(denoiser)
            print(name, "stream", json.dumps(found["stream"]), flush=True)
        if args.record:
            record(name, found)
        if name == DEFAULT:
            result = found
        else:
            others[name] = found
    result["others"] = others
    if earlier:  # version 1, which ships no more: what a network reaches without the projection
        result["without_projection"] = earlier
    _write(path, result)
    everything = ({DEFAULT: result} if "model" in result else {}) | others
    summary(everything, TARGETS).savefig(args.out / "denoise_signal.png")


if __name__ == "__main__":
    main()
