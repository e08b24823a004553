"""Fourier transforms: numpy's definition in both precisions, whichever backend runs."""

from __future__ import annotations

import ctypes
import sys

import numpy as np
import pytest
import scipy.fft
import scipy.signal
from numba import njit

from gwsurrogate_ml.kernels import _mkl, fft, psd, threads
from gwsurrogate_ml.kernels._compiled import call
from gwsurrogate_ml.kernels.whiten import whiten


@pytest.fixture(params=["as installed", "scipy"])
def backend(request, monkeypatch):
    if request.param == "scipy":
        monkeypatch.setattr(fft, "_MKL", None)
    return fft.backend_name()


@pytest.mark.parametrize(("real", "cplx", "rtol"), [(np.float32, np.complex64, 2e-6), (np.float64, np.complex128, 1e-13)])
@pytest.mark.parametrize("n", [48, 75])
def test_transforms_follow_numpy_and_keep_the_precision(backend, real, cplx, rtol, n):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 3, n)).astype(real)
    z = (rng.standard_normal((2, 3, n)) + 1j * rng.standard_normal((2, 3, n))).astype(cplx)
    half = np.fft.rfft(x)
    for ours, theirs, dtype in [
        (fft.rfft(x), half, cplx),
        (fft.rfft(x[0, 0]), half[0, 0], cplx),
        (fft.rfft(x[:, ::2]), half[:, ::2], cplx),
        (fft.rfft(x, n=2 * n), np.fft.rfft(x, n=2 * n), cplx),
        (fft.rfft(x, axis=1), np.fft.rfft(x, axis=1), cplx),
        (fft.irfft(half.astype(cplx), n), x, real),
        (fft.irfft(half.astype(cplx), n - 5), np.fft.irfft(half, n - 5), real),
        (fft.fft(z), np.fft.fft(z), cplx),
        (fft.fft(z, axis=0), np.fft.fft(z, axis=0), cplx),
        (fft.ifft(z), np.fft.ifft(z), cplx),
        (fft.ifft(z, norm="forward"), n * np.fft.ifft(z), cplx),
    ]:
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=rtol * np.abs(theirs).max())


def test_integers_and_empty_arrays_are_transformed_as_by_numpy(backend):
    np.testing.assert_allclose(fft.rfft(np.arange(6)), np.fft.rfft(np.arange(6)), atol=1e-14)
    assert fft.rfft(np.ones((0, 8))).shape == (0, 5)


def test_imaginary_parts_at_zero_and_nyquist_do_not_count(backend):
    half = np.fft.rfft(np.random.default_rng(0).standard_normal(16))
    spoilt = half.copy()
    spoilt[[0, -1]] += 5j
    np.testing.assert_allclose(fft.irfft(spoilt, 16), np.fft.irfft(half, 16), atol=1e-14)


def test_results_go_where_they_are_wanted_and_the_input_stays(backend):
    z = np.random.default_rng(0).standard_normal((2, 32, 2)).view(np.complex128)[..., 0]
    before, wanted = z.copy(), np.fft.ifft(z)
    out = np.empty_like(z)
    np.testing.assert_allclose(fft.ifft(z, out=out), wanted, atol=1e-14)
    np.testing.assert_array_equal(z, before)
    np.testing.assert_allclose(fft.ifft(z, out=z), wanted, atol=1e-14)  # in place
    half = np.fft.rfft(z.real)
    before = half.copy()
    np.testing.assert_allclose(fft.irfft(half, 32, out=np.empty((2, 32))), z.real, atol=1e-14)
    np.testing.assert_array_equal(half, before)


@pytest.mark.skipif(fft.backend_name() != "mkl", reason="scipy's transforms take no place for the result")
@pytest.mark.parametrize("out", [np.empty(9), np.empty(8, complex), np.empty(9, np.complex64), np.empty(18, complex)[::2]])
def test_a_place_that_does_not_fit_is_refused(out):
    with pytest.raises(ValueError, match=r"out must be contiguous complex128 \(9,\)"):
        fft.rfft(np.ones(16), out=out)


