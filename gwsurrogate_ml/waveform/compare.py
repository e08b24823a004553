"""How far two waveforms are apart: one minus the normalised overlap, maximised over time shift and phase.

``mismatch = 1 - max_{tau, phi} Re <h1, e^{i phi} h2(t + tau)> / (|h1| |h2|)``. The inner product is either the plain
integral over a window of time (white noise) or ``sum_f conj(H1) H2 / S(|f|)`` (detector noise). The phase drops out by
taking the modulus; the time shift is continuous. Overlaps are blind to scale: report an amplitude error beside them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import make_interp_spline
from scipy.optimize import minimize_scalar

from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.errors import ConfigError, DataError


class Alignment(NamedTuple):
    """The best match of two waveforms: ``h1(t) ~ amplitude_ratio * exp(i phase) * h2(t + shift)``."""

    mismatch: float
    """1 - overlap, dimensionless, in [0, 1]."""
    shift: float
    """Time shift in the unit of `t`."""
    phase: float
    """Phase in radians."""
    amplitude_ratio: float
    """|h1| / |h2| in the norm of the inner product: what the mismatch does not see."""


def white_mismatch(
    t: ArrayLike, h1: ArrayLike, h2: ArrayLike, window: tuple[float, float] = (-395.0, 90.0), max_shift: float = 12.0
) -> float:
    """White-noise mismatch of two complex waveforms on a window of time, over time shifts and phases.

    Parameters
    ----------
    t : (n,) float, uniform, any unit (M by custom)
    h1, h2 : (n,) complex, any unit
        `h2` is the one that is shifted: it needs values beyond the window on both sides
    window : (float, float), unit of `t`
        where `h1` is compared; both ends inclusive
    max_shift : float, unit of `t`
        largest shift tried, cut to what `h2` covers; both waveforms should already peak near the same time

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    DataError
        if shapes differ, values are not finite, `t` is not uniform or does not cover the window, or a waveform is zero

    Notes
    -----
    Between its samples `h2` is a quintic spline: with a step of 1 M the mismatch is right to 1e-8 through ringdown.

    Examples
    --------
    >>> t = np.arange(-409.0, 108.0)
    >>> h = np.exp(-((t / 100) ** 2) - 0.3j * t)
    >>> white_mismatch(t, h, 2j * h) < 1e-12
    True
    """
    return white_alignment(t, h1, h2, window, max_shift).mismatch


def white_alignment(
    t: ArrayLike, h1: ArrayLike, h2: ArrayLike, window: tuple[float, float] = (-395.0, 90.0), max_shift: float = 12.0
) -> Alignment:
    """The shift, phase and amplitude ratio that `white_mismatch` finds, with the mismatch; same arguments and errors.

    Examples
    --------
    >>> t = np.arange(-409.0, 108.0)
    >>> best = white_alignment(t, np.exp(-(((t - 3.25) / 50) ** 2) + 0j), np.exp(-((t / 50) ** 2) + 0j))
    >>> round(best.shift, 6)
    -3.25
    """
    t, first, second, step = _checked(t, h1, h2)
    low, high = window
    inside = (t >= low - 1e-9 * step) & (t <= high + 1e-9 * step)
    if not low < high or t[0] > low + step or t[-1] < high - step or inside.sum() < 8:
        raise DataError(f"window {window} is not covered by t from {t[0]:g} to {t[-1]:g}: give a smaller window")
    target = first[inside]
    times = t[inside]
    weight = np.full(times.size, step)
    weight[[0, -1]] *= 0.5
    norm1 = _norm(target, weight, "h1")
    _norm(second[inside], weight, "h2")
    spline = make_interp_spline(t, second, k=5)
    most = max_shift / step + 1e-9
    start = int(np.flatnonzero(inside)[0])
    down, up = -min(int(most), start), min(int(most), t.size - start - times.size)

    def overlap(moved: np.ndarray) -> tuple[complex, float]:
        return complex(np.sum(weight * np.conj(moved) * target)), float(np.sqrt(np.sum(weight * np.abs(moved) ** 2)))

    def loss(moved: np.ndarray) -> float:
        product, norm2 = overlap(moved)
        return 1.0 - abs(product) / (norm1 * norm2)

    # Whole steps need no spline: scan them by slices, then search continuously around the best.
    scan = [loss(second[start + k : start + k + times.size]) for k in range(down, up + 1)]
    best = down + int(np.argmin(scan))
    bounds = (max(best - 1, down) * step, min(best + 1, up) * step)
    shift = 0.0
    if bounds[0] < bounds[1]:
        found = minimize_scalar(
            lambda tau: loss(spline(times + tau)), bounds=bounds, method="bounded", options={"xatol": 1e-7 * step}
        )
        shift = float(found.x)
    product, norm2 = overlap(spline(times + shift))
    mismatch = min(max(1.0 - abs(product) / (norm1 * norm2), 0.0), 1.0)
    return Alignment(mismatch, shift, float(np.angle(product)), norm1 / norm2)


def psd_mismatch(
    t_M: ArrayLike,
    h1: ArrayLike,
    h2: ArrayLike,
    total_mass: float,
    psd_frequencies: ArrayLike,
    psd: ArrayLike,
    f_low: float,
    f_high: float | None = None,
    taper: float = 0.1,
) -> float:
    """Mismatch of two complex waveforms in a detector's noise at one total mass, over time shifts and phases.

    Parameters
    ----------
    t_M : (n,) float, uniform, in M
    h1, h2 : (n,) complex, any unit
        both frequency signs count: for one mode of an aligned binary this is the mismatch of its plus polarization
    total_mass : float, solar masses (detector frame)
    psd_frequencies, psd : (m,) float
        one-sided power spectral density in 1/Hz over Hz, interpolated in log-log
    f_low, f_high : float, Hz
        band of the inner product; `f_high` defaults to the last PSD frequency or the Nyquist frequency
    taper : float
        fraction of the time before the peak of `h1` over which the start is faded in (half a cosine); the end is left
        alone, because ringdown has decayed there

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    DataError
        if shapes differ, values are not finite, `t_M` is not uniform, or the PSD does not cover the band
    ConfigError
        if `total_mass`, the band or `taper` is impossible

    Examples
    --------
    >>> t = np.arange(-2000.0, 100.0, 0.5)
    >>> h = np.exp(-((t / 400) ** 2) - 0.2j * t)
    >>> f = np.array([10.0, 2000.0])
    >>> psd_mismatch(t, h, 3j * h, 70.0, f, np.full(2, 1e-46), 15.0) < 1e-12
    True
    """
    t, first, second, step = _checked(t_M, h1, h2)
    if not (np.isfinite(total_mass) and total_mass > 0):
        raise ConfigError(f"total_mass is {total_mass}: give solar masses, greater than zero")
    if not 0 <= taper < 1:
        raise ConfigError(f"taper is {taper}: give a fraction of the time before the peak, from 0 to below 1")
    dt = step * total_mass * MTSUN_SI
    grid, density = np.asarray(psd_frequencies, dtype=np.float64), np.asarray(psd, dtype=np.float64)
    top = min(grid[-1], 0.5 / dt) if f_high is None else f_high
    if not 0 < f_low < top <= 0.5 / dt:
        raise ConfigError(f"band {f_low:g} to {top:g} Hz is impossible below the Nyquist frequency {0.5 / dt:g} Hz")
    if grid[0] > f_low or grid[-1] < top:
        raise DataError(f"the PSD covers {grid[0]:g} to {grid[-1]:g} Hz, not the band {f_low:g} to {top:g} Hz")

    rise = np.ones(t.size)
    n_rise = int(taper * np.argmax(np.abs(first)))
    rise[:n_rise] = 0.5 - 0.5 * np.cos(np.pi * np.arange(n_rise) / max(n_rise, 1))
    n = 1 << int(np.ceil(np.log2(4 * t.size)))
    frequencies = np.fft.fftfreq(n, dt)
    band = (np.abs(frequencies) >= f_low) & (np.abs(frequencies) <= top)
    usable = (density > 0) & (grid > 0)
    log_psd = np.interp(np.log(np.abs(frequencies[band])), np.log(grid[usable]), np.log(density[usable]))
    weight = np.exp(log_psd.min() - log_psd)  # the scale drops out; 1e-46 would underflow when squared
    spectrum1, spectrum2 = np.fft.fft(rise * first, n)[band], np.fft.fft(rise * second, n)[band]
    norm = _norm(spectrum1, weight, "h1") * _norm(spectrum2, weight, "h2")
    cross = np.zeros(n, dtype=np.complex128)
    cross[band] = weight * np.conj(spectrum1) * spectrum2
    coarse = int(np.argmax(np.abs(np.fft.ifft(cross))))
    centre = (coarse - n if coarse > n // 2 else coarse) * dt
    angular, terms = 2j * np.pi * frequencies[band], cross[band]

    def loss(shift: float) -> float:
        return 1.0 - abs(np.sum(terms * np.exp(angular * shift))) / norm

    best = minimize_scalar(loss, bounds=(centre - dt, centre + dt), method="bounded", options={"xatol": 1e-6 * dt})
    return float(min(max(best.fun, 0.0), 1.0))


def _checked(t: ArrayLike, h1: ArrayLike, h2: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    times = np.asarray(t, dtype=np.float64)
    first, second = np.asarray(h1, dtype=np.complex128), np.asarray(h2, dtype=np.complex128)
    if times.ndim != 1 or times.size < 8 or first.shape != times.shape or second.shape != times.shape:
        raise DataError(f"t, h1, h2 have shapes {times.shape}, {first.shape}, {second.shape}: give three equal (n,), n >= 8")
    steps = np.diff(times)
    if not np.all(np.isfinite(times)) or steps[0] <= 0 or np.ptp(steps) > 1e-6 * steps[0]:
        raise DataError("t is not uniform and increasing: resample both waveforms to one uniform grid first")
    for name, h in (("h1", first), ("h2", second)):
        if not np.all(np.isfinite(h)):
            raise DataError(f"{name} is not finite at {int(np.sum(~np.isfinite(h)))} of {h.size} samples")
    return times, first, second, float((times[-1] - times[0]) / (times.size - 1))


def _norm(h: np.ndarray, weight: np.ndarray, name: str) -> float:
    norm = float(np.sqrt(np.sum(weight * np.abs(h) ** 2)))
    if norm == 0:
        raise DataError(f"{name} is zero where the waveforms are compared: a mismatch is not defined")
    return norm
