"""Results with another prior, another waveform model or more draws, by importance weights; never silently out of range.

Each function returns a new `Result` whose `sample_efficiency`, `pareto_k` and evidence tell what is left: with w the
ratio of new to old posterior density of a draw, the evidence is multiplied by the mean of w, and (sum w)^2 / sum w^2
draws count; `pareto_k` is the largest of all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import qmc

from gwsurrogate_ml.binaries import ALIGNED, space_of
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.prior.constraints import allowed, constraints, log_density, points
from gwsurrogate_ml.inference.prior.from_bilby import densities, read_priors, require_densities, require_within
from gwsurrogate_ml.inference.prior.record import written
from gwsurrogate_ml.inference.result.draws import (
    BY_SET,
    chosen_draws,
    derived,
    model_of,
    parameters_of,
    prior_of,
    require_same_data,
)
from gwsurrogate_ml.inference.result.glitches import under_weights
from gwsurrogate_ml.inference.result.residual import arrival, examine_signal
from gwsurrogate_ml.inference.weights import resample, summarise
from gwsurrogate_ml.waveform.model import WaveformModel

if TYPE_CHECKING:
    from bilby.core.prior import PriorDict

    from gwsurrogate_ml.inference.result.result import Result
    from gwsurrogate_ml.strain.segment import AnalysisSegment

Progress = Callable[[str, int, int], None]
QUANTILES = (np.arange(1000) + 0.5) / 1000
"""Of a new prior, at which the old one must not vanish."""
TEMPLATES = 32
"""Waveforms that what another model leaves of the data is searched with for a second signal."""


def check_prior(new: PriorDict, old: PriorDict) -> None:
    """Raise unless `new` is a density of each parameter of `old` by itself that lies inside `old`; both may have Constraints.

    Raises
    ------
    ConfigError
        naming parameters that are missing or unknown, or whose prior is no density of that parameter alone
    DomainError
        naming a parameter that is fixed, or whose range is wider than the analysis drew from
    """
    before = densities(old)
    require_densities(densities(new), names=tuple(before))
    within = {name: new[name] for name in before}
    require_within(within, before, "narrow it, or analyse with a wider estimator")
    for name, prior in within.items():
        inside = np.asarray(prior.rescale(QUANTILES))
        if np.any(nothing := np.isneginf(before[name].ln_prob(inside))):
            raise DomainError(
                f"the prior that the draws come from is zero at {name} {inside[nothing][0]:g}, this one is not: nothing is known "
                "there; give one that is zero wherever that is, or analyse anew"
            )
    if (beside := constraints(old, before)) and not constraints_kept(new, within, beside):
        raise DomainError(
            f"the prior reaches beyond the Constraints on {', '.join(beside)} of the one the draws come from: nothing is known "
            "there; give the same Constraints"
        )


def constraints_kept(new: PriorDict, within: Mapping[str, Any], beside: PriorDict) -> bool:
    """Whether all that `new` allows fulfils the Constraints `beside`."""
    drawn = points(within, within)
    return bool(np.all(allowed(beside, drawn) | ~allowed(constraints(new, within), drawn)))


def with_prior(result: Result, prior: Mapping[str, Any] | str | Path, seed: int = 0) -> Result:
    """The posterior under another prior of the same parameters: exact, as both densities are known.

    Parameters
    ----------
    result : Result
    prior : bilby PriorDict, mapping of parameter to bilby Prior, or path of a prior file
        densities of all parameters, nowhere wider than the result's, and Constraints on the masses that follow from them;
        `geocent_time` may be left out, and is the result's then
    seed : int

    Returns
    -------
    Result
        `weighted` holds the old posterior's draws with their weights

    Raises
    ------
    ConfigError, DomainError
        see `check_prior`
    """
    new = read_priors(prior)
    old = prior_of(result)
    if "geocent_time" in old:
        new.setdefault("geocent_time", old["geocent_time"])
    check_prior(new, old)
    names = parameters_of(result.posterior)
    table = {name: result.posterior[name].to_numpy() for name in names}
    log_ratio = log_density(new, table) - log_density(old, table)
    # A constant range is rounded at its ends: draws there belong to the old prior for certain.
    log_ratio = np.where(np.isnan(log_ratio), -np.inf, log_ratio)
    return reweighted(result, result.posterior, log_ratio, {"bilby_prior": written(new), "reweighted": "prior"}, seed)


def reweighted(result: Result, draws: pd.DataFrame, log_ratio: np.ndarray, meta: Mapping[str, Any], seed: int) -> Result:
    """Result of equally weighted `draws` of `result` that get the weights exp(log_ratio); its Pareto-k is the larger of both."""
    if not np.any(np.isfinite(log_ratio)):
        raise DomainError("no draw of the result lies inside the new prior: the data and this prior exclude each other")
    summary = summarise(log_ratio)
    size = max(int(summary.effective), 1)
    index = resample(log_ratio, size, np.random.default_rng(seed))
    weighted = draws[[*space_of(draws).names, "log_likelihood_ratio"]].reset_index(drop=True)
    weighted["log_weight"] = log_ratio
    weighted["extrinsic_ess"] = result.extrinsic_ess
    if "glitch" in result.meta:
        meta = {"glitch": under_weights(result, log_ratio, summary.log_evidence)} | dict(meta)
    return replace(
        result,
        posterior=draws.iloc[index].reset_index(drop=True),
        weighted=weighted,
        n_draws=len(draws),
        sample_efficiency=summary.efficiency,
        pareto_k=max(summary.pareto_k, result.pareto_k),  # weights do not become good by later ones
        log_evidence=result.log_evidence + summary.log_evidence,
        log_evidence_error=float(np.hypot(result.log_evidence_error, summary.log_evidence_error)),
        meta={key: value for key, value in result.meta.items() if key not in BY_SET} | dict(meta),
    )


def with_waveform(
    result: Result,
    segment: AnalysisSegment,
    waveform: str | WaveformModel | Any,
    *,
    n: int = 2000,
    seed: int = 0,
    progress: Progress | None = None,
    model: WaveformModel | None = None,
) -> Result:
    """The posterior under another waveform model, from the likelihood of every draw recomputed.

    Models disagree about where a waveform's phase and time are zero. Each draw's phase and time are therefore first
    shifted so that the new waveform overlaps best with the old one; the shift depends on the binary alone, hence has unit
    Jacobian, and the result is exact wherever it leaves the prior on time.

    Parameters
    ----------
    result : Result
    segment : AnalysisSegment
        the data of the result
    waveform : str, WaveformModel or bilby WaveformGenerator
        a LALSimulation approximant by name, "lal:" before it or not, with all its modes; a surrogate, with all its modes (fast
        with (2, 2) alone); or
        a generator of plus and cross polarizations of bilby's parameters, on the segment's frequencies
    n : int
        draws used at most: a LAL model takes 5 to 50 ms each
    seed : int
    progress : callable, optional, ``progress(stage, done, total)``
    model : WaveformModel, optional
        of the analysis; see `draws.model_of`

    Returns
    -------
    Result
        `sample_efficiency` times `n_draws` is the effective sample size; below about 100 the models differ too much
        for this method: analyse anew

    Raises
    ------
    ConfigError
        if the segment is another one, the approximant is unknown, the result is under another waveform already or a prior on
        phase that is not uniform, or calibration errors or a glitch are integrated in it
    """
    require_own_waveform(result)
    if {"nuisances", "glitch"} & result.meta.keys():
        raise ConfigError(
            "calibration or waveform errors, or a glitch, are integrated in this result: analyse anew under the other waveform, "
            "`sample_event(..., surrogate=...)`"
        )
    require_same_data(result, segment)
    draws = chosen_draws(result, n, seed)
    likelihood = SegmentLikelihood(segment, model_of(result, model))
    strain = responses(segment, waveform)
    log_old, log_new, power = (np.empty(len(draws)) for _ in range(3))
    names = list(parameters_of(draws))
    shifted = draws[names].copy()
    for i in range(len(draws)):
        row = {name: float(draws[name].iloc[i]) for name in names}
        table = {name: np.array([value]) for name, value in row.items()}
        log_old[i] = likelihood.log_likelihood_ratio(table)[0]
        reference = likelihood.signals(table | {"phase": np.zeros(1)})[0]
        phase, time = offset(likelihood, reference, strain(row | {"phase": 0.0}))
        row |= {"phase": (row["phase"] + phase) % (2 * np.pi), "geocent_time": row["geocent_time"] + time}
        shifted.loc[i, ["phase", "geocent_time"]] = row["phase"], row["geocent_time"]
        signal = strain(row)
        power[i] = np.sum(likelihood.weight * np.abs(signal) ** 2)
        log_new[i] = np.sum(likelihood.weight * np.real(np.conj(signal) * likelihood.strain)) - 0.5 * power[i]
        if progress:
            progress("waveforms", i + 1, len(draws))
    name = waveform if isinstance(waveform, str) else getattr(waveform, "name", type(waveform).__name__)
    meta = {"reweighted": "waveform", "waveform": str(name), "reference_frequency": _reference_frequency(segment, waveform)}
    if isinstance(waveform, WaveformModel):
        meta["waveform_model"] = waveform.identity
    elif isinstance(waveform, str):
        meta["waveform_model"] = {"name": f"lal:{waveform.removeprefix('lal:')}"}
    return under_waveform(result, likelihood, strain, draws, shifted, log_new - log_old, log_new, power, meta, seed + 1)


def require_own_waveform(result: Result) -> None:
    """Raise ConfigError unless the draws are of the model that the analysis was made with, which weights are relative to, and
    under a prior that is uniform in the orbital phase, which another model counts from elsewhere."""
    if "waveform" in result.meta:
        raise ConfigError(f"the result is already under {result.meta['waveform']!r}: pass the one of the analysis itself")
    phase = prior_of(result)["phase"]
    turn = np.linspace(0.0, 2 * np.pi, 101)[1:-1]
    if not np.allclose(phase.ln_prob(turn), -np.log(2 * np.pi), rtol=0, atol=1e-6):
        raise ConfigError(
            f"the prior on phase is a {type(phase).__name__} from {phase.minimum:g} to {phase.maximum:g}: waveform models count it "
            "from different instants, and re-weighting takes it as uniform over 2 pi; re-weigh a result under that prior, and give "
            "yours afterwards: with_prior"
        )


def under_waveform(
    result: Result,
    likelihood: SegmentLikelihood,
    strain: Callable[[Mapping[str, float]], np.ndarray],
    draws: pd.DataFrame,
    shifted: pd.DataFrame,
    log_ratio: np.ndarray,
    log_new: np.ndarray,
    power: np.ndarray,
    meta: Mapping[str, Any],
    seed: int,
) -> Result:
    """Result of `draws` under another model, at the phases and times `shifted`: log likelihood ratios to noise `log_new`, <h|h>
    `power`, and `log_ratio` of new to old likelihood, to which the prior on time is added. Its residual is examined anew, by
    the new model's `strain` (n_det, n_f) of parameters; `likelihood` is the old one of the data."""
    priors = prior_of(result)
    prior = priors["geocent_time"]
    log_ratio = log_ratio + np.asarray(prior.ln_prob(shifted["geocent_time"].to_numpy()))
    log_ratio -= np.asarray(prior.ln_prob(draws["geocent_time"].to_numpy()))
    columns = {name: shifted[name].to_numpy() for name in shifted}
    new = draws.assign(
        **columns,
        **derived(columns),
        network_snr=np.sqrt(power),
        log_likelihood=log_new + result.log_noise_evidence,
        log_likelihood_ratio=log_new,
    )
    done = reweighted(result, new, log_ratio, meta, seed)
    best = done.posterior.iloc[int(np.argmax(done.posterior["log_likelihood"]))]
    row = {name: float(best[name]) for name in columns}
    quantiles = qmc.Sobol(len(likelihood.space.names), seed=np.random.default_rng(0)).random(TEMPLATES).T
    theta = np.stack([priors[name].rescale(u) for name, u in zip(likelihood.space.names, quantiles, strict=True)], axis=1)
    checks = examine_signal(likelihood, strain(row), arrival(likelihood, row), likelihood.waveforms(theta))
    return replace(done, meta=done.meta | {"checks": checks})


