"""Figure of calibration and waveform errors: what was believed of the curves before, and what the event says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.plot.figure import StyledFigure
from gwsurrogate_ml.plot.style import DATA_COLOUR, RC, detector_colour, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curves(bands: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Amplitude and phase over frequency, a row for each detector.

    Parameters
    ----------
    bands : mapping from detector, or "waveform", to a mapping of arrays
        `frequency` (n,) in Hz, and `amplitude`, `phase` (rad), `prior_amplitude`, `prior_phase`, each (3, n): lower end, median and
        upper end of a 90 % band

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    with matplotlib.rc_context(RC):
        figure = StyledFigure(figsize=(7.6, 2.1 * len(bands) + 0.6), layout="constrained")
        axes = figure.subplots(len(bands), 2, squeeze=False, sharex=True, sharey="col")
        for row, (name, band) in zip(axes, bands.items(), strict=True):
            for axis, kind, scale, label in zip(
                row, ("amplitude", "phase"), (100.0, np.degrees(1.0)), ("amplitude error [%]", "phase error [deg]"), strict=True
            ):
                f = band["frequency"]
                low, middle, high = scale * np.asarray(band[f"prior_{kind}"])
                axis.fill_between(f, low, high, color=DATA_COLOUR, alpha=0.25, lw=0, label="prior, 90 %")
                axis.plot(f, middle, color=DATA_COLOUR, lw=0.8, ls=":")
                low, middle, high = scale * np.asarray(band[kind])
                axis.fill_between(f, low, high, color=detector_colour(name), alpha=0.35, lw=0, label="posterior, 90 %")
                axis.plot(f, middle, color=detector_colour(name), lw=1.1, label="median")
                axis.set(xscale="log", ylabel=label, title=name, xlim=(f[0], f[-1]))
        legend(axes[0, 0], loc="best", fontsize=8)
        for axis in axes[-1]:
            axis.set_xlabel("frequency [Hz]")
    return figure
