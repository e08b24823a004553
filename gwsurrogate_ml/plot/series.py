"""Figures of time series: strain, whitened strain, Q-transform, SNR, waveforms; time in s from a GPS time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.plot.figure import panels
from gwsurrogate_ml.plot.style import BLACK, BLUE, DATA_COLOUR, RC, VERMILLION, detector_colour, legend

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _cut(series: TimeSeries, gps: float, window: tuple[float, float] | None) -> tuple[np.ndarray, np.ndarray]:
    """Times from `gps` in s and real values of the part of `series` in `window`."""
    times = float(series.t0.value) - gps + np.arange(len(series)) * float(series.dt.value)
    values = np.asarray(series.value)
    if window is None:
        return times, values
    inside = (times >= window[0]) & (times <= window[1])
    return times[inside], values[inside]


def _exponent(values: np.ndarray) -> int:
    """Power of ten of the largest finite magnitude; 0 where there is none."""
    largest = float(np.max(np.abs(values), where=np.isfinite(values), initial=0.0))
    return int(np.floor(np.log10(largest))) if largest > 0 else 0


def _time_label(axes: Axes, gps: float) -> None:
    axes.set_xlabel(f"time from GPS {gps:.3f} [s]")


def strain(series: Mapping[str, TimeSeries], gps: float, segment: tuple[float, float] | None = None) -> Figure:
    """Strain as read, one panel a detector.

    Parameters
    ----------
    series : mapping from detector to gwpy TimeSeries, dimensionless strain
        samples that are not finite (gaps) are left out
    gps : float
        time of the event in GPS s, marked by a line
    segment : (start, end), GPS s, optional
        the stretch that is analysed, shaded

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    with matplotlib.rc_context(RC):
        figure, axes = panels(len(series), height=1.7)
        for axis, (detector, data) in zip(axes, series.items(), strict=True):
            times, values = _cut(data, gps, None)
            exponent = _exponent(values)
            axis.plot(times, values / 10.0**exponent, color=detector_colour(detector), lw=0.4, rasterized=True)
            if segment:
                axis.axvspan(segment[0] - gps, segment[1] - gps, color="#ececec", zorder=0, label="analysed segment")
            axis.axvline(0.0, color=BLACK, lw=0.9, ls=":", label="event")
            axis.set_ylabel(f"strain [$10^{{{exponent}}}$]")
            axis.set_title(detector)
            axis.margins(x=0)
        legend(axes[0], loc="upper right", ncols=2, bbox_to_anchor=(1.0, 1.2))
        _time_label(axes[-1], gps)
    return figure


