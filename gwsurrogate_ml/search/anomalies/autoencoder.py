"""What a burst in one detector looks like: an autoencoder of half a second of whitened data, trained to leave the noise out."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from gwsurrogate_ml.search.anomalies.tiles import WINDOW

LATENT = 32


class Autoencoder(nn.Module):
    """Windows (n, WINDOW) float32 -> their bursts (n, WINDOW) and codes (n, LATENT); both scale with the input's loudness."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.width = width
        self.encoder = nn.Sequential(
            nn.Conv1d(1, width, 32, 4, 14),
            nn.GELU(),
            nn.Conv1d(width, width, 16, 4, 6),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(width * WINDOW // 16, 256),
            nn.GELU(),
            nn.Linear(256, LATENT),
        )
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, 256),
            nn.GELU(),
            nn.Linear(256, width * WINDOW // 16),
            nn.Unflatten(1, (width, WINDOW // 16)),
            nn.GELU(),
            nn.ConvTranspose1d(width, width, 16, 4, 6),
            nn.GELU(),
            nn.ConvTranspose1d(width, 1, 32, 4, 14),
        )

    def forward(self, white: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Bursts and codes."""
        scale = white.square().mean(1, keepdim=True).sqrt().clamp(min=1e-3)
        code = self.encoder((white / scale)[:, None])
        return self.decoder(code)[:, 0] * scale, code

    @torch.no_grad()
    def apply_to(self, white: np.ndarray, batch: int = 1024) -> tuple[np.ndarray, np.ndarray]:
        """The same for arrays, in batches."""
        parts = [self(torch.from_numpy(np.ascontiguousarray(white[i : i + batch]))) for i in range(0, len(white), batch)]
        if not parts:
            return np.empty((0, WINDOW), np.float32), np.empty((0, LATENT), np.float32)
        return torch.cat([p[0] for p in parts]).numpy(), torch.cat([p[1] for p in parts]).numpy()
