"""Importance weights: evidence, effective sample size, Pareto-k, and several proposals as one deterministic mixture.

A weight is never repaired: NaN raises, zero stays zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from gwsurrogate_ml.errors import GwsmlError

FEWEST = 25
"""Positive weights without which nothing is known of a tail."""


@dataclass(frozen=True)
class WeightSummary:
    """What a set of importance weights says.

    Parameters
    ----------
    log_evidence, log_evidence_error : float, log of the mean weight and its standard error
    effective : float, (sum w)^2 / sum w^2
    efficiency : float, effective / N
    pareto_k : float
    """

    log_evidence: float
    log_evidence_error: float
    effective: float
    efficiency: float
    pareto_k: float


def log_sum(log_weights: np.ndarray) -> float:
    """Log of the sum of exp(log_weights); -inf entries count as zero.

    Examples
    --------
    >>> round(float(np.exp(log_sum(np.log([1.0, 2.0, 3.0])))), 12)
    6.0
    """
    top = np.max(log_weights)
    return float(top + np.log(np.sum(np.exp(log_weights - top)))) if np.isfinite(top) else float(top)


def check_weights(log_weights: np.ndarray) -> None:
    """Raise GwsmlError for NaN or +inf, or if all weights vanish: each is a bug or a signal outside the prior, never
    noise.
    """
    if np.any(np.isnan(log_weights)) or np.any(log_weights == np.inf):
        bad = int(np.sum(np.isnan(log_weights) | (log_weights == np.inf)))
        raise GwsmlError(f"{bad} of {len(log_weights)} importance weights are not numbers: a fault in likelihood or proposal")
    if not np.any(np.isfinite(log_weights)):
        raise GwsmlError("all importance weights vanish: the prior does not hold the data; check event time and detectors")


def generalised_pareto_fit(x: np.ndarray) -> tuple[float, float]:
    """Shape k and scale of a generalised Pareto distribution for exceedances `x` > 0 (Zhang & Stephens 2009).

    Examples
    --------
    >>> x = np.random.default_rng(0).pareto(2.0, 20_000)  # shape k = 1/2
    >>> bool(abs(generalised_pareto_fit(x)[0] - 0.5) < 0.05)
    True
    """
    x = np.sort(np.asarray(x, dtype=np.float64))
    n = len(x)
    m = 30 + int(np.sqrt(n))
    quartile = x[max(int(n / 4 + 0.5) - 1, 0)]
    theta = 1 / x[-1] + (1 - np.sqrt(m / (np.arange(1, m + 1) - 0.5))) / (3 * quartile)
    k = np.mean(np.log1p(-theta[:, None] * x), axis=1)
    log_likelihood = n * (np.log(-theta / k) - k - 1)
    with np.errstate(over="ignore"):  # an unlikely candidate's weight underflows to zero
        weight = 1 / np.sum(np.exp(log_likelihood - log_likelihood[:, None]), axis=1)
    best = np.sum(theta * weight)
    shape = float(np.mean(np.log1p(-best * x)))
    return shape, float(-shape / best)


def pareto_k(log_weights: np.ndarray) -> float:
    """Shape of the tail of the weights: below 0.5 the variance exists, above 0.7 the result is not to be trusted.

    The largest ``min(P/5, 3 sqrt(N))`` weights are fitted, P of which are positive, and the fit is drawn to 1/2 as by ten prior
    observations (Vehtari et al., arXiv:1507.02646).

    Parameters
    ----------
    log_weights : (N,)

    Returns
    -------
    float; inf where fewer than 25 weights are positive; -inf where the tail is constant
    """
    positive = np.sort(log_weights[np.isfinite(log_weights)])
    size = int(np.ceil(min(0.2 * len(positive), 3 * np.sqrt(len(log_weights)))))
    if len(positive) < FEWEST:
        return float("inf")
    tail = np.exp(positive[-size:] - positive[-1])
    exceedance = tail - np.exp(positive[-size - 1] - positive[-1])
    exceedance = exceedance[exceedance > 0]
    if len(exceedance) < 5:
        return float("-inf")
    shape, _ = generalised_pareto_fit(exceedance)
    return (len(exceedance) * shape + 10 * 0.5) / (len(exceedance) + 10)


def effective_size(log_weights: np.ndarray) -> float:
    """(sum w)^2 / sum w^2."""
    return float(np.exp(2 * log_sum(log_weights) - log_sum(2 * log_weights)))


def summarise(log_weights: np.ndarray) -> WeightSummary:
    """Evidence, its error, effective size and Pareto-k of N importance weights.

    Raises
    ------
    GwsmlError
        see `check_weights`
    """
    check_weights(log_weights)
    n = len(log_weights)
    effective = effective_size(log_weights)
    efficiency = effective / n
    return WeightSummary(
        log_sum(log_weights) - np.log(n),
        float(np.sqrt(max(1 / efficiency - 1, 0.0) / n)),
        effective,
        efficiency,
        pareto_k(log_weights),
    )


def mixture_log_density(log_densities: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Density of the deterministic mixture of proposals: the balance heuristic (Veach & Guibas 1995).

    Parameters
    ----------
    log_densities : (R, N), log density of each proposal at each draw of all rounds
    counts : (R,), draws taken from each

    Returns
    -------
    (N,)
    """
    share = np.log(np.asarray(counts) / np.sum(counts))[:, None]
    return np.logaddexp.reduce(log_densities + share, axis=0)


def resample(log_weights: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Indices (size,) of equally weighted draws, by systematic resampling, in random order."""
    weights = np.exp(log_weights - np.max(log_weights))
    cdf = np.cumsum(weights)
    at = (np.arange(size) + rng.random()) / size * cdf[-1]
    return rng.permutation(np.minimum(np.searchsorted(cdf, at, side="right"), len(cdf) - 1))


def tempering(log_base: np.ndarray, log_likelihood: np.ndarray, count: float) -> float:
    """The power in (0, 1] at which weights exp(log_base + power * log_likelihood) have `count` effective draws.

    Examples
    --------
    >>> tempering(np.zeros(1000), np.zeros(1000), 100)
    1.0
    >>> x = np.random.default_rng(0).normal(size=1000)
    >>> power = tempering(np.zeros(1000), -500 * x**2, 100)
    >>> bool(abs(effective_size(-500 * power * x**2) - 100) < 1)
    True
    """
    usable = np.isfinite(log_likelihood)
    base, likelihood = log_base[usable], log_likelihood[usable]
    powers = np.geomspace(1.0, 1e-6, 90)
    effective = np.array([effective_size(base + power * likelihood) for power in powers])
    enough = np.flatnonzero(effective >= count)
    # Draws that already resemble the posterior have fewer that count at low powers: take the best there is.
    if len(enough) == 0:
        return float(powers[np.argmax(effective)])
    first = int(enough[0])
    if first == 0:
        return 1.0
    low, high = np.log(powers[first]), np.log(powers[first - 1])
    return float(np.exp(brentq(lambda x: effective_size(base + np.exp(x) * likelihood) - count, low, high, xtol=1e-4)))
