"""The trigger network on days of strain: products of matrices in float32, which holds integers of 24 bits exactly."""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.trigger.integer import IntegerNetwork
from gwsurrogate_ml.trigger.network import TriggerNetwork

BLOCK = 8192
CLIP = 8.0
"""Standard deviations to which the float network's input is cut, as that of 6 bits: loud glitches would score without bound."""


class Filter:
    """Scores of a network, in pieces of BLOCK, without those of the first `receptive_field` - 1 samples."""

    def __init__(self, network: IntegerNetwork | TriggerNetwork) -> None:
        self.layers: list[tuple[np.ndarray, np.ndarray, int, np.ndarray | None, int | None]]
        if isinstance(network, IntegerNetwork):
            self.form = network.input
            self.layers = [
                (a.weight.astype(np.float32), a.bias.astype(np.float32), a.dilation, (2.0**-a.shift).astype(np.float32), a.bits)
                for a in network.layers
            ]
        else:
            self.form = None
            self.layers = [(a.weight.detach().numpy(), a.bias.detach().numpy(), a.dilation, None, None) for a in network.layers]
        self.parameters = sum(w.size + b.size for w, b, *_ in self.layers)
        self.reach = sum((w.shape[2] - 1) * d for w, _, d, _, _ in self.layers)

    def __call__(self, white: np.ndarray) -> np.ndarray:
        """Scores (n - reach,) float32 of whitened strain (2, n)."""
        n = white.shape[1] - self.reach
        scores = np.empty(n, np.float32)
        for first in range(0, n, BLOCK):
            size = min(BLOCK, n - first)
            h = white[:, first : first + size + self.reach]
            h = np.clip(h, -CLIP, CLIP, dtype=np.float32) if self.form is None else self.form.integers(h).astype(np.float32)
            for w, b, dilation, scale, bits in self.layers[:-1]:
                h = _sums(h, w, b, dilation)
                if scale is None or bits is None:
                    np.maximum(h, 0, out=h)
                else:
                    np.clip(np.floor(h * scale[:, None] + np.float32(0.5)), 0, 2**bits - 1, out=h)
            scores[first : first + size] = _sums(h, *self.layers[-1][:3])[0]
        return scores


def _sums(h: np.ndarray, w: np.ndarray, b: np.ndarray, dilation: int) -> np.ndarray:
    n_out, _, kernel = w.shape
    m = h.shape[1] - (kernel - 1) * dilation
    taps = np.concatenate([h[:, i * dilation : i * dilation + m] for i in range(kernel)])
    return np.asarray(w.transpose(0, 2, 1).reshape(n_out, -1) @ taps + b[:, None])
