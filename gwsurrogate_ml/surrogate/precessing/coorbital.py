"""Modes in the co-orbital frame by polynomials of the spins at each time, symmetric and antisymmetric under reflection apart.

Reflection in the orbital plane takes h_lm to ``(-1)^l conj(h_l,-m)``: half sum and half difference of the two are even and odd in
the spins' components in the plane, and of the parity (-1)^m under exchange of the bodies (Boyle et al. 2014, arXiv:1409.4431). Real
and imaginary part of each are a piece.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.surrogate.precessing.polynomials import Monomials, evaluate, variables

KNOWN: tuple[ModeKey, ...] = tuple((l, m) for l in range(2, 5) for m in range(-l, l + 1))
"""What is learned from precessing binaries."""
MODES: tuple[ModeKey, ...] = (*KNOWN, (5, -5), (5, 5))
"""What the polynomials give: (5, +-5) is the aligned model's, with the spins' components along the orbit at each time."""


def pieces() -> list[tuple[int, int, int, int]]:
    """l, m >= 0, 0 symmetric or 1 antisymmetric, 0 real or 1 imaginary of each piece; of m = 0 half of them vanish.

    The last two are those of (5, 5).
    """
    every = [(l, m, odd, part) for l, m in KNOWN if m >= 0 for odd in (0, 1) for part in (0, 1)]
    return [(l, m, odd, part) for l, m, odd, part in every if m or (l + odd + part) % 2 == 0] + [(5, 5, 0, 0), (5, 5, 0, 1)]


def kinds() -> np.ndarray:
    """Kind of the monomials (n_pieces,) of each piece, see `polynomials.Monomials`."""
    return np.array([2 * (m % 2) + odd for _, m, odd, _ in pieces()])


def beyond() -> np.ndarray:
    """Places among the pieces (n,) int64 of those that SEOBNRv5PHM has too, which takes over where simulations end."""
    symmetric, antisymmetric = {(2, 1), (2, 2), (3, 2), (3, 3), (4, 3), (4, 4), (5, 5)}, {(2, 2), (3, 3), (4, 4)}
    return np.array([k for k, (l, m, odd, _) in enumerate(pieces()) if (l, m) in (antisymmetric if odd else symmetric)])


def split(modes: np.ndarray) -> np.ndarray:
    """All pieces but the last two, (..., n, n_t) float64, of co-orbital modes (..., 21, n_t) complex128, ordered as `KNOWN`."""
    out = []
    for l, m, odd, part in pieces()[:-2]:
        mirrored = (-1) ** l * np.conj(modes[..., KNOWN.index((l, -m)), :])
        half = 0.5 * (modes[..., KNOWN.index((l, m)), :] + (-1) ** odd * mirrored)
        out.append(half.imag if part else half.real)
    return np.stack(out, axis=-2)


class Pieces(NamedTuple):
    """Polynomials of all pieces at the times of the modes.

    Parameters
    ----------
    monomials : Monomials
    kinds : (n_pieces,) int64
    coefficients : (n,) float32
        of one piece after the other, time by time, without those that are zero; single precision: their errors are 1e-7 of the
        modes, and memory is what evaluating them takes
    node : (n_t,) int64
        the node of the dynamics at the time, or the one before it
    between : (n_t,) bool
        whether the time is in the middle between that node and the next
    begin, used : (n_t, n_pieces) int64
        where the coefficients of a piece at a time begin, and how many there are: of the first monomials of its kind
    plus, minus : (n_pieces,) int64
        places of (l, m) and (l, -m) among the real and imaginary parts of the modes, side by side
    sign : (n_pieces,) float64
        what a piece is multiplied by at `minus`
    """

    monomials: Monomials
    kinds: np.ndarray
    coefficients: np.ndarray
    node: np.ndarray
    between: np.ndarray
    begin: np.ndarray
    used: np.ndarray
    plus: np.ndarray
    minus: np.ndarray
    sign: np.ndarray


def used(coefficients: np.ndarray) -> np.ndarray:
    """`Pieces.used` of `coefficients` (n_t, n_pieces, n_most)."""
    number = np.arange(1, coefficients.shape[-1] + 1)
    return np.max(np.where(coefficients != 0, number, 0), axis=-1, initial=0)


def table(monomials: Monomials, coefficients: np.ndarray, nodes: np.ndarray, times: np.ndarray) -> Pieces:
    """The pieces at `times`, each of which is one of `nodes` or in the middle between two; coefficients (n_t, n_pieces, n_most)."""
    n = used(coefficients)
    node = np.searchsorted(nodes, times + 1e-9, side="right") - 1
    rows = pieces()
    mirrored = np.array([float((-1) ** (l + odd + part)) if m else 0.0 for l, m, odd, part in rows])
    return Pieces(
        monomials,
        kinds(),
        coefficients[np.arange(coefficients.shape[-1]) < n[..., None]].astype(np.float32),
        node,
        np.abs(nodes[node] - times) > 1e-6,
        np.cumsum(n).reshape(n.shape) - n,
        n,
        np.array([2 * MODES.index((l, m)) + part for l, m, _, part in rows]),
        np.array([2 * MODES.index((l, -m)) + part for l, m, _, part in rows]),
        mirrored,
    )


def full(p: Pieces) -> np.ndarray:
    """Coefficients (n_t, n_pieces, n_most) float64, with those that are zero."""
    there = np.arange(np.diff(p.monomials.first).max()) < p.used[..., None]
    out = np.zeros(there.shape)
    out[there] = p.coefficients
    return out


@njit(nogil=True)
def unit_frames(states: np.ndarray) -> np.ndarray:
    """Unit quaternions (n, 4) of `states` (n, 11)."""
    out = np.empty((len(states), 4))
    for i in range(len(states)):
        a, b, c, d = states[i, 0], states[i, 1], states[i, 2], states[i, 3]
        length = np.sqrt(a * a + b * b + c * c + d * d)
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = a / length, b / length, c / length, d / length
    return out


@njit(nogil=True)
def states_at(node: np.ndarray, between: np.ndarray, nodes: np.ndarray, states: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """States (n_t, 11) at the times of the modes, `node` and `between` as in `Pieces`.

    Between `nodes` by the cubic through both and their rates.
    """
    out = np.empty((node.size, states.shape[1]))
    for i in range(node.size):
        k = node[i]
        if not between[i]:
            out[i] = states[k]
            continue
        step = (nodes[k + 1] - nodes[k]) / 8
        for c in range(states.shape[1]):
            out[i, c] = 0.5 * (states[k, c] + states[k + 1, c]) + step * (rates[k, c] - rates[k + 1, c])
    return out


@njit(nogil=True, fastmath=True)
def modes(p: Pieces, q: float, states: np.ndarray, offset: int, start: int, share: float, out: np.ndarray) -> None:
    """Add a share of the co-orbital modes to `out` (n, n_modes) complex128; `states` (n, 11) at the times from number `offset` on.

    There are modes from the time number `start` on.
    """
    x, spins = np.empty(7), np.empty(6)
    every, values = np.empty(len(p.monomials.exponents)), np.empty(len(p.monomials.exponents))
    first, coefficients, plus, minus, parts = p.monomials.first, p.coefficients, p.plus, p.minus, out.view(np.float64)
    for i in range(start, p.node.size):
        state, row = states[i - offset], parts[i - offset]
        c, s = np.cos(state[4]), np.sin(state[4])
        for k in (0, 3):
            spins[k] = c * state[5 + k] + s * state[6 + k]
            spins[k + 1] = c * state[6 + k] - s * state[5 + k]
            spins[k + 2] = state[7 + k]
        variables(q, spins, x)
        evaluate(p.monomials, x, every)
        values[:] = every
        # Here and not in a function: calls would take longer than the many thousand short sums.
        for j in range(p.kinds.size):
            kind = p.kinds[j]
            of_kind = values[first[kind] : first[kind] + p.used[i, j]]
            of_piece = coefficients[p.begin[i, j] : p.begin[i, j] + p.used[i, j]]
            total = 0.0
            for k in range(of_kind.size):
                total += of_piece[k] * of_kind[k]
            total *= share
            row[plus[j]] += total
            row[minus[j]] += total * p.sign[j]
