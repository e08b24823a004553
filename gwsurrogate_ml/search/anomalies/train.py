"""Training: the autoencoder on simulated bursts in noise, then the classifier on pairs that the search itself finds.

Bursts are added to long stretches of real noise and looked for as in a search; noise's own pairs come from time slides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from gwsurrogate_ml.artifacts import sha256
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.search.anomalies.autoencoder import Autoencoder
from gwsurrogate_ml.search.anomalies.model import AHEAD, MOST, NOISE, AnomalyModel, Classifier
from gwsurrogate_ml.search.anomalies.pairs import FEATURES, LEAST, Described, Pairs, coincident, features
from gwsurrogate_ml.search.anomalies.pipeline import CLUSTER, SHORTEST_SLIDE, SLIDE_STEP, slides
from gwsurrogate_ml.search.anomalies.simulate import (
    GLITCHES,
    MIDDLE,
    SIGNALS,
    GlitchTable,
    Pair,
    binary_spectra,
    burst,
    elliptical,
    whitened_pair,
)
from gwsurrogate_ml.search.anomalies.tiles import MASSES, THRESHOLD, WINDOW, Triggers, find, tiles
from gwsurrogate_ml.search.anomalies.white import RATE, Span, White, common, whiten
from gwsurrogate_ml.search.coincidence import light_travel_time, live_time
from gwsurrogate_ml.settings import Strict
from gwsurrogate_ml.waveform.model import WaveformModel

Progress = Callable[[str, int, int], None]
SPACING = 1.25
"""Seconds between what is added to noise."""
WEIGHTS = {"noise": 10.0, "glitches": 3.0, "signals": 1.0}
"""Of all pairs of a kind in the classifier's training: at a low false-alarm rate noise and glitches matter more."""
JITTER = 0.3
"""Scatter that is added to features in training, in units of theirs, so that single pairs are not learned by heart."""
NEAR = 0.3
"""A pair within so many seconds of what was added is due to it."""


class AnomalyConfig(Strict):
    """Settings of a training.

    Attributes
    ----------
    name, version : str
    detectors : two names
    noise : folder of strain files named DETECTOR-anything, the same anything for both detectors, events in them gaps
    glitches : the antiglitch table (CSV)
    surrogate : of the binaries
    leave_out : class of glitches that is not to be learned, or empty
    n_bursts : bursts that the autoencoder learns from
    steps, batch, rate : of its training
    injections : bursts of each class that pairs are made of
    snr : network signal-to-noise ratios, log-uniform
    epochs : of the classifier
    seed : int
    """

    name: str = "anomaly-h1l1"
    version: str = "2"
    detectors: tuple[str, str] = ("H1", "L1")
    noise: Path
    glitches: Path
    surrogate: str = "nr22"
    leave_out: str = ""
    n_bursts: int = 6000
    steps: int = 2500
    batch: int = 128
    rate: float = 3e-3
    injections: int = 900
    snr: tuple[float, float] = (6.0, 40.0)
    epochs: int = 16
    seed: int = 1


class Stretch(NamedTuple):
    """Whitened noise of two detectors, and what of it both have."""

    white: tuple[White, White]
    spans: list[Span]


class Examples(NamedTuple):
    """Features of pairs (n, n_features), and the class of each; codes of single triggers by class."""

    features: np.ndarray
    classes: list[str]
    codes: dict[str, np.ndarray]


def read_noise(folder: Path, detectors: tuple[str, str]) -> list[Stretch]:
    """Whitened noise of every pair of files.

    Raises
    ------
    DataError
        if there is no pair
    """
    from gwsurrogate_ml.strain.read import read_strain

    out = []
    for path in sorted(Path(folder).glob(f"{detectors[0]}-*")):
        other = path.with_name(detectors[1] + path.name[len(detectors[0]) :])
        if other.is_file():
            white = (whiten(read_strain(path, detectors[0])), whiten(read_strain(other, detectors[1])))
            out.append(Stretch(white, common(*white)))
    if not out:
        raise DataError(f"no pair of strain files in {folder}: name them {detectors[0]}-anything and {detectors[1]}-anything")
    return out


