"""One event from nothing: no trained network, any prior and segment; the proposal is learned in truncated rounds.

Draws of the prior are weighed with the likelihood raised to a power small enough that some hundreds of them count; a
flow fitted to them gives the next draws, and the power rises until it is one (`rounds.learn`). All rounds enter the
weights as one mixture (population Monte Carlo, Cappe et al. 2004, with a flow as its kernel), so that every step is
exact.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.inference.analysis.arrival import analysed, require_data
from gwsurrogate_ml.inference.analysis.conclude import conclude, require_signal, require_strain, templates
from gwsurrogate_ml.inference.analysis.glitch import require_alone, sample_with_glitch
from gwsurrogate_ml.inference.analysis.nuisances import Integration
from gwsurrogate_ml.inference.analysis.preflight import draws_and_seed, spectrum_flags
from gwsurrogate_ml.inference.analysis.start import MAX_ROUNDS, start
from gwsurrogate_ml.inference.config import SegmentConfig
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import search
from gwsurrogate_ml.inference.nuisances.envelope import Calibration
from gwsurrogate_ml.inference.nuisances.glitch_prior import Glitch
from gwsurrogate_ml.inference.nuisances.prior import requested
from gwsurrogate_ml.inference.prior.binary import as_prior, states_time
from gwsurrogate_ml.inference.prior.composition import Prior
from gwsurrogate_ml.inference.prior.span import require_covered
from gwsurrogate_ml.inference.result.reweight import with_prior
from gwsurrogate_ml.inference.sampling.checkpoint import kept_in
from gwsurrogate_ml.inference.sampling.kinds import sampler_of
from gwsurrogate_ml.inference.sampling.rounds import SamplingOptions, affordable, learn, settled_draws
from gwsurrogate_ml.strain.segment import AnalysisSegment
from gwsurrogate_ml.surrogate.load import load_model

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.result.result import Result
    from gwsurrogate_ml.strain.data import StrainData
    from gwsurrogate_ml.waveform.model import WaveformModel

HOPELESS = 0.01
"""Efficiency below which the rounds have not found the posterior."""


def sample_event(
    data: StrainData | AnalysisSegment,
    prior: Prior | Mapping[str, Any] | str | Path,
    segment: SegmentConfig | None = None,
    *,
    surrogate: str = "nr22",
    model: WaveformModel | None = None,
    n: int = 50_000,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
    options: SamplingOptions | None = None,
    checkpoint: str | Path | None = None,
    calibration: Calibration | None = None,
    waveform_error: str | tuple[float, float] | None = None,
    glitch: Glitch | None = None,
) -> Result:
    """The posterior of an event without a trained estimator: for any prior, band and duration the waveform model covers.

    Parameters
    ----------
    data : StrainData or AnalysisSegment
    prior : Prior, mapping, or path of one of bilby's prior files
        such as a `BinaryPrior`, its ranges by name (of precessing models for spins in any direction), a `ComposedPrior` of your own
        parts, or any densities of bilby's: see `as_prior`. One on `geocent_time` is taken as it is, wherever the event lies
    segment : SegmentConfig, optional
        detectors, duration and band to cut StrainData to; default: all detectors of the data, 4 s, 20 to 1024 Hz, and
        no more than 92 % of the data's Nyquist frequency
    surrogate : str
        a model by its name: a surrogate, also by its folder, or "lal:APPROXIMANT"; precessing ones need a prior over all spins
    model : WaveformModel, optional
        instead of loading `surrogate`; see `load_model`
    n, seed, progress, options, checkpoint, calibration, waveform_error, glitch : as for `Estimator.sample`

    Returns
    -------
    Result
        where a prior of bilby's is none that the analysis proposes from, re-weighted to it from one nowhere narrower

    Raises
    ------
    ConfigError
        impossible settings; a prior of bilby's with a parameter fixed, missing, or dependent on others
    DataError
        data that are not finite, in other units than strain, or of far more noise than their spectrum says
    DomainError
        no signal, a prior beyond the waveform model, a posterior cut off by the prior on chirp mass
    """
    started = time.perf_counter()
    options = options or SamplingOptions()
    n, seed = draws_and_seed(n, seed, options.n_sets)
    require_data(data)
    given = data if isinstance(data, AnalysisSegment) else segment or SegmentConfig()
    asked = requested(data.detectors, (given.f_min, given.f_max), calibration, waveform_error)
    model = load_model(surrogate if model is None else model)
    centre = options.centre_time and not states_time(prior)
    prior = as_prior(prior, getattr(data, "gps", None), model)
    report = progress or (lambda stage, done, total: None)
    if prior.names != model.space.names:
        raise ConfigError(
            f"the prior is over {', '.join(prior.names)}, the waveform model {model.name} depends on "
            f"{', '.join(model.space.names)}: give a prior over these, or another model"
        )
    if glitch is not None:
        require_alone(asked)
        cut = _segment(data, segment, model, prior, seed, False)
        sample = partial(_sample, prior=prior, model=model)
        return sample_with_glitch(sample, cut, model, prior, glitch, n, seed, progress, options, checkpoint)
    cut = _segment(data, segment, model, prior, seed, centre)
    likelihood = SegmentLikelihood(cut, model)
    band = np.flatnonzero(likelihood.frequencies >= cut.f_min)
    reference = likelihood.waveforms(prior.reference())[0, band]
    found = search(likelihood, prior, reference, band, seed, lambda done, total: report("search", done, total))
    flags = spectrum_flags(likelihood, found)
    require_signal(found, prior)
    errors = Integration.of(asked, likelihood, found)
    sampler = sampler_of(model)(
        errors.drawn_from, prior, errors.found, n_sets=options.n_sets, n_points=options.n_points, seed=seed, progress=report
    )
    origin = {"estimator": "none: rounds on this event", "surrogate": model.identity, "flags": flags}
    fixed: dict[str, Any] = {
        "identity": origin,
        "prior": prior.record(cut.gps),
        "options": options,
        "n": n,
        "seed": seed,
    }
    fixed |= errors.identity
    steps = kept_in(checkpoint, segment=cut, probe=found.waveform, **fixed)
    pool = start(sampler, seed, options, steps)
    later = affordable(options, sampler)
    shares, rounds = learn(sampler, pool, 0.0, seed, later, most=MAX_ROUNDS, steps=steps)
    if rounds[-1]["efficiency"] < HOPELESS:
        raise DomainError(
            f"the rounds on this event led to no proposal (efficiency {rounds[-1]['efficiency']:.1e}): narrow the prior "
            f"around the chirp mass of the loudest template, {found.theta[0]:.1f} solar masses, or look for glitches"
        )
    draws, log_weights, rounds = settled_draws(sampler, pool, shares, rounds, n, seed, later, steps)
    result = conclude(sampler, draws, log_weights, rounds, options, seed, origin, started - steps.spent, likelihood)
    return _as_meant(errors.applied(result, lambda: templates(likelihood, prior), seed, steps, report, started), prior, seed)


def _as_meant(result: Result, prior: Prior, seed: int) -> Result:
    """The result under the prior's target, where it has one; `drawn_from` in its meta data says what the draws came from."""
    if prior.target is None:
        return result
    drawn_from = {name: getattr(result, name) for name in ("n_draws", "sample_efficiency", "pareto_k")}
    done = with_prior(result, prior.target, seed + 6)
    return replace(done, meta=done.meta | {"drawn_from": drawn_from})


