"""Cubic splines on fixed knots: slopes by one matrix product, evaluation in numba (uniform times) or torch (any times).

With the knots fixed, the not-a-knot spline's slopes are linear in the values: ``slopes = values @ matrix.T``. In Hermite form
the evaluation is then local, differentiable in values and in times, and the same in every backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
from scipy.interpolate import CubicSpline

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


@numba.njit(cache=True, nogil=True)
def slopes(knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Slopes (N, n) of the not-a-knot cubic splines through `values` (N, n) at `knots` (n,), by elimination: O(N n).

    The same numbers as ``values @ slope_matrix(knots).T`` to rounding, for the path that needs no autodiff.
    """
    n = knots.size
    h = knots[1:] - knots[:-1]
    lower, diagonal, upper = np.zeros(n), np.zeros(n), np.zeros(n)
    diagonal[0], upper[0] = h[1], h[0] + h[1]
    diagonal[n - 1], lower[n - 1] = h[n - 3], h[n - 2] + h[n - 3]
    for i in range(1, n - 1):
        lower[i], diagonal[i], upper[i] = h[i], 2.0 * (h[i - 1] + h[i]), h[i - 1]
    # One elimination serves all rows of values.
    factor, pivot = np.zeros(n), np.empty(n)
    pivot[0] = diagonal[0]
    for i in range(1, n):
        factor[i] = lower[i] / pivot[i - 1]
        pivot[i] = diagonal[i] - factor[i] * upper[i - 1]
    out = np.empty(values.shape)
    d = np.empty(n - 1)
    for k in range(values.shape[0]):
        row = out[k]
        for i in range(n - 1):
            d[i] = (values[k, i + 1] - values[k, i]) / h[i]
        x = h[0] + h[1]
        row[0] = ((h[0] + 2.0 * x) * h[1] * d[0] + h[0] ** 2 * d[1]) / x
        x = h[n - 2] + h[n - 3]
        row[n - 1] = (h[n - 2] ** 2 * d[n - 3] + (2.0 * x + h[n - 2]) * h[n - 3] * d[n - 2]) / x
        for i in range(1, n - 1):
            row[i] = 3.0 * (h[i] * d[i - 1] + h[i - 1] * d[i])
        for i in range(1, n):
            row[i] -= factor[i] * row[i - 1]
        row[n - 1] /= pivot[n - 1]
        for i in range(n - 2, -1, -1):
            row[i] = (row[i] - upper[i] * row[i + 1]) / pivot[i]
    return out


