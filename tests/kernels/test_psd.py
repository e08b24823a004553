"""Welch spectra and inverse-spectrum truncation against statistics and plain definitions."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import psd, truncation
from gwsurrogate_ml.kernels._median import LANES, block_medians
from gwsurrogate_ml.kernels._pruned import impulse_response, response_power


@pytest.mark.parametrize("n", [1, 2, 3, 6, 31])
def test_median_bias_is_the_expected_median_of_exponential_variates(n):
    draws = np.random.default_rng(n).exponential(size=(100_000, n))
    medians = np.median(draws[:, : n if n % 2 else n - 1], axis=1)
    # The correction is that of the odd sample size below an even one (FINDCHIRP's and LAL's usage).
    assert psd.median_bias(n) == pytest.approx(medians.mean(), abs=5 * medians.std() / np.sqrt(len(medians)))


def test_median_bias_refuses_no_segments():
    with pytest.raises(ConfigError, match="at least one segment"):
        psd.median_bias(0)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 16, 17, 31, 64, 127, 128, 200, 1025])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_block_medians_are_numpys(rows, dtype):
    x = np.random.default_rng(rows).exponential(size=(3, rows, LANES)).astype(dtype)
    expected = np.median(x.astype(np.float64), axis=1)
    np.testing.assert_allclose(block_medians(x), expected, rtol=1e-15)


def test_block_medians_sort_every_arrangement_of_zeros_and_ones():
    # A network that selects correctly for all 0-1 inputs selects correctly for all inputs (zero-one principle).
    for n in (7, 10):
        x = ((np.arange(2**n)[None, :] >> np.arange(n)[:, None]) & 1).astype(np.float64)
        blocks = np.ascontiguousarray(x.reshape(n, -1, LANES).transpose(1, 0, 2))
        np.testing.assert_array_equal(block_medians(blocks).reshape(-1), np.median(x, axis=0))


@pytest.mark.parametrize("n", [2, 4, 7, 8, 12, 62, 500, 512])
@pytest.mark.parametrize("average", ["median", "mean"])
def test_segments_of_every_length_have_the_power_of_their_transform(n, average):
    # The number of frequencies seldom fills the blocks of the medians.
    x = 1e-21 * np.random.default_rng(n).standard_normal(16 * n)
    frames = x.reshape(-1, n)[:15] - x.reshape(-1, n)[:15].mean(axis=1, keepdims=True)
    expected = 2e42 * np.abs(np.fft.rfft(frames)) ** 2 / n
    expected[:, 0] /= 2
    if n % 2 == 0:
        expected[:, -1] /= 2
    expected = np.median(expected, axis=0) / psd.median_bias(15) if average == "median" else expected.mean(axis=0)
    _, s = psd.welch(x[: 15 * n], 1.0, n, 0.0, average, "boxcar")
    np.testing.assert_allclose(1e42 * s, expected, rtol=1e-12, atol=1e-25)


@pytest.mark.parametrize("average", ["median", "mean", "median-mean"])
def test_white_noise_has_its_power_in_every_average(average):
    rate, sigma = 256.0, 3e-21
    x = sigma * np.random.default_rng(5).standard_normal(int(600 * rate))
    frequencies, s = psd.welch(x, rate, 1.0, average=average)
    np.testing.assert_allclose(frequencies, np.fft.rfftfreq(256, 1 / rate))
    inner = s[2:-2] / (2 * sigma**2 / rate)
    # 1199 half-overlapping segments: each value scatters by about 4 to 5 percent, the mean of 125 by 0.4.
    assert inner.mean() == pytest.approx(1, abs=0.015)
    assert 0.02 < inner.std() < 0.07


def test_mean_welch_keeps_the_energy_of_a_plain_periodogram():
    x = np.random.default_rng(6).standard_normal(512)
    _, s = psd.welch(x, 128.0, 4.0, average="mean", window="boxcar")
    assert np.sum(s) * 0.25 == pytest.approx(np.var(x), rel=1e-12)  # Parseval, the mean removed
    _, s = psd.welch(x[:511], 128.0, 511 / 128.0, average="mean", window="boxcar")
    assert np.sum(s) * 128.0 / 511 == pytest.approx(np.var(x[:511]), rel=1e-12)  # odd: no Nyquist bin


def test_the_median_survives_a_glitch_that_ruins_the_mean():
    rate = 256.0
    x = np.random.default_rng(7).standard_normal(int(128 * rate))
    clean = psd.welch(x, rate, 2.0)[1]
    x[10_000] += 1000.0
    assert np.median(psd.welch(x, rate, 2.0)[1] / clean) == pytest.approx(1, abs=0.05)
    assert np.median(psd.welch(x, rate, 2.0, average="mean")[1] / clean) > 5


def test_float32_strain_neither_underflows_nor_drifts():
    x = (1e-22 * np.random.default_rng(8).standard_normal(65536)).astype(np.float32)
    single, double = psd.welch(x, 1024.0, 2.0)[1], psd.welch(x.astype(np.float64), 1024.0, 2.0)[1]
    assert single.dtype == np.float64
    np.testing.assert_allclose(single, double, rtol=2e-5)


def test_integers_lists_and_strided_views_are_converted():
    x = np.random.default_rng(9).integers(-100, 100, size=8192)
    reference = psd.welch(x.astype(np.float64), 512.0, 1.0)[1]
    np.testing.assert_array_equal(psd.welch(x, 512.0, 1.0)[1], reference)
    np.testing.assert_array_equal(psd.welch(np.repeat(x, 2)[::2], 512.0, 1.0)[1], reference)
    np.testing.assert_array_equal(psd.welch(x.tolist(), 512.0, 1.0)[1], reference)
    np.testing.assert_array_equal(psd.welch(x.astype(">f8"), 512.0, 1.0)[1], reference)


def test_input_is_left_as_it_was():
    x = np.random.default_rng(10).standard_normal(4096)
    before = x.copy()
    psd.welch(x, 512.0, 1.0)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"x": np.ones(100)}, DataError, "too short"),
        ({"x": np.ones((4, 4096))}, DataError, "one-dimensional"),
        ({"x": np.ones(0)}, DataError, "at least one sample"),
        ({"x": np.ones(4096, complex)}, DataError, "real"),
        ({"x": np.array(["a"] * 4096)}, DataError, "dtype"),
        ({"x": np.r_[np.ones(4000), np.nan, np.ones(95)]}, DataError, "index 4000"),
        ({"x": np.r_[np.ones(4000), np.inf, -np.inf, np.ones(94)]}, DataError, "2 values"),
        ({"overlap": 2.0}, ConfigError, "fraction"),
        ({"overlap": 1.0}, ConfigError, "fraction"),
        ({"average": "mode"}, ConfigError, "average"),
        ({"window": "nonsense"}, ConfigError, "nonsense"),
        ({"window": np.ones(7)}, ConfigError, "7 samples"),
        ({"segment_duration": 0.0}, ConfigError, "segment_duration"),
        ({"segment_duration": 1.0003}, ConfigError, "whole number"),
        ({"sample_rate": float("nan")}, ConfigError, "sample_rate"),
        ({"segment_duration": 8.0, "average": "median-mean"}, DataError, "2 segment"),
    ],
)
def test_bad_input_is_refused_with_its_name(change, error, message):
    arguments = {"x": np.ones(4096), "sample_rate": 512.0, "segment_duration": 1.0} | change
    with pytest.raises(error, match=message):
        psd.welch(**arguments)


def test_interpolation_is_linear_and_infinities_stay_local():
    s = np.array([np.inf, 4.0, 2.0, 8.0, np.inf])
    np.testing.assert_array_equal(truncation.interpolate(s, 2.0, 1.0), [np.inf, np.inf, 4, 3, 2, 5, 8, np.inf, np.inf])
    np.testing.assert_array_equal(truncation.interpolate(s, 2.0, 4.0), [np.inf, 2, np.inf])
    x = np.random.default_rng(0).exponential(size=101)
    grid = np.arange(143) * 0.35
    np.testing.assert_allclose(truncation.interpolate(x, 0.5, 0.35, 143), np.interp(grid, np.arange(101) * 0.5, x), rtol=1e-12)


def test_interpolation_refuses_to_extrapolate():
    with pytest.raises(DataError, match="50 Hz"):
        truncation.interpolate(np.ones(101), 0.5, 0.5, 120)


def _coloured(n: int, delta_f: float) -> np.ndarray:
    f = np.maximum(np.arange(n) * delta_f, delta_f)
    return 1e-46 * (1 + (40 / f) ** 6 + 300 * np.exp(-(((f - 60) / 0.3) ** 2)))


@pytest.mark.parametrize("window", ["hann", None])
def test_truncation_leaves_a_filter_of_the_asked_length(window):
    delta_f, n = 1 / 32, 32 * 512 // 2 + 1
    s = truncation.inverse_spectrum_truncation(_coloured(n, delta_f), delta_f, 2.0, 15.0, window=window)
    # The filter's square has twice its length: 1/S is confined to +-2 s; 1e-10 is rounding on a 1e46 scale.
    response = np.fft.irfft(1 / s)
    outside = np.abs(response[2 * 512 + 2 : -2 * 512 - 2]).max()
    assert outside < 1e-10 * np.abs(response).max()
    above = np.arange(n) * delta_f > 100
    np.testing.assert_allclose(s[above], _coloured(n, delta_f)[above], rtol=0.2)


def test_truncation_at_full_length_without_window_changes_nothing_in_band():
    delta_f, n = 1 / 8, 8 * 256 // 2 + 1
    s = _coloured(n, delta_f)
    out = truncation.inverse_spectrum_truncation(s, delta_f, 8.0, 15.0, window=None)
    np.testing.assert_allclose(out[120 : n - 1], s[120 : n - 1], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"psd": np.zeros(1025)}, DataError, "zero"),
        ({"psd": np.r_[np.ones(1000), np.nan, np.ones(24)]}, DataError, "125 Hz"),
        ({"psd": np.full(1025, 1e-46, np.float32)}, DataError, "float32 underflows"),
        ({"psd": np.ones((2, 1025))}, DataError, "one-dimensional"),
        ({"low_frequency_cutoff": 200.0}, ConfigError, "Nyquist"),
        ({"low_frequency_cutoff": -1.0}, ConfigError, "f_low"),
        ({"max_filter_duration": 9.0}, ConfigError, "max_filter_duration"),
        ({"max_filter_duration": 1e-4}, ConfigError, "max_filter_duration"),
        ({"delta_f": 0.0}, ConfigError, "delta_f"),
        ({"window": "tukey"}, ConfigError, "tukey"),
    ],
)
def test_truncation_refuses_what_it_cannot_use(change, error, message):
    arguments = {
        "psd": np.ones(1025),
        "delta_f": 0.125,
        "max_filter_duration": 1.0,
        "low_frequency_cutoff": 10.0,
    } | change
    with pytest.raises(error, match=message):
        truncation.inverse_spectrum_truncation(**arguments)


def test_an_infinite_psd_switches_frequencies_off():
    s = np.ones(1025)
    s[400:420] = np.inf
    out = truncation.inverse_spectrum_truncation(s, 0.125, 8.0, 10.0, window=None)
    assert np.all(np.isfinite(out[100:390]))
    assert np.all(out[402:418] > 1e20)


@pytest.mark.parametrize(("n", "n_taps"), [(4096, 64), (4096, 4096), (3000, 100), (2 * 1021, 50), (1 << 15, 66)])
def test_short_filters_come_from_long_spectra_as_by_the_long_transform(n, n_taps):
    rng = np.random.default_rng(n)
    transfer = rng.exponential(size=n // 2 + 1)
    keep = n_taps // 2 + 1
    np.testing.assert_allclose(impulse_response(transfer, n, keep), np.fft.irfft(transfer, n)[:keep], atol=1e-14)
    taps = rng.standard_normal(n_taps)
    placed = np.roll(np.r_[taps, np.zeros(n - n_taps)], -n_taps // 3)
    expected = np.abs(np.fft.rfft(placed)) ** 2
    np.testing.assert_allclose(response_power(taps, -n_taps // 3, n), expected, atol=1e-12 * expected.max())


def test_drift_is_that_of_the_noise_and_nothing_in_stationary_noise():
    rng = np.random.default_rng(7)
    x = rng.standard_normal(128 * 512)
    quiet = psd.drift(x, 512.0, 2.0, 20.0)
    assert quiet.times[0] == 1.0
    assert quiet.level.mean() == pytest.approx(1, abs=0.02)
    assert quiet.level.std() == pytest.approx(quiet.expected, rel=0.2)
    assert quiet.excess < 0.5 * quiet.expected
    # The power swings by 30 % either way: a standard deviation of 0.3 / sqrt(2).
    swing = 1 + 0.3 * np.sin(2 * np.pi * np.arange(x.size) / (32 * 512))
    assert psd.drift(x * np.sqrt(swing), 512.0, 2.0, 20.0).excess == pytest.approx(0.3 / np.sqrt(2), rel=0.15)


def test_drift_does_not_depend_on_the_shape_of_the_spectrum():
    from scipy.signal import lfilter

    x = np.random.default_rng(8).standard_normal(64 * 512)
    coloured = lfilter([1.0], [1.0, -0.95], x)
    flat, steep = (psd.drift(y, 512.0, 2.0, 20.0, 200.0) for y in (x, coloured))
    assert steep.excess < steep.expected
    np.testing.assert_allclose(steep.level, flat.level, atol=0.05)


def test_drift_refuses_short_series_and_dead_channels():
    with pytest.raises(DataError, match="8 half-overlapping"):
        psd.drift(np.ones(512 * 8), 512.0, 2.0, 20.0)
    with pytest.raises(DataError, match="median power"):
        psd.drift(np.zeros(512 * 32), 512.0, 2.0, 20.0)
    with pytest.raises(ConfigError, match="Nyquist"):
        psd.drift(np.ones(512 * 32), 512.0, 2.0, 300.0)


@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e-39), (np.float64, 1e-200)])
def test_a_series_too_small_to_be_squared_is_refused(dtype, size):
    x = (size * np.random.default_rng(0).standard_normal(4096)).astype(dtype)
    with pytest.raises(DataError, match="scale it"):
        psd.welch(x, 256.0, 1.0)
