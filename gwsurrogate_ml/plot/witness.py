"""Figures of a witness cleaner's report: which samples were cleaned, and parameters estimated before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.plot.figure import panels
from gwsurrogate_ml.plot.style import BLACK, BLUE, DATA_COLOUR, RC, VERMILLION, axis_label, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_POINTS, MAX_MEANS = 4000, 256


def timeline(
    strain: np.ndarray,
    clean: np.ndarray,
    weight: np.ndarray,
    missing: np.ndarray,
    sampling_frequency: float,
    start_time: float,
) -> Figure:
    """Raw and cleaned strain over time, with gaps left open, and what was done with every stretch.

    Parameters
    ----------
    strain, clean : (n,) float64
        whitened or band-passed, in units of the raw strain's standard deviation; NaN where there is none
    weight : (n,) float64
        0 passed through, 1 cleaned
    missing : (n,) bool
        there are no data
    sampling_frequency : float, Hz
    start_time : float, GPS s

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    step = max(1, strain.size // MAX_POINTS)
    n = strain.size // step * step
    t = np.arange(n // step) * step / sampling_frequency
    gone = np.asarray(missing[:n].reshape(-1, step).any(axis=1))
    cleaned = weight[:n].reshape(-1, step).min(axis=1)
    with matplotlib.rc_context(RC):
        figure, (top, bottom) = panels(2, height=1.7, height_ratios=(3, 1))
        for values, colour, label in ((strain, DATA_COLOUR, "raw"), (clean, BLUE, "cleaned")):
            width = max(1, strain.size // MAX_MEANS)
            rows = values[: strain.size // width * width].reshape(-1, width)
            spread = np.sqrt(np.mean(rows**2, axis=1))  # NaN where a sample is missing: the line breaks
            middle = (np.arange(len(rows)) + 0.5) * width / sampling_frequency
            top.plot(middle, spread, color=colour, lw=1.2, label=label)
        top.set_ylabel("rms, relative to\nthe raw strain's")
        top.set_ylim(0.0, 1.25 * top.get_ylim()[1])
        legend(top, loc="upper right", ncols=2)
        states = (
            ((cleaned == 1.0) & ~gone, BLUE, "subtracted"),
            ((cleaned < 1.0) & ~gone, DATA_COLOUR, "as it was"),
        )
        for level, (mask, colour, label) in enumerate((*states, (gone, VERMILLION, "no data"))):
            bottom.fill_between(t, 2.6 - level, 3.4 - level, where=mask, color=colour, step="mid", lw=0.5)
            bottom.text(-0.01, 3.0 - level, label, transform=bottom.get_yaxis_transform(), ha="right", va="center", fontsize=9)
        bottom.set_ylim(0.4, 3.6)
        bottom.set_yticks([])
        bottom.set_xlim(0.0, strain.size / sampling_frequency)
        bottom.set_xlabel(f"time from GPS {start_time:.3f} [s]")
    return figure


def before_and_after(injections: Sequence[Mapping[str, Any]], parameters: Sequence[str]) -> Figure:
    """90 % intervals and medians from raw and from cleaned strain beside the truth, one panel a parameter.

    Parameters
    ----------
    injections : sequence of {"injected": {...}, "raw": {parameter: {"lower_90", "median", "upper_90"}}, "cleaned": {...}}
    parameters : sequence of str

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    from gwsurrogate_ml.plot.figure import StyledFigure

    with matplotlib.rc_context(RC):
        figure = StyledFigure(figsize=(7.6, 0.55 * len(injections) + 1.5), layout="constrained")
        axes = figure.subplots(1, len(parameters), sharey=True)
        for axis, key in zip(np.atleast_1d(axes), parameters, strict=True):
            for row, entry in enumerate(injections):
                for name, colour, marker, offset in (("raw", DATA_COLOUR, "s", 0.16), ("cleaned", BLUE, "o", -0.16)):
                    span = entry[name][key]
                    y = len(injections) - row + offset
                    axis.plot([span["lower_90"], span["upper_90"]], [y, y], color=colour, lw=2.2)
                    axis.plot(span["median"], y, marker, color=colour, ms=4.5, label=name if row == 0 else None)
                truth = entry["injected"][key]
                y = len(injections) - row
                axis.plot([truth, truth], [y - 0.34, y + 0.34], color=BLACK, lw=1.0, label="injected" if row == 0 else None)
            axis.set_xlabel(axis_label(key))
            axis.grid(axis="y", visible=False)
        first = np.atleast_1d(axes)[0]
        first.set_yticks([len(injections) - row for row in range(len(injections))])
        first.set_yticklabels([f"{row + 1}" for row in range(len(injections))])
        first.set_ylabel("injection")
        handles, labels = first.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3)
    return figure
