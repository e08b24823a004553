"""`gwsml denoise witness`: on a mock, on files, with a saved model; wrong usage ends with one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.denoise.witness.bench.mock import preset
from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner
from gwsurrogate_ml.strain.read import read_strain

runner = CliRunner()


@pytest.mark.slow
def test_a_mock_is_fitted_judged_and_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["denoise", "witness", "--mock", "sidebands_only", "--duration", "256", "--out", str(out), "--json"]
    result = runner.invoke(app, words)
    assert result.exit_code == 0, result.output
    summary = json.loads((out / "summary.json").read_text())
    assert summary["ladder"]["cleaners"]["witness_cleaner"]["score_of_oracle"] > 0.8
    assert json.loads(result.stdout) == summary
    assert (out / "asd.png").stat().st_size > 10_000
    assert WitnessCleaner.load(out / "model").card["name"] == "witness-sidebands_only"


@pytest.mark.exchange("strain", "HDF5 of cleaned strain", "gwpy", "round trip")
@pytest.mark.slow
def test_files_are_cleaned_with_a_fit_and_then_with_the_saved_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gwpy.timeseries import TimeSeries

    from gwsurrogate_ml.denoise.witness import channels, cleaner, crossfit

    aligned: list[int] = []
    align = channels.align
    for module in (channels, cleaner, crossfit):
        monkeypatch.setattr(module, "align", lambda strain, *rest: (aligned.append(len(strain)), align(strain, *rest))[1])
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
    assert aligned == [len(data.strain)]  # once for both halves' fits, their use, and the fit to all
    clean = TimeSeries.read(first / "cleaned.hdf5", "strain")
    np.testing.assert_array_equal(read_strain(first / "cleaned.hdf5", "H1").value, clean.value)
    assert "cleaned by witness-cleaner 1" in clean.name
    assert clean.value.std() < data.strain.value.std()
    second = tmp_path / "second"
    result = runner.invoke(app, ["denoise", "witness", *files, "--model", str(first / "model"), "--out", str(second)])
    assert result.exit_code == 0, result.output
    again = TimeSeries.read(second / "cleaned.hdf5", "strain")
    assert again.name.endswith("cleaned by witness-cleaner 1")  # fitted to the whole span: not quite the same
    assert np.std(again.value - clean.value) < 0.2 * np.std(data.strain.value - clean.value)


@pytest.mark.slow
def test_gaps_stay_gaps_in_files_flags_and_figures(tmp_path: Path) -> None:
    from gwpy.timeseries import TimeSeries

    data = preset("sidebands_only", sampling_frequency=512).draw(128.0, 4)
    n = len(data.strain)
    data.strain.value[n // 4 : n // 4 + 1024] = np.nan  # 2 s
    data.witnesses["TILT"].value[n // 2 : n // 2 + 1024] = np.nan
    for i, part in enumerate((slice(0, n // 2), slice(n // 2, n))):
        data.strain[part].write(tmp_path / f"strain-{i}.hdf5", path="strain")
        type(data.witnesses)({k: v[part] for k, v in data.witnesses.items()}).write(tmp_path / f"witnesses-{i}.hdf5")
    words = ["--channel", "MAINS", "--channel", "TILT", "--band", "45:75", "--out", str(tmp_path / "out"), "--json"]
    words += ["--witnesses", str(tmp_path / "witnesses-*.hdf5")]
    result = runner.invoke(app, ["denoise", "witness", "--strain", f"H1={tmp_path / 'strain-?.hdf5'}", *words])
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["samples"]["missing"] == pytest.approx(2 / 128)
    assert 0.7 < summary["samples"]["subtracted"] < 1 - 4 / 128
    clean = TimeSeries.read(tmp_path / "out" / "cleaned.hdf5", "strain").value
    weight = TimeSeries.read(tmp_path / "out" / "cleaned.hdf5", "weight").value
    assert np.array_equal(np.isnan(clean), np.isnan(data.strain.value))
    assert not weight[n // 2 : n // 2 + 1024].any()
    assert np.array_equal(clean[n // 2 : n // 2 + 1024], data.strain.value[n // 2 : n // 2 + 1024])
    assert (tmp_path / "out" / "timeline.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_report_holds_the_whole_ladder_and_its_numbers_are_the_summarys(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["--mock", "sidebands_only", "--duration", "128", "--report", "--json", "--out", str(out)]
    result = runner.invoke(app, ["denoise", "witness", *words])
    assert result.exit_code == 0, result.output
    summary, page = json.loads(result.stdout), (out / "report.html").read_text()
    assert summary["nulls"]["worst"] <= 0.002
    assert summary["injections"]["self_subtraction"] <= 0.005
    assert summary["streaming"]["frame 1 s"]["relative_difference"] < 1e-5
    ours = summary["ladder"]["cleaners"]["witness_cleaner"]
    assert f"{ours['range_mpc']:.1f} Mpc" in page
    assert f"{ours['snr_gain']:.4f}" in page
    for words in ("ASD after / before", "null tests", "self-subtraction", "real-time factor", "MAINS x TILT"):
        assert words in page
    assert page.count("data:image/png;base64,") == 3
    assert "http" not in page.replace("http-equiv", "")  # self-contained


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give either --strain"),
        (["--mock", "o5"], "choose o3_like"),
        (["--mock", "null", "--model", "x"], "leave --model"),
        (["--strain", "H1=none.hdf5"], "--witnesses is missing"),
        (["--strain", "H1=none.hdf5", "--witnesses", "none.gwf", "--channel", "A"], "no file none.hdf5"),
        (["--mock", "null", "--band", "10-50"], "write LOW:HIGH"),
        (["--mock", "null", "--duration", "nan"], "duration"),
        (["--strain", "H1=none.hdf5", "--duration", "64"], "goes with --mock"),
        (["--strain", "H1=a", "--strain", "L1=b", "--witnesses", "c"], "one detector at a time"),
        (["--strain", "H1=none-*", "--witnesses", "c"], "no file fits"),
        (["--strain", "H1=a", "--witnesses", "none-*", "--channel", "A"], "no file fits"),
    ],
)
def test_wrong_usage_ends_with_one_line_and_no_output(tmp_path: Path, words: list[str], message: str) -> None:
    result = runner.invoke(app, ["denoise", "witness", *words, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()
