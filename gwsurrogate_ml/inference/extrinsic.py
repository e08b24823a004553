"""Integrals over the seven extrinsic parameters of a (2,2) signal in two detectors, by shared quasi-random points.

Arrival times, sky ring, polarisation and inclination are summed over weighted points; phase and distance come from a
table (`distance`). Isotropic sky and uniform time make the arrival times (t_1, t_2) uniform where |t_1 - t_2| is
below the light travel time, and the azimuth around the baseline uniform. Many Sobol points are weighed once at a few
likely binaries, and the few thousand that are kept are drawn by those weights, so that nearly all of them count
(arXiv:2404.02435 uses adaptive importance sampling to the same end). A third detector takes part through the arrival
time and amplitude that each direction gives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import maximum_filter1d

from gwsurrogate_ml.inference.distance import DistanceTable
from gwsurrogate_ml.inference.geometry import Network, amplitudes
from gwsurrogate_ml.jit import njit

TEMPER = 0.6
"""Power to which the likelihood of each detector's arrival time is raised in the proposal: wider than the posterior."""
FLOOR = 0.02
"""Share of arrival times drawn uniformly over the window."""
SKIP = 25.0
"""A point whose largest possible term lies this far (in log) below the largest so far is skipped: e^-25 of the sum."""
_TAPS = 6
_RING, _RING_FLOOR, _SPREAD = 96, 0.1, 9
"""Cells of the ring of directions, the share of azimuths drawn uniformly, and samples over which a series is widened."""


@dataclass(frozen=True)
class TimeWindow:
    """Arrival times at which matched-filter series are tabulated, s from the start of the segment.

    Parameters
    ----------
    start : float, s
    step : float, s
    size : int
    """

    start: float
    step: float
    size: int

    @property
    def times(self) -> np.ndarray:
        """(size,) float64, s."""
        return self.start + self.step * np.arange(self.size)


