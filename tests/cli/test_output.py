"""Output folders appear whole or not at all, and never replace what the program did not write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gwsurrogate_ml.cli.output import output_folder, write_json
from gwsurrogate_ml.errors import ConfigError


def write_run(out: Path, text: str = "first") -> None:
    with output_folder(out, {"command": "test"}) as output:
        (output.path / "result.txt").write_text(text)


def test_folder_appears_with_its_files_and_config(tmp_path: Path) -> None:
    write_run(tmp_path / "a" / "b")
    assert sorted(p.name for p in (tmp_path / "a" / "b").iterdir()) == ["config.json", "result.txt"]
    config = json.loads((tmp_path / "a" / "b" / "config.json").read_text())
    assert config["program"] == "gwsml"
    assert config["files"] == ["result.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_failure_leaves_nothing_behind_not_even_parents(tmp_path: Path, error: type[BaseException]) -> None:
    def fail_half_way() -> None:
        with output_folder(tmp_path / "new" / "run", {}) as output:
            (output.path / "half.txt").write_text("half")
            raise error

    with pytest.raises(error):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_failure_keeps_the_earlier_output(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    with pytest.raises(ValueError, match="late"), output_folder(tmp_path / "run", {}):
        raise ValueError("late")
    assert (tmp_path / "run" / "result.txt").read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_own_earlier_output_is_replaced(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    write_run(tmp_path / "run", "second")
    assert (tmp_path / "run" / "result.txt").read_text() == "second"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_run(tmp_path / "run")
    assert (tmp_path / "run" / "result.txt").exists()


def test_foreign_files_are_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(ConfigError, match="did not write"):
        write_run(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_own_output_with_a_foreign_file_is_refused_by_name(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"notes\.txt"):
        write_run(tmp_path / "run", "second")
    assert (tmp_path / "run" / "result.txt").read_text() == "first"


def test_foreign_file_that_appears_during_the_run_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "run"

    def interfere() -> None:
        with output_folder(out, {}):
            out.mkdir()
            (out / "other.txt").write_text("theirs")

    with pytest.raises(ConfigError, match="did not write"):
        interfere()
    assert [p.name for p in out.iterdir()] == ["other.txt"]


@pytest.mark.parametrize("below", ["", "sub"])
def test_a_file_in_the_way_is_named(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match=r"--out .*file"):
        write_run(tmp_path / "file" / below)


def test_json_knows_numpy_and_no_infinities(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": np.float64(1.5), "y": np.array([1, 2]), "z": [np.inf, np.nan], 3: Path("p")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1.5, "y": [1, 2], "z": [None, None], "3": "p"}
