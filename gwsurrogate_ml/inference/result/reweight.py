"""Results with another prior, another waveform model or more draws, by importance weights; never silently out of range.

Each function returns a new `Result` whose `sample_efficiency`, `pareto_k` and evidence tell what is left: with w the
ratio of new to old posterior density of a draw, the evidence is multiplied by the mean of w, and (sum w)^2 / sum w^2
draws count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gwsurrogate_ml.conventions import INTRINSIC, PARAMETERS
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.inference.result.result import Result, derived
from gwsurrogate_ml.inference.weights import effective_size, log_sum, resample, summarise
from gwsurrogate_ml.waveform.model import modes_of

if TYPE_CHECKING:
    from bilby.core.prior import Prior, PriorDict

    from gwsurrogate_ml.inference.likelihood.segment import WaveformModel
    from gwsurrogate_ml.strain.segment import AnalysisSegment

Progress = Callable[[str, int, int], None]


def prior_of(result: Result) -> PriorDict:
    """The prior of a result as a bilby PriorDict.

    Raises
    ------
    ConfigError
        if the result does not say
    """
    from bilby.core.prior import PriorDict

    from gwsurrogate_ml.inference.prior.binary import BinaryPrior

    if "bilby_prior" in result.meta:
        return PriorDict(dict(result.meta["bilby_prior"]))
    if "prior" not in result.meta or "segment" not in result.meta:
        raise ConfigError("the result does not say under which prior it was made: it cannot be re-weighted")
    return BinaryPrior.model_validate(result.meta["prior"]).to_bilby(result.meta["segment"]["gps"])


def check_prior(new: PriorDict, old: PriorDict) -> None:
    """Raise unless `new` is a density of each of the eleven parameters by itself that lies inside `old`.

    Raises
    ------
    ConfigError
        naming parameters that are missing or unknown, or whose prior is no density of that parameter alone
    DomainError
        naming a parameter that is fixed, or whose range is wider than the analysis drew from
    """
    missing, unknown = [n for n in PARAMETERS if n not in new], sorted(set(new) - set(PARAMETERS))
    if missing or unknown:
        said = [f"has no {missing[0]}"] if missing else []
        said += [f"has {unknown[0]}, which is no parameter of the result"] if unknown else []
        raise ConfigError(f"the prior {' and '.join(said)}: give one for each of {', '.join(PARAMETERS)}")
    for name in PARAMETERS:
        _require_density(name, new[name])
        low, high = float(old[name].minimum), float(old[name].maximum)
        slack = 1e-9 * max(abs(low), abs(high), 1.0)
        wanted = float(new[name].minimum), float(new[name].maximum)
        if wanted[0] < low - slack or wanted[1] > high + slack:
            raise DomainError(
                f"the prior on {name} ({wanted[0]:g} to {wanted[1]:g}) is wider than the one the draws come from "
                f"({low:g} to {high:g}): nothing is known outside; narrow it, or analyse with a wider estimator"
            )


def _require_density(name: str, prior: Prior) -> None:
    """Raise unless `prior` has a density that a draw can be weighed by, without the other parameters, and can be kept."""
    from bilby.core.prior import Constraint, DeltaFunction, JointPrior, PriorDict

    kind = type(prior).__name__
    if isinstance(prior, DeltaFunction):
        raise DomainError(
            f"the prior on {name} is the single value {prior.peak:g}, which no draw has: re-weighting needs a density; give a "
            f"Uniform about {prior.peak:g} that is wide enough to hold some hundred of the draws"
        )
    if isinstance(prior, Constraint):
        raise ConfigError(
            f"the prior on {name} is a Constraint, which has no density of its own: give a Uniform, or another density, over "
            "the same range"
        )
    if isinstance(prior, JointPrior) or hasattr(prior, "condition_func"):
        raise ConfigError(
            f"the prior on {name} is a {kind}, which depends on other parameters: give a density of {name} alone, such as a "
            "PowerLaw or a TruncatedGaussian"
        )
    try:
        PriorDict({name: repr(prior)})
    except (AttributeError, NameError, SyntaxError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the prior on {name} is a {kind} that cannot be written down in the result ({error}): give one with a formula, such "
            "as a PowerLaw or a TruncatedGaussian"
        ) from error


def _as_priors(prior: Mapping[str, Any]) -> PriorDict:
    from bilby.core.prior import PriorDict

    if isinstance(prior, PriorDict):
        return prior
    try:
        return PriorDict(dict(prior))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"the prior cannot be read ({error}): give one of bilby's, such as Uniform(low, high)"
        ) from error


def with_prior(result: Result, prior: Mapping[str, Any], seed: int = 0) -> Result:
    """The posterior under another prior of the same parameters: exact, as both densities are known.

    Parameters
    ----------
    result : Result
    prior : bilby PriorDict, or mapping of parameter to bilby Prior
        for all eleven parameters, nowhere wider than the result's
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
    new = _as_priors(prior)
    old = prior_of(result)
    check_prior(new, old)
    table = {name: result.posterior[name].to_numpy() for name in PARAMETERS}
    log_ratio = np.asarray(new.ln_prob(table, axis=0)) - np.asarray(old.ln_prob(table, axis=0))
    # A constant range is rounded at its ends: draws there belong to the old prior for certain.
    log_ratio = np.where(np.isnan(log_ratio), -np.inf, log_ratio)
    meta = {"bilby_prior": {name: repr(new[name]) for name in PARAMETERS}}
    return reweighted(result, result.posterior, log_ratio, meta | {"reweighted": "prior"}, seed)


