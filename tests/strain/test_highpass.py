"""Data that were high-passed before they were given."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt
from scipy.signal.windows import tukey

import gwsurrogate_ml as gw
from gwsurrogate_ml.strain.highpass import FAINTEST, clear_from, unfiltered_from, without_filtered
from gwsurrogate_ml.strain.read import make_series
from gwsurrogate_ml.strain.simulate import simulate


def data_and_passed(detectors: tuple[str, ...], corner: float) -> tuple[gw.StrainData, gw.StrainData]:
    """Noise as recorded, and with the first detector's high-passed without a change of phase."""
    data = simulate(None, detectors=detectors, duration=64, sampling_frequency=1024, gps=1126259462.4, seed=5)
    first = data.series[detectors[0]]
    passed = sosfiltfilt(butter(6, corner, "highpass", fs=1024.0, output="sos"), first.value)
    series = data.series | {detectors[0]: make_series(passed, float(first.t0.value), 1024.0, detectors[0])}
    return data, gw.StrainData.from_series(series, gps=data.gps)


@pytest.mark.parametrize("corner", [30.0, 45.0])
def test_a_high_pass_in_a_detector_unlike_all_others_is_seen_and_what_lies_below_is_left_out(corner: float) -> None:
    data, passed = data_and_passed(("H1",), corner)
    found, whole = passed.segment(f_max=400.0), data.segment(f_max=400.0)
    assert not whole.flags
    assert unfiltered_from(whole) == {"H1": 20.0}
    lost = found.frequencies[np.isinf(found.psd[0]) & found.mask]
    assert corner < lost.max() < 2.2 * corner
    assert unfiltered_from(found)["H1"] == pytest.approx(lost.max() + 0.25, abs=0.25)
    attenuation = 1 / (1 + (corner / lost.max()) ** 12)  # of the amplitude, twice a Butterworth's of order 6
    assert attenuation > 0.95
    assert [flag.partition(":")[0] for flag in found.flags] == ["filtered data"]
    assert "H1 is used from" in found.flags[0]
    assert "undone" not in found.flags[0]
    np.testing.assert_array_equal(found.strain, passed_strain(passed, found))


def test_a_high_pass_is_undone_by_the_spectrum_that_is_given_for_the_noise() -> None:
    data, passed = data_and_passed(("H1",), 45.0)
    whole = data.segment(f_max=400.0)
    curve = whole.frequencies[whole.mask], whole.psd[0, whole.mask]
    found = passed.segment(f_max=400.0, psd={"H1": curve})
    used = np.isfinite(found.psd[0]) & found.mask
    np.testing.assert_array_equal(found.psd[0, used], whole.psd[0, used])
    assert found.frequencies[used].min() < 0.95 * 45.0
    np.testing.assert_allclose(np.abs(found.strain[0, used] / whole.strain[0, used]), 1.0, atol=0.25)
    assert "Hz, by the spectrum given, and as if" in found.flags[0]


def test_a_given_spectrum_of_filtered_data_does_not_say_what_was_there() -> None:
    _, passed = data_and_passed(("H1",), 45.0)
    alone = passed.segment(f_max=400.0)
    usable = np.isfinite(alone.psd[0]) & alone.mask
    measured = passed.off_source_psd("H1", (alone.start_time, alone.start_time + 4.0))[0]
    found = passed.segment(f_max=400.0, psd={"H1": measured})
    assert "undone" not in found.flags[0]
    lowest, start = found.frequencies[np.isfinite(found.psd[0]) & found.mask].min(), alone.frequencies[usable].min()
    assert 45.0 < lowest == pytest.approx(start, rel=0.15)


def passed_strain(passed: gw.StrainData, like: gw.AnalysisSegment) -> np.ndarray:
    """The transform of the data as they were given."""
    segment = next(iter(passed.series.values()))
    start = round((like.start_time - float(segment.t0.value)) * 1024)
    window, n = tukey(4 * 1024, alpha=0.2), len(like.frequencies)
    return np.stack([np.fft.rfft(window * s.value[start : start + 4 * 1024])[:n] / 1024 for s in passed.series.values()])


@pytest.mark.parametrize("corner", [35.0, 45.0])
def test_a_high_pass_is_undone_by_the_noise_of_a_detector_of_the_same_kind(corner: float) -> None:
    data, passed = data_and_passed(("H1", "L1"), corner)
    found, whole = passed.segment(f_max=400.0), data.segment(f_max=400.0)
    assert unfiltered_from(whole) == {"H1": 20.0, "L1": 20.0}
    np.testing.assert_array_equal(found.psd[1], whole.psd[1])
    np.testing.assert_array_equal(found.strain[1], whole.strain[1])
    f, clear = found.frequencies, unfiltered_from(found)["H1"]
    assert corner < clear < 2.2 * corner
    used = np.isfinite(found.psd[0]) & found.mask
    left = 1 / (1 + (corner / np.maximum(f, 1.0)) ** 12)
    assert 0.7 * FAINTEST < left[used].min() < 1.5 * FAINTEST
    assert f[used].min() < 0.95 * corner
    ratio = found.strain[0, used] / whole.strain[0, used]
    np.testing.assert_allclose(np.abs(ratio), 1.0, atol=0.25)
    assert np.median(np.abs(np.abs(ratio) - 1)) < 0.02
    assert np.abs(np.angle(ratio)).max() < 0.15  # what the window leaks
    # What was taken from the signal was taken from the noise: whitened data stay what they were.
    before = np.abs(passed_strain(passed, found)[0, used] / found.strain[0, used]) ** 2
    assert np.all(before < 1 + 1e-12)
    measured, _ = passed.off_source_psd("H1", (found.start_time, found.start_time + 4.0))
    low = f[used] < clear
    quotient = np.interp(f[used][low], *measured) / (found.psd[0, used][low] * before[low])
    assert np.median(quotient) == pytest.approx(1.0, abs=0.15)
    assert [flag.partition(":")[0] for flag in found.flags] == ["filtered data"]
    assert "that is undone from" in found.flags[0]


