"""Bands that were cut out of the data before they were given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import butter, sosfiltfilt

import gwsurrogate_ml as gw
from gwsurrogate_ml.strain.filtering import matched_filter
from gwsurrogate_ml.strain.notches import notched, notches
from gwsurrogate_ml.strain.read import make_series
from gwsurrogate_ml.strain.simulate import simulate

TRUTH = {
    "mass_1": 12.0, "mass_2": 9.0, "chi_1": 0.1, "chi_2": 0.0, "luminosity_distance": 250.0, "theta_jn": 0.4, "ra": 1.0, "dec": 0.2,
    "psi": 0.3, "phase": 1.0, "geocent_time": 1126259462.4,
}  # fmt: skip


def cut(data: gw.StrainData, *bands: tuple[float, float]) -> gw.StrainData:
    """The data with bands cut out of H1."""
    series = dict(data.series)
    x = series["H1"].value
    for band in bands:
        x = sosfiltfilt(butter(8, band, "bandstop", fs=data.sampling_frequency, output="sos"), x)
    series["H1"] = make_series(x, float(series["H1"].t0.value), data.sampling_frequency, "H1")
    return gw.StrainData.from_series(series, gps=data.gps)


@pytest.fixture(scope="module")
def data() -> gw.StrainData:
    return simulate(TRUTH, gw.load_surrogate("nr22"), duration=64, sampling_frequency=1024, gps=TRUTH["geocent_time"], seed=5)


def test_a_notch_is_found_left_out_of_spectrum_and_filter_and_flagged(data: gw.StrainData) -> None:
    bands = ((93.0, 95.0), (114.0, 117.0))
    without = cut(data, *bands)
    found = without.notches("H1", 20.0, 480.0)
    assert len(found) == 2
    for (low, high), (first, last) in zip(found, bands, strict=True):
        assert low == pytest.approx(first, abs=0.6)
        assert high == pytest.approx(last, abs=0.6)
    assert without.notches("L1", 20.0, 480.0) == data.notches("H1", 20.0, 480.0) == []
    before, after = (x.segment(f_max=400.0) for x in (data, without))
    lost = after.frequencies[np.isinf(after.psd[0]) & after.mask]
    assert lost.min() == found[0][0]
    assert lost.max() == found[1][1]
    assert np.isfinite(after.psd[1, after.mask]).all()
    assert np.isfinite(before.psd[:, before.mask]).all()
    assert [flag.partition(":")[0] for flag in after.flags] == ["filtered data"]
    assert "H1 holds neither noise nor signal at 9" in after.flags[0]
    assert before.flags == ()
    # What is left of the signal is as loud as it was, but for the few Hz that are gone.
    model = gw.load_surrogate("nr22")
    full, rest = (matched_filter(x, model, TRUTH, f_max=400.0) for x in (data, without))
    assert rest.detectors["H1"].peak_snr == pytest.approx(full.detectors["H1"].peak_snr, rel=0.1)
    assert rest.detectors["L1"].peak_snr == pytest.approx(full.detectors["L1"].peak_snr, rel=1e-12)


def test_a_notch_has_no_weight_under_a_spectrum_that_was_given(data: gw.StrainData) -> None:
    frequencies = np.arange(0, 513.0)
    curves = {name: (frequencies, 1e-46 + 0 * frequencies) for name in ("H1", "L1")}
    segment, whole = (some.segment(f_max=400.0, psd=curves) for some in (cut(data, (93.0, 95.0)), data))
    assert np.isfinite(whole.psd[:, whole.mask]).all()
    lost = np.isinf(segment.psd) & segment.mask
    assert lost.any(axis=1).sum() == 1
    np.testing.assert_allclose(segment.frequencies[lost.any(axis=0)][[0, -1]], (93.0, 95.0), atol=0.5)


def found(x: np.ndarray) -> list[tuple[float, float]]:
    return notched(x, 1024.0, 0.0, 0.5 * len(x) / 1024, 256.0, 20.0, 480.0)


def test_noise_and_lines_are_no_notches_and_short_data_say_nothing() -> None:
    rng = np.random.default_rng(3)
    t = np.arange(64 * 1024) / 1024
    lines = sum(30 * np.sin(2 * np.pi * f * t + f) for f in (60.0, 61.5, 63.0, 120.0, 300.0, 302.0, 304.0, 305.0))
    for seconds in (12, 14, 64):
        x = rng.standard_normal(seconds * 1024)
        assert found(x) == []
        assert found(x + lines[: len(x)]) == []
    assert found(rng.standard_normal(4 * 1024)) == []
    gap = rng.standard_normal(64 * 1024)
    gap[5000:9000] = np.nan
    assert found(gap) == []


@pytest.mark.parametrize("width", [1.5, 4.0, 8.0, 20.0, 30.0])
@pytest.mark.parametrize("middle", [35.0, 100.0, 300.0])
def test_notches_of_any_width_are_found_in_noise_that_falls_and_rises(width: float, middle: float) -> None:
    f = np.arange(0.0, 513.0, 0.25)
    noise = 1e-46 * ((30 / np.maximum(f, 5.0)) ** 8 + 1 + (f / 200) ** 2)
    inside = np.abs(f - middle) < 0.5 * width
    assert notches(f, noise, 20.0, 480.0) == []
    ((low, high),) = notches(f, np.where(inside, 1e-4 * noise, noise), 20.0, 480.0)
    assert low == pytest.approx(middle - 0.5 * width, abs=0.6)
    assert high == pytest.approx(middle + 0.5 * width, abs=0.6)


def test_notches_at_the_ends_of_the_band_and_side_by_side() -> None:
    f = np.arange(0.0, 513.0, 0.25)
    noise = np.full(len(f), 1e-46)
    for low, high in ((19.0, 21.0), (399.0, 401.0)):
        ((first, last),) = notches(f, np.where((f > low) & (f < high), 1e-50, noise), 20.0, 400.0)
        assert (first, last) == (max(low, 20.0), min(high, 400.0))
    three = np.any([np.abs(f - x) < 0.75 for x in (100.0, 106.0, 112.0)], axis=0)
    assert len(notches(f, np.where(three, 1e-50, noise), 20.0, 400.0)) == 3
    # What falls and does not rise again is a detector's, or a high-pass filter's.
    assert notches(f, np.where(f < 40, 1e-50, noise), 20.0, 400.0) == []
    assert notches(f, np.where(f > 300, 1e-50, noise), 20.0, 400.0) == []


@pytest.mark.peer
def test_bilby_sees_nothing_in_a_notch(data: gw.StrainData) -> None:
    segment = cut(data, (93.0, 95.0)).segment(f_max=400.0)
    h1 = segment.to_bilby()[0]
    psd = h1.power_spectral_density_array
    lost = np.isinf(segment.psd[0]) & segment.mask
    assert lost.any()
    assert psd[lost].min() > 1e-3
    np.testing.assert_allclose(psd[segment.mask & ~lost], segment.psd[0][segment.mask & ~lost])


def test_the_event_is_looked_for_beside_a_notch(data: gw.StrainData) -> None:
    from gwsurrogate_ml.inference import BinaryPrior
    from gwsurrogate_ml.inference.analysis.arrival import centred

    late = replace(cut(data, (93.0, 95.0)), gps=data.gps - 2.0)
    prior = BinaryPrior(chirp_mass=(7.0, 12.0))
    model = gw.load_surrogate("nr22")
    moved, _ = centred(late, {"f_min": 40.0, "f_max": 400.0}, model, prior, 1, lambda segment: None)
    assert abs(moved.gps - data.gps) < 0.05


def test_notches_of_real_data(data_dir) -> None:
    """H1's strain of GW170608 as it is published has two."""
    path = data_dir("strain/GW170608.npz")
    with np.load(path) as stored:
        strain, step = stored["strain"].astype(np.complex128), float(stored["frequencies"][1])
    rate = 2 * step * (strain.shape[1] - 1)
    h, l = (notched(np.fft.irfft(row) * rate, rate, 0.0, 64.0, 256.0, 30.0, 470.0) for row in strain)
    assert [(round(low), round(high)) for low, high in h] == [(93, 95), (113, 118)]
    assert l == []
