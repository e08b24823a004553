"""How far binaries are heard, cheaply: what decides which of many candidates the simulation keeps.

Whitened by one PSD rather than another, a waveform's norm changes by a smooth function of chirp mass, mass ratio and effective
spin: a polynomial per PSD gives it to a fraction of a percent for every candidate; only signals that are kept need coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DEGREE = 5


def powers(gauge: np.ndarray, centre: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Products of Chebyshev polynomials of total degree `DEGREE` in log chirp mass, mass ratio and chi_eff (N, 3): (N, 56)."""
    x = (gauge.T - centre[:, None]) / half[:, None]
    t = [np.ones_like(x), x]
    for _ in range(DEGREE - 1):
        t.append(2 * x * t[-1] - t[-2])
    columns = []
    for i in range(DEGREE + 1):
        for j in range(DEGREE + 1 - i):
            first = t[i][0] * t[j][1]
            columns += [first * t[k][2] for k in range(DEGREE + 1 - i - j)]
    return np.stack(columns, axis=1)


@dataclass(frozen=True)
class SigmaFit:
    """Polynomials under every PSD for the log of a norm, in units of that under one PSD for all.

    Parameters
    ----------
    weights : (56, n_psd); centre, half : (3,) of the scaled variables
    error : float
        root mean square error of the logs over the fitted sample
    """

    weights: np.ndarray
    centre: np.ndarray
    half: np.ndarray
    error: float

    @classmethod
    def of(cls, gauge: np.ndarray, ratio: np.ndarray, bounds: tuple[np.ndarray, np.ndarray]) -> SigmaFit:
        """Fit to the ratios (n_psd, N) of norms of binaries with `gauge` (N, 3), as `Sources.gauge` gives it within `bounds`."""
        low, high = bounds
        centre, half = (low + high) / 2, (high - low) / 2
        basis = powers(gauge, centre, half)
        weights = np.linalg.lstsq(basis, np.log(ratio).T, rcond=1e-6)[0]
        error = float(np.sqrt(np.mean((basis @ weights - np.log(ratio).T) ** 2)))
        return cls(weights, centre, half, error)

    def terms(self, gauge: np.ndarray) -> np.ndarray:
        """The polynomials (N, 56) float32 of binaries with `gauge` (N, 3), to be kept."""
        return powers(gauge, self.centre, self.half).astype(np.float32)

    def __call__(self, terms: np.ndarray, psd: list[int]) -> np.ndarray:
        """Ratios (N, len(psd)) of binaries with these `terms` (N, 56) under the PSDs with these numbers."""
        return np.exp(terms @ self.weights[:, psd].astype(np.float32))
