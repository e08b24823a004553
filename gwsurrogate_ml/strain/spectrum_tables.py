"""Noise spectra from tables in text, and from numpy's files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.channels import SITES, detector_named
from gwsurrogate_ml.strain.spectrum_parts import (
    FORMATS,
    FREQUENCY,
    KINDS,
    Spectrum,
    in_double,
    is_axis,
    kind_named,
    of_columns,
    pair,
)
from gwsurrogate_ml.strain.text_tables import UNREADABLE, read_table

DETECTORS = ("detector_names", "detectors", "ifos", "instruments")
"""Arrays that name the detectors of the rows of others."""


def read_text(path: Path) -> list[Spectrum]:
    """Spectra of a table: lines above the first row of numbers are its head, the last of them may name the columns.

    Raises
    ------
    DataError
        if it is no table, or its columns have no obvious meaning
    """
    try:
        table = read_table(path)
    except UNREADABLE as error:
        raise DataError(
            f"{path.name} is truncated or no table of frequency and ASD or PSD ({error}); read are {FORMATS}"
        ) from error
    return _of_table(table.values, path, table.names, table.above[-1] if table.above else "")


def _detectors_in(head: str) -> list[str]:
    """The detectors that a line names, in their order; none where one comes twice.

    Examples
    --------
    >>> _detectors_in("# Freq (Hz) LIGO Hanford PSD (1/Hz) LIGO Livingston PSD (1/Hz)")
    ['H1', 'L1']
    """
    words = "|".join(SITES)
    found = [SITES.get(word.lower(), word.upper()) for word in re.findall(rf"\b[GHKLV]1\b|{words}", head, re.IGNORECASE)]
    return found if len(set(found)) == len(found) else []


def _of_table(table: np.ndarray, path: Path, names: list[str], head: str = "") -> list[Spectrum]:
    """Spectra of a table (n, columns): two columns, frequency first; more where they are named; a median with its intervals."""
    if names and (axis := next((k for k, name in enumerate(names) if FREQUENCY.fullmatch(name)), 0)):
        order = [axis, *(k for k in range(len(names)) if k != axis)]
        table, names = table[:, order], [names[k] for k in order]
    if re.search(r"freq\w*[\W_]*kHz" if not names else "kHz", names[0] if names else head):
        table = table * np.r_[1000.0, np.ones(table.shape[1] - 1)]
    frequencies = table[:, 0]
    if table.shape[1] == 2:
        return [Spectrum(frequencies, table[:, 1], kind_named(names[1]) if names else "")]
    if names and table.shape[1] > 2 and (found := of_columns(dict(zip(["frequency", *names[1:]], table.T, strict=True)), path)):
        return found
    if len(named := _detectors_in(head)) == table.shape[1] - 1 > 1:
        return of_columns(dict(zip(["frequency", *named], table.T, strict=True)), path)
    if table.shape[1] in (4, 6) and _has_intervals(table):  # BayesWave's: the median, and the ends of its 50 % and 90 % intervals
        return [Spectrum(frequencies, table[:, 1])]
    if table.shape[1] == 3 and np.allclose(table[:, 2], table[:, 1] ** 2, rtol=1e-3, atol=0.0):
        return [Spectrum(frequencies, table[:, 1], "asd"), Spectrum(frequencies, table[:, 2], "psd")]
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
    except Exception as error:  # of numpy, zipfile, zlib or the tokenizer, as the damage is
        raise DataError(f"{path.name} is truncated or no numpy file ({error}); write or copy it again") from error
    if "" in content and content[""].dtype.names:
        content = {name: content[""][name] for name in content[""].dtype.names}
    if "" in content:
        array = content[""]
        if array.dtype.kind not in "fiu":
            raise DataError(f"{path.name}: the array is {array.dtype}, not real numbers; read are {FORMATS}")
        if array.ndim != 2 or 2 not in array.shape:
            raise DataError(f"{path.name} has the shape {array.shape}: needed is (n, 2) or (2, n), frequency (Hz) and ASD or PSD")
        return _of_table(in_double(array if array.shape[1] == 2 else array.T, path.name), path, [])
    if list(content) == ["arr_0", "arr_1"] and content["arr_0"].ndim == 1 and is_axis(content["arr_0"]):
        content = {"frequencies": content["arr_0"], "values": content["arr_1"]}
    found = of_columns(_by_detector(content), path) or _pairs(content, path)
    if not found:
        raise DataError(
            f"{path.name} has the arrays {', '.join(content) or 'none'}: needed are 'frequencies' (Hz) and 'psd' or 'asd', or one "
            "named after each detector, such as 'H1_psd'"
        )
    return found


def _pairs(content: dict[str, np.ndarray], path: Path) -> list[Spectrum]:
    """Arrays each of which holds its frequencies: one alone, or named after their detectors or kinds."""
    found = []
    for name, array in content.items():
        kind, detector = kind_named(name), detector_named(name)
        if (kind or detector or len(content) == 1) and (both := pair(array)):
            values = in_double(both[1], f"{path.name}: {name}")
            found.append(Spectrum(np.asarray(both[0], np.float64), values, kind, detector, name))
    return found


def _by_detector(content: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays (detectors, n) beside `detector_names` as one array a detector, as cogwheel's files hold them."""
    names = next((content[key] for key in DETECTORS if key in content), None)
    if names is None or names.dtype.kind not in "US":
        return content
    letters = [word.decode(errors="replace") if isinstance(word, bytes) else str(word) for word in np.atleast_1d(names)]
    letters = list(letters[0]) if len(letters) == 1 and letters[0].isalpha() else letters
    detectors = [f"{word}1" if len(word) == 1 else word for word in letters]
    apart: dict[str, np.ndarray] = {}
    for name, array in content.items():
        if name.lower().removesuffix("s") in KINDS and array.ndim == 2 and len(array) == len(detectors):
            apart |= {f"{detector}_{name}": row for detector, row in zip(detectors, array, strict=True)}
        else:
            apart[name] = array
    return apart
