"""Fourier transforms: numpy's definition in both precisions, whichever backend runs."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.kernels import fft


@pytest.mark.parametrize(
    ("real", "cplx", "rtol"), [(np.float32, np.complex64, 2e-6), (np.float64, np.complex128, 1e-13)]
)
@pytest.mark.parametrize("n", [48, 75])
def test_transforms_follow_numpy_and_keep_the_precision(real, cplx, rtol, n):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, n)).astype(real)
    z = (rng.standard_normal((2, n)) + 1j * rng.standard_normal((2, n))).astype(cplx)
    half = np.fft.rfft(x)
    for ours, theirs, dtype in [
        (fft.rfft(x), half, cplx),
        (fft.rfft(x, n=2 * n), np.fft.rfft(x, n=2 * n), cplx),
        (fft.irfft(half.astype(cplx), n), x, real),
        (fft.fft(z), np.fft.fft(z), cplx),
        (fft.ifft(z), np.fft.ifft(z), cplx),
        (fft.ifft(z, norm="forward"), n * np.fft.ifft(z), cplx),
    ]:
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=rtol * np.abs(theirs).max())


def test_a_missing_mkl_falls_back_to_scipy(monkeypatch):
    import builtins

    real_import = builtins.__import__

    def no_mkl(name, *args, **kwargs):
        if name == "mkl_fft":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_mkl)
    name, backend = fft._pick()
    assert name == "scipy"
    for function in ("rfft", "irfft", "fft", "ifft"):
        monkeypatch.setattr(fft, "_BACKEND", backend)
        assert callable(getattr(backend, function))
    test_transforms_follow_numpy_and_keep_the_precision(np.float32, np.complex64, 2e-6, 48)


@pytest.mark.parametrize("n", [2, 3, 7, 1021, 4097, 100003])
def test_fast_lengths_are_even_smooth_and_never_shorter(n):
    length = m = fft.next_fast_length(n)
    for prime in (2, 3, 5):
        while m % prime == 0:
            m //= prime
    assert m == 1
    assert length >= n
    assert length % 2 == 0
