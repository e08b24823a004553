"""Every hostile call of the table: a clear error with nothing left behind, or the right result all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile import everything
from tests.hostile.table import Case, Outcome, judge


@pytest.mark.slow
@pytest.mark.parametrize("case", everything.cases(), ids=lambda case: case.label)
def test_hostile_call(case: Case, tmp_path: Path) -> None:
    outcome, why = judge(case, tmp_path)
    assert outcome is not Outcome.FAILED, why


def test_the_table_is_as_long_as_it_claims() -> None:
    labels = [case.label for case in everything.cases()]
    page = (Path(__file__).parents[2] / "docs" / "reference" / "hostile.md").read_text()
    assert f"entry points and commands** | {len(labels)} |" in page
    assert len(set(labels)) == len(labels)
