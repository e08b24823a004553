"""Noise spectra from the files that the field exchanges, and which of several in one file is meant.

LIGO_LW XML (lal, pycbc, gstlal), HDF5 (pycbc, gwpy, PESummary), npy and npz, and tables in text (gwpy, BayesWave, GWTC-1).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.channels import prefix
from gwsurrogate_ml.strain.spectrum_hdf5 import read_hdf5
from gwsurrogate_ml.strain.spectrum_parts import FORMATS, KINDS, Spectrum
from gwsurrogate_ml.strain.spectrum_tables import read_numpy, read_text
from gwsurrogate_ml.strain.spectrum_xml import read_xml
from gwsurrogate_ml.strain.text_tables import first_bytes

HDF5 = (".hdf5", ".h5", ".hdf")


def read_spectra(path: Path) -> list[Spectrum]:
    """All spectra in a file, as they are: nothing is checked but the form.

    Parameters
    ----------
    path : Path
        ``.xml`` (also ``.gz``), ``.hdf .hdf5 .h5``, ``.npy .npz``, or another name and a file that begins as these do; anything
        else is a table in text, see `text_tables`

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
    name, begin = path.name.lower(), first_bytes(path)
    if name.endswith(HDF5) or begin.startswith(b"\x89HDF"):
        return read_hdf5(path)
    if name.endswith((".npy", ".npz")) or begin.startswith((b"\x93NUMPY", b"PK\x03\x04")):
        return read_numpy(path)
    if re.search(r"\.xml(\.gz|\.bz2|\.xz|gz)?$", name) or re.match(rb"\s*<(\?xml|!DOCTYPE|LIGO_LW)", begin):
        return read_xml(path)
    if begin.startswith(b"IGWD"):
        raise DataError(f"{path.name} is a frame file: spectra are not read from frames; read are {FORMATS}")
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
