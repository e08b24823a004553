"""Training of a surrogate from its configuration, one artefact.

Stage 1 is on SEOBNRv5HM, stage 2 on numerical relativity, stage 3, of the higher modes, on NRSur7dq2.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.files import refusal
from gwsurrogate_ml.surrogate import validation
from gwsurrogate_ml.surrogate.aligned import higher, stage1, stage2, stage3, uncertainty
from gwsurrogate_ml.surrogate.aligned.inspiral import Inspiral
from gwsurrogate_ml.surrogate.config import INPUTS, SurrogateConfig
from gwsurrogate_ml.surrogate.fits.ensemble import Progress


def _check_sizes(n: int, config: SurrogateConfig) -> None:
    """Raise ConfigError where a set of `n` waveforms is too small for the configuration."""
    room = int(n * (1 - config.validation_fraction))
    for name, value in (("n_basis", config.n_basis), ("batch_size", config.batch_size)):
        if value > room:
            raise ConfigError(f"{name} is {value}: the training set has {n} waveforms, lower {name} or make more waveforms")


LATER = {"stage2_basis", "stage2_long_basis", "stage3_basis", "stage3_degree"}
"""Keys of the stages after the networks."""


def _digest(key: str, data: Mapping[str, np.ndarray]) -> str:
    """What tells checkpoints apart: the configuration's `key` and the waveforms that networks are trained on."""
    found = hashlib.sha256(key.encode())
    for name in sorted(data):
        found.update(name.encode() + np.ascontiguousarray(data[name]).tobytes())
    return found.hexdigest()[:12]


def _first_stages(config: SurrogateConfig, out: Path, progress: Progress | None) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Card and tensors of stages 1 and 2."""
    report = progress or (lambda *_: None)
    if config.eob is None:
        raise ConfigError("eob is not set: give the folder of `python -m data_prep eob`, or by `trained` a model to build on")
    data = stage1.load_eob(config.eob, bool(config.higher_modes))
    runs = stage2.load_runs(str(config.nr)) if config.nr else None
    long_runs = stage2.load_runs(str(config.nr), "spec_") if config.nr else None
    # Only what makes the networks identifies the checkpoints: the later stages can be repeated without training anew.
    key = config.model_dump_json(exclude=INPUTS | {"name", "version", "inspiral", *LATER})
    digest = _digest(key, data)
    checkpoints = out.with_name(f"{out.name}.checkpoints") / digest
    _check_sizes(len(data["parameters"]), config)
    if config.inspiral:
        modes = ((2, 2), *config.higher_modes)
        Inspiral(*artifacts.load(config.inspiral, "inspiral"), modes).require_knots(data["times"])
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refusal(checkpoints, error) from error
    tensors, errors = stage1.train(data, config, checkpoints, progress)
    metrics: dict[str, Any] = {"stage1_validation": errors}
    if config.higher_modes:
        more, metrics["higher_modes_validation"] = higher.train(data, config.higher_modes, config, checkpoints, progress)
        tensors |= more
    factor = None
    training = {"eob_waveforms": len(data["parameters"]), "eob_model": "SEOBNRv5HM (pyseobnr)"}
    if runs is not None and config.nr is not None:
        report("stage 2", 0, 1)
        best = runs.weight > 0.1  # the others' own errors would be measured instead
        table, factors = {}, []
        for isolation in (1e-3, 1e-2):
            _, mismatch, expected = validation.cross_validate(tensors, runs, config, isolation)
            table[str(isolation)] = validation.percentiles(mismatch[best])
            factors.append(uncertainty.calibration_factor(mismatch[best], expected[best]))
        label = validation.clusters(runs.parameters[best], isolation)
        metrics["nr_cross_validation"] = {
            "how": "8 folds by parameter cluster, white-noise mismatch, t in [-395, 90] M, runs of good quality",
            "n": int(best.sum()),
            "mismatch_by_isolation": table,
            "share_below_predicted_90": uncertainty.coverage(mismatch[best], expected[best], label),
        }
        factor = max(factors)  # the bound must hold near simulations and away from them
        tensors = stage2.add(tensors, runs, long_runs, config)
        training |= {"nr_runs": len(runs.name), "nr_sha256": artifacts.sha256(config.nr)}
        report("stage 2", 1, 1)
    ranges = {"q": {"min": 1.0, "max": config.q_max, "hard_min": 1.0, "hard_max": config.q_hard}} | {
        name: {"min": -config.chi_max, "max": config.chi_max, "hard_min": -config.chi_hard, "hard_max": config.chi_hard}
        for name in ("chi1", "chi2")
    }
    card = {
        "kind": "surrogate",
        "modes": [[2, 2], *config.higher_modes],
        "degree": config.degree,
        "ranges": ranges,
        "times_M": [float(data["times"][0]), float(data["times"][-1])],
        "units": "geometric: time in M, r h / M",
        "training": training,
        "metrics": metrics,
        "error_factor_90": factor,
    }
    return card, tensors


def _kept(trained: str | Path, config: SurrogateConfig) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Card and tensors of the model `trained`, checked to be made as `config` says."""
    if config.eob or config.nr:
        raise ConfigError("trained stands in place of eob and nr: give one or the other")
    card, tensors = artifacts.load(trained, "surrogate")
    artifacts.require(card, config=dict, training=dict, metrics=dict)
    asked = config.model_dump(mode="json", exclude=INPUTS | {"name", "version", "stage3_basis", "stage3_degree"})
    for key, value in asked.items():
        if card["config"].get(key, value) != value:
            raise ConfigError(
                f"{key} is {value!r}, but {str(trained)!r} was trained with {card['config'][key]!r}: give its value, or train anew "
                "without `trained`"
            )
    return card, tensors


def train_surrogate(config: SurrogateConfig, out: Path, progress: Progress | None = None) -> Path:
    """Train and write a surrogate to the folder `out`; a killed run resumes from `out`.checkpoints.

    Parameters
    ----------
    config : SurrogateConfig
    out : Path
        the artefact's folder
    progress : callable, optional
        (stage, done, total)

    Returns
    -------
    Path of the artefact

    Raises
    ------
    ConfigError
        if neither `eob` nor `trained` is given, or they do not fit the rest of the configuration
    DataError
        if a training set or the NR table cannot be read
    ArtifactError
        if the early inspiral that the configuration names is not one for the set's times and modes
    """
    report = progress or (lambda *_: None)
    begin = time.monotonic()
    card, tensors = _kept(config.trained, config) if config.trained else _first_stages(config, out, progress)
    if config.nrsur7dq2:
        report("stage 3", 0, 1)
        tensors, errors, sets = stage3.add(tensors, config.higher_modes, config)
        card = card | {"training": card["training"] | {"nrsur7dq2": sets}}
        if errors:
            card["metrics"] = card["metrics"] | {"nrsur7dq2_held_out": errors}
        report("stage 3", 1, 1)
    card = card | {
        "name": config.name,
        "version": config.version,
        "inspiral": config.inspiral or None,
        "config": config.model_dump(mode="json", exclude=INPUTS),
        "seconds": round(card.get("seconds", 0.0) + time.monotonic() - begin, 1),
    }
    return artifacts.save(out, card, tensors)
