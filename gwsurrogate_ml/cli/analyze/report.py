"""The HTML report: one self-contained file, its figures inside as base64 PNGs.

All numbers come from the dictionary that is also written as summary.json, so that the two cannot disagree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gwsurrogate_ml.cli.page import Picture, page

DESCRIPTIONS = {
    "chirp_mass": ("chirp mass", "M☉"),
    "mass_ratio": ("mass ratio m₂/m₁", ""),
    "mass_1": ("heavier mass", "M☉"),
    "mass_2": ("lighter mass", "M☉"),
    "total_mass": ("total mass", "M☉"),
    "chi_1": ("spin of the heavier body χ₁", ""),
    "chi_2": ("spin of the lighter body χ₂", ""),
    "chi_eff": ("effective spin χ_eff", ""),
    "chi_p": ("effective precession spin χ_p", ""),
    "a_1": ("spin magnitude of the heavier body a₁", ""),
    "a_2": ("spin magnitude of the lighter body a₂", ""),
    "tilt_1": ("tilt of the heavier body's spin", "rad"),
    "tilt_2": ("tilt of the lighter body's spin", "rad"),
    "luminosity_distance": ("luminosity distance", "Mpc"),
    "redshift": ("redshift", ""),
    "chirp_mass_source": ("chirp mass, source", "M☉"),
    "mass_1_source": ("heavier mass, source", "M☉"),
    "mass_2_source": ("lighter mass, source", "M☉"),
    "total_mass_source": ("total mass, source", "M☉"),
    "theta_jn": ("inclination θ_JN", "rad"),
    "ra": ("right ascension", "rad"),
    "dec": ("declination", "rad"),
    "geocent_time": ("time at the geocentre", "GPS s"),
    "network_snr": ("network SNR, optimal", ""),
    "final_mass": ("final mass", "M☉"),
    "final_mass_source": ("final mass, source", "M☉"),
    "final_spin": ("final spin", ""),
}
HIDDEN = ("phase", "psi", "phi_12", "phi_jl")
"""Left out of the table: angles without a beginning, whose median would mislead."""
CARDS = ("chirp_mass", "total_mass_source", "luminosity_distance", "chi_eff", "chi_p")


@dataclass(frozen=True)
class Report:
    """What `render` needs; `summary` has the layout of summary.json.

    `largest_weight` is its share in the sum, `source` says what the draws came from, `spins` and `modes` what the waveforms
    hold, `integrated` what the extrinsic points are of, `ranges` of which data and prior the evidence is.
    """

    title: str
    gps: float
    detectors: Sequence[str]
    summary: Mapping[str, Any]
    pictures: Sequence[Picture]
    command: str
    provenance: Mapping[str, str]
    version: str
    date: str
    truths: Mapping[str, float] = field(default_factory=dict)
    extrinsic_ess: float | None = None
    psd_segments: int | None = None
    residual_p: float | None = None
    largest_weight: float | None = None
    source: str = "the proposal"
    spins: str = "spins aligned with the orbit"
    modes: str = "the dominant (2,2) mode only"
    integrated: str = "sky, time, inclination and polarization"
    calibration: str = "perfectly calibrated detectors"
    ranges: str = ""
    acknowledgement: str = ""


def digits_for(width: float) -> int:
    """Decimal places that show two digits of `width`.

    Examples
    --------
    >>> digits_for(3.1), digits_for(0.31), digits_for(250.0)
    (1, 2, 0)
    """
    return 3 if not width > 0 else max(0, 1 - math.floor(math.log10(width)))


def number(value: float, digits: int) -> str:
    """`value` with `digits` decimals, without a negative zero.

    Examples
    --------
    >>> number(-0.001, 2)
    '0.00'
    """
    return f"{round(float(value), digits) + 0.0:.{digits}f}"


def interval(row: Mapping[str, float]) -> tuple[str, str, int]:
    """Median and 90 % interval of {"median", "lower_90", "upper_90"} in words, and the decimal places they are shown with.

    Examples
    --------
    >>> interval({"median": 30.52, "lower_90": 28.9, "upper_90": 32.1})
    ('30.5', '28.9 to 32.1', 1)
    """
    low, middle, high = (float(row[edge]) for edge in ("lower_90", "median", "upper_90"))
    digits = digits_for(0.5 * (high - low))
    return number(middle, digits), f"{number(low, digits)} to {number(high, digits)}", digits


def _parameters(posterior: Mapping[str, Mapping[str, float]], truths: Mapping[str, float]) -> list[tuple[str, ...]]:
    """Name, unit, true value, median, interval and whether it holds the true value, of every parameter shown."""
    known = [key for key in DESCRIPTIONS if key in posterior]
    rows: list[tuple[str, ...]] = []
    for key in known + [key for key in posterior if key not in DESCRIPTIONS and key not in HIDDEN]:
        name, unit = DESCRIPTIONS.get(key, (key.replace("_", " "), ""))
        median, span, digits = interval(posterior[key])
        true = inside = ""
        if (truth := truths.get(key)) is not None:
            true = number(truth, digits)
            inside = "yes" if posterior[key]["lower_90"] <= truth <= posterior[key]["upper_90"] else "no"
        rows.append((name, unit, true, median, span, inside))
    return rows


def _cards(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Name, value and range of what stands first."""
    cards = []
    for key in CARDS:
        if key in summary["posterior"]:
            (name, unit), (median, span, _) = DESCRIPTIONS[key], interval(summary["posterior"][key])
            cards.append((name, f"{median} {unit}", span))
    cards.append(("network SNR", number(summary["matched_filter"]["network_snr"], 1), "matched filter"))
    if sky := summary.get("sky"):
        most, half = (f"{number(sky[key], digits_for(sky[key]))} deg²" for key in ("area_90", "area_50"))
        cards.append(("sky area, 90 %", most, f"50 %: {half}"))
    return cards


