"""The surrogate as users see it: modes, polarizations in physical units, and the frequency domain."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.arguments import finite, positive
from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.conventions import MTSUN_SI, ModeKey
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.surrogate.aligned import series, transforms
from gwsurrogate_ml.surrogate.aligned.modes import AlignedModes
from gwsurrogate_ml.surrogate.aligned.physical import PhysicalModes
from gwsurrogate_ml.surrogate.domain import check_parameters
from gwsurrogate_ml.surrogate.names import named
from gwsurrogate_ml.waveform.model import Grid, WaveformModel, oriented, require_places

if TYPE_CHECKING:
    import torch
    from gwpy.timeseries import TimeSeries

    from gwsurrogate_ml.surrogate.aligned.uncertainty import ErrorEstimate
    from gwsurrogate_ml.waveform.modes import Modes

ONE_SIDED = 1e-6
"""Share of the power that negative m hold at positive frequencies, or less: what series that begin and end leave there. In 10 s
from 20 Hz it is less for 293 of 300 binaries of the estimators' prior, 5e-6 at most; in 4 s from 40 Hz up to 2e-5."""


class Surrogate(WaveformModel):
    """A trained waveform model for binaries with aligned spins; see `conventions` for signs, phases and units.

    Parameters
    ----------
    card : dict
        parameter ranges, modes, training data, metrics: `info`
    tensors : dict of float64 arrays
        knots, bases, networks
    inspiral : card and tensors, optional
        of the early inspiral before the first knot

    Examples
    --------
    >>> from gwsurrogate_ml import load_surrogate
    >>> sur = load_surrogate()
    >>> modes = sur(q=1.5, chi1=0.3, chi2=-0.1)
    >>> bool(0.37 < abs(modes[2, 2]).max() < 0.38)
    True
    """

    has_samples = True

    def __init__(
        self,
        card: dict[str, Any],
        tensors: dict[str, np.ndarray],
        inspiral: tuple[dict[str, Any], dict[str, np.ndarray]] | None = None,
    ) -> None:
        self.mode_model, self.info = AlignedModes(card, tensors, inspiral), card
        self._si, self.modes = PhysicalModes(self.mode_model), self.mode_model.modes
        self.knots, self.t_min, self.t_max = self.mode_model.knots, self.mode_model.t_min, self.mode_model.t_max
        self.t_join = self.mode_model.t_join
        self.name = str(card.get("name", "unnamed"))
        self.limits = self.mode_model.limits

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: spins along the orbit, modes {', '.join(map(str, self.modes))}>"

    @property
    def identity(self) -> dict[str, Any]:
        """Name, version and checksum of the weights."""
        return {
            "name": self.name,
            "version": self.info.get("version"),
            "weights_sha256": self.info.get("weights_sha256"),
        }

    @named
    def __call__(self, q: float, chi1: float, chi2: float, times: np.ndarray | None = None, **unknown: object) -> Modes:
        """Modes of one binary, r h / M in geometric units.

        Parameters
        ----------
        q : float, m1 / m2 >= 1
        chi1, chi2 : float, dimensionless spin components along the orbital angular momentum
        times : (n,) array, optional
            in M, 0 at the peak; by default every 1 M from `t_join` on

        Returns
        -------
        Modes
            `t` in M; `modes[l, m]` complex128 (n,)

        Raises
        ------
        DomainError
            parameters beyond the hard limit, or times outside the model's range
        ConfigError
            unknown keyword, wrong shape of `times`

        Examples
        --------
        >>> from gwsurrogate_ml import load_surrogate
        >>> modes = load_surrogate()(q=2.0, chi1=0.5, chi2=0.0, times=[-100.0, 0.0])
        >>> modes[2, 2].shape
        (2,)
        """
        return self.mode_model(q, chi1, chi2, times, **unknown)

    @named
    def batch(self, parameters: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Modes of many binaries in torch, on the device of `parameters`, differentiable in parameters and times.

        Parameters
        ----------
        parameters : (N, 3) float64 tensor
            columns q >= 1, chi1, chi2
        times : (n,) or (N, n) float64 tensor
            in M, 0 at each binary's peak

        Returns
        -------
        (N, n_modes, n) complex128 tensor, r h_lm / M, modes as in `modes`

        Raises
        ------
        DomainError, ConfigError
            as for one binary
        """
        return self.mode_model.batch(parameters, times)

    @named
    def error_estimate(self, q: float, chi1: float, chi2: float, **unknown: object) -> ErrorEstimate:
        """What the model expects its own error to be for one binary, `q`, `chi1` and `chi2` as for its modes.

        Returns
        -------
        ErrorEstimate
            expected mismatch to numerical relativity, its 90 % bound, and such a bound for each higher mode

        Raises
        ------
        ConfigError
            if the model was trained without numerical relativity
        DomainError
            as for a waveform
        """
        return self.mode_model.error_estimate(q, chi1, chi2, **unknown)

    def expected_mismatch(self, binaries: Binaries) -> np.ndarray | None:
        """As `WaveformModel.expected_mismatch`; None where the model was trained without numerical relativity."""
        if self.info.get("error_factor_90") is None:
            return None
        mass_1, mass_2, chi_1, chi_2 = binaries.aligned_columns(self.name)
        rows = zip(mass_1 / mass_2, chi_1, chi_2, strict=True)
        return np.array([self.error_estimate(q=max(float(q), 1.0), chi1=a, chi2=b).mismatch for q, a, b in rows])

    @named
    def time_before_peak(self, *, mass_1: float, mass_2: float, chi_1: float, chi_2: float, f_min: float) -> float:
        """Seconds from the moment the (2,2) mode passes `f_min` (Hz) to the peak; masses in solar masses (detector frame).

        Raises
        ------
        DomainError
            parameters outside the domain, or a waveform that does not reach down to `f_min`
        """
        parameters, total = self._si.one(mass_1, mass_2, chi_1, chi_2)
        unit = total * MTSUN_SI
        return float(-(self._si.start_at(self._si.at_knots(parameters, unit, f_min), unit, f_min, parameters) * unit)[0])

    @named
    def orbital_phase(self, *, mass_1: float, mass_2: float, chi_1: float, chi_2: float, frequency: float) -> float:
        """Orbital phase (radians, 0 at the peak, negative before) at the moment the (2,2) mode passes `frequency` (Hz).

        Raises
        ------
        DomainError
            parameters outside the domain, or a frequency that the model does not reach down to or up to
        """
        positive(frequency, "frequency", "Hz")
        parameters, total = self._si.one(mass_1, mass_2, chi_1, chi_2)
        k = self._si.at_knots(parameters, total * MTSUN_SI, frequency)
        return -self._si.phase_at_peak(k, total * MTSUN_SI, 0.0, frequency, parameters)

    @named
    def smallest_total_mass(self, q: float, chi1: float, chi2: float, f_min: float) -> float:
        """Smallest total mass (solar masses, detector frame) for which the model reaches down to `f_min` (Hz)."""
        self.mode_model.one(q, chi1, chi2, {})
        return float(self.total_mass_range(q, chi1, chi2, f_min)[0][0])

    @named
    def total_mass_range(self, q: Any, chi1: Any, chi2: Any, f_min: float) -> tuple[np.ndarray, np.ndarray]:
        """Total masses (solar masses, detector frame) between which waveforms begin at or below `f_min` (Hz) and peak above it.

        Parameters
        ----------
        q, chi1, chi2 : numbers or arrays (N,)
        f_min : float, Hz

        Returns
        -------
        smallest, largest : (N,) float64

        Raises
        ------
        DomainError
            parameters outside the domain
        """
        positive(f_min, "f_min", "Hz")
        parameters = np.column_stack(np.broadcast_arrays(*(np.atleast_1d(x).astype(float) for x in (q, chi1, chi2))))
        check_parameters(parameters, self.info["ranges"])
        k = self.mode_model.at_knots(parameters, -np.inf)
        unit = 2 * np.pi * f_min * MTSUN_SI
        return self.mode_model.lowest_omega(k) / unit, k.phase_slope[:, k.centre] / unit

    def ringdown(self, total_mass: float) -> float:
        """Seconds from the peak to the end of a waveform of `total_mass` (solar masses, detector frame)."""
        return self.t_max * total_mass * MTSUN_SI

    @named
    def polarizations(
        self,
        *,
        mass_1: float,
        mass_2: float,
        chi_1: float,
        chi_2: float,
        luminosity_distance: float,
        theta_jn: float,
        phase: float,
        f_min: float,
        sampling_frequency: float,
        f_ref: float | None = None,
        modes: Iterable[ModeKey] | None = None,
    ) -> tuple[TimeSeries, TimeSeries]:
        """Plus and cross polarizations as gwpy TimeSeries in strain, epoch relative to the peak (t = 0).

        Parameters
        ----------
        mass_1, mass_2 : float, solar masses (detector frame), mass_1 >= mass_2
        chi_1, chi_2 : float, aligned spins
        luminosity_distance : float, Mpc
        theta_jn, phase : float, radians; `phase` is the orbital phase at t = 0, or where `f_ref` says
        f_min : float, Hz, frequency of the (2,2) mode at which the series starts
        sampling_frequency : float, Hz
        f_ref : float, Hz, optional
            take `phase` as the orbital phase at the moment the (2,2) mode passes this frequency, as LAL does
        modes : iterable of (l, m), optional
            those of the model's modes that are summed, m > 0 (-m comes with them); by default all. The peak at t = 0 stays that of
            all modes together

        Raises
        ------
        DomainError
            parameters outside the domain, or a waveform that does not reach down to `f_min` (with the smallest total mass)
        ConfigError
            numbers that are not positive, or a sampling frequency too low for the ringdown
        """
        from gwpy.timeseries import TimeSeries

        binary, place = (mass_1, mass_2, chi_1, chi_2), (luminosity_distance, theta_jn, phase)
        start, plus, cross = series.strain(self._si, binary, *place, f_min, sampling_frequency, f_ref, modes, taper=False)
        keywords = {"t0": start, "dt": 1.0 / sampling_frequency, "copy": False}
        return TimeSeries(plus, name="h_plus", **keywords), TimeSeries(cross, name="h_cross", **keywords)

    @named
    def strain(
        self,
        *,
        mass_1: float,
        mass_2: float,
        chi_1: float,
        chi_2: float,
        luminosity_distance: float,
        theta_jn: float,
        phase: float,
        f_min: float,
        sampling_frequency: float,
        f_ref: float | None = None,
        modes: Iterable[ModeKey] | None = None,
        taper: bool = False,
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Plus and cross polarizations as bare arrays: what `polarizations` wraps, for callers with containers of their own.

        Parameters
        ----------
        as for `polarizations`, and
        taper : bool
            start earlier, by up to 0.45 s where the model reaches so far, and rise smoothly before the (2,2) mode passes
            `f_min`: the conditioning of `frequency_domain`

        Returns
        -------
        start : float, s
            time of the first sample; the peak is at 0
        h_plus, h_cross : (n,) float64, strain
        """
        place = (luminosity_distance, theta_jn, phase)
        return series.strain(self._si, (mass_1, mass_2, chi_1, chi_2), *place, f_min, sampling_frequency, f_ref, modes, taper)

    @named
    def batch_polarizations(
        self,
        *,
        mass_1: np.ndarray,
        mass_2: np.ndarray,
        chi_1: np.ndarray,
        chi_2: np.ndarray,
        luminosity_distance: np.ndarray,
        theta_jn: np.ndarray,
        phase: np.ndarray,
        start: float,
        samples: int,
        sampling_frequency: float,
        modes: Iterable[ModeKey] | None = None,
    ) -> np.ndarray:
        """Plus and cross polarizations of many binaries on one grid of times, in NUMBA_NUM_THREADS threads.

        Parameters
        ----------
        mass_1, mass_2, chi_1, chi_2, luminosity_distance, theta_jn, phase : (N,) float, or a number for all
            as for `polarizations`; `phase` is the orbital phase at t = 0
        start : float, s
            time of the first sample, 0 at each binary's peak
        samples : int
        sampling_frequency : float, Hz
        modes : iterable of (l, m), optional
            as for `polarizations`

        Returns
        -------
        (N, 2, samples) float64, strain

        Raises
        ------
        DomainError
            parameters outside the domain, or times that the model does not cover for the lightest or heaviest binary
        ConfigError
            as for `polarizations`
        """
        given = {
            "mass_1": mass_1,
            "mass_2": mass_2,
            "chi_1": chi_1,
            "chi_2": chi_2,
            "luminosity_distance": luminosity_distance,
            "theta_jn": theta_jn,
            "phase": phase,
        }
        return series.batch(self._si, given, start, samples, sampling_frequency, modes)

    @named
    def frequency_domain_polarizations(
        self,
        *,
        mass_1: float,
        mass_2: float,
        chi_1: float,
        chi_2: float,
        luminosity_distance: float,
        theta_jn: float,
        phase: float,
        f_min: float,
        sampling_frequency: float,
        duration: float,
        f_ref: float | None = None,
        modes: Iterable[ModeKey] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fourier transforms (1/Hz) of plus and cross polarization with all modes, on an analysis segment.

        Parameters
        ----------
        as for `polarizations`, and `duration` (s); time and conditioning as for `frequency_domain`

        Returns
        -------
        h_plus, h_cross : (duration * sampling_frequency / 2 + 1,) complex128
        """
        place = (luminosity_distance, theta_jn, phase)
        binary = (mass_1, mass_2, chi_1, chi_2)
        return transforms.polarizations(self._si, binary, *place, f_ref, modes, Grid(duration, sampling_frequency, f_min))

    @named
    def frequency_domain_orders(
        self,
        *,
        mass_1: float,
        mass_2: float,
        chi_1: float,
        chi_2: float,
        theta_jn: float,
        f_min: float,
        sampling_frequency: float,
        duration: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Fourier transforms (1/Hz) of both polarizations at 1 Mpc, order by order in m: all orbital phases at once.

        ``h(phase) = sum over m of cos(m phase) spectra[m, 0] + sin(m phase) spectra[m, 1]``, of which
        `frequency_domain_polarizations` is the value at one phase (that at the peak).

        Parameters
        ----------
        as for `frequency_domain_polarizations`

        Returns
        -------
        orders : (n_m,) int, the modes' m
        spectra : (n_m, 2, 2, duration * sampling_frequency / 2 + 1) complex128
            second axis cosine and sine, third plus and cross
        """
        binary, inclination = (mass_1, mass_2, chi_1, chi_2), np.array([finite(theta_jn, "theta_jn", "rad")])
        self._si.one(*binary)
        orders, found = transforms.orders(self._si, binary, inclination, Grid(duration, sampling_frequency, f_min))
        plus, minus = np.split(found[0], 2)
        return np.split(orders, 2)[0], np.stack([plus + minus, 1j * (plus - minus)], axis=1)

    @named
    def frequency_domain(
        self,
        mass_1: np.ndarray,
        mass_2: np.ndarray,
        chi_1: np.ndarray,
        chi_2: np.ndarray,
        *,
        duration: float,
        sampling_frequency: float,
        f_min: float,
    ) -> np.ndarray:
        """Fourier transform of the (2,2) mode's h_plus for `theta_jn` = 0, `phase` = 0, at 1 Mpc, on an analysis segment.

        For any orientation h_plus = (1 + c^2) / 2 h exp(2i phase) and h_cross = -i c h exp(2i phase), c = cos(theta_jn).

        Parameters
        ----------
        mass_1, mass_2 : (N,) float, solar masses (detector frame), mass_1 >= mass_2
        chi_1, chi_2 : (N,) float
        duration : float, s
        sampling_frequency : float, Hz
        f_min : float, Hz
            lowest frequency that will be used; the taper at the start ends before the (2,2) mode reaches it

        Returns
        -------
        (N, duration * sampling_frequency / 2 + 1) complex128, 1/Hz
            the peak lies at the start of the segment, what precedes it wraps around to the end

        Raises
        ------
        DomainError
            outside the domain, or too short for `f_min` or for `duration`
        """
        return transforms.quadrupole(self._si, (mass_1, mass_2, chi_1, chi_2), Grid(duration, sampling_frequency, f_min))

    # What `WaveformModel` asks for, from the calls above.

    def quadrupole(self, binaries: Binaries, grid: Grid) -> np.ndarray:
        """See `WaveformModel.quadrupole`: `frequency_domain`."""
        return self.frequency_domain(*binaries.aligned_columns(self.name), **grid._asdict())

    def samples(self, binaries: Binaries, grid: Grid, times: np.ndarray) -> np.ndarray:
        """See `WaveformModel.samples`: the series that `frequency_domain` transforms, its taper included.

        Raises
        ------
        ConfigError
            times that do not ascend
        DomainError
            as `frequency_domain`
        """
        self._si.n_samples(grid.duration, grid.sampling_frequency)
        times = np.asarray(times, dtype=np.float64)
        if times.ndim != 1 or not np.all(np.diff(times) > 0):
            raise ConfigError("times must be a one-dimensional array of ascending numbers, in seconds from the peak")
        return transforms.samples(self._si, binaries.aligned_columns(self.name), times, grid)

    def orders(self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See `WaveformModel.orders`: m of both signs, since spectra of tapered series are not quite one-sided."""
        return transforms.orders(self._si, binaries.aligned_columns(self.name), theta_jn, grid)

    def orders_at(
        self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, wanted: np.ndarray, lost: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `WaveformModel.orders_at`. Above a loss of `ONE_SIDED` m > 0 alone."""
        return transforms.orders(self._si, binaries.aligned_columns(self.name), theta_jn, grid, wanted, lost > ONE_SIDED)

    def transforms(
        self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, phase: np.ndarray, luminosity_distance: np.ndarray
    ) -> np.ndarray:
        """See `WaveformModel.transforms`: of (2, 2) alone from `frequency_domain`, else as `frequency_domain_polarizations`."""
        if self.quadrupole_only:
            return oriented(self.quadrupole(binaries, grid), theta_jn, phase, luminosity_distance)
        require_places(len(binaries), theta_jn, phase, luminosity_distance)
        columns = binaries.aligned_columns(self.name)
        return transforms.oriented(self._si, columns, theta_jn, phase, luminosity_distance, grid)
