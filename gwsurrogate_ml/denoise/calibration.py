"""Calibration of a signal denoiser: temperature by the coverage of its bands, thresholds by what noise does.

Also the figures of merit: overlap, amplitude error, coverage, each beside the projection on the true waveform.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.denoise.bank import Bank
from gwsurrogate_ml.denoise.signal import DURATION, SEARCH, Reconstruction, SignalDenoiser
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.psd import inverse_spectrum_truncation, median_bias, welch

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

TEMPERATURES = (0.0, 0.001, 0.002, 0.004, 0.008)
RATE = 1024.0
FILTER = 2.0
"""Length of the whitening filter, s."""
LINE = 1.5
"""Noise power in whitened data above which a frequency is taken for a line's, and weighted down."""
STRONG = 0.1
"""Bands are judged where the signal exceeds this fraction of its maximum."""


@dataclass(frozen=True)
class Segment:
    """A whitened segment of noise: transform (n_f,) over sqrt(psd), and the PSD (n_f,), on the denoiser's frequencies."""

    white: np.ndarray
    psd: np.ndarray


@dataclass(frozen=True)
class Figures:
    """How well a known signal came out.

    Parameters
    ----------
    overlap : normalised inner product of reconstruction and signal in the whitened band
    amplitude_error : |norm of the reconstruction / norm of the signal - 1|
    coverage : fraction of times at which the signal lies within one sigma, where it is strong
    bound : overlap of the true waveform's own matched-filter projection, amplitude and phase fitted: 1 but for numerics;
        its amplitude error is `bound_amplitude_error`
    """

    overlap: float
    amplitude_error: float
    coverage: float
    bound: float
    bound_amplitude_error: float
    probability: float
    ood: float


def gaussian(denoiser: SignalDenoiser, psd: np.ndarray, rng: np.random.Generator) -> Segment:
    """A segment of Gaussian noise with a given PSD."""
    n = denoiser.frequencies.size
    white = (rng.standard_normal(n) + 1j * rng.standard_normal(n)) * np.sqrt(0.25 * DURATION)
    return Segment(white, psd)


