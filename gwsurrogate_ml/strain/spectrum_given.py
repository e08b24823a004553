"""Noise spectra that the user gives: files, names of curves, arrays; each made a PSD (one-sided, 1/Hz), with a word on how."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.channels import detectors_named, prefix
from gwsurrogate_ml.strain.curves import bilby_curve, known_curves, pycbc_curve, pycbc_curves
from gwsurrogate_ml.strain.spectrum_files import choose_spectrum, read_spectra
from gwsurrogate_ml.strain.spectrum_parts import kind_named

logger = logging.getLogger(__name__)

PsdSource = str | Path | tuple[np.ndarray, np.ndarray]
"""Name of a curve, path of a file, or (frequencies in Hz, PSD in 1/Hz)."""
BETWEEN = 1e-30
"""Smallest values of PSDs of strain are far below it (1e-46 in LIGO's, 1e-37 in LISA's), those of ASDs far above (1e-24)."""
LARGEST_ASD = 1e-15
"""No detector's smallest ASD is above it (the root of `BETWEEN`): such values are neither."""
DYN_RANGE_FAC = 5.9029581035870565e20
"""By which pycbc multiplies strain, and by its square PSDs, where they are kept in single precision."""
SCALED = {"psd": (1e-7, 1e-2), "asd": (1e-4, 1e-1)}
"""Smallest values of such spectra, for the best detectors and for poor ones, in files that are as pycbc writes them."""
LEAST_FILL, WALL = 8, 1e12
"""As many equal values in a row, or one that far above its neighbour, are no noise but what a program filled in."""


class GivenPsd(NamedTuple):
    """A PSD that was given.

    Attributes
    ----------
    frequencies, psd : (n,) float64, Hz ascending and 1/Hz
    said : str
        how it was understood, for a report: "aplus.txt, an ASD by its values, 5 to 5000 Hz"
    """

    frequencies: np.ndarray
    psd: np.ndarray
    said: str


class Source(NamedTuple):
    """A PSD's source in words: its `kind` ("asd", "psd" or ""), the `path`, and the `place` in the file, or ""."""

    kind: str
    path: Path
    place: str