def _sample(
    segment: AnalysisSegment, n: int, seed: int, progress: Any, options: SamplingOptions, checkpoint: Any, prior: Prior, model: Any
) -> Result:
    return sample_event(segment, prior, model=model, n=n, seed=seed, progress=progress, options=options, checkpoint=checkpoint)


def require_event(segment: AnalysisSegment, prior: Prior, model: WaveformModel) -> None:
    """Raise unless `sample_event` can analyse the segment under this prior with this model: ranges, units."""
    require_covered(prior, model, model.name, segment.f_min, segment.duration)
    require_strain(segment)


def _segment(
    data: StrainData | AnalysisSegment,
    wanted: SegmentConfig | None,
    model: WaveformModel,
    prior: Prior,
    seed: int,
    centre: bool,
) -> AnalysisSegment:
    """What is analysed: the data cut as wanted, around where the event is."""
    require_data(data)
    cut: dict[str, Any] = {"extend": True}
    if wanted is not None:
        cut = {"duration": wanted.duration, "f_min": wanted.f_min, "f_max": wanted.f_max}
        if not isinstance(data, AnalysisSegment) and tuple(data.detectors) != tuple(wanted.detectors):
            raise DomainError(
                f"the data are of {', '.join(data.detectors)}, the settings ask for {', '.join(wanted.detectors)}: pass those "
                "detectors alone, in this order"
            )
    return analysed(data, cut, model, prior, seed, partial(require_event, prior=prior, model=model), centre)
