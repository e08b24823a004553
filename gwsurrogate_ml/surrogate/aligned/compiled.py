"""The surrogate in compiled code: from parameters to coefficients, to the knots, to the co-orbital modes.

The same model as `predictor` and `higher`, to rounding, arranged for speed. Everything that does not depend on the binary is
worked out once (`tables`); network weights stay in float32, as they were trained, since the time of one waveform goes into
reading them; and since the leading-order amplitude is eta^(3/4) times a function of time, the higher modes' values and slopes at
the knots are plain sums over tabulated basis vectors, done only where they are needed.

numba keeps compiled code until this file changes: after changes to `elementary`, `spline`, `baseline`, `linear` or `coordinates`
alone, clear the package's `__pycache__` folders, or `NUMBA_CACHE_DIR`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.jit import njit
from gwsurrogate_ml.surrogate.aligned import baseline, correction, higher, inspiral, predictor
from gwsurrogate_ml.surrogate.aligned.coordinates import columns, masses
from gwsurrogate_ml.surrogate.aligned.linear import add_product, chebyshev_terms, combined
from gwsurrogate_ml.waveform.elementary import exponentiate
from gwsurrogate_ml.waveform.spline import hermite, rotating_modes, slopes


class Network(NamedTuple):
    """An ensemble, its weights and biases in a row, layer by layer, member by member; and its polynomial (n_terms, n_out)."""

    polynomial: np.ndarray
    mean: np.ndarray
    inverse_scale: np.ndarray
    weights: np.ndarray
    biases: np.ndarray
    widths: np.ndarray
    members: int
    scale: np.ndarray


class Processes(NamedTuple):
    """Gaussian processes: centres (4, n), half the inverse squares of the lengths (n_out, 4), weights (n_out, n)."""

    centres: np.ndarray
    stiffness: np.ndarray
    weights: np.ndarray


class Tables(NamedTuple):
    """Everything about a model that does not depend on the binary."""

    knots: np.ndarray  # (n,)
    centre: int  # index of the knot at t = 0
    u: np.ndarray  # (n,) u of the phase's series for eta = 1, and its logarithm
    log_u: np.ndarray
    log_envelope: np.ndarray  # (n,) logarithm of the leading-order amplitude for eta = 1
    mean: np.ndarray  # (2 n,) phase and log amplitude, learned: mean and basis vectors (n_basis, 2 n)
    basis: np.ndarray
    exponents: np.ndarray  # (n_terms, 4)
    stage1: Network
    stage2: Processes
    stage2_long: Processes
    higher: Network
    stage3: np.ndarray  # (n_terms, (n_modes - 1) n_basis of stage 3) the correction's polynomials, and their exponents (n_terms, 3)
    stage3_exponents: np.ndarray
    orders: np.ndarray  # (n_modes,) each mode's m, that of (2,2) first
    higher_basis: np.ndarray  # (n_modes - 1, 4, n_basis, n) for eta = 1: real and imaginary part, and their slopes
    early_basis: np.ndarray  # (n_modes - 1, 4, n_early_basis, n_early) for what comes before, see `inspiral`


class Knots(NamedTuple):
    """N waveforms at `knots` (n,), those of `Tables` or with the early inspiral's before them, `centre` the place of t = 0: phase
    and amplitude of (2,2) with slopes (N, n), the peak's time (N,); the coefficients of the other modes in units of the basis for
    eta = 1, (N, n_modes - 1, n_basis), and those of the early inspiral."""

    knots: np.ndarray
    centre: int
    phase: np.ndarray
    phase_slope: np.ndarray
    amplitude: np.ndarray
    amplitude_slope: np.ndarray
    shift: np.ndarray
    higher: np.ndarray
    early: np.ndarray


def tables(tensors: dict[str, Any], degree: int, modes: tuple[ModeKey, ...], early_basis: np.ndarray | None = None) -> Tables:
    """Tables of the model stored as `tensors` (numpy arrays), with `modes` in the tensors' order, (2,2) first."""
    knots = tensors["knots"]
    n, n_more = len(knots), len(modes) - 1
    envelope = baseline.amplitude(knots, 1.0)
    u = 0.5 * (baseline.time_to_coalescence(knots) / 5.0) ** (-0.125)
    values = np.zeros((0, 1, 2, n))
    if n_more:
        values = higher.basis(tensors).reshape(n_more, -1, 2, n) * envelope
    polynomial = tensors.get("stage3.polynomial", np.zeros((0, 0)))
    both = np.stack([values, slopes(knots, values.reshape(-1, n)).reshape(values.shape)], 1)
    return Tables(
        knots=knots,
        centre=int(np.flatnonzero(knots == 0.0)[0]),
        u=u,
        log_u=np.log(u),
        log_envelope=np.log(envelope),
        mean=tensors["stage1.mean"],
        basis=predictor.basis(tensors),
        exponents=np.array(predictor.chebyshev_exponents(degree), dtype=np.int64),
        stage1=_network(tensors, "stage1"),
        stage2=_processes(tensors, "stage2"),
        stage2_long=_processes(tensors, "stage2_long"),
        higher=_network(tensors, "higher"),
        stage3=polynomial,
        stage3_exponents=np.array(correction.exponents_of(len(polynomial)), dtype=np.int64).reshape(-1, 3),
        orders=np.array([m for _, m in modes], dtype=np.int64),
        higher_basis=np.ascontiguousarray(np.moveaxis(both, 2, 3)).reshape(n_more, 4, values.shape[1], n),
        early_basis=np.zeros((n_more, 4, 0, 0)) if early_basis is None else early_basis,
    )


