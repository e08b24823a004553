"""Readers for two tables that are no time series of modes: polarizations around the merger, psi4 in the frequency domain."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.nr import NRWaveform, canonical
from data_prep.tables import load_npz
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI, ModeKey
from gwsurrogate_ml.errors import DataError


def read_gatech_polarizations(path: Path, total_mass: float = 60.0, distance: float = 1.0) -> list[NRWaveform]:
    """The merger-only Georgia Tech table of face-on polarizations, as effective (2,2) modes.

    ``h+ - i hx = (M / D) sum_l h_l2 -2Y_l2(0)``: divided by -2Y_22(0), so every l with m = 2 is in it (5 % of the peak
    amplitude). The scale, 60 Msun at 1 Mpc, is inferred: it gives 0.414 for equal masses without spin (h22 has 0.393).

    Parameters
    ----------
    path : Path
    total_mass : float, solar masses
    distance : float, Mpc

    Raises
    ------
    DataError
        if the file is missing or truncated, or times of a run have a gap
    """
    table = load_npz(path, ("data", "columns"))
    data = table["data"]
    starts = np.flatnonzero(np.any(np.diff(data[:, 1:8], axis=0) != 0, axis=1) | (np.diff(data[:, 0]) <= 0)) + 1
    unit = np.sqrt(5 / (4 * np.pi)) * total_mass * MTSUN_SI / (distance * MPC_SECONDS)
    runs = []
    for number, rows in enumerate(np.split(data, starts)):
        name = f"GT-merger-{number:03d}"
        steps = np.diff(rows[:, 0])
        if steps.size == 0 or np.ptp(steps) > 1e-6 * steps[0]:
            raise DataError(f"{path}: run {number} ({name}) has a gap in its times")
        mass_ratio = rows[0, 1]
        runs.append(
            canonical(
                name,
                "MAYA",
                (1 / (1 + mass_ratio), mass_ratio / (1 + mass_ratio)),
                (rows[0, 2:5], rows[0, 5:8]),
                None,
                rows[:, 0] / (total_mass * MTSUN_SI),
                {(2, 2): (rows[:, 8] - 1j * rows[:, 9]) / unit},
                {"face_on": True},
                precessing=True,  # the caller picks the aligned ones
            )
        )
    return runs


@dataclass(frozen=True)
class FrequencyDomainRun:
    """Strain of one precessing simulation in its coprecessing frame, over frequency `f` (cycles per M); the source calls it psi4's.

    `amplitude` and `phase_derivative` (d phase / d f, in M) by mode; `angles` (n_f, 3) are the frame's alpha, beta and
    gamma as the source stores them; everything by mode, since grids differ. The heavier body spins; its in-plane
    component is put along x, since the source gives only its size.
    """

    name: str
    code: str
    q: float
    chi1: np.ndarray
    chi2: np.ndarray
    eccentricity: float | None
    f: dict[ModeKey, np.ndarray]
    amplitude: dict[ModeKey, np.ndarray]
    phase_derivative: dict[ModeKey, np.ndarray]
    angles: dict[ModeKey, np.ndarray]
    meta: dict[str, Any] = field(default_factory=dict)


def read_bam(path: Path, metadata: Path) -> list[FrequencyDomainRun]:
    """The 64 BAM simulations behind IMRPhenomXCP (github.com/llondon6/PhenomXCP), with metadata.

    The metadata file lacks some runs: their q, spin and tilt come from the name (``q4a02t60``: q = 4, spin 0.2 at 60
    degrees), and `meta["from_name"]` says so.

    Raises
    ------
    DataError
        if a file is missing or truncated, a mode has a gap, or a run's parameters are neither in metadata nor name
    """
    table = load_npz(path)
    try:
        known = json.loads(metadata.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"{metadata} is missing or truncated: {error}") from error
    by_run: dict[str, dict[ModeKey, np.ndarray]] = {}
    for key, rows in table.items():
        match = re.fullmatch(r"(.+)\|l(\d)m(\d)", key)
        if match is None or rows.ndim != 2 or rows.shape[1] != 6:
            raise DataError(f"{path}: {key} is no mode (f, amplitude, dphi, alpha, beta, gamma) of a run")
        if not np.all(np.isfinite(rows)) or not np.all(np.diff(rows[:, 0]) > 0):
            raise DataError(f"{path}: {key} has a gap")
        by_run.setdefault(match[1], {})[int(match[2]), int(match[3])] = rows.astype(np.float64)
    runs = []
    for name, modes in by_run.items():
        entry = known.get(name, {})
        q, spin, tilt = (entry["q"], entry["a2"], entry["angle"]) if entry else _from_name(name)
        angle = np.deg2rad(tilt)
        runs.append(
            FrequencyDomainRun(
                name,
                "BAM",
                float(q),
                spin * np.array([np.sin(angle), 0.0, np.cos(angle)]),
                np.zeros(3),
                entry.get("eccentricity"),
                {key: rows[:, 0] for key, rows in modes.items()},
                {key: rows[:, 1] for key, rows in modes.items()},
                {key: rows[:, 2] for key, rows in modes.items()},
                {key: rows[:, 3:] for key, rows in modes.items()},
                entry | {"from_name": not entry},
            )
        )
    return runs


def _from_name(name: str) -> tuple[float, float, float]:
    """q, spin and tilt in degrees out of names such as q4a02t60dPm2 and q2_a10_a28_ph0_th120."""
    match = re.match(r"q(\d+)a(\d)(\d)t(\d+)", name) or re.match(r"q(\d+)_a1\d+_a2()(\d)_ph\d+_th(\d+)", name)
    if match is None:
        raise DataError(f"{name} is not in the metadata, and its name does not tell q, spin and tilt")
    return float(match[1]), float(match[2] or 0) + float(match[3]) / 10, float(match[4])
