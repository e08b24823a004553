"""Splines, sums and the integral over calibration errors, against bilby's calibration model and direct sums and integrals."""

from __future__ import annotations

from dataclasses import replace

import bilby
import numpy as np
import pytest
from scipy.special import logsumexp

import gwsurrogate_ml as gw
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import random_psds, simulate_segment
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.nuisances.envelope import CalibrationEnvelope
from gwsurrogate_ml.inference.nuisances.integral import NuisanceIntegral
from gwsurrogate_ml.inference.nuisances.prior import KINDS, Nuisances
from gwsurrogate_ml.inference.nuisances.softened import recalibrated
from gwsurrogate_ml.inference.nuisances.splines import Splines
from gwsurrogate_ml.inference.nuisances.waveform_error import surrogate_width, unit_mismatch
from gwsurrogate_ml.inference.result.nuisances import log_ratio
from gwsurrogate_ml.plugins.bilby import source_model

CONFIG = SegmentConfig()
BAND = CONFIG.f_min, CONFIG.f_max
TRUTH = {
    "chirp_mass": 28.0, "mass_ratio": 0.7, "chi_1": 0.2, "chi_2": -0.1, "luminosity_distance": 700.0, "theta_jn": 0.6,
    "phase": 1.0, "psi": 0.4, "ra": 1.9, "dec": 0.3, "geocent_time": 1187008882.41,
}  # fmt: skip


@pytest.fixture(scope="module")
def likelihood() -> SegmentLikelihood:
    rng, model = np.random.default_rng(1), gw.load_surrogate("nr22")
    return SegmentLikelihood(simulate_segment(TRUTH, model, random_psds(CONFIG, rng), CONFIG, rng), model)


@pytest.fixture(scope="module")
def signals(likelihood: SegmentLikelihood) -> np.ndarray:
    """Three signals, the last of them half a millisecond late."""
    table = {name: np.full(3, value) for name, value in TRUTH.items()}
    table["geocent_time"] = TRUTH["geocent_time"] + np.array([0.0, 1e-4, 5e-4])
    return likelihood.signals(table)


def of(amplitude: float, phase: float, waveform: tuple[float, float, str] | None = None) -> Nuisances:
    return Nuisances.of(
        CONFIG.detectors, BAND, {name: CalibrationEnvelope.constant(amplitude, phase) for name in CONFIG.detectors}, waveform
    )


@pytest.mark.peer
def test_factor_is_bilbys_cubic_spline() -> None:
    nuisances = of(0.1, 0.2)
    nodes = nuisances.draw(np.random.default_rng(2))
    f = np.linspace(*BAND, 3001)
    for d, name in enumerate(CONFIG.detectors):
        theirs = bilby.gw.calibration.CubicSpline(f"recalib_{name}_", *BAND, 10)
        parameters = dict(zip(nuisances.columns, nodes.ravel(), strict=True))
        assert np.abs(nuisances.factor(nodes, f)[d] - theirs.get_calibration_factor(f, **parameters)).max() < 1e-12


@pytest.mark.peer
def test_likelihood_at_given_errors_is_bilbys_with_recalibrated_detectors(likelihood: SegmentLikelihood, signals) -> None:
    nuisances = of(0.1, 0.15)
    interferometers = likelihood.segment.to_bilby()
    for interferometer in interferometers:
        interferometer.calibration_model = bilby.gw.calibration.CubicSpline(f"recalib_{interferometer.name}_", *BAND, 10)
    generator = bilby.gw.WaveformGenerator(
        duration=CONFIG.duration,
        sampling_frequency=interferometers.sampling_frequency,
        frequency_domain_source_model=source_model(likelihood.model),
        parameter_conversion=bilby.gw.conversion.convert_to_lal_binary_black_hole_parameters,
        waveform_arguments={"minimum_frequency": 20.0},
    )
    theirs = bilby.gw.GravitationalWaveTransient(interferometers, generator)
    out = NuisanceIntegral(likelihood, nuisances)(signals[:1], np.random.default_rng(3))
    expected = theirs.log_likelihood_ratio(TRUTH | dict(zip(nuisances.columns, out.nodes[0], strict=True)))
    assert out.log_likelihood_at[0] == pytest.approx(expected, abs=1e-3)  # required 0.01


def test_sums_over_few_frequencies_are_those_over_all(likelihood: SegmentLikelihood, signals) -> None:
    nuisances = of(0.1, 0.1, (0.05, 0.05, ""))
    nodes = nuisances.draw(np.random.default_rng(4))
    u, v = NuisanceIntegral(likelihood, nuisances).sums(signals)
    factor = nuisances.factor(nodes, nuisances.splines.abscissae)
    few = np.sum(np.real(np.conj(factor) * u) - 0.5 * np.abs(factor) ** 2 * v, axis=(1, 2))
    shifted = signals.copy()
    shifted[:, :, likelihood.band] *= nuisances.factor(nodes, likelihood.frequencies[likelihood.band])
    assert np.abs(few - log_ratio(likelihood, shifted)).max() < 1e-3  # observed 1e-5
    # The same likelihood from corrected data and signals of perfect detectors, but for the noise's part.
    data = recalibrated(likelihood, nuisances, nodes)
    assert np.abs(log_ratio(data, signals) - log_ratio(likelihood, shifted)).max() < 1e-6


