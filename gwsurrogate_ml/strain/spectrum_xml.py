"""Noise spectra from LIGO_LW XML, as lal, pycbc, gstlal and GraceDB write them: one frequency series a detector."""

from __future__ import annotations

import lzma
import zlib
from pathlib import Path
from typing import Any
from xml.sax import SAXException

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.channels import owner
from gwsurrogate_ml.strain.spectrum_parts import FORMATS, Spectrum, in_double, kind_named, kind_of_unit

SERIES = ("REAL8FrequencySeries", "REAL4FrequencySeries")


def read_xml(path: Path) -> list[Spectrum]:
    """All real frequency series of a file, labelled with their detectors; compressed or not, whatever the suffix says.

    Frequencies are f0 + k deltaF: the first column of the array, which starts at 0 whatever f0 is, is not looked at.

    Raises
    ------
    DataError
        if the file is truncated or no LIGO_LW document, or holds no spectrum
    """
    from igwn_ligolw import ligolw
    from igwn_ligolw.utils import load_filename

    def handler(document: Any) -> Any:
        """Leave out everything else: old files hold tables whose types are no longer known."""
        return ligolw.PartialLIGOLWContentHandler(document, lambda name, attrs: name == "LIGO_LW" and attrs.get("Name") in SERIES)

    try:
        document = load_filename(str(path), contenthandler=handler)
        found = [elem for elem in document.getElementsByTagName("LIGO_LW") if elem.hasAttribute("Name") and elem.Name in SERIES]
        spectra = [spectrum for elem in found if (spectrum := _series(elem)) is not None]
    except (
        OSError,
        EOFError,
        SAXException,
        zlib.error,
        lzma.LZMAError,
        ligolw.ElementError,
        ValueError,
        TypeError,
        AttributeError,
        RuntimeError,
    ) as error:  # what a damaged document makes of the parser
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path.name} is truncated or no LIGO_LW file ({said:.200}); write or copy it again") from error
    if not spectra:
        raise DataError(
            f"{path.name} holds no {SERIES[0]}: it is no LIGO_LW file of spectra, perhaps one of triggers; read are {FORMATS}"
        )
    return spectra


def _series(elem: Any) -> Spectrum | None:
    """One series; None for an empty one, which stands for no data of a detector."""
    from igwn_ligolw import ligolw

    (array,) = elem.getElementsByTagName(ligolw.Array.tagName)
    values = in_double(np.asarray(array.array[1]), f"the series {array.Name}") * _factor(_attribute(array, "Unit"))
    if not values.size:
        return None
    axis = array.getElementsByTagName(ligolw.Dim.tagName)[0]
    first = _parameter(elem, "f0")
    start = _in_hz(_attribute(axis, "Start") or 0.0, axis) if first is None else _in_hz(first.value, first)
    step = _in_hz(axis.Scale, axis)
    detector = getattr(_parameter(elem, "instrument"), "value", None) or owner(array.Name)
    kind = kind_of_unit(str(_attribute(array, "Unit") or "")) or kind_named(array.Name)
    return Spectrum(start + step * np.arange(values.size), values, kind, detector, detector or array.Name)


def _parameter(elem: Any, name: str) -> Any:
    """A parameter of a series, None where it has none of that name."""
    from igwn_ligolw import ligolw

    try:
        return ligolw.Param.get_param(elem, name)
    except ValueError:
        return None


def _factor(unit: Any) -> float:
    """The power of ten in a unit."""
    import lal

    try:
        return 10.0 ** int(lal.Unit(str(unit)).powerOfTen) if unit else 1.0
    except RuntimeError:  # no unit of lal's
        return 1.0


def _attribute(elem: Any, name: str) -> Any:
    return getattr(elem, name) if elem.hasAttribute(name) else None


def _in_hz(value: Any, elem: Any) -> float:
    """A frequency in the unit that its element names; in Hz where it names none."""
    import lal

    unit = _attribute(elem, "Unit")
    return float(value) * (1.0 if unit is None else float(lal.Unit(str(unit)) / lal.HertzUnit))
