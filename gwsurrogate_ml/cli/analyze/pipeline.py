"""From strain to a report folder: what `gwsml analyze` and `gwsml demo` share."""

from __future__ import annotations

import logging
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.binaries import ALIGNED
from gwsurrogate_ml.cli.analyze.alerts import ALERT_SKY_MAP
from gwsurrogate_ml.cli.analyze.report import CARDS, DESCRIPTIONS, Report, interval, read_psd_segments, render
from gwsurrogate_ml.cli.analyze.settings import Settings
from gwsurrogate_ml.cli.console import ProgressReport, complain, echo_json, stdout
from gwsurrogate_ml.cli.options import options_named, parse_glitch, parse_waveform_error
from gwsurrogate_ml.cli.output import Output, plain, write_json
from gwsurrogate_ml.cli.strain_files import Files, record
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.inference.result.alert import read_alert
from gwsurrogate_ml.inference.result.draws import model_of, prior_of

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.analysis.any_event import Analysis
    from gwsurrogate_ml.inference.analysis.choice import Choice
    from gwsurrogate_ml.inference.result.result import Result
    from gwsurrogate_ml.inference.result.skymap import SkyMap
    from gwsurrogate_ml.strain.data import StrainData
    from gwsurrogate_ml.strain.filtering import MatchedFilterResult
    from gwsurrogate_ml.strain.segment import AnalysisSegment
    from gwsurrogate_ml.waveform.model import WaveformModel

PACKAGES = ("numpy", "scipy", "numba", "torch", "zuko", "sbi", "gwpy", "bilby", "pycbc", "lalsuite", "astropy")
SKY_MAP, PDF = "skymap.fits", "report.pdf"
DIAGNOSTICS = (
    "n_draws",
    "sample_efficiency",
    "pareto_k",
    "log_evidence",
    "log_evidence_error",
    "log_bayes_factor",
    "seconds",
)
"""What summary.json says of the inference: a contract."""
GWOSC_NOTE = (
    "This work makes use of data from the Gravitational Wave Open Science Center (gwosc.org), a service of the LIGO "
    "Scientific Collaboration, the Virgo Collaboration and KAGRA."
)


@dataclass(frozen=True)
class Run:
    """One analysis: data, result, and what the figures need.

    Attributes
    ----------
    data, segment : what was analysed, around where the event was found
    gps : float, GPS s
        the time given
    result : posterior and its diagnostics
    model : waveform model of the draws
    choice : how the event was analysed, and why
    filtered : matched filter with the posterior's waveform of highest likelihood, whose spectra the figures share
    sky : sky map; None without the extra `skymap`
    truths : mapping from parameter to its true value; empty unless the data are simulated
    """

    data: StrainData
    segment: AnalysisSegment
    gps: float
    result: Any
    model: Any
    choice: Choice
    filtered: MatchedFilterResult
    sky: SkyMap | None = None
    truths: Mapping[str, float] = field(default_factory=dict)


def analyse(
    data: StrainData,
    settings: Settings,
    progress: ProgressReport,
    truths: Mapping[str, float] | None = None,
    checkpoint: Path | None = None,
) -> Run:
    """Posterior of `data`, and its matched filter with the posterior's best-fitting waveform."""
    gps = data.gps
    with options_named():
        analysis = _sample(data, settings, progress, checkpoint)
    data, segment, result, model = analysis.data, analysis.segment, analysis.result, analysis.model
    if settings.higher_modes:
        n = len(result.posterior)
        result = result.with_higher_modes(segment, n=n, seed=settings.seed, progress=progress, checkpoint=checkpoint, model=model)
        model = model_of(result)
    with progress.stage("remnant"):
        result = result.with_remnant()
    with progress.stage("matched filter"):
        from gwsurrogate_ml.strain.filtering import matched_filter
        from gwsurrogate_ml.strain.highpass import unfiltered_from

        best = result.posterior.loc[result.posterior["log_likelihood"].idxmax()]
        reach = float(min(segment.frequencies[segment.mask & np.isfinite(row)][-1] for row in segment.psd))
        filtered = matched_filter(
            data,
            model,
            best,
            f_min=unfiltered_from(segment),
            f_max=reach,
            psd=dict(settings.psd) or None,  # a long filter has no use for spectra under the window of a short segment
            filter_duration=filter_duration(data),
        )
    from gwsurrogate_ml.inference.result import skymap

    sky = None
    if skymap.available():
        try:
            with progress.stage("sky map"):
                sky = result.skymap(distances=True, seed=settings.seed)
        except DataError as error:  # of very few draws: the rest is worth keeping
            complain("warning", f"no {SKY_MAP}: {error}")
    return Run(data, segment, gps, result, model, analysis.choice, filtered, sky, truths or {})


