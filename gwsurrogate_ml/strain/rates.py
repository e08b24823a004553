"""Series of different rates brought to the lowest, by whole factors: never upwards, which colours the band.

A symmetric (zero-phase) Kaiser-windowed low pass, then every n-th sample. Flat to 1e-5 up to `USABLE` of the new Nyquist frequency;
what would alias below that is 100 dB down. Where the filter would need samples that are not there, at the ends and beside gaps, the
result has none: the ends are cut off, gaps grow.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.errors import DataError

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

logger = logging.getLogger(__name__)

USABLE = 0.92
"""Share of the Nyquist frequency up to which down-sampled data are trusted."""
ATTENUATION = 100.0
"""dB of the stop band."""


def low_pass(factor: int) -> np.ndarray:
    """Taps (odd number, symmetric, sum 1) of the filter before every `factor`-th sample is taken.

    Examples
    --------
    >>> taps = low_pass(4)
    >>> len(taps) % 2, bool(abs(taps.sum() - 1) < 1e-12)
    (1, True)
    """
    from scipy.signal import firwin, kaiserord

    width = 2 * (1 - USABLE) / factor  # from the last frequency that is kept to the first that would alias onto it
    n, beta = kaiserord(ATTENUATION, width)
    half = -(-n // (2 * factor)) * factor  # so that the middle falls on a sample that is kept
    taps = firwin(2 * half + 1, 1.0 / factor, window=("kaiser", beta))
    return np.asarray(taps / taps.sum())


def decimate(strain: np.ndarray, factor: int) -> tuple[np.ndarray, int]:
    """Every `factor`-th sample of the low-passed strain, and the index of the sample of the input that the first stands for.

    Parameters
    ----------
    strain : (n,) float64
        gaps are NaN
    factor : int, >= 1

    Returns
    -------
    (m,) float64
        NaN where the filter reaches into a gap
    first : int, a multiple of `factor`

    Raises
    ------
    DataError
        if the strain is shorter than the filter

    Examples
    --------
    >>> out, first = decimate(np.sin(0.01 * np.arange(4000)), 2)
    >>> bool(np.abs(out - np.sin(0.01 * (first + 2 * np.arange(out.size)))).max() < 1e-4)
    True
    """
    if factor == 1:
        return strain, 0
    from scipy.signal import upfirdn

    taps = low_pass(factor)
    first = len(taps) // 2  # a multiple of the factor
    if strain.size < len(taps):
        raise DataError(f"{strain.size} samples are too few to bring their rate down by {factor}: read {len(taps)} or more")
    filtered = upfirdn(taps, strain, down=factor)
    # Of the full convolution, what stands for samples `first` to n - 1 - first.
    whole = slice(2 * first // factor, (strain.size - 1) // factor + 1)
    return np.asarray(filtered[whole], np.float64), first


def to_lowest_rate(series: Mapping[str, TimeSeries]) -> dict[str, TimeSeries]:
    """Series at the lowest of their rates; those that have it are returned as they are.

    Parameters
    ----------
    series : mapping from detector to gwpy TimeSeries, float64, gaps as NaN

    Raises
    ------
    DataError
        if a rate is no whole multiple of the lowest
    """
    from gwpy.timeseries import TimeSeries

    rates = {name: float(s.sample_rate.value) for name, s in series.items()}
    lowest = min(rates.values(), default=1.0)
    brought = {}
    for name, given in series.items():
        factor = round(rates[name] / lowest)
        if abs(rates[name] / lowest - factor) > 1e-6 * factor:
            listed = ", ".join(f"{n} {rate:g} Hz" for n, rate in rates.items())
            raise DataError(
                f"detectors have different rates ({listed}), and {name}'s is no whole multiple of the lowest, to which it could be "
                "brought: read files of one rate, such as GWOSC's of 4096 Hz for all"
            )
        if factor == 1:
            brought[name] = given
            continue
        try:
            values, first = decimate(np.asarray(given.value, np.float64), factor)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        logger.info("%s is brought from %g Hz to %g Hz", name, rates[name], lowest)
        brought[name] = TimeSeries(values, t0=float(given.t0.value) + first / rates[name], sample_rate=lowest, name=given.name)
    return brought
