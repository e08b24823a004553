"""What benchmarks wrote and what models' pages say is of the weights that are shipped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODELS = [path.parent for path in sorted((ROOT / "gwsurrogate_ml" / "models").glob("*/card.json"))]
SHIPPED = {json.loads((folder / "card.json").read_text())["weights_sha256"]: folder.name for folder in MODELS}
RESULTS = sorted(path for path in (ROOT / "benchmarks" / "results").glob("*.json") if "weights_sha256" in path.read_text())
CARDS = sorted((ROOT / "benchmarks" / "reference").glob("validation*/card.md"))


def checksums(found: Any) -> Iterator[str]:
    """All checksums of weights in a result."""
    for key, value in found.items() if isinstance(found, dict) else enumerate(found):
        if key in ("weights_sha256", "aligned_weights_sha256"):
            yield value
        elif isinstance(value, dict | list):
            yield from checksums(value)


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_results_are_of_the_shipped_weights(path: Path) -> None:
    assert set(checksums(json.loads(path.read_text()))) <= set(SHIPPED)


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.parent.name)
def test_cards_of_estimators_are_of_the_shipped_weights(path: Path) -> None:
    text = path.read_text()
    name, sha = (re.search(pattern, text)[1] for pattern in (r"# Validation of (\S+)", r"weights ([0-9a-f]+)"))
    assert [model for full, model in SHIPPED.items() if full.startswith(sha)] == [name]


@pytest.mark.parametrize("name", ["nr22", "nrhm"])
def test_the_page_of_a_model_has_its_checksum(name: str) -> None:
    assert {sha for sha, model in SHIPPED.items() if model == name} == {
        sha for sha in SHIPPED if sha in (ROOT / "docs" / "models" / f"{name}.md").read_text()
    }
