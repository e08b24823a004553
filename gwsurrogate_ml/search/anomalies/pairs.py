"""Pairs of triggers of two detectors, and how alike the two are: what the score is made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.search.anomalies.tiles import NEAR, STEP, WINDOW, Triggers, tiles
from gwsurrogate_ml.search.anomalies.white import RATE

SLACK = NEAR / STEP
"""By how much triggers may lie further apart than light needs: a burst's loudest tile is not the same in both, s."""
TIMING = 0.002
"""By how much the bursts themselves may, s."""
LEAST = 20.0
"""Least joint significance of a pair that is looked at."""
FEATURES = (
    "joint", "weaker", "stronger", "weaker alone", "stronger alone", "log frequency", "log quality", "box", "delay",
    "burst stronger", "burst weaker", "correlation", "stronger in weaker", "weaker in stronger", "residual stronger",
    "residual weaker", "codes alike", "frequencies apart", "log duration", "log ratio", "match", "unlike", "track",
    "data correlation", "data match", "common power",
)  # fmt: skip


class Described(NamedTuple):
    """Triggers with what the autoencoder makes of their windows: burst (n, WINDOW) and code (n, LATENT)."""

    triggers: Triggers
    burst: np.ndarray
    code: np.ndarray

    def take(self, index: np.ndarray) -> Described:
        """Some of them."""
        return Described(self.triggers.take(index), self.burst[index], self.code[index])


class Pairs(NamedTuple):
    """Pairs: rows of the first and second detector's triggers, by how much the second's is later (s), the slide (0: none), and
    the joint tile with its significance.
    """

    first: np.ndarray
    second: np.ndarray
    apart: np.ndarray
    slide: np.ndarray
    tile: np.ndarray
    joint: np.ndarray

    def take(self, index: np.ndarray) -> Pairs:
        """Some of them."""
        return Pairs(*(column[index] for column in self))


def coincident(first: Triggers, second: Triggers, u: np.ndarray, v: np.ndarray, light: float, slide: int = 0) -> Pairs:
    """Pairs of triggers at times u (n,) and v (m,), s, near enough for one burst, and of LEAST joint significance."""
    order = np.argsort(v, kind="stable")
    begin = np.searchsorted(v[order], u - light - SLACK, side="left")
    count = np.searchsorted(v[order], u + light + SLACK, side="right") - begin
    i = np.repeat(np.arange(u.size), count)
    j = order[np.repeat(begin, count) + np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)]
    tile, value = joint(first, second, i, j, v[j] - u[i], light)
    kept = np.flatnonzero(value >= LEAST)
    i, j = i[kept], j[kept]
    return Pairs(i, j, v[j] - u[i], np.full(i.size, slide), tile[kept], value[kept])


def joint(
    first: Triggers, second: Triggers, i: np.ndarray, j: np.ndarray, apart: np.ndarray, light: float, batch: int = 4096
) -> tuple[np.ndarray, np.ndarray]:
    """The tile that is most significant in both together, and its significance, the sum of both, of pairs (n,).

    Only tiles count whose peaks in the two detectors lie no further apart than light and the tile's own timing allow.
    """
    tile, value = np.empty(i.size, int), np.empty(i.size, np.float32)
    most = ((light + tiles().timing) * STEP).astype(np.float32)
    for a in range(0, i.size, batch):
        one, two, cut = i[a : a + batch], j[a : a + batch], slice(a, a + batch)
        total = first.near[one] + second.near[two]
        late = second.offset[two] - first.offset[one] + (apart[cut, None] * STEP).astype(np.float32)
        total[np.abs(late) > most] = 0.0
        tile[cut] = total.argmax(axis=1)
        value[cut] = total.max(axis=1)
    return tile, value


def features(first: Described, second: Described, pairs: Pairs, light: float, batch: int = 2048) -> np.ndarray:
    """What the score is made of, (n, len(FEATURES)) float32; nothing in it depends on which detector is which.

    Parameters
    ----------
    light : float, s, that light needs between the detectors
    """
    parts = []
    for a in range(0, pairs.first.size, batch):
        some = pairs.take(np.arange(a, min(a + batch, pairs.first.size)))
        parts.append(_features(first.take(some.first), second.take(some.second), some, light))
    return np.concatenate(parts) if parts else np.empty((0, len(FEATURES)), np.float32)


