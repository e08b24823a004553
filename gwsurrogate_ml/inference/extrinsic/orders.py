"""Integrals over time, sky, polarisation, phase and distance of a signal with any modes and any spins, its inclination given.

With a waveform's spectra S_mp order by order in the orbital phase (`waveform.model`), the antenna patterns F_dp and the arrival t_d
of a point, ``<h|d> = Re sum_m exp(-i m phase) Z_m / D`` and ``<h|h> = Re sum_mn exp(i (n - m) phase) G_mn / D^2`` with
``Z_m = sum_dp F_dp z_mpd(t_d)`` and ``G_mn = sum_dpq F_dp F_dq <S_mp|S_nq>_d``. A point has a direction, arrival times, and the
places of its polarisation angle and its phase in their proposals, which are the binary's own at that direction: the angle about
where the orders m = 2 and -2 have their maximum, the phase about those of all, or anywhere, and weighed by prior over proposal.
Edge-on the angle is as sharp as one over twice the signal-to-noise ratio, and where it lies goes with the binary and the direction:
of angles that are the same for all few count. Of strongly precessing binaries other orders move the phase's maxima and make one of
them the higher: they are climbed with all orders, from where m = 2 has its own. Distance is integrated by quadrature over 1 / D, in
which the likelihood is a normal density (the prior ~ D^2 becomes ``(1/D)^-4``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from scipy.special import ndtri

from gwsurrogate_ml.inference.extrinsic.points import TEMPER, ExtrinsicPoints
from gwsurrogate_ml.inference.likelihood.detectors import DetectorNetwork
from gwsurrogate_ml.inference.likelihood.window import TAPS, TimeWindow, lagrange
from gwsurrogate_ml.jit import njit

SKIP = 16.0
"""Log of the share of the largest term below which points of one draw are left out."""
ANYWHERE = 0.1
"""Share of phases, and of polarisation angles, drawn uniformly."""
_BROAD = 1.5
"""Largest width of four times the polarisation angle."""
LEAST = 0.05
"""Least share of the less likely of two maxima over the phase."""
_CLIMB, _STRIDE, _NEAR = 8, 0.3, 0.1
"""Most steps to the maximum over the phase, the longest of them (rad), and what may be left to it, in units of its width."""
REACH, DECAYS = 6.0, 30.0
"""Standard deviations of 1 / D on either side of the best one that are integrated; where that lies beyond an end of the prior,
lengths in which the likelihood falls by a factor of e from that end on."""
_FAR = 12.0
"""Standard deviations beyond which a normal density is nothing."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


@dataclass(frozen=True)
class OrderPoints:
    """Weighted points over arrival times, sky, and the places of polarisation and phase in their proposals.

    Parameters
    ----------
    points : ExtrinsicPoints
        of which polarisation angle, inclination and amplitudes are not used
    aim : (M,) int
        where the polarisation angle is: 0 anywhere, 1 about the maximum
    aimed : (M,) float64
        angle over pi / 2 (aim 0), or normal score about the centre
    turned : (M,) float64
        0 or pi / 2, added to the angle: that turns the sign of the signal alone
    kind : (M,) float64 in [0, 1)
        where the phase is: below `ANYWHERE` anywhere, above it which of two maxima it is about, the likelier the larger its share
    place : (M,) float64
        phase over a turn (anywhere), or normal score about the maximum
    """

    points: ExtrinsicPoints
    aim: np.ndarray
    aimed: np.ndarray
    turned: np.ndarray
    kind: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, points: ExtrinsicPoints, seed: int) -> OrderPoints:
        """Points with a place for angle and phase each; the angles given, uniform in [0, pi / 2), say which quantile it is."""
        rng = np.random.default_rng([seed, 5])
        n = len(points)
        kind = rng.random(n)
        # Sobol's numbers are multiples of 2^-30, zero among them.
        u, quantile = rng.random(n), np.maximum(points.psi / (np.pi / 2), 2.0**-31)
        turned = np.pi / 2 * rng.integers(0, 2, n)
        aim = rng.choice(2, p=[ANYWHERE, 1 - ANYWHERE], size=n)
        aimed, place = np.where(aim == 0, quantile, ndtri(quantile)), np.where(kind < ANYWHERE, u, ndtri(u))
        return cls(points, aim, aimed, turned, kind, place)

    def _own(self) -> dict[str, np.ndarray]:
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "points"}

    def tensors(self) -> dict[str, np.ndarray]:
        """All of them, by name."""
        return self.points.tensors() | {f"own.{name}": values for name, values in self._own().items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray]) -> OrderPoints:
        """The inverse of `tensors`."""
        own = {name.removeprefix("own."): tensor for name, tensor in tensors.items() if name.startswith("own.")}
        return cls(ExtrinsicPoints(**{k: v for k, v in tensors.items() if not k.startswith("own.")}), **own)

    def take(self, index: np.ndarray, log_weight: np.ndarray) -> OrderPoints:
        """The chosen points with new weights."""
        return OrderPoints(self.points.take(index, log_weight), **{name: values[index] for name, values in self._own().items()})

    @classmethod
    def joined(cls, sets: Sequence[OrderPoints]) -> OrderPoints:
        """All points of some sets."""
        tensors = [points.tensors() for points in sets]
        return cls.from_tensors({name: np.concatenate([one[name] for one in tensors]) for name in tensors[0]})

    @property
    def log_weight(self) -> np.ndarray:
        """(M,) float64."""
        return self.points.log_weight

    def __len__(self) -> int:
        return len(self.points)


