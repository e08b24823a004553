"""`gwsml analyze`: from an event's strain to its posterior and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gwsurrogate_ml.cli.console import ProgressReport
from gwsurrogate_ml.cli.options import Draws, Duration, Estimator, FMax, FMin, Json, Seed, parse_detectors, parse_prior
from gwsurrogate_ml.errors import ConfigError


def analyze(
    event: Annotated[str | None, typer.Argument(help="An event of gwosc.org, such as GW150914.")] = None,
    strain: Annotated[
        list[str] | None, typer.Option("--strain", help="DETECTOR=FILE (GWOSC HDF5, GWF, text, npy); once a detector.")
    ] = None,
    gps: Annotated[float | None, typer.Option("--gps", help="GPS time of the event in s; with --strain.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Output folder; default out/EVENT.")] = None,
    psd: Annotated[
        list[str] | None,
        typer.Option("--psd", help="DETECTOR=FILE or a curve's name; default: measured off the event from the strain."),
    ] = None,
    estimator: Estimator = "bbh-h1l1",
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Without an estimator: learn the posterior of this event in rounds.")
    ] = False,
    prior: Annotated[
        list[str] | None,
        typer.Option(
            "--prior", help="NAME=LOW,HIGH of chirp_mass, mass_ratio, chi, luminosity_distance; with --from-scratch."
        ),
    ] = None,
    higher_modes: Annotated[
        bool,
        typer.Option(
            "--higher-modes", help="Re-weigh the posterior with all modes of nrhm in the likelihood: minutes."
        ),
    ] = False,
    n_draws: Draws = 50_000,
    duration: Duration = 4.0,
    f_min: FMin = 20.0,
    f_max: FMax = 1024.0,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Posterior, evidence, matched filter and a report of one event, from gwosc.org or from files."""
    from gwsurrogate_ml.cli.output import output_folder
    from gwsurrogate_ml.cli.pipeline import GWOSC_NOTE, Settings, announce, run_into

    if event and strain:
        raise ConfigError("give either an event name or --strain and --gps, not both")
    files = {name: Path(path) for name, path in sorted(parse_detectors("--strain", strain or []).items())}
    if not event and not files:
        raise ConfigError("nothing to analyse: give an event name, or --strain H1=FILE --strain L1=FILE --gps T")
    if files and gps is None:
        raise ConfigError("--strain needs --gps: the event's GPS time in s")
    if event and gps is not None:
        raise ConfigError("--gps goes with --strain: an event's time comes from gwosc.org")
    if prior and not from_scratch:
        raise ConfigError("--prior goes with --from-scratch: an estimator has the prior it was trained with")
    ranges = parse_prior(prior or []) if from_scratch else {}
    psds = parse_detectors("--psd", psd or [])
    settings = Settings(estimator, n_draws, seed, duration, f_min, f_max, psds, ranges, higher_modes)
    source = (
        [event] if event else [w for d, p in files.items() for w in ("--strain", f"{d}={p}")] + ["--gps", repr(gps)]
    )
    folder = out or Path("out") / (event or f"GPS{gps:.0f}")
    command = ["analyze", *(str(word) for word in source), *settings.options(), "--out", str(folder)]
    with output_folder(folder, {"command": "analyze"}) as output, ProgressReport() as progress:
        with progress.stage("reading the strain"):
            from gwsurrogate_ml.strain.data import StrainData

            if event:
                gps, files = _fetch(event, estimator)
            assert gps is not None  # given with the files, or found with the event
            data = StrainData.from_files(files, gps, name=event or "")
        public = all("LOSC" in path.name or "GWOSC" in path.name for path in files.values())
        note = GWOSC_NOTE if public else ""
        summary = run_into(output, data, settings, command, progress, files=files, acknowledgement=note)
    announce(folder, summary, as_json)


def _fetch(event: str, estimator: str) -> tuple[float, dict[str, Path]]:
    """GPS time and strain files of an event, of the detectors that the estimator needs."""
    import gwsurrogate_ml as gw
    from gwsurrogate_ml.strain.gwosc import fetch_event

    return fetch_event(event, tuple(gw.load_estimator(estimator).config.segment.detectors))
