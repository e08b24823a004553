"""What hostile calls are made of: shared models, noise, files, and ways to spoil them."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml import artifacts

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

    import gwsurrogate_ml as gw
    from gwsurrogate_ml.inference import Result
    from gwsurrogate_ml.strain.segment import AnalysisSegment

GPS, START, RATE, LENGTH = 1126259462.4, 1126259446.0, 2048.0, 32
NAN, INF = float("nan"), float("inf")
BINARY: dict[str, Any] = {
    "mass_1": 36.0, "mass_2": 29.0, "chi_1": 0.3, "chi_2": -0.1, "luminosity_distance": 410.0, "theta_jn": 0.4, "phase": 1.2,
}  # fmt: skip
SKY = {"psi": 0.8, "ra": 1.9, "dec": -1.2, "geocent_time": GPS}
NOWHERE = Path("/proc/1/nowhere")
"""A folder in which not even root may write."""


@cache
def surrogate(name: str = "nr22") -> gw.Surrogate:
    import gwsurrogate_ml as gw

    return gw.load_surrogate(name)


@cache
def remnant() -> gw.Remnant:
    import gwsurrogate_ml as gw

    return gw.load_remnant()


@cache
def estimator() -> gw.Estimator:
    import gwsurrogate_ml as gw

    return gw.load_estimator()


@cache
def denoiser() -> Any:
    import gwsurrogate_ml as gw

    return gw.load_denoiser()


def values(seed: int = 0, rate: float = RATE, length: float = LENGTH) -> np.ndarray:
    """White noise of the size of strain."""
    return 1e-21 * np.random.default_rng(seed).normal(size=int(length * rate))


def series(
    seed: int = 0,
    *,
    rate: float = RATE,
    gap: tuple[float, float] | None = None,
    start: float = START,
    fill: float = NAN,
) -> TimeSeries:
    """32 s of noise; `gap` (GPS s) is filled with `fill`."""
    from gwpy.timeseries import TimeSeries

    x = values(seed, rate)
    if gap:
        x[int((gap[0] - start) * rate) : int((gap[1] - start) * rate)] = fill
    return TimeSeries(x, t0=start, sample_rate=rate)


def data(gap: tuple[float, float] | None = None, **options: Any) -> gw.StrainData:
    """H1 and L1 noise around GPS; a gap is H1's."""
    import gwsurrogate_ml as gw

    return gw.StrainData.from_series({"H1": series(0, gap=gap, **options), "L1": series(1)}, gps=GPS)


@cache
def segment() -> AnalysisSegment:
    return data().segment()


@cache
def result() -> Result:
    """A small made-up result with everything that a real one has."""
    import pandas as pd

    from gwsurrogate_ml.conventions import INTRINSIC, PARAMETERS
    from gwsurrogate_ml.inference import Result

    rng = np.random.default_rng(0)
    n = 200
    draws = {
        "chirp_mass": rng.uniform(28, 32, n), "mass_ratio": rng.uniform(0.5, 1, n), "chi_1": rng.uniform(-0.3, 0.3, n),
        "chi_2": rng.uniform(-0.3, 0.3, n), "luminosity_distance": rng.uniform(300, 500, n), "theta_jn": rng.uniform(0.1, 1, n),
        "phase": rng.uniform(0, 6, n), "psi": rng.uniform(0, 3, n), "ra": rng.normal(1.9, 0.1, n), "dec": rng.normal(-1, 0.1, n),
        "geocent_time": GPS + rng.normal(0, 1e-3, n),
    }  # fmt: skip
    posterior = pd.DataFrame({name: draws[name] for name in PARAMETERS})
    posterior["log_likelihood_ratio"] = rng.normal(100, 2, n)
    posterior["log_likelihood"] = posterior["log_likelihood_ratio"] - 5000
    weighted = pd.DataFrame({name: draws[name] for name in INTRINSIC})
    weighted["log_weight"] = rng.normal(0, 0.1, n)
    weighted["log_likelihood_ratio"] = posterior["log_likelihood_ratio"]
    weighted["extrinsic_ess"] = 500.0
    prior = {"chirp_mass": [20.0, 45.0], "luminosity_distance": [10.0, 3000.0]}
    meta = {
        "prior": prior, "surrogate": {"name": "nr22"}, "segment": {
            "gps": GPS, "detectors": ["H1", "L1"], "start_time": segment().start_time, "f_min": 20.0, "duration": 4.0,
        },
    }  # fmt: skip
    noise = segment().noise_log_likelihood()
    return Result(posterior, weighted, n, 0.9, 0.2, noise + 100.0, 0.01, noise, 500.0, 1.0, meta)


