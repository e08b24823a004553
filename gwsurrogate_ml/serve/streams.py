"""Denoisers as served streams. The state is explicit: the server keeps it for a sequence id, or the client keeps it.

A request with a sequence id continues what the server remembers. A request without one is a pure step: its state, the tensor
`state`, comes with the request (none: the stream begins) and goes back with the response, so that any server can take the next.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from gwsurrogate_ml.denoise.signal import segment_stream
from gwsurrogate_ml.denoise.signal.segment import DURATION, F_HIGH
from gwsurrogate_ml.denoise.signal.segment_stream import SegmentState
from gwsurrogate_ml.denoise.witness.gain_tracking import BLOCK
from gwsurrogate_ml.denoise.witness.stream import StreamState, joined
from gwsurrogate_ml.errors import GwsmlError
from gwsurrogate_ml.serve.base import REQUIRED, Call, ServedModel, Tensor
from gwsurrogate_ml.serve.protocol import RequestError

if TYPE_CHECKING:
    from gwsurrogate_ml.denoise.signal.denoiser import SignalDenoiser
    from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner

State = Any
S = TypeVar("S")
_STATE = Tensor("state", "UINT8", (-1,), optional=True)
MOST_TIME = 1e10
"""GPS s: a start beyond is none, and differences of such times could not be counted in samples."""
PIECE = 16.0
"""Seconds of a long frame that are worked on between two looks at the clock."""
_NUMBER = (-np.finfo(np.float64).max, np.finfo(np.float64).max)
_BOUNDS = {
    "next_time": (-MOST_TIME, MOST_TIME),
    "psd": (np.finfo(np.float64).tiny, _NUMBER[1]),
    "last.probability": (0.0, 1.0),
    "last.time": (0.0, DURATION),
} | dict.fromkeys(("variance", "skip", "last.sigma", "run", "watch.variance", "watch.before", "watch.after"), (0.0, _NUMBER[1]))
"""What the values of a state's fields lie between; those of all others are finite, but for gaps."""
_GAPS = {"strain", "last", "last.ood_latent", "watch.raw"}
"""Fields in which NaN marks gaps, or that there is no such number."""
_GROWING = {"white", "signal", "variance", "channels", "prediction"} | {
    f"watch.{name}" for name in ("raw", "counts", "predicted", "before", "after")
}
"""Fields whose last axis changes along a stream."""


def pack(state: object) -> np.ndarray:
    """A state (a dataclass of numbers, arrays, tuples of numbers and such dataclasses) as bytes (n,) uint8: no pickle."""
    from safetensors.numpy import save

    return np.frombuffer(save({name: np.ascontiguousarray(np.atleast_1d(a)) for name, a in _leaves(state)}), np.uint8)


