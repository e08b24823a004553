"""`gwsml denoise witness`: subtract what witness channels explain, from files or a mock, and report what it gained."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from gwsurrogate_ml.cli.options import Json, Seed
from gwsurrogate_ml.errors import ConfigError, DataError, DomainWarning

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

    from gwsurrogate_ml.cli.console import ProgressReport
    from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner
    from gwsurrogate_ml.denoise.witness.stream import CleanFrame

MOCK_DURATION = 1024.0
"""s."""
HELD_OUT = 1_000_003
"""Added to a mock's seed for the data that it is judged on."""


@dataclass(frozen=True)
class Job:
    """What one run made: the summary, the cleaner, and strain with witnesses before and after for the figures."""

    summary: dict[str, Any]
    cleaner: WitnessCleaner
    strain: TimeSeries
    witnesses: Mapping[str, TimeSeries]
    frame: CleanFrame
    optimum: tuple[np.ndarray, np.ndarray] | None = None
    own_span: bool = False


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


def witness(
    strain: Annotated[
        list[str] | None,
        typer.Option("--strain", help="DETECTOR=FILE of one detector's strain, or a pattern; several files are joined in time."),
    ] = None,
    witnesses: Annotated[
        list[Path] | None,
        typer.Option("--witnesses", help="GWF or HDF5 file of the witness channels, or a pattern; may be repeated."),
    ] = None,
    channel: Annotated[list[str] | None, typer.Option("--channel", help="Witness channel; may be repeated.")] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", min=32.0, help="Bring strain and witnesses to this sampling rate in Hz.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="A saved cleaner; without it one is fitted to these data.")] = None,
    mock: Annotated[
        str | None,
        typer.Option("--mock", help="o3_like, sidebands_only or null in place of files: fitted, then judged."),
    ] = None,
    duration: Annotated[
        float | None, typer.Option("--duration", help=f"Length of the mock's training data in s; {MOCK_DURATION:g} if left out.")
    ] = None,
    band: Annotated[list[str] | None, typer.Option("--band", help="LOW:HIGH in Hz; may be repeated.")] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Climb the whole ladder of checks and write report.html (a minute or two).")
    ] = False,
    parameters: Annotated[
        bool,
        typer.Option("--parameters", help="With --report: also the parameters of injections before and after (ten minutes)."),
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="Output folder.")] = Path("out/denoise-witness"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Cleaned strain, the fitted model, ASDs before and after, and what it gained.

    Without --model, files are cleaned with two fits, each half of the span with that to the other half: filters take a
    little of any signal in the data they were fitted to. The model written is fitted to all, for data to come.
    """
    from gwsurrogate_ml.artifacts import package_versions
    from gwsurrogate_ml.cli.console import ProgressReport, echo_json, stdout
    from gwsurrogate_ml.cli.output import output_folder, write_json
    from gwsurrogate_ml.denoise.witness.pursuit import told

    if (mock is None) == (not strain):
        raise ConfigError("give either --strain with --witnesses and --channel, or --mock")
    if parameters and (not report or mock is None or mock == "null"):
        raise ConfigError("--parameters belongs to --report of --mock o3_like or sidebands_only")
    if mock is None and duration is not None:
        raise ConfigError("--duration is of the mock's data: it goes with --mock, files are as long as they are")
    length = MOCK_DURATION if duration is None else duration
    bands = parse_bands(band)
    config = {
        "command": "denoise witness",
        "mock": mock,
        "strain": strain or None,
        "witnesses": [str(path) for path in witnesses or []],
        "channels": channel,
        "rate": rate,
        "model": model,
        "bands": bands,
        "duration": None if mock is None else length,
        "report": report,
        "parameters": parameters,
        "seed": seed,
        "versions": package_versions("numpy", "scipy", "gwpy"),
    }
    with output_folder(out, config) as output, ProgressReport() as progress:
        if mock is not None:
            if model is not None or witnesses or channel or rate is not None:
                raise ConfigError("--mock makes its own data and model: leave --model, --witnesses, --channel and --rate out")
            job = _on_mock(mock, length, seed, bands, report, progress)
        else:
            job = _on_files(strain or [], witnesses or [], channel or [], rate, model, bands, progress)
        job.cleaner.save(output.path / "model")
        images = _write(output.path, job)
        if report:
            from gwsurrogate_ml.cli.witness.report import climb, render

            images |= climb(job, mock, length, seed, parameters, progress)
            (output.path / "report.html").write_text(render(job.summary, images, config), encoding="utf-8")
        write_json(output.path / "summary.json", job.summary)
    if as_json:
        echo_json(job.summary)
        return
    console = stdout()
    for entry in job.summary["bands"]:
        done = "subtracted" if entry["subtracted"] else "left alone, subtraction does not help"
        console.print(
            f"{entry['low']:g} to {entry['high']:g} Hz: held-back power {entry['held_back_power']:.3f} of the raw, {done}"
        )
    for record in job.summary["scattering"]:
        console.print(told(record), soft_wrap=True)
    share = job.summary["samples"]
    console.print(
        f"{share['subtracted']:.1%} of the samples subtracted, {share['passed_through']:.1%} as they were, "
        f"{share['missing']:.1%} missing"
    )
    if mock is not None:
        figures = job.summary["ladder"]["cleaners"]["witness_cleaner"]
        console.print(
            f"optimal SNR of 30 + 30 Msun {figures['snr_gain']:.4f} times the raw one, limit {job.summary['ladder']['limit']:.4f}"
        )
    files = "model, cleaned.hdf5 (strain, weight), asd.png, timeline.png, summary.json, config.json"
    console.print(f"wrote {out}: {files}{', report.html' if report else ''}", soft_wrap=True)


def _on_mock(
    name: str,
    duration: float,
    seed: int,
    bands: list[tuple[float, float]] | None,
    with_baselines: bool,
    progress: ProgressReport,
) -> Job:
    from gwsurrogate_ml.denoise.witness.bench import ladder
    from gwsurrogate_ml.denoise.witness.bench.mock import preset
    from gwsurrogate_ml.denoise.witness.cleaner import DEFAULT_BANDS, WitnessCleaner

    mock = preset(name)
    with progress.stage("drawing the mock"):
        data = mock.draw(duration, seed)
    start = time.perf_counter()
    cleaner = WitnessCleaner.fit(data.strain, data.witnesses, bands or DEFAULT_BANDS, name=f"witness-{name}", progress=progress)
    seconds = time.perf_counter() - start
    cleaners: dict[str, ladder.Cleaner] = {"witness_cleaner": lambda s, w: cleaner.apply(s, w).strain}
    if with_baselines:
        cleaners |= _baselines(data, progress)
    with progress.stage("judging on held-out data"):
        held_out = mock.draw(256.0, seed + HELD_OUT)
        seeds = [seed + HELD_OUT + i for i in range(3 if with_baselines else 1)]
        climbed = ladder.climb(mock, cleaners, seeds, duration=256.0)
        frame = cleaner.apply(held_out.strain, held_out.witnesses)
    summary = {
        "model": cleaner.plan.model,
        "bands": cleaner.card["bands"],
        "scattering": cleaner.card["scattering"],
        "fit_seconds": seconds,
        "held_out_seeds": seeds,
        "ladder": climbed,
    }
    return _checked(Job(summary, cleaner, held_out.strain, held_out.witnesses, frame, (mock.grid(), mock.optimal_psd())))


def _baselines(data: Any, progress: ProgressReport) -> dict[str, Any]:
    from gwsurrogate_ml.denoise.witness.bench.baselines import bilinear_wiener, fir_wiener
    from gwsurrogate_ml.denoise.witness.stream import Filter, run_through

    def through(plan: Filter) -> Any:
        return lambda s, w: run_through(plan, s.value, np.stack([w[k].value for k in plan.channels]), 0.0).strain

    with progress.stage("fitting the baselines"):
        return {
            "bilinear_wiener": through(bilinear_wiener(data.strain, data.witnesses)),
            "fir_wiener": through(fir_wiener(data.strain, data.witnesses)),
        }


def _on_files(
    strain: list[str],
    witnesses: list[Path],
    channels: list[str],
    rate: float | None,
    model: str | None,
    bands: list[tuple[float, float]] | None,
    progress: ProgressReport,
) -> Job:
    from gwsurrogate_ml.cli.strain_files import matching, parse_strain
    from gwsurrogate_ml.denoise.witness.channels import align, at_rate, read_channels
    from gwsurrogate_ml.denoise.witness.cleaner import DEFAULT_BANDS, WitnessCleaner
    from gwsurrogate_ml.denoise.witness.crossfit import clean_aligned
    from gwsurrogate_ml.strain.read import read_strain

    if not witnesses:
        raise ConfigError("--witnesses is missing: name the GWF or HDF5 file that holds the witness channels")
    if model is not None and bands is not None:
        raise ConfigError("--band belongs to a fit: a saved --model keeps its own bands")
    files = parse_strain(strain)
    if len(files) > 1:
        raise ConfigError(f"--strain names {' and '.join(files)}: clean one detector at a time, each with its own witnesses")
    ((detector, paths),) = files.items()
    found = [path for pattern in witnesses for path in matching(pattern, f"--witnesses {pattern}")]
    cleaner = None if model is None else WitnessCleaner.load(model)
    series = read_strain(paths, detector)
    if rate is not None:
        series = at_rate(series, rate)
    read = read_channels(found, channels or ([] if cleaner is None else list(cleaner.card["channels"])), rate)
    if cleaner is None:
        data = align(series, read)
        frame, _ = clean_aligned(data, bands or DEFAULT_BANDS, progress=progress)
        cleaner, own = WitnessCleaner.fit_aligned(data, bands or DEFAULT_BANDS, progress=progress), True
    else:
        frame, own = cleaner.apply(series, read), False
    summary = {"model": frame.model, "bands": cleaner.card["bands"], "scattering": cleaner.card.get("scattering", [])}
    return _checked(Job(summary, cleaner, series, read, frame, own_span=own))


def _checked(job: Job) -> Job:
    """The job with the flags of its samples in the summary; with the raw strain where the subtraction would do harm."""
    from gwsurrogate_ml.denoise.witness.stream import CleanFrame

    frame, raw = job.frame, np.asarray(job.strain.value, np.float64)
    ratios, harm = job.cleaner.in_band_power(job.strain, frame), job.cleaner.harm(job.strain, frame)
    if harm:
        warnings.warn(
            f"{frame.model} {harm}: nothing was subtracted; check the witnesses' timing and gains, or fit anew",
            DomainWarning,
            stacklevel=2,
        )
        frame = CleanFrame(raw.copy(), np.zeros(raw.size), frame.start_time, "no model")
    missing = ~np.isfinite(raw)
    share = {
        "subtracted": float(np.mean(frame.subtracted & ~missing)),
        "passed_through": float(np.mean(~frame.subtracted & ~missing)),
        "refused": float(np.mean(frame.refused)) if frame.refused.size else 0.0,
        "missing": float(np.mean(missing)),
    }
    more = {
        "in_band_power": {f"{low:g}-{high:g} Hz": ratio for (low, high), ratio in ratios.items()},
        "handed_back_as_it_was": bool(harm),
        "samples": share,
    }
    return Job(job.summary | more, job.cleaner, job.strain, job.witnesses, frame, job.optimum, job.own_span)


def _write(folder: Path, job: Job) -> dict[str, bytes]:
    """Cleaned strain with the weight of the subtraction, and the figures; stretches with gaps count in no spectrum."""
    from scipy.signal import firwin

    from gwsurrogate_ml.cli.analyze.figures import png
    from gwsurrogate_ml.denoise.witness.bench.ladder import spectrum_of_gappy
    from gwsurrogate_ml.plot.denoise import cleaning
    from gwsurrogate_ml.plot.witness import timeline
    from gwsurrogate_ml.strain.read import make_series

    rate, start = float(job.strain.sample_rate.value), float(job.strain.t0.value)
    raw, frame = np.asarray(job.strain.value, np.float64), job.frame
    done = f"cleaned by {frame.model}" if frame.subtracted.any() else "as it was, nothing subtracted"
    name = f"{job.strain.name or 'strain'} {done}"
    clean, weight = (
        make_series(frame.strain, start, rate, name),
        make_series(frame.weight, start, rate, f"weight, {name}"),
    )
    clean.override_unit(job.strain.unit)
    clean.write(folder / "cleaned.hdf5", path="strain", format="hdf5")
    weight.write(folder / "cleaned.hdf5", path="weight", format="hdf5", append=True)
    images: dict[str, bytes] = {}
    usable = np.isfinite(raw) & (frame.subtracted if frame.subtracted.any() else True)
    try:
        f, before = spectrum_of_gappy(raw, usable, rate)
    except DataError as error:
        warnings.warn(f"no figure of spectra: {error}", DomainWarning, stacklevel=2)
    else:
        _, after = spectrum_of_gappy(frame.strain, usable, rate)
        best = None if job.optimum is None else np.interp(f, *job.optimum)
        figure = cleaning(f, before, {"cleaned": after}, best, (10.0, min(300.0, 0.45 * rate)), name)
        images["asd"] = png(figure)
    # What is left in the lowest 200 Hz, in units of the raw strain's; gaps spread by the filter's length.
    half = round(0.5 * rate)
    band = firwin(2 * half + 1, (10.0, min(200.0, 0.45 * rate)), fs=rate, pass_zero=False)
    level = [_banded(values, band) for values in (raw, frame.strain)]
    spread = float(np.sqrt(np.nanmean(level[0] ** 2))) if np.isfinite(level[0]).any() else 1.0
    images["timeline"] = png(timeline(level[0] / spread, level[1] / spread, frame.weight, ~np.isfinite(raw), rate, start))
    for key, content in images.items():
        (folder / f"{key}.png").write_bytes(content)
    return images


def _banded(values: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """`values` (n,) filtered, NaN within the filter's reach of a gap or an end."""
    from scipy.signal import oaconvolve

    finite = np.isfinite(values)
    reach = taps.size // 2
    bad = np.concatenate([[0], np.cumsum(~finite)])
    out = np.full(values.size, np.nan)
    inner = slice(reach, values.size - reach)
    clear = bad[taps.size :] == bad[: -taps.size]
    out[inner] = np.where(clear, oaconvolve(np.where(finite, values, 0.0), taps, mode="valid"), np.nan)
    return out
