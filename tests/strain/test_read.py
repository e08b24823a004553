"""Files in every format give the same samples at their true times; broken files are refused by name."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import h5py
import numpy as np
import pytest

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.read import make_series, read_strain

RATE, START, SECONDS = 1024.0, 1126259446.0, 4


@pytest.fixture
def strain() -> np.ndarray:
    return 1e-21 * np.random.default_rng(5).normal(size=int(RATE) * SECONDS)


def write_gwosc(path: Path, strain: np.ndarray, detector: str = "H1", mask: np.ndarray | None = None) -> Path:
    """A file in GWOSC's layout; the quality mask has a value a second, bits DATA, CBC_CAT1, CBC_CAT2."""
    with h5py.File(path, "w") as file:
        file["meta/Detector"] = detector
        dataset = file.create_dataset("strain/Strain", data=strain, compression="gzip")
        dataset.attrs.update(Xstart=int(START), Xspacing=1 / RATE, Npoints=strain.size, Xunits="second", Yunits="")
        quality = file.create_group("quality/simple")
        quality["DQShortnames"] = np.array([b"DATA", b"CBC_CAT1", b"CBC_CAT2"])
        values = np.full(SECONDS, 7) if mask is None else mask
        quality.create_dataset("DQmask", data=values.astype(np.uint32)).attrs.update(Xstart=int(START), Xspacing=1.0)
    return path


def write_text(path: Path, strain: np.ndarray) -> Path:
    times = START + np.arange(strain.size) / RATE
    np.savetxt(path, np.stack([times, strain], axis=1), fmt="%.9f %.18e")
    return path


def write_losc_text(path: Path, strain: np.ndarray) -> Path:
    header = f"Gravitational wave strain\nThis file has {RATE:.0f} samples per second\nstarting GPS {START} duration 4"
    with gzip.open(path, "wt") as file:
        np.savetxt(file, strain, header=header)
    return path


def write_numpy(path: Path, strain: np.ndarray) -> Path:
    np.save(path, np.stack([START + np.arange(strain.size) / RATE, strain]))
    return path


def write_npz(path: Path, strain: np.ndarray) -> Path:
    np.savez(path, strain=strain, sampling_frequency=RATE, start_time=START)
    return path


def write_gwpy(path: Path, strain: np.ndarray) -> Path:
    series = make_series(strain, START, RATE, "H1:STRAIN")
    series.write(path, **({"path": "anything"} if path.suffix == ".h5" else {}))
    return path


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("gwosc.hdf5", write_gwosc),
        ("gwpy.h5", write_gwpy),
        ("frame.gwf", write_gwpy),
        ("columns.txt", write_text),
        ("losc.txt.gz", write_losc_text),
        ("columns.npy", write_numpy),
        ("named.npz", write_npz),
    ],
)
def test_every_format_gives_the_same_samples_and_times(tmp_path, strain, name, write):
    series = read_strain(write(tmp_path / name, strain), "H1")
    np.testing.assert_allclose(series.value, strain, rtol=1e-15)
    assert series.t0.value == START
    assert series.sample_rate.value == RATE
    assert series.name == "H1"


def test_a_start_time_between_seconds_is_kept(tmp_path, strain):
    path = tmp_path / "x.npy"
    np.save(path, strain)
    series = read_strain(path, "L1", sampling_frequency=RATE, start_time=START + 0.25 + 3 / RATE)
    assert series.t0.value == START + 0.25 + 3 / RATE


def test_seconds_that_fail_data_or_cat1_become_gaps_and_cat2_is_logged(tmp_path, strain, caplog):
    mask = np.array([7, 7 - 1, 7 - 2, 7 - 4])
    with caplog.at_level(logging.WARNING):
        series = read_strain(write_gwosc(tmp_path / "x.hdf5", strain, mask=mask), "H1")
    gap = np.isnan(series.value).reshape(SECONDS, -1)
    assert gap.all(axis=1).tolist() == [False, True, True, False]
    assert gap.any(axis=1).tolist() == [False, True, True, False]
    assert "CBC_CAT2" in caplog.text


def corrupt(name: str, path: Path, strain: np.ndarray) -> Path:
    """A broken file of the kind `name`."""
    if name == "missing":
        return path / "no.hdf5"
    if name == "empty":
        (path / "x.hdf5").touch()
        return path / "x.hdf5"
    if name == "folder":
        return path
    if name == "truncated":
        file = write_gwosc(path / "x.hdf5", strain)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        return file
    if name == "few samples":
        file = write_gwosc(path / "x.hdf5", strain)
        with h5py.File(file, "a") as content:
            content["strain/Strain"].attrs["Npoints"] = strain.size + 1
        return file
    if name == "text as hdf5":
        (path / "x.hdf5").write_text("hello")
        return path / "x.hdf5"
    if name == "other layout":
        with h5py.File(path / "x.hdf5", "w") as content:
            content["a"], content["b"] = strain, strain
        return path / "x.hdf5"
    if name == "truncated npz":
        file = write_npz(path / "x.npz", strain)
        file.write_bytes(file.read_bytes()[:2000])
        return file
    if name == "complex npz":
        np.savez(path / "x.npz", strain=strain + 0j, sampling_frequency=RATE, start_time=START)
        return path / "x.npz"
    if name == "words":
        (path / "x.txt").write_text("time strain\nsoon much\n")
        return path / "x.txt"
    if name == "uneven times":
        times = START + np.arange(strain.size) / RATE
        times[100:] += 1.5 / RATE
        np.savetxt(path / "x.txt", np.stack([times, strain], axis=1), fmt="%.9f %.18e")
        return path / "x.txt"
    if name == "truncated frame":
        file = write_gwpy(path / "x.gwf", strain)
        file.write_bytes(file.read_bytes()[:3000])
        return file
    raise AssertionError(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "no file"),
        ("empty", "empty"),
        ("folder", "folder"),
        ("truncated", "truncated"),
        ("few samples", "4096 samples"),
        ("text as hdf5", "no HDF5 file"),
        ("other layout", "2 channels that may be its strain"),
        ("truncated npz", "truncated"),
        ("complex npz", "not real"),
        ("words", "not a table"),
        ("uneven times", "uniformly"),
        ("truncated frame", "truncated"),
    ],
)
def test_broken_files_are_refused_by_detector_and_name(tmp_path, strain, name, message):
    path = corrupt(name, tmp_path, strain)
    with pytest.raises(DataError, match=message) as error:
        read_strain(path, "H1")
    assert str(error.value).startswith("H1: ")
    assert path.name in str(error.value)


