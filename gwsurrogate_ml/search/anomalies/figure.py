"""The figure of a candidate: whitened data and what the autoencoder makes of it, and where in frequency its power lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.plot.figure import panels
from gwsurrogate_ml.plot.style import BLACK, DATA_COLOUR, DETECTOR_COLOURS, GREY, RC, legend
from gwsurrogate_ml.search.anomalies.tiles import BLOCK, STEP, WINDOW, significances, tiles
from gwsurrogate_ml.search.anomalies.white import RATE, White

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gwsurrogate_ml.search.anomalies.model import AnomalyModel
    from gwsurrogate_ml.search.anomalies.pipeline import Anomalies

QUALITY = 8.0
"""Of the tiles that are drawn."""


def candidate(found: Anomalies, row: dict, model: AnomalyModel) -> Figure:
    """Two panels a detector, half a second about a candidate.

    Parameters
    ----------
    found : Anomalies
    row : one of `found.rows`
    model : AnomalyModel that found it
    """
    import matplotlib

    t = tiles()
    rows = np.flatnonzero((t.quality == QUALITY) & (t.length == 0) & (t.chirp == 0))
    with matplotlib.rc_context(RC):
        figure, axes = panels(2 * len(found.detectors), height=1.6)
        for d, (name, white) in enumerate(zip(found.detectors, found.white, strict=True)):
            window = _around(white, row["time"], WINDOW)
            burst = model.autoencoder.apply_to(window[None])[0][0]
            time = (np.arange(WINDOW) - WINDOW // 2) / RATE
            above, below = axes[2 * d], axes[2 * d + 1]
            above.plot(time, window, color=DATA_COLOUR, linewidth=0.7, label=f"{name}, whitened")
            above.plot(time, burst, color=DETECTOR_COLOURS.get(name, BLACK), label="the burst in it")
            above.set_ylabel("noise's s.d.")
            legend(above, loc="upper left")
            power = significances(_around(white, row["time"], BLOCK * RATE))[rows]
            middle, half = BLOCK * STEP // 2, WINDOW * STEP // RATE // 2
            piece = power[:, middle - half : middle + half]
            below.pcolormesh(
                (np.arange(2 * half) - half) / STEP, t.frequency[rows], piece, shading="nearest", vmin=0, rasterized=True
            )
            below.set_yscale("log")
            below.set_ylabel("Hz")
            below.grid(False)
            for edge in (row["low"], row["high"]):
                below.axhline(edge, color=GREY, linewidth=0.7, linestyle=":")
        axes[0].set_title(f"{row['rank']}: {row['nearest']}", loc="left")
        axes[-1].set_xlabel(f"seconds from GPS {row['time']:.3f}")
    return figure


def _around(white: White, time: float, n: int) -> np.ndarray:
    first = round((time - white.start) * RATE) - n // 2
    padded = np.pad(white.values, n)
    return np.asarray(padded[first + n : first + 2 * n])
