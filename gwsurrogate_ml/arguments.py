"""Checks of single numbers that users pass: words, None, NaN and infinities get a sentence, not a traceback; bounds in words."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from typing import Any

from gwsurrogate_ml.errors import ConfigError

MOST = 2**62
"""Whole numbers are below this, so that sums of them fit the 64 bits of generators of random numbers."""


def finite(value: Any, name: str, unit: str = "") -> float:
    """`value` as a finite float.

    Raises
    ------
    ConfigError
        if it is no number, or not finite

    Examples
    --------
    >>> finite("4", "duration", "s")
    Traceback (most recent call last):
    gwsurrogate_ml.errors.ConfigError: duration is '4': give a finite number in s
    """
    if isinstance(value, (str, bytes)):
        found = math.nan  # a number in words is a mistake on the way here
    else:
        try:
            found = float(value)
        except (TypeError, ValueError, OverflowError):
            found = math.nan
    if not math.isfinite(found):
        raise ConfigError(f"{name} is {value!r}: give a finite number{f' in {unit}' if unit else ''}")
    return found


def positive(value: Any, name: str, unit: str = "") -> float:
    """`value` as a finite float above zero.

    Raises
    ------
    ConfigError
        if it is no number, not finite, or not above zero

    Examples
    --------
    >>> positive(4, "duration", "s")
    4.0
    """
    found = finite(value, name, unit)
    if not found > 0:
        raise ConfigError(f"{name} is {value!r}: give a positive number{f' in {unit}' if unit else ''}")
    return found


def whole(value: Any, name: str, least: int = 0) -> int:
    """`value` as an integer of at least `least`, below `MOST`; 3.0 is one, 3.5 and True are none.

    Raises
    ------
    ConfigError
        if it is none

    Examples
    --------
    >>> whole(3.0, "seed")
    3
    """
    found = -1.0 if isinstance(value, bool) else finite(value, name)
    if isinstance(value, bool) or found != round(found) or not least <= found < MOST:
        raise ConfigError(f"{name} is {value!r}: give a whole number of at least {least}, below 2^62")
    return value if isinstance(value, int) else round(found)


def at_least(value: float, digits: int = 4) -> str:
    """A lower bound in words, rounded up to so many significant digits: whoever takes it is not refused again.

    Examples
    --------
    >>> at_least(3127.2), at_least(10.001, 3)
    ('3128', '10.1')
    """
    return f"{Context(prec=digits, rounding=ROUND_CEILING).create_decimal_from_float(float(value)):f}"


def at_most(value: float, digits: int = 4) -> str:
    """An upper bound in words, rounded down as `at_least` is rounded up.

    Examples
    --------
    >>> at_most(0.0199996)
    '0.01999'
    """
    return f"{Context(prec=digits, rounding=ROUND_FLOOR).create_decimal_from_float(float(value)):f}"
