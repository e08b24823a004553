"""Baselines for witness subtraction: short FIR Wiener filters of the witnesses, and of their products (NonSENS-like).

A few lines on scipy: the normal equations of a multichannel FIR filter are block Toeplitz. Source: arXiv:1911.09083.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.denoise.witness.channels import align, require_alive
from gwsurrogate_ml.denoise.witness.features import Feature, candidates, evaluate, slow_channels
from gwsurrogate_ml.denoise.witness.fitting import banded
from gwsurrogate_ml.denoise.witness.stream import Filter
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.psd import welch
from gwsurrogate_ml.kernels.truncation import interpolate, inverse_spectrum_truncation

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

RIDGE = 1e-8


def fir_wiener(
    strain: TimeSeries,
    witnesses: Mapping[str, TimeSeries],
    band: tuple[float, float] = (10.0, 200.0),
    length: float = 0.25,
) -> Filter:
    """Least-squares FIR filter of all witnesses, of `length` (s) about zero lag, on data whitened in `band` (Hz)."""
    return _fit(strain, witnesses, band, length, ("linear",), "fir-wiener")


def bilinear_wiener(
    strain: TimeSeries,
    witnesses: Mapping[str, TimeSeries],
    band: tuple[float, float] = (10.0, 200.0),
    length: float = 0.25,
) -> Filter:
    """As `fir_wiener`, with the products of fast and slow witnesses as further inputs."""
    return _fit(strain, witnesses, band, length, ("linear", "product"), "bilinear-wiener")


def _fit(
    strain: TimeSeries,
    witnesses: Mapping[str, TimeSeries],
    band: tuple[float, float],
    length: float,
    kinds: Sequence[str],
    name: str,
) -> Filter:
    from scipy.linalg import solve, toeplitz

    data = align(strain, witnesses)
    require_alive(data)
    rate, none = data.sampling_frequency, np.ones(1)
    tried = candidates(data.channels, slow_channels(data.channels, rate))
    features: list[Feature] = [feature for feature in tried if feature.kind in kinds]
    x = evaluate(features, data.channels, none)
    x /= (scale := x.std(axis=1, keepdims=True))
    half = round(0.5 * length * rate)
    weight = _weight(data.strain, rate, band)
    spectra = fft.rfft(np.concatenate([x, data.strain[None] / data.strain.std()]), 2 * data.strain.size)
    f = np.arange(spectra.shape[1]) * rate / (2 * data.strain.size)
    spectra *= np.interp(f, weight[0], weight[1])
    k, n = len(features), 2 * half + 1
    normal = np.empty((k, n, k, n))
    for i in range(k):
        for j in range(i, k):
            r = fft.irfft(np.conj(spectra[i]) * spectra[j], 2 * data.strain.size)
            # <x_i(t - a) x_j(t - b)> = r(a - b): the first column has lags 0, 1, ..., the first row 0, -1, ...
            block = toeplitz(r[:n], np.concatenate([r[:1], r[:-n:-1]]))
            normal[i, :, j] = block
            normal[j, :, i] = block.T
    right = np.empty((k, n))
    for i in range(k):
        r = fft.irfft(np.conj(spectra[i]) * spectra[k], 2 * data.strain.size)
        right[i] = np.concatenate([r[-half:], r[: half + 1]])
    matrix = normal.reshape(k * n, k * n)
    matrix[np.arange(k * n), np.arange(k * n)] *= 1.0 + RIDGE
    taps = solve(matrix, right.ravel(), assume_a="pos").reshape(k, n) * data.strain.std() / scale
    taps = banded(taps, band, n + 2 * round(rate), rate)  # outside the band nothing was asked of the filter
    limits = np.full(len(data.channels), np.inf)
    return Filter(tuple(data.channels), tuple(features), none, taps[None], limits, rate, f"{name} 1")


def _weight(strain: np.ndarray, rate: float, band: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Amplitude of the whitening filter inside the band: frequencies and gain."""
    _, psd = welch(strain, rate, 2.0)
    psd = np.maximum(psd, 1e-8 * psd.max())
    smooth = inverse_spectrum_truncation(psd, 0.5, 0.5, 0.5 * band[0])
    smooth = interpolate(smooth, 0.5, 0.25)
    f = np.arange(smooth.size) * 0.25
    return f, np.where((f >= band[0]) & (f <= band[1]), np.sqrt(np.min(smooth) / smooth), 0.0)
