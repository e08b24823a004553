"""Power spectral densities by Welch's method with the median that survives glitches.

Allen et al. 2012 (FINDCHIRP, arXiv:gr-qc/0509116), appendix B. Conventions: scipy's and gwpy's
(periodic Hann window, the mean of each segment removed, segments counted from the first sample). pycbc differs in three
points: symmetric Hann, no detrending, and what does not fit is dropped at both ends; ``window=numpy.hanning(n),
detrend=False`` gives its numbers wherever the segments fit exactly. All agree that DC and Nyquist are not doubled.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import _arguments, _memory, fft
from gwsurrogate_ml.kernels._compiled import largest, segment_powers
from gwsurrogate_ml.kernels._median import LANES, block_medians
from gwsurrogate_ml.kernels.threads import each, parts

Average = Literal["median", "mean", "median-mean"]

_PART = 1 << 21
"""Samples of segments worth a thread: some 4 ms."""

_SMALLEST = {4: 1e-36, 8: 1e-140}
"""Series below this are refused, by their bytes a number: weights that bring them to order one, or their power, are no numbers."""


def median_bias(n_segments: int) -> float:
    """Expected median of `n_segments` independent exponential variates with unit mean.

    Dividing a median power spectrum by it makes the estimate unbiased for Gaussian noise: exactly for independent
    segments, approximately for overlapping ones.

    Parameters
    ----------
    n_segments : int, >= 1

    Returns
    -------
    float, dimensionless; 1 for one segment, tending to ln 2 (taken from 1000 on, as pycbc does)

    Raises
    ------
    ConfigError
        if `n_segments` < 1

    Examples
    --------
    >>> round(median_bias(3), 4)
    0.8333
    """
    if n_segments < 1:
        raise ConfigError(f"n_segments is {n_segments}: a median needs at least one segment")
    if n_segments >= 1000:
        return float(np.log(2.0))
    i = np.arange(1, (n_segments - 1) // 2 + 1)
    return float(1.0 + np.sum(1.0 / (2 * i + 1) - 1.0 / (2 * i)))


def welch(
    x: np.ndarray,
    sample_rate: float,
    segment_duration: float,
    overlap: float = 0.5,
    average: Average = "median",
    window: str | np.ndarray = "hann",
    *,
    detrend: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """One-sided power spectral density from overlapping windowed segments.

    Parameters
    ----------
    x : real array (n_t,)
        samples; float32 is transformed in single precision (high-pass strain first: the seismic wall exceeds its
        range), anything else in float64. Strain is scaled internally, so that no power underflows
    sample_rate : float, Hz
    segment_duration : float, s
    overlap : float in [0, 1)
        fraction of a segment shared with the next one
    average : "median", "mean" or "median-mean"
        median over segments divided by `median_bias`; the mean; or the mean of the medians of odd and even segments
    window : str or array (n_segment,)
        a name `scipy.signal.get_window` knows (periodic), or samples
    detrend : bool
        remove each segment's mean

    Returns
    -------
    frequencies : float64 (n_segment // 2 + 1,), Hz
    psd : float64 (n_segment // 2 + 1,), units of x^2 / Hz

    Raises
    ------
    DataError
        if `x` is not a finite real series, or shorter than the segments the average needs, or below 1e-36 (float32) or
        1e-140 throughout
    ConfigError
        if a duration is no whole number of samples, or `overlap`, `average` or `window` is impossible

    Notes
    -----
    Samples at the end of `x` that fill no segment are not used. Source: arXiv:gr-qc/0509116, section VII.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(64 * 256)
    >>> f, s = welch(x, 256.0, 1.0)
    >>> bool(abs(np.mean(s[1:-1]) * 256 / 2 - 1) < 0.1)      # white noise of unit variance: S = 2 / sample_rate
    True
    """
    series = _arguments.real_series(x, "x")
    n_segment = _arguments.samples(segment_duration, sample_rate, "segment_duration")
    if not 0 <= overlap < 1:
        raise ConfigError(f"overlap is {overlap}: give the shared fraction of a segment, 0 <= overlap < 1 (not seconds)")
    if average not in ("median", "mean", "median-mean"):
        raise ConfigError(f"average is {average!r}: choose 'median', 'mean' or 'median-mean'")
    stride = n_segment - int(overlap * n_segment)
    weights = _window(window, n_segment)
    needed = 2 if average == "median-mean" else 1
    n_segments = (series.size - n_segment) // stride + 1 if series.size >= n_segment else 0
    if n_segments < needed:
        raise DataError(
            f"x lasts {series.size / sample_rate:g} s: too short for {needed} segment(s) of {segment_duration:g} s; "
            "read more data or choose a shorter segment_duration"
        )
    power, scale = _segment_powers(series, weights, n_segment, stride, n_segments, detrend, series.dtype)
    if average == "mean":
        blocks = power.mean(axis=1, dtype=np.float64)
    elif average == "median":
        blocks = block_medians(power) / median_bias(n_segments)
    else:
        halves = (np.ascontiguousarray(power[:, first::2]) for first in (0, 1))
        blocks = 0.5 * sum(block_medians(half) / median_bias(half.shape[1]) for half in halves)
    psd = blocks.reshape(-1)[: n_segment // 2 + 1]
    psd *= 2.0 * scale / (sample_rate * np.sum(weights**2))
    psd[0] /= 2.0
    if n_segment % 2 == 0:
        psd[-1] /= 2.0
    return np.arange(psd.size) * (sample_rate / n_segment), psd


class Drift(NamedTuple):
    """How the noise level moves over time; see `drift`.

    Attributes
    ----------
    times : float64 (n,), s, middles of the segments from the start of the series
    level : float64 (n,), band-averaged power of each segment over the median PSD; about 1
    expected : float, standard deviation of `level` in stationary Gaussian noise
    excess : float, standard deviation of `level` beyond the expected one: the fraction by which the PSD moves; 0 if none
    """

    times: np.ndarray
    level: np.ndarray
    expected: float
    excess: float


def drift(x: np.ndarray, sample_rate: float, segment_duration: float, f_low: float, f_high: float | None = None) -> Drift:
    """Drift of the PSD: the power of each segment in a band, every frequency relative to its median over time.

    Parameters
    ----------
    x : real array (n_t,)
    sample_rate : float, Hz
    segment_duration : float, s
        segments overlap by half
    f_low, f_high : float, Hz
        band; up to Nyquist where `f_high` is left out

    Returns
    -------
    Drift
        `excess` above 0.1 or so is a reason to warn: one PSD does not describe the noise

    Raises
    ------
    DataError
        if `x` is not finite, has no noise at a frequency of the band, or is shorter than eight segments
    ConfigError
        if the band is empty or a duration is no whole number of samples

    Notes
    -----
    In Gaussian noise powers of Hann-windowed neighbouring frequencies correlate by 4/9 and 1/36: the mean of n of them
    scatters by ``sqrt((1 + 2 (4/9 + 1/36)) / n)``. A glitch raises `excess` too.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(64 * 256)
    >>> bool(drift(x, 256.0, 2.0, 20.0).excess < 0.06)
    True
    >>> bool(drift(x * np.linspace(1.0, 1.5, x.size), 256.0, 2.0, 20.0).excess > 0.2)
    True
    """
    series = _arguments.real_series(x, "x")
    n = _arguments.samples(segment_duration, sample_rate, "segment_duration")
    kmin, kmax = _arguments.band(f_low, f_high, sample_rate / n, n // 2 + 1)
    stride = n - n // 2
    n_segments = (series.size - n) // stride + 1 if series.size >= n else 0
    if n_segments < 8:
        raise DataError(
            f"x lasts {series.size / sample_rate:g} s: too short for 8 half-overlapping segments of {segment_duration:g} s; "
            "read more data or choose a shorter segment_duration"
        )
    blocks, _ = _segment_powers(series, periodic_hann(n), n, stride, n_segments, True)
    power = blocks.transpose(1, 0, 2).reshape(n_segments, -1)[:, kmin:kmax].astype(np.float64)
    middle = block_medians(blocks).reshape(-1)[kmin:kmax] / median_bias(n_segments)
    _arguments.require_positive_band(middle, "the median power", 0, middle.size, sample_rate / n)
    level = np.mean(power / middle, axis=1)
    expected = float(np.sqrt((1 + 2 * (4 / 9 + 1 / 36)) / (kmax - kmin)))
    excess = float(np.sqrt(max(0.0, float(np.var(level, ddof=1)) - expected**2)))
    return Drift((np.arange(n_segments) * stride + n / 2) / sample_rate, level, expected, excess)


def periodic_hann(n: int) -> np.ndarray:
    """Hann window of period `n`: the first of `n` samples is zero, the last is not (scipy's and gwpy's).

    Examples
    --------
    >>> periodic_hann(4)
    array([0. , 0.5, 1. , 0.5])
    """
    half = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n // 2 + 1) / n)
    return np.concatenate([half, half[(n - 1) // 2 : 0 : -1]])


def _window(window: str | np.ndarray, n: int) -> np.ndarray:
    """Window samples in float64."""
    if isinstance(window, str) and window == "hann":
        return periodic_hann(n)  # the default must not cost the second that importing scipy.signal takes
    if isinstance(window, str):
        from scipy.signal import get_window

        try:
            return np.asarray(get_window(window, n), dtype=np.float64)
        except ValueError as error:
            raise ConfigError(f"window {window!r} is unknown to scipy.signal.get_window: {error}") from error
    weights = _arguments.real_series(window, "window").astype(np.float64)
    if weights.size != n or not np.any(weights):
        raise ConfigError(f"window has {weights.size} samples, the segment {n}: they must agree, and not all be zero")
    return weights


def _segment_powers(
    series: np.ndarray,
    weights: np.ndarray,
    n: int,
    stride: int,
    n_segments: int,
    detrend: bool,
    dtype: np.dtype | type = np.float32,
) -> tuple[np.ndarray, float]:
    """|FFT|^2 of all segments as `dtype` (n_blocks, n_segments, LANES), and what undoes the scaling.

    The transforms have the precision of `series`. Frequency k is in block k // LANES; zeros fill the last one. Strain of 1e-21 has
    powers of 1e-42 and less: a power of two (exact) brings it to order one first, so that float32 holds 46 decades below.
    """
    peak = float(largest(series))
    if 0 < peak < _SMALLEST[series.dtype.itemsize]:
        raise DataError(f"x is at most {peak:g}, too small for the square of a {series.dtype} number: scale it")
    scale = 2.0 ** -np.floor(np.log2(peak)) if peak > 0 else 1.0
    scaled = (weights * scale).astype(series.dtype)
    n_freq = n // 2 + 1
    power = _memory.empty((-(-n_freq // LANES), n_segments, LANES), dtype)
    transform = fft.native("rfft", n, series.dtype)

    def some(index: range) -> None:
        frame = np.empty(n, dtype=series.dtype)
        spectrum = np.empty(n_freq, dtype=np.result_type(series.dtype, np.complex64))
        fft.check(
            segment_powers(
                series,
                index.start,
                index.stop,
                stride,
                scaled,
                detrend,
                transform.address,
                transform.handle,
                frame,
                spectrum,
                power,
            ),
            transform,
        )

    each(some, parts(range(n_segments), least=_PART // n + 1))
    return power, scale**-2
