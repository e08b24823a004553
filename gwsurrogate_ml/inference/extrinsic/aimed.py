"""Polarisation angles of points of the integral over orders, drawn where the data want them.

At a given inclination the angle alone is left of the orientation. Edge-on it is as sharp as one over twice the signal-to-noise
ratio, and of angles drawn uniformly few count. The order m = 2 at a point, its phase and distance at their best, has log likelihood
``|Z|^2 / 2H`` with ``Z = cos(2 psi) A + sin(2 psi) B``; psi + pi/2 changes the sign of Z alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gwsurrogate_ml.inference.extrinsic.points import TEMPER, ExtrinsicPoints
from gwsurrogate_ml.inference.likelihood.detectors import DetectorNetwork
from gwsurrogate_ml.inference.likelihood.window import TAPS, TimeWindow, lagrange

CELLS, UNIFORM = 32, 0.1
"""Cells of [0, pi/2) within which angles are equally likely, and the share of angles drawn uniformly."""


def aimed(
    points: ExtrinsicPoints, network: DetectorNetwork, window: TimeWindow, binaries: Sequence[tuple[np.ndarray, np.ndarray]]
) -> ExtrinsicPoints:
    """The same points with other polarisation angles, and the weights that go with them.

    Parameters
    ----------
    points : ExtrinsicPoints
        their angles uniform in [0, pi/2): these say which quantile of its new density each gets
    network : DetectorNetwork
    window : TimeWindow
    binaries : sequence of (series, gram)
        of the order m = 2 of a few likely binaries: (2, n_det, window.size) complex, <S_p|d>_d at 1 Mpc, and (n_det, 2, 2)
        complex128, <S_p|S_q>_d
    """
    plus, cross = network.patterns(points.direction, np.zeros(len(points)))
    position = (points.times - window.start) / window.step
    left = np.floor(position).astype(np.int64) - (TAPS // 2 - 1)
    weights, columns = lagrange(position - left), left[:, :, None] + np.arange(TAPS)
    angle = np.pi * (np.arange(CELLS) + 0.5) / CELLS
    cc, ss, cs = np.cos(angle) ** 2, np.sin(angle) ** 2, 2 * np.cos(angle) * np.sin(angle)
    density = np.zeros((len(points), CELLS))
    for series, gram in binaries:
        at = np.zeros((2, *plus.shape), np.complex128)
        for d in range(plus.shape[1]):
            at[:, :, d] = np.einsum("pnk,nk->pn", series[:, d][:, columns[:, d]], weights[:, d])
        # Turned by psi: F_+ cos + F_x sin, and F_x cos - F_+ sin.
        a, b = np.sum(plus * at[0] + cross * at[1], axis=1), np.sum(cross * at[0] - plus * at[1], axis=1)
        g, mixed = gram[:, (0, 1), (0, 1)].real, gram[:, 0, 1].real
        aa = (plus**2) @ g[:, 0] + (cross**2) @ g[:, 1] + 2 * (plus * cross) @ mixed
        bb = (cross**2) @ g[:, 0] + (plus**2) @ g[:, 1] - 2 * (plus * cross) @ mixed
        ab = (plus * cross) @ (g[:, 0] - g[:, 1]) + (cross**2 - plus**2) @ mixed
        match = np.outer(np.abs(a) ** 2, cc) + np.outer(np.abs(b) ** 2, ss) + np.outer((a * np.conj(b)).real, cs)
        power = np.outer(aa, cc) + np.outer(bb, ss) + np.outer(ab, cs)
        log = 0.5 * TEMPER * match / np.maximum(power, 1e-300)
        share = np.exp(log - log.max(axis=1, keepdims=True))
        density += share / share.mean(axis=1, keepdims=True) / len(binaries)
    density = (1 - UNIFORM) * density + UNIFORM
    edges = np.concatenate([np.zeros((len(points), 1)), np.cumsum(density, axis=1)], axis=1)
    target = points.psi / (np.pi / 2) * edges[:, -1]
    cell = np.clip(np.sum(edges <= target[:, None], axis=1) - 1, 0, CELLS - 1)
    rows = np.arange(len(points))
    height = density[rows, cell]
    psi = np.pi / 2 / CELLS * (cell + np.clip((target - edges[rows, cell]) / height, 0.0, 1.0))
    return replace(points, psi=psi, log_weight=points.log_weight - np.log(height * CELLS / edges[:, -1]))