def _leaves(state: Any, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    for f in dataclasses.fields(state):
        value = getattr(state, f.name)
        if dataclasses.is_dataclass(value):
            yield from _leaves(value, f"{prefix}{f.name}.")
        else:
            yield prefix + f.name, np.asarray(value)


def unpack(like: S, raw: np.ndarray) -> S:
    """The state in `raw`, which must have the fields, types, tuples and shapes of `like`, but for what grows, and sound values.

    Raises
    ------
    RequestError
        400 if it is no state, or another model's
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        stored = load(raw.tobytes())
        found = _filled(like, stored)
    except (SafetensorError, KeyError, ValueError) as error:
        raise _no_state(error) from error
    if stored:
        raise _no_state(f"{sorted(stored)[0]} is unknown")
    return found


def _no_state(why: object) -> RequestError:
    return RequestError(400, f"the input 'state' is no state of this model ({why}): begin the stream anew")


def _filled(like: S, stored: dict[str, np.ndarray], prefix: str = "") -> S:
    """A copy of `like` with the values in `stored`, which are taken out of it."""
    values: dict[str, Any] = {}
    for f in dataclasses.fields(like):  # type: ignore[arg-type]
        name = prefix + f.name
        expected: Any = getattr(like, f.name)
        if dataclasses.is_dataclass(expected):
            values[f.name] = _filled(expected, stored, f"{name}.")
            continue
        found, shape = stored.pop(name), np.atleast_1d(np.asarray(expected))
        axes = -1 if name in _GROWING else None
        if found.dtype != shape.dtype or found.ndim != shape.ndim or found.shape[:axes] != shape.shape[:axes]:
            raise ValueError(f"{name} has shape {found.shape}")
        low, high = _BOUNDS.get(name, _NUMBER)
        if name not in _GAPS and not ((found >= low) & (found <= high)).all():
            raise ValueError(f"{name} is not finite or out of bounds")
        if isinstance(expected, tuple):
            if not np.array_equal(found, shape):
                raise ValueError(f"{name} differs")
            values[f.name] = expected
        else:
            values[f.name] = found if isinstance(expected, np.ndarray) else type(expected)(found.reshape(()).item())
    return type(like)(**values)


def _start_time(call: Call) -> float:
    start = call.parameters["start_time"]
    if abs(start) > MOST_TIME:
        raise RequestError(400, f"start_time is {start:g}: give GPS seconds")
    return start


class StreamModel(ServedModel):
    """A model whose every call continues a stream."""

    def begin(self, call: Call) -> State:
        """State of a stream that the frame in `call` begins, or continues where it brings a state."""
        raise NotImplementedError

    def advance(self, state: State, call: Call) -> tuple[State, dict[str, np.ndarray]]:
        """The next state and the outputs, at the stream's end all the rest.

        `state` is left as it is, so that a frame that failed can be sent again.
        """
        raise NotImplementedError

    def first(self, call: Call) -> tuple[State, dict[str, np.ndarray]]:
        """The first step here: the stream begins, or goes on from a state that comes with the call."""
        try:
            return self.advance(self.begin(call), call)
        except GwsmlError:
            raise
        except (ValueError, IndexError, TypeError) as error:
            if "state" in call.inputs:  # its arrays do not fit each other
                raise _no_state(str(error)[:100]) from error
            raise

    def infer(self, call: Call) -> dict[str, np.ndarray]:
        """One pure step: the state goes back with the outputs."""
        state, outputs = self.first(call)
        return outputs | {"state": pack(state)}


class WitnessStream(StreamModel):
    """Witness subtraction: `strain` (n,) and `witnesses` (n_channels, n), rows as in the cleaner's card, to cleaned `strain`.

    The output lags by the cleaner's latency: its first sample is at `start_time`. `weight` is 1 where fully cleaned, 0 where
    the strain passed through. NaN are gaps (in JSON: null). The parameter `start_time` (GPS s) of every frame is checked. The last
    frame (`sequence_end`) brings all the rest out.
    """

    def __init__(self, cleaner: WitnessCleaner) -> None:
        self.cleaner = cleaner
        self.name, self.version = str(cleaner.card["name"]), str(cleaner.card.get("version", "1"))
        self.channels = tuple(cleaner.plan.channels)
        n = len(self.channels)
        self.inputs = (Tensor("strain", "FP64", (-1,)), Tensor("witnesses", "FP64", (n, -1)), _STATE)
        self.outputs = (
            Tensor("strain", "FP64", (-1,)),
            Tensor("weight", "FP64", (-1,)),
            Tensor("start_time", "FP64", (1,)),
            Tensor("state", "UINT8", (-1,)),
        )
        self.defaults = {"start_time": REQUIRED}

    def begin(self, call: Call) -> StreamState:
        """See `StreamModel`."""
        fresh = self.cleaner.start(_start_time(call))
        if "state" not in call.inputs:
            return fresh
        state = unpack(fresh, call.inputs["state"])
        gathered = fresh.prediction.shape[1] - state.prediction.shape[1]  # samples of short frames that wait for others
        if gathered < 0 or state.channels.shape[1] != fresh.channels.shape[1] + gathered:
            raise _no_state("channels and prediction do not fit each other")
        seen, rate = state.watch, fresh.watch.sampling_frequency
        lengths = {seen.raw.size, seen.counts.size, seen.predicted.shape[1]}
        if len(lengths) > 1 or max(lengths) >= round(BLOCK * rate) or seen.before.size != seen.after.size:
            raise _no_state("the parts of watch do not fit each other")
        if seen.sampling_frequency != rate or not np.array_equal(seen.followed, fresh.watch.followed):
            raise _no_state("watch is another cleaner's")
        return state

    def advance(self, state: StreamState, call: Call) -> tuple[StreamState, dict[str, np.ndarray]]:
        """See `StreamModel`."""
        from gwpy.timeseries import TimeSeries

        strain, witnesses = call.inputs["strain"], call.inputs["witnesses"]
        if witnesses.shape[1] != strain.size or not strain.size:
            raise RequestError(400, f"strain has {strain.size} samples, witnesses {witnesses.shape[1]}: send as many of both")
        grid = {"t0": _start_time(call), "sample_rate": self.cleaner.plan.sampling_frequency, "copy": False}
        rows = {name: TimeSeries(row, **grid) for name, row in zip(self.channels, witnesses, strict=True)}
        state, frame = self.cleaner.step(state, TimeSeries(strain, **grid), rows)
        if call.end:
            state, rest = self.cleaner.plan.end(state)
            frame = joined([frame, rest])
        return state, {"strain": frame.strain, "weight": frame.weight, "start_time": np.array([frame.start_time])}


class SignalStreamModel(StreamModel):
    """Binary black-hole signals from whitened strain: `white` (n,) to `signal` and `sigma`, which lag by up to 4 s.

    The first frame may bring `psd` (m,), that of the whitening, in steps of the parameter `psd_step` from 0 Hz; without it a
    design curve is taken. One number for every segment decided in the step: `probability` of a signal, `snr`, `time` (GPS s) and
    `ood`, the out-of-distribution score. The last frame (`sequence_end`) brings all the rest out.
    """

    def __init__(self, denoiser: SignalDenoiser) -> None:
        self.denoiser = denoiser
        self.name, self.version = str(denoiser.card["name"]), str(denoiser.card.get("version", "1"))
        self.inputs = (Tensor("white", "FP64", (-1,)), Tensor("psd", "FP64", (-1,), optional=True), _STATE)
        self.outputs = (
            Tensor("signal", "FP64", (-1,)),
            Tensor("sigma", "FP64", (-1,)),
            Tensor("start_time", "FP64", (1,)),
            *(Tensor(name, "FP64", (-1,)) for name in ("probability", "snr", "time", "ood")),
            Tensor("state", "UINT8", (-1,)),
        )
        self.defaults = {"start_time": REQUIRED, "sampling_frequency": REQUIRED, "psd_step": 0.0}

    def begin(self, call: Call) -> SegmentState:
        """See `StreamModel`."""
        rate = call.parameters["sampling_frequency"]
        if not 2 * F_HIGH <= rate <= 65536 or rate != round(rate):
            raise RequestError(400, f"sampling_frequency is {rate:g} Hz: whole rates from {2 * F_HIGH:g} to 65536 Hz are taken")
        psd = call.inputs.get("psd")
        if psd is not None and not call.parameters["psd_step"] > 0:
            raise RequestError(400, "psd comes without psd_step: give the step of its frequencies in Hz")
        source = None if psd is None else (call.parameters["psd_step"] * np.arange(psd.size), psd)
        fresh = segment_stream.start(self.denoiser, _start_time(call), rate, source)
        if "state" not in call.inputs:
            return fresh
        state = unpack(fresh, call.inputs["state"])
        if state.sampling_frequency != rate or state.skip > fresh.skip:
            raise _no_state("its rate is another")
        sizes = {state.white.size, state.signal.size, state.variance.size}
        if len(sizes) > 1 or not fresh.white.size <= max(sizes) < round(DURATION * rate):
            raise _no_state("white, signal and variance do not fit each other, or the stream has ended")
        return state

    def advance(self, state: SegmentState, call: Call) -> tuple[SegmentState, dict[str, np.ndarray]]:
        """See `StreamModel`."""
        rate, start = call.parameters["sampling_frequency"], _start_time(call)
        if rate != state.sampling_frequency:
            raise RequestError(400, f"the stream began at {state.sampling_frequency:g} Hz, this frame is at {rate:g} Hz")
        if abs(start - state.next_time) > 0.5 / rate:
            raise RequestError(
                400,
                f"a frame at GPS {start:.4f} came, {state.next_time:.4f} was due: send what is missing, or begin anew",
            )
        state = replace(state, next_time=start)  # whole samples from here: sums of many frames' lengths would drift
        white, size, frames = call.inputs["white"], round(PIECE * rate), []
        for first in range(0, max(1, white.size), size):  # the numbers do not depend on how a stream is cut
            call.require_time()
            last = call.end and first + size >= white.size
            state, frame = segment_stream.step(self.denoiser, state, white[first : first + size], last)
            frames.append(frame)
        found = [(at, one) for frame in frames for at, one in zip(frame.found_at, frame.found, strict=True)]
        return state, {
            "signal": np.concatenate([frame.signal for frame in frames]),
            "sigma": np.concatenate([frame.sigma for frame in frames]),
            "start_time": np.array([frames[0].start_time]),
            "probability": np.array([one.probability for _, one in found]),
            "snr": np.array([one.snr for _, one in found]),
            "time": np.array([at + one.time for at, one in found]),
            "ood": np.array([one.ood for _, one in found]),
        }
