"""Splines and modes that turn with an angle, for many waveforms in torch, differentiable in all but the knots.

On a CPU both directions are compiled code in NUMBA_NUM_THREADS threads. Elsewhere, for forward derivatives, and for derivatives of
derivatives it is plain torch, the same to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.kernels.threads import in_threads
from gwsurrogate_ml.waveform.elementary import sine_cosine
from gwsurrogate_ml.waveform.spline import _cubics, _runs, hermite_torch

BLOCK = 512
"""Times that are worked on at once: they stay in the nearest cache."""


@njit(nogil=True)
def _adjoint(
    knots: np.ndarray,
    values: np.ndarray,
    slopes: np.ndarray,
    starts: np.ndarray,
    intervals: np.ndarray,
    n_runs: int,
    offset: np.ndarray,
    grad: np.ndarray,
    grad_values: np.ndarray,
    grad_slopes: np.ndarray,
    grad_times: np.ndarray,
) -> None:
    """Add to the gradients in `values`, `slopes` and times what the gradient `grad` (n,) in the output of `_cubics` gives."""
    for r in range(n_runs):
        j = intervals[r]
        inverse = 1.0 / (knots[j + 1] - knots[j])
        s = slopes[j]
        d = (values[j + 1] - values[j]) * inverse
        b = (3.0 * d - 2.0 * s - slopes[j + 1]) * inverse
        a = (s + slopes[j + 1] - 2.0 * d) * inverse * inverse
        sum_0, sum_1, sum_2, sum_3 = 0.0, 0.0, 0.0, 0.0
        for k in range(starts[r], starts[r + 1]):
            x, g = offset[k], grad[k]
            grad_times[k] += g * (s + x * (2.0 * b + x * 3.0 * a))
            sum_0 += g
            g *= x
            sum_1 += g
            g *= x
            sum_2 += g
            sum_3 += g * x
        sum_2 *= inverse
        sum_3 *= inverse * inverse
        between = (3.0 * sum_2 - 2.0 * sum_3) * inverse
        grad_values[j] += sum_0 - between
        grad_values[j + 1] += between
        grad_slopes[j] += sum_1 - 2.0 * sum_2 + sum_3
        grad_slopes[j + 1] += sum_3 - sum_2


@njit(nogil=True)
def _rows(knots: np.ndarray, values: np.ndarray, slopes: np.ndarray, times: np.ndarray, out: np.ndarray) -> None:
    """Splines with `values` and `slopes` (N, R, n_knots) at `times` (N, n) into `out` (N, R, n)."""
    n = times.shape[1]
    starts, intervals, offset = np.empty(n + 1, np.int64), np.empty(n, np.int64), np.empty(n)
    for i in range(len(times)):
        runs = _runs(knots, times[i], starts, intervals, offset)
        for r in range(values.shape[1]):
            _cubics(knots, values[i, r], slopes[i, r], starts, intervals, runs, offset, out[i, r])


@njit(nogil=True)
def _rows_back(
    knots: np.ndarray,
    values: np.ndarray,
    slopes: np.ndarray,
    times: np.ndarray,
    grad: np.ndarray,
    grad_values: np.ndarray,
    grad_slopes: np.ndarray,
    grad_times: np.ndarray,
) -> None:
    """Add the gradients of `_rows`, given that of its output."""
    n = times.shape[1]
    starts, intervals, offset = np.empty(n + 1, np.int64), np.empty(n, np.int64), np.empty(n)
    for i in range(len(times)):
        runs = _runs(knots, times[i], starts, intervals, offset)
        for r in range(values.shape[1]):
            to = grad_values[i, r], grad_slopes[i, r], grad_times[i]
            _adjoint(knots, values[i, r], slopes[i, r], starts, intervals, runs, offset, grad[i, r], *to)


@njit(nogil=True)
def _turned(
    knots: np.ndarray,
    parts: np.ndarray,
    slopes: np.ndarray,
    orders: np.ndarray,
    times: np.ndarray,
    angle: np.ndarray,
    out: np.ndarray,
    grad: np.ndarray,
    grad_parts: np.ndarray,
    grad_slopes: np.ndarray,
    grad_times: np.ndarray,
    grad_angle: np.ndarray,
) -> None:
    """Modes into `out` (N, n_modes, n) complex128; or, if that is empty, gradients, given that of the modes, `grad`."""
    top = np.abs(orders).max() if orders.size else 0
    starts, intervals = np.empty(BLOCK + 1, np.int64), np.empty(BLOCK, np.int64)
    offset, re, im, g_re, g_im = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    sine, cosine = np.zeros((top + 2, BLOCK)), np.ones((top + 2, BLOCK))
    for i in range(len(times)):
        for begin in range(0, times.shape[1], BLOCK):
            at = times[i, begin : begin + BLOCK]
            n = at.size
            runs = _runs(knots, at, starts, intervals, offset)
            sine_cosine(angle[i, begin : begin + BLOCK], sine[1], cosine[1])
            for m in range(2, top + 1):
                for k in range(n):
                    cosine[m, k] = cosine[m - 1, k] * cosine[1, k] - sine[m - 1, k] * sine[1, k]
                    sine[m, k] = sine[m - 1, k] * cosine[1, k] + cosine[m - 1, k] * sine[1, k]
            for mode in range(orders.size):
                m = orders[mode]
                c, s, sign = cosine[abs(m)], sine[abs(m)], -1.0 if m < 0 else 1.0
                _cubics(knots, parts[i, mode, 0], slopes[i, mode, 0], starts, intervals, runs, offset, re)
                _cubics(knots, parts[i, mode, 1], slopes[i, mode, 1], starts, intervals, runs, offset, im)
                if out.size:
                    row = out[i, mode, begin : begin + BLOCK]
                    for k in range(n):
                        row[k] = complex(re[k] * c[k] + sign * im[k] * s[k], im[k] * c[k] - sign * re[k] * s[k])
                    continue
                row, to_angle = grad[i, mode, begin : begin + BLOCK], grad_angle[i, begin : begin + BLOCK]
                for k in range(n):
                    x, y = row[k].real, row[k].imag
                    g_re[k], g_im[k] = x * c[k] - sign * y * s[k], y * c[k] + sign * x * s[k]
                    to_angle[k] += m * (g_re[k] * im[k] - g_im[k] * re[k])
                to_times = grad_times[i, begin : begin + BLOCK]
                for part, g in ((0, g_re), (1, g_im)):
                    rows = parts[i, mode, part], slopes[i, mode, part]
                    to = grad_parts[i, mode, part], grad_slopes[i, mode, part], to_times
                    _adjoint(knots, *rows, starts, intervals, runs, offset, g, *to)


def _array(tensor: torch.Tensor) -> np.ndarray:
    found: np.ndarray = tensor.detach().resolve_conj().resolve_neg().contiguous().numpy()
    return found


def _plain(function: Any, inputs: tuple[torch.Tensor, ...], needed: tuple[bool, ...], grad: torch.Tensor) -> list[Any]:
    """Gradients of `function` in those `inputs` that are `needed`, differentiable themselves."""
    wanted = [x for x, need in zip(inputs, needed, strict=True) if need]
    found = iter(torch.autograd.grad(function(*inputs), wanted, grad, create_graph=True))
    return [next(found) if need else None for need in needed]


class _Hermite(torch.autograd.Function):
    """`hermite` on a CPU."""

    @staticmethod
    def forward(ctx: Any, knots: torch.Tensor, values: torch.Tensor, slopes: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(knots, values, slopes, times)
        k, v, s, t = (_array(x) for x in (knots, values, slopes, times))
        out = np.empty((*v.shape[:2], t.shape[1]))
        in_threads(lambda part: _rows(k, v[part], s[part], t[part], out[part]), len(t))
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        knots, *inputs = ctx.saved_tensors
        if torch.is_grad_enabled():
            return None, *_plain(lambda *x: hermite_torch(knots, *x), tuple(inputs), ctx.needs_input_grad[1:], grad)
        k, v, s, t, g = (_array(x) for x in (knots, *inputs, grad))
        found = np.zeros_like(v), np.zeros_like(s), np.zeros_like(t)
        in_threads(lambda part: _rows_back(k, v[part], s[part], t[part], g[part], *(x[part] for x in found)), len(t))
        return None, *(torch.from_numpy(x) for x in found)


def _plain_turned(
    knots: torch.Tensor, orders: torch.Tensor, parts: torch.Tensor, slopes: torch.Tensor, times: torch.Tensor, angle: torch.Tensor
) -> torch.Tensor:
    found = hermite_torch(knots, parts.flatten(1, 2), slopes.flatten(1, 2), times)
    return torch.complex(found[:, 0::2], found[:, 1::2]) * torch.exp(-1j * orders[:, None] * angle[:, None])


_NOTHING = np.zeros((0, 0, 0), np.complex128)
_NO_PARTS, _NO_TIMES = np.zeros((0, 0, 0, 0)), np.zeros((0, 0))


class _Turned(torch.autograd.Function):
    """`turned_modes` on a CPU."""

    @staticmethod
    def forward(
        ctx: Any,
        knots: torch.Tensor,
        orders: torch.Tensor,
        parts: torch.Tensor,
        slopes: torch.Tensor,
        times: torch.Tensor,
        angle: torch.Tensor,
    ) -> torch.Tensor:
        ctx.save_for_backward(knots, orders, parts, slopes, times, angle)
        k, o, p, s, t, a = (_array(x) for x in (knots, orders, parts, slopes, times, angle))
        out = np.empty((len(t), len(o), t.shape[1]), np.complex128)
        none = _NOTHING, _NO_PARTS, _NO_PARTS, _NO_TIMES, _NO_TIMES
        in_threads(lambda part: _turned(k, p[part], s[part], o, t[part], a[part], out[part], *none), len(t))
        return torch.from_numpy(out)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        knots, orders, *inputs = ctx.saved_tensors
        if torch.is_grad_enabled():
            function = lambda *x: _plain_turned(knots, orders, *x)  # noqa: E731
            return None, None, *_plain(function, tuple(inputs), ctx.needs_input_grad[2:], grad)
        k, o, p, s, t, a, g = (_array(x) for x in (knots, orders, *inputs, grad))
        found = np.zeros_like(p), np.zeros_like(s), np.zeros_like(t), np.zeros_like(a)

        def work(part: slice) -> None:
            _turned(k, p[part], s[part], o, t[part], a[part], _NOTHING, g[part], *(x[part] for x in found))

        in_threads(work, len(t))
        return None, None, *(torch.from_numpy(x) for x in found)


def is_dual(*tensors: torch.Tensor) -> bool:
    """Whether one of them carries a forward derivative."""
    return any(torch.autograd.forward_ad.unpack_dual(x).tangent is not None for x in tensors)


def hermite(knots: torch.Tensor, values: torch.Tensor, slopes: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """Splines with `values` and `slopes` (N, R, n_knots) at `times` (N, n): (N, R, n) float64."""
    if knots.device.type != "cpu" or is_dual(values, slopes, times):
        return hermite_torch(knots, values, slopes, times)
    return _Hermite.apply(knots, values, slopes, times)


def turned_modes(
    knots: torch.Tensor, orders: torch.Tensor, parts: torch.Tensor, slopes: torch.Tensor, times: torch.Tensor, angle: torch.Tensor
) -> torch.Tensor:
    """Modes ``(re + i im) exp(-i m angle)`` at `times`.

    Parameters
    ----------
    knots : (n_knots,) float64
    orders : (n_modes,) int64
        each mode's m
    parts, slopes : (N, n_modes, 2, n_knots) float64
        real and imaginary part in the frame that turns, and their slopes
    times, angle : (N, n) float64

    Returns
    -------
    (N, n_modes, n) complex128
    """
    if knots.device.type != "cpu" or is_dual(parts, slopes, times, angle):
        return _plain_turned(knots, orders, parts, slopes, times, angle)
    return _Turned.apply(knots, orders, parts, slopes, times, angle)
