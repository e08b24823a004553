"""Figures of posterior samples: corner plot, sky map, and how evenly the importance weights are spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.plot.style import BLACK, BLUE, ORANGE, RC, TRUTH_COLOUR, VERMILLION, axis_label, legend

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEFAULT_CORNER = ("chirp_mass", "mass_ratio", "chi_1", "chi_2", "luminosity_distance", "theta_jn")
PRECESSING_CORNER = ("chirp_mass", "mass_ratio", "chi_eff", "chi_p", "a_1", "tilt_1", "luminosity_distance", "theta_jn")


def corner(
    posterior: Mapping[str, np.ndarray],
    parameters: Sequence[str] | None = None,
    truths: Mapping[str, float] | None = None,
) -> Figure:
    """One- and two-dimensional marginal posteriors.

    Contours hold 50 % and 90 % of the samples; dashed lines are the 5 %, 50 % and 95 % quantiles.

    Parameters
    ----------
    posterior : DataFrame or mapping from parameter to (n,) array
        equally weighted samples
    parameters : sequence of str, optional
        those shown, in this order, by default masses, spins, distance and inclination; one that is the same in all samples is
        shown as a line at its value
    truths : mapping from parameter to float, optional
        true values, marked where known

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ConfigError
        if a parameter is not among the samples, or there are no more samples than parameters
    DataError
        if a sample is not finite
    """
    import corner as corner_package
    import matplotlib

    from gwsurrogate_ml.plot.figure import StyledFigure

    if parameters is None:
        parameters = DEFAULT_CORNER if "chi_1" in posterior else PRECESSING_CORNER
    samples = _columns(posterior, parameters)
    n = len(parameters)
    with matplotlib.rc_context(RC | {"axes.grid": False, "axes.spines.top": True, "axes.spines.right": True}):
        figure = StyledFigure(figsize=(1.55 * n + 0.8, 1.55 * n + 0.8))
        corner_package.corner(
            samples,
            fig=figure,
            bins=40,
            weights=np.ones(len(samples)),  # counts in floating point: smoothed as integers, few draws vanish
            range=[_shown(column) for column in samples.T],
            labels=[axis_label(name) for name in parameters],
            label_kwargs={"fontsize": 10},
            labelpad=0.06,
            truths=[None if truths is None else truths.get(name) for name in parameters],
            truth_color=VERMILLION,
            color=BLUE,
            quantiles=(0.05, 0.5, 0.95),
            levels=(0.5, 0.9),
            smooth=1.0,
            smooth1d=0.7,
            plot_datapoints=False,
            plot_density=False,
            fill_contours=True,
            no_fill_contours=False,
            max_n_ticks=4,
            hist_kwargs={"lw": 1.4},
        )
        axes = np.array(figure.axes).reshape(n, n)
        for i, name in enumerate(parameters):
            axes[i, i].set_title(_interval(name, samples[:, i]), fontsize=9.5, fontweight="normal", loc="center")
    return figure


def _columns(posterior: Mapping[str, np.ndarray], parameters: Sequence[str]) -> np.ndarray:
    """Samples (n, n_parameters) float64 of the parameters; raises as `corner` says."""
    missing = [name for name in parameters if name not in posterior]
    if missing:
        raise ConfigError(f"the posterior has no {missing[0]!r}: choose among {sorted(posterior)}")
    samples = np.column_stack([np.asarray(posterior[name], dtype=np.float64) for name in parameters])
    for name, column in zip(parameters, samples.T, strict=True):
        if bad := int(np.sum(~np.isfinite(column))):
            raise DataError(
                f"{bad} of the {len(column)} samples of {name} are NaN or infinite: drop those samples, or do not name {name} "
                "among the parameters"
            )
    if len(samples) <= len(parameters):
        raise ConfigError(
            f"{len(samples)} samples of {len(parameters)} parameters show no distribution: draw more, or name fewer parameters"
        )
    return samples


def _interval(name: str, values: np.ndarray) -> str:
    """Symbol, median and central 90 % interval of samples (n,), in mathtext."""
    symbol = axis_label(name).split(" [")[0]
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    if not high > low:
        return f"{symbol} = {middle:.6g}"
    digits = max(0, 1 - int(np.floor(np.log10(max(0.5 * (high - low), 1e-12)))))
    value = round(middle, digits) + 0.0  # + 0.0 turns -0.0 into 0.0
    return f"{symbol} = ${value:.{digits}f}_{{-{middle - low:.{digits}f}}}^{{+{high - middle:.{digits}f}}}$"


def _shown(values: np.ndarray) -> tuple[float, float]:
    """Range of an axis: that of the values, with room on both sides where they are all the same."""
    low, high = float(values.min()), float(values.max())
    room = 0.0 if high > low else 0.01 * (abs(low) or 1.0)
    return low - room, high + room


def sky_density(
    ra: np.ndarray, dec: np.ndarray, width: float = 2.0, max_samples: int = 2000
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probability in cells of 2 degrees on the sphere: samples smoothed by a von Mises-Fisher kernel, poles included.

    Parameters
    ----------
    ra, dec : (n,) float64
        right ascension and declination of equally weighted samples, rad
    width : float, degrees
        standard deviation of the kernel along each direction
    max_samples : int
        at most so many samples are used, evenly spaced among those given

    Returns
    -------
    ra_edges : (181,) float64, rad, -pi to pi
    dec_edges : (91,) float64, rad
    probability : (180, 90) float64, of each cell; sums to 1
    """
    ra, dec = np.asarray(ra, dtype=np.float64), np.asarray(dec, dtype=np.float64)
    chosen = np.unique(np.linspace(0, len(ra) - 1, min(max_samples, len(ra))).round().astype(int))
    ra_edges, dec_edges = np.linspace(-np.pi, np.pi, 181), np.linspace(-np.pi / 2, np.pi / 2, 91)
    cells = np.meshgrid(0.5 * (ra_edges[1:] + ra_edges[:-1]), 0.5 * (dec_edges[1:] + dec_edges[:-1]), indexing="ij")
    kappa = 1.0 / np.radians(width) ** 2
    density = np.zeros(cells[0].size)
    grid = _unit_vectors(cells[0].ravel(), cells[1].ravel())
    for part in np.array_split(chosen, max(1, len(chosen) // 250)):
        density += np.exp(kappa * (grid @ _unit_vectors(ra[part], dec[part]).T - 1.0)).sum(axis=1)
    probability = density.reshape(cells[0].shape) * np.diff(np.sin(dec_edges))
    return ra_edges, dec_edges, probability / probability.sum()


def _unit_vectors(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """(n, 3) float32 unit vectors: single precision is ample for a figure, and twice as fast."""
    vectors = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    return vectors.astype(np.float32)


def sky_areas(ra_edges: np.ndarray, dec_edges: np.ndarray, probability: np.ndarray) -> dict[float, float]:
    """Areas (square degrees) of the 50 % and 90 % regions of a map as `sky_density` gives it.

    Examples
    --------
    >>> edges = np.linspace(-np.pi, np.pi, 181), np.linspace(-np.pi / 2, np.pi / 2, 91)
    >>> even = np.broadcast_to(np.diff(np.sin(edges[1])), (180, 90)) / 360
    >>> round(sky_areas(*edges, even)[0.5], -2)
    20600.0
    """
    solid_angle = np.broadcast_to(np.diff(np.sin(dec_edges)) * np.diff(ra_edges)[:, None], probability.shape)
    order = np.argsort(probability / solid_angle, axis=None)[::-1]
    cumulative = np.cumsum(probability.ravel()[order])
    covered = np.cumsum(solid_angle.ravel()[order]) * (180 / np.pi) ** 2
    return {level: float(covered[np.searchsorted(cumulative, level)]) for level in (0.5, 0.9)}


def skymap(ra: np.ndarray, dec: np.ndarray, truth: tuple[float, float] | None = None) -> Figure:
    """Probability over the sky in Mollweide projection, with the 50 % and 90 % credible regions and their areas.

    The samples are smoothed by 2 degrees (`sky_density`), which widens regions of less than some 50 square degrees.

    Parameters
    ----------
    ra, dec : (n,) float64
        right ascension and declination of equally weighted samples, rad
    truth : (ra, dec), rad, optional

    Returns
    -------
    matplotlib Figure
    """
    return sky_probability(*sky_density(ra, dec), truth=truth)


def sky_probability(
    ra_edges: np.ndarray,
    dec_edges: np.ndarray,
    probability: np.ndarray,
    areas: Mapping[float, float] | None = None,
    truth: tuple[float, float] | None = None,
) -> Figure:
    """A map over the sky in Mollweide projection, with the 50 % and 90 % credible regions and their areas.

    Parameters
    ----------
    ra_edges : (n + 1,) float64, rad, -pi to pi
    dec_edges : (m + 1,) float64, rad
    probability : (n, m) float64, of each cell; sums to 1
    areas : mapping from 0.5 and 0.9 to square degrees, optional
        for the title, where they are known better than from the cells
    truth : (ra, dec), rad, optional

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    from gwsurrogate_ml.plot.figure import StyledFigure

    area = areas or sky_areas(ra_edges, dec_edges, probability)
    density = probability / (np.diff(np.sin(dec_edges)) * np.diff(ra_edges)[:, None])
    order = np.argsort(density, axis=None)[::-1]
    last = np.searchsorted(np.cumsum(probability.ravel()[order]), (0.9, 0.5))
    threshold = sorted({float(value) for value in density.ravel()[order[last]]})
    middle_ra, middle_dec = 0.5 * (ra_edges[1:] + ra_edges[:-1]), 0.5 * (dec_edges[1:] + dec_edges[:-1])

    with matplotlib.rc_context(RC | {"axes.axisbelow": False}):
        figure = StyledFigure(figsize=(7.6, 4.4), layout="constrained")
        axis: Any = figure.add_subplot(projection="mollweide")
        # Right ascension grows to the left, as seen from inside the sphere: plot at -ra.
        axis.pcolormesh(-ra_edges[::-1], dec_edges, density[::-1].T, cmap="Blues", rasterized=True)
        axis.grid(True, color="#c8c8c8")
        contour = -middle_ra[::-1], middle_dec, density[::-1].T
        axis.contour(*contour, levels=threshold, colors=BLACK, linewidths=(0.9, 1.4))
        if truth is not None:
            at = -((truth[0] + np.pi) % (2 * np.pi) - np.pi)
            axis.plot([at], [truth[1]], marker="*", ms=13, color=VERMILLION, mec=BLACK, ls="none", label="true position")
            legend(axis, loc="lower right", bbox_to_anchor=(1.0, -0.08))
        hours = np.arange(-10, 12, 4)
        axis.set_xticks(-hours * np.pi / 12)
        axis.set_xticklabels([f"{hour % 24} h" for hour in hours])
        axis.set_yticks(np.radians([-60, -30, 0, 30, 60]))
        axis.set_title(f"50 % region {area[0.5]:,.0f} deg$^2$,  90 % region {area[0.9]:,.0f} deg$^2$", pad=14)
        axis.set_xlabel("right ascension")
        axis.set_ylabel("declination")
    return figure


def importance_weights(log_weights: np.ndarray, sample_efficiency: float, pareto_k: float) -> Figure:
    """How evenly the weight is spread over the draws.

    On the left a histogram of the weights, on the right the share of the weight that the heaviest draws carry.

    Parameters
    ----------
    log_weights : (n,) float64
        natural logarithms of the importance weights, up to a constant; -inf for draws outside the prior
    sample_efficiency : float, 0 to 1
        effective over drawn samples
    pareto_k : float
        shape of the generalised Pareto distribution fitted to the largest weights

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    from gwsurrogate_ml.plot.figure import StyledFigure

    finite = np.asarray(log_weights, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    weights = np.exp(finite - finite.max())
    heaviest = np.sort(weights)[::-1]
    share = np.concatenate([[0.0], np.cumsum(heaviest) / heaviest.sum()])
    draws = np.arange(len(share)) / len(np.atleast_1d(log_weights))
    with matplotlib.rc_context(RC):
        figure = StyledFigure(figsize=(7.6, 3.0), layout="constrained")
        left, right = figure.subplots(1, 2)
        relative = np.log10(weights / weights.mean())
        low = max(float(relative.min()), -4.0)
        left.hist(np.clip(relative, low, None), bins=60, color=BLUE, histtype="stepfilled", alpha=0.8)
        left.axvline(0.0, color=TRUTH_COLOUR, lw=0.9, ls=":", label="mean weight")
        left.set_yscale("log")
        left.set_xlabel(r"$\log_{10}$ (weight / mean weight)")
        left.set_ylabel("number of draws")
        left.set_title(f"largest weights: Pareto k = {pareto_k:.2f}")
        legend(left, loc="upper left")
        right.plot(100 * draws, 100 * share, color=BLUE, label="this run")
        right.plot([0, 100], [0, 100], color=ORANGE, ls="--", label="equal weights (ideal)")
        right.set_xlabel("heaviest draws [%]")
        right.set_ylabel("share of the weight [%]")
        right.set_title(f"sample efficiency {100 * sample_efficiency:.1f} %")
        legend(right, loc="lower right")
    return figure
