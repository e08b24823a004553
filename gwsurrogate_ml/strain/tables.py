"""Strain from text and numpy files: one column of samples, or two, GPS time and strain."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from gwsurrogate_ml.arguments import finite, positive
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.channels import (
    NO_TIMES,
    STRAIN,
    Raw,
    choose,
    detector_named,
    owner,
    prefix,
    require_owner,
    tidy_rate,
    times_of_bare,
)

TIME = re.compile(r"(gps|time|times|t)([\W_].*)?", re.IGNORECASE)
"""Names of columns of times."""


def read_text(path: Path, detector: str, channel: str | None, rate: float | None, start: float | None) -> Raw:
    """A table of numbers; lines from # on are comments, and one row of column names above it says which is the strain.

    Raises
    ------
    DataError
        if it is no such table, or its strain is not to be told
    ConfigError
        if nothing says the times
    """
    opener = gzip.open if path.name.endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig") as file:
            header, rows = _opening(file)
            head = bool(rows) and _is_head(rows[0][1])
            if len(rows) <= head:
                raise ValueError("it has no row of numbers")
            file.seek(0)
            delimiter = "," if "," in rows[-1][1] else None
            skipped = rows[0][0] + 1 if head else 0
            table = np.loadtxt(file, comments="#", delimiter=delimiter, ndmin=2, skiprows=skipped)
    except (OSError, ValueError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(
            f"{detector}: {path.name} is not a table of numbers, or truncated ({error}); write or copy it again"
        ) from error
    above = rows[0][1] if head else (header.splitlines() or [""])[-1]
    table = _columns_of(table, column_names(above, delimiter, table.shape[1]), path, detector, channel)
    if table.shape[1] == 1:
        # GWOSC's text files say both in their header.
        if rate is None and (match := re.search(r"(\d+(?:\.\d+)?) samples per second", header)):
            rate = float(match[1])
        if start is None and (match := re.search(r"starting GPS (\d+(?:\.\d+)?)", header)):
            start = float(match[1])
    return _from_columns(table, path, detector, rate, start)


def column_names(head: str, delimiter: str | None, n: int) -> list[str]:
    """Names of `n` columns in the line above the first row; empty where it does not name each.

    Examples
    --------
    >>> column_names("# GPS time (s),H1", ",", 2), column_names("two words  H1", None, 2), column_names("a title", None, 3)
    (['GPS time (s)', 'H1'], ['two words', 'H1'], [])
    """
    head = head.strip().lstrip("#").strip()
    for names in (
        [name.strip() for name in head.split(",")] if delimiter else head.split(),
        re.split(r"\s{2,}|\t", head),
    ):
        if len(names) == n and all(names):
            return names
    return []


def _columns_of(table: np.ndarray, names: list[str], path: Path, detector: str, channel: str | None) -> np.ndarray:
    """Of a table (n, columns) the times, where it has them, and the detector's strain: (n, 2) or (n, 1)."""
    if not names:
        if channel is not None:
            raise ConfigError(f"{detector}: the columns of {path.name} have no names, {channel!r} is none of them: leave it out")
        return table
    owners = {name: owner(name) or detector_named(name) for name in names}
    time = next((k for k, name in enumerate(names) if TIME.fullmatch(name)), None)
    if time is None and table.shape[1] > 1 and owners[names[0]] is None and not STRAIN.search(names[0]):
        time = 0
    strains = {name: owners[name] for k, name in enumerate(names) if k != time}
    if len(strains) == 1 and channel is None:
        ((chosen, of),) = strains.items()
        require_owner(of or prefix(detector), path, detector, chosen)
    else:
        chosen = choose(strains, path, detector, channel)
    return table[:, [names.index(chosen)] if time is None else [time, names.index(chosen)]]


def _opening(file: Iterable[str]) -> tuple[str, list[tuple[int, str]]]:
    """Comments before the second row, in one string, and at most two rows with their line numbers."""
    comments, rows = [], []
    for number, line in enumerate(file):
        if line.startswith("#"):
            comments.append(line)
        elif line.strip():
            rows.append((number, line))
        if len(rows) == 2:
            break
    return "".join(comments), rows


def _is_head(line: str) -> bool:
    """Whether a row holds names of columns: no field is a number. A damaged row of numbers is none, and is not passed over."""
    return not any(_is_number(field) for field in re.split(r"[,;\s]+", line.strip()))


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def read_numpy(path: Path, detector: str, rate: float | None, start: float | None) -> Raw:
    """An npy of one or two columns (or rows), or an npz with `strain` and its times."""
    try:
        loaded = np.load(path, allow_pickle=False)
        content = dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {"strain": loaded}
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{detector}: {path.name} is truncated or no numpy file ({error}); copy it again") from error
    except Exception as error:  # zipfile.BadZipFile of a truncated npz
        raise DataError(f"{detector}: {path.name} is truncated or no npz file ({error}); copy it again") from error
    if "strain" not in content:
        raise DataError(f"{detector}: {path.name} has no array 'strain' (arrays: {', '.join(content) or 'none'})")
    strain = np.asarray(content["strain"])
    if strain.dtype.kind not in "fiu":
        raise DataError(f"{detector}: 'strain' of {path.name} is {strain.dtype}, not real numbers; give strain in the time domain")
    if "times" in content:
        times = np.asarray(content["times"])
        if times.dtype.kind not in "fiu" or times.shape != strain.shape or strain.ndim != 1:
            raise DataError(
                f"{detector}: times of {path.name} are {times.dtype} of shape {times.shape}, strain has {strain.shape}; give "
                "one time in GPS s for each sample"
            )
        strain = np.stack([times, strain], axis=1)
    elif strain.ndim == 1:
        strain = strain[:, None]
    elif strain.ndim == 2 and strain.shape[0] == 2:
        strain = strain.T
    if "sampling_frequency" in content:
        rate = positive(_scalar(content["sampling_frequency"]), f"{detector}: sampling_frequency of {path.name}", "Hz")
    if "start_time" in content:
        start = finite(_scalar(content["start_time"]), f"{detector}: start_time of {path.name}", "GPS s")
    return _from_columns(strain, path, detector, rate, start)


def _scalar(array: np.ndarray) -> object:
    """What an array of one element holds; an array of more, or of words, as it is, for the message."""
    return array.item() if array.size == 1 else array


def _from_columns(table: np.ndarray, path: Path, detector: str, rate: float | None, start: float | None) -> Raw:
    if table.ndim != 2 or table.shape[1] not in (1, 2) or len(table) < 2:
        raise DataError(f"{detector}: {path.name} holds an array of shape {table.shape}; give (n, 1) strain or (n, 2) time, strain")
    if table.shape[1] == 1:
        rate, start = times_of_bare(path, len(table), rate, start)
        if rate is None or start is None:
            raise ConfigError(f"{detector}: {path.name} holds strain without times: {NO_TIMES}")
        return Raw(table[:, 0], start, rate)
    times = table[:, 0].astype(np.float64)
    found = (len(times) - 1) / (times[-1] - times[0]) if times[-1] > times[0] else np.nan
    # Printed times are rounded: allow a tenth of a sample (and float64's 2e-7 s at GPS 1e9) about the uniform grid.
    if not np.isfinite(found) or np.max(np.abs(times - times[0] - np.arange(len(times)) / found)) > 0.1 / found + 1e-6:
        raise DataError(
            f"{detector}: times in {path.name} are not uniformly spaced; fill gaps with NaN strain, or give one file a stretch"
        )
    return Raw(table[:, 1], float(times[0]), tidy_rate(found))
