"""Energy, linear and angular momentum that a precessing binary radiates, integrated over time in the inertial frame.

Fluxes are quadratic in the modes' rates (Ruiz, Alcubierre, Nunez & Takahashi 2008, arXiv:0707.4654, eqs. 3.14 to 3.24) and turn as
vectors do: they are taken in the co-orbital frame, where everything is slow, from ``dh/dt - i (Omega . L) h`` with the angular
velocity Omega of that frame and the generators L of rotations, and turned with the frame when they are integrated.
"""

from __future__ import annotations

from functools import cache
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.waveform.spline import hermite, slopes

L_MAX = 5
N_FLUX = 7
"""Energy, three components of linear momentum, three of angular momentum."""
PIECE = 0.7
"""rad of orbital phase that three points of Gauss and Legendre's rule integrate over at most."""
GAUSS = np.sqrt(0.6) * np.array([-1.0, 0.0, 1.0]), np.array([5.0, 8.0, 5.0]) / 18.0


class Couplings(NamedTuple):
    """Which products of rates make fluxes; modes lie side by side, (2, -2) ... (5, 5).

    Parameters
    ----------
    order : (32,) float64
        m
    up : (32,) float64
        what the raising operator makes of (l, m), of (l, m + 1)
    plane, along : (n, 2) int64
        pairs of modes of ``P_x + i P_y`` and of ``P_z``
    of_plane, of_along : (n,) float64
        their factors
    """

    order: np.ndarray
    up: np.ndarray
    plane: np.ndarray
    of_plane: np.ndarray
    along: np.ndarray
    of_along: np.ndarray


def place(l: int, m: int) -> int:
    """Place of a mode among all up to `L_MAX`."""
    return l * l - 4 + l + m


@cache
def couplings() -> Couplings:
    """The couplings of all modes up to `L_MAX`, of spin weight -2."""
    every = [(l, m) for l in range(2, L_MAX + 1) for m in range(-l, l + 1)]

    def a(l: int, m: int) -> float:
        return sqrt((l - m) * (l + m + 1)) / (l * (l + 1))

    def b(l: int, m: int) -> float:
        return sqrt((l - 2) * (l + 2) * (l + m) * (l + m - 1) / ((2 * l - 1) * (2 * l + 1))) / (2 * l)

    def d(l: int, m: int) -> float:
        return sqrt((l - 2) * (l + 2) * (l - m) * (l + m) / ((2 * l - 1) * (2 * l + 1))) / l

    plane = [(lm, (lm[0], lm[1] + 1), a(*lm)) for lm in every]
    plane += [((l, m), (l - 1, m + 1), b(l, -m)) for l, m in every]
    plane += [((l, m), (l + 1, m + 1), -b(l + 1, m + 1)) for l, m in every]
    along = [(lm, lm, 2 * lm[1] / (lm[0] * (lm[0] + 1))) for lm in every]
    along += [((l, m), (l - 1, m), d(l, m)) for l, m in every]
    along += [((l, m), (l + 1, m), d(l + 1, m)) for l, m in every]
    known = set(every)

    def table(terms: list[tuple[ModeKey, ModeKey, float]]) -> tuple[np.ndarray, np.ndarray]:
        kept = [(place(*one), place(*other), factor) for one, other, factor in terms if other in known and factor]
        return np.array([k[:2] for k in kept]), np.array([k[2] for k in kept])

    up = np.array([sqrt((l - m) * (l + m + 1)) for l, m in every])
    return Couplings(np.array([float(m) for _, m in every]), up, *table(plane), *table(along))


@njit(nogil=True)
def _flux(t: Couplings, h: np.ndarray, rate: np.ndarray, out: np.ndarray) -> None:
    """Fluxes (7,) of modes `h` (32,) that change by `rate` (32,)."""
    energy, along, plane = 0.0, 0.0, complex(0.0, 0.0)
    momentum, momentum_up = 0.0, complex(0.0, 0.0)
    n = h.size
    for k in range(n):
        back = rate[k].conjugate()
        energy += (rate[k] * back).real
        momentum += (back * h[k]).imag * t.order[k]
        # The ladder: L+ h has up[k] h[k] at the next place, L- h up[k] h[k + 1] at this one.
        if t.up[k] > 0.0:
            raised = rate[k + 1].conjugate() * h[k] * t.up[k]
            lowered = back * h[k + 1] * t.up[k]
            momentum_up += complex(0.5 * (raised + lowered).imag, 0.5 * (lowered - raised).real)
    for k in range(t.of_plane.size):
        plane += t.of_plane[k] * rate[t.plane[k, 0]] * rate[t.plane[k, 1]].conjugate()
    for k in range(t.of_along.size):
        along += t.of_along[k] * (rate[t.along[k, 0]] * rate[t.along[k, 1]].conjugate()).real
    unit = 1.0 / (16.0 * np.pi)
    out[0] = unit * energy
    out[1], out[2], out[3] = 2.0 * unit * plane.real, 2.0 * unit * plane.imag, unit * along
    out[4], out[5], out[6] = unit * momentum_up.real, unit * momentum_up.imag, unit * momentum


