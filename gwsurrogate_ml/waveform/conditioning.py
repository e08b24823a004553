"""From a time-domain mode to the Fourier transform of a real polarization on an analysis segment.

The start is tapered, never the ringdown; t = 0 (the peak) sits at the start of the segment and what comes before it wraps
around to the end, as in LAL and bilby.
"""

from __future__ import annotations

import numpy as np


def start_taper(times: np.ndarray, start: float, end: float) -> np.ndarray:
    """Half of a Hann window in time: 0 before `start`, 1 after `end` (times in any one unit), (n,) float64.

    Examples
    --------
    >>> start_taper(np.array([0.0, 1.0, 2.0]), 0.0, 2.0).round(3)
    array([0. , 0.5, 1. ])
    """
    x = np.clip((times - start) / (end - start), 0.0, 1.0)
    return 0.5 - 0.5 * np.cos(np.pi * x)


def segment_times(duration: float, sampling_frequency: np.ndarray, ringdown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of samples (N,) before t = 0 and from t = 0 on when `ringdown` seconds follow the peak on a periodic segment.

    Examples
    --------
    >>> before, after = segment_times(1.0, np.array([16.0, 32.0]), np.array([0.25, 0.25]))
    >>> before.tolist(), after.tolist()
    ([12, 24], [4, 8])
    """
    n = np.round(duration * sampling_frequency).astype(np.int64)
    after = np.minimum(np.ceil(ringdown * sampling_frequency).astype(np.int64), n // 2)
    return n - after, after
