"""Noise models: amplitude spectral densities with real corner frequencies, from numbers or fitted to files, as digital filters.

The amplitude spectral density is ``level * prod |1 + i f / z| / prod |1 + i f / p|`` with poles p and zeros z in Hz. Filters are
kept as cascades of sections whose states are white and of unit variance: companion forms of filters with corners far below the
sampling frequency are so ill-conditioned that Riccati and Lyapunov solvers return wrong numbers without a word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field
from scipy.linalg import solve_discrete_lyapunov
from scipy.optimize import least_squares
from scipy.signal import bilinear_zpk, tf2ss, zpk2sos

from gwsurrogate_ml.arguments import whole
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.settings import Strict

WORST_FIT = 3.0
"""Root-mean-square distance in dB beyond which a fit to a file is refused."""


class StateSpace(NamedTuple):
    """x' = a x + b w, y = c x + d w, with one input and one output."""

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    d: np.ndarray


def respond(system: StateSpace, frequency: np.ndarray) -> np.ndarray:
    """Complex gain (n_f,) of a system at `frequency`, in units of the sampling frequency."""
    z = np.exp(2j * np.pi * np.asarray(frequency))[:, None, None]
    a, b, c, d = system
    return (c @ np.linalg.solve(z * np.eye(len(a)) - a, b + 0 * z))[:, 0, 0] + d.item()


class NoiseModel(Strict):
    """An amplitude spectral density: `level` (unit / sqrt(Hz)) at low frequencies, `poles` and `zeros` (Hz, real corners).

    Examples
    --------
    >>> float(NoiseModel(level=2.0, poles=(1.0,)).asd(np.array([1.0]))[0]).__round__(3)
    1.414
    """

    level: float = Field(gt=0)
    poles: tuple[float, ...] = ()
    zeros: tuple[float, ...] = ()

    def asd(self, frequency: np.ndarray) -> np.ndarray:
        """Amplitude spectral density at `frequency` (Hz)."""
        f = np.asarray(frequency, float)[..., None]
        above, below = 1 + (f / np.array(self.zeros or [np.inf])) ** 2, 1 + (f / np.array(self.poles or [np.inf])) ** 2
        return self.level * np.sqrt(np.prod(above, axis=-1) / np.prod(below, axis=-1))

    def shaping(self, sampling_frequency: float) -> StateSpace:
        """The filter that makes this noise of white noise of unit variance, at `sampling_frequency` (Hz).

        Raises
        ------
        ConfigError
            a corner that is not between zero and a tenth of the sampling frequency (above, the bilinear map bends the spectrum by
            more than 4 %), or more zeros than poles
        """
        for kind in ("poles", "zeros"):
            for corner in getattr(self, kind):
                if not 0 < corner < sampling_frequency / 10:
                    raise ConfigError(
                        f"{kind} of the noise hold {corner} Hz: give corners above 0 and below {sampling_frequency / 10:.4g} Hz, "
                        "a tenth of the sampling frequency"
                    )
        if len(self.zeros) > len(self.poles):
            raise ConfigError(f"the noise has {len(self.zeros)} zeros and {len(self.poles)} poles: give at least as many poles")
        poles, zeros = -2 * np.pi * np.array(self.poles), -2 * np.pi * np.array(self.zeros)
        gain = float(np.prod(-poles) / np.prod(-zeros)) * self.level * np.sqrt(sampling_frequency / 2)
        return cascade(*bilinear_zpk(zeros, poles, gain, sampling_frequency))


def cascade(zeros: np.ndarray, poles: np.ndarray, gain: float) -> StateSpace:
    """A digital filter as state space whose states are uncorrelated and of unit variance under white noise of unit variance."""
    a, b, c, d = np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), np.array([[gain]])
    if len(poles) == 0:
        return StateSpace(a, b, c, d)
    for section in zpk2sos(zeros, poles, 1.0, pairing="keep_odd"):
        first_order = section[2] == section[5] == 0
        one = tf2ss(*((section[:2], section[3:5]) if first_order else (section[:3], section[3:])))
        sa, sb, sc, sd = _white(*one)
        a, b = np.block([[a, np.zeros((len(a), len(sa)))], [sb @ c, sa]]), np.vstack([b, sb @ d])
        c, d = np.hstack([sd @ c, sc]), sd @ d
    return StateSpace(*_white(a, b, c, d))


