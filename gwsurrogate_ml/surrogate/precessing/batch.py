"""The precessing surrogate for many binaries in torch, differentiable in their parameters and in times.

What `coorbital` and `compiled` do for one binary, with a row for each; `batch_dynamics` before it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gwsurrogate_ml.arguments import positive
from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.errors import ConfigError, DomainError
from gwsurrogate_ml.kernels.threads import in_threads
from gwsurrogate_ml.surrogate.precessing import compiled, coorbital, many, wigner, wigner_torch
from gwsurrogate_ml.surrogate.precessing.batch_dynamics import BatchDynamics, Dynamics, Levels
from gwsurrogate_ml.waveform.spline import slope_matrix
from gwsurrogate_ml.waveform.spline_torch import hermite, is_dual, turned_modes

if TYPE_CHECKING:
    from gwsurrogate_ml.surrogate.precessing.modes import PrecessingModes


KEPT = 16
"""Matrices of slopes that are kept, up to 4 MB each."""


class BatchModes(BatchDynamics):
    """The mode model of any spins, on one device.

    Parameters
    ----------
    model : PrecessingModes
    device : torch.device
    """

    def __init__(self, model: PrecessingModes, device: torch.device) -> None:
        super().__init__(model, device)
        (_, p), kinds = model.tables.near, coorbital.kinds()
        first = p.monomials.first
        self.of_modes = Levels(p.monomials, device)
        self.pieces = []
        for _, of_modes in model.tables.sets:
            late = coorbital.full(of_modes)[model.n_early :]
            tables = [late[:, kinds == kind, : first[kind + 1] - first[kind]] for kind in range(4)]
            self.pieces.append([self._tensor(table) for table in tables])
        rows = np.concatenate([np.flatnonzero(kinds == kind) for kind in range(4)])
        n_modes = len(coorbital.MODES)
        parts = np.zeros((2 * n_modes, len(rows)))
        for k, piece in enumerate(rows):
            parts[p.plus[piece], k] += 1.0
            parts[p.minus[piece], k] += p.sign[piece]
        self.parts = self._tensor(parts)
        self.times, self.known_modes = self._tensor(model.times), self._tensor(model.known_modes)
        self.orders = torch.as_tensor(np.array([m for _, m in coorbital.MODES]), device=device)
        self._slopes: dict[int, torch.Tensor] = {}

    def slopes(self, late: int) -> torch.Tensor:
        """What turns values at the times from number `late` on into the slopes of their splines; the latest ones are kept."""
        found = self._slopes.get(late)
        if found is None:
            if len(self._slopes) >= KEPT:
                self._slopes.clear()
            found = self._slopes[late] = self._tensor(slope_matrix(self.model.times[late:]).T.copy())
        return found

    def modes(self, parameters: torch.Tensor, times: torch.Tensor, t_ref: torch.Tensor) -> torch.Tensor:
        """Modes (N, 32, n) complex128 of `parameters` (N, 7) at `times` (N, n), for reference times `t_ref` (N,)."""
        earliest = min(float(x.detach().min()) for x in (times, t_ref)) if times.numel() else float(t_ref.detach().min())
        d = self.evolve(parameters, t_ref, earliest)
        late, coprecessing = self.coorbital(parameters, d)
        nodes = self.nodes[d.start :]
        slow = [x[:, :5].permute(2, 1, 0).contiguous() for x in (d.states, d.rates)]
        found = hermite(nodes, slow[0], slow[1], times)
        knots = self.times[late:]
        tilts = coprecessing @ self.slopes(late)
        turned = turned_modes(knots, self.orders, coprecessing, tilts, times, found[:, 4])
        nothing = turned.new_zeros(len(turned), 9, times.shape[1])
        every = torch.cat([turned[:, :-1], nothing, turned[:, -1:]], 1)
        return wigner_torch.turn(found[:, :4].transpose(1, 2).contiguous(), every)

    def coorbital(self, parameters: torch.Tensor, d: Dynamics) -> tuple[int, torch.Tensor]:
        """Number of the first time, and co-orbital modes (N, n_modes, 2, n_t) from there on."""
        model, q = self.model, parameters[:, 0]
        p, begin = model.tables.near[1], model.nodes[d.start]
        late = int(np.searchsorted(model.times, begin - 1e-9))
        learned = max(late, model.n_early)
        node = torch.as_tensor(p.node[learned:] - d.start, device=self.device)
        after = (node + 1).clamp(max=len(d.states) - 1)
        step = ((self.nodes[d.start + after] - self.nodes[d.start + node]) / 8)[:, None, None]
        between = torch.as_tensor(p.between[learned:], device=self.device)[:, None, None]
        here = d.states[node]
        middle = 0.5 * (here + d.states[after]) + step * (d.rates[node] - d.rates[after])
        spins = self._spins(torch.where(between, middle, here), 1)
        values = self.of_modes(self.variables(q, spins))
        every: Any = 0.0
        for number, share in model.tables.shares(q, torch).items():
            found = [
                torch.bmm(table[learned - model.n_early :], values.index_select(0, rows).transpose(0, 1))
                for table, rows in zip(self.pieces[number], self.of_modes.of_kind, strict=True)
            ]
            both = torch.cat(found, 1)
            every = every + (both if share is None else share * both)
        n_t, _, n = every.shape
        parts = (self.parts @ every.transpose(0, 1).flatten(1)).view(-1, 2, n_t, n).permute(3, 0, 1, 2)
        parts = torch.cat([parts.new_zeros(*parts.shape[:3], learned - late), parts], -1)
        known = self.known_modes[late:]
        rows = self._with_aligned(d.gate, bool((known < 1.0).any()))
        if len(rows):
            parts = parts.index_copy(0, rows, self._mixed(parts[rows], d.along[rows], d.gate[rows], known, self.times[late:]))
        return late, parts.contiguous()

    def _mixed(
        self, parts: torch.Tensor, along: torch.Tensor, gate: torch.Tensor, known: torch.Tensor, times: torch.Tensor
    ) -> torch.Tensor:
        """`parts` (N, n_modes, 2, n_t) with the aligned model's share: `compiled.mix_aligned`."""
        model = self.model
        k = model.aligned.on(self.device).at_knots(along, float(times[0]))
        found = hermite(k.knots, k.parts.flatten(1, 2), k.part_slopes.flatten(1, 2), times.expand(len(along), -1) + k.shift)
        aligned = torch.complex(found[:, 0::2], found[:, 1::2])
        modes = torch.complex(parts[:, :, 0], parts[:, :, 1])
        plus, minus = torch.as_tensor(model.aligned_places.T, device=self.device)
        sign = torch.tensor([(-1.0) ** l for l, _ in model.aligned.modes], device=self.device, dtype=known.dtype)[:, None]
        own, mirrored = modes[:, plus], sign * modes[:, minus].conj()
        share = (known * (1.0 - gate)[:, None])[:, None]
        even = 0.5 * share * (own + mirrored) + (1.0 - share) * aligned
        odd = 0.5 * known * (own - mirrored)
        modes = (modes * known).index_copy(1, plus, even + odd).index_copy(1, minus, sign * (even - odd).conj())
        return torch.stack([modes.real, modes.imag], 2)


