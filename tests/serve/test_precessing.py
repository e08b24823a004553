"""The precessing surrogate over the service: numbers of the surrogate, and 4xx that name the culprit."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tritonclient.http import InferenceServerClient
from tritonclient.utils import InferenceServerException

import gwsurrogate_ml as gw
from gwsurrogate_ml.serve import create_app, serve_model
from gwsurrogate_ml.serve.precessing import BINARY_COLUMNS
from gwsurrogate_ml.serve.protocol import RequestError
from tests.serve.material import tensor

BINARY = [39.0, 26.0, 0.6, 0.4, 1.0, 0.7, 0.3, 1.0, 410.0, 0.8, 1.2]
SPINS = [1.5, 0.3, 0.2, 0.1, 0.0, 0.4, -0.2]


@pytest.fixture(scope="module")
def client() -> Iterator[InferenceServerClient]:
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(create_app(serve_model("nrphm")), log_level="critical"))
    sock = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with InferenceServerClient(f"127.0.0.1:{sock.getsockname()[1]}", network_timeout=60) as client:
        yield client
    server.should_exit = True
    thread.join(10)


def ask(
    client: InferenceServerClient, model: str, rows: list[list[float]], parameters: dict[str, float], **more: np.ndarray
) -> dict[str, np.ndarray]:
    inputs = {"parameters": np.array(rows, dtype=float), **more}
    answer = client.infer(model, [tensor(name, x) for name, x in inputs.items()], parameters=parameters)
    return {output["name"]: answer.as_numpy(output["name"]) for output in answer.get_response()["outputs"]}


def refusal(client: InferenceServerClient, *request: Any, **more: np.ndarray) -> str:
    with pytest.raises(InferenceServerException) as caught:
        ask(client, *request, **more)
    assert int(caught.value.status()) == 400
    return caught.value.message()


def test_polarizations_are_those_of_the_surrogate_on_one_grid(client: InferenceServerClient) -> None:
    heavier = [55.0, 40.0, *BINARY[2:]]
    found = ask(client, "nrphm-polarizations", [BINARY, heavier], {"f_ref": 30.0, "sampling_frequency": 2048.0})
    sur = gw.load_surrogate("nrphm")
    for row, binary in enumerate((BINARY, heavier)):
        expected = sur.polarizations(
            **dict(zip(BINARY_COLUMNS, binary, strict=True)), f_min=20.0, f_ref=30.0, sampling_frequency=2048.0
        )
        for name, series in zip(("h_plus", "h_cross"), expected, strict=True):
            first = round((series.t0.value - float(found["start_time"][0])) * 2048)
            part = found[name][row, first : first + len(series)]
            np.testing.assert_allclose(part, series.value, atol=1e-5 * np.abs(series.value).max())
            assert not found[name][row, :first].any()


def test_modes_are_those_of_the_surrogate_with_both_signs_of_m(client: InferenceServerClient) -> None:
    times = np.linspace(-500.0, 50.0, 12)
    wide = [1.2, 0.85, 0.0, 0.0, 0.0, 0.0, 0.1]
    found = ask(client, "nrphm", [SPINS, wide], {"t_ref": -2000.0}, times=times)
    assert found["in_range"].tolist() == [True, False]
    modes = gw.load_surrogate("nrphm")(SPINS[0], SPINS[1:4], SPINS[4:], -2000.0, times=times)
    lm = [tuple(pair) for pair in found["lm"].tolist()]
    for key in ((2, 2), (2, -1), (4, -4)):
        both = found["modes"][0, lm.index(key)]
        np.testing.assert_allclose(both[:, 0] + 1j * both[:, 1], modes[key], atol=1e-6)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (0, 200.0, ("row 1", "q", "[1, 6]")),
        (2, 0.95, ("row 1", "chi1", "[0, 0.9]")),
        (2, -0.2, ("row 1", "a_1", "tilt")),
        (4, float("nan"), ("row 1", "tilt_1")),
        (8, 0.0, ("row 1", "luminosity_distance")),
        (0, 9.0, ("row 1",)),
    ],
)
def test_a_binary_beyond_the_model_is_a_400_that_names_it(
    client: InferenceServerClient, place: int, value: float, said: tuple[str, ...]
) -> None:
    beyond = list(BINARY)
    beyond[place] = value
    error = refusal(client, "nrphm-polarizations", [BINARY, beyond], {})
    for words in said:
        assert words in error


@pytest.mark.parametrize(
    ("model", "rows", "parameters", "said"),
    [
        ("nrphm-polarizations", [BINARY], {"f_ref": 600.0}, ("f_ref", "total masses")),
        ("nrphm-polarizations", [BINARY], {"f_min": 2.0}, ("2 Hz", "smallest total mass")),
        ("nrphm-polarizations", [BINARY], {"f_refs": 30.0}, ("f_refs", "f_ref")),
        ("nrphm-polarizations", [BINARY[:7]], {}, ("parameters", "[-1, 11]")),
        ("nrphm-polarizations", [BINARY], {"sampling_frequency": 256.0}, ("sampling_frequency",)),
        ("nrphm", [SPINS], {}, ("t_ref",)),
        ("nrphm", [SPINS], {"t_ref": 30.0}, ("row 0", "t_ref")),
        ("nrphm", [[0.5, *SPINS[1:]]], {"t_ref": -900.0}, ("row 0", "q")),
    ],
)
def test_bad_requests_are_refused_by_name(
    client: InferenceServerClient, model: str, rows: list[list[float]], parameters: dict[str, float], said: tuple[str, ...]
) -> None:
    times = {"times": np.array([-10.0, 0.0])} if model == "nrphm" else {}
    error = refusal(client, model, rows, parameters, **times)
    for words in said:
        assert words in error


def test_work_ends_at_the_deadline_and_long_answers_are_refused_before_they_are_made() -> None:
    modes, polarizations = serve_model("nrphm")
    with pytest.raises(RequestError, match="time-out"):
        modes.infer(
            modes.call({"parameters": np.array([SPINS]), "times": np.zeros(1)}, {"t_ref": -900.0}, deadline=time.monotonic() - 1.0)
        )
    with pytest.raises(RequestError, match="answer would take"):
        polarizations.infer(polarizations.call({"parameters": np.array([BINARY] * 300)}, {}, max_bytes=1e6))
