"""Figures of the precessing surrogate's page from what `precessing_accuracy.py` wrote, with the same truths.

python benchmarks/precessing_card.py --truth TRUTH.npz --beyond BEYOND [--model nrphm] [--docs docs]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from precessing_accuracy import INCLINATIONS, MODES, of_set, ours
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize

import gwsurrogate_ml as gw
from gwsurrogate_ml.plot import style
from gwsurrogate_ml.plot.figure import panels
from gwsurrogate_ml.surrogate.precessing import train
from gwsurrogate_ml.waveform.polarizations import harmonics

matplotlib.use("Agg")
import matplotlib.pyplot as plt

Arrays = dict[str, np.ndarray]
SETS = (("nrphm", "NRSur7dq2"), ("nrphm, q from 2 to 6", "SEOBNRv5PHM"))


def precessing_spin(p: np.ndarray) -> np.ndarray:
    """chi_p (N,) of parameters (N, 7): Schmidt et al. 2015, arXiv:1408.1810, equation 3.4."""
    q, flat_1, flat_2 = p[:, 0], np.hypot(p[:, 1], p[:, 2]), np.hypot(p[:, 4], p[:, 5])
    return np.maximum(flat_1, (4 + 3 * q) / (4 * q + 3) / q * flat_2)


def space(found: dict[str, Any], truths: list[Arrays], path: Path) -> None:
    """Mismatch at M = 70 over mass ratio and chi_p, the worst inclination of each binary; quantiles over inclination."""
    with matplotlib.rc_context(style.RC):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.7), layout="constrained", width_ratios=[1.4, 1])
        for (name, source), truth, colour in zip(SETS, truths, (style.BLUE, style.VERMILLION), strict=True):
            p, values = truth["parameters"], np.array(found["mismatch"][name]["70"]).reshape(-1, len(INCLINATIONS))
            worst = values.max(axis=1)
            order, size = np.argsort(worst), np.log10(worst)
            colours = left.scatter(
                p[order, 0],
                precessing_spin(p)[order],
                c=size[order],
                s=np.interp(size[order], [-6, -2.5], [8, 55]),
                cmap="viridis_r",
                vmin=-5.5,
                vmax=-2.5,
                edgecolors="0.3",
                linewidths=0.3,
            )
            degrees = np.degrees(INCLINATIONS)
            for level, line in ((0.5, "-"), (0.9, "--"), (1.0, ":")):
                label = f"{source}: {'largest' if level == 1 else 'median' if level == 0.5 else '90 %'}"
                right.plot(degrees, np.quantile(values, level, axis=0), line, color=colour, marker="o", ms=3, label=label)
        left.set(xlabel="$q$", ylabel=r"$\chi_\mathrm{p}$", xscale="log", xticks=[1, 2, 3, 4, 6], xticklabels=[1, 2, 3, 4, 6])
        left.minorticks_off()
        figure.colorbar(colours, ax=left, label="log$_{10}$ mismatch, worst inclination")
        right.set(xlabel="inclination at the reference [°]", ylabel=r"mismatch at $70\,M_\odot$", yscale="log", xticks=degrees)
        style.legend(right, fontsize=7)
        figure.savefig(path)
        plt.close(figure)


def worst(found: dict[str, Any], truths: list[Arrays], model: Any, path: Path) -> None:
    """h_plus of the two worst binaries of each set, edge-on, over the last 700 M: truth, surrogate, difference."""
    t = np.arange(-700.0, 80.0, 0.5)
    orders = np.array([m for _, m in MODES])[:, None]
    y = np.array([harmonics([(l, abs(m))], np.pi / 2, np.pi / 2)[0, int(m < 0)] for l, m in MODES])[:, None]
    with matplotlib.rc_context(style.RC):
        figure, axes = panels(4, height=1.6, width=8.6)
        rows = iter(axes)
        for (name, source), truth in zip(SETS, truths, strict=True):
            values = np.array(found["mismatch"][name]["70"]).reshape(-1, len(INCLINATIONS)).max(axis=1)
            for i in np.argsort(values)[::-1][:2]:
                p, ax = truth["parameters"][i], next(rows)
                modes = ours(model, p, truth["times"])
                made = CubicSpline(truth["times"], np.stack([modes[mode] for mode in MODES]), axis=1)
                true = np.sum(y * CubicSpline(truth["times"], truth["modes"][i], axis=1)(t), axis=0)

                def seen(x: np.ndarray, made: CubicSpline = made) -> np.ndarray:
                    return np.asarray(np.sum(y * np.exp(1j * orders * x[0]) * made(t + x[1]), axis=0) * np.exp(1j * x[2]))

                def loss(x: np.ndarray, true: np.ndarray = true, seen: Any = seen) -> float:
                    return float(np.linalg.norm(seen(x) - true))

                start = [minimize(loss, [0.0, 0.0, turn], method="Nelder-Mead") for turn in (0.0, np.pi)]
                h = seen(min(start, key=lambda s: s.fun).x)
                ax.plot(t, true.real, color=style.GREY, lw=3, label="truth")
                ax.plot(t, h.real, color=style.BLUE, lw=1, label="nrphm")
                ax.plot(t, 10 * (h - true).real, color=style.VERMILLION, lw=0.8, ls=":", label="10 × difference")
                ax.set_title(
                    f"{source}: $q$ = {p[0]:.2f}, $\\chi_1$ = ({p[1]:.2f}, {p[2]:.2f}, {p[3]:.2f}), "
                    f"$\\chi_2$ = ({p[4]:.2f}, {p[5]:.2f}, {p[6]:.2f}), mismatch {values[i]:.1e}"
                )
                ax.set_ylabel("$r h_+ / M$")
        axes[-1].set_xlabel("$t$ [M]")
        style.legend(axes[0], loc="upper left", ncols=3)
        figure.savefig(path)
        plt.close(figure)


def error(found: dict[str, Any], path: Path) -> None:
    """True white-noise mismatches beside the bounds that the model gives for them."""
    with matplotlib.rc_context(style.RC):
        figure, ax = plt.subplots(figsize=(4.8, 4.0), layout="constrained")
        colours = style.BLUE, style.VERMILLION, style.GREEN
        for (name, rows), colour in zip(found["error_true_expected_bound"].items(), colours, strict=True):
            true, _, bound = np.array(rows).T
            ax.loglog(bound, true, "o", ms=3, color=colour, alpha=0.7, label=f"q {name}: {np.mean(true < bound):.0%} below")
        ends = np.array([1e-7, 1e-1])
        ax.plot(ends, ends, color="0.4", lw=1)
        ax.set(xlabel="90 % bound", ylabel="true mismatch, all modes, white noise", xlim=(1e-6, 3e-2), ylim=(1e-7, 3e-2))
        style.legend(ax)
        figure.savefig(path)
        plt.close(figure)


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--beyond", type=Path, required=True)
    parser.add_argument("--model", default="nrphm")
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    args = parser.parse_args()
    with np.load(args.truth) as file:
        near = dict(file)
    beyond = train.read(args.beyond)
    truths = [near, {"parameters": beyond["parameters"], "times": near["times"], "modes": of_set(beyond, near["times"])}]
    found = json.loads((Path(__file__).parent / "results" / "precessing_accuracy.json").read_text(encoding="utf-8"))
    images = args.docs / "images"
    space(found, truths, images / f"{args.model}_space.png")
    worst(found, truths, gw.load_surrogate(args.model), images / f"{args.model}_worst.png")
    error(found, images / f"{args.model}_error_estimate.png")


if __name__ == "__main__":
    main()
