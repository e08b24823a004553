"""Compiled loops of the matched filter and the chi-squared test; every one has a plain numpy reference in the tests.

Compiled on first use and cached on disk; they release the GIL and keep no state. `fastmath` is limited to reordering,
because NaN and infinities must survive to be noticed; a division by zero gives an infinity for the same reason.
"""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.jit import njit

REORDER = {"reassoc", "contract", "nsz", "arcp"}


SPAN = 256
"""Frequencies or times handled together: the weights of a span stay in the first cache, and its loops are vectorised."""


@njit(nogil=True, error_model="numpy", fastmath=REORDER)
def correlate(
    template: np.ndarray, data: np.ndarray, psd: np.ndarray, kmin: int, kmax: int, out: np.ndarray
) -> tuple[float, float, bool]:  # pragma: no cover - compiled
    """``out[k] = conj(h_k) s_k / S_k`` in the band; returns sum |h|^2 / S, sum |s|^2 / S and whether all S > 0.

    The arrays are real views of complex ones (re, im, re, ...), which the compiler vectorises better. Products are
    formed in the precision of `psd`, and added up in float64 over spans.
    """
    one = psd.dtype.type(1)
    weight = np.empty(SPAN, psd.dtype)
    total_h, total_s, bad = 0.0, 0.0, 0
    for start in range(kmin, kmax, SPAN):
        n = min(SPAN, kmax - start)
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


@njit(nogil=True, error_model="numpy", fastmath=REORDER)
def correlate_folded(
    template: np.ndarray,
    over_whitened: np.ndarray,
    gain: np.ndarray,
    kmin: int,
    kmax: int,
    out: np.ndarray,
    power: np.ndarray,
) -> float:  # pragma: no cover - compiled
    """``out[k mod n_out] += conj(h_k) d_k`` for data divided by the PSD before; returns sum |h gain|^2, gain = 1/sqrt(S).

    A transform of the folded spectrum gives every (n / n_out)-th sample exactly. `power` gets the sum's parts of spans of
    `SPAN` frequencies from kmin on. Real views, as above; what lies outside the band is set to zero.
    """
    n_out = out.size // 2
    out[: 2 * min(kmin, n_out)] = 0
    out[2 * min(kmax, n_out) :] = 0
    zero = gain.dtype.type(0)
    total = 0.0
    for b in range(power.size):
        start = kmin + b * SPAN
        stop = min(start + SPAN, kmax)
        hh = zero
        h, g = template[2 * start : 2 * stop], gain[start:stop]
        for i in range(stop - start):
            hr, hi = h[2 * i] * g[i], h[2 * i + 1] * g[i]
            hh += hr * hr + hi * hi
        power[b] = hh
        total += hh
        while start < stop:  # a span may cross a fold
            fold = start // n_out
            end = min(stop, (fold + 1) * n_out)
            n = end - start
            h, d = template[2 * start : 2 * end], over_whitened[2 * start : 2 * end]
            z = out[2 * (start - fold * n_out) : 2 * (end - fold * n_out)]
            if fold == 0:
                for i in range(n):
                    hr, hi, dr, di = h[2 * i], h[2 * i + 1], d[2 * i], d[2 * i + 1]
                    z[2 * i] = hr * dr + hi * di
                    z[2 * i + 1] = hr * di - hi * dr
            else:
                for i in range(n):
                    hr, hi, dr, di = h[2 * i], h[2 * i + 1], d[2 * i], d[2 * i + 1]
                    z[2 * i] += hr * dr + hi * di
                    z[2 * i + 1] += hr * di - hi * dr
            start = end
    return total


_BLOCK = 512
"""Frequencies whose phases are tabulated at once; the phase of each block's first one is taken anew, exactly."""


@njit(nogil=True, error_model="numpy")
def _turned(turns: float) -> complex:  # pragma: no cover - compiled
    """``exp(2 pi i turns)``, with whole turns taken off before the sines."""
    phase = 2 * np.pi * (turns - np.floor(turns))
    return complex(np.cos(phase), np.sin(phase))


@njit(nogil=True, error_model="numpy", fastmath=REORDER)
def _phases(positions: np.ndarray, n_time: int, table_r: np.ndarray, table_i: np.ndarray) -> None:  # pragma: no cover - compiled
    """``exp(2 pi i b positions[p] / n_time)`` for b < _BLOCK, by doubling: nine sines instead of 512, and nine roundings."""
    step_r, step_i = np.empty(_BLOCK), np.empty(_BLOCK)
    for p in range(positions.size):
        turn = positions[p] / n_time
        step_r[0], step_i[0] = 1.0, 0.0
        filled = 1
        while filled < _BLOCK:
            phase = filled * turn
            phase = 2 * np.pi * (phase - np.floor(phase))
            c, s = np.cos(phase), np.sin(phase)
            for b in range(filled):
                step_r[filled + b] = step_r[b] * c - step_i[b] * s
                step_i[filled + b] = step_r[b] * s + step_i[b] * c
            filled *= 2
        for b in range(_BLOCK):
            table_r[p, b], table_i[p, b] = step_r[b], step_i[b]


