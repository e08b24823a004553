"""The extrinsic integral over one detector alone against plain Monte Carlo over all seven extrinsic parameters."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.conventions import C_SI, INTRINSIC
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
    "chirp_mass": 30.0, "mass_ratio": 0.8, "chi_1": 0.1, "chi_2": 0.0, "luminosity_distance": 350.0, "theta_jn": 0.5,
    "phase": 1.0, "psi": 0.4, "ra": 1.9, "dec": 0.3, "geocent_time": GPS + 0.01,
}  # fmt: skip


def test_one_detector_hears_the_geocentre_as_the_other_end_of_its_baseline() -> None:
    network = detectors.DetectorNetwork.of(("V1",))
    radius = np.linalg.norm(network.vertices[0]) / C_SI
    assert network.light_travel_time == network.longest_travel_time == pytest.approx(radius)
    delay, azimuth = np.array([-0.015, 0.0, 0.02]), np.array([0.3, 2.0, 5.0])
    np.testing.assert_allclose(network.delays(network.ring_direction(delay, azimuth))[:, 0], delay, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("aimed", [False, True])
def test_marginal_with_one_detector_equals_plain_monte_carlo(aimed: bool) -> None:
    config, rng = SegmentConfig(detectors=("V1",)), np.random.default_rng(4)
    segment = simulate_segment(TRUTH, LalModel(), random_psds(config, rng), config, rng)
    likelihood, prior = SegmentLikelihood(segment, LalModel()), BinaryPrior()
    h = likelihood.waveforms(np.array([[TRUTH[name] for name in INTRINSIC]]))
    power, window = likelihood.power(h), quadrupole.TimeWindow(1.94, 1 / 8192, 1300)
    series = likelihood.series(h, window)
    table, sigma, shift = DistanceTable.build(prior.luminosity_distance, 40.0), np.sqrt(power[0]), np.zeros(1, dtype=np.int64)
    snr = series[0] / sigma[:, None]
    assert np.abs(snr).max() > 8
    ours = []
    for seed in range(4):
        points = candidates.quasi_random(likelihood.network, window, snr, sigma, prior.time_half_width, 14, seed, aimed)
        ours.append(quadrupole.ExtrinsicIntegral(points, window, table, (1.9, 2.1)).marginal(series, power, shift)[0][0])
    # The reference: isotropic directions by three normals, the arrival at the detector from a normal around its peak.
    n, spread = 400_000, 2e-3
    peak = window.times[np.argmax(np.abs(series[0, 0]))]
    arrival = rng.normal(peak, spread, n)
    log_arrival = -0.5 * ((arrival - peak) / spread) ** 2 - np.log(spread * np.sqrt(2 * np.pi))
    direction = rng.normal(size=(n, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    geocentre = arrival - likelihood.network.delays(direction)[:, 0]
    psi, cos_theta = rng.uniform(0, np.pi, n), rng.uniform(-1, 1, n)
    a = detectors.amplitudes(*likelihood.network.patterns(direction, psi), cos_theta)
    log_weight = -np.log(2 * prior.time_half_width) - log_arrival - np.log(n)
    plain = quadrupole.ExtrinsicPoints(arrival[:, None], geocentre, direction, psi, cos_theta, a, log_weight)
    expected, effective, _ = quadrupole.ExtrinsicIntegral(plain, window, table, (1.9, 2.1)).marginal(series, power, shift)
    assert effective[0] > 2000
    assert np.mean(ours) == pytest.approx(expected[0], abs=4 / np.sqrt(effective[0]))
    assert np.std(ours) < 0.05
