"""Calibration of a signal denoiser: temperature by the coverage of its bands, thresholds by what noise does.

Also the figures of merit: overlap, amplitude error, coverage, each beside the projection on the true waveform.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.denoise.bank import Bank
from gwsurrogate_ml.denoise.signal import DURATION, SEARCH, TAPER, Reconstruction, SignalDenoiser
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.psd import median_bias

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

TEMPERATURES = (0.0, 0.001, 0.002, 0.004, 0.008)
RATE = 1024.0
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
    margin: float = 0.0,
) -> list[Segment]:
    """Whitened segments of a real series, those that touch a gap or an excluded interval left out.

    Parameters
    ----------
    denoiser : SignalDenoiser, for its frequencies
    series : gwpy TimeSeries of strain, at least 960 Hz
    exclude : sequence of (start, end), GPS s, such as known signals
    hop : float, s, between segments
    margin : float, s, at both ends that is not used

    Raises
    ------
    DataError
        if fewer than four segments are left
    """
    rate, start = float(series.sample_rate.value), float(series.t0.value)
    values = np.asarray(series.value, np.float64)
    usable = np.isfinite(values)
    for low, high in exclude:
        usable[max(0, round((low - start) * rate)) : max(0, round((high - start) * rate))] = False
    edge = round(margin * rate)
    usable[:edge] = usable[usable.size - edge :] = False
    values = _without_wall(values, rate)
    size = round(DURATION * rate)
    starts = [a for a in range(0, values.size - size + 1, round(hop * rate)) if usable[a : a + size].all()]
    if len(starts) < 4:
        raise DataError(
            f"{series.name}: {len(starts)} usable segments of {DURATION:g} s, 4 are needed: give a longer series"
        )
    first = round(denoiser.frequencies[0] * DURATION)
    bins = slice(first, first + denoiser.frequencies.size)
    hann = np.hanning(size) / np.sqrt(0.375)
    power = [np.abs(fft.rfft(values[a : a + size] * hann)[bins] / rate) ** 2 for a in starts]
    psd = np.median(power, axis=0) / median_bias(len(starts)) * 2.0 / DURATION
    return [Segment(_tapered(values, a, size, rate)[bins] / np.sqrt(psd), psd) for a in starts]


def one_segment(denoiser: SignalDenoiser, series: TimeSeries, first: int, psd: np.ndarray) -> Segment:
    """The segment from sample `first` of a series on, whitened with `psd` (n_f,), conditioned as `noise_segments`."""
    rate = float(series.sample_rate.value)
    values = _without_wall(np.asarray(series.value, np.float64), rate)
    low = round(denoiser.frequencies[0] * DURATION)
    spectrum = _tapered(values, first, round(DURATION * rate), rate)[low : low + denoiser.frequencies.size]
    return Segment(spectrum / np.sqrt(psd), psd)


def _without_wall(values: np.ndarray, rate: float) -> np.ndarray:
    """Series without what lies below 12 Hz, smoothly up to 18 Hz: the seismic wall would leak through the taper."""
    f = np.arange(values.size // 2 + 1) * rate / values.size
    wall = 0.5 - 0.5 * np.cos(np.pi * np.clip((f - 12.0) / 6.0, 0.0, 1.0))
    return fft.irfft(fft.rfft(np.where(np.isfinite(values), values, 0.0)) * wall, values.size)


def _tapered(values: np.ndarray, first: int, size: int, rate: float) -> np.ndarray:
    from scipy.signal.windows import tukey

    return fft.rfft(values[first : first + size] * tukey(size, 2.0 * TAPER / DURATION)) / rate
