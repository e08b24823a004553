"""Strain from tables in text and from numpy's files: one column of samples, or GPS times and a column a detector."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.channels import (
    FIRST_GPS,
    NO_TIMES,
    SAID,
    STRAIN,
    Raw,
    choose,
    detector_named,
    owner,
    prefix,
    require_owner,
    said_times,
    tidy_rate,
    times_of_bare,
)
from gwsurrogate_ml.strain.spectrum_parts import is_spectral
from gwsurrogate_ml.strain.text_tables import UNREADABLE, is_number, read_table

TIME = re.compile(r"(gps|time|times|t)([\W_].*)?", re.IGNORECASE)
"""Names of columns of times."""
SCALED = re.compile(r"1\.?0*e[+-]?\d+|10\^|10\*\*", re.IGNORECASE)
"""A factor in the name of a column, such as "strain * 1.e21"."""
OPEN = re.compile(r"|arr_0|data|h|h_?t|samples?|series|signal|timeseries|values?|x|y", re.IGNORECASE)
"""Names of arrays that leave open what they are."""
DETECTORS = ("detectors", "detector_names", "ifos", "instruments")
"""Arrays that name the detectors of the rows of others."""


def read_text(path: Path, detector: str, channel: str | None, rate: float | None, start: float | None) -> Raw:
    """A table of numbers; the line above its first row may say which column is the strain. See `text_tables`.

    Raises
    ------
    DataError
        if it is no such table, or its strain is not to be told
    ConfigError
        if nothing says the times
    """
    try:
        found = read_table(path)
        if found.above and not found.above[-1].startswith(("#", "%", "!", "//")):
            fields = re.split(r"[,;\s]+", found.above[-1].strip())
            if fields[0] and any(map(is_number, fields)):
                raise ValueError(f"no row of numbers: {found.above[-1]:.60}")
    except UNREADABLE as error:
        raise DataError(
            f"{detector}: {path.name} is not a table of numbers, or truncated ({error}); write or copy it again"
        ) from error
    header = "\n".join(found.above)
    if not found.names and found.above:
        _require_unscaled(found.above[-1], path, detector)
    table = _columns_of(found.values, found.names, path, detector, channel)
    if table.shape[1] == 1:
        # GWOSC's text files say both in their header; what contradicts it is refused by the caller.
        if match := re.search(r"(\d+(?:\.\d+)?) +samples per second", header):
            rate = float(match[1])
        if match := re.search(r"starting GPS +(\d+(?:\.\d+)?)", header):
            start = float(match[1])
    return _from_columns(table, path, detector, rate, start, named=any(TIME.fullmatch(name) for name in found.names))


def _require_unscaled(name: str, path: Path, detector: str) -> None:
    if SCALED.search(name):
        raise DataError(
            f"{detector}: the samples of {path.name} are not strain itself but a multiple, by the name {name.strip()!r}: write "
            "strain, without the factor"
        )


def require_strain_name(name: str, path: Path, detector: str) -> None:
    """Refuse the only samples of a file where their name does not say, and does not leave open, that they are strain."""
    last = name.rpartition("/")[2]
    if not (STRAIN.search(name) or owner(name) or detector_named(name) or OPEN.fullmatch(last)):
        raise DataError(
            f"{detector}: {path.name} holds {name!r}, which does not say that it is strain: call it 'strain', or name it by "
            f"--channel {detector}={name}, in Python by channels={{'{detector}': {name!r}}} of StrainData.from_files"
        )


def _require_no_spectrum(names: Sequence[str], path: Path, detector: str) -> None:
    if spectra := [name for name in names if is_spectral(name)]:
        raise DataError(
            f"{detector}: {path.name} holds a spectrum by the names {', '.join(map(repr, spectra[:4]))}, which --psd takes, and no "
            "strain; give a file of strain, with a column 'time'"
        )


def _columns_of(table: np.ndarray, names: list[str], path: Path, detector: str, channel: str | None) -> np.ndarray:
    """Of a table (n, columns) the times, where it has them, and the detector's strain: (n, 2) or (n, 1)."""
    if not names:
        if channel is not None:
            raise ConfigError(f"{detector}: the columns of {path.name} have no names, {channel!r} is none of them: leave it out")
        return table
    owners = {name: owner(name) or detector_named(name) for name in names}
    time = next((k for k, name in enumerate(names) if TIME.fullmatch(name)), None)
    if time is None:
        _require_no_spectrum(names, path, detector)
    if time is None and table.shape[1] > 1 and owners[names[0]] is None and not STRAIN.search(names[0]):
        time = 0
    strains = {name: owners[name] for k, name in enumerate(names) if k != time and not is_spectral(name)}
    if not strains or channel in set(names) - set(strains):
        _require_no_spectrum(names if channel is None else [channel], path, detector)
    if len(strains) == 1 and channel is None:
        ((chosen, of),) = strains.items()
        require_owner(of or prefix(detector), path, detector, chosen)
    else:
        chosen = choose(strains, path, detector, channel)
    _require_unscaled(chosen, path, detector)
    return table[:, [names.index(chosen)] if time is None else [time, names.index(chosen)]]


