"""A training of a few steps makes a model that loads; noise that is not there is refused."""

from __future__ import annotations

import numpy as np
import pytest
from gwpy.timeseries import TimeSeries

import gwsurrogate_ml as gw
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.search.anomalies.model import load_anomaly_model
from gwsurrogate_ml.search.anomalies.train import AnomalyConfig, read_noise, train_anomalies
from gwsurrogate_ml.settings import read


@pytest.mark.slow
def test_a_short_training_gives_a_model_without_the_class_left_out(tmp_path):
    rng = np.random.default_rng(0)
    noise = tmp_path / "noise"
    noise.mkdir()
    for name in ("H1", "L1"):
        series = TimeSeries(1e-21 * rng.standard_normal(20 * 1024), sample_rate=1024, t0=0.0, name=name)
        series.write(noise / f"{name}-a.hdf5", path="strain", format="hdf5")
    kinds = ("Blip", "Koi_Fish", "Blip_Low_Frequency", "Tomte")
    rows = [f"{f0},{gbw},{snr},{kind}" for kind in kinds for f0, gbw, snr in ((60, 1, 25), (40, 2, 15))]
    (tmp_path / "glitches.csv").write_text("\n".join(["f0,gbw,snr,ml_label", *rows]))
    config = AnomalyConfig(
        noise=noise, glitches=tmp_path / "glitches.csv", leave_out="Tomte", n_bursts=16, steps=3, batch=8, injections=6, epochs=2
    )
    train_anomalies(config, tmp_path / "model", gw.load_surrogate("nr22"))
    model = load_anomaly_model(tmp_path / "model")
    assert "Tomte" not in model.classes
    assert "Blip" in model.known
    assert model.info["training"]["noise_seconds"] == 15.0


def test_noise_comes_in_pairs(tmp_path):
    with pytest.raises(DataError, match="H1-anything"):
        read_noise(tmp_path, ("H1", "L1"))


def test_an_unknown_setting_is_named():
    with pytest.raises(ConfigError, match="stepz"):
        read(AnomalyConfig, {"noise": "a", "glitches": "b", "stepz": 3})
