"""The signal denoisers' figures of merit in one picture."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from gwsurrogate_ml.plot.style import BLACK, BLUE, GREEN, RC, VERMILLION

COLOURS = (BLUE, VERMILLION)
KIND_LINES = {"sine-Gaussian": "-", "blip": "--", "whistle": ":"}


def summary(results: dict[str, dict[str, Any]], targets: dict[str, float]) -> Figure:
    """Overlap, amplitude error and coverage over SNR, and how often glitches are taken for binaries."""
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(9.0, 6.4), layout="constrained")
        (overlap, amplitude), (coverage, taken) = figure.subplots(2, 2)
        names = list(targets)
        x = np.arange(len(names), dtype=float)
        for i, (model, result) in enumerate(results.items()):
            rows = [result[name] for name in names]
            place = x + 0.16 * (i - 0.5 * (len(results) - 1))
            middle = np.array([row["overlap_median"] for row in rows])
            span = np.abs(np.array([[row["overlap_p10"], row.get("overlap_p90", np.nan)] for row in rows]).T - middle)
            style = {"color": COLOURS[i % 2], "marker": "os"[i % 2], "ls": "none", "label": model}
            overlap.errorbar(place, middle, yerr=span, capsize=3, **style)
            amplitude.plot(place, [100 * row["amplitude_error_median"] for row in rows], **style)
            coverage.plot(place, [100 * row["coverage_68"] for row in rows], **style)
            for kind, line in KIND_LINES.items():
                found = result["glitches"].get(kind, {})
                snrs = [float(name.split()[1]) for name in found]
                rates = [100 * row["reconstructed_as_binary"] for row in found.values()]
                taken.plot(snrs, rates, **(style | {"ls": line, "lw": 1.2, "ms": 4, "label": None}))
        for kind, line in KIND_LINES.items():
            taken.plot([], [], color=BLACK, ls=line, lw=1.2, label=kind)
        first = next(iter(results.values()))
        bound = [first[name]["bound_overlap_median"] for name in names]
        overlap.plot(x, bound, color=BLACK, marker="_", ms=22, ls="none", label="true template")
        overlap.plot(x, [targets[name] for name in names], color=GREEN, marker="_", ms=22, ls="none", label="target")
        bound = [100 * first[name]["bound_amplitude_error_median"] for name in names]
        amplitude.plot(x, bound, color=BLACK, marker="_", ms=22, ls="none")
        amplitude.axhline(10.0, color=GREEN, lw=0.8)
        amplitude.set_ylim(0, None)
        coverage.axhspan(60.0, 76.0, color=GREEN, alpha=0.15, lw=0)
        coverage.axhline(68.3, color=BLACK, lw=0.6)
        coverage.set_ylim(40, 100)
        taken.set_ylim(-3, 103)
        overlap.set_ylabel("overlap: median, 10 to 90 %")
        amplitude.set_ylabel("median amplitude error [%]")
        coverage.set_ylabel("inside the 68 % band [%]")
        taken.set_ylabel("glitches taken for a binary [%]")
        taken.set_xlabel("SNR of the glitch")
        for axis in (overlap, amplitude, coverage):
            axis.set_xticks(x, names)
            axis.set_xlim(-0.5, len(names) - 0.5)
        overlap.legend(loc="lower right")
        taken.legend(loc="lower right", bbox_to_anchor=(1.0, 0.06))
    return figure
