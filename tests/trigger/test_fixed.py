"""Fixed-point numbers: rounding half up, saturation, refusal of what hardware would wrap."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.trigger.fixed import Format


@given(st.integers(2, 10), st.integers(-3, 8), st.booleans(), st.floats(-300, 300, width=32))
def test_rounding_is_half_up_and_saturates_in_exact_arithmetic(bits: int, fraction: int, signed: bool, x: float) -> None:
    form = Format(bits, fraction, signed)
    exact = floor(Fraction(x) * Fraction(2) ** fraction + Fraction(1, 2))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    assert form.integers(np.array([x]))[0] == min(max(exact, low), high)


def test_half_is_not_rounded_to_even() -> None:
    form = Format(6, 0, True)
    assert form.integers(np.array([0.5, 1.5, 2.5, -0.5, -1.5])).tolist() == [1, 2, 3, 0, -1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_strain_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(DataError, match="gaps"):
        Format(6, 2, True).integers(np.array([0.0, bad]))


@pytest.mark.parametrize(
    ("bad", "words"),
    [(np.array([0.5]), "not whole numbers"), (np.array([32]), "holds 32"), (np.array([-33]), "-33")],
)
def test_unquantised_input_is_refused(bad: np.ndarray, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Format(6, 2, True).require(bad)
