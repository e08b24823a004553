"""Classical loops, the linear rivals of a policy, tuned on their exact cost: a gain, a lead, and two free low-pass sections."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.signal import bilinear_zpk

from gwsurrogate_ml.control.linear import (
    exact_cost,
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
    return _tuned(plant, lambda p: classical(plant, np.clip(p, *inside)), START, most)


def _tuned(plant: Plant, design: Callable[[np.ndarray], StateSpace], best: np.ndarray, most: float) -> StateSpace:
    """The cheapest loop of a `design`: Nelder and Mead's search from `best`, a wall at instability, a slope towards the bound."""

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
    return found
