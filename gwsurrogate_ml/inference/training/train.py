"""Training of the estimator's network: simulate, step, average, checkpoint; deterministic for a seed and resumable at
any moment.

Batch k is simulated from the generator of (seed, k), so that a resumed run sees exactly the batches an uninterrupted
one would have seen. Several processes share the batches: see `parallel`.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DataError
from gwsurrogate_ml.files import claim, load_torch, refusal, save_torch, whole_file
from gwsurrogate_ml.inference.config import EstimatorConfig, TrainingConfig, read_config
from gwsurrogate_ml.inference.prior.span import require_covered
from gwsurrogate_ml.inference.proposal.compression import CompressedBank
from gwsurrogate_ml.inference.proposal.density import PosteriorNetwork
from gwsurrogate_ml.inference.proposal.novelty import Novelty
from gwsurrogate_ml.inference.training.bank import ResampledBank
from gwsurrogate_ml.inference.training.live import LiveEfficiency
from gwsurrogate_ml.inference.training.processes import MeanLoss, Processes, processes
from gwsurrogate_ml.inference.training.simulator import Simulator, build_bank, n_features
from gwsurrogate_ml.inference.training.sources import Sources
from gwsurrogate_ml.strain.detectors import require_known
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.waveform.model import WaveformModel

logger = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
FORMAT = 3
"""Of what a training folder holds: an older one's training is not gone on with."""
_BANK_STREAM, _SIMULATOR_STREAM, _VALIDATION_STREAM, _RANGE_STREAM = 1, 2, 3, 4


