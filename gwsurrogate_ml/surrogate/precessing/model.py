"""The precessing surrogate as users see it: modes in geometric units, polarizations in physical ones by bilby's names."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gwsurrogate_ml.arguments import finite, positive
from gwsurrogate_ml.binaries import PRECESSING, Binaries
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI, ModeKey
from gwsurrogate_ml.errors import DomainError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.surrogate.aligned.physical import PhysicalModes
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.surrogate.precessing import compiled, rotation
from gwsurrogate_ml.surrogate.precessing import orders as by_order
from gwsurrogate_ml.surrogate.precessing.coorbital import MODES
from gwsurrogate_ml.surrogate.precessing.modes import SEEN, Evolved, PrecessingModes
from gwsurrogate_ml.surrogate.precessing.remnant import PrecessingRemnant, remnant
from gwsurrogate_ml.waveform.conditioning import start_taper
from gwsurrogate_ml.waveform.lal import spins_in_orbit
from gwsurrogate_ml.waveform.model import Grid, WaveformModel

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

    from gwsurrogate_ml.surrogate.aligned.uncertainty import ErrorEstimate
    from gwsurrogate_ml.waveform.modes import Modes

TOP = 5
"""Highest order in the orbital phase."""


class _Orbit(NamedTuple):
    """A binary as LAL takes it at a reference: masses (solar masses), angle between orbital angular momentum and line of sight
    (rad), spins (3,)."""

    mass_1: float
    mass_2: float
    inclination: float
    spin_1: Any
    spin_2: Any

    @classmethod
    def of(cls, binary: Binaries, theta_jn: float, f_ref: float, phase: float) -> _Orbit:
        """The first of some binaries by bilby's angles."""
        return cls(float(binary.mass_1[0]), float(binary.mass_2[0]), *spins_in_orbit(binary, theta_jn, f_ref, phase))


EARLY = -3900.0
"""M before which `orders` does not begin for the sake of the orders above m = 2: before it two passes are needed."""
ENOUGH = 3.5
"""Order of the orbital phase whose ringdown `orders` still samples."""


def _turned(spin: np.ndarray, phase: float) -> np.ndarray:
    """A spin (3,) in a frame that is turned by `phase` about z."""
    c, s = math.cos(phase), math.sin(phase)
    return np.array([c * spin[0] + s * spin[1], c * spin[1] - s * spin[0], spin[2]])


class _Seen(NamedTuple):
    """A binary and the direction it is seen from in the inertial frame; `begin`, the first `cycle` in M; M in s, `unit`."""

    evolved: Evolved
    theta: float
    phi: float
    begin: float
    cycle: float
    unit: float

    @property
    def highest(self) -> float:
        """Highest orbital frequency, rad/s."""
        return float(self.evolved.rates[:, 4].max()) / self.unit


