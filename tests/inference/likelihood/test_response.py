"""Matches and powers in one pass, against the signals themselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gwsurrogate_ml import load_surrogate
from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.injections import random_psds, simulate_segment
from gwsurrogate_ml.inference.likelihood.response import match_and_power
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.waveform.model import Grid, QuadrupoleModel, WaveformModel

TABLE = {
    "chirp_mass": 30.0, "mass_ratio": 0.6, "chi_1": 0.3, "chi_2": -0.2, "luminosity_distance": 700.0, "theta_jn": 1.1, "phase": 0.4,
    "psi": 0.9, "ra": 2.2, "dec": -0.4, "geocent_time": 1187008882.39,
}  # fmt: skip


def likelihood_of(model: WaveformModel) -> SegmentLikelihood:
    config = SegmentConfig(detectors=("H1", "L1", "V1"), duration=4.0, f_min=20.0, f_max=512.0)
    rng = np.random.default_rng(1)
    return SegmentLikelihood(simulate_segment(TABLE, load_surrogate("nr22"), random_psds(config, rng), config, rng), model)


class Altered(QuadrupoleModel):
    """nr22 with other transforms."""

    name = "altered"

    def __init__(self, change: Callable[[np.ndarray], np.ndarray]) -> None:
        self.model, self.change, self.limits = load_surrogate("nr22"), change, load_surrogate("nr22").limits

    def quadrupole(self, binaries: Binaries, grid: Grid) -> np.ndarray:
        return self.change(self.model.quadrupole(binaries, grid))


@pytest.mark.parametrize("name", ["nr22", "nrhm"])
def test_log_ratio_and_power_are_those_of_the_signals(name: str) -> None:
    likelihood = likelihood_of(load_surrogate(name))
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
    match_and_power(both, plus, cross, np.array([[later]]), (0, n), df, weight * h, weight, match, power)
    turned = h * np.exp(-2j * np.pi * later * df * np.arange(n))
    assert match[0] == pytest.approx(float(np.sum(weight * np.real(np.conj(turned) * h))), rel=1e-12)
    assert power[0] == pytest.approx(float(np.sum(weight * np.abs(h) ** 2)), rel=1e-12)


@pytest.mark.parametrize("more", [50, -50])
def test_a_model_on_another_grid_is_refused(more: int) -> None:
    """What is computed with no bounds checked must be of the size that is read."""
    likelihood = likelihood_of(Altered(lambda h: np.resize(h, (len(h), h.shape[1] + more))))
    for call in (likelihood.log_ratio_and_power, likelihood.signals):
        with pytest.raises(ConfigError, match=f"model altered have the shape \\(1, 2, {2049 + more}\\) where they must have"):
            call(TABLE)


def test_what_a_model_says_outside_the_band_does_not_count() -> None:
    def spoiled(h: np.ndarray) -> np.ndarray:
        h = h.copy()
        h[:, 0] = np.nan
        return h

    ours = likelihood_of(Altered(spoiled)).log_ratio_and_power(TABLE)
    np.testing.assert_array_equal(ours, likelihood_of(load_surrogate("nr22")).log_ratio_and_power(TABLE))


def test_one_binary_at_several_places_is_as_often_as_they_are_and_other_lengths_are_refused() -> None:
    likelihood = likelihood_of(load_surrogate("nrhm"))
    psi = np.array([0.9, 0.1, 0.5])
    several = likelihood.log_ratio_and_power(TABLE | {"psi": psi})[0]
    each = [likelihood.log_ratio_and_power(TABLE | {"psi": x})[0][0] for x in psi]
    np.testing.assert_allclose(several, each, rtol=1e-9)
    assert likelihood.signals(TABLE | {"psi": psi}).shape == (3, 3, 2049)
    with pytest.raises(ConfigError, match=r"psi 3.*give one number for each draw"):
        likelihood.log_ratio_and_power(TABLE | {"psi": psi, "phase": np.zeros(2)})
