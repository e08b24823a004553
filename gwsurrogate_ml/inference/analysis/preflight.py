"""Are the data what the likelihood takes them for? The whitened segment, less its signal, against the noise spectra.

The likelihood believes that the noise is Gaussian and as strong as its spectrum says. Both are looked at in tiles of time and
frequency: a tile's energy over what the spectrum foretells has mean one in such noise. Its median over the segment, away from the
signal, tells before any sampling whether the spectrum belongs to these data; its loudest tile whether there is a glitch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import chi2

from gwsurrogate_ml.errors import DataError

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
    from gwsurrogate_ml.inference.likelihood.trigger import Found

TILE = 0.125
"""Length of a tile in s."""
BANDS = (20.0, 40.0, 80.0, 160.0, 320.0, 640.0)
"""Edges of the tiles in Hz."""
FEWEST = 8
"""Tiles a band needs for its median."""
BEFORE, AFTER = 0.75, 0.25
"""Seconds about the loudest template's merger that are left out: it is not the signal, and leaves some of it."""
UNSTEADY, STEADY = (0.3, 2.5), (0.6, 1.5)
"""Usual ratios of the noise's power to the spectrum's, in bands below `STEADY_FROM` Hz, where noise changes most, and above."""
STEADY_FROM = 80.0
LEFT, HARMLESS = 0.2, 0.1
"""Share of the signal's energy that the loudest template may leave, and its share in the noise's of a tile that is asked still."""
NO_NOISE = 0.02
WRONG = 3.0
"""Ratio, the median of the bands', above which the spectrum is not that of these data: weights and evidence would be fiction."""
GLITCH = 100.0
"""Energy of a tile beyond the noise's, a squared signal-to-noise ratio, from which it is reported: 2 % of real 4 s segments."""


@dataclass(frozen=True)
class Tiles:
    """Energies of one detector's whitened data.

    Attributes
    ----------
    times : (n_t,) float, s from the segment's start, of the tiles' beginnings
    edges : (n_b + 1,) float, Hz
    ratio : (n_b, n_t) float
        energy over what the spectrum foretells
    dof : (n_b,) float
        ``ratio * dof`` is chi-squared of so many degrees of freedom in Gaussian noise
    """

    times: np.ndarray
    edges: np.ndarray
    ratio: np.ndarray
    dof: np.ndarray

    def levels(self, keep: np.ndarray) -> np.ndarray:
        """Noise's power over the spectrum's in each band (n_b,), by the median of the tiles `keep` (n_t,) or (n_b, n_t).

        One where fewer than `FEWEST` are left.
        """
        keep = np.broadcast_to(keep, self.ratio.shape)
        medians = [np.median(row[k]) if k.sum() >= FEWEST else np.nan for row, k in zip(self.ratio, keep, strict=True)]
        levels = np.array(medians) * self.dof / chi2.median(self.dof)
        return np.where(np.isfinite(levels), levels, 1.0)

    def excess(self, keep: np.ndarray) -> np.ndarray:
        """Energy of each tile (n_b, n_t) beyond the noise's, a squared signal-to-noise ratio; noise counts at its own level."""
        return np.where(keep, self.dof[:, None] * (self.ratio - np.maximum(self.levels(keep), 1.0)[:, None]), 0.0)


def tiles(likelihood: SegmentLikelihood, residual: np.ndarray, detector: int) -> Tiles:
    """Tiles of one detector's residual (n_f,), 1/Hz, without the tapered ends of the segment."""
    segment = likelihood.segment
    usable = likelihood.weight[detector] > 0
    white = segment.whitened(np.where(likelihood.weight > 0, residual, 0.0))[detector]
    rate = white.size / segment.duration
    length, edge = round(TILE * rate), round(max(segment.roll_off, TILE) * rate)
    starts = np.arange(edge, white.size - edge - length + 1, length)
    frequencies = np.fft.rfftfreq(length, 1 / rate)
    power = np.abs(np.fft.rfft([white[s : s + length] for s in starts], axis=1)) ** 2
    # White noise in the usable bins alone has this autocorrelation, and a tile's periodogram this mean.
    lags = np.fft.irfft(usable.astype(np.float64), n=white.size)[:length] * (length - np.arange(length))
    expected = 2 * np.fft.rfft(lags).real - lags[0]
    low, high = segment.f_min, float(likelihood.frequencies[usable][-1])
    edges = np.unique(np.clip(BANDS, low, high))
    bins = [(frequencies >= a) & (frequencies < b) for a, b in pairwise(edges)]
    wide = [k for k, b in enumerate(bins) if b.any()]
    ratio = [power[:, bins[k]].sum(axis=1) / expected[bins[k]].sum() for k in wide]
    return Tiles(
        starts / rate,
        np.append(edges[wide], edges[wide[-1] + 1]) if wide else edges[:1],
        np.array(ratio).reshape(len(wide), len(starts)),
        np.array([2.0 * bins[k].sum() for k in wide]),
    )


