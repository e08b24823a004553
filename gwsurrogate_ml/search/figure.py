"""The figure of a search: how many coincidences are as loud as a given ranking, found and expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.plot.figure import panels
from gwsurrogate_ml.plot.style import BLACK, BLUE, GREY, RC, VERMILLION, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gwsurrogate_ml.search.coincidence import Background


def ranking(events: np.ndarray, background: Background, exclusive: Background, live_time: float) -> Figure:
    """Cumulative number of zero-lag coincidences over the ranking statistic, with what slides let one expect.

    Parameters
    ----------
    events : float (n,), rankings of the zero-lag coincidences
    background, exclusive : Background, of all triggers, and without those of the loudest events
    live_time : float, s, of the zero lag; the background is scaled to it

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    with matplotlib.rc_context(RC):
        figure, (axes,) = panels(1, height=3.6)
        for found, colour, style, label in (
            (background, GREY, "-", "time slides, all triggers"),
            (exclusive, BLUE, "--", "time slides, without the loudest events' triggers"),
        ):
            if found.rankings.size:
                x, expected = found.rankings[::-1], np.arange(1, found.rankings.size + 1) * live_time / found.time
                axes.step(x, expected, where="pre", color=colour, linestyle=style, label=label)
        loud = np.sort(np.asarray(events))[::-1]
        count = np.arange(1, loud.size + 1)
        axes.plot(loud, count, linestyle="none", marker="^", markersize=5, color=VERMILLION, label="zero lag")
        if background.time > 0:
            axes.axhline(live_time / background.time, color=BLACK, linewidth=0.7, linestyle=":")
            axes.annotate(
                f"one coincidence in all {background.n_slides} slides",
                (1.0, live_time / background.time),
                xycoords=("axes fraction", "data"),
                xytext=(-4, 3),
                textcoords="offset points",
                ha="right",
                fontsize=8.5,
            )
        axes.set_yscale("log")
        axes.set_xlabel(r"ranking statistic, $(\hat\rho_1^2 + \hat\rho_2^2)^{1/2}$ of the re-weighted SNRs")
        axes.set_ylabel(f"coincidences at least as loud in {live_time:.0f} s")
        legend(axes, loc="upper right")
    return figure