def _reals(name: str, value: Any, n: int, device: torch.device) -> torch.Tensor:
    """A number, or a tensor (N,), as (N,) float64."""
    found = torch.as_tensor(value, dtype=torch.float64, device=device)
    if found.ndim > 1 or (found.ndim == 1 and len(found) != n):
        raise ConfigError(f"{name} has shape {tuple(found.shape)}: give a number, or one for each of the {n} binaries")
    if not bool(torch.isfinite(found).all()):
        raise ConfigError(f"{name} is not finite everywhere: check the values passed")
    return found.expand(n)


def _checked(model: PrecessingModes, parameters: torch.Tensor, times: torch.Tensor) -> None:
    for name, tensor in (("parameters", parameters), ("times", times)):
        if not isinstance(tensor, torch.Tensor) or tensor.is_complex():
            raise ConfigError(f"{name} is a {type(tensor).__name__}: give a real torch tensor, torch.as_tensor(...)")
    if parameters.ndim != 2 or parameters.shape[1] != 7:
        raise ConfigError(f"parameters have shape {tuple(parameters.shape)}: give (N, 7), q and the components of both spins")
    if times.ndim not in (1, 2) or (times.ndim == 2 and len(times) != len(parameters)):
        raise ConfigError(f"times have shape {tuple(times.shape)}: give (n,) or (N, n) with N = {len(parameters)}")
    values = parameters.detach().cpu().to(torch.float64).numpy()
    if not np.isfinite(values).all():
        raise DomainError("parameters hold numbers that are not finite: check the values passed")
    model.check_all(values[:, 0], values[:, 1:4], values[:, 4:])
    model.checked_times(times.detach().cpu().numpy().ravel())


