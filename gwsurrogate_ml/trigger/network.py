"""The trigger network in torch: causal dilated convolutions on two detectors' whitened strain, trained with quantisation.

Quantisation-aware training (Jacob et al. 2018, arXiv:1712.05877): forward in fixed point, to the bit as `integer.IntegerNetwork`,
backward straight through the roundings and blocked by saturation. Weights' scales are powers of two, one a channel; activations
are whole numbers, since channels are brought to the same range first.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.settings import Strict
from gwsurrogate_ml.trigger.fixed import Format
from gwsurrogate_ml.trigger.integer import IntegerLayer, IntegerNetwork

BITS = (3, 8)
"""Fewest and most bits of inputs, weights and activations, which have no sign."""
BEYOND = 5e-4
"""Share of a channel's activations that saturate."""


class LayerSettings(Strict):
    """One convolution: output channels, taps, and samples between taps."""

    channels: int = Field(ge=1, le=64)
    kernel: int = Field(ge=1, le=64)
    dilation: int = Field(default=1, ge=1, le=64)


STREAM = (
    LayerSettings(channels=6, kernel=12),
    LayerSettings(channels=6, kernel=6, dilation=4),
    LayerSettings(channels=6, kernel=5, dilation=16),
    LayerSettings(channels=1, kernel=1),
)
"""565 parameters that see 96 samples."""


def fixed(x: Tensor, fraction: Tensor | int, low: int, high: int) -> Tensor:
    """`x` rounded half up to multiples of 2^-fraction and saturated; its gradient is 1 inside the range, 0 beyond."""
    scale = torch.exp2(torch.as_tensor(fraction, dtype=x.dtype))
    inside = torch.clamp(x, low / scale, high / scale)
    return inside + (torch.floor(inside * scale + 0.5) / scale - inside).detach()


