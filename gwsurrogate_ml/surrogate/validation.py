"""How accurate a surrogate is on simulations that it has not seen: cross-validation of stage 2 by parameter clusters.

Random splits of NR catalogues leak, since near-duplicates abound; here a run is only ever predicted by a stage 2 fitted
without it and without everything within `isolation` of it in eta and both spins.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from gwsurrogate_ml.surrogate.aligned import stage2
from gwsurrogate_ml.surrogate.aligned.uncertainty import expected_mismatch
from gwsurrogate_ml.surrogate.config import SurrogateConfig
from gwsurrogate_ml.waveform.compare import white_mismatch


def clusters(parameters: np.ndarray, isolation: float) -> np.ndarray:
    """Labels (n,) of groups linked by steps below `isolation` in the largest of |d eta|, |d chi1|, |d chi2|.

    Parameters
    ----------
    parameters : (n, 3) float64, q, chi1, chi2; near q = 1 the bodies' order does not count
    isolation : float

    Examples
    --------
    >>> clusters(np.array([[1.0, 0.3, 0.0], [1.0, 0.0, 0.3], [2.0, 0.0, 0.0]]), 0.01).tolist()
    [1, 1, 2]
    """
    q = parameters[:, 0]
    points = np.column_stack([q / (1 + q) ** 2, parameters[:, 1:]])
    equal = q < 1.02
    points[equal, 1:] = np.sort(points[equal, 1:], axis=1)
    return fcluster(linkage(points, "single", metric="chebyshev"), isolation, criterion="distance")


def waveforms(tensors: dict[str, np.ndarray], degree: int, parameters: np.ndarray, t: np.ndarray) -> np.ndarray:
    """h22 (n, n_t) complex128 of a model given by its tensors, at times `t` (M) in the knots' frame."""
    log_amplitude, phase = stage2.evaluate(tensors, degree, parameters, t)
    return np.exp(log_amplitude - 1j * phase)


def cross_validate(
    tensors: dict[str, np.ndarray], runs: stage2.Runs, config: SurrogateConfig, isolation: float, folds: int = 8
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Predictions of every run by a stage 2 that has not seen its cluster.

    Parameters
    ----------
    tensors : dict
        a model; its stage 2, if any, is dropped
    runs : Runs
    config : SurrogateConfig
    isolation : float
        see `clusters`
    folds : int

    Returns
    -------
    h22 : (n, n_t) complex128 at `runs.t`
    mismatch : (n,) float64
        white noise, t in [-395, 90] M, over time and phase shifts
    expected : (n,) float64
        what the model itself expects that mismatch to be, before calibration
    """
    first = {key: value for key, value in tensors.items() if not key.startswith("stage2")}
    label = clusters(runs.parameters, isolation)
    order = np.random.default_rng(config.seed).permutation(np.unique(label))
    fold = dict(zip(order.tolist(), (np.arange(len(order)) % folds).tolist(), strict=True))
    member = np.array([fold[c] for c in label])
    h22 = np.empty(runs.h22.shape, dtype=np.complex128)
    expected = np.empty(len(runs.h22))
    for k in range(folds):
        model = stage2.add(first, runs.take(member != k), None, config)
        h22[member == k] = waveforms(model, config.degree, runs.parameters[member == k], runs.t)
        expected[member == k] = expected_mismatch(runs.parameters[member == k], model)
    mismatch = [white_mismatch(runs.t, a, b, stage2.NR_WINDOW) for a, b in zip(runs.h22, h22, strict=True)]
    return h22, np.array(mismatch), expected


def percentiles(values: np.ndarray) -> dict[str, float]:
    """Median, 75th, 90th, 99th percentile and maximum, as a card or a table wants them."""
    return {str(p): float(np.percentile(values, p)) for p in (50, 75, 90, 99, 100)}
