"""The quantised trigger: efficiency at one false alarm an hour in real noise, beside float32 and other bits.

    python benchmarks/trigger.py --part train      # the float twin, trained as long; --bits 8 5 --channels 4: others too
    python benchmarks/trigger.py --part networks   # their efficiency
    python benchmarks/trigger.py --part gates      # area, clock and latency on an ECP5-85k, post-route estimates
    python benchmarks/trigger.py --part tables     # the pages' tables from the results
    python benchmarks/trigger.py --part card       # the shipped card's metrics from the results, its seconds by training again

Background is made of time slides: every detector's noise of the test events is used again and again against the other's.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from trigger_efficiency import SLIDES, SNRS, Background, background, interval, judged, resampled

RESULTS = Path(__file__).parent / "results"
DATA = Path(os.environ.get("GWSML_DATA", "../shared/data"))
BITS = (8, 7, 6, 5, 4, 3)
SIZES = (8, 4, 3)
"""Channels of the hidden layers; the shipped network has six."""
DEPTH = 4
"""Additions between registers."""
LEARNT = 0.5
"""Loss in float32 above which nothing was learnt and the next seed is tried: guesses lose ln 2."""
QUIET = 3000
"""Seconds of simulated noise, which is slid too."""


def store(part: str, content: Any) -> None:
    path = RESULTS / "trigger.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(found | {part: content}, indent=1) + "\n")


def relatives(models: Path) -> dict[str, Path]:
    """What `train` made, by name."""
    found = {f"{bits} bits": models / f"bits-{bits}" for bits in BITS}
    found |= {f"{size} channels": models / f"channels-{size}" for size in SIZES}
    return {name: path for name, path in found.items() if (path / "card.json").is_file()}


def train(out: Path, noise: Path, bits: list[int], sizes: list[int]) -> None:
    """The shipped trigger's relatives: its float twin trained as many steps again in float32, with other bits, of other sizes."""
    import torch

    from gwsurrogate_ml.settings import read
    from gwsurrogate_ml.surrogate.load import load_model
    from gwsurrogate_ml.trigger import train as training
    from gwsurrogate_ml.trigger.load import load_trigger
    from gwsurrogate_ml.trigger.settings import TriggerSettings

    shipped = load_trigger()
    settings = read(TriggerSettings, shipped.card["training"]["settings"] | {"noise": noise})
    for size in sizes:
        layers = (*(one.model_copy(update={"channels": size}) for one in settings.layers[:-1]), settings.layers[-1])
        own = settings.model_copy(update={"layers": layers, "name": f"bbh-trigger-{size}-channels"})
        while not (out / f"channels-{size}").exists():
            folder = training.train_trigger(own, out / f"channels-{size}-seed-{own.seed}")
            loss = json.loads((folder / "card.json").read_text())["training"]["loss"]["float"]
            print(f"{size} channels, seed {own.seed}: loss {loss:.4f} in float32", flush=True)
            if loss < LEARNT:
                folder.rename(out / f"channels-{size}")
            own = own.model_copy(update={"seed": own.seed + 1})
    if not bits and (out / "float32.pt").exists():
        return
    windows, t = training.make_windows(settings, load_model(settings.surrogate)), settings.training
    start = shipped.float_twin()
    if not (out / "float32.pt").exists():
        plain = shipped.float_twin()
        losses = training.optimise(plain, windows, t.fixed_steps, t.fixed_rate, (settings.seed, 3))
        print(f"float32: loss {np.mean(losses[-100:]):.4f}", flush=True)
        torch.save(plain.state_dict(), out / "float32.pt")
    for number in bits:
        if (out / f"bits-{number}").exists():
            continue
        network = training.fixed_twin(start, windows, number)
        losses = training.optimise(network, windows, t.fixed_steps, t.fixed_rate, (settings.seed, 3))
        own = settings.model_copy(update={"bits": number, "name": f"bbh-trigger-{number}"})
        training.save(own, out / f"bits-{number}", start, network, {"fixed": float(np.mean(losses[-100:]))}, 0.0)
        print(f"{number} bits: loss {np.mean(losses[-100:]):.4f}", flush=True)


def windows_of(score: Any, x: np.ndarray) -> np.ndarray:
    """Loudest score (n,) of each of the windows (n, 2, samples), one after the other as one stream."""
    size = x.shape[2]
    scores = score(x.transpose(1, 0, 2).reshape(2, -1))
    padded = np.concatenate([np.full(score.reach, -np.inf, np.float32), scores]).reshape(-1, size)
    return padded[:, score.reach :].max(axis=1)


def passed(score: Any, x: np.ndarray) -> np.ndarray:
    """Loudest score (n,) of each of the windows (n, 2, samples), without bound below where it is gated."""
    from trigger_data import GATE

    return np.where(np.abs(x).max(axis=(1, 2)) <= GATE, windows_of(score, x), -np.inf)


