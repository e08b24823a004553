"""A regression of the log likelihood on weighted draws: a quadratic form, and a Gaussian process on what it leaves."""

from __future__ import annotations

import numpy as np
import torch

from gwsurrogate_ml.inference.proposal.adam import Adam
from gwsurrogate_ml.inference.threads import one_torch_thread
from gwsurrogate_ml.kernels.threads import each

LEARNED, FEW = 0.2, 300
"""Share of the draws that are interpolated by which length scales are chosen, and how many they are at least."""
DEPTH = 16.0
"""Draws whose log likelihood lies this far below the largest are left out: nothing counts there."""
ROOM = 3.0
"""How far above the largest log likelihood of a draw the regression may go: away from draws a quadratic form knows no end."""
_STEPS, _BLOCK, _PART = 40, 256, 4096
_ALIKE = 3e-3
"""Least width of a coordinate by weight, in units of that of all draws."""
_ROUGHEST, _RIDGE = 0.02, 1.0
"""Least variance of the noise of a draw, and the penalty on the quadratic form's coefficients in whitened coordinates."""


def _quadratic(x: np.ndarray) -> np.ndarray:
    """1, x_i and x_i x_j, (N, terms)."""
    i, j = np.triu_indices(x.shape[1])
    return np.concatenate([np.ones((len(x), 1)), x, x[:, i] * x[:, j]], axis=1)


class Regression:
    """Log likelihood at any place from draws about it.

    Parameters
    ----------
    places : (N, n) float64
        coordinates in which it is smooth
    log_likelihood : (N,) float64; -inf where there is none
    noise : (N,) float64
        variance of the error of each
    log_weights : (N,) float64
        importance weights of the draws, by which coordinates are whitened
    seed : int
    most : int
        draws that are interpolated
    """

    def __init__(
        self, places: np.ndarray, log_likelihood: np.ndarray, noise: np.ndarray, log_weights: np.ndarray, seed: int, most: int
    ) -> None:
        weights = np.exp(log_weights - log_weights.max())
        weights /= weights.sum()
        self._mean = weights @ places
        covariance = (places - self._mean).T @ ((places - self._mean) * weights[:, None])
        # A coordinate in which all that counts is alike, but not all draws, must not become infinitely wide.
        least = (_ALIKE * places.std(axis=0)) ** 2
        root = np.linalg.cholesky(covariance + np.diag(1e-8 * np.diag(covariance) + least + 1e-16))
        self._white = np.linalg.inv(root).T
        rng = np.random.default_rng([seed, 8])
        rows = np.flatnonzero(log_likelihood > log_likelihood.max() - DEPTH)
        if len(rows) > most:
            # The nearer the posterior the likelier, but some from all over.
            share = np.sqrt(weights[rows])
            share = 0.8 * share / share.sum() + 0.2 / len(rows)
            rows = rng.choice(rows, most, replace=False, p=share)
        x, y = self._whitened(places[rows]), log_likelihood[rows]
        self._most = float(log_likelihood.max()) + ROOM
        # What lies low need not be hit as well.
        depth = np.clip((y.max() - y) / DEPTH, 0.0, 1.0)
        variance = np.maximum(noise[rows], _ROUGHEST) + depth**2
        a = _quadratic(x.numpy())
        scaled = a / variance[:, None]
        self._form = np.linalg.solve(a.T @ scaled + _RIDGE * np.eye(a.shape[1]), scaled.T @ y)
        rest = torch.from_numpy(y - a @ self._form)
        errors = torch.from_numpy(variance)
        some = torch.from_numpy(rng.permutation(len(rows))[: max(round(LEARNED * most), FEW)])
        self._log_scales = self._learned(x[some], rest[some], errors[some])
        with torch.no_grad():
            factor = torch.linalg.cholesky(self._kernel(x, x, self._log_scales) + torch.diag(errors))
            factors = torch.cholesky_solve(rest[:, None], factor)[:, 0]
            # Single precision is enough to say where to draw, at half the time; the squares of a distance are part of a product.
            scaled_x = x * torch.exp(-self._log_scales[:-1])
            self._single = self._with_square(scaled_x)[:, [*range(x.shape[1]), -1, -2]].T.float().contiguous(), factors.float()

    def _whitened(self, places: np.ndarray) -> torch.Tensor:
        return torch.from_numpy((places - self._mean) @ self._white)

    @staticmethod
    def _kernel(a: torch.Tensor, b: torch.Tensor, log_scales: torch.Tensor) -> torch.Tensor:
        """Squared exponential; `log_scales` are those of the lengths and, last, of the amplitude."""
        a, b = a * torch.exp(-log_scales[:-1]), b * torch.exp(-log_scales[:-1])
        square = (a * a).sum(1)[:, None] + (b * b).sum(1)[None] - 2 * a @ b.T
        return torch.exp(2 * log_scales[-1] - 0.5 * square.clamp(min=0.0))

    @classmethod
    def _learned(cls, x: torch.Tensor, y: torch.Tensor, errors: torch.Tensor) -> torch.Tensor:
        """Scales of the largest marginal likelihood, by its gradient (Rasmussen & Williams 2006, equation 5.9)."""
        scales = torch.full((x.shape[1] + 1,), float(np.log(3.0)), dtype=torch.float64)
        scales[-1] = float(np.log(max(float(y.std(correction=0)), 1e-3)))
        optimiser = Adam([scales])
        for _ in range(_STEPS):
            kernel = cls._kernel(x, x, scales)
            factor = torch.linalg.cholesky(kernel + torch.diag(errors))
            solved = torch.cholesky_solve(y[:, None], factor)[:, 0]
            change = (torch.cholesky_inverse(factor) - torch.outer(solved, solved)) * kernel
            scaled = x * torch.exp(-scales[:-1])
            of_lengths = change.sum(dim=1) @ scaled**2 - (scaled * (change @ scaled)).sum(dim=0)
            scales.grad = torch.cat([of_lengths, change.sum()[None]])
            optimiser.step(0.1)
        return scales

    @staticmethod
    def _with_square(x: torch.Tensor) -> torch.Tensor:
        """x, minus half of its square, and 1, (N, n + 2)."""
        return torch.cat([x, -0.5 * (x * x).sum(1, keepdim=True), torch.ones_like(x[:, :1])], dim=1)

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """Log likelihood (N,) float64 at `places` (N, n), at most `ROOM` above that of any draw."""
        x = self._whitened(places)
        known, factors = self._single
        of_x = self._with_square(x * torch.exp(-self._log_scales[:-1])).float()
        # As many at a time as stay in the cache.

        @one_torch_thread()
        def alone(some: torch.Tensor) -> torch.Tensor:
            return torch.cat([(few @ known).exp_() @ factors for few in some.split(_BLOCK)])

        parts = each(alone, of_x.split(_PART))
        rest = torch.cat(parts).double().numpy()
        return np.minimum(_quadratic(x.numpy()) @ self._form + np.exp(2 * float(self._log_scales[-1])) * rest, self._most)
