"""Series of different rates are brought to the lowest: the band stays as it was, nothing aliases, ends and gaps are cut."""

from __future__ import annotations

import numpy as np
import pytest
from gwpy.timeseries import TimeSeries

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.data import StrainData
from gwsurrogate_ml.strain.rates import decimate, low_pass, to_lowest_rate

START = 1300000000.0


def tone(frequency: float, rate: int, seconds: int = 8) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(rate * seconds) / rate + 0.3)


@pytest.mark.parametrize("factor", [2, 3, 4, 8])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.9])
def test_a_tone_in_the_band_keeps_its_amplitude_and_phase(factor: int, share: float) -> None:
    rate = 1024 * factor
    out, first = decimate(tone(512 * share, rate), factor)
    np.testing.assert_allclose(out, tone(512 * share, rate)[first::factor][: out.size], atol=3e-5)
    assert first % factor == 0
    assert out.size == (rate * 8 - len(low_pass(factor))) // factor + 1


@pytest.mark.parametrize("frequency", [512 * 1.08, 700.0, 1024.0 - 3, 1024.0 + 100, 2000.0])
def test_what_would_alias_into_the_band_is_gone(frequency: float) -> None:
    assert np.abs(decimate(tone(frequency, 4096), 4)[0]).max() < 2e-5


def test_a_gap_spoils_its_neighbourhood_alone() -> None:
    whole = tone(100.0, 4096)
    broken = whole.copy()
    broken[10000:10100] = np.nan
    out, first = decimate(broken, 4)
    bad = np.flatnonzero(np.isnan(out))
    half = len(low_pass(4)) // 2
    at = first + 4 * bad
    assert at.min() >= 10000 - half
    assert at.max() < 10100 + half
    np.testing.assert_array_equal(np.delete(out, bad), np.delete(decimate(whole, 4)[0], bad))


def test_detectors_of_different_rates_are_brought_to_the_lowest() -> None:
    series = {
        name: TimeSeries(tone(60.0, rate), t0=START, sample_rate=rate) for name, rate in (("H1", 4096), ("L1", 1024), ("V1", 2048))
    }
    data = StrainData.from_series({name: 1e-21 * one for name, one in series.items()}, gps=START + 4)
    assert data.sampling_frequency == 1024
    for name, one in data.series.items():
        first = round((one.t0.value - START) * 1024)
        np.testing.assert_allclose(1e21 * one.value, tone(60.0, 1024)[first : first + one.size], atol=3e-5)
        assert (first == 0) == (name == "L1")
    segment = data.segment(duration=4.0, f_max=400.0, psd="aLIGO")
    spectra = np.abs(segment.strain[:, (segment.frequencies > 55) & (segment.frequencies < 65)])
    np.testing.assert_allclose(spectra / spectra[1], 1, atol=1e-3)


def test_the_lowest_is_returned_as_it_is() -> None:
    series = {"H1": TimeSeries(np.ones(64), sample_rate=32, t0=START)}
    assert to_lowest_rate(series)["H1"] is series["H1"]


def test_rates_without_a_whole_factor_are_refused_with_a_remedy() -> None:
    series = {"H1": TimeSeries(np.ones(4096), sample_rate=4096), "V1": TimeSeries(np.ones(3000), sample_rate=3000)}
    with pytest.raises(DataError, match=r"different rates \(H1 4096 Hz, V1 3000 Hz\), and H1's is no whole multiple"):
        to_lowest_rate(series)


def test_too_few_samples_name_the_detector() -> None:
    series = {"H1": TimeSeries(np.ones(100), sample_rate=4096), "L1": TimeSeries(np.ones(25), sample_rate=1024)}
    with pytest.raises(DataError, match=r"H1: 100 samples are too few .* read 329 or more"):
        to_lowest_rate(series)


@pytest.mark.peer
def test_noise_keeps_its_spectrum_where_resampling_upwards_colours_it() -> None:
    """Against scipy's Welch: ours within the scatter up to 0.92 of Nyquist; gwpy's way up is what we do not do."""
    from scipy.signal import welch

    noise = np.random.default_rng(3).normal(size=4096 * 64)
    out, _ = decimate(noise, 4)
    frequencies, psd = welch(out, 1024, nperseg=1024)
    band = (frequencies > 5) & (frequencies < 0.92 * 512)
    assert abs(psd[band].mean() / (2 / 4096) - 1) < 0.01
    assert np.abs(psd[band] / (2 / 4096) - 1).max() < 0.5
    upwards = TimeSeries(noise[: 1024 * 64], sample_rate=1024).resample(4096).value
    frequencies, psd = welch(upwards, 4096, nperseg=4096)
    assert abs(psd[(frequencies > 240) & (frequencies < 260)].mean() / (2 / 1024) - 1) > 0.02
