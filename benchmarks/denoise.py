"""Witness subtraction beside its baselines, the oracle and the analytic limit, on seeds that nothing was fitted to.

    python benchmarks/denoise.py [--quick] [--part PART ...] [--out benchmarks/results]

Parts, each of which writes its share of denoise.json and leaves the others' as they are:
cleaners     o3_like and sidebands_only: ASD ratio by band, range, gain in optimal SNR of 30 + 30 Msun and its score (fraction of
             the attainable log-gain), SNR of injections before and after, self-subtraction, the stream's latency per frame;
             beside the FIR and bilinear Wiener filters. About 2 minutes of CPU time
nulls        nothing couples; witnesses shifted in time, before and after the fit. About half a minute
autoencoder  the DeepClean-style baseline, and the same network on what our cleaner leaves. About 15 minutes
parameters   posteriors of four injections before and after, by the package's estimator. About 10 minutes

Training is on one realisation; CPU time on one thread is stated.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deepclean
import numpy as np

from gwsurrogate_ml.artifacts import package_versions
from gwsurrogate_ml.denoise.witness.bench import baselines, ladder, nulls
from gwsurrogate_ml.denoise.witness.bench.mock import Mock, MockData, preset
from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner
from gwsurrogate_ml.denoise.witness.onnx import export_witness_onnx, load_witness_onnx
from gwsurrogate_ml.denoise.witness.stream import Filter, run_through
from gwsurrogate_ml.inference.calibration.cleaned_strain import injection_template, parameters_before_and_after

TRAINING_SEED, HELD_OUT_SEEDS, INJECTION_SEED = 1, (101, 102, 103, 104, 105), 106
COUPLED = ("o3_like", "sidebands_only")
PARTS = ("cleaners", "nulls", "autoencoder", "parameters")


def through(plan: Filter) -> ladder.Cleaner:
    """A baseline's filter as a callable."""
    return lambda s, w: run_through(plan, s.value, np.stack([w[k].value for k in plan.channels]), 0.0).strain


def timed(make: Callable[[], Any]) -> tuple[Any, float]:
    """A result, and the CPU seconds it took."""
    start = time.process_time()
    return make(), time.process_time() - start


def cleaners(mock: Mock, duration: float, seeds: tuple[int, ...], spectra: dict[str, np.ndarray]) -> dict[str, Any]:
    """The ladder of our cleaner and the two Wiener baselines."""
    data = mock.draw(duration, TRAINING_SEED)
    seconds: dict[str, float] = {}
    ours, seconds["witness_cleaner"] = timed(lambda: WitnessCleaner.fit(data.strain, data.witnesses))
    made: dict[str, ladder.Cleaner] = {"witness_cleaner": lambda s, w: ours.apply(s, w).strain}
    for name, fit in (("bilinear_wiener", baselines.bilinear_wiener), ("fir_wiener", baselines.fir_wiener)):
        plan, seconds[name] = timed(lambda fit=fit: fit(data.strain, data.witnesses))
        made[name] = through(plan)
    climbed = ladder.climb(mock, made, seeds)
    held_out, template = mock.draw(512.0, INJECTION_SEED), injection_template(mock.sampling_frequency)
    keep_spectra(mock, made, spectra)
    return climbed | {
        "fit_cpu_seconds": seconds,
        "bands": ours.card["bands"],
        "injections": ladder.injections(held_out, made["witness_cleaner"], template, 50, mock.sampling_frequency),
        "self_subtraction_of_a_fit": nulls.self_subtraction_of_a_fit(mock.draw(duration, INJECTION_SEED), template, 10),
        "streaming": nulls.streaming(ours, mock.draw(128.0, HELD_OUT_SEEDS[0])),
        "streaming_onnx": streaming_onnx(ours, mock.draw(128.0, HELD_OUT_SEEDS[0])),
    }


def streaming_onnx(cleaner: WitnessCleaner, data: MockData) -> dict[str, Any]:
    """As `nulls.streaming`, the predictions by ONNX Runtime."""
    with tempfile.TemporaryDirectory() as folder:
        plan = load_witness_onnx(export_witness_onnx(cleaner, Path(folder) / "cleaner.onnx"))
    return nulls.streaming(cleaner, data, plan=plan)


def keep_spectra(mock: Mock, made: dict[str, ladder.Cleaner], spectra: dict[str, np.ndarray]) -> None:
    """PSDs of one held-out realisation for the figure, float32 of the ASD."""
    data = mock.draw(512.0, HELD_OUT_SEEDS[0])
    series = {"raw": data.strain.value} | {name: clean(data.strain, data.witnesses) for name, clean in made.items()}
    for name, values in series.items():
        spectra[f"{mock.name}/{name}"] = np.sqrt(ladder.spectrum(values, mock.sampling_frequency)[1]).astype(np.float32)


