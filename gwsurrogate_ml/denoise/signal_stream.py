"""Signals from whitened strain as a stream: frames in, frames out a fixed delay later, by ONNX Runtime on one core.

State in, state out: nothing is hidden in the stream. What comes out does not depend on how the data were cut into frames. Around
gaps nothing can be said: the strain passes through, signal and sigma are NaN, and the samples are flagged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsurrogate_ml.denoise.export import PROPERTY
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DataError


@dataclass(frozen=True)
class SignalState:
    """Everything a stream remembers; made by `SignalStream.start`, replaced by every step.

    Parameters
    ----------
    next_time : float, GPS s, of the first sample of the next frame
    white : (2 reach,) float32, the latest samples, NaN where there were none
    """

    next_time: float
    white: np.ndarray


@dataclass(frozen=True)
class SignalFrame:
    """A stretch of a denoised stream.

    Parameters
    ----------
    start_time : float, GPS s
    white : (n,) float32, the strain as it came in, gaps included
    signal, sigma : (n,) float32, NaN where not valid; not yet times the probability of a signal
    presence : (n / hop,) float32, logit that a signal's peak lies about that frame; -inf where not valid
    valid : (n,) bool
    model : str, name and version
    """

    start_time: float
    white: np.ndarray
    signal: np.ndarray
    sigma: np.ndarray
    presence: np.ndarray
    valid: np.ndarray
    model: str


class SignalStream:
    """A denoiser that `export_onnx` wrote, run as a stream.

    Parameters
    ----------
    path : str or Path, .onnx

    Attributes
    ----------
    sampling_frequency : float, Hz
    hop : int, samples; frames are multiples of it
    delay : int, samples by which the output lags, which is also how far it reaches into the past
    threshold : float, level of the log-sum-exp of presences at which a signal is as probable as not

    Raises
    ------
    ConfigError
        without ONNX Runtime
    ArtifactError
        if the file is no exported denoiser
    """

    def __init__(self, path: str | Path) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ConfigError("streams need ONNX Runtime: pip install gwsurrogate-ml[serve]") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            about = json.loads(self._session.get_modelmeta().custom_metadata_map[PROPERTY])
            self.delay, self.hop, self.threshold = int(about["reach"]), int(about["hop"]), float(about["threshold"])
            self.sampling_frequency = float(about["sampling_frequency"])
        except Exception as error:  # ONNX Runtime has no common base of its errors
            raise ArtifactError(f"{path} is no denoiser exported by export_onnx: {error}") from error
        self.model = f"{about['name']} {about['version']}"

    def start(self, time: float) -> SignalState:
        """State of a stream that begins at `time` (GPS s): as after an endless gap."""
        return SignalState(time, np.full(2 * self.delay, np.nan, np.float32))

    def step(
        self, state: SignalState, white: np.ndarray, start_time: float | None = None
    ) -> tuple[SignalState, SignalFrame]:
        """Denoise one frame of n samples; the output is the n samples `delay` earlier.

        Parameters
        ----------
        state : SignalState
        white : (n,) whitened strain of unit variance, n a multiple of `hop`; NaN where there is a gap
        start_time : float, GPS s, optional
            of the frame; a frame that comes too late for its predecessor has dropped ones before it, which count as a gap

        Raises
        ------
        DataError
            if n does not fit, or the frame begins before the one before it ended
        """
        white = np.asarray(white, np.float32)
        if white.ndim != 1 or white.size == 0 or white.size % self.hop:
            raise DataError(f"a frame has {white.shape} samples: give a multiple of {self.hop}")
        if start_time is not None:
            missed = round((start_time - state.next_time) * self.sampling_frequency)
            if missed < 0:
                raise DataError(
                    f"a frame begins at GPS {start_time:.4f}, before the last one ended at {state.next_time:.4f}: "
                    "frames come in order"
                )
            if missed:
                keep = np.concatenate([state.white, np.full(min(missed, 2 * self.delay), np.nan, np.float32)])
                state = SignalState(start_time, keep[-2 * self.delay :])
        span = np.concatenate([state.white, white])
        n, wide = white.size, slice(self.delay, self.delay + white.size)
        bad = np.concatenate([[0], np.cumsum(~np.isfinite(span))])
        valid = bad[2 * self.delay + 1 :][:n] == bad[: span.size - 2 * self.delay]
        begin = state.next_time - self.delay / self.sampling_frequency
        if valid.any():
            feed = {"white": np.where(np.isfinite(span), span, np.float32(0.0))[None]}
            signal, sigma, presence = (row[0] for row in self._session.run(None, feed))
            frames = slice(self.delay // self.hop, self.delay // self.hop + n // self.hop)
            signal = np.where(valid, signal[wide], np.float32(np.nan))
            sigma = np.where(valid, sigma[wide], np.float32(np.nan))
            whole = valid.reshape(-1, self.hop).all(axis=1)
            presence = np.where(whole, presence[frames], np.float32(-np.inf))
        else:
            signal, sigma = np.full((2, n), np.nan, np.float32)
            presence = np.full(n // self.hop, -np.inf, np.float32)
        frame = SignalFrame(begin, span[wide], signal, sigma, presence, valid, self.model)
        return SignalState(state.next_time + n / self.sampling_frequency, span[n:]), frame
