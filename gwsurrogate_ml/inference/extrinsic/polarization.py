"""Polarisation angle and inclination from the complex amplitudes that a signal has in the detectors.

What detectors see of a direction spans two complex amplitudes; up to scale and phase these are a point on a sphere. So is a
polarisation state (Poincare's sphere), and that of a (2,2) signal determines psi and theta_jn one to one: with g = (plus, cross)
at psi = 0 the circular parts are

    g_plus + i g_cross = (1 + c)^2 / 2 exp(2i psi),    g_plus - i g_cross = (1 - c)^2 / 2 exp(-2i psi),    c = cos(theta_jn)

The antenna patterns, a real matrix, map one sphere onto the other. The likelihood of amplitudes is a von Mises-Fisher
distribution about the measured ones: log L = rho^2 / 4 cos(angle) + constant, rho their network signal-to-noise ratio. Drawing
there and mapping back gives orientations that fit the data however loud they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LEAST = 1e-3
"""Concentration below which a distribution is as good as uniform."""


def _on_sphere(a: np.ndarray) -> np.ndarray:
    """Unit vectors (n, 3) of pairs of complex amplitudes (n, 2), equal for all multiples of a pair; any for zero."""
    cross = np.conj(a[:, 0]) * a[:, 1]
    first, second = np.abs(a[:, 0]) ** 2, np.abs(a[:, 1]) ** 2
    vector = np.stack([2 * cross.real, 2 * cross.imag, first - second], axis=1)
    dark = first + second < 1e-280
    vector[dark] = 0.0, 0.0, 1.0
    return vector / np.where(dark, 1.0, first + second)[:, None]


@dataclass(frozen=True)
class Cap:
    """Von Mises-Fisher distributions of the amplitudes that detectors see of given directions, one for each of n points.

    Parameters
    ----------
    patterns : (n, 2, 2)
        upper triangular: of plus and cross to an orthonormal pair of amplitudes
    pair : (n, n_det, 2)
        that pair, as combinations of the detectors'
    centre : (n, 3) unit vectors
    concentration : (n,)
    """

    patterns: np.ndarray
    pair: np.ndarray
    centre: np.ndarray
    concentration: np.ndarray

    @classmethod
    def around(cls, measured: np.ndarray, f_plus: np.ndarray, f_cross: np.ndarray, temper: float) -> Cap:
        """About matched-filter outputs, their likelihood raised to the power `temper`.

        Parameters
        ----------
        measured : (n, n_det) complex128 in units of signal-to-noise ratio
        f_plus, f_cross : (n, n_det)
            antenna patterns at psi = 0 times the norms of the waveform in the detectors
        """
        patterns, pair = np.zeros((len(measured), 2, 2)), np.empty((*f_plus.shape, 2))
        for j, column in enumerate((f_plus, f_cross)):
            rest = column.copy()
            for i in range(j):
                patterns[:, i, j] = np.sum(pair[:, :, i] * rest, axis=1)
                rest -= patterns[:, i, j, None] * pair[:, :, i]
            patterns[:, j, j] = np.maximum(np.linalg.norm(rest, axis=1), 1e-300)
            pair[:, :, j] = rest / patterns[:, j, j, None]
        seen = np.einsum("nd,ndj->nj", measured, pair)
        rho_squared = np.sum(np.abs(seen) ** 2, axis=1)
        return cls(patterns, pair, _on_sphere(seen), np.maximum(temper * rho_squared / 4, _LEAST))

    def draw(self, u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """psi in [0, pi/2) and cos(theta_jn), each (n,), from uniform numbers `u`, `v` (n,)."""
        k = self.concentration
        cosine = np.clip(1 + np.log(np.maximum(u + (1 - u) * np.exp(-2 * k), 1e-300)) / k, -1.0, 1.0)
        sine, turn = np.sqrt(1 - cosine**2), 2 * np.pi * v
        # Any two directions across the centre: the first along the axis it is least along.
        axis = np.eye(3)[np.argmin(np.abs(self.centre), axis=1)]
        first = np.cross(self.centre, axis)
        first /= np.linalg.norm(first, axis=1, keepdims=True)
        second = np.cross(self.centre, first)
        s = cosine[:, None] * self.centre
        s += (sine * np.cos(turn))[:, None] * first + (sine * np.sin(turn))[:, None] * second
        a_1, a_2 = np.sqrt(np.clip(1 + s[:, 2], 0, 2)), np.sqrt(np.clip(1 - s[:, 2], 0, 2))
        a_2 = a_2 * np.exp(1j * np.arctan2(s[:, 1], s[:, 0]))
        # The inverse of the patterns but for its determinant, which does not matter.
        plus = self.patterns[:, 1, 1] * a_1 - self.patterns[:, 0, 1] * a_2
        cross = self.patterns[:, 0, 0] * a_2
        right, left = plus + 1j * cross, plus - 1j * cross
        psi = np.mod(np.angle(right * np.conj(left)) / 4, np.pi / 2)
        r, l_ = np.sqrt(np.abs(right)), np.sqrt(np.abs(left))
        return psi, (r - l_) / np.maximum(r + l_, 1e-300)

    def log_density(self, amplitude: np.ndarray, cos_theta: np.ndarray) -> np.ndarray:
        """Log of the density of `draw` at orientations over that of the prior, which is uniform in psi and cos(theta_jn): (n,).

        Parameters
        ----------
        amplitude : (n, n_det) complex128
            amplitudes of the orientations, times the norms of the waveform
        cos_theta : (n,)
        """
        k = self.concentration
        seen = np.einsum("nd,ndj->nj", amplitude, self.pair)
        power = np.maximum(np.sum(np.abs(seen) ** 2, axis=1), 1e-300)
        determinant = self.patterns[:, 0, 0] * self.patterns[:, 1, 1]
        cosine = np.sum(_on_sphere(seen) * self.centre, axis=1)
        log_cap = np.log(k / (2 * np.pi)) - np.log1p(-np.exp(-2 * k)) + k * (cosine - 1)
        # Areas: det^2 |g|^4 / power^2 from sphere to sphere, and 4 ds/dc there, together (1 - c^2)^3.
        with np.errstate(divide="ignore"):
            return np.log(np.pi) + log_cap + 2 * np.log(determinant / power) + 3 * np.log1p(-(cos_theta**2))
