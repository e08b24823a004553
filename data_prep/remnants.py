"""Remnant tables of the SXS and RIT catalogues in one shape, cleaned by code, with a report of what was kept and why.

Conventions are those of `gwsurrogate_ml.conventions`: body 1 is the heavier one, spins are dimensionless, z is the direction of the
orbital angular momentum at the catalogue's reference (relaxed) time, the remnant's mass is in units of the two bodies'
Christodoulou masses at that time, kicks are in km/s, luminosities in c^5 / G.

Sources: SXS catalogue (Boyle et al. 2019, arXiv:1904.04831), RIT catalogue (Healy & Lousto 2022, arXiv:2202.00018).
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from data_prep import remnants_report
from gwsurrogate_ml.artifacts import sha256
from gwsurrogate_ml.errors import ConfigError, DataError

log = logging.getLogger(__name__)
SOURCES = {"SXS": "sxs_remnants.csv", "RIT": "rit_remnants.csv"}
MISSING = ("keep", "drop")
LUMINOSITY_UNIT = 3.62825e59
"""c^5 / G in erg / s."""


@dataclass(frozen=True)
class RemnantConfig:
    """Limits of the quality control."""

    eccentricity_max: float = 0.02
    """measured eccentricities above this are dropped, and so are sentinels (negative numbers)"""
    missing_eccentricity: str = "keep"
    """runs without an eccentricity: "keep" those that pass all other tests, with full weight, or "drop" them"""
    aligned_max: float = 2e-3
    """in-plane spins below this count as aligned (and are set to zero)"""
    deviation_max: float = 8.0
    """robust standard deviations, from the published fits and from the neighbours, beyond both of which a run is dropped"""
    neighbours: int = 8
    cluster_distance: float = 1e-2
    """runs closer than this in (delta, spin components along and across L) are near-duplicates"""

    def __post_init__(self) -> None:
        if self.missing_eccentricity not in MISSING:
            raise ConfigError(f"missing_eccentricity = {self.missing_eccentricity!r}: one of {MISSING}")


def build(data: Path, out: Path, config: RemnantConfig | None = None) -> Path:
    """Write `remnants.npz`, `report.json`, `report.md` and figures to the folder `out`.

    Parameters
    ----------
    data : Path
        folder that holds ``remnants/sxs_remnants.csv`` and ``remnants/rit_remnants.csv``
    out : Path
    config : RemnantConfig, optional

    Returns
    -------
    Path of `remnants.npz`: arrays over runs `name, code, q, chi1 (N, 3), chi2 (N, 3), omega, mass, spin, spin_z, kick, luminosity,
    eccentricity, aligned, cluster`; NaN where a catalogue has no value. `omega` is the orbital frequency, rad / M, to which the
    spins belong; x of the RIT catalogue's runs is along the separation then, of the SXS table's nothing is known.

    Raises
    ------
    DataError
        if a table is missing or lacks a column
    """
    config = config or RemnantConfig()
    paths = {code: data / "remnants" / name for code, name in SOURCES.items()}
    tables = [_read_sxs(paths["SXS"]), _read_rit(paths["RIT"])]
    runs = {key: np.concatenate([table[key] for table in tables]) for key in tables[0]}
    runs = canonical(runs, config.aligned_max)
    reasons = quality(runs, config)
    kept = np.array([not r for r in reasons])
    runs["cluster"] = np.full(len(kept), -1)
    runs["cluster"][kept] = clusters({key: value[kept] for key, value in runs.items()}, config.cluster_distance)
    out.mkdir(parents=True, exist_ok=True)
    report = remnants_report.summary(runs, reasons, asdict(config), {p.name: sha256(p) for p in paths.values()})
    table = {key: value[kept] for key, value in runs.items()}
    temporary = out / "remnants.tmp.npz"
    np.savez_compressed(temporary, **table)
    temporary.replace(out / "remnants.npz")
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    (out / "report.md").write_text(remnants_report.markdown(report))
    remnants_report.figures(runs, kept, out)
    log.info("kept %d of %d runs in %d clusters", kept.sum(), len(kept), len(np.unique(table["cluster"])))
    return out / "remnants.npz"


def _columns(path: Path, names: dict[str, str], text: str) -> dict[str, np.ndarray]:
    """Columns of a CSV file as float64 under new names (NaN where empty), and the column `text` as `name`."""
    if not path.is_file():
        raise DataError(f"{path} is missing: pass the folder that holds remnants/{path.name} by --data")
    with open(path, newline="") as stream:
        rows = list(csv.DictReader(stream))
    if missing := ({text, *names.values()} - set(rows[0] if rows else ())):
        raise DataError(f"{path} has no column {sorted(missing)[0]!r}: it is truncated or of another version")
    table = {key: np.array([_number(row[name]) for row in rows]) for key, name in names.items()}
    return table | {"name": np.array([row[text] for row in rows])}


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return np.nan


def _vectors(table: dict[str, np.ndarray], prefix: str) -> np.ndarray:
    return np.stack([table[f"{prefix}{axis}"] for axis in "xyz"], axis=1)


def _read_sxs(path: Path) -> dict[str, np.ndarray]:
    """SXS table: remnant spin as a vector; no kick, no luminosity. The orbital frequency points along z at the start."""
    names = {f"chi{b}{a}": f"chi{b}{a}" for b in "12f" for a in "xyz"}
    names |= {"mass1": "mass1", "mass2": "mass2", "massf": "massf", "eccentricity": "eccentricity"}
    t = _columns(path, names, "waveform_id")
    nothing = np.full(len(t["name"]), np.nan)
    return {
        "name": t["name"],
        "code": np.full(len(t["name"]), "SXS"),
        "mass1": t["mass1"],
        "mass2": t["mass2"],
        "chi1": _vectors(t, "chi1"),
        "chi2": _vectors(t, "chi2"),
        "mass": t["massf"] / (t["mass1"] + t["mass2"]),
        "spin": np.linalg.norm(_vectors(t, "chif"), axis=1),
        "spin_z": t["chifz"],
        "omega": nothing,
        "kick": nothing.copy(),
        "luminosity": nothing.copy(),
        "eccentricity": t["eccentricity"],
    }


def _read_rit(path: Path) -> dict[str, np.ndarray]:
    """RIT table: spins at the relaxed time turned into the frame of L; the remnant's spin has a sign for aligned runs only."""
    names = {f"chi{b}{a}": f"relaxed-chi{b}{a}" for b in "12" for a in "xyz"}
    names |= {f"{v}{a}": f"relaxed-{v}hat{a}" for v in ("LN", "n") for a in "xyz"}
    names |= {"mass1": "relaxed-mass1", "mass2": "relaxed-mass2", "massf": "final-mass", "spin": "final-chi"}
    names |= {
        "frequency": "freq-start-22",
        "kick": "final-kick",
        "luminosity": "peak-luminosity-ergs-per-sec",
        "eccentricity": "eccentricity",
    }
    t = _columns(path, names, "simulation_name")
    frame = _frame(_vectors(t, "LN"), _vectors(t, "n"))
    luminosity = np.where(t["luminosity"] > 0, t["luminosity"] / LUMINOSITY_UNIT, np.nan)
    return {
        "name": t["name"],
        "code": np.full(len(t["name"]), "RIT"),
        "mass1": t["mass1"],
        "mass2": t["mass2"],
        "chi1": np.einsum("nij,nj->ni", frame, _vectors(t, "chi1")),
        "chi2": np.einsum("nij,nj->ni", frame, _vectors(t, "chi2")),
        "mass": t["massf"] / (t["mass1"] + t["mass2"]),
        "spin": np.abs(t["spin"]),
        "spin_z": t["spin"],
        "omega": np.where(t["frequency"] > 0, np.pi * t["frequency"], np.nan),
        "kick": np.where(_may_be_zero(t) | (t["kick"] > 0), t["kick"], np.nan),
        "luminosity": luminosity,
        "eccentricity": t["eccentricity"],
    }