def hdf5(path: Path, seed: int = 0, **options: Any) -> Path:
    """`series` as gwpy writes it."""
    series(seed, **options).write(path, path="strain", format="hdf5")
    return path


def gwosc(path: Path, detector: str = "H1", seed: int = 0, **changes: Any) -> Path:
    """A file in GWOSC's layout; `changes` spoil it: strain, Xspacing, Npoints, DQmask, DQShortnames; None leaves out."""
    import h5py

    content: dict[str, Any] = {
        "strain": values(seed), "Xstart": START, "Xspacing": 1 / RATE, "Npoints": int(LENGTH * RATE),
        "DQmask": np.full(LENGTH, 3, np.int32), "DQShortnames": [b"DATA", b"CBC_CAT1"],
    } | changes  # fmt: skip
    with h5py.File(path, "w") as file:
        file["meta/Detector"] = detector
        dataset = file.create_dataset("strain/Strain", data=content["strain"])
        for name in ("Xstart", "Xspacing", "Npoints"):
            if content[name] is not None:
                dataset.attrs[name] = content[name]
        if content["DQmask"] is not None:
            mask = file.create_dataset("quality/simple/DQmask", data=content["DQmask"])
            mask.attrs["Xstart"], mask.attrs["Xspacing"] = START, 1.0
        if content["DQShortnames"] is not None:
            file["quality/simple/DQShortnames"] = content["DQShortnames"]
    return path


def frame(path: Path, channels: dict[str, tuple[np.ndarray, float, str]], start: float = START) -> Path:
    """A frame file of channels (float64 or int32, rate in Hz, unit) with units as written, which gwpy and LAL replace or refuse."""
    import ctypes

    import lal
    import lalframe

    # The function of that name in Python spoils the interpreter's memory: it gives up what it does not own.
    data_of = ctypes.CDLL(lalframe._lalframe.__file__).XLALFrameUFrChanVectorQueryData
    data_of.restype, data_of.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    duration = max(values.size / rate for values, rate, _ in channels.values())
    made = lalframe.FrameNew(lal.LIGOTimeGPS(start), duration, "foreign", 0, 0, 0)
    for name, (values, rate, unit) in channels.items():
        code = {"float64": 2, "int32": 4}[str(values.dtype)]  # FR_VECT_8R and FR_VECT_4S
        channel = lalframe.FrameUFrProcChanAlloc(name, 1, 0, code, values.size)
        lalframe.FrameUFrChanVectorAlloc(channel, code, values.size)
        lalframe.FrameUFrChanSetTRange(channel, duration)
        lalframe.FrameUFrChanVectorSetName(channel, name)
        lalframe.FrameUFrChanVectorSetDx(channel, 1.0 / rate)
        lalframe.FrameUFrChanVectorSetUnitX(channel, "s")
        lalframe.FrameUFrChanVectorSetUnitY(channel, unit)
        ctypes.memmove(data_of(int(channel.this)), values.ctypes.data, values.nbytes)
        lalframe.FrameUFrameHFrChanAdd(made, channel)
    lalframe.FrameWrite(made, str(path))
    return path


def write(path: Path, content: str | bytes) -> Path:
    """A file with that content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def cut(path: Path, share: float = 0.5) -> Path:
    """The file truncated to a share of its size."""
    os.truncate(path, int(path.stat().st_size * share))
    return path


def model_copy(folder: Path, name: str = "nr22", **changes: Any) -> Path:
    """A shipped model in `folder`, keys of its card changed; None takes a key out. The checksum stays right."""
    source = artifacts.SHIPPED / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.safetensors").symlink_to(source / "weights.safetensors")
    card = json.loads((source / "card.json").read_text()) | changes
    (folder / "card.json").write_text(json.dumps({key: value for key, value in card.items() if value is not None}))
    return folder


def retensored(folder: Path, name: str, **changes: Any) -> Path:
    """A shipped model with some tensors replaced (None: taken out), and a card whose checksum is right."""
    card, tensors = artifacts.load(name, json.loads((artifacts.SHIPPED / name / "card.json").read_text())["kind"])
    for key, value in changes.items():
        key = key.replace("__", ".")
        if value is None:
            del tensors[key]
        else:
            tensors[key] = value(tensors[key])
    return artifacts.save(folder, {k: v for k, v in card.items() if k not in ("weights_sha256", "versions")}, tensors)


@contextmanager
def small_files(size: int = 4096) -> Iterator[None]:
    """No file may grow beyond `size` bytes: the disk's end without a disk. Python turns the signal into an OSError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
