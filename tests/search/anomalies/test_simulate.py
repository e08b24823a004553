"""Bursts as two detectors see them, against bilby's response; glitches as the table says."""

from __future__ import annotations

import numpy as np
import pytest

from gwsurrogate_ml.denoise.signal.segment import frequencies
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.search.anomalies.simulate import GlitchTable, Pair, burst, whitened_pair


@pytest.mark.peer
def test_response_and_delays_are_those_of_bilby():
    from bilby.gw.detector import InterferometerList
    from bilby.gw.utils import greenwich_mean_sidereal_time

    gps, ra, dec = 1126259462.4, 1.3, -0.7
    phi = ra - greenwich_mean_sidereal_time(gps)
    n = np.array([np.cos(dec) * np.cos(phi), np.cos(dec) * np.sin(phi), np.sin(dec)])
    x = np.cross(n, [0.3, 0.1, 0.9])
    plus, cross, delays = Pair(("H1", "L1")).response(n, x / np.linalg.norm(x))
    for d, site in enumerate(InterferometerList(["H1", "L1"])):
        theirs = [site.antenna_response(ra, dec, gps, 0.0, mode) for mode in ("plus", "cross")]
        # The polarisation angle is arbitrary: what does not depend on it is compared.
        assert np.hypot(plus[d], cross[d]) == pytest.approx(np.hypot(*theirs), rel=1e-6)
        assert delays[d] == pytest.approx(site.time_delay_from_geocenter(ra, dec, gps), abs=1e-7)


@pytest.mark.parametrize("name", ["sine-Gaussian", "noise burst", "ringdown"])
def test_a_burst_has_the_ratio_asked_for(name):
    rng = np.random.default_rng(5)
    h = Pair(("H1", "L1")).seen(*burst(name, rng), rng)
    series = whitened_pair(h, np.ones((2, frequencies().size)), 12.0)
    assert np.sqrt(np.sum(series**2)) == pytest.approx(12.0)
    power = np.convolve((series**2).sum(axis=0), np.ones(300), "same")
    assert abs(power.argmax() / 1024 - 2.5) < 0.3


def test_a_table_that_is_none_is_refused(tmp_path):
    with pytest.raises(DataError, match="is missing"):
        GlitchTable.read(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_text("f0,gbw\n1,2\n")
    with pytest.raises(DataError, match="'snr'"):
        GlitchTable.read(tmp_path / "a.csv")


def test_glitches_of_the_table_have_its_ratio(data_dir):
    table = GlitchTable.read(data_dir("glitches/antiglitch_o3.csv"))
    series = table.draw("Tomte", np.ones(frequencies().size), np.random.default_rng(0))
    assert np.isclose(table.rows["Tomte"][:, 2], np.sqrt(np.sum(series**2))).any()
