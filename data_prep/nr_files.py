"""Readers for single simulations and for tables other than (2,2)-only ones, into `data_prep.nr.NRWaveform`.

LVCNR exchange format (Schmidt, Harry, Pfeiffer 2017, arXiv:1703.01076), SXS Cauchy-characteristic files through the
package `sxs`, Georgia Tech polarizations around the merger, BAM psi4 in the frequency domain.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.interpolate import InterpolatedUnivariateSpline

from data_prep.nr import NRWaveform, canonical, load_npz
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI, ModeKey
from gwsurrogate_ml.errors import ConfigError, DataError


def read_lvcnr(path: Path, step: float = 0.25, align: bool = True) -> NRWaveform:
    """A simulation in the LVCNR format: every mode stored as reduced-order splines of amplitude and phase.

    Parameters
    ----------
    path : Path
        HDF5 file with groups ``amp_l{l}_m{m}`` and ``phase_l{l}_m{m}``, each with knots X, values Y and degree
    step : float, M
        uniform step of the result over the time that all modes cover
    align : bool
        put the peak of |h22| at t = 0; False keeps the file's times, for a fragment without a merger

    Returns
    -------
    NRWaveform, spins as in the file's frame; `meta` holds the file's attributes (LNhat among them)

    Raises
    ------
    DataError
        if the file is missing or truncated, lacks masses, spins, (2,2), half of a mode, or, with `align`, the merger
    """
    modes: dict[ModeKey, np.ndarray] = {}
    try:
        with h5py.File(path, "r") as file:
            attributes = {key: _plain(value) for key, value in file.attrs.items()}
            found = [re.fullmatch(r"amp_l(\d+)_m(-?\d+)", key) for key in file]
            keys = sorted((int(match[1]), int(match[2])) for match in found if match)
            splines = {(l, m): [_spline(file[f"{part}_l{l}_m{m}"]) for part in ("amp", "phase")] for l, m in keys}
    except (OSError, KeyError) as error:
        raise DataError(f"{path} is missing, truncated or not in the LVCNR format: {error}") from error
    if (2, 2) not in splines:
        raise DataError(f"{path} has no mode (2, 2): it holds {sorted(splines)}")
    ends = np.array([s.get_knots()[[0, -1]] for pair in splines.values() for s in pair])
    start, stop = ends[:, 0].max(), ends[:, 1].min()
    t = start + step * np.arange(int((stop - start) / step) + 1)
    for key, (amplitude, phase) in splines.items():
        modes[key] = amplitude(t) * np.exp(1j * phase(t))
    try:
        prefix = "mass" if "mass1" in attributes else "horizon_mass"
        masses = (float(attributes[f"{prefix}1"]), float(attributes[f"{prefix}2"]))
        spins = tuple(np.array([float(attributes[f"spin{body}{axis}"]) for axis in "xyz"]) for body in (1, 2))
    except KeyError as error:
        raise DataError(f"{path} lacks the attribute {error}") from error
    eccentricity = attributes.get("eccentricity")
    return canonical(
        str(attributes.get("name", path.stem)),
        str(attributes.get("NR-code", "unknown")),
        masses,
        (spins[0], spins[1]),
        float(eccentricity) if isinstance(eccentricity, int | float) else None,
        t,
        modes,
        attributes,
        align,
    )


def read_sxs(path: Path, q: float, chi1: np.ndarray, chi2: np.ndarray, eccentricity: float | None = None) -> NRWaveform:
    """An SXS waveform (Cauchy-characteristic or extrapolated, any format `sxs.load` knows), all its modes.

    The waveform file does not hold the binary's parameters: give them as the catalogue's metadata has them at the
    relaxation time (`q` = mass1 / mass2, either way round). The `sxs` package lives in the environment of `make nr`.

    Raises
    ------
    ConfigError
        if `sxs` is not installed
    DataError
        if the file cannot be read, or not as waveform modes
    """
    try:
        import sxs
    except ImportError as error:
        raise ConfigError("reading SXS waveforms needs the package sxs: make the environment with `make nr`") from error
    if not path.exists():
        raise DataError(f"{path} is missing")
    try:
        waveform = sxs.load(str(path))
        modes = {(int(l), int(m)): np.array(waveform.data[:, i]) for i, (l, m) in enumerate(waveform.LM)}
        t = np.array(waveform.t)
    except Exception as error:  # sxs raises many types for damaged files
        raise DataError(f"{path} cannot be read by sxs {sxs.__version__}: {error}") from error
    return canonical(path.stem, "SpEC", (q, 1.0), (chi1, chi2), eccentricity, t, modes, {"sxs": sxs.__version__})


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
            )
        )
    return runs


@dataclass(frozen=True)
class FrequencyDomainRun:
    """psi4 of one precessing simulation in its coprecessing frame, over frequency `f` (cycles per M).

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


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value


def _spline(group: h5py.Group) -> InterpolatedUnivariateSpline:
    return InterpolatedUnivariateSpline(group["X"][()], group["Y"][()], k=int(group["deg"][()]))


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
