"""Energies of whitened data in tiles of time and frequency, against what the noise spectrum foretells."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import chi2

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood

TILE = 0.125
"""Length of a tile in s."""


BANDS = (20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
"""Edges of the tiles in Hz."""


FEWEST, LEAST = 8, 4
"""Tiles a band needs for its median, and bins of a tile, or half of its own, where a detector is used in part of it alone."""


@dataclass(frozen=True)
class Tiles:
    """Energies of one detector's whitened data.

    Attributes
    ----------
    times : (n_t,) float, s from the segment's start, of the tiles' beginnings
    bands : (n_b, 2) float, Hz
        lower and upper end
    ratio : (n_b, n_t) float
        energy over what the spectrum foretells
    dof : (n_b,) float
        ``ratio * dof`` is chi-squared of so many degrees of freedom in Gaussian noise
    """

    times: np.ndarray
    bands: np.ndarray
    ratio: np.ndarray
    dof: np.ndarray

    def levels(self, keep: np.ndarray) -> np.ndarray:
        """Noise's power over the spectrum's in each band (n_b,), by the median of the tiles `keep` (n_t,) or (n_b, n_t).

        One where fewer than `FEWEST` are left.
        """
        keep = np.broadcast_to(keep, self.ratio.shape)
        medians = [np.median(row[k]) if k.sum() >= FEWEST else np.nan for row, k in zip(self.ratio, keep, strict=True)]
        levels = np.array(medians) * self.dof / chi2.median(self.dof)
        return np.where(np.isfinite(levels), levels, 1.0)

    def excess(self, keep: np.ndarray) -> np.ndarray:
        """Energy of each tile (n_b, n_t) beyond the noise's, a squared signal-to-noise ratio; noise counts at its own level."""
        return np.where(keep, self.dof[:, None] * (self.ratio - np.maximum(self.levels(keep), 1.0)[:, None]), 0.0)


def tiles(likelihood: SegmentLikelihood, residual: np.ndarray, detector: int) -> Tiles:
    """Tiles of one detector's residual (n_f,), 1/Hz, without the tapered ends of the segment."""
    segment = likelihood.segment
    usable = likelihood.weight[detector] > 0
    white = segment.whitened(np.where(likelihood.weight > 0, residual, 0.0))[detector]
    rate = white.size / segment.duration
    length, edge = round(TILE * rate), round(max(segment.roll_off, TILE) * rate)
    starts = np.arange(edge, white.size - edge - length + 1, length)
    frequencies = np.fft.rfftfreq(length, 1 / rate)
    power = np.abs(np.fft.rfft([white[s : s + length] for s in starts], axis=1)) ** 2
    expected, used = usable_bins(usable, white.size, length)
    low, high = (float(likelihood.frequencies[usable][at]) for at in (0, -1))
    bands, ratio, dof = [], [], []
    for lower, upper in pairwise(BANDS):
        whole = (frequencies >= lower) & (frequencies < upper)
        bins = whole & used & (frequencies >= low) & (frequencies < high)
        # Of what is left of a band a few bins scatter too much to say anything of it.
        if bins.sum() >= max(1, min(LEAST, whole.sum() / 2)):
            bands.append((max(lower, low), min(upper, high)))
            ratio.append(power[:, bins].sum(axis=1) / expected[bins].sum())
            dof.append(2.0 * bins.sum())
    n = len(bands)
    return Tiles(starts / rate, np.array(bands).reshape(n, 2), np.array(ratio).reshape(n, len(starts)), np.array(dof))


def usable_bins(usable: np.ndarray, n: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """What a tile's periodogram has on average of unit noise in some bins of the segment, and where it says something.

    Parameters
    ----------
    usable : (n_f,) bool
        bins of the segment of `n` samples that hold noise; in the others, where a spectrum is infinite, there is nothing
    n, length : int
        samples of the segment and of a tile

    Returns
    -------
    expected : (length // 2 + 1,) float64; used : the same, bool
        bins of the tile with at least half of what full ones have: of the rest most has leaked there, and fewer than two degrees of
        freedom a bin
    """
    lags = np.fft.irfft(usable.astype(np.float64), n=n)[:length] * (length - np.arange(length))
    expected = 2 * np.fft.rfft(lags).real - lags[0]
    return expected, expected > 0.5 * length
