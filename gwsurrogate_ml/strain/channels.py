"""Which channel of a file is a detector's strain, and whether its unit is that of strain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gwsurrogate_ml.arguments import finite, positive
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.strain.detectors import interferometer, known_detectors
from gwsurrogate_ml.strain.quality import Mask

PREFIXES = {"GEO600": "G1"}
"""What files call a detector, where bilby's name is another."""
SITES = {"hanford": "H1", "livingston": "L1", "virgo": "V1", "kagra": "K1"}
"""Words for detectors in heads of columns."""
SHORT = {"H": "H1", "L": "L1", "V": "V1", "K": "K1", "G": "G1", "LHO": "H1", "LLO": "L1", "v1": "V1"}
"""What whole names of columns say for detectors; a small v1 in longer ones is a version."""
STRAIN = re.compile(r"strain|hoft|\bh_\d+Hz|DER_DATA_H", re.IGNORECASE)
"""Strain of LIGO, KAGRA and GWOSC; Virgo (Hrec_hoft_16384Hz, h_16384Hz); GEO 600."""
QUALITY = re.compile(r"DQ_?MASK|INJ_?MASK|STATE_?VECTOR|DQ_?VECTOR|DQ_?FLAG|DQ_VETO|IDQ", re.IGNORECASE)
LARGEST = 1e-6
"""Strain of no detector reaches it, not even below 10 Hz."""
COUNTS = ("ct", "count", "counts")
"""What files call the unit of a converter's samples; pycbc's `write_frame` gives it to all that it writes."""
AUXILIARY = re.compile(
    r"([A-Z]\d:)?(ALS|AOS|ASC|CAL-DELTAL|CAL-PCAL|DMT|ENV|FEC|GRD|HPI|IMC|IOP|ISI|LSC|ODC|OMC|PEM|PSL|SAT|SDB|SEI|SQZ|SUS|TCS|VID)[-_]"
)
"""Subsystems of the detectors: names of their channels start so."""


@dataclass(frozen=True, eq=False)
class Raw:
    """Samples as a file holds them.

    Attributes
    ----------
    values : (n,) real
    start : float, GPS s
    rate : float, Hz
    unit : astropy unit or str
        "" where the file names none
    masks : tuple of Mask
        data quality and injections beside the samples
    after : float, s
        by how much `start` lies after the start that the user gave, where the file's times count from there
    """

    values: np.ndarray
    start: float
    rate: float
    unit: Any = ""
    masks: tuple[Mask, ...] = ()
    after: float = 0.0


def named_times(path: Path) -> tuple[float, float] | None:
    """Start (GPS s) and duration (s) that a file's name gives, as LIGO-T050017 has it: ``H-H1_X-1126259446-32.txt``.

    Examples
    --------
    >>> named_times(Path("H-H1_STRAIN-1126259446-32.hdf5")), named_times(Path("x.hdf5"))
    ((1126259446.0, 32.0), None)
    """
    found = re.fullmatch(r"[A-Z]+-\w+-(\d{9,10}(?:\.\d+)?)-(\d+(?:\.\d+)?)\.[\w.]+", path.name)
    return (float(found[1]), float(found[2])) if found else None


def times_of_bare(path: Path, n: int, rate: float | None, start: float | None) -> tuple[float | None, float | None]:
    """Rate (Hz) and start (GPS s) of `n` samples without times: as given, else as the file's name says; None where unknown."""
    named = named_times(path)
    if named and start is None:
        start = named[0]
    if named and rate is None and (n / named[1]).is_integer():
        rate = n / named[1]
    return rate, start


RATES = ("sampling_frequency", "sample_rate", "sampling_rate", "fs", "f_s")
STEPS = ("delta_t", "dt", "dx", "Xspacing")
STARTS = ("start_time", "t0", "gps_start", "start_gps", "x0", "Xstart", "GPSstart", "epoch")
SAID = (*RATES, *STEPS, *STARTS)
"""What programs call the rate (Hz) of samples, their spacing (s), and the GPS time of the first (s)."""
OF_ANYTHING = ("epoch", "x0")
"""Starts by name that may be something else: they count where they are GPS times."""
FIRST_GPS = 6e8
"""GPS time (s) from which on detectors have been running: January 1999. What is below counts from elsewhere, or is no time."""


