"""Latency of the service against the rate at which requests are offered, by the stock tritonclient.

    python benchmarks/serve.py [--seconds 4] [--only WORKLOAD ...] [--out benchmarks/results]

`gwsml serve` runs in a process of its own. Requests leave at fixed times, whether or not earlier ones have come back (an open
loop), and latency counts from the time a request was due: queueing at an overloaded service is in the numbers. Dropped: refused
with 503 because the queue is full. Late, for streams: the answer came later than one frame's length after its frame was due.
The CPU time of the service per answer stands beside: its inverse is what one core of an idle machine can do, whatever else ran
while the latencies were taken (`load_before`, `load_after`).
Workloads: modes of 16 binaries at 512 times; the polarizations of one binary at 4096 Hz from 20 Hz; frames of 0.25 s at 1024 Hz
of 8 streams of witness subtraction, in order within each stream. Writes serve.json and serve.png.
"""

# ruff: noqa: E402
from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
import numpy as np
from gevent.lock import Semaphore
from tritonclient.http import InferenceServerClient, InferInput
from tritonclient.utils import InferenceServerException

CONNECTIONS = 48
QUEUE, WORKERS = 32, 2
STREAMS, FRAME, RATE = 8, 0.25, 1024.0
RATES = {
    "modes": (5, 10, 20, 40, 80, 160),
    "polarizations": (5, 10, 20, 40, 80, 160),
    "witness": (8, 16, 32, 64, 128, 256),
}
"""Requests a second; 8 streams in real time are 32."""
Request = Callable[[InferenceServerClient, int], None]


def tensor(name: str, array: np.ndarray) -> InferInput:
    """A float64 input, sent in binary."""
    made = InferInput(name, list(array.shape), "FP64")
    made.set_data_from_numpy(np.ascontiguousarray(array, np.float64))
    return made


def make_cleaner(folder: Path) -> Any:
    """A witness cleaner fitted to 64 s of a mock, saved in `folder`."""
    import gwsurrogate_ml as gw
    from gwsurrogate_ml.denoise.witness.bench.mock import preset

    data = preset("sidebands_only", sampling_frequency=RATE).draw(64.0, seed=1)
    cleaner = gw.WitnessCleaner.fit(data.strain, data.witnesses, bands=[(45.0, 75.0)], name="cleaner")
    cleaner.save(folder)
    return cleaner


@contextmanager
def service(cleaner: Path) -> Iterator[tuple[str, Callable[[], float]]]:
    """`gwsml serve` in a process of its own: its address, and the CPU time (s) it has used so far."""
    words = ["serve", "--model", "nr22", "--model", str(cleaner), "--port", "0"]
    words += ["--queue", str(QUEUE), "--workers", str(WORKERS)]
    process = subprocess.Popen([sys.executable, "-m", "gwsurrogate_ml.cli.main", *words], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if "http://" not in line:
            raise SystemExit("the service did not start")
        stat, tick = Path(f"/proc/{process.pid}/stat"), os.sysconf("SC_CLK_TCK")
        yield (
            line.split("http://")[1].split("/")[0],
            lambda: sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13])) / tick,
        )
    finally:
        process.terminate()
        process.wait(20)


def modes() -> Request:
    """Modes of 16 binaries at 512 times."""
    rng = np.random.default_rng(0)
    parameters = np.column_stack([rng.uniform(1, 8, 16), rng.uniform(-0.8, 0.8, (16, 2))])
    inputs = [tensor("parameters", parameters), tensor("times", np.linspace(-5000, 100, 512))]
    return lambda client, _: client.infer("nr22", inputs)


def polarizations() -> Request:
    """h_plus and h_cross of one binary."""
    inputs = [tensor("parameters", np.array([[36, 29, 0.3, -0.1, 410, 0.4, 1.2]]))]
    return lambda client, _: client.infer("nr22-polarizations", inputs)


def witness(cleaner: Any, client: InferenceServerClient, first_id: int) -> Request:
    """Frames of `STREAMS` streams in turn; the streams are begun here."""
    n, channels = round(FRAME * RATE), len(cleaner.plan.channels)
    rng = np.random.default_rng(0)
    # Noise on the scale of the witnesses' limits: the work does not depend on what is in the frames.
    scale = np.array([cleaner.card["limits"][name] for name in cleaner.plan.channels])[:, None] / 100
    inputs = [tensor("strain", 1e-21 * rng.normal(size=n)), tensor("witnesses", scale * rng.normal(size=(channels, n)))]
    locks, done = [Semaphore() for _ in range(STREAMS)], [0] * STREAMS

    def send(stream: int, start: bool = False) -> None:
        with locks[stream]:  # one frame of a stream at a time
            client.infer(
                "cleaner",
                inputs,
                sequence_id=first_id + stream,
                sequence_start=start,
                parameters={"start_time": 1e9 + done[stream] * FRAME},
            )
            done[stream] += 1  # a refused frame is sent again by the next call, so that the stream goes on

    for stream in range(STREAMS):
        send(stream, True)
    return lambda _, i: send(i % STREAMS)


