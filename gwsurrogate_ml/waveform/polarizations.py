"""From modes to polarizations: sums over spin-weighted spherical harmonics, by lal's.

``h_plus - i h_cross = sum_lm h_lm -2Y_lm(theta_jn, pi/2 - phase)``; see `conventions`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.errors import ConfigError


def harmonics(modes: Sequence[ModeKey], theta_jn: float | np.ndarray, phase: float | np.ndarray) -> np.ndarray:
    """-2Y_lm and -2Y_{l,-m} in the direction of the observer.

    Parameters
    ----------
    modes : sequence of (l, m), m > 0
    theta_jn, phase : float, or (N,) arrays, radians; either may be an array

    Returns
    -------
    (n_modes, 2) or (N, n_modes, 2) complex128, columns m and -m

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
        try:
            finite = bool(np.isfinite(value).all())
        except TypeError:
            raise ConfigError(f"{name} is {value!r}: give a number, the angle in radians") from None
        if not finite:
            raise ConfigError(f"{name} is {value}: give a finite angle in radians")
    columns = [(l, sign * m) for l, m in modes for sign in (1, -1)]
    # The azimuth only turns each mode: lal is asked once for each inclination.
    values = [
        [lal.SpinWeightedSphericalHarmonic(theta, 0.0, -2, l, m) for l, m in columns] for theta in np.atleast_1d(theta_jn).tolist()
    ]
    turns = np.exp(1j * np.outer(np.pi / 2 - np.atleast_1d(phase), [m for _, m in columns]))
    shape = np.broadcast_shapes(np.shape(theta_jn), np.shape(phase))
    return (np.array(values).reshape(-1, len(columns)) * turns).reshape(*shape, len(modes), 2)


def projections(modes: Sequence[ModeKey], y: np.ndarray) -> np.ndarray:
    """Weights of the modes' real and imaginary parts in h_plus and h_cross.

    ``h_plus - i h_cross = sum a h + b conj(h)`` over the modes with m > 0, where a = -2Y_lm and, by reflection symmetry,
    b = (-1)^l -2Y_{l,-m}.

    Parameters
    ----------
    modes : sequence of (l, m)
    y : (..., n_modes, 2) complex128, from `harmonics`

    Returns
    -------
    (..., 2, n_modes, 2) float64
        rows plus and cross; last axis real part, imaginary part
    """
    signs = np.array([(-1) ** l for l, _ in modes])
    a, b = y[..., 0], signs * y[..., 1]
    total, difference = a + b, b - a
    plus = np.stack([total.real, difference.imag], -1)
    return np.stack([plus, np.stack([-total.imag, difference.real], -1)], -3)
