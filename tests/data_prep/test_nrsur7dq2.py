"""Points of the precessing training set: within the ranges, isotropic, the same for the same seed; frames turn as they should."""

from __future__ import annotations

import numpy as np

from data_prep.nrsur7dq2 import PrecessingSet, design, turned


def test_points_fill_the_ranges_isotropically() -> None:
    points = design(PrecessingSet(n=1024))
    assert points.shape == (1024, 7)
    assert points[:, 0].min() >= 1.0
    assert points[:, 0].max() <= 2.0
    for spin in (points[:, 1:4], points[:, 4:]):
        length = np.linalg.norm(spin, axis=1)
        assert length.max() <= 0.8 + 1e-12
        np.testing.assert_allclose(length.mean(), 0.4, atol=0.01)
        np.testing.assert_allclose((spin / length[:, None]).mean(axis=0), 0.0, atol=0.01)
        np.testing.assert_allclose(((spin / length[:, None]) ** 2).mean(axis=0), 1 / 3, atol=0.01)


def test_sets_of_two_seeds_share_no_binary() -> None:
    one, other = design(PrecessingSet(n=64)), design(PrecessingSet(n=64, seed=77))
    np.testing.assert_array_equal(one, design(PrecessingSet(n=64)))
    assert np.linalg.norm(one[:, None] - other[None], axis=2).min() > 0.01


def test_a_vector_along_the_separation_is_along_x() -> None:
    phase = np.array([0.0, 0.4, 2.0])
    along = np.stack([np.cos(phase), np.sin(phase), np.full(3, 0.3)], axis=1)
    np.testing.assert_allclose(turned(along, phase), [[1.0, 0.0, 0.3]] * 3, atol=1e-15)
