"""Clients other than Triton's: requests as MLServer's codecs write them (see mlserver_requests.py), curl, bodies full of nulls."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.serve import create_app, serve_model
from gwsurrogate_ml.serve.precessing import BINARY_COLUMNS, PrecessingPolarizations
from gwsurrogate_ml.serve.protocol import RequestError, decode

REQUESTS = json.loads(Path(__file__).with_name("mlserver_requests.json").read_text())
MODES, TIMES = np.array([[1.5, 0.3, -0.1], [4.0, 0.0, 0.5]]), np.linspace(-100.0, 50.0, 4)
SERVING = Path(__file__).parents[2] / "docs" / "how-to" / "serving.md"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(create_app(serve_model("nr22")), log_level="critical"))
    sock = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def ask(url: str, model: str, request: object) -> dict[str, Any]:
    body = json.dumps(request).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"{url}/v2/models/{model}/infer", body)) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error) | {"status": error.code}


def arrays(answer: dict[str, Any]) -> dict[str, np.ndarray]:
    """As MLServer's NumpyCodec decodes outputs: the data, reshaped."""
    return {entry["name"]: np.array(entry["data"]).reshape(entry["shape"]) for entry in answer["outputs"]}


def expected(times: np.ndarray = TIMES) -> np.ndarray:
    sur = gw.load_surrogate("nr22")
    series = np.array([sur(q=q, chi1=a, chi2=b, times=times)[2, 2] for q, a, b in MODES])
    return np.stack([series.real, series.imag], axis=-1)[:, None]


@pytest.mark.exchange("clients of the service", "KServe v2 JSON, numpy's codec", "MLServer 1.7.1, recorded", "read")
def test_arrays_of_numpys_codec_are_answered_in_kind(url: str) -> None:
    assert [entry["shape"] for entry in REQUESTS["arrays"]["inputs"]] == [[2, 3], [4, 1]]  # a vector is a column there
    answer = ask(url, "nr22", REQUESTS["arrays"])
    found = arrays(answer)
    assert list(found) == ["modes", "in_range"]  # as asked for
    np.testing.assert_allclose(found["modes"], expected(), rtol=0, atol=1e-12)
    assert answer["id"] == "7"
    assert all(entry["parameters"] == {"content_type": "np"} for entry in answer["outputs"])


@pytest.mark.parametrize("name", ["arrays of other types", "a table and an array"])
@pytest.mark.exchange("clients of the service", "KServe v2 JSON, pandas' codec", "MLServer 1.7.1, recorded", "read")
def test_other_types_and_tables_give_the_same_modes(url: str, name: str) -> None:
    times = TIMES if "table" in name else np.array([-100.0, 0.0])
    found = arrays(ask(url, "nr22", REQUESTS[name]))["modes"]
    np.testing.assert_allclose(found, expected(times), rtol=0, atol=1e-6 if "types" in name else 1e-12)


def test_an_array_alone_and_a_table_give_the_same_polarizations(url: str) -> None:
    one, other = (arrays(ask(url, "nr22-polarizations", REQUESTS[name])) for name in ("an array alone", "a table"))
    sur = gw.load_surrogate("nr22")
    names = [entry["name"] for entry in REQUESTS["a table"]["inputs"]]
    row = dict(zip(names, (entry["data"][1] for entry in REQUESTS["a table"]["inputs"]), strict=True))
    start, plus, _ = sur.strain(**row, f_min=25.0, sampling_frequency=2048.0)
    at = round((start - one["start_time"][0]) * 2048)
    for found in (one, other):
        np.testing.assert_array_equal(found["h_plus"][1, at : at + plus.size], plus)


