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
from gwsurrogate_ml.strain.spectrum_files import FORMATS, Spectrum, kind_named, kind_of_unit

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
    import lal.series
    from igwn_ligolw import ligolw

    parsed = getattr(lal.series, f"parse_{elem.Name}")(elem)
    values = np.asarray(parsed.data.data, np.float64)
    if not values.size:
        return None
    try:
        detector = str(ligolw.Param.get_param(elem, "instrument").value)
    except ValueError:  # it has no such parameter
        detector = owner(parsed.name) or ""
    kind = kind_of_unit(str(parsed.sampleUnits)) or kind_named(parsed.name)
    return Spectrum(parsed.f0 + parsed.deltaF * np.arange(values.size), values, kind, detector or None, detector or parsed.name)
