"""A stream's own judge: gains that drift are followed, and what raises the power in a band is switched off.

Detectors change after a fit: couplings grow and shrink, witnesses come out of step. Everything is measured over blocks that
begin with the stream, so that it does not depend on how the data were cut into frames, and acts on the blocks to come: what
is subtracted from a signal was decided before it arrived. The gain of a band is a Kalman filter's estimate of an
Ornstein-Uhlenbeck process about 1 (Kalman 1960), its innovation the regression of the block's residual on the prediction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.psd import periodic_hann

BLOCK = 4.0
"""A verdict every so many s, for the block to come."""
KEEP = 0.75
"""Share of the averaged powers that a block leaves as they were: the memory is some 16 s."""
OFF, ON = 1.05, 0.98
"""Mean ratio of powers in any band above which subtraction is switched off, and in all bands below which it returns."""
DRIFT, DRIFT_TIME = 0.15, 300.0
"""Spread of a gain about 1, and its correlation time, s. Whether a band's gain is followed at all is decided on data."""
SURPRISE = 4.0
"""An innovation counts as at most this many of its standard deviations: a glitch is no change of gain."""
HANN = 1.5
"""Variance of a mean over neighbouring bins of Hann-windowed noise, in units of that of independent ones."""


@dataclass(frozen=True)
class Watch:
    """What the judge remembers; B is the number of bands.

    Parameters
    ----------
    bands : (low, high) in Hz, those subtracted
    followed : (B,) bool, whose gain is followed
    sampling_frequency : float, Hz
    raw, counts : (m,), the unfinished block: strain, and whether it and the predictions are whole
    predicted : (B, m), what the filters predict in each band
    before, after : (n_bins,) averaged power in 1 Hz bins; empty before the first whole block
    gain, last_gain, variance : (B,), gains for this block and for the block before, and the former's variance
    trusted, was_trusted : bool, the verdict for this block and for the block before
    """

    bands: tuple[tuple[float, float], ...]
    followed: np.ndarray
    sampling_frequency: float
    raw: np.ndarray
    counts: np.ndarray
    predicted: np.ndarray
    before: np.ndarray
    after: np.ndarray
    gain: np.ndarray
    last_gain: np.ndarray
    variance: np.ndarray
    trusted: bool = True
    was_trusted: bool = True


def start(bands: Sequence[tuple[float, float]], sampling_frequency: float, followed: Sequence[bool] | np.ndarray = ()) -> Watch:
    """A judge that trusts, with gains of 1; `followed` says whose gain may change, nobody's by default."""
    n, none = len(bands), np.zeros(0)
    follow = np.asarray(followed, bool) if len(followed) else np.zeros(n, bool)
    return Watch(
        tuple(bands),
        follow,
        sampling_frequency,
        none,
        np.zeros(0, bool),
        np.zeros((n, 0)),
        none,
        none,
        np.ones(n),
        np.ones(n),
        np.where(follow, DRIFT**2, 0.0),
    )


def step(
    watch: Watch, raw: np.ndarray, predicted: np.ndarray, whole: np.ndarray, ramp: int
) -> tuple[Watch, np.ndarray, np.ndarray]:
    """Judge a stretch of n samples.

    Parameters
    ----------
    watch : Watch
    raw : (n,) float64, strain
    predicted : (B, n) float64, what the filters predict in each band
    whole : (n,) bool
        neither has a gap
    ramp : int
        samples over which gains change, and subtraction comes and goes

    Returns
    -------
    Watch
    (n,) float64, what should be subtracted
    (n,) float64, 1 where that is trusted, 0 where not, with ramps between
    """
    size = round(BLOCK * watch.sampling_frequency)
    total, trust, done = np.empty(raw.size), np.empty(raw.size), 0
    while True:
        at = watch.raw.size
        n = min(size - at, raw.size - done)
        part = slice(done, done + n)
        rise = 0.5 - 0.5 * np.cos(np.pi * np.clip((np.arange(at, at + n) + 1.0) / (ramp + 1.0), 0.0, 1.0))
        trust[part] = _between(float(watch.was_trusted), float(watch.trusted), rise)
        total[part] = sum(
            _between(old, new, rise) * row for old, new, row in zip(watch.last_gain, watch.gain, predicted[:, part], strict=True)
        )
        watch = replace(
            watch,
            raw=np.concatenate([watch.raw, raw[part]]),
            counts=np.concatenate([watch.counts, whole[part]]),
            predicted=np.concatenate([watch.predicted, predicted[:, part]], axis=1),
        )
        done += n
        if watch.raw.size == size:
            watch = _judged(watch)
        if done == raw.size:
            return watch, total, trust