@njit(inline="always")
def _matches(series, e, left, weights, patterns, at, z, turned):  # type: ignore[no-untyped-def]
    """Fill Z_m (n_m,) of point `e` for a polarisation angle of 0, and of pi / 4 (`turned`). `series` (n_det, n_t, 4 n_m) float32
    are plus and cross of each order, real and imaginary parts side by side; `at` (4 n_m,) is room for a row between two times."""
    n_det, size = series.shape[0], series.shape[2]
    z[:] = 0.0
    turned[:] = 0.0
    for d in range(n_det):
        start = left[e, d]
        for i in range(size):
            at[i] = weights[e, d, 0] * series[d, start, i]
        for k in range(1, 6):
            w = weights[e, d, k]
            row = series[d, start + k]
            for i in range(size):
                at[i] += w * row[i]
        plus, cross = patterns[e, d, 0], patterns[e, d, 1]
        for m in range(z.size):
            z[m] += complex(plus * at[4 * m] + cross * at[4 * m + 2], plus * at[4 * m + 1] + cross * at[4 * m + 3])
            turned[m] += complex(cross * at[4 * m] - plus * at[4 * m + 2], cross * at[4 * m + 1] - plus * at[4 * m + 3])


@njit(inline="always")
def _twice(z, two, opposite):  # type: ignore[no-untyped-def]
    """What turns with twice the phase: Z_2 and, where there is one (a precessing binary seen edge-on), the conjugate of Z_-2."""
    return z[two] + (z[opposite].conjugate() if opposite >= 0 else 0.0)


@njit(inline="always")
def _wrapped(x, sigma, period):  # type: ignore[no-untyped-def]
    """Density at `x` of a normal one of width `sigma` about 0, wound up to a period."""
    nearest = x - period * np.round(x / period)
    density = 0.0
    for turn in range(-2, 3):
        y = (nearest + period * turn) / sigma
        if abs(y) < _FAR:
            density += np.exp(-0.5 * y * y)
    return density / (np.sqrt(2 * np.pi) * sigma)


