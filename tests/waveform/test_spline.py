"""Compiled splines and elementary functions against numpy and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from gwsurrogate_ml.waveform.elementary import exponentiate, sine_cosine
from gwsurrogate_ml.waveform.spline import column_slopes, hermite, rotating_modes, slopes


@pytest.fixture(scope="module")
def knots() -> np.ndarray:
    return np.concatenate([-np.geomspace(8000.0, 1.0, 60), np.arange(0.0, 30.0)])


def test_sines_and_cosines_are_numpys() -> None:
    angle = np.random.default_rng(0).uniform(-2e4, 2e4, 20_001)
    sine, cosine = np.empty_like(angle), np.empty_like(angle)
    sine_cosine(angle, sine, cosine)
    assert np.max(np.abs(sine - np.sin(angle))) < 2e-15  # 1.2e-15 seen
    assert np.max(np.abs(cosine - np.cos(angle))) < 2e-15


def test_exponentials_are_numpys_and_never_overflow() -> None:
    x = np.random.default_rng(0).uniform(-700, 700, 20_001)
    y = x.copy()
    exponentiate(y)
    assert np.max(np.abs(y / np.exp(x) - 1)) < 1e-15  # 3e-16 seen
    far = np.array([-1e300, 1e300])
    exponentiate(far)
    assert far[0] < 1e-300
    assert 1e300 < far[1] < np.inf


def test_slopes_and_values_are_scipys(knots: np.ndarray) -> None:
    values = np.stack([np.tanh(knots / 50), (50 - knots) ** 0.6])
    spline = CubicSpline(knots, values, axis=1)
    found = slopes(knots, values)
    np.testing.assert_allclose(found, spline.derivative()(knots), rtol=0, atol=1e-13)
    np.testing.assert_allclose(column_slopes(knots, values.T.copy()).T, found, rtol=0, atol=1e-14)
    times = np.random.default_rng(0).uniform(knots[0], knots[-1], 999)  # in any order
    for row in range(2):
        at = hermite(knots, values[row], found[row], times)
        np.testing.assert_allclose(at, spline(times)[row], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("order", [1, -1])
def test_rotating_modes_and_their_sums_are_the_splines_turned(knots: np.ndarray, order: int) -> None:
    rng = np.random.default_rng(0)
    times = np.linspace(knots[0], knots[-1], 1301)[::order]
    m = np.array([2, 1, 3, 5, 3])
    phase = -((100 - knots) ** 0.8)
    parts = np.tanh(knots / rng.uniform(30, 3000, (5, 2, 1)))
    weights = rng.normal(size=(2, 5, 2))
    part_slopes = slopes(knots, parts.reshape(10, -1)).reshape(parts.shape)
    modes, sums = np.empty((5, times.size), complex), np.empty((2, times.size))
    rotating_modes(knots, phase, slopes(knots, phase[None])[0], m, parts, part_slopes, times, modes, weights, sums)
    co = CubicSpline(knots, parts, axis=2)(times)
    expected = (co[:, 0] + 1j * co[:, 1]) * np.exp(-0.5j * m[:, None] * CubicSpline(knots, phase)(times))
    np.testing.assert_allclose(modes, expected, rtol=0, atol=5e-12)  # of phases up to 3000 rad
    total = np.einsum("wk,kt->wt", weights[..., 0], expected.real) + np.einsum("wk,kt->wt", weights[..., 1], expected.imag)
    np.testing.assert_allclose(sums, total, rtol=0, atol=2e-11)
