"""Numerical-relativity waveforms in one shape and one convention, whatever catalogue they come from.

Conventions are those of `gwsurrogate_ml.conventions`: body 1 is the heavier one, the phase of h22 falls, t = 0
is the spline-refined peak of |h22|, h means r h / M. Single simulations are read in `data_prep.lvcnr`, `data_prep.maya`,
`data_prep.sxs_runs` and `data_prep.nr_files`, tables of the (2,2) mode in `data_prep.tables`, catalogues in `data_prep.catalogues`.

All of it holds for spins along the orbital axis alone. A precessing binary's |h22| in the inertial frame has no peak that marks the
merger, h_l,-m is not (-1)^l conj(h_lm), and the sense of h22's phase does not tell the source's sign of i: such runs are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.interpolate import PPoly, make_interp_spline
from scipy.ndimage import median_filter

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.errors import DataError

SPIN_MAX = 1.01
"""Longest dimensionless spin taken: measured on horizons of finite resolution, real runs reach 1.004."""
IN_PLANE_MAX = 1e-3
"""Spin in the orbital plane above which a run is called precessing. The catalogues' aligned runs lie below 1e-4."""


@dataclass(frozen=True)
class NRWaveform:
    """One simulation: parameters, and modes as complex r h / M on `t` (M, increasing, |h22| peaks at 0).

    `eccentricity` is None where the catalogue gives none or a sentinel. `meta` keeps what the source says beyond that,
    and what was done: `swapped` (the bodies), `conjugated` (the sense of rotation), `turned` (the orbit was clockwise).
    """

    name: str
    code: str
    q: float
    chi1: np.ndarray
    chi2: np.ndarray
    eccentricity: float | None
    t: np.ndarray
    modes: dict[ModeKey, np.ndarray]
    meta: dict[str, Any] = field(default_factory=dict)
    relaxation_time: float | None = None
    """M, on `t`: what came before, junk radiation, is cut. None where the source says nothing, or has cut it itself."""
    remnant_mass: float | None = None
    """Mass of the remnant in units of M."""
    remnant_spin: np.ndarray | None = None
    """(3,), dimensionless, in the frame of the spins."""
    resolution: str | None = None
    coarser: NRWaveform | None = None
    """The same simulation at its second highest resolution: how far the two differ is the run's own error."""

    def mode(self, key: ModeKey) -> np.ndarray:
        """The mode `key`; a mode the file does not hold raises `DataError` naming those it does."""
        if key not in self.modes:
            raise DataError(f"{self.name} has no mode {key}: it holds {sorted(self.modes)}")
        return self.modes[key]

    def h22_at(self, times: np.ndarray) -> np.ndarray:
        """h22 at `times` (M) by quintic splines of amplitude and phase; complex128, NaN where the run has no data."""
        h22 = self.mode((2, 2))
        near = (self.t >= times[0] - 50) & (self.t <= times[-1] + 50)
        t, h22 = self.t[near], h22[near]
        amplitude = make_interp_spline(t, np.abs(h22), k=5)(times, extrapolate=False)
        phase = make_interp_spline(t, np.unwrap(np.angle(h22)), k=5)(times, extrapolate=False)
        return amplitude * np.exp(1j * phase)

    @property
    def in_plane_spin(self) -> float:
        """Largest spin component in the orbital plane, dimensionless."""
        return _in_plane(self.chi1, self.chi2)


def _in_plane(*spins: np.ndarray) -> float:
    return max(float(np.hypot(*spin[:2])) for spin in spins)


def phase_sense(t: np.ndarray, h22: np.ndarray) -> int:
    """+1 where the phase of `h22` rises with time, -1 where it falls, weighted by |h22|^2 (so noise has no say).

    Examples
    --------
    >>> t = np.arange(-50.0, 20.0)
    >>> phase_sense(t, np.exp(-0.3j * t))
    -1
    """
    turn = np.sum(np.imag(np.conj(h22[:-1]) * h22[1:]))
    return 1 if turn > 0 else -1


