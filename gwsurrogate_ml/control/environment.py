"""The mirror as an environment of gymnasium; `vector` has many at once for stable-baselines3.

An observation is the Kalman filter's estimate in units of its spread under LQG, cut off at +-10; the filter is fed the torque
that the limit left. An action in [-1, 1] is a torque in units of `reach` (nrad), added to LQG's where `base` is 1. The reward is
``-cost / (10 LQG's mean cost)``, and -20 for a fall, which ends an episode; a full length truncates it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gwsurrogate_ml.arguments import whole
from gwsurrogate_ml.control.learn import Task
from gwsurrogate_ml.control.linear import lqg, optimal_cost
from gwsurrogate_ml.control.plant import Plant, make_plant
from gwsurrogate_ml.control.policy import regulator_power, spread
from gwsurrogate_ml.control.simulation import Estimating, Mirrors, Pool
from gwsurrogate_ml.errors import ConfigError, DataError, MissingExtraError

try:
    import gymnasium
except ImportError as error:
    raise MissingExtraError("the mirror's environments need gymnasium: pip install gwsurrogate-ml[control]") from error

CUT = 10.0
FALL_REWARD = -20.0
EPISODE = 8.0
"""Seconds of an episode."""


class Course:
    """What both environments share: mirrors, filter, rewards."""

    render_mode = None

    def __init__(self, plant: Plant | None, task: Task, n: int, base: int) -> None:
        self.plant, n = plant or make_plant(), whole(n, "n", 1)
        if base not in (0, 1):
            raise ConfigError(f"base is {base!r}: give 1 to add actions to LQG's torque, 0 not to")
        self.task, self.n, self.base = task, n, base
        self.units, self.rate = spread(self.plant), optimal_cost(self.plant)
        self.teacher = Estimating(self.plant, n)
        self.reach = regulator_power(self.teacher.regulator, self.units) ** 0.5 * (1 if base else 4)
        self.length = round(EPISODE * self.plant.rate)
        self.observation_space = gymnasium.spaces.Box(-CUT, CUT, (self.plant.n,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.seed(task.seed)

    def seed(self, seed: int) -> None:
        """Begin all noise anew."""
        seed = whole(seed, "seed")
        self.mirrors = Mirrors(self.plant, self.n, (seed, 0), self.task.most)
        self.pool = Pool(self.plant, lqg(self.plant), self.task.most, (seed, 1))
        self.age: np.ndarray = np.zeros(self.n, int)

    def restart(self, rows: np.ndarray) -> None:
        """Put new stationary states in the place of the mirrors `rows`; to be measured next."""
        self.mirrors.state[rows], own = self.pool.draw(len(rows))
        self.teacher.start(own, rows)
        self.age[rows] = 0

    def observe(self) -> np.ndarray:
        """Measure, and give the estimates (n, states) as networks see them."""
        estimate = self.teacher.see(self.mirrors.measured)
        return np.clip(estimate / self.units, -CUT, CUT).astype(np.float32)

    def act(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rewards (n,), falls (n,) and truncations (n,) of actions (n, 1)."""
        actions = np.asarray(actions, float)
        if actions.shape != (self.n, 1):
            raise ConfigError(
                f"the actions have shape {actions.shape}: give ({self.n}, 1), a number between -1 and 1 for each mirror"
            )
        actions = actions[:, 0]
        if not np.isfinite(actions).all():
            raise DataError(f"an action is not finite ({actions[~np.isfinite(actions)][0]}): mend the policy that gave it")
        torque = self.reach * np.clip(actions, -1, 1)
        if self.base:
            torque = torque + self.teacher.law(self.teacher.estimate)
        spent, torque = self.mirrors.push(torque)
        self.teacher.applied(torque)
        self.age += 1
        fallen = np.abs(self.mirrors.state[:, 0]) > self.task.fall
        rewards = -np.minimum(spent.sum(axis=1) / self.rate, 1e3) / 10 + FALL_REWARD * fallen
        return rewards, fallen, (self.age >= self.length) & ~fallen


class MirrorEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """One mirror for gymnasium; see this module for observations, actions and rewards.

    Parameters
    ----------
    plant : Plant, the default one if left out
    task : Task, limits on torque and angle
    base : 0 or 1, whether LQG's torque is added to the action's

    Raises
    ------
    ConfigError
        a base that is none; from `step`, an action whose shape is not (1,)
    DataError
        from `step`, for an action that is not finite
    MissingExtraError
        from the import of this module, without gymnasium
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (gymnasium's own declaration)

    def __init__(self, plant: Plant | None = None, task: Task | None = None, base: int = 0) -> None:
        self.course = Course(plant, task or Task(), 1, base)
        self.observation_space, self.action_space = self.course.observation_space, self.course.action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """A new stationary state and new noise: of `seed`, or of what the last seed left, or of the system's entropy."""
        super().reset(seed=seed)
        self.course.seed(int(self.np_random.integers(2**31)) if seed is None else seed)
        self.course.restart(np.zeros(1, int))
        return self.course.observe()[0], {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One sample."""
        if np.shape(action) != (1,):
            raise ConfigError(f"the action has shape {np.shape(action)}: give (1,), a number between -1 and 1")
        rewards, fallen, over = self.course.act(np.asarray(action)[None])
        return self.course.observe()[0], float(rewards[0]), bool(fallen[0]), bool(over[0]), {}