@njit(inline="always")
def _polarisation(plus, cross, of_two, patterns, e, aim, aimed):  # type: ignore[no-untyped-def]
    """Four times the polarisation angle of a point and the log of its prior over its proposal. `plus`, `cross` are `_twice` for an
    angle of 0 and pi / 4: the largest log likelihood is half of ``M / P`` with M and P first harmonics of that angle."""
    m_0, m_1 = 0.5 * (abs(plus) ** 2 + abs(cross) ** 2), 0.5 * (abs(plus) ** 2 - abs(cross) ** 2)
    m_2 = plus.real * cross.real + plus.imag * cross.imag
    p_0, p_1, p_2 = 0.0, 0.0, 0.0
    for d in range(of_two.shape[0]):
        f, g = patterns[e, d, 0], patterns[e, d, 1]
        pp, both, cc = of_two[d, 0, 0].real, of_two[d, 1, 0].real, of_two[d, 2, 0].real
        p_0 += 0.5 * (f * f + g * g) * (pp + cc)
        p_1 += 0.5 * (f * f - g * g) * (pp - cc) + f * g * both
        p_2 += f * g * (pp - cc) + 0.5 * (g * g - f * f) * both
    # Where the derivative of the ratio vanishes: a sine and a cosine of the angle are constant there.
    a, b, c = m_0 * p_1 - m_1 * p_0, m_2 * p_0 - m_0 * p_2, m_2 * p_1 - m_1 * p_2
    size = np.sqrt(a * a + b * b)
    middle, half = np.arctan2(a, b), np.arccos(max(-1.0, min(1.0, -c / max(size, 1e-300))))
    first, second = middle + half, middle - half
    power = 1e-12 * p_0 + 1e-300
    top = (m_0 + m_1 * np.cos(first) + m_2 * np.sin(first)) / max(p_0 + p_1 * np.cos(first) + p_2 * np.sin(first), power)
    other = (m_0 + m_1 * np.cos(second) + m_2 * np.sin(second)) / max(p_0 + p_1 * np.cos(second) + p_2 * np.sin(second), power)
    centre = first if top > other else second
    sigma = min(1.0 / np.sqrt(max(0.25 * TEMPER * abs(top - other), 1e-12)), _BROAD)
    x = 2 * np.pi * aimed if aim == 0 else centre + sigma * aimed
    density = (1 - ANYWHERE) * _wrapped(x - centre, sigma, 2 * np.pi) + ANYWHERE / (2 * np.pi)
    return x, -np.log(2 * np.pi * density)


def by_difference(orders: np.ndarray, gram: np.ndarray) -> np.ndarray:
    """<h|h> as a polynomial of exp(i phase): coefficients (n_det, 3, n_k) complex128 of ``F_+^2``, ``F_+ F_x`` and ``F_x^2``,
    Re sum_k c_k exp(i k phase), k from 0 on.

    Parameters
    ----------
    orders : (n_m,) int
    gram : (n_det, n_m, 2, n_m, 2) complex128, <S_mp|S_nq>_d
    """
    return _differences(orders, gram, int(orders.max() - orders.min()) + 1)


@njit(nogil=True)
def _differences(orders, gram, n_k):  # type: ignore[no-untyped-def]
    n_det, n_m = gram.shape[:2]
    out = np.zeros((n_det, 3, n_k), np.complex128)
    for d in range(n_det):
        for m in range(n_m):
            for n in range(n_m):
                k = orders[n] - orders[m]
                # The matrix is Hermitian: what lies below its diagonal repeats what lies above.
                if k < 0:
                    continue
                factor = 2.0 if k else 1.0
                out[d, 0, k] += factor * gram[d, m, 0, n, 0]
                out[d, 1, k] += factor * (gram[d, m, 0, n, 1] + gram[d, m, 1, n, 0])
                out[d, 2, k] += factor * gram[d, m, 1, n, 1]
    return out


@njit(inline="always")
def _turns(phase, turns):  # type: ignore[no-untyped-def]
    """Fill exp(i k phase), k from 0 on."""
    one = complex(np.cos(phase), np.sin(phase))
    turns[0] = 1.0
    for k in range(1, turns.size):
        turns[k] = turns[k - 1] * one


@njit(inline="always")
def _seen(norms, seen, coefficients):  # type: ignore[no-untyped-def]
    """Fill the coefficients (n_k,) of <h|h> at 1 Mpc in exp(i k phase) for antenna patterns `seen` (n_det, 2)."""
    coefficients[:] = 0.0
    for d in range(norms.shape[0]):
        plus, cross = seen[d, 0], seen[d, 1]
        pp, pc, cc = plus * plus, plus * cross, cross * cross
        for k in range(norms.shape[2]):
            coefficients[k] += pp * norms[d, 0, k] + pc * norms[d, 1, k] + cc * norms[d, 2, k]


