"""Linear controllers: the optimum by Riccati's equations, the exact cost of any by Lyapunov's, and stability margins.

A controller is ``s' = a s + b y``, torque ``u = c s + d y``; y is the measured angle (nrad), u the commanded torque (nrad).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_discrete_are, solve_discrete_lyapunov

from gwsurrogate_ml.control.noise import StateSpace, respond
from gwsurrogate_ml.control.plant import Plant
from gwsurrogate_ml.errors import ConfigError


class Cost(NamedTuple):
    """Parts of the cost: angle (nrad^2), torque in the noise band and torque, weighted; and what is not weighted.

    `noise` is the root mean square of the torque in the noise band, `angle` and `torque` those of the whole bands (all nrad).
    """

    total: float
    parts: tuple[float, float, float]
    noise: float
    angle: float
    torque: float


class Margins(NamedTuple):
    """Factors on the gain between which the loop is stable, and the largest sensitivity |1 / (1 + L)|."""

    lowest_gain: float
    highest_gain: float
    peak_sensitivity: float


@dataclass(frozen=True)
class Gains:
    """Kalman filter and regulator of a plant.

    Attributes
    ----------
    regulator (1, n) : the torque is minus this times the estimate
    kalman (n, 1) : what a measured deviation adds to the estimate
    value (n, n) : Riccati's matrix: ``x value x`` is what state x costs in future, beyond the mean
    error (n, n) : covariance of the estimate's error, the measurement used
    """

    regulator: np.ndarray
    kalman: np.ndarray
    value: np.ndarray
    error: np.ndarray


def _riccati(a: np.ndarray, b: np.ndarray, q: np.ndarray, r: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Stabilising solution of Riccati's equation, checked: scipy's balancing of the pencil loses digits here (1 % of the cost)."""
    found = solve_discrete_are(a, b, q, r, s=s, balanced=False)
    bent = a.T @ found @ b + s
    _accurate(a.T @ found @ a + q - bent @ np.linalg.solve(r + b.T @ found @ b, bent.T) - found, found, "Riccati's")
    return found


def _accurate(residual: np.ndarray, solution: np.ndarray, whose: str) -> None:
    if not np.abs(residual).max() <= 1e-8 * np.abs(solution).max():
        raise ConfigError(
            f"{whose} equation of this suspension has no accurate solution (residual {np.abs(residual).max():.1e}): its corners "
            "lie too far below the sampling frequency, or its noises too far apart"
        )


@lru_cache(maxsize=16)
def lqg_gains(plant: Plant) -> Gains:
    """The optimal filter and regulator of a plant, found once for each plant."""
    value = _riccati(plant.a, plant.b, plant.cz.T @ plant.cz, plant.dz.T @ plant.dz, plant.cz.T @ plant.dz)
    cross = plant.b.T @ value @ plant.a + plant.dz.T @ plant.cz
    regulator = np.linalg.solve(plant.dz.T @ plant.dz + plant.b.T @ value @ plant.b, cross)
    noise = plant.r @ plant.r.T
    ahead = _riccati(plant.a.T, plant.c.T, plant.g @ plant.g.T, noise, np.zeros((plant.n, 1)))
    kalman = ahead @ plant.c.T / (plant.c @ ahead @ plant.c.T + noise)
    return Gains(regulator, kalman, value, ahead - kalman @ plant.c @ ahead)


def observer(plant: Plant, regulator: np.ndarray, kalman: np.ndarray) -> StateSpace:
    """Filter and regulator as one linear controller; its state is the estimate before the measurement."""
    see = np.eye(plant.n) - kalman @ plant.c
    go = plant.a - plant.b @ regulator
    return StateSpace(go @ see, go @ kalman, -regulator @ see, -regulator @ kalman)


def lqg(plant: Plant) -> StateSpace:
    """The controller of least cost (linear quadratic Gaussian) on this plant: nothing, linear or not, costs less without limits.

    Examples
    --------
    >>> from gwsurrogate_ml.control.plant import make_plant
    >>> plant = make_plant()
    >>> bool(np.isclose(exact_cost(plant, lqg(plant)).total, optimal_cost(plant), rtol=1e-8))
    True
    """
    gains = lqg_gains(plant)
    return observer(plant, gains.regulator, gains.kalman)


def optimal_cost(plant: Plant) -> float:
    """Cost of the optimum from Riccati's matrices alone, without closing the loop."""
    gains = lqg_gains(plant)
    bent = gains.regulator @ gains.error @ gains.regulator.T * (plant.dz.T @ plant.dz + plant.b.T @ gains.value @ plant.b)
    return float(np.trace(gains.value @ plant.g @ plant.g.T) + bent.item())


