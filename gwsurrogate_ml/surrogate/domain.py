"""What can be trained, and the domain guard: silent inside, one warning in the soft margin, an error beyond the hard limit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import numpy as np

from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.errors import ConfigError, DomainError, DomainWarning

NAMES = ("q", "chi1", "chi2")
EOB_MODES: tuple[ModeKey, ...] = ((2, 1), (3, 3), (3, 2), (4, 4), (4, 3), (5, 5))
"""Higher modes that can be trained, in the order of the training set's `coorbital`."""


def require_limits(**ends: float) -> None:
    """Raise unless the end of a trained range is not above the hard limit: two settings by name, in this order.

    Raises
    ------
    ValueError
        naming both, for pydantic

    Examples
    --------
    >>> require_limits(q_max=20.0, q_hard=10.5)
    Traceback (most recent call last):
    ValueError: q_max is 20, above the hard limit q_hard, 10.5: lower q_max or raise q_hard
    """
    (name, end), (other, limit) = ends.items()
    if end > limit:
        raise ValueError(f"{name} is {end:g}, above the hard limit {other}, {limit:g}: lower {name} or raise {other}")


def check_parameters(parameters: np.ndarray, ranges: Mapping[str, Mapping[str, float]]) -> None:
    """Raise or warn where `parameters` (N, 3) = (q, chi1, chi2) leave the trained domain.

    Parameters
    ----------
    parameters : (N, 3) float
    ranges : mapping of name to {"min", "max", "hard_min", "hard_max"}

    Raises
    ------
    ConfigError
        if the shape is wrong
    DomainError
        if a value is not finite or beyond the hard limit; the message names parameter, value and range

    Warns
    -----
    DomainWarning
        where values lie between the trained range and the hard limit; shown once by Python's default filter
    """
    if parameters.ndim != 2 or parameters.shape[1] != len(NAMES):
        raise ConfigError(f"parameters have shape {parameters.shape}: give (N, 3), columns q, chi1, chi2")
    if not len(parameters):
        return
    lows, highs = parameters.min(0).tolist(), parameters.max(0).tolist()
    check_ranges(dict(zip(NAMES, lows, strict=True)), ranges)
    if len(parameters) > 1:
        check_ranges(dict(zip(NAMES, highs, strict=True)), ranges)


def check_ranges(values: Mapping[str, float], ranges: Mapping[str, Mapping[str, float]]) -> None:
    """Raise or warn as `check_parameters`, for the parameters of one binary by name."""
    # Plain numbers: a waveform takes less than a millisecond, and numpy's overhead on arrays of three would be seen in it.
    for name, value in values.items():
        limits = ranges[name]
        if not math.isfinite(value):
            raise DomainError(f"{name} is not a finite number: check the values passed")
        if not limits["hard_min"] <= value <= limits["hard_max"]:
            hint = " (swap the bodies: q = m1/m2 >= 1)" if name == "q" and value < 1 else ""
            raise DomainError(
                f"{name} = {value:g} is outside [{limits['hard_min']:g}, {limits['hard_max']:g}], the hard limit of this "
                f"model{hint}: choose a value inside or another model"
            )
        if not limits["min"] <= value <= limits["max"]:
            # Neither the value in the text nor the caller's line: Python then shows it once, not once for each binary of a sampler.
            warnings.warn(
                f"{name} is outside the trained range [{limits['min']:g}, {limits['max']:g}]: extrapolated",
                DomainWarning,
                stacklevel=1,
            )
