"""Whitening and matched filter on StrainData: times survive, corrupted edges and gaps do not get in."""

from __future__ import annotations

import re

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.errors import ConfigError, DataError, DomainWarning
from gwsurrogate_ml.strain.data import StrainData
from gwsurrogate_ml.strain.filtering import matched_filter
from gwsurrogate_ml.strain.read import make_series
from gwsurrogate_ml.strain.simulate import simulate

RATE, GPS = 1024.0, 1126259462.4


@pytest.fixture(scope="module")
def noise() -> StrainData:
    return simulate(None, sampling_frequency=RATE, gps=GPS, seed=2)


def burst(n: int) -> np.ndarray:
    f = np.arange(n // 2 + 1) * RATE / n
    return 1e-22 * np.exp(-0.5 * ((f - 100.0) / 20.0) ** 2) + 0j


def with_burst(data: StrainData, at: float) -> StrainData:
    """`data` with a burst of SNR about 20 whose peak lies at GPS `at` in every detector."""
    series = {}
    for name, x in data.series.items():
        f = np.arange(x.size // 2 + 1) * RATE / x.size
        signal = np.fft.irfft(3 * burst(x.size) * np.exp(-2j * np.pi * f * (at - x.t0.value)), x.size) * RATE
        series[name] = make_series(x.value + signal, x.t0.value, RATE, name)
    return StrainData.from_series(series, gps=data.gps)


def test_whitened_noise_has_unit_variance_and_a_click_stays_in_place(noise):
    white = noise.whiten()
    for series in white.values():
        assert abs(series.value.std() - 1) < 0.1
    strain = noise.series["H1"].value.copy()
    strain[20000] += 1e-18
    clicked = StrainData.from_series({"H1": make_series(strain, noise.series["H1"].t0.value, RATE, "H1")}, gps=GPS)
    series = clicked.whiten()["H1"]
    peak = series.t0.value + np.argmax(np.abs(series.value)) / RATE
    assert peak == noise.series["H1"].t0.value + 20000 / RATE


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1024.0, 4096.0])
@pytest.mark.parametrize("detector", ["H1", "V1"])
@pytest.mark.parametrize("seconds", [2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 64])
def test_whitened_noise_has_unit_variance_however_short(seconds: int, detector: str, rate: float) -> None:
    long = simulate(None, detectors=(detector,), duration=72, sampling_frequency=rate, gps=GPS, seed=seconds)
    x = long.series[detector]
    data = StrainData.from_series({detector: x.crop(x.t0.value + 36 - seconds / 2, x.t0.value + 36 + seconds / 2)}, GPS)
    if seconds < 2.5:
        with pytest.raises(DataError, match=r"2 s without a gap .* whitening needs 2\.5 s; use more data"):
            data.whiten()
        return
    # Band-limited noise of n samples: the standard deviation scatters by less than 1 %, the estimate of its spectrum adds 1 %.
    assert data.whiten()[detector].value.std() == pytest.approx(1, abs=0.03)
    known = data.whiten(psd={detector: "AdV" if detector == "V1" else "aLIGO"}, highpass=20.0)[detector].value
    assert known.std() == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize(
    ("seconds", "options", "taken"),
    [(4, {"segment_duration": 2.0}, 3), (6, {"segment_duration": 4.0}, 2), (16, {"segment_duration": 8.0}, 3)],
)
def test_too_few_periodograms_are_refused_and_every_remedy_works(seconds: int, options: dict, taken: int) -> None:
    x = simulate(None, detectors=("H1",), duration=64, sampling_frequency=RATE, gps=GPS, seed=5).series["H1"]

    def cut(length: float) -> StrainData:
        middle = x.t0.value + 32.0
        return StrainData.from_series({"H1": x.crop(middle - length / 2, middle + length / 2)}, middle + 0.1)

    message = f"H1: {seconds} s .* give {taken} periodograms .* leave segment_duration out, use ([0-9.]+) s of data, or pass"
    with pytest.raises(DataError, match=message) as refused:
        cut(seconds).whiten(**options)
    needed = float(re.search(message, str(refused.value))[1])
    # The design has a line at 9 Hz, which a filter of 2 s does not resolve.
    by_design = cut(seconds).whiten(psd="aLIGO", highpass=12.0, **options)
    for white in (cut(seconds).whiten(), cut(needed).whiten(**options), by_design):
        assert white["H1"].value.std() == pytest.approx(1, abs=0.06)


