"""The event is found where it is, whatever time is given: by seconds off, beside a glitch, near the end of the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from gwsurrogate_ml.errors import ConfigError, DataError, DomainError
from gwsurrogate_ml.inference import BinaryPrior, LalModel
from gwsurrogate_ml.inference.analysis.arrival import GRID, NEAR, REACH, analysed, centred
from gwsurrogate_ml.strain.data import StrainData
from gwsurrogate_ml.strain.segment import AnalysisSegment
from gwsurrogate_ml.strain.simulate import simulate

SLOW_FIXTURES = ("centred_from",)

GPS = 1187008882.4
CUT = {"duration": 4.0, "f_min": 20.0, "f_max": 512.0, "extend": True}
PRIOR = BinaryPrior(chirp_mass=(20.0, 45.0))
BINARY = {
    "chirp_mass": 28.0, "mass_ratio": 0.7, "chi_1": 0.2, "chi_2": -0.1, "theta_jn": 0.6, "phase": 1.0, "psi": 0.4, "ra": 1.9,
    "dec": 0.3, "luminosity_distance": 1500.0, "geocent_time": GPS,
}  # fmt: skip


@pytest.fixture(scope="module")
def data() -> StrainData:
    """A binary of network signal-to-noise ratio 15 in 32 s of noise, at the time given."""
    return simulate(BINARY, LalModel(), duration=32.0, sampling_frequency=1024.0, seed=3)


def late(data: StrainData, shift: float) -> StrainData:
    return replace(data, gps=GPS + shift)


@pytest.fixture(scope="module")
def centred_from(data: StrainData) -> Callable[[float], tuple[StrainData, AnalysisSegment]]:
    """Data and segment about the event where the time given is `shift` off; each is made once."""
    return cache(lambda shift: centred(late(data, shift), CUT, LalModel(), PRIOR))


@pytest.mark.slow
def test_a_time_that_is_right_or_nearly_so_is_no_flag(centred_from) -> None:
    for shift in (0.0, 0.02, -0.02, 0.05):
        same, segment = centred_from(shift)
        assert abs(same.gps - GPS) < GRID / 2 + 0.0213
        assert same.flags == segment.flags == ()


@pytest.mark.slow
@pytest.mark.parametrize("shift", [-2.9, -2.0, -0.3, -0.12, 0.12, 0.15, 0.3, 2.0, 2.9])
def test_a_time_that_is_off_is_moved_to_the_event(centred_from, shift: float) -> None:
    moved, segment = centred_from(shift)
    # The detectors see it up to 21 ms from the geocentre.
    assert abs(moved.gps - GPS) < GRID / 2 + 0.0213
    assert segment.gps == moved.gps
    assert segment.start_time == pytest.approx(moved.gps - 2.0, abs=1 / 1024)
    assert len(segment.flags) == 1
    assert f"lies {moved.gps - GPS - shift:+.2f} s from it" in segment.flags[0]


@pytest.mark.slow
def test_all_times_lead_to_the_same_segment(centred_from) -> None:
    cut = [centred_from(shift)[1] for shift in (0.0, -2.0, -0.3, -0.02, 0.02, 0.08, 0.3, 2.0)]
    assert len({(segment.gps, segment.start_time) for segment in cut}) == 1
    for segment in cut[1:]:
        np.testing.assert_array_equal(segment.strain, cut[0].strain)


def narrow(half_width: float) -> BinaryPrior:
    return PRIOR.model_copy(update={"time_half_width": half_width})


@pytest.mark.slow
@pytest.mark.parametrize("half_width", [0.01, 0.02, 0.03, 0.06, 0.09])
def test_a_narrow_prior_about_the_right_time_stays_there(data, half_width: float) -> None:
    """Detectors tell the time at the geocentre to 21 ms: a step of the grid to where they are would leave the prior's rim."""
    same, segment = centred(data, CUT, LalModel(), narrow(half_width))
    assert same.gps == segment.gps == GPS
    assert not segment.flags


@pytest.mark.slow
@pytest.mark.parametrize(("half_width", "shift"), [(0.03, 0.4), (0.03, -0.06), (0.05, 0.08), (0.09, 0.12), (0.09, -2.0)])
def test_a_narrow_prior_that_would_miss_the_event_moves_to_it_and_says_so(data, half_width: float, shift: float) -> None:
    moved, segment = centred(late(data, shift), CUT, LalModel(), narrow(half_width))
    assert abs(moved.gps - GPS) < NEAR <= half_width
    assert segment.gps == moved.gps
    assert moved.flags[-1].startswith("time moved")
    assert f"centred on {moved.gps:.3f} instead" in moved.flags[-1] or f"centred on {moved.gps:.1f} instead" in moved.flags[-1]


