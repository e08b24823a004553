"""From a long spectrum to a short filter and back, without the long transforms in between.

A filter of M samples cut out of a spectrum of N needs M of N outputs of one transform and feeds M of N inputs of the next.
With N = R L and L >= M, decimation splits each into about R / 2 transforms of length L (the rest follows from symmetry),
which stay in cache: several times faster than transforms of length N, and as exact.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.kernels import fft

_MAX_SPLIT = 256
"""Largest R: the phase factors are powers up to R / 2, each multiplication costing one rounding."""


def _split(n: int, n_taps: int) -> int:
    """Largest divisor R <= 256 of `n` with ``n / R >= n_taps``; 1 where there is none, which is the plain transform."""
    for r in range(min(_MAX_SPLIT, n // n_taps), 1, -1):
        if n % r == 0:
            return r
    return 1


_RESIDUES = 8
"""Residues treated together: eight neighbours are one cache line of the long spectrum, and their rows stay in cache."""


@njit(nogil=True, error_model="numpy")
def _fold(transfer: np.ndarray, split: int, first: int, rows: np.ndarray) -> None:  # pragma: no cover - compiled
    """``rows[i, q] = A[R q + first + i]`` of the symmetric two-sided spectrum."""
    n = split * rows.shape[1]
    for q in range(rows.shape[1]):
        for i in range(rows.shape[0]):
            k = split * q + first + i
            rows[i, q] = transfer[min(k, n - k)]


@njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _fold_inverse(
    values: np.ndarray,
    slopes: np.ndarray,
    step: float,
    corner: int,
    ramp: np.ndarray,
    split: int,
    first: int,
    rows: np.ndarray,
) -> None:  # pragma: no cover - compiled
    """As `_fold` for A[k] = 1 / values(k * step), linear in between with `slopes` (m,), of which the last is zero.

    A is zero below `corner`; its first and last values are multiplied by `ramp`, from the ends inwards.
    """
    length = rows.shape[1]
    n = split * length
    last = values.size - 1
    for i in range(rows.shape[0]):
        row = rows[i]
        r = first + i
        # k = split q + r as far as Nyquist, n - k beyond.
        middle = (n // 2 - r) // split + 1
        for q in range(middle):
            position = (split * q + r) * step
            left = min(int(position), last)
            row[q] = 1.0 / (values[left] + slopes[left] * (position - left))
        for q in range(middle, length):
            position = (n - split * q - r) * step
            left = min(int(position), last)
            row[q] = 1.0 / (values[left] + slopes[left] * (position - left))
        row[: min(max(0, (corner - r + split - 1) // split), length)] = 0.0
        row[max(0, (n - corner - r) // split + 1) :] = 0.0
        if r == 0 and not values[0] > 0:
            row[0] = 0.0
    for t in range(ramp.size):
        for k in (corner + t, n // 2 - t):
            for j in (k, n - k):
                mine = first <= j % split < first + rows.shape[0]
                if mine and 0 <= k <= n // 2 and (j == k or 2 * k != n):
                    rows[j % split - first, j // split % length] *= ramp[t]


@njit(nogil=True, error_model="numpy", fastmath=True)
def _gather(
    spectra: np.ndarray, n: int, split: int, first: int, phasor: np.ndarray, out: np.ndarray
) -> None:  # pragma: no cover - compiled
    """Add ``(1/N) exp(2 pi i r j / N) conj(F_r[j])`` for residues r = first + i, and for R - r, which is its conjugate.

    `phasor` (2, n_keep) holds ``exp(2 pi i j / N)`` and its power r; it is advanced.
    """
    step, power = phasor[0], phasor[1]
    for i in range(spectra.shape[0]):
        r = first + i
        weight = (1.0 if r == 0 or 2 * r == split else 2.0) / n
        row = spectra[i]
        for j in range(out.size):
            out[j] += weight * (power[j].real * row[j].real + power[j].imag * row[j].imag)
            power[j] *= step[j]


@njit(nogil=True, error_model="numpy", fastmath=True)
def _modulate(state: np.ndarray, start: int, rows: np.ndarray) -> None:  # pragma: no cover - compiled
    """``rows[i, j mod L] = x[j] exp(-2 pi i (r + i) j / N)`` for samples j = start, start + 1, ...

    `state` (2, n_taps) holds ``exp(-2 pi i j / N)`` and x[j] times its power r; it is advanced.
    """
    length, n_taps = rows.shape[1], state.shape[1]
    step, value = state[0], state[1]
    before = min(max(-start, 0), n_taps)
    for i in range(rows.shape[0]):
        row = rows[i]
        for t in range(before):
            row[length + start + t] = value[t]
            value[t] *= step[t]
        for t in range(before, n_taps):
            row[start + t] = value[t]
            value[t] *= step[t]


@njit(nogil=True, error_model="numpy", fastmath=True)
def _scatter_power(spectra: np.ndarray, split: int, first: int, out: np.ndarray) -> None:  # pragma: no cover - compiled
    """``out[k] = |X_r[q]|^2`` at k = R q + r, r = first + i, or at N - k where that is the one-sided frequency."""
    n = split * spectra.shape[1]
    for q in range(spectra.shape[1]):
        for i in range(spectra.shape[0]):
            k = split * q + first + i
            out[min(k, n - k)] = spectra[i, q].real ** 2 + spectra[i, q].imag ** 2


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
    return _impulse(partial(_fold, transfer), n, n_keep)


def inverse_impulse_response(values: np.ndarray, step: float, corner: int, ramp: np.ndarray, n: int, n_keep: int) -> np.ndarray:
    """`impulse_response` of the inverse of a coarsely sampled function, without its long spectrum in memory.

    Parameters
    ----------
    values : float64 (m,), m > 1, finite, positive where used; at zero frequency anything, and where not positive zero comes out
    step : float
        spacing of the transfer function's frequencies in units of that of `values`, which is linear in between
    corner : int
        the transfer function is zero below this frequency
    ramp : float64 (n_ramp,)
        multiplies the transfer function from the corner upwards and, mirrored, from Nyquist downwards
    n, n_keep : int
        as for `impulse_response`

    Returns
    -------
    float64 (n_keep,)

    Examples
    --------
    >>> inverse_impulse_response(np.full(3, 0.5), 0.25, 0, np.ones(0), 16, 3)
    array([2., 0., 0.])
    """
    slopes = np.append(np.diff(values), 0.0)
    return _impulse(partial(_fold_inverse, values, slopes, step, corner, ramp), n, n_keep)


def _impulse(fold: Callable[[int, int, np.ndarray], object], n: int, n_keep: int) -> np.ndarray:
    """First samples of the inverse transform of what ``fold(split, first, rows)`` gives: see `_fold`."""
    split = _split(n, 2 * n_keep)
    needed = split // 2 + 1
    buffer = np.empty((min(needed, _RESIDUES), n // split))
    spectra = np.empty((len(buffer), n // split // 2 + 1), dtype=np.complex128)
    out = np.zeros(n_keep)
    phasor = np.ones((2, n_keep), dtype=np.complex128)
    phasor[0] = np.exp(2j * np.pi / n * np.arange(n_keep))
    for first in range(0, needed, _RESIDUES):
        rows = buffer[: needed - first]
        fold(split, first, rows)
        _gather(fft.rfft(rows, out=spectra[: len(rows)]), n, split, first, phasor, out)
    return out


def response_power(taps: np.ndarray, start: int, n: int) -> np.ndarray:
    """Squared modulus of the one-sided transfer function of a short filter, at the frequencies of `n` samples.

    Parameters
    ----------
    taps : float64 (n_taps,)
        samples `start`, `start` + 1, ... of the filter; `start` < 0 for one that begins before zero lag
    start : int
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
    needed = split // 2 + 1
    buffer = np.zeros((min(needed, _RESIDUES), n // split), dtype=np.complex128)
    out = np.empty(n // 2 + 1)
    state = np.empty((2, taps.size), dtype=np.complex128)
    state[0] = np.exp(-2j * np.pi / n * np.arange(start, start + taps.size))
    state[1] = taps
    for first in range(0, needed, _RESIDUES):
        rows = buffer[: needed - first]
        _modulate(state, start, rows)
        _scatter_power(fft.fft(rows), split, first, out)
    return out
