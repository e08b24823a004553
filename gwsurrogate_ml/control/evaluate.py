"""Training a policy by the name of its method, and policies beside their rivals on the same noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gwsurrogate_ml.arguments import positive, whole
from gwsurrogate_ml.control.learn import Progress, Task, dagger, descend
from gwsurrogate_ml.control.linear import Gains, exact_cost, lqg_gains, margins, observer, optimal_cost
from gwsurrogate_ml.control.mpc import Predictive
from gwsurrogate_ml.control.noise import StateSpace
from gwsurrogate_ml.control.plant import Plant
from gwsurrogate_ml.control.policy import Policy
from gwsurrogate_ml.control.rivals import tuned_classical
from gwsurrogate_ml.control.simulation import Controller, Estimating, Linear, Run, simulate
from gwsurrogate_ml.errors import ConfigError

METHODS = ("descent", "descent-residual", "descent-linear", "dagger", "ppo", "ppo-residual", "sac")
PEAK = 2.0
"""Peak sensitivity of the loop that is tuned with margins."""
MPC = "MPC, horizon 1 s"
MPC_MIRRORS = 64
EMPTY = ("exact", "run", "ratio", "ratio_error", "more_falls", "more_falls_error", "margins")


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
        an unknown method, a length of training below 1, or (MissingExtraError) the extra ``control`` that is not installed
    """
    if method not in METHODS:
        raise ConfigError(f"method is {method!r}: it must be one of {', '.join(METHODS)}")
    base = int(method.endswith(("-residual", "-linear")))
    if method == "dagger":
        return dagger(plant, task or Task(), progress=progress, **settings)
    if method.startswith("descent"):
        return descend(plant, task or Task(), base=base, progress=progress, linear=method == "descent-linear", **settings)
    from gwsurrogate_ml.control.reinforce import proximal, soft

    if method == "sac":
        return soft(plant, task or Task(), progress=progress, **settings)
    return proximal(plant, task or Task(), base=base, progress=progress, **settings)


def stiffer(plant: Plant, share: float) -> Gains:
    """LQG with `share` of the gain on the growing mode added that moves its pole to its mirror image.

    Raises
    ------
    ConfigError
        a mirror that has no growing mode

    Examples
    --------
    >>> from gwsurrogate_ml.control.plant import make_plant
    >>> plant = make_plant()
    >>> bool((stiffer(plant, 0.0).regulator == lqg_gains(plant).regulator).all())
    True
    """
    if plant.unstable is None:
        raise ConfigError(f"the mirror has no growing mode at {plant.power:g} of the nominal power: raise the power")
    value, left = plant.unstable
    gains = lqg_gains(plant)
    return replace(gains, regulator=gains.regulator + share * (value - 1 / value) / (left @ plant.b).item() * left[None])


def beside(run: Run, peer: Run) -> dict[str, float]:
    """A run beside another on the same noise: ratio of costs and difference of falls an hour, with paired standard errors.

    Mirrors that only one of the two has are left out. Keys: ratio, ratio_error, more_falls, more_falls_error.
    """
    n = min(len(run.each), len(peer.each))
    ours, theirs = run.each[:n], peer.each[:n]
    ratio, root = float(ours.mean() / theirs.mean()), np.sqrt(max(n - 1, 1))
    hours = peer.seconds / len(peer.each) / 3600
    falls = (run.fell[:n] - peer.fell[:n]) / hours
    return {
        "ratio": ratio,
        "ratio_error": float(np.std(ours - ratio * theirs) / theirs.mean() / root),
        "more_falls": float(falls.mean()),
        "more_falls_error": float(np.std(falls) / root),
    }


Made = tuple[StateSpace | None, Callable[[int], Controller]]
"""A linear loop (None for what is not linear), and what makes its controllers of n mirrors."""


def rivals(plant: Plant, limit: float | None) -> dict[str, Callable[[], Made]]:
    """Makers of the rivals by name, LQG first.

    Within a limit, filters are told of the torque that it leaves; MPC and more gain on the growing mode join.
    """

    def estimating(gains: Gains) -> Made:
        return observer(plant, gains.regulator, gains.kalman), lambda n: Estimating(plant, n, gains=gains)

    def plain(loop: StateSpace) -> Made:
        return loop, lambda n: Linear(loop, n)

    def stiff(share: float) -> Callable[[], Made]:
        return lambda: estimating(stiffer(plant, share))

    found: dict[str, Callable[[], Made]] = {
        "LQG": lambda: estimating(lqg_gains(plant)),
        "classical, tuned on cost": lambda: plain(tuned_classical(plant)),
        f"classical, peak sensitivity {PEAK:g}": lambda: plain(tuned_classical(plant, PEAK)),
    }
    if limit is not None:
        for share in (0.5, 1.0) if plant.unstable is not None else ():
            found[f"LQG, growing mode +{share:g}"] = stiff(share)
        found[MPC] = lambda: (None, lambda n: Estimating(plant, n, Predictive(plant, limit)))
    return found


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

    The rivals are those of `rivals`; MPC runs on the first `MPC_MIRRORS` mirrors only.

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
    list of dict: name, learned, exact (cost over the optimum's, None where there is none), run (see `Run`), what `beside` says of
    it and LQG (the first row, told of the limit), margins (lowest and highest gain, peak sensitivity; None for what is not linear).
    A rival that cannot be had on this plant has its reason as `refused`, and None in the place of the others.

    Raises
    ------
    ConfigError
        a policy for another sampling frequency, or numbers that are none
    DataError
        a policy whose torque is not finite
    """
    limit = None if limit is None else positive(limit, "limit", "nrad")
    fall, seconds, n = positive(fall, "fall", "nrad"), positive(seconds, "seconds", "s"), whole(n, "mirrors", 2)
    for name, policy in policies.items():
        if policy.plant.rate != plant.rate:
            raise ConfigError(
                f"policy {name!r} was trained at {policy.plant.rate:g} Hz and the mirror is sampled at {plant.rate:g} Hz: "
                "train it for this mirror"
            )
    makers = rivals(plant, limit) | {name: lambda policy=policy: (None, policy.controller) for name, policy in policies.items()}
    best, rows, peer = optimal_cost(plant), [], None
    for k, (name, maker) in enumerate(makers.items()):
        if progress is not None:
            progress("controllers", k, len(makers))
        mirrors = min(n, MPC_MIRRORS) if name == MPC else n
        row: dict[str, Any] = {"name": name, "learned": name in policies} | dict.fromkeys(EMPTY)
        try:
            loop, make = maker()
            run = simulate(plant, make(mirrors), seconds, mirrors, seed, np.inf if limit is None else limit, fall)
        except ConfigError as error:
            if peer is None:
                raise
            rows.append(row | {"refused": str(error)})
            continue
        peer = peer or run
        row |= {"run": run.record(), **beside(run, peer)}
        if loop is not None:
            row |= {"margins": margins(plant, loop)._asdict()}
            row |= {"exact": exact_cost(plant, loop).total / best} if limit is None else {}
        rows.append(row)
    if progress is not None:
        progress("controllers", len(makers), len(makers))
    return rows
