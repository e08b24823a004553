"""Fourier transforms: the one place where the backend is picked (MKL where `mkl_fft` is installed, else scipy.fft).

numpy's signs and normalisation. Single precision stays single in both backends, which `numpy.fft` does not promise.
No plan or workspace is kept here: MKL caches its descriptors per thread, pocketfft its twiddles.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

Transform = Callable[..., np.ndarray]


def _pick() -> tuple[str, Any]:
    """Name and module of the fastest backend that can be imported."""
    try:
        import mkl_fft
    except ImportError:
        import scipy.fft

        return "scipy", scipy.fft
    return "mkl", mkl_fft


_NAME, _BACKEND = _pick()


def _mkl_function(name: str) -> Callable[..., int] | None:
    """A function of the MKL that `mkl_fft` is linked with, or None: without MKL, or where its symbols are not reachable."""
    if _NAME != "mkl":
        return None
    import mkl_fft._pydfti

    try:
        # The extension's own handle reaches the libraries it is linked with, whatever their version and place.
        function: Callable[..., int] = getattr(ctypes.CDLL(mkl_fft._pydfti.__file__), name)
    except (OSError, AttributeError):
        return None
    return function


_SET_THREADS, _GET_THREADS = _mkl_function("MKL_Set_Num_Threads_Local"), _mkl_function("MKL_Get_Max_Threads")


def backend_name() -> str:
    """Name of the FFT backend in use: ``"mkl"`` or ``"scipy"``.

    MKL takes its number of threads from ``MKL_NUM_THREADS``, by default as many as cores; see `one_thread`.

    Examples
    --------
    >>> backend_name() in ("mkl", "scipy")
    True
    """
    return _NAME


def transform_threads() -> int:
    """Most threads a transform called from this thread may use.

    Examples
    --------
    >>> transform_threads() >= 1
    True
    """
    return 1 if _GET_THREADS is None else int(_GET_THREADS())


@contextmanager
def one_thread() -> Iterator[None]:
    """Transforms called from this thread use no other ones; the setting before is restored at the end.

    For workers of a pool: with as many workers as cores, threads of MKL's own inside each only wait for one another. Other
    threads keep their setting. The last digits depend on MKL's number of threads: inside they are always the same.
    scipy's transforms have one thread anyway.

    Examples
    --------
    >>> with one_thread():
    ...     transform_threads()
    1
    """
    if _SET_THREADS is None:
        yield
        return
    before = _SET_THREADS(1)
    try:
        yield
    finally:
        _SET_THREADS(before)


def rfft(x: np.ndarray, n: int | None = None, axis: int = -1, out: np.ndarray | None = None) -> np.ndarray:
    """One-sided transform of real samples; float32 gives complex64, float64 complex128.

    Parameters
    ----------
    x : real array (..., n_t)
    n : int, optional
        length of the transform; `x` is cut or padded with zeros to it
    out : complex array of the result's shape and dtype, optional
        spares an allocation where the backend can use it: the result is what is returned

    Returns
    -------
    complex array (..., n // 2 + 1), not normalised

    Examples
    --------
    >>> rfft(np.ones(4)).real
    array([4., 0., 0.])
    """
    if out is None or _NAME != "mkl":
        return _BACKEND.rfft(x, n=n, axis=axis)
    return _BACKEND.rfft(x, n=n, axis=axis, out=out)


def irfft(x: np.ndarray, n: int, axis: int = -1, out: np.ndarray | None = None) -> np.ndarray:
    """Real samples from a one-sided spectrum, divided by `n`, the number of samples (required: odd and even differ).

    `out` as for `rfft`.

    Examples
    --------
    >>> irfft(rfft(np.array([1.0, 2.0, 3.0])), 3)
    array([1., 2., 3.])
    """
    if out is None or _NAME != "mkl":
        return _BACKEND.irfft(x, n=n, axis=axis)
    return _BACKEND.irfft(x, n=n, axis=axis, out=out)


def fft(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Complex transform, not normalised; single precision is kept.

    Examples
    --------
    >>> fft(np.array([1.0, 0.0])).real
    array([1., 1.])
    """
    return _BACKEND.fft(x, axis=axis)


def ifft(x: np.ndarray, axis: int = -1, norm: str = "backward", out: np.ndarray | None = None) -> np.ndarray:
    """Inverse complex transform; `norm` is numpy's: "backward" divides by the length, "forward" does not.

    `out`, of the result's shape and dtype and not `x` itself, spares an allocation where the backend can use it: the result
    is what is returned.

    Examples
    --------
    >>> ifft(fft(np.array([1.0, 2.0]))).real
    array([1., 2.])
    """
    if out is None or _NAME != "mkl":
        return _BACKEND.ifft(x, axis=axis, norm=norm)
    return _BACKEND.ifft(x, axis=axis, norm=norm, out=out)


def next_fast_length(n: int) -> int:
    """Smallest length >= `n` with no prime factor above 5: fast, and even for `n` > 1, in both backends.

    Examples
    --------
    >>> next_fast_length(1021)
    1024
    """
    import scipy.fft

    n = int(scipy.fft.next_fast_len(n, real=True))
    while n > 1 and n % 2:
        n = int(scipy.fft.next_fast_len(n + 1, real=True))
    return n
