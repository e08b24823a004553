"""Simulated bursts as two detectors see them, and glitches as one does, whitened.

Everything is made on the denoisers' frequencies (4 s) and turned into series at RATE; a burst's middle, a binary's peak, lies at
`MIDDLE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.conventions import C_SI
from gwsurrogate_ml.denoise.signal.segment import DURATION, F_HIGH, F_LOW, frequencies, to_series
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.search.anomalies.white import RATE
from gwsurrogate_ml.waveform.model import Grid, WaveformModel

SIGNALS = ("sine-Gaussian", "noise burst", "ringdown", "binary")
"""Classes of signals that are learned."""
GLITCHES = ("Blip", "Koi_Fish", "Blip_Low_Frequency", "Tomte")
"""Gravity Spy's names of the glitches in the antiglitch table."""
MIDDLE = 2.5
"""Seconds from a series' start."""


@dataclass(frozen=True, eq=False)
class GlitchTable:
    """Shapes ln f0 (Hz), ln gbw and signal-to-noise ratios of real glitches, (n, 3), by class."""

    rows: Mapping[str, np.ndarray]

    @classmethod
    def read(cls, path: Path) -> GlitchTable:
        """The antiglitch table (CSV).

        Raises
        ------
        DataError
            if it is missing, or no such table
        """
        import pandas as pd

        if not path.is_file():
            raise DataError(f"{path} is missing: give the antiglitch table, antiglitch_o3.csv")
        table = pd.read_csv(path)
        if missing := [name for name in ("f0", "gbw", "snr", "ml_label") if name not in table]:
            raise DataError(f"{path} has no column {missing[0]!r}: it is no table of the antiglitch model")
        good = table[(table["f0"] > 1) & (table["gbw"] > 0) & (table["snr"] > 0)]
        rows = {}
        for name in GLITCHES:
            mine = good[good["ml_label"] == name]
            rows[name] = np.column_stack([np.log(mine["f0"]), np.log(mine["gbw"]), mine["snr"]])
            if len(mine) < 2:
                raise DataError(f"{path} has {len(mine)} glitches of the class {name}, 2 or more are needed")
        return cls(rows)

    def draw(self, name: str, psd: np.ndarray, rng: np.random.Generator, time: float = 0.0) -> np.ndarray:
        """One glitch's whitened series (n,), of the signal-to-noise ratio that its row has, in the band searched."""
        log_f, log_g, snr = self.rows[name][rng.integers(len(self.rows[name]))]
        f = frequencies()
        h = np.exp(-0.5 * np.exp(log_g) * (np.log(f) - log_f) ** 2 + 2j * np.pi * rng.random()) / np.sqrt(psd / psd.min())
        return np.asarray(snr * _unit(h * np.exp(-2j * np.pi * f * (MIDDLE + time))))


