"""The early inspiral: what comes before the first knot of a surrogate, so that light binaries are reached from low frequencies.

Phase and amplitude of the (2,2) mode and the co-orbital modes are there what `baseline` says plus a polynomial, of the same form as
stage 1 and `higher` without their networks: the orbits are long, and what SEOBNRv5HM adds to post-Newtonian theory is smooth. One
artefact serves all surrogates that begin at the same knot, whatever they learned later: it is joined at that knot, its phase
counted from there; its last times, `PADS` beyond that knot, only tell the splines how it goes on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.errors import ArtifactError
from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.surrogate.aligned import baseline, higher
from gwsurrogate_ml.surrogate.aligned.coordinates import columns, features, masses, split
from gwsurrogate_ml.surrogate.aligned.linear import add_product, chebyshev_terms, combined
from gwsurrogate_ml.surrogate.aligned.predictor import chebyshev_exponents
from gwsurrogate_ml.surrogate.aligned.predictor import chebyshev_terms as terms_of_many
from gwsurrogate_ml.waveform.elementary import exponentiate
from gwsurrogate_ml.waveform.spline import slopes

Array = Any
PADS = 8


class Tables(NamedTuple):
    """Everything about the early inspiral that does not depend on the binary; n = n_early + 1 + PADS times, or none."""

    knots: np.ndarray  # (n,)
    n_early: int
    u: np.ndarray  # (n,) as in `compiled.Tables`
    log_u: np.ndarray
    log_envelope: np.ndarray
    mean: np.ndarray  # (2 n,) phase and log amplitude
    basis: np.ndarray  # (n_basis, 2 n)
    exponents: np.ndarray  # (n_terms, 4)
    polynomial: np.ndarray  # (n_terms, n_basis)
    orders: np.ndarray  # (n_modes - 1,)
    higher_polynomial: np.ndarray  # (n_terms, 2 (n_modes - 1) n_higher)
    higher_basis: np.ndarray  # (n_modes - 1, 4, n_higher, n_early) for eta = 1, with slopes


class Early(NamedTuple):
    """N early inspirals: phase since the first knot of the surrogate and amplitude, with slopes, (N, n_early); the coefficients of
    the other modes (N, n_modes - 1, n_higher) in units of the basis for eta = 1."""

    phase: np.ndarray
    phase_slope: np.ndarray
    amplitude: np.ndarray
    amplitude_slope: np.ndarray
    higher: np.ndarray


class Inspiral:
    """The trained early inspiral for a surrogate with certain modes.

    Parameters
    ----------
    card : dict
        of the artefact
    tensors : dict of arrays
    modes : tuple of (l, m)
        the surrogate's, (2, 2) first

    Raises
    ------
    ArtifactError
        if it lacks a mode, or weights and card do not belong together
    """

    def __init__(self, card: dict[str, Any], tensors: dict[str, np.ndarray], modes: tuple[ModeKey, ...]) -> None:
        known = [(int(l), int(m)) for l, m in card["modes"]]
        if lacking := sorted(set(modes) - set(known)):
            raise ArtifactError(
                f"the early inspiral {card['name']!r} lacks the mode {lacking[0]}: train it with all of the model's"
            )
        self.info, self.modes, self.degree = card, modes, int(card["degree"])
        self.tensors = {key: np.array(value, dtype=np.float64, order="C") for key, value in tensors.items()}
        if len(self.tensors["leading.polynomial"]) != len(chebyshev_exponents(self.degree)):
            raise ArtifactError(f"the card's degree {self.degree} does not fit the weights of {card['name']!r}: restore the card")
        rows = [known.index(mode) - 1 for mode in modes[1:]]
        basis = self.tensors["higher.basis"]
        both = self.tensors["higher.polynomial"].reshape(-1, 2, *basis.shape[:2])
        self.tensors["higher.basis"] = np.ascontiguousarray(basis[rows])
        self.tensors["higher.polynomial"] = np.ascontiguousarray(both[:, :, rows]).reshape(len(both), -1)
        self.knots = self.tensors["knots"]
        self.n_early = len(self.knots) - 1 - PADS
        self.tables = _tables(self.tensors, self.degree, modes)

    def require_knots(self, knots: np.ndarray) -> None:
        """Raise ArtifactError unless the surrogate's `knots` begin where the early inspiral is joined."""
        joined = self.knots[self.n_early :]
        if len(knots) < len(joined) or not np.allclose(knots[: len(joined)], joined, rtol=1e-12):
            raise ArtifactError(
                f"the early inspiral {self.info['name']!r} is joined at {joined[0]:g} M, the model begins at {knots[0]:g} M: train "
                "one for it, or take `inspiral` out of its configuration"
            )

    def at_knots(self, parameters: np.ndarray) -> Early:
        """The early inspirals of `parameters` (N, 3)."""
        return _at_knots(self.tables, parameters)

    def rows(self, parameters: Array, tensors: dict[str, Any], xp: Any) -> tuple[Array, Array, Array]:
        """Phase and log amplitude (N, n), and the other modes' parts (N, n_modes - 1, 2, n), at all times, for numpy or torch.

        `tensors` are those of this object, as arrays of `xp`.
        """
        eta, m1, _, chi1, chi2 = split(parameters)
        t, n = tensors["knots"], len(self.knots)
        terms = terms_of_many(features(parameters, xp), self.degree, xp)
        learned = tensors["leading.mean"] + terms @ tensors["leading.polynomial"] @ tensors["leading.basis"]
        phase = baseline.phase(t, eta, m1, chi1, chi2, xp) + learned[:, :n]
        envelope = baseline.amplitude(t, eta)
        n_modes, n_basis, _ = tensors["higher.basis"].shape
        f, g = higher.combination(parameters, self.modes[1:], n_basis, xp) if n_modes else (terms[:, :0], terms[:, :0])
        both, half = terms @ tensors["higher.polynomial"], n_modes * n_basis
        found = (both[:, :half] * f + both[:, half:] * g).reshape(len(parameters), n_modes, n_basis)
        parts = xp.swapaxes(xp.swapaxes(found, 0, 1) @ tensors["higher.basis"], 0, 1).reshape(len(parameters), n_modes, 2, n)
        return phase - phase[:, self.n_early, None], xp.log(envelope) + learned[:, n:], parts * envelope[:, None, None, :]