def filter_duration(data: StrainData, longest: float = 4.0, window: float = 0.1) -> float:
    """Length (s, in eighths) of the matched filter: what data about the event hold beside its `window`, at most `longest`."""
    rooms = []
    for name in data.detectors:
        piece = data.stretch(name)
        before = data.gps - float(piece.t0.value)
        rooms.append(min(before, float(piece.duration.value) - before))
    return min(longest, math.floor(8 * (min(rooms) - window) - 1e-3) / 8)


def _sample(data: StrainData, settings: Settings, progress: ProgressReport, checkpoint: Path | None) -> Analysis:
    """The posterior, by an estimator or from scratch; what was chosen is said as it is."""
    from gwsurrogate_ml.inference.analysis.any_event import analyze
    from gwsurrogate_ml.inference.analysis.choice import Wanted
    from gwsurrogate_ml.inference.nuisances.glitch_prior import requested_glitches
    from gwsurrogate_ml.inference.nuisances.prior import requested

    errors: dict[str, Any] = {
        "calibration": settings.calibration or None,
        "waveform_error": parse_waveform_error(settings.waveform_error),
    }
    # Before the work: envelopes are read here once more than needed, and errors come at once; the band is chosen later.
    requested(data.detectors, None, *errors.values())
    if glitch := parse_glitch(settings.glitch):
        errors["glitch"] = requested_glitches(glitch, data.detectors)
    wanted = Wanted(
        estimator=settings.estimator,
        from_scratch=settings.from_scratch,
        prior=settings.prior,
        surrogate=settings.surrogate,
        duration=settings.duration,
        f_min=settings.f_min,
        f_max=settings.f_max,
        psd=dict(settings.psd) or None,
    )
    sampling: dict[str, Any] = {"n": settings.n_draws, "seed": settings.seed, "progress": progress, "checkpoint": checkpoint}
    return analyze(data, wanted, told=progress.say, **sampling, **errors)


def summarise(run: Run) -> dict[str, Any]:
    """The content of summary.json: the matched filter's peaks, the posterior's quantiles, sky areas, diagnostics, flags, the
    time given beside the middle of the prior on arrival time, and how well the noise spectrum is known.
    """
    filtered: dict[str, Any] = {
        name: {"snr": peak.peak_snr, "time": peak.time, "chisq_per_dof": peak.chisq_per_dof}
        for name, peak in run.filtered.detectors.items()
    }
    found = run.result.summary()
    return {
        "matched_filter": filtered | {"network_snr": run.filtered.network_snr},
        "posterior": {name: row for name, row in found["posterior"].items() if not name.startswith("log_likelihood")},
        "sky": _sky(run),
        "inference": {name: found["inference"][name] for name in DIAGNOSTICS},
        **_errors(run.result),
        "choice": run.choice.record(),
        "flags": run.result.flags,
        "time": {"given": run.gps, "centre": run.data.gps},
        "noise_spectrum": _noise_spectrum(run),
    }


def _noise_spectrum(run: Run) -> dict[str, Any] | None:
    """Periodograms behind the detector's spectrum that has fewest, with the report's grade and reading; None where it was given."""
    if not (fewest := min(run.segment.psd_segments, default=0)):
        return None
    grade, reading = read_psd_segments(fewest)
    return {"periodograms": fewest, "grade": grade, "reading": reading}


