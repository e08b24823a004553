"""Threads over independent pieces of work that spend their time in compiled code or BLAS, which let go of Python's lock.

Each worker's transforms have one thread (`fft.one_thread`), and so have matrix products (`one_blas_thread`): the result of a piece
is the same to the last digit however many workers there are. Work that is in a worker already starts no more of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import TypeVar

import numba
from threadpoolctl import ThreadpoolController

from gwsurrogate_ml.kernels import fft

BLOCK = 64
"""Waveforms worked on at a time: their numbers stay in the cache."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_THIS = threading.local()


@cache
def _openblas() -> ThreadpoolController:
    """numpy's OpenBLAS and scipy's own, which `scipy.linalg` loads."""
    import scipy.linalg  # noqa: F401

    return ThreadpoolController().select(internal_api="openblas")


class _Limit:
    """OpenBLAS's number of threads, one while anybody is inside."""

    def __init__(self) -> None:
        self.lock, self.inside = threading.Lock(), 0
        self.before: list[int] = []

    def enter(self) -> None:
        with self.lock:
            if not self.inside:
                self.before = [library.num_threads for library in _openblas().lib_controllers]
                self._set([1] * len(self.before))
            self.inside += 1

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                self._set(self.before)

    @staticmethod
    def _set(numbers: list[int]) -> None:
        for library, number in zip(_openblas().lib_controllers, numbers, strict=True):
            # It lets only the thread that was first set the number, as long as that one has it; here the last to leave restores it.
            release = getattr(library, "clear_controlling_thread", lambda force: None)
            release(force=True)
            library.set_num_threads(number)
            release(force=True)


_LIMIT = _Limit()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Matrix products by OpenBLAS have one thread in the whole process; the last to leave restores the number before.

    OpenBLAS lets its threads spin for a while after each product, and beside workers of our own they take the cores from these. The
    last digits of products depend on the number too. Products by MKL have one thread in `fft.one_thread`.

    Examples
    --------
    >>> from threadpoolctl import threadpool_info
    >>> with one_blas_thread():
    ...     {library["num_threads"] for library in threadpool_info() if library["internal_api"] == "openblas"} <= {1}
    True
    """
    _LIMIT.enter()
    try:
        yield
    finally:
        _LIMIT.leave()


def each(work: Callable[[_Item], _Result], items: Iterable[_Item], threads: int | None = None) -> list[_Result]:
    """Results of `work` on all items, in their order; several are worked on at the same time.

    Parameters
    ----------
    work : callable
    items : iterable
    threads : int, optional
        by default NUMBA_NUM_THREADS, which are as many as cores unless the environment says otherwise

    Examples
    --------
    >>> each(abs, [-1, 2, -3])
    [1, 2, 3]
    """
    work_items = list(items)
    if threads is None:
        threads = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    threads = min(threads, len(work_items))
    if threads <= 1 or getattr(_THIS, "working", False):
        with fft.one_thread(), one_blas_thread():
            return [work(item) for item in work_items]

    def alone(item: _Item) -> _Result:
        _THIS.working = True  # the pool's thread ends with it
        with fft.one_thread():
            return work(item)

    with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(alone, work_items))


def parts(items: range, least: int = 1) -> list[range]:
    """One part of `items` for each thread that `each` starts by default, of equal lengths to within one, in order.

    Parameters
    ----------
    items : range
    least : int
        fewest items worth a thread: to start one takes up to a millisecond, where a core has to be woken

    Examples
    --------
    >>> sum(len(part) for part in parts(range(0, 50, 5)))
    10
    >>> parts(range(10), least=6)
    [range(0, 10)]
    """
    threads = max(1, min(int(numba.config.NUMBA_NUM_THREADS), len(items) // least))  # type: ignore[attr-defined]
    cuts = [len(items) * k // threads for k in range(threads + 1)]
    return [items[a:b] for a, b in pairwise(cuts)]


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
    each(work, [slice(k, min(k + step, n)) for k in range(0, n, step)], threads)
