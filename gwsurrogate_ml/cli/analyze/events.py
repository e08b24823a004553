"""One event or many through `gwsml analyze`: where their strain comes from, and a folder for each."""

from __future__ import annotations

import csv
import itertools
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gwsurrogate_ml.cli.analyze.pipeline import GWOSC_NOTE, PACKAGES, PDF, run_into
from gwsurrogate_ml.cli.analyze.settings import Settings
from gwsurrogate_ml.cli.analyze.steps import UNFINISHED, kept, steps_of, taken, unfinished
from gwsurrogate_ml.cli.console import ProgressReport
from gwsurrogate_ml.cli.options import require_capitals
from gwsurrogate_ml.cli.output import CONFIG, output_folder, plain
from gwsurrogate_ml.cli.strain_files import PLAIN, Files, Reading, matching, record, strain_words
from gwsurrogate_ml.errors import ConfigError, GwsmlError
from gwsurrogate_ml.strain.times import gps_seconds

TABLE = ("events.csv", "events.json")
"""Files of many events, beside their folders."""
PAUSE = 5.0
"""Seconds before an event is tried again whose files could not be read: file systems of clusters have bad moments."""


@dataclass(frozen=True)
class Event:
    """An event to analyse.

    Attributes
    ----------
    name : str
        of gwosc.org's where there are no files; else a title, or empty
    gps : float or None, s
    files : mapping from detector to its paths; empty: strain from gwosc.org
    how : Reading
        what the files do not say themselves
    alert : path of the public alert that gave the time, and beside which the result is put
    """

    name: str = ""
    gps: float | None = None
    files: Files = field(default_factory=dict)
    how: Reading = PLAIN
    alert: Path | None = None

    def words(self) -> list[str]:
        """The event as words after ``gwsml analyze``.

        Examples
        --------
        >>> Event("", 1126259462.4, {"H1": (Path("H.hdf5"),)}).words()
        ['--strain', 'H1=H.hdf5', '--gps', '1126259462.4']
        """
        if not self.files:
            return [self.name]
        when = ["--alert", str(self.alert)] if self.alert else ["--gps", repr(self.gps)]
        return [*strain_words(self.files), *when, *self.how.words()]


def claim(name: str, taken: set[str], where: str) -> None:
    """Add `name` to those `taken`: every event gets a folder of its own.

    Raises
    ------
    ConfigError
        if `name` is taken, or cannot name the folder of an event; the message starts with `where`

    Examples
    --------
    >>> taken = {"first"}
    >>> claim("second", taken, "line 2")
    >>> sorted(taken)
    ['first', 'second']
    """
    if name in ("", *TABLE) or Path(name).name != name or name.startswith(".") or name.endswith(UNFINISHED):
        raise ConfigError(f"{where}: the name {name!r} cannot name a folder for an event: give another")
    if name in taken:
        raise ConfigError(f"{where}: {name!r} is given twice: each event gets a folder of its name")
    taken.add(name)


