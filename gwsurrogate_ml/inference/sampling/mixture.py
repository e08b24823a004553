"""Draws of several proposals, weighed as one deterministic mixture, and the shares in which the proposals do best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.inference.prior.composition import Prior
from gwsurrogate_ml.inference.proposal.flows import Proposal
from gwsurrogate_ml.inference.sampling.sampler import Evaluated
from gwsurrogate_ml.inference.weights import check_weights, mixture_log_density

FLOOR, BROAD_FLOOR, BROAD = 0.1, 0.15, 3
"""Shares of the final draws that come from all proposals alike, and from the first three, the broadest, whatever the draws so
far say: they bound the largest weights. Draws in far corners are too rare to be seen by a pilot.
"""


@dataclass
class Mixture:
    """Draws so far: what they came from, how many of each, all weighed as one mixture (the balance heuristic).

    Parameters
    ----------
    proposals : list of Proposal
    counts : list of int
    draws : Evaluated
    """

    proposals: list[Proposal]
    counts: list[int]
    draws: Evaluated

    def densities(self) -> np.ndarray:
        """Log density of every proposal at every draw, (n_proposals, N)."""
        return np.stack([p.log_density(self.draws.z) for p in self.proposals])

    def log_weights(self, prior: Prior) -> np.ndarray:
        """Log importance weights of the draws, (N,)."""
        z = self.draws.z
        mixed = mixture_log_density(self.densities(), np.array(self.counts))
        log_weights = self.draws.log_likelihood + prior.log_normal(z) - mixed
        check_weights(log_weights)
        return log_weights

    def add(self, proposal: Proposal, draws: Evaluated) -> None:
        """Join the draws of another proposal."""
        self.proposals.append(proposal)
        self.counts.append(len(draws.z))
        self.draws = join([self.draws, draws])

    def join(self, counts: list[int], draws: Evaluated) -> None:
        """Join draws of the proposals already there, `counts` of each in turn."""
        self.counts = [old + new for old, new in zip(self.counts, counts, strict=True)]
        self.draws = join([self.draws, draws])

    def tune(self, prior: Prior) -> tuple[np.ndarray, float]:
        """Shares of the proposals with the highest efficiency, judged by the draws so far, and that efficiency.

        The variance of the weights is convex in the shares; the update, each share times the root of its gradient,
        is the multiplicative algorithm of optimal design.
        """
        counts = np.array(self.counts)
        densities = self.densities()
        mixed = mixture_log_density(densities, counts)
        ratio = np.exp(densities - mixed)
        log_weights = self.draws.log_likelihood + prior.log_normal(self.draws.z) - mixed
        weights = np.exp(log_weights - log_weights.max())
        shares = counts / counts.sum()
        # Each draw's own proposal has a ratio above one and, in the end, more than this share.
        least = FLOOR / len(counts)
        for _ in range(100):
            gradient = ratio @ (weights**2 / np.maximum(shares @ ratio, least) ** 2)
            shares = shares * np.sqrt(gradient)
            shares /= shares.sum()
        # A little of everything: what few draws say of the tails is not certain.
        shares = (1 - FLOOR - BROAD_FLOOR) * shares + FLOOR / len(shares)
        shares[:BROAD] += BROAD_FLOOR / min(BROAD, len(shares))
        return shares, float(weights.mean() ** 2 / np.mean(weights**2 / (shares @ ratio)))


def join(parts: list[Evaluated]) -> Evaluated:
    """Rounds one after the other; coefficients padded to the largest basis."""
    size = max(part.coefficients.shape[1] for part in parts)
    coefficients = [np.pad(p.coefficients, ((0, 0), (0, size - p.coefficients.shape[1]))) for p in parts]
    fields = ("power", "shift", "part", "log_likelihood", "effective", "extrinsic", "of_set")
    rest = {name: np.concatenate([getattr(p, name) for p in parts]) for name in fields}
    return Evaluated(
        np.concatenate([p.z for p in parts]),
        np.concatenate([p.theta for p in parts]),
        np.concatenate(coefficients),
        **rest,
    )
