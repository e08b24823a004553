"""SEOBNRv5HM at the parameters of NR runs: the independent reference that quality control measures runs against."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep import catalogues, eob
from data_prep.nr import IN_PLANE_MAX, NRWaveform
from data_prep.tables import load_npz, save_npz
from gwsurrogate_ml.errors import DataError

log = logging.getLogger(__name__)

START = -410.0
"""M: what is compared begins later; longer runs need no earlier reference."""
SAVE_EVERY = 25
"""Waveforms after which what is done so far is saved."""


def generate(sources: Path | Sequence[catalogues.Source], out: Path) -> None:
    """Write h22 of SEOBNRv5HM for every aligned run of `sources` to the npz file `out`; a minute on one core for 400 runs.

    `sources` may be the folder of the project's own tables. Arrays: `name` (n,), `parameters` (n, 3) of (q, chi1, chi2), `t`
    (n_t,) and `h22` (n, n_t); `spec_*` for the long non-spinning SpEC runs. Parameters the model refuses give NaN and a
    warning. Times begin 500 M before the earliest compared, so that transients of the model's initial conditions die away.
    A killed run resumes: what it has done lies beside `out` until all is done.

    Raises
    ------
    DataError
        if a data file is missing or damaged
    """
    if isinstance(sources, Path):
        sources = [catalogues.Source("tables", str(sources))]
    found = catalogues.read(sources)
    aligned = [r for r in found.runs if r.in_plane_spin < IN_PLANE_MAX]
    start = min((max(np.floor(r.t[0]), START) for r in aligned), default=START)
    grids = {"": np.arange(start - 500.0, 111.0)}
    grids["spec_"] = np.arange(catalogues.LONG[0] - 501.5, 111.0)
    arrays: dict[str, np.ndarray] = {}
    for prefix, runs in (("", aligned), ("spec_", found.long)):
        arrays |= _at(prefix, runs, grids[prefix], _partial(out, prefix))
    save_npz(out, arrays)
    for prefix in grids:
        _partial(out, prefix).unlink(missing_ok=True)
    log.info("%d reference waveforms written to %s", len(aligned) + len(found.long), out)


def _partial(out: Path, prefix: str) -> Path:
    return out.with_name(f"{out.stem}.{prefix or 'main_'}partial.npz")


def _at(prefix: str, runs: Sequence[NRWaveform], times: np.ndarray, partial: Path) -> dict[str, np.ndarray]:
    """The arrays of one set; rows of `partial` made for the same run, parameters and times are taken over."""
    names = np.array([r.name for r in runs], dtype=str)
    parameters = np.array([[r.q, r.chi1[2], r.chi2[2]] for r in runs]).reshape(-1, 3)
    h22 = np.full((len(runs), times.size), np.nan, dtype=np.complex128)
    done = np.zeros(len(runs), dtype=bool)
    if partial.exists():
        old = load_npz(partial, ("name", "parameters", "t", "h22", "done"))
        where = {str(name): i for i, name in enumerate(old["name"])} if np.array_equal(old["t"], times) else {}
        for i, name in enumerate(names):
            j = where.get(str(name))
            if j is not None and old["done"][j] and np.array_equal(old["parameters"][j], parameters[i]):
                h22[i], done[i] = old["h22"][j], True
        log.info("%d of %d waveforms taken over from %s", done.sum(), len(runs), partial)
    for i, run in enumerate(runs):
        if done[i]:
            continue
        try:
            pieces = eob.one_waveform(run.q, run.chi1[2], run.chi2[2], times)
            h22[i] = pieces["amp22"] * np.exp(-1j * pieces["phase22"])
        except (RuntimeError, ValueError) as error:
            log.warning("%s: no reference waveform (%s)", run.name, error)
        done[i] = True
        if i % SAVE_EVERY == SAVE_EVERY - 1:
            log.info("%s: %d of %d", run.name, i + 1, len(runs))
            save_npz(partial, {"name": names, "parameters": parameters, "t": times, "h22": h22, "done": done})
    return {f"{prefix}name": names, f"{prefix}parameters": parameters, f"{prefix}t": times, f"{prefix}h22": h22}


def load(path: Path) -> dict[str, np.ndarray]:
    """The file written by `generate`, checked to be complete."""
    keys = ("name", "parameters", "t", "h22")
    try:
        return load_npz(path, tuple(prefix + key for prefix in ("", "spec_") for key in keys))
    except DataError as error:
        raise DataError(f"{error}; make it with `python -m data_prep eob-at-nr --out {path}`") from error
