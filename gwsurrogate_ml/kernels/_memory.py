"""Large arrays on large pages: fresh memory in pages of 4 KiB costs more than the arithmetic done on it."""

from __future__ import annotations

import math

import numpy as np

_PAGE = 1 << 21
"""Bytes of a large page."""
_LEAST = 1 << 21
"""Arrays smaller than this many bytes come from memory that the process has in hand anyway."""


def empty(shape: int | tuple[int, ...], dtype: np.dtype | type) -> np.ndarray:
    """`numpy.empty`, a large array beginning on a large page where the system has such pages.

    numpy asks for large pages from 4 MiB on, of which only whole ones count: 4 MiB that begin anywhere are one large page and
    512 small ones, each of which costs about a microsecond when it is first touched.

    Examples
    --------
    >>> empty((512, 1024), np.float32).shape
    (512, 1024)
    """
    dtype = np.dtype(dtype)
    n_bytes = math.prod(shape if isinstance(shape, tuple) else (shape,)) * dtype.itemsize
    if n_bytes < _LEAST:
        return np.empty(shape, dtype)
    raw = np.empty(max(n_bytes + _PAGE, 2 * _PAGE), np.uint8)
    start = -raw.ctypes.data % _PAGE
    return raw[start : start + n_bytes].view(dtype).reshape(shape)
