"""The service behind the routes: models in threads, with bounds on size, time, queue and open streams.

Models run in threads, one pool for quick ones and one for those that take seconds. Past the queue's limit requests are refused
at once (503): in a stream a late answer is worth no more than none.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.serve import protocol
from gwsurrogate_ml.serve.base import Call, ServedModel
from gwsurrogate_ml.serve.protocol import RequestError
from gwsurrogate_ml.serve.sequences import Sequences

if TYPE_CHECKING:
    from gwsurrogate_ml.serve.streams import StreamModel

SMALL = 2**16
"""Bytes of a body that is read or written without a thread."""
T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """What the service allows.

    Attributes
    ----------
    request_bytes, answer_bytes : of one body, unpacked
    timeout, slow_timeout : float, s, from arrival to answer, of quick and slow models
    read_timeout : float, s, for a body to arrive
    queue : int, requests of quick models at work or waiting; an eighth of it of slow ones
    sequences : int, open streams
    idle : float, s, after which a stream without a frame is forgotten
    workers : int, threads of quick models
    """

    request_bytes: int = 64 * 2**20
    answer_bytes: int = 256 * 2**20
    timeout: float = 30.0
    slow_timeout: float = 900.0
    read_timeout: float = 30.0
    queue: int = 32
    sequences: int = 64
    idle: float = 120.0
    workers: int = 2

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ConfigError(f"{name} is {value}: every limit of the service is a positive number")


@dataclass
class Statistics:
    """Counts and times (ns) of one model."""

    count: Counter[str] = field(default_factory=Counter)
    nanoseconds: Counter[str] = field(default_factory=Counter)

    def add(self, what: str, seconds: float = 0.0) -> None:
        """One more of `what`, that took `seconds`."""
        self.count[what] += 1
        self.nanoseconds[what] += round(1e9 * seconds)

    def metadata(self, name: str, version: str) -> dict[str, Any]:
        """As Triton's statistics extension has it, and `dropped` (queue full) and `late` (time-out)."""
        words = ("success", "fail", "queue", "compute_infer")
        return {
            "name": name,
            "version": version,
            "inference_count": self.count["success"],
            "execution_count": self.count["compute_infer"],
            "inference_stats": {word: {"count": self.count[word], "ns": self.nanoseconds[word]} for word in words},
            "dropped": self.count["dropped"],
            "late": self.count["late"],
        }


