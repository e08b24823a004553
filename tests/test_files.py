"""Files are whole whoever writes them, and however many at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gwsurrogate_ml.files import whole_file


def test_threads_may_write_one_path_at_the_same_time(tmp_path: Path) -> None:
    together = threading.Barrier(4, timeout=10)

    def write(text: str) -> None:
        with whole_file(tmp_path / "a.txt") as temporary:
            temporary.write_text(text)
            together.wait()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, ("one", "two", "three", "four")))
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() in ("one", "two", "three", "four")
