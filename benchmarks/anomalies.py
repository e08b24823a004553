"""The anomaly search on real noise: what it finds at one false alarm a day, beside excess power and the bank.

    python benchmarks/anomalies.py --data FOLDER [--model anomaly-h1l1] [--n 30] [--seed 31] [--parts bursts glitches ...]

FOLDER is the shared data. Noise of events that nothing was trained on, the events cut out (benchmarks/anomalies_noise.py), is
slid in time for the background of all three searches: excess power is the same search ranked by the significance of the joint
tile in the weaker detector alone, the bank is that of `gwsml search` on the same noise. Bursts of random directions are added to
the noise every 1.25 s, binaries every 3 s. Beside the bank they are added to the strain, before either search whitens it or
takes a spectrum; only what lies where both look counts. A class of glitches is left out of the
classifier's training (the autoencoder never sees one), then glitches of it, as loud as in the table, are added to one detector at
a time, and to both by accident. Parts that are done are kept in benchmarks/results/anomalies.json; `--card` writes them into the
model's card. Writes anomalies.md and anomalies.png too.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from anomalies_noise import TESTS, TRAINING, noise, write_training
from anomalies_table import SNRS, figure, markdown
from anomalies_waveforms import eccentric, precessing
from gwpy.timeseries import TimeSeries

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.denoise.signal.segment import DURATION, F_LOW
from gwsurrogate_ml.search.anomalies import simulate
from gwsurrogate_ml.search.anomalies.model import AnomalyModel, load_anomaly_model
from gwsurrogate_ml.search.anomalies.pairs import FEATURES, Described, features
from gwsurrogate_ml.search.anomalies.pipeline import best
from gwsurrogate_ml.search.anomalies.train import (
    AnomalyConfig,
    Examples,
    Stretch,
    found,
    make_examples,
    noise_pairs,
    read_noise,
    train_classifier,
)
from gwsurrogate_ml.search.anomalies.white import RATE, White, common, whiten
from gwsurrogate_ml.search.bank import BankConfig, cached
from gwsurrogate_ml.search.coincidence import light_travel_time
from gwsurrogate_ml.search.pipeline import SearchConfig, search
from gwsurrogate_ml.surrogate.load import load_aligned

DETECTORS = ("H1", "L1")
DAY = 86400.0
BANK_SNRS = (8.0, 10.0)
SPACING = {"bursts": 1.25, "binaries": 3.0}
UNLIKE = 6.0
"""Two glitches that differ by less are one wave to within noise: 97 % of elliptical bursts do at a network ratio of 12."""
WEAKER = FEATURES.index("weaker")
OUT = Path("benchmarks/results")
PARTS = ("bursts", "glitches", "binaries")


def test_noise(data: Path) -> tuple[list[Stretch], list[dict[str, TimeSeries]]]:
    """Whitened noise of the tests, and its strain."""
    strain = [
        {d: TimeSeries(both[d].value, t0=both[d].t0, sample_rate=both[d].sample_rate, name=d) for d in DETECTORS}
        for both in noise(data, TESTS).values()
    ]
    white = [(whiten(both["H1"]), whiten(both["L1"])) for both in strain]
    return [Stretch(pair, common(*pair)) for pair in white], strain


def threshold(scores: np.ndarray, seconds: float) -> float:
    """Score that noise exceeds once a day, of sorted scores."""
    return float(scores[-allowed(seconds)])


def allowed(seconds: float) -> int:
    """Pairs of all slides that one false alarm a day is."""
    return max(1, int(seconds / DAY))


class Injections:
    """What is added to the noise in one pass: a strain (2, n_f) at each time of each stretch, and its signal-to-noise ratio."""

    def __init__(
        self, stretches: list[Stretch], make: Callable[[], np.ndarray], snrs: tuple[float, ...], spacing: float, seed: list[int]
    ):
        rng = np.random.default_rng(seed)
        self.rows, self.snr = [], []
        for number, stretch in enumerate(stretches):
            psds = np.stack([w.psd for w in stretch.white])
            for low, high in stretch.spans:
                for t in np.arange(low + 1.0, high - 1.0, spacing) + rng.uniform(-0.2, 0.2):
                    self.snr.append(snrs[len(self.snr) % len(snrs)])
                    h = make()
                    white = h / np.sqrt(psds)
                    scale = self.snr[-1] / np.linalg.norm(simulate.to_series(white, RATE))
                    self.rows.append((number, float(t), scale * h, scale * white))

    def whitened(self, stretches: list[Stretch]) -> list[tuple[White, White]]:
        """The whitened noise with all of them in it."""
        values = [[w.values.copy() for w in s.white] for s in stretches]
        for number, t, _, white in self.rows:
            shifted = white * np.exp(-2j * np.pi * simulate.frequencies() * simulate.MIDDLE)
            for d, series in enumerate(simulate.to_series(shifted, RATE)):
                start = stretches[number].white[d].start
                add(values[number][d], series, round((t - start - simulate.MIDDLE) * RATE))
        out = []
        for s, both in zip(stretches, values, strict=True):
            one, two = (White(v, w.start, w.psd, w.spans) for v, w in zip(both, s.white, strict=True))
            out.append((one, two))
        return out

    def strain(self, noise: list[dict[str, TimeSeries]]) -> list[dict[str, TimeSeries]]:
        """The same in strain."""
        out = [{d: series.copy() for d, series in both.items()} for both in noise]
        for number, t, h, _ in self.rows:
            shifted = h * np.exp(-2j * np.pi * simulate.frequencies() * simulate.MIDDLE)
            for d, name in enumerate(DETECTORS):
                series = out[number][name]
                rate = round(series.sample_rate.value)
                full = np.zeros(round(DURATION * rate) // 2 + 1, complex)
                first = round(F_LOW * DURATION)
                full[first : first + h.shape[1]] = shifted[d]
                values = np.fft.irfft(full) * rate
                add(series.value, values, round((t - series.t0.value - simulate.MIDDLE) * rate))
        return out


def add(values: np.ndarray, series: np.ndarray, at: int) -> None:
    """Add a series to values from sample `at` on, as far as they reach."""
    a, b = max(0, at), min(at + series.size, values.size)
    values[a:b] += series[a - at : b - at].astype(values.dtype)


def run_pass(
    stretches: list[Stretch], white: list[tuple[White, White]], times: list[list[float]], model: AnomalyModel
) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Features, and excess power, of the pairs due to what was added in each stretch, and which they are due to."""
    values, joints, which = [], [], []
    light = light_travel_time(*DETECTORS)
    for stretch, pair, at in zip(stretches, white, times, strict=True):
        first, second, pairs, of = found(pair, stretch.spans, at, light)
        one, two = (Described(t, *model.autoencoder.apply_to(t.window)) for t in (first, second))
        values.append(features(one, two, pairs, light))
        joints.append(values[-1][:, WEAKER])
        which.append(of)
    return values, joints, which


