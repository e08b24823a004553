"""Compiled output of the precessing surrogate: modes, one observer's polarizations, the aligned model's share."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.surrogate.aligned import compiled as aligned_compiled
from gwsurrogate_ml.surrogate.aligned.modes import AlignedModes
from gwsurrogate_ml.surrogate.precessing import rotation, wigner
from gwsurrogate_ml.surrogate.precessing.coorbital import MODES
from gwsurrogate_ml.surrogate.precessing.rotation import MOST, Terms, direction, seen_from
from gwsurrogate_ml.waveform.elementary import sine_cosine
from gwsurrogate_ml.waveform.spline import hermite, slopes

INERTIAL_PLACES = np.array([wigner.INERTIAL.index(mode) for mode in MODES])
"""Of the co-orbital modes among those in the inertial frame."""


@njit(nogil=True)
def modes(
    nodes: np.ndarray,
    states: np.ndarray,
    rates: np.ndarray,
    times: np.ndarray,
    frames: np.ndarray,
    coorbital: np.ndarray,
    at: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write the modes in the inertial frame at the times `at` (n,) into `out` (32, n); the first arguments are `Evolved`."""
    n, n_modes = at.size, coorbital.shape[1]
    phase = hermite(nodes, states[:, 4].copy(), rates[:, 4].copy(), at)
    frame = np.empty((n, 4))
    for k in range(4):
        frame[:, k] = hermite(nodes, states[:, k].copy(), rates[:, k].copy(), at)
    rows = np.empty((2 * n_modes, times.size))
    for k in range(n_modes):
        rows[2 * k], rows[2 * k + 1] = coorbital[:, k].real, coorbital[:, k].imag
    tilts = slopes(times, rows)
    turned = np.zeros(out.shape, np.complex128)
    for k in range(n_modes):
        row = turned[INERTIAL_PLACES[k]]
        real, imaginary = hermite(times, rows[2 * k], tilts[2 * k], at), hermite(times, rows[2 * k + 1], tilts[2 * k + 1], at)
        for i in range(n):
            row[i] = complex(real[i], imaginary[i])
    wigner.with_phase(turned, wigner.INERTIAL_ORDERS, phase)
    wigner.turn(wigner.QUARTER, wigner.QUARTER_TRANSPOSED, frame, turned, out)


@njit(nogil=True)
def harmonics(
    times: np.ndarray, frames: np.ndarray, coorbital: np.ndarray, orders: np.ndarray, t: Terms, theta: float, phi: float, first: int
) -> np.ndarray:
    """What an observer in the direction (theta, phi) sees of each order in the orbital phase: real and imaginary parts
    (2 n_orders, n_t), orders from -5 to 5; before the time number `first` they are zero."""
    top = 5
    out = np.zeros((2 * (2 * top + 1), times.size))
    y, powers, sums, n = np.empty(orders.size), np.empty((2, MOST + 1)), np.empty(2 * top + 1, np.complex128), direction(theta, phi)
    for i in range(first, times.size):
        a, b = seen_from(frames[i], n)
        azimuth, factor = rotation.harmonics(t, a, b, powers, y)
        sums[:] = 0.0
        for k in range(orders.size):
            sums[orders[k] + top] += coorbital[i, k] * y[k]
        for _ in range(top):
            factor *= azimuth.conjugate()
        for m in range(2 * top + 1):
            value = sums[m] * factor
            out[2 * m, i], out[2 * m + 1, i] = value.real, value.imag
            factor *= azimuth
    return out


@lru_cache(maxsize=256)
def _knots_from(model: AlignedModes, q: float, chi1: float, chi2: float, start: float) -> aligned_compiled.Knots:
    # Reference time and dynamics ask in turn, for phases of one binary too: the networks are most of the time it takes.
    return model.at_knots(np.array([[q, chi1, chi2]]), start)


def knots(model: AlignedModes, q: float, chi1: float, chi2: float, start: float) -> aligned_compiled.Knots:
    """The aligned model at its knots for one binary, with those of its early inspiral where `start` (M) lies there."""
    return _knots_from(model, q, chi1, chi2, min(start, model.t_join))


