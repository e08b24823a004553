"""Any event: data in, a posterior out, by whatever `choice` finds to suit it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gwsurrogate_ml.errors import CutOffError
from gwsurrogate_ml.inference.analysis.arrival import REACH, centred
from gwsurrogate_ml.inference.analysis.choice import Choice, Wanted, choose, from_scratch
from gwsurrogate_ml.inference.analysis.comoving import in_comoving_source_frame
from gwsurrogate_ml.inference.analysis.estimator import load_estimator
from gwsurrogate_ml.inference.analysis.from_scratch import require_event, sample_event
from gwsurrogate_ml.inference.nuisances.glitch_prior import requested_glitches
from gwsurrogate_ml.inference.prior.binary import of_file, time_of
from gwsurrogate_ml.inference.sampling.rounds import SamplingOptions
from gwsurrogate_ml.strain.data import StrainData
from gwsurrogate_ml.surrogate.load import load_model

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.prior.composition import Prior
    from gwsurrogate_ml.inference.result.result import Result
    from gwsurrogate_ml.strain.segment import AnalysisSegment
    from gwsurrogate_ml.waveform.model import WaveformModel

WIDENINGS, COMOVING = 4, 7
"""How often a prior is widened, and what is added to the seed for the weights of the prior on distance."""


@dataclass(frozen=True)
class Analysis:
    """A posterior and what it was made of.

    Attributes
    ----------
    data : StrainData
        around where the event was found
    segment : AnalysisSegment
    result : Result
        whose meta data hold the choice
    model : WaveformModel
    choice : Choice
    """

    data: StrainData
    segment: AnalysisSegment
    result: Result
    model: WaveformModel
    choice: Choice


def analyze(
    data: StrainData,
    wanted: Wanted = Wanted(),  # noqa: B008 (frozen)
    *,
    n: int = 50_000,
    seed: int = 0,
    told: Callable[[str], None] = lambda reason: None,
    **options: Any,
) -> Analysis:
    """The posterior of the event in `data`, by an estimator or from scratch, as suits it.

    Where an estimator's prior cuts the posterior off, it goes on from scratch; where a prior derived from the data does, with a
    wider one.

    Parameters
    ----------
    data : StrainData
        of any detectors, one alone included, sampled at any rate
    wanted : Wanted, optional
    n, seed, **options : as for `Estimator.sample`
    told : callable, optional, ``told(reason)``
        gets each sentence of the choice when it is made

    Returns
    -------
    Analysis

    Raises
    ------
    DomainError, DataError, ConfigError
        see `choice.choose`, `Estimator.sample`, `sample_event`

    Examples
    --------
    >>> analysis = analyze(StrainData.from_files({"L1": "L.hdf5"}, gps=1240215503.0))   # doctest: +SKIP
    >>> analysis.choice.reasons[-1]                                                     # doctest: +SKIP
    'waveforms of nr22, 4 s, 20 to 1024 Hz'
    """
    if (time := time_of(wanted.prior, data.gps, REACH)) is not None:
        # As bilby has it: the prior on arrival time is the file's, wherever the event is.
        data = replace(data, gps=time)
        options["options"] = replace(options.get("options") or SamplingOptions(), centre_time=False)
    glitch = options.get("glitch")
    choice = choose(data, wanted, tuple(requested_glitches(glitch, data.detectors)) if glitch else ())
    said = 0
    for attempt in range(WIDENINGS + 1):
        for reason in choice.reasons[said:]:
            told(reason)
        said = len(choice.reasons)
        try:
            return _analyzed(data, wanted, choice, {"n": n, "seed": seed} | options)
        except CutOffError as error:
            if {"chirp_mass", "file"} & wanted.prior.keys() or wanted.estimator or attempt == WIDENINGS:
                raise
            if choice.estimator:
                reasons = (*choice.reasons, f"from scratch after all: {choice.estimator}'s prior cuts the posterior off")
                choice = from_scratch(data, wanted, choice.found, reasons)
            else:
                choice = choice.widened(data, wanted, error.bound)
    raise AssertionError("not reached")


def _analyzed(data: StrainData, wanted: Wanted, choice: Choice, options: dict[str, Any]) -> Analysis:
    sampling = options.get("options") or SamplingOptions()
    # Here, before the segment is cut; a glitch may be louder than the signal: then the time is taken as given.
    centre = sampling.centre_time and not options.get("glitch")
    options = {**options, "options": replace(sampling, centre_time=False)}
    cut = {"duration": choice.duration, "f_min": choice.f_min, "f_max": choice.f_max, "psd": wanted.psd, "extend": True}
    if choice.estimator:
        estimator = load_estimator(choice.estimator)
        model = estimator.model
        ordered = [*estimator.config.segment.detectors, *data.series]
        data = replace(data, series={name: data.series[name] for name in ordered if name in data.series})
        data, segment = _segment(data, cut, model, estimator.prior, options["seed"], estimator.require_segment, centre)
        result = estimator.sample(segment, **options)
    else:
        model = load_model(choice.surrogate)
        prior = of_file(choice.prior, model)
        require = partial(require_event, prior=prior, model=model)
        data, segment = _segment(data, cut, model, prior, options["seed"], require, centre)
        result = sample_event(segment, prior, model=model, **options)
        if choice.comoving:
            result = in_comoving_source_frame(result, options["seed"] + COMOVING)
    result.meta["choice"] = choice.record()
    return Analysis(data, segment, result, model, choice)


def _segment(
    data: StrainData,
    cut: dict[str, Any],
    model: WaveformModel,
    prior: Prior,
    seed: int,
    require: Callable[[AnalysisSegment], None],
    centre: bool,
) -> tuple[StrainData, AnalysisSegment]:
    """The data about where the event is, and their segment."""
    if centre:
        data, segment = centred(data, cut, model, prior, seed, require)
    else:
        segment = data.segment(**cut)
        require(segment)
    return data, segment
