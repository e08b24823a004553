"""Bands that were cut out of data before they were given: a notch takes from the signal what it takes from the noise.

A spectrum measured from such data is almost nothing there, and a likelihood that believes it gives most of its weight to a band in
which neither signal nor noise is left. Lines stand above the noise about them; nothing in a detector makes it fall far below.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.ndimage import percentile_filter, uniform_filter1d

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.spectrum import off_source_psd

AROUND, SHARE = 12.0, 25.0
"""Hz on either side that say how loud the noise is, and the percentage of their bins below the level taken: lines are not noise."""
AWAY, BELOW = (0.0, 8.0, 16.0, 32.0), 4.0
"""Hz from a bin to where these begin, the loudest counts: a wide notch is seen from outside. Hz below the band that are looked at:
below a high-pass filter's corner there may be all kinds of things."""
DEEP, EDGE = 0.1, 0.5
"""Power in units of that level below which there is a notch, and below which it still goes on."""
LENGTH, FEWEST = 4.0, 5
"""Length of one periodogram (s), and how many are needed to tell."""
WIDTH = 3
"""Bins that must be low together: few periodograms scatter."""


def notches(frequencies: np.ndarray, psd: np.ndarray, f_min: float, f_max: float) -> list[tuple[float, float]]:
    """Bands (low, high) in Hz, between f_min and f_max, where a spectrum falls far below what is on both sides, and a bin more.

    A fall that does not rise again within the spectrum is none, and none is found that is wider than the farthest `AWAY`.

    Parameters
    ----------
    frequencies : (n,) Hz, evenly spaced; psd : (n,) 1/Hz

    Examples
    --------
    >>> f = np.arange(0.0, 500.0, 0.25)
    >>> psd = np.where((f > 93) & (f < 95), 1e-49, 1e-46)
    >>> notches(f, psd, 20.0, 480.0)
    [(93.0, 95.0)]
    >>> notches(f, np.where(np.abs(f - 60) < 1, 1e-42, 1e-46), 20.0, 480.0)
    []
    """
    step = float(frequencies[1] - frequencies[0])
    near = (frequencies >= f_min - BELOW) & (frequencies <= f_max + AWAY[-1] + AROUND)
    f, power = frequencies[near], psd[near]
    if len(f) < 2 * WIDTH:
        return []
    whole = round(AROUND / step)
    around = percentile_filter(power, SHARE, size=2 * (whole // 2) + 1, mode="nearest")
    left, right, at = np.zeros(len(f)), np.zeros(len(f)), np.arange(len(f))
    for away in AWAY:
        shift = round(away / step) + whole // 2
        left = np.maximum(left, around[np.maximum(at - shift, 0)])
        right = np.maximum(right, around[np.minimum(at + shift, len(f) - 1)])
    level = np.minimum(left, right)
    deep = uniform_filter1d(power, WIDTH, mode="nearest") < DEEP * level
    low = power < EDGE * level
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (low | deep).astype(int), [0]])))
    bands = [(float(f[a]) - step, float(f[b - 1]) + step) for a, b in list(pairwise(edges))[::2] if deep[a:b].any()]
    return [(max(low, f_min), min(high, f_max)) for low, high in bands if high > f_min and low < f_max]


def notched(
    strain: np.ndarray, rate: float, start: float, middle: float, span: float, f_min: float, f_max: float
) -> list[tuple[float, float]]:
    """`notches` of strain (n,) sampled at `rate` Hz from GPS `start` on, within half of `span` s of `middle`; none where that is
    too short to tell."""
    try:
        frequencies, psd, _ = off_source_psd(
            np.asarray(strain), rate, start, exclude=(middle, middle), segment_duration=LENGTH, span=span, at_least=FEWEST
        )
    except DataError:
        return []
    return notches(frequencies, psd, f_min, f_max)


def without(bands: list[tuple[float, float]], frequencies: np.ndarray, psd: np.ndarray) -> np.ndarray:
    """The spectrum (n,) with no weight, an infinite value, in bands."""
    out = np.array(psd)
    for low, high in bands:
        out[(frequencies >= low) & (frequencies <= high)] = np.inf
    return out


def named(bands: list[tuple[float, float]]) -> str:
    """Bands for a message.

    Examples
    --------
    >>> named([(93.0, 95.0), (114.25, 116.75)])
    '93 to 95 and 114.2 to 116.8 Hz'
    """
    return " and ".join(f"{low:.4g} to {high:.4g}" for low, high in bands) + " Hz"
