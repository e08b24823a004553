"""Short formulas for the remnant by symbolic regression, on a front of length and error beside published fits.

    pip install "gwsurrogate-ml[formulas]"
    python -m data_prep remnants --out FOLDER
    python benchmarks/formulas.py --runs FOLDER/remnants.npz [--generations 40] [--out benchmarks/results]
    python benchmarks/formulas_card.py  # writes docs/models/formulas.md

Physics is put in first, so that every formula has the test-particle limit and exchange symmetry exactly:
    final spin        chi_f = s + eta f,     s = (m1^2 chi1 + m2^2 chi2) / M^2
    radiated energy   1 - M_f = eta f
    peak luminosity   L = eta^2 f            (in c^5 / G)
and f is sought in eta, chi_eff and d = sqrt(1 - 4 eta) chi_a, chi_a = (chi1 - chi2) / 2, by pyoperon (NSGA-II on error and
length; a fixed number of generations, so that a seed gives the same formulas). The constants of each formula are then
refined on the quantity itself. One fifth of the clusters of runs is held out from all of this; errors are theirs.
Spins with components in the plane: `formulas_precessing.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sympy
from scipy.optimize import least_squares

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.surrogate.remnant.train import folds, load_runs

log = logging.getLogger(__name__)
NAMES = ("eta", "chi_eff", "d", "u")
"""Variables by column of the inputs; the last one is of precessing spins only."""
SYMBOLS = {name: sympy.Symbol(name, real=True) for name in NAMES}
LUMINOSITY_UNIT = 3.62825e59 / 1e56
TARGETS = {
    "final_spin": "chi_f = s + eta * f",
    "radiated_energy": "1 - M_f / M = eta * f",
    "peak_luminosity": "L / (c^5 / G) = eta^2 * f",
}
# How many free constants the published fits have, counted in their papers or code.
RIVAL = "HL2016"
"""The published fit that the formula shown first must beat, on the training runs."""
PUBLISHED_CONSTANTS = {"HL2016": 19, "HBR2016 M3J4": 20, "HBR2016 M1J2": 6}


def table(path: Path, target: str) -> dict[str, np.ndarray]:
    """Aligned runs that have `target`: inputs (N, 3), value (N,), offset and factor of f, and how f is weighted."""
    runs = load_runs(path)
    value = {"final_spin": runs["spin_z"], "radiated_energy": 1 - runs["mass"], "peak_luminosity": runs["luminosity"]}[target]
    rows = runs["aligned"] & np.isfinite(value) & (runs["q"] <= 16)
    q, z1, z2 = runs["q"][rows], runs["chi1"][rows, 2], runs["chi2"][rows, 2]
    m1, m2, eta = q / (1 + q), 1 / (1 + q), q / (1 + q) ** 2
    spins = m1**2 * z1 + m2**2 * z2
    power = 2 if target == "peak_luminosity" else 1
    return {
        "x": np.stack([eta, m1 * z1 + m2 * z2, (m1 - m2) * 0.5 * (z1 - z2)], axis=1),
        "value": value[rows],
        "offset": spins if target == "final_spin" else np.zeros_like(q),
        "factor": eta**power,
        "q": q,
        "z1": z1,
        "z2": z2,
        "code": runs["code"][rows],
        "cluster": runs["cluster"][rows],
    }


def variables(x: np.ndarray) -> list[sympy.Symbol]:
    """The symbols of the columns of `x` (N, k)."""
    return [SYMBOLS[name] for name in NAMES[: x.shape[1]]]


def search(x: np.ndarray, y: np.ndarray, generations: int, seed: int) -> list[sympy.Expr]:
    """Formulas for `y` (N,) in the columns of `x` (N, k), from short to long, by pyoperon."""
    from pyoperon.sklearn import SymbolicRegressor

    regressor = SymbolicRegressor(
        allowed_symbols="add,sub,mul,div,square,sqrt,constant,variable",
        objectives=["rmse", "length"],
        optimizer_iterations=10,
        max_length=40,
        max_depth=8,
        population_size=1000,
        pool_size=1000,
        generations=generations,
        max_evaluations=1_000_000_000,
        tournament_size=3,
        epsilon=1e-6,
        n_threads=1,
        random_state=seed,
    )
    regressor.fit(x, y)
    names = {f"X{i + 1}": symbol for i, symbol in enumerate(variables(x))}
    front = sorted(regressor.pareto_front_, key=lambda member: member["length"])
    found = []
    for member in front:
        text = regressor.get_model_string(member["tree"], 8) if "tree" in member else member["model"]
        found.append(sympy.sympify(text.replace("^", "**"), locals=names))
    return found


def normalise(formula: sympy.Expr) -> sympy.Expr:
    """The same formula without spare constants: sums inside products and powers start with 1.

    Operon gives every variable a factor, so that (a + b x) / (c + d x) has one constant too many.
    """
    if formula.is_Atom:
        return formula
    formula = formula.func(*map(normalise, formula.args))
    factors = sympy.Mul.make_args(formula)
    if len(factors) == 1 and not formula.is_Pow:
        return formula
    number, rest = sympy.Integer(1), []
    for factor in factors:
        base, power = factor.as_base_exp()
        lead = base.as_coeff_Add()[0] if base.is_Add else sympy.Integer(0)
        if lead.is_Float and (power.is_Integer or (power.is_Rational and lead > 0)):
            number *= lead**power
            base = sympy.Add(1, *(term / lead for term in base.args if term != lead))
        rest.append(base**power)
    return number * sympy.Mul(*rest)


def parametrise(formula: sympy.Expr) -> tuple[sympy.Expr, list[sympy.Symbol], list[float]]:
    """`formula` with its real constants as symbols, those symbols, and the constants."""
    numbers = sorted({n for n in formula.atoms(sympy.Float)}, key=float)
    symbols = [sympy.Symbol(f"c{i}") for i in range(len(numbers))]
    return formula.xreplace(dict(zip(numbers, symbols, strict=True))), symbols, [float(n) for n in numbers]


def refine(formula: sympy.Expr, data: dict[str, np.ndarray], weight: np.ndarray) -> sympy.Expr:
    """`formula` with its constants fitted to the quantity itself, robustly, rounded to five digits."""
    shape, symbols, start = parametrise(formula)
    if not symbols:
        return formula
    function = sympy.lambdify([*variables(data["x"]), *symbols], shape, "numpy")

    def residual(c: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            f = np.broadcast_to(function(*data["x"].T, *c), data["value"].shape)
        misfit = (data["offset"] + data["factor"] * f - data["value"]) * weight
        return np.nan_to_num(misfit, nan=1e3, posinf=1e3, neginf=-1e3)

    try:
        best = least_squares(residual, start, loss="soft_l1", x_scale=np.abs(start) + 1e-3, max_nfev=300).x
    except ValueError:
        return formula
    rounded = [sympy.Float(f"{c:.5g}", 5) for c in best]
    return shape.xreplace(dict(zip(symbols, rounded, strict=True)))


def evaluate(formula: sympy.Expr, data: dict[str, np.ndarray]) -> np.ndarray:
    """The quantity (N,) that `formula` predicts; NaN where it is not defined."""
    return data["offset"] + data["factor"] * values(formula, data["x"])


def values(formula: sympy.Expr, x: np.ndarray) -> np.ndarray:
    """f (N,) at the inputs `x` (N, k); NaN where it is not defined."""
    function = sympy.lambdify(variables(x), formula, "numpy")
    with np.errstate(all="ignore"):
        return np.broadcast_to(np.asarray(function(*x.T), dtype=float), len(x))


def bounded(formula: sympy.Expr, limit: float, n: int = 20_000) -> bool:
    """Whether |f| stays below `limit` for all mass ratios up to 10^4 and all spins: no pole hides between or beyond the runs."""
    rng = np.random.default_rng(0)
    q, z1, z2 = 10 ** rng.uniform(0, 4, n), *np.clip(rng.uniform(-1.2, 1.2, (2, n)), -1, 1)
    m1, m2 = q / (1 + q), 1 / (1 + q)
    x = np.stack([m1 * m2, m1 * z1 + m2 * z2, (m1 - m2) * 0.5 * (z1 - z2)], axis=1)
    return bool(np.all(np.abs(values(formula, x)) < limit))


def length(formula: sympy.Expr) -> int:
    """Nodes of the expression tree: every operation, number and variable counts one."""
    return sum(1 for _ in sympy.preorder_traversal(formula))


def errors(predicted: np.ndarray, data: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Error of a prediction by catalogue: number of runs, root mean square, median and largest."""
    out = {}
    for code in np.unique(data["code"]):
        rows = data["code"] == code
        error = np.abs(predicted - data["value"])[rows]
        values = {"rms": np.sqrt(np.mean(error**2)), "median": np.median(error), "max": np.max(error)}
        out[str(code)] = {"n": int(rows.sum())} | {key: float(f"{value:.3g}") for key, value in values.items()}
    return out


