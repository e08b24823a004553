"""The rounds of one event: pilot, refinement where it pays, final draws and their weights.

The final draws are fresh: the pilots that chose their proposals stay out of the estimate, so that nothing is used
twice.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import DomainError, DomainWarning
from gwsurrogate_ml.inference.importance import (
    WeightSummary,
    check_weights,
    effective_size,
    mixture_log_density,
    resample,
    summarise,
)
from gwsurrogate_ml.inference.priors import BinaryPrior
from gwsurrogate_ml.inference.refine import Proposal, fit_flow
from gwsurrogate_ml.inference.sampling import Evaluated, EventSampler

EDGE_SHARE = 0.02
"""Outermost share of the range of chirp mass in which a posterior density above `EDGE_DENSITY` of its peak counts as
cut off.
"""
EDGE_DENSITY = 0.25
GUARD = 0.3
"""Share of the final draws taken from the network where a refined flow gives the rest."""
EDGE_PILOT = 150
"""Effective draws the pilot needs before it alone may refuse an event."""


@dataclass(frozen=True)
class SamplingOptions:
    """How an event is sampled.

    Parameters
    ----------
    pilot : int
        draws with which the network's proposal is judged
    refine_below : float
        efficiency of the pilot below which a flow is fitted to this event
    max_rounds : int
        most refinements
    refine_steps : int
        optimiser steps of each refinement
    widen : float
        factor on the width of the network's base distribution; above 1 it trades a little efficiency for lighter tails
    n_sets, n_points : int
        sets of extrinsic points and points in each
    max_posterior : int
        most equally weighted draws returned
    on_edge : "raise" or "warn"
        what to do with a posterior cut off by the prior on chirp mass
    """

    pilot: int = 4096
    refine_below: float = 0.5
    max_rounds: int = 3
    refine_steps: int = 250
    widen: float = 1.06
    n_sets: int = 8
    n_points: int = 2048
    max_posterior: int = 20_000
    on_edge: str = "raise"


def weigh(
    prior: BinaryPrior,
    sampler: EventSampler,
    network: Proposal,
    n: int,
    seed: int,
    options: SamplingOptions,
    report: Callable[[str, int, int], None],
) -> tuple[Evaluated, np.ndarray, list[dict[str, Any]]]:
    """Pilot, refinement where it pays, and the final `n` draws with their weights."""
    pilot_n = min(options.pilot, n)
    z = network.draw(pilot_n, seed + 1)
    known = sampler.coefficients(prior.from_normal(z), "pilot")
    # Points for the loudest template first; then, once weights are known, for the likely binaries.
    c, power = sampler.coefficients(sampler.found.theta[None], "pilot")
    sampler.build_sets(c, power, log2_n=15)
    pilot = sampler.evaluate(z, "pilot", known)
    log_weights = pilot.log_likelihood + prior.log_normal(z) - network.log_density(z)
    check_weights(log_weights)
    likely = np.unique(resample(log_weights, 8, np.random.default_rng(seed + 2)))
    sampler.build_sets(pilot.coefficients[likely], pilot.power[likely])
    pilot = sampler.evaluate(z, "pilot", (pilot.coefficients, pilot.power))
    proposals: list[Proposal] = [network]
    log_weights = pilot.log_likelihood + prior.log_normal(z) - network.log_density(z)
    best, best_share = network, effective_size(log_weights) / pilot_n
    if best_share * pilot_n > EDGE_PILOT and options.on_edge == "raise":
        # No need to spend minutes on an event that will be refused.
        check_edges(prior, pilot.theta, log_weights, options)
    rounds: list[dict[str, Any]] = [_round("network", summarise(log_weights))]
    pool, pool_weights = pilot, log_weights
    while best_share < options.refine_below and len(rounds) <= options.max_rounds and pilot_n < n:
        number = len(rounds)
        proposal = fit_flow(
            pool.z,
            pool_weights,
            seed + 10 * number,
            steps=options.refine_steps,
            progress=lambda done, total: report("refinement", done, total),
        )
        proposals.append(proposal)
        fresh = sampler.evaluate(proposal.draw(pilot_n, seed + 10 * number + 1), "refinement pilot")
        own = fresh.log_likelihood + prior.log_normal(fresh.z) - proposal.log_density(fresh.z)
        rounds.append(_round(f"refinement {number}", summarise(own)))
        share = effective_size(own) / pilot_n
        better = share > best_share
        improved = share > 1.1 * best_share
        if better:
            best, best_share = proposal, share
        pool = _join([pool, fresh])
        pool_weights = (
            pool.log_likelihood + prior.log_normal(pool.z) - _mixture(pool.z, proposals, [pilot_n] * len(proposals))
        )
        if not improved:
            break
    final, counts = [best], [n]
    if best is not network:
        # A flow fitted to few draws may fall off too early: some draws of the wider network bound the weights there.
        counts = [n - int(GUARD * n), int(GUARD * n)]
        final.append(network)
    z = np.concatenate(
        [p.draw(count, seed + 3 + 100 * i) for i, (p, count) in enumerate(zip(final, counts, strict=True))]
    )
    draws = sampler.evaluate(z, "waveforms")
    return draws, draws.log_likelihood + prior.log_normal(z) - _mixture(z, final, counts), rounds


def _mixture(z: np.ndarray, proposals: list[Proposal], counts: list[int]) -> np.ndarray:
    """Log density of the mixture of proposals, `counts` draws from each: the balance heuristic."""
    return mixture_log_density(np.stack([p.log_density(z) for p in proposals]), np.array(counts))


def _round(name: str, summary: WeightSummary) -> dict[str, Any]:
    return {
        "proposal": name,
        "efficiency": summary.efficiency,
        "pareto_k": summary.pareto_k,
        "log_evidence": summary.log_evidence,
    }


def check_edges(prior: BinaryPrior, theta: np.ndarray, log_weights: np.ndarray, options: SamplingOptions) -> None:
    """Refuse a posterior that the prior's bound on chirp mass cuts off (those of mass ratio and spins often do)."""
    low, high = prior.chirp_mass
    weights = np.exp(log_weights - log_weights.max())
    edges = np.linspace(low, high, round(1 / EDGE_SHARE) + 1)
    density, _ = np.histogram(theta[:, 0], bins=edges, weights=weights)
    for bound, share, word in ((low, density[0], "low"), (high, density[-1], "high")):
        if share > EDGE_DENSITY * density.max():
            message = (
                f"the posterior of the detector-frame chirp mass is cut off at the {word} end of the prior, {bound:g} "
                f"solar masses (prior {low:g} to {high:g}): the signal's chirp mass probably lies outside; use an "
                "estimator trained for it"
            )
            if options.on_edge == "raise":
                raise DomainError(message)
            warnings.warn(message, DomainWarning, stacklevel=3)


def _join(parts: list[Evaluated]) -> Evaluated:
    """Rounds one after the other; coefficients padded to the largest basis."""
    size = max(part.coefficients.shape[1] for part in parts)
    coefficients = [np.pad(p.coefficients, ((0, 0), (0, size - p.coefficients.shape[1]))) for p in parts]
    fields = ("power", "shift", "part", "log_likelihood", "effective")
    rest = {name: np.concatenate([getattr(p, name) for p in parts]) for name in fields}
    return Evaluated(
        np.concatenate([p.z for p in parts]),
        np.concatenate([p.theta for p in parts]),
        np.concatenate(coefficients),
        **rest,
    )
