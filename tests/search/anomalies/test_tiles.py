"""Whitening and tiles: what noise does is known, and a burst is found where it is."""

from __future__ import annotations

import numpy as np
import pytest
from gwpy.timeseries import TimeSeries
from scipy.stats import kstest

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.search.anomalies.tiles import BLOCK, RATE, STEP, find, significances, tiles, track
from gwsurrogate_ml.search.anomalies.white import White, whiten


def burst(t, centre=150.0, width=0.01, snr=10.0):
    h = np.exp(-0.5 * (t / width) ** 2) * np.cos(2 * np.pi * centre * t + 0.4)
    return snr * h / np.linalg.norm(h)


def test_significance_in_white_noise_is_exponential():
    rng = np.random.default_rng(3)
    found = significances(rng.standard_normal(BLOCK * RATE))[:, STEP:-STEP]
    t = tiles()
    for row in (*np.flatnonzero(t.length == 0)[::25], *np.flatnonzero(t.length > 0)[::6]):
        # One value for each time in which it forgets.
        apart = max(1, int(4 * t.duration[row] * STEP))
        assert kstest(found[row, ::apart], "expon").pvalue > 1e-4, row


def test_a_burst_is_found_with_half_its_squared_ratio():
    n = BLOCK * RATE
    t = (np.arange(n) - n // 2) / RATE
    white = White(burst(t).astype(np.float32), 100.0, np.ones(1824), [(101.0, 100.0 + BLOCK - 1)])
    triggers = find(white)
    best = int(np.argmax(triggers.significance))
    assert triggers.time[best] == pytest.approx(100 + BLOCK / 2, abs=0.003)
    assert tiles().frequency[triggers.tile[best]] == pytest.approx(150, rel=0.1)
    assert 0.9 * 50 < triggers.significance[best] <= 50.1
    assert np.abs(triggers.window[best]).argmax() == pytest.approx(256, abs=4)


def test_an_inspiral_is_followed_by_a_track():
    f = np.arange(BLOCK * RATE // 2 + 1) / BLOCK
    inside = (f >= 24) & (f < 480)
    spectrum = np.zeros(f.size, complex)
    # Between two masses of the set.
    spectrum[inside] = track(25.3, f[inside]) * np.exp(-2j * np.pi * f[inside] * BLOCK / 2)
    h = np.fft.irfft(spectrum)
    white = White((10 * h / np.linalg.norm(h)).astype(np.float32), 0.0, np.ones(1824), [(1.0, BLOCK - 1.0)])
    triggers = find(white)
    best = int(np.argmax(triggers.significance))
    assert triggers.time[best] == pytest.approx(BLOCK / 2, abs=0.02)
    assert tiles().mass[triggers.tile[best]] == pytest.approx(25.3, rel=0.05)
    assert triggers.significance[best] > 0.9 * 50


@pytest.mark.parametrize("rate", [1024, 4096])
def test_whitened_noise_has_unit_variance_at_any_rate(rate):
    rng = np.random.default_rng(1)
    series = TimeSeries(1e-21 * rng.standard_normal(32 * rate), sample_rate=rate, t0=10.0, name="H1")
    series.value[20 * rate] = np.nan
    white = whiten(series)
    assert white.spans == [(pytest.approx(12, abs=0.01), 28.0), (pytest.approx(32, abs=0.01), pytest.approx(40, abs=0.01))]
    inside = white.values[3 * RATE : 17 * RATE]
    # 456 of the 512 Hz are in the band; a median over few segments scatters.
    assert np.mean(inside**2) == pytest.approx(456 / 512, rel=0.12)


def test_a_short_or_constant_series_is_refused():
    with pytest.raises(DataError, match="too short"):
        whiten(TimeSeries(np.ones(4096), sample_rate=1024, name="H1"))
    with pytest.raises(DataError, match="constant"):
        whiten(TimeSeries(np.ones(20 * 1024), sample_rate=1024, name="H1"))
