"""The aligned set of NRSur7dq2: points within the ranges, the same for the same seed; the mirrored part of a mode."""

from __future__ import annotations

import numpy as np

from data_prep.nrsur7dq2_aligned import AlignedSet, design, mirrored, place


def test_points_fill_the_ranges() -> None:
    points = design(AlignedSet(n=256))
    np.testing.assert_array_equal(points, design(AlignedSet(n=256)))
    np.testing.assert_allclose(points.min(0), [1.0, -0.8, -0.8], atol=0.02)
    np.testing.assert_allclose(points.max(0), [2.0, 0.8, 0.8], atol=0.02)
    assert (points.min(0) >= [1.0, -0.8, -0.8]).all()
    assert np.linalg.norm(points[:, None] - design(AlignedSet(n=256, seed=777))[None], axis=2).min() > 1e-4


def test_modes_follow_one_another_as_nrsur7dq2_orders_them() -> None:
    assert [place(l, m) for l in (2, 3, 4) for m in range(-l, l + 1)] == list(range(21))


def test_what_does_not_mirror_is_taken_away() -> None:
    rng = np.random.default_rng(0)
    modes = rng.normal(size=(21, 5)) + 1j * rng.normal(size=(21, 5))
    for l, m in ((2, 1), (3, 3), (4, 4)):
        np.testing.assert_allclose(mirrored(modes, l, -m), (-1) ** l * np.conj(mirrored(modes, l, m)), atol=1e-15)
    symmetric = modes.copy()
    symmetric[place(3, -2)] = -np.conj(symmetric[place(3, 2)])
    np.testing.assert_allclose(mirrored(symmetric, 3, 2), symmetric[place(3, 2)], atol=1e-15)
