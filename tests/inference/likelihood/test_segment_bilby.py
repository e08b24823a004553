"""The likelihood against bilby's on real and simulated data; geometry against bilby's detectors; quadrature for the rest."""

from __future__ import annotations

import bilby
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.interpolate import CubicSpline
from scipy.special import i0e, logsumexp

import gwsurrogate_ml as gw
from gwsurrogate_ml.conventions import INTRINSIC
from gwsurrogate_ml.inference.extrinsic import points as candidates
from gwsurrogate_ml.inference.extrinsic import quadrupole
from gwsurrogate_ml.inference.extrinsic.distance import DistanceTable, draw_distance
from gwsurrogate_ml.inference.likelihood import detectors
from gwsurrogate_ml.inference.likelihood.reduced import ReducedLikelihood
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.prior.binary import BinaryPrior
from gwsurrogate_ml.plugins.bilby import source_model
from gwsurrogate_ml.waveform.lal import LalModel

pytestmark = pytest.mark.peer

GPS = 1126259462.4


@pytest.fixture(scope="module")
def segment(data_dir):
    files = {name: data_dir(f"strain/{name[0]}-{name}_LOSC_4_V2-1126259446-32.hdf5") for name in ("H1", "L1")}
    return gw.StrainData.from_files(files, gps=GPS).segment()


def bilby_likelihood(segment, source, **options):
    interferometers = segment.to_bilby()
    generator = bilby.gw.WaveformGenerator(
        duration=segment.duration,
        sampling_frequency=interferometers.sampling_frequency,
        frequency_domain_source_model=source,
        parameter_conversion=bilby.gw.conversion.convert_to_lal_binary_black_hole_parameters,
        waveform_arguments={
            "minimum_frequency": 20.0, "reference_frequency": 0.0, "waveform_approximant": "IMRPhenomD"
        },
    )  # fmt: skip
    return bilby.gw.GravitationalWaveTransient(interferometers, generator, **options)


def draws(n: int) -> dict[str, np.ndarray]:
    bilby.core.utils.random.seed(8)
    return BinaryPrior().to_bilby(GPS).sample(n)


def rows(table: dict[str, np.ndarray]) -> list[dict[str, float]]:
    return [{key: float(value[i]) for key, value in table.items()} for i in range(len(table["phase"]))]


@pytest.mark.slow
def test_likelihood_of_the_surrogate_equals_bilbys_on_gw150914(segment) -> None:
    surrogate = gw.load_surrogate("nr22")
    table = draws(100)
    ours = SegmentLikelihood(segment, surrogate)
    theirs = bilby_likelihood(segment, source_model(surrogate))
    expected = [theirs.log_likelihood_ratio(row) for row in rows(table)]
    assert np.abs(ours.log_likelihood_ratio(table) - expected).max() < 1e-5  # observed 2e-8; required 0.02
    assert ours.log_noise_evidence == pytest.approx(theirs.noise_log_likelihood(), abs=1e-6)


def test_orientation_and_phase_are_those_of_lalsimulation(segment) -> None:
    # bilby calls LALSimulation with theta_jn and phase: nothing of our factors (1 + c^2)/2, -i c, exp(2i phase) is shared.
    table = draws(30)
    ours = SegmentLikelihood(segment, LalModel("IMRPhenomD")).log_likelihood_ratio(table)
    theirs = bilby_likelihood(segment, bilby.gw.source.lal_binary_black_hole)
    expected = [theirs.log_likelihood_ratio(row) for row in rows(table)]
    assert np.abs(ours - expected).max() < 1e-5  # observed 2e-8


def test_antenna_patterns_delays_and_sky_angles_are_bilbys() -> None:
    network = detectors.DetectorNetwork.of(("H1", "L1"))
    table = draws(20)
    gps = table["geocent_time"]
    direction = detectors.earth_direction(table["ra"], table["dec"], gps)
    plus, cross = network.patterns(direction, table["psi"])
    delays = network.delays(direction)
    for d, name in enumerate(network.names):
        detector = bilby.gw.detector.get_empty_interferometer(name)
        for i in range(20):
            where = (table["ra"][i], table["dec"][i], gps[i])
            assert plus[i, d] == pytest.approx(detector.antenna_response(*where, table["psi"][i], "plus"), abs=1e-8)
            assert cross[i, d] == pytest.approx(detector.antenna_response(*where, table["psi"][i], "cross"), abs=1e-8)
            assert delays[i, d] == pytest.approx(detector.time_delay_from_geocenter(*where), abs=1e-10)
    ra, dec = detectors.sky_angles(direction, gps)
    assert np.allclose(ra, table["ra"], atol=1e-9)
    assert np.allclose(dec, table["dec"], atol=1e-9)