def highest(scores: list[np.ndarray], which: list[np.ndarray], counts: list[int]) -> np.ndarray:
    """Highest score due to each thing added, minus infinity where there is none."""
    out = [np.full(n, -np.inf) for n in counts]
    for one, s, k in zip(out, scores, which, strict=True):
        np.maximum.at(one, k, s)
    return np.concatenate(out)


def clustered(scores: np.ndarray, slide: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Sorted scores of the best of each 0.2 s of every slide."""
    kept = []
    bounds = np.flatnonzero(np.diff(slide)) + 1
    for rows in np.split(np.arange(slide.size), bounds):
        kept.append(scores[rows][best(scores[rows], at[rows])])
    return np.sort(np.concatenate(kept))


def stitched(strain: list[dict[str, TimeSeries]]) -> dict[str, TimeSeries]:
    """One series a detector, the events one after another with a second of gap between: what the bank searches."""
    out = {}
    for name in DETECTORS:
        rate = strain[0][name].sample_rate.value
        parts = [np.concatenate([both[name].value, np.full(round(rate), np.nan)]) for both in strain]
        out[name] = TimeSeries(np.concatenate(parts), t0=1e9, sample_rate=rate, name=name)
    return out


def bank_of() -> tuple[Any, Any]:
    model = load_aligned("nr22")
    return model, cached(model, str(model.info["weights_sha256"]), BankConfig())


def bank_search(strain: list[dict[str, TimeSeries]], model: Any, bank: Any) -> Any:
    return search(stitched(strain), bank, model, SearchConfig(f_max=480.0))


def main() -> None:
    """All parts that are asked for and not done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="anomaly-h1l1")
    parser.add_argument("--n", type=int, default=30)
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--work", type=Path, default=Path("out/anomaly-noise"))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--card", action="store_true", help="write the results there are into the shipped model's card, no more")
    arguments = parser.parse_args()
    if arguments.card:
        card(json.loads((OUT / "anomalies.json").read_text()))
        return
    torch.set_num_threads(1)
    model = load_anomaly_model(arguments.model)
    path = OUT / "anomalies.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if results.get("weights_sha256") != model.info["weights_sha256"] or results.get("n") != arguments.n:
        results = {}
    results |= {
        "command": f"python benchmarks/anomalies.py --data DATA --n {arguments.n} --seed {arguments.seed}",
        "model": model.info["name"],
        "weights_sha256": model.info["weights_sha256"],
        "n": arguments.n,
        "noise": {"trained on": list(TRAINING), "tested on": list(TESTS)},
        "versions": artifacts.package_versions("numpy", "torch"),
    }
    stretches, strain = test_noise(arguments.data)
    results["noise"]["seconds tested"] = sum(b - a for s in stretches for a, b in s.spans)
    slid = noise_pairs(stretches, model.autoencoder, light_travel_time(*DETECTORS))
    level = {
        "anomaly": threshold(clustered(model.score(slid.features), slid.slide, slid.time), slid.seconds),
        "excess power": threshold(clustered(slid.features[:, WEAKER], slid.slide, slid.time), slid.seconds),
    }
    results["background"] = {"days": slid.seconds / DAY, "pairs above": allowed(slid.seconds), "thresholds": level}
    print(results["background"], flush=True)
    for part in arguments.parts:
        if part in results and (part != "binaries" or len(results[part]["snr"]) == len(BANK_SNRS)):
            continue
        begin = time.process_time()

        def keep(found_: dict[str, Any], part: str = part, begin: float = begin) -> None:
            results[part] = found_
            results[f"{part} cpu s"] = time.process_time() - begin
            merge(results, path)
            path.write_text(json.dumps(results, indent=1) + "\n")

        if part == "bursts":
            keep(bursts(stretches, model, level, arguments))
        elif part == "binaries":
            beside_bank(stretches, strain, model, level, arguments, keep)
        else:
            keep(glitches(stretches, model, slid, arguments))
    merge(results, path)
    path.write_text(json.dumps(results, indent=1) + "\n")
    (OUT / "anomalies.md").write_text(markdown(results) + "\n")
    figure(results, OUT / "anomalies.png")


