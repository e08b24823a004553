"""Compiled loops of the matched filter and the chi-squared test; every one has a plain numpy reference in the tests.

Compiled on first use and cached on disk; they release the GIL and keep no state. `fastmath` is limited to reordering,
because NaN and infinities must survive to be noticed; a division by zero gives an infinity for the same reason.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_REORDER = {"reassoc", "contract", "nsz", "arcp"}


_SPAN = 256
"""Frequencies or times handled together: the weights of a span stay in the first cache, and its loops are vectorised."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
def correlate(
    template: np.ndarray, data: np.ndarray, psd: np.ndarray, kmin: int, kmax: int, out: np.ndarray
) -> tuple[float, float, bool]:  # pragma: no cover - compiled
    """``out[k] = conj(h_k) s_k / S_k`` in the band; returns sum |h|^2 / S, sum |s|^2 / S and whether all S > 0.

    The arrays are real views of complex ones (re, im, re, ...), which the compiler vectorises better. Products are
    formed in the precision of `psd`, and added up in float64 over spans.
    """
    one = psd.dtype.type(1)
    weight = np.empty(_SPAN, psd.dtype)
    total_h, total_s, bad = 0.0, 0.0, 0
    for start in range(kmin, kmax, _SPAN):
        n = min(_SPAN, kmax - start)
        noise = psd[start : start + n]
        h, s = template[2 * start : 2 * (start + n)], data[2 * start : 2 * (start + n)]
        z = out[2 * start : 2 * (start + n)]
        for i in range(n):
            weight[i] = one / noise[i]
        for i in range(n):
            bad += not (noise[i] > 0)
        hh, ss = one * 0, one * 0
        for i in range(n):
            hr, hi, sr, si = h[2 * i] * one, h[2 * i + 1] * one, s[2 * i] * one, s[2 * i + 1] * one
            z[2 * i] = (hr * sr + hi * si) * weight[i]
            z[2 * i + 1] = (hr * si - hi * sr) * weight[i]
            hh += (hr * hr + hi * hi) * weight[i]
            ss += (sr * sr + si * si) * weight[i]
        total_h += hh
        total_s += ss
    return total_h, total_s, bad == 0


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
def correlate_whitened(
    template: np.ndarray, over_whitened: np.ndarray, weights: np.ndarray, kmin: int, kmax: int, out: np.ndarray
) -> float:  # pragma: no cover - compiled
    """``out[k] = conj(h_k) d_k`` for data divided by the PSD before; returns sum |h|^2 weights. Real views, as above."""
    hh = 0.0
    for start in range(kmin, kmax, _SPAN):
        n = min(_SPAN, kmax - start)
        h, d = template[2 * start : 2 * (start + n)], over_whitened[2 * start : 2 * (start + n)]
        z, w = out[2 * start : 2 * (start + n)], weights[start : start + n]
        for i in range(n):
            hr, hi, dr, di = h[2 * i], h[2 * i + 1], d[2 * i], d[2 * i + 1]
            z[2 * i] = hr * dr + hi * di
            z[2 * i + 1] = hr * di - hi * dr
        for i in range(n):
            hr, hi = np.float64(h[2 * i]), np.float64(h[2 * i + 1])
            hh += (hr * hr + hi * hi) * w[i]
    return hh


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
def _loud_spans(z: np.ndarray, floor: float, loud: np.ndarray) -> int:  # pragma: no cover - compiled
    """Mark and count the spans where some |z|^2 >= floor is possible; `z` is a real view.

    If |z|^2 >= floor then one component's square is at least half of it: a test without the pairing of components.
    """
    count = 0
    half = z.dtype.type(0.4999 * floor)
    for b in range(loud.size):
        part = z[2 * _SPAN * b : min(2 * _SPAN * (b + 1), z.size)]
        over = 0
        for i in range(part.size):
            over += part[i] * part[i] >= half
        loud[b] = over > 0
        count += over > 0
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def cluster(z: np.ndarray, threshold: float, window: int) -> np.ndarray:  # pragma: no cover - compiled
    """Samples with |z| >= threshold that no sample within `window` on either side exceeds; ties go to the first.

    `z` is a real view of a complex series. The nearest earlier (later) sample that is louder decides, and a stack finds
    it in one pass for all.
    """
    floor = threshold * threshold
    loud = np.empty((z.size // 2 + _SPAN - 1) // _SPAN, np.bool_)
    n = _SPAN * _loud_spans(z, floor, loud)
    index = np.empty(n, np.int64)
    power = np.empty(n, np.float64)
    n = 0
    for b in range(loud.size):
        if not loud[b]:
            continue
        for i in range(_SPAN * b, min(_SPAN * (b + 1), z.size // 2)):
            p = z[2 * i] * z[2 * i] + z[2 * i + 1] * z[2 * i + 1]
            if p >= floor:
                index[n], power[n] = i, p
                n += 1
    index, power = index[:n], power[:n]
    keep = np.ones(n, np.bool_)
    stack = np.empty(n, np.int64)
    top = 0
    for i in range(n):
        while top > 0 and power[stack[top - 1]] < power[i]:
            top -= 1
        if top > 0 and index[i] - index[stack[top - 1]] <= window:
            keep[i] = False
        stack[top] = i
        top += 1
    top = 0
    for i in range(n - 1, -1, -1):
        while top > 0 and power[stack[top - 1]] <= power[i]:
            top -= 1
        if top > 0 and index[stack[top - 1]] - index[i] <= window:
            keep[i] = False
        stack[top] = i
        top += 1
    return index[keep]


_BLOCK = 512
"""Frequencies whose phases are tabulated at once; the phase of each block's first one is taken anew, exactly."""


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
def binned_sums(
    real: np.ndarray, imag: np.ndarray, edges: np.ndarray, positions: np.ndarray, n_time: int, out: np.ndarray
) -> None:  # pragma: no cover - compiled
    """``out[i, l] = sum_{edges[l] <= k < edges[l+1]} c_k exp(2 pi i k positions[i] / n_time)``.

    The phase is that of the block's first frequency, reduced modulo one turn in float64 before the sine is taken, times a
    table of 512 steps: the error stays at rounding level however long the series is. A float32 correlation is summed in
    float32 inside a block (about 1e-7) and in float64 across blocks.
    """
    n_points = positions.size
    table_r, table_i = np.empty((n_points, _BLOCK), real.dtype), np.empty((n_points, _BLOCK), real.dtype)
    step_r, step_i = np.empty(_BLOCK), np.empty(_BLOCK)
    for p in range(n_points):
        turn = positions[p] / n_time
        step_r[0], step_i[0] = 1.0, 0.0
        filled = 1
        while filled < _BLOCK:  # doubling: nine sines instead of 512, and nine roundings at most
            phase = filled * turn
            phase = 2 * np.pi * (phase - np.floor(phase))
            c, s = np.cos(phase), np.sin(phase)
            for b in range(filled):
                step_r[filled + b] = step_r[b] * c - step_i[b] * s
                step_i[filled + b] = step_r[b] * s + step_i[b] * c
            filled *= 2
        for b in range(_BLOCK):
            table_r[p, b], table_i[p, b] = step_r[b], step_i[b]
        for l in range(out.shape[1]):
            out[p, l] = 0.0
    zero = real.dtype.type(0)
    for l in range(edges.size - 1):
        for start in range(edges[l], edges[l + 1], _BLOCK):
            n = min(_BLOCK, edges[l + 1] - start)
            block_r, block_i = real[start : start + n], imag[start : start + n]
            for p in range(n_points):
                row_r, row_i = table_r[p], table_i[p]
                sum_r, sum_i = zero, zero
                for b in range(n):
                    sum_r += block_r[b] * row_r[b] - block_i[b] * row_i[b]
                    sum_i += block_r[b] * row_i[b] + block_i[b] * row_r[b]
                phase = start * (positions[p] / n_time)
                phase = 2 * np.pi * (phase - np.floor(phase))
                out[p, l] += complex(sum_r, sum_i) * complex(np.cos(phase), np.sin(phase))
