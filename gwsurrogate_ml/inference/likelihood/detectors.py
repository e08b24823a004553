"""Where detectors see a signal from: antenna patterns, delays and the sky as rings around the first two's baseline.

Directions are unit vectors in the Earth-fixed frame (bilby's: x through Greenwich, z through the north pole), so that
nothing here depends on the time of day; right ascension enters only by `right_ascension`, with Greenwich mean
sidereal time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.conventions import C_SI


@dataclass(frozen=True)
class DetectorNetwork:
    """Tensors and places of detectors.

    Parameters
    ----------
    names : tuple of str
    tensors : (n_det, 3, 3) float64, dimensionless response tensors
    vertices : (n_det, 3) float64, m, from the geocentre
    """

    names: tuple[str, ...]
    tensors: np.ndarray
    vertices: np.ndarray

    @classmethod
    def of(cls, names: tuple[str, ...]) -> DetectorNetwork:
        """The network of bilby's detectors by name.

        Examples
        --------
        >>> round(1e3 * DetectorNetwork.of(("H1", "L1")).light_travel_time, 1)
        10.0
        """
        from gwsurrogate_ml.strain.detectors import site

        tensors, vertices = zip(*(site(name) for name in names), strict=True)
        return cls(tuple(names), np.array(tensors), np.array(vertices))

    @property
    def baseline(self) -> np.ndarray:
        """Vector to the first detector from the second, from the geocentre where there is no second, in light-seconds, (3,)."""
        return (self.vertices[0] - (self.vertices[1] if len(self.vertices) > 1 else 0.0)) / C_SI

    @property
    def light_travel_time(self) -> float:
        """Seconds light takes along the `baseline`."""
        return float(np.linalg.norm(self.baseline))

    @property
    def longest_travel_time(self) -> float:
        """Seconds light takes between the two detectors farthest apart; along the `baseline` of one alone.

        Examples
        --------
        >>> round(1e3 * DetectorNetwork.of(("H1", "L1", "V1")).longest_travel_time, 1)
        27.3
        """
        apart = self.vertices[:, None] - self.vertices[None]
        return max(float(np.linalg.norm(apart, axis=-1).max() / C_SI), self.light_travel_time)

    def delays(self, direction: np.ndarray) -> np.ndarray:
        """Arrival after the geocentre in s: unit vectors (N, 3) towards the source to (N, n_det)."""
        return -direction @ self.vertices.T / C_SI

    def patterns(self, direction: np.ndarray, psi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """F_plus and F_cross, each (N, n_det), for unit vectors (N, 3) towards the source and polarisation angles
        (N,).
        """
        horizontal = np.maximum(np.hypot(direction[:, 0], direction[:, 1]), 1e-300)
        cos_phi, sin_phi = direction[:, 0] / horizontal, direction[:, 1] / horizontal
        cos_theta, sin_theta = direction[:, 2], horizontal
        u = np.stack([cos_phi * cos_theta, sin_phi * cos_theta, -sin_theta], axis=1)
        v = np.stack([-sin_phi, cos_phi, np.zeros_like(cos_phi)], axis=1)
        sin_psi, cos_psi = np.sin(psi)[:, None], np.cos(psi)[:, None]
        m, n = -u * sin_psi - v * cos_psi, -u * cos_psi + v * sin_psi
        contract = [np.einsum("dnj,nj->nd", a @ self.tensors, b) for a, b in ((m, m), (n, n), (m, n))]
        return contract[0] - contract[1], 2 * contract[2]

    def ring_direction(self, delay: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
        """Unit vectors (N, 3) towards sources that reach the first detector `delay` s after the other end of the `baseline`, at
        `azimuth` (rad).

        Isotropic directions have `delay` uniform in +-`light_travel_time` and `azimuth` uniform, independently.
        """
        axis, first, second = self._ring
        cos_alpha = np.clip(-delay / self.light_travel_time, -1.0, 1.0)
        sin_alpha = np.sqrt(1 - cos_alpha**2)
        return (
            cos_alpha[:, None] * axis
            + (sin_alpha * np.cos(azimuth))[:, None] * first
            + (sin_alpha * np.sin(azimuth))[:, None] * second
        )

    def ring_azimuth(self, direction: np.ndarray) -> np.ndarray:
        """Azimuths (N,) in [0, 2 pi) of unit vectors (N, 3), as `ring_direction` takes them."""
        _, first, second = self._ring
        return np.mod(np.arctan2(direction @ second, direction @ first), 2 * np.pi)

    @property
    def _ring(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit vectors along the baseline and across it."""
        axis = self.baseline / self.light_travel_time
        first = np.cross(axis, np.array([0.0, 0.0, 1.0]))
        first /= np.linalg.norm(first)
        return axis, first, np.cross(axis, first)


def amplitudes(f_plus: np.ndarray, f_cross: np.ndarray, cos_theta_jn: np.ndarray) -> np.ndarray:
    """Complex factors A of a (2,2) signal: detector strain is ``A exp(2i phase) h(f) / distance`` at positive
    frequencies.

    With h = h+ - i hx (`conventions`): ``h+ = (1 + c^2)/2 h`` and ``hx = -i c h`` where `h` is the face-on h+, c =
    cos(theta_jn).

    Parameters
    ----------
    f_plus, f_cross : (N, n_det)
    cos_theta_jn : (N,)

    Returns
    -------
    (N, n_det) complex128
    """
    c = np.asarray(cos_theta_jn)[:, None]
    return f_plus * (1 + c**2) / 2 - 1j * f_cross * c


def sidereal_time(gps: np.ndarray) -> np.ndarray:
    """Greenwich mean sidereal time in [0, 2 pi), linear between its values at the ends of the range of `gps` (s).

    Over the fraction of a second an event's draws span, the rotation is linear to far below a nanoradian.
    """
    from bilby_cython.time import greenwich_mean_sidereal_time

    gps = np.atleast_1d(np.asarray(gps, dtype=np.float64))
    low, high = float(gps.min()), float(gps.max())
    at_low = greenwich_mean_sidereal_time(low)
    rate = (greenwich_mean_sidereal_time(low + 1.0) - at_low) if high > low else 0.0
    if high - low > 60.0:
        values = np.array([greenwich_mean_sidereal_time(float(t)) for t in gps])
    else:
        values = at_low + rate * (gps - low)
    return np.mod(values, 2 * np.pi)


def sky_angles(direction: np.ndarray, gps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Right ascension in [0, 2 pi) and declination (rad) of Earth-fixed unit vectors (N, 3) at GPS times (N,)."""
    ra = np.mod(np.arctan2(direction[:, 1], direction[:, 0]) + sidereal_time(gps), 2 * np.pi)
    return ra, np.arcsin(np.clip(direction[:, 2], -1, 1))


def earth_direction(ra: np.ndarray, dec: np.ndarray, gps: np.ndarray) -> np.ndarray:
    """Earth-fixed unit vectors (N, 3) towards sky positions (rad) at GPS times (N,); inverse of `sky_angles`."""
    phi = np.asarray(ra) - sidereal_time(gps)
    dec = np.asarray(dec)
    return np.stack([np.cos(dec) * np.cos(phi), np.cos(dec) * np.sin(phi), np.sin(dec)], axis=-1)
