"""Whatever numbers and bytes come: a finite answer or an error of the package's own."""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gwsurrogate_ml.arguments import whole
from gwsurrogate_ml.cli.options import parse_detectors, parse_prior
from gwsurrogate_ml.cli.train import parse_overrides
from gwsurrogate_ml.errors import GwsmlError
from gwsurrogate_ml.serve import protocol
from tests.hostile.material import remnant, surrogate

anything = st.one_of(st.floats(), st.integers(-5, 200), st.none(), st.text(max_size=3), st.booleans())
likely = st.one_of(st.floats(1.0, 100.0), anything)
QUICK = settings(max_examples=150, deadline=None, derandomize=True)


@pytest.mark.slow
@QUICK
@given(
    st.fixed_dictionaries({name: likely for name in ("mass_1", "mass_2", "luminosity_distance", "f_min")}),
    anything,
    anything,
)
def test_polarizations_are_finite_or_refused(given_values: dict[str, Any], spin: Any, angle: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pair = surrogate().polarizations(
                **given_values, chi_1=spin, chi_2=0.1, theta_jn=angle, phase=0.3, sampling_frequency=8192.0
            )
        except GwsmlError:
            return
    assert all(np.isfinite(series.value).all() for series in pair)


@pytest.mark.slow
@QUICK
@given(likely, anything, anything)
def test_remnants_are_finite_or_refused(q: Any, chi1: Any, chi2: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            state = remnant()(q, chi1, chi2)
        except GwsmlError:
            return
    assert np.isfinite([state.mass, state.spin, state.kick]).all()
    assert 0 < state.mass < 1


@QUICK
@given(st.binary(max_size=200), st.one_of(st.none(), st.text(max_size=5)))
def test_any_body_is_a_request_or_refused(body: bytes, header: str | None) -> None:
    try:
        protocol.decode(body, header)
    except protocol.RequestError as error:
        status = error.status
    else:
        return
    assert 400 <= status < 500


@QUICK
@given(st.lists(st.text(max_size=12), max_size=4))
def test_any_words_are_options_or_refused(words: list[str]) -> None:
    for parse in (lambda w: parse_detectors("--strain", w), parse_overrides, parse_prior):
        with contextlib.suppress(GwsmlError):
            parse(words)


@QUICK
@given(anything)
def test_whole_numbers_are_whole(value: Any) -> None:
    try:
        found = whole(value, "n", least=-10)
    except GwsmlError:
        return
    assert found == value
