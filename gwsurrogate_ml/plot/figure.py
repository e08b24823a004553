"""The figure that every plotting function makes: drawn in the package's style whenever that happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from gwsurrogate_ml.plot.style import RC


class StyledFigure(Figure):
    """matplotlib's Figure under the settings `style.RC` while it is drawn, not only while it is made.

    matplotlib makes ticks and their labels when a figure is drawn, after the plotting function has returned: without this
    a reader's own settings would reach them, and LaTeX where their matplotlibrc asks for it.
    """

    def __init__(self, *arguments: Any, layout: Any = None, **keywords: Any) -> None:
        # None is no layout, not the one of a reader's settings; a constrained one is made in `draw`.
        self._constrained = layout == "constrained"
        own: Any = "none" if layout is None or self._constrained else layout
        super().__init__(*arguments, layout=own, **keywords)
        self._arranged: tuple[Any, ...] | None = None

    def draw(self, renderer: Any) -> None:
        """Draw with `renderer`, as matplotlib's; a constrained layout is made where size, dpi or axes are new."""
        with matplotlib.rc_context(RC):
            now = (*self.get_size_inches(), self.dpi, *self.axes)
            if self._constrained and self.get_layout_engine() is None and now != self._arranged:
                ConstrainedLayoutEngine().execute(self)
                self._arranged = now
            super().draw(renderer)

    def get_tightbbox(self, renderer: Any = None, *, bbox_extra_artists: Any = None) -> Any:
        """Bounds in inches that ``bbox_inches="tight"`` cuts to, as matplotlib's."""
        with matplotlib.rc_context(RC):
            return super().get_tightbbox(renderer, bbox_extra_artists=bbox_extra_artists)


def panels(n_rows: int, height: float = 2.0, width: float = 7.6, **keywords: Any) -> tuple[Figure, Sequence[Axes]]:
    """A figure of stacked panels with a common time axis: (figure, list of `n_rows` axes).

    Parameters
    ----------
    n_rows : int, >= 1
    height, width : float, inches
        `height` of each panel, `width` of the figure
    **keywords
        passed to `Figure.subplots`
    """
    figure = StyledFigure(figsize=(width, height * n_rows + 0.6), layout="constrained")
    axes = figure.subplots(n_rows, 1, squeeze=False, **({"sharex": True} | keywords))
    return figure, list(axes[:, 0])
