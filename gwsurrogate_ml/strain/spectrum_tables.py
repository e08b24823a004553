"""Noise spectra from tables in text, and from numpy's files."""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.channels import SITES
from gwsurrogate_ml.strain.spectrum_parts import FORMATS, KINDS, Spectrum, kind_named, of_columns
from gwsurrogate_ml.strain.tables import column_names


def read_text(path: Path) -> list[Spectrum]:
    """Spectra of a table: lines above the first row of numbers are its head, the last of them may name the columns.

    Raises
    ------
    DataError
        if it is no table, or its columns have no obvious meaning
    """
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig") as file:
            lines = [line for line in file.read().splitlines() if line.strip()]
        first = next((i for i, line in enumerate(lines) if _is_row(line)), len(lines))
        delimiter = "," if first < len(lines) and "," in lines[first] else None
        table = np.loadtxt(lines[first:], comments="#", delimiter=delimiter, ndmin=2) if first < len(lines) else None
    except (OSError, EOFError, ValueError, zlib.error) as error:  # a UnicodeDecodeError is a ValueError
        raise DataError(
            f"{path.name} is truncated or no table of frequency and ASD or PSD ({error}); read are {FORMATS}"
        ) from error
    if table is None:
        raise DataError(f"{path.name} is no table: it has no row of numbers; read are {FORMATS}")
    head = lines[first - 1] if first else ""
    return _of_table(table, path, column_names(head, delimiter, table.shape[1]), head)


def _is_row(line: str) -> bool:
    try:
        [float(word) for word in re.split(r"[,\s]+", line.strip().strip(","))]
    except ValueError:
        return False
    return True


def _detectors_in(head: str) -> list[str]:
    """The detectors that a line names, in their order; none where one comes twice.

    Examples
    --------
    >>> _detectors_in("# Freq (Hz) LIGO Hanford PSD (1/Hz) LIGO Livingston PSD (1/Hz)")
    ['H1', 'L1']
    """
    words = "|".join(SITES)
    found = [SITES.get(word.lower(), word) for word in re.findall(rf"\b[GHKLV]1\b|{words}", head, re.IGNORECASE)]
    return found if len(set(found)) == len(found) else []


def _of_table(table: np.ndarray, path: Path, names: list[str], head: str = "") -> list[Spectrum]:
    """Spectra of a table (n, columns), frequency first: two columns; more where they are named; a median with its intervals."""
    if table.shape[1] == 2:
        return [Spectrum(table[:, 0], table[:, 1], kind_named(names[1]) if names else "")]
    if names and table.shape[1] > 2 and (found := of_columns(dict(zip(["frequency", *names[1:]], table.T, strict=True)), path)):
        return found
    if len(named := _detectors_in(head)) == table.shape[1] - 1 > 1:
        return of_columns(dict(zip(["frequency", *named], table.T, strict=True)), path)
    if table.shape[1] in (4, 6) and _has_intervals(table):  # BayesWave's: the median, and the ends of its 50 % and 90 % intervals
        return [Spectrum(table[:, 0], table[:, 1])]
    listed = f": {', '.join(repr(name) for name in names)}" if names else ""
    raise DataError(
        f"{path.name} has {table.shape[1]} columns{listed}; needed are two columns, frequency (Hz) and ASD or PSD, or a head that "
        "names the detector of each, such as 'frequency H1 L1': write the one meant beside the frequency into a file of its own"
    )


def _has_intervals(table: np.ndarray) -> bool:
    lower, upper = table[:, 2::2], table[:, 3::2]
    median = table[:, 1:2]
    return bool(np.all(lower <= median) and np.all(median <= upper) and np.any(lower < upper))


def read_numpy(path: Path) -> list[Spectrum]:
    """Spectra of an array (n, 2) or (2, n), a structured array, or an archive of named arrays.

    Raises
    ------
    DataError
        if the file is truncated or no numpy file, or holds no spectrum
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        content = dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {"": loaded}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path.name} is truncated or no numpy file ({error}); write or copy it again") from error
    if "" in content and content[""].dtype.names:
        content = {name: content[""][name] for name in content[""].dtype.names}
    if "" in content:
        array = content[""]
        if array.dtype.kind not in "fiu":
            raise DataError(f"{path.name}: the array is {array.dtype}, not real numbers; read are {FORMATS}")
        if array.ndim != 2 or 2 not in array.shape:
            raise DataError(f"{path.name} has the shape {array.shape}: needed is (n, 2) or (2, n), frequency (Hz) and ASD or PSD")
        return _of_table(np.asarray(array if array.shape[1] == 2 else array.T, np.float64), path, [])
    found = of_columns(_by_detector(content), path)
    if not found:
        raise DataError(
            f"{path.name} has the arrays {', '.join(content) or 'none'}: needed are 'frequencies' (Hz) and 'psd' or 'asd', or one "
            "named after each detector, such as 'H1_psd'"
        )
    return found


def _by_detector(content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays (detectors, n) beside `detector_names` as one array a detector, as cogwheel's files hold them."""
    names = content.get("detector_names", content.get("detectors"))
    if names is None or names.dtype.kind not in "US":
        return content
    letters = [word.decode(errors="replace") if isinstance(word, bytes) else str(word) for word in np.atleast_1d(names)]
    letters = list(letters[0]) if len(letters) == 1 and letters[0].isalpha() else letters
    detectors = [f"{word}1" if len(word) == 1 else word for word in letters]
    apart: dict[str, np.ndarray] = {}
    for name, array in content.items():
        if name.lower() in KINDS and array.ndim == 2 and len(array) == len(detectors):
            apart |= {f"{detector}_{name}": row for detector, row in zip(detectors, array, strict=True)}
        else:
            apart[name] = array
    return apart