def inject(
    denoiser: SignalDenoiser, segment: Segment, waveform: np.ndarray, snr: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Data and signal (n_f,), both whitened: a waveform at a random time and phase, scaled to an optimal SNR."""
    white = waveform / np.sqrt(segment.psd)
    white = white / np.sqrt(4.0 / DURATION * np.sum(np.abs(white) ** 2))
    time = rng.uniform(SEARCH[0] + 0.2, SEARCH[1] - 0.2)
    turn = np.exp(-2j * np.pi * denoiser.frequencies * time + 2j * np.pi * rng.random())
    signal = snr * white * turn
    return segment.white + signal, signal


def judge(denoiser: SignalDenoiser, segment: Segment, data: np.ndarray, signal: np.ndarray, seed: int = 0) -> Figures:
    """Denoise data that hold a known signal, and compare."""
    r = denoiser.reconstruct(data, segment.psd, RATE, seed=seed)
    truth = denoiser.series(signal[None], RATE)[0]
    strong = np.abs(truth) > STRONG * np.abs(truth).max()
    norm = 4.0 / DURATION * np.sum(np.abs(signal) ** 2)
    projection = 4.0 / DURATION * np.sum(np.conj(signal) * data) / norm  # complex: amplitude and phase
    bound = denoiser.series((projection * signal)[None], RATE)[0]
    return Figures(
        _overlap(r.signal, truth),
        abs(float(np.linalg.norm(r.signal) / np.linalg.norm(truth)) - 1.0),
        float(np.mean(np.abs(r.signal - truth)[strong] < r.sigma[strong])),
        _overlap(bound, truth),
        abs(abs(projection) - 1.0),
        r.probability,
        r.ood,
    )


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-300))


def calibrate(
    denoiser: SignalDenoiser,
    injections: Bank,
    noise: Sequence[Segment],
    *,
    snrs: Sequence[float] = (12.0, 20.0),
    false_alarms: float = 0.005,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Set the denoiser's temperature and thresholds; returns what they were set by.

    Parameters
    ----------
    denoiser : SignalDenoiser
        its card is changed
    injections : Bank
        waveforms that are not in the denoiser's own bank
    noise : sequence of Segment
        real or simulated, without signals; not to be used in any test
    snrs : of the injections
    false_alarms : float
        probability that the odds pass one half in a segment of noise; beyond what the sample resolves, the tail of the log
        Bayes factors is continued as an exponential of unit rate, its form in Gaussian noise
    """
    rng = np.random.default_rng(seed)
    waveforms = injections.evaluate(denoiser.frequencies)
    denoiser.card["threshold"] = -1e3  # every injection counts
    coverage: dict[float, list[float]] = {temperature: [] for temperature in TEMPERATURES}
    total = len(waveforms) * len(snrs)
    for i in range(total):
        segment = noise[int(rng.integers(len(noise)))]
        data, signal = inject(denoiser, segment, waveforms[i // len(snrs)], snrs[i % len(snrs)], rng)
        for temperature in TEMPERATURES:
            denoiser.card["temperature"] = temperature
            coverage[temperature].append(judge(denoiser, segment, data, signal).coverage)
        if progress:
            progress("calibrating the bands", i + 1, total)
    means = {temperature: float(np.mean(values)) for temperature, values in coverage.items()}
    denoiser.card["temperature"] = min(means, key=lambda temperature: abs(means[temperature] - 0.68))
    quiet: list[Reconstruction] = []
    for i, segment in enumerate(noise):
        denoiser.card["threshold"] = 1e3  # nothing is subtracted before the residual is judged
        quiet.append(denoiser.reconstruct(segment.white, segment.psd, RATE, n_draws=2))
        if progress:
            progress("calibrating the thresholds", i + 1, len(noise))
    bayes = np.sort([r.log_bayes for r in quiet])
    level = float(np.quantile(bayes, 0.9))  # P(log B > x) falls by e for every unit of x
    denoiser.card["threshold"] = float(max(level + np.log(0.1 / false_alarms), np.quantile(bayes, 1 - false_alarms)))
    denoiser.card["ood_threshold"] = float(np.quantile([r.ood for r in quiet], 0.99))
    return {"coverage": means, "n_noise": len(noise), "n_injections": total, "false_alarms": false_alarms}


def noise_segments(
    denoiser: SignalDenoiser,
    series: TimeSeries,
    exclude: Sequence[tuple[float, float]] = (),
    hop: float = SEARCH[1] - SEARCH[0],
) -> list[Segment]:
    """Whitened segments of a real series, those that touch a gap or an excluded interval left out.

    Parameters
    ----------
    denoiser : SignalDenoiser, for its frequencies
    series : gwpy TimeSeries of strain, at least 960 Hz
    exclude : sequence of (start, end), GPS s, such as known signals
    hop : float, s, between segments

    Raises
    ------
    DataError
        if fewer than four segments are left
    """
    rate, start = float(series.sample_rate.value), float(series.t0.value)
    usable = _clear_of_gaps(np.isfinite(series.value), round(0.5 * FILTER * rate))
    for low, high in exclude:
        usable[max(0, round((low - start) * rate)) : max(0, round((high - start) * rate))] = False
    white = whitened(denoiser, series)
    size = round(DURATION * rate)
    starts = [a for a in range(0, white.values.size - size + 1, round(hop * rate)) if usable[a : a + size].all()]
    if len(starts) < 4:
        raise DataError(
            f"{series.name}: {len(starts)} usable segments of {DURATION:g} s, 4 are needed: give a longer series"
        )
    return [white.segment(denoiser, a) for a in starts]


@dataclass(frozen=True)
class Whitened:
    """A whole series whitened, (n,) at `rate` (Hz); `psd` and `excess` (n_f,) on the denoiser's frequencies.

    `excess` is what lines leave behind after a whitening filter too short to resolve them: segments are divided by it, and it
    is part of `psd`, with which waveforms are to be whitened.
    """

    values: np.ndarray
    rate: float
    psd: np.ndarray
    excess: np.ndarray

    def segment(self, denoiser: SignalDenoiser, first: int) -> Segment:
        """The segment that begins at sample `first`."""
        piece = self.values[first : first + round(DURATION * self.rate)]
        return Segment(denoiser.transform(piece, self.rate) / np.sqrt(self.excess), self.psd)


def whitened(denoiser: SignalDenoiser, series: TimeSeries) -> Whitened:
    """Whiten a series: median Welch, its inverse truncated to FILTER in the time domain, then what lines leave behind.

    Lines are taken out before any segment is cut, so that they do not leak. Half of FILTER is corrupt at each end and about
    gaps.

    Raises
    ------
    DataError
        if the series is too short for a PSD
    """
    rate = float(series.sample_rate.value)
    values = np.asarray(series.value, np.float64)
    # The seismic wall would leak through the PSD's window.
    f = np.arange(values.size // 2 + 1) * rate / values.size
    wall = 0.5 - 0.5 * np.cos(np.pi * np.clip((f - 12.0) / 6.0, 0.0, 1.0))
    spectrum = fft.rfft(np.where(np.isfinite(values), values, 0.0)) * wall
    _, psd = welch(fft.irfft(spectrum, values.size), rate, DURATION)
    smooth = inverse_spectrum_truncation(np.maximum(psd, 1e-12 * psd.max()), 1.0 / DURATION, FILTER, 18.0)
    gain = np.interp(f, np.arange(smooth.size) / DURATION, 1.0 / np.sqrt(smooth))
    white = fft.irfft(spectrum * gain, values.size) * np.sqrt(2.0 / rate)
    first = round(denoiser.frequencies[0] * DURATION)
    size, edge = round(DURATION * rate), round(0.5 * FILTER * rate)
    starts = range(edge, values.size - edge - size + 1, size // 2)
    if len(starts) < 4:
        raise DataError(f"{series.name}: {values.size / rate:g} s are too short for a PSD, give at least 12 s")
    power = [np.abs(denoiser.transform(white[a : a + size], rate)) ** 2 for a in starts]
    ratio = np.median(power, axis=0) / median_bias(len(starts)) / (0.5 * DURATION)
    # Averaged over 1.25 Hz, as single bins scatter; only clear excesses count.
    ratio = np.convolve(ratio, np.ones(5) / 5, "same")
    excess = np.where(ratio > LINE, ratio, 1.0)
    return Whitened(white, rate, smooth[first : first + denoiser.frequencies.size] * excess, excess)


def _clear_of_gaps(usable: np.ndarray, reach: int) -> np.ndarray:
    """(n,) bool: all usable within reach samples, and no closer to the ends than that."""
    bad = np.concatenate([[0], np.cumsum(~usable)])
    n, index = usable.size, np.arange(usable.size)
    low, high = np.maximum(index - reach, 0), np.minimum(index + reach + 1, n)
    return np.asarray((bad[high] == bad[low]) & (index >= reach) & (index < n - reach))
