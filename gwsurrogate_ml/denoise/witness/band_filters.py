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
    x: np.ndarray, d: np.ndarray, ok: np.ndarray, n_segment: int, rate: float, bands: Sequence[tuple[float, float]]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Taps (k, n_segment + 1) over all bands, where each feature is used (n_bins from 0 Hz, k), and averages."""
    delta_f = rate / n_segment
    bins = slice(max(1, int((bands[0][0] - EDGE) / delta_f)), min(n_segment // 2, int((bands[-1][1] + EDGE) / delta_f) + 2))
    frequencies = np.arange(bins.start, bins.stop) * delta_f
    allowed = np.any([(frequencies > low - EDGE) & (frequencies < high + EDGE) for low, high in bands], axis=0)
    spectra, averages = transfer_functions.cross_spectra(x, d, n_segment, bins, ok)
    if averages < MIN_AVERAGES:
        raise DataError(f"gaps leave {averages:.0f} stretches of {n_segment / rate:g} s: read a span with fewer gaps")
    used = transfer_functions.choose(spectra, averages, delta_f, allowed)
    transfer = transfer_functions.solve(spectra, used)
    taps = transfer_functions.to_taps(transfer, bins, n_segment)
    half = n_segment // 2
    active = np.flatnonzero(used.any(axis=0))
    for _ in range(REFITS if active.size else 0):
        residual = d.copy()
        residual[half : d.size - half] -= fir.apply_valid(x[active], taps[active])
        inner = slice(half, d.size - half)
        again, _ = transfer_functions.cross_spectra(x[active][:, inner], residual[inner], n_segment, bins, ok[inner])
        transfer[:, active] += transfer_functions.solve(again, used[:, active])
        taps = transfer_functions.to_taps(transfer, bins, n_segment)
    full = np.zeros((bins.stop, used.shape[1]), bool)
    full[bins] = used
    return taps, full, averages


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
