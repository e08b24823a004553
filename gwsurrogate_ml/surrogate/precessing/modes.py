"""The precessing surrogate in geometric units: dynamics from a reference time, co-orbital modes, modes in the inertial frame.

Where simulations are known (mass ratios up to 2, from 4500 M before the peak) orbital frequency, frame, spins and modes follow from
the spins at each time. Before that the spins and the frame are post-Newtonian, orbital phase and modes those of the aligned model
with the spins' components along the orbit. The same aligned model is the limit of vanishing spins in the plane: it was trained on
more and better simulations of such binaries, and takes over within `ALIGNED_WIDTH`: the symmetric parts of the modes it has.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from gwsurrogate_ml import artifacts
from gwsurrogate_ml.arguments import positive
from gwsurrogate_ml.conventions import MTSUN_SI, require_q
from gwsurrogate_ml.errors import ArtifactError, ConfigError, DomainError
from gwsurrogate_ml.surrogate.aligned.compiled import Knots
from gwsurrogate_ml.surrogate.aligned.modes import AlignedModes
from gwsurrogate_ml.surrogate.domain import check_ranges
from gwsurrogate_ml.surrogate.precessing import compiled, coorbital, dynamics, many, polynomials, wigner
from gwsurrogate_ml.waveform.modes import Modes

if TYPE_CHECKING:
    import torch

    from gwsurrogate_ml.surrogate.precessing.batch import BatchModes

ALIGNED_WIDTH = 0.2
"""Component of a spin in the plane below which the aligned model has a share."""
MARGIN, AZIMUTHS = 6, 16
"""Nodes before the first time that is asked for, so that splines do not depend on it; azimuths of the mean frequency."""
EARLY_STEP, JOIN = 0.015, 300.0
"""Relative step of the nodes before the known times; M over which what is known there fades in."""
SEEN = wigner.INERTIAL
"""Modes in the inertial frame."""


class Evolved(NamedTuple):
    """One binary at the model's times: what all outputs are made of.

    Parameters
    ----------
    nodes : (n,) float64, M
    states, rates : (n, 11) float64
        see `dynamics`
    times : (n_t,) float64, M
    frames : (n_t, 4) float64
    coorbital : (n_t, n_modes) complex128
    """

    nodes: np.ndarray
    states: np.ndarray
    rates: np.ndarray
    times: np.ndarray
    frames: np.ndarray
    coorbital: np.ndarray


def _length(spin: np.ndarray) -> float:
    """Magnitude of a spin, without the rounding of its components: 0.9 stays within a limit of 0.9."""
    return round(float(np.linalg.norm(spin)), 9)


def _spin(name: str, value: Any) -> np.ndarray:
    """A spin vector (3,), checked."""
    try:
        spin = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"{name} is {value!r}: give three components, dimensionless") from None
    if spin.shape != (3,):
        raise ConfigError(f"{name} has shape {spin.shape}: give three components (x, y, z), dimensionless")
    if not np.isfinite(spin).all():
        raise DomainError(f"{name} has components that are not finite: check the values passed")
    return spin


def _check(tensors: dict[str, np.ndarray], m: polynomials.Monomials) -> None:
    """Raise ArtifactError where weights and card do not belong together: compiled code would read beyond them."""
    nodes, times, most = tensors["nodes"], tensors["times"], int(np.diff(m.first).max())
    shapes = {"rates": (len(nodes), len(dynamics.KINDS), most), "modes": (len(times), len(coorbital.kinds()), most)}
    for name, shape in shapes.items():
        if tensors[name].shape != shape:
            raise ArtifactError(
                f"{name!r} of the weights has shape {tensors[name].shape}, the card and the times ask for {shape}: restore the "
                "card that came with the weights"
            )
    places = np.sort(np.concatenate([nodes, 0.5 * (nodes[1:] + nodes[:-1])]))
    off = np.abs(places[np.clip(np.searchsorted(places, times - 1e-6), 0, len(places) - 1)] - times)
    if nodes.ndim != 1 or len(nodes) < 16 or not (np.diff(nodes) > 0).all() or not (np.diff(times) > 0).all() or off.max() > 1e-5:
        raise ArtifactError("the weights' nodes or times do not ascend, or do not fit each other: install the model anew")


def turned_about_z(chi1: np.ndarray, chi2: np.ndarray) -> np.ndarray:
    """Spins (N, n_azimuths, 6) of spins (N, 3) turned together about z.

    The mean over them gives a frequency the same meaning for every orbital phase, as in LAL's orbit-averaged models.
    """
    angles = 2 * np.pi * np.arange(AZIMUTHS) / AZIMUTHS
    out = np.zeros((len(chi1), AZIMUTHS, 6))
    for k, spin in ((0, chi1), (3, chi2)):
        out[:, :, k] = spin[:, :1] * np.cos(angles) - spin[:, 1:2] * np.sin(angles)
        out[:, :, k + 1] = spin[:, :1] * np.sin(angles) + spin[:, 1:2] * np.cos(angles)
        out[:, :, k + 2] = spin[:, 2:]
    return out


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
        artifacts.require(card, degree=int, ranges=dict)
        self.info, self.aligned = card, aligned
        found = {key: np.array(value, dtype=np.float64, order="C") for key, value in tensors.items()}
        if missing := sorted({"nodes", "times", "rates", "modes"} - set(found)):
            raise ArtifactError(f"the weights lack {missing[0]!r}: they are not those of a precessing surrogate, install it anew")
        _check(found, polynomials.monomials(card["degree"]))
        known, times = found["nodes"], found["times"]
        self.t_min, self.t_max = aligned.t_min + 20.0, float(known[-1])
        early = -np.geomspace(-self.t_min, -known[0], math.ceil(math.log(self.t_min / known[0]) / math.log1p(EARLY_STEP)) + 1)[:-1]
        self.n_early = len(early)
        self.nodes, self.times = np.concatenate([early, known]), np.concatenate([early, times])
        self.known = 0.5 - 0.5 * np.cos(np.pi * np.clip((self.nodes - known[0]) / JOIN, 0, 1))
        monomials = polynomials.monomials(int(card["degree"]))
        rates = np.concatenate([np.zeros((len(early), *found["rates"].shape[1:])), found["rates"]])
        self.rates = dynamics.Rates(self.nodes, monomials, rates, self.known, *dynamics.step_weights(self.nodes))
        modes = np.concatenate([np.zeros((len(early), *found["modes"].shape[1:])), found["modes"]]).astype(np.float32)
        self.pieces = coorbital.table(monomials, modes, self.nodes, self.times)
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
        """Modes of one binary in the inertial frame, r h / M in geometric units.

        The frame: z along the Newtonian orbital angular momentum at the reference time, x from the lighter to the heavier body.

        Parameters
        ----------
        q : float, m1 / m2 >= 1
        chi1, chi2 : (3,) floats
            dimensionless spins at the reference time, in that frame
        t_ref : float, M from the peak
            the reference time; or one of
        omega_ref : float, orbital frequency in rad / M
        f_ref : float, Hz
            frequency of the (2,2) mode, with `total_mass` in solar masses (detector frame)
        times : (n,) array, optional
            in M, 0 at the peak; by default every 1 M of what simulations cover

        Returns
        -------
        Modes
            `t` in M; `modes[l, m]` complex128 (n,), m of both signs

        Raises
        ------
        DomainError
            parameters or a reference beyond the hard limit, or times outside the model's range
        ConfigError
            no reference or several, an unknown keyword, wrong shapes
        """
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

    @property
    def coefficients(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Sets of coefficients of the rates and of the modes, which `shares` mixes."""
        return [(self.rates.coefficients, self.pieces.coefficients)]

    def shares(self, q: Any) -> list[Any]:
        """Share of each set of `coefficients` for mass ratios `q` (N,), numpy or torch; None: all."""
        return [None]

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
        spins = _spin("chi1", chi1), _spin("chi2", chi2)
        check_ranges({"q": ratio, "chi1": _length(spins[0]), "chi2": _length(spins[1])}, self.info["ranges"])
        return ratio, *spins

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
    def one_reference(t_ref: Any, omega_ref: Any, f_ref: Any) -> str:
        """Name of the one reference that is given."""
        given = [name for name, value in (("t_ref", t_ref), ("omega_ref", omega_ref), ("f_ref", f_ref)) if value is not None]
        if len(given) != 1:
            raise ConfigError(
                f"{' and '.join(given) or 'no reference'} given: precessing spins belong to a time, give one of t_ref (M from the "
                "peak, negative), omega_ref (rad / M), or f_ref (Hz) with total_mass"
            )
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
        name = self.one_reference(t_ref, omega_ref, f_ref)
        value = {"t_ref": t_ref, "omega_ref": omega_ref, "f_ref": f_ref}[name]
        if not isinstance(value, int | float | np.number) or not math.isfinite(value):
            raise ConfigError(f"{name} is {value!r}: give a finite number")
        if t_ref is not None:
            if not self.t_min <= t_ref <= 0.0:
                raise DomainError(
                    f"t_ref = {t_ref:g} M is outside [{self.t_min:g}, 0]: give a time before the peak that the model covers"
                )
            return float(t_ref)
        if f_ref is not None:
            if total_mass is None:
                raise ConfigError("f_ref is in Hz: give total_mass too (solar masses, detector frame), or omega_ref in rad / M")
            total_mass = positive(total_mass, "total_mass", "solar masses")
            omega_ref = math.pi * f_ref * total_mass * MTSUN_SI
        assert omega_ref is not None
        return self.time_of(q, chi1, chi2, float(omega_ref), f"{name} = {value:g}")

    def time_of(self, q: float, chi1: np.ndarray, chi2: np.ndarray, omega_ref: float, said: str) -> float:
        """When the orbital frequency is `omega_ref` (rad / M) if the spins are these then; all frames agree there."""
        last = int(np.searchsorted(self.nodes, 0.0))
        spins = turned_about_z(chi1[None], chi2[None])[0]
        values = polynomials.table(self.rates.monomials, np.full(AZIMUTHS, q), spins).mean(axis=0)
        size = int(self.rates.monomials.first[1])
        omega = self.rates.coefficients[:last, 0, :size] @ values[:size]
        gate, first = self.gate(chi1, chi2), int(np.argmax(self.known >= 1.0))
        if gate > 0.0 or omega_ref <= omega[first + 2]:
            k = compiled.knots(self.aligned, q, float(chi1[2]), float(chi2[2]))
            base, _, share = self.base(k, gate, 0, 0.0)
            first, omega = 0, base[:last] + share[:last] * (omega - base[:last])
        omega, nodes = omega[first:], self.nodes[first:last]
        if not omega[0] < omega_ref < omega[-1]:
            self.refuse_reference(said, omega[0], omega[-1])
        # The last node below it: what oscillates could pass it before.
        k = min(max(int(np.flatnonzero(omega < omega_ref)[-1]) + 1, 2), len(omega) - 2)
        near = slice(k - 2, k + 2)
        # The inverse cubic through four nodes.
        x, y = omega[near], nodes[near]
        terms = [y[i] * np.prod([(omega_ref - x[j]) / (x[i] - x[j]) for j in range(4) if j != i]) for i in range(4)]
        return float(np.sum(terms))

    def refuse_reference(self, said: str, lowest: float, highest: float) -> NoReturn:
        """Raise DomainError for a frequency that a binary does not pass between `lowest` and `highest` (rad / M)."""
        raise DomainError(
            f"{said} is not passed by this binary between {self.nodes[0]:g} M and the peak, where its orbital frequency runs "
            f"from {lowest:.4g} to {highest:.4g} rad / M: choose a reference inside"
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
        e = self.evolve(q, chi1, chi2, t_ref, self.t_min)
        before = int(np.searchsorted(e.nodes, 0.0))
        found = e.rates[:before, 4]
        if not found[0] < omega < found[-1]:
            raise DomainError(
                f"an orbital frequency of {omega:.4g} rad / M is not passed by this binary between {e.nodes[0]:g} M and the peak "
                f"({found[0]:.4g} to {found[-1]:.4g}): choose another f_min or mass"
            )
        k = int(np.flatnonzero(found < omega)[-1])
        return float(np.interp(omega, found[k : k + 2], e.nodes[k : k + 2]))

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
            frequency, phase = compiled.aligned_phase(self.aligned, k, at)
            base[first:], advance[first:] = frequency[:-1], phase[:-1] - phase[-1]
        return base, advance, share

    def mix(self, k: Knots, times: np.ndarray, known: np.ndarray, gate: float, modes: np.ndarray) -> None:
        """Give the aligned model its share of co-orbital `modes` (n, n_modes); what it lacks goes where nothing is known."""
        compiled.mix_aligned(self.aligned, k, times, known, gate, self.aligned_places, modes)
        modes[:, self._lost] *= known[:, None]

    def evolve(self, q: float, chi1: np.ndarray, chi2: np.ndarray, t_ref: float, t_first: float) -> Evolved:
        """The binary from `t_first` (M) or the reference time on, whichever is earlier."""
        start = max(int(np.searchsorted(self.nodes, min(t_ref, t_first), side="right")) - MARGIN, 0)
        start = min(start, len(self.nodes) - MARGIN)
        gate, along = self.gate(chi1, chi2), (q, float(chi1[2]), float(chi2[2]))
        r = self.rates
        part = dynamics.Rates(
            r.times[start:], r.monomials, r.coefficients[start:], r.known[start:], r.forward[start:], r.backward[start:]
        )
        state = np.concatenate([[1.0, 0.0, 0.0, 0.0, 0.0], chi1, chi2])
        states, rates = np.empty((2, len(part.times), dynamics.N_STATE))
        first, weights = dynamics.start_weights(part.times, t_ref)
        k = compiled.knots(self.aligned, *along) if gate > 0.0 or part.known[0] < 1.0 else None
        for _ in range(1 if start >= self.n_early else 2):
            base, advance, share = self.base(k, gate, start, t_ref)
            given = base[start:], share[start:], gate, gate * advance[start:]
            dynamics.integrate(part, q, state, first, weights, *given, states, rates)
            if start < self.n_early:
                # Where simulations begin, whatever time the spins belong to.
                k = compiled.knots(self.aligned, q, *states[self.n_early - start, [7, 10]].tolist())
        late = int(np.searchsorted(self.times, part.times[0] - 1e-9))
        p = self.pieces
        pieces = p._replace(coefficients=p.coefficients[late:], node=p.node[late:] - start, between=p.between[late:])
        at = coorbital.states_at(pieces, part.times, states, rates)
        modes = np.zeros((len(at), len(coorbital.MODES)), np.complex128)
        coorbital.modes(pieces, q, at, max(self.n_early - late, 0), modes)
        times, known = self.times[late:], self.known_modes[late:]
        if k is not None:
            self.mix(k, times, known, gate, modes)
        frames = at[:, :4] / np.linalg.norm(at[:, :4], axis=1)[:, None]
        return Evolved(part.times, states, rates, times, frames, modes)
