"""The integral over a glitch, against quadrature, dense grids and the likelihood written out; requests that cannot be met."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bilby.core.prior import PowerLaw, PriorDict
from scipy.special import log_expit, logsumexp
from scipy.stats import multivariate_normal

import gwsurrogate_ml as gw
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.calibration.campaign import QUICK
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import random_psds, simulate_segment
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.nuisances.glitch_fit import first_fit
from gwsurrogate_ml.inference.nuisances.glitch_points import choose_points
from gwsurrogate_ml.inference.nuisances.glitch_prior import (
    AmplitudePrior,
    GlitchPrior,
    requested_glitches,
    unit_strain,
    unit_white,
    windows,
)
from gwsurrogate_ml.inference.result.draws import parameters_of, prior_of
from gwsurrogate_ml.inference.result.glitches import LOG_ODDS, bands, column, odds, summary

CONFIG = SegmentConfig()
TRUTH = {
    "chirp_mass": 28.0, "mass_ratio": 0.7, "chi_1": 0.2, "chi_2": -0.1, "luminosity_distance": 700.0, "theta_jn": 0.6,
    "phase": 1.0, "psi": 0.4, "ra": 1.9, "dec": 0.3, "geocent_time": 1187008882.41,
}  # fmt: skip
SHAPE, SNR = np.log([[90.0, 0.8]]), 15.0
PRIOR = GlitchPrior.shipped()


@pytest.fixture(scope="module")
def clean() -> SegmentLikelihood:
    rng, model = np.random.default_rng(3), gw.load_surrogate("nr22")
    return SegmentLikelihood(simulate_segment(TRUTH, model, random_psds(CONFIG, rng), CONFIG, rng), model)


@pytest.fixture(scope="module")
def at(clean: SegmentLikelihood) -> float:
    """Seconds from the segment's start to the glitch, 40 ms before the merger."""
    return TRUTH["geocent_time"] - clean.segment.start_time - 0.04


@pytest.fixture(scope="module")
def spoiled(clean: SegmentLikelihood, at: float) -> SegmentLikelihood:
    strain = clean.segment.strain.copy()
    strain[0] += SNR * np.exp(0.8j) * unit_strain(clean, 0, SHAPE, np.array([at]))[0]
    return SegmentLikelihood(replace(clean.segment, strain=strain), clean.model)


def signal(likelihood: SegmentLikelihood) -> np.ndarray:
    return likelihood.signals({name: np.array([value]) for name, value in TRUTH.items()})[0]


def test_a_unit_glitch_has_signal_to_noise_ratio_one_and_the_models_spectrum(clean: SegmentLikelihood) -> None:
    strain = unit_strain(clean, 1, SHAPE, np.array([0.0]))[0]
    assert np.sum(clean.weight[1] * np.abs(strain) ** 2) == pytest.approx(1)
    f = clean.frequencies[clean.band]
    shape = np.exp(-0.5 * 0.8 * np.log(f / 90.0) ** 2)
    assert np.allclose(strain[clean.band] / strain[clean.band].max(), shape / shape.max())


def test_density_of_shapes_is_that_of_the_draws() -> None:
    places = PRIOR.draw(5, np.random.default_rng(1))
    each = [s * multivariate_normal(m, c).pdf(places) for s, m, c in zip(PRIOR.shares, PRIOR.means, PRIOR.covariances, strict=True)]
    assert np.allclose(PRIOR.log_density(places), np.log(np.sum(each, axis=0)))
    assert np.allclose(PRIOR.amplitudes(places).sum(axis=1), 1)


@pytest.mark.parametrize("z", [0.5, 6.0 - 3.0j])
def test_integral_over_the_amplitude_and_its_draws_are_those_of_quadrature(z: complex) -> None:
    prior = AmplitudePrior(np.array([[0.3, 0.7]]), np.array([4.0, 60.0]))
    x = np.linspace(-45, 45, 1801)
    amplitude = x[:, None] + 1j * x[None, :]
    square = np.abs(amplitude) ** 2
    density = sum(w / (2 * np.pi * s) * np.exp(-square / (2 * s)) for w, s in ((0.3, 4.0), (0.7, 60.0)))
    mass = density * np.exp(np.real(np.conj(amplitude) * z) - 0.5 * square)
    assert prior.log_integral(np.array([z]))[0] == pytest.approx(np.log(mass.sum() * (x[1] - x[0]) ** 2), abs=1e-4)
    drawn = AmplitudePrior(np.repeat(prior.shares, 20_000, axis=0), prior.variances).draw(
        np.full(20_000, z), np.random.default_rng(2)
    )
    mass /= mass.sum()
    assert drawn.mean() == pytest.approx(np.sum(mass * amplitude), abs=0.04)  # standard error 0.01
    assert np.mean(np.abs(drawn) ** 2) == pytest.approx(np.sum(mass * square), rel=0.03)