def read_efficiency(efficiency: float, n_draws: int, source: str = "the proposal") -> tuple[str, str]:
    """Grade ("good", "fair", "bad") and plain-language reading of the sample efficiency of draws from `source`.

    Examples
    --------
    >>> read_efficiency(0.8, 50000)[0], read_efficiency(0.02, 50000)[0]
    ('good', 'bad')
    """
    worth = f"{n_draws:,} weighted draws are worth {efficiency * n_draws:,.0f} independent ones"
    if efficiency >= 0.4:
        return "good", f"Draws from {source} match the exact posterior well: {worth}."
    if efficiency >= 0.05:
        return (
            "fair",
            f"Draws from {source} cover the posterior but do not follow it closely: {worth}. Intervals are sound.",
        )
    return "bad", f"Draws from {source} match the posterior poorly: {worth}. Draw more."


def read_pareto_k(k: float, largest: float | None = None) -> tuple[str, str]:
    """Grade and reading of the Pareto shape of the largest weights (Vehtari et al. 2024, arXiv:1507.02646).

    `largest` is the share of the largest weight in the sum of all, where it is known.

    Examples
    --------
    >>> [read_pareto_k(k)[0] for k in (0.2, 0.6, 0.9)]
    ['good', 'fair', 'bad']
    """
    if k < 0.5:
        return (
            "good",
            "The largest weights fall off fast: means, intervals and evidence, with their errors, can be relied on.",
        )
    if k < 0.7:
        return "fair", "The weights have a long tail: results are usable, their quoted errors somewhat optimistic."
    share = "" if largest is None else f" The largest weight is {100 * largest:.2g} % of the sum."
    return (
        "bad",
        "The tail of the weights is heavier than a finite sample can vouch for: the errors quoted of averages and evidence "
        f"may be too small.{share} Draw more.",
    )


def read_psd_segments(n: int) -> tuple[str, str]:
    """Grade and reading of the number of half-overlapping periodograms behind an estimated noise spectrum.

    The estimate is smoothed between its lines and scaled so that the noise has unit power on average; what is left is said here
    as it is for stretches of four seconds.

    Examples
    --------
    >>> [read_psd_segments(n)[0] for n in (11, 28, 124)]
    ['fair', 'good', 'good']
    """
    from gwsurrogate_ml.strain.scatter import excess_sharpness
    from gwsurrogate_ml.strain.smooth import LEFT

    # 0.21: power correlation of half-overlapping stretches under the default window.
    narrow = 100 * (1 - (1 + LEFT * excess_sharpness(max(n, 4), 0.21, max(n - 2, 0))) ** -0.5)
    text = f"It is smoothed between its lines; the scatter that is left makes every interval about {narrow:.1f} % too narrow."
    if narrow > 8:
        return "bad", f"A short stretch of noise. {text} Give a longer file or a PSD."
    return "fair" if narrow > 2 else "good", text


def read_residual(p: float) -> tuple[str, str]:
    """Grade and reading of the p-value of the residual around the merger.

    Examples
    --------
    >>> [read_residual(p)[0] for p in (0.4, 0.02, 1e-5)]
    ['good', 'fair', 'bad']
    """
    if p >= 0.05:
        return (
            "good",
            "What is left around the merger after the best waveform is taken away looks like the noise elsewhere.",
        )
    if p >= 0.003:
        return "fair", "Around the merger the residual is a little louder than the noise elsewhere; chance does that."
    return "bad", "Something is left around the merger: a glitch, or a signal that the waveforms do not describe."


