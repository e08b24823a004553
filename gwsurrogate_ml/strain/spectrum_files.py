"""Noise spectra from the files that the field exchanges, and which of several in one file is meant.

LIGO_LW XML (lal, pycbc, gstlal), HDF5 (pycbc, gwpy, PESummary), npy and npz, and tables in text (gwpy, BayesWave, GWTC-1).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.channels import detector_named, prefix

KINDS = ("asd", "psd")
FORMATS = (
    "columns of frequency and ASD or PSD, as text, .csv or .npy; .npz with 'frequencies' and 'psd' or 'asd'; HDF5 by pycbc, gwpy "
    "or PESummary; LIGO_LW XML"
)
"""What is read, for messages."""
FREQUENCY = re.compile(r"(.*[\W_])?(f|fs|freqs?|frequency|frequencies)([\W_].*)?", re.IGNORECASE)
"""Names of columns of frequencies."""
HDF5 = (".hdf5", ".h5", ".hdf")


@dataclass(frozen=True, eq=False)
class Spectrum:
    """One spectrum as a file holds it.

    Attributes
    ----------
    frequencies : (n,) Hz
    values : (n,) real
    kind : str
        "asd" or "psd"; "" where the file does not say
    detector : str or None
        whose, as files write it; None where the file does not say
    label : str
        its place in the file: a path in HDF5, the name of a column; empty where there is but one
    """

    frequencies: np.ndarray
    values: np.ndarray
    kind: str = ""
    detector: str | None = None
    label: str = ""


def read_spectra(path: Path) -> list[Spectrum]:
    """All spectra in a file, as they are: nothing is checked but the form.

    Parameters
    ----------
    path : Path
        ``.xml`` (also ``.gz``), ``.hdf .hdf5 .h5``, ``.npy .npz``; anything else is a table in text, of commas or white space,
        also ``.gz``

    Raises
    ------
    DataError
        if the file is truncated, or holds no spectrum in a form of FORMATS

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "H1.csv"
    >>> _ = path.write_text("frequency,asd\\n20,4e-23\\n40,1e-23\\n")
    >>> found, = read_spectra(path)
    >>> found.kind, found.values
    ('asd', array([4.e-23, 1.e-23]))
    """
    from gwsurrogate_ml.strain.spectrum_hdf5 import read_hdf5
    from gwsurrogate_ml.strain.spectrum_tables import read_numpy, read_text
    from gwsurrogate_ml.strain.spectrum_xml import read_xml

    name = path.name.lower()
    if name.endswith(HDF5):
        return read_hdf5(path)
    if name.endswith((".npy", ".npz")):
        return read_numpy(path)
    if re.search(r"\.xml(\.gz|\.bz2|\.xz)?$", name):
        return read_xml(path)
    return read_text(path)


def choose_spectrum(spectra: Sequence[Spectrum], path: Path, detector: str = "", place: str = "", kind: str = "") -> Spectrum:
    """The one spectrum that is meant.

    Parameters
    ----------
    spectra : what `read_spectra` gives
    path : Path
        for messages
    detector : str
        whose; empty: not said
    place : str
        label of the spectrum, or a part of its path; empty: not said
    kind : str
        "asd" or "psd", preferred where there are both; empty: not said

    Raises
    ------
    DataError
        if none is, several different ones may be, or the file is another detector's

    Examples
    --------
    >>> one, two = (Spectrum(np.arange(3.0), np.ones(3), "psd", name, name) for name in ("H1", "L1"))
    >>> choose_spectrum([one, two], Path("psd.xml"), "L1").label
    'L1'
    """
    pool = list(spectra)
    if place:
        pool = [s for s in pool if f"/{place.strip('/')}/" in f"/{s.label.strip('/')}/"]
        if not pool:
            raise DataError(f"{path.name} has no spectrum {place!r}; it has {_listed(spectra)}")
    if detector:
        own = [s for s in pool if s.detector == prefix(detector)]
        owners = {s.detector for s in pool}
        if not own and None not in owners:
            others = sorted(map(str, owners))
            raise DataError(
                f"{detector}: {path.name} holds the spectrum of {' and '.join(others)}, none of {detector}: give it as "
                f"{others[0]}={path.name}, and {detector} its own"
            )
        pool = own or [s for s in pool if s.detector is None]
    if kind and any(s.kind == kind for s in pool):
        pool = [s for s in pool if s.kind == kind]
    pool = _distinct(pool)
    if len(pool) == 1:
        return pool[0]
    owners = {s.detector for s in pool}
    if not detector and None not in owners and len(owners) == len(pool):
        remedy = f"say whose is meant: {pool[0].detector}={path.name}, in Python {{{pool[0].detector!r}: {path.name!r}}}"
    elif {s.kind for s in pool} == set(KINDS):
        remedy = f"an ASD or a PSD? give 'asd:{path.name}' or 'psd:{path.name}'"
    else:
        remedy = f"name the one meant, as in '{path.name}#{pool[0].label}'"
    raise DataError(f"{path.name} has {len(pool)} spectra that may be meant: {_listed(pool)}; {remedy}")


def _distinct(pool: Sequence[Spectrum]) -> list[Spectrum]:
    """Those that differ: releases repeat one PSD for each model, and tables give an ASD beside its PSD."""
    kept: list[Spectrum] = []
    for spectrum in sorted(pool, key=lambda s: s.kind != "psd"):
        if not any(_same(spectrum, other) for other in kept):
            kept.append(spectrum)
    return kept


def _same(one: Spectrum, other: Spectrum) -> bool:
    if one.frequencies.shape != other.frequencies.shape or not np.array_equal(one.frequencies, other.frequencies):
        return False
    first, second = (s.values**2 if s.kind == "asd" else s.values for s in (one, other))
    same = one.kind == other.kind or {one.kind, other.kind} == set(KINDS)
    return same and np.allclose(first, second, rtol=1e-6, atol=0.0, equal_nan=True)


def _listed(spectra: Sequence[Spectrum]) -> str:
    names = [s.label or str(s.detector) for s in spectra]
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def kind_named(text: str) -> str:
    """ "asd" or "psd" where `text` says one of them, else "".

    Examples
    --------
    >>> kind_named("H1_ASD.txt"), kind_named("H1.txt")
    ('asd', '')
    """
    named = [kind for kind in KINDS if kind in text.lower()]
    return named[0] if len(named) == 1 else ""


def kind_of_unit(unit: str) -> str:
    """Kind of a spectrum in a unit as gwpy or lal writes it; "" for a unit of neither.

    Examples
    --------
    >>> kind_of_unit("strain / Hz(1/2)"), kind_of_unit("1 / Hz"), kind_of_unit("s strain^2"), kind_of_unit("")
    ('asd', 'psd', 'psd', '')
    """
    if re.search(r"1/2|0\.5", unit):
        return "asd"
    return "psd" if re.search(r"Hz|strain\^?2", unit) else ""


def of_columns(columns: dict[str, np.ndarray], path: Path) -> list[Spectrum]:
    """Spectra of named columns or arrays: one of them is the frequency, others with as many values are spectra.

    A column says by its name whose it is (``H1``, ``LIGO_Hanford_PSD``) and of which kind; one alone beside the frequency needs to
    say neither.

    Raises
    ------
    DataError
        if one that is called ASD or PSD is not real numbers, or not as many as there are frequencies

    Examples
    --------
    >>> columns = {"freq": np.arange(3.0), "H1_psd": np.ones(3), "note": np.array("O3")}
    >>> [(s.label, s.kind, s.detector) for s in of_columns(columns, Path("x.npz"))]
    [('H1_psd', 'psd', 'H1')]
    """
    axes = {name: array for name, array in columns.items() if FREQUENCY.fullmatch(name)}
    rest = {name: array for name, array in columns.items() if name not in axes}
    spectra = []
    for name, array in rest.items():
        kind, detector = kind_named(name), detector_named(name)
        axis = next((a for n, a in axes.items() if detector_named(n) == detector), next(iter(axes.values()), None))
        if axis is None or not (kind or detector or len(rest) == 1):
            continue
        if kind and (array.dtype.kind not in "fiu" or array.shape != axis.shape or axis.ndim != 1):
            raise DataError(
                f"{path.name}: {name} is {array.dtype} of shape {array.shape}, not real numbers, one for each of the frequencies "
                f"{axis.shape}: write it again, of one length"
            )
        if array.dtype.kind in "fiu" and array.shape == axis.shape and axis.ndim == 1:
            spectra.append(Spectrum(np.asarray(axis, np.float64), np.asarray(array, np.float64), kind, detector, name))
    return spectra
