"""The precessing surrogate's estimate of its own error: mismatch as defined, a bound that covers nine in ten."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.surrogate.precessing import uncertainty

ORDERS = np.array([-2, -1, 1, 2])
T = np.arange(-2000.0, 100.0)
SIZES = np.array([1.0, 0.1, 0.1, 1.0])[:, None]


def wave(time: float = 0.0, phase: float = 0.0) -> np.ndarray:
    t = T + time
    return SIZES * np.exp(-(((t + 700) / 300) ** 2)) * np.exp(-1j * ORDERS[:, None] * (0.02 * t + 5e-6 * t**2 + phase))


def test_time_orbital_phase_and_polarization_are_free() -> None:
    assert uncertainty.mismatch(wave(), wave(), ORDERS) < 1e-11
    assert uncertainty.mismatch(wave(), wave(1.3, 0.2), ORDERS) < 1e-6
    assert uncertainty.mismatch(wave(), 1.7 * np.exp(0.4j) * wave(), ORDERS) < 1e-11


def test_one_mode_with_the_wrong_sign_costs_twice_its_share_of_the_power() -> None:
    wrong = wave() * np.array([1.0, 1.0, -1.0, 1.0])[:, None]
    assert uncertainty.mismatch(wave(), wrong, ORDERS) == pytest.approx(2 * 0.01 / 2.02, rel=1e-3)


def test_nine_in_ten_new_binaries_are_below_the_bound() -> None:
    rng = np.random.default_rng(7)

    def drawn(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        q, chi = rng.uniform(1, 2, n), rng.uniform(-0.5, 0.5, size=(2, n, 3))
        size = np.exp(-10 + 2 * (q - 1) + 3 * np.hypot(chi[0, :, 0], chi[0, :, 1]) + 0.5 * rng.normal(size=n))
        return q, chi[0], chi[1], size

    q, chi1, chi2, errors = drawn(256)
    found = uncertainty.calibrate(uncertainty.features(q, chi1, chi2), errors)
    q, chi1, chi2, errors = drawn(2000)
    pairs = [uncertainty.expected(found, *row) for row in zip(q, chi1, chi2, strict=True)]
    covered = np.mean(errors < [bound for _, bound in pairs])
    assert 0.86 < covered < 0.94
    # It knows which binaries are worse.
    assert np.corrcoef(np.log(errors), np.log([value for value, _ in pairs]))[0, 1] > 0.7
