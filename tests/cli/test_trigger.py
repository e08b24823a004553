"""`gwsml trigger`: what it writes, and what it refuses before work starts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.trigger import gates, load, rtl, verilog
from gwsurrogate_ml.trigger.network import LayerSettings, TriggerNetwork

pytest.importorskip("da4ml", reason="da4ml is not installed: pip install gwsurrogate-ml[trigger]")


def test_export_writes_verilog_and_says_what_was_not_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layers = (LayerSettings(channels=2, kernel=3), LayerSettings(channels=1, kernel=1))
    small = dataclasses.replace(load.load_trigger(), network=TriggerNetwork(layers).quantised(4, torch.randn(4, 2, 200)).integers())
    monkeypatch.setattr(load, "load_trigger", lambda _: small)
    monkeypatch.setattr(rtl, "missing", lambda name: "" if name == "cxxrtl" else f"no {name}: apt-get install it")
    monkeypatch.setattr(rtl, "simulated", lambda *_: {"cxxrtl, gaps": 0})
    out = tmp_path / "made"
    done = CliRunner().invoke(app, ["trigger", "export", "--out", str(out), "--n", "500"])
    assert done.exit_code == 0, done.output
    assert "emulation: 0 of 500 scores differ" in done.output
    assert "cxxrtl, gaps: 0 of 500" in done.output
    assert "no verilator: apt-get install it" in done.output
    about = json.loads((out / "design.json").read_text())
    assert about["not_simulated"].keys() == {"verilator"}
    assert {path.name for path in out.iterdir()} == {"trigger.v", "design.json", "config.json"}


@pytest.mark.parametrize(
    ("module", "attribute", "value", "words"),
    [
        (verilog, "find_spec", None, "exporting to Verilog needs da4ml"),
        (rtl, "missing", "g++ is missing: apt-get install g++", "checked in a simulator, and there is none: g++"),
    ],
)
def test_nothing_is_written_where_da4ml_or_a_simulator_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, attribute: str, value: str | None, words: str
) -> None:
    monkeypatch.setattr(module, attribute, lambda _: value)
    done = CliRunner().invoke(app, ["trigger", "export", "--out", str(tmp_path / "made")])
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())
    assert not (tmp_path / "made").exists()


def test_report_names_the_package_of_a_missing_yosys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "find_spec", lambda name: None)
    done = CliRunner().invoke(app, ["trigger", "report"])
    assert done.exit_code == 2
    assert "yosys is missing: pip install gwsurrogate-ml[trigger]" in " ".join(done.output.split())
