"""The quantised network in integers, which hardware computes to the bit: the reference of every implementation.

A layer is a causal convolution, ``a[o, t] = b[o] + sum_{c, i} w[o, c, i] x[c, t - (k - 1 - i) d]``, with nothing (0) before the
first sample. A hidden layer then drops ``shift`` bits, rounding half up, and saturates to ``0 ... 2^bits - 1``, which holds the
rectifier. The last layer's sum is the score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import ArtifactError, ConfigError, DataError
from gwsurrogate_ml.trigger.fixed import Format


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """One causal convolution in integers.

    Parameters
    ----------
    name : str
    weight : (n_out, n_in, kernel) int64
    bias : (n_out,) int64, in units of the sum
    dilation : int
    shift : (n_out,) int64
        bits that the sum has more than the output; negative: fewer
    bits : int or None
        of the output, without sign; None for the last layer
    """

    name: str
    weight: np.ndarray
    bias: np.ndarray
    dilation: int
    shift: np.ndarray
    bits: int | None

    @property
    def span(self) -> int:
        """Samples from the first to the last that an output sees."""
        return (self.weight.shape[2] - 1) * self.dilation + 1

    def sums(self, x: np.ndarray) -> np.ndarray:
        """Sums (n_out, n) int64 of x (n_in, n) int64."""
        n, kernel = x.shape[1], self.weight.shape[2]
        padded = np.concatenate([np.zeros((x.shape[0], self.span - 1), np.int64), x], axis=1)
        total = np.repeat(self.bias[:, None], n, axis=1)
        for i in range(kernel):
            total += self.weight[:, :, i] @ padded[:, i * self.dilation : i * self.dilation + n]
        return total

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Outputs (n_out, n) int64 of x (n_in, n) int64."""
        total, shift = self.sums(x), self.shift[:, None]
        right = np.maximum(shift, 0)
        half = np.where(shift > 0, 1 << np.maximum(right - 1, 0), 0)
        shifted = ((total + half) >> right) << np.maximum(-shift, 0)
        return shifted if self.bits is None else np.clip(shifted, 0, 2**self.bits - 1)


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """Layers, and the format of what goes in.

    Parameters
    ----------
    layers : sequence of IntegerLayer
    input : Format, of each detector's whitened strain
    fraction : int, of the score
    """

    layers: Sequence[IntegerLayer]
    input: Format
    fraction: int

    @property
    def n_inputs(self) -> int:
        """Detectors."""
        return int(self.layers[0].weight.shape[1])

    @property
    def receptive_field(self) -> int:
        """Samples that a score depends on."""
        return 1 + sum(layer.span - 1 for layer in self.layers)

    @property
    def n_parameters(self) -> int:
        """Weights and biases."""
        return sum(layer.weight.size + layer.bias.size for layer in self.layers)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Scores (n,) int64 of quantised strain (n_detectors, n) int64, the stream's history before it being zero.

        Raises
        ------
        DataError
            for another shape, or numbers that are not of the input's format: hardware would wrap them
        """
        if np.ndim(x) != 2 or len(x) != self.n_inputs:
            raise DataError(f"the input has shape {np.shape(x)}: it is to be ({self.n_inputs}, n), a row for each detector")
        self.input.require(x)
        h = np.asarray(x, np.int64)
        for layer in self.layers:
            h = layer(h)
        return h[0]

    def tensors(self) -> dict[str, np.ndarray]:
        """Arrays for an artefact, int32."""
        return {
            f"{layer.name}.{what}": getattr(layer, what).astype(np.int32)
            for layer in self.layers
            for what in ("weight", "bias", "shift")
        }

    def description(self) -> dict[str, Any]:
        """The rest of what an artefact needs, JSON."""
        return {
            "input": self.input._asdict(),
            "fraction": self.fraction,
            "layers": [{"name": layer.name, "dilation": layer.dilation, "bits": layer.bits} for layer in self.layers],
        }

    @classmethod
    def of(cls, about: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> IntegerNetwork:
        """From what `description` and `tensors` gave.

        Raises
        ------
        ArtifactError
            if something is missing or does not fit
        """
        try:
            layers = [
                IntegerLayer(
                    row["name"],
                    tensors[f"{row['name']}.weight"].astype(np.int64),
                    tensors[f"{row['name']}.bias"].astype(np.int64),
                    int(row["dilation"]),
                    tensors[f"{row['name']}.shift"].astype(np.int64),
                    row["bits"],
                )
                for row in about["layers"]
            ]
            network = cls(layers, Format(**about["input"]), int(about["fraction"]))
            require_chain(network)
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            raise ArtifactError(
                f"the trigger network is not whole ({error}): restore the card that came with the weights"
            ) from error
        return network


def require_chain(network: IntegerNetwork) -> None:
    """Raise ConfigError, naming the layer, unless the layers hold whole numbers, follow one another and end in one score."""
    if not network.layers:
        raise ConfigError("the network has no layers: give at least one, with one output")
    n = network.n_inputs
    for layer in network.layers:
        if not isinstance(layer, IntegerLayer):
            raise ConfigError(f"{type(layer).__name__} is no layer in integers: `Trigger.network` of load_trigger has such layers")
        for what, numbers in (("weights", layer.weight), ("biases", layer.bias), ("shifts", layer.shift)):
            if np.asarray(numbers).dtype.kind not in "iu":
                raise ConfigError(f"layer {layer.name!r} has {what} that are no whole numbers: quantise the network")
        if int(layer.dilation) != layer.dilation or layer.dilation < 1:
            raise ConfigError(f"layer {layer.name!r} has a dilation of {layer.dilation}: samples between taps are 1 or more")
        if layer.weight.ndim != 3 or layer.weight.shape[1] != n:
            raise ConfigError(f"layer {layer.name!r} takes {layer.weight.shape[1:2]} channels, {n} come: mend the network")
        n = layer.weight.shape[0]
        if layer.bias.shape != (n,) or layer.shift.shape != (n,):
            raise ConfigError(f"layer {layer.name!r} has {n} outputs and {layer.bias.size} biases: mend the network")
    if n != 1 or network.layers[-1].bits is not None or any(layer.bits is None for layer in network.layers[:-1]):
        raise ConfigError(f"layer {network.layers[-1].name!r} must be the only one without activation and have one output")