def peak_time(t: np.ndarray, amplitude: np.ndarray, name: str = "waveform") -> float:
    """Time of the largest maximum of `amplitude`, refined by a spline of the samples around it.

    Raises
    ------
    DataError
        if the largest sample lies at an end: the merger is not in the data

    Examples
    --------
    >>> t = np.arange(-50.0, 50.0)
    >>> round(peak_time(t, np.exp(-(((t - 0.37) / 15) ** 2))), 4)
    0.37
    """
    k = int(np.argmax(amplitude))
    if k < 4 or k > len(t) - 5:
        raise DataError(f"{name}: |h22| is largest at t = {t[k]:g}, an end of the data: the merger is missing")
    window = slice(max(k - 20, 0), k + 21)
    spline = PPoly.from_spline(make_interp_spline(t[window], amplitude[window], k=5))
    roots = spline.derivative().roots(extrapolate=False)
    return float(roots[np.argmax(spline(roots))])


def canonical(
    name: str,
    code: str,
    masses: tuple[float, float],
    spins: tuple[np.ndarray, np.ndarray],
    eccentricity: float | None,
    t: np.ndarray,
    modes: Mapping[ModeKey, np.ndarray],
    meta: Mapping[str, Any] | None = None,
    align: bool = True,
    *,
    precessing: bool = False,
    clockwise: bool = False,
    relaxation_time: float | None = None,
    remnant_mass: float | None = None,
    remnant_spin: np.ndarray | None = None,
    resolution: str | None = None,
) -> NRWaveform:
    """Bring a simulation to the project's conventions.

    Junk radiation before `relaxation_time` (on `t`) is cut. An orbit about -z (`clockwise`) is turned by pi about x. The
    bodies are swapped where the first is the lighter one, which turns the frame by pi about z (odd-m modes and in-plane
    spins change sign). All modes are conjugated where the phase of h22 still rises: the source's sign of i. Times are
    shifted, never resampled; `align=False` keeps the file's own times, for fragments without a merger.

    None of this is right for a precessing run (see the module), which is refused; with `precessing` it is taken, for its parameters
    alone: of tables whose runs are counted first.

    Raises
    ------
    DataError
        if the run precesses, a parameter or sample is not finite or not physical, times do not increase or have a gap, (2,2) or
        the merger is missing
    """
    t = np.asarray(t, dtype=np.float64)
    if (2, 2) not in modes:
        raise DataError(f"{name} has no (2,2) mode: it holds {sorted(modes)}; leave it out")
    check_times(name, t)
    for key, h in modes.items():
        if h.shape != t.shape:
            raise DataError(f"{name}: mode {key} has a gap or the wrong length ({h.shape} for {t.size} times)")
        if not np.all(np.isfinite(h)):
            raise DataError(f"{name}: mode {key} has a gap at t = {t[~np.isfinite(h)][0]:g} (not a number): fetch it again")
    (m1, m2), (chi1, chi2) = check_bodies(name, masses, spins)
    if not precessing and (plane := _in_plane(chi1, chi2)) > IN_PLANE_MAX:
        raise DataError(
            f"{name}: precessing: in-plane spin {plane:.3f}, and the conventions here hold for spins along the orbital axis alone: "
            "leave it out"
        )
    out = {key: np.asarray(h, dtype=np.complex128) for key, h in modes.items()}
    if relaxation_time is not None and not (np.isfinite(relaxation_time) and relaxation_time > t[0]):
        relaxation_time = None
    if relaxation_time is not None:
        if relaxation_time > t[-10]:
            raise DataError(f"{name}: the relaxation time {relaxation_time:g} lies beyond the data, which end at {t[-1]:g}")
        relaxed = t >= relaxation_time
        t, out = t[relaxed], {key: h[relaxed] for key, h in out.items()}
    spin = None if remnant_spin is None else np.asarray(remnant_spin, dtype=np.float64)
    if clockwise:
        turn = np.array([1.0, -1.0, -1.0])
        chi1, chi2, spin = chi1 * turn, chi2 * turn, None if spin is None else spin * turn
        # h_lm -> (-1)^l h_l,-m, and where the file has m > 0 only, by reflection that is conj(h_lm).
        out = {(l, m): (-1) ** l * out[l, -m] if (l, -m) in out else np.conj(h) for (l, m), h in out.items()}
    swapped = m1 < m2
    if swapped:
        m1, m2 = m2, m1
        turn = np.array([-1.0, -1.0, 1.0])
        chi1, chi2, spin = chi2 * turn, chi1 * turn, None if spin is None else spin * turn
        out = {(l, m): h * (-1) ** m for (l, m), h in out.items()}
    conjugated = phase_sense(t, out[2, 2]) > 0
    if conjugated:
        out = {key: np.conj(h) for key, h in out.items()}
    if eccentricity is not None and not 0 <= eccentricity < 1:
        eccentricity = None
    if align:
        peak = peak_time(t, np.abs(out[2, 2]), name)
        t = t - peak
        relaxation_time = None if relaxation_time is None else relaxation_time - peak
    note = dict(meta or {}) | {"swapped": bool(swapped), "conjugated": bool(conjugated), "aligned": align}
    note["turned"] = bool(clockwise)
    return NRWaveform(
        name, code, float(m1 / m2), chi1, chi2, eccentricity, t, out, note, relaxation_time, remnant_mass, spin, resolution
    )  # fmt: skip


