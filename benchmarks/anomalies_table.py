"""The tables and the figure of benchmarks/anomalies.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SNRS = (6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0)
"""Network signal-to-noise ratios of the bursts."""


def markdown(results: dict[str, Any]) -> str:
    """The tables."""
    lines = []
    if "bursts" in results:
        lines += [
            "| found at one false alarm a day | " + " | ".join(f"SNR {s:g}" for s in SNRS) + " |",
            "|---" * (len(SNRS) + 1) + "|",
        ]
        for name, row in results["bursts"].items():
            for ranking in ("anomaly", "excess power"):
                lines.append(f"| {name}, {ranking} | " + " | ".join(f"{x:.0%}" for x in row[ranking]) + " |")
    if "binaries" in results:
        row = results["binaries"]
        lines += ["", "| the same aligned binaries | " + " | ".join(f"SNR {s:g}" for s in row["snr"]) + " |"]
        lines += ["|---" * (len(row["snr"]) + 1) + "|"]
        for ranking in ("anomaly", "excess power", "bank"):
            lines.append(f"| {ranking} | " + " | ".join(f"{x:.0%}" for x in row[ranking]) + " |")
        ratios = [f"{x:.2f} ± {e:.2f}" for x, e in zip(row["over bank"], row["error"], strict=True)]
        lines.append("| anomaly over bank | " + " | ".join(ratios) + " |")
    if "glitches" in results:
        lines += [
            "",
            "| passing, left out of training | one detector, anomaly | excess power | both, anomaly | excess power | one wave |",
        ]
        lines += ["|---|---|---|---|---|---|"]
        for name, row in results["glitches"].items():
            kinds = ("one detector", "both by accident")
            cells = [f"{row[kind][ranking]:.1%}" for kind in kinds for ranking in ("anomaly", "excess power")]
            cells.append(f"{row['one wave']:.0%}")
            lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figure(results: dict[str, Any], path: Path) -> None:
    """Efficiency over the signal-to-noise ratio."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from gwsurrogate_ml.plot.style import RC, legend

    curves = dict(results.get("bursts", {}))
    if "binaries" in results:
        curves["the bank's binaries"] = results["binaries"]
    if not curves:
        return
    with matplotlib.rc_context(RC):
        drawn, axes = plt.subplots(2, 4, figsize=(11, 5), sharex=True, sharey=True, layout="constrained")
        for ax, (name, row) in zip(axes.flat, curves.items(), strict=False):
            for ranking, style in (("anomaly", "o-"), ("excess power", "s--"), ("bank", "^:")):
                if ranking in row:
                    ax.plot(row["snr"], row[ranking], style, markersize=3, label=ranking)
            ax.set_title(name, fontsize=9)
            ax.set_xscale("log")
            ax.set_xticks([6, 8, 10, 15, 20, 30], ["6", "8", "10", "15", "20", "30"])
            ax.minorticks_off()
        legend(axes.flat[len(curves) - 1], fontsize=8)
        for empty in axes.flat[len(curves) :]:
            empty.set_visible(False)
        for lowest in axes.flat[max(0, len(curves) - 4) : len(curves)]:
            lowest.tick_params(labelbottom=True)
        drawn.supxlabel("network signal-to-noise ratio")
        drawn.supylabel("found at one false alarm a day")
        drawn.savefig(path, dpi=150)
