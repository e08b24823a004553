"""Figures of a validation: P-P curves, coverage of random regions, efficiency over the prior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.plot.style import BLACK, BLUE, GREY, RC, VERMILLION, axis_label, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DASHES = ("-", "--", "-.", ":")


def pp(ranks: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Share of events whose truth lies below each credible level, one panel a kind of posterior.

    Parameters
    ----------
    ranks : mapping from the panel's title to a mapping from parameter to (n,) ranks in [0, 1]
        the grey band holds 90 % of the curves of uniform ranks at each level
    """
    import matplotlib
    from scipy.stats import binom

    from gwsurrogate_ml.plot.figure import StyledFigure

    with matplotlib.rc_context(RC):
        figure = StyledFigure(figsize=(4.6 * len(ranks), 4.6), layout="constrained")
        axes = figure.subplots(1, len(ranks), squeeze=False)[0]
        level = np.linspace(0, 1, 201)
        for panel, (title, by_parameter) in zip(axes, ranks.items(), strict=True):
            n = len(next(iter(by_parameter.values())))
            low, high = (binom.ppf(q, n, level) / n for q in (0.05, 0.95))
            panel.fill_between(level, low, high, color="#e0e0e0", lw=0)
            colours = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(by_parameter)))
            for i, (name, rank) in enumerate(by_parameter.items()):
                share = np.searchsorted(np.sort(rank), level, side="right") / n
                label = axis_label(name).split(" [")[0]
                panel.plot(level, share, color=colours[i], ls=_DASHES[i % 4], label=label)
            panel.plot([0, 1], [0, 1], color=BLACK, lw=0.8)
            panel.set(xlabel="credible level", ylabel="share of events", title=f"{title}, {n} events")
            legend(panel, ncols=2, fontsize=8)
    return figure


def tarp(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], n: int) -> Figure:
    """Expected coverage against credibility of random regions.

    Parameters
    ----------
    curves : mapping from label to (credibility, coverage)
    n : int
        events behind each curve, for the band
    """
    import matplotlib
    from scipy.stats import binom

    from gwsurrogate_ml.plot.figure import StyledFigure

    with matplotlib.rc_context(RC):
        figure = StyledFigure(figsize=(4.8, 4.6), layout="constrained")
        panel = figure.subplots()
        level = np.linspace(0, 1, 201)
        panel.fill_between(level, binom.ppf(0.05, n, level) / n, binom.ppf(0.95, n, level) / n, color="#e0e0e0", lw=0)
        for (label, (alpha, coverage)), colour, dash in zip(curves.items(), (BLUE, VERMILLION), _DASHES, strict=False):
            panel.plot(alpha, coverage, color=colour, ls=dash, label=label)
        panel.plot([0, 1], [0, 1], color=BLACK, lw=0.8)
        panel.set(xlabel="credibility", ylabel="expected coverage", title="TARP")
        legend(panel)
    return figure


def efficiency(measured_snr: np.ndarray, network_efficiency: np.ndarray, pareto_k: np.ndarray) -> Figure:
    """Efficiency of the network's proposal against the measured network SNR; Pareto k above 0.7 is marked."""
    import matplotlib

    from gwsurrogate_ml.plot.figure import StyledFigure

    bad = np.asarray(pareto_k) > 0.7
    with matplotlib.rc_context(RC):
        figure = StyledFigure(figsize=(6.0, 4.2), layout="constrained")
        panel = figure.subplots()
        for chosen, colour, marker, label in ((~bad, BLUE, "o", "Pareto k below 0.7"), (bad, VERMILLION, "x", "above")):
            panel.plot(measured_snr[chosen], network_efficiency[chosen], marker, color=colour, ms=4, label=label)
        panel.axhline(float(np.median(network_efficiency)), color=GREY, lw=0.8, ls="--", label="median")
        panel.set(xscale="log", yscale="log", xlabel="measured network SNR", ylabel="efficiency of the network")
        legend(panel)
    return figure
