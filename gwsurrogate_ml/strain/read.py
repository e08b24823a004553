"""Strain from files: GWOSC's, gwpy's and pycbc's HDF5, GWF, text, npy and npz, with data quality turned into gaps and marks.

A gap is NaN: GWOSC writes NaN where there is no data, and samples that fail DATA or CBC_CAT1 are set to NaN here, so that one
rule (a span with NaN is not used) covers both. Vetoes that only speak against the data, and injections, come out as marks
(`quality`). Layout of GWOSC files: https://gwosc.org/tutorials.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.arguments import finite, positive
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.channels import Raw, strain_scale
from gwsurrogate_ml.strain.frames import read_gwf
from gwsurrogate_ml.strain.hdf5 import read_hdf5
from gwsurrogate_ml.strain.join import Stretch, joined
from gwsurrogate_ml.strain.quality import Mark, gaps, marks, sentences
from gwsurrogate_ml.strain.tables import read_numpy, read_text

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

logger = logging.getLogger(__name__)

HDF5_SUFFIXES = (".hdf5", ".h5", ".hdf")
TEXT_SUFFIXES = tuple(f".{name}{packed}" for packed in ("", ".gz", ".bz2", ".xz") for name in ("txt", "dat", "csv", "asc"))


Paths = str | Path | Sequence[str | Path]
"""One file, or several that are joined in time."""


def read_strain(
    path: Paths,
    detector: str,
    *,
    sampling_frequency: float | None = None,
    start_time: float | None = None,
    channel: str | None = None,
) -> TimeSeries:
    """Strain of one detector from a file, or several joined in time; gaps are NaN and the start time is the data's own.

    Parameters
    ----------
    path : path, or sequence of paths
        between files, frames and pieces that do not follow upon each other is a gap, which a warning names. The suffix names
        the format: ``.hdf5 .h5 .hdf`` (GWOSC's layout, or datasets by gwpy, by pycbc, or bare), ``.gwf``,
        ``.txt .dat .csv .asc`` (also packed; columns GPS time and strain, or strain alone; a row of names above them may
        name more columns), ``.npy`` (shape (n,) strain, or (n, 2) or (2, n) GPS time and strain), ``.npz`` (one array of strain, or
        one a detector, with either ``times``, or ``sampling_frequency`` and ``start_time``)
    detector : str
        for messages, to find its channel among several, and checked where the file says whose data it holds
    sampling_frequency : float, Hz, optional
        needed where the file holds strain alone, and neither its header nor its name (``H-H1_X-1126259446-32.txt``) says it;
        refused where it contradicts the file
    start_time : float, GPS seconds, optional
        as `sampling_frequency`
    channel : str, optional
        the channel of a GWF file, the dataset of an HDF5 file, or the column of a table, where the name alone does not tell which
        is the strain

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
    path: Paths,
    detector: str,
    *,
    sampling_frequency: float | None = None,
    start_time: float | None = None,
    channel: str | None = None,
    gps: float | None = None,
) -> tuple[TimeSeries, tuple[Mark, ...]]:
    """As `read_strain`, with the marks of the data: vetoes that are no gaps, and hardware injections.

    Of many files or pieces, those far from `gps` (s), where it is given, are left out; see `join.near`.
    """
    paths = [path] if isinstance(path, (str, Path)) else list(path) if isinstance(path, Sequence) else [path]
    if not paths or not all(isinstance(one, (str, Path)) for one in paths):
        raise ConfigError(f"{detector}: {path!r} is no path: give the detector's file")
    if sampling_frequency is not None:
        sampling_frequency = positive(sampling_frequency, f"{detector}: sampling_frequency", "Hz")
    if start_time is not None:
        start_time = finite(start_time, f"{detector}: start_time", "GPS s")
    stretches = []
    for one in map(Path, paths):
        _require_readable(one, detector)
        found = _read(one, detector, sampling_frequency, start_time, channel, gps)
        _require_agreement(one, detector, "sampling_frequency", sampling_frequency, found[0].rate, "Hz")
        if len(paths) == len(found) == 1:
            _require_agreement(one, detector, "start_time", start_time, found[0].start - found[0].after, "s")
        stretches += [_stretch(raw, one, detector) for raw in found]
    whole = joined(stretches, detector, gps)
    return make_series(whole.strain, whole.start, whole.rate, detector), whole.marks


def _stretch(raw: Raw, path: Path, detector: str) -> Stretch:
    """Samples of a file as strain, in which what fails data quality is a gap."""
    values = np.asarray(raw.values, np.float64)
    strain = strain_scale(raw.unit, detector, path.name) * values
    strain[gaps(raw.masks, raw.start, raw.rate, strain.size)] = np.nan
    return Stretch(strain, raw.start, raw.rate, path.name, marks(raw.masks, detector))


def _read(path: Path, detector: str, rate: float | None, start: float | None, channel: str | None, gps: float | None) -> list[Raw]:
    name = path.name.lower()
    if name.endswith(HDF5_SUFFIXES):
        return read_hdf5(path, detector, channel, rate, start, gps)
    if name.endswith(".gwf"):
        return read_gwf(path, detector, channel, gps)
    if name.endswith(TEXT_SUFFIXES):
        return [read_text(path, detector, channel, rate, start)]
    if name.endswith((".npy", ".npz")):
        return [read_numpy(path, detector, channel, rate, start)]
    known = " ".join((*HDF5_SUFFIXES, ".gwf", *TEXT_SUFFIXES[:4], ".npy", ".npz"))
    raise ConfigError(f"{detector}: unknown suffix of {path.name}; known: {known}")


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
        raise ConfigError(
            f"{detector}: {what}={given:.14g} {unit} contradicts {path.name}, which says {found:.14g}; leave it out, or mend the "
            "file"
        )
