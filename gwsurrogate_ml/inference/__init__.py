"""Inference: priors, simulator, neural estimator, exact likelihood, importance sampling, results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsurrogate_ml._lazy import lazy

_PUBLIC = {
    "BinaryPrior": "gwsurrogate_ml.inference.prior.binary",
    "Estimator": "gwsurrogate_ml.inference.analysis.estimator",
    "EstimatorConfig": "gwsurrogate_ml.inference.config",
    "LalModel": "gwsurrogate_ml.waveform.lal",
    "Result": "gwsurrogate_ml.inference.result.result",
    "SamplingOptions": "gwsurrogate_ml.inference.sampling.rounds",
    "SegmentLikelihood": "gwsurrogate_ml.inference.likelihood.segment",
    "load_estimator": "gwsurrogate_ml.inference.analysis.estimator",
    "sample_event": "gwsurrogate_ml.inference.analysis.from_scratch",
    "train_estimator": "gwsurrogate_ml.inference.training.train",
}

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.analysis.estimator import Estimator, load_estimator
    from gwsurrogate_ml.inference.analysis.from_scratch import sample_event
    from gwsurrogate_ml.inference.config import EstimatorConfig
    from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
    from gwsurrogate_ml.inference.prior.binary import BinaryPrior
    from gwsurrogate_ml.inference.result.result import Result
    from gwsurrogate_ml.inference.sampling.rounds import SamplingOptions
    from gwsurrogate_ml.inference.training.train import train_estimator
    from gwsurrogate_ml.waveform.lal import LalModel

__all__ = [
    "BinaryPrior",
    "Estimator",
    "EstimatorConfig",
    "LalModel",
    "Result",
    "SamplingOptions",
    "SegmentLikelihood",
    "load_estimator",
    "sample_event",
    "train_estimator",
]
__getattr__, __dir__ = lazy(__name__, _PUBLIC)
