"""Whitened strain at the rate of the anomaly search, and which of it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.denoise.signal.noise import FILTER, whitened
from gwsurrogate_ml.denoise.signal.segment import DURATION, F_HIGH, F_LOW, require_rate
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.strain.gates import require_moving

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

RATE = 1024
"""Hz, of everything that is searched."""
SHORTEST = 14.0
"""Seconds without a gap that a noise spectrum needs."""

Span = tuple[float, float]
"""Start and end, GPS s."""


@dataclass(frozen=True, eq=False)
class White:
    """Whitened strain of one detector, 24 to 480 Hz.

    Attributes
    ----------
    values : float32 (n,) at RATE; noise has unit variance a sample before the band is cut
    start : float, GPS s, of the first sample
    psd : float64 (n_f,), 1/Hz, on the denoisers' frequencies: what waveforms are whitened with
    spans : list of (start, end), GPS s
        where the values are free of gaps and of the filter's ends
    """

    values: np.ndarray
    start: float
    psd: np.ndarray
    spans: list[Span]


def whiten(series: TimeSeries) -> White:
    """Whiten one detector's strain.

    Parameters
    ----------
    series : gwpy TimeSeries of strain, a whole rate from 960 Hz on, gaps as NaN

    Raises
    ------
    DataError
        too low a rate, constant data, or less than SHORTEST s without a gap
    """
    rate, start, name = float(series.sample_rate.value), float(series.t0.value), str(series.name)
    require_rate(rate, name)
    seconds = int(np.floor(series.size / rate + 1e-9))
    if seconds < SHORTEST:
        raise DataError(f"{name}: {series.size / rate:g} s are too short for a noise spectrum: give {SHORTEST:g} s or more")
    series = series[: round(seconds * rate)].copy()
    # The ends are gaps too: data are eased into them, so that the seismic wall does not leak.
    series.value[[0, -1]] = np.nan
    finite = np.isfinite(series.value)
    for a, b in _runs(finite):
        require_moving(np.asarray(series.value[a:b], np.float64), name, f"from GPS {start + a / rate:.0f} on")
    white = whitened(series)
    f = np.arange(series.size // 2 + 1) / seconds
    spectrum = fft.rfft(white.values)
    grid = F_LOW + np.arange(white.excess.size) / DURATION
    spectrum *= ((f >= F_LOW) & (f < F_HIGH)) / np.sqrt(np.interp(f, grid, white.excess))
    n = seconds * RATE
    full = np.zeros(n // 2 + 1, np.complex128)
    m = min(full.size, spectrum.size)
    full[:m] = spectrum[:m]
    values = fft.irfft(full, n) * np.sqrt(n / series.size)
    edge = FILTER
    spans = [(start + a / rate + edge, start + b / rate - edge) for a, b in _runs(finite) if (b - a) / rate > 2 * edge + 1.0]
    return White(values.astype(np.float32), start, white.psd, spans)


def _runs(good: np.ndarray) -> list[tuple[int, int]]:
    """First sample and the one after the last of every stretch that is all True."""
    flips = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in zip(flips[::2], flips[1::2], strict=True)]


def common(first: White, second: White) -> list[Span]:
    """Whole-second stretches that both have.

    Raises
    ------
    DataError
        if there is none
    """
    both = [(max(a[0], b[0]), min(a[1], b[1])) for a in first.spans for b in second.spans]
    whole = [(a, a + float(np.floor(b - a + 1e-6))) for a, b in sorted(both) if b - a >= 1.0]
    if not whole:
        raise DataError("no second that both detectors have without a gap: give files of the same time")
    return whole
