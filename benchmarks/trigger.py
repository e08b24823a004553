"""The quantised trigger: efficiency at one false alarm an hour in real noise, beside float32 and other bits.

    python benchmarks/trigger.py --part train      # the float twin, trained as long; --bits 8 5 --channels 4: others too
    python benchmarks/trigger.py --part networks   # their efficiency
    python benchmarks/trigger.py --part gates      # area, clock and latency on an ECP5-85k, post-route estimates
    python benchmarks/trigger.py --part tables     # the pages' tables from the results

Background is made of time slides: every detector's noise of the test events is used again and again against the other's.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
DATA = Path(os.environ.get("GWSML_DATA", "../shared/data"))
SNRS = np.arange(5.0, 21.0)
"""Of both detectors together, in 24 to 480 Hz."""
BITS = (8, 7, 6, 5, 4, 3)
SIZES = (8, 4, 3)
"""Channels of the hidden layers; the shipped network has six."""
BLOCK = 256
"""Samples of which the loudest score counts once, 0.25 s."""
SLIDES = 60
QUIET = 300
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
        if not (out / f"channels-{size}").exists():
            layers = (*(one.model_copy(update={"channels": size}) for one in settings.layers[:-1]), settings.layers[-1])
            own = settings.model_copy(update={"layers": layers, "name": f"bbh-trigger-{size}-channels"})
            training.train_trigger(own, out / f"channels-{size}")
            print(f"{size} channels", flush=True)
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


def background(score: Any, h: np.ndarray, l: np.ndarray) -> tuple[np.ndarray, float]:
    """Loudest scores of all blocks of SLIDES time slides, and the time in s."""
    from gwsurrogate_ml.trigger.settings import RATE

    found, n = [], min(h.size, l.size)
    for k in range(SLIDES):
        shift = round((k + 0.5) * l.size / SLIDES)
        scores = score(np.stack([h[:n], np.roll(l, -shift)[:n]]))
        found.append(scores[: scores.size // BLOCK * BLOCK].reshape(-1, BLOCK).max(axis=1))
    loudest = np.concatenate(found)
    return np.sort(loudest)[::-1], loudest.size * BLOCK / RATE


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


def neighbours(loudest: np.ndarray, wanted: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The two thresholds about `wanted` false alarms, how many background scores lie above each, and their weights.

    Scores are whole numbers in fixed point: no threshold has just as many.
    """
    values, counts = np.unique(loudest, return_counts=True)
    above = counts[::-1].cumsum()[::-1] - counts
    k = int(np.argmax(above <= wanted))
    pair = slice(k - 1, k + 1)
    w = (above[k - 1] - wanted) / (above[k - 1] - above[k])
    return values[pair], above[pair], np.array([1 - w, w])


def reach(efficiency: np.ndarray) -> float:
    """SNR of half the efficiency: distance reach is its inverse."""
    k = int(np.argmax(efficiency >= 0.5))
    if k == 0:
        return float("nan")
    low, high = efficiency[k - 1 : k + 1]
    return float(SNRS[k - 1] + (0.5 - low) / (high - low))


def judged(loudest: np.ndarray, seconds: float, found: np.ndarray) -> dict[str, Any]:
    """Efficiency at one false alarm an hour, and its mean at half and twice that rate.

    Parameters
    ----------
    loudest : (n,), loudest scores of the blocks of `seconds` of background
    found : (n_snr, n_injections), loudest scores of the injections at each of SNRS, without bound below where gated
    """
    hours, middle = seconds / 3600, (SNRS >= 8) & (SNRS <= 20)

    def at(rate: float) -> np.ndarray:
        thresholds, _, weights = neighbours(loudest, rate * hours)
        return np.asarray((found[:, :, None] > thresholds).mean(axis=1) @ weights)

    thresholds, alarms, weights = neighbours(loudest, hours)
    efficiency = at(1.0)
    return {
        "injections": found.shape[1],
        "hours": hours,
        "thresholds": thresholds.tolist(),
        "weights": weights.tolist(),
        "false_alarms": alarms.tolist(),
        "efficiency": [round(float(e), 4) for e in efficiency],
        "mean": float(efficiency[middle].mean()),
        "mean_at_half_and_twice": [float(at(rate)[middle].mean()) for rate in (0.5, 2.0)],
        "snr_half": reach(efficiency),
    }


def networks(models: Path, n: int, seed: int) -> None:
    """Efficiency of all networks at one false alarm an hour."""
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
    rows = {}
    shipped = load_trigger()
    filters = {}
    if (models / "float32.pt").is_file():
        longer = shipped.float_twin()
        longer.load_state_dict(torch.load(models / "float32.pt"))
        filters["float32"] = Filter(longer)
    filters |= {"float32, before that": Filter(shipped.float_twin()), f"{shipped.card['bits']} bits": Filter(shipped.network)}
    filters |= {name: Filter(load_trigger(one).network) for name, one in relatives(models).items()}
    for name, score in filters.items():
        loudest, seconds = background(score, h, l)
        near = slice(merger - EARLY - score.reach, merger + LATE + 1)
        noise, signals = made.noise[:, :, near], made.signals[:, :, near]
        rows[name] = judged(loudest, seconds, np.array([passed(score, noise + snr * signals) for snr in SNRS]))
        over = passed(score, loud)[:, None] > rows[name]["thresholds"]
        rows[name] |= {"parameters": score.parameters, "glitches": float(over.mean(axis=0) @ rows[name]["weights"])}
        noise = quieter[:, :, : signals.shape[2]]
        gaussian = judged(*background(score, *quiet), np.array([windows_of(score, noise + snr * signals) for snr in SNRS]))
        rows[name]["simulated"] = {key: gaussian[key] for key in ("hours", "false_alarms", "mean", "snr_half")}
        print(name, rows[name], flush=True)
        store(
            "networks",
            {
                "snr": SNRS.tolist(),
                "injections": n,
                "hours": seconds / 3600,
                "seconds": {"H1": h.size / RATE, "L1": l.size / RATE},
                "stretches": {name: len(found) for name, found in streams.items()},
                "pairs": len(pairs),
                "slides": SLIDES,
                "glitches": len(loud),
                "model_sha256": shipped.card["weights_sha256"],
                "rows": rows,
            },
        )