def read_numpy(path: Path, detector: str, channel: str | None, rate: float | None, start: float | None) -> Raw:
    """An npy of one or two columns (or rows), or named ones; an npz with one array of strain, or one a detector, and their times.

    Raises
    ------
    DataError
        if it is neither, or its strain is not to be told
    ConfigError
        if nothing says the times
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        content = dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {"": loaded}
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{detector}: {path.name} is truncated or no numpy file ({error}); copy it again") from error
    except Exception as error:  # zipfile.BadZipFile of a truncated npz
        raise DataError(f"{detector}: {path.name} is truncated or no npz file ({error}); copy it again") from error
    if "" in content and content[""].dtype.names:
        content = {name: content[""][name] for name in content[""].dtype.names}
    if "" in content:
        if channel is not None:
            raise ConfigError(f"{detector}: {path.name} has no channels, {channel!r} is none of them: leave it out")
        strain = content[""]
        named = False
    else:
        content = _apart(content)
        named = any(TIME.fullmatch(name) and array.size > 1 for name, array in content.items())
        strain, rate, start = _chosen(content, path, detector, channel, rate, start)
    if strain.dtype.kind not in "fiu":
        raise DataError(f"{detector}: 'strain' of {path.name} is {strain.dtype}, not real numbers; give strain in the time domain")
    if strain.ndim == 1:
        strain = strain[:, None]
    elif strain.ndim == 2 and strain.shape[0] in (1, 2) and strain.shape[1] > 2:
        strain = strain.T
    return _from_columns(strain, path, detector, rate, start, named=named)


def _apart(content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays (detectors, n) beside the names of the detectors as one array a detector."""
    named = next((content[key] for key in DETECTORS if key in content and content[key].dtype.kind in "US"), None)
    if named is None:
        return content
    detectors = [word.decode(errors="replace") if isinstance(word, bytes) else str(word) for word in np.atleast_1d(named)]
    found: dict[str, np.ndarray] = {}
    for name, array in content.items():
        if array.ndim == 2 and len(array) == len(detectors):
            found |= dict(zip(detectors, array, strict=True))
        elif name not in DETECTORS:
            found[name] = array
    return found


def _chosen(
    content: dict[str, np.ndarray], path: Path, detector: str, channel: str | None, rate: float | None, start: float | None
) -> tuple[np.ndarray, float | None, float | None]:
    """The detector's strain among named arrays, with its times where they are there; its rate (Hz) and start (GPS s)."""
    times = next((array for name, array in content.items() if TIME.fullmatch(name) and array.size > 1), None)
    samples = [name for name, array in content.items() if array.size > 1 and not TIME.fullmatch(name) and name not in SAID]
    series = [name for name in samples if not is_spectral(name)]
    if (samples and not series) or channel in set(samples) - set(series):
        _require_no_spectrum(samples if channel is None else [channel], path, detector)
    if not series:
        raise DataError(f"{detector}: {path.name} has no array 'strain' (arrays: {', '.join(content) or 'none'})")
    owners = {name: owner(name) or detector_named(name) for name in series}
    chosen = series[0] if len(series) == 1 and channel is None else choose(owners, path, detector, channel)
    require_owner(owners[chosen] or prefix(detector), path, detector, chosen)
    strain = content[chosen]
    if times is not None:
        if times.dtype.kind not in "fiu" or times.shape != strain.shape or strain.ndim != 1:
            raise DataError(
                f"{detector}: times of {path.name} are {times.dtype} of shape {times.shape}, strain has {strain.shape}; give "
                "one time in GPS s for each sample"
            )
        return np.stack([times, strain], axis=1) if strain.dtype.kind in "fiu" else strain, rate, start
    if channel is None:
        require_strain_name(chosen, path, detector)
    said = said_times({name: _scalar(array) for name, array in content.items() if name not in series}, f"{detector}: {path.name}")
    return strain, rate if said[0] is None else said[0], start if said[1] is None else said[1]


def _scalar(array: np.ndarray) -> object:
    """What an array of one element holds; an array of more, or of words, as it is, for the message."""
    return array.item() if array.size == 1 else array


def _from_columns(table: np.ndarray, path: Path, detector: str, rate: float | None, start: float | None, *, named: bool) -> Raw:
    if table.ndim != 2 or table.shape[1] not in (1, 2) or len(table) < 2:
        raise DataError(f"{detector}: {path.name} holds an array of shape {table.shape}; give (n, 1) strain or (n, 2) time, strain")
    if table.shape[1] == 1:
        rate, start = times_of_bare(path, len(table), rate, start)
        if rate is None or start is None:
            raise ConfigError(f"{detector}: {path.name} holds strain without times: {NO_TIMES}")
        return Raw(table[:, 0], start, rate)
    return from_times(table[:, 0], table[:, 1], path, detector, start, named=named)


def from_times(
    times: np.ndarray, values: np.ndarray, path: Path, detector: str, start: float | None = None, *, named: bool = True
) -> Raw:
    """Samples (n,) with their times (n,), in GPS s, or in seconds from `start` on where they are no GPS times.

    Raises
    ------
    DataError
        if times are not uniformly spaced, or if they are not `named` as times, are none of GPS, and no `start` is given
    """
    times = times.astype(np.float64)
    found = (len(times) - 1) / (times[-1] - times[0]) if times[-1] > times[0] else np.nan
    # Printed times are rounded: allow a tenth of a sample (and float64's 2e-7 s at GPS 1e9) about the uniform grid.
    if not np.isfinite(found) or np.max(np.abs(times - times[0] - np.arange(len(times)) / found)) > 0.1 / found + 1e-6:
        raise DataError(
            f"{detector}: times in {path.name} are not uniformly spaced; fill gaps with NaN strain, or give one file a stretch"
        )
    rounding = min(1e-4, 0.2 / len(times))
    first, relative = float(times[0]), not times[0] >= FIRST_GPS
    if relative and start is None and not named:
        raise DataError(
            f"{detector}: the first column of {path.name} begins at {first:g}, which is no GPS time: if it is seconds from a start "
            "on, give that by --start-time (start_time of StrainData.from_files); a spectrum is given by --psd"
        )
    if relative and start is not None:
        return Raw(values, first + start, tidy_rate(found, rounding), after=first)
    return Raw(values, first, tidy_rate(found, rounding))
