"""The surrogate in geometric units: modes of one binary in numpy, of many in torch, and the error estimate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.conventions import ModeKey, require_q
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.surrogate import higher
from gwsurrogate_ml.surrogate.domain import check_parameters
from gwsurrogate_ml.surrogate.predictor import log_amplitude_and_phase, peak_shift
from gwsurrogate_ml.surrogate.uncertainty import ErrorEstimate, expected_mismatch, mode_spread
from gwsurrogate_ml.waveform.modes import Modes
from gwsurrogate_ml.waveform.spline import (
    hermite,
    hermite_modes,
    hermite_torch,
    slope_matrix,
    slopes,
)

if TYPE_CHECKING:
    import torch


def _compact(key: str, value: np.ndarray) -> np.ndarray:
    """Network weights as float32 where that loses nothing (they were trained so): one waveform's time goes into reading them."""
    single = value.astype(np.float32) if ".weight" in key else value
    return single if np.array_equal(single, value) else value


@dataclass(frozen=True)
class Knots:
    """N waveforms at the knots: amplitude and phase of (2,2) with slopes (N, n_knots), the peak's time (N,), and the real and
    imaginary parts of the other modes in the co-orbital frame (N, n_modes - 1, 2, n_knots)."""

    amplitude: np.ndarray
    amplitude_slope: np.ndarray
    phase: np.ndarray
    phase_slope: np.ndarray
    shift: np.ndarray
    higher: np.ndarray


