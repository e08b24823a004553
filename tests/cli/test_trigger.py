"""`gwsml trigger`: what it writes, and what it refuses before work starts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.trigger import gates, rtl, verilog

pytest.importorskip("da4ml", reason="da4ml is not installed: pip install gwsurrogate-ml[trigger]")


def test_export_writes_verilog_and_says_what_was_not_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtl, "missing", lambda name: f"no {name}: apt-get install it")
    out = tmp_path / "made"
    done = CliRunner().invoke(app, ["trigger", "export", "--out", str(out), "--n", "500"])
    assert done.exit_code == 0, done.output
    assert "emulation: 0 of 500 scores differ" in done.output
    assert "no verilator: apt-get install it" in done.output
    about = json.loads((out / "design.json").read_text())
    assert about["not_simulated"].keys() == {"verilator", "cxxrtl"}
    assert {path.name for path in out.iterdir()} == {"trigger.v", "design.json", "config.json"}


def test_nothing_is_written_where_da4ml_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verilog, "find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["trigger", "export", "--out", str(tmp_path / "made")])
    assert isinstance(done.exception, (ConfigError, SystemExit))
    assert not (tmp_path / "made").exists()


def test_report_names_the_package_of_a_missing_yosys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["trigger", "report"])
    assert done.exit_code != 0
    assert "gwsurrogate-ml[trigger]" in f"{done.output}{done.exception}"
