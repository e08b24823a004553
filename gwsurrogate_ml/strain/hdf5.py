"""Strain of one detector from HDF5: GWOSC's layout, gwpy's and pycbc's datasets with their attributes, or bare samples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.channels import (
    NO_TIMES,
    RATES,
    STARTS,
    Raw,
    choose,
    detector_named,
    is_gps,
    owner,
    prefix,
    require_owner,
    said_times,
    tidy_rate,
    times_of_bare,
)
from gwsurrogate_ml.strain.join import near
from gwsurrogate_ml.strain.quality import INJECTION_BITS, Mask, bits_of, make_mask, text
from gwsurrogate_ml.strain.spectrum_parts import is_spectral
from gwsurrogate_ml.strain.tables import TIME, from_times, require_strain_name

if TYPE_CHECKING:
    import h5py

GWOSC = "strain/Strain"
GRIDS = {"gwpy": ("x0", "dx"), "pycbc": ("start_time", "delta_t"), "GWOSC": ("Xstart", "Xspacing")}
"""Attributes of a dataset that say its start (GPS s) and spacing (s), by who writes them."""


def read_hdf5(
    path: Path, detector: str, channel: str | None, rate: float | None, start: float | None, gps: float | None = None
) -> list[Raw]:
    """The detector's strain, or the dataset named `channel`; several where it comes in pieces, as in MLGWSC-1's files.

    Parameters
    ----------
    rate, start : float or None, Hz and GPS s
        for bare samples
    gps : float, GPS s, optional
        pieces far from it are not read; see `join.near`

    Raises
    ------
    DataError
        if the file is truncated or no HDF5 file, or its strain is not to be told, or without times
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if GWOSC in file and channel in (None, GWOSC):
                return [_gwosc(file, path, detector)]
            return _datasets(file, path, detector, channel, rate, start, gps)
    except DataError:
        raise
    except (OSError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{detector}: cannot read {path.name}, it is truncated or no HDF5 file ({error}); download or copy it again"
        ) from error


def _gwosc(file: h5py.File, path: Path, detector: str) -> Raw:
    if "meta/Detector" in file:
        require_owner(text(file["meta/Detector"][()]), path, detector)
    dataset = file[GWOSC]
    attributes = dict(dataset.attrs)
    if not {"Xstart", "Xspacing"} <= set(attributes) and {"GPSstart", "Duration"} <= set(file.get("meta", ())):
        start, duration = (float(file[f"meta/{key}"][()]) for key in ("GPSstart", "Duration"))
        attributes |= {"Xstart": start, "Xspacing": duration / dataset.size}
    start, spacing = _grid(attributes, "GWOSC", path, detector)
    values = _samples(dataset, path, detector)
    masks = []
    if "quality/simple/DQmask" in file:
        names = dict(enumerate(map(text, file["quality/simple/DQShortnames"][()])))
        masks.append(_mask(file["quality/simple/DQmask"], names, start, path, detector))
    if "quality/injections/Injmask" in file:
        group = file["quality/injections"]
        names = dict(enumerate(map(text, group["InjShortnames"][()]))) if "InjShortnames" in group else INJECTION_BITS
        masks.append(_mask(group["Injmask"], names, start, path, detector))
    return Raw(values, start, tidy_rate(1.0 / spacing), text(dataset.attrs.get("Yunits", "")), tuple(masks))


def _datasets(
    file: h5py.File, path: Path, detector: str, channel: str | None, rate: float | None, start: float | None, gps: float | None
) -> list[Raw]:
    """One dataset among others, as gwpy and pycbc write them, or without attributes; or the pieces of one channel."""
    found = _series(file)
    timed = {key: item for key, item in found.items() if item.ndim == 1 and _writer(item) is not None}
    if not timed:
        return [_bare(found, path, detector, channel, rate, start)]
    owners = {key: owner(key, *(text(item.attrs.get(name, "")) for name in ("name", "channel"))) for key, item in timed.items()}
    if channel in timed:
        pieces = [str(channel)]
        require_owner(owners[str(channel)] or prefix(detector), path, detector)
    else:
        groups: dict[str, list[str]] = {}
        for key in timed:
            groups.setdefault(_channel(key), []).append(key)
        chosen = choose({name: owners[keys[0]] for name, keys in groups.items()}, path, detector, channel)
        pieces = groups[chosen]
    grids = [_grid(timed[key].attrs, str(_writer(timed[key])), path, detector) for key in pieces]
    spans = [(first, first + step * timed[key].size) for key, (first, step) in zip(pieces, grids, strict=True)]
    masks = tuple(
        _mask(item, names, spans[0][0], path, detector)
        for key, item in timed.items()
        if owners[key] == prefix(detector) and (names := bits_of(key, item.attrs.get("bits", text(item.attrs.get("unit", "")))))
    )
    return [
        Raw(
            _samples(timed[pieces[k]], path, detector),
            grids[k][0],
            tidy_rate(1.0 / grids[k][1]),
            text(timed[pieces[k]].attrs.get("unit", "")),
            masks,
        )
        for k in near(spans, gps)
    ]


def _channel(key: str) -> str:
    """Name of the channel that a dataset is a piece of: datasets named after their times lie in its group.

    Examples
    --------
    >>> _channel("H1/1238205077"), _channel("H1:STRAIN")
    ('H1', 'H1:STRAIN')
    """
    group, _, name = key.rpartition("/")
    return group if group and re.fullmatch(r"\d+(\.\d+)?", name) else key


