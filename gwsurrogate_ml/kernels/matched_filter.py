"""Matched filter of one template or a bank against one data segment: complex SNR series, peaks and triggers.

z_j = (4 df / sigma) sum_{kmin <= k < kmax} conj(h_k) s_k / S_k exp(2 pi i j k / N), sigma^2 = 4 df sum |h_k|^2 / S_k
(Allen et al. 2012, arXiv:gr-qc/0509116; normalised and cut as pycbc does). |z| is the SNR; noise alone has <|z|^2> = 2.

Precision: with a float64 PSD products are formed in float64 whatever the strain is, so that strain (1e-23) and PSDs
(1e-46) neither underflow nor lose digits; the transform runs in single precision only where template and data are both
complex64. A float32 PSD must be scaled, together with the strain, by the caller (pycbc's DYN_RANGE_FAC, 5.9e20, and its square):
zeros that come from underflow are refused.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import _checks, fft
from gwsurrogate_ml.kernels._filter import binned_sums, cluster, correlate, correlate_whitened

_SINC_HALF_WIDTH = 24
_KAISER_BETA = 10.0
"""Samples on each side, and window parameter, of the sinc in `SnrSeries.at`: sidelobes of 1e-7."""

TRIGGER_DTYPE = np.dtype(
    [("template", np.int64), ("index", np.int64), ("time", np.float64), ("snr", np.complex128), ("sigma", np.float64)]
)
"""Fields of a trigger: row of the bank, sample, s from the start of the segment, complex SNR, template norm."""


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
        kaiser = np.i0(_KAISER_BETA * np.sqrt(np.clip(1.0 - (x / _SINC_HALF_WIDTH) ** 2, 0.0, None))) / np.i0(
            _KAISER_BETA
        )
        # Only frequencies from zero to half the sampling rate are there: their middle is moved to zero and back.
        weights = np.sinc(x) * kaiser * np.exp(0.5j * np.pi * x)
        return complex(np.sum(self.snr[index % self.snr.size].astype(np.complex128) * weights))

    def _exact(self, position: float) -> complex:
        """The defining sum at `position` in samples."""
        assert self.spectrum is not None
        n = self.snr.size
        total = np.empty((1, 1), dtype=np.complex128)
        binned_sums(*_split(self.spectrum), np.array([0, n]), np.array([position]), n, total)
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
            raise ConfigError(
                f"no sample between {start} and {stop} s in a series of {n * self.delta_t:g} s: widen the window"
            )
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
    h, s, noise = _checks.spectrum(template, "template"), _checks.spectrum(data, "data"), _checks.one_sided(psd, "psd")
    _same_length(h, s, noise)
    kmin, kmax = _checks.band(f_low, f_high, delta_f, noise.size)
    n = 2 * (noise.size - 1)
    n_out = _output_length(n, decimate, kmax)
    h, s = _common(h, s)
    correlation = np.zeros(n_out, dtype=h.dtype)
    hh, ss, valid = correlate(_real(h), _real(s), noise, kmin, kmax, _real(correlation))
    if not (valid and np.isfinite(hh) and np.isfinite(ss) and hh > 0):
        _explain(h, s, noise, kmin, kmax, delta_f)
    sigma = float(np.sqrt(4.0 * delta_f * hh))
    snr = fft.ifft(correlation, norm="forward")
    snr *= 4.0 * delta_f / sigma
    return SnrSeries(snr, sigma, decimate / (n * delta_f), None if decimate == 1 else correlation)


def filter_bank(
    templates: np.ndarray,
    data: np.ndarray,
    psd: np.ndarray,
    delta_f: float,
    f_low: float,
    f_high: float | None = None,
    *,
    threshold: float,
    window: float,
    n_jobs: int = 1,
    decimate: Literal[1, 2, 4] = 1,
) -> np.ndarray:
    """Triggers of a bank of templates in one segment: loud samples that are the loudest within a window.

    Parameters
    ----------
    templates : complex (n_templates, N/2 + 1)
        complex64 halves the time; keep the strain above 1e-30 then (or scale it)
    data, psd, delta_f, f_low, f_high
        as in `matched_filter`
    threshold : float, > 0
        smallest |snr|
    window : float, s
        a sample is a trigger if none within `window` on either side is louder; 0 keeps every sample above the threshold
    n_jobs : int
        threads over templates; set ``MKL_NUM_THREADS=1``, or MKL starts its own in each
    decimate : 1, 2 or 4
        look at every second or fourth sample only (exact there), for about half or a quarter of the time; the loudest
        sample of a trigger may then be missed by ``decimate - 1`` samples, and what peaks in between by a little SNR

    Returns
    -------
    structured array (n_triggers,) of `TRIGGER_DTYPE`, ordered by template and time

    Raises
    ------
    DataError, ConfigError
        as `matched_filter`; also for a threshold, window or `n_jobs` that makes no sense

    Examples
    --------
    >>> h = np.fft.rfft(np.eye(1, 64, 9)[0])
    >>> s = 3 * np.fft.rfft(np.eye(1, 64, 20)[0])
    >>> found = filter_bank(h[None], s, np.ones(33), 1.0, 0.0, threshold=10.0, window=0.1)
    >>> found["template"], found["index"]
    (array([0]), array([11]))
    """
    bank, s, noise = (
        _checks.spectrum(templates, "templates"),
        _checks.spectrum(data, "data"),
        _checks.one_sided(psd, "psd"),
    )
    if bank.ndim != 2 or bank.shape[0] == 0:
        raise DataError(
            f"templates has shape {bank.shape}: a bank (n_templates, N/2 + 1) with at least one row is needed"
        )
    _same_length(bank, s, noise)
    kmin, kmax = _checks.band(f_low, f_high, delta_f, noise.size)
    threshold = _checks.positive(threshold, "threshold")
    if not (np.isfinite(window) and window >= 0):
        raise ConfigError(f"window is {window}: a finite time >= 0 s is needed")
    if n_jobs < 1:
        raise ConfigError(f"n_jobs is {n_jobs}: at least one thread is needed")
    _checks.require_finite(s[kmin:kmax], "data in the band")
    _checks.require_positive_band(noise, "psd", kmin, kmax, delta_f)
    n = 2 * (noise.size - 1)
    delta_t = 1.0 / (n * delta_f)
    bank, s = _common(bank, s)
    dtype = bank.dtype
    weights = np.zeros(noise.size)
    weights[kmin:kmax] = 1.0 / noise[kmin:kmax]
    # s / S is about 1e24 for strain: within float32's range, while 1 / S = 1e46 is not and stays float64.
    over_whitened = (s * weights).astype(dtype)
    n_out = _output_length(n, decimate, kmax)
    delta_t *= decimate
    reach = round(window / delta_t)

    def triggers(row: int, correlation: np.ndarray) -> np.ndarray:
        hh = correlate_whitened(_real(bank[row]), _real(over_whitened), weights, kmin, kmax, _real(correlation))
        if not (np.isfinite(hh) and hh > 0):
            _explain(bank[row], s, noise, kmin, kmax, delta_f, f"templates[{row}]")
        sigma = float(np.sqrt(4.0 * delta_f * hh))
        scale = 4.0 * delta_f / sigma
        z = fft.ifft(correlation, norm="forward")
        index = cluster(_real(z), threshold / scale, reach)
        found = np.empty(index.size, dtype=TRIGGER_DTYPE)
        found["template"], found["index"], found["time"] = row, index * decimate, index * delta_t
        found["snr"], found["sigma"] = z[index] * scale, sigma
        return found

    def several(rows: np.ndarray) -> list[np.ndarray]:
        # One buffer a thread: only the band is ever written, and everything else stays zero.
        correlation = np.zeros(n_out, dtype=dtype)
        return [triggers(int(row), correlation) for row in rows]

    parts = np.array_split(np.arange(bank.shape[0]), min(n_jobs, bank.shape[0]))
    if len(parts) == 1:
        return np.concatenate(several(parts[0]))
    with ThreadPoolExecutor(len(parts)) as pool:
        return np.concatenate([found for part in pool.map(several, parts) for found in part])


def _split(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary parts as contiguous arrays."""
    return np.ascontiguousarray(z.real), np.ascontiguousarray(z.imag)


