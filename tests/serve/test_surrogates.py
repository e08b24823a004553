"""Surrogates of the service do many binaries in blocks: the numbers are the same, and a deadline is kept between them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch

import gwsurrogate_ml as gw
from gwsurrogate_ml.serve.protocol import RequestError
from gwsurrogate_ml.serve.surrogates import SurrogateModes, SurrogatePolarizations

TIMES = np.linspace(-100.0, 50.0, 7)
BINARIES = np.column_stack([np.linspace(1.0, 8.0, 600), np.zeros((600, 2))])
ROWS = np.tile([36, 29, 0.3, -0.1, 410, 0.4, 1.2], (300, 1))


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


@pytest.fixture
def counted() -> Counted:
    return Counted()


def test_many_binaries_are_evaluated_in_blocks_and_come_out_as_together(counted: Counted) -> None:
    modes = SurrogateModes(counted)
    found = modes.infer(modes.call({"parameters": BINARIES, "times": TIMES}, {}))["modes"]
    expected = counted.surrogate.batch(torch.from_numpy(BINARIES), torch.from_numpy(TIMES)).numpy()
    assert np.allclose(found[..., 0] + 1j * found[..., 1], expected, rtol=0, atol=1e-13)
    assert max(counted.rows) <= 256


def test_binaries_of_many_times_are_evaluated_one_by_one(counted: Counted) -> None:
    modes = SurrogateModes(counted)
    modes.infer(modes.call({"parameters": BINARIES[:2], "times": np.linspace(-100.0, 50.0, 600_000)}, {}))
    assert counted.rows == [1, 1]


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [(SurrogateModes, {"parameters": BINARIES, "times": TIMES}), (SurrogatePolarizations, {"parameters": ROWS})],
)
def test_a_deadline_that_has_passed_ends_the_work_before_the_first_block(
    counted: Counted, kind: type, inputs: dict[str, np.ndarray]
) -> None:
    model = kind(counted)
    with pytest.raises(RequestError, match="time-out"):
        model.infer(model.call(inputs, {}, deadline=time.monotonic() - 1.0))
    assert counted.rows == []


def test_an_answer_too_large_is_refused_after_the_first_binary(counted: Counted) -> None:
    model = SurrogatePolarizations(counted)
    with pytest.raises(RequestError, match="answer would take"):
        model.infer(model.call({"parameters": ROWS}, {}, max_bytes=1e6))
    assert counted.rows == [1]
