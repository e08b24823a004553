"""Small compiled loops of the spectral kernels; every one has a plain numpy reference in the tests.

Compiled on first use and cached on disk (`cache=True`); they release the GIL and keep no state.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_LANES = 64
"""Numbers worked on side by side."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def windowed_rows(
    x: np.ndarray, start: int, stride: int, weights: np.ndarray, detrend: bool, out: np.ndarray
) -> None:  # pragma: no cover - compiled
    """Rows of `out` become ``(x[s : s + n] - mean) * weights`` with s = start + row * stride; the mean in float64.

    All three arrays have one dtype: a float64 among float32 would halve the speed.
    """
    rows, n = out.shape
    for r in range(rows):
        segment = x[start + r * stride : start + r * stride + n]
        mean = 0.0
        if detrend:
            for i in range(n):
                mean += segment[i]
            mean /= n
        level = x.dtype.type(mean)
        for i in range(n):
            out[r, i] = (segment[i] - level) * weights[i]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def power_blocks(z: np.ndarray, first: int, out: np.ndarray) -> None:  # pragma: no cover - compiled
    """``out[b, first + r, c] = |z[r, b * width + c]|^2`` for out (n_blocks, n_rows, width); zero beyond the last column."""
    rows, n = z.shape
    width = out.shape[2]
    for b in range(out.shape[0]):
        m = min(width, n - b * width)
        for r in range(rows):
            source, target = z[r, b * width : b * width + m], out[b, first + r]
            for c in range(m):
                re, im = source[c].real, source[c].imag
                target[c] = re * re + im * im
            target[m:] = 0


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def largest(x: np.ndarray) -> float:  # pragma: no cover - compiled
    """Largest |x| of finite numbers, many side by side: the compiler does not vectorise one running maximum."""
    found = np.zeros(_LANES, x.dtype)
    whole = x.size - x.size % _LANES
    for first in range(0, whole, _LANES):
        part = x[first : first + _LANES]
        for c in range(_LANES):
            found[c] = max(found[c], abs(part[c]))
    for i in range(whole, x.size):
        found[0] = max(found[0], abs(x[i]))
    return found.max()


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def tapered_block(
    x: np.ndarray, start: int, offset: float, ends: np.ndarray, out: np.ndarray
) -> None:  # pragma: no cover - compiled
    """``out[i] = (x[start + i] - offset) * taper``, zero before the first and after the last sample of `x`.

    The taper is `ends` (2 n,): its first half over the first n samples of `x`, its second half over the last n.
    """
    n, half = x.size, ends.size // 2
    first, last = min(max(0, -start), out.size), max(min(out.size, n - start), 0)
    out[:first] = 0
    out[max(last, first) :] = 0
    shift = x.dtype.type(offset)
    for i in range(first, last):
        out[i] = x[start + i] - shift
    for i in range(first, min(last, half - start)):
        out[i] *= ends[start + i]
    for i in range(max(first, n - half - start), last):
        out[i] *= ends[start + i - n + 2 * half]


@njit(cache=True, nogil=True, error_model="numpy")
def lerp_uniform(values: np.ndarray, step: float, length: int) -> np.ndarray:  # pragma: no cover - compiled
    """`values` at positions ``step * arange(length)`` (in samples), linear in between, the last value beyond the end.

    At a grid point the value itself is returned, so that an infinity does not turn into NaN.
    """
    out = np.empty(length, dtype=np.float64)
    last = values.size - 1
    for i in range(length):
        position = i * step
        k = int(position)
        if k >= last:
            out[i] = values[last]
            continue
        w = position - k
        if w == 0.0:
            out[i] = values[k]
        elif values[k] == np.inf or values[k + 1] == np.inf:
            out[i] = np.inf
        else:
            out[i] = values[k] + w * (values[k + 1] - values[k])
    return out
