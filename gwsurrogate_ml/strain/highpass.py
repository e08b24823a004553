"""Data that were high-passed before they were given: what lies below holds little noise and as little signal.

Towards low frequencies the noise of every detector rises. Where a spectrum that was measured from the data falls, a filter was
there, which took from the signal what it took from the noise: a likelihood that knows the noise alone would expect a loud signal
there and not find it. Such frequencies are left out, by an infinite spectrum.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gwsurrogate_ml.strain.segment import AnalysisSegment

HIGHEST = 80.0
"""Hz below which filters are looked for."""
PER_OCTAVE = 6
FALL, LOW = 1.6, 0.1
"""Factor by which the power of two bins side by side exceeds that of a lower one where there is a filter, and the quantile of a
bin's power that stands for it. Calibration lines and bumps of a detector's own noise, as high, are one bin wide: all detectors of
19 real events but H1 of GW170608, in segments of 4 to 16 s from 10 to 38 Hz on, have 1.26 at most.
"""
CLEAR, LOSS, RISE = 1.5, 0.03, 6.0
"""Most times the frequency where the spectrum turns, from which on data are used; the share of the power that a filter may take
there; the power of the frequency with which a detector's own noise falls about it."""


def without_filtered(segment: AnalysisSegment) -> AnalysisSegment:
    """The segment with an infinite spectrum wherever the data of a detector were high-passed, and a flag that says so.

    Spectra that were given, not measured from the data, stay as they are.
    """
    psd, flags = segment.psd, list(segment.flags)
    for d, name in enumerate(segment.detectors):
        measured = any(segment.psd_segments[d : d + 1])
        if not measured or (start := clear_from(segment.frequencies[segment.mask], segment.psd[d, segment.mask])) == 0.0:
            continue
        psd = psd.copy()
        psd[d, segment.frequencies < start] = np.inf
        flags.append(
            f"filtered data: {name}'s noise falls towards low frequencies, where every detector's rises: the data were "
            f"high-passed, with the signal in them; {name} is used from {start:.0f} Hz on; give data as recorded"
        )
    return segment if psd is segment.psd else replace(segment, psd=psd, flags=tuple(flags))


def used_from(segment: AnalysisSegment) -> dict[str, float]:
    """Frequency (Hz) from which on each detector is used: the segment's, or where its spectrum ceases to be infinite."""
    frequencies, psd = segment.frequencies[segment.mask], segment.psd[:, segment.mask]
    starts = {}
    for name, row in zip(segment.detectors, psd, strict=True):
        first = int(np.argmax(np.isfinite(row)))
        starts[name] = float(frequencies[first]) if first else segment.f_min
    return starts


def clear_from(frequencies: np.ndarray, psd: np.ndarray) -> float:
    """Frequency (Hz) from which on no high-pass filter shows in a spectrum (n_f,) of the band; 0 where none does.

    Examples
    --------
    >>> f = np.arange(0.0, 500.0, 0.25)
    >>> noise = 1e-46 * (1 + (50 / np.maximum(f, 1.0)) ** 8)
    >>> clear_from(f, noise)
    0.0
    >>> 50 < clear_from(f, noise / (1 + (40 / np.maximum(f, 1.0)) ** 12)) < 80
    True
    """
    usable = (psd > 0) & np.isfinite(psd) & (frequencies > 0)
    if not usable.any() or (low := float(frequencies[usable][0])) >= HIGHEST / 2:
        return 0.0
    edges = np.geomspace(low, HIGHEST, round(PER_OCTAVE * np.log2(HIGHEST / low)) + 1)
    bins = [psd[usable & (frequencies >= a) & (frequencies < b)] for a, b in pairwise(edges)]
    levels = np.array([np.quantile(values, LOW) if values.size else np.nan for values in bins])
    # From the lower end up, or from a valley between the filter and what leaks from below.
    both = np.fmin(levels[:-1], levels[1:])
    for lowest in (0, int(np.nanargmin(levels))):
        if np.fmax.reduce(both[lowest + 1 :], initial=0.0) > FALL * levels[lowest]:
            top = lowest + int(np.nanargmax(levels[lowest:]))
            return float(_beyond(levels[: top + 1]) * np.sqrt(edges[top] * edges[top + 1]))
    return 0.0


def _beyond(levels: np.ndarray) -> float:
    """How many times the frequency of the last of `levels` (n,), where they turn, a filter takes no more than `LOSS`.

    A filter of power ``1 / (1 + (f_c / f)^s)`` takes the share ``RISE / s`` where it falls as fast as the noise rises, and far
    below lets the spectrum fall as ``s - RISE``: the steeper the fall, the nearer to the turn all is there.
    """
    apart = min(PER_OCTAVE // 2, len(levels) - 1)
    steepest = float(np.nanmax(np.log(levels[apart:] / levels[:-apart]))) / np.log(2.0 ** (apart / PER_OCTAVE))
    fall = max(steepest, 1.0)
    return min(CLEAR, (RISE / (fall * LOSS)) ** (1 / (fall + RISE)))
