"""Policies by reinforcement learning with stable-baselines3: PPO and SAC from nothing, PPO on top of LQG.

The trained actor is taken out of stable-baselines3 as plain arrays: what is kept needs neither it nor pickles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from gwsurrogate_ml.arguments import whole
from gwsurrogate_ml.control.environment import CUT
from gwsurrogate_ml.control.learn import Progress, Task
from gwsurrogate_ml.control.plant import Plant
from gwsurrogate_ml.control.policy import Network, Policy
from gwsurrogate_ml.control.vector import MirrorVecEnv

# isort: split
# After `vector`, which names the extra that is missing.
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.callbacks import BaseCallback

WIDTH = (32, 32)
GIVEN = "the Kalman filter"


class _Report(BaseCallback):
    def __init__(self, stage: str, total: int, progress: Progress | None) -> None:
        super().__init__()
        self.stage, self.total, self.report = stage, total, progress

    def _on_step(self) -> bool:
        if self.report is not None and self.num_timesteps % 8192 < 64:
            self.report(self.stage, min(self.num_timesteps, self.total), self.total)
        return True


def _arrays(layers: list[torch.nn.Linear], n: int, activation: str, squash: bool) -> Network:
    numbers = [(p.weight.detach().numpy().astype(float), p.bias.detach().numpy().astype(float)) for p in layers]
    weights, biases = tuple(w for w, _ in numbers), tuple(b for _, b in numbers)
    return Network(weights, biases, np.zeros((1, n)), activation, squash, CUT, 1.0)


def _linear(*parts: Any) -> list[torch.nn.Linear]:
    return [layer for part in parts for layer in part.modules() if isinstance(layer, torch.nn.Linear)]


def proximal(
    plant: Plant, task: Task, steps: int = 1_000_000, base: int = 0, n: int = 64, progress: Progress | None = None
) -> Policy:
    """PPO (Schulman et al. 2017): with base 0 from nothing, with base 1 what is added to LQG.

    Parameters
    ----------
    plant : Plant
    task : Task
    steps : int, samples of all mirrors together
    base : 0 or 1
    n : int, mirrors
    progress : called with stage, done, total
    """
    steps = whole(steps, "steps", 1)
    env = MirrorVecEnv(plant, task, n, base)
    rate: Callable[[float], float] = lambda left: (1e-4 if base else 1e-3) * left  # noqa: E731
    model = PPO(
        "MlpPolicy",
        env,
        learning_rate=rate,
        n_steps=64,
        batch_size=1024,
        n_epochs=6,
        gamma=0.99,
        gae_lambda=0.95,
        seed=task.seed,
        device="cpu",
        policy_kwargs={"net_arch": list(WIDTH), "log_std_init": -3.5 if base else -2.5, "activation_fn": torch.nn.Tanh},
    )
    if base:
        torch.nn.init.zeros_(model.policy.action_net.weight)
    model.learn(steps, callback=_Report("PPO", steps, progress))
    network = _arrays(_linear(model.policy.mlp_extractor.policy_net, model.policy.action_net), plant.n, "tanh", False)
    info = {
        "method": "ppo-residual" if base else "ppo",
        "task": task.model_dump(),
        "given": GIVEN + (", LQG's law" if base else ""),
        "learned": "what is added to LQG's law" if base else "the law",
    }
    return Policy(plant, network, base, env.course.reach, info)


def soft(plant: Plant, task: Task, steps: int = 200_000, n: int = 32, progress: Progress | None = None) -> Policy:
    """SAC (Haarnoja et al. 2018) from nothing; parameters as `proximal`."""
    steps = whole(steps, "steps", 1)
    env = MirrorVecEnv(plant, task, n, 0)
    model = SAC(
        "MlpPolicy",
        env,
        learning_rate=1e-3,
        buffer_size=200_000,
        batch_size=256,
        train_freq=1,
        gradient_steps=1,
        learning_starts=5_000,
        gamma=0.98,
        seed=task.seed,
        device="cpu",
        ent_coef="auto_0.01",
        target_entropy=-4.0,
        policy_kwargs={"net_arch": list(WIDTH)},
    )
    model.learn(steps, callback=_Report("SAC", steps, progress))
    network = _arrays(_linear(model.actor.latent_pi, model.actor.mu), plant.n, "relu", True)
    info = {"method": "sac", "task": task.model_dump(), "given": GIVEN, "learned": "the law"}
    return Policy(plant, network, 0, env.course.reach, info)
