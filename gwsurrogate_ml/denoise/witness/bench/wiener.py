"""Wiener filters on a frequency grid: the smoother, and the causal filter by spectral factorisation.

Spectra are one-sided on a uniform grid from 0 Hz to the Nyquist frequency. Source: Wiener 1949; Kolmogorov's cepstral
factorisation as in Oppenheim and Schafer, Discrete-Time Signal Processing, chapter 13.
"""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.kernels import fft


def autocovariance(psd: np.ndarray, sampling_frequency: float) -> np.ndarray:
    """Autocovariance (n,) at lags 0, 1/fs, ... (wrapped around) of a process with one-sided PSD (n/2 + 1,).

    Examples
    --------
    >>> autocovariance(np.full(5, 2.0), 4.0)[:2]      # white noise of unit two-sided density: variance fs
    array([4., 0.])
    """
    return fft.irfft(0.5 * psd, 2 * (psd.size - 1)) * sampling_frequency


def psd_of(covariance: np.ndarray, sampling_frequency: float) -> np.ndarray:
    """One-sided PSD (n/2 + 1,) of a wrapped autocovariance (n,): the inverse of `autocovariance`.

    Examples
    --------
    >>> psd_of(np.array([4.0, 0.0, 0.0, 0.0]), 4.0)
    array([2., 2., 2.])
    """
    return 2.0 * fft.rfft(covariance).real / sampling_frequency


def variance(psd: np.ndarray, sampling_frequency: float) -> float:
    """Variance of a process with one-sided PSD (n/2 + 1,)."""
    return float(autocovariance(psd, sampling_frequency)[0])


def minimum_phase(psd: np.ndarray) -> np.ndarray:
    """Causal, causally invertible transfer function with |A|^2 = psd > 0, shape (n/2 + 1,).

    Examples
    --------
    >>> f = np.linspace(0.0, 1.0, 257)
    >>> a = minimum_phase(1.0 + f**2)
    >>> bool(np.allclose(abs(a) ** 2, 1.0 + f**2))
    True
    """
    n = 2 * (psd.size - 1)
    cepstrum = fft.irfft(np.log(psd).astype(np.complex128), n)
    cepstrum[1 : n // 2] *= 2.0
    cepstrum[n // 2 + 1 :] = 0.0
    factor: np.ndarray = np.exp(0.5 * fft.rfft(cepstrum))
    return factor


def causal_part(transfer: np.ndarray) -> np.ndarray:
    """Transfer function (n/2 + 1,) of the part of an impulse response at lags 0 ... n/2 - 1."""
    n = 2 * (transfer.size - 1)
    response = fft.irfft(transfer, n)
    response[n // 2 :] = 0.0
    return fft.rfft(response)


def wiener(cross: np.ndarray, observed: np.ndarray, *, causal: bool = False, weight: np.ndarray | None = None) -> np.ndarray:
    """Transfer function of the least-squares estimate of a target from an observed series.

    Parameters
    ----------
    cross : complex (n_f,)
        cross-spectrum: E[target conj(observed)]
    observed : (n_f,)
        PSD of what is observed, positive
    causal : bool
        use the observed series' past and present alone
    weight : (n_f,), optional
        a PSD whose inverse weights the squared error; matters for the causal filter alone (the smoother is best at every
        frequency by itself)

    Returns
    -------
    complex128 (n_f,)

    Examples
    --------
    >>> signal, noise = np.full(9, 3.0), np.full(9, 1.0)
    >>> wiener(signal, signal + noise)[0]
    np.complex128(0.75+0j)
    """
    if not causal:
        return np.asarray(cross / observed, dtype=np.complex128)
    shaping = np.ones(observed.size, np.complex128) if weight is None else minimum_phase(weight)
    factor = minimum_phase(observed)
    inner = causal_part(cross / (shaping * np.conj(factor)))
    return np.asarray(inner * shaping / factor, dtype=np.complex128)
