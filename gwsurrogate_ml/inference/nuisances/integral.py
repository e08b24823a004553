r"""The integral over the nodes for each draw: a Gaussian about the maximum, made exact by importance sampling.

With the factor F = A exp(i Theta) of amplitudes (1 + a) and phases, the likelihood of a draw is
``log L = sum_j A (cos(Theta) Re U_j + sin(Theta) Im U_j) - A^2 V_j / 2`` over the abscissae of `Splines`, U and V the sums of
``w conj(h) d`` and ``w |h|^2``, w = 4 df / S. Its derivatives by a and phi, pointwise, give gradient g and Hessian -H in units x of
the nodes' prior N(0, 1): ``log of the integral = log L + g M^-1 g / 2 - log det(M) / 2``, M = 1 + H. With H as observed, the data
in it, that is good to a few hundredths for draws that fit and to some units for those that do not. Newton's steps lead to the
maximum, and draws x of the Gaussian there carry the weights ``L(x) N(x; 0, 1) / N(x; x0, M^-1)``: their mean is the integral
without bias, whatever the Gaussian misses, and one of them, chosen by its weight, is a draw of the nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.nuisances.prior import Nuisances
from gwsurrogate_ml.inference.nuisances.splines import POINTS
from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.kernels.threads import in_threads

DRAWS = 32
"""Draws of the nodes behind each integral."""
STEPS, ENOUGH = 12, 1e-3
"""Newton's steps at most, and how far the last one may still go, in standard deviations of the prior."""


class Integrated(NamedTuple):
    """What the integral gives for N draws.

    Parameters
    ----------
    log_likelihood : (N,) log of the mean likelihood over the nodes' prior, a ratio to noise
    analytic : (N,) the same by the Gaussian about the prior's mean alone
    efficiency : (N,) of the importance sampling
    nodes : (N, n) a draw of the nodes each, in the order of `Nuisances.columns`
    log_likelihood_at : (N,) the likelihood there, a ratio to noise
    """

    log_likelihood: np.ndarray
    analytic: np.ndarray
    efficiency: np.ndarray
    nodes: np.ndarray
    log_likelihood_at: np.ndarray


