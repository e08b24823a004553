"""A process that has imported everything and forks a child for each run, so that runs can be killed cheaply and often.

`python -m tests.hostile.zygote` reads one JSON object a line from stdin: the name of a job, its arguments, and when to die:
`after` seconds, or before the `event`-th change to the file system below `watch` (opening to write, making, renaming, removing).
It answers one JSON object a line: how the child ended (a negative signal's number where it was killed), the seconds it took and the
events that it counted.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink"}


def train_surrogate(eob: str, out: str) -> None:
    from gwsurrogate_ml.surrogate.config import load_config
    from gwsurrogate_ml.surrogate.train import train_surrogate as train

    small = {
        "inspiral": "",
        "members": 2,
        "width": 8,
        "depth": 1,
        "n_basis": 4,
        "batch_size": 16,
        "epochs": 60,
        "degree": 2,
        "validation_fraction": 0.2,
    }
    train(load_config("nr22", {"eob": eob, **small}), Path(out))


def train_estimator(settings: dict[str, Any], out: str) -> None:
    from gwsurrogate_ml.inference import LalModel
    from gwsurrogate_ml.inference import train_estimator as train

    train(settings, out, model=LalModel())


def save(out: str, value: float) -> None:
    """A model and a command's output folder, over earlier ones."""
    import numpy as np

    from gwsurrogate_ml import artifacts
    from gwsurrogate_ml.cli.output import output_folder, write_json

    artifacts.save(Path(out) / "model", {"name": "x", "kind": "surrogate"}, {"a": np.full(9, value)})
    with output_folder(Path(out) / "run", {"command": "test", "value": value}) as output:
        write_json(output.path / "summary.json", {"value": value})
        (output.path / "report.html").write_text(f"<p>{value}</p>" * 999)


def validate(out: str, n: int, slow: float) -> None:
    """The command's own records and card; each event is made up, as in the tests of the card, and takes `slow` seconds."""
    import numpy as np

    from gwsurrogate_ml.cli import validate as command
    from gwsurrogate_ml.conventions import INTRINSIC, PARAMETERS
    from gwsurrogate_ml.files import write_whole
    from gwsurrogate_ml.inference.calibration import campaign
    from gwsurrogate_ml.inference.calibration.cards import run_injections

    class Estimator:
        info = {"name": "made-up", "weights_sha256": "0"}  # noqa: RUF012
        model = SimpleNamespace(identity={"name": "made-up"})

    def event(estimator: Any, number: int, seed: int, n_draws: int, *options: Any) -> dict[str, Any]:
        time.sleep(slow)
        rng = np.random.default_rng([seed, number])
        draw = lambda names: {name: float(rng.random()) for name in names}  # noqa: E731
        return {"number": number, "rank": draw(PARAMETERS), "raw_rank": draw(INTRINSIC)}

    campaign.analyse_injection = event
    folder = command.validation_folder(Path(out))
    records = run_injections(Estimator(), n, folder / command.RECORDS, seed=3, n_draws=1000)
    write_whole(folder / "card.json", json.dumps({"n": len(records)}).encode())
    write_whole(folder / "card.md", b"# card\n" * 999)


def analyze(words: list[str]) -> None:
    from gwsurrogate_ml.cli.main import app

    app(words, standalone_mode=False)


JOBS: dict[str, Callable[..., None]] = {job.__name__: job for job in (train_surrogate, train_estimator, save, validate, analyze)}


def _watch(folder: str, deadly: int, report: int) -> None:
    """Count changes below `folder`, and die before number `deadly` (0: never); the count goes to the pipe `report`."""
    count = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        writes = event == "open" and isinstance(arguments[1], str) and arguments[1][:1] in ("w", "a", "x")
        if (writes or event in CHANGES) and any(folder in os.fsdecode(a) for a in arguments[:2] if isinstance(a, (str, bytes))):
            count += 1
            if count == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
            os.pwrite(report, count.to_bytes(8, "little"), 0)

    sys.addaudithook(hook)


def child(request: dict[str, Any], report: int) -> int:
    """Run a job in this (forked) process."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    if not os.environ.get("HOSTILE_LOUD"):
        os.dup2(null, 2)
    if "watch" in request:
        _watch(request["watch"], request.get("event", 0), report)
    try:
        JOBS[request["job"]](**request["arguments"])
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def main() -> None:
    """Serve until stdin ends."""
    import tempfile

    import torch
    import torch._dynamo  # which the first optimiser would import

    # What the jobs import, once and not in every child.
    for name in ("cli.validate", "inference.calibration.campaign", "inference.calibration.cards", "surrogate.train"):
        importlib.import_module(f"gwsurrogate_ml.{name}")

    torch.set_num_threads(1)
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        with tempfile.TemporaryFile() as count:
            begin = time.monotonic()
            pid = os.fork()
            if pid == 0:
                os._exit(child(request, count.fileno()))
            timer = threading.Timer(request.get("after", 3600.0), os.kill, (pid, signal.SIGKILL))
            timer.start()
            _, status = os.waitpid(pid, 0)
            timer.cancel()
            events = int.from_bytes(os.pread(count.fileno(), 8, 0), "little")
        ended = os.waitstatus_to_exitcode(status)
        print(json.dumps({"ended": ended, "seconds": time.monotonic() - begin, "events": events}), flush=True)


if __name__ == "__main__":
    main()
