"""Every event at hand through the bare command, ``gwsml analyze --strain ... --gps ...``: one table.

    python benchmarks/events.py --data FOLDER --work FOLDER [--draws 2000] [--only GW150914 ...] [--search | --bare] [--precession]

FOLDER of --data holds shared data's `strain`: GWOSC's HDF5 files, and .npz files of strain in the frequency domain, from which
files of strain in time are written into that of --work. An event that is there already is not analysed again. The command runs
within this process, so that seconds count no imports. With --precession each is also analysed twice from scratch with all modes,
spins along the orbit and in any direction, priors otherwise the same: what precession does to evidence and posterior. Writes
benchmarks/results/events.json, events.md and events_precession.md.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gwpy.timeseries import TimeSeries

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.cli.analyze import figures
from gwsurrogate_ml.cli.console import EXIT_INTERRUPTED, EXIT_TERMINATED
from gwsurrogate_ml.errors import GwsmlError
from gwsurrogate_ml.inference.result import skymap
from gwsurrogate_ml.strain.data import StrainData

SPINS = {"aligned": "nrhm", "precessing": "nrphm"}
SAME_PRIOR = ("--from-scratch", "--prior", "mass_ratio=0.1667,1", "--prior", "chi=-0.8,0.8")
"""Models with all modes of spins along the orbit and in any direction; what they are compared with: both cover it."""
GWOSC = {
    "GW150914": (1126259462.4, "{letter}-{detector}_LOSC_4_V2-1126259446-32.hdf5"),
    "LVT151012": (1128678900.44, "{letter}-{detector}_LOSC_4_V2-1128678884-32.hdf5"),
}
"""GPS time and names of the files of the events in GWOSC's own format, 32 s each."""
PUBLISHED = {
    "GW150914": (28.6, 0.09, -0.01),
    "LVT151012": (15.2, 0.21, 0.05),
    "GW170608": (7.9, 0.07, 0.03),
    "GW190421_213856": (31.2, 0.49, -0.06),
    "GW190503_185404": (30.2, 0.27, -0.03),
    "GW190512_180714": (14.6, 0.27, 0.03),
    "GW190513_205428": (21.6, 0.37, 0.11),
    "GW190527_092055": (24.3, 0.44, 0.11),
    "GW190620_030421": (38.3, 0.49, 0.33),
    "GW190630_185205": (24.9, 0.18, 0.10),
    "GW190720_000836": (8.9, 0.16, 0.18),
    "GW190731_140936": (29.5, 0.55, 0.06),
    "GW190910_112807": (34.3, 0.28, 0.02),
    "GW190925_232845": (15.8, 0.19, 0.11),
    "GW190929_012149": (35.8, 0.38, 0.01),
    "GW191103_012549": (8.34, 0.20, 0.21),
    "GW191204_171526": (8.55, 0.13, 0.16),
    "GW191222_033537": (33.8, 0.51, -0.04),
    "GW200208_130117": (27.7, 0.40, -0.07),
}
"""Medians of source-frame chirp mass (solar masses), redshift and chi_eff in GWTC-1 (arXiv:1811.12907, table III), GWTC-2
(arXiv:2010.14527, table VI), for GW190925 GWTC-2.1 (arXiv:2108.01045), and GWTC-3 (arXiv:2111.03606, table IV): the mass shown
is (1 + z) times the first."""


def load(name: str, data: Path) -> StrainData:
    """An event's strain in all detectors that its files hold."""
    if name in GWOSC:
        gps, pattern = GWOSC[name]
        return StrainData.from_files({d: data / pattern.format(letter=d[0], detector=d) for d in ("H1", "L1")}, gps)
    with np.load(data / f"{name}.npz") as stored:
        frequencies, strain = stored["frequencies"], stored["strain"]
        detectors = [f"{letter}1" for letter in str(stored["detector_names"])]
        gps = float(stored["tgps"])
        start, rate = gps - float(stored["tcoarse"]), 2 * float(frequencies[-1])
    series = {
        detector: TimeSeries(np.fft.irfft(row.astype(np.complex128)) * rate, t0=start, sample_rate=rate, name=detector)
        for detector, row in zip(detectors, strain, strict=True)
    }
    return StrainData.from_series(series, gps=gps, name=name)


def strain_files(name: str, data: Path, work: Path) -> tuple[float, dict[str, Path]]:
    """GPS time and one strain file a detector; those of events in the frequency domain are written into `work`."""
    event = load(name, data)
    if name in GWOSC:
        gps, pattern = GWOSC[name]
        return gps, {detector: data / pattern.format(letter=detector[0], detector=detector) for detector in event.series}
    files = {detector: work / f"{name}_{detector}.hdf5" for detector in event.series}
    for detector, path in files.items():
        if not path.exists():
            event.series[detector].write(path, path="strain", format="hdf5")
    return event.gps, files


