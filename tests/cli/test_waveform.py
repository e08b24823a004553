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


@pytest.mark.slow
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


TILTED = [
    "--mass-1",
    "39",
    "--mass-2",
    "26",
    "--a-1",
    "0.6",
    "--a-2",
    "0.4",
    "--tilt-1",
    "1.0",
    "--tilt-2",
    "0.7",
    "--phi-12",
    "0.3",
]


@pytest.mark.slow
def test_tilted_spins_are_those_of_the_precessing_surrogate_at_the_reference_frequency(tmp_path: Path) -> None:
    out = tmp_path / "wave"
    words = ["--phi-jl", "1.0", "--theta-jn", "0.8", "--phase", "1.2", "--f-ref", "30", "--sampling-frequency", "4096", "--json"]
    result = CliRunner().invoke(app, ["waveform", *TILTED, *words, "--out", str(out)])
    assert result.exit_code == 0, result.output
    expected = gw.load_surrogate("nrphm").polarizations(
        mass_1=39, mass_2=26, a_1=0.6, a_2=0.4, tilt_1=1.0, tilt_2=0.7, phi_12=0.3, phi_jl=1.0, luminosity_distance=410,
        theta_jn=0.8, phase=1.2, f_min=20, f_ref=30, sampling_frequency=4096,
    )  # fmt: skip
    for name, series in zip(("hp", "hc"), expected, strict=True):
        read = TimeSeries.read(out / "waveform.hdf5", path=name, format="hdf5")
        np.testing.assert_allclose(read.value, series.value, atol=1e-5 * np.abs(series.value).max())
        assert read.t0 == series.t0
    config = json.loads((out / "config.json").read_text())
    assert config["surrogate"]["name"] == "nrphm"
    assert (config["parameters"]["tilt_1"], config["parameters"]["f_ref"]) == (1.0, 30)
    assert sorted(p.name for p in out.iterdir()) == ["config.json", "waveform.hdf5", "waveform.png"]


@pytest.mark.slow
def test_aligned_spins_are_taken_by_the_precessing_surrogate_too(tmp_path: Path) -> None:
    words = ["waveform", *BINARY, "--f-ref", "30", "--theta-jn", "0.4"]
    peaks = []
    for name in ("nrhm", "nrphm"):
        result = CliRunner().invoke(app, [*words, "--surrogate", name, "--json", "--out", str(tmp_path / name)])
        assert result.exit_code == 0, result.output
        peaks.append(json.loads(result.stdout)["peak_strain"])
    assert peaks[0] == pytest.approx(peaks[1], rel=0.02)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([*TILTED, "--chi-1", "0.2"], ("--chi-1", "--a-1")),
        ([*TILTED, "--surrogate", "nrhm"], ("--a-1", "nrphm")),
        ([*TILTED[:4], "--tilt-1", "0.3"], ("--tilt-1", "nrphm")),
        ([*TILTED[:4], "--a-2", "0.3", "--tilt-1", "0.3"], ("--tilt-1", "--a-1")),
        ([*TILTED, "--a-1", "0.95"], ("chi1", "0.95", "[0, 0.9]")),
        ([*TILTED, "--mass-2", "5"], ("q", "[1, 6]")),
        ([*TILTED, "--mass-1", "26", "--mass-2", "39"], ("mass_1 = 26", "mass_2 = 39", "heavier body first")),
        ([*TILTED, "--tilt-1", "60"], ("tilt_1", "60", "radians")),
        ([*TILTED, "--f-ref", "600"], ("f_ref", "total masses of")),
        ([*TILTED, "--f-min", "3"], ("f_ref = 3", "total masses of")),
    ],
)
def test_tilted_spins_are_refused_with_the_way_on(tmp_path: Path, options: list[str], said: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["waveform", *options, "--out", str(tmp_path / "wave")])
    assert result.exit_code == 2, result.output
    assert list(tmp_path.iterdir()) == []
    for words in said:
        assert words in result.stderr


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
