"""The likelihood of a signal with phase and distance integrated out, as a table.

For phase-free match K = |sum_d conj(A_d) z_d| and power H = sum_d |A_d|^2 sigma_d^2 (both at 1 Mpc) the likelihood
ratio at distance D is ``I0(K / D) exp(-H / 2 D^2)``. With rho = K / sqrt(H) (the signal-to-noise ratio), D0 = H / K
(the best distance), v = D0 / D, the integral over the prior ~ D^2 in [Dmin, Dmax] is

    3 y^3 / (1 - (Dmin / Dmax)^3) int_y^w v^-4 I0(rho^2 v) exp(-rho^2 v^2 / 2) dv,    y = D0 / Dmax,  w = D0 / Dmin

The table holds the integral up to infinity over rho and tau = rho ln y, in which it varies on the scale of one. Where w counts,
which is where the signal would be hardly weaker than measured at Dmin, `between` integrates directly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import i0e

from gwsurrogate_ml.jit import njit

TAU_MIN, TAU_MAX, TAU_STEP = -30.0, 30.0, 0.05
RHO_MIN, RHO_STEP, MOST_ROWS = 0.5, 0.125, 1000
"""Grid of rho. Tables that reach far have wider steps: loud signals are not heard at low rho, and at high rho all is smooth."""
FAR_ENOUGH = 6.5
"""By how much the signal-to-noise ratio at the nearest distance exceeds the measured one where that distance no longer counts."""
HOLLOW = 16.0
"""rho^2 / 2 + 3 ln y above which far distances hold too little of the integral to show where the table ends, at a low tau."""
_REFINE = 4
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(8)
_GROWTH, _WIDEST, _SHARE = 2.0, 0.7, 1e-10


@dataclass(frozen=True)
class DistanceTable:
    """Log of the integral over phase and distance, on a grid of (rho, tau), less its steep parts.

    These are rho^2 / 2, 3 ln y and, where the best distance lies beyond the prior (y > 1), -rho^2 (y - 1)^2 / 2.

    Parameters
    ----------
    values : (n_rho, n_tau) float64; rho from `RHO_MIN` in `rho_step`, tau from `TAU_MIN` in `TAU_STEP`
    distance : (nearest, farthest) of the prior, Mpc
    rho_step : float
    """

    values: np.ndarray
    distance: tuple[float, float]
    rho_step: float = RHO_STEP

    @property
    def packed(self) -> tuple[np.ndarray, float, float, float, float]:
        """Values and grid for compiled loops, which must not bake the grid in: their cache outlives changes of this file."""
        return self.values, RHO_MIN, self.rho_step, TAU_MIN, TAU_STEP

    @property
    def edges(self) -> tuple[float, float, float]:
        """For compiled loops: log of the farthest distance, the nearest, and log of 3 over the share of the volume between."""
        low, high = self.distance
        return float(np.log(high)), low, _log_norm(self.distance)

    @classmethod
    def build(cls, distance: tuple[float, float], rho_max: float) -> DistanceTable:
        """Integrate over the prior ~ D^2 in `distance` (Mpc) for signal-to-noise ratios up to `rho_max`."""
        rho_step = max(RHO_STEP, (rho_max - RHO_MIN) / MOST_ROWS)
        n_rho = int(np.ceil((rho_max - RHO_MIN) / rho_step)) + 4
        n_tau = round((TAU_MAX - TAU_MIN) / TAU_STEP) + 1
        rho = RHO_MIN + rho_step * np.arange(n_rho)
        step = TAU_STEP / _REFINE
        tau = TAU_MIN + step * np.arange((n_tau - 1) * _REFINE + 1)
        values = np.empty((n_rho, n_tau))
        for row, r in zip(values, rho, strict=True):
            log_v = np.minimum(tau / r, 100.0)
            v = np.exp(log_v)
            # v^-4 dv = v^-3 d(tau) / rho; the exponent is written without cancellation: rho^2 (v - v^2/2 - 1/2) =
            # -rho^2 (v - 1)^2 / 2
            integrand = -3 * log_v - np.log(r) - 0.5 * r**2 * (v - 1) ** 2 + np.log(i0e(r**2 * v))
            pairs = np.logaddexp(integrand[:-1], integrand[1:]) + np.log(step / 2)
            tail = np.logaddexp.accumulate(pairs[::-1])[::-1]
            row[:-1] = tail[::_REFINE]
            row[-1] = integrand[-1]
            # What falls steeply beyond the prior's edge is taken out: interpolating it would overshoot.
            row += _log_norm(distance) + 0.5 * r**2 * np.maximum(v[::_REFINE] - 1, 0.0) ** 2
        return cls(values, distance, rho_step)


def _log_norm(distance: tuple[float, float]) -> float:
    """Log of 3 / (1 - (low / high)^3): the prior ~ D^2 between them is 3 D^2 / high^3 times its third."""
    return float(np.log(3.0) - np.log1p(-((distance[0] / distance[1]) ** 3)))


@njit(nogil=True)
def log_i0e(x: float) -> float:
    """Log of exp(-x) I0(x), x >= 0: by its power series, by its asymptotic one where that is exact to 1e-10."""
    term, total = 1.0, 1.0
    if x < 20.0:
        for k in range(1, 60):
            term *= (0.5 * x / k) ** 2
            total += term
            if term < 1e-16 * total:
                break
        return np.log(total) - x
    for k in range(1, 12):
        term *= (2 * k - 1) ** 2 / (8 * k * x)
        total += term
        if term < 1e-12:
            break
    return np.log(total) - 0.5 * np.log(2 * np.pi * x)


@njit(nogil=True)
def _integrand(rho: float, log_v: float) -> float:
    """Log of v^-3 I0(rho^2 v) exp(-rho^2 (v^2 + 1) / 2)."""
    v = np.exp(log_v)
    return -3 * log_v - 0.5 * (rho * (v - 1)) ** 2 + log_i0e(rho * rho * v)


@njit(nogil=True)
def between(rho: float, log_y: float, log_w: float) -> float:
    """Log of ``int_y^w v^-4 I0(rho^2 v) exp(-rho^2 (v^2 + 1) / 2) dv``, by panels that widen away from the peak.

    Parameters
    ----------
    rho : float; log_y, log_w : float, ascending
    """
    peak = min(max(0.0, log_y), log_w)
    v = np.exp(peak)
    first = min(1 / rho, 1 / max(rho * rho * v * abs(1 - v), 1e-300), _WIDEST)
    reference, total = _integrand(rho, peak), 0.0
    # Far distances hold much volume: where even all of it is little beside the peak, they need not be visited.
    hollow = 0.5 * rho * rho + 3 * log_y > 30.0 - reference - np.log(first)
    for side in (-1.0, 1.0):
        end = log_y if side < 0 else log_w
        at, width = peak, first
        while side * (end - at) > 0:
            width = min(width, side * (end - at))
            part = 0.0
            for k in range(8):
                part += _WEIGHTS[k] * np.exp(_integrand(rho, at + side * 0.5 * width * (1 + _NODES[k])) - reference)
            total += 0.5 * width * part
            if 0.5 * width * part < _SHARE * total and (hollow or side > 0):
                break
            # The last panel may end a rounding error short of the end.
            at = end if width == side * (end - at) else at + side * width
            width = min(_GROWTH * width, _WIDEST)
    return reference + np.log(total)


def draw_distance(k: np.ndarray, h: np.ndarray, distance: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Distances (N,) in Mpc from ``D^2 I0(K / D) exp(-H / 2 D^2)`` on `distance`, by inverting the cumulative sum on
    nodes.

    Parameters
    ----------
    k, h : (N,) float64
        match and power at 1 Mpc, as in the module's header
    distance : (low, high) in Mpc
    """
    rho, best = k / np.sqrt(h), h / k
    low, end = np.log(best / distance[1]), np.log(best / distance[0])
    peak = np.clip(0.0, low, end)
    # The density falls off like a normal about a peak inside the prior, like an exponential from one at its edge.
    width = 1 / np.maximum(rho, rho**2 * np.exp(peak) * np.abs(np.expm1(peak)))
    reach = np.where(peak == 0.0, 9.0, 30.0) * width
    near = np.maximum(low, peak - reach)
    log_v = np.concatenate([_span(low, near, 100), _span(near, np.minimum(end, peak + reach), 300)], axis=1)
    v = np.exp(log_v)
    log_p = -3 * log_v - 0.5 * rho[:, None] ** 2 * (v - 1) ** 2 + np.log(i0e(rho[:, None] ** 2 * v))
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    cdf = np.zeros_like(p)
    np.cumsum((p[:, 1:] + p[:, :-1]) / 2 * np.diff(log_v, axis=1), axis=1, out=cdf[:, 1:])
    target = rng.random(len(k)) * cdf[:, -1]
    cell = np.clip(np.sum(cdf < target[:, None], axis=1) - 1, 0, log_v.shape[1] - 2)
    rows = np.arange(len(k))
    p0, p1 = p[rows, cell], p[rows, cell + 1]
    wide = log_v[rows, cell + 1] - log_v[rows, cell]
    rest = (target - cdf[rows, cell]) / wide
    # Within a cell the density is linear: solve p0 x + (p1 - p0) x^2 / 2 = rest in the form that survives p1 = p0.
    x = 2 * rest / (p0 + np.sqrt(np.maximum(p0**2 + 2 * (p1 - p0) * rest, 0.0)))
    return np.clip(best / np.exp(log_v[rows, cell] + np.clip(x, 0, 1) * wide), *distance)


def _span(low: np.ndarray, high: np.ndarray, nodes: int) -> np.ndarray:
    """Evenly spaced `nodes` from `low` (N,) to `high` (N,): (N, nodes)."""
    return low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, nodes)


def draw_phase(match: np.ndarray, distance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Phases (N,) in [0, 2 pi) from the conditional ``exp(Re[exp(-2i phase) match / D])``.

    Parameters
    ----------
    match : (N,) complex128
        ``sum_d conj(A_d) z_d`` at 1 Mpc
    distance : (N,) Mpc
    """
    twice = rng.vonmises(np.angle(match), np.abs(match) / distance)
    return np.mod(twice / 2 + np.pi * rng.integers(0, 2, len(match)), 2 * np.pi)
