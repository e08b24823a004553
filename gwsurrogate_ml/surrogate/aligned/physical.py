"""What the surrogate's calls in physical units share: masses in seconds, starts at a frequency, segments, checks of all these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from gwsurrogate_ml.arguments import at_least, at_most, positive
from gwsurrogate_ml.conventions import MTSUN_SI, ModeKey, require_heavier_first
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.surrogate.aligned import compiled
from gwsurrogate_ml.surrogate.aligned.compiled import Knots
from gwsurrogate_ml.surrogate.aligned.modes import AlignedModes
from gwsurrogate_ml.surrogate.domain import check_parameters
from gwsurrogate_ml.waveform.conditioning import segment_times
from gwsurrogate_ml.waveform.model import Grid
from gwsurrogate_ml.waveform.polarizations import harmonics, projections
from gwsurrogate_ml.waveform.spline import hermite

MOST_SAMPLES = 2**28
"""Longest series that is made, 2 GB: ten thousand times what a detector's data need."""


class Layout(NamedTuple):
    """How N waveforms lie on a segment: sampling rates in Hz; samples before the peak, from it on, and of the taper."""

    rate: np.ndarray
    before: np.ndarray
    after: np.ndarray
    ramp: np.ndarray


class PhysicalModes:
    """A mode model in solar masses, seconds and hertz: where waveforms start, how they lie on a segment, checks of all these.

    Parameters
    ----------
    modes : AlignedModes
    """

    def __init__(self, modes: AlignedModes) -> None:
        self.geometric = modes
        self.modes, self.tables = modes.modes, modes.tables

    def at_knots(self, parameters: np.ndarray, units: np.ndarray, f_min: float, f_ref: float | None = None) -> Knots:
        """The waveforms of `parameters` (N, 3), total masses `units` (N,) in s, from a taper before `f_min` on and from `f_ref` on
        (Hz): with the early inspiral only where that needs it."""
        lowest = positive(f_min, "f_min", "Hz")
        if f_ref is not None:
            lowest = min(lowest, positive(f_ref, "f_ref", "Hz"))
        wanted = 2 * np.pi * lowest * units
        model = self.geometric
        k = model.at_knots(parameters)
        if model.inspiral is None:
            return k
        last = np.searchsorted(k.knots, model.t_join + 1.01 * self.taper(lowest) / units, side="right")
        admitted = k.phase_slope[np.arange(len(units)), np.minimum(last, k.centre)] <= wanted
        return k if admitted.all() else model.with_early(k, parameters)

    def reaching(self, k: Knots, units: np.ndarray, parameters: np.ndarray, grid: Grid, l: int) -> Knots:
        """`k`, with the early inspiral where the modes up to `l` are on the segment within it, from `f_min` on."""
        model = self.geometric
        if l <= 2 or model.inspiral is None or k.knots[0] < model.knots[0]:
            return k
        reach = self.start_at(k, units, grid.f_min, parameters) * units
        early = self._earliest(reach, units, grid, l) > -model.t_join * units
        return model.with_early(k, parameters) if early.any() else k

    def _earliest(self, reach: np.ndarray, units: np.ndarray, grid: Grid, l: int) -> np.ndarray:
        """Seconds before the peak (N,) from which on modes up to `l`, m = l among them, are wanted, where (2,2) passes `f_min` at
        `reach` s: time to the peak goes with frequency to the power -8/3."""
        wanted = self.taper(grid.f_min) - reach * max(l / 2, 1.0) ** (8 / 3)
        return np.minimum(wanted, np.minimum(grid.duration, -self.geometric.t_min * units))

    def layout(self, k: Knots, units: np.ndarray, parameters: np.ndarray, grid: Grid, l: int = 2) -> Layout:
        """How the waveforms, their modes up to `l`, lie on a segment, checked to hold each of them from `f_min` on."""
        duration, sampling_frequency, f_min = grid
        reach = self.start_at(k, units, f_min, parameters) * units
        rate = self.rate(sampling_frequency, k.phase_slope.max(1) / units, l)
        before, after = segment_times(duration, rate, self.geometric.t_max * units)
        # As much of the segment as the model itself fills; of the early inspiral only what is asked for, and a taper.
        most = np.maximum(-self.geometric.t_join * units, self._earliest(reach, units, grid, l))
        before = np.minimum(before, (most * rate).astype(np.int64))
        # The model itself always reaches back a cycle more than the f_min it admits.
        if (short := reach + before / rate < 1.0 / f_min).any():
            i = int(np.argmax(short))
            raise DomainError(
                f"the signal of total mass {units[i] / MTSUN_SI:g} is {-reach[i]:.2f} s long from {f_min:g} Hz, and a cycle more "
                f"is needed to taper its start: the segment of {duration:g} s is too short, take a longer one or a higher f_min"
            )
        return Layout(rate, before, after, self.ramp(before, reach, rate))

    def chosen(self, modes: Iterable[ModeKey] | None) -> tuple[ModeKey, ...]:
        """The model's modes that are among `modes` (None: all), checked to be a choice from them."""
        if modes is None:
            return self.modes
        try:
            wanted = {(int(l), int(m)) for l, m in modes}
        except (TypeError, ValueError):
            raise ConfigError(f"modes is {modes!r}: give pairs (l, m)") from None
        if not wanted or (unknown := sorted(wanted - set(self.modes))):
            raise ConfigError(f"modes {unknown if wanted else []} are not among the model's: choose from {self.modes}")
        return tuple(mode for mode in self.modes if mode in wanted)

    def weights(self, theta_jn: Any, phase: Any, chosen: tuple[ModeKey, ...]) -> np.ndarray:
        """Weights (..., 2, n, 2) of the first n modes, the last of them `chosen`, in h_plus and h_cross; 0 for those left out.

        The angles are numbers, or arrays (N,).
        """
        first = self.modes[: 1 + max(self.modes.index(mode) for mode in chosen)]
        weights = projections(first, harmonics(first, theta_jn, phase))
        weights[..., [i for i, mode in enumerate(first) if mode not in chosen], :] = 0.0
        return weights

    def observed(
        self, k: Knots, theta_jn: float, phase: float, first: float, step: float, n: int, chosen: tuple[ModeKey, ...]
    ) -> np.ndarray:
        """h_plus and h_cross (2, n) of the first waveform of `k`, in units of M / distance, at uniform times in M."""
        out = np.empty((2, n))
        compiled.sums(self.tables, k, compiled.NOTHING, 0, self.weights(theta_jn, phase, chosen), first, step, out)
        return out

    @staticmethod
    def taper(f_min: float) -> float:
        """Seconds before `f_min` at which waveforms begin where the model reaches so far: what `ramp` asks for, and a cycle."""
        return max(0.4 / 0.9, 1.1 / f_min)

    @staticmethod
    def ramp(before: Any, reach: Any, rate: Any) -> np.ndarray:
        """Samples of the taper: 90 % of the way from the first sample, `before` the peak, to f_min at `reach` s, but no more
        than 0.4 s."""
        return np.maximum(2, (np.minimum(0.9 * (reach + before / rate), 0.4) * rate).astype(np.int64))

    def phase_at_peak(self, k: Knots, unit: np.ndarray, phase: float, f_ref: float | None, parameters: np.ndarray) -> float:
        """Orbital phase at t = 0 of the first waveform when `phase` is that at the (2,2) frequency `f_ref` (Hz; None: t = 0)."""
        if f_ref is None:
            return phase
        t = self.start_at(k, unit, f_ref, parameters, "f_ref")[:1] + k.shift[:1]
        wanted, half = 2 * np.pi * f_ref * unit[0], 0.05
        for _ in range(3):  # Newton on the spline itself: the start is linear between knots
            near = hermite(k.knots, k.phase[0], k.phase_slope[0], t + half * np.array([-1.0, 0.0, 1.0]))
            slope, curve = (near[2] - near[0]) / (2 * half), (near[2] - 2 * near[1] + near[0]) / half**2
            t = t - (slope - wanted) / curve if abs(curve) > 1e-12 else t
        return phase - 0.5 * float(hermite(k.knots, k.phase[0], k.phase_slope[0], t)[0])

    def start_at(self, k: Knots, unit: np.ndarray, f_min: float, parameters: np.ndarray, name: str = "f_min") -> np.ndarray:
        """Time in M (N,) at which the (2,2) mode passes `f_min`; `unit` (N,) is the total mass in seconds."""
        positive(f_min, name, "Hz")
        wanted = 2 * np.pi * f_min * unit
        lowest, highest = self.geometric.lowest_omega(k), k.phase_slope[:, k.centre]
        if (lowest > wanted).any():
            i = int(np.argmax(lowest / wanted))
            q, chi1, chi2 = parameters[i]
            raise DomainError(
                f"the model does not reach down to {name} = {f_min:g} Hz for total mass {unit[i] / MTSUN_SI:g} (q {q:g}, chi1 "
                f"{chi1:g}, chi2 {chi2:g}): the smallest total mass for this {name} is "
                f"{at_least(lowest[i] / (2 * np.pi * f_min) / MTSUN_SI)} solar masses; raise {name} or the mass"
            )
        if (highest < wanted).any():
            peak = f_min * float(np.min(highest / wanted))
            raise DomainError(
                f"{name} = {f_min:g} Hz lies above the frequency at the peak, {at_most(peak)} Hz for total mass "
                f"{unit.max() / MTSUN_SI:g}: lower {name}, and give masses in solar masses"
            )
        rows = np.arange(len(unit))
        j = np.maximum(np.argmax(k.phase_slope[:, : k.centre + 1] >= wanted[:, None], axis=1), 1)
        x = (wanted - k.phase_slope[rows, j - 1]) / (k.phase_slope[rows, j] - k.phase_slope[rows, j - 1])
        return k.knots[j - 1] + x * (k.knots[j] - k.knots[j - 1]) - k.shift

    def many(self, mass_1: Any, mass_2: Any, chi_1: Any, chi_2: Any) -> tuple[np.ndarray, np.ndarray]:
        """Parameters (N, 3) and total masses (N,) from physical masses and spins, checked."""
        given = []
        for name, value in zip(("mass_1", "mass_2", "chi_1", "chi_2"), (mass_1, mass_2, chi_1, chi_2), strict=True):
            try:
                given.append(np.asarray(value, dtype=np.float64))
            except (TypeError, ValueError):
                raise ConfigError(f"{name} is {value!r}: give a number") from None
        try:
            m1, m2, c1, c2 = values = np.array(given if max(x.ndim for x in given) == 0 else np.broadcast_arrays(*given))
        except ValueError:
            shapes = ", ".join(str(x.shape) for x in given)
            raise ConfigError(f"masses and spins have the shapes {shapes}: give arrays (N,) of one length") from None
        if m1.ndim > 1:
            raise ConfigError(f"masses and spins have the shape {m1.shape}: give arrays (N,)")
        if not (np.isfinite(values[:2]).all() and (values[:2] > 0).all()):
            i = 0 if not (np.isfinite(m1).all() and (m1 > 0).all()) else 1
            raise DomainError(f"mass_{i + 1} is not a positive number everywhere: give solar masses")
        require_heavier_first(m1, m2)
        parameters = np.empty((m1.size, 3))
        parameters[:, 0], parameters[:, 1], parameters[:, 2] = m1 / m2, c1, c2
        check_parameters(parameters, self.geometric.info["ranges"])
        return parameters, np.atleast_1d(m1 + m2)

    @staticmethod
    def columns(given: dict[str, Any]) -> dict[str, np.ndarray]:
        """Numbers and arrays (N,) by name as float64 arrays of one length."""
        found = {}
        for name, value in given.items():
            try:
                found[name] = np.asarray(value, dtype=np.float64)
            except (TypeError, ValueError):
                raise ConfigError(f"{name} is no number or array of numbers, one for each binary") from None
            if found[name].ndim > 1:
                raise ConfigError(f"{name} has the shape {found[name].shape}: give a number, or an array (N,)")
        try:
            shape = np.broadcast_shapes((1,), *(x.shape for x in found.values()))
        except ValueError:
            lengths = ", ".join(f"{name} {x.size}" for name, x in found.items() if x.ndim)
            raise ConfigError(f"masses, spins and places differ ({lengths} numbers): give arrays (N,) of one length") from None
        return {name: np.broadcast_to(x, shape) for name, x in found.items()}

    def one(self, *binary: Any) -> tuple[np.ndarray, np.ndarray]:
        """As `_physical`, for the calls that know one binary only."""
        parameters, total = self.many(*binary)
        if len(total) != 1:
            raise ConfigError(
                f"masses and spins are arrays of {len(total)}: this call takes one binary; `batch` and `frequency_domain` take many"
            )
        return parameters, total

    @staticmethod
    def highest(k: Knots, unit: np.ndarray, l: int) -> float:
        """Highest frequency in Hz, in the ringdown, of the modes up to `l`; `unit` (N,) is the total mass in seconds."""
        return float((k.phase_slope.max(1) / unit).max()) * l / (4 * np.pi)

    @staticmethod
    def require_rate(sampling_frequency: float, highest: float, l: int) -> None:
        """Raise unless `highest` (Hz), in the ringdown of the modes with `l`, lies below half the sampling frequency."""
        if highest > 0.5 * sampling_frequency:
            raise ConfigError(
                f"sampling_frequency is {sampling_frequency:g} Hz: the ringdown of the modes with l = {l} reaches {highest:.0f} Hz "
                f"and would be aliased; sample at {at_least(2 * highest)} Hz or faster"
            )

    @staticmethod
    def rate(sampling_frequency: float, omega: np.ndarray, l: int) -> np.ndarray:
        """`sampling_frequency`, doubled until the ringdown of the modes with `l` lies below half of it, (N,): in frequency only
        the band asked for is kept. `omega` (N,) is the (2,2) mode's highest angular frequency, rad/s."""
        doublings = np.ceil(np.log2(omega * l / (2 * np.pi) / sampling_frequency))
        return sampling_frequency * 2.0 ** np.maximum(doublings, 0.0)

    @classmethod
    def n_samples(cls, duration: float, sampling_frequency: float) -> int:
        """Number of samples of a segment, checked to be whole."""
        positive(duration, "duration", "s")
        positive(sampling_frequency, "sampling_frequency", "Hz")
        n = round(duration * sampling_frequency)
        if n < 2 or abs(n - duration * sampling_frequency) > 1e-6 * n:
            raise ConfigError(
                f"duration times sampling_frequency is {duration * sampling_frequency:g}: choose them so that it is a whole number "
                "of at least 2 samples"
            )
        cls.require_room(n, sampling_frequency)
        return n

    @staticmethod
    def require_room(samples: int, sampling_frequency: float) -> None:
        """Raise where a series would fill gigabytes: a rate in other units, not a wish."""
        if samples > MOST_SAMPLES:
            raise ConfigError(
                f"sampling_frequency is {sampling_frequency:g} Hz: {samples:.1e} samples are more than {MOST_SAMPLES}, lower it"
            )
