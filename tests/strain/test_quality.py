"""Masks beside the strain: the same gaps and marks from every format, flags only on segments that a mark touches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.data import StrainData
from gwsurrogate_ml.strain.quality import Mark, sentences
from gwsurrogate_ml.strain.read import read_marked, read_strain
from tests.hostile.material import frame

RATE, START, SECONDS = 1024.0, 1300000000.0, 40
GPS = START + 20.4
DQ = ("DATA", "CBC_CAT1", "CBC_CAT2", "CBC_CAT3", "BURST_CAT1", "BURST_CAT2", "BURST_CAT3")
INJ = ("NO_CBC_HW_INJ", "NO_BURST_HW_INJ", "NO_DETCHAR_HW_INJ", "NO_CW_HW_INJ", "NO_STOCH_HW_INJ")
Failing = dict[str, list[int]]
"""Names of bits, and the seconds from the start in which they are not set."""


def noise() -> np.ndarray:
    return 1e-21 * np.random.default_rng(3).normal(size=int(RATE) * SECONDS)


def mask(names: tuple[str, ...], failing: Failing, rate: int = 1) -> np.ndarray:
    bits = np.full(SECONDS * rate, (1 << len(names)) - 1, np.int32)
    for bit, name in enumerate(names):
        for second in failing.get(name, []):
            bits[second * rate : (second + 1) * rate] &= ~(1 << bit)
    return bits


def gwosc(path: Path, failing: Failing) -> Path:
    with h5py.File(path, "w") as file:
        file["meta/Detector"] = "H1"
        file["strain/Strain"] = noise()
        file["strain/Strain"].attrs.update(Xstart=int(START), Xspacing=1 / RATE, Npoints=noise().size, Yunits="")
        for group, data, names, bits in (
            ("simple", "DQmask", "DQShortnames", DQ),
            ("injections", "Injmask", "InjShortnames", INJ),
        ):
            file[f"quality/{group}/{data}"] = mask(bits, failing)
            file[f"quality/{group}/{names}"] = [name.encode() for name in bits]
    return path


def series(path: Path, channels: dict[str, tuple[np.ndarray, float]]) -> Path:
    from gwpy.timeseries import TimeSeries, TimeSeriesDict

    made = TimeSeriesDict()
    for name, (values, rate) in channels.items():
        made[name] = TimeSeries(values, t0=START, sample_rate=rate, name=name, channel=name)
    made.write(path)
    return path


def channels(stem: str) -> Callable[[Path, Failing], Path]:
    def make(path: Path, failing: Failing) -> Path:
        names = {"STRAIN": (noise(), RATE), "DQMASK": (mask(DQ, failing), 1), "INJMASK": (mask(INJ, failing), 1)}
        return series(path, {f"H1:{stem}{name}": values for name, values in names.items()})

    return make


FORMATS = [
    pytest.param("x.hdf5", gwosc, id="HDF5 in GWOSC's layout"),
    pytest.param("x.gwf", channels("GWOSC-4KHZ_R1_"), id="GWF at 4 kHz"),
    pytest.param("x.gwf", channels("GWOSC-16KHZ_R1_"), id="GWF at 16 kHz"),
    pytest.param("x.gwf", channels("LOSC-"), id="GWF of O1 and earlier"),
    pytest.param("x.h5", channels("GWOSC-4KHZ_R1_"), id="HDF5 by gwpy"),
]


def data(path: Path) -> StrainData:
    return StrainData.from_files({"H1": path}, gps=GPS)


@pytest.mark.parametrize(("name", "make"), FORMATS)
@pytest.mark.parametrize("flag", ["DATA", "CBC_CAT1"])
def test_seconds_that_fail_data_or_cat1_are_gaps_in_every_format(tmp_path, name, make, flag):
    path = make(tmp_path / name, {flag: [20, 33]})
    gap = np.isnan(read_strain(path, "H1").value).reshape(SECONDS, -1)
    assert np.flatnonzero(gap.all(axis=1)).tolist() == np.flatnonzero(gap.any(axis=1)).tolist() == [20, 33]
    with pytest.raises(DataError, match=r"H1: 1024 of 4096 samples .* fail data quality"):
        data(path).segment(f_max=512.0)


@pytest.mark.parametrize(("name", "make"), FORMATS)
def test_marks_are_the_same_in_every_format(tmp_path, name, make):
    failing = {"CBC_CAT2": [3, 4, 30], "NO_BURST_HW_INJ": [7], "NO_CW_HW_INJ": list(range(SECONDS))}
    strain, marks = read_marked(make(tmp_path / name, failing), "H1")
    assert np.isfinite(strain.value).all()
    assert marks == (
        Mark("H1", "CBC_CAT2", START + 3, START + 5),
        Mark("H1", "CBC_CAT2", START + 30, START + 31),
        Mark("H1", "NO_BURST_HW_INJ", START + 7, START + 8),
    )


@pytest.mark.slow
@pytest.mark.parametrize(("name", "make"), FORMATS)
@pytest.mark.parametrize(
    ("bit", "said"),
    [
        ("CBC_CAT2", "data quality: H1 fails CBC_CAT2"),
        ("CBC_CAT3", "data quality: H1 fails CBC_CAT3"),
        ("NO_CBC_HW_INJ", "hardware injection: a binary's signal was added to H1"),
        ("NO_BURST_HW_INJ", "hardware injection: a burst"),
        ("NO_DETCHAR_HW_INJ", "hardware injection: a test"),
        ("NO_STOCH_HW_INJ", "hardware injection: stochastic"),
    ],
)
def test_vetoes_and_injections_flag_the_segments_that_they_touch_and_no_others(tmp_path, name, make, bit, said, caplog):
    with caplog.at_level(logging.WARNING):
        (flag,) = data(make(tmp_path / f"in-{name}", {bit: [19]})).segment(f_max=512.0).flags
    assert flag.startswith(said)
    assert "GPS 1300000019 to 1300000020" in flag
    assert not caplog.records  # said once
    assert not data(make(tmp_path / f"out-{name}", {bit: [0, 16, 17, 23, 39]})).segment(f_max=512.0).flags


def test_continuous_waves_are_injected_always_and_flag_nothing(tmp_path):
    path = gwosc(tmp_path / "x.hdf5", {"NO_CW_HW_INJ": list(range(SECONDS))})
    assert not data(path).segment(f_max=512.0).flags


def test_a_series_alone_has_no_place_for_marks_and_logs_them(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        read_strain(gwosc(tmp_path / "x.hdf5", {"CBC_CAT2": [3], "NO_CBC_HW_INJ": [9]}), "H1")
    assert [("CBC_CAT2" in text, "binary" in text) for text in caplog.messages] == [(False, True), (True, False)]


def test_state_vectors_of_the_detectors_own_frames_are_read(tmp_path):
    names = ("HOFT_OK", "OBSERVATION_INTENT", "-", "-", "-", "NO_STOCH_HW_INJ", "NO_CBC_HW_INJ", "NO_BURST_HW_INJ")
    state = mask((*names, "NO_DETCHAR_HW_INJ"), {"HOFT_OK": [5], "OBSERVATION_INTENT": [6], "NO_CBC_HW_INJ": [7]}, rate=16)
    channels = {"H1:GDS-CALIB_STRAIN": (noise(), RATE), "H1:GDS-CALIB_STATE_VECTOR": (state, 16)}
    strain, marks = read_marked(series(tmp_path / "x.gwf", channels), "H1")
    assert np.flatnonzero(np.isnan(strain.value).reshape(SECONDS, -1).all(axis=1)).tolist() == [5]
    assert {(mark.name, mark.start - START, mark.end - START) for mark in marks} == {
        ("OBSERVATION_INTENT", 6, 7),
        ("NO_CBC_HW_INJ", 7, 8),
    }


def test_masks_of_another_detector_are_not_taken(tmp_path):
    bad = mask(DQ, {"DATA": list(range(SECONDS))})
    channels = {"H1:LOSC-STRAIN": (noise(), RATE), "L1:LOSC-DQMASK": (bad, 1)}
    assert np.isfinite(read_strain(series(tmp_path / "x.gwf", channels), "H1").value).all()


def test_names_of_bits_in_the_file_count_more_than_the_usual_ones(tmp_path):
    passing = np.full(SECONDS, 0b10, np.int32)
    path = frame(
        tmp_path / "x.gwf",
        {"H1:LOSC-STRAIN": (noise(), RATE, "strain"), "H1:LOSC-DQMASK": (passing, 1.0, "0:CBCLOW_CAT4 1:DATA")},
        START,
    )
    strain, marks = read_marked(path, "H1")
    assert np.isfinite(strain.value).all()
    assert marks == (Mark("H1", "CBCLOW_CAT4", START, START + SECONDS),)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for name, values, step in (("H1:LOSC-STRAIN", noise(), 1 / RATE), ("H1:LOSC-DQMASK", passing, 1.0)):
            file[name] = values
            file[name].attrs.update(x0=START, dx=step, unit="")
        file["H1:LOSC-DQMASK"].attrs["bits"] = ["CBCLOW_CAT4", "DATA"]
    strain, again = read_marked(tmp_path / "x.h5", "H1")
    assert np.isfinite(strain.value).all()
    assert again == marks


def test_one_sentence_for_a_detectors_vetoes_and_one_for_each_injection():
    marks = [Mark("H1", "CBC_CAT2", 8.0, 9.0), Mark("H1", "CBC_CAT3", 7.0, 9.5), Mark("L1", "CBC_CAT3", 1.0, 2.0)]
    marks.append(Mark("L1", "NO_CBC_HW_INJ", 8.5, 9.0))
    injection, veto = sentences(marks, 6.0, 10.0)
    assert "L1" in injection
    assert "H1 fails CBC_CAT2 and CBC_CAT3, GPS 7 to 9.5" in veto
    assert sentences(marks, 9.5, 13.0) == ()  # what ends where the segment begins touches nothing
