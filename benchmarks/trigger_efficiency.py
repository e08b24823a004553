"""Efficiency at a false-alarm rate, and how well so few alarms, moments of noise and injections tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gwsurrogate_ml.trigger.settings import RATE

SNRS = np.arange(5.0, 21.0)
"""Of both detectors together, in 24 to 480 Hz."""
MIDDLE = (SNRS >= 8) & (SNRS <= 20)
BLOCK = 256
"""Samples of which the loudest score counts once, 0.25 s."""
SLIDES = 60
MOMENT = 1024
"""Samples of a detector's noise, 1 s, that are drawn anew together."""
RESAMPLINGS = 500
KEPT = 10_000
"""Loudest blocks that resamplings look at: none needs more."""


@dataclass(frozen=True, eq=False)
class Background:
    """Loudest scores of the blocks of all time slides.

    Parameters
    ----------
    loudest : (SLIDES, n) float
    n_second : int
        samples of L1, by which it was turned evenly from slide to slide
    """

    loudest: np.ndarray
    n_second: int

    @property
    def seconds(self) -> float:
        """How long it is."""
        return float(self.loudest.size * BLOCK / RATE)

    def moments(self, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The moments of H1 and of L1 from which the blocks `which` of the flattened array come."""
        slide, block = np.divmod(which, self.loudest.shape[1])
        shifts = np.array([shift(k, self.n_second) for k in range(SLIDES)])
        return block * BLOCK // MOMENT, (block * BLOCK + shifts[slide]) % self.n_second // MOMENT


def shift(slide: int, n_second: int) -> int:
    """Samples by which L1 is turned."""
    return round((slide + 0.5) * n_second / SLIDES)


def background(score: Any, h: np.ndarray, l: np.ndarray) -> Background:
    """Loudest scores of all blocks of SLIDES time slides."""
    found, n = [], min(h.size, l.size)
    for k in range(SLIDES):
        scores = score(np.stack([h[:n], np.roll(l, -shift(k, l.size))[:n]]))
        found.append(scores[: scores.size // BLOCK * BLOCK].reshape(-1, BLOCK).max(axis=1))
    return Background(np.array(found), l.size)


def neighbours(loudest: np.ndarray, wanted: float, counts: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two thresholds about `wanted` false alarms, how many background scores lie above each, and their weights.

    Scores are whole numbers in fixed point: no threshold has just as many.

    Parameters
    ----------
    loudest : (n,), falling
    counts : (n,), how often each counts, once if not given
    """
    first = np.flatnonzero(np.diff(loudest, prepend=np.inf))
    alarms = np.add.reduceat(np.ones(loudest.size) if counts is None else counts, first)
    above = np.cumsum(alarms) - alarms
    k = int(np.searchsorted(above, wanted, side="right"))
    pair = np.array([k, k - 1])
    w = (above[k] - wanted) / (above[k] - above[k - 1])
    return loudest[first[pair]], above[pair], np.array([1 - w, w])


def reach(efficiency: np.ndarray) -> float:
    """SNR of half the efficiency: distance reach is its inverse."""
    k = int(np.argmax(efficiency >= 0.5))
    if k == 0:
        return float("nan")
    low, high = efficiency[k - 1 : k + 1]
    return float(SNRS[k - 1] + (0.5 - low) / (high - low))


def efficiency_at(rate: float, loudest: np.ndarray, seconds: float, found: np.ndarray) -> np.ndarray:
    """Efficiency (n_snr,) at `rate` false alarms an hour."""
    thresholds, _, weights = neighbours(loudest, rate * seconds / 3600)
    return np.asarray((found[:, :, None] > thresholds).mean(axis=1) @ weights)


def judged(loudest: np.ndarray, seconds: float, found: np.ndarray) -> dict[str, Any]:
    """Efficiency at one false alarm an hour, and its mean at half and twice that rate.

    Parameters
    ----------
    loudest : (n,), loudest scores of the blocks of `seconds` of background, falling
    found : (n_snr, n_injections), loudest scores of the injections at each of SNRS, without bound below where gated
    """
    thresholds, alarms, weights = neighbours(loudest, seconds / 3600)
    efficiency = efficiency_at(1.0, loudest, seconds, found)
    return {
        "injections": found.shape[1],
        "hours": seconds / 3600,
        "thresholds": thresholds.tolist(),
        "weights": weights.tolist(),
        "false_alarms": alarms.astype(int).tolist(),
        "efficiency": [round(float(e), 4) for e in efficiency],
        "mean": float(efficiency[MIDDLE].mean()),
        "mean_at_half_and_twice": [float(efficiency_at(rate, loudest, seconds, found)[MIDDLE].mean()) for rate in (0.5, 2.0)],
        "snr_half": reach(efficiency),
    }


def resampled(background: Background, found: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean efficiency and SNR of half the efficiency (RESAMPLINGS,) with injections and moments of noise drawn anew.

    A false alarm counts as often as its moments of H1 and of L1 are drawn, one times the other: slides repeat the same moments,
    and a loud one alarms in several. This resampling of both factors errs on the safe side (Owen 2007, Annals of Applied
    Statistics 1, 386). For one seed networks meet the same draws, so that their ratios are of pairs.

    Parameters
    ----------
    background : Background
    found : (n_snr, n_injections), as `judged` takes it
    """
    rng = np.random.default_rng([seed, 2])
    flat = background.loudest.ravel()
    order = np.argsort(-flat, kind="stable")[:KEPT]
    loudest, n = flat[order], found.shape[1]
    h, l = background.moments(order)
    sizes = [-(-size // MOMENT) for size in (background.loudest.shape[1] * BLOCK, background.n_second)]
    means, halves = np.empty(RESAMPLINGS), np.empty(RESAMPLINGS)
    for k in range(RESAMPLINGS):
        one, two, injections = (rng.multinomial(size, np.full(size, 1 / size)) for size in (*sizes, n))
        thresholds, _, weights = neighbours(loudest, background.seconds / 3600, one[h] * two[l])
        efficiency = sum(w * ((found > t) @ injections) / n for t, w in zip(thresholds, weights, strict=True))
        means[k], halves[k] = efficiency[MIDDLE].mean(), reach(efficiency)
    return means, halves


def interval(values: np.ndarray) -> list[float]:
    """What holds 90 % of the values."""
    return [float(x) for x in np.quantile(values, [0.05, 0.95])]
