"""MKL's transforms called without a wrapper between: its DFTI functions in the library that `mkl_fft` brings.

`mkl_fft` copies complex input (a third of the time of long transforms) and holds Python's lock during real transforms, so that
threads wait for one another; a call through ctypes does neither. A plan is MKL's committed descriptor: fixed once
made, usable from several threads at a time (oneMKL, "Examples of Using Multi-Threading for FFT Computation").
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

_MOST = 1 << 28
"""Bytes that the plans kept may take, the last used ones: to make one costs as much as to use it once or a few times."""
_BYTES = 56
"""Bytes that a plan takes for each sample in double precision, where their number is no power of two; else a quarter."""

# Names and numbers of mkl_dfti.h
_FORWARD_SCALE, _BACKWARD_SCALE = 4, 5
_NUMBER_OF_TRANSFORMS, _CONJUGATE_EVEN_STORAGE, _PLACEMENT = 7, 10, 11
_INPUT_DISTANCE, _OUTPUT_DISTANCE, _THREAD_LIMIT = 14, 15, 27
_COMPLEX, _REAL, _SINGLE, _DOUBLE, _COMPLEX_COMPLEX, _NOT_INPLACE = 32, 33, 35, 36, 39, 44


def library() -> ctypes.CDLL | None:
    """The MKL that `mkl_fft` is linked with, or None: not installed, or its symbols are not reachable."""
    try:
        import mkl_fft._pydfti

        # The extension's own handle reaches the libraries it is linked with, whatever their version and place. A private module:
        # no public one of `mkl_fft` is the extension itself. Where it goes by another name, transforms are scipy's.
        found = ctypes.CDLL(mkl_fft._pydfti.__file__)
        for name in ("DftiComputeForward", "MKL_Set_Num_Threads_Local", "MKL_Get_Max_Threads"):
            getattr(found, name)
    except (ImportError, OSError, AttributeError):
        return None
    found.DftiComputeForward.argtypes = found.DftiComputeBackward.argtypes = [ctypes.c_void_p] * 3
    found.DftiErrorMessage.restype = ctypes.c_char_p
    found.DftiErrorMessage.argtypes = [ctypes.c_long]
    return found


def check(mkl: ctypes.CDLL, status: int) -> None:
    """Raise RuntimeError with MKL's words if `status` is not that of success."""
    if status:
        raise RuntimeError(f"MKL's transform failed: {mkl.DftiErrorMessage(status).decode()}")


class Kind(NamedTuple):
    """One kind of transform: rows of `n` samples that lie one behind the other.

    Parameters
    ----------
    real : bool
        between real samples and a one-sided spectrum; otherwise complex
    forward : bool
    n, rows : int
        samples of a transform, number of transforms
    single : bool
        precision
    scale : float
        multiplies the result
    in_place : bool
        the result replaces the input (complex transforms only)
    threads : int
        most threads of MKL's
    """

    real: bool
    forward: bool
    n: int
    rows: int
    single: bool
    scale: float
    in_place: bool
    threads: int


class Plan:
    """A transform of some `kind`, committed to the library `mkl`."""

    def __init__(self, mkl: ctypes.CDLL, kind: Kind) -> None:
        real, forward, n, rows, single, scale, in_place, threads = kind
        self._mkl, self._in_place = mkl, in_place
        self._compute = mkl.DftiComputeForward if forward else mkl.DftiComputeBackward
        self._handle = ctypes.c_void_p()
        check(
            mkl,
            mkl.DftiCreateDescriptor(
                ctypes.byref(self._handle),
                ctypes.c_int(_SINGLE if single else _DOUBLE),
                ctypes.c_int(_REAL if real else _COMPLEX),
                ctypes.c_long(1),
                ctypes.c_long(n),
            ),
        )
        free = weakref.finalize(self, mkl.DftiFreeDescriptor, ctypes.byref(self._handle))
        free.atexit = False  # the process's memory goes anyway, and MKL may be gone before
        width = n // 2 + 1 if real else n
        distances = (n, width) if forward else (width, n)
        self._set(_NUMBER_OF_TRANSFORMS, ctypes.c_long(rows))
        self._set(_INPUT_DISTANCE, ctypes.c_long(distances[0]))
        self._set(_OUTPUT_DISTANCE, ctypes.c_long(distances[1]))
        self._set(_THREAD_LIMIT, ctypes.c_long(threads))
        self._set(_FORWARD_SCALE if forward else _BACKWARD_SCALE, ctypes.c_double(scale))
        if real:
            self._set(_CONJUGATE_EVEN_STORAGE, ctypes.c_int(_COMPLEX_COMPLEX))
        if not in_place:
            self._set(_PLACEMENT, ctypes.c_int(_NOT_INPLACE))
        check(mkl, mkl.DftiCommitDescriptor(self._handle))

    def _set(self, name: int, value: object) -> None:
        check(self._mkl, self._mkl.DftiSetValue(self._handle, ctypes.c_int(name), value))

    @property
    def call(self) -> tuple[int, int]:
        """Address of MKL's function and its first argument, for compiled code; both hold while the plan lives."""
        return int(ctypes.cast(self._compute, ctypes.c_void_p).value or 0), int(self._handle.value or 0)

    def __call__(self, x: np.ndarray, out: np.ndarray) -> None:
        """Transform contiguous `x` into contiguous `out`, of the shapes and dtypes of the plan; not checked here."""
        check(self._mkl, self._compute(self._handle, x.ctypes.data, None if self._in_place else out.ctypes.data))


class Kept:
    """The plans used last, as many as take `most` bytes; safe in threads."""

    def __init__(self, most: int) -> None:
        self._most, self.used = most, 0
        self._plans: OrderedDict[Kind, tuple[Plan | None, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, mkl: ctypes.CDLL, kind: Kind) -> Plan | None:
        """The plan of a kind, made anew or kept from before; None where MKL refuses such a transform.

        It refuses real transforms beyond some 2^24 samples whose number is no power of two.
        """
        with self._lock:
            if kind in self._plans:
                self._plans.move_to_end(kind)
                return self._plans[kind][0]
        made: Plan | None
        try:
            made = Plan(mkl, kind)
        except RuntimeError:
            made = None
        size = 0 if made is None else kind.n * _BYTES // (2 if kind.single else 1) // (1 if kind.n & (kind.n - 1) else 4)
        with self._lock:
            if kind not in self._plans:
                self._plans[kind] = made, size
                self.used += size
            while self.used > self._most and len(self._plans) > 1:
                self.used -= self._plans.popitem(last=False)[1][1]
        return made


plan = Kept(_MOST)
