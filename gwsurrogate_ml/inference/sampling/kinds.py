"""Which sampler a waveform model asks for."""

from __future__ import annotations

from gwsurrogate_ml.inference.sampling.orders import OrdersSampler
from gwsurrogate_ml.inference.sampling.quadrupole import QuadrupoleSampler
from gwsurrogate_ml.inference.sampling.sampler import EventSampler
from gwsurrogate_ml.waveform.model import WaveformModel


def sampler_of(model: WaveformModel) -> type[EventSampler]:
    """The kind of sampler: phase and inclination are integrated in closed form where that is exact."""
    return QuadrupoleSampler if model.quadrupole_only else OrdersSampler
