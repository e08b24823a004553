"""Whitening with a filter of limited length, of linear phase or of minimum phase; of streams in `streaming`.

The filter is the inverse ASD, truncated in the time domain to `fduration` with a Hann window (arXiv:gr-qc/0509116,
section VII), exactly as gwpy's ``TimeSeries.whiten`` builds it. Scaled by ``sqrt(2 / sample_rate)``: noise with that
ASD comes out with unit variance. Half of `fduration` is corrupt at each end of the result: see `valid_slice`.
"""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import _arguments, fft, psd, truncation
from gwsurrogate_ml.kernels._compiled import convolved_blocks
from gwsurrogate_ml.kernels._overlap import block_length, transfer
from gwsurrogate_ml.kernels._pruned import inverse_impulse_response
from gwsurrogate_ml.kernels.threads import each, parts

_TAPER = 5
"""Bins tapered at DC and Nyquist of the transfer function (gwpy's choice)."""


def whitening_filter(
    asd: np.ndarray,
    sample_rate: float,
    fduration: float = 2.0,
    *,
    duration: float | None = None,
    highpass: float | None = None,
) -> np.ndarray:
    """Taps of the whitening filter, symmetric about tap ``n_taps / 2 - 1``.

    Parameters
    ----------
    asd : real array (n,), one-sided, 1/sqrt(Hz), from 0 Hz to Nyquist
    sample_rate : float, Hz
    fduration : float, s
        length of the filter, an even number of samples
    duration : float, s, optional
        the ASD is interpolated to ``1 / duration`` before it is inverted; by default it is taken as it is
    highpass : float, Hz, optional
        the transfer function is zero below it

    Returns
    -------
    float64 (n_taps,), scaled so that noise with this ASD gets unit variance

    Raises
    ------
    DataError
        if the ASD is not positive above the high-pass corner
    ConfigError
        if the filter is longer than `duration`, or not an even number of samples

    Examples
    --------
    >>> taps = whitening_filter(np.full(513, np.sqrt(2 / 1024)), 1024.0, 0.5)      # white noise of unit variance
    >>> bool(np.argmax(taps) == 255 and abs(np.sum(taps**2) - 1) < 0.1)
    True
    """
    values = _arguments.one_sided(asd, "asd").astype(np.float64, copy=False)
    n_taps = _arguments.samples(fduration, sample_rate, "fduration")
    old_delta_f = 0.5 * sample_rate / (values.size - 1)
    # An odd number of samples has no bin at Nyquist; the grid of the nearest even length serves (as in gwpy).
    delta_f = old_delta_f if duration is None else sample_rate / _arguments.samples(duration, sample_rate, "duration")
    n_freq = truncation.grid_length(values.size, old_delta_f, delta_f)
    n = 2 * (n_freq - 1)
    if n_taps % 2 or n_taps < 2 * _TAPER or n_taps > n:
        raise ConfigError(
            f"fduration = {fduration:g} s is {n_taps} samples: choose an even number from {2 * _TAPER} to {n} "
            f"({n / sample_rate:g} s, set by the data or by the ASD's resolution)"
        )
    corner = 0
    if highpass is not None:
        corner, _ = _arguments.band(highpass, None, delta_f, n_freq)
    half = n_taps // 2
    ramp = 0.5 * (1.0 - np.cos(np.pi * np.arange(_TAPER) / (_TAPER - 0.5)))
    # An infinite value switches off its frequency; a finite stand-in can be interpolated.
    usable = np.minimum(values, 1e300)
    step = delta_f / old_delta_f
    if not (usable[int(max(corner, 1) * step) :] > 0).all():
        # What counts is what lies in between. DC is tapered to zero, so a zero there does no harm (detrended data have one).
        fine = truncation.interpolate(usable, old_delta_f, delta_f)
        _arguments.require_positive_band(fine, "asd", max(corner, 1), n_freq, delta_f)
    impulse = inverse_impulse_response(usable, step, corner, ramp, n, half)
    # Lags 1 - half ... half; the window is zero at the last one, so the filter is symmetric about lag zero.
    taper = psd.periodic_hann(n_taps)
    taps = np.concatenate([impulse[:0:-1] * taper[1:half], impulse * taper[half:], [0.0]])
    return taps * np.sqrt(2.0 / sample_rate)


