"""Training in two processes: gradients are those of the whole batch, what was interrupted resumes, the first one writes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference import LalModel, train_estimator
from gwsurrogate_ml.inference.training.processes import MeanLoss, Processes, relaunch

SETTINGS = {
    "name": "tiny",
    "surrogate": "lal:IMRPhenomD",
    "segment": {"f_max": 512.0},
    "simulator": {"bank_size": 300, "basis_size": 60, "network_basis_size": 20, "templates": 8, "psds": 3, "groups": 2, "pool": 4},
    "network": {"width": 32, "blocks": 1, "context": 8, "transforms": 2, "hidden": [16]},
    "training": {"steps": 10, "batch": 64, "checkpoint_every": 4, "log_every": 5, "warm_up": 4, "validation": 256,
                 "live_events": 0},
}  # fmt: skip

WORKER = """
import json, os, sys
from pathlib import Path
import numpy as np, torch
sys.path.insert(0, sys.argv[3])
from test_processes import Tiny, observations
from gwsurrogate_ml.inference import LalModel, train_estimator
from gwsurrogate_ml.inference.training import processes

folder = Path(sys.argv[2])
rank = int(os.environ["RANK"])
clip, calls = torch.nn.utils.clip_grad_norm_, []

def progress(stage, done, total):
    with (folder / "progress").open("a") as stream:
        stream.write(f"{rank} {stage} {done}\\n")

def interrupted(*arguments):
    calls.append(arguments)
    if len(calls) == 7:
        raise InterruptedError
    return clip(*arguments)

torch.set_num_threads(1)
torch.nn.utils.clip_grad_norm_ = interrupted
with processes.processes() as here:
    torch.manual_seed(rank)  # parameters differ, until the first process's count
    network = Tiny()
    z, x = observations()
    part = slice(rank * 8, rank * 8 + 8)
    loss = here.together(processes.MeanLoss(network))
    loss(z[part], x[part]).backward()
    rows = np.arange(10.0).reshape(5, 2)
    assert np.array_equal(here.joined(rows[here.part(5)]), rows)
    assert here.agreed(rank == 0) and not here.agreed(rank == 1)
    torch.save(network.layer.weight.grad, folder / f"gradient{rank}.pt")
    for attempt in range(2):
        try:
            train_estimator(json.loads(sys.argv[1]), folder / "tiny", model=LalModel(), progress=progress)
        except InterruptedError:
            assert attempt == 0
"""


class Tiny(nn.Module):
    """A network of which nothing but the loss is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def loss(self, z: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        return ((self.layer(features) - z) ** 2).sum(1)


def observations() -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    return torch.tensor(rng.standard_normal((16, 4)).astype("f4")), torch.tensor(rng.standard_normal((16, 3)).astype("f4"))


@pytest.mark.slow
@pytest.mark.process
def test_two_processes_train_one_network_and_resume(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    arguments = [str(script), json.dumps(SETTINGS), str(tmp_path), str(Path(__file__).parent)]
    run = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]

    torch.manual_seed(0)
    whole = Tiny()
    MeanLoss(whole)(*observations()).backward()
    for rank in (0, 1):
        gradient = torch.load(tmp_path / f"gradient{rank}.pt")
        torch.testing.assert_close(gradient, whole.layer.weight.grad, rtol=1e-5, atol=1e-6)

    steps = [line.split() for line in (tmp_path / "progress").read_text().splitlines()]
    assert {rank for rank, _, _ in steps} == {"0"}  # of two, one reports
    assert [int(done) for _, stage, done in steps if stage == "train"] == [*range(1, 7), *range(5, 11)]
    card, tensors = artifacts.load(tmp_path / "tiny", "estimator")
    assert card["metrics"]["processes"] == 2
    assert card["metrics"]["samples"] == 10 * 64
    assert all(np.isfinite(value).all() for value in tensors.values())
    # Of the same waveforms, spectra and functions as one process alone.
    alone = train_estimator(SETTINGS | {"training": SETTINGS["training"] | {"steps": 1}}, tmp_path / "alone", model=LalModel())
    first = artifacts.load(alone, "estimator")
    for name in ("functions.real", "templates.real", "reference.real"):
        np.testing.assert_allclose(tensors[name], first[1][name], rtol=1e-3, atol=1e-3 * np.abs(first[1][name]).max())
    lines = [json.loads(line) for line in (tmp_path / "tiny.training" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10]  # the fifth once, though it was done twice: the checkpoint is of the fourth
    assert [path.name for path in (tmp_path / "tiny.training").iterdir()] == ["log.jsonl"]


@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see whether a process runs")
def test_a_process_ends_when_its_launcher_is_killed(tmp_path: Path) -> None:
    worker = f"""
import os, pathlib, time
from gwsurrogate_ml.inference.training.processes import processes
with processes():
    pathlib.Path({str(tmp_path / "pid")!r}).write_text(str(os.getpid()))
    time.sleep(300)
"""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    start = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {worker!r}])"
    launcher = subprocess.Popen([sys.executable, "-c", start], env=os.environ | place)
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
    pid = int((tmp_path / "pid").read_text())
    launcher.kill()
    launcher.wait()
    wait_until(lambda: not alive(pid))


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not asked for its status does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(ConfigError, match="multiple"):
        Processes(0, 3).share(64)


def test_streams_differ_between_processes_and_one_process_has_its_own() -> None:
    seeds = [tuple(Processes(rank, size).seed(1, 10, 5)) for size in (1, 2, 3) for rank in range(size)]
    assert len(set(seeds)) == 6
    assert seeds[0] == (1, 10, 5)


def test_the_command_starts_itself_in_as_many_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda program, command: started.append([program, *command]))
    monkeypatch.setattr(sys, "argv", ["gwsml", "train", "estimator", "x.toml", "--devices", "2"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    relaunch(2)
    assert started[0][:2] == [sys.executable] * 2
    assert started[0][-7:] == ["-m", "gwsurrogate_ml.cli.main", *sys.argv[1:]]
    assert "--nproc-per-node=2" in started[0]
    monkeypatch.setenv("WORLD_SIZE", "2")  # as the processes started see it
    relaunch(2)
    assert len(started) == 1
    monkeypatch.delenv("WORLD_SIZE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="1 GPUs"):
        relaunch(2)