@njit(inline="always")
def _power(coefficients, turns):  # type: ignore[no-untyped-def]
    """<h|h> at 1 Mpc at the phase of `turns`."""
    total = 0.0
    for k in range(coefficients.size):
        total += coefficients[k].real * turns[k].real - coefficients[k].imag * turns[k].imag
    return max(total, 1e-300)


@njit(inline="always")
def _match(z, orders, turns):  # type: ignore[no-untyped-def]
    """<h|d> at 1 Mpc at the phase of `turns`."""
    match = 0.0
    for m in range(z.size):
        turn = turns[abs(orders[m])]
        match += z[m].real * turn.real + (z[m].imag if orders[m] > 0 else -z[m].imag) * turn.imag
    return match


@njit(inline="always")
def _slopes(z, orders, coefficients, turns):  # type: ignore[no-untyped-def]
    """Signal-to-noise ratio ``<h|d> / <h|h>^(1/2)`` at the phase of `turns`, and its first and second derivative by the phase."""
    match, first, second = 0.0, 0.0, 0.0
    for m in range(z.size):
        order, turn = orders[m], turns[abs(orders[m])]
        sine = turn.imag if order > 0 else -turn.imag
        along = z[m].real * turn.real + z[m].imag * sine
        match += along
        first += order * (z[m].imag * turn.real - z[m].real * sine)
        second -= order * order * along
    power, p_first, p_second = 0.0, 0.0, 0.0
    for k in range(coefficients.size):
        c, turn = coefficients[k], turns[k]
        along = c.real * turn.real - c.imag * turn.imag
        power += along
        p_first -= k * (c.real * turn.imag + c.imag * turn.real)
        p_second -= k * k * along
    power = max(power, 1e-300)
    root, x, y = 1.0 / np.sqrt(power), p_first / power, p_second / power
    return (
        root * match,
        root * (first - 0.5 * match * x),
        root * (second - first * x + match * (0.75 * x * x - 0.5 * y)),
    )


@njit(inline="always")
def _top(z, orders, coefficients, phase, turns):  # type: ignore[no-untyped-def]
    """The maximum of the signal-to-noise ratio near a phase: where, how high, and how wide the likelihood is there."""
    rho, sigma = 0.0, 1.0
    for step in range(_CLIMB + 1):
        _turns(phase, turns)
        rho, first, second = _slopes(z, orders, coefficients, turns)
        move = max(-_STRIDE, min(_STRIDE, -first / second if second < 0.0 else _STRIDE * np.sign(first)))
        # What is left to climb widens it; where there is no maximum it is as wide as can be.
        sigma = min(np.sqrt(1.0 / (-rho * second) + move * move), 1.0) if rho > 0.0 and second < 0.0 else 1.0
        if step == _CLIMB or (sigma < 1.0 and abs(move) < _NEAR * sigma):
            break
        phase += move
    return phase, rho, sigma


@njit(inline="always")
def _phase(z, orders, coefficients, centre, kind, place, turns):  # type: ignore[no-untyped-def]
    """Phase of a point and the log of its prior over its proposal: about the two maxima near `centre`, where m = 2 has its own, and
    half a turn farther, by their likelihoods; orders above or below 2 move them and tell them apart."""
    one, rho, sigma = _top(z, orders, coefficients, centre, turns)
    other, rho_other, sigma_other = _top(z, orders, coefficients, centre + np.pi, turns)
    apart = 0.5 * TEMPER * (max(rho_other, 0.0) ** 2 - max(rho, 0.0) ** 2)
    share = LEAST + (1.0 - 2.0 * LEAST) / (1.0 + np.exp(max(-50.0, min(50.0, apart))))
    if kind < ANYWHERE:
        phase = 2 * np.pi * place
    elif kind < ANYWHERE + (1.0 - ANYWHERE) * share:
        phase = one + sigma * place
    else:
        phase = other + sigma_other * place
    density = share * _wrapped(phase - one, sigma, 2 * np.pi) + (1.0 - share) * _wrapped(phase - other, sigma_other, 2 * np.pi)
    return phase, -np.log(2 * np.pi * ((1.0 - ANYWHERE) * density + ANYWHERE / (2 * np.pi)))


