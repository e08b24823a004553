"""Fitting of a witness cleaner: features, frequency resolution band by band, held-back judgement, joining of the bands."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gwsurrogate_ml.arguments import at_least, finite
from gwsurrogate_ml.denoise.witness import fir, gain_tracking, pursuit
from gwsurrogate_ml.denoise.witness.band_filters import (
    EDGE,
    MIN_AVERAGES,
    REFUSE,
    WHITENER_HALF,
    Sample,
    eroded,
    filters_of_all,
    held_back_power,
    through,
    whitener,
)
from gwsurrogate_ml.denoise.witness.channels import Aligned
from gwsurrogate_ml.denoise.witness.features import Feature, candidates, evaluate, motion_edge, slow_channels, smoothing_filter
from gwsurrogate_ml.denoise.witness.scattering import Motion
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.psd import welch

RESOLUTIONS = (1.0, 4.0, 8.0)
"""Lengths of the filters tried, s: short ones average more, long ones resolve resonances."""
FOLLOW = 0.999
"""A band's gain is followed in a stream where that lowers the held-back power to less than this factor."""


@dataclass(frozen=True)
class Fitted:
    """Result of `fit`: channels, features, filters (subtracted bands, features, taps); records of bands and scatterers."""

    channels: tuple[str, ...]
    features: tuple[Feature, ...]
    smoothing: np.ndarray
    taps: np.ndarray
    bands: list[dict[str, Any]]
    scattering: list[dict[str, Any]]


def check_bands(bands: Sequence[tuple[float, float]], sampling_frequency: float) -> tuple[tuple[float, float], ...]:
    """Bands as floats.

    Raises
    ------
    ConfigError
        if there is none, or one is empty, overlaps the one before, or reaches the Nyquist frequency
    """
    pairs = tuple((finite(low, "a band's low end", "Hz"), finite(high, "a band's high end", "Hz")) for low, high in bands)
    if not pairs:
        raise ConfigError("no band given: name at least one, such as (10, 200)")
    for i, (low, high) in enumerate(pairs):
        if not EDGE <= low < high < 0.5 * sampling_frequency - EDGE:
            raise ConfigError(
                f"band {low:g} to {high:g} Hz: both must lie between {EDGE:g} Hz and {0.5 * sampling_frequency - EDGE:g} Hz "
                "(just below the Nyquist frequency), the lower first"
            )
        if i and low < pairs[i - 1][1]:
            raise ConfigError(f"band {low:g} to {high:g} Hz overlaps the one before: list them ascending, touching at most")
    return pairs


def passband(frequencies: np.ndarray, band: tuple[float, float]) -> np.ndarray:
    """Mask of a band with raised-cosine edges; masks of touching bands add up to one.

    Examples
    --------
    >>> passband(np.array([9.0, 10.0, 11.0, 30.0]), (10.0, 40.0)).round(3)
    array([0. , 0.5, 1. , 1. ])
    """

    def rise(edge: float) -> np.ndarray:
        x = np.clip((frequencies - edge) / EDGE + 0.5, 0.0, 1.0)
        return np.asarray(0.5 - 0.5 * np.cos(np.pi * x))

    return np.asarray(rise(band[0]) - rise(band[1]))


