"""A container of spin-weighted spherical-harmonic modes: times in M and complex r h / M, in the package's conventions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.errors import ConfigError


@dataclass(frozen=True, repr=False)
class Modes:
    """Modes of one waveform.

    Attributes
    ----------
    t : (n,) float64
        times in units of the total mass M, 0 at the peak
    data : dict of (l, m) to (n,) complex128
        r h_lm / M; where m >= 0 alone is stored, negative m follow from reflection symmetry when asked for

    Examples
    --------
    >>> modes = Modes(np.array([0.0]), {(2, 2): np.array([1j])})
    >>> modes[2, -2]
    array([0.-1.j])
    """

    t: np.ndarray
    data: dict[ModeKey, np.ndarray]

    def __getitem__(self, key: ModeKey) -> np.ndarray:
        """h_lm; where m < 0 is not stored, by h_{l,-m} = (-1)^l conj(h_lm), which holds for spins along the orbit."""
        try:
            l, m = key
            known = (l, abs(m)) in self.data
        except (TypeError, ValueError):
            raise ConfigError(f"{key!r} is no mode: give a pair (l, m), as in modes[2, 2]") from None
        if not known:
            raise ConfigError(f"no mode {key}: this waveform has {sorted(self.data)} and their negative m")
        if (l, m) in self.data:
            return self.data[l, m]
        h = self.data[l, abs(m)]
        return (-1) ** l * np.conj(h)

    def __repr__(self) -> str:
        listed = ", ".join(f"({l},{m})" for l, m in self.data)
        return (
            f"Modes({len(self.t)} times from {self.t[0]:g} to {self.t[-1]:g} M; {listed})"
            if len(self.t)
            else f"Modes(no times; {listed})"
        )

    def __iter__(self) -> Iterator[ModeKey]:
        """The stored keys."""
        return iter(self.data)

    def amplitude(self, key: ModeKey) -> np.ndarray:
        """|h_lm|, (n,) float64."""
        return np.abs(self[key])

    def phase(self, key: ModeKey) -> np.ndarray:
        """Unwrapped phase that grows with time: -arg h_lm, (n,) float64 in radians."""
        return -np.unwrap(np.angle(self[key]))
