"""Efficiency at a false-alarm rate, and its resampling, against what defines them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.trigger_efficiency import BLOCK, MOMENT, SLIDES, SNRS, Background, judged, neighbours, reach, resampled
from gwsurrogate_ml.trigger.settings import RATE


def test_thresholds_lie_about_the_wanted_number_of_alarms() -> None:
    loudest = np.array([9.0, 7, 7, 4, 4, 4, 1])
    thresholds, alarms, weights = neighbours(loudest, 2.25)
    np.testing.assert_array_equal(thresholds, [4, 7])
    np.testing.assert_array_equal(alarms, [3, 1])
    assert alarms @ weights == pytest.approx(2.25)
    # What counts twice is there twice; what counts for nothing is not there.
    counts = np.array([2, 0, 1, 1, 1, 3, 0])
    for found, expected in zip(neighbours(loudest, 2.25, counts), neighbours(np.repeat(loudest, counts), 2.25), strict=True):
        np.testing.assert_allclose(found, expected)


def test_half_the_efficiency_is_interpolated() -> None:
    assert reach(np.where(SNRS < 10, 0.25, 0.75)) == 9.5


def test_resampling_spreads_as_injections_and_moments_of_noise_do() -> None:
    rng = np.random.default_rng(3)
    n_second, n = 240 * MOMENT, 400
    slides = 0.01 * rng.standard_normal((SLIDES, 200 * MOMENT // BLOCK))
    background = Background(slides, n_second)
    assert background.seconds == pytest.approx(slides.size * BLOCK / RATE)
    found = SNRS[:, None] - 9 + 3 * rng.standard_normal(n)
    row = judged(np.sort(slides.ravel())[::-1], background.seconds, found)
    means, halves = resampled(background, found, 1)
    assert means.mean() == pytest.approx(row["mean"], abs=0.03)
    # The threshold hardly moves: what is left is the error of a median of normal deviates, width 3.
    assert halves.std() == pytest.approx(3 * np.sqrt(np.pi / 2 / n), rel=0.3)
    loud = slides.copy()
    loud[:, 40:44] += 1.0  # one second of H1, in every slide
    spread = resampled(Background(loud, n_second), found, 1)[0].std()
    assert spread > 3 * means.std()
    np.testing.assert_array_equal(resampled(background, found, 1)[0], means)
    h, l = background.moments(np.array([0, 4, slides.shape[1]]))
    np.testing.assert_array_equal(h, [0, 1, 0])
    np.testing.assert_array_equal(l, [2, 3, 6])
