"""Orbital phase, frame and spins of many precessing binaries in torch, differentiable: `dynamics` with a row for each.

Nodes come one after the other, binaries side by side.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from gwsurrogate_ml.surrogate.precessing import dynamics
from gwsurrogate_ml.surrogate.precessing.evolved import ALIGNED_WIDTH, MARGIN
from gwsurrogate_ml.surrogate.precessing.polynomials import SCALE_LOG_Q, SCALE_SPIN, Monomials
from gwsurrogate_ml.surrogate.precessing.spins import AZIMUTHS
from gwsurrogate_ml.waveform.spline_torch import hermite

if TYPE_CHECKING:
    from gwsurrogate_ml.surrogate.precessing.modes import PrecessingModes


class Dynamics(NamedTuple):
    """N binaries at n nodes, first of which is number `start` of the model's; states and rates (n, 11, N) as in `dynamics`.

    `along` (N, 3) are mass ratio and spins along the orbit of the aligned model that has a share, `gate` (N,) its least one.
    """

    start: int
    states: torch.Tensor
    rates: torch.Tensor
    along: torch.Tensor
    gate: torch.Tensor


class Levels:
    """Monomials degree by degree: each the product of one of the degree below and a variable."""

    def __init__(self, m: Monomials, device: torch.device) -> None:
        degree = m.exponents.sum(axis=1)
        order, self.steps = [np.array([m.one])], []
        for d in range(1, int(degree.max()) + 1):
            rows = [k for k, target in enumerate(m.target) if degree[target] == d]
            place = {int(index): k for k, index in enumerate(order[-1])}
            source = torch.tensor([place[int(m.source[k])] for k in rows], device=device)
            self.steps.append((source, torch.as_tensor(m.variable[rows].astype(np.int64), device=device)))
            order.append(m.target[rows])
        self.order = np.concatenate(order)
        """Place of each row among the `Monomials`."""
        self.of_kind = [
            torch.as_tensor(np.argsort(self.order)[a:b].copy(), device=device) for a, b in zip(m.first, m.first[1:], strict=False)
        ]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """All monomials (n, ...) of the variables (7, ...)."""
        found = [torch.ones_like(x[:1])]
        for source, variable in self.steps:
            found.append(found[-1].index_select(0, source) * x.index_select(0, variable))
        return torch.cat(found)


class BatchDynamics:
    """The dynamics of a mode model of any spins, on one device.

    Parameters
    ----------
    model : PrecessingModes
    device : torch.device
    """

    def __init__(self, model: PrecessingModes, device: torch.device) -> None:
        self.model, self.device = model, device
        m = model.tables.near[0].monomials
        self.of_rates = Levels(m, device)
        # Half sum and half difference of the spins' rates to the rates of each.
        each = np.eye(9)
        each[3:6, 6:] += np.eye(3)
        each[6:, 3:6], each[6:, 6:] = np.eye(3), -np.eye(3)
        # Of each set, from the first node on that is known.
        self.rates = []
        for found, _ in model.tables.sets:
            rates = found.coefficients[model.n_early :]
            full = np.zeros((len(rates), 9, len(m.exponents)))
            for row, kind in enumerate(dynamics.KINDS):
                full[:, row, m.first[kind] : m.first[kind + 1]] = rates[:, row, : m.first[kind + 1] - m.first[kind]]
            self.rates.append(self._tensor(each @ full[:, :, self.of_rates.order]))
        spins = np.zeros((6, 6))
        for k, (plus, minus) in enumerate(((2, 4), (3, 5), (0, 1))):
            spins[plus, 2 * k : 2 * k + 2] = 0.5 / SCALE_SPIN, 0.5 / SCALE_SPIN
            spins[minus, 2 * k : 2 * k + 2] = 0.5 / SCALE_SPIN, -0.5 / SCALE_SPIN
        self.of_spins = self._tensor(spins)
        self.nodes, self.known = self._tensor(model.nodes), self._tensor(model.known)

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(array, device=self.device, dtype=torch.float64)

    def gate(self, parameters: torch.Tensor) -> torch.Tensor:
        """Share (N,) of the aligned model where both are known."""
        flat = torch.maximum(*((parameters[:, k : k + 2] ** 2).sum(1) for k in (1, 4))) / ALIGNED_WIDTH**2
        return torch.where(flat < 1.0, (1.0 - flat) ** 3, torch.zeros_like(flat))

    def variables(self, q: torch.Tensor, spins: torch.Tensor) -> torch.Tensor:
        """Variables (7, ..., N) of mass ratios (N,) and co-orbital spins (6, ..., N): x, y, z components, each of both bodies."""
        mixed = (self.of_spins @ spins.flatten(1)).view_as(spins)
        return torch.cat([(torch.log(q) / SCALE_LOG_Q).expand_as(mixed[:1]), mixed])

    def _spins(self, states: torch.Tensor, axis: int) -> torch.Tensor:
        """Co-orbital spins (6, ...), as `variables` takes them, of states whose components lie along `axis`."""
        phase, *spins = (states.select(axis, k) for k in range(4, 11))
        c, s = torch.cos(phase), torch.sin(phase)
        x, y, z = (torch.stack(spins[k::3]) for k in range(3))
        return torch.cat([c * x + s * y, c * y - s * x, z])

    def evolve(self, parameters: torch.Tensor, t_ref: torch.Tensor, earliest: float) -> Dynamics:
        """Binaries of `parameters` (N, 7) from `earliest` (M) on, which is not after a reference time."""
        nodes = self.model.nodes
        start = min(max(int(np.searchsorted(nodes, earliest, side="right")) - MARGIN, 0), len(nodes) - MARGIN)
        gate = self.gate(parameters)
        along = self._along_orbit(parameters, t_ref, gate, start)
        base, advance, share = self._base(along, gate, start, t_ref)
        states, rates, _ = self._integrate(parameters, t_ref, start, base, share, gate, gate * advance, None)
        return Dynamics(start, torch.stack(states), torch.stack(rates), along, gate)

    def _along_orbit(self, parameters: torch.Tensor, t_ref: torch.Tensor, gate: torch.Tensor, start: int) -> torch.Tensor:
        """Mass ratio and spins along the orbit (N, 3) of the aligned model: `PrecessingModes.along_orbit`."""
        model, along = self.model, parameters[:, [0, 3, 6]]
        rows = self._with_aligned(gate, model.known[start] < 1.0)
        rows = rows[gate.detach()[rows] < 1.0]
        if not len(rows):
            return along
        some, at, none = parameters[rows], t_ref[rows], torch.zeros_like(gate[rows])
        own = np.searchsorted(model.nodes, at.detach().cpu().numpy(), side="right") - MARGIN
        low = max(min(int(own.min()), model.n_known), 0)
        late = torch.as_tensor(own >= model.n_known, device=self.device)
        if bool(late.all()):
            base = none.expand(len(model.nodes) - low, -1)
            share = base + 1.0
        else:
            base, _, share = self._base(along[rows], none, low, at)
            share = torch.where(late, torch.ones_like(share), share)
        states, _, first = self._integrate(some, at, low, base, share, none, torch.zeros_like(base), model.n_known)
        found = states[model.n_known - first]
        return along.index_copy(0, rows, torch.stack([some[:, 0], found[7], found[10]], 1))

    def _base(
        self, along: torch.Tensor, gate: torch.Tensor, start: int, t_ref: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Orbital frequency, its phase since `t_ref`, and share of the polynomials, as `PrecessingModes.base`, each (n, N)."""
        known = self.known[start:, None]
        share = known * (1.0 - gate)
        rows = self._with_aligned(gate, bool((known < 1.0).any()))
        base, advance = torch.zeros_like(share), torch.zeros_like(share)
        if len(rows):
            aligned = self.model.aligned.on(self.device)
            k = aligned.at_knots(along[rows], float(self.model.nodes[start]))
            at = torch.cat([self.nodes[start:].expand(len(rows), -1), t_ref[rows, None]], 1) + k.shift
            curve = aligned.slopes(k.phase_slope)
            pair = torch.stack([k.phase, k.phase_slope], 1), torch.stack([k.phase_slope, curve], 1)
            phase, frequency = (0.5 * hermite(k.knots, *pair, at)).unbind(1)
            base = base.index_copy(1, rows, frequency[:, :-1].T)
            advance = advance.index_copy(1, rows, (phase[:, :-1] - phase[:, -1:]).T)
        return base, advance, share

    def _with_aligned(self, gate: torch.Tensor, all_of_them: bool) -> torch.Tensor:
        """Numbers of the binaries of which the aligned model has a share."""
        return torch.arange(len(gate), device=self.device) if all_of_them else torch.nonzero(gate.detach() > 0.0)[:, 0]

    def _integrate(
        self,
        parameters: torch.Tensor,
        t_ref: torch.Tensor,
        start: int,
        base: torch.Tensor,
        share: torch.Tensor,
        gate: torch.Tensor,
        advance: torch.Tensor,
        only: int | None,
    ) -> tuple[list[torch.Tensor], list[torch.Tensor], int]:
        """States and rates (11, N) at the nodes from number `start` on, or at those up to which node `only` takes.

        The third number is the first node's.
        """
        model = self.model
        integrated, q = gate * base, parameters[:, 0]
        shares = model.tables.shares(q, torch)
        state = torch.cat([torch.eye(5, 1, dtype=q.dtype, device=q.device).expand(-1, len(q)), parameters[:, 1:].T])
        lengths = _lengths(state)
        nodes = model.nodes[start:]
        first = np.clip(np.searchsorted(nodes, t_ref.detach().cpu().numpy(), side="right") - 2, 0, len(nodes) - 4)
        low, high = int(first.min()), int(first.max())
        at = torch.as_tensor(first, device=q.device)
        near = at + torch.arange(4, device=q.device)[:, None]
        weights = _integral_weights(self.nodes[start + near], t_ref)

        def pick(table: torch.Tensor) -> torch.Tensor:
            return table.gather(0, near)

        # Four nodes about each reference time, by collocation.
        n = len(q)
        near_base, near_share = pick(base), pick(share)
        near_integrated, near_advance = pick(integrated), pick(advance)
        places = (start + near).flatten()
        flat_q, flat_lengths = q.repeat(4), lengths.repeat(1, 4)
        flat_shares = {number: None if x is None else x.repeat(4) for number, x in shares.items()}

        def flat_rates(states: torch.Tensor) -> torch.Tensor:
            found = self._rate(places, flat_q, flat_shares, states.flatten(1), near_base.flatten(), near_share.flatten())
            return found.view(11, 4, n)

        begun = state[:, None].expand(-1, 4, -1)
        for _ in range(dynamics.SWEEPS):
            rates = _less(flat_rates(begun), near_integrated)
            total = state[:, None] + torch.einsum("jkn,ckn->cjn", weights, rates)
            total = torch.cat([total[:4], total[4:5] + near_advance, total[5:]])
            begun = _normalized(total.flatten(1), flat_lengths).view(11, 4, n)
        begun_rates = flat_rates(begun)

        # From there both ways.
        known = len(nodes)
        states: list[Any] = [None] * known
        rates_at: list[Any] = [None] * known
        for i in range(low, high + 4):
            own = (i - at).clamp(0, 3)[None, None].expand(11, 1, -1)
            states[i], rates_at[i] = begun.gather(1, own)[:, 0], begun_rates.gather(1, own)[:, 0]
        reduced = [None if x is None else _less(x, integrated[i]) for i, x in enumerate(rates_at)]
        r, target = model.tables.near[0], None if only is None else only - start

        def step(i: int, to: int, sources: range, step_weights: np.ndarray, active: torch.Tensor | None) -> None:
            total = states[i]
            for w, k in zip(step_weights.tolist(), sources, strict=True):
                total = torch.add(total, reduced[k], alpha=w)
            total = torch.cat([total[:4], (total[4] + (advance[to] - advance[i]))[None], total[5:]])
            found = _normalized(total, lengths)
            rate = self._rate(start + to, q, shares, found, base[to], share[to])
            if active is not None:
                found = torch.where(active, found, states[to])
                rate = torch.where(active, rate, rates_at[to])
            states[to], rates_at[to], reduced[to] = found, rate, _less(rate, integrated[to])

        last = known - 1 if target is None else max(target, high + 3)
        for i in range(low + 3, last):
            step(i, i + 1, range(i - 3, i + 1), r.forward[start + i], at + 3 <= i if i < high + 3 else None)
        end = 0 if target is None else min(target, low)
        for i in range(high, end, -1):
            step(i, i - 1, range(i, i + 4), r.backward[start + i], at >= i if i > low else None)
        return states[end : last + 1], rates_at[end : last + 1], start + end

    def _polynomials(self, node: int | torch.Tensor, shares: dict[int, Any], x: torch.Tensor) -> torch.Tensor:
        """Rates (9, N) of the variables (7, N) at one node, or at one node each: orbit, frame x and y, spins x, y, z.

        Before the first known node any finite numbers.
        """
        values = self.of_rates(x)
        total: Any = 0.0
        if isinstance(node, int):
            place: int | torch.Tensor = max(node - self.model.n_early, 0)
        else:
            place = (node - self.model.n_early).clamp(min=0)
        for number, share in shares.items():
            table = self.rates[number][place]
            found = table @ values if isinstance(node, int) else torch.einsum("nkj,jn->kn", table, values)
            total = total + (found if share is None else share * found)
        result: torch.Tensor = total
        return result

    def _rate(
        self,
        node: int | torch.Tensor,
        q: torch.Tensor,
        shares: dict[int, Any],
        y: torch.Tensor,
        base: torch.Tensor,
        share: torch.Tensor,
    ) -> torch.Tensor:
        """Rates (11, N) of states `y` (11, N): `dynamics._rate`."""
        c, s = torch.cos(y[4]), torch.sin(y[4])
        x, y_, z = y[5::3], y[6::3], y[7::3]
        spins = torch.cat([c * x + s * y_, c * y_ - s * x, z])
        known = self.model.known[node] if isinstance(node, int) else self.known[node]
        found = self._polynomials(node, shares, self.variables(q, spins))
        omega = share * found[0] + (1 - share) * base
        turned = found[1:]
        if bool((known < 1.0).any() if isinstance(known, torch.Tensor) else known < 1.0):
            turned = known * turned + (1 - known) * _post_newtonian(q, omega, spins)
        wx, wy = c * turned[0] - s * turned[1], s * turned[0] + c * turned[1]
        a, b, d, e = y[:4]
        a_x, a_y, a_z = turned[2::3], turned[3::3], turned[4::3]
        r_x, r_y = c * a_x - s * a_y, s * a_x + c * a_y
        # A spin's length does not change, and one of none has no direction to turn.
        square = x**2 + y_**2 + z**2
        there = square > 0
        along = (r_x * x + r_y * y_ + a_z * z) / torch.where(there, square, torch.ones_like(square))
        turns = torch.stack([r_x - along * x, r_y - along * y_, a_z - along * z], 1) * there[:, None]
        frame = torch.stack([-(b * wx + d * wy), a * wx - e * wy, a * wy + e * wx, b * wy - d * wx])
        return torch.cat([0.5 * frame, omega[None], turns.flatten(0, 1)])

    def time_of(self, parameters: torch.Tensor, omega_ref: torch.Tensor, said: str) -> torch.Tensor:
        """When (M, (N,)) the orbital frequency is `omega_ref` (N,) in rad / M: `PrecessingModes.reference`."""
        model, q = self.model, parameters[:, 0]
        last = int(np.searchsorted(model.nodes, 0.0))
        angles = 2 * math.pi * torch.arange(AZIMUTHS, device=self.device, dtype=q.dtype)[:, None] / AZIMUTHS
        c, s = torch.cos(angles), torch.sin(angles)
        x, y, z = (parameters[:, [k, k + 3]].T[:, None] for k in (1, 2, 3))
        spins = torch.cat([c * x - s * y, s * x + c * y, z.expand(-1, AZIMUTHS, -1)])
        values = self.of_rates(self.variables(q, spins)).mean(1)
        omega: Any = 0.0
        for number, share in model.tables.shares(q, torch).items():
            found = self.rates[number][: last - model.n_early, 0] @ values
            omega = omega + (found if share is None else share * found)
        omega = torch.cat([omega.new_zeros(model.n_early, len(q)), omega])
        gate, first = self.gate(parameters), model.n_known
        early = torch.nonzero((gate > 0.0) | (omega_ref <= omega[first + 2]))[:, 0].detach()
        begin = torch.full_like(early.new_empty(len(q)), first)
        for number in (model.n_long, 0):
            if not len(early):
                break
            chosen = parameters[early]
            base, _, share = self._base(chosen[:, [0, 3, 6]], gate[early], number, torch.zeros_like(gate[early]))
            base, share = base[: last - number], share[: last - number]
            mixed = base + share * (omega[number:, early] - base)
            omega = omega.index_copy(1, early, torch.cat([omega.new_zeros(number, len(early)), mixed]))
            begin = begin.index_fill(0, early, number)
            early = early[(omega_ref[early] <= base[2]).detach()]
        there = torch.arange(last, device=self.device)[:, None] >= begin
        below = (omega < omega_ref) & there
        edge = omega.gather(0, begin[None])[0]
        if bool((bad := ~((edge < omega_ref) & (omega_ref < omega[-1]))).any()):
            place, lowest = float(self.nodes[begin[bad][0]]), float(edge[bad][0])
            model.refuse_reference(said, float(omega_ref[bad][0]), place, lowest, float(omega[-1][bad][0]))
        numbers = torch.arange(last, device=self.device)[:, None]
        k = torch.where(below, numbers, -1).amax(0) + 1
        k = torch.minimum(torch.maximum(k, begin + 2), torch.full_like(k, last - 2))
        near = k + torch.arange(-2, 2, device=self.device)[:, None]
        x, y = omega.gather(0, near), self.nodes[near]
        total = torch.zeros_like(q)
        for i in range(4):
            term = y[i]
            for j in range(4):
                if j != i:
                    term = term * (omega_ref - x[j]) / (x[i] - x[j])
            total = total + term
        return total