def test_a_plan_serves_threads_at_the_same_time_and_outlives_its_place_among_those_kept():
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((64, 4096))
    wanted = np.fft.rfft(rows)

    def work(k):
        fft.rfft(np.ones(100 + k))  # more lengths than plans are kept
        return fft.rfft(rows[k])

    for k, found in enumerate(threads.each(work, range(64), 4)):
        np.testing.assert_allclose(found, wanted[k], atol=1e-11)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_compiled_loops_call_the_same_transforms(backend, dtype, rtol):
    n = 96
    x = np.random.default_rng(2).standard_normal(n).astype(dtype)
    spectrum = np.empty(n // 2 + 1, np.result_type(dtype, np.complex64))
    back = np.empty(n, dtype)
    forward, inverse = (fft.native(kind, n, dtype) for kind in ("rfft", "irfft"))
    assert _called(*forward[:2], x, spectrum) == 0
    np.testing.assert_allclose(spectrum, np.fft.rfft(x), atol=rtol * 40)
    assert _called(*inverse[:2], spectrum, back) == 0
    np.testing.assert_allclose(back, x, atol=rtol * 10)


@njit
def _called(address, handle, source, target):
    return call(address, handle, source.ctypes.data, target.ctypes.data)


def test_what_fails_inside_a_compiled_loop_is_raised_outside(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fft, "_MKL", None)
    monkeypatch.setattr(scipy.fft, "rfft", interrupted)
    with pytest.raises(KeyboardInterrupt):
        psd.welch(np.ones(1024), 256.0, 1.0)
    with pytest.raises(RuntimeError, match="status 3"):
        fft.check(3)


@pytest.mark.skipif(fft.backend_name() != "mkl", reason="a limit of MKL's")
def test_lengths_that_mkl_refuses_are_transformed_all_the_same(monkeypatch):
    def refused(*_):
        raise RuntimeError("MKL's transform failed: too long")

    monkeypatch.setattr(_mkl, "Plan", refused)
    monkeypatch.setattr(_mkl, "plan", _mkl.Kept(1 << 20))
    x = np.random.default_rng(0).standard_normal(300)
    np.testing.assert_allclose(fft.rfft(x), np.fft.rfft(x), atol=1e-12)
    np.testing.assert_allclose(fft.irfft(np.fft.rfft(x), 300), x, atol=1e-12)
    y = np.random.default_rng(0).standard_normal(4096)
    wanted = scipy.signal.welch(y, 256.0, nperseg=512, average="median")[1]
    np.testing.assert_allclose(psd.welch(y, 256.0, 2.0)[1], wanted, rtol=1e-12)


@pytest.mark.skipif(fft.backend_name() != "mkl", reason="a limit of MKL's")
def test_a_long_transform_of_a_length_that_is_no_power_of_two_works():
    n = 3 << 23  # MKL's descriptor refuses it
    x = np.zeros(n)
    x[5] = 1.0
    np.testing.assert_allclose(fft.rfft(x)[[0, 7]], [1.0, np.exp(-2j * np.pi * 35 / n)], atol=1e-12)


def test_plans_kept_take_bounded_memory():
    kept = _mkl.Kept(1 << 20)
    for n in range(1000, 1100):
        if fft._MKL is not None:
            assert kept(fft._MKL, _mkl.Kind(True, True, n, 1, False, 1.0, False, 1)) is not None
    assert kept.used <= 1 << 20


def test_wrong_norms_and_places_that_cannot_be_are_refused():
    z = np.ones(16, complex)
    with pytest.raises(ValueError, match="norm is 'ortho'"):
        fft.ifft(z, norm="ortho")
    if fft.backend_name() == "mkl":
        locked = np.ones(16, complex)
        locked.setflags(write=False)
        for out in (locked, z[:]):
            with pytest.raises(ValueError, match="writeable and apart"):
                fft.ifft(z, out=out)


def test_spectra_and_whitening_do_not_depend_on_the_backend(monkeypatch):
    x = np.random.default_rng(4).standard_normal(32 * 256)
    ours = psd.welch(x, 256.0, 2.0)[1], whiten(x, 256.0)
    monkeypatch.setattr(fft, "_MKL", None)
    np.testing.assert_allclose(psd.welch(x, 256.0, 2.0)[1], ours[0], rtol=1e-12)
    np.testing.assert_allclose(whiten(x, 256.0), ours[1], rtol=0, atol=1e-12)


def test_without_mkl_or_its_symbols_the_library_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "mkl_fft", None)
    monkeypatch.setitem(sys.modules, "mkl_fft._pydfti", None)
    assert _mkl.library() is None
    monkeypatch.undo()
    pytest.importorskip("mkl_fft")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert _mkl.library() is None


@pytest.mark.parametrize("n", [2, 3, 7, 1021, 4097, 100003])
def test_fast_lengths_are_even_smooth_and_never_shorter(n):
    length = m = fft.next_fast_length(n)
    for prime in (2, 3, 5):
        while m % prime == 0:
            m //= prime
    assert m == 1
    assert length >= n
    assert length % 2 == 0
