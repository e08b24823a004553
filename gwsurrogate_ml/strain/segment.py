"""The stretch of data a likelihood sees: windowed, transformed, with its PSD, as bilby (2.6 and later) holds it.

``d(f) = rfft(w x) / f_s`` with a Tukey window w (alpha = 2 roll_off / duration) and no factor for the power it takes
away: older versions of bilby had one, which scaled the likelihood by 1 - 5 alpha / 8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain import notches
from gwsurrogate_ml.strain.amplitude import unusual_scale
from gwsurrogate_ml.strain.detectors import interferometer
from gwsurrogate_ml.strain.gates import gated, require_moving
from gwsurrogate_ml.strain.highpass import without_filtered
from gwsurrogate_ml.strain.lowpass import clear_to
from gwsurrogate_ml.strain.quality import sentences
from gwsurrogate_ml.strain.smooth import smoothed
from gwsurrogate_ml.strain.spectrum import ROUGH, PsdSource, per_detector, psd_on_grid, tapered

if TYPE_CHECKING:
    from gwsurrogate_ml.strain.data import StrainData

NO_WEIGHT = 1.0
"""PSD (1/Hz) that stands for an infinite one where only finite values are taken: far above any noise's."""


@dataclass(frozen=True, eq=False)
class AnalysisSegment:
    """Frequency-domain data and PSDs of one segment in one band, detectors first.

    Attributes
    ----------
    detectors : tuple of str, length n_det
    gps : float, GPS s
        nominal time of the event
    start_time : float, GPS s
        time of the first sample, the zero of the phases of `strain`
    duration : float, s
    f_min, f_max : float, Hz
        the band; `frequencies` ends at f_max
    roll_off : float, s
        rise time of the Tukey window
    frequencies : (n_f,) float64, Hz
        0 to f_max inclusive in steps of 1/duration
    strain : (n_det, n_f) complex128, 1/Hz
        transform of the windowed strain; not zeroed outside the band
    psd : (n_det, n_f) float64, 1/Hz
        one-sided; inf where unusable
    mask : (n_f,) bool
        f_min <= f <= f_max, bilby's frequency_mask
    psd_segments : tuple of int, length n_det
        periodograms behind each PSD; 0 where the PSD was given
    flags : tuple of str
        what speaks against trusting these data, a sentence each: every result made from them carries it
    filtered_below : tuple of float, length n_det, or none, Hz
        where the data of a detector had been high-passed below: strain and PSD are those before the filter, as far as they are used
    """

    detectors: tuple[str, ...]
    gps: float
    start_time: float
    duration: float
    f_min: float
    f_max: float
    roll_off: float
    frequencies: np.ndarray
    strain: np.ndarray
    psd: np.ndarray
    mask: np.ndarray
    psd_segments: tuple[int, ...] = ()
    flags: tuple[str, ...] = ()
    filtered_below: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        n_det, n_f = len(self.detectors), len(self.frequencies)
        shapes = (("strain", (n_det, n_f)), ("psd", (n_det, n_f)), ("mask", (n_f,)))
        for name, wanted in shapes:
            if (found := np.shape(getattr(self, name))) != wanted:
                raise DataError(f"{name} of the segment has shape {found}: {n_det} detectors and {n_f} frequencies need {wanted}")

    @property
    def sampling_frequency(self) -> float:
        """Rate (Hz) at which a waveform's transform has these frequencies: 2 f_max, which may be below the data's."""
        return 2 * self.f_max

    def extended(self, f_max: float) -> AnalysisSegment:
        """The same data on frequencies up to a higher `f_max` (Hz), where nothing is known: PSD infinite, mask False."""
        n = round(f_max * self.duration) + 1 - len(self.frequencies)
        pad = ((0, 0), (0, n))
        return replace(
            self,
            f_max=f_max,
            frequencies=np.arange(len(self.frequencies) + n) / self.duration,
            strain=np.pad(self.strain, pad),
            psd=np.pad(self.psd, pad, constant_values=np.inf),
            mask=np.pad(self.mask, (0, n)),
        )

    def noise_log_likelihood(self) -> float:
        """Whittle log likelihood of the data being noise, -(1/2) sum 4 df |d|^2 / S over the band: bilby's value."""
        power = np.abs(self.strain[:, self.mask]) ** 2 / self.psd[:, self.mask]
        return float(-2.0 / self.duration * np.sum(power))

    def whitened(self, strain: np.ndarray | None = None) -> np.ndarray:
        """Strain divided by the ASD, in the band, in the time domain.

        Parameters
        ----------
        strain : (..., n_det, n_f) complex, 1/Hz, optional
            detector strain to whiten, such as a template's; the data where left out

        Returns
        -------
        (..., n_det, n_t) float64, n_t = 2 f_max duration
            noise that filled the whole band up to f_max would have unit variance; sample 0 lies at `start_time`
        """
        strain = self.strain if strain is None else strain
        n = 2 * (self.frequencies.size - 1)
        weight = np.where(self.mask, np.sqrt(2.0 * n / self.duration / self.psd), 0.0)
        return np.fft.irfft(strain * weight, n=n, axis=-1)

    def to_bilby(self) -> Any:
        """A bilby InterferometerList with this strain, these PSDs, this band and these times.

        Its sampling frequency is 2 f_max, so that its frequency array is `frequencies`.
        """
        from bilby.gw.detector import InterferometerList, PowerSpectralDensity

        interferometers = []
        for name, strain, psd in zip(self.detectors, self.strain, self.psd, strict=True):
            detector = interferometer(name)
            detector.minimum_frequency, detector.maximum_frequency = self.f_min, self.f_max
            detector.strain_data.roll_off = self.roll_off
            detector.set_strain_data_from_frequency_domain_strain(
                strain.copy(),
                sampling_frequency=self.sampling_frequency,
                duration=self.duration,
                start_time=self.start_time,
            )
            # bilby interpolates linearly, and inf in an interval makes NaN of its finite end: give what is between the first and
            # the last finite bin, with no weight where a notch is. Beyond, bilby itself puts inf.
            finite = np.flatnonzero(np.isfinite(psd))
            inside = slice(finite[0], finite[-1] + 1)
            curve = np.where(np.isfinite(psd), psd, NO_WEIGHT)[inside]
            detector.power_spectral_density = PowerSpectralDensity(frequency_array=self.frequencies[inside], psd_array=curve)
            interferometers.append(detector)
        return InterferometerList(interferometers)


