"""Matches and powers in one pass, against the signals themselves."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml import load_surrogate
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import random_psds, simulate_segment
from gwsurrogate_ml.inference.likelihood.response import match_and_power
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood

TABLE = {
    "chirp_mass": 30.0, "mass_ratio": 0.6, "chi_1": 0.3, "chi_2": -0.2, "luminosity_distance": 700.0, "theta_jn": 1.1, "phase": 0.4,
    "psi": 0.9, "ra": 2.2, "dec": -0.4, "geocent_time": 1187008882.39,
}  # fmt: skip


@pytest.mark.parametrize("name", ["nr22", "nrhm"])
def test_log_ratio_and_power_are_those_of_the_signals(name: str) -> None:
    config = SegmentConfig(detectors=("H1", "L1", "V1"), duration=4.0, f_min=20.0, f_max=512.0)
    rng, model = np.random.default_rng(1), load_surrogate(name)
    likelihood = SegmentLikelihood(simulate_segment(TABLE, model, random_psds(config, rng), config, rng), model)
    table = {key: np.full(5, value) for key, value in TABLE.items()}
    table["psi"], table["ra"], table["phase"] = np.linspace(0, 1.5, 5), np.linspace(0, 6, 5), np.linspace(0, 6, 5)
    table["geocent_time"] = table["geocent_time"] + np.linspace(-0.05, 0.05, 5)
    ratio, power = likelihood.log_ratio_and_power(table)
    signals = likelihood.signals(table)
    match = np.sum(np.real(np.conj(signals) * likelihood.weight * likelihood.strain), axis=(1, 2))
    norm = np.sum(np.abs(signals) ** 2 * likelihood.weight, axis=(1, 2))
    np.testing.assert_allclose(power, norm, rtol=1e-12)
    np.testing.assert_allclose(ratio, match - 0.5 * norm, rtol=0, atol=1e-9)


def test_an_arrival_time_turns_each_frequency() -> None:
    """The match of a signal with itself 3 ms later, from its turns written out."""
    rng = np.random.default_rng(2)
    n, df, later = 1000, 0.25, 0.003
    both = rng.normal(size=(1, 2, n)) + 1j * rng.normal(size=(1, 2, n))
    weight = rng.uniform(size=(1, n))
    plus, cross = np.array([[0.7]]), np.array([[-0.4]])
    h = 0.7 * both[0, 0] - 0.4 * both[0, 1]
    match, power = np.zeros(1), np.zeros(1)
    match_and_power(both, plus, cross, np.array([[later]]), df, weight * h, weight, match, power)
    turned = h * np.exp(-2j * np.pi * later * df * np.arange(n))
    assert match[0] == pytest.approx(float(np.sum(weight * np.real(np.conj(turned) * h))), rel=1e-12)
    assert power[0] == pytest.approx(float(np.sum(weight * np.abs(h) ** 2)), rel=1e-12)
