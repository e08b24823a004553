"""Run all hostile calls and kills, and write their counts by entry point to docs/reference/hostile.md.

python tests/hostile/report.py [--out FILE]
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAD = """# Hostile input and interruption

What comes of calls that ought not to be made, of files that are damaged, of disks that are full, and of runs that are killed.
Written by `python tests/hostile/report.py`; all but the kills of analyses are also tests.

- **Clear error:** an error of the package's own, of the expected class, that names the culprit; on the command line status 2 and
  one message without a traceback. Nothing half-written is left.
- **Recovered:** the right result all the same: the gap is worked around, the killed run resumes, the earlier output stays.
- **Failed:** anything else.
"""


def one(number: int) -> tuple[int, str, str, float]:
    """Number, outcome, reason and processor time (s) of one case."""
    from tests.hostile import everything
    from tests.hostile.table import judge

    begin = time.process_time()
    outcome, why = judge(everything.cases()[number], Path(tempfile.mkdtemp()))
    return number, outcome.value, why, time.process_time() - begin


def outcomes(jobs: int) -> tuple[dict[str, Counter[str]], float]:
    """Counts of outcomes by entry point, and the processor time (s); what fails is printed."""
    import bilby  # noqa: F401  its log must not take hold of a stream that a case captures

    from tests.hostile import everything

    found: dict[str, Counter[str]] = defaultdict(Counter)
    seconds, cases = 0.0, everything.cases()
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        for number, outcome, why, spent in pool.imap_unordered(one, range(len(cases)), chunksize=8):
            found[cases[number].entry][outcome] += 1
            seconds += spent
            if outcome == "failed":
                print(f"FAILED {cases[number].label}: {why}", file=sys.stderr, flush=True)
    return found, seconds


def kills() -> Iterator[tuple[str, int, int]]:
    """Kind of run, kills survived, and failures."""
    from tests.hostile import interruption
    from tests.hostile.cases_of_analysis import strain_files

    runs = {
        "a model and an output folder replaced, killed before every change to the disk": interruption.killed_before_every_change,
        "gwsml train surrogate, killed at random moments": interruption.killed_in_surrogate_training,
        "gwsml train estimator, killed at random moments": interruption.killed_in_estimator_training,
        "gwsml validate, killed at random moments and before every change to the disk": interruption.killed_in_validation,
        "gwsml analyze, killed at random moments and before changes to the disk": lambda zygote, folder: (
            interruption.killed_in_analysis(zygote, folder / "w", strain_files(folder))
        ),
    }
    with interruption.Zygote() as zygote:
        for name, run in runs.items():
            with tempfile.TemporaryDirectory() as folder:
                print(name, file=sys.stderr, flush=True)
                try:
                    yield name, run(zygote, Path(folder)), 0
                except AssertionError as error:
                    print(f"FAILED {name}: {error}", file=sys.stderr)
                    yield name, 0, 1


def page(found: dict[str, Counter[str]], killed: dict[str, tuple[int, int]], seconds: float) -> str:
    """The page in Markdown."""
    words = ("clear error", "recovered", "failed")
    total: Counter[str] = sum(found.values(), Counter())
    lines = [HEAD, "| | tried | clear error | recovered | failed |", "|---|---:|---:|---:|---:|"]
    row = lambda name, c: f"| {name} | {sum(c.values())} | " + " | ".join(str(c[word]) for word in words) + " |"  # noqa: E731
    lines += [row(f"**{len(found)} entry points and commands**", total)]
    lines += [row(f"`{entry}`", found[entry]) for entry in sorted(found, key=str.lower)]
    lines += ["", "## Kills", "", "| | kills | recovered | failed |", "|---|---:|---:|---:|"]
    lines += [f"| {name} | {good + bad} | {good} | {bad} |" for name, (good, bad) in killed.items()]
    lines += [
        "",
        "A training resumes to the very weights of one that ran through; a validation has the same records; an analysis goes on",
        "from its last step, and its summary is the same to the last digit. `python -m data_prep eob` needs pyseobnr, which the",
        "tests' environment lacks: what it writes is tested, waveforms are not.",
        "",
        f"Python {platform.python_version()} on {platform.system()}, {seconds:.0f} s of processor time for the calls. A full disk",
        "is a file system of 1 MB where the process may mount one, and a limit on the size of files in any case.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run, write, and say whether anything failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "reference" / "hostile.md")
    parser.add_argument("--jobs", type=int, default=1, help="processes for the calls")
    given = parser.parse_args()
    found, seconds = outcomes(given.jobs)
    print(f"calls: {sum(found.values(), Counter())}", file=sys.stderr, flush=True)
    killed: dict[str, tuple[int, int]] = {}
    for name, good, bad in kills():
        killed[name] = good, bad
        given.out.write_text(page(found, killed, seconds), encoding="utf-8")
    failed = sum(counts["failed"] for counts in found.values()) + sum(bad for _, bad in killed.values())
    tried = sum(sum(counts.values()) for counts in found.values())
    print(f"{tried} calls and {sum(a + b for a, b in killed.values())} kills, {failed} failed; wrote {given.out}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
