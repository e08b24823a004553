"""Strain of one detector from a frame file (GWF), with the data quality and the injections beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.channels import COUNTS, LARGEST, STRAIN, Raw, choose, owner, prefix
from gwsurrogate_ml.strain.join import near
from gwsurrogate_ml.strain.quality import Mask, bits_of, make_mask

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries


def read_gwf(path: Path, detector: str, channel: str | None, gps: float | None = None) -> list[Raw]:
    """The detector's strain channel, or the one named, and all masks of the detector: one `Raw` for each run of frames.

    Parameters
    ----------
    gps : float, GPS s, optional
        runs far from it are not read; see `join.near`

    Raises
    ------
    DataError
        if the file is truncated or no frame file, no reader is installed, or the channel is not to be told
    """
    from gwpy.io.gwf import iter_channel_names

    if not is_whole_frame(path):
        raise DataError(f"{detector}: {path.name} is truncated or no frame file; download or copy it again")
    try:
        owners = {str(name): owner(name) for name in iter_channel_names(str(path))}
        chosen = choose(owners, path, detector, channel)
        unit = written_unit(path, chosen)
        quality = [name for name, of in owners.items() if of == prefix(detector) and bits_of(name)]
        runs = frame_runs(path)
        pieces = []
        for k in near(runs, gps):
            series = _series(path, chosen, runs[k])
            masks = tuple(_mask(path, name, detector, runs[k]) for name in quality)
            known = unit if str(series.unit) == "" else series.unit
            if str(known) in COUNTS and STRAIN.search(chosen) and np.nanmax(np.abs(series.value), initial=0.0) < LARGEST:
                known = ""  # counts are not that small
            pieces.append(Raw(series.value, float(series.t0.value), float(series.sample_rate.value), known, masks))
    except DataError:
        raise
    except ImportError as error:
        raise DataError(
            f"{detector}: no reader for frame files is installed ({path.name}); install lalsuite or "
            "python-ldas-tools-framecpp, or give GWOSC's HDF5 file of the same data"
        ) from error
    except Exception as error:
        raise DataError(
            f"{detector}: cannot read {path.name}, it is truncated or no frame file ({error}); copy it again"
        ) from error
    return pieces


def frame_runs(path: Path) -> list[tuple[float, float]]:
    """Start and end (GPS s) of each run of frames that follow upon each other: more than one where a frame is missing.

    gwpy (4.1) reads a file with a missing frame as if it were damaged: "I/O error".
    """
    import lal
    import lalframe

    stream = lalframe.FrStreamOpen(str(path.parent), path.name)
    frames = []
    for k in range(lalframe.FrFileQueryNFrame(stream.file)):
        start = float(lalframe.FrFileQueryGTime(lal.LIGOTimeGPS(), stream.file, k))
        frames.append((start, start + lalframe.FrFileQueryDt(stream.file, k)))
    runs: list[tuple[float, float]] = []
    for start, end in sorted(frames):
        if runs and start <= runs[-1][1] + 1e-6:
            runs[-1] = (runs[-1][0], max(end, runs[-1][1]))
        else:
            runs.append((start, end))
    return runs


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


def _series(path: Path, channel: str, run: tuple[float, float]) -> TimeSeries:
    from gwpy.timeseries import TimeSeries

    return TimeSeries.read(path, channel, format="gwf", start=run[0], end=run[1])


def _mask(path: Path, channel: str, detector: str, run: tuple[float, float]) -> Mask:
    series = _series(path, channel, run)
    names = bits_of(channel, written_unit(path, channel)) or {}
    return make_mask(series.value, names, float(series.t0.value), float(series.dt.value), f"{detector}: {path.name}")


def written_unit(path: Path, channel: str) -> str:
    """The channel's unit as the file has it: what LAL cannot parse, such as counts, or names of bits, gwpy sees as no unit."""
    import lalframe

    opened = lalframe.FrameUFrFileOpen(str(path), "r")
    return str(lalframe.FrameUFrChanVectorQueryUnitY(lalframe.FrameUFrChanRead(opened, channel, 0)) or "")
