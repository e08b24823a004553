"""Linear rivals of a policy: classical loops, and LQG with margins, each tuned on its exact cost.

The classical loop is a gain, a lead, and two low-pass sections of free frequency and quality. LQG with margins designs filter and
regulator for more noise and other weights than the plant's, and keeps those that cost least with a peak sensitivity within bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from scipy.optimize import minimize
from scipy.signal import bilinear_zpk

from gwsurrogate_ml.control.linear import (
    Gains,
    exact_cost,
    lqg_gains,
    observer,
    peak_sensitivity,
    radius,
)
from gwsurrogate_ml.control.noise import StateSpace, cascade
from gwsurrogate_ml.control.plant import Plant
from gwsurrogate_ml.errors import ConfigError

START = np.log([5.0, 0.8, 20.0, 0.8, 30.0, 0.8])
"""Gain, lead (Hz), and frequency (Hz) and quality of two low-pass sections: holds the default mirror."""


def classical(plant: Plant, numbers: np.ndarray) -> StateSpace:
    """The classical loop of the logarithms of gain, lead (Hz), and frequency (Hz) and quality of two low-pass sections."""
    gain, lead, *sections = np.exp(numbers)
    turn, poles = 2 * np.pi, []
    for frequency, quality in (sections[:2], sections[2:]):
        part = np.sqrt(complex(1 / (4 * quality**2) - 1))
        poles += [-turn * frequency * (1 / (2 * quality) + part), -turn * frequency * (1 / (2 * quality) - part)]
    k = gain * float(np.real(np.prod(poles))) / (turn * lead)
    a, b, c, d = cascade(*bilinear_zpk([-turn * lead], poles, k, plant.rate))
    return StateSpace(a, b, -c, -d)


def tuned_classical(plant: Plant, most: float = np.inf) -> StateSpace:
    """The classical loop of least cost on `plant`, with a peak sensitivity of at most `most`.

    Raises
    ------
    ConfigError
        where the search finds none that holds the mirror with that peak sensitivity
    """
    inside = np.log([[1e-2, 1e-2, 1.0, 0.3, 1.0, 0.3], [1e3, 50.0, 80.0, 10.0, 80.0, 10.0]])
    return _tuned(plant, lambda p: classical(plant, np.clip(p, *inside)), [START], most)[1]


def tuned_gains(plant: Plant, most: float) -> Gains:
    """Filter and regulator of `tuned_lqg`."""

    def gains(p: np.ndarray) -> Gains:
        extra, sensing, weight = np.exp(np.clip(p, -12, 12))
        return lqg_gains(plant, np.hstack([plant.g, extra * plant.b]), sensing, weight)

    def design(p: np.ndarray) -> StateSpace:
        found = gains(p)
        return observer(plant, found.regulator, found.kalman)

    grid = [np.log(point) for point in product((1.0, 10.0, 100.0, 1e3), (0.3, 1.0, 3.0, 10.0), (0.03, 0.1, 0.3, 1.0, 3.0))]
    return gains(_tuned(plant, design, grid, most)[0])


def tuned_lqg(plant: Plant, most: float) -> StateSpace:
    """LQG designed for added torque noise, other sensing noise and weights: the cheapest of peak sensitivity at most `most`.

    The search goes on from the best of a grid of designs; errors as `tuned_classical`.
    """
    gains = tuned_gains(plant, most)
    return observer(plant, gains.regulator, gains.kalman)


def _tuned(
    plant: Plant, design: Callable[[np.ndarray], StateSpace], starts: list[np.ndarray], most: float
) -> tuple[np.ndarray, StateSpace]:
    """Numbers and loop of the cheapest of a `design`: Nelder and Mead's search from the best of `starts`.

    There is a wall at instability and a slope towards the bound on peak sensitivity.
    """

    def price(p: np.ndarray) -> float:
        try:
            controller = design(p)
            found = radius(plant, controller)
            if found > plant.largest_radius:
                return 1e6 * (1 + found)
            total = float(np.log(exact_cost(plant, controller).total))
        except (np.linalg.LinAlgError, ConfigError):
            return 1e9
        if np.isfinite(most):
            total += 30 * max(0.0, float(np.log(peak_sensitivity(plant, controller) / most)))
        return total

    best = min(starts, key=price)
    for size in (0.5, 0.3, 0.1):
        simplex = best + np.vstack([np.zeros(len(best)), size * np.eye(len(best))])
        options = {"xatol": 1e-3, "fatol": 1e-5, "maxiter": 60 * len(best), "initial_simplex": simplex}
        best = minimize(price, best, method="Nelder-Mead", options=options).x
    if price(best) >= 1e6:
        raise ConfigError(f"no loop of this form holds the mirror at {plant.power:g} of the nominal power: lower the power")
    found = design(best)
    peak = peak_sensitivity(plant, found)
    if peak > most * 1.01:
        raise ConfigError(
            f"no loop of this form was found with a peak sensitivity of {most:g} or less, but one of {peak:.2f}: allow more"
        )
    return best, found
