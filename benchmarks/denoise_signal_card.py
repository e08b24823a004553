"""The page of the signal denoisers: docs/models/signal-denoisers.md, from the results of `denoise_signal.py`.

    python benchmarks/denoise_signal.py && python benchmarks/denoise_signal_card.py [--results benchmarks/results] [--docs docs]

No number stands in this file: all come from denoise_signal.json, the models' cards and the benchmark's targets.
"""

# ruff: noqa: E501 (rows of a markdown table cannot be broken)
from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from denoise_signal import TARGETS
from denoise_signal_data import CALIBRATION, FILES, FILTERED, TESTS, TRAINING

from gwsurrogate_ml.artifacts import SHIPPED
from gwsurrogate_ml.denoise.signal.segment import SEARCH

EVENT_TARGETS = {"H1": 0.97, "L1": 0.95}


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A markdown table."""
    heads = list(heads)
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def percent(x: float) -> str:
    return f"{100 * x:.1f} %"


def accuracy(results: dict[str, dict[str, Any]]) -> str:
    heads = ["injections", "denoiser", "overlap, median", "target", "10th percentile", "true template", "amplitude error", "inside the 68 % band", "found", "flagged"]  # fmt: skip
    rows = []
    for snr, target in TARGETS.items():
        for model, result in results.items():
            row = result[snr]
            rows.append(
                [
                    f"{snr}, {row['n']} binaries",
                    f"`{model}`",
                    f"{row['overlap_median']:.3f}",
                    f"{target:g}",
                    f"{row['overlap_p10']:.3f}",
                    f"{row['bound_overlap_median']:.4f}",
                    percent(row["amplitude_error_median"]),
                    percent(row["coverage_68"]),
                    percent(row["found"]),
                    percent(row["flagged_out_of_distribution"]),
                ]
            )
    return table(heads, rows)


def event(results: dict[str, dict[str, Any]]) -> str:
    rows = [
        [
            f"{detector}, target {target:g}",
            f"`{model}`",
            f"{result['GW150914'][detector]['overlap']:.4f}",
            f"{result['GW150914'][detector]['amplitude_ratio']:.3f}",
            f"{result['GW150914'][detector]['probability']:.4f}",
            "yes" if result["GW150914"][detector]["flagged"] else "no",
        ]
        for detector, target in EVENT_TARGETS.items()
        for model, result in results.items()
    ]
    return table(["GW150914", "denoiser", "overlap with the best fit", "amplitude ratio", "probability", "flagged"], rows)


def noise(results: dict[str, dict[str, Any]]) -> str:
    rows = [
        [
            f"`{model}`",
            str(result["noise"]["n"]),
            percent(result["noise"]["hallucinated"]),
            *(
                percent(result["noise"]["flagged_by"][key]) if key in result["noise"]["flagged_by"] else "none"
                for key in ("residual", "latent", "either")
            ),
            f"{1e3 * result['cpu_seconds_per_segment']:.0f}",
        ]
        for model, result in results.items()
    ]
    return table(
        ["noise alone", "windows", "something seen", "flagged by the residual", "by the latent score", "by either", "CPU time [ms]"], rows
    )  # fmt: skip


def glitch_table(results: dict[str, dict[str, Any]]) -> str:
    rows = []
    for model, result in results.items():
        for kind, found in result["glitches"].items():
            for snr, row in found.items():
                by = row["flagged_by"]
                rows.append(
                    [
                        f"{kind}, {snr}",
                        f"`{model}`",
                        percent(row["reconstructed_as_binary"]),
                        percent(row["energy_share_median"]),
                        percent(by["residual"]),
                        percent(by["latent"]) if "latent" in by else "none",
                        percent(by["either"]),
                    ]
                )
    return table(
        ["glitch", "denoiser", "taken for a binary", "energy taken, median", "flagged by the residual", "by the latent score", "by either"], rows
    )  # fmt: skip


def streams(result: dict[str, Any]) -> str:
    rows = [
        [
            name,
            *(f"{row['latency_ms'][p]:.1f}" for p in ("p50", "p95", "p99")),
            f"{row['cpu_ms']:.1f}",
            f"{row['real_time_factor']:.0f}",
            f"{row['real_time_factor_clock']:.0f}",
        ]
        for name, row in result.items()
        if name.startswith("frames")
    ]
    return table(
        [
            "ONNX Runtime, one thread",
            "p50 [ms]",
            "p95",
            "p99",
            "CPU time, mean [ms]",
            "real-time factor by CPU time",
            "by the clock",
        ],
        rows,
    )


def without(earlier: dict[str, Any] | None) -> str:
    """What the network reached before it was shown the projection."""
    if earlier is None:
        return ""
    overlaps = " / ".join(f"{earlier[snr]['overlap_median']:.3f}" for snr in TARGETS)
    snrs = " / ".join(snr.removeprefix("SNR ") for snr in TARGETS)
    return (
        f"Without the projection the same kind of network (version {earlier['version']}, {earlier['examples']} examples, commit "
        f"{earlier['commit']}) reached overlaps of {overlaps}\nat SNR {snrs}, and {earlier['GW150914']['H1']['overlap']:.4f} in H1 "
        "at GW150914: the many cycles of light binaries are what a bank holds, and what a small network does not learn in minutes.\n"
    )


def left_out(results: dict[str, dict[str, Any]]) -> str:
    """The stretch of noise that is not in the tests."""
    rows = [
        [
            f"{snr}",
            f"`{model}`",
            f"{result['left_out'][snr]['overlap_median']:.3f}",
            percent(result["left_out"][snr]["amplitude_error_median"]),
            percent(result["left_out"][snr]["coverage_68"]),
            percent(result["left_out"][snr]["found"]),
        ]
        for snr in TARGETS
        for model, result in results.items()
    ]
    return table(["left out", "denoiser", "overlap, median", "amplitude error", "inside the 68 % band", "found"], rows)


def page(results: dict[str, dict[str, Any]], earlier: dict[str, Any] | None) -> str:
    cards = {model: json.loads((SHIPPED / model / "card.json").read_text()) for model in results}
    sizes = {model: (SHIPPED / model / "weights.safetensors").stat().st_size / 1e6 for model in results}
    learned = next(name for name, card in cards.items() if card.get("method") == "autoencoder")
    card = cards[learned]
    (low, high), config = card["ranges"]["mass_1"], card["config"]
    lines = f"""# The signal denoisers