def whitened(series: Mapping[str, TimeSeries], gps: float, window: tuple[float, float] = (-0.25, 0.1)) -> Figure:
    """Whitened strain around the event, one panel a detector, in standard deviations of the noise.

    Parameters
    ----------
    series : mapping from detector to gwpy TimeSeries
        whitened to unit variance
    gps : float, GPS s
    window : (start, end)
        stretch shown, in s from `gps`

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    with matplotlib.rc_context(RC):
        figure, axes = panels(len(series), height=1.7, sharey=True)
        for axis, (detector, data) in zip(axes, series.items(), strict=True):
            times, values = _cut(data, gps, window)
            axis.plot(times, values, color=detector_colour(detector))
            axis.axvline(0.0, color=BLACK, lw=0.9, ls=":")
            axis.set_ylabel(r"whitened strain [$\sigma$]")
            axis.set_title(detector)
            axis.set_xlim(window)
        _time_label(axes[-1], gps)
    return figure


def q_transform(
    series: Mapping[str, TimeSeries],
    gps: float,
    window: tuple[float, float] = (-0.35, 0.15),
    f_min: float = 20.0,
    f_max: float = 512.0,
    whiten: bool = True,
) -> Figure:
    """Normalised energy in time and frequency (gwpy's Q-transform), one panel a detector, on one colour scale.

    Parameters
    ----------
    series : mapping from detector to gwpy TimeSeries
        strain without gaps, at least 4 s around `gps`
    gps : float, GPS s
    window : (start, end)
        stretch shown, in s from `gps`
    f_min, f_max : float, Hz
        band shown; `f_max` is lowered where the sampling rate asks for it
    whiten : bool
        whiten strain as read, by its own spectrum; False where it is whitened already

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib
    from gwpy.segments import Segment

    tiles: dict[str, Any] = {}
    highest = f_min
    for detector, data in series.items():
        top = min(f_max, 0.31 * float(data.sample_rate.value))  # the highest tile must fit below Nyquist at low Q
        highest = max(highest, top)
        span = Segment(max(gps - 8.0, float(data.span[0])), min(gps + 8.0, float(data.span[1])))
        tiles[detector] = (
            data.astype(np.float64)
            .crop(*span)
            .q_transform(
                outseg=Segment(gps + window[0], gps + window[1]),
                frange=(f_min, top),
                qrange=(4, 16),
                tres=(window[1] - window[0]) / 500,
                fres=0.5,
                whiten=whiten,
            )
        )
    ceiling = max(15.0, max(float(np.max(tile.value)) for tile in tiles.values()))
    with matplotlib.rc_context(RC | {"axes.grid": False}):
        figure, axes = panels(len(series), height=2.1)
        for axis, (detector, tile) in zip(axes, tiles.items(), strict=True):
            mesh = axis.pcolormesh(
                tile.times.value - gps,
                tile.frequencies.value,
                tile.value.T,
                cmap="cividis",
                vmin=0.0,
                vmax=ceiling,
                shading="auto",
                rasterized=True,
            )
            axis.set_yscale("log", base=2)
            axis.set_ylim(f_min, highest)
            axis.yaxis.set_major_formatter(matplotlib.ticker.ScalarFormatter())
            axis.set_ylabel("frequency [Hz]")
            axis.set_title(detector)
        figure.colorbar(mesh, ax=axes, label="normalised energy", pad=0.02)
        _time_label(axes[-1], gps)
    return figure


def snr(
    series: Mapping[str, TimeSeries],
    gps: float,
    peaks: Mapping[str, tuple[float, float]] | None = None,
    window: tuple[float, float] = (-0.15, 0.15),
) -> Figure:
    """Magnitude of the matched-filter SNR around the event, one panel a detector.

    Parameters
    ----------
    series : mapping from detector to gwpy TimeSeries
        SNR, complex or its magnitude
    gps : float, GPS s
    peaks : mapping from detector to (GPS s, SNR), optional
        peaks between samples, marked and labelled
    window : (start, end)
        stretch shown, in s from `gps`

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    with matplotlib.rc_context(RC):
        figure, axes = panels(len(series), height=1.7, sharey=True)
        for axis, (detector, data) in zip(axes, series.items(), strict=True):
            times, values = _cut(data, gps, window)
            rho = np.abs(values)
            axis.plot(times, rho, color=detector_colour(detector))
            if peaks and detector in peaks:
                at, height = peaks[detector][0] - gps, peaks[detector][1]
                axis.plot([at], [height], marker="v", color=BLACK, ms=6, ls="none", clip_on=False)
                note = f"SNR {height:.1f} at {1e3 * at:+.1f} ms"
                axis.annotate(note, (at, height), xytext=(8, -4), textcoords="offset points", va="top")
            axis.set_ylabel("matched-filter SNR")
            axis.set_title(detector)
            axis.set_xlim(window)
            axis.set_ylim(bottom=0.0)
        _time_label(axes[-1], gps)
    return figure


def waveform_band(
    times: np.ndarray,
    data: Mapping[str, np.ndarray],
    bands: Mapping[str, np.ndarray],
    gps: float,
    truth: Mapping[str, np.ndarray] | None = None,
    window: tuple[float, float] = (-0.1, 0.04),
) -> Figure:
    """Whitened data with the posterior's waveforms over it: median and 90 % band, one panel a detector.

    Parameters
    ----------
    times : (n,) float64
        GPS s
    data : mapping from detector to (n,) float64
        whitened strain in standard deviations of the noise
    bands : mapping from detector to (3, n) float64
        5 %, 50 % and 95 % quantiles at each time of the whitened waveforms
    gps : float, GPS s
    truth : mapping from detector to (n,) float64, optional
        whitened true signal, where it is known
    window : (start, end)
        stretch shown, in s from the largest value of the medians

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    relative = np.asarray(times, dtype=np.float64) - gps
    peak = relative[np.argmax(np.max([np.abs(band[1]) for band in bands.values()], axis=0))]
    start, end = peak + window[0], peak + window[1]
    inside = (relative >= start) & (relative <= end)
    with matplotlib.rc_context(RC):
        figure, axes = panels(len(data), height=2.3, sharey=True)
        for axis, (detector, values) in zip(axes, data.items(), strict=True):
            lower, median, upper = np.asarray(bands[detector])[:, inside]
            colour = detector_colour(detector)
            axis.plot(relative[inside], np.asarray(values)[inside], color=DATA_COLOUR, lw=0.7, label="whitened data")
            axis.fill_between(relative[inside], lower, upper, color=colour, alpha=0.6, lw=0, label="90 % band")
            axis.plot(relative[inside], median, color=colour, lw=0.5, label="median")
            if truth:
                axis.plot(relative[inside], truth[detector][inside], color=BLACK, lw=1.0, ls="--", label="true signal")
            axis.set_ylabel(r"whitened strain [$\sigma$]")
            axis.set_title(detector)
            axis.set_xlim(start, end)
        legend(axes[0], loc="lower left", ncols=4, bbox_to_anchor=(0.12, 1.0))
        _time_label(axes[-1], gps)
    return figure


def polarizations(hp: TimeSeries, hc: TimeSeries, title: str = "") -> Figure:
    """Plus and cross polarization: the whole waveform above, its last 0.12 s below.

    Parameters
    ----------
    hp, hc : gwpy TimeSeries
        dimensionless strain, time in s with the peak at t = 0
    title : str, optional

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib

    times = np.asarray(hp.times.value)
    exponent = _exponent(hp.value)
    scale = 10.0**exponent
    with matplotlib.rc_context(RC):
        figure, axes = panels(2, height=2.2, sharex=False)
        for axis in axes:
            axis.plot(times, hp.value / scale, color=BLUE, label=r"$h_+$")
            axis.plot(times, hc.value / scale, color=VERMILLION, ls="--", label=r"$h_\times$")
            axis.set_ylabel(f"strain [$10^{{{exponent}}}$]")
            axis.margins(x=0)
        axes[1].set_xlim(max(-0.12, times[0]), min(0.04, times[-1]))
        axes[0].set_title(title)
        legend(axes[0], loc="upper left", ncols=2)
        axes[1].set_xlabel("time from the peak [s]")
    return figure
