"""Times as numbers and as dates."""

from __future__ import annotations

import pytest

from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.strain.times import gps_seconds


@pytest.mark.peer
@pytest.mark.parametrize(
    ("date", "parts"),
    [
        ("2015-09-14T09:50:45", (2015, 9, 14, 9, 50, 45)),
        ("2017-08-17 12:41:04 UTC", (2017, 8, 17, 12, 41, 4)),
        ("2016-12-31T23:59:60", (2016, 12, 31, 23, 59, 60)),
        ("2017-01-01T00:00:00Z", (2017, 1, 1, 0, 0, 0)),
        ("2024-02-29", (2024, 2, 29, 0, 0, 0)),
        ("2005-12-31T23:59", (2005, 12, 31, 23, 59, 0)),
        ("2015-09-14T11:50:45+02:00", (2015, 9, 14, 9, 50, 45)),
        ("2015-09-13t23:20:45-1030", (2015, 9, 14, 9, 50, 45)),
    ],
)
def test_dates_are_those_of_lal(date: str, parts: tuple[int, ...]) -> None:
    import lal

    assert gps_seconds(date) == lal.UTCToGPS((*parts, 0, 0, 0))


def test_fractions_of_a_second_are_kept() -> None:
    assert gps_seconds("2015-09-14T09:50:45.391") == 1126259462.391
    assert gps_seconds("1126259462.391") == gps_seconds(1126259462.391) == 1126259462.391


def test_nonsense_is_refused() -> None:
    for text in ("noon", "2015-13-01", "2015-09-14T25:00:00", "14.9.2015", "", "nan", "inf"):
        with pytest.raises(ConfigError, match="gps"):
            gps_seconds(text)
