"""Witness subtraction as a stream: state in, state out, nothing hidden.

Output lags the input by a fixed delay, half of all filters plus a ramp. What comes out is independent of how the data
were cut into frames: offline cleaning runs the same steps. Predictions are made a ramp ahead of their use: of short frames
several are gathered, and one long transform serves them all. Where a witness is not usable within reach of the filters,
the strain passes through as it is, with a smooth ramp into and out of the subtraction, and is flagged; so it does where
subtraction has lately raised the power in a band (`watch`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from gwsurrogate_ml.denoise.witness import fir, gain_tracking
from gwsurrogate_ml.denoise.witness.channels import RUN, flat
from gwsurrogate_ml.denoise.witness.features import Feature, evaluate

RAMP = 0.25
"""Length of the ramp between raw and cleaned strain, s."""


@dataclass(frozen=True)
class StreamState:
    """Everything a stream remembers; made by `Filter.start`, replaced by every step.

    Parameters
    ----------
    next_time : float, GPS s, of the first sample of the next frame
    channels : (n_channels, 2 reach of the smoothing filter + p), the latest samples, zero where not usable; p of them have
        not been filtered yet
    features : (n_features, n_taps - 1)
    usable : (2 delay,) bool
    strain : (delay,)
    prediction : (n_bands, ramp - p)
    last, run : (n_channels, 1), the latest samples and for how long they have not changed
    watch : gain_tracking.Watch, whether the subtraction has helped of late
    """

    next_time: float
    channels: np.ndarray
    features: np.ndarray
    usable: np.ndarray
    strain: np.ndarray
    prediction: np.ndarray
    last: np.ndarray
    run: np.ndarray
    watch: gain_tracking.Watch


@dataclass(frozen=True)
class CleanFrame:
    """A stretch of cleaned strain.

    Parameters
    ----------
    strain : (n,) float64
    weight : (n,) float64
        how much of the prediction was subtracted: 1 cleaned, 0 passed through, between on the ramps
    start_time : float, GPS s
    model : str, name and version of the cleaner
    refused : (n,) bool
        where nothing, or not all, was subtracted because subtraction has lately raised the power in a band
    """

    strain: np.ndarray
    weight: np.ndarray
    start_time: float
    model: str
    refused: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    @property
    def subtracted(self) -> np.ndarray:
        """(n,) bool: samples that are fully cleaned."""
        return np.asarray(self.weight == 1.0)


@dataclass(frozen=True)
class Filter:
    """A fitted cleaner's arithmetic.

    Parameters
    ----------
    channels : names, in the order of the rows
    features : made of the channels
    smoothing : (2 reach + 1,) low-pass filter of scatterers; of one tap where there is none
    taps : (n_bands, n_features, n_taps) float64, n_taps odd; the middle one is zero lag
    limits : (n_channels,) largest credible |sample|
    sampling_frequency : float, Hz
    model : str
    stuck_after : (n_channels,) equal samples in a row that mean a clipped or stuck channel
    watched : the bands (low, high), Hz, in which subtraction must not raise the power; none are watched by default
    followed : (n_bands,) bool, bands whose gain is followed
    """

    channels: tuple[str, ...]
    features: tuple[Feature, ...]
    smoothing: np.ndarray
    taps: np.ndarray
    limits: np.ndarray
    sampling_frequency: float
    model: str
    stuck_after: np.ndarray = field(default_factory=lambda: np.array([RUN]))
    watched: tuple[tuple[float, float], ...] = ()
    followed: tuple[bool, ...] = ()
    _responses: dict[int, np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    @property
    def ramp(self) -> int:
        """Samples of the ramp, even."""
        return 2 * round(0.5 * RAMP * self.sampling_frequency)

    @property
    def reach(self) -> int:
        """Samples of the witnesses before and after that a prediction depends on."""
        return self.smoothing.size // 2 + self.taps.shape[-1] // 2

    @property
    def delay(self) -> int:
        """Samples by which a stream's output lags."""
        return self.reach + self.ramp

    def start(self, time: float) -> StreamState:
        """State of a stream that begins at `time` (GPS s): as after an endless gap."""
        n = len(self.channels)
        return StreamState(
            time,
            np.zeros((n, self.smoothing.size - 1)),
            np.zeros((len(self.features), self.taps.shape[-1] - 1)),
            np.zeros(2 * self.delay, bool),
            np.zeros(self.delay),
            np.zeros((len(self.taps), self.ramp)),
            np.full((n, 1), np.nan),
            np.zeros((n, 1), np.int64),
            gain_tracking.start(self.watched, self.sampling_frequency, self.followed),
        )

    def step(self, state: StreamState, strain: np.ndarray, witnesses: np.ndarray) -> tuple[StreamState, CleanFrame]:
        """Clean one frame of n samples; the output is the n samples `delay` earlier.

        Parameters
        ----------
        state : StreamState
        strain : (n,) float64; NaN passes through
        witnesses : (n_channels, n) float64; NaN, stuck, clipped and incredible samples switch the subtraction off around them
        """
        n = strain.size
        stuck, last, run = flat(witnesses, state.last, state.run, self.stuck_after[:, None])
        good = np.isfinite(witnesses) & ~stuck
        good &= np.abs(np.where(good, witnesses, 0.0)) <= self.limits[:, None]
        channels = np.concatenate([state.channels, np.where(good, witnesses, 0.0)], axis=1)
        usable = np.concatenate([state.usable, good.all(axis=0)])
        delayed = np.concatenate([state.strain, strain])
        features, predicted = state.features, state.prediction
        if not self.features:
            predicted = np.zeros((len(self.taps), self.ramp + n))
        elif predicted.shape[1] < n:  # else what is ready serves, and the frame waits for others
            features, fresh = self.predict(channels, features)
            predicted = np.concatenate([predicted, fresh], axis=1)
        weight = self._weight(usable)
        judge, trust, total = state.watch, np.ones(n), predicted[:, :n].sum(axis=0)
        if self.watched:
            whole = (weight == 1.0) & np.isfinite(delayed[:n])
            judge, total, trust = gain_tracking.step(judge, delayed[:n], predicted[:, :n], whole, self.ramp)
            weight = weight * trust
        clean = delayed[:n] - np.where(weight > 0, weight * total, 0.0)
        frame = CleanFrame(
            clean,
            np.where(np.isfinite(clean), weight, 0.0),
            state.next_time - self.delay / self.sampling_frequency,
            self.model,
            trust < 1.0,
        )
        keep = self.smoothing.size - 1 + self.ramp + n - predicted.shape[1]
        new = StreamState(
            state.next_time + n / self.sampling_frequency,
            channels[:, channels.shape[1] - keep :],
            features,
            usable[n:],
            delayed[n:],
            predicted[:, n:],
            last,
            run,
            judge,
        )
        return new, frame

    def end(self, state: StreamState) -> tuple[StreamState, CleanFrame]:
        """The rest of a stream that ends, its last `delay` samples: as before an endless gap."""
        return self.step(state, np.zeros(self.delay), np.full((len(self.channels), self.delay), np.nan))

    def predict(self, channels: np.ndarray, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The latest features (n_features, n_taps - 1), and predictions (n_bands, m) of m new samples.

        Parameters
        ----------
        channels : (n_channels, 2 reach of the smoothing filter + m)
        features : (n_features, n_taps - 1), those before
        """
        rows = dict(zip(self.channels, channels, strict=True))
        features = np.concatenate([features, evaluate(self.features, rows, self.smoothing)], axis=1)
        fresh = fir.apply_valid(features, self.taps, self._response(features.shape[1]))
        return features[:, features.shape[1] - (self.taps.shape[-1] - 1) :], fresh

    def _response(self, n: int) -> np.ndarray:
        n_fft = fir.fft_length(n, self.taps.shape[-1])
        found = self._responses.get(n_fft)
        if found is None:
            found = fir.response(self.taps, n_fft)
            if len(self._responses) > 4:
                self._responses.clear()
            self._responses[n_fft] = found
        return found  # not from the dictionary: another thread may have cleared it

    def _weight(self, usable: np.ndarray) -> np.ndarray:
        """Weight (n,) from usable (n + 2 delay,): 1 far from all that is not usable, with Hann ramps."""
        n = usable.size - 2 * self.delay
        if not self.features:
            return np.zeros(n)
        if usable.all():
            return np.ones(n)
        span = 2 * self.delay - self.ramp + 1
        bad = np.concatenate([[0], np.cumsum(~usable)])
        clear = (bad[span:] == bad[:-span]).astype(np.float64)  # (n + ramp,)
        if clear.all():
            return np.ones(n)
        window = np.hanning(self.ramp + 3)[1:-1]
        window /= window.sum()
        weight = np.convolve(clear, window, "valid")
        return np.where(weight > 1.0 - 1e-9, 1.0, np.where(weight < 1e-9, 0.0, weight))


def run_through(plan: Filter, strain: np.ndarray, witnesses: np.ndarray, start_time: float, block: float = 64.0) -> CleanFrame:
    """Clean a whole series (n,) with its witnesses (n_channels, n) by running the stream over it."""
    state, size = plan.start(start_time), max(1, round(block * plan.sampling_frequency))
    frames: list[CleanFrame] = []
    for first in range(0, strain.size, size):
        part = slice(first, first + size)
        state, frame = plan.step(state, strain[part], witnesses[:, part])
        frames.append(frame)
    frames.append(plan.end(state)[1])
    return joined(frames, plan.delay, start_time)


def joined(frames: Sequence[CleanFrame], skip: int = 0, start_time: float | None = None) -> CleanFrame:
    """Consecutive frames as one, without the first `skip` samples."""
    return CleanFrame(
        np.concatenate([frame.strain for frame in frames])[skip:],
        np.concatenate([frame.weight for frame in frames])[skip:],
        frames[0].start_time if start_time is None else start_time,
        frames[0].model,
        np.concatenate([frame.refused for frame in frames])[skip:],
    )
