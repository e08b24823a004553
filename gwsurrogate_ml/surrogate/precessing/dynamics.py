"""Orbital phase, co-precessing frame and spins of precessing binaries, integrated from a reference time both ways.

The state (11,) at a time is the unit quaternion from the co-precessing to the inertial frame (scalar first), the orbital phase, and
both spins by their co-precessing components. The frame is of minimal rotation: its angular velocity has no part along the
orbital angular momentum (Boyle, Owen & Pfeiffer 2011, arXiv:1110.2965). Rates are polynomials of the spins at that time (`rates`),
which Blackman et al. 2017 (arXiv:1705.07089, section IV) found simulations to follow; before the first time that these know they
are orbit-averaged post-Newtonian ones (`post_newtonian`): spins from Bohe et al. 2013 (arXiv:1212.5520) with leading-order
spin-spin terms (Racine 2008, arXiv:0803.1820), the direction of the orbit from the conservation of angular momentum.

Integration is by Adams and Bashforth of fourth order on the model's nodes; the first four nodes about the reference time by
collocation, which needs no rates between nodes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.surrogate.precessing.polynomials import Monomials, evaluate, variables
from gwsurrogate_ml.surrogate.precessing.spins import AZIMUTHS

KINDS = np.array([0, 3, 3, 3, 3, 0, 1, 1, 2])
"""Of the rates: orbital frequency; x and y of the frame's angular velocity; half sum and half difference of the spins' rates."""
N_STATE = 11
ROOM = 38
"""Numbers that a rate takes to work in."""
SWEEPS = 6
"""Of the collocation; each gains a factor of some ten."""


class Rates(NamedTuple):
    """What the integration needs.

    Parameters
    ----------
    times : (n,) float64, M
        the nodes, ascending
    monomials : Monomials
    coefficients : (n, 9, n_most) float64
        of the polynomials of `KINDS`, the first ones of each row; 1 / M
    known : (n,) float64
        share of the polynomials, the rest is post-Newtonian
    forward, backward : (n, 4) float64, M
        weights of the rates at ``i - 3 ... i`` in the step to ``i + 1``, and at ``i ... i + 3`` in the step to ``i - 1``
    """

    times: np.ndarray
    monomials: Monomials
    coefficients: np.ndarray
    known: np.ndarray
    forward: np.ndarray
    backward: np.ndarray


@njit(nogil=True)
def integral_weights(nodes: np.ndarray, start: float, end: float) -> np.ndarray:
    """Weights (4,) that integrate the cubic through values at four `nodes` from `start` to `end`.

    Examples
    --------
    >>> (integral_weights(np.arange(4.0), 3.0, 4.0) * 24).round(9).tolist()  # Adams and Bashforth
    [-9.0, 37.0, -59.0, 55.0]
    """
    out = np.empty(4)
    # Gauss and Legendre's two points are exact for cubics.
    middle, half = 0.5 * (start + end), 0.5 * (end - start)
    for i in range(4):
        out[i] = 0.0
        for x in (middle - half / np.sqrt(3.0), middle + half / np.sqrt(3.0)):
            value = half
            for j in range(4):
                if j != i:
                    value *= (x - nodes[j]) / (nodes[i] - nodes[j])
            out[i] += value
    return out


@njit(nogil=True)
def inverse_cubic(values: np.ndarray, times: np.ndarray, value: float) -> float:
    """When (M) the cubic through four `times` by their `values` (4,) is `value`."""
    total = 0.0
    for i in range(4):
        term = times[i]
        for j in range(4):
            if j != i:
                term *= (value - values[j]) / (values[i] - values[j])
        total += term
    return total


@njit(nogil=True)
def start_weights(times: np.ndarray, t_ref: float) -> tuple[int, np.ndarray]:
    """`first` and `start` of `integrate` for a reference time within the nodes `times`."""
    first = min(max(int(np.searchsorted(times, t_ref, side="right")) - 2, 0), len(times) - 4)
    out = np.empty((4, 4))
    for j in range(4):
        out[j] = integral_weights(times[first : first + 4], t_ref, times[first + j])
    return first, out


def step_weights(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`forward` and `backward` of `Rates`; NaN where there is no step."""
    forward, backward = np.full((2, len(times), 4), np.nan)
    for i in range(3, len(times) - 1):
        forward[i] = integral_weights(times[i - 3 : i + 1], times[i], times[i + 1])
    for i in range(1, len(times) - 3):
        backward[i] = integral_weights(times[i : i + 4], times[i], times[i - 1])
    return forward, backward


@njit(nogil=True)
def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


