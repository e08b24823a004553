"""Gaussian processes with noise that differs between points, fitted in torch, evaluated in numpy through inducing points.

Hyperparameters maximise the marginal likelihood of an exact process on a subset (Rasmussen & Williams 2006, chapter 5); the
prediction is the deterministic training conditional (Quinonero-Candela & Rasmussen 2005), whose cost is quadratic in the number
of inducing points. The kernel is ``w(x) w(x') s^2 exp(-sum_j (x_j - x'_j)^2 / (2 l_j^2))``: where the weight w vanishes, the
mean and the variance vanish too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize

JITTER = 1e-8


@dataclass(frozen=True)
class Hyper:
    """Length scales (d,), amplitude s, constant mean, and one noise standard deviation per column of the noise scales."""

    lengths: np.ndarray
    amplitude: float
    mean: float
    noise: np.ndarray


_TRIANGLES = ("whiten", "shrink")


@dataclass(frozen=True)
class SparseGP:
    """A process ready for evaluation: inducing points (M, d) over the length scales, their weights (M,), vectors and matrices."""

    lengths: np.ndarray
    amplitude: float
    mean: float
    noise: np.ndarray
    points: np.ndarray
    point_weights: np.ndarray
    whiten: np.ndarray
    shrink: np.ndarray
    vector: np.ndarray

    def __call__(self, x: np.ndarray, weight: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean (N,) and variance (N,) of the noise-free function at `x` (N, d), with the kernel's weight (N,), by default 1."""
        weight = np.ones(len(x)) if weight is None else weight
        k = kernel(x / self.lengths, self.points, weight, self.point_weights, self.amplitude)
        features = k @ self.whiten
        prior = (weight * self.amplitude) ** 2
        shrunk = features @ self.shrink
        variance = np.maximum(prior - np.einsum("nm,nm->n", features, features), 0.0)
        return self.mean * weight + features @ self.vector, variance + np.einsum("nm,nm->n", shrunk, shrunk)

    def tensors(self, prefix: str) -> dict[str, np.ndarray]:
        """All arrays as float64 under `prefix`; of the two upper triangular matrices the triangles, row by row."""
        values = {key: np.atleast_1d(np.asarray(value, float)) for key, value in self.__dict__.items()}
        upper = np.triu_indices(len(self.vector))
        values |= {key: values[key][upper] for key in _TRIANGLES}
        return {f"{prefix}.{key}": value for key, value in values.items()}

    @classmethod
    def from_tensors(cls, tensors: dict[str, np.ndarray], prefix: str) -> SparseGP:
        """The process stored by `tensors` under `prefix`."""
        values = {key: np.asarray(tensors[f"{prefix}.{key}"], dtype=np.float64) for key in cls.__dataclass_fields__}
        amplitude, mean = (float(values.pop(key)[0]) for key in ("amplitude", "mean"))
        n = len(values["vector"])
        for key in _TRIANGLES:
            full = np.zeros((n, n))
            full[np.triu_indices(n)] = values[key]
            values[key] = full
        return cls(amplitude=amplitude, mean=mean, **values)


def kernel(a: np.ndarray, b: np.ndarray, wa: np.ndarray, wb: np.ndarray, amplitude: float) -> np.ndarray:
    """Covariances (N, M) of points `a` (N, d) and `b` (M, d), both in units of the length scales.

    Examples
    --------
    >>> one = np.ones(1)
    >>> kernel(np.zeros((1, 2)), np.zeros((1, 2)), one, one, 2.0).tolist()
    [[4.0]]
    """
    square = np.sum(a * a, 1)[:, None] + np.sum(b * b, 1)[None] - 2.0 * a @ b.T
    return (amplitude**2 * wa[:, None] * wb[None]) * np.exp(-0.5 * np.maximum(square, 0.0))


