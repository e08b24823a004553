"""Template banks as pycbc exchanges them: its HDF5, and LIGO_LW XML with a table sngl_inspiral.

pycbc's names are `mass1`, `mass2` (Msun, detector frame, in any order), `spin1z`, `spin2z`, `f_lower` (Hz) and `approximant`; in
LIGO_LW `f_lower` is the column `alpha6`, and pycbc takes all numbers in single precision. Source: pycbc.waveform.bank.TemplateBank.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.conventions import MTSUN_SI, chirp_mass_from_components, component_masses
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.files import whole_file, whole_hdf5

XML = (".xml", ".xml.gz", ".xmlgz")
HDF5 = (".hdf", ".hdf5", ".h5")
"""How the names of banks end that pycbc reads."""
NAMES = {"mass1": "mass_1", "mass2": "mass_2", "spin1z": "chi_1", "spin2z": "chi_2"}
"""pycbc's names and ours, in the order of the columns of a bank."""
OTHER_NAMES = {
    **{name: column for column, name in NAMES.items()},  # of this package's first format
    **{"m1": "mass1", "m2": "mass2", "mchirp": "chirp_mass", "mc": "chirp_mass", "eta": "symmetric_mass_ratio", "q": "mass_ratio"},
    **{name: f"spin{i}{axis}" for i in "12" for axis in "xyz" for name in (f"spin_{i}{axis}", f"s{i}{axis}", f"chi{i}{axis}")},
    **{"chi1": "spin1z", "chi2": "spin2z", "f_low": "f_lower", "f_min": "f_lower", "flow": "f_lower"},
}
"""What other programs call the columns."""
SUMMARIES = ("chi_eff", "chieff", "chi_r", "chi_reduced", "chi")
"""Columns of spins that do not say those of either body."""
IN_PLANE = ("spin1x", "spin1y", "spin2x", "spin2y")
ZERO = {
    **dict.fromkeys(IN_PLANE, "templates are waveforms of spins along the orbit: take precessing ones out of the bank"),
    **dict.fromkeys(("lambda1", "lambda2"), "templates are waveforms of black holes: take tidal ones out of the bank"),
    "eccentricity": "templates are waveforms of circular orbits: take eccentric ones out of the bank",
}
"""What must be zero where a bank has it."""
END = 0.65
"""Times the total mass, a frequency above all ringdowns: 0.13 for each m, up to 5; `f_final` is read as the template's end."""
KNOWN = (*NAMES, *ZERO, "f_lower", "chirp_mass", "mass_ratio", "symmetric_mass_ratio", *SUMMARIES)


def is_xml(path: Path) -> bool:
    """Whether the name is that of a LIGO_LW file."""
    return path.name.endswith(XML)


