"""The figure that every plotting function makes: drawn in the package's style whenever that happens."""

from __future__ import annotations

from typing import Any

import matplotlib
from matplotlib.figure import Figure

from gwsurrogate_ml.plot.style import RC


class StyledFigure(Figure):
    """matplotlib's Figure under the settings `style.RC` while it is drawn, not only while it is made.

    matplotlib makes ticks and their labels when a figure is drawn, after the plotting function has returned: without this
    a reader's own settings would reach them, and LaTeX where their matplotlibrc asks for it.
    """

    def draw(self, renderer: Any) -> None:
        """Draw with `renderer`, as matplotlib's."""
        with matplotlib.rc_context(RC):
            super().draw(renderer)

    def get_tightbbox(self, renderer: Any = None, *, bbox_extra_artists: Any = None) -> Any:
        """Bounds in inches that ``bbox_inches="tight"`` cuts to, as matplotlib's."""
        with matplotlib.rc_context(RC):
            return super().get_tightbbox(renderer, bbox_extra_artists=bbox_extra_artists)
