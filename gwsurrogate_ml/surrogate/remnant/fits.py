"""The parts of the remnant model, fitted and evaluated: processes for mass and spin, the recoil's coefficients.

Everything here takes plain arrays: q (N,), chi1 and chi2 (N, 3) with z along the orbital angular momentum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares, minimize

from gwsurrogate_ml.surrogate.fits.sparse_gp import SparseGP, condition, fit_hyper
from gwsurrogate_ml.surrogate.remnant import physics

TARGETS = ("mass", "spin")
# Angles over a quarter turn: the phase of the in-plane spins at merger is not known, the recoil is averaged over it.
PHASES = np.cos((np.arange(16) + 0.5) * np.pi / 32)
SUPERKICK_START = np.array([1.0, 0.0, 0.0])
SPEED = 1e3
"""Recoils are fitted in units of 1000 km/s."""
Value = Any
"""float for one binary, float64 array of the shape of q for many."""


@dataclass(frozen=True)
class Parts:
    """A fitted model: processes by target for aligned spins and for what in-plane spins add, recoil coefficients, its noise."""

    aligned: dict[str, SparseGP]
    plane: dict[str, SparseGP]
    recoil: np.ndarray
    recoil_noise: float
    superkick: np.ndarray

    def tensors(self) -> dict[str, np.ndarray]:
        """All arrays as float64, ready to be saved."""
        out = {"recoil": self.recoil, "recoil_noise": np.array([self.recoil_noise]), "superkick": self.superkick}
        for target in TARGETS:
            out |= self.aligned[target].tensors(f"aligned.{target}")
            out |= self.plane[target].tensors(f"plane.{target}")
        return out

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray]) -> Parts:
        """The inverse of `tensors`."""
        arrays = dict(tensors)
        return cls(
            {target: SparseGP.from_tensors(arrays, f"aligned.{target}") for target in TARGETS},
            {target: SparseGP.from_tensors(arrays, f"plane.{target}") for target in TARGETS},
            np.asarray(arrays["recoil"], dtype=np.float64),
            float(arrays["recoil_noise"][0]),
            np.asarray(arrays["superkick"], dtype=np.float64),
        )


@dataclass(frozen=True)
class RemnantState:
    """The remnant of one binary (floats) or of many (arrays); an `_error` is one standard deviation.

    Attributes
    ----------
    mass : final mass over m1 + m2
    spin : |chi_f|, dimensionless
    spin_z : component of chi_f along the orbital angular momentum at the reference time; the spin up to its sign for
        aligned spins, for general spins an estimate without error, as precession turns the direction (`info["metrics"]`)
    kick : recoil speed in km/s; with in-plane spins the mean over their unknown phase at merger
    mass_error, spin_error, kick_error : such that the interval of 1.645 errors holds 90 % of the runs of catalogues
    """

    mass: Value
    spin: Value
    spin_z: Value
    kick: Value
    mass_error: Value
    spin_error: Value
    kick_error: Value


def predict(parts: Parts, q: np.ndarray, chi1: np.ndarray, chi2: np.ndarray) -> RemnantState:
    """Remnants of N binaries, arrays (N,); the errors are not calibrated."""
    along = predict_aligned(parts.aligned, q, chi1[:, 2], chi2[:, 2])
    (mass, mass_variance), (spin_z, spin_variance) = along
    eta = physics.masses(q)[2]
    x, total, weight = _plane(q, chi1, chi2)
    spin = np.sqrt(spin_z**2 + total / mass**4)
    bent = weight > 0
    if np.any(bent):
        results = []
        for target in TARGETS:
            process = parts.plane[target]
            mean, variance = process(x[bent], weight[bent])
            variance += process.noise[-1] ** 2 * weight[bent]
            results.append((eta[bent] * mean, eta[bent] ** 2 * variance))
        mass[bent] += results[0][0]
        mass_variance[bent] += results[0][1]
        spin[bent] += results[1][0]
        spin_variance[bent] += results[1][1]
    # Extremal bodies can overshoot by some 1e-4: no hole spins faster than an extremal one.
    spin, spin_z = np.clip(spin, 0.0, 1.0), np.clip(spin_z, -1.0, 1.0)
    kick, kick_error = predict_kick(parts, q, chi1, chi2)
    return RemnantState(mass, spin, spin_z, kick, np.sqrt(mass_variance), np.sqrt(spin_variance), kick_error)


def predict_aligned(
    processes: Mapping[str, SparseGP], q: np.ndarray, z1: np.ndarray, z2: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Mean and variance of mass and of spin along L, for spins along L."""
    eta = physics.masses(q)[2]
    x = physics.aligned_features(q, z1, z2)
    out = []
    for target, base in zip(TARGETS, physics.baseline(q, z1, z2), strict=True):
        mean, variance = processes[target](x)
        # The first noise is that of the better catalogue: the error an NR run of that quality has itself.
        out.append((base + eta**2 * mean, eta**4 * variance + processes[target].noise[0] ** 2))
    return out


