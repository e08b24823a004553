"""Errors, warnings, interrupts and progress on the terminal."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import warnings

import pytest
import typer
from typer.testing import CliRunner

from gwsurrogate_ml.cli.console import OrderlyGroup, ProgressReport, _unwind
from gwsurrogate_ml.errors import DataError, DomainWarning

runner = CliRunner()


def make_app() -> typer.Typer:
    app = typer.Typer(cls=OrderlyGroup, pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise DataError("H1: file is [broken]\n  get it again")

    @app.command()
    def warn() -> None:
        warnings.warn("chi_1 is 0.95: extrapolated", DomainWarning, stacklevel=1)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        logging.getLogger("gwsurrogate_ml.strain").warning("H1 fails CAT2")
        typer.echo("result")

    @app.command()
    def interrupt() -> None:
        raise KeyboardInterrupt

    @app.command()
    def terminate() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    return app


def test_error_is_one_line_on_stderr_with_status_2() -> None:
    result = runner.invoke(make_app(), ["fail"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == "gwsml: error: H1: file is [broken] get it again\n"


def test_warnings_are_one_line_each_and_leave_stdout_alone() -> None:
    result = runner.invoke(make_app(), ["warn"])
    assert result.exit_code == 0
    assert result.stdout == "result\n"
    assert result.stderr.splitlines() == [
        "gwsml: warning: chi_1 is 0.95: extrapolated",
        "gwsml: warning: H1 fails CAT2",
    ]


def test_interrupt_ends_with_130() -> None:
    result = runner.invoke(make_app(), ["interrupt"])
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


def test_termination_ends_with_143_and_the_handler_is_restored() -> None:
    before = signal.getsignal(signal.SIGTERM)
    result = runner.invoke(make_app(), ["terminate"])
    assert result.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_progress_without_a_terminal_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressReport(every=0.0) as progress:
        progress("drawing", 0, 4)
        progress("drawing", 2, 4)
        progress("drawing", 4, 4)
        with progress.stage("loading"):
            pass
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "drawing"
    assert lines[1].startswith("drawing: 2/4, about ")
    assert lines[1].endswith(" s left")
    assert lines[2].startswith("drawing: done in ")
    assert lines[3] == "loading"


def test_a_stage_that_comes_again_starts_anew(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressReport() as progress:
        for _ in range(2):
            progress("pilot", 0, 4)
            progress("pilot", 4, 4)
        progress("pilot", 4, 4)
    lines = [line.split(" in ")[0] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["pilot", "pilot: done", "pilot", "pilot: done"]  # what was said is not said twice


def test_progress_spares_lines_between_first_and_last(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressReport(every=60.0) as progress:
        for done in range(101):
            progress("drawing", done, 100)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_an_interrupt_within_a_compiled_function_comes_when_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """numba takes no exception where compiled code asks Python for its constants: 2 of 14 interrupts ended in a fault of memory."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *call: sent.append(call))
    inside = {"__name__": "numba.core.serialize", "sys": sys}
    exec("def frame(): return sys._getframe()", inside)
    for number in (signal.SIGINT, signal.SIGTERM):
        _unwind(number, inside["frame"]())
    deadline = time.monotonic() + 5.0
    while len(sent) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(sent) == sorted((os.getpid(), number) for number in (signal.SIGINT, signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt):
        _unwind(signal.SIGINT, sys._getframe())
    with pytest.raises(SystemExit):
        _unwind(signal.SIGTERM, sys._getframe())


@pytest.mark.slow
@pytest.mark.process
def test_interrupts_at_any_moment_end_in_order() -> None:
    """Interrupts by the hundred while waveforms are made: none is lost, none becomes another error."""
    code = """
import random, signal, sys, time
import numpy as np
import gwsurrogate_ml as gw
from gwsurrogate_ml.cli.console import _unwind
signal.signal(signal.SIGINT, _unwind)
signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
model, rng = gw.load_surrogate("nr22"), random.Random(1)
binary = dict(mass_1=36.0, mass_2=29.0, chi_1=0.1, chi_2=0.0, f_min=20.0, sampling_frequency=2048.0, duration=4.0,
              luminosity_distance=400.0, theta_jn=0.3, phase=0.1)
model.frequency_domain_polarizations(**binary)
count, end = 0, time.monotonic() + 8.0
while time.monotonic() < end:
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-4, 4e-3))
        while True:
            model.frequency_domain_polarizations(**binary)
    except KeyboardInterrupt:
        count += 1
print(count)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) > 100
