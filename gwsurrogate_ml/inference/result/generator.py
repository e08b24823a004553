"""Strain in the detectors of any waveform source, by name, model or generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.waveform.model import WaveformModel

if TYPE_CHECKING:
    from gwsurrogate_ml.strain.segment import AnalysisSegment


def responses(segment: AnalysisSegment, waveform: Any) -> Callable[[Mapping[str, float]], np.ndarray]:
    """Function from the eleven parameters to the strain (n_det, n_f) in each detector."""
    if isinstance(waveform, WaveformModel):
        from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood

        likelihood = SegmentLikelihood(segment, waveform)
        return lambda row: likelihood.signals({name: np.array([value]) for name, value in row.items()})[0]
    interferometers = segment.to_bilby()
    strain = (_lal(segment, waveform.removeprefix("lal:")) if isinstance(waveform, str) else waveform).frequency_domain_strain

    def response(row: Mapping[str, float]) -> np.ndarray:
        polarizations = strain(dict(row))
        return np.stack([i.get_detector_response(polarizations, dict(row)) for i in interferometers])

    return response


def _lal(segment: AnalysisSegment, approximant: str) -> Any:
    """bilby's generator of a model of LALSimulation on the segment's frequencies."""
    import bilby

    from gwsurrogate_ml.waveform.lal import require_approximant

    require_approximant(approximant)
    return bilby.gw.WaveformGenerator(
        duration=segment.duration,
        sampling_frequency=segment.sampling_frequency,
        start_time=segment.start_time,
        frequency_domain_source_model=bilby.gw.source.lal_binary_black_hole,
        parameter_conversion=bilby.gw.conversion.convert_to_lal_binary_black_hole_parameters,
        waveform_arguments={
            "minimum_frequency": segment.f_min,
            "waveform_approximant": approximant,
            "reference_frequency": max(segment.f_min, 20.0),
        },
    )
