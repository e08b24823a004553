"""Stage 2: numerical relativity minus stage 1's polynomial, by Gaussian processes on a few principal components.

Near the merger the corrections build on the polynomial alone: the fine structure that stage 1's networks add there is that of
SEOBNRv5HM, not of numerical relativity, and doubles the error on unseen simulations. Where simulations are far, waveforms of
stage 1 stand in as observations with a large noise (anchors). Before the data begin the networks take over.

Each simulation is first brought to the model's gauge: the time and phase shift that bring it closest (amplitude-weighted least
squares). What remains is a phase and a relative amplitude as functions of time; their principal components are regressed on
the exchange-symmetric coordinates with an RBF kernel and a fitted noise, scaled by each run's quality. Before the data
begin, the frequency residual fades out. Long simulations then get a second, narrower correction of the same form.
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.linalg import cho_factor, cho_solve
from scipy.stats import qmc

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.surrogate.aligned.coordinates import features
from gwsurrogate_ml.surrogate.aligned.predictor import log_amplitude_and_phase
from gwsurrogate_ml.surrogate.config import SurrogateConfig

NR_WINDOW = (-395.0, 90.0)
"""Where the table of short runs is trusted, M."""
LONG_WINDOW = (-2740.0, 90.0)
"""Where the long non-spinning runs are trusted, M."""
RINGDOWN = 50.0
"""M: from here on the remnant's quasi-normal mode rules, as stage 1 learned it; corrections are held, not fitted to noise."""
MERGER = (NR_WINDOW[0], 30.0)
"""Where the polynomial alone is corrected, M; afterwards the networks know the remnant's quasi-normal mode better."""
FADE, LONG_FADE = 300.0, 1000.0
"""M, e-folding times over which the corrections' frequency fades before their windows."""
N_ANCHORS = 512
"""Sobol points in (log q, chi1, chi2) from which anchors are taken."""
ANCHOR_DISTANCE = 0.3
"""An anchor stands at least so far from every good simulation, in the coordinates of `features`."""
ANCHOR_NOISE = 1.0
"""Variance of an anchor's noise in units of each component's mean square: it says little, but better than nothing."""


@dataclass(frozen=True)
class Runs:
    """(2,2) modes of simulations on one uniform time grid, in the package's conventions.

    Attributes
    ----------
    t : (n_t,) float64, M, 0 at the peak
    parameters : (n, 3) float64, q >= 1, chi1, chi2
    h22 : (n, n_t) complex128
    weight : (n,) float64, 1 for the best runs, smaller where the run's own error is larger
    cluster : (n,) int, equal for near-duplicates; splits go by it
    name : (n,) str
    """

    t: np.ndarray
    parameters: np.ndarray
    h22: np.ndarray
    weight: np.ndarray
    cluster: np.ndarray
    name: np.ndarray

    def take(self, rows: np.ndarray) -> Runs:
        """The runs selected by a mask or an index array."""
        return Runs(self.t, self.parameters[rows], self.h22[rows], self.weight[rows], self.cluster[rows], self.name[rows])


def load_runs(path: str, prefix: str = "") -> Runs:
    """Runs of the table written by `python -m data_prep nr`; `prefix` "spec_" gives the long non-spinning ones.

    Raises
    ------
    DataError
        if the file cannot be read or lacks a column
    """
    try:
        with np.load(path) as table:
            t, q, chi1, chi2 = (table[prefix + key] for key in ("t", "q", "chi1", "chi2"))
            return Runs(
                t,
                np.column_stack([q, chi1, chi2]),
                *(table[prefix + key] for key in ("h22", "weight", "cluster", "name")),
            )
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not a table of NR runs ({error}): make it by `python -m data_prep nr`") from error