def _features(first: Described, second: Described, pairs: Pairs, light: float) -> np.ndarray:
    t, k, rows = tiles(), pairs.tile, np.arange(pairs.tile.size)
    a, b = first.triggers, second.triggers
    one, two = a.near[rows, k], b.near[rows, k]
    delay = pairs.apart + (b.offset[rows, k].astype(float) - a.offset[rows, k]) / STEP
    swap = one < two

    def ordered(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.where(swap, y, x), np.where(swap, x, y)

    strong, weak = ordered(one, two)
    strong_alone, weak_alone = ordered(a.significance, b.significance)
    norm_a, norm_b = (np.linalg.norm(x.burst, axis=1) + 1e-6 for x in (first, second))
    lags = np.arange(-WINDOW // 6, WINDOW // 6 + 1)
    allowed = np.abs(pairs.apart[:, None] + lags / RATE) <= light + TIMING
    spectra = [fft.rfft(np.pad(x, ((0, 0), (0, WINDOW)))) for x in (first.burst, second.burst, a.window, b.window)]

    burst_a, burst_b, data_a, data_b = spectra
    in_second = _greatest(burst_a, data_b, allowed, lags)[0] / norm_a
    in_first = _greatest(data_a, burst_b, allowed, lags)[0] / norm_b
    correlation, match = (x / (norm_a * norm_b) for x in _greatest(burst_a, burst_b, allowed, lags))
    strong_in_weak, weak_in_strong = ordered(in_second, in_first)
    data_correlation, data_match, common = _in_tile(a, b, k, allowed, lags)
    residuals = [(np.square(x.triggers.window - x.burst).sum(axis=1) - WINDOW) / np.sqrt(2 * WINDOW) for x in (first, second)]
    codes = np.sum(first.code * second.code, axis=1)
    codes /= np.linalg.norm(first.code, axis=1) * np.linalg.norm(second.code, axis=1) + 1e-6
    columns = (
        _log(pairs.joint),
        _log(weak),
        _log(strong),
        _log(weak_alone),
        _log(strong_alone),
        np.log(t.frequency[k]),
        np.log(t.quality[k]),
        t.length[k] > 0,
        100 * np.abs(delay),
        *map(_log, ordered(norm_a, norm_b)),
        correlation,
        _log(strong_in_weak),
        _log(weak_in_strong),
        *(np.sign(r) * np.log1p(np.abs(r)) for r in ordered(*residuals)),
        codes,
        np.abs(np.log(t.frequency[a.tile] / t.frequency[b.tile])),
        np.log(t.duration[k]),
        np.log(strong / np.maximum(weak, 0.1)),
        match,
        _log(np.minimum(norm_a, norm_b) ** 2 * np.maximum(1 - match**2, 0.0)),
        t.mass[k] > 0,
        data_correlation,
        data_match,
        _log(common),
    )
    return np.column_stack(columns).astype(np.float32)


def _greatest(a: np.ndarray, b: np.ndarray, allowed: np.ndarray, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Greatest product (n,) of series of these spectra over the lags that are allowed: as they are, and with any phase between
    them, as the two detectors' parts of an elliptical wave may have.
    """
    product = np.zeros((len(a), 2 * WINDOW), complex)
    product[:, : WINDOW + 1] = 2 * np.conj(a) * b
    series = np.where(allowed, fft.ifft(product)[:, lags], 0.0)
    return np.abs(series.real).max(axis=1), np.abs(series).max(axis=1)


def _in_tile(
    a: Triggers, b: Triggers, k: np.ndarray, allowed: np.ndarray, lags: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two detectors' own data in the joint tile's band and time: their normalised correlation (n,), the same with any phase
    between them, and half the power that they have in common (a significance).
    """
    t, rows = tiles(), np.arange(k.size)
    # Where the tile's power lies: about its peak, before it in a track.
    middle = np.where(t.mass > 0, -0.5 * t.duration, 0.0)[k]
    half = np.where(t.length > 0, 0.5, np.where(t.mass > 0, 0.55, 1.0))[k] * t.duration[k] + 0.005
    f = np.arange(WINDOW + 1) * RATE / (2 * WINDOW)
    band = (f >= t.low[k, None]) & (f <= t.high[k, None])
    seconds = (np.arange(WINDOW) - WINDOW // 2) / RATE
    spectra = []
    for one in (a, b):
        at = one.offset[rows, k] / STEP + middle
        inside = np.where(np.abs(seconds - at[:, None]) <= half[:, None], one.window, 0.0)
        spectra.append(fft.rfft(np.pad(inside, ((0, 0), (0, WINDOW)))) * band)
    powers = [np.square(np.abs(s)).sum(axis=1) / WINDOW for s in spectra]
    real, whole = _greatest(spectra[0], spectra[1], allowed, lags)
    norm = np.sqrt(powers[0] * powers[1]) + 1e-6
    return real / norm, whole / norm, 0.5 * real


def _log(x: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(x, 0.1))