def networks(models: Path, n: int, seed: int) -> None:
    """Efficiency of all networks at one false alarm an hour, in the tests' noise and in simulated noise."""
    import torch
    from trigger_data import glitch_rows, injections, paired_noise, test_noise
    from trigger_filter import Filter

    from gwsurrogate_ml.trigger import data
    from gwsurrogate_ml.trigger.load import load_trigger
    from gwsurrogate_ml.trigger.settings import RATE
    from gwsurrogate_ml.trigger.train import EARLY, LATE

    streams = test_noise(DATA)
    h, l = (np.concatenate([one.values[one.usable] for one in streams[name]]) for name in data.DETECTORS)
    pairs = paired_noise(DATA)
    made = injections(pairs, n, seed)
    loud = glitch_rows(DATA, streams, seed)
    merger = round(data.BEFORE * RATE)
    rng = np.random.default_rng([seed, 1])
    quiet = [data.simulated(rng, QUIET).values for _ in data.DETECTORS]
    quieter = np.stack([data.simulated(rng, n).values.reshape(n, -1) for _ in data.DETECTORS], axis=1)
    shipped = load_trigger()
    longer = shipped.float_twin()
    longer.load_state_dict(torch.load(models / "float32.pt"))
    filters = {"float32": Filter(longer), "float32, before that": Filter(shipped.float_twin())}
    filters |= {f"{shipped.card['bits']} bits": Filter(shipped.network)}
    filters |= {name: Filter(load_trigger(one).network) for name, one in relatives(models).items()}
    rows: dict[str, Any] = {}
    draws: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def row(noise: str, slides: Background, found: np.ndarray) -> dict[str, Any]:
        """Efficiency and reach, and both relative to float32's, which is the first."""
        loudest = np.sort(slides.loudest.ravel())[::-1]
        result, (means, halves) = judged(loudest, slides.seconds, found), resampled(slides, found, seed)
        first = draws.setdefault(noise, (means, halves))
        of = {"efficiency": interval(means / first[0]), "reach": interval(first[1] / halves)}
        return result | {"snr_half_90": interval(halves), "of_float32_90": of}

    for name, score in filters.items():
        near = slice(merger - EARLY - score.reach, merger + LATE + 1)
        noise, signals = made.noise[:, :, near], made.signals[:, :, near]
        rows[name] = row("real", background(score, h, l), np.array([passed(score, noise + snr * signals) for snr in SNRS]))
        over = passed(score, loud)[:, None] > rows[name]["thresholds"]
        rows[name] |= {"parameters": score.parameters, "glitches": float(over.mean(axis=0) @ rows[name]["weights"])}
        noise = quieter[:, :, : signals.shape[2]]
        found = np.array([windows_of(score, noise + snr * signals) for snr in SNRS])
        rows[name]["simulated"] = row("simulated", background(score, *quiet), found)
        print(name, rows[name], flush=True)
    store(
        "networks",
        {
            "snr": SNRS.tolist(),
            "injections": n,
            "hours": rows["float32"]["hours"],
            "seconds": {"H1": h.size / RATE, "L1": l.size / RATE},
            "stretches": {name: len(found) for name, found in streams.items()},
            "pairs": len(pairs),
            "slides": SLIDES,
            "glitches": len(loud),
            "model_sha256": shipped.card["weights_sha256"],
            "rows": rows,
        },
    )


def area(models: Path) -> None:
    """Area of every network by yosys."""
    from gwsurrogate_ml.trigger import gates
    from gwsurrogate_ml.trigger.load import load_trigger
    from gwsurrogate_ml.trigger.verilog import design

    rows = {}
    shipped = load_trigger()
    every = {f"{shipped.card['bits']} bits": shipped} | {name: load_trigger(one) for name, one in relatives(models).items()}
    for name, trigger in every.items():
        with tempfile.TemporaryDirectory() as place:
            made = design(trigger.network, DEPTH)
            rows[name] = {"clocks": made.latency, **gates.synthesise(made.text, Path(place))}
        print(name, rows[name], flush=True)
        store("area", rows)


def placement(seeds: int) -> None:
    """Post-route estimates of the shipped network, kept seed by seed."""
    from gwsurrogate_ml.trigger import gates
    from gwsurrogate_ml.trigger.load import load_trigger
    from gwsurrogate_ml.trigger.verilog import design

    shipped, mhz = load_trigger(), []
    with tempfile.TemporaryDirectory() as place:
        made = design(shipped.network, DEPTH)
        gates.synthesise(made.text, Path(place))
        for seed in range(1, seeds + 1):
            routed = gates.route(Path(place), made.latency, [seed])
            mhz += routed["mhz"]
            routed |= {"mhz": mhz, "fmax": median(mhz), "latency_ns": round(1e3 * made.latency / median(mhz), 1)}
            print(routed, flush=True)
            store("post_route_estimate", {"model_sha256": shipped.card["weights_sha256"], str(DEPTH): routed})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("train", "networks", "gates", "tables", "card"), required=True)
    parser.add_argument("--out", type=Path, default=Path("out/trigger-benchmark"))
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--bits", type=int, nargs="*", default=[], help="others than the shipped network's, to train")
    parser.add_argument("--seeds", type=int, default=3, help="placements, of which the median counts")
    parser.add_argument("--channels", type=int, nargs="*", default=[], choices=SIZES, help="networks of other sizes, to train")
    a = parser.parse_args()
    if a.part == "train":
        from trigger_data import write_noise

        write_noise(DATA, a.out / "noise")
        train(a.out, a.out / "noise", a.bits, a.channels)
    elif a.part == "networks":
        networks(a.out, a.n, a.seed)
    elif a.part == "gates":
        area(a.out)
        placement(a.seeds)
    elif a.part == "card":
        from trigger_card import card

        card(RESULTS, a.out, a.n, a.seed)
    else:
        from trigger_card import tables

        tables(RESULTS, DEPTH)


if __name__ == "__main__":
    main()
