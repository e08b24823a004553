"""Extrinsic points: drawn where the data want them, weighted so that every choice gives the same integral."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.inference.extrinsic.points import Azimuths, arrivals, quasi_random
from gwsurrogate_ml.inference.extrinsic.polarization import Cap
from gwsurrogate_ml.inference.extrinsic.quadrupole import moved
from gwsurrogate_ml.inference.likelihood.detectors import DetectorNetwork, amplitudes
from gwsurrogate_ml.inference.likelihood.window import TimeWindow

NETWORKS = [("H1", "L1"), ("H1", "L1", "V1")]


def cap(names: tuple[str, ...], rho: float, n: int, seed: int) -> tuple[Cap, np.ndarray, DetectorNetwork, np.ndarray]:
    """One random direction and measurement, n times."""
    rng, network = np.random.default_rng(seed), DetectorNetwork.of(names)
    direction = np.repeat(rng.normal(size=(1, 3)), n, axis=0)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    sigma = rng.uniform(0.5, 1.5, len(names))
    measured = rng.normal(size=len(names)) + 1j * rng.normal(size=len(names))
    measured *= rho / np.linalg.norm(measured)
    f_plus, f_cross = network.patterns(direction, np.zeros(n))
    return Cap.around(np.repeat(measured[None], n, 0), f_plus * sigma, f_cross * sigma, 0.6), direction, network, sigma


@pytest.mark.parametrize("names", NETWORKS)
@pytest.mark.parametrize("rho", [3.0, 30.0, 1000.0])
def test_orientations_have_the_amplitudes_that_were_drawn(names: tuple[str, ...], rho: float) -> None:
    """The angle between drawn and measured amplitudes follows the von Mises-Fisher law, after all maps forth and back."""
    n, rng = 20_000, np.random.default_rng(0)
    wanted, direction, network, sigma = cap(names, rho, n, seed=3)
    psi, cos_theta = wanted.draw(rng.random(n), rng.random(n))
    assert np.all((psi >= 0) & (psi < np.pi / 2) & (np.abs(cos_theta) <= 1))
    a = amplitudes(*network.patterns(direction, psi), cos_theta) * sigma
    q = wanted.pair[0]
    assert np.allclose(q.T @ q, np.eye(2), atol=1e-9)
    assert np.allclose(a @ q @ q.T, a, atol=1e-9)
    measured_match = np.abs(np.conj(a @ q) @ _centre(wanted)) ** 2 / np.sum(np.abs(a @ q) ** 2, axis=1)
    cosine, k = 2 * measured_match - 1, wanted.concentration[0]
    expected = 1 / np.tanh(k) - 1 / k
    assert np.mean(1 - cosine) == pytest.approx(1 - expected, rel=0.05)


def _centre(wanted: Cap) -> np.ndarray:
    """The unit pair of amplitudes that stands for the cap's centre."""
    x, y, z = wanted.centre[0]
    first = np.sqrt((1 + z) / 2)
    return np.array([first, (x + 1j * y) / (2 * first)])


@pytest.mark.slow
@pytest.mark.parametrize("names", NETWORKS)
@pytest.mark.parametrize("rho", [3.0, 20.0])
def test_density_of_aimed_orientations_is_that_of_their_draws(names: tuple[str, ...], rho: float) -> None:
    """Half from the prior, half aimed, weighted as a mixture: the prior's moments come out."""
    n, rng = 200_000, np.random.default_rng(1)
    wanted, direction, network, sigma = cap(names, rho, n, seed=5)
    psi, cos_theta = np.pi / 2 * rng.random(n), rng.uniform(-1, 1, n)
    aimed = np.arange(n) % 2 == 1
    drawn = wanted.draw(rng.random(n), rng.random(n))
    psi[aimed], cos_theta[aimed] = drawn[0][aimed], drawn[1][aimed]
    a = amplitudes(*network.patterns(direction, psi), cos_theta) * sigma
    weight = 2 / (1 + np.exp(wanted.log_density(a, cos_theta)))
    for value, mean in ((1.0, 1.0), (psi, np.pi / 4), (cos_theta, 0.0), (cos_theta**2, 1 / 3), (np.cos(4 * psi), 0.0)):
        error = np.std(weight * value) / np.sqrt(n)
        assert abs(np.mean(weight * value) - mean) < 4.5 * error + 1e-12


