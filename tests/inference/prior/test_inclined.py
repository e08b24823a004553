"""Coordinates of the orbit and the line of sight against LAL's own way back, and the prior in them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import kstest

from gwsurrogate_ml.inference import BinaryPrior
from gwsurrogate_ml.inference.prior.composition import ComposedPrior
from gwsurrogate_ml.inference.prior.inclined import InclinedPrior
from gwsurrogate_ml.inference.prior.masses import ChirpMass, MassRatio
from gwsurrogate_ml.inference.prior.spins import Isotropic

PRIOR = ComposedPrior((ChirpMass(25.0, 37.0), MassRatio(0.3, 1.0), Isotropic(0.9)))


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    z = np.random.default_rng(0).normal(size=(2000, 9))
    return z, InclinedPrior(PRIOR, 20.0).from_normal(z)


def test_inclination_and_azimuths_are_those_that_lal_makes_of_bilbys_angles(drawn) -> None:
    z, theta = drawn
    some = slice(0, 200)
    np.testing.assert_allclose(InclinedPrior(PRIOR, 20.0).to_normal(theta[some]), z[some], atol=1e-9)
    # What is not an angle against the line of sight stays what it was.
    np.testing.assert_array_equal(theta[:, :7], PRIOR.from_normal(z[:, :-1])[:, :7])


def test_the_prior_of_bilbys_angles_is_isotropic(drawn) -> None:
    _, theta = drawn
    assert kstest(np.cos(theta[:, -1]), "uniform", (-1, 2)).pvalue > 1e-3
    assert kstest(theta[:, -2], "uniform", (0, 2 * np.pi)).pvalue > 1e-3
    # At low frequencies the orbit dominates, and the two inclinations are close: were one drawn anew, they would not be.
    iota = np.arccos(1 - 2 * ndtr(drawn[0][:, -1]))
    assert np.median(np.abs(theta[:, -1] - iota)) < 0.15


def test_aligned_binaries_keep_their_inclination() -> None:
    inclined, z = InclinedPrior(BinaryPrior(), 20.0), np.random.default_rng(1).normal(size=(5, 5))
    theta = inclined.from_normal(z)
    np.testing.assert_allclose(theta[:, -1], np.arccos(1 - 2 * ndtr(z[:, -1])))
    np.testing.assert_allclose(inclined.to_normal(theta), z, atol=1e-9)


def test_the_effective_spin_is_a_coordinate() -> None:
    for prior, n in ((PRIOR, 9), (BinaryPrior(), 5)):
        z = np.random.default_rng(2).normal(size=(50, n))
        theta = dict(zip(prior.names, prior.from_normal(z[:, :-1]).T, strict=True))
        along = [theta[f"chi_{k}"] if f"chi_{k}" in theta else theta[f"a_{k}"] * np.cos(theta[f"tilt_{k}"]) for k in (1, 2)]
        wanted = (along[0] + theta["mass_ratio"] * along[1]) / (1 + theta["mass_ratio"])
        places = InclinedPrior(prior, 20.0).smooth(z)
        assert places.shape == (50, n + 1)
        np.testing.assert_allclose(places[:, -2] * places[:, -1], z[:, -1], rtol=1e-12)
        np.testing.assert_allclose(places[:, 2], wanted, atol=1e-12)
