"""Priors through JSON: the same densities, whatever they are made of, and what earlier results kept."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from astropy.cosmology import FlatLambdaCDM
from bilby.core.prior import Gaussian, Interped, LogUniform, Prior, Sine, TruncatedGaussian, Uniform
from bilby.gw.prior import AlignedSpin, BBHPriorDict, UniformComovingVolume, UniformInComponentsMassRatio, UniformSourceFrame

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.prior.record import read, require_kept, written

X = np.linspace(0.01, 0.9, 25)
PRIORS = {
    "label with a comma": Uniform(0, 6, name="ra", latex_label="$\\alpha, (x=1)$", unit="rad"),
    "table": Interped(X, X**2, name="ra", latex_label="a, b"),
    "file's units": LogUniform(20, 45, name="chirp_mass", unit="$M_{\\odot}$"),
    "truncated": TruncatedGaussian(0.1, 0.2, -0.5, 0.7),
    "normal": Gaussian(0.1, 0.2),
    "sine": Sine(),
    "masses": UniformInComponentsMassRatio(0.1, 1.0),
    "spins": AlignedSpin(Uniform(0, 0.8), num_interp=500),
    "spins of a table": AlignedSpin(Interped(X, X * (1 - X)), num_interp=20),
    "named cosmology": UniformSourceFrame(100, 5000, cosmology="Planck18", name="luminosity_distance"),
    "own cosmology": UniformComovingVolume(100, 5000, cosmology=FlatLambdaCDM(H0=60, Om0=0.2), name="luminosity_distance"),
}


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS.keys())
def test_a_prior_comes_back_with_its_density_and_labels(prior: Prior) -> None:
    record = json.loads(json.dumps(written({"x": prior})))
    again = read(record)["x"]
    at = prior.rescale(np.linspace(0.01, 0.99, 40))
    np.testing.assert_allclose(again.ln_prob(at), prior.ln_prob(at), rtol=1e-12, atol=1e-12)
    for name in ("name", "latex_label", "unit", "boundary", "minimum", "maximum"):
        assert getattr(again, name) == getattr(prior, name), name
    require_kept("x", prior)


def test_spins_of_a_table_are_read_without_their_integrals() -> None:
    record = written({"x": PRIORS["spins of a table"]})
    start = time.process_time()
    assert type(read(record)["x"]) is Interped
    once = time.process_time() - start
    start = time.process_time()
    AlignedSpin(Interped(X, X * (1 - X)), num_interp=20)
    assert once < time.process_time() - start  # some 600 ms, of a hundred times as many nodes by default


def test_what_earlier_results_kept_is_read() -> None:
    prior = BBHPriorDict({"chirp_mass": Uniform(20, 45, name="chirp_mass"), "tilt_1": Sine(name="tilt_1")})
    again = read({name: repr(value) for name, value in prior.items()})
    assert type(again) is BBHPriorDict
    for name, old in prior.items():  # labels gain backslashes on bilby's way there and back
        assert (type(again[name]), again[name].minimum, again[name].maximum) == (type(old), old.minimum, old.maximum)


class Local(Uniform):
    """A class whose arguments are not its attributes."""

    def __init__(self, ends: tuple[float, float]) -> None:
        super().__init__(*ends)


def test_a_class_that_does_not_come_back_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="prior on ra is a Local that cannot be written down in the result"):
        require_kept("ra", Local((0.0, 1.0)))
