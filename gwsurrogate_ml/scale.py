"""Many tasks on many processes or machines, by Dask: results in the order of the tasks, workers that die cost time alone.

A task is a function of plain arguments that depends on nothing else, so that results are the same for any number of workers.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from gwsurrogate_ml.errors import ConfigError

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")
AHEAD = 8
"""Tasks per worker that are handed out beyond the one whose result is waited for."""
DEATHS = 5
"""Workers that may die at one task before the task is blamed."""
RETRIES = 2
"""Times that a task which raised an error is tried again: file systems of clusters have bad moments."""
WAIT = 600.0
"""Seconds to wait for the first worker of a queue."""
CONNECT = 30.0
"""Seconds for a scheduler to answer."""
JOB = {"cores": 1, "memory": "4GB"}
"""What a job asks for where the user's Dask configuration (jobqueue.yaml) says nothing."""


class Mapper:
    """Calls a function on tasks one after the other, in this process; `DaskMapper` does so elsewhere."""

    workers = 1

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Generator[R, None, None]:
        """Results in the order of `tasks`, which may be endless: they are taken as they are needed.

        Examples
        --------
        >>> list(Mapper().map(abs, [-1, 2]))
        [1, 2]
        """
        for task in tasks:
            yield function(task)


class DaskMapper(Mapper):
    """Calls a function on the workers of a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Generator[R, None, None]:
        """Results in the order of `tasks`; a few tasks per worker are under way at any time.

        A task whose worker dies is done by another. An error that a task raises three times is raised here; so is
        ConfigError where `DEATHS` workers died at one task.
        """
        from distributed.scheduler import KilledWorker

        source = iter(tasks)
        waiting: deque[Any] = deque()
        try:
            while True:
                room = AHEAD * max(1, len(self.client.nthreads())) - len(waiting)
                for _, task in zip(range(room), source, strict=False):
                    # Not pure: Dask must not take two tasks of equal arguments for one.
                    waiting.append(self.client.submit(function, task, pure=False, retries=RETRIES))
                if not waiting:
                    return
                yield waiting.popleft().result()
        except KilledWorker as error:
            raise ConfigError(
                f"{DEATHS} workers died at the same task ({str(error)[:200]}): give jobs more memory, or see the workers' logs"
            ) from error
        finally:
            self.client.cancel(list(waiting))


@contextmanager
def cluster(where: str | None, workers: int = 2) -> Iterator[Mapper]:
    """A mapper over the workers of a cluster, which ends with the block.

    Parameters
    ----------
    where : str or None
        None: this process. "local": `workers` processes of this machine. "condor", "slurm": that many jobs of the queue,
        as the user's Dask configuration (jobqueue.yaml) describes them. Else the address of a running Dask scheduler, such
        as tcp://host:8786, whose workers are taken as they are.
    workers : int

    Raises
    ------
    ConfigError
        without the extra `cluster`, for an address where no scheduler answers, or a queue that is not there

    Examples
    --------
    >>> with cluster(None) as mapper:
    ...     list(mapper.map(len, ["a", "bc"]))
    [1, 2]
    """
    if where is None:
        yield Mapper()
        return
    require(where, workers)
    import dask
    from distributed import Client

    settings = {
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.nanny.pre-spawn-environ": {
            # One thread each: two processes of two threads are slower than four of one.
            **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), 1),
            "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical",  # errors of tasks are raised, once
        },
        "distributed.logging.distributed": "critical",
    }
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        started = None if "://" in where else stack.enter_context(_start(where, workers))
        try:
            client = stack.enter_context(Client(started or where, timeout=CONNECT))
            client.wait_for_workers(1, timeout=WAIT)
        except (OSError, TimeoutError) as error:
            raise ConfigError(
                f"--cluster {where}: no workers ({error}): is the scheduler running, and do its jobs start?"
            ) from error
        logger.info("cluster %s: %s workers", where, len(client.nthreads()))
        mapper = DaskMapper(client)
        mapper.workers = workers
        yield mapper


def require(where: str | None, workers: int) -> None:
    """Raise ConfigError unless `where` is a kind of cluster, and what it needs is installed: before other work begins."""
    if where is None:
        return
    from importlib.util import find_spec

    needed = ["dask", "distributed", *(["dask_jobqueue"] if where in ("condor", "slurm") else [])]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise ConfigError(f"--cluster needs {' and '.join(missing)}: pip install gwsurrogate-ml[cluster]")
    if where not in ("local", "condor", "slurm") and "://" not in where:
        raise ConfigError(f"--cluster {where!r}: write local, condor, slurm or an address such as tcp://host:8786")
    if workers < 1:
        raise ConfigError(f"--workers is {workers}: give at least one")


def _start(where: str, workers: int) -> Any:
    """A cluster of `workers` of that kind, not yet connected to."""
    if where == "local":
        from distributed import LocalCluster

        return LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1")
    cluster = queue_cluster(where)
    try:
        cluster.scale(jobs=workers)
    except OSError as error:
        cluster.close()
        raise ConfigError(f"--cluster {where}: jobs cannot be submitted from here ({error})") from error
    return cluster


def queue_cluster(where: str) -> Any:
    """A dask-jobqueue cluster of the kind `where`, "condor" or "slurm", without jobs yet; `job_script()` shows what one runs."""
    import dask
    import dask_jobqueue

    name = {"condor": "htcondor", "slurm": "slurm"}[where]
    own = dask.config.get(f"jobqueue.{name}", {})
    given: dict[str, Any] = {key: value for key, value in JOB.items() if own.get(key) is None}
    if where == "condor" and own.get("disk") is None:
        given["disk"] = "2GB"
    kind = dask_jobqueue.HTCondorCluster if where == "condor" else dask_jobqueue.SLURMCluster
    return kind(**given, scheduler_options={"dashboard": False, "dashboard_address": ":0"})
