"""Is the event where it is said to be? A coarse filter around the time given, and the prior's centre moved to what it finds.

The prior on arrival time is a tenth of a second wide, times of events are often given by hand: to the whole second, of another
detector, of the end of the ringdown. A posterior cut off by that prior looks healthy and is wrong, in the distance most of all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import maximum_filter1d

from gwsurrogate_ml.errors import ConfigError, DataError, DomainError
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import first_templates, loudest, network_lags, snr_series
from gwsurrogate_ml.strain.segment import NO_WEIGHT

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.prior.composition import Prior
    from gwsurrogate_ml.strain.data import StrainData
    from gwsurrogate_ml.strain.segment import AnalysisSegment
    from gwsurrogate_ml.waveform.model import WaveformModel

logger = logging.getLogger(__name__)

SHIFTS, HALF = (-2.0, 0.0, 2.0), 1.0
"""Seconds from the time given of the segments that are filtered, and from each one's own time within which it is asked."""
REACH = 3.0
"""Seconds around the time given within which an event is looked for: the last of these and half a segment's share."""
GRID = 0.1
"""Seconds: the prior's centre is a multiple of this, but for narrower ones (`_narrow`). Whatever time was given and whatever
template was loudest, the same data are cut."""
EARTH, NEAR = 0.0213, 0.03
"""Light seconds from the geocentre to a detector; with what the loudest of few templates may be off the time, how well it tells
that at the geocentre."""
LOUDER = 10.0
"""Squared signal-to-noise ratio by which something outside the prior must exceed all inside: 2 log of the times tried, and room."""
UNEQUAL = 4.0
"""What one detector's squared signal-to-noise ratio may be of the largest of the others': the rest is a glitch's."""
ROUNDS = 3
_BATCH = 64


def centred(
    data: StrainData,
    options: Mapping[str, Any],
    model: WaveformModel,
    prior: Prior,
    seed: int = 0,
    require: Callable[[AnalysisSegment], None] = lambda segment: None,
) -> tuple[StrainData, AnalysisSegment]:
    """The data with their time moved to where the event is, and the segment cut around it.

    Parameters
    ----------
    data : StrainData
    options : mapping
        of `StrainData.segment`
    model : WaveformModel
    prior : Prior
        whose binaries are looked for, within `REACH` of the time given as far as the data go
    seed : int
        of the templates
    require : callable
        raises where a segment cannot be analysed; asked before the work

    Returns
    -------
    data, segment
        about the time on the `GRID` next to the event; where the prior about the time given would not have reached it, both carry a
        flag that says by how much the time moved
    """
    segment = data.segment(**options)
    require(segment)
    # Curves that are given are finite.
    finite = np.where(np.isfinite(segment.psd), segment.psd, NO_WEIGHT)
    curves = {name: (segment.frequencies, psd) for name, psd in zip(segment.detectors, finite, strict=True)}

    def at(gps: float) -> AnalysisSegment | None:
        try:
            return segment if gps == data.gps else replace(data, gps=gps).segment(**{**options, "psd": curves})
        except DataError:  # beyond the data's ends, or in a gap: the event may still lie in the segment that is there
            return _renamed(segment, gps)

    gps, missed = _arrival(at, data.gps, prior, model, seed)
    if gps == data.gps:
        return data, segment
    moved = replace(data, gps=gps, flags=_flags(data.flags, data.gps, gps, missed))
    try:
        return moved, moved.segment(**options)
    except DataError:
        return moved, replace(segment, gps=gps, flags=_flags(segment.flags, data.gps, gps, missed))


def analysed(
    data: StrainData | AnalysisSegment,
    options: Mapping[str, Any],
    model: WaveformModel,
    prior: Prior,
    seed: int,
    require: Callable[[AnalysisSegment], None],
    centre: bool,
) -> AnalysisSegment:
    """The segment that is analysed: `data` as they are given, or cut, and centred on the event where `centre` asks for it.

    A segment that is given cannot be cut anew: its nominal time alone moves, by a second at most.

    Parameters
    ----------
    data, options, model, prior, seed, require : as for `centred`
    centre : bool
        False: the time given is taken as it is

    Raises
    ------
    ConfigError
        if `data` are neither StrainData nor a segment
    """
    from gwsurrogate_ml.strain.segment import AnalysisSegment

    if not isinstance(data, AnalysisSegment):
        if centre:
            return centred(data, options, model, prior, seed, require)[1]
        data = data.segment(**options)
    require(data)
    if not centre:
        return data
    gps, missed = _arrival(partial(_renamed, data), data.gps, prior, model, seed)
    return data if gps == data.gps else replace(data, gps=gps, flags=_flags(data.flags, data.gps, gps, missed))


def _renamed(segment: AnalysisSegment, gps: float) -> AnalysisSegment | None:
    """The same data with another nominal time, `HALF` a second off at most."""
    return replace(segment, gps=gps) if abs(gps - segment.gps) <= HALF else None


def require_data(data: object) -> None:
    """Raise ConfigError unless `data` are StrainData or an AnalysisSegment."""
    if not hasattr(data, "segment") and not hasattr(data, "psd"):
        raise ConfigError(f"data are a {type(data).__name__}: give StrainData, such as StrainData.from_files, or a segment")


