"""From the strain of two detectors to a ranked list of what both saw and noise does not do, with false-alarm rates; or of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.search.anomalies.model import AnomalyModel
from gwsurrogate_ml.search.anomalies.pairs import FEATURES, Described, Pairs, coincident, features
from gwsurrogate_ml.search.anomalies.tiles import STEP, find, tiles
from gwsurrogate_ml.search.anomalies.white import Span, White, common, whiten
from gwsurrogate_ml.search.coincidence import Background, light_travel_time, live_time
from gwsurrogate_ml.strain.data import require_distinct

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

Progress = Callable[[str, int, int], None]
Score = Callable[[Described, Described, Pairs], np.ndarray]

SLIDE_STEP, SHORTEST_SLIDE = 0.05, 0.5
"""Distance between time slides, more than most pairs may lie apart, and the smallest one, which parts all that is looked for, s."""
CLUSTER = 0.2
"""Of two candidates nearer than this only the one with the higher score counts, s."""
MOST_SLIDES = 10_000
ALONE = 12.0
"""Least significance of a candidate in one detector alone."""


@dataclass(frozen=True, eq=False)
class Anomalies:
    """What a search found.

    Attributes
    ----------
    detectors : names, one or two
    white : whitened strain of each
    spans : GPS times that were searched
    rows : list of dict, ranked: plain numbers and words of each candidate
    background : Background of the scores; None for one detector
    """

    detectors: tuple[str, ...]
    white: tuple[White, ...]
    spans: list[Span]
    rows: list[dict]
    background: Background | None

    @property
    def live_time(self) -> float:
        """Seconds searched."""
        return sum(b - a for a, b in self.spans)


def best(scores: np.ndarray, times: np.ndarray, window: float = CLUSTER) -> np.ndarray:
    """Indices, highest score first, of those with none better within `window` s.

    Examples
    --------
    >>> best(np.array([1.0, 3.0, 2.0]), np.array([0.0, 0.1, 5.0]))
    array([1, 2])
    """
    order = np.argsort(times, kind="stable")
    lowest = np.searchsorted(times[order], times[order] - window, side="left")
    highest = np.searchsorted(times[order], times[order] + window, side="right")
    free, kept = np.ones(times.size, bool), []
    for place in np.argsort(-scores[order], kind="stable"):
        if free[place]:
            free[lowest[place] : highest[place]] = False
            kept.append(int(order[place]))
    return np.array(kept, int)


def slides(
    first: Described, second: Described, spans: Sequence[Span], light: float, score: Score, progress: Progress | None = None
) -> tuple[Background, Pairs, np.ndarray]:
    """Background from circular shifts of the second detector along the live time, all pairs of the slides, and which of them the
    background's rankings are of.
    """
    report = progress or (lambda *_: None)
    total = sum(b - a for a, b in spans)
    u, v = live_time(first.triggers.time, spans), live_time(second.triggers.time, spans)
    low, high = (int(np.floor(t / SLIDE_STEP + 1e-9)) for t in (SHORTEST_SLIDE, total - SHORTEST_SLIDE))
    numbers = np.unique(np.linspace(low, high, min(high - low + 1, MOST_SLIDES)).astype(int)) if high >= low else np.empty(0, int)
    parts, kept = [], [np.empty(0, int)]
    for done, k in enumerate(numbers):
        parts.append(coincident(first.triggers, second.triggers, u, (v + k * SLIDE_STEP) % total, light, int(k)))
        if done % 100 == 0:
            report("sliding in time", done, len(numbers))
    pairs = Pairs(*(np.concatenate(c) for c in zip(*parts, strict=True))) if parts else _none()
    values = score(first, second, pairs)
    bounds = np.searchsorted(pairs.slide, np.append(numbers, high + 1))
    at = u[pairs.first] + 0.5 * pairs.apart
    for a, b in pairwise(bounds):
        kept.append(a + best(values[a:b], at[a:b]))
    report("sliding in time", 1, 1)
    counted = np.concatenate(kept)
    counted = counted[np.argsort(values[counted], kind="stable")]
    return Background(values[counted], len(numbers), len(numbers) * total), pairs, counted


def _none() -> Pairs:
    empty = np.empty(0, int)
    return Pairs(empty, empty, np.empty(0), empty, empty, np.empty(0))


def by_model(model: AnomalyModel, light: float) -> Score:
    """The model's score of pairs."""
    return lambda first, second, pairs: model.score(features(first, second, pairs, light))


