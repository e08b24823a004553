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
from gwsurrogate_ml.kernels.threads import in_threads
from gwsurrogate_ml.surrogate.aligned.physical import PhysicalModes
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.surrogate.precessing import compiled, many, rotation, series
from gwsurrogate_ml.surrogate.precessing.coorbital import MODES
from gwsurrogate_ml.surrogate.precessing.modes import SEEN, Evolved, PrecessingModes
from gwsurrogate_ml.waveform.conditioning import start_taper
from gwsurrogate_ml.waveform.lal import spins_in_orbit
from gwsurrogate_ml.waveform.model import Grid, WaveformModel

if TYPE_CHECKING:
    import torch
    from gwpy.timeseries import TimeSeries

    from gwsurrogate_ml.waveform.modes import Modes

TOP = 5
"""Highest order in the orbital phase."""


class _Place(NamedTuple):
    """A binary at its reference time and the direction it is seen from in the inertial frame; `begin`, the first `cycle` in M;
    M in s, `unit`."""

    q: float
    chi1: np.ndarray
    chi2: np.ndarray
    t_ref: float
    theta: float
    phi: float
    begin: float
    cycle: float
    unit: float


class _Seen(NamedTuple):
    """A binary at its place."""

    evolved: Evolved
    place: _Place

    @property
    def highest(self) -> float:
        """Highest orbital frequency, rad/s."""
        return float(self.evolved.rates[:, 4].max()) / self.place.unit


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
    modes: tuple[ModeKey, ...] = tuple((l, m) for l, m in SEEN if m > 0)

    inertial_modes: tuple[ModeKey, ...] = SEEN
    """Modes that `batch` gives, in its order."""

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

    def batch(self, parameters: torch.Tensor, times: torch.Tensor, t_ref: Any = None, **reference: Any) -> torch.Tensor:
        """Modes of many binaries in torch, on the device of `parameters`, differentiable in parameters, times and references.

        Where a spin vanishes altogether, so does its influence on itself: its direction is held, and so is its derivative.

        Parameters
        ----------
        parameters : (N, 7) float64 tensor
            columns q >= 1, and the components of both spins at the reference time, as for one binary: see `PrecessingModes`
        times : (n,) or (N, n) float64 tensor
            in M, 0 at each binary's peak
        t_ref : float or (N,) tensor, M from the peak
            the reference time; or, by keyword, one of
        omega_ref : float or (N,) tensor, orbital frequency in rad / M
        f_ref : float or (N,) tensor, Hz
            frequency of the (2,2) mode, with `total_mass` in solar masses (detector frame), a float or (N,) tensor

        Returns
        -------
        (N, 32, n) complex128 tensor, r h_lm / M in the inertial frame
            in the order of `inertial_modes`

        Raises
        ------
        DomainError, ConfigError
            as for a single waveform
        """
        from gwsurrogate_ml.surrogate.precessing.batch import batch

        return batch(self.mode_model, parameters, times, t_ref, **reference)

    def _place(self, binary: Binaries, f_min: float, f_ref: float, theta_jn: float, phase: float, room: float = 0.0) -> _Place:
        """One binary and where it is seen from: from a cycle before its (2,2) mode passes `f_min` on, or so early that all orders
        are there from `f_min` on, as far as `room` (s before the peak) and the model reach."""
        (m_1,), (m_2,) = binary.mass_1, binary.mass_2
        for name, value in (("f_min", f_min), ("f_ref", f_ref), ("mass_1", m_1), ("mass_2", m_2)):
            positive(value, name)
        iota, chi1, chi2 = spins_in_orbit(binary, theta_jn, f_ref, phase)
        total = float(m_1 + m_2)
        unit = total * MTSUN_SI
        model = self.mode_model
        one = model.one(float(m_1 / m_2), chi1, chi2, {})
        t_ref = model.reference(*one, f_ref=f_ref, total_mass=total)
        t_start = t_ref if f_min == f_ref else model.start(*one, t_ref, math.pi * f_min * unit)
        cycle = 1.0 / f_min / unit
        begin = t_start - cycle
        if room:
            # Time to the peak goes with frequency to the power -8/3; the model itself ends at `t_min`.
            earliest = max(t_start * (TOP / 2) ** (8 / 3), -room / unit, model.t_min)
            begin = min(begin, earliest)
            cycle = max(cycle, 0.1 * (t_start - begin))
        if begin < model.t_min:
            raise DomainError(
                f"the waveform of total mass {total:g} is known from {-model.t_min * unit:.2f} s before its peak, a cycle more is "
                f"needed to begin at {f_min:g} Hz: raise f_min or the mass"
            )
        return _Place(*one, t_ref, iota, 0.5 * np.pi - phase, begin, cycle, unit)

    def _sampled(self, seen: _Seen, sampling_frequency: float) -> tuple[np.ndarray, int]:
        """h_plus - i h_cross (n,) at 1 Mpc, tapered over its first cycle, and the first sample's number from the peak."""
        (e, place), step = seen, 1.0 / sampling_frequency / seen.place.unit
        first, last = math.ceil(place.begin / step), math.floor(self.t_max / step)
        PhysicalModes.require_room(last - first, sampling_frequency)
        out = self.observed(e, place.theta, place.phi, first * step, step, last - first + 1)
        ramp = max(math.ceil(place.cycle / step), 1)
        out[:ramp] *= start_taper(np.arange(ramp, dtype=np.float64), 0.0, float(ramp))
        return out * (place.unit / MPC_SECONDS), first

    def observed(self, e: Evolved, theta: float, phi: float, start: float, step: float, n: int) -> np.ndarray:
        """``r (h_plus - i h_cross) / M`` at n times from `start` (M) on, seen from a direction."""
        place = max(int(np.searchsorted(e.times, start, side="right")) - 4, 0)
        parts = compiled.harmonics(e.times, e.frames, e.coorbital, self._orders, self._terms, theta, phi, place)
        out = np.empty(n, np.complex128)
        compiled.observed(e.nodes, e.states, e.rates, e.times, parts, place, start, step, out)
        return out

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
        series.require_magnitudes(a_1, a_2)
        for name, value in (spins | {"theta_jn": theta_jn, "phase": phase, "luminosity_distance": luminosity_distance}).items():
            finite(value, name)
        binary = PRECESSING.binaries(PRECESSING.theta({"chirp_mass": 1.0, "mass_ratio": 1.0} | spins))
        binary = Binaries(np.array([mass_1]), np.array([mass_2]), binary.spin_1, binary.spin_2, binary.phi_jl)
        positive(luminosity_distance, "luminosity_distance")
        positive(sampling_frequency, "sampling_frequency")
        place = self._place(binary, f_min, f_min if f_ref is None else f_ref, theta_jn, phase)
        seen = _Seen(self.mode_model.evolve(*place[:4], place.begin), place)
        PhysicalModes.require_rate(sampling_frequency, TOP * seen.highest / (2 * np.pi), TOP)
        h, first = self._sampled(seen, sampling_frequency)
        h /= luminosity_distance
        start = first / sampling_frequency
        made = (TimeSeries(x, t0=start, sample_rate=sampling_frequency, name=name) for x, name in ((h.real, "hp"), (-h.imag, "hc")))
        plus, cross = made
        return plus, cross

    def batch_polarizations(
        self,
        *,
        mass_1: np.ndarray,
        mass_2: np.ndarray,
        a_1: np.ndarray,
        a_2: np.ndarray,
        tilt_1: np.ndarray,
        tilt_2: np.ndarray,
        phi_12: np.ndarray,
        phi_jl: np.ndarray,
        luminosity_distance: np.ndarray,
        theta_jn: np.ndarray,
        phase: np.ndarray,
        f_ref: float,
        start: float,
        samples: int,
        sampling_frequency: float,
    ) -> np.ndarray:
        """Plus and cross polarizations of many binaries on one grid of times, in NUMBA_NUM_THREADS threads.

        Parameters
        ----------
        mass_1, mass_2, a_1, a_2, tilt_1, tilt_2, phi_12, phi_jl, luminosity_distance, theta_jn, phase : (N,) float, or a number
            as for `polarizations`
        f_ref : float, Hz
            frequency of the (2,2) mode to which spins and phase belong
        start : float, s
            time of the first sample, 0 at each binary's peak
        samples : int
        sampling_frequency : float, Hz

        Returns
        -------
        (N, 2, samples) float64, strain; no taper at the start

        Raises
        ------
        DomainError
            parameters outside the domain, or times that the model does not cover for the lightest or heaviest binary
        ConfigError
            as for `polarizations`
        """
        binaries = series.binaries(mass_1, mass_2, a_1, a_2, tilt_1, tilt_2, phi_12, phi_jl)
        place = (luminosity_distance, theta_jn, phase)
        return series.batch(self, binaries, place, f_ref, start, samples, sampling_frequency)

    def _segment(self, seen: _Seen, grid: Grid) -> np.ndarray:
        """h_plus and h_cross (2, n_f) of one binary at 1 Mpc, peak at t = 0 of the periodic segment."""
        rate = float(PhysicalModes.rate(grid.sampling_frequency, np.array([2 * seen.highest]), TOP)[0])
        h, first = self._sampled(seen, rate)
        n = round(grid.duration * rate)
        if len(h) > n:
            raise DomainError(
                f"the signal of total mass {seen.place.unit / MTSUN_SI:g} is {len(h) / rate:.2f} s long from {grid.f_min:g} Hz: "
                f"the segment of {grid.duration:g} s is too short, take a longer one or a higher f_min"
            )
        out = np.empty((2, grid.n_f), np.complex128)
        for row, part in zip(out, (h.real, -h.imag), strict=True):
            periodic = np.zeros(n)
            periodic[: len(h) + first], periodic[first:] = part[-first:], part[:-first]
            row[:] = fft.rfft(periodic)[: grid.n_f] / rate
        return out

    def _segments(self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """h_plus and h_cross (N, 2, n_f) at 1 Mpc, peak at t = 0 of the periodic segment, in NUMBA_NUM_THREADS threads."""
        out = np.empty((len(binaries), 2, grid.n_f), np.complex128)

        def work(part: slice) -> None:
            places = []
            for i in range(part.start, part.stop):
                one = binaries[i : i + 1]
                room = grid.duration - 1.01 * self.t_max * float((one.mass_1 + one.mass_2)[0]) * MTSUN_SI
                places.append(self._place(one, grid.f_min, grid.f_min, float(theta_jn[i]), float(phase[i]), room))
            given = [np.array([p[k] for p in places]) for k in range(4)]
            evolved = many.evolve(self.mode_model, *given, np.array([p.begin for p in places]))
            for i, (e, p) in enumerate(zip(evolved, places, strict=True), part.start):
                out[i] = self._segment(_Seen(e, p), grid)

        in_threads(work, len(binaries))
        return out

    def orders(self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `WaveformModel.orders`; spins belong to `f_min`. A Fourier transform over as many phases as there are orders."""
        orders = np.arange(-TOP, TOP + 1)
        phases = 2 * np.pi * np.arange(len(orders)) / len(orders)
        out = np.empty((len(binaries), len(orders), 2, grid.n_f), np.complex128)
        for i in range(len(binaries)):
            same = np.full(len(phases), i)
            rows = self._segments(binaries[same], grid, np.asarray(theta_jn)[same], phases)
            out[i] = (np.fft.fft(rows, axis=0) / len(orders))[orders % len(orders)]
        return orders, out

    def transforms(
        self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, phase: np.ndarray, luminosity_distance: np.ndarray
    ) -> np.ndarray:
        """See `WaveformModel.transforms`."""
        return self._segments(binaries, grid, theta_jn, phase) / np.asarray(luminosity_distance)[:, None, None]