def read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Columns by pycbc's names, those of `KNOWN` that the file has, and the attributes of an HDF5 file.

    Returns
    -------
    columns : float64, (n,) each
    attributes : empty for LIGO_LW

    Raises
    ------
    DataError
        if there is no such file, or it is no bank
    """
    if not path.is_file():
        raise DataError(f"{path} is no template bank (there is no such file): give a bank in pycbc's HDF5 or in LIGO_LW")
    xml = re.search(r"\.xml(\.gz|\.bz2|\.xz|gz)?$", path.name.lower())
    columns, attributes = _read_xml(path) if xml else _read_hdf5(path)
    _add_masses(columns, path)
    if "f_lower" in attributes and "mass1" in columns:
        columns.setdefault("f_lower", np.full(columns["mass1"].shape, _number(attributes["f_lower"], path)))
    spins = [name for name in SUMMARIES if name in columns and np.any(columns.pop(name))]
    if spins and not {"spin1z", "spin2z"} & set(columns):
        raise DataError(f"{path} says spins by {spins[0]} alone: give those of both bodies, as spin1z and spin2z")
    if missing := [name for name in ("mass1", "mass2") if name not in columns]:
        raise DataError(
            f"{path} is no template bank (it has no {' and '.join(missing)}): give the masses of both bodies, in solar masses and "
            "the detector frame, under these names"
        )
    return columns, attributes


def _number(value: Any, path: Path) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: the attribute f_lower is {value!r:.60}, no frequency in Hz: write the bank anew") from error


def _add_masses(columns: dict[str, np.ndarray], path: Path) -> None:
    """Masses of both bodies, the heavier first, in place of a chirp mass and a mass ratio; without both, they stay as they are.

    A ratio is the heavier body's mass to the other's, or the other way round, throughout a bank: body 1 is the heavier one either
    way. A bank that has both ratios below and above 1 means one body throughout, which its spins do not say.
    """
    chirp, ratio = columns.pop("chirp_mass", None), columns.pop("mass_ratio", None)
    eta = columns.pop("symmetric_mass_ratio", None)
    shapes = {column.shape for column in (chirp, ratio, eta) if column is not None}
    if "mass1" in columns or chirp is None or (ratio is None and eta is None) or len(shapes) > 1:
        return
    if ratio is None:
        eta = np.asarray(eta)
        if np.any(eta > 0.25 + 1e-6):
            raise DataError(
                f"{path} has a symmetric mass ratio of {eta.max():g}, above 1/4, which no masses have: write the bank anew"
            )
        root = np.sqrt(np.maximum(1 - 4 * eta, 0.0))
        ratio = (1 - root) / (1 + root)
    spins_differ = any(np.any(columns.get(f"spin1{axis}", 0) != columns.get(f"spin2{axis}", 0)) for axis in "xyz")
    if spins_differ and np.any(ratio < 1 - 1e-6) and np.any(ratio > 1 + 1e-6):
        raise DataError(
            f"{path} has mass ratios from {ratio.min():g} to {ratio.max():g}, below 1 and above: whose the spins are is not said; "
            "give the masses of both bodies, as mass1 and mass2"
        )
    columns["mass1"], columns["mass2"] = component_masses(chirp, np.minimum(ratio, 1 / ratio))


def _read_hdf5(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    import h5py

    try:
        with h5py.File(path) as file:
            named = {name: group[name] for group in _groups(file) for name in group if isinstance(group[name], h5py.Dataset)}
            found = {OTHER_NAMES.get(name, name): item for name, item in named.items() if OTHER_NAMES.get(name) not in named}
            columns = {name: np.asarray(found[name], np.float64) for name in KNOWN if name in found}
            return columns, dict(file.attrs)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} is no template bank ({error}): give one in pycbc's HDF5, or in LIGO_LW as .xml or .xml.gz"
        ) from error


def _groups(file: Any) -> list[Any]:
    """The file, and its one group where all lies there."""
    import h5py

    inside = [item for item in file.values() if isinstance(item, h5py.Group)]
    return [file, *inside] if len(inside) == len(file) == 1 else [file]


def _read_xml(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    from igwn_ligolw import lsctables
    from igwn_ligolw import utils as ligolw_utils
    from pycbc.io.ligolw import LIGOLWContentHandler  # takes ids of old files, too

    try:
        document = ligolw_utils.load_filename(str(path), contenthandler=LIGOLWContentHandler)
        table = lsctables.SnglInspiralTable.get_table(document)
        stored = {{"alpha6": "f_lower"}.get(name, name): name for name in table.columnnames}
        columns = {name: np.array(table.getColumnByName(stored[name]), np.float64) for name in KNOWN if name in stored}
    except Exception as error:  # of the parser or the decompressor, as the damage is
        raise DataError(
            f"{path} is no template bank ({type(error).__name__}: {str(error)[:100]}): give LIGO_LW XML with a table sngl_inspiral"
        ) from error
    return columns, {}


def binaries(columns: Mapping[str, np.ndarray], where: str) -> np.ndarray:
    """Parameters (n, 4) float64, mass_1 >= mass_2 (Msun), chi_1, chi_2, of columns by pycbc's names; missing spins are zero.

    Raises
    ------
    DataError
        naming what no bank of aligned spins has; the message begins with `where`
    """
    shapes = {column.shape for column in columns.values()}
    if len(shapes) != 1 or len(shape := shapes.pop()) != 1:
        raise DataError(f"{where} holds columns of different lengths: write the bank anew")
    if not shape[0]:
        raise DataError(f"{where} holds no templates: write the bank anew")
    for name, column in columns.items():
        if not np.isfinite(column).all():
            raise DataError(f"{where} holds values of {name} that are not finite: write the bank anew")
    for name, remedy in ZERO.items():
        if name in columns and (some := np.flatnonzero(columns[name])).size:
            raise DataError(f"{where}: template {some[0]} has {name} = {columns[name][some[0]]:g}, {some.size} have such; {remedy}")
    zero = np.zeros(shape)
    m_1, m_2, chi_1, chi_2 = (columns.get(name, zero) for name in NAMES)
    if not (np.minimum(m_1, m_2) > 0).all():
        raise DataError(f"{where} holds templates whose masses are not above zero: write the bank anew")
    swap = m_1 < m_2
    found = np.column_stack([m_1, m_2, chi_1, chi_2])
    found[swap] = found[swap][:, [1, 0, 3, 2]]
    return found


def lower_end(columns: Mapping[str, np.ndarray], given: float | None, where: str) -> float:
    """The bank's `f_lower` (Hz), or the one `given`.

    Raises
    ------
    ConfigError
        if none is given, and the bank has none or several
    """
    if given is not None:
        return given
    values = np.unique(columns.get("f_lower", np.zeros(1)))
    if values.size > 1:
        raise ConfigError(
            f"{where} has templates from f_lower = {values[0]:g} to {values[-1]:g} Hz: a search has one, choose it by --f-min"
        )
    if not values[0] > 0:
        raise ConfigError(f"{where} does not say where its templates begin (f_lower): give --f-min")
    return float(values[0])


def write_hdf5(path: Path, parameters: np.ndarray, f_min: float, approximant: str, attributes: Mapping[str, Any]) -> None:
    """Write pycbc's HDF5, whole or not at all, with `attributes` of our own; an empty `approximant` is left to the reader."""
    import h5py

    names = [*NAMES, "f_lower", *(["approximant"] if approximant else [])]
    with whole_hdf5(path) as file:
        file.attrs.update(attributes)
        file.attrs["parameters"] = names
        for name, column in zip(NAMES, parameters.T, strict=True):
            file[name] = column
        file["f_lower"] = np.full(len(parameters), f_min)
        if approximant:
            file.create_dataset("approximant", data=[approximant] * len(parameters), dtype=h5py.string_dtype())


