"""Power chi-squared: the defining sums, its distribution in noise, and a glitch it must tell from a signal."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import kstest

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import chisq, matched_filter

RATE, DURATION = 512.0, 16.0
N = int(RATE * DURATION)
DF = 1 / DURATION
F = np.arange(N // 2 + 1) * DF
PSD = 1e-46 * (1 + (30 / np.maximum(F, 1)) ** 4)
TEMPLATE = 1e-22 * np.maximum(F, 5.0) ** (-7 / 6) * np.exp(1j * (np.maximum(F, 5.0) / 20) ** (-5 / 3)) * (F > 0)
BINS = 12


def noise(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.sqrt(PSD * DURATION) / 2 * (rng.standard_normal(F.size) + 1j * rng.standard_normal(F.size))


def brute_force(h, s, positions):
    """One inverse sum a bin in long double, from edges found by a plain loop."""
    k = np.arange(20 * int(DURATION), N // 2)
    weight = np.abs(h[k]) ** 2 / PSD[k]
    edges, running = [k[0]], 0.0
    for i, w in zip(k, weight, strict=True):
        if len(edges) < BINS and running > len(edges) * weight.sum() / BINS:
            edges.append(i - 1)
        running += w
    edges.append(N // 2)
    sigma = np.sqrt(4 * DF * weight.sum())
    out = []
    for position in positions:
        z = []
        for a, b in pairwise(edges):
            m = np.arange(a, b)
            turns = np.longdouble(position) * m / N
            phase = (2 * np.pi * np.asarray(turns - np.floor(turns), dtype=np.longdouble)).astype(np.float64)
            z.append(4 * DF / sigma * np.sum(np.conj(h[m]) * s[m] / PSD[m] * np.exp(1j * phase)))
        z = np.array(z)
        out.append(BINS * np.sum(np.abs(z) ** 2) - np.abs(z.sum()) ** 2)
    return np.array(out)


def test_values_are_the_defining_sums():
    s = noise(1) + 3 * TEMPLATE * np.exp(-2j * np.pi * F * 4.0)
    positions = np.array([0, 1, 2048, 2049, 5000, N - 1])
    ours, dof = chisq.power_chisq(TEMPLATE, s, PSD, DF, 20.0, BINS, positions)
    assert dof == 2 * BINS - 2
    np.testing.assert_allclose(ours, brute_force(TEMPLATE, s, positions), rtol=1e-9)
    fractions = positions[:-1] + 0.37
    np.testing.assert_allclose(
        chisq.power_chisq(TEMPLATE, s, PSD, DF, 20.0, BINS, fractions)[0],
        brute_force(TEMPLATE, s, fractions),
        rtol=1e-9,
    )


def test_a_perfect_match_has_no_chi_squared_below_zero():
    """Bins of equal power: the difference of two sums rounded to either side of zero, and `newsnr` refuses what is below."""
    n, df = 4097, 0.25
    flat, f = np.ones(n, complex), np.arange(n) * df
    for position in (100, 1001, 2222, 5000):
        s = 37.0 * np.exp(-2j * np.pi * f * position / (2 * (n - 1)) / df)
        ours, dof = chisq.power_chisq(flat, s, np.ones(n), df, 16.0, 16, np.array([position]), f_high=1008.0)
        assert 0.0 <= ours[0] < 1e-12
        assert np.isfinite(chisq.newsnr(np.array([100.0]), ours / dof)).all()


@pytest.mark.slow
def test_single_precision_input_costs_less_than_1e_5():
    s = noise(2)
    positions = np.arange(0, N, 61)
    double, _ = chisq.power_chisq(TEMPLATE, s, PSD, DF, 20.0, BINS, positions)
    single, _ = chisq.power_chisq(TEMPLATE.astype(np.complex64), s.astype(np.complex64), PSD, DF, 20.0, BINS, positions)
    np.testing.assert_allclose(single, double, rtol=1e-5)


def test_noise_follows_the_chi_squared_distribution():
    # Times 0.5 s apart are independent; bins of slightly unequal power change the distribution less than can be seen.
    positions = np.arange(0, N, 256)
    values = np.concatenate([chisq.power_chisq(TEMPLATE, noise(s), PSD, DF, 20.0, BINS, positions)[0] for s in range(20)])
    assert kstest(values, "chi2", args=(2 * BINS - 2,)).pvalue > 1e-3


def test_a_signal_passes_and_a_glitch_does_not():
    signal = TEMPLATE * np.exp(-2j * np.pi * F * 8.0)
    sigma = matched_filter.matched_filter(TEMPLATE, signal, PSD, DF, 20.0).sigma
    glitch = np.exp(-2j * np.pi * F * 8.0) * np.exp(-(((F - 100) / 10) ** 2)) * 1e-23
    glitch *= 20 / abs(matched_filter.matched_filter(TEMPLATE, glitch, PSD, DF, 20.0).snr).max()
    reduced = []
    for s in (noise(3) + signal * 20 / sigma, noise(3) + glitch):
        loudest = int(np.argmax(np.abs(matched_filter.matched_filter(TEMPLATE, s, PSD, DF, 20.0).snr)))
        value, dof = chisq.power_chisq(TEMPLATE, s, PSD, DF, 20.0, BINS, np.array([loudest]))
        reduced.append(value[0] / dof)
    assert reduced[0] < 2.5
    assert reduced[1] > 10


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_bins": 1}, ConfigError, "n_bins"),
        ({"n_bins": 10**6}, ConfigError, "n_bins"),
        ({"indices": [N]}, DataError, "samples 0 to"),
        ({"indices": [-1]}, DataError, "samples 0 to"),
        ({"indices": [np.nan]}, DataError, "samples 0 to"),
        ({"indices": np.array(["a"])}, DataError, "indices"),
        ({"psd": np.where(F == 50, 0, PSD)}, DataError, "50 Hz"),
        ({"data": np.where(F == 50, np.nan, TEMPLATE)}, DataError, "data in the band"),
        ({"template": TEMPLATE[1:]}, DataError, "N/2"),
        ({"f_low": 300.0}, ConfigError, "Nyquist"),
    ],
)
def test_bad_input_is_refused_with_its_name(change, error, message):
    arguments = {
        "template": TEMPLATE,
        "data": TEMPLATE,
        "psd": PSD,
        "delta_f": DF,
        "f_low": 20.0,
        "n_bins": 8,
        "indices": [3],
    } | change
    with pytest.raises(error, match=message):
        chisq.power_chisq(**arguments)


def test_no_points_give_no_values():
    values, _ = chisq.power_chisq(TEMPLATE, TEMPLATE, PSD, DF, 20.0, 4, np.array([], dtype=int))
    assert values.shape == (0,)


def test_autochisq_has_its_mean_in_noise_with_and_without_a_signal_and_tells_a_glitch():
    signal = TEMPLATE * np.exp(-2j * np.pi * F * 8.0)
    sigma = matched_filter.matched_filter(TEMPLATE, signal, PSD, DF, 20.0).sigma
    points = np.arange(64, N, 128)
    values = []
    for seed in range(40, 50):
        chi, dof = chisq.autochisq(TEMPLATE, noise(seed), PSD, DF, 20.0, points, n_points=8)
        values.append(chi / dof)
        at, _ = chisq.autochisq(TEMPLATE, noise(seed) + 30 * signal / sigma, PSD, DF, 20.0, np.array([8 * int(RATE)]), n_points=8)
        assert at[0] / dof < 3
    assert dof == 32
    assert np.mean(values) == pytest.approx(1, abs=0.03)
    glitch = np.exp(-2j * np.pi * F * 8.0) * np.exp(-(((F - 100) / 10) ** 2)) * 1e-23
    loudest = int(np.argmax(np.abs(matched_filter.matched_filter(TEMPLATE, glitch, PSD, DF, 20.0).snr)))
    glitch *= 20 / abs(matched_filter.matched_filter(TEMPLATE, glitch, PSD, DF, 20.0).snr[loudest])
    chi, dof = chisq.autochisq(TEMPLATE, noise(3) + glitch, PSD, DF, 20.0, np.array([loudest]), n_points=8)
    assert chi[0] / dof > 5


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"indices": [N]}, DataError, "samples 0 to"),
        ({"indices": [0.5]}, DataError, "whole samples"),
        ({"n_points": 0}, ConfigError, "n_points"),
        ({"stride": N}, ConfigError, "stride"),
        ({"sides": "up"}, ConfigError, "sides"),
    ],
)
def test_autochisq_refuses_bad_input(change, error, message):
    arguments = {"indices": [3], "n_points": 4, "stride": 2} | change
    with pytest.raises(error, match=message):
        chisq.autochisq(TEMPLATE, TEMPLATE, PSD, DF, 20.0, **arguments)
