"""The protocol's bodies against tritonclient's own, damaged bodies, states of streams, the signal stream against one call."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gwsurrogate_ml.denoise.signal import segment_stream
from gwsurrogate_ml.denoise.signal.denoiser import SignalDenoiser
from gwsurrogate_ml.denoise.signal.segment import Reconstruction
from gwsurrogate_ml.serve.protocol import Request, RequestError, decode, encode, inflate
from gwsurrogate_ml.serve.sequences import Sequences
from gwsurrogate_ml.serve.streams import SignalStreamModel, pack, unpack

rng = np.random.default_rng(5)
ARRAYS = {
    "FP64": rng.normal(size=(3, 2)), "FP32": rng.normal(size=4).astype(np.float32), "FP16": np.ones(3, np.float16),
    "INT64": np.array([[-5, 7]]), "UINT8": np.arange(5, dtype=np.uint8), "BOOL": np.array([True, False]),
    "BYTES": np.array([b"one", b"", b"\x00\xff"], object),
}  # fmt: skip


@pytest.mark.parametrize("datatype", ARRAYS)
@pytest.mark.exchange("clients of the service", "KServe v2, binary tensors", "tritonclient", "round trip")
def test_bodies_made_by_tritonclient_are_read_and_answers_read_by_it(datatype: str) -> None:
    from tritonclient.http import InferenceServerClient, InferInput, InferResult

    array = ARRAYS[datatype]
    tensor = InferInput("x", list(array.shape), datatype)
    tensor.set_data_from_numpy(array, binary_data=True)
    body, length = InferenceServerClient.generate_request_body([tensor], request_id="r7", sequence_id=3, sequence_start=True)
    request = decode(body, str(length))
    assert np.array_equal(request.inputs["x"], array)
    assert (request.id, request.parameters["sequence_id"], request.parameters["sequence_start"]) == ("r7", 3, True)
    assert request.binary  # tritonclient wants binary unless told otherwise
    parts, headers = encode("m", "1", request, {"y": array, "z": np.zeros(2)})
    result = InferResult.from_response_body(b"".join(parts), header_length=int(headers["Inference-Header-Content-Length"]))
    assert np.array_equal(result.as_numpy("y"), array)
    assert result.get_response()["id"] == "r7"


def test_json_answers_have_null_where_a_number_is_not_finite() -> None:
    (part,), headers = encode("m", "1", Request({}), {"y": np.array([1.0, np.nan, np.inf])})
    assert json.loads(part)["outputs"][0]["data"] == [1.0, None, None]
    assert headers == {"Content-Type": "application/json"}


def test_json_data_may_be_flat_or_nested_and_null_is_nan() -> None:
    assert np.array_equal(decode(tensor(shape=[1, 2], data=[[1, None]])).inputs["x"], [[1.0, np.nan]], equal_nan=True)
    assert decode(tensor(shape=[2, 1], data=[1, 2])).inputs["x"].tolist() == [[1.0], [2.0]]
    assert decode(tensor(datatype="BYTES", shape=[2, 1], data=[["a"], ["b"]])).inputs["x"].tolist() == [[b"a"], [b"b"]]
    assert decode(tensor(datatype="BOOL", data=[True, False])).inputs["x"].tolist() == [True, False]


def tensor(**changes: object) -> bytes:
    entry = {"name": "x", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]} | changes
    return json.dumps({"inputs": [{key: value for key, value in entry.items() if value is not None}]}).encode()


@pytest.mark.parametrize(
    ("body", "length", "said"),
    [
        (b"", None, "not JSON"),
        (b"[" * 100_000, None, "not JSON"),
        (b"[]", None, "lacks"),
        (b'{"inputs": [3]}', None, "not a JSON object"),
        (tensor(name=None), None, "no name"),
        (tensor(datatype="FP128"), None, "FP128"),
        (tensor(shape=[-1]), None, "shape"),
        (tensor(shape=[3]), None, "shape"),
        (tensor(shape=[2**62, 2**62]), None, "shape"),
        (tensor(data=None), None, "data"),
        (tensor(data=["a", "b"]), None, "data"),
        (tensor(datatype="UINT8", data=[1, 300]), None, "data"),
        (tensor(datatype="BYTES", data=["a"]), None, "data"),
        (tensor(datatype="BYTES", data=["a", 3]), None, "int found"),
        (
            b'{"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": ' + 900 * b"[" + 900 * b"]" + b"}]}",
            None,
            "data",
        ),
        (tensor(datatype="INT32", data=[1.7, 2]), None, "float found"),
        (tensor(datatype="BOOL", data=["false", True]), None, "str found"),
        (tensor(datatype="UINT8", data=[True, 1]), None, "bool found"),
        (tensor(data=[["1.5"], [2.0]]), None, "str found"),
        (tensor(datatype=[]), None, "datatype"),
        (tensor(shape=[0] + 7 * [2**31 - 1], parameters={"binary_data_size": 0}), None, "shape is too large"),
        (tensor(parameters={"binary_data_size": True}), None, "binary_data_size is True"),
        (tensor(parameters={"binary_data_size": 99}, data=None), None, "binary_data_size"),
        (tensor(parameters={"binary_data_size": 0}, data=None), None, "0 bytes for FP64"),
        (tensor(parameters={"binary_data_size": 0}, data=None, shape=[0, 2**62, 2**62]), None, "shape"),
        (tensor() + b"left", str(len(tensor())), "follow the last tensor"),
        (tensor(), "-3", "Inference-Header-Content-Length"),
        (tensor(), "99999", "Inference-Header-Content-Length"),
        (tensor(), "²", "Inference-Header-Content-Length"),
        (tensor(), "9" * 5000, "Inference-Header-Content-Length"),
        (b'{"inputs": [], "parameters": {"a": ' + 900 * b"[" + 900 * b"]" + b"}}", None, "parameter 'a' is a list"),
        (b'{"inputs": [], "id": [1]}', None, "id is a list"),
        (json.dumps({"inputs": [json.loads(tensor())["inputs"][0]] * 2}).encode(), None, "twice"),
    ],
)
def test_damaged_bodies_are_refused_with_a_reason(body: bytes, length: str | None, said: str) -> None:
    with pytest.raises(RequestError, match=said) as caught:
        decode(body, length)
    assert caught.value.status == 400


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.one_of(st.none(), st.text(max_size=5), st.integers(0, 250).map(str)))
def test_no_body_whatever_breaks_the_reader(noise: bytes, length: str | None) -> None:
    whole = tensor()
    for body in (noise, whole[: len(noise)] + noise, whole + noise):
        with contextlib.suppress(RequestError):  # anything else fails
            decode(body, length)


def test_compressed_bodies_are_bounded_after_unpacking() -> None:
    text = b"x" * 1000
    assert inflate(gzip.compress(text), "gzip", 1000) == text
    assert inflate(zlib.compress(text), "deflate", 1000) == text
    for body, encoding, status in (
        (gzip.compress(b"0" * 10**7), "gzip", 413),
        (gzip.compress(text)[:-9], "gzip", 400),
        (gzip.compress(text[:500]) + gzip.compress(text[500:]), "gzip", 400),
        (zlib.compress(text) + b"more", "deflate", 400),
        (b"no gzip", "gzip", 400),
        (text, "br", 415),
    ):
        with pytest.raises(RequestError) as caught:
            inflate(body, encoding, 1000)
        assert caught.value.status == status


def test_sequences_are_bounded_in_number_and_forgotten_when_idle() -> None:
    now = 0.0
    table = Sequences(limit=2, idle=10.0, clock=lambda: now)
    for key in (("m", "1"), ("m", "2")):
        table.done(key, table.open(key, start=True), "state")
    with pytest.raises(RequestError, match="2 sequences are open") as caught:
        table.open(("m", "3"), start=True)
    assert caught.value.status == 503
    now = 9.0
    table.done(("m", "1"), table.open(("m", "1"), start=False), "later")
    now = 11.0  # the second is idle for 11 s
    assert table.open(("m", "1"), start=False).state == "later"
    with pytest.raises(RequestError, match="no open sequence '2'"):
        table.open(("m", "2"), start=False)
    assert (len(table), table.expired) == (1, 1)
    table.open(("m", "3"), start=True)


class Smoother(SignalDenoiser):
    """Stands for the denoiser: a reconstruction that depends on every sample of a segment and on nothing else."""

    def __init__(self) -> None:
        self.card = {"name": "smoother", "version": "1"}

    def _psd(self, source: object) -> np.ndarray:
        return np.ones(3)

    def save(self, folder: object) -> Path:
        raise NotImplementedError

    def transform(self, piece: np.ndarray, sampling_frequency: float) -> np.ndarray:
        return piece

    def reconstruct(self, white: np.ndarray, *_: object, **__: object) -> Reconstruction:
        smooth = np.convolve(white, np.hanning(301), "same") + white.mean()
        return Reconstruction(smooth, np.abs(smooth), 1.0, 1.0, 2.0, 0.0, 0.0, 0)


RATE = 1024.0
START = segment_stream.start(Smoother(), 100.0, RATE)


@pytest.mark.parametrize("frame", [777, 4096, 40_000])
@pytest.mark.parametrize("n", [500, 3000, 20_011])
def test_signal_stream_gives_what_one_call_gives_whatever_the_frames(frame: int, n: int) -> None:
    from gwpy.timeseries import TimeSeries

    white = np.random.default_rng(n).normal(size=n)
    expected, sigma, found = Smoother().denoise(TimeSeries(white, t0=100.0, sample_rate=RATE))
    state, frames = segment_stream.start(Smoother(), 100.0, RATE), []
    for first in range(0, n, frame):
        state, out = segment_stream.step(Smoother(), state, white[first : first + frame], end=first + frame >= n)
        assert out.start_time == pytest.approx(100.0 + sum(f.signal.size for f in frames) / RATE)
        state = unpack(state, pack(state))  # the state is all there is: packed, sent and unpacked, the stream goes on
        frames.append(out)
    assert np.allclose(np.concatenate([f.signal for f in frames]), expected.value)
    assert np.allclose(np.concatenate([f.sigma for f in frames]), sigma.value)
    assert sum(len(f.found) for f in frames) == len(found)
    assert state.next_time == pytest.approx(100.0 + n / RATE)


def test_a_state_that_is_none_is_refused() -> None:
    state = segment_stream.start(Smoother(), 100.0, RATE)
    for raw in (np.zeros(0, np.uint8), np.arange(99, dtype=np.uint8), pack(replace(state, white=np.zeros((2, 2))))):
        with pytest.raises(RequestError, match="no state of this model"):
            unpack(state, raw)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"next_time": np.nan}, "next_time"),
        ({"next_time": 1e300}, "next_time"),
        ({"white": np.zeros(0), "signal": np.zeros(0), "variance": np.zeros(0)}, "do not fit"),
        ({"white": np.zeros(10_000), "signal": np.zeros(10_000), "variance": np.zeros(10_000)}, "do not fit"),
        ({"white": np.zeros(2000)}, "do not fit"),
        ({"white": np.full(1946, np.nan)}, "white is not finite"),
        ({"variance": np.full(1946, -1.0)}, "variance is not finite or out of bounds"),
        ({"last": replace(START.last, probability=1.5)}, "last.probability"),
        ({"last": replace(START.last, time=np.nan)}, "last.time"),
        ({"last": replace(START.last, signal=np.zeros(9))}, "last.signal has shape"),
        ({"skip": -1}, "skip"),
        ({"skip": 10**6}, "rate"),
        ({"psd": np.zeros(3)}, "psd"),
        ({"psd": np.ones(4)}, "psd has shape"),
        ({"sampling_frequency": 2048.0}, "rate"),
    ],
)
def test_a_signal_streams_state_must_be_one_that_a_stream_can_have(changes: dict[str, object], said: str) -> None:
    model, state = SignalStreamModel(Smoother()), START

    def goes_on(from_state: object) -> dict[str, np.ndarray]:
        inputs = {"white": np.ones(5000), "state": pack(from_state)}
        return model.infer(model.call(inputs, {"start_time": 100.0, "sampling_frequency": RATE}))

    assert goes_on(state)["signal"].size
    with pytest.raises(RequestError, match=f"no state of this model.*{said}") as caught:
        goes_on(replace(state, **changes))
    assert caught.value.status == 400


def test_a_long_frame_is_worked_on_in_pieces_until_its_deadline() -> None:
    from gwpy.timeseries import TimeSeries

    white = np.random.default_rng(3).normal(size=50_000)  # 49 s
    model, denoiser = SignalStreamModel(Smoother()), Smoother()
    inputs, parameters = {"white": white}, {"start_time": 100.0, "sampling_frequency": RATE}
    state, found = model.first(model.call(inputs, parameters | {"sequence_end": True}))
    expected, sigma, one_by_one = denoiser.denoise(TimeSeries(white, t0=100.0, sample_rate=RATE))
    assert np.allclose(found["signal"], expected.value)
    assert np.allclose(found["sigma"], sigma.value)
    assert found["start_time"] == [100.0]
    assert found["time"].size == len(one_by_one)
    assert state.next_time == pytest.approx(100.0 + 50_000 / RATE)
    with pytest.raises(RequestError, match="time-out") as caught:
        model.first(model.call(inputs, parameters, deadline=0.0))
    assert caught.value.status == 504


def test_the_last_frame_brings_all_out_without_a_sequence_too() -> None:
    model, white = SignalStreamModel(Smoother()), np.ones(5000)
    parameters = {"start_time": 100.0, "sampling_frequency": RATE, "sequence_end": True}
    assert model.infer(model.call({"white": white}, parameters))["signal"].size == white.size


def test_a_signal_streams_clock_is_that_of_its_frames_and_no_sum_of_their_lengths() -> None:
    """Sums of 0.05 s round: at 20 kHz a frame was refused after half a minute, at the time printed as due."""
    model, start, rate = SignalStreamModel(Smoother()), 1126259462.1, 20_000.0
    call = model.call({"white": np.ones(1000)}, {"start_time": start, "sampling_frequency": rate})
    for off in (-0.4, 0.4):
        state, _ = model.advance(segment_stream.start(Smoother(), start + off / rate, rate), call)
        assert state.next_time == start + 0.05
