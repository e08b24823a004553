"""A precessing binary's transforms order by order in the orbital phase, from its dynamics at a few phases.

With the spins fixed towards the observer, the orbital phase ``phase`` at the reference turns the waveform as
``h(t) = sum_m exp(-i m (Phi(t) + phase)) A_m(t; phase)``: were the dynamics averaged over the orbit, A_m would not depend on the
phase. It does, weakly, because rates and co-orbital modes are polynomials of the spins' components in the frame that turns with
the orbit. Half a turn reverses the components in the plane: rates of the orbit and the symmetric parts of the modes stay what they
are, antisymmetric parts reverse their sign. n phases an n-th of half a turn apart therefore give twice as many, and these the
orders -n + 1 to n - 1 of A_m in the phase. What is lost begins with the n-th order, and parts below `NEGLIGIBLE`. The more spin
lies in the plane, the more the merger comes earlier at one phase than at another, and the more phases it takes (`needed`).
"""

from __future__ import annotations

import math

import numpy as np

from gwsurrogate_ml.conventions import MPC_SECONDS
from gwsurrogate_ml.errors import DomainError
from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.kernels.fft import fft
from gwsurrogate_ml.surrogate.precessing.coorbital import MODES
from gwsurrogate_ml.surrogate.precessing.evolved import Evolved
from gwsurrogate_ml.surrogate.precessing.rotation import Terms, direction, harmonics
from gwsurrogate_ml.waveform.conditioning import start_taper
from gwsurrogate_ml.waveform.spline import hermite, slopes

TOP = 5
"""Highest order m of the modes."""
PHASES = (3, 4, 5, 7, 9)
"""Phases that are integrated, the more the larger ``(|chi_1 in the plane| + q |chi_2 in the plane|) / (1 + q)``, q <= 1."""
FLAT, GROWTH = (0.27, 0.47, 0.61, 0.84), (0.22, 0.21, 0.11, 0.08)
"""Where three in four of the estimators' binaries lose 1e-4 of their power at most with each number of phases but the last, and the
power of what may be lost with which that rises: from 400 of them, beside thirteen phases.
"""
LOST = 3e-7
"""Share of the power that three in four lose less of where no time is to be saved."""
HIGHEST = TOP + PHASES[-1] - 1
"""Highest order m - n of both together."""
NEGLIGIBLE = 3e-4
"""Share of the largest |A_m| below which a part of it is left out."""
_SIGN = np.array([(-1.0) ** l for l, _ in MODES])
_MIRROR = np.array([MODES.index((l, -m)) for l, m in MODES])


def phases(n: int) -> np.ndarray:
    """The n phases (rad) at which a binary's dynamics are integrated."""
    return np.pi * np.arange(n) / n


def needed(q: np.ndarray, chi1: np.ndarray, chi2: np.ndarray, lost: float = LOST) -> np.ndarray:
    """How many phases (N,) int binaries of mass ratios q >= 1 (N,) and spins (N, 3) need, the third axis that of the orbit, so that
    three in four of them lose less than the share `lost` of their power."""
    flat = (q * np.hypot(chi1[:, 0], chi1[:, 1]) + np.hypot(chi2[:, 0], chi2[:, 1])) / (1 + q)
    most = np.array(FLAT) * (lost / 1e-4) ** np.array(GROWTH)
    return np.array(PHASES)[np.searchsorted(np.maximum.accumulate(most), flat)]


@njit(nogil=True)
def _seen(
    frames: np.ndarray,
    coorbital: np.ndarray,
    orders: np.ndarray,
    terms: Terms,
    mirror: np.ndarray,
    sign: np.ndarray,
    theta: float,
    phi: float,
    turn: np.ndarray,
    first: int,
    out: np.ndarray,
) -> None:
    """Add ``exp(i m turn)`` times what an observer sees of the co-orbital modes of order m to `out` (2, 11, n_t) complex128: of
    the symmetric and of the antisymmetric ones (under reflection in the orbital plane), from the time number `first` on."""
    y, azimuth, factor = harmonics(terms, frames[first:], direction(theta, phi))
    power = np.empty(11, np.complex128)
    for i in range(first, len(frames)):
        one = azimuth[i - first] * complex(np.cos(turn[i]), np.sin(turn[i]))
        power[5] = 0.5 * factor[i - first]
        for m in range(1, 6):
            power[5 + m], power[5 - m] = power[4 + m] * one, power[6 - m] * one.conjugate()
        for k in range(orders.size):
            mirrored = sign[k] * coorbital[i, mirror[k]].conjugate()
            seen = power[orders[k] + 5] * y[k, i - first]
            out[0, orders[k] + 5, i] += (coorbital[i, k] + mirrored) * seen
            out[1, orders[k] + 5, i] += (coorbital[i, k] - mirrored) * seen