def _may_be_zero(table: dict[str, np.ndarray]) -> np.ndarray:
    """Where a recoil of exactly zero is physics (equal bodies with equal spins along L); elsewhere it is a sentinel."""
    spins = np.concatenate([_vectors(table, "chi1") - _vectors(table, "chi2"), _vectors(table, "chi1")], axis=1)
    equal = np.abs(spins[:, [2]]).max(1) + np.abs(spins[:, [3, 4]]).max(1) < 5e-3
    return equal & (np.abs(table["mass1"] / table["mass2"] - 1) < 5e-3)


def _frame(normal: np.ndarray, separation: np.ndarray) -> np.ndarray:
    """Rotations (N, 3, 3) whose rows are the separation made orthogonal to L, L x that, and L."""
    z = normal / np.linalg.norm(normal, axis=1, keepdims=True)
    x = separation - np.sum(separation * z, axis=1, keepdims=True) * z
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=1)


def canonical(runs: dict[str, np.ndarray], aligned_max: float) -> dict[str, np.ndarray]:
    """Body 1 the heavier one (the swap turns the frame by pi about L), aligned runs marked, their in-plane spins zero.

    Examples
    --------
    >>> one = {"mass1": np.array([0.4]), "mass2": np.array([0.6]), "chi1": np.array([[0.1, 0, 0.5]]),
    ...        "chi2": np.array([[0, 0, -0.2]]), "spin_z": np.array([0.7])}
    >>> out = canonical(one, 1e-3)
    >>> round(float(out["q"][0]), 6), out["chi2"][0].tolist(), bool(out["aligned"][0])
    (1.5, [-0.1, -0.0, 0.5], False)
    """
    out = dict(runs)
    m1, m2 = out.pop("mass1"), out.pop("mass2")
    swap = (m1 < m2)[:, None]
    turn = np.array([-1.0, -1.0, 1.0])
    chi1, chi2 = out["chi1"], out["chi2"]
    out["chi1"], out["chi2"] = np.where(swap, chi2 * turn, chi1), np.where(swap, chi1 * turn, chi2)
    out["q"] = np.maximum(m1, m2) / np.minimum(m1, m2)
    plane = np.maximum(np.hypot(*out["chi1"].T[:2]), np.hypot(*out["chi2"].T[:2]))
    out["aligned"] = plane < aligned_max
    flat = np.where(out["aligned"][:, None], np.array([0.0, 0.0, 1.0]), 1.0)
    out["chi1"], out["chi2"] = out["chi1"] * flat, out["chi2"] * flat
    out["spin_z"] = np.where(out["aligned"] | (runs.get("code", "SXS") != "RIT"), out["spin_z"], np.nan)
    return out


