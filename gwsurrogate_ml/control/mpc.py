"""Model-predictive control with a limit on torque: the best torques of the next second, from the Kalman filter's estimate.

Minimises the cost over a horizon, and Riccati's value of the state after it, over torques within +-limit, noise its mean. The first
torques are held for one sample each, later ones for ever longer (move blocking), so that a second has some sixty of them.
All mirrors are solved at once by the primal-dual active-set method (Hintermueller, Ito and Kunisch 2003), which ends at the exact
solution or not at all; where it does not, scipy's active-set solver takes over. Without active limits the first torque is LQG's.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import lsq_linear

from gwsurrogate_ml.arguments import positive
from gwsurrogate_ml.control.linear import lqg_gains
from gwsurrogate_ml.control.plant import Plant
from gwsurrogate_ml.errors import DataError

MOST_STEPS = 30
HELD = [1] * 16 + [2] * 16 + [4] * 12 + [8] * 10
"""Samples for which the torques are held, one after another, 16 from there on."""


class Predictive:
    """The law of model-predictive control; from estimates (n, states) to torques (n,) in nrad.

    Parameters
    ----------
    plant : Plant
    limit : float, nrad
    horizon : float, s
    """

    def __init__(self, plant: Plant, limit: float, horizon: float = 1.0) -> None:
        self.limit = positive(limit, "limit", "nrad")
        samples = max(1, round(positive(horizon, "horizon", "s") * plant.rate))
        held = np.repeat(np.arange(samples), (HELD + [16] * samples)[:samples])[:samples]
        gains, moves = lqg_gains(plant), int(held[-1]) + 1
        # z of sample k is reach[k] x + push[k] u; the value of the last state is a further block.
        value = np.linalg.cholesky(gains.value + 1e-12 * np.trace(gains.value) * np.eye(plant.n)).T
        closed, passed, driven, free = (
            plant.a - plant.b @ gains.regulator,
            np.eye(plant.n),
            np.zeros((plant.n, moves)),
            np.eye(plant.n),
        )
        reach, push, unbound = [], [], []
        for k in range(samples):
            now = np.eye(moves)[held[k]]
            reach.append(plant.cz @ passed)
            push.append(plant.cz @ driven + plant.dz * now)
            unbound.append(-gains.regulator @ free)
            passed, driven, free = plant.a @ passed, plant.a @ driven + plant.b * now, closed @ free
        self.reach, self.push = np.vstack([*reach, value @ passed]), np.vstack([*push, value @ driven])
        self.unbound = np.vstack(unbound)  # LQG's torques at all samples
        self.hessian = self.push.T @ self.push
        self.slope = self.push.T @ self.reach

    def __call__(self, estimate: np.ndarray) -> np.ndarray:
        """The first torques (n,)."""
        plan = estimate @ self.unbound.T
        torque = plan[:, 0]
        rows = np.flatnonzero((np.abs(plan) > self.limit).any(axis=1))
        if len(rows):
            torque[rows] = self.plan(estimate[rows])[:, 0]
        return torque

    def plan(self, estimate: np.ndarray) -> np.ndarray:
        """Torques (n, moves) of least cost within the limit.

        Raises
        ------
        DataError
            an estimate for which no solver finds the optimum
        """
        slope, limit, scale = estimate @ self.slope.T, self.limit, self.hessian.diagonal()
        torque = -np.linalg.solve(self.hessian, slope.T).T
        multiplier, before = np.zeros_like(torque), np.zeros(torque.shape, int)
        rows = np.arange(len(torque))
        for _ in range(MOST_STEPS):
            wish = torque[rows] + multiplier[rows] / scale
            at = (wish > limit).astype(int) - (wish < -limit).astype(int)
            moved = (at != before[rows]).any(axis=1)  # where nothing moves, Karush, Kuhn and Tucker's conditions hold
            rows, at = rows[moved], at[moved]
            if not len(rows):
                return np.clip(torque, -limit, limit)
            before[rows], held, fixed = at, at != 0, at * limit
            matrix = np.where(held[:, :, None] | held[:, None, :], 0.0, self.hessian)
            matrix[:, np.arange(len(scale)), np.arange(len(scale))] += held * scale
            right = np.where(held, scale * fixed, -slope[rows] - fixed @ self.hessian)
            torque[rows] = np.linalg.solve(matrix, right[:, :, None])[:, :, 0]
            multiplier[rows] = np.where(held, -(torque[rows] @ self.hessian + slope[rows]), 0.0)
        for row in rows:
            found = lsq_linear(
                self.push, -self.reach @ estimate[row], bounds=(-limit, limit), method="bvls", max_iter=10 * len(scale)
            )
            if not found.success:
                raise DataError(
                    f"no torques of least cost were found ({found.message}): the mirror is far beyond what they can hold"
                )
            torque[row] = found.x
        return np.clip(torque, -limit, limit)
