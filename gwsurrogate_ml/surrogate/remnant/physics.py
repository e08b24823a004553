"""Physics of the remnant: the test-particle limit as baseline, exact under exchange of the bodies, and the recoil's form.

The smaller body plunges from the innermost stable circular orbit (ISCO) of a Kerr hole and takes its energy and angular
momentum along (Buonanno, Kidder & Lehner 2008, arXiv:0709.3839; Bardeen, Press & Teukolsky 1972). To first order in eta
this is exact, so that what is learned is multiplied by eta^2: final mass -> 1 and final spin -> chi1 as eta -> 0, whatever the
weights.
"""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.surrogate.aligned.coordinates import features


def isco(spin: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Specific energy and angular momentum (in units of the hole's mass) of the ISCO of a Kerr hole; negative spin: retrograde.

    Examples
    --------
    >>> energy, momentum = isco(np.array([0.0]))
    >>> bool(abs(energy[0] - np.sqrt(8 / 9)) < 1e-15 and abs(momentum[0] - 2 * np.sqrt(3)) < 1e-14)
    True
    """
    a = np.asarray(spin, dtype=np.float64)
    z1 = 1.0 + np.cbrt(1.0 - a * a) * (np.cbrt(1.0 + a) + np.cbrt(1.0 - a))
    z2 = np.sqrt(3.0 * a * a + z1 * z1)
    radius = 3.0 + z2 - np.sign(a) * np.sqrt((3.0 - z1) * (3.0 + z1 + 2.0 * z2))
    energy = np.sqrt(1.0 - 2.0 / (3.0 * radius))
    momentum = 2.0 / (3.0 * np.sqrt(3.0)) * (1.0 + 2.0 * np.sqrt(3.0 * radius - 2.0))
    return energy, momentum


def masses(q: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """m1 / M, m2 / M and eta of q = m1 / m2."""
    return q / (1.0 + q), 1.0 / (1.0 + q), q / (1.0 + q) ** 2


def baseline(q: np.ndarray, z1: np.ndarray, z2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Final mass (in M) and final spin along L of the test-particle estimate; exact to first order in eta.

    Parameters
    ----------
    q, z1, z2 : (N,)
        mass ratio m1 / m2, spins along L

    Examples
    --------
    >>> mass, spin = baseline(np.array([1e9]), np.array([0.6]), np.array([0.1]))
    >>> bool(abs(mass[0] - 1) < 1e-8 and abs(spin[0] - 0.6) < 1e-8)
    True
    """
    m1, m2, eta = masses(q)
    spins = m1 * m1 * z1 + m2 * m2 * z2
    # Damped steps towards the hole that the remnant becomes, a = spins + eta l(a): smooth, converged or not.
    guess = spins
    for _ in range(6):
        guess = np.clip(0.4 * guess + 0.6 * (spins + eta * isco(guess)[1]), -1.0, 1.0)
    energy, momentum = isco(guess)
    mass = 1.0 - eta * (1.0 - energy)
    return mass, (spins + eta * momentum) / mass**2


def aligned_features(q: np.ndarray, z1: np.ndarray, z2: np.ndarray) -> np.ndarray:
    """Coordinates (N, 4), exactly even under exchange of the bodies."""
    return np.asarray(features(np.stack([q, z1, z2], axis=1)))


def in_plane(q: np.ndarray, chi1: np.ndarray, chi2: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What in-plane spins add: features (N, 4), |S_perp|^2 / M^4 (N,), and a weight (N,) that is zero without them.

    Parameters
    ----------
    q : (N,)
    chi1, chi2 : (N, 3), z along L

    Notes
    -----
    Rotating the frame about L leaves all of them as they are, and so does exchanging the bodies.
    """
    m1, m2, _ = masses(q)
    s1, s2 = (m1 * m1)[:, None] * chi1[:, :2], (m2 * m2)[:, None] * chi2[:, :2]
    total = np.sum((s1 + s2) ** 2, axis=1)
    squares = np.sum(s1 * s1, axis=1) + np.sum(s2 * s2, axis=1)
    spins = np.sum(chi1[:, :2] ** 2, axis=1), np.sum(chi2[:, :2] ** 2, axis=1)
    delta = (q - 1.0) / (q + 1.0)
    columns = [np.sqrt(total), np.sqrt(squares), delta * (spins[0] - spins[1]), 0.5 * (spins[0] + spins[1])]
    return np.stack(columns, axis=1), total, squares


def recoil_terms(q: np.ndarray, z1: np.ndarray, z2: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Even polynomials (N, 15) and the two odd factors delta and chi_a of the recoil in the orbital plane.

    The recoil is ``eta^2 |delta A + chi_a (B + i C)|`` with A, B, C even (Lousto & Zlochower 2008, arXiv:0708.4048): it
    vanishes exactly for equal bodies.
    """
    _, _, eta = masses(q)
    x = aligned_features(q, z1, z2)
    e, s, d, a = 4.0 * eta, x[:, 1], x[:, 2], x[:, 3] + 1.0
    one = np.ones_like(e)
    low = [one, e, s, d, e * s, s * s, e * d, s * d, e * e, a]
    high = [s * s * s, e * s * s, d * s * s, d * d, e * e * s]
    terms = np.stack(low + high, axis=1)
    return terms, (q - 1.0) / (q + 1.0), 0.5 * (z1 - z2)


def superkick_terms(q: np.ndarray, chi1: np.ndarray, chi2: np.ndarray) -> np.ndarray:
    """Terms (N, 3), in 1000 km/s, of the recoil along L that in-plane spins give, at the best phase; even under exchange.

    The first is the hang-up kick of Lousto & Zlochower 2011 (arXiv:1108.2009), 16 eta^2 |m1 chi1_perp - m2 chi2_perp| times
    a cubic in the spin along L; the others correct it with the total in-plane spin and with eta.
    """
    m1, m2, eta = masses(q)
    difference = m1[:, None] * chi1[:, :2] - m2[:, None] * chi2[:, :2]
    total = 2.0 * ((m1 * m1)[:, None] * chi1 + (m2 * m2)[:, None] * chi2)
    hang_up = np.polynomial.polynomial.polyval(total[:, 2], [3.67776, 2.48121, 1.79245, 1.50652])
    published = 16.0 * eta**2 * hang_up * np.sqrt(np.sum(difference**2, axis=1))
    correction = np.stack([np.ones_like(q), np.sum(total[:, :2] ** 2, axis=1), 4.0 * eta - 1.0], axis=1)
    return published[:, None] * correction