def responses(segment: AnalysisSegment, waveform: Any) -> Callable[[Mapping[str, float]], np.ndarray]:
    """Function from the eleven parameters to the strain (n_det, n_f) in each detector."""
    if isinstance(waveform, WaveformModel):
        likelihood = SegmentLikelihood(segment, waveform)
        return lambda row: likelihood.signals({name: np.array([value]) for name, value in row.items()})[0]
    interferometers = segment.to_bilby()
    strain = (_lal(segment, waveform.removeprefix("lal:")) if isinstance(waveform, str) else waveform).frequency_domain_strain

    def response(row: Mapping[str, float]) -> np.ndarray:
        polarizations = strain(dict(row))
        return np.stack([i.get_detector_response(polarizations, dict(row)) for i in interferometers])

    return response


def _reference_frequency(segment: AnalysisSegment, waveform: Any) -> float:
    """Hz, at which spins are those of the draws."""
    if isinstance(waveform, WaveformModel):
        return segment.f_min
    if isinstance(waveform, str):
        return segment.f_min
    return float((getattr(waveform, "waveform_arguments", None) or {}).get("reference_frequency", segment.f_min))


def _lal(segment: AnalysisSegment, approximant: str) -> Any:
    """bilby's generator of a model of LALSimulation on the segment's frequencies."""
    import bilby

    from gwsurrogate_ml.waveform.lal import require_approximant

    require_approximant(approximant)
    return bilby.gw.WaveformGenerator(
        duration=segment.duration,
        sampling_frequency=segment.sampling_frequency,
        start_time=segment.start_time,
        frequency_domain_source_model=bilby.gw.source.lal_binary_black_hole,
        parameter_conversion=bilby.gw.conversion.convert_to_lal_binary_black_hole_parameters,
        waveform_arguments={
            "minimum_frequency": segment.f_min,
            "waveform_approximant": approximant,
            "reference_frequency": _reference_frequency(segment, approximant),
        },
    )


