"""Stretches of strain that are no noise: stuck or saturated channels, gates, and what a taper has faded out."""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.errors import DataError

MAX_STUCK = 0.01
"""Largest fraction of samples equal to the one before: digitised noise has none, a stuck or clipped channel many."""
DEAD = 0.5
"""Share of zeros above which a channel is dead, rather than gated."""
GATE = 4
"""Samples of exactly zero in a row that are a gate: noise in double precision has none."""
GATE_TIME, GATE_DEPTH = 0.01, 1e-3
"""Length (s) and depth, in the median magnitude, of a gate that filters have filled: noise crosses zero within milliseconds."""
FADED, FADING = 0.4, 0.9
"""Shares of the usual power below which a stretch has been faded out, and below which its neighbours have been, too: a stretch of
4 s scatters by 3 %, and real noise changes by less than the first."""


def stuck_fraction(x: np.ndarray) -> float:
    """Fraction of the samples of `x` (n,) that equal the sample before: 1 for constant data, about 0 for noise.

    Zeros count where they are most of the data, which are then dead; fewer are gates (`gated`).

    Examples
    --------
    >>> stuck_fraction(np.array([0.1, 0.3, 0.3, 0.3, 0.2]))
    0.5
    """
    same = x[1:] == x[:-1]
    zero = same & (x[1:] == 0.0)
    return float(np.mean(same if np.mean(zero) > DEAD else same & ~zero))


def require_moving(samples: np.ndarray, detector: str, where: str) -> None:
    """Raise DataError where more than `MAX_STUCK` of the samples, which lie `where`, repeat the one before."""
    if (fraction := stuck_fraction(samples)) > MAX_STUCK:
        raise DataError(
            f"{detector}: {100 * fraction:.0f} % of the samples {where} repeat the one before: the data are constant or saturated; "
            "leave the detector out"
        )


def constant(x: np.ndarray) -> np.ndarray:
    """Where `x` (n,) lies in a row of `GATE` equal samples or more; bool (n,).

    Examples
    --------
    >>> constant(np.array([0.1, 0.3, 0.3, 0.3, 0.3, 0.2])).astype(int).tolist()
    [0, 1, 1, 1, 1, 0]
    """
    starts = np.flatnonzero(np.concatenate([[True], x[1:] != x[:-1]]))
    lengths = np.diff(np.append(starts, len(x)))
    return np.repeat(lengths >= GATE, lengths)


def gated(x: np.ndarray, sampling_frequency: float) -> bool:
    """Whether `x` (n,) holds a gate: `GATE` samples or more in a row that are exactly zero, or `GATE_TIME` s that nearly are.

    Examples
    --------
    >>> gated(np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.3]), 4096.0), gated(np.array([0.1, 0.0, 0.0, 0.2]), 4096.0)
    (True, False)
    """
    size = np.abs(x)
    hollow = max(GATE, round(GATE_TIME * sampling_frequency))
    return _longest(size == 0.0) >= GATE or _longest(size < GATE_DEPTH * np.median(size)) >= hollow


def _longest(true: np.ndarray) -> int:
    """Length of the longest run of True in `true` (n,)."""
    padded = np.concatenate([[False], true, [False]])
    edges = np.flatnonzero(padded[1:] != padded[:-1])
    return int((edges[1::2] - edges[::2]).max(initial=0))


def unfaded(chunks: list[np.ndarray], window: np.ndarray, sampling_frequency: float) -> np.ndarray:
    """Which of the stretches have the power of the others, bool (n,): files are often tapered at their ends, glitches gated.

    The level of a stretch is the median of its periodogram over that of all stretches, above 30 Hz: lines and glitches, which are
    narrow in frequency or rare, hardly change it. Noise that is twice as loud for a while is noise, and the median PSD bears it;
    power that is nearly gone is none, nor are the stretches beside it on the way there.
    """
    length = len(window)
    frequencies = np.fft.rfftfreq(length, 1 / sampling_frequency)
    band = (frequencies > min(30.0, 0.1 * sampling_frequency)) & (frequencies < 0.45 * sampling_frequency)
    # Every fourth bin: 1,800 of 4 s at 4096 Hz, whose median scatters by 3 %.
    powers = np.stack([np.abs(np.fft.rfft(window * chunk)[band][::4]) ** 2 for chunk in chunks])
    usual = np.median(powers, axis=0)
    levels = np.median(powers / np.where(usual > 0, usual, np.inf), axis=1)
    faded, fading = levels < FADED * np.median(levels), levels < FADING * np.median(levels)
    for _ in levels:
        beside = np.concatenate([[False], faded[:-1]]) | np.concatenate([faded[1:], [False]])
        faded = faded | (fading & beside)
    return ~faded
