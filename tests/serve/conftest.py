"""A witness cleaner small enough to be fitted for the tests."""

from __future__ import annotations

import pytest

import gwsurrogate_ml as gw
from gwsurrogate_ml.denoise.witness.bench.mock import preset
from tests.serve.material import RATE

collect_ignore = ["mlserver_requests.py"]  # needs MLServer, which fits no environment of this package


@pytest.fixture(scope="session")
def cleaner() -> gw.WitnessCleaner:
    data = preset("sidebands_only", sampling_frequency=RATE).draw(128.0, seed=1)
    return gw.WitnessCleaner.fit(data.strain, data.witnesses, bands=[(45.0, 75.0)], name="mock-cleaner")
