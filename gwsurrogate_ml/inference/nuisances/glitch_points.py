r"""The integral over a glitch for each draw of a posterior: the amplitude in closed form, shape and time by points.

With ``z_p = <u_p | d - h>`` the matched filter of the residual with a glitch of unit signal-to-noise ratio at the point p, the
likelihood's gain by a glitch there, its amplitude integrated, is a function of \|z_p\| (`AmplitudePrior`). Points are drawn where
glitches of good draws lie, by importance sampling in rounds that begin with all times of a window and shapes of the prior; each
carries prior over density: their weighted sum is the integral without bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.nuisances.glitch_prior import AmplitudePrior, GlitchPrior, unit_white
from gwsurrogate_ml.inference.weights import effective_size, resample, tempering

N_POINTS = 1024
N_SHAPES, N_CENTRES = 128, 256
"""Shapes of the prior that all times are asked with, and Gaussians that a round's points are drawn from."""
FROM_PRIOR = 0.1
"""Share of each round's points that comes from the prior."""
ROUNDS, ENOUGH, COUNT = 6, 0.3, 60
"""Rounds at most, effective share of the points that ends them, effective points that a round's Gaussians are put around."""
NARROW, GAP = 0.5, 3e-3
"""Width of the Gaussians beside that of the points about them, and seconds that part two groups of points."""
FLOOR = np.array([0.03, 0.03, 2e-5])
NEGLIGIBLE, LOST = 25.0, 1e-8
"""Log of a point's share, below the largest, at which it is left out; power of a glitch that the basis may lose."""


class GlitchIntegrated(NamedTuple):
    """What the integral gives for N draws.

    Parameters
    ----------
    log_integral : (N,) log of the mean likelihood over the glitch's prior, over that without one
    effective : (N,) points behind it
    shape : (N, 2), time : (N,) s from the segment's start, amplitude : (N,) complex128
        a glitch of each draw's posterior, given that there is one
    gain : (N,) log likelihood it adds
    """

    log_integral: np.ndarray
    effective: np.ndarray
    shape: np.ndarray
    time: np.ndarray
    amplitude: np.ndarray
    gain: np.ndarray


@dataclass(frozen=True, eq=False)
class GlitchPoints:
    """Points of the integral in one detector.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    d : int
        index of the detector
    places : (P, 3) float64
        ln f0, ln gbw, and time in s from the segment's start
    log_weights : (P,) float64
        prior over the density they were drawn from, over P
    amplitude : AmplitudePrior
    basis : (k, n_band) complex128, coefficients : (P, k)
        whitened glitches of unit signal-to-noise ratio are ``coefficients @ basis``
    """

    likelihood: SegmentLikelihood
    d: int
    places: np.ndarray
    log_weights: np.ndarray
    amplitude: AmplitudePrior
    basis: np.ndarray
    coefficients: np.ndarray

    def filtered(self, residuals: np.ndarray) -> np.ndarray:
        """z (N, P) of residuals (N, n_det, n_f)."""
        band = self.likelihood.band
        white = residuals[:, self.d, band] * np.sqrt(self.likelihood.weight[self.d, band])
        return (white @ self.basis.conj().T) @ self.coefficients.conj().T

    def __call__(self, residuals: np.ndarray, rng: np.random.Generator) -> GlitchIntegrated:
        """Integrate for residuals (N, n_det, n_f) in 1/Hz: data less signals."""
        z = self.filtered(residuals)
        logs = self.amplitude.log_integral(z) + self.log_weights
        total = logsumexp(logs, axis=1)
        share = np.exp(logs - total[:, None])
        cumulative = np.cumsum(share, axis=1)
        p = np.minimum(np.sum(cumulative < rng.random((len(z), 1)) * cumulative[:, -1:], axis=1), len(self.places) - 1)
        at = z[np.arange(len(z)), p]
        amplitude = AmplitudePrior(self.amplitude.shares[p], self.amplitude.variances).draw(at, rng)
        gain = np.real(np.conj(amplitude) * at) - 0.5 * np.abs(amplitude) ** 2
        return GlitchIntegrated(total, 1 / np.sum(share**2, axis=1), self.places[p, :2], self.places[p, 2], amplitude, gain)


