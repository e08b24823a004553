"""Whole catalogues of NR runs: where they lie, how they are read, which resolutions belong together, what could not be read.

A run that cannot be used is left out and reported; a catalogue of which nothing can be used raises.
"""

from __future__ import annotations

import glob
import logging
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from data_prep import eob, lvcnr, maya, metadata, sxs_runs
from data_prep.nr import NRWaveform
from data_prep.tables import read_spec_nonspinning, read_sxs_gatech
from gwsurrogate_ml.artifacts import sha256
from gwsurrogate_ml.errors import ConfigError, DataError

log = logging.getLogger(__name__)

TABLE_FILE = "sxs_gatech_h22.npz"
SPEC_FILE = "spec_nonspinning_h22_eim.h5"
LONG = (-2749.5, 99.5)
"""M: what a run must cover to correct the inspiral of the model."""
KINDS = ("tables", "lvcnr", "rit", "maya", "sxs")


@dataclass(frozen=True)
class Source:
    """One entry ``[[data.catalogue]]`` of a configuration."""

    kind: str
    """tables (the two files of the project's data folder), lvcnr, rit, maya, or sxs"""
    path: str | None = None
    """a folder, a file, or a pattern such as ``runs/**/*.h5``; for `tables` the folder that holds ``nr/``"""
    simulations: tuple[str, ...] | str = ()
    """sxs: names such as SXS:BBH:0305, or "aligned": all aligned runs inside the limits of the model"""
    tag: str | None = None
    """sxs: the catalogue's version, such as "3.0.0"; without it the latest, and the report says which that was"""
    q_max: float = 10.5
    chi_max: float = 0.93
    """sxs, "aligned": limits of the selection"""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"catalogue of kind {self.kind!r}: known are {list(KINDS)}")
        if self.kind != "sxs" and not self.path:
            raise ConfigError(f"catalogue of kind {self.kind!r} without a path: say where its files lie")
        if self.kind == "sxs" and not (self.path or self.simulations):
            raise ConfigError('catalogue of kind "sxs": give simulations = ["SXS:BBH:0305"], or "aligned", or a path')
        if isinstance(self.simulations, str) and self.simulations != "aligned":
            raise ConfigError(f'simulations = {self.simulations!r}: give a list of names, or "aligned"')


@dataclass(frozen=True)
class Unread:
    """A run that was left out before quality control, and why."""

    source: str
    name: str
    reason: str


@dataclass
class Catalogue:
    """Runs read, those left out, and what the runs came from (checksums by file, versions by catalogue)."""

    runs: list[NRWaveform] = field(default_factory=list)
    long: list[NRWaveform] = field(default_factory=list)
    """non-spinning runs that reach back `LONG`: those of `tables`, which are not judged again, and copies of other `runs`"""
    unread: list[Unread] = field(default_factory=list)
    checksums: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def merge(self, other: Catalogue) -> None:
        """Append another catalogue's content."""
        self.runs += other.runs
        self.long += other.long
        self.unread += other.unread
        self.checksums |= other.checksums
        self.versions |= other.versions


