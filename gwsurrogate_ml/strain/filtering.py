"""Whitening and the matched filter on StrainData: the kernels with times, detectors and gaps taken care of.

Both cut off what the filters corrupt: half of `fduration` at each end of whitened data, the whole filter duration at
each end of an SNR series, since dividing by the PSD filters twice (FINDCHIRP, arXiv:gr-qc/0509116, section VII).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.arguments import finite, positive
from gwsurrogate_ml.errors import ConfigError, DataError, DomainWarning
from gwsurrogate_ml.kernels import chisq as chisq_kernels
from gwsurrogate_ml.kernels import matched_filter as filter_kernels
from gwsurrogate_ml.kernels import truncation
from gwsurrogate_ml.kernels import whiten as whiten_kernels
from gwsurrogate_ml.strain.notches import without
from gwsurrogate_ml.strain.read import make_series
from gwsurrogate_ml.strain.spectrum import MIN_OFF_SOURCE, PsdSource, per_detector, psd_on_grid
from gwsurrogate_ml.waveform.model import Grid, WaveformModel, evaluate, inspiral_time

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries
    from matplotlib.figure import Figure

    from gwsurrogate_ml.strain.data import StrainData

ON_SOURCE = 2.0
"""Seconds on each side of the event that are left out of the PSD of a matched filter."""
FEWEST = 8
"""Off-source periodograms behind a matched filter's PSD: noise in the SNR is 5 % too loud from 8, 10 % from 4, 2 % from 20."""
SHORTEST = 1.0
"""Seconds: a shorter filter does not follow the seismic wall, and whitened noise is no longer of unit variance."""
CALIBRATION = 2**18
"""Samples of white noise that `own_excess` is measured on, about."""
LOWEST = 20.0
"""Hz: a PSD that whitens must reach down so far; below, it is held constant."""


def whiten(
    data: StrainData,
    *,
    psd: PsdSource | Mapping[str, PsdSource] | None = None,
    segment_duration: float | None = None,
    fduration: float | None = None,
    highpass: float | None = None,
    span: float = 64.0,
) -> dict[str, TimeSeries]:
    """Whitened strain around the event, of unit variance for noise, without the edges that the filter corrupts.

    A PSD measured from the stretch that it whitens makes the result too loud, by 8 % from four periodograms: by as much as it does
    to white noise, which is divided out. Lines narrower than 2 / `fduration` and walls steeper than that remain in part: unit
    variance is that of what lies between them.

    Parameters
    ----------
    data : StrainData
    psd : source, or mapping of detector to source, optional
        see `spectrum.load_psd`; the median Welch PSD of the stretch itself where left out
    segment_duration : float, s, optional
        of that Welch estimate; where left out 4 s, and of less than 10 s of data two fifths, for four periodograms
    fduration : float, s, optional
        length of the whitening filter; where left out 2 s, and of less than 5 s of data two fifths
    highpass : float, Hz, optional
        zero below
    span : float, s
        use at most this much data around the event; less where a gap is nearer

    Returns
    -------
    dict of gwpy.timeseries.TimeSeries, dimensionless, by detector

    Raises
    ------
    DataError
        if the event lies in a gap or so near to an edge that whitening corrupts it, or the data are too short for a PSD
    """
    curves = {} if psd is None else per_detector(psd, data.detectors)
    rate = data.sampling_frequency
    for label, value in (("segment_duration", segment_duration), ("fduration", fduration), ("span", span)):
        if value is not None:
            positive(value, label, "s")
    if highpass is not None and not 0 < finite(highpass, "highpass", "Hz") < rate / 2:
        raise ConfigError(f"highpass is {highpass:g} Hz: it must lie between 0 and the Nyquist frequency {rate / 2:g} Hz")
    result = {}
    for name in data.detectors:
        series = data.stretch(name, span)
        start, seconds = float(series.t0.value), series.size / rate
        share = 2 * int(0.2 * series.size) / rate
        taps = min(2.0, share, segment_duration or 4.0) if fduration is None else fduration
        _require_margin(data, name, series, taps / 2, "whitening")
        if fduration is None and share < SHORTEST:
            raise DataError(
                f"{name}: {seconds:g} s without a gap around the event are too short: whitening needs {2.5 * SHORTEST:g} s; use "
                "more data"
            )
        options: dict[str, Any] = {"fduration": taps, "highpass": highpass}
        if name in curves:
            _require_cover(curves[name], highpass, rate, name)
            length = segment_duration or 4.0
            grid = np.arange(round(length * rate / 2) + 1) / length
            white = whiten_kernels.whiten(series.value, rate, np.sqrt(np.interp(grid, *curves[name])), **options)
        else:
            options["segment_duration"] = segment_duration or min(4.0, share)
            _require_periodograms(name, seconds, options["segment_duration"])
            white = whiten_kernels.whiten(series.value, rate, **options) / own_excess(series.size, rate, **options)
        keep = whiten_kernels.valid_slice(white.size, rate, taps)
        result[name] = make_series(white[keep], start + keep.start / rate, rate, name)
    return result