def test_ring_directions_are_isotropic_and_have_their_delay() -> None:
    network = detectors.DetectorNetwork.of(("H1", "L1"))
    rng = np.random.default_rng(0)
    delay = network.light_travel_time * rng.uniform(-1, 1, 20_000)
    direction = network.ring_direction(delay, rng.uniform(0, 2 * np.pi, 20_000))
    lag = network.delays(direction)
    assert np.allclose(lag[:, 0] - lag[:, 1], delay, atol=1e-12)
    assert np.allclose(direction.mean(axis=0), 0, atol=0.02)
    assert np.allclose(direction.T @ direction / 20_000, np.eye(3) / 3, atol=0.01)


@pytest.mark.slow
def test_marginal_over_phase_and_distance_equals_bilbys(segment) -> None:
    likelihood, prior = SegmentLikelihood(segment, LalModel()), BinaryPrior()
    theirs = bilby_likelihood(segment, source_model(LalModel()), phase_marginalization=True, priors=prior.to_bilby(GPS))
    point = {
        "chirp_mass": 30.8, "mass_ratio": 0.85, "chi_1": 0.05, "chi_2": -0.1, "theta_jn": 2.6, "psi": 0.7, "ra": 1.6,
        "dec": -1.22, "geocent_time": GPS + 0.0163, "phase": 0.0,
    }  # fmt: skip
    # bilby integrates over phase, the trapezoid rule over distance; its log likelihood is interpolated between 120 distances.
    nodes = np.geomspace(60.0, 3000.0, 120)
    at_nodes = [theirs.log_likelihood_ratio(point | {"luminosity_distance": d}) for d in nodes]
    d = np.linspace(60.0, 3000.0, 100_001)
    log_l = CubicSpline(np.log(nodes), at_nodes)(np.log(d))
    density = prior.to_bilby(GPS)["luminosity_distance"].prob(d)
    expected = np.log(np.trapezoid(np.exp(log_l - log_l.max()) * density, d)) + log_l.max()

    gps = np.array([point["geocent_time"]])
    direction = detectors.earth_direction(np.array([point["ra"]]), np.array([point["dec"]]), gps)
    psi, cos_theta = np.array([point["psi"]]), np.cos([point["theta_jn"]])
    a = detectors.amplitudes(*likelihood.network.patterns(direction, psi), cos_theta)
    geocentre = gps - segment.start_time
    times = geocentre[:, None] + likelihood.network.delays(direction)
    points = quadrupole.ExtrinsicPoints(times, geocentre, direction, psi, cos_theta, a, np.zeros(1))
    h = likelihood.waveforms(np.array([[point[name] for name in INTRINSIC]]))
    window = quadrupole.TimeWindow(2.0, 1 / 8192, 400)
    table = DistanceTable.build(prior.luminosity_distance, 40.0)
    integral = quadrupole.ExtrinsicIntegral(points, window, table, (1.9, 2.1))
    ours, *_ = integral.marginal(likelihood.series(h, window), likelihood.power(h), np.zeros(1, dtype=np.int64))
    assert ours[0] == pytest.approx(expected, abs=2e-3)


