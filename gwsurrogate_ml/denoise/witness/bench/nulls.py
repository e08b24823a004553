"""Checks of a witness cleaner that need more than one fit or a stream: nulls, self-subtraction of a fit, latency, band edges.

Each can fail: filters fitted to chance would change the SNR where nothing couples, a fit to data that hold a signal takes
some of it away, frames may come later than the next one is due.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.denoise.witness.bench.ladder import MASSES, share_of_signal, spectrum
from gwsurrogate_ml.denoise.witness.bench.metrics import binary_power, snr_gain
from gwsurrogate_ml.denoise.witness.bench.mock import Mock, MockData, preset
from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner
from gwsurrogate_ml.denoise.witness.stream import CleanFrame, Filter, joined

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

Fit = Callable[..., WitnessCleaner]
"""(strain, witnesses) -> a fitted cleaner."""
HELD_OUT = 256.0
"""Seconds of data that a fit does not see."""
LAG = 30.0
"""Witnesses shifted by this many seconds know nothing of the strain."""


def shifted(witnesses: Mapping[str, TimeSeries], lag: float = LAG) -> dict[str, TimeSeries]:
    """Copies of the witnesses that lag by `lag` (s), wrapped around."""
    result = {}
    for name, series in witnesses.items():
        result[name] = series.copy()
        result[name].value[:] = np.roll(series.value, round(lag * series.sample_rate.value))
    return result


def null_tests(
    mock: Mock,
    seeds: Sequence[tuple[int, int]],
    duration: float,
    fit: Fit = WitnessCleaner.fit,
) -> dict[str, Any]:
    """Change of the optimal SNR (30 + 30 Msun) where there is nothing to subtract.

    Parameters
    ----------
    mock : Mock
    seeds : sequence of (seed of the fit, seed held out)
    duration : float, s, of the data of the fit
    fit : callable(strain, witnesses) -> WitnessCleaner

    Returns
    -------
    dict with `no coupling` and `shifted witnesses` (before the fit), each the list of SNR ratios on the fitted and on the
    held-out spans of all seeds (1 is right), and `worst`, the largest |ratio - 1|; and `shifted after the fit`: for every
    seed the SNR ratio of what a cleaner fitted to true witnesses hands back for shifted ones
    """
    import warnings

    from gwsurrogate_ml.errors import DomainWarning

    silent = preset("null", sampling_frequency=mock.sampling_frequency)
    result: dict[str, Any] = {"no coupling": [], "shifted witnesses": [], "shifted after the fit": []}
    for first, second in seeds:
        for name, source, lag in (("no coupling", silent, 0.0), ("shifted witnesses", mock, LAG)):
            pair = [source.draw(duration, first), source.draw(HELD_OUT, second)]
            cleaner = fit(pair[0].strain, shifted(pair[0].witnesses, lag))
            for data in pair:
                clean = cleaner.apply(data.strain, shifted(data.witnesses, lag)).strain
                result[name].append(_snr_ratio(data.strain.value, clean, mock.sampling_frequency))
        training, data = mock.draw(duration, first), mock.draw(HELD_OUT, second)
        cleaner = fit(training.strain, training.witnesses)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DomainWarning)  # that it says so is tested; here counts what it hands back
            clean = cleaner(data.strain, shifted(data.witnesses)).value
        result["shifted after the fit"].append(_snr_ratio(data.strain.value, clean, mock.sampling_frequency))
    return result | {"worst": max(abs(ratio - 1.0) for ratios in result.values() for ratio in ratios)}


def null_test_on_data(strain: TimeSeries, witnesses: Mapping[str, TimeSeries], fit: Fit = WitnessCleaner.fit) -> dict[str, Any]:
    """As `null_tests` for data without a mock: the change of the SNR when witnesses are shifted before the fit."""
    cleaner = fit(strain, shifted(witnesses))
    clean = cleaner.apply(strain, shifted(witnesses)).strain
    ratio = _snr_ratio(np.asarray(strain.value, np.float64), clean, float(strain.sample_rate.value))
    return {"shifted witnesses": [ratio], "worst": abs(ratio - 1.0)}


def _snr_ratio(before: np.ndarray, after: np.ndarray, rate: float) -> float:
    f, raw = spectrum(before, rate)
    return snr_gain(f, raw, spectrum(after, rate)[1], binary_power(f, *MASSES))


def self_subtraction_of_a_fit(data: MockData, template: np.ndarray, n: int, fit: Fit = WitnessCleaner.fit) -> dict[str, float]:
    """What is lost of signals in the very data that the cleaner is fitted to and applied to: the worst case.

    Filters once fitted cannot take anything from a signal that the witnesses do not hear; fitting to data that hold it can,
    by chance correlation.

    Parameters
    ----------
    data : MockData
    template : (n_t,) strain of the signal
    n : int
        signals, evenly spread
    fit : callable(strain, witnesses) -> WitnessCleaner

    Returns
    -------
    dict: `mean` and `worst` of |1 - SNR of the signal's share / SNR of the signal|, `n`, `snr` of each in cleaned noise
    """
    from gwsurrogate_ml.denoise.witness.bench.ladder import injected

    loud, starts = injected(data.strain, template, n)
    quiet_clean, loud_clean = (fit(strain, data.witnesses).apply(strain, data.witnesses).strain for strain in (data.strain, loud))
    lost, snr = share_of_signal(loud_clean - quiet_clean, quiet_clean, template, starts, data.strain.sample_rate.value)
    return {"n": n, "snr": snr, "mean": float(np.mean(np.abs(lost))), "worst": float(np.max(np.abs(lost)))}


def streaming(
    cleaner: WitnessCleaner, data: MockData, frames: Sequence[float] = (1.0, 1 / 16), plan: Filter | None = None
) -> dict[str, Any]:
    """Latency of a stream's steps on this machine, and how far the stream is from cleaning offline.

    Parameters
    ----------
    cleaner : WitnessCleaner
    data : MockData
    frames : sequence of float, s
    plan : Filter, optional
        what runs the stream in the cleaner's place, such as an `OnnxFilter`

    Returns
    -------
    dict: `latency_of_filters_s` (output lags input by this much, however fast the machine), and for every frame length
    `p50_ms`, `p95_ms`, `p99_ms` of the wall time of a step, `cpu_ms` of CPU time on average, `real_time_factor` by the latter,
    `real_time_factor_clock` by the wall time on average, `frames` timed, and `relative_difference`: largest
    |stream - offline| / largest |offline|, once warmed up
    """
    rate, plan = cleaner.plan.sampling_frequency, plan or cleaner.plan
    rows = np.stack([data.witnesses[name].value for name in plan.channels])
    strain, start_time = np.asarray(data.strain.value, np.float64), float(data.strain.t0.value)
    offline = cleaner.apply(data.strain, data.witnesses)
    result: dict[str, Any] = {"latency_of_filters_s": cleaner.latency}
    for frame in frames:
        size, state = round(frame * rate), plan.start(start_time)
        times: list[float] = []
        cpu: list[float] = []
        made: list[CleanFrame] = []
        for first in range(0, strain.size - size + 1, size):
            begin, used = time.perf_counter(), time.process_time()
            state, out = plan.step(state, strain[first : first + size], rows[:, first : first + size])
            times.append(1e3 * (time.perf_counter() - begin))
            cpu.append(1e3 * (time.process_time() - used))
            made.append(out)
        stream = joined(made, plan.delay)
        warm = stream.subtracted & offline.subtracted[: stream.strain.size]
        difference = np.abs(stream.strain - offline.strain[: stream.strain.size])[warm].max()
        skip = int(2 * cleaner.latency / frame) + 1  # the start, in which nothing is subtracted
        counted, work = np.array(times[skip:]), float(np.mean(cpu[skip:]))
        p50, p95, p99 = np.percentile(counted, [50, 95, 99])
        result[f"frame {frame:g} s"] = {
            "p50_ms": p50,
            "p95_ms": p95,
            "p99_ms": p99,
            "cpu_ms": work,
            "real_time_factor": 1e3 * frame / work,
            "real_time_factor_clock": 1e3 * frame / float(np.mean(counted)),
            "frames": counted.size,
            "relative_difference": float(difference / np.abs(offline.strain[offline.subtracted]).max()),
        }
    return result
