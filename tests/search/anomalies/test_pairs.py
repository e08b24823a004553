"""Pairs of two detectors: light's limit, coherence, the order of detectors, and slides that predict what noise does unslid."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.search.anomalies import pairs as anomaly_pairs
from gwsurrogate_ml.search.anomalies.model import load_anomaly_model
from gwsurrogate_ml.search.anomalies.pairs import FEATURES, Described, coincident, features
from gwsurrogate_ml.search.anomalies.pipeline import SHORTEST_SLIDE, SLIDE_STEP, best, slides
from gwsurrogate_ml.search.anomalies.tiles import RATE, find, tiles
from gwsurrogate_ml.search.anomalies.white import White
from gwsurrogate_ml.search.coincidence import light_travel_time

SECONDS, WHEN = 16, 8.3
SPANS = [(1.0, SECONDS - 1.0)]
LIGHT = light_travel_time("H1", "L1")


@pytest.fixture(scope="module")
def model():
    return load_anomaly_model()


def sine_gaussian(snr, time=WHEN, centre=140.0, width=0.012, phase=0.0, seconds=SECONDS):
    t = np.arange(seconds * RATE) / RATE - time
    h = np.exp(-0.5 * (t / width) ** 2) * np.cos(2 * np.pi * centre * t + phase)
    return snr * h / np.linalg.norm(h)


def noise(seed, seconds=SECONDS):
    return np.random.default_rng(seed).standard_normal(seconds * RATE)


def white(values):
    return White(values.astype(np.float32), 0.0, np.ones(1824), [(1.0, values.size / RATE - 1.0)])


def best_pair(first, second, model):
    """Features and score of the best pair near what was added."""
    one, two = (model.describe(find(white(x))) for x in (first, second))
    pairs = coincident(one.triggers, two.triggers, one.triggers.time, two.triggers.time, LIGHT)
    pairs = pairs.take(np.flatnonzero(np.abs(one.triggers.time[pairs.first] + 0.5 * pairs.apart - WHEN) < 0.2))
    if not pairs.first.size:
        return None, -np.inf
    values = features(one, two, pairs, LIGHT)
    scores = model.score(values)
    return dict(zip(FEATURES, values[scores.argmax()], strict=True)), scores.max()


def test_a_signal_ranks_above_two_glitches_as_loud(model):
    signal, high = best_pair(noise(1) + sine_gaussian(12), noise(2) + sine_gaussian(10, WHEN + 0.004), model)
    other = sine_gaussian(10, WHEN + 0.004, centre=60, width=0.006, phase=1.0)
    glitches, low = best_pair(noise(1) + sine_gaussian(12), noise(2) + other, model)
    assert high > low + 2
    assert signal["data match"] > 0.85 > glitches["data match"]


def test_what_light_cannot_do_is_not_joined():
    """No short waveform is; only boxes, which are longer than what lies between, hold both bursts."""
    one = find(white(noise(1) + sine_gaussian(12)))
    for later, few in ((0.008, False), (0.06, True)):
        two = find(white(noise(2) + sine_gaussian(12, WHEN + later)))
        pairs = coincident(one, two, one.time, two.time, LIGHT)
        waveforms = pairs.joint[tiles().length[pairs.tile] == 0]
        assert bool(np.max(waveforms, initial=0.0) > 100) is not few


def test_the_order_of_detectors_does_not_matter(model):
    a, b = noise(1) + sine_gaussian(9), noise(2) + sine_gaussian(7, WHEN + 0.006, phase=0.7)
    forth, score = best_pair(a, b, model)
    back, other = best_pair(b, a, model)
    assert other == pytest.approx(score, abs=1e-3)
    for name in FEATURES:
        assert back[name] == pytest.approx(forth[name], abs=2e-3), name


@pytest.mark.slow
def test_slides_predict_what_noise_does_unslid(monkeypatch):
    """Unslid pairs above a threshold, over stretches of noise, are as many as the slides' rate says."""
    monkeypatch.setattr(anomaly_pairs, "LEAST", 16.0)
    seconds, seen, expected = 48, 0, 0.0
    for seed in range(6):
        found = [find(white(noise([seed, d], seconds))) for d in (0, 1)]
        one, two = (Described(t, np.empty((t.time.size, 0)), np.empty((t.time.size, 0))) for t in found)
        background, *_ = slides(one, two, [(1.0, seconds - 1.0)], LIGHT, lambda a, b, pairs: pairs.joint)
        pairs = coincident(one.triggers, two.triggers, one.triggers.time, two.triggers.time, LIGHT)
        joint = pairs.joint[best(pairs.joint, one.triggers.time[pairs.first] + 0.5 * pairs.apart)]
        seen += joint.size
        expected += background.rankings.size / background.time * (seconds - 2)
        steps = (seconds - 2 - 2 * SHORTEST_SLIDE) / SLIDE_STEP + 1
        assert background.n_slides == pytest.approx(steps, abs=1)
    assert expected > 10
    assert abs(seen - expected) < 4 * np.sqrt(expected)


def test_no_slide_joins_a_burst_with_itself():
    loud = white(sine_gaussian(30))
    found = find(loud)
    same = Described(found, np.empty((found.time.size, 0)), np.empty((found.time.size, 0)))
    background, *_ = slides(same, same, SPANS, LIGHT, lambda a, b, pairs: pairs.joint)
    assert background.n_slides > 200
    assert not background.rankings.size
