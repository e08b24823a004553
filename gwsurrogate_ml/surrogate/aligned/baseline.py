"""The post-Newtonian baseline: TaylorT3 phase to 3.5PN with aligned spins, kept finite through merger.

The coefficients are those of the TaylorF2 phase (Buonanno et al. 2009, arXiv:0907.0700; spins: Bohé et al. 2013/2015,
Mishra et al. 2016, arXiv:1601.05588), turned into t(v) by the stationary-phase relation t = d psi / d(2 pi f) and then into
Phi(t) by reversing the series: v = u [1 + ...] with u = (eta tau / 5)^(-1/8) / 2 and tau the time to coalescence. Functions
work on numpy arrays and torch tensors alike, those of plain arithmetic also in compiled code.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable

Array = Any
"""A numpy array or a torch tensor of float64."""

WIDTH = 150.0
"""Time in M over which the time to coalescence is bent away from zero, so that the series stays finite at merger."""


@register_jitable
def phasing_coefficients(eta: Array, m1: Array, chi1: Array, chi2: Array) -> tuple[tuple[Array, ...], Array, float]:
    """TaylorF2 phasing coefficients relative to the leading order.

    Parameters
    ----------
    eta, m1, chi1, chi2 : arrays of one shape
        symmetric mass ratio, m1 / (m1 + m2), aligned spins

    Returns
    -------
    p : tuple of 8 arrays, coefficients of v^k, k = 0..7
    p5_log : array, coefficient of v^5 log v
    p6_log : float, coefficient of v^6 log v
    """
    m2 = 1.0 - m1
    pi = math.pi
    p2 = 5.0 / 9.0 * (743.0 / 84.0 + 11.0 * eta)
    p4 = 5.0 / 72.0 * (3058673.0 / 7056.0 + 5429.0 / 7.0 * eta + 617.0 * eta**2)
    p5 = 5.0 / 9.0 * (7729.0 / 84.0 - 13.0 * eta) * pi
    p6_log = -6848.0 / 21.0
    p6 = (
        11583231236531.0 / 4694215680.0
        - 640.0 / 3.0 * pi**2
        + p6_log * (np.euler_gamma + math.log(4.0))
        + eta * (-15737765635.0 / 3048192.0 + 2255.0 / 12.0 * pi**2)
        + eta**2 * 76055.0 / 1728.0
        - eta**3 * 127825.0 / 1296.0
    )
    p7 = pi * (77096675.0 / 254016.0 + 378515.0 / 1512.0 * eta - 74045.0 / 756.0 * eta**2)
    p3 = -16.0 * pi + 0.0 * eta
    p5_log = 3.0 * p5
    p4 = p4 - 395.0 / 4.0 * eta * chi1 * chi2
    p6 = p6 + (32675.0 / 112.0 + 5575.0 / 18.0 * eta) * eta * chi1 * chi2
    for m, chi in ((m1, chi1), (m2, chi2)):
        s = m * chi
        p3 = p3 + s * (25.0 + 38.0 / 3.0 * m)
        p4 = p4 - 405.0 / 8.0 * s**2
        spin5 = s * (-13915.0 / 84.0 - 12490.0 / 81.0 * m - 200.0 / 9.0 * m**2 + 170.0 / 9.0 * m**3)
        p5 = p5 + spin5
        p5_log = p5_log + 3.0 * spin5
        p6 = p6 + pi * s * (1490.0 / 3.0 + 260.0 * m) + s**2 * (-1645.0 / 32.0 + 1595.0 / 4.0 * m - 3065.0 / 36.0 * m**2)
        p7 = p7 + s * (
            -170978035.0 / 48384.0
            + eta * 2876425.0 / 672.0
            + eta**2 * 4735.0 / 144.0
            + m * (-7189233785.0 / 1524096.0 + eta * 458555.0 / 3024.0 - eta**2 * 5345.0 / 72.0)
        )
    return (1.0 + 0.0 * eta, 0.0 * eta, p2, p3, p4, p5, p6, p7), p5_log, p6_log


@register_jitable
def series(eta: Array, m1: Array, chi1: Array, chi2: Array) -> tuple[Array, ...]:
    """Coefficients c_2 ... c_7 of Omega = 2 u^3 (1 + sum c_k u^k), and that of u^6 log u."""
    p, p5_log, p6_log = phasing_coefficients(eta, m1, chi1, chi2)
    # tau = 5 / (256 eta) v^-8 (1 + sum a_k v^k), from t = d psi / d(2 pi f)
    a2, a3, a4 = 3.0 / 5.0 * p[2], 2.0 / 5.0 * p[3], 1.0 / 5.0 * p[4]
    a5 = -p5_log / 5.0
    a6 = -p[6] / 5.0 - p6_log / 5.0
    a6_log = -p6_log / 5.0
    a7 = -2.0 / 5.0 * p[7]
    c2, c3, c5 = 3.0 / 8.0 * a2, 3.0 / 8.0 * a3, 3.0 / 8.0 * a5
    c4 = 3.0 / 8.0 * a4 - 3.0 / 128.0 * a2**2
    c6 = 3.0 / 8.0 * a6 - (7.0 * a2**3 - 48.0 * a2 * a4 - 24.0 * a3**2) / 1024.0
    c7 = 3.0 / 8.0 * a7 - 3.0 / 256.0 * (3.0 * a2**2 * a3 - 8.0 * a2 * a5 - 8.0 * a3 * a4)
    return c2, c3, c4, c5, c6, c7, 3.0 / 8.0 * a6_log


@register_jitable
def phase_of(u: Array, log_u: Array, eta: Array, coefficients: tuple[Array, ...]) -> Array:
    """Phase of the (2,2) mode where ``u = (eta tau / 5)^(-1/8) / 2``, by the `series`; additive constant arbitrary."""
    c2, c3, c4, c5, c6, c7, c6_log = coefficients
    inverse = 1.0 / u
    total = inverse * (inverse**2) ** 2 * (-0.2 + u**2 * (-c2 / 3.0 + u * (-c3 / 2.0 - u * c4))) + c5 * log_u
    total = total + u * (c6 + c6_log * (log_u - 1.0) + u * c7 / 2.0)
    return 5.0 / (16.0 * eta) * total


def time_to_coalescence(t: Array) -> Array:
    """A positive, smooth stand-in for -t: equal to -t far before the peak, of the order of `WIDTH` at it."""
    return 0.5 * ((t**2 + WIDTH**2) ** 0.5 - t)


def phase(t: Array, eta: Array, m1: Array, chi1: Array, chi2: Array, xp: Any = np) -> Array:
    """Phase of the (2,2) mode, growing with time, by TaylorT3; additive constant arbitrary.

    Parameters
    ----------
    t : array (n,)
        times in M, 0 at the peak
    eta, m1, chi1, chi2 : arrays (N, 1) or scalars
    xp : module
        numpy or torch, as the arrays

    Returns
    -------
    array (N, n), radians
    """
    tau = time_to_coalescence(t)
    u = 0.5 * (eta * tau / 5.0) ** (-0.125)
    return phase_of(u, xp.log(u), eta, series(eta, m1, chi1, chi2))


def amplitude(t: Array, eta: Array) -> Array:
    """|h_22| at leading order, 8 sqrt(pi/5) eta v^2, with v from the leading-order time to coalescence; dimensionless."""
    return 8.0 * math.sqrt(math.pi / 5.0) * eta * 0.25 * (eta * time_to_coalescence(t) / 5.0) ** (-0.25)