def reweighted(
    result: Result, draws: pd.DataFrame, log_ratio: np.ndarray, meta: Mapping[str, Any], seed: int
) -> Result:
    """Result of equally weighted `draws` of `result` that get the weights exp(log_ratio)."""
    if not np.any(np.isfinite(log_ratio)):
        raise DomainError("no draw of the result lies inside the new prior: the data and this prior exclude each other")
    summary = summarise(log_ratio)
    size = max(int(summary.effective), 1)
    index = resample(log_ratio, size, np.random.default_rng(seed))
    weighted = draws[[*INTRINSIC, "log_likelihood_ratio"]].reset_index(drop=True)
    weighted["log_weight"] = log_ratio
    weighted["extrinsic_ess"] = result.extrinsic_ess
    return replace(
        result,
        posterior=draws.iloc[index].reset_index(drop=True),
        weighted=weighted,
        n_draws=len(draws),
        sample_efficiency=summary.efficiency,
        pareto_k=summary.pareto_k,
        log_evidence=result.log_evidence + summary.log_evidence,
        log_evidence_error=float(np.hypot(result.log_evidence_error, summary.log_evidence_error)),
        meta=result.meta | dict(meta),
    )


def with_waveform(
    result: Result,
    segment: AnalysisSegment,
    waveform: str | WaveformModel | Any,
    *,
    n: int = 2000,
    seed: int = 0,
    progress: Progress | None = None,
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
        name of a LALSimulation approximant, with all its modes; a surrogate, with all its modes (fast with (2, 2) alone); or
        a generator of plus and cross polarizations of bilby's parameters, on the segment's frequencies
    n : int
        draws used at most: a LAL model takes 5 to 50 ms each
    seed : int
    progress : callable, optional, ``progress(stage, done, total)``

    Returns
    -------
    Result
        `sample_efficiency` times `n_draws` is the effective sample size; below about 100 the models differ too much
        for this method: analyse anew

    Raises
    ------
    ConfigError
        if the segment is another one, or the approximant is unknown
    """
    from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood

    require_same_data(result, segment)
    draws = chosen_draws(result, n, seed)
    old = model_of(result)
    likelihood = SegmentLikelihood(segment, old)
    responses = _responses(segment, waveform)
    log_old, log_new, power = (np.empty(len(draws)) for _ in range(3))
    shifted = draws[list(PARAMETERS)].copy()
    for i in range(len(draws)):
        row = {name: float(draws[name].iloc[i]) for name in PARAMETERS}
        table = {name: np.array([value]) for name, value in row.items()}
        log_old[i] = likelihood.log_likelihood_ratio(table)[0]
        reference = likelihood.signals(table | {"phase": np.zeros(1)})[0]
        phase, time = offset(likelihood, reference, responses(row | {"phase": 0.0}))
        row |= {"phase": (row["phase"] + phase) % (2 * np.pi), "geocent_time": row["geocent_time"] + time}
        shifted.loc[i, ["phase", "geocent_time"]] = row["phase"], row["geocent_time"]
        signal = responses(row)
        power[i] = np.sum(likelihood.weight * np.abs(signal) ** 2)
        log_new[i] = np.sum(likelihood.weight * np.real(np.conj(signal) * likelihood.strain)) - 0.5 * power[i]
        if progress:
            progress("waveforms", i + 1, len(draws))
    prior = prior_of(result)["geocent_time"]
    log_ratio = log_new - log_old + np.asarray(prior.ln_prob(shifted["geocent_time"].to_numpy()))
    log_ratio -= np.asarray(prior.ln_prob(draws["geocent_time"].to_numpy()))
    columns = {name: shifted[name].to_numpy() for name in PARAMETERS}
    new = draws.assign(
        **columns,
        **derived(columns),
        network_snr=np.sqrt(power),
        log_likelihood=log_new + result.log_noise_evidence,
        log_likelihood_ratio=log_new,
    )
    name = waveform if isinstance(waveform, str) else getattr(waveform, "name", type(waveform).__name__)
    return reweighted(result, new, log_ratio, {"reweighted": "waveform", "waveform": str(name)}, seed + 1)


def require_same_data(result: Result, segment: AnalysisSegment) -> None:
    """Raise `ConfigError` unless `segment` holds the data, band and noise spectra that the result was made from."""
    if not hasattr(segment, "noise_log_likelihood"):
        raise ConfigError(f"the segment is a {type(segment).__name__}: give the AnalysisSegment that was analysed")
    stored = result.meta.get("segment", {})
    if stored and (
        tuple(stored["detectors"]) != tuple(segment.detectors)
        or abs(stored["start_time"] - segment.start_time) > 1e-6
        or abs(stored["f_min"] - segment.f_min) + abs(stored["duration"] - segment.duration) > 1e-9
    ):
        raise ConfigError("the segment is not the one of the result: pass the data that were analysed")
    found = segment.noise_log_likelihood()
    if abs(found - result.log_noise_evidence) > 1e-3 * abs(result.log_noise_evidence):
        raise ConfigError("the data or their noise spectra are not those of the result: pass the segment analysed")


def chosen_draws(result: Result, n: int, seed: int) -> pd.DataFrame:
    """At most `n` equally weighted draws of the result, chosen at random."""
    chosen = np.random.default_rng(seed).permutation(len(result.posterior))[:n]
    return result.posterior.iloc[np.sort(chosen)].reset_index(drop=True)


def model_of(result: Result) -> WaveformModel:
    """The (2,2) waveform model that the result was made with."""
    from gwsurrogate_ml.inference.training.train import load_model

    return load_model(result.meta["surrogate"]["name"])[0]


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


def _responses(segment: AnalysisSegment, waveform: Any) -> Callable[[Mapping[str, float]], np.ndarray]:
    """Function from the eleven parameters to the strain (n_det, n_f) in each detector."""
    ours = callable(getattr(waveform, "frequency_domain", None))
    if ours and modes_of(waveform) == ((2, 2),):
        from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood

        likelihood = SegmentLikelihood(segment, waveform)
        return lambda row: likelihood.signals({name: np.array([row[name]]) for name in PARAMETERS})[0]
    import bilby

    from gwsurrogate_ml.plugins.bilby import source_model
    from gwsurrogate_ml.waveform.lal import require_approximant

    interferometers = segment.to_bilby()
    if ours:
        generator = _generator(segment, source_model(waveform), {})
    elif isinstance(waveform, str):
        require_approximant(waveform)
        settings = {"waveform_approximant": waveform, "reference_frequency": max(segment.f_min, 20.0)}
        generator = _generator(segment, bilby.gw.source.lal_binary_black_hole, settings)
    else:
        generator = waveform

    def response(row: Mapping[str, float]) -> np.ndarray:
        polarizations = generator.frequency_domain_strain(dict(row))
        return np.stack([i.get_detector_response(polarizations, dict(row)) for i in interferometers])

    return response


def _generator(segment: AnalysisSegment, source: Callable[..., Any], settings: Mapping[str, Any]) -> Any:
    """bilby's generator of a source model on the segment's frequencies."""
    import bilby

    return bilby.gw.WaveformGenerator(
        duration=segment.duration,
        sampling_frequency=segment.sampling_frequency,
        start_time=segment.start_time,
        frequency_domain_source_model=source,
        parameter_conversion=bilby.gw.conversion.convert_to_lal_binary_black_hole_parameters,
        waveform_arguments={"minimum_frequency": segment.f_min, **settings},
    )


def combine(results: Sequence[Result], seed: int = 0) -> Result:
    """One result of several of the same data, prior and waveform, such as runs with different seeds.

    Weights of all draws are pooled: each run counts by its number of draws and its evidence, and the error of the pooled
    evidence is that of all draws together.

    Raises
    ------
    ConfigError
        if there are none, or data, prior or waveform differ
    """
    results = list(results)
    if not results:
        raise ConfigError("nothing to combine: give at least one result")
    if foreign := [type(result).__name__ for result in results if not isinstance(result, Result)]:
        raise ConfigError(f"a {foreign[0]} cannot be combined: give each Result, Result.load reads one from a file")
    first = results[0]
    for other in results[1:]:
        for key in ("prior", "bilby_prior", "segment", "waveform"):
            if other.meta.get(key) != first.meta.get(key):
                raise ConfigError(f"the results differ in {key}: only results of the same data and model combine")
        if abs(other.log_noise_evidence - first.log_noise_evidence) > 1e-6 * abs(first.log_noise_evidence):
            raise ConfigError("the results belong to different data or noise spectra: they cannot be combined")
    # Weights are relative to a run's own normalisation: evidence = mean weight. Re-weighted results start from it.
    tables = []
    for result in results:
        shift = result.log_evidence - (log_sum(result.log_weights) - np.log(result.n_draws))
        tables.append(result.weighted.assign(log_weight=result.log_weights + shift - result.log_noise_evidence))
    weighted = pd.concat(tables, ignore_index=True)
    log_weights = weighted["log_weight"].to_numpy()
    summary = summarise(log_weights)
    # As many draws of each run as its share of the weight asks for, as far as the scarcest run allows.
    share = np.array([np.exp(log_sum(t["log_weight"].to_numpy()) - log_sum(log_weights)) for t in tables])
    total = int(min(len(r.posterior) / s for r, s in zip(results, share, strict=True)))
    rng = np.random.default_rng(seed)
    counts = np.minimum(
        np.floor(share * total + rng.random(len(share))).astype(int), [len(r.posterior) for r in results]
    )
    posterior = pd.concat(
        [r.posterior.iloc[rng.permutation(len(r.posterior))[:c]] for r, c in zip(results, counts, strict=True)],
        ignore_index=True,
    )
    weights = np.exp(log_weights - log_weights.max())
    return replace(
        first,
        posterior=posterior.iloc[rng.permutation(len(posterior))].reset_index(drop=True),
        weighted=weighted,
        n_draws=len(weighted),
        sample_efficiency=effective_size(log_weights) / len(weighted),
        pareto_k=summary.pareto_k,
        log_evidence=summary.log_evidence + first.log_noise_evidence,
        log_evidence_error=float(
            np.sqrt(sum((s * r.log_evidence_error) ** 2 for s, r in zip(share, results, strict=True)))
        ),
        extrinsic_ess=float(np.sum(weights * weighted["extrinsic_ess"].to_numpy()) / np.sum(weights)),
        seconds=float(sum(r.seconds for r in results)),
        meta=first.meta | {"combined": len(results), "seeds": [r.meta.get("seed") for r in results]},
    )


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
    state = model(q=1 / p["mass_ratio"].to_numpy(), chi1=p["chi_1"].to_numpy(), chi2=p["chi_2"].to_numpy())
    final = state.mass * p["total_mass"].to_numpy()
    columns = {
        "final_mass": final,
        "final_mass_source": final / (1 + p["redshift"].to_numpy()),
        # The sign: a spin against the orbit counts as negative, as chi_eff does.
        "final_spin": state.spin_z,
    }
    return replace(result, posterior=p.assign(**columns))
