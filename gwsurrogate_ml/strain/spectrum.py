"""Noise power spectral densities: from off-source strain (median Welch), from files, arrays and named design curves.

All PSDs are one-sided, in 1/Hz. Median Welch: Allen et al. 2012 (FINDCHIRP, arXiv:gr-qc/0509116), appendix B. An
estimate from off-source strain is scaled so that its inverse is right on average (see `scatter`); a PSD given is not.
"""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.kernels import psd as psd_kernels
from gwsurrogate_ml.strain.detectors import interferometer
from gwsurrogate_ml.strain.gates import MAX_STUCK, gated, stuck_fraction, unfaded
from gwsurrogate_ml.strain.scatter import inverse_bias, overlap_correlation
from gwsurrogate_ml.strain.spectrum_given import PsdSource as PsdSource
from gwsurrogate_ml.strain.spectrum_given import load_psd as load_psd
from gwsurrogate_ml.strain.spectrum_given import per_detector as per_detector
from gwsurrogate_ml.strain.spectrum_given import trim as trim

DESIGNS = {"H1": "aLIGO", "L1": "aLIGO", "V1": "AdV", "K1": "KAGRA"}
"""Design curves of the detectors that have taken data together; others' are bilby's own."""
DESIGN_FROM = 8.0
"""Hz: from here on a design is used. Below, some curves rise by fifteen orders of magnitude, which leaks into every band."""
MIN_OFF_SOURCE, ROUGH = 4, 8
"""Fewest off-source stretches that make a median PSD, and so few that its scatter is flagged: 32 s without gaps have 11."""


