"""Weights of draws whose integral was approximate, made exact: each draw's likelihood anew, at its own extrinsic parameters."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from gwsurrogate_ml.inference.sampling.checkpoint import Arrays, Steps
from gwsurrogate_ml.inference.sampling.sampler import Evaluated, EventSampler
from gwsurrogate_ml.inference.weights import effective_size, summarise

NEGLIGIBLE = 16.0
"""Log of the share of the largest weight below which a draw's likelihood is not computed anew: nothing that it does counts."""
PART = 4096
"""Draws of one step: what a killed run does again at most."""


def exactly_weighed(
    sampler: EventSampler, draws: Evaluated, log_weights: np.ndarray, steps: Steps
) -> tuple[Evaluated, np.ndarray, list[dict[str, Any]]]:
    """Draws and log weights (N,) with exact likelihoods in place of approximate ones.

    Returns
    -------
    draws, log_weights
    rounds : list of dict
        nothing where the sampler's likelihoods are exact as they are; else what the step did: `step_efficiency`, effective draws
        after it over those before; `mean_change` and `rms_change` of the log likelihood, by weight
    """
    if "log_likelihood" not in sampler.drawn_at_once:
        return draws, log_weights, []
    rows = np.flatnonzero(log_weights > log_weights.max() - NEGLIGIBLE)
    parts = [rows[start : start + PART] for start in range(0, len(rows), PART)]
    stages = [f"exact likelihoods, part {k} of {len(parts)}" for k in range(1, len(parts) + 1)]
    found = np.concatenate(
        [steps(stage, partial(_anew, sampler, draws, part), Arrays)["exact"] for stage, part in zip(stages, parts, strict=True)]
    )
    column = sampler.drawn_at_once.index("log_likelihood")
    change = found[:, 0] - draws.extrinsic[rows, column]
    before, exact = effective_size(log_weights), log_weights.copy()
    exact[rows] += change
    draws.log_likelihood[rows] += change
    draws.extrinsic[rows, column] = found[:, 0]
    draws.extrinsic[rows, sampler.drawn_at_once.index("network_snr")] = np.sqrt(found[:, 1])
    share = np.exp(exact[rows] - exact.max())
    summary = summarise(exact)
    mean = float(share @ change / share.sum())
    entry = {
        "proposal": "exact likelihoods",
        "efficiency": summary.efficiency,
        "pareto_k": summary.pareto_k,
        "log_evidence": summary.log_evidence,
        "step_efficiency": summary.effective / before,
        "mean_change": mean,
        "rms_change": float(np.sqrt(share @ (change - mean) ** 2 / share.sum())),
    }
    return draws, exact, [entry]


def _anew(sampler: EventSampler, draws: Evaluated, rows: np.ndarray) -> Arrays:
    return Arrays({"exact": sampler.exact(draws, rows)})
