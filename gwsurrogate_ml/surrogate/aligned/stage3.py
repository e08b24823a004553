"""Stage 3: the higher modes towards numerical relativity where NRSur7dq2 knows it, by polynomials on principal components.

NRSur7dq2: Blackman et al. 2017, arXiv:1705.07089, in its limit of spins along the orbit, mass ratios to 2, spins to 0.8, from
4500 M before the peak. What is corrected are the co-orbital modes; (2,2), and with it the orbital phase, stays stage 2's. How the
correction is evaluated, and fades outside, says `correction`. In time it sets in late: earlier NRSur7dq2's faint modes are off by
the error of its own fits, (4,4) by 5 % and (4,3) by 20 % where SEOBNRv5HM and IMRPhenomTHM agree to 1 %.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.surrogate.aligned import baseline, correction, higher, stage1
from gwsurrogate_ml.surrogate.aligned.coordinates import split
from gwsurrogate_ml.surrogate.aligned.correction import exponents, rise, terms
from gwsurrogate_ml.surrogate.aligned.predictor import log_amplitude_and_phase

Array = Any
MODES: tuple[ModeKey, ...] = ((2, 1), (3, 3), (3, 2), (4, 4), (4, 3))
"""Order of the modes in the set's `coorbital`."""
START, FULL = -600.0, -150.0
"""M: between them the correction sets in, as it is at the later one."""
LATE, END = 20.0, 42.0
"""M: between them it sets out: afterwards the remnant's quasi-normal modes rule, which stage 1 learned better."""
RECIPE = "nrsur7dq2-aligned"
GAUGE = (-1000.0, 50.0)
"""M, where both (2,2) modes are brought together in time."""


