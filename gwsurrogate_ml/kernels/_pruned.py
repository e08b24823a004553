"""From a long spectrum to a short filter and back, without the long transforms in between.

A filter of M samples cut out of a spectrum of N needs M of N outputs of one transform and feeds M of N inputs of the next.
With N = R L and L >= M, decimation splits each into about R / 2 transforms of length L (the rest follows from symmetry),
which stay in cache: several times faster than transforms of length N, and as exact.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gwsurrogate_ml.kernels import fft

_MAX_SPLIT = 256
"""Largest R: the phase factors are powers up to R / 2, each multiplication costing one rounding."""


def _split(n: int, n_taps: int) -> int:
    """Largest divisor R <= 256 of `n` with ``n / R >= n_taps``; 1 where there is none, which is the plain transform."""
    for r in range(min(_MAX_SPLIT, n // n_taps), 1, -1):
        if n % r == 0:
            return r
    return 1


@njit(cache=True, nogil=True, error_model="numpy")
def _fold(transfer: np.ndarray, split: int, rows: np.ndarray) -> None:  # pragma: no cover - compiled
    """``rows[r, q] = A[R q + r]`` of the symmetric two-sided spectrum."""
    n = split * rows.shape[1]
    for q in range(rows.shape[1]):
        for r in range(rows.shape[0]):
            k = split * q + r
            rows[r, q] = transfer[min(k, n - k)]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _gather(spectra: np.ndarray, n: int, split: int, out: np.ndarray) -> None:  # pragma: no cover - compiled
    """``out[j] = (1/N) sum_r exp(2 pi i r j / N) conj(F_r[j])`` over all R residues, from the first R / 2 + 1."""
    step, power = np.empty(out.size, np.complex128), np.ones(out.size, np.complex128)
    for j in range(out.size):
        step[j] = complex(np.cos(2 * np.pi * j / n), np.sin(2 * np.pi * j / n))
        out[j] = 0.0
    for r in range(spectra.shape[0]):
        weight = 1.0 if r == 0 or 2 * r == split else 2.0
        row = spectra[r]
        for j in range(out.size):
            out[j] += weight * (power[j].real * row[j].real + power[j].imag * row[j].imag) / n
            power[j] *= step[j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _modulate(taps: np.ndarray, first: int, n: int, rows: np.ndarray) -> None:  # pragma: no cover - compiled
    """``rows[r, j mod L] = x[j] exp(-2 pi i r j / N)`` for samples j = first, first + 1, ..."""
    length = rows.shape[1]
    for t in range(taps.size):
        j = first + t
        place = j if j >= 0 else j + length
        step = complex(np.cos(2 * np.pi * j / n), -np.sin(2 * np.pi * j / n))
        value = complex(taps[t], 0.0)
        for r in range(rows.shape[0]):
            rows[r, place] = value
            value *= step


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _scatter_power(spectra: np.ndarray, split: int, out: np.ndarray) -> None:  # pragma: no cover - compiled
    """``out[k] = |X_r[q]|^2`` at k = R q + r, or at N - k where that is the one-sided frequency."""
    n = split * spectra.shape[1]
    for q in range(spectra.shape[1]):
        for r in range(spectra.shape[0]):
            k = split * q + r
            out[min(k, n - k)] = spectra[r, q].real ** 2 + spectra[r, q].imag ** 2


def impulse_response(transfer: np.ndarray, n: int, n_keep: int) -> np.ndarray:
    """First `n_keep` samples of ``irfft(transfer, n)`` for a real (zero-phase) transfer function; the rest mirrors them.

    Parameters
    ----------
    transfer : float64 (n // 2 + 1,)
    n : int, even
    n_keep : int, at most n // 2 + 1

    Returns
    -------
    float64 (n_keep,)

    Examples
    --------
    >>> impulse_response(np.ones(9), 16, 3)
    array([1., 0., 0.])
    """
    split = _split(n, 2 * n_keep)
    rows = np.empty((split // 2 + 1, n // split))
    _fold(transfer, split, rows)
    out = np.empty(n_keep)
    _gather(fft.rfft(rows), n, split, out)
    return out


def response_power(taps: np.ndarray, first: int, n: int) -> np.ndarray:
    """Squared modulus of the one-sided transfer function of a short filter, at the frequencies of `n` samples.

    Parameters
    ----------
    taps : float64 (n_taps,)
        samples `first`, `first` + 1, ... of the filter, `first` <= 0 for one that starts before zero lag
    first : int
    n : int, even, at least n_taps

    Returns
    -------
    float64 (n // 2 + 1,)

    Examples
    --------
    >>> response_power(np.array([1.0, 1.0]), 0, 4)
    array([4., 2., 0.])
    """
    split = _split(n, taps.size)
    rows = np.zeros((split // 2 + 1, n // split), dtype=np.complex128)
    _modulate(taps, first, n, rows)
    out = np.empty(n // 2 + 1)
    _scatter_power(fft.fft(rows), split, out)
    return out
