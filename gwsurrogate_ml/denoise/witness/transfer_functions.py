"""Which feature counts at which frequency, and the optimal filters of those that do.

Cross-spectra by Welch's method; features are chosen greedily by partial coherence with the strain, frequency by frequency,
so that what is not coupled costs nothing: a filter fitted to chance would add 1/K of the noise power for K averages.
"""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.psd import periodic_hann

SMOOTH = 2.0
"""Coherence is smoothed over this many Hz before it is judged."""
ENTRY, STAY = 25.0, 2.0
"""A feature enters for this much summed excess of K coherence, at frequencies where it exceeds STAY (Akaike) and 3 sigma."""
HANN_AVERAGES = 1.06
"""Independent averages per disjoint segment that Hann segments overlapping by half are worth: 18/17 of each."""
FAINT = 1e-7
"""Where a feature has less than this share of its largest power it is not used: the filter would be huge there, and leak."""
_BATCH = 1 << 22


def segments(n: int, n_segment: int, usable: np.ndarray | None) -> np.ndarray:
    """First samples of the segments, overlapping by half, all of whose samples are usable."""
    starts = np.arange(0, n - n_segment + 1, n_segment // 2)
    if usable is None:
        return starts
    bad = np.concatenate([[0], np.cumsum(~usable)])
    return starts[bad[starts + n_segment] == bad[starts]]


def cross_spectra(
    features: np.ndarray, target: np.ndarray, n_segment: int, bins: slice, usable: np.ndarray | None = None
) -> tuple[np.ndarray, float, np.ndarray]:
    """Averaged cross-spectral matrices of features and target, and the number of independent averages.

    A feature that is loud in few segments, such as fringes at their fastest or a channel with glitches, has fewer averages than
    there are segments: by how much its power scatters beyond that of Gaussian noise.

    Parameters
    ----------
    features : (k, n) float64
    target : (n,) float64
    n_segment : int
    bins : slice of the segment's frequencies
    usable : (n,) bool, optional

    Returns
    -------
    (n_bins, k + 1, k + 1) complex128, [f, a, b] = <conj(x_a) x_b>; the target comes last
    float, independent averages K
    (n_bins, k) float64, those of each feature, at most K
    """
    window = periodic_hann(n_segment)
    starts = segments(target.size, n_segment, usable)
    k = len(features) + 1
    total = np.zeros((bins.stop - bins.start, k, k), np.complex128)
    fourth = np.zeros((bins.stop - bins.start, k - 1))
    batch = max(1, _BATCH // (k * n_segment))
    for first in range(0, starts.size, batch):
        some = starts[first : first + batch]
        z = np.empty((bins.stop - bins.start, some.size, k), np.complex128)
        for row in range(k):
            series = target if row == k - 1 else features[row]
            frames = np.stack([series[s : s + n_segment] for s in some])
            frames -= frames.mean(axis=1, keepdims=True)
            z[:, :, row] = fft.rfft(frames * window)[:, bins].T
        total += np.conj(z.transpose(0, 2, 1)) @ z
        fourth += np.sum((z[:, :, :-1].real ** 2 + z[:, :, :-1].imag ** 2) ** 2, axis=1)
    n, averages = max(starts.size, 1), max(1.0, 0.5 * HANN_AVERAGES * starts.size)
    second = np.einsum("faa->fa", total).real[:, :-1] ** 2
    gaussian = np.divide(2.0 * second, n * fourth, out=np.ones_like(fourth), where=fourth > 0)
    return total / n, averages, averages * np.minimum(gaussian, 1.0)


def choose(spectra: np.ndarray, averages: float | np.ndarray, delta_f: float, allowed: np.ndarray) -> np.ndarray:
    """Features used at each frequency, (n_bins, k) bool.

    Parameters
    ----------
    spectra : (n_bins, k + 1, k + 1) from `cross_spectra`
    averages : float or (n_bins, k), K
    delta_f : float, Hz
    allowed : (n_bins,) bool
        frequencies in some band
    """
    rest = spectra.copy()
    n_bins, k = rest.shape[0], rest.shape[1] - 1
    width = max(1, round(SMOOTH / delta_f))
    kernel = np.ones(width) / np.convolve(np.ones(n_bins), np.ones(width), "same").max() if n_bins >= width else np.ones(1)
    weight = np.convolve(np.ones(n_bins), kernel, "same")
    # Hann spectra of neighbouring bins are correlated: half of them count.
    needed = max(STAY, 1.0 + 3.0 / np.sqrt(max(1.0, 0.5 * width)))
    used = np.zeros((n_bins, k), bool)
    scale = np.einsum("faa->fa", spectra).real
    audible = allowed[:, None] & (scale[:, :k] > FAINT * np.max(scale[:, :k], axis=0, where=allowed[:, None], initial=0.0))
    for _ in range(k):
        own = np.einsum("faa->fa", rest).real
        # Nothing is left of a feature that others span already.
        alive = own[:, :k] > 1e-6 * scale[:, :k]
        with np.errstate(divide="ignore", invalid="ignore"):
            coherence = np.where(alive, np.abs(rest[:, :k, k]) ** 2 / (own[:, :k] * own[:, k:]), 0.0)
        excess = averages * np.minimum(coherence, 1.0)
        smooth = np.stack([np.convolve(excess[:, j], kernel, "same") / weight for j in range(k)], axis=1)
        good = (smooth > needed) & ~used & audible & alive
        gain = np.sum(np.where(good, averages * -np.log1p(-np.minimum(coherence, 1 - 1e-12)) - 1.0, 0.0), axis=0)
        gain[used.any(axis=0)] = -np.inf
        best = int(np.argmax(gain))
        if not gain[best] > ENTRY:
            break
        mask = good[:, best]
        used[mask, best] = True
        column = rest[mask][:, :, best]
        rest[mask] -= column[:, :, None] * np.conj(column)[:, None, :] / own[mask, best][:, None, None]
    return used


def solve(spectra: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Least-squares transfer functions (n_bins, k) of the features used at each frequency."""
    k = used.shape[1]
    pair = used[:, :, None] & used[:, None, :]
    scale = np.sqrt(np.maximum(np.einsum("faa->fa", spectra).real[:, :k], 1e-300))
    normal = np.where(pair, spectra[:, :k, :k] / (scale[:, :, None] * scale[:, None, :]), 0.0)
    normal[:, np.arange(k), np.arange(k)] = 1.0 + 1e-10
    right = np.where(used, spectra[:, :k, k] / scale, 0.0)
    return np.asarray(np.linalg.solve(normal, right[:, :, None])[:, :, 0] / scale)


def to_taps(transfer: np.ndarray, bins: slice, n_segment: int) -> np.ndarray:
    """Centred impulse responses (k, n_segment + 1) of transfer functions (n_bins, k); sample n_segment // 2 is zero lag."""
    full = np.zeros((transfer.shape[1], n_segment // 2 + 1), np.complex128)
    full[:, bins] = transfer.T
    taps = np.roll(fft.irfft(full, n_segment), n_segment // 2, axis=1)
    taps = np.concatenate([taps, taps[:, :1]], axis=1)
    edge = max(1, n_segment // 16)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    taps[:, :edge] *= ramp
    taps[:, -edge:] *= ramp[::-1]
    return taps