def read(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """A set as `python -m data_prep nrsur7dq2-aligned` writes it, and what it was made with.

    Raises
    ------
    DataError
        if the folder holds none, or only a part of one
    """
    data = stage1.load_eob(folder, True, RECIPE)
    made = dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    if len(data["parameters"]) != made["n"]:
        raise DataError(
            f"{folder} holds {len(data['parameters'])} of {made['n']} binaries: let `python -m data_prep {RECIPE}` end first"
        )
    return data, made


def gauge(knots: np.ndarray, log_amplitude: np.ndarray, phase: np.ndarray, times: np.ndarray, phase22: np.ndarray) -> float:
    """Time in M to add to the model's that brings the phases of both (2,2) modes closest, weighted with amplitude squared.

    Parameters
    ----------
    knots, log_amplitude, phase : (n,) float64
        the model's, phase growing
    times, phase22 : (n_t,) float64
        NRSur7dq2's
    """
    t = np.arange(GAUGE[0], GAUGE[1])
    weight = np.exp(CubicSpline(knots, log_amplitude)(t))
    wanted, spline, shift = CubicSpline(knots, phase)(t), CubicSpline(times, phase22), 0.0
    for _ in range(8):
        design = np.column_stack([spline(t + shift, 1), np.ones_like(t)]) * weight[:, None]
        shift += np.linalg.lstsq(design, (wanted - spline(t + shift)) * weight, rcond=None)[0][0]
    return float(shift)


def residuals(data: dict[str, np.ndarray], tensors: dict[str, np.ndarray], degree: int, modes: tuple[ModeKey, ...]) -> np.ndarray:
    """NRSur7dq2 minus the model (n, n_modes of `MODES`, 2 n_knots) in units of the leading-order (2,2) amplitude, held at `FULL`
    before it and set out at the end.

    Parameters
    ----------
    data : dict
        a set, from `read`
    tensors, degree : of the model without stage 3
    modes : its higher modes
    """
    knots, parameters = tensors["knots"], data["parameters"]
    log_amplitude, phase = log_amplitude_and_phase(parameters, tensors, degree)
    model = higher.coorbital(parameters, tensors, degree, modes)[:, [modes.index(mode) for mode in MODES]]
    at = np.clip(knots, FULL, END)
    window = rise((knots - START) / (FULL - START)) * (1.0 - rise((knots - LATE) / (END - LATE)))
    scale = window / baseline.amplitude(at, split(parameters)[0])
    out = np.empty(model.shape)
    for i in range(len(parameters)):
        shift = gauge(knots, log_amplitude[i], phase[i], data["times"], data["phase22"][i])
        nr = CubicSpline(data["times"], data["coorbital"][i].astype(np.complex128), axis=1)(at + shift)
        own = CubicSpline(knots, model[i], axis=2)(at)
        out[i] = (np.stack([nr.real, nr.imag], 1) - own) * scale[i]
    return out.reshape(*out.shape[:2], -1)


def fit(
    y: np.ndarray, parameters: np.ndarray, modes: tuple[ModeKey, ...], n_basis: int, polynomial_degree: int
) -> dict[str, np.ndarray]:
    """The tensors of stage 3 from the `residuals` `y` at `parameters` (n, 3); modes that it does not know get zeros.

    Returns
    -------
    dict
        `stage3.basis` (n_modes, n_basis, 2 n_knots), `stage3.polynomial` (n_terms, n_modes n_basis) float64: see `correction`
    """
    which = exponents(polynomial_degree)
    bases = np.zeros((len(modes), n_basis, y.shape[2]))
    polynomial = np.zeros((len(which), len(modes), n_basis))
    table = terms(parameters, len(which))
    found, coefficients = higher.project(y, n_basis)
    for k, mode in enumerate(MODES):
        of_parity = [i for i, (a, _, c) in enumerate(which) if (a + c) % 2 == mode[1] % 2]
        row = modes.index(mode)
        bases[row] = found[k]
        wanted = coefficients[:, k * n_basis : (k + 1) * n_basis]
        polynomial[of_parity, row] = np.linalg.lstsq(table[:, of_parity], wanted, rcond=1e-10)[0]
    return {"stage3.basis": bases.astype(np.float32), "stage3.polynomial": polynomial.reshape(len(which), -1)}


def add(
    tensors: dict[str, np.ndarray], modes: tuple[ModeKey, ...], config: Any
) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, Any]]:
    """Tensors of a model with stage 3 added (one that they have is replaced), its errors, and what it was made from.

    Parameters
    ----------
    tensors : of a model
    modes : its higher modes
    config : SurrogateConfig

    Raises
    ------
    ConfigError
        if the model lacks a mode, or the sets were made with one seed: the errors would be of what was learned
    DataError
        if a set cannot be read
    """
    if missing := [mode for mode in MODES if mode not in modes]:
        raise ConfigError(f"nrsur7dq2 corrects {missing[0]}, which the model lacks: add it to higher_modes")
    first = {key: value for key, value in tensors.items() if not key.startswith("stage3")}
    as_doubles = {key: value.astype(np.float64) for key, value in first.items()}
    data, made = read(config.nrsur7dq2)
    y = residuals(data, as_doubles, config.degree, modes)
    new = fit(y, data["parameters"], modes, config.stage3_basis, config.stage3_degree)
    metrics: dict[str, Any] = {}
    sets: dict[str, Any] = {"model": "NRSur7dq2 1.0.6 (arXiv:1705.07089), spins held along the orbit", "set": made}
    if config.nrsur7dq2_held_out:
        data, sets["held_out"] = read(config.nrsur7dq2_held_out)
        if sets["held_out"]["seed"] == made["seed"]:
            raise ConfigError(
                f"{config.nrsur7dq2} and {config.nrsur7dq2_held_out} have one seed: make the held-out set with another (--seed)"
            )
        metrics = assess(residuals(data, as_doubles, config.degree, modes), data["parameters"], new, modes)
    return first | new, metrics, sets


def assess(y: np.ndarray, parameters: np.ndarray, tensors: dict[str, np.ndarray], modes: tuple[ModeKey, ...]) -> dict[str, Any]:
    """Errors on held-out binaries: `y` is their `residuals`, `tensors` those of stage 3."""
    rows = [modes.index(mode) for mode in MODES]
    found = correction.coefficients(parameters, tensors)[:, rows].swapaxes(0, 1) @ tensors["stage3.basis"][rows]
    # Root mean squares over the knots, in units of the leading-order (2,2) amplitude, as in `higher.spread`.
    before, after = (np.sqrt((x**2).sum(2) / (x.shape[2] // 2)) for x in (y, y - found.swapaxes(0, 1)))
    return {
        "how": "held-out binaries of NRSur7dq2, error of the co-orbital mode over the norm of (2,2), both over the knots; without "
        "and with stage 3; error_factor_90: of `correction.sizes`, bounds nine in ten errors",
        "n": len(parameters),
        "error_factor_90": {
            f"{l}{m}": float(np.quantile(after[:, k] / correction.sizes(parameters, m), 0.9)) for k, (l, m) in enumerate(MODES)
        },
        "without": {f"{l}{m}": quantiles(before[:, k]) for k, (l, m) in enumerate(MODES)},
        "with": {f"{l}{m}": quantiles(after[:, k]) for k, (l, m) in enumerate(MODES)},
    }


def quantiles(values: np.ndarray) -> dict[str, float]:
    """Median, 90th percentile and maximum."""
    return {str(p): float(np.percentile(values, p)) for p in (50, 90, 100)}
