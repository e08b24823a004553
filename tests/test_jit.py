"""Compiled functions where numba's cache cannot be written, is full, damaged or another's: they compute, and say so once."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numba
import pytest

from gwsurrogate_ml import jit
from tests.hostile.material import small_files

SOURCE = "from gwsurrogate_ml.jit import njit\n@njit(nogil=True)\ndef double(x):\n    return 2 * x\n"
NOWHERE = "/proc/1/nowhere"
"""Where not even root may write."""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], ModuleType]:
    """Import, as often as it is called, a module with one compiled function, its cache in `tmp_path`."""
    monkeypatch.setattr(jit, "_said", False)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    path = tmp_path / "compiled.py"
    path.write_text(SOURCE)

    def load() -> ModuleType:
        spec = importlib.util.spec_from_file_location("compiled", path)
        assert spec is not None
        assert spec.loader is not None
        found = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
        return found

    return load


def kept(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.nb?"))


def test_code_is_kept_where_it_can_be(module: Callable[[], ModuleType], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert module().double(21) == 42
    assert [path.suffix for path in kept(tmp_path)] == [".nbc", ".nbi"]
    again = module().double
    assert again(21) == 42
    assert sum(again.stats.cache_hits.values()) == 1
    assert not caplog.records


def test_a_change_anywhere_in_the_package_compiles_anew(module: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    module().double(21)
    monkeypatch.setattr(jit, "_stamp", lambda: (jit.Path(jit.__file__).stat().st_mtime + 1.0, 1))
    again = module().double
    assert again(21) == 42
    assert not again.stats.cache_hits
    assert sum(again.stats.cache_misses.values()) == 1


def test_the_stamp_is_of_all_sources_with_compiled_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "part").mkdir()
    inner = tmp_path / "part" / "inner.py"
    inner.write_text("from numba import njit\n")
    (tmp_path / "plain.py").write_text("x = 1\n")
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    before = jit._stamp.__wrapped__()
    (tmp_path / "plain.py").write_text("x = 11\n")
    assert jit._stamp.__wrapped__() == before
    inner.write_text("from numba import njit, prange\n")
    assert jit._stamp.__wrapped__() != before


def test_a_full_disk_is_said_once_and_everything_computes(
    module: Callable[[], ModuleType], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with small_files(2048):
        for _ in range(2):
            double = module().double
            assert (double(21), double(1.5)) == (42, 3.0)
    assert not list(tmp_path.rglob("*.nbc"))
    assert len(caplog.records) == 1
    assert "NUMBA_CACHE_DIR" in caplog.text


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("content", [b"", b"\0" * 99, None], ids=["empty", "zeros", "unreadable"])
def test_a_damaged_or_unreadable_cache_does_not_stop_the_work(
    module: Callable[[], ModuleType],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    suffix: str,
    content: bytes | None,
) -> None:
    assert module().double(21) == 42
    (path,) = (path for path in kept(tmp_path) if path.suffix == suffix)
    path.unlink()
    path.mkdir() if content is None else path.write_bytes(content)
    assert module().double(21) == 42
    assert [("NUMBA_CACHE_DIR" in record.getMessage()) for record in caplog.records] == [True]


def test_faults_of_other_settings_are_not_taken_for_a_read_only_disk(
    module: Callable[[], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "nonsense")
    with pytest.raises(RuntimeError, match="nonsense"):
        module()


def read_only(folder: Path) -> dict[str, str]:
    """Environment in which neither home nor package (a tree of links in `folder`) has room for numba's files."""
    package = Path(jit.__file__).parent
    for path in package.rglob("*"):
        if "__pycache__" in path.parts or path.is_dir():
            continue
        link = folder / "gwsurrogate_ml" / path.relative_to(package)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
        (link.parent / "__pycache__").touch()  # a file where the folder would be: no permission bits, which root does not heed
    home = {"HOME": NOWHERE, "XDG_CACHE_HOME": NOWHERE, "XDG_CONFIG_HOME": NOWHERE, "MPLCONFIGDIR": str(folder)}
    drop = ("NUMBA_CACHE_DIR", "IPYTHONDIR")
    return {k: v for k, v in os.environ.items() if k not in drop} | home | {"PYTHONPATH": str(folder)}


COMPUTE = """
import logging; logging.basicConfig(format="%(message)s")
import gwsurrogate_ml, numpy as np
from gwsurrogate_ml.waveform.elementary import exponentiate, sine_cosine
sine, cosine, power = np.empty(1), np.empty(1), np.zeros(1)
sine_cosine(np.array([np.pi / 6]), sine, cosine)
exponentiate(power)
print(gwsurrogate_ml.__file__, round(float(sine[0]), 12), power[0])
"""


@pytest.mark.process
@pytest.mark.parametrize("place", ["none", "nowhere", "cache"])
def test_a_read_only_package_and_home_compute_and_ask_once_for_a_folder_which_is_then_used(tmp_path: Path, place: str) -> None:
    environment = read_only(tmp_path / "package")
    environment |= {
        "none": {}, "nowhere": {"NUMBA_CACHE_DIR": NOWHERE}, "cache": {"NUMBA_CACHE_DIR": str(tmp_path / "cache")},
    }[place]  # fmt: skip
    run = [sys.executable, "-c", COMPUTE]
    done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.split() == [str(tmp_path / "package" / "gwsurrogate_ml" / "__init__.py"), "0.5", "1.0"]
    assert done.stderr.count("set NUMBA_CACHE_DIR") == (place != "cache")
    assert (NOWHERE in done.stderr) == (place == "nowhere")
    assert bool(kept(tmp_path)) == (place == "cache")
