"""Proposals for one event: the amortised flow, and a small flow fitted to weighted draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch

from gwsurrogate_ml.inference.importance import resample
from gwsurrogate_ml.inference.network import unconditional_flow

_CHUNK = 16384


class Proposal(Protocol):
    """Something to draw normal-score parameters from."""

    def draw(self, n: int, seed: int) -> np.ndarray:
        """(n, 4) float64."""
        ...

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """(n,) float64 at (n, 4)."""
        ...


class FlowProposal:
    """Draws and densities of a torch distribution over z, through an affine map ``z = mean + x L^T``.

    Parameters
    ----------
    distribution : zuko NormalizingFlow over (4,)
    mean : (4,); root : (4, 4) lower triangular
    widen : float
        factor on the standard deviation of the flow's base: slightly above 1 it lightens the tail of the weights
    """

    def __init__(
        self,
        distribution: torch.distributions.Distribution,
        mean: np.ndarray | None = None,
        root: np.ndarray | None = None,
        widen: float = 1.0,
    ) -> None:
        if widen != 1.0:
            from zuko.distributions import DiagNormal, NormalizingFlow

            base = DiagNormal(torch.zeros(4), torch.full((4,), widen))
            distribution = NormalizingFlow(distribution.transform, base)
        self._distribution = distribution
        self._mean = np.zeros(4) if mean is None else mean
        self._root = np.eye(4) if root is None else root
        self._inverse = np.linalg.inv(self._root)
        self._log_det = float(np.log(np.abs(np.diag(self._root))).sum())

    @torch.no_grad()
    def draw(self, n: int, seed: int) -> np.ndarray:
        """(n, 4) float64 draws."""
        parts = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for start in range(0, n, _CHUNK):
                parts.append(self._distribution.sample((min(_CHUNK, n - start),)))
        # The flow draws in float32; its density is evaluated at exactly the float64 values returned here.
        return torch.cat(parts).double().numpy() @ self._root.T + self._mean

    @torch.no_grad()
    def log_density(self, z: np.ndarray) -> np.ndarray:
        """(n,) float64."""
        x = torch.from_numpy(((z - self._mean) @ self._inverse.T).astype(np.float32))
        parts = [self._distribution.log_prob(x[i : i + _CHUNK]) for i in range(0, len(x), _CHUNK)]
        return torch.cat(parts).double().numpy() - self._log_det


def fit_flow(
    z: np.ndarray,
    log_weights: np.ndarray,
    seed: int,
    *,
    steps: int = 250,
    batch: int = 1024,
    learning_rate: float = 4e-3,
    inflate: float = 1.05,
    noise: float = 0.03,
    widen: float = 1.08,
    progress: Callable[[int, int], None] | None = None,
) -> FlowProposal:
    """Fit a small spline flow to weighted draws of one event.

    Draws are whitened by their weighted covariance (widened by `inflate`), resampled by weight with a little normal
    `noise` so that repeated heavy draws do not become spikes.

    Parameters
    ----------
    z : (N, 4) draws; log_weights : (N,)
    seed : int
    widen : float
        see `FlowProposal`
    """
    rng = np.random.default_rng(seed)
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    mean = weights @ z
    covariance = (z - mean).T @ ((z - mean) * weights[:, None])
    root = np.linalg.cholesky(covariance + 1e-8 * np.eye(4)) * inflate
    x = np.ascontiguousarray((z - mean) @ np.linalg.inv(root).T)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        flow = unconditional_flow()
        optimiser = torch.optim.Adam(flow.parameters(), lr=learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        pool = x[resample(log_weights, steps * batch, rng)]
        pool = pool + noise * rng.normal(size=pool.shape)
        data = torch.from_numpy(pool.astype(np.float32))
        for step in range(steps):
            loss = -flow().log_prob(data[step * batch : (step + 1) * batch]).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            if progress:
                progress(step + 1, steps)
    return FlowProposal(flow.eval()(), mean, root, widen)
