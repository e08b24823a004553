"""Fits of the precessing model: at each time, polynomials by least squares to what NRSur7dq2 gives for the spins there, and others
to what SEOBNRv5PHM gives for mass ratios beyond."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, model_validator
from scipy.stats import qmc

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.settings import Strict
from gwsurrogate_ml.surrogate.aligned.modes import AlignedModes
from gwsurrogate_ml.surrogate.domain import require_limits
from gwsurrogate_ml.surrogate.fits.ensemble import Progress
from gwsurrogate_ml.surrogate.precessing import compiled, coorbital, dynamics, polynomials, uncertainty
from gwsurrogate_ml.surrogate.precessing.evolved import Evolved
from gwsurrogate_ml.surrogate.precessing.modes import SEEN, PrecessingModes
from gwsurrogate_ml.surrogate.precessing.polynomials import Monomials
from gwsurrogate_ml.surrogate.precessing.tables import MOST

ALIGNED_BINARIES = 512
ENOUGH = 2e-4
"""Of the modes' norm: what a piece may lose for fewer powers of the spins."""


Degree = Annotated[int, Field(ge=1, le=MOST)]


class PrecessingConfig(Strict):
    """What a precessing surrogate is trained on; unknown keys are refused."""

    name: str
    version: str = "1"
    data: Path = Field(description="folder written by `python -m data_prep nrsur7dq2`")
    validation: Path = Field(description="another such folder, with another seed")
    beyond: Path = Field(description="folder written by `python -m data_prep seobnrv5phm`")
    beyond_validation: Path = Field(description="another such folder, with another seed")
    aligned_model: str = "nrhm"
    degree_of_rates: tuple[Degree, Degree] = Field(default=(3, 6), description="of the polynomials, in the spins and in all")
    degree_of_modes: tuple[Degree, Degree] = Field(default=(3, 5), description="the same of the modes")
    q_simulated: float = Field(default=2.0, gt=1, description="up to here simulations, from `q_beyond` on SEOBNRv5PHM")
    q_beyond: float = Field(default=2.5, gt=1)
    q_max: float = Field(default=6.0, gt=1)
    chi_max: float = Field(default=0.8, gt=0, le=1)
    chi_hard: float = Field(default=0.9, gt=0, le=1)

    @model_validator(mode="after")
    def _limits(self) -> PrecessingConfig:
        require_limits(chi_max=self.chi_max, chi_hard=self.chi_hard)
        return self


def read(folder: Path) -> dict[str, np.ndarray]:
    """A set as `data_prep.nrsur7dq2` or `data_prep.seobnrv5phm` writes it, with `nodes` and `times`.

    Raises
    ------
    DataError
        if the folder holds none
    """
    paths = sorted(path for path in folder.glob("chunk_*.npz") if not path.name.endswith(".tmp.npz"))
    if not paths:
        raise DataError(
            f"{folder} holds no training set: make it with `python -m data_prep nrsur7dq2` or `seobnrv5phm --out {folder}`"
        )
    parts = []
    for path in paths:
        with np.load(path) as file:
            parts.append(dict(file))
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if len(found["parameters"]) != (n := set_card(folder)["n"]):
        raise DataError(f"{folder} holds {len(found['parameters'])} of {n} binaries: let `python -m data_prep` end first")
    return found | {name: np.load(folder / f"{name}.npy") for name in ("nodes", "times")}


def combined(rates: np.ndarray) -> np.ndarray:
    """The rates (..., 9) with half sum and half difference of the spins' in place of the two."""
    first, second = rates[..., 3:6], rates[..., 6:]
    return np.concatenate([rates[..., :3], 0.5 * (first + second), 0.5 * (first - second)], axis=-1)


