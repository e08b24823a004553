"""Constraints on masses: the density that is left against integrals and against bilby's own, which is by chance."""

from __future__ import annotations

import bilby
import numpy as np
import pytest
from bilby.core.prior import Constraint, Uniform
from bilby.gw.prior import BBHPriorDict, UniformInComponentsChirpMass, UniformInComponentsMassRatio

from gwsurrogate_ml.conventions import component_masses
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.prior.constraints import constraints, cutting, log_density, share

MASSES = {
    "chirp_mass": UniformInComponentsChirpMass(20, 45),
    "mass_ratio": UniformInComponentsMassRatio(0.2, 1.0),
    "chi_1": Uniform(-0.5, 0.5),
    "chi_2": Uniform(-0.5, 0.5),
}
CUTS = {"mass_1": Constraint(5, 60), "mass_2": Constraint(18, 100)}


def test_the_share_is_the_integral_over_what_is_left() -> None:
    middles = (np.arange(2000) + 0.5) / 2000
    chirp_mass, mass_ratio = np.meshgrid(20 + 25 * middles, 0.2 + 0.8 * middles)
    mass_1, mass_2 = component_masses(chirp_mass, mass_ratio)
    density = MASSES["chirp_mass"].prob(chirp_mass) * MASSES["mass_ratio"].prob(mass_ratio)
    exact = np.mean(density * (mass_1 < 60) * (mass_2 > 18)) * 25 * 0.8
    found = constraints(CUTS, MASSES)
    assert 0.1 < exact < 0.9
    assert share(MASSES, found, MASSES) == pytest.approx(exact, abs=3e-4)
    assert set(cutting(found, MASSES)) == {"mass_1", "mass_2"}


def test_densities_are_bilbys_within_its_chance() -> None:
    bilby.core.utils.random.seed(3)
    theirs = BBHPriorDict(MASSES | CUTS)
    table = {name: np.asarray(x) for name, x in BBHPriorDict(MASSES).sample(500).items()}
    ours, other = log_density(theirs, table), theirs.ln_prob(table, axis=0)
    assert np.array_equal(np.isfinite(ours), np.isfinite(other))
    kept = np.isfinite(ours)
    assert 50 < kept.sum() < 450
    np.testing.assert_allclose(ours[kept], other[kept], atol=0.02)
    np.testing.assert_array_equal(ours, log_density(theirs, table))  # always the same


def test_constraints_that_cut_nothing_change_nothing() -> None:
    wide = {"mass_1": Constraint(1, 1000), "total_mass": Constraint(1, 2000), "symmetric_mass_ratio": Constraint(0, 0.3)}
    found = constraints(wide, MASSES)
    assert cutting(found, MASSES) == []
    table = {name: np.asarray(x) for name, x in BBHPriorDict(MASSES).sample(50).items()}
    np.testing.assert_array_equal(log_density(MASSES | wide, table), log_density(MASSES, table))


def test_constraints_on_what_does_not_follow_are_refused() -> None:
    for name in ("mass_1_source", "chirp_mass_detector", "lambda_tilde"):
        with pytest.raises(ConfigError, match=f"Constraint on {name}, which does not follow from chirp_mass, mass_ratio"):
            constraints({name: Constraint(1, 2)}, MASSES)
    with pytest.raises(ConfigError, match="Constraints on mass_1 leave nothing"):
        log_density(MASSES | {"mass_1": Constraint(1, 2)}, {name: np.array([0.3]) for name in MASSES})