def _less(rates: torch.Tensor, integrated: torch.Tensor) -> torch.Tensor:
    """Rates (11, ...) without what of the orbital frequency is integrated already."""
    return torch.cat([rates[:4], (rates[4] - integrated)[None], rates[5:]])


def _lengths(state: torch.Tensor) -> torch.Tensor:
    """Lengths (2, N) of the spins; of none 0, without a derivative."""
    square = (state[5:].view(2, 3, -1) ** 2).sum(1)
    return torch.where(square > 0, torch.sqrt(torch.where(square > 0, square, torch.ones_like(square))), torch.zeros_like(square))


def _normalized(state: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """`state` (11, N) with a quaternion of length one and spins of theirs."""
    spins = state[5:].view(2, 3, -1)
    square = (spins**2).sum(1)
    there = square > 0
    factor = torch.where(there, lengths * torch.rsqrt(torch.where(there, square, torch.ones_like(square))), torch.ones_like(square))
    frame = state[:4] * torch.rsqrt((state[:4] ** 2).sum(0))
    return torch.cat([frame, state[4:5], (spins * factor[:, None]).flatten(0, 1)])


def _integral_weights(nodes: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """Weights (j, k, N) that integrate cubics through `nodes` (4, N) from `start` (N,) to node j: `dynamics.integral_weights`."""
    middle, half = 0.5 * (start + nodes), 0.5 * (nodes - start)
    out = []
    for i in range(4):
        total: Any = 0.0
        for x in (middle - half / math.sqrt(3.0), middle + half / math.sqrt(3.0)):
            value = half
            for j in range(4):
                if j != i:
                    value = value * (x - nodes[j]) / (nodes[i] - nodes[j])
            total = total + value
        out.append(total)
    return torch.stack(out, 1)


def _post_newtonian(q: torch.Tensor, omega: torch.Tensor, spins: torch.Tensor) -> torch.Tensor:
    """`dynamics.post_newtonian` of co-orbital `spins` (6, N), as `variables` takes them: (8, N)."""
    m1, m2 = q / (1 + q), 1 / (1 + q)
    eta, v = m1 * m2, omega ** (1 / 3)
    v2 = v * v
    masses = torch.stack([m1 * m1, m2 * m2])
    chi = torch.stack([spins[0:2], spins[2:4], spins[4:6]])
    s1, s2 = (masses * chi).unbind(1)
    along = 0.75 + 0.5 * eta + v2 * (9 / 16 + 1.25 * eta - eta**2 / 24)
    odd = (m1 - m2) * (-0.75 + v2 * (-9 / 16 + 0.625 * eta))
    v5, v6 = v2 * v2 * v, v2 * v2 * v2
    up = torch.zeros_like(s1)
    up[2] = 1.0
    omega_1 = (v5 * (along + odd) - 1.5 * v6 * s2[2] - 1.5 * v6 * m2 / m1 * s1[2]) * up + 0.5 * v6 * s2
    omega_2 = (v5 * (along - odd) - 1.5 * v6 * s1[2] - 1.5 * v6 * m1 / m2 * s2[2]) * up + 0.5 * v6 * s1
    rate_1, rate_2 = torch.linalg.cross(omega_1, s1, dim=0), torch.linalg.cross(omega_2, s2, dim=0)
    momentum = eta / v * (1 + v2 * (1.5 + eta / 6 + v2 * (27 / 8 - 19 * eta / 8 + eta**2 / 24)))
    turn = torch.linalg.cross(up, -(rate_1 + rate_2) / momentum, dim=0)
    turns = [rate / masses[k] - torch.linalg.cross(turn, chi[:, k], dim=0) for k, rate in enumerate((rate_1, rate_2))]
    return torch.cat([turn[:2], *turns])
