"""Bad input at the command line: status 2, one message with culprit and remedy, no traceback, nothing left behind."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from gwpy.timeseries import TimeSeries
from typer.testing import CliRunner, Result

from gwsurrogate_ml.cli.main import app

GPS, START, RATE, LENGTH = 1126259462.4, 1126259446.0, 2048.0, 32
FILES = dict[str, Path]


def write(path: Path, *, rate: float = RATE, seed: int = 0, gap: tuple[float, float] | None = None) -> Path:
    """White noise of 32 s around GPS, as gwpy writes it; `gap` in GPS s is NaN."""
    values = 1e-21 * np.random.default_rng(seed).normal(size=int(LENGTH * rate))
    if gap:
        values[int((gap[0] - START) * rate) : int((gap[1] - START) * rate)] = np.nan
    TimeSeries(values, t0=START, sample_rate=rate).write(path, path="strain", format="hdf5")
    return path


@pytest.fixture
def files(tmp_path: Path) -> FILES:
    return {name: write(tmp_path / f"{name}.hdf5", seed=i) for i, name in enumerate(("H1", "L1"))}


def analyze(files: FILES, out: Path, *options: str, gps: float = GPS) -> Result:
    strain = [word for name, path in files.items() for word in ("--strain", f"{name}={path}")]
    return CliRunner().invoke(app, ["analyze", *strain, "--gps", repr(gps), "--out", str(out), *options])


def assert_refused(result: Result, folder: Path, *said: str) -> None:
    """Status 2, one message on stderr that holds the words `said`, no traceback, nothing new in `folder`."""
    assert result.exit_code == 2, result.output
    messages = [line for line in result.stderr.splitlines() if line.startswith("gwsml: error:")]
    assert len(messages) == 1, result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    for words in said:
        assert words in messages[0]
    assert {path.name for path in folder.iterdir()} <= {"H1.hdf5", "L1.hdf5"}


def test_truncated_hdf5_is_named(files: FILES, tmp_path: Path) -> None:
    size = files["L1"].stat().st_size
    os.truncate(files["L1"], size // 2)
    assert_refused(analyze(files, tmp_path / "out"), tmp_path, "L1", "L1.hdf5", "truncated", "again")


def test_empty_file_is_named(files: FILES, tmp_path: Path) -> None:
    os.truncate(files["H1"], 0)
    assert_refused(analyze(files, tmp_path / "out"), tmp_path, "H1.hdf5", "empty")


def test_missing_file_is_named(files: FILES, tmp_path: Path) -> None:
    files["H1"] = tmp_path / "absent.hdf5"
    assert_refused(analyze(files, tmp_path / "out"), tmp_path, "absent.hdf5")


def test_nan_inside_the_segment_is_counted(files: FILES, tmp_path: Path) -> None:
    files["H1"].unlink()
    write(files["H1"], gap=(GPS - 0.5, GPS - 0.4))
    assert_refused(analyze(files, tmp_path / "out"), tmp_path, "H1", "NaN", "another time")


@pytest.mark.parametrize("gps", [START - 100, START + LENGTH + 1])
def test_gps_outside_the_data_gives_the_span(files: FILES, tmp_path: Path, gps: float) -> None:
    assert_refused(analyze(files, tmp_path / "out", gps=gps), tmp_path, "outside the data", "1126259446")


def test_event_at_the_edge_is_refused(files: FILES, tmp_path: Path) -> None:
    assert_refused(analyze(files, tmp_path / "out", gps=START + 0.5), tmp_path, "H1", "segment")


def test_different_rates_are_listed(files: FILES, tmp_path: Path) -> None:
    files["L1"].unlink()
    write(files["L1"], rate=3000.0)
    assert_refused(analyze(files, tmp_path / "out"), tmp_path, "different rates", "2048", "3000", "no whole multiple", "4096 Hz")


def test_unknown_detector_is_named_with_the_known_ones(files: FILES, tmp_path: Path) -> None:
    assert_refused(analyze({"X9": files["H1"]}, tmp_path / "out"), tmp_path, "X9", "H1")


def test_band_above_nyquist_is_refused(files: FILES, tmp_path: Path) -> None:
    result = analyze(files, tmp_path / "out", "--f-max", "2000")
    assert_refused(result, tmp_path, "f_max", "2000", "1024")


def test_psd_that_does_not_cover_the_band_is_named(files: FILES, tmp_path: Path) -> None:
    frequencies = np.linspace(50, 500, 200)
    curve = tmp_path / "psd" / "H1_psd.txt"
    curve.parent.mkdir()
    np.savetxt(curve, np.column_stack([frequencies, np.full(200, 1e-46)]))
    result = analyze(files, tmp_path / "out", "--psd", f"H1={curve}", "--psd", "L1=aLIGO")
    shutil.rmtree(curve.parent)
    assert_refused(result, tmp_path, "H1", "PSD", "50")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--psd", "H1=aLIGO"), "L1"),
        (("--psd", "H1=aLIGO", "--psd", "L1=nonsense"), "nonsense"),
        (("--duration", "-4"), "duration"),
        (("--duration", "64"), "segment"),
        (("--f-min", "0"), "f_min"),
        (("--f-min", "900", "--f-max", "800"), "f_max"),
        (("--estimator", "nonsense"), "nonsense"),
    ],
)
def test_impossible_settings_are_named(files: FILES, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    assert_refused(analyze(files, tmp_path / "out", *options), tmp_path, said)


@pytest.mark.parametrize(
    "words",
    [
        ["analyze", "--n-draws", "5", "GW150914"],
        ["analyze", "--duration", "long", "GW150914"],
        ["analyze", "--nonsense", "GW150914"],
        ["waveform", "--mass-1", "36"],
        ["nonsense"],
    ],
)
def test_misuse_of_options_is_status_2_without_traceback(words: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert words[1 if words[0] == "analyze" else 0].lstrip("-") in result.stderr or "mass-2" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["analyze"], "nothing to analyse"),
        (["analyze", "GW150914", "--strain", "H1=a.hdf5", "--gps", "1"], "only one of these"),
        (["analyze", "--strain", "H1=a.hdf5"], "--gps"),
        (["analyze", "GW150914", "--gps", "1"], "--gps"),
        (["analyze", "--strain", "H1", "--gps", "1"], "DETECTOR=FILE"),
        (["analyze", "--strain", "H1=a", "--strain", "H1=a", "--gps", "1"], "twice"),
    ],
)
def test_arguments_that_exclude_one_another(words: list[str], said: str, tmp_path: Path) -> None:
    assert_refused(CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")]), tmp_path, said)


def test_out_below_a_file_cannot_be_written(files: FILES, tmp_path: Path) -> None:
    assert_refused(analyze(files, files["H1"] / "out"), tmp_path, "--out", "cannot be written")


def test_out_with_foreign_files_is_refused_before_work(files: FILES, tmp_path: Path) -> None:
    before = files["H1"].read_bytes()
    assert_refused(analyze(files, tmp_path), tmp_path, "--out", "did not write")
    assert files["H1"].read_bytes() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--surrogate", "nrphm", "--estimator", "bbh-h1l1"), ("--surrogate", "--estimator bbh-h1l1", "trained with")),
        (("--from-scratch", "--prior", "chirp_mass=25,37", "--surrogate", "nowhere"), ("nowhere",)),
        (
            ("--from-scratch", "--prior", "chirp_mass=25,37", "--surrogate", "nrphm", "--higher-modes"),
            ("--higher-modes", "has its modes"),
        ),
        (
            ("--from-scratch", "--prior", "chirp_mass=25,37", "--prior", "mass_ratio=0.1,1", "--surrogate", "nrphm"),
            ("mass_ratio", "nrphm", "narrow the prior"),
        ),
    ],
)
def test_waveform_models_that_cannot_be_used_are_named(
    files: FILES, tmp_path: Path, options: tuple[str, ...], said: tuple[str, ...]
) -> None:
    assert_refused(analyze(files, tmp_path / "out", *options), tmp_path, *said)
