"""Optimal filters of given features over all bands, and how much held-back power they leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.denoise.witness import fir, transfer_functions
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.psd import welch

EDGE = 2.0
"""Neighbouring bands pass into one another over this many Hz."""
REFUSE = 0.997
"""A band whose held-back power falls by less than this factor is left alone."""
REFITS = 1
"""Fits to the residual after the first: the window's leakage shortens long responses, these lengthen them again."""
MIN_AVERAGES = 12
LOUD = 3e-3
"""Share of a feature's largest power."""
STEEPEST = 3.0
"""Largest transfer function of fringes in units of its typical size."""
WHITENER_HALF = 1.0
"""Half-length of the filter behind which all is fitted, s."""


@dataclass(frozen=True)
class Sample:
    """Whitened strain (n,), which of it is usable (n,) bool, the first sample held back, the rate (Hz), and the `whitener`."""

    strain: np.ndarray
    usable: np.ndarray
    cut: int
    rate: float
    whitener: np.ndarray


def whitener(strain: np.ndarray, rate: float, band: tuple[float, float]) -> np.ndarray:
    """Zero-phase filter (n_taps,) that makes strain white in the band and lowers all else.

    Everything is fitted and judged behind it: a transfer function is the same there, and the windows of the spectra leak neither
    the seismic wall nor lines.
    """
    half = round(WHITENER_HALF * rate)
    f, psd = welch(strain, rate, min(2.0, strain.size / rate / 8))
    frequencies = np.arange(half + 1) * rate / (2 * half)
    psd = np.interp(frequencies, f, psd)
    inside = (frequencies >= band[0] - 2.0 * EDGE) & (frequencies <= band[1] + 2.0 * EDGE)
    level = float(np.median(psd[inside]))
    response = np.where(inside, np.sqrt(level / np.maximum(psd, 1e-6 * level)), 0.0)
    taps = np.roll(fft.irfft(response.astype(np.complex128), 2 * half), half)
    return np.asarray(np.append(taps, taps[0]) * np.hanning(2 * half + 1))