@dataclass(frozen=True, eq=False)
class NuisanceIntegral:
    """The integral over `nuisances` for signals in the data of `likelihood`.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    nuisances : Nuisances
    n_draws : int
        draws of the nodes behind each integral
    """

    likelihood: SegmentLikelihood
    nuisances: Nuisances
    n_draws: int = DRAWS

    def sums(self, signals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """U (N, n_det, n_j) complex128 and V (N, n_det, n_j) of signals (N, n_det, n_f)."""
        likelihood, splines = self.likelihood, self.nuisances.splines
        band = likelihood.band
        first, weights = splines.weights(likelihood.frequencies[band])
        w = likelihood.weight[:, band]
        h = signals[:, :, band]
        match, power = np.conj(h) * (w * likelihood.strain[:, band]), (h.real**2 + h.imag**2) * w
        shape = (len(signals), len(w), len(splines.abscissae))
        u, v = np.zeros(shape, np.complex128), np.zeros(shape)
        for start in np.unique(first):  # one interval after the other
            inside, to = first == start, slice(start, start + POINTS)
            u[:, :, to] += match[:, :, inside] @ weights[inside]
            v[:, :, to] += power[:, :, inside] @ weights[inside]
        return u, v

    def __call__(self, signals: np.ndarray, rng: np.random.Generator) -> Integrated:
        """Integrate for signals (N, n_det, n_f) in 1/Hz of perfectly calibrated detectors."""
        n, nuisances = len(signals), self.nuisances
        u, v = self.sums(signals)
        basis = nuisances.splines.basis(nuisances.splines.abscissae)
        mean = np.ascontiguousarray(nuisances.mean @ basis)
        scaled = np.ascontiguousarray(nuisances.sigma[..., None] * basis)
        size = nuisances.mean.size
        out = Integrated(np.empty(n), np.empty(n), np.empty(n), np.empty((n, size)), np.empty(n))
        z, choice = rng.normal(size=(n, self.n_draws, size)), rng.random(n)

        def work(part: slice) -> None:
            _integrate(u[part], v[part], mean, scaled, nuisances.owner_of, z[part], choice[part], *(x[part] for x in out))

        in_threads(work, n)
        out.nodes[:] = nuisances.mean.ravel() + nuisances.sigma.ravel() * out.nodes
        return out


@njit(nogil=True, fastmath=True)
def _curves(x, mean, scaled, out):  # type: ignore[no-untyped-def]
    """Curves (n_owners, 2, n_j) of nodes x (n,), in units of their prior."""
    owners, kinds, n_nodes, n_j = scaled.shape
    for o in range(owners):
        for kind in range(kinds):
            out[o, kind] = mean[o, kind]
            for k in range(n_nodes):
                height = x[(o * kinds + kind) * n_nodes + k]
                for j in range(n_j):
                    out[o, kind, j] += height * scaled[o, kind, k, j]


@njit(nogil=True, fastmath=True)
def _log_likelihood(curves, u, v, owner_of):  # type: ignore[no-untyped-def]
    total = 0.0
    for d in range(u.shape[0]):
        own, shared = owner_of[d]
        for j in range(u.shape[1]):
            factor = 1.0 + 0.0j
            for o in (own, shared):
                if o >= 0:
                    phi = curves[o, 1, j]
                    square = phi * phi
                    factor *= (1.0 + curves[o, 0, j]) * complex(4.0 - square, 4.0 * phi) / (4.0 + square)
            total += factor.real * u[d, j].real + factor.imag * u[d, j].imag
            total -= 0.5 * (factor.real**2 + factor.imag**2) * v[d, j]
    return total


@njit(nogil=True)
def _derivatives(curves, u, v, owner_of, scaled, observed, g, m):  # type: ignore[no-untyped-def]
    """Gradient g (n,) and 1 - Hessian m (n, n) of log L by the nodes; with the expected Hessian where not `observed`."""
    n_nodes, n_j = scaled.shape[2], scaled.shape[3]
    g[:] = 0.0
    m[:] = 0.0
    slope, second = np.empty((4, n_j)), np.empty((4, 4, n_j))
    for d in range(u.shape[0]):
        own, shared = owner_of[d]
        for j in range(n_j):
            a_own = 1.0 + curves[own, 0, j] if own >= 0 else 1.0
            a_shared = 1.0 + curves[shared, 0, j] if shared >= 0 else 1.0
            phi_own = curves[own, 1, j] if own >= 0 else 0.0
            phi_shared = curves[shared, 1, j] if shared >= 0 else 0.0
            t_own, t_shared = 1.0 / (1.0 + 0.25 * phi_own**2), 1.0 / (1.0 + 0.25 * phi_shared**2)
            amplitude = a_own * a_shared
            unit = complex(1.0 - 0.25 * phi_own**2, phi_own) * t_own * complex(1.0 - 0.25 * phi_shared**2, phi_shared) * t_shared
            along = u[d, j].real * unit.real + u[d, j].imag * unit.imag
            across = u[d, j].imag * unit.real - u[d, j].real * unit.imag
            f_a, f_t = along - amplitude * v[d, j], amplitude * across
            f_aa, f_at, f_tt = -v[d, j], across, -amplitude * along
            if not observed:
                f_at, f_tt = 0.0, -(amplitude**2) * v[d, j]
            slope[0, j], slope[1, j] = f_a * a_shared, f_t * t_own
            slope[2, j], slope[3, j] = f_a * a_own, f_t * t_shared
            second[0, 0, j], second[2, 2, j] = f_aa * a_shared**2, f_aa * a_own**2
            second[0, 2, j] = f_aa * amplitude
            second[0, 1, j], second[0, 3, j] = f_at * a_shared * t_own, f_at * a_shared * t_shared
            second[1, 2, j], second[2, 3, j] = f_at * a_own * t_own, f_at * a_own * t_shared
            second[1, 1, j], second[3, 3, j], second[1, 3, j] = f_tt * t_own**2, f_tt * t_shared**2, f_tt * t_own * t_shared
            if observed:
                second[0, 2, j] += f_a
                second[1, 1, j] -= f_t * 0.5 * phi_own * t_own**2
                second[3, 3, j] -= f_t * 0.5 * phi_shared * t_shared**2
        for first in range(4):
            o = own if first < 2 else shared
            if o < 0:
                continue
            at = (o * 2 + first % 2) * n_nodes
            g[at : at + n_nodes] += np.dot(scaled[o, first % 2], slope[first])
            for other in range(first, 4):
                p = own if other < 2 else shared
                if p < 0:
                    continue
                to = (p * 2 + other % 2) * n_nodes
                part = np.dot(scaled[o, first % 2] * second[first, other], scaled[p, other % 2].T)
                m[at : at + n_nodes, to : to + n_nodes] -= part
                if other != first:
                    m[to : to + n_nodes, at : at + n_nodes] -= part.T
    for k in range(len(g)):
        m[k, k] += 1.0


@njit(nogil=True)
def _factor(m, lower):  # type: ignore[no-untyped-def]
    """Cholesky factor of m into `lower`; whether there is one."""
    n = len(m)
    for i in range(n):
        for j in range(i + 1):
            total = m[i, j]
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            if i > j:
                lower[i, j] = total / lower[j, j]
            elif total > 1e-9:
                lower[i, i] = np.sqrt(total)
            else:
                return False
    return True


@njit(nogil=True)
def _backward(lower, z, x):  # type: ignore[no-untyped-def]
    """x with lower^T x = z."""
    n = len(z)
    for i in range(n - 1, -1, -1):
        total = z[i]
        for k in range(i + 1, n):
            total -= lower[k, i] * x[k]
        x[i] = total / lower[i, i]


@njit(nogil=True)
def _forward(lower, z, x):  # type: ignore[no-untyped-def]
    """x with lower x = z."""
    for i in range(len(z)):
        total = z[i]
        for k in range(i):
            total -= lower[i, k] * x[k]
        x[i] = total / lower[i, i]


@njit(nogil=True)
def _integrate(u, v, mean, scaled, owner_of, z, choice, total, analytic, efficiency, nodes, at):  # type: ignore[no-untyped-def]
    """Fill in the fields of `Integrated` for each row."""
    n_draws, n = z.shape[1], z.shape[2]
    curves = np.empty(mean.shape)
    g, m, lower = np.empty(n), np.empty((n, n)), np.zeros((n, n))
    half, step, x = np.empty(n), np.empty(n), np.empty(n)
    logs, ratios, draws = np.empty(n_draws), np.empty(n_draws), np.empty((n_draws, n))
    for i in range(len(u)):
        x[:] = 0.0
        _curves(x, mean, scaled, curves)
        value = _log_likelihood(curves, u[i], v[i], owner_of)
        for turn in range(STEPS):
            _derivatives(curves, u[i], v[i], owner_of, scaled, True, g, m)
            if not _factor(m, lower):
                _derivatives(curves, u[i], v[i], owner_of, scaled, False, g, m)
                _factor(m, lower)
            _forward(lower, g - x, half)
            if turn == 0:
                analytic[i] = value + 0.5 * np.sum(half**2) - np.sum(np.log(np.diag(lower)))
            _backward(lower, half, step)
            if np.max(np.abs(step)) < ENOUGH:
                break
            height, gain = value - 0.5 * np.sum(x**2), np.sum(half**2)
            length = 1.0
            while True:  # never downhill
                _curves(x + length * step, mean, scaled, curves)
                value = _log_likelihood(curves, u[i], v[i], owner_of)
                if value - 0.5 * np.sum((x + length * step) ** 2) >= height - 1e-9 * gain or length < 1e-3:
                    break
                length *= 0.5
            x += length * step
        half_log_det = np.sum(np.log(np.diag(lower)))
        for k in range(n_draws):
            _backward(lower, z[i, k], draws[k])
            draws[k] += x
            _curves(draws[k], mean, scaled, curves)
            ratios[k] = _log_likelihood(curves, u[i], v[i], owner_of)
            logs[k] = ratios[k] - 0.5 * np.sum(draws[k] ** 2) + 0.5 * np.sum(z[i, k] ** 2) - half_log_det
        top = np.max(logs)
        weights = np.exp(logs - top)
        total[i] = top + np.log(np.mean(weights))
        efficiency[i] = np.sum(weights) ** 2 / np.sum(weights**2) / n_draws
        chosen = min(np.searchsorted(np.cumsum(weights), choice[i] * np.sum(weights)), n_draws - 1)
        nodes[i] = draws[chosen]
        at[i] = ratios[chosen]
