"""`gwsml bench`: every line compares two things that ran, and what is printed can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gwsurrogate_ml.cli import bench
from gwsurrogate_ml.cli.main import app


@pytest.mark.slow
@pytest.mark.peer
def test_the_surrogate_is_timed_beside_lal() -> None:
    lines = list(bench.surrogate_lines("nr22", batch=3, repeat=1))
    assert [line.peer for line in lines] == [None, "IMRPhenomT", "IMRPhenomTHM", "IMRPhenomXAS", "IMRPhenomXHM", None]
    for line in lines:
        assert line.ours_ms > 0
        if line.peer is not None:
            assert line.ratio == pytest.approx(line.peer_ms / line.ours_ms)
            assert 0 < line.limit_ms < line.ours_ms  # nothing is faster than writing its output


@pytest.mark.peer
def test_kernels_are_timed_beside_pycbc_and_gwpy() -> None:
    lines = list(bench.kernel_lines(duration=16, repeat=1))
    assert {line.name for line in lines} >= {"matched filter", "whitening"}
    assert all(line.ours_ms > 0 and line.peer_ms > 0 for line in lines)


def test_results_are_printed_as_a_table_or_json_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = bench.Line("pair in time", 0.5, "IMRPhenomT", 1.0, 2.0, 0.01)
    monkeypatch.setattr(bench, "surrogate_lines", lambda name: iter([line]))
    out = tmp_path / "speed"
    result = CliRunner().invoke(app, ["bench", "surrogate", "--json", "--out", str(out)])
    assert result.exit_code == 0, result.output
    for report in (json.loads(result.stdout), json.loads((out / "bench.json").read_text())):
        assert report["surrogate"][0]["ratio"] == 2.0
        assert "kernels" not in report
    assert json.loads((out / "config.json").read_text())["versions"]["numba"]
    table = CliRunner().invoke(app, ["bench", "surrogate"]).stdout
    assert "IMRPhenomT" in table
    assert "threads" in table


def test_unknown_part_is_refused() -> None:
    result = CliRunner().invoke(app, ["bench", "everything"])
    assert result.exit_code == 2
    assert "kernels" in result.output
