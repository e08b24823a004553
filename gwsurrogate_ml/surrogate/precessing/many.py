"""Many precessing binaries in compiled code: what `PrecessingModes.evolve` does for one, with a lane for each.

At each node the monomials of all lanes are one table, and the polynomials one matrix product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.surrogate.aligned.compiled import Knots
from gwsurrogate_ml.surrogate.precessing import coorbital, dynamics
from gwsurrogate_ml.surrogate.precessing.evolved import MARGIN, Evolved
from gwsurrogate_ml.surrogate.precessing.polynomials import N_VARIABLES, SCALE_LOG_Q, SCALE_SPIN, Monomials

if TYPE_CHECKING:
    from gwsurrogate_ml.surrogate.precessing.modes import PrecessingModes

LANES = 96
"""Binaries at a time: their monomials stay in a core's cache, and the coefficients are read for many."""


class Tables(NamedTuple):
    """Coefficients by kind of the monomials, those of each kind side by side; the first axis are the sets that
    `tables.Tables.shares` mixes.

    `rates` and `modes` hold for each kind (n_sets, n, rows, monomials of the kind); `rate_rows`, `piece_rows` the rows' numbers.
    """

    of_rates: Monomials
    of_modes: Monomials
    rates: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    rate_rows: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    modes: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
    piece_rows: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

    def of_sets(self, numbers: list[int]) -> Tables:
        """Those of some sets, side by side, alone."""
        some = slice(numbers[0], numbers[-1] + 1)
        r, m = self.rates, self.modes
        rates, modes = (r[0][some], r[1][some], r[2][some], r[3][some]), (m[0][some], m[1][some], m[2][some], m[3][some])
        return self._replace(rates=rates, modes=modes)


def tables(model: PrecessingModes) -> Tables:
    """The tables of a model; modes from the first time on that simulations know."""
    of_rates, of_modes = (one.monomials for one in model.tables.near)

    def by_kind(every: list[np.ndarray], kind_of: np.ndarray, m: Monomials) -> tuple[list[np.ndarray], list[np.ndarray]]:
        rows = [np.flatnonzero(kind_of == kind) for kind in range(4)]
        sizes = np.diff(m.first)
        cut = [
            np.ascontiguousarray(np.stack([x[:, row, :size] for x in every]).astype(np.float64))
            for row, size in zip(rows, sizes, strict=True)
        ]
        return cut, rows

    rates, rate_rows = by_kind([rates.coefficients for rates, _ in model.tables.sets], dynamics.KINDS, of_rates)
    pieces = [coorbital.full(pieces)[model.n_early :] for _, pieces in model.tables.sets]
    modes, piece_rows = by_kind(pieces, coorbital.kinds(), of_modes)
    return Tables(of_rates, of_modes, *(tuple(x) for x in (rates, rate_rows, modes, piece_rows)))  # type: ignore[arg-type]


@njit(nogil=True, fastmath=True)
def _values(m: Monomials, log_q: np.ndarray, y: np.ndarray, turn: np.ndarray, x: np.ndarray, values: np.ndarray) -> None:
    """Monomials (n, N) of the states `y` (11, N); cosine and sine of the orbital phase into `turn` (2, N)."""
    lanes = log_q.size
    for j in range(lanes):
        turn[0, j], turn[1, j] = np.cos(y[4, j]), np.sin(y[4, j])
    half = 0.5 / SCALE_SPIN
    for j in range(lanes):
        c, s = turn[0, j], turn[1, j]
        x_1, y_1 = c * y[5, j] + s * y[6, j], c * y[6, j] - s * y[5, j]
        x_2, y_2 = c * y[8, j] + s * y[9, j], c * y[9, j] - s * y[8, j]
        x[0, j] = log_q[j]
        x[1, j], x[2, j] = half * (y[7, j] + y[10, j]), half * (y[7, j] - y[10, j])
        x[3, j], x[5, j] = half * (x_1 + x_2), half * (x_1 - x_2)
        x[4, j], x[6, j] = half * (y_1 + y_2), half * (y_1 - y_2)
    values[m.one] = 1.0
    for t in range(m.target.size):
        to, source, variable = values[m.target[t]], values[m.source[t]], x[m.variable[t]]
        for j in range(lanes):
            to[j] = source[j] * variable[j]


@njit(nogil=True)
def _sums(table: np.ndarray, rows: np.ndarray, node: int, shares: np.ndarray, of_kind: np.ndarray, out: np.ndarray) -> None:
    """Polynomials of one kind at one node into their `rows` of `out` (., N)."""
    for s in range(len(table)):
        found = np.dot(table[s, node], of_kind)
        for k in range(rows.size):
            to = out[rows[k]]
            for j in range(to.size):
                to[j] = shares[s, j] * found[k, j] + (to[j] if s else 0.0)


