"""Where the signal is: a coarse matched filter over the prior, giving arrival times, signal-to-noise ratios and the
alignment of the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import qmc

from gwsurrogate_ml.conventions import C_SI
from gwsurrogate_ml.inference.likelihood.alignment import alignment
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.prior.composition import Prior

_SETTLE = 4


@dataclass(frozen=True)
class Trigger:
    """The loudest template.

    Parameters
    ----------
    theta : (n,) its parameters, of the model's space
    waveform : (n_f,) complex128, face-on at 1 Mpc
    times : (n_det,) arrival of its peak in each detector, s from the segment's start
    aligned : (n_det,) the same, less the template's lag behind the reference waveform: where the data are aligned
    snr : (n_det,) matched-filter signal-to-noise ratios; network_snr : float
    """

    theta: np.ndarray
    waveform: np.ndarray
    times: np.ndarray
    aligned: np.ndarray
    snr: np.ndarray

    @property
    def network_snr(self) -> float:
        """Root of the sum of squares."""
        return float(np.linalg.norm(self.snr))


def first_templates(prior: Prior, seed: int) -> np.ndarray:
    """Quasi-random binaries (256, n_parameters) over the prior: what a search begins with."""
    return prior.from_uniform(_quasi_random(len(prior.names), seed))


def _quasi_random(dimension: int, seed: int) -> np.ndarray:
    return qmc.Sobol(dimension, scramble=True, seed=np.random.default_rng(seed)).random(256)


def network_lags(likelihood: SegmentLikelihood, rate: float) -> list[int]:
    """Samples by which a signal may reach each detector earlier or later than the first; 0 for the first itself."""
    vertices = likelihood.network.vertices
    return [int(np.ceil(np.linalg.norm(vertices[0] - vertex) / C_SI * rate)) + 1 if d else 0 for d, vertex in enumerate(vertices)]


def snr_series(likelihood: SegmentLikelihood, h: np.ndarray, rate: float) -> list[np.ndarray]:
    """Matched-filter signal-to-noise ratio (N, n) of waveforms (N, n_f) at `rate` (Hz) from the segment's start, by detector."""
    n = round(rate * likelihood.segment.duration)
    grid = np.zeros((len(h), n), dtype=np.complex128)
    sigma = np.sqrt(likelihood.power(h))
    rho = []
    for d, (weight, strain) in enumerate(zip(likelihood.weight, likelihood.strain, strict=True)):
        grid[:] = 0
        grid[:, : h.shape[1]] = np.conj(h) * (weight * strain)
        rho.append(np.abs(np.fft.ifft(grid, axis=1) * n) / sigma[:, d, None])
    return rho


Combine = Callable[[np.ndarray], np.ndarray]
"""Squared signal-to-noise ratios of the detectors (n_det, ...) to one measure of loudness (...)."""


def total(squared: np.ndarray) -> np.ndarray:
    """Sum over detectors: squared network signal-to-noise ratio."""
    return squared.sum(axis=0)


def _peaks(likelihood: SegmentLikelihood, h: np.ndarray, centre: float, half_width: float, rate: float, combine: Combine) -> tuple:
    """Best arrival times, causal with the first detector, for each waveform: times (N, n_det), snr (N, n_det)."""
    from scipy.ndimage import maximum_filter1d

    n = round(rate * likelihood.segment.duration)
    first = max(round((centre - half_width) * rate), 0)
    last = min(round((centre + half_width) * rate), n - 1)
    rho = [row[:, first : last + 1] for row in snr_series(likelihood, h, rate)]
    lags = network_lags(likelihood, rate)
    # Each other detector's best within the light travel time from the first.
    near = [maximum_filter1d(x, 2 * lag + 1, axis=1, mode="constant") for x, lag in zip(rho, lags, strict=True)]
    together = combine(np.square(near))
    times, snr = np.empty((len(h), len(rho))), np.empty((len(h), len(rho)))
    for i, j in enumerate(np.argmax(together, axis=1)):
        for d, lag in enumerate(lags):
            low = max(j - lag, 0)
            index = low + int(np.argmax(rho[d][i, low : j + lag + 1]))
            offset, height = _parabola(rho[d][i], index)
            times[i, d] = (first + index + offset) / rate
            snr[i, d] = height
    return times, snr


def _parabola(y: np.ndarray, i: int) -> tuple[float, float]:
    """Offset (in samples) and height of the maximum of the parabola through three points."""
    if not 0 < i < len(y) - 1:
        return 0.0, float(y[i])
    a, b, c = y[i - 1], y[i], y[i + 1]
    curvature = a - 2 * b + c
    if curvature >= 0:
        return 0.0, float(b)
    offset = float(np.clip(0.5 * (a - c) / curvature, -0.5, 0.5))
    return offset, float(b - 0.25 * (a - c) * offset)


def loudest(
    likelihood: SegmentLikelihood,
    prior: Prior,
    seed: int,
    half_width: float,
    progress: Callable[[int, int], None] | None = None,
    combine: Combine = total,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Filter with a quasi-random bank over the prior, then with templates ever closer to the loudest.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    prior : Prior
    seed : int
    half_width : float, s
        of arrival times at the geocentre about the segment's nominal time
    progress : callable, optional, ``progress(done, total)``
    combine : callable
        what is loud

    Returns
    -------
    theta (n_parameters,), waveform (n_f,), times (n_det,) and snr (n_det,), as in `Trigger`
    """
    centre = likelihood.segment.gps - likelihood.segment.start_time
    # Arrival at a detector differs from that at the geocentre by at most 21 ms.
    half_width = half_width + 0.0213
    rate = 2 * float(likelihood.frequencies[-1])
    u = _quasi_random(len(prior.names), seed)
    best: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None = None
    most, base = -1.0, None
    for round_ in range(_SETTLE):
        if base is None:
            theta = prior.from_uniform(u)
        else:
            width = 0.35 * 0.45**round_
            theta = prior.from_uniform(np.clip(base + width * (u[:64] - 0.5), 0, 1))
        for start in range(0, len(theta), 64):
            part = theta[start : start + 64]
            h = likelihood.waveforms(part)
            times, snr = _peaks(likelihood, h, centre, half_width, rate, combine)
            loudness = combine(np.square(snr.T))
            i = int(np.argmax(loudness))
            if best is None or loudness[i] > most:
                most, best = float(loudness[i]), (part[i], h[i], times[i], snr[i])
        assert best is not None
        base = prior.to_uniform(best[0][None])[0]
        if progress:
            progress(round_ + 1, _SETTLE)
    assert best is not None
    return best


def search(
    likelihood: SegmentLikelihood,
    prior: Prior,
    reference: np.ndarray,
    band: np.ndarray,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Trigger:
    """The loudest template within the prior, aligned with a reference.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    prior : Prior
    reference : (n_b,) complex128
        the waveform to align with, on the frequencies `band`
    band : (n_b,) int, indices of the analysis band
    seed : int

    Returns
    -------
    Trigger
    """
    theta, h, times, snr = loudest(likelihood, prior, seed, prior.time_half_width, progress)
    delay, _ = alignment(h[None, band], reference, likelihood.frequencies[band])
    return Trigger(theta, h, times, times + delay[0], snr)