@njit(nogil=True, error_model="numpy", fastmath=REORDER)
def correlation_at(
    template: np.ndarray,
    over_whitened: np.ndarray,
    kmin: int,
    kmax: int,
    positions: np.ndarray,
    n_time: int,
    out: np.ndarray,
) -> None:  # pragma: no cover - compiled
    """``out[p] = sum_{kmin <= k < kmax} conj(h_k) d_k exp(2 pi i k positions[p] / n_time)``, phases as in `binned_sums`."""
    n_points = positions.size
    table_r, table_i = np.empty((n_points, _BLOCK), template.dtype), np.empty((n_points, _BLOCK), template.dtype)
    _phases(positions, n_time, table_r, table_i)
    out[:] = 0.0
    block_r, block_i = np.empty(_BLOCK, template.dtype), np.empty(_BLOCK, template.dtype)
    anchor = np.empty(n_points, np.complex128)
    advance = np.empty(n_points, np.complex128)
    for p in range(n_points):
        advance[p] = _turned(_BLOCK * (positions[p] / n_time))
    zero = template.dtype.type(0)
    for block, start in enumerate(range(kmin, kmax, _BLOCK)):
        n = min(_BLOCK, kmax - start)
        h, d = template[2 * start : 2 * (start + n)], over_whitened[2 * start : 2 * (start + n)]
        for b in range(n):
            hr, hi, dr, di = h[2 * b], h[2 * b + 1], d[2 * b], d[2 * b + 1]
            block_r[b] = hr * dr + hi * di
            block_i[b] = hr * di - hi * dr
        for p in range(n_points):
            if block % 16 == 0:  # two sines cost as much as a third of the block: take them anew now and then
                anchor[p] = _turned(start * (positions[p] / n_time))
            else:
                anchor[p] *= advance[p]
            row_r, row_i = table_r[p], table_i[p]
            sum_r, sum_i = zero, zero
            for b in range(n):
                sum_r += block_r[b] * row_r[b] - block_i[b] * row_i[b]
                sum_i += block_r[b] * row_i[b] + block_i[b] * row_r[b]
            out[p] += complex(sum_r, sum_i) * anchor[p]


_GROUP = 16
"""Samples closer together than this are summed in one pass."""
_SMALL_PHASE = 1e-2
"""Largest phase expanded to second order: the third is two ten-millionths."""


@njit(nogil=True, error_model="numpy", fastmath=REORDER)
def _correlation_near(
    template: np.ndarray,
    over_whitened: np.ndarray,
    kmin: int,
    kmax: int,
    centre: float,
    offsets: np.ndarray,
    n_time: int,
    width: int,
    out: np.ndarray,
) -> None:  # pragma: no cover - compiled
    """`correlation_at` positions ``centre + offsets``, from three sums over each block of `width` <= _BLOCK frequencies.

    exp(2 pi i k (t + o) / N) = exp(2 pi i (k t + m o) / N) (1 + i p x - p^2 x^2 / 2 + O(p^3)) with m the block's middle,
    x = (k - m) / (width / 2) and p = pi o width / N: the sums of c_k exp(2 pi i k t / N) times 1, x and x^2 serve all offsets.
    """
    n_points = offsets.size
    table_r, table_i = np.empty((1, _BLOCK), template.dtype), np.empty((1, _BLOCK), template.dtype)
    _phases(np.array([centre]), n_time, table_r, table_i)
    row_r, row_i = table_r[0, :width], table_i[0, :width]
    x = np.empty(width, template.dtype)
    for b in range(width):
        x[b] = (b - 0.5 * (width - 1)) / (0.5 * width)
    block_r, block_i = np.empty(width, template.dtype), np.empty(width, template.dtype)
    turn_r, turn_i = np.empty(n_points), np.empty(n_points)
    step_r, step_i = np.empty(n_points), np.empty(n_points)
    phase, sum_r, sum_i = np.empty(n_points), np.zeros(n_points), np.zeros(n_points)
    for p in range(n_points):
        turn = _turned(kmin * (centre / n_time) + (kmin + 0.5 * (width - 1)) * (offsets[p] / n_time))
        turn_r[p], turn_i[p] = turn.real, turn.imag
        step = _turned(width * ((centre + offsets[p]) / n_time))
        step_r[p], step_i[p] = step.real, step.imag
        phase[p] = np.pi * offsets[p] * width / n_time
    zero = template.dtype.type(0)
    for start in range(kmin, kmax, width):
        n = min(width, kmax - start)
        h, d = template[2 * start : 2 * (start + n)], over_whitened[2 * start : 2 * (start + n)]
        for b in range(n):
            hr, hi, dr, di = h[2 * b], h[2 * b + 1], d[2 * b], d[2 * b + 1]
            block_r[b] = hr * dr + hi * di
            block_i[b] = hr * di - hi * dr
        r0, r1, r2, i0, i1, i2 = zero, zero, zero, zero, zero, zero
        for b in range(n):
            re = block_r[b] * row_r[b] - block_i[b] * row_i[b]
            im = block_r[b] * row_i[b] + block_i[b] * row_r[b]
            r0 += re
            i0 += im
            r1 += x[b] * re
            i1 += x[b] * im
            r2 += x[b] * x[b] * re
            i2 += x[b] * x[b] * im
        for p in range(n_points):
            half = 0.5 * phase[p] * phase[p]
            re = r0 - phase[p] * i1 - half * r2
            im = i0 + phase[p] * r1 - half * i2
            tr, ti = turn_r[p], turn_i[p]
            sum_r[p] += re * tr - im * ti
            sum_i[p] += re * ti + im * tr
            turn_r[p] = tr * step_r[p] - ti * step_i[p]
            turn_i[p] = tr * step_i[p] + ti * step_r[p]
    for p in range(n_points):
        out[p] = complex(sum_r[p], sum_i[p])


