"""An ONNX file that calculates with 8-bit integers: a quarter of the size, and what it costs is to be measured.

Static quantisation by onnxruntime: each channel's weights have a scale of their own, activations one for each tensor, from the
ranges that they take on examples. Transforms and everything else stay in single precision.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml import onnx_file
from gwsurrogate_ml.errors import ConfigError, DataError

CONVOLUTIONS, PRODUCTS = ("Conv", "ConvTranspose"), ("MatMul", "Gemm")
"""Kinds of nodes that can be quantised: a network's convolutions; products with matrices, such as a bank of waveforms."""


def quantise(
    source: str | Path,
    target: str | Path,
    examples: Iterable[Mapping[str, np.ndarray]],
    *,
    operators: Sequence[str] = CONVOLUTIONS,
    keep: Sequence[str] = (),
    percentile: float | None = None,
) -> Path:
    """Write `source` with 8-bit weights and activations to `target`; inputs, outputs and metadata stay.

    Parameters
    ----------
    source, target : str or Path, .onnx
    examples : iterable of mappings from input to array
        data as the file will see them, loud and quiet: their ranges become those of the integers
    operators : sequence of str
        kinds of nodes that are quantised
    keep : sequence of str
        names of nodes that stay in single precision
    percentile : float, optional
        range that holds this percentage of an activation's values; default: all of them

    Returns
    -------
    Path

    Raises
    ------
    ConfigError
        without the extra `serve`, for a file that is none, or a target that cannot be written
    DataError
        without examples, or where they do not fit the file's inputs
    """
    target = onnx_file.target(target)
    onnx_file.require("quantisation", "onnx", "onnxruntime")
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    try:
        model = onnx.load(source)
    except Exception as error:  # of protobuf or the file system, as the damage is
        raise ConfigError(f"{source} is no ONNX file ({' '.join(str(error).split())[:120]})") from error
    reader = _Examples(examples, {node.name for node in model.graph.input})
    extra: dict[str, Any] = {} if percentile is None else {"CalibPercentile": percentile}
    method = CalibrationMethod.MinMax if percentile is None else CalibrationMethod.Percentile
    with tempfile.TemporaryDirectory() as folder:
        # Shapes are known in part only where the data are cut; onnxruntime wants the file on disk.
        inside = os.path.join(folder, "float.onnx")
        onnx.save(model, inside)
        out = os.path.join(folder, "int8.onnx")
        quantize_static(
            inside,
            out,
            reader,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(operators),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(keep),
            calibrate_method=method,
            extra_options=extra,
        )
        made = onnx.load(out)
    described: dict[str, Any] = next((json.loads(e.value) for e in model.metadata_props if e.key == onnx_file.PROPERTY), {})
    del made.metadata_props[:]
    made.metadata_props.extend(model.metadata_props)
    return onnx_file.write(made, target, described | {"quantised": {"bits": 8, "operators": list(operators)}})


class _Examples:
    """Examples as onnxruntime's calibration asks for them."""

    def __init__(self, examples: Iterable[Mapping[str, np.ndarray]], names: set[str]) -> None:
        self._rest: Iterator[Mapping[str, np.ndarray]] = iter(list(examples))
        self._names, self._given = names, 0

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next example's inputs, None at the end."""
        example = next(self._rest, None)
        if example is None:
            if not self._given:
                raise DataError("no examples: ranges of the activations are measured on data, give some")
            return None
        if set(example) != self._names:
            raise DataError(f"an example has {sorted(example)}, the file's inputs are {sorted(self._names)}")
        self._given += 1
        return dict(example)

    def set_range(self, start_index: int, end_index: int) -> None:
        """onnxruntime may ask for part of the examples; all are few enough."""


def convolutions(path: str | Path) -> list[str]:
    """Names of the convolutions of a file, in their order: for `keep`."""
    onnx_file.require("quantisation", "onnx")
    import onnx

    return [node.name for node in onnx.load(Path(path)).graph.node if node.op_type in CONVOLUTIONS]
