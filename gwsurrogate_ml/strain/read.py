"""Strain from files: GWOSC HDF5, GWF, text, npy and npz, with data-quality flags turned into gaps.

A gap is NaN: GWOSC writes NaN where there is no data, and samples that fail the flags DATA or CBC_CAT1 are set to NaN
here, so that one rule (a span with NaN is not used) covers both. Layout of GWOSC files: https://gwosc.org/tutorials.
"""

from __future__ import annotations

import gzip
import logging
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.checks import finite, positive
from gwsurrogate_ml.errors import ConfigError, DataError

if TYPE_CHECKING:
    import h5py
    from gwpy.timeseries import TimeSeries

logger = logging.getLogger(__name__)

HDF5_SUFFIXES = (".hdf5", ".h5", ".hdf")
TEXT_SUFFIXES = (".txt", ".dat", ".csv", ".txt.gz", ".dat.gz", ".csv.gz")
GAP_FLAGS = ("DATA", "CBC_CAT1")
"""Without them a sample is a gap: there is no data, or the detector was not in a state to be searched."""
PREFIXES = {"GEO600": "G1"}
"""What files call a detector, where bilby's name is another."""


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
        the suffix names the format: ``.hdf5 .h5 .hdf`` (GWOSC layout, or gwpy's own), ``.gwf``,
        ``.txt .dat .csv`` (also ``.gz``; columns GPS time and strain, or strain alone), ``.npy`` (shape (n,) strain, or
        (n, 2) or (2, n) GPS time and strain), ``.npz`` (``strain`` with either ``times``, or ``sampling_frequency`` and
        ``start_time``)
    detector : str
        for messages, for the channel of a GWF file, and checked where the file says whose data it holds
    sampling_frequency : float, Hz, optional
        needed where the file holds strain alone and its header does not say it; refused where it contradicts the file
    start_time : float, GPS seconds, optional
        as `sampling_frequency`
    channel : str, optional
        the channel of a GWF file, where it holds more than one strain channel

    Returns
    -------
    gwpy.timeseries.TimeSeries
        float64, dimensionless strain, name = `detector`

    Raises
    ------
    DataError
        if the file is missing, empty, truncated, not to be opened, of another detector, or holds no usable strain
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
    if not isinstance(path, (str, Path)):
        raise ConfigError(f"{detector}: {path!r} is no path: give the detector's file")
    if sampling_frequency is not None:
        sampling_frequency = positive(sampling_frequency, f"{detector}: sampling_frequency", "Hz")
    if start_time is not None:
        start_time = finite(start_time, f"{detector}: start_time", "GPS s")
    path = Path(path)
    _require_readable(path, detector)
    name = path.name.lower()
    if name.endswith(HDF5_SUFFIXES):
        series = _read_hdf5(path, detector)
    elif name.endswith(".gwf"):
        series = _read_gwf(path, detector, channel)
    elif name.endswith(TEXT_SUFFIXES):
        series = _read_text(path, detector, sampling_frequency, start_time)
    elif name.endswith((".npy", ".npz")):
        series = _read_numpy(path, detector, sampling_frequency, start_time)
    else:
        raise ConfigError(
            f"{detector}: unknown suffix of {path.name}; "
            f"known: {' '.join((*HDF5_SUFFIXES, '.gwf', *TEXT_SUFFIXES, '.npy', '.npz'))}"
        )
    _require_agreement(path, detector, "sampling_frequency", sampling_frequency, series.sample_rate.value, "Hz")
    _require_agreement(path, detector, "start_time", start_time, series.t0.value, "s")
    return series


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


def _require_owner(owner: str, path: Path, detector: str) -> None:
    """Refuse data of the detector `owner` (as files write it) unless it is `detector`."""
    if owner != PREFIXES.get(detector, detector):
        owner = {prefix: name for name, prefix in PREFIXES.items()}.get(owner, owner)
        raise DataError(f"{detector}: {path.name} holds data of {owner}; give it as {owner}={path.name}")


def _require_agreement(path: Path, detector: str, what: str, given: float | None, found: float, unit: str) -> None:
    if given is not None and abs(given - found) > 1e-6 * max(1.0, abs(found) if unit == "Hz" else 1.0):
        raise ConfigError(
            f"{detector}: {what}={given:g} {unit} contradicts {path.name}, which has {found:.9g}; leave it out"
        )


def _read_hdf5(path: Path, detector: str) -> TimeSeries:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if "strain/Strain" in file:
                return _read_gwosc(file, path, detector)
            datasets: list[str] = []
            file.visititems(lambda key, item: datasets.append(key) if isinstance(item, h5py.Dataset) else None)
    except DataError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise DataError(
            f"{detector}: cannot read {path.name}, it is truncated or no HDF5 file ({error}); download or copy it again"
        ) from error
    if len(datasets) != 1:
        raise DataError(
            f"{detector}: {path.name} is not in GWOSC's layout (no strain/Strain; it has {datasets[:8] or 'nothing'}); "
            "give a strain file from gwosc.org, or one written by gwpy's TimeSeries.write"
        )
    from gwpy.timeseries import TimeSeries

    try:
        series = TimeSeries.read(path, datasets[0], format="hdf5")
    except Exception as error:
        raise DataError(
            f"{detector}: gwpy cannot read {datasets[0]} of {path.name} as a time series: {error}"
        ) from error
    for label in (datasets[0].rpartition("/")[2], series.name, series.channel):
        if owner := re.match(r"([A-Z]\d):", str(label)):
            _require_owner(owner[1], path, detector)
    return make_series(series.value, series.t0.value, series.sample_rate.value, detector)


def _read_gwosc(file: h5py.File, path: Path, detector: str) -> TimeSeries:
    if "meta/Detector" in file:
        owner = file["meta/Detector"][()]
        owner = owner.decode() if isinstance(owner, bytes) else str(owner)
        _require_owner(owner, path, detector)
    dataset = file["strain/Strain"]
    if dataset.dtype.kind not in "fiu":
        raise DataError(f"{detector}: strain of {path.name} is {dataset.dtype}, not real numbers; download it again")
    strain = np.asarray(dataset[()], np.float64)
    start, spacing = (float(dataset.attrs[name]) for name in ("Xstart", "Xspacing"))
    if not (np.isfinite(start) and np.isfinite(spacing) and spacing > 0):
        raise DataError(
            f"{detector}: {path.name} gives a start of {start} s and a spacing of {spacing} s; download it again"
        )
    expected = int(dataset.attrs.get("Npoints", strain.size))
    if strain.ndim != 1 or strain.size == 0 or strain.size != expected:
        raise DataError(
            f"{detector}: {path.name} holds {strain.size} samples, its header says {expected}; download it again"
        )
    _apply_quality(file, strain, path, detector, start, spacing)
    return make_series(strain, start, _tidy_rate(1.0 / spacing), detector)


def _apply_quality(
    file: h5py.File, strain: np.ndarray, path: Path, detector: str, start: float, spacing: float
) -> None:
    """Set to NaN, in place, the seconds of `strain` that fail one of GAP_FLAGS; log the weaker vetoes."""
    if "quality/simple/DQmask" not in file:
        return
    dataset = file["quality/simple/DQmask"]
    mask = np.asarray(dataset[()], np.uint32)
    names = [n.decode() if isinstance(n, bytes) else str(n) for n in file["quality/simple/DQShortnames"][()]]
    if mask.ndim != 1 or not mask.size:
        raise DataError(f"{detector}: the quality mask of {path.name} has shape {mask.shape}; download it again")
    # Masks have a sample a second in every GWOSC release; take the spacing from the file all the same.
    mask_start, mask_spacing = float(dataset.attrs.get("Xstart", start)), float(dataset.attrs.get("Xspacing", 1.0))
    times = (start - mask_start) + spacing * np.arange(strain.size)
    second = np.clip(np.floor(times / mask_spacing + 1e-9).astype(int), 0, mask.size - 1)
    for bit, flag in enumerate(names):
        bad = (mask >> np.uint32(bit)) & 1 == 0
        if not bad.any():
            continue
        if flag in GAP_FLAGS:
            strain[bad[second]] = np.nan
        elif flag.startswith("CBC_"):
            seconds = mask_start + mask_spacing * np.flatnonzero(bad)
            logger.warning("%s: %s fails %s in %d s from GPS %.0f", detector, path.name, flag, bad.sum(), seconds[0])


def _read_gwf(path: Path, detector: str, channel: str | None) -> TimeSeries:
    from gwpy.timeseries import TimeSeries

    if not is_whole_frame(path):
        raise DataError(f"{detector}: {path.name} is truncated or no frame file; download or copy it again")
    try:
        if channel is None:
            channel = _strain_channel(path, detector)
        series = TimeSeries.read(path, channel, format="gwf")
    except DataError:
        raise
    except ImportError as error:
        raise DataError(
            f"{detector}: no reader for frame files is installed ({path.name}); install lalsuite or "
            "python-ldas-tools-framecpp, or give GWOSC's HDF5 file of the same data"
        ) from error
    except Exception as error:
        raise DataError(f"{detector}: cannot read {path.name}, it is truncated or no frame file ({error})") from error
    return make_series(series.value, series.t0.value, series.sample_rate.value, detector)


def is_whole_frame(path: Path) -> bool:
    """Whether a file opens with the frame format's magic and its last structure, FrEndOfFile, states the file's size.

    LAL's frame library crashes on truncated files, so this is looked at first (format: LIGO-T970130).
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        magic = file.read(4)
        file.seek(max(0, size - 64))
        tail = file.read()
    return magic == b"IGWD" and (size.to_bytes(8, "little") in tail or size.to_bytes(8, "big") in tail)


def _strain_channel(path: Path, detector: str) -> str:
    from gwpy.io.gwf import iter_channel_names

    channels = [str(name) for name in iter_channel_names(str(path))]
    own = [name for name in channels if name.startswith(f"{PREFIXES.get(detector, detector)}:")]
    strain = [name for name in own if "STRAIN" in name.upper()] or own
    if len(strain) != 1:
        raise DataError(
            f"{detector}: {path.name} has {len(strain)} channels that may be its strain "
            f"(channels: {', '.join((strain or channels)[:8]) or 'none'}); in Python name one by channels={{'{detector}': ...}} of "
            "StrainData.from_files, for the command line write it into a file of its own"
        )
    return strain[0]


def _read_text(path: Path, detector: str, rate: float | None, start: float | None) -> TimeSeries:
    opener = gzip.open if path.name.endswith(".gz") else open
    try:
        with opener(path, "rt") as file:
            lines = [next(file, "") for _ in range(16)]
        header = " ".join(line for line in lines if line.startswith("#"))
        first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
        table = np.loadtxt(path, comments="#", delimiter="," if "," in first else None, ndmin=2)
    except (OSError, ValueError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"{detector}: {path.name} is not a table of numbers ({error})") from error
    if table.shape[1] == 1:
        # GWOSC's text files say both in their header.
        if rate is None and (match := re.search(r"(\d+(?:\.\d+)?) samples per second", header)):
            rate = float(match[1])
        if start is None and (match := re.search(r"starting GPS (\d+(?:\.\d+)?)", header)):
            start = float(match[1])
    return _from_columns(table, path, detector, rate, start)


def _read_numpy(path: Path, detector: str, rate: float | None, start: float | None) -> TimeSeries:
    try:
        loaded = np.load(path, allow_pickle=False)
        content = dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else {"strain": loaded}
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{detector}: cannot read {path.name}, it is truncated or no numpy file ({error})") from error
    except Exception as error:  # zipfile.BadZipFile of a truncated npz
        raise DataError(f"{detector}: cannot read {path.name}, it is truncated or no npz file ({error})") from error
    if "strain" not in content:
        raise DataError(f"{detector}: {path.name} has no array 'strain' (arrays: {', '.join(content) or 'none'})")
    strain = np.asarray(content["strain"])
    if strain.dtype.kind not in "fiu":
        raise DataError(
            f"{detector}: 'strain' of {path.name} is {strain.dtype}, not real numbers; give strain in the time domain"
        )
    if "times" in content:
        times = np.asarray(content["times"])
        if times.dtype.kind not in "fiu" or times.shape != strain.shape or strain.ndim != 1:
            raise DataError(
                f"{detector}: times of {path.name} are {times.dtype} of shape {times.shape}, strain has {strain.shape}; give "
                "one time in GPS s for each sample"
            )
        strain = np.stack([times, strain], axis=1)
    elif strain.ndim == 1:
        strain = strain[:, None]
    elif strain.ndim == 2 and strain.shape[0] == 2:
        strain = strain.T
    if "sampling_frequency" in content:
        rate = positive(_scalar(content["sampling_frequency"]), f"{detector}: sampling_frequency of {path.name}", "Hz")
    if "start_time" in content:
        start = finite(_scalar(content["start_time"]), f"{detector}: start_time of {path.name}", "GPS s")
    return _from_columns(strain, path, detector, rate, start)


def _scalar(array: np.ndarray) -> object:
    """What an array of one element holds; an array of more, or of words, as it is, for the message."""
    return array.item() if array.size == 1 else array


def _from_columns(table: np.ndarray, path: Path, detector: str, rate: float | None, start: float | None) -> TimeSeries:
    if table.ndim != 2 or table.shape[1] not in (1, 2) or len(table) < 2:
        raise DataError(
            f"{detector}: {path.name} holds an array of shape {table.shape}; give (n, 1) strain or (n, 2) time, strain"
        )
    if table.shape[1] == 1:
        if rate is None or start is None:
            raise ConfigError(
                f"{detector}: {path.name} holds strain without times: in Python give sampling_frequency and start_time to "
                "StrainData.from_files; the command line needs them in the file, as a column of GPS times or in an npz"
            )
        return make_series(table[:, 0], start, rate, detector)
    times = table[:, 0].astype(np.float64)
    found = (len(times) - 1) / (times[-1] - times[0]) if times[-1] > times[0] else np.nan
    # Printed times are rounded: allow a tenth of a sample (and float64's 2e-7 s at GPS 1e9) about the uniform grid.
    if not np.isfinite(found) or np.max(np.abs(times - times[0] - np.arange(len(times)) / found)) > 0.1 / found + 1e-6:
        raise DataError(
            f"{detector}: times in {path.name} are not uniformly spaced; resample or fill gaps with NaN strain"
        )
    return make_series(table[:, 1], times[0], _tidy_rate(found), detector)


def _tidy_rate(rate: float) -> float:
    """Nearest whole rate where `rate` is one up to the rounding of printed times, else `rate` itself (Hz)."""
    return float(round(rate)) if abs(rate - round(rate)) < 1e-4 * rate else rate
