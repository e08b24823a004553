"""A bank of finite impulse responses applied by one pair of transforms: sum over features of taps * feature."""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.kernels import fft

_BLOCK = 8
"""Blocks are about this many times as long as the taps: little is transformed twice."""


def response(taps: np.ndarray, n_fft: int) -> np.ndarray:
    """Transfer functions (..., n_fft // 2 + 1) of taps (..., n_taps)."""
    return fft.rfft(taps, n_fft)


def apply_valid(features: np.ndarray, taps: np.ndarray, transfer: np.ndarray | None = None) -> np.ndarray:
    """Sum of the filtered features where the taps lie wholly inside: (..., n - n_taps + 1).

    Parameters
    ----------
    features : (n_features, n) float64
    taps : (..., n_features, n_taps) float64
        several banks give as many sums, the features are transformed once
    transfer : (..., n_features, n_fft // 2 + 1), optional
        `response` of the taps for the transform length of `fft_length`, where it is at hand

    Examples
    --------
    >>> apply_valid(np.array([[1.0, 2.0, 4.0]]), np.array([[1.0, 10.0]])).round(12)
    array([12., 24.])
    """
    n, n_taps = features.shape[1], taps.shape[-1]
    n_fft = fft_length(n, n_taps)
    transfer = response(taps, n_fft) if transfer is None else transfer
    step = n_fft - n_taps + 1
    out = np.empty((*taps.shape[:-2], n - n_taps + 1))
    for first in range(0, out.shape[-1], step):
        block = features[:, first : first + n_fft]
        total = np.zeros((*transfer.shape[:-2], transfer.shape[-1]), np.complex128)
        for k, row in enumerate(fft.rfft(block, n_fft)):  # half the time of an einsum
            total += row * transfer[..., k, :]
        last = min(first + step, out.shape[-1])
        out[..., first:last] = fft.irfft(total, n_fft)[..., n_taps - 1 : n_taps - 1 + last - first]
    return out


def fft_length(n: int, n_taps: int) -> int:
    """Length of the transforms with which `apply_valid` filters n samples."""
    return fft.next_fast_length(min(n, _BLOCK * n_taps))
