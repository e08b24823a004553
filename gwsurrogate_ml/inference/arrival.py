"""Is the event where it is said to be? A coarse filter around the time given, and the prior's centre moved to what it finds.

The prior on arrival time is a tenth of a second wide, times of events are often given by hand: to the whole second, of another
detector, of the end of the ringdown. A posterior cut off by that prior looks healthy and is wrong, in the distance most of all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import maximum_filter1d

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.inference.likelihood import SegmentLikelihood
from gwsurrogate_ml.inference.search import first_templates, network_lags, snr_series

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.likelihood import WaveformModel
    from gwsurrogate_ml.inference.priors import BinaryPrior
    from gwsurrogate_ml.strain.data import StrainData
    from gwsurrogate_ml.strain.segment import AnalysisSegment

logger = logging.getLogger(__name__)

SHIFTS, HALF = (-2.0, 0.0, 2.0), 1.0
"""Seconds from the time given of the segments that are filtered, and from each one's own time within which it is asked."""
REACH = 3.0
"""Seconds around the time given within which an event is looked for: the last of these and half a segment's share."""
NEAR = 0.05
"""Seconds by which it may lie from the time given before the prior's centre moves: half of the prior's half-width."""
LOUDER = 10.0
"""Squared signal-to-noise ratio by which something outside the prior must exceed all inside: 2 log of the times tried, and room."""
UNEQUAL = 4.0
"""What one detector's squared signal-to-noise ratio may be of the others': the rest is a glitch's."""
ROUNDS = 4
_BATCH = 64


def centred(
    data: StrainData,
    options: Mapping[str, Any],
    model: WaveformModel,
    prior: BinaryPrior,
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
    prior : BinaryPrior
        whose binaries are looked for, within `REACH` of the time given as far as the data go
    seed : int
        of the templates
    require : callable
        raises where a segment cannot be analysed; asked before the work

    Returns
    -------
    data, segment
        as they were cut in the first place where the event lies within `NEAR` of the time given; where the prior would not have
        reached it, both carry a flag that says by how much the time moved
    """
    segment = data.segment(**options)
    require(segment)
    around = []
    curves = {name: (segment.frequencies, psd) for name, psd in zip(segment.detectors, segment.psd, strict=True)}
    for shift in SHIFTS:
        try:
            around.append(
                segment if shift == 0 else replace(data, gps=data.gps + shift).segment(**{**options, "psd": curves})
            )
        except DataError:  # beyond the data's ends, or in a gap
            continue
    gps = _arrival(around, data.gps, prior, model, seed)
    if gps == data.gps:
        return data, segment
    moved = replace(data, gps=gps, flags=_flags(data.flags, data.gps, gps, prior))
    return moved, moved.segment(**options)


def analysed(
    data: StrainData | AnalysisSegment,
    options: Mapping[str, Any],
    model: WaveformModel,
    prior: BinaryPrior,
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
    gps = _arrival([data], data.gps, prior, model, seed) if centre else data.gps
    return data if gps == data.gps else replace(data, gps=gps, flags=_flags(data.flags, data.gps, gps, prior))


def require_data(data: object) -> None:
    """Raise ConfigError unless `data` are StrainData or an AnalysisSegment."""
    if not hasattr(data, "segment") and not hasattr(data, "psd"):
        raise ConfigError(
            f"data are a {type(data).__name__}: give StrainData, such as StrainData.from_files, or a segment"
        )


def _flags(flags: tuple[str, ...], given: float, found: float, prior: BinaryPrior) -> tuple[str, ...]:
    """The flags, with one for a time given from which the prior would not have reached the event."""
    if abs(found - given) <= prior.time_half_width:
        return flags
    return (
        *flags,
        f"time moved: the event lies {found - given:+.2f} s from the time given, {given:.3f}; the prior on arrival time is centred "
        f"on {found:.1f} instead",
    )


def _arrival(
    segments: list[AnalysisSegment],
    gps: float,
    prior: BinaryPrior,
    model: WaveformModel,
    seed: int,
) -> float:
    """GPS time of the event; `gps` itself where that is near enough."""
    times, loudness = _loudness(segments, prior, model, seed)
    centre = gps
    for _ in range(ROUNDS):
        inside = np.abs(times - centre) <= prior.time_half_width
        if not inside.any():
            return gps
        best = int(np.argmax(np.where(inside, loudness, 0.0)))
        loudest = int(np.argmax(loudness))
        if loudness[loudest] > loudness[best] + LOUDER:
            best = loudest
        if abs(times[best] - centre) <= NEAR:
            break
        # To a tenth of a second: whatever template was loudest, the same data are cut.
        centre = float(np.round(times[best], 1))
    return centre


def _loudness(
    segments: list[AnalysisSegment], prior: BinaryPrior, model: WaveformModel, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Arrival times (n,) in GPS s at the first detector, and the largest squared network signal-to-noise ratio at each.

    Each detector's share is cut at `UNEQUAL` times the others': what one alone sees does not move the prior.
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
            total = squared.sum(axis=0)
            if len(squared) > 1:
                total = np.minimum(squared, UNEQUAL * (total - squared)).sum(axis=0)
            np.maximum(part, total.max(axis=0), out=part)
    times, loudness = [], []
    for segment, part in zip(segments, parts, strict=True):
        t = segment.start_time + np.arange(len(part)) / rate
        keep = np.abs(t - segment.gps) <= HALF
        times.append(t[keep])
        loudness.append(part[keep])
    return np.concatenate(times), np.concatenate(loudness)
