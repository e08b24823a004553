"""Modes of an aligned-spin run in the co-orbital frame and gauge of the EOB training set, signs fixed by post-Newtonian theory.

``h_lm = c_lm exp(-i m phase22 / 2)`` with h22 = A exp(-i phase22) and phase22 = 0 at t = 0. That leaves two signs open: half of
phase22 is the orbital phase up to pi (odd m change sign), and codes differ in the sign of both polarizations. To leading order
(Blanchet 2014, arXiv:1310.1528, section 9.5) all c_lm are real and positive through the inspiral but c_21, which has the sign of
delta - 3/2 v (chi_a + delta chi_s).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import make_interp_spline

from data_prep.nr import NRWaveform
from gwsurrogate_ml.conventions import ModeKey

EARLY = -50.0
"""M: the signs are read off before this time."""


def coorbital(run: NRWaveform, times: np.ndarray, keys: Sequence[ModeKey]) -> tuple[np.ndarray, dict[str, bool]]:
    """Co-orbital modes of `run` at `times`.

    Parameters
    ----------
    run : NRWaveform, aligned spins, t = 0 at the peak of |h22|
    times : (n_t,) float, M
    keys : sequence of (l, m), m > 0

    Returns
    -------
    (n_k, n_t) complex128, NaN where the run lacks a mode or does not reach; and which signs were turned: `polarizations` (all
    modes of the source have the other sign), `odd` (the source's orbital phase is ahead by pi)
    """
    near = (run.t >= times[0] - 50) & (run.t <= times[-1] + 50)
    t = run.t[near]
    # With the constant in it: taken out of all modes, that turns the frame so that h22 is real at t = 0.
    phase = -np.unwrap(np.angle(run.mode((2, 2))[near]))
    out = np.full((len(keys), times.size), np.nan, dtype=np.complex128)
    for i, (l, m) in enumerate(keys):
        if (l, m) in run.modes:
            carried = run.modes[l, m][near] * np.exp(0.5j * m * phase)
            out[i] = make_interp_spline(t, carried, k=5)(times, extrapolate=False)
    odd = np.array([m % 2 == 1 for _, m in keys])
    early = times < EARLY
    turned = {"polarizations": _other_polarizations(run, out[:, early], keys), "odd": False}
    if turned["polarizations"]:
        # -h, with phase22 moved by pi so that h22 is positive again
        out *= -np.exp(0.5j * np.pi * np.array([m for _, m in keys]))[:, None]
    score = _odd_score(run, out[:, early], keys)
    if score.real < 0:
        out[odd] *= -1
        turned["odd"] = True
    return out, turned


def _other_polarizations(run: NRWaveform, modes: np.ndarray, keys: Sequence[ModeKey]) -> bool:
    """Whether the source's strain has the other sign: c_44 is negative then, and the odd modes imaginary."""
    if (4, 4) in keys:
        value = np.nanmean(modes[list(keys).index((4, 4))].real) if np.any(np.isfinite(modes)) else np.nan
        if np.isfinite(value):
            return bool(value < 0)
    score = _odd_score(run, modes, keys)
    return bool(abs(score.imag) > abs(score.real))


def _odd_score(run: NRWaveform, modes: np.ndarray, keys: Sequence[ModeKey]) -> complex:
    """Mean of (3,3) and (2,1) over time, each times its expected size: positive and real in the right frame."""
    delta = (run.q - 1) / (run.q + 1)
    symmetric, antisymmetric = (run.chi1[2] + run.chi2[2]) / 2, (run.chi1[2] - run.chi2[2]) / 2
    speed = 0.35  # (M omega)^(1/3) some hundred M before the merger
    expected = {(3, 3): delta, (2, 1): delta - 1.5 * speed * (antisymmetric + delta * symmetric)}
    total = 0.0j
    for key, size in expected.items():
        if key in keys:
            rows = modes[list(keys).index(key)]
            if np.any(np.isfinite(rows)):
                total += size * np.nanmean(rows)
    return total
