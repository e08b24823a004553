"""Fields of a prior under models of either space."""

from __future__ import annotations

import pytest

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.prior.binary import BinaryPrior, as_prior, in_space, of_model
from gwsurrogate_ml.surrogate.load import load_model


def test_fields_stand_for_the_space_of_the_model() -> None:
    aligned, precessing = load_model("nr22"), load_model("nrphm")
    fields = {"chirp_mass": (25.0, 37.0), "luminosity_distance": (10.0, 2000.0)}
    assert of_model(fields, aligned) == BinaryPrior.model_validate(fields)
    prior = as_prior(fields, None, precessing)
    assert prior.names == precessing.space.names
    bounds = prior.bounds()
    # As far as the model goes, and no farther.
    assert bounds["mass_ratio"] == precessing.limits["mass_ratio"]
    assert bounds["a_1"] == bounds["a_2"] == precessing.limits["a_1"]
    assert prior.luminosity_distance == (10.0, 2000.0)
    narrow = of_model(fields | {"chi": (-0.4, 0.4), "mass_ratio": (0.6, 0.9)}, precessing).bounds()
    assert (narrow["a_1"], narrow["mass_ratio"]) == ((0.0, 0.4), (0.6, 0.9))
    with pytest.raises(ConfigError, match="give \\(-a, a\\)"):
        of_model({"chi": (-0.2, 0.4)}, precessing)
    with pytest.raises(ConfigError, match="those of any direction are 'isotropic'"):
        of_model({"spins": "uniform"}, precessing)
    with pytest.raises(ConfigError, match="those of any direction are 'isotropic'"):
        in_space(BinaryPrior(spins="uniform"), precessing.space)
    assert in_space(BinaryPrior(chi=(-0.4, 0.4)), precessing.space).bounds()["a_1"] == (0.0, 0.4)
    # A prior of aligned spins that is given as one stays one.
    assert as_prior(BinaryPrior(), None, precessing).names == aligned.space.names
