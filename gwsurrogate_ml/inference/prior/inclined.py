"""The prior of a model's parameters and the inclination, in coordinates of the orbit and the line of sight.

A binary's spins and the direction to the observer are isotropic, whatever axes they are given in. bilby's axes are those of the
total angular momentum, whose direction depends on masses and spins and turns fast where the spins in the plane nearly cancel. Here
they are those of the orbit: the spins' azimuths are counted from the line of sight, and the inclination is that of the orbit. One
is turned into the other by a rotation of the sphere of directions: the prior is the same unit normal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from gwsurrogate_ml.binaries import PRECESSING
from gwsurrogate_ml.conventions import component_masses
from gwsurrogate_ml.inference.prior.composition import Prior
from gwsurrogate_ml.waveform.lal import angles_of_momentum, spins_in_orbit

if TYPE_CHECKING:
    from gwsurrogate_ml.waveform.model import WaveformModel


class InclinedPrior:
    """The prior of the model's parameters and the inclination, isotropic.

    Parameters
    ----------
    prior : Prior
    f_ref : float, Hz
        where the spins belong to
    """

    def __init__(self, prior: Prior, f_ref: float) -> None:
        self.prior, self.f_ref = prior, f_ref
        self._precessing = "phi_jl" in prior.names

    @property
    def names(self) -> tuple[str, ...]:
        """Columns of `theta`."""
        return (*self.prior.names, "theta_jn")

    def from_normal(self, z: np.ndarray) -> np.ndarray:
        """Parameters (N, n) of normal scores (N, n)."""
        theta = np.column_stack([self.prior.from_normal(z[:, :-1]), np.arccos(1 - 2 * ndtr(z[:, -1]))])
        if self._precessing:
            mass_1, mass_2 = component_masses(theta[:, 0], theta[:, 1])
            for row, m_1, m_2 in zip(theta, mass_1, mass_2, strict=True):
                _, _, a_1, a_2, tilt_1, tilt_2, phi_12, azimuth, iota = row
                row[-1], row[-2] = angles_of_momentum(iota, a_1, a_2, tilt_1, tilt_2, phi_12, azimuth, m_1, m_2, self.f_ref)
        return theta

    def to_normal(self, theta: np.ndarray) -> np.ndarray:
        """Inverse of `from_normal`, (N, n) to (N, n)."""
        own, inclination = theta[:, :-1].copy(), theta[:, -1].copy()
        if self._precessing:
            inclination, spin, _ = spins_in_orbit(PRECESSING.binaries(own), theta[:, -1], self.f_ref, 0.0)
            own[:, -1] = np.mod(np.arctan2(spin[:, 1], spin[:, 0]) - 0.5 * np.pi, 2 * np.pi)
        return np.column_stack([self.prior.to_normal(own), ndtri(0.5 * (1 - np.cos(inclination)))])

    def smooth(self, z: np.ndarray) -> np.ndarray:
        """Coordinates (N, n + 1): `smooth_coordinates`, the inclination against the plane and its side.

        A binary and the same one from behind are often nearly as likely: in one coordinate no quadratic form has both.
        """
        own = smooth_coordinates(self.prior.from_normal(z[:, :-1]))
        return np.column_stack([*own, np.abs(z[:, -1]), np.sign(z[:, -1])])


def smooth_coordinates(theta: np.ndarray) -> list[np.ndarray]:
    """What the inspiral's phase of binaries (N, n) depends on, and the spins' components in the plane, each (N,).

    The effective spin is nearly all that is measured of the spins along the orbit; in normal scores it is a curved surface.

    Parameters
    ----------
    theta : (N, 4) aligned, or (N, 8) precessing
    """
    q, spins = theta[:, 1], theta[:, 2:]
    along = [spins[:, 0], spins[:, 1]]
    plane: list[np.ndarray] = []
    if spins.shape[1] > len(along):
        a, tilt, azimuth = spins[:, :2], spins[:, 2:4], np.cumsum(spins[:, :3:-1], axis=1)
        along = list((a * np.cos(tilt)).T)
        x, y = (a * np.sin(tilt) * way(azimuth) for way in (np.cos, np.sin))
        plane = [c[:, 0] + sign * c[:, 1] * share for sign, share in ((1, q**2), (-1, 1.0)) for c in (x, y)]
    effective, difference = ((along[0] + sign * q * along[1]) / (1 + q) for sign in (1, -1))
    return [np.log(theta[:, 0]), q, effective, difference, *plane]


def proposed(prior: Prior, model: WaveformModel, f_ref: float) -> Prior | InclinedPrior:
    """The prior of what is proposed for a model's binaries: its parameters, and the inclination where that is not integrated.

    Parameters
    ----------
    prior : Prior
        of the model's parameters
    model : WaveformModel
    f_ref : float, Hz
        where spins belong to
    """
    return prior if model.quadrupole_only else InclinedPrior(prior, f_ref)
