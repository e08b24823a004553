"""The surrogate as an ONNX graph: parameters and times in, modes out, in double precision, without this package or torch.

The graph holds what `Surrogate.batch` does in torch from `t_join` on, without the early inspiral. Beyond the hard limits of the
domain it gives NaN; the ranges are also in the file's metadata.
"""

from __future__ import annotations

import inspect
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml import onnx_file
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.surrogate.aligned import higher, predictor
from gwsurrogate_ml.waveform.spline import slope_matrix

if TYPE_CHECKING:
    import torch

    from gwsurrogate_ml.surrogate.model import Surrogate


def knot_table(knots: np.ndarray) -> np.ndarray:
    """For every 1 M from the first knot on, the interval of `knots` (n,) that its beginning lies in.

    ONNX has no search in a sorted list. Knots are 1 M or more apart, so that a cell of 1 M holds one knot at most, and the
    interval of any time in it is the table's or the next.

    Raises
    ------
    DataError
        if knots are closer than 1 M

    Examples
    --------
    >>> knot_table(np.array([0.0, 2.5, 4.0])).tolist()
    [0, 0, 0, 1, 1]
    """
    if np.diff(knots).min() < 1.0 - 1e-9:
        raise DataError("the model's knots are closer than 1 M: it cannot be exported")
    starts = knots[0] + np.arange(int(np.floor(knots[-1] - knots[0])) + 1)
    return np.clip(np.searchsorted(knots, starts, side="right") - 1, 0, len(knots) - 2)


