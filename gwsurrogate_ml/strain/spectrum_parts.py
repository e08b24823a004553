"""One spectrum as a file holds it, and what names of columns and units say of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.channels import detector_named

KINDS = ("asd", "psd")
FORMATS = (
    "columns of frequency and ASD or PSD, as text, .csv or .npy; .npz with 'frequencies' and 'psd' or 'asd'; HDF5 by pycbc, gwpy "
    "or PESummary; LIGO_LW XML"
)
"""What is read, for messages."""
FREQUENCY = re.compile(r"(.*[\W_])?(f|fs|freqs?|frequency|frequencies)([\W_].*)?", re.IGNORECASE)
"""Names of columns of frequencies."""


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
