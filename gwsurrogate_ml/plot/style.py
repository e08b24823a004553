"""One look for all figures: colours, line styles, fonts, and how parameters are written on axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, VERMILLION, GREEN, ORANGE, BLACK, GREY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#1a1a1a", "#8a8a8a"
DETECTOR_COLOURS = {"H1": VERMILLION, "L1": BLUE, "V1": GREEN}
TRUTH_COLOUR = BLACK
DATA_COLOUR = "#9a9a9a"

RC: Any = {  # Any: matplotlib types the keys as 300 literals
    "font.size": 10.0,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.labelsize": 10.0,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "legend.handlelength": 2.0,  # gwpy shortens and doubles legend entries when it is imported
    "legend.numpoints": 1,
    "lines.linewidth": 1.1,
    "figure.facecolor": "white",
    "savefig.dpi": 130,
    # A reader's matplotlibrc may ask for LaTeX, which not every machine has: labels are written in mathtext.
    "text.usetex": False,
    "text.parse_math": True,
}

# A script M by its code: for the font of \mathcal matplotlib takes whatever is named "cal" where the program runs.
_SYMBOLS = {
    "chirp_mass": ("$\\mathrm{\u2133}$", r"$M_\odot$"),
    "chirp_mass_source": ("$\\mathrm{\u2133}^{\\mathrm{src}}$", r"$M_\odot$"),
    "mass_1": (r"$m_1$", r"$M_\odot$"),
    "mass_2": (r"$m_2$", r"$M_\odot$"),
    "mass_1_source": (r"$m_1^{\mathrm{src}}$", r"$M_\odot$"),
    "mass_2_source": (r"$m_2^{\mathrm{src}}$", r"$M_\odot$"),
    "total_mass": (r"$M$", r"$M_\odot$"),
    "total_mass_source": (r"$M^{\mathrm{src}}$", r"$M_\odot$"),
    "mass_ratio": (r"$m_2/m_1$", ""),
    "chi_1": (r"$\chi_1$", ""),
    "chi_2": (r"$\chi_2$", ""),
    "chi_eff": (r"$\chi_{\mathrm{eff}}$", ""),
    "chi_p": (r"$\chi_{\mathrm{p}}$", ""),
    "a_1": (r"$a_1$", ""),
    "a_2": (r"$a_2$", ""),
    "tilt_1": (r"$\theta_1$", "rad"),
    "tilt_2": (r"$\theta_2$", "rad"),
    "luminosity_distance": (r"$d_L$", "Mpc"),
    "redshift": (r"$z$", ""),
    "theta_jn": (r"$\theta_{JN}$", "rad"),
    "phase": (r"$\phi$", "rad"),
    "psi": (r"$\psi$", "rad"),
    "ra": (r"$\alpha$", "rad"),
    "dec": (r"$\delta$", "rad"),
    "geocent_time": (r"$t_c$", "s"),
}


def axis_label(parameter: str) -> str:
    """Symbol and unit of a parameter, in matplotlib's mathtext; the name itself where none is known.

    Examples
    --------
    >>> axis_label("luminosity_distance")
    '$d_L$ [Mpc]'
    >>> axis_label("chi_1")
    '$\\\\chi_1$'
    """
    symbol, unit = _SYMBOLS.get(parameter, (parameter.replace("_", " "), ""))
    return f"{symbol} [{unit}]" if unit else symbol


def detector_colour(detector: str) -> str:
    """Colour of a detector, the same in every figure.

    Examples
    --------
    >>> detector_colour("L1")
    '#0072B2'
    """
    return DETECTOR_COLOURS.get(detector, ORANGE)


def legend(axes: Axes, **keywords: Any) -> None:
    """Legend with matplotlib's own line samples: gwpy's axes, active once gwpy is imported, hide the line styles.

    Parameters
    ----------
    axes : matplotlib Axes
    **keywords
        passed to `Axes.legend`
    """
    from matplotlib.legend_handler import HandlerLine2D
    from matplotlib.lines import Line2D

    axes.legend(handler_map={Line2D: HandlerLine2D()}, **keywords)