def offer(client: InferenceServerClient, request: Request, rate: float, seconds: float, cpu: Callable[[], float]) -> dict[str, Any]:
    """Send `rate` requests a second for `seconds`, and collect latencies (s) from the times they were due."""
    latency: list[float] = []
    dropped: list[int] = []
    failed: list[str] = []
    n = max(20, round(rate * seconds))
    used, own = cpu(), time.process_time()
    begin = time.perf_counter() + 0.05

    def one(i: int, due: float) -> None:
        try:
            request(client, i)
            latency.append(time.perf_counter() - due)
        except InferenceServerException as error:
            if error.status() == "503":
                dropped.append(i)
            else:
                failed.append(str(error))

    jobs = []
    for i in range(n):
        due = begin + i / rate
        gevent.sleep(max(0.0, due - time.perf_counter()))
        jobs.append(gevent.spawn(one, i, due))
    gevent.joinall(jobs)
    wall = time.perf_counter() - begin
    if failed:
        raise SystemExit(f"{len(failed)} requests failed, the first: {failed[0]}")
    used, own = cpu() - used, time.process_time() - own
    p50, p95, p99 = np.percentile(latency, (50, 95, 99))
    return {
        "offered_per_s": rate,
        "requests": n,
        "answered_per_s": len(latency) / wall,
        "p50_ms": 1e3 * p50,
        "p95_ms": 1e3 * p95,
        "p99_ms": 1e3 * p99,
        "dropped": len(dropped),
        "late": int(np.sum(np.array(latency) > FRAME)),
        "server_cpu_ms": 1e3 * used / len(latency),
        "client_cpu_ms": 1e3 * own / len(latency),
    }


def figure(report: dict[str, Any], path: Path) -> None:
    """Latency against offered rate, one panel a workload."""
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(10.5, 3.6), layout="constrained")
    panels = canvas.subplots(1, len(report["workloads"]), sharey=True, squeeze=False)[0]
    for axis, (name, rows) in zip(panels, report["workloads"].items(), strict=True):
        x = [row["offered_per_s"] for row in rows]
        for key, style in (("p50_ms", "o-"), ("p95_ms", "s--"), ("p99_ms", "^:")):
            axis.plot(x, [row[key] for row in rows], style, ms=4, label=key.removesuffix("_ms"))
        for row in rows:
            if row["dropped"]:
                share = 100 * row["dropped"] / row["requests"]
                axis.annotate(f"{share:.0f} %\ndropped", (row["offered_per_s"], row["p99_ms"]), fontsize=7, ha="center",
                              xytext=(0, 6), textcoords="offset points")  # fmt: skip
        if name == "witness":
            axis.axhline(1e3 * FRAME, color="grey", lw=0.8)
            axis.text(x[-1], 1e3 * FRAME * 0.9, "one frame: later is late", fontsize=7, color="grey", ha="right", va="top")
        cost = np.median([row["server_cpu_ms"] for row in rows])
        axis.set(xscale="log", yscale="log", xlabel="offered requests [1/s]")
        axis.set_title(f"{name}: {cost:.1f} ms CPU an answer", fontsize=10)
        axis.set_xticks(x, [f"{value:g}" for value in x])
        axis.set_xticks([], minor=True)
        axis.grid(True, which="major", color="#d0d0d0")
    panels[0].set_ylabel("latency from due time [ms]")
    panels[0].legend(fontsize=8)
    bottom, top = panels[0].get_ylim()
    panels[0].set_ylim(bottom, 2 * top)
    canvas.savefig(path, dpi=130)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="at each rate")
    parser.add_argument("--only", nargs="*", choices=RATES, default=list(RATES))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    given = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        cleaner = make_cleaner(Path(folder) / "cleaner")
        with (
            service(Path(folder) / "cleaner") as (url, cpu),
            InferenceServerClient(url, concurrency=CONNECTIONS) as client,
        ):
            workloads: dict[str, list[dict[str, Any]]] = {}
            for name in given.only:
                workloads[name] = []
                for k, rate in enumerate(RATES[name]):
                    request = {"modes": modes, "polarizations": polarizations}.get(name)
                    call = request() if request else witness(cleaner, client, 1 + 100 * k)
                    for i in range(STREAMS):
                        call(client, i)  # warm
                    row = offer(client, call, rate, given.seconds, cpu)
                    workloads[name].append(row)
                    print(name, json.dumps({key: round(value, 2) for key, value in row.items()}))
    report = {
        "queue": QUEUE,
        "workers": WORKERS,
        "connections": CONNECTIONS,
        "cores": os.cpu_count(),
        "affinity": len(os.sched_getaffinity(0)),
        "machine": platform.processor() or platform.machine(),
        "load_before": load,
        "load_after": os.getloadavg()[0],
        "streams": STREAMS,
        "frame_s": FRAME,
        "workloads": workloads,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    temporary = given.out / ".serve.json"
    temporary.write_text(json.dumps(report, indent=1) + "\n")
    os.replace(temporary, given.out / "serve.json")
    figure(report, given.out / "serve.png")


if __name__ == "__main__":
    main()
