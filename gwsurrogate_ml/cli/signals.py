"""Signals of posterior draws in the detectors: what the waveform band and the matched filter's template are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.conventions import component_masses

if TYPE_CHECKING:
    from gwsurrogate_ml.strain.segment import AnalysisSegment


def draw_parameters(posterior: Any, n: int, seed: int) -> list[dict[str, float]]:
    """At most `n` rows of a posterior table (DataFrame), drawn without replacement, as dictionaries."""
    chosen = np.random.default_rng(seed).permutation(len(posterior))[:n]
    return [{key: float(value) for key, value in row.items()} for row in posterior.iloc[chosen].to_dict("records")]


def face_on(model: Any, parameters: Sequence[Mapping[str, float]], segment: AnalysisSegment) -> np.ndarray:
    """h_plus(f) at 1 Mpc, face-on, phase 0, merger at t = 0, of each set of parameters.

    Parameters
    ----------
    model : waveform model with `frequency_domain`
    parameters : sequence of mappings with chirp_mass (solar masses, detector frame), mass_ratio, chi_1, chi_2

    Returns
    -------
    (n, n_f) complex128, 1/Hz, on `segment.frequencies`
    """
    table = {key: np.array([row[key] for row in parameters]) for key in ("chirp_mass", "mass_ratio", "chi_1", "chi_2")}
    mass_1, mass_2 = component_masses(table["chirp_mass"], table["mass_ratio"])
    return np.asarray(
        model.frequency_domain(
            mass_1,
            mass_2,
            table["chi_1"],
            table["chi_2"],
            duration=segment.duration,
            sampling_frequency=segment.sampling_frequency,
            f_min=segment.f_min,
        )
    )


def detector_signals(model: Any, parameters: Sequence[Mapping[str, float]], segment: AnalysisSegment) -> np.ndarray:
    """Strain of each set of parameters in each detector of `segment`.

    Parameters
    ----------
    model : waveform model with `frequency_domain`
    parameters : sequence of n mappings with the eleven bilby parameters

    Returns
    -------
    (n, n_det, n_f) complex128, 1/Hz
    """
    from gwsurrogate_ml.strain.detectors import project
    from gwsurrogate_ml.strain.signal import polarizations

    signals = np.empty((len(parameters), len(segment.detectors), len(segment.frequencies)), dtype=np.complex128)
    for i, (row, wave) in enumerate(zip(parameters, face_on(model, parameters, segment), strict=True)):
        plus, cross = polarizations(wave, row)
        for j, detector in enumerate(segment.detectors):
            signals[i, j] = project(detector, plus, cross, row, segment.frequencies, segment.start_time)
    return signals


def whitened_band(
    model: Any, parameters: Sequence[Mapping[str, float]], segment: AnalysisSegment
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Whitened data and the 5 %, 50 % and 95 % quantiles of the whitened waveforms.

    Returns
    -------
    times : (n_t,) float64, GPS s
    data : mapping from detector to (n_t,) float64, standard deviations of the noise
    bands : mapping from detector to (3, n_t) float64
    """
    waves = segment.whitened(detector_signals(model, parameters, segment))
    data = segment.whitened()
    times = segment.start_time + np.arange(data.shape[-1]) / segment.sampling_frequency
    bands = np.quantile(waves, (0.05, 0.5, 0.95), axis=0)
    names = list(enumerate(segment.detectors))
    return times, {name: data[i] for i, name in names}, {name: bands[:, i] for i, name in names}
