"""The precessing surrogate in physical units: where a binary's waveform begins, its samples, its transforms on a segment."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gwsurrogate_ml.arguments import at_least, at_most, positive
from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.conventions import MPC_SECONDS, MTSUN_SI
from gwsurrogate_ml.errors import DomainError
from gwsurrogate_ml.kernels import fft
from gwsurrogate_ml.kernels.threads import in_threads
from gwsurrogate_ml.surrogate.aligned.physical import PhysicalModes
from gwsurrogate_ml.surrogate.model import Surrogate
from gwsurrogate_ml.surrogate.precessing import compiled, many, rotation
from gwsurrogate_ml.surrogate.precessing import orders as by_order
from gwsurrogate_ml.surrogate.precessing.coorbital import MODES
from gwsurrogate_ml.surrogate.precessing.evolved import Evolved
from gwsurrogate_ml.surrogate.precessing.modes import PrecessingModes
from gwsurrogate_ml.surrogate.precessing.orders import TOP
from gwsurrogate_ml.surrogate.precessing.spins import from_turned_frame
from gwsurrogate_ml.waveform.conditioning import start_taper
from gwsurrogate_ml.waveform.lal import spins_in_orbit
from gwsurrogate_ml.waveform.model import Grid

EARLY = -3900.0
"""M before which binaries are evolved one by one: where time counts, `orders` does not begin before it for the sake of the orders
above m = 2."""
SHORT = 2.5e-5
"""Share of the power that may be lost above which time counts in this sense."""
ENOUGH = 6.0
"""Order of the orbital phase whose ringdown `orders` still samples: with 3.5 heavy unequal binaries lose 1e-2 of their power."""


class Orbit(NamedTuple):
    """A binary as LAL takes it at a reference: masses (solar masses), angle between orbital angular momentum and line of sight
    (rad), spins (3,)."""

    mass_1: float
    mass_2: float
    inclination: float
    spin_1: Any
    spin_2: Any

    @classmethod
    def each(cls, binaries: Binaries, theta_jn: np.ndarray, f_ref: float, phase: np.ndarray) -> list[Orbit]:
        """Those of binaries by bilby's angles."""
        iota, spin_1, spin_2 = spins_in_orbit(binaries, theta_jn, f_ref, phase)
        rows = zip(binaries.mass_1.tolist(), binaries.mass_2.tolist(), iota.tolist(), spin_1, spin_2, strict=True)
        return [cls(*one) for one in rows]


class Place(NamedTuple):
    """A binary at its reference time and the direction it is seen from in the inertial frame; `begin`, the first `cycle` in M;
    M in s, `unit`."""

    q: float
    chi1: np.ndarray
    chi2: np.ndarray
    t_ref: float
    theta: float
    phi: float
    begin: float
    cycle: float
    unit: float


class Seen(NamedTuple):
    """A binary at its place."""

    evolved: Evolved
    place: Place

    @property
    def highest(self) -> float:
        """Highest orbital frequency, rad/s."""
        return float(self.evolved.rates[:, 4].max()) / self.place.unit


