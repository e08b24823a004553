"""What is derived from the draws of a result: source-frame masses, waveforms, the prior that they come from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.interpolate import CubicSpline

from gwsurrogate_ml.binaries import space_of
from gwsurrogate_ml.conventions import EXTRINSIC, component_masses
from gwsurrogate_ml.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from bilby.core.prior import PriorDict

    from gwsurrogate_ml.inference.result.result import Result
    from gwsurrogate_ml.strain.segment import AnalysisSegment
    from gwsurrogate_ml.waveform.model import WaveformModel

BY_SET = ("log_evidence_by_extrinsic_set", "log_evidence_set_scatter")
"""Meta data of an analysis that are no longer those of its draws once they are weighed anew."""


def parameters_of(names: Iterable[str]) -> tuple[str, ...]:
    """All parameters of a posterior with columns `names`: those of its space, and the extrinsic ones."""
    return (*space_of(names).names, *EXTRINSIC)


def whitened_bands(
    posterior: pd.DataFrame, segment: AnalysisSegment, model: WaveformModel
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """5 %, 50 % and 95 % quantiles (3, n) of the whitened waveforms of posterior draws in each detector, and GPS
    times (n,).
    """
    from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood

    signals = SegmentLikelihood(segment, model).signals({name: posterior[name].to_numpy() for name in parameters_of(posterior)})
    white = segment.whitened(signals)
    quantiles = np.quantile(white, (0.05, 0.5, 0.95), axis=0)
    n = white.shape[-1]
    times = segment.start_time + np.arange(n) * segment.duration / n
    return {name: quantiles[:, d] for d, name in enumerate(segment.detectors)}, times


def derived(parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Masses, effective spins, redshift (astropy's Planck15, as bilby's default) and source-frame masses."""
    from bilby.gw.cosmology import get_cosmology

    mass_1, mass_2 = component_masses(parameters["chirp_mass"], parameters["mass_ratio"])
    # The distance is a smooth, rising function of redshift: tabulate it and read it backwards.
    distance, cosmology = parameters["luminosity_distance"], get_cosmology("Planck15")
    grid = np.linspace(0.0, 0.1, 200)
    while cosmology.luminosity_distance(grid[-1]).value < distance.max():
        grid = grid * 2
    table = cosmology.luminosity_distance(grid).value
    redshift = CubicSpline(table, grid)(distance)
    chi_1, chi_2 = _along_orbit(parameters)
    source = {"mass_1": mass_1, "mass_2": mass_2, "total_mass": mass_1 + mass_2, "chirp_mass": parameters["chirp_mass"]}
    return {
        "mass_1": mass_1,
        "mass_2": mass_2,
        "total_mass": mass_1 + mass_2,
        "chi_eff": (mass_1 * chi_1 + mass_2 * chi_2) / (mass_1 + mass_2),
        "redshift": redshift,
        **{f"{name}_source": mass / (1 + redshift) for name, mass in source.items()},
        **_precession(parameters),
    }


def _precession(parameters: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The effective precession spin of spins in any direction (Schmidt et al. 2015, arXiv:1408.1810)."""
    if "a_1" not in parameters:
        return {}
    flat_1, flat_2 = (parameters[f"a_{body}"] * np.sin(parameters[f"tilt_{body}"]) for body in (1, 2))
    q = parameters["mass_ratio"]
    return {"chi_p": np.maximum(flat_1, q * (4 * q + 3) / (4 + 3 * q) * flat_2)}


def _along_orbit(parameters: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Components of both spins along the orbital angular momentum."""
    if "chi_1" in parameters:
        return parameters["chi_1"], parameters["chi_2"]
    return (
        parameters["a_1"] * np.cos(parameters["tilt_1"]),
        parameters["a_2"] * np.cos(parameters["tilt_2"]),
    )


def prior_of(result: Result) -> PriorDict:
    """The prior of a result as a bilby `BBHPriorDict`.

    Raises
    ------
    ConfigError
        if the result does not say
    """
    return prior_in(result.meta)


def prior_in(meta: Mapping[str, Any]) -> PriorDict:
    """The same of a result's meta data."""
    from gwsurrogate_ml.inference.prior.binary import BinaryPrior
    from gwsurrogate_ml.inference.prior.record import read

    if "bilby_prior" in meta:
        return read(meta["bilby_prior"])
    if "prior" not in meta or "segment" not in meta:
        raise ConfigError("the result does not say under which prior it was made: it cannot be re-weighted")
    return BinaryPrior.model_validate(meta["prior"]).to_bilby(meta["segment"]["gps"])


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
        gps = stored["gps"]
        raise ConfigError(
            f"the segment is not the one of the result: cut {stored['duration']:g} s from {stored['f_min']:g} Hz on about the "
            f"time that was analysed, {gps:.3f}: dataclasses.replace(data, gps={gps!r}).segment(...); an analysis moves the time "
            "given to a tenth of a second next to the event"
        )
    found = segment.noise_log_likelihood()
    if abs(found - result.log_noise_evidence) > 1e-3 * abs(result.log_noise_evidence):
        raise ConfigError("the data or their noise spectra are not those of the result: pass the segment analysed")


def plain(value: Any) -> Any:
    """A copy that JSON can hold."""
    return json.loads(json.dumps(value, default=lambda x: x.tolist() if hasattr(x, "tolist") else str(x)))


def chosen_draws(result: Result, n: int, seed: int) -> pd.DataFrame:
    """At most `n` equally weighted draws of the result, chosen at random."""
    chosen = np.random.default_rng(seed).permutation(len(result.posterior))[:n]
    return result.posterior.iloc[np.sort(chosen)].reset_index(drop=True)


def model_of(result: Result, model: WaveformModel | None = None) -> WaveformModel:
    """The waveform model that the draws are under: of the analysis, or what they were re-weighted to.

    Parameters
    ----------
    result : Result
    model : WaveformModel, optional
        where no model of its name is shipped, such as one of your own; default: loaded by its name

    Raises
    ------
    ConfigError
        if it is not found by its name, or `model` or what is found is another
    """
    from gwsurrogate_ml.surrogate.load import load_model

    meta = result.meta
    known = meta.get("waveform_model", {"name": meta["waveform"]}) if "waveform" in meta else meta["surrogate"]
    under = f"the result is under the waveforms of {known['name']}"
    way = "give the model itself: model=load_model(FOLDER), or an object of your class"
    if model is None:
        try:
            model = load_model(known["name"])
        except (ArtifactError, ConfigError) as error:
            raise ConfigError(f"{under}, which no model is called ({error}): {way}") from error
    found = model.identity
    if other := next((key for key in found if key in known and known[key] != found[key]), None):
        raise ConfigError(f"{under} of {other} {known[other]}, that of {model.name} is {found[other]}: {way}")
    return model
