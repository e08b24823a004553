"""The black hole that a precessing binary leaves, by the balance of what its waveform carries away.

Its velocity is minus the linear momentum radiated, over its mass. Mass and spin are what the binary had at an early time, by
post-Newtonian theory (Bohe et al. 2013, arXiv:1212.5520, eqs. 4.6 and 4.7), less what has been radiated since. Without spins in the
plane mass and spin are the remnant model's, which simulations of aligned spins made ten times as accurate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.surrogate.precessing import flux
from gwsurrogate_ml.surrogate.precessing.coorbital import MODES
from gwsurrogate_ml.surrogate.precessing.evolved import MARGIN, Evolved
from gwsurrogate_ml.surrogate.precessing.modes import PrecessingModes
from gwsurrogate_ml.surrogate.remnant.model import load_remnant
from gwsurrogate_ml.surrogate.remnant.physics import superkick_terms
from gwsurrogate_ml.waveform.spline import hermite

LIGHT = 299792.458
"""km/s."""
ACROSS = -3.4, -1.1
"""Orbital angular momentum across the orbit's axis, which is the waveform's here, in units of eta x times S and delta Sigma.

Such that the total one and what is radiated are constant together before -2200 M, in the median of 100 binaries. Post-Newtonian
theory, whose axis is the instantaneous normal, has -3 and -1 along the motion."""
MASS_ERROR, SPIN_ERROR = 4.6e-4, 2.0e-3
KICK_ERROR, KICK_SHARES = 20.0, (0.16, 0.225)
"""km/s, and shares, near and beyond simulations' mass ratios, of the kick that these spins give at the best orbital phase. All of
these: 90 % of the simulations on which they were set, mass and spin with mass ratios to 2, lie within 1.645 of them
(`benchmarks/precessing_remnant.py`)."""
ROOM = 4
"""Nodes kept before the first time, for splines."""


@dataclass(frozen=True)
class PrecessingRemnant:
    """The remnant of one binary; vectors in the frame of the reference time, an `_error` is one standard deviation.

    Attributes
    ----------
    mass : float, final mass over m1 + m2
    spin : float, |chi_f|, dimensionless
    spin_vector : (3,) float64
    kick : float, recoil speed in km/s
    velocity : (3,) float64, km/s
    mass_error, spin_error, kick_error : such that the interval of 1.645 errors holds 90 % of the runs of catalogues
    """

    mass: float
    spin: float
    spin_vector: np.ndarray
    kick: float
    velocity: np.ndarray
    mass_error: float
    spin_error: float
    kick_error: float

    @property
    def beta(self) -> np.ndarray:
        """The velocity (3,) as a fraction of that of light."""
        return self.velocity / LIGHT


class Radiated(NamedTuple):
    """What a waveform carries away between two times, in the frame of the reference.

    Parameters
    ----------
    energy : float, M
    momentum : (3,) float64, M
    angular_momentum : (3,) float64, M^2
    begin : float, M
        the time it is counted from, and
    omega : float, rad / M
        the orbital frequency then, averaged over an orbit
    state : (11,) float64
        the binary's then, see `dynamics`
    """

    energy: float
    momentum: np.ndarray
    angular_momentum: np.ndarray
    begin: float
    omega: float
    state: np.ndarray


def radiated(model: PrecessingModes, q: float, chi1: np.ndarray, chi2: np.ndarray, t_ref: float) -> Radiated:
    """All that is radiated from about where the simulations begin on."""
    # So late that the aligned model, which knows the times before, need not be asked.
    first = float(model.nodes[model.n_known + MARGIN])
    return sums(model.evolve(q, chi1, chi2, t_ref, first), first)


def sums(e: Evolved, first: float) -> Radiated:
    """What the binary radiates from half an orbit after the time `first` (M) on.

    What it loses before, and after the model's end, are not in it: 0.5 km/s at most of the recoil.
    """

    def at(time: float) -> np.ndarray:
        one = np.array([time])
        columns = zip(e.states.T, e.rates.T, strict=True)
        return np.array([hermite(e.nodes, y.copy(), rate.copy(), one)[0] for y, rate in columns])

    begin_phase = float(at(first)[4])
    orbit = float(np.interp(begin_phase + 2 * np.pi, e.states[:, 4], e.nodes)) - first
    begin = first + 0.5 * orbit
    state = at(begin)
    late = slice(max(int(np.searchsorted(e.times, begin)) - ROOM, 0), None)
    times = e.times[late]
    fluxes = flux.coorbital(flux.couplings(), _PLACES, e.nodes, e.states, e.rates, times, e.coorbital[late])
    grid = np.append(begin, times[times > begin])
    points, weights = flux.points(grid, np.interp(grid, e.nodes, e.states[:, 4]))
    total = weights @ flux.inertial(e.nodes, e.states, e.rates, times, fluxes, points)
    return Radiated(float(total[0]), total[1:4], total[4:], begin, 2 * np.pi / orbit, state)


_PLACES = np.array([flux.place(l, m) for l, m in MODES])


def binding(q: float, omega: float, spins: np.ndarray) -> tuple[float, np.ndarray]:
    """Binding energy (M) and total angular momentum (3,) in M^2 of a binary on a circular orbit.

    To third and a half post-Newtonian order, spin-orbit terms included.

    Parameters
    ----------
    q : float, >= 1
    omega : float, rad / M
        orbital frequency
    spins : (6,) float64, dimensionless
        with z along the orbital angular momentum

    Examples
    --------
    >>> energy, momentum = binding(1.0, 0.015, np.zeros(6))
    >>> round(energy, 5), momentum.round(4).tolist()
    (-0.00717, [0.0, 0.0, 1.1194])
    """
    m_1, m_2 = q / (1 + q), 1 / (1 + q)
    eta, delta, x = m_1 * m_2, m_1 - m_2, omega ** (2 / 3)
    s_1, s_2 = m_1**2 * spins[:3], m_2**2 * spins[3:]
    total, other = s_1 + s_2, delta * (s_2 / m_2 - s_1 / m_1)
    s, o = float(total[2]), float(other[2])
    energy = {
        0.0: 1.0,
        1.0: -3 / 4 - eta / 12,
        1.5: 14 / 3 * s + 2 * o,
        2.0: -27 / 8 + 19 / 8 * eta - eta**2 / 24,
        2.5: (11 - 61 / 9 * eta) * s + (3 - 10 / 3 * eta) * o,
        3.0: -675 / 64 + (34445 / 576 - 205 / 96 * np.pi**2) * eta - 155 / 96 * eta**2 - 35 / 5184 * eta**3,
        3.5: (135 / 4 - 367 / 4 * eta + 29 / 12 * eta**2) * s + (27 / 4 - 39 * eta + 5 / 12 * eta**2) * o,
    }
    momentum = total.copy()
    # Term by term from dE = omega dJ along circular orbits
    momentum[2] += eta / np.sqrt(x) * sum((1 + k) / (1 - 2 * k) * c * x**k for k, c in energy.items())
    momentum[:2] += eta * x * (ACROSS[0] * total[:2] + ACROSS[1] * other[:2])
    return -0.5 * eta * x * sum(c * x**k for k, c in energy.items()), momentum


def remnant(model: PrecessingModes, q: float, chi1: np.ndarray, chi2: np.ndarray, t_ref: float) -> PrecessingRemnant:
    """The remnant of one binary whose spins belong to `t_ref` (M from the peak): see `PrecessingSurrogate.remnant`."""
    lost = radiated(model, q, chi1, chi2, t_ref)
    spins = lost.state[5:]
    energy, momentum = binding(q, lost.omega, spins)
    mass = 1.0 + energy - lost.energy
    w, v = lost.state[0] / np.linalg.norm(lost.state[:4]), lost.state[1:4] / np.linalg.norm(lost.state[:4])
    momentum = momentum + 2 * np.cross(v, np.cross(v, momentum) + w * momentum)
    spin_vector = (momentum - lost.angular_momentum) / mass**2
    spin = float(np.linalg.norm(spin_vector))
    direction = spin_vector / spin
    errors = np.array([MASS_ERROR, SPIN_ERROR])
    beyond = model.tables.share(q)
    # What SEOBNRv5PHM radiates leaves spins that are 0.008 off; nearly aligned spins `load_remnant` knows best.
    away = max(model.gate(chi1, chi2), beyond)
    if away > 0.0:
        known = load_remnant()(q, spins[:3], spins[3:])
        mass += away * (known.mass - mass)
        spin += away * (known.spin - spin)
        errors += away * (np.array([known.mass_error, known.spin_error]) - errors)
    velocity = -LIGHT * lost.momentum / mass
    kick = float(np.linalg.norm(velocity))
    largest = 1e3 * float(superkick_terms(np.array([q]), spins[None, :3], spins[None, 3:])[0, 0])
    share = KICK_SHARES[0] + beyond * (KICK_SHARES[1] - KICK_SHARES[0])
    kick_error = float(np.hypot(KICK_ERROR, share * largest))
    return PrecessingRemnant(mass, spin, spin * direction, kick, velocity, float(errors[0]), float(errors[1]), kick_error)