@njit(inline="always")
def _bounds(match, power, near, far):  # type: ignore[no-untyped-def]
    """Range of 1 / D that counts, within the prior's."""
    best, sigma = match / power, 1.0 / np.sqrt(power)
    low, high = 1.0 / far, 1.0 / near
    # Beyond the prior's ends the likelihood falls off from the end on, the faster the farther the best is.
    beyond = max(best - high, low - best, 0.0)
    reach = REACH * sigma if beyond == 0.0 else min(REACH * sigma, DECAYS / (power * beyond))
    inner, outer = max(low, min(best, high) - reach), min(high, max(best, low) + reach)
    # Far distances count by their volume where the signal is weak, or beyond the prior.
    if best - REACH * sigma < low or 0.5 * match * match / power * (1 if match > 0 else 0) < 12.0:
        inner = low
    return inner, max(outer, inner * (1 + 1e-12))


@njit(inline="always")
def _over_distance(match, power, near, far, log_norm, nodes, weights):  # type: ignore[no-untyped-def]
    """Log of the likelihood integrated over the prior on distance, by Gauss-Legendre in log(1 / D) over what counts."""
    low, high = _bounds(match, power, near, far)
    a, b = np.log(low), np.log(high)
    top, total = -np.inf, 0.0
    panels = 1 + int((b - a) / 1.5)
    width = (b - a) / panels
    for panel in range(panels):
        for k in range(len(nodes)):
            x = a + width * (panel + 0.5 + 0.5 * nodes[k])
            w = np.exp(x)
            term = match * w - 0.5 * power * w * w - 3.0 * x
            if term > top:
                total = total * np.exp(top - term) + 0.5 * width * weights[k]
                top = term
            else:
                total += 0.5 * width * weights[k] * np.exp(term - top)
    return top + np.log(total) + log_norm


@njit(nogil=True, fastmath={"contract", "reassoc", "nsz"})
def _terms(series, norms, of_two, packed, orders, two, opposite, n_turns, limits, edges, nodes, node_weights, skip):  # type: ignore[no-untyped-def]
    """Log of weight times likelihood of every point (M,), its polarisation angle, phase, match and power (M,)."""
    left, weights, patterns, aim, aimed, turned, kind, place, log_weight, geocentre = packed
    n_m, n_points, n_det = orders.size, len(log_weight), len(norms)
    at, seen, coefficients = np.empty(4 * n_m), np.empty((n_det, 2)), np.empty(norms.shape[2], np.complex128)
    z, of_other, turns = np.empty(n_m, np.complex128), np.empty(n_m, np.complex128), np.ones(n_turns, np.complex128)
    out, most = np.full(n_points, -np.inf), np.full(n_points, -np.inf)
    angles, phases, matches, powers = np.zeros(n_points), np.zeros(n_points), np.zeros(n_points), np.ones(n_points)
    near, far, log_norm = edges
    for e in range(n_points):
        if geocentre[e] < limits[0] or geocentre[e] > limits[1]:
            continue
        _matches(series, e, left, weights, patterns, at, z, of_other)
        plus, cross = _twice(z, two, opposite), _twice(of_other, two, opposite)
        four, log_ratio = _polarisation(plus, cross, of_two, patterns, e, aim[e], aimed[e])
        angles[e] = (0.25 * four) % (0.5 * np.pi) + turned[e]
        c, s = np.cos(2 * angles[e]), np.sin(2 * angles[e])
        for m in range(n_m):
            z[m] = c * z[m] + s * of_other[m]
        for d in range(n_det):
            seen[d, 0] = c * patterns[e, d, 0] + s * patterns[e, d, 1]
            seen[d, 1] = c * patterns[e, d, 1] - s * patterns[e, d, 0]
        _seen(norms, seen, coefficients)
        of_m_2 = c * plus + s * cross
        phase, another = _phase(z, orders, coefficients, 0.5 * np.arctan2(of_m_2.imag, of_m_2.real), kind[e], place[e], turns)
        _turns(phase, turns)
        match, power = _match(z, orders, turns), _power(coefficients, turns)
        phases[e], matches[e], powers[e] = phase, match, power
        out[e] = log_weight[e] + log_ratio + another
        most[e] = out[e] + (0.5 * match * match / power if match > 0 else 0.0)
    top = -np.inf
    # The likeliest first: most others need no integral then.
    for e in np.argsort(-most):
        if most[e] < top - skip or most[e] == -np.inf:
            out[e] = -np.inf
            continue
        out[e] += _over_distance(matches[e], powers[e], near, far, log_norm, nodes, node_weights)
        top = max(top, out[e])
    return out, angles, phases, matches, powers


