"""Fitting of a witness cleaner: features, frequency resolution band by band, held-back judgement, joining of the bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gwsurrogate_ml.denoise.witness import fir, gain_tracking, transfer_functions
from gwsurrogate_ml.denoise.witness.channels import Aligned
from gwsurrogate_ml.denoise.witness.features import Feature, candidates, evaluate
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.psd import welch

RESOLUTIONS = (1.0, 4.0, 8.0)
"""Lengths of the filters tried, s: short ones average more, long ones resolve resonances."""
EDGE = 2.0
"""Neighbouring bands pass into one another over this many Hz."""
REFUSE = 0.997
"""A band whose held-back power falls by less than this factor is left alone."""
REFITS = 1
"""Fits to the residual after the first: the window's leakage shortens long responses, these lengthen them again."""
MIN_AVERAGES = 12
FOLLOW = 0.999
"""A band's gain is followed in a stream where that lowers the held-back power to less than this factor."""


@dataclass(frozen=True)
class Fitted:
    """Result of `fit`: channels, features, filters (subtracted bands, features, taps), and a record of every band."""

    channels: tuple[str, ...]
    features: tuple[Feature, ...]
    smoothing: np.ndarray
    taps: np.ndarray
    bands: list[dict[str, Any]]


def check_bands(bands: Sequence[tuple[float, float]], sampling_frequency: float) -> tuple[tuple[float, float], ...]:
    """Bands as floats.

    Raises
    ------
    ConfigError
        if there is none, or one is empty, overlaps the one before, or reaches the Nyquist frequency
    """
    pairs = tuple((float(low), float(high)) for low, high in bands)
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
    whole = (bands[0][0], bands[-1][1])
    tried, smoothing = candidates(channels, data.units, strain, rate, whole)
    if features is not None:
        tried = list(features)
        _require_known(tried, channels)
    reach = smoothing.size // 2
    shortest = 2 * reach / rate + MIN_AVERAGES * min(resolutions) / (1 - held_back)
    if strain.size < shortest * rate:
        raise DataError(
            f"{strain.size / rate:g} s of data are too short to fit filters of {min(resolutions):g} s, which takes {shortest:.1f} "
            "s: read more, and twice that where each half is cleaned with a fit to the other (denoise witness without --model)"
        )
    x = evaluate(tried, channels, smoothing)
    d = strain[reach : strain.size - reach]
    ok = _eroded(usable, reach)
    cut = round((1.0 - held_back) * d.size)

    lengths = [2 * round(0.5 * r * rate) for r in resolutions if d.size * (1 - held_back) >= MIN_AVERAGES * r * rate]
    power, tried_taps = np.ones((len(lengths), len(bands))), []
    total = 2 * len(lengths)
    for i, n_segment in enumerate(lengths):
        progress("fitting", i, total)
        taps, _, _ = _filters(x[:, :cut], d[:cut], ok[:cut], n_segment, rate, bands)
        power[i] = _held_back_power(x[:, cut:], d[cut:], ok[cut:], taps, rate, bands)
        tried_taps.append(taps)
    best = np.argmin(power, axis=0)

    helps = power.min(axis=0) < REFUSE
    # No longer than the bands need: half of it is latency.
    chosen = [lengths[i] for i in best[helps]] or [min(lengths)]
    n_taps = max(chosen) + 1 + 2 * round(rate)
    joined = np.zeros((int(helps.sum()), len(tried), n_taps))
    own = [banded(tried_taps[best[j]], bands[j], n_taps, rate) for j in np.flatnonzero(helps)]
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
            done[n_segment] = _filters(x, d, ok, n_segment, rate, bands)
        taps, used, averages = done[n_segment]
        joined[int(helps[:j].sum())] = banded(taps, band, n_taps, rate)
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
    )


def _require_known(features: Sequence[Feature], channels: dict[str, np.ndarray]) -> None:
    for feature in features:
        for name in feature.channels:
            if name not in channels:
                raise ConfigError(f"feature {feature} needs channel {name!r}: the witnesses are {sorted(channels)}")


def _eroded(usable: np.ndarray, reach: int) -> np.ndarray:
    """(n - 2 reach,) bool: all usable within reach."""
    bad = np.concatenate([[0], np.cumsum(~usable)])
    return np.asarray(bad[2 * reach + 1 :] == bad[: bad.size - 2 * reach - 1])


def _filters(
    x: np.ndarray, d: np.ndarray, ok: np.ndarray, n_segment: int, rate: float, bands: Sequence[tuple[float, float]]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Taps (k, n_segment + 1) over all bands, where each feature is used (n_bins from 0 Hz, k), and averages."""
    delta_f = rate / n_segment
    bins = slice(max(1, int((bands[0][0] - EDGE) / delta_f)), min(n_segment // 2, int((bands[-1][1] + EDGE) / delta_f) + 2))
    frequencies = np.arange(bins.start, bins.stop) * delta_f
    allowed = np.any([(frequencies > low - EDGE) & (frequencies < high + EDGE) for low, high in bands], axis=0)
    spectra, averages = transfer_functions.cross_spectra(x, d, n_segment, bins, ok)
    if averages < MIN_AVERAGES:
        raise DataError(f"gaps leave {averages:.0f} stretches of {n_segment / rate:g} s: read a span with fewer gaps")
    used = transfer_functions.choose(spectra, averages, delta_f, allowed)
    transfer = transfer_functions.solve(spectra, used)
    taps = transfer_functions.to_taps(transfer, bins, n_segment)
    half = n_segment // 2
    active = np.flatnonzero(used.any(axis=0))
    for _ in range(REFITS if active.size else 0):
        residual = d.copy()
        residual[half : d.size - half] -= fir.apply_valid(x[active], taps[active])
        inner = slice(half, d.size - half)
        again, _ = transfer_functions.cross_spectra(x[active][:, inner], residual[inner], n_segment, bins, ok[inner])
        transfer[:, active] += transfer_functions.solve(again, used[:, active])
        taps = transfer_functions.to_taps(transfer, bins, n_segment)
    full = np.zeros((bins.stop, used.shape[1]), bool)
    full[bins] = used
    return taps, full, averages


def _held_back_power(
    x: np.ndarray, d: np.ndarray, ok: np.ndarray, taps: np.ndarray, rate: float, bands: Sequence[tuple[float, float]]
) -> np.ndarray:
    """Mean over each band of PSD after over PSD before, (n_bands,)."""
    half = taps.shape[1] // 2
    if d.size < 2 * half + 4 * rate:
        return np.ones(len(bands))
    inner = slice(half, d.size - half)
    active = np.abs(taps).max(axis=1) > 0
    if not active.any():
        return np.ones(len(bands))
    raw, good = d[inner], ok[inner]
    clean = np.where(good, raw - fir.apply_valid(x[active], taps[active]), 0.0)
    f, before = welch(np.where(good, raw, 0.0), rate, 1.0, average="mean")
    _, after = welch(clean, rate, 1.0, average="mean")
    return np.array([np.mean((after / before)[(f >= low) & (f <= high)]) for low, high in bands])


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
