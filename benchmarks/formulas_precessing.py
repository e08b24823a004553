"""Formulas for the final spin of precessing binaries by symbolic regression, beside published fits.

    python -m data_prep remnants --out FOLDER
    python benchmarks/formulas_precessing.py --runs FOLDER/remnants.npz [--generations 40] [--out benchmarks/results]
    python benchmarks/formulas_card.py  # writes docs/models/formulas.md

The chosen formula for aligned spins (`formulas.py`, whose results must lie in --out) is the start: it gives the orbital
angular momentum that is left at merger, along L. The spins in the plane, S_i = m_i^2 chi_i / M^2 without its part along L, add
    chi_f = sqrt((s + eta f)^2 + |S_1 + S_2|^2) + eta (|S_1|^2 + |S_2|^2) g
and g is sought in eta, chi_eff, d (as for f, of the parts along L) and u = 2 S_1 . S_2 / (|S_1|^2 + |S_2|^2). Without spins in
the plane this is the aligned formula; exchange of the bodies changes nothing; as eta tends to 0, chi_f tends to |chi_1|.

Of the clusters of precessing runs one fifth is held out. gw.load_remnant() was trained on them, so that its errors are those of
a model trained anew without them. Published fits are given the spins at the catalogues' times, as the formulas are; what they
gain from spins evolved to merger is measured on the RIT runs, whose frequency is known.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import remnant
import sympy
from formulas import (
    PUBLISHED_CONSTANTS,
    SYMBOLS,
    candidates,
    errors,
    evaluate,
    front,
    shown,
    subset,
    values,
    weighted_rms,
    weights,
)

import gwsurrogate_ml as gw
from gwsurrogate_ml import artifacts
from gwsurrogate_ml.surrogate.remnant import fits
from gwsurrogate_ml.surrogate.remnant.train import folds, load_runs, read_config

log = logging.getLogger(__name__)
Arrays = dict[str, np.ndarray]
FORM = "chi_f = sqrt((s + eta f)^2 + |S_1 + S_2|^2) + eta (|S_1|^2 + |S_2|^2) g"
SAMPLE = 2000
"""Draws from the training runs for a search, which knows no weights."""
SLACK = 0.1
"""The formula shown first is the shortest within this fraction of the best one's error on the training runs."""
PUBLISHED = {"UIB2016": None, "HL2016": PUBLISHED_CONSTANTS["HL2016"], "HBR2016 (M3J4)": PUBLISHED_CONSTANTS["HBR2016 M3J4"]}


def ingredients(q: np.ndarray, chi1: np.ndarray, chi2: np.ndarray, along: sympy.Expr) -> Arrays:
    """Inputs x (N, 4) of g, the final spin (N,) without it, `offset`, and what g is multiplied by, `factor`.

    Parameters
    ----------
    q : (N,)
    chi1, chi2 : (N, 3), z along L
    along : f of the aligned formula
    """
    m1, m2, eta = q / (1 + q), 1 / (1 + q), q / (1 + q) ** 2
    z1, z2 = chi1[:, 2], chi2[:, 2]
    s1, s2 = (m1 * m1)[:, None] * chi1[:, :2], (m2 * m2)[:, None] * chi2[:, :2]
    squares, product = np.sum(s1 * s1 + s2 * s2, axis=1), 2 * np.sum(s1 * s2, axis=1)
    x = np.stack([eta, m1 * z1 + m2 * z2, (m1 - m2) * 0.5 * (z1 - z2)], axis=1)
    straight = m1**2 * z1 + m2**2 * z2 + eta * values(along, x)
    u = np.divide(product, squares, out=np.zeros_like(q), where=squares > 0)
    return {
        "x": np.column_stack([x, u]),
        "offset": np.sqrt(straight**2 + squares + product),
        "factor": eta * squares,
    }


def sound(g: sympy.Expr, along: sympy.Expr, n: int = 20_000) -> bool:
    """Whether the final spin is one of a black hole for all spins and mass ratios up to 10^4: no pole hides beyond the runs.

    Where a body of extremal spin is left as it was, a formula may pass 1 by what it errs.
    """
    rng = np.random.default_rng(0)
    q = 10 ** rng.uniform(0, 4, n)
    spins = rng.normal(size=(2, n, 3))
    spins *= (np.minimum(rng.uniform(0, 1.2, (2, n)), 1) / np.linalg.norm(spins, axis=2))[..., None]
    data = ingredients(q, *spins, along)
    spin = data["offset"] + data["factor"] * values(g, data["x"])
    return bool(np.all((spin > 0) & (spin < max(1.0, data["offset"].max()) + 0.01)))


def retrained(runs: Arrays, held: np.ndarray) -> np.ndarray:
    """Final spins (n,) of the held-out runs, by a remnant model trained as the shipped one, without them."""
    config = read_config({**gw.load_remnant().info["config"], "runs": "remnants.npz"})
    parts = fits.fit(
        subset(runs, ~held), config.n_points, config.n_plane_points, config.subset, config.members, config.seed
    )  # fmt: skip
    return fits.predict(parts, runs["q"][held], runs["chi1"][held], runs["chi2"][held]).spin