def _tables(tensors: dict[str, np.ndarray], degree: int, modes: tuple[ModeKey, ...]) -> Tables:
    knots = tensors["knots"]
    n, n_early, n_more = len(knots), len(knots) - 1 - PADS, len(modes) - 1
    envelope = baseline.amplitude(knots, 1.0)
    u = 0.5 * (baseline.time_to_coalescence(knots) / 5.0) ** (-0.125)
    values = tensors["higher.basis"].reshape(n_more, tensors["higher.basis"].shape[1], 2, n) * envelope
    both = np.stack([values, slopes(knots, values.reshape(-1, n)).reshape(values.shape)], 1)
    both = np.moveaxis(both, 2, 3).reshape(n_more, 4, values.shape[1], n)[..., :n_early]
    return Tables(
        knots=knots,
        n_early=n_early,
        u=u,
        log_u=np.log(u),
        log_envelope=np.log(envelope),
        mean=tensors["leading.mean"],
        basis=tensors["leading.basis"],
        exponents=np.array(chebyshev_exponents(degree), dtype=np.int64),
        polynomial=tensors["leading.polynomial"],
        orders=np.array([m for _, m in modes[1:]], dtype=np.int64),
        higher_polynomial=tensors["higher.polynomial"],
        higher_basis=np.ascontiguousarray(both),
    )


@njit(nogil=True)
def _at_knots(t: Tables, parameters: np.ndarray) -> Early:
    n, n_early, size = t.knots.size, t.n_early, len(parameters)
    n_more, _, n_basis, _ = t.higher_basis.shape
    out = Early(
        np.empty((size, n_early)),
        np.empty((size, n_early)),
        np.empty((size, n_early)),
        np.empty((size, n_early)),
        np.empty((size, n_more, n_basis)),
    )
    pair = np.empty((2, n))
    for i in range(size):
        q, chi1, chi2 = parameters[i]
        eta, m1, delta = masses(q)
        log_eta = np.log(eta)
        terms = chebyshev_terms(np.array(columns(eta, delta, chi1, chi2, np.log(4.0 * eta))), t.exponents)
        coefficients = np.zeros(t.polynomial.shape[1])
        add_product(terms, t.polynomial, coefficients)
        learned = t.mean.copy()
        add_product(coefficients, t.basis, learned)
        both = np.zeros(t.higher_polynomial.shape[1])
        add_product(terms, t.higher_polynomial, both)
        combined(both, t.orders, delta, 0.5 * (chi1 - chi2), out.higher[i])
        out.higher[i] *= eta**0.75
        series = baseline.series(eta, m1, chi1, chi2)
        factor, log_factor = eta**-0.125, -0.125 * log_eta
        for j in range(n):
            pair[0, j] = baseline.phase_of(factor * t.u[j], t.log_u[j] + log_factor, eta, series) + learned[j]
            pair[1, j] = t.log_envelope[j] + 0.75 * log_eta + learned[n + j]
        exponentiate(pair[1])
        slope = slopes(t.knots, pair)
        for j in range(n_early):
            out.phase[i, j], out.phase_slope[i, j] = pair[0, j] - pair[0, n_early], slope[0, j]
            out.amplitude[i, j], out.amplitude_slope[i, j] = pair[1, j], slope[1, j]
    return out
