"""A signal denoised in all detectors around one time, with the noise of each: a median over all the data, the event's too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.denoise.signal.calibration import RATE
from gwsurrogate_ml.denoise.signal.denoiser import SignalDenoiser
from gwsurrogate_ml.denoise.signal.noise import FILTER, whitened
from gwsurrogate_ml.denoise.signal.segment import DURATION, Reconstruction, require_rate
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.quality import sentences

if TYPE_CHECKING:
    from gwsurrogate_ml.strain.data import StrainData

LEAD = 3.0
"""Seconds of the segment before the event."""


@dataclass(frozen=True)
class DenoisedEvent:
    """One detector's view of an event.

    Parameters
    ----------
    times : (n,) float64, s from the event's GPS time, at 1024 Hz
    white : (n,) float64, strain whitened in the denoiser's band
    result : Reconstruction, its `time` counted from the segment's start
    start_time : float, GPS s, of the segment
    flagged : bool
        what is left exceeds what noise leaves in 99 % of segments: a glitch, or a signal that the waveforms do not cover
    flags : tuple of str
        vetoes and hardware injections that touch the segment, a sentence each
    """

    times: np.ndarray
    white: np.ndarray
    result: Reconstruction
    start_time: float
    flagged: bool
    flags: tuple[str, ...] = ()


def denoise_event(denoiser: SignalDenoiser, data: StrainData, seed: int = 0) -> dict[str, DenoisedEvent]:
    """Denoise every detector's strain around ``data.gps``.

    Parameters
    ----------
    denoiser : SignalDenoiser
    data : StrainData
        at least some twenty seconds about the event, without gaps in the 6 s about it
    seed : int

    Raises
    ------
    DataError
        if the data are sampled at less than 960 Hz, the segment about the event is not in them or has a gap, or they are too
        short for a PSD
    """
    found = {}
    for detector, series in data.series.items():
        start, rate = float(series.t0.value), float(series.sample_rate.value)
        require_rate(rate, detector)
        first, size = round((data.gps - LEAD - start) * rate), round(DURATION * rate)
        margin = round(0.5 * FILTER * rate)
        if first < margin or first + size > len(series) - margin:
            raise DataError(
                f"{detector}: GPS {data.gps - LEAD - 1:.2f} to {data.gps - LEAD + DURATION + 1:.2f} is needed, the data span "
                f"{start:.2f} to {start + len(series) / rate:.2f}: read a longer file"
            )
        if not np.isfinite(series.value[first - margin : first + size + margin]).all():
            raise DataError(f"{detector}: there is a gap within {DURATION:g} s of the event: use another detector's data")
        segment = whitened(series).segment(first)
        result = denoiser.reconstruct(segment.white, segment.psd, RATE, seed=seed)
        white = denoiser.series(segment.white[None], RATE)[0]
        begin = start + first / rate
        times = begin - data.gps + np.arange(white.size) / RATE
        against = sentences([m for m in data.marks if m.detector == detector], begin, begin + DURATION)
        found[detector] = DenoisedEvent(times, white, result, begin, denoiser.flags(result), against)
    return found
