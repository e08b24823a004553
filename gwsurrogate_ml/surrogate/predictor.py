"""From parameters to amplitude and phase of the (2,2) mode at the knots: the learned part of the surrogate.

``log A = log A_PN + stage 1 + stage 2`` and the same for the phase. Stage 1 is a Chebyshev polynomial of low degree plus
an ensemble of small networks, both giving coefficients of an SVD basis, trained on SEOBNRv5HM. Stage 2 is a Gaussian process
(a radial-basis-function network once trained) for numerical relativity minus stage 1. The same code runs on numpy arrays
and torch tensors.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any

import numba
import numpy as np

from gwsurrogate_ml.surrogate import baseline
from gwsurrogate_ml.surrogate.coordinates import N_FEATURES, features, split

Array = Any
Tensors = dict[str, Any]


def chebyshev_exponents(degree: int) -> list[tuple[int, ...]]:
    """Degrees of the polynomial's terms in the four features; chi_a^2 is of second order in the spins and counts twice."""
    order = range(degree + 1)
    return [e for e in itertools.product(order, repeat=N_FEATURES) if e[0] + e[1] + e[2] + 2 * e[3] <= degree]


@lru_cache
def _exponent_table(degree: int) -> tuple[list[int], ...]:
    return tuple(list(column) for column in zip(*chebyshev_exponents(degree), strict=True))


def chebyshev_terms(x: Array, degree: int, xp: Any = np) -> Array:
    """Products of Chebyshev polynomials (N, n_terms) of the features `x` (N, 4), up to total `degree`."""
    powers = [xp.ones_like(x), x]
    for _ in range(2, degree + 1):
        powers.append(2.0 * x * powers[-1] - powers[-2])
    table = xp.stack(powers)
    a, b, c, d = (table[rows, :, column] for column, rows in enumerate(_exponent_table(degree)))
    return (a * b * c * d).T


@numba.njit(cache=True, nogil=True)
def _one_layer(hidden: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Rows (M or 1, n_in) times matrices (M, n_in, n_out) float32 or float64, summed in float64: (M, n_out)."""
    members, n_in, n_out = weight.shape
    out = np.zeros((members, n_out))
    for k in range(members):
        row, matrix, total = hidden[min(k, hidden.shape[0] - 1)], weight[k], out[k]
        fours = n_in - n_in % 4
        for i in range(0, fours, 4):
            a, b, c, d = row[i], row[i + 1], row[i + 2], row[i + 3]
            for j in range(n_out):
                total[j] += a * matrix[i, j] + b * matrix[i + 1, j] + c * matrix[i + 2, j] + d * matrix[i + 3, j]
        for i in range(fours, n_in):
            for j in range(n_out):
                total[j] += row[i] * matrix[i, j]
    return out


def networks(x: Array, tensors: Tensors, xp: Any = np, prefix: str = "stage1") -> Array:
    """Outputs (n_members, N, n_outputs) of the ensemble stored under `prefix`: SiLU layers, all members in one product."""
    hidden = (x - tensors[f"{prefix}.input_mean"]) / tensors[f"{prefix}.input_scale"]
    hidden = hidden[None]
    last = sum(1 for key in tensors if key.startswith(f"{prefix}.weight")) - 1
    one = xp is np and len(x) == 1  # the time goes into reading the weights: read them as they are stored
    for layer in range(last + 1):
        weight = tensors[f"{prefix}.weight{layer}"]
        hidden = _one_layer(hidden[:, 0], weight)[:, None] if one else hidden @ weight
        hidden = hidden + tensors[f"{prefix}.bias{layer}"]
        if layer < last:
            hidden = hidden / (1.0 + xp.exp(-hidden))
    return hidden * tensors[f"{prefix}.output_scale"]


def stage1_coefficients(x: Array, tensors: Tensors, degree: int, xp: Any = np) -> Array:
    """Coefficients (N, n_basis) of the stage-1 basis at features `x`: polynomial plus the ensemble's mean."""
    polynomial = chebyshev_terms(x, degree, xp) @ tensors["stage1.polynomial"]
    return polynomial + networks(x, tensors, xp).mean(0)


def radial_basis(x: Array, tensors: Tensors, prefix: str, xp: Any = np) -> Array:
    """Mean of the Gaussian processes stored under `prefix`, one for each basis vector: (N, n_basis)."""
    weight, centres = tensors[f"{prefix}.length"] ** -2.0, tensors[f"{prefix}.centres"]
    # (x - c)^2 / l^2 multiplied out: three small matrix products in place of an array over points, centres and features.
    distance = (
        (x**2 @ weight.T)[:, :, None] + (weight @ (centres**2).T)[None] - 2.0 * (x[:, None, :] * weight) @ centres.T
    )
    return xp.einsum("njc,jc->nj", xp.exp(-0.5 * distance), tensors[f"{prefix}.alpha"])


def log_amplitude_and_phase(parameters: Array, tensors: Tensors, degree: int, xp: Any = np) -> tuple[Array, Array]:
    """log |h22| and the phase (growing, arbitrary constant), each (N, n_knots), for `parameters` (N, 3) = (q, chi1, chi2)."""
    eta, m1, _, chi1, chi2 = split(parameters)
    t = tensors["knots"]
    x = features(parameters, xp)
    learned = tensors["stage1.mean"] + stage1_coefficients(x, tensors, degree, xp) @ tensors["stage1.basis"]
    for prefix in ("stage2", "stage2_long"):
        if f"{prefix}.basis" in tensors:
            learned = learned + radial_basis(x, tensors, prefix, xp) @ tensors[f"{prefix}.basis"]
    n = t.shape[0]
    if xp is np and len(parameters) == 1:  # numpy's overhead on arrays of one element is ten times a float's
        eta, m1, chi1, chi2 = (float(value[0, 0]) for value in (eta, m1, chi1, chi2))
    phase = baseline.phase(t, eta, m1, chi1, chi2, xp) + learned[:, :n]
    return xp.log(baseline.amplitude(t, eta)) + learned[:, n:], phase


def peak_shift(log_amplitude: Array, centre: int) -> Array:
    """Time in M of the maximum near knot `centre` (t = 0, spacing 1 M), (N, 1): quartic through five knots, three Newton steps."""
    m2, m1, p0, p1, p2 = (log_amplitude[:, centre + k : centre + k + 1] for k in (-2, -1, 0, 1, 2))
    if one := isinstance(log_amplitude, np.ndarray) and len(log_amplitude) == 1:
        m2, m1, p0, p1, p2 = (float(value[0, 0]) for value in (m2, m1, p0, p1, p2))
    c1 = (8.0 * (p1 - m1) - (p2 - m2)) / 12.0
    c2 = (16.0 * (p1 + m1) - (p2 + m2) - 30.0 * p0) / 24.0
    c3 = ((p2 - m2) - 2.0 * (p1 - m1)) / 12.0
    c4 = ((p2 + m2) - 4.0 * (p1 + m1) + 6.0 * p0) / 24.0
    shift = -c1 / (2.0 * c2)
    for _ in range(2):
        slope = c1 + shift * (2.0 * c2 + shift * (3.0 * c3 + shift * 4.0 * c4))
        curvature = 2.0 * c2 + shift * (6.0 * c3 + shift * 12.0 * c4)
        shift = shift - slope / curvature
    return np.array([[shift]]) if one else shift
