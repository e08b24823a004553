"""The search for anomalies with the shipped model, on simulated noise; its command; a training of a few steps."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from gwpy.timeseries import TimeSeries
from typer.testing import CliRunner

from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.errors import ArtifactError, ConfigError
from gwsurrogate_ml.search.anomalies.model import load_anomaly_model
from gwsurrogate_ml.search.anomalies.pipeline import best, find_anomalies
from gwsurrogate_ml.search.anomalies.simulate import SIGNALS

RATE, START, SECONDS = 1024, 1000.0, 32
WHEN = START + 17.3


@pytest.fixture(scope="module")
def model():
    return load_anomaly_model()


def series(name, seed, snr, delay=0.0):
    """White noise with a sine-Gaussian of a signal-to-noise ratio."""
    values = np.random.default_rng(seed).standard_normal(SECONDS * RATE)
    t = np.arange(values.size) / RATE + START - WHEN - delay
    h = np.exp(-0.5 * (t / 0.012) ** 2) * np.cos(2 * np.pi * 140 * t)
    return TimeSeries(1e-21 * (values + snr * h / np.linalg.norm(h)), sample_rate=RATE, t0=START, name=name)


@pytest.fixture(scope="module")
def coherent():
    return {"H1": series("H1", 1, 14.0), "L1": series("L1", 2, 10.0, 0.006)}


@pytest.fixture(scope="module")
def found(coherent, model):
    return find_anomalies(coherent, model)


def test_what_both_detectors_saw_comes_first(found):
    first = found.rows[0]
    assert first["time"] == pytest.approx(WHEN + 0.003, abs=0.01)
    assert first["delay"] == pytest.approx(0.006, abs=0.006)
    assert first["low"] < 140 < first["high"]
    assert first["nearest"] in SIGNALS
    assert first["correlation"] > 0.8
    assert "Hz" in first["reason"]


def test_noise_alone_does_not_reach_a_signal_and_its_rate_counts_all_slides(found, model):
    """Half of a loud signal, slid onto a noise peak of the other detector's, may rank above the whole; the rate says so."""
    first = found.rows[0]
    assert first["louder_without_its_triggers"] == 0
    louder = int(np.sum(found.background.rankings >= first["score"]))
    assert first["louder_in_background"] == louder <= 1
    assert first["false_alarm_rate"] == pytest.approx((1 + louder) / found.background.time)
    noise = find_anomalies({name: series(name, seed, 0.0) for name, seed in (("H1", 1), ("L1", 2))}, model)
    assert noise.background.rankings.max() < first["score"] - 5


def test_detectors_may_change_places(coherent, found, model):
    other = find_anomalies(dict(reversed(coherent.items())), model).rows[0]
    assert other["score"] == pytest.approx(found.rows[0]["score"], abs=1e-3)


def test_the_same_in_one_detector_alone_scores_less(coherent, found, model):
    alone = find_anomalies({"H1": coherent["H1"], "L1": series("L1", 2, 0.0)}, model)
    near = [row["score"] for row in alone.rows if abs(row["time"] - WHEN) < 0.1]
    assert max(near, default=-np.inf) < found.rows[0]["score"] - 3


def test_one_detector_is_ranked_by_novelty_without_a_rate(coherent, model):
    found = find_anomalies({"H1": coherent["H1"]}, model)
    assert found.background is None
    assert any(abs(row["time"] - WHEN) < 0.05 for row in found.rows)
    assert all("false_alarm_rate" not in row for row in found.rows)


def test_three_detectors_are_refused(coherent, model):
    with pytest.raises(ConfigError, match="3 detectors"):
        find_anomalies(coherent | {"V1": coherent["H1"]}, model)


def test_detectors_that_the_model_does_not_know_are_refused(coherent, model):
    with pytest.raises(ConfigError, match="V1: the model was trained for H1 and L1"):
        find_anomalies({"H1": coherent["H1"], "V1": coherent["L1"]}, model)


def test_another_kind_of_model_is_refused():
    with pytest.raises(ArtifactError, match="not 'anomaly'"):
        load_anomaly_model("nr22")


def test_only_the_best_of_neighbours_is_kept():
    assert best(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.15, 0.3])).tolist() == [2, 0]


def test_command_writes_a_list_and_figures(coherent, tmp_path):
    for name, one in coherent.items():
        one.write(tmp_path / f"{name}.hdf5", path="strain", format="hdf5")
    words = [w for name in coherent for w in ("--strain", f"{name}={tmp_path / name}.hdf5")]
    out = tmp_path / "out"
    run = CliRunner().invoke(app, ["search", "--anomalies", *words, "--out", str(out), "--json"])
    assert run.exit_code == 0, run.output
    kept = json.loads((out / "anomalies.json").read_text())["candidates"]
    with (out / "anomalies.csv").open() as file:
        assert [row["reason"] for row in csv.DictReader(file)] == [row["reason"] for row in kept]
    assert (out / "anomaly-1.png").stat().st_size > 10_000
    assert json.loads((out / "config.json").read_text())["model"]["name"] == "anomaly-h1l1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--anomalies", "--mass-min", "20"], "--mass-min is of the search with a bank"),
        (["--anomaly-model", "x"], "--anomaly-model goes with --anomalies"),
    ],
)
def test_options_of_the_other_search_are_refused(words, said, tmp_path):
    (tmp_path / "a.hdf5").touch()
    out = tmp_path / "out"
    run = CliRunner().invoke(app, ["search", "--strain", f"H1={tmp_path}/a.hdf5", *words, "--out", str(out)])
    assert run.exit_code != 0
    assert said in str(run.exception) + run.output
    assert not out.exists()
