"""Whitened strain for the trigger: real and simulated noise as streams, binaries and glitches to add to it.

Everything lies in one band (24 to 480 Hz) at `RATE`, whitened by the zero-phase filter of `denoise.signal.noise`; a signal's SNR is
that of the matched filter in this band.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.denoise.signal.noise import FILTER, whitened
from gwsurrogate_ml.denoise.signal.segment import DURATION, F_HIGH, F_LOW, frequencies, to_series
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.inference.likelihood.detectors import DetectorNetwork
from gwsurrogate_ml.inference.nuisances.glitch_prior import GlitchPrior, shape_of
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.trigger.settings import RATE, DataSettings
from gwsurrogate_ml.waveform.model import Grid, WaveformModel

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

DETECTORS = ("H1", "L1")
CENTRE = 3.0
"""Where in a segment of DURATION a merger lies, the mean of its arrivals at the detectors, s."""
BEFORE, AFTER = 0.75, 0.25
"""Seconds of a waveform that are kept about its merger."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Whitened strain of one detector.

    Parameters
    ----------
    values : (n,) float32, at RATE
    usable : (n,) bool
        false in gaps, where the filter is corrupt, and where a known signal is
    psd : (n_f,) float64, on `denoise.signal.segment.frequencies`
        that waveforms are whitened by
    """

    values: np.ndarray
    usable: np.ndarray
    psd: np.ndarray

    def windows(self, size: int) -> np.ndarray:
        """First samples of all windows of `size` samples that are usable throughout."""
        bad = np.concatenate([[0], np.cumsum(~self.usable)])
        return np.flatnonzero(bad[size:] == bad[: len(bad) - size])


def stream(series: TimeSeries, exclude: tuple[tuple[float, float], ...] = ()) -> Stream:
    """Whitened strain of a real series, cut to the band and brought to RATE.

    Parameters
    ----------
    series : gwpy TimeSeries of strain, at least 960 Hz, gaps as NaN
    exclude : (start, end), GPS s, of known signals

    Raises
    ------
    DataError
        if the series is too short, or sampled too slowly
    """
    white = whitened(series)
    n = white.values.size
    rate, start = white.rate, float(series.t0.value)
    f = np.arange(n // 2 + 1) * rate / n
    spectrum = fft.rfft(white.values) * ((f >= F_LOW) & (f < F_HIGH)) / np.sqrt(np.interp(f, frequencies(), white.excess))
    size = round(n * RATE / rate)
    full = np.zeros(size // 2 + 1, np.complex128)
    full[: min(full.size, spectrum.size)] = spectrum[: full.size]
    # White noise keeps its power a hertz: its variance a sample grows with the rate.
    values = fft.irfft(full, size) * (size / n) * np.sqrt(rate / RATE)
    bad = ~np.isfinite(series.value)
    for low, high in exclude:
        bad[max(0, round((low - start) * rate)) : max(0, round((high - start) * rate))] = True
    reach = round(0.5 * FILTER * rate)
    near = np.convolve(bad, np.ones(2 * reach + 1), "same") > 0.5 if bad.any() else bad
    near[:reach] = near[-reach:] = True
    return Stream(values.astype(np.float32), ~near[np.minimum((np.arange(size) * rate / RATE).astype(int), n - 1)], white.psd)


def read_noise(folder: Path) -> dict[str, list[Stream]]:
    """Streams by detector of all strain files of a folder, named DETECTOR-anything.

    Raises
    ------
    DataError
        if a detector has none, or a file is no strain
    """
    from gwsurrogate_ml.strain.read import read_strain

    found: dict[str, list[Stream]] = {
        name: [stream(read_strain(path, name)) for path in sorted(Path(folder).glob(f"{name}-*.*"))] for name in DETECTORS
    }
    if missing := [name for name, streams in found.items() if not streams]:
        raise DataError(
            f"no strain of {missing[0]} in {folder}: its files are named {missing[0]}-anything, such as {missing[0]}-O3.hdf5"
        )
    return found


def simulated(rng: np.random.Generator, seconds: int = 512) -> Stream:
    """Gaussian noise as its own spectrum, whatever that be, whitens it; `psd` is 1."""
    n = round(seconds * RATE)
    f = np.arange(n // 2 + 1) * RATE / n
    white = (rng.standard_normal(f.size) + 1j * rng.standard_normal(f.size)) * np.sqrt(0.5 * n) * ((f >= F_LOW) & (f < F_HIGH))
    return Stream(fft.irfft(white, n).astype(np.float32), np.ones(n, bool), np.ones(frequencies().size))


def draw_binaries(n: int, settings: DataSettings, rng: np.random.Generator) -> Binaries:
    """`n` binaries, uniform in both masses and in spin."""
    kept = np.empty((0, 2))
    while len(kept) < n:
        pairs = np.sort(rng.uniform(*settings.mass, (2 * n, 2)), axis=1)[:, ::-1]
        kept = np.concatenate([kept, pairs[pairs[:, 0] <= settings.q_max * pairs[:, 1]]])[:n]
    return Binaries.aligned(*kept.T, *rng.uniform(-settings.chi, settings.chi, (2, n)))


def signals(
    model: WaveformModel, binaries: Binaries, psds: np.ndarray, rng: np.random.Generator, batch: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """Whitened signals of both detectors, from anywhere, and the detectors' shares of their SNR.

    Parameters
    ----------
    model : WaveformModel
    binaries : Binaries, N of them
    psds : (2, N, n_f), of each detector's noise about each signal
    rng : numpy Generator
        of directions, inclinations, polarisations and phases

    Returns
    -------
    (N, 2, n) float32
        `BEFORE` to `AFTER` the mean of the merger's arrivals at both detectors, of SNR one in them together
    (N, 2) float64
        squared SNR of each detector: they sum to one
    """
    f, n = frequencies(), len(binaries)
    network = DetectorNetwork.of(DETECTORS)
    height, turn = rng.uniform(-1, 1, n), rng.uniform(0, 2 * np.pi, n)
    across = np.sqrt(1 - height**2)
    direction = np.stack([across * np.cos(turn), across * np.sin(turn), height], axis=1)
    plus, cross = network.patterns(direction, rng.uniform(0, np.pi, n))
    # A score belongs to what the detectors saw: the geocentre is up to 21 ms away, and no stream knows it.
    delays = network.delays(direction)
    delays = delays - delays.mean(axis=1, keepdims=True)
    theta, phase = np.arccos(rng.uniform(-1, 1, n)), rng.uniform(0, 2 * np.pi, n)
    grid = Grid(DURATION, RATE, 20.0)
    band = slice(round(F_LOW * DURATION), round(F_LOW * DURATION) + f.size)
    keep = slice(round((CENTRE - BEFORE) * RATE), round((CENTRE + AFTER) * RATE))
    out, shares = np.empty((n, 2, keep.stop - keep.start), np.float32), np.empty((n, 2))
    for first in range(0, n, batch):
        some = slice(first, first + batch)
        h = model.transforms(binaries[some], grid, theta[some], phase[some], np.ones(len(theta[some])))[:, :, band]
        for d in range(2):
            white = (plus[some, d, None] * h[:, 0] + cross[some, d, None] * h[:, 1]) / np.sqrt(psds[d, some])
            shares[some, d] = 4.0 / DURATION * np.sum(np.abs(white) ** 2, axis=1)
            white *= np.exp(-2j * np.pi * f * (CENTRE + delays[some, d, None]))
            norm = np.sqrt(shares[some, 0] if d == 0 else shares[some].sum(axis=1))[:, None]
            out[some, d] = to_series(white, RATE)[:, keep] / norm
        out[some, 0] *= np.sqrt(shares[some, 0] / shares[some].sum(axis=1))[:, None]
    return out, shares / shares.sum(axis=1, keepdims=True)


def glitches(n: int, psds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Whitened glitches (n, n_samples) float32 of SNR one, about CENTRE, in the shapes of O3's: see `GlitchPrior`.

    Parameters
    ----------
    psds : (n, n_f)
    """
    return whitened_glitches(GlitchPrior.shipped().draw(n, rng), psds, rng)


def whitened_glitches(shapes: np.ndarray, psds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same of given shapes (n, 2): ln f0 (Hz) and ln gbw."""
    f = frequencies()
    white = shape_of(shapes, f) / np.sqrt(psds)
    white = white / np.sqrt(4.0 / DURATION * np.sum(white**2, axis=1, keepdims=True))
    turn = np.exp(-2j * np.pi * (f * CENTRE + rng.random((len(shapes), 1))))
    keep = slice(round((CENTRE - BEFORE) * RATE), round((CENTRE + AFTER) * RATE))
    return to_series(white * turn, RATE)[:, keep].astype(np.float32)
