"""Which slow channels scatter light into the strain, and at which wavenumbers: found one by one, each judged on held-back data.

What is found is subtracted before the next is looked for, so that neither the side maxima of a strong coupling nor a second channel
of the same motion are taken for more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gwsurrogate_ml.denoise.witness import fir, scattering
from gwsurrogate_ml.denoise.witness.band_filters import REFUSE, Sample, eroded, filters, held_back_power, through
from gwsurrogate_ml.denoise.witness.features import Feature
from gwsurrogate_ml.denoise.witness.scattering import Motion, Peak

MOST = 4
"""Wavenumbers accepted for one channel."""


def scattered(
    sample: Sample,
    linear: np.ndarray,
    motions: Sequence[Motion],
    n_segment: int,
    bands: tuple[tuple[float, float], ...],
) -> tuple[list[Feature], float, list[dict[str, Any]]]:
    """Sines and cosines of motions that lower the held-back power, and a record of everything tried.

    Parameters
    ----------
    sample : Sample
    linear : (k, n) float64
        whitened features that are subtracted first
    motions : sequence of Motion
    n_segment : int
        samples of the filters
    bands : sequence of (low, high), Hz

    Returns
    -------
    features
    float, Hz, the edge of the smoothing that serves all of them
    one dict a motion, for the card: what was looked for, what was found, what was accepted
    """
    rate, band = sample.rate, (bands[0][0], bands[-1][1])
    rest, _ = _without(sample, linear, n_segment, bands, fringes=False)
    records = {motion.name: _record(motion, rate, band) for motion in motions}
    features: list[Feature] = []
    edges: list[float] = []
    accepted: dict[str, list[float]] = {motion.name: [] for motion in motions}
    lags: dict[str, float] = {}
    waiting = list(motions)
    peaks: dict[str, Peak | None] = {}
    while waiting:
        weights = scattering.over_whitened(rest.strain[: rest.cut], rest.usable[: rest.cut], rate, band)
        for motion in waiting:
            if motion.name not in peaks:
                part = _first(motion, rest)
                peaks[motion.name] = scattering.strongest(part, weights, rate, band, accepted[motion.name], lags.get(motion.name))
        waiting = [motion for motion in waiting if peaks[motion.name] is not None]
        if not waiting:
            break
        motion = max(waiting, key=lambda m: _height(peaks[m.name]))
        peak = peaks.pop(motion.name)
        assert peak is not None
        k, offset, edge = scattering.refined(_first(motion, rest), weights, rate, band, peak)
        phase = k * motion.smooth(rate, edge) + offset
        pair = through(np.stack([np.sin(phase), np.cos(phase)]), sample.whitener)
        after, powers = _without(rest, pair, n_segment, bands, fringes=True)
        helps = bool(powers.min() < REFUSE)
        records[motion.name]["found"].append(_entry(motion, peak, k, powers, helps))
        if not helps:
            waiting.remove(motion)
            continue
        rest = after
        # The sine in its phase: where fringes are few, sine and cosine cannot be told apart, and one has to do.
        features += [Feature("sine", (motion.name,), k, offset), Feature("cosine", (motion.name,), k, offset)]
        edges.append(edge)
        accepted[motion.name].append(k)
        lags[motion.name] = peak.lag
        # Of the others those that stood out have to be looked at anew: they may have seen the same.
        peaks = {name: old for name, old in peaks.items() if old is None}
        if len(accepted[motion.name]) == MOST:
            waiting.remove(motion)
    return features, max(edges, default=0.0), list(records.values())


def _height(peak: Peak | None) -> float:
    return 0.0 if peak is None else peak.significance


def _first(motion: Motion, sample: Sample) -> Motion:
    """The motion in the part that is not held back."""
    reach = motion.values.size - sample.strain.size
    return Motion(motion.name, motion.unit, motion.values[: sample.cut + reach], motion.edge)


def _without(
    sample: Sample, features: np.ndarray, n_segment: int, bands: Sequence[tuple[float, float]], *, fringes: bool
) -> tuple[Sample, np.ndarray]:
    """What filters of the features, fitted to the part not held back, leave of the strain; and the held-back power by band."""
    cut, kind = sample.cut, [fringes] * len(features)
    taps, _, _ = filters(features[:, :cut], sample.strain[:cut], sample.usable[:cut], n_segment, sample.rate, bands, kind)
    powers = held_back_power(features[:, cut:], sample.strain[cut:], sample.usable[cut:], taps, sample.rate, bands)
    half = taps.shape[1] // 2
    active = np.abs(taps).max(axis=1) > 0
    strain, usable = sample.strain.copy(), np.zeros_like(sample.usable)
    usable[half : usable.size - half] = eroded(sample.usable, half)
    if active.any():
        strain[half : strain.size - half] -= fir.apply_valid(features[active], taps[active])
    return replace(sample, strain=strain, usable=usable), powers


def _record(motion: Motion, rate: float, band: tuple[float, float]) -> dict[str, Any]:
    x = motion.smooth(rate)
    low, high = scattering.wavenumbers(x, rate, band)
    return {
        "channel": motion.name,
        "unit": motion.unit,
        "metres_per_unit": scattering.metres(motion.unit),
        "rms": float(x.std()),
        "tried": [low, high],
        "found": [],
    }


def _entry(motion: Motion, peak: Peak, k: float, powers: np.ndarray, helps: bool) -> dict[str, Any]:
    return {
        "wavenumber": k,
        "reflections": None if motion.nominal is None else k / motion.nominal,
        "significance": peak.significance,
        "lag": peak.lag,
        "held_back_power": float(powers.min()),
        "accepted": helps,
    }


def told(record: Mapping[str, Any]) -> str:
    """One channel's record in a sentence.

    Examples
    --------
    >>> told({"channel": "TILT", "unit": "", "metres_per_unit": None, "rms": 1.0, "tried": [2.0, 900.0], "found": []})
    'TILT (no unit): no scattered light at 2 to 900 rad per unit'
    """
    low, high = record["tried"]
    name = f"{record['channel']} ({record['unit'] or 'no unit'})"
    entries = []
    for entry in record["found"]:
        what = f"{entry['wavenumber']:.5g} rad per unit"
        if entry["reflections"] is not None:
            what += f", {entry['reflections']:.3g} times 4 pi / wavelength"
        verdict = "subtracted" if entry["accepted"] else "rejected"
        entries.append(f"{what}: held-back power {entry['held_back_power']:.3f} of that before, {verdict}")
    return f"{name}: " + ("; ".join(entries) or f"no scattered light at {low:.3g} to {high:.3g} rad per unit")
