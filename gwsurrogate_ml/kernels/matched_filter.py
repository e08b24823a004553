"""Matched filter of one template or a bank against one data segment: complex SNR series, peaks and triggers.

z_j = (4 df / sigma) sum_{kmin <= k < kmax} conj(h_k) s_k / S_k exp(2 pi i j k / N), sigma^2 = 4 df sum |h_k|^2 / S_k
(Allen et al. 2012, arXiv:gr-qc/0509116; normalised and cut as pycbc does). |z| is the SNR; noise alone has <|z|^2> = 2.

Precision: with a float64 PSD products are formed in float64 whatever the strain is, so that strain (1e-23) and PSDs
(1e-46) neither underflow nor lose digits; the transform runs in single precision only where template and data are both
complex64. A float32 PSD must be scaled, together with the strain, by the caller (pycbc's DYN_RANGE_FAC, 5.9e20, and its square):
zeros that come from underflow are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.kernels import _arguments, _memory, fft
from gwsurrogate_ml.kernels._filter import binned_sums
from gwsurrogate_ml.kernels._spectra import common, correlated, inputs, output_length, split
from gwsurrogate_ml.kernels.bank import TRIGGER_DTYPE, filter_bank, filter_segments

__all__ = ["TRIGGER_DTYPE", "Peak", "SnrSeries", "filter_bank", "filter_segments", "matched_filter"]

_SINC_HALF_WIDTH = 24
_KAISER_BETA = 10.0
"""Samples on each side, and window parameter, of the sinc in `SnrSeries.at`: sidelobes of 1e-7."""


class Peak(NamedTuple):
    """A maximum of |snr| between samples: `time` in s from the segment's start, complex `snr`, `position` (samples)."""

    time: float
    snr: complex
    position: float


@dataclass(frozen=True)
class SnrSeries:
    """Complex SNR of one template at all times of a segment, periodic with the segment's duration.

    Attributes
    ----------
    snr : complex (n_t,), dimensionless; |snr| is the SNR, its angle the phase of the signal relative to the template
    sigma : float, SNR of the template itself (optimal SNR)
    delta_t : float, s, time between samples
    spectrum : complex (n_t,), optional
        the correlation conj(h) s / S that a decimated series came from: its samples alone are too sparse to interpolate
    """

    snr: np.ndarray
    sigma: float
    delta_t: float
    spectrum: np.ndarray | None = None

    def at(self, time: float) -> complex:
        """SNR at any time (s from the start of the segment).

        A full-rate series, which is oversampled twofold, is interpolated with a Kaiser-windowed sinc to 1e-6 of its
        peak; a decimated one is evaluated exactly, from its spectrum.
        """
        return self._at(time / self.delta_t)

    def _at(self, position: float) -> complex:
        """Band-limited value at `position` in samples; the series is periodic."""
        if self.spectrum is not None:
            return self._exact(position)
        index = int(np.floor(position)) + np.arange(1 - _SINC_HALF_WIDTH, _SINC_HALF_WIDTH + 1)
        x = position - index
        kaiser = np.i0(_KAISER_BETA * np.sqrt(np.clip(1.0 - (x / _SINC_HALF_WIDTH) ** 2, 0.0, None))) / np.i0(_KAISER_BETA)
        # Only frequencies from zero to half the sampling rate are there: their middle is moved to zero and back.
        weights = np.sinc(x) * kaiser * np.exp(0.5j * np.pi * x)
        return complex(np.sum(self.snr[index % self.snr.size].astype(np.complex128) * weights))

    def _exact(self, position: float) -> complex:
        """The defining sum at `position` in samples."""
        assert self.spectrum is not None
        n = self.snr.size
        total = np.empty((1, 1), dtype=np.complex128)
        binned_sums(*split(self.spectrum), np.array([0, n]), np.array([position]), n, total)
        return complex(total[0, 0] * 4.0 / (n * self.delta_t * self.sigma))

    def peak(self, start: float | None = None, stop: float | None = None) -> Peak:
        """The loudest time, refined between the samples.

        Parameters
        ----------
        start, stop : float, s, optional
            look only at times from `start` on and before `stop` (from the start of the segment)

        Returns
        -------
        Peak

        Raises
        ------
        ConfigError
            if no sample lies in the window

        Examples
        --------
        >>> t = np.arange(256)
        >>> z = np.exp(-0.5 * ((t - 100.3) / 6.0) ** 2) * np.exp(2j * np.pi * 0.25 * t)
        >>> round(SnrSeries(z, 1.0, 1.0).peak().time, 3)
        100.3
        """
        from scipy.optimize import minimize_scalar

        n = self.snr.size
        first = 0 if start is None else max(0, int(np.ceil(start / self.delta_t)))
        last = n if stop is None else min(n, int(np.ceil(stop / self.delta_t)))
        if last <= first:
            raise ConfigError(f"no sample between {start} and {stop} s in a series of {n * self.delta_t:g} s: widen the window")
        window = self.snr[first:last]
        i = first + int(np.argmax(window.real**2 + window.imag**2))
        found = minimize_scalar(
            lambda position: -abs(self._at(position)),
            bounds=(max(i - 1.0, 0.0), min(i + 1.0, n - 1.0)),
            method="bounded",
            options={"xatol": 1e-6},
        )
        position = float(found.x) if -found.fun > abs(self.snr[i]) else float(i)
        return Peak(position * self.delta_t, self._at(position), position)


