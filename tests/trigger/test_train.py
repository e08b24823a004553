"""Data and training of the trigger, on a small scale; the streams against what defines them."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gwpy.timeseries import TimeSeries

from gwsurrogate_ml.errors import ArtifactError, ConfigError, DataError
from gwsurrogate_ml.settings import read
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
    assert not usable[[0, 10, 20, 39]].any()
    # The filter reaches a second to both sides of what is left out.
    assert not usable[[9, 11, 19, 21], 8:-8].any()
    assert usable[[5, 15, 30]].all()


@pytest.mark.slow
def test_signals_have_unit_snr_and_arrive_within_the_light_travel_time() -> None:
    from gwsurrogate_ml.surrogate.load import load_model

    rng = np.random.default_rng(2)
    binaries = data.draw_binaries(20, DataSettings(), rng)
    again = copy.deepcopy(rng)
    made, shares = data.signals(load_model("nr22"), binaries, np.ones((2, 20, 1824)), rng)
    np.testing.assert_allclose((made**2).sum(axis=(1, 2)), 1.0, atol=0.02)
    np.testing.assert_allclose((made**2).sum(axis=2), shares, atol=0.02)
    loud = np.flatnonzero(shares.min(axis=1) > 0.2)
    lags = np.array([np.argmax(np.abs(np.correlate(h, l, "full"))) - (l.size - 1) for h, l in made[loud]])
    assert np.abs(lags).max() <= 13  # 10 ms and the phases' part of a period
    # Light comes first to the detector that lies towards the source: places from the WGS-84 survey, T980044.
    height, turn = again.uniform(-1, 1, 20), again.uniform(0, 2 * np.pi, 20)
    source = np.stack([np.sqrt(1 - height**2) * np.cos(turn), np.sqrt(1 - height**2) * np.sin(turn), height], axis=1)
    baseline = np.array([-2161414.9, -3834695.2, 4600350.2]) - np.array([-74276.0, -5496283.7, 3224257.0])
    expected = -(source @ baseline)[loud] / 299792458.0 * RATE
    np.testing.assert_allclose(lags, expected, atol=6)
    assert np.corrcoef(lags, expected)[0, 1] > 0.9
    # Whitened strain is loudest where a score is sought.
    peaks = np.abs(made).argmax(axis=2)[loud] - round(data.BEFORE * RATE)
    assert -train.EARLY <= peaks.min() < 0
    assert peaks.max() <= train.LATE


def test_loudest_score_is_sought_near_a_merger_only() -> None:
    scores = torch.zeros(2, 100)
    scores[:, 5], scores[:, 60] = 9.0, 3.0
    found = train.loudest(scores, torch.tensor([True, False]), torch.tensor([50, 50]))
    assert found.tolist() == [3.0, 9.0]


@pytest.mark.slow
def test_shipped_network_finds_signals_of_snr_15_above_all_noise() -> None:
    from gwsurrogate_ml.surrogate.load import load_model

    rng, n = np.random.default_rng(7), 40
    trigger = load_trigger()
    noise = np.stack([data.simulated(rng, 128).values for _ in range(2)])
    threshold = trigger(noise).max()
    made, _ = data.signals(load_model("nr22"), data.draw_binaries(n, DataSettings(), rng), np.ones((2, n, 1824)), rng)
    size, merger = made.shape[2], round(data.BEFORE * RATE)
    windows = noise[:, : n * size].reshape(2, n, size)
    with_signals = trigger((windows + 15 * made.transpose(1, 0, 2)).reshape(2, -1)).reshape(n, size)
    near = with_signals[:, merger - train.EARLY : merger + train.LATE + 1].max(axis=1)
    assert (near > threshold).mean() > 0.7


def test_strain_that_is_not_whitened_or_has_another_shape_is_refused() -> None:
    trigger, noise = load_trigger(), np.random.default_rng(0).standard_normal((2, 500))
    noise[0, 100:120] = 40.0  # a glitch is none of it
    assert trigger(noise).shape == (500,)
    with pytest.raises(DataError, match=r"strain of L1 has a standard deviation of .*e-22.*data\.stream"):
        trigger(noise * [[1], [1e-21]])
    for bad in (noise[0], noise.T, noise[:1], np.zeros((2, 0))):
        with pytest.raises(DataError, match=r"shape .* to be \(2, n\), rows H1, L1"):
            trigger(bad)
    noise[1, 3] = np.nan
    with pytest.raises(DataError, match="leave gaps out of what is scored"):
        trigger(noise)
    with pytest.raises(DataError, match=r"shape \(1, 5\)"):
        trigger.network(np.zeros((1, 5), int))


def test_a_damaged_float_twin_is_refused() -> None:
    trigger = load_trigger()
    for change in ({"float.layers.0.bias": None}, {"float.layers.1.weight": np.zeros((6, 6, 5), np.float32)}):
        tensors = {key: value for key, value in (dict(trigger.tensors) | change).items() if value is not None}
        with pytest.raises(ArtifactError, match=r"layers\.[01]"):
            dataclasses.replace(trigger, tensors=tensors).float_twin()


@pytest.mark.parametrize("bad", [{"q_max": 1}, {"snr": (0, 10)}, {"glitch_snr": (9, 3)}, {"mass": (80, 20)}, {"mass": (-5, 20)}])
def test_ranges_that_cannot_be_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        read(TriggerSettings, {"data": bad})
    with pytest.raises(ConfigError, match="layers"):
        read(TriggerSettings, {"layers": []})


def test_noise_without_a_usable_window_is_refused() -> None:
    one = data.simulated(np.random.default_rng(0), 2)
    one.usable[::100] = False
    with pytest.raises(DataError, match=r"351 samples .* give longer files"):
        train.Supply([one], 351)


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