Binary black-hole signals from one detector's whitened strain, each with its standard deviation. Written by
`benchmarks/denoise_signal_card.py`; every number is measured by `benchmarks/denoise_signal.py` (`benchmarks/results/denoise_signal.json`).

<!-- not run: the data are the reader's -->
```python
import gwsurrogate_ml as gw
denoiser = gw.load_denoiser("bbh-signal")            # or "{learned}": the same call, the same results
signal, sigma = denoiser(data.whiten()["H1"], psd)
```

| | `bbh-signal` | `{learned}` |
| --- | --- | --- |
| what it is | posterior mean over a bank of {cards["bbh-signal"]["n_waveforms"]} waveforms, in closed form | autoencoder of {card["parameters"]} parameters, dilated convolutions with skips between analysis and synthesis filters; it is shown the data and their projection on the bank of `{card["projection"]["bank"]}` (posterior mean by a search of coarse to fine), which it corrects and judges |
| trained on | nothing: thresholds are calibrated | {card["training"]["examples"]} examples in Gaussian noise and real noise around {", ".join(TRAINING)}, {(card["training"]["cpu_seconds"] + card["training"]["projection_cpu_seconds"]) / 60:.0f} CPU minutes on {card["training"]["threads"]} thread, of which {card["training"]["projection_cpu_seconds"] / 60:.0f} for the projections |
| sigma | draws of the posterior | predicted by the network, scaled by SNR |
| strange data | residual | residual and latent representation |
| streams | segment by segment | ONNX, frames of any length |
| weights | {sizes["bbh-signal"]:.1f} MB | {sizes[learned]:.1f} MB |

