"""Matches and powers from few frequencies against sums over all."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.coarse import CoarseBand
from gwsurrogate_ml.inference.likelihood.injections import random_psds, simulate_segment
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.window import TimeWindow
from gwsurrogate_ml.surrogate.load import load_model

SNR = 24.0


@pytest.mark.slow
@pytest.mark.parametrize("chirp_mass", [26.0, 40.0])
def test_a_tenth_of_the_frequencies_holds_all_orders(chirp_mass: float) -> None:
    config = SegmentConfig()
    rng = np.random.default_rng(4)
    model = load_model("nrhm")
    segment = simulate_segment(None, model, random_psds(config, rng), config, rng)
    likelihood = SegmentLikelihood(segment, model)
    window = TimeWindow(segment.gps - segment.start_time - 0.03, 1 / 4096, 240)
    coarse = CoarseBand(likelihood, window, 0.85 * chirp_mass)
    assert len(coarse.nodes) < 0.14 * len(likelihood.band)
    theta = np.array([[chirp_mass, 0.4, 0.3, -0.2]])
    _, spectra = model.orders(model.space.binaries(theta), likelihood.grid, np.array([1.2]))
    h = spectra[0].reshape(-1, spectra.shape[-1])
    power = np.einsum("rf,df->r", np.abs(h) ** 2, likelihood.weight)
    h *= SNR / np.sqrt(power.max())
    exact = np.stack([[likelihood.series(row[None], window)[0]] for row in h])[:, 0]
    gram = np.stack([np.conj(h) * w @ h.T for w in likelihood.weight])
    assert np.abs(coarse.series(h[:, coarse.nodes]) - exact).max() < 0.15  # of matches of up to 576; observed 0.09
    assert np.abs(coarse.gram(h[:, coarse.nodes]) - gram).max() < 1e-4 * SNR**2
