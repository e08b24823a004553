"""Where one detector is louder than noise: an over-complete set of short waveforms, and of boxes in time and frequency.

A waveform is a Gaussian in frequency, of quality 2 to 16, some with a rising frequency (the Q transform, Chatterji et al.
2004, arXiv:gr-qc/0412119, with chirps); a box sums the power in a band over a time (Anderson et al. 2001,
arXiv:gr-qc/0008066). The significance of either is minus the logarithm of the probability that noise reaches its power.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.search.anomalies.white import RATE, White

BLOCK, EDGE = 16, 0.5
"""Seconds that are transformed at once, and how much of them at each end is another block's."""
STEP = 512
"""Hz, at which powers are taken."""
NEAR = 6
"""Samples at STEP on either side of a trigger among which each tile's greatest power is kept: as far as light goes."""
APART = 0.05
"""A trigger is the most significant within this time on either side, s."""
THRESHOLD = 5.5
"""Least significance of a trigger."""
WINDOW = 512
"""Samples of whitened data that are kept about a trigger."""
QUALITIES, CHIRPS = (2.0, 4.0, 8.0, 16.0), (1.5, 4.0)
LOWEST, HIGHEST = 28.0, 450.0
BANDS = ((24, 60), (60, 120), (120, 240), (240, 480), (24, 120), (60, 240), (120, 480), (24, 480))
LENGTHS = (1 / 32, 1 / 16, 1 / 8, 1 / 4)


class Tiles(NamedTuple):
    """The set, one a row: frequency (Hz), quality, chirp (0 for boxes), and length (s; 0 for waveforms)."""

    frequency: np.ndarray
    quality: np.ndarray
    chirp: np.ndarray
    length: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def duration(self) -> np.ndarray:
        """Seconds: of a waveform twice the scatter of its envelope's power."""
        spread = self.frequency / self.quality
        return np.where(self.length > 0, self.length, np.sqrt(2 + 2 * self.chirp**2) / (2 * np.pi * spread))


@cache
def tiles() -> Tiles:
    """All of them.

    Examples
    --------
    >>> t = tiles()
    >>> bool(t.frequency.min() >= 28), int((t.length > 0).sum()) > 20
    (True, True)
    """
    rows = []
    for quality in QUALITIES:
        n = int(np.ceil(np.log(HIGHEST / LOWEST) * quality / 0.8))
        for f in np.geomspace(LOWEST, HIGHEST, n):
            for chirp in (0.0, *(CHIRPS if quality <= 4 else ())):
                rows.append((f, quality, chirp, 0.0, f - f / quality, f + f / quality))
    for low, high in BANDS:
        middle = np.sqrt(low * high)
        rows += [(middle, middle / (high - low), 0.0, d, low, high) for d in LENGTHS if (high - low) * d >= 3]
    return Tiles(*np.array(rows).T)


class Triggers(NamedTuple):
    """Triggers of one detector, n of them, in order of time.

    Attributes
    ----------
    time : float64 (n,), GPS s
    significance : float32 (n,), of the best tile
    tile : int (n,)
    near : float32 (n, n_tiles), greatest significance of each tile within NEAR
    offset : int8 (n, n_tiles), where that is, samples at STEP
    window : float32 (n, WINDOW), whitened data, the trigger in its middle
    """

    time: np.ndarray
    significance: np.ndarray
    tile: np.ndarray
    near: np.ndarray
    offset: np.ndarray
    window: np.ndarray

    def take(self, index: np.ndarray) -> Triggers:
        """Some of them."""
        return Triggers(*(column[index] for column in self))


