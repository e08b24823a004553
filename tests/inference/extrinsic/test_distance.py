"""Phase and distance integrated out, and drawn, against adaptive quadrature: inside the prior, at both its ends and beyond them."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import i0e
from scipy.stats import kstest

from gwsurrogate_ml.inference.extrinsic.distance import DistanceTable, draw_distance
from gwsurrogate_ml.inference.extrinsic.points import ExtrinsicPoints
from gwsurrogate_ml.inference.extrinsic.quadrupole import ExtrinsicIntegral
from gwsurrogate_ml.inference.likelihood.window import TimeWindow

NEAR, FAR = 10.0, 3000.0
# quad says so where it reaches rounding error, far below what is asked of it here.
pytestmark = pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning")
WINDOW = TimeWindow(0.0, 1 / 8192, 60)


def log_density(distance: np.ndarray | float, rho: float, best: float) -> np.ndarray | float:
    """Log of D^2 times the likelihood ratio over its maximum, phase integrated out."""
    v = best / distance
    return 2 * np.log(distance) - 0.5 * rho**2 * (v - 1) ** 2 + np.log(i0e(rho**2 * v))


def peak_and_breaks(rho: float, best: float, near: float, far: float) -> tuple[float, list[float]]:
    """Where the density is highest on a fine grid, and distances about it between which it is smooth."""
    edge = np.clip(best, near, far)
    fine = edge * (1 + np.concatenate([-(x := np.geomspace(1e-9, 0.9, 400)), x, [0.0]]))
    grid = np.unique(np.clip(np.concatenate([np.geomspace(near, far, 4000), fine]), near, far))
    values = log_density(grid, rho, best)
    top = grid[np.argmax(values)]
    inside = grid[values > values.max() - 40]
    return float(values.max()), sorted({float(x) for x in np.quantile(inside, np.linspace(0, 1, 12))} | {float(top)})


def by_quadrature(rho: float, best: float, near: float, far: float) -> float:
    """Log of the likelihood ratio integrated over the normalised prior."""
    top, breaks = peak_and_breaks(rho, best, near, far)
    pieces = [near, *breaks, far]
    total = sum(
        quad(lambda d: np.exp(log_density(d, rho, best) - top), a, b, epsabs=0, epsrel=1e-8, limit=200)[0]
        for a, b in pairwise(pieces)
        if b > a
    )
    return float(0.5 * rho**2 + top + np.log(3 * total / (far**3 - near**3)))


@cache
def table_to(loudest: float) -> DistanceTable:
    return DistanceTable.build((NEAR, FAR), loudest)


def by_the_sum(table: DistanceTable, rho: float, best: float) -> float:
    """The same from the compiled loop, at one point seen by the first detector alone: K = rho^2 D0, H = rho^2 D0^2."""
    at = np.full((1, 2), 30 / 8192)
    points = ExtrinsicPoints(
        at, at[:, 0], np.array([[0.0, 0.6, 0.8]]), np.zeros(1), np.ones(1), np.array([[1.0 + 0j, 0j]]), np.zeros(1)
    )
    series = np.full((1, 2, WINDOW.size), rho**2 * best, dtype=np.complex128)
    power = np.full((1, 2), rho**2 * best**2)
    return float(ExtrinsicIntegral(points, WINDOW, table, (-1.0, 1.0)).marginal(series, power, np.zeros(1))[0][0])


@pytest.mark.slow
@pytest.mark.parametrize("loudest", [60.0, 1300.0])
@pytest.mark.parametrize(("near", "far"), [(NEAR, FAR), (400.0, 900.0)])
def test_integral_over_phase_and_distance_equals_quadrature(loudest: float, near: float, far: float) -> None:
    """Over signal-to-noise ratio and best distance, from a tenth of the nearest to beyond the farthest."""
    table, rng = DistanceTable.build((near, far), loudest), np.random.default_rng(0)
    errors = []
    for _ in range(120):
        rho = float(np.exp(rng.uniform(np.log(loudest / 20), np.log(loudest / 1.05))))
        best = float(np.exp(rng.uniform(np.log(0.1 * near), np.log(far * (1 + 5 / rho)))))
        errors.append(by_the_sum(table, rho, best) - by_quadrature(rho, best, near, far))
    assert np.abs(errors).max() < 1e-3  # observed 2e-4


@pytest.mark.slow
@pytest.mark.parametrize("rho", [0.9, 3.0, 8.0, 30.0, 300.0, 1000.0])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99, 1.0, 1.01, 1.3])
def test_nearest_distance_of_the_prior_counts_exactly(rho: float, share: float) -> None:
    """Best distances about the nearest one: what nothing but the difference of two nearly equal integrals would give."""
    table = table_to(1.2 * max(rho, 40.0))
    exact = by_quadrature(rho, share * NEAR, NEAR, FAR)
    error = by_the_sum(table, rho, share * NEAR) - exact
    # Quadrature knows large numbers to 14 digits.
    assert abs(error) < 2e-5 + 1e-12 * abs(exact)  # observed 4e-6 from the table, 1e-10 from the direct integral


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rho", "best"),
    [
        (9.0, 2600.0),
        (1000.0, 400.0),
        (20.0, 10.2),
        (20.0, 5.0),
        (1000.0, 9.9),
        (1000.0, 5.0),
        (15.0, 4000.0),
        (2.0, 30.0),
    ],
)
def test_distances_follow_their_conditional_and_keep_to_the_prior(rho: float, best: float) -> None:
    n = 20_000
    d = draw_distance(np.full(n, rho**2 * best), np.full(n, rho**2 * best**2), (NEAR, FAR), np.random.default_rng(0))
    assert d.min() >= NEAR
    assert d.max() <= FAR
    _, breaks = peak_and_breaks(rho, best, NEAR, FAR)
    grid = np.unique(np.concatenate([np.linspace(a, b, 4000) for a, b in zip([NEAR, *breaks], [*breaks, FAR], strict=True)]))
    log_p = log_density(grid, rho, best)
    p = np.exp(log_p - log_p.max())
    cdf = np.concatenate([[0.0], np.cumsum((p[1:] + p[:-1]) / 2 * np.diff(grid))])
    u = np.interp(d, grid, cdf / cdf[-1])
    assert kstest(u, "uniform").pvalue > 1e-3


def test_a_signal_nearer_than_the_prior_piles_up_at_its_edge() -> None:
    n, rho, best = 2000, 50.0, 8.0
    d = draw_distance(np.full(n, rho**2 * best), np.full(n, rho**2 * best**2), (NEAR, FAR), np.random.default_rng(1))
    assert np.quantile(d, 0.9) < 1.01 * NEAR
