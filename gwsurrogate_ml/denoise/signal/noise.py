"""Real and Gaussian noise for signal denoisers: whole series whitened, cut into segments clear of gaps and known signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.denoise.signal.segment import (
    DURATION,
    F_LOW,
    SEARCH,
    Segment,
    frequencies,
    require_rate,
    to_spectrum,
)
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.psd import median_bias, welch
from gwsurrogate_ml.kernels.truncation import inverse_spectrum_truncation
from gwsurrogate_ml.strain.notches import notches, without

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

FILTER = 2.0
"""Length of the whitening filter, s."""
LINE = 1.5
"""Noise power in whitened data above which a frequency is taken for a line's, and weighted down."""


def gaussian(psd: np.ndarray, rng: np.random.Generator) -> Segment:
    """A segment of Gaussian noise with a given PSD (n_f,)."""
    white = (rng.standard_normal(psd.size) + 1j * rng.standard_normal(psd.size)) * np.sqrt(0.25 * DURATION)
    return Segment(white, psd)


def read_folder(folder: Path, hop: float = SEARCH[1] - SEARCH[0]) -> list[Segment]:
    """Segments of all strain files of a folder, named DETECTOR-anything; gaps, such as cut out signals, are left out.

    Raises
    ------
    DataError
        if there is no file, or a file is no strain or too short
    """
    from gwsurrogate_ml.strain.read import read_strain

    files = sorted(path for path in Path(folder).glob("*-*.*") if path.is_file())
    if not files:
        raise DataError(f"no strain files in {folder}: they are named DETECTOR-anything, such as H1-O3.hdf5")
    found: list[Segment] = []
    for path in files:
        found += noise_segments(read_strain(path, path.name.partition("-")[0]), hop=hop)
    return found


def noise_segments(
    series: TimeSeries,
    exclude: Sequence[tuple[float, float]] = (),
    hop: float = SEARCH[1] - SEARCH[0],
) -> list[Segment]:
    """Whitened segments of a real series, those that touch a gap or an excluded interval left out.

    Parameters
    ----------
    series : gwpy TimeSeries of strain, at least 960 Hz
    exclude : sequence of (start, end), GPS s, such as known signals
    hop : float, s, between segments

    Raises
    ------
    DataError
        if fewer than four segments are left
    """
    rate, start = float(series.sample_rate.value), float(series.t0.value)
    usable = _clear_of_gaps(np.isfinite(series.value), round(0.5 * FILTER * rate))
    for low, high in exclude:
        usable[max(0, round((low - start) * rate)) : max(0, round((high - start) * rate))] = False
    white = whitened(series)
    size = round(DURATION * rate)
    starts = [a for a in range(0, white.values.size - size + 1, round(hop * rate)) if usable[a : a + size].all()]
    if len(starts) < 4:
        raise DataError(f"{series.name}: {len(starts)} usable segments of {DURATION:g} s, 4 are needed: give a longer series")
    return [white.segment(a) for a in starts]


@dataclass(frozen=True)
class Whitened:
    """A whole series whitened, (n,) at `rate` (Hz); `psd` and `excess` (n_f,) on the denoiser's frequencies.

    `excess` is what lines leave behind after a whitening filter too short to resolve them: segments are divided by it, and it
    is part of `psd`, with which waveforms are to be whitened.
    """

    values: np.ndarray
    rate: float
    psd: np.ndarray
    excess: np.ndarray

    def segment(self, first: int) -> Segment:
        """The segment that begins at sample `first`."""
        piece = self.values[first : first + round(DURATION * self.rate)]
        return Segment(to_spectrum(piece, self.rate) / np.sqrt(self.excess), self.psd)


def whitened(series: TimeSeries) -> Whitened:
    """Whiten a series: median Welch, its inverse truncated to FILTER in the time domain, then what lines leave behind.

    Lines are taken out before any segment is cut, so that they do not leak. Half of FILTER is corrupt at each end and about
    gaps.

    Raises
    ------
    DataError
        if the series is too short for a PSD, or sampled at less than 960 Hz
    """
    rate = float(series.sample_rate.value)
    require_rate(rate, str(series.name))
    values = np.asarray(series.value, np.float64)
    finite = np.isfinite(values)
    size, edge = round(DURATION * rate), round(0.5 * FILTER * rate)
    # The seismic wall would leak through the PSD's window, and the edges of gaps everywhere: they are smoothed.
    f = np.arange(values.size // 2 + 1) * rate / values.size
    wall = 0.5 - 0.5 * np.cos(np.pi * np.clip((f - 12.0) / 6.0, 0.0, 1.0))
    spectrum = fft.rfft(np.where(finite, values, 0.0) * _eased(finite, edge)) * wall
    high = fft.irfft(spectrum, values.size)
    if finite.all():
        _, psd = welch(high, rate, DURATION)
    else:
        clear = _clear_of_gaps(finite, edge)
        chunks = [high[a : a + size] for a in range(0, values.size - size + 1, size // 2) if clear[a : a + size].all()]
        if len(chunks) < 4:
            raise DataError(f"{series.name}: too little is left between gaps for a PSD, give at least 12 s without one")
        _, psd = welch(np.concatenate(chunks), rate, DURATION, overlap=0.0)
    at = np.arange(psd.size) / DURATION
    psd = without(notches(at, psd, 18.0, 0.46 * rate), at, np.maximum(psd, 1e-12 * psd.max()))
    smooth = inverse_spectrum_truncation(psd, 1.0 / DURATION, FILTER, 18.0)
    gain = np.interp(f, np.arange(smooth.size) / DURATION, 1.0 / np.sqrt(smooth))
    white = fft.irfft(spectrum * gain, values.size) * np.sqrt(2.0 / rate)
    first, n_f = round(F_LOW * DURATION), frequencies().size
    clear = _clear_of_gaps(finite, edge)
    starts = range(edge, values.size - edge - size + 1, size // 2)
    if len(starts) < 4:
        raise DataError(f"{series.name}: {values.size / rate:g} s are too short for a PSD, give at least 12 s")
    power = [np.abs(to_spectrum(white[a : a + size], rate)) ** 2 for a in starts if clear[a : a + size].all()]
    ratio = np.median(power, axis=0) / median_bias(len(power)) / (0.5 * DURATION)
    # Averaged over 1.25 Hz, as single bins scatter; only clear excesses count.
    ratio = np.convolve(ratio, np.ones(5) / 5, "same")
    excess = np.where(ratio > LINE, ratio, 1.0)
    return Whitened(white, rate, smooth[first : first + n_f] * excess, excess)


def _eased(usable: np.ndarray, length: int) -> np.ndarray:
    """Weight (n,): 1 but within `length` samples of a gap, to which it falls smoothly."""
    if usable.all():
        return np.ones(usable.size)
    from scipy.ndimage import distance_transform_edt

    distance = distance_transform_edt(usable)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(distance / length, 0.0, 1.0)))


def _clear_of_gaps(usable: np.ndarray, reach: int) -> np.ndarray:
    """(n,) bool: all usable within reach samples, and no closer to the ends than that."""
    bad = np.concatenate([[0], np.cumsum(~usable)])
    n, index = usable.size, np.arange(usable.size)
    low, high = np.maximum(index - reach, 0), np.minimum(index + reach + 1, n)
    return np.asarray((bad[high] == bad[low]) & (index >= reach) & (index < n - reach))
