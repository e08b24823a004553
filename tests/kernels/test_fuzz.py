"""Kernels on arrays of every kind (lengths, dtypes, strides, magnitudes) against plain numpy in float64."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gwsurrogate_ml.errors import GwsmlError
from gwsurrogate_ml.kernels import chisq, matched_filter, psd, whiten

FAST = settings(max_examples=40, deadline=None, derandomize=True)

sizes = st.integers(8, 200).map(lambda n: 2 * n)
seeds = st.integers(0, 2**32 - 1)
scales = st.sampled_from([1e-23, 1e-9, 1.0, 1e12])
layouts = st.sampled_from(["plain", "strided", "reversed", "big-endian", "read-only", "list"])


def laid_out(x: np.ndarray, layout: str):
    """The same numbers in another layout."""
    if layout == "strided":
        return np.repeat(x, 3)[::3]
    if layout == "reversed":
        return x[::-1].copy()[::-1]
    if layout == "big-endian":
        return x.astype(x.dtype.newbyteorder(">"))
    if layout == "read-only":
        x = x.copy()
        x.setflags(write=False)
        return x
    return x.tolist() if layout == "list" else x


def spectra(n: int, seed: int, scale: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    h, s = scale * (rng.standard_normal((2, n // 2 + 1)) + 1j * rng.standard_normal((2, n // 2 + 1)))
    return h, s, scale**2 * rng.uniform(0.5, 2.0, n // 2 + 1)


def reference_snr(h, s, noise, delta_f, kmin, kmax):
    n = 2 * (h.size - 1)
    full = np.zeros(n, complex)
    full[kmin:kmax] = np.conj(h[kmin:kmax]) * s[kmin:kmax] / noise[kmin:kmax]
    sigma = np.sqrt(4 * delta_f * np.sum(np.abs(h[kmin:kmax]) ** 2 / noise[kmin:kmax]))
    return np.fft.ifft(full) * n * 4 * delta_f / sigma, sigma


@FAST
@given(sizes, seeds, scales, layouts, st.floats(0.01, 100.0), st.floats(0.0, 0.9))
def test_matched_filter(n, seed, scale, layout, delta_f, low):
    h, s, noise = spectra(n, seed, scale)
    f_low = low * (n // 2 - 1) * delta_f
    kmin = max(1, int(f_low / delta_f))
    expected, sigma = reference_snr(h, s, noise, delta_f, kmin, n // 2)
    series = matched_filter.matched_filter(*(laid_out(x, layout) for x in (h, s, noise)), delta_f, f_low)
    np.testing.assert_allclose(series.snr, expected, atol=1e-10 * np.abs(expected).max())
    assert np.isclose(series.sigma, sigma, rtol=1e-10)


@pytest.mark.slow
@FAST
@given(sizes, seeds, scales, layouts, st.sampled_from([1, "adaptive"]), st.integers(0, 40), st.integers(1, 3))
def test_bank(n, seed, scale, layout, decimate, reach, jobs):
    h, s, noise = spectra(n, seed, scale)
    bank = np.array([h, 2 * h[::-1], h.conj()])
    rows = bank if layout == "list" else np.asfortranarray(bank) if layout == "strided" else bank
    found = matched_filter.filter_bank(
        rows, laid_out(s, layout), laid_out(noise, layout), 1.0, 1.0, threshold=1.5, window=reach / n, decimate=decimate,
        n_jobs=jobs,
    )  # fmt: skip
    expected = []
    for row in range(3):
        power = np.abs(reference_snr(bank[row], s, noise, 1.0, 1, n // 2)[0]) ** 2
        for i in np.flatnonzero(power >= 1.5**2):
            if power[max(0, i - reach) : i + reach + 1].max() <= power[i]:
                expected.append((row, i))
    assert [(int(t["template"]), int(t["index"])) for t in found] == expected


@FAST
@given(sizes, seeds, scales, layouts, st.integers(2, 6))
def test_power_chisq(n, seed, scale, layout, n_bins):
    h, s, noise = spectra(n, seed, scale)
    at = int(np.random.default_rng(seed).integers(0, n))
    value, dof = chisq.power_chisq(
        *(laid_out(x, layout) for x in (h, s, noise)), 1.0, 1.0, n_bins, laid_out(np.array([at]), layout)
    )
    k = np.arange(1, n // 2)
    edges = np.append(np.searchsorted(k, chisq.power_chisq_edges(h, noise, 1, n // 2, n_bins)[:-1]), k.size)
    sigma = np.sqrt(4 * np.sum(np.abs(h[k]) ** 2 / noise[k]))
    terms = 4 / sigma * np.conj(h[k]) * s[k] / noise[k] * np.exp(2j * np.pi * k * at / n)
    z = np.array([terms[a:b].sum() for a, b in pairwise(edges)])
    expected = n_bins * np.sum(np.abs(z) ** 2) - np.abs(z.sum()) ** 2
    assert dof == 2 * n_bins - 2
    np.testing.assert_allclose(value, expected, rtol=1e-8, atol=1e-9 * np.abs(z.sum()) ** 2)


@pytest.mark.slow
@FAST
@given(
    st.integers(4, 64), st.integers(1, 12), seeds, scales, layouts, st.floats(0.0, 0.9),
    st.sampled_from(["mean", "median"]), st.sampled_from([np.float64, np.float32]),
)  # fmt: skip
def test_welch(n_segment, n_more, seed, scale, layout, overlap, average, dtype):
    x = (scale * np.random.default_rng(seed).standard_normal(n_segment + n_more * 7)).astype(dtype)
    f, s = psd.welch(laid_out(x, layout), 64.0, n_segment / 64.0, overlap, average)
    stride = n_segment - int(overlap * n_segment)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_segment) / n_segment)
    rows = np.array([x[a : a + n_segment] for a in range(0, x.size - n_segment + 1, stride)], dtype=np.float64)
    power = np.abs(np.fft.rfft((rows - rows.mean(1, keepdims=True)) * window)) ** 2
    centre = power.mean(0) if average == "mean" else np.median(power, axis=0) / psd.median_bias(len(rows))
    expected = 2 * centre / (64.0 * np.sum(window**2))
    expected[0] /= 2
    if n_segment % 2 == 0:
        expected[-1] /= 2
    tolerance = 1e-9 if np.asarray(laid_out(x, layout)).dtype.itemsize == 8 else 1e-4
    np.testing.assert_allclose(s, expected, rtol=tolerance, atol=tolerance * 0.1 * expected.max())
    np.testing.assert_allclose(f, np.fft.rfftfreq(n_segment, 1 / 64.0))


@FAST
@given(st.integers(300, 3000), seeds, layouts, st.sampled_from([16, 32, 64]))
def test_whiten(n, seed, layout, n_taps):
    x = np.random.default_rng(seed).standard_normal(n)
    asd = np.random.default_rng(seed + 1).uniform(0.5, 2.0, 129)
    out = whiten.whiten(laid_out(x, layout), 256.0, laid_out(asd, layout), fduration=n_taps / 256.0, detrend=False)
    taps = whiten.whitening_filter(asd, 256.0, n_taps / 256.0, duration=n / 256.0)
    inner = slice(n_taps, n - n_taps)
    expected = np.convolve(x, taps)[n_taps // 2 - 1 :][:n]
    np.testing.assert_allclose(out[inner], expected[inner], atol=1e-10 * np.abs(expected).max())


@pytest.mark.slow
@FAST
@given(
    st.lists(st.sampled_from([0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e300, 5e-324]), min_size=1, max_size=40),
    st.floats(allow_nan=True), st.floats(allow_nan=True),
)  # fmt: skip
def test_whatever_comes_in_a_result_is_finite_or_the_error_is_ours(values, delta_f, f_low):
    x = np.array(values)
    calls = (
        lambda: matched_filter.matched_filter(x + 0j, x + 0j, np.ones(x.size), delta_f, f_low).snr,
        lambda: matched_filter.matched_filter(np.ones(x.size) + 0j, np.ones(x.size) + 0j, x, 1.0, f_low).snr,
        lambda: matched_filter.filter_bank(x[None] + 0j, x + 0j, np.ones(x.size), 1.0, f_low, threshold=1.0, window=0.0)["snr"],
        lambda: psd.welch(x, delta_f, 4.0 / delta_f if delta_f else 1.0)[1],
        lambda: whiten.whiten(x, 8.0, np.ones(9), fduration=1.25),
        lambda: chisq.power_chisq(x + 0j, x + 0j, np.ones(x.size), 1.0, f_low, 2, [0])[0],
    )
    for call in calls:
        with np.errstate(all="ignore"):
            try:
                result = call()
            except GwsmlError:
                continue
        # 1e300 is a number: its square is none, and infinity then says so. NaN never comes back.
        assert not np.isnan(result).any()
