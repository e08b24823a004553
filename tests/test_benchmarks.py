"""Benchmark scripts lean on each other: none is left behind when another changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
ELSEWHERE = {"cogwheel_peer"}
"""Run by the interpreter of an environment of their own."""


@pytest.mark.parametrize("part", range(4))
def test_every_script_can_be_imported(part: int) -> None:
    names = sorted({path.stem for path in BENCHMARKS.glob("*.py")} - ELSEWHERE)[part::4]
    assert len(names) > 10
    lines = [f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r})", *(f"import {name}" for name in names)]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False, cwd=BENCHMARKS.parent
    )
    assert done.returncode == 0, done.stderr[-2000:]
