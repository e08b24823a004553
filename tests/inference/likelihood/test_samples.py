"""Coefficients from a few samples of the strain equal those of the full transform, or are not trusted."""

from __future__ import annotations

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.conventions import component_masses
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import random_psds, simulate_segment
from gwsurrogate_ml.inference.likelihood.reduced import ReducedLikelihood
from gwsurrogate_ml.inference.likelihood.samples import EmpiricalInterpolant
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.window import TimeWindow
from gwsurrogate_ml.waveform.model import Grid

TOLERANCE = 3e-8


def _binaries(n: int, seed: int, chirp_mass: tuple[float, float] = (24.0, 30.0)) -> np.ndarray:
    low, high = np.array([chirp_mass, (0.5, 1.0), (-0.6, 0.6), (-0.6, 0.6)]).T
    return low + (high - low) * np.random.default_rng(seed).random((n, 4))


@pytest.fixture(scope="module")
def learned() -> tuple[SegmentLikelihood, ReducedLikelihood, EmpiricalInterpolant]:
    config, rng = SegmentConfig(), np.random.default_rng(5)
    model = gw.load_surrogate("nr22")
    likelihood = SegmentLikelihood(simulate_segment(None, model, random_psds(config, rng), config, rng), model)
    theta = _binaries(700, 1)
    h = likelihood.waveforms(theta)
    reduced = ReducedLikelihood.of(likelihood, TimeWindow(1.99, 1 / 8192, 100), h[::3], tolerance=1e-12)
    return likelihood, reduced, EmpiricalInterpolant.of(likelihood, theta, h, reduced.project(h)[0], TOLERANCE)


@pytest.mark.slow
def test_coefficients_and_powers_of_unseen_binaries_are_those_of_the_full_transform(
    learned: tuple[SegmentLikelihood, ReducedLikelihood, EmpiricalInterpolant],
) -> None:
    likelihood, reduced, nodes = learned
    theta = _binaries(200, 2)
    found, good = nodes(theta)
    exact, power, _ = reduced.project(likelihood.waveforms(theta))
    error = np.sum(np.abs(found - exact) ** 2, axis=1) / np.sum(np.abs(exact) ** 2, axis=1)
    assert nodes.trusted
    assert good.mean() > 0.8
    assert np.median(error[good]) < TOLERANCE
    assert error[good].max() < 10 * TOLERANCE
    # The share of the power that is wrong is the square of the coefficients' relative error.
    assert np.max(np.abs(reduced.power(found)[good] / power[good] - 1)) < 2 * np.sqrt(TOLERANCE)


@pytest.mark.slow
def test_binaries_unlike_those_learned_from_are_not_trusted_until_they_are_learned(
    learned: tuple[SegmentLikelihood, ReducedLikelihood, EmpiricalInterpolant],
) -> None:
    likelihood, reduced, nodes = learned
    theta = _binaries(400, 3, chirp_mass=(33.0, 36.0))
    _, good = nodes(theta)
    assert good.mean() < 0.1
    h = likelihood.waveforms(theta[:300])
    reduced.extend(h)
    nodes.add(h, reduced.project(h)[0])
    found, good = nodes(theta[300:])
    exact = reduced.project(likelihood.waveforms(theta[300:]))[0]
    error = np.sum(np.abs(found - exact) ** 2, axis=1) / np.sum(np.abs(exact) ** 2, axis=1)
    assert good.mean() > 0.7
    assert np.median(error[good]) < TOLERANCE
    assert error[good].max() < 10 * TOLERANCE


def test_samples_are_those_of_the_series_that_is_transformed() -> None:
    model = gw.load_surrogate("nr22")
    theta = np.array([[26.0, 0.9, 0.1, -0.7], [17.0, 0.5, 0.3, 0.0]])
    mass_1, mass_2 = component_masses(theta[:, 0], theta[:, 1])
    keywords = {"duration": 4.0, "sampling_frequency": 8192.0, "f_min": 20.0}
    h = model.frequency_domain(mass_1, mass_2, theta[:, 2], theta[:, 3], **keywords)
    series = np.fft.irfft(h, axis=1) * keywords["sampling_frequency"]
    steps = np.arange(-32400, 120, 37)  # from within the taper to the ringdown
    binaries, grid = Binaries.aligned(mass_1, mass_2, theta[:, 2], theta[:, 3]), Grid(**keywords)
    found = model.samples(binaries, grid, steps / keywords["sampling_frequency"])
    assert np.max(np.abs(found - series[:, steps % series.shape[1]])) < 1e-11 * np.abs(series).max()
    with pytest.raises(ConfigError, match="ascending"):
        model.samples(binaries, grid, np.array([0.0, -1.0]))
