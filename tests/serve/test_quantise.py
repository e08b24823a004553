"""A small network in 8-bit integers: nearly the same numbers, a quarter of the weights, metadata kept; and refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.serve.quantise import CONVOLUTIONS, convolutions, quantise


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions with a rectifier between them, made by hand."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(32, 1, 33)).astype(np.float32), 0.1 * rng.normal(size=(1, 32, 33)).astype(np.float32)]
    make = onnx.helper
    nodes = [
        make.make_node("Conv", ["white", "w0"], ["a"], name="first", pads=[16, 16]),
        make.make_node("Relu", ["a"], ["b"], name="relu"),
        make.make_node("Conv", ["b", "w1"], ["signal"], name="last", pads=[16, 16]),
    ]
    ends = [make.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 1, 512]) for n in ("white", "signal")]
    tensors = [onnx.numpy_helper.from_array(w, f"w{i}") for i, w in enumerate(weights)]
    model = make.make_model(make.make_graph(nodes, "g", ends[:1], ends[1:], tensors), opset_imports=[make.make_opsetid("", 18)])
    model.ir_version = 9
    make.set_model_props(model, {"gwsurrogate_ml": json.dumps({"name": "small"}), "other": "x"})
    path = tmp_path_factory.mktemp("network") / "float.onnx"
    onnx.save(model, path)
    return path


def examples(n: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [{"white": rng.normal(size=(1, 1, 512)).astype(np.float32)} for _ in range(n)]


def run(path: Path, inputs: dict[str, np.ndarray]) -> np.ndarray:
    import onnxruntime

    return np.asarray(onnxruntime.InferenceSession(str(path)).run(None, inputs)[0])


def test_integers_give_nearly_the_same_numbers(network: Path, tmp_path: Path) -> None:
    small = quantise(network, tmp_path / "int8.onnx", examples(8))
    for inputs in examples(3, seed=1):
        one, other = run(network, inputs), run(small, inputs)
        error = np.linalg.norm(one - other) / np.linalg.norm(one)
        assert 1e-5 < error < 0.06  # observed 0.03; zero would mean that nothing was quantised
    model = onnx.load(small)
    weights = [w for w in model.graph.initializer if len(w.dims) == 3]
    assert len(weights) == 2
    assert all(w.data_type == onnx.TensorProto.INT8 for w in weights)
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["other"] == "x"
    assert json.loads(about["gwsurrogate_ml"]) == {
        "name": "small",
        "quantised": {"bits": 8, "operators": list(CONVOLUTIONS)},
    }


def test_what_is_to_be_kept_stays_in_single_precision(network: Path, tmp_path: Path) -> None:
    assert convolutions(network) == ["first", "last"]
    small = quantise(network, tmp_path / "int8.onnx", examples(4), keep=["last"])
    kinds = {w.name: w.data_type for w in onnx.load(small).graph.initializer if len(w.dims) == 3}
    assert kinds["w1"] == onnx.TensorProto.FLOAT
    assert list(kinds.values()).count(onnx.TensorProto.INT8) == 1


def test_what_cannot_be_quantised_is_refused(network: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no examples"):
        quantise(network, tmp_path / "a.onnx", [])
    with pytest.raises(DataError, match="inputs are"):
        quantise(network, tmp_path / "a.onnx", [{"black": np.zeros(3)}])
    with pytest.raises(ConfigError, match=r"\.onnx"):
        quantise(network, tmp_path / "a.bin", examples(1))
    (tmp_path / "b.onnx").write_text("no network")
    with pytest.raises(ConfigError, match="no ONNX file"):
        quantise(tmp_path / "b.onnx", tmp_path / "a.onnx", examples(1))
    assert [path.name for path in tmp_path.iterdir()] == ["b.onnx"]
