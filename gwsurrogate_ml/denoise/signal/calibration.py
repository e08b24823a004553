"""Known signals in known noise: figures of merit (overlap, amplitude error, coverage, each beside the projection on the true
waveform), and the level that noise reaches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.denoise.signal.denoiser import SignalDenoiser
from gwsurrogate_ml.denoise.signal.segment import DURATION, SEARCH, Segment, frequencies

RATE = 1024.0
"""Sampling rate of the series that are compared, Hz."""
STRONG = 0.1
"""Bands are judged where the signal exceeds this fraction of its maximum."""


@dataclass(frozen=True)
class Figures:
    """How well a known signal came out.

    Parameters
    ----------
    overlap : normalised inner product of reconstruction and signal in the whitened band
    amplitude_error : |norm of the reconstruction / norm of the signal - 1|
    coverage : fraction of times at which the signal lies within one sigma, where it is strong
    bound : overlap of the true waveform's own matched-filter projection, amplitude and phase fitted: 1 but for numerics;
        its amplitude error is `bound_amplitude_error`
    probability, flagged : what the denoiser says: of a signal, and whether something unknown is there
    """

    overlap: float
    amplitude_error: float
    coverage: float
    bound: float
    bound_amplitude_error: float
    probability: float
    flagged: bool


def inject(segment: Segment, waveform: np.ndarray, snr: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Data and signal (n_f,), both whitened: a waveform at a random time and phase, scaled to an optimal SNR."""
    white = waveform / np.sqrt(segment.psd)
    white = white / np.sqrt(4.0 / DURATION * np.sum(np.abs(white) ** 2))
    time = rng.uniform(SEARCH[0] + 0.2, SEARCH[1] - 0.2)
    turn = np.exp(-2j * np.pi * frequencies() * time + 2j * np.pi * rng.random())
    signal = snr * white * turn
    return segment.white + signal, signal


def judge(denoiser: SignalDenoiser, segment: Segment, data: np.ndarray, signal: np.ndarray, seed: int = 0) -> Figures:
    """Denoise data that hold a known signal, and compare."""
    r = denoiser.reconstruct(data, segment.psd, RATE, seed=seed)
    truth = denoiser.series(signal[None], RATE)[0]
    strong = np.abs(truth) > STRONG * np.abs(truth).max()
    norm = 4.0 / DURATION * np.sum(np.abs(signal) ** 2)
    projection = 4.0 / DURATION * np.sum(np.conj(signal) * data) / norm  # complex: amplitude and phase
    bound = denoiser.series((projection * signal)[None], RATE)[0]
    return Figures(
        _overlap(r.signal, truth),
        abs(float(np.linalg.norm(r.signal) / np.linalg.norm(truth)) - 1.0),
        float(np.mean(np.abs(r.signal - truth)[strong] < r.sigma[strong])),
        _overlap(bound, truth),
        abs(abs(projection) - 1.0),
        r.probability,
        bool(denoiser.flags(r)),
    )


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-300))


def noise_level(log_bayes: Sequence[float], false_alarms: float) -> float:
    """What log Bayes factors of noise exceed with a probability.

    Beyond what the sample resolves their tail is continued as an exponential of unit rate, its form in Gaussian noise.

    Examples
    --------
    >>> round(noise_level(np.zeros(100), 0.01), 3)
    2.303
    """
    level = float(np.quantile(log_bayes, 0.9))  # P(log B > x) falls by e for every unit of x
    return float(max(level + np.log(0.1 / false_alarms), np.quantile(log_bayes, 1 - false_alarms)))
