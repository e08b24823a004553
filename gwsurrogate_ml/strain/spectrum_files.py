"""Files of noise spectra: tables, npy and npz arrays, and the frequency series that pycbc and gwpy write to HDF5."""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.read import HDF5_SUFFIXES

if TYPE_CHECKING:
    import h5py

KINDS = ("asd", "psd")
FORMATS = (
    "two columns, frequency and ASD or PSD, as text, .csv or .npy; .npz with 'frequencies' and 'psd' or 'asd'; HDF5 with one "
    "FrequencySeries of pycbc or gwpy"
)
"""What is read, for messages."""


class Spectrum(NamedTuple):
    """What a file holds: `frequencies` (n,) in Hz, and by kind, "asd", "psd" or "" where the file does not say, the values (n,)."""

    frequencies: np.ndarray
    values: dict[str, np.ndarray]


def read_spectrum(path: Path) -> Spectrum:
    """The spectrum in a file, as it is: nothing is checked but its form.

    Parameters
    ----------
    path : Path
        ``.npy``, ``.npz``, ``.hdf .hdf5 .h5``; anything else is a table in text, of commas or white space, also ``.gz``

    Raises
    ------
    DataError
        if the file cannot be read as FORMATS says, or holds more than one spectrum

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "H1.csv"
    >>> _ = path.write_text("frequency,asd\\n20,4e-23\\n40,1e-23\\n")
    >>> read_spectrum(path).values
    {'asd': array([4.e-23, 1.e-23])}
    """
    name = path.name.lower()
    if name.endswith(HDF5_SUFFIXES):
        return _read_hdf5(path)
    if name.endswith((".npy", ".npz")):
        return _read_numpy(path)
    return _read_text(path)


def kind_named(text: str) -> str:
    """ "asd" or "psd" where `text` says one of them, else "".

    Examples
    --------
    >>> kind_named("H1_ASD.txt"), kind_named("H1.txt")
    ('asd', '')
    """
    named = [kind for kind in KINDS if kind in text.lower()]
    return named[0] if len(named) == 1 else ""


def _read_text(path: Path) -> Spectrum:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig") as file:
            lines = [line for line in file.read().splitlines() if line.strip()]
        first = next((i for i, line in enumerate(lines) if _is_row(line)), len(lines))
        delimiter = "," if first < len(lines) and "," in lines[first] else None
        table = np.loadtxt(lines[first:], comments="#", delimiter=delimiter, ndmin=2) if first < len(lines) else None
    except (OSError, EOFError, ValueError, zlib.error) as error:  # a UnicodeDecodeError is a ValueError
        raise DataError(f"{path.name} is no table of frequency and ASD or PSD ({error}); read are {FORMATS}") from error
    if table is None:
        raise DataError(f"{path.name} is no table: it has no row of numbers; read are {FORMATS}")
    names = _column_names(lines[first - 1] if first else "", delimiter, table.shape[1])
    return _from_table(table, path, names)


def _is_row(line: str) -> bool:
    try:
        [float(word) for word in re.split(r"[,\s]+", line.strip().strip(","))]
    except ValueError:
        return False
    return True


def _column_names(head: str, delimiter: str | None, n: int) -> list[str]:
    """Names of the `n` columns in the line above the first row; empty where it does not name each."""
    head = head.strip().lstrip("#").strip()
    for names in (
        [name.strip() for name in head.split(",")] if delimiter else head.split(),
        re.split(r"\s{2,}|\t", head),
    ):
        if len(names) == n and all(names):
            return names
    return []


def _from_table(table: np.ndarray, path: Path, names: list[str]) -> Spectrum:
    """A table (n, 2); another number of columns has no obvious meaning."""
    if table.shape[1] != 2:
        listed = f": {', '.join(repr(name) for name in names)}" if names else ""
        raise DataError(
            f"{path.name} has {table.shape[1]} columns{listed}; needed are two columns, frequency (Hz) and ASD or PSD: write the "
            "one meant beside the frequency into a file of its own, one file a detector"
        )
    return Spectrum(table[:, 0], {kind_named(names[1]) if names else "": table[:, 1]})


def _read_numpy(path: Path) -> Spectrum:
    try:
        loaded = np.load(path, allow_pickle=False)
        content = dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {"": loaded}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path.name} is truncated or no numpy file ({error}); write or copy it again") from error
    for key, array in content.items():
        if array.dtype.kind not in "fiu" and key in ("", "frequencies", *KINDS):
            raise DataError(f"{path.name}: {key or 'the array'} is {array.dtype}, not real numbers; read are {FORMATS}")
    if "" in content:
        array = np.asarray(content[""], np.float64)
        if array.ndim != 2 or 2 not in array.shape:
            raise DataError(f"{path.name} has the shape {array.shape}: needed is (n, 2) or (2, n), frequency (Hz) and ASD or PSD")
        return _from_table(array if array.shape[1] == 2 else array.T, path, [])
    found = {kind: np.asarray(content[kind], np.float64) for kind in KINDS if kind in content}
    if "frequencies" not in content or not found:
        raise DataError(
            f"{path.name} has the arrays {', '.join(content) or 'none'}: needed are 'frequencies' (Hz) and 'psd' or 'asd'"
        )
    return Spectrum(np.asarray(content["frequencies"], np.float64), found)


def _read_hdf5(path: Path) -> Spectrum:
    import h5py

    series: dict[str, Spectrum] = {}
    names: list[str] = []

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            names.append(name)
            if (spectrum := _frequency_series(item)) is not None:
                series[name] = spectrum

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise DataError(f"{path.name} is truncated or no HDF5 file ({error}); write or copy it again") from error
    if len(series) != 1:
        what = f"{len(series)} frequency series: {', '.join(series)}" if series else f"none ({', '.join(names[:8]) or 'empty'})"
        raise DataError(
            f"{path.name} has {what}; needed is one FrequencySeries, as pycbc's `save` or gwpy's `write` makes it: write the one "
            "meant into a file of its own, one file a detector"
        )
    return next(iter(series.values()))


def _frequency_series(dataset: h5py.Dataset) -> Spectrum | None:
    """A dataset of pycbc's (`delta_f`) or gwpy's (`x0`, `dx` in Hz), or None where it is neither."""
    attributes = dataset.attrs
    if dataset.ndim != 1 or dataset.dtype.kind not in "fiu":
        return None
    if "delta_f" in attributes:
        first, step = 0.0, float(attributes["delta_f"])
    elif "dx" in attributes and str(attributes.get("xunit", "")) == "Hz":
        first, step = float(attributes.get("x0", 0.0)), float(attributes["dx"])
    else:
        return None
    values = np.asarray(dataset[()], np.float64)
    kind = _kind_of_unit(str(attributes.get("unit", ""))) or kind_named(dataset.name)
    return Spectrum(first + step * np.arange(values.size), {kind: values})


def _kind_of_unit(unit: str) -> str:
    """Kind of a spectrum in the unit that gwpy writes, such as "strain / Hz(1/2)"; "" for a unit of neither."""
    if "Hz" not in unit:
        return ""
    return "asd" if "1/2" in unit or "0.5" in unit else "psd"
