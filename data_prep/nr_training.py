"""The NR training table: runs that passed quality control, on common grids, with weights and clusters, and a report."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import make_interp_spline

from data_prep import catalogues, eob, eob_at_nr, nr_report
from data_prep.catalogues import SPEC_FILE as SPEC_FILE
from data_prep.frames import coorbital
from data_prep.nr import NRWaveform
from data_prep.quality import QualityConfig, Reference, Verdict, cluster_parameters, clusters, judge
from data_prep.tables import save_npz
from gwsurrogate_ml.artifacts import package_versions, sha256
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.waveform.compare import white_mismatch

log = logging.getLogger(__name__)

TIMES = np.arange(-408.0, 107.0)
SPEC_TIMES = np.arange(*catalogues.LONG, 0.5)


def stored_reference(stored: dict[str, np.ndarray], prefix: str = "") -> Reference:
    """A `quality.Reference` out of the file that `eob_at_nr.generate` wrote; `prefix` is "" or "spec_"."""
    index = {str(name): i for i, name in enumerate(stored[f"{prefix}name"])}
    t, h22, parameters = stored[f"{prefix}t"], stored[f"{prefix}h22"], stored[f"{prefix}parameters"]

    def reference(run: NRWaveform, times: np.ndarray) -> np.ndarray | None:
        i = index.get(run.name)
        if i is None or not np.all(np.isfinite(h22[i])):
            return None
        wanted = [run.q, run.chi1[2], run.chi2[2]]
        if not np.allclose(parameters[i], wanted, rtol=1e-9, atol=1e-9):
            raise DataError(f"{run.name}: reference made for {parameters[i]}, the run has {wanted}: make it again")
        amplitude = make_interp_spline(t, np.abs(h22[i]), k=5)(times)
        phase = make_interp_spline(t, np.unwrap(np.angle(h22[i])), k=5)(times)
        return amplitude * np.exp(1j * phase)

    return reference


def pieces(h22: np.ndarray, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Amplitude and phase, ``h22 ~ amp exp(-i phase)`` with phase 0 at t = 0, of rows on a grid that holds t = 0."""
    phase = -np.unwrap(np.angle(h22), axis=-1)
    return np.abs(h22), phase - phase[..., [int(np.argmin(np.abs(times)))]]


def build(
    data: Path,
    eob_file: Path,
    out: Path,
    config: QualityConfig | None = None,
    sources: Sequence[catalogues.Source] | None = None,
    duration: float = np.inf,
) -> dict[str, Any]:
    """Judge every run and write `nr.npz`, `report.json`, `report.md` and figures to the folder `out`.

    `nr.npz` holds for the n kept runs: `name`, `code`, `q`, `chi1`, `chi2`, `eccentricity` (NaN: unknown), `weight`, `sigma`,
    `cluster`, `reference_mismatch`, `resolution_mismatch` (n,); `t` (n_t,) in M; `amp22`, `phase22`, `h22` = amp22 exp(-i phase22)
    (n, n_t) and the reference `eob_h22` in the same form. `higher_modes` (n_k, 2) are the other modes that any run has and
    `higher_coorbital` (n, n_k, n_t) these in the frame and gauge of the EOB set, see `data_prep.frames`; NaN where a run lacks one.
    `remnant_mass` (n,) in M and `remnant_spin` (n, 3); NaN where not given. The long non-spinning runs follow as `spec_*`. Cluster
    numbers are common to both, since some runs are the same binary.

    All is written under temporary names first and renamed together, the table last: a killed run leaves the folder as it was.

    Parameters
    ----------
    data : Path
        folder that holds the project's own tables, taken where `sources` is None
    eob_file : Path
        written by `eob_at_nr.generate` for the same runs
    out : Path
    config : QualityConfig, optional
    sources : sequence of Source, optional
    duration : float, M
        length of the model to be trained: long runs correct one that reaches as far back as they

    Raises
    ------
    DataError
        if a file is missing or damaged, no run can be used, or the reference was made for other parameters
    """
    config = config or QualityConfig()
    stored = eob_at_nr.load(eob_file)
    found = catalogues.read(sources or [catalogues.Source("tables", str(data))])
    runs = found.runs
    verdicts = judge(runs, stored_reference(stored), config)
    kept = [i for i, v in enumerate(verdicts) if v.kept]
    bad = {v.name for v in verdicts if not v.kept}
    if not kept:
        raise DataError(f"none of {len(runs)} runs passed quality control; {verdicts[0].name}: {verdicts[0].reasons}")
    inside = [run for run in found.long if run.q <= config.q_max]
    long = [run for run in inside if run.name not in bad] if duration > -SPEC_TIMES[0] else []
    labels = clusters(cluster_parameters([*runs, *long]), config.cluster_tolerance)
    for verdict, label in zip(verdicts, labels, strict=False):
        verdict.cluster = int(label)

    chosen = [runs[i] for i in kept]
    table = _columns(chosen, TIMES, stored_reference(stored)) | _more(chosen, TIMES)
    table |= {
        "cluster": labels[kept],
        "eccentricity": np.array([np.nan if (e := verdicts[i].eccentricity) is None else e for i in kept]),
    }
    measured = (
        "weight",
        "sigma",
        "reference_mismatch",
        "neighbour_mismatch",
        "duplicate_mismatch",
        "resolution_mismatch",
    )
    for key in measured:
        table[key] = np.array([getattr(verdicts[i], key) for i in kept])
    spec = _columns(long, SPEC_TIMES, stored_reference(stored, "spec_"))
    weights = {run.name: table["weight"][row] for row, run in enumerate(chosen)}
    spec |= {"cluster": labels[len(runs) :], "weight": np.array([weights.get(run.name, 1.0) for run in long])}
    spec["reference_mismatch"] = np.array(
        [white_mismatch(SPEC_TIMES, a, b, config.window) for a, b in zip(spec["h22"], spec["eob_h22"], strict=True)]
    )
    table |= {f"spec_{key}": value for key, value in spec.items()}

    report = summary(verdicts, config) | {
        "sources": found.checksums | {eob_file.name: sha256(eob_file)},
        "versions": found.versions | package_versions("numpy", "scipy", "h5py"),
        "unread": [asdict(unread) for unread in found.unread],
        "higher_modes": {f"{l},{m}": int(n) for (l, m), n in zip(table["higher_modes"], _present(table), strict=True)},
        "spec_reference_mismatch": _spread(spec["reference_mismatch"]),
    }
    table["sources"] = np.array(json.dumps({key: report[key] for key in ("sources", "versions")}, sort_keys=True))
    _write(out, table, report)
    log.info("%d of %d runs kept, %d left out; %s", len(kept), len(runs), len(found.unread), out / "nr.npz")
    return report


