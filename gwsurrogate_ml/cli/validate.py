"""`gwsml validate`: is a trained model what it claims to be? Simulated events, calibration tests, a card with figures."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gwsurrogate_ml.cli.console import ProgressReport, complain, echo_json, stdout
from gwsurrogate_ml.cli.options import Cluster, Json, Seed, Workers
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.files import write_whole

app = typer.Typer(help="Test models on simulated events; a killed run resumes.", no_args_is_help=True)

RECORDS = "injections.jsonl"
OWN = {RECORDS, "card.json", "card.md", "pp.png", "tarp.png", "efficiency.png"}


def validation_folder(out: Path) -> Path:
    """The folder `out`, made where missing, checked: it may hold an earlier validation and nothing else.

    Raises
    ------
    ConfigError
        if it holds other files or cannot be written
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for stale in (path for path in out.iterdir() if path.name.startswith(".") and path.name.endswith(tuple(OWN))):
            stale.unlink()  # half written when a run was killed
        foreign = sorted({path.name for path in out.iterdir()} - OWN)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be used ({error.strerror or error}): name another folder") from error
    if foreign:
        raise ConfigError(f"--out {out} holds {foreign[0]!r}, which is no part of a validation: name another folder")
    return out


def write_card(folder: Path, card: dict[str, Any], records: list[dict[str, Any]]) -> None:
    """Write card.json, card.md and the figures."""
    from gwsurrogate_ml.cli.analyze.figures import png
    from gwsurrogate_ml.cli.output import plain
    from gwsurrogate_ml.inference.calibration.cards import figures, markdown

    write_whole(folder / "card.json", json.dumps(plain(card), indent=1) + "\n")
    write_whole(folder / "card.md", markdown(card))
    for name, figure in figures(records, card).items():
        write_whole(folder / f"{name}.png", png(figure))


@app.command("estimator")
def estimator(
    name: Annotated[str, typer.Argument(help="A shipped estimator's name, or a folder.")] = "bbh-h1l1",
    injections: Annotated[
        int, typer.Option("--injections", min=0, help="Simulated events to analyse; 0: a card of those of --also.")
    ] = 500,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; default out/validate-NAME.")] = None,
    n_draws: Annotated[int, typer.Option("--n-draws", min=1000, help="Draws of each event.")] = 5000,
    seed: Seed = 1,
    also: Annotated[
        list[Path] | None,
        typer.Option("--also", help="Folder of a run with another seed, or its file, .gz too: they count too; may be repeated."),
    ] = None,
    thorough: Annotated[
        bool,
        typer.Option("--thorough", help="Sample each event as a real one, with refinement: some three times slower."),
    ] = False,
    cluster: Cluster = None,
    workers: Workers = 2,
    as_json: Json = False,
) -> None:
    """Simulate events over the prior, analyse them, and test whether the posteriors are calibrated."""
    import gwsurrogate_ml as gw
    from gwsurrogate_ml import scale
    from gwsurrogate_ml.inference.calibration import coverage
    from gwsurrogate_ml.inference.calibration.cards import identity, judge, read_others, run_injections

    if injections < coverage.FEWEST and not also:
        raise ConfigError(f"--injections {injections} says too little: give at least {coverage.FEWEST}, or others' with --also")
    paths = [path / RECORDS if path.is_dir() else path for path in also or []]
    for path in paths:
        if not path.is_file():
            raise ConfigError(f"--also: no file {path}: give the folder of another validation, or its file of records")
    with ProgressReport() as progress:
        with progress.stage("loading the estimator"):
            loaded = gw.load_estimator(name)
        head = identity(loaded, seed, n_draws, thorough)
        others, seeds = read_others(paths, head, [seed] if injections else [])
        folder = validation_folder(out or Path("out") / f"validate-{Path(name).name}")
        with scale.cluster(cluster, workers) as mapper:
            elsewhere = None if cluster is None else mapper
            given = partial(run_injections, loaded, injections, folder / RECORDS, seed=seed, n_draws=n_draws, thorough=thorough)
            records = given(progress=progress, mapper=elsewhere, source=name) if injections else []
        records += others
        seeds = [*([seed] if injections else []), *seeds]
        card = judge(records, head | {"seed": seeds[0], "seeds": seeds}, progress)
        write_card(folder, card, records)
    if as_json:
        echo_json(card)
        return
    quantile, poor = card["quantiles"]["network_efficiency"], card["poorly_proposed"]
    refined = card["quantiles"]["efficiency"]
    worst = min(card["weighted"]["pp"].items(), key=lambda item: item[1]["ks_p"])
    console = stdout()
    console.print(f"{card['n_analysed']} events analysed, {card['n_without_signal']} showed no signal")
    for message in card["failures"]:
        complain("warning", f"an event failed: {message}")
    console.print(
        f"efficiency: median {refined['50 %']:.1%}, 5th percentile {refined['5 %']:.1%}; of the network alone "
        f"{quantile['50 %']:.1%}, {quantile['5 %']:.1%}, below 10 % for {poor['share']:.1%}"
    )
    console.print(f"smallest P-P p-value of {len(card['weighted']['pp'])}: {worst[1]['ks_p']:.3f} ({worst[0]})")
    console.print(f"wrote {folder}: card.md, card.json, {f'{RECORDS} ' if injections else ''}and figures", soft_wrap=True)
