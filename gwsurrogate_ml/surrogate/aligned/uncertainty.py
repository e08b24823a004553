"""What a surrogate expects its own error to be: the posterior variance of stage 2, calibrated on runs it had not seen.

The Gaussian processes of stage 2 know how far a binary lies from the simulations that they were fitted to. Their variances,
summed over the basis, are the expected mismatch to numerical relativity; a factor from cross-validation turns it into a bound
that holds for nine binaries in ten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.surrogate.aligned.coordinates import features


@dataclass(frozen=True)
class ErrorEstimate:
    """Predicted errors of one waveform, near the merger: none of them knows of what comes before 395 M (for `modes`, 22,000 M)
    before the peak. How far the early inspiral of light binaries is from SEOBNRv5HM stands in the card of its artefact, `inspiral`.

    Attributes
    ----------
    mismatch : float
        expected white-noise mismatch of (2,2) to numerical relativity, t in [-395, 90] M
    mismatch_90 : float
        bound on it that held for 90 % of the simulations in cross-validation
    modes : dict of (l, m) to float
        each other mode's error in the co-orbital frame, over the norm of (2,2): a bound that held for 90 % of unseen waveforms.
        Where stage 3 corrects the mode it is the error against NRSur7dq2, elsewhere that against SEOBNRv5HM, and how far that is
        from numerical relativity it does not know there
    """

    mismatch: float
    mismatch_90: float
    modes: dict[ModeKey, float]


Factor = tuple[np.ndarray, bool]


def factors(tensors: dict[str, np.ndarray]) -> list[Factor]:
    """Cholesky factors of the processes' covariances, the same for every binary."""
    out = []
    for length, constant, noise in zip(tensors["stage2.length"], tensors["stage2.constant"], tensors["stage2.noise"], strict=True):
        b = tensors["stage2.centres"] / length
        inner = np.exp(-0.5 * np.sum((b[:, None] - b[None]) ** 2, axis=2)) * constant
        out.append(cho_factor(inner + np.diag(noise)))
    return out


def expected_mismatch(parameters: np.ndarray, tensors: dict[str, np.ndarray], known: list[Factor] | None = None) -> np.ndarray:
    """Expected mismatch (N,) of (2,2) to numerical relativity at `parameters` (N, 3), before calibration.

    `known` are the `factors` of the same tensors, where they have been worked out before.
    """
    x, centres = features(parameters), tensors["stage2.centres"]
    total = np.full(len(x), float(tensors["stage2.floor"][0]))
    found = factors(tensors) if known is None else known
    for length, constant, factor in zip(tensors["stage2.length"], tensors["stage2.constant"], found, strict=True):
        a, b = x / length, centres / length
        outer = np.exp(-0.5 * np.sum((a[:, None] - b[None]) ** 2, axis=2)) * constant
        variance = constant - np.sum(outer * cho_solve(factor, outer.T).T, axis=1)
        total += np.maximum(variance, 0.0) / float(tensors["stage2.norm"][0])
    return total


def calibration_factor(true: np.ndarray, expected: np.ndarray, level: float = 0.9) -> float:
    """Factor by which `expected` must be multiplied to bound `true` for a fraction `level` of them."""
    return float(np.quantile(true / expected, level))


def coverage(true: np.ndarray, expected: np.ndarray, groups: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """How often a bound calibrated on half of the groups holds on the other half, over 200 random halvings.

    Parameters
    ----------
    true, expected : (n,) float64
    groups : (n,) int
        runs of one group stay together
    seed : int
    """
    rng = np.random.default_rng(seed)
    unique = np.unique(groups)
    shares = []
    for _ in range(200):
        half = np.isin(groups, rng.permutation(unique)[: len(unique) // 2])
        factor = calibration_factor(true[half], expected[half])
        shares.append(np.mean(true[~half] <= factor * expected[~half]))
    return {
        "mean": float(np.mean(shares)),
        "p5": float(np.quantile(shares, 0.05)),
        "p95": float(np.quantile(shares, 0.95)),
    }