def test_data_of_another_detector_are_refused(tmp_path, strain):
    with pytest.raises(DataError, match=r"holds data of H1; give it as H1=x.hdf5"):
        read_strain(write_gwosc(tmp_path / "x.hdf5", strain), "L1")


def test_a_frame_with_several_strain_channels_asks_which(tmp_path, strain):
    from gwpy.timeseries import TimeSeriesDict

    channels = {name: make_series(strain, START, RATE, name) for name in ("H1:GDS-STRAIN", "H1:DCS-STRAIN")}
    TimeSeriesDict(channels).write(tmp_path / "x.gwf")
    with pytest.raises(DataError, match="DCS-STRAIN"):
        read_strain(tmp_path / "x.gwf", "H1")
    series = read_strain(tmp_path / "x.gwf", "H1", channel="H1:DCS-STRAIN")
    np.testing.assert_array_equal(series.value, strain)


def test_a_frame_without_a_reader_names_the_remedy(tmp_path, strain, monkeypatch):
    path = write_gwpy(tmp_path / "x.gwf", strain)

    def no_backend(*args, **kwargs):
        raise ImportError("no GWF backend")

    monkeypatch.setattr("gwpy.io.gwf.iter_channel_names", no_backend)
    with pytest.raises(DataError, match=r"no reader for frame files .* GWOSC's HDF5 file"):
        read_strain(path, "H1")


def test_strain_alone_needs_rate_and_start(tmp_path, strain):
    np.save(tmp_path / "x.npy", strain)
    with pytest.raises(ConfigError, match="sampling_frequency and start_time"):
        read_strain(tmp_path / "x.npy", "H1")


@pytest.mark.parametrize("wrong", [{"sampling_frequency": 4096.0}, {"start_time": START + 1}])
def test_arguments_that_contradict_the_file_are_refused(tmp_path, strain, wrong):
    with pytest.raises(ConfigError, match="contradicts"):
        read_strain(write_gwosc(tmp_path / "x.hdf5", strain), "H1", **wrong)


def test_an_unknown_suffix_lists_the_known_ones(tmp_path):
    (tmp_path / "x.wav").write_bytes(b"RIFF")
    with pytest.raises(ConfigError, match=r"\.hdf5.*\.npz"):
        read_strain(tmp_path / "x.wav", "H1")


def test_a_file_that_may_not_be_opened_is_not_called_truncated(tmp_path, strain, monkeypatch):
    path = write_gwosc(tmp_path / "h.hdf5", strain)

    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # a superuser may open every file
    with pytest.raises(DataError, match=r"h\.hdf5 cannot be opened \(Permission denied\); check its permissions"):
        read_strain(path, "H1")


def test_detectors_that_files_call_otherwise_are_known(tmp_path, strain):
    path = write_gwosc(tmp_path / "g.hdf5", strain, "G1")
    np.testing.assert_array_equal(read_strain(path, "GEO600").value, strain)
    with pytest.raises(DataError, match="give it as GEO600="):
        read_strain(path, "H1")


@pytest.mark.peer
@pytest.mark.exchange("strain", "HDF5 of GWOSC", "GWOSC, `H-H1_LOSC_4_V2-1126259446-32.hdf5`", "read")
def test_gwoscs_file_is_read_as_gwpy_reads_it(data_dir):
    from gwpy.timeseries import TimeSeries

    path = data_dir("strain/H-H1_LOSC_4_V2-1126259446-32.hdf5")
    series, by_gwpy = read_strain(path, "H1"), TimeSeries.read(path, format="hdf5.gwosc")
    np.testing.assert_array_equal(series.value, by_gwpy.value)
    assert (series.t0, series.sample_rate) == (by_gwpy.t0, by_gwpy.sample_rate)


@pytest.mark.peer
@pytest.mark.exchange("strain", "GWF of GWOSC, with masks", "GWOSC, `scanme.gwf`", "read")
def test_gwoscs_frame_is_read_as_gwpy_reads_it(data_dir):
    from gwpy.timeseries import TimeSeries

    path = data_dir("formats/scanme.gwf")
    series, by_gwpy = read_strain(path, "H1"), TimeSeries.read(path, "H1:GWOSC-16KHZ_R1_STRAIN", format="gwf")
    good = np.isfinite(series.value)
    assert good.any()
    np.testing.assert_array_equal(series.value[good], by_gwpy.value[good])
    assert (series.t0, series.sample_rate) == (by_gwpy.t0, by_gwpy.sample_rate)
