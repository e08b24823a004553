"""Signals of posterior draws: the same strain that a simulation puts into the detectors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gwsurrogate_ml.cli.signals import detector_signals, draw_parameters, whitened_band
from gwsurrogate_ml.inference.lal_model import LalModel
from gwsurrogate_ml.strain.segment import AnalysisSegment
from gwsurrogate_ml.strain.simulate import simulate

GPS = 1126259462.4
SIGNAL = {
    "chirp_mass": 30.0, "mass_ratio": 0.8, "chi_1": 0.3, "chi_2": -0.1, "luminosity_distance": 400.0, "theta_jn": 2.4,
    "phase": 1.1, "psi": 0.7, "ra": 2.0, "dec": -1.1, "geocent_time": GPS + 0.01,
}  # fmt: skip
MODEL = LalModel("IMRPhenomD")


@pytest.fixture(scope="module")
def segment() -> AnalysisSegment:
    data = simulate(SIGNAL, MODEL, duration=8, sampling_frequency=2048, gps=GPS, zero_noise=True)
    return data.segment(f_max=1024.0, psd="aLIGO")


def test_signal_in_each_detector_is_the_one_simulated(segment: AnalysisSegment) -> None:
    signal = detector_signals(MODEL, [SIGNAL], segment)
    assert signal.shape == (1, 2, segment.frequencies.size)
    band = segment.mask & (segment.frequencies > 30)  # the window of the segment touches the earliest part
    difference = np.abs(signal[0] - segment.strain)[:, band]
    assert np.max(difference) < 0.01 * np.max(np.abs(segment.strain))


def test_band_of_equal_draws_is_a_line_on_the_noiseless_data(segment: AnalysisSegment) -> None:
    times, data, bands = whitened_band(MODEL, [SIGNAL, SIGNAL, SIGNAL], segment)
    near = np.abs(times - GPS) < 0.1
    for detector in ("H1", "L1"):
        lower, median, upper = bands[detector][:, near]
        assert np.allclose(lower, upper)
        assert np.max(np.abs(median - data[detector][near])) < 0.02 * np.max(np.abs(median))
    assert times[np.argmax(np.abs(data["H1"]))] == pytest.approx(GPS, abs=0.05)


def test_band_holds_ninety_percent_of_the_draws(segment: AnalysisSegment) -> None:
    rng = np.random.default_rng(5)
    draws = [SIGNAL | {"luminosity_distance": d} for d in rng.uniform(300, 500, 200)]
    _, _, bands = whitened_band(MODEL, draws, segment)
    waves = segment.whitened(detector_signals(MODEL, draws, segment))[:, 0]
    peak = np.argmax(np.abs(waves[0]))
    lower, _, upper = bands["H1"][:, peak]
    assert np.mean((waves[:, peak] >= lower) & (waves[:, peak] <= upper)) == pytest.approx(0.9, abs=0.011)


def test_draws_are_distinct_rows_and_repeat_with_the_seed() -> None:
    table = pd.DataFrame({"chirp_mass": np.arange(100.0)})
    first, second = draw_parameters(table, 40, seed=1), draw_parameters(table, 40, seed=1)
    assert first == second
    assert len({row["chirp_mass"] for row in first}) == 40
    assert len(draw_parameters(table, 1000, seed=1)) == 100
