"""Training of the signal autoencoder: simulate, step, average, checkpoint; deterministic for a seed, resumable at any moment.

Batch k is made from the generator of (seed, k), so that a resumed run sees the batches that an uninterrupted one sees. The mean
is trained by its squared error and sigma by the Gaussian likelihood of that error, each with the other held fixed (Seitzer et al.
2022, arXiv:2203.09168, beta = 1): a likelihood for both at once trains the mean least where it is worst.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gwsurrogate_ml.denoise.signal import waveform_bank as banks
from gwsurrogate_ml.denoise.signal.example_pool import Pool
from gwsurrogate_ml.denoise.signal.examples import Batch, Examples, components, random_psds
from gwsurrogate_ml.denoise.signal.network import RATE, Autoencoder, Output
from gwsurrogate_ml.denoise.signal.projection import Projection
from gwsurrogate_ml.denoise.signal.segment import Segment, frequencies
from gwsurrogate_ml.denoise.signal.settings import DenoiserSettings, TrainingSettings
from gwsurrogate_ml.errors import ArtifactError
from gwsurrogate_ml.files import claim, load_torch, save_torch

logger = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
_WAVEFORMS, _PSDS, _COMPONENTS, _BATCHES, _VALIDATION, _POOL = 1, 2, 3, 4, 5, 9
HELD = 0.05
"""Share of the waveforms that only the validation loss sees."""
ENERGY = 10.0
"""Squared error of a reconstruction above which the loss grows slowly: about what the best possible leaves."""


def make_examples(settings: DenoiserSettings, model: Any, real: list[Segment], progress: Progress | None) -> Examples:
    """The supply of examples that settings describe, with waveforms of `model`."""
    seeds = [int(np.random.default_rng([settings.seed, k]).integers(2**31)) for k in (_WAVEFORMS, _PSDS)]
    parameters = banks.draw_parameters(settings.data.n_waveforms, seeds[0], settings.mass, settings.chi)
    # Shuffled: light binaries come first, and the last ones are held back.
    parameters = parameters[np.random.default_rng(seeds[0]).permutation(len(parameters))]
    waveforms = banks.build(model, parameters, progress).evaluate(frequencies())
    psds = random_psds(settings.data.n_psds, np.random.default_rng(seeds[1]))
    return Examples(waveforms, psds, real, settings.data, RATE)


class Losses(NamedTuple):
    """Means over a batch.

    Parameters
    ----------
    error : () squared error in units of noise
    fit : () log(1 + error / ENERGY), which is trained: loud examples, whose errors are large, do not count for all
    spread : () negative log-likelihood of sigma
    presence : () cross-entropy
    """

    error: torch.Tensor
    fit: torch.Tensor
    spread: torch.Tensor
    presence: torch.Tensor

    def total(self, t: TrainingSettings) -> torch.Tensor:
        """What is minimised."""
        return self.fit + t.spread * self.spread + t.presence * self.presence


def losses(out: Output, batch: Batch) -> Losses:
    """What the network is judged by."""
    signal = torch.from_numpy(batch.signal)
    error = (out.signal - signal) ** 2
    spread = (torch.log(out.sigma) + 0.5 * error.detach() / out.sigma**2).mean()
    logit = torch.logsumexp(out.presence, dim=1)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logit, torch.from_numpy(batch.present), reduction="none")
    energy = error.sum(dim=1)
    presence = (entropy * torch.from_numpy(batch.judged)).mean()
    return Losses(energy.mean(), torch.log1p(energy / ENERGY).mean(), spread, presence)


def _digest(examples: Examples, layer: Projection | None) -> str:
    """What a network learns from, told apart by its contents: names of models and folders of noise say less."""
    found = hashlib.sha256()
    arrays = [examples.waveforms, examples.psds, *(values for segment in examples.real for values in (segment.white, segment.psd))]
    for values in [*arrays, *([buffer.numpy() for buffer in layer.buffers()] if layer is not None else [])]:
        found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def optimise(
    settings: DenoiserSettings,
    examples: Examples,
    work: Path,
    progress: Progress | None = None,
    layer: Projection | None = None,
) -> tuple[Autoencoder, dict[str, Any]]:
    """Train a network; checkpoints and `log.jsonl` go to `work`, from which an unfinished run goes on.

    With a `layer` the network is guided by it, and learns from a pool of examples; without, every batch is new.

    Returns
    -------
    network with averaged weights, and metrics for the card

    Raises
    ------
    ConfigError
        if `work` holds the checkpoint of other settings
    ArtifactError
        if the loss diverges
    """
    t, data = settings.training, settings.data
    claim(work, {"settings": settings.model_dump(mode="json"), "data": _digest(examples, layer)})
    torch.manual_seed(settings.seed)
    network = Autoencoder(**settings.network.model_dump(), guided=layer is not None)
    size = settings.network
    network.begin(
        torch.from_numpy(
            components(
                examples.waveforms, examples.psds, size.long, size.long_length, size.hop, size.ahead, RATE,
                settings.seed + _COMPONENTS,
            )
        )
    )  # fmt: skip
    # The memory grows with the steps done, to 1 / (1 - ema): the first weights are soon forgotten.
    average = AveragedModel(
        network,
        multi_avg_fn=lambda mean, now, n: get_ema_multi_avg_fn(min(t.ema, float((n + 1) / (n + 10))))(mean, now, n),
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=t.learning_rate, weight_decay=t.weight_decay, fused=True)
    schedule = LambdaLR(optimiser, partial(_rate, t=t))
    parts = {"network": network, "average": average, "optimiser": optimiser, "schedule": schedule}
    first, seconds, checkpoint, log = 0, 0.0, work / "checkpoint.pt", work / "log.jsonl"
    if checkpoint.exists():
        state = load_torch(checkpoint, parts)
        first, seconds = state["step"], state["seconds"]
        logger.info("resuming at step %d of %d", first, t.steps)
    else:
        log.unlink(missing_ok=True)
    held = max(1, round(HELD * len(examples.waveforms)))
    taught = (0, len(examples.waveforms) - held)
    before = time.process_time()
    pool = None
    if layer is not None and settings.projection is not None:
        pool = Pool.make(examples, layer, settings.projection.pool, (settings.seed, _POOL), data.snr, taught, work, progress)
    pool_seconds = time.process_time() - before
    started = time.process_time() - seconds
    recent: list[list[float]] = []
    network.train()
    for step in range(first, t.steps):
        eased = max(0.0, 1.0 - step / max(data.curriculum, 1))
        low = data.snr[0] + (min(data.snr_start, data.snr[1]) - data.snr[0]) * eased
        rng = np.random.default_rng([settings.seed, _BATCHES, step])
        batch = pool.batch(t.batch, rng, low) if pool else examples.batch(t.batch, rng, (low, data.snr[1]), taught)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=t.bfloat16):
            out = network(*_inputs(batch))
        found = losses(out, batch)
        loss = found.total(t)
        if not torch.isfinite(loss):
            raise ArtifactError(f"the loss is {loss.item()} at step {step}: lower training.learning_rate")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), t.clip)
        optimiser.step()
        average.update_parameters(network)
        schedule.step()
        recent.append([float(value.detach()) for value in found])
        done = step + 1
        if done % t.log_every == 0 or done == t.steps:
            means = np.mean(recent, axis=0)
            recent.clear()
            line = {"step": done, **dict(zip(Losses._fields, means.tolist(), strict=True)), "snr_low": low}
            line |= {"cpu_seconds": round(time.process_time() - started, 1)}
            with log.open("a") as stream:
                stream.write(json.dumps(line) + "\n")
        if done % t.checkpoint_every == 0 or done == t.steps:
            save_torch(checkpoint, parts, step=done, seconds=time.process_time() - started)
        if progress:
            progress("training", done, t.steps)
    network.eval()
    rng = np.random.default_rng([settings.seed, _VALIDATION])
    unseen = (taught[1], len(examples.waveforms))
    if layer is not None:
        batch = Pool.make(examples, layer, 256, (settings.seed, _VALIDATION), data.snr, unseen).all(rng)
    else:
        batch = examples.batch(256, rng, data.snr, unseen)
    both = average.module.eval(), network
    with torch.no_grad():
        judged = [losses(each(*_inputs(batch)), batch) for each in both]
    better = int(judged[1].total(t) < judged[0].total(t))
    metrics: dict[str, Any] = {key: float(value) for key, value in judged[better]._asdict().items()}
    return both[better], metrics | {
        "validation": "means over 256 examples of waveforms not trained on: squared error, log(1 + error / "
        f"{ENERGY:g}), -log likelihood, cross-entropy",
        "cpu_seconds": round(time.process_time() - started, 1) if first < t.steps else round(seconds, 1),
        "projection_cpu_seconds": round(pool_seconds, 1),
        "projection_error": None if batch.projection is None else _error(batch.projection, batch),
        "weights": ("averaged", "last")[better],
        "examples": t.steps * t.batch,
        "threads": torch.get_num_threads(),
    }


def _inputs(batch: Batch) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(x) for x in (batch.white, batch.projection) if x is not None)


def _error(signal: np.ndarray, batch: Batch) -> float:
    return float(np.mean(np.sum((signal - batch.signal) ** 2, axis=1)))


def _rate(step: int, t: TrainingSettings) -> float:
    """Factor on the learning rate: warm-up, and half a cosine from restart to restart.

    Examples
    --------
    >>> t = TrainingSettings(steps=100, warm_up=10, restarts=(60,))
    >>> [round(_rate(step, t), 3) for step in (0, 30, 59, 60, 80)]
    [0.1, 0.5, 0.001, 0.05, 0.25]
    """
    edges = [0, *(step for step in sorted(t.restarts) if step < t.steps), t.steps]
    cycle = sum(edge <= step for edge in edges[:-1]) - 1
    begin, end = edges[cycle], edges[cycle + 1]
    cosine = 0.5 * (1.0 + float(np.cos(np.pi * (step - begin) / (end - begin))))
    return 0.5**cycle * min(1.0, (step - begin + 1) / t.warm_up) * cosine
