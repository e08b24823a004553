"""Training of the remnant model: cross-validation by clusters, calibration of the errors, one artefact."""

from __future__ import annotations

import time
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.settings import Strict, read
from gwsurrogate_ml.surrogate.domain import require_limits
from gwsurrogate_ml.surrogate.remnant import fits

Progress = Callable[[str, int, int], None]
QUANTITIES = ("mass", "spin", "kick")
ARRAYS = ("name", "code", "q", "chi1", "chi2", "mass", "spin", "spin_z", "kick", "aligned", "cluster")
NINETY = 1.6448536269514722
"""The 90 % interval of a normal distribution in standard deviations."""


class RemnantConfig(Strict):
    """What a remnant model is trained on and how; unknown keys are refused."""

    name: str
    version: str = "1"
    runs: Path = Field(description="remnants.npz written by `python -m data_prep remnants`")
    q_max: float = Field(default=16.0, gt=1, description="end of the trained range; beyond it, the test-particle limit")
    q_max_plane: float = Field(default=6.0, gt=1, description="the same for spins with in-plane components")
    q_hard: float = Field(default=1000.0, gt=1)
    chi_max: float = Field(default=0.95, gt=0, le=1)
    n_points: int = Field(default=160, ge=10, description="inducing points for aligned spins")
    n_plane_points: int = Field(default=250, ge=10, description="inducing points for in-plane spins")
    subset: int = Field(default=300, ge=20, description="runs on which hyperparameters are found")
    members: int = Field(default=5, ge=2, description="resampled fits of the recoil")
    folds: int = Field(default=8, ge=2)
    seed: int = 20150914

    @model_validator(mode="after")
    def _limits(self) -> RemnantConfig:
        require_limits(q_max=self.q_max, q_hard=self.q_hard)
        require_limits(q_max_plane=self.q_max_plane, q_hard=self.q_hard)
        return self


def read_config(raw: Mapping[str, Any]) -> RemnantConfig:
    """Settings from a mapping, as read from a TOML file.

    Raises
    ------
    ConfigError
        if a key is unknown, missing or of the wrong type

    Examples
    --------
    >>> read_config({"name": "mine", "runs": "remnants.npz"}).folds
    8
    """
    return read(RemnantConfig, raw)


