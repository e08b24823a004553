"""`gwsml models`: what is shipped, and what a model's card says."""

from __future__ import annotations

import json
from typing import Any

import typer

from gwsurrogate_ml.cli.console import stdout
from gwsurrogate_ml.cli.output import plain

app = typer.Typer(help="Shipped models: their names, ranges and accuracy.", no_args_is_help=True)


def _card(name: str) -> dict[str, Any]:
    """Card of the model `name` (shipped, or a folder), after the checks that loading makes."""
    from gwsurrogate_ml import artifacts

    folder = artifacts.resolve(name, "model")
    try:
        kind = json.loads((folder / "card.json").read_text())["kind"]
    except (ValueError, KeyError, TypeError):
        kind = "model"  # loading says what is wrong with the card
    card, _ = artifacts.load(folder, kind)
    return card


@app.command("list")
def list_models(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List the shipped models."""
    from rich.table import Table

    from gwsurrogate_ml import artifacts

    cards = {name: _card(name) for name in artifacts.available()}
    rows = {
        name: {"kind": card["kind"], "version": card.get("version"), "description": card.get("description")}
        for name, card in cards.items()
    }
    if as_json:
        typer.echo(json.dumps(plain(rows), indent=1))
        return
    table = Table("name", "kind", "version", "description")
    for name, row in rows.items():
        table.add_row(name, *(str(value) if value is not None else "" for value in row.values()))
    stdout().print(table)


@app.command("info")
def info(
    name: str = typer.Argument(..., help="A shipped model's name, or a model folder."),
    as_json: bool = typer.Option(False, "--json", help="Print the card as JSON."),
) -> None:
    """Print the card of a model: ranges, training data, accuracy, versions, checksum."""
    card = _card(name)
    if as_json:
        typer.echo(json.dumps(plain(card), indent=1))
        return
    from rich.table import Table

    table = Table()
    for heading in ("key", "value"):
        table.add_column(heading, overflow="fold")
    for key, value in _flat(plain(card)).items():
        table.add_row(key, value)
    stdout().print(table)


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested mapping as dotted keys; lists as JSON.

    Examples
    --------
    >>> _flat({"a": {"b": [1, 2]}, "c": 3})
    {'a.b': '[1, 2]', 'c': '3'}
    """
    rows: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            rows |= _flat(value, f"{prefix}{key}.")
        else:
            rows[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return rows
