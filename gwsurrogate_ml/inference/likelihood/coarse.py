"""Matches and powers of waveforms from few of their frequencies: multibanding.

A transform whose signal lasts from t_1 to t_2 about t = 0 varies over 1 / (t_2 - t_1): above f an inspiral lasts the shorter the
higher f is, and nodes ever farther apart hold it (Vinciguerra et al. 2017, arXiv:1703.02062; Morisaki 2021, arXiv:2104.07813). With
``h_k = sum_j I_kj h_j`` from the nodes j to all frequencies k, ``<h|d>(t) = sum_j conj(h_j) D_j(t)`` with
``D_j(t) = sum_k I_kj w_k d_k exp(2 pi i f_k t)``, once for each event; products of transforms are summed over nodes by
``sum_k I_kj w_k``. Data and noise spectrum are those of all frequencies.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.window import TAPS, TimeWindow

OVERSAMPLED = 2.0
"""Nodes in the inverse of the time that a signal lasts: products of two last twice as long."""
HIGHEST, AFTER = 4, 1200.0
"""Order whose signal the nodes hold; time in M that the merger and the ringdown are given, both sides together."""


class CoarseBand:
    """Nodes of a segment's frequencies, and the data at them.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    window : TimeWindow
        arrival times wanted
    chirp_mass : float, solar masses
        of the longest signal that is to be exact

    Attributes
    ----------
    nodes : (n,) int
        indices of the segment's frequencies
    """

    def __init__(self, likelihood: SegmentLikelihood, window: TimeWindow, chirp_mass: float) -> None:
        f = likelihood.frequencies
        first, last = int(likelihood.band[0]), int(likelihood.band[-1])
        self.nodes = nodes(f[first : last + 1], likelihood.segment.duration, chirp_mass) + first
        band = np.arange(first, last + 1)
        left = np.clip(np.searchsorted(self.nodes, band, side="right") - TAPS // 2, 0, len(self.nodes) - TAPS)
        columns = left[:, None] + np.arange(TAPS)
        weights = _between(self.nodes[columns].astype(float), band.astype(float))
        matrix = csr_matrix(
            (weights.ravel(), (np.repeat(np.arange(len(band)), TAPS), columns.ravel())), shape=(len(band), len(self.nodes))
        )
        turns = np.exp(2j * np.pi * np.outer(f[band], window.times))
        weight, strain = likelihood.weight[:, band], likelihood.strain[:, band]
        self.data = np.stack([matrix.T @ ((w * d)[:, None] * turns) for w, d in zip(weight, strain, strict=True)]).astype(
            np.complex64
        )
        self.weight = weight @ matrix
        self._f = f[self.nodes]

    def delayed(self, h: np.ndarray, time: float) -> np.ndarray:
        """Transforms at the nodes (N, n) of the same signals `time` (s) later."""
        return h * np.exp(-2j * np.pi * time * self._f)

    def series(self, h: np.ndarray) -> np.ndarray:
        """<h|d> (N, n_det, n_t) complex64 of transforms at the nodes (N, n)."""
        rows, (n_det, _n, n_t) = np.conj(h).astype(np.complex64), self.data.shape
        return np.stack([rows @ self.data[d] for d in range(n_det)], axis=1).reshape(len(h), n_det, n_t)

    def gram(self, h: np.ndarray) -> np.ndarray:
        """<h_i|h_j> (n_det, N, N) complex128 of transforms at the nodes (N, n)."""
        return np.stack([(np.conj(h) * w) @ h.T for w in self.weight])


def nodes(f: np.ndarray, duration: float, chirp_mass: float) -> np.ndarray:
    """Indices (n,) of ascending frequencies `f` (Hz, 1 / `duration` apart) that hold signals from a `chirp_mass` on."""
    mc = chirp_mass * MTSUN_SI
    lasting = 5 / 256 * mc ** (-5 / 3) * (2 * np.pi * f / HIGHEST) ** (-8 / 3) + AFTER * mc
    lasting = np.minimum(lasting, duration)
    step = np.maximum(np.floor(duration / lasting / OVERSAMPLED).astype(int), 1)
    out, k = [], 0
    while k < len(f) - 1:
        out.append(k)
        k += int(step[k])
    return np.array([*out, len(f) - 1])


def _between(x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Weights (N, 6) of the polynomials through nodes `x` (N, 6) at `at` (N,)."""
    weights = np.ones(x.shape)
    for j in range(x.shape[1]):
        for k in range(x.shape[1]):
            if k != j:
                weights[:, j] *= (at - x[:, k]) / (x[:, j] - x[:, k])
    return weights
