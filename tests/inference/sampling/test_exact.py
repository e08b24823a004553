"""Weights made exact: the evidence is the exact likelihood's, however approximate the first one was."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from gwsurrogate_ml.inference.sampling.checkpoint import Steps
from gwsurrogate_ml.inference.sampling.exact import NEGLIGIBLE, exactly_weighed
from gwsurrogate_ml.inference.sampling.sampler import Evaluated

NAMES = ("luminosity_distance", "log_likelihood", "network_snr")


def draws_of(x: np.ndarray, rng: np.random.Generator, spread: float) -> tuple[Evaluated, np.ndarray]:
    """Draws x (n, 1) of N(0, 1), a second number of N(0, 1) with each by an approximate likelihood; and its exact one."""
    # exp(a y) over y ~ N(0, 1) is exp(a^2 / 2), and y is then of N(a, 1).
    approximate, exact = 0.8, 0.8 + spread
    y = approximate + rng.normal(size=len(x))
    extrinsic = np.column_stack([np.ones(len(x)), approximate * y, np.zeros(len(x))])
    marginal = np.full(len(x), 0.5 * approximate**2)
    none = np.zeros(len(x))
    draws = Evaluated(x, x, none[:, None], none[:, None], none, none.astype(int), marginal, none, extrinsic, np.ones((len(x), 1)))
    return draws, exact * y


def test_the_evidence_is_that_of_the_exact_likelihood() -> None:
    rng = np.random.default_rng(0)
    draws, exact = draws_of(rng.normal(size=(40_000, 1)), rng, 0.3)

    def anew(draws: Evaluated, rows: np.ndarray) -> np.ndarray:
        return np.column_stack([exact[rows], np.full(len(rows), 9.0)])

    sampler = SimpleNamespace(drawn_at_once=NAMES, exact=anew)
    before = draws.log_likelihood.copy()
    found, log_weights, (entry,) = exactly_weighed(sampler, draws, before.copy(), Steps())
    assert abs(entry["log_evidence"] - 0.5 * 1.1**2) < 0.02  # the approximate one is 0.32
    assert np.allclose(found.extrinsic[:, 1], exact)
    assert np.all(found.extrinsic[:, 2] == 3.0)
    assert np.allclose(log_weights - before, found.log_likelihood - before)
    assert 0.9 < entry["step_efficiency"] < 0.93  # exp(-0.3^2)
    assert entry["rms_change"] > 0.2


def test_what_cannot_count_is_not_computed_anew() -> None:
    rng = np.random.default_rng(1)
    draws, exact = draws_of(rng.normal(size=(10, 1)), rng, 0.1)
    log_weights = np.where(np.arange(10) < 4, 0.0, -NEGLIGIBLE - 1.0)
    asked: list[int] = []

    def anew(draws: Evaluated, rows: np.ndarray) -> np.ndarray:
        asked.extend(rows)
        return np.column_stack([exact[rows], np.ones(len(rows))])

    _, after, _ = exactly_weighed(SimpleNamespace(drawn_at_once=NAMES, exact=anew), draws, log_weights.copy(), Steps())
    assert asked == [0, 1, 2, 3]
    assert np.array_equal(after[4:], log_weights[4:])
    whole = SimpleNamespace(drawn_at_once=())
    assert exactly_weighed(whole, draws, log_weights, Steps())[2] == []
