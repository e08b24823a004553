"""Report on the NR training table: Markdown for people, and figures of what was kept and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

STYLES = {"SpEC": ("o", "0.15"), "MAYA": ("^", "0.6")}
OTHER = ("s", "0.4")


def markdown(report: dict[str, Any]) -> str:
    """The report as Markdown: one table of groups, one of dropped runs, one of notes, and how it was measured."""
    config = report["config"]
    low, high = config["window"]
    lines = [
        "# Numerical-relativity training table",
        "",
        f"White-noise mismatch, maximised over time and phase, t from {low:g} to {high:g} M, against SEOBNRv5HM at the",
        "run's parameters (reference) and against neighbours in parameter space after carrying over their difference",
        "from the reference. It does not see the scale of the amplitude; report.json gives each run's amplitude ratio.",
        "",
        "| code | runs | precessing | kept | clusters | reference: median, 90 %, max | duplicates: median, 90 % "
        "| own two resolutions: n, median, 90 % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for code, g in report["groups"].items():
        reference = _numbers(g["reference_mismatch"], "median", "p90", "max")
        duplicates = _numbers(g["duplicate_mismatch"], "median", "p90")
        counts = " | ".join(str(g[key]) for key in ("runs", "precessing", "kept", "clusters_kept"))
        own = g["resolution_mismatch"]
        resolutions = f"{own['n']}: {_numbers(own, 'median', 'p90')}"
        lines.append(f"| {code} | {counts} | {reference} | {duplicates} | {resolutions} |")
    spec = report["spec_reference_mismatch"]
    lines += ["", f"Long non-spinning SpEC runs: {spec['n']}; reference {_numbers(spec, 'median', 'p90', 'max')}.", ""]
    dropped = [r for r in report["runs"] if not r["kept"] and not any(s.startswith("precessing") for s in r["reasons"])]
    lines += [
        "## Dropped, other than for precession",
        "",
        "| run | q | chi1 | chi2 | reference mismatch | why |",
        "|---|---|---|---|---|---|",
    ]
    for r in sorted(dropped, key=lambda r: -np.nan_to_num(r["reference_mismatch"])):
        lines.append(
            f"| {r['name']} | {r['q']:.3f} | {r['chi1']:.3f} | {r['chi2']:.3f} | {r['reference_mismatch']:.1e} | "
            f"{_cell('; '.join(r['reasons']))} |"
        )
    lines += _left_out(report["unread"])
    modes = ", ".join(f"({key}): {n}" for key, n in report["higher_modes"].items()) or "none"
    lines += ["", f"Higher modes, runs that have them: {modes}.", "", "## Notes", ""]
    lines += [f"- {r['name']}: {note}" for r in report["runs"] for note in r["notes"]]
    lines += ["", "## Limits", ""] + [f"- `{key}`: {value}" for key, value in config.items()]
    lines += ["", "## Sources (SHA-256, or the checksum the catalogue publishes)", ""]
    lines += [f"- `{name}`: {digest}" for name, digest in report["sources"].items()]
    lines += ["", "## Versions", ""] + [f"- {name}: {version}" for name, version in report["versions"].items()]
    lines += ["", "Figures: `kept.png`, `mismatch.png`."]
    return "\n".join(lines) + "\n"


def _left_out(unread: list[dict[str, str]]) -> list[str]:
    """A table of the runs that were left out before quality control; nothing where there are none."""
    if not unread:
        return []
    rows = [f"| {u['name']} | {u['source']} | {_cell(u['reason'])} |" for u in unread]
    return ["", "## Left out before quality control", "", "| run | source | why |", "|---|---|---|", *rows]


def _cell(text: str) -> str:
    """Text that a Markdown table takes: one line, its bars (as in |h22|) escaped."""
    return " ".join(text.split()).replace("|", r"\|")


def figures(report: dict[str, Any], out: Path) -> None:
    """Write `kept.png` (parameter space, kept and dropped) and `mismatch.png` (distributions and weights) to `out`."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    aligned = [r for r in report["runs"] if not any(s.startswith("precessing") for s in r["reasons"])]
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), constrained_layout=True)
    for axis, value, label in zip(axes, (_effective, _antisymmetric), ("chi_eff", "(chi1 - chi2) / 2"), strict=True):
        kept = sorted((r for r in aligned if r["kept"]), key=lambda r: r["reference_mismatch"])
        colours = np.log10([r["reference_mismatch"] for r in kept])
        for code in sorted({r["code"] for r in kept}):
            marker = STYLES.get(code, OTHER)[0]
            chosen = [r["code"] == code for r in kept]
            points = axis.scatter(
                np.array([r["q"] for r in kept])[chosen],
                np.array([value(r) for r in kept])[chosen],
                c=colours[chosen],
                marker=marker,
                s=28,
                vmin=-5.5,
                vmax=-2.5,
                cmap="viridis",
                label=f"{code}, kept",
            )
        bad = [r for r in aligned if not r["kept"]]
        axis.scatter([r["q"] for r in bad], [value(r) for r in bad], marker="x", c="k", s=40, label="dropped")
        axis.set(xscale="log", xlabel="q = m1 / m2", ylabel=label)
        axis.set_xticks([1, 2, 3, 4, 6, 8], ["1", "2", "3", "4", "6", "8"], minor=False)
        axis.minorticks_off()
    axes[0].legend(fontsize=8)
    figure.colorbar(points, ax=axes, label="log10 mismatch against SEOBNRv5HM")
    _save(figure, out / "kept.png")

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), constrained_layout=True)
    bins = np.linspace(-7, 0, 43)
    for code in sorted({r["code"] for r in aligned}):
        marker, grey = STYLES.get(code, OTHER)
        members = [r for r in aligned if r["code"] == code]
        for key, style, what in (
            ("reference_mismatch", "-", "SEOBNRv5HM"),
            ("neighbour_mismatch", ":", "best neighbour"),
        ):
            values = np.clip([r[key] for r in members if np.isfinite(r[key])], 1e-7, 1)
            axes[0].hist(np.log10(values), bins, histtype="step", color=grey, ls=style, lw=1.6, label=f"{code}, {what}")
        axes[1].scatter(
            [r["reference_mismatch"] for r in members],
            [r["neighbour_mismatch"] for r in members],
            marker=marker,
            s=22,
            facecolors=[grey if r["kept"] else "none" for r in members],
            edgecolors=grey if code == "SpEC" else "0.4",
            label=f"{code} (open: dropped)",
        )
    limit = report["config"]["mismatch_max"]
    axes[0].axvline(np.log10(limit), color="k", lw=0.8)
    axes[0].set(xlabel="log10 white-noise mismatch, t from -395 to 90 M", ylabel="aligned runs")
    axes[0].legend(fontsize=8)
    axes[1].axhline(limit, color="k", lw=0.8)
    axes[1].axvline(limit, color="k", lw=0.8)
    axes[1].set(xscale="log", yscale="log", xlabel="mismatch against SEOBNRv5HM", ylabel="mismatch against the best neighbour")
    axes[1].legend(fontsize=8, loc="upper left")
    _save(figure, out / "mismatch.png")
    plt.close("all")


def _effective(run: dict[str, Any]) -> float:
    return float((run["q"] * run["chi1"] + run["chi2"]) / (1 + run["q"]))


def _antisymmetric(run: dict[str, Any]) -> float:
    return float((run["chi1"] - run["chi2"]) / 2)


def _numbers(spread: dict[str, float], *keys: str) -> str:
    return ", ".join(f"{spread[key]:.1e}" for key in keys) if spread["n"] else "none"


def _save(figure: Any, path: Path) -> None:
    temporary = path.with_suffix(".tmp.png")
    figure.savefig(temporary, dpi=110)
    temporary.replace(path)
