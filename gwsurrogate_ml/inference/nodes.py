"""Coefficients of many binaries in an event's basis from their strain at a few times, without a Fourier transform.

An event's waveforms span few dimensions, some hundred to a part in 1e12 of their power, so a few hundred samples of the strain
determine all else: the coefficients are a linear function of them, fitted to binaries whose waveforms were transformed in full
(the idea of the empirical interpolant: Barrault et al. 2004, Field et al. 2014, arXiv:1308.3565, with more nodes than
dimensions). What of the samples lies outside the span of the fitted ones says, binary by binary, how far the rest can be trusted.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from gwsurrogate_ml.conventions import component_masses
from gwsurrogate_ml.inference.likelihood import SegmentLikelihood

NODES = 320
"""Samples of each waveform that are looked at."""
SINGULAR = 3e-6
"""Directions of the samples weaker than this against the strongest are left out."""
RESIDUAL = 3e-9
"""Share of the samples' power outside the span above which a binary is not trusted. The error of the coefficients of those below,
as a share of the whitened power, is mostly as small; the worst of thousands measured was ten times as large."""
MOST_DIRECTIONS = 0.6
"""Share of the nodes that the directions may use up: the rest is what the residual is judged by."""
_PROBES = NODES + 32
_HELD_OUT = 5
_MORE = 64


@runtime_checkable
class SampledWaveform(Protocol):
    """What a waveform model offers for this: `surrogate.Surrogate.segment_samples`."""

    def segment_samples(
        self,
        mass_1: Any,
        mass_2: Any,
        chi_1: Any,
        chi_2: Any,
        *,
        times: Any,
        duration: Any,
        sampling_frequency: Any,
        f_min: Any,
    ) -> np.ndarray:
        """(N, n) float64 strain at `times` (n,), s from the peak, ascending."""
        ...


class Nodes:
    """Coefficients of binaries from samples of their strain.

    Parameters
    ----------
    likelihood : SegmentLikelihood
        its model must be a `SampledWaveform`
    theta : (E, 4) binaries to learn from
    waveforms : (E, n_f) complex128, theirs
    coefficients : (E, K) complex128, theirs
    tolerance : float
        largest error of the coefficients, as a share of the whitened power

    Attributes
    ----------
    trusted : bool
        whether coefficients of binaries left out of the fit were found to within the tolerance
    """

    def __init__(
        self,
        likelihood: SegmentLikelihood,
        theta: np.ndarray,
        waveforms: np.ndarray,
        coefficients: np.ndarray,
        tolerance: float,
    ) -> None:
        self.likelihood, self.tolerance = likelihood, tolerance
        self.times = _times(likelihood, waveforms, np.linalg.norm(coefficients, axis=1))
        self._samples, self._coefficients = self.samples(theta), coefficients
        self._fresh = 0
        self.fit()

    def samples(self, theta: np.ndarray) -> np.ndarray:
        """Strain (N, n) of binaries (N, 4) at the nodes."""
        likelihood = self.likelihood
        mass_1, mass_2 = component_masses(theta[:, 0], theta[:, 1])
        found: np.ndarray = likelihood.model.segment_samples(  # type: ignore[attr-defined]
            mass_1,
            mass_2,
            theta[:, 2],
            theta[:, 3],
            times=self.times,
            duration=likelihood.segment.duration,
            sampling_frequency=2 * float(likelihood.frequencies[-1]),
            f_min=likelihood.segment.f_min,
        )
        return found

    def fit(self) -> None:
        """Fit the linear map, having measured on a fifth of the binaries what it is worth."""
        norm = np.linalg.norm(self._coefficients, axis=1, keepdims=True)
        samples, coefficients = self._samples / norm, self._coefficients / norm
        held = np.arange(len(samples)) % _HELD_OUT == 0
        span, matrix = _linear_map(samples[~held], coefficients[~held])
        found, residual = _apply(samples[held], span, matrix)
        error = np.sum(np.abs(found - coefficients[held]) ** 2, axis=1)
        self._span, self._matrix = _linear_map(samples, coefficients)
        self.trusted = bool(
            self._span.shape[1] <= MOST_DIRECTIONS * len(self.times)
            and np.all(error[residual <= RESIDUAL] <= self.tolerance)
        )
        self._fresh = 0

    def __call__(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients (N, K), samples (N, n), and whether the coefficients hold (N,)."""
        samples = self.samples(theta)
        found, residual = _apply(samples, self._span, self._matrix)
        return found, samples, residual <= RESIDUAL

    def add(self, samples: np.ndarray, coefficients: np.ndarray) -> None:
        """Learn from more binaries; the map is fitted anew once there are enough of them.

        Coefficients may have grown by further columns, which are zero for binaries known before.
        """
        grown = coefficients.shape[1] - self._coefficients.shape[1]
        self._coefficients = np.concatenate([np.pad(self._coefficients, ((0, 0), (0, grown))), coefficients])
        self._samples = np.concatenate([self._samples, samples])
        self._fresh += len(samples)
        if self._fresh >= _MORE:
            self.fit()


def _times(likelihood: SegmentLikelihood, waveforms: np.ndarray, norm: np.ndarray) -> np.ndarray:
    """Times of the nodes, s from the peak, ascending: those that tell the waveforms (E, n_f) best apart.

    By Gram and Schmidt with pivoting, on random sums of the whitened waveforms' series.
    """
    from scipy.linalg import qr

    rng = np.random.default_rng(0)
    series = np.fft.irfft(waveforms / norm[:, None], axis=1)
    # The peak lies at the start of the segment; what precedes it wraps around to the end, and they meet where there is least.
    end = int(np.argmin(np.sum(series[:, : series.shape[1] // 2] ** 2, axis=0)))
    if len(series) > _PROBES:
        series = rng.normal(size=(_PROBES, len(series))) @ series
    _, _, order = qr(series, mode="economic", pivoting=True)
    n = series.shape[1]
    steps = order[: min(NODES, len(series))]
    return np.sort(np.where(steps >= end, steps - n, steps)) * (likelihood.segment.duration / n)


def _linear_map(samples: np.ndarray, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions (n, R) that span the samples (E, n), and the map (R, K) from components along them to coefficients."""
    u, singular, rows = np.linalg.svd(samples, full_matrices=False)
    size = int(np.sum(singular > SINGULAR * singular[0]))
    return np.ascontiguousarray(rows[:size].T), (u[:, :size].T @ coefficients) / singular[:size, None]


def _apply(samples: np.ndarray, span: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (N, K) and the share of the samples' power outside the span (N,)."""
    components = samples @ span
    rest = samples - components @ span.T
    return components @ matrix, np.sum(rest**2, axis=1) / np.sum(samples**2, axis=1)