def _errors(result: Result) -> dict[str, Any]:
    """Calibration and waveform errors, or glitches, that were integrated: what they are, and how well that went."""
    if "glitch" in result.meta:
        from gwsurrogate_ml.inference.result.glitches import summary

        return {"glitch": summary(result)}
    if (record := result.meta.get("nuisances")) is None:
        return {}
    kept = {key: record[key] for key in ("draws", "efficiency", "drawn_from")}
    return {
        "nuisances": kept
        | {
            "sources": record["prior"]["sources"],
            "curves": plain({k: {n: x.tolist() for n, x in c.items()} for k, c in result.curves().items()}),
        }
    }


def _sky(run: Run) -> dict[str, Any]:
    """Areas (deg^2) of the 50 % and 90 % regions: of the map that is saved, or of the figure's where there is none."""
    if run.sky is not None:
        return {"area_50": run.sky.area(0.5), "area_90": run.sky.area(0.9), "file": SKY_MAP}
    from gwsurrogate_ml import plot

    areas = plot.sky_areas(*plot.sky_density(run.result.posterior["ra"], run.result.posterior["dec"]))
    return {"area_50": areas[0.5], "area_90": areas[0.9], "file": None}


def _source(run: Run, settings: Settings) -> str:
    """What the weighted draws came from, for the grade of their efficiency."""
    rounds = run.result.meta["rounds"]
    if settings.higher_modes:
        return "the posterior under the (2,2) mode alone"
    if "nuisances" in run.result.meta:
        return "a posterior made broad enough for errors of the calibration or the waveform"
    if "glitch" in run.result.meta:
        return "posteriors of the data less one glitch each"
    if "drawn_from" in run.result.meta:
        return "the posterior under a prior that is nowhere narrower"
    if not run.choice.estimator:
        return "flows fitted to this event"
    alone = f"{100 * rounds[0]['efficiency']:.1f} %"
    if any(r["proposal"].startswith(("refinement", "repair", "flow")) for r in rounds):
        return f"flows fitted to this event (the network alone: {alone})"
    if rounds[-1]["proposal"] == "thinned":
        return f"the network, its draws thinned by what the first of them taught (the network alone: {alone})"
    return "the network"


def waveforms(model: WaveformModel, reweighted: bool = False) -> dict[str, str]:
    """What a report says of the waveforms of `model`, to which draws under a (2,2) mode may have been `reweighted`."""
    if model.quadrupole_only:
        return {}
    modes = ", ".join(f"({ell},{m})" for ell, m in model.modes)
    return {
        "spins": Report.spins if model.space == ALIGNED else "spins in any direction",
        "modes": f"the modes {modes} of {model.name} (matched filter: its (2,2) mode for spins along the orbit)",
        "integrated": Report.integrated if reweighted else "sky, time, polarization and phase",
    }


def _ranges(result: Result) -> str:
    """The data that were analysed, and the prior: ends and kinds of density (bilby's names), of masses, spins and distance."""
    priors, segment = prior_of(result), result.meta["segment"]
    shown = []
    for name in ("chirp_mass", "mass_ratio", "chi_1", "chi_2", "a_1", "a_2", "tilt_1", "tilt_2", "luminosity_distance"):
        if name in priors:
            (said, unit), prior = DESCRIPTIONS[name], priors[name]
            ends = f"{prior.minimum:.6g} to {prior.maximum:.6g} {unit}".rstrip()
            power = f", power {prior.alpha:g}" if hasattr(prior, "alpha") else ""
            shown.append(f"{said} {ends} ({type(prior).__name__}{power})")
    return (
        f"Data: {segment['duration']:g} s, {segment['f_min']:g} to {segment['f_max']:g} Hz, of {', '.join(segment['detectors'])}. "
        f"Prior: {', '.join(shown)}."
    )


