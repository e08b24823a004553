"""A DeepClean-style autoencoder from witnesses to coupled noise: the baseline that this project grew from.

Convolutions with 8, 16, 32, 64 channels, kernel 7, stride 2, and their transposes, no skips; loss = in-band residual PSD
over raw PSD. Source: Ormiston et al. 2020, arXiv:2005.06534. Its receptive field is short: no narrow feature is resolved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.denoise.witness.channels import align, require_alive
from gwsurrogate_ml.denoise.witness.fitting import passband
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.psd import welch

if TYPE_CHECKING:
    import torch
    from gwpy.timeseries import TimeSeries

CHANNELS = (8, 16, 32, 64)
KERNEL = 7


def network(n_witnesses: int) -> torch.nn.Module:
    """The autoencoder: (batch, n_witnesses, n) -> (batch, 1, n), n a multiple of 16."""
    from torch import nn

    layers: list[nn.Module] = [
        nn.Conv1d(n_witnesses, n_witnesses, KERNEL, padding=3),
        nn.BatchNorm1d(n_witnesses),
        nn.Tanh(),
    ]
    sizes = (n_witnesses, *CHANNELS)
    for a, b in pairwise(sizes):
        layers += [nn.Conv1d(a, b, KERNEL, stride=2, padding=3), nn.BatchNorm1d(b), nn.Tanh()]
    for a, b in pairwise(sizes[::-1]):
        layers += [
            nn.ConvTranspose1d(a, b, KERNEL, stride=2, padding=3, output_padding=1),
            nn.BatchNorm1d(b),
            nn.Tanh(),
        ]
    return nn.Sequential(*layers, nn.Conv1d(n_witnesses, 1, KERNEL, padding=3))


class DeepClean:
    """A trained baseline; call it with strain and witnesses for cleaned values (n,)."""

    def __init__(self, net: torch.nn.Module, names: tuple[str, ...], shift: np.ndarray, scale: np.ndarray, unit: float) -> None:
        self.net, self.names, self.shift, self.scale, self.unit = net, names, shift, scale, unit
        self.band: tuple[float, float] = (0.0, np.inf)

    def __call__(self, strain: TimeSeries, witnesses: Mapping[str, TimeSeries]) -> np.ndarray:
        """Cleaned strain (n,) float64."""
        import torch

        data = align(strain, witnesses, self.names)
        n = data.strain.size
        rows = np.zeros((len(self.names), -(-n // 16) * 16), np.float32)
        rows[:, :n] = (np.stack([data.channels[name] for name in self.names]) - self.shift) / self.scale
        self.net.eval()
        with torch.no_grad():
            predicted = self.net(torch.from_numpy(rows)[None])[0, 0].numpy()[:n].astype(np.float64)
        f = np.arange(n // 2 + 1) * data.sampling_frequency / n
        return data.strain - self.unit * fft.irfft(fft.rfft(predicted) * passband(f, self.band), n)

    @classmethod
    def fit(
        cls,
        strain: TimeSeries,
        witnesses: Mapping[str, TimeSeries],
        band: tuple[float, float] = (10.0, 200.0),
        *,
        steps: int = 600,
        batch: int = 16,
        duration: float = 8.0,
        seed: int = 0,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> DeepClean:
        """Train by Adam with a one-cycle rate on random stretches of `duration` (s)."""
        import torch

        data = align(strain, witnesses)
        require_alive(data)
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        rate, names = data.sampling_frequency, tuple(data.channels)
        raw = np.stack([data.channels[name] for name in names])
        shift, scale = raw.mean(axis=1, keepdims=True), raw.std(axis=1, keepdims=True)
        x = ((raw - shift) / scale).astype(np.float32)
        f, psd = welch(data.strain, rate, 1.0)
        inside = (f >= band[0]) & (f <= band[1])
        unit = float(np.sqrt(np.median(psd[inside]) * (band[1] - band[0])))
        y = (data.strain / unit).astype(np.float32)
        net = network(len(names))
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
        length, n_fft = 16 * round(duration * rate / 16), round(rate)
        window = torch.hann_window(n_fft)
        mask = torch.from_numpy(inside)
        reference = torch.from_numpy((psd / unit**2).astype(np.float32))[mask, None]

        def power(series: torch.Tensor) -> torch.Tensor:
            z = torch.stft(series, n_fft, n_fft // 2, window=window, center=False, return_complex=True)
            return z.abs()[:, mask] ** 2 / reference

        net.train()
        for i in range(steps):
            first = rng.integers(0, y.size - length, batch)
            inputs = torch.from_numpy(np.stack([x[:, a : a + length] for a in first]))
            target = torch.from_numpy(np.stack([y[a : a + length] for a in first]))
            loss: Any = power(target - net(inputs)[:, 0]).mean() / power(target).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            if progress:
                progress("training the autoencoder", i + 1, steps)
        model = cls(net, names, shift, scale, unit)
        model.band = band
        return model
