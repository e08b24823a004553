"""`gwsml search`: look for binaries in the strain of two detectors with a bank of templates, or for bursts of any shape."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gwsurrogate_ml.cli.options import Cluster, Json, Seed, Workers, command_words
from gwsurrogate_ml.cli.strain_files import (
    Channel,
    SamplingFrequency,
    StartTime,
    parse_strain,
    reading,
    record,
    strain_words,
)
from gwsurrogate_ml.errors import ConfigError

OF_PLACED = ("mass_min", "mass_max", "q_max", "chi_max", "min_match", "psd")
"""Parameters of a bank that is placed here."""


def search(
    context: typer.Context,
    strain: Annotated[
        list[str], typer.Option("--strain", help="DETECTOR=FILE, or a pattern, of two detectors; files of one are joined in time.")
    ],
    anomalies: Annotated[
        bool,
        typer.Option("--anomalies", help="Bursts of any shape in place of binaries: no bank; one detector or two; 24 to 480 Hz."),
    ] = False,
    anomaly_model: Annotated[
        str, typer.Option("--anomaly-model", help="With --anomalies: a shipped name, or a folder of `gwsml train anomaly`.")
    ] = "anomaly-h1l1",
    channel: Channel = None,
    sampling_frequency: SamplingFrequency = None,
    start_time: StartTime = None,
    bank: Annotated[
        Path | None,
        typer.Option(
            "--bank",
            help="A bank in place of one that is placed: bank.hdf5 of an earlier search, pycbc's HDF5 or LIGO_LW XML. Masses, "
            "spins, match and --bank-psd are its own.",
        ),
    ] = None,
    mass_min: Annotated[float, typer.Option("--mass-min", help="Lightest component in Msun (detector frame).")] = 16.0,
    mass_max: Annotated[float, typer.Option("--mass-max", help="Heaviest component in Msun.")] = 70.0,
    q_max: Annotated[float, typer.Option("--q-max", help="Largest mass ratio m1/m2.")] = 4.0,
    chi_max: Annotated[float, typer.Option("--chi-max", help="Largest aligned spin.")] = 0.7,
    min_match: Annotated[float, typer.Option("--min-match", help="Smallest match of a binary with the bank.")] = 0.97,
    psd: Annotated[str, typer.Option("--bank-psd", help="Noise curve under which the bank is placed.")] = "aLIGO",
    f_min: Annotated[float | None, typer.Option("--f-min", help="Lower end of the band in Hz (20, or the bank's own).")] = None,
    f_max: Annotated[float, typer.Option("--f-max", help="Upper end of the band in Hz.")] = 1024.0,
    threshold: Annotated[float, typer.Option("--threshold", help="Smallest SNR of a trigger.")] = 4.0,
    slide_step: Annotated[float, typer.Option("--slide-step", help="Time slides are multiples of it, in s.")] = 0.2,
    surrogate: Annotated[str, typer.Option("--surrogate", help="Shipped name or folder of the waveform model.")] = ("nr22"),
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="Threads over templates, without --cluster.")] = 1,
    cluster: Cluster = None,
    workers: Workers = 2,
    out: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("out/search"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Coincident triggers with false-alarm rates from time slides, a bank, and a figure.

    The bank is placed at random for the masses and spins given (about half a minute) and kept in the user's cache. With --anomalies
    a ranked and explained list of what both detectors saw and noise does not do, with figures.
    """
    if anomalies:
        from gwsurrogate_ml.cli import anomalies as other

        other.require_options(given_options(context))
        files = parse_strain(strain)
        other.run(files, reading(channel, sampling_frequency, start_time, list(files)), anomaly_model, out, as_json)
        return
    if "anomaly_model" in given_options(context):
        raise ConfigError("--anomaly-model goes with --anomalies: give that too, or leave it out")
    from contextlib import nullcontext

    from gwsurrogate_ml import scale
    from gwsurrogate_ml.artifacts import package_versions
    from gwsurrogate_ml.cli.analyze.figures import png
    from gwsurrogate_ml.cli.console import ProgressReport
    from gwsurrogate_ml.cli.output import output_folder, plain, write_json
    from gwsurrogate_ml.search.bank import BankConfig, TemplateBank, cached
    from gwsurrogate_ml.search.pipeline import SearchConfig, require_searchable
    from gwsurrogate_ml.search.pipeline import search as run
    from gwsurrogate_ml.search.sharing import shared

    scale.require(cluster, workers)
    placed = [option for name, option in given_options(context).items() if name in OF_PLACED]
    if bank is not None and placed:
        raise ConfigError(f"{placed[0]} says how a bank is placed, {bank} is placed already: leave one of both out")
    files = parse_strain(strain)
    how = reading(channel, sampling_frequency, start_time, list(files))
    if len(files) != 2:
        raise ConfigError(f"--strain names {len(files)} detectors: coincidence and time slides need two")
    if bank is None:
        start = 20.0 if f_min is None else f_min
        wanted = BankConfig(mass_min, mass_max, q_max, chi_max, min_match, start, psd, seed=seed)
    config = SearchConfig(f_max=f_max, threshold=threshold, slide_step=slide_step, n_jobs=jobs)
    if bank is None:
        given: dict[str, Any] = {"mass_min": mass_min, "mass_max": mass_max, "q_max": q_max, "chi_max": chi_max}
        given |= {"min_match": min_match, "bank_psd": psd, "f_min": start}
    else:
        given = {"bank": bank} | ({} if f_min is None else {"f_min": f_min})
    given |= {"f_max": f_max, "threshold": threshold, "slide_step": slide_step, "surrogate": surrogate}
    words = ["search", *strain_words(files), *how.words()]
    words += command_words(given | {"seed": seed, "out": out})
    loaded = None if bank is None else TemplateBank.load(bank, f_min)
    with output_folder(out, {"command": "search"}) as output, ProgressReport() as progress:
        with progress.stage("reading the strain"):
            from gwsurrogate_ml.strain.detectors import require_known
            from gwsurrogate_ml.strain.rates import to_lowest_rate
            from gwsurrogate_ml.strain.read import read_strain

            require_known(list(files))
            series = to_lowest_rate({name: read_strain(paths, name, **how.options(name)) for name, paths in files.items()})
        from gwsurrogate_ml.surrogate.load import load_aligned

        model = load_aligned(surrogate)
        checksum = str(model.info["weights_sha256"])
        if loaded is not None:
            loaded.require_waveforms(model)
        require_searchable(series, start if loaded is None else loaded.config.f_min, config)
        templates = loaded or cached(model, checksum, wanted, progress=progress)
        # Without a cluster no mapper: threads share the templates within this process.
        with nullcontext() if cluster is None else scale.cluster(cluster, workers) as mapper:
            share = None
            if mapper is not None:
                share = partial(shared, mapper=mapper, scratch=output.path, surrogate=surrogate, weights_sha256=checksum)
            result = run(series, templates, model, config, progress, share)
        result.meta.update({"surrogate": surrogate, "weights_sha256": checksum})
        result.save(output.path / "triggers.hdf5")
        templates.save(output.path / "bank.hdf5", approximant_of(surrogate))
        templates.save(output.path / "bank.xml.gz")
        (output.path / "search.png").write_bytes(png(result.plot()))
        summary = result.summary() | {"bank": templates.info.get("coverage")}
        write_json(output.path / "summary.json", summary)
        output.config.update(
            {
                "repeat": shlex.join(["gwsml", *words]),
                "strain": {name: record(paths) for name, paths in files.items()},
                "bank": plain(vars(templates.config)),
                "settings": plain(vars(config)),
                "versions": package_versions("numpy", "scipy", "numba", "torch", "gwpy"),
            }
        )
    _announce(summary, out, as_json)