def states(data: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """States and rates (N, n, 11) of `dynamics` at the nodes."""
    spins, rates, phase = data["spins"], data["rates"], data["phase"]
    cosine, sine = np.cos(phase)[..., None], np.sin(phase)[..., None]

    def turned_back(vectors: np.ndarray) -> np.ndarray:
        x, y = vectors[..., :1], vectors[..., 1:2]
        return np.concatenate([x * cosine - y * sine, x * sine + y * cosine, vectors[..., 2:3]], axis=-1)

    w, x, y, z = np.moveaxis(data["frame"], -1, 0)
    a, b, _ = np.moveaxis(turned_back(np.concatenate([rates[..., 1:3], np.zeros_like(cosine)], axis=-1)), -1, 0)
    turn = 0.5 * np.stack([-x * a - y * b, w * a - z * b, w * b + z * a, x * b - y * a], axis=-1)
    vectors = [np.concatenate([turned_back(v[..., k : k + 3]) for k in (0, 3)], axis=-1) for v in (spins, rates[..., 3:])]
    return (
        np.concatenate([data["frame"], phase[..., None], vectors[0]], axis=-1),
        np.concatenate([turn, rates[..., :1], vectors[1]], axis=-1),
    )


def at_times(data: dict[str, np.ndarray]) -> np.ndarray:
    """States (N, n_t, 11) at the times of the modes, as the model finds them between its nodes."""
    table = coorbital.table(polynomials.monomials(1, 1), np.zeros((len(data["times"]), 0, 0)), data["nodes"], data["times"])
    rows = zip(*states(data), strict=True)
    return np.stack([coorbital.states_at(table.node, table.between, data["nodes"], *row) for row in rows])


def spins_at(data: dict[str, np.ndarray]) -> np.ndarray:
    """Co-orbital spins (N, n_t, 6) at the times of the modes."""
    at = at_times(data)
    c, s = np.cos(at[..., 4]), np.sin(at[..., 4])
    x_1, y_1, z_1, x_2, y_2, z_2 = np.moveaxis(at[..., 5:], -1, 0)
    return np.stack([c * x_1 + s * y_1, c * y_1 - s * x_1, z_1, c * x_2 + s * y_2, c * y_2 - s * x_2, z_2], axis=-1)


def fit(m: Monomials, table: np.ndarray, values: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Coefficients (n_values, n_most) of polynomials of the `kinds` for `values` (N, n_values); monomials' `table` (N, n)."""
    out = np.zeros((len(kinds), np.diff(m.first).max()))
    for kind in range(4):
        of_kind = np.flatnonzero(kinds == kind)
        columns = slice(m.first[kind], m.first[kind + 1])
        found = np.linalg.lstsq(table[:, columns], values[:, of_kind], rcond=1e-10)[0]
        out[of_kind, : len(found)] = found.T
    return out


def fit_pieces(m: Monomials, table: np.ndarray, values: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """As `fit`, with the fewest powers of the spins that leave each column of `values` its error, to `ENOUGH` of their norm."""
    enough = (ENOUGH * np.sqrt((values**2).sum(axis=1).mean())) ** 2
    out = np.zeros((len(kinds), np.diff(m.first).max()))
    for kind in range(4):
        of_kind = np.flatnonzero(kinds == kind)
        left: dict[int, np.ndarray] = {}
        # From the highest degree in the spins down, for as long as it costs nothing.
        for spins in range(int(m.exponents[:, 1:].sum(axis=1).max()), -1, -1):
            size = polynomials.up_to_spins(m, kind, spins)
            of_table = table[:, m.first[kind] : m.first[kind] + size]
            found = np.linalg.lstsq(of_table, values[:, of_kind], rcond=1e-10)[0] if size else np.zeros((0, len(of_kind)))
            error = ((of_table @ found - values[:, of_kind]) ** 2).mean(axis=0)
            here = np.array([k not in left or error[i] <= left[k] + enough for i, k in enumerate(of_kind.tolist())], bool)
            for i in np.flatnonzero(here):
                left.setdefault(int(of_kind[i]), error[i])
                out[of_kind[i]] = 0.0
                out[of_kind[i], :size] = found[:, i]
            of_kind = of_kind[here]
            if not len(of_kind):
                break
    return out


def of_aligned(m: Monomials, aligned: AlignedModes, q: tuple[float, float], chi_max: float, times: np.ndarray) -> np.ndarray:
    """Coefficients (n_t, 2, n_most) of the aligned model's co-orbital (5, 5) at `times`, by spins along the orbit."""
    u = qmc.Sobol(3, seed=5).random(ALIGNED_BINARIES)
    binaries = np.column_stack([q[0] + (q[1] - q[0]) * u[:, 0], chi_max * (2 * u[:, 1:] - 1)])
    values = np.zeros((len(binaries), len(times), 2))
    place = np.full((len(aligned.modes), 2), -1)
    place[aligned.modes.index((5, 5))] = 0, 1
    for row, binary in zip(values, binaries, strict=True):
        out = np.zeros((len(times), 2), np.complex128)
        q_one, chi1, chi2 = binary.tolist()
        knots = compiled.knots(aligned, q_one, chi1, chi2, float(times[0]))
        compiled.mix_aligned(aligned, knots, times, np.zeros(len(times)), 0.0, place, out)
        row[:, 0], row[:, 1] = out[:, 0].real, out[:, 0].imag
    spins = np.zeros((len(binaries), 6))
    spins[:, 2], spins[:, 5] = binaries[:, 1], binaries[:, 2]
    table = polynomials.table(m, binaries[:, 0].copy(), spins)
    kinds = coorbital.kinds()[-2:]
    return np.stack([fit(m, table, values[:, i], kinds) for i in range(len(times))])


def fits(
    data: dict[str, np.ndarray],
    aligned: AlignedModes,
    of_rates: Monomials,
    of_modes: Monomials,
    chi_max: float,
    progress: Progress | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the rates (n, 9, n_most) and of all pieces (n_t, n_pieces, n_most) from a set, as `read` gives it.

    (5, 5) is from the model of aligned spins.
    """
    q, total = data["parameters"][:, 0].copy(), len(data["nodes"]) + len(data["times"])
    rates, modes = [], []
    for i in range(len(data["nodes"])):
        table = polynomials.table(of_rates, q, data["spins"][:, i].copy())
        rates.append(fit(of_rates, table, combined(data["rates"][:, i]), dynamics.KINDS))
        if progress:
            progress("fits", i, total)
    spins, kinds = spins_at(data), coorbital.kinds()[:-2]
    for i in range(len(data["times"])):
        pieces = coorbital.split(data["modes"][:, :, i : i + 1].astype(np.complex128))[..., 0]
        modes.append(fit_pieces(of_modes, polynomials.table(of_modes, q, spins[:, i].copy()), pieces, kinds))
        if progress:
            progress("fits", len(data["nodes"]) + i, total)
    last = of_aligned(of_modes, aligned, (float(q.min()), float(q.max())), chi_max, data["times"])
    return np.stack(rates).astype(np.float32), np.concatenate([np.stack(modes), last], axis=1).astype(np.float32)


def tensors(
    near: dict[str, np.ndarray],
    beyond: dict[str, np.ndarray],
    aligned: AlignedModes,
    config: PrecessingConfig,
    progress: Progress | None,
) -> dict[str, np.ndarray]:
    """Tensors of the model from both sets and from the model of aligned spins."""
    m = polynomials.monomials(*config.degree_of_rates), polynomials.monomials(*config.degree_of_modes)
    rates, modes = fits(near, aligned, *m, config.chi_max, progress)
    rates_beyond, modes_beyond = fits(beyond, aligned, *m, config.chi_max, progress)
    return {
        "nodes": near["nodes"],
        "times": near["times"],
        "rates": rates,
        "modes": modes,
        "rates_beyond": rates_beyond,
        "modes_beyond": np.ascontiguousarray(modes_beyond[:, coorbital.beyond()]),
    }


def validate(model: PrecessingModes, data: dict[str, np.ndarray]) -> tuple[dict[str, Any], np.ndarray]:
    """Errors on binaries of another set, and their mismatches (N,).

    Orbital phase and frame at the peak (rad), co-orbital modes relative to their norm, and the mismatch of `uncertainty`.
    """
    phase, frame, relative, mismatch = [], [], [], []
    nodes, times, known = data["nodes"], data["times"], len(coorbital.KNOWN)
    peak, at = int(np.argmin(np.abs(nodes))), np.arange(np.ceil(nodes[0]), np.floor(nodes[-1]))
    seen = np.array([m for _, m in SEEN])
    truth_states, truth_rates, truth_at = *states(data), at_times(data)
    for i, row in enumerate(data["parameters"]):
        e = model.evolve(float(row[0]), row[1:4], row[4:], float(nodes[0]), 0.0)
        early = len(e.nodes) - len(nodes)
        state = e.states[early + peak]
        phase.append(abs(state[4] - data["phase"][i, peak]))
        frame.append(2 * np.arccos(min(abs(float(state[:4] @ data["frame"][i, peak])), 1.0)))
        truth = e.coorbital[-len(times) :].copy()
        truth[:, :known] = data["modes"][i].T
        off = e.coorbital[-len(times) :] - truth
        relative.append(np.linalg.norm(off) / np.linalg.norm(truth))
        frames = truth_at[i, :, :4] / np.linalg.norm(truth_at[i, :, :4], axis=1)[:, None]
        of_truth = Evolved(nodes, truth_states[i], truth_rates[i], times, frames, truth)
        out = np.empty((2, len(SEEN), len(at)), np.complex128)
        for one, evolved in zip(out, (of_truth, e), strict=True):
            compiled.modes(*evolved, at, one)
        mismatch.append(uncertainty.mismatch(out[0], out[1], seen))
    found = {"phase_at_peak": phase, "frame_at_peak": frame, "coorbital_modes": relative, "mismatch": mismatch}
    return {"n": len(phase)} | {
        name: {str(p): float(np.percentile(values, p)) for p in (50, 90, 100)} for name, values in found.items()
    }, np.array(mismatch)


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
    folders = config.data, config.validation, config.beyond, config.beyond_validation
    near, near_other, beyond, beyond_other = (read(folder) for folder in folders)
    made, made_other, made_beyond, made_beyond_other = (set_card(folder) for folder in folders)
    for one, two, folder in ((made, made_other, config.data), (made_beyond, made_beyond_other, config.beyond)):
        if one["seed"] == two["seed"]:
            raise ConfigError(f"{folder} and the set of its validation have one seed: make that with another (--seed)")
    if made["q_max"] < config.q_simulated or made["chi_max"] < config.chi_max:
        raise ConfigError(f"{config.data} reaches to q {made['q_max']}, chi {made['chi_max']}: the configuration asks for more")
    if made_beyond["q_max"] < config.q_max or made_beyond["q_min"] > config.q_simulated:
        raise ConfigError(
            f"{config.beyond} reaches from q {made_beyond['q_min']} to {made_beyond['q_max']}: the configuration asks for more"
        )
    if any(not np.array_equal(near[name], beyond[name]) for name in ("nodes", "times")):
        raise ConfigError(f"{config.beyond} has other times than {config.data}: make both with one version of data_prep")
    aligned_card, weights = artifacts.load(config.aligned_model, "surrogate")
    aligned = AlignedModes(aligned_card, weights)
    if (5, 5) not in aligned.modes:
        raise ConfigError(f"{config.aligned_model} has no (5,5), which is taken from it: name a model that has, such as nrhm")
    found = tensors(near, beyond, aligned, config, progress)
    spin = {"min": 0.0, "max": config.chi_max, "hard_min": 0.0, "hard_max": config.chi_hard}
    card: dict[str, Any] = {
        "name": config.name,
        "kind": "surrogate",
        "version": config.version,
        "description": "waveforms of any spins, all modes to l = 4 and (5,5)",
        "aligned_model": config.aligned_model,
        "aligned_weights_sha256": aligned_card["weights_sha256"],
        "degree": {"rates": config.degree_of_rates, "modes": config.degree_of_modes},
        "error": {},
        "beyond": {"q_simulated": config.q_simulated, "q_beyond": config.q_beyond},
        "ranges": {
            "q": {"min": 1.0, "max": config.q_max, "hard_min": 1.0, "hard_max": config.q_max},
            "chi1": spin,
            "chi2": spin,
        },
        "training": {
            "model": "NRSur7dq2 1.0.6 (Blackman et al. 2017, arXiv:1705.07089)",
            "binaries": len(near["parameters"]),
            "set": made,
            "validation": made_other,
            "beyond": {
                "model": "SEOBNRv5PHM of pyseobnr 0.3.7 (Ramos-Buades et al. 2023, arXiv:2303.18046)",
                "binaries": len(beyond["parameters"]),
                "set": made_beyond,
                "validation": made_beyond_other,
            },
        },
    }
    model = PrecessingModes(card, found, aligned)
    metrics: dict[str, Any] = {}
    for where, name, other in (("near", "nrsur7dq2", near_other), ("beyond", "seobnrv5phm", beyond_other)):
        metrics[f"{name}_validation"], errors = validate(model, other)
        p = other["parameters"]
        x = uncertainty.features(p[:, 0], p[:, 1:4], p[:, 4:])
        card["error"][where] = uncertainty.calibrate(x, errors)
        if where == "beyond":
            card["error"]["between"] = uncertainty.calibrate(x, errors, p[:, 0] < config.q_beyond)
    card |= {"metrics": metrics, "seconds": round(time.monotonic() - begin)}
    return artifacts.save(out, card, found)


def set_card(folder: Path) -> dict[str, Any]:
    """What the set was made with."""
    return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
