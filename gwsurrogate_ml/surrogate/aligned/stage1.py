"""Stage 1: the reduced basis, the polynomial and the ensemble of networks for SEOBNRv5HM minus the PN baseline.

The phase's additive constant carries no physics and is projected out before the basis is made. Amplitude and phase are
weighted by the expected amplitude after the peak, so that the faint end of the ringdown does not fill the basis.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.surrogate.aligned import baseline
from gwsurrogate_ml.surrogate.aligned.coordinates import features, split
from gwsurrogate_ml.surrogate.aligned.predictor import chebyshev_terms, stage1_coefficients
from gwsurrogate_ml.surrogate.fits.ensemble import Ensemble, Progress

LOG_AMPLITUDE_WEIGHT = 2.0
"""How much more a radian's worth of relative amplitude error costs than a radian of phase error in the loss."""


def load_eob(folder: Path, higher_modes: bool = False, recipe: str = "eob") -> dict[str, np.ndarray]:
    """Training waveforms written by `python -m data_prep eob`, or by another `recipe` of the same format.

    Returns
    -------
    dict
        `times` (n_t,) in M, `parameters` (n, 3), `amp22` and `phase22` (n, n_t) float64, and with `higher_modes` `coorbital`
        (n, n_modes, n_t) complex64

    Raises
    ------
    DataError
        if the folder holds no chunk, or fewer waveforms than were to be made, or the chunks do not fit the times
    """
    folder = Path(folder)
    chunks = sorted(folder.glob("chunk_?????.npz"))
    if not chunks or not (folder / "times.npy").exists():
        raise DataError(f"{folder} holds no training waveforms: make them by `python -m data_prep {recipe} --out {folder}`")
    keys = ["parameters", "amp22", "phase22"] + ["coorbital"] * higher_modes
    out: dict[str, list[np.ndarray]] = {key: [] for key in keys}
    for path in chunks:
        try:
            with np.load(path) as chunk:
                for key, rows in out.items():
                    rows.append(chunk[key])
        except Exception as error:  # OSError, ValueError, KeyError, EOFError, BadZipFile or zlib.error, as the damage is
            raise DataError(
                f"{path} is truncated or no chunk of training waveforms ({error}): delete it and run `python -m data_prep {recipe}`"
            ) from error
        if bad := [key for key, rows in out.items() if not np.isfinite(rows[-1]).all()]:
            raise DataError(f"{bad[0]} in {path} is not finite: delete the file and run `python -m data_prep {recipe}`")
    try:
        data = {key: np.concatenate(rows) for key, rows in out.items()}
        data["times"] = np.load(folder / "times.npy")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{folder}: chunks or times.npy do not fit one another ({error}): make the set anew") from error
    if data["amp22"].shape[1] != len(data["times"]):
        raise DataError(f"{folder}: waveforms have {data['amp22'].shape[1]} times, times.npy has {len(data['times'])}")
    wanted = json.loads((folder / "config.json").read_text()).get("n") if (folder / "config.json").exists() else None
    if wanted is not None and len(data["parameters"]) != wanted:
        raise DataError(
            f"{folder} holds {len(data['parameters'])} of {wanted} training waveforms: run `python -m data_prep {recipe} --out "
            f"{folder}` again, which goes on"
        )
    return data


def knot_weights(t: np.ndarray) -> np.ndarray:
    """Weight (n_t,) of each knot: 1 to 20 M after the peak, then falling with the ringdown's amplitude, at least 1e-3."""
    return np.maximum(np.exp(-np.clip(t - 20.0, 0.0, None) / 40.0), 1e-3)


def _targets(data: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Weighted residuals (n, 2 n_t) to the PN baseline, phase then log amplitude, and the weights (2 n_t,)."""
    t = data["times"]
    eta, m1, _, chi1, chi2 = split(data["parameters"])
    weight = knot_weights(t)
    phase = data["phase22"] - baseline.phase(t, eta, m1, chi1, chi2)
    phase -= (phase @ weight**2)[:, None] / np.sum(weight**2)
    log_amplitude = np.log(data["amp22"] / baseline.amplitude(t, eta))
    both = np.concatenate([weight, LOG_AMPLITUDE_WEIGHT * weight])
    return np.concatenate([phase, log_amplitude], axis=1) * both, both


def train(
    data: dict[str, np.ndarray],
    config: Any,
    checkpoints: Path,
    progress: Progress | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Fit stage 1.

    Parameters
    ----------
    data : dict
        as from `load_eob`
    config : SurrogateConfig
    checkpoints : Path
        folder for finished and unfinished ensemble members; a killed run resumes from it
    progress : callable, optional
        (stage, done, total)

    Returns
    -------
    tensors : dict of float64 arrays
        `knots` and the `stage1.*` tensors of `predictor`
    metrics : dict
        errors on the validation points, which no fit has seen
    """
    t = data["times"]
    rng = np.random.default_rng(config.seed)
    held = rng.random(len(data["parameters"])) < config.validation_fraction
    if not held.any():
        raise ConfigError(
            f"validation_fraction is {config.validation_fraction:g}: of {len(held)} waveforms it holds back none, raise it"
        )
    targets, weight = _targets(data)
    mean = targets[~held].mean(0)
    _, _, vectors = np.linalg.svd(targets[~held] - mean, full_matrices=False)
    basis = vectors[: config.n_basis]
    coefficients = (targets - mean) @ basis.T
    x = features(data["parameters"])
    terms = chebyshev_terms(x, config.degree)
    polynomial = np.linalg.lstsq(terms[~held], coefficients[~held], rcond=1e-10)[0]
    rest = coefficients - terms @ polynomial
    tensors: dict[str, np.ndarray] = {
        "knots": t,
        "stage1.mean": mean / weight,
        "stage1.basis": basis / weight,
        "stage1.polynomial": polynomial,
        "stage1.input_mean": x[~held].mean(0),
        "stage1.input_scale": x[~held].std(0),
        "stage1.output_scale": rest[~held].std(0),
    }
    inputs = (x - tensors["stage1.input_mean"]) / tensors["stage1.input_scale"]
    outputs = rest / tensors["stage1.output_scale"]
    members = Ensemble("stage1", "stage 1", config, checkpoints, progress)
    tensors |= members.train(inputs[~held], outputs[~held], tensors["stage1.output_scale"])
    return tensors, _errors(targets[held], x[held], tensors, weight, config.degree)


def _errors(targets: np.ndarray, x: np.ndarray, tensors: dict[str, np.ndarray], weight: np.ndarray, degree: int) -> dict[str, Any]:
    """Root-mean-square phase and amplitude errors over the knots up to 30 M, percentiles over waveforms."""
    n = len(weight) // 2
    late = tensors["knots"] < 30.0
    predicted = tensors["stage1.mean"] + stage1_coefficients(x, tensors, degree) @ tensors["stage1.basis"]
    error = predicted - targets / weight
    phase, amplitude = error[:, :n][:, late], error[:, n:][:, late]
    phase = phase - phase.mean(1, keepdims=True)
    return {
        "how": "validation points of the EOB set, root mean square over knots up to 30 M",
        "n": len(x),
        "phase_rms_rad": {str(p): float(np.percentile(np.sqrt((phase**2).mean(1)), p)) for p in (50, 90, 99)},
        "log_amplitude_rms": {str(p): float(np.percentile(np.sqrt((amplitude**2).mean(1)), p)) for p in (50, 90, 99)},
    }