def card(results: dict[str, Any]) -> None:
    """Write what was measured into the card of the shipped model."""
    path = artifacts.SHIPPED / results["model"] / "card.json"
    shipped = json.loads(path.read_text())
    if shipped["weights_sha256"] != results["weights_sha256"]:
        raise SystemExit(f"benchmarks/results/anomalies.json is of other weights than {results['model']}: measure it first")
    found, binaries, glitch = results["bursts"], results["binaries"], results["glitches"].values()

    def at(name: str, *snrs: float) -> list[float]:
        return [round(found[name]["anomaly"][SNRS.index(snr)], 2) for snr in snrs]

    eight, twelve = (f"{x:.0%}".replace("%", " %") for x in at("sine-Gaussian", 8.0, 12.0))
    shipped["metrics"] = {
        "in_words": f"at one false alarm a day: {eight} of sine-Gaussians found at a network SNR of 8, {twelve} at 12",
        "how": f"{results['command']}: one false alarm a day, {results['noise']['seconds tested']:.0f} s of noise that training "
        f"did not see, slid to {results['background']['days']:.1f} days; {found['sine-Gaussian']['n']} bursts a cell, "
        f"{found['aligned binary']['n']} binaries, {binaries['n'][0]} beside the bank; glitches left out of the training in turn",
        "sine-Gaussians found at signal-to-noise ratio 8, 12, 30": at("sine-Gaussian", 8.0, 12.0, 30.0),
        "aligned binaries found at signal-to-noise ratio 8, 12, 20": at("aligned binary", 8.0, 12.0, 20.0),
        "aligned binaries found at signal-to-noise ratio 8, 10, over those that the bank finds": [
            round(x, 2) for x in binaries["over bank"]
        ],
        "glitches in one detector that pass, at most": round(max(row["one detector"]["anomaly"] for row in glitch), 4),
        "glitches in both by accident that pass, at most": round(max(row["both by accident"]["anomaly"] for row in glitch), 4),
    }
    path.write_text(json.dumps(shipped, indent=1) + "\n")


