"""The precessing surrogate in geometric units: dynamics from a reference time, co-orbital modes, modes in the inertial frame.

From 4500 M before the peak on orbital frequency, frame, spins and modes follow from the spins at each time: as simulations have
them for mass ratios up to 2, as SEOBNRv5PHM has them from 2.5 on, between the two by mixing both. Before that the spins and the
frame are post-Newtonian, orbital phase and modes those of the aligned model with the spins' components along the orbit. The same
aligned model is the limit of vanishing spins in the plane: it was trained on more and better simulations of such binaries, and
takes over within `ALIGNED_WIDTH`: the symmetric parts of the modes it has.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.arguments import at_least, at_most, positive
from gwsurrogate_ml.conventions import MTSUN_SI, require_q
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DomainError
from gwsurrogate_ml.surrogate.aligned.compiled import Knots
from gwsurrogate_ml.surrogate.aligned.modes import AlignedModes
from gwsurrogate_ml.surrogate.aligned.uncertainty import ErrorEstimate
from gwsurrogate_ml.surrogate.domain import check_ranges
from gwsurrogate_ml.surrogate.precessing import compiled, coorbital, dynamics, many, polynomials, spins, tables, uncertainty, wigner
from gwsurrogate_ml.surrogate.precessing.evolved import ALIGNED_WIDTH, MARGIN, Evolved
from gwsurrogate_ml.surrogate.precessing.tables import Tables
from gwsurrogate_ml.waveform.modes import Modes

if TYPE_CHECKING:
    import torch

    from gwsurrogate_ml.surrogate.precessing.batch import BatchModes

EARLY_STEP, JOIN = 0.015, 300.0
"""Relative step of the nodes before the known times; M over which what is known there fades in."""
SEEN = wigner.INERTIAL
"""Modes in the inertial frame."""


def _slower(start: float, end: float) -> np.ndarray:
    """Nodes (n,) from `start` to before `end` (M, both negative), none if the two are one: spins turn from each to the next, at a
    rate that goes with time to the power -5/8, by the same angle as in a step of `EARLY_STEP` at the end."""
    first, last = (-start) ** 0.375, (-end) ** 0.375
    steps = math.ceil((first - last) / (0.375 * EARLY_STEP * last))
    return -(np.linspace(first, last, steps + 1)[:-1] ** (1 / 0.375))


class PrecessingModes:
    """The mode model of any spins, for one binary at a time.

    Parameters
    ----------
    card : dict
        parameter ranges, training data, metrics: `info`
    tensors : dict of arrays
        nodes, times, polynomials
    aligned : AlignedModes
        the model of aligned spins
    """

    def __init__(self, card: dict[str, Any], tensors: dict[str, np.ndarray], aligned: AlignedModes) -> None:
        artifacts.require(card, degree=dict, ranges=dict, beyond=dict, error=dict)
        for pair in (card["degree"].get(name) for name in ("rates", "modes")):
            if (
                not isinstance(pair, list | tuple)
                or len(pair) != 2
                or not all(type(k) is int and 0 <= k <= tables.MOST for k in pair)
            ):
                raise ArtifactError(f"a degree in the card is {pair!r}, no pair of whole numbers: restore the card of the weights")
        self.info, self.aligned = card, aligned
        found = {key: np.array(value, dtype=np.float64, order="C") for key, value in tensors.items()}
        of_rates, of_modes = (polynomials.monomials(*card["degree"][name]) for name in ("rates", "modes"))
        tables.check(found, of_rates, of_modes)
        known, times = found["nodes"], found["times"]
        self.t_min, self.t_join, self.t_max = aligned.t_min + 20.0, aligned.t_join + 20.0, float(known[-1])
        # Those from `t_join` on do not depend on how far back the aligned model's early inspiral reaches.
        long = _slower(self.t_min, self.t_join)
        steps = math.ceil(math.log(self.t_join / known[0]) / math.log1p(EARLY_STEP))
        early = np.concatenate([long, -np.geomspace(-self.t_join, -known[0], steps + 1)[:-1]])
        self.n_long, self.n_early = len(long), len(early)
        self.nodes, self.times = np.concatenate([early, known]), np.concatenate([early, times])
        self.known = 0.5 - 0.5 * np.cos(np.pi * np.clip((self.nodes - known[0]) / JOIN, 0, 1))
        self.n_known = int(np.argmax(self.known >= 1.0))
        ends = (float(card["beyond"][name]) for name in ("q_simulated", "q_beyond"))
        self.tables = Tables(found, of_rates, of_modes, early, self.known, *ends)
        self.known_modes = np.interp(self.times, self.nodes, self.known)

    def __call__(
        self,
        q: float,
        chi1: Any,
        chi2: Any,
        t_ref: float | None = None,
        times: np.ndarray | None = None,
        *,
        omega_ref: float | None = None,
        f_ref: float | None = None,
        total_mass: float | None = None,
        **unknown: object,
    ) -> Modes:
        """Modes of one binary: `PrecessingSurrogate.__call__`."""
        if times is None:
            at = np.arange(np.ceil(self.nodes[self.n_early]), self.t_max)
        else:
            at = self.checked_times(times)
        one = self.one(q, chi1, chi2, unknown)
        evolved = self.evolve(*one, self.reference(*one, t_ref, omega_ref, f_ref, total_mass), float(at.min()) if at.size else 0.0)
        out = np.empty((len(SEEN), len(at)), np.complex128)
        compiled.modes(*evolved, at, out)
        return Modes(at, dict(zip(SEEN, out, strict=True)))

    @cached_property
    def _lost(self) -> list[int]:
        """Places of the modes that the aligned model does not have."""
        there = {(l, sign * m) for l, m in self.aligned.modes for sign in (1, -1)}
        return [k for k, mode in enumerate(coorbital.MODES) if mode not in there]

    @cached_property
    def lane_tables(self) -> many.Tables:
        """What evolves many binaries at once."""
        return many.tables(self)

    @cached_property
    def aligned_places(self) -> np.ndarray:
        """Places of (l, m) and (l, -m) among the modes of each of the aligned model's."""
        return np.array([[coorbital.MODES.index((l, m)), coorbital.MODES.index((l, -m))] for l, m in self.aligned.modes])

    def one(self, q: float, chi1: Any, chi2: Any, unknown: dict[str, object]) -> tuple[float, np.ndarray, np.ndarray]:
        """Mass ratio and spins (3,) of one binary, checked."""
        try:
            ratio = float(require_q(q, unknown))
        except TypeError:
            raise ConfigError(f"q is {q!r}: this call takes one binary, a number") from None
        both = spins.vector("chi1", chi1), spins.vector("chi2", chi2)
        check_ranges({"q": ratio, "chi1": spins.length(both[0]), "chi2": spins.length(both[1])}, self.info["ranges"])
        return ratio, *both

    def check_all(self, q: np.ndarray, chi1: np.ndarray, chi2: np.ndarray) -> None:
        """Raise DomainError unless all mass ratios (N,) and spins (N, 3) are within the hard limits."""
        lengths = [np.round(np.linalg.norm(chi, axis=1), 9) for chi in (chi1, chi2)]
        if not len(q):
            return
        for pick in (np.min, np.max):
            check_ranges({"q": pick(q), "chi1": pick(lengths[0]), "chi2": pick(lengths[1])}, self.info["ranges"])

    def checked_times(self, times: Any) -> np.ndarray:
        """`times` as float64 (n,), checked."""
        try:
            at = np.array(times, dtype=np.float64)
        except (TypeError, ValueError):
            raise ConfigError("times are no numbers: give an array (n,) in M") from None
        if at.ndim != 1 or not np.isfinite(at).all():
            raise ConfigError("times must be a one-dimensional array of finite numbers, in M")
        if at.size and (at.min() < self.t_min or at.max() > self.t_max):
            raise DomainError(f"times run from {at.min():g} to {at.max():g} M: the model covers {self.t_min:g} to {self.t_max:g} M")
        return at

    @staticmethod
    def one_reference(t_ref: Any, omega_ref: Any, f_ref: Any, total_mass: Any) -> str:
        """Name of the one reference that is given."""
        given = [name for name, value in (("t_ref", t_ref), ("omega_ref", omega_ref), ("f_ref", f_ref)) if value is not None]
        if len(given) != 1:
            raise ConfigError(
                f"{' and '.join(given) or 'no reference'} given: precessing spins belong to a time, give one of t_ref (M from the "
                "peak, negative), omega_ref (rad / M), or f_ref (Hz) with total_mass"
            )
        if total_mass is not None and f_ref is None:
            raise ConfigError(f"total_mass belongs to f_ref (Hz), and {given[0]} is given, which needs none: leave one of them out")
        return given[0]

    def reference(
        self,
        q: float,
        chi1: np.ndarray,
        chi2: np.ndarray,
        t_ref: float | None = None,
        omega_ref: float | None = None,
        f_ref: float | None = None,
        total_mass: float | None = None,
    ) -> float:
        """The reference time in M.

        Raises
        ------
        ConfigError
            unless exactly one reference is given, `f_ref` with a mass
        DomainError
            a time outside the model's range, or a frequency that the binary does not pass in it before the peak
        """
        name = self.one_reference(t_ref, omega_ref, f_ref, total_mass)
        value = {"t_ref": t_ref, "omega_ref": omega_ref, "f_ref": f_ref}[name]
        if not isinstance(value, int | float | np.number) or not math.isfinite(value):
            raise ConfigError(f"{name} is {value!r}: give a finite number")
        if t_ref is not None:
            if not self.t_min <= t_ref <= 0.0:
                raise DomainError(
                    f"t_ref = {t_ref:g} M is outside [{self.t_min:g}, 0]: give a time before the peak that the model covers"
                )
            return float(t_ref)
        positive(value, name)
        if f_ref is not None:
            if total_mass is None:
                raise ConfigError("f_ref is in Hz: give total_mass too (solar masses, detector frame), or omega_ref in rad / M")
            total_mass = positive(total_mass, "total_mass", "solar masses")
            omega_ref = math.pi * f_ref * total_mass * MTSUN_SI
        assert omega_ref is not None
        return self.time_of(q, chi1, chi2, float(omega_ref), f"{name} = {value:g}")

    def time_of(self, q: float, chi1: np.ndarray, chi2: np.ndarray, omega_ref: float, said: str) -> float:
        """`times_of` of one binary."""
        return float(self.times_of(np.array([q]), chi1[None], chi2[None], np.array([omega_ref]), said)[0])

    def times_of(self, q: np.ndarray, chi1: np.ndarray, chi2: np.ndarray, omega_ref: np.ndarray, said: str) -> np.ndarray:
        """When (M, (N,)) orbital frequencies are `omega_ref` (N,) in rad / M if the spins (N, 3) are these then; all frames agree
        there."""
        omega = self.tables.mean_frequency(q, chi1, chi2)
        last = omega.shape[1]
        gates, first = [self.gate(*both) for both in zip(chi1, chi2, strict=True)], self.n_known
        begin = np.full(len(q), first)
        for i in np.flatnonzero((np.array(gates) > 0.0) | (omega_ref <= omega[:, first + 2])).tolist():
            for begin[i] in (self.n_long, 0):
                along = float(q[i]), float(chi1[i, 2]), float(chi2[i, 2])
                knots = compiled.knots(self.aligned, *along, float(self.nodes[begin[i]]))
                base, _, share = self.base(knots, gates[i], int(begin[i]), 0.0)
                if omega_ref[i] > base[begin[i] + 2]:
                    break
            omega[i] = base[:last] + share[:last] * (omega[i] - base[:last])
        found = dynamics.passed(omega, self.nodes, begin, omega_ref)
        for i in np.flatnonzero(np.isnan(found))[:1]:
            self.refuse_reference(said, float(omega_ref[i]), float(self.nodes[begin[i]]), omega[i, begin[i]], omega[i, -1])
        return found

    @staticmethod
    def refuse_reference(said: str, wanted: float, begin: float, lowest: float, highest: float) -> NoReturn:
        """Raise DomainError for an orbital frequency `wanted` that a binary does not pass between `begin` (M), where it has
        `lowest`, and the peak, where it has `highest` (rad / M)."""
        remedy = f"at most {at_most(highest / wanted)}" if wanted >= highest else f"at least {at_least(lowest / wanted)}"
        raise DomainError(
            f"{said} is an orbital frequency of {wanted:.4g} rad / M, which is not passed by this binary between {begin:.0f} M and "
            f"the peak, where it rises from {lowest:.4g} to {highest:.4g} rad / M: choose one {remedy} times as high"
        )

    @cached_property
    def _devices(self) -> dict[Any, BatchModes]:
        return {}

    def on(self, device: torch.device) -> BatchModes:
        """The model in torch on a `device`, kept."""
        from gwsurrogate_ml.surrogate.precessing.batch import BatchModes

        if device not in self._devices:
            self._devices[device] = BatchModes(self, device)
        return self._devices[device]

    def start(self, q: float, chi1: np.ndarray, chi2: np.ndarray, t_ref: float, omega: float) -> float:
        """When (M) the orbital frequency passes `omega` (rad / M), for spins that belong to `t_ref`."""
        for t_first in (float(self.nodes[self.n_long + MARGIN - 1]), self.t_min):
            e = self.evolve(q, chi1, chi2, t_ref, t_first)
            found = e.rates[: int(np.searchsorted(e.nodes, 0.0)), 4]
            if found[0] < omega:
                break
        if not found[0] < omega < found[-1]:
            self.refuse_reference("f_min", omega, float(e.nodes[0]), float(found[0]), float(found[-1]))
        k = int(np.flatnonzero(found < omega)[-1])
        return float(np.interp(omega, found[k : k + 2], e.nodes[k : k + 2]))

    def error_estimate(self, q: float, chi1: Any, chi2: Any, **unknown: object) -> ErrorEstimate:
        """What the model expects its own error to be for one binary; see `uncertainty`.

        Parameters
        ----------
        q, chi1, chi2
            as for a waveform; at any reference, of which the estimate hardly depends

        Returns
        -------
        ErrorEstimate
            expected white-noise mismatch of all modes, averaged over directions, t in [-4500, 100] M, to what the model learned
            from (NRSur7dq2 to a mass ratio of 2, SEOBNRv5PHM beyond, where both are mixed too), and a bound that holds for nine
            binaries in ten

        Raises
        ------
        DomainError, ConfigError
            as for a waveform
        """
        one = self.one(q, chi1, chi2, unknown)
        share = self.tables.share(one[0])
        where = "near" if share == 0.0 else "beyond" if share == 1.0 else "between"
        return ErrorEstimate(*uncertainty.expected(self.info["error"][where], *one), {})

    def gate(self, chi1: np.ndarray, chi2: np.ndarray) -> float:
        """Share of the aligned model where both are known, by the spins at the reference time."""
        flat = max(math.hypot(chi1[0], chi1[1]), math.hypot(chi2[0], chi2[1])) / ALIGNED_WIDTH
        return (1.0 - flat**2) ** 3 if flat < 1.0 else 0.0

    def base(self, k: Knots | None, gate: float, first: int, t_ref: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Orbital frequency (n,) of the aligned model at the nodes, from number `first` on, its phase (n,) since `t_ref`, and the
        share (n,) of the polynomials; the first two are zero without `k`, that model at its knots.
        """
        share = self.known * (1.0 - gate)
        base, advance = np.zeros_like(share), np.zeros_like(share)
        if k is not None:
            at = np.append(self.nodes[first:], t_ref)
            frequency, phase = compiled.aligned_phase(k, at)
            base[first:], advance[first:] = frequency[:-1], phase[:-1] - phase[-1]
        return base, advance, share

    def mix(self, k: Knots, times: np.ndarray, known: np.ndarray, gate: float, modes: np.ndarray) -> None:
        """Give the aligned model its share of co-orbital `modes` (n, n_modes); what it lacks goes where nothing is known."""
        compiled.mix_aligned(self.aligned, k, times, known, gate, self.aligned_places, modes)
        modes[:, self._lost] *= known[:, None]

    def along_orbit(
        self, q: float, chi1: np.ndarray, chi2: np.ndarray, t_ref: float, gate: float, start: int
    ) -> tuple[float, float, float] | None:
        """Mass ratio and spins along the orbit of the aligned model that has a share from the node number `start` on, if any.

        The spins are those where simulations are all that counts first, whatever time they are given at and whichever times are
        asked for.
        """
        if gate == 0.0 and self.known[start] >= 1.0:
            return None
        if gate == 1.0:
            return q, float(chi1[2]), float(chi2[2])
        low = max(min(int(np.searchsorted(self.nodes, t_ref, side="right")) - MARGIN, self.n_known), 0)
        first, weights = dynamics.start_weights(self.nodes[low:], t_ref)
        nodes = slice(low, low + max(first + 4, self.n_known - low + 1))
        r, _ = self.tables.at(q)
        part = dynamics.Rates(
            r.times[nodes], r.monomials, r.coefficients[nodes], r.known[nodes], r.forward[nodes], r.backward[nodes]
        )
        base, share = np.zeros(len(part.times)), np.ones(len(part.times))
        if low < self.n_known:
            k = compiled.knots(self.aligned, q, float(chi1[2]), float(chi2[2]), float(part.times[0]))
            every, _, shares = self.base(k, 0.0, low, t_ref)
            base, share = every[nodes], shares[nodes]
        states, rates = np.empty((2, len(part.times), dynamics.N_STATE))
        state = np.concatenate([[1.0, 0.0, 0.0, 0.0, 0.0], chi1, chi2])
        dynamics.integrate(part, q, state, first, weights, base, share, 0.0, np.zeros_like(base), states, rates)
        z_1, z_2 = states[self.n_known - low, [7, 10]].tolist()
        return q, z_1, z_2

    def evolve(self, q: float, chi1: np.ndarray, chi2: np.ndarray, t_ref: float, t_first: float) -> Evolved:
        """The binary from `t_first` (M) or the reference time on, whichever is earlier."""
        start = max(int(np.searchsorted(self.nodes, min(t_ref, t_first), side="right")) - MARGIN, 0)
        start = min(start, len(self.nodes) - MARGIN)
        gate = self.gate(chi1, chi2)
        r, sets = self.tables.at(q)
        part = dynamics.Rates(
            r.times[start:], r.monomials, r.coefficients[start:], r.known[start:], r.forward[start:], r.backward[start:]
        )
        state = np.concatenate([[1.0, 0.0, 0.0, 0.0, 0.0], chi1, chi2])
        states, rates = np.empty((2, len(part.times), dynamics.N_STATE))
        first, weights = dynamics.start_weights(part.times, t_ref)
        along = self.along_orbit(q, chi1, chi2, t_ref, gate, start)
        k = None if along is None else compiled.knots(self.aligned, *along, float(part.times[0]))
        base, advance, share = self.base(k, gate, start, t_ref)
        given = base[start:], share[start:], gate, gate * advance[start:]
        dynamics.integrate(part, q, state, first, weights, *given, states, rates)
        late = int(np.searchsorted(self.times, part.times[0] - 1e-9))
        p = sets[0][1]
        node, between = p.node[late:] - start, p.between[late:]
        at = coorbital.states_at(node, between, part.times, states, rates)
        modes = np.zeros((len(at), len(coorbital.MODES)), np.complex128)
        for share_of, p in sets:
            coorbital.modes(p, q, at, late, max(self.n_early, late), share_of, modes)
        times, known = self.times[late:], self.known_modes[late:]
        if k is not None:
            self.mix(k, times, known, gate, modes)
        return Evolved(part.times, states, rates, times, coorbital.unit_frames(at), modes)
