"""Times at which matched-filter series are tabulated, and what lies between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TAPS = 6
"""Samples of a series that each interpolated value is made of."""


@dataclass(frozen=True)
class TimeWindow:
    """Arrival times at which matched-filter series are tabulated, s from the start of the segment.

    Parameters
    ----------
    start : float, s
    step : float, s
    size : int
    """

    start: float
    step: float
    size: int

    @property
    def times(self) -> np.ndarray:
        """(size,) float64, s."""
        return self.start + self.step * np.arange(self.size)

    def interpolate(self, series: np.ndarray, times: np.ndarray) -> np.ndarray:
        """Values of `series` (size,) at `times` (n,), all of them at least three steps inside the window."""
        position = (times - self.start) / self.step
        left = np.floor(position).astype(np.int64) - (TAPS // 2 - 1)
        return np.sum(lagrange(position - left) * series[left[:, None] + np.arange(TAPS)], axis=1)


def lagrange(x: np.ndarray) -> np.ndarray:
    """Weights of the polynomial through nodes 0..5 at positions `x`: (..., 6)."""
    nodes = np.arange(TAPS)
    weights = np.ones((*x.shape, TAPS))
    for j in nodes:
        for k in nodes[nodes != j]:
            weights[..., j] *= (x - k) / (j - k)
    return weights
