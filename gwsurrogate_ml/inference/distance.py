"""The likelihood of a signal with phase and distance integrated out, as a table.

For phase-free match K = |sum_d conj(A_d) z_d| and power H = sum_d |A_d|^2 sigma_d^2 (both at 1 Mpc) the likelihood
ratio at distance D is ``I0(K / D) exp(-H / 2 D^2)``. With rho = K / sqrt(H) (the signal-to-noise ratio), D0 = H / K
(the best distance), v = D0 / D, the integral over the prior ~ D^2 up to Dmax is ``3 y^3 int_y^inf v^-4 I0(rho^2 v)
exp(-rho^2 v^2 / 2) dv`` with y = D0 / Dmax. Tabulated over rho and tau = rho ln y, in which it varies on the scale of
one. The nearest distance of the prior is left out there (its share of the volume is below 1e-7 for 10 Mpc in 3 Gpc)
and respected when distances are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import i0e

TAU_MIN, TAU_MAX, TAU_STEP = -30.0, 30.0, 0.05
RHO_MIN, RHO_STEP = 0.5, 0.25
_REFINE = 4


@dataclass(frozen=True)
class DistanceTable:
    """Log of the integral over phase and distance, on a grid of (rho, tau), less its steep parts.

    These are rho^2 / 2, 3 ln y and, where the best distance lies beyond the prior (y > 1), -rho^2 (y - 1)^2 / 2.

    Parameters
    ----------
    values : (n_rho, n_tau) float64; rho from `RHO_MIN` in `RHO_STEP`, tau from `TAU_MIN` in `TAU_STEP`
    maximum : float, Mpc
        farthest distance of the prior
    """

    values: np.ndarray
    maximum: float

    @property
    def packed(self) -> tuple[np.ndarray, float, float, float, float]:
        """Values and grid for compiled loops, which must not bake the grid in: their cache outlives changes of this file."""
        return self.values, RHO_MIN, RHO_STEP, TAU_MIN, TAU_STEP

    @property
    def rho_max(self) -> float:
        """Largest signal-to-noise ratio the table may be asked for."""
        return RHO_MIN + RHO_STEP * (self.values.shape[0] - 3)

    @classmethod
    def build(cls, distance: tuple[float, float], rho_max: float) -> DistanceTable:
        """Integrate over the prior ~ D^2 in `distance` (Mpc) for signal-to-noise ratios up to `rho_max`."""
        n_rho = int(np.ceil((rho_max - RHO_MIN) / RHO_STEP)) + 4
        n_tau = round((TAU_MAX - TAU_MIN) / TAU_STEP) + 1
        rho = RHO_MIN + RHO_STEP * np.arange(n_rho)
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
            row += np.log(3.0) + 0.5 * r**2 * np.maximum(v[::_REFINE] - 1, 0.0) ** 2
        return cls(values, distance[1])


def draw_distance(
    k: np.ndarray, h: np.ndarray, distance: tuple[float, float], rng: np.random.Generator, n_nodes: int = 400
) -> np.ndarray:
    """Distances (N,) in Mpc from ``D^2 I0(K / D) exp(-H / 2 D^2)`` on `distance`, by inverting the cumulative sum on
    nodes.

    Parameters
    ----------
    k, h : (N,) float64
        match and power at 1 Mpc, as in the module's header
    distance : (low, high) in Mpc
    """
    rho, best = k / np.sqrt(h), h / k
    v_low = best / distance[1]
    v_high = np.minimum(best / distance[0], np.maximum(1.0, v_low) + 9.0 / rho)
    grid = np.linspace(0.0, 1.0, n_nodes)
    v = v_low[:, None] + (v_high - v_low)[:, None] * grid
    log_p = -4 * np.log(v) - 0.5 * rho[:, None] ** 2 * (v - 1) ** 2 + np.log(i0e(rho[:, None] ** 2 * v))
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    cdf = np.zeros_like(p)
    np.cumsum((p[:, 1:] + p[:, :-1]) / 2, axis=1, out=cdf[:, 1:])
    target = rng.random(len(k)) * cdf[:, -1]
    cell = np.clip(np.sum(cdf < target[:, None], axis=1) - 1, 0, n_nodes - 2)
    rows = np.arange(len(k))
    p0, p1 = p[rows, cell], p[rows, cell + 1]
    rest = target - cdf[rows, cell]
    # Within a cell the density is linear: solve p0 x + (p1 - p0) x^2 / 2 = rest in the form that survives p1 = p0.
    x = 2 * rest / (p0 + np.sqrt(np.maximum(p0**2 + 2 * (p1 - p0) * rest, 0.0)))
    return best / (v[rows, cell] + np.clip(x, 0, 1) * (v[rows, cell + 1] - v[rows, cell]))


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
