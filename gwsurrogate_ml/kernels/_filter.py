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
    `_SPAN` frequencies from kmin on. Real views, as above; what lies outside the band is set to zero.
    """
    n_out = out.size // 2
    out[: 2 * min(kmin, n_out)] = 0
    out[2 * min(kmax, n_out) :] = 0
    zero = gain.dtype.type(0)
    total = 0.0
    for b in range(power.size):
        start = kmin + b * _SPAN
        stop = min(start + _SPAN, kmax)
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


@njit(cache=True, nogil=True, error_model="numpy")
def _turned(turns: float) -> complex:  # pragma: no cover - compiled
    """``exp(2 pi i turns)``, with whole turns taken off before the sines."""
    phase = 2 * np.pi * (turns - np.floor(turns))
    return complex(np.cos(phase), np.sin(phase))


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
def _phases(
    positions: np.ndarray, n_time: int, table_r: np.ndarray, table_i: np.ndarray
) -> None:  # pragma: no cover - compiled
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


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
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


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
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


@njit(cache=True, nogil=True, error_model="numpy")
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
def loud(z: np.ndarray, threshold: float) -> np.ndarray:  # pragma: no cover - compiled
    """Ascending indices of the samples with |z| >= threshold; `z` is a real view of a complex series."""
    floor = threshold * threshold
    spans = np.empty((z.size // 2 + _SPAN - 1) // _SPAN, np.bool_)
    index = np.empty(_SPAN * _loud_spans(z, floor, spans), np.int64)
    n = 0
    for b in range(spans.size):
        if not spans[b]:
            continue
        for i in range(_SPAN * b, min(_SPAN * (b + 1), z.size // 2)):
            if z[2 * i] * z[2 * i] + z[2 * i + 1] * z[2 * i + 1] >= floor:
                index[n] = i
                n += 1
    return index[:n]


@njit(cache=True, nogil=True, error_model="numpy")
def local_maxima(index: np.ndarray, power: np.ndarray, window: int) -> np.ndarray:  # pragma: no cover - compiled
    """Which of some samples (ascending `index`) no other within `window` on either side exceeds; ties go to the first.

    The nearest earlier (later) sample that is louder decides, and a stack finds it in one pass for all.
    """
    n = index.size
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
    return keep


@njit(cache=True, nogil=True, error_model="numpy")
def near_maxima(
    index: np.ndarray, z: np.ndarray, window: int, ratio: float, margin: float
) -> np.ndarray:  # pragma: no cover - compiled
    """Which of some samples (ascending `index`, complex `z`) come near the maximum m within `window`.

    |z| >= ratio m - margin, what noise needs, or |z| >= (2 ratio - 1) m: what a loud signal unlike the template may need.

    One pass forward and one backward, each with a queue that holds falling maxima.
    """
    n = index.size
    size = np.empty(n, np.float64)
    for i in range(n):
        size[i] = np.abs(z[i])
    highest = size.copy()
    queue = np.empty(n, np.int64)
    for direction in (1, -1):
        head, tail = 0, 0
        for step in range(n):
            i = step if direction == 1 else n - 1 - step
            while tail > head and size[queue[tail - 1]] <= size[i]:
                tail -= 1
            queue[tail] = i
            tail += 1
            while abs(index[i] - index[queue[head]]) > window:
                head += 1
            highest[i] = max(highest[i], size[queue[head]])
    return (size >= ratio * highest - margin) | (size >= (2 * ratio - 1) * highest)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
def predictor(
    power: np.ndarray, turn: np.ndarray, step: int
) -> tuple[float, np.ndarray, np.ndarray]:  # pragma: no cover - compiled
    """How samples between every step-th one follow from their two neighbours, for noise filtered by one template.

    `power` (n,) are parts of the template's norm, `turn` (2, n_lags, n) cosine and sine of their frequencies' phases at
    lags 0, 1, ... Returns |R| at half a step, the weights (2, step - 1) of the best linear prediction and its remaining
    variance (step - 1,), where R is the template's autocorrelation.
    """
    r = np.empty(step + 1, np.complex128)
    for lag in range(step + 1):
        re, im = 0.0, 0.0
        for i in range(power.size):
            re += turn[0, lag, i] * power[i]
            im += turn[1, lag, i] * power[i]
        r[lag] = complex(re, im)
    r /= r[0].real
    determinant = max(1.0 - np.abs(r[step]) ** 2, 1e-12)
    weights = np.empty((2, step - 1), np.complex128)
    left = np.empty(step - 1)
    for j in range(1, step):
        before, after = r[j], np.conj(r[step - j])
        weights[0, j - 1] = (before - r[step] * after) / determinant
        weights[1, j - 1] = (after - np.conj(r[step]) * before) / determinant
        explained = weights[0, j - 1] * np.conj(before) + weights[1, j - 1] * np.conj(after)
        left[j - 1] = max(1.0 - explained.real, 0.0)
    return min(np.abs(r[step // 2]), 1.0), weights, left


@njit(cache=True, nogil=True, error_model="numpy")
def candidates(
    coarse: np.ndarray,
    step: int,
    ratio: float,
    margin: float,
    weights: np.ndarray,
    spread: np.ndarray,
    threshold: float,
    window: int,
) -> tuple[np.ndarray, np.ndarray]:  # pragma: no cover - compiled
    """Full-rate samples (ascending) that may be triggers, from every step-th sample, and what is known of them.

    That is the coarse value itself, or the prediction from both neighbours: see `predictor`. Beside a louder sample
    nothing counts within `window`, so that few remain.
    """
    n = coarse.size
    near = loud(coarse.view(coarse.real.dtype), max(ratio * threshold - margin, 0.0))
    near = near[near_maxima(near, coarse[near], max(0, window // step - 1), ratio, margin)]
    index = np.empty(near.size * (2 * step - 1), np.int64)
    z = np.empty(index.size, np.complex128)
    doubt = 2 * (1 - ratio)
    found = 0
    last = -1
    # The interval before sample 0 is the last one of the periodic series: it is taken at the end.
    wraps = near.size > 0 and near[0] == 0 and near[-1] != n - 1
    for i in near:
        for before in (i - 1, i):
            if before > last:
                last = before
                for j in range(1, step):
                    value = coarse[before] * weights[0, j - 1] + coarse[(before + 1) % n] * weights[1, j - 1]
                    if np.abs(value) + max(spread[j - 1], doubt * np.abs(value)) >= threshold:
                        index[found], z[found] = before * step + j, value
                        found += 1
            if before == i - 1:
                index[found], z[found] = i * step, coarse[i]
                found += 1
    if wraps:
        for j in range(1, step):
            value = coarse[n - 1] * weights[0, j - 1] + coarse[0] * weights[1, j - 1]
            if np.abs(value) + max(spread[j - 1], doubt * np.abs(value)) >= threshold:
                index[found], z[found] = (n - 1) * step + j, value
                found += 1
    index, z = index[:found], z[:found]
    widest = 0.0
    for s in spread:
        widest = max(widest, 2 * s)
    keep = near_maxima(index, z, window, 1.0 - doubt, 0.0) | near_maxima(index, z, window, 1.0, widest)
    return index[keep], z[keep]


@njit(cache=True, nogil=True, error_model="numpy")
def loudest(
    index: np.ndarray, z: np.ndarray, threshold: float, window: int
) -> np.ndarray:  # pragma: no cover - compiled
    """Positions among some samples (ascending `index`) of those above the threshold that are local maxima."""
    power = np.empty(index.size, np.float64)
    for i in range(index.size):
        power[i] = z[i].real * z[i].real + z[i].imag * z[i].imag
    above = np.flatnonzero(power >= threshold * threshold)
    return above[local_maxima(index[above], power[above], window)]


@njit(cache=True, nogil=True, error_model="numpy")
def cluster(z: np.ndarray, threshold: float, window: int) -> np.ndarray:  # pragma: no cover - compiled
    """Samples with |z| >= threshold that no sample within `window` on either side exceeds; `z` is a real view."""
    index = loud(z, threshold)
    power = np.empty(index.size, np.float64)
    for j in range(index.size):
        i = index[j]
        power[j] = z[2 * i] * z[2 * i] + z[2 * i + 1] * z[2 * i + 1]
    return index[local_maxima(index, power, window)]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
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
