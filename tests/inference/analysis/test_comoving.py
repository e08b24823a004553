"""Distances uniform in comoving volume and source-frame time, beside astropy's cosmology."""

from __future__ import annotations

import bilby
import numpy as np
import pandas as pd
import pytest
from astropy import units
from astropy.cosmology import Planck15, z_at_value
from scipy.integrate import cumulative_trapezoid
from scipy.stats import kstest

from gwsurrogate_ml.conventions import INTRINSIC, PARAMETERS
from gwsurrogate_ml.inference import BinaryPrior, Result
from gwsurrogate_ml.inference.analysis.comoving import in_comoving_source_frame
from gwsurrogate_ml.inference.result.draws import derived

GPS, N = 1187008882.4, 20_000
PRIOR = BinaryPrior(luminosity_distance=(100.0, 5000.0))


def astropys(distance: np.ndarray) -> np.ndarray:
    """Density, up to a factor, of luminosity distances (Mpc) uniform in comoving volume and source-frame time."""
    z = np.asarray(z_at_value(Planck15.luminosity_distance, distance * units.Mpc, zmax=3.0))
    volume = Planck15.differential_comoving_volume(z).value / (1 + z)
    slope = Planck15.comoving_distance(z).value + (1 + z) * Planck15.hubble_distance.value * Planck15.inv_efunc(z)  # d d_L / dz
    return np.asarray(volume / slope)


def test_weights_and_evidence_are_those_of_comoving_volume_and_source_frame_time() -> None:
    bilby.core.utils.random.seed(1)
    table = {name: np.asarray(value) for name, value in PRIOR.to_bilby(GPS).sample(N).items() if name in PARAMETERS}
    posterior = pd.DataFrame({name: table[name] for name in PARAMETERS} | derived(table))
    posterior = posterior.assign(network_snr=10.0, log_likelihood=-80.0, log_likelihood_ratio=20.0)
    before = Result(
        posterior=posterior,
        weighted=posterior[list(INTRINSIC)].assign(log_weight=20.0, log_likelihood_ratio=20.0, extrinsic_ess=500.0),
        n_draws=40_000,
        sample_efficiency=0.5,
        pareto_k=0.1,
        log_evidence=-80.0,
        log_evidence_error=0.01,
        log_noise_evidence=-100.0,
        extrinsic_ess=500.0,
        seconds=1.0,
        meta={"prior": PRIOR.model_dump(mode="json"), "segment": {"detectors": ["H1", "L1"], "gps": GPS}, "seed": 1},
    )
    after = in_comoving_source_frame(before, seed=2)

    grid = np.linspace(100.0, 5000.0, 400)
    distance = posterior["luminosity_distance"].to_numpy()
    other = np.log(np.interp(distance, grid, astropys(grid) / grid**2))
    difference = after.weighted["log_weight"].to_numpy() - other
    np.testing.assert_allclose(difference, difference.mean(), atol=2e-3)

    # The likelihood is constant: the posterior is the prior, and the evidence stays.
    cumulative = cumulative_trapezoid(astropys(grid), grid, initial=0.0)
    test = kstest(after.posterior["luminosity_distance"], lambda d: np.interp(d, grid, cumulative / cumulative[-1]))
    assert test.pvalue > 1e-3
    assert kstest(distance, lambda d: np.interp(d, grid, cumulative / cumulative[-1])).pvalue < 1e-6
    assert after.log_evidence == pytest.approx(before.log_evidence, abs=0.02)

    assert after.n_draws == before.n_draws
    assert after.meta["drawn_from"]["sample_efficiency"] == before.sample_efficiency
    assert len(after.posterior) == pytest.approx(after.sample_efficiency * after.n_draws, abs=1)
    assert after.to_bilby().priors["luminosity_distance"].cosmology.name == "Planck15"