def test_whitening_crops_the_corrupted_edges(noise):
    series = noise.whiten(fduration=2.0)["L1"]
    assert series.t0.value == noise.series["L1"].t0.value + 1
    assert series.size == 30 * RATE


def test_whitening_with_a_given_psd_uses_it(noise):
    known = noise.whiten(psd="aLIGO", highpass=20.0)["H1"].value
    estimated = noise.whiten(highpass=20.0)["H1"].value
    assert abs(known.std() - 1) < 0.1
    assert 0.9 < np.corrcoef(known, estimated)[0, 1] < 0.9999


@pytest.mark.parametrize("at", [GPS, GPS + 0.0371, GPS - 0.0992])
def test_a_burst_is_found_at_its_time(noise, at):
    data = with_burst(noise, at)
    result = matched_filter(data, burst(32 * int(RATE)))
    for found in result.detectors.values():
        assert abs(found.time - at) < 1e-3
        assert found.peak_snr > 8
        assert abs(found.phase) < 0.3
        nearest = found.snr.value[round((found.time - found.snr.t0.value) * RATE)]
        assert abs(abs(nearest) / found.peak_snr - 1) < 0.05
    assert result.network_snr == pytest.approx(np.hypot(*(d.peak_snr for d in result.detectors.values())))
    assert result.summary()["H1"]["snr"] == result.detectors["H1"].peak_snr


def test_a_shorter_template_gives_the_same(noise):
    data = with_burst(noise, GPS)
    long, short = (matched_filter(data, burst(s * int(RATE))).detectors["H1"] for s in (32, 4))
    assert short.peak_snr == pytest.approx(long.peak_snr, rel=1e-6)
    assert short.time == pytest.approx(long.time, abs=1e-6)


def test_each_detector_may_have_a_lowest_frequency_of_its_own(noise):
    data = with_burst(noise, GPS)
    apart = matched_filter(data, burst(4096), f_min={"H1": 90.0, "L1": 30.0})
    for name, f_min in (("H1", 90.0), ("L1", 30.0)):
        alone = matched_filter(data, burst(4096), f_min=f_min).detectors[name]
        assert (apart.detectors[name].peak_snr, apart.detectors[name].time) == (alone.peak_snr, alone.time)
    assert apart.detectors["H1"].sigma < 0.99 * matched_filter(data, burst(4096), f_min=30.0).detectors["H1"].sigma
    with pytest.raises(ConfigError, match="f_min has no L1"):
        matched_filter(data, burst(4096), f_min={"H1": 90.0})


def test_noise_has_unit_variance_in_each_quadrature(noise):
    snr = matched_filter(noise, burst(32 * int(RATE))).detectors["H1"].snr.value
    # The burst decorrelates in about 10 ms: 24 s hold some 2000 values.
    assert abs(np.mean(np.abs(snr) ** 2) / 2 - 1) < 0.15


def off_source_noise(seconds: int, **options: object) -> float:
    """Mean noise power of SNRs within 1.8 s of events, of which the PSD knows nothing, 1 where all is right."""
    power = []
    for seed in range(40):
        x = simulate(None, detectors=("H1",), sampling_frequency=RATE, gps=GPS, seed=seed).series["H1"]
        middle = x.t0.value + 16.0
        data = StrainData.from_series({"H1": x.crop(middle - seconds / 2, middle + seconds / 2)}, middle)
        snr = matched_filter(data, burst(4 * int(RATE)), **options).detectors["H1"].snr
        near = np.abs(snr.times.value - data.gps) < 1.8
        power.append(np.mean(np.abs(snr.value[near]) ** 2) / 2)
    return float(np.mean(power))


@pytest.mark.slow
@pytest.mark.parametrize(("seconds", "options"), [(10, {}), (12, {}), (14, {}), (24, {}), (12, {"psd": "aLIGO"})])
def test_the_snr_of_short_data_is_right_to_five_per_cent(seconds: int, options: dict) -> None:
    # 40 stretches of some 3.6 s each hold about 10,000 independent values: 1 %.
    assert off_source_noise(seconds, **options) == pytest.approx(1.0, abs=0.13)


