"""Products of matrices and terms of polynomials for one binary, in compiled code."""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.jit import njit


@njit(nogil=True)
def add_product(row: np.ndarray, matrix: np.ndarray, out: np.ndarray, first: int = 0) -> None:
    """Add row (n,) times matrix (n, first + n_out), float32 or float64, less its first columns, to `out` (n_out,) float64."""
    n = len(matrix)
    fours = n - n % 4
    for i in range(0, fours, 4):
        a, b, c, d = row[i], row[i + 1], row[i + 2], row[i + 3]
        w, x, y, z = matrix[i, first:], matrix[i + 1, first:], matrix[i + 2, first:], matrix[i + 3, first:]
        for j in range(out.size):
            out[j] += a * w[j] + b * x[j] + c * y[j] + d * z[j]
    for i in range(fours, n):
        a, w = row[i], matrix[i, first:]
        for j in range(out.size):
            out[j] += a * w[j]


@njit(nogil=True)
def chebyshev_terms(x: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """Products of Chebyshev polynomials (n_terms,) of the features `x` (4,), of degrees `exponents` (n_terms, 4)."""
    degree = exponents.max()
    powers = np.empty((max(degree, 1) + 1, 4))
    for j in range(4):
        powers[0, j], powers[1, j] = 1.0, x[j]
        for k in range(2, degree + 1):
            powers[k, j] = 2.0 * x[j] * powers[k - 1, j] - powers[k - 2, j]
    terms = np.empty(len(exponents))
    for k in range(terms.size):
        a, b, c, d = exponents[k]
        terms[k] = powers[a, 0] * powers[b, 1] * powers[c, 2] * powers[d, 3]
    return terms


@njit(nogil=True)
def combined(both: np.ndarray, orders: np.ndarray, delta: float, chi_a: float, out: np.ndarray) -> None:
    """Write coefficients of modes (n_modes, n_basis) from f and g in a row, `both`: f for even m, ``delta f + chi_a g`` for odd.

    `orders` (n_modes,) are the modes' m.
    """
    flat, n_basis = out.reshape(-1), out.shape[1]
    for k in range(flat.size):
        odd = orders[k // n_basis] % 2 == 1
        flat[k] = both[k] * delta + both[flat.size + k] * chi_a if odd else both[k]
