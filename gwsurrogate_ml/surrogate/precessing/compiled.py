"""Compiled output of the precessing surrogate: modes, one observer's polarizations, the aligned model's share."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.surrogate.aligned import compiled as aligned_compiled
from gwsurrogate_ml.surrogate.aligned.modes import AlignedModes
from gwsurrogate_ml.surrogate.precessing import rotation, wigner
from gwsurrogate_ml.surrogate.precessing.coorbital import MODES
from gwsurrogate_ml.surrogate.precessing.rotation import Terms, direction
from gwsurrogate_ml.waveform.elementary import sine_cosine
from gwsurrogate_ml.waveform.spline import column_slopes, hermite, slopes

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


TOP = 5
"""Highest order in the orbital phase."""
HALF = 12
"""Columns of the real part of `harmonics`, those of the imaginary part follow: cosines of orders 0 to TOP, sines of 1 to TOP, and
one of zeros, with which processors take them four at a time."""


@njit(nogil=True)
def harmonics(
    times: np.ndarray, frames: np.ndarray, coorbital: np.ndarray, orders: np.ndarray, t: Terms, theta: float, phi: float, first: int
) -> np.ndarray:
    """What an observer in the direction (theta, phi) sees: slow factors (n_t, 2 HALF) of cosines and sines of the orbital phase's
    multiples, in the real and then in the imaginary part; before the time number `first` they are zero."""
    n = times.size - first
    y, azimuth, factor = rotation.harmonics(t, frames[first:], direction(theta, phi))
    sums = np.zeros((2 * TOP + 1, n), np.complex128)
    for k in range(orders.size):
        total = sums[orders[k] + TOP]
        for i in range(n):
            total[i] += coorbital[first + i, k] * y[k, i]
    out = np.zeros((times.size, 2 * HALF))
    for i in range(n):
        row, turn, up, down = out[first + i], azimuth[i], factor[i], factor[i]
        seen = sums[TOP, i] * up
        row[0], row[HALF] = seen.real, seen.imag
        for m in range(1, TOP + 1):
            up, down = up * turn, down * turn.conjugate()
            plus, minus = sums[TOP + m, i] * up, sums[TOP - m, i] * down
            row[m], row[TOP + m] = plus.real + minus.real, plus.imag - minus.imag
            row[HALF + m], row[HALF + TOP + m] = plus.imag + minus.imag, minus.real - plus.real
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
    factor: float,
    out: np.ndarray,
) -> None:
    """Write `factor` times ``r h_plus / M``, ``r h_cross / M`` at ``start + j step`` (M) into `out` (2, n), from what `harmonics`
    gives.

    The sum over orders ``exp(-i m phase) H_m(t)``, by cubics in time for the slow factors and powers of ``exp(-i phase)``.
    """
    n, last = out.shape[1], times.size - 2
    tilts = column_slopes(times[first:], parts[first:])
    at = np.empty(n)
    for j in range(n):
        at[j] = start + step * j
    phase = hermite(nodes, states[:, 4].copy(), rates[:, 4].copy(), at)
    sine, cosine = np.empty(n), np.empty(n)
    sine_cosine(phase, sine, cosine)
    of = np.empty(2 * HALF)
    i = first
    for j in range(n):
        while i < last and times[i + 1] <= at[j]:
            i += 1
        width = times[i + 1] - times[i]
        x = (at[j] - times[i]) / width
        # Hermite's polynomials
        d = x * x * (x - 1.0) * width
        c = x * (x - 1.0) * (x - 1.0) * width
        b = x * x * (3.0 - 2.0 * x)
        a = 1.0 - b
        here, after, slope, next_slope = parts[i], parts[i + 1], tilts[i - first], tilts[i + 1 - first]
        for r in range(2 * HALF):
            of[r] = a * here[r] + b * after[r] + c * slope[r] + d * next_slope[r]
        c_1, s_1 = cosine[j], sine[j]
        c_2, s_2 = c_1 * c_1 - s_1 * s_1, 2.0 * c_1 * s_1
        c_3, s_3 = c_2 * c_1 - s_2 * s_1, c_2 * s_1 + s_2 * c_1
        c_4, s_4 = c_2 * c_2 - s_2 * s_2, 2.0 * c_2 * s_2
        c_5, s_5 = c_3 * c_2 - s_3 * s_2, c_3 * s_2 + s_3 * c_2
        real = of[0] + of[1] * c_1 + of[2] * c_2 + of[3] * c_3 + of[4] * c_4 + of[5] * c_5
        real += of[6] * s_1 + of[7] * s_2 + of[8] * s_3 + of[9] * s_4 + of[10] * s_5
        imaginary = of[12] + of[13] * c_1 + of[14] * c_2 + of[15] * c_3 + of[16] * c_4 + of[17] * c_5
        imaginary += of[18] * s_1 + of[19] * s_2 + of[20] * s_3 + of[21] * s_4 + of[22] * s_5
        out[0, j], out[1, j] = factor * real, -factor * imaginary