def residuals(
    runs: Runs, log_amplitude: np.ndarray, phase: np.ndarray, window: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Phase and log-amplitude residuals (n, n_t) of `runs` to a model at the same times, in the closest gauge.

    Parameters
    ----------
    runs : Runs
    log_amplitude, phase : (n, n_t) float64
        the model's, phase growing
    window : (float, float)
        M, where the gauge is fitted
    """
    t = runs.t
    inside = (t >= window[0]) & (t <= window[1])
    phases, amplitudes = np.empty(phase.shape), np.empty(phase.shape)
    for i, h in enumerate(runs.h22):
        nr_log_amplitude = CubicSpline(t, np.log(np.abs(h)))
        nr_phase = CubicSpline(t, -np.unwrap(np.angle(h)))
        weight = np.exp(log_amplitude[i]) * inside
        shift = 0.0
        for _ in range(20):
            at = np.clip(t + shift, t[0], t[-1])
            design = np.column_stack([nr_phase(at, 1), np.ones_like(t)]) * weight[:, None]
            step = np.linalg.lstsq(design, -(nr_phase(at) - phase[i]) * weight, rcond=None)[0]
            shift += step[0]
            if abs(step[0]) < 1e-8:
                break
        at = np.clip(t + shift, t[0], t[-1])
        difference = nr_phase(at) - phase[i]
        phases[i] = difference - np.sum(difference * weight**2) / np.sum(weight**2)
        amplitudes[i] = nr_log_amplitude(at) - log_amplitude[i]
    return phases, amplitudes


def fit(
    runs: Runs,
    log_amplitude: np.ndarray,
    phase: np.ndarray,
    knots: np.ndarray,
    *,
    n_basis: int,
    window: tuple[float, float],
    fade: float,
    spin_length: float | None = None,
    n_anchors: int = 0,
) -> dict[str, np.ndarray]:
    """Fit one correction.

    Parameters
    ----------
    runs : Runs
    log_amplitude, phase : (n, n_t)
        the model so far at the runs' parameters and times
    knots : (n_k,)
        M, where the correction is wanted
    n_basis : int
    window : (float, float)
        M, where data are trusted; outside, the correction is continued
    fade : float
        M, e-folding time over which it fades before the window
    spin_length : float, optional
        fixed correlation length of the spin coordinates (where all runs are non-spinning nothing can be learned of it)
    n_anchors : int
        the last so many rows are anchors: the components and the processes' hyperparameters are found without them

    Returns
    -------
    dict
        `centres` (n, 4), `length` (n_basis, 4), `alpha` (n_basis, n), `basis` (n_basis, 2 n_k): see `predictor.radial_basis`;
        `constant` (n_basis,), `noise` (n_basis, n), `norm` (1,), `floor` (1,): see `uncertainty`
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    d_phase, d_log_amplitude = residuals(runs, log_amplitude, phase, window)
    inside = (runs.t >= window[0]) & (runs.t <= window[1])
    t = runs.t[inside]
    n_runs = len(runs.weight) - n_anchors
    run_weight = runs.weight[:n_runs]
    weight = np.exp(log_amplitude[:n_runs]).mean(0)[inside]
    both = np.concatenate([d_phase[:, inside] * weight, d_log_amplitude[:, inside] * weight], axis=1)
    _, _, vectors = np.linalg.svd(both[:n_runs] * np.sqrt(run_weight)[:, None], full_matrices=False)
    vectors = vectors[:n_basis]
    coefficients = both @ vectors.T
    n = len(t)
    basis = np.stack([_continue_both(t, v[:n] / weight, v[n:] / weight, knots, fade) for v in vectors])
    x = features(runs.parameters)
    start = np.ones(x.shape[1])
    bounds = [(0.1, 20.0)] * x.shape[1]
    if spin_length is not None:
        start[1:], bounds[1:] = spin_length, [(spin_length, spin_length)] * (x.shape[1] - 1)
    # A poor run's extra noise; the best ones (weight 1) have the fitted white noise alone.
    extra = 0.02 * (1.0 / run_weight - 1.0) + 1e-10
    lengths, alphas, noises = (np.empty((n_basis, k)) for k in (x.shape[1], len(x), len(x)))
    constants = np.empty(n_basis)
    for j in range(n_basis):
        scale = np.sqrt(np.average(coefficients[:n_runs, j] ** 2, weights=run_weight))
        kernel = ConstantKernel(1.0, (1e-2, 1e3)) * RBF(start, bounds) + WhiteKernel(0.05, (1e-6, 2.0))
        process = GaussianProcessRegressor(kernel, alpha=extra)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lengths at their bounds are meant: directions without information
            process.fit(x[:n_runs], coefficients[:n_runs, j] / scale)
        product, noise_level = process.kernel_.k1, process.kernel_.k2.noise_level
        noise = np.concatenate([noise_level + extra, np.full(n_anchors, ANCHOR_NOISE)])
        solved = cho_solve(cho_factor(product(x) + np.diag(noise)), coefficients[:, j] / scale)
        lengths[j] = product.k2.length_scale
        alphas[j] = solved * product.k1.constant_value * scale
        constants[j] = product.k1.constant_value * scale**2
        noises[j] = noise * scale**2
    # To second order a mismatch is half the weighted mean square of phase and relative-amplitude errors; the basis is
    # orthonormal under the weight, so that variances of coefficients add up. What the basis leaves out is a floor.
    norm = 2.0 * np.sum(weight**2)
    rest = np.sum((both - coefficients @ vectors)[:n_runs] ** 2, axis=1) / norm
    return {
        "centres": x,
        "length": lengths,
        "alpha": alphas,
        "basis": basis,
        "constant": constants,
        "noise": noises,
        "norm": np.array([norm]),
        "floor": np.array([np.average(rest, weights=run_weight)]),
    }


def _continue(t: np.ndarray, values: np.ndarray, knots: np.ndarray, fade: float, *, phase: bool) -> np.ndarray:
    """A residual known at `t` (n,), at all `knots`: held after the end, faded out before the start.

    Before the start a phase residual keeps its slope for about `fade` and then a constant; an amplitude residual goes to zero.
    """
    inner = CubicSpline(t, values)(np.clip(knots, t[0], t[-1]))
    early = np.minimum(knots - t[0], 0.0)
    decay = np.exp(early / fade)
    if not phase:
        return inner * decay
    first = t < t[0] + 100.0
    slope = np.polyfit(t[first], values[first], 1)[0]
    return inner - slope * fade * (1.0 - decay)


def _continue_both(t: np.ndarray, phase: np.ndarray, log_amplitude: np.ndarray, knots: np.ndarray, fade: float) -> np.ndarray:
    """Residuals of phase and log amplitude, one behind the other, at all `knots`: see `_continue`."""
    parts = (_continue(t, phase, knots, fade, phase=True), _continue(t, log_amplitude, knots, fade, phase=False))
    return np.concatenate(parts)


def evaluate(tensors: dict[str, np.ndarray], degree: int, parameters: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log |h22| and phase (n, n_t) of a half-built model at times `t` in the knots' frame."""
    log_amplitude, phase = log_amplitude_and_phase(parameters, tensors, degree)
    return CubicSpline(tensors["knots"], log_amplitude, axis=1)(t), CubicSpline(tensors["knots"], phase, axis=1)(t)


def anchors(first: dict[str, np.ndarray], runs: Runs, config: SurrogateConfig) -> Runs:
    """Waveforms of stage 1 (its tensors: `first`) at points of the domain that are far from every good simulation of `runs`."""
    unit = qmc.Sobol(3, seed=config.seed).random(N_ANCHORS)
    parameters = np.column_stack([config.q_max ** unit[:, 0], config.chi_max * (2.0 * unit[:, 1:] - 1.0)])
    good = features(runs.parameters[runs.weight > 0.1])
    distance = np.sqrt(((features(parameters)[:, None] - good[None]) ** 2).sum(2)).min(1)
    parameters = parameters[distance > ANCHOR_DISTANCE]
    log_amplitude, phase = evaluate(first, config.degree, parameters, runs.t)
    n = len(parameters)
    name = np.array([f"anchor {i}" for i in range(n)])
    return Runs(runs.t, parameters, np.exp(log_amplitude - 1j * phase), np.ones(n), np.full(n, -1), name)


def _network_basis(basis: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """The basis (n_basis, 2 n_k) of stage 1's networks without what stage 2 replaces: zero in `MERGER`, continuous around it."""
    n = len(knots)
    t = np.arange(MERGER[0], MERGER[1] + 0.5)
    known = ((CubicSpline(knots, row[:n])(t), CubicSpline(knots, row[n:])(t)) for row in basis)
    return basis - np.stack([_continue_both(t, phase, log_amplitude, knots, FADE) for phase, log_amplitude in known])


def add(tensors: dict[str, np.ndarray], runs: Runs, long_runs: Runs | None, config: SurrogateConfig) -> dict[str, np.ndarray]:
    """Stage-1 tensors of a model with the corrections to numerical relativity added; the input is left as it is.

    A stage 2 that `tensors` already have is replaced.
    """
    first = {key: value for key, value in tensors.items() if not key.startswith("stage2")}
    out = dict(first)
    more = anchors(first, runs, config)
    all_runs = Runs(
        runs.t,
        *(np.concatenate([getattr(runs, key), getattr(more, key)]) for key in ("parameters", "h22", "weight", "cluster", "name")),
    )
    out["stage2.network_basis"] = _network_basis(first["stage1.basis"], out["knots"])
    correction = fit(
        all_runs,
        *evaluate(out, config.degree, all_runs.parameters, runs.t),
        out["knots"],
        n_basis=config.stage2_basis,
        window=(NR_WINDOW[0], RINGDOWN),
        fade=FADE,
        n_anchors=len(more.weight),
    )
    out |= {f"stage2.{key}": value for key, value in correction.items()}
    if long_runs is not None and len(long_runs.name):  # a catalogue need not hold long runs
        model = evaluate(out, config.degree, long_runs.parameters, long_runs.t)
        correction = fit(
            long_runs,
            *model,
            out["knots"],
            n_basis=config.stage2_long_basis,
            window=(LONG_WINDOW[0], RINGDOWN),
            fade=LONG_FADE,
            spin_length=0.3,
        )
        out |= {f"stage2_long.{key}": value for key, value in correction.items()}
    return out
