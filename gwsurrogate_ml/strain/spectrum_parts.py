"""One spectrum as a file holds it, and what names of columns and units say of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.arguments import finite
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.channels import detector_named

KINDS = ("asd", "psd")
FORMATS = (
    "columns of frequency and ASD or PSD, as text, .csv or .npy; .npz with 'frequencies' and 'psd' or 'asd'; HDF5 by pycbc, gwpy "
    "or PESummary; LIGO_LW XML"
)
"""What is read, for messages."""
STEPS = ("delta_f", "df", "deltaF", "deltaf")
"""What programs call the spacing (Hz) of a series whose frequencies are not written out."""
BEGINS = ("f0", "x0")
"""What programs call the first frequency (Hz) of such a series."""
LOWEST = ("f_min", "fmin", "f_low", "flow", "f_lower", "f_start")
HIGHEST = ("f_max", "fmax", "f_high", "fhigh", "f_final", "f_nyquist")
"""Ends of a band (Hz), which the series may begin or end at, or reach beyond."""
COARSE = float(np.finfo(np.float32).tiny)
"""Single precision holds smaller numbers with few digits, or none."""
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
    by_pycbc : bool
        whether it lies there as pycbc's FrequencySeries.save writes single precision, in which it keeps spectra multiplied
    """

    frequencies: np.ndarray
    values: np.ndarray
    kind: str = ""
    detector: str | None = None
    label: str = ""
    by_pycbc: bool = False


def kind_named(text: str) -> str:
    """ "asd" or "psd" where `text` says one of them, else "".

    Examples
    --------
    >>> kind_named("H1_ASD.txt"), kind_named("H1.txt"), kind_named("power spectral density")
    ('asd', '', 'psd')
    """
    text = re.sub(r"(a)mplitude[\W_]+spectral[\W_]+density|(p)ower[\W_]+spectral[\W_]+density", r"\1\2sd", text.lower())
    named = [kind for kind in KINDS if kind in text]
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


def in_double(values: np.ndarray, where: str) -> np.ndarray:
    """Real values in double precision.

    Raises
    ------
    DataError
        if they are of single precision and too small for it, as PSDs are
    """
    if values.dtype.kind == "f" and values.dtype.itemsize < 8 and np.any((values != 0) & (np.abs(values) < COARSE)):
        raise DataError(
            f"{where} is of single precision, which loses the digits of numbers below 1e-38, as PSDs of strain are: write it in "
            "double precision, or as an ASD"
        )
    return np.asarray(values, np.float64)


def number(value: object, path: Path) -> float:
    """A frequency (Hz) that a file gives beside a spectrum; DataError where it is none."""
    try:
        return finite(value, f"{path.name}: a frequency", "Hz")
    except ConfigError as error:
        raise DataError(str(error)) from error


def spacing(value: object, path: Path) -> float:
    """As `number`, above zero."""
    if not (step := number(value, path)) > 0:
        raise DataError(f"{path.name}: the spacing of its frequencies is {step:g} Hz: it lies above 0, write the file again")
    return step


def is_spectral(name: str) -> bool:
    """Whether the name of a column, or the path of a dataset, is that of a spectrum or of frequencies.

    Examples
    --------
    >>> [is_spectral(name) for name in ("C01/psds/H1", "Frequency (Hz)", "H1:GDS-CALIB_STRAIN", "ASD Hanford")]
    [True, True, False, True]
    """
    said = re.search(r"[ap]sd|spectral|spectr(um|a)(?![a-z])", name.lower())
    return bool(said or FREQUENCY.fullmatch(name.rpartition("/")[2]))


