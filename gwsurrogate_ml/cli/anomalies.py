"""`gwsml search --anomalies`: bursts of any shape in one or two detectors, ranked and explained."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gwsurrogate_ml.cli.options import command_words
from gwsurrogate_ml.cli.strain_files import Reading, record, strain_words
from gwsurrogate_ml.errors import ConfigError

DRAWN = 5
"""Candidates with a figure."""
LISTED = 50
"""Candidates in the list."""
SHARED = {"strain", "channel", "sampling_frequency", "start_time", "anomalies", "anomaly_model", "out", "as_json"}
"""Options of `gwsml search` that count here."""


def require_options(given: Mapping[str, str]) -> None:
    """Raise for options that are of the bank.

    Parameters
    ----------
    given : mapping from parameter to option, of what the command line names

    Raises
    ------
    ConfigError

    Examples
    --------
    >>> require_options({"out": "--out"})
    """
    if foreign := [option for name, option in given.items() if name not in SHARED]:
        raise ConfigError(f"{foreign[0]} is of the search with a bank: leave it out, or leave out --anomalies")


def run(files: Mapping[str, tuple[Path, ...]], how: Reading, name: str, out: Path, as_json: bool) -> None:
    """Search, write the list and its figures, and say what was found."""
    import csv

    from gwsurrogate_ml.artifacts import package_versions
    from gwsurrogate_ml.cli.analyze.figures import png
    from gwsurrogate_ml.cli.console import ProgressReport
    from gwsurrogate_ml.cli.output import output_folder, write_json
    from gwsurrogate_ml.search.anomalies.figure import candidate
    from gwsurrogate_ml.search.anomalies.model import load_anomaly_model
    from gwsurrogate_ml.search.anomalies.pipeline import find_anomalies
    from gwsurrogate_ml.strain.detectors import require_known
    from gwsurrogate_ml.strain.read import read_strain

    if len(files) > 2:
        raise ConfigError(f"--strain names {len(files)} detectors: anomalies are looked for in one or two")
    require_known(list(files))
    model = load_anomaly_model(name)
    words = ["search", "--anomalies", *strain_words(files), *how.words(), *command_words({"anomaly_model": name, "out": out})]
    with output_folder(out, {"command": "search"}) as output, ProgressReport() as progress:
        with progress.stage("reading the strain"):
            series = {one: read_strain(paths, one, **how.options(one)) for one, paths in files.items()}
        found = find_anomalies(series, model, progress)
        rows = found.rows[:LISTED]
        behind = found.background
        summary: dict[str, Any] = {
            "detectors": list(found.detectors),
            "live_time": found.live_time,
            "background": None if behind is None else {"n_slides": behind.n_slides, "time": behind.time},
            "candidates": rows,
        }
        write_json(output.path / "anomalies.json", summary)
        with (output.path / "anomalies.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]) if rows else ["rank"])
            writer.writeheader()
            writer.writerows(rows)
        for row in rows[:DRAWN]:
            (output.path / f"anomaly-{row['rank']}.png").write_bytes(png(candidate(found, row, model)))
        output.config.update(
            {
                "repeat": shlex.join(["gwsml", *words]),
                "strain": {one: record(paths) for one, paths in files.items()},
                "model": {"name": model.info["name"], "weights_sha256": model.info["weights_sha256"]},
                "versions": package_versions("numpy", "scipy", "torch", "gwpy"),
            }
        )
    _announce(summary, out, as_json)


def _announce(summary: dict[str, Any], out: Path, as_json: bool) -> None:
    from gwsurrogate_ml.cli.console import echo_json, stdout

    if as_json:
        echo_json(summary)
        return
    console = stdout()
    behind = summary["background"]
    said = "no background: one detector cannot be slid" if behind is None else f"{behind['time'] / 3600:.2f} h of background"
    console.print(f"{summary['live_time']:.1f} s, {said}", soft_wrap=True)
    for row in summary["candidates"][:DRAWN]:
        if behind is None:
            figures = f"novelty {row['novelty']:.1f}"
        else:
            bound = "below " if row["louder_in_background"] == 0 else ""
            rate = "none" if row["false_alarm_rate"] is None else f"{bound}{3600 * row['false_alarm_rate']:.3g} an hour"
            figures = f"score {row['score']:.1f}  false alarms: {rate}"
        console.print(f"{row['rank']}  GPS {row['time']:.3f}  {figures}  {row['reason']}", soft_wrap=True)
    if not summary["candidates"]:
        console.print("nothing stands out")
    console.print(f"wrote {out}: anomalies.json, anomalies.csv, figures of the first, config.json", soft_wrap=True)
