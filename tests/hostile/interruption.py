"""Runs that are killed and resumed; each function asserts what holds afterwards and says how many kills it survived."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml import artifacts

ROOT = Path(__file__).resolve().parents[2]
KILLED = -signal.SIGKILL


class Zygote:
    """The process of `zygote`, asked for runs."""

    def __enter__(self) -> Zygote:
        threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.zygote"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env=os.environ | threads | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def run(self, job: str, arguments: dict[str, Any], **moment: Any) -> dict[str, Any]:
        """How a run ended; see `zygote` for the moments."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"job": job, "arguments": arguments, **moment}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def killed_before_every_change(zygote: Zygote, folder: Path) -> int:
    """A model and an output folder are replaced; the run dies before each of its changes to the disk in turn."""
    out = folder / "kept"
    assert zygote.run("save", {"out": str(out), "value": 1.0})["ended"] == 0
    spare = folder / "spare"
    shutil.copytree(out, spare)
    events = zygote.run("save", {"out": str(spare), "value": 2.0}, watch=str(spare))["events"]
    for event in range(1, events + 1):
        work = folder / f"work{event}"
        shutil.copytree(out, work)
        died = zygote.run("save", {"out": str(work), "value": 2.0}, watch=str(work), event=event)
        assert died["ended"] == KILLED, died
        _, tensors = artifacts.load(work / "model", "surrogate")  # checks its checksum
        assert tensors["a"][0] in (1.0, 2.0)
        value = json.loads((work / "run" / "summary.json").read_text())["value"]
        assert (work / "run" / "report.html").read_text() == f"<p>{value}</p>" * 999
        assert {path.name for path in (work / "run").iterdir()} == {"config.json", "report.html", "summary.json"}
        os.utime(work)
        for hidden in work.glob(".*"):
            os.utime(hidden, (0, 0))  # as a minute later: even an empty leftover is old then
        assert zygote.run("save", {"out": str(work), "value": 3.0})["ended"] == 0
        assert sorted(path.name for path in work.iterdir()) == ["model", "run"], "leftovers of the killed run"
        assert artifacts.load(work / "model", "surrogate")[1]["a"][0] == 3.0
        shutil.rmtree(work)
    return events


def _weights(folder: Path, kind: str) -> dict[str, np.ndarray]:
    return artifacts.load(folder, kind)[1]


def _killed_until_done(
    zygote: Zygote, job: str, arguments: dict[str, Any], out: Path, kind: str, rng: np.random.Generator, kills: int
) -> int:
    """Kill a training at random moments of what is left of it, resume, and compare with one that ran through."""
    whole = out.with_name("whole")
    reference = zygote.run(job, arguments | {"out": str(whole)})
    assert reference["ended"] == 0
    done = 0
    for _ in range(kills):
        ended = zygote.run(job, arguments | {"out": str(out)}, after=float(rng.uniform(0.05, 0.4) * reference["seconds"]))
        if ended["ended"] == 0:
            break
        assert ended["ended"] == KILLED
        done += 1
        assert not out.exists() or _weights(out, kind)
    assert zygote.run(job, arguments | {"out": str(out)})["ended"] == 0
    one, other = _weights(whole, kind), _weights(out, kind)
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[key], other[key]) for key in one)
    left = [path.name for path in out.parent.iterdir() if path.name.startswith(f".{out.name}")]
    assert left == [], left
    return done


def killed_in_surrogate_training(zygote: Zygote, folder: Path, seed: int = 0, kills: int = 6) -> int:
    from tests.hostile.command_cases import eob
    from tests.hostile.table import Room

    data = eob(Room(folder))
    return _killed_until_done(
        zygote, "train_surrogate", {"eob": str(data)}, folder / "m", "surrogate", np.random.default_rng(seed), kills
    )


