"""The surrogate as users see it: modes, batches in torch, polarizations, and the frequency domain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI, ModeKey, require_q
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.surrogate.domain import check_parameters
from gwsurrogate_ml.surrogate.predictor import log_amplitude_and_phase, peak_shift
from gwsurrogate_ml.waveform.conditioning import segment_times, start_taper
from gwsurrogate_ml.waveform.modes import Modes
from gwsurrogate_ml.waveform.spline import hermite, hermite_cosine, hermite_torch, slope_matrix, slopes

if TYPE_CHECKING:
    import torch
    from gwpy.timeseries import TimeSeries

DEFAULT = "nr22"
_Y22 = np.sqrt(5.0 / (4.0 * np.pi))


@dataclass(frozen=True)
class _Knots:
    """Splines of N waveforms at the knots: amplitude and phase of (2,2), their slopes (N, n_knots), and the peak's time (N,)."""

    amplitude: np.ndarray
    amplitude_slope: np.ndarray
    phase: np.ndarray
    phase_slope: np.ndarray
    shift: np.ndarray


class Surrogate:
    """A trained waveform model for binaries with aligned spins; see `conventions` for signs, phases and units.

    Parameters
    ----------
    card : dict
        parameter ranges, modes, training data, metrics: `info`
    tensors : dict of float64 arrays
        knots, bases, networks

    Examples
    --------
    >>> sur = load_surrogate()
    >>> modes = sur(q=1.5, chi1=0.3, chi2=-0.1)
    >>> bool(0.37 < abs(modes[2, 2]).max() < 0.38)
    True
    """

    modes: tuple[ModeKey, ...] = ((2, 2),)

    def __init__(self, card: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        self.info = card
        self._tensors = {key: np.asarray(value, dtype=np.float64) for key, value in tensors.items()}
        self._degree = int(card["degree"])
        self.knots = self._tensors["knots"]
        self._centre = int(np.flatnonzero(self.knots == 0.0)[0])
        self._slope_matrix = slope_matrix(self.knots).T.copy()
        # The peak moves by a fraction of an M when stage 2 is added: keep a margin to both ends of the knots.
        self.t_min, self.t_max = float(self.knots[0]) + 5.0, float(self.knots[-1]) - 5.0

    def __call__(self, q: float, chi1: float, chi2: float, times: np.ndarray | None = None, **unknown: object) -> Modes:
        """Modes of one binary, r h / M in geometric units.

        Parameters
        ----------
        q : float, m1 / m2 >= 1
        chi1, chi2 : float, dimensionless spin components along the orbital angular momentum
        times : (n,) array, optional
            in M, 0 at the peak; by default every 1 M over the whole range of the model

        Returns
        -------
        Modes
            `t` in M; `modes[2, 2]` complex128 (n,)

        Raises
        ------
        DomainError
            parameters beyond the hard limit, or times outside the model's range
        ConfigError
            unknown keyword, wrong shape of `times`
        """
        parameters = np.array([[float(require_q(q, unknown)), float(chi1), float(chi2)]])
        k = self._at_knots(parameters)
        times = np.arange(np.ceil(self.t_min), self.t_max) if times is None else np.asarray(times, dtype=np.float64)
        self._check_times(times)
        a, p = self._amplitude_and_phase(k, times)
        return Modes(times, {(2, 2): a * np.exp(-1j * p)})

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
        (N, n_modes, n) complex128 tensor, r h_lm / M

        Raises
        ------
        DomainError, ConfigError
            as for a single waveform
        """
        import torch

        check_parameters(parameters.detach().cpu().numpy(), self.info["ranges"])
        if times.ndim not in (1, 2) or (times.ndim == 2 and len(times) != len(parameters)):
            raise ConfigError(f"times have shape {tuple(times.shape)}: give (n,) or (N, n) with N = {len(parameters)}")
        self._check_times(times.detach().cpu().numpy(), ndim=times.ndim)
        dtype = torch.float64
        tensors, to_slopes = self._on(parameters.device)
        log_amplitude, phase = log_amplitude_and_phase(parameters.to(dtype), tensors, self._degree, torch)
        amplitude = torch.exp(log_amplitude)
        shift = peak_shift(log_amplitude, self._centre)
        knots = tensors["knots"]
        at = times.to(dtype).expand(len(parameters), -1) + shift
        a = hermite_torch(knots, amplitude, amplitude @ to_slopes, at)
        phase_slopes = phase @ to_slopes
        p = hermite_torch(knots, phase, phase_slopes, at) - hermite_torch(knots, phase, phase_slopes, shift)
        return torch.polar(a, -p)[:, None, :]

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
    ) -> tuple[TimeSeries, TimeSeries]:
        """Plus and cross polarizations as gwpy TimeSeries in strain, epoch relative to the peak (t = 0).

        Parameters
        ----------
        mass_1, mass_2 : float, solar masses (detector frame), mass_1 >= mass_2
        chi_1, chi_2 : float, aligned spins
        luminosity_distance : float, Mpc
        theta_jn, phase : float, radians; `phase` is the orbital phase at t = 0
        f_min : float, Hz, frequency of the (2,2) mode at which the series starts
        sampling_frequency : float, Hz

        Raises
        ------
        DomainError
            parameters outside the domain, or a waveform that does not reach down to `f_min` (with the smallest total mass)
        ConfigError
            mass_1 < mass_2, or numbers that are not positive
        """
        from gwpy.timeseries import TimeSeries

        for name, value in (("luminosity_distance", luminosity_distance), ("sampling_frequency", sampling_frequency)):
            if not (np.isfinite(value) and value > 0):
                raise ConfigError(f"{name} is {value}: give a positive number")
        for name, value in (("theta_jn", theta_jn), ("phase", phase)):
            if not np.isfinite(value):
                raise ConfigError(f"{name} is {value}: give a finite angle in radians")
        parameters, total = self._physical(mass_1, mass_2, chi_1, chi_2)
        k = self._at_knots(parameters)
        unit = float(total[0]) * MTSUN_SI
        start = self._start(k, total * MTSUN_SI, f_min, parameters)[0]
        first = int(np.ceil(start * unit * sampling_frequency))
        last = int(np.floor(self.t_max * unit * sampling_frequency))
        a, p = self._amplitude_and_phase(k, np.arange(first, last + 1) / sampling_frequency / unit)
        p += 2.0 * phase
        scale = -_Y22 * unit / (luminosity_distance * MPC_SECONDS)  # -1 = exp(2i pi/2), from the azimuth pi/2 - phase
        c = np.cos(theta_jn)
        keywords = {"t0": first / sampling_frequency, "sample_rate": sampling_frequency}
        return (
            TimeSeries(scale * 0.5 * (1 + c**2) * a * np.cos(p), name="h_plus", **keywords),
            TimeSeries(scale * c * a * np.sin(p), name="h_cross", **keywords),
        )

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
        """Fourier transform of h_plus for `theta_jn` = 0, `phase` = 0, at 1 Mpc, on an analysis segment.

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
        parameters, total = self._physical(mass_1, mass_2, chi_1, chi_2)
        k = self._at_knots(parameters)
        unit = total * MTSUN_SI
        reach = self._start(k, unit, f_min, parameters) * unit
        n = round(duration * sampling_frequency)
        out = np.empty((len(total), n // 2 + 1), dtype=np.complex128)
        series = np.zeros(n)
        for i in range(len(total)):
            before, after = segment_times(duration, sampling_frequency, self.t_max * unit[i])
            before = min(before, int(-self.t_min * unit[i] * sampling_frequency))
            if -before / sampling_frequency >= reach[i]:
                raise DomainError(
                    f"the signal (total mass {total[i]:g}, q {parameters[i, 0]:g}) is {-reach[i]:.2f} s long from {f_min:g} Hz: "
                    f"the segment of {duration:g} s is too short, take a longer duration or a higher f_min"
                )
            step = 1.0 / sampling_frequency / unit[i]
            part = np.empty(before + after)
            hermite_cosine(
                self.knots,
                k.amplitude[i],
                k.amplitude_slope[i],
                k.phase[i],
                k.phase_slope[i],
                k.shift[i] - before * step,
                step,
                part,
            )
            # Taper over 90 % of the way from the first sample to f_min, but no longer than 0.4 s.
            room = reach[i] + before / sampling_frequency
            ramp = max(2, int(min(0.9 * room, 0.4) * sampling_frequency))
            part[:ramp] *= start_taper(np.arange(ramp, dtype=np.float64), 0.0, float(ramp))
            series[:] = 0.0
            series[:after] = part[before:]
            series[n - before :] = part[:before]
            scale = -_Y22 * unit[i] / MPC_SECONDS / sampling_frequency
            out[i] = scale * fft.rfft(series)
        return out

    def smallest_total_mass(self, q: float, chi1: float, chi2: float, f_min: float) -> float:
        """Smallest total mass (solar masses, detector frame) for which the model reaches down to `f_min` (Hz)."""
        parameters = np.array([[float(require_q(q)), float(chi1), float(chi2)]])
        return float(self._lowest_omega(self._at_knots(parameters))[0] / (2 * np.pi * f_min) / MTSUN_SI)

    def _at_knots(self, parameters: np.ndarray) -> _Knots:
        """The splines of `parameters` (N, 3), phase 0 at the peak."""
        check_parameters(parameters, self.info["ranges"])
        log_amplitude, phase = log_amplitude_and_phase(parameters, self._tensors, self._degree)
        shift = peak_shift(log_amplitude, self._centre)[:, 0]
        amplitude = np.exp(log_amplitude)
        phase_slope = slopes(self.knots, phase)
        at_peak = [hermite(self.knots, p, s, x) for p, s, x in zip(phase, phase_slope, shift[:, None], strict=True)]
        return _Knots(
            amplitude, slopes(self.knots, amplitude), phase - np.reshape(at_peak, (-1, 1)), phase_slope, shift
        )

    def _amplitude_and_phase(self, k: _Knots, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Amplitude and phase (n,) of the first waveform of `k` at `times` in M from its peak."""
        at = times + k.shift[0]
        return (
            hermite(self.knots, k.amplitude[0], k.amplitude_slope[0], at),
            hermite(self.knots, k.phase[0], k.phase_slope[0], at),
        )

    def _lowest_omega(self, k: _Knots) -> np.ndarray:
        """Angular frequency (rad / M) of the (2,2) mode at the earliest usable knot, (N,)."""
        return k.phase_slope[:, np.searchsorted(self.knots, self.t_min, side="right")]

    def _start(self, k: _Knots, unit: np.ndarray, f_min: float, parameters: np.ndarray) -> np.ndarray:
        """Time in M (N,) at which the (2,2) mode passes `f_min`; `unit` (N,) is the total mass in seconds."""
        if not (np.isfinite(f_min) and f_min > 0):
            raise ConfigError(f"f_min is {f_min}: give a positive frequency in Hz")
        wanted = 2 * np.pi * f_min * unit
        lowest, highest = self._lowest_omega(k), k.phase_slope[:, self._centre]
        if np.any(short := lowest > wanted):
            i = int(np.argmax(lowest / wanted))
            q, chi1, chi2 = parameters[i]
            raise DomainError(
                f"the model does not reach down to f_min = {f_min:g} Hz for total mass {unit[i] / MTSUN_SI:g} (q {q:g}, chi1 "
                f"{chi1:g}, chi2 {chi2:g}): the smallest total mass for this f_min is "
                f"{lowest[i] / (2 * np.pi * f_min) / MTSUN_SI:.1f} solar masses; raise f_min or the mass "
                f"({int(short.sum())} such waveforms)"
            )
        if np.any(highest < wanted):
            peak = f_min * float(np.min(highest / wanted))
            raise DomainError(f"f_min = {f_min:g} Hz lies above the frequency at the peak, {peak:.1f} Hz: lower f_min")
        starts = np.empty(len(unit))
        for i, omega in enumerate(k.phase_slope):
            j = max(int(np.searchsorted(omega[: self._centre + 1], wanted[i])), 1)
            x = (wanted[i] - omega[j - 1]) / (omega[j] - omega[j - 1])
            starts[i] = self.knots[j - 1] + x * (self.knots[j] - self.knots[j - 1]) - k.shift[i]
        return starts

    def _physical(self, mass_1: Any, mass_2: Any, chi_1: Any, chi_2: Any) -> tuple[np.ndarray, np.ndarray]:
        """Parameters (N, 3) and total masses (N,) from physical masses and spins, checked."""
        m1, m2, c1, c2 = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(x, np.float64)) for x in (mass_1, mass_2, chi_1, chi_2))
        )
        for name, value in (("mass_1", m1), ("mass_2", m2)):
            if not np.all(np.isfinite(value)) or np.any(value <= 0):
                raise DomainError(f"{name} is not a positive number everywhere: give solar masses")
        if np.any(m1 < m2):
            i = int(np.argmax(m2 - m1))
            raise DomainError(
                f"mass_1 = {m1[i]:g} < mass_2 = {m2[i]:g}: mass_1 is the heavier body, swap masses and spins"
            )
        return np.column_stack([m1 / m2, c1, c2]), m1 + m2

    def _check_times(self, times: np.ndarray, ndim: int = 1) -> None:
        if times.ndim != ndim or not np.all(np.isfinite(times)):
            raise ConfigError("times must be a one-dimensional array of finite numbers, in M")
        if times.size and (times.min() < self.t_min or times.max() > self.t_max):
            raise DomainError(
                f"times run from {times.min():g} to {times.max():g} M: this model covers {self.t_min:g} to {self.t_max:g} M"
            )

    @cached_property
    def _devices(self) -> dict[Any, tuple[dict[str, torch.Tensor], torch.Tensor]]:
        return {}

    def _on(self, device: torch.device) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Tensors and slope matrix on `device`, kept."""
        import torch

        if device not in self._devices:
            tensors = {key: torch.as_tensor(value, device=device) for key, value in self._tensors.items()}
            self._devices[device] = tensors, torch.as_tensor(self._slope_matrix, device=device)
        return self._devices[device]


def load_surrogate(name_or_path: str | Path = DEFAULT) -> Surrogate:
    """A trained surrogate: a shipped one by name, or a folder written by `gwsml train surrogate`.

    Raises
    ------
    ArtifactError
        unknown name, foreign or damaged files
    """
    return Surrogate(*artifacts.load(name_or_path, "surrogate"))
