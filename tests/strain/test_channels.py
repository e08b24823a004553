"""Files as other programs write them: the right channel is read, units that are no strain's are refused, remedies work."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.data import StrainData
from gwsurrogate_ml.strain.read import read_strain
from tests.hostile.material import frame

RATE, START = 1024.0, 1300000000.0
STRAIN = 1e-21 * np.random.default_rng(5).normal(size=8 * int(RATE))
GPS = START + 4.0


def written(path: Path, *names: str, unit: str = "strain", scale: float = 1.0) -> Path:
    """One file with a channel a name, by gwpy; the first holds STRAIN, each further one twice the one before; masks are whole."""
    from gwpy.timeseries import TimeSeries, TimeSeriesDict

    made = TimeSeriesDict()
    for i, name in enumerate(names):
        whole = name.endswith(("MASK", "VECTOR"))
        values, rate = (np.full(8, 2**31 - 1, np.int32), 1) if whole else (2.0**i * scale * STRAIN, RATE)
        made[name] = TimeSeries(values, t0=START, sample_rate=rate, name=name, channel=name, unit="" if whole else unit)
    made.write(path)
    return path


@pytest.mark.parametrize("suffix", [".gwf", ".hdf5"])
@pytest.mark.parametrize(
    ("detector", "names"),
    [
        ("H1", ("H1:STRAIN", "L1:STRAIN")),
        ("H1", ("H1:GWOSC-4KHZ_R1_STRAIN", "H1:GWOSC-4KHZ_R1_DQMASK", "H1:GWOSC-4KHZ_R1_INJMASK")),
        ("H1", ("H1:GDS-CALIB_STRAIN", "H1:GDS-CALIB_STATE_VECTOR", "H1:DMT-DQ_VECTOR", "H1:IDQ-PGLITCH_OVL_32_2048")),
        ("H1", ("H1:MOCK", "H1:PEM-CS_MIC", "H1:ASC-DHARD_P")),
        ("H1", ("H1:LSC-STRAIN", "H1:LSC-DARM_ERR")),
        ("V1", ("V1:Hrec_hoft_16384Hz", "V1:DQ_ANALYSIS_STATE_VECTOR", "H1:GDS-CALIB_STRAIN")),
        ("V1", ("V1:h_16384Hz", "V1:ENV_MIC")),
        ("GEO600", ("G1:DER_DATA_H", "G1:DER_DATA_QUALITY")),
    ],
)
def test_the_one_channel_that_is_the_detectors_strain_is_read(tmp_path, suffix, detector, names):
    np.testing.assert_allclose(read_strain(written(tmp_path / f"x{suffix}", *names), detector).value, STRAIN, rtol=1e-15)


@pytest.mark.parametrize("suffix", [".gwf", ".hdf5"])
def test_where_several_may_be_the_strain_both_remedies_work(tmp_path, suffix):
    from gwpy.timeseries import TimeSeries

    path = written(tmp_path / f"x{suffix}", "H1:GDS-CALIB_STRAIN", "H1:GDS-CALIB_STRAIN_CLEAN", "H1:DMT-DQ_VECTOR")
    with pytest.raises(DataError) as error:
        read_strain(path, "H1")
    said = str(error.value)
    assert "2 channels" in said
    assert "DQ_VECTOR" not in said
    named = re.search(r"channels=\{'H1': '(.*?)'\}", said)[1]
    data = StrainData.from_files({"H1": path}, gps=GPS, channels={"H1": named})
    np.testing.assert_allclose(data.series["H1"].value, STRAIN, rtol=1e-15)
    TimeSeries.read(path, "H1:GDS-CALIB_STRAIN_CLEAN", format=suffix[1:]).write(tmp_path / "own.gwf")
    np.testing.assert_allclose(read_strain(tmp_path / "own.gwf", "H1").value, 2 * STRAIN, rtol=1e-15)


@pytest.mark.parametrize("suffix", [".gwf", ".hdf5"])
def test_channels_of_data_quality_and_subsystems_are_no_strain(tmp_path, suffix):
    path = written(tmp_path / f"x{suffix}", "H1:DMT-DQ_VECTOR", "H1:IDQ-PGLITCH_OVL_32_2048", "H1:PEM-CS_MIC")
    with pytest.raises(DataError, match=r"H1: .* holds no strain.*H1:PEM-CS_MIC.*give the file with H1's strain"):
        read_strain(path, "H1")
    # What the user names is what the user wants.
    assert read_strain(path, "H1", channel="H1:PEM-CS_MIC").value[0] == 4 * STRAIN[0]


@pytest.mark.parametrize("suffix", [".gwf", ".hdf5"])
def test_a_file_of_another_detector_names_it_and_the_remedy_works(tmp_path, suffix):
    path = written(tmp_path / f"x{suffix}", "L1:STRAIN")
    with pytest.raises(DataError, match=rf"holds data of L1; give it as L1=x\{suffix}"):
        read_strain(path, "H1")
    assert read_strain(path, "L1").name == "L1"
    with pytest.raises(DataError, match="holds data of L1"):
        read_strain(path, "H1", channel="L1:STRAIN")


@pytest.mark.parametrize("suffix", [".gwf", ".hdf5"])
def test_a_channel_that_is_not_there_lists_those_that_are(tmp_path, suffix):
    with pytest.raises(DataError, match=r"no channel 'H1:NO'; it has H1:STRAIN"):
        read_strain(written(tmp_path / f"x{suffix}", "H1:STRAIN"), "H1", channel="H1:NO")


def test_a_channel_of_a_file_without_channels_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", STRAIN)
    with pytest.raises(ConfigError, match="has no channels"):
        read_strain(tmp_path / "x.npy", "H1", sampling_frequency=RATE, start_time=START, channel="H1:STRAIN")


@pytest.mark.peer
@pytest.mark.parametrize("group", ["H1", "strain", "H1/1300000000"])
def test_hdf5_by_pycbc_is_read_with_its_times(tmp_path, group):
    import pycbc.types

    pycbc.types.TimeSeries(STRAIN, delta_t=1 / RATE, epoch=START).save(str(tmp_path / "x.hdf"), group=group)
    if group.startswith("H1"):
        pycbc.types.TimeSeries(2 * STRAIN, delta_t=1 / RATE, epoch=START).save(
            str(tmp_path / "x.hdf"), group=group.replace("H1", "L1")
        )
    series = read_strain(tmp_path / "x.hdf", "H1")
    np.testing.assert_array_equal(series.value, STRAIN)
    assert (series.t0.value, series.sample_rate.value) == (START, RATE)


def test_a_bare_dataset_is_read_with_the_times_given_and_asks_for_them(tmp_path):
    from gwpy.timeseries import TimeSeries

    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file["strain"] = STRAIN
    with pytest.raises(DataError, match=r"give them by --sampling-frequency and --start-time .* TimeSeries.write of gwpy"):
        read_strain(tmp_path / "x.hdf5", "H1")
    data = StrainData.from_files({"H1": tmp_path / "x.hdf5"}, gps=GPS, sampling_frequency=RATE, start_time=START)
    np.testing.assert_array_equal(data.series["H1"].value, STRAIN)
    TimeSeries(STRAIN, t0=START, sample_rate=RATE, name="H1").write(tmp_path / "gwpy.hdf5")
    np.testing.assert_array_equal(read_strain(tmp_path / "gwpy.hdf5", "H1").value, STRAIN)


def test_of_several_bare_datasets_one_is_named(tmp_path):
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file["a"], file["b"] = STRAIN, 2 * STRAIN
    times = {"sampling_frequency": RATE, "start_time": START}
    with pytest.raises(DataError, match=r"2 channels .* \(a, b\)"):
        read_strain(tmp_path / "x.hdf5", "H1", **times)
    np.testing.assert_array_equal(read_strain(tmp_path / "x.hdf5", "H1", channel="b", **times).value, 2 * STRAIN)


@pytest.mark.parametrize("head", ["time,strain", "GPS time (s),H1", "\ufefftime,strain", "# from a spreadsheet\ntime,strain"])
def test_a_row_of_names_above_a_table_is_passed_over(tmp_path, head):
    table = "\n".join(f"{t:.9f},{x:.17e}" for t, x in zip(START + np.arange(STRAIN.size) / RATE, STRAIN, strict=True))
    (tmp_path / "x.csv").write_text(f"{head}\n{table}\n", encoding="utf-8")
    np.testing.assert_allclose(read_strain(tmp_path / "x.csv", "H1").value, STRAIN, rtol=1e-15)


def test_a_damaged_first_row_is_no_row_of_names(tmp_path):
    (tmp_path / "x.csv").write_text(f"{START},x\n{START + 1},1e-21\n{START + 2},1e-21\n")
    with pytest.raises(DataError, match="not a table of numbers"):
        read_strain(tmp_path / "x.csv", "H1")


def in_unit(path: Path, detector: str, unit: str, scale: float) -> Path:
    name = f"{detector}:DISPLACEMENT"
    if path.suffix == ".gwf":
        return frame(path, {name: (scale * STRAIN, RATE, unit)}, START)
    if path.stem == "gwosc":
        with h5py.File(path, "w") as file:
            file["strain/Strain"] = scale * STRAIN
            file["strain/Strain"].attrs.update(Xstart=START, Xspacing=1 / RATE, Yunits=unit)
        return path
    return written(path, name, unit=unit, scale=scale)


@pytest.mark.parametrize("name", ["x.gwf", "x.hdf5", "gwosc.hdf5"])
@pytest.mark.parametrize("unit", ["m", "nm", "V", "counts", "ct", "strain^2", "rad", "bananas"])
def test_units_that_are_no_strains_are_refused_by_name(tmp_path, name, unit):
    path = in_unit(tmp_path / name, "H1", unit, 4000.0)
    with pytest.raises(DataError, match=r"H1: the samples of .* are in .*, strain has no unit") as error:
        read_strain(path, "H1")
    assert ("arms, 4000 m" in str(error.value)) == (unit in ("m", "nm"))


@pytest.mark.parametrize("name", ["x.gwf", "x.hdf5", "gwosc.hdf5"])
@pytest.mark.parametrize(("unit", "scale"), [("", 1), ("strain", 1), ("Strain", 1), ("NONE", 1), ("1e-21", 1e21), ("%", 100)])
def test_units_of_strain_are_read_and_scales_are_applied(tmp_path, name, unit, scale):
    path = in_unit(tmp_path / name, "H1", unit, scale)
    np.testing.assert_allclose(read_strain(path, "H1").value, STRAIN, rtol=1e-14)


@pytest.mark.parametrize(("detector", "length"), [("H1", 4000), ("V1", 3000), ("K1", 3000), ("GEO600", 600)])
def test_the_remedy_for_metres_is_the_length_of_the_arms(detector, length):
    from gwpy.timeseries import TimeSeries

    metres = TimeSeries(length * STRAIN, t0=START, sample_rate=RATE, unit="m")
    with pytest.raises(DataError, match=rf"{detector}: the samples of the series are in m, .* arms, {length} m"):
        StrainData.from_series({detector: metres}, gps=GPS)
    from astropy import units

    for mended in (metres / (length * units.m), TimeSeries(metres.value / length, t0=START, sample_rate=RATE)):
        np.testing.assert_allclose(StrainData.from_series({detector: mended}, gps=GPS).series[detector].value, STRAIN)


def test_strain_that_was_given_a_unit_by_mistake_has_a_remedy(tmp_path):
    from gwpy.timeseries import TimeSeries

    wrong = TimeSeries(STRAIN, t0=START, sample_rate=RATE, unit="m", name="H1:STRAIN")
    with pytest.raises(DataError, match=r"override_unit\('strain'\)"):
        StrainData.from_series({"H1": wrong}, gps=GPS)
    wrong.override_unit("strain")
    wrong.write(tmp_path / "x.gwf")
    np.testing.assert_array_equal(read_strain(tmp_path / "x.gwf", "H1").value, STRAIN)


@pytest.mark.parametrize(
    ("detector", "asd", "flagged"),
    [("H1", 8e-24, False), ("H1", 1.6e-25, False), ("H1", 8e-24 * 4000, True), ("H1", 8e-24 * 1e3, True), ("H1", 8e-27, True),
     ("H1", 8e-24 * 5.9e20, True), ("K1", 2e-21, False), ("GEO600", 9e-21, False), ("GEO600", 600 * 2e-21, True)],
)  # fmt: skip
def test_noise_that_no_detector_has_is_flagged(detector, asd, flagged):
    from gwsurrogate_ml.strain.read import make_series

    noise = asd * np.sqrt(RATE / 2) * np.random.default_rng(0).normal(size=32 * int(RATE))
    data = StrainData.from_series({detector: make_series(noise, START, RATE, detector)}, gps=START + 16)
    flags = data.segment(f_max=512.0).flags
    assert [flag.startswith("unusual scale: ") and detector in flag for flag in flags] == [True] * flagged
    assert not flags or ("divide the strain by the factor" in flags[0]) == (asd > 1e-9)
    # Data in metres beside a curve that is right.
    given = data.segment(f_max=512.0, psd=(np.array([0.0, RATE]), np.full(2, 1e-46))).flags
    assert bool(given) == (asd > 3e-21 and flagged)


def times() -> np.ndarray:
    return START + np.arange(STRAIN.size) / RATE


def columns(path: Path, head: str, *more: np.ndarray) -> Path:
    np.savetxt(path, np.stack(more, 1), delimiter=",", header=head, comments="", fmt="%.18e")
    return path


@pytest.mark.exchange("strain", "csv with a head, a column a detector", "numpy", "read")
def test_the_head_of_a_table_says_which_column_is_whose(tmp_path):
    path = columns(tmp_path / "x.csv", "L1,GPS time (s),H1,quality", 2 * STRAIN, times(), STRAIN, np.ones_like(STRAIN))
    np.testing.assert_array_equal(read_strain(path, "H1").value, STRAIN)
    np.testing.assert_array_equal(read_strain(path, "L1").value, 2 * STRAIN)
    assert read_strain(path, "H1").t0.value == START
    with pytest.raises(DataError, match=r"V1: x.csv holds strain of L1, H1 and no"):
        read_strain(path, "V1")
    np.testing.assert_array_equal(read_strain(path, "V1", channel="quality").value, 1.0)
    with pytest.raises(DataError, match=r"no channel 'raw'; it has L1, H1, quality"):
        read_strain(path, "H1", channel="raw")


def test_one_column_of_another_detector_is_refused(tmp_path):
    path = columns(tmp_path / "x.csv", "time,L1:STRAIN", times(), STRAIN)
    with pytest.raises(DataError, match=r"H1: x.csv holds data of L1; give it as L1=x.csv"):
        read_strain(path, "H1")


def test_columns_without_names_cannot_be_chosen_by_name(tmp_path):
    np.savetxt(tmp_path / "x.txt", np.stack([times(), STRAIN], 1))
    with pytest.raises(ConfigError, match="have no names"):
        read_strain(tmp_path / "x.txt", "H1", channel="H1")


@pytest.mark.peer
@pytest.mark.parametrize(
    "suffix",
    [
        pytest.param(".hdf", marks=pytest.mark.exchange("strain", "HDF5 by TimeSeries.save", "pycbc", "read")),
        pytest.param(".npy", marks=pytest.mark.exchange("strain", "npy by TimeSeries.save", "pycbc", "read")),
        pytest.param(".txt", marks=pytest.mark.exchange("strain", "txt by TimeSeries.save", "pycbc", "read")),
    ],
)
def test_what_pycbc_saves_is_read(tmp_path, suffix):
    import pycbc.types

    pycbc.types.TimeSeries(STRAIN, delta_t=1 / RATE, epoch=START).save(str(tmp_path / f"x{suffix}"))
    series = read_strain(tmp_path / f"x{suffix}", "H1")
    np.testing.assert_array_equal(series.value, STRAIN)
    assert (series.t0.value, series.sample_rate.value) == (START, RATE)


@pytest.mark.peer
@pytest.mark.parametrize(
    "suffix",
    [
        pytest.param(".gwf", marks=pytest.mark.exchange("strain", "GWF by TimeSeriesDict.write", "gwpy", "read")),
        pytest.param(".hdf5", marks=pytest.mark.exchange("strain", "HDF5 by TimeSeriesDict.write", "gwpy", "read")),
    ],
)
def test_one_file_may_hold_all_detectors(tmp_path, suffix):
    path = written(tmp_path / f"x{suffix}", "H1:GDS-CALIB_STRAIN", "L1:GDS-CALIB_STRAIN", "V1:Hrec_hoft_16384Hz")
    data = StrainData.from_files(dict.fromkeys(("H1", "L1", "V1"), path), gps=GPS)
    for k, series in enumerate(data.series.values()):
        np.testing.assert_allclose(series.value, 2.0**k * STRAIN, rtol=1e-15)


@pytest.mark.parametrize(
    "suffix",
    [
        pytest.param(".txt", marks=pytest.mark.exchange("strain", "txt by TimeSeries.write", "gwpy", "read")),
        pytest.param(".csv", marks=pytest.mark.exchange("strain", "csv by TimeSeries.write", "gwpy", "read")),
    ],
)
def test_tables_by_gwpy_are_read(tmp_path, suffix):
    from gwpy.timeseries import TimeSeries

    TimeSeries(STRAIN, t0=START, sample_rate=RATE).write(tmp_path / f"x{suffix}")
    series = read_strain(tmp_path / f"x{suffix}", "H1")
    np.testing.assert_array_equal(series.value, STRAIN)
    assert (series.t0.value, series.sample_rate.value) == (START, RATE)


@pytest.mark.parametrize(
    ("suffix", "write"),
    [
        (".hdf5", lambda p: h5py.File(p, "w").create_dataset("strain", data=STRAIN).file.close()),
        (".npy", lambda p: np.save(p, STRAIN)),
        (".txt", lambda p: np.savetxt(p, STRAIN)),
    ],
)
def test_where_a_file_says_no_times_its_name_may(tmp_path, suffix, write):
    path = tmp_path / f"H-H1_MOCK-{START:.0f}-8{suffix}"
    write(path)
    series = read_strain(path, "H1")
    assert (series.t0.value, series.sample_rate.value) == (START, RATE)
    written(tmp_path / f"H-H1_MOCK-{START:.0f}-9.hdf5", "H1:STRAIN")
    with pytest.raises(ConfigError, match="contradicts"):
        read_strain(tmp_path / f"H-H1_MOCK-{START:.0f}-9.hdf5", "H1", start_time=START + 1)


def test_spectra_are_no_strain(tmp_path):
    import pycbc.types

    pycbc.types.FrequencySeries(np.ones(9), delta_f=0.25).save(str(tmp_path / "x.hdf"))
    with pytest.raises(DataError, match=r"H1: x.hdf holds spectra \(data\), which --psd takes, and no strain; give a file of"):
        read_strain(tmp_path / "x.hdf", "H1", sampling_frequency=RATE, start_time=START)


def test_real_files_of_three_detectors_agree(data_dir):
    at = 968654552.5
    read = {}
    for suffix in (".gwf", ".hdf"):
        path = data_dir(f"formats/HLV-HW100916-968654552-1{suffix}")
        read[suffix] = StrainData.from_files(dict.fromkeys(("H1", "L1", "V1"), path), gps=at)
    for detector in ("H1", "L1", "V1"):
        np.testing.assert_array_equal(read[".gwf"].series[detector].value, read[".hdf"].series[detector].value)


def test_real_frames_without_strain_say_what_they_hold(data_dir):
    with pytest.raises(DataError, match=r"H1: H-H1_O2_llhoft-1216577976-4.gwf holds no strain.*it has H1:"):
        read_strain(data_dir("formats/H-H1_O2_llhoft-1216577976-4.gwf"), "H1")


K = {"sampling_frequency": RATE, "start_time": START}


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("x.npz", {"strain": STRAIN, "fs": RATE, "t0": START}, {}),
        ("x.npz", {"H1": STRAIN, "L1": 2 * STRAIN, "time": times()}, {}),
        ("x.npz", {"strain_h1": STRAIN, "strain_l1": 2 * STRAIN}, K),
        ("x.npz", {"strain": np.stack([STRAIN, 2 * STRAIN]), "detectors": np.array(["H1", "L1"]), "times": times()}, {}),
        ("x.npz", {"data": STRAIN.astype(">f8"), "dt": 1 / RATE, "epoch": START}, {}),
        ("x.hdf5", {"H1": STRAIN, "attrs": {"sample_rate": RATE, "t0": START}}, {}),
        ("x.hdf5", {"H1/strain": STRAIN, "H1/time": times(), "L1/strain": 2 * STRAIN, "L1/time": times()}, {}),
        ("x.hdf5", {"H1": STRAIN, "L1": 2 * STRAIN, "times": times()}, {}),
        ("x.hdf5", {"strain": STRAIN, "fs": RATE, "start_time": START}, {}),
        ("x.hdf5", {"data": np.stack([times(), STRAIN])}, {}),
        ("x.hdf5", {"strain/Strain": STRAIN, "meta/GPSstart": START, "meta/Duration": 8, "meta/Detector": "H1"}, {}),
        ("x.npy", {"": np.rec.fromarrays([times(), STRAIN], names="time,strain")}, {}),
        ("x.npy", {"": STRAIN[None]}, K),
        ("x.npy", {"": np.stack([times() - START, STRAIN])}, {"start_time": START}),
    ],
)
def test_arrays_beside_what_says_their_times_are_read(tmp_path, name, content, options):
    path = tmp_path / name
    if path.suffix == ".npz":
        np.savez(path, **content)
    elif path.suffix == ".npy":
        np.save(path, content[""])
    else:
        with h5py.File(path, "w") as file:
            file.attrs.update(content.get("attrs", {}))
            for key, values in content.items():
                if key != "attrs":
                    file[key] = values
    series = read_strain(path, "H1", **options)
    np.testing.assert_array_equal(series.value, STRAIN)
    assert (series.t0.value, series.sample_rate.value) == (START, RATE)


def test_what_is_given_counts_where_a_file_does_not_say_it(tmp_path):
    other = {"epoch": 2000.0, "x0": -1.0, "dx": 0.5, "dt": 0.1}  # of something else in the file
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file.attrs.update(other)
        file["strain"] = STRAIN
    np.savez(tmp_path / "x.npz", strain=STRAIN, epoch=2000.0)
    for name in ("x.hdf5", "x.npz"):
        series = read_strain(tmp_path / name, "H1", **K)
        assert (series.t0.value, series.sample_rate.value) == (START, RATE)
    with pytest.raises(DataError, match="say no times"):
        read_strain(tmp_path / "x.hdf5", "H1")
    np.save(tmp_path / "x.npy", np.stack([times() - START - 2, STRAIN]))
    assert read_strain(tmp_path / "x.npy", "H1", start_time=START).t0.value == START - 2
    with pytest.raises(DataError, match=r"begins at -2, which is no GPS time.*--start-time"):
        read_strain(tmp_path / "x.npy", "H1")


def test_where_what_is_given_and_what_a_file_says_differ_both_are_named(tmp_path):
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file.attrs.update(sample_rate=RATE, epoch=START)
        file["strain"] = STRAIN
    head = f"This file has {RATE:.0f} samples per second\nstarting GPS {START:.0f} duration 8"
    np.savetxt(tmp_path / "x.txt", STRAIN, header=head)
    np.savez(tmp_path / "x.npz", strain=STRAIN, fs=RATE, t0=START)
    for name in ("x.hdf5", "x.txt", "x.npz"):
        assert read_strain(tmp_path / name, "H1", **K).t0.value == START
        with pytest.raises(ConfigError, match=r"sampling_frequency=4096 Hz contradicts x\..*, which says 1024; leave it out"):
            read_strain(tmp_path / name, "H1", sampling_frequency=4096.0)
        with pytest.raises(ConfigError, match=r"start_time=1300000001 s contradicts x\..*, which says 1300000000; leave it out"):
            read_strain(tmp_path / name, "H1", start_time=START + 1)


@pytest.mark.peer
@pytest.mark.exchange("strain", "GWF by write_frame", "pycbc", "read")
def test_frames_by_pycbc_call_strain_counts(tmp_path):
    import pycbc.frame
    import pycbc.types

    for name, scale in (("H1:STRAIN", 1.0), ("L1:STRAIN", 1e24)):
        pycbc.frame.write_frame(str(tmp_path / f"{name[:2]}.gwf"), name, pycbc.types.TimeSeries(scale * STRAIN, 1 / RATE, START))
    np.testing.assert_array_equal(read_strain(tmp_path / "H1.gwf", "H1").value, STRAIN)
    with pytest.raises(DataError, match=r"L1: the samples of L1.gwf are in ct, strain has no unit"):
        read_strain(tmp_path / "L1.gwf", "L1")