Both: component masses {low:g} to {high:g} solar masses (detector frame), aligned spins, (2,2) mode of the surrogate `{config["surrogate"]}`, 24 to 480 Hz.

**Which one?** To tell binaries from glitches, `{learned}`: it has seen that there are others, and takes few for a binary (table below), where the
bank fits its nearest waveform to anything; it is faster as well, and the one that runs without this package. For the last per mille of a waveform
that is known to be a binary's, `bbh-signal`, the default. Both are told the PSD; give the detector's own.

{without(earlier)}
## Signals in real noise

Noise around {", ".join((*TESTS, "GW151012"))} with the events cut out, waveforms and seeds that no training saw (training noise: {", ".join(TRAINING)}; calibration: {", ".join(CALIBRATION)}).
"True template" is the overlap of the matched-filter projection on the injected waveform itself: the upper bound.

{accuracy(results)}
![Overlap, amplitude, coverage, and glitches taken for binaries](../images/denoise_signal.png)

*Green: targets. "Inside the 68 % band": share of the times at which the signal is strong and lies within one sigma.*

Left out of this table: `{FILTERED[0]}` in {FILTERED[1]}, which was high-passed about 35 Hz before it was published. Its noise ends there, and so whitened
injections, which were not, lie mostly where there is no detector; no binary looks like that. By itself:

{left_out(results)}
## GW150914

{event(results)}
![GW150914 by the bank](../images/denoise_gw150914.png)

*`bbh-signal`; orange: the waveforms of the posterior of `gwsml analyze GW150914`, each at its best time, phase and amplitude.*

![GW150914 by the autoencoder](../images/denoise_gw150914_{learned}.png)

*`{learned}`.*

## Noise, and what is no binary

"Something seen": the reconstruction has more energy than a signal of SNR 4.

{noise(results)}
Simulated glitches in real noise. The autoencoder saw {" and ".join(config["data"]["glitches"])} of other draws in training, and none of the others.

{glitch_table(results)}
Blips look like the merger of heavy binaries, and the bank takes them for one. Quiet glitches are hardly ever flagged: they are left alone, as noise is, and where they are not,
one detector alone cannot tell; coincidence can.

## Streams

`export_onnx(gw.load_denoiser("{learned}"), "denoiser.onnx")`, then `SignalStream("denoiser.onnx")`: output {results[learned]["stream"]["delay_s"]:.0f} s after the input, the length
of a segment; what was found in a segment is told when its last sample has arrived, or with the next segment where its peak may be that one's. Segments follow each other every {SEARCH[1] - SEARCH[0]:.1f} s, and the output equals
the denoiser's over the whole series; gaps and dropped frames pass through flagged, and `step(..., end=True)` brings the rest out. The noise curve is an input: `start(time, psd)`. Measured on a loaded machine.

{streams(results[learned]["stream"])}
## Repeat

```
python benchmarks/denoise_signal.py --data FOLDER --noise out/noise
gwsml train denoiser {learned} --set noise=out/noise/train --set calibration=out/noise/calibration --out out/{learned}
python benchmarks/denoise_signal.py --data FOLDER --posterior out/GW150914/result.json
```

Seed {card["seed"]}; checksums {", ".join(f"`{name}` `{card['weights_sha256'][:16]}…`" for name, card in cards.items())}. GW150914's posterior: `gwsml analyze {next(iter(FILES))}`.
"""
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    args = parser.parse_args()
    first = json.loads((args.results / "denoise_signal.json").read_text())
    earlier = first.pop("without_projection", None)
    results = {first["model"]: first, **first.pop("others")}
    (args.docs / "models" / "signal-denoisers.md").write_text(page(results, earlier))
    for path in (args.results / "denoise_signal.png", *args.results.glob("denoise_gw150914*.png")):
        shutil.copyfile(path, args.docs / "images" / path.name)


if __name__ == "__main__":
    main()
