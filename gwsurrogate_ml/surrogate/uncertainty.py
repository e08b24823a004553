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
from gwsurrogate_ml.surrogate.coordinates import features
from gwsurrogate_ml.surrogate.higher import combination
from gwsurrogate_ml.surrogate.predictor import chebyshev_terms, networks


@dataclass(frozen=True)
class ErrorEstimate:
    """Predicted errors of one waveform.

    Attributes
    ----------
    mismatch : float
        expected white-noise mismatch of (2,2) to numerical relativity, t in [-395, 90] M
    mismatch_90 : float
        bound on it that held for 90 % of the simulations in cross-validation
    modes : dict of (l, m) to float
        relative L2 spread of the ensemble in each other mode: the networks' error alone, not that of SEOBNRv5HM
    """

    mismatch: float
    mismatch_90: float
    modes: dict[ModeKey, float]


def expected_mismatch(parameters: np.ndarray, tensors: dict[str, np.ndarray]) -> np.ndarray:
    """Expected mismatch (N,) of (2,2) to numerical relativity at `parameters` (N, 3), before calibration."""
    x, centres = features(parameters), tensors["stage2.centres"]
    total = np.full(len(x), float(tensors["stage2.floor"][0]))
    for length, constant, noise in zip(
        tensors["stage2.length"], tensors["stage2.constant"], tensors["stage2.noise"], strict=True
    ):
        a, b = x / length, centres / length
        inner = np.exp(-0.5 * np.sum((b[:, None] - b[None]) ** 2, axis=2)) * constant
        outer = np.exp(-0.5 * np.sum((a[:, None] - b[None]) ** 2, axis=2)) * constant
        factor = cho_factor(inner + np.diag(noise))
        variance = constant - np.sum(outer * cho_solve(factor, outer.T).T, axis=1)
        total += np.maximum(variance, 0.0) / float(tensors["stage2.norm"][0])
    return total


def mode_spread(
    parameters: np.ndarray, tensors: dict[str, np.ndarray], degree: int, modes: tuple[ModeKey, ...]
) -> np.ndarray:
    """Relative L2 spread (N, n_modes) of the ensemble's members in each higher mode, over the knots."""
    n_modes, n_basis, _ = tensors["higher.basis"].shape
    f, g = combination(parameters, modes, n_basis)
    x = features(parameters)
    members = chebyshev_terms(x, degree) @ tensors["higher.polynomial"] + networks(x, tensors, prefix="higher")
    half = n_modes * n_basis
    coefficients = members[..., :half] * f + members[..., half:] * g
    coefficients = coefficients.reshape(len(members), len(parameters), n_modes, n_basis)
    spread = np.sqrt(coefficients.var(0, ddof=1).sum(2))
    return spread / np.maximum(np.sqrt((coefficients.mean(0) ** 2).sum(2)), 1e-12)


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
