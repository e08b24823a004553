"""The page of formulas and its figure from what `formulas.py` and `formulas_precessing.py` wrote.

python benchmarks/formulas_card.py [--results benchmarks/results] [--page docs/models/formulas.md]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
from formulas import RIVAL, TARGETS
from formulas_precessing import SLACK

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parents[1]
STYLES = ("--", ":", "-.", (0, (5, 1)))
PRECESSING = "Final spin with spins in any direction"
Report = dict[str, Any]


def code_of(target: str) -> str:
    """The catalogue whose errors are shown."""
    return "RIT" if target == "peak_luminosity" else "SXS"


def figure(aligned: Report, precessing: Report, path: Path) -> None:
    """Held-out error against length for each target, published fits as horizontal lines."""
    drawn, axes = plt.subplots(2, 2, figsize=(10, 8), constrained_layout=True)
    parts = [(f"{target.replace('_', ' ')}, aligned", code_of(target), aligned["targets"][target]) for target in TARGETS]
    parts.append(("final spin, precessing", "SXS", precessing))
    for axis, (title, code, part) in zip(axes.flat, parts, strict=True):
        lengths = [member["length"] for member in part["front"]]
        axis.plot(lengths, [member["held_out"][code]["rms"] for member in part["front"]], "ko-", label="formulas, RMS")
        for (name, fit), style in zip(part["published"].items(), STYLES, strict=False):
            axis.axhline(fit["held_out"][code]["rms"], color="0.4", ls=style, label=f"{name}, RMS")
        if "retrained" in part:
            axis.axhline(part["retrained"]["held_out"][code]["rms"], color="k", lw=1, label="gw.load_remnant(), held out, RMS")
        axis.set(yscale="log", xlabel="length (nodes)", ylabel="error (dimensionless)", title=f"{title} ({code}, held out)")
        axis.legend(fontsize=8)
    temporary = path.with_suffix(".tmp.png")
    drawn.savefig(temporary, dpi=110)
    temporary.replace(path)
    plt.close(drawn)


def cells(errors: dict[str, float]) -> str:
    """RMS, median and largest error as cells of a table."""
    return f"{errors['rms']:.1e} | {errors['median']:.1e} | {errors['max']:.1e} |"


def aligned_section(report: Report, target: str) -> list[str]:
    """Front and published fits of one target."""
    part, code = report["targets"][target], code_of(target)
    lines = ["", f"## {target.replace('_', ' ').capitalize()}: {part['form']}", ""]
    lines += [f"| f | length | constants | RMS error, held-out {code} runs | median | largest |", "|---" * 6 + "|"]
    for member in part["front"]:
        lines.append(f"| `{member['formula']}` | {member['length']} | {member['constants']} | {cells(member['held_out'][code])}")
    for name, fit in part["published"].items():
        lines.append(f"| {name} (published) | | {fit['constants'] or ''} | {cells(fit['held_out'][code])}")
    return [*lines, "", f"{part['n_test'][code]} held-out {code} runs, {part['n_train']} for training."]


def precessing_section(part: Report, along: Report) -> list[str]:
    """The same for precessing binaries, with the retrained model; `along` is the member that gives f."""
    members, chosen = part["front"], part["front"][part["chosen"]]
    theirs = min(fit["held_out"]["SXS"]["rms"] for fit in part["published"].values())
    one = next(member for member in members if member["constants"] == 1)
    ours = part["retrained"]["held_out"]["SXS"]
    gain = part["spins to merger"]
    changes = ", ".join(f"{name} {gain['given'][name]:.1e} and {gain['evolved'][name]:.1e}" for name in gain["given"])
    runs = f"{part['n_test']['SXS']} SXS runs, {part['n_test']['RIT']} RIT runs"
    lines = [
        "",
        f"## {PRECESSING}",
        "",
        f"`{part['form']}`",
        "",
        "- f is the aligned formula shown first above, of the spins' components along L; S_i = m_i^2 chi_i without its part along",
        "  L, at the catalogues' reference times; u = 2 S_1 . S_2 / (|S_1|^2 + |S_2|^2), from -1 (opposite) to 1 (equal).",
        "- The square root alone is spin plus orbital angular momentum along L (g = 0), which is how the aligned fits UIB2016 and",
        "  HL2016 are extended to precession. g is what the search adds.",
        "- Without spins in the plane: the aligned formula, exactly. Exchange of the bodies and turns about L change nothing. As",
        "  eta tends to 0: |chi1|.",
        f"- Shortest within {100 * SLACK:.0f} % of the best (on the training runs): g = `{chosen['formula']}`.",
        f"- One constant, g = `{one['formula']}`, leaves an RMS error of {one['held_out']['SXS']['rms']:.1e} on held-out SXS runs;",
        f"  the best of the published fits {theirs:.1e}; `gw.load_remnant()`, trained anew without them, {ours['rms']:.1e}.",
        "- Longer formulas stay at that error, as does the model.",
        "",
        f"Length and constants are those of g; f adds {along['length']} and {along['constants']}.",
        "",
        "| g | length | constants | RMS error, held-out SXS runs | median | largest | RMS, RIT |",
        "|---" * 7 + "|",
    ]
    rows = [(f"`{m['formula']}`", m["length"], m["constants"], m["held_out"]) for m in members]
    rows += [(f"{name} (published)", "", fit["constants"] or "", fit["held_out"]) for name, fit in part["published"].items()]
    rows.append(("`gw.load_remnant()`, trained without them", "", "", part["retrained"]["held_out"]))
    lines += [
        f"| {name} | {length} | {constants} | {cells(held['SXS'])} {held['RIT']['rms']:.1e} |"
        for name, length, constants, held in rows
    ]
    return [
        *lines,
        "",
        f"Held out: {runs} in {part['clusters']['test']} clusters; {part['n_train']} runs in {part['clusters']['train']} clusters",
        f"for training; {part['clusters']['with aligned runs']} of the held-out clusters hold aligned runs, which f saw. "
        "Published fits saw many of the runs. They",
        "are given the spins that the formulas are given; parameter estimation evolves spins to merger before it uses such fits.",
        f"On the {gain['n']} RIT runs whose frequency is known that changes little:",
        changes,
        "(RMS, as given and evolved to r = 6 M). The table of SXS runs holds no frequency.",
        "",
        "Recoil of precessing binaries has no formula here: along L it goes as the cosine of an angle of the in-plane spins at",
        "merger, which no table holds, and only RIT runs have recoils. `gw.load_remnant()` gives the distribution over that angle.",
    ]


def page(aligned: Report, precessing: Report) -> str:
    """The documentation page: the front of each target beside published fits, on held-out runs."""
    lines = [
        "# Formulas for the remnant",
        "",
        "Short formulas found by symbolic regression (pyoperon) on cleaned SXS and RIT runs, simplified with sympy: three",
        f"quantities for aligned spins, and [the final spin of precessing binaries](#{PRECESSING.lower().replace(' ', '-')}).",
        "Errors are those on runs whose whole parameter cluster was held out",
        f"({aligned['held_out']}). Published fits are evaluated on",
        "the same runs, many of which they were made from. `benchmarks/formulas.py`, `formulas_precessing.py` and",
        "`formulas_card.py` repeat all of it.",
        "",
        f"The shortest that beat {RIVAL} (on the training runs):",
        "",
        *(
            f"- {target.replace('_', ' ')}: {part['form']}, f = `{part['front'][part['chosen']]['formula']}`"
            for target, part in aligned["targets"].items()
        ),
        "",
        "- m1 + m2 = 1, eta = m1 m2, chi_eff = m1 chi1 + m2 chi2, d = (m1 - m2) (chi1 - chi2) / 2,",
        "  s = m1^2 chi1 + m2^2 chi2; spins along the orbital angular momentum.",
        "- Exchange of the bodies changes none of these, hence no formula.",
        "- As eta tends to 0: final spin to chi1, final mass to M, luminosity to 0, for every formula.",
        "- Length counts the nodes of the expression for f. For aligned spins `gw.load_remnant()` is about ten times as accurate;",
        "  it covers general spins, recoil and errors, too.",
        "",
        "![Error against length](../../benchmarks/results/formulas.png)",
    ]
    for target in TARGETS:
        lines += aligned_section(aligned, target)
    spin = aligned["targets"]["final_spin"]
    lines += precessing_section(precessing, spin["front"][spin["chosen"]])
    lines += [
        "",
        "Published: UIB2016: Jimenez-Forteza et al. (arXiv:1611.00332), peak luminosity Keitel et al. (arXiv:1612.09566);",
        "HBR2016: Hofmann, Barausse & Rezzolla (arXiv:1605.01938); HL2016: Healy & Lousto (arXiv:1610.09713); all from",
        "lalinference's nrutils. NRSur7dq4Remnant (Varma et al., arXiv:1905.09300), which has spins in any direction, was not",
        "compared: its coefficients come in a file of their own.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "models" / "formulas.md")
    args = parser.parse_args()
    aligned, precessing = (json.loads((args.results / f"formulas{which}.json").read_text()) for which in ("", "_precessing"))
    figure(aligned, precessing, args.results / "formulas.png")
    args.page.write_text(page(aligned, precessing))


if __name__ == "__main__":
    main()