def killed_in_estimator_training(zygote: Zygote, folder: Path, seed: int = 1, kills: int = 5) -> int:
    from tests.hostile.command_cases import TINY

    training = {"steps": 30, "batch": 16, "validation": 32, "checkpoint_every": 5, "log_every": 10, "warm_up": 2}
    settings = TINY | {"training": training}
    done = _killed_until_done(
        zygote, "train_estimator", {"settings": settings}, folder / "m", "estimator", np.random.default_rng(seed), kills
    )
    assert [path.name for path in (folder / "m.training").iterdir()] == ["log.jsonl"]
    return done


def killed_in_validation(zygote: Zygote, folder: Path, seed: int = 2, kills: int = 12) -> int:
    """Records of events analysed are neither lost nor doubled, and the killed runs' half-written files are in nobody's way."""
    rng = np.random.default_rng(seed)
    out, done, kept = folder / "v", 0, 0
    arguments = {"out": str(out), "n": 40, "slow": 0.004}
    through = zygote.run("validate", arguments | {"out": str(folder / "whole"), "slow": 0.0}, watch=str(folder))
    assert through["ended"] == 0, "the run that nobody kills"
    events = through["events"]
    for i in range(kills + events):
        moment = {"after": float(rng.uniform(0.02, 0.12))} if i < kills else {"watch": str(folder), "event": i - kills + 1}
        if zygote.run("validate", arguments, **moment)["ended"] == KILLED:
            done += 1
        path = out / "injections.jsonl"
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        assert [json.loads(line)["number"] for line in lines[1:]] == list(range(max(len(lines) - 1, 0)))
        assert len(lines) >= kept, "records were lost"
        kept = len(lines)
        card = out / "card.json"
        assert not card.exists() or json.loads(card.read_text()) == {"n": 40}
    assert zygote.run("validate", arguments)["ended"] == 0
    assert {path.name for path in out.iterdir()} == {"injections.jsonl", "card.json", "card.md"}
    whole = (folder / "whole" / "injections.jsonl").read_text()
    assert (out / "injections.jsonl").read_text() == whole
    return done


def killed_in_analysis(
    zygote: Zygote, folder: Path, files: dict[str, Path], seed: int = 3, kills: int = 4, every_change: bool = True
) -> int:
    """A killed `gwsml analyze` leaves no output, goes on from its last step, and comes out as one that ran through.

    At random moments of the whole run, then before changes to the disk, ever later ones: between these lie the steps.
    """
    rng = np.random.default_rng(seed)
    out, steps = folder / "out", folder / "out.unfinished"
    strain = [word for name, path in files.items() for word in ("--strain", f"{name}={path}")]
    words = ["analyze", *strain, "--gps", "1126259462.4", "--n-draws", "5000", "--out", str(out)]
    whole = zygote.run("analyze", {"words": [*words[:-1], str(folder / "whole")]}, watch=str(folder))
    assert whole["ended"] == 0, "the run that nobody kills"
    moments: list[dict[str, Any]] = [{"after": float(rng.uniform(0.05, 0.6) * whole["seconds"])} for _ in range(kills)]
    if every_change:
        # The first changes of each run are those of its hidden folder; then comes what is new: a step.
        moments += [{"watch": str(folder), "event": event} for event in range(2, 24, 4)]
    done, most, seen = 0, 0, 0
    for moment in moments:
        ended = zygote.run("analyze", {"words": words}, **moment)
        if ended["ended"] == 0:  # sooner than the run that nobody killed: begin anew
            shutil.rmtree(out)
            most = 0
            continue
        assert ended["ended"] == KILLED, ended
        done += 1
        assert not out.exists(), "a killed run left an output"
        kept = len(list(steps.glob("[!.]*.step")))
        assert kept >= most, "steps were lost"
        most, seen = kept, max(seen, kept)
    assert seen > 0, "no step was kept"
    for hidden in folder.glob(".*"):
        os.utime(hidden, (0, 0))
    assert zygote.run("analyze", {"words": words})["ended"] == 0
    assert sorted(path.name for path in folder.iterdir()) == ["out", "whole"]
    one, other = (json.loads((place / "summary.json").read_text()) for place in (out, folder / "whole"))
    for summary in (one, other):
        del summary["inference"]["seconds"]
    assert one == other
    return done
