"""Features of witness channels: the channels, products of fast and slow ones, and sines of large motions.

A linear filter on each is then enough for linear, bilinear (NonSENS, arXiv:1911.09083) and scattered-light coupling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gwsurrogate_ml.kernels.psd import welch

Kind = Literal["linear", "product", "sine", "cosine"]

SLOW_EDGE = 9.0
"""A channel with nearly all its power below this frequency (Hz) is slow: it modulates, or moves a scatterer."""
SMOOTHING_HALF = 1.0
"""Half-length of the low-pass filter of a scatterer's motion, s."""
STOP_BAND = 80.0
"""Its stop-band attenuation, dB: the phase is some hundred rad, the ripple must not be seen in it."""
LASER = 1.064e-6
"""Wavelength of the light, m."""


@dataclass(frozen=True)
class Feature:
    """One series made of witnesses.

    Parameters
    ----------
    kind : "linear", "product", "sine" or "cosine"
    channels : one name, or fast and slow for a product
    wavenumber : float, rad per unit of the channel (sine and cosine alone)
    phase : float, rad, at zero of the channel (sine and cosine alone)

    Examples
    --------
    >>> str(Feature("product", ("MAINS", "TILT")))
    'MAINS x TILT'
    """

    kind: Kind
    channels: tuple[str, ...]
    wavenumber: float = 0.0
    phase: float = 0.0

    def __str__(self) -> str:
        if self.kind in ("linear", "product"):
            return " x ".join(self.channels)
        return f"{self.kind}({self.wavenumber:.6g} {self.channels[0]})"

    def card(self) -> dict[str, Any]:
        """What a model card records."""
        return {"kind": self.kind, "channels": list(self.channels), "wavenumber": self.wavenumber, "phase": self.phase}

    @classmethod
    def of_card(cls, entry: Mapping[str, Any]) -> Feature:
        """A feature from `card`."""
        return cls(entry["kind"], tuple(entry["channels"]), float(entry["wavenumber"]), float(entry.get("phase", 0.0)))


def evaluate(features: Sequence[Feature], channels: Mapping[str, np.ndarray], smoothing: np.ndarray) -> np.ndarray:
    """Features (n_features, n - 2 reach) of channels (n,), where the smoothing filter has 2 reach + 1 taps.

    Linear and product features are cut at both ends, so that all belong to the same times.

    Parameters
    ----------
    features : sequence of Feature
    channels : mapping from name to (n,) float64
    smoothing : (2 reach + 1,) float64
        low-pass filter of the motions whose sine is taken
    """
    reach = smoothing.size // 2
    n = next(iter(channels.values())).size
    inner = slice(reach, n - reach)
    smooth: dict[str, np.ndarray] = {}
    out = np.empty((len(features), n - 2 * reach))
    for row, feature in zip(out, features, strict=True):
        name = feature.channels[0]
        if feature.kind == "linear":
            row[:] = channels[name][inner]
        elif feature.kind == "product":
            np.multiply(channels[name][inner], channels[feature.channels[1]][inner], out=row)
        else:
            if name not in smooth:
                smooth[name] = convolve_valid(channels[name], smoothing)
            phase = feature.wavenumber * smooth[name] + feature.phase
            row[:] = np.sin(phase) if feature.kind == "sine" else np.cos(phase)
    return out


def convolve_valid(x: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Convolution (n - n_taps + 1,) where the filter lies wholly inside `x` (n,)."""
    from scipy.signal import oaconvolve

    # Away from zero the transform would round at the mean's size.
    mean = float(x.mean())
    return np.asarray(oaconvolve(x - mean, taps, mode="valid")) + mean * float(taps.sum())


def smoothing_filter(sampling_frequency: float, edge: float = 0.0) -> np.ndarray:
    """Low-pass filter of unit gain at 0 Hz, flat up to `edge` (Hz); its length depends on the rate alone."""
    from scipy.signal import firwin, kaiser_beta

    half = round(SMOOTHING_HALF * sampling_frequency)
    transition = (STOP_BAND - 7.95) / (2.285 * 2.0 * np.pi * 2.0 * SMOOTHING_HALF)
    cutoff = min(edge + 0.6 * transition, 0.45 * sampling_frequency)
    return np.asarray(firwin(2 * half + 1, cutoff, window=("kaiser", kaiser_beta(STOP_BAND)), fs=sampling_frequency))


def slow_channels(channels: Mapping[str, np.ndarray], sampling_frequency: float) -> list[str]:
    """Names of the channels (n,) with nearly all their power below SLOW_EDGE."""
    slow = []
    for name, values in channels.items():
        f, psd = _spectrum(values, sampling_frequency)
        signal = np.maximum(psd - float(np.median(psd[f > SLOW_EDGE])), 0.0)  # above the sensor's own noise
        if signal[f > SLOW_EDGE].sum() < 0.05 * signal.sum():
            slow.append(name)
    return slow


def motion_edge(values: np.ndarray, sampling_frequency: float) -> float:
    """Frequency (Hz) up to which a slow channel (n,) is above its sensor's noise."""
    f, psd = _spectrum(values, sampling_frequency)
    above = f[(psd > 10.0 * float(np.median(psd[f > SLOW_EDGE]))) & (f < SLOW_EDGE)]
    return float(above.max(initial=0.0))


def _spectrum(values: np.ndarray, sampling_frequency: float) -> tuple[np.ndarray, np.ndarray]:
    return welch(values, sampling_frequency, min(16.0, values.size / sampling_frequency / 4), average="mean")


def candidates(channels: Sequence[str] | Mapping[str, np.ndarray], slow: Sequence[str]) -> list[Feature]:
    """Every channel, and every fast one times every slow one; `pursuit` looks for the scattered light of the slow ones.

    Examples
    --------
    >>> [str(feature) for feature in candidates(["MAINS", "TILT"], ["TILT"])]
    ['MAINS', 'TILT', 'MAINS x TILT']
    """
    fast = [name for name in channels if name not in slow]
    return [Feature("linear", (name,)) for name in channels] + [Feature("product", (a, b)) for a in fast for b in slow]
