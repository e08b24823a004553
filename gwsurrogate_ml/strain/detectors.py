"""Detectors by name and their response to a signal: a thin layer over bilby's interferometers.

Conventions are bilby's and LAL's: `ra`, `dec`, `psi` in radians, times in GPS seconds, and a positive time delay where
the signal reaches the detector after the geocentre.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import DataError


def bilby_files(folder: str, pattern: str) -> list[Path]:
    """Files that bilby ships for its detectors, in ``noise_curves`` or ``detectors``.

    The one place that knows bilby's folders: bilby opens these files by name, but has no function that lists the names.

    Examples
    --------
    >>> [path.name for path in bilby_files("noise_curves", "AdV_asd.txt")]
    ['AdV_asd.txt']
    """
    import bilby.gw.detector

    return sorted((Path(bilby.gw.detector.__file__).parent / folder).glob(pattern))


def detector_files() -> dict[str, Path]:
    """Descriptions of interferometers by name: bilby's, and those in the folder that the variable GWSML_DETECTORS names.

    Of two with one name the folder's counts.

    Raises
    ------
    DataError
        if the variable names no folder
    """
    folder = os.environ.get("GWSML_DETECTORS", "")
    if folder and not Path(folder).is_dir():
        raise DataError(f"GWSML_DETECTORS names {folder}, which is no folder: give one of files NAME.interferometer, or unset it")
    own = sorted(Path(folder).glob("*.interferometer")) if folder else []
    files = {path.stem: path for path in [*bilby_files("detectors", "*.interferometer"), *own]}
    # ET.interferometer describes a triangle: three interferometers under one name, not one strain channel.
    return {name: path for name, path in sorted(files.items()) if name != "ET" or path in own}


def known_detectors() -> tuple[str, ...]:
    """Names of the single interferometers whose place and orientation are known, see `detector_files`.

    Examples
    --------
    >>> {"H1", "L1", "V1", "K1"} <= set(known_detectors())
    True
    """
    return tuple(detector_files())


def require_known(detectors: Mapping[str, object] | tuple[str, ...] | list[str]) -> None:
    """Raise DataError, naming the first unknown detector and listing the known ones, unless all are known."""
    known = known_detectors()
    for name in detectors:
        if name not in known:
            raise DataError(f"unknown detector {name!r}; known: {', '.join(known)}, and what the folder GWSML_DETECTORS describes")


def interferometer(name: str) -> Any:
    """A new bilby Interferometer without data.

    Raises
    ------
    DataError
        if `name` is unknown, or its file describes no single interferometer of that name
    """
    require_known([name])
    from bilby.gw.detector import Interferometer, load_interferometer

    path = detector_files()[name]
    try:
        made = load_interferometer(str(path))
    except Exception as error:  # the file is Python for bilby: anything can be wrong with it
        raise DataError(f"{path} describes no interferometer for bilby: {type(error).__name__}: {error}") from error
    if not isinstance(made, Interferometer) or made.name != name:
        found = getattr(made, "name", type(made).__name__)
        raise DataError(f"{path} describes {found!r}: give one interferometer, with the name of its file, {name!r}")
    return made


def site(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Response tensor (3, 3), dimensionless, and place (3,), m from the geocentre, of a detector; raises as `interferometer`.

    Examples
    --------
    >>> bool(abs(np.linalg.norm(site("H1")[1]) - 6.4e6) < 5e4)
    True
    """
    require_known([name])
    path = detector_files()[name]
    return _site(name, path, path.stat().st_mtime_ns)


@lru_cache
def _site(name: str, path: Path, changed: int) -> tuple[np.ndarray, np.ndarray]:
    """`site`, kept as long as its file does not change: bilby reads a noise curve with every interferometer."""
    geometry = interferometer(name).geometry
    found = np.array(geometry.detector_tensor), np.array(geometry.vertex)
    for array in found:
        array.flags.writeable = False
    return found


def project(
    name: str,
    h_plus: np.ndarray,
    h_cross: np.ndarray,
    parameters: Mapping[str, float],
    frequencies: np.ndarray,
    start_time: float,
) -> np.ndarray:
    """Strain in detector `name` of a signal given by its polarizations with the merger at t = 0 of their segment.

    ``(F_plus h_plus + F_cross h_cross) exp(-2 pi i f (geocent_time + delay - start_time))``, as bilby's
    `get_detector_response`.

    Parameters
    ----------
    h_plus, h_cross : (n_f,) complex128, 1/Hz
    parameters : mapping with ra, dec, psi (rad), geocent_time (GPS s)
    frequencies : (n_f,) float64, Hz
    start_time : float, GPS s
        start of the segment the result belongs to

    Returns
    -------
    (n_f,) complex128, 1/Hz
    """
    detector = interferometer(name)
    ra, dec, psi, gps = (float(parameters[key]) for key in ("ra", "dec", "psi", "geocent_time"))
    plus, cross = (detector.antenna_response(ra, dec, gps, psi, mode) for mode in ("plus", "cross"))
    # The two GPS times first: their difference keeps the delay's microseconds, their sum with it would not.
    shift = (gps - start_time) + detector.time_delay_from_geocenter(ra, dec, gps)
    return (plus * h_plus + cross * h_cross) * np.exp(-2j * np.pi * shift * frequencies)
