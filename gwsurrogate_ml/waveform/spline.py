"""Cubic splines on fixed knots: slopes by one matrix product, evaluation in numba or torch.

With the knots fixed, the not-a-knot spline's slopes are linear in the values: ``slopes = values @ matrix.T``. In Hermite form
the evaluation is then local, differentiable in values and in times, and the same in every backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline

from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.waveform.elementary import sine_cosine

if TYPE_CHECKING:
    import torch


def slope_matrix(knots: np.ndarray) -> np.ndarray:
    """Matrix (n, n) that turns values at `knots` into the slopes of the not-a-knot cubic spline there.

    Examples
    --------
    >>> x = np.linspace(0, 1, 5)
    >>> bool(np.allclose(slope_matrix(x) @ x**3, 3 * x**2))
    True
    """
    return CubicSpline(knots, np.eye(len(knots)), axis=0).derivative()(knots)


@njit(nogil=True)
def _elimination(knots: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Steps, upper diagonal, factors and inverse pivots of the equations for a not-a-knot spline's slopes."""
    n = knots.size
    h = knots[1:] - knots[:-1]
    upper, factor, inverse_pivot = np.zeros(n), np.zeros(n), np.empty(n)
    upper[0] = h[0] + h[1]
    inverse_pivot[0] = 1.0 / h[1]
    for i in range(1, n):
        lower, diagonal = h[n - 2] + h[n - 3], h[n - 3]
        if i < n - 1:
            lower, diagonal, upper[i] = h[i], 2.0 * (h[i - 1] + h[i]), h[i - 1]
        factor[i] = lower * inverse_pivot[i - 1]
        inverse_pivot[i] = 1.0 / (diagonal - factor[i] * upper[i - 1])
    return h, upper, factor, inverse_pivot


