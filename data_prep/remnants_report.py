"""Report on the remnant tables: JSON, Markdown and figures of what was kept and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def summary(
    runs: dict[str, np.ndarray], reasons: list[list[str]], config: dict[str, Any], sources: dict[str, str]
) -> dict[str, Any]:
    """Counts by catalogue, all dropped runs with their reasons, limits and checksums, ready for JSON."""
    kept = np.array([not r for r in reasons])
    groups = {}
    for code in np.unique(runs["code"]):
        for aligned in (True, False):
            chosen = (runs["code"] == code) & (runs["aligned"] == aligned)
            labels = runs["cluster"][chosen & kept]
            groups[f"{code} {'aligned' if aligned else 'precessing'}"] = {
                "runs": int(chosen.sum()),
                "kept": int((chosen & kept).sum()),
                "clusters": len(np.unique(labels)),
                "q_max_kept": float(np.max(runs["q"][chosen & kept], initial=1.0)),
                "with_kick": int(np.isfinite(runs["kick"][chosen & kept]).sum()),
                "eccentricity_unknown": int(np.isnan(runs["eccentricity"][chosen & kept]).sum()),
            }
    dropped = [
        {
            "name": str(runs["name"][i]),
            "q": float(runs["q"][i]),
            "chi1": runs["chi1"][i].round(4).tolist(),
            "chi2": runs["chi2"][i].round(4).tolist(),
            "reasons": reasons[i],
        }
        for i in np.flatnonzero(~kept)
    ]
    sizes = np.unique(runs["cluster"][kept], return_counts=True)[1]
    return {
        "groups": groups,
        "clusters": len(sizes),
        "largest_cluster": int(sizes.max(initial=0)),
        "dropped": dropped,
        "config": config,
        "sources": sources,
    }


def markdown(report: dict[str, Any]) -> str:
    """The report as Markdown; runs dropped for eccentricity alone are counted, the others listed."""
    heads = ("runs", "kept", "clusters", "q_max_kept", "with_kick", "eccentricity_unknown")
    lines = ["# Remnant tables", "", f"| group | {' | '.join(h.replace('_', ' ') for h in heads)} |", "|---" * 7 + "|"]
    lines += [f"| {name} | {' | '.join(f'{g[h]:g}' for h in heads)} |" for name, g in report["groups"].items()]
    eccentric = [r for r in report["dropped"] if all(w.startswith("eccentricity") for w in r["reasons"])]
    lines += ["", f"{report['clusters']} clusters, the largest of {report['largest_cluster']} runs.", ""]
    unknown = sum(g["eccentricity_unknown"] for g in report["groups"].values())
    missing = sum("eccentricity missing" in r["reasons"] for r in report["dropped"])
    lines += [
        f"Eccentricity missing in the catalogue (`missing_eccentricity = {report['config']['missing_eccentricity']}`): {unknown} "
        f"runs kept, with full weight, because they pass the test against fits and neighbours, which an eccentric run may "
        f"pass too; {missing} dropped for it. The column `eccentricity` of the table is NaN for those kept, never 0.",
        "",
    ]
    lines += [f"Dropped for eccentricity alone: {len(eccentric)} runs (report.json names them).", ""]
    lines += ["## Dropped for other reasons", "", "| run | q | chi1 | chi2 | why |", "|---" * 5 + "|"]
    for r in report["dropped"]:
        if r not in eccentric:
            lines.append(f"| {r['name']} | {r['q']:.3f} | {r['chi1']} | {r['chi2']} | {'; '.join(r['reasons'])} |")
    lines += ["", "## Limits", ""] + [f"- `{key}`: {value}" for key, value in report["config"].items()]
    lines += ["", "## Sources (SHA-256)", ""] + [f"- `{name}`: {digest}" for name, digest in report["sources"].items()]
    return "\n".join(lines) + "\n"


def figures(runs: dict[str, np.ndarray], kept: np.ndarray, out: Path) -> None:
    """Write `kept.png` to `out`: mass ratio and effective spin of the runs kept and dropped, by catalogue."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True, constrained_layout=True)
    q = runs["q"]
    effective = (q * runs["chi1"][:, 2] + runs["chi2"][:, 2]) / (1 + q)
    for axis, aligned in zip(axes, (True, False), strict=True):
        for code, marker, grey in (("SXS", "o", "0.2"), ("RIT", "^", "0.6")):
            chosen = (runs["code"] == code) & (runs["aligned"] == aligned)
            good, bad = chosen & kept, chosen & ~kept
            axis.scatter(q[good], effective[good], s=12, marker=marker, color=grey, label=f"{code}, kept ({good.sum()})")
            axis.scatter(
                q[bad], effective[bad], s=22, marker=marker, facecolors="none", edgecolors=grey, lw=0.5,
                label=f"{code}, dropped ({bad.sum()})",
            )  # fmt: skip
        axis.set(xscale="log", xlabel="q = m1 / m2", title="aligned spins" if aligned else "general spins")
        axis.legend(fontsize=8)
    axes[0].set_ylabel("chi_eff")
    temporary = out / "kept.tmp.png"
    figure.savefig(temporary, dpi=110)
    temporary.replace(out / "kept.png")
    plt.close(figure)