def read(sources: Iterable[Source]) -> Catalogue:
    """All runs of all `sources`.

    Raises
    ------
    ConfigError
        if a source needs a package that is not installed
    DataError
        if a source is missing, or none of its runs can be used
    """
    out = Catalogue()
    for source in sources:
        one = {"tables": _tables, "sxs": _sxs}.get(source.kind, _files)(source)
        for unread in one.unread:
            log.warning("%s left out: %s", unread.name, unread.reason)
        if not one.runs and not one.long:
            first = one.unread[0].reason if one.unread else "it is empty"
            raise DataError(f"no run of the {source.kind} catalogue {source.path or ''} can be used; the first: {first}")
        one.long += [run for run in one.runs if _is_long(run)]
        out.merge(one)
    names = [run.name for run in out.runs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataError(f"{twice[0]} is in two catalogues: name each run once")
    return out


def read_toml(path: Path) -> tuple[dict[str, Any], list[Source]]:
    """The table ``[data]`` of a training configuration and its catalogues; paths are relative to the configuration.

    Raises
    ------
    ConfigError
        if the file is missing or no TOML, or a key of a catalogue is unknown

    Notes
    -----
    Without ``[[data.catalogue]]`` the catalogues are empty: the caller takes the project's own tables.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} is missing or not TOML: {error}") from error
    data = dict(content.get("data", {}))
    known = {f.name for f in fields(Source)}
    limits = {"q_max": content.get("q_hard", Source.q_max), "chi_max": content.get("chi_hard", Source.chi_max)}
    sources = []
    for entry in data.pop("catalogue", []):
        if unknown := sorted(set(entry) - known):
            raise ConfigError(f"{path}: [[data.catalogue]] has the unknown key {unknown[0]!r}: known are {sorted(known)}")
        entry = limits | entry if entry.get("kind") == "sxs" else dict(entry)
        if "path" in entry:
            entry["path"] = str(path.parent / Path(entry["path"]).expanduser())
        if isinstance(entry.get("simulations"), list):
            entry["simulations"] = tuple(entry["simulations"])
        sources.append(Source(**entry))
    return content | {"data": data}, sources


def pair_resolutions(runs: list[NRWaveform]) -> tuple[list[NRWaveform], list[Unread]]:
    """Of each simulation the finest resolution, with the second finest as `coarser`; the others as left out.

    Runs belong together where names agree but for ``_Res6``, ``/Lev5``, ``-n120`` or the like; what stands before these must tell
    simulations apart.
    """
    groups: dict[str, list[NRWaveform]] = {}
    for run in runs:
        groups.setdefault(metadata.resolution(run.name)[0], []).append(run)
    kept, left = [], []
    for members in groups.values():
        ranked = sorted(members, key=lambda run: -metadata.resolution(run.name)[2])
        if len({metadata.resolution(run.name)[2] for run in ranked}) < len(ranked):
            kept += members  # not resolutions of one run after all
            continue
        kept.append(replace(ranked[0], coarser=ranked[1]) if len(ranked) > 1 else ranked[0])
        what = f"a coarser resolution of {ranked[0].name}"
        left += [Unread(str(run.meta.get("file", "")), run.name, f"{what}, kept for its error") for run in ranked[1:2]]
        left += [Unread(str(run.meta.get("file", "")), run.name, what) for run in ranked[2:]]
    return kept, left


def slim(run: NRWaveform) -> NRWaveform:
    """A run with the modes and times that a table can use: hundreds of runs with all theirs do not fit into memory."""
    late = run.t >= LONG[0] - 100.0  # room for what is done before a table is cut
    modes = {key: h[late].copy() for key, h in run.modes.items() if key in eob.MODES}
    coarser = run.coarser
    if coarser is not None:
        coarser = slim(replace(coarser, modes={(2, 2): coarser.mode((2, 2))}, coarser=None))
    return replace(run, t=run.t[late], modes=modes, coarser=coarser)


def _is_long(run: NRWaveform) -> bool:
    still = max(np.linalg.norm(run.chi1), np.linalg.norm(run.chi2)) < 1e-3
    return bool(still and run.t[0] <= LONG[0] and run.t[-1] >= LONG[1])


def _tables(source: Source) -> Catalogue:
    folder = Path(source.path or "") / "nr"
    paths = [folder / TABLE_FILE, folder / SPEC_FILE]
    reasons: dict[str, str] = {}
    out = Catalogue(runs=read_sxs_gatech(paths[0], reasons), long=read_spec_nonspinning(paths[1]))
    out.unread = [Unread(TABLE_FILE, name, reason) for name, reason in reasons.items()]
    out.checksums = {path.name: sha256(path) for path in paths}
    return out


def _files(source: Source) -> Catalogue:
    """LVCNR, RIT and MAYA files, and SXS files at hand."""
    readers: dict[str, Callable[[Path], NRWaveform]] = {
        "lvcnr": lvcnr.read_lvcnr,
        "rit": lvcnr.read_rit,
        "maya": _maya,
        "sxs": sxs_runs.read_sxs_file,
    }
    out = Catalogue()
    for path in _matching(source):
        try:
            run = readers[source.kind](path)
        except DataError as error:
            out.unread.append(Unread(path.name, path.stem, str(error)))
            continue
        if run.name in {other.name for other in out.runs} or source.kind in ("rit", "lvcnr"):
            # A file's own name tells resolutions apart, which the name inside need not.
            run = replace(run, name=path.stem, meta=run.meta | {"name_inside": run.name})
        out.runs.append(slim(run))
        out.checksums[path.name] = sha256(path)
    out.runs, left = pair_resolutions(out.runs)
    out.unread += left
    return out


def _maya(path: Path) -> NRWaveform:
    """MAYA publishes both psi4 in its own layout and LVCNR files: tried in this order by what the file holds."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            psi4 = "radiative" in file
    except OSError as error:
        raise DataError(f"{path} is missing, truncated or no HDF5 file: {error}; fetch it again") from error
    return maya.read_maya_psi4(path) if psi4 else lvcnr.read_lvcnr(path)


def _matching(source: Source) -> list[Path]:
    path = Path(source.path or "")
    pattern = str(path / "**" / "*.h5") if path.is_dir() else str(path)
    found = sorted(Path(name) for name in glob.glob(pattern, recursive=True))
    if not found:
        raise DataError(f"no file matches {pattern}: give a folder with .h5 files, a file or a pattern")
    return found


def _sxs(source: Source) -> Catalogue:
    if source.path:
        return _files(source)
    simulations, tag = sxs_runs.catalogue(source.tag)
    names: Mapping[str, Any] | Iterable[str] = source.simulations
    if source.simulations == "aligned":
        names = sxs_runs.select(simulations, source.q_max, source.chi_max, 1e-3, 0.01)
    out = Catalogue(versions={"SXS catalogue": tag})
    for name in names:
        try:
            run, checksums = sxs_runs.read_simulation(name)
        except DataError as error:
            out.unread.append(Unread("SXS catalogue", name, str(error)))
            continue
        out.runs.append(slim(run))
        out.checksums |= checksums
        log.info("%s read", run.name)
    return out