def closed_loop(plant: Plant, controller: StateSpace, gain: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Transition of the loop's state (plant, controller) and how noise (seismic, sensing, white sensing) enters it."""
    a, b, c, d = controller
    loop = np.block([[plant.a + gain * plant.b @ d @ plant.c, gain * plant.b @ c], [b @ plant.c, a]])
    enter = np.block([[plant.g, gain * plant.b @ d @ plant.r], [np.zeros((len(a), plant.g.shape[1])), b @ plant.r]])
    return loop, enter


def radius(plant: Plant, controller: StateSpace, gain: float = 1.0) -> float:
    """Spectral radius of the loop: stable below one."""
    return float(np.abs(np.linalg.eigvals(closed_loop(plant, controller, gain)[0])).max())


def exact_cost(plant: Plant, controller: StateSpace) -> Cost:
    """Mean cost of a linear controller, exact, by Lyapunov's equation.

    Raises
    ------
    ConfigError
        a controller that is not finite, whose matrices do not fit, or that leaves the loop unstable, with its spectral radius
    """
    covariance = stationary(plant, controller)
    z = np.hstack([plant.cz + plant.dz @ controller.d @ plant.c, plant.dz @ controller.c])
    direct = plant.dz @ controller.d @ plant.r
    parts = np.diag(z @ covariance @ z.T + direct @ direct.T)
    weight, unit = plant.suspension.noise_weight, plant.suspension.torque_weight
    noise = np.sqrt(parts[1] / weight) if weight > 0 else np.nan
    total, (angle, band, torque) = float(parts.sum()), map(float, parts)
    return Cost(total, (angle, band, torque), float(noise), float(np.sqrt(covariance[0, 0])), float(np.sqrt(parts[2] / unit)))


def stationary(plant: Plant, controller: StateSpace) -> np.ndarray:
    """Covariance of the state of plant and controller in the loop; errors as `exact_cost`."""
    check(plant, controller)
    loop, enter = closed_loop(plant, controller)
    covariance = solve_discrete_lyapunov(loop, enter @ enter.T, method="bilinear")
    _accurate(loop @ covariance @ loop.T + enter @ enter.T - covariance, covariance, "Lyapunov's")
    return covariance


def check(plant: Plant, controller: StateSpace) -> None:
    """Raise ConfigError unless a controller fits the plant and holds it; see `exact_cost`."""
    shapes = [np.shape(part) for part in controller]
    k = len(controller.a)
    if shapes != [(k, k), (k, 1), (1, k), (1, 1)]:
        raise ConfigError(f"the controller's matrices have shapes {shapes}: give (k, k), (k, 1), (1, k) and (1, 1)")
    if not all(np.isfinite(part).all() for part in controller):
        raise ConfigError("the controller's matrices hold numbers that are not finite: mend the controller")
    found = radius(plant, controller)
    if not found <= plant.largest_radius:
        raise ConfigError(
            f"the loop's spectral radius is {found:.6f} at {plant.power:g} of the nominal power, above {plant.largest_radius:.6f}: "
            "the controller does not hold the mirror, or so slowly that its cost has no digits; design it for this plant"
        )


def peak_sensitivity(plant: Plant, controller: StateSpace) -> float:
    """Largest |1 / (1 + L)| over frequency, L the open-loop gain: the factor by which the loop makes noise larger somewhere."""
    frequency, response = plant.response
    through = respond(controller, frequency / plant.rate)
    return float(np.abs(1 / (1 - response * through)).max())


def margins(plant: Plant, controller: StateSpace) -> Margins:
    """Gain range and peak sensitivity of a stable loop; errors as `exact_cost`."""
    check(plant, controller)

    def edge(stable: float, unstable: float) -> float:
        if radius(plant, controller, unstable) < 1:
            return unstable
        while abs(stable / unstable - 1) > 1e-3:
            middle = np.sqrt(stable * unstable)
            stable, unstable = (middle, unstable) if radius(plant, controller, middle) < 1 else (stable, middle)
        return stable

    def first(factor: float) -> float:
        gain = 1.0
        while 0.02 < gain < 50 and radius(plant, controller, gain * factor) < 1:
            gain *= factor
        return edge(gain, gain * factor)

    return Margins(first(1 / 1.05), first(1.05), peak_sensitivity(plant, controller))
