"""SXS simulations, from the public catalogue by `sxs.load` or from files at hand, into `data_prep.nr.NRWaveform`.

Scheel et al. 2025, arXiv:2505.13378 (the catalogue). A waveform's times are retarded, so that the relaxation time of the
metadata is a time of the waveform: what lies before it is junk radiation and is cut. The package `sxs` comes with `make nr`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from data_prep import metadata
from data_prep.lvcnr import sidecar
from data_prep.nr import NRWaveform, canonical
from gwsurrogate_ml.errors import ConfigError, DataError

log = logging.getLogger(__name__)


def package() -> Any:
    """The module `sxs`; `ConfigError` saying how to get it where it is not installed."""
    try:
        import sxs
    except ImportError as error:
        raise ConfigError("reading SXS waveforms needs the package sxs: make the environment with `make nr`") from error
    return sxs


def read_sxs(path: Path, q: float, chi1: np.ndarray, chi2: np.ndarray, eccentricity: float | None = None) -> NRWaveform:
    """An SXS waveform (Cauchy-characteristic or extrapolated, any format `sxs.load` knows), all its modes.

    The waveform file does not hold the binary's parameters: give them as the catalogue's metadata has them at the
    relaxation time (`q` = mass1 / mass2, either way round), or use `read_sxs_file`, which finds them beside the file.

    Raises
    ------
    ConfigError
        if `sxs` is not installed
    DataError
        if the file cannot be read, or not as waveform modes
    """
    vectors = {"chi1": list(chi1), "chi2": list(chi2)}
    return read_sxs_file(path, {"q": q, "eccentricity": eccentricity} | vectors)


def read_sxs_file(path: Path, table: Mapping[str, Any] | None = None) -> NRWaveform:
    """A waveform file at hand, such as ``Strain_N2.h5`` with its json, parameters from `table` or from ``metadata.json``.

    Raises
    ------
    ConfigError, DataError
        as `read_sxs`; also if there is no metadata
    """
    sxs = package()
    if not path.exists():
        raise DataError(f"{path} is missing")
    if table is None:
        table = metadata.read(sidecar(path, own_json=False))
    try:
        waveform = sxs.load(str(path))
    except Exception as error:  # sxs raises many types for damaged files
        raise DataError(f"{path} cannot be read by sxs {sxs.__version__}: {error}; fetch it again") from error
    # Files of the catalogue are all called Strain_N2.h5: the folder has the name, and the one above it where it says Lev6.
    generic = path.stem.lower().startswith(("strain", "rhoverm", "rh_"))
    folder = path.resolve().parent
    level = f"{folder.parent.name}/{folder.name}" if folder.name.startswith("Lev") else folder.name
    name = level if generic else path.stem
    return from_modes(waveform, table, name, str(path), {"file": path.name, "sxs": sxs.__version__})


def from_modes(waveform: Any, table: Mapping[str, Any], name: str, where: str, note: dict[str, Any]) -> NRWaveform:
    """A run out of an `sxs.WaveformModes` in the inertial frame and its metadata; `where` is named in errors.

    Raises
    ------
    DataError
        if it holds no modes, or as `canonical`
    """
    try:
        # A corotating waveform's modes would look like a binary that does not turn.
        if getattr(waveform, "frame_type", "inertial") != "inertial":
            waveform = waveform.to_inertial_frame()
        data = np.asarray(waveform.data)
        modes = {(int(l), int(m)): data[:, i] for i, (l, m) in enumerate(waveform.LM)}
        t = np.asarray(waveform.t, dtype=np.float64)
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"{where} does not hold waveform modes: {error}; leave it out") from error
    found = metadata.parse(table, where)
    try:
        return canonical(
            name,
            "SpEC",
            found.masses,
            found.spins,
            found.eccentricity,
            t,
            modes,
            note,
            clockwise=found.clockwise,
            relaxation_time=found.relaxation_time,
            remnant_mass=found.remnant_mass,
            remnant_spin=found.remnant_spin,
            resolution=metadata.resolution(name)[1],
        )
    except DataError as error:
        raise error if where in str(error) else DataError(f"{where}: {error}") from error


def read_simulation(name: str) -> tuple[NRWaveform, dict[str, str]]:
    """A simulation of the public catalogue at its two highest resolutions, and the published checksums of its files.

    Parameters
    ----------
    name : str
        such as ``SXS:BBH:0305``, with version and resolution where wanted: ``SXS:BBH:0305v3.0/Lev6``

    Raises
    ------
    ConfigError
        if `sxs` is not installed
    DataError
        if the simulation is unknown, deprecated, cannot be fetched, or is not usable
    """
    sxs = package()
    finest = _load(sxs, name)
    run, checksums = _run(finest)
    levels = sorted(level for level in getattr(finest, "lev_numbers", []) if level < (finest.lev_number or 0))
    if levels:
        coarser = _load(sxs, f"{finest.sxs_id}/Lev{levels[-1]}")
        try:
            second, more = _run(coarser)
            run, checksums = replace(run, coarser=second), checksums | more
        except DataError as error:  # the run itself is good: its own error is then unknown, and the report says so
            log.warning("%s: its second resolution cannot be used (%s)", run.name, error)
            run.meta["coarser_unusable"] = str(error)
    return run, checksums


def catalogue(tag: str | None) -> tuple[Any, str]:
    """The catalogue's table of simulations pinned to `tag`, and the tag it has.

    Raises
    ------
    ConfigError
        if `sxs` is not installed
    DataError
        if the catalogue can neither be fetched nor found in the cache, or has another tag than the one asked for
    """
    sxs = package()
    try:
        simulations = sxs.load("simulations", **({"tag": tag} if tag else {}))
    except Exception as error:
        raise DataError(f"the SXS catalogue {tag or '(latest)'} cannot be loaded: {error}; check the network") from error
    found = str(getattr(simulations, "tag", "unknown"))
    if tag and found.lstrip("v") != tag.lstrip("v"):
        raise DataError(f"the SXS catalogue loaded is {found}, not {tag}: a process can hold one only; start a new one")
    return simulations, found


def select(simulations: Any, q_max: float, chi_max: float, in_plane_max: float, eccentricity_max: float) -> list[str]:
    """Names of the catalogue's binaries of black holes with aligned spins inside the limits, deprecated ones left out.

    Parameters
    ----------
    simulations : mapping of names to metadata
    q_max, chi_max, in_plane_max, eccentricity_max : float
        a run without a measured eccentricity is taken: quality control judges it
    """
    chosen = []
    for name, table in simulations.items():
        if not re.match(r"SXS:BBH:\d+", name) or "deprecated" in (table.get("keywords") or []):
            continue
        try:
            found = metadata.parse(table, name)
        except DataError:
            continue
        ratio = found.masses[0] / found.masses[1]
        spins = np.array(found.spins)
        if (
            max(ratio, 1 / ratio) <= q_max
            and np.abs(spins[:, 2]).max() <= chi_max
            and np.hypot(spins[:, 0], spins[:, 1]).max() <= in_plane_max
            and (found.eccentricity is None or found.eccentricity <= eccentricity_max)
        ):
            chosen.append(name)
    return sorted(chosen)


def _line(error: Exception) -> str:
    """The message of an error on one line: those of sxs have several."""
    return " ".join(str(error).split())


def _load(sxs: Any, name: str) -> Any:
    try:
        return sxs.load(name)
    except Exception as error:
        raise DataError(
            f"{name} cannot be loaded from the SXS catalogue: {_line(error)}; check its name and the network"
        ) from error


def _run(simulation: Any) -> tuple[NRWaveform, dict[str, str]]:
    where = str(simulation.location)
    try:
        strain = simulation.h
    except Exception as error:
        raise DataError(f"{where}: its strain cannot be fetched or read: {error}; check the network") from error
    run = from_modes(strain, simulation.metadata, where, where, {"version": str(simulation.version)})
    files = getattr(simulation, "files", {})
    names: Sequence[str] = [key for key in files if "Strain" in key and str(simulation.Lev) in key] or [
        key for key in files if "Strain" in key
    ]
    return run, {f"{where}:{key}": str(files[key].get("checksum", "unknown")) for key in names}
