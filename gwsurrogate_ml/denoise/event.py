"""A signal denoised in all detectors around one time, with the noise measured off source in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.denoise.calibration import RATE, noise_segments, one_segment
from gwsurrogate_ml.denoise.signal import DURATION, SEARCH, Reconstruction, SignalDenoiser
from gwsurrogate_ml.errors import DataError

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
    """

    times: np.ndarray
    white: np.ndarray
    result: Reconstruction
    start_time: float
    flagged: bool


def denoise_event(denoiser: SignalDenoiser, data: StrainData, seed: int = 0) -> dict[str, DenoisedEvent]:
    """Denoise every detector's strain around ``data.gps``.

    Parameters
    ----------
    denoiser : SignalDenoiser
    data : StrainData
        at least some ten seconds about the event, without gaps in the 4 s about it
    seed : int

    Raises
    ------
    DataError
        if the segment about the event is not in the data or has a gap, or too little noise is left
    """
    found = {}
    for detector, series in data.series.items():
        start, rate = float(series.t0.value), float(series.sample_rate.value)
        first, size = round((data.gps - LEAD - start) * rate), round(DURATION * rate)
        if first < 0 or first + size > len(series):
            raise DataError(
                f"{detector}: GPS {data.gps - LEAD:.2f} to {data.gps - LEAD + DURATION:.2f} is needed, the data span "
                f"{start:.2f} to {start + len(series) / rate:.2f}: read a longer file"
            )
        if not np.isfinite(series.value[first : first + size]).all():
            raise DataError(
                f"{detector}: there is a gap within {DURATION:g} s of the event: use another detector's data"
            )
        event = (data.gps - LEAD + SEARCH[0], data.gps - LEAD + SEARCH[1])
        psd = noise_segments(denoiser, series, [event])[0].psd
        segment = one_segment(denoiser, series, first, psd)
        result = denoiser.reconstruct(segment.white, psd, RATE, seed=seed)
        white = denoiser.series(segment.white[None], RATE)[0]
        begin = start + first / rate
        times = begin - data.gps + np.arange(white.size) / RATE
        found[detector] = DenoisedEvent(times, white, result, begin, result.ood > denoiser.card["ood_threshold"])
    return found