def write_ligolw(path: Path, parameters: np.ndarray, f_min: float) -> None:
    """Write LIGO_LW XML, whole or not at all; it names no approximant, pycbc takes ``--approximant``.

    Raises
    ------
    ConfigError
        for a suffix other than those of `XML`
    """
    from igwn_ligolw import ligolw, lsctables
    from igwn_ligolw import utils as ligolw_utils
    from pycbc.io.ligolw import return_empty_sngl

    from gwsurrogate_ml.artifacts import package_versions

    if not is_xml(path):
        raise ConfigError(f"{path}: a bank in LIGO_LW is named .xml or .xml.gz")
    document = ligolw.Document()
    document.appendChild(ligolw.LIGO_LW())
    process = document.register_process("gwsml", {}, version=package_versions()["gwsurrogate-ml"])
    table = lsctables.SnglInspiralTable.new()
    document.childNodes[0].appendChild(table)
    for i, (m_1, m_2, chi_1, chi_2) in enumerate(parameters.tolist()):
        row = return_empty_sngl()  # pycbc reads all columns
        row.process_id, row.event_id = process.process_id, i
        row.mass1, row.mass2, row.spin1z, row.spin2z, row.alpha6 = m_1, m_2, chi_1, chi_2, f_min
        row.mtotal, row.eta = m_1 + m_2, m_1 * m_2 / (m_1 + m_2) ** 2
        row.mchirp = float(chirp_mass_from_components(m_1, m_2))
        row.f_final = END / ((m_1 + m_2) * MTSUN_SI)
        table.append(row)
    process.set_end_time_now()
    with whole_file(path) as temporary:
        ligolw_utils.write_filename(
            document, str(temporary), compress="gz" if path.name.endswith("gz") else False, with_mv=False, trap_signals=None
        )
