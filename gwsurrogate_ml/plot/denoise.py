"""Figures of denoising: amplitude spectral densities before and after, beside the optimum; scores of several cleaners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.plot.figure import panels
from gwsurrogate_ml.plot.style import BLACK, BLUE, DATA_COLOUR, GREEN, ORANGE, RC, VERMILLION, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLES = ((BLUE, "-"), (VERMILLION, "--"), (GREEN, "-."), (ORANGE, ":"))


def cleaning(
    frequencies: np.ndarray,
    raw: np.ndarray,
    cleaned: Mapping[str, np.ndarray],
    optimal: np.ndarray | None = None,
    band: tuple[float, float] = (10.0, 300.0),
    title: str = "",
) -> Figure:
    """ASD before and after cleaning, and the ratio of the two.

    Parameters
    ----------
    frequencies : (n_f,) Hz
    raw : (n_f,) one-sided PSD, 1/Hz
    cleaned : mapping from label to PSD (n_f,), at most four
    optimal : (n_f,) PSD of the best possible cleaning, where known
    band : (low, high), Hz, shown
    title : str

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    use = (frequencies >= band[0]) & (frequencies <= band[1])
    f = frequencies[use]
    with matplotlib.rc_context(RC):
        figure, (top, bottom) = panels(2, height=2.6)
        top.loglog(f, np.sqrt(raw[use]), color=DATA_COLOUR, lw=1.6, label="raw")
        for (label, psd), (colour, style) in zip(cleaned.items(), STYLES, strict=False):
            top.loglog(f, np.sqrt(psd[use]), color=colour, ls=style, label=label)
            bottom.semilogx(f, np.sqrt(psd[use] / raw[use]), color=colour, ls=style, label=label)
        if optimal is not None:
            top.loglog(f, np.sqrt(optimal[use]), color=BLACK, lw=0.8, ls=(0, (1, 1)), label="optimum")
            bottom.semilogx(f, np.sqrt(optimal[use] / raw[use]), color=BLACK, lw=0.8, ls=(0, (1, 1)), label="optimum")
        top.set_ylabel(r"ASD [$1/\sqrt{\mathrm{Hz}}$]")
        top.set_title(title)
        legend(top, loc="upper right", ncols=2)
        bottom.axhline(1.0, color=BLACK, lw=0.6)
        bottom.set_ylabel("ASD after / before")
        bottom.set_xlabel("frequency [Hz]")
        bottom.set_ylim(0.0, 1.4)
        ticks = [tick for tick in (10, 20, 30, 50, 100, 200, 300, 500, 1000) if band[0] <= tick <= band[1]]
        bottom.set_xticks(ticks, [str(tick) for tick in ticks])
        bottom.set_xlim(*band)
        bottom.minorticks_off()
    return figure


def scores(values: Mapping[str, float], target: float | None = None, title: str = "") -> Figure:
    """Fraction of the attainable log-gain in SNR that each cleaner achieves, as bars with the numbers beside them.

    Parameters
    ----------
    values : mapping from cleaner to score
    target : float, optional, marked by a line
    title : str

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    names: Sequence[str] = list(values)
    with matplotlib.rc_context(RC | {"axes.grid": False}):
        figure, (axis,) = panels(1, height=0.42 * len(names) + 0.7)
        heights = np.array([values[name] for name in names])
        axis.barh(np.arange(len(names))[::-1], heights, color=BLUE, height=0.62)
        for y, value in zip(np.arange(len(names))[::-1], heights, strict=True):  # to the right of a negative bar, too
            axis.annotate(f"{value:.3f}", (max(value, 0.0), y), xytext=(3, 0), textcoords="offset points", va="center", fontsize=9)
        axis.set_yticks(np.arange(len(names))[::-1], names)
        axis.axvline(1.0, color=BLACK, lw=0.8)
        if target is not None:
            axis.axvline(target, color=VERMILLION, lw=0.9, ls="--")
        axis.set_xlim(min(0.0, 1.1 * heights.min()), 1.18 * max(1.0, heights.max()))
        axis.set_xlabel("fraction of the attainable log-gain in SNR")
        axis.set_title(title)
    return figure


def reconstruction(
    panels_by_detector: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]],
    gps: float,
    window: tuple[float, float] = (-0.2, 0.08),
) -> Figure:
    """Denoised signal with its one-sigma band over the whitened strain and a posterior's waveforms, one panel a detector.

    Parameters
    ----------
    panels_by_detector : mapping from detector to (time from `gps` in s, whitened strain, signal, sigma, each (n,), and
        None or (3, n): 5 %, best fit and 95 % of a posterior's waveforms)
    gps : float, GPS s
    window : (start, end), s from `gps`

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    with matplotlib.rc_context(RC):
        figure, axes = panels(len(panels_by_detector), height=2.1)
        for axis, (detector, (t, white, signal, sigma, reference)) in zip(axes, panels_by_detector.items(), strict=True):
            use = (t >= window[0]) & (t <= window[1])
            axis.plot(t[use], white[use], color=DATA_COLOUR, lw=0.7, label="whitened strain")
            band = (signal[use] - sigma[use], signal[use] + sigma[use])
            axis.fill_between(t[use], *band, color=BLUE, alpha=0.35, lw=0, label="68 % band")
            axis.plot(t[use], signal[use], color=BLUE, label="denoised")
            if reference is not None:
                low, best, high = (curve[use] for curve in reference)
                axis.fill_between(t[use], low, high, color=ORANGE, alpha=0.45, lw=0, label="posterior, 90 %")
                axis.plot(t[use], best, color=BLACK, lw=0.9, ls="--", label="best-fit waveform")
            axis.set_title(detector)
            axis.set_ylabel("whitened strain [sigma]")
            axis.margins(x=0)
        legend(axes[0], loc="upper left", ncols=2)
        axes[-1].set_xlabel(f"time from GPS {gps:.3f} [s]")
    return figure
