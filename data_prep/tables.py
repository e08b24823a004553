"""Readers for the two tables of the (2,2) mode in the project's data folder; npz files read whole and written whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
from scipy.interpolate import make_interp_spline

from data_prep.nr import NRWaveform, canonical
from gwsurrogate_ml.errors import DataError


def read_sxs_gatech(path: Path, unread: dict[str, str] | None = None) -> list[NRWaveform]:
    """The runs of `sxs_gatech_h22.npz`: (2,2) mode, t from -409 to 107 M in steps of 1 M.

    A run that cannot be used raises; where `unread` is given it is left out instead, and its reason stored under its name.

    Raises
    ------
    DataError
        if the file is missing, truncated or lacks a column
    """
    columns = [f"spin{body}{axis}" for body in (1, 2) for axis in "xyz"]
    table = load_npz(path, ("t", "h22", "name", "code", "mass1", "mass2", "eccentricity", *columns))
    spins = np.stack([table[column] for column in columns], axis=1)
    extra = ("group", "Omega", "spin_type")
    runs = []
    for i, name in enumerate(table["name"]):
        note = {key: table[key][i].item() for key in extra if key in table}
        try:
            run = canonical(
                str(name),
                str(table["code"][i]),
                (float(table["mass1"][i]), float(table["mass2"][i])),
                (spins[i, :3], spins[i, 3:]),
                float(table["eccentricity"][i]),
                table["t"],
                {(2, 2): table["h22"][i]},
                note | {"mass_sum": float(table["mass1"][i] + table["mass2"][i])},
                precessing=True,  # `quality` counts and drops them
            )
        except DataError as error:
            if unread is None:
                raise DataError(f"{path}: {error}") from error
            unread[str(name)] = str(error)
            continue
        runs.append(run)
    return runs


def read_spec_nonspinning(path: Path, step: float = 0.5) -> list[NRWaveform]:
    """The 22 non-spinning SpEC runs behind `spec_nonspinning_h22_eim.h5`, t from -2750 to 100 M, sorted by q.

    ``h_i(t) = sum_j B_j(t) amp_ji exp(+i phase_ji)`` (Blackman et al. 2015, arXiv:1502.07758) is exact at the greedy
    points. The file's Chebyshev nodes are resampled to a uniform `step` in M by quintic splines of amplitude and phase.

    Raises
    ------
    DataError
        if the file is missing, truncated or lacks a data set
    """
    try:
        with h5py.File(path, "r") as file:
            basis, times, q = file["B"][()], file["times"][()], file["greedy_points"][()]
            nodes = file["eim_amp"][()] * np.exp(1j * file["eim_phase"][()])
    except (OSError, KeyError) as error:
        raise DataError(f"{path} is missing, truncated or no empirical-interpolation model: {error}") from error
    waveforms = nodes.T @ basis
    grid = step * np.arange(np.ceil(times[0] / step), np.floor(times[-1] / step) + 1)
    runs = []
    for i in np.argsort(q):
        amplitude = make_interp_spline(times, np.abs(waveforms[i]), k=5)(grid)
        phase = make_interp_spline(times, np.unwrap(np.angle(waveforms[i])), k=5)(grid)
        h22 = amplitude * np.exp(1j * phase)
        zero = np.zeros(3)
        masses = (q[i] / (1 + q[i]), 1 / (1 + q[i]))
        name = f"SpEC-q{q[i]:.2f}"
        runs.append(canonical(name, "SpEC", masses, (zero, zero), 0.0, grid, {(2, 2): h22}, {"greedy_index": int(i)}))
    return runs


def save_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an npz file whole or not at all, making its folder where needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, **arrays)  # type: ignore[arg-type]
    os.replace(temporary, path)


def load_npz(path: Path, required: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """All arrays of an npz file; `DataError` where it is missing, truncated, or lacks one of the `required` arrays."""
    try:
        with np.load(path, allow_pickle=False) as file:
            table = {key: file[key] for key in file.files}
    except Exception as error:  # numpy raises OSError, ValueError, EOFError, BadZipFile or zlib.error for a damaged file
        raise DataError(f"{path} cannot be read: missing or truncated ({error}); fetch it again") from error
    missing = [key for key in required if key not in table]
    if missing:
        raise DataError(f"{path} lacks {missing}: it holds {sorted(table)[:12]}")
    return table
