"""Which sampler a waveform model asks for."""

from __future__ import annotations

from typing import Any

from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.sampling.orders import OrdersSampler
from gwsurrogate_ml.inference.sampling.quadrupole import QuadrupoleSampler
from gwsurrogate_ml.inference.sampling.sampler import EventSampler


def event_sampler(likelihood: SegmentLikelihood, *arguments: Any, **keywords: Any) -> EventSampler:
    """The sampler for the likelihood's model, see `EventSampler`: phase and inclination integrated where that is exact."""
    kind = QuadrupoleSampler if likelihood.model.quadrupole_only else OrdersSampler
    return kind(likelihood, *arguments, **keywords)
