"""The table of formats is that of the tests, and says of no program what no test shows."""

from __future__ import annotations

import re

from tests.formats import PAGE, page, rows, versions


def test_the_page_of_formats_is_that_of_the_tests() -> None:
    assert PAGE.read_text() == page(), "docs/reference/formats.md is stale: run `python tests/formats.py`"


def test_each_row_has_a_version_or_names_its_file() -> None:
    known = versions()
    bare = [
        row.writer for row in rows() if row.writer.lower().replace("_", "-") not in known and not re.search(r"\d|`", row.writer)
    ]
    assert not bare, f"no version of {', '.join(bare)}: name the package as constraints.txt does, or say which files"
