"""Witness channels as files hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gwpy.timeseries import TimeSeries

from gwsurrogate_ml.denoise.witness.channels import align, read_channels
from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner
from gwsurrogate_ml.errors import DataError


def test_a_gap_between_files_of_counts_is_no_number(tmp_path: Path) -> None:
    """Whole numbers have no NaN: the gap became the least of them, and the channel's limits with it."""
    for k, start in enumerate((100.0, 106.0)):
        counts = TimeSeries(np.arange(4 * 64, dtype=np.int32), t0=start, sample_rate=64.0, name="A", channel="A")
        counts.write(tmp_path / f"{k}.hdf5", path="A", format="hdf5")
    found = read_channels([tmp_path / "0.hdf5", tmp_path / "1.hdf5"], ["A"])["A"]
    assert found.dtype == np.float64
    assert np.isnan(found.value[4 * 64 : 6 * 64]).all()
    assert np.nanmin(found.value) == 0
    assert found.size == 10 * 64


def test_one_sample_is_a_frame_but_nothing_to_fit_to() -> None:
    one = TimeSeries([1.0], t0=100.0, sample_rate=64.0)
    assert align(one, {"A": one}).strain.shape == (1,)
    with pytest.raises(DataError, match="1 samples of strain are too few to fit to"):
        WitnessCleaner.fit(one, {"A": one}, bands=[(10.0, 20.0)])
    with pytest.raises(DataError, match="give one series"):
        align(one[:0], {"A": one})
