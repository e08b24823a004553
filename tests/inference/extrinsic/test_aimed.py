"""Aimed polarisation angles: another density of the same integral, with fewer points wasted."""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.inference.extrinsic.aimed import aimed
from gwsurrogate_ml.inference.extrinsic.points import ExtrinsicPoints
from gwsurrogate_ml.inference.likelihood.detectors import DetectorNetwork
from gwsurrogate_ml.inference.likelihood.window import TimeWindow
from gwsurrogate_ml.inference.weights import effective_size, log_sum


def test_a_linearly_polarised_signal_is_found_and_its_integral_kept() -> None:
    rng = np.random.default_rng(0)
    n, network, window = 4096, DetectorNetwork.of(("H1", "L1")), TimeWindow(0.0, 1e-3, 64)
    direction = np.tile([[0.48, 0.6, 0.64]], (n, 1))
    plain = ExtrinsicPoints(
        times=np.full((n, 2), 0.03),
        geocentre=np.zeros(n),
        direction=direction,
        psi=np.pi / 2 * (np.arange(n) + 0.5) / n,
        cos_theta=np.zeros(n),
        amplitude=np.zeros((n, 2), np.complex128),
        log_weight=np.full(n, -np.log(n)),
    )
    true = 0.4
    patterns = np.stack(network.patterns(direction[:1], np.array([true])), axis=2)[0]
    # Norm 400 of either polarisation; the data hold plus alone, at its own size, and a little of anything.
    gram = np.tile(400.0 * np.eye(2, dtype=complex), (2, 1, 1)) + np.array([[0, 30j], [-30j, 0]])
    turn = np.cos(2 * true), np.sin(2 * true)
    zero = np.stack(network.patterns(direction[:1], np.zeros(1)), axis=2)[0]
    seen = zero @ np.array([[turn[0], -turn[1]], [turn[1], turn[0]]])
    np.testing.assert_allclose(seen, patterns, atol=1e-12)  # how patterns turn
    at_peak = 6.0 * (patterns[:, 0] * gram[:, :, 0].T)
    series = np.repeat(at_peak[:, :, None], window.size, axis=2) + rng.normal(size=(2, 2, 1))

    def log_likelihood(psi: np.ndarray) -> np.ndarray:
        f = np.stack(network.patterns(np.tile(direction[:1], (len(psi), 1)), psi), axis=2)
        match = np.einsum("ndp,pd->n", f, series[:, :, 0])
        return 0.5 * np.abs(match) ** 2 / np.einsum("ndp,ndq,dpq->n", f, f, gram).real

    better = aimed(plain, network, window, [(series, gram), (series, gram)])
    np.testing.assert_array_equal(better.times, plain.times)
    before, after = (p.log_weight + log_likelihood(p.psi) for p in (plain, better))
    np.testing.assert_allclose(log_sum(after), log_sum(before), atol=2e-3)
    np.testing.assert_allclose(log_sum(better.log_weight), 0.0, atol=1e-3)  # the prior's share is kept
    assert effective_size(after) > 3 * effective_size(before)
    assert np.all((better.psi >= 0) & (better.psi <= np.pi / 2))