@cache
def _filters() -> tuple[np.ndarray, list[tuple[int, int, list[tuple[int, np.ndarray, np.ndarray]]]]]:
    """Spectra (n, n_f) complex64 of the waveforms; of each band its bins, and of each of its boxes the samples and the table."""
    from scipy.special import gammaincc

    t, n = tiles(), BLOCK * RATE
    f = np.arange(n // 2) / BLOCK
    plain = t.length == 0
    spread = (t.frequency / t.quality)[plain, None]
    x = (f[None] - t.frequency[plain, None]) / spread
    # The conjugate of a waveform whose frequency rises: it delays high frequencies.
    g = np.exp(-0.5 * x**2 + 0.5j * t.chirp[plain, None] * x**2) * ((f >= 24) & (f < 480))
    g *= np.sqrt(2 / n) / np.linalg.norm(g, axis=1, keepdims=True)
    boxes = []
    for low, high in BANDS:
        own = []
        for d in LENGTHS:
            if (high - low) * d >= 3:
                shape = (high - low) * d
                power = np.concatenate([np.linspace(0, 6 * shape + 120, 4000), [1e6]])
                with np.errstate(divide="ignore"):
                    table = -np.log(np.maximum(gammaincc(shape, power), 1e-300))
                table[-1] = 1e6
                own.append((round(d * STEP), power, np.maximum.accumulate(table)))
        boxes.append((low * BLOCK, high * BLOCK, own))
    return g.astype(np.complex64), boxes


def significances(block: np.ndarray) -> np.ndarray:
    """Significance (n_tiles, BLOCK STEP) float32 of every tile in BLOCK s of whitened data."""
    from scipy.ndimage import uniform_filter1d

    g, boxes = _filters()
    n = BLOCK * RATE
    spectrum = fft.rfft(np.asarray(block, np.float64))[: n // 2].astype(np.complex64)
    z = fft.ifft(g * spectrum, norm="forward")
    parts = [0.5 * (z.real**2 + z.imag**2)]
    for low, high, own in boxes:
        cut = np.zeros(n // 2, np.complex64)
        cut[low:high] = spectrum[low:high]
        y = fft.ifft(cut, norm="forward") * np.float32(1 / n)
        # The mean of |y|^2 in noise is (high - low) / n: over a box it sums to its number of degrees of freedom.
        power = (y.real**2 + y.imag**2) * n / (high - low)
        for size, at, table in own:
            total = uniform_filter1d(power, size, mode="constant") * ((high - low) / BLOCK * size / STEP)
            parts.append(np.interp(total, at, table)[None])
    return np.concatenate(parts).astype(np.float32)


def find(white: White, spans: list[tuple[float, float]] | None = None) -> Triggers:
    """Triggers of one detector inside `spans` (all that is usable where left out)."""
    spans = white.spans if spans is None else spans
    found = [one for span in spans for one in _in_span(white, span)]
    if not found:
        n = tiles().frequency.size
        near, window = np.empty((0, n), np.float32), np.empty((0, WINDOW), np.float32)
        return Triggers(np.empty(0), np.empty(0, np.float32), np.empty(0, int), near, np.empty((0, n), np.int8), window)
    return Triggers(*(np.concatenate(columns) for columns in zip(*found, strict=True)))


def _in_span(white: White, span: tuple[float, float]) -> list[Triggers]:
    from scipy.ndimage import maximum_filter1d

    out = []
    first, last = (round((t - white.start) * RATE) for t in span)
    hop, edge = round((BLOCK - 2 * EDGE) * RATE), round(EDGE * RATE)
    for begin in range(first, last, hop):
        block = np.zeros(BLOCK * RATE, np.float32)
        low = max(0, begin - edge)
        piece = white.values[low : begin - edge + block.size]
        block[low - begin + edge : low - begin + edge + piece.size] = piece
        s = significances(block)
        best = s.max(axis=0)
        inside = slice(round(EDGE * STEP), round((EDGE + (min(begin + hop, last) - begin) / RATE) * STEP))
        peak = (maximum_filter1d(best, 2 * round(APART * STEP) + 1) == best) & (best >= THRESHOLD)
        at = inside.start + np.flatnonzero(peak[inside])
        if not at.size:
            continue
        around = s[:, at[:, None] + np.arange(-NEAR, NEAR + 1)]
        where = around.argmax(axis=2)
        middle = at * (RATE // STEP)
        padded = np.pad(block, WINDOW // 2)
        windows = padded[middle[:, None] + np.arange(WINDOW)]
        out.append(
            Triggers(
                white.start + (begin - edge + middle) / RATE,
                best[at],
                s[:, at].argmax(axis=0),
                np.ascontiguousarray(around.max(axis=2).T),
                (where - NEAR).astype(np.int8).T.copy(),
                windows,
            )
        )
    return out