def burst(name: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Polarizations h+, hx (n_f,) complex about t = 0 of one burst, at the source.

    Parameters
    ----------
    name : str
        "sine-Gaussian", 35 to 400 Hz, quality 3 to 30, elliptical; "noise burst", unpolarised Gaussian noise of 10 to 150 ms in
        a band of 50 to 300 Hz; "ringdown", a damped sinusoid of 50 to 400 Hz, quality 2 to 20, elliptical
    """
    f = frequencies()
    if name == "noise burst":
        low, width, length = rng.uniform(30, 200), rng.uniform(50, 250), rng.uniform(0.01, 0.15)
        t = (np.arange(round(DURATION * RATE)) - round(DURATION * RATE / 2)) / RATE
        noise = rng.standard_normal((2, t.size)) * np.exp(-2 * (t / length) ** 2)
        spectrum = np.fft.rfft(np.roll(noise, t.size // 2, axis=1), axis=1)
        both = spectrum[:, round(F_LOW * DURATION) : round(F_HIGH * DURATION)] * ((f > low) & (f < low + width))
        return both[0], both[1]
    if name == "sine-Gaussian":
        centre, quality = np.exp(rng.uniform(np.log(35), np.log(400))), np.exp(rng.uniform(np.log(3), np.log(30)))
        h = np.exp(-0.5 * ((f - centre) * quality / centre) ** 2)
    else:
        centre, quality = np.exp(rng.uniform(np.log(50), np.log(400))), np.exp(rng.uniform(np.log(2), np.log(20)))
        h = 1 / (np.pi * centre / quality + 2j * np.pi * (f - centre))
    return elliptical(h, rng)


def elliptical(h: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Both polarizations of a quadrupole's h at a random inclination and phase."""
    cos = rng.uniform(-1, 1)
    h = h * np.exp(2j * np.pi * rng.random())
    return 0.5 * (1 + cos**2) * h, -1j * cos * h


def binary_spectra(model: WaveformModel, n: int, rng: np.random.Generator) -> np.ndarray:
    """Quadrupoles (n, n_f) complex64 on the denoisers' frequencies: 16 to 70 solar masses each, spins to 0.7, peak at t = 0."""
    masses = np.sort(np.exp(rng.uniform(np.log(16), np.log(70), (n, 2))), axis=1)[:, ::-1]
    spins = rng.uniform(-0.7, 0.7, (n, 2))
    h = model.quadrupole(Binaries.aligned(masses[:, 0], masses[:, 1], *spins.T), Grid(DURATION, 2 * RATE, 20.0))
    first = round(F_LOW * DURATION)
    return np.asarray(h[:, first : first + frequencies().size] * 1e21, np.complex64)


class Pair:
    """Two detectors: where they stand and how they answer.

    Parameters
    ----------
    names : names of two detectors
    """

    def __init__(self, names: tuple[str, str]) -> None:
        from gwsurrogate_ml.strain.detectors import interferometer

        sites = [interferometer(name) for name in names]
        self.tensors = np.array([site.detector_tensor for site in sites])
        self.vertices = np.array([site.vertex for site in sites]) / C_SI

    def response(self, direction: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Answers (2,) to h+ and hx, and delays (2,) after the Earth's centre, s.

        Parameters
        ----------
        direction : (3,) unit vector to the source in the Earth's frame
        x : (3,) unit vector across it, the first axis of the polarisations
        """
        y = np.cross(direction, x)
        f_plus = np.einsum("dij,ij->d", self.tensors, np.outer(x, x) - np.outer(y, y))
        f_cross = np.einsum("dij,ij->d", self.tensors, np.outer(x, y) + np.outer(y, x))
        return f_plus, f_cross, -self.vertices @ direction

    def seen(self, plus: np.ndarray, cross: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Strain (2, n_f) of a burst from a random direction, polarisation angle and all, its mean time of arrival 0."""
        n = rng.standard_normal(3)
        n /= np.linalg.norm(n)
        x = np.cross(n, rng.standard_normal(3))
        f_plus, f_cross, delays = self.response(n, x / np.linalg.norm(x))
        delays = delays - delays.mean()
        h = f_plus[:, None] * plus + f_cross[:, None] * cross
        return np.asarray(h * np.exp(-2j * np.pi * delays[:, None] * frequencies()))


def whitened_pair(h: np.ndarray, psds: np.ndarray, snr: float, time: float = 0.0) -> np.ndarray:
    """Whitened series (2, n) of strain (2, n_f) under PSDs (2, n_f), of a network signal-to-noise ratio `snr`."""
    white = h / np.sqrt(psds / psds.min()) * np.exp(-2j * np.pi * frequencies() * (MIDDLE + time))
    return snr * _unit(white)


def _unit(white: np.ndarray) -> np.ndarray:
    series = to_series(np.atleast_2d(white), RATE).reshape(*white.shape[:-1], -1)
    return np.asarray(series / np.sqrt(np.sum(series**2)))