def _require_periodograms(detector: str, seconds: float, length: float) -> None:
    """Raise unless `seconds` of data hold enough half-overlapping periodograms of `length` s for an ASD."""
    count = max(0, int((seconds - length) / (0.5 * length) + 1e-9) + 1)
    if count < MIN_OFF_SOURCE:
        raise DataError(
            f"{detector}: {seconds:g} s without a gap around the event give {count} periodograms of segment_duration={length:g} s, "
            f"{MIN_OFF_SOURCE} are needed for an ASD: leave segment_duration out, use {2.5 * length:g} s of data, or pass a PSD"
        )


@lru_cache(maxsize=64)
def own_excess(n: int, rate: float, *, segment_duration: float, fduration: float, highpass: float | None = None) -> float:
    """Standard deviation of noise whitened with its own median Welch ASD, over that of the same noise with the true one.

    More than one, since each periodogram is louder on average than the median that it belongs to (Jensen), and the filter
    follows the scatter only in part. Measured on white noise of fixed seeds: in a spectrum that is smooth over a few bins the
    same happens at each frequency.

    Parameters
    ----------
    n : int, samples
    rate : float, Hz
    segment_duration, fduration, highpass : as for `kernels.whiten.whiten`

    Examples
    --------
    >>> [round(own_excess(n * 1024, 1024.0, segment_duration=4.0, fduration=2.0), 2) for n in (10, 64)]
    [1.08, 1.02]
    """
    options: dict[str, Any] = {"segment_duration": segment_duration, "fduration": fduration, "highpass": highpass}
    flat = np.full(round(segment_duration * rate / 2) + 1, np.sqrt(2.0 / rate))
    keep = whiten_kernels.valid_slice(n, rate, fduration)
    power = np.zeros(2)
    for seed in range(max(1, CALIBRATION // n)):
        noise = np.random.default_rng(seed).standard_normal(n)
        power += [np.mean(whiten_kernels.whiten(noise, rate, asd, **options)[keep] ** 2) for asd in (None, flat)]
    return float(np.sqrt(power[0] / power[1]))


def _require_cover(curve: tuple[np.ndarray, np.ndarray], highpass: float | None, rate: float, detector: str) -> None:
    """Raise where a curve would be held constant over much of the band; above half of Nyquist it may."""
    low, high = max(highpass or 0.0, LOWEST), rate / 4
    first, last = curve[0][0], curve[0][-1]
    if first > low or last < high:
        raise DataError(
            f"{detector}: the PSD covers {first:g} to {last:g} Hz, whitening needs {low:g} to {high:g} Hz; pass another PSD"
        )


@dataclass(frozen=True, eq=False)
class DetectorSnr:
    """Matched-filter output of one detector.

    Attributes
    ----------
    snr : gwpy.timeseries.TimeSeries, complex128
        SNR against the GPS time of the template's t = 0; edges that the filter corrupts are cut off
    peak_snr : float
        largest |snr| near the event, refined between samples
    time : float, GPS s
        where that is
    phase : float, rad
        of the complex SNR there
    chisq_per_dof : float
        power chi-squared there over its degrees of freedom: about 1 for noise plus the template
    sigma : float
        optimal SNR of the template as given (for a model: at 1 Mpc)
    """

    snr: TimeSeries
    peak_snr: float
    time: float
    phase: float
    chisq_per_dof: float
    sigma: float


@dataclass(frozen=True, eq=False)
class MatchedFilterResult:
    """Matched-filter output of all detectors, `detectors[name]`, for one template around one event.

    `curves` are the noise spectra it is by, measured or given: frequencies (Hz) and PSD (1/Hz) by detector.
    """

    gps: float
    detectors: dict[str, DetectorSnr]
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @property
    def network_snr(self) -> float:
        """Root of the sum of the squared peak SNRs, each detector at its own peak."""
        return float(np.sqrt(sum(d.peak_snr**2 for d in self.detectors.values())))

    def summary(self) -> dict[str, Any]:
        """Plain numbers: per detector `snr`, `time` (GPS s), `chisq_per_dof`, `phase` (rad); and `network_snr`."""
        result: dict[str, Any] = {
            name: {"snr": d.peak_snr, "time": d.time, "chisq_per_dof": d.chisq_per_dof, "phase": d.phase}
            for name, d in self.detectors.items()
        }
        return {**result, "network_snr": self.network_snr}

    def plot(self) -> Figure:
        """|SNR| around the event, one panel a detector."""
        from gwsurrogate_ml.plot import series as figures

        snr = {name: d.snr for name, d in self.detectors.items()}
        return figures.snr(snr, self.gps, {name: (d.time, d.peak_snr) for name, d in self.detectors.items()})


def matched_filter(
    data: StrainData,
    template: np.ndarray | WaveformModel,
    parameters: Mapping[str, float] | None = None,
    *,
    f_min: float | Mapping[str, float] = 20.0,
    f_max: float | None = None,
    psd: PsdSource | Mapping[str, PsdSource] | None = None,
    psd_segment: float | None = None,
    filter_duration: float = 4.0,
    window: float = 0.1,
    n_bins: int = 16,
    span: float = 64.0,
) -> MatchedFilterResult:
    """Matched filter of one template in every detector, and the loudest time near the event.

    Parameters
    ----------
    data : StrainData
    template : complex array (n_f,), or a waveform model
        array: one-sided transform (1/Hz) of h_plus with the peak at t = 0, from DC to the Nyquist frequency of the
        data, of any duration up to the data's. Model: see `waveform.model`; of one with several modes the (2, 2) mode alone
        is the template, as it alone has one shape for every orientation
    parameters : mapping, optional
        for a model: masses (Msun, detector frame) and spins by bilby's names; no others matter
    f_min, f_max : float, Hz
        band of the filter; f_max is 1024 Hz, or the Nyquist frequency where lower, where left out; f_min may be a mapping from
        each detector to its own
    psd : source, or mapping of detector to source, optional
        see `spectrum.load_psd`; the median Welch PSD (Hann) without the 4 s about the event where left out, infinite where a
        notch was cut out of the data (see `notches`)
    psd_segment : float, s, optional
        of that estimate's periodograms, of which eight are needed; where left out 2 s, or 1 or 0.5 s where no eight fit. Their
        scatter is corrected for in the mean (see `scatter`), but weighs the data less than optimally: noise in the SNR is too
        loud by 5 % from eight periodograms, 2 % from twenty, and a signal's SNR too small by 3 and 1 %. Shorter ones scatter less
    filter_duration : float, s
        length to which the inverse ASD is truncated
    window : float, s
        look for the peak at most this far from the event's time
    n_bins : int
        bins of the power chi-squared
    span : float, s
        use at most this much data around the event; less where a gap is nearer

    Returns
    -------
    MatchedFilterResult

    Raises
    ------
    DataError
        if the event is in a gap or too near an edge, the PSD does not cover the band or cannot be made
    ConfigError
        if the template does not fit the data, or an argument is impossible
    """
    rate = data.sampling_frequency
    f_max = min(1024.0, rate / 2) if f_max is None else float(f_max)
    if isinstance(f_min, Mapping) and (missing := [name for name in data.detectors if name not in f_min]):
        raise ConfigError(f"f_min has no {missing[0]}: give the lowest frequency of each detector, or one number for all")
    starts = {name: float(f_min[name] if isinstance(f_min, Mapping) else f_min) for name in data.detectors}
    for start in starts.values():
        if not 0 < start < f_max <= rate / 2:
            raise ConfigError(f"f_min={start:g} and f_max={f_max:g} Hz: need 0 < f_min < f_max <= Nyquist, {rate / 2:g} Hz")
    if not window > 0:
        raise ConfigError(f"window={window:g} s: must be positive")
    curves, cut = ({}, data.notches) if psd is None else (per_detector(psd, data.detectors), lambda *_: [])
    templates: dict[int, np.ndarray] = {}
    result = {}
    for name in data.detectors:
        series = data.stretch(name, span)
        _require_margin(data, name, series, filter_duration + window, "the matched filter")
        if parameters is not None and not isinstance(template, np.ndarray):
            room = data.gps - float(series.t0.value) - window
            if (lasts := inspiral_time(parameters, starts[name])) > room:
                warnings.warn(
                    f"{name}: the template lasts {lasts:.1f} s from {starts[name]:g} Hz, the data begin {room:.1f} s before the "
                    "event: what is missing lowers the signal-to-noise ratio and raises chi-squared; read more data, or begin "
                    "higher (f_min)",
                    DomainWarning,
                    stacklevel=2,
                )
        n = series.size
        if n not in templates:
            templates[n] = _template(template, parameters, n, rate, min(starts.values()))
        curve = curves[name] = curves[name] if name in curves else _off_source(data, name, psd_segment)
        start = starts[name]
        grid = np.arange(n // 2 + 1) * (rate / n)
        # Coverage is checked here; beyond the band the curve is held, as the truncation needs finite values.
        psd_on_grid(*curve, grid, f_min=start, f_max=f_max, detector=name)
        weighed = without(cut(name, start, f_max), grid, np.interp(grid, *curve))
        smooth = truncation.inverse_spectrum_truncation(weighed, rate / n, filter_duration, start)
        result[name] = _filter(data.gps, series, templates[n], smooth, start, f_max, filter_duration, window, n_bins)
    return MatchedFilterResult(data.gps, result, {name: curves[name] for name in result})


def _off_source(data: StrainData, name: str, segment_duration: float | None) -> tuple[np.ndarray, np.ndarray]:
    """PSD without the time about the event, from enough periodograms: shorter ones where their length is left to us."""
    exclude = (data.gps - ON_SOURCE, data.gps + ON_SOURCE)
    measured = partial(data.off_source_psd, name, exclude, at_least=FEWEST)
    if segment_duration is not None:
        return measured(segment_duration=segment_duration)[0]
    for length in (2.0, 1.0):
        try:
            return measured(segment_duration=length)[0]
        except DataError:
            continue
    return measured(segment_duration=0.5)[0]


def _filter(
    gps: float,
    series: TimeSeries,
    template: np.ndarray,
    psd: np.ndarray,
    f_min: float,
    f_max: float,
    filter_duration: float,
    window: float,
    n_bins: int,
) -> DetectorSnr:
    rate, start = float(series.sample_rate.value), float(series.t0.value)
    delta_f = rate / series.size
    from scipy.signal.windows import tukey

    # Half a second each side, inside what is cut off below: else the jump from the last sample to the first rings.
    taper = tukey(series.size, alpha=min(1.0, rate / series.size))
    strain = np.fft.rfft(series.value * taper) / rate
    output = filter_kernels.matched_filter(template, strain, psd, delta_f, f_min, f_max)
    offset = gps - start
    peak = output.peak(offset - window, offset + window)
    chisq, dof = chisq_kernels.power_chisq(
        template, strain, psd, delta_f, f_min, n_bins, np.array([peak.time / output.delta_t]), f_high=f_max
    )
    keep = whiten_kernels.valid_slice(series.size, rate, 2 * filter_duration)
    from gwpy.timeseries import TimeSeries

    snr = TimeSeries(output.snr[keep], t0=start + keep.start / rate, sample_rate=rate, name=series.name)
    return DetectorSnr(
        snr=snr,
        peak_snr=abs(peak.snr),
        time=start + peak.time,
        phase=float(np.angle(peak.snr)),
        chisq_per_dof=float(chisq[0]) / dof,
        sigma=output.sigma,
    )


def _template(
    template: np.ndarray | WaveformModel, parameters: Mapping[str, float] | None, n: int, rate: float, f_min: float
) -> np.ndarray:
    """One-sided transform (n // 2 + 1,) of the template for `n` samples of data."""
    if isinstance(template, np.ndarray):
        if parameters is not None:
            raise ConfigError("parameters belong to a waveform model: the template given is an array, leave them out")
        m = 2 * (template.size - 1)
        if template.ndim != 1 or not np.iscomplexobj(template) or m < 2 or m > n:
            raise ConfigError(
                f"template of shape {template.shape}, {template.dtype}: need a complex one-sided transform of 2 to {n} "
                f"samples at {rate:g} Hz"
            )
        if m == n:
            return template.astype(np.complex128)
        # The peak is at t = 0 and the inspiral wraps around the end: lengthen in the middle.
        short = np.fft.irfft(template, m)
        longer = np.zeros(n)
        longer[: m // 2], longer[n - (m - m // 2) :] = short[: m // 2], short[m // 2 :]
        return np.fft.rfft(longer)
    if not isinstance(template, WaveformModel):
        raise ConfigError(f"template is {type(template).__name__}: give a numpy array or a waveform model")
    if parameters is None:
        raise ConfigError("a waveform model as template needs parameters: mass_1, mass_2, chi_1, chi_2")
    return evaluate(template, parameters, Grid(n / rate, rate, f_min))


def _require_margin(data: StrainData, name: str, series: TimeSeries, margin: float, what: str) -> None:
    start = float(series.t0.value)
    end = start + series.size / data.sampling_frequency
    if not start + margin < data.gps < end - margin:
        raise DataError(
            f"{name}: {what} needs {margin:g} s without a gap on both sides of GPS {data.gps:.3f}; "
            f"there are {data.gps - start:.2f} s before and {end - data.gps:.2f} s after; use more data"
        )
