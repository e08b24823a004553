"""Data quality and hardware injections: bit masks beside the strain in a file, gaps and marks made of them.

A set bit is good: the data pass a veto, or nothing was injected. GWOSC's masks (https://gwosc.org/techdetails) have a sample a
second and these bits in every release since O1; state vectors, 16 a second, are those of LIGO's and Virgo's own frames (gwcelery's
`detchar`, pycbc's `frame`). What must not be analysed becomes a gap; what only speaks against an analysis becomes a `Mark`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gwsurrogate_ml.errors import DataError

GAPS = re.compile(r"DATA|CBC(HIGH|LOW)?_CAT1|HOFT_OK")
"""Without them a sample is a gap: there is no data, or the detector was not in a state to be searched. S5 and S6 have two CBCs."""
VETOES = re.compile(r"CBC(HIGH|LOW)?_CAT[2-9]|OBSERVATION_INTENT")
INJECTIONS = re.compile(r"NO_(CBC|BURST|DETCHAR|STOCH)_HW_INJ")
"""Continuous waves (NO_CW_HW_INJ) are left out: they are injected throughout every run, far too weak to be seen in seconds. A
stochastic injection is weak too, but rare, and noise that detectors share contradicts the likelihood."""
INJECTED = {
    "CBC": "a binary's signal",
    "BURST": "a burst",
    "DETCHAR": "a test of the detector",
    "STOCH": "stochastic noise",
}

DQ_BITS = dict(enumerate(("DATA", "CBC_CAT1", "CBC_CAT2", "CBC_CAT3", "BURST_CAT1", "BURST_CAT2", "BURST_CAT3")))
INJECTION_BITS = dict(enumerate(f"NO_{kind}_HW_INJ" for kind in ("CBC", "BURST", "DETCHAR", "CW", "STOCH")))
STATE_BITS = {0: "HOFT_OK", 1: "OBSERVATION_INTENT"} | {
    5 + i: f"NO_{kind}_HW_INJ" for i, kind in enumerate(("STOCH", "CBC", "BURST", "DETCHAR"))
}
CHANNELS = {
    re.compile(r"(GW|L)OSC-.*DQMASK$"): DQ_BITS,
    re.compile(r"(GW|L)OSC-.*INJMASK$"): INJECTION_BITS,
    re.compile(r"CALIB_STATE_VECTOR|DQ_ANALYSIS_STATE_VECTOR"): STATE_BITS,
}


@dataclass(frozen=True, eq=False)
class Mask:
    """Bits over time.

    Attributes
    ----------
    values : (n,) int64
    names : dict of bit number to name
    start : float, GPS s, of the first value
    spacing : float, s
    """

    values: np.ndarray
    names: Mapping[int, str]
    start: float
    spacing: float


@dataclass(frozen=True)
class Mark:
    """A stretch of one detector's data, GPS `start` to `end` (s), in which the bit called `name` is not set."""

    detector: str
    name: str
    start: float
    end: float


def bits_of(channel: str, written: str | Sequence[object] = "") -> Mapping[int, str] | None:
    """Names of the bits of a channel by their numbers, or None for a channel that is no mask.

    Parameters
    ----------
    channel : str
    written : str, or sequence of names
        what the file says itself: GWOSC's frames have the unit "0:DATA 1:CBC_CAT1 ...", gwpy's HDF5 a list

    Examples
    --------
    >>> bits_of("H1:GWOSC-4KHZ_R1_INJMASK")[0], bits_of("H1:LOSC-DQMASK", "0:DATA 1:CBCHIGH_CAT1")[1]
    ('NO_CBC_HW_INJ', 'CBCHIGH_CAT1')
    """
    usual = next((bits for pattern, bits in CHANNELS.items() if pattern.search(channel)), None)
    if usual is None:
        return None
    if isinstance(written, str):
        return {int(bit): name for bit, name in re.findall(r"(\d+):(\w+)", written)} or usual
    return dict(enumerate(map(text, written))) or usual


def text(item: object) -> str:
    """A string of a file, which may be bytes."""
    return item.decode(errors="replace") if isinstance(item, bytes) else str(item)


def make_mask(values: np.ndarray, names: Mapping[int, str], start: float, spacing: float, where: str) -> Mask:
    """A `Mask` of whole numbers; `where` names file and detector in the error.

    Raises
    ------
    DataError
        if there are no values, or they are no numbers in a row
    """
    values = np.asarray(values)
    if values.ndim != 1 or not values.size or values.dtype.kind not in "iuf" or not spacing > 0:
        raise DataError(f"{where}: the quality mask has shape {values.shape} of {values.dtype}; download the file again")
    return Mask(np.nan_to_num(values).astype(np.int64), names, start, spacing)


def failing(mask: Mask, pattern: re.Pattern[str]) -> dict[str, np.ndarray]:
    """Where (n,) the bits whose name matches `pattern` are not set, by name; those set throughout are left out."""
    named = {name: (mask.values >> bit) & 1 == 0 for bit, name in mask.names.items() if pattern.fullmatch(name)}
    return {name: bad for name, bad in named.items() if bad.any()}


def gaps(masks: Iterable[Mask], start: float, rate: float, n: int) -> np.ndarray:
    """Which of `n` samples from GPS `start` (s) on at `rate` (Hz) fail one of GAPS: (n,) bool."""
    gap = np.zeros(n, bool)
    for mask in masks:
        found = failing(mask, GAPS)
        if found:
            times = (start - mask.start) + np.arange(n) / rate
            step = np.clip(np.floor(times / mask.spacing + 1e-9).astype(int), 0, mask.values.size - 1)
            gap |= np.any(list(found.values()), axis=0)[step]
    return gap


def marks(masks: Iterable[Mask], detector: str) -> tuple[Mark, ...]:
    """The stretches in which a veto or an injection is on."""
    found = []
    for mask in masks:
        for name, bad in (failing(mask, VETOES) | failing(mask, INJECTIONS)).items():
            edges = np.flatnonzero(np.diff(bad, prepend=False, append=False))
            begins, ends = mask.start + mask.spacing * edges.reshape(-1, 2).T
            found += [Mark(detector, name, float(b), float(e)) for b, e in zip(begins, ends, strict=True)]
    return tuple(found)


def sentences(marks: Iterable[Mark], start: float = -np.inf, end: float = np.inf) -> tuple[str, ...]:
    """What speaks against the data of GPS `start` to `end` (s): one sentence for a detector's vetoes, one for each injection.

    Examples
    --------
    >>> sentences([Mark("H1", "CBC_CAT2", 8.0, 9.0)], 9.0, 13.0)
    ()
    """
    near = [mark for mark in marks if mark.start < end and mark.end > start]
    vetoes: dict[str, list[Mark]] = {}
    injections: dict[tuple[str, str], list[Mark]] = {}
    for mark in near:
        if kind := INJECTIONS.fullmatch(mark.name):
            injections.setdefault((mark.detector, kind[1]), []).append(mark)
        else:
            vetoes.setdefault(mark.detector, []).append(mark)
    return (
        *(
            f"hardware injection: {INJECTED[kind]} was added to {detector}, {_span(found)}: what is found may be that"
            for (detector, kind), found in injections.items()
        ),
        *(
            f"data quality: {detector} fails {' and '.join(dict.fromkeys(mark.name for mark in found))}, {_span(found)}: its noise "
            "may not be what the likelihood takes it for; look at the figures, and compare with an analysis without it"
            for detector, found in vetoes.items()
        ),
    )


def _span(marks: Sequence[Mark]) -> str:
    return f"GPS {min(mark.start for mark in marks):.10g} to {max(mark.end for mark in marks):.10g}"