def _white(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, ...]:
    turn = np.linalg.cholesky(solve_discrete_lyapunov(a, b @ b.T, method="direct"))
    return np.linalg.solve(turn, a @ turn), np.linalg.solve(turn, b), c @ turn, d


def read_asd(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (Hz) and amplitude spectral density of a text file of two columns.

    Raises
    ------
    DataError
        no such file, not two columns of numbers, frequencies that do not rise, values that are not positive
    """
    try:
        table = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as a spectrum ({error}): give text with two columns, Hz and unit / sqrt(Hz)"
        ) from error
    if table.shape[1] != 2 or len(table) < 4:
        raise DataError(f"{path} has {table.shape[0]} rows and {table.shape[1]} columns: give at least 4 rows of two columns")
    frequency, asd = table[~(table[:, 0] <= 0)].T
    return spectrum(frequency, asd, str(path))


def spectrum(frequency: Any, asd: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Both as float arrays (n,), checked; DataError as `fit_noise`."""
    try:
        frequency, asd = np.asarray(frequency, float), np.asarray(asd, float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name}: frequencies or densities are no numbers ({error}): give arrays of numbers") from error
    if frequency.ndim != 1 or frequency.shape != asd.shape:
        raise DataError(f"{name}: frequencies have shape {frequency.shape}, densities {asd.shape}: give two arrays of one length")
    good = np.isfinite(frequency) & np.isfinite(asd) & (frequency > 0) & (asd > 0)
    if not good.all() or (np.diff(frequency) <= 0).any():
        raise DataError(f"{name}: frequencies must rise from above 0, and both be positive and finite: mend the spectrum")
    return frequency, asd


def fit_noise(frequency: np.ndarray, asd: np.ndarray, n_poles: int = 3, n_zeros: int = 0) -> NoiseModel:
    """The `NoiseModel` nearest to a measured spectrum in decibels, every octave of it weighing the same.

    Parameters
    ----------
    frequency, asd : float (n,), Hz and unit / sqrt(Hz)
    n_poles, n_zeros : int

    Raises
    ------
    ConfigError
        numbers of poles and zeros that are none, or more zeros than poles
    DataError
        a spectrum that is not finite and positive at rising positive frequencies, or has fewer points than the model has numbers;
        or if no such model comes within `WORST_FIT` dB (root mean square)

    Examples
    --------
    >>> f = np.geomspace(0.05, 50, 200)
    >>> fit_noise(f, NoiseModel(level=3.0, poles=(0.5, 4.0)).asd(f), n_poles=2).poles[0].__round__(3)
    0.5
    """
    n_poles, n_zeros = whole(n_poles, "n_poles"), whole(n_zeros, "n_zeros")
    if n_zeros > n_poles:
        raise ConfigError(f"n_zeros is {n_zeros} and n_poles {n_poles}: give at least as many poles as zeros")
    frequency, asd = spectrum(frequency, asd, "the spectrum")
    if len(frequency) < max(4, 1 + n_poles + n_zeros):
        raise DataError(f"the spectrum has {len(frequency)} points: give at least {max(4, 1 + n_poles + n_zeros)}")
    weight = np.sqrt(np.gradient(np.log(frequency)))
    weight /= np.sqrt(np.mean(weight**2))

    def model(p: np.ndarray) -> NoiseModel:
        corners = np.exp(np.sort(p[1 : 1 + n_poles])), np.exp(np.sort(p[1 + n_poles :]))
        return NoiseModel(level=float(np.exp(p[0])), poles=tuple(map(float, corners[0])), zeros=tuple(map(float, corners[1])))

    def distance(p: np.ndarray) -> np.ndarray:
        return weight * 20 * np.log10(model(p).asd(frequency) / asd)

    low, high = np.log(frequency[[0, -1]])
    inside = [low + (high - low) * (np.arange(n) + 1) / (n + 1) for n in (n_poles, n_zeros)]
    found = least_squares(distance, np.concatenate([[np.log(asd[0])], *inside]))
    error = float(np.sqrt(np.mean(found.fun**2)))
    if not error <= WORST_FIT:
        raise DataError(
            f"{n_poles} poles and {n_zeros} zeros come within {error:.1f} dB of the spectrum only, more than {WORST_FIT}: "
            "give more of them, or cut the file to the band that matters"
        )
    return model(found.x)