@njit(nogil=True)
def post_newtonian(q: float, omega: float, spins: np.ndarray, out: np.ndarray) -> None:
    """Angular velocity x, y of the frame and rates of both dimensionless spins, orbit-averaged, in 1 / M.

    Parameters
    ----------
    q : float, >= 1
    omega : float, orbital frequency in 1 / M
    spins : (6,) float64, dimensionless, in any frame whose z is along the orbital angular momentum
    out : (8,) float64, in the same frame
    """
    m1, m2 = q / (1 + q), 1 / (1 + q)
    eta, v = m1 * m2, omega ** (1 / 3)
    v2 = v * v
    l = np.array([0.0, 0.0, 1.0])
    s1, s2 = m1 * m1 * spins[:3], m2 * m2 * spins[3:]
    along = 0.75 + 0.5 * eta + v2 * (9 / 16 + 1.25 * eta - eta**2 / 24)
    odd = (m1 - m2) * (-0.75 + v2 * (-9 / 16 + 0.625 * eta))
    v5, v6 = v2 * v2 * v, v2 * v2 * v2
    omega_1 = (v5 * (along + odd) - 1.5 * v6 * s2[2] - 1.5 * v6 * m2 / m1 * s1[2]) * l + 0.5 * v6 * s2
    omega_2 = (v5 * (along - odd) - 1.5 * v6 * s1[2] - 1.5 * v6 * m1 / m2 * s2[2]) * l + 0.5 * v6 * s1
    rate_1, rate_2 = _cross(omega_1, s1), _cross(omega_2, s2)
    momentum = eta / v * (1 + v2 * (1.5 + eta / 6 + v2 * (27 / 8 - 19 * eta / 8 + eta**2 / 24)))
    turn = _cross(l, -(rate_1 + rate_2) / momentum)
    out[0], out[1] = turn[0], turn[1]
    # Seen from the frame, which turns itself.
    out[2:5] = rate_1 / (m1 * m1) - _cross(turn, spins[:3])
    out[5:8] = rate_2 / (m2 * m2) - _cross(turn, spins[3:])


@njit(nogil=True, fastmath=True)
def _rate(
    r: Rates, i: int, q: float, base: float, share: float, y: np.ndarray, room: np.ndarray, values: np.ndarray, out: np.ndarray
) -> None:
    """Rate (11,) of the state `y` at node `i`; `room` (`ROOM`,), `values` (n,) are to work in."""
    c, s = np.cos(y[4]), np.sin(y[4])
    x, spins, rates, turned, averaged = room[:7], room[7:13], room[13:22], room[22:30], room[30:38]
    for k in (0, 3):
        spins[k], spins[k + 1], spins[k + 2] = c * y[5 + k] + s * y[6 + k], c * y[6 + k] - s * y[5 + k], y[7 + k]
    rates[:] = 0.0
    if r.known[i] > 0:
        variables(q, spins, x)
        evaluate(r.monomials, x, values)
        first, row = r.monomials.first, r.coefficients[i]
        for k in range(9):
            of_kind = values[first[KINDS[k]] : first[KINDS[k] + 1]]
            total = 0.0
            for j in range(of_kind.size):
                total += row[k, j] * of_kind[j]
            rates[k] = total
    omega = share * rates[0] + (1 - share) * base
    turned[:2] = rates[1:3]
    for k in range(3):
        turned[2 + k], turned[5 + k] = rates[3 + k] + rates[6 + k], rates[3 + k] - rates[6 + k]
    if r.known[i] < 1:
        post_newtonian(q, omega, spins, averaged)
        for k in range(8):
            turned[k] = r.known[i] * turned[k] + (1 - r.known[i]) * averaged[k]
    # From the co-orbital to the co-precessing components; a spin's length does not change.
    wx, wy = c * turned[0] - s * turned[1], s * turned[0] + c * turned[1]
    out[0] = -0.5 * (y[1] * wx + y[2] * wy)
    out[1] = 0.5 * (y[0] * wx - y[3] * wy)
    out[2] = 0.5 * (y[0] * wy + y[3] * wx)
    out[3] = 0.5 * (y[1] * wy - y[2] * wx)
    out[4] = omega
    for k in (0, 3):
        a, b = c * turned[2 + k] - s * turned[3 + k], s * turned[2 + k] + c * turned[3 + k]
        out[5 + k], out[6 + k], out[7 + k] = a, b, turned[4 + k]
        square = y[5 + k] ** 2 + y[6 + k] ** 2 + y[7 + k] ** 2
        if square > 0:
            share = (out[5 + k] * y[5 + k] + out[6 + k] * y[6 + k] + out[7 + k] * y[7 + k]) / square
            for j in range(5 + k, 8 + k):
                out[j] -= share * y[j]
        else:
            out[5 + k : 8 + k] = 0.0


@njit(nogil=True)
def mean_monomials(m: Monomials, q: np.ndarray, chi1: np.ndarray, chi2: np.ndarray) -> np.ndarray:
    """Monomials of the orbital frequency (N, n_first) for N binaries, means over the azimuth of the spins (N, 3) in the orbit.

    What they give means the same for every orbital phase, as in LAL's orbit-averaged models.
    """
    size = m.first[1]
    x, spins, values, out = np.empty(7), np.empty(6), np.empty(len(m.exponents)), np.zeros((q.size, size))
    for k in range(AZIMUTHS):
        c, s = np.cos(2 * np.pi * k / AZIMUTHS), np.sin(2 * np.pi * k / AZIMUTHS)
        for i in range(q.size):
            a, b = chi1[i], chi2[i]
            spins[0], spins[1], spins[2] = c * a[0] - s * a[1], s * a[0] + c * a[1], a[2]
            spins[3], spins[4], spins[5] = c * b[0] - s * b[1], s * b[0] + c * b[1], b[2]
            variables(q[i], spins, x)
            evaluate(m, x, values)
            for j in range(size):
                out[i, j] += values[j] / AZIMUTHS
    return out