def make_segment(
    data: StrainData,
    duration: float,
    post_trigger: float,
    f_min: float,
    f_max: float,
    roll_off: float,
    psd: PsdSource | Mapping[str, PsdSource] | None,
    psd_span: float,
    smooth: bool = True,
) -> AnalysisSegment:
    """Cut, window and transform the segment that ends `post_trigger` s after the event; see `StrainData.segment`."""
    rate = data.sampling_frequency
    _check_band(duration, post_trigger, f_min, f_max, roll_off, rate)
    length, n_f = round(duration * rate), round(duration * f_max) + 1
    wanted = data.gps + post_trigger - duration
    starts, pieces, flags = [], [], list(data.flags)
    for name in data.detectors:
        series = data.series[name]
        t0 = float(series.t0.value)
        # The sample at or before the wanted time, as gwpy crops; 0.01 absorbs float64's rounding of GPS times.
        begin = int(np.floor((wanted - t0) * rate + 0.01))
        if begin < 0 or begin + length > series.size:
            before, after = data.gps - t0, t0 + series.size / rate - data.gps
            raise DataError(_out_of_data(name, data.gps, before, after, duration, post_trigger, roll_off))
        piece = np.asarray(series.value[begin : begin + length], np.float64)
        _check_piece(piece, name, wanted, duration)
        if gated(piece, rate):
            flags.append(
                f"gated data: {name}'s segment holds stretches set to zero, of which the likelihood knows nothing: powers there "
                "are not the noise's, and a signal there is cut; give data without gates"
            )
        starts.append(t0 + begin / rate)
        pieces.append(piece)
    if max(starts) - min(starts) > 1e-6:
        raise DataError(
            f"{', '.join(data.detectors)}: samples are taken {max(starts) - min(starts):.2e} s apart; "
            "resample the detectors onto one time grid"
        )
    frequencies = np.arange(n_f) / duration
    counts = dict.fromkeys(data.detectors, 0)
    curves: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    if psd is not None:
        curves = per_detector(psd, data.detectors)
    else:
        of_each = min(4.0, duration)
        for name in data.detectors:
            (f, own), counts[name] = data.off_source_psd(
                name, (starts[0], starts[0] + duration), segment_duration=of_each, span=psd_span, roll_off=roll_off
            )
            curves[name] = f, smoothed(f, own, counts[name], tapered(of_each, rate, roll_off)) if smooth else own
    psds = [psd_on_grid(*curves[name], frequencies, f_min=f_min, f_max=f_max, detector=name) for name in data.detectors]
    measured: list[np.ndarray | None] = list(psds)
    if psd is not None:
        measured = [_measured(data, name, starts[0], duration, psd_span, frequencies, f_min, f_max) for name in data.detectors]
    for d, name in enumerate(data.detectors):
        if bands := data.notches(name, f_min, f_max, psd_span):
            psds[d] = notches.without(bands, frequencies, psds[d])
            measured[d] = None if (seen := measured[d]) is None else notches.without(bands, frequencies, seen)
            flags.append(
                f"filtered data: {name} holds neither noise nor signal at {notches.named(bands)}: a notch was cut out of the "
                "data; these frequencies are left out; give data as recorded"
            )
        if (own_noise := measured[d]) is not None and (end := clear_to(frequencies, own_noise)) < f_max:
            if end <= f_min:
                raise DataError(f"{name}: the data were low-passed at {end:.0f} Hz, below the band: leave the detector out")
            psds[d] = np.where(frequencies > end, np.inf, psds[d])
            flags.append(
                f"filtered data: {name}'s noise falls towards high frequencies, as no detector's does: the data were low-passed, "
                f"or decimated by a filter that begins early, with the signal in them; {name} is used up to {end:.0f} Hz; give "
                "data as recorded"
            )
    flags += [
        f"rough spectrum: {name}'s is the median of {count} periodograms, in which lines are hard to tell from scatter: this makes "
        "intervals too narrow and moves the evidence; read a longer file, one without gaps and gates, or give a PSD"
        for name, count in counts.items()
        if 0 < count < ROUGH
    ]
    from scipy.signal.windows import tukey

    window = tukey(length, alpha=2 * roll_off / duration)
    segment = AnalysisSegment(
        detectors=data.detectors,
        gps=data.gps,
        start_time=starts[0],
        duration=duration,
        f_min=f_min,
        f_max=f_max,
        roll_off=roll_off,
        frequencies=frequencies,
        strain=np.stack([np.fft.rfft(window * piece)[:n_f] / rate for piece in pieces]),
        psd=np.stack(psds),
        mask=(frequencies >= f_min) & (frequencies <= f_max),
        psd_segments=tuple(counts.values()),
    )
    segment = without_filtered(segment, measured)
    against = sentences(data.marks, starts[0], starts[0] + duration)
    return replace(segment, flags=(*flags, *segment.flags, *against, *unusual_scale(segment)))