def check_times(name: str, t: np.ndarray) -> None:
    """Refuse times that do not increase, or that have a gap.

    A gap is a step 1.5 times the others where these are equal, and 5 times those around it where they vary.

    Raises
    ------
    DataError
        naming the time

    Examples
    --------
    >>> check_times("run", np.arange(50.0))
    >>> check_times("run", np.delete(np.arange(50.0), 20))
    Traceback (most recent call last):
    gwsurrogate_ml.errors.DataError: run: a gap of 2 M after t = 19: fetch the run again, or leave it out
    """
    steps = np.diff(t) if t.ndim == 1 else np.array([])
    if steps.size < 9 or not np.all(steps > 0):
        where = f", first after t = {t[:-1][~(steps > 0)][0]:g}" if steps.size and not np.all(steps > 0) else ""
        raise DataError(f"{name}: its {t.size} times do not increase, or are too few{where}")
    typical = median_filter(steps, 21, mode="nearest")
    uniform = np.mean(np.abs(steps - np.median(steps)) < 1e-6 * np.median(steps)) > 0.9
    wide = np.flatnonzero(steps > (1.5 if uniform else 5.0) * typical)
    if wide.size:
        k = int(wide[0])
        raise DataError(f"{name}: a gap of {steps[k]:g} M after t = {t[k]:g}: fetch the run again, or leave it out")


def check_bodies(
    name: str, masses: tuple[float, float], spins: tuple[np.ndarray, np.ndarray]
) -> tuple[tuple[float, float], tuple[np.ndarray, np.ndarray]]:
    """Masses and spin vectors as float64, refused with `DataError` where no black hole can have them.

    Examples
    --------
    >>> check_bodies("run", (0.5, -0.5), (np.zeros(3), np.zeros(3)))
    Traceback (most recent call last):
    gwsurrogate_ml.errors.DataError: run: its masses are (0.5, -0.5): both must be positive; correct its metadata or leave it out
    """
    remedy = "correct its metadata or leave it out"
    if not (masses[0] > 0 and masses[1] > 0 and np.all(np.isfinite(masses))):
        raise DataError(f"{name}: its masses are {masses}: both must be positive; {remedy}")
    chi = tuple(np.asarray(spin, dtype=np.float64) for spin in spins)
    for body, spin in enumerate(chi, 1):
        if spin.shape != (3,) or not np.linalg.norm(spin) <= SPIN_MAX:
            raise DataError(f"{name}: spin {body} is {spin.tolist()}: three numbers of length at most {SPIN_MAX}; {remedy}")
    return masses, (chi[0], chi[1])