class Layer(nn.Module):
    """A causal convolution, with nothing (0) before the first sample.

    Parameters
    ----------
    n_in : int
    settings : LayerSettings
    last : bool
        without rectifier and activation format
    """

    weight_fraction: Tensor

    def __init__(self, n_in: int, settings: LayerSettings, last: bool) -> None:
        super().__init__()
        self.dilation, self.last = settings.dilation, last
        size = n_in * settings.kernel
        self.weight = nn.Parameter(torch.randn(settings.channels, n_in, settings.kernel) * (2.0 / size) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(settings.channels))
        self.register_buffer("weight_fraction", torch.zeros(settings.channels))

    @property
    def span(self) -> int:
        """Samples from the first to the last that an output sees."""
        return int((self.weight.shape[2] - 1) * self.dilation + 1)

    def sums(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Sums (n_out, batch, n - span + 1) of x (n_in, batch, n): one product of matrices."""
        n, kernel = x.shape[2] - self.span + 1, weight.shape[2]
        taps = torch.stack([x[..., i * self.dilation : i * self.dilation + n] for i in range(kernel)])
        flat = weight.permute(0, 2, 1).reshape(weight.shape[0], -1)
        return torch.addmm(bias[:, None], flat, taps.reshape(flat.shape[1], -1)).reshape(-1, x.shape[1], n)

    def fixed_parameters(self, bits: int, fraction: int) -> tuple[Tensor, Tensor]:
        """Weight and bias in fixed point, for an input of that fraction."""
        edge = 2 ** (bits - 1)
        weight = fixed(self.weight, self.weight_fraction[:, None, None], -edge, edge - 1)
        return weight, fixed(self.bias, self.weight_fraction + fraction, -(2**20), 2**20)


class TriggerNetwork(nn.Module):
    """Score of a binary's merger at each sample of two detectors' whitened strain.

    Parameters
    ----------
    layers : sequence of LayerSettings
    n_inputs : int, detectors
    bits : int or None
        of inputs and weights; None computes in float32

    Raises
    ------
    ConfigError
        for another number of bits, or a last layer of more than one channel
    """

    def __init__(self, layers: tuple[LayerSettings, ...] = STREAM, n_inputs: int = 2, bits: int | None = None) -> None:
        super().__init__()
        if bits is not None and not BITS[0] <= bits <= BITS[1]:
            raise ConfigError(f"bits is {bits}: networks of {BITS[0]} to {BITS[1]} bits are supported")
        if layers[-1].channels != 1:
            raise ConfigError(f"the last layer has {layers[-1].channels} channels: it gives the score, one")
        self.settings, self.n_inputs, self.bits = layers, n_inputs, bits
        sizes = [n_inputs, *(layer.channels for layer in layers)]
        self.layers = nn.ModuleList(Layer(n, layer, layer is layers[-1]) for n, layer in zip(sizes, layers, strict=False))

    @property
    def input(self) -> Format:
        """Format of the input: to 8 standard deviations with 6 bits and more, to 4 with fewer."""
        if self.bits is None:
            raise ConfigError("the network computes in float32: it has no input format, quantise it first")
        return Format(self.bits, self.bits - (4 if self.bits >= 6 else 3), True)

    @property
    def receptive_field(self) -> int:
        """Samples that a score depends on."""
        return 1 + sum(layer.span - 1 for layer in self.layers)

    def quantise(self, white: np.ndarray) -> np.ndarray:
        """Whitened strain in the input's integers, int64."""
        return self.input.integers(white)

    def forward(self, x: Tensor, padded: bool = False) -> Tensor:
        """Scores (batch, n) of whitened strain (batch, n_inputs, n) float32.

        Parameters
        ----------
        x : Tensor
        padded : bool
            each layer sees zeros before the first sample, as a stream does at its start; otherwise only the
            n - receptive_field + 1 scores are given that need none
        """
        h = x.transpose(0, 1)
        fraction = 0
        if self.bits is not None:
            form = self.input
            h, fraction = _fixed_input(h, form), form.fraction
        for layer in self.layers:
            if padded:
                h = nn.functional.pad(h, (layer.span - 1, 0))
            h, fraction = self._layer(layer, h, fraction)
        return h[0]

    def _layer(self, layer: Any, h: Tensor, fraction: int) -> tuple[Tensor, int]:
        """Output of one layer and its fraction."""
        if self.bits is None:
            total = layer.sums(h, layer.weight, layer.bias)
            return (total if layer.last else torch.relu(total)), 0
        total = layer.sums(h, *layer.fixed_parameters(self.bits, fraction))
        if layer.last:
            return total, fraction
        return fixed(total, 0, 0, 2**self.bits - 1), 0

    @torch.no_grad()
    def equalised(self, x: Tensor, top: int) -> TriggerNetwork:
        """The same float network with hidden channels of the same range: `top` is where all but `BEYOND` of each lie on strain x.

        A rectifier passes a positive factor on: what multiplies a channel divides the next layer's weights for it (cross-layer
        equalisation, Nagel et al. 2019, arXiv:1906.04721).
        """
        other = copy.deepcopy(self)
        h = x.transpose(0, 1)
        for layer, after in pairwise(other.layers):
            made = torch.relu(layer.sums(h, layer.weight, layer.bias))
            high = torch.quantile(made.flatten(1), 1 - BEYOND, dim=1)
            factor = torch.where(high > 0, top / high, 1.0)
            layer.weight *= factor[:, None, None]
            layer.bias *= factor
            after.weight /= factor[:, None]
            h = made * factor[:, None, None]
        return other

    @torch.no_grad()
    def quantised(self, bits: int, x: Tensor) -> TriggerNetwork:
        """A network of `bits` bits that starts from this float one, its scales chosen on strain x (batch, n_inputs, n)."""
        other = TriggerNetwork(self.settings, self.n_inputs, bits)
        form = other.input
        kept = x.clamp(form.low * 2.0**-form.fraction, form.high * 2.0**-form.fraction)
        other.load_state_dict(self.equalised(kept, 2**bits - 1).state_dict())
        for layer in other.layers:
            layer.weight_fraction = _weight_fractions(layer.weight, bits)
        return other

    @torch.no_grad()
    def integers(self) -> IntegerNetwork:
        """The same network in integers.

        Raises
        ------
        ConfigError
            if it computes in float32
        """
        form = self.input
        fraction, found = form.fraction, []
        assert self.bits is not None
        for number, layer in enumerate(self.layers, start=1):
            weight, bias = layer.fixed_parameters(self.bits, fraction)
            ours = layer.weight_fraction.double()
            lattice = ours + fraction
            out = float(lattice[0]) if layer.last else 0.0
            found.append(
                IntegerLayer(
                    f"layer{number}",
                    _whole(weight.double() * torch.exp2(ours)[:, None, None]),
                    _whole(bias.double() * torch.exp2(lattice)),
                    layer.dilation,
                    _whole(lattice - out),
                    None if layer.last else self.bits,
                )
            )
            fraction = int(out)
        return IntegerNetwork(found, form, fraction)


def _fixed_input(x: Tensor, form: Format) -> Tensor:
    """Strain in the input's format, as `Format.integers` rounds it: just below a half, x + 1/2 in float32 is a whole."""
    return fixed(x.double(), form.fraction, form.low, form.high).to(x.dtype)


def _whole(x: Tensor) -> np.ndarray:
    return np.rint(x.numpy()).astype(np.int64)


def _weight_fractions(weight: Tensor, bits: int) -> Tensor:
    """For each output channel the fraction (n_out,) with the smallest squared error of its weights."""
    edge = 2 ** (bits - 1)
    top = torch.floor(torch.log2(weight.abs().amax(dim=(1, 2)).clamp(min=2.0**-8)))
    candidates = torch.stack([bits - 1 - top + shift for shift in (-1, 0, 1, 2)])
    error = torch.stack([(fixed(weight, f[:, None, None], -edge, edge - 1) - weight).square().sum((1, 2)) for f in candidates])
    return candidates.gather(0, error.argmin(0)[None])[0]
