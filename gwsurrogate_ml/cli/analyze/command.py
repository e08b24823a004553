"""`gwsml analyze`: from the strain of an event, or of many, to its posterior and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.cli.console import ProgressReport
from gwsurrogate_ml.cli.options import (
    Cluster,
    Draws,
    Duration,
    FMax,
    FMin,
    Json,
    Seed,
    Workers,
    parse_detectors,
    parse_glitch,
    parse_prior,
    parse_waveform_error,
)
from gwsurrogate_ml.cli.strain_files import PLAIN, Channel, Gps, SamplingFrequency, StartTime, parse_strain, reading
from gwsurrogate_ml.errors import ConfigError

STRAIN_FILES = (".hdf5", ".h5", ".hdf", ".gwf", ".txt", ".dat", ".csv", ".npy", ".npz", ".gz")
"""How the name of a file ends that is given in place of an event's."""


def analyze(
    event: Annotated[list[str] | None, typer.Argument(help="An event of gwosc.org, such as GW150914, or several.")] = None,
    strain: Annotated[
        list[str] | None,
        typer.Option(
            "--strain",
            help="DETECTOR=FILE (HDF5, GWF, text, csv, npy, npz), or a pattern; files of one detector are joined.",
        ),
    ] = None,
    gps: Gps = None,
    channel: Channel = None,
    sampling_frequency: SamplingFrequency = None,
    start_time: StartTime = None,
    alert: Annotated[
        Path | None,
        typer.Option(
            "--alert",
            help="FILE.json: a public alert (IGWN, format 1.x), in place of --gps: its time, its chirp mass for --from-scratch "
            "where no --prior gives one, and its sky map, beside which the report puts this analysis.",
        ),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option("--events", help="CSV file of many events: columns name, gps, and strain files a detector (H1, L1), a;b."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Output folder; default out/EVENT or out/GPS and the time, with a number where another analysis is there; of "
            "many events out/events.",
        ),
    ] = None,
    psd: Annotated[
        list[str] | None,
        typer.Option(
            "--psd",
            help="DETECTOR=FILE (LIGO_LW XML, HDF5, text, csv, npy, npz), of several spectra DETECTOR=FILE#NAME, or "
            "DETECTOR=CURVE; default: measured from the strain off the event.",
        ),
    ] = None,
    estimator: Annotated[
        str | None,
        typer.Option("--estimator", help="A shipped estimator's name, or a folder; default: one that fits the event, or none."),
    ] = None,
    from_scratch: Annotated[
        bool,
        typer.Option("--from-scratch", help="Without an estimator, even where one fits: the posterior is learned in rounds."),
    ] = False,
    prior: Annotated[
        list[str] | None,
        typer.Option(
            "--prior",
            help="NAME=LOW,HIGH of chirp_mass, mass_ratio, chi, luminosity_distance; spins=isotropic (chi=-A,A: magnitudes < A); "
            "or a bilby prior FILE.prior (no event is looked for beyond its geocent_time); from scratch. Default: from a search.",
        ),
    ] = None,
    surrogate: Annotated[
        str | None,
        typer.Option(
            "--surrogate",
            help="Waveform model: nr22 (default), nrhm, nrphm (precession, all modes), a folder, or lal:APPROXIMANT, such as "
            "lal:IMRPhenomXPHM; from scratch where no estimator trained with it fits.",
        ),
    ] = None,
    higher_modes: Annotated[
        bool,
        typer.Option("--higher-modes", help="Re-weigh the posterior with all modes of nrhm in the likelihood: minutes."),
    ] = False,
    calibration: Annotated[
        list[str] | None,
        typer.Option(
            "--calibration",
            help="DETECTOR=FILE: envelope of calibration errors, which are integrated; once a detector. Seven columns as the "
            "LVK's, which correct the data; template:FILE for one that corrects the template.",
        ),
    ] = None,
    waveform_error: Annotated[
        str | None,
        typer.Option(
            "--waveform-error",
            help="Integrate errors of the waveform: surrogate (its own estimate), or AMPLITUDE,PHASE (relative, rad).",
        ),
    ] = None,
    glitch: Annotated[
        list[str] | None,
        typer.Option(
            "--glitch",
            help="DETECTOR, or DETECTOR=GPS: integrate a glitch there, within 0.5 s before the merger or about that time; not in "
            "all detectors. The event must be within 0.1 s of its time.",
        ),
    ] = None,
    n_draws: Draws = 50_000,
    duration: Duration = None,
    f_min: FMin = None,
    f_max: FMax = None,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Also report.pdf, printed by Chromium or Chrome, which must be installed.")
    ] = False,
    cluster: Cluster = None,
    workers: Workers = 2,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Posterior, evidence, matched filter and a report of an event, or of many, from gwosc.org or from files.

    An estimator that fits detectors, masses and band is taken; else the posterior is learned from scratch, with a prior, a segment
    and a band that follow from a search. It says which, and why.

    The same command again goes on where a killed one was. Of many events each gets a folder, and --cluster shares them out.
    """
    from gwsurrogate_ml.cli.analyze.alerts import require_alert
    from gwsurrogate_ml.cli.analyze.events import Event, analyse_event, claim, folder_of, read_table
    from gwsurrogate_ml.cli.analyze.pipeline import announce
    from gwsurrogate_ml.cli.analyze.settings import Settings
    from gwsurrogate_ml.cli.printing import require_browser
    from gwsurrogate_ml.inference.analysis.choice import settings_of
    from gwsurrogate_ml.strain.times import gps_seconds

    names = list(event or [])
    if sum((bool(names), bool(strain), events is not None)) > 1:
        raise ConfigError("give event names, or --strain and --gps, or --events FILE: only one of these")
    files = parse_strain(strain or [])
    how = reading(channel, sampling_frequency, start_time, list(files) or None)
    announced = require_alert(alert, files, gps) if alert is not None else None
    if not names and not files and events is None:
        raise ConfigError("nothing to analyse: give an event name, or --strain H1=FILE --strain L1=FILE --gps T")
    if announced is not None:
        gps = repr(announced.gps)
        if from_scratch and not any(word.startswith("chirp_mass=") or word.endswith(".prior") for word in prior or []):
            low, high = announced.chirp_mass()
            prior = [f"chirp_mass={low:.4g},{high:.4g}", *(prior or [])]
    if files and gps is None:
        raise ConfigError("--strain needs --gps: the event's GPS time in s")
    if names and how != PLAIN:
        raise ConfigError("--channel, --sampling-frequency and --start-time go with --strain or --events")
    if not files and gps is not None:
        raise ConfigError("--gps goes with --strain: an event's time comes from gwosc.org, or from the file of --events")
    at = None if gps is None else gps_seconds(gps, "--gps")
    alone = [
        option
        for option, value in (("--prior", prior), ("--surrogate", surrogate), ("--from-scratch", from_scratch))
        if value and estimator is not None
    ]
    if alone:
        raise ConfigError(
            f"{alone[0]} does not go with --estimator {estimator}, which has the prior and the waveforms it was trained with: "
            "leave --estimator out"
        )
    if surrogate is not None and not surrogate.startswith("lal:"):
        artifacts.resolve(surrogate, "surrogate")
    model = surrogate if estimator is None else settings_of(estimator).surrogate
    if higher_modes and model not in (None, "nr22"):
        raise ConfigError(f"--higher-modes re-weighs posteriors of the (2,2) mode: {model} has its modes from the start")
    taken: set[str] = set()
    for name in names:
        if Path(name).suffix in STRAIN_FILES:
            raise ConfigError(f"{name!r} is no event of gwosc.org: give files as --strain H1={name} ... --gps T")
        claim(name, taken, "event")
    if pdf:
        require_browser()
    envelopes = parse_detectors("--calibration", calibration or [])
    parse_waveform_error(waveform_error)
    if parse_glitch(glitch or []) and (higher_modes or envelopes or waveform_error):
        raise ConfigError(
            "--glitch does not go with --higher-modes, --calibration or --waveform-error, which know of no glitch: leave out one; "
            "with higher modes: --from-scratch --surrogate nrhm"
        )
    if higher_modes and (envelopes or waveform_error):
        raise ConfigError(
            "--higher-modes re-weighs a posterior of perfect detectors: it does not go with --calibration and --waveform-error; in "
            "Python `sample_event(..., surrogate='nrhm', calibration=...)` has both"
        )
    ranges = parse_prior(prior or [])
    psds = parse_detectors("--psd", psd or [])
    if files and (stray := [name for name in psds if name not in files]):
        raise ConfigError(
            f"--psd {stray[0]}={psds[stray[0]]}: there is no --strain {stray[0]}=FILE: give it, or leave the spectrum out"
        )
    settings = Settings(
        estimator or "",
        n_draws,
        seed,
        duration,
        f_min,
        f_max,
        psds,
        ranges,
        higher_modes,
        surrogate or "",
        calibration=envelopes,
        waveform_error=waveform_error or "",
        glitch=tuple(glitch or ()),
        from_scratch=from_scratch,
    )
    if events is not None or len(names) > 1:
        from gwsurrogate_ml.cli.analyze.campaign import analyse_many

        if any(time is not None for time in parse_glitch(glitch or []).values()):
            raise ConfigError("--glitch DETECTOR=GPS is of one event: give DETECTOR alone, or one event")
        many = [Event(name) for name in names] or read_table(events or Path(), how)
        where = out or Path("out/events")
        analyse_many(many, settings, where, cluster=cluster, workers=workers, pdf=pdf, as_json=as_json)
        return
    if cluster is not None:
        raise ConfigError("--cluster shares out many events: give several names, or --events FILE")
    one = Event(names[0]) if names else Event(announced.superevent_id if announced else "", at, files, how, alert)
    usual = Path("out") / (one.name or f"GPS{at:.0f}")
    folder = out or folder_of(one, settings, usual)
    with ProgressReport() as progress:
        if out is None and folder != usual:
            progress.say(f"{usual} holds another analysis: this one goes to {folder}")
        summary = analyse_event(one, settings, folder, progress, pdf=pdf)
    announce(folder, summary, as_json)
