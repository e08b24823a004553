"""The posterior mean over a bank of waveforms as a layer of a network: a coarse search, then attention over its neighbours.

What `bank_denoiser` finds among all waveforms, at a tenth of the cost: one waveform in ten is tried at all times, and only the
relatives of those that fit best after it. Real arithmetic but for the transforms, so that it becomes part of an ONNX graph.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.denoise.signal.denoiser import DEFAULT, KIND
from gwsurrogate_ml.denoise.signal.segment import DURATION, SEARCH, frequencies
from gwsurrogate_ml.denoise.signal.waveform_bank import Bank
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.kernels import fft

N_TIME, OUTER, INNER = 2048, 64, 32
"""Times per segment at which waveforms are tried, and the factors in which their transform is done."""
FINE_HALF, FINE_STEP = 4e-3, 0.5e-3
"""Times of the last pass about each waveform's peak, s."""


class Projection(nn.Module):
    """Whitened spectrum and whitening of one segment to the posterior mean of a bank's waveforms.

    Parameters
    ----------
    waveforms : (n, n_f) complex64, on the denoiser's frequencies, peak at t = 0
    family : (n,) int
        index, into `heads`, of the waveform that stands for each in the coarse search
    heads : (n_heads,) int
    temperature : float, growth of the weights' temperature per squared SNR
    best : int, waveforms that are looked at closely
    """

    def __init__(self, waveforms: np.ndarray, family: np.ndarray, heads: np.ndarray, temperature: float, best: int) -> None:
        super().__init__()
        f = frequencies()
        self.first, self.temperature = round(f[0] * DURATION), temperature
        low, high = (round(t * N_TIME / DURATION) for t in SEARCH)
        self.low, self.high, self.n_best = low, high, min(best, len(waveforms))
        self.n_rows, self.skip = f.size // INNER, low % OUTER
        half = round(FINE_HALF / FINE_STEP)
        fine = 2.0 * np.pi * np.outer(f, FINE_STEP * np.arange(-half, half + 1))
        turns = 2.0 * np.pi * np.arange(N_TIME) / N_TIME
        arrays = {
            "real": waveforms.real, "imag": waveforms.imag,
            "heads_real": waveforms.real[heads], "heads_imag": waveforms.imag[heads],
            "heads_square": np.abs(waveforms[heads]) ** 2,
            "fine_cos": np.cos(fine), "fine_sin": np.sin(fine),
            "turn_cos": np.cos(turns), "turn_sin": np.sin(turns),
            **_steps(f.size, low, high),
        }  # fmt: skip
        for name, values in arrays.items():
            # The bank itself is kept elsewhere: nothing here is a weight of the network.
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values, np.float32)), persistent=False)
        self.register_buffer("family", torch.from_numpy(np.asarray(family, np.int64)), persistent=False)
        # Members of a family tie: earlier ones come first, in every runtime.
        order = torch.from_numpy((1.0 - 1e-6 * np.arange(len(waveforms))).astype(np.float32))
        self.register_buffer("order", order, persistent=False)
        far = self.first + INNER * np.arange(f.size // INNER)
        self.register_buffer("far", torch.from_numpy(far), persistent=False)
        self.register_buffer("near", torch.arange(INNER), persistent=False)

    def forward(self, real: Tensor, imag: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Posterior mean (n_f,), real and imaginary, and the largest SNR (), of a whitened spectrum (n_f,).

        Parameters
        ----------
        real, imag : (n_f,) float32, whitened spectrum, noise of variance DURATION / 2
        weight : (n_f,) float32, 1 / sqrt(psd), of order one at its largest
        """
        y_real, y_imag, square = real * weight, imag * weight, weight**2
        power = self._power(self.heads_real, self.heads_imag, y_real, y_imag)
        peaks = power.amax(dim=1) / (self.heads_square @ square)
        chosen = torch.topk(peaks[self.family] * self.order, self.n_best).indices
        h_real, h_imag = self.real[chosen], self.imag[chosen]
        at = self.low + torch.argmax(self._power(h_real, h_imag, y_real, y_imag), dim=1)
        # Waveforms moved to their peaks: exp(-2 pi i f t) is a look-up at times of the grid, and a product of coarse and fine.
        far, near = (torch.remainder(index[None] * at[:, None], N_TIME) for index in (self.far, self.near))
        c_far, s_far = self.turn_cos[far][:, :, None], self.turn_sin[far][:, :, None]
        c_near, s_near = self.turn_cos[near][:, None], self.turn_sin[near][:, None]
        cos = (c_far * c_near - s_far * s_near).reshape(h_real.shape)
        sin = (s_far * c_near + c_far * s_near).reshape(h_real.shape)
        norm = torch.rsqrt(4.0 / DURATION * ((h_real * h_real + h_imag * h_imag) @ square))
        g_real = (h_real * cos + h_imag * sin) * norm[:, None]
        g_imag = (h_imag * cos - h_real * sin) * norm[:, None]
        a = g_real * y_real + g_imag * y_imag
        b = g_real * y_imag - g_imag * y_real
        z_real = 4.0 / DURATION * (a @ self.fine_cos - b @ self.fine_sin)
        z_imag = 4.0 / DURATION * (a @ self.fine_sin + b @ self.fine_cos)
        power = z_real**2 + z_imag**2
        top = power.flatten().amax(dim=0)
        shape = torch.softmax((0.5 * (power - top) / (1.0 + self.temperature * top)).flatten(), 0)
        c_real, c_imag = shape.reshape(power.shape) * z_real, shape.reshape(power.shape) * z_imag
        # Sum over times of c exp(-2 pi i f tau), then over waveforms.
        s_real = c_real @ self.fine_cos.T + c_imag @ self.fine_sin.T
        s_imag = c_imag @ self.fine_cos.T - c_real @ self.fine_sin.T
        mean_real = (s_real * g_real - s_imag * g_imag).sum(dim=0) * weight
        mean_imag = (s_real * g_imag + s_imag * g_real).sum(dim=0) * weight
        return mean_real, mean_imag, torch.sqrt(top)

    def _power(self, h_real: Tensor, h_imag: Tensor, y_real: Tensor, y_imag: Tensor) -> Tensor:
        """Squared modulus (k, n_t), up to a factor, of the inner products with waveforms (k, n_f) in the search interval.

        An inverse Fourier transform in two steps, each a product of small matrices (Cooley and Tukey 1965): only what is
        needed is computed, and every runtime is fast at it.
        """
        # That the spectrum begins at the band's lowest frequency turns the phase, which is of no account here.
        real = (h_real * y_real + h_imag * y_imag).reshape(-1, self.n_rows, INNER)
        imag = (h_real * y_imag - h_imag * y_real).reshape(-1, self.n_rows, INNER)
        half = torch.matmul(self.outer, torch.cat([real, imag], dim=1))
        real, imag = half[:, :OUTER], half[:, OUTER:]
        turned = [real * self.twist_cos - imag * self.twist_sin, real * self.twist_sin + imag * self.twist_cos]
        z = torch.matmul(torch.cat(turned, dim=2), self.inner)
        n = z.shape[2] // 2
        power = z[..., :n] ** 2 + z[..., n:] ** 2
        return power.transpose(1, 2).reshape(-1, n * OUTER)[:, self.skip : self.skip + self.high - self.low]


def _steps(n_f: int, low: int, high: int) -> dict[str, np.ndarray]:
    """Matrices of a transform of N_TIME = OUTER INNER, frequencies k = INNER a + b to times n = c + OUTER d."""
    a, b, c = np.arange(n_f // INNER), np.arange(INNER), np.arange(OUTER)
    d = np.arange(low // OUTER, (high - 1) // OUTER + 1)
    outer, twist, inner = (2.0 * np.pi * np.outer(x, y) / n for x, y, n in ((c, a, OUTER), (c, b, N_TIME), (b, d, INNER)))
    return {
        "outer": np.block([[np.cos(outer), -np.sin(outer)], [np.sin(outer), np.cos(outer)]]),
        "twist_cos": np.cos(twist),
        "twist_sin": np.sin(twist),
        "inner": np.block([[np.cos(inner), np.sin(inner)], [-np.sin(inner), np.cos(inner)]]),
    }


class Families(NamedTuple):
    """A bank in families: `heads` (n_heads,) and, for every waveform, whose it is, `family` (n,), both int."""

    heads: np.ndarray
    family: np.ndarray


def families(waveforms: np.ndarray, psd: np.ndarray, n_heads: int) -> Families:
    """Heads by farthest-point choice under the match, and each waveform with the head that is most like it.

    Parameters
    ----------
    waveforms : (n, n_f) complex64
    psd : (n_f,)
    n_heads : int
    """
    white = waveforms * np.sqrt(psd.min() / psd).astype(np.float32)
    white /= np.linalg.norm(white, axis=1, keepdims=True)
    best, family, heads, head = np.full(len(white), -1.0), np.zeros(len(white), np.int64), [], 0
    for k in range(min(n_heads, len(white))):
        heads.append(head)
        match = _match(white, white[head])
        closer = match > best
        best[closer], family[closer] = match[closer], k
        head = int(np.argmin(best))
    return Families(np.array(heads), family)


def _match(white: np.ndarray, one: np.ndarray) -> np.ndarray:
    """Largest |inner product| over time shifts, (n,)."""
    out = np.empty(len(white))
    for first in range(0, len(white), 128):
        part = slice(first, first + 128)
        full = np.zeros((len(white[part]), N_TIME), np.complex64)
        full[:, : one.size] = white[part] * np.conj(one)
        out[part] = np.abs(fft.ifft(full)).max(axis=1) * N_TIME
    return out


def project(layer: Projection, white: np.ndarray, psd: np.ndarray) -> np.ndarray:
    """Posterior mean (n_f,) complex128, whitened, of a whitened spectrum (n_f,) in noise of a PSD (n_f,), up to a factor."""
    weight = np.sqrt(np.min(psd) / psd)
    with torch.inference_mode():
        real, imag, _ = layer(*(torch.from_numpy(x.astype(np.float32)) for x in (white.real, white.imag, weight)))
    return np.asarray(real.double().numpy() + 1j * imag.double().numpy())


def of_bank(name_or_path: str | Path, sha256: str | None = None) -> tuple[np.ndarray, str]:
    """Waveforms (n, n_f) complex64 of a denoiser by a bank, on the denoisers' frequencies, and the checksum of its weights.

    Raises
    ------
    ConfigError
        if that denoiser has no bank, or its checksum is not the one given
    """
    card, tensors = artifacts.load(name_or_path, KIND)
    if card.get("method", "bank") != "bank":
        raise ConfigError(f"{name_or_path} is a denoiser by {card['method']}: name one by a bank, such as {DEFAULT}")
    if sha256 not in (None, card["weights_sha256"]):
        raise ConfigError(f"{name_or_path} holds another bank than the network was trained with: train it again")
    return Bank.of(tensors).evaluate(frequencies()), card["weights_sha256"]
