"""All modes turned from the co-precessing to the inertial frame at many times at once, and the derivatives of that.

Wigner's matrix is a product of phases and of constant real matrices, ``d(beta) = P D exp(-i beta k) D^T P^*`` with ``D = d(pi/2)``
and phases P (Trapani & Navaza 2006): two real products a mode's l in place of a polynomial for each pair (m, n). A rotation of the
frame about an axis by a small angle turns the modes by the operator of angular momentum about it: derivatives have no poles where
Euler's angles have them.
"""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.surrogate.precessing.rotation import matrix_terms
from gwsurrogate_ml.waveform.elementary import sine_cosine

TOP = 5
INERTIAL: tuple[ModeKey, ...] = tuple((l, m) for l in range(2, TOP + 1) for m in range(-l, l + 1))
"""Modes that are turned, and their order."""
INERTIAL_ORDERS = np.array([m for _, m in INERTIAL])
RAISING = np.array([np.sqrt(l * (l + 1) - m * (m - 1)) for l, m in INERTIAL])
"""Of the operator J_+, from the mode before to each."""
BLOCK = 64
"""Times that are worked on at once: they stay in the nearest cache."""


def _quarter_turns() -> np.ndarray:
    """Wigner's d^l_{m k}(pi / 2): (4, 11, 11) float64 for l = 2 to 5, m and k from -l on."""
    out = np.zeros((TOP - 1, 2 * TOP + 1, 2 * TOP + 1))
    half = np.sqrt(0.5)
    for l in range(2, TOP + 1):
        entries = tuple((l, m, k) for m in range(-l, l + 1) for k in range(-l, l + 1))
        terms = matrix_terms(entries)
        each = terms.factor * half ** (terms.cosine + terms.sine)
        out[l - 2, : 2 * l + 1, : 2 * l + 1] = np.add.reduceat(each, terms.first[:-1]).reshape(2 * l + 1, 2 * l + 1)
    return out


QUARTER = _quarter_turns()
QUARTER_TRANSPOSED = np.ascontiguousarray(QUARTER.transpose(0, 2, 1))


@njit(nogil=True)
def _powers(re: np.ndarray, im: np.ndarray, n: int) -> None:
    """Powers -5 to 5 of phase factors: rows of `re`, `im` (11, n), of which row 6 is given."""
    for j in range(n):
        re[5, j], im[5, j] = 1.0, 0.0
    for m in range(7, 11):
        for j in range(n):
            re[m, j] = re[m - 1, j] * re[6, j] - im[m - 1, j] * im[6, j]
            im[m, j] = re[m - 1, j] * im[6, j] + im[m - 1, j] * re[6, j]
    for m in range(5):
        for j in range(n):
            re[m, j], im[m, j] = re[10 - m, j], -im[10 - m, j]


@njit(nogil=True)
def _factors(frames: np.ndarray, first: np.ndarray, middle: np.ndarray, last: np.ndarray) -> None:
    """Phase factors (2, 11, n), real and imaginary parts of powers -5 to 5, of the three steps at `frames` (n, 4)."""
    n = len(frames)
    for j in range(n):
        w, x, y, z = frames[j]
        cosine, sine = np.sqrt(w * w + z * z), np.sqrt(x * x + y * y)
        # Phases of R_a = w - i z and R_b = -y - i x, see `rotation`; any will do where its modulus vanishes.
        a, b = (w / cosine, -z / cosine) if cosine > 0 else (1.0, 0.0)
        c, d = (-y / sine, -x / sine) if sine > 0 else (1.0, 0.0)
        length = cosine * cosine + sine * sine
        # -i left / right, (cos - i sin)^2, i left right
        first[0, 6, j], first[1, 6, j] = b * c - a * d, -(a * c + b * d)
        middle[0, 6, j], middle[1, 6, j] = (cosine * cosine - sine * sine) / length, -2.0 * cosine * sine / length
        last[0, 6, j], last[1, 6, j] = -(a * d + b * c), a * c - b * d
    for factor in (first, middle, last):
        _powers(factor[0], factor[1], n)


