"""Strain from files: GWOSC's, gwpy's and pycbc's HDF5, GWF, text, npy and npz, with data quality turned into gaps and marks.

A gap is NaN: GWOSC writes NaN where there is no data, and samples that fail DATA or CBC_CAT1 are set to NaN here, so that one
rule (a span with NaN is not used) covers both. Vetoes that only speak against the data, and injections, come out as marks
(`quality`). Layout of GWOSC files: https://gwosc.org/tutorials.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.arguments import finite, positive
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.channels import Raw, strain_scale
from gwsurrogate_ml.strain.frames import read_gwf
from gwsurrogate_ml.strain.hdf5 import read_hdf5
from gwsurrogate_ml.strain.quality import Mark, gaps, marks, sentences
from gwsurrogate_ml.strain.tables import read_numpy, read_text

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

logger = logging.getLogger(__name__)

HDF5_SUFFIXES = (".hdf5", ".h5", ".hdf")
TEXT_SUFFIXES = (".txt", ".dat", ".csv", ".txt.gz", ".dat.gz", ".csv.gz")


def read_strain(
    path: str | Path,
    detector: str,
    *,
    sampling_frequency: float | None = None,
    start_time: float | None = None,
    channel: str | None = None,
) -> TimeSeries:
    """Strain of one detector from one file; gaps are NaN and the start time is the file's own.

    Parameters
    ----------
    path : path
        the suffix names the format: ``.hdf5 .h5 .hdf`` (GWOSC's layout, or datasets by gwpy, by pycbc, or bare), ``.gwf``,
        ``.txt .dat .csv`` (also ``.gz``; columns GPS time and strain, or strain alone; a row of names above them is passed
        over), ``.npy`` (shape (n,) strain, or (n, 2) or (2, n) GPS time and strain), ``.npz`` (``strain`` with either
        ``times``, or ``sampling_frequency`` and ``start_time``)
    detector : str
        for messages, to find its channel among several, and checked where the file says whose data it holds
    sampling_frequency : float, Hz, optional
        needed where the file holds strain alone and its header does not say it; refused where it contradicts the file
    start_time : float, GPS seconds, optional
        as `sampling_frequency`
    channel : str, optional
        the channel of a GWF file, or the dataset of an HDF5 file, where the name alone does not tell which is the strain

    Returns
    -------
    gwpy.timeseries.TimeSeries
        float64, dimensionless strain, name = `detector`

    Notes
    -----
    Vetoes and hardware injections that are no gaps are logged as warnings: a series has no place for them. `StrainData` keeps
    them instead, for the results that they concern.

    Raises
    ------
    DataError
        if the file is missing, empty, truncated, not to be opened, of another detector, in units other than strain's, or holds
        no usable strain
    ConfigError
        if the suffix is unknown or an argument contradicts the file

    Examples
    --------
    >>> import numpy as np, pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "noise.npy"
    >>> np.save(path, np.random.default_rng(0).normal(size=8192))
    >>> read_strain(path, "H1", sampling_frequency=4096, start_time=1126259446).duration
    <Quantity 2. s>
    """
    series, found = read_marked(path, detector, sampling_frequency=sampling_frequency, start_time=start_time, channel=channel)
    for sentence in sentences(found):
        logger.warning("%s: %s", series.name, sentence)
    return series


def read_marked(
    path: str | Path,
    detector: str,
    *,
    sampling_frequency: float | None = None,
    start_time: float | None = None,
    channel: str | None = None,
) -> tuple[TimeSeries, tuple[Mark, ...]]:
    """As `read_strain`, with the marks of the data: vetoes that are no gaps, and hardware injections."""
    if not isinstance(path, (str, Path)):
        raise ConfigError(f"{detector}: {path!r} is no path: give the detector's file")
    if sampling_frequency is not None:
        sampling_frequency = positive(sampling_frequency, f"{detector}: sampling_frequency", "Hz")
    if start_time is not None:
        start_time = finite(start_time, f"{detector}: start_time", "GPS s")
    path = Path(path)
    _require_readable(path, detector)
    raw = _read(path, detector, sampling_frequency, start_time, channel)
    _require_agreement(path, detector, "sampling_frequency", sampling_frequency, raw.rate, "Hz")
    _require_agreement(path, detector, "start_time", start_time, raw.start, "s")
    strain = strain_scale(raw.unit, detector, path.name) * np.asarray(raw.values, np.float64)
    strain[gaps(raw.masks, raw.start, raw.rate, strain.size)] = np.nan
    return make_series(strain, raw.start, raw.rate, detector), marks(raw.masks, detector)


def _read(path: Path, detector: str, rate: float | None, start: float | None, channel: str | None) -> Raw:
    name = path.name.lower()
    if name.endswith(HDF5_SUFFIXES):
        return read_hdf5(path, detector, channel, rate, start)
    if name.endswith(".gwf"):
        return read_gwf(path, detector, channel)
    if channel is not None:
        raise ConfigError(f"{detector}: {path.name} has no channels, {channel!r} is for GWF and HDF5 files: leave it out")
    if name.endswith(TEXT_SUFFIXES):
        return read_text(path, detector, rate, start)
    if name.endswith((".npy", ".npz")):
        return read_numpy(path, detector, rate, start)
    raise ConfigError(
        f"{detector}: unknown suffix of {path.name}; known: {' '.join((*HDF5_SUFFIXES, '.gwf', *TEXT_SUFFIXES, '.npy', '.npz'))}"
    )


def make_series(strain: np.ndarray, start_time: float, sampling_frequency: float, name: str) -> TimeSeries:
    """gwpy TimeSeries of float64 strain (n,) from GPS `start_time` (s) on, sampled at `sampling_frequency` (Hz)."""
    from gwpy.timeseries import TimeSeries

    return TimeSeries(np.asarray(strain, np.float64), t0=start_time, sample_rate=sampling_frequency, name=name)


def _require_readable(path: Path, detector: str) -> None:
    try:
        if not path.exists():
            raise DataError(f"{detector}: no file {path}; check the path given for this detector")
        if path.is_dir():
            raise DataError(f"{detector}: {path} is a folder; give one strain file a detector")
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise DataError(
            f"{detector}: {path} cannot be opened ({error.strerror or error}); check its permissions and those of its folder"
        ) from error
    if empty:
        raise DataError(f"{detector}: {path.name} is empty (0 bytes); download or copy it again")


def _require_agreement(path: Path, detector: str, what: str, given: float | None, found: float, unit: str) -> None:
    if given is not None and abs(given - found) > 1e-6 * max(1.0, abs(found) if unit == "Hz" else 1.0):
        raise ConfigError(f"{detector}: {what}={given:g} {unit} contradicts {path.name}, which has {found:.9g}; leave it out")
