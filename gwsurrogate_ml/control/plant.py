"""A suspended mirror under radiation pressure: one angle, its torques and noises, and the cost, as a discrete linear system.

Laser light on a mirror adds a torque that grows with the angle (Sidles and Sigg 2006, Phys. Lett. A 354, 167): the stiffness
``f0^2 - k P`` of the soft mode falls with the power P and is negative at the nominal one, where the mirror has a growing and a
decaying mode at about 1 Hz. Angles are in nrad, torques in nrad too: the angle to which they turn a mirror with a 1 Hz pendulum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field, field_validator, model_validator
from scipy.linalg import expm
from scipy.signal import butter

from gwsurrogate_ml.arguments import finite
from gwsurrogate_ml.control.noise import NoiseModel, StateSpace, cascade, fit_noise, read_asd, respond
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.settings import Strict, read

FLOOR = 1e-2
"""White share of a coloured sensing noise, in amplitude at half the sampling frequency: the filter needs one."""

SLOWEST = 0.128
"""Rate of decay (1/s) below which the cost of a loop is refused: nearer to none Lyapunov's equation loses its digits."""


class Suspension(Strict):
    """The mirror, its noises and what it costs to let it turn.

    The cost is ``<theta^2> below cost_band + noise_weight <u^2> in noise_band + torque_weight <u^2>`` with theta in nrad and the
    torque u in nrad; frequencies are in Hz, spectral densities in nrad / sqrt(Hz). The noises are models, or names of text files
    of two columns that models are fitted to (`fit_noise`: three poles for the torque, a pole and a zero for the read-out).
    """

    sampling_frequency: float = Field(256.0, ge=128, le=4096)
    pendulum_frequency: float = Field(0.6, gt=0)
    damping: float = Field(0.024, ge=0)
    power_stiffness: float = Field(1.36, ge=0)  # Hz^2 at nominal power: the soft mode has -1 Hz^2
    seismic: NoiseModel = NoiseModel(level=43.4, poles=(0.4, 2.0, 2.0))
    sensing: NoiseModel = NoiseModel(level=0.05)
    cost_band: float = Field(5.0, gt=0)
    noise_band: tuple[float, float] = (10.0, 30.0)
    noise_weight: float = Field(1e-3, ge=0)
    torque_weight: float = Field(3e-5, gt=0)

    @field_validator("seismic", mode="before")
    @classmethod
    def _seismic(cls, given: Any) -> Any:
        return fit_noise(*read_asd(given)) if isinstance(given, str | Path) else given

    @field_validator("sensing", mode="before")
    @classmethod
    def _sensing(cls, given: Any) -> Any:
        return fit_noise(*read_asd(given), n_poles=1, n_zeros=1) if isinstance(given, str | Path) else given

    @model_validator(mode="after")
    def _bands(self) -> Self:
        half = self.sampling_frequency / 2
        if not (self.cost_band < half and 0 < self.noise_band[0] < self.noise_band[1] < half):
            raise ValueError(f"cost_band and noise_band must rise and stay below half the sampling frequency, {half:.4g} Hz")
        return self


@dataclass(frozen=True, eq=False)
class Plant:
    """x' = a x + b u + g w, measured y = c x + r v, costly z = cz x + dz u; w and v white, of unit variance, w of two parts.

    The torque u is held for a sample and acts one sample after it was commanded. States: angle (nrad), its rate (nrad/s), those
    of the seismic filter, the held torque, those of the sensing filter and of the two filters of the cost.

    Attributes
    ----------
    suspension : Suspension
    power : float, of the nominal laser power
    a (n, n), b (n, 1), g (n, 2), c (1, n), r (1, 1), cz (3, n), dz (3, 1) : float64
    seismic : slice of the states of the seismic filter
    held : int, the state that holds the torque
    """

    suspension: Suspension
    power: float
    a: np.ndarray
    b: np.ndarray
    g: np.ndarray
    c: np.ndarray
    r: np.ndarray
    cz: np.ndarray
    dz: np.ndarray
    seismic: slice
    held: int

    @property
    def n(self) -> int:
        """Number of states."""
        return len(self.a)

    @property
    def rate(self) -> float:
        """Sampling frequency, Hz."""
        return self.suspension.sampling_frequency

    @cached_property
    def unstable(self) -> tuple[float, np.ndarray] | None:
        """The growing mode, None where the mirror has none: its eigenvalue above 1, and its left eigenvector (n,), of unit angle.

        ``l x`` grows by the eigenvalue a sample whatever the other states do; torques within +-limit can hold it only while
        ``|l x| < |l b| limit / (value - 1)``.
        """
        values, vectors = np.linalg.eig(self.a.T)
        k = int(np.argmax(np.abs(values)))
        if values[k].imag or values[k].real <= 1 + 1e-9:
            return None
        left = vectors[:, k].real
        return float(values[k].real), left / left[0]

    @property
    def largest_radius(self) -> float:
        """Spectral radius of a loop beyond which its cost is refused: 7.8 s of memory, whatever the sampling frequency."""
        return float(np.exp(-SLOWEST / self.rate))

    @cached_property
    def response(self) -> tuple[np.ndarray, np.ndarray]:
        """Frequencies (Hz) up to half the sampling one, and the complex gain from torque to measured angle there."""
        frequency = np.geomspace(1e-4, 0.499, 300) * self.rate
        return frequency, respond(StateSpace(self.a, self.b, self.c, np.zeros((1, 1))), frequency / self.rate)


