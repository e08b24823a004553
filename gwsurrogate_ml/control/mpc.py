"""Model-predictive control with a limit on torque: the best of the next samples' torques, from the Kalman filter's estimate.

Minimises the cost of `horizon` samples, and Riccati's value of the state after them, over torques within +-limit, noise its mean.
All mirrors are solved at once by the primal-dual active-set method (Hintermueller, Ito and Kunisch 2003), which for these quadratic
programmes ends in a few steps at the exact solution; a general solver such as OSQP takes them one at a time. Without active limits
the first torque is LQG's.
"""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.arguments import positive, whole
from gwsurrogate_ml.control.linear import lqg_gains
from gwsurrogate_ml.control.plant import Plant

MOST_STEPS = 30


class Predictive:
    """The law of model-predictive control; from estimates (n, states) to torques (n,) in nrad.

    Parameters
    ----------
    plant : Plant
    limit : float, nrad
    horizon : int, samples
    """

    def __init__(self, plant: Plant, limit: float, horizon: int = 64) -> None:
        self.limit, horizon = positive(limit, "limit", "nrad"), whole(horizon, "horizon", 1)
        gains = lqg_gains(plant)
        # z of sample k is reach[k] x + sum over j of push[k, j] u_j; the value of the last state is a further block.
        root = np.linalg.cholesky(gains.value + 1e-12 * np.trace(gains.value) * np.eye(plant.n)).T
        powers = [np.eye(plant.n)]
        for _ in range(horizon):
            powers.append(plant.a @ powers[-1])
        reach, push = [], []
        for k in range(horizon + 1):
            out = root if k == horizon else plant.cz
            reach.append(out @ powers[k])
            row = np.zeros((len(out), horizon))
            for j in range(k):
                row[:, j] = (out @ powers[k - 1 - j] @ plant.b)[:, 0]
            if k < horizon:
                row[:, k] = plant.dz[:, 0]
            push.append(row)
        self.push, self.reach = np.vstack(push), np.vstack(reach)
        self.hessian = self.push.T @ self.push
        self.slope = self.push.T @ self.reach
        self.free = -np.linalg.solve(self.hessian, self.slope)

    def plan(self, estimate: np.ndarray) -> np.ndarray:
        """Torques (n, horizon) of least cost within the limit."""
        torque = estimate @ self.free.T
        rows = np.flatnonzero((np.abs(torque) > self.limit).any(axis=1))
        if len(rows):
            torque[rows] = self._bounded(torque[rows], estimate[rows] @ self.slope.T)
        return torque

    def __call__(self, estimate: np.ndarray) -> np.ndarray:
        """The first torques (n,)."""
        return self.plan(estimate)[:, 0]

    def _bounded(self, torque: np.ndarray, slope: np.ndarray) -> np.ndarray:
        limit, scale = self.limit, self.hessian.diagonal()
        multiplier = np.zeros_like(torque)
        before = np.zeros(torque.shape, int)
        for _ in range(MOST_STEPS):
            at = (torque + multiplier / scale > limit).astype(int) - (torque + multiplier / scale < -limit).astype(int)
            if (at == before).all():
                break
            before, held = at, at != 0
            fixed = at * limit
            matrix = np.where(held[:, :, None] | held[:, None, :], 0.0, self.hessian)
            matrix[:, np.arange(matrix.shape[1]), np.arange(matrix.shape[1])] += held * scale
            right = np.where(held, scale * fixed, -slope - fixed @ self.hessian)
            torque = np.linalg.solve(matrix, right[:, :, None])[:, :, 0]
            multiplier = np.where(held, -(torque @ self.hessian + slope), 0.0)
        return np.clip(torque, -limit, limit)
