"""Training of the trigger: first in float32, then with quantisation from there; deterministic for a seed.

A window counts by its loudest score: with a signal the loudest near the merger is to be high, without one the loudest of all is to
be low, since a search keeps the loudest of each stretch too. Of the windows without signals only the loudest are trained on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.denoise.signal.examples import random_psds
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.surrogate.load import load_model
from gwsurrogate_ml.trigger import data
from gwsurrogate_ml.trigger.data import BEFORE, DETECTORS, Stream
from gwsurrogate_ml.trigger.load import KIND
from gwsurrogate_ml.trigger.network import TriggerNetwork
from gwsurrogate_ml.trigger.settings import RATE, TriggerSettings
from gwsurrogate_ml.waveform.model import WaveformModel

Progress = Callable[[str, int, int], None]
EARLY, LATE = 16, 32
"""Samples before and after a merger within which its loudest score counts: signals peak to 15 before (5 ms of light and a heavy
binary's inspiral in whitened strain) and 12 after, and the network is causal."""


class Supply:
    """Noise of one detector, of which windows are drawn.

    Parameters
    ----------
    streams : sequence of Stream
    length : int, samples of a window

    Raises
    ------
    DataError
        if no window is usable
    """

    def __init__(self, streams: Sequence[Stream], length: int) -> None:
        self.length = length
        self.values = np.concatenate([one.values for one in streams])
        before = np.cumsum([0, *(one.values.size for one in streams)])
        self.starts = np.concatenate([a + one.windows(length) for a, one in zip(before, streams, strict=False)])
        if self.starts.size == 0:
            raise DataError(
                f"no noise of a detector is usable for {length} samples ({length / RATE:.2f} s) in a row, beside gaps and the ends "
                "that whitening loses: give longer files"
            )

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Windows (n, length) float32, some backward or upside down, which is noise as well."""
        order = np.arange(self.length)
        index = np.where(rng.random((n, 1)) < 0.5, order, order[::-1]) + rng.choice(self.starts, n)[:, None]
        sign = np.where(rng.random((n, 1)) < 0.5, np.float32(1), np.float32(-1))
        return np.asarray(self.values[index] * sign)


@dataclass(frozen=True, eq=False)
class Windows:
    """An endless supply of windows of two detectors.

    Parameters
    ----------
    settings : TriggerSettings
    real, simulated : sequence of Supply, one a detector; `real` may be empty
    signals : (N, 2, n) float32, of SNR one; glitches : (N, n) float32
    length : int, samples of a window
    """

    settings: TriggerSettings
    real: Sequence[Supply]
    simulated: Sequence[Supply]
    signals: np.ndarray
    glitches: np.ndarray
    length: int

    def draw(self, n: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """`n` windows (n, 2, length), which of them hold a signal (n,) bool, and where its merger is among the scores (n,).

        Detectors' noise is drawn apart: together it would be that of few moments.
        """
        d = self.settings.data
        x = np.stack([supply.draw(n, rng) for supply in self.simulated], axis=1)
        for k, supply in enumerate(self.real):
            real = np.flatnonzero(rng.random(n) < d.real)
            x[real, k] = supply.draw(real.size, rng)
        present, glitch = rng.random(n) < d.signals, rng.random(n) < d.glitches
        place = rng.integers(EARLY + 2, d.window - LATE - 2, n)
        first = self.length - d.window + place - round(BEFORE * RATE)
        for i in np.flatnonzero(present):
            _add(x[i], self.signals[rng.integers(len(self.signals))] * _log_uniform(d.snr, rng), first[i])
        for i in np.flatnonzero(glitch & ~present):
            _add(x[i, rng.integers(2)], self.glitches[rng.integers(len(self.glitches))] * _log_uniform(d.glitch_snr, rng), first[i])
        return torch.from_numpy(x), torch.from_numpy(present), torch.from_numpy(place)


def _add(x: np.ndarray, h: np.ndarray, first: int) -> None:
    """Add h, the first of whose samples lies at `first`, to what x has of its time."""
    low, high = max(0, first), min(x.shape[-1], first + h.shape[-1])
    x[..., low:high] += h[..., low - first : high - first]


def _log_uniform(bounds: tuple[float, float], rng: np.random.Generator) -> np.float32:
    return np.float32(np.exp(rng.uniform(np.log(bounds[0]), np.log(bounds[1]))))


def loudest(scores: Tensor, present: Tensor, place: Tensor) -> Tensor:
    """The loudest score (n,) of each window: of those with a signal near its merger, of the others anywhere."""
    index = torch.arange(scores.shape[1])
    away = (index < place[:, None] - EARLY) | (index > place[:, None] + LATE)
    return scores.masked_fill(away & present[:, None], -torch.inf).amax(dim=1)


def make_windows(settings: TriggerSettings, model: WaveformModel, progress: Progress | None = None) -> Windows:
    """Noise, signals and glitches that the settings describe."""
    report = progress or (lambda *_: None)
    rng = np.random.default_rng([settings.seed, 1])
    d = settings.data
    report("reading noise", 0, 1)
    real = data.read_noise(settings.noise) if settings.noise else {}
    binaries = data.draw_binaries(d.n_waveforms, settings.data, rng)
    report("making waveforms", 0, 1)
    both = np.stack([_some_psds(real.get(name, []), d.n_waveforms, d.real, rng) for name in DETECTORS])
    made, _ = data.signals(model, binaries, both, rng)
    every = [one for streams in real.values() for one in streams]
    glitches = data.glitches(d.n_glitches, _some_psds(every, d.n_glitches, d.real, rng), rng)
    length = TriggerNetwork(settings.layers).receptive_field + d.window - 1
    simulated = [Supply([data.simulated(rng)], length) for _ in DETECTORS]
    return Windows(settings, [Supply(streams, length) for streams in real.values()], simulated, made, glitches, length)


def _some_psds(streams: list[Stream], n: int, real: float, rng: np.random.Generator) -> np.ndarray:
    """PSDs (n, n_f), a share `real` of them those of the streams."""
    psds = random_psds(n, rng)
    for i in np.flatnonzero(rng.random(n) < real) if streams else ():
        psd = streams[rng.integers(len(streams))].psd
        psds[i] = psd / psd.min()  # of order one, as the others are
    return psds


def optimise(
    network: TriggerNetwork, windows: Windows, steps: int, rate: float, seed: tuple[int, int], progress: Progress | None = None
) -> list[float]:
    """Train `network` in place; the losses of the steps."""
    t = windows.settings.training
    report, losses = progress or (lambda *_: None), []
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    stage = "training in float32" if network.bits is None else f"training with {network.bits} bits"
    for step in range(steps):
        rng = np.random.default_rng([*seed, step])
        x, present, place = windows.draw(t.batch * t.mined, rng)
        if t.mined > 1:
            with torch.no_grad():
                loud = loudest(network(x), present, place)
            some = loud.masked_fill(present, torch.inf).argsort(descending=True)[: t.batch]
            x, present, place = x[some], present[some], place[some]
        score = loudest(network(x), present, place)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(score, present.float())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), t.clip)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
        report(stage, step + 1, steps)
    return losses


def train_trigger(settings: TriggerSettings, folder: Path, progress: Progress | None = None) -> Path:
    """Train a trigger and write it, with its float twin, to `folder`.

    Raises
    ------
    DataError
        if the noise cannot be read, or is too short
    ArtifactError
        if there is no such surrogate, or the folder cannot be written
    """
    started = time.process_time()
    model = load_model(settings.surrogate)
    windows = make_windows(settings, model, progress)
    torch.manual_seed(settings.seed)
    plain = TriggerNetwork(settings.layers)
    t = settings.training
    first = optimise(plain, windows, t.float_steps, t.float_rate, (settings.seed, 2), progress)
    network = fixed_twin(plain, windows, settings.bits)
    second = optimise(network, windows, t.fixed_steps, t.fixed_rate, (settings.seed, 3), progress)
    return save(settings, folder, plain, network, {"float": _end(first), "fixed": _end(second)}, time.process_time() - started)


def fixed_twin(plain: TriggerNetwork, windows: Windows, bits: int) -> TriggerNetwork:
    """A network of `bits` bits that starts from `plain`, its scales chosen on windows of the training."""
    x, _, _ = windows.draw(256, np.random.default_rng([windows.settings.seed, 4]))
    return plain.quantised(bits, x)


def _end(losses: list[float]) -> float:
    return float(np.mean(losses[-max(1, len(losses) // 10) :]))


def save(
    settings: TriggerSettings,
    folder: Path,
    plain: TriggerNetwork,
    network: TriggerNetwork,
    losses: dict[str, float],
    seconds: float,
) -> Path:
    """Write the artefact: integers, which are the network, and the float twin to compare with."""
    integers = network.integers()
    card: dict[str, Any] = {
        "name": settings.name,
        "kind": KIND,
        "version": settings.version,
        "description": f"scores of heavy binaries in whitened strain of {' and '.join(DETECTORS)}, {settings.bits} bits",
        "ranges": {
            "mass_1, mass_2": list(settings.data.mass),
            "q": [1.0, settings.data.q_max],
            "chi_1, chi_2": [-settings.data.chi, settings.data.chi],
        },
        "detectors": list(DETECTORS),
        "sampling_frequency": RATE,
        "bits": settings.bits,
        "network": integers.description(),
        "receptive_field": integers.receptive_field,
        "n_parameters": integers.n_parameters,
        "training": {
            "settings": settings.model_dump(mode="json", exclude={"noise"}),
            "loss": losses,
            "cpu_seconds": round(seconds),
        },
        "noise": sorted(path.name for path in settings.noise.glob("*-*.*")) if settings.noise else [],
    }
    twin = {f"float.{key}": value.numpy() for key, value in plain.state_dict().items() if key.endswith(("weight", "bias"))}
    return artifacts.save(folder, card, integers.tensors() | twin)
