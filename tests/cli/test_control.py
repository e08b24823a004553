"""`gwsml control`: what it writes, and what it refuses before work starts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.control import evaluate
from gwsurrogate_ml.control.linear import lqg
from gwsurrogate_ml.control.noise import NoiseModel


@pytest.mark.slow
def test_training_and_evaluation_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(evaluate, "tuned_classical", lambda plant, *_: lqg(plant))  # its search takes seconds
    f = np.geomspace(0.05, 50, 60)
    np.savetxt(tmp_path / "seismic.txt", np.transpose([f, NoiseModel(level=40.0, poles=(0.5, 2.0, 2.5)).asd(f)]))
    mirror, out = tmp_path / "mirror.toml", tmp_path / "made"
    mirror.write_text(f'damping = 0.03\nseismic = "{tmp_path / "seismic.txt"}"\n')
    words = ["control", "train", "descent-linear", "--suspension", str(mirror), "--steps", "1", "--out", str(tmp_path / "mine")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "mine" / "card.json").read_text())
    assert card["suspension"]["damping"] == 0.03
    assert card["suspension"]["seismic"]["level"] == pytest.approx(40.0, rel=1e-2)
    words = ["control", "evaluate", str(tmp_path / "mine"), "--suspension", str(mirror), "--seconds", "0.25", "--mirrors", "2"]
    done = CliRunner().invoke(app, [*words, "--out", str(out)])
    assert done.exit_code == 0, done.output
    rows = json.loads((out / "summary.json").read_text())["controllers"]
    assert [row["name"] for row in rows if row["learned"]] == [str(tmp_path / "mine")]
    repeat = json.loads((out / "config.json").read_text())["repeat"]
    assert repeat.startswith(f"gwsml control evaluate {tmp_path / 'mine'} --suspension {mirror} --seconds 0.25 --mirrors 2")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "alchemy"], "alchemy"),
        (["train", "--limit", "-4"], "limit: Input should be greater than 0"),
        (["train", "--fall", "nan"], "fall: Input should be a finite number"),
        (["evaluate", "--limit", "nan"], "limit is nan"),
        (["evaluate", "--power", "-1"], "power is -1"),
        (["evaluate", "--suspension", "none.toml"], "none.toml"),
    ],
)
def test_bad_options_are_named(words: list[str], message: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["control", *words, "--out", str(tmp_path / "made")])
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())
    assert not (tmp_path / "made").exists()
