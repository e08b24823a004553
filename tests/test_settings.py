"""Settings of trainings: a key that is not one is named, with the one that was meant."""

from __future__ import annotations

import pytest

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.config import EstimatorConfig
from gwsurrogate_ml.settings import read, shipped


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prior": {"mass_ratios": [0.1, 1.0]}}, r"^prior\.mass_ratios: no such setting: did you mean prior\.mass_ratio\?$"),
        (
            {"version": "2"},
            r"^version: no such setting; there are name, kind, surrogate, .*: is the file meant for another command\?$",
        ),
        ({"segment": {"xyz": 1}}, r"^segment\.xyz: no such setting; there are detectors, duration, f_min, f_max"),
        ({"network": {"hidden": [1, "two"]}}, r"^network\.hidden\.1: .*given: 'two'"),
    ],
)
def test_what_is_no_setting_is_named_with_what_was_meant(change: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(EstimatorConfig, shipped("bbh-h1l1") | change)
