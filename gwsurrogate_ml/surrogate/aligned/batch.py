"""Many aligned waveforms at the knots in torch, differentiable in their parameters: `compiled.at_knots` with gradients."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from gwsurrogate_ml.surrogate.aligned import higher, predictor
from gwsurrogate_ml.surrogate.aligned.coordinates import split
from gwsurrogate_ml.surrogate.aligned.inspiral import Inspiral
from gwsurrogate_ml.waveform.spline import slope_matrix
from gwsurrogate_ml.waveform.spline_torch import hermite, turned_modes

if TYPE_CHECKING:
    from gwsurrogate_ml.surrogate.aligned.modes import AlignedModes


class TorchKnots(NamedTuple):
    """N waveforms at the knots in torch: `compiled.Knots` with the parts of all modes.

    Parameters
    ----------
    knots : (n,) float64, M
        those of the model, or with the early inspiral's before them
    phase, phase_slope : (N, n) float64
        of the (2,2) mode, additive constant arbitrary
    phase_at_peak, shift : (N, 1) float64
        the phase there, and where it is (M)
    parts, part_slopes : (N, n_modes, 2, n) float64
        real and imaginary parts in the co-orbital frame
    """

    knots: torch.Tensor
    phase: torch.Tensor
    phase_slope: torch.Tensor
    phase_at_peak: torch.Tensor
    shift: torch.Tensor
    parts: torch.Tensor
    part_slopes: torch.Tensor


def _uphill(values: torch.Tensor, centre: int) -> torch.Tensor:
    """Column (N, 1) of the maximum of `values` (N, n) to which the way from column `centre` leads uphill, as `compiled` walks."""
    reach = predictor.PEAK_REACH
    steps = values[:, centre - reach : centre + reach + 1].diff(dim=1)
    right = (steps[:, reach:] > 0).long().cumprod(1).sum(1, keepdim=True)
    left = (steps[:, :reach] < 0).flip(1).long().cumprod(1).sum(1, keepdim=True)
    return centre + right - (right == 0) * left


class BatchKnots:
    """A mode model of aligned spins on one device.

    Parameters
    ----------
    model : AlignedModes
    device : torch.device
    """

    def __init__(self, model: AlignedModes, device: torch.device) -> None:
        self.model, self.device = model, device
        self._tensors = {key: self._tensor(value) for key, value in model.tensors.items()}
        # The other modes' basis with its slopes, (n_modes - 1, n_basis, 4 n_knots).
        self._basis = self._tensor(model.tables.higher_basis).transpose(1, 2).flatten(2).contiguous()
        self._slope_matrices: dict[int, torch.Tensor] = {}

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.array(array, order="C"), dtype=torch.float64, device=self.device)

    def at_knots(self, parameters: torch.Tensor, since: float = 0.0) -> TorchKnots:
        """The waveforms of `parameters` (N, 3) float64 at the knots; at those of the early inspiral too, if there is one, where
        `since` (M from a peak) lies there."""
        model, knots, n = self.model, self._tensors["knots"], len(parameters)
        log_amplitude, phase = predictor.log_amplitude_and_phase(parameters, self._tensors, model.degree, torch)
        amplitude = torch.exp(log_amplitude)
        first = torch.stack([phase, amplitude], 1)
        first_slopes = self.slopes(first)
        parts, slopes = (torch.stack([x, torch.zeros_like(x)], 1)[:, None] for x in (amplitude, first_slopes[:, 1]))
        reach = slice(model.tables.centre - predictor.PEAK_REACH - 2, model.tables.centre + predictor.PEAK_REACH + 3)
        log_total = log_amplitude[:, reach]
        if len(model.modes) > 1:
            found = higher.coefficients(parameters, self._tensors, model.degree, model.modes[1:], torch)
            found = found * (split(parameters)[0] ** 0.75)[:, :, None]
            both = torch.einsum("nmb,mbk->nmk", found, self._basis).reshape(n, -1, 2, 2, len(knots))
            parts, slopes = torch.cat([parts, both[:, :, 0]], 1), torch.cat([slopes, both[:, :, 1]], 1)
            log_total = 0.5 * torch.log((parts[..., reach] ** 2).sum((1, 2)))
        peak = _uphill(log_total.detach(), predictor.PEAK_REACH + 2)
        near = log_total.gather(1, peak + torch.arange(-2, 3, device=peak.device))
        shift = knots[reach][peak] + predictor.peak_shift(*near.split(1, dim=1))
        at_peak = hermite(knots, first[:, :1], first_slopes[:, :1], shift)[:, 0]
        k = TorchKnots(knots, phase, first_slopes[:, 0], at_peak, shift, parts, slopes)
        early = model.inspiral
        return self._with_early(k, parameters, early) if early and bool((since + shift < knots[0]).any()) else k

    def _with_early(self, k: TorchKnots, parameters: torch.Tensor, inspiral: Inspiral) -> TorchKnots:
        """The waveforms `k` of `parameters` with their early inspirals before them."""
        tensors, to_slopes = self._early
        phase, log_amplitude, more = inspiral.rows(parameters, tensors, torch)
        phase, amplitude = phase + k.phase[:, :1], torch.exp(log_amplitude)
        parts = torch.cat([torch.stack([amplitude, torch.zeros_like(amplitude)], 1)[:, None], more], 1)

        def joined(early: torch.Tensor, late: torch.Tensor) -> torch.Tensor:
            return torch.cat([early[..., : inspiral.n_early], late], -1)

        return TorchKnots(
            torch.cat([tensors["knots"][: inspiral.n_early], k.knots]),
            joined(phase, k.phase),
            joined(phase @ to_slopes, k.phase_slope),
            k.phase_at_peak,
            k.shift,
            joined(parts, k.parts),
            joined(parts @ to_slopes, k.part_slopes),
        )

    @cached_property
    def _early(self) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Tensors of the early inspiral, and what turns values at its knots into slopes."""
        assert self.model.inspiral
        tensors = {key: self._tensor(value) for key, value in self.model.inspiral.tensors.items()}
        return tensors, self._tensor(slope_matrix(self.model.inspiral.knots).T)

    def slopes(self, values: torch.Tensor) -> torch.Tensor:
        """Slopes of the splines through `values` (..., n) at the knots, or at all with the early inspiral's before them."""
        n = values.shape[-1]
        if n not in self._slope_matrices:
            knots = self.model.knots if n == len(self.model.knots) else self.model.all_knots
            self._slope_matrices[n] = self._tensor(slope_matrix(knots).T)
        return values @ self._slope_matrices[n]

    def modes(self, parameters: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """See `AlignedModes.batch`; `parameters` and `times` float64."""
        k = self.at_knots(parameters, float(times.detach().min()) if times.numel() else 0.0)
        at = times.expand(len(parameters), -1) + k.shift
        phase = hermite(k.knots, k.phase[:, None], k.phase_slope[:, None], at)[:, 0] - k.phase_at_peak
        orders = torch.as_tensor(self.model.tables.orders, device=self.device)
        return turned_modes(k.knots, orders, k.parts, k.part_slopes, at, 0.5 * phase)
