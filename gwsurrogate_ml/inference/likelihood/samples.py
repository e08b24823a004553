"""Coefficients of many binaries in an event's basis from their strain at a few times, without a Fourier transform.

An event's waveforms span few dimensions, some hundred to a part in 1e12 of their power, so a few hundred samples of the strain
determine all else: the coefficients are a linear function of them, known from binaries whose waveforms were transformed in full
(the empirical interpolant of Barrault et al. 2004 and Field et al. 2014, arXiv:1308.3565, with more nodes than dimensions). What
of the samples lies outside the span of what is known says, binary by binary, whether the coefficients can be trusted.
"""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.kernels.threads import in_threads

NODES = 400
"""Samples of each waveform that are looked at."""
RESIDUAL = 1 / 30
"""Share of the samples' power outside the span, against the tolerance, above which a binary is not trusted. The worst errors were
some thirty times that share where measured: it counts all times alike, the detectors do not."""
MOST_DIRECTIONS = 0.7
"""Share of the nodes that the directions may use up: the rest is what the residual is judged by."""
_PROBES = NODES + 32
_HELD_OUT = 5


class EmpiricalInterpolant:
    """Coefficients of binaries from samples of their strain.

    Parameters
    ----------
    likelihood : SegmentLikelihood
        its model must give `samples`
    tensors : mapping of arrays
        what `tensors` gave; `of` makes a new one
    """

    def __init__(self, likelihood: SegmentLikelihood, tensors: dict[str, np.ndarray]) -> None:
        self.likelihood = likelihood
        self._steps, self.times = tensors["steps"], tensors["times"]
        # Orthonormal series, as columns, that span what is known, and the coefficients of each.
        self._directions, self._coefficients = tensors["directions"], tensors["coefficients"]
        self._residual, self._weakest = float(tensors["residual"]), float(tensors["weakest"])
        self._accurate = bool(tensors["accurate"])
        if self._directions.shape[1]:
            self._invert()

    @classmethod
    def of(
        cls,
        likelihood: SegmentLikelihood,
        theta: np.ndarray,
        waveforms: np.ndarray,
        coefficients: np.ndarray,
        tolerance: float,
    ) -> EmpiricalInterpolant:
        """Learned from binaries.

        Parameters
        ----------
        likelihood : SegmentLikelihood
        theta : (E, n) binaries to learn from
        waveforms : (E, n_f) complex128, theirs
        coefficients : (E, K) complex128, theirs, linear in the waveforms
        tolerance : float
            largest error wanted of the coefficients, as a share of the whitened power
        """
        series, coefficients, norm = _normalised(likelihood, waveforms, coefficients)
        steps, times = _nodes(series, likelihood.segment.duration)
        residual = RESIDUAL * tolerance
        found = cls(
            likelihood,
            {
                "steps": steps,
                "times": times,
                "directions": np.zeros((series.shape[1], 0)),
                "coefficients": np.zeros((0, coefficients.shape[1]), dtype=np.complex128),
                "residual": np.array(residual),
                "weakest": np.sqrt(residual * np.mean(np.sum(series**2, axis=1))),
                "accurate": np.array(False),
            },
        )
        held = np.arange(len(theta)) % _HELD_OUT == 0
        found._extend(series[~held], coefficients[~held])
        guessed, good = found(theta[held])
        error = np.sum(np.abs(guessed / norm[held] - coefficients[held]) ** 2, axis=1)
        found._accurate = bool(good.any() and np.quantile(error[good], 0.99) <= tolerance)
        found._extend(series[held], coefficients[held])
        return found

    def tensors(self) -> dict[str, np.ndarray]:
        """All that it has learned."""
        return {
            "steps": self._steps,
            "times": self.times,
            "directions": self._directions,
            "coefficients": self._coefficients,
            "residual": np.array(self._residual),
            "weakest": np.array(self._weakest),
            "accurate": np.array(self._accurate),
        }

    @property
    def trusted(self) -> bool:
        """Whether the nodes outnumber the directions, and whether coefficients of binaries left out at first were right."""
        return self._accurate and self._directions.shape[1] <= MOST_DIRECTIONS * len(self.times)

    def __call__(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients (N, K) of binaries (N, 4), and whether they hold (N,)."""
        likelihood = self.likelihood
        samples = likelihood.model.samples(likelihood.space.binaries(theta), likelihood.grid, self.times)
        coefficients = np.empty((len(theta), self._coefficients.shape[1]), dtype=np.complex128)
        good, at_nodes = np.empty(len(theta), dtype=bool), self._directions[self._steps].T

        def work(rows: slice) -> None:
            amplitudes = samples[rows] @ self._inverse
            rest = samples[rows] - amplitudes @ at_nodes
            coefficients[rows] = amplitudes @ self._coefficients
            good[rows] = np.sum(rest**2, axis=1) <= self._residual * np.sum(samples[rows] ** 2, axis=1)

        in_threads(work, len(theta))
        return coefficients, good

    def add(self, waveforms: np.ndarray, coefficients: np.ndarray) -> None:
        """Learn from more binaries. Their coefficients may have further columns, which are zero for those known before."""
        grown = coefficients.shape[1] - self._coefficients.shape[1]
        self._coefficients = np.pad(self._coefficients, ((0, 0), (0, grown)))
        self._extend(*_normalised(self.likelihood, waveforms, coefficients)[:2])

    def _extend(self, series: np.ndarray, coefficients: np.ndarray) -> None:
        """Add the directions that `series` (E, n_t) have beyond those known, with their `coefficients` (E, K)."""
        for _ in range(2):
            known = series @ self._directions
            series, coefficients = series - known @ self._directions.T, coefficients - known @ self._coefficients
        power, columns = np.linalg.eigh(series @ series.T)
        kept = power > self._weakest**2
        mix = columns[:, kept] / np.sqrt(power[kept])
        fresh, triangle = np.linalg.qr(series.T @ mix)
        self._directions = np.hstack([self._directions, fresh])
        self._coefficients = np.concatenate([self._coefficients, np.linalg.solve(triangle.T, mix.T @ coefficients)])
        self._invert()

    def _invert(self) -> None:
        """The pseudo-inverse: the nodes are chosen so that this is well conditioned."""
        at_nodes = self._directions[self._steps]
        self._inverse = np.linalg.solve(at_nodes.T @ at_nodes, at_nodes.T).T


def _normalised(
    likelihood: SegmentLikelihood, waveforms: np.ndarray, coefficients: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Series (E, n_t) and coefficients of waveforms scaled to unit whitened power, and the scale (E, 1)."""
    norm = np.linalg.norm(coefficients, axis=1, keepdims=True)
    rate = 2 * float(likelihood.frequencies[-1])
    return np.fft.irfft(waveforms / norm, axis=1) * rate, coefficients / norm, norm


def _nodes(series: np.ndarray, duration: float) -> tuple[np.ndarray, np.ndarray]:
    """Steps, and times in s from the peak, ascending, at which series (E, n_t) differ most.

    By Gram and Schmidt with pivoting, on random sums of the series.
    """
    from scipy.linalg import qr

    n = series.shape[1]
    # The peak lies at the start of the segment; what precedes it wraps around to the end, and they meet where there is least.
    end = int(np.argmin(np.sum(series[:, : n // 2] ** 2, axis=0)))
    if len(series) > _PROBES:
        series = np.random.default_rng(0).normal(size=(_PROBES, len(series))) @ series
    _, order = qr(series, mode="r", pivoting=True)
    steps = order[: min(NODES, len(series))]
    times = np.where(steps >= end, steps - n, steps) * (duration / n)
    ascending = np.argsort(times)
    return steps[ascending], times[ascending]
