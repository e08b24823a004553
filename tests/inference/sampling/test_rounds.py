"""The final draws: thinned where enough is known to thin them by, and of the right evidence either way."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from gwsurrogate_ml.errors import CutOffError
from gwsurrogate_ml.inference import BinaryPrior
from gwsurrogate_ml.inference.proposal.flows import PriorProposal
from gwsurrogate_ml.inference.sampling import rounds
from gwsurrogate_ml.inference.sampling.mixture import Mixture
from gwsurrogate_ml.inference.sampling.rounds import LIKELY, SamplingOptions, affordable, check_edges, settled_draws, some_likely
from gwsurrogate_ml.inference.sampling.sampler import Evaluated
from gwsurrogate_ml.inference.sampling.thinning import OF_PRIOR, Behind, of_pool
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
@pytest.mark.parametrize(("scatter", "thinned"), [(0.5, True), (0.05, False)])
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
    pool = Mixture([PriorProposal(2)], [3000], evaluate(PriorProposal(2).draw(3000, 1), ""))
    before = [{"efficiency": 0.4 if thinned else 0.02}]
    options = SamplingOptions(max_rounds=0)
    draws, log_weights, found = settled_draws(sampler, pool, np.ones(1), before, 20_000, 3, options)  # type: ignore[arg-type]
    assert [row["proposal"] for row in found[1:]] == ([("flow, " if dear else "") + "thinned"] if thinned else [])
    weights = np.exp(log_weights)
    if thinned:
        plain = scatter**2 * (2 + scatter**2) / (1 + scatter**2) ** 2
        assert effective_size(log_weights) > 1.8 * plain * len(weights)
    error = np.hypot(weights.std() / np.sqrt(len(weights)) / weights.mean(), found[-1].get("normalisation_error", 0.0))
    assert np.log(weights.mean()) == pytest.approx(np.log(scatter**2 / (1 + scatter**2)), abs=4 * error)
    assert len(draws.z) == 20_000


class Narrow(Shifted):
    """A normal of a third of the width."""

    def draw(self, n: int, seed: int) -> np.ndarray:
        return self.place + np.random.default_rng(seed).normal(size=(n, len(self.place))) / 3

    def log_density(self, z: np.ndarray) -> np.ndarray:
        return multivariate_normal(self.place, np.eye(len(self.place)) / 9).logpdf(z)

    def widened(self, factor: float) -> Shifted:
        return Shifted(self.place)


@pytest.mark.parametrize("dear", [True, False])
def test_poor_final_draws_teach_the_next_ones(dear: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two maxima, of which the first proposals know one: the other is found by the few final draws that come from the prior."""
    places = np.array([[0.9, 0.0], [-0.9, 0.0]])
    # Where draws are dear a flow is fitted before the first ones: it knows what the draws before it know.
    flows = iter([Narrow(places[0]), Flow(2)] if dear else [Narrow(places[1])])
    monkeypatch.setattr(rounds, "_fitted", lambda *_: next(flows))
    built: list[int] = []

    def evaluate(z: np.ndarray, stage: str) -> Evaluated:
        each = [-0.5 * np.sum((z - place) ** 2, axis=1) / 0.04 for place in places]
        none, one_set = np.zeros(len(z)), np.ones((len(z), 1))
        log_likelihood = np.logaddexp(*each)
        return Evaluated(z, z, z, none, none, none.astype(int), log_likelihood, np.full(len(z), 1e3), none[:, None], one_set)

    sampler = SimpleNamespace(
        dear=dear,
        prior=SimpleNamespace(log_normal=multivariate_normal(np.zeros(2)).logpdf),
        evaluate=evaluate,
        build_sets=lambda known, log2_n=15: built.append(log2_n),
        group=lambda theta: np.zeros(len(theta), int),
        smooth=lambda z: z,
        progress=lambda *_: None,
        drawn_at_once=(),
    )
    first = [Narrow(places[0]), PriorProposal(2)]
    z = np.concatenate([first[0].draw(1990, 1), np.tile(places[:1], (10, 1))])
    pool = Mixture(first, [1990, 10], evaluate(z, ""))
    before = [{"proposal": "network", "efficiency": 0.9}]
    options = SamplingOptions(max_rounds=1, pilot=1000)
    draws, log_weights, found = settled_draws(sampler, pool, np.array([0.99, 0.01]), before, 8000, 3, options)  # type: ignore[arg-type]
    names = [row["proposal"] for row in found]
    assert names[:2] == ["network", "repair 1"]
    assert built[-1] == (15 if dear else 16)
    if dear:
        # A few heavy draws of the other maximum are not enough for another regression: all proposals in the best shares.
        assert names[-1] == "repair 1"
    else:
        assert names[-1] == "thinned"
        assert found[-1]["efficiency"] > 0.4
    weights = np.exp(log_weights)
    error = np.hypot(weights.std() / np.sqrt(len(weights)) / weights.mean(), found[-1]["normalisation_error"])
    expected = np.log(2 * 0.04 / 1.04) - 0.5 * 0.81 / 1.04
    assert np.log(weights.mean()) == pytest.approx(expected, abs=4 * error)
    assert np.average(draws.z[:, 0] > 0, weights=weights) == pytest.approx(0.5, abs=0.05)


def test_quiet_events_have_a_share_of_the_prior_and_densities_that_are_kept_are_those_computed() -> None:
    def evaluate(z: np.ndarray) -> Evaluated:
        none = np.zeros(len(z))
        log_likelihood = -0.5 * np.sum((z / 0.8) ** 2, axis=1)
        return Evaluated(z, z, z, none, none, none, log_likelihood, np.full(len(z), 1e3), none[:, None], np.ones((len(z), 1)))

    proposals = [Narrow(np.zeros(2)), PriorProposal(2)]
    z = np.concatenate([p.draw(n, 1) for p, n in zip(proposals, (900, 100), strict=True)])
    pool = Mixture(proposals, [900, 100], evaluate(z))
    prior = SimpleNamespace(log_normal=multivariate_normal(np.zeros(2)).logpdf)
    sampler = SimpleNamespace(prior=prior, smooth=lambda z: z)
    proposal = of_pool(sampler, pool, np.array([0.99, 0.01]), 0.6, 1)  # type: ignore[arg-type]
    np.testing.assert_allclose(proposal.shares, [1 - OF_PRIOR, OF_PRIOR])
    drawn = proposal.draw(2000, 5)
    kept = proposal.log_density(drawn)
    proposal.log_density(drawn[:5])
    np.testing.assert_allclose(proposal.log_density(drawn.copy()), kept, atol=1e-5)


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


@pytest.mark.parametrize(
    ("chirp_mass", "spread", "bound"),
    [(8.49, 0.03, None), (8.49, 0.3, 8.0), (8.0, 0.03, 8.0), (44.9, 0.02, None), (30.0, 2.0, None), (44.0, 2.0, 45.0)],
)
def test_a_posterior_is_cut_off_at_its_own_scale(chirp_mass: float, spread: float, bound: float | None) -> None:
    """One narrower than the outermost fiftieth of the prior's range, and well inside, was refused."""
    x = np.random.default_rng(7).normal(chirp_mass, spread, 4000)
    theta = x[(x > 8.0) & (x < 45.0)][:, None]
    prior = BinaryPrior(chirp_mass=(8.0, 45.0))
    if bound is None:
        check_edges(prior, theta, np.zeros(len(theta)), SamplingOptions())
        return
    with pytest.raises(CutOffError) as caught:
        check_edges(prior, theta, np.zeros(len(theta)), SamplingOptions())
    assert caught.value.bound == bound
