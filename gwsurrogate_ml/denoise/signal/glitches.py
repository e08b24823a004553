"""Simulated glitches in the frequency domain, whitened: what a denoiser is to leave alone and to flag."""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.errors import ConfigError

KINDS = ("sine-Gaussian", "blip", "noise burst", "whistle")


def spectrum(kind: str, frequencies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One whitened glitch (n_f,) complex128 about t = 0, of unit sum of squares.

    Parameters
    ----------
    kind : str
        "sine-Gaussian", 40 to 300 Hz, Q 3 to 20; "blip", a single cycle, 100 to 250 Hz; "noise burst", Gaussian noise of
        10 to 100 ms in a band of 50 to 300 Hz; "whistle", falling in frequency by 100 to 300 Hz within 50 to 300 ms
    frequencies : (n_f,) Hz, in equal steps
    rng : numpy Generator

    Raises
    ------
    ConfigError
        for another kind

    Examples
    --------
    >>> f = np.arange(96, 1920) / 4
    >>> float(round(np.sum(np.abs(spectrum("blip", f, np.random.default_rng(0))) ** 2), 6))
    1.0
    """
    f = frequencies
    if kind == "sine-Gaussian":
        centre, quality = rng.uniform(40, 300), rng.uniform(3, 20)
        h = np.exp(-(((f - centre) * quality / centre) ** 2)).astype(complex)
    elif kind == "blip":
        centre = rng.uniform(100, 250)
        h = np.exp(-(((f - centre) * 1.5 / centre) ** 2)).astype(complex)
    elif kind == "noise burst":
        low, width, length = rng.uniform(30, 200), rng.uniform(50, 300), rng.uniform(0.01, 0.1)
        duration = 1.0 / (f[1] - f[0])
        # A random function of frequency that varies over 1 / length is confined to that length in time.
        times = rng.uniform(-0.5, 0.5, 200) * length
        h = _waves(f, times, rng.standard_normal(200) + 1j * rng.standard_normal(200))
        h = h * ((f >= low) & (f <= low + width)) / duration
    elif kind == "whistle":
        high, fall, length = rng.uniform(200, 450), rng.uniform(100, 300), rng.uniform(0.05, 0.3)
        low = max(30.0, high - fall)
        x = np.clip((f - low) / (high - low), 0.0, 1.0)
        # Stationary phase: the group delay falls linearly with frequency, high frequencies come first.
        phase = 2 * np.pi * length * (high - low) * (0.5 * x**2 - x)
        h = np.exp(1j * phase) * np.sin(np.pi * x)
    else:
        raise ConfigError(f"no glitch {kind!r}: one of {', '.join(KINDS)}")
    return np.asarray(h / np.sqrt(np.sum(np.abs(h) ** 2)))


def _waves(f: np.ndarray, times: np.ndarray, weight: np.ndarray, block: int = 48) -> np.ndarray:
    """Sum (n_f,) of weight exp(-2 pi i f t) over times (n,), at equal steps in frequency: a product of two small matrices."""
    step = f[1] - f[0]
    coarse = np.exp(-2j * np.pi * np.outer(f[0] + step * block * np.arange(-(-f.size // block)), times))
    fine = np.exp(-2j * np.pi * np.outer(step * np.arange(block), times))
    return np.asarray(((coarse * weight) @ fine.T).ravel()[: f.size])
