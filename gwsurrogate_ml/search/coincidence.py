"""Coincidence of two detectors' triggers, and the background from sliding one against the other in time.

Usman et al. 2016 (arXiv:1508.02357): the same template in both, end times apart by no more than light needs plus a timing
error; slides by more than that hold no real coincidence and show what noise alone does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.conventions import C_SI
from gwsurrogate_ml.search.segments import Span

PAIR_DTYPE = np.dtype([("first", np.int64), ("second", np.int64), ("time", np.float64), ("ranking", np.float64)])
"""A coincidence: indices into the two trigger lists, mean end time (s), ranking statistic."""


@dataclass(frozen=True)
class Background:
    """What noise alone does.

    Attributes
    ----------
    rankings : float64 (n,), sorted, of all clustered coincidences of all slides
    n_slides : int
    time : float, s, analysed in all slides together
    """

    rankings: np.ndarray
    n_slides: int
    time: float

    def false_alarm_rate(self, ranking: np.ndarray) -> np.ndarray:
        """(1 + number at least as loud) / time, in Hz: an upper bound where none is as loud."""
        louder = self.rankings.size - np.searchsorted(self.rankings, ranking, side="left")
        return (1.0 + louder) / self.time


def light_travel_time(first: str, second: str) -> float:
    """Seconds that light needs between two detectors.

    Examples
    --------
    >>> round(light_travel_time("H1", "L1"), 4)
    0.01
    """
    from gwsurrogate_ml.strain.detectors import interferometer

    a, b = (np.asarray(interferometer(name).vertex) for name in (first, second))
    return float(np.linalg.norm(a - b) / C_SI)


def live_time(times: np.ndarray, spans: Sequence[Span]) -> np.ndarray:
    """Position of GPS times on an axis that counts only `spans` (ascending, disjoint), from 0 to their total length.

    Examples
    --------
    >>> live_time(np.array([11.0, 32.0]), [(10.0, 20.0), (30.0, 40.0)])
    array([ 1., 12.])
    """
    starts = np.array([span[0] for span in spans])
    before = np.concatenate([[0.0], np.cumsum([b - a for a, b in spans])])
    k = np.searchsorted(starts, times, side="right") - 1
    return before[k] + times - starts[k]


def coincidences(
    first: np.ndarray, second: np.ndarray, first_time: np.ndarray, second_time: np.ndarray, window: float
) -> np.ndarray:
    """Pairs of triggers of one template whose times differ by at most `window` s.

    Parameters
    ----------
    first, second : structured arrays with `template` and `newsnr`
    first_time, second_time : float64 (n,), s
        times to compare: those of the triggers, or slid ones

    Returns
    -------
    structured array of PAIR_DTYPE; ranking = root of the sum of the squared re-weighted SNRs
    """
    if not (first.size and second.size):
        return np.empty(0, PAIR_DTYPE)
    # One key orders by template, then time: templates are further apart than any two times.
    low = min(first_time.min(), second_time.min())
    stride = max(first_time.max(), second_time.max()) - low + 2 * window + 1.0
    first_key = first["template"] * stride + (first_time - low)
    second_key = second["template"] * stride + (second_time - low)
    order = np.argsort(second_key, kind="stable")
    begin = np.searchsorted(second_key[order], first_key - window, side="left")
    end = np.searchsorted(second_key[order], first_key + window, side="right")
    count = end - begin
    i = np.repeat(np.arange(first.size), count)
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    j = order[np.repeat(begin, count) + offset]
    pairs = np.empty(i.size, PAIR_DTYPE)
    pairs["first"], pairs["second"] = i, j
    pairs["time"] = 0.5 * (first_time[i] + second_time[j])
    pairs["ranking"] = np.hypot(first["newsnr"][i], second["newsnr"][j])
    return pairs


def cluster(pairs: np.ndarray, window: float) -> np.ndarray:
    """The loudest pairs, none within `window` s of a louder one that is kept; loudest first."""
    order = np.argsort(-pairs["ranking"], kind="stable")
    kept: list[int] = []
    times = np.empty(0)
    for i in order:
        t = pairs["time"][i]
        k = int(np.searchsorted(times, t))
        if (k > 0 and t - times[k - 1] <= window) or (k < times.size and times[k] - t <= window):
            continue
        times = np.insert(times, k, t)
        kept.append(int(i))
    return pairs[kept]


def n_shifts(total: float, step: float) -> int:
    """Number of shifts from one `step` to one step short of a full turn of `total`, both in s.

    Examples
    --------
    >>> n_shifts(10.0, 2.0), n_shifts(10.0, 6.0)
    (4, 0)
    """
    return max(0, int(np.floor(total / step + 1e-9)) - 1)


def slide(
    first: np.ndarray,
    second: np.ndarray,
    spans: Sequence[Span],
    window: float,
    step: float,
    cluster_window: float,
    most: int = 10_000,
) -> Background:
    """Background from circular shifts of the second detector by multiples of `step` along the live time.

    Parameters
    ----------
    first, second : structured arrays of triggers
    spans : the times that count, ascending
    window : float, s, of coincidence
    step : float, s
    cluster_window : float, s
    most : int
        use no more shifts than these; they are then the multiples of a larger step

    Returns
    -------
    Background
    """
    total = sum(b - a for a, b in spans)
    n = n_shifts(total, step)
    shifts = step * np.arange(1, n + 1)
    if n > most:
        shifts = shifts[np.linspace(0, n - 1, most).astype(int)]
    u, v = live_time(first["time"], spans), live_time(second["time"], spans)
    rankings = [cluster(coincidences(first, second, u, (v + shift) % total, window), cluster_window)["ranking"] for shift in shifts]
    together = np.sort(np.concatenate(rankings)) if rankings else np.empty(0)
    return Background(together, len(shifts), len(shifts) * total)
