"""From parameters to amplitude and phase of the (2,2) mode at the knots: the learned part of the surrogate.

``log A = log A_PN + stage 1 + stage 2`` and the same for the phase. Stage 1 is a Chebyshev polynomial of low degree plus
an ensemble of small networks, both giving coefficients of an SVD basis, trained on SEOBNRv5HM. Stage 2 is a Gaussian process
(a radial-basis-function network once trained) for numerical relativity minus stage 1's polynomial. The same code runs on numpy
arrays and torch tensors.
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any

import numpy as np
from numba.extending import register_jitable

from gwsurrogate_ml.surrogate.aligned import baseline
from gwsurrogate_ml.surrogate.aligned.coordinates import N_FEATURES, features, split

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


def networks(x: Array, tensors: Tensors, xp: Any = np, prefix: str = "stage1") -> Array:
    """Outputs (n_members, N, n_outputs) of the ensemble stored under `prefix`: SiLU layers, all members in one product."""
    hidden = (x - tensors[f"{prefix}.input_mean"]) / tensors[f"{prefix}.input_scale"]
    hidden = hidden[None]
    last = sum(1 for key in tensors if key.startswith(f"{prefix}.weight")) - 1
    for layer in range(last + 1):
        hidden = hidden @ tensors[f"{prefix}.weight{layer}"] + tensors[f"{prefix}.bias{layer}"]
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
    distance = (x**2 @ weight.T)[:, :, None] + (weight @ (centres**2).T)[None] - 2.0 * (x[:, None, :] * weight) @ centres.T
    return xp.einsum("njc,jc->nj", xp.exp(-0.5 * distance), tensors[f"{prefix}.alpha"])


def parts(tensors: Tensors) -> list[str]:
    """Prefixes of the Gaussian processes that `tensors` hold."""
    return [prefix for prefix in ("stage2", "stage2_long") if f"{prefix}.basis" in tensors]


def coefficients(x: Array, tensors: Tensors, degree: int, xp: Any = np) -> Array:
    """Coefficients (N, n_basis) of the whole `basis` at features `x` (N, 4): stage 1's polynomial, its networks, stage 2."""
    found = [chebyshev_terms(x, degree, xp) @ tensors["stage1.polynomial"], networks(x, tensors, xp).mean(0)]
    found += [radial_basis(x, tensors, prefix, xp) for prefix in parts(tensors)]
    return xp.concatenate(found, 1) if xp is np else xp.cat(found, 1)


def basis(tensors: Tensors, xp: Any = np) -> Array:
    """Basis vectors (n_basis, 2 n_knots) of phase and log amplitude, in the order of `coefficients`.

    Where stage 2 knows numerical relativity it builds on the polynomial alone, and gives the networks a basis that vanishes there.
    """
    own = tensors["stage1.basis"]
    found = [own, tensors.get("stage2.network_basis", own)] + [tensors[f"{prefix}.basis"] for prefix in parts(tensors)]
    return xp.concatenate(found, 0) if xp is np else xp.cat(found, 0)


def log_amplitude_and_phase(parameters: Array, tensors: Tensors, degree: int, xp: Any = np) -> tuple[Array, Array]:
    """log |h22| and the phase (growing, arbitrary constant), each (N, n_knots), for `parameters` (N, 3) = (q, chi1, chi2)."""
    eta, m1, _, chi1, chi2 = split(parameters)
    t = tensors["knots"]
    x = features(parameters, xp)
    learned = tensors["stage1.mean"] + coefficients(x, tensors, degree, xp) @ basis(tensors, xp)
    n = t.shape[0]
    phase = baseline.phase(t, eta, m1, chi1, chi2, xp) + learned[:, :n]
    return xp.log(baseline.amplitude(t, eta)) + learned[:, n:], phase


PEAK_REACH = 25
"""Knots, 1 M apart, that the peak of all modes may lie from that of (2,2): far at high mass ratios and spins, where it is flat."""


@register_jitable
def peak_shift(m2: Array, m1: Array, p0: Array, p1: Array, p2: Array) -> Array:
    """Time in M of the maximum of the quartic through five values at -2, -1, 0, 1, 2 M, near 0: three Newton steps."""
    c1 = (8.0 * (p1 - m1) - (p2 - m2)) / 12.0
    c2 = (16.0 * (p1 + m1) - (p2 + m2) - 30.0 * p0) / 24.0
    c3 = ((p2 - m2) - 2.0 * (p1 - m1)) / 12.0
    c4 = ((p2 + m2) - 4.0 * (p1 + m1) + 6.0 * p0) / 24.0
    shift = -c1 / (2.0 * c2)
    for _ in range(2):
        slope = c1 + shift * (2.0 * c2 + shift * (3.0 * c3 + shift * 4.0 * c4))
        curvature = 2.0 * c2 + shift * (6.0 * c3 + shift * 12.0 * c4)
        shift = shift - slope / curvature
    return shift
