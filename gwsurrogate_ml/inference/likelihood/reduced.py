"""Series and powers of many binaries in an event's own reduced basis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.window import TimeWindow
from gwsurrogate_ml.kernels.threads import in_threads

BASIS_TOLERANCE = 1e-11
"""Share of whitened power that an event's basis may lose, on average; less where signals are loud."""


class ReducedLikelihood:
    """Series and powers of many binaries through an orthonormal basis of this event's whitened waveforms.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    window : TimeWindow
    parts : sequence of (n_band, k) complex128, orthonormal columns
        the basis as it grew: sums over other parts would differ in the last digits
    tolerance : float
        share of whitened power the basis may lose on the examples that extend it (their mean)
    """

    def __init__(
        self,
        likelihood: SegmentLikelihood,
        window: TimeWindow,
        parts: Sequence[np.ndarray] = (),
        tolerance: float = BASIS_TOLERANCE,
    ) -> None:
        self.likelihood, self.window, self.tolerance = likelihood, window, tolerance
        # One basis serves all detectors: whitened by the sum of their weights.
        band, data = likelihood.band, likelihood.weight * likelihood.strain
        self._root = np.sqrt(likelihood.weight.sum(axis=0)[band])
        self._shares = likelihood.weight[:, band] / self._root**2
        turns = np.exp(2j * np.pi * np.outer(likelihood.frequencies[band], window.times))
        self._series = [(d[band] / self._root)[:, None] * turns for d in data]
        empty = np.zeros((len(band), 0), dtype=np.complex128)
        self.basis, self._filters = empty, [empty.T @ series for series in self._series]
        self._metrics = [np.zeros((0, 0), dtype=np.complex128) for _ in data]
        self.sizes: list[int] = []
        for part in parts:
            self._add(part)

    @classmethod
    def of(
        cls,
        likelihood: SegmentLikelihood,
        window: TimeWindow,
        examples: np.ndarray,
        tolerance: float = BASIS_TOLERANCE,
    ) -> ReducedLikelihood:
        """With a basis of face-on waveforms `examples` (P, n_f) complex128, which span what will be asked for."""
        found = cls(likelihood, window, (), tolerance)
        found.extend(examples)
        return found

    @property
    def size(self) -> int:
        """Number of basis vectors."""
        return self.basis.shape[1]

    def extend(self, examples: np.ndarray) -> None:
        """Add the directions of `examples` the basis misses, each of which counts with unit power."""
        white = examples[:, self.likelihood.band] * self._root
        white /= np.linalg.norm(white, axis=1, keepdims=True)
        rest = white - (white @ np.conj(self.basis)) @ self.basis.T
        # Principal directions by the small matrix of products: in units of the whole power they are good to rounding error.
        power, mixed = np.linalg.eigh(rest @ np.conj(rest).T)
        share = np.append(np.cumsum(np.maximum(power, 0.0))[:-1][::-1], 0.0) / len(examples)
        n = int(np.searchsorted(-share, -self.tolerance)) + 1
        fresh = rest.T @ np.conj(mixed[:, ::-1][:, :n])
        fresh /= np.maximum(np.linalg.norm(fresh, axis=0), 1e-300)
        for _ in range(2):  # twice is enough for orthogonality to rounding error; earlier vectors must not change
            fresh = fresh - self.basis @ (np.conj(self.basis).T @ fresh)
            fresh, _ = np.linalg.qr(fresh)
        self._add(fresh)

    def _add(self, fresh: np.ndarray) -> None:
        """Add the vectors `fresh` (n_band, k), and what they need of the data."""
        self.sizes.append(fresh.shape[1])
        conjugate, known = np.conj(fresh).T, self.basis
        self.basis = np.hstack([known, fresh])
        self._filters = [np.concatenate([old, conjugate @ series]) for old, series in zip(self._filters, self._series, strict=True)]
        metrics = []
        for old, share in zip(self._metrics, self._shares, strict=True):
            mixed, own = np.conj(known).T @ (share[:, None] * fresh), conjugate @ (share[:, None] * fresh)
            metrics.append(np.block([[old, mixed], [np.conj(mixed).T, own]]))
        self._metrics = metrics

    def project(self, waveforms: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients (N, K), powers (N, n_det) and the share of whitened power lost by the basis (N,)."""
        band = self.likelihood.band
        contiguous = slice(int(band[0]), int(band[-1]) + 1)
        whitened_basis = np.zeros((contiguous.stop - contiguous.start, self.size), dtype=np.complex128)
        whitened_basis[band - band[0]] = np.conj(self.basis) * self._root[:, None]
        weight = self.likelihood.weight[:, contiguous].T
        coefficients = np.empty((len(waveforms), self.size), dtype=np.complex128)
        power = np.empty((len(waveforms), weight.shape[1]))

        def work(rows: slice) -> None:
            h = waveforms[rows, contiguous]
            np.matmul(h, whitened_basis, out=coefficients[rows])
            np.matmul(h.real**2 + h.imag**2, weight, out=power[rows])

        in_threads(work, len(waveforms))
        lost = 1 - np.sum(coefficients.real**2 + coefficients.imag**2, axis=1) / power.sum(1)
        return coefficients, power, lost

    def power(self, coefficients: np.ndarray) -> np.ndarray:
        """<h|h> in each detector from coefficients alone: (N, K) to (N, n_det)."""
        return np.stack([np.sum(np.real(np.conj(coefficients) * (coefficients @ g.T)), axis=1) for g in self._metrics], 1)

    def series(self, coefficients: np.ndarray) -> np.ndarray:
        """z_d(t) at the window's times: (N, K) to (N, n_det, window.size) complex128."""
        conjugate = np.conj(coefficients)
        return np.stack([conjugate @ filters for filters in self._filters], axis=1)
