"""Whitening of a stream, of linear phase or, without delay, of minimum phase."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import _arguments
from gwsurrogate_ml.kernels._overlap import block_length, overlap_save, transfer
from gwsurrogate_ml.kernels.whiten import minimum_phase, whitening_filter


class WhitenerState(NamedTuple):
    """What a stream carries from one chunk to the next; never changed in place.

    Attributes
    ----------
    history : (n_taps - 1,) the last input samples
    n_seen : int, number of input samples so far
    """

    history: np.ndarray
    n_seen: int


class StreamingWhitener:
    """Whitens a stream chunk by chunk: a pure step, state in and state out; one whitener serves many streams.

    With linear phase the filter is the one `whiten` uses, so the output equals the offline result, `delay` samples later,
    once `warm_up` samples are in. (Offline, a mean is removed from the whole series; a stream cannot know it: use `highpass`.)
    With minimum phase nothing is delayed: output k uses inputs up to k, white just as well, and each frequency comes as
    early as a causal filter of that amplitude allows; templates must pass through the same filter.

    Parameters
    ----------
    asd : real array (n,), one-sided, 1/sqrt(Hz), from 0 Hz to Nyquist
    sample_rate : float, Hz
    fduration : float, s
        length of the filter; half of it is the latency of linear phase
    duration : float, s, optional
        the ASD is interpolated to ``1 / duration``; give the length of a series to reproduce its offline whitening
    highpass : float, Hz, optional
    chunk_duration : float, s
        expected length of a chunk; it sets the transform length and nothing else
    dtype : float64 or float32
    phase : "linear" or "minimum"

    Attributes
    ----------
    taps : float64 (n_taps,)
    delay : int, samples; output k belongs to input k - delay; 0 with minimum phase
    warm_up : int, samples; outputs before it have seen the zeros before the stream's start

    Raises
    ------
    DataError, ConfigError
        as `whitening_filter`

    Examples
    --------
    >>> whitener = StreamingWhitener(np.full(513, np.sqrt(2 / 1024)), 1024.0, 0.5)
    >>> state = whitener.initial_state()
    >>> state, out = whitener.step(state, np.zeros(100))
    >>> out.size, state.n_seen, whitener.delay
    (100, 100, 255)
    """

    def __init__(
        self,
        asd: np.ndarray,
        sample_rate: float,
        fduration: float = 2.0,
        *,
        duration: float | None = None,
        highpass: float | None = None,
        chunk_duration: float = 1.0,
        dtype: np.dtype | type = np.float64,
        phase: Literal["linear", "minimum"] = "linear",
    ) -> None:
        if phase not in ("linear", "minimum"):
            raise ConfigError(f"phase is {phase!r}: choose 'linear' or 'minimum'")
        if np.dtype(dtype) not in (np.dtype(np.float64), np.dtype(np.float32)):
            raise ConfigError(f"dtype is {np.dtype(dtype)}: choose float64 or float32")
        self.taps = whitening_filter(asd, sample_rate, fduration, duration=duration, highpass=highpass)
        self.delay = self.taps.size // 2 - 1
        if phase == "minimum":
            self.taps, self.delay = minimum_phase(self.taps), 0
        self.taps.setflags(write=False)
        self.sample_rate = float(sample_rate)
        self.warm_up = self.taps.size - 1
        chunk = max(1, int(_arguments.positive(chunk_duration, "chunk_duration", "s") * sample_rate))
        self._response = transfer(self.taps, block_length(chunk, self.taps.size), np.dtype(dtype))
        self._dtype = np.dtype(dtype)

    def initial_state(self) -> WhitenerState:
        """State of a stream that has not begun: a history of zeros."""
        return WhitenerState(np.zeros(self.warm_up, dtype=self._dtype), 0)

    def step(self, state: WhitenerState, chunk: np.ndarray) -> tuple[WhitenerState, np.ndarray]:
        """Whiten the next chunk, of any length.

        Parameters
        ----------
        state : WhitenerState
            from `initial_state` or the step before; left as it is
        chunk : real array (n,)

        Returns
        -------
        state : WhitenerState
        whitened : array (n,), output k belongs to input ``state.n_seen + k - delay`` of the stream

        Raises
        ------
        DataError
            if the chunk is empty, not real, or not finite, or the state belongs to another filter
        """
        samples = _arguments.real_series(chunk, "chunk").astype(self._dtype, copy=False)
        if state.history.shape != (self.warm_up,):
            raise DataError(
                f"the state holds {state.history.size} samples, this filter needs {self.warm_up}: "
                "start each whitener from its own initial_state()"
            )
        padded = np.concatenate([state.history.astype(self._dtype, copy=False), samples])
        whitened = overlap_save(padded, self._response, self.taps.size)
        history = padded[padded.size - self.warm_up :].copy()
        history.setflags(write=False)
        return WhitenerState(history, state.n_seen + samples.size), whitened
