"""What is served: models as the protocol sees them, with typed inputs and outputs and checked parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.serve.base import Call, ServedModel, Tensor
from gwsurrogate_ml.serve.protocol import RequestError

if TYPE_CHECKING:
    from gwsurrogate_ml.surrogate.model import Surrogate

MOST_ROWS, MOST_VALUES = 256, 2**20
"""Binaries, and numbers of their modes, that are worked on between two looks at the clock."""
MODE_COLUMNS = ("q", "chi1", "chi2")
BINARY_COLUMNS = ("mass_1", "mass_2", "chi_1", "chi_2", "luminosity_distance", "theta_jn", "phase")


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
        self.inputs = (Tensor("parameters", "FP64", (-1, 3), columns=MODE_COLUMNS), Tensor("times", "FP64", (-1,)))
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
            for name, column in zip(MODE_COLUMNS, parameters.T, strict=True)
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
        self.inputs = (Tensor("parameters", "FP64", (-1, len(BINARY_COLUMNS)), columns=BINARY_COLUMNS),)
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
        return on_one_grid(call, found, rate)


def on_one_grid(call: Call, found: list[tuple[int, np.ndarray, np.ndarray]], rate: float) -> dict[str, np.ndarray]:
    """`h_plus` and `h_cross` (N, n) and `start_time` (1,) of waveforms given by the number of their first sample and series."""
    first = min(at for at, *_ in found)
    last = max(at + len(plus) for at, plus, _ in found)
    call.require_room(16.0 * len(found) * (last - first))
    out = np.zeros((2, len(found), last - first))
    for i, (at, plus, cross) in enumerate(found):
        part = slice(at - first, at - first + len(plus))
        out[0, i, part], out[1, i, part] = plus, cross
    return {"h_plus": out[0], "h_cross": out[1], "start_time": np.array([first / rate])}
