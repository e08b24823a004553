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


def missing(name: str) -> str:
    """What stands in place of results that are not there."""
    return f"*Not measured in this checkout: no `benchmarks/results/{name}`.*"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(number(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def read(name: str) -> dict[str, Any]:
    """One result file."""
    return json.loads((RESULTS / f"{name}.json").read_text())


def kernels(name: str = "kernels") -> str:
    """Kernels beside their peers."""
    lines = read(name)["lines"]
    return table(
        [
            "kernel",
            "beside",
            "here [ms]",
            "there [ms]",
            "times faster",
            "target",
            "the limit [ms]",
            "largest relative difference",
        ],
        [
            (
                x["name"].strip(),
                x["peer"],
                x["ours_ms"],
                x["peer_ms"],
                x["ratio"],
                x["target"],
                x["limit_ms"],
                x["difference"],
            )
            for x in lines
        ],
    )


def speed(model: str) -> str:
    """Waveforms of one surrogate beside their peers."""
    pairs = read("surrogate_speed")["models"][model]["pairs"]
    return table(
        ["what", "beside", "here [ms]", "there [ms]", "times faster"],
        [(x["name"], x["peer"], x["ours_ms"], x["peer_ms"], x["ratio"]) for x in pairs if "ours_ms" in x and x.get("peer_ms")],
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
    """Reconstruction of signals from one detector's strain, of all models measured."""
    result = read("denoise_signal")
    models = {str(result.get("model", "bbh-signal")): result} | result.get("others", {})
    rows = [
        (model, name, e["overlap_median"], e["bound_overlap_median"], e["overlap_p10"], e["coverage_68"], e["found"])
        for model, measured in models.items()
        for name, e in measured.items()
        if name.startswith("SNR")
    ]
    head = [
        "model",
        "signal",
        "overlap, median",
        "the best possible",
        "10th percentile",
        "inside the 68 % band",
        "found",
    ]
    return table(head, rows)


def serve() -> str:
    """Latency of the service against the rate of requests."""
    rows = [
        (
            workload,
            x["offered_per_s"],
            x["answered_per_s"],
            x["p50_ms"],
            x["p95_ms"],
            x["p99_ms"],
            x["dropped"],
            x["late"],
        )
        for workload, lines in read("serve")["workloads"].items()
        for x in lines
    ]
    return table(["model", "offered [1/s]", "answered [1/s]", "p50 [ms]", "p95 [ms]", "p99 [ms]", "dropped", "late"], rows)


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


def scaling() -> str:
    """Tasks and a campaign on local workers."""
    report = read("scaling")
    rows = [
        (
            f"{name} task",
            f"{workers} worker{'s' * (workers != '1')}",
            x["tasks"],
            x["wall_s"],
            1e3 * x["cpu_s"] / x["tasks"],
            None,
        )
        for workers, kinds in report["local"].items()
        for name, x in kinds.items()
        if isinstance(x, dict)
    ]
    for where, x in report["campaign"].items():
        same = x.get("records_are_those_of_one_process")
        rows.append(
            (
                f"validation event, {report['n_draws']} draws",
                where,
                x["events"],
                x["wall_s"],
                1e3 * x["cpu_s"] / x["events"],
                None if same is None else "yes" if same else "no",
            )
        )
    return table(["task", "where", "tasks", "wall time [s]", "CPU time a task [ms]", "same records"], rows)


def quantise() -> str:
    """The signal autoencoder in 8-bit integers beside single precision."""
    files = read("quantise")["files"]
    rows: list[tuple[Any, ...]] = [
        ("size of the file [MB]", *(x["megabytes"] for x in files.values())),
        ("CPU time of a segment of 4 s [ms]", *(x["cpu_ms_a_segment"] for x in files.values())),
    ]
    for snr in [key for key in next(iter(files.values())) if key.startswith("SNR")]:
        rows += [
            (f"{snr}: overlap, median", *(x[snr]["overlap_median"] for x in files.values())),
            (f"{snr}: loss in SNR, median [%]", *(x[snr]["snr_loss_median_%"] for x in files.values())),
            (f"{snr}: loss in SNR, worst [%]", *(x[snr]["snr_loss_worst_%"] for x in files.values())),
            (f"{snr}: found", *(x[snr]["found"] for x in files.values())),
        ]
    return table(["", *files], rows)


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}" if seconds >= 10 * size else f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s"


def cost(n: float = 1e6) -> str:
    """What `n` events of a campaign cost, by the number of workers, from the measured times of a task, a start and a hand-out."""
    report = read("scaling")
    if not {"one process", "1 workers"} <= set(report["campaign"]):
        return missing("scaling.json")
    serial = report["campaign"]["one process"]
    task = serial["cpu_s"] / serial["events"]
    hand_out = max(x["empty"]["cpu_s"] / x["empty"]["tasks"] for x in report["local"].values())
    alone = report["campaign"]["1 workers"]
    start = max(alone["cpu_s"] - alone["events"] * (task + hand_out), 0.0)
    said = (
        f"*t* = {task:.2g} s (an event with {report['n_draws']} draws), *s* = {start:.2g} s, *d* = {1e3 * hand_out:.2g} ms, "
        f"*t* / *d* = {task / hand_out:,.0f}."
    )
    rows = [
        (
            f"{workers:,}",
            duration(max(n * task / workers + start, n * hand_out))
            + (": the scheduler is busy" if n * hand_out > n * task / workers + start else ""),
            f"{(n * (task + hand_out) + workers * start) / 3600:,.0f} core-hours",
            duration(n * hand_out),
        )
        for workers in (2, 100, 300, 1000)
    ]
    return said + "\n\n" + table(["workers", "wall time", "CPU time", "of it in the scheduler"], rows)


def flags() -> str:
    """How often each flag is raised in real noise where nothing is planted."""
    report = read("flags")
    noise, binaries = report["rates in noise"], report["rates with binaries"]
    rows = [
        (name, f"{noise.get(name, 0.0):.1%}", f"{binaries.get(name, 0.0):.1%}")
        for name in sorted(set(noise) | set(binaries), key=lambda x: (x == "any", x))
    ]
    head = [
        "flag",
        f"{len(report['noise'])} stretches of noise",
        f"{sum(r['fault'] is None for r in report['binaries'])} binaries",
    ]
    return table(head, rows)


def planted() -> str:
    """Planted faults and the share that is found."""
    rows = [
        (fault, r["flag"], f"{r['by its flag']:.0%} of {r['n']}", f"{r['by anything']:.0%}")
        for fault, r in read("flags")["planted"].items()
    ]
    return table(["planted", "flag", "found by it", "by anything"], rows)


def trigger_time() -> str:
    """Posteriors with times that are off."""
    rows = [
        (
            r["event"] + (f", seed {r['seed']}" if r["seed"] else ""),
            f"{r['offset']:+g} s",
            f"{r['snr']:.1f}",
            f"{r['log_bayes_factor']:.2f}",
            f"{r['efficiency']:.0%}",
            f"{r['largest']:.3f} ({r['worst']})",
        )
        for r in read("trigger_time")["rows"]
    ]
    return table(["event", "time off by", "SNR", "log Bayes factor", "efficiency", "largest shift of a median [sigma]"], rows)


def loud() -> str:
    """Simulated signals from faint to very loud."""
    rows = [
        (
            f"{r['snr']:.0f}",
            f"{r['efficiency']:.0%}",
            f"{r['pareto_k']:.2f}",
            f"{r['log_bayes_factor']:.3f} ± {r['log_bayes_factor_error']:.3f}",
            f"{r['second_seed']['log_bayes_factor'] - r['log_bayes_factor']:+.3f}",
            f"{r['log_likelihood_difference']:.4f}",
            *(f"{value:.2f}" for value in r["quantile"].values()),
        )
        for r in read("loud")["events"]
    ]
    names = read("loud")["events"][0]["quantile"]
    head = ["SNR", "efficiency", "Pareto k", "log Bayes factor", "of another seed", "log likelihood off by", *names]
    return table(head, rows)


def low_mass(model: str) -> str:
    """Light binaries against SEOBNRv5HM."""
    if not (RESULTS / "low_mass.json").exists():
        return missing("low_mass.json")
    found = read("low_mass")["models"][model]["accuracy"]
    names = {"22": "(2,2)", "plus": "h₊, all modes, four inclinations"}
    rows = [
        (
            words + (", before stage 2" if later else ""),
            *(f"{found['mismatch'][key + later][p]:.1e}" for p in ("50", "90", "99", "100")),
        )
        for key, words in names.items()
        for later in ("", " before stage 2")
    ]
    return table([f"mismatch, {found['n']} binaries", "median", "90 %", "99 %", "worst"], rows)


def low_mass_simulations(model: str) -> str:
    """Light binaries: (2,2) against NRSur7dq2's, before and after stage 2."""
    if not (RESULTS / "low_mass.json").exists():
        return missing("low_mass.json")
    found = read("low_mass")["models"][model]["against NRSur7dq2"]
    rows = []
    for version, by_mass in found.items():
        for mass, values in by_mass.items():
            v = sorted(values)
            rows.append((f"{model}, {version}", mass, *(f"{v[round(p * (len(v) - 1))]:.1e}" for p in (0.5, 0.9, 1.0))))
    return table(["(2,2), mismatch", "total mass", "median", "90 %", "worst"], rows)


def low_mass_speed(model: str) -> str:
    """Light binaries: a pair of polarizations beside IMRPhenomTHM."""
    if not (RESULTS / "low_mass.json").exists():
        return missing("low_mass.json")
    lines = read("low_mass")["models"][model]["speed"]
    rows = [
        (x["chirp_mass"], x["q"], f"{x['samples']:,} at {x['rate']:.0f} Hz", x["ours_ms"], x["peer_ms"], x["ratio"]) for x in lines
    ]
    return table(["chirp mass", "q", "samples", "here [ms]", "IMRPhenomTHM [ms]", "times faster"], rows)


def written(name: str) -> str:
    """A table that a benchmark has written itself."""
    path = RESULTS / f"{name}.md"
    return path.read_text(encoding="utf-8") if path.exists() else missing(path.name)


TABLES: dict[str, Callable[[], str]] = {
    "kernels": kernels,
    "kernels-two-threads": lambda: kernels("kernels_two_threads"),
    "speed-nrhm": lambda: speed("nrhm"),
    "speed-nr22": lambda: speed("nr22"),
    "denoise": denoise,
    "denoise-signal": signal,
    "serve": serve,
    "scaling": scaling,
    "cost": cost,
    "remnant": remnant,
    "quantise": quantise,
    "flags": flags,
    "planted": planted,
    "trigger-time": trigger_time,
    "loud": loud,
    "aligned_accuracy": lambda: written("aligned_accuracy"),
    "low-mass-nrhm": lambda: low_mass("nrhm"),
    "low-mass-simulations": lambda: low_mass_simulations("nrhm"),
    "low-mass-nr22": lambda: low_mass("nr22"),
    "low-mass-speed-nrhm": lambda: low_mass_speed("nrhm"),
    "low-mass-speed-nr22": lambda: low_mass_speed("nr22"),
    "precessing_accuracy": lambda: written("precessing_accuracy"),
    "precessing_speed": lambda: written("precessing_speed"),
    "precessing_batches": lambda: written("precessing_batches"),
    "precessing_error": lambda: written("precessing_error"),
    "precessing_remnant": lambda: written("precessing_remnant"),
    "precessing_nr": lambda: written("precessing_nr"),
    "precessing_posterior": lambda: written("precessing_posterior"),
    "precessing_nested": lambda: written("precessing_nested"),
    "cogwheel": lambda: written("cogwheel"),
    "nuisances": lambda: written("nuisances"),
    "nuisances_waveform": lambda: written("nuisances_waveform"),
    "nuisances_estimator": lambda: written("nuisances_estimator"),
    "nuisances_estimator_waveform": lambda: written("nuisances_estimator_waveform"),
    "glitch": lambda: written("glitch"),
    "events": lambda: written("events"),
    "events_precession": lambda: written("events_precession"),
    "spectra": lambda: written("spectra"),
    "anomalies": lambda: written("anomalies"),
    "witness_units": lambda: written("witness_units"),
    "trigger": lambda: written("trigger"),
    "trigger_gates": lambda: written("trigger_gates"),
}
