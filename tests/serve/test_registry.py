"""Names under which models are served."""

from __future__ import annotations

import pytest

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.serve import Limits, create_app, serve_model
from gwsurrogate_ml.serve.service import Service


def test_a_model_is_asked_for_by_the_name_it_is_served_as() -> None:
    served = Service([*serve_model("nr22", "mine"), *serve_model("nr22")], Limits())
    assert list(served.models) == ["mine", "mine-polarizations", "nr22", "nr22-polarizations"]
    assert served.model("mine").metadata()["name"] == "mine"


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two models have the name 'mine'"):
        create_app([*serve_model("nr22", "mine"), *serve_model("bbh-signal", "mine")])


def test_a_name_that_cannot_stand_in_an_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot stand in an address"):
        serve_model("nr22", "my model")