def minimum_phase(taps: np.ndarray, length: int | None = None) -> np.ndarray:
    """Causal filter with the amplitude response of `taps` and the least delay: its energy comes first.

    Through the folded cepstrum of log |H|, whose phase is the Hilbert transform of the logarithm (Oppenheim and Schafer,
    Discrete-Time Signal Processing, 12.4).

    Parameters
    ----------
    taps : real array (n,), a whitening filter
    length : int, optional
        taps kept, `n` by default, the last eighth tapered

    Returns
    -------
    float64 (length,)

    Notes
    -----
    Where the response falls below 1e-6 of its maximum (below a high-pass corner) it is raised to that: a zero has no phase.

    Examples
    --------
    >>> echo = np.array([0.5, 1.0] + 30 * [0.0])                 # the louder sample comes last ...
    >>> minimum_phase(echo)[:3].round(6) + 0.0                   # ... and first in the filter of the same response
    array([1. , 0.5, 0. ])
    """
    filter_taps = _arguments.real_series(taps, "taps").astype(np.float64, copy=False)
    length = filter_taps.size if length is None else int(length)
    if length < 2:
        raise ConfigError(f"length is {length}: at least two taps are needed")
    # The cepstrum is longer than the filter; sixteen times as many frequencies keep its aliases below 1e-6.
    n = fft.next_fast_length(16 * max(filter_taps.size, length))
    padded = np.zeros(n)
    padded[: filter_taps.size] = filter_taps
    response = np.abs(fft.rfft(padded))
    if not response.max() > 0:
        raise DataError("taps are all zero: no filter")
    cepstrum = fft.irfft(np.log(np.maximum(response, 1e-6 * response.max())).astype(np.complex128), n)
    cepstrum[1 : n // 2] *= 2.0
    cepstrum[n // 2 + 1 :] = 0.0
    causal = fft.irfft(np.exp(fft.rfft(cepstrum)), n)[:length]
    ramp = length // 8
    causal[length - ramp :] *= 0.5 + 0.5 * np.cos(np.pi * (np.arange(ramp) + 0.5) / max(ramp, 1))
    return causal


def valid_slice(n_samples: int, sample_rate: float, fduration: float) -> slice:
    """The part of a whitened series that is not corrupt: half of `fduration` is cut at each end.

    The taper at the ends of the data leaves an echo with the weight of the filter's own faint ends for another half of
    `fduration`; cut `fduration` where that matters.

    Raises
    ------
    DataError
        if nothing is left

    Examples
    --------
    >>> valid_slice(4096 * 32, 4096.0, 2.0)
    slice(4096, 126976, None)
    """
    half = _arguments.samples(fduration, sample_rate, "fduration") // 2
    if 2 * half >= n_samples:
        raise DataError(f"{n_samples / sample_rate:g} s of data, no longer than fduration = {fduration:g} s: all of it is corrupt")
    return slice(half, n_samples - half)


def whiten(
    x: np.ndarray,
    sample_rate: float,
    asd: np.ndarray | None = None,
    *,
    segment_duration: float = 4.0,
    fduration: float = 2.0,
    highpass: float | None = None,
    detrend: bool = True,
) -> np.ndarray:
    """Whitened series of the same length and start time, unit variance for noise with the given ASD.

    Parameters
    ----------
    x : real array (n_t,)
        float32 is filtered in single precision (high-pass it first), anything else in float64
    sample_rate : float, Hz
    asd : real array (n,), one-sided, 1/sqrt(Hz), from 0 Hz to Nyquist, optional
        default: square root of the median Welch estimate of `x` with segments of `segment_duration`, half overlapping
    segment_duration : float, s
        used only where no `asd` is given
    fduration : float, s
        length of the filter
    highpass : float, Hz, optional
    detrend : bool
        remove the mean of `x` first

    Returns
    -------
    real array (n_t,), dtype of the checked `x`; ``fduration / 2`` at each end is corrupt (see `valid_slice`)

    Raises
    ------
    DataError
        if `x` is not finite or no longer than `fduration`, or the ASD is not positive above the corner
    ConfigError
        if `fduration` is longer than `segment_duration` (the ASD cannot define such a filter)

    Notes
    -----
    Equal to ``gwpy.timeseries.TimeSeries.whiten(segment_duration, segment_duration / 2, fduration=fduration)``, also in this: with
    an ASD of its own noise comes out too loud, by 8 % from four half-overlapping periodograms and 2 % from 31 (with fewer than
    four it means little). `strain.filtering.whiten` corrects for that.
    Over-whitening (dividing by the ASD once more) corrupts twice as much.

    Examples
    --------
    >>> x = 1e-21 * np.random.default_rng(0).standard_normal(64 * 512)
    >>> w = whiten(x, 512.0)[valid_slice(x.size, 512.0, 2.0)]
    >>> bool(abs(np.std(w) - 1) < 0.05)
    True
    """
    series = _arguments.real_series(x, "x")
    valid_slice(series.size, sample_rate, fduration)  # raises where nothing would be left
    if asd is None:
        if fduration > segment_duration:
            raise ConfigError(
                f"fduration = {fduration:g} s exceeds segment_duration = {segment_duration:g} s: an ASD from such "
                "segments cannot define the filter; lower fduration or raise segment_duration"
            )
        _, power = psd.welch(series, sample_rate, segment_duration)
        asd = np.sqrt(power)
    taps = whitening_filter(asd, sample_rate, fduration, duration=series.size / sample_rate, highpass=highpass)
    response = transfer(taps, block_length(series.size, taps.size), series.dtype)
    offset = float(series.mean(dtype=np.float64)) if detrend else 0.0
    ends = psd.periodic_hann(taps.size).astype(series.dtype)
    out = np.empty_like(series)
    step = response.n_fft - taps.size + 1
    forward, inverse = (fft.native(kind, response.n_fft, series.dtype) for kind in ("rfft", "irfft"))

    def some(starts: range) -> None:
        # Zeros before and after make the filter's middle tap meet each sample: the result is not shifted.
        buffers = np.empty(response.n_fft, series.dtype), np.empty(response.values.size, response.values.dtype)
        fft.check(
            convolved_blocks(
                series,
                starts.start,
                min(starts.stop, series.size),
                taps.size,
                offset,
                ends,
                response.values,
                forward[:2],
                inverse[:2],
                buffers,
                out,
            ),
            forward,
            inverse,
        )

    each(some, parts(range(0, series.size, step), least=4))
    return out
