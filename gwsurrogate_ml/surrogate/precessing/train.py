"""Fits of the precessing model: at each time, polynomials by least squares to what NRSur7dq2 gives for the spins there."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field
from scipy.stats import qmc

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.settings import Strict
from gwsurrogate_ml.surrogate.aligned.modes import AlignedModes
from gwsurrogate_ml.surrogate.fits.ensemble import Progress
from gwsurrogate_ml.surrogate.precessing import compiled, coorbital, dynamics, polynomials
from gwsurrogate_ml.surrogate.precessing.modes import PrecessingModes
from gwsurrogate_ml.surrogate.precessing.polynomials import Monomials

ALIGNED_BINARIES = 512


class PrecessingConfig(Strict):
    """What a precessing surrogate is trained on; unknown keys are refused."""

    name: str
    version: str = "1"
    data: Path = Field(description="folder written by `python -m data_prep nrsur7dq2`")
    validation: Path = Field(description="another such folder, with another seed")
    aligned_model: str = "nrhm"
    degree: int = Field(default=4, ge=1, le=6)
    q_max: float = Field(default=2.0, gt=1)
    q_hard: float = Field(default=2.0, gt=1)
    chi_max: float = Field(default=0.8, gt=0, le=1)
    chi_hard: float = Field(default=0.9, gt=0, le=1)


def read(folder: Path) -> dict[str, np.ndarray]:
    """A set as `data_prep.nrsur7dq2` writes it, with `nodes` and `times`.

    Raises
    ------
    DataError
        if the folder holds none
    """
    paths = sorted(path for path in folder.glob("chunk_*.npz") if not path.name.endswith(".tmp.npz"))
    if not paths:
        raise DataError(f"{folder} holds no training set: make it with `python -m data_prep nrsur7dq2 --out {folder}`")
    parts = []
    for path in paths:
        with np.load(path) as file:
            parts.append(dict(file))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if len(found["parameters"]) != (n := set_card(folder)["n"]):
        raise DataError(f"{folder} holds {len(found['parameters'])} of {n} binaries: let `python -m data_prep nrsur7dq2` end first")
    return found | {name: np.load(folder / f"{name}.npy") for name in ("nodes", "times")}


def combined(rates: np.ndarray) -> np.ndarray:
    """The rates (..., 9) with half sum and half difference of the spins' in place of the two."""
    first, second = rates[..., 3:6], rates[..., 6:]
    return np.concatenate([rates[..., :3], 0.5 * (first + second), 0.5 * (first - second)], axis=-1)


def spins_at(data: dict[str, np.ndarray]) -> np.ndarray:
    """Co-orbital spins (N, n_t, 6) at the times of the modes, as the model finds them between its nodes."""
    spins, rates, phase = data["spins"], data["rates"], data["phase"]
    cosine, sine = np.cos(phase)[..., None], np.sin(phase)[..., None]

    def turned_back(vectors: np.ndarray) -> np.ndarray:
        parts = []
        for k in (0, 3):
            x, y = vectors[..., k : k + 1], vectors[..., k + 1 : k + 2]
            parts += [x * cosine - y * sine, x * sine + y * cosine, vectors[..., k + 2 : k + 3]]
        return np.concatenate(parts, axis=-1)

    nothing = np.zeros((*phase.shape, 4))
    states = np.concatenate([nothing, phase[..., None], turned_back(spins)], axis=-1)
    slopes = np.concatenate([nothing, rates[..., :1], turned_back(rates[..., 3:])], axis=-1)
    table = coorbital.table(polynomials.monomials(1), np.zeros((len(data["times"]), 0, 0)), data["nodes"], data["times"])
    out = np.empty((len(spins), len(data["times"]), 6))
    for i in range(len(spins)):
        at = coorbital.states_at(table, data["nodes"], states[i], slopes[i])
        c, s = np.cos(at[:, 4]), np.sin(at[:, 4])
        for k in (0, 3):
            out[i, :, k], out[i, :, k + 1] = c * at[:, 5 + k] + s * at[:, 6 + k], c * at[:, 6 + k] - s * at[:, 5 + k]
            out[i, :, k + 2] = at[:, 7 + k]
    return out