def load_runs(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a `remnants.npz`, as `python -m data_prep remnants` writes it.

    Raises
    ------
    DataError
        if the file is missing, truncated, lacks an array or holds too few runs
    """
    remedy = "make it by `python -m data_prep remnants`"
    try:
        with np.load(path) as file:
            runs = {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is no table of remnants ({error}): {remedy}") from error
    if missing := sorted(set(ARRAYS) - set(runs)):
        raise DataError(f"{path} has no array {missing[0]!r}: {remedy}")
    if np.sum(runs["aligned"]) < 50 or np.sum(~runs["aligned"]) < 50:
        raise DataError(f"{path} holds fewer than 50 aligned or 50 precessing runs, too few to train on: {remedy}")
    return runs


def folds(cluster: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Fold (N,) of each run: whole clusters, shuffled.

    Examples
    --------
    >>> labels = folds(np.array([0, 0, 1, 2, 2, 3]), 2, seed=0)
    >>> bool(labels[0] == labels[1] and labels[3] == labels[4])
    True
    """
    names, index = np.unique(cluster, return_inverse=True)
    return (np.random.default_rng(seed).permutation(len(names)) % n)[index]


def train_remnant(config: RemnantConfig, out: Path, progress: Progress | None = None) -> Path:
    """Train and write a remnant model to the folder `out`; it takes about a minute.

    Parameters
    ----------
    config : RemnantConfig
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
        if the table of runs cannot be used
    """
    report = progress or (lambda *_: None)
    begin = time.monotonic()
    runs = load_runs(config.runs)
    fold, held_out = cross_validate(runs, config, progress)
    scales, metrics = calibrate(runs, fold, held_out)
    report("final fit", 0, 1)
    parts = _fit(runs, config)
    report("final fit", 1, 1)
    chi = {"min": -config.chi_max, "max": config.chi_max, "hard_min": -1.0, "hard_max": 1.0}
    ranges = {
        "q": {"min": 1.0, "max": config.q_max, "hard_min": 1.0, "hard_max": config.q_hard},
        "chi1": chi,
        "chi2": chi,
    }
    card = {
        "name": config.name,
        "kind": "remnant",
        "version": config.version,
        "description": "mass, spin and recoil of the remnant; general spins; errors calibrated by cross-validation",
        "ranges": ranges,
        "q_max_plane": config.q_max_plane,
        "units": "mass in units of m1 + m2, spin dimensionless, kick in km/s; errors are one standard deviation",
        "reference": "spins of the training runs are those at the catalogues' relaxed time, 10 to 30 orbits before merger",
        "error_scales": scales,
        "training": {
            "runs": len(runs["q"]),
            "aligned": int(runs["aligned"].sum()),
            "clusters": len(np.unique(runs["cluster"])),
            "sha256": artifacts.sha256(config.runs),
        },
        "config": config.model_dump(mode="json", exclude={"runs"}),
        "metrics": metrics,
        "seconds": round(time.monotonic() - begin, 1),
    }
    return artifacts.save(out, card, parts.tensors())


def _fit(runs: Mapping[str, np.ndarray], config: RemnantConfig) -> fits.Parts:
    return fits.fit(
        runs, config.n_points, config.n_plane_points, config.subset, config.members, config.seed
    )  # fmt: skip


def cross_validate(
    runs: Mapping[str, np.ndarray], config: RemnantConfig, progress: Progress | None = None
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Fold (N,) of each run, and predictions and raw errors (N,) of models that did not see the run's cluster.

    Everything is fitted anew in each fold, hyperparameters included.
    """
    report = progress or (lambda *_: None)
    fold = folds(runs["cluster"], config.folds, config.seed)
    held_out = {key: np.full(len(fold), np.nan) for key in fits.RemnantState.__dataclass_fields__}
    for k in range(config.folds):
        report("cross-validation", k, config.folds)
        test = fold == k
        parts = _fit({key: value[~test] for key, value in runs.items()}, config)
        prediction = fits.predict(parts, runs["q"][test], runs["chi1"][test], runs["chi2"][test])
        for key, value in vars(prediction).items():
            held_out[key][test] = value
    report("cross-validation", config.folds, config.folds)
    return fold, held_out


def calibrate(
    runs: Mapping[str, np.ndarray], fold: np.ndarray, held_out: Mapping[str, np.ndarray]
) -> tuple[dict[str, dict[str, float]], dict[str, Any]]:
    """Factors of the errors such that 90 % of the held-out runs lie in the 90 % interval, and the metrics for the card.

    Mass and spin are calibrated on SXS runs, kicks on RIT runs (SXS gives none). The coverage of each fold is measured with the
    factor that the other folds give.
    """
    scales: dict[str, dict[str, float]] = {}
    metrics: dict[str, Any] = {"how": f"{fold.max() + 1} folds by parameter cluster, hyperparameters refitted in each fold"}
    for group, chosen in (("aligned", runs["aligned"]), ("general", ~runs["aligned"])):
        scales[group] = {}
        for quantity in QUANTITIES:
            for code in ("SXS", "RIT"):
                rows = chosen & (runs["code"] == code) & np.isfinite(runs[quantity])
                if not np.any(rows):
                    continue
                error = np.abs(held_out[quantity] - runs[quantity])[rows]
                ratio = error / held_out[f"{quantity}_error"][rows]
                if quantity not in scales[group]:
                    scales[group][quantity] = _factor(ratio)
                    inside = [ratio[fold[rows] == k] <= NINETY * _factor(ratio[fold[rows] != k]) for k in np.unique(fold[rows])]
                    coverage = float(np.mean(np.concatenate(inside)))
                else:
                    coverage = float(np.mean(ratio <= NINETY * scales[group][quantity]))
                metrics[f"{group} {quantity} {code}"] = {
                    "n": int(rows.sum()),
                    "rms": float(f"{np.sqrt(np.mean(error**2)):.3g}"),
                    "median": float(f"{np.median(error):.3g}"),
                    "p90": float(f"{np.quantile(error, 0.9):.3g}"),
                    "coverage_90": round(coverage, 3),
                }
    rows = ~runs["aligned"] & np.isfinite(runs["spin_z"])
    bend = np.abs(held_out["spin_z"] - runs["spin_z"])[rows]
    metrics["general spin_z SXS"] = {"n": int(rows.sum()), "rms": float(f"{np.sqrt(np.mean(bend**2)):.3g}")}
    return scales, metrics


def _factor(ratio: np.ndarray) -> float:
    """What the errors are multiplied by for 90 % coverage."""
    return float(np.quantile(ratio, 0.9) / NINETY)
