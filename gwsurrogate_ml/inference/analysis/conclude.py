"""What every analysis of an event has in common, with a trained network or without: is there a signal, and the result."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import DataError, DomainError
from gwsurrogate_ml.inference.result.draws import derived, parameters_of
from gwsurrogate_ml.inference.result.result import Result
from gwsurrogate_ml.inference.sampling.rounds import SamplingOptions, check_edges
from gwsurrogate_ml.inference.sampling.sampler import Evaluated, EventSampler
from gwsurrogate_ml.inference.weights import summarise
from gwsurrogate_ml.kernels.threads import one_blas_thread
from gwsurrogate_ml.strain.amplitude import NOISIEST, QUIETEST, amplitudes

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
    from gwsurrogate_ml.inference.likelihood.trigger import Trigger
    from gwsurrogate_ml.inference.prior.composition import Prior
    from gwsurrogate_ml.strain.segment import AnalysisSegment

NO_SIGNAL = "no signal"
"""How the error begins where there is none."""
QUIET = 7.0
"""Network signal-to-noise ratio below which noise alone often reaches the loudest template: no signal."""

WEAKEST, STRONGEST = 1e-26, 1e-17
"""Amplitude spectral densities (1/sqrt(Hz)) about 100 Hz beyond which data are no strain: wrong units, or whitened."""


def require_signal(found: Trigger, prior: Prior) -> None:
    """Raise DomainError if the loudest template is no louder than noise often is."""
    if found.network_snr < QUIET:
        low, high = prior.bounds()["chirp_mass"]
        raise DomainError(
            f"{NO_SIGNAL} with a detector-frame chirp mass of {low:g} to {high:g} solar masses: the "
            f"loudest template near the given time reaches a network signal-to-noise ratio of {found.network_snr:.1f}, noise alone "
            f"often reaches {QUIET:g}; check the GPS time, and for lighter or heavier binaries "
            "give another prior (`sample_event`, gwsml analyze --from-scratch)"
        )


def require_strain(segment: AnalysisSegment) -> None:
    """Raise DataError unless noise and data about 100 Hz are as strong as a detector's strain can be."""
    for name, (noise, data) in amplitudes(segment).items():
        if not WEAKEST <= noise <= STRONGEST or data > STRONGEST:
            raise DataError(
                f"{name}: about 100 Hz the noise is {noise:.1e}, the data are {data:.1e} per root Hz; detectors have "
                f"{QUIETEST:g} to {NOISIEST:g}: give dimensionless strain, neither scaled, nor whitened, nor in metres"
            )