def _real(z: np.ndarray) -> np.ndarray:
    """View of contiguous complex numbers as re, im, re, ...: what the compiled loops take."""
    return z.view(z.real.dtype)


def _common(h: np.ndarray, s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in one dtype, complex64 only if both are: fewer combinations to compile."""
    dtype = np.result_type(h, s)
    return h.astype(dtype, copy=False), s.astype(dtype, copy=False)


def _same_length(h: np.ndarray, s: np.ndarray, noise: np.ndarray) -> None:
    if s.ndim != 1 or not h.shape[-1] == s.size == noise.size:
        raise DataError(
            f"template has {h.shape[-1]} frequencies, data {s.shape}, psd {noise.size}: all need N/2 + 1 at the same "
            "delta_f; pad the time series to one duration and interpolate the PSD (kernels.psd.interpolate)"
        )


def _output_length(n: int, decimate: int, kmax: int) -> int:
    if decimate not in (1, 2, 4) or n % decimate:
        raise ConfigError(f"decimate is {decimate} for {n} samples: choose 1, 2 or 4, a divisor of the length")
    if kmax > n // decimate:
        raise ConfigError(
            f"decimate = {decimate} keeps frequencies below 1/{decimate} of the sampling rate: lower f_high or decimate"
        )
    return n // decimate


def _explain(
    h: np.ndarray, s: np.ndarray, noise: np.ndarray, kmin: int, kmax: int, delta_f: float, name: str = "template"
) -> None:
    """Find out which input made the sums unusable, and say so."""
    _checks.require_positive_band(noise, "psd", kmin, kmax, delta_f)
    _checks.require_finite(h[kmin:kmax], f"{name} in the band")
    _checks.require_finite(s[kmin:kmax], "data in the band")
    raise DataError(
        f"{name} has no power between {kmin * delta_f:g} and {kmax * delta_f:g} Hz (or it under- or overflows): "
        "lower f_low, or scale the strain and the PSD"
    )
