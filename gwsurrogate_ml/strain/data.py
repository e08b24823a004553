"""StrainData: the strain of several detectors around one event, checked once, with its true start times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.arguments import finite, positive
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.channels import strain_scale
from gwsurrogate_ml.strain.detectors import require_known
from gwsurrogate_ml.strain.gates import MAX_STUCK, constant, require_moving, stuck_fraction
from gwsurrogate_ml.strain.notches import notched
from gwsurrogate_ml.strain.quality import Mark
from gwsurrogate_ml.strain.rates import USABLE, to_lowest_rate
from gwsurrogate_ml.strain.read import Paths, make_series, read_marked
from gwsurrogate_ml.strain.segment import AnalysisSegment, make_segment
from gwsurrogate_ml.strain.spectrum import MIN_OFF_SOURCE, PsdSource, off_source_psd, tapered, trim
from gwsurrogate_ml.strain.times import gps_seconds

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries


@dataclass(frozen=True, eq=False, repr=False)
class StrainData:
    """Strain of one or more detectors, at one rate, that holds the time of an event.

    Attributes
    ----------
    series : dict of gwpy.timeseries.TimeSeries
        by detector name, in the order given; all that was read, float64, NaN in gaps; start times are the data's own
    gps : float, GPS s
        nominal time of the event, inside the data of each detector
    name : str
        of the event, for titles and file names
    flags : tuple of str
        what speaks against trusting these data, a sentence each: every result made from them carries it
    marks : tuple of Mark
        stretches that fail a weaker veto or hold a hardware injection: a segment that one touches is flagged

    Raises
    ------
    DataError
        if a detector is unknown, rates differ, or `gps` lies outside the data (the message gives the span)

    Examples
    --------
    >>> from gwpy.timeseries import TimeSeries
    >>> noise = TimeSeries(1e-21 * np.random.default_rng(0).normal(size=32 * 2048), t0=1126259446, sample_rate=2048)
    >>> data = StrainData.from_series({"H1": noise}, gps=1126259462.4)
    >>> data
    StrainData(GPS 1126259462.400; H1: 32 s at 2048 Hz)
    >>> data.segment().strain.shape
    (1, 4097)
    """

    series: dict[str, TimeSeries]
    gps: float
    name: str = ""
    flags: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()

    def __repr__(self) -> str:
        of_each = ", ".join(f"{name}: {s.size / self.sampling_frequency:g} s" for name, s in self.series.items())
        said = "".join(f"; {flag.partition(':')[0]}" for flag in self.flags)
        named = f"{self.name}, " if self.name else ""
        return f"StrainData({named}GPS {self.gps:.3f}; {of_each} at {self.sampling_frequency:g} Hz{said})"

    def __post_init__(self) -> None:
        if not self.series:
            raise ConfigError("no detectors: give at least one, such as H1")
        require_known(self.detectors)
        finite(self.gps, "gps", "GPS s")
        rates = {name: float(series.sample_rate.value) for name, series in self.series.items()}
        if max(rates.values()) - min(rates.values()) > 1e-6 * max(rates.values()):
            listed = ", ".join(f"{name} {rate:g} Hz" for name, rate in rates.items())
            raise DataError(f"detectors have different rates ({listed}): bring them to the lowest by rates.to_lowest_rate")
        for name, series in self.series.items():
            start = float(series.t0.value)
            end = start + series.size / rates[name]
            if not start <= self.gps < end:
                raise DataError(
                    f"{name}: GPS {self.gps:.3f} lies outside the data, which span {start:.3f} to {end:.3f}; "
                    "check the time or read another file"
                )

    @property
    def detectors(self) -> tuple[str, ...]:
        """Names of the detectors, in the order given."""
        return tuple(self.series)

    @property
    def sampling_frequency(self) -> float:
        """Samples a second (Hz), the same for all detectors."""
        return float(next(iter(self.series.values())).sample_rate.value)

    @classmethod
    def from_series(cls, series: Mapping[str, TimeSeries], gps: float, name: str = "") -> StrainData:
        """From gwpy TimeSeries by detector name (strain, gaps as NaN) and the event's GPS time in s.

        Series of different rates are brought to the lowest; see `rates`.

        Raises
        ------
        DataError
            if a detector is unknown, a series has a unit other than strain's, a rate is no whole multiple of the lowest, or `gps`
            lies outside the data
        ConfigError
            if something is no series
        """
        require_known(tuple(series))
        clean = {}
        for d, s in series.items():
            if not hasattr(s, "sample_rate") or not hasattr(s, "t0"):
                raise ConfigError(
                    f"{d}: a {type(s).__name__} does not know its times: give a gwpy TimeSeries, or read a file by from_files"
                )
            if np.iscomplexobj(s.value) or np.ndim(s.value) != 1:
                raise DataError(f"{d}: the series is {s.value.dtype} of shape {s.value.shape}: give real strain (n,)")
            scale = strain_scale(getattr(s, "unit", None), d, "the series")
            clean[d] = make_series(scale * np.asarray(s.value, np.float64), float(s.t0.value), float(s.sample_rate.value), d)
        return cls(to_lowest_rate(clean), gps_seconds(gps), name)

    @classmethod
    def from_files(
        cls,
        files: Mapping[str, Paths],
        gps: float | str,
        *,
        name: str = "",
        sampling_frequency: float | None = None,
        start_time: float | None = None,
        channels: Mapping[str, str] | None = None,
    ) -> StrainData:
        """From the files of each detector: HDF5, GWF, text, npy or npz, as the suffix says (see `read.read_strain`).

        Several files of one detector are joined in time, gaps are NaN; of long series of files the part within `join.NEAR` of the
        event is kept. Detectors of different rates are brought to the lowest; see `rates`.

        Parameters
        ----------
        files : mapping
            detector name to path, or to a sequence of paths
        gps : float, GPS s, or str
            time of the event; also a date in UTC, such as "2015-09-14T09:50:45"
        name : str
            of the event
        sampling_frequency, start_time : float, Hz and GPS s, optional
            where the files hold strain alone
        channels : mapping, optional
            detector name to channel (GWF), dataset (HDF5) or column (text), where the name alone does not tell which is the strain

        Raises
        ------
        DataError
            if a file is missing, empty, truncated, another detector's, in units other than strain's, or given twice, a rate
            is no whole multiple of the lowest, or `gps` lies outside the data
        ConfigError
            if a suffix is unknown, or a file without times comes without `sampling_frequency` and `start_time`
        """
        require_known(tuple(files))
        gps = gps_seconds(gps)
        read = {
            detector: read_marked(
                path,
                detector,
                sampling_frequency=sampling_frequency,
                start_time=start_time,
                channel=(channels or {}).get(detector),
                gps=gps,
            )
            for detector, path in files.items()
        }
        series = {detector: found for detector, (found, _) in read.items()}
        require_distinct(series)
        series = to_lowest_rate(series)
        return cls(series, gps, name, marks=tuple(mark for _, found in read.values() for mark in found))

    @classmethod
    def from_gwosc(cls, event: str, detectors: Iterable[str] | None = None, **options: Any) -> StrainData:
        """Public strain around an event of the Gravitational Wave Open Science Center, by the event's name.

        Files are kept in the user's cache with their checksums and are read from there afterwards.

        Parameters
        ----------
        event : str
            such as "GW150914"
        detectors : iterable of str, optional
            all that have data of the event where left out
        **options
            `attempts`, `backoff` and `cache` of `gwosc.fetch_event`

        Raises
        ------
        DataError
            if the network cannot be reached, the event is unknown, or a detector has no data of it
        """
        from gwsurrogate_ml.strain.gwosc import fetch_event

        wanted = None if detectors is None else tuple(detectors)
        if wanted is not None:
            require_known(wanted)
        gps, files = fetch_event(event, wanted, **options)
        return cls.from_files(files, gps, name=event)

    def segment(
        self,
        duration: float = 4.0,
        post_trigger: float = 2.0,
        f_min: float = 20.0,
        f_max: float = 1024.0,
        roll_off: float = 0.4,
        psd: PsdSource | Mapping[str, PsdSource] | None = None,
        psd_span: float | None = None,
        extend: bool = False,
        smooth: bool = True,
    ) -> AnalysisSegment:
        """The segment a likelihood sees: ends `post_trigger` s after the event, Tukey-windowed, transformed, with PSDs.

        Parameters
        ----------
        duration, post_trigger : float, s
        f_min, f_max : float, Hz
            the band; f_max at most the Nyquist frequency
        roll_off : float, s
            rise time of the Tukey window, alpha = 2 roll_off / duration
        psd : source, or mapping of detector to source, optional
            (frequencies, PSD) arrays, a file or the name of a curve (see `spectrum.load_psd`); where left out, the
            median Welch PSD of the data around the segment, 4 s at a time (the duration where shorter), under the
            same Tukey window, smoothed between its lines (see `smooth`). Any is infinite where a notch was cut out of the data
            (see `notches`), where a low-pass filter was (see `lowpass`), and where a high-pass filter left too little; what that
            left more of is undone (see `highpass`)
        psd_span : float, s, optional
            use off-source data at most half of this away from the segment's middle; default: 256 s, or 128 s more than `duration`
        extend : bool
            where the data are sampled at less than twice f_max, use them up to 92 % of their Nyquist frequency (filters against
            aliasing bend the rest) and let the segment hold nothing from there to f_max, rather than refuse
        smooth : bool
            False leaves the scatter of few periodograms in a measured spectrum

        Returns
        -------
        AnalysisSegment

        Notes
        -----
        A PSD from few stretches scatters. Its mean effect is corrected for: E[1/PSD] is 1/S (see `scatter`). The weights would
        still scatter, which makes the variance of an estimate larger than the likelihood claims: by 30 % from 32 s of data, 10 %
        from 64 s, 4 % from 128 s (measured on simulated noise). Smoothing leaves a quarter of that. Read longer files where there
        are any; `AnalysisSegment.psd_segments` tells how many periodograms went in. A PSD given is taken as it is but
        for frequencies that a filter took.

        Raises
        ------
        DataError
            if the segment sticks out of the data, touches a gap, is constant or saturated, the PSD does not cover the
            band, or too little off-source data is there to make one
        ConfigError
            if a setting is impossible
        """
        duration, f_max = positive(duration, "duration", "s"), finite(f_max, "f_max", "Hz")
        reach = f_max
        if extend and f_max > 0.5 * self.sampling_frequency:
            reach = np.floor(USABLE * 0.5 * self.sampling_frequency * duration) / duration
        post_trigger, roll_off = finite(post_trigger, "post_trigger", "s"), finite(roll_off, "roll_off", "s")
        f_min = finite(f_min, "f_min", "Hz")
        psd_span = max(256.0, duration + 128.0) if psd_span is None else positive(psd_span, "psd_span", "s")
        segment = make_segment(self, duration, post_trigger, f_min, float(reach), roll_off, psd, psd_span, smooth)
        return segment if reach == f_max else segment.extended(f_max)

    def stretch(self, detector: str, span: float = 64.0) -> TimeSeries:
        """Data of one detector around the event without a gap: at most `span` s, whole seconds where longer than one. Where much of
        that is constant, as filled gaps are, constant stretches are gaps too.

        Raises
        ------
        DataError
            if the event's sample is in a gap, or the stretch is constant or saturated
        """
        series, rate = self.series[detector], self.sampling_frequency
        span = positive(span, "span", "s")
        event = int((self.gps - float(series.t0.value)) * rate)
        gap = ~np.isfinite(series.value)
        if gap[event]:
            raise DataError(f"{detector}: GPS {self.gps:.3f} lies in a gap of the data; leave the detector out")

        def without(gap: np.ndarray) -> TimeSeries:
            bad = np.flatnonzero(gap)
            position = int(np.searchsorted(bad, event))
            begin = max(bad[position - 1] + 1 if position else 0, event - round(span * rate / 2), 0)
            end = min(bad[position] if position < bad.size else series.size, event + round(span * rate / 2))
            second = round(rate)
            return series[begin : begin + ((end - begin) // second * second or (end - begin) // 2 * 2)]

        piece = without(gap)
        if stuck_fraction(piece.value) > MAX_STUCK and not (stuck := constant(series.value))[event]:
            piece = without(gap | stuck)
        if piece.size > 1:
            require_moving(piece.value, detector, f"around GPS {self.gps:.3f}")
        return piece

    def notches(self, detector: str, f_min: float, f_max: float, span: float = 256.0) -> list[tuple[float, float]]:
        """Bands (low, high) in Hz that were cut out of one detector's data about the event, see `notches`; none where there are
        too few to tell."""
        series = self.series[detector]
        return notched(series.value, self.sampling_frequency, float(series.t0.value), self.gps, span, f_min, f_max)

    def whiten(self, **options: Any) -> dict[str, TimeSeries]:
        """Whitened strain around the event by detector, corrupted edges cut off; options of `filtering.whiten`."""
        from gwsurrogate_ml.strain.filtering import whiten

        return whiten(self, **options)

    def off_source_psd(
        self,
        detector: str,
        exclude: tuple[float, float],
        *,
        segment_duration: float = 4.0,
        span: float = 256.0,
        roll_off: float | None = None,
        at_least: int = MIN_OFF_SOURCE,
    ) -> tuple[tuple[np.ndarray, np.ndarray], int]:
        """Median Welch PSD of one detector outside an interval, as ((frequencies, psd), periodograms used).

        Scaled so that its inverse is right on average (see `spectrum.off_source_psd`).

        Parameters
        ----------
        detector : str
        exclude : (start, end), GPS s
        segment_duration : float, s
            of one periodogram
        span : float, s
            use data at most half of this away from the middle of `exclude`
        roll_off : float, s, optional
            rise time of a Tukey window; Hann where left out. Strong lines leak under a Tukey window: data windowed so
            need a PSD windowed so (on GW150914, L1's violin modes exceed a Hann PSD by factors of 1000)
        at_least : int
            periodograms needed

        Returns
        -------
        (frequencies, psd) : float64, Hz and 1/Hz
        count : int
        """
        series = self.series[detector]
        window: str | np.ndarray = "hann"
        if roll_off is not None:
            window = tapered(segment_duration, self.sampling_frequency, roll_off)
        frequencies, psd, count = off_source_psd(
            series.value,
            self.sampling_frequency,
            float(series.t0.value),
            exclude=exclude,
            segment_duration=segment_duration,
            span=span,
            window=window,
            detector=detector,
            at_least=at_least,
        )
        return trim(frequencies, psd, detector), count


def require_distinct(series: Mapping[str, TimeSeries]) -> None:
    """Raise DataError where two detectors have the same noise, sample by sample: one file was given for both."""
    for (one, first), (other, second) in combinations(series.items(), 2):
        a, b = np.asarray(first.value), np.asarray(second.value)
        # A look at the start spares comparing long series; dead channels are refused elsewhere, for what they are.
        same = a.size == b.size and all(np.array_equal(a[s], b[s], equal_nan=True) for s in (slice(64), slice(None)))
        if same and np.unique(a[np.isfinite(a)][:64]).size > 1:
            raise DataError(f"{one} and {other} hold the same samples: one file was given for both; give each its own")
