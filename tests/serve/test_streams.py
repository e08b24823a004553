"""Streams of witness channels whose state the client keeps: short frames, gaps, states that cannot be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gwpy.timeseries import TimeSeries

import gwsurrogate_ml as gw
from gwsurrogate_ml.denoise.witness.bench.mock import preset
from gwsurrogate_ml.serve.protocol import RequestError
from gwsurrogate_ml.serve.streams import WitnessStream, pack
from tests.serve.material import RATE


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
        model.advance(cleaner.start(50.0), model.call(inputs, {"start_time": 1.7e308}))


@pytest.mark.parametrize("kept_by", ["server", "client"])
def test_the_last_frame_of_a_witness_stream_brings_the_rest_out(cleaner: gw.WitnessCleaner, kept_by: str) -> None:
    model, state, out = WitnessStream(cleaner), None, []
    data = preset("sidebands_only", sampling_frequency=RATE).draw(12.0, seed=8)
    rows = np.stack([data.witnesses[name].value for name in cleaner.plan.channels])
    sizes = [1, 1023, 2048, 3071, 1]  # a frame may be one sample
    for first, size in zip(np.cumsum([0, *sizes[:-1]]), sizes, strict=True):
        part = slice(first, first + size)
        inputs = {"strain": data.strain.value[part], "witnesses": rows[:, part]}
        parameters = {"start_time": float(data.strain.t0.value) + first / RATE, "sequence_end": bool(part.stop == sum(sizes))}
        if kept_by == "client":
            found = model.infer(model.call(inputs | ({} if state is None else {"state": state}), parameters))
            state = found["state"]
        else:
            call = model.call(inputs, parameters)
            state, found = model.first(call) if state is None else model.advance(state, call)
        out.append(found["strain"])
    clean = np.concatenate(out)[cleaner.plan.delay :]
    expected = cleaner.apply(data.strain, data.witnesses).strain
    assert np.allclose(clean, expected, rtol=0, atol=1e-12 * np.ptp(data.strain.value))


def test_a_streams_clock_is_that_of_its_frames_and_no_sum_of_their_lengths(cleaner: gw.WitnessCleaner) -> None:
    """Sums of 100 samples at 1000 Hz round: after some minutes a sample was inserted, or the frame refused as out of order."""
    model, n, start = WitnessStream(cleaner), len(cleaner.plan.channels), 1126259462.1
    for off in (-0.4, 0.4):
        state = cleaner.start(start + off / RATE)
        for missing in (0, 7):
            inputs = {"strain": np.ones(100), "witnesses": np.ones((n, 100))}
            after, found = model.advance(state, model.call(inputs, {"start_time": start + missing / RATE}))
            assert found["strain"].size == 100 + missing
            assert after.next_time == start + missing / RATE + 100 / RATE
