"""The folder that keeps the steps of an analysis until its output is there, and whose they are.

An analysis keeps its steps in ``FOLDER.unfinished``: the same command goes on from there after a kill, another one is refused.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gwsurrogate_ml.errors import ConfigError, GwsmlError
from gwsurrogate_ml.files import locked, write_whole
from gwsurrogate_ml.inference.sampling.checkpoint import SUFFIX, clear

UNFINISHED, OWNER = ".unfinished", "command.json"
"""End of the folder's name, and its file that says whose the steps are."""


def steps_of(folder: Path) -> Path:
    """The folder for the steps of an analysis whose output is `folder`."""
    place = folder.expanduser().resolve()
    return place.with_name(place.name + UNFINISHED)


def _names(steps: Path) -> set[str]:
    """Those of all runs of an analysis, each in a folder of its own where there are several."""
    return {str(path.relative_to(steps)) for path in steps.rglob(f"*{SUFFIX}")} if steps.is_dir() else set()


def kept(steps: Path) -> bool:
    """Whether a folder holds steps."""
    return bool(_names(steps))


def taken(steps: Path, analysis: Mapping[str, Any]) -> str:
    """The command whose steps `steps` holds, or that is at work there, if its analysis is not `analysis`; else empty."""
    try:
        record = json.loads((steps / OWNER).read_text())
        other, command = record["analysis"] != json.loads(json.dumps(analysis)), shlex.join(["gwsml", *record["command"]])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return command if other and (kept(steps) or _at_work(steps)) else ""


def _at_work(steps: Path) -> bool:
    """Whether a living process holds the folder."""
    try:
        lock = locked(steps)
    except BlockingIOError:
        return True
    except OSError:
        return False
    if lock is not None:
        os.close(lock)
    return False


@contextmanager
def unfinished(folder: Path, analysis: Mapping[str, Any], command: Sequence[str]) -> Iterator[Path]:
    """The folder beside `folder` for the steps of its analysis; they stay until `folder` is there, whatever ends the run.

    Parameters
    ----------
    folder : Path
        output of the analysis
    analysis : mapping
        what fixes it, in values of JSON
    command : sequence of str
        words after ``gwsml`` that go on with it

    Raises
    ------
    ConfigError
        if the folder holds steps of another analysis, or another one is at work there
    """
    steps = steps_of(folder)
    if of := taken(steps, analysis):
        raise ConfigError(
            f"{steps} holds the unfinished run of `{of}`: give that command again, delete the folder, or choose another --out"
        )
    before, claimed = _names(steps), (steps / OWNER).exists()
    lock, own, missing = None, True, [parent for parent in steps.parents if not parent.exists()]
    # Where that cannot be done, the analysis says so when it writes, or goes on without steps.
    with suppress(OSError, GwsmlError):
        steps.mkdir(parents=True, exist_ok=True)
        try:
            lock = locked(steps)
        except BlockingIOError:
            own = False  # the same analysis is at work there: it clears the folder
        write_whole(steps / OWNER, json.dumps({"analysis": analysis, "command": list(command)}) + "\n")
    try:
        yield steps
        if own:
            with suppress(OSError):
                (steps / OWNER).unlink()
            clear(steps)
    except KeyboardInterrupt:
        if kept(steps):
            raise KeyboardInterrupt(f"what was done is kept in {steps}: the same command goes on from there") from None
        raise
    finally:
        left = _names(steps)
        if own and (not left or (left == before and not claimed)):
            # A run that was refused before its first step leaves what it found.
            with suppress(OSError):
                (steps / OWNER).unlink(missing_ok=True)
            for empty in (steps, *missing):  # deepest first
                with suppress(OSError):
                    empty.rmdir()
        if lock is not None:
            os.close(lock)