def run(words: list[str], log: Path) -> tuple[int, str]:
    """Exit status of ``gwsml WORDS`` and what it said on stderr, which goes into `log` as it comes."""
    from gwsurrogate_ml.cli.main import app

    status = 0
    with log.open("w", buffering=1) as said, contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            app(words)
        except SystemExit as end:
            status = int(end.code or 0)
    return status, log.read_text()


def row(name: str, folder: Path, status: int, said: str) -> dict[str, Any]:
    """One line of the table: what the command wrote, or how it refused."""
    if status:
        errors = [line for line in said.splitlines() if line.startswith("gwsml: error")]
        return {"event": name, "refused": (errors or said.splitlines())[-1], "status": status}
    summary = json.loads((folder / "summary.json").read_text())
    run_ = summary["inference"]
    return chosen(name, summary["choice"]) | {
        **{key: run_[key] for key in ("n_draws", "sample_efficiency", "pareto_k", "log_evidence", "log_evidence_error")},
        "log_bayes_factor": run_["log_bayes_factor"],
        **{
            key: [summary["posterior"][key][q] for q in ("lower_90", "median", "upper_90")]
            for key in ("chirp_mass", "mass_ratio", "chi_eff", "chi_p")
            if key in summary["posterior"]
        },
        "flags": summary["flags"],
        "periodograms": (summary["noise_spectrum"] or {}).get("periodograms", 0),
    }


def chosen(name: str, choice: Mapping[str, Any]) -> dict[str, Any]:
    """What a line of the table says of the choice."""
    found = choice["found"]
    return {
        "event": name,
        "detectors": list(found["snr"]),
        "estimator": choice["estimator"] or "from scratch",
        "reasons": list(choice["reasons"]),
        "prior": choice["prior"],
        "segment": [choice[key] for key in ("duration", "f_min", "f_max")],
        "search": {"snr": found["snr"], "chirp_mass": found["chirp_mass"], "possible": list(found["possible"])},
    }


def search(name: str, gps: float, files: Mapping[str, Path]) -> dict[str, Any]:
    """The line of an event that is looked for, and not sampled."""
    from gwsurrogate_ml.inference.analysis.choice import choose

    try:
        return chosen(name, choose(StrainData.from_files(files, gps)).record())
    except GwsmlError as error:
        return {"event": name, "refused": str(error)}