def test_learned_azimuths_are_a_normalised_density_where_the_weights_are() -> None:
    rng = np.random.default_rng(2)
    azimuth = rng.uniform(0, 2 * np.pi, 50_000)
    learned = Azimuths.of(azimuth, -0.5 * ((azimuth - 1.2) / 0.01) ** 2)
    x, log_density = learned.draw((np.arange(100_000) + 0.5) / 100_000)
    assert np.mean(np.exp(-log_density)) == pytest.approx(1, abs=1e-3)
    assert np.all((x >= 0) & (x <= 2 * np.pi))
    assert np.mean(np.abs(x - 1.2) < 0.03) > 0.8  # 0.01 of the ring


@pytest.mark.slow
@pytest.mark.parametrize("peak", [0.5, 3.0, 8.0])
def test_points_of_all_kinds_have_the_prior_volume_of_their_arrivals(peak: float) -> None:
    """Weights sum to the share of times in the window, whatever the points are drawn for."""
    network, window = DetectorNetwork.of(("H1", "L1")), TimeWindow(0.0, 1 / 8192, 200)
    t = window.times - window.times[100]
    series = peak * np.exp(-0.5 * (t / 2e-3) ** 2) * np.exp(2j * np.pi * 120 * t) * np.array([[1.0], [0.8j]])
    learned = Azimuths.of(np.linspace(0, 6.28, 1000), np.linspace(-30, 0, 1000))
    # Two independent arrivals, uniform over the inner window, that are as far apart as light goes at most.
    inner, travel, step = 194 / 8192, network.light_travel_time, window.step
    share = (inner**2 - (inner - travel) ** 2) / (2 * 0.1 * 2 * travel)
    for aimed, azimuths in ((False, None), (True, None), (True, learned)):
        points = quasi_random(network, window, series, np.ones(2), 0.1, 16, 4, aimed, azimuths)
        weight = np.exp(points.log_weight)
        assert weight.sum() == pytest.approx(share, rel=0.03 + 2 * step / inner)
        assert np.sum(weight * points.cos_theta**2) / weight.sum() == pytest.approx(1 / 3, abs=0.03)


def test_a_moved_series_is_the_series_of_a_later_time() -> None:
    t = np.arange(60)
    series = np.exp(2j * np.pi * 0.02 * t)[None]
    for shift in (0.0, 0.3, -0.5, 7.25, -4.9):
        inside = slice(12, 45)
        assert np.abs(moved(series, shift) - np.exp(2j * np.pi * 0.02 * (t + shift)))[:, inside].max() < 1e-6


def test_arrival_times_are_drawn_as_weighted_points_have_them() -> None:
    network, window = DetectorNetwork.of(("H1", "L1")), TimeWindow(0.0, 1 / 4096, 240)
    rng = np.random.default_rng(1)
    times = np.array([0.031, 0.034]) + np.array([4e-4, 8e-4]) * rng.normal(size=(4000, 2))
    series = arrivals(window, times, np.zeros(len(times)))
    points, plain = (quasi_random(network, window, x, np.ones(2), 0.1, 13, 2) for x in (series, np.ones((2, 240))))
    # Weights keep the prior's share of the window, most of which the few points beyond the learned times stand for.
    assert np.exp(points.log_weight).sum() == pytest.approx(np.exp(plain.log_weight).sum(), rel=0.25)
    for k, (mean, width) in enumerate(zip(times.mean(axis=0), times.std(axis=0), strict=True)):
        near = np.abs(points.times[:, k] - mean) < 3 * width
        assert near.mean() > 0.9
        assert np.mean(points.times[near, k]) == pytest.approx(mean, abs=0.2 * width)
