"""The figures of a report, with their captions."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml import plot
from gwsurrogate_ml.cli.page import Picture
from gwsurrogate_ml.conventions import PARAMETERS

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries
    from matplotlib.figure import Figure

    from gwsurrogate_ml.cli.analyze.pipeline import Run

log = logging.getLogger(__name__)

BAND_DRAWS = 300
DISPLAY_BAND = (35.0, 350.0)
"""Hz; where the signals of heavy binaries stand out of whitened noise, as in the figures of arXiv:1602.03837."""


def png(figure: Figure) -> bytes:
    """A figure as PNG bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=130)
    return stream.getvalue()


def _strain(run: Run) -> Figure:
    start = run.segment.start_time
    return plot.strain(run.data.series, run.data.gps, (start, start + run.segment.duration))


def _white(run: Run) -> dict[str, TimeSeries]:
    """Strain whitened with the spectra of the matched filter, from the segment's lowest frequency on."""
    top = 0.5 * run.data.sampling_frequency
    # The figures end far below: that what is beyond a spectrum's last frequency goes by its last value does not show.
    psd = {
        name: (np.append(f, top), np.append(power, power[-1])) if f[-1] < top else (f, power)
        for name, (f, power) in run.filtered.curves.items()
    }
    return run.data.whiten(psd=psd, highpass=run.segment.f_min)


def _whitened(run: Run) -> Figure:
    low, high = DISPLAY_BAND
    top = min(high, 0.3 * run.data.sampling_frequency)  # the filter's stop band begins at 1.5 times this: below Nyquist
    return plot.whitened({name: series.bandpass(low, top) for name, series in _white(run).items()}, run.data.gps)


def _q_transform(run: Run) -> Figure:
    return plot.q_transform(_white(run), run.data.gps, f_min=max(20.0, run.segment.f_min), whiten=False)


def _snr(run: Run) -> Figure:
    return run.filtered.plot()


def _waveform(run: Run) -> Figure:
    from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
    from gwsurrogate_ml.inference.result.draws import whitened_bands

    segment = run.segment
    posterior = run.result.posterior
    draws = posterior.sample(min(BAND_DRAWS, len(posterior)), random_state=0)
    bands, times = whitened_bands(draws, segment, run.model)
    truth = None
    if run.truths:
        signal = SegmentLikelihood(segment, run.model).signals({key: np.array([run.truths[key]]) for key in PARAMETERS})
        truth = dict(zip(segment.detectors, segment.whitened(signal)[0], strict=True))
    data = dict(zip(segment.detectors, segment.whitened(), strict=True))
    return plot.waveform_band(times, data, bands, run.data.gps, truth)


def _corner(run: Run) -> Figure:
    return plot.corner(run.result.posterior, truths=run.truths or None)


def _skymap(run: Run) -> Figure:
    truth = (run.truths["ra"], run.truths["dec"]) if run.truths else None
    if run.sky is not None:
        return run.sky.plot(truth)
    return plot.skymap(run.result.posterior["ra"], run.result.posterior["dec"], truth)


def _residual(run: Run) -> Figure:
    return run.result.plot_residual(run.segment, run.model)


def _curves(run: Run) -> Figure:
    return run.result.plot_curves()


def _glitch(run: Run) -> Figure:
    from gwsurrogate_ml.inference.result.glitches import bands
    from gwsurrogate_ml.plot.glitch import glitches

    return glitches(bands(run.result, run.segment, run.model), run.data.gps)


def _weights(run: Run) -> Figure:
    return run.result.plot_weights()


FIGURES: dict[str, tuple[str, Callable[[Run], Figure], str]] = {
    "strain": (
        "signal",
        _strain,
        "Strain as read; the analysed segment is shaded. The rest serves to measure the noise.",
    ),
    "whitened": (
        "signal",
        _whitened,
        "Strain divided by the noise's amplitude spectrum, "
        "shown from 35 to 350 Hz, or 0.3 of a lower sampling rate; unit: the standard deviation of the noise of all frequencies.",
    ),
    "q_transform": (
        "signal",
        _q_transform,
        "Energy in time and frequency relative to the noise (Q-transform). A merger of two black holes sweeps upwards.",
    ),
    "snr": (
        "signal",
        _snr,
        "Matched-filter signal-to-noise ratio of each detector around the event, for the best-fitting template.",
    ),
    "waveform": (
        "posterior",
        _waveform,
        f"Whitened data of the analysed band and the waveforms of {BAND_DRAWS} posterior draws: median and 90 % band.",
    ),
    "corner": (
        "posterior",
        _corner,
        "Marginal posteriors; contours hold 50 % and 90 %, dashed lines are the 5 %, 50 % and 95 % quantiles. "
        "Masses are in the detector frame.",
    ),
    "skymap": (
        "posterior",
        _skymap,
        "Position on the sky (Mollweide projection, right ascension growing to the left), 50 % and 90 % regions.",
    ),
    "residual": (
        "diagnostics",
        _residual,
        "Whitened data less the waveform of highest likelihood, which is drawn over it. Shaded: the tile of time and frequency "
        "that is loudest against the noise elsewhere; dotted: three standard deviations.",
    ),
    "calibration": (
        "diagnostics",
        _curves,
        "Errors of the calibration, and of the waveform where asked for: 90 % bands of what was believed before and of the "
        "posterior, as factors on the signal.",
    ),
    "glitch": (
        "diagnostics",
        _glitch,
        "Whitened data less the median signal, and the glitch: median and 90 % band, draws without one included.",
    ),
    "weights": (
        "diagnostics",
        _weights,
        "Importance weights. Left: how much single draws count. Right: the share of the weight that the heaviest draws "
        "carry; the closer to the diagonal, the better the draws match the posterior.",
    ),
}


def pictures(run: Run) -> Iterator[Picture | None]:
    """The report's figures one by one, each rendered when it is asked for; None, and a warning, for one that fails."""
    for name, (section, draw, caption) in FIGURES.items():
        if (needed := {"calibration": "nuisances", "glitch": "glitch"}.get(name)) and needed not in run.result.meta:
            continue
        extra = " The dashed line is the true signal." if name == "waveform" and run.truths else ""
        try:
            yield Picture(name, png(draw(run)), caption + extra, section)
        except Exception as error:  # the analysis is done: it is worth more than its pictures
            log.warning("no %s.png in the report: %s: %s", name, type(error).__name__, error)
            yield None
