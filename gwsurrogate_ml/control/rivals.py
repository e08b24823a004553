"""Linear rivals of a policy: classical loops, and LQG with margins, each tuned on its exact cost.

The classical loop is a gain, a lead, and two low-pass sections of free frequency and quality. LQG with margins designs filter and
regulator for more noise and other weights than the plant's, and keeps those that cost least with a peak sensitivity within bounds.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.signal import bilinear_zpk

from gwsurrogate_ml.control.linear import (
    LARGEST_RADIUS,
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
    """The classical loop of least cost on `plant`, with a peak sensitivity of at most `most`."""
    inside = np.log([[1e-2, 1e-2, 1.0, 0.3, 1.0, 0.3], [1e3, 50.0, 80.0, 10.0, 80.0, 10.0]])
    return _tuned(plant, lambda p: classical(plant, np.clip(p, *inside)), START, most)


def tuned_lqg(plant: Plant, most: float) -> StateSpace:
    """LQG designed for added torque noise, other sensing noise and weights: the cheapest of peak sensitivity at most `most`."""

    def design(p: np.ndarray) -> StateSpace:
        extra, sensing, weight = np.exp(np.clip(p, -12, 12))
        gains = lqg_gains(plant, np.hstack([plant.g, extra * plant.b]), sensing, weight)
        return observer(plant, gains.regulator, gains.kalman)

    return _tuned(plant, design, np.log([10.0, 1.0, 1.0]), most)


def _tuned(plant: Plant, design: Callable[[np.ndarray], StateSpace], start: np.ndarray, most: float) -> StateSpace:
    """The cheapest loop of a `design`, Nelder and Mead's search with a wall at instability and a slope towards the bound."""

    def price(p: np.ndarray) -> float:
        try:
            controller = design(p)
            found = radius(plant, controller)
        except (np.linalg.LinAlgError, ConfigError):
            return 1e9
        if found > LARGEST_RADIUS:
            return 1e6 * (1 + found)
        total = float(np.log(exact_cost(plant, controller).total))
        if np.isfinite(most):
            total += 30 * max(0.0, float(np.log(peak_sensitivity(plant, controller) / most)))
        return total

    for size in (0.5, 0.3, 0.1):
        simplex = start + np.vstack([np.zeros(len(start)), size * np.eye(len(start))])
        options = {"xatol": 1e-3, "fatol": 1e-5, "maxiter": 60 * len(start), "initial_simplex": simplex}
        start = minimize(price, start, method="Nelder-Mead", options=options).x
    if price(start) >= 1e6:
        raise ConfigError(f"no loop of this form holds the mirror at {plant.power:g} of the nominal power: lower the power")
    return design(start)
