"""The mirror as environments: one for gymnasium, and many at once in numpy for stable-baselines3.

An observation is the Kalman filter's estimate in units of its spread under LQG, cut off at +-10; the filter is fed the torque
that the limit left. An action in [-1, 1] is a torque in units of `reach` (nrad), added to LQG's where `base` is 1. The reward is
``-cost / (10 LQG's mean cost)``, and -20 for a fall, which ends an episode; a full length truncates it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from gwsurrogate_ml.control.learn import Task
from gwsurrogate_ml.control.linear import lqg, optimal_cost
from gwsurrogate_ml.control.plant import Plant, make_plant
from gwsurrogate_ml.control.policy import regulator_power, spread
from gwsurrogate_ml.control.simulate import Estimating, Mirrors, Pool
from gwsurrogate_ml.errors import ConfigError, DataError

if missing := [name for name in ("gymnasium", "stable_baselines3") if importlib.util.find_spec(name) is None]:
    raise ConfigError(f"environments and reinforcement learning need {' and '.join(missing)}: pip install gwsurrogate-ml[control]")

import gymnasium
from stable_baselines3.common.vec_env.base_vec_env import VecEnv

CUT = 10.0
FALL_REWARD = -20.0
EPISODE = 8.0
"""Seconds of an episode."""


class _Course:
    """What both environments share: mirrors, filter, rewards."""

    def __init__(self, plant: Plant | None, task: Task, n: int, base: int) -> None:
        self.plant = plant or make_plant()
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
        actions = np.asarray(actions, float).reshape(self.n)
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
    DataError
        from `step`, for an action that is not finite
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, plant: Plant | None = None, task: Task | None = None, base: int = 0) -> None:
        self.course = _Course(plant, task or Task(), 1, base)
        self.observation_space, self.action_space = self.course.observation_space, self.course.action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """A new stationary state; with a seed, new noise."""
        super().reset(seed=seed)
        if seed is not None:
            self.course.seed(seed)
        self.course.restart(np.zeros(1, int))
        return self.course.observe()[0], {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One sample."""
        rewards, fallen, over = self.course.act(action)
        return self.course.observe()[0], float(rewards[0]), bool(fallen[0]), bool(over[0]), {}


class MirrorVecEnv(VecEnv):
    """Many mirrors in numpy for stable-baselines3, with ``terminal_observation`` and ``TimeLimit.truncated``; see `MirrorEnv`."""

    def __init__(self, plant: Plant | None = None, task: Task | None = None, n: int = 32, base: int = 0) -> None:
        self.course = _Course(plant, task or Task(), n, base)
        super().__init__(n, self.course.observation_space, self.course.action_space)
        self._actions = np.zeros((n, 1))

    def reset(self) -> np.ndarray:
        """New stationary states for all."""
        self.course.restart(np.arange(self.num_envs))
        self.course.age = np.asarray(
            self.course.pool.rng.integers(self.course.length, size=self.course.n)
        )  # episodes end one after another
        return self.course.observe()

    def step_async(self, actions: np.ndarray) -> None:
        """Keep the actions."""
        self._actions = actions

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """One sample of all."""
        rewards, fallen, over = self.course.act(self._actions)
        done = fallen | over
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        seen = self.course.observe()
        rows = np.flatnonzero(done)
        if len(rows):
            for row in rows:
                infos[row] = {"terminal_observation": seen[row].copy(), "TimeLimit.truncated": bool(over[row])}
            self.course.restart(rows)
            seen = self.course.observe()
        return seen, rewards.astype(np.float32), done, infos

    def close(self) -> None:
        """Nothing to close."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """An attribute, the same for all."""
        return [getattr(self.course, attr_name, None)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Mirrors have no attributes of their own."""
        raise ConfigError(f"mirrors have no attribute {attr_name!r} of their own: set it where the environment is made")

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        """Mirrors have no methods of their own."""
        raise ConfigError(f"mirrors have no method {method_name!r} of their own: ask the environment")

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """None is."""
        return [False] * len(list(self._get_indices(indices)))

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Begin all noise anew."""
        self.course.seed(self.course.task.seed if seed is None else seed)
        return [seed] * self.num_envs