def said_times(said: Mapping[str, Any], where: str) -> tuple[float | None, float | None]:
    """Rate (Hz) and start (GPS s) that attributes, or numbers beside the samples, give; None for what they do not.

    Raises
    ------
    ConfigError
        if one is no number, or the rate not above zero; the message begins with `where`

    Examples
    --------
    >>> said_times({"fs": 4096, "t0": 1e9, "note": "O3"}, "x.npz"), said_times({"dt": 0.5, "epoch": 2000.0}, "x.npz")
    ((4096.0, 1000000000.0), (2.0, None))
    """
    said = {key: value for key, value in said.items() if key not in OF_ANYTHING or is_gps(value)}
    rate = next((positive(said[key], f"{where}: {key}", "Hz") for key in RATES if key in said), None)
    step = next((positive(said[key], f"{where}: {key}", "s") for key in STEPS if key in said), None)
    start = next((finite(said[key], f"{where}: {key}", "GPS s") for key in STARTS if key in said), None)
    return (tidy_rate(1 / step) if rate is None and step else rate), start


def is_gps(value: Any) -> bool:
    """Whether something is a number that may be a GPS time (s) of data."""
    return np.ndim(value) == 0 and np.asarray(value).dtype.kind in "fiu" and bool(value >= FIRST_GPS)


NO_TIMES = (
    "give them by --sampling-frequency and --start-time (in Python sampling_frequency and start_time of StrainData.from_files), or "
    "a file that says them, as TimeSeries.write of gwpy makes it"
)
"""The remedy for samples without times."""


def tidy_rate(rate: float, rounding: float = 1e-6) -> float:
    """Nearest whole rate where `rate` (Hz) is one up to the relative `rounding` of steps as files state them, else itself."""
    return float(round(rate)) if abs(rate - round(rate)) < rounding * rate else rate


def prefix(detector: str) -> str:
    """What files call `detector`."""
    return PREFIXES.get(detector, detector)


def owner(*labels: object) -> str | None:
    """The detector that the first label with a prefix names, such as H1 of "H1:GDS-CALIB_STRAIN"; or of a group "H1/strain"."""
    for label in labels:
        if found := re.search(r"(?:^|/)(?:([A-Z]\d):|([GHKLV]\d)(?:/|$))", str(label)):
            return found[1] or found[2]
    return None


def detector_named(text: str) -> str | None:
    """The one detector that a word of `text` names, as files write it: a column, or a file.

    Examples
    --------
    >>> [detector_named(text) for text in ("LIGO_Hanford_PSD (1/Hz)", "psd-l1.txt", "H1L1", "psd", "LHO")]
    ['H1', 'L1', None, None, 'H1']
    """
    if short := SHORT.get(text.strip()):
        return short
    found = {name.upper() for name in re.findall(r"(?<![A-Za-z0-9])([GHKLV]1|[ghkl]1)(?![A-Za-z0-9])", text)}
    found |= {short for place, short in SITES.items() if place in text.lower()}
    return found.pop() if len(found) == 1 else None


def detectors_named(file: str) -> set[str]:
    """All detectors that words of a file's name say, in capitals or small; a v1 may be a version.

    Examples
    --------
    >>> sorted(detectors_named("o3_v1_asd.txt")), sorted(detectors_named("H1-L1_Virgo.txt")), detectors_named("aplus.txt")
    (['V1'], ['H1', 'L1', 'V1'], set())
    """
    known = {prefix(name).upper() for name in known_detectors()}
    words = re.findall(r"[A-Za-z0-9]+", file)
    found = {word.upper() for word in words if word.upper() in known} | {SHORT[word] for word in words if word in ("LHO", "LLO")}
    return found | {short for place, short in SITES.items() if place in file.lower()}


def require_owner(found: str, path: Path, detector: str, channel: str | None = None) -> None:
    """Refuse data of the detector `found` (as files write it), in the `channel` named, unless it is `detector`."""
    if found != prefix(detector):
        name = {value: key for key, value in PREFIXES.items()}.get(found, found)
        raise DataError(
            f"{detector}: {path.name} holds data of {name}; give it as {name}={path.name}" + (f" ({channel})" if channel else "")
        )


