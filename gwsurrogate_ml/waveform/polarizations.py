"""From modes to polarizations: sums over spin-weighted spherical harmonics, by lal's.

``h_plus - i h_cross = sum_lm h_lm -2Y_lm(theta_jn, pi/2 - phase)``; see `conventions`. In the co-orbital frame the sum over l
can be done once at the knots, since modes of one m rotate together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.errors import ConfigError


def harmonics(modes: Sequence[ModeKey], theta_jn: float, phase: float) -> np.ndarray:
    """-2Y_lm and -2Y_{l,-m} in the direction of the observer.

    Parameters
    ----------
    modes : sequence of (l, m), m > 0
    theta_jn, phase : float, radians

    Returns
    -------
    (n_modes, 2) complex128, columns m and -m

    Raises
    ------
    ConfigError
        if an angle is not finite

    Examples
    --------
    >>> y = harmonics([(2, 2)], 0.0, 0.0)
    >>> round(float(abs(y[0, 0]) ** 2 * 4 * np.pi / 5), 12)
    1.0
    """
    import lal

    for name, value in (("theta_jn", theta_jn), ("phase", phase)):
        if not np.isfinite(value):
            raise ConfigError(f"{name} is {value}: give a finite angle in radians")
    azimuth = np.pi / 2 - phase
    return np.array(
        [[lal.SpinWeightedSphericalHarmonic(theta_jn, azimuth, -2, l, sign * m) for sign in (1, -1)] for l, m in modes]
    )


def rotating_sums(coorbital: np.ndarray, modes: Sequence[ModeKey], y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of cos(m phi) and sin(m phi) in h_plus and in h_cross, summed over l; phi is the orbital phase.

    With a_m and b_m the factors of exp(-i m phi) and exp(+i m phi) in h_plus - i h_cross, the latter from
    h_{l,-m} = (-1)^l conj(h_lm), these are Re(a + b), Im(a - b) for h_plus and -Im(a + b), Re(a - b) for h_cross.

    Parameters
    ----------
    coorbital : (n_modes, n) complex128
        h_lm exp(i m phi) for m > 0, or anything linear in it (slopes)
    modes : sequence of (l, m)
    y : (n_modes, 2) complex128, from `harmonics`

    Returns
    -------
    orders : (M,) int64, ascending
    weights : (M, 4, n) float64
    """
    orders = np.array(sorted({m for _, m in modes}), dtype=np.int64)
    weights = np.zeros((len(orders), 4, coorbital.shape[1]))
    for k, (l, m) in enumerate(modes):
        row = weights[int(np.searchsorted(orders, m))]
        a, b = y[k, 0] * coorbital[k], (-1) ** l * y[k, 1] * np.conj(coorbital[k])
        total, difference = a + b, a - b
        row += np.array([total.real, difference.imag, -total.imag, difference.real])
    return orders, weights