@njit(nogil=True, fastmath=True)
def _rates(
    t: Tables,
    node: int,
    known: float,
    q: np.ndarray,
    log_q: np.ndarray,
    shares: np.ndarray,
    base: np.ndarray,
    share: np.ndarray,
    y: np.ndarray,
    room: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    out: np.ndarray,
) -> None:
    """Rates (11, N) of the states `y` (11, N) at a node: `dynamics._rate`."""
    turn, x, values, found = room
    _values(t.of_rates, log_q, y, turn, x, values)
    first = t.of_rates.first
    _sums(t.rates[0], t.rate_rows[0], node, shares, values[first[0] : first[1]], found)
    _sums(t.rates[1], t.rate_rows[1], node, shares, values[first[1] : first[2]], found)
    _sums(t.rates[2], t.rate_rows[2], node, shares, values[first[2] : first[3]], found)
    _sums(t.rates[3], t.rate_rows[3], node, shares, values[first[3] : first[4]], found)
    turned, averaged, spins = np.empty(8), np.empty(8), np.empty(6)
    for j in range(q.size):
        c, s = turn[0, j], turn[1, j]
        omega = share[j] * found[0, j] + (1 - share[j]) * base[j]
        turned[0], turned[1] = found[1, j], found[2, j]
        for k in range(3):
            turned[2 + k], turned[5 + k] = found[3 + k, j] + found[6 + k, j], found[3 + k, j] - found[6 + k, j]
        if known < 1:
            for k in (0, 3):
                spins[k], spins[k + 1] = c * y[5 + k, j] + s * y[6 + k, j], c * y[6 + k, j] - s * y[5 + k, j]
                spins[k + 2] = y[7 + k, j]
            dynamics.post_newtonian(q[j], omega, spins, averaged)
            for k in range(8):
                turned[k] = known * turned[k] + (1 - known) * averaged[k]
        wx, wy = c * turned[0] - s * turned[1], s * turned[0] + c * turned[1]
        out[0, j] = -0.5 * (y[1, j] * wx + y[2, j] * wy)
        out[1, j] = 0.5 * (y[0, j] * wx - y[3, j] * wy)
        out[2, j] = 0.5 * (y[0, j] * wy + y[3, j] * wx)
        out[3, j] = 0.5 * (y[1, j] * wy - y[2, j] * wx)
        out[4, j] = omega
        for k in (0, 3):
            a, b, e = c * turned[2 + k] - s * turned[3 + k], s * turned[2 + k] + c * turned[3 + k], turned[4 + k]
            u, v, w = y[5 + k, j], y[6 + k, j], y[7 + k, j]
            square = u * u + v * v + w * w
            there = 1.0 if square > 0 else 0.0
            along = (a * u + b * v + e * w) / (square if square > 0 else 1.0)
            out[5 + k, j], out[6 + k, j], out[7 + k, j] = there * (a - along * u), there * (b - along * v), there * (e - along * w)


@njit(nogil=True)
def _step(
    weights: np.ndarray,
    sources: np.ndarray,
    start: np.ndarray,
    base: np.ndarray,
    gate: np.ndarray,
    change: np.ndarray,
    lengths: np.ndarray,
    out: np.ndarray,
) -> None:
    """States (11, N) a step from `start`: rates (4, 11, N) times weights (4,), `base` (4, N), `change` (N,) of the advance."""
    for c in range(dynamics.N_STATE):
        for j in range(gate.size):
            total = start[c, j]
            for k in range(4):
                total += weights[k] * (sources[k, c, j] - (gate[j] * base[k, j] if c == 4 else 0.0))
            out[c, j] = total + (change[j] if c == 4 else 0.0)
    for j in range(gate.size):
        for first, last, length in ((0, 4, 1.0), (5, 8, lengths[0, j]), (8, 11, lengths[1, j])):
            square = 0.0
            for c in range(first, last):
                square += out[c, j] ** 2
            if square > 0:
                factor = length / np.sqrt(square)
                for c in range(first, last):
                    out[c, j] *= factor


