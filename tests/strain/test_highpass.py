"""Data that were high-passed before they were given."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

import gwsurrogate_ml as gw
from gwsurrogate_ml.strain.highpass import clear_from, used_from, without_filtered
from gwsurrogate_ml.strain.read import make_series
from gwsurrogate_ml.strain.simulate import simulate


@pytest.mark.parametrize("corner", [0.0, 30.0, 45.0])
def test_a_high_pass_in_one_detector_alone_is_seen_and_what_lies_below_is_left_out(corner: float) -> None:
    data = simulate(None, detectors=("H1", "V1"), duration=64, sampling_frequency=1024, gps=1126259462.4, seed=5)
    series = dict(data.series)
    if corner:
        h = series["H1"]
        passed = sosfiltfilt(butter(6, corner, "highpass", fs=1024.0, output="sos"), h.value)
        series["H1"] = make_series(passed, float(h.t0.value), 1024.0, "H1")
    found = gw.StrainData.from_series(series, gps=data.gps).segment(f_max=400.0)
    assert without_filtered(found) is found
    np.testing.assert_array_equal(found.psd[1], data.segment(f_max=400.0).psd[1])
    if not corner:
        assert not found.flags
        assert used_from(found) == {"H1": 20.0, "V1": 20.0}
        return
    lost = found.frequencies[np.isinf(found.psd[0]) & found.mask]
    assert corner < lost.max() < 2.2 * corner
    assert used_from(found) == {"H1": lost.max() + 0.25, "V1": 20.0}
    attenuation = 1 / (1 + (corner / lost.max()) ** 12)  # of the amplitude, twice a Butterworth's of order 6
    assert attenuation > 0.95
    assert [flag.partition(":")[0] for flag in found.flags] == ["filtered data"]
    assert "H1 is used from" in found.flags[0]


def test_spectra_that_were_given_are_believed_and_flat_ones_are_no_filters() -> None:
    data = simulate(None, detectors=("H1",), duration=32, sampling_frequency=1024, gps=1126259462.4, seed=5)
    frequencies = np.arange(0, 513.0)
    rising = 1e-46 * (1 + frequencies) ** 4
    segment = data.segment(f_max=400.0, psd={"H1": (frequencies, rising)})
    assert without_filtered(segment) is segment
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
