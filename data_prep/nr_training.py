"""The NR training table: runs that passed quality control, on common grids, with weights and clusters, and a report."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import make_interp_spline

from data_prep import eob_at_nr, nr_report
from data_prep.nr import NRWaveform, read_spec_nonspinning, read_sxs_gatech, save_npz
from data_prep.quality import QualityConfig, Reference, Verdict, cluster_parameters, clusters, judge
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.waveform.compare import white_mismatch

log = logging.getLogger(__name__)

TABLE_FILE = "sxs_gatech_h22.npz"
SPEC_FILE = "spec_nonspinning_h22_eim.h5"
TIMES = np.arange(-408.0, 107.0)
SPEC_TIMES = np.arange(-2749.5, 99.5, 0.5)


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


def build(data: Path, eob_file: Path, out: Path, config: QualityConfig | None = None) -> dict[str, Any]:
    """Judge every run and write `nr.npz`, `report.json`, `report.md` and figures to the folder `out`.

    `nr.npz` holds for the n kept runs of the SXS/GT table: `name`, `code`, `q`, `chi1`, `chi2`, `eccentricity` (NaN:
    unknown), `weight`, `sigma`, `cluster`, `reference_mismatch` (n,); `t` (n_t,) in M; `amp22`, `phase22`, `h22` =
    amp22 exp(-i phase22) (n, n_t) and the reference `eob_h22` in the same form. The long non-spinning SpEC runs follow
    as `spec_*`. Cluster numbers are common to both, since some runs are the same binary.

    Raises
    ------
    DataError
        if a file is missing or damaged, or the reference was made for other parameters
    """
    config = config or QualityConfig()
    stored = eob_at_nr.load(eob_file)
    runs = read_sxs_gatech(data / "nr" / TABLE_FILE)
    long = read_spec_nonspinning(data / "nr" / SPEC_FILE)
    verdicts = judge(runs, stored_reference(stored), config)
    labels = clusters(cluster_parameters([*runs, *long]), config.cluster_tolerance)
    for verdict, label in zip(verdicts, labels, strict=False):
        verdict.cluster = int(label)

    kept = [i for i, v in enumerate(verdicts) if v.kept]
    table = _columns([runs[i] for i in kept], TIMES, stored_reference(stored))
    table |= {
        "cluster": labels[kept],
        "eccentricity": np.array([np.nan if (e := verdicts[i].eccentricity) is None else e for i in kept]),
    }
    for key in ("weight", "sigma", "reference_mismatch", "neighbour_mismatch", "duplicate_mismatch"):
        table[key] = np.array([getattr(verdicts[i], key) for i in kept])
    spec = _columns(long, SPEC_TIMES, stored_reference(stored, "spec_"))
    spec |= {"cluster": labels[len(runs) :], "weight": np.ones(len(long))}
    spec["reference_mismatch"] = np.array(
        [white_mismatch(SPEC_TIMES, a, b, config.window) for a, b in zip(spec["h22"], spec["eob_h22"], strict=True)]
    )
    table |= {f"spec_{key}": value for key, value in spec.items()}

    save_npz(out / "nr.npz", table)
    sources = [data / "nr" / TABLE_FILE, data / "nr" / SPEC_FILE, eob_file]
    report = summary(verdicts, config) | {
        "sources": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sources},
        "spec_reference_mismatch": _spread(spec["reference_mismatch"]),
    }
    (out / "report.json").write_text(json.dumps(report, indent=1))
    (out / "report.md").write_text(nr_report.markdown(report))
    nr_report.figures(report, out)
    log.info("%d of %d runs kept; %s written", len(kept), len(runs), out / "nr.npz")
    return report


def _columns(runs: list[NRWaveform], times: np.ndarray, reference: Reference) -> dict[str, np.ndarray]:
    amplitude, phase = pieces(np.array([run.h22_at(times) for run in runs]), times)
    models = [reference(run, times) for run in runs]
    model_amplitude, model_phase = pieces(
        np.array([np.full(times.size, np.nan) if m is None else m for m in models]), times
    )
    return {
        "name": np.array([run.name for run in runs]),
        "code": np.array([run.code for run in runs]),
        "q": np.array([run.q for run in runs]),
        "chi1": np.array([run.chi1[2] for run in runs]),
        "chi2": np.array([run.chi2[2] for run in runs]),
        "t": times,
        "h22": amplitude * np.exp(-1j * phase),
        "amp22": amplitude,
        "phase22": phase,
        "eob_h22": model_amplitude * np.exp(-1j * model_phase),
    }


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
        }
    return {"config": asdict(config), "groups": groups, "runs": [asdict(v) for v in verdicts]}