def matched_filter(
    template: np.ndarray,
    data: np.ndarray,
    psd: np.ndarray,
    delta_f: float,
    f_low: float,
    f_high: float | None = None,
    *,
    decimate: Literal[1, 2, 4] = 1,
) -> SnrSeries:
    """Complex SNR of a template in a data segment, for every possible arrival time.

    Parameters
    ----------
    template, data : complex (N/2 + 1,), one-sided spectra of N samples (1/Hz for strain), N even
    psd : real (N/2 + 1,), one-sided, 1/Hz; inf switches a frequency off
    delta_f : float, Hz
    f_low, f_high : float, Hz
        band, as indices ``int(f / delta_f)``; DC and Nyquist are always left out
    decimate : 1, 2 or 4
        every second or fourth time only, exact at these, from a transform as much shorter: 2 loses nothing (the SNR has
        no negative frequencies), 4 needs `f_high` at or below half of Nyquist

    Returns
    -------
    SnrSeries
        n_t = N / decimate times, delta_t = decimate / (N delta_f). Time j is where the template's time zero is put

    Raises
    ------
    DataError
        if lengths differ, or anything in the band is NaN, infinite, or a PSD <= 0, or the template is zero there
    ConfigError
        if the band is empty or beyond Nyquist, or `decimate` would alias

    Notes
    -----
    complex64 for template and data gives a complex64 series; every other input is computed in
    complex128. Source: arXiv:gr-qc/0509116; the numbers are those of ``pycbc.filter.matched_filter``.

    Examples
    --------
    >>> h = np.fft.rfft(np.eye(1, 64)[0])                      # a delta at time zero ...
    >>> s = np.fft.rfft(np.eye(1, 64, 5)[0])                   # ... and the same, five samples later
    >>> series = matched_filter(h, s, np.ones(33), 1.0, 0.0)
    >>> int(np.argmax(abs(series.snr))), bool(np.isclose(abs(series.snr[5]), series.sigma))
    (5, True)
    """
    h, s, noise = inputs(template, data, psd)
    kmin, kmax = _arguments.band(f_low, f_high, delta_f, noise.size)
    n = 2 * (noise.size - 1)
    n_out = output_length(n, decimate, kmax)
    h, s = common(h, s)
    correlation = _memory.empty(n_out, h.dtype)
    correlation[:kmin] = 0
    correlation[kmax:] = 0
    sigma = correlated(h, s, noise, kmin, kmax, delta_f, correlation)
    series = correlation if decimate == 1 else _memory.empty(n_out, h.dtype)  # peaks between samples need the correlation
    snr = fft.ifft(correlation, norm="forward", out=series)
    snr *= 4.0 * delta_f / sigma
    return SnrSeries(snr, sigma, decimate / (n * delta_f), None if decimate == 1 else correlation)
