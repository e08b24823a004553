"""What cleaning is worth: ASD ratio by band, range, optimal and matched-filter SNR, self-subtraction.

The binary's spectrum is that of Ajith et al. 2008 (arXiv:0710.2335) for equal masses: inspiral, merger, ring-down.
"""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.errors import ConfigError, DataError

F_TEMPLATE, F_RANGE = 20.0, 10.0
"""Hz from which templates are matched, and ranges integrated."""


def binary_power(frequencies: np.ndarray, mass_1: float, mass_2: float) -> np.ndarray:
    """|h(f)|^2 of a binary up to a factor, (n_f,); zero at 0 Hz and beyond the cut-off.

    Parameters
    ----------
    frequencies : (n_f,) Hz
    mass_1, mass_2 : Msun, detector frame

    Notes
    -----
    Amplitude f^(-7/6) up to the merger frequency, f^(-2/3) up to the ring-down's, then a Lorentzian.
    Source: arXiv:0710.2335, equations 4.13 to 4.19 and table I.

    Examples
    --------
    >>> p = binary_power(np.array([0.0, 20.0, 40.0]), 1.4, 1.4)
    >>> round(float(p[1] / p[2]), 3) == round(2 ** (7 / 3), 3)
    True
    """
    total = mass_1 + mass_2
    eta = mass_1 * mass_2 / total**2
    unit = np.pi * total * MTSUN_SI
    merger, ring, width, cut = (
        (a * eta**2 + b * eta + c) / unit
        for a, b, c in (
            (2.9740e-1, 4.4810e-2, 9.5560e-2),
            (5.9411e-1, 8.9794e-2, 1.9111e-1),
            (5.0801e-1, 7.7515e-2, 2.2369e-2),
            (8.4845e-1, 1.2848e-1, 2.7299e-1),
        )
    )
    f = np.asarray(frequencies, dtype=np.float64)
    x = np.maximum(f, 1e-3) / merger
    lorentz = 1.0 / (1.0 + (2.0 * (f - ring) / width) ** 2)
    amplitude = np.where(f < merger, x ** (-7 / 6), np.where(f < ring, x ** (-2 / 3), (ring / merger) ** (-2 / 3) * lorentz))
    return np.where((f > 0) & (f < cut), amplitude**2, 0.0)


def _in_band(frequencies: np.ndarray, band: tuple[float, float]) -> np.ndarray:
    inside = (frequencies >= band[0]) & (frequencies <= band[1])
    if not inside.any():
        raise ConfigError(
            f"no frequency between {band[0]:g} and {band[1]:g} Hz: the grid has {frequencies[0]:g} ... {frequencies[-1]:g} Hz"
        )
    return inside


def snr_gain(
    frequencies: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    power: np.ndarray,
    band: tuple[float, float] = (10.0, np.inf),
) -> float:
    """Ratio of optimal SNRs after and before, sqrt(int power/after / int power/before) over a band.

    Parameters
    ----------
    frequencies : (n_f,) Hz
    before, after : (n_f,) one-sided PSDs, 1/Hz
    power : (n_f,) |h(f)|^2
    band : (low, high), Hz
    """
    inside = _in_band(frequencies, band)
    return float(np.sqrt(np.sum(power[inside] / after[inside]) / np.sum(power[inside] / before[inside])))


def asd_ratio(frequencies: np.ndarray, before: np.ndarray, after: np.ndarray, band: tuple[float, float]) -> float:
    """Geometric mean over a band of the ratio of ASDs after and before: below 1 is cleaner.

    Examples
    --------
    >>> asd_ratio(np.arange(4.0), np.full(4, 4.0), np.ones(4), (1.0, 2.0))
    0.5
    """
    inside = _in_band(frequencies, band)
    return float(np.exp(0.5 * np.mean(np.log(after[inside] / before[inside]))))


def matched_filter_snr(strain: np.ndarray, template: np.ndarray, psd: np.ndarray, sampling_frequency: float) -> complex:
    """Complex matched-filter SNR at zero lag, from 20 Hz, of a series holding its own template.

    Parameters
    ----------
    strain, template : (n,) float64, in phase and time with one another
    psd : (n // 2 + 1,) one-sided, 1/Hz
    sampling_frequency : float, Hz

    Returns
    -------
    complex, 4 df sum conj(h) s / S over sqrt(4 df sum |h|^2 / S)

    Raises
    ------
    DataError
        if shapes differ
    """
    if strain.shape != template.shape or psd.size != strain.size // 2 + 1:
        raise DataError(f"strain {strain.shape}, template {template.shape} and PSD {psd.shape} do not belong together")
    d, h = np.fft.rfft(strain), np.fft.rfft(template)
    k = np.arange(psd.size) * sampling_frequency / strain.size
    use = (k >= F_TEMPLATE) & (k < 0.5 * sampling_frequency)
    scale = 4.0 / (sampling_frequency * strain.size)
    sigma = np.sqrt(scale * np.sum(np.abs(h[use]) ** 2 / psd[use]))
    return complex(scale * np.sum(np.conj(h[use]) * d[use] / psd[use]) / sigma)


def inspiral_range(frequencies: np.ndarray, psd: np.ndarray) -> float:
    """Sky-averaged range in Mpc of a 1.4 + 1.4 Msun binary at SNR 8, from 10 Hz to the innermost stable orbit.

    Parameters
    ----------
    frequencies : (n_f,) Hz
    psd : (n_f,) one-sided, 1/Hz

    Notes
    -----
    Source: Allen et al. 2012 (arXiv:gr-qc/0509116), equation D1; the sky average divides by 2.2648.
    """
    from gwsurrogate_ml.conventions import MPC_SECONDS

    total = 2.8 * MTSUN_SI
    chirp = total * 0.25 ** (3 / 5)
    use = (frequencies >= F_RANGE) & (frequencies <= 1.0 / (6.0**1.5 * np.pi * total))
    if use.sum() < 2:
        raise ConfigError(f"no frequencies between {F_RANGE:g} Hz and the innermost stable orbit")
    integral = np.trapezoid(frequencies[use] ** (-7 / 3) / psd[use], frequencies[use])
    horizon = np.sqrt(5.0 / 6.0) * chirp ** (5 / 6) * np.pi ** (-2 / 3) * np.sqrt(integral) / 8.0
    return float(horizon / MPC_SECONDS / 2.2648)
