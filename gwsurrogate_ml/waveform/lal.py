"""Any frequency-domain approximant of LALSimulation as a waveform model, named "lal:APPROXIMANT" wherever a model is named."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from gwsurrogate_ml.binaries import ALIGNED, PRECESSING, Binaries
from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.waveform.model import Grid, WaveformModel, require_places

MOST = 6
"""Highest order in the orbital phase that is looked for."""
NEGLIGIBLE = 1e-9
"""Share of the power below which an order is rounding and interpolation."""


def require_approximant(name: str) -> int:
    """LALSimulation's number of an approximant.

    Raises
    ------
    ConfigError
        for a name LALSimulation does not know
    """
    import lalsimulation

    try:
        return int(lalsimulation.GetApproximantFromString(name))
    except RuntimeError as error:
        raise ConfigError(f"LALSimulation knows no approximant {name!r}") from error


OPPOSITE = 1e-5
"""Radians: spins this close to opposite azimuths are moved by it: at exactly opposite ones IMRPhenomXPHM jumps with the phase."""


def spins_in_orbit(
    binaries: Binaries, theta_jn: np.ndarray, f_ref: float, phase: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inclinations and spins of N binaries as LALSimulation takes them at `f_ref` (Hz); `theta_jn`, `phase` (N,) in rad.

    Returns
    -------
    iota : (N,) float64, rad
        angle between orbital angular momentum and line of sight
    spin_1, spin_2 : (N, 3) float64, dimensionless
        z along the orbital angular momentum, x from the lighter to the heavier body
    """
    b = binaries
    (x_1, y_1, z_1), (x_2, y_2, z_2) = b.spin_1.T, b.spin_2.T
    phi_12 = np.arctan2(y_2, x_2) - np.arctan2(y_1, x_1)
    spins = (np.hypot(x_1, y_1), z_1), (np.hypot(x_2, y_2), z_2)
    return _towards_observer(b.mass_1, b.mass_2, *spins, phi_12, b.phi_jl, theta_jn, f_ref, phase)


def spins_of_angles(
    mass_1: float,
    mass_2: float,
    a_1: float,
    a_2: float,
    tilt_1: float,
    tilt_2: float,
    phi_12: float,
    phi_jl: float,
    theta_jn: float,
    f_ref: float,
    phase: float,
) -> tuple[float, np.ndarray, np.ndarray]:
    """`spins_in_orbit` of one binary by bilby's names, masses in solar masses."""
    both = (a_1 * math.sin(tilt_1), a_1 * math.cos(tilt_1)), (a_2 * math.sin(tilt_2), a_2 * math.cos(tilt_2))
    iota, spin_1, spin_2 = _towards_observer(mass_1, mass_2, *both, phi_12, phi_jl, theta_jn, f_ref, phase)
    return float(iota), spin_1, spin_2


