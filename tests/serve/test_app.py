"""The service, asked by the stock tritonclient: models, streams, posterior, errors, limits; and the command."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from gwpy.timeseries import TimeSeries
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult
from tritonclient.utils import InferenceServerException
from typer.testing import CliRunner

import gwsurrogate_ml as gw
from gwsurrogate_ml.cli.main import app
from gwsurrogate_ml.cli.serve import _name_and_path
from gwsurrogate_ml.denoise.witness.bench.mock import preset
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.serve import Limits, ServedModel, create_app, serve_model
from gwsurrogate_ml.serve.base import Call, Tensor
from gwsurrogate_ml.serve.posterior import SCALARS, ServedEstimator
from gwsurrogate_ml.serve.protocol import RequestError
from gwsurrogate_ml.serve.service import Service
from gwsurrogate_ml.serve.streams import WitnessStream, pack
from gwsurrogate_ml.serve.surrogates import SurrogateModes, SurrogatePolarizations

LIMITS = Limits(
    request_bytes=8_000_000, answer_bytes=30_000_000, timeout=20.0, queue=4, sequences=3, idle=30.0, workers=2
)
RATE = 512.0


class Sleeper(ServedModel):
    """Takes the time it is told to, so that queues and time-outs can be seen."""

    name, version = "sleeper", "1"
    inputs, outputs = (Tensor("x", "FP64", (-1,)),), (Tensor("x", "FP64", (-1,)),)
    defaults = {"seconds": 0.0}  # noqa: RUF012

    def infer(self, call: Call) -> dict[str, np.ndarray]:
        time.sleep(call.parameters["seconds"])
        if call.inputs["x"].size == 13:
            raise ZeroDivisionError("a fault of the model's own, with a /secret/path")
        return {"x": call.inputs["x"]}


@pytest.fixture(scope="module")
def cleaner() -> gw.WitnessCleaner:
    data = preset("sidebands_only", sampling_frequency=RATE).draw(128.0, seed=1)
    return gw.WitnessCleaner.fit(data.strain, data.witnesses, bands=[(45.0, 75.0)], name="mock-cleaner")


@pytest.fixture(scope="module")
def url(cleaner: gw.WitnessCleaner) -> Iterator[str]:
    import uvicorn

    models = [*serve_model("nr22"), WitnessStream(cleaner), *serve_model("bbh-signal"), Sleeper()]
    server = uvicorn.Server(uvicorn.Config(create_app(models, LIMITS), log_level="critical"))
    sock = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"127.0.0.1:{sock.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def client(url: str) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(url, concurrency=8, network_timeout=60) as client:
        yield client


def tensor(name: str, array: Any, binary: bool = True, datatype: str = "FP64") -> InferInput:
    array = np.asarray(array, np.float64) if datatype == "FP64" else array
    made = InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def status(caught: pytest.ExceptionInfo[InferenceServerException]) -> int:
    return int(caught.value.status())


def test_health_and_metadata_are_as_the_protocol_says(client: InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("nr22")
    assert client.is_model_ready("nr22", "2")
    assert not client.is_model_ready("nr22", "99")
    assert not client.is_model_ready("nobody")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    metadata = client.get_model_metadata("nr22")
    assert metadata["inputs"][0] == {"name": "parameters", "datatype": "FP64", "shape": [-1, 3]}
    names = {entry["name"] for entry in client.get_model_repository_index()}
    assert names == {"nr22", "nr22-polarizations", "mock-cleaner", "bbh-signal", "sleeper"}


@pytest.mark.parametrize("binary", [True, False])
def test_modes_are_those_of_the_surrogate(client: InferenceServerClient, binary: bool) -> None:
    parameters, times = np.array([[1.5, 0.3, -0.1], [3.0, -0.5, 0.5]]), np.linspace(-500.0, 50.0, 30)
    outputs = [InferRequestedOutput(name, binary_data=binary) for name in ("modes", "lm", "in_range")]
    result = client.infer(
        "nr22", [tensor("parameters", parameters, binary), tensor("times", times, binary)], outputs=outputs
    )
    modes = result.as_numpy("modes")
    sur = gw.load_surrogate("nr22")
    for row, (q, chi1, chi2) in zip(modes, parameters, strict=True):
        assert np.allclose(
            row[0, :, 0] + 1j * row[0, :, 1], sur(q=q, chi1=chi1, chi2=chi2, times=times)[2, 2], rtol=1e-9
        )
    assert result.as_numpy("lm").tolist() == [[2, 2]]
    assert result.as_numpy("in_range").tolist() == [True, True]


def test_polarizations_of_a_batch_lie_on_one_grid(client: InferenceServerClient) -> None:
    rows = np.array([[36, 29, 0.3, -0.1, 410, 0.4, 1.2], [50, 45, 0.0, 0.6, 800, 2.0, 0.2]])
    result = client.infer(
        "nr22-polarizations", [tensor("parameters", rows)], parameters={"sampling_frequency": 2048, "f_min": 25}
    )
    start = result.as_numpy("start_time")[0]
    names = ("mass_1", "mass_2", "chi_1", "chi_2", "luminosity_distance", "theta_jn", "phase")
    for i, row in enumerate(rows):
        given = dict(zip(names, row, strict=True))
        expected = gw.load_surrogate("nr22").polarizations(**given, sampling_frequency=2048, f_min=25)
        for name, series in zip(("h_plus", "h_cross"), expected, strict=True):
            got = TimeSeries(result.as_numpy(name)[i], t0=start, sample_rate=2048)
            at = round((series.t0.value - start) * 2048)
            assert np.array_equal(got.value[at : at + series.size], series.value)
            assert not got.value[:at].any()
            assert not got.value[at + series.size :].any()


def frames(data: Any, cleaner: gw.WitnessCleaner, size: int) -> list[tuple[float, list[InferInput]]]:
    rows = np.stack([data.witnesses[name].value for name in cleaner.plan.channels])
    start = float(data.strain.t0.value)
    return [
        (
            start + at / RATE,
            [tensor("strain", data.strain.value[at : at + size]), tensor("witnesses", rows[:, at : at + size])],
        )
        for at in range(0, data.strain.size, size)
    ]


def test_streams_of_several_clients_are_kept_apart_and_equal_cleaning_at_once(
    client: InferenceServerClient, cleaner: gw.WitnessCleaner
) -> None:
    streams = {7: preset("sidebands_only", sampling_frequency=RATE).draw(16.0, seed=8)}
    streams[8] = preset("sidebands_only", sampling_frequency=RATE).draw(16.0, seed=9)
    pieces = {name: frames(data, cleaner, 1024) for name, data in streams.items()}
    got: dict[int, list[Any]] = {7: [], 8: []}
    n = len(pieces[7])
    for i in range(n):
        for name in streams:
            start, inputs = pieces[name][i]
            got[name].append(
                client.infer(
                    "mock-cleaner", inputs, sequence_id=name, sequence_start=i == 0, sequence_end=i == n - 1,
                    parameters={"start_time": start},
                )
            )  # fmt: skip
    for name, data in streams.items():
        stream = np.concatenate([result.as_numpy("strain") for result in got[name]])
        expected = cleaner.apply(data.strain, data.witnesses)
        delay = cleaner.plan.delay
        assert np.allclose(stream[delay:], expected.strain[: stream.size - delay], rtol=0, atol=1e-12 * np.ptp(stream))
        assert np.concatenate([r.as_numpy("weight") for r in got[name]]).max() == 1.0
        assert got[name][0].as_numpy("start_time")[0] == pytest.approx(float(data.strain.t0.value) - cleaner.latency)
    with pytest.raises(InferenceServerException, match="no open sequence '7'") as caught:
        client.infer("mock-cleaner", pieces[7][0][1], sequence_id=7, parameters={"start_time": 0.0})
    assert status(caught) == 404


def test_a_client_can_keep_the_state_itself_and_go_on_elsewhere(
    client: InferenceServerClient, cleaner: gw.WitnessCleaner
) -> None:
    data = preset("sidebands_only", sampling_frequency=RATE).draw(12.0, seed=8)
    pieces, out, state = frames(data, cleaner, 1024), [], []
    for i, (start, inputs) in enumerate(pieces):
        if i % 2:  # every other frame through a sequence that begins from the state
            result = client.infer(
                "mock-cleaner", inputs + state, sequence_id=5, sequence_start=True, sequence_end=True,
                parameters={"start_time": start}, outputs=[InferRequestedOutput("strain"), InferRequestedOutput("state")],
            )  # fmt: skip
        else:
            result = client.infer("mock-cleaner", inputs + state, parameters={"start_time": start})
        out.append(result.as_numpy("strain"))
        state = [tensor("state", result.as_numpy("state"), datatype="UINT8")]
    stream, delay = np.concatenate(out), cleaner.plan.delay
    expected = cleaner.apply(data.strain, data.witnesses)
    assert np.allclose(stream[delay:], expected.strain[: stream.size - delay], rtol=0, atol=1e-12 * np.ptp(stream))
    foreign = [tensor("state", np.zeros(40, np.uint8), datatype="UINT8")]
    with pytest.raises(InferenceServerException, match="no state of this model"):
        client.infer("mock-cleaner", pieces[0][1] + foreign, parameters={"start_time": 0.0})


def test_a_state_kept_by_the_client_goes_on_through_short_frames_and_gaps(cleaner: gw.WitnessCleaner) -> None:
    model, state = WitnessStream(cleaner), {}
    data = preset("sidebands_only", sampling_frequency=RATE).draw(12.0, seed=8)
    strain, out = data.strain.value.copy(), []
    strain[700:720] = np.nan
    rows = np.stack([data.witnesses[name].value for name in cleaner.plan.channels])
    size = 48  # shorter than the ramp: frames are gathered
    for at in range(0, strain.size, size):
        inputs = {"strain": strain[at : at + size], "witnesses": rows[:, at : at + size]} | state
        found = model.infer(model.call(inputs, {"start_time": float(data.strain.t0.value) + at / RATE}))
        out.append(found["strain"])
        state = {"state": found["state"]}
    stream, delay = np.concatenate(out), cleaner.plan.delay
    expected = cleaner.apply(TimeSeries(strain, t0=data.strain.t0, sample_rate=RATE), data.witnesses).strain
    assert np.isnan(stream[delay + 700 : delay + 720]).all()
    atol = 1e-12 * np.ptp(data.strain.value)
    assert np.allclose(stream[delay:], expected[: stream.size - delay], rtol=0, atol=atol, equal_nan=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"next_time": np.nan}, "next_time is not finite"),
        ({"features": np.full((1, 1536), np.nan)}, "features is not finite"),
        ({"run": np.full((2, 1), -1)}, "run"),
        ({"strain": np.zeros(3)}, "strain has shape"),
        ({"prediction": np.zeros((1, 127))}, "channels and prediction"),
        ({"prediction": np.zeros((1, 129))}, "channels and prediction"),
        ({"raw": np.zeros(9000), "counts": np.ones(9000, bool), "predicted": np.zeros((1, 9000))}, "watch do not fit"),
        ({"counts": np.ones(3, bool)}, "watch do not fit"),
        ({"before": np.ones(3)}, "watch do not fit"),
        ({"gain": np.ones(2)}, "watch.gain has shape"),
        ({"variance": np.full(1, -1.0)}, "watch.variance"),
        ({"sampling_frequency": 1.0}, "another cleaner"),
    ],
)
def test_a_witness_streams_state_must_be_one_that_a_stream_can_have(
    cleaner: gw.WitnessCleaner, changes: dict[str, Any], said: str
) -> None:
    model, state, n = WitnessStream(cleaner), cleaner.start(50.0), len(cleaner.plan.channels)
    of_state = {name: value for name, value in changes.items() if hasattr(state, name)}
    of_watch = {name: value for name, value in changes.items() if name not in of_state}
    broken = replace(state, watch=replace(state.watch, **of_watch), **of_state)
    inputs = {"strain": np.ones(9), "witnesses": np.ones((n, 9))}

    def goes_on(from_state: Any) -> dict[str, np.ndarray]:
        return model.infer(model.call(inputs | {"state": pack(from_state)}, {"start_time": 50.0}))

    assert goes_on(state)["strain"].size == 9
    with pytest.raises(RequestError, match=f"no state of this model.*{said}") as caught:
        goes_on(broken)
    assert caught.value.status == 400


def test_a_start_that_is_no_time_is_refused(cleaner: gw.WitnessCleaner) -> None:
    model = WitnessStream(cleaner)
    inputs = {"strain": np.ones(9), "witnesses": np.ones((len(cleaner.plan.channels), 9))}
    with pytest.raises(RequestError, match="GPS seconds"):
        model.advance(cleaner.start(50.0), model.call(inputs, {"start_time": 1.7e308}), end=False)


def test_a_frame_that_fails_leaves_the_stream_as_it_was(
    client: InferenceServerClient, cleaner: gw.WitnessCleaner
) -> None:
    data = preset("sidebands_only", sampling_frequency=RATE).draw(8.0, seed=8)
    (t0, first), (t1, second), (t2, third), *_ = frames(data, cleaner, 1024)
    keywords = {"model_name": "mock-cleaner", "sequence_id": 11}
    client.infer(inputs=first, sequence_start=True, parameters={"start_time": t0}, **keywords)
    with pytest.raises(InferenceServerException, match="out of order"):
        client.infer(inputs=first, parameters={"start_time": t0}, **keywords)
    short = tensor("witnesses", np.ones((len(cleaner.plan.channels), 3)))
    with pytest.raises(InferenceServerException, match="as many of both"):
        client.infer(inputs=[second[0], short], parameters={"start_time": t1}, **keywords)
    with pytest.raises(InferenceServerException, match="needs the parameter 'start_time'"):
        client.infer(inputs=second, **keywords)
    client.infer(inputs=second, parameters={"start_time": t1}, **keywords)
    result = client.infer(inputs=third, sequence_end=True, parameters={"start_time": t2}, **keywords)
    assert result.as_numpy("start_time")[0] == pytest.approx(t2 - cleaner.latency)


def test_signal_stream_finds_an_injection_and_equals_the_denoiser(client: InferenceServerClient) -> None:
    rate, n = 1024, 8 * 1024
    rng = np.random.default_rng(4)
    hp, _ = gw.load_surrogate("nr22").polarizations(
        mass_1=36, mass_2=29, chi_1=0.2, chi_2=0.1, luminosity_distance=100, theta_jn=0.0, phase=0.3, f_min=25,
        sampling_frequency=rate,
    )  # fmt: skip
    white = rng.normal(size=n)
    signal_in = hp.value / np.sqrt(np.sum(hp.value**2)) * 18.0
    at = 5 * rate - int(-hp.t0.value * rate)
    white[at : at + hp.size] += signal_in
    flat = np.full(513, 1e-46)
    out, probability = [], []
    for first in range(0, n, 2048):
        result = client.infer(
            "bbh-signal", [tensor("white", white[first : first + 2048]), tensor("psd", flat)], sequence_id=3,
            sequence_start=first == 0, sequence_end=first + 2048 >= n,
            parameters={"start_time": 1000 + first / rate, "sampling_frequency": rate, "psd_step": 1.0},
        )  # fmt: skip
        out.append(result.as_numpy("signal"))
        probability += [(t, p) for t, p in zip(result.as_numpy("time"), result.as_numpy("probability"), strict=True)]
    stream = np.concatenate(out)
    expected, _ = gw.load_denoiser()(TimeSeries(white, t0=1000, sample_rate=rate), psd=(np.arange(513.0), flat))
    assert np.allclose(stream, expected.value, atol=1e-6)
    assert max(probability, key=lambda item: item[1])[0] == pytest.approx(1005.0, abs=0.03)
    assert max(p for _, p in probability) > 0.99


@pytest.mark.parametrize(
    ("model", "inputs", "parameters", "code", "said"),
    [
        ("nobody", {}, {}, 404, "no model 'nobody'"),
        ("nr22", {"parameters": [[1.5, 0.3, -0.1]]}, {}, 400, "needs the input 'times'"),
        ("nr22", {"parameters": [[1.5, 0.3]], "times": [0.0]}, {}, 400, "shape"),
        ("nr22", {"parameters": [[1.5, 0.3, 7.0]], "times": [0.0]}, {}, 400, "chi2"),
        ("nr22", {"parameters": [[np.nan, 0.3, 0.0]], "times": [0.0]}, {}, 400, "q"),
        ("nr22", {"parameters": [[1.5, 0.3, 0.0]], "times": [1e9]}, {}, 400, "covers"),
        ("nr22", {"parameters": [[1.5, 0.3, 0.0]], "times": [0.0], "x": [0.0]}, {}, 400, "no input 'x'"),
        ("nr22", {"parameters": [[1.5, 0.3, 0.0]] * 2000, "times": np.zeros(2000)}, {}, 413, "answer would take 64 MB"),
        ("nr22", {"parameters": [[1.5, 0.3, 0.0]], "times": np.zeros(1_100_000)}, {}, 413, "longer than 8000000 bytes"),
        ("nr22-polarizations", {"parameters": np.ones((1, 7))}, {"mass": 3}, 400, "no parameter 'mass'"),
        ("nr22-polarizations", {"parameters": [[36, 29, 0, 0, 400, 0, 0]]}, {"sampling_frequency": 1e9}, 413, "answer"),
        ("nr22-polarizations", {"parameters": [[36, 29, 0, 0, 400, 0, 0]]}, {"f_min": "low"}, 400, "finite number"),
        ("nr22-polarizations", {"parameters": [[36, 29, 0, 0, 400, 0, 0]]}, {"sampling_frequency": 0}, 400, "positive"),
        ("nr22-polarizations", {"parameters": np.ones((0, 7))}, {}, 400, "at least one"),
        ("bbh-signal", {"white": np.zeros(10)}, {"start_time": 0, "sampling_frequency": 100}, 400, "whole rates"),
        ("sleeper", {"x": np.zeros(13)}, {}, 500, "internal error"),
    ],
)  # fmt: skip
def test_bad_requests_are_refused_with_a_reason(
    client: InferenceServerClient, model: str, inputs: dict[str, Any], parameters: dict[str, Any], code: int, said: str
) -> None:
    with pytest.raises(InferenceServerException, match=said) as caught:
        client.infer(model, [tensor(name, array) for name, array in inputs.items()], parameters=parameters)
    assert status(caught) == code
    assert "secret" not in str(caught.value)
    assert client.is_server_ready()


def test_compressed_requests_are_understood_and_their_size_bounded(client: InferenceServerClient) -> None:
    inputs = [tensor("parameters", [[1.5, 0.3, 0.0]]), tensor("times", np.zeros(1000))]
    plain = client.infer("nr22", inputs).as_numpy("modes")
    for algorithm in ("gzip", "deflate"):
        result = client.infer("nr22", inputs, request_compression_algorithm=algorithm)
        assert np.array_equal(result.as_numpy("modes"), plain)
    inputs[1] = tensor("times", np.zeros(1_100_000))
    with pytest.raises(InferenceServerException, match="unpacks to more than 8000000 bytes") as caught:
        client.infer("nr22", inputs, request_compression_algorithm="gzip")
    assert status(caught) == 413


def test_raw_http_gets_the_protocols_errors(url: str) -> None:
    def ask(path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(f"http://{url}{path}", body, headers)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=20)
        return caught.value.code, json.loads(caught.value.read())

    assert ask("/v2/models/nr22/infer", b"{")[0] == 400
    assert ask("/v2/models/nr22/versions/9/infer", b"{}")[0] == 404
    code, error = ask("/v1/models")
    assert (code, list(error)) == (404, ["error"])
    assert ask("/v2/models/nr22/infer")[0] == 405
    assert ask("/v2/models/nr22/infer", b"{}", **{"Content-Encoding": "br"})[0] == 415
    code, error = ask(
        "/v2/models/nr22/infer", b"{}", **{"Inference-Header-Content-Length": "\xb2"}
    )  # a digit, no number
    assert (code, "'²'" in error["error"]) == (400, True)
    tensors = [("parameters", [1, 3], [[1.5, 0, 0]]), ("times", [1], [0])]
    inputs = [{"name": name, "shape": shape, "datatype": "FP64", "data": data} for name, shape, data in tensors]
    body = json.dumps({"inputs": inputs}).encode()
    with urllib.request.urlopen(
        urllib.request.Request(f"http://{url}/v2/models/nr22/infer", body), timeout=20
    ) as answer:
        found = json.loads(answer.read())
    assert found["outputs"][0]["shape"] == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("model", "changes", "said"),
    [
        ("nr22-polarizations", '"parameters": {"f_min": null}', "'f_min' is a NoneType"),
        ("nr22-polarizations", '"parameters": {"f_min": [20]}', "'f_min' is a list"),
        ("nr22-polarizations", '"parameters": {"f_min": 1' + 401 * "0" + "}", "finite number"),
        ("nr22-polarizations", '"parameters": {"f_min": true}', "finite number"),
        ("nr22-polarizations", '"parameters": {"timeout": 1' + 401 * "0" + ', "f_min": -1}', "f_min is -1"),
        ("nr22-polarizations", '"outputs": [{"name": "\\ud800"}]', "no output"),
        ("sleeper", '"parameters": {"sequence_id": "\\ud800"}', "no stream"),
        ("bbh-signal", '"parameters": {"sequence_id": "\\ud800", "start_time": 0, "sampling_frequency": 4096}', "sequence"),
    ],
)  # fmt: skip
def test_what_json_allows_and_the_protocol_does_not_is_refused(url: str, model: str, changes: str, said: str) -> None:
    name, shape = {"sleeper": ("x", [1]), "bbh-signal": ("white", [1])}.get(model, ("parameters", [1, 7]))
    data = [36, 29, 0.3, -0.1, 410, 0.4, 1.2][: shape[-1]]
    inputs = json.dumps([{"name": name, "shape": shape, "datatype": "FP64", "data": data}])
    request = urllib.request.Request(
        f"http://{url}/v2/models/{model}/infer", f'{{{changes}, "inputs": {inputs}}}'.encode()
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=20)
    answer = json.loads(caught.value.read())["error"]
    assert (caught.value.code // 100, said in answer) == (4, True), answer


def test_a_full_queue_refuses_and_late_answers_are_counted(client: InferenceServerClient) -> None:
    def dropped_and_late() -> tuple[int, int]:
        row = client.get_inference_statistics("sleeper")["model_stats"][0]
        return row["dropped"], row["late"]

    before = dropped_and_late()
    waiting = [client.async_infer("sleeper", [tensor("x", [1.0])], parameters={"seconds": 0.6}) for _ in range(4)]
    time.sleep(0.2)
    with pytest.raises(InferenceServerException, match="at work or waiting") as caught:
        client.infer("sleeper", [tensor("x", [1.0])])
    assert status(caught) == 503
    assert client.is_server_ready()  # health is asked past the queue
    assert [w.get_result().as_numpy("x")[0] for w in waiting] == [1.0] * 4
    with pytest.raises(InferenceServerException, match="time-out") as caught:
        client.infer("sleeper", [tensor("x", [1.0])], parameters={"seconds": 0.5}, timeout=100_000)  # microseconds
    assert status(caught) == 504
    after = dropped_and_late()
    assert (after[0] - before[0], after[1] - before[1]) == (1, 1)


def test_work_that_was_given_up_counts_until_it_has_ended() -> None:
    async def ask(service: Service, seconds: float, **more: int) -> None:
        x = {"name": "x", "shape": [1], "datatype": "FP64", "data": [1.0]}
        body = json.dumps({"inputs": [x], "parameters": {"seconds": seconds} | more}).encode()
        await service.infer("sleeper", None, functools.partial(asyncio.sleep, 0, body))

    async def run() -> list[int]:
        service, codes = Service([Sleeper()], Limits(queue=2, workers=1)), []
        late = [ask(service, 0.3, timeout=50_000) for _ in range(2)]  # microseconds; one at work, one waiting
        codes += [error.status for error in await asyncio.gather(*late, return_exceptions=True)]
        with pytest.raises(RequestError, match="at work or waiting") as caught:
            await ask(service, 0.0)
        codes.append(caught.value.status)
        await asyncio.sleep(0.5)
        for _ in range(2):
            await ask(service, 0.0)
        service.close()
        return codes

    assert asyncio.run(run()) == [504, 504, 503]


class Counted:
    """A surrogate that counts the binaries it is asked for, in each call."""

    def __init__(self) -> None:
        self.surrogate, self.rows = gw.load_surrogate("nr22"), []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.surrogate, name)

    def batch(self, parameters: Any, times: Any) -> Any:
        self.rows.append(len(parameters))
        return self.surrogate.batch(parameters, times)

    def time_before_peak(self, **binary: float) -> float:
        self.rows.append(1)
        return self.surrogate.time_before_peak(**binary)


def test_surrogates_look_at_the_clock_between_blocks_of_binaries() -> None:
    counted, times = Counted(), np.linspace(-100.0, 50.0, 7)
    modes, polarizations = SurrogateModes(counted), SurrogatePolarizations(counted)
    binaries = np.column_stack([np.linspace(1.0, 8.0, 600), np.zeros((600, 2))])
    found = modes.infer(modes.call({"parameters": binaries, "times": times}, {}))["modes"]
    expected = counted.surrogate.batch(torch.from_numpy(binaries), torch.from_numpy(times)).numpy()
    assert np.allclose(found[..., 0] + 1j * found[..., 1], expected, rtol=0, atol=1e-13)
    assert max(counted.rows) <= 256
    counted.rows.clear()
    long = modes.call({"parameters": binaries[:2], "times": np.linspace(-100.0, 50.0, 600_000)}, {})
    modes.infer(long)
    assert counted.rows == [1, 1]
    counted.rows.clear()
    rows = np.tile([36, 29, 0.3, -0.1, 410, 0.4, 1.2], (300, 1))
    for model, inputs in ((modes, {"parameters": binaries, "times": times}), (polarizations, {"parameters": rows})):
        with pytest.raises(RequestError, match="time-out"):
            model.infer(model.call(inputs, {}, deadline=time.monotonic() - 1.0))
    with pytest.raises(RequestError, match="answer would take"):
        polarizations.infer(polarizations.call({"parameters": rows}, {}, max_bytes=1e6))
    assert sum(counted.rows) == 1


def test_no_more_sequences_than_allowed(client: InferenceServerClient, cleaner: gw.WitnessCleaner) -> None:
    data = preset("sidebands_only", sampling_frequency=RATE).draw(2.0, seed=8)
    ((start, inputs),) = frames(data, cleaner, 1024)[:1]
    for name in ("a", "b", "c"):
        client.infer("mock-cleaner", inputs, sequence_id=name, sequence_start=True, parameters={"start_time": start})
    with pytest.raises(InferenceServerException, match="3 sequences are open") as caught:
        client.infer("mock-cleaner", inputs, sequence_id="d", sequence_start=True, parameters={"start_time": start})
    assert status(caught) == 503
    for name in ("a", "b", "c"):
        client.infer(
            "mock-cleaner", inputs, sequence_id=name, sequence_end=True, parameters={"start_time": start + 1024 / RATE}
        )


def test_posterior_of_posted_strain_holds_the_truth_and_stops_at_its_deadline() -> None:
    from gwsurrogate_ml.cli.demo import GPS, simulate_data, true_parameters

    (model,) = serve_model("bbh-h1l1")
    service = Service([model], Limits(request_bytes=10_000_000))
    data = simulate_data(seed=6)
    rows = np.stack([data.series[name].value for name in ("H1", "L1")])
    start = float(data.series["H1"].t0.value)
    parameters = {"gps": GPS, "start_time": start, "sampling_frequency": 4096, "n_draws": 1000}

    def ask(**more: Any) -> InferResult:
        inputs = [tensor("strain", rows)]
        body, length = InferenceServerClient.generate_request_body(inputs, parameters=parameters, **more)

        async def read() -> bytes:
            return body

        parts, headers = asyncio.run(service.infer("bbh-h1l1", None, read, "", str(length)))
        return InferResult.from_response_body(
            b"".join(parts), header_length=int(headers["Inference-Header-Content-Length"])
        )

    with pytest.raises(RequestError, match="time-out"):
        ask(timeout=300_000)  # microseconds
    result, truth = ask(), true_parameters()
    names = [name.decode() for name in result.as_numpy("names")]
    summary = json.loads(result.as_numpy("summary")[0])
    draws = dict(zip(names, result.as_numpy("posterior").T, strict=True))
    assert abs(np.median(draws["chirp_mass"]) - truth["chirp_mass"]) < 3 * draws["chirp_mass"].std()
    assert summary["posterior"]["chirp_mass"]["median"] == pytest.approx(np.median(draws["chirp_mass"]))
    assert result.as_numpy("log_bayes_factor")[0] > 50
    parameters["n_draws"] = 10**9
    with pytest.raises(RequestError, match="n_draws"):
        ask()
    service.close()


class Estimate:
    """Stands for the estimator: keeps the seed it got, and finds nothing finite."""

    info = {"name": "stand-in"}  # noqa: RUF012
    config = SimpleNamespace(segment=SimpleNamespace(detectors=("H1", "L1"), duration=4.0, f_min=20.0, f_max=1024.0))
    seed = -1

    def sample(self, segment: Any, n: int, seed: int, progress: Any) -> SimpleNamespace:
        self.seed = seed
        posterior = {"chirp_mass": np.full(n, 28.0)}
        found = {"inference": {"pareto_k": np.float64(np.inf), "seconds": np.array([np.nan, 1.0])}}
        scalars = dict.fromkeys(SCALARS, np.nan)
        return SimpleNamespace(
            posterior=pd.DataFrame(posterior), summary=lambda: found, flags=[], meta={"seed": seed}, **scalars
        )


def test_a_served_posterior_takes_exact_seeds_alone_and_its_summary_is_json() -> None:
    rng, estimator = np.random.default_rng(0), Estimate()
    model = ServedEstimator(estimator)
    inputs = {"strain": 1e-22 * rng.normal(size=(2, 8 * 2048)), "psd": np.full((2, 1025), 1e-46)}
    parameters = {"gps": 4.5, "start_time": 0.0, "sampling_frequency": 2048, "n_draws": 100, "psd_step": 1.0}
    for seed in (-1, 0.5, 2**53, 2**63, 1e30):
        with pytest.raises(RequestError, match=r"seed is .* whole number from 0") as caught:
            model.infer(model.call(inputs, parameters | {"seed": seed}))
        assert caught.value.status == 400
    answer = model.infer(model.call(inputs, parameters | {"seed": 2**53 - 1}))
    assert estimator.seed == 2**53 - 1

    def no_json(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    summary = json.loads(answer["summary"][0], parse_constant=no_json)
    assert summary["inference"] == {"pareto_k": None, "seconds": [None, 1.0]}


@pytest.mark.process
def test_the_command_serves_at_loopback_until_terminated() -> None:
    words = [sys.executable, "-m", "gwsurrogate_ml.cli.main", "serve", "--model", "nr22", "--port", "0"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving nr22, nr22-polarizations at http://127.0.0.1:")
        with InferenceServerClient(line.split("//")[1].split("/")[0]) as client:
            assert client.is_model_ready("nr22")
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        assert "Traceback" not in process.stderr.read()
    finally:
        process.kill()
        process.communicate()


def test_two_cleaners_of_one_name_are_refused_before_the_start_and_the_remedy_serves_both(
    cleaner: gw.WitnessCleaner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import uvicorn

    started: list[uvicorn.Server] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: started.append(server))
    folders = [str(cleaner.save(tmp_path / day / "model")) for day in ("monday", "tuesday")]
    words = ["serve", "--port", "0", "--model", folders[0], "--model"]
    refused = CliRunner().invoke(app, [*words, folders[1]])
    assert refused.exit_code == 2
    assert not started
    message = " ".join(refused.stderr.split())
    assert all(said in message for said in ("two models", "'mock-cleaner'", *folders, "leave one out"))
    remedy = re.findall(r"such as --model (\S+)", message)[0]
    assert remedy == f"mock-cleaner-2={folders[1]}"
    served = CliRunner().invoke(app, [*words, remedy])
    assert served.exit_code == 0, served.stderr
    assert "serving mock-cleaner, mock-cleaner-2 at" in served.stdout
    assert len(started) == 1


def test_a_model_is_asked_for_by_the_name_it_is_served_as() -> None:
    modes, polarizations = serve_model("nr22", "mine")
    served = Service([modes, polarizations, *serve_model("nr22")], Limits())
    assert list(served.models) == ["mine", "mine-polarizations", "nr22", "nr22-polarizations"]
    assert served.model("mine").metadata()["name"] == "mine"
    with pytest.raises(ConfigError, match="two models have the name 'mine'"):
        create_app([modes, *serve_model("bbh-signal", "mine")])
    with pytest.raises(ConfigError, match="cannot stand in an address"):
        serve_model("nr22", "my model")


def test_a_folder_with_an_equals_sign_in_its_name_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a=b"
    folder.mkdir()
    assert _name_and_path(str(folder)) == (None, str(folder))
    assert _name_and_path(f"mine={folder}") == ("mine", str(folder))
