"""Thinned proposals have the density that they say, and regressions find what draws say."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from gwsurrogate_ml.inference.proposal.flows import PriorProposal, fit_flow
from gwsurrogate_ml.inference.proposal.regression import ROOM, Regression
from gwsurrogate_ml.inference.proposal.thinned import CANDIDATES, ThinnedProposal
from gwsurrogate_ml.inference.weights import effective_size

CENTRE, COVARIANCE = np.array([0.8, -0.3]), np.array([[0.3, 0.2], [0.2, 0.4]])
TARGET = multivariate_normal(CENTRE, COVARIANCE)
KEPT, FLOOR, MOST = 0.1, 0.1, 3000


class Shifted(PriorProposal):
    """A unit normal about (1, 1)."""

    def draw(self, n: int, seed: int) -> np.ndarray:
        return super().draw(n, seed) + 1.0

    def log_density(self, z: np.ndarray) -> np.ndarray:
        return super().log_density(z - 1.0)


@pytest.fixture(scope="module")
def proposal() -> ThinnedProposal:
    # What it is thinned by is wrong by a tilt and a constant.
    return ThinnedProposal(
        [PriorProposal(2), Shifted(2)],
        np.array([0.6, 0.4]),
        lambda z: TARGET.logpdf(z) + 0.4 * z[:, 0] + 7.0,
        1,
        kept=KEPT,
        floor=FLOOR,
    )


def test_weights_of_thinned_draws_give_the_integral(proposal) -> None:
    z = proposal.draw(20_000, 3)
    log_weights = TARGET.logpdf(z) - proposal.log_density(z)
    weights = np.exp(log_weights)
    assert abs(weights.mean() - 1) < 4 * np.hypot(weights.std() / np.sqrt(len(z)), proposal.relative_error)
    np.testing.assert_allclose(np.average(z, axis=0, weights=weights), CENTRE, atol=0.03)
    np.testing.assert_allclose(np.cov(z.T, aweights=weights), COVARIANCE, atol=0.03)
    mixture = np.concatenate([PriorProposal(2).draw(12_000, 1), Shifted(2).draw(8000, 2)])
    plain = TARGET.logpdf(mixture) - np.logaddexp(
        np.log(0.6) + PriorProposal(2).log_density(mixture), np.log(0.4) + Shifted(2).log_density(mixture)
    )
    assert effective_size(log_weights) > 0.85 * len(z) > 1.5 * effective_size(plain)


def test_nothing_is_lost_where_the_target_is_said_to_be_small(proposal) -> None:
    far = np.array([[-4.0, 4.0]])
    base = np.logaddexp(np.log(0.6) + PriorProposal(2).log_density(far), np.log(0.4) + Shifted(2).log_density(far))
    assert TARGET.logpdf(far) < -40
    assert proposal.log_density(far)[0] == pytest.approx(base[0] + np.log(FLOOR * KEPT) - proposal.log_mean)
    # The chance was scaled by so many draws; its mean is that of all.
    assert proposal.log_mean == pytest.approx(np.log(KEPT), abs=4 * np.sqrt(1 / KEPT / CANDIDATES))


def test_the_mean_chance_is_that_of_all_draws_of_the_mixture() -> None:
    few = ThinnedProposal([PriorProposal(2)], np.ones(1), lambda z: TARGET.logpdf(z), 2, kept=KEPT, floor=FLOOR)
    before = few.log_mean, few.relative_error
    z = few.draw(20_000, 4)
    # What is kept of draws of the prior that took no part.
    other = PriorProposal(2).draw(400_000, 5)
    kept = np.exp(few.log_density(other) + few.log_mean - PriorProposal(2).log_density(other))
    assert few.log_mean != before[0]
    assert abs(few.log_mean - np.log(kept.mean())) < 4 * few.relative_error < 2 * before[1]
    np.testing.assert_array_equal(few.log_density(z), few.log_density(z.copy()))


def test_draws_are_the_same_in_however_many_threads(monkeypatch) -> None:
    """Of a flow at two widths, which share what they work out of the same draws: each thread its own."""
    flow = fit_flow(TARGET.rvs(2000, random_state=1), np.zeros(2000), 1, steps=20)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", threads)
        thinned = ThinnedProposal([flow, flow.widened(1.5)], np.array([0.7, 0.3]), TARGET.logpdf, 1, kept=KEPT, floor=FLOOR)
        z = thinned.draw(6000, 2)
        found.append((z, thinned.log_density(z), thinned.log_density(z.copy()), thinned.log_mean))
        np.testing.assert_allclose(found[-1][1], found[-1][2], atol=1e-4)
        assert len(np.unique(z, axis=0)) == len(z)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_regression_finds_a_noisy_surface() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1500, 3)) * [1.0, 0.1, 10.0] + [0.0, 5.0, 0.0]

    def surface(z: np.ndarray) -> np.ndarray:
        x = (z - [0.0, 5.0, 0.0]) / [1.0, 0.1, 10.0]
        return -0.5 * np.sum(x**2, axis=1) + np.sin(1.5 * x[:, 0]) * x[:, 1] + 40.0

    noisy = surface(z) + 0.1 * rng.normal(size=1500)
    noisy[:20] = -np.inf
    log_weights = np.where(np.isfinite(noisy), surface(z), -np.inf)
    found = Regression(z, noisy, np.full(1500, 0.01), log_weights, 1, MOST)
    other = rng.normal(size=(500, 3)) * [0.7, 0.07, 7.0] + [0.0, 5.0, 0.0]
    error = found(other) - surface(other)
    assert np.sqrt(np.mean(error**2)) < 0.1


def test_a_regression_does_not_rise_without_end_where_there_are_no_draws() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(30, 2))
    along = z[:, 0] ** 2  # what few draws say: it rises to both sides
    found = Regression(z, along, np.full(30, 0.01), np.zeros(30), 1, MOST)
    np.testing.assert_allclose(found(z), along, atol=0.3)
    far = found(np.array([[10.0, 0.0], [-10.0, 0.0]]))
    assert np.all(far <= along.max() + ROOM)
    assert np.all(far > along.max())


@pytest.mark.parametrize("few", [25, 0])
def test_a_regression_of_two_sides_knows_the_one_of_few_draws(few: int) -> None:
    rng = np.random.default_rng(2)

    def surface(x: np.ndarray) -> np.ndarray:
        """Two maxima, at -1.7 and 1.7 of the last coordinate, the first lower by 3."""
        lower = 1.5 * (1 - np.sign(x[:, -1]))
        return -0.5 * np.sum(x[:, :2] ** 2, axis=1) - 0.5 * ((np.abs(x[:, -1]) - 1.7) / 0.4) ** 2 - lower + 50.0

    def sides(x: np.ndarray) -> np.ndarray:
        return np.column_stack([x[:, :-1], np.abs(x[:, -1]), np.sign(x[:, -1])])

    def draws(n: int, sign: float) -> np.ndarray:
        return np.column_stack([rng.normal(size=(n, 2)), sign * (1.7 + 0.4 * rng.normal(size=n))])

    x = np.concatenate([draws(2000, 1.0), draws(few, -1.0)])
    found = Regression(sides(x), surface(x), np.full(len(x), 0.01), surface(x), 1, MOST)
    near, far = draws(200, 1.0), draws(200, -1.0)
    assert np.abs(found(sides(near)) - surface(near)).max() < 0.5
    if few:
        assert np.median(np.abs(found(sides(far)) - surface(far))) < 0.5
    else:
        assert np.isfinite(found(sides(far))).all()