def mirror_step(suspension: Suspension, power: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Transition (..., 2, 2) of angle and rate over one sample, and what a held torque of 1 nrad adds (..., 2), at `power`.

    Examples
    --------
    >>> phi, _ = mirror_step(Suspension(), 1.0)
    >>> (np.log(np.linalg.eigvals(phi).real) * 256 / (2 * np.pi)).round(3).tolist()  # Hz
    [0.988, -1.012]
    """
    turn = 2 * np.pi
    generator = np.zeros((*np.shape(power), 3, 3))
    generator[..., 0, 1] = 1
    generator[..., 1, 0] = -(turn**2) * (suspension.pendulum_frequency**2 - suspension.power_stiffness * np.asarray(power))
    generator[..., 1, 1] = -turn * suspension.damping
    generator[..., 1, 2] = turn**2
    step = expm(generator / suspension.sampling_frequency)
    return step[..., :2, :2], step[..., :2, 2]


def make_plant(suspension: Suspension | Mapping[str, Any] | str | Path | None = None, power: float = 1.0) -> Plant:
    """The discrete plant of a suspension at a laser power.

    Parameters
    ----------
    suspension : Suspension, a mapping of its fields, or a TOML or JSON file; the default one if left out
    power : float, of the nominal laser power

    Raises
    ------
    ConfigError
        unknown fields, impossible values, a file of noise that cannot be read or fitted, a power that is negative or no number

    Examples
    --------
    >>> make_plant().n
    14
    """
    suspension = read(Suspension, {} if suspension is None else suspension)
    power = finite(power, "power", "units of the nominal one")
    if power < 0:
        raise ConfigError(f"power is {power}: give the laser power in units of the nominal one, 0 or above")
    rate = suspension.sampling_frequency
    phi, push = mirror_step(suspension, power)
    shake = suspension.seismic.shaping(rate)
    read_out = suspension.sensing.shaping(rate)
    low = cascade(*butter(4, suspension.cost_band, fs=rate, output="zpk"))
    band = cascade(*butter(2, suspension.noise_band, "bandpass", fs=rate, output="zpk"))
    coloured = len(read_out.a) > 0
    sizes = [2, len(shake.a), 1, len(read_out.a) + coloured, len(low.a), len(band.a)]
    ends = np.cumsum([0, *sizes])
    m, s, h, o, lo, ba = (slice(*pair) for pair in pairwise(ends))
    n = int(ends[-1])
    a, b, g, c = np.zeros((n, n)), np.zeros((n, 1)), np.zeros((n, 2)), np.zeros((1, n))
    a[m, m], a[m, s], a[m, h], g[m, 0] = phi, np.outer(push, shake.c[0]), push[:, None], push * shake.d[0, 0]
    a[s, s], g[s, 0] = shake.a, shake.b[:, 0]
    b[h] = 1
    c[0, 0] = 1
    r = read_out.d
    if coloured:  # the last of its states is the noise itself, a sample later, which leaves its spectrum as it is
        inner, last = slice(o.start, o.stop - 1), o.stop - 1
        a[inner, inner], g[inner, 1], a[last, inner], g[last, 1] = read_out.a, read_out.b[:, 0], read_out.c[0], read_out.d[0, 0]
        c[0, last] = 1
        r = np.array([[FLOOR * float(suspension.sensing.asd(np.array(rate / 2))) * np.sqrt(rate / 2)]])
    a[lo, 0], a[lo, lo] = low.b[:, 0], low.a
    a[ba, ba], b[ba] = band.a, band.b
    cz, dz = np.zeros((3, n)), np.zeros((3, 1))
    weights = np.sqrt([suspension.noise_weight, suspension.torque_weight])
    cz[0, 0], cz[0, lo] = low.d[0, 0], low.c[0]
    cz[1, ba], dz[1, 0] = weights[0] * band.c[0], weights[0] * band.d[0, 0]
    dz[2, 0] = weights[1]
    return Plant(suspension, power, a, b, g, c, r, cz, dz, s, int(ends[2]))