def reference_times(
    modes: BatchModes, parameters: torch.Tensor, t_ref: Any, omega_ref: Any, f_ref: Any, total_mass: Any
) -> torch.Tensor:
    """Reference times (N,) in M; arguments as for `batch`."""
    n, device = len(parameters), parameters.device
    name = modes.model.one_reference(t_ref, omega_ref, f_ref, total_mass)
    if name == "t_ref":
        found = _reals(name, t_ref, n, device)
        low, high = modes.model.t_min, 0.0
        if n and not bool(((found >= low) & (found <= high)).all()):
            raise DomainError(f"t_ref leaves [{low:g}, 0] M: give times before the peak that the model covers")
        return found
    omega = omega_ref
    if name == "f_ref":
        if total_mass is None:
            raise ConfigError("f_ref is in Hz: give total_mass too (solar masses, detector frame), or omega_ref in rad / M")
        mass = _reals("total_mass", total_mass, n, device)
        positive(float(mass.detach().min()) if n else 1.0, "total_mass", "solar masses")
        omega = math.pi * MTSUN_SI * mass * _reals(name, f_ref, n, device)
    omega = _reals(name, omega, n, device)
    positive(float(omega.detach().min()) if n else 1.0, name)
    return modes.time_of(parameters, omega, name) if n else omega


def compiled_batch(model: PrecessingModes, parameters: np.ndarray, times: np.ndarray, t_ref: np.ndarray) -> np.ndarray:
    """As `BatchModes.modes`, in compiled code and in NUMBA_NUM_THREADS threads; `times` (n,) or (N, n)."""
    times = np.ascontiguousarray(np.atleast_2d(times))
    out = np.empty((len(parameters), len(wigner.INERTIAL), times.shape[1]), np.complex128)
    earliest = np.broadcast_to(times.min(axis=1, initial=0.0), len(parameters))

    def work(part: slice) -> None:
        p = np.ascontiguousarray(parameters[part])
        evolved = many.evolve(model, p[:, 0].copy(), p[:, 1:4].copy(), p[:, 4:].copy(), t_ref[part], earliest[part])
        for i, e in enumerate(evolved, part.start):
            compiled.modes(*e, times[i % len(times)], out[i])

    in_threads(work, len(parameters))
    return out


def batch(
    model: PrecessingModes,
    parameters: torch.Tensor,
    times: torch.Tensor,
    t_ref: Any = None,
    *,
    omega_ref: Any = None,
    f_ref: Any = None,
    total_mass: Any = None,
) -> torch.Tensor:
    """See `PrecessingSurrogate.batch`."""
    _checked(model, parameters, times)
    modes = model.on(parameters.device)
    p, at = parameters.to(torch.float64), times.to(torch.float64)
    reference = reference_times(modes, p, t_ref, omega_ref, f_ref, total_mass)
    inputs = (p, at, reference)
    wanted = is_dual(*inputs) or (torch.is_grad_enabled() and any(x.requires_grad for x in inputs))
    if p.device.type == "cpu" and len(p) and not wanted:
        return torch.from_numpy(compiled_batch(model, *(x.detach().numpy() for x in inputs)))
    if not len(p):
        return torch.zeros(0, len(wigner.INERTIAL), times.shape[-1], dtype=torch.complex128, device=p.device)
    return modes.modes(p, at.expand(len(p), -1), reference)