def read_table(path: Path, how: Reading = PLAIN) -> list[Event]:
    """Events of a CSV file with the columns name and gps, and one a detector with its strain files.

    Paths begin at the file's folder. Several files of a detector stand in one field, with ``;`` between them; a time may be a
    date; `how` is that of all.

    Raises
    ------
    ConfigError
        naming the line that is no event

    Examples
    --------
    >>> import tempfile; table = Path(tempfile.mkdtemp()) / "events.csv"
    >>> _ = table.write_text("name,gps,H1,L1\\nfirst,1126259462.4,H.hdf5,L.hdf5\\n")
    >>> [(event.name, event.gps, sorted(event.files)) for event in read_table(table)]
    [('first', 1126259462.4, ['H1', 'L1'])]
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            table = csv.DictReader(stream)
            heads = [head.strip() for head in table.fieldnames or ()]
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"--events {path} cannot be read ({error}): give a CSV file") from error
    if heads and (missing := [f"`{name}`" for name in ("name", "gps") if name not in heads]):
        raise ConfigError(
            f"--events {path}, line 1: no column {' and '.join(missing)} among {', '.join(heads)}; the heads are name, gps, and "
            "a detector each with its strain files, such as H1 and L1"
        )
    if twice := next((head for head in heads if heads.count(head) > 1), None):
        raise ConfigError(
            f"--events {path}, line 1: {twice!r} is given twice; several files of a detector stand in one field, with ; between"
        )
    for head in heads:
        require_capitals(f"--events {path}, line 1", head)
    events: list[Event] = []
    taken: set[str] = set()
    for number, row in enumerate(rows, start=2):
        where = f"--events {path}, line {number}"
        if None in row or any(value is None for value in row.values()):
            raise ConfigError(f"{where} has not as many fields as the first line")
        columns = {key.strip(): value.strip() for key, value in row.items()}
        name, gps = columns.pop("name", ""), columns.pop("gps", "")
        files = {
            detector: tuple(
                found
                for file in given.split(";")
                if file.strip()
                for found in matching(path.parent / os.path.expanduser(file.strip()), f"{where}, {detector}")
            )
            for detector, given in sorted(columns.items())
            if given
        }
        claim(name, taken, where)
        try:
            time_ = gps_seconds(gps)
        except ConfigError as error:
            raise ConfigError(
                f"{where}: gps is {gps!r}: give the event's GPS time in s, or its date in UTC, in the column `gps`"
            ) from error
        if not files:
            raise ConfigError(f"{where} names no strain file: give one in a column named after each detector, such as H1")
        events.append(Event(name, time_, files, how))
    if not events:
        raise ConfigError(f"--events {path} holds no event: give lines below the heads name, gps, H1, L1")
    return events


def analysis_of(event: Event, settings: Settings) -> dict[str, Any]:
    """What fixes an analysis, in values of JSON, however it was spelled."""
    files = {name: [str(path.expanduser().absolute()) for path in paths] for name, paths in event.files.items()}
    return {
        "event": event.name,
        "gps": event.gps,
        "alert": str(event.alert.absolute()) if event.alert else None,
        "files": files,
        "reading": plain(asdict(event.how)),
        "settings": plain(asdict(settings.absolute())),
    }


def folder_of(event: Event, settings: Settings, place: Path) -> Path:
    """`place`, or with a number at its end the first such folder that neither holds nor is to hold another analysis."""
    analysis = analysis_of(event, settings)
    for number in itertools.count(1):
        folder = place if number == 1 else place.with_name(f"{place.name}-{number}")
        if not _holds_another(folder, event, settings) and not taken(steps_of(folder), analysis):
            return folder
    raise AssertionError("not reached")


def _holds_another(folder: Path, event: Event, settings: Settings) -> bool:
    """Whether a folder holds an analysis of another event or by other settings, whatever the versions."""
    try:
        config = json.loads((folder / CONFIG).read_text())
        return not (config["settings"] == plain(asdict(settings)) and _of_same_data(config, event))
    except (OSError, ValueError, KeyError, TypeError, GwsmlError):
        return False


def _of_same_data(config: Mapping[str, Any], event: Event) -> bool:
    """Whether an analysis of this config.json is of the data of `event`: the content of its files, read alike, at its time."""
    if not event.files:
        return bool(config["event"]["name"] == event.name)
    strain = {name: entry["sha256"] for name, entry in config["strain"].items()}
    same = strain == {name: record(paths)["sha256"] for name, paths in event.files.items()}
    same = same and config["event"]["gps"] == event.gps
    return bool(same and config.get("reading", plain(asdict(PLAIN))) == plain(asdict(event.how)))


def analyse_event(event: Event, settings: Settings, folder: Path, progress: ProgressReport, *, pdf: bool = False) -> dict[str, Any]:
    """Analyse `event` into `folder`; the content of its summary.json."""
    from gwsurrogate_ml.strain.data import StrainData

    command = ["analyze", *event.words(), *settings.options(), *(["--pdf"] if pdf else []), "--out", str(folder)]
    head = {"command": "analyze", "reading": plain(asdict(event.how))}
    with unfinished(folder, analysis_of(event, settings), command) as steps, output_folder(folder, head) as output:
        if kept(steps):
            progress("taking up an unfinished run", 1, 1)
        with progress.stage("reading the strain"):
            gps, files = event.gps, dict(event.files)
            if not files:
                gps, files = _fetch(event.name, settings.estimator)
            require_all_spectra(settings.psd, list(files))
            assert gps is not None  # given with the files, or found with the event
            data = StrainData.from_files(
                files,
                gps,
                name=event.name,
                channels=event.how.channels,
                sampling_frequency=event.how.sampling_frequency,
                start_time=event.how.start_time,
            )
        public = all("LOSC" in path.name or "GWOSC" in path.name for paths in files.values() for path in paths)
        note = GWOSC_NOTE if public else ""
        summary = run_into(
            output,
            data,
            settings,
            command,
            progress,
            files=files,
            acknowledgement=note,
            checkpoint=steps,
            pdf=pdf,
            alert=event.alert,
        )
    return summary


def require_all_spectra(psd: Mapping[str, str], detectors: Sequence[str]) -> None:
    """Raise unless spectra are given for all detectors, or for none.

    Raises
    ------
    ConfigError
        naming a detector without one
    """
    if psd and (missing := [name for name in detectors if name not in psd]):
        raise ConfigError(
            f"--psd gives a spectrum for {' and '.join(psd)} and none for {' and '.join(missing)}: give --psd {missing[0]}=FILE "
            "too, or leave --psd out, so that all are measured"
        )


def _fetch(event: str, estimator: str) -> tuple[float, dict[str, tuple[Path, ...]]]:
    """GPS time and strain files of an event: of the detectors that the estimator needs, of all where none is named."""
    from gwsurrogate_ml.inference.analysis.choice import settings_of
    from gwsurrogate_ml.strain.gwosc import fetch_event

    gps, files = fetch_event(event, settings_of(estimator).segment.detectors if estimator else None)
    return gps, {name: (path,) for name, path in files.items()}


@dataclass(frozen=True)
class Task:
    """One event of many, as a worker gets it: plain values alone."""

    event: Event
    settings: Settings
    folder: Path
    pdf: bool = False


def repeats(task: Task) -> bool:
    """Whether the folder of `task` holds the very analysis already: the same settings, versions, and content of all files."""
    from gwsurrogate_ml.artifacts import package_versions

    try:
        config = json.loads((task.folder / CONFIG).read_text())
        return bool(
            _of_same_data(config, task.event)
            and config["settings"] == plain(asdict(task.settings))
            and config["settings_sha256"] == task.settings.sha256()
            and config["versions"] == package_versions(*PACKAGES)
            and (task.folder / "summary.json").is_file()
            and (not task.pdf or (task.folder / PDF).is_file())
        )
    except (OSError, ValueError, KeyError, TypeError, GwsmlError):
        return False


def work(task: Task) -> dict[str, Any]:
    """Analyse one of many events: what became of it, and the content of its summary.json. One event's failure is its own."""
    import torch

    torch.set_num_threads(1)
    row: dict[str, Any] = {"event": task.event.name, "folder": str(task.folder)}
    if repeats(task):
        return row | {"outcome": "there already"} | json.loads((task.folder / "summary.json").read_text())
    for again in (True, False):
        try:
            with _Silent() as progress:
                summary = analyse_event(task.event, task.settings, task.folder, progress, pdf=task.pdf)
            if task.pdf and not (task.folder / PDF).is_file():
                row["message"] = f"no {PDF}: the browser failed, print report.html from yours"
            return row | {"outcome": "analysed"} | summary
        except GwsmlError as error:
            return row | {"outcome": "failed", "message": str(error)}
        except OSError as error:
            if not again:
                return row | {"outcome": "failed", "message": f"{type(error).__name__}: {error}"}
            time.sleep(PAUSE)
        except Exception as error:  # a fault of ours in one event must not take the others along
            return row | {"outcome": "failed", "message": f"{type(error).__name__}: {error}"}
    raise AssertionError("not reached")


class _Silent(ProgressReport):
    """No progress: a worker's goes nowhere."""

    def __enter__(self) -> _Silent:
        return self

    def __call__(self, stage: str, done: int = 0, total: int = 1) -> None:
        """Say nothing."""

    def say(self, sentence: str) -> None:
        """Say nothing."""


def tasks_of(events: Sequence[Event], settings: Settings, out: Path, pdf: bool) -> list[Task]:
    """One task an event, with paths that workers elsewhere find too, and of the envelopes those of its detectors.

    Raises
    ------
    ArtifactError
        if there is no such estimator
    """
    place, settings = out.expanduser().absolute(), settings.absolute()
    found = [
        replace(event, files={name: tuple(path.absolute() for path in paths) for name, paths in event.files.items()})
        for event in events
    ]
    heard = {name for event in found for name in event.files}

    def own(event: Event) -> Settings:
        # An envelope of a detector that no event has is refused with the first.
        surplus = heard - event.files.keys() if event.files else set()
        return replace(settings, calibration={name: file for name, file in settings.calibration.items() if name not in surplus})

    return [Task(event, own(event), place / event.name, pdf) for event in found]
