"""Stretches of one detector's strain joined in time: several files, the frames of one, the groups of a mock challenge."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.quality import Mark

logger = logging.getLogger(__name__)

NEAR = 2048.0
"""Seconds on either side of an event from which strain is kept, of longer series of files: what any spectrum needs, and more."""
LARGEST = 2**31
"""Samples of one series, at most: 16 GiB."""


@dataclass(frozen=True, eq=False)
class Stretch:
    """Strain without a break.

    Attributes
    ----------
    strain : (n,) float64, gaps as NaN
    start : float, GPS s
    rate : float, Hz
    where : str
        the file, for messages
    marks : tuple of Mark
    """

    strain: np.ndarray
    start: float
    rate: float
    where: str
    marks: tuple[Mark, ...] = ()

    @property
    def end(self) -> float:
        """GPS time (s) at which the next sample would be."""
        return self.start + self.strain.size / self.rate


def near(spans: Sequence[tuple[float, float]], gps: float | None) -> list[int]:
    """Which of the spans (start, end) lie within `NEAR` of `gps`, or the nearest where none does; all where there is no `gps`.

    Examples
    --------
    >>> near([(0.0, 10.0), (5000.0, 5010.0)], 8.0), near([(0.0, 10.0), (5000.0, 5010.0)], None)
    ([0], [0, 1])
    """
    if gps is None:
        return list(range(len(spans)))
    away = [max(start - gps, gps - end, 0.0) for start, end in spans]
    return [i for i, distance in enumerate(away) if distance <= NEAR] or [int(np.argmin(away))]


def joined(stretches: Sequence[Stretch], detector: str, gps: float | None = None) -> Stretch:
    """One stretch of several, in order of time, NaN where none has data; each gap between them is logged as a warning.

    Parameters
    ----------
    stretches : sequence of Stretch
        of one rate and one grid of samples, in any order; where two overlap, they must agree
    detector : str
        for messages
    gps : float, GPS s, optional
        stretches further than `NEAR` from it are left out

    Raises
    ------
    DataError
        if rates or grids differ, two stretches contradict each other, or all together are too long

    Examples
    --------
    >>> one, two = (Stretch(np.ones(4), start, 2.0, f"{start:g}") for start in (10.0, 13.0))
    >>> joined([two, one], "H1").strain
    array([ 1.,  1.,  1.,  1., nan, nan,  1.,  1.,  1.,  1.])
    """
    kept = [stretches[i] for i in near([(s.start, s.end) for s in stretches], gps)]
    kept.sort(key=lambda s: s.start)
    if len(kept) == 1:
        return kept[0]
    first, rate = kept[0], kept[0].rate
    for one in kept:
        if abs(one.rate - rate) > 1e-6 * rate:
            raise DataError(
                f"{detector}: {first.where} has {rate:g} Hz and {one.where} {one.rate:g} Hz: files that are joined need one rate; "
                "give those of one"
            )
        offset = (one.start - first.start) * rate
        if abs(offset - round(offset)) > 0.05:
            raise DataError(
                f"{detector}: the samples of {one.where} lie {offset - round(offset):+.2f} of a sample off those of {first.where}: "
                "such files cannot be joined; give one of them"
            )
    end = max(s.end for s in kept)
    size = round((end - first.start) * rate)
    if size > LARGEST:
        raise DataError(
            f"{detector}: the files span {(end - first.start) / 3600:.1f} h, {size:.2g} samples: give those around the event, or "
            "fewer at once"
        )
    strain = np.full(size, np.nan)
    covered = first.start
    last = first
    for one in kept:
        if one.start - covered > 0.5 / rate:
            logger.warning(
                "%s: no data from GPS %.3f to %.3f (%.3g s), between %s and %s: a gap",
                detector, covered, one.start, one.start - covered, last.where, one.where,
            )  # fmt: skip
        begin = round((one.start - first.start) * rate)
        place = strain[begin : begin + one.strain.size]
        both = np.isfinite(place) & np.isfinite(one.strain)
        if both.any() and not np.allclose(place[both], one.strain[both], rtol=1e-6, atol=0.0):
            raise DataError(
                f"{detector}: {one.where} and the files before it hold different samples for the same times, from GPS "
                f"{one.start:.3f} on: give one of them"
            )
        np.copyto(place, one.strain, where=np.isfinite(one.strain))
        if one.end > covered:
            covered, last = one.end, one
    where = f"{first.where} and {len(kept) - 1} more"
    return Stretch(strain, first.start, rate, where, tuple(dict.fromkeys(mark for one in kept for mark in one.marks)))
