"""Draws of a mixture of proposals, thinned by what a regression on earlier draws says that each will count for.

Waveforms are dear and proposals are cheap: most of what a proposal has wrong shows in a regression of the log likelihood on
the draws so far. Of many draws of the mixture m each is kept with the chance ``a = clip(exp(g - log m) / c, floor, 1)``, g that
density: the draws that are kept have the density ``m a / A``, A the mean of a over the mixture, and whatever the regression has
wrong is in their weights, as with any proposal. Only A, a number, is estimated: of so many draws that its error is known and small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import logsumexp

from gwsurrogate_ml.inference.proposal.flows import Proposal

KEPT, LOST = (0.1, 0.35), 0.01
"""Mean chance that a draw is kept, between these: where the mixture is good, so many that this share of the target is where all
draws are kept, and so too few."""
FLOOR = 0.1
"""Least chance in units of the mean one: no weight is larger than the inverse of it times what it would be without thinning."""
CANDIDATES = 40_000
"""Draws by which the chance is scaled and its mean estimated."""
_BLOCK = 4096


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

    Attributes
    ----------
    log_mean : float
        log A
    relative_error : float
        standard error of A over A
    """

    def __init__(
        self, proposals: Sequence[Proposal], shares: np.ndarray, log_target: Callable[[np.ndarray], np.ndarray], seed: int
    ) -> None:
        self.proposals, self.shares, self.log_target = proposals, shares, log_target
        log_ratio = self._log_ratio(self._candidates(CANDIDATES, np.random.default_rng([seed, 6])))
        self._last: tuple[np.ndarray, np.ndarray] | None = None
        self._log_scale, self._floor = _scale(log_ratio)
        chance = self._chance(log_ratio)
        self.log_mean = float(np.log(chance.mean()))
        self.relative_error = float(chance.std() / chance.mean() / np.sqrt(len(chance)))

    def _chance(self, log_ratio: np.ndarray) -> np.ndarray:
        return np.clip(np.exp(np.minimum(log_ratio - self._log_scale, 0.0)), self._floor, 1.0)

    def _log_mixture(self, z: np.ndarray) -> np.ndarray:
        return logsumexp([p.log_density(z) for p in self.proposals], axis=0, b=self.shares[:, None])

    def _log_ratio(self, z: np.ndarray) -> np.ndarray:
        return self.log_target(z) - self._log_mixture(z)

    def _candidates(self, n: int, rng: np.random.Generator) -> np.ndarray:
        counts = rng.multinomial(n, self.shares)
        return np.concatenate([p.draw(int(c), int(rng.integers(2**31))) for p, c in zip(self.proposals, counts, strict=True) if c])

    def draw(self, n: int, seed: int) -> np.ndarray:
        """(n, n_z) float64."""
        rng, there = np.random.default_rng([seed, 7]), 0
        found: list[np.ndarray] = []
        while there < n:
            z = self._candidates(_BLOCK, rng)
            kept = z[rng.random(len(z)) < self._chance(self._log_ratio(z))]
            found.append(kept)
            there += len(kept)
        # Candidates of a block come proposal by proposal: which of the last block are taken must not depend on that.
        found[-1] = rng.permutation(found[-1])
        return np.concatenate(found)[:n]

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """(n,) float64."""
        # Kept: a pool of draws asks for the same ones several times.
        if self._last is None or self._last[0] is not z:
            log_mixture = self._log_mixture(z)
            self._last = z, log_mixture + np.log(self._chance(self.log_target(z) - log_mixture)) - self.log_mean
        return self._last[1]


def _scale(log_ratio: np.ndarray) -> tuple[float, float]:
    """The log of c, and the floor, for the logs (N,) of target over mixture at draws of the mixture."""
    ratio = np.exp(log_ratio - log_ratio.max())

    def where(holds: Callable[[float], bool]) -> float:
        """The largest c at which a condition that holds for small ones does."""
        low, high = np.log(max(ratio.min(), 1e-30)) - 1.0, np.log(1.0 / KEPT[0])
        for _ in range(50):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if holds(float(np.exp(middle))) else (low, middle)
        return float(0.5 * (low + high))

    def kept(c: float) -> float:
        return float(np.minimum(ratio / c, 1.0).mean())

    few, many = where(lambda c: kept(c) > KEPT[0]), where(lambda c: kept(c) > KEPT[1])
    most = where(lambda c: np.maximum(ratio - c, 0.0).mean() > LOST * ratio.mean())
    log_scale = min(few, max(many, most))
    return log_scale + float(log_ratio.max()), FLOOR * kept(float(np.exp(log_scale)))