@njit(nogil=True)
def passed(omega: np.ndarray, nodes: np.ndarray, begin: np.ndarray, omega_ref: np.ndarray) -> np.ndarray:
    """When (M, (N,)) frequencies `omega` (N, n) at the first of `nodes`, known from the numbers `begin` (N,) on, last rise above
    `omega_ref` (N,); NaN where they do not."""
    out = np.full(omega_ref.size, np.nan)
    for i in range(omega_ref.size):
        row, wanted = omega[i], omega_ref[i]
        if not row[begin[i]] < wanted < row[-1]:
            continue
        # The last node below it: what oscillates could pass it before.
        k = row.size - 1
        while not row[k - 1] < wanted:
            k -= 1
        k = min(max(k, begin[i] + 2), row.size - 2)
        out[i] = inverse_cubic(row[k - 2 : k + 2], nodes[k - 2 : k + 2], wanted)
    return out


@njit(nogil=True)
def _normalize(y: np.ndarray, length_1: float, length_2: float) -> None:
    """Give the quaternion of the state length one, the spins theirs."""
    for first, last, length in ((0, 4, 1.0), (5, 8, length_1), (8, 11, length_2)):
        square = 0.0
        for k in range(first, last):
            square += y[k] * y[k]
        if square > 0:
            for k in range(first, last):
                y[k] *= length / np.sqrt(square)


@njit(nogil=True)
def collocate(
    r: Rates,
    q: float,
    state: np.ndarray,
    first: int,
    start: np.ndarray,
    base: np.ndarray,
    share: np.ndarray,
    gate: float,
    advance: np.ndarray,
    out: np.ndarray,
    rates: np.ndarray,
) -> None:
    """As `integrate`, at the four nodes about the reference time alone."""
    room, values = np.empty(ROOM), np.empty(len(r.monomials.exponents))
    length_1, length_2 = np.sqrt((state[5:8] ** 2).sum()), np.sqrt((state[8:] ** 2).sum())
    for j in range(first, first + 4):
        out[j] = state
    for _ in range(SWEEPS):
        for j in range(first, first + 4):
            _rate(r, j, q, base[j], share[j], out[j], room, values, rates[j])
        for j in range(4):
            for c in range(N_STATE):
                total = state[c]
                for k in range(4):
                    total += start[j, k] * (rates[first + k, c] - (gate * base[first + k] if c == 4 else 0.0))
                out[first + j, c] = total
            out[first + j, 4] += advance[first + j]
            _normalize(out[first + j], length_1, length_2)
    for j in range(first, first + 4):
        _rate(r, j, q, base[j], share[j], out[j], room, values, rates[j])


@njit(nogil=True)
def integrate(
    r: Rates,
    q: float,
    state: np.ndarray,
    first: int,
    start: np.ndarray,
    base: np.ndarray,
    share: np.ndarray,
    gate: float,
    advance: np.ndarray,
    out: np.ndarray,
    rates: np.ndarray,
) -> None:
    """Write the states at all nodes into `out` (n, 11), their rates into `rates` (n, 11).

    Parameters
    ----------
    r : Rates
    q : float
    state : (11,) float64
        at the reference time
    first : int
        node with which the four about the reference time begin
    start : (4, 4) float64, M
        weights that integrate the rates at these four from the reference time to each of them
    base : (n,) float64, 1 / M
        another orbital frequency
    share : (n,) float64
        how much of the orbital frequency is the polynomials', the rest is `base`
    gate : float
        how much of `base` is in the orbital frequency at all nodes: that is not integrated numerically
    advance : (n,) float64
        the integral of ``gate * base`` from the reference time
    """
    n = len(r.times)
    room, values = np.empty(ROOM), np.empty(len(r.monomials.exponents))
    length_1, length_2 = np.sqrt((state[5:8] ** 2).sum()), np.sqrt((state[8:] ** 2).sum())
    collocate(r, q, state, first, start, base, share, gate, advance, out, rates)
    for direction in (1, -1):
        i, end = (first + 3, n - 1) if direction > 0 else (first, 0)
        while i != end:
            weights, lowest = (r.forward[i], i - 3) if direction > 0 else (r.backward[i], i)
            to = i + direction
            for c in range(N_STATE):
                total = out[i, c]
                for k in range(4):
                    total += weights[k] * (rates[lowest + k, c] - (gate * base[lowest + k] if c == 4 else 0.0))
                out[to, c] = total
            out[to, 4] += advance[to] - advance[i]
            _normalize(out[to], length_1, length_2)
            _rate(r, to, q, base[to], share[to], out[to], room, values, rates[to])
            i = to
