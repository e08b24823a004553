"""Signals from whitened strain as a stream: frames in, frames out a fixed delay later, by ONNX Runtime on one core.

State in, state out: nothing is hidden in the stream. Segments follow each other by the width of their search interval from the
stream's start on, so that what comes out does not depend on how the data were cut into frames, and equals the denoiser's own
answer over the whole series. A peak at the seam of two search intervals is left to the segment that makes more of it. Around gaps
nothing can be said: the strain passes through, signal and sigma are NaN, and the samples are flagged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gwsurrogate_ml import onnx_file
from gwsurrogate_ml.denoise.signal.denoiser import REFERENCE
from gwsurrogate_ml.denoise.signal.segment import frequencies, one_peak, peak_time, undecided
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.spectrum import PsdSource, load_psd

MAX_GAP = 60.0
"""A dropped stretch up to this long (s) is passed over as a gap."""


@dataclass(frozen=True)
class Found:
    """What was found in one segment.

    Parameters
    ----------
    start_time : float, GPS s
    time : float, s from the segment's start, of the signal's peak
    probability : float, that a signal peaks in the segment's search interval; 0 where another segment makes more of the peak
    snr : float, of the data along the reconstruction
    """

    start_time: float
    time: float
    probability: float
    snr: float


@dataclass(frozen=True)
class SignalState:
    """Everything a stream remembers; made by `SignalStream.start`, replaced by every step.

    Parameters
    ----------
    next_time : float, GPS s, of the first sample of the next frame
    weight : (n_f,) float32, 1 / sqrt(psd) of the whitening, 1 at its largest
    white : (delay,) float32, the latest samples, NaN where there were none
    found : (2, delay) float32, signal and variance that segments before the last one found in them
    valid : (delay,) bool, false where a segment could not be looked at
    due : int, where in these samples, or after them, the next segment begins
    last : Found or None, of the last segment, which the next one may yet take the place of
    tail : (2, delay - hop) float32, signal and variance of that segment from `due` on
    """

    next_time: float
    weight: np.ndarray
    white: np.ndarray
    found: np.ndarray
    valid: np.ndarray
    due: int
    last: Found | None
    tail: np.ndarray


@dataclass(frozen=True)
class SignalFrame:
    """A stretch of a denoised stream.

    Parameters
    ----------
    start_time : float, GPS s
    white : (n,) float32, the strain as it came in, gaps included
    signal, sigma : (n,) float32, NaN where not valid
    valid : (n,) bool
    found : the segments decided in this step, up to the frame that came in: what is found is said before the signal is out, of a
        peak near the next segment's search interval once that one is done
    model : str, name and version
    """

    start_time: float
    white: np.ndarray
    signal: np.ndarray
    sigma: np.ndarray
    valid: np.ndarray
    found: tuple[Found, ...]
    model: str


class SignalStream:
    """A denoiser that `export_onnx` wrote, run as a stream.

    Parameters
    ----------
    path : str or Path, .onnx

    Attributes
    ----------
    sampling_frequency : float, Hz
    delay : int, samples by which the output lags: one segment
    hop : int, samples from segment to segment

    Raises
    ------
    ConfigError
        without ONNX Runtime
    ArtifactError
        if the file is no exported denoiser
    """

    def __init__(self, path: str | Path) -> None:
        self._session, about = onnx_file.session(
            path, "denoiser exported by export_onnx", "sampling_frequency", "search", "duration"
        )
        rate = self.sampling_frequency = float(about["sampling_frequency"])
        low, high = (float(t) for t in about["search"])
        self._search = low, high
        self.delay, self.hop, self._before = (round(t * rate) for t in (about["duration"], high - low, low))
        self._inputs = {node.name for node in self._session.get_inputs()}
        self.model = f"{about['name']} {about['version']}"

    def start(self, time: float, psd: PsdSource | None = None) -> SignalState:
        """State of a stream that begins at `time` (GPS s), as after an endless gap; `psd` is that of the whitening.

        A design curve is the default, which costs some of the overlap where the detector's noise was another.

        Raises
        ------
        DataError
            if the PSD does not cover the denoiser's band
        """
        f, values = load_psd(REFERENCE if psd is None else psd)
        grid = frequencies()
        if f[-1] < grid[-1] or f[f > 0][0] > grid[0]:
            raise DataError(f"the PSD covers {f[0]:g} to {f[-1]:g} Hz: {grid[0]:g} to {grid[-1]:g} Hz are needed")
        values = np.interp(grid, f, values)
        weight = np.sqrt(values.min() / values).astype(np.float32)
        return self._fresh(time, weight)

    def _fresh(self, time: float, weight: np.ndarray) -> SignalState:
        gap, nothing = np.full(self.delay, np.nan, np.float32), np.zeros((2, self.delay), np.float32)
        unseen = np.zeros(self.delay, bool)
        return SignalState(time, weight, gap, nothing, unseen, self.delay - self._before, None, nothing[:, self.hop :])

    def step(
        self, state: SignalState, white: np.ndarray, start_time: float | None = None, end: bool = False
    ) -> tuple[SignalState, SignalFrame]:
        """Denoise one frame of n samples; the output is the n samples `delay` earlier, at the `end` all the rest, too.

        A frame that comes after a dropped stretch (up to a minute) is denoised as after a gap, and the output is longer by that
        stretch, in which the strain is NaN.

        Parameters
        ----------
        state : SignalState
        white : (n,) whitened strain of unit variance; NaN where there is a gap
        start_time : float, GPS s, optional
            of the frame; that at which the one before ended by default
        end : bool
            nothing follows: the state that comes back is that of a new stream

        Raises
        ------
        DataError
            if the frame is no row of samples, or begins before the one before it ended, or a minute or more after it
        """
        white = np.asarray(white, np.float32)
        if white.ndim != 1 or (white.size == 0 and not end):
            raise DataError(f"a frame of shape {white.shape}: give a row of samples")
        if start_time is not None:
            missed = round((start_time - state.next_time) * self.sampling_frequency)
            if missed < 0:
                raise DataError(
                    f"a frame begins at GPS {start_time:.4f}, before the last one ended at {state.next_time:.4f}: "
                    "frames come in order"
                )
            if missed >= MAX_GAP * self.sampling_frequency:
                raise DataError(
                    f"{start_time - state.next_time:.1f} s of the stream were lost before GPS {start_time:.4f}: "
                    "begin anew with start()"
                )
            # Whole samples from the frame's own time: sums of many frames' lengths would drift.
            state = replace(state, next_time=start_time - missed / self.sampling_frequency)
            white = np.concatenate([np.full(missed, np.nan, np.float32), white])
        rate, n = self.sampling_frequency, white.size
        begin, later = state.next_time - self.delay / rate, state.next_time + n / rate
        out = n + self.delay if end else n
        span = np.concatenate([state.white, white, np.zeros(out - n, np.float32)])
        sums = np.concatenate([state.found, np.zeros((2, out), np.float32)], axis=1)
        valid = np.concatenate([state.valid, np.ones(out, bool)])
        due, last, tail, found = state.due, state.last, state.tail, []
        # At the end segments go on while they begin before the last sample, shifted by the silence before the first.
        while due + self.delay <= span.size and not (end and due >= out - self._before):
            part = slice(due, due + self.delay)
            if np.isfinite(span[part]).all():
                one, series = self._look(span[part], state.weight, begin + due / rate)
            else:
                one, series = None, np.zeros((2, self.delay), np.float32)
                valid[part] = False
            if last and one and one_peak(last.time, one.time, self._search):
                if one.probability * one.snr > last.probability * last.snr:
                    last, tail = replace(last, probability=0.0), np.zeros_like(tail)
                else:
                    one, series = replace(one, probability=0.0), np.zeros_like(series)
            sums[:, due : due + tail.shape[1]] += tail
            sums[:, due : due + self.hop] += series[:, : self.hop]
            found += [last] if last and undecided(last.time, self._search) else []
            found += [one] if one and not undecided(one.time, self._search) else []
            due, last, tail = due + self.hop, one, series[:, self.hop :]
        if end:
            sums[:, due : due + tail.shape[1]] += tail
            found += [last] if last and undecided(last.time, self._search) else []
        whole, missing = valid[:out], np.float32(np.nan)
        signal, sigma = np.where(whole, sums[0, :out], missing), np.where(whole, np.sqrt(sums[1, :out]), missing)
        frame = SignalFrame(begin, span[:out], signal, sigma, whole, tuple(found), self.model)
        if end:
            return self._fresh(later, state.weight), frame
        return SignalState(later, state.weight, span[n:], sums[:, n:], valid[n:], due - n, last, tail), frame

    def _look(self, white: np.ndarray, weight: np.ndarray, start_time: float) -> tuple[Found, np.ndarray]:
        """What one segment (delay,) holds, and its signal and variance (2, delay) float32."""
        feeds = {"white": white, "weight": weight}
        signal, sigma, probability, snr = self._session.run(None, {key: feeds[key] for key in self._inputs})
        time = peak_time(signal, self.sampling_frequency, self._search)
        return Found(start_time, time, float(probability[0]), float(snr[0])), np.stack([signal, sigma**2])
