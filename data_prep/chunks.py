"""Training sets made in chunks by several processes: a killed run resumes and loses at most one chunk."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import platform
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.scale import Mapper

log = logging.getLogger(__name__)


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """The arrays as an npz file that is there whole or not at all."""
    # The process in the name: a worker that outlived a killed run must not write into ours.
    temporary = path.with_suffix(f".{platform.node()}.{os.getpid()}.tmp.npz")
    np.savez(temporary, **arrays)  # type: ignore[arg-type]
    os.replace(temporary, path)


def prepare(out: Path, card: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """The folder with its `config.json` and `arrays`, one file each.

    Raises
    ------
    ConfigError
        if it cannot be written, or holds a set made with another config
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {out} cannot be written ({error.strerror}): name a folder where you may write") from error
    path, text = out / "config.json", json.dumps(card, indent=1)
    if path.exists() and path.read_text() != text:
        raise ConfigError(f"{path} holds another configuration: use another folder or delete this one")
    for stale in out.glob("*.tmp.npz"):
        stale.unlink(missing_ok=True)
    for name, array in arrays.items():
        temporary = out / f"{name}.{os.getpid()}.tmp.npy"
        np.save(temporary, array)
        os.replace(temporary, out / f"{name}.npy")
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def complete(
    out: Path,
    work: Callable[[tuple[int, np.ndarray, np.ndarray, Path]], int],
    parameters: np.ndarray,
    chunk: int,
    times: np.ndarray,
    workers: int = 2,
    mapper: Mapper | None = None,
) -> None:
    """Have `work` write every chunk that is missing: `workers` processes of one thread each, or a `mapper`'s workers.

    Parameters
    ----------
    out : Path
    work : callable
        of (index, its rows of `parameters`, `times`, path); returns the index
    parameters : (N, n) float64
    chunk : int, rows in one file
    times : (n_t,) float64

    Raises
    ------
    DataError
        if `out` holds a damaged chunk
    """
    jobs = [
        (i, parameters[i * chunk : (i + 1) * chunk], times, out / f"chunk_{i:05d}.npz") for i in range(-(-len(parameters) // chunk))
    ]
    for path in (job[3] for job in jobs if job[3].exists()):
        if not zipfile.is_zipfile(path):
            raise DataError(f"{path} is damaged: delete it and run again")
    missing = [job for job in jobs if not job[3].exists()]
    log.info("%d of %d chunks to do", len(missing), len(jobs))
    if mapper is not None:
        missing = [(i, rows, grid, path.resolve()) for i, rows, grid, path in missing]  # workers may run elsewhere
        for done, index in enumerate(mapper.map(work, missing), 1):
            log.info("chunk %d written, %d of %d", index, done, len(missing))
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        for done, index in enumerate(pool.imap_unordered(work, missing), 1):
            log.info("chunk %d written, %d of %d", index, done, len(missing))
