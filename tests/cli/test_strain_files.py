"""How commands are told of strain: several files a detector, patterns, channels, samples without times, dates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from gwpy.timeseries import TimeSeries, TimeSeriesDict
from typer.testing import CliRunner

from gwsurrogate_ml.cli.analyze import events
from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.cli.strain_files import Reading, parse_strain, record
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.strain.data import StrainData

RATE, START, GPS = 1024, 1126259446, 1126259462.0
STRAIN = 1e-21 * np.random.default_rng(5).normal(size=32 * RATE)


@pytest.fixture
def analysed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What reaches the analysis, in place of it: the data, the command that repeats it, and the head of its configuration."""
    found: list[dict[str, Any]] = []

    def keep(output: Any, data: StrainData, settings: Any, command: list[str], progress: Any, **options: Any) -> dict[str, Any]:
        found.append({"data": data, "command": command, "config": dict(output.config), "files": options["files"]})
        raise ConfigError("far enough")

    monkeypatch.setattr(events, "run_into", keep)
    return found


def analyze(tmp_path: Path, *words: object) -> str:
    result = CliRunner().invoke(app, ["analyze", *map(str, words), "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    return result.stderr


def both(path: Path) -> Path:
    """All channels of two detectors in one file, by gwpy; of H1 two may be the strain."""
    channels = {"H1:DCS-STRAIN": 1.0, "H1:GDS-STRAIN": 3.0, "L1:GDS-STRAIN": 2.0}
    made = {
        name: TimeSeries(factor * STRAIN, t0=START, sample_rate=RATE, name=name, channel=name, unit="strain")
        for name, factor in channels.items()
    }
    TimeSeriesDict(made).write(path)
    return path


@pytest.mark.parametrize("suffix", [".gwf", ".hdf5"])
def test_a_channel_is_named_and_a_time_is_a_date(tmp_path, analysed, suffix):
    path = both(tmp_path / f"x{suffix}")
    words = ["--strain", f"H1={path}", "--strain", f"L1={path}", "--gps", "2015-09-14T09:50:45"]
    said = analyze(tmp_path, *words)
    assert "H1: x" in said
    assert "name one by --channel H1=H1:DCS-STRAIN" in said
    assert analyze(tmp_path, *words, "--channel", "H1=H1:DCS-STRAIN").strip().endswith("far enough")
    (found,) = analysed
    assert found["data"].gps == GPS
    np.testing.assert_allclose(found["data"].series["H1"].value, STRAIN, rtol=1e-15)
    np.testing.assert_allclose(found["data"].series["L1"].value, 2 * STRAIN, rtol=1e-15)
    assert found["config"]["reading"]["channels"] == {"H1": "H1:DCS-STRAIN"}
    analyze(tmp_path, *found["command"][1 : found["command"].index("--out")])
    np.testing.assert_array_equal(analysed[1]["data"].series["H1"].value, analysed[0]["data"].series["H1"].value)
    assert analysed[1]["command"] == found["command"]


@pytest.mark.parametrize("way", ["twice", "pattern"])
def test_files_of_one_detector_are_joined(tmp_path, analysed, way):
    for first, last in ((0, 20), (20, 32)):
        piece = TimeSeries(STRAIN[first * RATE : last * RATE], t0=START + first, sample_rate=RATE, name="H1:S", channel="H1:S")
        piece.write(tmp_path / f"H-H1_S-{START + first}-{last - first}.gwf")
    paths = sorted(tmp_path.glob("*.gwf"))
    given = [f"H1={path}" for path in paths] if way == "twice" else [f"H1={tmp_path}/H-H1_S-*.gwf"]
    assert "far enough" in analyze(tmp_path, *(word for one in given for word in ("--strain", one)), "--gps", GPS)
    np.testing.assert_allclose(analysed[0]["data"].series["H1"].value, STRAIN, rtol=1e-15)
    assert analysed[0]["files"] == {"H1": tuple(paths)}
    assert [len(value) for value in record(paths).values()] == [2, 2]


def test_samples_without_times_are_given_them(tmp_path, analysed):
    with h5py.File(tmp_path / "x.hdf5", "w") as file:
        file["strain"] = STRAIN
    words = ["--strain", f"H1={tmp_path / 'x.hdf5'}", "--gps", GPS]
    assert "give them by --sampling-frequency and --start-time" in analyze(tmp_path, *words)
    analyze(tmp_path, *words, "--sampling-frequency", RATE, "--start-time", START)
    series = analysed[0]["data"].series["H1"]
    np.testing.assert_array_equal(series.value, STRAIN)
    assert (series.t0.value, series.sample_rate.value) == (START, RATE)


def test_detectors_of_two_rates_are_analysed_at_the_lower(tmp_path, analysed):
    for name, rate in (("H1", 2 * RATE), ("L1", RATE)):
        series = TimeSeries(STRAIN[: 16 * rate], t0=START + 4, sample_rate=rate, name=f"{name}:S", channel=f"{name}:S")
        series.write(tmp_path / f"{name}.hdf5")
    analyze(tmp_path, *(f"--strain={name}={tmp_path / name}.hdf5" for name in ("H1", "L1")), "--gps", START + 8)
    assert analysed[0]["data"].sampling_frequency == RATE


def test_a_table_of_events_may_name_several_files_and_dates(tmp_path):
    table = tmp_path / "events.csv"
    table.write_text("name,gps,H1,L1\na,2015-09-14T09:50:45,a.gwf;b.gwf,l.gwf\n")
    (event,) = events.read_table(table, Reading({"H1": "H1:S"}))
    assert (event.gps, event.files["H1"]) == (GPS, (tmp_path / "a.gwf", tmp_path / "b.gwf"))
    assert event.words()[-2:] == ["--channel", "H1=H1:S"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--strain", "H1=x", "--gps", "noon"], "--gps is 'noon', no valid number and no date: give GPS seconds, or a time in UTC"),
        (["--strain", "H1=x", "--gps", "1", "--channel", "L1=S"], "there is no --strain L1=FILE"),
        (["--strain", "H1=x", "--gps", "1", "--channel", "S"], "write DETECTOR=FILE"),
        (["GW150914", "--channel", "H1=S"], "go with --strain or --events"),
        (["--strain", "H1=no*.gwf", "--gps", "1"], "no file fits: check the pattern"),
        (["--strain", "H1=x", "--strain", "H1=x", "--gps", "1"], "gives H1 the file x twice"),
        (["--strain", "h1=x", "--gps", "1"], "did you mean H1?"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    assert said in analyze(tmp_path, *words)
    assert list(tmp_path.iterdir()) == []


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path):
    path = tmp_path / "a[1].gwf"
    path.touch()
    assert parse_strain([f"H1={path}"]) == {"H1": (path,)}
