"""Threads of our own and of MKL: one inside a worker, the caller's setting untouched, results the same with any number."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController

from gwsurrogate_ml.kernels import fft, threads
from gwsurrogate_ml.kernels import matched_filter as mf


@pytest.fixture
def two_mkl_threads():
    """MKL at two threads, whatever the environment says, and as before afterwards."""
    if fft._MKL is None:
        pytest.skip("the transforms run without MKL")
    set_all = fft._MKL.MKL_Set_Num_Threads
    before = fft.transform_threads()
    set_all(2)
    if fft.transform_threads() != 2:
        pytest.skip("MKL takes one thread only on this machine")
    yield
    set_all(before)


def test_transforms_have_one_thread_inside_and_the_callers_number_outside(two_mkl_threads):
    with fft.one_thread():
        with fft.one_thread():
            assert fft.transform_threads() == 1
        assert fft.transform_threads() == 1
        other: list[int] = []
        thread = threading.Thread(target=lambda: other.append(fft.transform_threads()))
        thread.start()
        thread.join()
        assert other == [2]
    assert fft.transform_threads() == 2


def test_the_setting_comes_back_after_an_error(two_mkl_threads):
    with pytest.raises(ZeroDivisionError), fft.one_thread():
        1 / 0  # noqa: B018
    assert fft.transform_threads() == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_each_worker_has_one_mkl_thread_and_the_caller_keeps_its_own(two_mkl_threads, workers):
    seen = threads.each(lambda _: (fft.transform_threads(), threading.get_ident()), range(4), workers)
    assert {number for number, _ in seen} == {1}
    assert (threading.get_ident() in {ident for _, ident in seen}) == (workers == 1)
    assert fft.transform_threads() == 2


def _openblas() -> ThreadpoolController:
    return ThreadpoolController().select(internal_api="openblas")


def _blas_threads() -> set[int]:
    return {library["num_threads"] for library in _openblas().info()}


@pytest.fixture
def two_blas_threads():
    """OpenBLAS at two threads, whatever the environment says, and as before afterwards."""
    with _openblas().limit(limits=2):
        if _blas_threads() != {2}:
            pytest.skip("matrix products take one thread only on this machine")
        yield


@pytest.mark.parametrize("workers", [1, 2])
def test_products_have_one_thread_beside_workers_and_the_callers_number_afterwards(two_blas_threads, workers):
    seen = threads.each(lambda _: threads.each(lambda _: _blas_threads(), range(2), 2), range(4), workers)
    assert all(numbers == {1} for pair in seen for numbers in pair)
    assert _blas_threads() == {2}


def test_the_last_to_leave_restores_the_number_of_threads_of_products_whichever_thread_it_is(two_blas_threads):
    entered, left, threads_of_other = threading.Event(), threading.Event(), []

    def other() -> None:
        with threads.one_blas_thread():
            entered.set()
            left.wait(10)
            threads_of_other.append(_blas_threads())

    thread = threading.Thread(target=other)
    with threads.one_blas_thread():
        thread.start()
        entered.wait(10)
    left.set()
    thread.join()
    assert threads_of_other == [{1}]
    assert _blas_threads() == {2}


def test_products_have_one_thread_for_a_second_thread_after_the_first_was_through(two_blas_threads):
    seen: list[set[int]] = []
    threads.each(abs, [1, 2], 2)
    thread = threading.Thread(target=lambda: seen.extend(threads.each(lambda _: _blas_threads(), range(2), 2)))
    thread.start()
    thread.join()
    assert seen == [{1}, {1}]


def test_work_inside_a_worker_starts_no_more_threads():
    def outer(_: int) -> bool:
        here = threading.get_ident()
        return set(threads.each(lambda _: threading.get_ident(), range(3), 3)) == {here}

    assert threads.each(outer, range(2), 2) == [True, True]


def test_items_are_worked_on_at_the_same_time():
    barrier = threading.Barrier(2)  # nobody passes before both are there
    threads.each(lambda _: barrier.wait(10), range(2), 2)


def test_items_come_back_in_order_and_errors_reach_the_caller():
    assert threads.each(lambda k: k * k, iter(range(20)), 3) == [k * k for k in range(20)]
    with pytest.raises(ZeroDivisionError):
        threads.each(lambda k: 1 // k, [1, 0, 2], 2)


@pytest.mark.parametrize("decimate", [1, 2, "adaptive"])
def test_triggers_are_the_same_with_any_number_of_threads_however_many_mkl_has(two_mkl_threads, decimate):
    n, rate = 1 << 18, 2048
    f = np.fft.rfftfreq(n, 1 / rate)
    rng = np.random.default_rng(5)
    phases = np.exp(1j * rng.uniform(0, 2 * np.pi, (5, 1)) * f / 50)
    bank = (phases * np.maximum(f, 10.0) ** (-7 / 6)).astype(np.complex64)
    data = 0.5 * np.sqrt(n / rate) * (rng.standard_normal(f.size) + 1j * rng.standard_normal(f.size))
    data = data.astype(np.complex64)
    options = {"threshold": 4.5, "window": 0.1, "decimate": decimate}
    with fft.one_thread():
        reference = mf.filter_bank(bank, data, np.ones(f.size), rate / n, 20.0, **options)
    assert reference.size >= 5
    for jobs in (1, 2, 3):
        found = mf.filter_bank(bank, data, np.ones(f.size), rate / n, 20.0, n_jobs=jobs, **options)
        np.testing.assert_array_equal(found, reference)


def test_spectra_and_whitening_are_the_same_with_any_number_of_threads(two_mkl_threads, monkeypatch):
    import numba

    from gwsurrogate_ml.kernels import _median, psd, whiten

    for module in (psd, _median):
        monkeypatch.setattr(module, "_PART", 1024)  # so that little data has several parts
    x = np.random.default_rng(6).standard_normal(256 * 1024)
    results = []
    for number in (1, 2, 3):
        monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", number)
        assert len(threads.parts(range(64), least=8)) == number
        results.append((psd.welch(x, 1024.0, 1.0)[1], whiten.whiten(x, 1024.0, fduration=2.0)))
    for spectrum, white in results[1:]:
        np.testing.assert_array_equal(spectrum, results[0][0])
        np.testing.assert_array_equal(white, results[0][1])


def test_parts_cover_everything_once_and_nothing_gives_one_empty_part():
    for n in (0, 1, 5, 100):
        covered = [item for part in threads.parts(range(0, 3 * n, 3)) for item in part]
        assert covered == list(range(0, 3 * n, 3))