class GeometricSurrogate:
    """Modes in units of the total mass; `model.Surrogate` adds the calls in physical units.

    Parameters
    ----------
    card : dict
        parameter ranges, modes, training data, metrics: `info`
    tensors : dict of arrays
        knots, bases, networks
    """

    def __init__(self, card: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
        self.info = card
        self.modes: tuple[ModeKey, ...] = tuple((int(l), int(m)) for l, m in card["modes"])
        self._tensors = {key: _compact(key, np.asarray(value, dtype=np.float64)) for key, value in tensors.items()}
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
            `t` in M; `modes[l, m]` complex128 (n,)

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
        return Modes(times, dict(zip(self.modes, self._at_times(k, 0, times), strict=True)))

    def batch(self, parameters: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Modes of many binaries in torch, on the device of `parameters`, differentiable in parameters and times.

        On a CPU, where no gradient is asked for, compiled code gives the same numbers to rounding in a fraction of the time.

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
        wanted = torch.is_grad_enabled() and (parameters.requires_grad or times.requires_grad)
        if parameters.device.type == "cpu" and not wanted:
            k = self._at_knots(parameters.detach().to(dtype).numpy())
            rows = times.detach().to("cpu", dtype).expand(len(parameters), -1).numpy()
            result = np.empty((len(parameters), len(self.modes), rows.shape[1]), dtype=np.complex128)
            for i, row in enumerate(rows):
                self._at_times(k, i, row, result[i])
            return torch.from_numpy(result)
        tensors, to_slopes = self._on(parameters.device)
        log_amplitude, phase = log_amplitude_and_phase(parameters.to(dtype), tensors, self._degree, torch)
        more = self._higher(parameters.to(dtype), tensors, torch)
        shift = peak_shift(self._log_total(log_amplitude, more, torch), self._centre)
        knots = tensors["knots"]
        at = times.to(dtype).expand(len(parameters), -1) + shift

        def spline(values: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
            return hermite_torch(knots, values, values @ to_slopes, where)

        angle = spline(phase, at) - spline(phase, shift)
        out = [torch.polar(spline(torch.exp(log_amplitude), at), -angle)]
        for j, (_, m) in enumerate(self.modes[1:]):
            turn = torch.polar(torch.ones_like(angle), -0.5 * m * angle)
            out.append(torch.complex(spline(more[:, j, 0], at), spline(more[:, j, 1], at)) * turn)
        return torch.stack(out, 1)

    def error_estimate(self, q: float, chi1: float, chi2: float, **unknown: object) -> ErrorEstimate:
        """What the model expects its own error to be for one binary; see `uncertainty`.

        Parameters
        ----------
        q, chi1, chi2 : float, as for a waveform

        Returns
        -------
        ErrorEstimate
            expected mismatch to numerical relativity, its 90 % bound, and the networks' spread in each higher mode

        Raises
        ------
        ConfigError
            if the model was trained without numerical relativity, or before it kept what the estimate needs
        DomainError
            as for a waveform
        """
        parameters = np.array([[float(require_q(q, unknown)), float(chi1), float(chi2)]])
        check_parameters(parameters, self.info["ranges"])
        factor = self.info.get("error_factor_90")
        if factor is None:
            raise ConfigError(
                f"the model {self.info['name']!r} carries no error estimate: train it anew with an NR table (--set nr=FILE)"
            )
        expected = float(expected_mismatch(parameters, self._tensors)[0])
        spread = (
            mode_spread(parameters, self._tensors, self._degree, self.modes[1:])[0]
            if len(self.modes) > 1
            else np.empty(0)
        )
        return ErrorEstimate(expected, factor * expected, dict(zip(self.modes[1:], spread.tolist(), strict=True)))

    def _higher(self, parameters: Any, tensors: dict[str, Any], xp: Any) -> Any:
        """Real and imaginary parts (N, n_modes - 1, 2, n_knots) of the modes beside (2,2), co-orbital."""
        if len(self.modes) == 1:
            return xp.zeros((len(parameters), 0, 2, len(self.knots)))
        return higher.coorbital(parameters, tensors, self._degree, self.modes[1:], xp)

    @staticmethod
    def _log_total(log_amplitude: Any, more: Any, xp: Any) -> Any:
        """log of sqrt(sum of |h_lm|^2), (N, n_knots): what peaks at t = 0."""
        if more.shape[1] == 0:
            return log_amplitude
        return 0.5 * xp.log(xp.exp(2.0 * log_amplitude) + (more**2).sum((1, 2)))

    def _at_knots(self, parameters: np.ndarray) -> Knots:
        """The waveforms of `parameters` (N, 3) at the knots, phase 0 at the peak."""
        check_parameters(parameters, self.info["ranges"])
        log_amplitude, phase = log_amplitude_and_phase(parameters, self._tensors, self._degree)
        more = self._higher(parameters, self._tensors, np)
        shift = peak_shift(self._log_total(log_amplitude, more, np), self._centre)[:, 0]
        amplitude = np.exp(log_amplitude)
        slope = slopes(self.knots, np.concatenate([phase, amplitude]))
        phase_slope, amplitude_slope = slope[: len(phase)], slope[len(phase) :]
        at_peak = [hermite(self.knots, p, s, x) for p, s, x in zip(phase, phase_slope, shift[:, None], strict=True)]
        phase = phase - np.reshape(at_peak, (-1, 1))
        return Knots(amplitude, amplitude_slope, phase, phase_slope, shift, more)

    def _at_times(self, k: Knots, i: int, times: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Modes (n_modes, n) complex128 of the i-th waveform of `k` at `times` (n,) in M from its peak."""
        out = np.empty((len(self.modes), len(times)), dtype=np.complex128) if out is None else out
        n = len(self.knots)
        parts, part_slopes = np.zeros((2, len(self.modes), 2, n))
        parts[0, 0], part_slopes[0, 0] = k.amplitude[i], k.amplitude_slope[i]
        parts[1:], part_slopes[1:] = k.higher[i], slopes(self.knots, k.higher[i].reshape(-1, n)).reshape(-1, 2, n)
        orders = np.array([m for _, m in self.modes], dtype=np.int64)
        hermite_modes(self.knots, k.phase[i], k.phase_slope[i], orders, parts, part_slopes, times + k.shift[i], out)
        return out

    def _lowest_omega(self, k: Knots) -> np.ndarray:
        """Angular frequency (rad / M) of the (2,2) mode at the earliest usable knot, (N,)."""
        return k.phase_slope[:, np.searchsorted(self.knots, self.t_min, side="right")]

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
            tensors = {
                key: torch.as_tensor(value, dtype=torch.float64, device=device) for key, value in self._tensors.items()
            }
            self._devices[device] = tensors, torch.as_tensor(self._slope_matrix, device=device)
        return self._devices[device]
