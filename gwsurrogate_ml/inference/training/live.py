"""The efficiency that a network in training would reach on real likelihoods: a few injections, kept for the whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.errors import DomainError
from gwsurrogate_ml.inference.likelihood.injections import draw_injection
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import search
from gwsurrogate_ml.inference.proposal.flows import network_proposals
from gwsurrogate_ml.inference.proposal.summaries import observe
from gwsurrogate_ml.inference.sampling.kinds import sampler_of
from gwsurrogate_ml.inference.sampling.mixture import Mixture
from gwsurrogate_ml.inference.sampling.rounds import first_draws, split
from gwsurrogate_ml.inference.sampling.sampler import EventSampler
from gwsurrogate_ml.inference.training.simulator import Simulator
from gwsurrogate_ml.inference.training.sources import band_frequencies

if TYPE_CHECKING:
    import torch

    from gwsurrogate_ml.inference.proposal.density import PosteriorNetwork

QUIETEST = 7.5
"""Measured network signal-to-noise ratio below which an injection is passed over."""
DRAWS = 400
"""Draws of the network per event."""


class LiveEfficiency:
    """Injections from the prior in noise of random PSDs, searched once, weighed as often as asked.

    Parameters
    ----------
    simulator : Simulator
        whose functions and templates make the features
    events : int
    seed : int
    """

    def __init__(self, simulator: Simulator, events: int, seed: int) -> None:
        config, model = simulator.config, simulator.sources.model
        self.prior = simulator.sources.prior
        self._events: list[tuple[EventSampler, torch.Tensor]] = []
        band, frequencies = band_frequencies(config)
        rng = np.random.default_rng([seed, 31])
        while len(self._events) < events:
            likelihood = SegmentLikelihood(draw_injection(config.segment, self.prior, model, rng).segment, model)
            found = search(likelihood, self.prior, simulator.bank.reference, band, seed)
            if found.network_snr < QUIETEST:
                continue
            x = observe(likelihood, found, simulator.functions, simulator.templates, band, frequencies)
            sampler = sampler_of(model)(likelihood, self.prior, found, n_sets=2, n_points=512, seed=seed)
            self._events.append((sampler, x))

    def __call__(self, network: PosteriorNetwork) -> list[float]:
        """Sample efficiency of every event without refinement."""
        out = []
        for sampler, x in self._events:
            proposals = network_proposals(network.distribution(x), 1.0, sampler.found.network_snr)
            counts = split(DRAWS, np.array([4.0] + [1.0] * (len(proposals) - 1)))
            try:
                drawn = first_draws(sampler, proposals, counts, seed=5)
            except DomainError:  # what the network draws fits the data nowhere
                out.append(0.0)
            else:
                out.append(Mixture(proposals, counts, drawn).tune(self.prior)[1])
        return out
