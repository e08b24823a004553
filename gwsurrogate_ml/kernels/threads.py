"""Threads over independent pieces of work that spend their time in compiled code or BLAS, which let go of Python's lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba

BLOCK = 64
"""Waveforms worked on at a time: their numbers stay in the cache."""


def in_threads(work: Callable[[slice], None], n: int, block: int = BLOCK) -> None:
    """Call `work` on consecutive parts of range(`n`), in NUMBA_NUM_THREADS threads (by default, as many as cores).

    Parameters
    ----------
    work : callable
        takes a slice; parts may be worked on at the same time and in any order
    n : int
    block : int
        most items in a part

    Examples
    --------
    >>> done = []
    >>> in_threads(lambda part: done.append((part.start, part.stop)), 5, block=2)
    >>> sorted(done)
    [(0, 2), (2, 4), (4, 5)]
    """
    threads: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    step = max(1, min(block, -(-n // threads)))
    parts = [slice(k, min(k + step, n)) for k in range(0, n, step)]
    if threads == 1 or len(parts) <= 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, parts))
