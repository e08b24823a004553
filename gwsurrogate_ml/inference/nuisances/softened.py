"""Where draws come from that are to be re-weighted: the same data under a likelihood as much broader as calibration errors make it.

The posterior of perfectly calibrated detectors is narrower than the one sought, and weights from a narrow to a broad density have
heavy tails. Where a band of signal-to-noise ratio rho has an amplitude and a phase known to sigma, the data know both only to
``sqrt(1 / rho^2 + sigma^2)``: as if the noise there were stronger by ``1 + sigma^2 rho^2``. The data, corrected by the median of
the envelopes, under that noise give a density as broad or broader in all directions. What it is exactly cancels in the weights.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
from gwsurrogate_ml.inference.likelihood.trigger import Trigger
from gwsurrogate_ml.inference.nuisances.prior import Nuisances


def softened(likelihood: SegmentLikelihood, nuisances: Nuisances, found: Trigger) -> tuple[SegmentLikelihood, Trigger]:
    """The likelihood to draw from, and the loudest template as it sees it.

    Parameters
    ----------
    likelihood : SegmentLikelihood
        of perfectly calibrated detectors
    nuisances : Nuisances
    found : Trigger
        the loudest template
    """
    soft = recalibrated(likelihood, nuisances, nuisances.mean, 1 + excess(likelihood, nuisances, found))
    h = found.waveform * np.exp(-2j * np.pi * likelihood.frequencies * found.times[:, None])
    match = np.abs(np.sum(soft.weight * np.conj(h) * soft.strain, axis=1))
    return soft, replace(found, snr=match / np.sqrt(soft.power(found.waveform[None])[0]))


def recalibrated(
    likelihood: SegmentLikelihood, nuisances: Nuisances, nodes: np.ndarray, noise: np.ndarray | float = 1.0
) -> SegmentLikelihood:
    """The likelihood of the data corrected by the curves of `nodes`, in noise stronger by the factor `noise` (n_det, n_band).

    Data d and spectrum S in which a signal h appears as F h become d / F and S / |F|^2, in which it appears as h.
    """
    segment, band = likelihood.segment, likelihood.band
    factor = nuisances.factor(nodes, likelihood.frequencies[band])
    strain, psd = segment.strain.astype(np.complex128), segment.psd.copy()
    strain[:, band] /= factor
    psd[:, band] *= noise / np.abs(factor) ** 2
    return SegmentLikelihood(replace(segment, strain=strain, psd=psd), likelihood.model)


def excess(likelihood: SegmentLikelihood, nuisances: Nuisances, found: Trigger) -> np.ndarray:
    """sigma^2 rho^2 (n_det, n_band): rho^2 is the loudest template's within a spline's reach of each frequency."""
    f = likelihood.frequencies[likelihood.band]
    power = likelihood.weight[:, likelihood.band] * np.abs(found.waveform[likelihood.band]) ** 2
    power *= (found.snr**2 / power.sum(axis=1))[:, None]
    # A node's share: what lies within half a spacing of the frequency, on the logarithmic axis.
    half = 0.5 * np.log(nuisances.splines.nodes[1] / nuisances.splines.nodes[0])
    total = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power, axis=1)], axis=1)
    first, last = np.searchsorted(f, f * np.exp(-half)), np.searchsorted(f, f * np.exp(half), side="right")
    near = total[:, last] - total[:, first]
    at, widest = np.log(nuisances.splines.nodes), nuisances.sigma.max(axis=1)
    sigma = np.stack([np.interp(np.log(f), at, row) for row in widest])
    out = np.zeros_like(near)
    for d, (own, shared) in enumerate(nuisances.owner_of):
        out[d] += sigma[own] ** 2 * near[d] if own >= 0 else 0.0
        out[d] += sigma[shared] ** 2 * near.sum(axis=0) if shared >= 0 else 0.0
    return out
