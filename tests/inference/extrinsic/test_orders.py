"""The integral over polarisation, phase and distance at one direction beside sums over grids of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp

from gwsurrogate_ml.inference.extrinsic.orders import _NODES, _WEIGHTS, OrderPoints, OrdersIntegral, _over_distance
from gwsurrogate_ml.inference.extrinsic.points import ExtrinsicPoints, shared
from gwsurrogate_ml.inference.likelihood.detectors import DetectorNetwork
from gwsurrogate_ml.inference.likelihood.window import TimeWindow
from gwsurrogate_ml.inference.weights import effective_size, log_sum

NEAR, FAR = 100.0, 3000.0
N = 4096


def integral() -> OrdersIntegral:
    """At one direction and arrival time; angles are quantiles of equal shares."""
    network, window = DetectorNetwork.of(("H1", "L1")), TimeWindow(0.0, 1e-3, 64)
    plain = ExtrinsicPoints(
        times=np.full((N, 2), 0.03),
        geocentre=np.zeros(N),
        direction=np.tile([[0.48, 0.6, 0.64]], (N, 1)),
        psi=np.pi / 2 * (np.arange(N) + 0.5) / N,
        cos_theta=np.zeros(N),
        amplitude=np.zeros((N, 2), np.complex128),
        log_weight=np.full(N, -np.log(N)),
    )
    return OrdersIntegral(OrderPoints.of(plain, 1), network, window, (NEAR, FAR), (-1.0, 1.0))


def signal(orders: np.ndarray, shape: np.ndarray, snr: float) -> tuple[np.ndarray, np.ndarray]:
    """Matches (n_m, 2, n_det) and Gram matrices (n_det, n_m, 2, n_m, 2) of spectra `shape` (n_m, 2, n_f), of which the data hold a
    sum at angle 0.4, phase 1.1 and 600 Mpc, and noise."""
    rng = np.random.default_rng(3)
    network = DetectorNetwork.of(("H1", "L1"))
    f = np.stack(network.patterns(np.array([[0.48, 0.6, 0.64]]), np.array([0.4])), axis=2)[0]
    seen = np.einsum("m,dp,mpf->df", np.exp(1.1j * orders), f, shape)
    scale = snr * 600.0 / np.sqrt(np.sum(np.abs(seen) ** 2))
    shape, seen = scale * shape, scale * seen
    noise = rng.normal(size=(2, *seen.shape)) / np.sqrt(2)
    data = seen / 600.0 + noise[0] + 1j * noise[1]
    gram = np.einsum("mpf,nqf->mpnq", np.conj(shape), shape)
    return np.einsum("mpf,df->mpd", np.conj(shape), data), np.stack([gram, gram])


CASES = {
    "face-on": ([2], [[1.0, -1j]]),
    "edge-on": ([2], [[1.0, 0.0]]),
    "many orders": ([-1, 0, 1, 2, 3], [[0.3, 0.2j], [0.4, 0.1], [0.9, -0.6j], [1.0, -0.8j], [0.6, -0.4j]]),
    "m = 2 is weak": ([0, 1, 2, 3], [[0.5, 0.1j], [1.0, -0.7j], [0.25, -0.1j], [0.4, -0.3j]]),
    "precessing, edge-on": ([-2, -1, 1, 2, 3], [[0.7, 0.2j], [0.1, 0.1], [0.2, -0.1j], [1.0, -0.3j], [0.3, 0.1]]),
}


@pytest.mark.parametrize("case", CASES)
def test_integral_is_that_of_grids_and_few_points_are_wasted(case: str) -> None:
    orders, sizes = np.array(CASES[case][0]), np.array(CASES[case][1])
    rng = np.random.default_rng(5)
    shape = sizes[:, :, None] * (rng.normal(size=(len(orders), 1, 400)) + 1j * rng.normal(size=(len(orders), 1, 400)))
    matches, gram = signal(orders, shape, 14.0)
    ours = integral()
    series = np.repeat(matches[..., None], ours.window.size, axis=3)
    terms, angles, phases, match, power = ours.terms(orders, series, gram)
    # The same by sums: angle, phase, distance (prior ~ D^2).
    psi, phase = np.pi * (np.arange(160) + 0.5) / 160, 2 * np.pi * (np.arange(320) + 0.5) / 320
    distance = np.geomspace(NEAR, FAR, 1500)
    log_share = 3 * np.log(distance) - logsumexp(3 * np.log(distance))
    f = np.stack(ours.network.patterns(np.tile([[0.48, 0.6, 0.64]], (160, 1)), psi), axis=2)
    z = np.einsum("adp,mpd->am", f, matches)
    turns = np.exp(1j * np.outer(phase, orders))
    k = np.real(np.einsum("bm,am->ab", np.conj(turns), z))
    g = np.einsum("adp,adq,dmpnq->amn", f, f, gram)
    h = np.real(np.einsum("bm,amn,bn->ab", np.conj(turns), g, turns))
    whole = logsumexp([k / d - 0.5 * h / d**2 + s for d, s in zip(distance, log_share, strict=True)]) - np.log(k.size)
    assert log_sum(terms) == pytest.approx(whole, abs=0.06)
    assert effective_size(terms) > 0.04 * N
    # What is said of a point is so.
    for i in np.argsort(-terms)[:3]:
        f_i = np.stack(ours.network.patterns(np.array([[0.48, 0.6, 0.64]]), angles[i : i + 1]), axis=2)[0]
        turn = np.exp(1j * orders * phases[i])
        assert match[i] == pytest.approx(np.real(np.conj(turn) @ np.einsum("dp,mpd->m", f_i, matches)), rel=1e-5)
        g_i = np.einsum("dp,dq,dmpnq->mn", f_i, f_i, gram)
        assert power[i] == pytest.approx(np.real(np.conj(turn) @ g_i @ turn), rel=1e-9)
    assert np.all((angles >= 0) & (angles <= np.pi))


def test_weights_keep_the_priors_share() -> None:
    orders = np.array([-2, 2])
    quiet = np.full((2, 2, 1), 1e-9 + 0j) * np.array([1.0, -0.4j])[None, :, None]
    matches, gram = signal(orders, quiet, 1e-6)
    ours = integral()
    terms, *_ = ours.terms(orders, np.repeat(0 * matches[..., None], ours.window.size, axis=3), gram)
    assert log_sum(terms) == pytest.approx(0.0, abs=0.02)


def test_sets_share_their_heaviest_points_and_keep_the_mean_of_the_sums() -> None:
    rng = np.random.default_rng(4)
    one = integral().points
    sets, values = [], []
    for number in range(4):
        rows = rng.choice(N, 200, replace=False)
        points = one.take(rows, rng.normal(size=200))
        sets.append(replace(points, points=replace(points.points, origin=number)))
        values.append(points.log_weight)
    function = lambda points: float(np.sum(np.exp(points.log_weight) * points.kind))  # noqa: E731
    joined = shared(sets, values, 0.05)
    assert np.mean([function(x) for x in joined]) == pytest.approx(np.mean([function(x) for x in sets]), rel=1e-12)
    assert np.std([function(x) for x in joined]) < np.std([function(x) for x in sets])
    heaviest = max(x.max() for x in values)
    for number, points in enumerate(joined):
        of_others = points.points.origins != number
        assert of_others.sum() + np.sum(np.isclose(points.log_weight[~of_others], heaviest - np.log(4))) >= 1
        assert np.sum(np.isclose(points.log_weight, heaviest - np.log(4))) == 1
        assert len(points) == 200 + 40 - np.sum(values[number] >= np.sort(np.concatenate(values))[760])


@pytest.mark.parametrize("some", [9, 10, 11])
def test_points_of_no_influence_are_nobodys_burden(some: int) -> None:
    one = integral().points
    sets = [one.take(np.arange(100 * k, 100 * k + 100), np.zeros(100)) for k in (0, 1)]
    influence = [np.where(np.arange(100) < some, 0.0, -np.inf)] * 2
    assert [len(points) for points in shared(sets, influence, 0.1)] == [100 + some] * 2


@pytest.mark.parametrize("snr", [3.0, 8.0, 20.0, 60.0])
@pytest.mark.parametrize("best", [5.0, 30.0, 90.0, 99.0, 101.0, 600.0, 2990.0, 3010.0, 3300.0, 4000.0, 9000.0])
def test_the_integral_over_distance_holds_wherever_the_best_one_lies(best: float, snr: float) -> None:
    """Also beyond the prior's ends, where the range that counts is a few lengths of an exponential."""
    power = (snr * best) ** 2
    match = power / best
    ours = _over_distance(match, power, NEAR, FAR, np.log(3 / (FAR**3 - NEAR**3)), _NODES, _WEIGHTS)
    x = np.linspace(np.log(1 / FAR), np.log(1 / NEAR), 4_000_001)
    term = match * np.exp(x) - 0.5 * power * np.exp(2 * x) - 3 * x + np.log(3 / (FAR**3 - NEAR**3))
    peak = term.max()
    assert ours == pytest.approx(peak + np.log(np.trapezoid(np.exp(term - peak), x)), abs=2e-3)