def subset(data: dict[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """The runs `rows` of a table."""
    return {key: value[rows] for key, value in data.items()}


def published(target: str, data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Predictions (N,) of published fits, from lalinference."""
    from lalinference.imrtgr import nrutils

    m1, m2 = data["q"] / (1 + data["q"]), 1 / (1 + data["q"])
    calls: dict[str, Callable[..., np.ndarray]] = {
        "final_spin": {
            "UIB2016": nrutils.bbh_final_spin_non_precessing_UIB2016,
            "HBR2016 M3J4": lambda *a: nrutils.bbh_final_spin_non_precessing_HBR2016(*a, version="M3J4"),
            "HBR2016 M1J2": lambda *a: nrutils.bbh_final_spin_non_precessing_HBR2016(*a, version="M1J2"),
            "HL2016": lambda *a: nrutils.bbh_final_spin_non_precessing_Healyetal(*a, version="2016"),
        },
        "radiated_energy": {
            "UIB2016": lambda *a: 1 - nrutils.bbh_final_mass_non_precessing_UIB2016(*a),
            "HL2016": lambda *a: 1 - nrutils.bbh_final_mass_non_precessing_Healyetal(*a, version="2016"),
        },
        "peak_luminosity": {
            "UIB2016": lambda *a: nrutils.bbh_peak_luminosity_non_precessing_UIB2016(*a) / LUMINOSITY_UNIT,
            "HL2016": lambda *a: nrutils.bbh_peak_luminosity_non_precessing_Healyetal(*a) / LUMINOSITY_UNIT,
        },
    }[target]
    # The fits report on standard output that eta was rounded down to 1/4.
    with contextlib.redirect_stdout(io.StringIO()):
        return {name: np.asarray(call(m1, m2, data["z1"], data["z2"])) for name, call in calls.items()}


def front(candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Members that no shorter one beats on the training runs by at least 2 %."""
    best, kept = np.inf, []
    for member in sorted(candidates, key=lambda m: (m["length"], m["train_rms"])):
        if member["train_rms"] < 0.98 * best:
            best = member["train_rms"]
            kept.append(member)
    return kept


def candidates(
    train: dict[str, np.ndarray],
    chosen: np.ndarray,
    weight: np.ndarray,
    generations: int,
    seeds: int,
    sound: Callable[[sympy.Expr], bool],
    simple: Sequence[sympy.Expr] = (),
) -> list[dict[str, Any]]:
    """Formulas that are `sound`, `simple` ones and those searched for on the rows `chosen`, refined on all training runs."""
    y = (train["value"] - train["offset"])[chosen] / train["factor"][chosen]
    raw = list(simple)
    for seed in range(seeds):
        found = search(train["x"][chosen], y, generations, seed)
        log.info("seed %d found %d formulas", seed, len(found))
        raw += map(normalise, found)
    out = []
    for start in raw:
        formula = refine(start, train, weight)
        deviation = evaluate(formula, train) - train["value"]
        if np.all(np.isfinite(deviation)) and sound(formula):
            out.append(
                {
                    "formula": formula,
                    "length": length(formula),
                    "constants": len(formula.atoms(sympy.Float)),
                    "train_rms": weighted_rms(deviation, weight),
                }
            )
    return out


def weighted_rms(deviation: np.ndarray, weight: np.ndarray) -> float:
    """Root mean square in units of the quantity, for runs of the worse catalogue."""
    return float(np.sqrt(np.mean((deviation * weight) ** 2)) / weight.min())


def shown(members: list[dict[str, Any]], test: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Members of a front, simplified, as text, with their errors on held-out runs."""
    out = []
    for member in members:
        short = sympy.simplify(member["formula"])
        if length(short) < member["length"]:
            member |= {"formula": short, "length": length(short)}
        out.append({**member, "formula": str(member["formula"]), "held_out": errors(evaluate(member["formula"], test), test)})
    return out


def weights(train: dict[str, np.ndarray]) -> np.ndarray:
    """Weights (N,): runs of the better catalogue count more; the scale of the robust loss keeps a few bad ones from ruling."""
    return np.where(train["code"] == "SXS", 2.0, 1.0) / (0.01 * np.std(train["value"]))


def study(path: Path, target: str, generations: int, seeds: int) -> dict[str, Any]:
    """Pareto front and published fits for one target."""
    data = table(path, target)
    held = folds(data["cluster"], 5, seed=1) == 0
    train, test = subset(data, ~held), subset(data, held)
    weight = weights(train)
    limit = 3 * np.max(np.abs((train["value"] - train["offset"]) / train["factor"]))
    log.info(target)
    found = candidates(train, np.arange(len(train["q"])), weight, generations, seeds, lambda f: bounded(f, limit))
    members = shown(front(found), test)
    rival = weighted_rms(published(target, train)[RIVAL] - train["value"], weight)
    chosen = next((i for i, member in enumerate(members) if member["train_rms"] < rival), len(members) - 1)
    fits = {
        name: {"constants": PUBLISHED_CONSTANTS.get(name), "held_out": errors(value, test)}
        for name, value in published(target, test).items()
    }
    counts = {str(code): int(np.sum(test["code"] == code)) for code in np.unique(test["code"])}
    return {
        "form": TARGETS[target],
        "n_train": len(train["q"]),
        "n_test": counts,
        "chosen": chosen,
        "front": members,
        "published": fits,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="remnants.npz of `python -m data_prep remnants`")
    parser.add_argument("--generations", type=int, default=40, help="generations of each search")
    parser.add_argument("--seeds", type=int, default=2, help="independent searches for each target")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    report = {
        "runs_sha256": artifacts.sha256(arguments.runs),
        "held_out": "one fifth of the parameter clusters, aligned spins, q <= 16",
        "inputs": "eta, chi_eff, d = sqrt(1 - 4 eta) (chi1 - chi2) / 2, s = (m1^2 chi1 + m2^2 chi2) / M^2",
        "generations": arguments.generations,
        "seeds": arguments.seeds,
        "versions": artifacts.package_versions("numpy", "sympy", "pyoperon"),
        "targets": {target: study(arguments.runs, target, arguments.generations, arguments.seeds) for target in TARGETS},
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "formulas.json").write_text(json.dumps(report, indent=1) + "\n")
    for target, part in report["targets"].items():
        print(target, part["form"])
        for member in part["front"]:
            print(f"  {member['length']:3d} {member['held_out']} {member['formula']}")
        for name, fit in part["published"].items():
            print(f"  {name}: {fit['held_out']}")


if __name__ == "__main__":
    main()
