"""The table of hostile calls: what is asked of which entry point, and what has to come of it.

A call either gives a clear error, or survives and returns. A clear error is a `GwsmlError` (on the command line: status 2 and one
message without a traceback) of the expected class, in one sentence that names the culprit, with nothing left on disk.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from gwsurrogate_ml.errors import GwsmlError


class CommandError(GwsmlError):
    """A command ended with status 2 and one message."""


class Outcome(StrEnum):
    """What came of a case."""

    CLEAR = "clear error"
    RECOVERED = "recovered"
    FAILED = "failed"


@dataclass(frozen=True)
class Room:
    """A case's own folder: input goes into `inside`, output to `out`, which is not there before."""

    path: Path

    @property
    def inside(self) -> Path:
        """Folder for what the call reads."""
        folder = self.path / "in"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def out(self) -> Path:
        """Where the call may write."""
        return self.path / "out"

    def left(self) -> list[str]:
        """Names of what a call left outside of `inside`."""
        return sorted(entry.name for entry in self.path.iterdir() if entry.name != "in")


@dataclass(frozen=True)
class Case:
    """One hostile call.

    Attributes
    ----------
    entry : public entry point or command
    name : what is wrong
    call : takes a Room; asserts what it returns itself where it is to survive
    error : class of the clear error; None where the call has to survive
    said : words that the message must hold: the culprit, and where it matters the remedy
    """

    entry: str
    name: str
    call: Callable[[Room], Any]
    error: type[GwsmlError] | None
    said: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """For the test's name."""
        return f"{self.entry}: {self.name}"


CASES: list[Case] = []


def refuses(entry: str, name: str, call: Callable[[Room], Any], error: type[GwsmlError], *said: str) -> None:
    """Add a case that must end in a clear error."""
    CASES.append(Case(entry, name, call, error, said))


def survives(entry: str, name: str, call: Callable[[Room], Any]) -> None:
    """Add a case that must come out right all the same; `call` asserts it."""
    CASES.append(Case(entry, name, call, None))


def judge(case: Case, folder: Path) -> tuple[Outcome, str]:
    """Make the call in `folder`, and say what came of it and why."""
    room = Room(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case.call(room)
    except GwsmlError as error:
        fault = _fault(case, str(error), error, room)
        return (Outcome.FAILED, fault) if fault else (Outcome.CLEAR, str(error))
    except Exception as error:
        return Outcome.FAILED, f"{type(error).__name__}: {error}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if case.error is None:
        return Outcome.RECOVERED, ""
    return Outcome.FAILED, "no error: the call returned"


def _fault(case: Case, message: str, error: GwsmlError, room: Room) -> str:
    """What is wrong with a refusal; empty where it is a clear error."""
    if case.error is None:
        return f"refused: {message}"
    if not isinstance(error, case.error):
        return f"{type(error).__name__} where {case.error.__name__} is right: {message}"
    if missing := [words for words in case.said if words not in message]:
        return f"{missing[0]!r} is not in the message: {message}"
    if not 20 < len(message) < 900 or "Traceback" in message or "object at 0x" in message:
        return f"no sentence for a reader: {message}"
    if left := room.left():
        return f"{left[0]!r} is left on disk after: {message}"
    return ""


def gwsml(*words: object) -> str:
    """Run a command in this process; its stdout.

    Raises
    ------
    CommandError
        for status 2 with exactly one message on stderr, nothing on stdout and no traceback
    AssertionError
        for any other end but success
    """
    from typer.testing import CliRunner

    from gwsurrogate_ml.cli.main import app

    result = CliRunner().invoke(app, [str(word) for word in words])
    if result.exit_code == 0:
        return result.stdout
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise AssertionError(f"a raw {type(result.exception).__name__}: {result.exception}") from result.exception
    messages = [line for line in result.stderr.splitlines() if line.startswith("gwsml: error:")]
    usage = "Usage:" in result.stderr and "Error" in result.stderr
    assert result.exit_code == 2, f"status {result.exit_code}: {result.output}"
    assert len(messages) + usage == 1, f"not one message: {result.stderr}"
    assert "Traceback" not in result.output
    assert result.stdout == "", result.stdout
    raise CommandError(messages[0] if messages else " ".join(result.stderr.split("Error", 1)[1].replace("│", " ").split()))