@njit(nogil=True, fastmath=True)
def _product(matrix: np.ndarray, size: int, given: np.ndarray, n: int, out: np.ndarray) -> None:
    """``out[k] = sum_m matrix[m, k] given[m]`` for rows (2, size, n)."""
    for part in range(2):
        for k in range(size):
            row = out[part, k]
            for j in range(n):
                row[j] = matrix[0, k] * given[part, 0, j]
            for m in range(1, size, 2):
                p, q, u, v = matrix[m, k], matrix[m + 1, k], given[part, m], given[part, m + 1]
                for j in range(n):
                    row[j] += p * u[j] + q * v[j]


@njit(nogil=True)
def _multiply(factor: np.ndarray, l: int, n: int, rows: np.ndarray) -> None:
    """Multiply `rows` (2, 2 l + 1, n) by the powers -l to l."""
    for k in range(2 * l + 1):
        c, s = factor[0, 5 - l + k], factor[1, 5 - l + k]
        for j in range(n):
            x, y = rows[0, k, j], rows[1, k, j]
            rows[0, k, j], rows[1, k, j] = x * c[j] - y * s[j], x * s[j] + y * c[j]


@njit(nogil=True)
def turn(quarter: np.ndarray, transposed: np.ndarray, frames: np.ndarray, modes: np.ndarray, out: np.ndarray) -> None:
    """Write co-precessing `modes` (32, n) complex128, in the order of `INERTIAL`, seen from the inertial frame into `out`.

    `frames` (n, 4) float64 are quaternions of any length from the co-precessing to the inertial frame; `quarter` and `transposed`
    are `QUARTER` and `QUARTER_TRANSPOSED`.
    """
    first, middle, last = np.empty((2, 11, BLOCK)), np.empty((2, 11, BLOCK)), np.empty((2, 11, BLOCK))
    rows, others = np.empty((2, 11, BLOCK)), np.empty((2, 11, BLOCK))
    for begin in range(0, len(frames), BLOCK):
        part = frames[begin : begin + BLOCK]
        n = len(part)
        _factors(part, first, middle, last)
        for l in range(2, 6):
            size, offset = 2 * l + 1, l * l - 4
            for k in range(size):
                row = modes[offset + k, begin : begin + BLOCK]
                for j in range(n):
                    rows[0, k, j], rows[1, k, j] = row[j].real, row[j].imag
            _multiply(first, l, n, rows)
            _product(quarter[l - 2], size, rows, n, others)
            _multiply(middle, l, n, others)
            _product(transposed[l - 2], size, others, n, rows)
            _multiply(last, l, n, rows)
            for k in range(size):
                row = out[offset + k, begin : begin + BLOCK]
                for j in range(n):
                    row[j] = complex(rows[0, k, j], rows[1, k, j])


@njit(nogil=True)
def with_phase(modes: np.ndarray, orders: np.ndarray, phase: np.ndarray) -> None:
    """Multiply `modes` (n_modes, n) complex128 by ``exp(-i m phase)`` of their `orders`, |m| <= 5."""
    n = phase.size
    c, s = np.empty((11, n)), np.empty((11, n))
    sine_cosine(phase, s[6], c[6])
    _powers(c, s, n)
    for k in range(orders.size):
        x, y, row = c[5 + orders[k]], s[5 + orders[k]], modes[k]
        for j in range(n):
            row[j] *= complex(x[j], -y[j])


@njit(nogil=True)
def torques(grad: np.ndarray, turned: np.ndarray, up: np.ndarray, out: np.ndarray) -> None:
    """Derivative (n, 3) of a number in small rotations of the frame about x, y, z, given that in the `turned` modes (32, n)."""
    for k in range(len(INERTIAL_ORDERS)):
        g, h, m = grad[k], turned[k], INERTIAL_ORDERS[k]
        for j in range(g.size):
            out[j, 2] += m * (g[j].conjugate() * h[j]).imag
        if up[k] > 0:
            h, g_below, h_below = turned[k], grad[k - 1], turned[k - 1]
            for j in range(g.size):
                raised, lowered = g[j].conjugate() * h_below[j], g_below[j].conjugate() * h[j]
                out[j, 0] += 0.5 * up[k] * (raised.imag + lowered.imag)
                out[j, 1] -= 0.5 * up[k] * (raised.real - lowered.real)