def graph(surrogate: Surrogate) -> torch.nn.Module:
    """A torch module: parameters (N, 3), times (n,) float64 to modes (N, n_modes, n, 2), real and imaginary part; NaN outside."""
    import torch

    class Graph(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.names = {key: key.replace(".", "__") for key in surrogate.mode_model.tensors}
            for key, name in self.names.items():
                self.register_buffer(name, torch.from_numpy(surrogate.mode_model.tensors[key]))
            self.register_buffer("to_slopes", torch.from_numpy(slope_matrix(surrogate.knots).T.copy()))
            self.register_buffer("table", torch.from_numpy(knot_table(surrogate.knots)))
            ranges = [surrogate.info["ranges"][name] for name in ("q", "chi1", "chi2")]
            self.register_buffer("low", torch.tensor([r["hard_min"] for r in ranges], dtype=torch.float64))
            self.register_buffer("high", torch.tensor([r["hard_max"] for r in ranges], dtype=torch.float64))
            self.register_buffer("orders", torch.as_tensor(surrogate.mode_model.tables.orders, dtype=torch.float64))

        def forward(self, parameters: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
            tensors = {key: getattr(self, name) for key, name in self.names.items()}
            degree, modes = surrogate.mode_model.degree, surrogate.modes
            log_amplitude, phase = predictor.log_amplitude_and_phase(parameters, tensors, degree, torch)
            amplitude, log_total = torch.exp(log_amplitude), log_amplitude
            rows = [phase[:, None], amplitude[:, None]]
            if len(modes) > 1:
                more = higher.coorbital(parameters, tensors, degree, modes[1:], torch)
                log_total = 0.5 * torch.log(amplitude**2 + (more**2).sum((1, 2)))
                rows.append(more.flatten(1, 2))
            shift = self.peak(log_total)
            values = torch.cat(rows, 1)
            slopes = values @ self.to_slopes
            found = self.spline(values, slopes, times[None] + shift)
            angle = found[:, :1] - self.spline(values[:, :1], slopes[:, :1], shift)
            turn = 0.5 * self.orders[:, None] * angle
            cosine, sine = torch.cos(turn), torch.sin(turn)
            real = torch.cat([found[:, 1:2], found[:, 2::2]], 1)
            imaginary = torch.cat([torch.zeros_like(found[:, 1:2]), found[:, 3::2]], 1)
            out = torch.stack([real * cosine + imaginary * sine, imaginary * cosine - real * sine], -1)
            inside = ((parameters >= self.low) & (parameters <= self.high)).all(1)[:, None]
            inside = inside & (times >= surrogate.t_join) & (times <= surrogate.t_max)
            return torch.where(inside[:, None, :, None], out, torch.full_like(out, torch.nan))

        def peak(self, log_total: torch.Tensor) -> torch.Tensor:
            """Time in M (N, 1) of the maximum to which the way from the middle leads uphill."""
            centre, reach = surrogate.mode_model.tables.centre, predictor.PEAK_REACH
            near = log_total[:, centre - reach : centre + reach + 1]
            steps = near[:, 1:] - near[:, :-1]
            right = (torch.cumsum((steps[:, reach:] <= 0).double(), 1) == 0).sum(1, keepdim=True)
            left = (torch.cumsum((steps[:, :reach].flip(1) >= 0).double(), 1) == 0).sum(1, keepdim=True)
            peak = centre + right - (right == 0).long() * left
            at = log_total.gather(1, peak + torch.arange(-2, 3))
            return self.knots[peak] + predictor.peak_shift(*(at[:, i : i + 1] for i in range(5)))

        def spline(self, values: torch.Tensor, slopes: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
            """Splines (N, n_rows, n) with `values`, `slopes` (N, n_rows, n_knots) at `times` (N, n)."""
            knots = self.knots
            cell = (times - knots[0]).long().clamp(0, self.table.shape[0] - 1)
            j = self.table[cell]
            j = (j + (times >= knots[j + 1]).long()).clamp(max=len(surrogate.knots) - 2)
            step = knots[j + 1] - knots[j]
            x = ((times - knots[j]) / step)[:, None]
            index = j[:, None].expand(-1, values.shape[1], -1)
            v0, v1 = values.gather(2, index), values.gather(2, index + 1)
            s0, s1 = slopes.gather(2, index) * step[:, None], slopes.gather(2, index + 1) * step[:, None]
            d = v1 - v0
            return v0 + x * (s0 + x * (3.0 * d - 2.0 * s0 - s1 + x * (s0 + s1 - 2.0 * d)))

    return Graph().eval()


def export_surrogate(surrogate: Surrogate, path: str | Path) -> Path:
    """Write an ONNX file with inputs `parameters` (N, 3), `times` (n,) and output `modes` (N, n_modes, n, 2), all float64.

    Parameters
    ----------
    surrogate : Surrogate
    path : str or Path, .onnx

    Returns
    -------
    Path

    Raises
    ------
    ConfigError
        without the extra `serve`, or for another suffix
    """
    path = onnx_file.target(path)
    onnx_file.require("export to ONNX", "onnx")
    import onnx
    import torch

    example = torch.tensor([[1.5, 0.3, -0.1], [3.0, 0.0, 0.0]]).double(), torch.linspace(-9.0, 9.0, 5).double()
    # The exporter that traces: torch 2.13's other one rounds plain numbers to single precision (phases off by 1e-5 rad).
    tracing = {"dynamo": False} if "dynamo" in inspect.signature(torch.onnx.export).parameters else {}
    stream = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is the older exporter, and that sizes of the model itself are constants
        torch.onnx.export(
            graph(surrogate),
            example,
            stream,
            input_names=["parameters", "times"],
            output_names=["modes"],
            opset_version=onnx_file.OPSET,
            dynamic_axes={"parameters": {0: "N"}, "times": {0: "n"}, "modes": {0: "N", 2: "n"}},
            **tracing,
        )
    proto = onnx.load_from_string(stream.getvalue())
    about: dict[str, Any] = {key: surrogate.info.get(key) for key in ("name", "version", "modes", "ranges", "weights_sha256")}
    about["times"] = {"unit": "M", "min": surrogate.t_join, "max": surrogate.t_max}
    return onnx_file.write(proto, path, about)
