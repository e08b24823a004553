"""How far binaries are heard, cheaply: what decides which of many candidates the simulation keeps.

The norm of a whitened waveform is a smooth function of chirp mass, mass ratio and effective spin: a polynomial per PSD
gives it to a fraction of a percent for every candidate; only the signals that are kept need coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.inference.prior.binary import BinaryPrior

DEGREE = 5


def powers(theta: np.ndarray, centre: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Products of Chebyshev polynomials of total degree `DEGREE` in log chirp mass, mass ratio and chi_eff: (N, 56)."""
    mc, q, chi_1, chi_2 = theta.T
    x = (np.stack([np.log(mc), q, (chi_1 + q * chi_2) / (1 + q)]) - centre[:, None]) / half[:, None]
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
    """Polynomials for log sigma under every PSD.

    Parameters
    ----------
    weights : (56, n_psd); centre, half : (3,) of the scaled variables
    error : float
        root mean square error of log sigma over the fitted sample
    """

    weights: np.ndarray
    centre: np.ndarray
    half: np.ndarray
    error: float

    @classmethod
    def of(cls, theta: np.ndarray, sigma: np.ndarray, prior: BinaryPrior) -> SigmaFit:
        """Fit to norms `sigma` (n_psd, N) of waveforms at `theta` (N, 4)."""
        low = np.array([np.log(prior.chirp_mass[0]), prior.mass_ratio[0], prior.chi[0]])
        high = np.array([np.log(prior.chirp_mass[1]), prior.mass_ratio[1], prior.chi[1]])
        centre, half = (low + high) / 2, (high - low) / 2
        basis = powers(theta, centre, half)
        weights = np.linalg.lstsq(basis, np.log(sigma).T, rcond=1e-6)[0]
        error = float(np.sqrt(np.mean((basis @ weights - np.log(sigma).T) ** 2)))
        return cls(weights, centre, half, error)

    def terms(self, theta: np.ndarray) -> np.ndarray:
        """The polynomials (N, 56) float32 of binaries (N, 4), to be kept."""
        return powers(theta, self.centre, self.half).astype(np.float32)

    def __call__(self, terms: np.ndarray, psd: list[int]) -> np.ndarray:
        """sigma (N, len(psd)) of binaries with these `terms` (N, 56) under the PSDs with these numbers."""
        return np.exp(terms @ self.weights[:, psd].astype(np.float32))
