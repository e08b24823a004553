"""The conditional neural spline flow over normal-score parameters, and a small flow without conditions for
refinement.
"""

from __future__ import annotations

import torch
from torch import nn

from gwsurrogate_ml.inference.config import NetworkConfig


class Residual(nn.Module):
    """x + W2 gelu(W1 norm(x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, width) to (n, width)."""
        return x + self.body(x)


class Embedding(nn.Module):
    """Standardise, then residual blocks: (n, F) to (n, context)."""

    def __init__(self, n_in: int, config: NetworkConfig) -> None:
        super().__init__()
        self.half = config.bfloat16
        self.register_buffer("mean", torch.zeros(n_in))
        self.register_buffer("scale", torch.ones(n_in))
        self.body = nn.Sequential(
            nn.Linear(n_in, config.width),
            *[Residual(config.width) for _ in range(config.blocks)],
            nn.LayerNorm(config.width),
            nn.Linear(config.width, config.context),
        )

    def standardise(self, features: torch.Tensor) -> None:
        """Fix the affine standardisation from a sample of features (n, F)."""
        self.mean = features.mean(dim=0)
        self.scale = features.std(dim=0).clamp(min=1e-3)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(n, F) to (n, context)."""
        x = (features - self.mean) / self.scale
        if self.training and self.half:
            # Half precision where it is several times faster; the flow and inference stay in single precision.
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return self.body(x).float()
        return self.body(x)


class PosteriorNetwork(nn.Module):
    """q(z | features): a zuko neural spline flow (autoregressive, orders fixed) on the embedded features.

    Parameters
    ----------
    n_in : int
        length of the features
    config : NetworkConfig
    dimension : int
        numbers it is a distribution of, n_z
    """

    def __init__(self, n_in: int, config: NetworkConfig, dimension: int) -> None:
        import zuko

        super().__init__()
        self.embedding = Embedding(n_in, config)
        self.flow = zuko.flows.NSF(
            dimension,
            config.context,
            transforms=config.transforms,
            hidden_features=config.hidden,
            bins=config.bins,
        )

    def loss(self, z: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """-log q(z | features), (n,)."""
        return -self.flow(self.embedding(features)).log_prob(z)

    def distribution(self, features: torch.Tensor) -> torch.distributions.Distribution:
        """The distribution of z (n_z,) given one observation's features (F,)."""
        return self.flow(self.embedding(features[None])[0])


def unconditional_flow(dimension: int, transforms: int = 2, hidden: tuple[int, ...] = (64, 64), bins: int = 5) -> nn.Module:
    """A small spline flow over `dimension` numbers, for the refinement of one event."""
    import zuko

    return zuko.flows.NSF(dimension, 0, transforms=transforms, hidden_features=hidden, bins=bins)
