"""One precessing binary, evolved: what all outputs are made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

ALIGNED_WIDTH = 0.2
"""Component of a spin in the plane below which the aligned model has a share."""
MARGIN = 6
"""Nodes before the first time that is asked for, so that splines do not depend on it."""


class Evolved(NamedTuple):
    """One binary at the model's times: what all outputs are made of.

    Parameters
    ----------
    nodes : (n,) float64, M
    states, rates : (n, 11) float64
        see `dynamics`
    times : (n_t,) float64, M
    frames : (n_t, 4) float64
    coorbital : (n_t, n_modes) complex128
    """

    nodes: np.ndarray
    states: np.ndarray
    rates: np.ndarray
    times: np.ndarray
    frames: np.ndarray
    coorbital: np.ndarray
