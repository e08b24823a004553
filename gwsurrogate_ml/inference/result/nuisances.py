"""A posterior of perfectly calibrated detectors and waveforms, re-weighted with their errors integrated for every draw."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.nuisances.integral import DRAWS, NuisanceIntegral
from gwsurrogate_ml.inference.nuisances.prior import KINDS, WAVEFORM, Nuisances, column
from gwsurrogate_ml.inference.result.draws import parameters_of
from gwsurrogate_ml.inference.result.reweight import Progress, reweighted
from gwsurrogate_ml.inference.sampling.checkpoint import Arrays, Steps

if TYPE_CHECKING:
    from bilby.core.prior import PriorDict

    from gwsurrogate_ml.inference.result.result import Result

PART, CHUNK = 2000, 50
"""Draws integrated in one step, what a killed run does again at most; and at a time."""
FAR = 3.0
"""Standard deviations of its prior by which the posterior of a node may be off."""
ROUGH = 0.3
"""Mean efficiency of the integral's importance sampling below which a flag is raised."""
CURVE_POINTS = 64


def with_nuisances(
    result: Result,
    likelihood: SegmentLikelihood,
    drawn_from: SegmentLikelihood,
    nuisances: Nuisances,
    *,
    seed: int,
    steps: Steps,
    progress: Progress | None = None,
) -> Result:
    """The posterior with `nuisances` integrated, from draws of another.

    Parameters
    ----------
    result : Result
        whose draws are of the posterior under `drawn_from`
    likelihood : SegmentLikelihood
        of the data
    drawn_from : SegmentLikelihood
        with the same model
    nuisances : Nuisances
    seed : int
    steps : Steps
        keeps what is done
    progress : callable, optional, ``progress(stage, done, total)``

    Returns
    -------
    Result
        its posterior has a column for each node, and `log_likelihood` is the likelihood there. `sample_efficiency` and `n_draws`
        are those of the re-weighting
    """
    draws = result.posterior
    table = {name: draws[name].to_numpy() for name in parameters_of(draws)}
    integral = NuisanceIntegral(likelihood, nuisances)

    def part(start: int) -> Arrays:
        rows: list[dict[str, np.ndarray]] = []
        stop = min(start + PART, len(draws))
        for at in range(start, stop, CHUNK):
            signals = likelihood.signals({name: x[at : min(at + CHUNK, stop)] for name, x in table.items()})
            rng = np.random.default_rng([seed, 83, at])
            rows.append(integral(signals, rng)._asdict() | {"drawn_from": log_ratio(drawn_from, signals)})
            if progress:
                progress("calibration", min(at + CHUNK, stop), len(draws))
        return Arrays({name: np.concatenate([row[name] for row in rows]) for name in rows[0]})

    parts = [steps(f"calibration of draws from {start}", partial(part, start), Arrays) for start in range(0, len(draws), PART)]
    found = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    at, log_weights = found["log_likelihood_at"], found["log_likelihood"] - found["drawn_from"]
    nodes = pd.DataFrame(found["nodes"], columns=nuisances.columns, index=draws.index)
    new = pd.concat(
        [draws.assign(log_likelihood=at + result.log_noise_evidence, log_likelihood_ratio=at), nodes],
        axis=1,
    )
    weights = np.exp(log_weights - log_weights.max())
    meta = {
        "nuisances": {
            "prior": nuisances.record(),
            "draws": DRAWS,
            "efficiency": float(np.sum(weights * found["efficiency"]) / np.sum(weights)),
            "drawn_from": {name: getattr(result, name) for name in ("n_draws", "sample_efficiency", "pareto_k")},
        }
    }
    return reweighted(result, new, log_weights, meta, seed + 5)


def log_ratio(likelihood: SegmentLikelihood, signals: np.ndarray) -> np.ndarray:
    """Log likelihood ratio to noise (N,) of signals (N, n_det, n_f)."""
    band = likelihood.band
    out = np.zeros(len(signals))
    for d, (weight, strain) in enumerate(zip(likelihood.weight[:, band], likelihood.strain[:, band], strict=True)):
        h = signals[:, d, band]
        out += np.real(np.conj(h) @ (weight * strain)) - 0.5 * (h.real**2 + h.imag**2) @ weight
    return out


def nuisances_of(result: Result) -> Nuisances | None:
    """What was integrated; None if nothing was."""
    return nuisances_in(result.meta)


def nuisances_in(meta: Mapping[str, Any]) -> Nuisances | None:
    """The same of a result's meta data."""
    record = meta.get("nuisances")
    return Nuisances.from_record(record["prior"]) if record else None