@pytest.mark.slow
def test_integral_by_points_is_that_over_a_dense_grid(spoiled: SegmentLikelihood, at: float) -> None:
    window = (at - 0.05, at + 0.05)
    residual = (spoiled.strain - signal(spoiled))[None]
    points = choose_points(spoiled, 0, PRIOR, window, residual, np.random.default_rng(4))
    found = points(residual, np.random.default_rng(5))
    # Shapes and times about the truth on a grid, with the prior's density; what lies outside is negligible.
    log_f, log_g = np.linspace(np.log(10), np.log(250), 60), np.linspace(np.log(0.1), np.log(6), 50)
    shapes = np.stack(np.meshgrid(log_f, log_g, indexing="ij"), axis=-1).reshape(-1, 2)
    times = at + np.arange(-1.5e-3, 1.5e-3, 2.5e-5)
    white = (np.sqrt(spoiled.weight[0]) * residual[0, 0])[spoiled.band]
    turns = np.exp(2j * np.pi * np.outer(spoiled.frequencies[spoiled.band], times))
    z = (np.conj(unit_white(spoiled, 0, shapes)) * white) @ turns
    cell = (log_f[1] - log_f[0]) * (log_g[1] - log_g[0]) * (times[1] - times[0]) / (window[1] - window[0])
    gains = AmplitudePrior(PRIOR.amplitudes(shapes), PRIOR.variances.ravel()).log_integral(z.T).T
    expected = float(logsumexp(gains + PRIOR.log_density(shapes)[:, None])) + np.log(cell)
    assert found.log_integral[0] > 60  # log Bayes factor, so that the grid is tested where the points are
    assert found.effective[0] > 100
    assert found.log_integral[0] == pytest.approx(expected, abs=0.15)  # 100 points or more: 0.1 at most


def test_gain_of_a_drawn_glitch_is_the_likelihoods(spoiled: SegmentLikelihood, at: float) -> None:
    h = signal(spoiled)
    points = choose_points(spoiled, 0, PRIOR, (at - 0.05, at + 0.05), (spoiled.strain - h)[None], np.random.default_rng(6), 256)
    found = points((spoiled.strain - h)[None], np.random.default_rng(7))
    total = h.copy()
    total[0] += found.amplitude[0] * unit_strain(spoiled, 0, found.shape, found.time)[0]
    log_likelihood = [-0.5 * np.sum(spoiled.weight * np.abs(spoiled.strain - x) ** 2) for x in (h, total)]
    assert found.gain[0] == pytest.approx(log_likelihood[1] - log_likelihood[0], abs=1e-3)


@pytest.mark.slow
def test_first_guess_leaves_the_signal(spoiled: SegmentLikelihood, clean: SegmentLikelihood, at: float) -> None:
    prior = gw.load_estimator().prior
    guess = first_fit(spoiled, prior, PRIOR, {0: (at - 0.4, at + 0.2)}, 1)
    off = guess[0] - (spoiled.strain - clean.strain)[0]
    assert np.sqrt(np.sum(spoiled.weight[0] * np.abs(off) ** 2)) < 6  # of 15; what noise alone allows is about 2.5
    assert not guess[1].any()