class PhysicalWaveforms:
    """Waveforms of a mode model of any spins in SI units.

    Parameters
    ----------
    model : PrecessingModes
    aligned : Surrogate
        the model of aligned spins that it contains
    """

    def __init__(self, model: PrecessingModes, aligned: Surrogate) -> None:
        self.model, self.aligned = model, aligned
        self._orders = np.array([m for _, m in MODES])
        self._terms = rotation.harmonic_terms(MODES)

    def total_mass_range(self, q: Any, chi1: Any, chi2: Any, f_min: float) -> tuple[np.ndarray, np.ndarray]:
        """That of the aligned model with the spins' components along the orbit, and the cycle that is tapered."""
        smallest, largest = self.aligned.total_mass_range(q, chi1, chi2, f_min)
        return 1.02 * smallest, largest

    def place(self, orbit: Orbit, f_min: float, f_ref: float, phase: float, room: float = 0.0) -> Place:
        """One binary and where it is seen from: from a cycle before its (2,2) mode passes `f_min` on, or so early that all orders
        are there from `f_min` on, as far as `room` (s before the peak) and the model reach."""
        m_1, m_2, iota, chi1, chi2 = orbit
        for name, value in (("f_min", f_min), ("f_ref", f_ref), ("mass_1", m_1), ("mass_2", m_2)):
            positive(value, name)
        total, model = float(m_1 + m_2), self.model
        unit = total * MTSUN_SI
        one = model.one(m_1 / m_2, chi1, chi2, {})
        frequency = f_ref
        try:
            t_ref = model.reference(*one, f_ref=f_ref, total_mass=total)
            frequency = f_min
            t_start = t_ref if f_min == f_ref else model.start(*one, t_ref, math.pi * f_min * unit)
        except DomainError as error:
            smallest, largest = self.total_mass_range(one[0], one[1][2], one[2][2], frequency)
            raise DomainError(
                f"{error}; {frequency:g} Hz are within reach for total masses of {at_least(smallest[0])} to "
                f"{at_most(largest[0])} with these spins, and this one has {total:g} solar masses"
            ) from error
        return self._placed(one, total, t_ref, t_start, iota, phase, f_min, room)

    def _placed(
        self,
        one: tuple[float, np.ndarray, np.ndarray],
        total: float,
        t_ref: float,
        t_start: float,
        iota: float,
        phase: float,
        f_min: float,
        room: float,
    ) -> Place:
        """The place of mass ratio and spins `one`, whose times are known; see `_begin`."""
        begin, cycle = self._begin(t_start, f_min, total * MTSUN_SI, room, total)
        return Place(*one, t_ref, iota, 0.5 * np.pi - phase, begin, cycle, total * MTSUN_SI)

    def _room(self, grid: Grid, total: float) -> float:
        """Seconds before the peak on a segment that also holds what comes after it."""
        return grid.duration - 1.01 * self.model.t_max * total * MTSUN_SI

    def seen(self, place: Place) -> Seen:
        """The binary at its place, evolved."""
        return Seen(self.model.evolve(place.q, place.chi1, place.chi2, place.t_ref, place.begin), place)

    def _begin(
        self, t_start: float, f_min: float, unit: float, room: float, total: float, early: float = -math.inf
    ) -> tuple[float, float]:
        """Where (M) a waveform begins whose (2,2) mode passes `f_min` at `t_start`, and how long it is faded in.

        With `room` it begins so early that all orders are there from `f_min` on, but for that not before `early`.
        """
        cycle = 1.0 / f_min / unit
        begin = t_start - cycle
        if room:
            # Time to the peak goes with frequency to the power -8/3; of the early inspiral no more than is asked for.
            earliest = max(t_start * (TOP / 2) ** (8 / 3), -room / unit, self.model.t_join)
            begin = min(begin, max(earliest, early))
            cycle = max(cycle, 0.1 * (t_start - begin))
        if begin < self.model.t_min:
            raise DomainError(
                f"the waveform of total mass {total:g} is known from {-self.model.t_min * unit:.2f} s before its peak, a cycle "
                f"more is needed to begin at {f_min:g} Hz: raise f_min or the mass"
            )
        return begin, cycle

    def observed(self, e: Evolved, theta: float, phi: float, start: float, step: float, factor: float, out: np.ndarray) -> None:
        """Write `factor` times ``r h_plus / M`` and ``r h_cross / M`` at n times from `start` (M) on, seen from a direction, into
        `out` (2, n)."""
        place = max(int(np.searchsorted(e.times, start, side="right")) - 4, 0)
        parts = compiled.harmonics(e.times, e.frames, e.coorbital, self._orders, self._terms, theta, phi, place)
        compiled.observed(e.nodes, e.states, e.rates, e.times, parts, place, start, step, factor, out)

    def sampled(self, seen: Seen, sampling_frequency: float, factor: float = 1.0) -> tuple[np.ndarray, int]:
        """`factor` times h_plus and h_cross (2, n) at 1 Mpc, tapered over the first cycle, and the first sample's number from the
        peak."""
        (e, place), step = seen, 1.0 / sampling_frequency / seen.place.unit
        first, last = math.ceil(place.begin / step), math.floor(self.model.t_max / step)
        PhysicalModes.require_room(last - first, sampling_frequency)
        out, factor = np.empty((2, last - first + 1)), factor * place.unit / MPC_SECONDS
        self.observed(e, place.theta, place.phi, first * step, step, factor, out)
        ramp = max(math.ceil(place.cycle / step), 1)
        out[:, :ramp] *= start_taper(np.arange(ramp, dtype=np.float64), 0.0, float(ramp))
        return out, first

    def segment_place(self, orbit: Orbit, grid: Grid, f_ref: float, phase: float) -> Place:
        """The `place` of a binary whose waveform has all orders on a segment."""
        return self.place(orbit, grid.f_min, f_ref, phase, self._room(grid, float(orbit.mass_1 + orbit.mass_2)))

    def _segment_places(self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, phase: np.ndarray) -> list[Place]:
        """`segment_place` of many by bilby's angles at `grid.f_min`."""
        f_min, orbits = grid.f_min, Orbit.each(binaries, theta_jn, grid.f_min, phase)
        total, q = binaries.mass_1 + binaries.mass_2, binaries.mass_1 / binaries.mass_2
        chi1, chi2 = (np.array([getattr(orbit, name) for orbit in orbits]).reshape(-1, 3) for name in ("spin_1", "spin_2"))
        try:
            self.model.check_all(q, chi1, chi2)
            t_ref = self.model.times_of(q, chi1, chi2, math.pi * f_min * total * MTSUN_SI, f"f_ref = {f_min:g}")
        except DomainError:
            for orbit, own in zip(orbits, phase.tolist(), strict=True):
                self.segment_place(orbit, grid, f_min, own)  # says more of the one that it refuses
            raise
        places = []
        for i, orbit in enumerate(orbits):
            one, whole, t = (float(q[i]), chi1[i], chi2[i]), float(total[i]), float(t_ref[i])
            places.append(self._placed(one, whole, t, t, orbit.inclination, float(phase[i]), f_min, self._room(grid, whole)))
        return places

    def segment(self, seen: Seen, grid: Grid) -> np.ndarray:
        """h_plus and h_cross (2, n_f) of one binary at 1 Mpc, peak at t = 0 of the periodic segment."""
        rate = float(PhysicalModes.rate(grid.sampling_frequency, np.array([2 * seen.highest]), TOP)[0])
        h, first = self.sampled(seen, rate)
        n = round(grid.duration * rate)
        size = h.shape[1]
        if size > n:
            raise DomainError(
                f"the signal of total mass {seen.place.unit / MTSUN_SI:g} is {size / rate:.2f} s long from {grid.f_min:g} Hz: "
                f"the segment of {grid.duration:g} s is too short, take a longer one or a higher f_min"
            )
        out = np.empty((2, grid.n_f), np.complex128)
        for row, part in zip(out, h, strict=True):
            periodic = np.zeros(n)
            periodic[: size + first], periodic[first:] = part[-first:], part[:-first]
            row[:] = fft.rfft(periodic)[: grid.n_f] / rate
        return out

    def segments(self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """`segment` (N, 2, n_f) of many by bilby's angles at `grid.f_min`, in NUMBA_NUM_THREADS threads."""
        out = np.empty((len(binaries), 2, grid.n_f), np.complex128)

        def work(part: slice) -> None:
            places = self._segment_places(binaries[part], grid, theta_jn[part], phase[part])
            given = [np.array([p[k] for p in places]) for k in range(4)]
            evolved = many.evolve(self.model, given[0], given[1], given[2], given[3], np.array([p.begin for p in places]))
            for i, (e, p) in enumerate(zip(evolved, places, strict=True), part.start):
                out[i] = self.segment(Seen(e, p), grid)

        in_threads(work, len(binaries))
        return out

    def orders(
        self, binaries: Binaries, grid: Grid, theta_jn: np.ndarray, wanted: np.ndarray, lost: float, out: np.ndarray
    ) -> None:
        """Add spectra of binaries at 1 Mpc by order in the orbital phase, at the frequencies numbered `wanted` (n,), to `out`
        (N, 2 HIGHEST + 1, 2, n); the share `lost` of their power may be missing."""
        iota, chi1, chi2 = spins_in_orbit(binaries, theta_jn, grid.f_min, 0.0)
        total, q = binaries.mass_1 + binaries.mass_2, binaries.mass_1 / binaries.mass_2
        self.model.check_all(q, chi1, chi2)
        unit = total * MTSUN_SI
        t_ref = self.model.times_of(q, chi1, chi2, math.pi * grid.f_min * unit, f"f_ref = {grid.f_min:g}")
        needed, early = by_order.needed(q, chi1, chi2, lost), EARLY if lost > SHORT else -math.inf
        for n in np.unique(needed):
            rows = np.flatnonzero(needed == n)
            phases = by_order.phases(n)
            spans = [self._begin(t_ref[i], grid.f_min, unit[i], self._room(grid, total[i]), total[i], early) for i in rows]
            # A binary's phases side by side: they need the same nodes.
            begin = np.repeat([begin for begin, _ in spans], n)
            first, second = (np.array([from_turned_frame(chi, p) for chi in chis[rows] for p in phases]) for chis in (chi1, chi2))
            evolved = many.evolve(self.model, np.repeat(q[rows], n), first, second, np.repeat(t_ref[rows], n), begin)
            for k, (i, (start, cycle)) in enumerate(zip(rows, spans, strict=True)):
                of_one = evolved[k * n : (k + 1) * n]
                size = self._samples(grid, float(of_one[0].rates[:, 4].max()) / float(unit[i]))
                span = start, cycle, self.model.t_max, float(unit[i]), grid.duration, size / grid.duration
                by_order.transformed(of_one, self._orders, self._terms, float(iota[i]), *span, wanted, out[i])

    @staticmethod
    def _samples(grid: Grid, highest: float) -> int:
        """Samples of a segment, as few as all orders' ringdown allows, where the orbital frequency rises to `highest` (rad/s)."""
        least = ENOUGH * highest / np.pi * grid.duration
        n = 2 * (grid.n_f - 1)
        while n < least:
            n *= 2
        while n % 2 == 0 and n // 2 >= least:
            n //= 2
        return n
