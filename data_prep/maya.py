"""Reader for the MAYA catalogue's own files: psi4 on spheres of finite radius, turned into strain at infinity.

Ferguson et al. 2023, arXiv:2309.00262. Extrapolation in radius: Nakano et al. 2015 (arXiv:1503.00718), the terms without spin.
Integration: Reisswig & Pollney 2011 (arXiv:1006.1632), fixed-frequency integration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy.signal.windows import tukey

from data_prep import metadata
from data_prep.lvcnr import sidecar
from data_prep.nr import NRWaveform, canonical, check_times
from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.errors import DataError

SETTLE = 75.0
"""M after the direct wave front during which finite differences ring (Jani et al. 2016, arXiv:1605.03204)."""


def integrate_twice(t: np.ndarray, psi4: np.ndarray, omega: float) -> np.ndarray:
    """Strain out of psi4 = d^2 h / dt^2 by fixed-frequency integration.

    Parameters
    ----------
    t : (n,) float, M, uniform
    psi4 : (n,) complex
    omega : float, rad / M
        angular frequency below which nothing physical lies: lower frequencies are divided by omega^2 instead of their own

    Returns
    -------
    (n,) complex128

    Examples
    --------
    >>> t = np.arange(0.0, 2000.0, 0.5)
    >>> h = np.exp(-((t - 1000) / 200) ** 2 - 0.3j * t)
    >>> psi4 = np.gradient(np.gradient(h, t), t)
    >>> bool(np.abs(integrate_twice(t, psi4, 0.1) - h).max() < 0.01)
    True
    """
    return np.fft.ifft(np.fft.fft(psi4) / -(_angular(t, omega) ** 2))


def read_maya_psi4(path: Path, table: Mapping[str, Any] | None = None, radius: str = "outermost") -> NRWaveform:
    """A MAYA simulation: ``radiative/psi4/radius=R/{time, modes/l=L/m=M/{real, imaginary}}``.

    Parameters
    ----------
    path : Path
    table : mapping, optional
        parameters, see `metadata.parse`; without it, the metadata file beside `path`
    radius : str
        extraction radius as the file has it, or "outermost"

    Returns
    -------
    NRWaveform whose junk (until `SETTLE` after the wave front has passed the sphere) is cut

    Raises
    ------
    DataError
        if the file is missing, truncated or foreign, has no such radius, or lacks a mode's half; as `canonical`
    """
    found = metadata.parse(metadata.read(sidecar(path)) if table is None else table, str(path))
    try:
        with h5py.File(path, "r") as file:
            radii = {key.partition("=")[2]: key for key in file["radiative/psi4"] if re.fullmatch(r"radius=[\d.]+", key)}
            chosen = max(radii, key=float, default="none") if radius == "outermost" else radius
            if chosen not in radii:
                raise DataError(f"{path} has no psi4 at radius {chosen}: it has {sorted(radii)}")
            sphere = file[f"radiative/psi4/{radii[chosen]}"]
            t, modes = sphere["time"][()], _modes(sphere["modes"])
    except (OSError, KeyError, RuntimeError) as error:
        raise DataError(f"{path} is missing, truncated or no MAYA file with psi4: {error}; fetch it again") from error
    try:
        check_times(path.stem, t)
        if (2, 2) not in modes:
            raise DataError(f"{path.stem} has no (2,2) mode: it holds {sorted(modes)}; leave it out")
        for key, psi4 in modes.items():
            if psi4.shape != t.shape or not np.all(np.isfinite(psi4)):
                raise DataError(f"{path.stem}: mode {key} of psi4 has a gap or the wrong length; leave it out")
        r, relaxed = float(chosen), float(chosen) + SETTLE
        grid = np.arange(t[0], t[-1], float(np.median(np.diff(t))))
        even = {key: np.interp(grid, t, h.real) + 1j * np.interp(grid, t, h.imag) for key, h in modes.items()}
        start = _frequency(grid, even[2, 2], relaxed)
        strain = {
            (l, m): _strain(grid, h, l, r, 0.75 * start * max(abs(m), 1) / 2) for (l, m), h in even.items()
        }  # a cut of 3/4 of the mode's own frequency at the start
        return canonical(
            path.stem,
            "MAYA",
            found.masses,
            found.spins,
            found.eccentricity,
            grid,
            strain,
            {"file": path.name, "radius": r, "integration_omega": 0.75 * start}
            | ({} if found.mass_sum is None else {"mass_sum": found.mass_sum}),
            clockwise=found.clockwise,
            relaxation_time=relaxed,
            remnant_mass=found.remnant_mass,
            remnant_spin=found.remnant_spin,
        )
    except DataError as error:
        raise error if str(path) in str(error) else DataError(f"{path}: {error}") from error


def _modes(group: h5py.Group) -> dict[ModeKey, np.ndarray]:
    out: dict[ModeKey, np.ndarray] = {}
    for l_key, members in group.items():
        for m_key, parts in members.items():
            l, m = (re.fullmatch(pattern, key) for pattern, key in ((r"l=(\d+)", l_key), (r"m=(-?\d+)", m_key)))
            if l and m:
                out[int(l[1]), int(m[1])] = parts["real"][()] + 1j * parts["imaginary"][()]
    return out


def _frequency(t: np.ndarray, psi4: np.ndarray, relaxed: float) -> float:
    """Median angular frequency of (2,2) over 200 M after the junk."""
    chosen = (t > relaxed) & (t < relaxed + 200.0)
    if chosen.sum() < 20:
        raise DataError(f"its data end {SETTLE:g} M after the wave front or before: the inspiral is missing; leave it out")
    phase = np.unwrap(np.angle(psi4[chosen]))
    return float(np.median(np.abs(np.gradient(phase, t[chosen]))))


def _angular(t: np.ndarray, floor: float) -> np.ndarray:
    omega = 2 * np.pi * np.fft.fftfreq(t.size, t[1] - t[0])
    return np.where(omega < 0, -1.0, 1.0) * np.maximum(np.abs(omega), floor)


def _strain(t: np.ndarray, psi4: np.ndarray, l: int, radius: float, omega: float) -> np.ndarray:
    """r h at infinity.

    ``(1 - 2M/r) (x - (l-1)(l+2)/(2r) int x dt + (l-1)(l+2)(l^2+l-4)/(8r^2) int int x dt dt)`` with x = r psi4, integrated twice;
    r is the areal radius.
    """
    areal = radius * (1 + 1 / (2 * radius)) ** 2
    x = areal * psi4 * tukey(t.size, 0.02)
    once = np.fft.ifft(np.fft.fft(x) / (1j * _angular(t, omega)))
    first, second = (l - 1) * (l + 2) / (2 * areal), (l - 1) * (l + 2) * (l**2 + l - 4) / (8 * areal**2)
    far = (1 - 2 / areal) * (x - first * once + second * integrate_twice(t, x, omega))
    return integrate_twice(t, far, omega)
