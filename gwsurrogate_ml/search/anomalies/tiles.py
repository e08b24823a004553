"""Where one detector is louder than noise: an over-complete set of short waveforms, of tracks, and of boxes in time and frequency.

A waveform is a Gaussian in frequency, of quality 2 to 16, some with a rising frequency (the Q transform, Chatterji et al.
2004, arXiv:gr-qc/0412119, with chirps); a track rises as an inspiral does that knows its chirp mass alone (Newton's phase,
stopped at the ringdown of equal masses); a box sums the power in a band over a time (Anderson et al. 2001,
arXiv:gr-qc/0008066). The significance of each is minus the logarithm of the probability that noise reaches its power.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.search.anomalies.white import RATE, White

BLOCK, EDGE = 16, 1.0
"""Seconds that are transformed at once, and how much of them at each end is another block's."""
STEP = 512
"""Hz, at which powers are taken."""
NEAR = 26
"""Samples at STEP on either side of a trigger among which each tile's greatest power is kept: as far as the next trigger."""
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
MASSES = np.linspace(60.0 ** (-5 / 3), 12.0 ** (-5 / 3), 28) ** (-3 / 5)
"""Chirp masses of the tracks, 60 to 12 solar masses, even in the number of cycles."""
MOST_TIMING = 0.03
"""By how much a tile may at most peak at other times in two detectors, beyond what light needs, s."""


class Tiles(NamedTuple):
    """The set, one a row: frequency (Hz), quality, chirp (0 for tracks and boxes), length (s; of boxes), low and high (Hz), mass
    (the Sun's; of tracks), duration (s; of waveforms twice the scatter of their power) and timing (s; how far its peaks in two
    detectors may lie apart by noise alone).
    """

    frequency: np.ndarray
    quality: np.ndarray
    chirp: np.ndarray
    length: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mass: np.ndarray
    duration: np.ndarray
    timing: np.ndarray


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
                still = np.sqrt(2) / (2 * np.pi * f / quality)
                long = still * np.sqrt(1 + chirp**2)
                rows.append((f, quality, chirp, 0.0, f - f / quality, f + f / quality, 0.0, long, 0.6 * still))
    for mass in MASSES:
        f = np.arange(24, 480, 0.25)
        power = np.abs(track(mass, f)) ** 2
        power /= power.sum()
        middle = power @ f
        spread = np.sqrt(power @ (f - middle) ** 2)
        low, high = np.interp((0.05, 0.95), np.cumsum(power), f)
        still = 1 / (2 * np.pi * spread)
        rows.append((middle, middle / (high - low), 0.0, 0.0, low, high, mass, _before(mass, low), 0.6 * still))
    for low, high in BANDS:
        middle = np.sqrt(low * high)
        shape = (middle, middle / (high - low), 0.0)
        rows += [(*shape, d, low, high, 0.0, d, 0.25 * d) for d in LENGTHS if (high - low) * d >= 3]
    t = Tiles(*np.array(rows).T)
    return t._replace(timing=np.minimum(t.timing + 1 / STEP, MOST_TIMING))


def track(mass: float, f: np.ndarray) -> np.ndarray:
    """Whitened spectrum (n_f,) complex of an inspiral of a chirp mass (the Sun's) that would end at t = 0.

    Noise is taken to be like LIGO's: f^-3.5 to 62 Hz, then white, then f above 300 Hz.
    """
    seconds = mass * MTSUN_SI
    ringdown = 0.088 / (2**1.2 * seconds)
    noise = (f / 62) ** -7 + 1 + (f / 300) ** 2
    amplitude = f ** (-7 / 6) / np.sqrt(noise) / (1 + (f / (1.3 * ringdown)) ** 8)
    return np.asarray(amplitude * np.exp(-3j / 128 * (np.pi * seconds * f) ** (-5 / 3)))


def _before(mass: float, f: float) -> float:
    """Seconds to the end at which an inspiral passes a frequency."""
    seconds = mass * MTSUN_SI
    return float(5 / 256 * seconds * (np.pi * seconds * f) ** (-8 / 3))


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
    plain = (t.length == 0) & (t.mass == 0)
    spread = (t.frequency / t.quality)[plain, None]
    x = (f[None] - t.frequency[plain, None]) / spread
    # The conjugate of a waveform whose frequency rises: it delays high frequencies.
    g = np.exp(-0.5 * x**2 + 0.5j * t.chirp[plain, None] * x**2) * ((f >= 24) & (f < 480))
    inside = (f >= 24) & (f < 480)
    tracks = np.zeros((MASSES.size, f.size), complex)
    tracks[:, inside] = [np.conj(track(mass, f[inside])) for mass in MASSES]
    g = np.concatenate([g, tracks])
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
