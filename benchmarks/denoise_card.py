"""The page of the witness cleaner: docs/models/witness-cleaner.md, from the results of `denoise.py`.

    python benchmarks/denoise.py && python benchmarks/denoise_card.py [--results benchmarks/results] [--docs docs]

No number stands in this file: all come from denoise.json, denoise_parameters.json and the constants of the code.
"""

# ruff: noqa: E501 (rows of a markdown table cannot be broken)
from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gwsurrogate_ml.denoise.witness import cleaner, fitting, gain_tracking, stream
from gwsurrogate_ml.denoise.witness.bench.mock import preset
from gwsurrogate_ml.denoise.witness.bench.nulls import LAG
from gwsurrogate_ml.inference.calibration.cleaned_strain import JUDGED
from gwsurrogate_ml.plot.witness import before_and_after

NAMES = {
    "raw": "raw strain",
    "fir_wiener": "FIR Wiener filter",
    "bilinear_wiener": "bilinear Wiener filter (as NonSENS)",
    "deepclean": "autoencoder (as DeepClean)",
    "witness_cleaner": "**`WitnessCleaner`**",
    "oracle": "oracle: the best estimate on the same data",
}
TARGETS = {"o3_like": 0.90, "sidebands_only": 0.85}


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A markdown table."""
    heads = list(heads)
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def comparison(entry: Mapping[str, Any], target: float) -> str:
    """Every cleaner of one mock: SNR, score, range, ASD by band, time of the fit."""
    bands = list(entry["cleaners"]["oracle"]["asd_ratio"])
    heads = [
        "cleaner",
        "SNR gain",
        f"fraction of the attainable (target {target:g})",
        "worst seed",
        "range [Mpc]",
        *bands,
        "fit [s]",
    ]
    rows = []
    for key, name in NAMES.items():
        if key not in entry["cleaners"]:
            continue
        row, seconds = entry["cleaners"][key], entry["fit_cpu_seconds"].get(key)
        rows.append(
            [
                name,
                f"{row['snr_gain']:.4f}",
                f"{row['score_of_oracle']:.3f}",
                f"{row['worst_of_seeds']['score_of_oracle']:.3f}",
                f"{row['range_mpc']:.1f}",
                *(f"{row['asd_ratio'][band]:.3f}" for band in bands),
                "" if seconds is None else f"{seconds:.0f}",
            ]
        )
    return table(heads, rows)


def streams(result: Mapping[str, Any]) -> str:
    """Latency of both mocks' cleaners."""
    rows = []
    for name in TARGETS:
        for key, by in (("streaming", "numpy"), ("streaming_onnx", "ONNX Runtime")):
            entry = result[name].get(key, {})
            for frame, row in entry.items():
                if isinstance(row, dict):
                    rows.append(
                        [
                            f"`{name}`, {by}, {frame}",
                            *(f"{row[key]:.2f}" for key in ("p50_ms", "p95_ms", "p99_ms", "cpu_ms")),
                            f"{row['real_time_factor']:.0f}",
                            f"{row['real_time_factor_clock']:.0f}",
                            f"{row['relative_difference']:.0e}",
                            f"{entry['latency_of_filters_s']:.2f}",
                        ]
                    )
    heads = [
        "",
        "p50 [ms]",
        "p95 [ms]",
        "p99 [ms]",
        "CPU time, mean [ms]",
        "real-time factor by CPU time (target 50)",
        "by the clock",
        "difference from offline",
        "delay of the filters [s]",
    ]
    return table(heads, rows)


def parameters(measured: Mapping[str, Any]) -> str:
    """What cleaning does to estimated parameters."""
    rows = []
    for key in JUDGED:
        shifts = [entry["shift"][key] for entry in measured["injections"]]
        inside = [sum(entry["inside_90"][name][key] for entry in measured["injections"]) for name in ("raw", "cleaned")]
        rows.append(
            [
                key.replace("_", " "),
                f"{measured['mean_narrower'][key]:.2f}",
                ", ".join(f"{shift:+.1f}" for shift in shifts),
                f"{inside[0]} and {inside[1]} of {len(shifts)}",
            ]
        )
    return table(["parameter", "width after / before", "shifts", "truth inside 90 %, raw and cleaned"], rows)


