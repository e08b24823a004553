"""Importance weights against distributions with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gwsurrogate_ml.errors import GwsmlError
from gwsurrogate_ml.inference import weights


def test_evidence_and_its_error_of_a_gaussian_integral() -> None:
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(50):
        x = rng.normal(0, 1.3, 4000)
        log_w = stats.norm.logpdf(x) + np.log(7.0) - stats.norm.logpdf(x, 0, 1.3)
        summary = weights.summarise(log_w)
        errors.append((summary.log_evidence - np.log(7.0)) / summary.log_evidence_error)
    assert abs(np.mean(errors)) < 0.5
    assert 0.75 < np.std(errors) < 1.25


def test_effective_size_of_equal_and_of_single_weights() -> None:
    assert weights.effective_size(np.full(50, -1000.0)) == pytest.approx(50)
    assert weights.effective_size(np.append(np.full(49, -np.inf), 3.0)) == pytest.approx(1)


@pytest.mark.parametrize("shape", [-0.3, 0.2, 0.5, 0.9])
def test_pareto_fit_agrees_with_maximum_likelihood(shape: float) -> None:
    x = stats.genpareto.rvs(shape, size=4000, random_state=5)
    expected, _, scale = stats.genpareto.fit(x, floc=0)
    k, sigma = weights.generalised_pareto_fit(x)
    assert k == pytest.approx(expected, abs=0.03)
    assert sigma == pytest.approx(scale, rel=0.04)


@pytest.mark.parametrize(("spread", "low", "high"), [(2.0, -4.0, 0.3), (0.8, 0.25, 0.65), (0.55, 0.6, 1.1)])
def test_pareto_k_tells_good_proposals_from_narrow_ones(spread: float, low: float, high: float) -> None:
    # For a normal target and a normal proposal of width s the tail index is 1 - s^2.
    x = np.random.default_rng(1).normal(0, spread, 50_000)
    k = weights.pareto_k(stats.norm.logpdf(x) - stats.norm.logpdf(x, 0, spread))
    assert low < k < high


def test_a_truncation_of_equal_weights_has_no_tail() -> None:
    """Their variance is known; of a few nothing is. Zeros do not hide a tail."""
    log_weights = np.full(20_000, -np.inf)
    log_weights[:400] = 1.0
    assert weights.pareto_k(log_weights) == -np.inf
    log_weights[24:] = -np.inf
    assert weights.pareto_k(log_weights) == np.inf
    log_weights[:400] = np.log(np.random.default_rng(2).pareto(0.5, 400))
    assert weights.pareto_k(log_weights) > 0.7


def test_not_a_number_raises_and_zero_stays() -> None:
    with pytest.raises(GwsmlError, match="1 of 3"):
        weights.summarise(np.array([0.0, np.nan, 1.0]))
    with pytest.raises(GwsmlError, match="all importance weights vanish"):
        weights.summarise(np.full(10, -np.inf))
    assert weights.summarise(np.array([0.0, -np.inf] * 50)).efficiency == pytest.approx(0.5)


def test_balance_heuristic_is_unbiased_and_beats_its_worse_proposal() -> None:
    rng = np.random.default_rng(2)
    widths, counts = np.array([0.4, 2.0]), np.array([3000, 1000])
    x = np.concatenate([rng.normal(0, s, n) for s, n in zip(widths, counts, strict=True)])
    q = weights.mixture_log_density(np.array([stats.norm.logpdf(x, 0, s) for s in widths]), counts)
    summary = weights.summarise(stats.norm.logpdf(x) - q)
    assert abs(summary.log_evidence) < 4 * summary.log_evidence_error
    assert summary.pareto_k < 0.5


def test_resampling_is_proportional_to_weight() -> None:
    index = weights.resample(np.log([1.0, 2.0, 1e-9, 5.0]), 8000, np.random.default_rng(0))
    assert np.allclose(np.bincount(index, minlength=4) / 1000, [1, 2, 0, 5], atol=0.01)