def gates(models: Path, depths: tuple[int, ...], seeds: int) -> None:
    """Area by yosys of every number of bits, and post-route estimates of 6 bits."""
    import tempfile

    from gwsurrogate_ml.trigger import gates as tools
    from gwsurrogate_ml.trigger.load import load_trigger
    from gwsurrogate_ml.trigger.verilog import design

    shipped = load_trigger()
    routed = {}
    for depth in depths:
        with tempfile.TemporaryDirectory() as place:
            made = design(shipped.network, depth)
            tools.synthesise(made.text, Path(place))
            routed[str(depth)] = tools.route(Path(place), made.latency, range(1, seeds + 1))
        print(depth, routed[str(depth)], flush=True)
    store("post_route_estimate", routed)
    rows = {}
    for name, one in ({f"{shipped.card['bits']} bits": "bbh-trigger"} | relatives(models)).items():
        network = load_trigger(one).network
        with tempfile.TemporaryDirectory() as place:
            made = design(network)
            rows[name] = {"clocks": made.latency, **tools.synthesise(made.text, Path(place))}
        print(name, rows[name], flush=True)
        store("area", rows)


def front(points: dict[str, tuple[float, float]]) -> set[str]:
    """Names of those points (cost, efficiency) that none beats in one without losing in the other."""
    return {
        name
        for name, (cost, gain) in points.items()
        if not any(c <= cost and g >= gain and (c, g) != (cost, gain) for c, g in points.values())
    }


def tables() -> None:
    """The page's tables."""
    r = json.loads((RESULTS / "trigger.json").read_text())
    n, area, routed = r["networks"], r.get("area", {}), r.get("post_route_estimate", {})
    rows = dict(n["rows"])
    if "search" in r:
        rows[f"matched filter, {r['search']['templates']} templates"] = r["search"]
    if "autoencoder" in r:
        rows["autoencoder"] = r["autoencoder"]
    best = n["rows"]["float32"]
    half = r["search"]["snr_half"] if "search" in r else float("nan")
    optimal = front({name: (area[name]["lut"], row["mean"]) for name, row in n["rows"].items() if name in area})
    head = [
        "network",
        "parameters",
        "LUT (yosys)",
        "clocks",
        "efficiency, SNR 8 to 20",
        "at 0.5 and 2 an hour",
        "of float32's",
        "in simulated noise",
        "of float32's there",
        "false alarms above the two thresholds",
        "SNR of half the efficiency",
        "distance reach, of the matched filter's",
        "real glitches passed",
    ]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for name, row in rows.items():
        cost = area.get(name, {})
        cells = [
            f"**{name}**" if name in optimal else name,
            row.get("parameters", "–"),
            cost.get("lut", "–"),
            cost.get("clocks", "–"),
        ]
        cells += [
            f"{row['mean']:.3f}",
            ", ".join(f"{x:.3f}" for x in row["mean_at_half_and_twice"]),
            f"{row['mean'] / best['mean']:.3f}",
        ]
        there = row.get("simulated", {}).get("mean")
        cells += [f"{there:.3f}", f"{there / best['simulated']['mean']:.3f}"] if there else ["–", "–"]
        cells.append(", ".join(str(count) for count in row["false_alarms"]))
        cells += [f"{row['snr_half']:.2f}", f"{half / row['snr_half']:.3f}" if half == half else "–"]
        cells.append(f"{row['glitches']:.3f}" if "glitches" in row else "–")
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    gaussian = best["simulated"]["hours"]
    found = ", ".join(f"{row['injections']} ({name})" for name, row in rows.items() if row["injections"] != n["injections"])
    lines += [
        "",
        f"One false alarm an hour; background {n['hours']:.1f} h of time slides of {n['seconds']['H1']:.0f} s of H1 and "
        f"{n['seconds']['L1']:.0f} s of L1 ({n['stretches']['H1']} and {n['stretches']['L1']} stretches, {n['slides']} slides); "
        f"{n['injections']} signals at each SNR{f', or the first {found}' if found else ''}, in the noise of {n['pairs']} events; "
        f"{n['glitches']} glitches; {gaussian:.1f} h of slides of simulated noise. Efficiency is interpolated to "
        f"{n['hours']:.1f} false alarms between two thresholds next to each other: scores in fixed point are "
        "whole. In bold: no network shown has fewer LUT and is as efficient.",
    ]
    (RESULTS / "trigger.md").write_text("\n".join(lines) + "\n")
    if not routed:
        return
    lines = [
        "| additions between registers | clocks | LUT of 83,640 | share | FF | Fmax, median [MHz] | seeds' [MHz] | latency [ns] |"
    ]
    lines.append("|" + " --- |" * 8)
    for depth, row in routed.items():
        each = ", ".join(f"{x:g}" for x in row["mhz"])
        lines.append(
            f"| {depth} | {row['clocks']} | {row['lut']:,} | {100 * row['lut_share']:.1f} % | {row['ff']:,} | {row['fmax']:g} "
            f"| {each} | {row['latency_ns']:g} |"
        )
    (RESULTS / "trigger_gates.md").write_text("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("train", "networks", "gates", "tables"), required=True)
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
        gates(a.out, (4,), a.seeds)
    else:
        tables()


if __name__ == "__main__":
    main()
