"""Are an event's reduced data like those the network was trained on? Ranges of every feature, kept with the network.

A network answers confidently far from its training too. Weights then show it in the end; the flags say what is odd.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gwsurrogate_ml.inference.proposal.summaries import groups

RANGE = (5e-4, 0.9995)
"""Quantiles of every feature that bound its usual range."""
ALARM = 0.999
"""Quantile, over simulated events, of a group's largest excess beyond the usual range: what exceeds it is flagged."""


def _excess(features: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """How far features (n, F) lie beyond their usual range, in units of its width."""
    return np.maximum(np.maximum(low - features, features - high), 0.0) / np.maximum(high - low, 1e-6)


@dataclass(frozen=True)
class Novelty:
    """Usual range of every feature and the largest excess of each group in simulated events.

    Parameters
    ----------
    low, high : (F,) float32
    limit : (n_groups,) float32
    detectors, basis_size : int
        layout of the features
    """

    low: np.ndarray
    high: np.ndarray
    limit: np.ndarray
    detectors: int
    basis_size: int

    @classmethod
    def of(cls, simulated: torch.Tensor, detectors: int, basis_size: int) -> Novelty:
        """From features (n, F) of simulated events: half of them for the ranges, half for the limits."""
        values = simulated.numpy()
        half = len(values) // 2
        low, high = np.quantile(values[:half], RANGE, axis=0).astype(np.float32)
        excess = _excess(values[half:], low, high)
        limit = [np.quantile(excess[:, part].max(axis=1), ALARM) for part in groups(detectors, basis_size).values()]
        return cls(low, high, np.array(limit, dtype=np.float32), detectors, basis_size)

    def flags(self, features: np.ndarray) -> list[str]:
        """What is unlike the training in one event's features (F,): a sentence for each group, or nothing."""
        excess = _excess(features[None], self.low, self.high)[0]
        out = []
        parts = groups(self.detectors, self.basis_size)
        for (name, part), limit in zip(parts.items(), self.limit, strict=True):
            beyond = excess[part]
            if beyond.max() > limit:
                out.append(
                    f"{name} unlike the training: {int(np.sum(beyond > 0))} of {len(beyond)} reduced data outside their "
                    f"simulated range, by up to {beyond.max():.2f} of its width (simulated events: {float(limit):.2f}): "
                    "watch efficiency and Pareto-k"
                )
        return out
