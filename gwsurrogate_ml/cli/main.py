"""The command `gwsml`: one small module a command; heavy imports happen inside the commands."""

from __future__ import annotations

import typer

from gwsurrogate_ml.cli import bench, control, demo, denoise, models, search, serve, train, trigger, validate, waveform
from gwsurrogate_ml.cli.analyze import command
from gwsurrogate_ml.cli.console import OrderlyGroup, stdout

app = typer.Typer(
    name="gwsml",
    cls=OrderlyGroup,
    help="Neural surrogates of numerical relativity, exact inference, fast strain processing for gravitational waves.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("analyze")(command.analyze)
app.command("waveform")(waveform.waveform)
app.command("search")(search.search)
app.command("bench")(bench.bench)
app.command("serve")(serve.serve)
app.add_typer(control.app, name="control")
app.add_typer(denoise.app, name="denoise")
app.add_typer(models.app, name="models")
app.add_typer(train.app, name="train")
app.add_typer(trigger.app, name="trigger")
app.add_typer(validate.app, name="validate")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        from gwsurrogate_ml.kernels.fft import backend_name

        stdout().print(f"gwsml {metadata.version('gwsurrogate-ml')} (FFT: {backend_name()})")
        raise typer.Exit


@app.callback()
def main(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Version and FFT backend."),
) -> None:
    """Run `gwsml COMMAND --help` for a command's options."""


if __name__ == "__main__":
    app()
