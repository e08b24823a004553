"""The table of docs/reference/formats.md, collected from the tests that show each row; `python tests/formats.py` writes it.

A row is a test with the marker `exchange`, on the test or on one of its parameters (`pytest.param(..., marks=...)`)::

    @pytest.mark.exchange("noise spectra", "LIGO_LW XML, one a detector", "lalsuite", "read")

What is exchanged (a part of the table), the format, who writes or reads it elsewhere, and what the test shows: "read" (we read what
they write), "written" (they read what we write) or "round trip" (both, with nothing lost). A writer in constraints.txt gets its
version from there; of any other name the version, or the file in backticks ("GWOSC, `scanme.gwf`"). All arguments are literals: the
tests are parsed, not run.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "formats.md"
BEGIN, END = "<!-- formats: begin -->", "<!-- formats: end -->"
SHOWS = ("read", "written", "round trip")


class Row(NamedTuple):
    """One format by one writer, and what tests show of it."""

    what: str
    format: str
    writer: str
    shown: frozenset[str]
    tests: frozenset[str]


def versions() -> dict[str, str]:
    """Known-good versions by package, in lower case."""
    pinned = re.findall(r"^([\w.\-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.M)
    return {name.lower().replace("_", "-"): version for name, version in pinned}


def rows() -> list[Row]:
    """All rows, those of one what, format and writer as one, in the order of their words."""
    found: dict[tuple[str, str, str], tuple[set[str], set[str]]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "mark.exchange(" in text else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.exchange"):
                place = f"{path.relative_to(ROOT).as_posix()}, line {node.lineno}"
                words = [argument.value if isinstance(argument, ast.Constant) else None for argument in node.args]
                if len(words) != 4 or node.keywords or not all(isinstance(word, str) for word in words):
                    raise ValueError(f"{place}: exchange takes four literal strings: what, format, writer, what is shown")
                what, form, writer, shown = map(str, words)
                if shown not in SHOWS:
                    raise ValueError(f"{place}: exchange shows {shown!r}: one of {', '.join(SHOWS)}")
                entry = found.setdefault((what, form, writer), (set(), set()))
                entry[0].add(shown)
                entry[1].add(path.relative_to(ROOT).as_posix())
    return [Row(*key, frozenset(shown), frozenset(tests)) for key, (shown, tests) in sorted(found.items())]


def table() -> str:
    """The rows as one markdown table a subject."""
    known = versions()
    parts: list[str] = []
    what = ""
    for row in rows():
        if row.what != what:
            what = row.what
            parts += ["", f"## {what[0].upper()}{what[1:]}", ""]
            parts += [
                "| format | program, version | read | written | round trip | shown by |",
                "| --- | --- | --- | --- | --- | --- |",
            ]
        version = known.get(row.writer.lower().replace("_", "-"))
        both = "round trip" in row.shown
        cells = [
            "yes" if both or "read" in row.shown else "",
            "yes" if both or "written" in row.shown else "",
            "yes" if both else "",
        ]
        tests = "<br>".join(f"`{name}`" for name in sorted(row.tests))
        parts.append("| " + " | ".join([row.format, f"{row.writer} {version}" if version else row.writer, *cells, tests]) + " |")
    return "\n".join(parts).strip()


def page() -> str:
    """The page as it ought to be: its words, and the table between the two marks."""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page())
