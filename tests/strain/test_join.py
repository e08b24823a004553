"""Strain in several files, frames or pieces is one series with its gaps; what does not fit together is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.data import StrainData
from gwsurrogate_ml.strain.read import read_strain

RATE, START, SECONDS = 1024, 1300000000, 16
STRAIN = 1e-21 * np.random.default_rng(5).normal(size=SECONDS * RATE)


def piece(first: int, last: int, detector: str = "H1"):
    """Seconds `first` to `last` as gwpy's series."""
    from gwpy.timeseries import TimeSeries

    name = f"{detector}:GDS-CALIB_STRAIN"
    return TimeSeries(
        STRAIN[first * RATE : last * RATE], t0=START + first, sample_rate=RATE, name=name, channel=name, unit="strain"
    )


def frames(path: Path, *spans: tuple[int, int]) -> Path:
    """One GWF file with a frame a span, which need not follow upon each other, by LAL."""
    import lalframe

    out = lalframe.FrameUFrFileOpen(str(path), "w")
    for number, (first, last) in enumerate(spans):
        series = piece(first, last).to_lal()
        frame = lalframe.FrameNew(series.epoch, last - first, "LIGO", 0, number, 0)
        lalframe.FrameAddREAL8TimeSeriesProcData(frame, series)
        lalframe.FrameUFrameHWrite(out, frame)
    del out  # closes the file
    return path


def mlgwsc(path: Path, *spans: tuple[int, int]) -> Path:
    """MLGWSC-1's layout: a group a detector, in it a dataset for each stretch, named after its start."""
    with h5py.File(path, "w") as file:
        for detector, factor in (("H1", 1.0), ("L1", 2.0)):
            for first, last in spans:
                item = file.create_dataset(f"{detector}/{START + first}", data=factor * STRAIN[first * RATE : last * RATE])
                item.attrs.update(start_time=START + first, delta_t=1 / RATE)
    return path


def expected(*spans: tuple[int, int]) -> np.ndarray:
    """The strain from the first span's start to the last one's end, NaN between."""
    whole = np.full_like(STRAIN, np.nan)
    for first, last in spans:
        whole[first * RATE : last * RATE] = STRAIN[first * RATE : last * RATE]
    return whole[spans[0][0] * RATE : spans[-1][1] * RATE]


@pytest.mark.parametrize(
    "suffix",
    [
        pytest.param(".gwf", marks=pytest.mark.exchange("strain", "GWF, several files joined in time", "gwpy", "read")),
        pytest.param(".hdf5", marks=pytest.mark.exchange("strain", "HDF5, several files joined in time", "gwpy", "read")),
    ],
)
@pytest.mark.parametrize("spans", [((0, 4), (4, 9)), ((0, 4), (6, 9)), ((6, 9), (0, 4)), ((0, 5), (4, 9))])
def test_files_of_a_detector_are_joined_in_time(tmp_path, suffix, spans, caplog):
    paths = []
    for first, last in spans:
        piece(first, last).write(tmp_path / f"{first}{suffix}")
        paths.append(tmp_path / f"{first}{suffix}")
    series = read_strain(paths, "H1")
    np.testing.assert_array_equal(series.value, expected(*sorted(spans)))
    assert (series.t0.value, series.sample_rate.value) == (START, RATE)
    gap = "no data from GPS 1300000004.000 to 1300000006.000 (2 s), between"
    assert (gap in caplog.text) == bool(np.isnan(series.value).any())


@pytest.mark.exchange("strain", "GWF with a frame missing", "lalsuite", "read")
def test_a_missing_frame_is_a_gap_that_is_named(tmp_path, caplog):
    path = frames(tmp_path / "x.gwf", (0, 4), (4, 6), (9, 16))
    np.testing.assert_array_equal(read_strain(path, "H1").value, expected((0, 6), (9, 16)))
    assert "H1: no data from GPS 1300000006.000 to 1300000009.000 (3 s), between x.gwf and x.gwf: a gap" in caplog.text
    with pytest.raises(DataError, match=r"of the segment .* \(a gap\)"):
        StrainData.from_files({"H1": path}, gps=START + 7.0).segment(f_max=400.0, psd="aLIGO")


@pytest.mark.exchange("strain", "HDF5 in MLGWSC-1's layout, a dataset for each stretch", "h5py", "read")
def test_the_pieces_of_a_mock_challenge_are_joined(tmp_path):
    path = mlgwsc(tmp_path / "x.hdf", (0, 4), (6, 16))
    for detector, factor in (("H1", 1.0), ("L1", 2.0)):
        np.testing.assert_array_equal(read_strain(path, detector).value, factor * expected((0, 4), (6, 16)))
    np.testing.assert_array_equal(read_strain(path, "H1", channel=f"H1/{START + 6}").value, expected((6, 16)))
    with pytest.raises(DataError, match=r"V1: x.hdf holds strain of H1, L1 and no"):
        read_strain(path, "V1")


def test_of_pieces_far_apart_those_about_the_event_are_kept(tmp_path):
    path = mlgwsc(tmp_path / "x.hdf", (0, 4), (6, 16))
    with h5py.File(path, "a") as file:
        for detector in ("H1", "L1"):
            late = file.create_dataset(f"{detector}/{START + 900000}", data=STRAIN)
            late.attrs.update(start_time=START + 900000, delta_t=1 / RATE)
    data = StrainData.from_files({"H1": path}, gps=START + 10.0)
    np.testing.assert_array_equal(data.series["H1"].value, expected((0, 4), (6, 16)))
    with pytest.raises(DataError, match=r"outside the data, which span 1300900000.000 to 1300900016.000"):
        StrainData.from_files({"H1": path}, gps=START + 800000.0)


def half_a_sample_off(path: Path) -> None:
    series = piece(8, 12)
    series.t0 = START + 8 + 0.5 / RATE
    series.write(path)


def other_rate(path: Path) -> None:
    from gwpy.timeseries import TimeSeries

    TimeSeries(STRAIN[: 2 * RATE], t0=START + 8, sample_rate=RATE // 2, name="H1:S", channel="H1:S").write(path)


def contradiction(path: Path) -> None:
    (2 * piece(3, 8)).write(path, path="H1:S")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (half_a_sample_off, r"second.hdf5 lie .0.50 of a sample off those of first.hdf5: such files cannot be joined"),
        (other_rate, r"first.hdf5 has 1024 Hz and second.hdf5 512 Hz: files that are joined need one rate"),
        (contradiction, r"second.hdf5 and the files before it hold different samples for the same times"),
        (lambda path: piece(8, 12, "L1").write(path), r"second.hdf5 holds data of L1; give it as L1=second.hdf5"),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path, make: Callable[[Path], None], message):
    piece(0, 4).write(tmp_path / "first.hdf5")
    make(tmp_path / "second.hdf5")
    with pytest.raises(DataError, match=rf"^H1: .*{message}"):
        read_strain([tmp_path / "first.hdf5", tmp_path / "second.hdf5"], "H1")


def test_no_files_are_refused():
    with pytest.raises(ConfigError, match="is no path"):
        read_strain([], "H1")


def test_files_that_span_days_are_refused_without_a_time(tmp_path):
    path = mlgwsc(tmp_path / "x.hdf", (0, 4))
    with h5py.File(path, "a") as file:
        late = file.create_dataset(f"H1/{START + 9000000}", data=STRAIN)
        late.attrs.update(start_time=START + 9000000, delta_t=1 / RATE)
    with pytest.raises(DataError, match=r"span 2500.0 h, .* give those around the event"):
        read_strain(path, "H1")
