"""A first guess of a glitch under a signal: both fitted together, the signal's time and loudness as other detectors have them.

It is subtracted from the data only to find where to draw from: weights know nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.optimize import minimize

from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import first_templates, network_lags
from gwsurrogate_ml.inference.nuisances.glitch_prior import GlitchPrior, unit_white
from gwsurrogate_ml.inference.prior.composition import Prior

N_TEMPLATES, N_SHAPES = 40, 48
"""Templates, the loudest in the detectors without a glitch, and shapes of glitches that are tried with each."""
STEP = 2
"""Samples between two arrival times tried."""
ALIKE = 0.9
"""Squared overlap of glitch and signal from which they are not told apart."""
SPREAD = 0.7
"""Standard deviation of the log of a signal's amplitude in one detector over that in another."""


def first_fit(
    likelihood: SegmentLikelihood,
    prior: Prior,
    glitch_prior: GlitchPrior,
    windows: Mapping[int, tuple[float, float]],
    seed: int,
) -> np.ndarray:
    """Glitches (n_det, n_f) in 1/Hz, zero in detectors without.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    prior : Prior
        of the signal
    glitch_prior : GlitchPrior
    windows : mapping from a detector's index to first and last time of its glitch, s from the segment's start
    seed : int
    """
    rng = np.random.default_rng([seed, 71])
    out = np.zeros_like(likelihood.strain)
    h, times, anchor, loud = _seen_elsewhere(likelihood, prior, windows, seed)
    for d, window in windows.items():
        out[d, likelihood.band] = _fit(likelihood, d, window, glitch_prior, h, times, anchor, loud, rng)
    return out


def _white(likelihood: SegmentLikelihood, d: int, spectra: np.ndarray) -> np.ndarray:
    return spectra[..., likelihood.band] * np.sqrt(likelihood.weight[d, likelihood.band])


def _series(likelihood: SegmentLikelihood, product: np.ndarray) -> np.ndarray:
    """Sums over the band of `product` (..., n_band) times exp(2 pi i f t), at the segment's sampling times."""
    n = 2 * (len(likelihood.frequencies) - 1)
    grid = np.zeros((*product.shape[:-1], n), np.complex128)
    grid[..., likelihood.band] = product
    return np.fft.ifft(grid, axis=-1) * n


