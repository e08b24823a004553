"""Time and phase by which waveforms lag a reference, and waveforms aligned with it."""

from __future__ import annotations

import numpy as np

from gwsurrogate_ml.inference.psds import reference_psd

ALIGNMENT_BAND = 400.0
"""Frequencies above this (Hz) hold next to no power of the binaries in question and are left out of the alignment."""


def alignment(waveforms: np.ndarray, reference: np.ndarray, frequencies: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Time and phase by which waveforms lag a reference, by weighted least squares on their phase difference.

    Weights are |h| |h_ref| / S of the reference PSD. Unlike the maximum of the overlap, this varies smoothly over the
    parameter space: it never jumps by a cycle.

    Parameters
    ----------
    waveforms : (N, n_b) complex128, in a band of `frequencies`
    reference : (n_b,) complex128
    frequencies : (n_b,) Hz, rising, > 0

    Returns
    -------
    delay : (N,) s
    phase : (N,) rad
        ``h exp(2 pi i f delay - i phase)`` is aligned with the reference
    """
    low = frequencies <= ALIGNMENT_BAND
    waveforms, reference, frequencies = waveforms[:, low], reference[low], frequencies[low]
    product = waveforms * np.conj(reference)
    magnitude = np.abs(product)
    weight = magnitude / reference_psd(frequencies)
    weight /= weight.sum(axis=1, keepdims=True)
    # Unwrap from step to step: where the magnitude is negligible the steps are rounding noise and are set to the mean
    # step.
    step = product[:, 1:] * np.conj(product[:, :-1])
    mean_step = np.sum(step * weight[:, 1:], axis=1, keepdims=True)
    step = np.where(magnitude[:, 1:] > 1e-6 * magnitude.max(axis=1, keepdims=True), step, mean_step)
    turns = np.angle(product[:, :1]) + np.concatenate([np.zeros((len(product), 1)), np.cumsum(np.angle(step), axis=1)], axis=1)
    mean_f = weight @ frequencies
    centred = frequencies - mean_f[:, None]
    mean_turn = np.sum(weight * turns, axis=1)
    slope = np.sum(weight * centred * turns, axis=1) / np.sum(weight * centred**2, axis=1)
    return -slope / (2 * np.pi), mean_turn - slope * mean_f


def align(waveforms: np.ndarray, reference: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Waveforms (N, n_b) aligned in time and phase with the reference (see `alignment`)."""
    delay, phase = alignment(waveforms, reference, frequencies)
    return waveforms * np.exp(1j * (2 * np.pi * frequencies * delay[:, None] - phase[:, None]))