@njit(nogil=True)
def of_modes(t: Couplings, h: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Fluxes (n, 7) of modes (n, 32) in an inertial frame, r h / M, with their rates of change (n, 32) in 1 / M.

    Energy; linear momentum x, y, z; angular momentum x, y, z: per M, in M, M and M^2.
    """
    out = np.empty((len(h), N_FLUX))
    for i in range(len(h)):
        _flux(t, h[i], rates[i], out[i])
    return out


@njit(nogil=True)
def _turning(nodes: np.ndarray, states: np.ndarray, rates: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Angular velocity (3, n_t) of the co-orbital frame at `times`, by components in it."""
    w = np.empty((3, nodes.size))
    for i in range(nodes.size):
        a, b, g, d = states[i, :4]
        s, x, y, z = rates[i, :4]
        # Twice the vector part of conj(Q) dQ/dt: the co-precessing frame's, by components in that.
        w_x = 2.0 * (a * x - b * s - g * z + d * y)
        w_y = 2.0 * (a * y - g * s - d * x + b * z)
        w_z = 2.0 * (a * z - d * s - b * y + g * x)
        cosine, sine = np.cos(states[i, 4]), np.sin(states[i, 4])
        w[0, i], w[1, i], w[2, i] = cosine * w_x + sine * w_y, cosine * w_y - sine * w_x, w_z + rates[i, 4]
    tilts = slopes(nodes, w)
    out = np.empty((3, times.size))
    for k in range(3):
        out[k] = hermite(nodes, w[k], tilts[k], times)
    return out


@njit(nogil=True)
def coorbital(
    t: Couplings,
    places: np.ndarray,
    nodes: np.ndarray,
    states: np.ndarray,
    rates: np.ndarray,
    times: np.ndarray,
    modes: np.ndarray,
) -> np.ndarray:
    """Fluxes (n_t, 7), by co-orbital components, of co-orbital `modes` (n_t, n_modes) at `places` of all.

    Parameters
    ----------
    t : Couplings
    places : (n_modes,) int64
    nodes, states, rates, times, modes
        (n,), (n, 11), (n, 11), (n_t,) and (n_t, n_modes), see `Evolved`
    """
    n, n_modes = modes.shape
    rows = np.empty((2 * n_modes, n))
    for k in range(n_modes):
        rows[2 * k], rows[2 * k + 1] = modes[:, k].real, modes[:, k].imag
    tilts, turn = slopes(times, rows), _turning(nodes, states, rates, times)
    h, rate = np.zeros(t.order.size, np.complex128), np.empty(t.order.size, np.complex128)
    out = np.empty((n, N_FLUX))
    for i in range(n):
        rate[:] = 0.0
        for k in range(n_modes):
            h[places[k]] = modes[i, k]
            rate[places[k]] = complex(tilts[2 * k, i], tilts[2 * k + 1, i])
        # Omega . L = Omega_z m + (Omega_x - i Omega_y) L+ / 2 + (Omega_x + i Omega_y) L- / 2
        half = complex(0.5 * turn[0, i], -0.5 * turn[1, i])
        for k in range(h.size):
            rate[k] += complex(h[k].imag, -h[k].real) * (turn[2, i] * t.order[k])
            if t.up[k] > 0.0:
                raised, lowered = half * t.up[k] * h[k], half.conjugate() * t.up[k] * h[k + 1]
                rate[k + 1] += complex(raised.imag, -raised.real)
                rate[k] += complex(lowered.imag, -lowered.real)
        _flux(t, h, rate, out[i])
    return out


@njit(nogil=True)
def _to_inertial(frame: np.ndarray, phase: float, x: float, y: float, z: float) -> tuple[float, float, float]:
    """A vector by inertial components, from co-orbital ones: turned by `phase` about z, then by the quaternion `frame`."""
    c, s = np.cos(phase), np.sin(phase)
    x, y = c * x - s * y, s * x + c * y
    w, a, b, g = frame / np.sqrt((frame**2).sum())
    u, v, r = 2.0 * (b * z - g * y), 2.0 * (g * x - a * z), 2.0 * (a * y - b * x)
    return x + w * u + b * r - g * v, y + w * v + g * u - a * r, z + w * r + a * v - b * u


def points(times: np.ndarray, phase: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times and weights (n,) in M of a rule for integrals over `times`, fine enough for what turns with the orbital `phase`."""
    pieces = np.array([ceil(x) for x in np.diff(phase) / PIECE])
    step = np.repeat(np.diff(times) / pieces, pieces)
    middle = np.repeat(times[:-1], pieces) + (np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces) + 0.5) * step
    return (middle[:, None] + 0.5 * step[:, None] * GAUSS[0]).ravel(), (step[:, None] * GAUSS[1]).ravel()


@njit(nogil=True)
def inertial(
    nodes: np.ndarray, states: np.ndarray, rates: np.ndarray, times: np.ndarray, fluxes: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """Fluxes (n, 7) by inertial components at the times `at` (n,), from co-orbital ones (n_t, 7) at `times` (n_t,).

    `nodes`, `states` and `rates` are those of the dynamics, see `dynamics`.
    """
    phase = hermite(nodes, states[:, 4].copy(), rates[:, 4].copy(), at)
    frame = np.empty((at.size, 4))
    for k in range(4):
        frame[:, k] = hermite(nodes, states[:, k].copy(), rates[:, k].copy(), at)
    rows = fluxes.T.copy()
    tilts = slopes(times, rows)
    out = np.empty((at.size, N_FLUX))
    for k in range(N_FLUX):
        out[:, k] = hermite(times, rows[k], tilts[k], at)
    for i in range(at.size):
        for k in (1, 4):
            out[i, k], out[i, k + 1], out[i, k + 2] = _to_inertial(frame[i], phase[i], out[i, k], out[i, k + 1], out[i, k + 2])
    return out
