"""ONNX files: names are refused before any work, metadata come back, what is none of ours is told apart."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml import onnx_file
from gwsurrogate_ml.errors import ArtifactError, ConfigError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def model():
    from onnx import TensorProto, helper

    one = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "negative", one[:1], one[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", onnx_file.OPSET)], ir_version=10)


def test_a_file_is_written_with_metadata_and_runs(model, tmp_path):
    path = onnx_file.write(model, onnx_file.target(tmp_path / "a.onnx"), {"name": "a"})
    session, about = onnx_file.session(path, "model", "name")
    assert about == {"name": "a"}
    np.testing.assert_array_equal(session.run(None, {"x": np.array([1.0, -2.0], np.float32)})[0], [-1.0, 2.0])
    assert [p.name for p in tmp_path.iterdir()] == ["a.onnx"]


@pytest.mark.parametrize("name", ["a.pt", "missing/a.onnx"])
def test_a_name_that_cannot_be_is_refused(name, tmp_path):
    with pytest.raises(ConfigError, match=r"name a \.onnx file"):
        onnx_file.target(tmp_path / name)


def test_a_model_that_onnx_finds_wrong_leaves_nothing_behind(model, tmp_path):
    model.graph.node[0].op_type = "NoSuchThing"
    with pytest.raises(onnx.checker.ValidationError):
        onnx_file.write(model, tmp_path / "a.onnx", {})
    assert list(tmp_path.iterdir()) == []


def test_files_of_others_and_missing_keys_are_told(model, tmp_path):
    (tmp_path / "text.onnx").write_text("no graph")
    onnx.save(model, tmp_path / "bare.onnx")
    onnx_file.write(model, tmp_path / "other.onnx", {"name": "a"})
    for name in ("text.onnx", "bare.onnx", "other.onnx", "none.onnx"):
        with pytest.raises(ArtifactError, match=f"{name} is no denoiser"):
            onnx_file.session(tmp_path / name, "denoiser", "search")


def test_what_is_not_installed_is_named():
    with pytest.raises(ConfigError, match=r"this needs not_there: pip install gwsurrogate-ml\[serve\]"):
        onnx_file.require("this", "json", "not_there")