def why(r: Mapping[str, Any]) -> str:
    """The reason of the choice, in short."""
    for reason in r["reasons"]:
        if reason.startswith(("the estimator", "from scratch")):
            return reason.partition(": ")[2].partition("; its prior")[0]
    return ""


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table."""
    lines = [
        "| event | detectors | SNR of the search | possible chirp masses | analysed by | segment | efficiency | k | "
        "log evidence ratio | chirp mass (90 %) | GWTC | chi_eff | GWTC | flags | CPU s |",
        "| --- " * 15 + "|",
    ]
    for r in rows:
        if "refused" in r:
            lines.append(f"| {r['event']} | refused: {r['refused']} |" + " |" * 13)
            continue
        mass, redshift, spin = PUBLISHED[r["event"]]
        (duration, f_min, f_max), found = r["segment"], r["search"]
        snr = np.linalg.norm(list(found["snr"].values()))
        possible = " to ".join(f"{edge:.3g}" for edge in found["possible"])
        begin = (
            f"| {r['event']} | {' '.join(r['detectors'])} | {snr:.1f} | {possible} | {r['estimator']} ({why(r)}) | "
            f"{duration:g} s, {f_min:g}-{f_max:g} Hz | "
        )
        if "chirp_mass" not in r:
            lines.append(f"{begin}not sampled | | | | {mass * (1 + redshift):.1f} | | {spin:.2f} | | |")
            continue
        (low, middle, high), (least, chi, most) = r["chirp_mass"], r["chi_eff"]
        flags = ", ".join(flag.partition(":")[0] for flag in r["flags"]) or "none"
        lines.append(
            f"{begin}{r['sample_efficiency']:.0%} | {r['pareto_k']:.2f} | "
            f"{r['log_bayes_factor']:.1f} ± {r['log_evidence_error']:.2f} | "
            f"{middle:.2f} ({low:.2f} to {high:.2f}) | {mass * (1 + redshift):.1f} | "
            f"{chi:.2f} ({least:.2f} to {most:.2f}) | "
            f"{spin:.2f} | {flags} | {r['cpu_seconds']:.0f} |"
        )
    return "\n".join(lines)


def precession(rows: list[dict[str, Any]]) -> str:
    """The table of both kinds of spins."""
    lines = [
        "| event | segment | efficiency, k: aligned | precessing | log evidence ratio: aligned | precessing | "
        "the latter over the former | chirp mass: aligned | precessing | mass ratio: aligned | precessing | "
        "chi_eff: aligned | precessing | chi_p | flags |",
        "| --- " * 15 + "|",
    ]

    def interval(values: list[float], digits: int = 2) -> str:
        low, middle, high = values
        return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"

    for r in rows:
        both = [r.get(kind, {}) for kind in SPINS]
        if not all("chirp_mass" in one for one in both):
            refused = [f"{kind}: {one['refused']}" for kind, one in zip(SPINS, both, strict=True) if "refused" in one]
            lines += [f"| {r['event']} | refused: {'; '.join(refused)} |" + " |" * 13] if refused else []
            continue
        duration, f_min, f_max = both[1]["segment"]
        error = float(np.hypot(*[one["log_evidence_error"] for one in both]))
        cells = [r["event"], f"{duration:g} s, {f_min:g}-{f_max:g} Hz"]
        cells += [f"{one['sample_efficiency']:.0%}, {one['pareto_k']:.2f}" for one in both]
        cells += [f"{one['log_bayes_factor']:.1f}" for one in both]
        # Ranges follow from the search, and may have been widened for one of them; data are cut about the event's time to 0.1 s.
        noise = [one["log_evidence"] - one["log_bayes_factor"] for one in both]
        same = all(both[0][key] == both[1][key] for key in ("segment", "prior")) and abs(noise[1] - noise[0]) < 1e-3
        ratio = f"{both[1]['log_bayes_factor'] - both[0]['log_bayes_factor']:+.2f} ± {error:.2f}"
        cells += [ratio if same else "other prior or data"]
        cells += [interval(one[name]) for name in ("chirp_mass", "mass_ratio", "chi_eff") for one in both]
        cells += [interval(both[1]["chi_p"]), ", ".join(flag.partition(":")[0] for flag in both[1]["flags"]) or "none"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Analyse the events and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--only", nargs="+", choices=PUBLISHED)
    parser.add_argument("--from-scratch", action="store_true", help="even where an estimator fits")
    parser.add_argument("--search", action="store_true", help="only look for the events and choose how to analyse them")
    parser.add_argument("--bare", action="store_true", help="without figures and sky map, which cost as much as the posterior")
    parser.add_argument("--precession", action="store_true", help="and what precession does")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()

    import torch

    torch.set_num_threads(1)
    if arguments.bare:
        skymap.available = lambda: False
        figures.pictures = lambda run: []
    arguments.work.mkdir(parents=True, exist_ok=True)
    kinds = ["", *(SPINS if arguments.precession and not arguments.search else [])]
    for name, kind in ((name, kind) for kind in kinds for name in arguments.only or PUBLISHED):
        label = f"{name}.{kind}" if kind else name
        kept = arguments.work / f"{label}{'.search' if arguments.search else ''}.json"
        if kept.exists():
            continue
        gps, files = strain_files(name, arguments.data, arguments.work)
        if arguments.search:
            kept.write_text(json.dumps(search(name, gps, files), indent=1) + "\n")
            print(kept.read_text(), flush=True)
            continue
        folder = arguments.work / label
        words = ["analyze", *(word for d, path in files.items() for word in ("--strain", f"{d}={path}")), "--gps", repr(gps)]
        words += ["--n-draws", str(arguments.draws), "--out", str(folder)]
        words += [*SAME_PRIOR, "--surrogate", SPINS[kind]] if kind else ["--from-scratch"] if arguments.from_scratch else []
        cpu, wall = time.process_time(), time.perf_counter()
        status, said = run(words, arguments.work / f"{label}.log")
        if status in (EXIT_INTERRUPTED, EXIT_TERMINATED):
            raise SystemExit(status)
        seconds = {"cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall}
        kept.write_text(json.dumps(row(name, folder, status, said) | seconds, indent=1) + "\n")
        print(kept.read_text(), flush=True)
    rows = []
    for name in PUBLISHED:
        paths = [path for kind in ("", ".search") if (path := arguments.work / f"{name}{kind}.json").exists()]
        if paths:
            more = {
                kind: json.loads(path.read_text()) for kind in SPINS if (path := arguments.work / f"{name}.{kind}.json").exists()
            }
            rows.append(json.loads(paths[0].read_text()) | more)
    head = {
        "command": f"python benchmarks/events.py --data FOLDER --work FOLDER --draws {arguments.draws}"
        + (" --precession" if arguments.precession else ""),
        "versions": artifacts.package_versions("numpy", "torch", "gwsurrogate-ml"),
        "published": {
            name: dict(zip(("chirp_mass_source", "redshift", "chi_eff"), values, strict=True)) for name, values in PUBLISHED.items()
        },
    }
    stem = arguments.out / "events"
    stem.with_suffix(".json").write_text(json.dumps({**head, "events": rows}, indent=1) + "\n")
    stem.with_suffix(".md").write_text(markdown(rows) + "\n")
    if any(kind in r for r in rows for kind in SPINS):
        (arguments.out / "events_precession.md").write_text(precession(rows) + "\n")


if __name__ == "__main__":
    main()
