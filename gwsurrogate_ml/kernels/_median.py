"""Medians of many columns side by side through a sorting network.

Batcher's odd-even merge sort is a fixed sequence of compare-exchanges, so many columns are sorted side by side with
vector minima and maxima and no branches; exchanges that cannot reach the middle are dropped beforehand. Columns come in blocks
that lie together in memory and are sorted in place: gathered out of the rows of a wide matrix they cost three times as much.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.kernels.threads import each, parts

LANES = 32
"""Columns of a block: with fewer the loop is not vectorised well, with more a block of float64 leaves the first cache."""
_MAX_ROWS = 1024
"""Beyond it the network (n log^2 n) loses to selection (n)."""

_PART = 1 << 22
"""Numbers worth a thread: some 4 ms."""


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


@njit(nogil=True, fastmath={"nnan", "nsz"})
def _network_medians(blocks: np.ndarray, network: np.ndarray, out: np.ndarray) -> None:  # pragma: no cover - compiled
    low, high = (blocks.shape[1] - 1) // 2, blocks.shape[1] // 2
    for b in range(blocks.shape[0]):
        lanes = blocks[b]
        for e in range(network.shape[0]):
            i, j = network[e, 0], network[e, 1]
            for c in range(LANES):
                u, v = lanes[i, c], lanes[j, c]
                lanes[i, c] = min(u, v)
                lanes[j, c] = max(u, v)
        for c in range(LANES):
            out[b, c] = 0.5 * (np.float64(lanes[low, c]) + np.float64(lanes[high, c]))


def block_medians(blocks: np.ndarray) -> np.ndarray:
    """Median over the rows of each block, for each of its columns, the two middle values averaged for an even number of rows.

    Parameters
    ----------
    blocks : contiguous float32 or float64 array (n_blocks, n_rows, LANES), without NaN
        changed: its values are moved about

    Returns
    -------
    float64 (n_blocks, LANES)

    Examples
    --------
    >>> float(block_medians(np.arange(3.0 * LANES).reshape(1, 3, LANES))[0, 0]) == LANES
    True
    """
    if blocks.shape[1] > _MAX_ROWS:
        return np.median(blocks, axis=1).astype(np.float64)
    out = np.empty((blocks.shape[0], LANES), dtype=np.float64)
    network = median_network(blocks.shape[1])

    def some(index: range) -> None:
        part = slice(index.start, index.stop)
        _network_medians(blocks[part], network, out[part])

    each(some, parts(range(len(blocks)), least=_PART // blocks[0].size + 1))
    return out