def series_axis(said: Mapping[str, Any], values: np.ndarray, path: Path) -> np.ndarray | None:
    """Frequencies (n,), Hz, of values (n,) whose spacing is among the numbers that are said beside them; None where it is not.

    They begin at ``f0`` or ``x0``, else at 0 Hz; where the lower end of a band is said, as ``f_min``, at that one of the two from
    which they end at the upper end said, at half the rate, or, where neither is, at a power of two, as Nyquist frequencies are.

    Raises
    ------
    DataError
        if the begin is not to be told, or a frequency is said under a name that is not known

    Examples
    --------
    >>> series_axis({"df": 4.0, "f_min": 8.0, "f_max": 16.0}, np.ones(3), Path("x.npz"))
    array([ 8., 12., 16.])
    """
    if (step := next((spacing(said[key], path) for key in STEPS if key in said), None)) is None:
        return None
    grid = step * np.arange(len(values))
    if (key := next((key for key in BEGINS if key in said), None)) is not None:
        return number(said[key], path) + grid
    named = {key: value for key, value in said.items() if _is_number(value)}
    strange = [key for key in named if re.fullmatch(r"f\d+|f_\w+|f(req|start|begin|first|init|lo|bottom)\w*", key, re.IGNORECASE)]
    if strange := [key for key in strange if key.lower() not in (*LOWEST, *HIGHEST, *STEPS, "f_s", "f_ref")]:
        raise DataError(
            f"{path.name}: it is not known what {strange[0]} = {named[strange[0]]} says: call the first frequency f0, or write the "
            "frequencies out"
        )
    low = next((number(value, path) for key, value in named.items() if key.lower() in LOWEST), 0.0)
    good = np.flatnonzero(np.isfinite(values) & (values > 0)) if values.dtype.kind in "fiu" else np.arange(1)
    if low == 0 or (good.size and abs(grid[good[0]] - low) <= step and good[0] > 0):  # nothing, or a fill, below the band
        return grid
    high = next((number(value, path) for key, value in named.items() if key.lower() in HIGHEST), None)
    rate = next((number(named[key], path) for key in ("fs", "f_s", "sampling_frequency", "sample_rate") if key in named), None)
    ends = [end for end in (high, rate / 2 if rate else None) if end is not None]

    def fits(begin: float) -> bool:
        last = begin + grid[-1]
        return any(abs(end - last) < 1.5 * step for end in ends) if ends else bool(np.any(_is_power(last + step * np.arange(2))))

    found = [begin for begin in (0.0, low) if fits(begin)]
    if len(found) != 1:
        raise DataError(
            f"{path.name}: {len(values)} values {step:g} Hz apart may begin at 0 Hz, or at the {low:g} Hz that it names: say it as "
            "f0, or write the frequencies out"
        )
    return found[0] + grid


def _is_number(value: Any) -> bool:
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "fiu"


def _is_power(values: np.ndarray) -> np.ndarray:
    """Whether values are powers of two."""
    return np.frexp(values)[0] == 0.5


def is_axis(values: np.ndarray) -> bool:
    """Whether values are frequencies in order."""
    return bool(np.all(np.isfinite(values)) and values[0] >= 0 and np.all(np.diff(values) > 0))


def pair(array: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Frequencies and values of an array (n, 2) or (2, n); None where it is neither.

    Examples
    --------
    >>> pair(np.array([[10.0, 4e-46], [20.0, 1e-46], [30.0, 2e-46]]))[0]
    array([10., 20., 30.])
    """
    if array.ndim != 2 or 2 not in array.shape or array.dtype.kind not in "fiu" or array.size < 4:
        return None
    table = array.T if array.shape[1] == 2 else array
    return (table[0], table[1]) if is_axis(table[0]) else None


def of_columns(columns: dict[str, np.ndarray], path: Path) -> list[Spectrum]:
    """Spectra of named columns or arrays: one of them is the frequency, others with as many values are spectra.

    A column says by its name whose it is (``H1``, ``LIGO_Hanford_PSD``) and of which kind; one alone beside the frequency needs to
    say neither. Frequencies in kHz say so in their name; where there are none, see `series_axis`.

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
    axes = {name: _in_hz(name, array) for name, array in columns.items() if FREQUENCY.fullmatch(name) and array.size > 1}
    rest = {name: array for name, array in columns.items() if name not in axes and array.size > 1}
    said = {name: array.item() for name, array in columns.items() if array.size == 1}
    spectra = []
    for name, array in rest.items():
        kind, detector = kind_named(name), detector_named(name)
        axis = next((a for n, a in axes.items() if detector_named(n) == detector), next(iter(axes.values()), None))
        if axis is None and array.ndim:
            axis = series_axis(said, array, path)
        alone = axis is not None and sum(other.shape == axis.shape for other in rest.values()) == 1
        if axis is None or not (kind or detector or alone):
            continue
        if kind and (array.dtype.kind not in "fiu" or array.shape != axis.shape or axis.ndim != 1):
            raise DataError(
                f"{path.name}: {name} is {array.dtype} of shape {array.shape}, not real numbers, one for each of the frequencies "
                f"{axis.shape}: write it again, of one length"
            )
        if array.dtype.kind in "fiu" and array.shape == axis.shape and axis.ndim == 1:
            spectra.append(Spectrum(axis, in_double(array, f"{path.name}: {name}"), kind, detector, name))
    return spectra


def _in_hz(name: str, axis: np.ndarray) -> np.ndarray:
    return np.asarray(axis, np.float64) * (1000.0 if "kHz" in name else 1.0) if axis.dtype.kind in "fiu" else axis
