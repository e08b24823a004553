"""A record of numbers: what is kept of each array, on which platform it was made, and how others compare with it.

Arrays of up to `WHOLE` numbers are kept whole; of longer ones `PART` numbers at equal distances, two sums, and the checksum of all
bytes. On the platform of the record every number must be the same to the last digit, elsewhere nearly the same (`differences`).
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

WHOLE, PART = 96, 64
PACKAGES = (
    "numpy",
    "scipy",
    "torch",
    "numba",
    "llvmlite",
    "mkl",
    "mkl_fft",
    "zuko",
    "bilby",
    "gwpy",
    "pycbc",
    "lalsuite",
)
PACKAGES += ("astropy", "pandas")
ERROR, ERRORS = "_error", 5.0
"""A sampled number is compared where its error is recorded too, by this suffix: within so many of the two errors together."""


@dataclass(frozen=True)
class Entry:
    """What is kept of one array: `values` (n,), all of them or a part; of all: shape, type, [sum, sum of |values|], checksum."""

    values: np.ndarray
    shape: tuple[int, ...]
    dtype: str
    sums: tuple[float, float]
    sha256: str

    @classmethod
    def of(cls, array: object) -> Entry:
        """Of real or complex numbers; a zero's sign does not count."""
        whole = np.ascontiguousarray(np.atleast_1d(np.asarray(array)))
        if whole.dtype.kind in "fc":
            whole = whole + 0.0
        flat = whole.ravel()
        kept = flat if flat.size <= WHOLE else flat[np.linspace(0, flat.size - 1, PART).astype(int)]
        wide = flat.astype(np.complex128 if flat.dtype.kind == "c" else np.float64)
        sums = (float(wide.real.sum() + wide.imag.sum()), float(np.abs(wide).sum()))
        return cls(kept, whole.shape, whole.dtype.str, sums, hashlib.sha256(whole.tobytes()).hexdigest())


def this_platform() -> dict[str, str]:
    """What decides how numbers are rounded: the processor with its vector instructions, the C library, the packages."""
    here = {"processor": _processor(), "libc": " ".join(platform.libc_ver())}
    for name in PACKAGES:
        try:
            here[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            here[name] = "none"
    return here


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    vector = sorted(word for word in told.get("flags", "").split() if word.startswith(("avx", "fma", "amx")))
    named = [told.get(key, "") for key in ("model name", "cpu family", "model")]
    return " ".join([platform.machine(), *named, *vector])


def save(path: Path, entries: Mapping[str, Entry]) -> None:
    """Write a record of this platform; no pickles."""
    about = {name: {k: v for k, v in asdict(entry).items() if k != "values"} for name, entry in entries.items()}
    text = json.dumps({"platform": this_platform(), "entries": about})
    np.savez_compressed(path, about=np.array(text), **{name: entry.values for name, entry in entries.items()})


def load(path: Path) -> tuple[dict[str, str], dict[str, Entry]]:
    """The platform of a record, and its entries by name."""
    with np.load(path, allow_pickle=False) as file:
        about = json.loads(str(file["about"]))
        entries = {
            name: Entry(file[name], tuple(row["shape"]), row["dtype"], tuple(row["sums"]), row["sha256"])
            for name, row in about["entries"].items()
        }
    return about["platform"], entries


def differences(found: Mapping[str, Entry], recorded: Mapping[str, Entry], close: float | None, same_platform: bool) -> list[str]:
    """A sentence for each entry that is not as recorded; empty where all are.

    Parameters
    ----------
    found, recorded : mapping of name to Entry
    close : float, or None
        on another platform: how much numbers may differ, as a share of their own size plus that of the mean; None for draws, of
        which the evidence alone is compared, within its error
    same_platform : bool
        all must be the same to the last digit
    """
    said = [f"{name}: recorded, but not computed any more" for name in recorded if name not in found]
    said += [f"{name}: not in the record" for name in found if name not in recorded]
    for name in (name for name in found if name in recorded):
        new, old = found[name], recorded[name]
        if same_platform:
            said += _exactly(name, new, old)
        elif close is not None:
            said += _nearly(name, new, old, close)
        elif name + ERROR in found and name + ERROR in recorded:
            said += _within_error(name, new, old, found[name + ERROR], recorded[name + ERROR])
    return said


def _exactly(name: str, new: Entry, old: Entry) -> list[str]:
    if (new.shape, new.dtype) != (old.shape, old.dtype):
        return [f"{name}: {new.dtype} of shape {new.shape}, recorded {old.dtype} of shape {old.shape}"]
    if np.array_equal(new.values, old.values, equal_nan=new.values.dtype.kind in "fc"):
        if new.sha256 == old.sha256:
            return []
        gap = max(abs(a - b) for a, b in zip(new.sums, old.sums, strict=True)) / (old.sums[1] or 1.0)
        return [f"{name}: numbers differ of which the checksum alone is kept; the sums by {gap:.1e} of the sum of sizes"]
    return [_how_much(name, new, old)]


def _how_much(name: str, new: Entry, old: Entry) -> str:
    a, b = new.values.ravel(), old.values.ravel()
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    a, b = a.astype(wide), b.astype(wide)
    apart = (a != b) & ~(np.isnan(a) & np.isnan(b))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = np.where(apart, np.abs(a - b) / np.maximum(np.abs(a), np.abs(b)), 0.0)
    # NaN, or an infinity: nothing agrees.
    relative = np.where(np.isfinite(relative), relative, np.inf)
    worst = int(np.argmax(relative))
    digits = max(0, int(-np.log10(relative[worst]))) if 0 < relative[worst] < 1 else 0
    return (
        f"{name}: {apart.sum()} of {a.size} numbers differ, in the worst {digits} digits agree; largest relative difference "
        f"{relative[worst]:.1e} ({a[worst]!r}, recorded {b[worst]!r})"
    )


def _nearly(name: str, new: Entry, old: Entry, close: float) -> list[str]:
    if new.shape != old.shape:
        return [f"{name}: of shape {new.shape}, recorded {old.shape}"]
    floor = close * float(np.mean(np.abs(old.values[np.isfinite(old.values)]))) if np.isfinite(old.values).any() else 0.0
    if not np.allclose(new.values, old.values, rtol=close, atol=floor, equal_nan=True):
        return [_how_much(name, new, old)]
    gap = max(abs(a - b) for a, b in zip(new.sums, old.sums, strict=True))
    return [f"{name}: sums differ by {gap / old.sums[1]:.1e} of the sum of sizes"] if gap > close * old.sums[1] else []


def _within_error(name: str, new: Entry, old: Entry, new_error: Entry, old_error: Entry) -> list[str]:
    gap, error = np.abs(new.values - old.values), np.hypot(new_error.values, old_error.values)
    if np.all(gap <= ERRORS * error):
        return []
    return [f"{name}: {new.values} differs from the recorded {old.values} by {np.max(gap / error):.1f} errors"]
