"""Strain on the command line: ``--strain``, ``--channel`` and the options beside them, as commands share them."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from gwsurrogate_ml.cli.options import require_capitals
from gwsurrogate_ml.errors import ConfigError

Files = Mapping[str, tuple[Path, ...]]
"""By detector, the files whose strain is joined in time."""

Gps = Annotated[
    str | None,
    typer.Option("--gps", help="Time of the event, with --strain: GPS s, or a date in UTC such as 2015-09-14T09:50:45.4."),
]
Channel = Annotated[
    list[str] | None,
    typer.Option("--channel", help="DETECTOR=NAME: channel (GWF), dataset (HDF5) or column (text), where several may be meant."),
]
SamplingFrequency = Annotated[
    float | None, typer.Option("--sampling-frequency", help="Samples a second (Hz) of files that hold strain without times.")
]
StartTime = Annotated[
    float | None, typer.Option("--start-time", help="GPS time (s) of the first sample of files that hold strain without times.")
]


@dataclass(frozen=True)
class Reading:
    """How strain files are read where they do not say it themselves.

    Attributes
    ----------
    channels : mapping from detector to channel
    sampling_frequency, start_time : float or None, Hz and GPS s
    """

    channels: Mapping[str, str] = field(default_factory=dict)
    sampling_frequency: float | None = None
    start_time: float | None = None

    def options(self, detector: str) -> dict[str, Any]:
        """Arguments of `read_strain` for a detector."""
        return {
            "channel": self.channels.get(detector),
            "sampling_frequency": self.sampling_frequency,
            "start_time": self.start_time,
        }

    def words(self) -> list[str]:
        """As words of a command line.

        Examples
        --------
        >>> Reading({"H1": "H1:STRAIN"}, 4096.0).words()
        ['--channel', 'H1=H1:STRAIN', '--sampling-frequency', '4096.0']
        """
        words = [word for detector, name in self.channels.items() for word in ("--channel", f"{detector}={name}")]
        for option in ("sampling_frequency", "start_time"):
            if (value := getattr(self, option)) is not None:
                words += [f"--{option.replace('_', '-')}", repr(value)]
        return words


PLAIN = Reading()
"""Files that say all."""


def reading(
    channels: Sequence[str] | None,
    sampling_frequency: float | None,
    start_time: float | None,
    detectors: Sequence[str] | None = None,
) -> Reading:
    """What the options say.

    Raises
    ------
    ConfigError
        if a channel is of no detector among `detectors`, where they are given
    """
    from gwsurrogate_ml.cli.options import parse_detectors

    named = parse_detectors("--channel", channels or [])
    if detectors is not None and (stray := [name for name in named if name not in detectors]):
        raise ConfigError(
            f"--channel {stray[0]}={named[stray[0]]}: there is no --strain {stray[0]}=FILE: give it, or leave the channel out"
        )
    return Reading(named, sampling_frequency, start_time)


def parse_strain(words: Sequence[str]) -> dict[str, tuple[Path, ...]]:
    """Files by detector, in the order of their names, from ``DETECTOR=FILE`` words; a detector that comes twice has several.

    A name with ``*``, ``?`` or ``[`` that is no file stands for all that it fits.

    Raises
    ------
    ConfigError
        if a word has no ``=``, a file is given twice, or a pattern fits none

    Examples
    --------
    >>> parse_strain(["L1=l.gwf", "H1=a.gwf", "H1=b.gwf"])
    {'H1': (PosixPath('a.gwf'), PosixPath('b.gwf')), 'L1': (PosixPath('l.gwf'),)}
    """
    files: dict[str, tuple[Path, ...]] = {}
    for word in words:
        detector, equals, value = word.partition("=")
        if not equals or not detector or not value:
            raise ConfigError(f"--strain {word!r}: write DETECTOR=FILE, such as H1=file")
        require_capitals("--strain", detector)
        found = matching(Path(value), f"--strain {word}")
        if repeated := set(found) & set(files.get(detector, ())):
            raise ConfigError(f"--strain gives {detector} the file {repeated.pop()} twice: give each file once")
        files[detector] = files.get(detector, ()) + found
    return dict(sorted(files.items()))


def matching(path: Path, where: str) -> tuple[Path, ...]:
    """The file, or all that a pattern fits; `where` opens the message of the ConfigError where it fits none."""
    if path.exists() or not glob.has_magic(str(path)):
        return (path,)
    found = tuple(map(Path, sorted(glob.glob(str(path)))))
    if not found:
        raise ConfigError(f"{where}: no file fits: check the pattern")
    return found


def strain_words(files: Files) -> list[str]:
    """Files as words of a command line.

    Examples
    --------
    >>> strain_words({"H1": (Path("a.gwf"), Path("b.gwf"))})
    ['--strain', 'H1=a.gwf', '--strain', 'H1=b.gwf']
    """
    return [word for detector, paths in files.items() for path in paths for word in ("--strain", f"{detector}={path}")]


def record(paths: Sequence[Path], shown: Sequence[str] | None = None) -> dict[str, Any]:
    """Names and checksums of a detector's files, for a configuration: words where there is one, lists where there are several."""
    from gwsurrogate_ml.artifacts import sha256

    names, sums = list(shown or map(str, paths)), [sha256(path) for path in paths]
    return {"file": names[0], "sha256": sums[0]} if len(paths) == 1 else {"file": names, "sha256": sums}