def merge(results: dict[str, Any], path: Path) -> None:
    """Take from the file what another run of the same model, beside this one, has done."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    if kept.get("weights_sha256") == results["weights_sha256"] and kept.get("n") == results["n"]:
        for part in PARTS:
            results |= {key: kept[key] for key in (part, f"{part} cpu s") if part in kept and part not in results and key in kept}


def efficiency(
    stretches: list[Stretch], white: list[tuple[White, White]], plan: Injections, model: AnomalyModel, level: dict[str, float]
) -> dict[str, np.ndarray]:
    """Whether each of the injections is found above the thresholds, by both rankings, in whitened data that hold them."""
    times = [[t for k, t, *_ in plan.rows if k == number] for number in range(len(stretches))]
    values, joints, which = run_pass(stretches, white, times, model)
    counts = [len(t) for t in times]
    scores = {"anomaly": [model.score(v) for v in values], "excess power": joints}
    return {name: highest(s, which, counts) > level[name] for name, s in scores.items()}


def bursts(stretches: list[Stretch], model: AnomalyModel, level: dict[str, float], arguments: Any) -> dict[str, Any]:
    """Share of each class that is found, over the network's signal-to-noise ratio."""
    site = simulate.Pair(DETECTORS)
    rng = np.random.default_rng(arguments.seed)
    quadrupoles = simulate.binary_spectra(load_aligned("nr22"), 60, rng).astype(complex)
    spectra = {
        "aligned binary": [simulate.elliptical(h, rng) for h in quadrupoles],
        "eccentric binary": eccentric(60, rng),
        "precessing binary": precessing(20, rng),
    }
    out: dict[str, Any] = {}
    for name in ("sine-Gaussian", "noise burst", "ringdown", *spectra):
        out[name] = {"snr": list(SNRS), "anomaly": [], "excess power": []}

        def make(name: str = name) -> np.ndarray:
            if name in spectra:
                plus, cross = spectra[name][rng.integers(len(spectra[name]))]
                return site.seen(plus, cross, rng)
            return site.seen(*simulate.burst(name, rng), rng)

        hits: dict[str, list[np.ndarray]] = {"anomaly": [], "excess power": [], "snr": []}
        while sum(map(len, hits["snr"])) < arguments.n * len(SNRS):
            spacing = SPACING["binaries" if name in spectra else "bursts"]
            plan = Injections(stretches, make, SNRS, spacing, [arguments.seed, len(hits["snr"])])
            hits["snr"].append(np.array(plan.snr))
            for ranking, hit in efficiency(stretches, plan.whitened(stretches), plan, model, level).items():
                hits[ranking].append(hit)
        together = {key: np.concatenate(parts) for key, parts in hits.items()}
        for snr in SNRS:
            mine = together["snr"] == snr
            for ranking in ("anomaly", "excess power"):
                out[name][ranking].append(float(together[ranking][mine].mean()))
        out[name]["n"] = int(np.sum(together["snr"] == SNRS[0]))
        print(name, out[name], flush=True)
    return out