def nodes_of(posterior: pd.DataFrame, nuisances: Nuisances) -> np.ndarray:
    """Nodes of the draws, (N, n_owners, 2, n_nodes)."""
    return posterior[nuisances.columns].to_numpy().reshape(-1, *nuisances.mean.shape)


def require_none(result: Result, what: str) -> None:
    """Raise ConfigError if calibration or waveform errors, or a glitch, were integrated, which `what` leaves out."""
    if "nuisances" in result.meta:
        raise ConfigError(f"calibration or waveform errors are integrated in this result, {what} leaves them out: analyse anew")
    if "glitch" in result.meta:
        raise ConfigError(f"a glitch is integrated in this result, {what} leaves it out: analyse anew")


def curves(result: Result) -> dict[str, dict[str, Any]]:
    """Median and 90 % band of the curves of amplitude (relative) and phase (rad), of posterior and prior.

    Returns
    -------
    mapping from detector, or "waveform", to a dict of `frequency` (n,) in Hz and `amplitude`, `phase`, `prior_amplitude`,
    `prior_phase`, each (3, n): 5 %, 50 % and 95 % quantiles

    Raises
    ------
    ConfigError
        if nothing was integrated
    """
    nuisances = nuisances_of(result)
    if nuisances is None:
        raise ConfigError("no calibration or waveform errors were integrated: analyse with calibration= or waveform_error=")
    f = np.geomspace(nuisances.splines.f_min, nuisances.splines.f_max, CURVE_POINTS)
    basis, nodes = nuisances.splines.basis(f), nodes_of(result.posterior, nuisances)
    out: dict[str, dict[str, Any]] = {}
    for o, owner in enumerate(nuisances.owners):
        out[owner] = {"frequency": f}
        for k, kind in enumerate(KINDS):
            out[owner][kind] = np.quantile(nodes[:, o, k] @ basis, (0.05, 0.5, 0.95), axis=0)
            half = 1.6449 * np.sqrt((nuisances.sigma[o, k] ** 2) @ basis**2)
            out[owner][f"prior_{kind}"] = nuisances.mean[o, k] @ basis + np.outer([-1, 0, 1], half)
    return out


def flags(result: Result) -> list[str]:
    """What the errors that were integrated say against a result."""
    nuisances = nuisances_of(result)
    if nuisances is None:
        return []
    out = []
    median = np.median(nodes_of(result.posterior, nuisances), axis=0)
    pull = np.abs(median - nuisances.mean) / np.where(nuisances.sigma > 0, nuisances.sigma, np.inf)
    if pull.max() > FAR:
        o, k, node = np.unravel_index(int(np.argmax(pull)), pull.shape)
        owner = "the waveform" if nuisances.owners[o] == WAVEFORM else nuisances.owners[o]
        out.append(
            f"calibration far off: at {nuisances.splines.nodes[node]:.0f} Hz the {KINDS[k]} of {owner} lies {pull.max():.1f} "
            "standard deviations of its prior from it: the envelope is too narrow, or something else in the data is taken for it, "
            "such as a glitch or a signal that the waveforms do not describe"
        )
    if (efficiency := result.meta["nuisances"]["efficiency"]) < ROUGH:
        out.append(
            f"rough integral over calibration errors: its importance sampling has a mean efficiency of {100 * efficiency:.0f} %: "
            "errors this wide leave too little of the signal's phase; the evidence and the widest intervals are off"
        )
    return out


def with_bilby(prior: PriorDict | None, posterior: pd.DataFrame, nuisances: Nuisances) -> tuple[PriorDict, pd.DataFrame]:
    """Prior and posterior as bilby has them with calibration: Gaussian nodes, and their frequencies as constants."""
    from bilby.core.prior import DeltaFunction, Gaussian
    from bilby.gw.prior import BBHPriorDict

    new = BBHPriorDict({} if prior is None else dict(prior))
    constants = {}
    for o, owner in enumerate(nuisances.owners):
        for k, kind in enumerate(KINDS):
            for node in range(nuisances.splines.n_nodes):
                name = column(owner, kind, node)
                mean, sigma = float(nuisances.mean[o, k, node]), float(nuisances.sigma[o, k, node])
                new[name] = Gaussian(mean, sigma, name=name) if sigma > 0 else DeltaFunction(mean, name=name)
        for node, f in enumerate(nuisances.splines.nodes):
            name = column(owner, "frequency", node)
            new[name] = DeltaFunction(float(f), name=name)
            constants[name] = float(f)
    return new, posterior.assign(**constants)