def offset(likelihood: Any, old: np.ndarray, new: np.ndarray) -> tuple[float, float]:
    """Shift of orbital phase (rad) and of time (s) that brings the signals `new` (n_det, n_f) nearest to `old`."""
    n_f = old.shape[1]
    product = np.sum(likelihood.weight * old * np.conj(new), axis=0)
    # A coarse search on the inverse transform's grid, then a parabola through the maximum.
    overlap = np.fft.ifft(product, 2 * (n_f - 1) * 4)
    k = int(np.argmax(np.abs(overlap)))
    step = likelihood.segment.duration / overlap.size
    at = np.array([k - 1, k, k + 1]) % overlap.size
    a, b, c = np.abs(overlap[at])
    fraction = 0.5 * (a - c) / (a - 2 * b + c) if a - 2 * b + c < 0 else 0.0
    time = (k + fraction - (overlap.size if k > overlap.size // 2 else 0)) * step
    total = np.sum(product * np.exp(2j * np.pi * likelihood.frequencies * time))
    # A later arrival by `time` multiplies by exp(-2 pi i f t); the (2, 2) mode turns with twice the phase.
    return float(np.angle(total)) / 2, float(time)


def with_remnant(result: Result, remnant: Any = None) -> Result:
    """The same with columns `final_mass` (detector frame) and `final_mass_source` in solar masses, and `final_spin`.

    Parameters
    ----------
    result : Result
    remnant : Remnant, optional
        `load_remnant()` where left out
    """
    from gwsurrogate_ml.surrogate.remnant.model import load_remnant

    model = load_remnant() if remnant is None else remnant
    p = result.posterior
    space, q = space_of(p), 1 / p["mass_ratio"].to_numpy()
    if space == ALIGNED:
        state = model(q=q, chi1=p["chi_1"].to_numpy(), chi2=p["chi_2"].to_numpy())
    else:
        binaries = space.binaries(space.theta(p))
        state = model(q=q, chi1=binaries.spin_1, chi2=binaries.spin_2)
    final = state.mass * p["total_mass"].to_numpy()
    columns = {
        "final_mass": final,
        "final_mass_source": final / (1 + p["redshift"].to_numpy()),
        # The sign: a spin against the orbit counts as negative, as chi_eff does.
        "final_spin": state.spin_z if space == ALIGNED else state.spin,
    }
    return replace(result, posterior=p.assign(**columns))
