"""ONNX files: what they must be called, written whole with metadata of ours, and run by ONNX Runtime on one thread."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gwsurrogate_ml.errors import ArtifactError, ConfigError
from gwsurrogate_ml.files import whole_file

OPSET = 18
PROPERTY = "gwsurrogate_ml"
"""Key of the metadata, JSON."""


def require(purpose: str, *packages: str) -> None:
    """Raise ConfigError unless `packages`, of the extra `serve`, are installed."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise ConfigError(f"{purpose} needs {' and '.join(missing)}: pip install gwsurrogate-ml[serve]")


def target(path: str | Path) -> Path:
    """`path`, if an ONNX file can be called that; ConfigError otherwise, before any work."""
    path = Path(path)
    if path.suffix != ".onnx" or not path.parent.is_dir():
        raise ConfigError(f"{path}: name a .onnx file in a folder that is there")
    return path


def write(model: Any, path: Path, about: dict[str, Any]) -> Path:
    """Write an onnx ModelProto, checked, whole, with the metadata `about`; ConfigError where that cannot be done."""
    import onnx

    others = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, others | {PROPERTY: json.dumps(about)})
    onnx.checker.check_model(model)
    with whole_file(path) as temporary:
        onnx.save(model, str(temporary))
    return path


def session(path: str | Path, kind: str, *needed: str) -> tuple[Any, dict[str, Any]]:
    """An onnxruntime.InferenceSession on one thread, and the metadata.

    Parameters
    ----------
    path : str or Path
    kind : str
        what the file should be, for the error
    needed : str
        keys that the metadata must have

    Raises
    ------
    ConfigError
        without ONNX Runtime
    ArtifactError
        if it is no such file
    """
    require("ONNX Runtime's part", "onnxruntime")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        found = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        about: dict[str, Any] = json.loads(found.get_modelmeta().custom_metadata_map[PROPERTY])
        missing = [key for key in needed if key not in about]
        if missing:
            raise KeyError(f"no {', '.join(missing)} in its metadata")
    except Exception as error:  # ONNX Runtime has no common base of its errors
        raise ArtifactError(f"{path} is no {kind}: {error}") from error
    return found, about
