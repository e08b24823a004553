"""The signal autoencoder in 8-bit integers beside single precision: what it loses in overlap and signal-to-noise ratio, and gains.

    python benchmarks/quantise.py [--model bbh-autoencoder] [--n 40] [--keep 2] [--out benchmarks/results]

Both ONNX files see the same injections of binaries, with masses and spins drawn anew, into Gaussian noise of design and early
spectra; calibration of the integers' ranges sees others. The loss in SNR is that of a filter with the reconstruction: it keeps the
overlap's share of the optimal SNR. Times are CPU times of one thread, taken in turns. Writes quantise.json.
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
from pathlib import Path
from typing import Any

import numpy as np

import gwsurrogate_ml as gw
from gwsurrogate_ml import onnx_file
from gwsurrogate_ml.denoise.signal.calibration import inject
from gwsurrogate_ml.denoise.signal.network import RATE
from gwsurrogate_ml.denoise.signal.noise import gaussian
from gwsurrogate_ml.denoise.signal.onnx import export_onnx
from gwsurrogate_ml.denoise.signal.segment import frequencies, to_series
from gwsurrogate_ml.denoise.signal.waveform_bank import build, draw_parameters
from gwsurrogate_ml.serve.quantise import CONVOLUTIONS, PRODUCTS, convolutions, quantise
from gwsurrogate_ml.strain.spectrum import load_psd

SNRS = (8.0, 12.0, 20.0)
KINDS = {"int8 convolutions": CONVOLUTIONS, "int8 convolutions and projection": (*CONVOLUTIONS, *PRODUCTS)}
PSDS = ("aLIGOZeroDetHighPower", "aLIGOEarlyHighSensitivityP1200087")


def cases(n: int, seed: int, snrs: tuple[float, ...]) -> list[tuple[dict[str, np.ndarray], np.ndarray, float]]:
    """Inputs, the true signal as a series, and its SNR (0: noise alone), for `n` binaries and each SNR."""
    rng = np.random.default_rng(seed)
    waveforms = build(gw.load_surrogate("nr22"), draw_parameters(n, seed)).evaluate(frequencies())
    spectra = [np.interp(frequencies(), *load_psd(name)) for name in PSDS]
    out = []
    for i, waveform in enumerate(waveforms):
        for snr in (0.0, *snrs):
            noise = gaussian(spectra[i % len(spectra)], rng)
            data, signal = inject(noise, waveform, max(snr, 1e-9), rng)
            white = to_series(data[None], RATE)[0].astype(np.float32)
            weight = np.sqrt(noise.psd.min() / noise.psd).astype(np.float32)
            out.append(({"white": white, "weight": weight}, to_series(signal[None], RATE)[0], snr))
    return out


def judge(run: Any, found: list[tuple[dict[str, np.ndarray], np.ndarray, float]]) -> dict[str, np.ndarray]:
    """Overlap with the truth, SNR of the data along the reconstruction, probability and signal of every case."""
    names = {node.name for node in run.get_inputs()}
    rows: dict[str, list[Any]] = {"overlap": [], "snr": [], "probability": [], "signal": []}
    for inputs, truth, _ in found:
        signal, _, probability, _ = run.run(None, {key: inputs[key] for key in names})
        shape = signal / max(float(probability[0]), 1e-12)  # the signal comes multiplied with it
        norm = max(float(np.linalg.norm(shape)), 1e-12)
        rows["overlap"].append(float(shape @ truth) / norm / float(np.linalg.norm(truth)))
        rows["snr"].append(float(inputs["white"] @ shape) / norm)
        rows["probability"].append(float(probability[0]))
        rows["signal"].append(signal)
    return {key: np.array(values) for key, values in rows.items()}


def cpu_ms(runs: list[Any], inputs: dict[str, np.ndarray], repeat: int = 12) -> list[float]:
    """Median CPU time (ms) of a segment for each session, taken in turns."""
    spent: list[list[float]] = [[] for _ in runs]
    for _ in range(repeat):
        for i, run in enumerate(runs):
            feeds = {node.name: inputs[node.name] for node in run.get_inputs()}
            begin = time.process_time()
            run.run(None, feeds)
            spent[i].append(1e3 * (time.process_time() - begin))
    return [float(np.median(one)) for one in spent]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="bbh-autoencoder", help="name or folder of an autoencoder")
    parser.add_argument("--n", type=int, default=40, help="binaries")
    parser.add_argument("--keep", type=int, default=2, help="last convolutions that stay in single precision")
    parser.add_argument("--percentile", type=float, help="range of the activations; default: all values")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    denoiser = gw.load_denoiser(given.model)
    with tempfile.TemporaryDirectory() as folder:
        files = {"float32": export_onnx(denoiser, Path(folder) / "float.onnx")}
        layers = convolutions(files["float32"])
        keep = layers[len(layers) - given.keep :]
        names = {node.name for node in onnx_file.session(files["float32"], "denoiser")[0].get_inputs()}
        examples = [{key: inputs[key] for key in names} for inputs, _, _ in cases(12, 101, (6.0, 12.0, 25.0))]
        for name, operators in KINDS.items():
            target = Path(folder) / f"{len(files)}.onnx"
            files[name] = quantise(files["float32"], target, examples, operators=operators, keep=keep, percentile=given.percentile)
        sizes = {name: path.stat().st_size / 1e6 for name, path in files.items()}
        runs = {name: onnx_file.session(path, "denoiser")[0] for name, path in files.items()}
        found = cases(given.n, 7, SNRS)
        judged = {name: judge(run, found) for name, run in runs.items()}
        times = cpu_ms(list(runs.values()), found[0][0])
    level = np.array([snr for _, _, snr in found])
    one = judged["float32"]
    report: dict[str, Any] = {
        "model": denoiser.card["name"],
        "weights_sha256": denoiser.card.get("weights_sha256"),
        "binaries": given.n,
        "convolutions": len(layers),
        "kept_in_float": len(keep),
        "load": os.getloadavg()[0],
        "files": {},
    }
    for (name, other), ms in zip(judged.items(), times, strict=True):
        row: dict[str, Any] = {"megabytes": sizes[name], "cpu_ms_a_segment": ms}
        for snr in SNRS:
            mine = level == snr
            loss = 1.0 - other["overlap"][mine] / one["overlap"][mine]
            row[f"SNR {snr:g}"] = {
                "overlap_median": float(np.median(other["overlap"][mine])),
                "snr_loss_median_%": 100 * float(np.median(loss)),
                "snr_loss_worst_%": 100 * float(np.max(loss)),
                "snr_along_the_data_median": float(np.median(other["snr"][mine])),
                "found": float(np.mean(other["probability"][mine] > 0.5)),
            }
        quiet = level == 0
        row["noise alone"] = {
            "found": float(np.mean(other["probability"][quiet] > 0.5)),
            "largest_difference_of_the_signal": float(np.abs(one["signal"] - other["signal"])[quiet].max()),
        }
        report["files"][name] = row
    given.out.mkdir(parents=True, exist_ok=True)
    temporary = given.out / ".quantise.json"
    temporary.write_text(json.dumps(report, indent=1) + "\n")
    os.replace(temporary, given.out / "quantise.json")
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
