"""`gwsml denoise`: subtract what witness channels explain, or recover a binary's signal from whitened strain."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from gwsurrogate_ml.cli.options import Json, Seed
from gwsurrogate_ml.errors import ConfigError

if TYPE_CHECKING:
    from gwsurrogate_ml.cli.console import ProgressReport

app = typer.Typer(help="Subtract witnessed noise, or recover a signal.", no_args_is_help=True)

HELD_OUT = 1_000_003
"""Added to a mock's seed for the data that it is judged on."""


def parse_bands(words: list[str] | None) -> list[tuple[float, float]] | None:
    """Bands from ``LOW:HIGH`` words.

    Examples
    --------
    >>> parse_bands(["10:50", "50:75"])
    [(10.0, 50.0), (50.0, 75.0)]
    """
    if not words:
        return None
    try:
        return [(float(low), float(high)) for low, high in (word.split(":") for word in words)]
    except ValueError as error:
        raise ConfigError(f"--band {' '.join(words)}: write LOW:HIGH in Hz, such as 10:50") from error


@app.callback()
def denoise() -> None:
    """Subtract witnessed noise, or recover a signal."""


@app.command("witness")
def witness(
    strain: Annotated[str | None, typer.Option("--strain", help="DETECTOR=FILE of the strain.")] = None,
    witnesses: Annotated[
        Path | None, typer.Option("--witnesses", help="GWF or HDF5 file of the witness channels.")
    ] = None,
    channel: Annotated[list[str] | None, typer.Option("--channel", help="Witness channel; may be repeated.")] = None,
    model: Annotated[
        str | None, typer.Option("--model", help="A saved cleaner; without it one is fitted to these data.")
    ] = None,
    mock: Annotated[
        str | None,
        typer.Option("--mock", help="o3_like, sidebands_only or null in place of files: fitted, then judged."),
    ] = None,
    duration: Annotated[float, typer.Option("--duration", help="Length of the mock's training data in s.")] = 1024.0,
    band: Annotated[list[str] | None, typer.Option("--band", help="LOW:HIGH in Hz; may be repeated.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("out/denoise-witness"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Cleaned strain, the fitted model, ASDs before and after, and what it gained."""
    from gwsurrogate_ml.artifacts import package_versions
    from gwsurrogate_ml.cli.console import ProgressReport, stdout
    from gwsurrogate_ml.cli.output import output_folder, plain, write_json

    if (mock is None) == (strain is None):
        raise ConfigError("give either --strain with --witnesses and --channel, or --mock")
    bands = parse_bands(band)
    config = {
        "command": "denoise witness",
        "mock": mock,
        "strain": strain,
        "witnesses": None if witnesses is None else str(witnesses),
        "channels": channel,
        "model": model,
        "bands": bands,
        "duration": duration,
        "seed": seed,
        "versions": package_versions("numpy", "scipy", "gwpy"),
    }
    with output_folder(out, config) as output, ProgressReport() as progress:
        if mock is not None:
            if model is not None or witnesses is not None or channel:
                raise ConfigError("--mock makes its own data and model: leave --model, --witnesses and --channel out")
            summary = _on_mock(mock, duration, seed, bands, output.path, progress)
        else:
            summary = _on_files(str(strain), witnesses, channel or [], model, bands, output.path)
        write_json(output.path / "summary.json", summary)
    if as_json:
        typer.echo(json.dumps(plain(summary), indent=1))
        return
    console = stdout()
    for entry in summary["bands"]:
        done = "subtracted" if entry["subtracted"] else "left alone, subtraction does not help"
        console.print(
            f"{entry['low']:g} to {entry['high']:g} Hz: held-back power {entry['held_back_power']:.3f} of the raw, {done}"
        )
    if mock is not None:
        figures = summary["ladder"]["cleaners"]["cleaner"]
        console.print(
            f"optimal SNR of 30 + 30 Msun {figures['snr_gain']:.4f} times the raw one, limit {summary['ladder']['limit']:.4f}"
        )
    console.print(f"wrote {out}: model, cleaned.hdf5, asd.png, summary.json, config.json", soft_wrap=True)


def _on_mock(
    name: str,
    duration: float,
    seed: int,
    bands: list[tuple[float, float]] | None,
    folder: Path,
    progress: ProgressReport,
) -> dict[str, Any]:
    from gwsurrogate_ml.denoise import ladder
    from gwsurrogate_ml.denoise.mock import preset
    from gwsurrogate_ml.denoise.witness import DEFAULT_BANDS, WitnessCleaner

    mock = preset(name)
    with progress.stage("drawing the mock"):
        data = mock.draw(duration, seed)
    start = time.perf_counter()
    cleaner = WitnessCleaner.fit(
        data.strain, data.witnesses, bands or DEFAULT_BANDS, name=f"witness-{name}", progress=progress
    )
    seconds = time.perf_counter() - start
    cleaner.save(folder / "model")
    with progress.stage("judging on held-out data"):
        held_out = mock.draw(256.0, seed + HELD_OUT)
        climbed = ladder.climb(
            mock, {"cleaner": lambda s, w: cleaner.apply(s, w).strain}, [seed + HELD_OUT], duration=256.0
        )
        clean = cleaner(held_out.strain, held_out.witnesses)
    _write(folder, held_out.strain, clean, (mock.grid(), mock.optimal_psd()))
    return {"bands": cleaner.card["bands"], "fit_seconds": seconds, "ladder": climbed}


def _on_files(
    strain: str,
    witnesses: Path | None,
    channels: list[str],
    model: str | None,
    bands: list[tuple[float, float]] | None,
    folder: Path,
) -> dict[str, Any]:
    from gwsurrogate_ml.cli.options import parse_detectors
    from gwsurrogate_ml.denoise.channels import read_channels
    from gwsurrogate_ml.denoise.witness import DEFAULT_BANDS, WitnessCleaner
    from gwsurrogate_ml.strain.read import read_strain

    if witnesses is None:
        raise ConfigError("--witnesses is missing: name the GWF or HDF5 file that holds the witness channels")
    if model is not None and bands is not None:
        raise ConfigError("--band belongs to a fit: a saved --model keeps its own bands")
    ((detector, path),) = parse_detectors("--strain", [strain]).items()
    cleaner = None if model is None else WitnessCleaner.load(model)
    series = read_strain(path, detector)
    read = read_channels(witnesses, channels or ([] if cleaner is None else list(cleaner.card["channels"])))
    if cleaner is None:
        cleaner = WitnessCleaner.fit(series, read, bands or DEFAULT_BANDS)
    cleaner.save(folder / "model")
    _write(folder, series, cleaner(series, read), None)
    return {"bands": cleaner.card["bands"], "model": cleaner.plan.model}


def _write(folder: Path, raw: Any, clean: Any, optimum: tuple[np.ndarray, np.ndarray] | None) -> None:
    """Cleaned strain and the figure of ASDs; gaps count as zero in the figure."""
    from gwsurrogate_ml.cli.figures import png
    from gwsurrogate_ml.kernels.psd import welch
    from gwsurrogate_ml.plot.denoise import cleaning

    clean.write(folder / "cleaned.hdf5", path="strain", format="hdf5")
    rate = float(raw.sample_rate.value)
    spectra = [welch(np.nan_to_num(series.value), rate, 4.0) for series in (raw, clean)]
    f = spectra[0][0]
    best = None if optimum is None else np.interp(f, *optimum)
    figure = cleaning(
        f, spectra[0][1], {"cleaned": spectra[1][1]}, best, (10.0, min(300.0, 0.45 * rate)), str(clean.name)
    )
    (folder / "asd.png").write_bytes(png(figure))


@app.command("signal")
def signal(
    event: Annotated[str | None, typer.Argument(help="Name of an event at GWOSC.")] = None,
    strain: Annotated[list[str] | None, typer.Option("--strain", help="DETECTOR=FILE; may be repeated.")] = None,
    gps: Annotated[float | None, typer.Option("--gps", help="Time of the event in GPS s, with --strain.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="Shipped name or folder of a denoiser.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("out/denoise-signal"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """The binary black-hole signal in each detector's whitened strain, with its uncertainty."""
    import gwsurrogate_ml as gw
    from gwsurrogate_ml.artifacts import package_versions
    from gwsurrogate_ml.cli.console import stdout
    from gwsurrogate_ml.cli.figures import png
    from gwsurrogate_ml.cli.options import parse_detectors
    from gwsurrogate_ml.cli.output import output_folder, plain, write_json
    from gwsurrogate_ml.denoise.event import denoise_event
    from gwsurrogate_ml.denoise.signal import DEFAULT, load_denoiser
    from gwsurrogate_ml.plot.denoise import reconstruction

    if (event is None) == (not strain):
        raise ConfigError("give either an event's name, or --strain DETECTOR=FILE with --gps")
    if strain and gps is None:
        raise ConfigError("--gps is missing: say when the event was")
    config = {
        "command": "denoise signal",
        "event": event,
        "strain": strain,
        "gps": gps,
        "model": model or DEFAULT,
        "seed": seed,
        "versions": package_versions("numpy", "gwpy"),
    }
    with output_folder(out, config) as output:
        denoiser = load_denoiser(model or DEFAULT)
        if event is not None:
            data = gw.StrainData.from_gwosc(event)
        else:
            data = gw.StrainData.from_files(parse_detectors("--strain", strain or []), gps=float(gps or 0.0))
        found = denoise_event(denoiser, data, seed)
        summary = {
            detector: {
                "probability": part.result.probability,
                "snr": part.result.snr,
                "gps": part.start_time + part.result.time,
                "log_bayes": part.result.log_bayes,
                "out_of_distribution": part.result.ood,
                "flagged": part.flagged,
            }
            for detector, part in found.items()
        }
        write_json(
            output.path / "summary.json", {"model": f"{denoiser.card['name']} {denoiser.card['version']}", **summary}
        )
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
            detector: (part.times, part.white, part.result.signal, part.result.sigma, None)
            for detector, part in found.items()
        }
        (output.path / "signal.png").write_bytes(png(reconstruction(panels, data.gps)))
    if as_json:
        typer.echo(json.dumps(plain(summary), indent=1))
        return
    console = stdout()
    for detector, row in summary.items():
        flag = ", out of distribution: a glitch, or no binary of this kind" if row["flagged"] else ""
        console.print(
            f"{detector}: probability of a binary {row['probability']:.3f}, SNR {row['snr']:.1f} at GPS {row['gps']:.4f}{flag}"
        )
    console.print(f"wrote {out}: signal.npz, signal.png, summary.json, config.json", soft_wrap=True)