def predict_kick(parts: Parts, q: np.ndarray, chi1: np.ndarray, chi2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation (km/s) of the recoil, over the unknown phase of the in-plane spins."""
    eta = physics.masses(q)[2]
    terms, delta, antisymmetric = physics.recoil_terms(q, chi1[:, 2], chi2[:, 2])
    members = np.stack([_recoil(c, eta, terms, delta, antisymmetric) for c in parts.recoil])
    plane, spread = members.mean(0), np.sqrt(members.var(0) + parts.recoil_noise**2)
    along = physics.superkick_terms(q, chi1, chi2) @ parts.superkick
    speeds = np.sqrt(plane[:, None] ** 2 + (along[:, None] * PHASES) ** 2)
    return SPEED * speeds.mean(1), SPEED * np.sqrt(speeds.var(1) + spread**2)


def fit(
    runs: Mapping[str, np.ndarray],
    n_points: int,
    n_plane_points: int,
    subset: int,
    members: int,
    seed: int,
) -> Parts:
    """Fit all parts to cleaned runs (see `data_prep.remnants`), whose better catalogue is "SXS"."""
    aligned = runs["aligned"]
    straight = {key: value[aligned] for key, value in runs.items()}
    q, z1, z2 = straight["q"], straight["chi1"][:, 2], straight["chi2"][:, 2]
    eta = physics.masses(q)[2]
    x = physics.aligned_features(q, z1, z2)
    scales = _catalogues(straight["code"]) / eta[:, None] ** 4
    values = (straight["mass"], straight["spin_z"])
    processes = {}
    for target, base, value in zip(TARGETS, physics.baseline(q, z1, z2), values, strict=True):
        y = (value - base) / eta**2
        hyper = fit_hyper(x, y, scales, noise_start=1e-4, subset=subset, seed=seed)
        processes[target] = condition(hyper, x, y, scales, n_points=n_points)
    plane = _fit_plane({key: value[~aligned] for key, value in runs.items()}, processes, n_plane_points, subset, seed)
    recoil, noise = _fit_recoil(straight, members, seed)
    parts = Parts(processes, plane, recoil, noise, np.zeros(len(SUPERKICK_START)))
    bent = ~aligned & np.isfinite(runs["kick"])
    superkick = _fit_superkick({key: value[bent] for key, value in runs.items()}, parts)
    return Parts(processes, plane, recoil, noise, superkick)


def _catalogues(code: np.ndarray) -> np.ndarray:
    """One column for SXS, one for the rest: their runs have errors of their own."""
    best = code == "SXS"
    return np.stack([best, ~best], axis=1).astype(np.float64)


def _plane(q: np.ndarray, chi1: np.ndarray, chi2: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (N, 8), |S_perp|^2 / M^4 and the kernel's weight, zero for aligned spins."""
    features, total, squares = physics.in_plane(q, chi1, chi2)
    m1, m2, _ = physics.masses(q)
    along = physics.aligned_features(q, chi1[:, 2], chi2[:, 2])
    return np.concatenate([along, features], axis=1), total, squares / (m1**2 + m2**2) ** 2


def _fit_plane(
    runs: Mapping[str, np.ndarray], processes: Mapping[str, SparseGP], n_points: int, subset: int, seed: int
) -> dict[str, SparseGP]:
    """Processes for what in-plane spins add to the aligned prediction; it is of order eta."""
    q, chi1, chi2 = runs["q"], runs["chi1"], runs["chi2"]
    eta = physics.masses(q)[2]
    (mass, _), (spin_z, _) = predict_aligned(processes, q, chi1[:, 2], chi2[:, 2])
    x, total, weight = _plane(q, chi1, chi2)
    # In-plane spins at merger differ from those at the reference time: an error that grows with them, not with their square.
    scales = np.concatenate([_catalogues(runs["code"]) / eta[:, None] ** 2, weight[:, None]], axis=1)
    out = {}
    for target, base in zip(TARGETS, (mass, np.sqrt(spin_z**2 + total / mass**4)), strict=True):
        y = (runs[target] - base) / eta
        hyper = fit_hyper(x, y, scales, weight, noise_start=1e-3, subset=2 * subset, seed=seed)
        out[target] = condition(hyper, x, y, scales, weight, n_points)
    return out


def _recoil(c: np.ndarray, eta: np.ndarray, terms: np.ndarray, delta: np.ndarray, antisymmetric: np.ndarray) -> np.ndarray:
    """Recoil (N,) in the orbital plane for coefficients `c` (3 k,), in units of 1000 km/s."""
    a, b, across = (terms @ part for part in np.split(c, 3))
    return eta**2 * np.hypot(delta * a + antisymmetric * b, antisymmetric * across)


def _fit_recoil(runs: Mapping[str, np.ndarray], members: int, seed: int) -> tuple[np.ndarray, float]:
    """Coefficients (members, 3 k) on resampled clusters, and the robust scatter of the runs about their mean."""
    known = np.isfinite(runs["kick"])
    q, z1, z2 = runs["q"][known], runs["chi1"][known, 2], runs["chi2"][known, 2]
    kick, eta = runs["kick"][known] / SPEED, physics.masses(q)[2]
    terms, delta, antisymmetric = physics.recoil_terms(q, z1, z2)
    names, cluster = np.unique(runs["cluster"][known], return_inverse=True)
    k = terms.shape[1]
    start = np.zeros(3 * k)
    start[0], start[1], start[k], start[2 * k] = 12.0, -3.0, -6.0, 4.0  # Lousto & Zlochower 2008
    rng = np.random.default_rng(seed)
    fitted: list[np.ndarray] = []
    for member in range(members):
        draws = rng.choice(len(names), len(names)) if member else np.arange(len(names))
        weight = np.sqrt(np.bincount(draws, minlength=len(names))[cluster])

        def residual(c: np.ndarray, weight: np.ndarray = weight) -> np.ndarray:
            misfit = (_recoil(c, eta, terms, delta, antisymmetric) - kick) * weight
            return np.concatenate([misfit / 0.003, (c - start) * 0.02])

        fitted.append(least_squares(residual, fitted[0] if member else start, loss="soft_l1", max_nfev=200).x)
    mean = np.mean([_recoil(c, eta, terms, delta, antisymmetric) for c in fitted], axis=0)
    return np.array(fitted), float(1.4826 * np.median(np.abs(mean - kick)))


def _fit_superkick(runs: Mapping[str, np.ndarray], parts: Parts) -> np.ndarray:
    """Coefficients (3,) such that the mean square over phases is that of the runs (gamma quasi-likelihood)."""
    q, chi1, chi2 = runs["q"], runs["chi1"], runs["chi2"]
    plane = predict_kick(parts, q, chi1, chi2)[0] / SPEED
    terms = physics.superkick_terms(q, chi1, chi2)
    square = (runs["kick"] / SPEED) ** 2

    def loss(c: np.ndarray) -> float:
        mean = plane**2 + 0.5 * (terms @ c) ** 2 + 1e-3
        return float(np.sum(square / mean + np.log(mean)) + 0.5 * np.sum(((c - SUPERKICK_START) / 0.4) ** 2))

    return np.asarray(minimize(loss, SUPERKICK_START, method="BFGS").x)