def test_a_table_holds_precessing_binaries_too() -> None:
    model = PrecessingPolarizations(gw.load_surrogate("nrphm"))
    row = dict(zip(BINARY_COLUMNS, (36, 29, 0.5, 0.4, 1.0, 0.7, 2.0, 0.3, 410.0, 0.4, 1.2), strict=True))
    columns = {name: np.array([[value]]) for name, value in reversed(row.items())}  # whatever their order
    call = model.call(columns, {"sampling_frequency": 2048})
    np.testing.assert_array_equal(call.inputs["parameters"], [list(row.values())])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("an array alone of two", "needs the inputs parameters and times, and 'input-1' does not say which"),
        ("a table with words", "column 'chi1' is BYTES of shape"),
        ("a table that lacks a column", "the table lacks chi1: the columns of 'parameters' are q, chi1, chi2"),
        ("words", "'parameters' has shape"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(url: str, name: str, said: str) -> None:
    answer = ask(url, "nr22", REQUESTS[name])
    assert answer["status"] == 400
    assert said in answer["error"]


def test_a_time_that_is_no_number_gives_no_number(url: str) -> None:
    answer = ask(url, "nr22", REQUESTS["arrays, one NaN"])
    assert answer.get("status") == 400 or np.isnan(np.array(arrays(answer)["modes"], float)[:, :, 1]).all()


def with_nulls(request: dict[str, Any]) -> dict[str, Any]:
    """What pydantic's own serialisation adds, and clients in other languages: every optional field, null where it is not set."""
    head = {"id": None, "parameters": None, "outputs": None} | request
    empty = {"content_type": None, "headers": None}
    head["inputs"] = [{"parameters": None} | entry for entry in head["inputs"]]
    for owner in (head, *head["inputs"]):
        owner["parameters"] = owner["parameters"] and empty | owner["parameters"]
    return head


@pytest.mark.parametrize("name", ["arrays of other types", "a table and an array"])
def test_null_is_as_good_as_left_out(url: str, name: str) -> None:
    full = with_nulls(REQUESTS[name])
    assert '"parameters": null' in json.dumps(full)
    assert ask(url, "nr22", full) == ask(url, "nr22", REQUESTS[name])
    bare = with_nulls({"inputs": [{key: entry[key] for key in ("name", "shape", "datatype", "data")} for entry in full["inputs"]]})
    answer = ask(url, "nr22", bare)
    assert arrays(answer)["modes"].shape[0] == 2
    assert not any("parameters" in entry for entry in answer["outputs"])  # nobody asked for codecs


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parameters": []}, "parameters is not a JSON object"),
        ({"outputs": [{"name": "modes", "parameters": {"classification": 3}}]}, "classification"),
        ({"outputs": [{"name": "modes", "parameters": {"shared_memory_region": "r"}}]}, "output 'modes' is in shared memory"),
    ],
)
def test_what_the_service_has_not_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        decode(json.dumps(REQUESTS["arrays"] | change).encode())


def test_inputs_in_shared_memory_are_refused() -> None:
    entry = {"name": "times", "shape": [4], "datatype": "FP64", "parameters": {"shared_memory_region": "r"}}
    with pytest.raises(RequestError, match="input 'times' is in shared memory"):
        decode(json.dumps({"inputs": [entry]}).encode())


def test_health_says_so_in_its_body_too(url: str) -> None:
    """KServe's own client reads the bodies."""
    for path, said in {
        "health/live": {"live": True},
        "health/ready": {"ready": True},
        "models/nr22/ready": {"name": "nr22", "ready": True},
    }.items():
        with urllib.request.urlopen(f"{url}/v2/{path}") as answer:
            assert json.load(answer) == said


@pytest.mark.process
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.exchange("clients of the service", "KServe v2 JSON", "curl, `serving.md`", "round trip")
def test_the_documentations_call_of_curl_works(url: str, tmp_path: Path) -> None:
    (command,) = re.findall(r"```sh\n(curl .*?)```", SERVING.read_text(), flags=re.DOTALL)
    command = command.replace("127.0.0.1:8000", url.removeprefix("http://"))
    done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, check=True, cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert arrays(answer)["modes"].shape == (1, 1, 3, 2)
