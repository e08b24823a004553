"""Checks of arguments shared by the kernels: shapes, dtypes, finite numbers and bands; each message has the remedy."""

from __future__ import annotations

import math

import numpy as np

from gwsurrogate_ml.arguments import positive
from gwsurrogate_ml.errors import ConfigError, DataError


def real_series(x: object, name: str) -> np.ndarray:
    """A real, finite, contiguous one-dimensional array: float32 is kept, everything else becomes float64.

    Non-contiguous and big-endian input is copied; contiguous native input is returned as it is.

    Raises
    ------
    DataError
        if `x` is empty, complex, not numeric, not one-dimensional, or holds NaN or infinities

    Examples
    --------
    >>> real_series([1, 2], "x")
    array([1., 2.])
    """
    array = np.asarray(x)
    if array.dtype.kind not in "fiub":
        remedy = "take its real part" if array.dtype.kind == "c" else "give numbers"
        raise DataError(f"{name} has dtype {array.dtype}: real samples are needed; {remedy}")
    if array.ndim != 1 or array.size == 0:
        raise DataError(f"{name} has shape {array.shape}: a one-dimensional array with at least one sample is needed")
    single = array.dtype.kind == "f" and array.dtype.itemsize == 4
    array = np.ascontiguousarray(array, dtype=np.float32 if single else np.float64)
    require_finite(array, name)
    return array


def require_finite(array: np.ndarray, name: str) -> None:
    """Raise `DataError` where `array` holds NaN or infinities, saying how many and where the first one is."""
    # One sum is much cheaper than isfinite and decides nearly always; an overflowing sum only costs the exact look.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum()):
            return
    bad = ~np.isfinite(array)
    if bad.any():
        first = np.argwhere(bad)[0]
        where = int(first[0]) if first.size == 1 else tuple(int(i) for i in first)
        raise DataError(
            f"{name} holds {int(bad.sum())} values that are NaN or infinite (the first at index {where}): "
            "cut or gate the gap before calling"
        )


def spectrum(x: object, name: str) -> np.ndarray:
    """A contiguous complex array with one-sided spectra along the last axis: complex64 is kept, else complex128.

    Finiteness is left to the kernel that reads the band, which sees every value anyway.

    Raises
    ------
    DataError
        if `x` is not numeric or has fewer than two frequencies
    """
    array = np.asarray(x)
    if array.dtype.kind not in "cfiub":
        raise DataError(f"{name} has dtype {array.dtype}: a complex one-sided spectrum is needed")
    if array.ndim == 0 or array.shape[-1] < 2:
        raise DataError(f"{name} has shape {array.shape}: a one-sided spectrum of length N/2 + 1 >= 2 is needed")
    return np.ascontiguousarray(array, dtype=np.complex64 if array.dtype == np.complex64 else np.complex128)


def one_sided(x: object, name: str) -> np.ndarray:
    """A contiguous real one-sided spectrum (PSD or ASD), float32 kept, else float64; values are checked in band."""
    array = np.asarray(x)
    if array.dtype.kind not in "fiu":
        raise DataError(f"{name} has dtype {array.dtype}: real values are needed")
    if array.ndim != 1 or array.size < 2:
        raise DataError(f"{name} has shape {array.shape}: a one-dimensional one-sided spectrum is needed")
    return np.ascontiguousarray(array, dtype=np.float32 if array.dtype == np.float32 else np.float64)


def require_positive_band(values: np.ndarray, name: str, kmin: int, kmax: int, delta_f: float) -> None:
    """Raise `DataError` unless ``values[kmin:kmax] > 0`` throughout; +inf is allowed, it switches a frequency off."""
    band = values[kmin:kmax]
    bad = ~(band > 0)
    if not bad.any():
        return
    k = kmin + int(np.argmax(bad))
    hint = ""
    if values[k] == 0 and values.dtype == np.float32:
        hint = " (float32 underflows below 1e-45: scale strain by 5.9e20 and the PSD by its square, or pass float64)"
    raise DataError(
        f"{name} is {values[k]} at {k * delta_f:g} Hz, and {int(bad.sum())} of {band.size} values in the band are "
        f"zero, negative or NaN{hint}: raise the lower cutoff, or set unusable frequencies to inf"
    )


def samples(duration: float, sample_rate: float, name: str) -> int:
    """Number of samples in `duration` seconds; `ConfigError` where that is not a whole number (to 1e-6 of a sample).

    Examples
    --------
    >>> samples(0.5, 4096, "fduration")
    2048
    """
    exact = positive(duration, name, "s") * positive(sample_rate, "sample_rate", "Hz")
    n = round(exact)
    if n < 1 or abs(exact - n) > 1e-6 * max(1.0, exact):
        raise ConfigError(f"{name} = {duration} s is {exact:g} samples at {sample_rate:g} Hz: choose a whole number of samples")
    return n


def band(f_low: float, f_high: float | None, delta_f: float, n_freq: int) -> tuple[int, int]:
    """First and one-past-last index of a matched filter's band: DC and Nyquist are always excluded.

    ``kmin = max(1, int(f_low / delta_f))``; ``kmax = int(f_high / delta_f)``, at most ``n_freq - 1`` (pycbc's rule).

    Raises
    ------
    ConfigError
        if a cutoff is negative or not a number, `f_low` reaches Nyquist, or the band is empty

    Examples
    --------
    >>> band(20.0, None, 0.25, 8193)
    (80, 8192)
    """
    delta_f = positive(delta_f, "delta_f", "Hz")
    nyquist = (n_freq - 1) * delta_f
    if not (math.isfinite(f_low) and f_low >= 0):
        raise ConfigError(f"f_low is {f_low}: a finite frequency >= 0 Hz is needed")
    if f_low >= nyquist:
        raise ConfigError(f"f_low = {f_low:g} Hz is not below Nyquist ({nyquist:g} Hz): check f_low, delta_f and the length")
    if f_high is not None and not f_high > f_low:
        raise ConfigError(f"f_high = {f_high} Hz is not above f_low = {f_low:g} Hz")
    kmin = max(1, int(f_low / delta_f))
    kmax = n_freq - 1 if f_high is None else min(int(min(f_high, nyquist) / delta_f), n_freq - 1)
    if kmax <= kmin:
        raise ConfigError(f"no frequency bin between f_low = {f_low:g} and f_high = {f_high} Hz at delta_f = {delta_f:g} Hz")
    return kmin, kmax
