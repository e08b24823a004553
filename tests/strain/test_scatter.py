"""The scale of an estimated PSD: noise divided by it has unit mean power, whatever the number of periodograms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal.windows import tukey

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.strain.scatter import excess_sharpness, inverse_bias, median_moments, overlap_correlation
from gwsurrogate_ml.strain.spectrum import off_source_psd

RATE, DURATION = 256.0, 4.0
LENGTH = round(RATE * DURATION)
WINDOW = tukey(LENGTH, 0.2)
"""0.4 s of roll-off in 4 s, as an analysis segment has."""
INSIDE = slice(3, -3)
"""Neither DC nor Nyquist, nor what the removal of the mean reaches."""


def simulate(seconds: float, n_bins: float, seed: int, window=WINDOW) -> tuple[np.ndarray, np.ndarray, int]:
    """Power of on-source noise of S = 1 over the estimate, and 1/estimate, for `n_bins` bins; and the periodograms."""
    rng = np.random.default_rng(seed)
    middle = seconds / 2 - 0.6  # not symmetric, as in a real file
    exclude = (middle - 2, middle + 2)
    on = slice(round(exclude[0] * RATE), round(exclude[0] * RATE) + LENGTH)
    scale = 2 / (RATE * np.sum(WINDOW**2))
    residual, inverse, count = [], [], 0
    for _ in range(int(n_bins) // (LENGTH // 2)):
        x = rng.normal(scale=np.sqrt(RATE / 2), size=round(seconds * RATE))
        _, psd, count = off_source_psd(x, RATE, 0.0, exclude=exclude, segment_duration=DURATION, span=seconds, window=window)
        residual.append((scale * np.abs(np.fft.rfft(WINDOW * x[on])) ** 2 / psd)[INSIDE])
        inverse.append(1 / psd[INSIDE])
    return np.concatenate(residual), np.concatenate(inverse), count


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "n_bins"), [(20.0, 2e5), (32.0, 2e5), (48.0, 1e5), (128.0, 5e4)])
def test_noise_divided_by_the_estimate_has_unit_power_and_the_inverse_is_unbiased(seconds, n_bins):
    residual, inverse, n = simulate(seconds, n_bins, seed=int(seconds))
    # Neighbouring bins are nearly independent: the error of the means is what the bins' scatter says.
    assert inverse.std() / np.sqrt(inverse.size) < 0.004
    assert residual.std() / np.sqrt(residual.size) < 0.005
    assert abs(inverse.mean() - 1) < 0.01, n
    assert abs(residual.mean() - 1) < 0.0125, n  # 1 % and its own statistical error
    # What is left, and the report says: the weights' scatter.
    assert inverse.var() == pytest.approx(excess_sharpness(n, overlap_correlation(WINDOW, LENGTH // 2), n - 2), rel=0.1)


def test_the_same_under_a_hann_window():
    _, inverse, _ = simulate(32.0, 1e5, seed=1, window="hann")
    assert abs(inverse.mean() - 1) < 0.01


@pytest.mark.parametrize("n", [6, 11, 12, 60])
def test_moments_are_those_of_sampled_medians(n):
    from gwsurrogate_ml.kernels.psd import median_bias

    x = median_bias(n) / np.median(np.random.default_rng(n).exponential(size=(100_000, n)), axis=1)
    first, second = median_moments(n)
    assert first == pytest.approx(x.mean(), rel=0.006)
    assert second == pytest.approx(np.mean(x**2), rel=0.03)


def test_the_correction_vanishes_with_many_periodograms():
    values = [inverse_bias(n) for n in (7, 15, 31, 63, 127, 999)]
    assert np.all(np.diff(values) < 0)
    assert values[-1] == pytest.approx(1.0, abs=0.003)


def test_too_few_periodograms_are_refused():
    with pytest.raises(ConfigError, match="at least 4"):
        inverse_bias(3)