def aligned_phase(k: aligned_compiled.Knots, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orbital frequency (n,) in rad / M and orbital phase (n,) of one binary at `times` (n,) in M."""
    curve = slopes(k.knots, k.phase_slope[0][None])[0]
    at = times + k.shift[0]
    frequency = hermite(k.knots, k.phase_slope[0], curve, at)
    return 0.5 * frequency, 0.5 * hermite(k.knots, k.phase[0], k.phase_slope[0], at)


@njit(nogil=True)
def _mix(
    t: aligned_compiled.Tables,
    k: aligned_compiled.Knots,
    times: np.ndarray,
    known: np.ndarray,
    gate: float,
    places: np.ndarray,
    odd: np.ndarray,
    out: np.ndarray,
) -> None:
    at = times + k.shift[0]
    rows, tilts = aligned_compiled.coorbital(t, k, aligned_compiled.NOTHING, 0, len(places), at[0])
    for mode in range(len(places)):
        plus, minus = places[mode]
        if plus < 0:
            continue
        real, imaginary = hermite(k.knots, rows[mode, 0], tilts[mode, 0], at), hermite(k.knots, rows[mode, 1], tilts[mode, 1], at)
        sign = -1.0 if odd[mode] else 1.0
        for i in range(at.size):
            mirrored = sign * out[i, minus].conjugate()
            share = known[i] * (1.0 - gate)
            even = 0.5 * share * (out[i, plus] + mirrored) + (1.0 - share) * complex(real[i], imaginary[i])
            antisymmetric = 0.5 * known[i] * (out[i, plus] - mirrored)
            out[i, plus] = even + antisymmetric
            out[i, minus] = sign * (even - antisymmetric).conjugate()


def mix_aligned(
    model: AlignedModes,
    k: aligned_compiled.Knots,
    times: np.ndarray,
    known: np.ndarray,
    gate: float,
    places: np.ndarray,
    out: np.ndarray,
) -> None:
    """Give the aligned model its share of the co-orbital modes `out` (n, n_modes), of their symmetric parts alone.

    Antisymmetric parts vanish with the spins in the plane by themselves.

    Parameters
    ----------
    model : AlignedModes
    k : Knots
        of one binary
    times : (n,) float64, M, ascending
    known : (n,) float64
        share of what was learned from precessing binaries, and
    gate : float
        the aligned model's of that
    places : (n_aligned, 2) int64
        where (l, m) and (l, -m) of each of the aligned model's modes are in `out`; negative ones are left alone
    out : (n, n_modes) complex128
    """
    _mix(model.tables, k, times, known, gate, places, np.array([l % 2 == 1 for l, _ in model.modes]), out)


@njit(nogil=True, fastmath=True)
def observed(
    nodes: np.ndarray,
    states: np.ndarray,
    rates: np.ndarray,
    times: np.ndarray,
    parts: np.ndarray,
    first: int,
    start: float,
    step: float,
    out: np.ndarray,
) -> None:
    """Write ``r (h_plus - i h_cross) / M`` at ``start + j step`` (M) into `out` (n,), from what `harmonics` gives.

    The sum over orders ``exp(-i m phase) H_m(t)``, by cubics in time for the slow factors and powers of ``exp(-i phase)``.
    """
    n, rows = out.size, len(parts)
    top = (rows // 2 - 1) // 2
    tilts = slopes(times[first:], parts[:, first:])
    at = np.empty(n)
    for j in range(n):
        at[j] = start + step * j
    phase = hermite(nodes, states[:, 4].copy(), rates[:, 4].copy(), at)
    sine, cosine = np.empty(n), np.empty(n)
    sine_cosine(phase, sine, cosine)
    a, b, c, d, value = np.empty(rows), np.empty(rows), np.empty(rows), np.empty(rows), np.empty(rows)
    k, last = -1, times.size - 2
    for j in range(n):
        i = max(k, first)
        while i < last and times[i + 1] <= at[j]:
            i += 1
        if i != k:
            k = i
            width = times[i + 1] - times[i]
            for r in range(rows):
                v, s = parts[r, i], tilts[r, i - first]
                mean = (parts[r, i + 1] - v) / width
                a[r], b[r] = v, s
                c[r] = (3.0 * mean - 2.0 * s - tilts[r, i + 1 - first]) / width
                d[r] = (s + tilts[r, i + 1 - first] - 2.0 * mean) / (width * width)
        x = at[j] - times[k]
        for r in range(rows):
            value[r] = a[r] + x * (b[r] + x * (c[r] + x * d[r]))
        real, imaginary = value[2 * top], value[2 * top + 1]
        p, q = 1.0, 0.0
        for m in range(1, top + 1):
            p, q = p * cosine[j] - q * sine[j], p * sine[j] + q * cosine[j]
            u, v = 2 * (top + m), 2 * (top - m)
            real += (value[u] + value[v]) * p + (value[u + 1] - value[v + 1]) * q
            imaginary += (value[u + 1] + value[v + 1]) * p + (value[v] - value[u]) * q
        out[j] = complex(real, imaginary)
