"""The trigger's tables and the metrics on its card, from the results of `trigger.py` and `trigger_rivals.py`.

No number stands in this file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gwsurrogate_ml.artifacts import SHIPPED
from gwsurrogate_ml.settings import read
from gwsurrogate_ml.trigger.load import load_trigger
from gwsurrogate_ml.trigger.settings import TriggerSettings

JUDGEMENT = [
    "efficiency, SNR 8 to 20",
    "at 0.5 and 2 an hour",
    "of float32's",
    "SNR of half the efficiency",
    "distance reach, of float32's",
    "false alarms above the two thresholds",
]
PLACEMENT = [
    "additions between registers",
    "clocks",
    "LUT of 83,640",
    "share",
    "FF",
    "Fmax, median [MHz]",
    "seeds' [MHz]",
    "latency [ns]",
]


def front(points: dict[str, tuple[float, float]]) -> set[str]:
    """Names of those points (cost, efficiency) that none beats in one without losing in the other."""
    return {
        name
        for name, (cost, gain) in points.items()
        if not any(c <= cost and g >= gain and (c, g) != (cost, gain) for c, g in points.values())
    }


def table(heads: list[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    """Lines of a markdown table."""
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    return lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]


def judgement(row: dict[str, Any], best: dict[str, Any]) -> list[str]:
    """Cells of a row's efficiency and reach, beside float32's."""
    of = row.get("of_float32_90") if row is not best else None
    half = f"{row['snr_half']:.2f}" + (spread(row["snr_half_90"], 2) if "snr_half_90" in row else "")
    return [
        f"{row['mean']:.3f}",
        ", ".join(f"{x:.3f}" for x in row["mean_at_half_and_twice"]),
        f"{row['mean'] / best['mean']:.3f}" + (spread(of["efficiency"], 3) if of else ""),
        half,
        f"{best['snr_half'] / row['snr_half']:.3f}" + (spread(of["reach"], 3) if of else ""),
        ", ".join(str(count) for count in row["false_alarms"]),
    ]


def spread(bounds: list[float], digits: int) -> str:
    return f" ({bounds[0]:.{digits}f} to {bounds[1]:.{digits}f})"


def tables(folder: Path, depth: int) -> None:
    """Write the page's tables from trigger.json into the same folder."""
    r = json.loads((folder / "trigger.json").read_text())
    n, area, search, odds = r["networks"], r["area"], r["search"], r["autoencoder"]
    rivals = {f"matched filter, {search['templates']} templates": search, "autoencoder": odds}
    networks, best = n["rows"], n["rows"]["float32"]
    optimal = front({name: (area[name]["lut"], row["simulated"]["mean"]) for name, row in networks.items() if name in area})
    rows = [
        [
            f"**{name}**" if name in optimal else name,
            row.get("parameters", "–"),
            area.get(name, {}).get("lut", "–"),
            area.get(name, {}).get("clocks", "–"),
            *judgement(row, best),
            f"{search['snr_half'] / row['snr_half']:.3f}",
            f"{row['glitches']:.3f}" if "glitches" in row else "–",
        ]
        for name, row in (networks | rivals).items()
    ]
    heads = ["network", "parameters", "LUT (yosys)", "clocks", *JUDGEMENT]
    lines = table([*heads, "distance reach, of the matched filter's", "real glitches passed"], rows)
    fewer = ", ".join(f"the first {row['injections']} ({name})" for name, row in rivals.items())
    seconds, stretches = n["seconds"], n["stretches"]
    lines += [
        "",
        f"Real noise, one false alarm an hour; background {n['hours']:.1f} h of time slides of {seconds['H1']:.0f} s of H1 and "
        f"{seconds['L1']:.0f} s of L1 ({stretches['H1']} and {stretches['L1']} stretches, {n['slides']} slides), for the "
        f"autoencoder {odds['hours']:.1f} h of its segments; {n['injections']} signals at each SNR, or {fewer}, in the "
        f"noise of {n['pairs']} events; {n['glitches']} glitches. Efficiency is interpolated to the number of alarms between two "
        "thresholds next to each other: scores in fixed point are whole. In brackets what 90 % of resamplings give. In bold: no "
        "network shown has fewer LUT and is as efficient in simulated noise.",
        "",
    ]
    there = {name: row["simulated"] for name, row in networks.items()}
    lines += table(["network", *JUDGEMENT], ([name, *judgement(row, there["float32"])] for name, row in there.items()))
    hours = there["float32"]["hours"]
    lines += ["", f"The same signals in simulated noise, which has no loud moments; background {hours:.0f} h of slides."]
    (folder / "trigger.md").write_text("\n".join(lines) + "\n")
    row = r["post_route_estimate"][str(depth)]
    each, share = ", ".join(f"{x:g}" for x in row["mhz"]), f"{100 * row['lut_share']:.1f} %"
    cells = [depth, row["clocks"], f"{row['lut']:,}", share, f"{row['ff']:,}", f"{row['fmax']:g}", each, f"{row['latency_ns']:g}"]
    (folder / "trigger_gates.md").write_text("\n".join(table(PLACEMENT, [cells])) + "\n")


def card(folder: Path, out: Path, n: int, seed: int) -> None:
    """Write the shipped card's metrics, from the results in `folder`, and its seconds, by training it again into `out`."""
    from gwsurrogate_ml.trigger.train import train_trigger

    shipped = load_trigger().card
    found = json.loads((folder / "trigger.json").read_text())["networks"]
    if found["model_sha256"] != shipped["weights_sha256"]:
        raise SystemExit("the results are those of other weights: --part networks first")
    if not (out / "again" / "card.json").is_file():
        train_trigger(read(TriggerSettings, shipped["training"]["settings"] | {"noise": out / "noise"}), out / "again")
    again = json.loads((out / "again" / "card.json").read_text())
    same = again["weights_sha256"] == shipped["weights_sha256"]
    print(f"trained again: {again['training']}, weights are {'the same' if same else 'others'}", flush=True)
    row = found["rows"][f"{shipped['bits']} bits"]
    half, few, many = row["snr_half"], *sorted(row["false_alarms"])
    shipped["training"].pop("cpu_seconds", None)
    shipped["training"]["trained_again"] = {"the same weights": same, "cpu_seconds": again["training"]["cpu_seconds"]}
    shipped["metrics"] = {
        "in_words": f"at one false alarm an hour in real noise half of the binaries are found at a network SNR of {half:.1f}",
        "how": f"benchmarks/trigger.py --part networks (--n {n} --seed {seed}): {row['hours']:.1f} h of time slides, "
        f"{few} to {many} false alarms above the threshold",
        "efficiency, mean over SNR 8 to 20": round(row["mean"], 3),
        "SNR of half the efficiency": round(half, 2),
    }
    (SHIPPED / shipped["name"] / "card.json").write_text(json.dumps(shipped, indent=1) + "\n")
