"""Reader for the LVCNR exchange format and RIT's and MAYA's variants of it, into `data_prep.nr.NRWaveform`.

Schmidt, Harry, Pfeiffer 2017, arXiv:1703.01076: every mode is stored as two splines, ``amp_l2_m2`` and ``phase_l2_m2``, each with
knots X, values Y and degree deg. Format 1 has modes and attributes, 2 adds spins and the orbital frequency over time, 3 also the
remnant over time. RIT's extrapolated strain has the same modes and no attributes: its parameters come from a metadata file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.interpolate import InterpolatedUnivariateSpline

from data_prep import metadata
from data_prep.nr import NRWaveform, canonical
from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.errors import DataError

FORMATS = (1, 2, 3)


def read_lvcnr(
    path: Path,
    step: float = 0.25,
    align: bool = True,
    *,
    table: Mapping[str, Any] | None = None,
    code: str | None = None,
    cut_junk: bool = False,
) -> NRWaveform:
    """A simulation in the LVCNR format: every mode stored as reduced-order splines of amplitude and phase.

    Parameters
    ----------
    path : Path
        HDF5 file
    step : float, M
        uniform step of the result over the time that all modes cover
    align : bool
        put the peak of |h22| at t = 0; False keeps the file's times, for a fragment without a merger
    table : mapping, optional
        parameters, see `metadata.parse`; they come before the file's attributes
    code : str, optional
        name of the simulation code; the attribute ``NR-code`` where not given
    cut_junk : bool
        the relaxation time counts from the file's first sample and what lies before it is cut (RIT). The format itself
        asks of authors that they cut junk radiation before they write.

    Returns
    -------
    NRWaveform; `meta` holds the file's attributes and its `mass_sum`

    Raises
    ------
    DataError
        if the file is missing, truncated or foreign, lacks masses, spins, (2,2), half of a mode, or, with `align`, the
        merger; if knots do not increase or are no numbers; if a parameter is not physical
    """
    attributes, splines, remnant = _open(path)
    if (2, 2) not in splines:
        raise DataError(f"{path} has no mode (2, 2): it holds {sorted(splines)}; leave it out")
    ends = np.array([s.get_knots()[[0, -1]] for pair in splines.values() for s in pair])
    start, stop = ends[:, 0].max(), ends[:, 1].min()
    t = start + step * np.arange(int((stop - start) / step) + 1)
    modes = {key: amplitude(t) * np.exp(1j * phase(t)) for key, (amplitude, phase) in splines.items()}
    found = metadata.parse(attributes | remnant | dict(table or {}), str(path))
    relaxation = found.relaxation_time
    note = attributes | {} if found.mass_sum is None else attributes | {"mass_sum": found.mass_sum}
    name = str(attributes.get("name", path.stem))
    try:
        return canonical(
            name,
            code or str(attributes.get("NR-code", "unknown")),
            found.masses,
            found.spins,
            found.eccentricity,
            t,
            modes,
            note | {"file": path.name},
            align,
            clockwise=found.clockwise,
            relaxation_time=t[0] + relaxation if cut_junk and relaxation is not None else None,
            remnant_mass=found.remnant_mass,
            remnant_spin=found.remnant_spin,
            resolution=metadata.resolution(path.stem)[1] or metadata.resolution(name)[1],
        )
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def read_rit(path: Path, table: Mapping[str, Any] | None = None, step: float = 0.25) -> NRWaveform:
    """RIT's extrapolated strain (``ExtrapStrain_RIT-BBH-0001-n100.h5``), junk cut at the relaxed time.

    Parameters
    ----------
    path : Path
    table : mapping, optional
        the run's row of RIT's table; without it, the metadata file beside `path`, ``RIT*BBH*0001-n100*etadata.txt``
    step : float, M

    Raises
    ------
    DataError
        as `read_lvcnr`, or if no metadata file lies beside `path`
    """
    if table is None:
        table = metadata.read(sidecar(path))
    return read_lvcnr(path, step, table=table, code=str(table.get("code", "LazEv")), cut_junk=True)


def sidecar(path: Path, own_json: bool = True) -> Path:
    """The metadata file beside a waveform: its own name with .json or .txt, or RIT's, or ``metadata.json``.

    SXS waveforms have a json of their own name that is half of the waveform: `own_json=False` passes it over.

    Raises
    ------
    DataError
        if there is none
    """
    number = re.search(r"e?BBH.\d+-n\d+", path.stem)
    patterns = [f"{path.stem}.json"] * own_json + [f"{path.stem}.txt"]
    patterns += [f"*{number[0].replace('-', '?')}*etadata.txt"] if number else []
    patterns += ["metadata.json", "metadata.txt"]
    for pattern in patterns:
        if matches := sorted(path.parent.glob(pattern)):
            return matches[0]
    raise DataError(f"{path} has no metadata beside it: put one of {patterns} there, with masses and spins")


def _open(path: Path) -> tuple[dict[str, Any], dict[ModeKey, list[InterpolatedUnivariateSpline]], dict[str, Any]]:
    """Attributes, splines (amplitude, phase) of every mode, and the remnant of format 3."""
    try:
        with h5py.File(path, "r") as file:
            attributes = {key: _plain(value) for key, value in file.attrs.items()}
            if attributes.get("Format", 1) not in FORMATS:
                raise DataError(f"{path} is of LVCNR format {attributes['Format']}: known are {FORMATS}; update this reader")
            found = [re.fullmatch(r"amp_l(\d+)_m(-?\d+)", key) for key in file]
            keys = sorted((int(match[1]), int(match[2])) for match in found if match)
            if not keys:
                raise DataError(f"{path} holds no mode such as amp_l2_m2 but {sorted(file)[:5]}: it is not in the LVCNR format")
            splines = {(l, m): [_spline(path, file, f"{part}_l{l}_m{m}") for part in ("amp", "phase")] for l, m in keys}
            return attributes, splines, _remnant(file)
    except (OSError, KeyError, RuntimeError) as error:
        raise DataError(f"{path} is missing, truncated or not in the LVCNR format: {error}; fetch it again") from error


def _spline(path: Path, file: h5py.File, key: str) -> InterpolatedUnivariateSpline:
    group = file[key]
    x, y, degree = group["X"][()], group["Y"][()], int(group["deg"][()])
    if x.shape != y.shape or x.ndim != 1 or x.size <= degree:
        raise DataError(f"{path}: {key} has {x.shape} knots for {y.shape} values: it is truncated; fetch it again")
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y))):
        raise DataError(f"{path}: {key} has a gap: knots or values that are no numbers; leave it out")
    if not np.all(np.diff(x) > 0):
        k = int(np.flatnonzero(np.diff(x) <= 0)[0])
        raise DataError(f"{path}: the times of {key} do not increase after t = {x[k]:g}; leave it out")
    return InterpolatedUnivariateSpline(x, y, k=degree)


def _remnant(file: h5py.File) -> dict[str, Any]:
    """Mass and spin of the remnant at the end of format 3's series, under the names `metadata.parse` knows."""
    out: dict[str, Any] = {}
    if "remnant-mass-vs-time" in file:
        out["remnant_mass"] = float(file["remnant-mass-vs-time"]["Y"][-1])
    series = [f"remnant-spin{axis}-vs-time" for axis in "xyz"]
    if all(key in file for key in series):
        out["remnant_dimensionless_spin"] = [float(file[key]["Y"][-1]) for key in series]
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value