@pytest.mark.slow
def test_a_prior_too_narrow_to_be_moved_is_refused_where_it_misses_the_event(data) -> None:
    with pytest.raises(DomainError, match=r"outside a prior on arrival time of 0.01 s to .* give the event's own time"):
        centred(late(data, 0.2), CUT, LalModel(), narrow(0.01))


def with_glitch(data: StrainData, before: float) -> StrainData:
    """A loud sine-Gaussian in H1, `before` s before the event."""
    series = {name: x.copy() for name, x in data.series.items()}
    t = np.arange(series["H1"].size) / 1024 + series["H1"].t0.value - (GPS - before)
    series["H1"].value[:] += 3e-20 * np.exp(-((t / 0.02) ** 2)) * np.sin(2 * np.pi * 90 * t)
    return replace(data, series=series)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("detectors", "distance", "before", "seed"),
    [
        (("H1", "L1"), 1500.0, 1.0, 3),
        (("H1", "L1"), 1800.0, 1.0, 3),
        (("H1", "L1"), 1800.0, 1.0, 5),
        (("H1", "L1"), 1200.0, 0.5, 5),
        (("H1", "L1", "V1"), 2000.0, 1.0, 1),
        (("H1", "L1", "V1"), 2000.0, 0.5, 2),
        (("H1", "L1", "V1"), 1500.0, 0.5, 4),
    ],
)
def test_a_loud_glitch_of_one_detector_does_not_move_the_time(
    detectors: tuple[str, ...], distance: float, before: float, seed: int
) -> None:
    binary = BINARY | {"luminosity_distance": distance}
    data = simulate(binary, LalModel(), detectors, duration=32.0, sampling_frequency=1024.0, seed=seed)
    same, segment = centred(with_glitch(data, before), CUT, LalModel(), PRIOR)
    assert same.gps == GPS
    assert segment.flags == ()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_light_binaries_stay_where_they_are_under_a_wide_prior(seed: int) -> None:
    cut, prior = CUT | {"duration": 8.0}, BinaryPrior(chirp_mass=(6.0, 40.0))
    binary = BINARY | {"chirp_mass": 7.0, "luminosity_distance": 350.0}
    data = simulate(binary, LalModel(), duration=32.0, sampling_frequency=1024.0, seed=seed)
    assert centred(data, cut, LalModel(), prior)[0].gps == GPS
    moved, _ = centred(late(data, 0.5), cut, LalModel(), prior)
    assert abs(moved.gps - GPS) < GRID / 2 + 0.0213


@pytest.mark.slow
def test_beyond_its_reach_nothing_is_found(data) -> None:
    moved, _ = centred(late(data, REACH + 2.5), CUT, LalModel(), PRIOR)
    assert abs(moved.gps - GPS) > 2.0


@pytest.mark.slow
def test_a_segment_that_would_leave_the_data_keeps_them_and_moves_the_prior(data) -> None:
    short = {name: x.crop(end=GPS + 1.9) for name, x in data.series.items()}
    moved, segment = centred(replace(data, series=short, gps=GPS - 0.5), CUT, LalModel(), PRIOR)
    assert abs(moved.gps - GPS) < GRID / 2 + 0.0213
    assert segment.gps == moved.gps
    assert segment.start_time == pytest.approx(GPS - 2.5, abs=1 / 1024)
    assert any(flag.startswith("time moved") for flag in segment.flags)


@pytest.mark.slow
def test_an_event_near_the_end_of_the_data_is_found_with_what_there_is(data) -> None:
    end = GPS + 2.1
    short = {name: x.crop(end=end) for name, x in data.series.items()}
    moved, _ = centred(replace(data, series=short, gps=GPS - 0.4), CUT, LalModel(), PRIOR)
    assert abs(moved.gps - GPS) < GRID / 2 + 0.0213
    with pytest.raises(DataError, match=r"sticks out of the data|after the event"):
        centred(replace(data, series=short, gps=GPS + 1.0), CUT, LalModel(), PRIOR)


def test_a_segment_moves_its_prior_alone(data) -> None:
    segment = late(data, 0.4).segment(**CUT)
    moved = analysed(segment, CUT, LalModel(), PRIOR, 0, lambda s: None, centre=True)
    assert abs(moved.gps - GPS) < GRID / 2 + 0.0213
    assert moved.start_time == segment.start_time
    assert "time moved" in moved.flags[0]
    assert analysed(segment, CUT, LalModel(), PRIOR, 0, lambda s: None, centre=False) is segment


def test_what_cannot_be_analysed_is_refused_before_the_search(data) -> None:
    def refuse(segment: object) -> None:
        raise ConfigError("not this one")

    with pytest.raises(ConfigError, match="not this one"):
        centred(data, CUT, LalModel(), PRIOR, 0, refuse)
