"""`gwsml trigger`: train a quantised trigger, export it to Verilog, verify it to the bit, report what it costs in gates."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gwsurrogate_ml.cli import train as training
from gwsurrogate_ml.cli.options import Json, Seed

app = typer.Typer(help="A quantised streaming trigger, from training to gates.", no_args_is_help=True)

Model = Annotated[str, typer.Option("--model", help="A shipped trigger's name, or a folder.")]
Number = Annotated[int, typer.Option("--n", min=100, max=1_000_000, help="Samples that are compared.")]
Depth = Annotated[int, typer.Option("--depth", min=1, max=64, help="Additions between registers.")]
DEFAULT = "bbh-trigger"


@app.command("train")
def train(
    config: training.Config = DEFAULT, out: training.Out = None, sets: training.Sets = None, seed: training.Seed = None
) -> None:
    """Train a trigger on waveforms of a surrogate in simulated noise, and in real noise where a folder of it is given."""
    from gwsurrogate_ml.settings import read
    from gwsurrogate_ml.trigger.settings import TriggerSettings
    from gwsurrogate_ml.trigger.train import train_trigger

    settings = read(TriggerSettings, training.content(config, sets, seed))
    training.train(config, out, partial(train_trigger, settings))


@app.command("export")
def export(
    model: Annotated[str, typer.Argument(help="A shipped trigger's name, or a folder.")] = DEFAULT,
    out: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("out/trigger"),
    depth: Depth = 4,
    n: Number = 10_000,
    seed: Seed = 0,
) -> None:
    """Write a trigger as Verilog, once emulation and every simulator at hand, of which one is needed, agree with it to the bit."""
    from gwsurrogate_ml.artifacts import package_versions
    from gwsurrogate_ml.cli.console import stdout
    from gwsurrogate_ml.cli.output import output_folder
    from gwsurrogate_ml.trigger.export import write
    from gwsurrogate_ml.trigger.load import load_trigger
    from gwsurrogate_ml.trigger.rtl import present as simulators
    from gwsurrogate_ml.trigger.verilog import require_da4ml

    require_da4ml()
    simulators()
    trigger = load_trigger(model)
    config = {
        "command": "trigger export",
        "model": model,
        "depth": depth,
        "n": n,
        "seed": seed,
        "versions": package_versions("da4ml"),
    }
    with output_folder(out, config) as output:
        about = write(trigger, output.path, depth, n, seed)
    console = stdout()
    for name, wrong in about["mismatches"].items():
        console.print(f"{name}: {wrong} of {n} scores differ")
    for lack in about["not_simulated"].values():
        console.print(f"not simulated: {lack}", soft_wrap=True)
    console.print(f"wrote {out}: trigger.v, design.json, config.json", soft_wrap=True)


@app.command("verify")
def verify(
    folder: Annotated[Path, typer.Argument(help="A folder that `gwsml trigger export` wrote.")],
    model: Model = DEFAULT,
    n: Number = 10_000,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Compare exported Verilog with its network, to the bit, in every simulator at hand: without and with gaps and resets."""
    from gwsurrogate_ml.cli.console import echo_json, stdout
    from gwsurrogate_ml.trigger.export import verify as compare
    from gwsurrogate_ml.trigger.load import load_trigger

    found = compare(load_trigger(model), folder, n, seed)
    if as_json:
        echo_json({"n": n, "mismatches": found})
        return
    for name, wrong in found.items():
        stdout().print(f"{name}: {wrong} of {n} scores differ")


@app.command("report")
def report(
    model: Annotated[str, typer.Argument(help="A shipped trigger's name, or a folder.")] = DEFAULT,
    depth: Depth = 4,
    route: Annotated[bool, typer.Option("--route", help="Place and route it too (minutes).")] = False,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=99, help="Placements; the median counts.")] = 3,
    as_json: Json = False,
) -> None:
    """Size, bits, area by yosys, and with --route the post-route estimate of clock and latency on an ECP5-85k."""
    from gwsurrogate_ml.cli.console import ProgressReport, echo_json, stdout
    from gwsurrogate_ml.trigger import gates
    from gwsurrogate_ml.trigger.load import load_trigger
    from gwsurrogate_ml.trigger.verilog import design

    trigger = load_trigger(model)
    gates.require_yosys()
    if route:
        gates.nextpnr()
    made = design(trigger.network, depth)
    found: dict[str, Any] = {
        "model": f"{trigger.card['name']} {trigger.card['version']}",
        "parameters": trigger.network.n_parameters,
        "bits": trigger.network.input.bits,
        "clocks": made.latency,
    }
    with ProgressReport() as progress, tempfile.TemporaryDirectory() as place:
        progress("synthesis", 0, 1)
        found["synthesis"] = gates.synthesise(made.text, Path(place))
        if route:
            found["post_route_estimate"] = gates.route(Path(place), made.latency, range(1, seeds + 1))
        progress("synthesis", 1, 1)
    if as_json:
        echo_json(found)
        return
    console = stdout()
    console.print(
        f"{found['model']}: {found['parameters']} parameters, {found['bits']} bits, {found['clocks']} clocks from sample to score"
    )
    area = found["synthesis"]
    console.print(f"synthesis for an ECP5: {area['lut']} LUT, {area['ff']} FF, {area['dsp']} DSP, {area['bram']} BRAM")
    if route:
        routed = found["post_route_estimate"]
        console.print(
            f"post-route estimate on an ECP5-85k: {routed['lut']} LUT ({100 * routed['lut_share']:.1f} %), {routed['fmax']:g} MHz "
            f"(median of {seeds}), latency {routed['latency_ns']:g} ns",
            soft_wrap=True,
        )
