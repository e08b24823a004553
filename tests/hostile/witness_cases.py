"""Hostile witness channels: units that are none, motions that do not move, and channels that scatter no light."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

import gwsurrogate_ml as gw
from gwsurrogate_ml.errors import ConfigError, DataError, GwsmlError
from tests.hostile.material import INF, NAN, START, frame, write
from tests.hostile.table import Room, refuses, survives

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

RATE, SECONDS = 256.0, 48
T = np.arange(int(SECONDS * RATE)) / RATE


def made(values: np.ndarray, name: str, unit: str = "") -> TimeSeries:
    from gwpy.timeseries import TimeSeries

    series = TimeSeries(values, t0=START, sample_rate=RATE, name=name)
    series.override_unit(unit or None, parse_strict="silent")
    return series


@cache
def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=T.size)


def slow(size: float) -> np.ndarray:
    return size * (np.sin(2 * np.pi * 0.2 * T) + np.sin(2 * np.pi * 0.13 * T + 1) + 1e-4 * noise(3))


def fitted(motion: Any, unit: str = "", bands: Any = ((10.0, 60.0),)) -> gw.WitnessCleaner:
    witnesses = {"H1:MIC": made(noise(2), "H1:MIC"), "H1:STAGE": made(motion, "H1:STAGE", unit)}
    return gw.WitnessCleaner.fit(made(1e-21 * noise(1), "strain"), witnesses, bands)


def left_alone(motion: np.ndarray, unit: str) -> None:
    """A channel that has nothing to do with the strain is tried, not taken, and leaves no number that is not finite."""
    import json

    cleaner = fitted(motion, unit)
    assert not any(entry["accepted"] for record in cleaner.card["scattering"] for entry in record["found"])
    assert not any(band["subtracted"] for band in cleaner.card["bands"])
    json.dumps(cleaner.card, allow_nan=False)


for unit in ("m", "um", "nm", "counts", "", "furlongs of rope", "um/s", "2.5 nm", "1e400 m", "m**2", "Angstrom"):
    survives(
        "WitnessCleaner.fit",
        f"a motion in {unit or 'no unit'!r} that scatters nothing",
        lambda room, u=unit: left_alone(slow(1e-6), u),
    )
for size in (1e-30, 1e12):
    survives("WitnessCleaner.fit", f"a motion of {size:g} m", lambda room, s=size: left_alone(slow(s), "m"))
survives("WitnessCleaner.fit", "a motion about a place far away", lambda room: left_alone(1e9 + slow(1.0), "counts"))
survives("WitnessCleaner.fit", "a motion that steps once", lambda room: left_alone(slow(1.0) + 50.0 * (T > 20), "counts"))
survives("WitnessCleaner.fit", "a motion with gaps", lambda room: left_alone(np.where((T > 9) & (T < 11), NAN, slow(1e-6)), "m"))
for name, motion, said in (
    ("a motion that rests", np.full(T.size, 3.0), "constant"),
    ("a motion of NaN", np.full(T.size, NAN), "gap"),
    ("a motion that is infinite", np.full(T.size, INF), "gap"),
    ("a motion clipped at both ends", np.clip(slow(1.0), -0.3, 0.3), "saturated"),
    ("a motion held for a second at a time", np.repeat(slow(1.0)[:: int(RATE)], int(RATE)), "stuck"),
):
    refuses("WitnessCleaner.fit", name, lambda room, m=motion: fitted(m, "m"), DataError, "H1:STAGE", said)
refuses("WitnessCleaner.fit", "a band in words", lambda room: fitted(slow(1.0), "m", ((10.0, "high"),)), GwsmlError, "band")
refuses("WitnessCleaner.fit", "a band that is NaN", lambda room: fitted(slow(1.0), "m", ((10.0, NAN),)), ConfigError, "band")


def channel(room: Room, unit: str, name: str = "H1:STAGE") -> Any:
    from gwsurrogate_ml.denoise.witness.channels import read_channels

    return read_channels(frame(room.inside / "w.gwf", {"H1:STAGE": (slow(1.0), RATE, unit)}), [name])[name]


def unit_is_kept(room: Room, written: str, metres: float | None) -> None:
    from gwsurrogate_ml.denoise.witness.scattering import metres as length

    assert length(str(channel(room, written).unit)) == metres


for written, metres in (("um", 1e-6), ("nm", 1e-9), ("m", 1.0), ("counts", None), ("", None), ("no unit of this world", None)):
    survives("read_channels", f"a frame's channel in {written!r}", lambda room, w=written, m=metres: unit_is_kept(room, w, m))
refuses(
    "read_channels", "a channel that is not there", lambda room: channel(room, "um", "H1:OTHER"), DataError, "H1:OTHER", "w.gwf"
)


def read_file(room: Room, filename: str, content: bytes) -> Any:
    from gwsurrogate_ml.denoise.witness.channels import read_channels

    return read_channels(write(room.inside / filename, content), ["H1:STAGE"])


for filename in ("w.gwf", "w.hdf5", "w.h5"):
    for name, content in (("nothing", b""), ("zeros", bytes(4096)), ("text", b"channels\n" * 99)):
        refuses(
            "read_channels", f"{filename} of {name}", lambda room, f=filename, c=content: read_file(room, f, c), DataError, filename
        )
