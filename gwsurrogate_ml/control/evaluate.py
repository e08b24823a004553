"""Training a policy by the name of its method, and policies beside their rivals on the same noise."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from gwsurrogate_ml.control.learn import Progress, Task, dagger, descend
from gwsurrogate_ml.control.linear import exact_cost, lqg, lqg_gains, margins, optimal_cost
from gwsurrogate_ml.control.mpc import Predictive
from gwsurrogate_ml.control.plant import Plant
from gwsurrogate_ml.control.policy import Policy
from gwsurrogate_ml.control.rivals import tuned_classical, tuned_lqg
from gwsurrogate_ml.control.simulate import Controller, Estimating, Linear, linear_law, simulate
from gwsurrogate_ml.errors import ConfigError

METHODS = ("descent", "descent-residual", "dagger", "ppo", "ppo-residual", "sac")
PEAK = 2.0
"""Peak sensitivity of the loops that are tuned with margins."""
LQG_PEAK = 3.0
MPC_MIRRORS = 64


def train_policy(plant: Plant, method: str, task: Task | None = None, progress: Progress | None = None, **settings: Any) -> Policy:
    """Train a policy; see `learn.dagger`, `learn.descend`, `reinforce.proximal` and `reinforce.soft` for the methods' settings.

    Parameters
    ----------
    plant : Plant
    method : str, one of METHODS
    task : Task
    progress : called with stage, done, total

    Raises
    ------
    ConfigError
        an unknown method, or one that needs the extra ``control`` where it is not installed
    """
    if method not in METHODS:
        raise ConfigError(f"method is {method!r}: it must be one of {', '.join(METHODS)}")
    base = int(method.endswith("-residual"))
    if method == "dagger":
        return dagger(plant, task or Task(), progress=progress, **settings)
    if method.startswith("descent"):
        return descend(plant, task or Task(), base=base, progress=progress, **settings)
    from gwsurrogate_ml.control.environment import MirrorVecEnv  # noqa: F401  (says what is missing)
    from gwsurrogate_ml.control.reinforce import proximal, soft

    if method == "sac":
        return soft(plant, task or Task(), progress=progress, **settings)
    return proximal(plant, task or Task(), base=base, progress=progress, **settings)


def stiffer(plant: Plant, share: float) -> np.ndarray:
    """LQG's regulator (1, n) with `share` of the gain on the growing mode added that moves its pole to its mirror image.

    Examples
    --------
    >>> from gwsurrogate_ml.control.plant import make_plant
    >>> plant = make_plant()
    >>> bool((stiffer(plant, 0.0) == lqg_gains(plant).regulator).all())
    True
    """
    value, left = plant.unstable
    return lqg_gains(plant).regulator + share * (value - 1 / value) / (left @ plant.b).item() * left[None]


def compare(
    plant: Plant,
    policies: Mapping[str, Policy],
    limit: float | None = None,
    fall: float = 10.0,
    seconds: float = 60.0,
    n: int = 256,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Policies and rivals on the same noise: one row each.

    The rivals are LQG of this plant (its filter told of the limit), the classical loops, LQG with margins and, with a limit,
    LQG with more gain on the growing mode and model-predictive control (on `MPC_MIRRORS` mirrors only).

    Parameters
    ----------
    plant : Plant
    policies : Policy by name
    limit : float, nrad, or None
    fall : float, nrad
    seconds : float, s, for each of `n` mirrors
    seed : int
    progress : called with stage, done, total

    Returns
    -------
    list of dict: name, learned, exact (cost over the optimum's, None where there is none), run (see `Run`), ratio (simulated cost
    over the optimum's without limits), margins (lowest and highest gain, peak sensitivity; None for what is not linear)
    """
    linear = {
        "LQG": lqg(plant),
        "classical, tuned on cost": tuned_classical(plant),
        f"classical, peak sensitivity {PEAK:g}": tuned_classical(plant, PEAK),
        f"LQG, peak sensitivity {LQG_PEAK:g}": tuned_lqg(plant, LQG_PEAK),
    }
    entries: list[tuple[str, bool, Any]] = [(name, False, partial(Linear, loop)) for name, loop in linear.items() if name != "LQG"]
    entries.insert(0, ("LQG", False, lambda n: Estimating(plant, n)))
    if limit is not None:
        for share in (0.5, 1.0):
            law = linear_law(stiffer(plant, share))
            entries.append((f"LQG, growing mode +{share:g}", False, lambda n, law=law: Estimating(plant, n, law)))
        entries.append(("MPC", False, lambda n: Estimating(plant, n, Predictive(plant, limit))))
    entries += [(name, True, policy.controller) for name, policy in policies.items()]
    best, rows = optimal_cost(plant), []
    for k, (name, learned, make) in enumerate(entries):
        if progress is not None:
            progress("controllers", k, len(entries))
        mirrors = min(n, MPC_MIRRORS) if name == "MPC" else n
        controller: Controller = make(mirrors)
        run = simulate(plant, controller, seconds, mirrors, seed, np.inf if limit is None else limit, fall)
        loop = linear.get(name)
        rows.append(
            {
                "name": name,
                "learned": learned,
                "exact": None if loop is None or limit is not None else exact_cost(plant, loop).total / best,
                "ratio": run.total / best,
                "run": run.record(),
                "margins": None if loop is None else margins(plant, loop)._asdict(),
            }
        )
    if progress is not None:
        progress("controllers", len(entries), len(entries))
    return rows
