"""Stretches of strain that all detectors have, cut into blocks that overlap by what the filters corrupt, and conditioned.

A block is tapered, transformed and cut at the top of the band; its PSD is the median Welch estimate of the block itself,
whose inverse is truncated in time (FINDCHIRP, arXiv:gr-qc/0509116, section VII).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.kernels import fft, psd, truncation
from gwsurrogate_ml.strain.gates import require_moving
from gwsurrogate_ml.strain.notches import notches, without

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

Span = tuple[float, float]
"""Start and end, GPS s."""

_TAPER = 0.5
"""Seconds of cosine taper at each end of a block, inside what the filter corrupts."""


@dataclass(frozen=True)
class Conditioned:
    """One block of one detector, ready for `filter_bank`.

    Attributes
    ----------
    strain : complex128 (n_f,), 1/Hz, one-sided transform up to the working Nyquist frequency
    psd : float64 (n_f,), 1/Hz
    delta_f : float, Hz
    start : float, GPS s, of the first sample
    """

    strain: np.ndarray
    psd: np.ndarray
    delta_f: float
    start: float


@dataclass(frozen=True)
class Block:
    """A stretch that all detectors have.

    Attributes
    ----------
    span : what is filtered
    valid : where triggers count: inside `span`, and in no other block's `valid`
    """

    span: Span
    valid: Span


def common_spans(series: Mapping[str, TimeSeries], shortest: float) -> list[Span]:
    """Whole-second stretches, at least `shortest` s long, that every detector has without a gap (NaN).

    Raises
    ------
    DataError
        if there is none
    """
    edges: list[Span] | None = None
    for one in series.values():
        start, rate = float(one.t0.value), float(one.sample_rate.value)
        good = np.isfinite(one.value)
        flips = np.flatnonzero(np.diff(np.concatenate([[0], good.astype(np.int8), [0]])))
        spans = [(start + a / rate, start + b / rate) for a, b in zip(flips[::2], flips[1::2], strict=True)]
        edges = spans if edges is None else _intersect(edges, spans)
    result = []
    for begin, end in edges or []:
        length = float(np.floor(end - begin + 1e-6))
        if length >= shortest:
            result.append((begin, begin + length))
    if not result:
        listed = "; ".join(
            f"{name} {float(s.t0.value):.1f} to {float(s.t0.value) + s.size / float(s.sample_rate.value):.1f}"
            for name, s in series.items()
        )
        raise DataError(
            f"no stretch of {shortest:g} s without a gap in all detectors (data: {listed}): give files of the same time"
        )
    return result


def _intersect(a: list[Span], b: list[Span]) -> list[Span]:
    both = [(max(p[0], q[0]), min(p[1], q[1])) for p in a for q in b]
    return sorted(span for span in both if span[1] > span[0])


def blocks(spans: list[Span], length: float, before: float, after: float) -> list[Block]:
    """Blocks of at most `length` s of each span; `before` and `after` s at their ends are corrupt and lie in a neighbour.

    Examples
    --------
    >>> [b.valid for b in blocks([(0.0, 100.0)], 60.0, 8.0, 4.0)]
    [(8.0, 56.0), (56.0, 96.0)]
    """
    result = []
    for begin, end in spans:
        done = begin + before
        while done < end - after:
            # The last block reaches back rather than being short: its PSD needs as much data as any other's.
            first = max(begin, min(done - before, end - length))
            last = min(first + length, end)
            result.append(Block((first, last), (done, last - after)))
            done = last - after
    return result


def condition(
    series: TimeSeries, block: Block, f_min: float, f_max: float, filter_duration: float, psd_segment: float
) -> Conditioned:
    """Transform and PSD of one block.

    Parameters
    ----------
    series : TimeSeries, strain
    block : Block, inside the series
    f_min, f_max : float, Hz
    filter_duration : float, s
        to which the inverse ASD is truncated
    psd_segment : float, s
        of the periodograms

    Raises
    ------
    DataError
        if the data are constant or saturated
    """
    rate, start = float(series.sample_rate.value), float(series.t0.value)
    first = round((block.span[0] - start) * rate)
    n = round((block.span[1] - block.span[0]) * rate)
    # A start that is no whole sample in every detector may reach one sample beyond the end.
    first = min(first, series.size - n)
    x = np.asarray(series.value[first : first + n], np.float64)
    require_moving(x, str(series.name), f"from GPS {block.span[0]:.0f} on")
    delta_f = rate / n
    frequencies, power = psd.welch(x, rate, psd_segment)
    power = without(notches(frequencies, power, f_min, f_max), frequencies, power)
    # The truncation divides by the PSD: Welch removes the mean, which may leave a zero at DC; f_min is far above.
    noise = truncation.inverse_spectrum_truncation(
        truncation.interpolate(power, 1 / psd_segment, delta_f), delta_f, filter_duration, f_min
    )
    taper = round(_TAPER * rate)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(taper) + 0.5) / taper)
    x = x - x.mean()
    x[:taper] *= ramp
    x[-taper:] *= ramp[::-1]
    n_f = working_length(n, rate, f_max) // 2 + 1
    return Conditioned(fft.rfft(x)[:n_f] / rate, noise[:n_f], delta_f, start + first / rate)


def working_length(n: int, rate: float, f_max: float) -> int:
    """Samples of a block after halving its rate as often as its length and `f_max` allow.

    Examples
    --------
    >>> working_length(32 * 4096, 4096.0, 1024.0)
    65536
    """
    while rate / 4 >= f_max and n % 4 == 0:
        n, rate = n // 2, rate / 2
    return n
