"""Figures of merit against LAL, gwpy and pycbc; filters against numpy's convolution."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.denoise.witness import channels, features, fir
from gwsurrogate_ml.denoise.witness.bench.metrics import binary_power, inspiral_range, matched_filter_snr
from gwsurrogate_ml.denoise.witness.bench.mock import preset
from gwsurrogate_ml.errors import DataError


@pytest.mark.peer
def test_binary_spectrum_is_that_of_lals_phenom_a() -> None:
    import lal
    import lalsimulation

    h = lalsimulation.SimIMRPhenomAGenerateFD(0.0, 0.5, 30 * lal.MSUN_SI, 30 * lal.MSUN_SI, 20.0, 400.0, 1e24)
    f = np.arange(h.data.length) * h.deltaF
    use = (f >= 20) & (f < 300)
    ratio = np.abs(h.data.data[use]) ** 2 / binary_power(f, 30.0, 30.0)[use]
    assert ratio / ratio[0] == pytest.approx(np.ones(use.sum()), rel=0.02)  # observed: 0.1 % up to 280 Hz


@pytest.mark.peer
def test_range_is_gwpys() -> None:
    from gwpy.astro import sensemon_range as reference
    from gwpy.frequencyseries import FrequencySeries

    mock = preset("null", sampling_frequency=4096)
    f, psd = mock.grid(), mock.raw_psd()
    theirs = reference(FrequencySeries(psd, frequencies=f, unit="1/Hz"), snr=8, mass1=1.4, mass2=1.4, fmin=10).value
    assert inspiral_range(f, psd) == pytest.approx(theirs, rel=0.01)


@pytest.mark.peer
def test_matched_filter_snr_is_pycbcs() -> None:
    from pycbc.filter import matched_filter
    from pycbc.types import FrequencySeries, TimeSeries

    rng = np.random.default_rng(0)
    template, noise = rng.standard_normal((2, 4096))
    psd = 1.0 + np.arange(2049) / 2049
    ours = matched_filter_snr(template + noise, template, psd, 1024.0)
    theirs = matched_filter(
        TimeSeries(template, 1 / 1024),
        TimeSeries(template + noise, 1 / 1024),
        psd=FrequencySeries(psd, 0.25),
        low_frequency_cutoff=20.0,
    )
    assert abs(ours) == pytest.approx(abs(complex(theirs[0])), rel=1e-6)
    with pytest.raises(DataError, match="do not belong"):
        matched_filter_snr(template, noise[:-1], psd, 1024.0)


def test_filter_bank_is_a_sum_of_convolutions() -> None:
    rng = np.random.default_rng(1)
    x, taps = rng.standard_normal((3, 5000)), rng.standard_normal((3, 101))
    expected = sum(np.convolve(a, b, "valid") for a, b in zip(x, taps, strict=True))
    assert fir.apply_valid(x, taps) == pytest.approx(expected, abs=1e-10)


def test_smoothing_leaves_a_slow_motion_alone_within_a_few_hundredths_of_a_radian() -> None:
    taps = features.smoothing_filter(512.0, edge=0.4)
    f = np.linspace(0.0, 0.4, 50)
    lag = (np.arange(taps.size) - taps.size // 2) / 512.0
    gain = np.cos(2 * np.pi * np.outer(f, lag)) @ taps
    assert np.abs(gain - 1).max() < 3e-4  # times some 100 rad; observed 2.4e-4


def test_flat_runs_are_flagged_however_the_stream_is_cut() -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 400))
    x[0, 100:170] = 1.0
    x[1, 390:] = 0.0
    whole = channels.flat(x, np.full((2, 1), np.nan), np.zeros((2, 1), int))[0]
    last, run, parts = np.full((2, 1), np.nan), np.zeros((2, 1), int), []
    for first in range(0, 400, 7):
        flags, last, run = channels.flat(x[:, first : first + 7], last, run)
        parts.append(flags)
    assert np.array_equal(np.concatenate(parts, axis=1), whole)
    assert np.array_equal(np.flatnonzero(whole[0]), np.arange(100 + channels.RUN - 1, 170))
    assert not whole[1].any()
