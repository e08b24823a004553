"""The rounds of one event: pilot, refinement where it pays, final draws and their weights.

The final draws are fresh: the pilots that chose their proposals stay out of the estimate, so that nothing is used
twice.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import CutOffError, DomainWarning, GwsmlError
from gwsurrogate_ml.inference.prior.composition import Prior
from gwsurrogate_ml.inference.proposal.flows import FlowProposal, Proposal, fit_flow
from gwsurrogate_ml.inference.proposal.thinned import ThinnedProposal
from gwsurrogate_ml.inference.sampling.checkpoint import Steps
from gwsurrogate_ml.inference.sampling.exact import exactly_weighed
from gwsurrogate_ml.inference.sampling.mixture import Mixture, join
from gwsurrogate_ml.inference.sampling.sampler import Evaluated, EventSampler
from gwsurrogate_ml.inference.sampling.thinning import WIDER, enough, of_pool, with_flow, worth_thinning
from gwsurrogate_ml.inference.threads import one_torch_thread
from gwsurrogate_ml.inference.weights import effective_size, resample, summarise, tempering
from gwsurrogate_ml.kernels.threads import one_blas_thread

EDGE_SHARE, EDGE_WIDTH = 0.02, 0.3
"""Outermost share of the range of chirp mass, and at most so many of the posterior's standard deviations, in which a posterior
density above `EDGE_DENSITY` of its peak counts as cut off.
"""
EDGE_DENSITY, MOST_BINS = 0.25, 100_000
FLATTEN = 0.8
"""Power to which the weights are taken that a flow is fitted to: its tails are then between those of the posterior and those of
the broader proposals that the draws came from.
"""
COUNT = 200
"""Effective draws a flow is fitted to: fewer count only where the likelihood is taken to a power below one."""
MAX_ROUNDS = 8
"""Most rounds on an event for which there is a network."""
DEARER = 2
"""Factor on the most refinements where draws are dear: each round's draws teach the next one's regression."""
FEWER, SATISFIED = 0.5, 0.6
"""Factors on the pilot and on the efficiency that is enough where draws are dear: the last flow and the regression, which are
fitted to all draws in any case, give the final ones most of what more rounds would.
"""
HOPELESS = 0.01
"""Efficiency of the network below which its range is in question."""
EDGE_PILOT = 150
"""Effective draws the pilot needs before it alone may refuse an event."""
PART = 16384
"""Final draws made in one step: what a killed run does again at most."""
LIKELY, MANY = 8, 256
"""Draws of either kind and of each group for which the extrinsic points are chosen, see `some_likely`; draws of a proposal among
which those of a group are looked for."""
REPAIRS, SHORTFALL, POOR = 2, 0.5, 0.4
"""How often final draws are drawn anew, the share of the efficiency foretold below which they are, and the efficiency below which
dear ones are once."""
UNKEPT = Steps()


@dataclass(frozen=True)
class SamplingOptions:
    """How an event is sampled.

    Parameters
    ----------
    pilot : int
        draws with which the network's proposal is judged, and of each refinement; where a draw takes milliseconds half as
        many. Without a network the rounds begin with twice as many of the prior, where its aligned part gives nothing better
    refine_below : float
        efficiency foretold by the pilot below which flows are fitted to this event, if more draws are asked for than the
        pilot has; 0.6 of it where a draw takes milliseconds; 1: always. Where enough is known, final draws are thinned and better
    max_rounds : int
        most refinements at the full likelihood, twice as many where a draw takes milliseconds; 0: none
    refine_steps : int
        optimiser steps of each refinement
    widen : float
        factor on the widths of the network's base distribution
    n_sets, n_points : int
        sets of extrinsic points and points in each: a quarter where so many of them count that it makes no difference; of models
        with several modes up to four times as many where few count, for each side of the orbit. And what they
        share, a fiftieth or, of these models, a twentieth of the points of all
    max_posterior : int
        most equally weighted draws returned
    on_edge : "raise" or "warn"
        what to do with a posterior cut off by the prior on chirp mass
    centre_time : bool
        look for the event around the time given and centre the prior on arrival time there (`arrival`); False: as given, for
        simulations whose times are drawn from that prior
    """

    pilot: int = 4096
    refine_below: float = 0.5
    max_rounds: int = 3
    refine_steps: int = 250
    widen: float = 1.0
    n_sets: int = 8
    n_points: int = 2048
    max_posterior: int = 20_000
    on_edge: str = "raise"
    centre_time: bool = True


def affordable(options: SamplingOptions, sampler: EventSampler) -> SamplingOptions:
    """The options of a sampler: where draws are dear fewer of them in the rounds, and fewer rounds."""
    if not sampler.dear:
        return options
    enough = options.refine_below * (SATISFIED if options.refine_below < 1.0 else 1.0)
    return replace(options, pilot=max(round(FEWER * options.pilot), 1), refine_below=enough)


@one_torch_thread()
@one_blas_thread()
def weigh(
    sampler: EventSampler,
    proposals: list[Proposal],
    n: int,
    seed: int,
    options: SamplingOptions,
    steps: Steps = UNKEPT,
) -> tuple[Evaluated, np.ndarray, list[dict[str, Any]]]:
    """Pilot, refinement where it pays, and the final `n` draws with their weights, in threads of our own alone.

    Parameters
    ----------
    sampler : EventSampler
    proposals : list of Proposal
        `flows.network_proposals`: the pilot decides in which shares the draws come from them
    n, seed : int
    options : SamplingOptions
    steps : Steps
        keeps what is done, where a killed run is to go on from it

    Returns
    -------
    draws : Evaluated; log_weights : (n,); rounds : list of dict
        what each round reached
    """
    options = affordable(options, sampler)
    pilot_n = min(options.pilot, n)
    counts = split(pilot_n, np.array([4.0] + [1.0] * (len(proposals) - 1)))
    prior = sampler.prior
    first = partial(first_draws, sampler, proposals, counts, seed)
    pool = Mixture(list(proposals), counts, steps("pilot", first, Evaluated, sampler))
    log_weights = pool.log_weights(prior)
    if effective_size(log_weights) > EDGE_PILOT and options.on_edge == "raise":
        # No need to spend minutes on an event that will be refused.
        check_edges(prior, pool.draws.theta, log_weights, options)
    shares, efficiency = pool.tune(prior)
    if efficiency < HOPELESS:
        # Nor on one whose loudest template already lies at the end of the prior.
        low, high = prior.bounds()["chirp_mass"]
        loudest = float(sampler.found.theta[0])
        nearest = low if loudest - low < high - loudest else high
        if abs(loudest - nearest) < EDGE_SHARE * min(high - low, loudest):
            cut_off(prior, nearest, options)
    rounds = [_round("network", efficiency, log_weights)]
    worthwhile = pilot_n < n or efficiency < HOPELESS or options.refine_below >= 1.0
    if efficiency < options.refine_below and options.max_rounds > 0 and worthwhile:
        shares, more = learn(sampler, pool, efficiency, seed, options, steps=steps, rough=sampler.dear)
        rounds += more
    return settled_draws(sampler, pool, shares, rounds, n, seed, options, steps)


@one_torch_thread()
@one_blas_thread()
def learn(
    sampler: EventSampler,
    pool: Mixture,
    efficiency: float,
    seed: int,
    options: SamplingOptions,
    most: int = MAX_ROUNDS,
    steps: Steps = UNKEPT,
    rough: bool = False,
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Fit flows to this event's weighted draws, round by round, until their mixture is efficient or nothing is gained.

    Where too few draws count, the likelihood enters to a power below one, small enough that some hundreds do; the
    power rises from round to round.

    Parameters
    ----------
    pool : Mixture
        draws to start with; the new ones join it
    efficiency : float
        of the best mixture of the pool's proposals
    seed, options, steps : as for `weigh`
    most : int
        rounds, those with the likelihood to a lower power included
    rough : bool
        the extrinsic points were chosen before anything was known of the likely binaries

    Returns
    -------
    shares : (n_proposals,) of the best mixture of all; rounds : list of dict
    """
    prior = sampler.prior
    rounds: list[dict[str, Any]] = []
    power_was, whole, n = 0.0 if rough else 1.0, 0, options.pilot
    shares = np.array(pool.counts) / np.sum(pool.counts)
    for number in range(1, most + 1):
        log_weights = pool.log_weights(prior)
        likelihood = pool.draws.log_likelihood
        power = tempering(log_weights - likelihood, likelihood, min(COUNT, n / 8))
        with np.errstate(invalid="ignore"):
            tempered = np.where(np.isfinite(likelihood), log_weights - (1 - power) * likelihood, -np.inf)
        if power == 1.0 and power_was < 1.0:
            # The extrinsic points were chosen for other binaries than those that turn out likely.
            likely = some_likely(log_weights, likelihood, seed + number, sampler.group(pool.draws.theta))
            sampler.build_sets((pool.draws.coefficients[likely], pool.draws.power[likely]))
        power_was = power
        fit = partial(_fitted, sampler, pool, tempered, seed + 10 * number, options)
        flow = steps(f"flow {number}", fit, FlowProposal)
        # A flow fitted to few draws may fall off too early: some come from a wider one.
        proposals: list[tuple[Proposal, int]] = [(flow, n - n // 4), (flow.widened(WIDER), n // 4)]
        if sampler.dear and power == 1.0 and enough(log_weights):
            proposals = [(with_flow(sampler, pool, flow, seed + 10 * number), n)]
        for proposal, count in proposals:
            z = proposal.draw(count, seed + 10 * number + len(pool.counts))
            evaluate = partial(sampler.evaluate, z, "refinement pilot")
            pool.add(proposal, steps(f"draws of flow {number}", evaluate, Evaluated, sampler))
        shares, now = pool.tune(prior)
        rounds.append(_round(f"refinement {number}", now, pool.log_weights(prior)) | {"power": power})
        if power == 1.0:
            whole += 1
            limit = DEARER * options.max_rounds if sampler.dear else options.max_rounds
            if now >= options.refine_below or whole >= limit or now < 1.1 * efficiency:
                break
            efficiency = now
    return shares, rounds


def _fitted(sampler: EventSampler, pool: Mixture, log_weights: np.ndarray, seed: int, options: SamplingOptions) -> FlowProposal:
    """A flow fitted to the pool's draws by flattened weights (N,)."""
    progress = partial(sampler.progress, "refinement")
    return fit_flow(pool.draws.z, FLATTEN * log_weights, seed, steps=options.refine_steps, progress=progress)


def final_draws(
    sampler: EventSampler,
    proposals: Sequence[Proposal],
    shares: np.ndarray,
    n: int,
    seed: int,
    steps: Steps = UNKEPT,
) -> tuple[Evaluated, np.ndarray]:
    """`n` fresh draws, from each proposal its share, and their log weights."""
    counts = split(n, shares)
    used = [(p, c) for p, c in zip(proposals, counts, strict=True) if c]
    z = np.concatenate([p.draw(c, seed + 3 + 100 * i) for i, (p, c) in enumerate(used)])
    starts = range(0, n, PART)
    stages = ["waveforms" if len(starts) == 1 else f"waveforms, part {k} of {len(starts)}" for k in range(1, len(starts) + 1)]
    parts = [
        steps(stage, partial(sampler.evaluate, z[start : start + PART], stage), Evaluated, sampler)
        for start, stage in zip(starts, stages, strict=True)
    ]
    final = Mixture([p for p, _ in used], [c for _, c in used], join(parts))
    return final.draws, final.log_weights(sampler.prior)


@one_torch_thread()
@one_blas_thread()
def settled_draws(
    sampler: EventSampler,
    pool: Mixture,
    shares: np.ndarray,
    rounds: list[dict[str, Any]],
    n: int,
    seed: int,
    options: SamplingOptions,
    steps: Steps = UNKEPT,
) -> tuple[Evaluated, np.ndarray, list[dict[str, Any]]]:
    """The final draws. Where they count for much less than the rounds foretold, some lie where the proposals are too thin: they
    join the pool, a flow learns of them, and fresh ones are drawn.

    Parameters
    ----------
    pool : Mixture; shares : (n_proposals,); rounds : list of dict
        of the rounds so far, the last with the efficiency foretold
    sampler, n, seed, options, steps : as for `weigh`

    Returns
    -------
    as `weigh`
    """
    rounds = list(rounds)
    for attempt in range(1, REPAIRS + 2):
        last: ThinnedProposal | None = None
        log_weights = pool.log_weights(sampler.prior)
        if sampler.dear or attempt > 1:
            # For the binaries that count as far as is known now.
            likely = some_likely(log_weights, pool.draws.log_likelihood, seed, sampler.group(pool.draws.theta))
            sampler.build_sets((pool.draws.coefficients[likely], pool.draws.power[likely]), log2_n=15 if sampler.dear else 16)
        if enough(log_weights) and sampler.dear:
            fit = partial(_fitted, sampler, pool, log_weights, seed, options)
            last = with_flow(sampler, pool, steps(f"last flow {attempt}", fit, FlowProposal), seed)
        elif not sampler.dear and worth_thinning(log_weights, rounds[-1]["efficiency"]):
            last = of_pool(sampler, pool, shares, rounds[-1]["efficiency"], seed)
        proposals, parts = (pool.proposals, shares) if last is None else ([last], np.ones(1))
        draws, log_weights = final_draws(sampler, proposals, parts, n, seed, steps)
        found = effective_size(log_weights) / n
        again = sampler.dear and last is not None and attempt == 1
        wanted = max(SHORTFALL * rounds[-1]["efficiency"], POOR if again else 0.0)
        if attempt > REPAIRS or options.max_rounds == 0 or found > wanted:
            break
        seed += 1000
        if last is None:
            pool.join(split(n, shares), draws)
        else:
            pool.add(last, draws)
        if last is not None and sampler.dear:
            # The next flow and regression learn of them as they are.
            shares, _ = pool.tune(sampler.prior)
            more = [_round("", found, pool.log_weights(sampler.prior))]
        else:
            shares, more = learn(sampler, pool, found, seed, options, most=1, steps=steps)
        rounds += [entry | {"proposal": f"repair {attempt}"} for entry in more]
    if last is not None:
        rounds.append(_round("flow, thinned" if sampler.dear else "thinned", found, log_weights))
        rounds[-1]["normalisation_error"] = last.error_of_mean(log_weights)
    elif errors := [p.relative_error for p in proposals if isinstance(p, ThinnedProposal)]:
        rounds[-1]["normalisation_error"] = max(errors)
    draws, log_weights, exact = exactly_weighed(sampler, draws, log_weights, steps)
    return draws, log_weights, rounds + exact


def split(n: int, shares: np.ndarray) -> list[int]:
    """Whole numbers that add up to `n`, as near to `shares` as can be.

    Examples
    --------
    >>> split(10, np.array([0.55, 0.25, 0.2]))
    [6, 2, 2]
    """
    edges = np.round(np.cumsum(shares) / np.sum(shares) * n).astype(int)
    return [int(count) for count in np.diff(edges, prepend=0)]


def some_likely(log_weights: np.ndarray, log_likelihood: np.ndarray, seed: int, group: np.ndarray) -> np.ndarray:
    """Indices of a few draws of each group for which the extrinsic points are chosen: half from the posterior, half with the
    likelihood's square root in its place. Points chosen for the likeliest binaries alone miss the arrival times of those in its
    tails; of a group without draws that count there are none.
    """
    rng = np.random.default_rng(seed)
    flat = log_weights - 0.5 * np.where(np.isfinite(log_likelihood), log_likelihood, 0.0)
    chosen: list[np.ndarray] = []
    for rows in (np.flatnonzero((group == number) & np.isfinite(log_weights)) for number in np.unique(group)):
        chosen += [rows[resample(x[rows], LIKELY, rng)] for x in (log_weights, flat) if len(rows)]
    if not chosen:
        raise GwsmlError("no draw has a likelihood: the prior does not hold the signal; check the event's GPS time")
    return np.unique(np.concatenate(chosen))


def first_draws(sampler: EventSampler, proposals: list[Proposal], counts: list[int], seed: int) -> Evaluated:
    """`counts` draws of the proposals, with extrinsic points chosen for the binaries that turn out likely; where draws are dear,
    for the loudest template and some of the first proposal's, which should know what is likely.
    """
    z = np.concatenate([p.draw(c, seed + 1 + 100 * i) for i, (p, c) in enumerate(zip(proposals, counts, strict=True))])
    if sampler.dear:
        some = sampler.proposed.from_normal(proposals[0].draw(MANY, seed + 8))
        group = sampler.group(some)
        few = np.concatenate([np.flatnonzero(group == number)[:LIKELY] for number in np.unique(group)])
        drawn, template = sampler.known(some[few], "pilot"), sampler.first_known("pilot")
        sampler.build_sets((np.concatenate([drawn[0], template[0]]), np.concatenate([drawn[1], template[1]])))
        return sampler.evaluate(z, "pilot")
    known = sampler.known(sampler.proposed.from_normal(z), "pilot")
    # Points for the loudest template first; then, once weights are known, for the likely binaries.
    sampler.build_sets(sampler.first_known("pilot"), log2_n=15)
    pool = Mixture(proposals, counts, sampler.evaluate(z, "pilot", known))
    likely = some_likely(pool.log_weights(sampler.prior), pool.draws.log_likelihood, seed + 2, sampler.group(pool.draws.theta))
    sampler.build_sets((known[0][likely], known[1][likely]))
    return sampler.evaluate(z, "pilot", known)


def _round(name: str, efficiency: float, log_weights: np.ndarray) -> dict[str, Any]:
    """What a round reached: efficiency of the best mixture so far, and what all draws so far say."""
    summary = summarise(log_weights)
    return {
        "proposal": name,
        "efficiency": efficiency,
        "pareto_k": summary.pareto_k,
        "log_evidence": summary.log_evidence,
    }


def check_edges(prior: Prior, theta: np.ndarray, log_weights: np.ndarray, options: SamplingOptions) -> None:
    """Refuse a posterior that the prior's bound on chirp mass cuts off (those of mass ratio and spins often do)."""
    low, high = prior.bounds()["chirp_mass"]
    weights = np.exp(log_weights - log_weights.max())
    mean = np.average(theta[:, 0], weights=weights)
    spread = np.sqrt(np.average((theta[:, 0] - mean) ** 2, weights=weights))
    bins = int(np.clip((high - low) / max(EDGE_WIDTH * spread, 1e-300), 1 / EDGE_SHARE, MOST_BINS))
    density, _ = np.histogram(theta[:, 0], bins=np.linspace(low, high, bins + 1), weights=weights)
    for bound, share in ((low, density[0]), (high, density[-1])):
        if share > EDGE_DENSITY * density.max():
            cut_off(prior, bound, options)


def cut_off(prior: Prior, bound: float, options: SamplingOptions) -> None:
    """Raise or warn: the posterior of the chirp mass ends at a bound of the prior."""
    low, high = prior.bounds()["chirp_mass"]
    message = (
        f"the posterior of the detector-frame chirp mass is cut off at the {'low' if bound == low else 'high'} end of the "
        f"prior, {bound:g} solar masses (prior {low:g} to {high:g}): the signal's chirp mass probably lies outside; without an "
        f"estimator (`sample_event`, gwsml analyze) give a prior that reaches {'lower' if bound == low else 'higher'}, "
        "--prior chirp_mass=LOW,HIGH, or none, and it follows from a search"
    )
    if options.on_edge == "raise":
        raise CutOffError(message, bound)
    warnings.warn(message, DomainWarning, stacklevel=4)
