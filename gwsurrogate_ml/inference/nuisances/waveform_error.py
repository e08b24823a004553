"""How wide the splines of the waveform's error are: so wide that their mismatch is the one the surrogate expects of itself."""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.nuisances.splines import Splines
from gwsurrogate_ml.waveform.model import WaveformModel


def surrogate_width(model: WaveformModel, theta: np.ndarray, splines: Splines, frequencies: np.ndarray, h: np.ndarray) -> float:
    """Standard deviation of amplitude (relative) and phase (rad) alike.

    A model states the mismatch of (2,2) that it expects to numerical relativity in white noise. Curves a and phi on a waveform h
    have ``(var(a) + var(phi)) / 2`` to lowest order, variances over f with weights |h|^2, less what an overall scale, phase and
    time take away. Its mean over the splines' prior is set to what the model states.

    Parameters
    ----------
    model : WaveformModel
    theta : (n,) one binary, of the model's space
    splines : Splines
    frequencies : (n_f,) float64, Hz
        of the band, above zero
    h : (n_f,) complex128
        its waveform there

    Raises
    ------
    ConfigError
        if the model states none
    """
    expected = model.expected_mismatch(model.space.binaries(theta[None]))
    if expected is None:
        raise ConfigError(
            f"the waveform model {model.name} does not estimate its own error: give widths, waveform_error=(0.02, 0.01) for an "
            "amplitude off by 2 % and a phase by 0.01 rad"
        )
    return float(np.sqrt(expected[0] / unit_mismatch(splines, frequencies, h)))


def unit_mismatch(splines: Splines, frequencies: np.ndarray, h: np.ndarray) -> float:
    """Mean mismatch in white noise of curves whose nodes have unit variance, to lowest order."""
    share = np.abs(h) ** 2 / np.sum(np.abs(h) ** 2)
    basis = splines.basis(frequencies)
    constant = np.ones((1, len(share)))
    with_time = np.stack([constant[0], frequencies / frequencies.max()])
    total = 0.0
    for removed in (constant, with_time):
        normal = (removed * share) @ removed.T
        rest = basis - (basis * share) @ removed.T @ np.linalg.solve(normal, removed)
        total += 0.5 * float(np.sum(rest**2 * share))
    return total
