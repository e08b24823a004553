"""The signal autoencoder: analysis and synthesis filters, long and short, about a stack of dilated convolutions with skips.

Frames as in Conv-TasNet (Luo and Mesgarani 2019, arXiv:1809.07454). The long filters begin as the principal components of whitened
signals about their peak, so that one frame holds nearly all of a merger; the short ones as a windowed Fourier transform. Dilated
convolutions decide in these coefficients what belongs to a signal. Nothing is normalised on the way: amplitudes survive.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

RATE, BAND_END = 2048, 480
"""Sampling rate and upper end of the band, Hz."""
SIGMA_FLOOR = 1e-3
"""Least standard deviation that is predicted, in those of the noise."""


class Output(NamedTuple):
    """What the network says of whitened strain (batch, n).

    Parameters
    ----------
    signal, sigma : (batch, n) float32
    presence : (batch, frames), logit that a signal's peak lies about the frame
    latent : (batch, width, frames)
    """

    signal: Tensor
    sigma: Tensor
    presence: Tensor
    latent: Tensor


class Filters(nn.Module):
    """Analysis of a series into frames, and synthesis of a series from frames, by filters of one length.

    In polyphase form: a stride-`hop` convolution over a series is one of stride 1 over `hop` channels, which is faster.

    Parameters
    ----------
    width : int, number of filters
    length, hop : int, samples, of a filter and between frames; length a multiple of hop
    ahead : int, samples that a filter reaches beyond its frame's end, a multiple of hop
    analysis : bool, whether there is one, or synthesis alone
    """

    def __init__(self, width: int, length: int, hop: int, ahead: int, analysis: bool = True) -> None:
        super().__init__()
        self.width, self.hop, self.taps = width, hop, length // hop
        self.ahead = ahead // hop
        self.behind = self.taps - 1 - self.ahead
        if analysis:
            self.analysis = nn.Conv1d(hop, width, self.taps, bias=False)
        self.synthesis = nn.Conv1d(width, hop, self.taps, bias=False)

    def frames(self, series: Tensor) -> Tensor:
        """(batch, n) to (batch, width, n / hop)."""
        phases = series.reshape(series.shape[0], -1, self.hop).transpose(1, 2)
        frames: Tensor = self.analysis(nn.functional.pad(phases, (self.behind, self.ahead)))
        return frames

    def series(self, frames: Tensor) -> Tensor:
        """(batch, width, n / hop) to (batch, n)."""
        phases = self.synthesis(nn.functional.pad(frames, (self.ahead, self.behind)))
        return phases.transpose(1, 2).reshape(frames.shape[0], -1)

    @torch.no_grad()
    def begin(self, filters: Tensor, scale: float) -> None:
        """Set the first filters to `filters` (k, length), in analysis and, times `scale`, in synthesis; the others are small."""
        k = len(filters)
        phases = filters.reshape(k, self.taps, self.hop).transpose(1, 2)
        self.analysis.weight.mul_(0.1)
        self.synthesis.weight.mul_(0.1)
        self.analysis.weight[:k] = phases
        self.synthesis.weight[:, :k] = scale * phases.flip(2).transpose(0, 1)


class Block(nn.Module):
    """Skip connection about a dilated and a pointwise convolution; begins as the identity."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.wide = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)
        nn.init.zeros_(self.mix.weight)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, frames) to the same."""
        return x + self.mix(self.act(self.wide(self.act(x))))


class Autoencoder(nn.Module):
    """Whitened strain (batch, n) at 2048 Hz to signal, sigma, presence and latent; n a multiple of `hop`.

    Parameters
    ----------
    width : int, channels between the filters
    long, short : int, numbers of filters
    long_length, short_length : int, samples
    hop, ahead : int, samples between frames, and that the long filters reach beyond their frame
    dilations : of the blocks, in frames
    guided : bool
        whether the posterior mean over a bank of waveforms is given beside the strain: the network then corrects and judges it

    Examples
    --------
    >>> net = Autoencoder(width=8, long=4, short=4, long_length=128, short_length=64, hop=16, ahead=32, dilations=(1, 2))
    >>> out = net(torch.zeros(2, 256))
    >>> out.signal.shape, out.presence.shape, out.latent.shape
    (torch.Size([2, 256]), torch.Size([2, 16]), torch.Size([2, 8, 16]))
    """

    def __init__(
        self,
        width: int = 128,
        long: int = 64,
        short: int = 64,
        long_length: int = 1024,
        short_length: int = 128,
        hop: int = 32,
        ahead: int = 128,
        dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 1, 2, 4),
        guided: bool = False,
    ) -> None:
        super().__init__()
        self.hop, self.guided = hop, guided
        self.long = Filters(long, long_length, hop, ahead)
        self.short = Filters(short, short_length, hop, (short_length // hop - 1) // 2 * hop)
        both = long + short
        self.enter = nn.Conv1d(both + short if guided else both, width, 1)
        self.blocks = nn.Sequential(*(Block(width, dilation) for dilation in dilations))
        self.gate = nn.Conv1d(width, both, 1)
        self.add = nn.Conv1d(width, both, 1)
        self.spread = nn.Conv1d(width, both, 1)
        self.scatter = Filters(both, short_length, hop, (short_length // hop - 1) // 2 * hop, analysis=False)
        self.peak = nn.Conv1d(width, 1, 1)
        if guided:
            self.doubt = nn.Conv1d(width, short, 1)
        self.act = nn.ReLU()
        self.begin()

    @torch.no_grad()
    def begin(self, components: Tensor | None = None) -> None:
        """Begin as a windowed Fourier transform and its inverse, and as projections on `components` (k, long_length)."""
        n_long = self.long.width
        length = self.short.taps * self.hop
        n_tones = min(BAND_END * length // RATE, self.short.width // 2)
        n, k = torch.arange(length), torch.arange(1, n_tones + 1)[:, None]
        window = torch.sin(torch.pi * (n + 0.5) / length) * 2.0 / length**0.5
        angle = 2.0 * torch.pi * k * n / length
        # With this norm white noise gives frames of unit variance; overlapping synthesis undoes the analysis.
        self.short.begin(torch.cat([torch.cos(angle), torch.sin(angle)]) * window, self.hop / length)
        if components is not None:
            self.long.begin(components[:n_long], 1.0)
        nn.init.zeros_(self.add.weight)
        nn.init.zeros_(self.add.bias)
        nn.init.zeros_(self.gate.weight)
        self.gate.bias[:n_long] = -4.0
        self.gate.bias[n_long:] = -1.0
        if self.guided:  # begins as the projection, nearly
            self.gate.bias.fill_(-5.0)
            nn.init.zeros_(self.doubt.weight)
            self.doubt.bias.fill_(-4.0)

    def forward(self, white: Tensor, projection: Tensor | None = None) -> Output:
        """Denoise whitened strain (batch, n); a guided network needs the projection (batch, n), too."""
        frames = torch.cat([self.long.frames(white), self.short.frames(white)], dim=1)
        seen = frames
        if projection is not None:
            guide = self.short.frames(projection)
            seen = torch.cat([frames, guide], dim=1)
        latent = self.blocks(self.enter(seen))
        h = self.act(latent)
        kept = torch.sigmoid(self.gate(h)) * frames + self.add(h)
        long, short = kept[:, : self.long.width], kept[:, self.long.width :]
        if projection is not None:
            short = short - torch.sigmoid(self.doubt(h)) * guide
        signal = self.long.series(long).float() + self.short.series(short).float()
        if projection is not None:
            signal = signal + projection
        spread = self.scatter.series(self.act(self.spread(h))).float()
        sigma = nn.functional.softplus(spread - 3.0) + SIGMA_FLOOR
        return Output(signal, sigma, self.peak(h)[:, 0].float(), latent.float())