def best_template(likelihood: SegmentLikelihood, found: Found) -> np.ndarray:
    """The loudest template (n_det, n_f), 1/Hz, in each detector with its own best amplitude, phase and time."""
    h = found.waveform * np.exp(-2j * np.pi * likelihood.frequencies * found.times[:, None])
    match = np.sum(likelihood.weight * np.conj(h) * likelihood.strain, axis=1)
    return (match / likelihood.power(found.waveform[None])[0])[:, None] * h


def spectrum_flags(likelihood: SegmentLikelihood, found: Found) -> list[str]:
    """Does each noise spectrum belong to the segment? A sentence for each detector whose noise is not as it says.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    found : Found
        the loudest template, which is taken away

    Raises
    ------
    DataError
        where the noise's power is more than `WRONG` times the spectrum's, in the median of the bands
    """
    signal, out = best_template(likelihood, found), []
    for d, name in enumerate(likelihood.segment.detectors):
        t = tiles(likelihood, likelihood.strain - signal, d)
        away = (t.times + TILE < found.times[d] - BEFORE) | (t.times > found.times[d] + AFTER)
        levels = t.levels(away & (LEFT * tiles(likelihood, signal, d).ratio < HARMLESS))
        if np.all(levels < NO_NOISE):  # a signal without noise, for which any spectrum will do
            continue
        measured = any(likelihood.segment.psd_segments[d : d + 1])
        remedy = "" if measured else "leave out --psd (psd), so that it is measured beside the event, "
        if (typical := float(np.median(levels))) > WRONG:
            raise DataError(
                f"{name}: the noise of the segment has {typical:.1f} times the power that its spectrum says: the spectrum is not "
                f"that of these data, or the noise is far from steady; {remedy}give the spectrum of these data, or leave the "
                "detector out"
            )
        bands = list(pairwise(t.edges))
        usual = [STEADY if low >= STEADY_FROM else UNSTEADY for low, _ in bands]
        odd = [k for k, (least, most) in enumerate(usual) if not least < levels[k] < most]
        if odd:
            said = ", ".join(f"{levels[k]:.2g} at {bands[k][0]:g} to {bands[k][1]:g} Hz" for k in odd)
            out.append(
                f"spectrum unlike the noise: {name}'s segment has {said} of the power that its spectrum says; errors and evidence "
                "are off where it matters: give a spectrum of these data, or a band without it"
            )
    return out


def loudest_glitch(
    likelihood: SegmentLikelihood, signal: np.ndarray, merger: np.ndarray, before: float, after: float
) -> dict[str, Any]:
    """The loudest tile of the residual away from the merger.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    signal : (n_det, n_f) complex128, 1/Hz
        best-fitting signal in each detector
    merger : (n_det,) float, s
        its arrival, from the start of the segment
    before, after : float, s
        about the merger that are left out

    Returns
    -------
    dict with `snr`, `detector`, `start` (s after the merger), `f_low`, `f_high` (Hz)
    """
    best: dict[str, Any] = {"snr": 0.0, "detector": "", "start": 0.0, "f_low": 0.0, "f_high": 0.0}
    for d, name in enumerate(likelihood.segment.detectors):
        t = tiles(likelihood, likelihood.strain - signal, d)
        keep = (t.times + TILE < merger[d] - before) | (t.times > merger[d] + after)
        if keep.sum() < FEWEST or not len(t.dof):
            continue
        excess = t.excess(keep)
        band, k = np.unravel_index(np.argmax(excess), excess.shape)
        if (snr := float(np.sqrt(max(excess[band, k], 0.0)))) > best["snr"]:
            best = {
                "snr": snr,
                "detector": name,
                "start": float(t.times[k] - merger[d]),
                "f_low": float(t.edges[band]),
                "f_high": float(t.edges[band + 1]),
            }
    return best
