"""Strain and witness channels as arrays on one time grid, checked before any work starts; files read through gwpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries, TimeSeriesDict

RUN = 32
"""This many equal samples in a row mean a dead or saturated channel."""


@dataclass(frozen=True)
class Aligned:
    """Strain (n,) and channels (n,) with NaN at gaps, their units, rate (Hz) and first sample's time (GPS s)."""

    strain: np.ndarray
    channels: dict[str, np.ndarray]
    units: dict[str, str]
    sampling_frequency: float
    start_time: float


def align(strain: TimeSeries, witnesses: Mapping[str, TimeSeries], names: Sequence[str] | None = None) -> Aligned:
    """Arrays of the strain and the witnesses over the strain's span.

    Parameters
    ----------
    strain : gwpy TimeSeries; gaps are NaN
    witnesses : mapping from channel name to gwpy TimeSeries (a TimeSeriesDict)
        covering the strain's span
    names : sequence of str, optional
        channels wanted; all by default

    Raises
    ------
    DataError
        if a channel is missing, has another rate, does not cover the strain, or its samples lie between the strain's
    """
    names = tuple(witnesses) if names is None else tuple(names)
    if not names:
        raise DataError("no witness channel given: there is nothing to subtract with")
    missing = [name for name in names if name not in witnesses]
    if missing:
        raise DataError(
            f"witness {missing[0]!r} is missing (channels given: {', '.join(map(str, witnesses)) or 'none'}): "
            "read it too, or fit a cleaner to the channels there are"
        )
    rate, start = _grid(strain, "strain")
    values = np.asarray(strain.value, np.float64)
    if values.ndim != 1 or values.size < 2:
        raise DataError(f"the strain has shape {values.shape}: give one series")
    channels, units = {}, {}
    for name in names:
        series = witnesses[name]
        other, first = _grid(series, name)
        if abs(other - rate) > 1e-9 * rate:
            raise DataError(
                f"witness {name!r} is sampled at {other:g} Hz, the strain at {rate:g} Hz: "
                f"bring them together with .resample({rate:g})"
            )
        shift = (start - first) * rate
        offset = round(shift)
        if abs(shift - offset) > 0.01:
            raise DataError(f"samples of witness {name!r} lie {shift - offset:+.2f} samples off the strain's: shift it")
        if offset < 0 or offset + values.size > len(series):
            raise DataError(
                f"witness {name!r} spans GPS {first:.3f} to {first + len(series) / rate:.3f}, the strain "
                f"{start:.3f} to {start + values.size / rate:.3f}: read the whole span, or crop the strain to it"
            )
        channels[name] = np.asarray(series.value[offset : offset + values.size], np.float64)
        units[name] = str(series.unit)
    return Aligned(values, channels, units, rate, start)


def _grid(series: TimeSeries, name: str) -> tuple[float, float]:
    try:
        return float(series.sample_rate.value), float(series.t0.value)
    except AttributeError as error:
        raise DataError(
            f"{name} is a {type(series).__name__}: give a gwpy TimeSeries, which knows its times"
        ) from error


def require_alive(data: Aligned) -> None:
    """Refuse to fit to channels that say nothing.

    Raises
    ------
    DataError
        if a channel is constant, saturated for over 1 % of the time, or a gap for over half of it
    """
    for name, values in {"strain": data.strain, **data.channels}.items():
        finite = np.isfinite(values)
        if finite.mean() < 0.5:
            raise DataError(f"{name!r} is a gap for {1 - finite.mean():.0%} of the time: read another span")
        good = values[finite]
        if good.max() == good.min():
            raise DataError(f"{name!r} is constant ({good[0]:g}): the channel is dead, leave it out")
        # A saturated channel is flat at its extremes, but not otherwise.
        stuck = flat(values, np.full(1, np.nan), np.zeros(1, np.int64))[0]
        clipped = float(np.mean((good == good.max()) | (good == good.min())))
        if stuck.mean() > 0.01 or clipped > 0.01:
            raise DataError(
                f"{name!r} is stuck or saturated for {max(stuck.mean(), clipped):.1%} of the time: use another span or channel"
            )


def flat(values: np.ndarray, last: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples at which a channel has kept one value for RUN samples, with what the next call needs to go on.

    Parameters
    ----------
    values : (..., n)
    last : (..., 1) the sample before
    count : (..., 1) int
        how many samples before that one equal it

    Returns
    -------
    flags (..., n) bool; last and count for the next stretch
    """
    extended = np.concatenate([np.broadcast_to(last, (*values.shape[:-1], 1)), values], axis=-1)
    index = np.arange(values.shape[-1])
    # Index of the last change; before any, the run reaches back into the stretch before.
    change = np.where(extended[..., 1:] != extended[..., :-1], index, -1 - count)
    start = np.maximum.accumulate(change, axis=-1)
    run = index - start
    return run >= RUN - 1, values[..., -1:], run[..., -1:]


def read_channels(path: str | Path, names: Sequence[str]) -> TimeSeriesDict:
    """Channels of one GWF or HDF5 file, as gwpy reads them.

    Parameters
    ----------
    path : path of a frame file (.gwf) or of an HDF5 file that gwpy's TimeSeriesDict.write made
    names : sequence of str

    Raises
    ------
    DataError
        if the file is missing or unreadable, or lacks a channel
    ConfigError
        if no channel is named
    """
    from gwpy.timeseries import TimeSeriesDict

    path = Path(path)
    if not names:
        raise ConfigError(f"no channel of {path.name} is named")
    if not path.is_file():
        raise DataError(f"no file {path}")
    gwf = path.name.lower().endswith(".gwf")
    try:
        if gwf:
            return TimeSeriesDict.read(path, list(names), format="gwf")
        return TimeSeriesDict.read(path, list(names), format="hdf5")
    except Exception as error:
        raise DataError(f"cannot read {', '.join(names)} from {path.name}: {error}") from error
