"""`gwsml control`: train policies for a suspended mirror, and compare them with the optimum and with linear rivals."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from gwsurrogate_ml.cli.options import Json, Seed, command_words

app = typer.Typer(help="Control of a suspended mirror: policies beside the exact optimum.", no_args_is_help=True)

Suspended = Annotated[
    Path | None, typer.Option("--suspension", help="TOML or JSON file of the mirror and its noise; default: the built-in one.")
]
Power = Annotated[float, typer.Option("--power", help="Laser power, of the nominal one.")]
Limit = Annotated[float | None, typer.Option("--limit", help="Largest torque in nrad; default: none.")]
Fall = Annotated[float, typer.Option("--fall", help="Angle in nrad beyond which the mirror has fallen.")]


@app.command("train")
def train(
    method: Annotated[
        str,
        typer.Argument(help="descent, descent-residual, descent-linear, dagger; with the extra control ppo, ppo-residual, sac."),
    ] = "descent-residual",
    suspension: Suspended = None,
    power: Power = 1.0,
    limit: Limit = None,
    fall: Fall = 10.0,
    steps: Annotated[int | None, typer.Option("--steps", min=1, help="Length of the training, in the method's own unit.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the model; default out/METHOD.")] = None,
    seed: Seed = 0,
) -> None:
    """Train a policy: a small network behind the Kalman filter."""
    import torch

    from gwsurrogate_ml.cli.console import ProgressReport, stdout
    from gwsurrogate_ml.cli.train import model_folder
    from gwsurrogate_ml.control.evaluate import train_policy
    from gwsurrogate_ml.control.learn import Task
    from gwsurrogate_ml.control.plant import make_plant
    from gwsurrogate_ml.settings import read

    task = read(Task, {"limit": limit, "fall": fall, "seed": seed})
    plant, folder = make_plant(suspension, power), model_folder(out, method)
    torch.set_num_threads(1)  # small networks: a second thread costs more than it gives
    settings = {} if steps is None else {"rounds" if method == "dagger" else "steps": steps}
    with ProgressReport() as progress:
        policy = train_policy(plant, method, task, progress, **settings)
    policy.save(folder)
    stdout().print(f"wrote {folder}: card.json, weights.safetensors", soft_wrap=True)


@app.command("evaluate")
def evaluate(
    context: typer.Context,
    policies: Annotated[
        list[str] | None, typer.Argument(help="Policies: shipped names or folders; none compares rivals only.")
    ] = None,
    suspension: Suspended = None,
    power: Power = 1.0,
    limit: Limit = None,
    fall: Fall = 10.0,
    seconds: Annotated[float, typer.Option("--seconds", help="Length of the run of each mirror in s.")] = 60.0,
    mirrors: Annotated[int, typer.Option("--mirrors", min=2, help="Mirrors side by side.")] = 256,
    out: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("out/control"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Policies, LQG and classical loops on the same noise: cost over the optimum's, control noise, falls, margins."""
    from gwsurrogate_ml.artifacts import package_versions
    from gwsurrogate_ml.cli.console import ProgressReport, echo_json, stdout
    from gwsurrogate_ml.cli.output import output_folder, write_json
    from gwsurrogate_ml.control.evaluate import compare
    from gwsurrogate_ml.control.linear import optimal_cost
    from gwsurrogate_ml.control.plant import make_plant
    from gwsurrogate_ml.control.policy import load_policy

    plant = make_plant(suspension, power)
    loaded = {name: load_policy(name) for name in policies or []}
    options = {name: value for name, value in context.params.items() if name not in ("policies", "as_json")}
    words = ["control", "evaluate", *loaded, *command_words(options)]
    with output_folder(out, {"command": "control evaluate"}) as output, ProgressReport() as progress:
        rows = compare(plant, loaded, limit, fall, seconds, mirrors, seed, progress)
        summary = {"optimal_cost": optimal_cost(plant), "power": power, "limit": limit, "fall": fall, "controllers": rows}
        write_json(output.path / "summary.json", summary)
        output.config.update(
            {
                "repeat": shlex.join(["gwsml", *words]),
                "suspension": plant.suspension.model_dump(),
                "versions": package_versions("numpy", "scipy"),
            }
        )
    if as_json:
        echo_json(summary)
        return
    stdout().print(table(rows))
    stdout().print(f"wrote {out}: summary.json, config.json", soft_wrap=True)


def table(rows: list[dict[str, Any]]) -> Any:
    """The rows of `compare` for the terminal."""
    from rich.table import Table

    shown = Table(
        "controller",
        "cost / LQG, exact",
        "simulated, same noise",
        "noise 10-30 Hz [nrad]",
        "falls / h",
        "gain range",
        "peak sensitivity",
    )
    for row in rows:
        run, safe = row["run"], row["margins"]
        if run is None:
            shown.add_row(row["name"], "", row["refused"])
            continue
        shown.add_row(
            row["name"] + (" *" if row["learned"] else ""),
            "" if row["exact"] is None else f"{row['exact']:.3f}",
            f"{row['ratio']:.3f} ± {row['ratio_error']:.3f}",
            f"{run['noise']:.1f}",
            f"{run['falls_per_hour']:.1f}",
            "" if safe is None else f"{safe['lowest_gain']:.2f} to {safe['highest_gain']:.2f}",
            "" if safe is None else f"{safe['peak_sensitivity']:.1f}",
        )
    return shown
