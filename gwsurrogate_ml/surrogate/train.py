"""Training of a surrogate from its configuration: stage 1 on SEOBNRv5HM, stage 2 on numerical relativity, one artefact."""

from __future__ import annotations

import hashlib
import logging
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.interpolate import CubicSpline

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.surrogate import stage1, stage2
from gwsurrogate_ml.surrogate.predictor import log_amplitude_and_phase

log = logging.getLogger(__name__)

CONFIGS = Path(__file__).parents[1] / "configs"
NR_WINDOW = (-395.0, 90.0)
LONG_WINDOW = (-2740.0, 90.0)


class SurrogateConfig(BaseModel):
    """What a surrogate is trained on and how; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: str = "1"
    eob: Path = Field(description="folder written by `python -m data_prep eob`")
    nr: Path | None = Field(
        default=None, description="table written by `python -m data_prep nr`; without it, stage 1 alone"
    )
    q_max: float = 10.0
    chi_max: float = 0.9
    q_hard: float = 10.5
    chi_hard: float = 0.93
    degree: int = 4
    n_basis: int = 24
    width: int = 192
    depth: int = 3
    members: int = 3
    epochs: int = 400
    batch_size: int = 256
    learning_rate: float = 3e-3
    validation_fraction: float = 0.05
    stage2_basis: int = 8
    stage2_long_basis: int = 4
    seed: int = 20150914


def load_config(name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> SurrogateConfig:
    """A configuration from a TOML file or a shipped one by name, with single keys overridden.

    Raises
    ------
    ConfigError
        if there is no such file, it is not TOML, or a key is unknown, missing or of the wrong type
    """
    path = Path(name_or_path)
    if not path.is_file():
        path = CONFIGS / f"{name_or_path}.toml"
    if not path.is_file():
        names = sorted(p.stem for p in CONFIGS.glob("*.toml"))
        raise ConfigError(f"no configuration {str(name_or_path)!r}: give a TOML file or one of {names}")
    try:
        return SurrogateConfig(**{**tomllib.loads(path.read_text()), **(overrides or {})})
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {key!r}: {first['msg']} (set it in the file or by --set {key}=VALUE)") from error


def evaluate(
    tensors: dict[str, np.ndarray], degree: int, parameters: np.ndarray, t: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """log |h22| and phase (n, n_t) of a half-built model at times `t` in the knots' frame."""
    log_amplitude, phase = log_amplitude_and_phase(parameters, tensors, degree)
    return CubicSpline(tensors["knots"], log_amplitude, axis=1)(t), CubicSpline(tensors["knots"], phase, axis=1)(t)


def add_stage2(
    tensors: dict[str, np.ndarray], runs: stage2.Runs, long_runs: stage2.Runs | None, config: SurrogateConfig
) -> dict[str, np.ndarray]:
    """Stage-1 tensors with the corrections to numerical relativity added; the input is left as it is."""
    out = dict(tensors)
    model = evaluate(out, config.degree, runs.parameters, runs.t)
    correction = stage2.fit(runs, *model, out["knots"], n_basis=config.stage2_basis, window=NR_WINDOW, fade=300.0)
    out |= {f"stage2.{key}": value for key, value in correction.items()}
    if long_runs is not None:
        model = evaluate(out, config.degree, long_runs.parameters, long_runs.t)
        correction = stage2.fit(
            long_runs,
            *model,
            out["knots"],
            n_basis=config.stage2_long_basis,
            window=LONG_WINDOW,
            fade=1000.0,
            spin_length=0.3,
        )
        out |= {f"stage2_long.{key}": value for key, value in correction.items()}
    return out


def train_surrogate(config: SurrogateConfig, out: Path, progress: stage1.Progress | None = None) -> Path:
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
    """
    begin = time.monotonic()
    data = stage1.load_eob(config.eob)
    runs = stage2.load_runs(str(config.nr)) if config.nr else None
    long_runs = stage2.load_runs(str(config.nr), "spec_") if config.nr else None
    # Only what makes the networks identifies the checkpoints: stage 2 can be repeated without training anew.
    key = config.model_dump_json(exclude={"name", "version", "eob", "nr", "stage2_basis", "stage2_long_basis"})
    digest = hashlib.sha256((key + str(data["parameters"].sum())).encode()).hexdigest()[:12]
    checkpoints = out.with_name(f"{out.name}.checkpoints") / digest
    checkpoints.mkdir(parents=True, exist_ok=True)
    tensors, metrics = stage1.train(data, config, checkpoints, progress)
    training = {"eob_waveforms": len(data["parameters"]), "eob_model": "SEOBNRv5HM (pyseobnr)"}
    if runs is not None and config.nr is not None:
        if progress:
            progress("stage 2", 0, 1)
        tensors = add_stage2(tensors, runs, long_runs, config)
        training |= {"nr_runs": len(runs.name), "nr_sha256": artifacts.sha256(config.nr)}
        if progress:
            progress("stage 2", 1, 1)
    ranges = {"q": {"min": 1.0, "max": config.q_max, "hard_min": 1.0, "hard_max": config.q_hard}} | {
        name: {"min": -config.chi_max, "max": config.chi_max, "hard_min": -config.chi_hard, "hard_max": config.chi_hard}
        for name in ("chi1", "chi2")
    }
    card = {
        "name": config.name,
        "kind": "surrogate",
        "version": config.version,
        "modes": [[2, 2]],
        "degree": config.degree,
        "ranges": ranges,
        "times_M": [float(data["times"][0]), float(data["times"][-1])],
        "units": "geometric: time in M, r h / M",
        "training": training,
        "config": config.model_dump(mode="json", exclude={"eob", "nr"}),
        "metrics": {"stage1_validation": metrics},
        "seconds": round(time.monotonic() - begin, 1),
    }
    return artifacts.save(out, card, tensors)
