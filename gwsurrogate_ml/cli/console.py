"""What all commands share on the terminal: one-line errors and warnings, progress, and results on stdout.

Results go to stdout (as JSON with ``--json``); progress, warnings and errors go to stderr, so that stdout can be piped.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from typer.core import TyperGroup

from gwsurrogate_ml.errors import GwsmlError
from gwsurrogate_ml.files import plain

EXIT_ERROR, EXIT_INTERRUPTED, EXIT_TERMINATED = 2, 130, 143
SILENT_WARNINGS = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning, ResourceWarning)


def stdout() -> Console:
    """Console for results."""
    return Console(highlight=False)


def stderr() -> Console:
    """Console for progress, warnings and errors."""
    return Console(stderr=True, highlight=False)


def echo_json(content: Any) -> None:
    """Print `content` as JSON on stdout."""
    typer.echo(json.dumps(plain(content), indent=1))


def complain(kind: str, message: str) -> None:
    """Print `message` to stderr as one line: ``gwsml: kind: message``."""
    style = "bold red" if kind == "error" else "yellow"
    text = " ".join(str(message).split())
    console = stderr()
    console.print(f"gwsml: {kind}:", style=style, end=" ", markup=False)
    console.print(text, markup=False, soft_wrap=True)


class _LogLines(logging.Handler):
    """Log records of the package as one-line warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        complain(record.levelname.lower(), record.getMessage())


def _quiet_show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    complain("warning", str(message))


_AGAIN: list[threading.Timer] = []
"""Signals that are to come once more."""


def _unwind(number: int, frame: FrameType | None) -> None:
    """End the command by an exception, which unwinds the stack, so that unfinished output is removed.

    Compiled functions call Python to read their arguments and constants, and take no exception there: an interrupt is lost then, or
    turns up as another error, or memory is damaged (seen with numba 0.68). So the signal comes once more a little later.
    """
    at = frame
    while at is not None:
        if str(at.f_globals.get("__name__", "")).partition(".")[0] == "numba":
            _AGAIN.append(threading.Timer(0.005, os.kill, (os.getpid(), number)))
            _AGAIN[-1].daemon = True
            _AGAIN[-1].start()
            return
        at = at.f_back
    if number == signal.SIGTERM:
        sys.exit(EXIT_TERMINATED)
    raise KeyboardInterrupt


@contextmanager
def orderly() -> Iterator[None]:
    """Errors of the package, an interrupt and a termination end the command with one line, after its cleaning up.

    Raises
    ------
    typer.Exit
        with status 2 for a `GwsmlError`, 130 for an interrupt; SystemExit with 143 for SIGTERM
    """

    handler, package = _LogLines(logging.WARNING), logging.getLogger("gwsurrogate_ml")
    package.addHandler(handler)
    # What a shell told the process to ignore, an interrupt of a job in the background, stays ignored.
    heard = [number for number in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    previous = {number: signal.signal(number, _unwind) for number in heard}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            for category in SILENT_WARNINGS:
                warnings.simplefilter("ignore", category)
            warnings.filterwarnings("ignore", message=".*Wswiglal-redir-stdio.*")
            warnings.showwarning = _quiet_show
            yield
    except GwsmlError as error:
        complain("error", str(error))
        raise typer.Exit(EXIT_ERROR) from None
    except KeyboardInterrupt as interrupt:
        complain("error", f"interrupted; {interrupt}" if str(interrupt) else "interrupted; the output folder was not written")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    finally:
        while _AGAIN:  # the command is over
            _AGAIN.pop().cancel()
        for number, before in previous.items():
            signal.signal(number, before)
        package.removeHandler(handler)


class OrderlyGroup(TyperGroup):
    """Command group whose commands run inside `orderly`."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; see `orderly`."""
        with orderly():
            return super().invoke(ctx)


class ProgressReport:
    """Progress as a callback: bars with the time left on a terminal, plain lines otherwise.

    Use as a context manager; call it with the name of the stage, the steps done and their number.

    Parameters
    ----------
    every : float, s
        least time between two plain lines of one stage

    Examples
    --------
    >>> with ProgressReport() as progress:
    ...     progress("drawing", 10, 100)
    """

    def __init__(self, every: float = 10.0) -> None:
        self.every = every
        self.console = stderr()
        self._bars: Progress | None = None
        self._tasks: dict[str, Any] = {}
        self._started: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def __enter__(self) -> ProgressReport:
        if self.console.is_terminal:
            self._bars = Progress(
                SpinnerColumn(finished_text="[green]✓[/green]"),
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(elapsed_when_finished=True),
                console=self.console,
            )
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, stage: str, done: int = 0, total: int = 1) -> None:
        """Report that `done` of `total` steps of `stage` are done."""
        if self._bars is not None:
            if stage not in self._tasks:
                self._tasks[stage] = self._bars.add_task(stage, total=total)
            elif self._bars.tasks[self._tasks[stage]].finished and done < total:
                self._bars.reset(self._tasks[stage])  # a stage that comes again starts anew
            self._bars.update(self._tasks[stage], completed=done, total=total)
            return
        now = time.monotonic()
        first = stage not in self._started
        finished = done >= total
        if first and finished and stage in self._last:
            return  # said already
        started = self._started.setdefault(stage, now)
        if not first and not finished and now - self._last[stage] < self.every:
            return
        self._last[stage] = now
        if first and done > 0 and not finished:
            return  # the next call can say how fast it goes
        line = stage if done == 0 else f"{stage}: {done}/{total}"
        if finished:
            del self._started[stage]  # a stage that comes again starts anew
            line = f"{stage}: done" if first else f"{stage}: done in {now - started:.1f} s"
        elif done > 0 and now > started:
            line += f", about {(now - started) * (total - done) / done:.0f} s left"
        self.console.print(line, markup=False, soft_wrap=True)

    def say(self, sentence: str) -> None:
        """Print a sentence among the progress."""
        self.console.print(sentence, markup=False, soft_wrap=True)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """A stage of one step: announced when the block starts, done when it ends."""
        self(name, 0, 1)
        yield
        self(name, 1, 1)
