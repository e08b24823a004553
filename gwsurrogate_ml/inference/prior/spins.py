"""Spins: along the orbital angular momentum, uniform or the projection of isotropic spins; or isotropic in all directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammainccinv, xlogy
from scipy.stats import chi

from gwsurrogate_ml.inference.prior.parts import Given, Interval, Part

if TYPE_CHECKING:
    from bilby.core.prior import Prior


class Aligned(Interval):
    """Both dimensionless spins, independent and alike, in coordinates of which the first follows the effective spin.

    The normal scores (u1, u2) of the spins are rotated by the angle of (1, q): the first is then, for mild spins,
    proportional to chi_eff up to its scale. A rotation by an angle that depends on q alone keeps the normal prior
    and has Jacobian 1.
    """

    names = ("chi_1", "chi_2")

    def to_normal(self, values: np.ndarray, given: Given) -> np.ndarray:
        """Rotated normal scores (N, 2)."""
        return _rotated(super().to_normal(values, given), given["mass_ratio"])

    def from_normal(self, z: np.ndarray, given: Given) -> np.ndarray:
        """Inverse of `to_normal`."""
        return super().from_normal(_rotated(z, given["mass_ratio"], -1.0), given)


def _rotated(z: np.ndarray, q: np.ndarray, sign: float = 1.0) -> np.ndarray:
    """`z` (N, 2) turned by the angle of (1, q), q (N,); back for sign -1."""
    norm = np.sqrt(1 + q**2)
    cos, sin = 1 / norm, sign * q / norm
    return np.stack([cos * z[:, 0] + sin * z[:, 1], -sin * z[:, 0] + cos * z[:, 1]], axis=1)


@dataclass(frozen=True)
class AlignedUniform(Aligned):
    """Uniform in (low, high)."""

    def to_uniform(self, values: np.ndarray, given: Given) -> np.ndarray:
        """Cumulative prior (N, 2)."""
        return (values - self.low) / (self.high - self.low)

    def from_uniform(self, u: np.ndarray, given: Given) -> np.ndarray:
        """Quantiles (N, 2) to spins."""
        return self.low + u * (self.high - self.low)

    def to_bilby(self) -> dict[str, Prior]:
        """`Uniform`."""
        from bilby.core.prior import Uniform

        return {name: Uniform(self.low, self.high, name=name) for name in self.names}


@dataclass(frozen=True)
class AlignedIsotropic(Aligned):
    """Projection of isotropic spins whose magnitude is uniform in (0, a), with a = high = -low: density -ln(|chi| / a) / 2a.

    Lange et al. 2018 (arXiv:1805.10457), equation (A7). With s = |chi| / a, a share s (1 - ln s) of the spins is nearer to
    zero: -ln s is a Gamma variate of shape 2. bilby's `AlignedSpin` interpolates the same density on 100,000 nodes.
    """

    def to_uniform(self, values: np.ndarray, given: Given) -> np.ndarray:
        """Cumulative prior (N, 2)."""
        s = np.abs(values) / self.high
        return 0.5 + 0.5 * np.sign(values) * (s - xlogy(s, s))

    def from_uniform(self, u: np.ndarray, given: Given) -> np.ndarray:
        """Quantiles (N, 2) to spins."""
        return np.sign(u - 0.5) * self.high * np.exp(-gammainccinv(2.0, np.abs(2 * u - 1)))

    def to_bilby(self) -> dict[str, Prior]:
        """`AlignedSpin`."""
        from bilby.core.prior import Uniform
        from bilby.gw.prior import AlignedSpin

        return {name: AlignedSpin(a_prior=Uniform(0, self.high), name=name) for name in self.names}


@dataclass(frozen=True)
class Isotropic(Part):
    """Spins of any direction, isotropic, their magnitudes uniform in (0, highest): what precessing models take.

    The coordinates are two vectors that are N(0, I_3) each: a spin's direction, the azimuths of the two being `phi_jl` and
    ``phi_jl + phi_12``, and a radius of the distribution of a normal vector's, the magnitude's quantile. They have no seam where an
    angle begins anew, and none where a spin vanishes or is aligned.
    """

    highest: float = 0.99
    names = ("a_1", "a_2", "tilt_1", "tilt_2", "phi_12", "phi_jl")

    def to_bilby(self) -> dict[str, Prior]:
        """`Uniform` magnitudes, `Sine` tilts, `Uniform` azimuths."""
        from bilby.core.prior import Sine, Uniform

        magnitudes = {name: Uniform(0.0, self.highest, name=name) for name in self.names[:2]}
        tilts = {name: Sine(name=name) for name in self.names[2:4]}
        azimuths = {name: Uniform(0.0, 2 * np.pi, name=name, boundary="periodic") for name in self.names[4:]}
        return magnitudes | tilts | azimuths

    def to_uniform(self, values: np.ndarray, given: Given) -> np.ndarray:
        """Cumulative prior (N, 6)."""
        a, tilt, phi = values[:, :2], values[:, 2:4], values[:, 4:]
        return np.concatenate([a / self.highest, 0.5 * (1 - np.cos(tilt)), phi / (2 * np.pi)], axis=1)

    def from_uniform(self, u: np.ndarray, given: Given) -> np.ndarray:
        """Quantiles (N, 6) to magnitudes, tilts and azimuths."""
        return np.concatenate([self.highest * u[:, :2], np.arccos(1 - 2 * u[:, 2:4]), 2 * np.pi * u[:, 4:]], axis=1)

    def to_normal(self, values: np.ndarray, given: Given) -> np.ndarray:
        """Both vectors (N, 6)."""
        radius = chi.ppf(np.minimum(values[:, :2] / self.highest, 1 - 1e-15), 3)
        tilt, azimuth = values[:, 2:4], values[:, 5:] + np.stack([np.zeros(len(values)), values[:, 4]], axis=1)
        flat = radius * np.sin(tilt)
        both = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), radius * np.cos(tilt)], axis=2)
        return both.reshape(len(values), 6)

    def from_normal(self, z: np.ndarray, given: Given) -> np.ndarray:
        """Inverse of `to_normal`."""
        x, y, along = np.moveaxis(z.reshape(len(z), 2, 3), 2, 0)
        azimuth = np.arctan2(y, x)
        phi_12, phi_jl = np.mod(azimuth[:, 1] - azimuth[:, 0], 2 * np.pi), np.mod(azimuth[:, 0], 2 * np.pi)
        magnitude = self.highest * chi.cdf(np.sqrt(x**2 + y**2 + along**2), 3)
        return np.column_stack([magnitude, np.arctan2(np.hypot(x, y), along), phi_12, phi_jl])
