"""Spin vectors: as users give them, and turned about the orbital angular momentum."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DomainError

AZIMUTHS = 16
"""Of the mean frequency."""


def length(spin: np.ndarray) -> float:
    """Magnitude of a spin, without the rounding of its components: 0.9 stays within a limit of 0.9."""
    return round(float(np.linalg.norm(spin)), 9)


def vector(name: str, value: Any) -> np.ndarray:
    """A spin vector (3,), checked."""
    try:
        spin = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} is {value!r}: give three components, dimensionless") from None
    if spin.shape != (3,):
        raise ConfigError(f"{name} has shape {spin.shape}: give three components (x, y, z), dimensionless")
    if not np.isfinite(spin).all():
        raise DomainError(f"{name} has components that are not finite: check the values passed")
    return spin


def along_axis(spins: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Components along z of vectors (3,) or (N, 3); numbers or arrays of `shape`, the mass ratio's, are such components."""
    given = np.asarray(spins, dtype=np.float64)
    return given[..., 2] if given.shape[-1:] == (3,) and given.shape != shape else given


def from_turned_frame(spin: np.ndarray, phase: float) -> np.ndarray:
    """A spin (3,) in a frame that is turned by `phase` about z."""
    c, s = math.cos(phase), math.sin(phase)
    return np.array([c * spin[0] + s * spin[1], c * spin[1] - s * spin[0], spin[2]])
