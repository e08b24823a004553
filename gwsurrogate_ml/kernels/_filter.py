"""Compiled loops of the matched filter and the chi-squared test; every one has a plain numpy reference in the tests.

Compiled on first use and cached on disk; they release the GIL and keep no state. Arithmetic is float64 in registers
whatever the arrays hold: the loops wait for memory, so it costs next to nothing. `fastmath` is limited to reordering,
because NaN and infinities must survive to be noticed; a division by zero gives an infinity for the same reason.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_REORDER = {"reassoc", "contract", "nsz", "arcp"}


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
def correlate(
    template: np.ndarray, data: np.ndarray, psd: np.ndarray, kmin: int, kmax: int, out: np.ndarray
) -> tuple[float, float, bool]:  # pragma: no cover - compiled
    """``out[k] = conj(h_k) s_k / S_k`` in the band; returns sum |h|^2 / S, sum |s|^2 / S and whether all S > 0."""
    hh = 0.0
    ss = 0.0
    bad = 0
    for k in range(kmin, kmax):
        s = np.float64(psd[k])
        bad += not (s > 0.0)
        w = 1.0 / s
        hr, hi = np.float64(template[k].real), np.float64(template[k].imag)
        dr, di = np.float64(data[k].real), np.float64(data[k].imag)
        out[k] = complex((hr * dr + hi * di) * w, (hr * di - hi * dr) * w)
        hh += (hr * hr + hi * hi) * w
        ss += (dr * dr + di * di) * w
    return hh, ss, bad == 0


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
def correlate_whitened(
    template: np.ndarray, over_whitened: np.ndarray, weights: np.ndarray, kmin: int, kmax: int, out: np.ndarray
) -> float:  # pragma: no cover - compiled
    """``out[k] = conj(h_k) d_k`` in the band for data divided by the PSD before; returns sum |h|^2 weights."""
    hh = 0.0
    for k in range(kmin, kmax):
        hr, hi = np.float64(template[k].real), np.float64(template[k].imag)
        dr, di = np.float64(over_whitened[k].real), np.float64(over_whitened[k].imag)
        out[k] = complex(hr * dr + hi * di, hr * di - hi * dr)
        hh += (hr * hr + hi * hi) * weights[k]
    return hh


@njit(cache=True, nogil=True, error_model="numpy")
def cluster(z: np.ndarray, threshold: float, window: int) -> np.ndarray:  # pragma: no cover - compiled
    """Samples with |z| >= threshold that no sample within `window` on either side exceeds; ties go to the first.

    The nearest earlier (later) sample that is louder decides, and a stack finds it in one pass for all.
    """
    floor = threshold * threshold
    n = 0
    for i in range(z.size):
        n += z[i].real * z[i].real + z[i].imag * z[i].imag >= floor
    index = np.empty(n, np.int64)
    power = np.empty(n, np.float64)
    n = 0
    for i in range(z.size):
        p = z[i].real * z[i].real + z[i].imag * z[i].imag
        if p >= floor:
            index[n], power[n] = i, p
            n += 1
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


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_REORDER)
def binned_sums(
    correlation: np.ndarray, edges: np.ndarray, positions: np.ndarray, n_time: int, out: np.ndarray
) -> None:  # pragma: no cover - compiled
    """``out[i, l] = sum_{edges[l] <= k < edges[l+1]} c_k exp(2 pi i k positions[i] / n_time)`` in float64.

    Eight rotators run side by side; every 512 frequencies they are set anew from the exact phase, reduced modulo one
    turn before the sine is taken, so that the error stays at rounding level for any length.
    """
    rr, ri = np.empty(8), np.empty(8)
    ar, ai = np.empty(8), np.empty(8)
    for p in range(positions.size):
        turn = positions[p] / n_time
        step_r, step_i = np.cos(2 * np.pi * 8 * turn), np.sin(2 * np.pi * 8 * turn)
        for l in range(edges.size - 1):
            for c in range(8):
                ar[c] = ai[c] = 0.0
            total_r, total_i = 0.0, 0.0
            k = edges[l]
            while k < edges[l + 1]:
                stop = min(k + 512, edges[l + 1])
                for c in range(8):
                    phase = (k + c) * turn
                    phase = 2 * np.pi * (phase - np.floor(phase))
                    rr[c], ri[c] = np.cos(phase), np.sin(phase)
                whole = (stop - k) // 8
                for b in range(whole):
                    base = k + 8 * b
                    for c in range(8):
                        zr, zi = np.float64(correlation[base + c].real), np.float64(correlation[base + c].imag)
                        ar[c] += zr * rr[c] - zi * ri[c]
                        ai[c] += zr * ri[c] + zi * rr[c]
                        new = rr[c] * step_r - ri[c] * step_i
                        ri[c] = rr[c] * step_i + ri[c] * step_r
                        rr[c] = new
                for c in range(stop - k - 8 * whole):
                    z = correlation[k + 8 * whole + c]
                    total_r += z.real * rr[c] - z.imag * ri[c]
                    total_i += z.real * ri[c] + z.imag * rr[c]
                k = stop
            for c in range(8):
                total_r += ar[c]
                total_i += ai[c]
            out[p, l] = complex(total_r, total_i)
