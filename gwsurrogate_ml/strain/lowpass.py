"""Data that were low-passed before they were given: by a band-pass, or by a decimation's filter that begins early.

Towards high frequencies the noise of every detector rises, or falls gently. Where a spectrum that was measured from the data falls
steeply to the end of the band, a filter was there, which took from the signal what it took from the noise: a likelihood that knows
the noise alone would expect the signal whole and find it too quiet. Beyond where the filter begins the data are left out.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.ndimage import median_filter

LOWEST = 100.0
"""Hz above which filters are looked for."""
PER_OCTAVE, BEHIND, LINES = 24, 3, 5
"""Bins, so many bins below one that are looked at, since the median of one scatters, and of how many a median is taken."""
STEEP, FALL = 1.22, 4.0
"""Factor on the power, over `BEHIND` bins, from which on it falls as no detector's noise does, as f^-2.3; and the one by which it
falls in all where there is a filter."""
RISE, LOSS, CLEAR = 3.5, 0.03, 1.5
"""Power of the frequency by which the filter falls where that is seen; the share of the power that it may take where data are used;
most times lower than seen that this is."""


def clear_to(frequencies: np.ndarray, psd: np.ndarray) -> float:
    """Frequency (Hz) up to which no low-pass filter shows in a spectrum (n_f,) of the band; inf where none does.

    Examples
    --------
    >>> f = np.arange(0.0, 500.0, 0.25)
    >>> noise = 1e-46 * (1 + (50 / np.maximum(f, 1.0)) ** 8 + (f / 200) ** 2)
    >>> clear_to(f, noise)
    inf
    >>> 150 < clear_to(f, noise / (1 + (f / 300) ** 8) ** 2) < 200  # where that takes 0.8 and 8 %
    True
    """
    usable = (psd > 0) & np.isfinite(psd) & (frequencies >= LOWEST)
    if not usable.any() or (high := float(frequencies[usable][-1])) < 1.5 * LOWEST:
        return np.inf
    edges = np.geomspace(LOWEST, high * (1 + 1e-9), round(PER_OCTAVE * np.log2(high / LOWEST)) + 1)
    bins = [psd[usable & (frequencies >= a) & (frequencies < b)] for a, b in pairwise(edges)]
    filled = [k for k, values in enumerate(bins) if values.size]
    # Lines as wide as a bin, such as those of Virgo's suspension, are no fall.
    levels, lower = median_filter([np.median(bins[k]) for k in filled], LINES, mode="nearest"), edges[filled]
    top = len(levels) - 1
    while top >= BEHIND and levels[top - BEHIND : top].max() > STEEP * levels[top]:
        top -= 1
    # Noise that falls all the way, as GEO 600's does to some 500 Hz, is a detector's own.
    if top < BEHIND or levels[top] < FALL * levels[-1]:
        return np.inf
    apart = min(PER_OCTAVE // 4, len(levels) - 1 - max(top - BEHIND, 0))
    behind = levels[max(top - BEHIND, 0) :]
    fall = float(np.log(behind[:-apart] / behind[apart:]).max()) / np.log(2.0 ** (apart / PER_OCTAVE))
    return float(lower[top] / np.clip((RISE / (fall * LOSS)) ** (2 / fall), 1.0, CLEAR))
