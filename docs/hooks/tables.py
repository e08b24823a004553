"""Tables of the site made from benchmarks/results: no number is written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"


def number(value: Any) -> str:
    """A number with three digits, or a dash."""
    if value is None:
        return "–"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(number(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def read(name: str) -> dict[str, Any]:
    """One result file."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def kernels() -> str:
    """Kernels beside their peers."""
    lines = read("kernels")["lines"]
    return table(
        ["kernel", "beside", "here [ms]", "there [ms]", "times faster", "largest relative difference"],
        [(x["name"].strip(), x["peer"], x["ours_ms"], x["peer_ms"], x["ratio"], x["difference"]) for x in lines],
    )


def speed(model: str) -> str:
    """Waveforms of one surrogate beside their peers."""
    pairs = read("surrogate_speed")["models"][model]["pairs"]
    return table(
        ["what", "beside", "here [ms]", "there [ms]", "times faster"],
        [
            (x["name"], x["peer"], x["ours_ms"], x["peer_ms"], x["ratio"])
            for x in pairs
            if "ours_ms" in x and x.get("peer_ms")
        ],
    )


def denoise() -> str:
    """Witness subtraction beside the optimum."""
    result = read("denoise")
    rows = []
    for mock in ("o3_like", "sidebands_only"):
        for name, entry in result[mock]["cleaners"].items():
            rows.append((mock, name.replace("_", " "), entry["snr_gain"], entry["score_of_oracle"], entry["range_mpc"]))
    return table(["mock", "cleaner", "SNR after / before", "share of the attainable log-gain", "range [Mpc]"], rows)


def signal() -> str:
    """Reconstruction of signals from one detector's strain."""
    result = read("denoise_signal")
    rows = [
        (
            name,
            entry["overlap_median"],
            entry["bound_overlap_median"],
            entry["overlap_p10"],
            entry["coverage_68"],
            entry["found"],
        )
        for name, entry in result.items()
        if name.startswith("SNR")
    ]
    return table(
        ["signal", "overlap, median", "the best possible", "overlap, 10th percentile", "inside the 68 % band", "found"],
        rows,
    )


def remnant() -> str:
    """Remnant model beside published fits, on runs that training did not see."""
    result = read("remnant")
    rows = []
    for name, entry in result.items():
        if not isinstance(entry, dict) or "gwsurrogate_ml" not in entry:
            continue
        for model, errors in entry.items():
            if isinstance(errors, dict) and "rms" in errors:
                rows.append((name, model, entry.get("n") if model == "gwsurrogate_ml" else errors.get("n", entry.get("n")),
                             errors["rms"], errors["median"], errors["max"]))  # fmt: skip
    return table(["runs and quantity", "model", "runs", "RMS error", "median", "largest"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "kernels": kernels,
    "speed-nrhm": lambda: speed("nrhm"),
    "speed-nr22": lambda: speed("nr22"),
    "denoise": denoise,
    "denoise-signal": signal,
    "remnant": remnant,
}
