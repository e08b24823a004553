"""Any signal denoiser as a stream, segment by segment: state in, state out, and the same numbers as over the series at once.

Segments of 4 s follow each other by the width of their search interval; a sample comes out once no later segment reaches it. A
peak at the seam of two search intervals is seen by both segments: it is left to the one that makes more of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.denoise.signal.segment import DURATION, SEARCH, Reconstruction, one_peak, undecided
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.spectrum import PsdSource

if TYPE_CHECKING:
    from gwsurrogate_ml.denoise.signal.denoiser import SignalDenoiser


@dataclass(frozen=True)
class SegmentState:
    """Everything the stream remembers.

    Parameters
    ----------
    next_time : float, GPS s, of the first sample of the next frame
    sampling_frequency : float, Hz
    psd : (n_f,) float64, on the denoiser's frequencies
    white : (n,) float64, samples from the start of the next segment on
    signal, variance : (n,) float64, what segments before the last one found in them
    skip : int, samples at the start that stand for the time before the stream
    last : Reconstruction of the last segment, which the next one may yet take the place of
    """

    next_time: float
    sampling_frequency: float
    psd: np.ndarray
    white: np.ndarray
    signal: np.ndarray
    variance: np.ndarray
    skip: int
    last: Reconstruction


@dataclass(frozen=True)
class SegmentFrame:
    """A stretch of recovered signal.

    Parameters
    ----------
    signal, sigma : (n,) float64, whitened; n may be zero
    start_time : float, GPS s
    found : reconstructions of the segments decided in this step: where the peak is near the next segment's, when that one is done.
        Of two segments that see one peak the lesser has probability and signal 0
    found_at : when these segments began, GPS s
    """

    signal: np.ndarray
    sigma: np.ndarray
    start_time: float
    found: tuple[Reconstruction, ...]
    found_at: tuple[float, ...]


def start(denoiser: SignalDenoiser, time: float, sampling_frequency: float, psd: PsdSource | None = None) -> SegmentState:
    """State of a stream that begins at `time` (GPS s); `psd` is that of the whitening, a design curve by default.

    Raises
    ------
    DataError
        if the PSD does not cover the denoiser's band
    """
    before = round(SEARCH[0] * sampling_frequency)
    nothing, silent = np.zeros(before), np.zeros(round(DURATION * sampling_frequency))
    last = Reconstruction(silent, silent, 0.0, 0.0, 0.0, 0.0, 0.0)
    return SegmentState(float(time), float(sampling_frequency), denoiser._psd(psd), nothing, nothing, nothing, before, last)


def step(
    denoiser: SignalDenoiser, state: SegmentState, white: np.ndarray, end: bool = False, seed: int = 0
) -> tuple[SegmentState, SegmentFrame]:
    """Take in a frame of whitened strain and give out what is final; at the `end` all the rest.

    Parameters
    ----------
    denoiser : SignalDenoiser
    state : SegmentState, from `start` or the step before
    white : (n,) float64, unit variance, without gaps
    end : bool
        nothing follows
    seed : int, of the draws behind sigma

    Returns
    -------
    The next state, and a SegmentFrame that lags by up to 4 s

    Raises
    ------
    DataError
        if the frame holds NaN or infinite samples
    """
    white = np.asarray(white, np.float64)
    if white.ndim != 1 or not np.isfinite(white).all():
        raise DataError("the frame of whitened strain is not a row of finite numbers: end the stream before a gap")
    rate = state.sampling_frequency
    size, hop = round(DURATION * rate), round((SEARCH[1] - SEARCH[0]) * rate)
    before = round(SEARCH[0] * rate)
    nothing = np.zeros(white.size)
    rows = np.stack(
        [np.concatenate([old, new]) for old, new in zip(
            (state.white, state.signal, state.variance), (white, nothing, nothing), strict=True)]
    )  # fmt: skip
    at = state.next_time - state.white.size / rate  # time of the first sample of the rows
    real, last = rows.shape[1], state.last
    if end:
        rows = np.concatenate([rows, np.zeros((3, size))], axis=1)
    position = 0
    done: list[np.ndarray] = []
    found: list[Reconstruction] = []
    begins: list[float] = []

    def settle(last: Reconstruction) -> None:
        """Add what the last segment found in the samples from `position` on."""
        part = slice(position, position + size - hop)
        rows[1, part] += last.signal[hop:]
        rows[2, part] += last.sigma[hop:] ** 2
        if undecided(last.time):
            found.append(last)
            begins.append(at + (position - hop) / rate)

    # At the end segments go on while they begin before the last sample, shifted by the silence before the first.
    while position + size <= rows.shape[1] and not (end and position >= real - before):
        part = slice(position, position + size)
        one = denoiser.reconstruct(denoiser.transform(rows[0, part], rate), state.psd, rate, seed=seed)
        if one_peak(last.time, one.time):
            if one.probability * one.snr > last.probability * last.snr:
                last = _nothing_of(last)
            else:
                one = _nothing_of(one)
        settle(last)
        if not undecided(one.time):
            found.append(one)
            begins.append(at + position / rate)
        rows[1, position : position + hop] += one.signal[:hop]
        rows[2, position : position + hop] += one.sigma[:hop] ** 2
        done.append(rows[1:, position : position + hop].copy())
        position += hop
        last = one
    if end:
        settle(last)
        done.append(rows[1:, position:].copy())
    out = np.concatenate(done, axis=1) if done else np.zeros((2, 0))
    out = out[:, :real] if end else out
    skip = min(state.skip, out.shape[1])
    frame = SegmentFrame(out[0, skip:], np.sqrt(out[1, skip:]), at + state.skip / rate, tuple(found), tuple(begins))
    rest = rows[:, position:real]
    new = replace(
        state,
        next_time=state.next_time + white.size / rate,
        white=rest[0],
        signal=rest[1],
        variance=rest[2],
        skip=state.skip - skip,
        last=last,
    )
    return new, frame


def _nothing_of(one: Reconstruction) -> Reconstruction:
    """The reconstruction of a segment whose peak is another segment's."""
    silent = np.zeros_like(one.signal)
    return replace(one, signal=silent, sigma=silent, probability=0.0)
