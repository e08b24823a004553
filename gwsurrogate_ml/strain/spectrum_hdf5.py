"""Noise spectra from HDF5: series of pycbc and gwpy, tables of PESummary, and arrays beside their frequencies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.channels import detector_named, owner
from gwsurrogate_ml.strain.quality import text
from gwsurrogate_ml.strain.spectrum_parts import (
    FORMATS,
    FREQUENCY,
    STEPS,
    Spectrum,
    in_double,
    kind_named,
    kind_of_unit,
    of_columns,
    pair,
    series_axis,
)

if TYPE_CHECKING:
    import h5py


def read_hdf5(path: Path) -> list[Spectrum]:
    """All spectra of a file, labelled with their paths in it.

    A spectrum is a series with `delta_f` (pycbc), or `x0` and `dx` in Hz (gwpy); an array (n, 2) or (2, n) of frequency and value
    (PESummary's ``LABEL/psds/H1``); a compound with such columns; or an array in a group with its frequencies, or below them.

    Raises
    ------
    DataError
        if the file is truncated or no HDF5 file, or holds no spectrum
    """
    import h5py

    datasets: dict[str, h5py.Dataset] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            datasets[name] = item

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
            factor = float(file.attrs.get("dynamic_range_factor", 1.0))
            spectra = [s for name, item in datasets.items() for s in _of_dataset(name, item, factor, path)]
            names = list(datasets)
            if not spectra:
                spectra = _of_groups(datasets, path)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path.name} is truncated or no HDF5 file ({error}); write or copy it again") from error
    # In a file that calls some of its tables PSD, the others are something else.
    spectra = [s for s in spectra if kind_named(s.label) or s.kind] or spectra
    if not spectra:
        raise DataError(
            f"{path.name} holds no spectrum (it has {', '.join(names[:8]) or 'nothing'}); needed is a FrequencySeries, as pycbc's "
            f"`save` or gwpy's `write` makes it, or psds as in PESummary's files; read are {FORMATS}"
        )
    return spectra


def _of_dataset(name: str, item: h5py.Dataset, factor: float, path: Path) -> list[Spectrum]:
    if item.dtype.names:
        return (
            [_labelled(s, name) for s in of_columns({key: item[key] for key in item.dtype.names}, path)] if item.ndim == 1 else []
        )
    if item.dtype.kind not in "fiu":
        return []
    if item.ndim == 2 and 2 in item.shape:
        if (both := pair(item[()])) is None:
            return []
        values = in_double(both[1], f"{path.name}: {name}")
        return [Spectrum(np.asarray(both[0], np.float64), values, kind_named(name), _whose(name, item), name)]
    if item.ndim != 1 or (axis := _axis(name, item, path)) is None:
        return []
    # pycbc's PSDs for its searches are kept multiplied, to fit single precision.
    values = in_double(item[()], f"{path.name}: {name}") / factor**2
    kind = kind_of_unit(text(item.attrs.get("unit", ""))) or kind_named(name)
    by_pycbc = factor == 1 and item.dtype == np.float32 and {"delta_f", "epoch"} <= set(item.attrs)
    return [Spectrum(axis, values, kind, _whose(name, item), name, by_pycbc)]


def _of_groups(datasets: dict[str, h5py.Dataset], path: Path) -> list[Spectrum]:
    """Spectra of groups in which arrays lie beside their frequencies, or below them."""
    groups: dict[str, dict[str, np.ndarray]] = {}
    for name, item in datasets.items():
        if item.ndim == 1 and item.dtype.kind in "fiu":
            group, _, key = name.rpartition("/")
            groups.setdefault(group, {})[key] = item[()]
    spectra = []
    for group, columns in groups.items():
        above = group
        while above and not any(FREQUENCY.fullmatch(key) for key in columns):
            above = above.rpartition("/")[0]
            columns |= {key: array for key, array in groups.get(above, {}).items() if FREQUENCY.fullmatch(key)}
        own = kind_named(group) and not any(map(kind_named, columns))  # psds/H1: the group says the kind
        named = {f"{key} {kind_named(group)}" if own and not FREQUENCY.fullmatch(key) else key: a for key, a in columns.items()}
        spectra += [_labelled(replace(s, label=s.label.removesuffix(f" {s.kind}")), group) for s in of_columns(named, path)]
    return spectra


def _labelled(spectrum: Spectrum, place: str) -> Spectrum:
    label = f"{place}/{spectrum.label}".strip("/")
    detector = spectrum.detector or owner(label) or detector_named(label)
    return Spectrum(spectrum.frequencies, spectrum.values, spectrum.kind or kind_named(label), detector, label)


def _axis(name: str, item: h5py.Dataset, path: Path) -> np.ndarray | None:
    """Frequencies (Hz) of a dataset of pycbc or gwpy, or None where it is neither's spectrum."""
    attributes = item.attrs
    if "dx" in attributes and text(attributes.get("xunit", "")) in ("Hz", "1 / s", "s-1"):
        return float(attributes.get("x0", 0.0)) + float(attributes["dx"]) * np.arange(item.size)
    if any(key in attributes for key in ("dx", "delta_t", "Xspacing")):
        return None
    said = _said(name, item)
    return series_axis(said, item[()], path) if set(STEPS) & set(said) else None


def _said(name: str, item: h5py.Dataset) -> dict[str, object]:
    """What a dataset's attributes say; for a spectrum by name, its group's and numbers there too, else the file's."""
    said = dict(item.attrs)
    if kind_named(name) and item.size > 1:
        numbers = {key: one[()] for key, one in item.parent.items() if getattr(one, "shape", None) == ()}
        said = numbers | dict(item.parent.attrs) | said
        said = said if set(STEPS) & set(said) else dict(item.file.attrs) | said
    return said


def _whose(name: str, item: h5py.Dataset) -> str | None:
    labels = (name, *(text(item.attrs.get(key, "")) for key in ("name", "channel")))
    return owner(*labels) or next((found for label in labels if (found := detector_named(label))), None)
