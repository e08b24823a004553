"""Compiled loops that find what is loud in an SNR series; every one has a plain numpy reference in the tests.

As in `_filter`: compiled on first use and cached on disk, without the interpreter's lock, without state.
"""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.kernels._filter import REORDER, SPAN


@njit(nogil=True, error_model="numpy", fastmath=REORDER)
def _loud_spans(z: np.ndarray, floor: float, loud: np.ndarray) -> int:  # pragma: no cover - compiled
    """Mark and count the spans where some |z|^2 >= floor is possible; `z` is a real view.

    If |z|^2 >= floor then one component's square is at least half of it: a test without the pairing of components.
    """
    count = 0
    half = z.dtype.type(0.4999 * floor)
    for b in range(loud.size):
        part = z[2 * SPAN * b : min(2 * SPAN * (b + 1), z.size)]
        over = 0
        for i in range(part.size):
            over += part[i] * part[i] >= half
        loud[b] = over > 0
        count += over > 0
    return count


@njit(nogil=True, error_model="numpy")
def loud(z: np.ndarray, threshold: float) -> np.ndarray:  # pragma: no cover - compiled
    """Ascending indices of the samples with |z| >= threshold; `z` is a real view of a complex series."""
    floor = threshold * threshold
    spans = np.empty((z.size // 2 + SPAN - 1) // SPAN, np.bool_)
    index = np.empty(SPAN * _loud_spans(z, floor, spans), np.int64)
    n = 0
    for b in range(spans.size):
        if not spans[b]:
            continue
        for i in range(SPAN * b, min(SPAN * (b + 1), z.size // 2)):
            if z[2 * i] * z[2 * i] + z[2 * i + 1] * z[2 * i + 1] >= floor:
                index[n] = i
                n += 1
    return index[:n]


@njit(nogil=True, error_model="numpy")
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


@njit(nogil=True, error_model="numpy")
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


@njit(nogil=True, error_model="numpy", fastmath=REORDER)
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


@njit(nogil=True, error_model="numpy")
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


@njit(nogil=True, error_model="numpy")
def loudest(index: np.ndarray, z: np.ndarray, threshold: float, window: int) -> np.ndarray:  # pragma: no cover - compiled
    """Positions among some samples (ascending `index`) of those above the threshold that are local maxima."""
    power = np.empty(index.size, np.float64)
    for i in range(index.size):
        power[i] = z[i].real * z[i].real + z[i].imag * z[i].imag
    above = np.flatnonzero(power >= threshold * threshold)
    return above[local_maxima(index[above], power[above], window)]


@njit(nogil=True, error_model="numpy")
def cluster(z: np.ndarray, threshold: float, window: int) -> np.ndarray:  # pragma: no cover - compiled
    """Samples with |z| >= threshold that no sample within `window` on either side exceeds; `z` is a real view."""
    index = loud(z, threshold)
    power = np.empty(index.size, np.float64)
    for j in range(index.size):
        i = index[j]
        power[j] = z[2 * i] * z[2 * i] + z[2 * i + 1] * z[2 * i + 1]
    return index[local_maxima(index, power, window)]
