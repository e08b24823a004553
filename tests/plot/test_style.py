"""Figures are drawn alike whatever the reader's matplotlibrc asks for: LaTeX that is not installed, above all."""

from __future__ import annotations

import importlib
import inspect
import io
import os
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gwsurrogate_ml import plot
from gwsurrogate_ml.search.coincidence import Background

GPS, RATE = 1126259462.4, 1024.0


CURVES = ("amplitude", "phase", "prior_amplitude", "prior_phase")


def figures() -> dict[str, Callable[[Callable[..., Any]], Any]]:
    """By name of a plotting function, how it is called."""
    from gwpy.timeseries import TimeSeries

    rng = np.random.default_rng(0)
    noise = TimeSeries(rng.normal(size=8192), t0=GPS - 4, sample_rate=RATE)
    times = GPS + np.arange(-512, 512) / RATE
    wave = np.sin(100 * (times - GPS))
    bands = np.array([wave - 1, wave, wave + 1])
    f = np.linspace(10, 500, 200)
    spans = {name: {"chi_1": {"lower_90": 1.0, "median": 1.5, "upper_90": 2.0}} for name in ("raw", "cleaned")}
    background = Background(np.sort(rng.uniform(5, 8, 50)), 10, 1000.0)
    corner = {name: rng.normal(size=300) for name in plot.posterior.DEFAULT_CORNER}
    sky = rng.normal(0.0, 0.1, (2, 300))
    return {
        "strain": lambda draw: draw({"H1": noise}, GPS, (GPS - 1, GPS + 1)),
        "whitened": lambda draw: draw({"H1": noise}, GPS),
        "q_transform": lambda draw: draw({"H1": noise}, GPS, f_max=200.0),
        "snr": lambda draw: draw({"H1": noise}, GPS, {"H1": (GPS, 3.0)}),
        "waveform_band": lambda draw: draw(times, {"H1": wave}, {"H1": bands}, GPS),
        "polarizations": lambda draw: draw(noise, noise),
        "corner": lambda draw: draw(corner),
        "skymap": lambda draw: draw(*sky, truth=(1.0, 0.0)),
        "sky_probability": lambda draw: draw(*plot.sky_density(*sky)),
        "importance_weights": lambda draw: draw(rng.normal(size=300), 0.5, 0.1),
        "cleaning": lambda draw: draw(f, f**-2.0, {"here": f**-2.1}),
        "scores": lambda draw: draw({"here": 0.9}, 0.8),
        "reconstruction": lambda draw: draw({"H1": (times - GPS, wave, wave, 0.1 + 0 * wave, None)}, GPS),
        "timeline": lambda draw: draw(*rng.normal(size=(2, 64)), np.ones(64), np.zeros(64, bool), 1.0, GPS),
        "before_and_after": lambda draw: draw([{"injected": {"chi_1": 1.4}, **spans}], ("chi_1",)),
        "residual": lambda draw: draw(times, {"H1": wave}, {"H1": wave}, {"H1": GPS}),
        "curves": lambda draw: draw(
            {"H1": {"frequency": f, **dict.fromkeys(CURVES, np.stack([-0.1 + 0 * f, 0 * f, 0.1 + 0 * f]))}}
        ),
        "glitches": lambda draw: draw({"H1": {"time": times, "data": wave, "glitch": bands, "probability": 0.9}}, GPS),
        "pp": lambda draw: draw({"posterior": {"chi_1": rng.random(50)}}),
        "tarp": lambda draw: draw({"posterior": ([0.0, 1.0], [0.0, 1.0])}, 50),
        "efficiency": lambda draw: draw(*rng.random((3, 50))),
        "ranking": lambda draw: draw(rng.uniform(5, 9, 20), background, background, 100.0),
    }


def functions() -> dict[str, Callable[..., Any]]:
    """Every public function that returns a figure, by its name."""
    names = [f"gwsurrogate_ml.plot.{module.name}" for module in pkgutil.iter_modules(plot.__path__)]
    members = [inspect.getmembers(importlib.import_module(n), inspect.isfunction) for n in (*names, "gwsurrogate_ml.search.figure")]
    found = {name: function for some in members for name, function in some}
    return {n: f for n, f in found.items() if not n.startswith("_") and f.__annotations__.get("return") == "Figure"}


def draw_everything() -> None:
    calls = figures()
    for name, function in functions().items():
        figure = calls[name](function)
        for options in ({"dpi": 40, "bbox_inches": "tight"}, {"dpi": 40}):
            figure.savefig(io.BytesIO(), **options)
    print(sorted(calls))


@pytest.mark.process
def test_every_figure_is_drawn_without_latex_where_the_matplotlibrc_asks_for_it(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\ntext.parse_math: False\nfigure.autolayout: True\n")
    root = Path(__file__).parents[2]
    code = "import matplotlib; assert matplotlib.rcParams['text.usetex']; "
    code += "from tests.plot.test_style import draw_everything; draw_everything()"
    environment = os.environ | {"MATPLOTLIBRC": str(tmp_path), "PATH": str(tmp_path), "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == str(sorted(figures()))


def test_a_layout_is_made_anew_for_another_size_and_others_than_constrained_are_kept() -> None:
    from gwsurrogate_ml.plot.figure import StyledFigure

    figure = StyledFigure(figsize=(4, 3), layout="constrained")
    figure.subplots().set_ylabel("y")
    left = []
    for size in ((4, 3), (4, 3), (8, 3)):
        figure.set_size_inches(*size)
        figure.draw_without_rendering()
        left.append(figure.axes[0].get_position().x0)
    assert left[0] == left[1] > 1.5 * left[2]
    figure.add_axes((0.5, 0.5, 0.1, 0.1))
    figure.axes[0].set_ylabel("two\nlines")
    figure.draw_without_rendering()
    assert figure.axes[0].get_position().x0 > left[2]
    assert type(StyledFigure(layout="tight").get_layout_engine()).__name__ == "TightLayoutEngine"
    assert StyledFigure().get_layout_engine() is None


def test_labels_do_not_take_folders_of_the_readers_for_fonts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from matplotlib.mathtext import MathTextParser

    for font in ("cal", "rm", "it", "bf", "scr"):
        (tmp_path / font).mkdir()
    monkeypatch.chdir(tmp_path)
    parser = MathTextParser("path")
    with pytest.raises(OSError, match=r"cal|open"):
        parser.parse(r"$\mathcal{M}$", dpi=71.5)  # what labels keep away from
    for name in plot.style._SYMBOLS:
        parser.parse(plot.axis_label(name), dpi=71.5)  # not one of the parser's cache
    assert not caplog.records  # every sign is in the font