def load_psd(source: PsdSource, detector: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (Hz) and one-sided PSD (1/Hz) of a curve, where it is finite and positive.

    Parameters
    ----------
    source : str, path, or (frequencies, psd)
        arrays; or a file (see `spectrum_files.read_spectra`: LIGO_LW XML, HDF5 of pycbc, gwpy or PESummary, npy, npz, text, csv):
        whether it is an ASD or a PSD says the prefix ``asd:`` or ``psd:``, or its content, or its name, or else the size of its
        values; of several spectra `detector` names the one meant, or ``FILE#PLACE``. Or the name of a curve: one of
        `curves.ALIASES`, a noise curve of bilby (such as ``aLIGO_ZERO_DET_high_P_asd``) or an analytic PSD of pycbc (such as
        ``aLIGOZeroDetHighPower``)
    detector : str
        whose it shall be: a file of another detector is refused; empty where that does not matter

    Returns
    -------
    frequencies, psd : (n,) float64, frequencies ascending

    Raises
    ------
    DataError
        if the file is missing, truncated or of another kind, holds several spectra that may be meant, another detector's, or no
        values of an ASD or PSD of strain
    ConfigError
        if the name is unknown

    Notes
    -----
    What programs fill in outside of their band is left out: at either end, `LEAST_FILL` and more equal values in a row
    (BayesWave's 1, pycbc's first value), or one that stands out by `WALL`. `given_psd` says what was left out.

    Examples
    --------
    >>> frequencies, psd = load_psd("aLIGO")
    >>> bool(3e-24 < psd[frequencies.searchsorted(100.0)] ** 0.5 < 6e-24)
    True
    """
    return given_psd(source, detector)[:2]


def given_psd(source: PsdSource, detector: str = "") -> GivenPsd:
    """As `load_psd`, with a word on how the source was understood.

    Examples
    --------
    >>> given_psd("AdV").said
    'AdV, a curve by name, 10 to 10000 Hz'
    """
    if isinstance(source, tuple):
        frequencies, psd = (np.asarray(a, np.float64) for a in source)
        label, how = "the PSD given", "arrays"
    elif isinstance(source, (str, Path)):
        label = str(source)
        frequencies, psd, how = _load_named(label, detector)
    else:
        raise ConfigError(
            f"a PSD is {source!r:.100}: give the name of a curve, a file, or a tuple (frequencies in Hz, PSD in 1/Hz)"
        )
    if frequencies.ndim != 1 or frequencies.shape != psd.shape:
        raise DataError(f"{label}: frequencies {frequencies.shape} and PSD {psd.shape} must be one-dimensional and of one length")
    frequencies, psd = trim(*ascending(frequencies, psd), label)
    if psd.min() > LARGEST_ASD:
        raise _no_strain(label, float(psd.min()))
    if psd.min() > BETWEEN:
        raise DataError(
            f"{label}: the smallest value is {psd.min():.2g}, no PSD of strain (1/Hz): is it an ASD? pass its square, or a file as "
            "'asd:FILE'"
        )
    return GivenPsd(frequencies, psd, f"{how}, {frequencies[0]:g} to {frequencies[-1]:g} Hz")


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
        raise DataError(f"{label}: the PSD needs at least two frequencies where it is positive and finite: give a whole one")
    inside = slice(good[0], good[-1] + 1)
    if good.size != good[-1] + 1 - good[0]:
        hole = int(good[np.flatnonzero(np.diff(good) > 1)[0]]) + 1
        raise DataError(f"{label}: the PSD is {psd[hole]:g} at {frequencies[hole]:g} Hz, between good values; mend the curve")
    if np.any(np.diff(frequencies[inside]) <= 0):
        raise DataError(f"{label}: the PSD's frequencies do not ascend; sort them and drop doubles")
    return frequencies[inside], psd[inside]


def ascending(frequencies: np.ndarray, psd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A spectrum from its lowest frequency on, where it falls throughout; else as it is.

    Examples
    --------
    >>> ascending(np.array([3.0, 2.0]), np.array([1e-46, 2e-46]))
    (array([2., 3.]), array([2.e-46, 1.e-46]))
    """
    falls = frequencies.size > 1 and bool(np.all(np.diff(frequencies) < 0))
    return (frequencies[::-1], psd[::-1]) if falls else (frequencies, psd)


def split_source(source: str) -> Source:
    """The kind, file and place of a PSD's source; a curve's name is a path where no file is.

    Examples
    --------
    >>> split_source("asd:H1.txt").kind, split_source("release.h5#C01:Mixed").place
    ('asd', 'C01:Mixed')
    """
    kind, colon, rest = source.partition(":")
    if not (colon and kind.lower() in ("asd", "psd")):
        kind, rest = "", source
    if not Path(rest).is_file() and "#" in rest:
        rest, _, place = rest.rpartition("#")
        return Source(kind.lower(), Path(rest), place)
    return Source(kind.lower(), Path(rest), "")


def _load_named(source: str, detector: str) -> tuple[np.ndarray, np.ndarray, str]:
    """Frequencies, PSD, and how the source was understood."""
    kind, path, place = split_source(source)
    if not path.is_file():
        named = bilby_curve(source)
        if named is not None:
            found = read_spectra(named)[0]
            kind = kind_named(named.name)
            return found.frequencies, found.values**2 if kind == "asd" else found.values, f"{source}, a curve by name"
        if source in pycbc_curves():
            return *pycbc_curve(source), f"{source}, a curve of pycbc"
        if path.suffix or len(path.parts) > 1:
            raise DataError(f"no PSD file {path}; check the path")
        raise ConfigError(f"unknown noise curve {source!r}; known: {', '.join(known_curves())} and pycbc's names")
    spectrum = choose_spectrum(read_spectra(path), path, detector, place, kind or kind_named(path.name))
    if kind and spectrum.kind not in ("", kind):
        raise DataError(f"{path.name} says that it holds {spectrum.kind.upper()}: give '{spectrum.kind}:{path}', or the path alone")
    frequencies, values, left_out = without_fill(*ascending(spectrum.frequencies, spectrum.values))
    scaled = ""
    if spectrum.by_pycbc:
        values, scaled = _unscaled(values, kind or spectrum.kind or kind_named(path.name), path)
    kind, why = _kind(kind, spectrum.kind, path, values)
    why += scaled
    how = f"{path.name}{f' ({spectrum.label})' if spectrum.label else ''}, {'an ASD' if kind == 'asd' else 'a PSD'} {why}"
    others = detectors_named(path.name)
    if detector and spectrum.detector is None and others and prefix(detector).upper() not in others:
        named_after = " and ".join(sorted(others))
        how += f" (the file is named after {named_after})"
        _warn_of_name(detector, path, named_after)
    return frequencies, values**2 if kind == "asd" else values, how + left_out


@cache
def _warn_of_name(detector: str, path: Path, named_after: str) -> None:
    """Warn of a file by its name: once, however often an analysis reads it."""
    logger.warning("%s: the spectrum is taken from %s, which is named after %s", detector, path.name, named_after)


def _unscaled(values: np.ndarray, kind: str, path: Path) -> tuple[np.ndarray, str]:
    """Values without the factor by which pycbc brings strain into the range of single precision, and words on that."""
    positive = values[np.isfinite(values) & (values > 0)]
    smallest = float(positive.min()) if positive.size else 0.0
    if not kind and SCALED["psd"][0] < smallest < SCALED["asd"][0]:
        kind = "psd"
    power = {"psd": 2, "asd": 1}.get(kind, 0)
    if power and SCALED[kind][0] < smallest < SCALED[kind][1]:
        return values / DYN_RANGE_FAC**power, f", divided by pycbc's factor {DYN_RANGE_FAC:.3g}{'^2' * (power == 2)}"
    if not kind and SCALED["asd"][0] <= smallest < SCALED["asd"][1]:
        raise DataError(
            f"{path.name}: the smallest value is {smallest:.2g}, that of an ASD or of a PSD which pycbc has multiplied: give it as "
            f"'psd:{path}' or 'asd:{path}'"
        )
    return values, ""


def _no_strain(label: str, smallest: float) -> DataError:
    return DataError(
        f"{label}: the smallest value is {smallest:.2g}: no ASD of strain (about 1e-23 per root Hz) and no PSD (1e-46 per Hz); "
        "divide the values by the factor they were multiplied by, such as 1e21 (an ASD) or its square (a PSD)"
    )


def _kind(given: str, said: str, path: Path, values: np.ndarray) -> tuple[str, str]:
    """ "asd" or "psd", and how that is known; refuses what the values contradict."""
    positive = values[np.isfinite(values) & (values > 0)]
    smallest = float(positive.min()) if positive.size else 0.0
    named = kind_named(path.name)
    kind, why = next(((k, w) for k, w in ((given, "as you say"), (said, "as it says"), (named, "by its name")) if k), ("", ""))
    if smallest > LARGEST_ASD:
        raise _no_strain(path.name, smallest)
    if kind == "asd" and 0 < smallest < BETWEEN:
        raise DataError(f"{path.name}: {smallest:.1g} is too small for an ASD: is it a PSD? give 'psd:{path}'")
    if kind == "psd" and smallest > BETWEEN:
        raise DataError(
            f"{path.name}: the smallest value is {smallest:.2g}, no PSD of strain (1/Hz): is it an ASD? give 'asd:{path}'"
        )
    if kind:
        return kind, why
    return ("asd" if smallest > BETWEEN else "psd"), f"by its values (from {smallest:.1g})"


def without_fill(frequencies: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, str]:
    """A spectrum without what was filled in at its ends, and words on that.

    A plateau at low frequencies that goes over into the curve keeps its last value: pycbc fills with the first one measured. One at
    high frequencies is kept: there curves may be white.

    Examples
    --------
    >>> f, values, said = without_fill(np.arange(12.0), np.array([1.0] * 9 + [3e-46, 2e-46, 1.0]))
    >>> values, said
    (array([3.e-46, 2.e-46]), '; 1 below 9 Hz and 1 above 10 Hz left out as filled in')
    """
    good = np.flatnonzero(np.isfinite(values) & (values > 0))
    if not good.size:
        return frequencies, values, ""
    first, last = int(good[0]), int(good[-1]) + 1
    inside = values[first:last]
    low, high = _fill(inside, low=True), _fill(inside[::-1], low=False)
    if low + high >= inside.size - 1:
        return frequencies, values, ""
    begin, end = first + low, last - high
    below = [f"{inside[0]:g} below {frequencies[begin]:g} Hz"] if low else []
    above = [f"{inside[-1]:g} above {frequencies[end - 1]:g} Hz"] if high else []
    parts = below + above
    said = f"; {' and '.join(parts)} left out as filled in" if parts else ""
    return (frequencies[begin:end], values[begin:end], said) if parts else (frequencies, values, "")


def _fill(values: np.ndarray, *, low: bool) -> int:
    """How many values at the start are filled in; `low`: it is the end at low frequencies."""
    differ = np.flatnonzero(values != values[0])
    if not differ.size:
        return 0
    run = int(differ[0])
    step = values[0] / values[run]
    if not 0.1 < step < 10:
        return run if run >= LEAST_FILL or step > WALL else 0
    # No detector is white at low frequencies. Runs as long elsewhere come from few digits: single precision, or text.
    inside = np.diff(np.flatnonzero(np.diff(values))).max(initial=0)
    return run - 1 if low and run >= max(LEAST_FILL, 4 * inside) else 0


def label_of(sources: PsdSource | Mapping[str, PsdSource], detector: str) -> str:
    """The file or curve that a detector's spectrum is taken from, for messages.

    Examples
    --------
    >>> label_of({"H1": "o3_v1_asd.txt"}, "H1"), label_of((np.ones(2), np.ones(2)), "H1")
    ('o3_v1_asd.txt', 'arrays')
    """
    source = sources[detector] if isinstance(sources, Mapping) else sources
    return str(source) if isinstance(source, (str, Path)) else "arrays"


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
            raise ConfigError(
                f"no PSD for {', '.join(missing)}: the psd given has {', '.join(sources) or 'none'}; give one for each detector, "
                "or leave psd out, so that all are measured"
            )
        return {d: load_psd(sources[d], d) for d in detectors}
    if isinstance(sources, (str, Path)) and split_source(str(sources)).path.is_file():  # it may hold one a detector
        return {d: load_psd(sources, d) for d in detectors}
    curve = load_psd(sources)
    return dict.fromkeys(detectors, curve)