def quality(runs: dict[str, np.ndarray], config: RemnantConfig) -> list[list[str]]:
    """Reasons to drop each run; an empty list keeps it."""
    reasons: list[list[str]] = [[] for _ in runs["q"]]
    numbers = np.column_stack([runs[key] for key in ("q", "mass", "spin")] + [runs["chi1"], runs["chi2"]])
    sizes = np.maximum(np.linalg.norm(runs["chi1"], axis=1), np.linalg.norm(runs["chi2"], axis=1))
    eccentricity = runs["eccentricity"]
    for i, row in enumerate(numbers):
        if not np.all(np.isfinite(row)):
            reasons[i].append("a parameter or the remnant is missing")
        elif not (0.5 < runs["mass"][i] < 1 and runs["spin"][i] <= 1 and sizes[i] <= 1):
            reasons[i].append(f"unphysical: mass {runs['mass'][i]:.3f}, spin {runs['spin'][i]:.3f}, |chi| {sizes[i]:.3f}")
        if np.isnan(eccentricity[i]):
            if config.missing_eccentricity == "drop":
                reasons[i].append("eccentricity missing")
        elif eccentricity[i] < 0:
            reasons[i].append(f"eccentricity {eccentricity[i]:.3g}, a sentinel")
        elif eccentricity[i] > config.eccentricity_max:
            reasons[i].append(f"eccentricity {eccentricity[i]:.3g}")
    usable = np.array([not r for r in reasons])
    for aligned in (True, False):
        chosen = np.flatnonzero(usable & (runs["aligned"] == aligned))
        if len(chosen) < 2:
            continue  # nothing to compare with
        for i, why in _inconsistent({key: value[chosen] for key, value in runs.items()}, config):
            reasons[chosen[i]].append(why)
    return reasons