def through(rows: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Rows (..., n) filtered by symmetric taps, mirrored at their ends."""
    from scipy.signal import oaconvolve

    half = taps.size // 2
    padded = np.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(half, half)], mode="reflect")
    return np.asarray(oaconvolve(padded, taps.reshape((1,) * (rows.ndim - 1) + (-1,)), mode="valid", axes=-1))


def eroded(usable: np.ndarray, reach: int) -> np.ndarray:
    """(n - 2 reach,) bool: all usable within `reach` samples."""
    bad = np.concatenate([[0], np.cumsum(~usable)])
    return np.asarray(bad[2 * reach + 1 :] == bad[: bad.size - 2 * reach - 1])


def filters(
    x: np.ndarray,
    d: np.ndarray,
    ok: np.ndarray,
    n_segment: int,
    rate: float,
    bands: Sequence[tuple[float, float]],
    fringes: Sequence[bool],
) -> tuple[np.ndarray, np.ndarray, float]:
    """Taps (k, n_segment + 1) over all bands, where each feature is used (n_bins from 0 Hz, k), and averages.

    A feature that is loud for moments alone has few averages, by which chance is judged; fringes are so by nature, and count in
    full where they are LOUD.
    """
    delta_f = rate / n_segment
    bins = slice(max(1, int((bands[0][0] - EDGE) / delta_f)), min(n_segment // 2, int((bands[-1][1] + EDGE) / delta_f) + 2))
    frequencies = np.arange(bins.start, bins.stop) * delta_f
    allowed = np.any([(frequencies > low - EDGE) & (frequencies < high + EDGE) for low, high in bands], axis=0)
    spectra, averages, own = transfer_functions.cross_spectra(x, d, n_segment, bins, ok)
    if averages < MIN_AVERAGES:
        raise DataError(f"gaps leave {averages:.0f} stretches of {n_segment / rate:g} s: read a span with fewer gaps")
    power = np.einsum("faa->fa", spectra).real[:, :-1]
    loud = power > LOUD * np.max(power, axis=0, where=allowed[:, None], initial=0.0)
    used = transfer_functions.choose(spectra, np.where(loud & np.asarray(fringes, bool), averages, own), delta_f, allowed)
    transfer = _bounded(transfer_functions.solve(spectra, used), power, fringes)
    taps = transfer_functions.to_taps(transfer, bins, n_segment)
    half = n_segment // 2
    active = np.flatnonzero(used.any(axis=0))
    for _ in range(REFITS if active.size else 0):
        residual = d.copy()
        residual[half : d.size - half] -= fir.apply_valid(x[active], taps[active])
        inner = slice(half, d.size - half)
        again, *_ = transfer_functions.cross_spectra(x[active][:, inner], residual[inner], n_segment, bins, ok[inner])
        transfer[:, active] += transfer_functions.solve(again, used[:, active])
        transfer = _bounded(transfer, power, fringes)
        taps = transfer_functions.to_taps(transfer, bins, n_segment)
    full = np.zeros((bins.stop, used.shape[1]), bool)
    full[bins] = used
    return taps, full, averages


def filters_of_all(
    x: np.ndarray,
    d: np.ndarray,
    ok: np.ndarray,
    n_segment: int,
    n_shortest: int,
    rate: float,
    bands: Sequence[tuple[float, float]],
    fringes: Sequence[bool],
) -> tuple[np.ndarray, np.ndarray, float]:
    """As `filters`, but those of fringes with `n_shortest` samples: bursts are short, and light couples smoothly.

    Long filters are then fitted to what fringes leave. Where a fringe is used the second value is its share of a long average.
    """
    fringe = np.asarray(fringes, bool)
    if n_segment == n_shortest or not fringe.any():
        return filters(x, d, ok, n_segment, rate, bands, fringes)
    short, used_short, many = filters(x, d, ok, n_shortest, rate, bands, fringes)
    half, middle = n_shortest // 2, n_segment // 2
    rest = d.copy()
    rest[half : d.size - half] -= fir.apply_valid(x[fringe], short[fringe])
    long, used_long, averages = filters(x[~fringe], rest, ok, n_segment, rate, bands, [False] * int((~fringe).sum()))
    taps, used = np.zeros((len(x), n_segment + 1)), np.zeros((used_long.shape[0], len(x)))
    taps[~fringe] = long
    taps[fringe, middle - half : middle + half + 1] = short[fringe]
    used[:, ~fringe] = used_long
    nearest = np.minimum(np.round(np.arange(len(used)) * n_shortest / n_segment).astype(int), len(used_short) - 1)
    used[:, fringe] = used_short[nearest][:, fringe] * averages / many
    return taps, used, averages


def _bounded(transfer: np.ndarray, power: np.ndarray, fringes: Sequence[bool]) -> np.ndarray:
    """Transfer functions (n_bins, k), those of fringes nowhere above a few times their typical size.

    Light couples smoothly; where hardly a fringe was fast enough the noise alone would say how.
    """
    size = np.abs(transfer)
    weight = np.where(size > 0, power, 0.0)
    typical = np.sqrt(np.sum(size**2 * weight, axis=0) / np.maximum(weight.sum(axis=0), 1e-300))
    most = np.where(fringes, STEEPEST * typical, np.inf)
    return transfer * np.minimum(1.0, np.divide(most, size, out=np.ones_like(size), where=size > 0))


def held_back_power(
    x: np.ndarray, d: np.ndarray, ok: np.ndarray, taps: np.ndarray, rate: float, bands: Sequence[tuple[float, float]]
) -> np.ndarray:
    """Mean over each band of PSD after over PSD before, (n_bands,)."""
    half = taps.shape[1] // 2
    if d.size < 2 * half + 4 * rate:
        return np.ones(len(bands))
    inner = slice(half, d.size - half)
    active = np.abs(taps).max(axis=1) > 0
    if not active.any():
        return np.ones(len(bands))
    raw, good = d[inner], ok[inner]
    clean = np.where(good, raw - fir.apply_valid(x[active], taps[active]), 0.0)
    f, before = welch(np.where(good, raw, 0.0), rate, 1.0, average="mean")
    _, after = welch(clean, rate, 1.0, average="mean")
    return np.array([np.mean((after / before)[(f >= low) & (f <= high)]) for low, high in bands])