@pytest.mark.slow
def test_narrow_errors_are_integrated_as_plain_monte_carlo_does(likelihood: SegmentLikelihood, signals) -> None:
    nuisances = of(0.02, 0.02, (0.01, 0.015, ""))
    rng = np.random.default_rng(5)
    integral = NuisanceIntegral(likelihood, nuisances)
    ours = integral(signals, rng)
    u, v = integral.sums(signals)
    plain = np.empty((len(signals), 20_000))
    for k in range(plain.shape[1]):
        factor = nuisances.factor(nuisances.draw(rng), nuisances.splines.abscissae)
        plain[:, k] = np.sum(np.real(np.conj(factor) * u) - 0.5 * np.abs(factor) ** 2 * v, axis=(1, 2))
    value = logsumexp(plain, axis=1) - np.log(plain.shape[1])
    effective = np.exp(2 * logsumexp(plain, axis=1) - logsumexp(2 * plain, axis=1))
    assert effective[:2].min() > 200
    error = 1 / np.sqrt(effective[:2])
    assert np.all(np.abs(ours.log_likelihood - value)[:2] < 5 * error)
    assert ours.efficiency.min() > 0.95


def test_integral_does_not_depend_on_its_number_of_draws_in_the_stress_case(likelihood: SegmentLikelihood, signals) -> None:
    nuisances = of(0.05, np.radians(3.0))
    few = NuisanceIntegral(likelihood, nuisances)(signals, np.random.default_rng(6))
    many = NuisanceIntegral(likelihood, nuisances, 3000)(signals, np.random.default_rng(7))
    assert many.log_likelihood[2] - log_ratio(likelihood, signals)[2] > 5.0  # the errors take up a wrong time
    assert np.abs(few.log_likelihood - many.log_likelihood).max() < 0.03
    assert few.efficiency.min() > 0.99


@pytest.mark.slow
def test_draws_of_the_nodes_follow_the_posterior(likelihood: SegmentLikelihood, signals) -> None:
    # Without a signal the posterior of the nodes is their prior; with one it is the Gaussian of a linear model.
    nuisances = of(0.05, 0.05)
    same = np.repeat(1e-6 * signals[:1], 800, axis=0)
    nodes = NuisanceIntegral(likelihood, nuisances)(same, np.random.default_rng(8)).nodes
    assert nodes.std(axis=0) == pytest.approx(0.05, rel=0.15)
    assert np.abs(nodes.mean(axis=0)).max() < 4 * 0.05 / np.sqrt(800)
    wide = of(0.15, 0.15)
    found = NuisanceIntegral(likelihood, wide)(np.repeat(signals[:1], 800, axis=0), np.random.default_rng(9)).nodes
    basis = wide.splines.basis(likelihood.frequencies[likelihood.band])
    for d, spread in enumerate(found.reshape(800, 2, 2, 10).std(axis=0)):
        power = likelihood.weight[d, likelihood.band] * np.abs(signals[0, d, likelihood.band]) ** 2
        expected = np.sqrt(np.diag(np.linalg.inv(np.eye(10) / 0.15**2 + (basis * power) @ basis.T)))
        assert expected.min() < 0.14
        assert spread == pytest.approx(np.stack([expected, expected]), rel=0.15)


def test_no_errors_leave_the_likelihood_as_it_is(likelihood: SegmentLikelihood, signals) -> None:
    out = NuisanceIntegral(likelihood, of(0.0, 0.0))(signals, np.random.default_rng(1))
    assert out.log_likelihood == pytest.approx(log_ratio(likelihood, signals), abs=1e-6)


def test_median_of_an_envelope_is_taken_away(likelihood: SegmentLikelihood, signals) -> None:
    shape = of(0.0, 0.0)
    mean = np.zeros_like(shape.mean)
    mean[:, 0], mean[:, 1] = 0.1, -0.2
    out = NuisanceIntegral(likelihood, replace(shape, mean=mean))(signals, np.random.default_rng(1))
    factor = 1.1 * (2 - 0.2j) / (2 + 0.2j)
    assert out.log_likelihood == pytest.approx(log_ratio(likelihood, factor * signals), abs=1e-6)


def test_waveform_curves_mismatch_as_the_surrogate_expects_of_itself(likelihood: SegmentLikelihood, signals) -> None:
    theta = np.array([TRUTH[name] for name in likelihood.space.names])
    f, h = likelihood.frequencies[likelihood.band], likelihood.waveforms(theta[None])[0, likelihood.band]
    splines = Splines(*BAND)
    sigma = surrogate_width(likelihood.model, theta, splines, f, h)
    expected = likelihood.model.error_estimate(q=1 / 0.7, chi1=0.2, chi2=-0.1).mismatch
    rng, found = np.random.default_rng(11), []
    times = np.linspace(-2e-4, 2e-4, 401)
    turns = np.exp(2j * np.pi * np.outer(times, f))
    scale = 0.02  # mismatches of so small errors would be lost in the steps of time: they grow with the square
    for _ in range(60):
        a, phi = (scale * rng.normal(size=10) @ splines.basis(f) for _ in KINDS)
        other = h * (1 + a) * np.exp(1j * phi)
        overlap = np.abs(turns @ (np.conj(h) * other)).max()
        found.append(1 - overlap / np.sqrt(np.sum(np.abs(h) ** 2) * np.sum(np.abs(other) ** 2)))
    assert np.mean(found) == pytest.approx(scale**2 * unit_mismatch(splines, f, h), rel=0.2)
    assert sigma**2 * unit_mismatch(splines, f, h) == pytest.approx(expected, rel=1e-6)