def given_options(context: typer.Context) -> dict[str, str]:
    """Option of each parameter that the command line names."""
    sources = {str(p.name): context.get_parameter_source(str(p.name)) for p in context.command.params}
    return {
        str(parameter.name): parameter.opts[0]
        for parameter in context.command.params
        if getattr(sources[str(parameter.name)], "name", "") == "COMMANDLINE"
    }


def approximant_of(surrogate: str) -> str:
    """pycbc's name of a shipped surrogate; empty for others, which pycbc does not know.

    Examples
    --------
    >>> approximant_of("nr22"), approximant_of("out/mine")
    ('GWSML_NR22', '')
    """
    from importlib.metadata import entry_points

    from gwsurrogate_ml.plugins.common import PREFIX

    name = PREFIX + surrogate.upper()
    return name if name in entry_points(group="pycbc.waveform.fd").names else ""


def _announce(summary: dict, out: Path, as_json: bool) -> None:
    from gwsurrogate_ml.cli.console import echo_json, stdout

    if as_json:
        echo_json(summary)
        return
    console = stdout()
    behind = summary["background"]
    console.print(
        f"{summary['live_time']:.1f} s, {summary['templates']} templates, {behind['n_slides']} slides "
        f"({behind['time'] / 3600:.2f} h of background)",
        soft_wrap=True,
    )
    for event in summary["events"]:
        bound = "below " if event["louder_in_background"] == 0 else ""
        rate = 3600 * event["false_alarm_rate"]
        each = ", ".join(f"{d} SNR {event[f'{d}_snr']:.2f}" for d in summary["detectors"])
        console.print(
            f"GPS {event['time']:.3f}  ranking {event['ranking']:.2f}  {event['mass_1']:.1f} + {event['mass_2']:.1f} Msun  "
            f"{each}  false alarms: {bound}{rate:.3g} an hour",
            soft_wrap=True,
        )
    if not summary["events"]:
        console.print("no coincidence")
    console.print(f"wrote {out}: triggers.hdf5, bank.hdf5, bank.xml.gz, search.png, summary.json, config.json", soft_wrap=True)
