"""The extrinsic integral over three detectors against plain Monte Carlo over all seven extrinsic parameters."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.conventions import INTRINSIC
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.extrinsic import points as candidates
from gwsurrogate_ml.inference.extrinsic import quadrupole
from gwsurrogate_ml.inference.extrinsic.distance import DistanceTable
from gwsurrogate_ml.inference.likelihood import detectors
from gwsurrogate_ml.inference.likelihood.injections import GPS, random_psds, simulate_segment
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.prior.binary import BinaryPrior
from gwsurrogate_ml.waveform.lal import LalModel

TRUTH = {
    "chirp_mass": 30.0, "mass_ratio": 0.8, "chi_1": 0.1, "chi_2": 0.0, "luminosity_distance": 1700.0, "theta_jn": 0.5,
    "phase": 1.0, "psi": 0.4, "ra": 1.9, "dec": 0.3, "geocent_time": GPS + 0.01,
}  # fmt: skip


def normal_draws(rng: np.random.Generator, mean: float, width: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws of a normal and their log density."""
    x = rng.normal(mean, width, n)
    return x, -0.5 * ((x - mean) / width) ** 2 - np.log(width * np.sqrt(2 * np.pi))


@pytest.mark.slow
def test_marginal_with_three_detectors_equals_plain_monte_carlo() -> None:
    config, rng = SegmentConfig(detectors=("H1", "L1", "V1")), np.random.default_rng(11)
    segment = simulate_segment(TRUTH, LalModel(), random_psds(config, rng), config, rng)
    likelihood, prior = SegmentLikelihood(segment, LalModel()), BinaryPrior()
    h = likelihood.waveforms(np.array([[TRUTH[name] for name in INTRINSIC]]))
    power, window = likelihood.power(h), quadrupole.TimeWindow(1.97, 1 / 8192, 1100)
    series = likelihood.series(h, window)
    table = DistanceTable.build(prior.luminosity_distance, 40.0)
    sigma = np.sqrt(power[0])
    snr = series[0] / sigma[:, None]
    shift = np.zeros(1, dtype=np.int64)
    ours, sets = [], []
    for seed in range(4):
        place = likelihood.network, window, snr, sigma, prior.time_half_width
        points = candidates.quasi_random(*place, 15, seed, seed % 2 == 1, origin=seed)
        terms = quadrupole.ExtrinsicIntegral(points, window, table, (1.9, 2.1)).terms(series, power, shift)[0]
        kept, influence = candidates.keep_best(points, terms - points.log_weight, 1024, np.random.default_rng(seed))
        sets.append((kept, influence))
        value, effective, _ = quadrupole.ExtrinsicIntegral(kept, window, table, (1.9, 2.1)).marginal(series, power, shift)
        ours.append(value[0])
        assert effective[0] > 120  # observed 190 to 350 of 1024: a point that is kept several times counts once
    # With the heaviest points in common the sums have the same mean, and say how much is from which set.
    totals = []
    for number, points in enumerate(candidates.shared(*zip(*sets, strict=True), 0.05)):
        integral = quadrupole.ExtrinsicIntegral(points, window, table, (1.9, 2.1))
        (total,), _, (of_set,) = integral.marginal(series, power, shift)
        terms = integral.terms(series, power, shift)[0]
        expected = [np.sum(np.exp(terms[points.origins == k] - total)) for k in range(4)]
        np.testing.assert_allclose(of_set, expected, atol=1e-6)
        assert np.argmax(of_set) == number
        assert 0.2 < of_set[number] < 0.99
        totals.append(np.exp(total))
    assert np.mean(totals) == pytest.approx(np.mean(np.exp(ours)), rel=1e-6)
    # The reference: arrival at the first detector and its delay against the second from normals around their peaks.
    n, spread = 1_000_000, 6e-4
    travel = likelihood.network.light_travel_time
    peaks = window.times[np.argmax(np.abs(series[0]), axis=1)]
    arrival, log_arrival = normal_draws(rng, peaks[0], spread, n)
    lag, log_lag = normal_draws(rng, peaks[0] - peaks[1], 3 * spread, n)
    direction = likelihood.network.ring_direction(lag, rng.uniform(0, 2 * np.pi, n))
    delays = likelihood.network.delays(direction)
    geocentre = arrival - delays[:, 0]
    psi, cos_theta = rng.uniform(0, np.pi, n), rng.uniform(-1, 1, n)
    a = detectors.amplitudes(*likelihood.network.patterns(direction, psi), cos_theta)
    log_weight = -np.log(2 * prior.time_half_width) - log_arrival - np.log(2 * travel) - log_lag - np.log(n)
    all_points = quadrupole.ExtrinsicPoints(geocentre[:, None] + delays, geocentre, direction, psi, cos_theta, a, log_weight)
    # A delay longer than light takes is no direction; far from the peaks the likelihood is smaller by e^-50.
    chosen = np.flatnonzero((np.abs(lag) < travel) & (np.abs(geocentre + delays[:, 1] - peaks[1]) < 4e-3))
    plain = quadrupole.ExtrinsicIntegral(all_points.take(chosen, log_weight[chosen]), window, table, (1.9, 2.1))
    expected, effective, _ = plain.marginal(series, power, shift)
    assert effective[0] > 50  # observed 66
    assert np.mean(ours) == pytest.approx(expected[0], abs=4 / np.sqrt(effective[0]))
    assert np.std(ours) < 0.08  # without regard to the third detector's series: 0.15
