"""Signal-consistency tests: does the SNR collect over frequency, and fall off in time, as the template says?

Power chi-squared (Allen 2005, arXiv:gr-qc/0405045), auto-chi-squared (Hanna 2008, PhD thesis, LSU), re-weighted SNR.

p bins that each hold 1/p of sigma^2; chi^2 = p sum_l |z_l|^2 - |z|^2 with 2p - 2 degrees of freedom. Evaluated at
chosen times by a direct sum whose phases are float64 and re-anchored: single-precision rotators elsewhere cost 1e-4.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import _arguments
from gwsurrogate_ml.kernels._filter import binned_sums
from gwsurrogate_ml.kernels._spectra import common, correlated, inputs, split
from gwsurrogate_ml.kernels.matched_filter import matched_filter


def power_chisq_edges(template: np.ndarray, psd: np.ndarray, kmin: int, kmax: int, n_bins: int) -> np.ndarray:
    """Frequency indices that cut the band into bins of equal sigma^2.

    Returns
    -------
    int64 (n_bins + 1,), from the first frequency with power to `kmax`; bins may be empty where one frequency holds more
    than its share

    Examples
    --------
    >>> power_chisq_edges(np.ones(9, complex), np.ones(9), 1, 8, 7)
    array([1, 2, 3, 4, 5, 6, 7, 8])
    """
    h = template[kmin:kmax]
    # 1/S first: |h|^2 of unscaled strain in single precision would underflow.
    cumulative = np.cumsum((h.real.astype(np.float64) ** 2 + h.imag.astype(np.float64) ** 2) / psd[kmin:kmax])
    inner = np.searchsorted(cumulative, np.arange(n_bins) * (cumulative[-1] / n_bins), side="right")
    return np.append(inner + kmin, kmax).astype(np.int64)


def power_chisq(
    template: np.ndarray,
    data: np.ndarray,
    psd: np.ndarray,
    delta_f: float,
    f_low: float,
    n_bins: int,
    indices: np.ndarray,
    *,
    f_high: float | None = None,
) -> tuple[np.ndarray, int]:
    """Power chi-squared at given samples.

    Parameters
    ----------
    template, data, psd, delta_f, f_low, f_high
        as in `matched_filter.matched_filter`
    n_bins : int, >= 2
    indices : int or float array (n,)
        times in samples of the full-rate SNR series; a fraction is allowed (a refined peak)

    Returns
    -------
    chisq : float64 (n,); divide by `dof` for the reduced one, about 1 for noise and for a matching signal
    dof : int, ``2 n_bins - 2``

    Raises
    ------
    DataError
        as `matched_filter`; or if an index lies outside the series
    ConfigError
        if `n_bins` is below 2 or above the number of frequencies in the band

    Notes
    -----
    Exact to about 1e-12 of |z|^2 in float64 input. Source: arXiv:gr-qc/0405045; edges as in pycbc.

    Examples
    --------
    >>> h = np.fft.rfft(np.eye(1, 64)[0])
    >>> chisq, dof = power_chisq(h, 5 * h, np.ones(33), 1.0, 0.0, 4, np.array([0]))
    >>> bool(chisq[0] < 1.0), dof                    # 31 frequencies do not divide evenly by 4: not quite zero
    (False, 6)
    """
    h, s, noise = inputs(template, data, psd)
    kmin, kmax = _arguments.band(f_low, f_high, delta_f, noise.size)
    n_bins = int(n_bins)
    if not 2 <= n_bins <= kmax - kmin:
        raise ConfigError(f"n_bins is {n_bins}: choose at least 2 and at most the {kmax - kmin} frequencies of the band")
    positions = np.atleast_1d(np.asarray(indices))
    n = 2 * (noise.size - 1)
    if positions.dtype.kind not in "iuf" or positions.ndim != 1:
        raise DataError(f"indices has dtype {positions.dtype} and shape {positions.shape}: a list of sample numbers is needed")
    if positions.size and not (positions.min() >= 0 and positions.max() < n):
        raise DataError(f"indices run from {positions.min()} to {positions.max()}: the series has samples 0 to {n - 1}")
    h, s = common(h, s)
    correlation = np.zeros(kmax, dtype=h.dtype)
    sigma = correlated(h, s, noise, kmin, kmax, delta_f, correlation)
    edges = power_chisq_edges(h, noise, kmin, kmax, n_bins)
    sums = np.empty((positions.size, n_bins), dtype=np.complex128)
    binned_sums(*split(correlation), edges, positions.astype(np.float64), n, sums)
    z = sums * (4.0 * delta_f / sigma)
    # n_bins sum |z|^2 - |sum z|^2, never below zero.
    away = z - z.mean(axis=1, keepdims=True)
    return n_bins * np.sum(away.real**2 + away.imag**2, axis=1), 2 * n_bins - 2


def autochisq(
    template: np.ndarray,
    data: np.ndarray,
    psd: np.ndarray,
    delta_f: float,
    f_low: float,
    indices: np.ndarray,
    *,
    f_high: float | None = None,
    n_points: int = 16,
    stride: int = 4,
    sides: Literal["both", "left", "right"] = "both",
) -> tuple[np.ndarray, int]:
    """Auto-chi-squared: the SNR series about a trigger against what a signal there makes of it.

    ``sum_m |z[j + m] - z[j] R[m]|^2 / (1 - |R[m]|^2)`` over lags m = stride, 2 stride, ..., n_points stride on one side or
    both, with R the template's own autocorrelation.

    Parameters
    ----------
    template, data, psd, delta_f, f_low, f_high
        as in `matched_filter.matched_filter`
    indices : int array (n,), samples of the full-rate SNR series
    n_points : int, lags on each side
    stride : int, samples between lags; near lags differ little from the trigger itself and tell little
    sides : "both", "left" (before the trigger) or "right"

    Returns
    -------
    chisq : float64 (n,), mean `dof` in noise and for a matching signal; terms are correlated, so its scatter is larger than
        that of a chi-squared variate
    dof : int, two for each lag

    Raises
    ------
    DataError
        as `matched_filter`; or if an index lies outside the series
    ConfigError
        if the lags do not fit the series, or `sides` is unknown

    Notes
    -----
    Equal to ``pycbc.vetoes.autochisq.autochisq_from_precomputed`` with both phases.

    Examples
    --------
    >>> h = np.fft.rfft(np.exp(-0.5 * (np.arange(-32, 32) / 2.0) ** 2) * np.cos(np.arange(64.0)))
    >>> chisq, dof = autochisq(h, 5 * h, np.ones(33), 1.0, 0.0, np.array([0]), n_points=3)
    >>> bool(chisq[0] < 1e-9), dof
    (True, 12)
    """
    series = matched_filter(template, data, psd, delta_f, f_low, f_high).snr
    own = matched_filter(template, template, psd, delta_f, f_low, f_high)
    n = series.size
    if sides not in ("both", "left", "right"):
        raise ConfigError(f"sides is {sides!r}: choose 'both', 'left' or 'right'")
    if n_points < 1 or stride < 1 or 2 * n_points * stride >= n:
        raise ConfigError(
            f"n_points = {n_points} and stride = {stride}: need both >= 1, and fewer lags than half of the {n} samples"
        )
    points = np.atleast_1d(np.asarray(indices))
    if points.dtype.kind not in "iu" or points.ndim != 1:
        raise DataError(f"indices has dtype {points.dtype} and shape {points.shape}: a list of whole samples is needed")
    if points.size and not (points.min() >= 0 and points.max() < n):
        raise DataError(f"indices run from {points.min()} to {points.max()}: the series has samples 0 to {n - 1}")
    right = stride * np.arange(1, n_points + 1)
    lags = {"right": right, "left": -right, "both": np.concatenate([-right, right])}[sides]
    autocorrelation = own.snr.astype(np.complex128)[lags % n] / own.sigma
    left_over = 1.0 - np.abs(autocorrelation) ** 2
    if not np.all(left_over > 1e-9):
        raise ConfigError(f"the template repeats itself exactly within {n_points * stride} samples: choose other lags")
    z = series.astype(np.complex128)
    residual = z[(points[:, None] + lags) % n] - z[points, None] * autocorrelation
    return np.sum(np.abs(residual) ** 2 / left_over, axis=1), 2 * lags.size


def newsnr(snr: np.ndarray | float, chisq_per_dof: np.ndarray | float) -> np.ndarray:
    """Re-weighted SNR: the SNR where the reduced chi-squared is at most 1, less where it is larger.

    ``snr / [(1 + chisq_per_dof^3) / 2]^(1/6)`` (Usman et al. 2016, arXiv:1508.02357; pycbc's ``newsnr``).

    Parameters
    ----------
    snr : float array, |SNR|
    chisq_per_dof : float array of the same shape, chi-squared over its degrees of freedom

    Returns
    -------
    float64 array of that shape

    Raises
    ------
    DataError
        if a chi-squared is negative or NaN

    Examples
    --------
    >>> newsnr(np.array([8.0, 8.0]), np.array([0.7, 4.0])).round(2)
    array([8.  , 4.48])
    """
    rho, reduced = np.asarray(snr, np.float64), np.asarray(chisq_per_dof, np.float64)
    if not np.all(reduced >= 0):
        raise DataError("chisq_per_dof holds values that are negative or NaN: a reduced chi-squared is at least 0")
    return rho / ((1.0 + np.maximum(reduced, 1.0) ** 3) / 2.0) ** (1.0 / 6.0)
