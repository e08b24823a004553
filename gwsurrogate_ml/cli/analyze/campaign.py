"""Many events through `gwsml analyze`: handed out to workers, collected in order, one table of all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from gwsurrogate_ml.cli.analyze.events import TABLE, Event, tasks_of, work
from gwsurrogate_ml.cli.analyze.settings import Settings
from gwsurrogate_ml.cli.console import EXIT_ERROR, ProgressReport, complain, stdout
from gwsurrogate_ml.cli.output import plain
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.files import write_whole

COLUMNS = ("chirp_mass", "total_mass_source", "luminosity_distance", "chi_eff")
OURS = "event,outcome,"
"""What a table of results begins with, see `line`."""
NUMBERS = ("sample_efficiency", "pareto_k", "log_bayes_factor", "seconds")


def analyse_many(
    events: Sequence[Event],
    settings: Settings,
    out: Path,
    *,
    cluster: str | None,
    workers: int,
    pdf: bool,
    as_json: bool,
) -> None:
    """Analyse `events`, each into a folder of its name in `out`, and write the table of all there.

    Events whose folder holds this very analysis are not analysed again, and one that was killed goes on from its last step.

    Raises
    ------
    ConfigError
        if `out` cannot be used, or there is no such cluster
    typer.Exit
        with status 2, where an event failed
    """
    from gwsurrogate_ml import scale

    scale.require(cluster, workers)
    place = out.expanduser().resolve()
    tasks = tasks_of(events, settings, place, pdf)
    _refuse_anothers_table(place)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be made ({error.strerror or error}): name another folder") from error
    rows: list[dict[str, Any]] = []
    with ProgressReport() as progress, scale.cluster(cluster, workers) as mapper:
        progress("events", 0, len(tasks))
        for row in mapper.map(work, tasks):
            rows.append(plain(row))
            write_table(place, rows)  # after each: what is there is whole, whenever the run ends
            progress("events", len(rows), len(tasks))
    for row in rows:
        for text in (*([row["message"]] if "message" in row else []), *row.get("flags", ())):
            complain("warning", f"{row['event']}: {text}")
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    else:
        _show(rows, out)
    failed = sum(row["outcome"] == "failed" for row in rows)
    if failed:
        complain("error", f"{failed} of {len(rows)} events could not be analysed: see the warnings above, or events.csv")
        raise typer.Exit(EXIT_ERROR)


def _refuse_anothers_table(place: Path) -> None:
    """Raise where the table of all would take the place of a file that is no such table, such as the list of the events itself."""
    path = place / TABLE[0]
    try:
        first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0] if path.exists() else OURS
    except OSError:
        first = ""
    if not first.startswith(OURS):
        raise ConfigError(f"{path} is no table of results, which would take its place: give another --out, or move it away")


def line(row: Mapping[str, Any]) -> dict[str, Any]:
    """One event as a line of the table: outcome, medians with their 90 % intervals, diagnostics.

    Examples
    --------
    >>> line({"event": "a", "outcome": "failed", "message": "no signal", "folder": "out/a"})["message"]
    'no signal'
    """
    cells: dict[str, Any] = {"event": row["event"], "outcome": row["outcome"]}
    for name in COLUMNS:
        values = row.get("posterior", {}).get(name, {})
        for key in ("median", "lower_90", "upper_90"):
            cells[f"{name}_{key}"] = values.get(key, "")
    cells["network_snr"] = row.get("matched_filter", {}).get("network_snr", "")
    cells |= {name: row.get("inference", {}).get(name, "") for name in NUMBERS}
    return cells | {
        "flags": "; ".join(row.get("flags", ())),
        "message": row.get("message", ""),
        "folder": row["folder"],
    }


def write_table(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write events.csv and events.json, each whole."""
    rows = plain(rows)
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(line(rows[0])), lineterminator="\n")
    table.writeheader()
    table.writerows(line(row) for row in rows)
    for name, content in zip(TABLE, (text.getvalue(), json.dumps(rows, indent=1) + "\n"), strict=True):
        write_whole(folder / name, content)


def _show(rows: Sequence[Mapping[str, Any]], out: Path) -> None:
    from rich.table import Table

    table = Table("event", "chirp mass", "distance [Mpc]", "SNR", "efficiency", "Pareto k", "")
    for row in rows:
        if row["outcome"] == "failed":
            table.add_row(row["event"], "", "", "", "", "", "failed")
            continue
        mass, distance = (row["posterior"][name]["median"] for name in ("chirp_mass", "luminosity_distance"))
        run = row["inference"]
        shown = [(mass, ".2f"), (distance, ".0f"), (row["matched_filter"]["network_snr"], ".1f")]
        shown += [(run["sample_efficiency"], ".0%"), (run["pareto_k"], ".2f")]
        cells = ["not finite" if value is None else format(value, form) for value, form in shown]
        said = [row["outcome"]] if row["outcome"] != "analysed" else []
        n = len(row["flags"])
        said += [f"{n} flag{'s' if n > 1 else ''}"] if n else []
        table.add_row(row["event"], *cells, ", ".join(said))
    console = stdout()
    console.print(table)
    console.print(f"wrote {out}: {', '.join(TABLE)}, and a folder for each event", soft_wrap=True)