def _measured(
    data: StrainData, name: str, start: float, duration: float, span: float, frequencies: np.ndarray, f_min: float, f_max: float
) -> np.ndarray | None:
    """The spectrum (n_f,) of a detector's data about the segment, where there are enough of them."""
    try:
        curve, _ = data.off_source_psd(
            name, (start, start + duration), segment_duration=min(4.0, duration), span=span, at_least=notches.FEWEST
        )
        return psd_on_grid(*curve, frequencies, f_min=f_min, f_max=f_max, detector=name)
    except DataError:
        return None


def _out_of_data(name: str, gps: float, before: float, after: float, duration: float, post_trigger: float, roll_off: float) -> str:
    """What to say where data from `before` s before the event to `after` s after it do not hold the segment."""
    early = duration - post_trigger
    needs, remedies = [], []
    if before < early:
        needs.append(f"begin {before:.2f} s before GPS {gps:.3f} where {early:g} s are needed")
        remedies.append(f"from GPS {gps - early:.3f} on")
    if after < post_trigger:
        needs.append(f"end {after:.2f} s after GPS {gps:.3f} where {post_trigger:g} s are needed")
        remedies.append(f"to GPS {gps + post_trigger:.3f}")
    shorter, nearer = np.floor(before + post_trigger), np.floor(10 * after) / 10
    other = ""
    # Either way the merger must stay clear of the window's flanks.
    if after >= post_trigger and shorter > post_trigger + roll_off:
        other = f", or a duration of {shorter:g} s"
    elif before >= duration - nearer and roll_off < nearer < post_trigger:
        other = f", or in Python cut the segment by StrainData.segment(post_trigger={nearer:g}) and analyse that"
    return (
        f"{name}: the segment {gps - early:.3f} to {gps + post_trigger:.3f} sticks out of the data, which {' and '.join(needs)}; "
        f"read a longer file, {' and '.join(remedies)}{other}"
    )


def _check_band(duration: float, post_trigger: float, f_min: float, f_max: float, roll_off: float, rate: float) -> None:
    if not duration > 0 or not 0 < post_trigger < duration:
        raise ConfigError(f"duration={duration:g} s and post_trigger={post_trigger:g} s: need 0 < post_trigger < duration")
    if not 0 <= roll_off <= duration / 2:
        raise ConfigError(f"roll_off={roll_off:g} s: need 0 to half of the duration {duration:g} s")
    if not 0 < f_min < f_max:
        raise ConfigError(f"f_min={f_min:g} Hz and f_max={f_max:g} Hz: need 0 < f_min < f_max")
    if f_max > rate / 2:
        raise ConfigError(
            f"f_max={f_max:g} Hz is above the Nyquist frequency {rate / 2:g} Hz of the data; set f_max (--f-max) to at most that, "
            "or use what there is by extend=True"
        )
    for name, value in (("f_max", f_max), ("sampling frequency", rate)):
        if abs(value * duration - round(value * duration)) > 1e-6:
            raise ConfigError(f"{name}={value:g} Hz is no multiple of 1/duration = {1 / duration:g} Hz; change f_max or duration")


def _check_piece(piece: np.ndarray, name: str, start: float, duration: float) -> None:
    bad = ~np.isfinite(piece)
    if bad.any():
        raise DataError(
            f"{name}: {bad.sum()} of {piece.size} samples of the segment {start:.3f} to {start + duration:.3f} are NaN "
            "or fail data quality (a gap); choose another time, a shorter duration, or leave the detector out"
        )
    require_moving(piece, name, f"of the segment at {start:.3f}")
