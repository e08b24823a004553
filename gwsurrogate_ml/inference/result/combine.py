"""One result of several of the same data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.result import glitches
from gwsurrogate_ml.inference.result.draws import BY_SET
from gwsurrogate_ml.inference.weights import effective_size, log_sum, summarise

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.result.result import Result


OF_WEIGHTS = ("log_weight", "log_likelihood_ratio", "extrinsic_ess")
"""Columns of a weighted table that are not the binary's."""
REWEIGHTED = {"reweighted", "nuisances", "glitch"}
"""Meta data, any of which says that a result's weights are those of its last step alone."""


def combine(results: Sequence[Result], seed: int = 0) -> Result:
    """One result of several of the same data, prior and waveform, such as runs with different seeds.

    Weights of all draws are pooled: each run counts by its number of draws and its evidence, and the error of the pooled
    evidence is that of all draws together. Tables keep the columns that all have.

    Raises
    ------
    ConfigError
        if there are none, data, prior, waveform or what else is integrated differ, or some have draws in common
    """
    results = list(results)
    if not results:
        raise ConfigError("nothing to combine: give at least one result")
    if foreign := [type(result).__name__ for result in results if not hasattr(result, "log_noise_evidence")]:
        raise ConfigError(f"a {foreign[0]} cannot be combined: give each Result, Result.load reads one from a file")
    first = results[0]
    for other in results[1:]:
        for key in ("prior", "bilby_prior", "segment", "surrogate", "waveform", "waveform_model"):
            if other.meta.get(key) != first.meta.get(key):
                raise ConfigError(f"the results differ in {key}: only results of the same data and model combine")
        if abs(other.log_noise_evidence - first.log_noise_evidence) > 1e-6 * abs(first.log_noise_evidence):
            raise ConfigError("the results belong to different data or noise spectra: they cannot be combined")
    if len({json.dumps(result.meta.get("nuisances", {}).get("prior"), sort_keys=True) for result in results}) > 1:
        raise ConfigError("the results differ in the calibration or waveform errors integrated: they cannot be combined")
    glitches.require_alike(results)
    own = [name for name in first.weighted if name not in OF_WEIGHTS and all(name in result.weighted for result in results)]
    drawn = [set(r.weighted[own].itertuples(index=False, name=None)) for r in results]
    for i, j in combinations(range(len(results)), 2):
        if drawn[i] & drawn[j]:
            raise ConfigError(
                f"results {i + 1} and {j + 1} have draws in common, which would count twice: combine runs of other seeds"
            )
    # Weights are relative to a run's own normalisation: evidence = mean weight. Re-weighted results start from it.
    tables = []
    for result in results:
        shift = result.log_evidence - (log_sum(result.log_weights) - np.log(len(result.weighted)))
        tables.append(result.weighted.assign(log_weight=result.log_weights + shift - result.log_noise_evidence))
    weighted = pd.concat(tables, ignore_index=True, join="inner")
    log_weights = weighted["log_weight"].to_numpy()
    summary = summarise(log_weights)
    # As many draws of each run as its share of the weight asks for, as far as the scarcest run allows.
    share = np.array([np.exp(log_sum(t["log_weight"].to_numpy()) - log_sum(log_weights)) for t in tables])
    total = int(min(len(r.posterior) / s for r, s in zip(results, share, strict=True)))
    rng = np.random.default_rng(seed)
    counts = np.minimum(np.floor(share * total + rng.random(len(share))).astype(int), [len(r.posterior) for r in results])
    posterior = pd.concat(
        [r.posterior.iloc[rng.permutation(len(r.posterior))[:c]] for r, c in zip(results, counts, strict=True)],
        ignore_index=True,
        join="inner",
    )
    weights = np.exp(log_weights - log_weights.max())
    meta = {key: value for key, value in first.meta.items() if key not in BY_SET}
    meta |= {"combined": len(results), "seeds": [r.meta.get("seed") for r in results]}
    if flags := list(dict.fromkeys(flag for r in results for flag in r.meta.get("flags", []))):
        meta["flags"] = flags
    loudest = max(results, key=lambda r: float(r.posterior["log_likelihood_ratio"].max()))
    if "checks" in loudest.meta:  # made at its best draw
        meta["checks"] = loudest.meta["checks"]
    if "glitch" in meta:
        meta["glitch"] = glitches.pooled(results, share, posterior, summary.log_evidence)
    return replace(
        first,
        posterior=posterior.iloc[rng.permutation(len(posterior))].reset_index(drop=True),
        weighted=weighted,
        n_draws=len(weighted),
        sample_efficiency=effective_size(log_weights) / len(weighted),
        pareto_k=max([summary.pareto_k, *(r.pareto_k for r in results if REWEIGHTED & r.meta.keys())]),
        log_evidence=summary.log_evidence + first.log_noise_evidence,
        log_evidence_error=float(np.sqrt(sum((s * r.log_evidence_error) ** 2 for s, r in zip(share, results, strict=True)))),
        extrinsic_ess=float(np.sum(weights * weighted["extrinsic_ess"].to_numpy()) / np.sum(weights)),
        seconds=float(sum(r.seconds for r in results)),
        meta=meta,
    )
