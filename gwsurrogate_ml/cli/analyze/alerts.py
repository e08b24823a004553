"""What `gwsml analyze --alert` asks of an alert and of the other options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gwsurrogate_ml.cli.console import complain
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.inference.result.alert import Alert, read_alert

ALERT_SKY_MAP = "alert_skymap.fits"
"""The alert's own map in the output folder."""


def require_alert(path: Path, files: Mapping[str, Any], gps: str | None) -> Alert:
    """The alert, if strain of its time is given; a warning for detectors of the alert without strain.

    Raises
    ------
    ConfigError
        without strain, or with --gps
    DataError
        as `read_alert`
    """
    if gps is not None:
        raise ConfigError("--alert has the event's time: leave --gps out")
    alert = read_alert(path)
    if not files:
        named = " ".join(f"--strain {name}=FILE" for name in alert.detectors)
        raise ConfigError(f"--alert {path} holds no strain: give {named} around GPS {alert.gps:.1f}")
    if lacking := [name for name in alert.detectors if name not in files]:
        complain("warning", f"the alert is of {' '.join(alert.detectors)}: no strain of {' '.join(lacking)} is given")
    return alert
