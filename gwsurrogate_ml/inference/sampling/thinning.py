"""What final draws come from: proposals thinned by a regression on the draws so far.

Where draws are cheap the proposals are those of the rounds, in the shares that do best, and about half is kept. Where a draw takes
milliseconds they are a flow fitted to all draws so far and broader ones, and one in ten is kept.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gwsurrogate_ml.inference.proposal.flows import FlowProposal, PriorProposal, Proposal
from gwsurrogate_ml.inference.proposal.regression import DEPTH, Regression
from gwsurrogate_ml.inference.proposal.thinned import ThinnedProposal
from gwsurrogate_ml.inference.sampling.mixture import BROAD, Mixture
from gwsurrogate_ml.inference.sampling.sampler import EventSampler
from gwsurrogate_ml.inference.weights import effective_size

WIDER = 1.35
"""How much wider the base of a share of each round's draws is."""
SHARES = (0.65, 0.2, 0.05, 0.1)
"""Of the flow, of a wider one, of the flow seen from the other side, and of the broadest proposals together: they bound the largest
weights."""
KEPT, MOST_KEPT, PER_EFFICIENCY = 0.1, 0.5, 0.75
"""Mean chance that a draw is kept: where draws are dear, and otherwise at most, and in units of the efficiency without thinning."""
FLOOR, HIGHER = 0.1, 0.3
"""Least chance in units of the mean, where draws are dear and otherwise: of what the draws so far did not find a regression knows
nothing, and where draws are cheap little is lost by keeping some of it."""
OF_PRIOR = 0.15
"""Least share of the prior among what cheap draws are proposed by, where it is one of the proposals: those of quiet events may have
maxima of the noise far from where the network looks, and thinning takes most of what is there for nothing."""
INTERPOLATED, OF_CHEAP = 3000, 1000
"""Draws that the regression interpolates where draws are dear, and where they are cheap."""
NOISE = 4.0
"""Variance of a log likelihood times its effective extrinsic points: above one, because few points are not even seen to be few."""

FEWEST, CHEAP, GOOD = 40, 500, 0.3
"""Effective draws that a regression needs to say which others will count; where draws are cheap, and how efficient their proposals
are then: from few and poor ones a regression on cheap draws does more harm than good.
"""


class Behind:
    """A proposal of binaries seen from the other side of the orbit: the last coordinate, the inclination's, reversed.

    Two detectors often cannot tell on which side they are, and of the less likely one earlier draws hold next to nothing.
    """

    def __init__(self, proposal: Proposal) -> None:
        self.proposal = proposal

    def draw(self, n: int, seed: int) -> np.ndarray:
        """(n, n_z) float64."""
        return _turned(self.proposal.draw(n, seed))

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """(n,) float64."""
        return self.proposal.log_density(_turned(z))


def _turned(z: np.ndarray) -> np.ndarray:
    turned = z.copy()
    turned[:, -1] *= -1
    return turned


def enough(log_weights: np.ndarray) -> bool:
    """Whether draws of these log weights (N,) are enough for a regression.

    Examples
    --------
    >>> enough(np.zeros(100)), enough(np.where(np.arange(100) < 30, 0.0, -50.0))
    (True, False)
    """
    return effective_size(log_weights) >= FEWEST


def worth_thinning(log_weights: np.ndarray, efficiency: float) -> bool:
    """Whether cheap draws of these log weights (N,) are enough for a regression, and their proposals, of an `efficiency` foretold,
    good enough to be thinned.
    """
    return efficiency >= GOOD and effective_size(log_weights) >= CHEAP


def of_pool(sampler: EventSampler, pool: Mixture, shares: np.ndarray, efficiency: float, seed: int) -> ThinnedProposal:
    """The proposals of a pool in `shares` (n_proposals,), of an `efficiency` foretold."""
    plain = [not isinstance(p, ThinnedProposal) for p in pool.proposals]
    proposals = [p for p, is_plain in zip(pool.proposals, plain, strict=True) if is_plain]
    kept = min(MOST_KEPT, PER_EFFICIENCY * efficiency)
    target = _log_target(sampler, pool, seed, OF_CHEAP)
    parts, prior = shares[plain] / shares[plain].sum(), np.array([isinstance(p, PriorProposal) for p in proposals])
    if prior.any() and parts[prior].sum() < OF_PRIOR:
        parts = np.where(prior, OF_PRIOR / prior.sum(), (1 - OF_PRIOR) * parts / parts[~prior].sum())
    return ThinnedProposal(proposals, parts, target, seed, kept=kept, floor=HIGHER)


def with_flow(sampler: EventSampler, pool: Mixture, flow: FlowProposal, seed: int) -> ThinnedProposal:
    """A flow fitted to the draws of a pool, and broader proposals."""
    draws = pool.draws
    broad = [p for p in pool.proposals if not isinstance(p, ThinnedProposal)][:BROAD]
    proposals: list[Proposal] = [flow, flow.widened(WIDER), Behind(flow), *broad]
    shares = np.array([*SHARES[:3], *[SHARES[3] / len(broad)] * len(broad)])
    likely = draws.log_likelihood > draws.log_likelihood.max() - DEPTH
    if len(np.unique(sampler.group(draws.theta[likely]))) < 2:
        # Of a side where nothing counts the regression knows nothing, and would let all through.
        proposals, shares = proposals[:2] + broad, np.delete(shares, 2) / (1 - shares[2])
    return ThinnedProposal(proposals, shares, _log_target(sampler, pool, seed, INTERPOLATED), seed, kept=KEPT, floor=FLOOR)


def _log_target(sampler: EventSampler, pool: Mixture, seed: int, most: int) -> Callable[[np.ndarray], np.ndarray]:
    """The log posterior density (N,) at normal scores (N, n_z), up to a constant, as the draws of a pool have it."""
    draws, log_weights = pool.draws, pool.log_weights(sampler.prior)
    noise = NOISE / np.maximum(draws.effective, 1.0)
    regression = Regression(sampler.smooth(draws.z), draws.log_likelihood, noise, 0.8 * log_weights, seed, most)
    return lambda z: regression(sampler.smooth(z)) + sampler.prior.log_normal(z)
