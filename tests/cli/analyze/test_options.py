"""Options and tables of `gwsml analyze`: what they say, and what is refused before any work."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gwsurrogate_ml.cli.analyze.events import read_table, tasks_of
from gwsurrogate_ml.cli.analyze.settings import Settings
from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.cli.options import parse_prior
from gwsurrogate_ml.errors import ConfigError
from tests.cli.analyze.calls import assert_refused, invoke, strain_options


def test_files_in_place_of_an_event_are_told_their_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("H-H1.hdf5", "./H-H1.hdf5", "data/H-H1.gwf"):
        assert_refused(invoke("analyze", name), tmp_path, repr(name), f"--strain H1={name} ... --gps T")


def test_a_table_without_the_columns_is_told_which(tmp_path: Path) -> None:
    table = tmp_path / "events.csv"
    table.write_text("event,time,H1\na,1,H.hdf5\n")
    with pytest.raises(ConfigError, match="line 1: no column `name` and `gps` among event, time, H1;"):
        read_table(table)
    table.write_text("name,gps,h1\na,1,H.hdf5\n")
    with pytest.raises(ConfigError, match="did you mean H1"):
        read_table(table)
    table.write_text("name,gps,H1,H1\na,1,one.hdf5,two.hdf5\n")
    with pytest.raises(ConfigError, match="line 1: 'H1' is given twice; several files of a detector stand in one field"):
        read_table(table)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        # An event 0.6 s before the end: no duration of the command line ends earlier, so none is offered.
        (["--gps", "1126259477.4"], ["a longer file, to GPS 1126259479.400", "in Python"]),
        (
            ["--gps", "1126259462.4", "--duration", "8", "--estimator", "bbh-h1l1"],
            ["duration = 8", "--duration", "--from-scratch"],
        ),
        (["--gps", "1126259462.4", "--duration", "0", "--estimator", "bbh-h1l1"], ["duration"]),
        (
            ["--gps", "1126259462.4", "--from-scratch", "--prior", "mchirp=20,40"],
            ["'mchirp'", "chirp_mass, mass_ratio"],
        ),
        (
            ["--gps", "1126259462.4", "--from-scratch", "--prior", "chirp_mass=40,20"],
            ["--prior: chirp_mass is (40.0, 20.0)"],
        ),
    ],
)
def test_messages_name_the_options(data_dir, tmp_path: Path, words: list[str], said: list[str]) -> None:
    result = invoke("analyze", *strain_options(data_dir, 1126259446), "--out", str(tmp_path / "out"), *words)
    assert_refused(result, tmp_path, *said)


def test_a_detector_in_small_letters_is_told_its_name(tmp_path: Path) -> None:
    assert_refused(invoke("analyze", "--strain", "h1=a", "--gps", "1"), tmp_path, "did you mean H1?")


@pytest.mark.parametrize("name", ["", "../a", ".a", "a.unfinished", "events.csv", "events.json", "b"])
def test_events_that_cannot_have_a_folder_of_their_own_are_refused(name: str, tmp_path: Path) -> None:
    table = tmp_path / "events.csv"
    table.write_text(f"name,gps,H1\nb,1,H.hdf5\n{name},2,H.hdf5\n")
    with pytest.raises(ConfigError, match=r"line 3: .* (folder|twice)"):
        read_table(table)
    result = invoke("analyze", "b", name, "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert ("no event of gwosc.org" if name == "events.csv" else "folder") in result.stderr
    assert list(tmp_path.iterdir()) == [table]


def test_the_table_of_results_takes_no_other_files_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list of the events itself, where that lies in the folder of the results: it was written over."""
    monkeypatch.chdir(tmp_path)
    text = "name,gps,H1\na,1126259462.4,H.hdf5\n"
    Path("events.csv").write_text(text)
    Path("H.hdf5").write_bytes(b"")
    result = invoke("analyze", "--events", "events.csv", "--out", ".")
    assert result.exit_code == 2
    assert "events.csv is no table of results" in " ".join(result.stderr.split())
    assert Path("events.csv").read_text() == text


