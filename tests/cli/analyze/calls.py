"""Calls of `gwsml analyze`, and what a refusal leaves."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from gwsurrogate_ml.cli.main import app


def invoke(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def strain_options(data_dir, start: int, detectors: str = "HL") -> list[str]:
    files = {f"{x}1": data_dir(f"strain/{x}-{x}1_LOSC_4_V2-{start}-32.hdf5") for x in detectors}
    return [word for name, path in files.items() for word in ("--strain", f"{name}={path}")]


def assert_refused(result: Result, folder: Path, *said: str) -> None:
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("gwsml: error:")]
    assert len(errors) == 1
    assert "Traceback" not in result.output
    for words in said:
        assert words in errors[0]
    assert list(folder.iterdir()) == []
