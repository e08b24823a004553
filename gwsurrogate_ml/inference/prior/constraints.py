"""Densities of bilby's priors with Constraints on what follows from the parameters, such as the component masses.

A Constraint cuts a region out of the product of the densities, and what is left is normalised anew. bilby finds the share that
is left by chance, to three digits, and gives Constraints on what it cannot derive no effect; here it comes from a Sobol sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.errors import ConfigError

if TYPE_CHECKING:
    from bilby.core.prior import Prior, PriorDict

POINTS, OF_MASSES = 17, 19
"""log2 of the points of the share: its error is some 1e-5; of Constraints on masses alone, which two parameters settle, one in
1000 of a share of 2 %, one in 100 of one of 4e-4."""


def constraints(priors: Mapping[str, Prior], names: Iterable[str]) -> PriorDict:
    """The Constraints of `priors` on anything but the parameters `names`, as a `BBHPriorDict`.

    Raises
    ------
    ConfigError
        for a Constraint on something that does not follow from the parameters
    """
    from bilby.core.prior import Constraint
    from bilby.gw.prior import BBHPriorDict

    names = tuple(names)
    found = BBHPriorDict({name: p for name, p in priors.items() if isinstance(p, Constraint) and name not in names})
    known = found.conversion_function(dict.fromkeys(names, 0.5)) if found else {}
    if unknown := [name for name in found if name not in known]:
        raise ConfigError(
            f"the prior has a Constraint on {unknown[0]}, which does not follow from {', '.join(names)}: leave it out (bilby gives "
            "it no effect), or cut the draws of the result; masses of the detector frame may be constrained"
        )
    return found


def allowed(found: PriorDict, table: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether each row of `table` (N,) fulfils the Constraints `found`; bool (N,)."""
    if not found:
        return np.ones(len(next(iter(table.values()))), bool)
    return np.asarray(found.evaluate_constraints(dict(table)), bool)


def points(priors: Mapping[str, Prior], names: Iterable[str], log2: int = POINTS) -> dict[str, np.ndarray]:
    """Draws (2**log2,) of the densities of the parameters `names`, Constraints left out: always the same."""
    from scipy.stats import qmc

    names = tuple(names)
    u = qmc.Sobol(len(names), scramble=True, seed=np.random.default_rng(0)).random_base2(log2)
    return {name: np.asarray(priors[name].rescale(column)) for name, column in zip(names, u.T, strict=True)}


def share(priors: Mapping[str, Prior], found: PriorDict, names: Iterable[str]) -> float:
    """What the Constraints `found` leave of the densities of the parameters `names`, from 0 to 1.

    Raises
    ------
    ConfigError
        if it is nothing
    """
    masses = [name for name in ("chirp_mass", "mass_ratio") if name in (names := tuple(names))]
    alone = bool(found) and found.keys() <= found.conversion_function(dict.fromkeys(masses, 0.5)).keys()
    drawn = points(priors, masses, OF_MASSES) if alone else points(priors, names)
    left = float(np.mean(allowed(found, drawn)))
    if not left:
        raise ConfigError(f"the Constraints on {', '.join(found)} leave nothing of the prior: give ranges that it reaches")
    return left


def cutting(found: PriorDict, priors: Mapping[str, Prior]) -> list[str]:
    """Names of the Constraints `found` that cut off more than some 1e-5 of the densities `priors`."""
    if not found:
        return []
    derived = found.conversion_function(points(priors, priors))
    return [name for name in found if not np.all(found[name].prob(derived[name]))]


def log_density(priors: Mapping[str, Prior], table: Mapping[str, np.ndarray]) -> np.ndarray:
    """Log of the normalised density (N,) at the rows of `table`, whose columns are all the parameters.

    Examples
    --------
    >>> from bilby.core.prior import Constraint, Uniform
    >>> priors = {"chirp_mass": Uniform(10, 20), "mass_ratio": Uniform(0.5, 1), "mass_2": Constraint(0, 12)}
    >>> at = {"chirp_mass": np.array([11.0, 19.0]), "mass_ratio": np.array([0.8, 0.8])}
    >>> np.exp(log_density(priors, at)).round(2).tolist()
    [0.91, 0.0]
    """
    found = constraints(priors, table)
    out = np.sum([priors[name].ln_prob(column) for name, column in table.items()], axis=0)
    if found:
        out = np.where(allowed(found, table), out - np.log(share(priors, found, table)), -np.inf)
    return np.asarray(out)
