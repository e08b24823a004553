"""Cubic splines in log frequency, as bilby's calibration model has them, and the few frequencies at which they fix all sums.

Nodes are equally spaced in log f, the spline is the not-a-knot one (LIGO-T2300140). A factor made of such splines is smooth between
nodes, so sums over all frequencies of the factor times something rough, ``sum_f u(f) F(f)``, become ``sum_j U_j F(f_j)``: F is
interpolated by a polynomial through `POINTS` Gauss-Lobatto abscissae of each interval, and U is the rough part summed with
its weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline

N_NODES = 10
"""Nodes of a spline: bilby's usual number."""
POINTS = 8
"""Abscissae in each interval, its ends included: exact to degree 7, and the square of an amplitude has degree 6."""


@dataclass(frozen=True)
class Splines:
    """Cubic splines between two frequencies.

    Parameters
    ----------
    f_min, f_max : float, Hz
        the first and the last node
    n_nodes : int, >= 4

    Examples
    --------
    >>> [round(float(f)) for f in Splines(20.0, 1280.0, 4).nodes]
    [20, 80, 320, 1280]
    """

    f_min: float
    f_max: float
    n_nodes: int = N_NODES

    @cached_property
    def nodes(self) -> np.ndarray:
        """Frequencies (n_nodes,) of the nodes, Hz."""
        return np.geomspace(self.f_min, self.f_max, self.n_nodes)

    def basis(self, frequencies: np.ndarray) -> np.ndarray:
        """Cardinal splines (n_nodes, n) at `frequencies` (n,) in Hz: a curve is ``values at the nodes @ basis``."""
        place = self._place(frequencies)
        return CubicSpline(np.arange(self.n_nodes), np.eye(self.n_nodes))(place).T

    @cached_property
    def abscissae(self) -> np.ndarray:
        """The frequencies f_j (n_j,) in Hz, rising; n_j = (n_nodes - 1) (POINTS - 1) + 1."""
        start = np.arange(self.n_nodes - 1)[:, None]
        place = np.append((start + _lobatto()[:-1]).ravel(), self.n_nodes - 1)
        return self.f_min * (self.f_max / self.f_min) ** (place / (self.n_nodes - 1))

    def weights(self, frequencies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How values at `abscissae` give those at `frequencies` (n,): the first index (n,) int64, and the weights (n, POINTS)."""
        place = self._place(frequencies)
        interval = np.clip(np.floor(place).astype(np.int64), 0, self.n_nodes - 2)
        x, nodes = (place - interval)[:, None], _lobatto()
        weights = np.ones((len(place), POINTS))
        for j in range(POINTS):
            for k in range(POINTS):
                if k != j:
                    weights[:, j] *= (x[:, 0] - nodes[k]) / (nodes[j] - nodes[k])
        return interval * (POINTS - 1), weights

    def _place(self, frequencies: np.ndarray) -> np.ndarray:
        """Places on an axis on which the nodes are 0, 1, 2 ..."""
        ratio = np.log(np.asarray(frequencies, np.float64) / self.f_min) / np.log(self.f_max / self.f_min)
        return ratio * (self.n_nodes - 1)


def _lobatto() -> np.ndarray:
    """Gauss-Lobatto abscissae (POINTS,) on [0, 1]."""
    inner = np.polynomial.legendre.Legendre.basis(POINTS - 1).deriv().roots()
    return 0.5 * (1 + np.concatenate([[-1.0], np.sort(inner.real), [1.0]]))