@njit(nogil=True)
def integrate(
    t: Tables,
    r: dynamics.Rates,
    offset: int,
    q: np.ndarray,
    shares: np.ndarray,
    state: np.ndarray,
    first: np.ndarray,
    start: np.ndarray,
    base: np.ndarray,
    share: np.ndarray,
    gate: np.ndarray,
    advance: np.ndarray,
    out: np.ndarray,
    rates: np.ndarray,
) -> None:
    """Write states and rates (n, 11, N) at the nodes of `r`, which begin with the model's number `offset`.

    Arguments as for `dynamics.integrate`, lanes last, and `shares` (n_sets, N); the four nodes about the reference times, by
    collocation, are in `out` and `rates` where each lane begins (`first`); elsewhere these hold any finite numbers.
    """
    n, lanes = len(r.times), q.size
    log_q = np.log(q) / SCALE_LOG_Q
    lengths = np.empty((2, lanes))
    for j in range(lanes):
        lengths[0, j], lengths[1, j] = np.sqrt((state[5:8, j] ** 2).sum()), np.sqrt((state[8:, j] ** 2).sum())
    size = len(t.of_rates.exponents)
    room = np.empty((2, lanes)), np.empty((N_VARIABLES, lanes)), np.empty((size, lanes)), np.empty((9, lanes))
    new, rate = np.empty((dynamics.N_STATE, lanes)), np.empty((dynamics.N_STATE, lanes))
    low, high = first.min(), first.max()
    sources, bases = np.empty((4, dynamics.N_STATE, lanes)), np.empty((4, lanes))
    for direction in (1, -1):
        begin, end = (low + 3, n - 1) if direction > 0 else (high, 0)
        i = begin
        while i != end:
            weights, lowest = (r.forward[i], i - 3) if direction > 0 else (r.backward[i], i)
            to = i + direction
            for k in range(4):
                sources[k], bases[k] = rates[lowest + k], base[lowest + k]
            _step(weights, sources, out[i], bases, gate, advance[to] - advance[i], lengths, new)
            _rates(t, offset + to, r.known[to], q, log_q, shares, base[to], share[to], new, room, rate)
            for j in range(lanes):
                if (direction > 0 and to > first[j] + 3) or (direction < 0 and to < first[j]):
                    for c in range(dynamics.N_STATE):
                        out[to, c, j], rates[to, c, j] = new[c, j], rate[c, j]
            i = to


