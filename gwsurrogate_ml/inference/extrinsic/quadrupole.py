"""Integrals over the seven extrinsic parameters of a (2,2) signal, by shared quasi-random points.

Arrival times, sky ring, polarisation and inclination are summed over weighted `points`; phase and distance come from a table
(`distance`); a numba loop sums them. A third detector takes part through the arrival time and amplitude that each direction
gives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gwsurrogate_ml.inference.extrinsic.distance import FAR_ENOUGH, HOLLOW, DistanceTable, between
from gwsurrogate_ml.inference.extrinsic.points import ExtrinsicPoints
from gwsurrogate_ml.inference.likelihood.window import TimeWindow
from gwsurrogate_ml.jit import njit

SKIP = 25.0
"""A point whose largest possible term lies this far (in log) below the largest so far is skipped: e^-25 of the sum."""


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
def _log_term(series, power, shift, later, packed, e, table, edges, t_low, t_high, enough):  # type: ignore[no-untyped-def]
    """Log of weight times likelihood of one point, -inf where the prior forbids it or it falls below `enough`.

    `shift` in whole steps moves the point along the series, `later` is the same and the rest of it in s.
    """
    left, weights, conj_a, a_squared, log_weight, geocentre, _ = packed
    time = geocentre[e] + later
    if time < t_low or time > t_high:
        return -np.inf
    for d in range(left.shape[1]):
        # The outermost samples of a moved series are not known.
        if left[e, d] + shift < 2 or left[e, d] + shift + 9 > series.shape[1]:
            return -np.inf
    re, im, h = _match(series, power, shift, left, weights, conj_a, a_squared, e)
    # Below the table's first row the match hardly matters: the power decides, and is kept.
    k_squared = max(re * re + im * im, (table[1] + table[2]) ** 2 * h)
    half = 0.5 * k_squared / h
    # Phase and distance integrate to less than the likelihood's maximum.
    if log_weight[e] + half < enough:
        return -np.inf
    rho = np.sqrt(2 * half)
    log_d_max, d_min, log_norm = edges
    log_y = np.log(h) - 0.5 * np.log(k_squared) - log_d_max
    # Near the prior's nearest distance, and where far ones count in spite of a strong signal: not in the table.
    if np.sqrt(h) / d_min - rho < FAR_ENOUGH or (rho * log_y < table[3] + table[4] and half + 3 * log_y < HOLLOW):
        log_w = log_y + log_d_max - np.log(d_min)
        return log_weight[e] + half + 3 * log_y + log_norm + between(rho, log_y, log_w)
    beyond = np.exp(log_y) - 1 if log_y > 0 else 0.0
    return log_weight[e] + half * (1 - beyond * beyond) + 3 * log_y + _table(table, rho, rho * log_y)


@njit(inline="always")
def _moved(series, shift, moved):  # type: ignore[no-untyped-def]
    """Whole steps of `shift`; `moved` becomes `series` (n_det, size) as seen the rest of it later."""
    whole = int(np.round(shift))
    rest = shift - whole
    if rest == 0.0:
        moved[:] = series
        return whole
    weights = np.ones(6)
    for j in range(6):
        for k in range(6):
            if k != j:
                weights[j] *= (2 + rest - k) / (j - k)
    size = series.shape[1]
    for d in range(series.shape[0]):
        moved[d, :2], moved[d, size - 3 :] = 0.0, 0.0
        for i in range(2, size - 3):
            total = 0.0 + 0.0j
            for k in range(6):
                total += weights[k] * series[d, i - 2 + k]
            moved[d, i] = total
    return whole


def moved(series: np.ndarray, shift: float) -> np.ndarray:
    """`series` (n_det, size) as seen `shift` steps later; samples that would lie outside are zero.

    Examples
    --------
    >>> float(moved(np.arange(10.0)[None] + 0j, 1.5)[0, 3].real)
    4.5
    """
    out = np.empty_like(series)
    whole = _moved(series, shift, out)
    rolled = np.roll(out, -whole, axis=1)
    rolled[:, max(series.shape[1] - whole, 0) :] = 0.0
    rolled[:, : max(-whole, 0)] = 0.0
    return rolled


@njit(nogil=True)
def _marginal_loop(series, power, shift, packed, table, edges, t_low, t_high, step):  # type: ignore[no-untyped-def]
    n, m, origin = series.shape[0], len(packed[4]), packed[6]
    log_total, effective, of_set = np.empty(n), np.empty(n), np.zeros((n, origin.max() + 1))
    moved = np.empty_like(series[0])
    for i in range(n):
        whole = _moved(series[i], shift[i], moved)
        later = shift[i] * step
        top, s1, s2 = -np.inf, 0.0, 0.0
        for e in range(m):
            term = _log_term(moved, power[i], whole, later, packed, e, table, edges, t_low, t_high, top - SKIP)
            if term == -np.inf:
                continue
            if term > top:
                scale = np.exp(top - term)
                s1, s2, top = s1 * scale + 1.0, s2 * scale * scale + 1.0, term
                of_set[i] *= scale
                of_set[i, origin[e]] += 1.0
            else:
                w = np.exp(term - top)
                s1 += w
                s2 += w * w
                of_set[i, origin[e]] += w
        log_total[i] = top + np.log(s1) if s1 > 0 else -np.inf
        effective[i] = s1 * s1 / s2 if s2 > 0 else 0.0
        of_set[i] /= max(s1, 1e-300)
    return log_total, effective, of_set


@njit(nogil=True)
def _terms_loop(series, power, shift, packed, table, edges, t_low, t_high, step):  # type: ignore[no-untyped-def]
    n, m = series.shape[0], len(packed[4])
    out = np.empty((n, m))
    moved = np.empty_like(series[0])
    for i in range(n):
        whole = _moved(series[i], shift[i], moved)
        for e in range(m):
            out[i, e] = _log_term(moved, power[i], whole, shift[i] * step, packed, e, table, edges, t_low, t_high, -np.inf)
    return out


@njit(nogil=True)
def _choose_loop(series, power, shift, packed, table, edges, t_low, t_high, step, log_total, u):  # type: ignore[no-untyped-def]
    n, m = series.shape[0], len(packed[4])
    index = np.empty(n, np.int64)
    moved = np.empty_like(series[0])
    for i in range(n):
        whole = _moved(series[i], shift[i], moved)
        enough = log_total[i] - SKIP
        so_far, chosen = 0.0, -1
        for e in range(m):
            term = _log_term(moved, power[i], whole, shift[i] * step, packed, e, table, edges, t_low, t_high, enough)
            if term == -np.inf:
                continue
            so_far += np.exp(term - log_total[i])
            chosen = e
            if so_far >= u[i]:
                break
        index[i] = chosen
    return index


@njit(nogil=True)
def _match_loop(series, power, shift, packed, chosen):  # type: ignore[no-untyped-def]
    n = len(chosen)
    match, norm = np.empty(n, np.complex128), np.empty(n)
    moved = np.empty_like(series[0])
    for i in range(n):
        whole = _moved(series[i], shift[i], moved)
        re, im, h = _match(moved, power[i], whole, packed[0], packed[1], packed[2], packed[3], chosen[i])
        match[i], norm[i] = complex(re, im), h
    return match, norm


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
            self.table.edges,
            *self.time_limits,
            self.window.step,
        )

    def marginal(self, series: np.ndarray, power: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Log marginal likelihood ratio and effective number of points of each binary, and the shares of its likelihood from points
        of each origin.

        Parameters
        ----------
        series : (N, n_det, window.size) complex128, <h|d>(t) at 1 Mpc, face-on
        power : (N, n_det) float64, <h|h> at 1 Mpc
        shift : (N,) float64
            steps by which every point's times are moved for this binary

        Returns
        -------
        (N,), (N,), (N, largest origin + 1) float64
        """
        return _marginal_loop(series, power, shift, *self._arguments)

    def terms(self, series: np.ndarray, power: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """Log of weight times likelihood of every point: (N, M); for choosing points and for tests."""
        return _terms_loop(series, power, shift, *self._arguments)

    def choose(
        self, series: np.ndarray, power: np.ndarray, shift: np.ndarray, log_total: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """The index of one point from each binary's conditional distribution, (N,) int; -1 where there is none."""
        packed, table, edges, low, high, step = self._arguments
        u = rng.random(len(series))
        return _choose_loop(series, power, shift, packed, table, edges, low, high, step, log_total, u)

    def match(self, series: np.ndarray, power: np.ndarray, shift: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Match K e^{i arg} and power H, each (N,), of every binary at the point `chosen` (N,) for it."""
        return _match_loop(series, power, shift, self._arguments[0], chosen)
