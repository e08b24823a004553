"""`gwsml denoise`: subtract what witness channels explain, or recover a binary's signal from whitened strain."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from gwsurrogate_ml.cli.options import Json, Seed
from gwsurrogate_ml.cli.strain_files import PLAIN, Channel, Gps, SamplingFrequency, StartTime, parse_strain, reading
from gwsurrogate_ml.cli.witness.command import witness
from gwsurrogate_ml.errors import ConfigError

app = typer.Typer(help="Subtract witnessed noise, or recover a signal.", no_args_is_help=True)


@app.callback()
def denoise() -> None:
    """Subtract witnessed noise, or recover a signal."""


app.command("witness")(witness)


@app.command("signal")
def signal(
    event: Annotated[str | None, typer.Argument(help="Name of an event at GWOSC.")] = None,
    strain: Annotated[
        list[str] | None, typer.Option("--strain", help="DETECTOR=FILE, or a pattern; files of one are joined in time.")
    ] = None,
    gps: Gps = None,
    channel: Channel = None,
    sampling_frequency: SamplingFrequency = None,
    start_time: StartTime = None,
    model: Annotated[str | None, typer.Option("--model", help="Shipped name or folder of a denoiser.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("out/denoise-signal"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The binary black-hole signal in each detector's whitened strain, with its uncertainty."""
    import gwsurrogate_ml as gw
    from gwsurrogate_ml.artifacts import package_versions
    from gwsurrogate_ml.cli.analyze.figures import png
    from gwsurrogate_ml.cli.console import echo_json, stdout
    from gwsurrogate_ml.cli.output import output_folder, plain, write_json
    from gwsurrogate_ml.denoise.signal.denoiser import DEFAULT
    from gwsurrogate_ml.denoise.signal.event import denoise_event
    from gwsurrogate_ml.denoise.signal.load import load_denoiser
    from gwsurrogate_ml.plot.denoise import reconstruction
    from gwsurrogate_ml.strain.times import gps_seconds

    if (event is None) == (not strain):
        raise ConfigError("give either an event's name, or --strain DETECTOR=FILE with --gps")
    if event is not None and gps is not None:
        raise ConfigError("--gps goes with --strain: an event's time comes from gwosc.org")
    if strain and gps is None:
        raise ConfigError("--gps is missing: say when the event was")
    files = parse_strain(strain or [])
    how = reading(channel, sampling_frequency, start_time, list(files))
    if event is not None and how != PLAIN:
        raise ConfigError("--channel, --sampling-frequency and --start-time go with --strain: gwosc.org's files need none")
    at = gps_seconds(gps if files and gps is not None else 0.0, "--gps")
    config = {
        "command": "denoise signal",
        "event": event,
        "strain": strain,
        "gps": at if files else None,
        "reading": plain(asdict(how)),
        "model": model or DEFAULT,
        "seed": seed,
        "versions": package_versions("numpy", "gwpy"),
    }
    with output_folder(out, config) as output:
        denoiser = load_denoiser(model or DEFAULT)
        if event is not None:
            data = gw.StrainData.from_gwosc(event)
        else:
            data = gw.StrainData.from_files(
                files,
                gps=at,
                channels=how.channels,
                sampling_frequency=how.sampling_frequency,
                start_time=how.start_time,
            )
        found = denoise_event(denoiser, data, seed)
        summary = {
            detector: {
                "probability": part.result.probability,
                "snr": part.result.snr,
                "gps": part.start_time + part.result.time,
                "log_bayes": part.result.log_bayes,
                "out_of_distribution": part.result.ood,
                "flagged": part.flagged,
                "flags": list(part.flags),
            }
            for detector, part in found.items()
        }
        write_json(output.path / "summary.json", {"model": f"{denoiser.card['name']} {denoiser.card['version']}", **summary})
        arrays: dict[str, Any] = {
            f"{detector}_{what}": values
            for detector, part in found.items()
            for what, values in (
                ("times", part.times),
                ("white", part.white),
                ("signal", part.result.signal),
                ("sigma", part.result.sigma),
            )
        }
        np.savez(output.path / "signal.npz", **arrays)
        panels = {
            detector: (part.times, part.white, part.result.signal, part.result.sigma, None) for detector, part in found.items()
        }
        (output.path / "signal.png").write_bytes(png(reconstruction(panels, data.gps)))
    if as_json:
        echo_json(summary)
        return
    console = stdout()
    for detector, row in summary.items():
        flag = ", out of distribution: a glitch, or no binary of this kind" if row["flagged"] else ""
        console.print(
            f"{detector}: probability of a binary {row['probability']:.3f}, SNR {row['snr']:.1f} at GPS {row['gps']:.4f}{flag}"
        )
        for text in found[detector].flags:
            console.print(text, soft_wrap=True)
    console.print(f"wrote {out}: signal.npz, signal.png, summary.json, config.json", soft_wrap=True)
