"""Coincidences, clusters, time slides and blocks, against plain loops and against what chance predicts."""

from __future__ import annotations

import numpy as np
import pytest
from gwpy.timeseries import TimeSeries

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.kernels.chisq import newsnr
from gwsurrogate_ml.search.coincidence import Background, cluster, coincidences, light_travel_time, live_time, slide
from gwsurrogate_ml.search.segments import blocks, common_spans, condition
from gwsurrogate_ml.search.single import TRIGGER_DTYPE


def triggers(n: int, seed: int, span=(1000.0, 1100.0), n_templates: int = 5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = np.zeros(n, TRIGGER_DTYPE)
    found["time"], found["template"] = rng.uniform(*span, n), rng.integers(0, n_templates, n)
    found["newsnr"] = 4 + rng.exponential(0.3, n)
    return found


def test_pairs_are_those_of_a_double_loop():
    a, b = triggers(300, 1), triggers(200, 2)
    expected = {
        (i, j)
        for i in range(a.size)
        for j in range(b.size)
        if a["template"][i] == b["template"][j] and abs(a["time"][i] - b["time"][j]) <= 0.3
    }
    pairs = coincidences(a, b, a["time"], b["time"], 0.3)
    assert len(expected) > 20
    assert {(int(p["first"]), int(p["second"])) for p in pairs} == expected
    np.testing.assert_allclose(pairs["ranking"] ** 2, a["newsnr"][pairs["first"]] ** 2 + b["newsnr"][pairs["second"]] ** 2)
    assert coincidences(a[:0], b, a["time"][:0], b["time"], 0.3).size == 0


def test_a_cluster_keeps_the_loudest_and_nothing_near_it():
    a, b = triggers(400, 3), triggers(400, 4)
    pairs = coincidences(a, b, a["time"], b["time"], 0.5)
    kept = cluster(pairs, 1.0)
    assert 10 < kept.size < pairs.size
    assert np.all(np.diff(kept["ranking"]) <= 0)
    assert np.diff(np.sort(kept["time"])).min() > 1.0
    for pair in pairs:  # each pair is kept, or lies near a louder one that is
        near = np.abs(kept["time"] - pair["time"]) <= 1.0
        assert kept["ranking"][near].max() >= pair["ranking"]


def test_slides_predict_the_number_of_chance_coincidences():
    counts, expected = [], []
    for seed in range(20):
        a, b = triggers(300, 2 * seed, n_templates=1), triggers(300, 2 * seed + 1, n_templates=1)
        counts.append(coincidences(a, b, a["time"], b["time"], 0.015).size)
        background = slide(a, b, [(1000.0, 1100.0)], 0.015, 2.0, 0.0)
        assert background.n_slides == 49
        assert background.time == pytest.approx(49 * 100.0)
        expected.append(background.rankings.size / background.n_slides)
    # 300 x 300 pairs, each coincident with probability 0.03 s / 100 s: 27 a trial, with the scatter of a Poisson number.
    assert np.mean(expected) == pytest.approx(27, abs=4 * np.sqrt(27 / 20 / 49))
    assert np.mean(counts) == pytest.approx(27, abs=4 * np.sqrt(27 / 20))


def test_slides_never_bring_a_real_pair_together():
    a = triggers(1, 5)
    background = slide(a, a, [(1000.0, 1100.0)], 0.015, 0.2, 0.1)
    assert background.rankings.size == 0


def test_gaps_do_not_count_as_time():
    spans = [(0.0, 10.0), (50.0, 60.0)]
    np.testing.assert_allclose(live_time(np.array([0.0, 9.5, 50.0, 59.0]), spans), [0.0, 9.5, 10.0, 19.0])


def test_false_alarm_rates_count_what_is_at_least_as_loud():
    background = Background(np.array([5.0, 6.0, 7.0]), 10, 100.0)
    np.testing.assert_allclose(background.false_alarm_rate(np.array([4.0, 6.0, 8.0])), [0.04, 0.03, 0.01])


@pytest.mark.peer
def test_light_travel_times_are_lals():
    import lal

    for a, b in (("H1", "L1"), ("H1", "V1")):
        places = [lal.cached_detector_by_prefix[name].location for name in (a, b)]
        assert light_travel_time(a, b) == pytest.approx(np.linalg.norm(places[0] - places[1]) / lal.C_SI, rel=1e-4)


@pytest.mark.peer
def test_newsnr_is_pycbcs():
    from pycbc.events.ranking import newsnr as peer

    rng = np.random.default_rng(0)
    rho, reduced = rng.uniform(3, 20, 100), rng.uniform(0.2, 9, 100)
    np.testing.assert_allclose(newsnr(rho, reduced), peer(rho, reduced), rtol=1e-12)
    with pytest.raises(DataError, match="negative"):
        newsnr(8.0, -1.0)


def test_blocks_leave_nothing_out_and_count_nothing_twice():
    cut = blocks([(0.0, 1000.0), (2000.0, 2100.0), (3000.0, 3700.0)], 256.0, 10.0, 4.0)
    assert all(block.span[1] - block.span[0] in (256.0, 100.0) for block in cut)
    assert all(block.valid[0] >= block.span[0] + 10 and block.valid[1] <= block.span[1] - 4 for block in cut)
    valid = sorted(block.valid for block in cut)
    joined = [valid[0]]
    for a, b in valid[1:]:
        assert a >= joined[-1][1]
        joined = [*joined[:-1], (joined[-1][0], b)] if a == joined[-1][1] else [*joined, (a, b)]
    assert joined == [(10.0, 996.0), (2010.0, 2096.0), (3010.0, 3696.0)]


def test_common_stretches_end_where_any_detector_has_a_gap():
    first, second = (np.random.default_rng(seed).normal(size=64 * 256) for seed in (0, 1))
    first[20 * 256 : 21 * 256] = np.nan
    series = {
        "H1": TimeSeries(first, t0=100.0, sample_rate=256),
        "L1": TimeSeries(second, t0=103.0, sample_rate=256),
    }
    assert common_spans(series, 8.0) == [(103.0, 120.0), (121.0, 164.0)]
    assert common_spans(series, 30.0) == [(121.0, 164.0)]
    with pytest.raises(DataError, match="no stretch of 50 s"):
        common_spans(series, 50.0)


def test_constant_data_are_refused():
    block = blocks([(100.0, 116.0)], 32.0, 2.0, 2.0)[0]
    with pytest.raises(DataError, match="constant or saturated"):
        condition(TimeSeries(np.zeros(16 * 512), t0=100.0, sample_rate=512, name="H1"), block, 20.0, 200.0, 2.0, 2.0)
