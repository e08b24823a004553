"""SEOBNRv5PHM at the parameters of precessing simulations (see `data_prep.precessing_runs`), for comparison."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline

from data_prep import chunks
from data_prep.precessing_runs import PrecessingRun, read_bam, read_sxs_gatech

log = logging.getLogger(__name__)

TIMES = np.arange(-2600.0, 98.0, 0.5)
"""M from the peak."""
MODES = tuple((2, m) for m in range(-2, 3))
EARLY = 0.018
"""rad / M: where the model begins for the simulations by BAM, before the reference."""


def read_all(data: Path) -> list[PrecessingRun]:
    """All precessing runs of the project's data folder."""
    nr = data / "nr"
    return read_sxs_gatech(nr / "sxs_gatech_h22.npz", {}) + read_bam(
        nr / "bam_precessing_psi4_fd.npz", nr / "bam_precessing_metadata.json"
    )


def inside(run: PrecessingRun, q_max: float, chi_max: float) -> bool:
    """Whether a run is in a range, up to what simulations miss their targets by."""
    return run.q < q_max + 2e-3 and max(np.linalg.norm(run.chi1), np.linalg.norm(run.chi2)) < chi_max + 5e-3


def eob(run: PrecessingRun) -> np.ndarray:
    """SEOBNRv5PHM's l = 2 modes (5, n) at `TIMES`, in the frame of the run's reference; zero where it has none."""
    from pyseobnr.generate_waveform import generate_modes_opt

    start = min(EARLY, run.omega) if run.code == "BAM" else run.omega
    t, modes, _ = generate_modes_opt(run.q, run.chi1, run.chi2, start, omega_ref=run.omega, approximant="SEOBNRv5PHM", debug=True)
    rows = np.stack([modes[f"{l},{m}"] for l, m in MODES])
    peak = t[int(np.argmax(np.sum([np.abs(h) ** 2 for h in modes.values()], axis=0)))]
    out = np.zeros((len(MODES), len(TIMES)), complex)
    known = (t[0] - peak <= TIMES) & (t[-1] - peak >= TIMES)
    out[:, known] = CubicSpline(t - peak, rows, axis=1)(TIMES[known])
    return out


def generate(data: Path, out: Path, q_max: float, chi_max: float) -> None:
    """Write SEOBNRv5PHM for the runs in the range to the file `out`: name (n,), times (n_t,), modes (n, 5, n_t) complex64."""
    runs, found = [run for run in read_all(data) if inside(run, q_max, chi_max)], []
    for i, run in enumerate(runs):
        found.append(eob(run).astype(np.complex64))
        log.info("%s, %d of %d", run.name, i + 1, len(runs))
    chunks.write(out, {"name": np.array([run.name for run in runs]), "times": TIMES, "modes": np.stack(found)})
