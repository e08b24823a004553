"""Calibration envelopes: what a detector's calibration may be off by, with its error, as the LVK publish it and bilby reads it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import InterpolatedUnivariateSpline

from gwsurrogate_ml.arguments import finite
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.channels import detectors_named, prefix
from gwsurrogate_ml.strain.text_tables import UNREADABLE, read_table

logger = logging.getLogger(__name__)
CORRECTIONS = ("data", "template")
LARGEST_PHASE, CALIBRATED, FACTORS = 1.0, 2048.0, (0.5, 2.0)
"""rad, of a file below a frequency in Hz (envelopes of real detectors have a tenth there, and more above), and between what its
median amplitudes lie."""
COLUMNS = "frequency, median amplitude, median phase, -1 sigma amplitude, -1 sigma phase, +1 sigma amplitude, +1 sigma phase"


@dataclass(frozen=True, eq=False)
class CalibrationEnvelope:
    """A detector's calibration error: the factor ``(1 + a(f)) exp(i phi(f))`` on a signal, with Gaussian errors.

    Parameters
    ----------
    frequencies : (n,) float64, Hz, rising
    amplitude, amplitude_sigma : (n,) float64
        median of a(f) and its standard deviation
    phase, phase_sigma : (n,) float64, rad
    source : str
        where it comes from
    """

    frequencies: np.ndarray
    amplitude: np.ndarray
    amplitude_sigma: np.ndarray
    phase: np.ndarray
    phase_sigma: np.ndarray
    source: str = ""

    @classmethod
    def constant(cls, amplitude: float, phase: float) -> CalibrationEnvelope:
        """The same errors at all frequencies, about none: standard deviations, of the phase in rad.

        Raises
        ------
        ConfigError
            if either is negative or no number

        Examples
        --------
        >>> CalibrationEnvelope.constant(0.05, 0.03).at(np.array([100.0]))[1].round(12).tolist()
        [0.05]
        """
        sigmas = finite(amplitude, "the error of the amplitude"), finite(phase, "the error of the phase", "rad")
        if min(sigmas) < 0:
            raise ConfigError(
                f"calibration errors are {sigmas[0]:g} and {sigmas[1]:g} rad: give standard deviations, not below zero"
            )
        n = 4
        zero = np.zeros(n)
        text = f"{sigmas[0]:g} and {sigmas[1]:g} rad at all frequencies"
        return cls(np.geomspace(1e-3, 1e6, n), zero, zero + sigmas[0], zero, zero + sigmas[1], text)

    @classmethod
    def read(cls, path: str | Path, correction: str = "data") -> CalibrationEnvelope:
        """An envelope file: a table in text of seven columns.

        Parameters
        ----------
        path : str or Path
            columns frequency (Hz), median amplitude, median phase (rad), amplitude and phase one sigma below, and one above
        correction : "data" or "template"
            what the factor is to be multiplied with, to agree with the other: the LVK's files correct the data

        Raises
        ------
        ConfigError
            another `correction`
        DataError
            no such table: columns, numbers that are not finite, frequencies that do not rise, amplitudes that are not positive
        """
        if correction not in CORRECTIONS:
            raise ConfigError(f"correction is {correction!r}: give 'data', as the LVK's files have it, or 'template'")
        path = Path(path)
        try:
            table = read_table(path).values
        except FileNotFoundError as error:
            raise DataError(f"no file {path}: give a calibration envelope, a text file of {COLUMNS}") from error
        except UNREADABLE as error:
            raise DataError(f"{path} is no table of a calibration envelope ({error}): give a text file of {COLUMNS}") from error
        if table.ndim != 2 or table.shape[1] != 7 or len(table) < 4:
            raise DataError(
                f"{path} has {table.shape[0]} rows of {table.shape[-1]} columns: a calibration envelope has four rows or more of "
                f"seven columns, {COLUMNS}"
            )
        if not np.all(np.isfinite(table)):
            row = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
            raise DataError(f"{path} is not finite in row {row + 1}: give an envelope without gaps")
        frequencies, median, phase, below, phase_below, above, phase_above = table.T
        if not (frequencies[0] > 0 and np.all(np.diff(frequencies) > 0)):
            raise DataError(f"{path}: the first column does not rise from above zero: it holds frequencies in Hz")
        if not (min(median.min(), below.min(), above.min()) > 0):
            raise DataError(f"{path}: amplitudes are not all positive: they are factors near one")
        if not (FACTORS[0] < median.min() and median.max() < FACTORS[1]):
            raise DataError(
                f"{path}: median amplitudes run from {median.min():g} to {median.max():g}: they are factors near one, neither per "
                "cent nor errors alone"
            )
        seen = frequencies <= CALIBRATED
        if (largest := float(np.abs([phase[seen], phase_below[seen], phase_above[seen]]).max(initial=0.0))) > LARGEST_PHASE:
            raise DataError(f"{path}: phases reach {largest:g}, more than {LARGEST_PHASE:g} rad: give them in rad, not in degrees")
        if correction == "data":
            median, below, above, phase = 1 / median, 1 / below, 1 / above, -phase
        return cls(
            frequencies,
            median - 1,
            np.abs(above - below) / 2,
            phase,
            np.abs(phase_above - phase_below) / 2,
            str(path),
        )

    def at(self, frequencies: np.ndarray) -> np.ndarray:
        """Amplitude, its sigma, phase, and its sigma, (4, n), at `frequencies` (n,): cubic splines in log f, as bilby's.

        Raises
        ------
        DataError
            beyond the ends, or where the table is too rough for its splines
        """
        low, high = float(self.frequencies[0]), float(self.frequencies[-1])
        wanted = float(frequencies[0]), float(frequencies[-1])
        if wanted[0] < low * (1 - 1e-9) or wanted[1] > high * (1 + 1e-9):
            raise DataError(
                f"{self.source}: the calibration envelope runs from {low:g} to {high:g} Hz, the band from {wanted[0]:g} to "
                f"{wanted[1]:g} Hz: give one that covers it, or a narrower band"
            )
        log_f = np.log(self.frequencies)
        tables = (self.amplitude, self.amplitude_sigma, self.phase, self.phase_sigma)
        found = np.stack([InterpolatedUnivariateSpline(log_f, y)(np.log(frequencies)) for y in tables])
        if np.any(found[[1, 3]] < 0) or np.any(found[0] <= -1):
            raise DataError(f"{self.source}: the splines through the envelope turn negative: it is too rough, give a smooth one")
        return found


Calibration = Mapping[str, str | Path | CalibrationEnvelope]
"""Envelope, or file of one, of each detector; "template:FILE" for a file that corrects the template."""


def envelopes(calibration: Calibration, detectors: Sequence[str]) -> dict[str, CalibrationEnvelope]:
    """The envelope of each of `detectors`, in their order.

    Raises
    ------
    ConfigError
        naming a detector that is none of the data's, or has no envelope; what is neither a file nor an envelope
    DataError
        see `CalibrationEnvelope.read`
    """
    if not isinstance(calibration, Mapping):
        raise ConfigError(f"calibration is a {type(calibration).__name__}: give a file or an envelope by detector, {{'H1': ...}}")
    for name in calibration:
        if name not in detectors:
            raise ConfigError(f"calibration of {name!r}: the data are of {', '.join(detectors)}; give theirs alone")
    if missing := [name for name in detectors if name not in calibration]:
        raise ConfigError(f"no calibration envelope for {', '.join(missing)}: give one for each detector of the data")
    return {name: _envelope(name, calibration[name]) for name in detectors}


def _envelope(name: str, source: Any) -> CalibrationEnvelope:
    if isinstance(source, CalibrationEnvelope):
        return source
    if not isinstance(source, str | Path):
        raise ConfigError(f"calibration of {name} is a {type(source).__name__}: give a file or a CalibrationEnvelope")
    correction, path = split_correction(str(source))
    others = detectors_named(Path(path).name)
    if others and prefix(name).upper() not in others:
        logger.warning("%s: its calibration is taken from %s, which is named after %s", name, path, " and ".join(sorted(others)))
    return CalibrationEnvelope.read(path, correction)


def split_correction(source: str) -> tuple[str, Path]:
    """The correction that a prefix names, else "data", and the path.

    Examples
    --------
    >>> split_correction("template:H1.txt")[0], split_correction("H1.txt")[0]
    ('template', 'data')
    """
    kind, colon, rest = source.partition(":")
    return (kind, Path(rest)) if colon and kind in CORRECTIONS else ("data", Path(source))
