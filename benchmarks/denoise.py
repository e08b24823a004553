"""Witness subtraction beside its baselines, the oracle and the analytic limit, on seeds that nothing was fitted to.

    python benchmarks/denoise.py [--quick] [--out benchmarks/results]

For each mock: training on one realisation (CPU time on one thread is stated), then the ladder: ASD ratio by band, range, gain in
optimal SNR of 30 + 30 Msun and its score (fraction of the attainable log-gain), matched-filter SNR of injections before and
after, self-subtraction, null tests (nothing couples; witnesses shifted in time), and the stream's latency per frame.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.artifacts import package_versions
from gwsurrogate_ml.denoise import baselines, deepclean, ladder
from gwsurrogate_ml.denoise.metrics import binary_power, snr_gain
from gwsurrogate_ml.denoise.mock import Mock, preset
from gwsurrogate_ml.denoise.stream import Filter, run_through
from gwsurrogate_ml.denoise.witness import WitnessCleaner
from gwsurrogate_ml.kernels.psd import welch

TRAINING_SEED, HELD_OUT_SEEDS = 1, (101, 102, 103)


def through(plan: Filter) -> ladder.Cleaner:
    """A baseline's filter as a callable."""
    return lambda s, w: run_through(plan, s.value, np.stack([w[k].value for k in plan.channels]), 0.0).strain


def signal(rate: float) -> np.ndarray:
    """h_plus of 30 + 30 Msun at 400 Mpc, face on, from the shipped surrogate; it peaks 3.5 s into 4 s."""
    import gwsurrogate_ml as gw

    one = np.ones(1)
    h = gw.load_surrogate("nr22").frequency_domain(
        30 * one, 30 * one, 0 * one, 0 * one, duration=4.0, sampling_frequency=rate, f_min=20.0
    )[0]
    return np.roll(np.fft.irfft(h) * rate / 400.0, round(3.5 * rate))


