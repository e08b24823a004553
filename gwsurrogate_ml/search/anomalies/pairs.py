"""Pairs of triggers of two detectors, and how alike the two are: what the score is made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.search.anomalies.tiles import STEP, WINDOW, Triggers, tiles
from gwsurrogate_ml.search.anomalies.white import RATE

SLACK = 0.015
"""By how much triggers may lie further apart than light needs: a burst's loudest moment is not the same in both, s."""
TIMING = 0.002
"""By how much the bursts themselves may, s."""
LEAST = 15.0
"""Least joint significance of a pair that is looked at."""
FEATURES = (
    "joint", "weaker", "stronger", "weaker alone", "stronger alone", "log frequency", "log quality", "box", "delay",
    "burst stronger", "burst weaker", "correlation", "stronger in weaker", "weaker in stronger", "residual stronger",
    "residual weaker", "codes alike", "frequencies apart", "log duration", "log ratio",
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
    tile, value = joint(first, second, i, j)
    kept = np.flatnonzero(value >= LEAST)
    i, j = i[kept], j[kept]
    return Pairs(i, j, v[j] - u[i], np.full(i.size, slide), tile[kept], value[kept])


def joint(first: Triggers, second: Triggers, i: np.ndarray, j: np.ndarray, batch: int = 4096) -> tuple[np.ndarray, np.ndarray]:
    """The tile that is most significant in both together, and its significance, the sum of both, of pairs (n,)."""
    tile, value = np.empty(i.size, int), np.empty(i.size, np.float32)
    for a in range(0, i.size, batch):
        total = first.near[i[a : a + batch]] + second.near[j[a : a + batch]]
        tile[a : a + batch] = total.argmax(axis=1)
        value[a : a + batch] = total.max(axis=1)
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
    lags = np.arange(-WINDOW // 8, WINDOW // 8 + 1)
    allowed = np.abs(pairs.apart[:, None] + lags / RATE) <= light + TIMING
    spectra = [fft.rfft(np.pad(x, ((0, 0), (0, WINDOW)))) for x in (first.burst, second.burst, a.window, b.window)]

    def greatest(p: int, q: int) -> np.ndarray:
        series = fft.irfft(np.conj(spectra[p]) * spectra[q], 2 * WINDOW)[:, lags]
        return np.asarray(np.where(allowed, np.abs(series), 0.0).max(axis=1))

    in_second, in_first = greatest(0, 3) / norm_a, greatest(2, 1) / norm_b
    strong_in_weak, weak_in_strong = ordered(in_second, in_first)
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
        greatest(0, 1) / (norm_a * norm_b),
        _log(strong_in_weak),
        _log(weak_in_strong),
        *(np.sign(r) * np.log1p(np.abs(r)) for r in ordered(*residuals)),
        codes,
        np.abs(np.log(t.frequency[a.tile] / t.frequency[b.tile])),
        np.log(t.duration[k]),
        np.log(strong / np.maximum(weak, 0.1)),
    )
    return np.column_stack(columns).astype(np.float32)


def _log(x: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(x, 0.1))
