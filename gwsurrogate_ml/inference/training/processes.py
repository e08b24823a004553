"""Training in several processes, one for each GPU, by PyTorch's DistributedDataParallel.

`torchrun` starts the processes and tells each its place; without it there is one, and nothing here costs anything. Each
simulates its share of every batch and its part of the waveforms, which all then have; gradients are averaged over all, and the
first process alone validates, logs and writes.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np
import torch
from torch import nn

from gwsurrogate_ml.errors import ConfigError

_PATIENCE = timedelta(hours=12)
"""Processes wait for one another's waveforms and the first one's validation this long."""
_LOOK = 2.0
"""Seconds between looks at whether the launcher still runs."""


@dataclass(frozen=True)
class Processes:
    """The place of this process among those that train together.

    Attributes
    ----------
    rank, size : int
    device : torch.device
        its GPU, where several processes train and CUDA is there; else the CPU
    """

    rank: int = 0
    size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this process validates, logs and writes."""
        return self.rank == 0

    def share(self, batch: int) -> int:
        """Observations of a batch that fall to each process.

        Raises
        ------
        ConfigError
            if they cannot be shared equally

        Examples
        --------
        >>> Processes(1, 4).share(2048)
        512
        """
        if batch % self.size:
            raise ConfigError(f"training.batch = {batch} cannot be shared by {self.size} processes: choose a multiple")
        return batch // self.size

    def seed(self, *words: int) -> list[int]:
        """Words that seed a stream of this process; of one process alone they are `words` themselves.

        Examples
        --------
        >>> Processes().seed(3, 10), Processes(1, 2).seed(3, 10)
        ([3, 10], [3, 10, 2, 1])
        """
        return list(words) if self.size == 1 else [*words, self.size, self.rank]

    def part(self, rows: int) -> slice:
        """Those of so many rows that this process computes.

        Examples
        --------
        >>> Processes(1, 2).part(5)
        slice(2, 5, None)
        """
        return slice(rows * self.rank // self.size, rows * (self.rank + 1) // self.size)

    def joined(self, mine: np.ndarray) -> np.ndarray:
        """The rows of all processes (N, ...), of each its `part`, in order."""
        if self.size == 1:
            return mine
        every: list[np.ndarray] = [mine] * self.size
        torch.distributed.all_gather_object(every, mine)
        return np.concatenate(every)

    def agreed(self, said: bool) -> bool:
        """What the first process says."""
        if self.size == 1:
            return said
        word = [said]
        torch.distributed.broadcast_object_list(word)
        return word[0]

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            torch.distributed.barrier()

    def together(self, loss: nn.Module) -> nn.Module:
        """A module whose gradients are the mean over all processes, with the first one's parameters everywhere."""
        if self.size == 1:
            return loss
        return nn.parallel.DistributedDataParallel(loss, broadcast_buffers=False)


class MeanLoss(nn.Module):
    """A network's mean loss as a module: gradients are gathered around calls of modules alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, z: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Mean of the losses of the observations, ()."""
        return self.network.loss(z, features).mean()


@contextmanager
def processes() -> Iterator[Processes]:
    """This process among those that `torchrun` started, by the environment it sets: NCCL between GPUs, else Gloo.

    Examples
    --------
    >>> with processes() as here:
    ...     here.first
    True
    """
    if "WORLD_SIZE" not in os.environ:
        yield Processes()
        return
    rank, size, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    gpu = torch.cuda.is_available()
    if gpu and local >= torch.cuda.device_count():
        raise ConfigError(f"process {local} has no GPU: {torch.cuda.device_count()} here; start as many processes")
    device = torch.device("cuda", local) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    ours = not torch.distributed.is_initialized()  # else the caller's, which cannot be opened twice
    if ours:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        torch.distributed.init_process_group("nccl" if gpu else "gloo", timeout=_PATIENCE)
    try:
        yield Processes(rank, size, device)
    finally:
        if ours:
            torch.distributed.destroy_process_group()


def _end_with(launcher: int) -> None:
    """End this process once its launcher, which may be killed without a word, is gone: files are whole at any moment."""
    while os.getppid() == launcher:
        time.sleep(_LOOK)
    os._exit(1)


def relaunch(devices: int) -> None:
    """Become PyTorch's launcher of this command in as many processes; nothing where this is one of them, or the only one.

    The launcher takes this process's place: who stops it stops them all.

    Raises
    ------
    ConfigError
        if there are GPUs, but fewer

    Examples
    --------
    >>> relaunch(1)
    """
    if devices == 1 or "WORLD_SIZE" in os.environ:
        return
    if torch.cuda.is_available() and torch.cuda.device_count() < devices:
        raise ConfigError(f"--devices {devices}: there are {torch.cuda.device_count()} GPUs here")
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}"]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *launcher, "-m", "gwsurrogate_ml.cli.main", *sys.argv[1:]])
