"""Polynomials of the mass ratio and the spins at a time, by their behaviour under exchange of the bodies and under reflection.

In the co-orbital frame (x from the lighter to the heavier body, z along the orbital angular momentum), exchange of the bodies turns
the frame by pi about z, and reflection in the orbital plane reverses the components of spins in the plane. With half sums s and
half differences d of the spins, the variables log q, d_z, s_x, s_y are odd under exchange and s_x, s_y, d_x, d_y odd under
reflection: so is every monomial, or even. What is modelled is odd or even too, and gets monomials of its kind alone: without spins
in the plane nothing is left of what needs them, and exchanging equal bodies changes nothing. (Powers of log q follow those of the
symmetric mass ratio to large q; those of (q - 1) / (q + 1) fit the orbital frequency ten times worse between 2 and 6.)
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.jit import njit

ODD_UNDER_EXCHANGE = np.array([1, 0, 1, 1, 1, 0, 0])
ODD_UNDER_REFLECTION = np.array([0, 0, 0, 1, 1, 1, 1])
N_VARIABLES = 7
SCALE_LOG_Q, SCALE_SPIN = np.log(2.0), 0.8
"""What makes the variables one at the largest mass ratio and spins of simulations."""


class Monomials(NamedTuple):
    """All monomials up to a degree, those of one kind side by side, ascending in the degree of the spins.

    Parameters
    ----------
    exponents : (n, 7) int64
    first : (5,) int64
        where kinds begin and end; kind ``2 * odd under exchange + odd under reflection``
    target, source, variable : (n - 1,) uint32
        in ascending degree: a monomial is an earlier one times a variable; without a sign, indexing is quicker
    one : int
        where the constant is
    """

    exponents: np.ndarray
    first: np.ndarray
    target: np.ndarray
    source: np.ndarray
    variable: np.ndarray
    one: int


@cache
def monomials(spins: int, total: int) -> Monomials:
    """The monomials up to a degree of `spins` in the variables of the spins, and of `total` in all."""
    of_spins = [e for e in product(range(spins + 1), repeat=N_VARIABLES - 1) if sum(e) <= spins]
    every = np.array([(k, *e) for e in of_spins for k in range(total + 1 - sum(e))])
    kind = 2 * (every @ ODD_UNDER_EXCHANGE % 2) + every @ ODD_UNDER_REFLECTION % 2
    exponents = every[np.lexsort((every.sum(axis=1), every[:, 1:].sum(axis=1), kind))]
    first = np.searchsorted(np.sort(kind), np.arange(5))
    where = {tuple(e): k for k, e in enumerate(exponents.tolist())}
    steps = []
    for k in np.argsort(exponents.sum(axis=1), kind="stable")[1:]:
        e = exponents[k].tolist()
        v = next(i for i in range(N_VARIABLES) if e[i])
        e[v] -= 1
        steps.append((k, where[tuple(e)], v))
    target, source, variable = np.array(steps, np.uint32).T.copy()
    return Monomials(exponents, first, target, source, variable, where[(0,) * N_VARIABLES])


def up_to_spins(m: Monomials, kind: int, spins: int) -> int:
    """How many monomials of a kind, the first ones, have a degree of at most `spins` in the spins."""
    return int((m.exponents[m.first[kind] : m.first[kind + 1], 1:].sum(axis=1) <= spins).sum())


@njit(nogil=True)
def variables(q: float, spins: np.ndarray, out: np.ndarray) -> None:
    """The variables (7,) of mass ratio and co-orbital spins (6,), of order one."""
    out[0] = np.log(q) / SCALE_LOG_Q
    for k in range(3):
        half_sum = 0.5 * (spins[k] + spins[3 + k]) / SCALE_SPIN
        half_difference = 0.5 * (spins[k] - spins[3 + k]) / SCALE_SPIN
        if k == 2:
            out[1], out[2] = half_sum, half_difference
        else:
            out[3 + k], out[5 + k] = half_sum, half_difference


@njit(nogil=True)
def evaluate(m: Monomials, x: np.ndarray, out: np.ndarray) -> None:
    """All monomials (n,) of the variables (7,)."""
    out[m.one] = 1.0
    for k in range(m.target.size):
        out[m.target[k]] = out[m.source[k]] * x[m.variable[k]]


@njit(nogil=True)
def table(m: Monomials, q: np.ndarray, spins: np.ndarray) -> np.ndarray:
    """All monomials (N, n) of N binaries: `q` (N,), co-orbital `spins` (N, 6)."""
    out = np.empty((len(q), len(m.exponents)))
    x = np.empty(N_VARIABLES)
    for i in range(len(q)):
        variables(q[i], spins[i], x)
        evaluate(m, x, out[i])
    return out
