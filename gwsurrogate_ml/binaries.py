"""Binaries as every waveform model takes them, and the spaces of parameters that models are sampled in.

Spins are vectors at the reference frequency of the model, z along the Newtonian orbital angular momentum; the azimuth of the two
together is the orbital phase's to choose, only its difference counts (bilby's `phi_12`). `phi_jl` is the azimuth of the orbital
angular momentum about the total one, seen from the observer: it matters where the two differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.conventions import component_masses
from gwsurrogate_ml.errors import ConfigError


@dataclass(frozen=True)
class Binaries:
    """N binary black holes.

    Parameters
    ----------
    mass_1, mass_2 : (N,) float64, solar masses (detector frame), ``mass_1 >= mass_2``
    spin_1, spin_2 : (N, 3) float64, dimensionless
    phi_jl : (N,) float64, rad

    Examples
    --------
    >>> pair = Binaries.aligned([36.0, 40.0], [29.0, 20.0], [0.3, 0.0], [0.0, -0.2])
    >>> len(pair), pair.spin_2[:, 2].tolist(), pair.is_aligned
    (2, [0.0, -0.2], True)
    """

    mass_1: np.ndarray
    mass_2: np.ndarray
    spin_1: np.ndarray
    spin_2: np.ndarray
    phi_jl: np.ndarray

    @classmethod
    def aligned(cls, mass_1: object, mass_2: object, chi_1: object, chi_2: object) -> Binaries:
        """Binaries with spins along the orbital angular momentum, from numbers or arrays (N,)."""
        m_1, m_2, z_1, z_2 = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(x, np.float64)) for x in (mass_1, mass_2, chi_1, chi_2))
        )
        flat = np.zeros_like(z_1)
        return cls(m_1, m_2, np.stack([flat, flat, z_1], 1), np.stack([flat, flat, z_2], 1), flat)

    def __len__(self) -> int:
        return len(self.mass_1)

    def __getitem__(self, rows: slice | np.ndarray) -> Binaries:
        """Some of the binaries."""
        return Binaries(self.mass_1[rows], self.mass_2[rows], self.spin_1[rows], self.spin_2[rows], self.phi_jl[rows])

    @property
    def is_aligned(self) -> bool:
        """Whether no spin has a component in the orbital plane."""
        return not (self.spin_1[:, :2].any() or self.spin_2[:, :2].any())

    @property
    def along_orbit(self) -> Binaries:
        """The same masses with the spins' components along the orbit alone: what templates are made for."""
        return Binaries.aligned(self.mass_1, self.mass_2, self.spin_1[:, 2], self.spin_2[:, 2])

    def aligned_columns(self, model: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """mass_1, mass_2, chi_1, chi_2, each (N,), for the model called `model`, which knows spins along the orbit alone.

        Raises
        ------
        ConfigError
            for spins in the orbital plane: they are never dropped silently
        """
        if not self.is_aligned:
            raise ConfigError(
                f"{model} knows spins along the orbital angular momentum alone, and these have components in the orbital plane: "
                "take a precessing model, such as 'nrphm' or 'lal:IMRPhenomXPHM'"
            )
        return self.mass_1, self.mass_2, self.spin_1[:, 2], self.spin_2[:, 2]


@dataclass(frozen=True)
class Space:
    """Parameters of a binary that a model depends on apart from place, orientation and time, by bilby's names.

    Parameters
    ----------
    names : tuple of str
        the columns of arrays `theta` (N, n)
    """

    names: tuple[str, ...]

    @property
    def dimension(self) -> int:
        """Number of parameters."""
        return len(self.names)

    def theta(self, parameters: Mapping[str, object]) -> np.ndarray:
        """(N, n) float64 of a mapping from names to numbers or arrays (N,).

        Raises
        ------
        ConfigError
            naming a parameter that is not there
        """
        if missing := [name for name in self.names if name not in parameters]:
            raise ConfigError(f"parameters missing: {', '.join(missing)} (got {', '.join(sorted(parameters))})")
        columns = (np.atleast_1d(np.asarray(parameters[name], dtype=np.float64)) for name in self.names)
        return np.stack(np.broadcast_arrays(*columns), axis=1)

    def binaries(self, theta: np.ndarray) -> Binaries:
        """The binaries of `theta` (N, n).

        Examples
        --------
        >>> ALIGNED.binaries(np.array([[26.0, 1.0, 0.1, 0.2]])).mass_1.round(3).tolist()
        [29.866]
        """
        p = dict(zip(self.names, np.atleast_2d(theta).T, strict=True))
        mass_1, mass_2 = component_masses(p["chirp_mass"], p["mass_ratio"])
        if "chi_1" in p:
            return Binaries.aligned(mass_1, mass_2, p["chi_1"], p["chi_2"])
        azimuths = np.zeros_like(p["phi_12"]), p["phi_12"]
        spins = [
            np.stack([a * np.sin(tilt) * np.cos(phi), a * np.sin(tilt) * np.sin(phi), a * np.cos(tilt)], axis=1)
            for a, tilt, phi in zip((p["a_1"], p["a_2"]), (p["tilt_1"], p["tilt_2"]), azimuths, strict=True)
        ]
        return Binaries(mass_1, mass_2, spins[0], spins[1], p["phi_jl"])


ALIGNED = Space(("chirp_mass", "mass_ratio", "chi_1", "chi_2"))
"""Spins along the orbital angular momentum."""
PRECESSING = Space(("chirp_mass", "mass_ratio", "a_1", "a_2", "tilt_1", "tilt_2", "phi_12", "phi_jl"))
"""Any spins."""


def space_of(names: Iterable[str]) -> Space:
    """The space all of whose parameters are among `names`.

    Raises
    ------
    ConfigError
        naming what is missing for either

    Examples
    --------
    >>> space_of(["chirp_mass", "mass_ratio", "chi_1", "chi_2", "ra"]) == ALIGNED
    True
    """
    there = set(names)
    for space in (ALIGNED, PRECESSING):
        if there.issuperset(space.names):
            return space
    lacking = min((sorted(set(space.names) - there) for space in (ALIGNED, PRECESSING)), key=len)
    raise ConfigError(f"parameters missing: {', '.join(lacking)}")
