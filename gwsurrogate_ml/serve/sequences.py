"""The states of streams, by model and sequence id: bounded in number and in lifetime."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gwsurrogate_ml.serve.protocol import RequestError

Key = tuple[str, str]


@dataclass
class Sequence:
    """One stream: its state, None until its first frame is done, and a lock that keeps its frames in order."""

    state: Any = None
    used: float = 0.0
    frames: int = 0
    waiting: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Sequences:
    """The open sequences.

    Parameters
    ----------
    limit : int
        open at a time, of all models together
    idle : float, s
        after which a sequence without a frame is forgotten
    clock : callable, s

    Examples
    --------
    >>> table = Sequences(limit=1, idle=60.0)
    >>> _ = table.open(("m", "7"), start=True)
    >>> len(table)
    1
    """

    def __init__(self, limit: int, idle: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit, self.idle, self.clock = limit, idle, clock
        self.expired = 0
        self._open: dict[Key, Sequence] = {}

    def __len__(self) -> int:
        return len(self._open)

    def open(self, key: Key, start: bool) -> Sequence:
        """The sequence that a frame belongs to; a start takes the place of one of the same id.

        Raises
        ------
        RequestError
            404 if it is not known and the frame does not start it, 503 if there is no room for another
        """
        self._forget()
        model, name = key
        if not start:
            if key not in self._open:
                raise RequestError(
                    404,
                    f"{model} has no open sequence {name!r}: it never began, has ended, or was idle for {self.idle:g} s; "
                    "begin it with sequence_start",
                )
            return self._open[key]
        if key not in self._open and len(self._open) >= self.limit:
            raise RequestError(503, f"{self.limit} sequences are open, no more are kept: end one, or come back later")
        self._open[key] = Sequence(used=self.clock())
        return self._open[key]

    def done(self, key: Key, sequence: Sequence, state: Any) -> None:
        """A frame is done: keep its state."""
        sequence.state, sequence.used = state, self.clock()
        sequence.frames += 1

    def close(self, key: Key, sequence: Sequence) -> None:
        """Forget a sequence, unless another has taken its place."""
        if self._open.get(key) is sequence:
            del self._open[key]

    def _forget(self) -> None:
        now = self.clock()
        for key, sequence in list(self._open.items()):
            if now - sequence.used > self.idle and not sequence.waiting:
                del self._open[key]
                self.expired += 1
