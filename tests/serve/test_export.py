"""The surrogate's ONNX graph against the surrogate: the same numbers in double precision, NaN outside the domain."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import gwsurrogate_ml as gw
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.serve.export import export_surrogate, knot_table


@pytest.fixture(scope="module", params=["nr22", "nrhm"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    surrogate = gw.load_surrogate(request.param)
    path = export_surrogate(surrogate, tmp_path_factory.mktemp("onnx") / "surrogate.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return surrogate, onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.mark.slow
@pytest.mark.parametrize(("n", "length"), [(1, 1), (7, 400)])
def test_graph_gives_the_surrogates_modes(exported, n: int, length: int) -> None:
    surrogate, session = exported
    rng = np.random.default_rng(n)
    parameters = np.column_stack([rng.uniform(1, 9, n), rng.uniform(-0.8, 0.8, (n, 2))])
    # The spline's interval is looked up, so times in any order, on the knots, and at both ends.
    times = np.concatenate([rng.uniform(-21_000, 100, length), surrogate.knots[3::40], [surrogate.t_join, surrogate.t_max]])
    (found,) = session.run(None, {"parameters": parameters, "times": times})
    expected = surrogate.batch(torch.from_numpy(parameters), torch.from_numpy(times)).numpy()
    assert found.dtype == np.float64
    assert np.abs(found[..., 0] + 1j * found[..., 1] - expected).max() < 1e-11  # 7e-13 seen; single precision would give 2e-6


@pytest.mark.slow
def test_graph_gives_nan_outside_the_domain(exported) -> None:
    surrogate, session = exported
    parameters = np.array([[1.5, 0.3, -0.1], [0.9, 0.0, 0.0], [1.5, 0.3, 1.5], [np.nan, 0.0, 0.0]])
    times = np.array([0.0, surrogate.t_join - 1.0, surrogate.t_max + 1.0])
    (found,) = session.run(None, {"parameters": parameters, "times": times})
    assert np.isfinite(found[0, :, 0]).all()
    assert np.isnan(found[0, :, 1:]).all()
    assert np.isnan(found[1:]).all()


@pytest.mark.slow
def test_file_says_what_it_is(exported) -> None:
    surrogate, session = exported
    about = json.loads(session.get_modelmeta().custom_metadata_map["gwsurrogate_ml"])
    assert about["name"] == surrogate.info["name"]
    assert about["weights_sha256"] == surrogate.info["weights_sha256"]
    assert about["ranges"]["q"]["max"] == surrogate.info["ranges"]["q"]["max"]


def test_bad_paths_and_knots_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "a.pt", tmp_path / "missing" / "a.onnx"):
        with pytest.raises(ConfigError, match=r"\.onnx"):
            export_surrogate(gw.load_surrogate("nr22"), path)
    with pytest.raises(DataError, match="closer than 1 M"):
        knot_table(np.array([0.0, 0.5, 2.0]))