def fit_hyper(
    x: np.ndarray,
    y: np.ndarray,
    noise_scales: np.ndarray,
    weight: np.ndarray | None = None,
    noise_start: float = 1e-3,
    subset: int = 400,
    seed: int = 0,
    steps: int = 60,
) -> Hyper:
    """Hyperparameters of largest marginal likelihood.

    Parameters
    ----------
    x : (N, d) features, of order one
    y : (N,) targets
    noise_scales : (N, g)
        the noise variance of point i is ``sum_g noise_g^2 noise_scales[i, g]``
    weight : (N,), optional
        weight of the kernel and of the mean
    noise_start : float
        where the search for the noise begins
    subset : int
        number of points used, drawn at random
    """
    import torch

    weight = np.ones(len(x)) if weight is None else weight
    rows = np.random.default_rng(seed).permutation(len(x))[:subset]
    tx, ty, ts, tw = (torch.tensor(v[rows], dtype=torch.float64) for v in (x, y, noise_scales, weight))
    d, g = x.shape[1], noise_scales.shape[1]
    spread = float(np.std(y[rows])) + 1e-12
    start = [0.5] * d + [np.log(3 * spread)] + [np.log(noise_start)] * g + [float(np.median(y[rows]))]
    bounds = [(-2.5, 4.0)] * d + [(start[d] - 4, start[d] + 5)] + [(start[d + 1] - 5, start[d + 1] + 6)] * g + [(None, None)]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        theta = torch.tensor(values, dtype=torch.float64, requires_grad=True)
        z = tx / torch.exp(theta[:d])
        square = (z * z).sum(1)[:, None] + (z * z).sum(1)[None] - 2 * z @ z.T
        k = torch.exp(2 * theta[d]) * tw[:, None] * tw[None] * torch.exp(-0.5 * square.clamp_min(0))
        noise = ts @ torch.exp(2 * theta[d + 1 : d + 1 + g])
        jitter = JITTER * torch.exp(2 * theta[d]) * (tw * tw).mean()
        lower = torch.linalg.cholesky(k + torch.diag(noise + jitter))
        r = torch.linalg.solve_triangular(lower, (ty - theta[-1] * tw)[:, None], upper=False)
        # Weak log-normal priors keep the scales finite where the data say nothing.
        prior = 0.5 * (theta[:d] - 0.5).square().sum() + 0.5 * ((theta[d] - start[d]) / 2.0) ** 2
        value = 0.5 * r.square().sum() + torch.log(torch.diagonal(lower)).sum() + prior
        value.backward()
        return float(value.item()), theta.grad.numpy().copy()

    best = minimize(loss, np.array(start), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps}).x
    return Hyper(np.exp(best[:d]), float(np.exp(best[d])), float(best[-1]), np.exp(best[d + 1 : d + 1 + g]))


def condition(
    hyper: Hyper,
    x: np.ndarray,
    y: np.ndarray,
    noise_scales: np.ndarray,
    weight: np.ndarray | None = None,
    n_points: int = 200,
) -> SparseGP:
    """The process conditioned on all data, through at most `n_points` inducing points chosen by a pivoted Cholesky factor."""
    weight = np.ones(len(x)) if weight is None else weight
    z = x / hyper.lengths
    chosen = _pivots(z, weight, hyper.amplitude, n_points)
    points, point_weights = z[chosen], weight[chosen]
    kmm = kernel(points, points, point_weights, point_weights, hyper.amplitude)
    kmm[np.diag_indices_from(kmm)] += JITTER * np.mean(np.diag(kmm))
    identity = np.eye(len(points))
    whiten = solve_triangular(cholesky(kmm, lower=True), identity, lower=True).T
    deviation = np.sqrt(noise_scales @ hyper.noise**2)
    features = (kernel(z, points, weight, point_weights, hyper.amplitude) @ whiten) / deviation[:, None]
    lower = cholesky(identity + features.T @ features, lower=True)
    half = solve_triangular(lower, identity, lower=True)
    vector = half.T @ (half @ (features.T @ ((y - hyper.mean * weight) / deviation)))
    return SparseGP(hyper.lengths, hyper.amplitude, hyper.mean, hyper.noise, points, point_weights, whiten, half.T.copy(), vector)


def _pivots(z: np.ndarray, weight: np.ndarray, amplitude: float, n: int) -> np.ndarray:
    """Indices of the points that a pivoted Cholesky factorisation of the kernel takes first."""
    n = min(n, len(z))
    residual = (weight * amplitude) ** 2
    factor = np.zeros((n, len(z)))
    chosen: list[int] = []
    floor = 1e-10 * residual.max(initial=1e-300)
    for row in range(n):
        i = int(np.argmax(residual))
        if residual[i] <= floor:
            break
        chosen.append(i)
        column = kernel(z[i : i + 1], z, weight[i : i + 1], weight, amplitude)[0] - factor[:row, i] @ factor[:row]
        factor[row] = column / np.sqrt(residual[i])
        residual = np.maximum(residual - factor[row] ** 2, 0.0)
        residual[i] = 0.0
    return np.array(chosen, dtype=np.int64)
