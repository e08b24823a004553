"""Light binaries of SEOBNRv5HM for benchmarks: what `data_prep.eob` gives from below 20 Hz on, on the times of both sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_prep import chunks, eob, inspiral
from gwsurrogate_ml.conventions import MTSUN_SI

CHIRP_MASS, F_MIN = (5.0, 13.0), 20.0
"""Solar masses, Hz."""
Q_MAX, CHI_MAX = 8.0, 0.9
STEP = 0.5
"""M, of the samples."""
BEFORE = 0.6
"""Seconds before the (2,2) mode passes `F_MIN`, for a taper."""


def design(n: int, seed: int) -> np.ndarray:
    """Chirp mass, q, chi1, chi2 (n, 4): uniform, but log q."""
    rng = np.random.default_rng(seed)
    chirp_mass, q = rng.uniform(*CHIRP_MASS, n), np.exp(rng.uniform(0, np.log(Q_MAX), n))
    return np.column_stack([chirp_mass, q, rng.uniform(-CHI_MAX, CHI_MAX, (n, 2))])


def generate(out: Path, n: int, seed: int) -> None:
    """Write an npz file with `parameters` (n, 4), `times` (n_t,) and, NaN before each begins, `amp22`, `phase22`, `coorbital`."""
    config = inspiral.InspiralConfig()
    times = np.concatenate([inspiral.times(config)[: -1 - inspiral.PADS], eob.knots(config.join)])
    parameters = design(n, seed)
    arrays = {
        "parameters": parameters,
        "times": times,
        "amp22": np.full((n, len(times)), np.nan),
        "phase22": np.full((n, len(times)), np.nan),
        "coorbital": np.full((n, len(eob.MODES) - 1, len(times)), np.nan, np.complex64),
    }
    for i, (chirp_mass, q, chi1, chi2) in enumerate(parameters):
        unit = chirp_mass * (q / (1 + q) ** 2) ** -0.6 * MTSUN_SI
        omega = np.pi * F_MIN * unit
        # The inverse of `initial_frequency`, to two per cent: enough for a start.
        low, high = 100.0, -times[0]
        while high / low > 1.001:
            middle = np.sqrt(low * high)
            low, high = (middle, high) if eob.initial_frequency(q, chi1, chi2, middle) > omega else (low, middle)
        first = max(int(np.searchsorted(times, -1.03 * high - BEFORE / unit)) - 1, 0)
        found = eob.one_waveform(q, chi1, chi2, times[first:], STEP)
        for key, values in found.items():
            arrays[key][i, ..., first:] = values
        print(f"{i + 1} of {n}", flush=True)
    chunks.write(out, arrays)
