"""Fourier transforms: the one place where the backend is picked (MKL where `mkl_fft` is installed, else scipy.fft).

numpy's signs and normalisation. Single precision stays single in both backends, which `numpy.fft` does not promise.
MKL's last plans are kept (`_mkl.plan`, at most 256 MB), as pocketfft keeps its twiddles: no result depends on what ran before.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np

from gwsurrogate_ml.kernels import _memory, _mkl

Kind = Literal["rfft", "irfft", "fft", "ifft"]
Norm = Literal["backward", "forward"]

_MKL = _mkl.library()
_REAL, _COMPLEX = (np.float32, np.float64), (np.complex64, np.complex128)


def _general() -> ModuleType:
    """Transforms of any axis, length and dtype."""
    if _MKL is None:
        import scipy.fft as module
    else:
        import mkl_fft as module
    return module


def backend_name() -> str:
    """Name of the FFT backend in use: ``"mkl"`` or ``"scipy"``.

    MKL takes its number of threads from ``MKL_NUM_THREADS``, by default as many as cores; see `one_thread`.

    Examples
    --------
    >>> backend_name() in ("mkl", "scipy")
    True
    """
    return "scipy" if _MKL is None else "mkl"


def transform_threads() -> int:
    """Most threads a transform called from this thread may use.

    Examples
    --------
    >>> transform_threads() >= 1
    True
    """
    return 1 if _MKL is None else int(_MKL.MKL_Get_Max_Threads())


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
    if _MKL is None:
        yield
        return
    before = _MKL.MKL_Set_Num_Threads_Local(1)
    try:
        yield
    finally:
        _MKL.MKL_Set_Num_Threads_Local(before)


def _transform(
    kind: Kind,
    x: np.ndarray,
    n: int,
    axis: int,
    norm: Norm = "backward",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """MKL's own transform of `n` samples where the rows of `x` lie one behind the other, else the general one."""
    if norm not in ("backward", "forward"):
        raise ValueError(f"norm is {norm!r}: 'backward' or 'forward'")
    real, forward = kind in ("rfft", "irfft"), kind in ("rfft", "fft")
    width = n // 2 + 1 if real else n
    before, after = (n, width) if forward else (width, n)
    fit = axis in (-1, x.ndim - 1) and x.shape[-1] == before and x.size > 0 and x.flags.c_contiguous
    if _MKL is None or not fit or x.dtype not in (_REAL if kind == "rfft" else _COMPLEX):
        return _generally(kind, x, n, axis, norm)
    single = x.dtype in (np.float32, np.complex64)
    dtype = np.dtype((_REAL if kind == "irfft" else _COMPLEX)[0 if single else 1])
    shape = (*x.shape[:-1], after)
    if out is not None:
        fitting = out.shape == shape and out.dtype == dtype and out.flags.c_contiguous and out.flags.writeable
        if not fitting or (out is not x and np.may_share_memory(out, x)):
            raise ValueError(
                f"out must be contiguous {dtype} {shape}, writeable and apart from the input: it is {out.dtype} {out.shape}"
            )
    scale = 1.0 if forward or norm == "forward" else 1.0 / n
    plan = _mkl.plan(_MKL, _mkl.Kind(real, forward, n, x.size // before, single, scale, out is x, transform_threads()))
    if plan is None:
        return _generally(kind, x, n, axis, norm)
    if out is None:
        out = _memory.empty(shape, dtype)
    plan(x, out)
    return out


def _generally(kind: Kind, x: np.ndarray, n: int, axis: int, norm: Norm) -> np.ndarray:
    """The transform by the backend's own function."""
    length = {"n": n} if kind in ("rfft", "irfft") else {}
    result: np.ndarray = getattr(_general(), kind)(x, axis=axis, norm=norm, **length)
    return result


class Native(NamedTuple):
    """A transform for compiled loops, which call it by `kernels._compiled.call` and hold no lock of Python's; one thread.

    Attributes
    ----------
    address, handle : int
        what `call` needs beside the places of input and output
    owner : object
        both hold while it lives
    errors : list
        what went wrong in Python, which cannot pass through compiled code; see `check`
    """

    address: int
    handle: int
    owner: object
    errors: list[BaseException]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


def native(kind: Literal["rfft", "irfft"], n: int, dtype: np.dtype | type) -> Native:
    """`rfft` or `irfft` of a row of `n` samples of `dtype`, contiguous, for compiled loops.

    Examples
    --------
    >>> native("rfft", 64, np.float32).address != 0
    True
    """
    single = dtype == np.float32
    samples, spectrum = (_REAL[not single], n), (_COMPLEX[not single], n // 2 + 1)
    if _MKL is not None:
        scale = 1.0 if kind == "rfft" else 1.0 / n
        plan = _mkl.plan(_MKL, _mkl.Kind(True, kind == "rfft", n, 1, single, scale, False, 1))
        if plan is not None:
            return Native(*plan.call, plan, [])
    (from_dtype, n_from), (to_dtype, n_to) = (samples, spectrum) if kind == "rfft" else (spectrum, samples)
    how: Any = getattr(_general(), kind)
    errors: list[BaseException] = []

    def row(_: int, source: int, target: int) -> int:
        view, out = (
            np.ctypeslib.as_array((ctypes.c_char * (length * np.dtype(of).itemsize)).from_address(place)).view(of)
            for place, of, length in ((source, from_dtype, n_from), (target, to_dtype, n_to))
        )
        try:
            out[:] = how(view, n)
        except BaseException as error:
            errors.append(error)
            return 1
        return 0

    callback = _CALLBACK(row)
    return Native(int(ctypes.cast(callback, ctypes.c_void_p).value or 0), 0, callback, errors)


def check(status: int, *transforms: Native) -> None:
    """Raise what went wrong in native transforms of which one had a `status` that is not 0.

    Examples
    --------
    >>> check(0)
    """
    for transform in transforms:
        if transform.errors:
            raise transform.errors.pop()
    if status:
        raise RuntimeError(f"a transform failed with status {status} of MKL's DFTI")


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
    return _transform("rfft", x, x.shape[axis] if n is None else n, axis, out=out)


def irfft(x: np.ndarray, n: int, axis: int = -1, out: np.ndarray | None = None) -> np.ndarray:
    """Real samples from a one-sided spectrum, divided by `n`, the number of samples (required: odd and even differ).

    `out` as for `rfft`.

    Examples
    --------
    >>> irfft(rfft(np.array([1.0, 2.0, 3.0])), 3)
    array([1., 2., 3.])
    """
    return _transform("irfft", x, n, axis, out=out)


def fft(x: np.ndarray, axis: int = -1) -> np.ndarray:
    """Complex transform, not normalised; single precision is kept.

    Examples
    --------
    >>> fft(np.array([1.0, 0.0])).real
    array([1., 1.])
    """
    return _transform("fft", x, x.shape[axis], axis)


def ifft(x: np.ndarray, axis: int = -1, norm: Norm = "backward", out: np.ndarray | None = None) -> np.ndarray:
    """Inverse complex transform; `norm` is numpy's: "backward" divides by the length, "forward" does not.

    `out`, of the result's shape and dtype, spares an allocation where the backend can use it: the result is what is returned.
    It may be `x` itself, which is then overwritten: less memory to go through.

    Examples
    --------
    >>> ifft(fft(np.array([1.0, 2.0]))).real
    array([1., 2.])
    """
    return _transform("ifft", x, x.shape[axis], axis, norm, out)


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