def widened(bands: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Bands whose ramps lie outside where no other band touches them: what is asked for is subtracted in full.

    Examples
    --------
    >>> widened([(10.0, 50.0), (50.0, 75.0), (76.0, 200.0)])
    [(9.0, 50.0), (50.0, 75.5), (75.5, 201.0)]
    """
    gaps = [np.inf, *(later[0] - earlier[1] for earlier, later in itertools.pairwise(bands)), np.inf]
    room = [min(0.5 * EDGE, 0.5 * gap) for gap in gaps]
    return [(low - room[i], high + room[i + 1]) for i, (low, high) in enumerate(bands)]


def fit(
    data: Aligned,
    bands: tuple[tuple[float, float], ...],
    features: Sequence[Feature] | None,
    held_back: float,
    resolutions: tuple[float, ...],
    progress: Callable[[str, int, int], None],
) -> Fitted:
    """See `witness.WitnessCleaner.fit`."""
    rate = data.sampling_frequency
    usable = np.isfinite(data.strain) & np.all([np.isfinite(c) for c in data.channels.values()], axis=0)
    channels = {name: np.where(usable, values, 0.0) for name, values in data.channels.items()}
    strain = np.where(usable, data.strain, 0.0)
    slow = slow_channels(channels, rate)
    tried = candidates(channels, slow) if features is None else list(features)
    _require_known(tried, channels)
    edge = max((motion_edge(channels[f.channels[0]], rate) for f in tried if f.kind in ("sine", "cosine")), default=0.0)
    smoothing = smoothing_filter(rate, edge)
    reach = smoothing.size // 2
    shortest = 2 * reach / rate + 2 * WHITENER_HALF + MIN_AVERAGES * min(resolutions) / (1 - held_back)
    if strain.size < shortest * rate:
        raise DataError(
            f"{strain.size / rate:g} s of data are too short to fit filters of {min(resolutions):g} s, which takes "
            f"{at_least(shortest)} s: read more, and twice that where each half is cleaned with a fit to the other (denoise "
            "witness without --model)"
        )
    white = whitener(strain, rate, (bands[0][0], bands[-1][1]))
    x = through(evaluate(tried, channels, smoothing), white)
    d = through(strain, white)[reach : strain.size - reach]
    ok, half = np.zeros(d.size, bool), white.size // 2
    ok[half : d.size - half] = eroded(usable, reach + half)
    cut = round((1.0 - held_back) * d.size)
    n_shortest = 2 * round(0.5 * min(resolutions) * rate)
    scatterers: list[dict[str, Any]] = []
    if features is None and slow and usable.any():
        progress("looking for scattered light", 0, 1)
        # A gap is no motion either.
        rest = {name: np.where(usable, channels[name], np.median(channels[name][usable])) for name in slow}
        motions = [Motion(name, data.units.get(name, ""), rest[name], motion_edge(channels[name], rate)) for name in slow]
        sines, edge, scatterers = pursuit.scattered(Sample(d, ok, cut, rate, white), x, motions, n_shortest, bands)
        smoothing = smoothing_filter(rate, edge)
        if sines:
            x, tried = np.concatenate([x, through(evaluate(sines, channels, smoothing), white)]), tried + sines
        progress("looking for scattered light", 1, 1)

    lengths = [2 * round(0.5 * r * rate) for r in resolutions if d.size * (1 - held_back) >= MIN_AVERAGES * r * rate]
    power, tried_taps = np.ones((len(lengths), len(bands))), []
    total, fringes = 2 * len(lengths), [feature.kind in ("sine", "cosine") for feature in tried]
    for i, n_segment in enumerate(lengths):
        progress("fitting", i, total)
        taps, _, _ = filters_of_all(x[:, :cut], d[:cut], ok[:cut], n_segment, n_shortest, rate, bands, fringes)
        power[i] = held_back_power(x[:, cut:], d[cut:], ok[cut:], taps, rate, bands)
        tried_taps.append(taps)
    best = np.argmin(power, axis=0)

    helps = power.min(axis=0) < REFUSE
    # No longer than the bands need: half of it is latency.
    chosen = [lengths[i] for i in best[helps]] or [min(lengths)]
    n_taps = max(chosen) + 1 + 2 * round(rate)
    joined = np.zeros((int(helps.sum()), len(tried), n_taps))
    wide = widened(bands)
    own = [banded(tried_taps[best[j]], wide[j], n_taps, rate) for j in np.flatnonzero(helps)]
    subtracted = [bands[j] for j in np.flatnonzero(helps)]
    followed = iter(_followed(x[:, cut:], d[cut:], ok[cut:], np.array(own), rate, subtracted) if own else ())
    record: list[dict[str, Any]] = []
    done: dict[int, tuple[np.ndarray, np.ndarray, float]] = {}
    for j, band in enumerate(bands):
        entry: dict[str, Any] = {"low": band[0], "high": band[1], "held_back_power": float(power[best[j], j])}
        record.append(entry | {"subtracted": bool(helps[j]), "resolution": lengths[best[j]] / rate, "features": []})
        if not helps[j]:
            continue
        n_segment = lengths[best[j]]
        progress("fitting", len(lengths) + int(best[j]), total)
        if n_segment not in done:
            done[n_segment] = filters_of_all(x, d, ok, n_segment, n_shortest, rate, bands, fringes)
        taps, used, averages = done[n_segment]
        joined[int(helps[:j].sum())] = banded(taps, wide[j], n_taps, rate)
        record[-1]["followed"] = bool(next(followed))
        frequencies = np.arange(used.shape[0]) * rate / n_segment
        inside = (frequencies >= band[0]) & (frequencies <= band[1])
        record[-1]["features"] = [str(f) for f, row in zip(tried, used.T, strict=True) if row[inside].any()]
        record[-1]["leverage"] = float(used[inside].sum(axis=1).mean() / averages)
    progress("fitting", total, total)
    keep = np.flatnonzero(np.abs(joined).max(axis=(0, 2), initial=0.0) > 0)
    kept = tuple(tried[k] for k in keep)
    needed = {name for feature in kept for name in feature.channels}
    if not any(feature.kind in ("sine", "cosine") for feature in kept):
        smoothing = np.ones(1)
    return Fitted(
        tuple(name for name in channels if name in needed),
        kept,
        smoothing,
        joined[:, keep] if keep.size else np.zeros((0, 0, 1)),
        record,
        scatterers,
    )


def _require_known(features: Sequence[Feature], channels: dict[str, np.ndarray]) -> None:
    for feature in features:
        for name in feature.channels:
            if name not in channels:
                raise ConfigError(f"feature {feature} needs channel {name!r}: the witnesses are {sorted(channels)}")


def _followed(
    x: np.ndarray,
    d: np.ndarray,
    ok: np.ndarray,
    taps: np.ndarray,
    rate: float,
    bands: Sequence[tuple[float, float]],
) -> np.ndarray:
    """Whether each band's held-back power is lower with its gain followed, (B,) bool; taps (B, k, n_taps) of these bands."""
    half = taps.shape[-1] // 2
    if d.size < 2 * half + 8 * gain_tracking.BLOCK * rate:
        return np.zeros(len(bands), bool)
    inner = slice(half, d.size - half)
    predicted, raw, good = fir.apply_valid(x, taps), d[inner], ok[inner]
    judge = gain_tracking.start(bands, rate, np.ones(len(bands), bool))
    _, total, _ = gain_tracking.step(judge, raw, predicted, good, round(0.25 * rate))
    f, fixed = welch(np.where(good, raw - predicted.sum(axis=0), 0.0), rate, 1.0, average="mean")
    _, moving = welch(np.where(good, raw - total, 0.0), rate, 1.0, average="mean")
    _, before = welch(np.where(good, raw, 0.0), rate, 1.0, average="mean")
    inside = [(f >= low) & (f <= high) for low, high in bands]
    return np.array([np.sum((moving / before)[use]) < FOLLOW * np.sum((fixed / before)[use]) for use in inside])


def banded(taps: np.ndarray, band: tuple[float, float], n_taps: int, rate: float) -> np.ndarray:
    """Taps (k, n_taps) restricted to a band; n_taps odd, the middle one is zero lag."""
    n_fft = fft.next_fast_length(2 * n_taps)
    n_fft += n_fft % 2
    half, own = n_taps // 2, taps.shape[1] // 2
    mask = passband(np.arange(n_fft // 2 + 1) * rate / n_fft, band)
    padded = np.zeros((taps.shape[0], n_fft))
    padded[:, half - own : half + own + 1] = taps
    return fft.irfft(fft.rfft(padded) * mask, n_fft)[:, :n_taps]
