"""Execute all notebooks here; the executed copies go to out/notebooks.

    python notebooks/run.py [NAME ...] [--update | --quick]

`--quick` runs every cell, with the sizes of `QUICK` in place of those published. The notebooks are kept with their outputs, for
the documentation's site and for readers without Python: `--update` writes the outputs of this run into them (pictures in 128
colours). Otherwise the sources stay as they are.

They need the folder of real data (GWSML_DATA, or ../shared/data beside the project): without it they are skipped with a
message. A cell that fails ends the run with status 1.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "out" / "notebooks"
DATA = Path(os.environ.get("GWSML_DATA", HERE.parents[1] / "shared" / "data"))
NEEDED = DATA / "strain" / "H-H1_LOSC_4_V2-1126259446-32.hdf5"
TIMEOUT = 1800
LARGEST = 700_000
"""Bytes that a notebook with its outputs may have in the repository."""
QUICK = {
    "01_gw150914": {"n=50_000": "n=2_000"},
    "04_estimator": {
        '"bank_size": 12_000': '"bank_size": 4_000',
        '"steps": 700': '"steps": 200',
        "n=6000": "n=1000",
        "estimator, 40,": "estimator, 20,",
        "n_draws=1000": "n_draws=300",
    },
}
"""By notebook, what stands in it and what is run with `--quick`."""


def execute(path: Path, smaller: dict[str, str]) -> Any:
    """Run one notebook in its own kernel, texts replaced as `smaller` says; write the executed copy and return it."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    for published, quick in smaller.items():
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and published in cell.source]
        if len(cells) != 1:
            raise ValueError(f"{len(cells)} cells of {path.name} hold {published!r}: write what --quick is to replace into QUICK")
        cells[0].source = cells[0].source.replace(published, quick)
    client = NotebookClient(
        notebook, timeout=TIMEOUT, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}
    )
    OUT.mkdir(parents=True, exist_ok=True)
    try:
        client.execute()
    finally:
        nbformat.write(notebook, OUT / path.name)
    return notebook


def compressed(png: str) -> str:
    """A base64 PNG in 128 colours: a third of the size, and no difference to be seen in a plot."""
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()


def update(path: Path, executed: Any) -> None:
    """Write the outputs of an executed notebook into the one kept: no times, no versions, smaller pictures."""
    import nbformat

    executed.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(executed.cells):
        cell.metadata = {}
        cell.id = f"cell-{number}"
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                output.data = {"image/png": compressed(output.data["image/png"])}
                output.metadata = {}
    text = nbformat.writes(executed) + "\n"
    if len(text) > LARGEST:
        raise ValueError(f"{path.name} would have {len(text):,} bytes: keep it below {LARGEST:,} with smaller figures")
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def main(arguments: list[str]) -> int:
    """Execute the notebooks named, or all; 0 where none failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="names without suffix; all where left out")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--update", action="store_true", help="keep the outputs in the notebooks themselves")
    kind.add_argument("--quick", action="store_true", help="with smaller sizes, to see that every cell runs")
    options = parser.parse_args(arguments)
    known = {path.stem: path for path in sorted(HERE.glob("*.ipynb"))}
    if unknown := set(options.names) - set(known):
        parser.error(f"no notebook {', '.join(sorted(unknown))}: there are {', '.join(known)}")
    if not NEEDED.is_file():
        print(f"notebooks skipped: {NEEDED.name} is missing (set GWSML_DATA to the folder that holds strain/)")
        return 0
    # One thread a process, and this interpreter's kernel whatever kernels the user has installed.
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "GWSML_DATA": str(DATA)}
    failed = 0
    for path in (known[name] for name in options.names or known):
        start, before = time.monotonic(), os.times()
        try:
            executed = execute(path, QUICK.get(path.stem, {}) if options.quick else {})
            if options.update:
                update(path, executed)
        except Exception as error:
            failed += 1
            print(f"{path.name}: failed\n{error}", file=sys.stderr)
        else:
            now = os.times()
            cpu = now.children_user + now.children_system - before.children_user - before.children_system
            wall = time.monotonic() - start
            print(f"{path.name}: done in {wall:.0f} s ({cpu:.0f} s of CPU), written to {OUT / path.name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
