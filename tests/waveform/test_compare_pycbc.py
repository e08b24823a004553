"""The detector-noise mismatch against pycbc's optimised match, which maximises over time by its own interpolation."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.waveform.compare import psd_mismatch

pytestmark = pytest.mark.peer


def chirp(t, tau):
    """Newtonian inspiral whose end fades smoothly; `tau` (about 1) stretches its frequency evolution."""
    left = 10 * np.logaddexp(0, -(t + 40) / 10) + 40.0  # time left, smoothly held at 40 M near the end
    return left**-0.25 / (1 + np.exp((t + 30) / 15.0)) * np.exp(7j * tau * left**0.625 - 0.05j * t)


@pytest.mark.parametrize("mass", [70.0, 120.0])
def test_psd_mismatch_equals_pycbc_optimized_match(mass):
    pytest.importorskip("pycbc")
    from pycbc.filter import optimized_match
    from pycbc.psd import aLIGOZeroDetHighPower
    from pycbc.types import TimeSeries

    t = np.arange(-2750.0, 100.0, 0.5)
    h1, h2 = chirp(t, 1.0), chirp(t, 1.001)
    n, dt, f_low = 1 << 15, 0.5 * mass * MTSUN_SI, 15.0
    psd = aLIGOZeroDetHighPower(n // 2 + 1, 1 / (n * dt), f_low)
    used = np.asarray(psd) > 0
    f_high = float(psd.sample_frequencies[used][-1])
    rise = np.ones(t.size)
    k = int(0.1 * np.argmax(np.abs(h1)))
    rise[:k] = 0.5 - 0.5 * np.cos(np.pi * np.arange(k) / k)

    def plus(h):
        padded = np.zeros(n)
        padded[: t.size] = (rise * h).real
        return TimeSeries(padded, delta_t=dt)

    theirs = 1 - optimized_match(plus(h1), plus(h2), psd=psd, low_frequency_cutoff=f_low, high_frequency_cutoff=f_high)[0]
    ours = psd_mismatch(t, h1, h2, mass, np.asarray(psd.sample_frequencies)[used], np.asarray(psd)[used], f_low, f_high=f_high)
    assert 1e-5 < theirs < 0.1
    assert ours == pytest.approx(theirs, rel=0.01)
