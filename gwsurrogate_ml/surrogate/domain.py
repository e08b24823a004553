"""The domain guard: silent inside, one warning in the soft margin, an error beyond the hard limit."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DomainError, DomainWarning

NAMES = ("q", "chi1", "chi2")


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
        where values lie between the trained range and the hard limit
    """
    if parameters.ndim != 2 or parameters.shape[1] != len(NAMES):
        raise ConfigError(f"parameters have shape {parameters.shape}: give (N, 3), columns q, chi1, chi2")
    low, high = parameters.min(0, initial=np.inf), parameters.max(0, initial=-np.inf)
    for j, name in enumerate(NAMES):
        limits = ranges[name]
        if not np.all(np.isfinite(parameters[:, j])):
            raise DomainError(f"{name} is not a finite number: check the values passed")
        hint = " (swap the bodies: q = m1/m2 >= 1)" if name == "q" and low[j] < 1 else ""
        for value in (low[j], high[j]):
            if not limits["hard_min"] <= value <= limits["hard_max"] and len(parameters):
                raise DomainError(
                    f"{name} = {value:g} is outside [{limits['hard_min']:g}, {limits['hard_max']:g}], the hard limit of this "
                    f"model{hint}: choose a value inside or another model"
                )
            if not limits["min"] <= value <= limits["max"] and len(parameters):
                warnings.warn(
                    f"{name} = {value:g} is outside the trained range [{limits['min']:g}, {limits['max']:g}]: extrapolated",
                    DomainWarning,
                    stacklevel=4,
                )