def autoencoder(mock: Mock, duration: float, seeds: tuple[int, ...], steps: int, spectra: dict[str, np.ndarray]) -> dict[str, Any]:
    """The baseline autoencoder, and what the same network finds in the residual of our cleaner."""
    data = mock.draw(duration, TRAINING_SEED)
    net, seconds = timed(lambda: deepclean.DeepClean.fit(data.strain, data.witnesses, steps=steps))
    keep_spectra(mock, {"deepclean": net}, spectra)
    climbed = ladder.climb(mock, {"deepclean": net}, seeds)["cleaners"]["deepclean"]
    ours = WitnessCleaner.fit(data.strain, data.witnesses)
    residual = ours(data.strain, data.witnesses)
    more = max(1, steps // 4)
    second, more_seconds = timed(lambda: deepclean.DeepClean.fit(residual, data.witnesses, steps=more))
    both = {
        "ours": lambda s, w: ours.apply(s, w).strain,
        "ours_then_autoencoder": lambda s, w: second(ours(s, w), w),
    }
    rows = ladder.climb(mock, both, seeds)["cleaners"]
    gains = {name: rows[name]["snr_gain"] for name in both}
    return {
        "cleaners": {"deepclean": climbed},
        "fit_cpu_seconds": {"deepclean": seconds},
        "deepclean_steps": steps,
        "autoencoder_on_the_residual": gains
        | {
            "snr_ratio": gains["ours_then_autoencoder"] / gains["ours"],
            "steps": more,
            "cpu_seconds": more_seconds,
        },
    }


def figures(result: dict[str, Any], spectra: dict[str, np.ndarray], out: Path) -> None:
    """ASDs and scores as PNG, from what was kept of all parts."""
    from gwsurrogate_ml.plot.denoise import cleaning, scores

    for name in COUPLED:
        rows = result.get(name, {}).get("cleaners", {})
        order = [key for key in ("witness_cleaner", "bilinear_wiener", "fir_wiener", "deepclean") if key in rows]
        if f"{name}/raw" not in spectra or not order:
            continue
        kept = [key for key in ("raw", *order) if f"{name}/{key}" in spectra]
        psds = {key: np.asarray(spectra[f"{name}/{key}"], np.float64) ** 2 for key in kept}
        mock, f = preset(name), np.arange(psds["raw"].size) * ladder.RESOLUTION
        best = np.interp(f, mock.grid(), mock.optimal_psd())
        cleaning(f, psds.pop("raw"), psds, best, title=name).savefig(out / f"denoise_{name}_asd.png")
        values = {key: rows[key]["score_of_oracle"] for key in order}
        scores(values, 0.9 if name == "o3_like" else 0.85, name).savefig(out / f"denoise_{name}_scores.png")


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """`old` with everything in `new` put in its place, mapping by mapping."""
    result = dict(old)
    for key, value in new.items():
        result[key] = merged(old[key], value) if isinstance(value, dict) and isinstance(old.get(key), dict) else value
    return result


def say(name: str, result: dict[str, Any]) -> None:
    """The lines of one mock."""
    limit = preset(name).limit()
    for key, row in result["cleaners"].items():
        if "score" in row:
            print(
                f"{name:15s} {key:16s} SNR gain {row['snr_gain']:.4f} (limit {limit:.4f})  score {row['score']:.3f}  "
                f"of oracle {row['score_of_oracle']:.3f} (worst seed {row['worst_of_seeds']['score_of_oracle']:.3f})  "
                f"range {row['range_mpc']:.1f} Mpc  fit {result['fit_cpu_seconds'].get(key, 0):.0f} s"
            )
    for key in (
        "injections",
        "self_subtraction_of_a_fit",
        "streaming",
        "streaming_onnx",
        "autoencoder_on_the_residual",
    ):
        if key in result:
            print(f"{name:15s} {key} {json.dumps(result[key])}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="512 s of training, one held-out seed, 60 training steps")
    parser.add_argument("--part", action="append", choices=PARTS, help="may be repeated; all by default, cleaners with --quick")
    parser.add_argument(
        "--steps",
        type=int,
        default=2000,
        help="training steps of the autoencoder baseline on o3_like; half as many on sidebands_only",
    )
    parser.add_argument("--mock", action="append", choices=COUPLED, help="may be repeated; both by default")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    parts = args.part or (PARTS[:1] if args.quick else PARTS)
    duration, steps = (512.0, 60) if args.quick else (2048.0, args.steps)
    seeds = HELD_OUT_SEEDS[:1] if args.quick else HELD_OUT_SEEDS
    path, arrays = args.out / "denoise.json", args.out / "denoise_spectra.npz"
    spectra: dict[str, np.ndarray] = {}
    versions = package_versions("numpy", "scipy", "torch")
    record(path, {"training_s": duration, "seeds": list(seeds), "versions": versions})
    for name in args.mock or COUPLED:
        for part, make in (
            ("cleaners", lambda mock: cleaners(mock, duration, seeds, spectra)),
            (
                "autoencoder",
                lambda mock: autoencoder(mock, duration, seeds, steps if mock.name == "o3_like" else steps // 2, spectra),
            ),
        ):
            if part in parts:
                made = make(preset(name))
                say(name, made)
                record(path, {name: made})
    if "nulls" in parts:
        pairs = [(TRAINING_SEED + i, seed) for i, seed in enumerate(seeds[:3])]
        found = nulls.null_tests(preset("o3_like"), pairs, 512.0)
        print(f"nulls {json.dumps(found)}", flush=True)
        record(path, {"nulls": found})
    if "parameters" in parts:
        import gwsurrogate_ml as gw

        measured = parameters_before_and_after(
            gw.load_estimator(), progress=lambda stage, done, total: print(f"{stage}: {done}/{total}", flush=True)
        )
        write(args.out / "denoise_parameters.json", measured)
        print(json.dumps({key: value for key, value in measured.items() if key != "injections"}))
    if spectra:
        spectra = (dict(np.load(arrays)) if arrays.exists() else {}) | spectra
        np.savez_compressed(arrays, **spectra)
        figures(json.loads(path.read_text()), spectra, args.out)


def record(path: Path, update: dict[str, Any]) -> None:
    """Merge an update into a JSON file as it is now: parts may run at the same time."""
    write(path, merged(json.loads(path.read_text()) if path.exists() else {}, update))


def write(path: Path, content: dict[str, Any]) -> None:
    """Write JSON whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    temporary.rename(path)


if __name__ == "__main__":
    main()
