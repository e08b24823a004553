"""Training of the early inspiral: polynomials by least squares to SEOBNRv5HM minus the post-Newtonian baseline, one artefact."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.settings import Strict
from gwsurrogate_ml.surrogate.aligned import baseline, higher, stage1
from gwsurrogate_ml.surrogate.aligned.coordinates import features, split
from gwsurrogate_ml.surrogate.aligned.inspiral import PADS, Inspiral
from gwsurrogate_ml.surrogate.aligned.predictor import chebyshev_terms
from gwsurrogate_ml.surrogate.domain import EOB_MODES
from gwsurrogate_ml.surrogate.fits.ensemble import Progress


class InspiralConfig(Strict):
    """What an early inspiral is trained on; unknown keys are refused."""

    name: str
    version: str = "1"
    data: Path = Field(description="folder written by `python -m data_prep inspiral`")
    degree: int = Field(default=6, ge=1, le=12)
    n_basis: int = Field(default=12, ge=1)
    higher_basis: int = Field(default=6, ge=1)
    validation_fraction: float = Field(default=0.1, gt=0, lt=1)
    seed: int = 20170817


def train_inspiral(config: InspiralConfig, out: Path, progress: Progress | None = None) -> Path:
    """Train and write an early inspiral to the folder `out`.

    Returns
    -------
    Path of the artefact

    Raises
    ------
    DataError
        if the training set cannot be read
    ConfigError
        if it is too small
    """
    begin = time.monotonic()
    data = stage1.load_eob(config.data, higher_modes=True)
    parameters, t = data["parameters"], data["times"]
    held = np.random.default_rng(config.seed).random(len(parameters)) < config.validation_fraction
    terms = chebyshev_terms(features(parameters), config.degree)
    if not held.any() or np.sum(~held) < 2 * terms.shape[1]:
        raise ConfigError(
            f"{config.data} holds {len(parameters)} waveforms: polynomials of degree {config.degree} need {2 * terms.shape[1]} and "
            "some to validate; lower degree or make more"
        )
    modes = EOB_MODES
    leading, targets = _leading(data), higher.targets(data, modes)
    mean = leading[~held].mean(0)
    _, _, vectors = np.linalg.svd(leading[~held] - mean, full_matrices=False)
    basis = vectors[: config.n_basis]
    bases, coefficients = higher.project(targets[~held], config.higher_basis)
    f, g = higher.combination(parameters[~held], modes, config.higher_basis)
    tensors = {
        "knots": t,
        "leading.mean": mean,
        "leading.basis": basis,
        "leading.polynomial": np.linalg.lstsq(terms[~held], (leading[~held] - mean) @ basis.T, rcond=1e-12)[0],
        "higher.basis": bases,
        "higher.polynomial": higher.polynomial(terms[~held], f, g, coefficients),
    }
    card: dict[str, Any] = {
        "name": config.name,
        "kind": "inspiral",
        "version": config.version,
        "description": f"early inspiral of aligned spins, {-t[0]:,.0f} to {-t[-1 - PADS]:,.0f} M before the peak",
        "modes": [[2, 2], *modes],
        "degree": config.degree,
        "ranges": {
            name: {"min": float(column.min()), "max": float(column.max())}
            for name, column in zip(("q", "chi1", "chi2"), parameters.T, strict=True)
        },
        "times_M": [float(t[0]), float(t[-1 - PADS])],
        "units": "geometric: time in M, r h / M",
        "training": {"eob_waveforms": len(parameters), "eob_model": "SEOBNRv5HM (pyseobnr)"},
        "config": config.model_dump(mode="json", exclude={"data"}),
    }
    inspiral = Inspiral(card, tensors, ((2, 2), *modes))
    card["metrics"] = {"validation": _errors(inspiral, data, held)}
    card["seconds"] = round(time.monotonic() - begin, 1)
    return artifacts.save(out, card, tensors)


def _leading(data: dict[str, np.ndarray]) -> np.ndarray:
    """Residuals (n, 2 n_t) to the baseline: phase, counted from the join, then log amplitude."""
    t, (eta, m1, _, chi1, chi2) = data["times"], split(data["parameters"])
    phase = data["phase22"] - baseline.phase(t, eta, m1, chi1, chi2)
    phase -= phase[:, -1 - PADS, None]
    return np.concatenate([phase, np.log(data["amp22"] / baseline.amplitude(t, eta))], axis=1)


def _errors(inspiral: Inspiral, data: dict[str, np.ndarray], held: np.ndarray) -> dict[str, Any]:
    """Errors on waveforms that no fit has seen, percentiles over them of the largest over the times before the join."""
    early = slice(inspiral.n_early)
    parameters = data["parameters"][held]
    phase, log_amplitude, more = inspiral.rows(parameters, inspiral.tensors, np)
    true = data["phase22"][held]
    found = {
        "phase_rad": np.abs(phase - (true - true[:, inspiral.n_early, None]))[:, early].max(1),
        "log_amplitude": np.abs(log_amplitude - np.log(data["amp22"][held]))[:, early].max(1),
    }
    difference = more[:, :, 0] + 1j * more[:, :, 1] - data["coorbital"][held] * higher.in_lal_frame(inspiral.modes[1:])[:, None]
    against_22 = np.abs(difference[..., early] / data["amp22"][held][:, None, early]).max(2)
    found |= {f"{l}{m}_over_22": column for (l, m), column in zip(inspiral.modes[1:], against_22.T, strict=True)}
    return {"how": "validation points, the largest error before the join", "n": len(parameters)} | {
        name: {str(p): float(np.percentile(x, p)) for p in (50, 90, 99)} for name, x in found.items()
    }