def slow_parts(
    evolved: list[Evolved], orders: np.ndarray, terms: Terms, theta: float, place: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The orders in the phase of all A_m at the model's times.

    Parameters
    ----------
    evolved : one binary, its spins turned back by each of n `phases`
    orders, terms : of `MODES`
    theta : float, rad
        inclination at the reference
    place : int
        first time that is needed

    Returns
    -------
    phase, rate : (n_nodes,) float64
        the orbital phase and its rate at the nodes, means over the phases
    parts : (2 TOP + 1, 2 n - 1, n_t) complex128
        of order m - TOP, and of order up to n - 1 in the phase of it
    """
    n = len(evolved)
    nodes, times = evolved[0].nodes, evolved[0].times
    states = np.mean([e.states[:, 4] for e in evolved], axis=0)
    rates = np.mean([e.rates[:, 4] for e in evolved], axis=0)
    by_phase = np.empty((2 * n, 2 * TOP + 1, len(times)), np.complex128)
    for k, (e, phase) in enumerate(zip(evolved, phases(n), strict=True)):
        ahead = hermite(nodes, e.states[:, 4] - states, e.rates[:, 4] - rates, times)
        both = np.zeros((2, 2 * TOP + 1, len(times)), np.complex128)
        observer = theta, 0.5 * np.pi - phase, phase - ahead
        _seen(e.frames, e.coorbital, orders, terms, _MIRROR, _SIGN, *observer, place, both)
        by_phase[k], by_phase[k + n] = both[0] + both[1], both[0] - both[1]
    fourier = np.exp(-1j * np.pi / n * np.outer(np.arange(1 - n, n), np.arange(2 * n))) / (2 * n)
    parts = (fourier @ by_phase.reshape(2 * n, -1)).reshape(2 * n - 1, *by_phase.shape[1:])
    return states, rates, np.moveaxis(parts, 0, 1)


@njit(nogil=True, fastmath=True)
def _series(
    nodes: np.ndarray,
    phase: np.ndarray,
    rate: np.ndarray,
    times: np.ndarray,
    values: np.ndarray,
    tilts: np.ndarray,
    carrier: np.ndarray,
    target: np.ndarray,
    start: float,
    step: float,
    out: np.ndarray,
) -> None:
    """Add ``exp(-i carrier phase) (values)`` at ``start + j step`` (M) to rows `target` of `out` (n_orders, n), part by part;
    `values`, `tilts` (2 n_parts, n_t) are real and imaginary parts and their slopes."""
    n = out.shape[1]
    at = start + step * np.arange(n)
    angle = hermite(nodes, phase, rate, at)
    cosine, sine = np.cos(angle), np.sin(angle)
    turn_real, turn_imaginary = np.empty((6, n)), np.empty((6, n))
    turn_real[0], turn_imaginary[0] = 1.0, 0.0
    for m in range(1, 6):
        turn_real[m] = turn_real[m - 1] * cosine - turn_imaginary[m - 1] * sine
        turn_imaginary[m] = turn_real[m - 1] * sine + turn_imaginary[m - 1] * cosine
    for p in range(carrier.size):
        row, m = out[target[p]], carrier[p]
        c, sign = turn_real[abs(m)], -1.0 if m > 0 else 1.0
        s = turn_imaginary[abs(m)]
        j, i = 0, 0
        while j < n:
            while i < times.size - 2 and times[i + 1] <= at[j]:
                i += 1
            width = times[i + 1] - times[i]
            a, b = values[2 * p, i], tilts[2 * p, i]
            e, f = values[2 * p + 1, i], tilts[2 * p + 1, i]
            mean, mean_i = (values[2 * p, i + 1] - a) / width, (values[2 * p + 1, i + 1] - e) / width
            c2 = (3.0 * mean - 2.0 * b - tilts[2 * p, i + 1]) / width
            c3 = (b + tilts[2 * p, i + 1] - 2.0 * mean) / (width * width)
            d2 = (3.0 * mean_i - 2.0 * f - tilts[2 * p + 1, i + 1]) / width
            d3 = (f + tilts[2 * p + 1, i + 1] - 2.0 * mean_i) / (width * width)
            last = n
            if i < times.size - 2:
                last = min(n, int(np.ceil((times[i + 1] - start) / step)))
                if last <= j:
                    last = j + 1
            for k in range(j, last):
                x = at[k] - times[i]
                u = a + x * (b + x * (c2 + x * c3))
                v = e + x * (f + x * (d2 + x * d3))
                row[k] += complex(u * c[k] - sign * v * s[k], v * c[k] + sign * u * s[k])
            j = last


@njit(nogil=True)
def _add_spectra(spectra: np.ndarray, there: np.ndarray, factor: float, wanted: np.ndarray, out: np.ndarray) -> None:
    """Add both polarizations of the orders `there` (n,), counted from -HIGHEST, to `out` (2 HIGHEST + 1, 2, n) at the frequencies
    numbered `wanted` (n,), ascending.

    `spectra` (n, n_samples) are those of ``h_plus - i h_cross`` at all frequencies of a discrete transform."""
    size, last = spectra.shape[1], len(out) - 1
    for i in range(there.size):
        row, k = spectra[i], there[i]
        # The order exp(-i k phase) of h is exp(i k phase) of its conjugate: h_plus = Re h and h_cross = -Im h hold both.
        plus, cross, plus_of_other, cross_of_other = out[k, 0], out[k, 1], out[last - k, 0], out[last - k, 1]
        for j in range(wanted.size):
            f = wanted[j]
            if f >= size // 2:
                break
            up = factor * row[size - f if f else 0].conjugate()
            down = factor * row[f]
            plus[j] += up
            cross[j] += complex(up.imag, -up.real)
            plus_of_other[j] += down
            cross_of_other[j] += complex(-down.imag, down.real)


def transformed(
    evolved: list[Evolved],
    orders: np.ndarray,
    terms: Terms,
    theta: float,
    begin: float,
    cycle: float,
    end: float,
    unit: float,
    duration: float,
    rate: float,
    wanted: np.ndarray,
    out: np.ndarray,
) -> None:
    """Add spectra in 1/Hz at 1 Mpc of the orders -HIGHEST to HIGHEST, peak at t = 0 of the periodic segment, to `out`
    (2 HIGHEST + 1, 2, n).

    Parameters
    ----------
    evolved, orders, terms, theta : as for `slow_parts`
    begin, cycle, end : float, M
        where the waveform begins and ends, and how long it is faded in
    unit : float, s
        of one M
    duration : float, s; rate : float, Hz
        of the segment, and of the series that is transformed: beyond half of it nothing is added
    wanted : (n,) int, ascending
        numbers of the segment's frequencies that are wanted
    """
    e, step = evolved[0], 1.0 / rate / unit
    first, last = math.ceil(begin / step), math.floor(end / step)
    place = max(int(np.searchsorted(e.times, first * step, side="right")) - 4, 0)
    phase, slope, parts = slow_parts(evolved, orders, terms, theta, place)
    size = np.abs(parts[:, :, place:]).max(axis=2)
    m, n = np.indices(size.shape)
    total = (m - TOP) - (n - len(evolved) + 1)
    kept = size > NEGLIGIBLE * size.max()
    rows = parts[kept][:, place:]
    values = np.stack([rows.real, rows.imag], axis=1).reshape(2 * len(rows), -1)
    times = e.times[place:].copy()
    h = np.zeros((2 * HIGHEST + 1, last - first + 1), np.complex128)
    given = (times, values, slopes(times, values), (m - TOP)[kept], total[kept] + HIGHEST)
    _series(e.nodes, phase, slope, *given, first * step, step, h)
    ramp = max(math.ceil(cycle / step), 1)
    h[:, :ramp] *= start_taper(np.arange(ramp, dtype=np.float64), 0.0, float(ramp))
    size_of = round(duration * rate)
    if h.shape[1] > size_of:
        raise DomainError(
            f"the signal is {h.shape[1] / rate:.2f} s long from f_min: the segment of {duration:g} s is too short, take a longer "
            "one or a higher f_min"
        )
    there = np.flatnonzero(np.bincount(total[kept] + HIGHEST, minlength=2 * HIGHEST + 1))
    series = np.zeros((len(there), size_of), np.complex128)
    series[:, : h.shape[1] + first], series[:, first:] = h[there, -first:], h[there, :-first]
    _add_spectra(fft(series, axis=1), there, 0.5 * unit / MPC_SECONDS / rate, wanted, out)
