"""Weighted quasi-random points over arrival times, sky ring, polarisation and inclination: where the extrinsic integral is summed.

Isotropic sky and uniform time make the arrival times (t_1, t_2) uniform where |t_1 - t_2| is below the light travel time,
and the azimuth around the baseline uniform. Times are drawn where the matched filter has its peaks; polarisation and
inclination half from their prior, half where the two amplitudes are what the data have (`polarisation`), so that points
stay plenty however narrow the posterior is (arXiv:2404.02435 uses adaptive importance sampling to the same end). Many
points are weighed once at a few likely binaries, and the few thousand that are kept are drawn by those weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Protocol, Self, TypeVar

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from gwsurrogate_ml.inference.extrinsic import polarization
from gwsurrogate_ml.inference.likelihood.detectors import DetectorNetwork, amplitudes
from gwsurrogate_ml.inference.likelihood.window import TAPS, TimeWindow, lagrange
from gwsurrogate_ml.inference.weights import effective_size

TEMPER = 0.6
"""Power to which the likelihood is raised in the proposals of times and amplitudes: wider than the posterior."""
FLOOR = 0.02
"""Share of arrival times drawn uniformly over the window, and of those within a cell drawn uniformly over it."""
_FINE = 16
"""Parts of a step of the series within which arrival times are equally likely: 4 microseconds."""
_LAYERS, _LEARNED_FLOOR, _PER_CELL = (0.7, 0.4, 0.2), 0.1, 6
"""Powers of the weights that azimuths are learned from, the share drawn uniformly, and points that count in each cell."""
_LEAST = 1e-4
"""Learned density of arrival times, in units of its largest, below which they are drawn as beyond the signal."""
_RING, _RING_FLOOR, _SPREAD = 96, 0.1, 9
"""Cells of the ring of directions, the share of azimuths drawn uniformly, and samples over which a series is widened."""


@dataclass(frozen=True)
class ExtrinsicPoints:
    """Weighted points over arrival times, sky ring, polarisation and inclination: ``integral ~ sum exp(log_weight) L``.

    Parameters
    ----------
    times : (M, n_det) float64, s from the segment's start
    geocentre : (M,) float64, s from the segment's start
    direction : (M, 3) unit vectors, Earth-fixed
    psi : (M,) rad, folded into [0, pi/2); cos_theta : (M,)
    amplitude : (M, n_det) complex128, `detectors.amplitudes`
    log_weight : (M,) float64
    origin : (M,) int, or one for all
        number of the set that they were chosen for
    """

    times: np.ndarray
    geocentre: np.ndarray
    direction: np.ndarray
    psi: np.ndarray
    cos_theta: np.ndarray
    amplitude: np.ndarray
    log_weight: np.ndarray
    origin: np.ndarray | int = 0

    def __len__(self) -> int:
        return len(self.log_weight)

    @property
    def origins(self) -> np.ndarray:
        """`origin` of each, (M,) int."""
        return np.broadcast_to(self.origin, self.log_weight.shape)

    def tensors(self) -> dict[str, np.ndarray]:
        """All of them, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)} | {"origin": self.origins}

    @classmethod
    def joined(cls, sets: Sequence[Self]) -> Self:
        """All points of some sets."""
        tensors = [points.tensors() for points in sets]
        return cls(**{name: np.concatenate([one[name] for one in tensors]) for name in tensors[0]})

    def take(self, index: np.ndarray, log_weight: np.ndarray) -> ExtrinsicPoints:
        """The chosen points with new weights."""
        columns = (self.times, self.geocentre, self.direction, self.psi, self.cos_theta, self.amplitude)
        times, geocentre, direction, psi, cos_theta, amplitude = (column[index] for column in columns)
        return ExtrinsicPoints(times, geocentre, direction, psi, cos_theta, amplitude, log_weight, self.origins[index])

    def packed(self, window: TimeWindow) -> tuple[np.ndarray, ...]:
        """Arrays as the compiled loops read them: left index and weights of the interpolation, conj(A), |A|^2,
        weights, times, origins.
        """
        position = (self.times - window.start) / window.step
        left = np.floor(position).astype(np.int64) - (TAPS // 2 - 1)
        return (
            left,
            lagrange(position - left),
            np.ascontiguousarray(np.conj(self.amplitude)),
            np.abs(self.amplitude) ** 2,
            self.log_weight,
            self.geocentre,
            np.ascontiguousarray(self.origins, dtype=np.int64),
        )


class Points(Protocol):
    """Weighted points of either integral."""

    @property
    def log_weight(self) -> np.ndarray:
        """(M,) float64."""
        ...

    def take(self, index: np.ndarray, log_weight: np.ndarray) -> Self:
        """The chosen points with new weights."""
        ...

    @classmethod
    def joined(cls, sets: Sequence[Self]) -> Self:
        """All points of some sets."""
        ...


P = TypeVar("P", bound=Points)


@dataclass(frozen=True)
class Azimuths:
    """A density of azimuths learned from weighted points, constant between edges.

    Parameters
    ----------
    edges : (n_cells + 1,) rad, from 0 to 2 pi
    chance : (n_cells,) of each cell, sum 1
    """

    edges: np.ndarray
    chance: np.ndarray

    @classmethod
    def of(cls, azimuth: np.ndarray, log_weights: np.ndarray) -> Azimuths:
        """A mixture of layers, the weights to ever lower powers, so that tails thin out step by step, and a floor.

        Each layer has cells of equal shares of the weights, as narrow as the number of points that count allows.

        Parameters
        ----------
        azimuth : (n,) rad in [0, 2 pi); log_weights : (n,)
        """
        order = np.argsort(azimuth)
        layers = [_quantiles(azimuth[order], power * log_weights[order]) for power in _LAYERS]
        edges = np.unique(np.concatenate(layers))
        middle, widths = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
        density = np.full(len(widths), _LEARNED_FLOOR / (2 * np.pi))
        for layer in layers:
            cell = np.searchsorted(layer, middle) - 1
            density += (1 - _LEARNED_FLOOR) / len(layers) / (len(layer) - 1) / np.diff(layer)[cell]
        return cls(edges, density * widths)

    def draw(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Azimuths (n,) of uniform numbers `u` (n,), and their log density against the uniform."""
        below = np.concatenate([[0.0], np.cumsum(self.chance)])
        widths = np.diff(self.edges)
        log_density = np.log(self.chance / widths * 2 * np.pi)
        return np.interp(u, below / below[-1], self.edges), log_density[
            np.clip(np.searchsorted(below / below[-1], u, side="right") - 1, 0, len(widths) - 1)
        ]


def arrivals(window: TimeWindow, times: np.ndarray, log_weights: np.ndarray) -> np.ndarray:
    """Series (n_det, window.size) float64 for `quasi_random` with which arrival times are drawn as weighted points have them.

    Parameters
    ----------
    window : TimeWindow
    times : (n, n_det) s; log_weights : (n,)
    """
    weights = np.exp(_LAYERS[0] * (log_weights - log_weights.max()))
    cells = np.clip(np.round((times - window.start) / window.step).astype(np.int64), 0, window.size - 1)
    out = np.empty((times.shape[1], window.size))
    for row, cell in zip(out, cells.T, strict=True):
        density = gaussian_filter1d(np.bincount(cell, weights, window.size), 1.0, mode="constant")
        row[:] = np.sqrt(2 / TEMPER * np.log(np.maximum(density / density.max(), _LEAST) / _LEAST))
    return out


def _quantiles(x: np.ndarray, log_weights: np.ndarray) -> np.ndarray:
    """Edges from 0 to 2 pi of cells with equal shares of the weights of ascending `x` (n,)."""
    cdf = np.cumsum(np.exp(log_weights - log_weights.max()))
    cells = max(int(effective_size(log_weights) / _PER_CELL), 2)
    inner = x[np.searchsorted(cdf, np.arange(1, cells) / cells * cdf[-1])]
    return np.unique(np.concatenate([[0.0], inner, [2 * np.pi]]))


def quasi_random(
    network: DetectorNetwork,
    window: TimeWindow,
    series: np.ndarray,
    sigma: np.ndarray,
    half_width: float,
    log2_n: int,
    seed: int,
    aimed: bool = False,
    azimuths: Azimuths | None = None,
    origin: int = 0,
) -> ExtrinsicPoints:
    """Scrambled Sobol points over the extrinsic prior, concentrated where the data want them.

    One detector alone has the geocentre as the other end of its baseline: that time is drawn uniformly, and orientations, of which
    its amplitude says little, from their prior.

    Parameters
    ----------
    network : DetectorNetwork
        arrival times are drawn at its first two detectors; those at others follow from the direction
    window : TimeWindow
    series : (n_det, window.size) complex128
        matched-filter series of a likely binary in units of signal-to-noise ratio, <h|d>(t) / sigma
    sigma : (n_det,) float64
        norms of that binary in the detectors; their ratios matter
    half_width : float, s
        half width of the uniform prior on the geocentre time
    log2_n : int
        2**log2_n points
    seed : int
    aimed : bool
        give half of the points the orientation that the measured amplitudes ask for, not the prior's
    azimuths : Azimuths, optional
        where on the ring of directions the points lie; default: as the arrival times at further detectors have it
    origin : int
        of the points

    Returns
    -------
    ExtrinsicPoints, weighted by prior / proposal / number of points
    """
    from scipy.stats import qmc

    u = qmc.Sobol(5, scramble=True, seed=np.random.default_rng(seed)).random_base2(log2_n)
    n, size, travel = len(u), window.size, network.light_travel_time
    heard = np.zeros((2, size))
    heard[: len(series)] = np.abs(series[:2]) ** 2
    times, log_density = _arrivals(window, heard, travel, u[:, 0], u[:, 1])
    delay = times[:, 0] - times[:, 1]
    # Acausal pairs, at the rims of causal cells, weigh nothing.
    causal = np.abs(delay) <= travel
    times, delay, log_density, u = times[causal], delay[causal], log_density[causal], u[causal]

    azimuth, log_azimuth = azimuths.draw(u[:, 2]) if azimuths is not None else _azimuths(network, window, series, times, u[:, 2])
    direction = network.ring_direction(delay, azimuth)
    delays = network.delays(direction)
    geocentre = times[:, 0] - delays[:, 0]
    times = geocentre[:, None] + delays
    position = (times - window.start) / window.step
    inside = np.all((position >= TAPS // 2 - 1) & (position < size - TAPS // 2), axis=1)

    psi, cos_theta = np.pi / 2 * u[:, 3], 2 * u[:, 4] - 1
    amplitude = amplitudes(*network.patterns(direction, psi), cos_theta)
    log_proposal = log_density + log_azimuth
    if aimed and len(series) > 1:
        held = np.clip(times, window.times[TAPS // 2], window.times[-TAPS // 2 - 1])
        at_arrival = np.stack([window.interpolate(row, t) for row, t in zip(series, held.T, strict=True)], axis=1)
        f_plus, f_cross = network.patterns(direction, np.zeros(len(u)))
        wanted = polarization.Cap.around(at_arrival, f_plus * sigma, f_cross * sigma, TEMPER)
        # Every part of a Sobol sequence is one: the first half stays with the prior.
        half = np.flatnonzero(causal) >= n // 2
        psi[half], cos_theta[half] = (x[half] for x in wanted.draw(u[:, 3], u[:, 4]))
        amplitude = amplitudes(*network.patterns(direction, psi), cos_theta)
        # Both halves as one mixture: no weight exceeds twice that of the prior's points.
        log_proposal += np.logaddexp(0.0, wanted.log_density(amplitude * sigma, cos_theta)) - np.log(2)
    log_prior = -np.log(2 * half_width) - np.log(2 * travel)
    log_weight = log_prior - log_proposal - np.log(n)
    points = ExtrinsicPoints(times, geocentre, direction, psi, cos_theta, amplitude, log_weight, origin)
    return points.take(np.flatnonzero(inside), log_weight[inside])


def _arrivals(
    window: TimeWindow, rho_squared: np.ndarray, travel: float, u: np.ndarray, v: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Arrival times (n, 2) at two detectors from uniform numbers `u`, `v` (n,), and their log density in s^-2.

    First a cell of the window's grid for both, then a part of the cell for each: peaks of loud signals are narrower than
    a cell.
    """
    size = window.size
    # Values of the series at the middle of every part: three samples on either side of it.
    padded = np.pad(rho_squared, ((0, 0), (TAPS // 2, TAPS // 2)), mode="edge")
    fine = np.empty((2, size, _FINE))
    for k, offset in enumerate((np.arange(_FINE) + 0.5) / _FINE - 0.5):
        first = 1 if offset >= 0 else 0
        weights = lagrange(np.array(TAPS // 2 + offset - first))
        fine[:, :, k] = sum(w * padded[:, first + j : first + j + size] for j, w in enumerate(weights))
    log_w = TEMPER * 0.5 * fine
    top = log_w.max(axis=2, keepdims=True)
    within = np.exp(log_w - top)
    log_mass = (top + np.log(within.mean(axis=2, keepdims=True)))[:, :, 0]
    within = (1 - FLOOR) * within / within.mean(axis=2, keepdims=True) + FLOOR

    log_p = log_mass[0][:, None] + log_mass[1][None, :]
    lag = window.step * (np.arange(size)[:, None] - np.arange(size)[None, :])
    # The interpolation needs a margin on either side; a cell counts if any part of it is causal.
    inner = (np.arange(size) >= TAPS // 2) & (np.arange(size) < size - TAPS // 2)
    allowed = (np.abs(lag) <= travel + window.step) & inner[:, None] & inner[None, :]
    p = np.where(allowed, np.exp(log_p - log_p[allowed].max()), 0.0)
    p = (1 - FLOOR) * p / p.sum() + FLOOR * allowed / allowed.sum()

    flat = np.concatenate([[0.0], np.cumsum(p.ravel())])
    edges = flat[::size].copy()
    row = np.clip(np.searchsorted(edges, u * edges[-1], side="right") - 1, 0, size - 1)
    row_mass = edges[row + 1] - edges[row]
    within_row = np.clip((u * edges[-1] - edges[row]) / row_mass, 0.0, 1.0)
    target = edges[row] + v * row_mass
    cell = np.clip(np.searchsorted(flat, target, side="right") - 1, row * size, (row + 1) * size - 1)
    column = cell - row * size
    within_cell = np.clip((target - flat[cell]) / p.ravel()[cell], 0.0, 1.0)
    x, log_x = _within(within[0], row, within_row)
    y, log_y = _within(within[1], column, within_cell)
    times = window.start + window.step * (np.stack([row + x, column + y], axis=1) - 0.5)
    return times, np.log(p.ravel()[cell]) + log_x + log_y - 2 * np.log(window.step)


def _within(density: np.ndarray, cell: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (n,) in [0, 1] within cells from uniform numbers `u` (n,), and their log density, from that of the cells' parts.

    Parameters
    ----------
    density : (n_cells, parts), mean 1
    cell : (n,) int
    """
    parts = density.shape[1]
    edges = np.concatenate([np.zeros((len(density), 1)), np.cumsum(density, axis=1)], axis=1) / parts
    part = np.clip(np.sum(edges[cell] <= u[:, None], axis=1) - 1, 0, parts - 1)
    height = density[cell, part]
    place = (part + np.clip((u - edges[cell, part]) / height * parts, 0.0, 1.0)) / parts
    return place, np.log(height)


def _azimuths(
    network: DetectorNetwork, window: TimeWindow, series: np.ndarray, times: np.ndarray, u: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Azimuths (n,) on the rings of the delays, concentrated where further detectors see the signal, and their log density
    against the uniform.

    Parameters
    ----------
    series : (n_det, window.size) complex128 in units of signal-to-noise ratio
    times : (n, 2) s, arrivals at the first two detectors
    u : (n,) uniform numbers
    """
    n, first, delay = len(u), times[:, 0], times[:, 0] - times[:, 1]
    if len(series) < 3:
        return 2 * np.pi * u, np.zeros(n)
    centres = 2 * np.pi * (np.arange(_RING) + 0.5) / _RING
    # On a ring the delay of a further detector is a + b cos(azimuth) + c sin(azimuth).
    quarter = [network.delays(network.ring_direction(delay, np.full(n, x))) for x in (0.0, np.pi / 2, np.pi)]
    after = [d - d[:, :1] for d in quarter]
    middle = 0.5 * (after[0] + after[2])
    log_p = np.zeros((n, _RING))
    for k, row in enumerate(np.abs(series[2:]) ** 2, start=2):
        cosine, sine = after[0][:, k] - middle[:, k], after[1][:, k] - middle[:, k]
        arrival = first[:, None] + middle[:, k, None] + np.outer(cosine, np.cos(centres)) + np.outer(sine, np.sin(centres))
        index = np.clip(np.round((arrival - window.start) / window.step).astype(np.int64), 0, window.size - 1)
        # A cell of the ring is wider than the peak: its best time speaks for it.
        log_p += TEMPER * 0.5 * maximum_filter1d(row, _SPREAD)[index]
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    p = (1 - _RING_FLOOR) * p / p.sum(axis=1, keepdims=True) + _RING_FLOOR / _RING
    edges = np.cumsum(p, axis=1)
    cell = np.minimum(np.sum(edges < u[:, None], axis=1), _RING - 1)
    chosen = np.take_along_axis(p, cell[:, None], 1)[:, 0]
    within = np.clip((u - np.take_along_axis(edges, cell[:, None], 1)[:, 0] + chosen) / chosen, 0.0, 1.0)
    return 2 * np.pi * (cell + within) / _RING, np.log(chosen * _RING)


def keep_best(points: P, log_likelihood: np.ndarray, size: int, rng: np.random.Generator) -> tuple[P, np.ndarray]:
    """The points that `_systematic_draw` takes, with the weights it gives them: at most `size`, whose weighted sum has the
    expectation of the full set's; and the log of what each may count for, its influence."""
    index, log_weight = _systematic_draw(points.log_weight, log_likelihood, size, rng)
    # A point that was drawn several times is one point: it is summed once, and counted once.
    index, first, copies = np.unique(index, return_index=True, return_counts=True)
    log_weight = log_weight[first] + np.log(copies)
    return points.take(index, log_weight), log_weight + 0.5 * log_likelihood[index]


def shared(sets: Sequence[P], influence: Sequence[np.ndarray], share: float) -> list[P]:
    """The sets of points, with those of the largest influence in each of them, of all sets and with their part of the weight.

    A heavy point is one that hardly any of the binaries wanted for which points were chosen. For another binary it may count more
    than all the rest: in one set there is such a point, and the integral is far too large, in the others there is none. In all sets
    it has an n-th of its weight, and the integral's expectation is the same.

    Parameters
    ----------
    sets : sequence of points
    influence : sequence of (M,) float64, of the points of each
    share : float
        of all points, those in common
    """
    every = np.sort(np.concatenate(influence))
    least = every[min(round((1 - share) * len(every)), len(every) - 1)]
    own, common = [], []
    for points, of_each in zip(sets, influence, strict=True):
        many = (of_each >= least) & np.isfinite(of_each)
        light, heavy = np.flatnonzero(~many), np.flatnonzero(many)
        own.append(points.take(light, points.log_weight[light]))
        common.append(points.take(heavy, points.log_weight[heavy] - np.log(len(sets))))
    return [type(one).joined([one, *common]) for one in own]


def _systematic_draw(
    log_weight: np.ndarray, log_likelihood: np.ndarray, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Systematic draw of points by a mixture of posterior weight, its square root's and the prior's.

    Parameters
    ----------
    log_weight : (M,)
    log_likelihood : (M,) mean likelihood over a few likely binaries, each normalised to its integral
    size : int

    Returns
    -------
    index : (size,) of the points drawn, ascending; log_weight : (size,) theirs
    """

    def share(log_g: np.ndarray) -> np.ndarray:
        g = np.exp(log_g - log_g.max())
        return g / g.sum()

    chance = 0.75 * share(log_weight + log_likelihood) + 0.2 * share(log_weight + 0.5 * log_likelihood) + 0.05 * share(log_weight)
    cdf = np.cumsum(chance)
    index = np.searchsorted(cdf, (np.arange(size) + rng.random()) / size * cdf[-1], side="right")
    index = np.minimum(index, len(log_weight) - 1)
    return index, log_weight[index] - np.log(size * chance[index] / cdf[-1])
