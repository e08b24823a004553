"""Masses uniform in the components: ``p(Mc) ~ Mc`` and ``p(q) ~ (1 + q)^(2/5) q^(-6/5)``, independent of one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import hyp2f1

from gwsurrogate_ml.inference.prior.parts import Given, Interval

if TYPE_CHECKING:
    from bilby.core.prior import Prior

_NODES = 4001


@dataclass(frozen=True)
class ChirpMass(Interval):
    """Chirp mass in solar masses, detector frame, for masses uniform in the components."""

    names = ("chirp_mass",)

    def to_uniform(self, values: np.ndarray, given: Given) -> np.ndarray:
        """Cumulative prior (N, 1)."""
        return (values**2 - self.low**2) / (self.high**2 - self.low**2)

    def from_uniform(self, u: np.ndarray, given: Given) -> np.ndarray:
        """Quantiles (N, 1) to solar masses."""
        return np.sqrt(self.low**2 + u * (self.high**2 - self.low**2))

    def to_bilby(self) -> dict[str, Prior]:
        """`UniformInComponentsChirpMass`."""
        from bilby.gw.prior import UniformInComponentsChirpMass

        prior = UniformInComponentsChirpMass(self.low, self.high, name="chirp_mass", unit="$M_\\odot$")
        return {"chirp_mass": prior}


@dataclass(frozen=True)
class MassRatio(Interval):
    """Mass ratio ``m2 / m1 <= 1`` for masses uniform in the components."""

    names = ("mass_ratio",)

    def to_uniform(self, values: np.ndarray, given: Given) -> np.ndarray:
        """Cumulative prior (N, 1)."""
        start, end = _integral(self.low), _integral(self.high)
        return (_integral(values) - start) / (end - start)

    def from_uniform(self, u: np.ndarray, given: Given) -> np.ndarray:
        """Quantiles (N, 1) to mass ratios: the interpolated inverse, polished by Newton's method to rounding error."""
        start, end = _integral(self.low), _integral(self.high)
        nodes = np.linspace(self.low, self.high, _NODES)
        target = start + u * (end - start)
        q = np.interp(target, _integral(nodes), nodes)
        for _ in range(2):
            q = np.clip(q - (_integral(q) - target) * q**1.2 / (1 + q) ** 0.4, self.low, self.high)
        return q

    def to_bilby(self) -> dict[str, Prior]:
        """`UniformInComponentsMassRatio`."""
        from bilby.gw.prior import UniformInComponentsMassRatio

        return {"mass_ratio": UniformInComponentsMassRatio(self.low, self.high, name="mass_ratio")}


def _integral(q: np.ndarray | float) -> np.ndarray:
    """Antiderivative of (1 + q)^(2/5) q^(-6/5)."""
    q = np.asarray(q, dtype=np.float64)
    return -5.0 * q**-0.2 * hyp2f1(-0.4, -0.2, 0.8, -q)
