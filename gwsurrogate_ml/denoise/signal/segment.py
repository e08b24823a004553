"""The signal denoisers' segment: its length, band and frequencies, what is found in it, and the way between spectra and series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.kernels import fft

DURATION = 4.0
"""Segment that is denoised at once, s."""
SEARCH = (1.9, 3.6)
"""Where in the segment a signal's peak is looked for, s: light binaries need what lies before, filters what lies after."""
NEAR = 0.1
"""Peaks this near each other (s) that two segments see on either side of the seam of their search intervals are one."""
TAPER = 0.2
"""Tukey taper at each end of a segment, s."""
F_LOW, F_HIGH = 24.0, 480.0
"""The band, Hz: beyond it the binaries in question have no signal to speak of."""


@dataclass(frozen=True)
class Segment:
    """A whitened segment of noise: transform (n_f,) over sqrt(psd), and the PSD (n_f,), on `frequencies`."""

    white: np.ndarray
    psd: np.ndarray


@dataclass(frozen=True)
class Reconstruction:
    """What a denoiser says of one segment.

    Parameters
    ----------
    signal, sigma : (n,) float64, whitened; the posterior mean times the probability of a signal, and its standard deviation
    probability : float, that there is a signal of the denoiser's kind in the segment's search interval
    snr : float, of the data along the reconstruction
    time : float, s from the segment's start, of its peak
    log_bayes : float, signal against noise
    ood : float
        excess of the residual's energy in its loudest window, in standard deviations of Gaussian noise
    best : int, index of the best waveform of a bank; -1 where there is no bank
    ood_latent : float
        distance of the data's inner representation from those of signals and noise; NaN where there is none
    """

    signal: np.ndarray
    sigma: np.ndarray
    probability: float
    snr: float
    time: float
    log_bayes: float
    ood: float
    best: int = -1
    ood_latent: float = float("nan")


def undecided(time: float, search: tuple[float, float] = SEARCH) -> bool:
    """Whether a peak at `time` (s from its segment's start) may be the next segment's.

    Examples
    --------
    >>> undecided(3.0), undecided(3.55)
    (False, True)
    """
    return time > search[1] - NEAR


def one_peak(time: float, later: float, search: tuple[float, float] = SEARCH) -> bool:
    """Whether the peaks of a segment and of the next, each in s from its segment's start, are one, to be counted once.

    Examples
    --------
    >>> one_peak(3.59, 1.91), one_peak(3.59, 2.5)
    (True, False)
    """
    return undecided(time, search) and later + search[1] - search[0] - time < NEAR


def peak_time(series: np.ndarray, sampling_frequency: float, search: tuple[float, float] = SEARCH) -> float:
    """Time (s) of the largest envelope of a segment's `series` (n,), n even, in the search interval."""
    full = np.zeros(series.size, np.complex128)
    full[: series.size // 2] = fft.rfft(series)[:-1]
    first, last = (round(t * sampling_frequency) for t in search)
    return float((first + np.argmax(np.abs(fft.ifft(full))[first:last])) / sampling_frequency)


def frequencies() -> np.ndarray:
    """The denoisers' frequencies (n_f,), Hz.

    Examples
    --------
    >>> frequencies()[[0, 1, -1]]
    array([ 24.  ,  24.25, 479.75])
    """
    return np.arange(round(F_LOW * DURATION), round(F_HIGH * DURATION)) / DURATION


def require_rate(sampling_frequency: float, name: str) -> None:
    """Raise DataError unless a series called `name` is sampled at a whole rate (Hz) that holds the band.

    Examples
    --------
    >>> require_rate(1024.0, "H1")
    """
    if sampling_frequency < 2.0 * F_HIGH or abs(sampling_frequency - round(sampling_frequency)) > 1e-6:
        raise DataError(
            f"{name} is sampled at {sampling_frequency:g} Hz: whole rates from {2 * F_HIGH:g} Hz are needed, read the data at one"
        )


def to_series(spectra: np.ndarray, sampling_frequency: float) -> np.ndarray:
    """Whitened series (n, DURATION * rate) of spectra (n, n_f) on `frequencies`."""
    size = round(DURATION * sampling_frequency)
    full = np.zeros((len(spectra), size // 2 + 1), np.complex128)
    first = round(F_LOW * DURATION)
    full[:, first : first + spectra.shape[1]] = spectra
    return fft.irfft(full, size) * np.sqrt(2.0 * sampling_frequency)


def to_spectrum(piece: np.ndarray, sampling_frequency: float) -> np.ndarray:
    """Transform (n_f,) of a whitened segment (DURATION s) on `frequencies`, tapered at both ends."""
    from scipy.signal.windows import tukey

    spectrum = fft.rfft(piece * tukey(piece.size, 2.0 * TAPER / DURATION)) * np.sqrt(0.5 / sampling_frequency)
    first, last = round(F_LOW * DURATION), round(F_HIGH * DURATION)
    return np.asarray(spectrum[first:last])