class Service:
    """Models, threads, queues and open streams behind the routes.

    Parameters
    ----------
    models : sequence of ServedModel, of different names
    limits : Limits
    """

    def __init__(self, models: Sequence[ServedModel], limits: Limits) -> None:
        self.models = {model.name: model for model in models}
        if len(self.models) < len(models):
            names = [model.name for model in models]
            twice = next(name for name in names if names.count(name) > 1)
            raise ConfigError(f"two models have the name {twice!r}: give one another, serve_model(path, name)")
        self.limits = limits
        self.statistics = {name: Statistics() for name in self.models}
        self.sequences = Sequences(limits.sequences, limits.idle)
        self._pools = {False: ThreadPoolExecutor(limits.workers, "quick"), True: ThreadPoolExecutor(1, "slow")}
        self._busy = {False: 0, True: 0}
        self._room = {False: limits.queue, True: max(1, limits.queue // 8)}

    def model(self, name: str, version: str | None = None) -> ServedModel:
        """The model of that name and version; RequestError 404 if there is none."""
        model = self.models.get(name)
        if model is None:
            raise RequestError(404, f"no model {name!r}: {', '.join(self.models)} are served")
        if version not in (None, "", model.version):
            raise RequestError(404, f"{name} has no version {version!r}: {model.version!r} is served")
        return model

    async def infer(
        self,
        name: str,
        version: str | None,
        read: Callable[[], Awaitable[bytes]],
        encoding: str = "",
        header_length: str | None = None,
    ) -> tuple[list[bytes], dict[str, str]]:
        """Body and headers of the answer to one request, whose body `read` fetches once there is room for it.

        Raises
        ------
        RequestError, GwsmlError
        """
        arrival = time.monotonic()
        model = self.model(name, version)
        statistics, room = self.statistics[name], self._room[model.slow]
        if self._busy[model.slow] >= room:
            statistics.add("dropped")
            raise RequestError(503, f"{room} requests are at work or waiting: send less, or come back later")
        self._busy[model.slow] += 1
        try:
            answer = await self._answer(model, arrival, await read(), encoding, header_length)
        except BaseException as error:
            late = isinstance(error, RequestError) and error.status == 504
            statistics.add("late" if late else "fail", time.monotonic() - arrival)
            raise
        finally:
            self._busy[model.slow] -= 1
        statistics.add("success", time.monotonic() - arrival)
        return answer

    async def _answer(
        self, model: ServedModel, arrival: float, body: bytes, encoding: str, header_length: str | None
    ) -> tuple[list[bytes], dict[str, str]]:
        allowed = self.limits.slow_timeout if model.slow else self.limits.timeout

        def unpack() -> tuple[protocol.Request, Call]:
            request = protocol.decode(protocol.inflate(body, encoding, self.limits.request_bytes), header_length)
            wanted = request.parameters.get("timeout")  # microseconds, in Triton's clients
            asked = 1e-6 * wanted if type(wanted) is int and 0 < wanted < 1e6 * allowed else allowed
            deadline = arrival + asked
            outputs = tuple(request.outputs)
            return request, model.call(request.inputs, request.parameters, outputs, deadline, self.limits.answer_bytes)

        if len(body) < SMALL and not encoding:  # not worth the way to a thread and back
            request, call = unpack()
        else:
            request, call = await self._run(model, arrival + allowed, unpack, slow=False)
        key = request.parameters.get("sequence_id")
        if key is None or key in (0, ""):
            outputs = await self._run(model, call.deadline, functools.partial(model.infer, call), model.slow)
        else:
            outputs = await self._frame(model, str(key), request.parameters, call)
        if request.outputs:
            missing = next((name for name in request.outputs if name not in outputs), None)
            if missing:
                raise RequestError(400, f"{model.name} gives no {missing!r} with this request")
            outputs = {name: outputs[name] for name in request.outputs}
        pack = functools.partial(protocol.encode, model.name, model.version, request, outputs)
        if sum(array.nbytes for array in outputs.values()) < SMALL:
            return pack()
        return await self._run(model, call.deadline, pack, slow=False)

    async def _frame(self, model: ServedModel, name: str, parameters: Mapping[str, Any], call: Call) -> dict[str, Any]:
        """One frame of a stream whose state the server keeps; a frame that fails leaves the state as it was."""
        from gwsurrogate_ml.serve.streams import StreamModel, pack

        if not isinstance(model, StreamModel):
            raise RequestError(400, f"{model.name} is no stream: leave sequence_id out")
        start = parameters.get("sequence_start") is True
        key = (model.name, name)
        sequence = self.sequences.open(key, start)
        sequence.waiting += 1
        try:
            async with sequence.lock:
                if not start and sequence.state is None:
                    raise RequestError(404, f"{model.name}: the first frame of sequence {name!r} failed, begin it anew")
                work = functools.partial(_step, model, sequence.state, call)
                state, outputs = await self._run(model, call.deadline, work, model.slow)
                self.sequences.done(key, sequence, state)
        except BaseException:
            if start:
                self.sequences.close(key, sequence)
            raise
        finally:
            sequence.waiting -= 1
        if call.end:
            self.sequences.close(key, sequence)
        return outputs | {"state": pack(state)} if "state" in call.wanted else outputs

    async def _run(self, model: ServedModel, deadline: float, work: Callable[[], T], slow: bool) -> T:
        """`work` in a thread of a pool; RequestError 504 at the deadline, even if the thread goes on for a while.

        As long as it does, it counts as a request at work.
        """
        statistics, queued = self.statistics[model.name], time.monotonic()

        def run() -> T:
            begin = time.monotonic()
            statistics.add("queue", begin - queued)
            if begin > deadline:
                raise RequestError(504, "the time-out passed before the request was begun: the service is busy")
            try:
                return work()
            finally:
                statistics.add("compute_infer", time.monotonic() - begin)

        future = asyncio.get_running_loop().run_in_executor(self._pools[slow], run)
        try:
            return await asyncio.wait_for(asyncio.shield(future), max(0.0, deadline - queued))
        except TimeoutError:
            raise RequestError(504, "the time-out passed before the answer was ready: ask for less, or allow more") from None
        finally:
            if not future.done():
                self._busy[model.slow] += 1
                future.add_done_callback(functools.partial(self._release, model.slow))

    def _release(self, slow: bool, done: asyncio.Future[Any]) -> None:
        """Work that was given up has ended; nobody wants its error."""
        self._busy[slow] -= 1
        if not done.cancelled():
            done.exception()

    def close(self) -> None:
        """Let the threads end."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)


def _step(model: StreamModel, state: Any, call: Call) -> tuple[Any, dict[str, Any]]:
    return model.first(call) if state is None else model.advance(state, call)