def other_ways(given: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    """What to do with data of the detectors `given` where an estimator needs those `wanted`."""
    if set(given) == set(wanted):
        return f"give them in this order, {', '.join(wanted)}"
    for name in artifacts.available():
        card = json.loads((artifacts.SHIPPED / name / "card.json").read_text(encoding="utf-8"))
        if card["kind"] == "estimator" and set(card["config"]["segment"]["detectors"]) == set(given):
            return f"take the estimator {name!r} (--estimator {name}), which was trained for {', '.join(given)}"
    fewer = f"give those of {', '.join(wanted)} alone, or " if set(given) > set(wanted) else ""
    return f"{fewer}analyse them without a trained network (`sample_event`, gwsml analyze --from-scratch)"


N_TEMPLATES = 32
"""Waveforms that the residual is searched with."""


@one_blas_thread()
def conclude(
    sampler: EventSampler,
    draws: Evaluated,
    log_weights: np.ndarray,
    rounds: list[dict[str, Any]],
    options: SamplingOptions,
    seed: int,
    identity: dict[str, Any],
    started: float,
    likelihood: SegmentLikelihood | None = None,
) -> Result:
    """The result of weighted draws: all eleven parameters, diagnostics, and what repeats the run.

    Parameters
    ----------
    sampler : EventSampler
    draws : Evaluated; log_weights : (N,)
    rounds : list of dict, see `rounds.weigh`
    options, seed : as the draws were made with
    identity : dict
        what made the proposal: for the result's meta
    started : float
        `time.perf_counter()` at the start
    likelihood : SegmentLikelihood, optional
        of the data, where the sampler's is a broader one

    Raises
    ------
    DomainError
        if the prior on chirp mass cuts the posterior off, unless the options say otherwise
    """
    from gwsurrogate_ml.inference.result.residual import examine

    summary = summarise(log_weights)
    check_edges(sampler.prior, draws.theta, log_weights, options)
    size = int(min(max(summary.effective, 100), options.max_posterior))
    posterior = sampler.complete(draws, log_weights, size, seed + 4)
    likelihood = sampler.likelihood if likelihood is None else likelihood
    segment, found, noise = likelihood.segment, sampler.found, likelihood.log_noise_evidence
    meta = identity | {
        "flags": [*segment.flags, *sampler.flags, *identity.get("flags", [])],
        **sampler.prior.record(segment.gps),
        "seed": seed,
        "options": asdict(options),
        "rounds": rounds,
        "search": {
            "snr": dict(zip(segment.detectors, map(float, found.snr), strict=True)),
            "time": {name: float(segment.start_time + t) for name, t in zip(segment.detectors, found.times, strict=True)},
            "chirp_mass": float(found.theta[0]),
        },
        "segment": {
            "detectors": list(segment.detectors),
            "gps": segment.gps,
            "start_time": segment.start_time,
            "duration": segment.duration,
            "f_min": segment.f_min,
            "f_max": segment.f_max,
            "roll_off": segment.roll_off,
        },
        "versions": artifacts.package_versions("numpy", "scipy", "torch", "zuko", "bilby"),
    }
    columns = {name: posterior[name] for name in parameters_of(posterior)}
    frame = pd.DataFrame(
        columns
        | derived(columns)
        | {
            "network_snr": posterior["network_snr"],
            "log_likelihood": posterior["log_likelihood"] + noise,
            "log_likelihood_ratio": posterior["log_likelihood"],
        }
    )
    weighted = pd.DataFrame(
        dict(zip(sampler.proposed.names, draws.theta.T, strict=True))
        | {"log_weight": log_weights, "log_likelihood_ratio": draws.log_likelihood, "extrinsic_ess": draws.effective}
    )
    best = frame.iloc[int(np.argmax(posterior["log_likelihood"]))]
    checks = examine(likelihood, {name: float(best[name]) for name in columns}, templates(likelihood, sampler.prior))
    weights = np.exp(log_weights - log_weights.max())
    n_sets = options.n_sets
    by_set = evidence_by_set(draws, log_weights)
    # Thinned proposals are known up to a number that was estimated.
    error = float(np.hypot(summary.log_evidence_error, max((r.get("normalisation_error", 0.0) for r in rounds), default=0.0)))
    scatter = float(np.std(np.exp(by_set - summary.log_evidence), ddof=1) / np.sqrt(n_sets)) if n_sets > 1 else 0.0
    return Result(
        posterior=frame,
        weighted=weighted,
        n_draws=len(log_weights),
        sample_efficiency=summary.efficiency,
        pareto_k=summary.pareto_k,
        log_evidence=summary.log_evidence + noise,
        # Sets that have many points in common use one another's draws: what is left between them is the points' part alone.
        log_evidence_error=float(np.hypot(error, scatter)) if sampler.dear else max(error, scatter),
        log_noise_evidence=noise,
        extrinsic_ess=float(np.sum(weights * draws.effective) / np.sum(weights)),
        seconds=time.perf_counter() - started,
        meta=meta
        | {"checks": checks}
        | {
            # A set none of whose draws counts has none.
            "log_evidence_by_extrinsic_set": [float(x + noise) if np.isfinite(x) else None for x in by_set],
            "log_evidence_set_scatter": scatter,
        },
    )


def evidence_by_set(draws: Evaluated, log_weights: np.ndarray) -> np.ndarray:
    """Log evidence (n_sets,) of draws of log weights (N,) by each set of extrinsic points alone; of draws weighed anew by the
    shares of the integral before."""
    weights = np.exp(log_weights - log_weights.max())
    share = weights / np.bincount(draws.part)[draws.part]
    with np.errstate(divide="ignore"):
        return np.log(share @ draws.of_set) + log_weights.max()


def templates(likelihood: SegmentLikelihood, prior: Prior) -> np.ndarray:
    """Waveforms spread over the prior, (N_TEMPLATES, n_f), to look for a second signal with."""
    from scipy.stats import qmc

    u = qmc.Sobol(len(prior.names), scramble=True, seed=np.random.default_rng(0)).random(N_TEMPLATES)
    return likelihood.waveforms(prior.from_uniform(u))
