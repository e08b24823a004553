"""The prior: its densities against bilby's, its map to a unit normal, its refusals."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from gwsurrogate_ml.conventions import INTRINSIC
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.inference.prior.binary import BinaryPrior, require_inside


@pytest.fixture(scope="module")
def draws() -> np.ndarray:
    return BinaryPrior().sample_intrinsic(20_000, np.random.default_rng(3))


@pytest.mark.peer
def test_draws_follow_bilbys_densities(draws: np.ndarray) -> None:
    prior = BinaryPrior().to_bilby(1126259462.4)
    for column, name in enumerate(INTRINSIC):
        uniform = np.clip(prior[name].cdf(draws[:, column]), 0, 1)
        assert stats.kstest(uniform, "uniform").pvalue > 1e-3, name


def test_prior_is_a_unit_normal_in_normal_coordinates(draws: np.ndarray) -> None:
    z = BinaryPrior().to_normal(draws)
    for column in range(4):
        assert stats.kstest(z[:, column], "norm").pvalue > 1e-3
    assert np.allclose(np.corrcoef(z.T), np.eye(4), atol=0.03)  # 4 sigma of 1/sqrt(20000) is 0.028
    assert np.allclose(np.corrcoef((z**2).T), np.eye(4), atol=0.04)


@pytest.mark.peer
def test_map_returns_and_has_the_jacobian_of_bilbys_density(draws: np.ndarray) -> None:
    prior, some = BinaryPrior(), draws[:200]
    z = prior.to_normal(some)
    assert np.allclose(prior.from_normal(z), some, rtol=1e-9, atol=1e-9)
    step = 1e-5
    jacobian = np.stack(
        [(prior.from_normal(z + step * e) - prior.from_normal(z - step * e)) / (2 * step) for e in np.eye(4)], axis=2
    )
    log_det = np.log(np.abs(np.linalg.det(jacobian)))
    bilby_prior = prior.to_bilby(0.0)
    log_p = sum(bilby_prior[name].ln_prob(some[:, i]) for i, name in enumerate(INTRINSIC))
    assert np.allclose(prior.log_normal(z), log_p + log_det, atol=1e-4)


def test_effective_spin_coordinate_follows_chi_eff(draws: np.ndarray) -> None:
    z = BinaryPrior().to_normal(draws)
    q = draws[:, 1]
    chi_eff = (draws[:, 2] + q * draws[:, 3]) / (1 + q)
    assert stats.spearmanr(z[:, 2], chi_eff).statistic > 0.97  # observed 0.995
    assert abs(stats.spearmanr(z[:, 3], chi_eff).statistic) < 0.1


def test_points_outside_are_refused_by_name() -> None:
    with pytest.raises(DomainError, match="chirp_mass=50"):
        BinaryPrior().to_normal(np.array([[50.0, 0.5, 0.0, 0.0]]))


@pytest.mark.parametrize(
    "bad", [{"chirp_mass": (40, 20)}, {"mass_ratio": (0.5, 1.5)}, {"chi": (-1.0, 0.5)}, {"chirpmass": (20, 40)}]
)
def test_impossible_priors_are_refused(bad: dict) -> None:
    with pytest.raises(ValidationError):
        BinaryPrior(**bad)


def test_prior_beyond_the_model_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"mass_ratio.*nr22"):
        require_inside(BinaryPrior(), {"mass_ratio": (0.2, 1.0)}, "nr22")


def test_a_narrow_range_of_distances_is_refused() -> None:
    BinaryPrior(luminosity_distance=(500.0, 1000.0))
    with pytest.raises(ValueError, match="at most half of the farthest"):
        BinaryPrior(luminosity_distance=(501.0, 1000.0))
