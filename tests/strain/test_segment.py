"""StrainData and its analysis segment: what is refused before work starts, and what the PSD is made of."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.data import StrainData
from gwsurrogate_ml.strain.read import make_series
from gwsurrogate_ml.strain.spectrum import off_source_psd

RATE, START, GPS = 2048.0, 1126259446.0, 1126259462.4
SIGMA = 1e-21
WHITE = SIGMA**2 * 2 / RATE
"""One-sided PSD of white noise of standard deviation SIGMA."""


def noise(seconds: float = 32, seed: int = 0, rate: float = RATE) -> np.ndarray:
    return SIGMA * np.random.default_rng(seed).normal(size=int(seconds * rate))


def data_of(*strains: np.ndarray, start: float = START, gps: float = GPS) -> StrainData:
    names = ("H1", "L1", "V1")
    series = {n: make_series(x, start, RATE, n) for n, x in zip(names, strains, strict=False)}
    return StrainData.from_series(series, gps=gps)


def index(seconds_from_gps: float) -> int:
    return int((GPS - START + seconds_from_gps) * RATE)


def test_time_outside_the_data_names_the_span():
    with pytest.raises(DataError, match=r"L1: GPS 1126259500.000 .* 1126259446.000 to 1126259478.000"):
        StrainData.from_series({"L1": make_series(noise(), START, RATE, "L1")}, gps=1126259500.0)


def test_unknown_detector_lists_the_known():
    with pytest.raises(DataError, match=r"unknown detector 'X1'; known: .*H1.*L1.*V1"):
        StrainData.from_series({"X1": make_series(noise(), START, RATE, "X1")}, gps=GPS)


def test_different_rates_are_brought_to_the_lowest():
    series = {"H1": make_series(noise(), START, RATE, "H1"), "L1": make_series(noise(rate=1024), START, 1024, "L1")}
    assert StrainData.from_series(series, gps=GPS).sampling_frequency == 1024


def test_no_detectors_is_refused():
    with pytest.raises(ConfigError, match="no detectors"):
        StrainData.from_series({}, gps=GPS)


def test_segment_has_the_shape_times_and_mask_of_the_contract():
    segment = data_of(noise(), noise(seed=1)).segment(f_max=512.0)
    assert segment.detectors == ("H1", "L1")
    assert segment.strain.shape == segment.psd.shape == (2, 4 * 512 + 1)
    assert segment.strain.dtype == np.complex128
    assert segment.frequencies[0] == 0
    assert segment.frequencies[-1] == 512
    # The sample at or before gps - 2 s, on the data's own grid.
    assert 0 <= GPS - 2 - segment.start_time < 1 / RATE
    assert (segment.start_time - START) * RATE == round((segment.start_time - START) * RATE)
    np.testing.assert_array_equal(segment.frequencies[segment.mask], np.arange(20, 512.25, 0.25))


def test_white_noise_has_its_psd_and_unit_whitened_variance():
    segment = data_of(*(noise(64, seed) for seed in range(3))).segment(f_max=RATE / 2)
    band = segment.psd[:, segment.mask]
    # Some 27 half-overlapping periodograms: each bin scatters by about 30 %, the mean over 4000 bins by under 1 %.
    assert abs(np.mean(WHITE / band) - 1) < 0.02
    middle = segment.whitened()[:, 2000:6000]
    assert abs(middle.std() - 1) < 0.02


def test_nan_in_the_segment_is_refused_and_outside_it_is_not():
    bad = noise()
    bad[index(0.5)] = np.nan
    with pytest.raises(DataError, match=r"L1: 1 of 8192 samples .* NaN"):
        data_of(noise(), bad).segment()
    good = noise()
    good[index(-8)] = np.nan
    assert np.isfinite(data_of(noise(), good).segment().psd).all()


def test_psd_skips_periodograms_that_touch_a_gap():
    strain = noise()
    whole = data_of(strain).segment().psd_segments
    strain[index(-8) : index(-7)] = np.nan
    assert data_of(strain).segment().psd_segments[0] < whole[0]


def test_psd_takes_nothing_from_the_segment_itself():
    loud = noise()
    quiet = loud.copy()
    loud[index(-2) + 1 : index(2) - 1] *= 1e6
    np.testing.assert_array_equal(data_of(loud).segment().psd, data_of(quiet).segment().psd)


def test_psd_uses_data_within_the_span_alone():
    x = noise(128)
    near = off_source_psd(x, RATE, 0.0, exclude=(62.0, 66.0), segment_duration=4.0, span=40.0)
    x[: int(40 * RATE)] = np.nan
    x[int(90 * RATE) :] = np.nan
    cut = off_source_psd(x, RATE, 0.0, exclude=(62.0, 66.0), segment_duration=4.0, span=40.0)
    np.testing.assert_array_equal(near[1], cut[1])
    assert near[2] == 16


def test_a_short_file_is_refused_and_a_given_psd_heals_it():
    data = data_of(noise(12), start=GPS - 6)
    with pytest.raises(DataError, match=r"H1: 2 usable off-source stretches of 4 s .* at least 4"):
        data.segment()
    segment = data.segment(psd=(np.array([0.0, RATE]), np.full(2, WHITE)))
    assert segment.psd_segments == (0,)


@pytest.mark.parametrize("start", [GPS - 1.5, GPS - 30.5])
def test_a_segment_that_sticks_out_is_refused(start):
    with pytest.raises(DataError, match="sticks out of the data"):
        data_of(noise(), start=start).segment()


def test_an_event_near_the_end_says_how_much_is_needed_and_both_remedies_work():
    near = data_of(noise(), start=GPS - 30.5)
    with pytest.raises(DataError) as error:
        near.segment()
    said = str(error.value)
    assert "end 1.50 s after GPS 1126259462.400 where 2 s are needed; read a longer file, to GPS 1126259464.400" in said
    assert "duration" not in said  # of no help, and the command line would name its option
    assert "in Python cut the segment by StrainData.segment(post_trigger=1.5)" in said
    shorter = near.segment(post_trigger=1.5)
    assert shorter.start_time + shorter.duration == pytest.approx(GPS + 1.5, abs=1 / RATE)
    longer = data_of(noise(32.5), start=GPS - 30.5).segment()
    assert longer.start_time + longer.duration == pytest.approx(GPS + 2, abs=1 / RATE)


def test_an_event_near_the_start_says_how_much_is_needed_and_both_remedies_work():
    near = data_of(noise(), start=GPS - 1.5)
    with pytest.raises(
        DataError,
        match=r"begin 1\.50 s before GPS 1126259462\.400 where 2 s are needed; "
        r"read a longer file, from GPS 1126259460\.400 on, or a duration of 3 s$",
    ):
        near.segment()
    assert near.segment(duration=3).strain.shape == (1, 3 * 1024 + 1)
    assert data_of(noise(32.5), start=GPS - 2).segment().start_time == pytest.approx(GPS - 2)


@pytest.mark.parametrize(("before", "after"), [(1.5, 1.5), (0.1, 30.0), (30.0, 0.3)])
def test_what_does_not_help_is_not_offered(before, after):
    with pytest.raises(DataError, match="read a longer file") as error:
        data_of(noise(before + after), start=GPS - before).segment()
    assert "duration" not in str(error.value)
    assert "post_trigger" not in str(error.value)


@pytest.mark.parametrize("kind", ["constant", "saturated"])
def test_dead_data_are_refused(kind):
    strain = np.zeros(int(32 * RATE)) if kind == "constant" else np.clip(noise(), -SIGMA / 2, SIGMA / 2)
    with pytest.raises(DataError, match=r"H1: .*constant or saturated"):
        data_of(strain).segment()


def test_dead_off_source_data_are_refused():
    strain = np.full(int(32 * RATE), SIGMA)
    strain[index(-3) : index(3)] = noise(6, 3)[: index(3) - index(-3)]
    with pytest.raises(DataError, match="the channel is dead"):
        data_of(strain).segment()


def test_detectors_sampled_between_each_others_samples_are_refused():
    series = {
        "H1": make_series(noise(), START, RATE, "H1"),
        "L1": make_series(noise(), START + 0.5 / RATE, RATE, "L1"),
    }
    with pytest.raises(DataError, match="one time grid"):
        StrainData.from_series(series, gps=GPS).segment()


def test_detectors_that_start_at_different_times_share_the_segment():
    long = noise()
    series = {"H1": make_series(long, START, RATE, "H1"), "L1": make_series(long[2048:], START + 1, RATE, "L1")}
    segment = StrainData.from_series(series, gps=GPS).segment()
    np.testing.assert_array_equal(segment.strain[0], segment.strain[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"f_max": 2048.0}, "Nyquist"),
        ({"f_min": 600.0, "f_max": 500.0}, "f_min < f_max"),
        ({"post_trigger": 5.0}, "post_trigger"),
        ({"roll_off": 3.0}, "roll_off"),
        ({"f_max": 512.1}, "multiple of 1/duration"),
        ({"psd": {"H1": "aLIGO"}}, "no PSD for L1"),
        ({"psd": "aLIGOO"}, "unknown noise curve"),
    ],
)
def test_impossible_settings_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        data_of(noise(), noise()).segment(**options)


def test_a_psd_that_does_not_cover_the_band_is_refused():
    curve = (np.linspace(30, 500, 900), np.full(900, WHITE))
    with pytest.raises(DataError, match=r"H1: the PSD covers 30 to 500 Hz, the analysis needs 20 to 1024 Hz"):
        data_of(noise()).segment(psd=curve)


@pytest.mark.peer
def test_a_psd_that_ends_one_bin_early_is_inf_there_and_bilby_agrees():
    frequencies = np.arange(20, 1024, 0.25)
    segment = data_of(noise()).segment(psd=(frequencies, np.full(frequencies.size, WHITE)))
    assert np.isinf(segment.psd[0, -1])
    assert np.isfinite(segment.psd[0, segment.mask][:-1]).all()
    np.testing.assert_allclose(segment.to_bilby()[0].power_spectral_density_array, segment.psd[0], rtol=1e-12)
    assert np.isfinite(segment.noise_log_likelihood())


def test_a_longer_segment_interpolates_its_4_s_psd():
    segment = data_of(noise(64)).segment(duration=8.0, post_trigger=4.0)
    assert segment.frequencies[1] == 0.125
    np.testing.assert_allclose(segment.psd[0, 801], (segment.psd[0, 800] + segment.psd[0, 802]) / 2, rtol=1e-12)


def test_stretch_stops_at_gaps_and_refuses_an_event_inside_one():
    strain = noise()
    strain[index(-3)] = strain[index(5)] = np.nan
    piece = data_of(strain).stretch("H1")
    assert np.isfinite(piece.value).all()
    assert piece.size == 7 * RATE
    assert piece.t0.value == pytest.approx(START + (index(-3) + 1) / RATE, abs=1e-9)
    strain[index(0)] = np.nan
    with pytest.raises(DataError, match="in a gap"):
        data_of(strain).stretch("H1")


@pytest.mark.parametrize("filled", [0.0, 3e-21])
def test_stretch_stops_at_constant_stretches_where_they_are_many(filled: float) -> None:
    """Gaps filled with a number: an analysis of the 4 s between ended at the matched filter of its report."""
    strain = noise()
    strain[: index(-6)] = strain[index(6) :] = filled
    piece = data_of(strain).stretch("H1")
    assert piece.size == 12 * RATE
    assert piece.t0.value == pytest.approx(START + index(-6) / RATE, abs=1e-9)
    with pytest.raises(DataError, match="constant or saturated"):
        data_of(np.full_like(strain, filled)).stretch("H1")


@pytest.mark.slow
def test_a_long_segment_has_its_spectrum_from_beyond_it() -> None:
    rate = 128.0
    series = {"H1": make_series(noise(1200, rate=rate), GPS - 900, rate, "H1")}
    segment = StrainData.from_series(series, gps=GPS).segment(256.0, f_max=50.0)
    assert segment.psd_segments[0] >= 26


def test_frequencies_beyond_the_data_carry_no_information():
    data = data_of(noise(seed=1), noise(seed=2))
    short = data.segment(f_max=500.0)
    long = short.extended(1000.0)
    assert long.frequencies[-1] == 1000.0
    assert long.strain.shape == long.psd.shape == (2, 4001)
    assert long.mask.sum() == short.mask.sum()
    assert long.noise_log_likelihood() == pytest.approx(short.noise_log_likelihood())
    beyond = long.frequencies > 500.0
    assert np.all(np.isinf(long.psd[:, beyond]))
    assert not long.strain[:, beyond].any()