def _towards_observer(
    mass_1: Any, mass_2: Any, spin_1: Any, spin_2: Any, phi_12: Any, phi_jl: Any, theta_jn: Any, f_ref: float, phase: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of numbers or arrays; spins by their parts in the orbital plane and along its axis.

    What LALSimulation's SimInspiralTransformPrecessingNewInitialConditions does, by components along the axis of the orbit,
    along the total angular momentum's part in the plane, and across: the orbit's is post-Newtonian to second order.
    """
    (flat_1, along_1), (flat_2, along_2) = spin_1, spin_2
    phi_12 = phi_12 + np.where(np.abs(phi_12 % (2 * np.pi) - np.pi) < OPPOSITE, OPPOSITE, 0.0)
    squared = (mass_1 * MTSUN_SI) ** 2, (mass_2 * MTSUN_SI) ** 2
    eta = mass_1 * mass_2 / (mass_1 + mass_2) ** 2
    v = np.cbrt(np.pi * f_ref * MTSUN_SI * (mass_1 + mass_2))
    orbit = MTSUN_SI**2 * mass_1 * mass_2 / v * (1.0 + v**2 * (1.5 + eta / 6))
    # Azimuths are counted from the first spin's.
    x = squared[0] * flat_1 + squared[1] * flat_2 * np.cos(phi_12)
    y = squared[1] * flat_2 * np.sin(phi_12)
    z = orbit + squared[0] * along_1 + squared[1] * along_2
    across, total = np.hypot(x, y), np.sqrt(x**2 + y**2 + z**2)
    sine, cosine = across / total, z / total
    up = np.cos(theta_jn) * cosine + np.sin(theta_jn) * np.sin(phi_jl) * sine
    outwards = np.cos(theta_jn) * sine - np.sin(theta_jn) * np.sin(phi_jl) * cosine
    sideways = -np.sin(theta_jn) * np.cos(phi_jl)
    azimuth = 0.5 * np.pi - phase - np.arctan2(y, x) - np.arctan2(sideways, outwards)
    aligned = (flat_1 == 0.0) & (flat_2 == 0.0)
    iota = np.where(aligned, theta_jn, np.arctan2(np.hypot(outwards, sideways), up))
    both = [
        np.stack(np.broadcast_arrays(flat * np.cos(angle), flat * np.sin(angle), along), -1)
        for flat, along, angle in ((flat_1, along_1, azimuth), (flat_2, along_2, azimuth + phi_12))
    ]
    return iota, both[0], both[1]


def angles_of_momentum(
    iota: float,
    a_1: float,
    a_2: float,
    tilt_1: float,
    tilt_2: float,
    phi_12: float,
    azimuth: float,
    mass_1: float,
    mass_2: float,
    f_ref: float,
) -> tuple[float, float]:
    """theta_jn and phi_jl (rad) of one binary: what `spins_in_orbit` undoes.

    Parameters
    ----------
    iota : float, rad
        angle between orbital angular momentum and line of sight
    a_1, a_2, tilt_1, tilt_2, phi_12 : float
        of the spins
    azimuth : float, rad
        of the first spin about the orbital angular momentum, from where the line of sight is
    mass_1, mass_2 : float, solar masses; f_ref : float, Hz
    """
    from lalsimulation import SimInspiralTransformPrecessingWvf2PE

    first, second = 0.5 * np.pi + azimuth, 0.5 * np.pi + azimuth + phi_12
    spins = [
        part
        for a, tilt, phi in ((a_1, tilt_1, first), (a_2, tilt_2, second))
        for part in (a * np.sin(tilt) * np.cos(phi), a * np.sin(tilt) * np.sin(phi), a * np.cos(tilt))
    ]
    theta_jn, phi_jl, *_ = SimInspiralTransformPrecessingWvf2PE(iota, *spins, mass_1, mass_2, f_ref, 0.0)
    return float(theta_jn), float(phi_jl) % (2 * np.pi)


class LalModel(WaveformModel):
    """Waveforms of a LAL frequency-domain approximant: aligned or precessing, (2,2) alone or with all its modes, as LAL has it.

    Which orders in the orbital phase it has is found out from a waveform at several phases; spins belong to `f_min` of the grid.
    `modes` names each order by its lowest l alone: (2,2) stands for (3,2) too where LAL has it.

    Parameters
    ----------
    approximant : str
        e.g. "IMRPhenomXAS" (aligned, (2,2)), "IMRPhenomXHM" (aligned, all modes), "IMRPhenomXPHM" (precessing, all modes)

    Raises
    ------
    ConfigError
        for a name LALSimulation does not know, or one it cannot make in the frequency domain
    """

    def __init__(self, approximant: str = "IMRPhenomD") -> None:
        import lalsimulation

        self.approximant, self.name = approximant, f"lal:{approximant}"
        self._number = require_approximant(approximant)
        precessing = lalsimulation.SimInspiralGetSpinSupportFromApproximant(self._number)
        self.space = PRECESSING if precessing >= lalsimulation.SIM_INSPIRAL_PRECESSINGSPIN else ALIGNED
        spin = {
            "a_1": 0.5,
            "a_2": 0.3,
            "tilt_1": 0.8,
            "tilt_2": 1.9,
            "phi_12": 1.0,
            "phi_jl": 0.4,
            "chi_1": 0.2,
            "chi_2": 0.1,
        }
        theta = self.space.theta({"chirp_mass": 15.0, "mass_ratio": 0.4, **spin})
        binary = self.space.binaries(theta)
        try:
            # On the frequencies of a short segment: what depends on the phase does so on all.
            by_phase = self._by_phase(binary, Grid(0.25, 1024.0, 20.0), np.array([1.0]), 2 * MOST)[0]
        except RuntimeError as error:
            raise ConfigError(
                f"LALSimulation cannot make {approximant} in the frequency domain here ({error}): name another, such "
                "as IMRPhenomXAS"
            ) from error
        power = np.sum(np.abs(by_phase) ** 2, axis=(1, 2))
        found = np.flatnonzero(power > NEGLIGIBLE * power.sum())
        self._orders = np.where(found > MOST, found - 2 * MOST, found)
        if 2 not in self._orders:
            raise ConfigError(
                f"{approximant} has the orders {self._orders.tolist()} of the orbital phase, and m = 2 is not among them"
            )
        self.modes = tuple((max(2, int(m)), int(m)) for m in self._orders if m > 0)

    @property
    def quadrupole_only(self) -> bool:
        """Whether (2, +-2) of aligned spins is all there is."""
        return self.space == ALIGNED and self._orders.tolist() == [2]

    def _both(self, binary: Binaries, grid: Grid, theta_jn: float, phase: float) -> np.ndarray:
        """h_plus and h_cross (2, n_f) of one binary at 1 Mpc."""
        import lal
        import lalsimulation

        (m_1,), (m_2,) = binary.mass_1, binary.mass_2
        (iota,), (spin_1,), (spin_2,) = spins_in_orbit(binary, np.array([theta_jn]), grid.f_min, phase)
        out = np.zeros((2, grid.n_f), dtype=np.complex128)
        both = lalsimulation.SimInspiralChooseFDWaveform(
            m_1 * lal.MSUN_SI, m_2 * lal.MSUN_SI, *spin_1, *spin_2, 1e6 * lal.PC_SI, iota, phase, 0.0, 0.0, 0.0,
            1 / grid.duration, grid.f_min, grid.sampling_frequency / 2, grid.f_min, None, self._number,
        )  # fmt: skip
        for row, series in zip(out, both, strict=True):
            data = series.data.data[: grid.n_f]
            row[: data.size] = data
        return out

    def _by_phase(self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, n: int) -> np.ndarray:
        """Orders 0 to n - 1 of the orbital phase, modulo n: (N, n, 2, n_f)."""
        phases = 2 * np.pi * np.arange(n) / n
        rows = [[self._both(binaries[i : i + 1], grid, float(theta_jn[i]), float(p)) for p in phases] for i in range(len(binaries))]
        return np.fft.fft(np.array(rows).reshape(len(binaries), n, 2, grid.n_f), axis=1) / n

    @contextmanager
    def _refusing(self, one: Binaries, grid: Grid) -> Iterator[Binaries]:
        """The binary, whose waveform is asked for inside; DomainError where LAL has none."""
        try:
            yield one
        except RuntimeError as error:
            m_1, m_2 = float(one.mass_1[0]), float(one.mass_2[0])
            raise DomainError(
                f"{self.approximant} has no waveform from f_min = {grid.f_min:g} Hz for masses {m_1:g} and {m_2:g}, spins "
                f"{np.round(one.spin_1[0], 3).tolist()} and {np.round(one.spin_2[0], 3).tolist()} (LAL: {error}): narrow the "
                "prior, lower f_min, or take another approximant"
            ) from error

    def orders(self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `WaveformModel.orders`: a discrete Fourier transform over as many phases as there are orders up to the highest.

        Raises
        ------
        DomainError
            a binary that LAL has no waveform for
        """
        self._check(binaries)
        low, high = int(min(self._orders.min(), 0)), int(self._orders.max())
        out = np.empty((len(binaries), len(self._orders), 2, grid.n_f), dtype=np.complex128)
        for i, row in enumerate(out):
            with self._refusing(binaries[i : i + 1], grid) as one:
                row[:] = self._by_phase(one, grid, theta_jn[i : i + 1], high - low + 1)[0, self._orders % (high - low + 1)]
        return self._orders, out

    def quadrupole(self, binaries: Binaries, grid: Grid) -> np.ndarray:
        """See `WaveformModel.quadrupole`, with the spins' components along the orbit: face-on, m = 2 is then all there is."""
        self._check(binaries)
        along = binaries.along_orbit
        out = np.empty((len(binaries), grid.n_f), dtype=np.complex128)
        for i, row in enumerate(out):
            with self._refusing(along[i : i + 1], grid) as one:
                row[:] = self._both(one, grid, 0.0, 0.0)[0]
        return out

    def transforms(
        self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, phase: np.ndarray, luminosity_distance: np.ndarray
    ) -> np.ndarray:
        """See `WaveformModel.transforms`: one call of LAL a binary."""
        require_places(len(binaries), theta_jn, phase, luminosity_distance)
        self._check(binaries)
        out = np.empty((len(binaries), 2, grid.n_f), dtype=np.complex128)
        for i, row in enumerate(out):
            with self._refusing(binaries[i : i + 1], grid) as one:
                row[:] = self._both(one, grid, float(theta_jn[i]), float(phase[i])) / luminosity_distance[i]
        return out

    def _check(self, binaries: Binaries) -> None:
        if self.space == ALIGNED:
            binaries.aligned_columns(self.name)

    def __reduce__(self) -> Any:
        return LalModel, (self.approximant,)
