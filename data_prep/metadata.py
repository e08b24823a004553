"""What catalogues say of a simulation, under one set of names whatever a catalogue calls them, and checked.

Known spellings: the LVCNR format's attributes (arXiv:1703.01076), SXS metadata (versions 1 to 3), RIT's metadata text files
and table (arXiv:2202.00018), MAYA's table (arXiv:2309.00262).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.nr import SPIN_MAX, check_bodies
from gwsurrogate_ml.errors import DataError

MASSES = (
    ("reference_mass1", "reference_mass2"),
    ("relaxed-mass1", "relaxed-mass2"),
    ("mass1", "mass2"),
    ("horizon_mass1", "horizon_mass2"),
)
RATIOS = ("reference_mass_ratio", "relaxed-mass-ratio-1-over-2", "mass_ratio", "q")
SPINS = (
    ("reference_dimensionless_spin1", "reference_dimensionless_spin2"),
    ("relaxed-chi1", "relaxed-chi2"),
    ("spin1", "spin2"),
    ("chi1", "chi2"),
    ("a1", "a2"),
)
ORBITAL_AXIS = ("relaxed-LNhat", "LNhat")
ECCENTRICITY = ("reference_eccentricity", "eccentricity")
RELAXATION = ("relaxation_time", "relaxed-time", "relaxed_measurement_time")
REMNANT_MASS = ("remnant_mass", "final-mass")
REMNANT_SPIN = ("remnant_dimensionless_spin", "final-chi", "final_spin")
TILT_MAX = 5.0
"""Degrees between the orbital axis and z beyond which modes are not those of the orbit's frame."""


@dataclass(frozen=True)
class Metadata:
    """Parameters of a simulation in its file's frame; None where the catalogue says nothing or gives a sentinel."""

    masses: tuple[float, float]
    spins: tuple[np.ndarray, np.ndarray]
    eccentricity: float | None
    relaxation_time: float | None
    remnant_mass: float | None
    remnant_spin: np.ndarray | None
    clockwise: bool
    """The orbit turns about -z."""
    mass_sum: float | None
    """m1 + m2 where both masses are given: what the source's unit of time ought to be."""


def parse(table: Mapping[str, Any], where: str) -> Metadata:
    """Parameters out of a catalogue's `table`, checked; `where` is named in errors.

    Raises
    ------
    DataError
        if masses or spins are missing or no black hole's, or the orbital plane is tilted

    Examples
    --------
    >>> found = parse({"mass1": 0.6, "mass2": 0.4, "spin1z": 0.3, "spin2z": 0.0, "eccentricity": -1}, "run")
    >>> found.masses, found.spins[0].tolist(), found.eccentricity
    ((0.6, 0.4), [0.0, 0.0, 0.3], None)
    """
    masses, total = _masses(table, where)
    spins = _spins(table, where)
    masses, spins = check_bodies(where, masses, spins)
    axis = next((v for name in ORBITAL_AXIS if (v := _vector(table, name)) is not None), None)
    clockwise = False
    if axis is not None and np.linalg.norm(axis) > 0:
        tilt = np.degrees(np.arccos(np.clip(axis[2] / np.linalg.norm(axis), -1, 1)))
        clockwise = bool(tilt > 90)
        if min(tilt, 180 - tilt) > TILT_MAX:
            raise DataError(
                f"{where}: its orbital axis is tilted by {tilt:.0f} degrees from z: rotate its modes and spins to the frame "
                "of the orbit, or leave it out"
            )
    e, relaxation, mass = (_first(table, names) for names in (ECCENTRICITY, RELAXATION, REMNANT_MASS))
    spin = next((v for name in REMNANT_SPIN if (v := _vector(table, name)) is not None), None)
    if mass is not None and not 0 < mass < 1.1 * (total or 1.0):
        mass = None
    if mass is not None:
        mass /= total or 1.0
    return Metadata(
        masses,
        spins,
        e if e is not None and 0 <= e < 1 else None,
        relaxation if relaxation is not None and relaxation >= 0 else None,
        mass,
        spin if spin is not None and np.linalg.norm(spin) <= SPIN_MAX else None,
        clockwise,
        total,
    )


