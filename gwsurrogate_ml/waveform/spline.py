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

    The same numbers as ``values @ slope_matrix(knots).T`` to rounding, for the path that needs no autodiff. Each step of an
    elimination waits for the one before: eight rows go together, side by side in memory.
    """
    n = knots.size
    h = knots[1:] - knots[:-1]
    inverse_h = 1.0 / h
    lower, upper, factor, inverse_pivot = np.zeros(n), np.zeros(n), np.zeros(n), np.empty(n)
    upper[0], lower[n - 1] = h[0] + h[1], h[n - 2] + h[n - 3]
    inverse_pivot[0] = inverse_h[1]
    for i in range(1, n):
        diagonal = h[n - 3]
        if i < n - 1:
            lower[i], diagonal, upper[i] = h[i], 2.0 * (h[i - 1] + h[i]), h[i - 1]
        factor[i] = lower[i] * inverse_pivot[i - 1]
        inverse_pivot[i] = 1.0 / (diagonal - factor[i] * upper[i - 1])
    out = np.empty(values.shape)
    d, row = np.zeros((n - 1, 8)), np.zeros((n, 8))
    for start in range(0, values.shape[0], 8):
        width = min(8, values.shape[0] - start)
        for k in range(width):
            for i in range(n - 1):
                d[i, k] = (values[start + k, i + 1] - values[start + k, i]) * inverse_h[i]
        x, y = h[0] + h[1], h[n - 2] + h[n - 3]
        for k in range(8):
            row[0, k] = ((h[0] + 2.0 * x) * h[1] * d[0, k] + h[0] ** 2 * d[1, k]) / x
        for i in range(1, n - 1):
            for k in range(8):
                row[i, k] = 3.0 * (h[i] * d[i - 1, k] + h[i - 1] * d[i, k]) - factor[i] * row[i - 1, k]
        for k in range(8):
            last = (h[n - 2] ** 2 * d[n - 3, k] + (2.0 * y + h[n - 2]) * h[n - 3] * d[n - 2, k]) / y
            row[n - 1, k] = (last - factor[n - 1] * row[n - 2, k]) * inverse_pivot[n - 1]
        for i in range(n - 2, -1, -1):
            for k in range(8):
                row[i, k] = (row[i, k] - upper[i] * row[i + 1, k]) * inverse_pivot[i]
        for k in range(width):
            for i in range(n):
                out[start + k, i] = row[i, k]
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
def sine_cosine(angle: np.ndarray, sine: np.ndarray, cosine: np.ndarray) -> None:
    """Write sines and cosines of `angle` (n,), |angle| < 2e4, with errors below 1e-15.

    Taylor polynomials for a quarter of the angle within a turn, then the double angle twice: no branches and no calls, so that the
    loop runs in vector instructions, several times faster than the libraries' functions of one number.
    """
    for i in range(angle.size):
        turns = np.floor(angle[i] * 0.15915494309189535 + 0.5)
        # 2 pi in two parts, the first with so few bits that its product with `turns` is exact
        y = 0.25 * ((angle[i] - turns * 6.283185307176609) - turns * 2.9774189921946493e-12)
        z = y * y
        s = -1.0 / 1307674368000.0 + z * (1.0 / 355687428096000.0)
        s = -1.0 / 39916800.0 + z * (1.0 / 6227020800.0 + z * s)
        s = -1.0 / 5040.0 + z * (1.0 / 362880.0 + z * s)
        s = y + y * z * (-1.0 / 6.0 + z * (1.0 / 120.0 + z * s))
        c = 1.0 / 20922789888000.0 + z * (-1.0 / 6402373705728000.0)
        c = 1.0 / 479001600.0 + z * (-1.0 / 87178291200.0 + z * c)
        c = 1.0 / 40320.0 + z * (-1.0 / 3628800.0 + z * c)
        c = 1.0 + z * (-0.5 + z * (1.0 / 24.0 + z * (-1.0 / 720.0 + z * c)))
        s, c = 2.0 * s * c, 1.0 - 2.0 * s * s
        sine[i], cosine[i] = 2.0 * s * c, 1.0 - 2.0 * s * s


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
    """Write amplitude * cos(phase) at ``first + step * k`` into `out` (n,).

    The times must lie within the knots; amplitudes, phases and their slopes are (n_knots,) float64.
    """
    angle, sine, cosine = np.empty(out.size), np.empty(out.size), np.empty(out.size)
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
        out[k] = amplitude[j] + x * (d + y * ((h * amplitude_slope[j] - d) * y + (d - h * amplitude_slope[j + 1]) * x))
        d = phase[j + 1] - phase[j]
        angle[k] = phase[j] + x * (d + y * ((h * phase_slope[j] - d) * y + (d - h * phase_slope[j + 1]) * x))
    sine_cosine(angle, sine, cosine)
    for k in range(out.size):
        out[k] *= cosine[k]


@numba.njit(cache=True, nogil=True)
def hermite_rotating(
    knots: np.ndarray,
    phase: np.ndarray,
    phase_slope: np.ndarray,
    orders: np.ndarray,
    weights: np.ndarray,
    weight_slopes: np.ndarray,
    first: float,
    step: float,
    plus: np.ndarray,
    cross: np.ndarray,
) -> None:
    """Write two sums over m of ``p_m cos(m phase / 2) + q_m sin(m phase / 2)`` at ``first + step * k`` into `plus`, `cross` (n,).

    `phase` (n_knots,) is that of the (2,2) mode; `orders` (M,) the integers m > 0, ascending; `weights` (M, 4, n_knots) p and q of
    `plus`, then of `cross`, which vary slowly, with their slopes.
    """
    n = plus.size
    half, sine, cosine = np.empty(n), np.empty(n), np.empty(n)
    index, fraction = np.empty(n, np.int64), np.empty(n)
    j = 0
    last = knots.size - 2
    for k in range(n):
        t = first + step * k
        while j < last and knots[j + 1] <= t:
            j += 1
        h = knots[j + 1] - knots[j]
        x = (t - knots[j]) / h
        y = 1.0 - x
        d = phase[j + 1] - phase[j]
        half[k] = 0.5 * (phase[j] + x * (d + y * ((h * phase_slope[j] - d) * y + (d - h * phase_slope[j + 1]) * x)))
        index[k], fraction[k] = j, x
    sine_cosine(half, sine, cosine)
    for k in range(n):
        j, x = index[k], fraction[k]
        h = knots[j + 1] - knots[j]
        y = 1.0 - x
        # Hermite weights of the two values and the two slopes.
        v0, v1 = y * y * (1.0 + 2.0 * x), x * x * (1.0 + 2.0 * y)
        s0, s1 = h * x * y * y, -h * x * x * y
        c, s = 1.0, 0.0
        done = 0
        total_plus, total_cross = 0.0, 0.0
        for i in range(orders.size):
            while done < orders[i]:
                c, s = c * cosine[k] - s * sine[k], s * cosine[k] + c * sine[k]
                done += 1
            w, g = weights[i], weight_slopes[i]
            p = v0 * w[0, j] + v1 * w[0, j + 1] + s0 * g[0, j] + s1 * g[0, j + 1]
            q = v0 * w[1, j] + v1 * w[1, j + 1] + s0 * g[1, j] + s1 * g[1, j + 1]
            total_plus += p * c + q * s
            p = v0 * w[2, j] + v1 * w[2, j + 1] + s0 * g[2, j] + s1 * g[2, j + 1]
            q = v0 * w[3, j] + v1 * w[3, j + 1] + s0 * g[3, j] + s1 * g[3, j + 1]
            total_cross += p * c + q * s
        plus[k], cross[k] = total_plus, total_cross


@numba.njit(cache=True, nogil=True)
def hermite_modes(
    knots: np.ndarray,
    phase: np.ndarray,
    phase_slope: np.ndarray,
    orders: np.ndarray,
    parts: np.ndarray,
    part_slopes: np.ndarray,
    times: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the modes ``(re + i im) exp(-i m phase / 2)`` at `times` (n,), ascending or not, into `out` (n_modes, n) complex128.

    `phase` (n_knots,) is that of the (2,2) mode; `orders` (n_modes,) each mode's m > 0; `parts` (n_modes, 2, n_knots) its real and
    imaginary part in the co-orbital frame, with their slopes. All times must lie within the knots.
    """
    n = times.size
    half, sine, cosine = np.empty(n), np.empty(n), np.empty(n)
    index, fraction = locate(knots, times)
    for k in range(n):
        j, x = index[k], fraction[k]
        h = knots[j + 1] - knots[j]
        y = 1.0 - x
        d = phase[j + 1] - phase[j]
        half[k] = 0.5 * (phase[j] + x * (d + y * ((h * phase_slope[j] - d) * y + (d - h * phase_slope[j + 1]) * x)))
    sine_cosine(half, sine, cosine)
    for i in range(orders.size):
        value, slope = parts[i], part_slopes[i]
        for k in range(n):
            j, x = index[k], fraction[k]
            h = knots[j + 1] - knots[j]
            y = 1.0 - x
            v0, v1 = y * y * (1.0 + 2.0 * x), x * x * (1.0 + 2.0 * y)
            s0, s1 = h * x * y * y, -h * x * x * y
            re = v0 * value[0, j] + v1 * value[0, j + 1] + s0 * slope[0, j] + s1 * slope[0, j + 1]
            im = v0 * value[1, j] + v1 * value[1, j + 1] + s0 * slope[1, j] + s1 * slope[1, j + 1]
            c, s = cosine[k], sine[k]
            for _ in range(1, orders[i]):
                c, s = c * cosine[k] - s * sine[k], s * cosine[k] + c * sine[k]
            out[i, k] = complex(re * c + im * s, im * c - re * s)


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