@njit(nogil=True, error_model="numpy")
def correlations(
    template: np.ndarray,
    over_whitened: np.ndarray,
    kmin: int,
    kmax: int,
    positions: np.ndarray,
    n_time: int,
    out: np.ndarray,
) -> None:  # pragma: no cover - compiled
    """`correlation_at` for ascending positions: three or more neighbours, as around a peak, cost little more than two."""
    single = np.empty(positions.size, np.int64)
    n_single = 0
    first = 0
    while first < positions.size:
        last = first + 1
        while last < positions.size and positions[last] - positions[first] < _GROUP:
            last += 1
        centre = 0.5 * (positions[first] + positions[last - 1])
        width = _BLOCK
        while width >= 16 and np.pi * (positions[last - 1] - centre) * width > _SMALL_PHASE * n_time:
            width //= 2
        if last - first < 3 or width < 16:
            for p in range(first, last):
                single[n_single] = p
                n_single += 1
        else:
            offsets = positions[first:last] - centre
            _correlation_near(template, over_whitened, kmin, kmax, centre, offsets, n_time, width, out[first:last])
        first = last
    if n_single > 0:
        chosen = single[:n_single]
        values = np.empty(n_single, np.complex128)
        correlation_at(template, over_whitened, kmin, kmax, positions[chosen], n_time, values)
        out[chosen] = values


@njit(nogil=True, error_model="numpy", fastmath=REORDER)
def binned_sums(
    real: np.ndarray, imag: np.ndarray, edges: np.ndarray, positions: np.ndarray, n_time: int, out: np.ndarray
) -> None:  # pragma: no cover - compiled
    """``out[i, l] = sum_{edges[l] <= k < edges[l+1]} c_k exp(2 pi i k positions[i] / n_time)``.

    The phase is that of the block's first frequency, in float64 and taken anew every 16 blocks, times a table of 512 steps:
    the error stays at rounding level however long the series is. A float32 correlation is summed in
    float32 inside a block (about 1e-7) and in float64 across blocks.
    """
    n_points = positions.size
    table_r, table_i = np.empty((n_points, _BLOCK), real.dtype), np.empty((n_points, _BLOCK), real.dtype)
    _phases(positions, n_time, table_r, table_i)
    anchor, advance = np.empty(n_points, np.complex128), np.empty(n_points, np.complex128)
    for p in range(n_points):
        advance[p] = _turned(_BLOCK * (positions[p] / n_time))
        for l in range(out.shape[1]):
            out[p, l] = 0.0
    zero = real.dtype.type(0)
    for l in range(edges.size - 1):
        for block, start in enumerate(range(edges[l], edges[l + 1], _BLOCK)):
            n = min(_BLOCK, edges[l + 1] - start)
            block_r, block_i = real[start : start + n], imag[start : start + n]
            for p in range(n_points):
                if block % 16 == 0:  # two sines cost as much as a third of the block: take them anew now and then
                    anchor[p] = _turned(start * (positions[p] / n_time))
                else:
                    anchor[p] *= advance[p]
                row_r, row_i = table_r[p], table_i[p]
                sum_r, sum_i = zero, zero
                for b in range(n):
                    sum_r += block_r[b] * row_r[b] - block_i[b] * row_i[b]
                    sum_i += block_r[b] * row_i[b] + block_i[b] * row_r[b]
                out[p, l] += complex(sum_r, sum_i) * anchor[p]
