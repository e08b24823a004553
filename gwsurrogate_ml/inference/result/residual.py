"""What is left of the data when the best waveform is taken away: residual test, glitches, a second signal.

Residual test: the data less the best-fitting waveform, whitened, in tiles of time and frequency around the merger. The
energy of each is compared with that of tiles of the same band elsewhere in the segment. In stationary Gaussian noise the
ratio follows an F distribution, whatever the noise's level: an error of the spectrum alone raises no flag. The smallest
p-value is corrected for the number of tiles (Sidak).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.conventions import EXTRINSIC
from gwsurrogate_ml.inference.likelihood.tiles import FEWEST, TILE, tiles, usable_bins
from gwsurrogate_ml.inference.likelihood.trigger import network_lags

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood

GLITCH = 100.0
"""Energy of a tile beyond the noise's, a squared signal-to-noise ratio, from which it is reported: 2 % of real 4 s segments."""


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
                "f_low": float(t.bands[band, 0]),
                "f_high": float(t.bands[band, 1]),
            }
    return best


BEFORE, AFTER = 3, 1
"""Tiles around the merger that are tested."""


RESIDUAL_BANDS = (24.0, 64.0, 128.0, 256.0, 512.0)
"""Edges of the bands in Hz."""


CLEAR_OF_MERGER = 0.15
"""Seconds around the merger in which a second signal cannot be told from a misfit."""


@dataclass(frozen=True)
class ResidualTest:
    """Outcome of the residual test.

    Attributes
    ----------
    p_value : float
        of the loudest tile, corrected for the number of tiles
    detector : str
    start, duration : float, s
        of that tile; start relative to the merger in that detector
    f_low, f_high : float, Hz
    excess : float
        its energy over that of the noise
    n_tiles : int
    """

    p_value: float
    detector: str
    start: float
    duration: float
    f_low: float
    f_high: float
    excess: float
    n_tiles: int


def residual_test(likelihood: SegmentLikelihood, signal: np.ndarray, merger: np.ndarray) -> ResidualTest:
    """Compare the residual around the merger with the rest of the segment.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    signal : (n_det, n_f) complex128, 1/Hz
        best-fitting signal in each detector
    merger : (n_det,) float, s
        its arrival, from the start of the segment

    Returns
    -------
    ResidualTest

    Notes
    -----
    Tiles of the tapered ends of the segment are left out, and those next to the tested ones. Fitting takes some eleven
    degrees of freedom of about a thousand away, which makes the test slightly lenient.
    """
    from scipy.stats import f as f_distribution

    segment = likelihood.segment
    white = segment.whitened(np.where(likelihood.weight > 0, likelihood.strain - signal, 0.0))
    rate = white.shape[-1] / segment.duration
    length = round(TILE * rate)
    frequencies = np.fft.rfftfreq(length, 1 / rate)
    edge = max(segment.roll_off, TILE)
    best: tuple[float, ResidualTest] | None = None
    n_tiles = 0
    for d, name in enumerate(segment.detectors):
        # Tiles on a grid that ends at the merger, so that none straddles it.
        first = int(np.floor((merger[d] - edge) / TILE))
        starts = merger[d] + TILE * np.arange(-first, int((segment.duration - edge - merger[d]) / TILE))
        rows = np.round(starts * rate).astype(int)
        keep = (rows >= 0) & (rows + length <= white.shape[-1])
        number = np.arange(-first, -first + len(starts))[keep]
        power = np.abs(np.fft.rfft([white[d, r : r + length] for r in rows[keep]], axis=1)) ** 2
        tested = (number >= -BEFORE) & (number < AFTER)
        away = (number < -BEFORE - 1) | (number > AFTER)
        _, used = usable_bins(likelihood.weight[d] > 0, white.shape[-1], length)
        for low, high in pairwise(RESIDUAL_BANDS):
            band = used & (frequencies >= max(low, segment.f_min)) & (frequencies < min(high, segment.f_max))
            if not band.any() or away.sum() < 4:
                continue
            energy = power[:, band].sum(axis=1)
            noise, dof = energy[away].mean(), 2 * int(band.sum())
            for k in np.flatnonzero(tested):
                n_tiles += 1
                p = float(f_distribution.sf(energy[k] / noise, dof, dof * int(away.sum())))
                if best is None or p < best[0]:
                    start = float(number[k] * TILE)
                    best = p, ResidualTest(p, name, start, TILE, low, high, float(energy[k] / noise), 0)
    if best is None:
        return ResidualTest(1.0, segment.detectors[0], 0.0, TILE, RESIDUAL_BANDS[0], RESIDUAL_BANDS[-1], 1.0, 0)
    corrected = float(-np.expm1(n_tiles * np.log1p(-min(best[0], 1 - 1e-16))))
    return ResidualTest(**(asdict(best[1]) | {"p_value": corrected, "n_tiles": n_tiles}))