def fitted(
    mock: Mock, duration: float, steps: int
) -> tuple[dict[str, ladder.Cleaner], dict[str, float], WitnessCleaner]:
    """All cleaners, and the CPU seconds that each took to fit."""
    data = mock.draw(duration, TRAINING_SEED)
    seconds: dict[str, float] = {}

    def timed(name: str, make: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = make()
        seconds[name] = time.process_time() - start
        return result

    cleaner = timed("witness_cleaner", lambda: WitnessCleaner.fit(data.strain, data.witnesses))
    cleaners: dict[str, ladder.Cleaner] = {"witness_cleaner": lambda s, w: cleaner.apply(s, w).strain}
    cleaners["bilinear_wiener"] = through(
        timed("bilinear_wiener", lambda: baselines.bilinear_wiener(data.strain, data.witnesses))
    )
    cleaners["fir_wiener"] = through(timed("fir_wiener", lambda: baselines.fir_wiener(data.strain, data.witnesses)))
    if steps:
        cleaners["deepclean"] = timed(
            "deepclean", lambda: deepclean.DeepClean.fit(data.strain, data.witnesses, steps=steps)
        )
    return cleaners, seconds, cleaner


def nulls(mock: Mock, duration: float) -> dict[str, float]:
    """SNR ratio with cleaners fitted where nothing couples, and to witnesses that lag by 30 s: 1 is right."""
    result = {}
    for name in ("no coupling", "shifted witnesses"):
        source = preset("null") if name == "no coupling" else mock
        ratios = []
        pair = [source.draw(duration, TRAINING_SEED), source.draw(256.0, HELD_OUT_SEEDS[0])]
        if name == "shifted witnesses":
            for data in pair:
                for series in data.witnesses.values():
                    series.value[:] = np.roll(series.value, round(30 * mock.sampling_frequency))
        cleaner = WitnessCleaner.fit(pair[0].strain, pair[0].witnesses)
        for data in pair:
            clean = cleaner.apply(data.strain, data.witnesses).strain
            f, before = welch(data.strain.value, mock.sampling_frequency, 4.0, average="mean")
            after = welch(clean, mock.sampling_frequency, 4.0, average="mean")[1]
            ratios.append(snr_gain(f, before, after, binary_power(f, 30, 30)))
        result[name] = max(ratios, key=lambda ratio: abs(ratio - 1))
    return result


def streaming(cleaner: WitnessCleaner, mock: Mock) -> dict[str, Any]:
    """Wall time of a step on one core, p50, p95 and p99 in ms, and the real-time factor (of the medians)."""
    data = mock.draw(128.0, HELD_OUT_SEEDS[0])
    rate = mock.sampling_frequency
    rows = np.stack([data.witnesses[name].value for name in cleaner.plan.channels])
    result: dict[str, Any] = {"latency_of_filters_s": cleaner.latency}
    for frame in (1.0, 1 / 16):
        size, state, times = round(frame * rate), cleaner.start(0.0), []
        for first in range(0, rows.shape[1] - size + 1, size):
            start = time.perf_counter()
            state, _ = cleaner.plan.step(state, data.strain.value[first : first + size], rows[:, first : first + size])
            times.append(1e3 * (time.perf_counter() - start))
        warm = np.array(times[round(16 / frame) :])  # past the first stretch, in which nothing is subtracted
        p50, p95, p99 = np.percentile(warm, [50, 95, 99])
        result[f"frame {frame:g} s"] = {
            "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "real_time_factor": 1e3 * frame / p50, "frames": warm.size
        }  # fmt: skip
    return result


def parameters_before_and_after(duration: float, draws: int) -> dict[str, Any]:
    """Posterior of one injection in H1 and L1 of `o3_like`, by the package's estimator, from raw and from cleaned strain."""
    import gwsurrogate_ml as gw
    from gwsurrogate_ml.strain.simulate import simulate

    rate, span = 4096.0, 128.0
    mock = preset("o3_like", sampling_frequency=rate)
    truth = {
        "mass_1": 38.0, "mass_2": 30.0, "chi_1": 0.1, "chi_2": -0.1, "luminosity_distance": 700.0, "theta_jn": 0.4, "phase": 1.0,
        "psi": 0.3, "ra": 1.4, "dec": -1.2, "geocent_time": mock.draw(4.0, 0).strain.t0.value + 100.0,
    }  # fmt: skip
    gps = truth["geocent_time"]
    silent = simulate(
        truth, gw.load_surrogate("nr22"), duration=32.0, sampling_frequency=rate, gps=gps, zero_noise=True, f_min=20.0
    )
    series: dict[str, dict[str, Any]] = {"raw": {}, "cleaned": {}}
    for i, detector in enumerate(("H1", "L1")):
        training, data = mock.draw(duration, 2001 + i), mock.draw(span, 3001 + i)
        cleaner = WitnessCleaner.fit(training.strain, training.witnesses)
        strain = data.strain.copy()
        signal = silent.series[detector]
        first = round((signal.t0.value - strain.t0.value) * rate)
        strain.value[first : first + len(signal)] += signal.value
        series["raw"][detector] = strain
        series["cleaned"][detector] = cleaner(strain, data.witnesses)
    m_1, m_2 = truth["mass_1"], truth["mass_2"]
    result: dict[str, Any] = {"injected": truth | {"chirp_mass": (m_1 * m_2) ** 0.6 / (m_1 + m_2) ** 0.2}}
    estimator = gw.load_estimator()
    for name, by_detector in series.items():
        posterior = estimator.sample(gw.StrainData.from_series(by_detector, gps=gps), n=draws)
        result[name] = {
            "sample_efficiency": posterior.sample_efficiency,
            "log_bayes_factor": posterior.log_bayes_factor,
        } | {
            key: dict(
                zip(
                    ("lower_90", "median", "upper_90"),
                    np.quantile(posterior.posterior[key], (0.05, 0.5, 0.95)),
                    strict=True,
                )
            )
            for key in ("chirp_mass", "mass_ratio", "chi_eff", "luminosity_distance")
        }
    return result


def figures(mock: Mock, cleaners: dict[str, ladder.Cleaner], climbed: dict[str, Any], out: Path) -> None:
    """ASDs and scores as PNG."""
    from gwsurrogate_ml.plot.denoise import cleaning, scores

    data = mock.draw(512.0, HELD_OUT_SEEDS[0])
    f, raw = welch(data.strain.value, mock.sampling_frequency, 4.0)
    psds = {
        name: welch(clean(data.strain, data.witnesses), mock.sampling_frequency, 4.0)[1]
        for name, clean in cleaners.items()
    }
    cleaning(f, raw, psds, np.interp(f, mock.grid(), mock.optimal_psd()), title=mock.name).savefig(
        out / f"denoise_{mock.name}_asd.png"
    )
    values = {name: climbed["cleaners"][name]["score_of_oracle"] for name in cleaners}
    scores(values, 0.9 if mock.name == "o3_like" else 0.85, mock.name).savefig(out / f"denoise_{mock.name}_scores.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="512 s of training, no autoencoder, one held-out seed")
    parser.add_argument("--steps", type=int, default=150, help="training steps of the autoencoder baseline")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument(
        "--parameters", action="store_true", help="posteriors of an injection before and after, and no more"
    )
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.parameters:
        write(args.out / "denoise_parameters.json", parameters_before_and_after(512.0, 10_000))
        return
    duration, steps = (512.0, 0) if args.quick else (2048.0, args.steps)
    seeds = HELD_OUT_SEEDS[:1] if args.quick else HELD_OUT_SEEDS
    result: dict[str, Any] = {
        "training_s": duration,
        "seeds": seeds,
        "versions": package_versions("numpy", "scipy", "torch"),
    }
    for name in ("o3_like", "sidebands_only"):
        mock = preset(name)
        cleaners, seconds, cleaner = fitted(mock, duration, steps)
        climbed = ladder.climb(mock, cleaners, seeds)
        held_out = mock.draw(512.0, HELD_OUT_SEEDS[-1] + 1)
        injected = ladder.injections(
            held_out, cleaners["witness_cleaner"], signal(mock.sampling_frequency), 50, mock.sampling_frequency
        )
        result[name] = climbed | {
            "fit_cpu_seconds": seconds,
            "bands": cleaner.card["bands"],
            "injections": injected,
            "streaming": streaming(cleaner, mock),
        }
        if name == "o3_like":
            result["nulls"] = nulls(mock, min(duration, 1024.0))
        figures(mock, cleaners, climbed, args.out)
        for key, row in climbed["cleaners"].items():
            print(
                f"{name:15s} {key:16s} SNR gain {row['snr_gain']:.4f} (limit {climbed['limit']:.4f})  score {row['score']:.3f}  "
                f"of oracle {row['score_of_oracle']:.3f}  range {row['range_mpc']:.1f} Mpc  fit {seconds.get(key, 0):.0f} s"
            )
        print(f"{name:15s} injections {json.dumps(injected)}")
        print(f"{name:15s} streaming {json.dumps(result[name]['streaming'])}", flush=True)
    print(f"nulls {json.dumps(result['nulls'])}")
    write(args.out / "denoise.json", result)


def write(path: Path, content: dict[str, Any]) -> None:
    """Write JSON whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(content, indent=1) + "\n")
    temporary.rename(path)


if __name__ == "__main__":
    main()
