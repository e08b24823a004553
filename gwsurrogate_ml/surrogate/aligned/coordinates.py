"""Coordinates in which the (2,2) mode is smooth, and exactly even under exchange of the two bodies.

Exchange takes (delta, chi_a) to -(delta, chi_a) with delta = (m1 - m2) / M, chi_a = (chi1 - chi2) / 2. Every even function of
them is a function of eta, chi_s = (chi1 + chi2) / 2, delta chi_a and chi_a^2: a network that sees these four is symmetric at
the level of floating-point numbers, whatever its weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import register_jitable

Array = Any
N_FEATURES = 4


@register_jitable
def masses(q: Array) -> tuple[Array, Array, Array]:
    """Symmetric mass ratio, m1 / M and (m1 - m2) / M for q = m1 / m2."""
    return q / (1.0 + q) ** 2, q / (1.0 + q), (q - 1.0) / (q + 1.0)


@register_jitable
def columns(eta: Array, delta: Array, chi1: Array, chi2: Array, log_4eta: Array) -> tuple[Array, Array, Array, Array]:
    """The four `features` as functions of any one shape."""
    chi_s, chi_a = 0.5 * (chi1 + chi2), 0.5 * (chi1 - chi2)
    chi_pn = (chi_s + delta * chi_a - 76.0 / 113.0 * eta * chi_s) / (1.0 - 76.0 / 113.0 * eta)
    return log_4eta / 0.6 + 1.0, chi_pn, delta * chi_a, 2.0 * chi_a**2 - 1.0


def split(parameters: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Columns (N, 1) eta, m1, delta, chi1, chi2 from `parameters` (N, 3) = (q, chi1, chi2), numpy or torch."""
    q, chi1, chi2 = parameters[:, 0:1], parameters[:, 1:2], parameters[:, 2:3]
    return *masses(q), chi1, chi2


def features(parameters: Array, xp: Any = np) -> Array:
    """Network inputs (N, 4), each within about [-1, 1] for q <= 10 and |chi| <= 1.

    They are log(4 eta) (rescaled), the effective spin of the leading post-Newtonian spin-orbit term (Ajith 2011,
    arXiv:1107.1267), delta chi_a, and chi_a^2 (rescaled).

    Examples
    --------
    >>> a, b = features(np.array([[1.0, 0.3, -0.5], [1.0, -0.5, 0.3]]))
    >>> bool(np.all(a == b))
    True
    """
    eta, _, delta, chi1, chi2 = split(parameters)
    found = columns(eta, delta, chi1, chi2, xp.log(4.0 * eta))
    return xp.concatenate(found, 1) if xp is np else xp.cat(found, 1)
