"""Execute all notebooks here; the executed copies go to out/notebooks, the sources stay without outputs.

    python notebooks/run.py [NAME ...]

They need the folder of real data (GWSML_DATA, or ../shared/data beside the project): without it they are skipped with a
message. A cell that fails ends the run with status 1.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "out" / "notebooks"
DATA = Path(os.environ.get("GWSML_DATA", HERE.parents[1] / "shared" / "data"))
NEEDED = DATA / "strain" / "H-H1_LOSC_4_V2-1126259446-32.hdf5"
TIMEOUT = 600


def execute(path: Path) -> None:
    """Run one notebook in its own kernel and write the executed copy."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", resources={"metadata": {"path": str(HERE)}})
    OUT.mkdir(parents=True, exist_ok=True)
    try:
        client.execute()
    finally:
        nbformat.write(notebook, OUT / path.name)


def main(names: list[str]) -> int:
    """Execute the notebooks named, or all; 0 where none failed."""
    if not NEEDED.is_file():
        print(f"notebooks skipped: {NEEDED.name} is missing (set GWSML_DATA to the folder that holds strain/)")
        return 0
    # One thread a process, and this interpreter's kernel whatever kernels the user has installed.
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "GWSML_DATA": str(DATA)}
    failed = 0
    for path in sorted(HERE.glob("*.ipynb")):
        if names and path.stem not in names:
            continue
        start = time.monotonic()
        try:
            execute(path)
        except Exception as error:
            failed += 1
            print(f"{path.name}: failed\n{error}", file=sys.stderr)
        else:
            print(f"{path.name}: done in {time.monotonic() - start:.0f} s, written to {OUT / path.name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
