"""The glitches that were integrated in a result: their columns, their waveforms, what speaks against them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.nuisances.glitch_prior import unit_strain
from gwsurrogate_ml.inference.weights import log_sum

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.result.result import Result
    from gwsurrogate_ml.strain.segment import AnalysisSegment
    from gwsurrogate_ml.waveform.model import WaveformModel

COLUMNS = ("snr", "phase", "time", "frequency", "bandwidth")
"""A glitch's optimal signal-to-noise ratio (0: there is none, the rest is drawn from its prior), phase (rad), GPS time, f0 (Hz) and
gbw."""
LOG_ODDS = "log_odds"
"""Of a column: the log of the odds that there is a glitch, given the draw's signal, where before the data they are even."""
DRAWS = 300
"""Draws behind a band."""
UNSURE = 3.0
"""Log Bayes factor of a signal, against a glitch alone, below which a flag is raised."""
FEW_POINTS = 20
"""Effective points of the integral, posterior mean, below which a flag is raised."""


def column(detector: str, name: str) -> str:
    """The name of a column of a posterior.

    Examples
    --------
    >>> column("H1", "snr")
    'glitch_H1_snr'
    """
    return f"glitch_{detector}_{name}"


def columns_of(result: Result) -> list[str]:
    """All columns of glitches; empty where none was integrated. Results of old have none of the odds."""
    names = [column(name, key) for name in result.meta.get("glitch", {}).get("detectors", {}) for key in (*COLUMNS, LOG_ODDS)]
    return [name for name in names if name in result.posterior]


def odds(log_weights: np.ndarray, log_odds: np.ndarray) -> dict[str, float]:
    """Log Bayes factor and probability of a glitch from weighted draws (N,) and the odds of one in each.

    Examples
    --------
    >>> found = odds(np.zeros(2), np.log([3.0, 3.0]))
    >>> round(found["probability"], 9), round(float(np.exp(found["log_bayes_factor"])), 9)
    (0.75, 3.0)
    """
    there, absent, total = (
        log_sum(log_weights + x) for x in (-np.logaddexp(0.0, -log_odds), -np.logaddexp(0.0, log_odds), np.zeros(len(log_odds)))
    )
    return {"log_bayes_factor": there - absent, "probability": min(float(np.exp(there - total)), 1.0)}


def under_weights(result: Result, log_weights: np.ndarray, log_evidence: float) -> dict[str, Any]:
    """The glitches' meta data where the posterior's draws get these weights (N,), and the evidence this factor's logarithm.

    Raises
    ------
    ConfigError
        if the result is of old and has no column of a glitch's odds
    """
    about = result.meta["glitch"]
    require_odds(result.posterior, about["detectors"])
    detectors = {
        name: found | odds(log_weights, result.posterior[column(name, LOG_ODDS)].to_numpy())
        for name, found in about["detectors"].items()
    }
    return about | {"detectors": detectors, "signal_log_bayes_factor": about["signal_log_bayes_factor"] + log_evidence}


def require_alike(results: Sequence[Result]) -> None:
    """Raise ConfigError unless all results integrate glitches of the same detectors and windows, or none."""
    first, *others = [
        {name: found.get("window") for name, found in r.meta.get("glitch", {}).get("detectors", {}).items()} for r in results
    ]
    if any(other != first for other in others):
        raise ConfigError(
            "the results differ in the detectors whose glitch is integrated, or in the prior on its time: they cannot be combined"
        )


def pooled(results: Sequence[Result], share: np.ndarray, posterior: pd.DataFrame, log_bayes_factor: float) -> dict[str, Any]:
    """The glitches' meta data of results that are combined.

    Parameters
    ----------
    results : sequence of Result
    share : (n,) float
        of each in the weight of all
    posterior : DataFrame
        equally weighted draws of all
    log_bayes_factor : float
        of a signal against noise, of all

    Raises
    ------
    ConfigError
        if one is of old and has no column of a glitch's odds
    """
    about = [result.meta["glitch"] for result in results]
    require_odds(posterior, about[0]["detectors"])
    detectors = {
        name: found
        | odds(np.zeros(len(posterior)), posterior[column(name, LOG_ODDS)].to_numpy())
        | {"effective_points": float(share @ [a["detectors"][name]["effective_points"] for a in about])}
        for name, found in about[0]["detectors"].items()
    }
    # Of the data without a signal, the glitches integrated: each run's estimate counts alike.
    alone = np.mean([r.log_bayes_factor - a["signal_log_bayes_factor"] for r, a in zip(results, about, strict=True)])
    return about[0] | {"detectors": detectors, "signal_log_bayes_factor": float(log_bayes_factor - alone)}