@njit(nogil=True)
def modes(
    t: Tables,
    p: coorbital.Pieces,
    offset: int,
    begin: int,
    nodes: np.ndarray,
    q: np.ndarray,
    shares: np.ndarray,
    states: np.ndarray,
    rates: np.ndarray,
    frames: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write unit quaternions (N, n_t, 4) and co-orbital modes (N, n_t, n_modes) complex128 at the times of `p`.

    `offset` is the model's number of the first of `nodes`, `begin` the place of the first time in the tables.
    """
    lanes = q.size
    log_q = np.log(q) / SCALE_LOG_Q
    size, first, parts = len(t.of_modes.exponents), t.of_modes.first, out.view(np.float64)
    turn, x, values = np.empty((2, lanes)), np.empty((N_VARIABLES, lanes)), np.empty((size, lanes))
    found, y = np.empty((p.kinds.size, lanes)), np.empty((dynamics.N_STATE, lanes))
    for i in range(p.node.size):
        k = p.node[i] - offset
        for c in range(dynamics.N_STATE):
            for j in range(lanes):
                y[c, j] = states[k, c, j]
        if p.between[i]:
            step = (nodes[k + 1] - nodes[k]) / 8
            for c in range(dynamics.N_STATE):
                for j in range(lanes):
                    y[c, j] = 0.5 * (y[c, j] + states[k + 1, c, j]) + step * (rates[k, c, j] - rates[k + 1, c, j])
        _values(t.of_modes, log_q, y, turn, x, values)
        _sums(t.modes[0], t.piece_rows[0], begin + i, shares, values[first[0] : first[1]], found)
        _sums(t.modes[1], t.piece_rows[1], begin + i, shares, values[first[1] : first[2]], found)
        _sums(t.modes[2], t.piece_rows[2], begin + i, shares, values[first[2] : first[3]], found)
        _sums(t.modes[3], t.piece_rows[3], begin + i, shares, values[first[3] : first[4]], found)
        for j in range(lanes):
            length = np.sqrt(y[0, j] ** 2 + y[1, j] ** 2 + y[2, j] ** 2 + y[3, j] ** 2)
            for c in range(4):
                frames[j, i, c] = y[c, j] / length
            row = parts[j, i]
            row[:] = 0.0
            for piece in range(p.kinds.size):
                value = found[piece, j]
                row[p.plus[piece]] += value
                row[p.minus[piece]] += value * p.sign[piece]


def evolve(
    model: PrecessingModes, q: np.ndarray, chi1: np.ndarray, chi2: np.ndarray, t_ref: np.ndarray, t_first: np.ndarray
) -> list[Evolved]:
    """`PrecessingModes.evolve` of each of N binaries: `q`, `t_ref`, `t_first` (N,), spins (N, 3)."""
    starts = np.searchsorted(model.nodes, np.minimum(t_ref, t_first), side="right") - MARGIN
    found: list[Evolved | None] = [None] * len(q)
    for i in np.flatnonzero(starts < model.n_early):
        found[i] = model.evolve(float(q[i]), chi1[i], chi2[i], float(t_ref[i]), float(t_first[i]))
    # Lanes side by side begin at nearly the same node, and need the same sets of polynomials.
    rest = np.flatnonzero(starts >= model.n_early)
    rest = rest[np.argsort(t_ref[rest], kind="stable")]
    of_beyond = np.array([model.tables.share(float(ratio)) for ratio in q[rest]])
    alike = rest[of_beyond == 0.0], rest[(of_beyond > 0.0) & (of_beyond < 1.0)], rest[of_beyond == 1.0]
    starts = np.minimum(starts, len(model.nodes) - MARGIN)
    r, p = model.tables.near
    for block in (rows[k : k + LANES] for rows in alike for k in range(0, len(rows), LANES)):
        offset, lanes = int(starts[block].min()), len(block)
        part = dynamics.Rates(
            r.times[offset:], r.monomials, r.coefficients, r.known[offset:], r.forward[offset:], r.backward[offset:]
        )
        n = len(part.times)
        state = np.concatenate([np.eye(5, 1).repeat(lanes, 1), chi1[block].T, chi2[block].T])
        base, advance, share = np.zeros((n, lanes)), np.zeros((n, lanes)), np.ones((n, lanes))
        first, weights = np.zeros(lanes, np.int64), np.zeros((lanes, 4, 4))
        states, rates = np.ones((2, n, dynamics.N_STATE, lanes))
        share_of = model.tables.shares(q[block])
        shares = np.stack([np.ones(lanes) if x is None else x for x in share_of.values()])
        t = model.lane_tables.of_sets(list(share_of))
        gates = np.array([model.gate(chi1[i], chi2[i]) for i in block])
        along = [
            model.along_orbit(float(q[i]), chi1[i], chi2[i], float(t_ref[i]), gate, int(starts[i]))
            for i, gate in zip(block, gates.tolist(), strict=True)
        ]
        mixed_lanes = [j for j, one in enumerate(along) if one is not None]
        knots_of: dict[int, Knots] = {}
        if mixed_lanes:
            every = model.aligned.at_knots(np.array([along[j] for j in mixed_lanes]))
            for k, j in enumerate(mixed_lanes):
                knots_of[j] = Knots(every.knots, every.centre, *(x[k : k + 1] for x in every[2:]))
        for j, i in enumerate(block):
            gate = gates[j]
            if j in knots_of:
                found_base, found_advance, found_share = model.base(knots_of[j], gate, offset, float(t_ref[i]))
                base[:, j], advance[:, j], share[:, j] = found_base[offset:], gate * found_advance[offset:], found_share[offset:]
            first[j], weights[j] = dynamics.start_weights(part.times, float(t_ref[i]))
            near = slice(first[j], first[j] + 4)
            nodes = slice(offset + first[j], offset + first[j] + 4)
            sets = (model.tables.sets[number][0].coefficients[nodes] for number in share_of)
            mixed = sum(own * coefficients for own, coefficients in zip(shares[:, j], sets, strict=True))
            one = part._replace(times=part.times[near], coefficients=mixed, known=part.known[near])
            four, four_rates = np.empty((2, 4, dynamics.N_STATE))
            given = base[near, j], share[near, j], gate, advance[near, j]
            dynamics.collocate(one, float(q[i]), state[:, j].copy(), 0, weights[j], *given, four, four_rates)
            states[near, :, j], rates[near, :, j] = four, four_rates
        integrate(t, part, offset, q[block], shares, state, first, weights, base, share, gates, advance, states, rates)
        late = int(np.searchsorted(model.times, part.times[0] - 1e-9))
        pieces = p._replace(node=p.node[late:], between=p.between[late:])
        frames = np.empty((lanes, len(pieces.node), 4))
        coprecessing = np.empty((lanes, len(pieces.node), len(coorbital.MODES)), np.complex128)
        modes(t, pieces, offset, late - model.n_early, part.times, q[block], shares, states, rates, frames, coprecessing)
        times, known = model.times[late:], model.known_modes[late:]
        states, rates = (np.ascontiguousarray(x.transpose(2, 0, 1)) for x in (states, rates))
        for j, i in enumerate(block):
            begin = starts[i] - offset
            after = int(np.searchsorted(times, part.times[begin] - 1e-9))
            if j in knots_of and (gates[j] > 0.0 or known[after] < 1.0):
                model.mix(knots_of[j], times[after:], known[after:], float(gates[j]), coprecessing[j, after:])
            rows = states[j, begin:], rates[j, begin:]
            found[i] = Evolved(part.times[begin:], *rows, times[after:], frames[j, after:], coprecessing[j, after:])
    return found  # type: ignore[return-value]
