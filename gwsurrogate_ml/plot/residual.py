"""Figure of what is left of the data when the best waveform is taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.plot.figure import panels
from gwsurrogate_ml.plot.style import BLACK, DATA_COLOUR, ORANGE, RC, detector_colour, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def residual(
    times: np.ndarray,
    residuals: Mapping[str, np.ndarray],
    signals: Mapping[str, np.ndarray],
    merger: Mapping[str, float],
    test: Mapping[str, Any] | None = None,
    window: tuple[float, float] = (-0.5, 0.3),
) -> Figure:
    """Whitened residual around the merger, a trace and its distribution for each detector.

    Parameters
    ----------
    times : (n,) float64, s
        on the clock of `merger`
    residuals, signals : mapping from detector to (n,) float64
        whitened residual, and the waveform taken away, in standard deviations of the noise
    merger : mapping from detector to float, s
    test : mapping, optional
        the residual test's result, whose tile is shaded: `detector`, `start`, `duration`, `f_low`, `f_high`, `p_value`
    window : (start, end), s
        stretch shown, from the merger

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    with matplotlib.rc_context(RC):
        figure, axes = panels(len(residuals), height=2.1, sharey=True)
        for axis, (detector, values) in zip(axes, residuals.items(), strict=True):
            at = np.asarray(times) - merger[detector]
            inside = (at >= window[0]) & (at <= window[1])
            axis.plot(at[inside], np.asarray(values)[inside], color=DATA_COLOUR, lw=0.6, label="residual")
            axis.plot(
                at[inside],
                np.asarray(signals[detector])[inside],
                color=detector_colour(detector),
                lw=0.9,
                label="waveform",
            )
            spread = float(np.std(np.asarray(values)[inside]))
            for level in (-3 * spread, 3 * spread):
                axis.axhline(level, color=BLACK, lw=0.6, ls=":")
            axis.set(ylabel=r"whitened strain [$\sigma$]", title=detector, xlim=window)
            if test and test["detector"] == detector and test["n_tiles"]:
                axis.axvspan(
                    test["start"],
                    test["start"] + test["duration"],
                    color=ORANGE,
                    alpha=0.25,
                    lw=0,
                    label=f"loudest tile, {test['f_low']:g} to {test['f_high']:g} Hz (p = {test['p_value']:.2g})",
                )
            legend(axis, loc="lower left", ncols=3, fontsize=8)
        axes[-1].set_xlabel("time from the merger in each detector [s]")
    return figure
