"""The final draws: thinned where enough is known to thin them by, and of the right evidence either way."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from gwsurrogate_ml.inference.proposal.flows import PriorProposal
from gwsurrogate_ml.inference.sampling import rounds
from gwsurrogate_ml.inference.sampling.mixture import Mixture
from gwsurrogate_ml.inference.sampling.rounds import LIKELY, SamplingOptions, affordable, settled_draws, some_likely
from gwsurrogate_ml.inference.sampling.sampler import Evaluated
from gwsurrogate_ml.inference.sampling.thinning import Behind
from gwsurrogate_ml.inference.weights import effective_size


class Flow(PriorProposal):
    """In place of a flow that is fitted: the prior."""

    def widened(self, factor: float) -> PriorProposal:
        return self


class Shifted:
    """A unit normal about another place."""

    def __init__(self, place: np.ndarray) -> None:
        self.place = place

    def draw(self, n: int, seed: int) -> np.ndarray:
        return self.place + np.random.default_rng(seed).normal(size=(n, len(self.place)))

    def log_density(self, z: np.ndarray) -> np.ndarray:
        return multivariate_normal(self.place).logpdf(z)


@pytest.mark.parametrize("dear", [True, False])
@pytest.mark.parametrize(("scatter", "thinned"), [(0.5, True), (0.1, False)])
def test_draws_are_thinned_where_enough_of_the_earlier_ones_count(
    scatter: float, thinned: bool, dear: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_fitted", lambda *_: Flow(2))

    def evaluate(z: np.ndarray, stage: str) -> Evaluated:
        log_likelihood, none = -0.5 * np.sum((z / scatter) ** 2, axis=1), np.zeros(len(z))
        none_at_once, one_set = none[:, None], np.ones((len(z), 1))
        return Evaluated(z, z, z, none, none, none.astype(int), log_likelihood, np.full(len(z), 1000.0), none_at_once, one_set)

    prior = SimpleNamespace(log_normal=multivariate_normal(np.zeros(2)).logpdf)
    sampler = SimpleNamespace(
        dear=dear,
        prior=prior,
        evaluate=evaluate,
        build_sets=lambda known, log2_n=15: None,
        group=lambda theta: (theta[:, 0] > 0).astype(int),
        smooth=lambda z: z,
        drawn_at_once=(),
    )
    pool = Mixture([PriorProposal(2)], [600], evaluate(PriorProposal(2).draw(600, 1), ""))
    before = [{"efficiency": 0.1}]
    options = SamplingOptions(max_rounds=0)
    draws, log_weights, found = settled_draws(sampler, pool, np.ones(1), before, 20_000, 3, options)  # type: ignore[arg-type]
    assert [row["proposal"] for row in found[1:]] == ([("flow, " if dear else "") + "thinned"] if thinned else [])
    weights = np.exp(log_weights)
    if thinned:
        plain = scatter**2 * (2 + scatter**2) / (1 + scatter**2) ** 2
        assert effective_size(log_weights) > 2 * plain * len(weights)
    error = np.hypot(weights.std() / np.sqrt(len(weights)) / weights.mean(), found[-1].get("normalisation_error", 0.0))
    assert np.log(weights.mean()) == pytest.approx(np.log(scatter**2 / (1 + scatter**2)), abs=4 * error)
    assert len(draws.z) == 20_000


def test_a_proposal_seen_from_behind_is_a_density() -> None:
    behind = Behind(Shifted(np.array([0.0, 2.0])))
    z = behind.draw(20_000, 1)
    assert z[:, 1].mean() == pytest.approx(-2.0, abs=0.03)
    np.testing.assert_allclose(behind.log_density(z), multivariate_normal([0.0, -2.0]).logpdf(z), rtol=1e-12)


def test_likely_draws_are_of_every_group_that_has_any() -> None:
    log_weights = np.array([0.0, 0.0, -30.0, -31.0, -np.inf, 0.0])
    group = np.array([0, 0, 1, 1, 2, 0])
    found = some_likely(log_weights, np.full(6, 5.0), 1, group)
    assert set(group[found]) == {0, 1}
    assert 4 not in found
    assert len(found) <= 2 * 2 * LIKELY


def test_dear_draws_are_fewer_in_the_rounds_and_what_is_asked_for_holds() -> None:
    dear, cheap = SimpleNamespace(dear=True), SimpleNamespace(dear=False)
    options = SamplingOptions(pilot=1000, refine_below=0.5)
    assert affordable(options, cheap) is options
    few = affordable(options, dear)
    assert (few.pilot, few.refine_below) == (500, 0.3)
    assert affordable(SamplingOptions(pilot=1, refine_below=1.0), dear).refine_below == 1.0
    assert affordable(SamplingOptions(pilot=1), dear).pilot == 1