def second_signal(likelihood: SegmentLikelihood, signal: np.ndarray, merger: np.ndarray, templates: np.ndarray) -> dict[str, float]:
    """The loudest coincident trigger in the residual, away from the merger.

    Parameters
    ----------
    likelihood, signal, merger : as for `residual_test`
    templates : (N, n_f) complex128
        face-on waveforms to filter with

    Returns
    -------
    dict with `snr` (network), `time` (s after the merger, in the first detector) and the SNRs by detector
    """
    from scipy.ndimage import maximum_filter1d

    segment, n = likelihood.segment, 2 * (len(likelihood.frequencies) - 1)
    rate = n / segment.duration
    sigma = np.sqrt(likelihood.power(templates))
    times = np.arange(n) / rate
    edge = max(2 * segment.roll_off, 0.25)
    lags = network_lags(likelihood, rate)
    allowed = (times > edge) & (times < segment.duration - edge) & (np.abs(times - merger[0]) > CLEAR_OF_MERGER)
    found = {"snr": 0.0, "time": 0.0}
    for h, norm in zip(templates, sigma, strict=True):
        grid = np.zeros((len(signal), n), dtype=np.complex128)
        grid[:, : h.size] = np.conj(h) * likelihood.weight * (likelihood.strain - signal)
        rho = np.abs(np.fft.ifft(grid, axis=1) * n) / norm[:, None]
        near = np.array([maximum_filter1d(row, 2 * lag + 1) for row, lag in zip(rho, lags, strict=True)])
        total = np.linalg.norm(near, axis=0)
        # What one detector alone sees is a glitch, and no second event; a third may be too quiet to see either.
        seen = allowed & (np.sort(near, axis=0)[-min(2, len(near))] > 4)
        k = int(np.argmax(np.where(seen, total, 0.0)))
        if seen[k] and total[k] > found["snr"]:
            found = {"snr": float(total[k]), "time": float(times[k] - merger[0])}
            found |= {name: float(row[k]) for name, row in zip(segment.detectors, near, strict=True)}
    return found


def best_signal(likelihood: SegmentLikelihood, best: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Signal (n_det, n_f) of the eleven parameters `best`, and its arrival (n_det,) in s from the segment's start."""
    table = {name: np.array([float(best[name])]) for name in (*likelihood.space.names, *EXTRINSIC)}
    return likelihood.signals(table)[0], arrival(likelihood, best)


def arrival(likelihood: SegmentLikelihood, best: Mapping[str, float]) -> np.ndarray:
    """When a signal of the parameters `best` arrives in each detector, (n_det,) in s from the segment's start."""
    from gwsurrogate_ml.inference.likelihood.detectors import earth_direction

    ra, dec, time = (np.array([float(best[name])]) for name in ("ra", "dec", "geocent_time"))
    delays = likelihood.network.delays(earth_direction(ra, dec, time))[0]
    return np.asarray(time - likelihood.segment.start_time + delays)


def examine(likelihood: SegmentLikelihood, best: Mapping[str, float], templates: np.ndarray) -> dict[str, Any]:
    """The checks of the residual for one result, as plain numbers for its meta data.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    best : the eleven parameters of the posterior draw of highest likelihood
    templates : (N, n_f) complex128, see `second_signal`
    """
    return examine_signal(likelihood, *best_signal(likelihood, best), templates)


def examine_signal(likelihood: SegmentLikelihood, signal: np.ndarray, merger: np.ndarray, templates: np.ndarray) -> dict[str, Any]:
    """The same where the `signal` (n_det, n_f) and its arrival `merger` (n_det,) are known."""
    return {
        "residual": asdict(residual_test(likelihood, signal, merger)),
        "second_signal": second_signal(likelihood, signal, merger, templates),
        "glitch": loudest_glitch(likelihood, signal, merger, BEFORE * TILE, AFTER * TILE),
    }