def _bare(found: Mapping[str, Any], path: Path, detector: str, channel: str | None, rate: float | None, start: float | None) -> Raw:
    """Samples whose own attributes do not say their times as gwpy's, pycbc's and GWOSC's do."""
    spectra = [name for name, item in found.items() if _is_spectrum(name, item)]
    series = {n: owner(n) or detector_named(n) for n in found if n not in spectra and not TIME.fullmatch(n.rpartition("/")[2])}
    if not series or channel in spectra:
        what = f"spectra ({', '.join(spectra[:8])}), which --psd takes," if spectra else "no series of numbers"
        raise DataError(f"{detector}: {path.name} holds {what} and no strain; give a file of strain, such as one from gwosc.org")
    key = choose(series, path, detector, channel)
    item = found[key]
    unit = text(item.attrs.get("unit", ""))
    if item.ndim == 2:
        table = np.asarray(item[()], np.float64)
        times, values = table.T if table.shape[1] == 2 else table
        return replace(from_times(times, values, path, detector, start, named=False), unit=unit)
    if (times := _beside(found, key)) is not None:
        return replace(from_times(times[()], _samples(item, path, detector), path, detector, start), unit=unit)
    if channel is None:
        require_strain_name(key, path, detector)
    said = said_times(_said(item), f"{detector}: {path.name}")
    rate, start = (given if one is None else one for one, given in zip(said, (rate, start), strict=True))
    rate, start = times_of_bare(path, item.size, rate, start)
    if rate is None or start is None:
        raise DataError(
            f"{detector}: {path.name} is not in GWOSC's layout, and its datasets ({', '.join(list(found)[:8])}) say no "
            f"times: {NO_TIMES}"
        )
    return Raw(_samples(item, path, detector), start, rate, unit)


def _is_spectrum(name: str, item: h5py.Dataset) -> bool:
    return is_spectral(name) or "delta_f" in item.attrs or text(item.attrs.get("xunit", "s")) == "Hz"


def _beside(found: Mapping[str, Any], key: str) -> Any:
    """The dataset of times in the group of a series, or above it; None where there is none."""
    group = key
    while group:
        group = group.rpartition("/")[0]
        for name, item in found.items():
            place, _, last = name.rpartition("/")
            if place == group and TIME.fullmatch(last) and item.shape == found[key].shape:
                return item
    return None


def _said(item: h5py.Dataset) -> dict[str, Any]:
    """What is said of times by attributes of the file, of the group of a dataset, and its own, and by numbers that lie beside it.

    The file's attributes may be of anything in it: of them count rates, which say what they are, and GPS times, with the spacing
    beside these.
    """
    numbers = {key: one[()] for key, one in item.parent.items() if getattr(one, "shape", None) == () and one.dtype.kind in "fiu"}
    group = {} if item.parent.name == "/" else dict(item.parent.attrs)
    of_file = {key: value for key, value in item.file.attrs.items() if key in RATES or (key in STARTS and is_gps(value))}
    if set(STARTS) & set(of_file):
        of_file |= {key: item.file.attrs[key] for key in ("delta_t", "dt") if key in item.file.attrs}
    return of_file | group | numbers | dict(item.attrs)


def _series(file: h5py.File) -> dict[str, Any]:
    """Datasets with a row of numbers, or of times and numbers, by their path in the file."""
    import h5py

    found: dict[str, Any] = {}

    def visit(key: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "iufc" and (item.ndim == 1 or _with_times(item)):
            found[key] = item

    file.visititems(visit)
    return found


def _with_times(item: h5py.Dataset) -> bool:
    """Whether a dataset is (n, 2) or (2, n), with the times in front."""
    if item.ndim != 2 or 2 not in item.shape or item.size < 6 or item.dtype.kind == "c":
        return False
    first = item[:, 0] if item.shape[1] == 2 else item[0]
    return bool(np.all(np.diff(first) > 0))


def _writer(dataset: h5py.Dataset) -> str | None:
    """Whose attributes say the times of a dataset; None where none do."""
    if text(dataset.attrs.get("xunit", "s")) == "Hz":  # a spectrum of gwpy's
        return None
    return next((name for name, pair in GRIDS.items() if set(pair) <= set(dataset.attrs)), None)


def _grid(attributes: Mapping[str, Any], writer: str, path: Path, detector: str) -> tuple[float, float]:
    """Start (GPS s) and spacing (s) of a dataset."""
    first, step = GRIDS[writer]
    start, spacing = float(attributes[first]), float(attributes[step])
    if not (np.isfinite(start) and np.isfinite(spacing) and spacing > 0):
        raise DataError(f"{detector}: {path.name} gives a start of {start} s and a spacing of {spacing} s; download it again")
    return start, spacing


def _samples(dataset: h5py.Dataset, path: Path, detector: str) -> np.ndarray:
    if dataset.dtype.kind not in "fiu":
        raise DataError(
            f"{detector}: {dataset.name[1:]} of {path.name} is {dataset.dtype}, not real numbers; give strain in the time domain"
        )
    expected = int(dataset.attrs.get("Npoints", dataset.size))
    if dataset.ndim != 1 or dataset.size == 0 or dataset.size != expected:
        raise DataError(f"{detector}: {path.name} holds {dataset.size} samples, its header says {expected}; download it again")
    return np.asarray(dataset[()], np.float64)


def _mask(dataset: h5py.Dataset, names: Mapping[int, str], start: float, path: Path, detector: str) -> Mask:
    """Masks have a sample a second in every GWOSC release; the spacing is taken from the file all the same."""
    writer = _writer(dataset)
    first, spacing = (start, 1.0) if writer is None else _grid(dataset.attrs, writer, path, detector)
    return make_mask(dataset[()], names, first, spacing, f"{detector}: {path.name}")
