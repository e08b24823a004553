"""Median along the first axis of a matrix, many columns at a time through a sorting network.

Batcher's odd-even merge sort is a fixed sequence of compare-exchanges, so many columns are sorted side by side with
vector minima and maxima and no branches; exchanges that cannot reach the middle are dropped beforehand.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import njit

_LANES = 32
"""Columns side by side: fewer and the loop is not vectorised, more and a block of float64 leaves the first cache."""
_MAX_ROWS = 1024
"""Beyond it the network (n log^2 n) loses to selection (n)."""


@lru_cache(maxsize=16)
def median_network(n: int) -> np.ndarray:
    """Compare-exchanges (i < j) that bring the median(s) of `n` values to indices (n - 1) // 2 and n // 2.

    Returns
    -------
    int64 (n_exchanges, 2), read-only

    Examples
    --------
    >>> len(median_network(3))
    3
    """
    pairs: list[tuple[int, int]] = []
    p = 1
    while p < n:
        k = p
        while k >= 1:
            for j in range(k % p, n - k, 2 * k):
                for i in range(min(k, n - j - k)):
                    if (i + j) // (2 * p) == (i + j + k) // (2 * p):
                        pairs.append((i + j, i + j + k))
            k //= 2
        p *= 2
    needed = {(n - 1) // 2, n // 2}
    kept = []
    for i, j in reversed(pairs):
        if i in needed or j in needed:
            kept.append((i, j))
            needed |= {i, j}
    network = np.array(kept[::-1], dtype=np.int64).reshape(-1, 2)
    network.setflags(write=False)
    return network


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz"})
def _network_median(x: np.ndarray, network: np.ndarray, out: np.ndarray) -> None:  # pragma: no cover - compiled
    rows, columns = x.shape
    low, high = (rows - 1) // 2, rows // 2
    lanes = np.zeros((rows, _LANES), dtype=x.dtype)
    for first in range(0, columns, _LANES):
        width = min(_LANES, columns - first)
        for r in range(rows):
            for c in range(width):
                lanes[r, c] = x[r, first + c]
        for e in range(network.shape[0]):
            a, b = lanes[network[e, 0]], lanes[network[e, 1]]
            for c in range(_LANES):
                u, v = a[c], b[c]
                a[c] = u if u < v else v
                b[c] = v if u < v else u
        for c in range(width):
            out[first + c] = 0.5 * (np.float64(lanes[low, c]) + np.float64(lanes[high, c]))


def column_median(x: np.ndarray) -> np.ndarray:
    """Median of each column, the two middle values averaged for an even number of rows.

    Parameters
    ----------
    x : float32 or float64 array (n_rows, n_columns), without NaN

    Returns
    -------
    float64 (n_columns,)

    Examples
    --------
    >>> column_median(np.array([[1.0, 5.0], [3.0, 4.0], [2.0, 9.0]]))
    array([2., 5.])
    """
    if x.shape[0] > _MAX_ROWS:
        return np.median(x, axis=0).astype(np.float64)
    out = np.empty(x.shape[1], dtype=np.float64)
    _network_median(np.ascontiguousarray(x), median_network(x.shape[0]), out)
    return out