def _network(tensors: dict[str, Any], prefix: str) -> Network:
    """The network stored under `prefix`; one without outputs if there is none."""
    if f"{prefix}.weight0" not in tensors:
        none = np.zeros(0)
        return Network(np.zeros((0, 0)), none, none, none.astype(np.float32), none, np.zeros(1, np.int64), 1, none)
    layers = sum(1 for key in tensors if key.startswith(f"{prefix}.weight"))
    matrices = [tensors[f"{prefix}.weight{k}"] for k in range(layers)]
    weights = np.concatenate([matrix.ravel() for matrix in matrices])
    single = weights.astype(np.float32)
    members = len(matrices[0])
    return Network(
        polynomial=tensors[f"{prefix}.polynomial"],
        mean=tensors[f"{prefix}.input_mean"],
        inverse_scale=1.0 / tensors[f"{prefix}.input_scale"],
        weights=single if np.array_equal(single, weights) else weights.astype(np.float64),
        biases=np.concatenate([tensors[f"{prefix}.bias{k}"].ravel() for k in range(layers)]).astype(np.float64),
        widths=np.array([matrices[0].shape[1], *(matrix.shape[2] for matrix in matrices)], dtype=np.int64),
        members=members,
        scale=tensors[f"{prefix}.output_scale"] / members,
    )


def _processes(tensors: dict[str, Any], prefix: str) -> Processes:
    """The Gaussian processes stored under `prefix`; none if there are none."""
    if f"{prefix}.basis" not in tensors:
        return Processes(np.zeros((4, 0)), np.zeros((0, 4)), np.zeros((0, 0)))
    return Processes(
        np.ascontiguousarray(tensors[f"{prefix}.centres"].T),
        0.5 * tensors[f"{prefix}.length"] ** -2.0,
        tensors[f"{prefix}.alpha"],
    )


