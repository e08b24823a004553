"""What is served: a model as the protocol sees it, with typed inputs and outputs and checked parameters."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gwsurrogate_ml.arguments import finite
from gwsurrogate_ml.serve.protocol import CODEC, Parameter, RequestError, datatype_of
from gwsurrogate_ml.serve.tables import named, vector

RESERVED = {"sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "binary_data_output", CODEC}


REQUIRED = math.nan
"""Default of a parameter that must be given."""


@dataclass(frozen=True)
class Tensor:
    """Name, datatype and shape of an input or output; -1 stands for any size.

    `columns` names those of an input of two axes: it may come as a table instead, an input a column.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False
    columns: tuple[str, ...] = ()

    def metadata(self) -> dict[str, Any]:
        """As the protocol lists it."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


@dataclass(frozen=True)
class Call:
    """One call of a model: checked inputs and parameters, and the bounds that it must keep.

    Attributes
    ----------
    inputs : float64 arrays by name (uint8 where declared); optional ones may be missing
    parameters : by name, with defaults filled in
    wanted : names of the outputs asked for; empty: all
    end : whether nothing of a stream follows
    deadline : time.monotonic() at which the answer is no longer wanted
    max_bytes : of the answer
    """

    inputs: Mapping[str, np.ndarray]
    parameters: Mapping[str, float]
    wanted: frozenset[str] = frozenset()
    end: bool = False
    deadline: float = math.inf
    max_bytes: float = math.inf

    def require_time(self) -> None:
        """Raise RequestError (504) once the deadline has passed."""
        if time.monotonic() > self.deadline:
            raise RequestError(504, "the time-out passed before the answer was ready: ask for less, or allow more time")

    def require_room(self, n_bytes: float) -> None:
        """Raise RequestError (413) if an answer of `n_bytes` is too large."""
        if n_bytes > self.max_bytes:
            raise RequestError(
                413,
                f"the answer would take {n_bytes / 1e6:.4g} MB, {self.max_bytes / 1e6:.0f} are allowed: ask for less",
            )


class ServedModel:
    """A model as the protocol sees it; derived classes say what goes in and out, and `infer`.

    Attributes
    ----------
    name, version : str
    inputs, outputs : tuples of Tensor
    defaults : parameters that a request may give, with their defaults; `REQUIRED` where there is none
    slow : bool
        takes seconds or more: has a thread and a time-out of its own
    """

    platform: ClassVar[str] = "gwsurrogate_ml"
    slow: ClassVar[bool] = False

    name: str
    version: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    defaults: Mapping[str, float]

    def metadata(self) -> dict[str, Any]:
        """The protocol's model metadata."""
        return {
            "name": self.name,
            "versions": [self.version],
            "platform": self.platform,
            "inputs": [tensor.metadata() for tensor in self.inputs],
            "outputs": [tensor.metadata() for tensor in self.outputs],
        }

    def call(
        self,
        inputs: Mapping[str, np.ndarray],
        parameters: Mapping[str, Parameter],
        outputs: Sequence[str] = (),
        deadline: float = math.inf,
        max_bytes: float = math.inf,
    ) -> Call:
        """A checked call.

        Raises
        ------
        RequestError
            400, naming the input, output or parameter that is missing, unknown or of the wrong shape or type
        ConfigError
            naming the parameter that is no finite number
        """
        known = {tensor.name: tensor for tensor in self.inputs}
        inputs = named(self.name, self.inputs, inputs)
        for name in inputs:
            if name not in known:
                raise RequestError(400, f"{self.name} has no input {name!r}: it takes {', '.join(known)}")
        for name in outputs:
            if name not in {tensor.name for tensor in self.outputs}:
                listed = ", ".join(tensor.name for tensor in self.outputs)
                raise RequestError(400, f"{self.name} has no output {name!r}: it gives {listed}")
        checked = {}
        for name, tensor in known.items():
            if name in inputs:
                checked[name] = _fit(tensor, inputs[name])
            elif not tensor.optional:
                raise RequestError(400, f"{self.name} needs the input {name!r} of shape {list(tensor.shape)}")
        end = parameters.get("sequence_end") is True
        return Call(checked, self._parameters(parameters), frozenset(outputs), end, deadline, max_bytes)

    def _parameters(self, given: Mapping[str, Parameter]) -> dict[str, float]:
        values = dict(self.defaults)
        for name, value in given.items():
            if name in RESERVED:
                continue
            if name not in self.defaults:
                raise RequestError(400, f"{self.name} has no parameter {name!r}: it takes {', '.join(self.defaults) or 'none'}")
            if isinstance(value, bool):
                raise RequestError(400, f"parameter {name!r} is {value}: give a finite number")
            values[name] = finite(value, f"parameter {name!r}")
        for name, value in values.items():
            if math.isnan(value):
                raise RequestError(400, f"{self.name} needs the parameter {name!r}")
        return values

    def infer(self, call: Call) -> dict[str, np.ndarray]:
        """The outputs."""
        raise NotImplementedError


def _fit(tensor: Tensor, array: np.ndarray) -> np.ndarray:
    """`array` as the declared type: any real numbers where FP64 is declared, and a column for a vector."""
    if len(tensor.shape) == 1:
        array = vector(array)
    if array.ndim != len(tensor.shape) or any(n not in (-1, m) for n, m in zip(tensor.shape, array.shape, strict=True)):
        raise RequestError(
            400, f"input {tensor.name!r} has shape {list(array.shape)}: give {list(tensor.shape)}, -1 being any size"
        )
    if tensor.datatype == "FP64" and array.dtype.kind in "fiu":
        return array.astype(np.float64)
    if tensor.datatype == "UINT8" and array.dtype == np.uint8:
        return array
    raise RequestError(400, f"input {tensor.name!r} is {datatype_of(array)}: give {tensor.datatype}")
