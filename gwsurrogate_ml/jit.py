"""Compiled functions: numba's `njit`, its code kept on disk where that can be, compiled anew where not.

numba raises at import where neither the package, nor the home, nor NUMBA_CACHE_DIR can be written (a container, a batch job), and
at the first call where the disk is full or the kept code is damaged or another user's. None of that is a reason not to compute.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache

logger = logging.getLogger(__name__)

UNUSABLE = (OSError, EOFError, pickle.UnpicklingError)
"""What numba raises where a file of its cache cannot be read or written, or is damaged."""

_said = False


@cache
def _stamp() -> tuple[float, int]:
    """Latest change and total size of the package's sources with compiled functions."""
    found = [path.stat() for path in Path(__file__).parent.rglob("*.py") if b"jit" in path.read_bytes()]
    return max(x.st_mtime for x in found), sum(x.st_size for x in found)


class _Kept(FunctionCache):
    """numba's cache of one function, which does without where its files are unusable.

    numba compiles a function anew where its own file has changed. Compiled functions contain those that they call, which may stand
    in other files: here a change of any of the package's files with compiled functions counts.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = (self._cache_file._source_stamp, _stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except UNUSABLE as error:
            _say_once(f"{self.cache_path}: {error}")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except UNUSABLE as error:
            _say_once(f"{self.cache_path}: {error}")


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit` with these options; compiled code is kept on disk, or where that cannot be a warning is logged, once.

    Examples
    --------
    >>> @njit(nogil=True)
    ... def double(x):
    ...     return 2 * x
    >>> double(21)
    42
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        try:
            dispatcher._cache = _Kept(function)
        except RuntimeError as error:  # numba's own class for a function that it has no place for
            if "no locator available" not in str(error):
                raise
            _say_once("neither the package nor the home can be written")
        return dispatcher

    return decorate


def _say_once(why: str) -> None:
    """Log a warning with the remedy, the first time in this process."""
    global _said
    if not _said:
        _said = True
        there = f" (it is {numba.config.CACHE_DIR}, which is of no use)" if numba.config.CACHE_DIR else ""  # type: ignore[attr-defined]
        logger.warning(
            "compiled code cannot be kept (%s): every process compiles anew, which takes up to a minute; set NUMBA_CACHE_DIR to a "
            "folder that can be written%s",
            why,
            there,
        )
