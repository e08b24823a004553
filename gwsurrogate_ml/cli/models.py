"""`gwsml models`: what is shipped, and what a model's card says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer

from gwsurrogate_ml.cli.console import echo_json, stdout
from gwsurrogate_ml.cli.output import plain

app = typer.Typer(help="Shipped models: their names, ranges and accuracy.", invoke_without_command=True)


@app.callback()
def models(context: typer.Context) -> None:
    """Shipped models: their names, ranges and accuracy; without a command, the list."""
    if context.invoked_subcommand is None:
        list_models(as_json=False)


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


def _description(card: Mapping[str, Any]) -> str:
    """What a model is for, in a line."""
    if "description" in card:
        return str(card["description"])
    kind = card["kind"]
    if kind == "surrogate":
        modes = " ".join(f"({ell},{m})" for ell, m in card["modes"])
        runs = card["training"].get("nr_runs", 0)
        return f"waveforms of aligned spins, modes {modes}; {runs} runs of numerical relativity"
    if kind == "estimator":
        of, surrogate = card["config"]["segment"]["detectors"], card["config"]["surrogate"]
        return f"posterior of an event in {', '.join(of)}, under {surrogate}"
    return f"signals of binaries in whitened strain, by {card.get('method', kind)}"


def _ranges(card: Mapping[str, Any]) -> str:
    """The ranges of a card in words, those of both spins once.

    Examples
    --------
    >>> _ranges({"ranges": {"q": {"min": 1.0, "max": 10.0}, "chi1": [-0.9, 0.9], "chi2": [-0.9, 0.9]}})
    'q 1 to 10, chi1 chi2 -0.9 to 0.9'
    """
    names: dict[str, list[str]] = {}
    for name, ends in card.get("ranges", {}).items():
        low, high = (ends["min"], ends["max"]) if isinstance(ends, dict) else ends
        names.setdefault(f"{low:g} to {high:g}", []).append(name)
    return ", ".join(f"{' '.join(of)} {span}" for span, of in names.items())


def _accuracy(card: Mapping[str, Any]) -> str:
    """The leading figure of a card's metrics; empty where it has none of these."""
    metrics = card.get("metrics", {})
    if "in_words" in metrics:
        return str(metrics["in_words"])
    if "nr_cross_validation" in metrics:
        found = metrics["nr_cross_validation"]["mismatch_by_isolation"]["0.01"]
        return f"(2,2) mismatch with unseen runs {found['50']:.2g}, 90 % below {found['90']:.2g}"
    if "general mass SXS" in metrics:
        mass, spin = (metrics[f"general {name} SXS"]["p90"] for name in ("mass", "spin"))
        return f"unseen SXS runs: 90 % of errors of mass below {mass:.2g}, of spin {spin:.2g}"
    if "nrsur7dq2_validation" in metrics:
        frame, modes = (metrics["nrsur7dq2_validation"][name]["90"] for name in ("frame_at_peak", "coorbital_modes"))
        return f"unseen binaries of NRSur7dq2: 90 % of frames at the peak within {frame:.2g} rad, of modes within {modes:.1%}"
    if card["kind"] == "inspiral" and "validation" in metrics:
        return f"unseen waveforms of SEOBNRv5HM: 90 % of phases within {metrics['validation']['phase_rad']['90']:.2g} rad"
    if card["kind"] == "control-policy" and "cost over LQG's without a limit" in metrics:
        free, (limited, _) = metrics["cost over LQG's without a limit"], metrics["cost over LQG's within the limit"]
        return f"cost over LQG's: {free:.2f} without a limit on torque, {limited:.2f} within {card['task']['limit']:g} nrad"
    if "SNR 12" in metrics:
        return f"median overlap at SNR 12 {metrics['SNR 12']['overlap_median']:.3f}"
    return "draws weighted exactly: each result says its error" if card["kind"] == "estimator" else ""


@app.command("list")
def list_models(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """List the shipped models."""
    from rich.table import Table

    from gwsurrogate_ml import artifacts

    cards = {name: _card(name) for name in artifacts.available()}
    rows = {
        name: {
            "kind": card["kind"],
            "version": card.get("version"),
            "description": _description(card),
            "ranges": _ranges(card),
            "accuracy": _accuracy(card),
        }
        for name, card in cards.items()
    }
    if as_json:
        echo_json(rows)
        return
    table = Table(show_lines=True)
    table.add_column("name", no_wrap=True)
    for heading in ("", "ranges", "accuracy"):
        table.add_column(heading, overflow="fold")
    for name, row in rows.items():
        table.add_row(f"{name}\n{row['version']}", row["description"], row["ranges"], row["accuracy"])
    stdout().print(table)


@app.command("info")
def info(
    name: str = typer.Argument(..., help="A shipped model's name, or a model folder."),
    as_json: bool = typer.Option(False, "--json", help="Print the card as JSON."),
) -> None:
    """Print the card of a model: ranges, training data, accuracy, versions, checksum."""
    card = _card(name)
    if as_json:
        echo_json(card)
        return
    from rich.table import Table

    table = Table(show_header=False)
    table.add_column("", overflow="fold", max_width=40)
    table.add_column("", overflow="fold")
    head = {"": _description(card), "ranges": _ranges(card), "accuracy": _accuracy(card)}
    shown = {key: value for key, value in plain(card).items() if key not in (*IN_JSON, "description", "ranges")}
    for key, value in (head | _flat(shown)).items():
        if value:
            table.add_row(key, value if len(value) <= LONGEST else f"{value[:LONGEST]} ...")
    stdout().print(table)
    stdout().print(f"gwsml models info {name} --json: all of the card, with the settings of the training", soft_wrap=True)


LONGEST = 300
"""Characters of a value; lists are longer."""
IN_JSON = ("format_version", "config", "modes", "features", "normalisation")
"""What of a card is for programs alone."""


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested mapping as dotted keys; mappings of numbers alone, and lists, in one line.

    Examples
    --------
    >>> _flat({"a": {"b": {"50": 1.23456e-6, "90": 2.0}}, "c": [1, 2]})
    {'a.b': '50: 1.23e-06, 90: 2', 'c': '[1, 2]'}
    """
    rows: dict[str, str] = {}
    for key, value in content.items():
        if isinstance(value, dict) and value and all(isinstance(x, int | float) for x in value.values()):
            rows[f"{prefix}{key}"] = ", ".join(f"{name}: {x if isinstance(x, int) else f'{x:.3g}'}" for name, x in value.items())
        elif isinstance(value, dict):
            rows |= _flat(value, f"{prefix}{key}.")
        else:
            rows[f"{prefix}{key}"] = value if isinstance(value, str) else json.dumps(value)
    return rows
