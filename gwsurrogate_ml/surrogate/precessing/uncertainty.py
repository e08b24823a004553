"""What the precessing surrogate expects its own error to be: a fit of its errors on binaries that its training did not see.

The error is the white-noise mismatch of all modes together, averaged over directions, to what the model was trained on: NRSur7dq2
or, beyond its mass ratios, SEOBNRv5PHM. Its logarithm is a polynomial of mass ratio and spins; the bound is that times a factor
that held for nine in ten of the binaries of validation, each left out of the fit in its turn (as in the jackknife+ of Barber et al.
2021, arXiv:1905.02928). Between the two, where both are mixed and errors are larger, the constant of the polynomial and the factor
are those of the binaries of validation there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize

from gwsurrogate_ml.surrogate.precessing.polynomials import SCALE_SPIN

RIDGE = 1.0
"""Of the fit, in units of one binary's weight."""


def features(q: Any, chi1: np.ndarray, chi2: np.ndarray) -> np.ndarray:
    """Variables (N, 12) of the fit, for `q` (N,) and spins (N, 3): they hardly change while a binary precesses."""
    q = np.asarray(q, np.float64)
    nu = (q - 1) / (q + 1)
    z = (q * chi1[:, 2] + chi2[:, 2]) / (1 + q) / SCALE_SPIN
    flat_1, flat_2 = (np.hypot(chi[:, 0], chi[:, 1]) / SCALE_SPIN for chi in (chi1, chi2))
    terms = [np.ones_like(nu), nu, z, flat_1, flat_2, nu**2, z**2, flat_1**2, flat_2**2, nu * flat_1, nu * z, flat_1 * flat_2]
    return np.stack(terms, axis=1)


def mismatch(truth: np.ndarray, model: np.ndarray, orders: np.ndarray) -> float:
    """White-noise mismatch, averaged over directions, of inertial modes (n_modes, n) at times one M apart.

    Free are time, a rotation about z and polarization; `orders` (n_modes,) are the modes' m.
    """
    spectra = np.fft.fft(truth), np.fft.fft(model)
    frequency = np.fft.fftfreq(truth.shape[1])
    every = np.unique(orders)
    product = np.conj(spectra[0]) * spectra[1] / np.prod([np.linalg.norm(x) for x in spectra])
    by_order = np.stack([product[orders == m].sum(axis=0) for m in every])

    def loss(p: np.ndarray) -> float:
        return 1 - float(abs(np.exp(1j * every * p[0]) @ (by_order @ np.exp(2j * np.pi * frequency * p[1]))))

    simplex = np.array([[0.0, 0.0], [0.01, 0.0], [0.0, 0.05]])
    found = minimize(loss, simplex[0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-12, "initial_simplex": simplex})
    return max(float(found.fun), 1e-12)


def calibrate(x: np.ndarray, errors: np.ndarray, among: np.ndarray | None = None) -> dict[str, Any]:
    """The fit to `errors` (N,) at `features` (N, 12), and its factor for nine in ten.

    With `among` (N,) bool the constant of the fit and the factor are those of these binaries alone, if there are any.
    """
    y = np.log(errors)
    inner = x.T @ x + RIDGE * np.diag(np.arange(x.shape[1]) > 0).astype(float)
    weights = np.linalg.solve(inner, x.T @ y)
    leverage = np.einsum("ij,ji->i", x, np.linalg.solve(inner, x.T))
    left_out = (y - x @ weights) / (1 - leverage)
    if among is not None and among.any():
        left_out = left_out[among]
        shift = np.median(left_out)
        weights[0] += shift
        left_out -= shift
    n = len(left_out)
    return {"weights": weights.tolist(), "factor_90": float(np.exp(np.sort(left_out)[min(int(np.ceil(0.9 * (n + 1))), n) - 1]))}


def expected(found: dict[str, Any], q: float, chi1: np.ndarray, chi2: np.ndarray) -> tuple[float, float]:
    """Expected mismatch and its 90 % bound, from what `calibrate` gives."""
    value = float(np.exp(features([q], chi1[None], chi2[None])[0] @ np.array(found["weights"])))
    return value, value * found["factor_90"]