def test_each_event_of_many_has_the_envelopes_of_its_own_detectors(tmp_path: Path) -> None:
    """A campaign of events with and without V1 had those without it refused."""
    table = tmp_path / "list.csv"
    table.write_text("name,gps,H1,L1,V1\na,1,H.hdf5,L.hdf5,\nb,2,H.hdf5,L.hdf5,V.hdf5\n")
    files = {name: f"data:{tmp_path / name}.txt" for name in ("H1", "L1", "V1", "K1")}
    first, second = tasks_of(read_table(table), Settings(calibration=files), tmp_path / "out", pdf=False)
    assert list(first.settings.calibration) == ["H1", "L1", "K1"]  # K1's is refused: no event has it
    assert list(second.settings.calibration) == ["H1", "L1", "V1", "K1"]


def test_files_of_a_table_may_lie_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    table = tmp_path / "events.csv"
    table.write_text("name,gps,H1,L1\na,1,~/H.hdf5,L.hdf5\n")
    (event,) = read_table(table)
    assert event.files == {"H1": (Path("/home/somebody/H.hdf5"),), "L1": (tmp_path / "L.hdf5",)}


def test_a_spectrum_for_one_of_two_detectors_is_refused_before_the_strain_is_read(data_dir, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("gwsurrogate_ml.strain.data.StrainData.from_files", lambda *_, **__: pytest.fail("the strain was read"))
    (tmp_path / "out").mkdir()
    words = ["analyze", *strain_options(data_dir, 1126259446), "--gps", "1126259462.4", "--psd", "H1=aLIGO"]
    result = invoke(*words, "--out", str(tmp_path / "out" / "GW150914"))
    assert_refused(result, tmp_path / "out", "--psd gives a spectrum for H1 and none for L1", "give --psd L1=FILE too, or leave")


def test_the_command_that_repeats_an_analysis_keeps_all_digits() -> None:
    settings = Settings(f_max=1023.99999, prior={"chirp_mass": (28.1234567, 28.1234999)})
    words = settings.options()
    assert float(words[words.index("--f-max") + 1]) == settings.f_max
    assert parse_prior([words[words.index("--prior") + 1]]) == settings.prior
    assert "--surrogate" not in words
    words = Settings(prior=settings.prior, surrogate="nrphm", from_scratch=True).options()
    assert words[words.index("--from-scratch") + 1 :][:2] == ["--surrogate", "nrphm"]
    assert not {"--estimator", "--duration", "--f-min"} & set(words)
    assert "nrphm" in Settings(prior=settings.prior, surrogate="nrphm").sha256()


def test_calibration_envelopes_and_waveform_errors_are_words_of_the_command(tmp_path) -> None:
    path = tmp_path / "H1.txt"
    path.write_text("20 1 0 0.9 -0.1 1.1 0.1\n")
    settings = Settings(calibration={"H1": str(path), "L1": f"template:{path}"}, waveform_error="0.02,0.01")
    assert Settings(glitch=("H1=1126259462.3",)).options()[-2:] == ["--glitch", "H1=1126259462.3"]
    words = settings.options()
    assert words[-6:] == ["--calibration", f"H1={path}", "--calibration", f"L1=template:{path}", "--waveform-error", "0.02,0.01"]
    assert settings.absolute().calibration == {"H1": f"data:{path}", "L1": f"template:{path}"}
    assert {"calibration H1", "calibration L1"} <= set(settings.sha256())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--calibration", "H1"], "write DETECTOR=FILE"),
        (["--waveform-error", "large"], "for the model's own estimate"),
        (["--higher-modes", "--waveform-error", "surrogate"], "does not go with"),
        (["--glitch", "H1", "--waveform-error", "surrogate"], "--glitch does not go with"),
        (["--glitch", "H1=soon"], "a GPS time in s"),
        (["--glitch", "H1", "--glitch", "H1=1126259462.3"], "names H1 twice"),
    ],
)
def test_wrong_calibration_options_are_refused_before_any_work(words, said: str) -> None:
    result = CliRunner().invoke(app, ["analyze", "GW150914", *words])
    assert result.exit_code != 0
    assert said in str(result.exception) + " ".join(result.output.split())