def choose(owners: Mapping[str, str | None], path: Path, detector: str, wanted: str | None = None) -> str:
    """The channel that holds a detector's strain.

    Parameters
    ----------
    owners : mapping
        channels of the file, each with the prefix of its detector, None where the file does not say
    path, detector
        for messages
    wanted : str, optional
        the channel, where the user names it

    Raises
    ------
    DataError
        if there is none, several may be meant, or the data are another detector's

    Examples
    --------
    >>> names = ("H1:GWOSC-4KHZ_R1_STRAIN", "H1:GWOSC-4KHZ_R1_DQMASK", "L1:GWOSC-4KHZ_R1_STRAIN")
    >>> choose({name: owner(name) for name in names}, Path("x.gwf"), "H1")
    'H1:GWOSC-4KHZ_R1_STRAIN'
    """
    if wanted is not None:
        if wanted not in owners:
            raise DataError(f"{detector}: {path.name} has no channel {wanted!r}; it has {_listed(owners)}")
        require_owner(owners[wanted] or prefix(detector), path, detector)
        return wanted
    own = _strain([name for name, of in owners.items() if of == prefix(detector)])
    unowned = [name for name, of in owners.items() if of is None]
    if len(unowned) < len(owners):  # where names say whose data they are, one that does not must say that it is strain
        unowned = [name for name in unowned if STRAIN.search(name)]
    found = own or _strain(unowned)
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"{detector}: {path.name} has {len(found)} channels that may be its strain ({_listed(found)}); name one by "
            f"--channel {detector}={found[0]}, in Python by channels={{'{detector}': {found[0]!r}}} of StrainData.from_files"
        )
    others = {of: name for name in _strain(list(owners)) if (of := owners[name])}
    if len(others) == 1:
        ((other, name),) = others.items()
        require_owner(other, path, detector, name)
    held = f"strain of {', '.join(others)} and no" if others else "no strain, and no"
    raise DataError(
        f"{detector}: {path.name} holds {held} channel that may be the strain of {prefix(detector)} (it has {_listed(owners)}); "
        f"give the file with {prefix(detector)}'s strain"
    )


def _strain(names: list[str]) -> list[str]:
    """Those that are called strain; where none is, those that are neither data quality nor of an auxiliary subsystem."""
    named = [name for name in names if not QUALITY.search(name)]
    return [name for name in named if STRAIN.search(name)] or [name for name in named if not AUXILIARY.match(name)]


def _listed(names: Mapping[str, Any] | list[str]) -> str:
    return ", ".join(list(names)[:8]) + (", ..." if len(names) > 8 else "") or "none"


def strain_scale(unit: Any, detector: str, what: str) -> float:
    """Factor that makes strain of samples in `unit`: 1 for strain and where no unit is named, 0.01 for per cent.

    Parameters
    ----------
    unit : astropy unit, str or None
    detector, what : str
        whose samples, and which: for the message

    Raises
    ------
    DataError
        if the unit is no strain's

    Examples
    --------
    >>> strain_scale("strain", "H1", "x.gwf"), strain_scale("1e-21", "H1", "x.gwf")
    (1.0, 1e-21)
    """
    from astropy import units

    if str(unit or "").strip().lower() in ("", "strain", "none", "undef", "dimensionless"):
        return 1.0
    parsed = _parsed(unit)
    for none in (units.one, _parsed("strain")):
        if parsed.is_equivalent(none):
            return float(parsed.to(none))
    remedy = "give calibrated strain"
    if parsed.is_equivalent(units.m):
        remedy = f"divide them by the length of its arms, {1000 * interferometer(detector).length:g} m"
    raise DataError(
        f"{detector}: the samples of {what} are in {unit}, strain has no unit: {remedy}; if they are strain after all, say so by "
        "override_unit('strain') of gwpy's TimeSeries"
    )


def _parsed(unit: Any) -> Any:
    from astropy import units
    from gwpy.detector.units import parse_unit

    try:
        return parse_unit(unit, parse_strict="silent")
    except ValueError:
        return units.UnrecognizedUnit(str(unit))
