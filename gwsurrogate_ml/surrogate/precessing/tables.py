"""The polynomials of a mass ratio: of simulations, of SEOBNRv5PHM where there are none, or of both mixed between the two."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import ArtifactError
from gwsurrogate_ml.surrogate.precessing import coorbital, dynamics, polynomials

NAMES = frozenset({"nodes", "times", "rates", "modes", "rates_beyond", "modes_beyond"})
"""Of the tensors."""
MOST = 8
"""Highest degree of polynomials."""
Pair = tuple[dynamics.Rates, coorbital.Pieces]


def check(tensors: dict[str, np.ndarray], of_rates: polynomials.Monomials, of_modes: polynomials.Monomials) -> None:
    """Raise ArtifactError where weights and card do not belong together: compiled code would read beyond them."""
    if missing := sorted(NAMES - set(tensors)):
        raise ArtifactError(f"the weights lack {missing[0]!r}: they are not those of a precessing surrogate, install it anew")
    nodes, times = tensors["nodes"], tensors["times"]
    rates, modes = (int(np.diff(m.first).max()) for m in (of_rates, of_modes))
    shapes = {
        "rates": (len(nodes), len(dynamics.KINDS), rates),
        "modes": (len(times), len(coorbital.kinds()), modes),
        "rates_beyond": (len(nodes), len(dynamics.KINDS), rates),
        "modes_beyond": (len(times), len(coorbital.beyond()), modes),
    }
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise ArtifactError(
                f"{name!r} of the weights has shape {tensors[name].shape}, the card and the times ask for {shape}: restore the "
                "card that came with the weights"
            )
    places = np.sort(np.concatenate([nodes, 0.5 * (nodes[1:] + nodes[:-1])]))
    off = np.abs(places[np.clip(np.searchsorted(places, times - 1e-6), 0, len(places) - 1)] - times)
    if nodes.ndim != 1 or len(nodes) < 16 or not (np.diff(nodes) > 0).all() or not (np.diff(times) > 0).all() or off.max() > 1e-5:
        raise ArtifactError("the weights' nodes or times do not ascend, or do not fit each other: install the model anew")


class Tables:
    """Rates of the dynamics and pieces of the modes at all times of a model, early ones without coefficients.

    Parameters
    ----------
    tensors : dict of arrays
        those of `NAMES`, checked
    of_rates, of_modes : Monomials
    early : (n_early,) float64, M
        times before the first node
    known : (n_early + n,) float64
        see `dynamics.Rates`
    q_simulated, q_beyond : float
        mass ratios up to which simulations alone and from which on SEOBNRv5PHM alone counts
    """

    def __init__(
        self,
        tensors: dict[str, np.ndarray],
        of_rates: polynomials.Monomials,
        of_modes: polynomials.Monomials,
        early: np.ndarray,
        known: np.ndarray,
        q_simulated: float,
        q_beyond: float,
    ) -> None:
        self.q_simulated, self.q_beyond, self._first = q_simulated, q_beyond, len(early)
        nodes, times = np.concatenate([early, tensors["nodes"]]), np.concatenate([early, tensors["times"]])
        weights = dynamics.step_weights(nodes)

        def pair(rates: np.ndarray, modes: np.ndarray) -> Pair:
            rates, modes = (np.concatenate([np.zeros((len(early), *x.shape[1:])), x]) for x in (rates, modes))
            pieces = coorbital.table(of_modes, modes, nodes, times)
            return dynamics.Rates(nodes, of_rates, rates, known, *weights), pieces

        modes_beyond = np.zeros_like(tensors["modes"])
        modes_beyond[:, coorbital.beyond()] = tensors["modes_beyond"]
        self.near, self.beyond = pair(tensors["rates"], tensors["modes"]), pair(tensors["rates_beyond"], modes_beyond)
        self.sets = self.near, self.beyond
        size, known_ones = of_rates.first[1], slice(len(early), int(np.searchsorted(nodes, 0.0)))
        self._of_frequency = [np.ascontiguousarray(rates.coefficients[known_ones, 0, :size].T) for rates, _ in self.sets]
        self._mixed = 1.0, self.near[0]

    def share(self, q: float) -> float:
        """How much of SEOBNRv5PHM there is at the mass ratio `q`."""
        way = (q - self.q_simulated) / (self.q_beyond - self.q_simulated)
        return 0.5 - 0.5 * math.cos(math.pi * min(max(way, 0.0), 1.0))

    def shares(self, q: Any, xp: Any = np) -> dict[int, Any]:
        """Share (N,) that each of `sets` has at mass ratios `q` (N,), numpy or torch: of those with any; None stands for all."""
        way = xp.clip((q - self.q_simulated) / (self.q_beyond - self.q_simulated), 0.0, 1.0)
        if bool((way == 0.0).all()) or bool((way == 1.0).all()):
            return {int(len(way) > 0 and bool(way[0])): None}
        share = 0.5 - 0.5 * xp.cos(math.pi * way)
        return {0: 1.0 - share, 1: share}

    def mean_frequency(self, q: np.ndarray, chi1: np.ndarray, chi2: np.ndarray) -> np.ndarray:
        """Orbital frequency (N, n) at the nodes before the peak, averaged over the spins' azimuth; zero at early ones."""
        mean = dynamics.mean_monomials(self.near[0].monomials, q, chi1, chi2)
        out = np.zeros((len(q), self._first + self._of_frequency[0].shape[1]))
        for number, share in self.shares(q).items():
            found = mean @ self._of_frequency[number]
            out[:, self._first :] += found if share is None else share[:, None] * found
        return out

    def at(self, q: float) -> tuple[dynamics.Rates, list[tuple[float, coorbital.Pieces]]]:
        """What to integrate for the mass ratio `q`, and what to evaluate: each set's pieces with its share."""
        share = self.share(q)
        if share in (0.0, 1.0):
            rates, pieces = self.beyond if share else self.near
            return rates, [(1.0, pieces)]
        (rates, pieces), (other, others) = self.sets
        mixed = self._mixed  # once: other threads mix, too
        if mixed[0] != q:
            self._mixed = mixed = q, rates._replace(coefficients=(1 - share) * rates.coefficients + share * other.coefficients)
        return mixed[1], [(1.0 - share, pieces), (share, others)]