def choose_points(
    likelihood: SegmentLikelihood,
    d: int,
    prior: GlitchPrior,
    window: tuple[float, float],
    residuals: np.ndarray,
    rng: np.random.Generator,
    n: int = N_POINTS,
) -> GlitchPoints:
    """Points for draws like those whose residuals (R, n_det, n_f) are given; the window in s from the segment's start."""
    white = residuals[:, d, likelihood.band] * np.sqrt(likelihood.weight[d, likelihood.band])
    places, log_target = _everywhere(likelihood, d, prior, window, white, rng)
    log_base, flat = np.zeros(len(places)), -np.log(window[1] - window[0])
    for _ in range(ROUNDS):
        power = tempering(log_base, log_target, COUNT)
        kernel = _Kernel.about(places[resample(log_base + power * log_target, N_CENTRES, rng)])
        from_prior = round(FROM_PRIOR * n)
        ours = np.column_stack([prior.draw(from_prior, rng), rng.uniform(*window, from_prior)])
        places = np.concatenate([kernel.draw(n - from_prior, rng), ours])
        places = places[(places[:, 2] > window[0]) & (places[:, 2] < window[1])]
        log_prior = prior.log_density(places[:, :2]) + flat
        log_q = np.logaddexp(np.log1p(-FROM_PRIOR) + kernel.log_density(places), np.log(FROM_PRIOR) + log_prior)
        log_base = log_prior - log_q
        glitches = unit_white(likelihood, d, places[:, :2], places[:, 2])
        amplitude = AmplitudePrior(prior.amplitudes(places[:, :2]), prior.variances.ravel())
        log_target = _mean_of(amplitude.log_integral(white @ glitches.conj().T), log_base)
        if effective_size(log_base + log_target) > ENOUGH * n:
            break
    total = log_base + log_target
    kept = total > total.max() - NEGLIGIBLE
    basis, coefficients = _factors(glitches[kept])
    amplitude = AmplitudePrior(amplitude.shares[kept], amplitude.variances)
    return GlitchPoints(likelihood, d, places[kept], log_base[kept] - np.log(n), amplitude, basis, coefficients)


def _factors(glitches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Basis (k, n) and coefficients (P, k) whose product is `glitches`: of random combinations of theirs, as few as serve."""
    rng, k = np.random.default_rng(0), 48
    while k < len(glitches) // 3:
        basis = np.linalg.qr((rng.normal(size=(k, len(glitches))) @ glitches).T)[0].T
        coefficients = glitches @ basis.conj().T
        if 1 - np.min(np.sum(np.abs(coefficients) ** 2, axis=1)) < LOST:
            return basis, coefficients
        k *= 2
    return glitches, np.eye(len(glitches))


def _mean_of(logs: np.ndarray, log_base: np.ndarray) -> np.ndarray:
    """Log of the mean (P,) over residuals of their gains (R, P), each over its own integral."""
    return np.asarray(logsumexp(logs - logsumexp(logs + log_base, axis=1, keepdims=True), axis=0))


def _everywhere(
    likelihood: SegmentLikelihood,
    d: int,
    prior: GlitchPrior,
    window: tuple[float, float],
    white: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Shapes of the prior at all times of the window, places (P, 3), and the log of the gain there (P,)."""
    shapes, n = prior.draw(N_SHAPES, rng), 2 * (len(likelihood.frequencies) - 1)
    step = likelihood.segment.duration / n
    at = np.arange(int(np.ceil(window[0] / step)), int(window[1] / step) + 1)
    glitches = unit_white(likelihood, d, shapes)
    amplitude = AmplitudePrior(prior.amplitudes(shapes), prior.variances.ravel())
    grid = np.zeros((N_SHAPES, n), np.complex128)
    logs = np.empty((len(white), N_SHAPES, len(at)))
    for row, residual in zip(logs, white, strict=True):
        grid[:, likelihood.band] = np.conj(glitches) * residual
        row[:] = amplitude.log_integral((np.fft.ifft(grid, axis=1)[:, at] * n).T).T
    places = np.column_stack([np.repeat(shapes, len(at), axis=0), np.tile(at * step, N_SHAPES)])
    return places, _mean_of(logs.reshape(len(white), -1), np.zeros(len(places)))


@dataclass(frozen=True, eq=False)
class _Kernel:
    """Equal Gaussians about centres (M, 3)."""

    centres: np.ndarray
    root: np.ndarray

    @classmethod
    def about(cls, centres: np.ndarray) -> _Kernel:
        """Gaussians as wide as `NARROW` times the scatter within groups of neighbouring times."""
        order = np.argsort(centres[:, 2])
        group = np.cumsum(np.diff(centres[order, 2], prepend=centres[order[0], 2]) > GAP)
        means = np.stack([np.bincount(group, x) for x in centres[order].T], axis=1) / np.bincount(group)[:, None]
        off = centres[order] - means[group]
        return cls(centres, np.linalg.cholesky(NARROW**2 * off.T @ off / len(off) + np.diag(FLOOR**2)))

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        return self.centres[rng.integers(len(self.centres), size=n)] + rng.normal(size=(n, 3)) @ self.root.T

    def log_density(self, places: np.ndarray) -> np.ndarray:
        inverse = np.linalg.inv(self.root).T
        a, b = places @ inverse, self.centres @ inverse
        square = np.sum((a[:, None] - b[None]) ** 2, axis=2)
        constant = 1.5 * np.log(2 * np.pi) + np.log(np.diag(self.root)).sum() + np.log(len(b))
        return np.asarray(logsumexp(-0.5 * square, axis=1)) - constant
