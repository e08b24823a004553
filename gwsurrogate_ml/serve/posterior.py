"""The estimator as a served model: strain around an event in, its posterior out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gwsurrogate_ml.files import plain
from gwsurrogate_ml.serve.base import REQUIRED, Call, ServedModel, Tensor
from gwsurrogate_ml.serve.protocol import RequestError

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.analysis.estimator import Estimator

MAX_DRAWS = 200_000
EXACT = 2**53
"""Whole numbers below it are exact as float64, which parameters are: another seed would be taken silently."""
SCALARS = ("sample_efficiency", "pareto_k", "log_evidence", "log_evidence_error", "log_bayes_factor")


class ServedEstimator(ServedModel):
    """Posterior of an event: `strain` (n_detectors, n), rows in the estimator's order of detectors, to `posterior` (n, k).

    `psd` (n_detectors, m), one-sided in 1/Hz in steps of the parameter `psd_step` from 0 Hz, is optional: without it the noise
    is measured off the event, and the strain should span 32 s or more. `names` (k,) says what the columns are, `summary` holds
    medians, intervals, diagnostics and flags as JSON.

    Parameters of a request: `gps` of the event, `start_time` and `sampling_frequency` of the strain; `n_draws`, `seed`.
    """

    slow: ClassVar[bool] = True

    def __init__(self, estimator: Estimator) -> None:
        self.estimator = estimator
        self.name, self.version = str(estimator.info["name"]), str(estimator.info.get("version", "1"))
        self.detectors = tuple(estimator.config.segment.detectors)
        n = len(self.detectors)
        self.inputs = (Tensor("strain", "FP64", (n, -1)), Tensor("psd", "FP64", (n, -1), optional=True))
        self.outputs = (
            Tensor("posterior", "FP64", (-1, -1)),
            Tensor("names", "BYTES", (-1,)),
            Tensor("summary", "BYTES", (1,)),
            *(Tensor(name, "FP64", (1,)) for name in SCALARS),
        )
        self.defaults = {
            "gps": REQUIRED,
            "start_time": REQUIRED,
            "sampling_frequency": REQUIRED,
            "n_draws": 20_000,
            "seed": 0,
            "psd_step": 0.0,
        }

    def infer(self, call: Call) -> dict[str, np.ndarray]:
        """The outputs; see the class. Stops soon after the deadline."""
        from gwpy.timeseries import TimeSeries

        from gwsurrogate_ml.strain.data import StrainData

        given = call.parameters
        n_draws, seed = (self._whole(call, name) for name in ("n_draws", "seed"))
        if not 100 <= n_draws <= MAX_DRAWS:
            raise RequestError(400, f"n_draws is {n_draws}: give 100 to {MAX_DRAWS}")
        if not given["sampling_frequency"] > 0:
            raise RequestError(400, f"sampling_frequency is {given['sampling_frequency']:g}: give a positive rate in Hz")
        grid = {"t0": given["start_time"], "sample_rate": given["sampling_frequency"]}
        series = {name: TimeSeries(row, **grid) for name, row in zip(self.detectors, call.inputs["strain"], strict=True)}
        data = StrainData.from_series(series, gps=given["gps"])
        wanted = self.estimator.config.segment
        segment = data.segment(duration=wanted.duration, f_min=wanted.f_min, f_max=wanted.f_max, psd=self._psd(call))
        result = self.estimator.sample(segment, n=n_draws, seed=seed, progress=lambda *_: call.require_time())
        found = result.summary() | {"flags": result.flags, "meta": result.meta}
        return {
            "posterior": result.posterior.to_numpy(np.float64),
            "names": np.array([str(name).encode() for name in result.posterior.columns], object),
            "summary": np.array([json.dumps(plain(found), allow_nan=False).encode()], object),
            **{name: np.array([float(getattr(result, name))]) for name in SCALARS},
        }

    @staticmethod
    def _whole(call: Call, name: str) -> int:
        value = call.parameters[name]
        if value != int(value) or not 0 <= value < EXACT:
            raise RequestError(400, f"{name} is {value:g}: give a whole number from 0 to {EXACT - 1}")
        return int(value)

    def _psd(self, call: Call) -> dict[str, tuple[np.ndarray, np.ndarray]] | None:
        rows, step = call.inputs.get("psd"), call.parameters["psd_step"]
        if rows is None:
            return None
        if not step > 0:
            raise RequestError(400, "psd comes without psd_step: give the step of its frequencies in Hz")
        frequencies = step * np.arange(rows.shape[1])
        return {name: (frequencies, row) for name, row in zip(self.detectors, rows, strict=True)}
