"""Where the rounds on an event begin: at the prior, or, where a waveform takes long, at the posterior of its aligned (2,2) part.

That posterior is found in seconds: waveforms are cheap, and orientation and phase are integrated in closed form. Its spins are
those along the orbit, under the prior that isotropic spins have for them; what lies in the plane is drawn from the prior given the
part along the orbit. A flow fitted to these draws is a proposal like any other: nothing of the result depends on it but its cost.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.special import ndtri

from gwsurrogate_ml.errors import DomainError
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import Trigger
from gwsurrogate_ml.inference.prior.composition import ComposedPrior, Prior
from gwsurrogate_ml.inference.prior.spins import AlignedIsotropic, Isotropic
from gwsurrogate_ml.inference.proposal.flows import FlowProposal, PriorProposal, Proposal, fit_flow
from gwsurrogate_ml.inference.sampling.checkpoint import Steps
from gwsurrogate_ml.inference.sampling.mixture import Mixture
from gwsurrogate_ml.inference.sampling.orders import OrdersSampler
from gwsurrogate_ml.inference.sampling.quadrupole import QuadrupoleSampler
from gwsurrogate_ml.inference.sampling.rounds import SamplingOptions, affordable, first_draws, learn
from gwsurrogate_ml.inference.sampling.sampler import Evaluated, EventSampler
from gwsurrogate_ml.waveform.model import Quadrupole

FIRST = 2
"""Draws of the prior the rounds begin with, in units of `SamplingOptions.pilot`."""
MAX_ROUNDS = 25
SHARES = (0.5, 0.4, 0.1)
"""Of the first draws, from the flow, from a wider one, and from the prior."""
WIDER = 1.5
_DRAWS, _SETS = 2, 2


def start(sampler: EventSampler, seed: int, options: SamplingOptions, steps: Steps) -> Mixture:
    """The first draws of an event, and what they were drawn from."""
    plain = PriorProposal(len(sampler.proposed.names))
    flow = _aligned_flow(sampler, seed, options, steps) if isinstance(sampler, OrdersSampler) else None
    if flow is None:
        sampler.build_sets(sampler.first_known("first draws"), log2_n=15)
        n = FIRST * options.pilot
        first = partial(sampler.evaluate, plain.draw(n, seed), "first draws")
        return Mixture([plain], [n], steps("first draws", first, Evaluated, sampler))
    proposals: list[Proposal] = [flow, flow.widened(WIDER), plain]
    counts = [int(share * affordable(options, sampler).pilot) for share in SHARES]
    first = partial(first_draws, sampler, proposals, counts, seed)
    return Mixture(proposals, counts, steps("first draws", first, Evaluated, sampler))


def _aligned_flow(sampler: OrdersSampler, seed: int, options: SamplingOptions, steps: Steps) -> FlowProposal | None:
    """The flow, or None: under another prior of spins, or for a signal that nothing aligned resembles."""
    prior = _aligned_prior(sampler.prior)
    if prior is None:
        return None
    try:
        return steps("aligned spins", partial(_flow, sampler, prior, seed, options), FlowProposal)
    except DomainError:
        return None


def _aligned_prior(prior: Prior) -> Prior | None:
    """The same prior for spins along the orbit; None where there is no such prior."""
    if "chi_1" in prior.names:
        return prior
    *others, spins = prior.parts
    if not isinstance(spins, Isotropic):
        return None
    along = AlignedIsotropic(-spins.highest, spins.highest)
    return ComposedPrior((*others, along), prior.luminosity_distance, prior.time_half_width)


def _flow(sampler: OrdersSampler, prior: Prior, seed: int, options: SamplingOptions) -> FlowProposal:
    """A flow fitted to the posterior of the aligned (2,2) part, in the coordinates of `sampler`."""
    likelihood = SegmentLikelihood(sampler.likelihood.segment, Quadrupole(sampler.likelihood.model))
    found = sampler.found
    binaries = sampler.likelihood.space.binaries(found.theta[None])
    theta = np.array([*found.theta[:2], binaries.spin_1[0, 2], binaries.spin_2[0, 2]])
    trigger = Trigger(theta, found.waveform, found.times, found.aligned, found.snr)
    other = QuadrupoleSampler(likelihood, prior, trigger, n_sets=_SETS, n_points=1024, seed=seed, progress=sampler.progress)
    other.build_sets(other.first_known("aligned spins"), log2_n=15)
    plain = PriorProposal(len(prior.names))
    n = FIRST * options.pilot
    pool = Mixture([plain], [n], other.evaluate(plain.draw(n, seed), "aligned spins"))
    learn(other, pool, 0.0, seed, options, most=MAX_ROUNDS)
    draws = other.complete(pool.draws, pool.log_weights(prior), _DRAWS * options.pilot, seed + 5)
    columns = np.column_stack([draws[name] for name in prior.names])
    if sampler.prior is not prior:
        columns = np.column_stack([columns[:, :2], in_all_directions(columns[:, 2:], sampler.prior, seed + 6)])
    z = np.column_stack([sampler.prior.to_normal(columns), ndtri(0.5 * (1 - np.cos(draws["theta_jn"])))])
    return fit_flow(z, np.zeros(len(z)), seed + 7, steps=options.refine_steps)


def in_all_directions(along: np.ndarray, prior: Prior, seed: int) -> np.ndarray:
    """Spins (N, 6), as `Isotropic` has them, of given components along the orbit (N, 2), all else drawn from the prior.

    An isotropic spin of uniform magnitude below a has, given its component c, a magnitude of density 1 / |magnitude| above \\|c\\|.
    """
    rng = np.random.default_rng(seed)
    highest = prior.parts[-1].bounds()["a_1"][1]
    least = np.clip(np.abs(along), 1e-12, highest)
    magnitude = least * (highest / least) ** rng.random(along.shape)
    tilt = np.arccos(np.clip(along / magnitude, -1, 1))
    return np.column_stack([magnitude, tilt, 2 * np.pi * rng.random(along.shape)])
