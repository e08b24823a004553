"""What scale-out costs and gains on this machine: cost of a task, time against workers, a campaign on one and on two workers.

    python benchmarks/scaling.py [--events 6] [--n-draws 4000] [--workers 1 2] [--out benchmarks/results]

Empty tasks measure what Dask adds to a task; tasks that sleep show the hand-out alone, whatever else runs on the machine; tasks
that compute for a fixed CPU time show what the cores give. Then events of a validation campaign (`gwsml validate estimator`), whose
records must be the same from any number of workers. CPU time is that of scheduler, client and workers together. Writes
scaling.json.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import gwsurrogate_ml as gw
from gwsurrogate_ml.inference.calibration.cards import run_injections
from gwsurrogate_ml.scale import Mapper, cluster

ESTIMATOR = "bbh-h1l1"


def nothing(_: int) -> None:
    """An empty task."""


def rest(_: int) -> None:
    """A task of 50 ms that needs no processor."""
    time.sleep(0.05)


def work(_: int) -> None:
    """A task of 50 ms of CPU time."""
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass


def cpu(_: int = 0) -> tuple[int, float]:
    """Process and its CPU time so far."""
    return os.getpid(), time.process_time()


def used(mapper: Mapper, workers: int) -> float:
    """CPU time (s) of this process (with the scheduler) and the workers."""
    processes = dict(mapper.map(cpu, range(4 * workers)))
    return sum(processes.values()) + (time.process_time() if os.getpid() not in processes else 0.0)


def timed(mapper: Mapper, task: Any, n: int, workers: int) -> dict[str, float]:
    """Wall and CPU time of `n` tasks."""
    list(mapper.map(nothing, range(4 * workers)))
    before, start = used(mapper, workers), time.perf_counter()
    for _ in mapper.map(task, range(n)):
        pass
    wall = time.perf_counter() - start
    return {"tasks": n, "wall_s": wall, "cpu_s": used(mapper, workers) - before}


def same(a: list[dict[str, Any]], b: list[dict[str, Any]]) -> bool:
    """Are the records equal, the time that each took apart?"""
    return [{**r, "seconds": 0} for r in a] == [{**r, "seconds": 0} for r in b]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=6)
    parser.add_argument("--n-draws", type=int, default=4000)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    report: dict[str, Any] = {
        "n_draws": given.n_draws,
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "local": {},
        "campaign": {},
    }
    estimator = gw.load_estimator(ESTIMATOR)
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        start, before = time.perf_counter(), time.process_time()
        expected = run_injections(estimator, given.events, Path(folder) / "serial.jsonl", n_draws=given.n_draws)
        report["campaign"]["one process"] = {
            "events": len(expected), "wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - before,
        }  # fmt: skip
        for n in given.workers:
            start = time.perf_counter()
            with cluster("local", n) as mapper:
                row = {"start_s": time.perf_counter() - start}
                for name, task, count in (("empty", nothing, 200), ("sleeping", rest, 60), ("computing", work, 30)):
                    row[name] = timed(mapper, task, count, n)
                report["local"][str(n)] = row
                before, start = used(mapper, n), time.perf_counter()
                path = Path(folder) / f"{n}.jsonl"
                found = run_injections(estimator, given.events, path, n_draws=given.n_draws, mapper=mapper, source=ESTIMATOR)
                report["campaign"][f"{n} workers"] = {
                    "events": len(found), "wall_s": time.perf_counter() - start, "cpu_s": used(mapper, n) - before,
                    "records_are_those_of_one_process": same(expected, found),
                }  # fmt: skip
            report["load_after"] = os.getloadavg()[0]
            write(report, given.out)
            print(n, json.dumps(report["local"][str(n)]), json.dumps(report["campaign"][f"{n} workers"]), flush=True)


def write(report: dict[str, Any], folder: Path) -> None:
    """Write scaling.json as far as it is measured."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / ".scaling.json"
    temporary.write_text(json.dumps(report, indent=1) + "\n")
    os.replace(temporary, folder / "scaling.json")


if __name__ == "__main__":
    main()
