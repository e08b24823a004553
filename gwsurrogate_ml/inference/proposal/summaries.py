"""What the network sees of an event: the same function of projected data in training and in analysis.

The data of each detector, whitened by its PSD and aligned in time, are projected on the network's basis for that PSD,
where noise is N(0, 1). Of a few templates the loudest in all detectors together fixes the phase of each detector and
their shares; a unitary map then collects what follows the signal in one stream, and leaves differences between
detectors, mostly noise, to the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from gwsurrogate_ml.inference.proposal.compression import orthonormal
from gwsurrogate_ml.inference.psds import BAND_EDGES, band_ratios

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.likelihood.segment import SegmentLikelihood
    from gwsurrogate_ml.inference.likelihood.trigger import Trigger


def n_features(detectors: int, basis_size: int) -> int:
    """Length of the network's input for a number of detectors and of coefficients per detector.

    Examples
    --------
    >>> n_features(2, 48)
    232
    """
    return detectors * (2 * basis_size + len(BAND_EDGES) + 3)


def groups(detectors: int, basis_size: int) -> dict[str, slice]:
    """Which of the features are what.

    Examples
    --------
    >>> groups(2, 48)["arrival times"]
    slice(197, 198, None)
    """
    bands = len(BAND_EDGES) - 1
    sizes = {
        "waveform": 2 * detectors * basis_size,
        "loudness": 1 + 2 * detectors,
        "arrival times": detectors - 1,
        "noise spectrum": bands + detectors + (detectors - 1) * bands,
    }
    out, start = {}, 0
    for name, size in sizes.items():
        out[name] = slice(start, start + size)
        start += size
    return out


def loudness(inputs: torch.Tensor, detectors: int, basis_size: int) -> torch.Tensor:
    """Network signal-to-noise ratio (n,) of the loudest template, from features (n, F)."""
    return torch.exp(inputs[:, groups(detectors, basis_size)["loudness"].start])


def loudest(projected: torch.Tensor, templates: torch.Tensor) -> torch.Tensor:
    """Matches (n, D) complex of the loudest template in each detector.

    Parameters
    ----------
    projected : (n, D, K) complex
    templates : (D, R, K) complex, unit norm
    """
    match = torch.einsum("ndk,drk->ndr", projected, templates.conj())
    best = (match.real**2 + match.imag**2).sum(dim=1).argmax(dim=1)
    return match.gather(2, best[:, None, None].expand(-1, match.shape[1], 1))[..., 0]


def streams(turned: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Reflect the detectors' data so that the first stream is their sum weighted by `share` (n, D), a unit vector >= 0.

    Householder's reflection: unitary, so noise stays N(0, 1).
    """
    v = share.clone()
    v[:, 0] += 1
    along = (v[:, :, None] * turned).sum(dim=1, keepdim=True)
    return 2 * v[:, :, None] * along / (v**2).sum(dim=1)[:, None, None] - turned


def features(projected: torch.Tensor, templates: torch.Tensor, delay: torch.Tensor, bands: torch.Tensor) -> torch.Tensor:
    """The network's input.

    Parameters
    ----------
    projected : (n, D, K) complex, projections of the whitened, aligned data of each detector
    templates : (D, R, K) complex, projections of the templates whitened by the same PSDs, unit norm
    delay : (n, D - 1) arrival in the first less that in each other detector, in units of 10 ms
    bands : (D, n_bands), `psds.band_ratios`

    Returns
    -------
    (n, F) float32
    """
    match = loudest(projected, templates)
    height = torch.clamp(torch.abs(match), min=1e-20)
    total = torch.linalg.vector_norm(height, dim=1, keepdim=True)
    share = height / total
    mixed = streams(projected * (torch.conj(match) / height)[..., None], share)
    norm = torch.linalg.vector_norm(torch.abs(mixed), dim=2)
    # The waveform's shape and its loudness are easier to learn apart.
    mixed = mixed * (8 / total)[..., None]
    # The shape of the sensitivity as the first stream has it, and how each detector's differs from the first's.
    level = bands.mean(dim=1, keepdim=True)
    shape = bands - level
    effective = -0.5 * torch.logsumexp(2 * torch.log(share)[:, :, None] - 2 * shape, dim=1)
    parts = [
        mixed.real.flatten(1),
        mixed.imag.flatten(1),
        torch.log(total),
        torch.log(norm),
        share,
        delay,
        effective,
        torch.cat([level.flatten(), (shape[1:] - shape[:1]).flatten()]).expand(len(projected), -1),
    ]
    return torch.cat(parts, dim=1).to(torch.float32)


def seen_templates(functions: np.ndarray, basis: np.ndarray, whitening: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """The templates (K, R) in the network's basis (n_b, K) under the PSD that `whitening` (n_b,) stands for: (R, K),
    unit norm.
    """
    seen = ((np.conj(basis).T @ (functions * whitening[:, None])) @ templates).T
    return seen / np.linalg.norm(seen, axis=1, keepdims=True)


def observe(
    likelihood: SegmentLikelihood,
    found: Trigger,
    functions: np.ndarray,
    templates: np.ndarray,
    band: np.ndarray,
    frequencies: np.ndarray,
    most: float = np.inf,
) -> torch.Tensor:
    """The features (F,) of an event's data: whitened, aligned at the found times, projected.

    Louder data than those trained with are turned down: the network then answers for a quieter signal of the same binary, whose
    posterior is wider and holds the event's.

    Parameters
    ----------
    likelihood : SegmentLikelihood
    found : Trigger
    functions : (n_b, K) complex128, `compression.network_functions`
    templates : (K, R) complex128, coefficients of the templates over them
    band, frequencies : (n_b,) indices and Hz of the analysis band
    most : float
        network signal-to-noise ratio of the loudest template to which louder data are turned down
    """
    whitening = np.sqrt(likelihood.weight[:, band])
    turns = np.exp(2j * np.pi * frequencies * found.aligned[:, None])
    data = whitening * likelihood.strain[:, band] * turns * min(1.0, most / found.network_snr)
    bases = [orthonormal(functions, row) for row in whitening]
    projected = np.stack([row @ np.conj(basis) for row, basis in zip(data, bases, strict=True)])
    seen = [seen_templates(functions, basis, row, templates) for row, basis in zip(whitening, bases, strict=True)]
    return features(
        torch.from_numpy(projected)[None],
        torch.from_numpy(np.stack(seen)),
        torch.from_numpy((found.aligned[:1] - found.aligned[1:])[None] / 0.01),
        torch.from_numpy(band_ratios(likelihood.segment.psd[:, band], frequencies)),
    )[0]
