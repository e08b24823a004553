"""Where the time of `gwsml analyze` goes, of this build and of another in turn: GW150914, aligned spins, from files.

    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMBA_NUM_THREADS=1 python benchmarks/analyze_speed.py --before TREE [--rounds 2]
        [--n-draws 50000]

TREE is a checkout of another commit (`git worktree add TREE COMMIT`), and both builds run under the interpreter that runs this.
Each run is a process of its own, A B A B, after one of each that compiles; its CPU time is that of the whole process, from start to
end, and is shared out by what its progress says. On a busy machine the CPU time says more than the wall time beside it. Writes
benchmarks/results/analyze_speed.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
FILES = {name: f"{name[0]}-{name}_LOSC_4_V2-1126259446-32.hdf5" for name in ("H1", "L1")}
GPS = "1126259462.4"
WATCHED = """
import json, sys, time
events = []
from gwsurrogate_ml.cli import console
say = console.ProgressReport.__call__
def noted(self, stage, done=0, total=1):
    events.append((stage, done, time.process_time()))
    say(self, stage, done, total)
console.ProgressReport.__call__ = noted
from gwsurrogate_ml.cli.main import app
app(sys.argv[2:], standalone_mode=False)
json.dump(events, open(sys.argv[1], "w"))
"""
"""The command, and the CPU time (s) at each of its words on progress."""
MARKS = (
    ("start of the command", "reading the strain", 0),
    ("reading the strain", "reading the strain", 1),
    ("choice of the analysis", "search", 1),
    ("sampling and its checks", "remnant", 0),
    ("remnant", "remnant", 1),
    ("matched filter", "matched filter", 1),
    ("sky map", "sky map", 1),
    ("results in files", "drawing figures", 1),
    ("figures", "drawing figures", None),
)
"""Stages, and the word on progress that ends each: its name and the steps done; None for its last. The first figure is among the
results in builds that do not announce these.
"""
LAST = "report, and the end of the process"


def measure(tree: Path, arguments: list[str], folder: Path) -> dict[str, Any]:
    """CPU seconds of one run by stage, and in all, with the wall time."""
    events, out = folder / "events.json", folder / "out"
    environment = os.environ | {"PYTHONPATH": str(tree)}
    process = subprocess.Popen(
        [sys.executable, "-c", WATCHED, str(events), *arguments, "--out", str(out)],
        env=environment,
        cwd=folder,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    begin = os.times().elapsed
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"gwsml of {tree} ended with status {process.returncode}: run it by hand")
    said = json.loads(events.read_text())
    stages, before = {}, 0.0
    for name, word, steps in MARKS:
        times = [t for stage, done, t in said if stage == word and (steps is None or done == steps)]
        if times:
            end = times[-1] if steps is None else times[0]
            stages[name], before = end - before, end
    total = usage.ru_utime + usage.ru_stime
    stages[LAST] = total - before
    return {
        "stages": stages,
        "cpu": total,
        "wall": os.times().elapsed - begin,
        "memory": usage.ru_maxrss / 1024,
        "inference": json.loads((out / "summary.json").read_text())["inference"],
    }


def table(runs: dict[str, list[dict[str, Any]]]) -> str:
    """Medians over the runs of both builds, a row for each stage."""
    lines = ["| CPU s | before | now | ratio |", "| --- | --- | --- | --- |"]
    for name in (*(name for name, *_ in MARKS), LAST):
        lines.append(row(name, *(np.median([r["stages"].get(name, 0.0) for r in runs[build]]) for build in ("before", "now"))))
    lines.append(row("**whole process**", *(np.median([r["cpu"] for r in runs[build]]) for build in ("before", "now"))))
    walls = [np.median([r["wall"] for r in runs[build]]) for build in ("before", "now")]
    return "\n".join([*lines, row("wall time", *walls)]) + "\n"


def row(name: str, before: float, now: float) -> str:
    """A line of the table."""
    return f"| {name} | {before:.1f} | {now:.1f} | {now / before:.2f} |" if before else f"| {name} | - | {now:.1f} | - |"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GWSML_DATA", "../shared/data")) / "strain")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--n-draws", type=int, default=50_000)
    parser.add_argument("--compiled", action="store_true", help="both builds have been run before: measure at once")
    options = parser.parse_args()
    strain = [word for name, file in FILES.items() for word in ("--strain", f"{name}={(options.data / file).resolve()}")]
    arguments = ["analyze", *strain, "--gps", GPS, "--n-draws", str(options.n_draws)]
    trees = {"before": options.before.resolve(), "now": ROOT}
    runs: dict[str, list[dict[str, Any]]] = {"before": [], "now": []}
    RESULTS.mkdir(exist_ok=True)
    for number in range(options.rounds + (not options.compiled)):
        for build, tree in trees.items():
            with tempfile.TemporaryDirectory() as folder:
                found = measure(tree, arguments, Path(folder))
            print(f"{build}: {found['cpu']:.1f} s of CPU time, {found['wall']:.0f} s", flush=True)
            if number or options.compiled:
                runs[build].append(found)
                content = {"n_draws": options.n_draws, "rounds": len(runs["now"]), "runs": runs}
                (RESULTS / "analyze_speed.json").write_text(json.dumps(content, indent=1) + "\n")
    (RESULTS / "analyze_speed.md").write_text(table(runs))
    print(table(runs))


if __name__ == "__main__":
    main()
