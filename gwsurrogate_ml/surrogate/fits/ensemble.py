"""Ensembles of small networks: training with checkpoints, so that a killed run resumes to the same weights."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.files import load_torch, save_torch

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Ensemble:
    """Networks that differ in their seeds, trained one after the other; each resumes from its own checkpoint."""

    prefix: str
    stage: str
    config: Any
    checkpoints: Path
    progress: Progress | None

    def train(
        self,
        inputs: np.ndarray,
        outputs: np.ndarray,
        scale: np.ndarray,
        factors: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> dict[str, np.ndarray]:
        """Weights and biases of all members as stacked float32 tensors.

        Parameters
        ----------
        inputs : (n, n_inputs) float64, standardised
        outputs : (n, n_outputs) float64, standardised by `scale`
        scale : (n_outputs,) float64
            weight of each output in the loss
        factors : pair of (n, n_outputs), optional
            the network then has two outputs for each of `outputs`, which are combined with these factors
        """
        members = [self._member(k, inputs, outputs, scale, factors) for k in range(self.config.members)]
        tensors = {}
        for layer in range(self.config.depth + 1):
            tensors[f"{self.prefix}.weight{layer}"] = np.stack([member[2 * layer].T for member in members])
            tensors[f"{self.prefix}.bias{layer}"] = np.stack([member[2 * layer + 1][None] for member in members])
        return tensors

    def _member(
        self,
        index: int,
        inputs: np.ndarray,
        outputs: np.ndarray,
        scale: np.ndarray,
        factors: tuple[np.ndarray, np.ndarray] | None,
    ) -> list[np.ndarray]:
        """One network: weights and biases in order, float32."""
        import torch

        config = self.config
        torch.manual_seed(config.seed + index)
        layers: list[torch.nn.Module] = []
        n_outputs = outputs.shape[1] * (2 if factors else 1)
        for a, b in itertools.pairwise([inputs.shape[1], *[config.width] * config.depth, n_outputs]):
            layers += [torch.nn.Linear(a, b), torch.nn.SiLU()]
        net = torch.nn.Sequential(*layers[:-1])
        x, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(outputs, dtype=torch.float32)
        f, g = (torch.tensor(part, dtype=torch.float32) for part in factors) if factors else (None, None)
        weight = torch.tensor(scale / scale.max(), dtype=torch.float32)
        steps = len(x) // config.batch_size
        optimizer = torch.optim.Adam(net.parameters(), lr=config.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=config.epochs * steps, pct_start=0.05
        )
        path = self.checkpoints / f"{self.prefix}-member{index}.pt"
        parts = {"net": net, "optimizer": optimizer, "schedule": schedule}
        begin = 0
        if path.exists():
            begin = load_torch(path, parts)["epoch"]
            log.info("%s member %d resumes at epoch %d", self.prefix, index, begin)
        for epoch in range(begin, config.epochs):
            order = torch.randperm(len(x), generator=torch.Generator().manual_seed(config.seed + 1000 * index + epoch))
            for i in range(steps):
                rows = order[i * config.batch_size : (i + 1) * config.batch_size]
                predicted = net(x[rows])
                if f is not None and g is not None:
                    predicted = predicted[:, : y.shape[1]] * f[rows] + predicted[:, y.shape[1] :] * g[rows]
                loss = (weight * (predicted - y[rows]) ** 2).mean()
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                schedule.step()
            if (epoch + 1) % 20 == 0 or epoch + 1 == config.epochs:
                save_torch(path, parts, epoch=epoch + 1)
                log.info("%s member %d epoch %d loss %.3e", self.prefix, index, epoch + 1, float(loss.detach()))
            if self.progress:
                done, total = index * config.epochs + epoch + 1, config.members * config.epochs
                self.progress(self.stage, done, total)
        return [p.detach().numpy() for p in net.parameters()]
