"""Calibration: signals drawn from the prior, in noise of varying PSD, analysed like an event, and where the truth
falls in the posterior.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from gwsurrogate_ml.conventions import EXTRINSIC
from gwsurrogate_ml.errors import DomainWarning, GwsmlError
from gwsurrogate_ml.inference.analysis.conclude import NO_SIGNAL
from gwsurrogate_ml.inference.analysis.estimator import Estimator
from gwsurrogate_ml.inference.likelihood.injections import GPS, draw_injection
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import Trigger
from gwsurrogate_ml.inference.proposal.flows import FlowProposal
from gwsurrogate_ml.inference.sampling.rounds import SamplingOptions

N_KEPT = 100
"""Draws of each event that are kept for the tests in several dimensions."""


class _Listening(Estimator):
    """The same estimator, keeping the features of the event it analysed last."""

    seen: Any = None

    @classmethod
    def to(cls, estimator: Estimator) -> _Listening:
        listening = cls.__new__(cls)
        listening.__dict__.update(estimator.__dict__, _model=estimator.model)
        return listening

    def observe(self, likelihood: SegmentLikelihood, found: Trigger) -> Any:
        self.seen = super().observe(likelihood, found)
        return self.seen


QUICK = SamplingOptions(
    on_edge="warn",
    n_sets=4,
    n_points=1024,
    pilot=800,
    refine_below=0.1,
    max_rounds=1,
    max_posterior=2000,
    centre_time=False,
)
"""Sampling of many simulated events: less polish than for one real event, as exact."""
THOROUGH = SamplingOptions(on_edge="warn", max_posterior=2000, centre_time=False)
"""Sampling as for one real event, with refinement wherever it pays."""


def analyse_injection(
    estimator: Estimator, event: int, seed: int, n_draws: int = 4000, options: SamplingOptions = QUICK
) -> dict[str, Any]:
    """One simulated event, drawn and analysed: a record of plain numbers.

    Parameters
    ----------
    estimator : Estimator
    event, seed : int
        together they fix the event; the record is the same whichever run makes it
    n_draws : int
    options : SamplingOptions

    Returns
    -------
    dict with `event`, `snr` (optimal) and `truth`, and either `skipped` (no signal), `failed` (the error) or
    `measured_snr`, `efficiency`, `network_efficiency` (of the network alone), `pareto_k`, `extrinsic_ess`, `seconds`,
    `rank` and `raw_rank`: for every parameter the posterior's, and the network's, probability below the true value,
    uniform if all is right; `draws` and `raw_draws`: `N_KEPT` equally weighted draws of all parameters, and of the
    network in normal scores, with `raw_truth`; `features`, the network's input
    """
    rng = np.random.default_rng([seed, event])
    injection = draw_injection(estimator.config.segment, estimator.prior, estimator.model, rng)
    record: dict[str, Any] = {"event": event, "snr": injection.snr, "truth": injection.parameters}
    listening = _Listening.to(estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DomainWarning)
        try:
            result = listening.sample(injection.segment, n=n_draws, seed=event, options=options)
        except GwsmlError as error:
            # No signal, or a fault, which the card counts; the other events go on.
            return record | {"skipped" if str(error).startswith(NO_SIGNAL) else "failed": str(error)}
    truth = injection.parameters
    weights = np.exp(result.log_weights - result.log_weights.max())
    own = estimator.model.space.names
    rank = {name: float(np.sum(weights[result.weighted[name] < truth[name]]) / np.sum(weights)) for name in own} | {
        name: float(np.mean(result.posterior[name] < truth[name])) for name in EXTRINSIC
    }
    raw = FlowProposal(estimator.network.distribution(listening.seen)).draw(n_draws, event)
    proposed = estimator.proposed
    raw_theta = proposed.from_normal(raw)
    raw_truth = proposed.to_normal(np.array([[truth[name] for name in proposed.names]]))[0]
    kept = rng.choice(len(result.posterior), N_KEPT)
    rounds = result.meta["rounds"]
    return record | {
        "measured_snr": float(np.linalg.norm(list(result.meta["search"]["snr"].values()))),
        "efficiency": result.sample_efficiency,
        # As the pilot foretells it: the final draws are refined, or thinned.
        "network_efficiency": rounds[0]["efficiency"],
        "pareto_k": result.pareto_k,
        "extrinsic_ess": result.extrinsic_ess,
        "log_bayes_factor": result.log_bayes_factor,
        "seconds": result.seconds,
        "rank": rank,
        "raw_rank": {name: float(np.mean(raw_theta[:, i] < truth[name])) for i, name in enumerate(proposed.names)},
        "draws": {name: _short(result.posterior[name].to_numpy()[kept] - _origin(name)) for name in rank},
        "raw_draws": _short(raw[:N_KEPT]),
        "raw_truth": _short(raw_truth),
        "features": _short(listening.seen.detach().numpy()),
    }


def _origin(name: str) -> float:
    """GPS times are kept from `GPS`: six digits would not hold them."""
    return GPS if name == "geocent_time" else 0.0


def _short(values: np.ndarray) -> list[Any]:
    """Six significant digits are plenty for ranks and distances, and a fifth of the file."""
    return [float(f"{v:.6g}") for v in values] if values.ndim == 1 else [_short(row) for row in values]
