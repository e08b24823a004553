"""Noise power spectral densities: from off-source strain (median Welch), from files, arrays and named design curves.

All PSDs are one-sided, in 1/Hz. Median Welch: Allen et al. 2012 (FINDCHIRP, arXiv:gr-qc/0509116), appendix B. An
estimate from off-source strain is scaled so that its inverse is right on average (see `scatter`); a PSD given is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import psd as psd_kernels
from gwsurrogate_ml.strain.curves import bilby_curve, known_curves, pycbc_curve, pycbc_curves
from gwsurrogate_ml.strain.detectors import interferometer
from gwsurrogate_ml.strain.gates import MAX_STUCK, gated, stuck_fraction, unfaded
from gwsurrogate_ml.strain.scatter import inverse_bias, overlap_correlation
from gwsurrogate_ml.strain.spectrum_files import kind_named, read_spectrum

PsdSource = str | Path | tuple[np.ndarray, np.ndarray]
"""Name of a curve, path of a file, or (frequencies in Hz, PSD in 1/Hz)."""

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


def load_psd(source: PsdSource) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (Hz) and one-sided PSD (1/Hz) of a curve, where it is finite and positive.

    Parameters
    ----------
    source : str, path, or (frequencies, psd)
        arrays; or a file of one spectrum (see `spectrum_files.read_spectrum`: text, csv, npy, npz, HDF5 of pycbc or gwpy) that
        says by its own content, its name or the prefix ``asd:`` or ``psd:`` which it holds; or the name of a curve: one of
        `curves.ALIASES`, a noise curve of bilby (such as ``aLIGO_ZERO_DET_high_P_asd``) or an analytic PSD of pycbc (such as
        ``aLIGOZeroDetHighPower``)

    Returns
    -------
    frequencies, psd : (n,) float64, frequencies ascending

    Raises
    ------
    DataError
        if the file is missing, cannot be read, holds several spectra, or no values of an ASD or PSD of strain
    ConfigError
        if the name is unknown, or a file's name does not say whether it is an ASD or a PSD

    Examples
    --------
    >>> frequencies, psd = load_psd("aLIGO")
    >>> bool(3e-24 < psd[frequencies.searchsorted(100.0)] ** 0.5 < 6e-24)
    True
    """
    if isinstance(source, tuple):
        frequencies, psd = (np.asarray(a, np.float64) for a in source)
        label = "the PSD given"
    elif isinstance(source, (str, Path)):
        frequencies, psd = _load_named(str(source))
        label = str(source)
    else:
        raise ConfigError(
            f"a PSD is {source!r:.100}: give the name of a curve, a file, or a tuple (frequencies in Hz, PSD in 1/Hz)"
        )
    if frequencies.ndim != 1 or frequencies.shape != psd.shape:
        raise DataError(f"{label}: frequencies {frequencies.shape} and PSD {psd.shape} must be one-dimensional and of one length")
    frequencies, psd = trim(frequencies, psd, label)
    if psd.min() > 1e-30:
        raise DataError(f"{label}: the smallest value is {psd.min():.2g}, no PSD of strain (1/Hz): is it an ASD? pass its square")
    return frequencies, psd


def trim(frequencies: np.ndarray, psd: np.ndarray, label: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Drop the ends where the PSD is 0, inf or NaN: curves mark so what they leave out, often the first and last bin.

    Raises
    ------
    DataError
        if such values occur between good ones, or fewer than two ascending frequencies remain

    Examples
    --------
    >>> trim(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1e-46, 2e-46, np.inf]))
    (array([1., 2.]), array([1.e-46, 2.e-46]))
    """
    good = np.flatnonzero(np.isfinite(frequencies) & np.isfinite(psd) & (psd > 0))
    if good.size < 2:
        raise DataError(f"{label}: the PSD needs at least two frequencies where it is positive and finite")
    inside = slice(good[0], good[-1] + 1)
    if good.size != good[-1] + 1 - good[0]:
        hole = int(good[np.flatnonzero(np.diff(good) > 1)[0]]) + 1
        raise DataError(f"{label}: the PSD is {psd[hole]:g} at {frequencies[hole]:g} Hz, between good values; mend the curve")
    if np.any(np.diff(frequencies[inside]) <= 0):
        raise DataError(f"{label}: the PSD's frequencies do not ascend; sort them and drop doubles")
    return frequencies[inside], psd[inside]


def split_kind(source: str) -> tuple[str, Path]:
    """The prefix of a PSD's file, "asd", "psd" or "", and its path; a curve's name is a path where no file is.

    Examples
    --------
    >>> kind, path = split_kind("asd:H1.txt")
    >>> kind, path.name
    ('asd', 'H1.txt')
    """
    kind, colon, rest = source.partition(":")
    return (kind.lower(), Path(rest)) if colon and kind.lower() in ("asd", "psd") else ("", Path(source))


def _load_named(source: str) -> tuple[np.ndarray, np.ndarray]:
    kind, path = split_kind(source)
    if not path.is_file():
        named = bilby_curve(source)
        if named is not None:
            kind, path = "", named
        elif source in pycbc_curves():
            return pycbc_curve(source)
        elif path.suffix or len(path.parts) > 1:
            raise DataError(f"no PSD file {path}; check the path")
        else:
            raise ConfigError(f"unknown noise curve {source!r}; known: {', '.join(known_curves())} and pycbc's names")
    frequencies, found = read_spectrum(path)
    said = next(iter(found)) if len(found) == 1 else ""
    kind = kind or said or kind_named(path.name)
    if not kind:
        raise ConfigError(f"{path.name}: an ASD or a PSD? name the file accordingly, or give 'asd:{path}' or 'psd:{path}'")
    if said not in ("", kind):
        raise DataError(f"{path.name} says that it holds {said.upper()}: give '{said}:{path}', or the path alone")
    values = found[kind] if kind in found else found[""]
    if kind == "asd" and np.any(values > 0) and values[values > 0].min() < 1e-30:
        raise DataError(f"{path.name}: {values[values > 0].min():.1g} is too small for an ASD: is it a PSD? give 'psd:{path}'")
    return frequencies, values**2 if kind == "asd" else values


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


def per_detector(
    sources: PsdSource | Mapping[str, PsdSource], detectors: tuple[str, ...]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Load one PSD a detector from a mapping, or the same for all from a single source.

    Raises
    ------
    ConfigError
        if a mapping leaves out a detector
    """
    if isinstance(sources, Mapping):
        missing = [d for d in detectors if d not in sources]
        if missing:
            raise ConfigError(f"no PSD for {', '.join(missing)}; the psd given has {', '.join(sources) or 'none'}")
        return {d: load_psd(sources[d]) for d in detectors}
    curve = load_psd(sources)
    return dict.fromkeys(detectors, curve)


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
