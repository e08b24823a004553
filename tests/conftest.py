"""Shared fixtures: where the real data lie, and one thread per process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# As `make test` has it: MKL rounds differently with more threads, and tests of threads compare to the last digit.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

ROOT = Path(__file__).resolve().parents[1]


class DataFolder:
    """The folder of real data; asking for a file that is not there skips the test with a message naming it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, relative: str) -> Path:
        path = self.root / relative
        if not path.exists():
            pytest.skip(f"real data missing: {path.name} (set GWSML_DATA to the folder that holds {relative})")
        return path


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Markers that follow from fixtures: `data`, and `slow` where a module names the fixture in SLOW_FIXTURES."""
    for item in items:
        asked = set(getattr(item, "fixturenames", ()))
        if "data_dir" in asked:
            item.add_marker(pytest.mark.data)
        if asked & set(getattr(getattr(item, "module", None), "SLOW_FIXTURES", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def data_dir() -> DataFolder:
    return DataFolder(Path(os.environ.get("GWSML_DATA", ROOT.parent / "shared" / "data")))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
