"""Angular control of a suspended mirror with radiation pressure, beside its exact optimum.

`noise` and `plant` hold the mirror, `linear` the optimum and the exact cost of any linear controller, `rivals` classical loops,
`mpc` model-predictive control, `simulation` many mirrors at once, `policy` and `learn` small networks,
`environment`, `vector` and `reinforce` (extra ``control``) gymnasium and stable-baselines3, `evaluate` all of it side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gwsurrogate_ml._lazy import lazy

_PUBLIC = {
    "NoiseModel": "gwsurrogate_ml.control.noise",
    "StateSpace": "gwsurrogate_ml.control.noise",
    "fit_noise": "gwsurrogate_ml.control.noise",
    "read_asd": "gwsurrogate_ml.control.noise",
    "Suspension": "gwsurrogate_ml.control.plant",
    "make_plant": "gwsurrogate_ml.control.plant",
    "exact_cost": "gwsurrogate_ml.control.linear",
    "lqg": "gwsurrogate_ml.control.linear",
    "margins": "gwsurrogate_ml.control.linear",
    "optimal_cost": "gwsurrogate_ml.control.linear",
    "tuned_classical": "gwsurrogate_ml.control.rivals",
    "Linear": "gwsurrogate_ml.control.simulation",
    "simulate": "gwsurrogate_ml.control.simulation",
    "Task": "gwsurrogate_ml.control.learn",
    "train_policy": "gwsurrogate_ml.control.evaluate",
    "compare": "gwsurrogate_ml.control.evaluate",
    "load_policy": "gwsurrogate_ml.control.policy",
    "MirrorEnv": "gwsurrogate_ml.control.environment",
    "MirrorVecEnv": "gwsurrogate_ml.control.vector",
}

if TYPE_CHECKING:
    from gwsurrogate_ml.control.environment import MirrorEnv
    from gwsurrogate_ml.control.evaluate import compare, train_policy
    from gwsurrogate_ml.control.learn import Task
    from gwsurrogate_ml.control.linear import exact_cost, lqg, margins, optimal_cost
    from gwsurrogate_ml.control.noise import NoiseModel, StateSpace, fit_noise, read_asd
    from gwsurrogate_ml.control.plant import Suspension, make_plant
    from gwsurrogate_ml.control.policy import load_policy
    from gwsurrogate_ml.control.rivals import tuned_classical
    from gwsurrogate_ml.control.simulation import Linear, simulate
    from gwsurrogate_ml.control.vector import MirrorVecEnv

__all__ = [
    "Linear",
    "MirrorEnv",
    "MirrorVecEnv",
    "NoiseModel",
    "StateSpace",
    "Suspension",
    "Task",
    "compare",
    "exact_cost",
    "fit_noise",
    "load_policy",
    "lqg",
    "make_plant",
    "margins",
    "optimal_cost",
    "read_asd",
    "simulate",
    "train_policy",
    "tuned_classical",
]
__getattr__, __dir__ = lazy(__name__, _PUBLIC)