def _seen_elsewhere(
    likelihood: SegmentLikelihood, prior: Prior, windows: Mapping[int, tuple[float, float]], seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The loudest templates (n, n_f) of the detectors without a glitch, arrival (samples) in the loudest of these, its amplitude
    over the signal-to-noise ratio of unit amplitude, and the squared signal-to-noise ratio of all.
    """
    h = likelihood.waveforms(first_templates(prior, seed))
    rate = 2 * float(likelihood.frequencies[-1])
    centre, half = likelihood.segment.gps - likelihood.segment.start_time, prior.time_half_width + 0.0213
    inside = slice(max(round((centre - half) * rate), 0), round((centre + half) * rate) + 1)
    clean = [d for d in range(len(likelihood.strain)) if d not in windows]
    sigma = np.sqrt(likelihood.power(h))
    peak = np.zeros((len(h), len(clean)))
    at = np.zeros((len(h), len(clean)), int)
    for k, d in enumerate(clean):
        product = np.conj(_white(likelihood, d, h)) * _white(likelihood, d, likelihood.strain[d])
        for start in range(0, len(h), 64):
            rho = np.abs(_series(likelihood, product[start : start + 64])[:, inside]) / sigma[start : start + 64, d, None]
            at[start : start + 64, k] = inside.start + np.argmax(rho, axis=1)
            peak[start : start + 64, k] = rho.max(axis=1)
    best = np.argsort(-np.sum(peak**2, axis=1))[:N_TEMPLATES]
    first = int(np.argmax(peak[best[0]]))
    amplitude = peak[best, first] / sigma[best, clean[first]]
    return h[best], at[best, first], amplitude, np.sum(peak[best] ** 2, axis=1)


def _fit(
    likelihood: SegmentLikelihood,
    d: int,
    window: tuple[float, float],
    prior: GlitchPrior,
    h: np.ndarray,
    times: np.ndarray,
    anchor: np.ndarray,
    loud: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """The glitch's strain (n_band,) in detector `d`."""
    rate = 2 * float(likelihood.frequencies[-1])
    n = round(rate * likelihood.segment.duration)
    lag = max(*network_lags(likelihood, rate), 1) + 2
    shapes = prior.draw(N_SHAPES, rng)
    glitches, data = unit_white(likelihood, d, shapes), _white(likelihood, d, likelihood.strain[d])
    t_g = np.arange(int(np.ceil(window[0] * rate)), int(window[1] * rate) + 1)
    z_g = _series(likelihood, np.conj(glitches) * data)[:, t_g]
    best: tuple[float, tuple[int, int, int, int]] = (-np.inf, (0, 0, 0, 0))
    white, sigma = _white(likelihood, d, h), np.sqrt(likelihood.power(h)[:, d])
    for i, (signal, norm) in enumerate(zip(white, sigma, strict=True)):
        unit = signal / norm
        z_h, overlap = _series(likelihood, np.conj(unit) * data), _series(likelihood, np.conj(glitches) * unit)
        for t_h in range(times[i] - lag, times[i] + lag + 1, STEP):
            c, z = overlap[:, (t_g - t_h) % n], z_h[t_h % n]
            left = 1 - np.abs(c) ** 2
            amplitude = np.abs(z - np.conj(c) * z_g) / np.maximum(left, 1 - ALIKE) / norm
            gain = loud[i] + np.abs(z) ** 2 + np.abs(z_g - c * z) ** 2 / np.maximum(left, 1 - ALIKE)
            gain -= (np.log(np.maximum(amplitude, 1e-300) / anchor[i]) / SPREAD) ** 2
            gain[left < 1 - ALIKE] = -np.inf
            j = int(np.argmax(gain))
            if gain.flat[j] > best[0]:
                best = float(gain.flat[j]), (i, t_h, j // gain.shape[1], j % gain.shape[1])
    i, t_h, s, k = best[1]
    f = likelihood.frequencies[likelihood.band]
    unit = white[i] / sigma[i] * np.exp(-2j * np.pi * f * t_h / rate)
    return _polished(likelihood, d, prior, data, unit, np.array([*shapes[s], t_g[k] / rate]))


def _polished(
    likelihood: SegmentLikelihood, d: int, prior: GlitchPrior, data: np.ndarray, unit: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """Shape and time of greatest posterior near `start`, the signal `unit` (n_band,) beside it; its strain (n_band,)."""
    z, scale = np.vdot(unit, data), np.array([0.1, 0.1, 2e-4])

    def glitch(x: np.ndarray) -> tuple[np.ndarray, complex, float]:
        g = unit_white(likelihood, d, x[None, :2], x[2])[0]
        c = np.vdot(g, unit)
        return g, (np.vdot(g, data) - c * z) / (1 - min(abs(c) ** 2, ALIKE)), 1 - min(abs(c) ** 2, ALIKE)

    def cost(y: np.ndarray) -> float:
        x = start + scale * y
        _, amplitude, left = glitch(x)
        return -0.5 * float(np.abs(amplitude) ** 2 * left + 2 * prior.log_density(x[None, :2])[0])

    found = minimize(cost, np.zeros(3), method="Nelder-Mead", options={"maxfev": 250, "xatol": 0.02, "fatol": 0.02})
    g, amplitude, _ = glitch(start + scale * found.x)
    root = np.sqrt(likelihood.weight[d, likelihood.band])
    return np.divide(amplitude * g, root, out=np.zeros_like(g), where=root > 0)