def read(path: Path) -> dict[str, Any]:
    """A metadata file as a flat table: JSON, or lines ``key = value`` with comments after #.

    Raises
    ------
    DataError
        if the file is missing or holds neither
    """
    try:
        text = path.read_text()
        if path.suffix == ".json":
            content = json.loads(text)
            if not isinstance(content, dict):
                raise ValueError("no object")
            return content
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is missing or no metadata ({error}): fetch it again beside its waveform") from error
    pairs = (line.split("#", 1)[0].split("=", 1) for line in text.splitlines())
    table = {pair[0].strip(): pair[1].strip() for pair in pairs if len(pair) == 2}
    if not table:
        raise DataError(f"{path} holds no line 'key = value': it is no metadata file; fetch it again")
    return table


def number(value: Any) -> float | None:
    """A finite number out of what catalogues write (``"<1.2e-05"`` is its bound), or None.

    Examples
    --------
    >>> number("<1.2e-05"), number("[simulation too short]"), number(float("nan"))
    (1.2e-05, None, None)
    """
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, str):
        value = value.strip().removeprefix("<")
    try:
        out = float(value)
    except (TypeError, ValueError):
        return None
    return out if np.isfinite(out) else None


def resolution(name: str) -> tuple[str, str | None, int]:
    """Name of a simulation without its resolution, the resolution as written, and its rank (larger is finer).

    Examples
    --------
    >>> resolution("SXS_BBH_0305_Res6"), resolution("ExtrapStrain_RIT-BBH-0001-n100")
    (('SXS_BBH_0305', 'Res6', 6), ('ExtrapStrain_RIT-BBH-0001', 'n100', 100))
    >>> resolution("GT0001")
    ('GT0001', None, 0)
    """
    match = re.search(r"[_\-/:](Res|Lev|n)(\d+)(?=$|[_\-.])", name)
    if match is None:
        return name, None, 0
    return name[: match.start()] + name[match.end() :], match[1] + match[2], int(match[2])


def _first(table: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    return next((value for name in names if (value := number(table.get(name))) is not None), None)


def _vector(table: Mapping[str, Any], name: str) -> np.ndarray | None:
    """A vector under one key, as three components, or as the z component alone; None where it is not there."""
    value = table.get(name)
    if isinstance(value, list | tuple | np.ndarray) and len(value) == 3:
        parts = [number(x) for x in value]
    elif number(value) is not None:
        parts = [0.0, 0.0, number(value)]
    else:
        parts = [number(table.get(f"{name}{axis}")) for axis in "xyz"]
        if parts[2] is None:
            return None
        # Tables of aligned runs leave the in-plane components empty.
        parts = [0.0 if p is None and table.get(f"{name}{a}") in (None, "") else p for p, a in zip(parts, "xyz", strict=True)]
    return None if None in parts else np.array(parts, dtype=np.float64)


def _masses(table: Mapping[str, Any], where: str) -> tuple[tuple[float, float], float | None]:
    for one, two in MASSES:
        pair = number(table.get(one)), number(table.get(two))
        if pair[0] is not None and pair[1] is not None:
            return (pair[0], pair[1]), pair[0] + pair[1]
    q = _first(table, RATIOS)
    if q is None:
        raise DataError(f"{where}: neither masses nor a mass ratio among {sorted(map(str, table))[:8]}...: give its metadata")
    return (q, 1.0), None


def _spins(table: Mapping[str, Any], where: str) -> tuple[np.ndarray, np.ndarray]:
    for one, two in SPINS:
        first, second = _vector(table, one), _vector(table, two)
        if first is not None and second is not None:
            return first, second
        if first is not None or second is not None:
            raise DataError(f"{where} lacks {two if first is not None else one}z: give its metadata or leave it out")
    raise DataError(f"{where} lacks spins: neither of spin1z, chi1z, relaxed-chi1z and their like; give its metadata")
