"""Draws of a mixture of proposals, thinned by what a regression on earlier draws says that each will count for.

Likelihoods are dear and proposals are cheap: most of what a proposal has wrong shows in a regression of the log likelihood on
the draws so far. Of many draws of the mixture m each is kept with the chance ``a = clip(exp(g - log m) / c, floor, 1)``, g that
density: the draws that are kept have the density ``m a / A``, A the mean of a over the mixture, and whatever the regression has
wrong is in their weights, as with any proposal. Only A, a number, is estimated: of so many draws that its error is known and small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from gwsurrogate_ml.inference.proposal.flows import Proposal
from gwsurrogate_ml.kernels.threads import each

CANDIDATES = 20_000
"""Draws by which the chance is scaled: the first to be thinned, too."""
_BLOCK = 4096


class _Thinned(NamedTuple):
    """Draws (n, n_z) of a block, n times their log density, their chances, and the chances of all of the block."""

    z: np.ndarray
    log_density: np.ndarray
    chance: np.ndarray
    every: np.ndarray


class ThinnedProposal:
    """A mixture of proposals times the chance that a draw of it is kept.

    Parameters
    ----------
    proposals : sequence of Proposal; shares : (n,) float64, sum 1
        the mixture
    log_target : callable
        the log posterior density (N,) at normal scores (N, n_z), as far as it is known, up to a constant
    seed : int
        of the draws by which the chance is scaled
    kept, floor : float
        mean chance that a draw is kept, and the least in units of it: no weight is larger than the inverse of the latter times what
        it would be without thinning

    Attributes
    ----------
    log_mean : float
        log A, as far as draws of the mixture say
    relative_error : float
        standard error of A over A, by itself; `error_of_mean` is its part in an evidence
    """

    def __init__(
        self,
        proposals: Sequence[Proposal],
        shares: np.ndarray,
        log_target: Callable[[np.ndarray], np.ndarray],
        seed: int,
        *,
        kept: float,
        floor: float,
    ) -> None:
        self.proposals, self.shares, self.log_target, self._least = proposals, shares, log_target, floor * kept
        z = self._candidates(CANDIDATES, np.random.default_rng([seed, 6]))
        log_mixture = self._log_mixture(z)
        log_ratio = self.log_target(z) - log_mixture
        self._unused: tuple[np.ndarray, np.ndarray, np.ndarray] | None = (z, log_mixture, log_ratio)
        low, high = log_ratio.min() - 1.0, log_ratio.max() + np.log(1 / kept)
        self._log_scale, self.log_mean = 0.0, 0.0
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self._chances = np.empty(0)
        for _ in range(50):
            self._log_scale = 0.5 * (low + high)
            low, high = (self._log_scale, high) if self._chance(log_ratio).mean() > kept else (low, self._log_scale)
        self._estimate(self._chance(log_ratio))

    def _estimate(self, chance: np.ndarray) -> None:
        """Take the mean of the chances (N,) of draws of the mixture."""
        self.log_mean = float(np.log(chance.mean()))
        self.relative_error = float(chance.std() / chance.mean() / np.sqrt(len(chance)))

    def _chance(self, log_ratio: np.ndarray) -> np.ndarray:
        return np.clip(np.exp(np.minimum(log_ratio - self._log_scale, 0.0)), self._least, 1.0)

    def _log_mixture(self, z: np.ndarray) -> np.ndarray:
        return logsumexp([p.log_density(z) for p in self.proposals], axis=0, b=self.shares[:, None])

    def _candidates(self, n: int, rng: np.random.Generator) -> np.ndarray:
        counts = rng.multinomial(n, self.shares)
        return np.concatenate([p.draw(int(c), int(rng.integers(2**31))) for p, c in zip(self.proposals, counts, strict=True) if c])

    def draw(self, n: int, seed: int) -> np.ndarray:
        """(n, n_z) float64. The first call thins the draws by which the chance was scaled, too, and what all draws say of its mean
        holds from then on."""
        first, blocks, there = bool(self._unused), 0, 0
        found: list[_Thinned] = []
        while there < n:
            # As many blocks as should do, in threads; what they hold depends on their numbers alone.
            wanted = range(blocks, blocks + math.ceil((n - there) / (_BLOCK * np.exp(self.log_mean))))
            for block in each(partial(self._block, seed), wanted):
                if there < n:
                    found.append(block)
                    there += len(block.z)
            blocks, self._unused = wanted.stop, None
        if first:
            self._estimate(np.concatenate([block.every for block in found]))
        drawn = np.concatenate([block.z for block in found])[:n]
        self._chances = np.concatenate([block.chance for block in found])[:n]
        self._last = drawn, np.concatenate([block.log_density for block in found])[:n] - self.log_mean
        return drawn

    def _block(self, seed: int, number: int) -> _Thinned:
        """Some draws of the mixture, thinned."""
        rng = np.random.default_rng([seed, 7, number])
        if self._unused and number == 0:
            z, log_mixture, log_ratio = self._unused
        else:
            z = self._candidates(_BLOCK, rng)
            log_mixture = self._log_mixture(z)
            log_ratio = self.log_target(z) - log_mixture
        chance = self._chance(log_ratio)
        # Candidates of a block come proposal by proposal: which of the last block are taken must not depend on that.
        rows = rng.permutation(np.flatnonzero(rng.random(len(z)) < chance))
        return _Thinned(z[rows], log_mixture[rows] + np.log(chance[rows]), chance[rows], chance)

    def error_of_mean(self, log_weights: np.ndarray) -> float:
        """What A adds, in quadrature, to the relative error of the evidence by the draws of the last call, of these weights (n,).

        A is the mean chance of the draws of the mixture of which those that were kept are some: where draws of great weight had
        great chances, both err to the same side.
        """
        chance, weights = self._chances, np.exp(log_weights - log_weights.max())
        added = 2 * np.average(chance, weights=weights) - chance.mean() - np.exp(self.log_mean)
        return float(np.sqrt(max(added, 0.0) / len(chance)))

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """(n,) float64."""
        # Kept: the same draws are asked for several times.
        if self._last is None or not np.array_equal(self._last[0], z):
            log_mixture = self._log_mixture(z)
            self._last = z, log_mixture + np.log(self._chance(self.log_target(z) - log_mixture)) - self.log_mean
        return self._last[1]