@njit(nogil=True)
def _add_mean(network: Network, x: np.ndarray, out: np.ndarray) -> None:
    """Add the mean of the ensemble at features `x` (4,) to `out` (n_out,)."""
    widths, members = network.widths, network.members
    # Two rooms that the layers use in turn; each member's numbers follow those of the one before.
    hidden, following = np.empty(members * widths.max()), np.empty(members * widths.max())
    for i in range(members * x.size):
        hidden[i] = (x[i % x.size] - network.mean[i % x.size]) * network.inverse_scale[i % x.size]
    at_weight, at_bias = 0, 0
    for layer in range(widths.size - 1):
        n_in, n = widths[layer], widths[layer + 1]
        for i in range(members * n):
            following[i] = network.biases[at_bias + i]
        for k in range(members):
            matrix = network.weights[at_weight : at_weight + n_in * n].reshape(n_in, n)
            add_product(hidden[k * n_in : (k + 1) * n_in], matrix, following[k * n : (k + 1) * n])
            at_weight += n_in * n
        at_bias += members * n
        if layer < widths.size - 2:
            for i in range(members * n):
                hidden[i] = -following[i]
            exponentiate(hidden[: members * n])
            for i in range(members * n):
                hidden[i] = following[i] / (1.0 + hidden[i])
    for k in range(members):
        for i in range(out.size):
            out[i] += following[k * out.size + i] * network.scale[i]


@njit(nogil=True)
def _add_processes(processes: Processes, x: np.ndarray, out: np.ndarray) -> None:
    """Add the processes' means at features `x` (4,) to `out` (n_out,)."""
    centres = processes.centres
    exponent = np.empty(centres.shape[1])
    for j in range(out.size):
        a, b, c, d = processes.stiffness[j]
        for k in range(exponent.size):
            exponent[k] = -(
                a * (x[0] - centres[0, k]) ** 2
                + b * (x[1] - centres[1, k]) ** 2
                + c * (x[2] - centres[2, k]) ** 2
                + d * (x[3] - centres[3, k]) ** 2
            )
        exponentiate(exponent)
        total = 0.0
        for k in range(exponent.size):
            total += processes.weights[j, k] * exponent[k]
        out[j] += total


