"""What is served: models as the protocol sees them, with typed inputs and outputs and checked parameters."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.arguments import finite
from gwsurrogate_ml.errors import ArtifactError, ConfigError
from gwsurrogate_ml.serve.protocol import Parameter, RequestError

if TYPE_CHECKING:
    from gwsurrogate_ml.surrogate.model import Surrogate

RESERVED = {"sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "binary_data_output"}
REQUIRED = math.nan
"""Default of a parameter that must be given."""
MOST_ROWS, MOST_VALUES = 256, 2**20
"""Binaries, and numbers of their modes, that are worked on between two looks at the clock."""
BINARY_COLUMNS = ("mass_1", "mass_2", "chi_1", "chi_2", "luminosity_distance", "theta_jn", "phase")


@dataclass(frozen=True)
class Tensor:
    """Name, datatype and shape of an input or output; -1 stands for any size."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    optional: bool = False

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
    deadline : time.monotonic() at which the answer is no longer wanted
    max_bytes : of the answer
    """

    inputs: Mapping[str, np.ndarray]
    parameters: Mapping[str, float]
    wanted: frozenset[str] = frozenset()
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
        return Call(checked, self._parameters(parameters), frozenset(outputs), deadline, max_bytes)

    def _parameters(self, given: Mapping[str, Parameter]) -> dict[str, float]:
        values = dict(self.defaults)
        for name, value in given.items():
            if name in RESERVED:
                continue
            if name not in self.defaults:
                raise RequestError(
                    400, f"{self.name} has no parameter {name!r}: it takes {', '.join(self.defaults) or 'none'}"
                )
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
    """`array` as the declared type: any real numbers where FP64 is declared."""
    if array.ndim != len(tensor.shape) or any(n not in (-1, m) for n, m in zip(tensor.shape, array.shape, strict=True)):
        raise RequestError(
            400, f"input {tensor.name!r} has shape {list(array.shape)}: give {list(tensor.shape)}, -1 being any size"
        )
    if tensor.datatype == "FP64" and array.dtype.kind in "fiu":
        return array.astype(np.float64)
    if tensor.datatype == "UINT8" and array.dtype == np.uint8:
        return array
    raise RequestError(400, f"input {tensor.name!r} is {array.dtype}: give {tensor.datatype}")


class SurrogateModes(ServedModel):
    """Modes of many binaries: `parameters` (N, 3) = q, chi1, chi2, and `times` (n,) in M, to `modes` (N, n_modes, n, 2).

    The last axis is real and imaginary part of r h_lm / M. `in_range` (N,) is false in the soft margin of the domain.

    Examples
    --------
    >>> from gwsurrogate_ml import load_surrogate
    >>> model = SurrogateModes(load_surrogate("nr22"))
    >>> call = model.call({"parameters": np.array([[1.5, 0.3, -0.1]]), "times": np.array([-10.0, 0.0])}, {})
    >>> model.infer(call)["modes"].shape
    (1, 1, 2, 2)
    """

    def __init__(self, surrogate: Surrogate) -> None:
        self.surrogate = surrogate
        self.name, self.version = str(surrogate.info["name"]), str(surrogate.info.get("version", "1"))
        n = len(surrogate.modes)
        self.inputs = (Tensor("parameters", "FP64", (-1, 3)), Tensor("times", "FP64", (-1,)))
        self.outputs = (
            Tensor("modes", "FP64", (-1, n, -1, 2)),
            Tensor("lm", "INT64", (n, 2)),
            Tensor("in_range", "BOOL", (-1,)),
        )
        self.defaults = {}

    def infer(self, call: Call) -> dict[str, np.ndarray]:
        """The outputs; see the class."""
        import torch

        parameters, times = call.inputs["parameters"], call.inputs["times"]
        call.require_room(16.0 * len(parameters) * len(self.surrogate.modes) * len(times))
        modes = np.empty((len(parameters), len(self.surrogate.modes), len(times), 2))
        size = max(1, min(MOST_ROWS, MOST_VALUES // max(1, modes[:1].size)))
        for first in range(0, len(parameters), size):
            call.require_time()
            rows = slice(first, first + size)
            found = self.surrogate.batch(torch.from_numpy(parameters[rows]), torch.from_numpy(times)).numpy()
            modes[rows, ..., 0], modes[rows, ..., 1] = found.real, found.imag
        ranges = self.surrogate.info["ranges"]
        inside = [
            (column >= ranges[name]["min"]) & (column <= ranges[name]["max"])
            for name, column in zip(("q", "chi1", "chi2"), parameters.T, strict=True)
        ]
        return {
            "modes": modes,
            "lm": np.array(self.surrogate.modes, np.int64),
            "in_range": np.logical_and.reduce(inside),
        }


class SurrogatePolarizations(ServedModel):
    """Polarizations of many binaries: `parameters` (N, 7), columns `BINARY_COLUMNS`, to `h_plus`, `h_cross` (N, n).

    All on one grid of times, whose first is `start_time` (s from the peak); zero where a waveform is not yet, or no longer, on.

    Examples
    --------
    >>> from gwsurrogate_ml import load_surrogate
    >>> model = SurrogatePolarizations(load_surrogate("nr22"))
    >>> binaries = np.array([[36.0, 29.0, 0.3, -0.1, 410.0, 0.4, 1.2]])
    >>> sorted(model.infer(model.call({"parameters": binaries}, {"sampling_frequency": 2048})))
    ['h_cross', 'h_plus', 'start_time']
    """

    def __init__(self, surrogate: Surrogate) -> None:
        self.surrogate = surrogate
        self.name = f"{surrogate.info['name']}-polarizations"
        self.version = str(surrogate.info.get("version", "1"))
        self.inputs = (Tensor("parameters", "FP64", (-1, len(BINARY_COLUMNS))),)
        self.outputs = (
            Tensor("h_plus", "FP64", (-1, -1)),
            Tensor("h_cross", "FP64", (-1, -1)),
            Tensor("start_time", "FP64", (1,)),
        )
        self.defaults = {"f_min": 20.0, "sampling_frequency": 4096.0}

    def infer(self, call: Call) -> dict[str, np.ndarray]:
        """The outputs; see the class."""
        rate, f_min = call.parameters["sampling_frequency"], call.parameters["f_min"]
        binaries = call.inputs["parameters"]
        if not len(binaries):
            raise RequestError(400, "parameters has no row: give at least one binary")
        found, longest = [], 0.0
        for values in binaries:
            call.require_time()
            row = dict(zip(BINARY_COLUMNS, values.tolist(), strict=True))
            intrinsic = {name: row[name] for name in ("mass_1", "mass_2", "chi_1", "chi_2")}
            longest = max(longest, self.surrogate.time_before_peak(**intrinsic, f_min=f_min))
            call.require_room(16.0 * len(binaries) * max(longest * rate, 1.0))  # before anything so long is made
            start, plus, cross = self.surrogate.strain(**row, f_min=f_min, sampling_frequency=rate)
            found.append((round(start * rate), plus, cross))
        first = min(at for at, *_ in found)
        last = max(at + len(plus) for at, plus, _ in found)
        call.require_room(16.0 * len(found) * (last - first))
        out = np.zeros((2, len(found), last - first))
        for i, (at, plus, cross) in enumerate(found):
            part = slice(at - first, at - first + len(plus))
            out[0, i, part], out[1, i, part] = plus, cross
        return {"h_plus": out[0], "h_cross": out[1], "start_time": np.array([first / rate])}


def _surrogates(folder: Path) -> list[ServedModel]:
    from gwsurrogate_ml.surrogate.model import load_surrogate

    surrogate = load_surrogate(folder)
    return [SurrogateModes(surrogate), SurrogatePolarizations(surrogate)]


def _estimators(folder: Path) -> list[ServedModel]:
    from gwsurrogate_ml.inference import load_estimator
    from gwsurrogate_ml.serve.posterior import ServedEstimator

    return [ServedEstimator(load_estimator(folder))]


def _cleaners(folder: Path) -> list[ServedModel]:
    from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner
    from gwsurrogate_ml.serve.streams import WitnessStream

    return [WitnessStream(WitnessCleaner.load(folder))]


def _denoisers(folder: Path) -> list[ServedModel]:
    from gwsurrogate_ml.denoise.signal.denoiser import load_denoiser
    from gwsurrogate_ml.serve.streams import SignalStreamModel

    return [SignalStreamModel(load_denoiser(folder))]


KINDS: dict[str, Callable[[Path], list[ServedModel]]] = {
    "surrogate": _surrogates,
    "estimator": _estimators,
    "witness_cleaner": _cleaners,
    "signal_denoiser": _denoisers,
}


def serve_model(name_or_path: str | Path, served_as: str | None = None) -> list[ServedModel]:
    """What a trained model is served as, by its card's kind; a surrogate is served as modes and as polarizations.

    Parameters
    ----------
    name_or_path : str or Path
    served_as : str, optional
        a name instead of the card's: two models of one name can then be served together

    Raises
    ------
    ArtifactError
        unknown name, damaged files
    ConfigError
        a kind that is not served, or a name that no address can hold

    Examples
    --------
    >>> [model.name for model in serve_model("nr22", "mine")]
    ['mine', 'mine-polarizations']
    """
    if served_as is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", served_as):
        raise ConfigError(f"the name {served_as!r} cannot stand in an address: take letters, digits, '.', '_' and '-'")
    folder = artifacts.resolve(name_or_path, "model")
    try:
        card = json.loads((folder / "card.json").read_text())
        kind = str(card["kind"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder / 'card.json'} is not a model card: get the model again") from error
    if kind not in KINDS:
        raise ConfigError(f"{name_or_path} is a model of kind {kind!r}: of those served are {', '.join(KINDS)}")
    models = KINDS[kind](folder)
    if served_as is not None:
        for model in models:
            model.name = served_as + model.name.removeprefix(str(card["name"]))
    return models