@pytest.mark.slow
def test_too_few_periodograms_for_an_snr_are_refused_and_the_remedies_work() -> None:
    with pytest.raises(DataError, match=r"H1: 4 usable off-source stretches of 2 s .*, at least 8 .*read a longer file or pass"):
        off_source_noise(10, psd_segment=2.0)
    assert off_source_noise(14, psd_segment=2.0) == pytest.approx(1.0, abs=0.13)


def test_edges_of_the_snr_series_are_cut(noise):
    snr = matched_filter(noise, burst(32 * int(RATE))).detectors["H1"].snr
    assert snr.t0.value == noise.series["H1"].t0.value + 4
    assert snr.size == 24 * RATE


def test_gaps_far_from_the_event_do_not_matter_and_near_ones_are_refused(noise):
    series = noise.series["H1"]

    def gap(at: float) -> StrainData:
        strain = series.value.copy()
        strain[int((at - series.t0.value) * RATE)] = np.nan
        return StrainData.from_series({"H1": make_series(strain, series.t0.value, RATE, "H1")}, gps=GPS)

    result = matched_filter(with_burst(gap(GPS + 8), GPS), burst(4 * int(RATE)))
    assert np.isfinite(result.detectors["H1"].snr.value).all()
    with pytest.raises(DataError, match=r"H1: the matched filter needs 4.1 s without a gap"):
        matched_filter(gap(GPS + 2), burst(4 * int(RATE)))
    with pytest.raises(DataError, match=r"H1: whitening needs 1 s without a gap"):
        gap(GPS + 0.5).whiten()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.ones(16385),), {}, "complex one-sided transform"),
        ((np.ones(99999, complex),), {}, "complex one-sided transform"),
        ((burst(4096), {"mass_1": 30}), {}, "belong to a waveform model"),
        (("IMRPhenomD",), {}, "give a numpy array or a waveform model"),
        ((burst(4096),), {"f_max": 600.0}, "Nyquist"),
        ((burst(4096),), {"window": 0.0}, "window"),
    ],
)
def test_templates_and_bands_that_do_not_fit_are_refused(noise, arguments, options, message):
    with pytest.raises(ConfigError, match=message):
        matched_filter(noise, *arguments, **options)


def test_the_result_plots_itself(noise):
    figure = matched_filter(noise, burst(4096)).plot()
    assert len(figure.axes) >= 2
    import matplotlib.pyplot as plt

    plt.close(figure)


@pytest.mark.parametrize(("before", "after"), [(30.0, 2.1), (1.1, 30.0), (20.0, 20.0)])
def test_an_analysis_near_the_edge_of_the_data_takes_a_filter_that_fits(before, after):
    from gwsurrogate_ml.cli.analyze.pipeline import filter_duration
    from gwsurrogate_ml.surrogate.load import load_surrogate

    rate, gps = 2048.0, 1126259462.4
    noise = 1e-21 * np.random.default_rng(1).normal(size=round((before + after) * rate))
    data = StrainData.from_series({"H1": make_series(noise, gps - before, rate, "H1")}, gps=gps)
    length = filter_duration(data)
    assert 0 < length <= min(4.0, before, after)
    binary = {"mass_1": 36.0, "mass_2": 29.0, "chi_1": 0.0, "chi_2": 0.0}
    found = matched_filter(data, load_surrogate("nr22"), binary, filter_duration=length)
    assert 0 < found.network_snr < 6


def test_a_template_longer_than_the_data_before_the_event_is_said_to_be(recwarn) -> None:
    model = gw.load_surrogate("nr22")
    binary = {"mass_1": 8.0, "mass_2": 8.0, "chi_1": 0.0, "chi_2": 0.0}
    data = simulate(None, detectors=("H1",), duration=40, sampling_frequency=1024, gps=1126259462.4, seed=5)
    series = data.series["H1"]
    short = gw.StrainData.from_series({"H1": series.crop(data.gps - 4.5, float(series.span[1]), copy=True)}, gps=data.gps)
    gw.matched_filter(data, model, binary, f_min=20.0, f_max=400.0, psd="aLIGO")
    assert not [w for w in recwarn if issubclass(w.category, DomainWarning)]
    with pytest.warns(DomainWarning, match=r"H1: the template lasts .* s from 20 Hz, the data begin 4.4 s before the event"):
        gw.matched_filter(short, model, binary, f_min=20.0, f_max=400.0, psd="aLIGO")
