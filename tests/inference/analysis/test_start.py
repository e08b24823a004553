"""Where the rounds of precessing models begin."""

from __future__ import annotations

import numpy as np
from scipy.stats import ks_2samp

from gwsurrogate_ml.inference.analysis.start import in_all_directions
from gwsurrogate_ml.inference.prior.composition import ComposedPrior
from gwsurrogate_ml.inference.prior.masses import ChirpMass, MassRatio
from gwsurrogate_ml.inference.prior.spins import AlignedIsotropic, Isotropic


def test_spins_completed_from_their_prior_components_are_of_the_prior() -> None:
    prior = ComposedPrior((ChirpMass(25.0, 37.0), MassRatio(0.5, 1.0), Isotropic(0.8)))
    rng = np.random.default_rng(1)
    along = AlignedIsotropic(-0.8, 0.8).from_uniform(rng.random((6000, 2)), {})
    spins = in_all_directions(along, prior, 3)
    assert np.allclose(spins[:, :2] * np.cos(spins[:, 2:4]), along)
    plain = prior.sample_intrinsic(6000, rng)[:, 2:]
    assert min(ks_2samp(a, b).pvalue for a, b in zip(spins.T, plain.T, strict=True)) > 1e-3