@pytest.mark.slow
def test_marginal_over_time_and_angles_equals_plain_monte_carlo(segment) -> None:
    """All seven extrinsic parameters from a loud signal's quasi-random sets against independent draws of five of them."""
    likelihood, prior = SegmentLikelihood(segment, LalModel()), BinaryPrior()
    h = likelihood.waveforms(np.array([[30.8, 0.85, 0.05, -0.1]]))
    power, wide = likelihood.power(h), quadrupole.TimeWindow(1.98, 1 / 8192, 800)
    series = likelihood.series(h, wide)
    table = DistanceTable.build(prior.luminosity_distance, 40.0)
    limits = (1.9, 2.1)
    sigma = np.sqrt(power[0])
    snr = series[0] / sigma[:, None]
    ours = []
    for seed in range(4):
        points = candidates.quasi_random(likelihood.network, wide, snr, sigma, prior.time_half_width, 15, seed, seed % 2 == 1)
        full = quadrupole.ExtrinsicIntegral(points, wide, table, limits)
        terms = full.terms(series, power, np.zeros(1, dtype=np.int64))[0]
        kept, _ = candidates.keep_best(points, terms - points.log_weight, 1024, np.random.default_rng(seed))
        integral = quadrupole.ExtrinsicIntegral(kept, wide, table, limits)
        value, effective, _ = integral.marginal(series, power, np.zeros(1, dtype=np.int64))
        ours.append(value[0])
        assert effective[0] > 250  # observed 370 of 1024: a point that is kept several times counts once
    # The reference: independent draws, the two arrivals from normals around their peaks, every factor written out. The
    # delay between detectors is uniform for isotropic directions, as the cosine of the angle to the baseline is.
    rng = np.random.default_rng(5)
    n = 700_000
    peaks = wide.times[np.argmax(np.abs(series[0]), axis=1)]
    arrival, log_arrival = normal_draws(rng, peaks[0], 2.5e-4, n)
    lag, log_lag = normal_draws(rng, peaks[1] - peaks[0], 5e-4, n)
    vertex = [bilby.gw.detector.get_empty_interferometer(name).vertex for name in ("H1", "L1")]
    baseline = vertex[1] - vertex[0]
    travel = float(np.linalg.norm(baseline)) / 299792458.0
    axis = baseline / np.linalg.norm(baseline)
    across = np.linalg.svd(axis[None])[2][1:]
    azimuth, cosine = rng.uniform(0, 2 * np.pi, n), -lag / travel
    inside = np.abs(cosine) < 1
    sine = np.sqrt(np.where(inside, 1 - cosine**2, 0.0))
    ring = np.cos(azimuth)[:, None] * across[0] + np.sin(azimuth)[:, None] * across[1]
    direction = cosine[:, None] * axis + sine[:, None] * ring
    delays = likelihood.network.delays(direction)
    assert np.abs(delays[inside, 1] - delays[inside, 0] - lag[inside]).max() < 1e-9
    geocentre = arrival - delays[:, 0]
    times = geocentre[:, None] + delays
    psi, cos_theta = rng.uniform(0, np.pi, n), rng.uniform(-1, 1, n)
    a = detectors.amplitudes(*likelihood.network.patterns(direction, psi), cos_theta)
    log_weight = np.log(1 / (2 * prior.time_half_width)) - log_arrival + np.log(1 / (2 * travel)) - log_lag - np.log(n)
    chosen = np.flatnonzero(inside & (np.abs(lag - peaks[1] + peaks[0]) < 2e-3))
    points = quadrupole.ExtrinsicPoints(times, geocentre, direction, psi, cos_theta, a, log_weight)
    plain = quadrupole.ExtrinsicIntegral(points.take(chosen, log_weight[chosen]), wide, table, limits)
    expected, effective, _ = plain.marginal(series, power, np.zeros(1, dtype=np.int64))
    assert effective[0] > 1600  # four standard errors are then less than 0.1
    assert np.mean(ours) == pytest.approx(expected[0], abs=0.1)
    assert np.std(ours) < 0.05  # observed 0.01