def _diagnostics(report: Report, peaks: Sequence[tuple[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Name, value, grade and reading of what tells how far to trust the result."""
    run = report.summary["inference"]
    efficiency, k, n = float(run["sample_efficiency"]), float(run["pareto_k"]), int(run["n_draws"])
    rows = [
        ("sample efficiency", f"{100 * efficiency:.1f} %", *read_efficiency(efficiency, n, report.source)),
        ("Pareto k", number(k, 2), *read_pareto_k(k, report.largest_weight)),
    ]
    if errors := report.summary.get("nuisances"):
        share = float(errors["efficiency"])
        grade = "good" if share >= 0.9 else "fair" if share >= 0.3 else "bad"
        text = "Importance sampling of the errors of calibration and waveform, in the mean over the posterior."
        rows.append(("integral over errors", f"{100 * share:.1f} %", grade, text))
    for name, found in report.summary.get("glitch", {}).items():
        points = float(found["effective_points"])
        grade = "good" if points >= 100 else "fair" if points >= 20 else "bad"
        bayes = f"log Bayes factor {found['log_bayes_factor']:.1f}; {points:,.0f} effective points behind its integral"
        rows.append((f"glitch in {name}", f"probability {found['probability']:.2g}", grade, f"At even odds before; {bayes}."))
    if report.extrinsic_ess is not None:
        ess = report.extrinsic_ess
        grade = "good" if ess >= 100 else "fair" if ess >= 20 else "bad"
        text = f"Effective points per intrinsic draw in the integral over {report.integrated}."
        rows.append(("extrinsic points", f"{ess:,.0f}", grade, text))
    if report.psd_segments:
        rows.append(("noise spectrum", f"{report.psd_segments} periodograms", *read_psd_segments(report.psd_segments)))
    if report.residual_p is not None:
        p = report.residual_p
        rows.append(("residual", f"p = {p:.2g}", *read_residual(p)))
    for detector, peak in peaks:
        chisq = float(peak["chisq_per_dof"])
        # Mean 1 and scatter 0.26 (30 degrees of freedom) in Gaussian noise: two standard deviations are still good.
        grade = "good" if chisq < 1.5 else "fair" if chisq < 3 else "bad"
        said = {"good": "Consistent with", "fair": "Some tension with", "bad": "Not consistent with"}[grade]
        rows.append((f"χ² / dof in {detector}", number(chisq, 2), grade, f"{said} signal plus Gaussian noise."))
    return rows


def _alert(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Rows of what this analysis and the alert say of the same; none without an alert."""
    if not (alert := summary.get("alert")):
        return []
    named = " ".join(name for name in summary["matched_filter"] if name != "network_snr")
    rows: list[tuple[str, ...]] = [("detectors", named, " ".join(alert["detectors"]))]
    rows.append(("time [GPS s]", f"{summary['posterior']['geocent_time']['median']:.3f}", f"{alert['gps']:.3f}"))
    if alert["chirp_mass_source"]:
        low, high = alert["chirp_mass_source"]
        rows.append(("chirp mass, source [M☉]", interval(summary["posterior"]["chirp_mass_source"])[1], f"{low:g} to {high:g}"))
    if theirs := alert["sky"]:
        for level in (50, 90):
            areas = (f"{sky[f'area_{level}']:,.0f}" for sky in (summary["sky"], theirs))
            rows.append((f"area of the {level} % region [deg²]", *areas))
        shown = (f"{d[0]:,.0f} ± {d[1]:,.0f}" if d else "none" for d in (theirs["own_distance"], theirs["distance"]))
        rows.append(("distance [Mpc], mean and standard deviation", *shown))
        rows.append(("probability in the alert's 90 % region", f"{100 * theirs['in_region_90']:.0f} %", "90 %"))
        rows.append(("probability that both maps give to the same places", f"{100 * theirs['overlap']:.0f} %", ""))
    return rows


def _moved(time: Mapping[str, float] | None) -> str:
    """By how much the middle of the prior on arrival time was moved from the time given; nothing where it was not."""
    if time is None or time["centre"] == time["given"]:
        return ""
    return f" (moved {time['centre'] - time['given']:+.2f} s from the time given, to the event)"


def render(report: Report) -> str:
    """The report as one HTML page without outside references."""
    summary, run = report.summary, report.summary["inference"]
    peaks = [(name, peak) for name, peak in summary["matched_filter"].items() if name != "network_snr"]
    subtitle = (
        f"GPS {report.gps:.3f}{_moved(summary.get('time'))} · {' '.join(report.detectors)} · "
        f"{int(run['n_draws']):,} exact draws in {float(run['seconds']):.1f} s"
    )
    return page(
        "analysis",
        **vars(report),
        number=number,
        subtitle=subtitle,
        cards=_cards(summary),
        parameters=_parameters(summary["posterior"], report.truths),
        peaks=peaks,
        diagnostics=_diagnostics(report, peaks),
        alert=_alert(summary),
    )
