"""Strain and witness channels as arrays on one time grid, checked before any work starts; files read through gwpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.strain.frames import is_whole_frame, written_unit

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries, TimeSeriesDict

RUN = 32
"""This many equal samples in a row mean a dead or saturated channel, unless it is a slow one in whole counts."""
SHORTEST_RUN, SLOW = 4, 10
"""So many never occur by chance in a channel whose samples all differed in training: it is clipped or stuck. Of a channel in whole
counts by how much a run is longer than nearly all others then, and by how much more often an end is taken than its neighbour."""


@dataclass(frozen=True)
class Aligned:
    """Strain (n,) and channels (n,) with NaN at gaps, their units, rate (Hz) and first sample's time (GPS s)."""

    strain: np.ndarray
    channels: dict[str, np.ndarray]
    units: dict[str, str]
    sampling_frequency: float
    start_time: float

    def part(self, first: int, last: int) -> Aligned:
        """Samples `first` to `last`, views of these."""
        channels = {name: values[first:last] for name, values in self.channels.items()}
        start = self.start_time + first / self.sampling_frequency
        return Aligned(self.strain[first:last], channels, self.units, self.sampling_frequency, start)


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
    if values.ndim != 1 or not values.size:
        raise DataError(f"the strain has shape {values.shape}: give one series")
    channels, units = {}, {}
    for name in names:
        series = witnesses[name]
        other, first = _grid(series, name)
        if abs(other - rate) > 1e-9 * rate:
            raise DataError(
                f"witness {name!r} is sampled at {other:g} Hz, the strain at {rate:g} Hz: "
                f"bring them together with denoise.channels.at_rate (on the command line: --rate {rate:g})"
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
        raise DataError(f"{name} is a {type(series).__name__}: give a gwpy TimeSeries, which knows its times") from error


def require_alive(data: Aligned) -> None:
    """Refuse to fit to channels that say nothing.

    Raises
    ------
    DataError
        if there are fewer than two samples, or a channel is constant, saturated for over 1 % of the time, or a gap for over half
        of it
    """
    if data.strain.size < 2:
        raise DataError(f"{data.strain.size} samples of strain are too few to fit to: read a longer span")
    for name, values in {"strain": data.strain, **data.channels}.items():
        finite = np.isfinite(values)
        if finite.mean() < 0.5:
            raise DataError(f"{name!r} is a gap for {1 - finite.mean():.0%} of the time: read another span")
        good = values[finite]
        if good.max() == good.min():
            raise DataError(f"{name!r} is constant ({good[0]:g}): the channel is dead, leave it out")
        stuck = flat(values, np.full(1, np.nan), np.zeros(1, np.int64), longest_alive(good))[0]
        clipped = share_clipped(good)
        if stuck.mean() > 0.01 or clipped > 0.01:
            raise DataError(
                f"{name!r} is stuck or saturated for {max(stuck.mean(), clipped):.1%} of the time: use another span or channel"
            )


def share_clipped(values: np.ndarray) -> float:
    """Share of `values` (n,) at an end that is taken far more often than the value next to it: a channel in whole counts has none.

    Examples
    --------
    >>> x = np.random.default_rng(0).normal(size=10000)
    >>> share_clipped(np.round(5 * x)), bool(share_clipped(np.clip(x, -1, 1)) > 0.3)
    (0.0, True)
    """
    _, counts = np.unique(values, return_counts=True)
    ends = ((counts[0], counts[1]), (counts[-1], counts[-2]))
    return float(sum(end for end, beside in ends if end > SLOW * beside) / len(values))


def runs(values: np.ndarray) -> np.ndarray:
    """Lengths of the runs of equal samples in `values` (n,)."""
    return np.diff(np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1], [True]])))


def longest_alive(values: np.ndarray) -> int:
    """Equal samples in a row from which a channel (n,) is dead: one in whole counts rests at its turning points for long, too.

    Examples
    --------
    >>> t = np.arange(65536) / 256
    >>> longest_alive(np.round(20 * np.sin(t))) > 256
    True
    """
    steps = np.abs(np.diff(values))
    steps = steps[steps > 0]
    # From one count to the next: what was recorded seldom and held leaps.
    if not len(steps) or np.median(steps) > 1.5 * steps.min():
        return RUN
    return int(max(RUN, SLOW * np.quantile(runs(values), 0.95)))


def stuck_after(values: np.ndarray) -> int:
    """Equal samples in a row from which a channel like `values` (n,) is clipped or stuck: twice the longest run there.

    A channel of noise has none, so that clipping shows after SHORTEST_RUN; one recorded slowly and held, a few.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(4096)
    >>> stuck_after(x), stuck_after(np.repeat(x, 8))
    (4, 16)
    """
    values = values[np.isfinite(values)]
    return int(np.clip(2 * runs(values).max(), SHORTEST_RUN, longest_alive(values)))