@numba.njit(cache=True, nogil=True)
def locate(knots: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interval index (n,) and fraction (n,) in [0, 1] of each of `times` (ascending or not) within `knots`."""
    index = np.empty(times.size, np.int64)
    fraction = np.empty(times.size)
    j = 0
    last = knots.size - 2
    for i in range(times.size):
        t = times[i]
        while j < last and knots[j + 1] <= t:
            j += 1
        while j > 0 and knots[j] > t:
            j -= 1
        index[i] = j
        fraction[i] = (t - knots[j]) / (knots[j + 1] - knots[j])
    return index, fraction


@numba.njit(cache=True, nogil=True)
def hermite(knots: np.ndarray, values: np.ndarray, slopes: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Spline with `values` and `slopes` (n_knots,) at `times` (n,), all float64."""
    out = np.empty(times.size)
    index, fraction = locate(knots, times)
    for i in range(times.size):
        j = index[i]
        x = fraction[i]
        h = knots[j + 1] - knots[j]
        d = values[j + 1] - values[j]
        a = h * slopes[j] - d
        b = d - h * slopes[j + 1]
        out[i] = values[j] + x * d + x * (1 - x) * (a * (1 - x) + b * x)
    return out


@numba.njit(cache=True, nogil=True)
def hermite_cosine(
    knots: np.ndarray,
    amplitude: np.ndarray,
    amplitude_slope: np.ndarray,
    phase: np.ndarray,
    phase_slope: np.ndarray,
    first: float,
    step: float,
    out: np.ndarray,
) -> None:
    """Write amplitude * cos(phase) at ``first + step * k`` into `out` (n,), without any intermediate array.

    The times must lie within the knots; amplitudes, phases and their slopes are (n_knots,) float64.
    """
    j = 0
    last = knots.size - 2
    for k in range(out.size):
        t = first + step * k
        while j < last and knots[j + 1] <= t:
            j += 1
        h = knots[j + 1] - knots[j]
        x = (t - knots[j]) / h
        y = 1.0 - x
        d = amplitude[j + 1] - amplitude[j]
        value = amplitude[j] + x * (d + y * ((h * amplitude_slope[j] - d) * y + (d - h * amplitude_slope[j + 1]) * x))
        d = phase[j + 1] - phase[j]
        angle = phase[j] + x * (d + y * ((h * phase_slope[j] - d) * y + (d - h * phase_slope[j + 1]) * x))
        out[k] = value * np.cos(angle)


@numba.njit(cache=True, nogil=True)
def hermite_rotating(
    knots: np.ndarray,
    phase: np.ndarray,
    phase_slope: np.ndarray,
    orders: np.ndarray,
    falling: np.ndarray,
    falling_slope: np.ndarray,
    rising: np.ndarray,
    rising_slope: np.ndarray,
    first: float,
    step: float,
    out: np.ndarray,
) -> None:
    """Write sum_m [falling_m exp(-i m phase / 2) + rising_m exp(+i m phase / 2)] at ``first + step * k`` into `out` (n,) complex.

    `phase` (n_knots,) is that of the (2,2) mode; `orders` (M,) the integers m > 0; `falling` and `rising` (M, n_knots)
    complex amplitudes that vary slowly, with their slopes.
    """
    j = 0
    last = knots.size - 2
    for k in range(out.size):
        t = first + step * k
        while j < last and knots[j + 1] <= t:
            j += 1
        h = knots[j + 1] - knots[j]
        x = (t - knots[j]) / h
        y = 1.0 - x
        # Hermite weights of the two values and the two slopes.
        v0, v1 = y * y * (1.0 + 2.0 * x), x * x * (1.0 + 2.0 * y)
        s0, s1 = h * x * y * y, -h * x * x * y
        half = 0.5 * (v0 * phase[j] + v1 * phase[j + 1] + s0 * phase_slope[j] + s1 * phase_slope[j + 1])
        turn = complex(np.cos(half), -np.sin(half))
        power = 1.0 + 0.0j
        done = 0
        total = 0.0j
        for i in range(orders.size):
            while done < orders[i]:
                power *= turn
                done += 1
            a = v0 * falling[i, j] + v1 * falling[i, j + 1] + s0 * falling_slope[i, j] + s1 * falling_slope[i, j + 1]
            b = v0 * rising[i, j] + v1 * rising[i, j + 1] + s0 * rising_slope[i, j] + s1 * rising_slope[i, j + 1]
            total += a * power + b * power.conjugate()
        out[k] = total


def hermite_torch(knots: torch.Tensor, values: torch.Tensor, slopes: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """Splines with `values` and `slopes` (N, n_knots) at `times` (N, n): (N, n), differentiable in all but the knots."""
    import torch

    j = torch.searchsorted(knots, times.detach(), right=True).clamp(1, knots.numel() - 1) - 1
    left, right = knots[j], knots[j + 1]
    h = right - left
    x = (times - left) / h
    y = 1.0 - x
    v0, v1 = torch.gather(values, 1, j), torch.gather(values, 1, j + 1)
    s0, s1 = torch.gather(slopes, 1, j), torch.gather(slopes, 1, j + 1)
    d = v1 - v0
    return v0 + x * (d + y * ((h * s0 - d) * y + (d - h * s1) * x))
