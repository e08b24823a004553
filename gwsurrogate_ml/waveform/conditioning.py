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


def segment_times(duration: float, sampling_frequency: float, ringdown: float) -> tuple[int, int]:
    """Numbers of samples before t = 0 and from t = 0 on when `ringdown` seconds follow the peak on a periodic segment.

    Examples
    --------
    >>> segment_times(1.0, 16.0, 0.25)
    (12, 4)
    """
    n = round(duration * sampling_frequency)
    after = min(int(np.ceil(ringdown * sampling_frequency)), n // 2)
    return n - after, after