@njit(nogil=True)
def slopes(knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Slopes (N, n) of the not-a-knot cubic splines through `values` (N, n) at `knots` (n,), by elimination: O(N n).

    The same numbers as ``values @ slope_matrix(knots).T`` to rounding, for the path that needs no autodiff.
    """
    n = knots.size
    h, upper, factor, inverse_pivot = _elimination(knots)
    out = np.empty(values.shape)
    d = np.empty(n - 1)
    x, y = h[0] + h[1], h[n - 2] + h[n - 3]
    for k in range(values.shape[0]):
        row = out[k]
        for i in range(n - 1):
            d[i] = (values[k, i + 1] - values[k, i]) / h[i]
        row[0] = ((h[0] + 2.0 * x) * h[1] * d[0] + h[0] ** 2 * d[1]) / x
        for i in range(1, n - 1):
            row[i] = 3.0 * (h[i] * d[i - 1] + h[i - 1] * d[i]) - factor[i] * row[i - 1]
        last = (h[n - 2] ** 2 * d[n - 3] + (2.0 * y + h[n - 2]) * h[n - 3] * d[n - 2]) / y
        row[n - 1] = (last - factor[n - 1] * row[n - 2]) * inverse_pivot[n - 1]
        for i in range(n - 2, -1, -1):
            row[i] = (row[i] - upper[i] * row[i + 1]) * inverse_pivot[i]
    return out


@njit(nogil=True)
def column_slopes(knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """`slopes` (n, N) of splines that stand side by side in `values` (n, N): quicker where a few are evaluated together."""
    n, columns = values.shape
    h, upper, factor, inverse_pivot = _elimination(knots)
    out = np.empty(values.shape)
    x, y = h[0] + h[1], h[n - 2] + h[n - 3]
    for k in range(columns):
        d_0, d_1 = (values[1, k] - values[0, k]) / h[0], (values[2, k] - values[1, k]) / h[1]
        out[0, k] = ((h[0] + 2.0 * x) * h[1] * d_0 + h[0] ** 2 * d_1) / x
    for i in range(1, n - 1):
        before, here, after, row, above = values[i - 1], values[i], values[i + 1], out[i], out[i - 1]
        left, right, f = 3.0 * h[i] / h[i - 1], 3.0 * h[i - 1] / h[i], factor[i]
        for k in range(columns):
            row[k] = left * (here[k] - before[k]) + right * (after[k] - here[k]) - f * above[k]
    for k in range(columns):
        d_0, d_1 = (values[n - 2, k] - values[n - 3, k]) / h[n - 3], (values[n - 1, k] - values[n - 2, k]) / h[n - 2]
        last = (h[n - 2] ** 2 * d_0 + (2.0 * y + h[n - 2]) * h[n - 3] * d_1) / y
        out[n - 1, k] = (last - factor[n - 1] * out[n - 2, k]) * inverse_pivot[n - 1]
    for i in range(n - 2, -1, -1):
        row, below, u, pivot = out[i], out[i + 1], upper[i], inverse_pivot[i]
        for k in range(columns):
            row[k] = (row[k] - u * below[k]) * pivot
    return out


@njit(nogil=True)
def _runs(knots: np.ndarray, times: np.ndarray, starts: np.ndarray, intervals: np.ndarray, offset: np.ndarray) -> int:
    """Split `times` (n,) into runs that share one interval of `knots`, and return their number.

    Run r covers ``times[starts[r]:starts[r + 1]]`` and lies in interval ``intervals[r]``; `offset` (n,) becomes the times since the
    interval's knot. Times may be in any order; ascending ones make few runs.
    """
    last = knots.size - 2
    j, r = -1, 0
    for k in range(times.size):
        t = times[k]
        i = max(j, 0)
        while i < last and knots[i + 1] <= t:
            i += 1
        while i > 0 and knots[i] > t:
            i -= 1
        if i != j:
            starts[r], intervals[r] = k, i
            j, r = i, r + 1
        offset[k] = t - knots[i]
    starts[r] = times.size
    return r


@njit(nogil=True)
def _cubics(
    knots: np.ndarray,
    values: np.ndarray,
    slopes: np.ndarray,
    starts: np.ndarray,
    intervals: np.ndarray,
    n_runs: int,
    offset: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the spline with `values` and `slopes` (n_knots,) into `out`, run by run: one cubic in `offset` each."""
    for r in range(n_runs):
        j = intervals[r]
        inverse = 1.0 / (knots[j + 1] - knots[j])
        v, s = values[j], slopes[j]
        d = (values[j + 1] - v) * inverse
        b = (3.0 * d - 2.0 * s - slopes[j + 1]) * inverse
        a = (s + slopes[j + 1] - 2.0 * d) * inverse * inverse
        for k in range(starts[r], starts[r + 1]):
            x = offset[k]
            out[k] = v + x * (s + x * (b + x * a))


@njit(nogil=True)
def hermite(knots: np.ndarray, values: np.ndarray, slopes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Spline with `values` and `slopes` (n_knots,) at `times` (n,), all float64."""
    n = times.size
    starts, intervals = np.empty(n + 1, np.int64), np.empty(n, np.int64)
    offset, out = np.empty(n), np.empty(n)
    runs = _runs(knots, times, starts, intervals, offset)
    _cubics(knots, values, slopes, starts, intervals, runs, offset, out)
    return out


@njit(nogil=True)
def rotating_modes(
    knots: np.ndarray,
    phase: np.ndarray,
    phase_slope: np.ndarray,
    orders: np.ndarray,
    parts: np.ndarray,
    part_slopes: np.ndarray,
    times: np.ndarray,
    modes: np.ndarray,
    weights: np.ndarray,
    sums: np.ndarray,
) -> None:
    """Modes ``h = (re + i im) exp(-i m phase / 2)`` at `times`, and sums of their real and imaginary parts over the modes.

    Parameters
    ----------
    knots, phase, phase_slope : (n_knots,) float64
        the phase is that of the (2,2) mode
    orders : (n_modes,) int64
        each mode's m > 0
    parts, part_slopes : (n_modes, 2, n_knots) float64
        real and imaginary part of each mode in the co-orbital frame; only the knots around `times` are read
    times : (n,) float64, ascending or not, within the knots
    modes : (n_modes, n) complex128, or (0, 0)
        written unless empty
    weights : (n_sums, n_modes, 2) float64
    sums : (n_sums, n) float64
        written: sum over the modes of ``weights[..., 0] h.real + weights[..., 1] h.imag``
    """
    size = 512  # what is worked on at a time stays in the nearest cache
    starts, intervals = np.empty(size + 1, np.int64), np.empty(size, np.int64)
    offset, half, re, im = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    sine, cosine, s, c = np.empty(size), np.empty(size), np.empty(size), np.empty(size)
    for begin in range(0, times.size, size):
        n = min(size, times.size - begin)
        runs = _runs(knots, times[begin : begin + n], starts, intervals, offset)
        _cubics(knots, phase, phase_slope, starts, intervals, runs, offset, half)
        for k in range(n):
            half[k] *= 0.5
        sine_cosine(half[:n], sine, cosine)
        for k in range(n):
            c[k], s[k] = cosine[k], sine[k]
        for w in range(weights.shape[0]):
            sums[w, begin : begin + n] = 0.0
        for m in range(1, orders.max() + 1):
            if m > 1:
                for k in range(n):
                    c[k], s[k] = c[k] * cosine[k] - s[k] * sine[k], s[k] * cosine[k] + c[k] * sine[k]
            for i in range(orders.size):
                if orders[i] != m:
                    continue
                _cubics(knots, parts[i, 0], part_slopes[i, 0], starts, intervals, runs, offset, re)
                _cubics(knots, parts[i, 1], part_slopes[i, 1], starts, intervals, runs, offset, im)
                for k in range(n):
                    re[k], im[k] = re[k] * c[k] + im[k] * s[k], im[k] * c[k] - re[k] * s[k]
                if modes.size:
                    row = modes[i, begin : begin + n]
                    for k in range(n):
                        row[k] = complex(re[k], im[k])
                for w in range(weights.shape[0]):
                    total, a, b = sums[w, begin : begin + n], weights[w, i, 0], weights[w, i, 1]
                    if a == 0.0 and b == 0.0:
                        continue
                    for k in range(n):
                        total[k] += a * re[k] + b * im[k]


def hermite_torch(knots: torch.Tensor, values: torch.Tensor, slopes: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """Splines with `values` and `slopes` (N, R, n_knots) at `times` (N, n): (N, R, n), differentiable in all but the knots."""
    import torch

    j = torch.searchsorted(knots, times.detach(), right=True).clamp(1, knots.numel() - 1) - 1
    h = (knots[j + 1] - knots[j])[:, None]
    x = (times - knots[j])[:, None] / h
    y = 1.0 - x
    j = j[:, None].expand(-1, values.shape[1], -1)
    v0, v1 = torch.gather(values, 2, j), torch.gather(values, 2, j + 1)
    s0, s1 = torch.gather(slopes, 2, j), torch.gather(slopes, 2, j + 1)
    d = v1 - v0
    return v0 + x * (d + y * ((h * s0 - d) * y + (d - h * s1) * x))