@njit(nogil=True)
def coefficients(t: Tables, q: float, chi1: float, chi2: float) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of `Tables.basis` (1, n_basis) and, one mode after the other, of the modes' bases (1, n_modes - 1, n_basis)."""
    eta, _, delta = masses(q)
    x = np.array(columns(eta, delta, chi1, chi2, np.log(4.0 * eta)))
    terms = chebyshev_terms(x, t.exponents)
    leading = np.zeros((1, len(t.basis)))
    first = t.stage1.scale.size
    second = 2 * first + len(t.stage2.stiffness)
    add_product(terms, t.stage1.polynomial, leading[0, :first])
    _add_mean(t.stage1, x, leading[0, first : 2 * first])
    _add_processes(t.stage2, x, leading[0, 2 * first : second])
    _add_processes(t.stage2_long, x, leading[0, second:])
    n_more, _, n_basis, _ = t.higher_basis.shape
    more = np.zeros((1, n_more, n_basis))
    both = np.zeros(t.higher.scale.size)
    if both.size:
        _add_mean(t.higher, x, both)
        add_product(terms, t.higher.polynomial, both)
        own = np.empty((n_more, both.size // (2 * n_more)))
        combined(both, t.orders[1:], delta, 0.5 * (chi1 - chi2), own)
        more[0, :, : own.shape[1]] = own
        if t.stage3.size:
            correction.write(t.stage3, t.stage3_exponents, q, chi1, chi2, more[0, :, own.shape[1] :])
    return leading, more


@njit(nogil=True)
def _log_totals(t: Tables, higher: np.ndarray, amplitude: np.ndarray, centre: int, out: np.ndarray) -> None:
    """Write log sqrt(sum over modes of |h_lm|^2) at the five knots around `centre` into `out`."""
    for j in range(5):
        at = centre - 2 + j
        total = amplitude[at] ** 2
        for mode in range(higher.shape[0]):
            re, im = 0.0, 0.0
            for b in range(higher.shape[1]):
                re += higher[mode, b] * t.higher_basis[mode, 0, b, at]
                im += higher[mode, b] * t.higher_basis[mode, 1, b, at]
            total += re * re + im * im
        out[j] = 0.5 * np.log(total)


@njit(nogil=True)
def at_knots(t: Tables, parameters: np.ndarray, leading: np.ndarray, more: np.ndarray) -> Knots:
    """Waveforms of `parameters` (N, 3) at the knots, phase 0 at the peak, from their coefficients."""
    n, size = t.knots.size, len(parameters)
    pair = np.empty((2, n))
    learned = np.empty(2 * n)
    k = Knots(
        t.knots,
        t.centre,
        np.empty((size, n)),
        np.empty((size, n)),
        np.empty((size, n)),
        np.empty((size, n)),
        np.empty(size),
        np.empty(more.shape),
        np.empty((size, more.shape[1], 0)),
    )
    five = np.empty(5)
    for i in range(size):
        q, chi1, chi2 = parameters[i]
        eta, m1, _ = masses(q)
        log_eta = np.log(eta)
        learned[:] = t.mean
        add_product(leading[i], t.basis, learned)
        series = baseline.series(eta, m1, chi1, chi2)
        factor, log_factor = eta**-0.125, -0.125 * log_eta
        for j in range(n):
            pair[0, j] = baseline.phase_of(factor * t.u[j], t.log_u[j] + log_factor, eta, series) + learned[j]
            pair[1, j] = t.log_envelope[j] + 0.75 * log_eta + learned[n + j]
        exponentiate(pair[1])
        k.higher[i] = eta**0.75 * more[i]
        # The peak is that of the sum over modes of |h_lm|^2, uphill from that of (2,2).
        centre = t.centre
        _log_totals(t, k.higher[i], pair[1], centre, five)
        uphill = 1 if five[3] > five[2] else -1
        while five[2 + uphill] > five[2] and abs(centre - t.centre) < predictor.PEAK_REACH:
            centre += uphill
            _log_totals(t, k.higher[i], pair[1], centre, five)
        k.shift[i] = t.knots[centre] + predictor.peak_shift(five[0], five[1], five[2], five[3], five[4])
        slope = slopes(t.knots, pair)
        at_peak = hermite(t.knots, pair[0], slope[0], k.shift[i : i + 1])[0]
        for j in range(n):
            k.phase[i, j], k.phase_slope[i, j] = pair[0, j] - at_peak, slope[0, j]
            k.amplitude[i, j], k.amplitude_slope[i, j] = pair[1, j], slope[1, j]
    return k


def extended(k: Knots, knots: np.ndarray, early: inspiral.Early) -> Knots:
    """The waveforms of `k` with their early inspirals before them; `knots` (n_early + n,) are the times of both."""
    join = k.phase[:, :1]
    return k._replace(
        knots=knots,
        centre=k.centre + len(knots) - len(k.knots),
        phase=np.concatenate([early.phase + join, k.phase], 1),
        phase_slope=np.concatenate([early.phase_slope, k.phase_slope], 1),
        amplitude=np.concatenate([early.amplitude, k.amplitude], 1),
        amplitude_slope=np.concatenate([early.amplitude_slope, k.amplitude_slope], 1),
        early=early.higher,
    )


def at_all_knots(t: Tables, k: Knots) -> np.ndarray:
    """Co-orbital real and imaginary parts and their slopes (n_modes - 1, 4, N, n) at the knots, by BLAS for many at once."""
    return k.higher.swapaxes(0, 1)[:, None] @ t.higher_basis


NOTHING = np.zeros((0, 0, 0, 0))
"""In place of `at_all_knots` for a single binary, whose modes are worked out only where they are needed."""


@njit(nogil=True)
def coorbital(t: Tables, k: Knots, rows: np.ndarray, i: int, n_modes: int, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary parts (n_modes, 2, n) of the i-th waveform's first modes in the co-orbital frame, and their slopes.

    Only what times from `start` (M, on the scale of the knots) on need is filled; `rows` are those of `at_all_knots`, or `NOTHING`.
    """
    n, n_early = k.knots.size, k.knots.size - t.knots.size
    first = max(int(np.searchsorted(k.knots, start, side="right")) - 1, 0)
    late = max(first, n_early)
    both = np.zeros((2, n_modes, 2, n))
    for j in range(first, n):
        both[0, 0, 0, j], both[1, 0, 0, j] = k.amplitude[i, j], k.amplitude_slope[i, j]
    for mode in range(1, n_modes):
        for part in range(4):
            row = both[part // 2, mode, part % 2]
            if first < n_early:
                add_product(k.early[i, mode - 1], t.early_basis[mode - 1, part], row[first:n_early], first)
            if rows.size:
                row[late:] = rows[mode - 1, part, i, late - n_early :]
            else:
                add_product(k.higher[i, mode - 1], t.higher_basis[mode - 1, part], row[late:], late - n_early)
    return both[0], both[1]


@njit(nogil=True)
def modes(t: Tables, k: Knots, rows: np.ndarray, times: np.ndarray, out: np.ndarray) -> None:
    """Write the modes of the waveforms of `k` at `times` (N or 1, n) in M from the peak into `out` (N, n_modes, n) complex128."""
    none, nothing = np.zeros((0, t.orders.size, 2)), np.zeros((0, 0))
    if times.shape[1] == 0:
        return
    for i in range(k.shift.size):
        at = times[i % len(times)] + k.shift[i]
        parts, part_slopes = coorbital(t, k, rows, i, t.orders.size, at.min())
        rotating_modes(k.knots, k.phase[i], k.phase_slope[i], t.orders, parts, part_slopes, at, out[i], none, nothing)


@njit(nogil=True)
def sums(t: Tables, k: Knots, rows: np.ndarray, i: int, weights: np.ndarray, first: float, step: float, out: np.ndarray) -> None:
    """Write sums over the modes of the i-th waveform of `k` at ``first + step * j`` (M, from its peak) into `out` (n_sums, n).

    `weights` (n_sums, n_modes, 2) multiply the modes' real and imaginary parts; with fewer than all modes, they are the first ones.
    """
    n_modes = weights.shape[1]
    start = first + k.shift[i]
    at = np.empty(out.shape[1])
    for j in range(at.size):
        at[j] = start + step * j
    parts, part_slopes = coorbital(t, k, rows, i, n_modes, start)
    none = np.zeros((0, 0), np.complex128)
    rotating_modes(k.knots, k.phase[i], k.phase_slope[i], t.orders[:n_modes], parts, part_slopes, at, none, weights, out)


@njit(nogil=True)
def samples(
    t: Tables,
    k: Knots,
    weights: np.ndarray,
    units: np.ndarray,
    spans: np.ndarray,
    times: np.ndarray,
    out: np.ndarray,
) -> None:
    """Write a sum over the first modes of each waveform of `k`, tapered at its start, at `times` (n,), ascending, in s from the
    peak, into `out` (N, n).

    `weights` (1, n_modes, 2) as for `sums`; `units` (N,) total masses in s; `spans` (N, 3) in s: where the signal starts, where
    its taper has risen, where it ends. It is 0 outside.
    """
    n_modes = weights.shape[1]
    none = np.zeros((0, 0), np.complex128)
    out[:] = 0.0
    for i in range(k.shift.size):
        start, risen, end = spans[i]
        low, high = np.searchsorted(times, start), np.searchsorted(times, end)
        if low == high:
            continue
        at = times[low:high] / units[i] + k.shift[i]
        parts, part_slopes = coorbital(t, k, NOTHING, i, n_modes, at[0])
        row = out[i : i + 1, low:high]
        rotating_modes(k.knots, k.phase[i], k.phase_slope[i], t.orders[:n_modes], parts, part_slopes, at, none, weights, row)
        for j in range(low, high):
            if times[j] >= risen:
                break
            out[i, j] *= 0.5 - 0.5 * np.cos(np.pi * (times[j] - start) / (risen - start))
