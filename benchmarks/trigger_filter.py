"""The trigger network on days of strain: its convolutions compiled, in float32, which holds integers of 24 bits exactly."""

from __future__ import annotations

import numba
import numpy as np

from gwsurrogate_ml.trigger.integer import IntegerNetwork
from gwsurrogate_ml.trigger.network import TriggerNetwork

BLOCK = 4096
CLIP = 8.0
"""Standard deviations to which the float network's input is cut, as that of 6 bits: loud glitches would score without bound."""


@numba.njit(fastmath=False, cache=False)
def _layer(x: np.ndarray, y: np.ndarray, w: np.ndarray, b: np.ndarray, dilation: int, n: int) -> None:
    for o in range(w.shape[0]):
        out = y[o, :n]
        out[:] = b[o]
        for c in range(w.shape[1]):
            for i in range(w.shape[2]):
                v = w[o, c, i]
                first = i * dilation
                row = x[c, first : first + n]
                for t in range(n):
                    out[t] += v * row[t]


def _activate(y: np.ndarray, shift: np.ndarray | None, bits: int | None) -> None:
    if shift is not None and bits is not None:
        scale = (2.0 ** -shift[:, None]).astype(np.float32)
        np.floor(y * scale + np.float32(0.5), out=y)
        np.clip(y, 0, 2**bits - 1, out=y)
    elif bits != 0:
        np.maximum(y, 0, out=y)


class Filter:
    """Scores of a network, in pieces of BLOCK, without those of the first `receptive_field` - 1 samples."""

    def __init__(self, network: IntegerNetwork | TriggerNetwork) -> None:
        if isinstance(network, IntegerNetwork):
            self.form = network.input
            self.layers = [
                (a.weight.astype(np.float32), a.bias.astype(np.float32), a.dilation, a.shift, a.bits or 0) for a in network.layers
            ]
        else:
            self.form = None
            state = [(a.weight.detach().numpy(), a.bias.detach().numpy(), a.dilation, a.last) for a in network.layers]
            self.layers = [(w, b, d, None, 0 if last else None) for w, b, d, last in state]
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
            for w, b, dilation, shift, bits in self.layers:
                m = h.shape[1] - (w.shape[2] - 1) * dilation
                y = np.empty((w.shape[0], m), np.float32)
                _layer(h, y, w, b, dilation, m)
                last = bits == 0
                if not last:
                    _activate(y, shift, bits)
                h = y
            scores[first : first + size] = h[0]
        return scores
