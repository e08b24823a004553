"""Random detector sensitivities to train on: public design curves, mixed, bent and with lines added.

Everything is derived from the curves that ship with bilby, so that training needs no data. The ensemble spans the
shapes of the LIGO detectors from the first observing run (twice to three times the mid design below 30 Hz, strong
lines) to the design.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from gwsurrogate_ml.strain.curves import bilby_curve

BASE_CURVES = (
    "aLIGO_early_asd",
    "aLIGO_early_high_asd",
    "aLIGO_mid_asd",
    "aLIGO_late_asd",
    "aLIGO_ZERO_DET_high_P_asd",
    "aLIGO_O4_high_asd",
)
DESIGNS = {"virgo": "AdV_asd", "kagra": "KAGRA_design_asd"}
"""Design curves of the kinds of detector of which there is one alone."""
KINDS = {"V1": "virgo", "K1": "kagra"}
"""Kinds of the detectors that are not taken for LIGO's."""
REFERENCE_CURVE = "aLIGO_mid_asd"
BAND_EDGES = (20, 24, 28, 33, 39, 47, 56, 67, 80, 100, 125, 160, 200, 260, 350, 500, 1024)
"""Edges in Hz of the bands in which a PSD is described to the network."""


@cache
def _curve(name: str) -> tuple[np.ndarray, np.ndarray]:
    path = bilby_curve(name)
    assert path is not None, f"bilby ships no curve {name}"
    table = np.loadtxt(path)
    return np.log(table[:, 0]), np.log(table[:, 1])


def design_psd(name: str, frequencies: np.ndarray) -> np.ndarray:
    """PSD (n_f,) in 1/Hz of a curve in bilby's folder of noise curves, interpolated in logarithms at `frequencies` >
    0 (Hz).
    """
    log_f, log_asd = _curve(name)
    return np.exp(2 * np.interp(np.log(frequencies), log_f, log_asd))


def reference_psd(frequencies: np.ndarray) -> np.ndarray:
    """The PSD (n_f,) that others are compared with, 1/Hz."""
    return design_psd(REFERENCE_CURVE, frequencies)


def kind_of(detector: str) -> str:
    """Kind of the detector, as `random_psd` takes it.

    Examples
    --------
    >>> kind_of("L1"), kind_of("V1")
    ('ligo', 'virgo')
    """
    return KINDS.get(detector, "ligo")


def random_psd(frequencies: np.ndarray, rng: np.random.Generator, kind: str = "ligo") -> np.ndarray:
    """One random PSD (n_f,) in 1/Hz: a mixture of design curves, a smooth bend, excess at low frequency, and lines.

    Parameters
    ----------
    frequencies : (n_f,) Hz, > 0, rising
    rng : numpy Generator
    kind : "ligo", "virgo" or "kagra"
        see `kind_of`. Virgo's and KAGRA's have the shape of their designs, once to four times as loud
    """
    log_f = np.log(frequencies)
    if kind in DESIGNS:
        log_psd = 2 * np.log(rng.uniform(1.0, 4.0)) + np.log(design_psd(DESIGNS[kind], frequencies))
    else:
        shares = rng.dirichlet(np.full(len(BASE_CURVES), 0.4))
        log_psd = sum(w * np.log(design_psd(name, frequencies)) for w, name in zip(shares, BASE_CURVES, strict=True))
    # Smooth bend: independent offsets at knots half an e-fold apart, of 0.15 in log ASD and more at the low end.
    knots = np.arange(np.log(15.0), np.log(1200.0), 0.45)
    spread = 0.15 + 0.2 * np.clip(1 - (knots - knots[0]) / 1.2, 0, 1)
    log_psd = log_psd + 2 * np.interp(log_f, knots, rng.normal(size=len(knots)) * spread)
    log_psd = log_psd + 2 * rng.normal(0, 0.2)
    wall = rng.exponential(0.8) * np.clip(np.log(rng.uniform(24, 40)) - log_f, 0, None)
    log_psd = log_psd + 2 * wall
    # Lines: mains and its harmonics, calibration lines, suspension modes, and a few anywhere.
    centres = np.concatenate(
        [
            60.0 * np.arange(1, 6),
            rng.uniform(33, 38, 4),
            rng.uniform(300, 310, 2),
            rng.uniform(495, 515, 6),
            rng.uniform(20, 400, 6),
        ]
    )
    for centre in centres[rng.random(len(centres)) < 0.7]:
        width, height = rng.uniform(0.1, 0.8), rng.exponential(2.0)
        log_psd = log_psd + 2 * height * np.exp(-0.5 * ((frequencies - centre) / width) ** 2)
    return np.exp(log_psd)


def band_ratios(psd: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """The PSD as the network sees it: half the log of the harmonic-mean ratio to the reference in each band.

    The harmonic mean follows the sensitivity of the band: lines hardly count.

    Parameters
    ----------
    psd : (..., n_f) 1/Hz, inf where unusable
    frequencies : (n_f,) Hz, > 0

    Returns
    -------
    (..., n_bands) float64, dimensionless; a band in which nothing is usable takes the value of the one below, one below all
    `frequencies` that of the first which has any
    """
    ratio = reference_psd(frequencies) / psd
    band = np.searchsorted(np.asarray(BAND_EDGES[1:-1]), frequencies, side="right")
    mean = np.zeros((*ratio.shape[:-1], len(BAND_EDGES) - 1))
    for b in np.unique(band):
        mean[..., b] = ratio[..., band == b].mean(axis=-1)
    mean[..., : band[0]] = mean[..., band[:1]]
    for b in range(1, mean.shape[-1]):
        mean[..., b] = np.where(mean[..., b] > 0, mean[..., b], mean[..., b - 1])
    return -0.5 * np.log(np.maximum(mean, 1e-12))
