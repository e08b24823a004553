"""The prior of an aligned-spin binary and its exact map to coordinates in which it is a unit normal.

Masses are uniform in the components (hence ``p(Mc) ~ Mc`` and ``p(q) ~ (1 + q)^(2/5) q^(-6/5)``, independent), spins
are uniform along the orbital angular momentum, luminosity distance goes as d^2, orientation and sky are isotropic,
arrival time is uniform around the event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator
from scipy.special import hyp2f1, ndtr, ndtri

from gwsurrogate_ml.conventions import INTRINSIC
from gwsurrogate_ml.errors import ConfigError, DomainError

if TYPE_CHECKING:
    from bilby.core.prior import PriorDict

_EDGE = 1e-15
_Q_NODES = 4001


def _mass_ratio_integral(q: np.ndarray | float) -> np.ndarray:
    """Antiderivative of (1 + q)^(2/5) q^(-6/5)."""
    q = np.asarray(q, dtype=np.float64)
    return -5.0 * q**-0.2 * hyp2f1(-0.4, -0.2, 0.8, -q)


class BinaryPrior(BaseModel):
    """Prior over the eleven parameters of an aligned-spin binary (bilby's names, detector frame).

    Parameters
    ----------
    chirp_mass : (low, high) in solar masses, detector frame
    mass_ratio : (low, high), ``m2 / m1 <= 1``
    chi : (low, high), dimensionless, both spins, uniform
    luminosity_distance : (low, high) in Mpc, density ~ d^2
    time_half_width : float, s; `geocent_time` is uniform within this of the event's GPS time

    Raises
    ------
    pydantic.ValidationError
        unknown keys, empty or impossible ranges

    Examples
    --------
    >>> prior = BinaryPrior()
    >>> theta = prior.sample_intrinsic(5, np.random.default_rng(1))
    >>> bool(np.allclose(prior.from_normal(prior.to_normal(theta)), theta))
    True
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    chirp_mass: tuple[float, float] = (20.0, 45.0)
    mass_ratio: tuple[float, float] = (0.125, 1.0)
    chi: tuple[float, float] = (-0.9, 0.9)
    luminosity_distance: tuple[float, float] = (10.0, 3000.0)
    time_half_width: float = 0.1

    @model_validator(mode="after")
    def _check(self) -> BinaryPrior:
        for name in ("chirp_mass", "mass_ratio", "chi", "luminosity_distance"):
            low, high = getattr(self, name)
            if not low < high:
                raise ValueError(f"{name} is ({low}, {high}): give (low, high) with low < high")
        if self.chirp_mass[0] <= 0 or self.luminosity_distance[0] <= 0 or self.time_half_width <= 0:
            raise ValueError("chirp_mass, luminosity_distance and time_half_width must be positive")
        if self.luminosity_distance[0] > 0.5 * self.luminosity_distance[1]:
            raise ValueError(
                f"luminosity_distance is {self.luminosity_distance}: the nearest may be at most half of the farthest (the integral "
                "over distance is made for wide ranges); give a wider range and cut the draws of the result"
            )
        if not (self.mass_ratio[0] > 0 and self.mass_ratio[1] <= 1):
            raise ValueError(f"mass_ratio is {self.mass_ratio}: m2/m1 lies in (0, 1]")
        if not (self.chi[0] > -1 and self.chi[1] < 1):
            raise ValueError(f"chi is {self.chi}: dimensionless spins lie in (-1, 1)")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of `theta`."""
        return INTRINSIC

    def reference(self) -> np.ndarray:
        """A binary (1, n) amid the prior: geometric mean chirp mass, mild mass ratio, no spins."""
        low, high = self.chirp_mass
        some = {"chirp_mass": np.sqrt(low * high), "mass_ratio": np.clip(0.8, *self.mass_ratio)}
        return np.array([[some.get(name, 0.0) for name in self.names]])

    def bounds(self) -> dict[str, tuple[float, float]]:
        """(low, high) of the four intrinsic parameters, by name."""
        return {
            "chirp_mass": self.chirp_mass,
            "mass_ratio": self.mass_ratio,
            "chi_1": self.chi,
            "chi_2": self.chi,
        }

    def contains(self, theta: np.ndarray) -> np.ndarray:
        """Whether each row of `theta` (N, 4) lies inside the prior; bool (N,)."""
        low, high = np.array(list(self.bounds().values())).T
        return np.all((theta >= low) & (theta <= high), axis=-1)

    def to_uniform(self, theta: np.ndarray) -> np.ndarray:
        """Cumulative prior of each intrinsic parameter: (N, 4) of `INTRINSIC` to (N, 4) in [0, 1].

        Raises
        ------
        DomainError
            if a row lies outside the prior
        """
        theta = np.atleast_2d(np.asarray(theta, dtype=np.float64))
        if not np.all(self.contains(theta)):
            row = theta[~self.contains(theta)][0]
            given = ", ".join(f"{name}={value:g}" for name, value in zip(INTRINSIC, row, strict=True))
            raise DomainError(f"{given} lies outside the prior {self.bounds()}")
        low, high = self.chirp_mass
        q_low, q_high = _mass_ratio_integral(self.mass_ratio[0]), _mass_ratio_integral(self.mass_ratio[1])
        out = np.empty_like(theta)
        out[:, 0] = (theta[:, 0] ** 2 - low**2) / (high**2 - low**2)
        out[:, 1] = (_mass_ratio_integral(theta[:, 1]) - q_low) / (q_high - q_low)
        out[:, 2:] = (theta[:, 2:] - self.chi[0]) / (self.chi[1] - self.chi[0])
        return np.clip(out, 0.0, 1.0)

    def from_uniform(self, u: np.ndarray) -> np.ndarray:
        """Inverse of `to_uniform`: quantiles (N, 4) in [0, 1] to parameters."""
        u = np.atleast_2d(np.asarray(u, dtype=np.float64))
        low, high = self.chirp_mass
        out = np.empty_like(u)
        out[:, 0] = np.sqrt(low**2 + u[:, 0] * (high**2 - low**2))
        out[:, 1] = self._mass_ratio_quantile(u[:, 1])
        out[:, 2:] = self.chi[0] + u[:, 2:] * (self.chi[1] - self.chi[0])
        return out

    def _mass_ratio_quantile(self, u: np.ndarray) -> np.ndarray:
        """Interpolated inverse of the cumulative prior, polished by Newton's method to rounding error."""
        low, high = self.mass_ratio
        start, end = _mass_ratio_integral(low), _mass_ratio_integral(high)
        nodes = np.linspace(low, high, _Q_NODES)
        target = start + u * (end - start)
        q = np.interp(target, _mass_ratio_integral(nodes), nodes)
        for _ in range(2):
            q = np.clip(q - (_mass_ratio_integral(q) - target) * q**1.2 / (1 + q) ** 0.4, low, high)
        return q

    def to_normal(self, theta: np.ndarray) -> np.ndarray:
        """Coordinates in which the prior is N(0, 1)^4: chirp mass, mass ratio, an effective spin, the orthogonal spin.

        The normal scores (u1, u2) of the spins are rotated by the angle of (1, q): the first is then, for mild spins,
        proportional to chi_eff up to its scale. A rotation by an angle that depends on q alone keeps the normal prior
        and has Jacobian 1.

        Parameters
        ----------
        theta : (N, 4) float64, columns `INTRINSIC`

        Returns
        -------
        (N, 4) float64
        """
        scores = ndtri(np.clip(self.to_uniform(theta), _EDGE, 1 - _EDGE))
        return self.rotate(scores, np.atleast_2d(theta)[:, 1])

    def from_normal(self, z: np.ndarray) -> np.ndarray:
        """Inverse of `to_normal`: (N, 4) to parameters, always inside the prior."""
        z = np.atleast_2d(np.asarray(z, dtype=np.float64))
        q = self._mass_ratio_quantile(ndtr(z[:, 1]))
        return self.from_uniform(ndtr(self.rotate(z, q, -1.0)))

    @staticmethod
    def rotate(z: np.ndarray, q: np.ndarray, sign: float = 1.0) -> np.ndarray:
        """Turn the normal scores of the spins, columns 2 and 3 of `z` (N, 4), by the angle of (1, q); back for sign
        -1.
        """
        norm = np.sqrt(1 + q**2)
        cos, sin = 1 / norm, sign * q / norm
        out = z.copy()
        out[:, 2] = cos * z[:, 2] + sin * z[:, 3]
        out[:, 3] = -sin * z[:, 2] + cos * z[:, 3]
        return out

    @staticmethod
    def log_normal(z: np.ndarray) -> np.ndarray:
        """Log density of the prior in normal coordinates: (N, 4) to (N,)."""
        return -0.5 * np.sum(np.square(z), axis=-1) - 0.5 * z.shape[-1] * np.log(2 * np.pi)

    def sample_intrinsic(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Independent prior draws (n, 4), columns `INTRINSIC`."""
        return self.from_uniform(rng.random((n, len(INTRINSIC))))

    def to_bilby(self, gps: float) -> PriorDict:
        """The same prior as a bilby `BBHPriorDict` for an event at `gps` (s)."""
        from bilby.core.prior import Cosine, PowerLaw, Sine, Uniform
        from bilby.gw.prior import BBHPriorDict, UniformInComponentsChirpMass, UniformInComponentsMassRatio

        pi = np.pi
        return BBHPriorDict(
            {
                "chirp_mass": UniformInComponentsChirpMass(*self.chirp_mass, name="chirp_mass", unit="$M_\\odot$"),
                "mass_ratio": UniformInComponentsMassRatio(*self.mass_ratio, name="mass_ratio"),
                "chi_1": Uniform(*self.chi, name="chi_1", latex_label="$\\chi_1$"),
                "chi_2": Uniform(*self.chi, name="chi_2", latex_label="$\\chi_2$"),
                "luminosity_distance": PowerLaw(2, *self.luminosity_distance, name="luminosity_distance", unit="Mpc"),
                "theta_jn": Sine(name="theta_jn"),
                "phase": Uniform(0, 2 * pi, name="phase", boundary="periodic"),
                "psi": Uniform(0, pi, name="psi", boundary="periodic"),
                "ra": Uniform(0, 2 * pi, name="ra", boundary="periodic"),
                "dec": Cosine(name="dec"),
                "geocent_time": Uniform(gps - self.time_half_width, gps + self.time_half_width, name="geocent_time"),
            }
        )


def require_inside(prior: BinaryPrior, limits: dict[str, tuple[float, float]], model: str) -> None:
    """Raise unless the waveform model covers the whole prior.

    Parameters
    ----------
    prior : BinaryPrior
    limits : mapping from names of `INTRINSIC` to (low, high); missing names are not limited
    model : str
        name used in the message

    Raises
    ------
    ConfigError
        naming the parameter and both ranges
    """
    for name, (low, high) in prior.bounds().items():
        if name in limits and (low < limits[name][0] - 1e-9 or high > limits[name][1] + 1e-9):
            raise ConfigError(
                f"the prior on {name} ({low:g} to {high:g}) exceeds what {model} covers "
                f"({limits[name][0]:g} to {limits[name][1]:g}): narrow the prior"
            )
