"""Light scattered off a moving surface: the wavenumber at which a slow channel's motion shows in the strain, whatever its unit.

A motion x adds sin(k x + phi) to the strain. Of the over-whitened strain q the sums F(k) = sum_t q(t) exp(-i k x(t)) are, for all
k at once, the Fourier transform of q deposited at the positions x: a matched filter for each. In units of its local median
|F|^2 of an unrelated motion is exponentially distributed, so that one threshold serves channels in metres, micrometres and counts.
How fast the motion is says which wavenumbers bring fringes into the band; a unit of length says where to look first: at
4 pi / wavelength, and at its multiples for light that is reflected several times. Source of the coupling: Accadia et al. 2010
(CQG 27, 194011).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.denoise.witness.features import LASER, convolve_valid, smoothing_filter
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.psd import welch

FREE, KNOWN = 16.0, 9.0
"""Least significance of a wavenumber anywhere, and of one that a unit or a coupling already found leads to expect; chance gives
exp(-significance) at each of some ten thousand, or hundred, wavenumbers."""
SPAN = 0.05
"""A channel's calibration may be off by this fraction."""
REFLECTIONS = (1.0, 2.0, 3.0, 4.0)
LAGS, LAG_STEP, LAG_SPAN = 25, 0.005, 128.0
"""Channels may lag or lead by so many steps (s) to each side; they are looked for in the first `LAG_SPAN` s."""
EDGES = (0.3, 1.0, 2.0, 4.0, 7.0)
"""Motions are smoothed above one of these, Hz: where the sensor's noise is above the motion, smoothing lowers it."""
LONGEST = 1 << 22
CLIP = 6.0
_BLOCK = 128


def metres(unit: str) -> float | None:
    """Metres in a unit of length; None for any other unit, and where none is written.

    Examples
    --------
    >>> [metres(unit) for unit in ("m", "um", "microns", "2.5 nm", "10^-6 m", "NM")]
    [1.0, 1e-06, 1e-06, 2.5e-09, 1e-06, 1e-09]
    >>> [metres(unit) for unit in ("", "counts", "um/s", "furlongs of rope")]
    [None, None, None, None]
    """
    from astropy import units
    from gwpy.detector.units import parse_unit

    text = unit.strip().replace("metre", "meter")
    # Capitals are a data acquisition's habit: to astropy NM is a nautical mile and MM a megametre.
    text = text.lower() if text.isupper() else text
    try:
        parsed = parse_unit(text, parse_strict="silent")
        return float(parsed.to(units.m)) if parsed is not None and parsed.is_equivalent(units.m) else None
    except (ValueError, TypeError):
        return None


@dataclass(frozen=True)
class Peak:
    """A wavenumber (rad per unit of the channel) that stands out, by `significance`, in strain `lag` (s) later than the motion."""

    wavenumber: float
    significance: float
    lag: float


@dataclass(frozen=True)
class Motion:
    """A slow channel as the position of a scatterer.

    Parameters
    ----------
    name, unit : str
    values : (n + 2 reach,) float64, as recorded
    edge : float, Hz
        up to which it is above its sensor's noise
    """

    name: str
    unit: str
    values: np.ndarray
    edge: float

    @property
    def nominal(self) -> float | None:
        """4 pi / wavelength in rad per unit of the channel; None where that is no length."""
        scale = metres(self.unit)
        return None if scale is None else 4.0 * np.pi / LASER * scale

    def smooth(self, rate: float, edge: float | None = None) -> np.ndarray:
        """(n,) float64, smoothed."""
        return convolve_valid(self.values, smoothing_filter(rate, self.edge if edge is None else edge))