def _flags(flags: tuple[str, ...], given: float, found: float, missed: bool) -> tuple[str, ...]:
    """The flags, with one for a time given from which the prior would have `missed` the event."""
    if not missed:
        return flags
    return (
        *flags,
        f"time moved: the loudest signal about the time given, {given:.3f}, lies {found - given:+.2f} s from it; the prior on "
        f"arrival time is centred on {found:.{1 if round(found, 6) == round(found, 1) else 3}f} instead",
    )


def _arrival(
    at: Callable[[float], AnalysisSegment | None], gps: float, prior: Prior, model: WaveformModel, seed: int
) -> tuple[float, bool]:
    """GPS time of the event, on the grid; and whether the prior about `gps` would have missed it, or cut it off.

    Parameters
    ----------
    at : callable
        the segment with another nominal time, or None where there is none
    """
    half_width = prior.time_half_width

    def on_grid(time: float) -> float:
        return float(np.round(np.round(time / GRID) * GRID, 6))

    def loudest_about(centre: float, half_width: float = half_width) -> tuple[float, float] | None:
        """Time and shared loudness of the loudest template."""
        segment = at(centre)
        if segment is None:
            return None
        *_, times, snr = loudest(SegmentLikelihood(segment, model), prior, seed, half_width, combine=shared)
        return segment.start_time + float(np.mean(times)), float(shared(snr**2))

    here = loudest_about(gps)
    assert here is not None
    centre, (time, loud) = gps, here
    around = [segment for shift in SHIFTS if (segment := at(gps + shift)) is not None]
    times, loudness = _loudness(around, prior, model, seed)
    elsewhere = np.where(np.abs(times - gps) > half_width, loudness, 0.0)
    candidate = float(times[int(np.argmax(elsewhere))])
    if half_width >= GRID:
        candidate = on_grid(candidate)
    # The bank's time is that of one template of few, its loudness that of the luckiest: both are asked again.
    there = loudest_about(candidate) if elsewhere.max() > loud + LOUDER else None
    if there is not None and there[1] > loud + LOUDER:
        centre, (time, loud) = candidate, there
    if half_width < GRID:
        return _narrow(gps, time, half_width)
    for _ in range(ROUNDS):
        new = on_grid(time)
        if new == centre:
            break
        found = loudest_about(new)
        if found is None:
            break
        if abs(time - centre) > GRID / 2:
            # What lies towards the rim may be a glitch's: it must be louder than what lies near the middle.
            close = loudest_about(centre, GRID / 2)
            if close is None or found[1] <= close[1]:
                break
        centre, (time, loud) = new, found
    # The detectors see it up to an Earth's radius from the geocentre, whose time the prior is on.
    return centre, centre != gps and abs(time - gps) > max(half_width - EARTH, GRID / 2)


def _narrow(gps: float, time: float, half_width: float) -> tuple[float, bool]:
    """As `_arrival`, of a prior narrower than the grid, where the loudest signal arrives at the detectors at `time`.

    So narrow a prior is meant where it is, as long as the event may lie in it: templates tell the geocentre's time to `NEAR`.
    """
    if abs(time - gps) <= max(half_width - NEAR, NEAR):
        return gps, False
    if half_width < NEAR:
        raise DomainError(
            f"the loudest signal about the time given, {gps:.3f}, arrives {time - gps:+.3f} s from it, outside a prior on arrival "
            f"time of {half_width:g} s to either side; {NEAR:g} s are as well as its time at the geocentre is known before the "
            "analysis: give the event's own time, a wider prior, or SamplingOptions(centre_time=False), which takes it as it is"
        )
    return round(time, 3), True


def shared(squared: np.ndarray) -> np.ndarray:
    """Sum over detectors of squared signal-to-noise ratios (n_det, ...), each cut at `UNEQUAL` times the largest of the others."""
    if len(squared) < 2:
        return squared.sum(axis=0)
    second, first = np.sort(squared, axis=0)[-2:]
    return np.minimum(squared, UNEQUAL * np.where(squared == first, second, first)).sum(axis=0)


def _loudness(segments: list[AnalysisSegment], prior: Prior, model: WaveformModel, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Arrival times (n,) in GPS s at the first detector, and the largest squared network signal-to-noise ratio at each.

    What one detector alone sees does not count, see `shared`.
    """
    likelihoods = [SegmentLikelihood(segment, model) for segment in segments]
    rate = 2 * float(likelihoods[0].frequencies[-1])
    lags = network_lags(likelihoods[0], rate)
    theta = first_templates(prior, seed)
    parts = [np.zeros(round(rate * segments[0].duration)) for _ in segments]
    for start in range(0, len(theta), _BATCH):
        h = likelihoods[0].waveforms(theta[start : start + _BATCH])
        for likelihood, part in zip(likelihoods, parts, strict=True):
            squared = np.stack([np.abs(row) ** 2 for row in snr_series(likelihood, h, rate)])
            for d, lag in enumerate(lags):
                if lag:
                    squared[d] = maximum_filter1d(squared[d], 2 * lag + 1, axis=1, mode="constant")
            np.maximum(part, shared(squared).max(axis=0), out=part)
    times, loudness = [], []
    for segment, part in zip(segments, parts, strict=True):
        t = segment.start_time + np.arange(len(part)) / rate
        keep = np.abs(t - segment.gps) <= HALF
        times.append(t[keep])
        loudness.append(part[keep])
    return np.concatenate(times), np.concatenate(loudness)