@pytest.mark.slow
def test_posterior_with_a_glitch(spoiled: SegmentLikelihood, clean: SegmentLikelihood, at: float) -> None:
    estimator = gw.load_estimator()
    options = replace(QUICK, n_sets=2, pilot=200)
    result = estimator.sample(spoiled.segment, n=600, seed=2, options=options, glitch="H1")
    p, about = result.posterior, summary(result)["H1"]
    assert about["probability"] > 0.999
    assert about["log_bayes_factor"] > 50
    assert 50 < result.meta["glitch"]["signal_log_bayes_factor"] < result.log_bayes_factor - 50
    assert np.quantile(p[column("H1", "snr")], 0.001) < SNR < np.quantile(p[column("H1", "snr")], 0.999)
    assert abs(about["time"]["median"] - spoiled.segment.start_time - at) < 1e-3
    # The columns say what the likelihood was taken of: signal and glitch in the true data.
    row = p.iloc[0]
    h = spoiled.signals({name: np.array([row[name]]) for name in parameters_of(p)})[0]
    shape = np.log([[row[column("H1", "frequency")], row[column("H1", "bandwidth")]]])
    time = np.array([row[column("H1", "time")] - spoiled.segment.start_time])
    amplitude = row[column("H1", "snr")] * np.exp(1j * row[column("H1", "phase")])
    h[0] += amplitude * unit_strain(spoiled, 0, shape, time)[0]
    assert row["log_likelihood"] == pytest.approx(-0.5 * np.sum(spoiled.weight * np.abs(spoiled.strain - h) ** 2), abs=1e-2)
    # And the binary is that of the data without it, which an analysis that ignores the glitch would not say.
    without = estimator.sample(clean.segment, n=600, seed=2, options=options)
    for name in ("chirp_mass", "luminosity_distance"):
        assert abs(p[name].median() - without.posterior[name].median()) < 1.5 * without.posterior[name].std()
    band = bands(result, spoiled.segment, estimator.model)["H1"]
    assert abs(band["time"][np.argmax(np.abs(band["glitch"][1]))] - spoiled.segment.start_time - at) < 0.01
    assert not [name for name in result.summary()["posterior"] if name.startswith("glitch")]
    check_another_prior(result)
    with pytest.raises(ConfigError, match="glitch"):
        result.with_waveform(spoiled.segment, "IMRPhenomD")


def check_another_prior(result) -> None:
    """What is said of the glitch and of the signal beside it is of the prior in force, not of the one that was sampled under."""
    near, far = (result.posterior["luminosity_distance"].quantile(q) for q in (0.5, 0.99))
    new = PriorDict(dict(prior_of(result)) | {"luminosity_distance": PowerLaw(-2, near, far, "luminosity_distance")})
    again = result.with_prior(new)
    before, after = result.meta["glitch"], again.meta["glitch"]
    gain = again.log_evidence - result.log_evidence
    assert after["signal_log_bayes_factor"] - before["signal_log_bayes_factor"] == pytest.approx(gain)
    assert abs(gain) > 0.1
    # The odds of a glitch are those of the binaries that are left.
    log_odds = again.posterior[column("H1", LOG_ODDS)].to_numpy()
    mean = logsumexp(log_expit(log_odds)) - logsumexp(log_expit(-log_odds))
    assert after["detectors"]["H1"]["log_bayes_factor"] == pytest.approx(mean, abs=1.0)
    assert after["detectors"]["H1"]["log_bayes_factor"] != before["detectors"]["H1"]["log_bayes_factor"]


def test_the_odds_of_a_glitch_follow_the_weights() -> None:
    log_odds = np.log([3.0, 0.5, 100.0])
    weights = np.array([0.2, 0.5, 0.3])
    share = weights @ (np.exp(log_odds) / (1 + np.exp(log_odds)))
    found = odds(np.log(weights) - 700.0, log_odds)
    assert found["probability"] == pytest.approx(share)
    assert found["log_bayes_factor"] == pytest.approx(np.log(share / (1 - share)))


@pytest.mark.parametrize(
    ("glitch", "says"),
    [
        ("V1", "glitch in 'V1': the data are of H1, L1"),
        (["H1", "L1"], "nothing would tell it from the signal"),
        ([], "names no detector"),
        ({"H1": "soon"}, "H1"),
        (3, "give the detector"),
    ],
)
def test_requests_that_cannot_be_met_say_why(glitch, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        requested_glitches(glitch, ("H1", "L1"))


def test_a_time_outside_of_the_segment_is_named(clean: SegmentLikelihood) -> None:
    with pytest.raises(ConfigError, match=r"glitch in H1 at 1187008890\.000.*the segment holds"):
        windows(clean, {"H1": 1187008890.0})
    low, high = windows(clean, {"H1": clean.segment.gps - 1})[0]
    assert (low + high) / 2 == pytest.approx(clean.segment.gps - 1 - clean.segment.start_time)
