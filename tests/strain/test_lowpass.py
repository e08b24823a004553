"""Data that were low-passed, or decimated by a filter that begins early, before they were given."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.signal import butter, decimate, sosfiltfilt

import gwsurrogate_ml as gw
from gwsurrogate_ml.inference import SegmentLikelihood
from gwsurrogate_ml.strain.lowpass import clear_to
from gwsurrogate_ml.strain.read import make_series
from gwsurrogate_ml.strain.simulate import simulate
from gwsurrogate_ml.surrogate.load import load_model

GPS, RATE = 1126259462.4, 4096.0
SIGNAL = {
    "chirp_mass": 10.0, "mass_ratio": 0.8, "chi_1": 0.1, "chi_2": 0.0, "luminosity_distance": 200.0, "theta_jn": 0.3,
    "phase": 0.4, "psi": 0.2, "ra": 1.2, "dec": -0.4, "geocent_time": GPS,
}  # fmt: skip


def band_passed(x: np.ndarray) -> np.ndarray:
    return sosfiltfilt(butter(4, (20.0, 300.0), "bandpass", fs=RATE, output="sos"), x)


@pytest.fixture(scope="module")
def data() -> gw.StrainData:
    return simulate(SIGNAL, load_model("nr22"), detectors=("H1",), duration=64, sampling_frequency=RATE, gps=GPS, seed=5)


def changed(data: gw.StrainData, by: Callable[[np.ndarray], np.ndarray], factor: int = 1) -> gw.StrainData:
    old = data.series["H1"]
    return gw.StrainData.from_series({"H1": make_series(by(old.value), float(old.t0.value), RATE / factor, "H1")}, gps=GPS)


def amplitude(segment: gw.AnalysisSegment) -> float:
    """Of the best fit of the signal itself, in units of its own."""
    likelihood = SegmentLikelihood(segment, load_model("nr22"))
    at = {name: np.array([value]) for name, value in SIGNAL.items()}
    match, power = (float(x[0]) for x in match_and_power(likelihood, at))
    return match / power


def match_and_power(likelihood: SegmentLikelihood, at: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    log_ratio, power = likelihood.log_ratio_and_power(at)
    return log_ratio + 0.5 * power, power


@pytest.mark.parametrize(
    ("by", "factor", "f_max", "first", "last"),
    [
        (band_passed, 1, 1024.0, 180.0, 250.0),  # takes 1 % of the power at 180 Hz, 20 % at 240
        (lambda x: decimate(x, 4), 4, 471.0, 350.0, 412.0),  # scipy's filter ends at 410 Hz
        (lambda x: decimate(x, 2), 2, 942.0, 720.0, 822.0),
    ],
)
def test_what_lies_beyond_a_low_pass_filter_is_left_out(
    data, by: Callable[[np.ndarray], np.ndarray], factor: int, f_max: float, first: float, last: float
) -> None:
    segment = changed(data, by, factor).segment(8.0, f_max=f_max)
    used = segment.frequencies[np.isfinite(segment.psd[0]) & segment.mask]
    assert first < used.max() < last
    (flag,) = [flag for flag in segment.flags if "high frequencies" in flag]
    assert flag.startswith("filtered data: H1's noise falls towards high frequencies")
    assert f"used up to {used.max():.0f} Hz" in flag
    # Matched beyond the filter, down to nothing of it was found.
    assert amplitude(segment) == pytest.approx(amplitude(data.segment(8.0, f_max=f_max)), abs=0.08)


def test_a_steep_filter_against_aliasing_takes_nothing_of_the_band(data) -> None:
    series = data.series["H1"].resample(1024.0)
    segment = gw.StrainData.from_series({"H1": series}, gps=GPS).segment(8.0, f_max=471.0)
    assert np.isfinite(segment.psd[0, segment.mask]).all()
    assert not segment.flags
    assert amplitude(segment) == pytest.approx(amplitude(data.segment(8.0, f_max=471.0)), abs=0.02)


def test_a_given_spectrum_is_cut_there_too(data) -> None:
    segment = changed(data, band_passed).segment(psd="aLIGO")
    assert 180 < segment.frequencies[np.isfinite(segment.psd[0]) & segment.mask].max() < 250


def test_a_band_beyond_the_filter_is_refused(data) -> None:
    with pytest.raises(gw.errors.DataError, match=r"H1: the data were low-passed at .* Hz, below the band"):
        changed(data, band_passed).segment(f_min=280.0)


@pytest.mark.parametrize("f_max", [200.0, 471.0, 1024.0])
@pytest.mark.parametrize("detectors", [("H1",), ("V1",), ("K1",)])
def test_data_as_recorded_have_no_such_filter(detectors: tuple[str, ...], f_max: float) -> None:
    whole = simulate(None, detectors=detectors, duration=32, sampling_frequency=RATE, gps=GPS, seed=6)
    assert not whole.segment(8.0, f_max=f_max).flags


@pytest.mark.parametrize("slope", [3.0, 6.0])
def test_noise_that_falls_all_the_way_is_the_detectors_own(slope: float) -> None:
    f = np.arange(20.0, 400.0, 0.25)
    assert clear_to(f, 1e-44 * (f / 100) ** -slope) == np.inf


def test_wide_lines_are_no_filter() -> None:
    """Those of Virgo's suspension fill more than a bin, at the end of the band of data of 1024 Hz."""
    f = np.arange(20.0, 471.0, 0.25)
    noise = 1e-46 * (1 + (f / 200) ** 2)
    assert clear_to(f, np.where((f > 441) & (f < 457), 1e-42, noise)) == np.inf
    assert clear_to(f, np.where((f > 441) & (f < 457), 1e-42, noise / (1 + (f / 300) ** 8) ** 2)) < 220
