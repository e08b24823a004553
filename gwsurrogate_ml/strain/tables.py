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
from gwsurrogate_ml.strain.channels import Raw, tidy_rate


def read_text(path: Path, detector: str, rate: float | None, start: float | None) -> Raw:
    """A table of numbers; lines from # on are comments, and one row of column names is passed over."""
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
        raise DataError(f"{detector}: {path.name} is not a table of numbers ({error})") from error
    if table.shape[1] == 1:
        # GWOSC's text files say both in their header.
        if rate is None and (match := re.search(r"(\d+(?:\.\d+)?) samples per second", header)):
            rate = float(match[1])
        if start is None and (match := re.search(r"starting GPS (\d+(?:\.\d+)?)", header)):
            start = float(match[1])
    return _from_columns(table, path, detector, rate, start)


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
    return " ".join(comments), rows


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
        raise DataError(f"{detector}: cannot read {path.name}, it is truncated or no numpy file ({error})") from error
    except Exception as error:  # zipfile.BadZipFile of a truncated npz
        raise DataError(f"{detector}: cannot read {path.name}, it is truncated or no npz file ({error})") from error
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
        if rate is None or start is None:
            raise ConfigError(
                f"{detector}: {path.name} holds strain without times: in Python give sampling_frequency and start_time to "
                "StrainData.from_files; the command line needs them in the file, as a column of GPS times or in an npz"
            )
        return Raw(table[:, 0], start, rate)
    times = table[:, 0].astype(np.float64)
    found = (len(times) - 1) / (times[-1] - times[0]) if times[-1] > times[0] else np.nan
    # Printed times are rounded: allow a tenth of a sample (and float64's 2e-7 s at GPS 1e9) about the uniform grid.
    if not np.isfinite(found) or np.max(np.abs(times - times[0] - np.arange(len(times)) / found)) > 0.1 / found + 1e-6:
        raise DataError(f"{detector}: times in {path.name} are not uniformly spaced; resample or fill gaps with NaN strain")
    return Raw(table[:, 1], float(times[0]), tidy_rate(found))
