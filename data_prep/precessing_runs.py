"""Simulations of precessing binaries, spins in the frame of the orbit at the reference; no symmetry of the modes is assumed.

Conventions are those of the precessing surrogate: body 1 is the heavier one, x points from the lighter to the heavier body and z
along the Newtonian orbital angular momentum at the reference, where the orbital frequency is known. What the source gives of the
waveform stays in the source's own frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep import nr_files
from data_prep.nr import check_bodies, phase_sense
from data_prep.tables import load_npz
from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.errors import DataError

IN_PLANE_MIN = 0.02
"""Spin in the orbital plane below which a run does not count as precessing."""
ECCENTRICITY_MAX = 0.01


@dataclass(frozen=True)
class PrecessingRun:
    """One simulation.

    Parameters
    ----------
    name, code : str
    q : float, >= 1
    chi1, chi2 : (3,) float64, dimensionless, in the frame of the reference
    omega : float, rad / M
        the orbital frequency there
    frame : (3, 3) float64
        its axes x, y, z as columns, by the components of the source's frame
    x : (n,) float64
        times in M, or frequencies in 1 / M
    h : (n,) complex128
        (2,2) in the source's frame over times; or, of BAM, in the co-precessing frame over frequencies
    """

    name: str
    code: str
    q: float
    chi1: np.ndarray
    chi2: np.ndarray
    omega: float
    frame: np.ndarray
    x: np.ndarray
    h: np.ndarray

    @property
    def parameters(self) -> np.ndarray:
        """q and both spins, (7,)."""
        return np.concatenate([[self.q], self.chi1, self.chi2])


def orbit_frame(normal: np.ndarray, separation: np.ndarray) -> np.ndarray:
    """Axes (3, 3) as columns: z along the `normal`, x along the `separation` made orthogonal to it.

    Examples
    --------
    >>> orbit_frame(np.array([0.0, 0.0, 2.0]), np.array([0.0, 1.0, 0.3])).T.round(9).tolist()
    [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    z = normal / np.linalg.norm(normal)
    x = separation - (separation @ z) * z
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


def read_sxs_gatech(path: Path, unread: dict[str, str] | None = None) -> list[PrecessingRun]:
    """The precessing runs of `sxs_gatech_h22.npz` with a known, small eccentricity: (2,2), t from -409 to 107 M.

    The sense of i differs between the two catalogues: a whole one is conjugated where its runs of aligned spins turn the wrong way.
    The table's separation points from the second to the first body, its orbital frequency is taken from the column in Hz, as the
    other is that of the waveform for one of the catalogues. Georgia Tech's separation points the other way: so its runs agree with
    NRSur7dq2's spins and modes.

    Raises
    ------
    DataError
        if the file is missing, truncated, lacks a column, or holds an impossible run; where `unread` is given, such a run is left
        out and its reason stored under its name
    """
    vectors = {key: [f"{key}{axis}" for axis in "xyz"] for key in ("spin1", "spin2", "LNhat", "nhat")}
    columns = [name for names in vectors.values() for name in names]
    table = load_npz(
        path, ("t", "h22", "name", "group", "code", "mass1", "mass2", "eccentricity", "spin_type", "f_lower_at_1MSUN", *columns)
    )
    found = {key: np.stack([table[name] for name in names], axis=1) for key, names in vectors.items()}
    conjugated = {}
    for group in np.unique(table["group"]):
        aligned = np.flatnonzero((table["group"] == group) & (np.hypot(found["spin1"][:, 0], found["spin2"][:, 0]) < 1e-3))
        conjugated[group] = sum(phase_sense(table["t"], table["h22"][i]) for i in aligned) > 0
    runs = []
    for i, name in enumerate(table["name"].tolist()):
        masses = float(table["mass1"][i]), float(table["mass2"][i])
        separation, order = found["nhat"][i], ("spin1", "spin2")
        if table["code"][i] == "MAYA":
            separation = -separation
        if masses[0] < masses[1]:
            separation, order, masses = -separation, ("spin2", "spin1"), masses[::-1]
        frame = orbit_frame(found["LNhat"][i], separation)
        spins = tuple(found[key][i] @ frame for key in order)
        plane = max(float(np.hypot(*spin[:2])) for spin in spins)
        if plane < IN_PLANE_MIN or not 0 <= table["eccentricity"][i] <= ECCENTRICITY_MAX:
            continue
        try:
            check_bodies(name, masses, (spins[0], spins[1]))
        except DataError as error:
            if unread is None:
                raise
            unread[name] = str(error)
            continue
        h = np.conj(table["h22"][i]) if conjugated[table["group"][i]] else table["h22"][i]
        omega = np.pi * float(table["f_lower_at_1MSUN"][i]) * MTSUN_SI
        runs.append(PrecessingRun(name, str(table["code"][i]), masses[0] / masses[1], *spins, omega, frame, table["t"], h))
    return runs


def read_bam(waveforms: Path, metadata: Path) -> list[PrecessingRun]:
    """The runs of `nr_files.read_bam`, one spinning body, the heavier one: (2,2) over frequencies.

    It is that of the waveform made symmetric under reflection, in the frame of optimal emission of its l = 2 modes at each
    frequency (Hamilton et al. 2021, arXiv:2107.08876). The amplitude is the strain's, not that of psi4: it falls as f^(-7/6). The
    azimuth of the spin in the plane is not in the data: 0 is put for it. Runs without an entry in the metadata have the median of
    the others' frequencies.

    Raises
    ------
    DataError
        as `nr_files.read_bam`
    """
    found = nr_files.read_bam(waveforms, metadata)
    typical = float(np.median([run.meta["omega"] for run in found if "omega" in run.meta]))
    runs = []
    for run in found:
        f, slope = run.f[2, 2], run.phase_derivative[2, 2]
        phase = np.concatenate([[0.0], np.cumsum(0.5 * (slope[1:] + slope[:-1]) * np.diff(f))])
        h, omega = run.amplitude[2, 2] * np.exp(-1j * phase), float(run.meta.get("omega", typical))
        runs.append(PrecessingRun(run.name, "BAM", run.q, run.chi1, run.chi2, omega, np.eye(3), f, h))
    return sorted(runs, key=lambda run: run.name)
