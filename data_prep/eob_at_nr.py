"""SEOBNRv5HM at the parameters of NR runs: the independent reference that quality control measures runs against."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from data_prep import eob
from data_prep.nr import NRWaveform, load_npz, read_spec_nonspinning, read_sxs_gatech, save_npz
from gwsurrogate_ml.errors import DataError

log = logging.getLogger(__name__)

IN_PLANE_MAX = 1e-3
"""Spin in the orbital plane above which a run is called precessing. The catalogue's aligned runs lie below 1e-4."""


def times_for(run: NRWaveform) -> np.ndarray:
    """Uniform times in M, step 1, from at least 500 M before the start of `run` to 110 M after the peak.

    The early start lets transients of the model's initial conditions die away before the comparison.
    """
    return np.arange(np.floor(run.t[0]) - 500.0, 111.0)


def generate(data: Path, out: Path) -> None:
    """Write h22 of SEOBNRv5HM for every aligned run of `data`/nr to the npz file `out`; a minute on one core.

    Arrays for the runs of the SXS/GT table: `name` (n,), `parameters` (n, 3) of (q, chi1, chi2), `t` (n_t,) and `h22`
    (n, n_t); `spec_*` for the long non-spinning SpEC runs. Parameters the model refuses give NaN and a warning.

    Raises
    ------
    DataError
        if a data file is missing or damaged
    """
    table = [r for r in read_sxs_gatech(data / "nr" / "sxs_gatech_h22.npz") if r.in_plane_spin < IN_PLANE_MAX]
    long = read_spec_nonspinning(data / "nr" / "spec_nonspinning_h22_eim.h5")
    arrays: dict[str, np.ndarray] = {}
    for prefix, runs in (("", table), ("spec_", long)):
        times = times_for(runs[0])
        h22 = np.full((len(runs), times.size), np.nan, dtype=np.complex128)
        parameters = np.array([[r.q, r.chi1[2], r.chi2[2]] for r in runs])
        for i, run in enumerate(runs):
            try:
                pieces = eob.one_waveform(run.q, run.chi1[2], run.chi2[2], times)
                h22[i] = pieces["amp22"] * np.exp(-1j * pieces["phase22"])
            except (RuntimeError, ValueError) as error:
                log.warning("%s: no reference waveform (%s)", run.name, error)
            if i % 20 == 0:
                log.info("%s: %d of %d", run.name, i + 1, len(runs))
        arrays |= {
            f"{prefix}name": np.array([r.name for r in runs]),
            f"{prefix}parameters": parameters,
            f"{prefix}t": times,
            f"{prefix}h22": h22,
        }
    save_npz(out, arrays)
    log.info("%d reference waveforms written to %s", len(table) + len(long), out)


def load(path: Path) -> dict[str, np.ndarray]:
    """The file written by `generate`, checked to be complete."""
    keys = ("name", "parameters", "t", "h22")
    try:
        return load_npz(path, tuple(prefix + key for prefix in ("", "spec_") for key in keys))
    except DataError as error:
        raise DataError(f"{error}; make it with `python -m data_prep eob-at-nr --out {path}`") from error
