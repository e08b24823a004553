"""The service, asked by the stock tritonclient: models, streams, errors, limits."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from gwpy.timeseries import TimeSeries
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

import gwsurrogate_ml as gw
from gwsurrogate_ml.denoise.witness.bench.mock import preset
from gwsurrogate_ml.serve import Limits, create_app, serve_model
from gwsurrogate_ml.serve.streams import WitnessStream
from tests.serve.material import RATE, Sleeper, tensor

LIMITS = Limits(request_bytes=8_000_000, answer_bytes=30_000_000, timeout=120.0, queue=4, sequences=3, idle=300.0, workers=2)


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
    result = client.infer("nr22", [tensor("parameters", parameters, binary), tensor("times", times, binary)], outputs=outputs)
    modes = result.as_numpy("modes")
    sur = gw.load_surrogate("nr22")
    for row, (q, chi1, chi2) in zip(modes, parameters, strict=True):
        assert np.allclose(row[0, :, 0] + 1j * row[0, :, 1], sur(q=q, chi1=chi1, chi2=chi2, times=times)[2, 2], rtol=1e-9)
    assert result.as_numpy("lm").tolist() == [[2, 2]]
    assert result.as_numpy("in_range").tolist() == [True, True]


def test_polarizations_of_a_batch_lie_on_one_grid(client: InferenceServerClient) -> None:
    rows = np.array([[36, 29, 0.3, -0.1, 410, 0.4, 1.2], [50, 45, 0.0, 0.6, 800, 2.0, 0.2]])
    result = client.infer("nr22-polarizations", [tensor("parameters", rows)], parameters={"sampling_frequency": 2048, "f_min": 25})
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
        assert np.allclose(stream[delay:], expected.strain, rtol=0, atol=1e-12 * np.ptp(stream))
        assert np.concatenate([r.as_numpy("weight") for r in got[name]]).max() == 1.0
        assert got[name][0].as_numpy("start_time")[0] == pytest.approx(float(data.strain.t0.value) - cleaner.latency)
    with pytest.raises(InferenceServerException, match="no open sequence '7'") as caught:
        client.infer("mock-cleaner", pieces[7][0][1], sequence_id=7, parameters={"start_time": 0.0})
    assert status(caught) == 404


def test_a_client_can_keep_the_state_itself_and_go_on_elsewhere(client: InferenceServerClient, cleaner: gw.WitnessCleaner) -> None:
    data = preset("sidebands_only", sampling_frequency=RATE).draw(12.0, seed=8)
    pieces, out, state = frames(data, cleaner, 1024), [], []
    for i, (start, inputs) in enumerate(pieces):
        if i % 2:  # every other frame through a sequence that begins from the state
            result = client.infer(
                "mock-cleaner", inputs + state, sequence_id=5, sequence_start=True, sequence_end=i == len(pieces) - 1,
                parameters={"start_time": start}, outputs=[InferRequestedOutput("strain"), InferRequestedOutput("state")],
            )  # fmt: skip
        else:
            result = client.infer("mock-cleaner", inputs + state, parameters={"start_time": start})
        out.append(result.as_numpy("strain"))
        state = [tensor("state", result.as_numpy("state"), datatype="UINT8")]
    stream, delay = np.concatenate(out), cleaner.plan.delay
    expected = cleaner.apply(data.strain, data.witnesses)
    assert np.allclose(stream[delay:], expected.strain, rtol=0, atol=1e-12 * np.ptp(stream))
    foreign = [tensor("state", np.zeros(40, np.uint8), datatype="UINT8")]
    with pytest.raises(InferenceServerException, match="no state of this model"):
        client.infer("mock-cleaner", pieces[0][1] + foreign, parameters={"start_time": 0.0})


def test_a_frame_that_fails_leaves_the_stream_as_it_was(client: InferenceServerClient, cleaner: gw.WitnessCleaner) -> None:
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


@pytest.mark.slow
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


def binary() -> dict[str, Any]:
    tensors = [("parameters", [1, 3], [[1.5, 0, 0]]), ("times", [1], [0])]
    return {"inputs": [{"name": name, "shape": shape, "datatype": "FP64", "data": data} for name, shape, data in tensors]}


def post(url: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and answer of a request that no client shaped."""
    request = urllib.request.Request(f"http://{url}{path}", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.parametrize(
    ("path", "body", "headers", "code", "said"),
    [
        ("/v2/models/nr22/infer", b"{", {}, 400, "JSON"),
        ("/v2/models/nr22/versions/9/infer", b"{}", {}, 404, "version"),
        ("/v1/models", None, {}, 404, ""),
        ("/v2/models/nr22/infer", None, {}, 405, ""),
        ("/v2/models/nr22/infer", b"{}", {"Content-Encoding": "br"}, 415, "br"),
        # A digit, no number.
        ("/v2/models/nr22/infer", b"{}", {"Inference-Header-Content-Length": "\xb2"}, 400, "'²'"),
    ],
)
def test_raw_http_gets_the_protocols_errors(
    url: str, path: str, body: bytes | None, headers: dict[str, str], code: int, said: str
) -> None:
    status, answer = post(url, path, body, **headers)
    assert (status, list(answer)) == (code, ["error"])
    assert said in answer["error"]


def test_a_request_in_plain_json_is_answered_in_json(url: str) -> None:
    status, answer = post(url, "/v2/models/nr22/infer", json.dumps(binary()).encode())
    assert status == 200
    assert answer["outputs"][0]["shape"] == [1, 1, 1, 2]


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
    code, answer = post(url, f"/v2/models/{model}/infer", f'{{{changes}, "inputs": {inputs}}}'.encode())
    assert (code // 100, said in answer["error"]) == (4, True), answer


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


def test_no_more_sequences_than_allowed(client: InferenceServerClient, cleaner: gw.WitnessCleaner) -> None:
    data = preset("sidebands_only", sampling_frequency=RATE).draw(2.0, seed=8)
    ((start, inputs),) = frames(data, cleaner, 1024)[:1]
    for name in ("a", "b", "c"):
        client.infer("mock-cleaner", inputs, sequence_id=name, sequence_start=True, parameters={"start_time": start})
    with pytest.raises(InferenceServerException, match="3 sequences are open") as caught:
        client.infer("mock-cleaner", inputs, sequence_id="d", sequence_start=True, parameters={"start_time": start})
    assert status(caught) == 503
    for name in ("a", "b", "c"):
        client.infer("mock-cleaner", inputs, sequence_id=name, sequence_end=True, parameters={"start_time": start + 1024 / RATE})
