"""Checks and views shared by the kernels that filter: one length, one dtype, and which input made a sum unusable."""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import _arguments
from gwsurrogate_ml.kernels._filter import correlate


def split(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary parts as contiguous arrays."""
    return np.ascontiguousarray(z.real), np.ascontiguousarray(z.imag)


def real(z: np.ndarray) -> np.ndarray:
    """View of contiguous complex numbers as re, im, re, ...: what the compiled loops take."""
    return z.view(z.real.dtype)


def common(h: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in one dtype, complex64 only if both are: fewer combinations to compile."""
    dtype = np.result_type(h, s)
    return h.astype(dtype, copy=False), s.astype(dtype, copy=False)


def inputs(template: object, data: object, psd: object, name: str = "template") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Template, data and PSD as arrays; `DataError` unless they are spectra with the same number of frequencies."""
    h, s, noise = _arguments.spectrum(template, name), _arguments.spectrum(data, "data"), _arguments.one_sided(psd, "psd")
    if s.ndim != 1 or not h.shape[-1] == s.size == noise.size:
        raise DataError(
            f"template has {h.shape[-1]} frequencies, data {s.shape}, psd {noise.size}: all need N/2 + 1 at the same "
            "delta_f; pad the time series to one duration and interpolate the PSD (kernels.truncation.interpolate)"
        )
    return h, s, noise


def correlated(h: np.ndarray, s: np.ndarray, noise: np.ndarray, kmin: int, kmax: int, delta_f: float, out: np.ndarray) -> float:
    """Norm sigma of the template `h`; its correlation with the data `s` over the PSD goes to `out`, all complex of one dtype.

    Raises
    ------
    DataError
        naming the input that makes the sums unusable
    """
    hh, ss, valid = correlate(real(h), real(s), noise, kmin, kmax, real(out))
    if not (valid and np.isfinite(hh) and np.isfinite(ss) and hh > 0):
        explain(h, s, noise, kmin, kmax, delta_f)
    return float(np.sqrt(4.0 * delta_f * hh))


def output_length(n: int, decimate: int, kmax: int) -> int:
    """Samples of a series of which every `decimate`-th is kept, or `ConfigError` where that would alias."""
    if decimate not in (1, 2, 4) or n % decimate:
        raise ConfigError(f"decimate is {decimate!r} for {n} samples: choose 1, 2 or 4, a divisor of the length")
    if kmax > n // decimate:
        raise ConfigError(
            f"decimate = {decimate} keeps frequencies below 1/{decimate} of the sampling rate: lower f_high or decimate"
        )
    return n // decimate


def explain(h: np.ndarray, s: np.ndarray, noise: np.ndarray, kmin: int, kmax: int, delta_f: float, name: str = "template") -> None:
    """Find out which input made the sums unusable, and say so."""
    _arguments.require_positive_band(noise, "psd", kmin, kmax, delta_f)
    _arguments.require_finite(h[kmin:kmax], f"{name} in the band")
    _arguments.require_finite(s[kmin:kmax], "data in the band")
    raise DataError(
        f"{name} has no power between {kmin * delta_f:g} and {kmax * delta_f:g} Hz (or it under- or overflows): "
        "lower f_low, or scale the strain and the PSD"
    )
