"""From the co-precessing frame to an observer, and to modes in the inertial frame.

A direction (theta, phi) of the inertial frame is the rotation ``R_n = exp(phi z / 2) exp(theta y / 2)``. Seen from the
co-precessing frame R(t) it is ``R^-1 R_n``, with Euler angles (alpha, beta, gamma), and
``h = sum_lm h_lm Y_lm(beta, alpha) exp(2 i gamma)`` with harmonics of spin weight -2 (Boyle 2016, arXiv:1604.08140): exact, and no
mode needs to be rotated. Harmonics are polynomials of ``R_a = cos(beta / 2) exp(i (alpha + gamma) / 2)`` and
``R_b = sin(beta / 2) exp(i (gamma - alpha) / 2)``, the quaternion's components: no angle jumps where beta is 0.
"""

from __future__ import annotations

from functools import cache
from math import factorial, pi, sqrt
from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.jit import njit


class Terms(NamedTuple):
    """Terms of harmonics, or of rotation matrices, as sums of ``factor cos(beta/2)^cosine sin(beta/2)^sine``.

    Parameters
    ----------
    first : (n + 1,) int64
        where the terms of each entry begin
    factor : (n_terms,) float64
    cosine, sine : (n_terms,) uint32
    """

    first: np.ndarray
    factor: np.ndarray
    cosine: np.ndarray
    sine: np.ndarray


def _entry(l: int, m: int, n: int) -> list[tuple[float, int, int]]:
    """Terms of Wigner's d^l_{m n}(beta), Condon and Shortley's phase."""
    norm = sqrt(factorial(l + m) * factorial(l - m) * factorial(l + n) * factorial(l - n))
    return [
        (
            (-1) ** (m - n + k) * norm / (factorial(l + n - k) * factorial(k) * factorial(m - n + k) * factorial(l - m - k)),
            2 * l + n - m - 2 * k,
            m - n + 2 * k,
        )
        for k in range(max(0, n - m), min(l + n, l - m) + 1)
    ]


def _terms(entries: list[tuple[int, int, int]], factors: list[float]) -> Terms:
    rows = [_entry(*entry) for entry in entries]
    flat = [(f * a, c, s) for row, f in zip(rows, factors, strict=True) for a, c, s in row]
    factor, *powers = zip(*flat, strict=True)
    cosine, sine = np.array(powers, np.uint32)
    first = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return Terms(first, np.array(factor), cosine, sine)


@cache
def harmonic_terms(modes: tuple[ModeKey, ...]) -> Terms:
    """Of the harmonics of spin weight -2 of `modes`."""
    return _terms([(l, m, 2) for l, m in modes], [sqrt((2 * l + 1) / (4 * pi)) for l, _ in modes])


def matrix_terms(entries: tuple[tuple[int, int, int], ...]) -> Terms:
    """Of the entries (l, m, n) of matrices that give harmonics of a product: ``Y_lm(Q P) = sum_n T_lmn(Q) Y_ln(P)``."""
    return _terms(list(entries), [1.0] * len(entries))


@njit(nogil=True)
def direction(theta: float, phi: float) -> tuple[float, float, float, float]:
    """The quaternion R_n, scalar first."""
    c, s, e, f = np.cos(theta / 2), np.sin(theta / 2), np.cos(phi / 2), np.sin(phi / 2)
    return e * c, -f * s, e * s, f * c


@njit(nogil=True)
def _seen_from(frame: np.ndarray, n: tuple[float, float, float, float]) -> tuple[complex, complex]:
    """R_a and R_b of a `direction` seen from a `frame` (4,), scalar first."""
    a, b, g, d = frame[0], -frame[1], -frame[2], -frame[3]
    w = a * n[0] - b * n[1] - g * n[2] - d * n[3]
    x = a * n[1] + b * n[0] + g * n[3] - d * n[2]
    y = a * n[2] - b * n[3] + g * n[0] + d * n[1]
    z = a * n[3] + b * n[2] - g * n[1] + d * n[0]
    return complex(w, z), complex(y, x)


MOST = 10
"""Highest power of any factor, for l up to 5."""


@njit(nogil=True, fastmath=True)
def harmonics(terms: Terms, frames: np.ndarray, n: tuple[float, float, float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Harmonics of spin weight -2 of a `direction` seen from each of some frames: one of order m is ``out first^m second``.

    Parameters
    ----------
    terms : Terms
        `harmonic_terms`
    frames : (n_t, 4) float64
        unit quaternions, scalar first
    n : 4 floats
        the direction

    Returns
    -------
    out : (n_modes, n_t) float64
    first, second : (n_t,) complex128
        ``exp(i alpha)`` and ``exp(2 i gamma)``
    """
    n_t, n_modes = len(frames), terms.first.size - 1
    first, second = np.empty(n_t, np.complex128), np.empty(n_t, np.complex128)
    cosines, sines = np.ones((MOST + 1, n_t)), np.ones((MOST + 1, n_t))
    for i in range(n_t):
        r_a, r_b = _seen_from(frames[i], n)
        c, s = np.sqrt(r_a.real**2 + r_a.imag**2), np.sqrt(r_b.real**2 + r_b.imag**2)
        # Any phase will do where a modulus vanishes.
        a = r_a * (1.0 / c) if c > 0 else complex(1.0, 0.0)
        b = r_b * (1.0 / s) if s > 0 else complex(1.0, 0.0)
        both = a * b
        cosines[1, i], sines[1, i], first[i], second[i] = c, s, a * b.conjugate(), both * both
    for k in range(2, MOST + 1):
        for powers in (cosines, sines):
            one, before, row = powers[1], powers[k - 1], powers[k]
            for i in range(n_t):
                row[i] = before[i] * one[i]
    out = np.zeros((n_modes, n_t))
    for k in range(n_modes):
        row = out[k]
        for j in range(terms.first[k], terms.first[k + 1]):
            factor, c_row, s_row = terms.factor[j], cosines[terms.cosine[j]], sines[terms.sine[j]]
            for i in range(n_t):
                row[i] += factor * c_row[i] * s_row[i]
    return out, first, second