def _write(out: Path, table: dict[str, np.ndarray], report: dict[str, Any]) -> None:
    """Everything under temporary names, then renamed, the table last."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".writing-") as name:
        folder = Path(name)
        (folder / "report.json").write_text(json.dumps(report, indent=1))
        (folder / "report.md").write_text(nr_report.markdown(report))
        nr_report.figures(report, folder)
        save_npz(folder / "nr.npz", table)
        for path in sorted(folder.iterdir(), key=lambda p: p.name == "nr.npz"):
            path.replace(out / path.name)


def _columns(runs: Sequence[NRWaveform], times: np.ndarray, reference: Reference) -> dict[str, np.ndarray]:
    empty = np.zeros((0, times.size), dtype=np.complex128)
    amplitude, phase = pieces(np.array([run.h22_at(times) for run in runs]) if runs else empty, times)
    models = [reference(run, times) for run in runs]
    model_amplitude, model_phase = pieces(
        np.array([np.full(times.size, np.nan) if m is None else m for m in models]) if runs else empty, times
    )
    return {
        "name": np.array([run.name for run in runs], dtype=str),
        "code": np.array([run.code for run in runs], dtype=str),
        "q": np.array([run.q for run in runs]),
        "chi1": np.array([run.chi1[2] for run in runs]),
        "chi2": np.array([run.chi2[2] for run in runs]),
        "t": times,
        "h22": amplitude * np.exp(-1j * phase),
        "amp22": amplitude,
        "phase22": phase,
        "eob_h22": model_amplitude * np.exp(-1j * model_phase),
    }


def _more(runs: Sequence[NRWaveform], times: np.ndarray) -> dict[str, np.ndarray]:
    """Higher modes with m > 0 that any run has (of those the EOB set has), and the remnants."""
    keys = [key for key in eob.MODES[1:] if any(key in run.modes for run in runs)]
    modes = np.full((len(runs), len(keys), times.size), np.nan, dtype=np.complex64)
    for i, run in enumerate(runs):
        if any(key in run.modes for key in keys):
            modes[i], turned = coorbital(run, times, keys)
            run.meta["frame_turned"] = turned
    nothing = np.full(3, np.nan)
    return {
        "higher_modes": np.array(keys, dtype=np.int64).reshape(-1, 2),
        "higher_coorbital": modes,
        "remnant_mass": np.array([np.nan if run.remnant_mass is None else run.remnant_mass for run in runs]),
        "remnant_spin": np.array([nothing if r.remnant_spin is None else r.remnant_spin for r in runs]).reshape(-1, 3),
    }


def _present(table: dict[str, np.ndarray]) -> np.ndarray:
    """How many runs have each higher mode."""
    return np.isfinite(table["higher_coorbital"]).all(axis=-1).sum(axis=0)


def _spread(values: np.ndarray | list[float]) -> dict[str, float]:
    """Number, median, 90th percentile and maximum."""
    array = np.asarray(values, dtype=np.float64)
    array = array[np.isfinite(array)]
    if not array.size:
        return {"n": 0}
    q50, q90 = np.quantile(array, [0.5, 0.9])
    return {"n": int(array.size), "median": float(q50), "p90": float(q90), "max": float(array.max())}


def summary(verdicts: list[Verdict], config: QualityConfig) -> dict[str, Any]:
    """The report as plain data: counts and mismatches by code, and every verdict."""
    groups: dict[str, Any] = {}
    for code in sorted({v.code for v in verdicts}):
        members = [v for v in verdicts if v.code == code]
        good = [v for v in members if v.kept]
        groups[code] = {
            "runs": len(members),
            "precessing": sum(any(r.startswith("precessing") for r in v.reasons) for v in members),
            "kept": len(good),
            "clusters_kept": len({v.cluster for v in good}),
            "reference_mismatch": _spread([v.reference_mismatch for v in good]),
            "best_neighbour_mismatch": _spread([v.neighbour_mismatch for v in good]),
            "duplicate_mismatch": _spread([v.duplicate_mismatch for v in good]),
            "resolution_mismatch": _spread([v.resolution_mismatch for v in good]),
        }
    return {"config": asdict(config), "groups": groups, "runs": [asdict(v) for v in verdicts]}
