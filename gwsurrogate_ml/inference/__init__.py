"""Inference: priors, simulator, neural estimator, exact likelihood, importance sampling, results."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_PUBLIC = {
    "BinaryPrior": "priors",
    "Estimator": "estimator",
    "EstimatorConfig": "config",
    "LalModel": "lal_model",
    "Result": "result",
    "SamplingOptions": "rounds",
    "SegmentLikelihood": "likelihood",
    "load_estimator": "estimator",
    "sample_event": "sequential",
    "source_model": "bilby_source",
    "train_estimator": "training",
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
    from gwsurrogate_ml.plugins.bilby import source_model
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
    "source_model",
    "train_estimator",
]


def __getattr__(name: str) -> Any:
    """Import a public object when it is first asked for: torch and bilby are slow to load."""
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value