def _calibration(result: Result) -> str:
    """What is believed of calibration and waveform errors."""
    if "glitch" in result.meta:
        return f"{Report.calibration}; a glitch in {' and '.join(result.meta['glitch']['detectors'])} integrated"
    record = result.meta.get("nuisances")
    owners = record["prior"]["owners"] if record else []
    known = [name for name in owners if name != "waveform"]
    said = f"calibration errors of {' and '.join(known)} integrated" if known else Report.calibration
    return said + ("; errors of the waveform integrated" if "waveform" in owners else "")


def run_into(
    output: Output,
    data: StrainData,
    settings: Settings,
    command: Sequence[str],
    progress: ProgressReport,
    *,
    files: Files | None = None,
    truths: Mapping[str, float] | None = None,
    acknowledgement: str = "",
    checkpoint: Path | None = None,
    pdf: bool = False,
    alert: Path | None = None,
) -> dict[str, Any]:
    """Analyse `data` and write everything into the folder of `output`.

    Parameters
    ----------
    output : Output
        gets result.json, summary.json, skymap.fits (with the extra `skymap`), then the figures (a warning for one that fails),
        report.html and, at its end, config.json
    data, settings
    command : sequence of str
        words after ``gwsml`` that repeat the run
    progress : callable (stage, done, total)
    files : mapping from detector to paths, optional
        where the strain came from; their checksums go into config.json
    truths : mapping from parameter to true value, optional
    acknowledgement : str
        for the foot of the report
    checkpoint : Path, optional
        folder that keeps what is done until the output is whole
    pdf : bool
        print the report, too; where the browser fails, a warning says so
    alert : Path, optional
        of a public alert: the summary and the report put it beside the result, its sky map goes into the folder

    Returns
    -------
    dict, the content of summary.json
    """
    from gwsurrogate_ml.artifacts import package_versions, sha256
    from gwsurrogate_ml.cli.analyze.figures import FIGURES, pictures
    from gwsurrogate_ml.inference.result.flags import largest_share
    from gwsurrogate_ml.strain.spectrum_given import given_psd

    announced = None if alert is None else read_alert(alert)  # before the work
    run = analyse(data, settings, progress, truths, checkpoint)
    summary = summarise(run)
    if announced is not None:
        summary["alert"] = announced.beside(run.sky)
    versions = package_versions(*PACKAGES)
    # Files inside the output folder are named relative to it: the folder still has its temporary name.
    shown = {
        name: [path.name if path.parent == output.path else str(path) for path in paths] for name, paths in (files or {}).items()
    }
    spectra = {name: given_psd(source, name).said for name, source in settings.psd.items() if name in data.detectors}
    words = shlex.join(["gwsml", *command])
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    output.config.update(
        {
            "repeat": words,
            "date": date,
            "event": {"name": data.name, "gps": data.gps, "detectors": list(data.detectors)},
            "settings": asdict(settings),
            "strain": {name: record(paths, shown[name]) for name, paths in (files or {}).items()},
            "psd": spectra,
            "settings_sha256": settings.sha256(),
            "truths": dict(run.truths),
            "inference": plain(run.result.meta | {"flags": summary["flags"]}),
            "cosmology": "Planck15",
            "versions": versions,
        }
    )
    logging.getLogger("bilby").setLevel(logging.WARNING)
    with progress.stage("writing the results"):
        write_json(output.path / "summary.json", summary)
        run.result.to_bilby(data.name or f"GPS{data.gps:.0f}").save_to_file(
            filename=str(output.path / "result.json"), overwrite=True
        )
        if run.sky is not None:
            run.sky.save(output.path / SKY_MAP)
        if alert is not None and announced is not None:
            output.config["alert"] = {"file": str(alert), "sha256": sha256(alert)}
            if announced.sky is not None:
                announced.sky.save(output.path / ALERT_SKY_MAP)
    # After the results, which a figure that cannot be drawn must not cost.
    drawn = []
    for done, picture in enumerate(pictures(run), start=1):
        if picture is not None:
            (output.path / f"{picture.name}.png").write_bytes(picture.png)
            drawn.append(picture)
        progress("drawing figures", done, len(FIGURES))
    report = Report(
        title=data.name or f"Event at GPS {run.data.gps:.1f}",
        gps=run.data.gps,
        detectors=data.detectors,
        summary=summary,
        pictures=drawn,
        command=words,
        provenance={
            "seed": str(settings.seed),
            "chosen": "; ".join(run.choice.reasons),
            **{f"strain {name}": ", ".join(paths) for name, paths in shown.items()},
            **{f"noise spectrum {name}": said for name, said in spectra.items()},
            "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        },
        version=versions["gwsurrogate-ml"],
        date=date,
        truths=run.truths,
        extrinsic_ess=run.result.extrinsic_ess,
        psd_segments=min(run.segment.psd_segments, default=None),
        residual_p=run.result.meta["checks"]["residual"]["p_value"],
        largest_weight=largest_share(run.result.log_weights),
        source=_source(run, settings),
        **waveforms(run.model, settings.higher_modes),
        calibration=_calibration(run.result),
        ranges=_ranges(run.result),
        acknowledgement=acknowledgement,
    )
    (output.path / "report.html").write_text(render(report), encoding="utf-8")
    if pdf:
        from gwsurrogate_ml.cli.printing import print_page

        try:
            with progress.stage("printing the report"):
                print_page(output.path / "report.html", output.path / PDF)
        except ConfigError as error:  # the analysis is done: its folder is worth more than its print
            complain("warning", f"no {PDF}: {error}")
    return summary


def announce(folder: Path, summary: Mapping[str, Any], as_json: bool) -> None:
    """Print the key results, or all of them as JSON, and say what was written and where; each flag is a warning."""
    run, filtered = summary["inference"], summary["matched_filter"]
    for text in summary["flags"]:
        complain("warning", text)
    if as_json:
        echo_json(summary)
        return
    from rich.table import Table

    table = Table("", "median", "90 % interval", "")
    for key in (*CARDS, "mass_ratio", "mass_1_source", "mass_2_source", "final_mass_source", "final_spin"):
        if key in summary["posterior"]:
            (name, unit), (median, span, _) = DESCRIPTIONS[key], interval(summary["posterior"][key])
            table.add_row(name, median, span, unit)
    console = stdout()
    console.print(table)
    snr = ", ".join(f"{name} {peak['snr']:.1f}" for name, peak in filtered.items() if name != "network_snr")
    console.print(f"SNR: {snr}, network {filtered['network_snr']:.1f}")
    given, centre = summary["time"]["given"], summary["time"]["centre"]
    if centre != given:
        console.print(f"time: the prior on arrival time is centred on {centre:.1f}, {centre - given:+.2f} s from the time given")
    console.print(f"sky area: {summary['sky']['area_50']:,.0f} deg² (50 %), {summary['sky']['area_90']:,.0f} deg² (90 %)")
    if theirs := summary.get("alert", {}).get("sky"):
        console.print(
            f"alert's sky map: {theirs['area_90']:,.0f} deg² (90 %), in which {100 * theirs['in_region_90']:.0f} % of this map's "
            f"probability lies; {100 * theirs['overlap']:.0f} % in common"
        )
    console.print(
        f"{run['n_draws']} draws, sample efficiency {100 * run['sample_efficiency']:.1f} %, "
        f"Pareto k {run['pareto_k']:.2f}, log Bayes factor {run['log_bayes_factor']:.1f}"
    )
    if spectrum := summary["noise_spectrum"]:
        said = "" if spectrum["grade"] == "good" else f" {spectrum['reading']}"
        console.print(f"noise spectrum: {spectrum['periodograms']} periodograms, {spectrum['grade']}.{said}", soft_wrap=True)
    written = [
        "report.html",
        *([PDF] if (folder / PDF).exists() else []),
        "summary.json",
        "result.json",
        "config.json",
        *([SKY_MAP] if summary["sky"]["file"] else []),
        *([ALERT_SKY_MAP] if (folder / ALERT_SKY_MAP).exists() else []),
    ]
    console.print(f"wrote {folder}: {', '.join(written)} and figures", soft_wrap=True)
    if not summary["sky"]["file"]:
        console.print("no sky map as FITS: pip install gwsurrogate-ml[skymap]", markup=False)