def find_anomalies(series: Mapping[str, TimeSeries], model: AnomalyModel, progress: Progress | None = None) -> Anomalies:
    """Search the strain of one or two detectors.

    Parameters
    ----------
    series : mapping of detectors to gwpy TimeSeries of strain, whole rates from 960 Hz on, gaps as NaN
    model : AnomalyModel
    progress : callable (stage, done, total), optional

    Returns
    -------
    Anomalies
        of two detectors ranked by the score, with false-alarm rates; of one, which has no time slides, by novelty

    Raises
    ------
    ConfigError
        for other numbers of detectors, or others than the model's
    DataError
        data too short, constant, sampled too slowly, without a second in common, or the same for both detectors
    """
    detectors = tuple(series)
    if len(detectors) not in (1, 2):
        raise ConfigError(f"{len(detectors)} detectors: anomalies are looked for in one, or in two such as H1 and L1")
    known = model.info["detectors"]
    if foreign := sorted(set(detectors) - set(known)):
        raise ConfigError(
            f"{', '.join(foreign)}: the model was trained for {' and '.join(known)}, their noise and the time that light "
            "needs between them; leave it out, or train one of your own (gwsml train anomaly)"
        )
    require_distinct(series)
    report = progress or (lambda *_: None)
    report("whitening", 0, 1)
    white = tuple(whiten(one) for one in series.values())
    report("whitening", 1, 1)
    spans = white[0].spans if len(white) == 1 else common(*white)
    report("looking for bursts", 0, 1)
    found = [model.describe(find(one, spans)) for one in white]
    report("looking for bursts", 1, 1)
    if len(white) == 1:
        return Anomalies(detectors, white, spans, _alone(found[0], model), None)
    light = light_travel_time(*detectors)
    background, slid, counted = slides(found[0], found[1], spans, light, by_model(model, light), progress)
    rows = _together(detectors, found[0], found[1], model, light, background, slid.take(counted))
    return Anomalies(detectors, white, spans, rows, background)


def _together(
    detectors: tuple[str, ...],
    first: Described,
    second: Described,
    model: AnomalyModel,
    light: float,
    background: Background,
    slid: Pairs,
) -> list[dict]:
    """Candidates, ranked; `slid` are the pairs of the background's rankings."""
    pairs = coincident(first.triggers, second.triggers, first.triggers.time, second.triggers.time, light)
    values = features(first, second, pairs, light)
    scores = model.score(values)
    order = best(scores, first.triggers.time[pairs.first] + 0.5 * pairs.apart)
    nearest, rows = model.nearest(values[order]), []
    for rank, (k, name) in enumerate(zip(order, nearest, strict=True), start=1):
        i, j, tile = pairs.first[k], pairs.second[k], int(pairs.tile[k])
        late = float(second.triggers.offset[j, tile]) - float(first.triggers.offset[i, tile])
        novelty, _ = model.novelty(np.stack([first.code[i], second.code[j]]))
        louder = slid.take(np.arange(np.searchsorted(background.rankings, scores[k], side="left"), background.rankings.size))
        own = np.abs(first.triggers.time[louder.first] - first.triggers.time[i]) < CLUSTER
        own |= np.abs(second.triggers.time[louder.second] - second.triggers.time[j]) < CLUSTER
        row = {
            "rank": rank,
            "time": float(0.5 * (first.triggers.time[i] + second.triggers.time[j])),
            "score": float(scores[k]),
            "false_alarm_rate": float(background.false_alarm_rate(scores[k])) if background.time else None,
            "louder_in_background": int(own.size),
            "louder_without_its_triggers": int(np.sum(~own)),
            "nearest": name,
            **_shape(tile),
            "delay": float(pairs.apart[k]) + late / STEP,
            "correlation": float(values[k][FEATURES.index("correlation")]),
            "novelty": float(novelty.max()),
        }
        for which, one, index in ((detectors[0], first, i), (detectors[1], second, j)):
            row[f"{which}_significance"] = float(one.triggers.near[index, tile])
        rows.append(row | {"reason": _reason(row, detectors)})
    return rows


def _alone(found: Described, model: AnomalyModel) -> list[dict]:
    loud = np.flatnonzero(found.triggers.significance >= ALONE)
    novelty, nearest = model.novelty(found.code[loud])
    rows: list[dict] = []
    for rank, k in enumerate(best(novelty, found.triggers.time[loud]), start=1):
        i = loud[k]
        row = {
            "rank": rank,
            "time": float(found.triggers.time[i]),
            "novelty": float(novelty[k]),
            "significance": float(found.triggers.significance[i]),
            "nearest": nearest[k],
            **_shape(int(found.triggers.tile[i])),
        }
        rows.append(row | {"reason": f"{_where(row)}; novelty {row['novelty']:.1f} from what is nearest, {row['nearest']}"})
    return rows


def _shape(tile: int) -> dict[str, float]:
    t = tiles()
    return {"low": float(max(t.low[tile], 24)), "high": float(min(t.high[tile], 480)), "duration": float(t.duration[tile])}


def _where(row: dict) -> str:
    return f"{row['low']:.0f} to {row['high']:.0f} Hz for {1000 * row['duration']:.0f} ms"


def _reason(row: dict, detectors: tuple[str, ...]) -> str:
    loud = [row[f"{name}_significance"] for name in detectors]
    ratio = "alike in loudness" if max(loud) < 3 * min(loud) else f"{detectors[int(np.argmax(loud))]} far louder"
    return (
        f"{_where(row)}, {ratio}; bursts correlate to {row['correlation']:.2f} with {1000 * abs(row['delay']):.1f} ms between; "
        f"nearest class {row['nearest']}"
    )
