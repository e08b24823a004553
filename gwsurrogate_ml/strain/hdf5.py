"""Strain of one detector from HDF5: GWOSC's layout, gwpy's and pycbc's datasets with their attributes, or bare samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.channels import Raw, choose, owner, prefix, require_owner, tidy_rate
from gwsurrogate_ml.strain.quality import INJECTION_BITS, Mask, bits_of, make_mask, text

if TYPE_CHECKING:
    import h5py

GWOSC = "strain/Strain"
GRIDS = {"gwpy": ("x0", "dx"), "pycbc": ("start_time", "delta_t"), "GWOSC": ("Xstart", "Xspacing")}
"""Attributes of a dataset that say its start (GPS s) and spacing (s), by who writes them."""


def read_hdf5(path: Path, detector: str, channel: str | None, rate: float | None, start: float | None) -> Raw:
    """The detector's strain, or the dataset named `channel`; `rate` (Hz) and `start` (GPS s) are for bare samples.

    Raises
    ------
    DataError
        if the file is truncated or no HDF5 file, or its strain is not to be told, or without times
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if GWOSC in file and channel in (None, GWOSC):
                return _gwosc(file, path, detector)
            return _dataset(file, path, detector, channel, rate, start)
    except DataError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise DataError(
            f"{detector}: cannot read {path.name}, it is truncated or no HDF5 file ({error}); download or copy it again"
        ) from error


def _gwosc(file: h5py.File, path: Path, detector: str) -> Raw:
    if "meta/Detector" in file:
        require_owner(text(file["meta/Detector"][()]), path, detector)
    dataset = file[GWOSC]
    start, spacing = _grid(dataset.attrs, "GWOSC", path, detector)
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


def _dataset(file: h5py.File, path: Path, detector: str, channel: str | None, rate: float | None, start: float | None) -> Raw:
    """One dataset among others, as gwpy and pycbc write them, or without attributes."""
    found = _series(file)
    timed = {key: item for key, item in found.items() if _writer(item) is not None}
    if not timed and (not found or rate is None or start is None):
        raise DataError(
            f"{detector}: {path.name} is not in GWOSC's layout, and its datasets ({', '.join(list(found)[:8]) or 'none'}) say no "
            "times: in Python give sampling_frequency and start_time to StrainData.from_files; the command line needs them in the "
            "file, as TimeSeries.write of gwpy makes it, or a file from gwosc.org"
        )
    owners = {
        key: owner(key, *(text(item.attrs.get(name, "")) for name in ("name", "channel"))) for key, item in (timed or found).items()
    }
    dataset = found[choose(owners, path, detector, channel)]
    if writer := _writer(dataset):
        start, spacing = _grid(dataset.attrs, writer, path, detector)
        rate = tidy_rate(1.0 / spacing)
    assert rate is not None
    assert start is not None
    masks = tuple(
        _mask(item, names, start, path, detector)
        for key, item in timed.items()
        if owners[key] == prefix(detector) and (names := bits_of(key, item.attrs.get("bits", text(item.attrs.get("unit", "")))))
    )
    return Raw(_samples(dataset, path, detector), start, rate, text(dataset.attrs.get("unit", "")), masks)


def _series(file: h5py.File) -> dict[str, Any]:
    """Datasets with a row of numbers, by their path in the file."""
    import h5py

    found: dict[str, Any] = {}

    def visit(key: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 1 and item.dtype.kind in "iufc":
            found[key] = item

    file.visititems(visit)
    return found


def _writer(dataset: h5py.Dataset) -> str | None:
    """Whose attributes say the times of a dataset; None where none do."""
    return next((name for name, pair in GRIDS.items() if pair[1] in dataset.attrs), None)


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
