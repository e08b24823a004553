"""Inverse-spectrum truncation, and the interpolation of spectra that comes before it.

Allen et al. 2012 (FINDCHIRP, arXiv:gr-qc/0509116), section VII: an inverse ASD of limited length in time, whose filter corrupts
no more than that at each end of the data.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import _arguments
from gwsurrogate_ml.kernels._compiled import lerp_uniform
from gwsurrogate_ml.kernels._pruned import impulse_response, response_power


def grid_length(n: int, delta_f: float, new_delta_f: float) -> int:
    """Frequencies of a grid of spacing `new_delta_f` that ends where one of `n` frequencies spaced by `delta_f` does.

    Examples
    --------
    >>> grid_length(3, 1.0, 0.5)
    5
    """
    return int(np.rint((n - 1) * delta_f / new_delta_f + 1))


def interpolate(psd: np.ndarray, delta_f: float, new_delta_f: float, length: int | None = None) -> np.ndarray:
    """A one-sided spectrum on another frequency grid, both from 0 Hz, linear in between (as pycbc and gwpy do).

    Parameters
    ----------
    psd : real array (n,)
        PSD or ASD at ``delta_f * arange(n)``; infinities spread to the neighbouring interval and no further
    delta_f, new_delta_f : float, Hz
    length : int, optional
        number of output frequencies; by default the grid ends at the old Nyquist frequency

    Returns
    -------
    float64 (length,)

    Raises
    ------
    DataError
        if the new grid reaches beyond the old one, or `psd` is no real one-dimensional array

    Examples
    --------
    >>> interpolate(np.array([0.0, 2.0, 4.0]), 1.0, 0.5)
    array([0., 1., 2., 3., 4.])
    """
    values = _arguments.one_sided(psd, "psd").astype(np.float64, copy=False)
    old, new = _arguments.positive(delta_f, "delta_f", "Hz"), _arguments.positive(new_delta_f, "new_delta_f", "Hz")
    if length is None:
        length = grid_length(values.size, old, new)
    # Half a new bin of rounding is allowed at the top (durations that do not divide); it takes the last value.
    if (length - 1.5) * new > (values.size - 1) * old:
        raise DataError(
            f"the spectrum ends at {(values.size - 1) * old:g} Hz, the new grid at {(length - 1) * new:g} Hz: "
            "estimate it at a higher sampling rate"
        )
    return lerp_uniform(values, new / old, int(length))


def inverse_spectrum_truncation(
    psd: np.ndarray,
    delta_f: float,
    max_filter_duration: float,
    low_frequency_cutoff: float,
    *,
    window: Literal["hann"] | None = "hann",
) -> np.ndarray:
    """A smoothed PSD whose inverse ASD is a filter no longer than `max_filter_duration`: no more data get corrupted.

    Parameters
    ----------
    psd : real array (N/2 + 1,), 1/Hz, one-sided
        N even; values above the cutoff must be positive (inf switches a frequency off)
    delta_f : float, Hz
    max_filter_duration : float, s
        whole length of the filter; half of it lies on each side of zero lag
    low_frequency_cutoff : float, Hz
        the inverse spectrum is zero below it (0: only DC is dropped)
    window : "hann" or None
        taper of the filter, or a hard cut; pycbc's ``trunc_method``

    Returns
    -------
    float64 (N/2 + 1,), 1/Hz; very large below the cutoff, where only leakage is left

    Raises
    ------
    DataError
        if the PSD is not positive in the band
    ConfigError
        if the filter is longer than the data or shorter than two samples, or the cutoff is above Nyquist

    Notes
    -----
    Equal to ``pycbc.psd.inverse_spectrum_truncation`` with ``trunc_method="hann"`` in float64.
    Source: arXiv:gr-qc/0509116, section VII.

    Examples
    --------
    >>> s = inverse_spectrum_truncation(np.ones(513), 1.0, 0.25, 20.0)
    >>> bool(abs(s[256] - 1) < 1e-3)
    True
    """
    values = _arguments.one_sided(psd, "psd")
    kmin, kmax = _arguments.band(low_frequency_cutoff, None, delta_f, values.size)
    n = 2 * (values.size - 1)
    n_filter = round(_arguments.positive(max_filter_duration, "max_filter_duration", "s") * n * delta_f)
    if not 2 <= n_filter <= n:
        raise ConfigError(
            f"max_filter_duration = {max_filter_duration:g} s is {n_filter} of {n} samples: "
            "choose at least two samples and at most the duration 1/delta_f"
        )
    if window not in ("hann", None):
        raise ConfigError(f"window is {window!r}: choose 'hann' or None")
    _arguments.require_positive_band(values, "psd", kmin, kmax, delta_f)
    values = values.astype(np.float64, copy=False)
    # Scaled so that the filter is of order one: 1/ASD of 1e23 squared would leave float64 little room.
    reference = float(np.min(values[kmin:kmax]))
    inverse_asd = np.zeros(values.size)
    np.divide(reference, values[kmin:kmax], out=inverse_asd[kmin:kmax])
    np.sqrt(inverse_asd, out=inverse_asd)
    half = n_filter // 2
    impulse = impulse_response(inverse_asd, n, half + 1)
    # Samples -half ... half - 1, as pycbc keeps them: an odd length loses one, and its taper is off centre by half a one.
    taps = np.concatenate([impulse[:0:-1], impulse[:half]])
    if window == "hann":
        taper = np.hanning(n_filter)
        taps[:half] *= taper[:half]
        taps[half:] *= taper[-half:]
    power = response_power(taps, -half, n)
    with np.errstate(divide="ignore"):
        return np.divide(reference, power, out=power)
