"""The parts that priors are made of: each covers a few parameters and maps them to uniform and to normal variates and back.

A part may use the parameters of the parts before it, and any coordinates in which its own are independent unit normals.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

if TYPE_CHECKING:
    from bilby.core.prior import Prior as BilbyPrior

Given = Mapping[str, np.ndarray]
"""Parameters of the parts before, (N,) each, by name."""
_EDGE = 1e-15


class Part(ABC):
    """Some parameters of a prior, with the maps between them, uniform and normal variates.

    A new one says which parameters it covers and which priors of bilby's they have. The maps follow from those priors' `cdf`
    and `rescale`; override `to_uniform` and `from_uniform` where there are exact or faster ones, and `to_normal` and
    `from_normal` for other coordinates, such as a rotation of the scores.

    Examples
    --------
    >>> from bilby.core.prior import LogUniform
    >>> class LogChirpMass(Part):
    ...     names = ("chirp_mass",)
    ...
    ...     def to_bilby(self):
    ...         return {"chirp_mass": LogUniform(20.0, 45.0, name="chirp_mass")}
    >>> LogChirpMass().from_uniform(np.array([[0.5]]), {}).round(6)
    array([[30.]])
    """

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The parameters, in the order of the columns."""

    @abstractmethod
    def to_bilby(self) -> dict[str, BilbyPrior]:
        """bilby's prior of each parameter, independent of the others."""

    def bounds(self) -> dict[str, tuple[float, float]]:
        """(low, high) of each parameter."""
        return {name: (float(prior.minimum), float(prior.maximum)) for name, prior in self.to_bilby().items()}

    def contains(self, values: np.ndarray, given: Given) -> np.ndarray:
        """Whether each row of `values` (..., k) lies inside; bool (...)."""
        low, high = np.array([self.bounds()[name] for name in self.names]).T
        return np.all((values >= low) & (values <= high), axis=-1)

    def to_uniform(self, values: np.ndarray, given: Given) -> np.ndarray:
        """Cumulative prior (N, k) of parameters (N, k), each given those before it."""
        priors = self.to_bilby()
        return np.stack([priors[name].cdf(column) for name, column in zip(self.names, values.T, strict=True)], axis=1)

    def from_uniform(self, u: np.ndarray, given: Given) -> np.ndarray:
        """Inverse of `to_uniform`: quantiles (N, k) in [0, 1] to parameters."""
        priors = self.to_bilby()
        return np.stack([priors[name].rescale(column) for name, column in zip(self.names, u.T, strict=True)], axis=1)

    def to_normal(self, values: np.ndarray, given: Given) -> np.ndarray:
        """Coordinates (N, k) in which the prior is N(0, 1)^k: the normal scores."""
        return ndtri(np.clip(self.to_uniform(values, given), _EDGE, 1 - _EDGE))

    def from_normal(self, z: np.ndarray, given: Given) -> np.ndarray:
        """Inverse of `to_normal`."""
        return self.from_uniform(ndtr(z), given)


@dataclass(frozen=True)
class Interval(Part):
    """A part whose parameters all have the range (low, high)."""

    low: float
    high: float

    def bounds(self) -> dict[str, tuple[float, float]]:
        """(low, high) of each parameter."""
        return {name: (self.low, self.high) for name in self.names}