def train_estimator(
    config: EstimatorConfig | dict[str, Any] | str | Path,
    out: str | Path,
    *,
    model: WaveformModel | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train an estimator and write it to `out`; resumes where an earlier run of the same configuration stopped.

    Parameters
    ----------
    config : EstimatorConfig, mapping, or path of a TOML or JSON file
    out : path
        folder of the model; checkpoints, the bank and `log.jsonl` live in `out`.training until the end, the log stays
    model : WaveformModel, optional
        instead of loading `config.surrogate`
    progress : callable, optional
        called as ``progress(stage, done, total)`` with stages "bank" and "train"

    Returns
    -------
    Path of the folder with weights.safetensors and card.json

    Raises
    ------
    ConfigError
        impossible settings, a prior the surrogate does not cover, or another configuration's checkpoint in the way

    Notes
    -----
    Started by ``torchrun``, each process simulates its part of every batch, on its GPU where there is one; the first one
    writes. All must see the same `out`.
    """
    config = read_config(config)
    require_known(config.segment.detectors)
    out = Path(out)
    model = load_model(config.surrogate if model is None else model)
    sources = Sources(config, model)
    require_covered(sources.prior, model, config.surrogate, config.segment.f_min, config.segment.duration)
    with processes() as here:
        here.share(config.training.batch)
        return _train(sources, out, model.identity, progress if here.first else None, here)


def _train(
    sources: Sources,
    out: Path,
    identity: dict[str, Any],
    progress: Progress | None,
    here: Processes,
) -> Path:
    """`train_estimator` in one of the processes."""
    config = sources.config
    work = out.with_name(out.name + ".training")
    started = time.monotonic()
    if here.first:
        try:
            claim(work, {"config": config.model_dump(mode="json"), "surrogate": identity, "format": FORMAT})
        except OSError as error:
            raise refusal(out, error) from error
    try:
        bank = cached_bank(work, sources, progress, here)
        held = min(4000, len(bank.theta) // 10)
        rng = np.random.default_rng([config.seed, _SIMULATOR_STREAM])
        simulator = Simulator(sources, bank, rng, holdout=held, here=here)
    except ConfigError:
        if here.first and not (work / "checkpoint.pt").exists():
            shutil.rmtree(work, ignore_errors=True)  # else the mended configuration would find it in its way
        raise
    network, metrics = _optimise(simulator, work, progress, started, here)
    if here.first:
        card, tensors = describe(simulator, network, identity, metrics)
        artifacts.save(out, card, tensors)
        for path in work.iterdir():
            if path.name != "log.jsonl":  # and so what killed runs left half written
                path.unlink(missing_ok=True)
    here.wait()
    return out


def cached_bank(work: Path, sources: Sources, progress: Progress | None, here: Processes) -> CompressedBank:
    """The bank of waveforms, from the training folder if it is there; else all processes compute it, and the first one writes."""
    path = work / "bank.npz"
    names = ("theta", "coefficients", "templates", "basis", "whitening", "tones", "frequencies", "reference", "captured")
    if here.agreed(path.exists()):
        try:
            with np.load(path) as stored:
                fields = {name: stored[name] for name in names}
        except Exception as error:  # OSError, ValueError, KeyError, EOFError, BadZipFile or zlib.error, as the damage is
            raise DataError(f"{path} is damaged ({error}): delete it and train again") from error
        return CompressedBank(**fields | {"captured": float(fields["captured"])})
    bank = build_bank(sources, np.random.default_rng([sources.config.seed, _BANK_STREAM]), progress, here)
    if here.first:
        with whole_file(path) as temporary:
            np.savez(temporary, **{name: getattr(bank, name) for name in names})
    return bank


def _schedule(optimiser: torch.optim.Optimizer, t: TrainingConfig) -> torch.optim.lr_scheduler.LRScheduler:
    """Learning rate: linear warm-up, then half a cosine to zero."""
    warm_up = max(t.warm_up, 1)
    rise = LinearLR(optimiser, start_factor=1.0 / warm_up, total_iters=max(warm_up - 1, 1))
    fall = CosineAnnealingLR(optimiser, max(t.steps - warm_up, 1))
    return SequentialLR(optimiser, [rise, fall], milestones=[warm_up])


def _optimise(
    simulator: Simulator,
    work: Path,
    progress: Progress | None,
    started: float,
    here: Processes,
) -> tuple[PosteriorNetwork, dict[str, Any]]:
    config = simulator.config
    t = config.training
    share = here.share(t.batch)
    torch.manual_seed(config.seed)
    network = PosteriorNetwork(n_features(config), config.network, simulator.sources.dimension)
    validation = simulator.batch(
        t.validation, np.random.default_rng([config.seed, _VALIDATION_STREAM]), rows=(0, simulator.holdout)
    )
    fresh = ResampledBank(simulator, here)
    network.embedding.standardise(validation.features)
    network.to(here.device)
    seen = validation.z.to(here.device), validation.features.to(here.device)
    # The memory grows with the steps done, to 1 / (1 - ema): the first weights are soon forgotten.
    average = AveragedModel(
        network,
        multi_avg_fn=lambda mean, now, n: get_ema_multi_avg_fn(min(t.ema, float((n + 1) / (n + 10))))(mean, now, n),
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=t.learning_rate, weight_decay=t.weight_decay, fused=True)
    schedule = _schedule(optimiser, t)
    parts = {"network": network, "average": average, "optimiser": optimiser, "schedule": schedule}
    first, seconds = 0, 0.0
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        state = load_torch(checkpoint, parts, here.device)
        first, seconds = state["step"], state["seconds"]
        logger.info("resuming at step %d of %d", first, t.steps)
    live = LiveEfficiency(simulator, t.live_events, config.seed) if t.live_events and here.first else None
    efficiency: list[float] = []
    losses: list[float] = []
    log = work / "log.jsonl"
    if here.first:
        # What was done after the checkpoint is done again.
        lines = log.read_text().splitlines() if log.exists() else []
        log.write_text("".join(f"{line}\n" for line in lines if line.endswith("}") and json.loads(line)["step"] <= first))
    validation_loss = float("nan")
    mean: Any = average.module.eval()
    mean_loss = here.together(MeanLoss(network))
    for step in range(first, t.steps):
        fresh.advance(step)
        batch = simulator.batch(share, np.random.default_rng(here.seed(config.seed, 10, step)))
        loss = mean_loss(batch.z.to(here.device), batch.features.to(here.device))
        if not torch.isfinite(loss):
            raise ArtifactError(f"the loss is {loss.item()} at step {step}: lower training.learning_rate")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), t.clip)
        optimiser.step()
        average.update_parameters(network)
        rate = schedule.get_last_lr()[0]
        schedule.step()
        losses.append(float(loss.detach()))
        done = step + 1
        if here.first and (done % t.log_every == 0 or done == t.steps):
            with torch.no_grad():
                validation_loss = float(mean.loss(*seen).mean())
                if live and (done % t.live_every == 0 or done == t.steps):
                    efficiency = live(mean if here.device.type == "cpu" else deepcopy(mean).cpu())
            line = {
                "step": done,
                "samples": done * t.batch,
                "loss": float(np.mean(losses)),
                "validation_loss": validation_loss,
                "efficiency": [round(value, 3) for value in efficiency],
                "learning_rate": rate,
                "seconds": round(seconds + time.monotonic() - started, 1),
            }
            losses.clear()
            with log.open("a") as stream:
                stream.write(json.dumps(line) + "\n")
            efficiency = []
            logger.info("step %(step)d: loss %(loss).3f, validation %(validation_loss).3f, efficiency %(efficiency)s", line)
        if here.first and done % t.checkpoint_every == 0 and done < t.steps:
            save_torch(checkpoint, parts, step=done, seconds=seconds + time.monotonic() - started)
        if progress:
            progress("train", done, t.steps)
    fresh.close()
    total = seconds + time.monotonic() - started
    metrics = {
        "validation_loss": validation_loss,
        "prior_loss": float(-np.mean(config.prior.log_normal(validation.z.double().numpy()))),
        "validation": f"mean -log q of {len(validation.z)} simulated observations of binaries not trained on, nats",
        "samples": t.steps * t.batch,
        "seconds": round(total, 1),
        "threads": torch.get_num_threads(),
        "processes": here.size,
        "bank_captured_power": simulator.bank.captured,
        "network_basis_captured_power": simulator.captured,
    }
    return mean.cpu(), metrics


def describe(
    simulator: Simulator,
    network: PosteriorNetwork,
    identity: dict[str, Any],
    metrics: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Card and tensors of an estimator."""
    config, sources = simulator.config, simulator.sources
    # Matrices as float16, a relative 5e-4, far below the noise in the features: they shape the proposal, not the likelihood.
    tensors = {
        f"network.{key}": value.half().numpy() if value.dtype == torch.float32 and value.ndim > 1 else value.numpy()
        for key, value in network.state_dict().items()
        if value is not None
    }
    for name, array, dtype in (
        ("functions", simulator.functions, np.float16),
        ("templates", simulator.templates, np.float32),
    ):
        tensors |= {f"{name}.real": array.real.astype(dtype), f"{name}.imag": array.imag.astype(dtype)}
    reference = simulator.bank.reference
    tensors |= {"reference.real": reference.real.copy(), "reference.imag": reference.imag.copy()}
    rng = np.random.default_rng([config.seed, _RANGE_STREAM])
    usual = Novelty.of(
        torch.cat([simulator.batch(2048, rng).features for _ in range(20)]),
        len(config.segment.detectors),
        config.simulator.network_basis_size,
    )
    tensors |= {f"usual.{name}": getattr(usual, name) for name in ("low", "high", "limit")}
    prior = sources.prior
    integrated = 7 if sources.parts == 1 else 6
    card = {
        "name": config.name,
        "kind": "estimator",
        "version": 2,
        "proposed": list(sources.proposed.names),
        "parameters": f"{', '.join(sources.proposed.names)} (detector frame, solar masses, rad); the other {integrated} integrated",
        "ranges": {name: list(bounds) for name, bounds in prior.bounds().items()}
        | {"luminosity_distance": list(prior.luminosity_distance), "network_snr": list(config.simulator.snr)},
        "units": {"chirp_mass": "solar mass", "luminosity_distance": "Mpc", "frequency": "Hz", "time": "s"},
        "config": config.model_dump(mode="json"),
        "training_data": {
            "surrogate": identity,
            "bank": f"{len(simulator.terms)} waveforms drawn from the prior, {simulator.config.simulator.refresh} of them "
            f"replaced every {simulator.config.simulator.refresh_every} steps",
            "psds": f"{config.simulator.psds} random PSDs from bilby's design curves per kind of detector",
            "fingerprint": sha256(simulator.bank.theta.tobytes()).hexdigest(),
        },
        "seed": config.seed,
        "metrics": metrics,
    }
    return card, tensors
