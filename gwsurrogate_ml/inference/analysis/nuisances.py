"""Calibration and waveform errors in an analysis: read before it, the draws made broad enough for them, integrated after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import Trigger
from gwsurrogate_ml.inference.nuisances.prior import SURROGATE, Nuisances, Requested
from gwsurrogate_ml.inference.nuisances.softened import recalibrated, softened
from gwsurrogate_ml.inference.nuisances.splines import Splines
from gwsurrogate_ml.inference.nuisances.waveform_error import surrogate_width
from gwsurrogate_ml.inference.result.draws import parameters_of
from gwsurrogate_ml.inference.result.nuisances import nodes_of, with_nuisances
from gwsurrogate_ml.inference.result.residual import examine
from gwsurrogate_ml.inference.sampling.checkpoint import Steps

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.result.result import Result


@dataclass(frozen=True, eq=False)
class Integration:
    """What is integrated in one analysis, and what its draws come from.

    Parameters
    ----------
    likelihood : SegmentLikelihood
        of the data
    nuisances : Nuisances or None
    drawn_from : SegmentLikelihood, found : Trigger
        broader than `likelihood`, and the loudest template as it sees it; the data's own where there are no nuisances
    """

    likelihood: SegmentLikelihood
    nuisances: Nuisances | None
    drawn_from: SegmentLikelihood
    found: Trigger

    @classmethod
    def of(cls, asked: Requested, likelihood: SegmentLikelihood, found: Trigger) -> Integration:
        """What was `asked` for, for the data of `likelihood` in which `found` is the loudest template.

        Raises
        ------
        ConfigError
            if the waveform model does not estimate its own error, and that was asked for
        """
        if not asked:
            return cls(likelihood, None, likelihood, found)
        segment = likelihood.segment
        band = segment.f_min, segment.f_max
        width = None
        if asked.waveform == SURROGATE:
            f, h = likelihood.frequencies[likelihood.band], found.waveform[likelihood.band]
            sigma = surrogate_width(likelihood.model, found.theta, Splines(*band), f, h)
            width = sigma, sigma, f"{likelihood.model.name}'s own estimate"
        elif asked.waveform is not None and not isinstance(asked.waveform, str):
            amplitude, phase = asked.waveform
            width = float(amplitude), float(phase), "given"
        nuisances = Nuisances.of(segment.detectors, band, asked.calibration, width)
        return cls(likelihood, nuisances, *softened(likelihood, nuisances, found))

    @property
    def identity(self) -> dict[str, Any]:
        """What tells this analysis from others of the same data."""
        return {} if self.nuisances is None else {"nuisances": self.nuisances.record()}

    def applied(
        self,
        result: Result,
        templates: Callable[[], np.ndarray],
        seed: int,
        steps: Steps,
        progress: Callable[[str, int, int], None],
        started: float,
    ) -> Result:
        """`result`, with what is asked for integrated, and the checks made anew on recalibrated data.

        Parameters
        ----------
        templates : callable
            waveforms for `examine`
        seed, steps, progress : as for `with_nuisances`
        started : float
            `time.perf_counter()` at the start of the analysis
        """
        if self.nuisances is None:
            return result
        done = with_nuisances(result, self.likelihood, self.drawn_from, self.nuisances, seed=seed, steps=steps, progress=progress)
        best = done.posterior.iloc[[int(np.argmax(done.posterior["log_likelihood"]))]]
        data = recalibrated(self.likelihood, self.nuisances, nodes_of(best, self.nuisances)[0])
        checks = examine(data, {name: float(best[name].iloc[0]) for name in parameters_of(best)}, templates())
        return replace(done, seconds=time.perf_counter() - started + steps.spent, meta=done.meta | {"checks": checks})
