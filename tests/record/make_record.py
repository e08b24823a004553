"""Write `record.npz`: `python -m tests.record.make_record`, in the folder that holds `tests`; some minutes.

To be run where numbers are meant to move, and nowhere else: the record judges that they do not. With `--check` nothing is written
but how the numbers differ from the record; `--reverse` makes the groups in the other order.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

RECORD = Path(__file__).with_name("record.npz")


def main() -> None:
    """Make every group, say how long each took, and write or compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--reverse", action="store_true")
    parser.add_argument("--elsewhere", action="store_true", help="compare as on another platform")
    options = parser.parse_args()
    # As for the tests: MKL and OpenBLAS round differently with more threads, and look here when they are loaded.
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    from tests.record import results
    from tests.record.comparison import Entry, differences, load, save

    recorded = load(RECORD)[1] if options.check else {}
    entries, bad = {}, 0
    for label in reversed(results.GROUPS) if options.reverse else results.GROUPS:
        started = time.perf_counter()
        group = results.GROUPS[label]
        found = {f"{label}/{name}": Entry.of(value) for name, value in group().items()}
        entries |= found
        print(f"{label}: {len(found)} entries, {time.perf_counter() - started:.1f} s", flush=True)
        if options.check:
            old = {name: entry for name, entry in recorded.items() if name.startswith(f"{label}/")}
            said = differences(found, old, group.close, not options.elsewhere)
            bad += len(said)
            print("".join(f"  {line}\n" for line in said), end="", flush=True)
    if options.check:
        print(f"{bad} of {len(recorded)} entries differ")
    else:
        save(RECORD, entries)
        print(f"{RECORD.name}: {len(entries)} entries, {RECORD.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
