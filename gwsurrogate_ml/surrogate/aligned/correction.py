"""The correction of the higher modes towards numerical relativity, evaluated: polynomials that fade at the edge of what is known.

Polynomials of delta = (m1 - m2) / M, chi_s and chi_a give coefficients of a basis of co-orbital modes (`stage3` makes both): even
in (delta, chi_a) together for even m and odd for odd m, so that exchange of the bodies is exact and odd m still vanish for equal
ones. Known are mass ratios to 2 and spins to 0.8. Beyond, the polynomials are halted and their weight falls to nothing, at a mass
ratio of 3 and spins of 0.9. Functions work on numpy arrays and torch tensors alike, those of plain arithmetic in compiled code too.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any

import numpy as np
from numba.extending import register_jitable

from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.surrogate.aligned.coordinates import masses

Array = Any
Q_KNOWN, Q_END, Q_TURN = 2.0, 3.0, 0.1
"""To what mass ratio the correction is full, from where on it is nothing, and over how much its polynomials come to a halt."""
CHI_KNOWN, CHI_END, CHI_TURN = 0.8, 0.9, 0.03


@register_jitable
def _clipped(x: Array) -> Array:
    """`x` within 0 and 1, for numbers, numpy arrays and torch tensors."""
    return 0.5 * (abs(x) - abs(x - 1.0) + 1.0)


@register_jitable
def rise(x: Array) -> Array:
    """From 0 at x <= 0 to 1 at x >= 1, with two continuous derivatives."""
    x = _clipped(x)
    return x**3 * (10.0 + x * (6.0 * x - 15.0))


@register_jitable
def _excess(x: Array, width: float) -> Array:
    """What to take from `x` that it comes to a halt beyond 0: over `width`, at half of it, with three continuous derivatives."""
    rest = _clipped(x / width)
    return 0.5 * (x + abs(x)) - width * (rest - rest**4 * (2.5 + rest * (rest - 3.0)))


@register_jitable
def variables(q: Array, chi1: Array, chi2: Array) -> tuple[Array, Array, Array, Array]:
    """3 delta, chi_s / 0.8 and chi_a / 0.8, halted at the edge of what is known; and the weight: 1 inside, 0 far outside.

    Parameters
    ----------
    q, chi1, chi2 : numbers, numpy arrays or torch tensors of one shape
    """
    weight = 1.0 - rise((q - Q_KNOWN) / (Q_END - Q_KNOWN))
    weight = weight * (1.0 - rise((abs(chi1) - CHI_KNOWN) / (CHI_END - CHI_KNOWN)))
    weight = weight * (1.0 - rise((abs(chi2) - CHI_KNOWN) / (CHI_END - CHI_KNOWN)))
    _, _, delta = masses(q - _excess(q - Q_KNOWN, Q_TURN))
    a = chi1 - _excess(chi1 - CHI_KNOWN, CHI_TURN) + _excess(-chi1 - CHI_KNOWN, CHI_TURN)
    b = chi2 - _excess(chi2 - CHI_KNOWN, CHI_TURN) + _excess(-chi2 - CHI_KNOWN, CHI_TURN)
    return 3.0 * delta, 0.5 * (a + b) / CHI_KNOWN, 0.5 * (a - b) / CHI_KNOWN, weight


def sizes(parameters: np.ndarray, m: int) -> np.ndarray:
    """How large (N,) the modes of order `m` may be at `parameters` (N, 3): 1 for even m, 0 for equal bodies where m is odd."""
    delta, _, chi_a, _ = variables(parameters[:, 0], parameters[:, 1], parameters[:, 2])
    return np.hypot(delta, chi_a) if m % 2 else np.ones(len(parameters))


def exponents(degree: int) -> list[tuple[int, ...]]:
    """Powers of the three variables, of total `degree` at most."""
    return [e for e in itertools.product(range(degree + 1), repeat=3) if sum(e) <= degree]


@lru_cache
def exponents_of(n_terms: int) -> list[tuple[int, ...]]:
    """The `exponents` that are `n_terms`."""
    degree = next(d for d in itertools.count() if len(exponents(d)) >= n_terms)
    return exponents(degree)


def _powers(x: Array, degree: int, xp: Any) -> list[Array]:
    found = [xp.ones_like(x)]
    for _ in range(degree):
        found.append(found[-1] * x)
    return found


def terms(parameters: Array, n_terms: int, xp: Any = np) -> Array:
    """Monomials (N, n_terms) times the weight at `parameters` (N, 3) = (q, chi1, chi2)."""
    *x, weight = variables(parameters[:, 0], parameters[:, 1], parameters[:, 2])
    which = exponents_of(n_terms)
    delta, chi_s, chi_a = (_powers(row, max(map(max, which)), xp) for row in x)
    return xp.stack([weight * delta[i] * chi_s[j] * chi_a[k] for i, j, k in which], 1)


def coefficients(parameters: Array, tensors: dict[str, Any], xp: Any = np) -> Array:
    """Coefficients (N, n_modes, n_basis) of `stage3.basis`, for all higher modes of the model."""
    n_modes, n_basis, _ = tensors["stage3.basis"].shape
    table = tensors["stage3.polynomial"]
    return (terms(parameters, len(table), xp) @ table).reshape(-1, n_modes, n_basis)


@njit(nogil=True)
def write(polynomial: np.ndarray, powers_of: np.ndarray, q: float, chi1: float, chi2: float, out: np.ndarray) -> None:
    """Write the `coefficients` of one binary into `out` (n_modes, n_basis), zeros before.

    Parameters
    ----------
    polynomial : (n_terms, n_modes n_basis) float64
    powers_of : (n_terms, 3) int64
        from `exponents`
    """
    delta, chi_s, chi_a, weight = variables(q, chi1, chi2)
    if weight == 0.0:
        return
    powers = np.ones((powers_of.max() + 1, 3))
    for k in range(1, len(powers)):
        powers[k, 0], powers[k, 1], powers[k, 2] = powers[k - 1, 0] * delta, powers[k - 1, 1] * chi_s, powers[k - 1, 2] * chi_a
    n_basis = out.shape[1]
    for k in range(len(powers_of)):
        term = weight * powers[powers_of[k, 0], 0] * powers[powers_of[k, 1], 1] * powers[powers_of[k, 2], 2]
        for mode in range(len(out)):
            for b in range(n_basis):
                out[mode, b] += term * polynomial[k, mode * n_basis + b]
