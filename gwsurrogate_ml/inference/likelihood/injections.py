"""Simulated events: a signal of the prior in stationary Gaussian noise of a random spectrum of each detector's kind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.conventions import EXTRINSIC
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.prior.composition import Prior
from gwsurrogate_ml.inference.psds import kind_of, random_psd
from gwsurrogate_ml.strain.segment import AnalysisSegment
from gwsurrogate_ml.waveform.model import WaveformModel

GPS = 1187008882.4
_QUIETEST = 5.0


def simulate_segment(
    parameters: dict[str, float] | None,
    model: WaveformModel,
    psd: np.ndarray,
    config: SegmentConfig,
    rng: np.random.Generator | None,
    gps: float = GPS,
) -> AnalysisSegment:
    """A segment of stationary Gaussian noise, made in the frequency domain, with or without a signal.

    Parameters
    ----------
    parameters : the eleven parameters, or None for noise alone
    model : WaveformModel
    psd : (n_det, n_f) float64, 1/Hz, on the segment's grid from 0 to f_max; inf where unusable
    config : SegmentConfig
    rng : numpy Generator, or None for no noise (the signal alone, with the PSD)
    gps : float
        nominal time; the segment ends 2 s after it
    """
    n_f = round(config.f_max * config.duration) + 1
    frequencies = np.arange(n_f) / config.duration
    mask = (frequencies >= config.f_min) & (frequencies <= config.f_max)
    strain = np.zeros((len(config.detectors), n_f), dtype=np.complex128)
    if rng is not None:
        # E|n|^2 = S T / 2 in each bin.
        scale = np.where(mask, np.sqrt(np.where(mask, psd, 1.0) * config.duration / 4), 0.0)
        strain = scale * (rng.normal(size=strain.shape) + 1j * rng.normal(size=strain.shape))
    segment = AnalysisSegment(
        detectors=tuple(config.detectors),
        gps=gps,
        start_time=gps + 2.0 - config.duration,
        duration=config.duration,
        f_min=config.f_min,
        f_max=config.f_max,
        roll_off=0.0,
        frequencies=frequencies,
        strain=strain,
        psd=psd,
        mask=mask,
    )
    if parameters is not None:
        table = {name: np.array([parameters[name]]) for name in (*model.space.names, *EXTRINSIC)}
        strain += SegmentLikelihood(segment, model).signals(table)[0]
    return segment


def random_psds(config: SegmentConfig, rng: np.random.Generator) -> np.ndarray:
    """PSDs (n_det, n_f) of the training's ensemble, each of its detector's kind, on the segment's grid; inf below f_min."""
    n_f = round(config.f_max * config.duration) + 1
    frequencies = np.arange(n_f) / config.duration
    band = frequencies >= config.f_min
    psd = np.full((len(config.detectors), n_f), np.inf)
    for row, detector in zip(psd, config.detectors, strict=True):
        row[band] = random_psd(frequencies[band], rng, kind_of(detector))
    return psd


@dataclass(frozen=True)
class Injection:
    """A simulated event: true parameters, optimal network signal-to-noise ratio, data."""

    parameters: dict[str, float]
    snr: float
    segment: AnalysisSegment


def draw_injection(config: SegmentConfig, prior: Prior, model: WaveformModel, rng: np.random.Generator) -> Injection:
    """A signal from the prior in noise of a random PSD.

    Signals whose optimal network signal-to-noise ratio is below 5 are skipped: what is analysed is chosen by the data
    alone (see `calibration.campaign`), and these hardly ever pass.
    """
    import bilby

    bilby.core.utils.random.seed(int(rng.integers(2**31)))
    priors = prior.to_bilby(GPS)
    while True:
        psd = random_psds(config, rng)
        likelihood = SegmentLikelihood(simulate_segment(None, model, psd, config, None), model)
        table = priors.sample(64)
        signals = likelihood.signals(table)
        snr = np.sqrt(np.sum(np.abs(signals) ** 2 * likelihood.weight, axis=(1, 2)))
        loud = np.flatnonzero(snr > _QUIETEST)
        if len(loud):
            i = int(loud[0])
            parameters = {name: float(table[name][i]) for name in (*model.space.names, *EXTRINSIC)}
            return Injection(parameters, float(snr[i]), simulate_segment(parameters, model, psd, config, rng))