def normal_draws(rng: np.random.Generator, mean: float, width: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws of a normal and their log density."""
    x = rng.normal(mean, width, n)
    return x, -0.5 * ((x - mean) / width) ** 2 - np.log(width * np.sqrt(2 * np.pi))


@pytest.mark.slow
def test_marginal_over_phase_time_and_distance_equals_bilbys(segment) -> None:
    likelihood, prior = SegmentLikelihood(segment, LalModel()), BinaryPrior()
    theirs = bilby_likelihood(
        segment, source_model(LalModel()), phase_marginalization=True, time_marginalization=True, jitter_time=True,
        priors=prior.to_bilby(GPS),
    )  # fmt: skip
    point = {
        "chirp_mass": 30.8, "mass_ratio": 0.85, "chi_1": 0.05, "chi_2": -0.1, "theta_jn": 2.6, "psi": 0.7, "ra": 1.6,
        "dec": -1.22, "geocent_time": float(segment.start_time), "phase": 0.0,
    }  # fmt: skip
    # bilby's grid of times, 1 ms apart, is wider than the peak: eight grids shifted against each other fill it.
    step = 2 / theirs.waveform_generator.sampling_frequency
    jitters = (np.arange(8) + 0.5) / 8 * step - step / 2
    nodes = np.geomspace(150.0, 3000.0, 40)
    at_nodes = []
    for distance in nodes:
        row = point | {"luminosity_distance": distance}
        values = [theirs.log_likelihood_ratio(row | {"time_jitter": float(jitter)}) for jitter in jitters]
        at_nodes.append(logsumexp(values) - np.log(len(jitters)))
    d = np.linspace(150.0, 3000.0, 20_001)
    log_l = CubicSpline(np.log(nodes), at_nodes)(np.log(d))
    density = prior.to_bilby(GPS)["luminosity_distance"].prob(d)
    expected = np.log(np.trapezoid(np.exp(log_l - log_l.max()) * density, d)) + log_l.max()

    fine = 1 / 32768
    geocentre = GPS + 0.0163 - segment.start_time + fine * np.arange(-160, 161)
    n = len(geocentre)
    gps = np.full(n, GPS + 0.0163)
    direction = detectors.earth_direction(np.full(n, point["ra"]), np.full(n, point["dec"]), gps)
    psi, cos_theta = np.full(n, point["psi"]), np.full(n, np.cos(point["theta_jn"]))
    a = detectors.amplitudes(*likelihood.network.patterns(direction, psi), cos_theta)
    times = geocentre[:, None] + likelihood.network.delays(direction)
    log_weight = np.full(n, np.log(fine / (2 * prior.time_half_width)))
    points = quadrupole.ExtrinsicPoints(times, geocentre, direction, psi, cos_theta, a, log_weight)
    h = likelihood.waveforms(np.array([[point[name] for name in INTRINSIC]]))
    window = quadrupole.TimeWindow(1.99, 1 / 8192, 500)
    integral = quadrupole.ExtrinsicIntegral(points, window, DistanceTable.build(prior.luminosity_distance, 40.0), (1.9, 2.1))
    ours, *_ = integral.marginal(likelihood.series(h, window), likelihood.power(h), np.zeros(1, dtype=np.int64))
    assert ours[0] == pytest.approx(expected, abs=0.01)


def test_reduced_series_equal_the_exact_ones(segment) -> None:
    likelihood = SegmentLikelihood(segment, LalModel())
    rng = np.random.default_rng(1)
    theta = np.column_stack([rng.uniform(29, 33, 300), rng.uniform(0.5, 1, 300), rng.uniform(-0.4, 0.4, (300, 2))])
    h = likelihood.waveforms(theta)
    window = quadrupole.TimeWindow(2.0, 1 / 8192, 200)
    reduced = ReducedLikelihood.of(likelihood, window, h[:150])
    reduced.extend(h[150:160])
    coefficients, power, lost = reduced.project(h)
    assert np.allclose(power, likelihood.power(h), rtol=1e-10)
    assert lost.max() < 1e-6
    scale = np.sqrt(power)[:, :, None]
    error = np.abs(reduced.series(coefficients) - likelihood.series(h, window)) / scale
    assert error.max() < 2e-3  # in units of signal-to-noise ratio; observed 3e-4


@pytest.mark.slow
def test_distances_follow_their_conditional() -> None:
    rng = np.random.default_rng(0)
    n, rho, best = 20_000, 9.0, 2600.0
    # K = rho^2 D0 and H = rho^2 D0^2
    d = draw_distance(np.full(n, rho**2 * best), np.full(n, rho**2 * best**2), (10.0, 3000.0), rng)
    grid = np.linspace(10.0, 3000.0, 20_001)
    p = grid**2 * np.exp(-0.5 * rho**2 * (best / grid - 1) ** 2) * i0e(rho**2 * best / grid)
    cdf = np.cumsum(p) / p.sum()
    u = np.interp(d, grid, cdf)
    assert abs(u.mean() - 0.5) < 4 / np.sqrt(12 * n)
    assert np.abs(np.histogram(u, bins=20, range=(0, 1))[0] / n - 0.05).max() < 0.007


@pytest.mark.slow
def test_points_without_match_are_no_better_than_the_prior_allows() -> None:
    """A point with next to no match but much power has a likelihood below 1, however its best distance diverges."""
    network = detectors.DetectorNetwork.of(("H1", "L1"))
    window = quadrupole.TimeWindow(0.0, 1 / 8192, 60)
    direction, psi, c = np.array([[0.0, 0.6, 0.8]]), np.zeros(1), np.ones(1)
    a = detectors.amplitudes(*network.patterns(direction, psi), c)
    table = DistanceTable.build((10.0, 3000.0), 20.0)
    times = np.full((1, 2), 30 / 8192)
    points = quadrupole.ExtrinsicPoints(times, times[:, 0], direction, psi, c, a, np.zeros(1))
    integral = quadrupole.ExtrinsicIntegral(points, window, table, (-1.0, 1.0))
    for sigma in (2e3, 1e4, 4e4):
        power = np.full((1, 2), sigma**2)
        h = float(np.sum(np.abs(a) ** 2 * power))
        expected = quad(lambda d, h=h: 3 * d**2 / 3000.0**3 * np.exp(-0.5 * h / d**2), 1.0, 3000.0, epsabs=0)[0]
        for tiny in (0.0, 1e-3, 0.3, 0.62, 0.7):
            series = np.full((1, 2, 60), tiny * sigma, dtype=np.complex128)
            value, *_ = integral.marginal(series, power, np.zeros(1, dtype=np.int64))
            # The match is taken as 0.75 sigma where it is less: too much, but never more than the likelihood's maximum.
            assert np.log(expected) - 0.3 <= value[0] <= max(0.75, np.sqrt(2) * tiny) ** 2 / 2