def over_whitened(strain: np.ndarray, usable: np.ndarray, rate: float, band: tuple[float, float]) -> np.ndarray:
    """Strain (n,) over its PSD in the band, of unit variance where white; what is not usable counts nothing, glitches little."""
    n = strain.size
    f, psd = welch(strain, rate, min(2.0, n / rate / 8))
    grid = fft.next_fast_length(n)
    grid += grid % 2
    frequencies = np.arange(grid // 2 + 1) * rate / grid
    psd = np.maximum(np.interp(frequencies, f, psd), 1e-6 * np.median(psd))
    weight = np.where((frequencies >= band[0]) & (frequencies <= band[1]), psd**-0.5, 0.0)
    padded = np.zeros(grid)
    padded[:n] = strain
    white = fft.irfft(fft.rfft(padded) * weight, grid)[:n]
    level = float(np.median(np.abs(white[usable]))) / 0.6745 if usable.any() else 0.0
    padded[:n] = np.where(usable, np.clip(white / level, -CLIP, CLIP), 0.0) if level > 0 else 0.0
    return np.asarray(fft.irfft(fft.rfft(padded) * weight, grid)[:n] * np.sqrt(np.median(psd)))


def wavenumbers(motion: np.ndarray, rate: float, band: tuple[float, float]) -> tuple[float, float]:
    """Smallest and largest wavenumber at which a motion (n,) brings fringes into the band; (0, 0) where it does not move.

    The smallest reaches the band at the fastest moments alone; at the largest most of the time is spent beyond it.
    """
    speed = np.abs(np.gradient(motion)) * rate
    rms = float(np.median(speed)) / 0.6745  # a step is no motion
    if not rms > 0 or not np.isfinite(rms):
        return 0.0, 0.0
    low = 2.0 * np.pi * band[0] / float(np.quantile(speed, 0.999))
    high = 2.0 * np.pi * min(4.0 * band[1], 0.5 * rate) / rms
    return low, max(min(high, LONGEST / (4.0 * np.ptp(motion))), low)


def significance(motion: np.ndarray, weights: np.ndarray, limits: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Wavenumbers (m,) between the limits, and |F|^2 there in units of the mean that chance gives.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, noise = np.cumsum(rng.normal(size=4096)), rng.normal(size=4096)
    >>> k, z = significance(x, np.sin(0.7 * x) + noise, (0.1, 2.0))
    >>> round(float(k[np.argmax(z)]), 2), bool(z.max() > 100), bool(0.8 < np.median(z) / np.log(2) < 1.3)
    (0.7, True, True)
    """
    low, high = limits
    place = (motion - motion.min()) * high  # bins of a radian at the largest wavenumber
    first = np.floor(place).astype(np.int64)
    part = place - first
    n_bins = int(first.max()) + 2
    deposited = np.bincount(first, weights * (1.0 - part), n_bins) + np.bincount(first + 1, weights * part, n_bins)
    n_fft = fft.next_fast_length(2 * n_bins)
    n_fft += n_fft % 2
    k = 2.0 * np.pi * np.arange(n_fft // 2 + 1) / n_fft
    inside = slice(int(np.searchsorted(k, low / high)), int(np.searchsorted(k, 1.0, "right")))
    padded = np.zeros(n_fft)
    padded[:n_bins] = deposited
    power = np.abs(fft.rfft(padded)[inside]) ** 2 / np.sinc(k[inside] / (2.0 * np.pi)) ** 4
    blocks = np.array_split(power, max(1, power.size // _BLOCK))
    middles = np.cumsum([block.size for block in blocks]) - [0.5 * block.size for block in blocks]
    chance = np.interp(np.arange(power.size), middles, [float(np.median(block)) / np.log(2.0) for block in blocks])
    return k[inside] * high, power / np.maximum(chance, 1e-300)


def strongest(
    motion: Motion,
    weights: np.ndarray,
    rate: float,
    band: tuple[float, float],
    found: Sequence[float] = (),
    lag: float | None = None,
) -> Peak | None:
    """The wavenumber that stands out most from over-whitened strain (n,), if any reaches its threshold.

    Parameters
    ----------
    motion : Motion
    weights : (n,) float64, `over_whitened`
    rate : float, Hz
    band : (low, high), Hz
    found : wavenumbers accepted already: their multiples are expected
    lag : float, s, optional
        of the channel, where it is known; else lags are tried
    """
    stride = max(1, int(rate / (4.0 * band[1])))
    x = motion.smooth(rate)
    limits = wavenumbers(x, rate, band)
    if not limits[1] > limits[0]:
        return None
    expected = [(n * motion.nominal, SPAN) for n in REFLECTIONS] if motion.nominal else []
    expected += [(n * k, 0.2 * SPAN) for k in found for n in (0.5, *REFLECTIONS[1:])]

    def best(span: slice, shift: float) -> Peak:
        q = np.roll(weights, -round(shift * rate))
        k, z = significance(x[span], q[span], limits)
        if not k.size:
            return Peak(0.0, 0.0, shift)
        needed = np.full(k.size, FREE)
        for value, share in expected:
            needed[np.abs(k - value) <= share * value] = KNOWN
        for value in found:  # what a coupling leaves where its amplitude drifts
            needed[np.abs(k - value) <= SPAN * value] = np.inf
        at = int(np.argmax(z / needed))
        return Peak(float(k[at]), float(z[at] * FREE / needed[at]), shift)

    whole, short = slice(None, None, stride), slice(0, min(x.size, round(LAG_SPAN * rate)), stride)
    if lag is None:
        tried = [best(short, step * LAG_STEP) for step in range(-LAGS, LAGS + 1)]
        lag = max(tried, key=lambda p: p.significance).lag
        peak = max(best(whole, lag), best(whole, 0.0), key=lambda p: p.significance)
    else:
        peak = best(whole, lag)
    return peak if peak.significance >= FREE else None


class Fringes(NamedTuple):
    """Light that varies as sin(`wavenumber` x + `phase`) of a motion x smoothed above `edge` (Hz)."""

    wavenumber: float
    phase: float
    edge: float


def refined(motion: Motion, weights: np.ndarray, rate: float, band: tuple[float, float], peak: Peak) -> Fringes:
    """The wavenumber to a small part of a fringe over the motion's range, the phase, and the smoothing that serves best."""
    stride = max(1, int(rate / (4.0 * band[1])))
    q = np.roll(weights, -round(peak.lag * rate))[::stride]

    def total(x: np.ndarray, k: float) -> complex:
        return complex(np.vdot(np.exp(1j * k * x), q))

    def power(x: np.ndarray, k: float) -> float:
        return abs(total(x, k))

    best = (-1.0, motion.edge)
    for edge in {*EDGES, motion.edge}:
        x = motion.smooth(rate, edge)[::stride]
        best = max(best, (power(x, peak.wavenumber), edge))
    x = motion.smooth(rate, best[1])[::stride]
    level = float(x.mean())
    x -= level
    k, step = peak.wavenumber, 0.5 / float(np.ptp(x))
    for _ in range(4):
        tried = [power(x, k - step), power(x, k), power(x, k + step)]
        curvature = tried[0] - 2.0 * tried[1] + tried[2]
        if curvature < 0:
            k += step * float(np.clip(0.5 * (tried[0] - tried[2]) / curvature, -1.5, 1.5))
        else:
            k += step * float(np.sign(tried[2] - tried[0]))
        step *= 0.5
    phase = float(np.angle(total(x, k))) + 0.5 * np.pi - k * level
    return Fringes(k, float(np.angle(np.exp(1j * phase))), best[1])