def evolved(runs: Arrays) -> Arrays:
    """The same runs with spins carried from the orbital frequency `omega` to a separation of 6 M, by SpinTaylorT5."""
    import lal
    import lalsimulation

    total = 60.0  # solar masses: of no effect
    to_hertz = 1 / (np.pi * total * lal.MTSUN_SI)
    out = {key: runs[key].copy() for key in ("chi1", "chi2")}
    for i, (q, omega) in enumerate(zip(runs["q"], runs["omega"], strict=True)):
        m1, m2 = total * lal.MSUN_SI * np.array([q, 1]) / (1 + q)
        series = lalsimulation.SimInspiralSpinTaylorPNEvolveOrbit(
            1 / 16384, m1, m2, omega * to_hertz, 6**-1.5 * to_hertz, *runs["chi1"][i], *runs["chi2"][i],
            0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 6, 0, 7, 0, lalsimulation.SpinTaylorT5,
        )  # fmt: skip
        first, second, normal, separation = (
            np.array([part.data.data[-1] for part in series[start : start + 3]]) for start in (2, 5, 8, 11)
        )
        frame = np.stack([separation, np.cross(normal, separation), normal])
        out["chi1"][i], out["chi2"][i] = frame @ first, frame @ second
    return runs | out


def gain(runs: Arrays) -> dict[str, Any]:
    """Root mean square errors of the published fits with the RIT table's spins and with spins evolved to merger."""
    given = subset(runs, ~runs["aligned"] & (runs["q"] <= 16) & np.isfinite(runs["omega"]))
    every = np.ones(len(given["q"]), bool)
    out: dict[str, Any] = {"n": len(every)}
    for key, table in (("given", given), ("evolved", evolved(given))):
        theirs = remnant.published(table, every)["spin"]
        out[key] = {name: float(f"{np.sqrt(np.mean((value - given['spin']) ** 2)):.3g}") for name, value in theirs.items()}
    return out


def study(runs: Arrays, along: sympy.Expr, generations: int, seeds: int) -> dict[str, Any]:
    """Pareto front, published fits and the retrained model on held-out precessing runs."""
    rows = np.flatnonzero(~runs["aligned"] & (runs["q"] <= 16))
    bent = subset(runs, rows)
    data = bent | ingredients(bent["q"], bent["chi1"], bent["chi2"], along) | {"value": bent["spin"]}
    held = folds(data["cluster"], 5, seed=1) == 0
    train, test = subset(data, ~held), subset(data, held)
    weight = weights(train)
    # An error of g matters by factor * weight: runs are drawn by its square.
    importance = (train["factor"] * weight) ** 2
    drawn = np.random.default_rng(0).choice(len(importance), SAMPLE, p=importance / importance.sum())
    none = {"formula": sympy.Integer(0), "length": 0, "constants": 0}
    none["train_rms"] = weighted_rms(evaluate(none["formula"], train) - train["value"], weight)
    # The search begins with variables: a constant is too short for it.
    simple = [sympy.Float(0.5)]
    found = candidates(train, drawn, weight, generations, seeds, lambda g: sound(g, along), simple)
    members = shown(front([none, *found]), test)
    best = min(member["train_rms"] for member in members)
    chosen = next(i for i, member in enumerate(members) if member["train_rms"] <= (1 + SLACK) * best)
    theirs = remnant.published(test, np.ones(len(test["q"]), bool))["spin"]
    out = np.zeros(len(runs["q"]), bool)
    out[rows[held]] = True
    return {
        "form": FORM,
        "along": str(along),
        "n_train": len(train["q"]),
        "n_test": {str(code): int(np.sum(test["code"] == code)) for code in np.unique(test["code"])},
        "clusters": {
            "train": len(np.unique(train["cluster"])),
            "test": len(np.unique(test["cluster"])),
            "with aligned runs": len(np.intersect1d(test["cluster"], runs["cluster"][runs["aligned"]])),
        },
        "chosen": chosen,
        "front": members,
        "published": {name: {"constants": PUBLISHED[name], "held_out": errors(value, test)} for name, value in theirs.items()},
        "retrained": {"held_out": errors(retrained(runs, out), test)},
        "spins to merger": gain(runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="remnants.npz of `python -m data_prep remnants`")
    parser.add_argument("--generations", type=int, default=40, help="generations of each search")
    parser.add_argument("--seeds", type=int, default=2, help="independent searches")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="where formulas.json lies, too")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    aligned = json.loads((arguments.out / "formulas.json").read_text())["targets"]["final_spin"]
    along = sympy.sympify(aligned["front"][aligned["chosen"]]["formula"], locals=SYMBOLS)
    report = {
        "runs_sha256": artifacts.sha256(arguments.runs),
        "held_out": "one fifth of the parameter clusters of precessing runs, q <= 16",
        "generations": arguments.generations,
        "seeds": arguments.seeds,
        "versions": artifacts.package_versions("numpy", "sympy", "pyoperon"),
        **study(load_runs(arguments.runs), along, arguments.generations, arguments.seeds),
    }
    (arguments.out / "formulas_precessing.json").write_text(json.dumps(report, indent=1) + "\n")
    for member in report["front"]:
        print(f"  {member['length']:3d} {member['held_out']} {member['formula']}")
    for name, fit in {**report["published"], "retrained": report["retrained"]}.items():
        print(f"  {name}: {fit['held_out']}")


if __name__ == "__main__":
    main()
