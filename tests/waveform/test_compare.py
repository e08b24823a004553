"""Mismatches against closed forms: Gaussian pulses, whose overlap is known, and shifts and phases put in by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.waveform.compare import psd_mismatch, white_alignment, white_mismatch

T = np.arange(-409.0, 108.0)
FLAT = (np.array([5.0, 3000.0]), np.full(2, 1e-46))


def pulse(t, width=30.0, frequency=0.3, centre=0.0):
    return np.exp(-(((t - centre) / width) ** 2) / 2 - 1j * frequency * (t - centre))


def test_white_mismatch_of_two_gaussians_is_the_analytic_one():
    a, b = 15.0, 12.0  # both vanish within the window
    expected = 1 - np.sqrt(2 * a * b / (a**2 + b**2))
    assert white_mismatch(T, pulse(T, a), pulse(T, b)) == pytest.approx(expected, rel=1e-6)


def test_white_mismatch_of_different_carriers_is_the_analytic_one():
    width, delta = 15.0, 0.02  # the overlap of equal Gaussians falls as exp(-(delta width)^2 / 4)
    found = white_mismatch(T, pulse(T, width), pulse(T, width, 0.3 + delta))
    assert found == pytest.approx(1 - np.exp(-((delta * width) ** 2) / 4), rel=1e-6)


def test_alignment_recovers_shift_phase_and_scale_between_samples():
    best = white_alignment(T, pulse(T), 0.5 * np.exp(0.7j) * pulse(T, centre=2.371))
    assert best.mismatch < 1e-10
    assert best.shift == pytest.approx(2.371, abs=1e-5)
    assert best.phase == pytest.approx(-0.7, abs=1e-5)
    assert best.amplitude_ratio == pytest.approx(2.0, rel=1e-6)


def test_a_coarse_grid_gives_the_mismatch_of_a_fine_one():
    def chirp(t, c):  # a merger-like frequency sweep: 0.1 to 0.6 rad/M
        return np.exp(-((t / 60) ** 2) - 1j * (0.35 * t + 7 * np.log(np.cosh(t / c))))

    fine = np.arange(-409.0, 108.0, 0.1)
    coarse = white_mismatch(T, chirp(T, 28.0), chirp(T, 29.0))
    assert coarse == pytest.approx(white_mismatch(fine, chirp(fine, 28.0), chirp(fine, 29.0)), rel=1e-3)


@pytest.mark.parametrize("mass", [70.0, 200.0])
def test_psd_mismatch_in_flat_noise_is_the_white_one(mass):
    t = np.arange(-1500.0, 400.0, 0.5)
    a, b = 120.0, 100.0
    found = psd_mismatch(t, pulse(t, a), pulse(t, b, centre=0.8), mass, *FLAT, f_low=6.0)
    assert found == pytest.approx(1 - np.sqrt(2 * a * b / (a**2 + b**2)), rel=1e-3)


def test_psd_mismatch_weighs_only_the_band():
    t = np.arange(-3000.0, 500.0, 0.5)
    clean = pulse(t, 150.0, 0.3)  # 139 Hz at 70 Msun
    dirty = clean + 0.5 * pulse(t, 150.0, 0.02, -200.0)  # 9 Hz
    assert psd_mismatch(t, clean, dirty, 70.0, *FLAT, f_low=60.0) < 1e-9
    assert psd_mismatch(t, clean, dirty, 70.0, *FLAT, f_low=5.0) > 0.05


@pytest.mark.parametrize(
    ("t", "h1", "h2", "culprit"),
    [
        (T, pulse(T)[:-1], pulse(T), "shapes"),
        (T**3, pulse(T), pulse(T), "not uniform"),
        (T, pulse(T), np.where(T == 0, np.nan, pulse(T)), "h2 is not finite at 1"),
        (T, np.zeros(T.size), pulse(T), "h1 is zero"),
    ],
)
def test_unusable_waveforms_are_refused_by_name(t, h1, h2, culprit):
    with pytest.raises(DataError, match=culprit):
        white_mismatch(t, h1, h2)


def test_a_window_beyond_the_data_is_refused():
    with pytest.raises(DataError, match="window"):
        white_mismatch(T, pulse(T), pulse(T), window=(-600.0, 90.0))


def test_a_psd_that_misses_the_band_and_an_impossible_mass_are_refused():
    h = pulse(T)
    with pytest.raises(DataError, match="PSD covers 20"):
        psd_mismatch(T, h, h, 70.0, np.array([20.0, 2000.0]), np.full(2, 1e-46), 15.0)
    with pytest.raises(ConfigError, match="total_mass"):
        psd_mismatch(T, h, h, -1.0, *FLAT, f_low=15.0)
    with pytest.raises(ConfigError, match="Nyquist"):
        psd_mismatch(T, h, h, 70.0, *FLAT, f_low=15.0, f_high=2999.0)