@dataclass(frozen=True)
class ExtrinsicPoints:
    """Weighted points over arrival times, sky ring, polarisation and inclination: ``integral ~ sum exp(log_weight) L``.

    Parameters
    ----------
    times : (M, n_det) float64, s from the segment's start
    geocentre : (M,) float64, s from the segment's start
    direction : (M, 3) unit vectors, Earth-fixed
    psi : (M,) rad, folded into [0, pi/2); cos_theta : (M,)
    amplitude : (M, n_det) complex128, `geometry.amplitudes`
    log_weight : (M,) float64
    """

    times: np.ndarray
    geocentre: np.ndarray
    direction: np.ndarray
    psi: np.ndarray
    cos_theta: np.ndarray
    amplitude: np.ndarray
    log_weight: np.ndarray

    def __len__(self) -> int:
        return len(self.log_weight)

    def take(self, index: np.ndarray, log_weight: np.ndarray) -> ExtrinsicPoints:
        """The chosen points with new weights."""
        fields = (self.times, self.geocentre, self.direction, self.psi, self.cos_theta, self.amplitude)
        times, geocentre, direction, psi, cos_theta, amplitude = (field[index] for field in fields)
        return ExtrinsicPoints(times, geocentre, direction, psi, cos_theta, amplitude, log_weight)

    def packed(self, window: TimeWindow) -> tuple[np.ndarray, ...]:
        """Arrays as the compiled loops read them: left index and weights of the interpolation, conj(A), |A|^2,
        weights, times.
        """
        position = (self.times - window.start) / window.step
        left = np.floor(position).astype(np.int64) - (_TAPS // 2 - 1)
        return (
            left,
            _lagrange(position - left),
            np.ascontiguousarray(np.conj(self.amplitude)),
            np.abs(self.amplitude) ** 2,
            self.log_weight,
            self.geocentre,
        )


def _lagrange(x: np.ndarray) -> np.ndarray:
    """Weights of the polynomial through nodes 0..5 at positions `x`: (..., 6)."""
    nodes = np.arange(_TAPS)
    weights = np.ones((*x.shape, _TAPS))
    for j in nodes:
        for k in nodes[nodes != j]:
            weights[..., j] *= (x - k) / (j - k)
    return weights


def quasi_random(
    network: Network, window: TimeWindow, rho_squared: np.ndarray, half_width: float, log2_n: int, seed: int
) -> ExtrinsicPoints:
    """Scrambled Sobol points over the extrinsic prior, arrival times concentrated where the data want them.

    Parameters
    ----------
    network : Network
        arrival times are drawn at its first two detectors; those at others follow from the direction
    window : TimeWindow
    rho_squared : (n_det, window.size) squared signal-to-noise series of each detector
    half_width : float, s
        half width of the uniform prior on the geocentre time
    log2_n : int
        2**log2_n points
    seed : int

    Returns
    -------
    ExtrinsicPoints, weighted by prior / proposal / number of points
    """
    from scipy.stats import qmc

    u = qmc.Sobol(5, scramble=True, seed=np.random.default_rng(seed)).random_base2(log2_n)
    n, size, travel = len(u), window.size, network.light_travel_time
    log_p = TEMPER * 0.5 * (rho_squared[0][:, None] + rho_squared[1][None, :])
    lag = window.step * (np.arange(size)[:, None] - np.arange(size)[None, :])
    # The interpolation needs a margin on either side; a cell counts if any part of it is causal.
    inner = (np.arange(size) >= _TAPS // 2) & (np.arange(size) < size - _TAPS // 2)
    allowed = (np.abs(lag) <= travel + window.step) & inner[:, None] & inner[None, :]
    p = np.where(allowed, np.exp(log_p - log_p[allowed].max()), 0.0)
    p = (1 - FLOOR) * p / p.sum() + FLOOR * allowed / allowed.sum()

    flat = np.concatenate([[0.0], np.cumsum(p.ravel())])
    edges = flat[::size].copy()
    row = np.clip(np.searchsorted(edges, u[:, 0] * edges[-1], side="right") - 1, 0, size - 1)
    row_mass = edges[row + 1] - edges[row]
    within_row = (u[:, 0] * edges[-1] - edges[row]) / row_mass
    target = edges[row] + u[:, 1] * row_mass
    cell = np.clip(np.searchsorted(flat, target, side="right") - 1, row * size, (row + 1) * size - 1)
    column = cell - row * size
    within_cell = np.clip((target - flat[cell]) / p.ravel()[cell], 0.0, 1.0)
    times = window.start + window.step * (np.stack([row + within_row, column + within_cell], axis=1) - 0.5)

    delay = times[:, 0] - times[:, 1]
    psi, cos_theta = np.pi / 2 * u[:, 3], 2 * u[:, 4] - 1
    azimuth, log_azimuth = 2 * np.pi * u[:, 2], np.zeros(n)
    if len(network.names) > 2:
        azimuth, log_azimuth = _azimuths(network, window, rho_squared[2:], times[:, 0], delay, u[:, 2])
    direction = network.ring_direction(delay, azimuth)
    delays = network.delays(direction)
    geocentre = times[:, 0] - delays[:, 0]
    times = geocentre[:, None] + delays
    position = (times - window.start) / window.step
    inside = np.all((position >= _TAPS // 2 - 1) & (position < size - _TAPS // 2), axis=1)
    causal = (np.abs(delay) <= travel) & inside
    log_prior = -np.log(2 * half_width) - np.log(2 * travel)
    log_proposal = np.log(p.ravel()[cell]) - 2 * np.log(window.step) + log_azimuth
    log_weight = log_prior - log_proposal - np.log(n)
    amplitude = amplitudes(*network.patterns(direction, psi), cos_theta)
    points = ExtrinsicPoints(times, geocentre, direction, psi, cos_theta, amplitude, log_weight)
    return points.take(np.flatnonzero(causal), log_weight[causal])


def _azimuths(
    network: Network, window: TimeWindow, rho_squared: np.ndarray, first: np.ndarray, delay: np.ndarray, u: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Azimuths (n,) on the ring of each `delay` (n,), concentrated where further detectors see the signal, and their log
    density against the uniform.

    Parameters
    ----------
    rho_squared : (n_det - 2, window.size) of the detectors from the third on
    first, delay : (n,) s, arrival at the first detector and after the second's
    u : (n,) uniform numbers
    """
    n, centres = len(u), 2 * np.pi * (np.arange(_RING) + 0.5) / _RING
    # On a ring the delay of a further detector is a + b cos(azimuth) + c sin(azimuth).
    quarter = [network.delays(network.ring_direction(delay, np.full(n, x))) for x in (0.0, np.pi / 2, np.pi)]
    after = [d - d[:, :1] for d in quarter]
    middle = 0.5 * (after[0] + after[2])
    log_p = np.zeros((n, _RING))
    for k, row in enumerate(rho_squared, start=2):
        cosine, sine = after[0][:, k] - middle[:, k], after[1][:, k] - middle[:, k]
        arrival = (
            first[:, None] + middle[:, k, None] + np.outer(cosine, np.cos(centres)) + np.outer(sine, np.sin(centres))
        )
        index = np.clip(np.round((arrival - window.start) / window.step).astype(np.int64), 0, window.size - 1)
        # A cell of the ring is wider than the peak: its best time speaks for it.
        log_p += TEMPER * 0.5 * maximum_filter1d(row, _SPREAD)[index]
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    p = (1 - _RING_FLOOR) * p / p.sum(axis=1, keepdims=True) + _RING_FLOOR / _RING
    edges = np.cumsum(p, axis=1)
    cell = np.minimum(np.sum(edges < u[:, None], axis=1), _RING - 1)
    chosen = np.take_along_axis(p, cell[:, None], 1)[:, 0]
    within = np.clip((u - np.take_along_axis(edges, cell[:, None], 1)[:, 0] + chosen) / chosen, 0.0, 1.0)
    return 2 * np.pi * (cell + within) / _RING, np.log(chosen * _RING)


def keep_best(
    points: ExtrinsicPoints, log_likelihood: np.ndarray, size: int, rng: np.random.Generator
) -> ExtrinsicPoints:
    """Systematic draw of `size` points by a mixture of posterior weight, its square root's and the prior's.

    Parameters
    ----------
    points : ExtrinsicPoints
    log_likelihood : (len(points),) mean likelihood over a few likely binaries, each normalised to its integral
    size : int

    Returns
    -------
    ExtrinsicPoints whose weighted sum has the expectation of the full set's
    """
    log_w = points.log_weight

    def share(log_g: np.ndarray) -> np.ndarray:
        g = np.exp(log_g - log_g.max())
        return g / g.sum()

    chance = 0.75 * share(log_w + log_likelihood) + 0.2 * share(log_w + 0.5 * log_likelihood) + 0.05 * share(log_w)
    cdf = np.cumsum(chance)
    index = np.searchsorted(cdf, (np.arange(size) + rng.random()) / size * cdf[-1], side="right")
    index = np.minimum(index, len(points) - 1)
    return points.take(index, log_w[index] - np.log(size * chance[index] / cdf[-1]))


@njit(inline="always")
def _table(packed: tuple[np.ndarray, float, float, float, float], rho: float, tau: float) -> float:
    """Catmull-Rom interpolation in (rho, tau), clamped at the edges of tau (flat to the left, negligible to the
    right).
    """
    values, rho_min, rho_step, tau_min, tau_step = packed
    x = min(max((rho - rho_min) / rho_step, 1.0), values.shape[0] - 2.001)
    y = min(max((tau - tau_min) / tau_step, 1.0), values.shape[1] - 2.001)
    i, j = int(x), int(y)
    a, b = x - i, y - j
    b0, b1 = b * (-0.5 + b * (1 - 0.5 * b)), 1 + b * b * (1.5 * b - 2.5)
    b2, b3 = b * (0.5 + b * (2 - 1.5 * b)), b * b * (0.5 * b - 0.5)
    total = 0.0
    for k in range(4):
        if k == 0:
            w = a * (-0.5 + a * (1 - 0.5 * a))
        elif k == 1:
            w = 1 + a * a * (1.5 * a - 2.5)
        elif k == 2:
            w = a * (0.5 + a * (2 - 1.5 * a))
        else:
            w = a * a * (0.5 * a - 0.5)
        line = values[i + k - 1]
        total += w * (b0 * line[j - 1] + b1 * line[j] + b2 * line[j + 1] + b3 * line[j + 2])
    return total


@njit(inline="always")
def _match(series, power, shift, left, weights, conj_a, a_squared, e):  # type: ignore[no-untyped-def]
    """Sum over detectors of conj(A) z and of |A|^2 sigma^2 at point `e` for one binary."""
    re, im, total = 0.0, 0.0, 0.0
    for d in range(left.shape[1]):
        z = 0.0 + 0.0j
        start = left[e, d] + shift
        for k in range(6):
            z += weights[e, d, k] * series[d, start + k]
        z *= conj_a[e, d]
        re += z.real
        im += z.imag
        total += a_squared[e, d] * power[d]
    return re, im, total


@njit(inline="always")
def _log_term(series, power, shift, packed, e, table, log_d_max, t_low, t_high, step, enough):  # type: ignore[no-untyped-def]
    """Log of weight times likelihood of one point, -inf where the prior forbids it or it falls below `enough`."""
    left, weights, conj_a, a_squared, log_weight, geocentre = packed
    time = geocentre[e] + shift * step
    if time < t_low or time > t_high:
        return -np.inf
    for d in range(left.shape[1]):
        if left[e, d] + shift < 0 or left[e, d] + shift + 6 > series.shape[1]:
            return -np.inf
    re, im, h = _match(series, power, shift, left, weights, conj_a, a_squared, e)
    # Below the table's first row the match hardly matters: the power decides, and is kept.
    k_squared = max(re * re + im * im, (table[1] + table[2]) ** 2 * h)
    half = 0.5 * k_squared / h
    # Phase and distance integrate to less than the likelihood's maximum.
    if log_weight[e] + half < enough:
        return -np.inf
    rho = np.sqrt(2 * half)
    log_y = np.log(h) - 0.5 * np.log(k_squared) - log_d_max
    beyond = np.exp(log_y) - 1 if log_y > 0 else 0.0
    return log_weight[e] + half * (1 - beyond * beyond) + 3 * log_y + _table(table, rho, rho * log_y)


@njit(nogil=True)
def _marginal_loop(series, power, shift, packed, table, log_d_max, t_low, t_high, step):  # type: ignore[no-untyped-def]
    n, m = series.shape[0], len(packed[4])
    log_total, effective = np.empty(n), np.empty(n)
    for i in range(n):
        top, s1, s2 = -np.inf, 0.0, 0.0
        for e in range(m):
            term = _log_term(
                series[i], power[i], shift[i], packed, e, table, log_d_max, t_low, t_high, step, top - SKIP
            )
            if term == -np.inf:
                continue
            if term > top:
                scale = np.exp(top - term)
                s1, s2, top = s1 * scale + 1.0, s2 * scale * scale + 1.0, term
            else:
                w = np.exp(term - top)
                s1 += w
                s2 += w * w
        log_total[i] = top + np.log(s1) if s1 > 0 else -np.inf
        effective[i] = s1 * s1 / s2 if s2 > 0 else 0.0
    return log_total, effective


@njit(nogil=True)
def _terms_loop(series, power, shift, packed, table, log_d_max, t_low, t_high, step):  # type: ignore[no-untyped-def]
    n, m = series.shape[0], len(packed[4])
    out = np.empty((n, m))
    for i in range(n):
        for e in range(m):
            out[i, e] = _log_term(
                series[i], power[i], shift[i], packed, e, table, log_d_max, t_low, t_high, step, -np.inf
            )
    return out


@njit(nogil=True)
def _choose_loop(series, power, shift, packed, table, log_d_max, t_low, t_high, step, log_total, u):  # type: ignore[no-untyped-def]
    n, m = series.shape[0], len(packed[4])
    index = np.empty(n, np.int64)
    match = np.empty(n, np.complex128)
    norm = np.empty(n)
    for i in range(n):
        so_far, chosen = 0.0, -1
        for e in range(m):
            term = _log_term(
                series[i], power[i], shift[i], packed, e, table, log_d_max, t_low, t_high, step, log_total[i] - SKIP
            )
            if term == -np.inf:
                continue
            so_far += np.exp(term - log_total[i])
            chosen = e
            if so_far >= u[i]:
                break
        index[i] = chosen
        re, im, h = _match(series[i], power[i], shift[i], packed[0], packed[1], packed[2], packed[3], max(chosen, 0))
        match[i] = complex(re, im)
        norm[i] = h
    return index, match, norm


@dataclass(frozen=True)
class ExtrinsicIntegral:
    """The likelihood of binaries with all extrinsic parameters integrated out, over one set of points.

    Parameters
    ----------
    points : ExtrinsicPoints
    window : TimeWindow
        times of the series given to the methods
    table : DistanceTable
    time_limits : (low, high) of the geocentre time, s from the segment's start
    """

    points: ExtrinsicPoints
    window: TimeWindow
    table: DistanceTable
    time_limits: tuple[float, float]

    @cached_property
    def _arguments(self) -> tuple:
        return (
            self.points.packed(self.window),
            self.table.packed,
            float(np.log(self.table.maximum)),
            *self.time_limits,
            self.window.step,
        )

    def marginal(self, series: np.ndarray, power: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log marginal likelihood ratio and effective number of points of each binary.

        Parameters
        ----------
        series : (N, n_det, window.size) complex128, <h|d>(t) at 1 Mpc, face-on
        power : (N, n_det) float64, <h|h> at 1 Mpc
        shift : (N,) int
            steps by which every point's times are moved for this binary

        Returns
        -------
        (N,), (N,) float64
        """
        return _marginal_loop(series, power, shift, *self._arguments)

    def terms(self, series: np.ndarray, power: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Log of weight times likelihood of every point: (N, M); for choosing points and for tests."""
        return _terms_loop(series, power, shift, *self._arguments)

    def choose(
        self, series: np.ndarray, power: np.ndarray, shift: np.ndarray, log_total: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One point from each binary's conditional distribution: its index, match K e^{i arg} and power H there, each
        (N,).
        """
        packed, table, log_d_max, low, high, step = self._arguments
        u = rng.random(len(series))
        return _choose_loop(series, power, shift, packed, table, log_d_max, low, high, step, log_total, u)
