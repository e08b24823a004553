"""The ladder of checks of a witness cleaner as one HTML page, its figures inside.

All numbers come from the dictionary that is also written as summary.json, so that the two cannot disagree.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.cli.output import plain
from gwsurrogate_ml.cli.page import Picture, page
from gwsurrogate_ml.denoise.witness.pursuit import told

if TYPE_CHECKING:
    from gwsurrogate_ml.cli.console import ProgressReport
    from gwsurrogate_ml.cli.witness.command import Job

TARGETS = {"o3_like": 0.90, "sidebands_only": 0.85}
"""Least fraction of the attainable log-gain on a mock."""
NULL, OWN, REAL_TIME, EQUAL = 0.002, 0.005, 50.0, 1e-5
CAPTIONS = {
    "asd": "Amplitude spectral density before and after, and the ratio of the two. Dotted, where it is known: the best that any "
    "cleaner could do.",
    "scores": "Fraction of the attainable log-gain in SNR; the dashed line is the target.",
    "timeline": "Rms between 10 and 200 Hz in the course of time, and what was done with every stretch; gaps stay open.",
    "parameters": "90 % intervals of injections from raw and from cleaned strain, by the package's own estimator.",
}
INJECTIONS = 20


def climb(job: Job, mock: str | None, duration: float, seed: int, parameters: bool, progress: ProgressReport) -> dict[str, bytes]:
    """Make the checks that a plain run leaves out; they go into the job's summary, figures are returned as PNG."""
    from gwsurrogate_ml.cli.analyze.figures import png
    from gwsurrogate_ml.denoise.witness.bench import ladder, nulls
    from gwsurrogate_ml.denoise.witness.bench.mock import MockData, preset
    from gwsurrogate_ml.denoise.witness.crossfit import clean_own_span
    from gwsurrogate_ml.inference.calibration.cleaned_strain import (
        JUDGED,
        injection_template,
        parameters_before_and_after,
    )
    from gwsurrogate_ml.plot.denoise import scores
    from gwsurrogate_ml.plot.witness import before_and_after

    summary, cleaner = job.summary, job.cleaner
    bands = [(entry["low"], entry["high"]) for entry in summary["bands"]]
    data = MockData(job.strain, job.witnesses, np.empty(0), np.empty(0))
    images: dict[str, bytes] = {}

    def fit(strain: Any, witnesses: Any) -> Any:
        return type(cleaner).fit(strain, witnesses, bands)

    def clean(strain: Any, witnesses: Any) -> np.ndarray:
        if job.own_span:
            return clean_own_span(strain, witnesses, bands)[0].strain
        return cleaner.apply(strain, witnesses).strain

    rate = float(job.strain.sample_rate.value)
    if mock is None:
        raw, good = np.asarray(job.strain.value, np.float64), job.frame.subtracted & np.isfinite(job.strain.value)
        if good.any():
            f, before = ladder.spectrum_of_gappy(raw, good, rate)
            after = ladder.spectrum_of_gappy(job.frame.strain, good, rate)[1]
            rows = {"raw": ladder.figures(f, before, before), "witness_cleaner": ladder.figures(f, before, after)}
            summary["ladder"] = {"cleaners": rows}
    if cleaner.plan.channels and np.isfinite(job.strain.value).all():
        with progress.stage("injections"):
            n = int(min(INJECTIONS, max(1, (len(job.strain) / rate - 2 * ladder.MARGIN) // 8)))
            summary["injections"] = ladder.injections(data, clean, injection_template(rate), n, rate)
        with progress.stage("self-subtraction of a fit"):
            source = data if mock is None else preset(mock).draw(duration, seed)
            summary["self_subtraction_of_a_fit"] = nulls.self_subtraction_of_a_fit(source, injection_template(rate), 10, fit)
        with progress.stage("timing the stream"):
            summary["streaming"] = nulls.streaming(cleaner, data)
    with progress.stage("null tests"):
        if mock is not None:
            source_mock, pairs = preset("o3_like" if mock == "null" else mock), [(seed + 1, seed + 1_000_103)]
            summary["nulls"] = nulls.null_tests(source_mock, pairs, min(duration, 512.0), fit=fit)
        elif np.isfinite(job.strain.value).all():
            summary["nulls"] = nulls.null_test_on_data(job.strain, job.witnesses, fit)
    if parameters:
        import gwsurrogate_ml as gw

        summary["parameters"] = parameters_before_and_after(gw.load_estimator(), mock=str(mock), seed=seed, progress=progress)
        images["parameters"] = png(before_and_after(summary["parameters"]["injections"], JUDGED))
    if mock in TARGETS:
        rows = summary["ladder"]["cleaners"]
        values = {name: row["score_of_oracle"] for name, row in rows.items() if name not in ("raw", "oracle")}
        images["scores"] = png(scores(values, TARGETS[mock], str(mock)))
    return images


def ladder_rows(summary: Mapping[str, Any], mock: str | None) -> list[tuple[str, str, str, bool | None]]:
    """The steps of the ladder: what, measured, asked for, and whether it holds (None where nothing is asked)."""
    rows: list[tuple[str, str, str, bool | None]] = []
    cleaners = summary.get("ladder", {}).get("cleaners", {})
    if "witness_cleaner" in cleaners:
        ours, raw = cleaners["witness_cleaner"], cleaners["raw"]
        ratios = ", ".join(f"{band}: {value:.3f}" for band, value in ours["asd_ratio"].items())
        rows.append(("ASD after / before", ratios, "", None))
        rows.append(("range of 1.4 + 1.4 M☉", f"{raw['range_mpc']:.1f} to {ours['range_mpc']:.1f} Mpc", "", None))
        limit = summary["ladder"].get("limit")
        known = "" if limit is None else f"limit {limit:.4f}, causal limit {summary['ladder']['causal_limit']:.4f}"
        rows.append(("optimal SNR of 30 + 30 M☉, after / before", f"{ours['snr_gain']:.4f}", known, None))
        if "score_of_oracle" in ours and mock in TARGETS:
            score, target = ours["score_of_oracle"], TARGETS[mock]
            rows.append(("fraction of the attainable log-gain", f"{score:.3f}", f"at least {target:g}", score >= target))
            others = {
                key: row["score_of_oracle"] for key, row in cleaners.items() if key not in ("raw", "oracle", "witness_cleaner")
            }
            if others:
                text = ", ".join(f"{key.replace('_', ' ')} {value:.3f}" for key, value in others.items())
                rows.append(("the same, baselines", text, "less than ours", max(others.values()) < score))
            steps = ", ".join(f"{edge}: {value:.3f}" for edge, value in ours["edges"].items())
            rows.append(("step where bands join, power", steps, "1 within some per cent", None))
    for record in summary.get("scattering", []):
        name, text = told(record).split(": ", 1)
        rows.append((f"scattered light, {name}", text, "", None))
    if "injections" in summary:
        entry = summary["injections"]
        gain = f"{entry['snr_before']:.1f} to {entry['snr_after']:.1f}, {entry['snr_gain']:.4f} times"
        asked, holds = ("at least 1.216", entry["snr_gain"] >= 1.216) if mock == "o3_like" else ("", None)
        rows.append((f"matched-filter SNR of {entry['n']} injections", gain, asked, holds))
        lost = entry["self_subtraction"]
        rows.append(("self-subtraction of the injections", f"{lost:.1e}", f"at most {OWN:g}", lost <= OWN))
    if "self_subtraction_of_a_fit" in summary:
        entry = summary["self_subtraction_of_a_fit"]
        text = f"{entry['mean']:.4f}, at worst {entry['worst']:.4f} of {entry['n']}"
        rows.append(("the same in the data of the fit itself (not how strain is cleaned here)", text, "", None))
    if "nulls" in summary:
        worst = summary["nulls"]["worst"]
        names = ", ".join(key for key in summary["nulls"] if key != "worst")
        rows.append((f"null tests: {names}; largest change of SNR", f"{worst:.1e}", f"at most {NULL:g}", worst <= NULL))
    for key, entry in summary.get("streaming", {}).items():
        if not isinstance(entry, Mapping):
            rows.append(("stream: delay of the filters", f"{entry:.2f} s", "", None))
            continue
        times = f"{entry['p50_ms']:.2f} / {entry['p95_ms']:.2f} / {entry['p99_ms']:.2f} ms"
        rows.append((f"stream, {key}: latency p50 / p95 / p99", times, "", None))
        speed = entry["real_time_factor"]
        rows.append((f"stream, {key}: real-time factor", f"{speed:.0f}", f"at least {REAL_TIME:g}", speed >= REAL_TIME))
        equal = entry["relative_difference"]
        rows.append((f"stream, {key}: difference from offline", f"{equal:.0e}", f"at most {EQUAL:g}", equal <= EQUAL))
    if "parameters" in summary:
        entry = summary["parameters"]
        rows.append(("parameters: shift, rms, in sigma of the difference", f"{entry['rms_shift']:.2f}", "about 1", None))
        text = ", ".join(f"{key.replace('_', ' ')} {value:.2f}" for key, value in entry["mean_narrower"].items())
        rows.append(("parameters: width after / before", text, "", None))
        held = f"{entry['inside_90_raw']:.0%} raw, {entry['inside_90_cleaned']:.0%} cleaned"
        rows.append(("parameters: truth inside the 90 % interval", held, "about 90 %", None))
    return rows


def render(summary: Mapping[str, Any], images: Mapping[str, bytes], config: Mapping[str, Any]) -> str:
    """The report as one HTML page without outside references."""
    mock = config.get("mock")
    given = {key: value for key, value in config.items() if value is not None}
    return page(
        "witness",
        title="Witness subtraction",
        source=f"mock {mock}, judged on seeds not used in the fit" if mock else str(config.get("strain")),
        summary=summary,
        ladder=ladder_rows(summary, mock),
        pictures=[Picture(key, images[key], caption) for key, caption in CAPTIONS.items() if key in images],
        config=json.dumps(plain(given), indent=1),
        version=config["versions"]["gwsurrogate-ml"],
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