def off_source_psd(
    strain: np.ndarray,
    sampling_frequency: float,
    start_time: float,
    *,
    exclude: tuple[float, float],
    segment_duration: float,
    span: float = 256.0,
    window: str | np.ndarray = "hann",
    detector: str = "",
    at_least: int = MIN_OFF_SOURCE,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Median Welch PSD of the strain outside a time interval; stretches overlap by half, those with a gap or a gate are skipped.

    So are those that a taper has faded out, as at the ends of many files: half of a 128 s file's usual taper would make the PSD a
    fifth too small.

    The scale is such that E[1/PSD] = 1/S in Gaussian noise of spectrum S: noise elsewhere, divided by this estimate, has
    unit mean power, and squared SNRs are unbiased. The PSD itself is therefore too large on average, by 22 % for 11
    periodograms and 2 % for 124; see `scatter`.

    Parameters
    ----------
    strain : (n,) float64
        gaps are NaN
    sampling_frequency : float, Hz
    start_time : float, GPS s
        time of the first sample
    exclude : (start, end), GPS s
        the on-source interval, of which no sample is used
    segment_duration : float, s
        length of one periodogram; the resolution is its inverse
    span : float, s
        use data at most half of this away from the middle of `exclude`
    window : "hann" or (n,) float64
        of n = segment_duration * sampling_frequency samples
    detector : str
        for messages
    at_least : int, >= 4
        periodograms needed

    Returns
    -------
    frequencies : (n_f,) float64, Hz
    psd : (n_f,) float64, 1/Hz
    n_segments : int
        periodograms used

    Raises
    ------
    DataError
        if fewer than `at_least` periodograms fit, or the data are constant, saturated or gated

    Examples
    --------
    >>> x = np.random.default_rng(1).normal(size=32 * 256)
    >>> frequencies, psd, n = off_source_psd(x, 256.0, 0.0, exclude=(14.0, 18.0), segment_duration=4.0)
    >>> n, float(frequencies[1]), bool(abs(np.mean(1 / psd[4:-1]) / 128 - 1) < 0.1)
    (12, 0.25, True)
    """
    length = round(segment_duration * sampling_frequency)
    middle = 0.5 * (exclude[0] + exclude[1])
    low, high = (round((t - start_time) * sampling_frequency) for t in (middle - span / 2, middle + span / 2))
    low, high = max(low, 0), min(high, strain.size)
    on = [round((t - start_time) * sampling_frequency) for t in exclude]
    chunks: list[np.ndarray] = []
    begins: list[int] = []
    stride = max(length // 2, 1)
    stuck = gates = 0
    for first, last in ((low, min(on[0], high)), (max(on[1], low), high)):
        for begin in range(first, last - length + 1, stride):
            chunk = strain[begin : begin + length]
            if not np.isfinite(chunk).all():
                continue
            if stuck_fraction(chunk) > MAX_STUCK:
                stuck += 1
                continue
            if gated(chunk, sampling_frequency):
                gates += 1
                continue
            chunks.append(chunk)
            begins.append(begin)
    if len(chunks) < at_least:
        found = f"{len(chunks)} usable off-source stretches of {segment_duration:g} s"
        if stuck:
            raise DataError(f"{detector}: {found}, {stuck} are constant or saturated: the channel is dead; use other data")
        if gates:
            raise DataError(
                f"{detector}: {found}, {gates} hold gates (stretches set to zero), whose power is not the noise's; give data "
                "without them, a longer file, or a PSD"
            )
        raise DataError(
            f"{detector}: {found} (overlapping by half, off the {exclude[1] - exclude[0]:g} s analysed and off gaps), "
            f"at least {at_least} are needed for a PSD; read a longer file or pass a PSD"
        )
    samples = psd_kernels.periodic_hann(length) if isinstance(window, str) else window
    good = unfaded(chunks, samples, sampling_frequency)
    if good.sum() >= at_least:
        chunks, begins = (
            [c for c, g in zip(chunks, good, strict=True) if g],
            [b for b, g in zip(begins, good, strict=True) if g],
        )
    # The stretches overlap already: laid end to end, Welch without overlap takes exactly these and none across a seam.
    frequencies, psd = psd_kernels.welch(
        np.concatenate(chunks), sampling_frequency, segment_duration, overlap=0.0, average="median", window=window
    )
    overlaps = int(np.sum(np.diff(begins) == stride))
    return frequencies, psd * inverse_bias(len(chunks), overlap_correlation(samples, stride), overlaps), len(chunks)


def tapered(duration: float, sampling_frequency: float, roll_off: float) -> np.ndarray:
    """Tukey window of `duration` s whose flanks take `roll_off` s each."""
    from scipy.signal.windows import tukey

    window: np.ndarray = tukey(round(duration * sampling_frequency), alpha=min(1.0, 2 * roll_off / duration))
    return window


def design_curve(detector: str) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (Hz, from DESIGN_FROM on) and PSD (1/Hz) that a detector is designed for, as `load_psd` returns them.

    Raises
    ------
    DataError
        if the detector is unknown

    Examples
    --------
    >>> frequencies, psd = design_curve("V1")
    >>> bool(3e-24 < psd[frequencies.searchsorted(100.0)] ** 0.5 < 6e-24)
    True
    """
    if detector in DESIGNS:
        frequencies, psd = load_psd(DESIGNS[detector])
    else:
        curve = interferometer(detector).power_spectral_density
        frequencies, psd = load_psd((curve.frequency_array, curve.psd_array))
    first = int(frequencies.searchsorted(DESIGN_FROM))
    return frequencies[first:], psd[first:]


def psd_on_grid(
    frequencies: np.ndarray, psd: np.ndarray, grid: np.ndarray, *, f_min: float, f_max: float, detector: str = ""
) -> np.ndarray:
    """PSD interpolated linearly (as bilby) to `grid`; inf where the curve ends, which must not be inside the band.

    A curve may end one bin short of the band (the last bin is often left out), by half a Hz at most; those bins are inf.

    Parameters
    ----------
    frequencies, psd : (n,) float64
        as `load_psd` returns them: Hz ascending and 1/Hz, finite and positive
    grid : (n_f,) float64, Hz
    f_min, f_max : float, Hz
        the band that must be covered

    Returns
    -------
    (n_f,) float64, 1/Hz

    Raises
    ------
    DataError
        if the curve does not cover the band

    Examples
    --------
    >>> psd_on_grid(np.array([20.0, 40.0]), np.array([2e-46, 4e-46]), np.array([0.0, 30.0, 50.0]), f_min=20, f_max=40)
    array([  inf, 3.e-46,   inf])
    """
    first, last = frequencies[0], frequencies[-1]
    # A curve may end one bin short (an unusable last bin is common), its own or the grid's, but never by more than half a Hz:
    # lost bins would vanish from the likelihood.
    bin_width = max(float(grid[1] - grid[0]), min(float(last - frequencies[-2]), 0.5)) * (1 + 1e-9)
    if first > f_min * (1 + 1e-9) or last < f_max - bin_width:
        raise DataError(
            f"{detector}: the PSD covers {first:g} to {last:g} Hz, the analysis needs {f_min:g} to {f_max:g} Hz; "
            "pass another PSD, or change f_min or f_max"
        )
    return np.interp(grid, frequencies, psd, left=np.inf, right=np.inf)
