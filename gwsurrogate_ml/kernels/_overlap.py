"""Overlap-save: convolution with a filter, block by block, by transforms of one length."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.kernels import fft


class Response(NamedTuple):
    """A filter's one-sided transfer function for transforms of `n_fft` samples."""

    values: np.ndarray
    n_fft: int


def block_length(n_out: int, n_taps: int) -> int:
    """Transform length of the overlap-save blocks: about four filters, less where the data are short."""
    return fft.next_fast_length(min(4 * n_taps, n_out + n_taps - 1))


def transfer(taps: np.ndarray, n_fft: int, dtype: np.dtype) -> Response:
    padded = np.zeros(n_fft, dtype=dtype)
    padded[: taps.size] = taps
    values = fft.rfft(padded)
    values.setflags(write=False)
    return Response(values, n_fft)


def overlap_save(padded: np.ndarray, response: Response, n_taps: int) -> np.ndarray:
    """Convolution of `padded` with the filter where it overlaps fully: ``padded.size - n_taps + 1`` samples."""
    n_out = padded.size - n_taps + 1
    step = response.n_fft - n_taps + 1
    out = np.empty(n_out, dtype=padded.dtype)
    for start in range(0, n_out, step):
        block = padded[start : start + response.n_fft]
        stop = min(start + step, n_out)
        spectrum = fft.rfft(block, n=response.n_fft)
        spectrum *= response.values
        out[start:stop] = fft.irfft(spectrum, response.n_fft)[n_taps - 1 : n_taps - 1 + stop - start]
    return out
