"""Many mirrors at once in numpy, for stable-baselines3; `environment` has one for gymnasium."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gwsurrogate_ml.control.environment import Course
from gwsurrogate_ml.control.learn import Task
from gwsurrogate_ml.control.plant import Plant
from gwsurrogate_ml.errors import ConfigError, MissingExtraError

try:
    from stable_baselines3.common.vec_env.base_vec_env import VecEnv
except ImportError as error:
    raise MissingExtraError("many mirrors at once need stable_baselines3: pip install gwsurrogate-ml[control]") from error


class MirrorVecEnv(VecEnv):
    """Many mirrors in numpy for stable-baselines3, with ``terminal_observation`` and ``TimeLimit.truncated``; see `MirrorEnv`."""

    def __init__(self, plant: Plant | None = None, task: Task | None = None, n: int = 32, base: int = 0) -> None:
        self.course = Course(plant, task or Task(), n, base)
        n = self.course.n
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
        """An attribute, the same for all; AttributeError where there is none of that name."""
        return [getattr(self.course, attr_name)] * len(list(self._get_indices(indices)))

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
