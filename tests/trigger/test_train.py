"""Data and training of the trigger, on a small scale; the streams against what defines them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from gwpy.timeseries import TimeSeries

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.trigger import data, train
from gwsurrogate_ml.trigger.load import load_trigger
from gwsurrogate_ml.trigger.settings import RATE, DataSettings, TriggerSettings


def test_simulated_noise_has_the_variance_of_its_band() -> None:
    one = data.simulated(np.random.default_rng(0), 64)
    assert one.values.size == 64 * RATE
    assert one.values.var() == pytest.approx((480 - 24) / 512, rel=0.02)


@pytest.mark.slow
def test_a_stream_of_white_noise_is_whitened_cut_and_marked() -> None:
    rng = np.random.default_rng(1)
    values = 1e-21 * rng.standard_normal(40 * 4096)
    values[20 * 4096 : 21 * 4096] = np.nan
    one = data.stream(TimeSeries(values, sample_rate=4096, t0=100, name="H1"), ((110.0, 111.0),))
    assert one.values.size == 40 * RATE
    assert one.values[one.usable].var() == pytest.approx((480 - 24) / 512, rel=0.1)
    usable = one.usable.reshape(40, -1)
    assert not usable[[0, 9, 10, 11, 19, 20, 21, 39]].any(axis=1)[[0, 2, 5, 7]].any()
    assert usable[[5, 15, 30]].all()


@pytest.mark.slow
def test_signals_have_unit_snr_and_arrive_within_the_light_travel_time() -> None:
    from gwsurrogate_ml.surrogate.load import load_model

    rng = np.random.default_rng(2)
    binaries = data.draw_binaries(20, DataSettings(), rng)
    made, shares = data.signals(load_model("nr22"), binaries, np.ones((2, 20, 1824)), rng)
    np.testing.assert_allclose((made**2).sum(axis=(1, 2)), 1.0, atol=0.02)
    np.testing.assert_allclose((made**2).sum(axis=2), shares, atol=0.02)
    loud = np.flatnonzero(shares.min(axis=1) > 0.2)
    for h, l in made[loud]:
        lag = np.argmax(np.abs(np.correlate(h, l, "full"))) - (l.size - 1)
        assert abs(lag) <= 13  # 10 ms and the phases' part of a period


def test_loudest_score_is_sought_near_a_merger_only() -> None:
    scores = torch.zeros(2, 100)
    scores[:, 5], scores[:, 60] = 9.0, 3.0
    found = train.loudest(scores, torch.tensor([True, False]), torch.tensor([50, 50]))
    assert found.tolist() == [3.0, 9.0]


def test_noise_without_a_detector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no strain of H1"):
        data.read_noise(tmp_path)


@pytest.mark.slow
def test_training_lowers_the_loss_and_writes_a_model_that_loads(tmp_path: Path) -> None:
    settings = TriggerSettings(
        surrogate="nr22",
        data={"n_waveforms": 40, "n_glitches": 20, "snr": (20.0, 30.0)},
        training={"float_steps": 60, "fixed_steps": 20, "batch": 24},
    )
    folder = train.train_trigger(settings, tmp_path / "model")
    trigger = load_trigger(folder)
    assert trigger.card["training"]["loss"]["float"] < 0.65
    assert trigger.network.n_parameters == 565
    noise = data.simulated(np.random.default_rng(5), 8).values
    scores = trigger(np.stack([noise[:4000], noise[4000:8000]]))
    assert scores.shape == (4000,)
    assert np.isfinite(scores).all()
    with torch.no_grad():
        twin = trigger.float_twin()(torch.from_numpy(np.stack([noise[:4000], noise[4000:8000]]))[None], padded=True)[0]
    assert np.corrcoef(twin.numpy(), scores)[0, 1] > 0.9
