"""Matches and powers of signals as detectors see them, without the signals: patterns, delays and products in one pass."""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.jit import njit

_BLOCK = 64
"""Frequencies whose turns come from one table."""


@njit(nogil=True, fastmath={"contract", "reassoc", "nsz"})
def match_and_power(
    both: np.ndarray,
    f_plus: np.ndarray,
    f_cross: np.ndarray,
    times: np.ndarray,
    band: tuple[int, int],
    df: float,
    data: np.ndarray,
    weight: np.ndarray,
    match: np.ndarray,
    power: np.ndarray,
) -> None:
    """Add the network's Re <h|d> and <h|h> of N signals to `match` and `power` (N,).

    Parameters
    ----------
    both : (N, 2, n) complex128, 1/Hz
        plus and cross at the frequencies 0, `df`, 2 `df`, ...
    f_plus, f_cross, times : (N, n_det) float64
        antenna patterns; arrival times in s
    band : (first, end), int
        frequencies that count
    df : float, Hz
    data : (n_det, n) complex128
        strain times `weight`
    weight : (n_det, n) float64
    """
    table = np.empty(_BLOCK, np.complex128)
    for i in range(len(both)):
        for d in range(len(data)):
            plus, cross = f_plus[i, d], f_cross[i, d]
            angle = -2.0 * np.pi * df * times[i, d]
            for k in range(_BLOCK):
                table[k] = complex(np.cos(angle * k), np.sin(angle * k))
            for first in range(band[0], band[1], _BLOCK):
                start = complex(np.cos(angle * first), np.sin(angle * first))
                re, total = 0.0, 0.0
                for k in range(min(_BLOCK, band[1] - first)):
                    f = first + k
                    a = plus * both[i, 0, f].real + cross * both[i, 1, f].real
                    b = plus * both[i, 0, f].imag + cross * both[i, 1, f].imag
                    turn = start * table[k]
                    c, s = a * turn.real - b * turn.imag, a * turn.imag + b * turn.real
                    re += c * data[d, f].real + s * data[d, f].imag
                    total += weight[d, f] * (a * a + b * b)
                match[i] += re
                power[i] += total
