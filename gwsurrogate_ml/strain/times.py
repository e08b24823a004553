"""Times in GPS seconds, from numbers or from dates."""

from __future__ import annotations

import re
from typing import Any

from gwsurrogate_ml.arguments import finite
from gwsurrogate_ml.errors import ConfigError

DATE = re.compile(r"(\d{4}-\d\d?-\d\d?(?:[T ]\d\d?:\d\d(?::\d\d(?:\.\d*)?)?)?)( ?UTC|Z|[+-]\d\d:?\d\d)?", re.IGNORECASE)


def gps_seconds(value: Any, what: str = "gps") -> float:
    """GPS time (s) of a number, or of a date and time in UTC, leap seconds counted.

    Parameters
    ----------
    value : float, or str
        a number, or a date such as "2015-09-14T09:50:45.4", or one of another zone, "2015-09-14T11:50:45.4+02:00"
    what : str
        for the message

    Raises
    ------
    ConfigError
        if it is neither

    Examples
    --------
    >>> gps_seconds("2015-09-14T09:50:45.4"), gps_seconds("1126259462.4"), gps_seconds("2017-01-01 00:00:00")
    (1126259462.4, 1126259462.4, 1167264018.0)
    """
    if not isinstance(value, str):
        return finite(value, what, "GPS s")
    text = value.strip()
    try:
        return finite(float(text), what, "GPS s")
    except ValueError:
        pass
    if found := DATE.fullmatch(text):
        from astropy.time import Time

        date, zone = found[1].upper().replace(" ", "T"), found[2] or ""
        ahead = int(f"{zone[0]}1") * (3600 * int(zone[1:3]) + 60 * int(zone[-2:])) if zone[:1] in ("+", "-") else 0
        try:
            return round(float(Time(date, scale="utc").gps) - ahead, 6)
        except ValueError:  # no such day
            pass
    raise ConfigError(
        f"{what} is {value!r}, no valid number and no date: give GPS seconds, or a time in UTC such as 2015-09-14T09:50:45"
    )