def _between(old: float, new: float, rise: np.ndarray) -> np.ndarray:
    return np.full(rise.size, new) if old == new else old + (new - old) * rise


def _judged(watch: Watch) -> Watch:
    """The watch at the end of a block."""
    before, after, trusted = watch.before, watch.after, watch.trusted
    gain, variance = watch.gain, watch.variance
    if watch.counts.all():
        rest = watch.raw - watch.gain @ watch.predicted
        spectra = _spectra(np.vstack([watch.raw, rest, watch.predicted]), watch.sampling_frequency)
        own = _power(spectra[:2])
        if before.size:
            before, after = (KEEP * old + (1.0 - KEEP) * new for old, new in zip((before, after), own, strict=True))
        else:
            before, after = own
        gain, variance = _updated(watch, spectra[1], spectra[2:], after)
    if before.size:
        ratios = [float(np.mean(after[int(a) : int(b) + 1] / before[int(a) : int(b) + 1])) for a, b in watch.bands]
        worst = max(ratios)
        trusted = worst <= OFF if trusted else worst < ON
    keep = np.exp(-BLOCK / DRIFT_TIME)
    followed = watch.followed
    fresh = start(watch.bands, watch.sampling_frequency, followed)
    return replace(
        fresh,
        before=before,
        after=after,
        gain=np.where(followed, 1.0 + keep * (gain - 1.0), 1.0),
        last_gain=watch.gain,
        variance=np.where(followed, keep**2 * variance + DRIFT**2 * (1.0 - keep**2), 0.0),
        trusted=trusted,
        was_trusted=watch.trusted,
    )


def _updated(watch: Watch, rest: np.ndarray, predicted: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gains (B,) and variances (B,) after a block with spectra of the residual and predictions (..., n_bins, bins per Hz)."""
    gain, variance = watch.gain.copy(), watch.variance.copy()
    for i in np.flatnonzero(watch.followed):
        low, high = watch.bands[i]
        inside = slice(int(low), int(high) + 1)
        p, weight = predicted[i, inside], 1.0 / noise[inside, None]
        information = float(np.sum(np.abs(p) ** 2 * weight))
        if not information > 0.0:
            continue
        found = float(np.sum((rest[inside] * np.conj(p)).real * weight)) / information
        error = 0.5 * HANN / information
        spread = SURPRISE * np.sqrt(variance[i] + error)
        share = variance[i] / (variance[i] + error)
        gain[i] += share * np.clip(found, -spread, spread)
        variance[i] *= 1.0 - share
    return gain, variance


def _spectra(rows: np.ndarray, rate: float) -> np.ndarray:
    """Transforms (..., n_bins, bins per Hz) of Hann-windowed rows (..., n), from 0 Hz to below the Nyquist frequency."""
    n = rows.shape[-1]
    z = fft.rfft((rows - rows.mean(axis=-1, keepdims=True)) * periodic_hann(n))
    width = round(n / rate)
    return np.asarray(z[..., : z.shape[-1] // width * width].reshape(*z.shape[:-1], -1, width))


def _power(spectra: np.ndarray) -> list[np.ndarray]:
    return list(np.mean(np.abs(spectra) ** 2, axis=-1))