@pytest.mark.parametrize("detectors", [("H1", "V1"), ("V1", "K1")])
def test_a_detector_of_another_kind_does_not_say_what_a_filter_took(detectors: tuple[str, ...]) -> None:
    _, passed = data_and_passed(detectors, 45.0)
    found = passed.segment(f_max=400.0)
    assert "undone" not in found.flags[0]
    assert np.isinf(found.psd[0, found.mask & (found.frequencies < unfiltered_from(found)[detectors[0]])]).all()


def test_what_a_detector_whose_noise_rises_otherwise_says_is_half_right() -> None:
    data, passed = data_and_passed(("H1", "L1"), 40.0)
    # L1's noise rises more, as H1's did against L1's in 2017.
    f = np.fft.rfftfreq(len(passed.series["L1"]), 1 / 1024)
    louder = np.where(f > 0, 1 + (30 / np.maximum(f, 10.0)) ** 2, 1.0)
    other = passed.series["L1"]
    series = make_series(np.fft.irfft(louder * np.fft.rfft(other.value)), float(other.t0.value), 1024.0, "L1")
    found = gw.StrainData.from_series(passed.series | {"L1": series}, gps=passed.gps).segment(f_max=400.0)
    used = np.isfinite(found.psd[0]) & found.mask
    ratio = np.abs(found.strain[0, used] / data.segment(f_max=400.0).strain[0, used])
    assert 1.1 < np.median(ratio[found.frequencies[used] < 45.0]) < 1.5
    assert "good to 10 to 40 %" in found.flags[0]


def test_a_band_that_ends_below_the_filter_has_a_detector_without_weight() -> None:
    _, passed = data_and_passed(("H1",), 45.0)
    found = passed.segment(f_max=50.0)
    assert np.isinf(found.psd[0, found.mask]).all()


@pytest.mark.parametrize("corner", [31.0, 33.0])
def test_at_the_lower_end_of_the_band_no_more_is_said_to_be_left_than_is(corner: float) -> None:
    data, passed = data_and_passed(("H1", "L1"), corner)
    found, whole = (some.segment(f_min=30.0, f_max=400.0) for some in (passed, data))
    used = np.isfinite(found.psd[0]) & found.mask & (found.frequencies < corner + 4)
    np.testing.assert_allclose(np.abs(found.strain[0, used] / whole.strain[0, used]), 1.0, atol=0.2)


def test_data_as_recorded_stay_as_they_are() -> None:
    data = simulate(None, detectors=("H1", "V1"), duration=64, sampling_frequency=1024, gps=1126259462.4, seed=5)
    found = data.segment(f_max=400.0)
    assert without_filtered(found, list(found.psd)) is found
    assert not found.flags
    assert unfiltered_from(found) == {"H1": 20.0, "V1": 20.0}


def test_spectra_that_were_given_are_believed_and_flat_ones_are_no_filters() -> None:
    data = simulate(None, detectors=("H1",), duration=32, sampling_frequency=1024, gps=1126259462.4, seed=5)
    frequencies = np.arange(0, 513.0)
    rising = 1e-46 * (1 + frequencies) ** 4
    segment = data.segment(f_max=400.0, psd={"H1": (frequencies, rising)})
    assert not [flag for flag in segment.flags if "filtered" in flag]
    assert segment.filtered_below == ()
    assert np.isfinite(segment.psd[0, segment.mask]).all()
    assert clear_from(frequencies, np.ones(513)) == 0.0
    assert clear_from(frequencies, rising) > 0


def test_a_high_pass_is_seen_from_far_below_its_corner() -> None:
    f = np.arange(0.0, 500.0, 0.25)
    noise = 1e-46 * (1 + (50 / np.maximum(f, 5.0)) ** 8)
    passed = noise / (1 + (40 / np.maximum(f, 1.0)) ** 14) + 1e-44 * (f < 14)  # what leaks from below
    for low in (10.0, 12.0, 20.0):
        assert 45 < clear_from(f[f >= low], passed[f >= low]) < 80
        assert clear_from(f[f >= low], noise[f >= low]) == 0.0


def test_lines_and_bumps_of_a_detector_are_no_filters() -> None:
    # As H1 has them about GW150914: calibration lines where a band may begin, a bump between 70 and 80 Hz.
    f = np.arange(0.0, 500.0, 0.125)
    noise = 1e-46 * (1 + (50 / np.maximum(f, 5.0)) ** 8)
    noise *= 1 + 1.6 * ((f > 71) & (f < 90))
    for line in (35.9, 36.7, 37.3):
        noise[np.abs(f - line) < 0.6] *= 30.0
    for low in np.arange(10.0, 40.0, 2.0):
        assert clear_from(f[f >= low], noise[f >= low]) == 0.0


@pytest.mark.parametrize(("low", "corner"), [(15.0, 17.0), (20.0, 23.0), (25.0, 28.0)])
def test_a_steep_filter_just_above_the_lower_end_is_seen(low: float, corner: float) -> None:
    f = np.arange(0.0, 500.0, 0.25)
    noise = 1e-46 * (1 + (50 / np.maximum(f, 5.0)) ** 8) / (1 + (corner / np.maximum(f, 1.0)) ** 32)
    assert corner < clear_from(f[f >= low], noise[f >= low]) < 1.5 * corner
