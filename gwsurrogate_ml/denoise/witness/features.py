"""Features of witness channels: the channels, products of fast and slow ones, and sines of large motions.

A linear filter on each is then enough for linear, bilinear (NonSENS, arXiv:1911.09083) and scattered-light coupling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gwsurrogate_ml.errors import ConfigError
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

    Examples
    --------
    >>> str(Feature("product", ("MAINS", "TILT")))
    'MAINS x TILT'
    """

    kind: Kind
    channels: tuple[str, ...]
    wavenumber: float = 0.0

    def __str__(self) -> str:
        if self.kind in ("linear", "product"):
            return " x ".join(self.channels)
        return f"{self.kind}({self.wavenumber:.6g} {self.channels[0]})"

    def card(self) -> dict[str, Any]:
        """What a model card records."""
        return {"kind": self.kind, "channels": list(self.channels), "wavenumber": self.wavenumber}

    @classmethod
    def of_card(cls, entry: Mapping[str, Any]) -> Feature:
        """A feature from `card`."""
        return cls(entry["kind"], tuple(entry["channels"]), float(entry["wavenumber"]))


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
            phase = feature.wavenumber * smooth[name]
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


def candidates(
    channels: Mapping[str, np.ndarray],
    units: Mapping[str, str],
    strain: np.ndarray,
    sampling_frequency: float,
    band: tuple[float, float],
) -> tuple[list[Feature], np.ndarray]:
    """All features worth trying, and the smoothing filter of the scatterers.

    Every channel; every fast one times every slow one; sine and cosine of 4 pi / wavelength times each slow channel in
    metres, the factor refined on the data (a few per cent of miscalibration would dephase it).

    Parameters
    ----------
    channels : mapping from name to (n,) float64, finite
    units : mapping from name to unit; "m" marks a motion that may scatter light
    strain : (n,) float64, finite
    sampling_frequency : float, Hz
    band : (low, high), Hz
    """
    from scipy.signal import firwin, oaconvolve

    slow, edge = [], 0.0
    for name, values in channels.items():
        f, psd = welch(values, sampling_frequency, min(16.0, values.size / sampling_frequency / 4), average="mean")
        floor = float(np.median(psd[f > SLOW_EDGE]))  # the sensor's own noise
        signal = np.maximum(psd - floor, 0.0)
        if signal[f > SLOW_EDGE].sum() < 0.05 * signal.sum():
            slow.append(name)
            if units.get(name) == "m":
                above = f[(psd > 10.0 * floor) & (f < SLOW_EDGE)]
                edge = max(edge, float(above.max(initial=0.0)))
    fast = [name for name in channels if name not in slow]
    features = [Feature("linear", (name,)) for name in channels]
    features += [Feature("product", (name, other)) for name in fast for other in slow]
    smoothing = smoothing_filter(sampling_frequency, edge)
    motions = [name for name in slow if units.get(name) == "m"]
    if motions:
        reach = smoothing.size // 2
        f, psd = welch(strain, sampling_frequency, 2.0)
        whitener = firwin(2 * reach + 1, band, fs=sampling_frequency, pass_zero=False)
        cut = slice(0, min(strain.size, round(256.0 * sampling_frequency)))
        flat = oaconvolve(strain[cut] / np.sqrt(np.median(psd)), whitener, mode="valid")
        for name in motions:
            k = _wavenumber(convolve_valid(channels[name][cut], smoothing), flat)
            features += [Feature("sine", (name,), k), Feature("cosine", (name,), k)]
    return features, smoothing


def _wavenumber(motion: np.ndarray, strain: np.ndarray, span: float = 0.05) -> float:
    """The wavenumber within `span` of 4 pi / LASER whose phasor the strain follows best (rad/m)."""
    nominal, x = 4.0 * np.pi / LASER, motion - motion.mean()
    spread = float(x.std())
    if not spread > 0:
        raise ConfigError("a motion without any variation scatters no light: leave the channel out")

    def power(k: np.ndarray) -> np.ndarray:
        return np.array([abs(np.vdot(np.exp(1j * value * x), strain)) for value in k])

    step = min(0.3 / spread, span * nominal)
    grid = np.arange(nominal * (1 - span), nominal * (1 + span) + step, step)
    for _ in range(3):  # each pass is ten times finer
        best = grid[int(np.argmax(power(grid)))]
        grid = best + step * np.linspace(-1.0, 1.0, 21)
        step *= 0.1
    return float(best)