class PrecessingSurrogate(WaveformModel):
    """A trained waveform model for binaries with any spins; see `PrecessingModes` for frames and reference times.

    Parameters
    ----------
    card : dict
        parameter ranges, training data, metrics: `info`
    tensors : dict of float64 arrays
    aligned : Surrogate
        the model of aligned spins that it contains

    Examples
    --------
    >>> from gwsurrogate_ml import load_surrogate
    >>> sur = load_surrogate("nrphm")
    >>> modes = sur(q=2.0, chi1=[0.3, 0.2, 0.1], chi2=[0, 0.4, -0.2], t_ref=-3900.0)
    >>> bool(abs(modes[2, 2]).max() > abs(modes[2, -1]).max() > 0.01)
    True
    """

    space = PRECESSING
    has_samples = True
    modes: tuple[ModeKey, ...] = tuple((l, m) for l, m in SEEN if m > 0)

    def __init__(self, card: dict[str, Any], tensors: dict[str, np.ndarray], aligned: Surrogate) -> None:
        self.mode_model, self.info = PrecessingModes(card, tensors, aligned.mode_model), card
        self.aligned = aligned
        self.t_min, self.t_max = self.mode_model.t_min, self.mode_model.t_max
        self.name = str(card["name"])
        ranges = card["ranges"]
        self.limits = {
            "mass_ratio": (1.0 / float(ranges["q"]["hard_max"]), 1.0),
            "a_1": (0.0, float(ranges["chi1"]["hard_max"])),
            "a_2": (0.0, float(ranges["chi2"]["hard_max"])),
        }
        self._orders = np.array([m for _, m in MODES])
        self._terms = rotation.harmonic_terms(MODES)

    @property
    def identity(self) -> dict[str, Any]:
        """Name, version and checksum of the weights."""
        own = {"name": self.name, "version": self.info.get("version"), "weights_sha256": self.info.get("weights_sha256")}
        return own | {"aligned_weights_sha256": self.aligned.info.get("weights_sha256")}

    def total_mass_range(self, q: Any, chi1: Any, chi2: Any, f_min: float) -> tuple[np.ndarray, np.ndarray]:
        """That of the aligned model with the spins' components along the orbit, and the cycle that is tapered."""
        smallest, largest = self.aligned.total_mass_range(q, chi1, chi2, f_min)
        return 1.02 * smallest, largest

    def time_before_peak(self, *, mass_1: float, mass_2: float, chi_1: float, chi_2: float, f_min: float) -> float:
        """That of the aligned model, and the cycle that is tapered."""
        binary = {"mass_1": mass_1, "mass_2": mass_2, "chi_1": chi_1, "chi_2": chi_2}
        return self.aligned.time_before_peak(**binary, f_min=f_min) + 1.0 / f_min

    def ringdown(self, total_mass: float) -> float:
        """Seconds from the peak to the end of a waveform of `total_mass` (solar masses, detector frame)."""
        return self.t_max * total_mass * MTSUN_SI

    def __call__(self, q: float, chi1: Any, chi2: Any, t_ref: float | None = None, **rest: Any) -> Modes:
        """Modes of one binary in the inertial frame, r h / M in geometric units: `PrecessingModes`."""
        return self.mode_model(q, chi1, chi2, t_ref, **rest)

    def error_estimate(self, q: float, chi1: Any, chi2: Any, **unknown: object) -> ErrorEstimate:
        """What the model expects its own error to be for one binary: `PrecessingModes.error_estimate`."""
        return self.mode_model.error_estimate(q, chi1, chi2, **unknown)

    def remnant(
        self,
        q: float,
        chi1: Any,
        chi2: Any,
        t_ref: float | None = None,
        *,
        omega_ref: float | None = None,
        f_ref: float | None = None,
        total_mass: float | None = None,
        **unknown: object,
    ) -> PrecessingRemnant:
        """Mass, spin and velocity of the black hole that one binary leaves, vectors in the frame of the reference.

        Without a reference the recoil of spins in the plane is a distribution: that is `load_remnant`'s.

        Parameters
        ----------
        q, chi1, chi2, t_ref, omega_ref, f_ref, total_mass
            as in `__call__`

        Returns
        -------
        PrecessingRemnant

        Raises
        ------
        DomainError, ConfigError
            as `__call__`

        Examples
        --------
        >>> from gwsurrogate_ml import load_surrogate
        >>> hole = load_surrogate("nrphm").remnant(1.0, [0.7, 0.0, 0.0], [-0.7, 0.0, 0.0], t_ref=-100.0)
        >>> round(hole.mass, 2), round(hole.spin, 2), bool(abs(hole.velocity[2]) > 0.99 * hole.kick > 500)
        (0.95, 0.68, True)
        """
        one = self.mode_model.one(q, chi1, chi2, unknown)
        return remnant(self.mode_model, *one, self.mode_model.reference(*one, t_ref, omega_ref, f_ref, total_mass))

    def _from(self, orbit: _Orbit, f_min: float, f_ref: float, phase: float, room: float = 0.0) -> _Seen:
        """One binary and where it is seen from: from a cycle before its (2,2) mode passes `f_min` on, or so early that all orders
        are there from `f_min` on, as far as `room` (s before the peak) and the model reach."""
        m_1, m_2, iota, chi1, chi2 = orbit
        for name, value in (("f_min", f_min), ("f_ref", f_ref), ("mass_1", m_1), ("mass_2", m_2)):
            positive(value, name)
        total = float(m_1 + m_2)
        unit = total * MTSUN_SI
        model = self.mode_model
        one = model.one(m_1 / m_2, chi1, chi2, {})
        try:
            t_ref = model.reference(*one, f_ref=f_ref, total_mass=total)
            t_start = t_ref if f_min == f_ref else model.start(*one, t_ref, math.pi * f_min * unit)
        except DomainError as error:
            lowest = min(f_min, f_ref)
            smallest, largest = self.total_mass_range(one[0], one[1][2], one[2][2], lowest)
            raise DomainError(
                f"{error}; at {lowest:g} Hz that are total masses of {smallest[0]:.1f} to {largest[0]:.0f} solar masses with these "
                f"spins, and this one has {total:g}"
            ) from error
        begin, cycle = self._begin(t_start, f_min, unit, room, total)
        return _Seen(model.evolve(*one, t_ref, begin), iota, 0.5 * np.pi - phase, begin, cycle, unit)

    def _begin(
        self, t_start: float, f_min: float, unit: float, room: float, total: float, early: float = -math.inf
    ) -> tuple[float, float]:
        """Where (M) a waveform begins whose (2,2) mode passes `f_min` at `t_start`, and how long it is faded in.

        With `room` it begins so early that all orders are there from `f_min` on, but for that not before `early`.
        """
        cycle = 1.0 / f_min / unit
        begin = t_start - cycle
        if room:
            # Time to the peak goes with frequency to the power -8/3; of the early inspiral no more than is asked for.
            earliest = max(t_start * (TOP / 2) ** (8 / 3), -room / unit, self.mode_model.t_join)
            begin = min(begin, max(earliest, early))
            cycle = max(cycle, 0.1 * (t_start - begin))
        if begin < self.t_min:
            raise DomainError(
                f"the waveform of total mass {total:g} is known from {-self.t_min * unit:.2f} s before its peak, a cycle more is "
                f"needed to begin at {f_min:g} Hz: raise f_min or the mass"
            )
        return begin, cycle

    def _sampled(self, seen: _Seen, sampling_frequency: float) -> tuple[np.ndarray, int]:
        """h_plus - i h_cross (n,) at 1 Mpc, tapered over its first cycle, and the first sample's number from the peak."""
        e, step = seen.evolved, 1.0 / sampling_frequency / seen.unit
        first, last = math.ceil(seen.begin / step), math.floor(self.t_max / step)
        PhysicalModes.require_room(last - first, sampling_frequency)
        place = max(int(np.searchsorted(e.times, first * step, side="right")) - 4, 0)
        parts = compiled.harmonics(e.times, e.frames, e.coorbital, self._orders, self._terms, seen.theta, seen.phi, place)
        out = np.empty(last - first + 1, np.complex128)
        compiled.observed(e.nodes, e.states, e.rates, e.times, parts, place, first * step, step, out)
        ramp = max(math.ceil(seen.cycle / step), 1)
        out[:ramp] *= start_taper(np.arange(ramp, dtype=np.float64), 0.0, float(ramp))
        return out * (seen.unit / MPC_SECONDS), first

    def polarizations(
        self,
        *,
        mass_1: float,
        mass_2: float,
        a_1: float,
        a_2: float,
        tilt_1: float,
        tilt_2: float,
        phi_12: float,
        phi_jl: float,
        luminosity_distance: float,
        theta_jn: float,
        phase: float,
        f_min: float,
        sampling_frequency: float,
        f_ref: float | None = None,
    ) -> tuple[TimeSeries, TimeSeries]:
        """h_plus and h_cross of one binary by bilby's names, from a cycle before the (2,2) mode passes `f_min` on.

        Parameters
        ----------
        mass_1, mass_2 : float, solar masses (detector frame)
        a_1, a_2 : float, dimensionless spin magnitudes
        tilt_1, tilt_2, phi_12, phi_jl, theta_jn, phase : float, rad
            at `f_ref`
        luminosity_distance : float, Mpc
        f_min, sampling_frequency : float, Hz
        f_ref : float, Hz, optional
            frequency of the (2,2) mode to which the spins belong; without it `f_min`

        Returns
        -------
        (h_plus, h_cross) : gwpy TimeSeries
            the peak of the sum over modes at t = 0

        Raises
        ------
        DomainError
            parameters outside the domain, or a waveform that does not reach down to `f_min`
        """
        from gwpy.timeseries import TimeSeries

        spins = {"a_1": a_1, "a_2": a_2, "tilt_1": tilt_1, "tilt_2": tilt_2, "phi_12": phi_12, "phi_jl": phi_jl}
        for name in ("a_1", "a_2"):
            if spins[name] < 0:
                raise DomainError(f"{name} is {spins[name]:g}: a magnitude is not negative, give a tilt beyond pi / 2 instead")
        for name, value in (spins | {"theta_jn": theta_jn, "phase": phase, "luminosity_distance": luminosity_distance}).items():
            finite(value, name)
        binary = PRECESSING.binaries(PRECESSING.theta({"chirp_mass": 1.0, "mass_ratio": 1.0} | spins))
        binary = Binaries(np.array([mass_1]), np.array([mass_2]), binary.spin_1, binary.spin_2, binary.phi_jl)
        f_ref = f_min if f_ref is None else f_ref
        for name, value in (("f_min", f_min), ("f_ref", f_ref), ("mass_1", mass_1), ("mass_2", mass_2)):
            positive(value, name)
        start, *both = self.strain(
            **_Orbit.of(binary, theta_jn, f_ref, phase)._asdict(),
            luminosity_distance=luminosity_distance,
            phase=phase,
            f_min=f_min,
            sampling_frequency=sampling_frequency,
            f_ref=f_ref,
        )
        plus, cross = (
            TimeSeries(x, t0=start, sample_rate=sampling_frequency, name=name) for x, name in zip(both, ("hp", "hc"), strict=True)
        )
        return plus, cross

    def strain(
        self,
        *,
        mass_1: float,
        mass_2: float,
        inclination: float,
        spin_1: Any,
        spin_2: Any,
        luminosity_distance: float,
        phase: float,
        f_min: float,
        sampling_frequency: float,
        f_ref: float | None = None,
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Plus and cross polarization of one binary as bare arrays, by LAL's parameters: what `polarizations` wraps.

        Parameters
        ----------
        as for `polarizations`, but
        inclination : float, rad
            between the orbital angular momentum at `f_ref` and the line of sight
        spin_1, spin_2 : (3,) float, dimensionless
            at `f_ref`, z along the orbital angular momentum, x from the lighter to the heavier body

        Returns
        -------
        start : float, s
            time of the first sample; the peak is at 0
        h_plus, h_cross : (n,) float64, strain
        """
        for name, value in (("inclination", inclination), ("phase", phase)):
            finite(value, name, "rad")
        positive(luminosity_distance, "luminosity_distance")
        positive(sampling_frequency, "sampling_frequency")
        orbit = _Orbit(mass_1, mass_2, inclination, spin_1, spin_2)
        seen = self._from(orbit, f_min, f_min if f_ref is None else f_ref, phase)
        PhysicalModes.require_rate(sampling_frequency, TOP * seen.highest / (2 * np.pi), TOP)
        h, first = self._sampled(seen, sampling_frequency)
        h /= luminosity_distance
        return first / sampling_frequency, h.real.copy(), -h.imag

    def length(self, *, mass_1: float, mass_2: float, spin_1: Any, spin_2: Any, f_min: float, f_ref: float | None = None) -> float:
        """Seconds from where `strain` begins to the end of the ringdown; parameters as there."""
        seen = self._from(_Orbit(mass_1, mass_2, 0.0, spin_1, spin_2), f_min, f_min if f_ref is None else f_ref, 0.0)
        return (self.t_max - seen.begin) * seen.unit

    def frequency_domain_polarizations(
        self,
        *,
        mass_1: float,
        mass_2: float,
        inclination: float,
        spin_1: Any,
        spin_2: Any,
        luminosity_distance: float,
        phase: float,
        f_min: float,
        sampling_frequency: float,
        duration: float,
        f_ref: float | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fourier transforms (1/Hz) of plus and cross polarization on an analysis segment, the peak at its start.

        Parameters
        ----------
        as for `strain`, and `duration` (s)

        Returns
        -------
        h_plus, h_cross : (duration * sampling_frequency / 2 + 1,) complex128
            all orders from `f_min` on, as far as the segment and the model have room before the peak
        """
        for name, value in (("inclination", inclination), ("phase", phase)):
            finite(value, name, "rad")
        positive(luminosity_distance, "luminosity_distance")
        PhysicalModes.n_samples(duration, sampling_frequency)
        orbit = _Orbit(mass_1, mass_2, inclination, spin_1, spin_2)
        grid = Grid(duration, sampling_frequency, f_min)
        plus, cross = self._segment(orbit, grid, f_min if f_ref is None else f_ref, phase) / luminosity_distance
        return plus, cross

    def _segment(self, orbit: _Orbit, grid: Grid, f_ref: float, phase: float) -> np.ndarray:
        """h_plus and h_cross (2, n_f) of one binary at 1 Mpc, peak at t = 0 of the periodic segment."""
        total = orbit.mass_1 + orbit.mass_2
        seen = self._from(orbit, grid.f_min, f_ref, phase, grid.duration - 1.01 * self.t_max * total * MTSUN_SI)
        rate = float(PhysicalModes.rate(grid.sampling_frequency, np.array([2 * seen.highest]), TOP)[0])
        h, first = self._sampled(seen, rate)
        n = round(grid.duration * rate)
        if len(h) > n:
            raise DomainError(
                f"the signal of total mass {total:g} is {len(h) / rate:.2f} s long from {grid.f_min:g} Hz: the segment of "
                f"{grid.duration:g} s is too short, take a longer one or a higher f_min"
            )
        out = np.empty((2, grid.n_f), np.complex128)
        for row, part in zip(out, (h.real, -h.imag), strict=True):
            series = np.zeros(n)
            series[: len(h) + first], series[first:] = part[-first:], part[:-first]
            row[:] = fft.rfft(series)[: grid.n_f] / rate
        return out

    def _bilby(self, binary: Binaries, grid: Grid, theta_jn: float, phase: float) -> np.ndarray:
        """`_segment` by bilby's angles at `grid.f_min`."""
        return self._segment(_Orbit.of(binary, theta_jn, grid.f_min, phase), grid, grid.f_min, phase)

    def orders(self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `WaveformModel.orders`; spins belong to `f_min`. Close, not exact: see `precessing.orders`; `transforms` is."""
        out = np.zeros((len(binaries), 2 * TOP + 1, 2, grid.n_f), np.complex128)
        for i, row in enumerate(out):
            self._by_order(binaries[i : i + 1], grid, float(theta_jn[i]), row)
        return np.arange(-TOP, TOP + 1), out

    def _by_order(self, binary: Binaries, grid: Grid, theta_jn: float, out: np.ndarray) -> None:
        """Add spectra of one binary at 1 Mpc to `out` (2 TOP + 1, 2, n_f)."""
        (m_1,), (m_2,) = binary.mass_1, binary.mass_2
        iota, chi1, chi2 = spins_in_orbit(binary, theta_jn, grid.f_min, 0.0)
        total, model = float(m_1 + m_2), self.mode_model
        unit = total * MTSUN_SI
        one = q, chi1, chi2 = model.one(float(m_1 / m_2), chi1, chi2, {})
        t_ref = model.reference(*one, f_ref=grid.f_min, total_mass=total)
        begin, cycle = self._begin(t_ref, grid.f_min, unit, grid.duration - 1.01 * self.t_max * unit, total, EARLY)
        evolved = [model.evolve(q, _turned(chi1, p), _turned(chi2, p), t_ref, begin) for p in by_order.PHASES]
        # As coarse as the ringdown of the orders up to m = 3 allows: higher ones hold next to nothing there.
        least = ENOUGH * float(evolved[0].rates[:, 4].max()) / unit / np.pi * grid.duration
        n = 2 * (grid.n_f - 1)
        while n < least:
            n *= 2
        while n % 2 == 0 and n // 2 >= least:
            n //= 2
        span = begin, cycle, self.t_max, unit, grid.duration, n / grid.duration
        by_order.transformed(evolved, self._orders, self._terms, iota, *span, out)

    def quadrupole(self, binaries: Binaries, grid: Grid) -> np.ndarray:
        """See `WaveformModel.quadrupole`: that of the aligned model with the spins' components along the orbit, for templates."""
        return self.aligned.quadrupole(binaries.along_orbit, grid)

    def samples(self, binaries: Binaries, grid: Grid, times: np.ndarray) -> np.ndarray:
        """See `WaveformModel.samples`, of `quadrupole`."""
        return self.aligned.samples(binaries.along_orbit, grid, times)

    def transforms(
        self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, phase: np.ndarray, luminosity_distance: np.ndarray
    ) -> np.ndarray:
        """See `WaveformModel.transforms`."""
        rows = [self._bilby(binaries[i : i + 1], grid, float(theta_jn[i]), float(phase[i])) for i in range(len(binaries))]
        return np.stack(rows) / np.asarray(luminosity_distance)[:, None, None]