@dataclass(frozen=True)
class OrdersIntegral:
    """The likelihood with all but inclination and the model's own parameters integrated, over one set of points.

    Parameters
    ----------
    points : OrderPoints
    network : DetectorNetwork
    window : TimeWindow
    distance : (nearest, farthest), Mpc
    time_limits : (low, high) of the geocentre time, s from the segment's start
    """

    points: OrderPoints
    network: DetectorNetwork
    window: TimeWindow
    distance: tuple[float, float]
    time_limits: tuple[float, float]

    @cached_property
    def _packed(self) -> tuple:
        p = self.points.points
        position = (p.times - self.window.start) / self.window.step
        left = np.floor(position).astype(np.int64) - (TAPS // 2 - 1)
        patterns = np.stack(self.network.patterns(p.direction, np.zeros(len(p))), axis=2)
        own = self.points
        places = own.aim, own.aimed, own.turned, own.kind, own.place
        return left, lagrange(position - left), patterns, *places, p.log_weight, p.geocentre

    @property
    def _edges(self) -> tuple[float, float, float]:
        near, far = self.distance
        return near, far, float(np.log(3.0 / (far**3 - near**3)))

    def terms(
        self, orders: np.ndarray, series: np.ndarray, gram: np.ndarray, later: float = 0.0, *, skip: float = np.inf
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Log of weight times likelihood of every point, and for this binary its polarisation angle, phase, <h|d> and <h|h> at
        1 Mpc, each (M,).

        Parameters
        ----------
        orders : (n_m,) int
        series : (n_m, 2, n_det, window.size) complex, <S_mp|d>_d(t + later) at 1 Mpc
        gram : (n_det, n_m, 2, n_m, 2) complex128, <S_mp|S_nq>_d
        later : float, s
            what is to be added to the points' times
        skip : float
            points whose largest possible term lies this far (in log) below the largest are left out
        """
        two = int(np.flatnonzero(orders == 2)[0])
        norms = by_difference(orders, gram)
        opposite = int(np.flatnonzero(orders == -2)[0]) if -2 in orders else -1
        both = [two] if opposite < 0 else [two, opposite]
        of_two = np.sum([by_difference(orders[k : k + 1], gram[:, k : k + 1, :, k : k + 1]) for k in both], axis=0)
        limits = self.time_limits[0] - later, self.time_limits[1] - later
        n_m, _, n_det, n_t = series.shape
        # Orders side by side: they are interpolated together.
        rows = np.ascontiguousarray(series.transpose(2, 3, 0, 1), np.complex64).reshape(n_det, n_t, 2 * n_m).view(np.float32)
        n_turns = max(norms.shape[2], int(np.abs(orders).max()) + 1)
        place = self._packed, orders, two, opposite, n_turns, limits, self._edges
        return _terms(rows, norms, of_two, *place, _NODES, _WEIGHTS, skip)

    def draw(
        self, terms: np.ndarray, matches: np.ndarray, powers: np.ndarray, rng: np.random.Generator
    ) -> tuple[int, float, float, float]:
        """Index of a point drawn by its term, a distance (Mpc) there, log likelihood ratio and optimal SNR."""
        chance = np.exp(terms - terms.max())
        e = int(np.searchsorted(np.cumsum(chance), rng.random() * chance.sum()))
        match, power = matches[e], powers[e]
        low, high = _bounds(match, power, *self.distance)
        x = np.linspace(np.log(low), np.log(high), 1001)
        inverse = np.exp(x)
        log_density = match * inverse - 0.5 * power * inverse**2 - 3 * x
        density = np.exp(log_density - log_density.max())
        cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
        w = np.exp(np.interp(rng.random() * cumulative[-1], cumulative, x))
        return e, float(1 / w), float(match * w - 0.5 * power * w**2), float(np.sqrt(power) * w)