def require_odds(posterior: pd.DataFrame, detectors: Iterable[str]) -> None:
    """Raise ConfigError unless the draws have the odds of a glitch in each of the detectors."""
    if lacking := [name for name in (column(d, LOG_ODDS) for d in detectors) if name not in posterior]:
        raise ConfigError(f"the result was saved before the column {lacking[0]} was kept, which other weights need: analyse anew")


def strain_of(likelihood: SegmentLikelihood, posterior: pd.DataFrame, detectors: list[str]) -> np.ndarray:
    """Strain (N, n_det, n_f), 1/Hz, of the glitches of draws in the data of `likelihood`."""
    segment = likelihood.segment
    out = np.zeros((len(posterior), *segment.strain.shape), np.complex128)
    for name in detectors:
        snr, phase, time, frequency, bandwidth = (posterior[column(name, key)].to_numpy() for key in COLUMNS)
        d = segment.detectors.index(name)
        shapes = np.log(np.column_stack([frequency, bandwidth]))
        out[:, d] = (snr * np.exp(1j * phase))[:, None] * unit_strain(likelihood, d, shapes, time - segment.start_time)
    return out


def without_glitch(result: Result, segment: AnalysisSegment, model: WaveformModel, row: pd.DataFrame) -> AnalysisSegment:
    """The segment less the glitch of one draw, a table of one row; as it is where none was integrated."""
    from dataclasses import replace

    names = list(result.meta.get("glitch", {}).get("detectors", {}))
    return (
        replace(segment, strain=segment.strain - strain_of(SegmentLikelihood(segment, model), row, names)[0]) if names else segment
    )


def bands(result: Result, segment: AnalysisSegment, model: WaveformModel) -> dict[str, dict[str, Any]]:
    """Whitened glitches: median and 90 % band.

    Parameters
    ----------
    result : Result
    segment : AnalysisSegment
        the data analysed
    model : WaveformModel

    Returns
    -------
    mapping from detector to a dict of `time` (n,), GPS s, within the glitch's window, `data` (n,) less the median signal, `glitch`
    (3, n): 5 %, 50 % and 95 % quantiles, and `probability` that there is one

    Raises
    ------
    ConfigError
        if no glitch was integrated
    """
    from gwsurrogate_ml.inference.result.draws import parameters_of

    if "glitch" not in result.meta:
        raise ConfigError("no glitch was integrated: analyse with glitch='H1', the detector that has it")
    about = result.meta["glitch"]["detectors"]
    likelihood = SegmentLikelihood(segment, model)
    rows = result.posterior.iloc[:DRAWS]
    glitches = np.quantile(segment.whitened(strain_of(likelihood, rows, list(about))), (0.05, 0.5, 0.95), axis=0)
    signals = likelihood.signals({name: rows[name].to_numpy() for name in parameters_of(rows)})
    left = segment.whitened(likelihood.strain) - np.median(segment.whitened(signals), axis=0)
    times = segment.start_time + np.arange(left.shape[-1]) * segment.duration / left.shape[-1]
    out = {}
    for name, found in about.items():
        d, keep = segment.detectors.index(name), (times >= found["window"][0]) & (times <= found["window"][1])
        out[name] = {
            "time": times[keep],
            "data": left[d, keep],
            "glitch": glitches[:, d, keep],
            "probability": found["probability"],
        }
    return out


def summary(result: Result) -> dict[str, Any]:
    """Of each detector: probability and log Bayes factor of a glitch, effective points, and quantiles of its parameters where there
    is one.
    """
    out: dict[str, Any] = {}
    for name, found in result.meta["glitch"]["detectors"].items():
        rows = result.posterior[result.posterior[column(name, "snr")] > 0]
        out[name] = {key: found[key] for key in ("probability", "log_bayes_factor", "effective_points")}
        for key in (k for k in COLUMNS if k != "phase" and len(rows)):
            low, middle, high = (float(x) for x in np.quantile(rows[column(name, key)], (0.05, 0.5, 0.95)))
            out[name][key] = {"median": middle, "lower_90": low, "upper_90": high}
    return out


def flags(result: Result) -> list[str]:
    """What the integral over glitches says against a result."""
    out = []
    for name, found in result.meta.get("glitch", {}).get("detectors", {}).items():
        if (points := found["effective_points"]) < FEW_POINTS:
            out.append(
                f"rough integral over {name}'s glitch: {points:.0f} effective points a draw; intervals and its probability "
                "are rough: analyse anew with another seed and compare"
            )
    if (signal := result.meta.get("glitch", {}).get("signal_log_bayes_factor", np.inf)) < UNSURE:
        out.append(f"no signal: the log Bayes factor against noise with a glitch is {signal:.1f}; all there is may be the glitch")
    return out
