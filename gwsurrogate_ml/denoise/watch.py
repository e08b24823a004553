"""A stream's own judge: where subtraction raises the power in a band, it is switched off until it lowers it again.

Detectors change state and witnesses come out of step after a fit. Powers before and after are averaged over blocks that
begin with the stream, so that the verdict does not depend on how the data were cut into frames; subtraction goes on in the
shadow while it is off.
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


@dataclass(frozen=True)
class Watch:
    """What the judge remembers.

    Parameters
    ----------
    bands : (low, high) in Hz, those subtracted
    sampling_frequency : float, Hz
    raw, predicted, counts : (m,), the unfinished block: strain, what would be subtracted, and whether both are whole
    before, after : (n_bins,) averaged power in 1 Hz bins; empty before the first whole block
    trusted, was_trusted : bool, the verdict for this block and for the block before
    """

    bands: tuple[tuple[float, float], ...]
    sampling_frequency: float
    raw: np.ndarray
    predicted: np.ndarray
    counts: np.ndarray
    before: np.ndarray
    after: np.ndarray
    trusted: bool = True
    was_trusted: bool = True


def start(bands: Sequence[tuple[float, float]], sampling_frequency: float) -> Watch:
    """A judge that trusts."""
    none = np.zeros(0)
    return Watch(tuple(bands), sampling_frequency, none, none, np.zeros(0, bool), none, none)


def step(
    watch: Watch, raw: np.ndarray, predicted: np.ndarray, whole: np.ndarray, ramp: int
) -> tuple[Watch, np.ndarray]:
    """Judge a stretch of n samples.

    Parameters
    ----------
    watch : Watch
    raw, predicted : (n,) float64
        strain, and what would be subtracted from it
    whole : (n,) bool
        neither has a gap
    ramp : int
        samples over which subtraction comes and goes

    Returns
    -------
    Watch
    (n,) float64, 1 where the subtraction is trusted, 0 where not, with ramps between
    """
    size = round(BLOCK * watch.sampling_frequency)
    factor, done = np.empty(raw.size), 0
    while True:
        at = watch.raw.size
        n = min(size - at, raw.size - done)
        part = slice(done, done + n)
        factor[part] = _factor(watch, at, n, ramp)
        watch = replace(
            watch,
            raw=np.concatenate([watch.raw, raw[part]]),
            predicted=np.concatenate([watch.predicted, predicted[part]]),
            counts=np.concatenate([watch.counts, whole[part]]),
        )
        done += n
        if watch.raw.size == size:
            watch = _judged(watch)
        if done == raw.size:
            return watch, factor


def _factor(watch: Watch, at: int, n: int, ramp: int) -> np.ndarray:
    if watch.trusted == watch.was_trusted:
        return np.full(n, float(watch.trusted))
    rise = 0.5 - 0.5 * np.cos(np.pi * np.clip((np.arange(at, at + n) + 1.0) / (ramp + 1.0), 0.0, 1.0))
    return rise if watch.trusted else 1.0 - rise


def _judged(watch: Watch) -> Watch:
    """The watch at the end of a block."""
    before, after = watch.before, watch.after
    if watch.counts.all():
        own = [_power(x, watch.sampling_frequency) for x in (watch.raw, watch.raw - watch.predicted)]
        if before.size:
            before, after = (KEEP * old + (1.0 - KEEP) * new for old, new in zip((before, after), own, strict=True))
        else:
            before, after = own
    trusted = watch.trusted
    if before.size:
        ratios = [float(np.mean(after[int(a) : int(b) + 1] / before[int(a) : int(b) + 1])) for a, b in watch.bands]
        # The default is for a watch of no band: it has nothing against anything.
        worst = max(ratios, default=0.0)
        trusted = worst <= OFF if trusted else worst < ON
    fresh = start(watch.bands, watch.sampling_frequency)
    return replace(fresh, before=before, after=after, trusted=trusted, was_trusted=watch.trusted)


def _power(x: np.ndarray, rate: float) -> np.ndarray:
    """Power in bins of 1 Hz, from 0 Hz to below the Nyquist frequency."""
    power = np.abs(fft.rfft((x - x.mean()) * periodic_hann(x.size))) ** 2
    width = round(x.size / rate)
    return np.asarray(power[: power.size // width * width].reshape(-1, width).mean(axis=1))