def signal(name: str, site: Pair, binaries: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strain (2, n_f) of a burst of a class, from a random direction."""
    if name == "binary":
        return site.seen(*elliptical(binaries[rng.integers(len(binaries))].astype(complex), rng), rng)
    return site.seen(*burst(name, rng), rng)


def injected(
    stretch: Stretch, make: Callable[[float], np.ndarray], rng: np.random.Generator
) -> tuple[tuple[White, White], list[float]]:
    """A stretch with what `make` returns, (2, n) series of 4 s, every SPACING s, and the GPS times of their middles.

    `make` is given the time within the sample, so that bursts do not lie on samples.
    """
    values = [one.values.copy() for one in stretch.white]
    times = []
    for low, high in stretch.spans:
        for t in np.arange(low + 1.0, high - 1.0, SPACING) + rng.uniform(-0.2, 0.2):
            series = make(float(rng.random() / RATE))
            for d, one in enumerate(stretch.white):
                at = round((t - one.start - MIDDLE) * RATE)
                a, b = max(0, at), min(at + series.shape[1], values[d].size)
                values[d][a:b] += series[d, a - at : b - at]
            times.append(float(t))
    white = tuple(White(v, one.start, one.psd, one.spans) for v, one in zip(values, stretch.white, strict=True))
    return (white[0], white[1]), times


def found(
    white: tuple[White, White], spans: Sequence[Span], times: Sequence[float], light: float
) -> tuple[Triggers, Triggers, Pairs, np.ndarray]:
    """Triggers of both, the pairs near `times`, and for each pair which of them it is due to."""
    first, second = (find(one, list(spans)) for one in white)
    pairs = coincident(first, second, first.time, second.time, light)
    at = first.time[pairs.first] + 0.5 * pairs.apart
    which = np.abs(at[:, None] - np.asarray(times)).argmin(axis=1) if at.size else np.empty(0, int)
    near = np.flatnonzero(np.abs(at - np.asarray(times)[which]) < NEAR) if at.size else np.empty(0, int)
    return first, second, pairs.take(near), which[near]


def loudest(pairs: Pairs, which: np.ndarray) -> np.ndarray:
    """Of each injection the row of the pair with the greatest joint significance."""
    order = np.lexsort((-pairs.joint, which))
    return order[np.unique(which[order], return_index=True)[1]]


def train_autoencoder(
    config: AnomalyConfig, noise: Sequence[Stretch], binaries: np.ndarray, progress: Progress | None = None
) -> Autoencoder:
    """An autoencoder of bursts of all classes of signals; it sees no glitches."""
    report = progress or (lambda *_: None)
    rng = np.random.default_rng(config.seed)
    site, half = Pair(config.detectors), WINDOW // 2 + 64
    bursts = np.empty((config.n_bursts, 2 * half), np.float32)
    for k in range(config.n_bursts):
        if k % 500 == 0:
            report("simulating bursts", k, config.n_bursts)
        stretch = noise[int(rng.integers(len(noise)))]
        h = signal(SIGNALS[k % len(SIGNALS)], site, binaries, rng)
        d = int(rng.integers(2))
        series = whitened_pair(h, np.stack([w.psd for w in stretch.white]), 1.0)[d]
        # Triggers lie where a burst is loudest, not at its nominal middle.
        power = np.convolve(series**2, np.hanning(32), "same")
        top = int(np.clip(power.argmax(), half, series.size - half))
        cut = series[top - half : top + half]
        bursts[k] = cut / np.linalg.norm(cut)
    report("simulating bursts", 1, 1)
    quiet = np.concatenate([one.values[_index(one, span)] for s in noise for one in s.white for span in s.spans])
    torch.manual_seed(config.seed)
    net = Autoencoder()
    optimiser = torch.optim.AdamW(net.parameters(), config.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.rate, config.steps, pct_start=0.1)
    columns = np.arange(WINDOW)
    for step in range(config.steps):
        rows = rng.integers(config.n_bursts, size=config.batch)
        shift = rng.integers(64 - 16, 64 + 17, config.batch)
        snr = np.exp(rng.uniform(np.log(3.5), np.log(40), config.batch)).astype(np.float32)
        snr *= np.sign(rng.random(config.batch) - 0.5) * (rng.random(config.batch) > 0.1)
        clean = bursts[rows[:, None], shift[:, None] + columns] * snr[:, None]
        at = rng.integers(quiet.size - WINDOW, size=config.batch)
        around = torch.from_numpy(quiet[at[:, None] + columns])
        out, _ = net(torch.from_numpy(clean.astype(np.float32)) + around)
        # Glitches in the noise would rule the loss.
        weight = 1 / ((4 + torch.from_numpy(snr.astype(np.float32)).abs()) * around.square().mean(1).clamp(min=1))
        loss = ((out - torch.from_numpy(clean.astype(np.float32))).square().sum(1) * weight).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            report("training the autoencoder", step, config.steps)
    report("training the autoencoder", 1, 1)
    return net.eval()


def _index(one: White, span: Span) -> slice:
    return slice(round((span[0] - one.start) * RATE), round((span[1] - one.start) * RATE))


def make_examples(
    config: AnomalyConfig,
    noise: Sequence[Stretch],
    table: GlitchTable,
    binaries: np.ndarray,
    autoencoder: Autoencoder,
    progress: Progress | None = None,
) -> Examples:
    """Pairs of every class: of signals, of glitches in one detector and in both by accident, and of noise."""
    report = progress or (lambda *_: None)
    rng = np.random.default_rng(config.seed + 1)
    light, site = light_travel_time(*config.detectors), Pair(config.detectors)
    values, classes, codes = [], [], {}
    for number, name in enumerate((*SIGNALS, *GLITCHES)):
        report("pairs of bursts", number, len(SIGNALS) + len(GLITCHES))
        done, mine, single = 0, [], []
        while done < config.injections:
            stretch = noise[int(rng.integers(len(noise)))]
            psds = np.stack([w.psd for w in stretch.white])

            def make(time: float, name: str = name, psds: np.ndarray = psds) -> np.ndarray:
                if name in SIGNALS:
                    snr = float(np.exp(rng.uniform(*np.log(config.snr))))
                    return whitened_pair(signal(name, site, binaries, rng), psds, snr, time)
                return glitch(name, table, psds, light, rng)

            white, times = injected(stretch, make, rng)
            first, second, pairs, which = found(white, stretch.spans, times, light)
            kept = pairs.take(loudest(pairs, which))
            one, two = (Described(t, *autoencoder.apply_to(t.window)) for t in (first, second))
            mine.append(features(one, two, kept, light))
            for described, rows in ((one, kept.first), (two, kept.second)):
                single.append(described.code[rows[described.triggers.significance[rows] > 12]])
            done += len(times)
        values.append(np.concatenate(mine))
        classes += [name] * len(values[-1])
        codes[name] = np.concatenate(single)
    quiet = noise_pairs(noise, autoencoder, light)
    report("pairs of bursts", 1, 1)
    classes += [NOISE] * len(quiet.features)
    return Examples(np.concatenate([*values, quiet.features]), classes, codes | {NOISE: quiet.codes})


def glitch(name: str, table: GlitchTable, psds: np.ndarray, light: float, rng: np.random.Generator) -> np.ndarray:
    """Whitened series (2, n): a glitch in one detector; in one of two, another of its class in the other by accident."""
    d = int(rng.integers(2))
    out = np.zeros((2, round(4 * RATE)))
    out[d] = table.draw(name, psds[d], rng)
    if rng.random() < 0.5:
        out[1 - d] = table.draw(name, psds[1 - d], rng, float(rng.uniform(-light, light)))
    return out


class Slid(NamedTuple):
    """Pairs of all time slides of noise: features, joint significances, slides, and times on the axis of what is live; the
    seconds of all slides together; codes of noise's own triggers.
    """

    features: np.ndarray
    joint: np.ndarray
    slide: np.ndarray
    time: np.ndarray
    seconds: float
    codes: np.ndarray


def noise_pairs(noise: Sequence[Stretch], autoencoder: Autoencoder, light: float) -> Slid:
    """Time slides of the stretches, put one after another."""
    both, spans = [], []
    for d in (0, 1):
        parts, start = [], 0.0
        for stretch in noise:
            triggers = find(stretch.white[d], stretch.spans)
            low = stretch.spans[0][0]
            parts.append(triggers._replace(time=triggers.time - low + start))
            if d == 0:
                spans += [(a - low + start, b - low + start) for a, b in stretch.spans]
            start += stretch.spans[-1][1] - low + 1.0
        joined = Triggers(*(np.concatenate(c) for c in zip(*parts, strict=True)))
        both.append(Described(joined, *autoencoder.apply_to(joined.window)))
    behind, pairs, _ = slides(both[0], both[1], spans, light, lambda a, b, p: p.joint)
    values = features(both[0], both[1], pairs, light)
    time = live_time(both[0].triggers.time, spans)[pairs.first] + 0.5 * pairs.apart
    return Slid(values, pairs.joint, pairs.slide, time, behind.time, np.concatenate([x.code for x in both]))


def train_classifier(
    examples: Examples, leave_out: str, epochs: int, seed: int
) -> tuple[Classifier, tuple[str, ...], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """The classifier without a class of glitches, its classes, and how the known ones look in one detector."""
    names = tuple(name for name in (NOISE, *GLITCHES, *SIGNALS) if name != leave_out)
    label = np.array([names.index(c) if c in names else -1 for c in examples.classes])
    x, y = torch.from_numpy(examples.features[label >= 0]), torch.from_numpy(label[label >= 0])
    count = torch.bincount(y, minlength=len(names)).double()
    torch.manual_seed(seed)
    net = Classifier(names)
    net.mean.copy_(x.mean(0))
    net.scale.copy_(x.std(0).clamp(min=1e-3))
    kinds = ["noise" if n == NOISE else "signals" if n in SIGNALS else "glitches" for n in names]
    share = torch.tensor([WEIGHTS[kind] / kinds.count(kind) for kind in kinds])
    weight = (share / count * len(y)).float()
    batch = 512
    steps = epochs * (len(y) // batch + 1)
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, steps, pct_start=0.1)
    loss_of = nn.CrossEntropyLoss(weight=weight)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for rows in torch.randperm(len(y), generator=generator).split(batch):
            loss = loss_of(net(x[rows] + JITTER * net.scale * torch.randn(len(rows), len(FEATURES), generator=generator)), y[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if schedule.last_epoch < steps:
                schedule.step()
    known = {}
    for name in (NOISE, *GLITCHES, "binary"):
        if name != leave_out:
            code = examples.codes[name].astype(np.float64)
            covariance = np.cov(code.T) + 1e-2 * np.eye(code.shape[1])
            known[name] = (code.mean(axis=0), np.linalg.inv(covariance))
    return net.eval(), names, known


def train_anomalies(config: AnomalyConfig, folder: Path, surrogate: WaveformModel, progress: Progress | None = None) -> None:
    """Train a model and write it to `folder`."""
    table = GlitchTable.read(config.glitches)
    noise = read_noise(config.noise, config.detectors)
    binaries = binary_spectra(surrogate, max(8, config.n_bursts // 4), np.random.default_rng(config.seed))
    autoencoder = train_autoencoder(config, noise, binaries, progress)
    examples = make_examples(config, noise, table, binaries, autoencoder, progress)
    classifier, names, known = train_classifier(examples, config.leave_out, config.epochs, config.seed)
    seconds = sum(b - a for s in noise for a, b in s.spans)
    card = {
        "name": config.name,
        "version": config.version,
        "description": "bursts of any shape that two detectors see alike, told from noise and glitches",
        "ranges": {"frequency_hz": [24.0, 480.0], "duration_s": [0.005, 0.25]},
        "detectors": list(config.detectors),
        "band": [24.0, 480.0],
        "search": {
            "tiles": tiles().frequency.size,
            "tracks_chirp_mass": [float(MASSES.min()), float(MASSES.max())],
            "trigger_threshold": THRESHOLD,
            "pair_threshold": LEAST,
            "louder_counts_to": AHEAD,
            "loudness_counts_to": MOST,
            "slide_step_s": SLIDE_STEP,
            "shortest_slide_s": SHORTEST_SLIDE,
            "cluster_s": CLUSTER,
        },
        "training": {
            "noise": {p.name: sha256(p) for p in sorted(Path(config.noise).iterdir()) if p.is_file()},
            "noise_seconds": seconds,
            "glitches": {config.glitches.name: sha256(config.glitches)},
            "surrogate": config.surrogate,
            "classifier": {"weights": WEIGHTS, "jitter": JITTER},
            "pairs": {name: examples.classes.count(name) for name in (NOISE, *GLITCHES, *SIGNALS)},
            "settings": config.model_dump(mode="json", exclude={"noise", "glitches", "name", "version", "detectors"}),
        },
    }
    AnomalyModel(autoencoder, classifier, names, known, {}).save(folder, card)