def beside_bank(
    stretches: list[Stretch],
    strain: list[dict[str, TimeSeries]],
    model: AnomalyModel,
    level: dict[str, float],
    arguments: Any,
    keep: Callable[[dict[str, Any]], None],
) -> None:
    """The same binaries in the same noise by this search and by the bank; `keep` is given what is known after each ratio."""
    surrogate, bank = bank_of()
    quiet = bank_search(strain, surrogate, bank)
    loud = threshold(quiet.background.rankings, quiet.background.time)
    out: dict[str, Any] = {
        "bank threshold": loud,
        "bank days": quiet.background.time / DAY,
        "bank seconds": quiet.live_time,
        "templates": len(bank),
    }
    rng = np.random.default_rng(arguments.seed + 1)
    spectra = simulate.binary_spectra(surrogate, 300, rng).astype(complex)
    site = simulate.Pair(DETECTORS)
    inside = [(a, b) for a, b in quiet.spans]
    rows: dict[float, dict[str, float]] = {}
    for k, snr in enumerate(BANK_SNRS):
        hits: dict[str, list[np.ndarray]] = {"anomaly": [], "excess power": [], "bank": []}
        while sum(map(len, hits["bank"])) < 2 * arguments.n:

            def make() -> np.ndarray:
                return site.seen(*simulate.elliptical(spectra[rng.integers(len(spectra))], rng), rng)

            plan = Injections(stretches, make, (snr,), SPACING["binaries"], [arguments.seed, k, len(hits["bank"])])
            starts = np.concatenate([[0], np.cumsum([both["H1"].size / both["H1"].sample_rate.value + 1.0 for both in strain])])
            at = np.array([1e9 + starts[n] + t - strain[n]["H1"].t0.value for n, t, *_ in plan.rows])
            # Only what lies where the bank looks too counts.
            counted = np.array([any(a + 0.3 < t < b - 0.3 for a, b in inside) for t in at])
            heard = plan.strain(strain)
            events = bank_search(heard, surrogate, bank).events
            times, rankings = events["time"], events["ranking"]
            hit = np.array([np.any((np.abs(times - t) < 0.3) & (rankings > loud)) for t in at])
            hits["bank"].append(hit[counted])
            white = [(whiten(both["H1"]), whiten(both["L1"])) for both in heard]
            for ranking, mine in efficiency(stretches, white, plan, model, level).items():
                hits[ranking].append(mine[counted])
        together = {name: np.concatenate(parts) for name, parts in hits.items()}
        rows[snr] = {name: float(hit.mean()) for name, hit in together.items()}
        rows[snr] |= dict(zip(("over bank", "error"), over(together["anomaly"], together["bank"]), strict=True))
        rows[snr] |= {"found by both": float((together["anomaly"] & together["bank"]).mean()), "n": len(together["bank"])}
        print(snr, rows[snr], flush=True)
        order = sorted(rows)
        keep(out | {"snr": order} | {name: [rows[s][name] for s in order] for name in rows[snr]})


