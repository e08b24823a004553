"""A precessing surrogate as the protocol sees it: modes and polarizations, one binary after the other."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.arguments import finite
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.serve.base import REQUIRED, Call, ServedModel, Tensor
from gwsurrogate_ml.serve.protocol import RequestError
from gwsurrogate_ml.serve.surrogates import on_one_grid
from gwsurrogate_ml.surrogate.precessing.modes import SEEN

if TYPE_CHECKING:
    from gwsurrogate_ml.surrogate.precessing.model import PrecessingSurrogate

MODE_COLUMNS = ("q", "chi1x", "chi1y", "chi1z", "chi2x", "chi2y", "chi2z")
BINARY_COLUMNS = (
    *("mass_1", "mass_2", "a_1", "a_2", "tilt_1", "tilt_2", "phi_12", "phi_jl", "luminosity_distance", "theta_jn", "phase"),
)


@contextlib.contextmanager
def _row(i: int) -> Iterator[None]:
    """A binary without a waveform is named by its row."""
    try:
        yield
    except (DomainError, ConfigError) as error:
        raise type(error)(f"row {i} of parameters: {error}") from error


class PrecessingModes(ServedModel):
    """Modes of binaries: `parameters` (N, 7), columns `MODE_COLUMNS`, and `times` (n,) in M, to `modes` (N, n_modes, n, 2).

    Spins belong to the time `t_ref` (M), and so does the frame; `lm` holds m of both signs. The last axis is real and imaginary
    part of r h_lm / M. `in_range` (N,) is false in the soft margin of the domain.

    Examples
    --------
    >>> from gwsurrogate_ml import load_surrogate
    >>> model = PrecessingModes(load_surrogate("nrphm"))
    >>> binaries = np.array([[1.5, 0.3, 0.2, 0.1, 0.0, 0.4, -0.2]])
    >>> call = model.call({"parameters": binaries, "times": np.array([-10.0, 0.0])}, {"t_ref": -1000.0})
    >>> model.infer(call)["modes"].shape
    (1, 32, 2, 2)
    """

    def __init__(self, surrogate: PrecessingSurrogate) -> None:
        self.surrogate = surrogate
        self.name, self.version = surrogate.name, str(surrogate.info.get("version", "1"))
        self.inputs = (
            Tensor("parameters", "FP64", (-1, len(MODE_COLUMNS)), columns=MODE_COLUMNS),
            Tensor("times", "FP64", (-1,)),
        )
        self.outputs = (
            Tensor("modes", "FP64", (-1, len(SEEN), -1, 2)),
            Tensor("lm", "INT64", (len(SEEN), 2)),
            Tensor("in_range", "BOOL", (-1,)),
        )
        self.defaults = {"t_ref": REQUIRED}

    def infer(self, call: Call) -> dict[str, np.ndarray]:
        """The outputs; see the class."""
        parameters, times = call.inputs["parameters"], call.inputs["times"]
        call.require_room(16.0 * len(parameters) * len(SEEN) * len(times))
        modes = np.empty((len(parameters), len(SEEN), len(times), 2))
        ranges = self.surrogate.info["ranges"]
        inside = np.empty(len(parameters), bool)
        for i, (q, *spins) in enumerate(parameters):
            call.require_time()
            with _row(i):
                found = self.surrogate(q, spins[:3], spins[3:], call.parameters["t_ref"], times=times)
            for row, key in zip(modes[i], SEEN, strict=True):
                row[:, 0], row[:, 1] = found[key].real, found[key].imag
            sizes = {"q": q, "chi1": np.linalg.norm(spins[:3]), "chi2": np.linalg.norm(spins[3:])}
            inside[i] = all(value <= ranges[name]["max"] + 1e-9 for name, value in sizes.items())
        return {"modes": modes, "lm": np.array(SEEN, np.int64), "in_range": inside}


class PrecessingPolarizations(ServedModel):
    """Polarizations of binaries: `parameters` (N, 11), columns `BINARY_COLUMNS`, to `h_plus`, `h_cross` (N, n).

    Angles belong to `f_ref` (Hz; 0: `f_min`). All on one grid of times, whose first is `start_time` (s from the peak); zero where a
    waveform is not yet, or no longer, on.

    Examples
    --------
    >>> from gwsurrogate_ml import load_surrogate
    >>> model = PrecessingPolarizations(load_surrogate("nrphm"))
    >>> binaries = np.array([[39.0, 26.0, 0.6, 0.4, 1.0, 0.7, 0.3, 1.0, 410.0, 0.4, 1.2]])
    >>> sorted(model.infer(model.call({"parameters": binaries}, {"f_ref": 20})))
    ['h_cross', 'h_plus', 'start_time']
    """

    def __init__(self, surrogate: PrecessingSurrogate) -> None:
        self.surrogate = surrogate
        self.name = f"{surrogate.name}-polarizations"
        self.version = str(surrogate.info.get("version", "1"))
        self.inputs = (Tensor("parameters", "FP64", (-1, len(BINARY_COLUMNS)), columns=BINARY_COLUMNS),)
        self.outputs = (
            Tensor("h_plus", "FP64", (-1, -1)),
            Tensor("h_cross", "FP64", (-1, -1)),
            Tensor("start_time", "FP64", (1,)),
        )
        self.defaults = {"f_min": 20.0, "f_ref": 0.0, "sampling_frequency": 4096.0}

    def infer(self, call: Call) -> dict[str, np.ndarray]:
        """The outputs; see the class."""
        rate, f_min = call.parameters["sampling_frequency"], call.parameters["f_min"]
        f_ref = call.parameters["f_ref"] or f_min
        binaries = call.inputs["parameters"]
        if not len(binaries):
            raise RequestError(400, "parameters has no row: give at least one binary")
        found, longest = [], 0.0
        for i, values in enumerate(binaries):
            call.require_time()
            row = dict(zip(BINARY_COLUMNS, values.tolist(), strict=True))
            with _row(i):
                for name, value in row.items():
                    finite(value, name)
                longest = max(longest, self._seconds(row, f_min))
                call.require_room(16.0 * len(binaries) * max(longest * rate, 1.0))  # before anything so long is made
                plus, cross = self.surrogate.polarizations(**row, f_min=f_min, f_ref=f_ref, sampling_frequency=rate)
            found.append((round(plus.t0.value * rate), plus.value, cross.value))
        return on_one_grid(call, found, rate)

    def _seconds(self, row: dict[str, float], f_min: float) -> float:
        """About how long a waveform is before its peak: as of aligned spins."""
        along = {f"chi_{i}": row[f"a_{i}"] * math.cos(row[f"tilt_{i}"]) for i in (1, 2)}
        return self.surrogate.time_before_peak(mass_1=row["mass_1"], mass_2=row["mass_2"], **along, f_min=f_min)
