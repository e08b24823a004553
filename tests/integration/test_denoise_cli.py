"""`gwsml denoise witness`: on a mock, on files, with a saved model; wrong usage ends with one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.denoise.mock import preset
from gwsurrogate_ml.denoise.witness import WitnessCleaner

runner = CliRunner()


def test_a_mock_is_fitted_judged_and_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["denoise", "witness", "--mock", "sidebands_only", "--duration", "256", "--out", str(out), "--json"]
    result = runner.invoke(app, words)
    assert result.exit_code == 0, result.output
    summary = json.loads((out / "summary.json").read_text())
    assert summary["ladder"]["cleaners"]["cleaner"]["score_of_oracle"] > 0.8
    assert json.loads(result.stdout) == summary
    assert (out / "asd.png").stat().st_size > 10_000
    assert WitnessCleaner.load(out / "model").card["name"] == "witness-sidebands_only"


def test_files_are_cleaned_with_a_fit_and_then_with_the_saved_model(tmp_path: Path) -> None:
    from gwpy.timeseries import TimeSeries

    data = preset("sidebands_only", sampling_frequency=512).draw(256.0, 4)
    data.strain.write(tmp_path / "strain.hdf5", path="strain")
    data.witnesses.write(tmp_path / "witnesses.hdf5")
    files = ["--strain", f"H1={tmp_path / 'strain.hdf5'}", "--witnesses", str(tmp_path / "witnesses.hdf5")]
    first = tmp_path / "first"
    result = runner.invoke(
        app,
        [
            "denoise",
            "witness",
            *files,
            "--channel",
            "MAINS",
            "--channel",
            "TILT",
            "--band",
            "45:75",
            "--out",
            str(first),
        ],
    )
    assert result.exit_code == 0, result.output
    assert "45 to 75 Hz" in result.stdout
    clean = TimeSeries.read(first / "cleaned.hdf5", "strain")
    assert "cleaned by witness-cleaner 1" in clean.name
    assert clean.value.std() < data.strain.value.std()
    second = tmp_path / "second"
    result = runner.invoke(app, ["denoise", "witness", *files, "--model", str(first / "model"), "--out", str(second)])
    assert result.exit_code == 0, result.output
    assert np.array_equal(TimeSeries.read(second / "cleaned.hdf5", "strain").value, clean.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give either --strain"),
        (["--mock", "o5"], "choose o3_like"),
        (["--mock", "null", "--model", "x"], "leave --model"),
        (["--strain", "H1=none.hdf5"], "--witnesses is missing"),
        (["--strain", "H1=none.hdf5", "--witnesses", "none.gwf", "--channel", "A"], "no file none.hdf5"),
        (["--mock", "null", "--band", "10-50"], "write LOW:HIGH"),
    ],
)
def test_wrong_usage_ends_with_one_line_and_no_output(tmp_path: Path, words: list[str], message: str) -> None:
    result = runner.invoke(app, ["denoise", "witness", *words, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()