def flat(
    values: np.ndarray, last: np.ndarray, count: np.ndarray, run_length: int | np.ndarray = RUN
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples at which a channel has kept one value for `run_length` samples, with what the next call needs to go on.

    Parameters
    ----------
    values : (..., n)
    last : (..., 1) the sample before
    count : (..., 1) int
        how many samples before that one equal it
    run_length : int or (..., 1)

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
    return run >= run_length - 1, values[..., -1:], run[..., -1:]


def at_rate(series: TimeSeries, sampling_frequency: float) -> TimeSeries:
    """A channel at another sampling rate, in step with itself; gaps stay gaps, a little longer at both ends.

    Witnesses are recorded at anything from 16 Hz to 16384 Hz: bring them, and the strain, to one rate before fitting.

    Parameters
    ----------
    series : gwpy TimeSeries; gaps are NaN
    sampling_frequency : float, Hz
        a ratio of small whole numbers away from the series' own

    Returns
    -------
    gwpy TimeSeries, NaN at both ends where the filter (80 dB, zero phase) reaches beyond the data

    Raises
    ------
    ConfigError
        if the ratio of the rates is none of small whole numbers

    Examples
    --------
    >>> from gwpy.timeseries import TimeSeries
    >>> t = np.arange(4096) / 1024.0
    >>> slow = at_rate(TimeSeries(np.sin(2 * np.pi * 5 * t), sample_rate=1024), 256.0)
    >>> bool(np.nanmax(np.abs(slow.value - np.sin(2 * np.pi * 5 * t[::4]))) < 1e-3)
    True
    """
    from scipy.signal import firwin, resample_poly

    rate, _ = _grid(series, str(series.name))
    if sampling_frequency == rate:
        return series
    ratio = Fraction(sampling_frequency / rate).limit_denominator(4096)
    up, down = ratio.numerator, ratio.denominator
    if min(up, down) < 1 or max(up, down) > 4096 or abs(rate * up / down - sampling_frequency) > 1e-9 * rate:
        raise ConfigError(f"{series.name}: {rate:g} Hz cannot be brought to {sampling_frequency:g} Hz")
    half = 32 * max(up, down)  # samples at the common multiple of both rates: 32 at the lower rate
    taps = firwin(2 * half + 1, 0.92 / max(up, down), window=("kaiser", 8.0))
    values = np.asarray(series.value, np.float64)
    finite = np.isfinite(values)
    mean = float(values[finite].mean()) if finite.any() else 0.0
    out = resample_poly(np.where(finite, values - mean, 0.0), up, down, window=taps) + mean
    bad = np.concatenate([[0], np.cumsum(~finite)])
    middle = np.arange(out.size) * down / up
    reach = half / up
    first, last = np.ceil(middle - reach).astype(int), np.floor(middle + reach).astype(int) + 1
    whole = (first >= 0) & (last <= values.size)
    clear = bad[np.clip(last, 0, values.size)] == bad[np.clip(first, 0, values.size)]
    result = type(series)(np.where(whole & clear, out, np.nan), t0=series.t0, sample_rate=sampling_frequency, name=series.name)
    result.override_unit(series.unit)
    return result


def read_channels(
    path: str | Path | Sequence[str | Path], names: Sequence[str], sampling_frequency: float | None = None
) -> TimeSeriesDict:
    """Channels of GWF or HDF5 files, as gwpy reads them.

    Parameters
    ----------
    path : path, or several in any order
        of frame files (.gwf) or of HDF5 files that gwpy's TimeSeriesDict.write made; what lies between two files is a gap
    names : sequence of str
    sampling_frequency : float, Hz, optional
        to which all are brought (`at_rate`); as recorded by default

    Raises
    ------
    DataError
        if a file is missing or unreadable, or lacks a channel; if files overlap
    ConfigError
        if no channel is named
    """
    from gwpy.detector.units import parse_unit
    from gwpy.timeseries import TimeSeriesDict

    paths = [Path(path)] if isinstance(path, str | Path) else [Path(part) for part in path]
    if not paths:
        raise ConfigError("no file of witness channels is given")
    if not names:
        raise ConfigError(f"no channel is named (--channel): {_content(paths[0])}")
    parts: list[TimeSeriesDict] = []
    for part in paths:
        if not part.is_file():
            raise DataError(f"no file {part}")
        form = "gwf" if part.name.lower().endswith(".gwf") else "hdf5"
        if form == "gwf" and not is_whole_frame(part):  # reading it could crash
            raise DataError(f"{part.name} is truncated or no frame file: copy it again")
        known = _names(part)
        if missing := [name for name in names if known and name not in known]:
            raise DataError(f"no channel {', '.join(missing)} in {part.name} (--channel): {_content(part)}")
        try:
            parts.append(TimeSeriesDict.read(part, list(names), format=form))
            for name, series in parts[-1].items():
                if form == "gwf" and str(series.unit) == "":  # what LAL cannot parse, such as um, gwpy sees as no unit
                    series.override_unit(parse_unit(written_unit(part, str(name)), parse_strict="silent"))
        except Exception as error:
            raise DataError(f"cannot read {', '.join(names)} from {part.name}: {error}") from error
    parts.sort(key=lambda channels: float(channels[names[0]].t0.value))
    joined = TimeSeriesDict()
    for name in names:
        try:
            # Counts are whole numbers, which have no NaN for a gap.
            joined[name] = parts[0][name].astype(np.float64, copy=True)
            for later in parts[1:]:
                joined[name].append(later[name].astype(np.float64), inplace=True, gap="pad", pad=np.nan)
        except ValueError as error:
            raise DataError(f"{name!r} does not continue from file to file: {error}") from error
        if sampling_frequency is not None:
            joined[name] = at_rate(joined[name], sampling_frequency)
    return joined


def _names(path: Path) -> list[str]:
    """The channels of a frame or HDF5 file; none where it cannot be read, which reading it explains."""
    try:
        if path.name.lower().endswith(".gwf"):
            from gwpy.io.gwf import iter_channel_names

            return [str(name) for name in iter_channel_names(str(path))] if is_whole_frame(path) else []
        import h5py

        with h5py.File(path, "r") as file:
            found: list[str] = []
            file.visititems(lambda key, item: found.append(key) if isinstance(item, h5py.Dataset) else None)
            return found
    except Exception:
        return []


def _content(path: Path) -> str:
    """A file's channels, in words."""
    names = _names(path)
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"{path.name} has {', '.join(names[:10]) or 'none that can be read'}{more}"
