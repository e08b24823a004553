"""Figure of glitches that were integrated along with a signal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.plot.figure import panels
from gwsurrogate_ml.plot.style import DATA_COLOUR, RC, detector_colour, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def glitches(bands: Mapping[str, Mapping[str, Any]], gps: float) -> Figure:
    """Whitened data less the signal, and the glitch, over time; a row for each detector.

    Parameters
    ----------
    bands : mapping from detector to a mapping
        as `result.glitches.bands` returns them: `time` (n,), GPS s, `data` (n,), `glitch` (3, n), `probability`
    gps : float, s
        zero of the axis

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    with matplotlib.rc_context(RC):
        figure, axes = panels(len(bands), height=2.3)
        for axis, (name, band) in zip(axes, bands.items(), strict=True):
            t, (low, middle, high) = np.asarray(band["time"]) - gps, band["glitch"]
            axis.plot(t, band["data"], color=DATA_COLOUR, lw=0.6, label="data less signal")
            axis.fill_between(t, low, high, color=detector_colour(name), alpha=0.35, lw=0, label="glitch, 90 %")
            axis.plot(t, middle, color=detector_colour(name), lw=0.9, label="median")
            axis.set(
                title=f"{name}, probability of a glitch {band['probability']:.2g}",
                ylabel="whitened strain [sigma]",
                xlim=(t[0], t[-1]),
            )
        legend(axes[0], loc="best", fontsize=8)
        axes[-1].set_xlabel(f"time from GPS {gps:.3f} [s]")
    return figure
