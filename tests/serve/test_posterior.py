"""The served posterior: what a client posts and gets, seeds, deadlines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tritonclient.http import InferenceServerClient, InferResult

from gwsurrogate_ml.cli.demo import GPS, simulate_data, true_parameters
from gwsurrogate_ml.serve import Limits, serve_model
from gwsurrogate_ml.serve.posterior import SCALARS, ServedEstimator
from gwsurrogate_ml.serve.protocol import RequestError
from gwsurrogate_ml.serve.service import Service
from tests.serve.material import tensor

SLOW_FIXTURES = ("service",)


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    (model,) = serve_model("bbh-h1l1")
    service = Service([model], Limits(request_bytes=10_000_000))
    yield service
    service.close()


@pytest.fixture(scope="module")
def strain() -> tuple[np.ndarray, float]:
    """Of the demo, (2, samples), and the time of its first sample."""
    data = simulate_data(seed=6)
    return np.stack([data.series[name].value for name in ("H1", "L1")]), float(data.series["H1"].t0.value)


def ask(service: Service, strain: tuple[np.ndarray, float], n_draws: int = 1000, **more: Any) -> InferResult:
    """The answer to a request as the stock client writes it."""
    parameters = {"gps": GPS, "start_time": strain[1], "sampling_frequency": 4096, "n_draws": n_draws}
    inputs = [tensor("strain", strain[0])]
    body, length = InferenceServerClient.generate_request_body(inputs, parameters=parameters, **more)

    async def read() -> bytes:
        return body

    parts, headers = asyncio.run(service.infer("bbh-h1l1", None, read, "", str(length)))
    return InferResult.from_response_body(b"".join(parts), header_length=int(headers["Inference-Header-Content-Length"]))


def test_posterior_of_posted_strain_holds_the_truth(service: Service, strain: tuple[np.ndarray, float]) -> None:
    result, truth = ask(service, strain), true_parameters()
    names = [name.decode() for name in result.as_numpy("names")]
    summary = json.loads(result.as_numpy("summary")[0])
    draws = dict(zip(names, result.as_numpy("posterior").T, strict=True))
    assert abs(np.median(draws["chirp_mass"]) - truth["chirp_mass"]) < 3 * draws["chirp_mass"].std()
    assert summary["posterior"]["chirp_mass"]["median"] == pytest.approx(np.median(draws["chirp_mass"]))
    assert result.as_numpy("log_bayes_factor")[0] > 50


def test_sampling_stops_at_the_deadline_of_the_request(service: Service, strain: tuple[np.ndarray, float]) -> None:
    with pytest.raises(RequestError, match="time-out"):
        ask(service, strain, timeout=300_000)  # microseconds


def test_more_draws_than_are_served_are_refused(service: Service, strain: tuple[np.ndarray, float]) -> None:
    with pytest.raises(RequestError, match="n_draws"):
        ask(service, strain, n_draws=10**9)


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
        return SimpleNamespace(posterior=pd.DataFrame(posterior), summary=lambda: found, flags=[], meta={"seed": seed}, **scalars)


INPUTS = {"strain": 1e-22 * np.random.default_rng(0).normal(size=(2, 8 * 2048)), "psd": np.full((2, 1025), 1e-46)}
PARAMETERS = {"gps": 4.5, "start_time": 0.0, "sampling_frequency": 2048, "n_draws": 100, "psd_step": 1.0}


@pytest.mark.parametrize("seed", [-1, 0.5, 2**53, 2**63, 1e30])
def test_a_seed_that_a_float_does_not_hold_exactly_is_refused(seed: float) -> None:
    model = ServedEstimator(Estimate())
    with pytest.raises(RequestError, match=r"seed is .* whole number from 0") as caught:
        model.infer(model.call(INPUTS, PARAMETERS | {"seed": seed}))
    assert caught.value.status == 400


def test_the_largest_exact_seed_is_the_estimators() -> None:
    model = ServedEstimator(estimator := Estimate())
    model.infer(model.call(INPUTS, PARAMETERS | {"seed": 2**53 - 1}))
    assert estimator.seed == 2**53 - 1


def test_numbers_that_are_not_finite_are_null_in_the_summary() -> None:
    model = ServedEstimator(Estimate())
    answer = model.infer(model.call(INPUTS, PARAMETERS))

    def no_json(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    summary = json.loads(answer["summary"][0], parse_constant=no_json)
    assert summary["inference"] == {"pareto_k": None, "seconds": [None, 1.0]}
