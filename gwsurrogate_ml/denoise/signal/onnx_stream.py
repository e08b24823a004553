"""Signals from whitened strain as a stream: frames in, frames out a fixed delay later, by ONNX Runtime on one core.

State in, state out: nothing is hidden in the stream. Segments follow each other by the width of their search interval from the
stream's start on, so that what comes out does not depend on how the data were cut into frames, and equals the denoiser's own
answer over the whole series. Around gaps nothing can be said: the strain passes through, signal and sigma are NaN, and the
samples are flagged.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsurrogate_ml import onnx_file
from gwsurrogate_ml.denoise.signal.denoiser import REFERENCE
from gwsurrogate_ml.denoise.signal.segment import frequencies
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.spectrum import PsdSource, load_psd


@dataclass(frozen=True)
class SignalState:
    """Everything a stream remembers; made by `SignalStream.start`, replaced by every step.

    Parameters
    ----------
    next_time : float, GPS s, of the first sample of the next frame
    weight : (n_f,) float32, 1 / sqrt(psd) of the whitening, 1 at its largest
    white : (delay,) float32, the latest samples, NaN where there were none
    signal, variance : (delay,) float32, what segments have found in them so far
    valid : (delay,) bool, false where a segment could not be looked at
    due : int, where in these samples, or after them, the next segment begins
    """

    next_time: float
    weight: np.ndarray
    white: np.ndarray
    signal: np.ndarray
    variance: np.ndarray
    valid: np.ndarray
    due: int


@dataclass(frozen=True)
class Found:
    """What was found in one segment.

    Parameters
    ----------
    start_time : float, GPS s
    probability : float, that a signal peaks in the segment's search interval
    snr : float, of the data along the reconstruction
    """

    start_time: float
    probability: float
    snr: float


@dataclass(frozen=True)
class SignalFrame:
    """A stretch of a denoised stream.

    Parameters
    ----------
    start_time : float, GPS s
    white : (n,) float32, the strain as it came in, gaps included
    signal, sigma : (n,) float32, NaN where not valid
    valid : (n,) bool
    found : the segments done in this step, up to the frame that came in: what is found is said before the signal is out
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
        nothing = np.zeros(self.delay, np.float32)
        gap = np.full(self.delay, np.nan, np.float32)
        return SignalState(time, weight, gap, nothing, nothing, np.zeros(self.delay, bool), self.delay - self._before)

    def step(self, state: SignalState, white: np.ndarray, start_time: float | None = None) -> tuple[SignalState, SignalFrame]:
        """Denoise one frame of n samples; the output is the n samples `delay` earlier.

        Parameters
        ----------
        state : SignalState
        white : (n,) whitened strain of unit variance; NaN where there is a gap
        start_time : float, GPS s, optional
            of the frame; a frame that comes too late for its predecessor has dropped ones before it, which count as a gap

        Raises
        ------
        DataError
            if the frame is no row of samples, or begins before the one before it ended
        """
        white = np.asarray(white, np.float32)
        if white.ndim != 1 or white.size == 0:
            raise DataError(f"a frame of shape {white.shape}: give a row of samples")
        if start_time is not None:
            missed = round((start_time - state.next_time) * self.sampling_frequency)
            if missed < 0:
                raise DataError(
                    f"a frame begins at GPS {start_time:.4f}, before the last one ended at {state.next_time:.4f}: "
                    "frames come in order"
                )
            if missed >= self.delay:
                state = self._fresh(start_time, state.weight)
            elif missed:
                state, _ = self.step(state, np.full(missed, np.nan, np.float32))
        n, nothing = white.size, np.zeros(white.size, np.float32)
        span, signal, variance = (
            np.concatenate(pair) for pair in ((state.white, white), (state.signal, nothing), (state.variance, nothing))
        )
        valid = np.concatenate([state.valid, np.ones(n, bool)])
        begin, due, found = state.next_time - self.delay / self.sampling_frequency, state.due, []
        while due + self.delay <= span.size:
            part = slice(due, due + self.delay)
            if np.isfinite(span[part]).all():
                feeds = {"white": span[part], "weight": state.weight}
                one = self._session.run(None, {key: value for key, value in feeds.items() if key in self._inputs})
                signal[part] += one[0]
                variance[part] += one[1] ** 2
                found.append(Found(begin + due / self.sampling_frequency, float(one[2][0]), float(one[3][0])))
            else:
                valid[part] = False
            due += self.hop
        whole = valid[:n]
        frame = SignalFrame(
            begin,
            span[:n],
            np.where(whole, signal[:n], np.float32(np.nan)),
            np.where(whole, np.sqrt(variance[:n]), np.float32(np.nan)),
            whole,
            tuple(found),
            self.model,
        )
        later = state.next_time + n / self.sampling_frequency
        return SignalState(later, state.weight, span[n:], signal[n:], variance[n:], valid[n:], due - n), frame