def fit(m: Monomials, table: np.ndarray, values: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Coefficients (n_values, n_most) of polynomials of the `kinds` for `values` (N, n_values); monomials' `table` (N, n)."""
    out = np.zeros((len(kinds), np.diff(m.first).max()))
    for kind in range(4):
        of_kind = np.flatnonzero(kinds == kind)
        columns = slice(m.first[kind], m.first[kind + 1])
        found = np.linalg.lstsq(table[:, columns], values[:, of_kind], rcond=1e-10)[0]
        out[of_kind, : len(found)] = found.T
    return out


def of_aligned(m: Monomials, aligned: AlignedModes, q_max: float, chi_max: float, times: np.ndarray) -> np.ndarray:
    """Coefficients (n_t, 2, n_most) of the aligned model's co-orbital (5, 5) at `times`, by spins along the orbit."""
    u = qmc.Sobol(3, seed=5).random(ALIGNED_BINARIES)
    binaries = np.column_stack([1 + (q_max - 1) * u[:, 0], chi_max * (2 * u[:, 1:] - 1)])
    values = np.zeros((len(binaries), len(times), 2))
    place = np.full((len(aligned.modes), 2), -1)
    place[aligned.modes.index((5, 5))] = 0, 1
    for row, binary in zip(values, binaries, strict=True):
        out = np.zeros((len(times), 2), np.complex128)
        compiled.mix_aligned(aligned, tuple(binary), times, np.zeros(len(times)), 0.0, place, out)
        row[:, 0], row[:, 1] = out[:, 0].real, out[:, 0].imag
    spins = np.zeros((len(binaries), 6))
    spins[:, 2], spins[:, 5] = binaries[:, 1], binaries[:, 2]
    table = polynomials.table(m, binaries[:, 0].copy(), spins)
    kinds = coorbital.kinds()[-2:]
    return np.stack([fit(m, table, values[:, i], kinds) for i in range(len(times))])


def tensors(
    data: dict[str, np.ndarray], aligned: AlignedModes, config: PrecessingConfig, progress: Progress | None
) -> dict[str, np.ndarray]:
    """Tensors of the model from a set, as `read` gives it, and from the model of aligned spins."""
    m = polynomials.monomials(config.degree)
    q, total = data["parameters"][:, 0].copy(), len(data["nodes"]) + len(data["times"])
    rates, modes = [], []
    for i in range(len(data["nodes"])):
        table = polynomials.table(m, q, data["spins"][:, i].copy())
        rates.append(fit(m, table, combined(data["rates"][:, i]), dynamics.KINDS))
        if progress:
            progress("fits", i, total)
    spins, kinds = spins_at(data), coorbital.kinds()[:-2]
    for i in range(len(data["times"])):
        pieces = coorbital.split(data["modes"][:, :, i : i + 1].astype(np.complex128))[..., 0]
        modes.append(fit(m, polynomials.table(m, q, spins[:, i].copy()), pieces, kinds))
        if progress:
            progress("fits", len(data["nodes"]) + i, total)
    last = of_aligned(m, aligned, config.q_max, config.chi_max, data["times"])
    return {
        "nodes": data["nodes"],
        "times": data["times"],
        "rates": np.stack(rates).astype(np.float32),
        "modes": np.concatenate([np.stack(modes), last], axis=1).astype(np.float32),
    }


def validate(model: PrecessingModes, data: dict[str, np.ndarray]) -> dict[str, Any]:
    """Errors on binaries of another set: orbital phase and frame at the peak (rad), co-orbital modes relative to their norm."""
    phase, frame, relative = [], [], []
    at, known = int(np.argmin(np.abs(data["nodes"]))), len(coorbital.KNOWN)
    for i, row in enumerate(data["parameters"]):
        e = model.evolve(float(row[0]), row[1:4], row[4:], float(data["nodes"][0]), 0.0)
        state = e.states[len(e.nodes) - len(data["nodes"]) + at]
        phase.append(abs(state[4] - data["phase"][i, at]))
        frame.append(2 * np.arccos(min(abs(float(state[:4] @ data["frame"][i, at])), 1.0)))
        truth = data["modes"][i].T
        off = e.coorbital[-len(truth) :, :known] - truth
        relative.append(np.linalg.norm(off) / np.linalg.norm(truth))
    found = {"phase_at_peak": phase, "frame_at_peak": frame, "coorbital_modes": relative}
    return {"n": len(phase)} | {
        name: {str(p): float(np.percentile(values, p)) for p in (50, 90, 100)} for name, values in found.items()
    }


def train_precessing(config: PrecessingConfig, out: Path, progress: Progress | None = None) -> Path:
    """Train and write a precessing surrogate to the folder `out`.

    Parameters
    ----------
    config : PrecessingConfig
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
        if a set cannot be read
    ConfigError
        if the sets were made with one seed: the figures would be of what was learned
    """
    begin = time.monotonic()
    data, other, made, made_other = read(config.data), read(config.validation), set_card(config.data), set_card(config.validation)
    if made["seed"] == made_other["seed"]:
        raise ConfigError(f"{config.data} and {config.validation} have one seed: make the set of validation with another (--seed)")
    if any(made[name] < getattr(config, name) for name in ("q_max", "chi_max")):
        raise ConfigError(
            f"{config.data} reaches to q_max {made['q_max']}, chi_max {made['chi_max']}: the configuration asks for more"
        )
    aligned_card, weights = artifacts.load(config.aligned_model, "surrogate")
    aligned = AlignedModes(aligned_card, weights)
    if (5, 5) not in aligned.modes:
        raise ConfigError(f"{config.aligned_model} has no (5,5), which is taken from it: name a model that has, such as nrhm")
    found = tensors(data, aligned, config, progress)
    spin = {"min": 0.0, "max": config.chi_max, "hard_min": 0.0, "hard_max": config.chi_hard}
    card: dict[str, Any] = {
        "name": config.name,
        "kind": "surrogate",
        "version": config.version,
        "description": "waveforms of any spins, all modes to l = 4 and (5,5)",
        "aligned_model": config.aligned_model,
        "aligned_weights_sha256": aligned_card["weights_sha256"],
        "degree": config.degree,
        "ranges": {
            "q": {"min": 1.0, "max": config.q_max, "hard_min": 1.0, "hard_max": config.q_hard},
            "chi1": spin,
            "chi2": spin,
        },
        "training": {
            "model": "NRSur7dq2 1.0.6 (Blackman et al. 2017, arXiv:1705.07089)",
            "binaries": len(data["parameters"]),
            "set": made,
            "validation": made_other,
        },
    }
    metrics = {"nrsur7dq2_validation": validate(PrecessingModes(card, found, aligned), other)}
    card |= {"metrics": metrics, "seconds": round(time.monotonic() - begin)}
    return artifacts.save(out, card, found)


def set_card(folder: Path) -> dict[str, Any]:
    """What the set was made with."""
    return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
