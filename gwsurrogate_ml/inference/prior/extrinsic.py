"""The parameters that an analysis integrates: luminosity distance ~ d^2, isotropic orientation and sky, uniform arrival time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.conventions import EXTRINSIC
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.prior.parts import Part

if TYPE_CHECKING:
    from bilby.core.prior import Prior


@dataclass(frozen=True)
class Extrinsic(Part):
    """All of `conventions.EXTRINSIC`.

    Parameters
    ----------
    luminosity_distance : (low, high) in Mpc, density ~ d^2
    time_half_width : float, s
    gps : float, s; the middle of the arrival times

    Raises
    ------
    ConfigError
        impossible ranges, or distances too narrow for the integral over them
    """

    luminosity_distance: tuple[float, float]
    time_half_width: float
    gps: float = 0.0

    names = EXTRINSIC

    def __post_init__(self) -> None:
        low, high = self.luminosity_distance
        if not low < high:
            raise ConfigError(f"luminosity_distance is ({low}, {high}): give (low, high) with low < high")
        if low <= 0 or self.time_half_width <= 0:
            raise ConfigError("luminosity_distance and time_half_width must be positive")
        if low > 0.5 * high:
            raise ConfigError(
                f"luminosity_distance is {self.luminosity_distance}: the nearest may be at most half of the farthest (the "
                "integral over distance is made for wide ranges); give a wider range and cut the draws of the result"
            )

    def to_bilby(self) -> dict[str, Prior]:
        """bilby's priors of the seven, as in its own prior files."""
        from bilby.core.prior import Cosine, PowerLaw, Sine, Uniform

        start, end = self.gps - self.time_half_width, self.gps + self.time_half_width
        return {
            "luminosity_distance": PowerLaw(2, *self.luminosity_distance, name="luminosity_distance", unit="Mpc"),
            "theta_jn": Sine(name="theta_jn"),
            "phase": Uniform(0, 2 * np.pi, name="phase", boundary="periodic"),
            "psi": Uniform(0, np.pi, name="psi", boundary="periodic"),
            "ra": Uniform(0, 2 * np.pi, name="ra", boundary="periodic"),
            "dec": Cosine(name="dec"),
            "geocent_time": Uniform(start, end, name="geocent_time"),
        }
