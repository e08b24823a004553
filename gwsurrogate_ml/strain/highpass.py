"""Data that were high-passed before they were given: what lies below holds little noise and as little signal.

Towards low frequencies the noise of every detector rises. Where a spectrum that was measured from the data falls, a filter was
there, which took from the signal what it took from the noise: a likelihood that knows the noise alone would expect a loud signal
there and not find it.

Signal and noise are still there in the same proportion, and the filters of the field (LAL's, PyCBC's, gwpy's) change no phase.
How much was taken is what the noise lacks against a spectrum that was given for it, or, for a LIGO detector, against the noise of
another one, scaled to it above the filter. Two of them rise alike to within 10 to 40 % of the amplitude (zero-phase filters put on
ten real events), the level of calibration errors as far as distances go, and phases are those of the signal. Data and spectrum are
divided by that, down to where little is left; below, and where nothing says what was there, they are left out, by an infinite
spectrum.
"""

from __future__ import annotations

from collections.abc import Sequence
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


ALIKE = frozenset({"H1", "L1", "A1"})
"""Detectors whose noise rises alike."""
FAINTEST = 0.3
"""Share of the amplitude below which what a filter left is not used: the less is left, the less certain it is."""
SIMILAR = 0.35
"""Largest scatter of the log of the ratio of two detectors' spectra above the filter with which one says what the other lacks."""
SMOOTH, COMPARED = 1.08, 2.5
"""Factor on the frequency to either side within which the median of that ratio is taken, and on that from which on the data are as
recorded up to which the two are compared."""


def without_filtered(segment: AnalysisSegment, measured: Sequence[np.ndarray | None]) -> AnalysisSegment:
    """The segment with the filter undone where the data of a detector were high-passed, an infinite spectrum where that cannot be,
    and a flag that says so.

    Parameters
    ----------
    segment : AnalysisSegment
    measured : sequence of (n_f,) float64 or None, length n_det
        spectra of the data, whether these or others are the segment's; None where they are too short for one
    """
    frequencies, band = segment.frequencies, segment.mask
    starts = [0.0 if own is None else clear_from(frequencies[band], own[band]) for own in measured]
    if not any(starts):
        return segment
    strain, psd, flags = segment.strain.copy(), segment.psd.copy(), list(segment.flags)
    for d, (name, start, own) in enumerate(zip(segment.detectors, starts, measured, strict=True)):
        if not start or own is None:
            continue
        # A spectrum that does not fall knows the noise before the filter.
        given = clear_from(frequencies[band], psd[d, band]) == 0.0
        known = {"the spectrum given": psd[d]}
        if not given:
            whole = [k for k, other in enumerate(measured) if other is not None and not starts[k]]
            alike = [k for k in whole if {name, segment.detectors[k]} <= ALIKE]
            known = {f"{segment.detectors[k]}'s noise": segment.psd[k] for k in alike}
        left, said = np.where(frequencies < start, 0.0, 1.0), ""
        for source, spectrum in known.items():
            found, scatter = _left(frequencies, own, spectrum, band, start)
            if scatter < SIMILAR:
                left, said = np.where(frequencies < start, found, 1.0), source
                break
        used = left >= FAINTEST
        lowest = float(np.min(frequencies[band & used], initial=start))
        strain[d, used] /= left[used]
        if not given:
            psd[d, used] /= left[used] ** 2
        psd[d, ~used] = np.inf
        how = f"by {said}, and as if the filter had changed no phase" + (
            "" if given else "; amplitudes there are good to 10 to 40 %"
        )
        undone = f"that is undone from {lowest:.0f} to {start:.0f} Hz, {how}; " if said and lowest < start else ""
        flags.append(
            f"filtered data: {name}'s noise falls towards low frequencies, where every detector's rises: the data were "
            f"high-passed, with the signal in them; {undone}{name} is used from {lowest:.0f} Hz on; give data as recorded"
        )
    return replace(segment, strain=strain, psd=psd, flags=tuple(flags), filtered_below=tuple(starts))


def _left(f: np.ndarray, psd: np.ndarray, other: np.ndarray, band: np.ndarray, start: float) -> tuple[np.ndarray, float]:
    """Share (n_f,) of the amplitude that a high-pass filter left of a detector's data, by the spectrum of another one, 0 outside
    the band; and how unlike the two are from `start` (Hz) on, the standard deviation of the log of their ratio."""
    usable = band & np.isfinite(psd) & np.isfinite(other) & (psd > 0) & (other > 0) & (f <= COMPARED * start)
    at, ratio = f[usable], np.log(psd[usable] / other[usable])
    low, high = np.searchsorted(at, at / SMOOTH), np.searchsorted(at, at * SMOOTH, side="right")
    level = np.array([np.median(ratio[a:b]) for a, b in zip(low, high, strict=True)])
    above = level[at >= start]
    # At the lower end, where the median would be of one side alone, a steep filter left less than it says.
    below = (at < start) & (at >= SMOOTH * at[0]) if at.size else np.zeros(0, bool)
    if not above.size or not below.any():
        return np.zeros(len(f)), np.inf
    # The less the lower: a high-pass filter does not rise towards low frequencies.
    lost = np.minimum.accumulate(np.minimum(level[below] - np.median(above), 0.0)[::-1])[::-1]
    return np.interp(f, at[below], np.exp(0.5 * lost), left=0.0, right=1.0), float(above.std())


def unfiltered_from(segment: AnalysisSegment) -> dict[str, float]:
    """Frequency (Hz) from which on each detector's data are as recorded: the segment's lowest, or where a filter ends."""
    return {name: max(segment.f_min, *segment.filtered_below[d : d + 1], 0.0) for d, name in enumerate(segment.detectors)}


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
