"""The baselines do what they can, and no more: short filters see linear coupling, products see sidebands."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.deepclean import DeepClean, network
from gwsurrogate_ml.denoise.witness.bench import ladder
from gwsurrogate_ml.denoise.witness.bench.baselines import bilinear_wiener, fir_wiener
from gwsurrogate_ml.denoise.witness.bench.mock import preset
from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner
from gwsurrogate_ml.denoise.witness.stream import Filter, run_through


def through(plan: Filter) -> ladder.Cleaner:
    return lambda s, w: run_through(plan, s.value, np.stack([w[k].value for k in plan.channels]), 0.0).strain


@pytest.mark.slow
def test_each_step_up_in_features_gains() -> None:
    mock = preset("o3_like", sampling_frequency=512)
    data = mock.draw(256.0, 1)
    ours = WitnessCleaner.fit(data.strain, data.witnesses)
    cleaners = {
        "fir": through(fir_wiener(data.strain, data.witnesses, length=0.125)),
        "bilinear": through(bilinear_wiener(data.strain, data.witnesses, length=0.125)),
        "ours": lambda s, w: ours.apply(s, w).strain,
    }
    rows = ladder.climb(mock, cleaners, [2], duration=128.0)["cleaners"]
    assert 1.05 < rows["fir"]["snr_gain"] < rows["bilinear"]["snr_gain"] < rows["ours"]["snr_gain"]
    assert rows["fir"]["score_by_band"]["50-75 Hz"] < 0.4 < 0.7 < rows["bilinear"]["score_by_band"]["50-75 Hz"]
    assert rows["ours"]["range_mpc"] > rows["raw"]["range_mpc"]


@pytest.mark.slow
def test_autoencoder_learns_linear_coupling_in_a_few_steps() -> None:
    mock = preset("o3_like", sampling_frequency=512)
    data, held_out = mock.draw(128.0, 1), mock.draw(64.0, 2)
    model = DeepClean.fit(data.strain, data.witnesses, (80.0, 140.0), steps=25, batch=8, duration=2.0)
    rows = ladder.climb(mock, {"ae": model}, [2], duration=64.0)["cleaners"]
    assert rows["ae"]["asd_ratio"]["75-150 Hz"] < 0.95
    assert np.array_equal(model(held_out.strain, held_out.witnesses), model(held_out.strain, held_out.witnesses))
    assert sum(p.numel() for p in network(21).parameters()) < 60_000  # the published network has 43 thousand
