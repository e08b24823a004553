"""A prior as a composition of parts: whatever they are, it is a unit normal in the coordinates that they choose.

The idea is cogwheel's (Roulet et al. 2022, arXiv:2207.03508).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.errors import DomainError
from gwsurrogate_ml.inference.prior.extrinsic import Extrinsic
from gwsurrogate_ml.inference.prior.parts import Given, Part
from gwsurrogate_ml.inference.prior.record import written

if TYPE_CHECKING:
    from bilby.core.prior import PriorDict


class Prior:
    """The prior of a binary as a composition of parts: what every step of an analysis takes.

    Columns of arrays are the parameters `names`, in this order. Distance, orientation, sky and time are not among them: they are
    integrated (see `Extrinsic`).

    Attributes
    ----------
    parts : sequence of Part
    luminosity_distance : (low, high) in Mpc, density ~ d^2
    time_half_width : float, s; `geocent_time` is uniform within this of the event's GPS time
    target : bilby PriorDict, or None
        the prior that is meant where the parts are not it, but nowhere narrower: a result is re-weighted to it at the end
    """

    if TYPE_CHECKING:

        @property
        def parts(self) -> Sequence[Part]: ...  # noqa: D102
        @property
        def luminosity_distance(self) -> tuple[float, float]: ...  # noqa: D102
        @property
        def time_half_width(self) -> float: ...  # noqa: D102

    @property
    def target(self) -> PriorDict | None:
        """The prior that is meant, where the parts are another."""
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that the parts cover, in the order of the columns."""
        return tuple(name for part in self.parts for name in part.names)

    def reference(self) -> np.ndarray:
        """A binary (1, k) amid the prior: geometric mean chirp mass, mild mass ratio, no spins."""
        bounds = self.bounds()
        some = {"chirp_mass": np.sqrt(np.prod(bounds["chirp_mass"])), "mass_ratio": np.clip(0.8, *bounds["mass_ratio"])}
        return np.array([[some.get(name, 0.0) for name in self.names]])

    def bounds(self) -> dict[str, tuple[float, float]]:
        """(low, high) of the parameters of the parts, by name."""
        return {name: limits for part in self.parts for name, limits in part.bounds().items()}

    def _blocks(self, known: np.ndarray) -> Iterator[tuple[Part, slice, Given]]:
        """Each part, its columns, and the parameters of those before it, read from `known` (..., k) when it is its turn."""
        given: dict[str, np.ndarray] = {}
        for part in self.parts:
            columns = slice(len(given), len(given) + len(part.names))
            yield part, columns, given
            given |= {name: known[..., column] for column, name in enumerate(part.names, columns.start)}

    def _each(self, way: str, x: np.ndarray, theta: np.ndarray | None = None) -> np.ndarray:
        """`x` (N, k) through this map of each part, given the parameters before it in `theta`, by default in the result."""
        x = np.atleast_2d(np.asarray(x, dtype=np.float64))
        if x.shape[1:] != (len(self.names),):
            raise DomainError(f"rows of shape {x.shape[1:]}: give one number for each of {', '.join(self.names)}")
        out = np.empty_like(x)
        for part, at, given in self._blocks(out if theta is None else theta):
            out[:, at] = getattr(part, way)(x[:, at], given)
        return out

    def contains(self, theta: np.ndarray) -> np.ndarray:
        """Whether each row of `theta` (N, k) lies inside the prior; bool (N,)."""
        return np.all([part.contains(theta[..., at], given) for part, at, given in self._blocks(theta)], axis=0)

    def _inside(self, theta: np.ndarray) -> np.ndarray:
        """`theta` as (N, k) float64; DomainError if a row lies outside."""
        theta = np.atleast_2d(np.asarray(theta, dtype=np.float64))
        if not np.all(inside := self.contains(theta)):
            named = zip(self.names, theta[~inside][0], strict=True)
            given = ", ".join(f"{name}={value:g}" for name, value in named)
            raise DomainError(f"{given} lies outside the prior {self.bounds()}")
        return theta

    def to_uniform(self, theta: np.ndarray) -> np.ndarray:
        """Cumulative prior of each parameter, (N, k) to (N, k) in [0, 1]; DomainError if a row lies outside the prior."""
        theta = self._inside(theta)
        return np.clip(self._each("to_uniform", theta, theta), 0.0, 1.0)

    def from_uniform(self, u: np.ndarray) -> np.ndarray:
        """Inverse of `to_uniform`: quantiles (N, k) in [0, 1] to parameters."""
        return self._each("from_uniform", u)

    def to_normal(self, theta: np.ndarray) -> np.ndarray:
        """Coordinates in which the prior is N(0, 1)^k, (N, k) to (N, k); DomainError if a row lies outside the prior."""
        theta = self._inside(theta)
        return self._each("to_normal", theta, theta)

    def from_normal(self, z: np.ndarray) -> np.ndarray:
        """Inverse of `to_normal`: (N, k) to parameters, always inside the prior."""
        return self._each("from_normal", z)

    @staticmethod
    def log_normal(z: np.ndarray) -> np.ndarray:
        """Log density of the prior in normal coordinates: (N, k) to (N,)."""
        return -0.5 * np.sum(np.square(z), axis=-1) - 0.5 * z.shape[-1] * np.log(2 * np.pi)

    def sample_intrinsic(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Independent prior draws (n, k)."""
        return self.from_uniform(rng.random((n, len(self.names))))

    def to_bilby(self, gps: float) -> PriorDict:
        """The same prior as a bilby `BBHPriorDict` for an event at `gps` (s)."""
        from bilby.gw.prior import BBHPriorDict

        parts = [*self.parts, Extrinsic(self.luminosity_distance, self.time_half_width, gps)]
        return BBHPriorDict({name: prior for part in parts for name, prior in part.to_bilby().items()})

    def record(self, gps: float) -> dict[str, Any]:
        """What a result for an event at `gps` (s) keeps of its prior, in its meta data; JSON can hold it."""
        return {"prior": {"parts": [type(part).__name__ for part in self.parts]}, "bilby_prior": written(self.to_bilby(gps))}


@dataclass(frozen=True)
class ComposedPrior(Prior):
    """A prior of any parts, your own among them; an analysis takes those that cover the space of its waveform
    model in this order.

    Examples
    --------
    >>> from gwsurrogate_ml.inference.prior.masses import ChirpMass, MassRatio
    >>> from gwsurrogate_ml.inference.prior.spins import AlignedIsotropic
    >>> prior = ComposedPrior((ChirpMass(20.0, 45.0), MassRatio(0.2, 1.0), AlignedIsotropic(-0.9, 0.9)))
    >>> prior.names
    ('chirp_mass', 'mass_ratio', 'chi_1', 'chi_2')
    """

    parts: Sequence[Part]
    luminosity_distance: tuple[float, float] = (10.0, 3000.0)
    time_half_width: float = 0.1
    target: PriorDict | None = None

    def __post_init__(self) -> None:
        Extrinsic(self.luminosity_distance, self.time_half_width)
