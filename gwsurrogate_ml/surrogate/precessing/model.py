"""The precessing surrogate as users see it: modes in geometric units, polarizations in physical ones by bilby's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.arguments import finite, positive
from gwsurrogate_ml.binaries import PRECESSING, Binaries
from gwsurrogate_ml.conventions import MTSUN_SI, ModeKey, require_heavier_first, require_tilts
from gwsurrogate_ml.surrogate.aligned.physical import PhysicalModes
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.surrogate.names import named
from gwsurrogate_ml.surrogate.precessing import series
from gwsurrogate_ml.surrogate.precessing.modes import SEEN, PrecessingModes
from gwsurrogate_ml.surrogate.precessing.orders import HIGHEST, LOST, TOP
from gwsurrogate_ml.surrogate.precessing.physical import Orbit, PhysicalWaveforms
from gwsurrogate_ml.surrogate.precessing.remnant import PrecessingRemnant, remnant
from gwsurrogate_ml.surrogate.precessing.spins import along_axis
from gwsurrogate_ml.waveform.lal import spins_of_angles
from gwsurrogate_ml.waveform.model import Grid, WaveformModel, require_places

if TYPE_CHECKING:
    import torch
    from gwpy.timeseries import TimeSeries

    from gwsurrogate_ml.surrogate.aligned.uncertainty import ErrorEstimate
    from gwsurrogate_ml.waveform.modes import Modes


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
        self._physical = PhysicalWaveforms(self.mode_model, aligned)

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.name}: spins in any direction, {len(self.inertial_modes)} modes in the inertial frame>"
        )

    @property
    def identity(self) -> dict[str, Any]:
        """Name, version and checksum of the weights."""
        own = {"name": self.name, "version": self.info.get("version"), "weights_sha256": self.info.get("weights_sha256")}
        return own | {"aligned_weights_sha256": self.aligned.info.get("weights_sha256")}

    @named
    def total_mass_range(self, q: Any, chi1: Any, chi2: Any, f_min: float) -> tuple[np.ndarray, np.ndarray]:
        """That of the aligned model with the spins' components along the orbit, and the cycle that is tapered.

        Parameters
        ----------
        q : number or array (N,)
        chi1, chi2 : vectors (3,) or (N, 3), or their components along the orbit alone, numbers or (N,)
            three numbers are a vector, unless `q` holds three too
        f_min : float, Hz
        """
        shape = np.shape(q)
        return self._physical.total_mass_range(q, along_axis(chi1, shape), along_axis(chi2, shape), f_min)

    @named
    def time_before_peak(self, *, mass_1: float, mass_2: float, chi_1: float, chi_2: float, f_min: float) -> float:
        """That of the aligned model, and the cycle that is tapered."""
        binary = {"mass_1": mass_1, "mass_2": mass_2, "chi_1": chi_1, "chi_2": chi_2}
        return self.aligned.time_before_peak(**binary, f_min=f_min) + 1.0 / f_min

    def ringdown(self, total_mass: float) -> float:
        """Seconds from the peak to the end of a waveform of `total_mass` (solar masses, detector frame)."""
        return self.t_max * total_mass * MTSUN_SI

    @named
    def __call__(
        self,
        q: float,
        chi1: Any,
        chi2: Any,
        t_ref: float | None = None,
        times: np.ndarray | None = None,
        *,
        omega_ref: float | None = None,
        f_ref: float | None = None,
        total_mass: float | None = None,
        **unknown: object,
    ) -> Modes:
        """Modes of one binary in the inertial frame, r h / M in geometric units.

        The frame: z along the Newtonian orbital angular momentum at the reference, x from the lighter to the heavier body.

        Parameters
        ----------
        q : float, m1 / m2 >= 1
        chi1, chi2 : (3,) floats
            dimensionless spins at the reference, in that frame
        t_ref : float, M from the peak, not above 0
            the reference; or, by keyword, one of
        omega_ref : float, orbital frequency in rad / M
        f_ref : float, Hz
            frequency of the (2,2) mode, with `total_mass` in solar masses (detector frame)
        times : (n,) array, optional
            in M, 0 at the peak, from `t_min` to `t_max`; by default every 1 M of what simulations cover, from about 4,500 M before
            the peak on: earlier ones come by `times` alone, wherever the reference lies

        Returns
        -------
        Modes
            `t` (n,) in M; `modes[l, m]` (n,) complex128, m of both signs, those of `inertial_modes`

        Raises
        ------
        DomainError
            parameters or a reference beyond the hard limit, or times outside the model's range
        ConfigError
            no reference or several, spins that are not of three components, times that are no array (n,), an unknown keyword

        Examples
        --------
        >>> from gwsurrogate_ml import load_surrogate
        >>> modes = load_surrogate("nrphm")(1.5, [0.3, 0, 0.1], [0, 0.2, 0], omega_ref=0.02, times=np.linspace(-6000, 0, 100))
        >>> modes[2, -1].shape
        (100,)
        """
        return self.mode_model(q, chi1, chi2, t_ref, times, omega_ref=omega_ref, f_ref=f_ref, total_mass=total_mass, **unknown)

    @named
    def error_estimate(self, q: float, chi1: Any, chi2: Any, **unknown: object) -> ErrorEstimate:
        """What the model expects its own error to be for one binary: `PrecessingModes.error_estimate`."""
        return self.mode_model.error_estimate(q, chi1, chi2, **unknown)

    def expected_mismatch(self, binaries: Binaries) -> np.ndarray:
        """As `WaveformModel.expected_mismatch`, but of all modes, to what the model learned from: see `error_estimate`."""
        rows = zip(binaries.mass_1 / binaries.mass_2, binaries.spin_1, binaries.spin_2, strict=True)
        return np.array([self.error_estimate(max(float(q), 1.0), chi1, chi2).mismatch for q, chi1, chi2 in rows])

    @named
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

    @named
    def batch(
        self,
        parameters: torch.Tensor,
        times: torch.Tensor,
        t_ref: Any = None,
        *,
        omega_ref: Any = None,
        f_ref: Any = None,
        total_mass: Any = None,
    ) -> torch.Tensor:
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

        return batch(self.mode_model, parameters, times, t_ref, omega_ref=omega_ref, f_ref=f_ref, total_mass=total_mass)

    @named
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
        spins = {name: finite(value, name) for name, value in spins.items()}
        theta_jn, phase, _ = (
            finite(theta_jn, "theta_jn"),
            finite(phase, "phase"),
            finite(luminosity_distance, "luminosity_distance"),
        )
        series.require_magnitudes(spins["a_1"], spins["a_2"])
        f_ref = f_min if f_ref is None else f_ref
        for name, value in (("f_min", f_min), ("f_ref", f_ref), ("mass_1", mass_1), ("mass_2", mass_2)):
            positive(value, name)
        require_heavier_first(mass_1, mass_2)
        require_tilts(spins["tilt_1"], spins["tilt_2"])
        inclination, spin_1, spin_2 = spins_of_angles(mass_1, mass_2, **spins, theta_jn=theta_jn, f_ref=f_ref, phase=phase)
        start, plus, cross = self.strain(
            mass_1=mass_1,
            mass_2=mass_2,
            inclination=inclination,
            spin_1=spin_1,
            spin_2=spin_2,
            luminosity_distance=luminosity_distance,
            phase=phase,
            f_min=f_min,
            sampling_frequency=sampling_frequency,
            f_ref=f_ref,
        )
        keywords = {"t0": start, "dt": 1.0 / sampling_frequency, "copy": False}
        return TimeSeries(plus, name="h_plus", **keywords), TimeSeries(cross, name="h_cross", **keywords)

    @named
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
        orbit = self._orbit(mass_1, mass_2, inclination, spin_1, spin_2)
        seen = self._physical.seen(self._physical.place(orbit, f_min, f_min if f_ref is None else f_ref, phase))
        PhysicalModes.require_rate(sampling_frequency, TOP * seen.highest / (2 * np.pi), TOP)
        (plus, cross), first = self._physical.sampled(seen, sampling_frequency, 1.0 / luminosity_distance)
        return first / sampling_frequency, plus, cross

    @staticmethod
    def _orbit(mass_1: float, mass_2: float, inclination: float, spin_1: Any, spin_2: Any) -> Orbit:
        """A binary by LAL's parameters, its masses checked."""
        for name, value in (("mass_1", mass_1), ("mass_2", mass_2)):
            positive(value, name)
        require_heavier_first(mass_1, mass_2)
        return Orbit(mass_1, mass_2, inclination, spin_1, spin_2)

    @named
    def length(self, *, mass_1: float, mass_2: float, spin_1: Any, spin_2: Any, f_min: float, f_ref: float | None = None) -> float:
        """Seconds from where `strain` begins to the end of the ringdown; parameters as there."""
        place = self._physical.place(
            self._orbit(mass_1, mass_2, 0.0, spin_1, spin_2), f_min, f_min if f_ref is None else f_ref, 0.0
        )
        return (self.t_max - place.begin) * place.unit

    @named
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
        grid = Grid(duration, sampling_frequency, f_min)
        orbit = self._orbit(mass_1, mass_2, inclination, spin_1, spin_2)
        place = self._physical.segment_place(orbit, grid, f_min if f_ref is None else f_ref, phase)
        plus, cross = self._physical.segment(self._physical.seen(place), grid) / luminosity_distance
        return plus, cross

    @named
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
            for all, as for `polarizations`
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
        masses = {"mass_1": mass_1, "mass_2": mass_2}
        spins = {"a_1": a_1, "a_2": a_2, "tilt_1": tilt_1, "tilt_2": tilt_2, "phi_12": phi_12, "phi_jl": phi_jl}
        place = {"luminosity_distance": luminosity_distance, "theta_jn": theta_jn, "phase": phase}
        return series.batch(self._physical, masses | spins | place, f_ref, start, samples, sampling_frequency)

    def orders(self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `WaveformModel.orders`; spins belong to `f_min`. Close, not exact: see `precessing.orders`; `transforms` is."""
        return self._orders(binaries, grid, theta_jn, np.arange(grid.n_f), LOST)

    def orders_at(
        self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, wanted: np.ndarray, lost: float = LOST
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `WaveformModel.orders_at`. Above a loss of `physical.SHORT` what orders above m = 2 have before `physical.EARLY` is
        left out, where m = 2 begins later: less than `lost` for three in five, a thousandth of the power of one in ten (one in
        five in a detector of LIGO's design)."""
        return self._orders(binaries, grid, theta_jn, wanted, max(lost, LOST))

    def _orders(
        self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, wanted: np.ndarray, lost: float
    ) -> tuple[np.ndarray, np.ndarray]:
        require_heavier_first(binaries.mass_1, binaries.mass_2)
        out = np.zeros((len(binaries), 2 * HIGHEST + 1, 2, len(wanted)), np.complex128)
        if len(binaries):
            self._physical.orders(binaries, grid, np.asarray(theta_jn, np.float64), wanted, lost, out)
        return np.arange(-HIGHEST, HIGHEST + 1), out

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
        require_places(len(binaries), theta_jn, phase, luminosity_distance)
        require_heavier_first(binaries.mass_1, binaries.mass_2)
        return self._physical.segments(binaries, grid, theta_jn, phase) / np.asarray(luminosity_distance)[:, None, None]