def page(result: Mapping[str, Any], measured: Mapping[str, Any] | None) -> str:
    """The whole page."""
    o3, sides = result["o3_like"], result["sidebands_only"]
    limits = {name: preset(name).limit() for name in TARGETS}
    causal = {name: preset(name).limit(causal=True) for name in TARGETS}
    injected, own = o3["injections"], o3["self_subtraction_of_a_fit"]
    parts = [
        f"""# The witness cleaner

`WitnessCleaner` subtracts from strain what auxiliary channels explain. Written by `benchmarks/denoise_card.py`; every number is measured by
`benchmarks/denoise.py` (`benchmarks/results/denoise.json`) on {len(result["seeds"])} realisations of 512 s that nothing was fitted to, after fits to one of
{result["training_s"]:g} s. Witness channels of real detectors are not public: all data here are simulated.

| what | value |
| --- | --- |
| features | every channel; every fast channel times every slow one (bilinear, as NonSENS); sine of a slow channel in any unit (scattered light), its wavenumber and phase found on the data |
| filters | Wiener solutions in closed form, frequency by frequency, of the features with significant partial coherence there, behind a filter that whitens the strain |
| bands by default | {", ".join(f"{low:g} to {high:g} Hz" for low, high in cleaner.DEFAULT_BANDS)}, joined by ramps of {fitting.EDGE:g} Hz; outer ramps lie outside |
| length of the filters | {", ".join(f"{length:g}" for length in fitting.RESOLUTIONS)} s, chosen for each band on held-back data |
| refused | a band whose power falls by less than {1 - fitting.REFUSE:.1%} on held-back data |
| passed through, flagged | gaps, stuck, clipped or incredible witnesses within reach of the filters (ramp {stream.RAMP:g} s); bands where power rose by {gain_tracking.OFF - 1:.0%} over the last {gain_tracking.BLOCK / (1 - gain_tracking.KEEP):g} s |
| version | {cleaner.VERSION} |

<!-- not run: the strain and the witnesses are the reader's -->
```python
import gwsurrogate_ml as gw
cleaner = gw.WitnessCleaner.fit(strain, witnesses)          # gwpy TimeSeries and TimeSeriesDict
clean = cleaner(later_strain, later_witnesses)
```
`gwsml denoise witness --mock o3_like --report` climbs the ladder below on a mock of your seed and writes one HTML page; with `--strain` and `--witnesses`
it does the same on files.

## Beside the baselines

`o3_like`: broadband and resonant linear coupling (0.5 Hz wide), one whose gain drifts by 12 % over 300 s, sidebands of the mains, scattered light. SNR of 30 + 30 solar
masses; the limit of its gain in closed form is {limits["o3_like"]:.4f} ({causal["o3_like"]:.4f} for a stream without any delay). ASD ratios by band; fits in seconds of CPU time on one thread.

""",
        comparison(o3, TARGETS["o3_like"]),
        f"""
`sidebands_only`: limit {limits["sidebands_only"]:.4f} (causal {causal["sidebands_only"]:.4f}).

""",
        comparison(sides, TARGETS["sidebands_only"]),
        f"""
![ASD before and after](../../benchmarks/results/denoise_o3_like_asd.png)

*`o3_like`: amplitude spectral density before and after, and the ratio of the two; dotted, the optimum.*

- Injections ({injected["n"]} of 30 + 30 solar masses, true template, measured PSD): matched-filter SNR {injected["snr_before"]:.1f} before, {injected["snr_after"]:.1f} after, {injected["snr_gain"]:.3f} times (target 1.216).
- Steps where bands join (power against the oracle's within 1 Hz of the edge, over that 2 to 6 Hz away): {", ".join(f"{edge} {value:.3f}" for edge, value in o3["cleaners"]["witness_cleaner"]["edges"].items())}; without cleaning
  {", ".join(f"{edge} {value:.3f}" for edge, value in o3["cleaners"]["raw"]["edges"].items())}.
""",
    ]
    if "autoencoder_on_the_residual" in o3:
        rest = {
            key: row["autoencoder_on_the_residual"]
            for key, row in ((k, result[k]) for k in TARGETS)
            if "autoencoder_on_the_residual" in row
        }
        words = "; ".join(
            f"`{name}`: SNR {100 * (entry['snr_ratio'] - 1):+.2f} % ({entry['steps']} steps, {entry['cpu_seconds']:.0f} s)"
            for name, entry in rest.items()
        )
        steps = ", ".join(f"{result[k]['deepclean_steps']} steps on `{k}`" for k in rest)
        parts.append(
            f"""- The autoencoder baseline (8 to 64 channels, kernel 7, stride 2; {steps}) runs here at 1024 Hz, where its receptive
  field is four times as long as at the 4096 Hz it was published for.
- The same network trained on what our cleaner leaves: {words}. It is therefore no part of the cleaner.
"""
        )
    if "nulls" in result:
        nulls = result["nulls"]
        parts.append(
            f"""
## Where there is nothing to subtract

Largest change of the SNR: {max(abs(r - 1) for r in nulls["no coupling"]):.1e} where nothing couples, {max(abs(r - 1) for r in nulls["shifted witnesses"]):.1e} with witnesses shifted by {LAG:g} s before the fit,
{max(abs(r - 1) for r in nulls["shifted after the fit"]):.1e} with witnesses shifted after it (the cleaner hands the strain back); {len(nulls["shifted after the fit"])} seeds each, on the fitted and on held-out spans. Target 0.002.

## What happens to a signal

Filters never see the strain: the injections above lose {injected["self_subtraction"]:.0e} of their SNR (target 0.005). A *fit* sees it: signals in the {result["training_s"]:g} s that a cleaner is fitted to
and then applied to lose {100 * own["mean"]:.2f} % on average, {100 * own["worst"]:.2f} % at worst ({own["n"]} signals of SNR {own["snr"]:.0f}; `sidebands_only`: {100 * sides["self_subtraction_of_a_fit"]["mean"]:.3f} %). The card of a fit states it
as `leverage` of each band; it grows as the span shrinks. `gwsml denoise witness` therefore cleans each half of a file with the fit to the other half
(`denoise.witness.crossfit`), which takes nothing. A witness that itself hears the strain would take signals away, and nothing here can tell: use channels known to be safe.
"""
        )
    if measured is not None:
        parts.append(
            f"""
## Parameters before and after

{len(measured["injections"])} binaries in H1 and L1 of `{measured["mock"]}`, estimated by the shipped estimator from raw and from cleaned strain ({measured["draws"]:,} draws each). Shifts of the mean are in units of
sqrt(σ² raw − σ² cleaned), the spread to be expected of the difference: rms {measured["rms_shift"]:.2f}, largest {measured["largest_shift"]:.2f}.

{parameters(measured)}
![Parameters before and after](../../benchmarks/results/denoise_parameters.png)
"""
        )
    parts.append(
        f"""
## As a stream

Wall time of a step on one core of a busy two-core machine: its medians are those of the work, the upper percentiles mostly those of waiting for the core.

{streams(result)}
Output lags by the delay of the filters, however fast the machine: the limit of SNR for a stream without delay is far lower where light is scattered ({causal["o3_like"]:.3f} against {limits["o3_like"]:.3f}).

## Scattered light in any unit

`benchmarks/witness_units.py`, a mock apart from the one above: a surface moved by the microseism, a drift and a suspension's swing over several wavelengths, two fast channels that
couple linearly, four slow ones and a fast one that do not. The attainable gain is the log of the power in the band before over that after the truth is subtracted, and includes the linear couplings.

<!-- table: witness_units -->

## What is weak

- Simulated witnesses only. Couplings here are of the kinds that the features describe; others stay in the strain.
- A stream follows one gain a band, and only where held-back data say that it helps; filters are otherwise fixed once fitted. A fit to a shorter span reaches less.
- Streams: set `MKL_NUM_THREADS=1`, threads that wait for one another are far slower.
- Scattered light needs a slow channel (below {_slow():g} Hz) of the surface's position, not of its velocity, that covers its range; couplings that only two channels together explain are not found.
- Real channels come at other rates: bring them to one (`--rate`, `denoise.witness.channels.at_rate`).
"""
    )
    return "".join(parts)


def _slow() -> float:
    from gwsurrogate_ml.denoise.witness.features import SLOW_EDGE

    return SLOW_EDGE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    args = parser.parse_args()
    result = json.loads((args.results / "denoise.json").read_text())
    path = args.results / "denoise_parameters.json"
    measured = json.loads(path.read_text()) if path.exists() else None
    if measured is not None:
        before_and_after(measured["injections"], JUDGED).savefig(args.results / "denoise_parameters.png", dpi=130)
    target = args.docs / "models" / "witness-cleaner.md"
    temporary = target.with_suffix(".tmp")
    temporary.write_text(page(result, measured), encoding="utf-8")
    temporary.rename(target)
    print(f"wrote {target}")


if __name__ == "__main__":
    main()
