"""`gwsml waveform`: what is written can be read back, and misuse is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from gwpy.timeseries import TimeSeries
from typer.testing import CliRunner

import gwsurrogate_ml as gw
from gwsurrogate_ml.cli.main import app

BINARY = ["--mass-1", "36", "--mass-2", "29", "--chi-1", "0.3", "--chi-2", "-0.1"]


def test_files_hold_the_polarizations_of_the_surrogate(tmp_path: Path) -> None:
    out = tmp_path / "wave"
    words = ["--theta-jn", "0.4", "--phase", "1.2", "--f-min", "25", "--sampling-frequency", "2048", "--json"]
    result = CliRunner().invoke(app, ["waveform", *BINARY, *words, "--out", str(out)])
    assert result.exit_code == 0, result.output
    expected = gw.load_surrogate().polarizations(
        mass_1=36, mass_2=29, chi_1=0.3, chi_2=-0.1, luminosity_distance=410, theta_jn=0.4, phase=1.2, f_min=25,
        sampling_frequency=2048,
    )  # fmt: skip
    for name, series in zip(("hp", "hc"), expected, strict=True):
        read = TimeSeries.read(out / "waveform.hdf5", path=name, format="hdf5")
        assert np.array_equal(read.value, series.value)
        assert read.t0 == series.t0
        assert read.sample_rate.value == 2048
    summary = json.loads(result.stdout)
    assert summary["samples"] == len(expected[0])
    assert summary["start"] < -0.3 < 0 < summary["end"]
    assert sorted(p.name for p in out.iterdir()) == ["config.json", "waveform.hdf5", "waveform.png"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mass-1", "29", "--mass-2", "36"], ("mass_1", "mass_2", "swap")),
        (["--chi-1", "1.2"], ("chi1", "1.2")),
        (["--chi-2", "nan"], ("chi2",)),
        (["--mass-1", "3", "--mass-2", "2"], ("f_min", "smallest total mass")),
        (["--mass-1", "360", "--mass-2", "12"], ("q", "30")),
        (["--mass-2", "-29"], ("mass_2", "positive")),
        (["--f-min", "0"], ("f_min",)),
        (["--luminosity-distance", "0"], ("luminosity_distance",)),
        (["--sampling-frequency", "-1"], ("sampling_frequency",)),
        (["--surrogate", "nonsense"], ("nonsense",)),
    ],
)
def test_misuse_is_one_message_and_no_file(tmp_path: Path, options: list[str], said: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["waveform", *BINARY, *options, "--out", str(tmp_path / "wave")])
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("gwsml: error:")]
    assert len(lines) == 1
    assert "Traceback" not in result.output
    for words in said:
        assert words in lines[0]
    assert list(tmp_path.iterdir()) == []