def over(mine: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Ratio of two searches' shares of the same injections, and its standard error: these drawn anew a thousand times."""
    draws = np.random.default_rng(0).integers(mine.size, size=(1000, mine.size))
    ratios = mine[draws].mean(axis=1) / np.maximum(theirs[draws].mean(axis=1), 1 / mine.size)
    return float(mine.mean() / max(theirs.mean(), 1 / mine.size)), float(ratios.std())


def glitches(stretches: list[Stretch], model: AnomalyModel, slid: Any, arguments: Any) -> dict[str, Any]:
    """Share of each class of glitches, left out of training, that passes: in one detector, and in both by accident."""
    write_training(arguments.data, arguments.work)
    table_path = arguments.data / "glitches" / "antiglitch_o3.csv"
    config = AnomalyConfig(noise=arguments.work, glitches=table_path, **model.info["training"]["settings"])
    table = simulate.GlitchTable.read(table_path)
    kept = arguments.work.with_name(f"examples-{model.info['weights_sha256'][:12]}.npz")
    if not kept.exists():
        surrogate = load_aligned(config.surrogate)
        binaries = simulate.binary_spectra(surrogate, config.n_bursts // 4, np.random.default_rng(config.seed))
        made = make_examples(config, read_noise(arguments.work, DETECTORS), table, binaries, model.autoencoder)
        np.savez(kept, features=made.features, classes=np.array(made.classes), **{f"code {k}": v for k, v in made.codes.items()})
    with np.load(kept) as stored:
        codes = {key.removeprefix("code "): stored[key] for key in stored if key.startswith("code ")}
        examples = Examples(stored["features"], stored["classes"].tolist(), codes)
    light = light_travel_time(*DETECTORS)
    rng = np.random.default_rng(arguments.seed + 2)
    out: dict[str, Any] = {}
    for name in simulate.GLITCHES:
        classifier, classes, known = train_classifier(examples, name, config.epochs, config.seed)
        without = AnomalyModel(model.autoencoder, classifier, classes, known, {})
        one_a_day = threshold(clustered(without.score(slid.features), slid.slide, slid.time), slid.seconds)
        both_a_day = threshold(clustered(slid.features[:, WEAKER], slid.slide, slid.time), slid.seconds)
        out[name] = {}
        for kind in ("one detector", "both by accident"):
            scores, joints = [], []
            while sum(map(len, scores)) < 8 * arguments.n:
                values = [[w.values.copy() for w in s.white] for s in stretches]
                times: list[list[float]] = []
                for s, both in zip(stretches, values, strict=True):
                    times.append([])
                    for low, high in s.spans:
                        for t in np.arange(low + 1.0, high - 1.0, SPACING["bursts"]) + rng.uniform(-0.2, 0.2):
                            d, later = int(rng.integers(2)), float(rng.uniform(-light, light))
                            for which, shift in ((d, 0.0), (1 - d, later))[: 1 if kind == "one detector" else 2]:
                                w = s.white[which]
                                series = table.draw(name, w.psd, rng, shift)
                                add(both[which], series, round((t - w.start - simulate.MIDDLE) * RATE))
                            times[-1].append(float(t))
                white = [
                    tuple(White(v, w.start, w.psd, w.spans) for v, w in zip(both, s.white, strict=True))
                    for s, both in zip(stretches, values, strict=True)
                ]
                features_, joint, which_ = run_pass(stretches, white, times, without)  # type: ignore[arg-type]
                counts = [len(t) for t in times]
                scores.append(highest([without.score(v) for v in features_], which_, counts))
                joints.append(highest(joint, which_, counts))
            out[name][kind] = {
                "n": len(np.concatenate(scores)),
                "anomaly": float(np.mean(np.concatenate(scores) > one_a_day)),
                "excess power": float(np.mean(np.concatenate(joints) > both_a_day)),
            }
        pairs = (
            [table.draw(name, w.psd, rng, s) for w, s in zip(stretch.white, (0.0, rng.uniform(-light, light)), strict=True)]
            for stretch in (stretches[k % len(stretches)] for k in range(500))
        )
        out[name]["one wave"] = float(np.mean([unlike(*pair, light) < UNLIKE for pair in pairs]))
        print(name, out[name], flush=True)
    return out


def unlike(a: np.ndarray, b: np.ndarray, light: float) -> float:
    """Squared signal-to-noise ratio in the fainter of two whitened series (n,) that is left when one wave, of any amplitude and
    phase in either and a delay that light allows, is to explain both: what physics alone can tell two glitches apart by.
    """
    n, lags = a.size, np.arange(-round(light * RATE), round(light * RATE) + 1)
    product = np.zeros(2 * n, complex)
    product[: n + 1] = 2 * np.conj(np.fft.rfft(a, 2 * n)) * np.fft.rfft(b, 2 * n)
    match = np.abs(np.fft.ifft(product)[lags]).max() / (np.linalg.norm(a) * np.linalg.norm(b))
    return float(min(a @ a, b @ b) * (1 - match**2))


if __name__ == "__main__":
    main()
