"""Small compiled loops of the spectral kernels; every one has a plain numpy reference in the tests.

Compiled on first use and cached on disk (`cache=True`); they release the GIL and keep no state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from gwsurrogate_ml.jit import njit

_LANES = 64
"""Numbers worked on side by side."""


@intrinsic
def call(typing_context: Any, address: Any, handle: Any, source: Any, target: Any) -> Any:
    """Status of the C function at `address`, called with three pointers: a transform of `fft.native`; 0 is success."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # A C long has 32 bits on some systems; a status fits them everywhere.
        status, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        function = builder.inttoptr(arguments[0], ir.FunctionType(status, [pointer] * 3).as_pointer())
        called = builder.call(function, [builder.inttoptr(a, pointer) for a in arguments[1:]])
        return builder.sext(called, context.get_value_type(signature.return_type))

    return types.intp(*[types.intp] * 4), generate


@njit(nogil=True, error_model="numpy", fastmath=True)
def windowed_row(
    x: np.ndarray, start: int, weights: np.ndarray, detrend: bool, out: np.ndarray
) -> None:  # pragma: no cover - compiled
    """``out = (x[start : start + n] - mean) * weights``; the mean in float64.

    All three arrays have one dtype: a float64 among float32 would halve the speed.
    """
    segment = x[start : start + out.size]
    mean = 0.0
    if detrend:
        for i in range(out.size):
            mean += segment[i]
        mean /= out.size
    level = x.dtype.type(mean)
    for i in range(out.size):
        out[i] = (segment[i] - level) * weights[i]


@njit(nogil=True, error_model="numpy", fastmath=True)
def power_row(z: np.ndarray, row: int, out: np.ndarray) -> None:  # pragma: no cover - compiled
    """``out[b, row, c] = |z[b * width + c]|^2`` for out (n_blocks, n_rows, width); zero beyond the last number."""
    width = out.shape[2]
    for b in range(out.shape[0]):
        m = min(width, z.size - b * width)
        source, target = z[b * width : b * width + m], out[b, row]
        for c in range(m):
            re, im = source[c].real, source[c].imag
            target[c] = re * re + im * im
        target[m:] = 0


@njit(nogil=True, error_model="numpy")
def segment_powers(
    x: np.ndarray,
    first: int,
    last: int,
    stride: int,
    weights: np.ndarray,
    detrend: bool,
    address: int,
    handle: int,
    frame: np.ndarray,
    spectrum: np.ndarray,
    out: np.ndarray,
) -> int:  # pragma: no cover - compiled
    """Powers of the segments `first` to `last` - 1 to `out`, see `power_row`; the first status of a transform that is not 0."""
    for k in range(first, last):
        windowed_row(x, k * stride, weights, detrend, frame)
        status = call(address, handle, frame.ctypes.data, spectrum.ctypes.data)  # type: ignore[call-arg,var-annotated]
        if status != 0:
            return status
        power_row(spectrum, k, out)
    return 0


@njit(nogil=True, error_model="numpy", fastmath=True)
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


@njit(nogil=True, error_model="numpy", fastmath=True)
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


@njit(nogil=True, error_model="numpy", fastmath=True)
def convolved_blocks(
    x: np.ndarray,
    first: int,
    last: int,
    n_taps: int,
    offset: float,
    ends: np.ndarray,
    response: np.ndarray,
    forward: tuple[int, int],
    inverse: tuple[int, int],
    buffers: tuple[np.ndarray, np.ndarray],
    out: np.ndarray,
) -> int:  # pragma: no cover - compiled
    """Samples `first` to `last` of a tapered series convolved with a filter, by overlap-save; a transform's status if not 0.

    The filter's middle tap meets each sample; `response` is its transfer function; `forward` and `inverse` are transforms'
    addresses and handles; `buffers` are as long as a block of samples and its spectrum.
    """
    block, spectrum = buffers
    step = block.size - n_taps + 1
    for start in range(first, last, step):
        tapered_block(x, start - n_taps // 2, offset, ends, block)
        status = call(forward[0], forward[1], block.ctypes.data, spectrum.ctypes.data)  # type: ignore[call-arg,var-annotated]
        if status != 0:
            return status
        for k in range(response.size):
            spectrum[k] *= response[k]
        status = call(inverse[0], inverse[1], spectrum.ctypes.data, block.ctypes.data)
        if status != 0:
            return status
        stop = min(start + step, last)
        for k in range(stop - start):
            out[start + k] = block[n_taps - 1 + k]
    return 0


@njit(nogil=True, error_model="numpy")
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
