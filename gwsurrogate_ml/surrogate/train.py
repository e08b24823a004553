"""Training of a surrogate from its configuration: stage 1 on SEOBNRv5HM, stage 2 on numerical relativity, one artefact."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.files import refusal
from gwsurrogate_ml.surrogate import validation
from gwsurrogate_ml.surrogate.aligned import higher, stage1, stage2, uncertainty
from gwsurrogate_ml.surrogate.aligned.inspiral import Inspiral
from gwsurrogate_ml.surrogate.config import SurrogateConfig
from gwsurrogate_ml.surrogate.fits.ensemble import Progress


def _check_sizes(n: int, config: SurrogateConfig) -> None:
    """Raise ConfigError where a set of `n` waveforms is too small for the configuration."""
    room = int(n * (1 - config.validation_fraction))
    for name, value in (("n_basis", config.n_basis), ("batch_size", config.batch_size)):
        if value > room:
            raise ConfigError(f"{name} is {value}: the training set has {n} waveforms, lower {name} or make more waveforms")


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
    DataError
        if the training set or the NR table cannot be read
    ArtifactError
        if the early inspiral that the configuration names is not one for the set's times and modes
    """
    report = progress or (lambda *_: None)
    begin = time.monotonic()
    data = stage1.load_eob(config.eob, bool(config.higher_modes))
    runs = stage2.load_runs(str(config.nr)) if config.nr else None
    long_runs = stage2.load_runs(str(config.nr), "spec_") if config.nr else None
    # Only what makes the networks identifies the checkpoints: stage 2 can be repeated without training anew.
    key = config.model_dump_json(exclude={"name", "version", "inspiral", "eob", "nr", "stage2_basis", "stage2_long_basis"})
    digest = hashlib.sha256((key + str(data["parameters"].sum())).encode()).hexdigest()[:12]
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
        "name": config.name,
        "kind": "surrogate",
        "version": config.version,
        "modes": [[2, 2], *config.higher_modes],
        "inspiral": config.inspiral or None,
        "degree": config.degree,
        "ranges": ranges,
        "times_M": [float(data["times"][0]), float(data["times"][-1])],
        "units": "geometric: time in M, r h / M",
        "training": training,
        "config": config.model_dump(mode="json", exclude={"eob", "nr"}),
        "metrics": metrics,
        "error_factor_90": factor,
        "seconds": round(time.monotonic() - begin, 1),
    }
    return artifacts.save(out, card, tensors)