def _inconsistent(runs: dict[str, np.ndarray], config: RemnantConfig) -> list[tuple[int, str]]:
    """Runs whose remnant is far from the published fits and also from what their neighbours deviate by.

    A fit that is wrong in a corner of parameter space is wrong for all runs there; a bad run stands alone.
    """
    found = []
    mass, spin = published_fits(runs["q"], runs["chi1"], runs["chi2"])
    _, near = cKDTree(points(runs)).query(points(runs), k=min(config.neighbours + 1, len(runs["q"])))
    for label, value in (("mass", runs["mass"] - mass), ("spin", runs["spin"] - spin)):
        alone = value - np.median(value[near[:, 1:]], axis=1)
        for code in np.unique(runs["code"]):
            of_code = runs["code"] == code
            limit = config.deviation_max * 1.4826 * np.median(np.abs(value[of_code] - np.median(value[of_code])))
            for i in np.flatnonzero(of_code & (np.abs(value) > limit) & (np.abs(alone) > limit)):
                found.append((int(i), f"{label} off by {value[i]:+.1e} from fits, {alone[i]:+.1e} from neighbours"))
    return found


def published_fits(q: np.ndarray, chi1: np.ndarray, chi2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Final mass and |final spin| of Jimenez-Forteza et al. 2016 (lalinference), with in-plane spins added in quadrature.

    Parameters
    ----------
    q : (N,)
    chi1, chi2 : (N, 3)
    """
    from lalinference.imrtgr import nrutils

    m1, m2 = q / (1 + q), 1 / (1 + q)
    z1, z2 = chi1[:, 2], chi2[:, 2]
    with contextlib.redirect_stdout(io.StringIO()):  # the fits print that eta was rounded down to 1/4
        mass = nrutils.bbh_final_mass_non_precessing_UIB2016(m1, m2, z1, z2)
        along = nrutils.bbh_final_spin_non_precessing_UIB2016(m1, m2, z1, z2)
    plane = m1[:, None] ** 2 * chi1[:, :2] + m2[:, None] ** 2 * chi2[:, :2]
    return mass, np.sqrt(along**2 + np.sum(plane**2, axis=1))


def points(runs: dict[str, np.ndarray]) -> np.ndarray:
    """Coordinates (N, 5) delta, spins along L, spins across L: what near-duplicates share, whatever the in-plane angles."""
    across = [np.hypot(*runs[body].T[:2]) for body in ("chi1", "chi2")]
    delta = (runs["q"] - 1) / (runs["q"] + 1)
    return np.column_stack([delta, runs["chi1"][:, 2], runs["chi2"][:, 2], *across])


def clusters(runs: dict[str, np.ndarray], distance: float) -> np.ndarray:
    """Label (N,) of each run's cluster: chains of runs closer than `distance`, with the bodies exchanged where q is near 1.

    Examples
    --------
    >>> spins = [np.array([[0, 0, 0.5], [0, 0, 0.1], [0, 0, 0.5]]), np.array([[0, 0, 0.1], [0, 0, 0.5], [0, 0, 0.1]])]
    >>> clusters({"q": np.array([1.0, 1.001, 2.0]), "chi1": spins[0], "chi2": spins[1]}, 0.01).tolist()
    [0, 0, 1]
    """
    here = points(runs)
    n = len(here)
    exchanged = here[:, [0, 2, 1, 4, 3]] * np.array([-1.0, 1, 1, 1, 1])
    pairs = cKDTree(np.concatenate([here, exchanged])).query_pairs(distance, output_type="ndarray") % n
    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return connected_components(graph, directed=False)[1].astype(np.int64)
