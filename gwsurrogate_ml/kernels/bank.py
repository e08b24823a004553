"""Triggers of a bank of templates in one data segment, at the full rate from transforms a half or a quarter as long.

Folding the correlation's spectrum at 1/d of the sampling rate gives every d-th sample of the SNR series exactly. The
template's own autocorrelation says how much less a peak between two such samples shows in them, and so where the samples
in between must be computed too, which a direct sum does. Normalisation as in `matched_filter`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.kernels import _arguments, _memory, fft
from gwsurrogate_ml.kernels._filter import SPAN, correlate_folded, correlations
from gwsurrogate_ml.kernels._peaks import candidates, cluster, loudest, predictor
from gwsurrogate_ml.kernels._spectra import common, explain, inputs, output_length, real
from gwsurrogate_ml.kernels.threads import each

TRIGGER_DTYPE = np.dtype(
    [("template", np.int64), ("index", np.int64), ("time", np.float64), ("snr", np.complex128), ("sigma", np.float64)]
)
"""Fields of a trigger: row of the bank, sample, s from the start of the segment, complex SNR, template norm."""

Decimate = Literal[1, 2, 4, "adaptive"]

_TRANSFORM_COST, _SUM_COST = 3.0, 0.15
"""ns for each sample of an inverse transform, and for each frequency of a direct sum: they only choose between two ways
to the same triggers."""
_COARSE_GUARD, _FINE_GUARD = 2.0, 4.5
"""Standard deviations of noise by which a coarse sample may be quieter than a peak beside it lets one expect, and by which
a sample may be louder than its two coarse neighbours predict. The neighbours of a peak err in opposite senses, so that both
miss it far less often than one does."""

_LEAST_RATIO = 0.85
"""A step is taken only if the template's autocorrelation at half of it is as large: beyond, prediction means little."""


def filter_bank(
    templates: np.ndarray,
    data: np.ndarray,
    psd: np.ndarray,
    delta_f: float,
    f_low: float,
    f_high: float | None = None,
    *,
    threshold: float,
    window: float,
    n_jobs: int = 1,
    decimate: Decimate = 1,
) -> np.ndarray:
    """Triggers of a bank of templates in one segment: loud samples that are the loudest within a window.

    Parameters
    ----------
    templates : complex (n_templates, N/2 + 1)
        complex64 halves the time; keep the strain above 1e-30 then (or scale it)
    data, psd, delta_f, f_low, f_high
        as in `matched_filter`
    threshold : float, > 0
        smallest |snr|
    window : float, s
        a sample is a trigger if none within `window` on either side is louder; 0 keeps every sample above the threshold
    n_jobs : int
        threads over templates, the same triggers with any number; MKL starts none of its own inside
    decimate : 1, 2, 4 or "adaptive"
        a number: look at every second or fourth sample only (exact there), for about half or a quarter of the time; the
        loudest sample of a trigger may then be missed by ``decimate - 1`` samples, and what peaks in between by a little
        SNR. "adaptive": triggers of the full rate from a shorter transform, with the samples near loud ones computed
        singly; template by template the cheapest length

    Returns
    -------
    structured array (n_triggers,) of `TRIGGER_DTYPE`, ordered by template and time

    Raises
    ------
    DataError, ConfigError
        as `matched_filter`; also for a threshold, window or `n_jobs` that makes no sense

    Examples
    --------
    >>> h = np.fft.rfft(np.eye(1, 64, 9)[0])
    >>> s = 3 * np.fft.rfft(np.eye(1, 64, 20)[0])
    >>> found = filter_bank(h[None], s, np.ones(33), 1.0, 0.0, threshold=10.0, window=0.1)
    >>> found["template"], found["index"]
    (array([0]), array([11]))
    """
    bank, s, noise = inputs(templates, data, psd, "templates")
    if bank.ndim != 2 or bank.shape[0] == 0:
        raise DataError(f"templates has shape {bank.shape}: a bank (n_templates, N/2 + 1) with at least one row is needed")
    kmin, kmax = _arguments.band(f_low, f_high, delta_f, noise.size)
    threshold = _arguments.positive(threshold, "threshold")
    if not (np.isfinite(window) and window >= 0):
        raise ConfigError(f"window is {window}: a finite time >= 0 s is needed")
    if n_jobs < 1:
        raise ConfigError(f"n_jobs is {n_jobs}: at least one thread is needed")
    _arguments.require_finite(s[kmin:kmax], "data in the band")
    _arguments.require_positive_band(noise, "psd", kmin, kmax, delta_f)
    n = 2 * (noise.size - 1)
    bank, s = common(bank, s)
    weights = np.zeros(noise.size)
    weights[kmin:kmax] = 1.0 / noise[kmin:kmax]
    segment = _Segment(
        # s / S is about 1e24 and 1 / sqrt(S) 1e23 for strain: within float32's range, while 1 / S = 1e46 is not.
        over_whitened=real((s * weights).astype(bank.dtype)),
        gain=np.sqrt(weights).astype(bank.real.dtype),
        kmin=kmin,
        kmax=kmax,
        n=n,
        delta_f=delta_f,
    )
    n_out = n if decimate == "adaptive" else output_length(n, decimate, kmax)
    reach = round(window * n_out * delta_f)

    def several(rows: np.ndarray) -> list[np.ndarray]:
        # One scan a thread: it owns the buffers of all its transforms.
        scan: _Plain | _Adaptive = _Plain(segment, threshold, reach, n_out)
        if decimate == "adaptive":
            scan = _Adaptive(segment, threshold, reach)
        return [triggers(scan, int(row)) for row in rows]

    def triggers(scan: _Plain | _Adaptive, row: int) -> np.ndarray:
        result = scan(bank[row])
        if result is None:
            explain(bank[row], s, noise, kmin, kmax, delta_f, f"templates[{row}]")
        assert result is not None  # explain raised
        found = np.empty(result.index.size, dtype=TRIGGER_DTYPE)
        found["template"], found["index"], found["time"] = row, result.index, result.index / (n * delta_f)
        found["snr"], found["sigma"] = result.snr, result.sigma
        return found

    parts = np.array_split(np.arange(bank.shape[0]), min(n_jobs, bank.shape[0]))
    return np.concatenate([found for part in each(several, parts, n_jobs) for found in part])


def filter_segments(
    templates: np.ndarray,
    data: np.ndarray,
    psds: np.ndarray,
    delta_f: float,
    f_low: float,
    f_high: float | None = None,
    *,
    threshold: float,
    window: float,
    n_jobs: int = 1,
    decimate: Decimate = 1,
    executor: Executor | None = None,
) -> list[np.ndarray]:
    """`filter_bank` on many segments, here or on other machines: the same triggers as one call a segment.

    Parameters
    ----------
    templates, delta_f, f_low, f_high, threshold, window, decimate
        as for `filter_bank`
    data : complex (n_segments, N/2 + 1)
    psds : real (N/2 + 1,), or (n_segments, N/2 + 1) with one for each segment
    n_jobs : int, threads; the loops and transforms run without the interpreter's lock
    executor : concurrent.futures.Executor, optional
        instead of threads here: a pool of processes, or a Dask cluster by ``dask.distributed.Client(...).get_executor()``, which
        repeats segments whose worker was lost; the bank travels with every segment, so make segments long

    Returns
    -------
    list of n_segments structured arrays

    Raises
    ------
    DataError, ConfigError
        as `filter_bank`; also where the numbers of segments differ

    Examples
    --------
    >>> h = np.fft.rfft(np.eye(1, 64, 9)[0])
    >>> s = 3 * np.fft.rfft(np.eye(2, 64, 20))
    >>> [int(f["index"][0]) for f in filter_segments(h[None], s, np.ones(33), 1.0, 0.0, threshold=9.0, window=0.1)]
    [11, 12]
    """
    segments, noise = _arguments.spectrum(data, "data"), np.asarray(psds)
    if segments.ndim != 2:
        raise DataError(f"data has shape {segments.shape}: segments (n_segments, N/2 + 1) are needed")
    if noise.ndim == 2 and len(noise) != len(segments):
        raise DataError(f"{len(noise)} psds for {len(segments)} segments: give one for each, or one for all")
    if n_jobs < 1:
        raise ConfigError(f"n_jobs is {n_jobs}: at least one thread is needed")

    one: Callable[[np.ndarray, np.ndarray], np.ndarray] = partial(
        filter_bank, templates, delta_f=delta_f, f_low=f_low, f_high=f_high, threshold=threshold, window=window, decimate=decimate
    )
    pairs = segments, noise if noise.ndim == 2 else [noise] * len(segments)
    if executor is not None:
        return list(executor.map(one, *pairs))
    return each(lambda pair: one(*pair), zip(*pairs, strict=True), n_jobs)


@dataclass(frozen=True)
class _Segment:
    """What all templates of a bank share."""

    over_whitened: np.ndarray
    gain: np.ndarray
    kmin: int
    kmax: int
    n: int
    delta_f: float

    def correlate(self, template: np.ndarray, out: np.ndarray, power: np.ndarray) -> float:
        """Sigma of a template; its correlation, folded, goes to `out`, parts of its norm to `power` (n_spans,)."""
        hh = correlate_folded(real(template), self.over_whitened, self.gain, self.kmin, self.kmax, real(out), power)
        return float(np.sqrt(4.0 * self.delta_f * hh))

    @property
    def n_spans(self) -> int:
        """Parts of a template's norm."""
        return -(-(self.kmax - self.kmin) // SPAN)


@dataclass(frozen=True)
class _Found:
    """Triggers of one template: full-rate samples, complex SNRs, template norm."""

    index: np.ndarray
    snr: np.ndarray
    sigma: float


class _Plain:
    """Triggers among the samples of one transform; None for a template without power."""

    def __init__(self, segment: _Segment, threshold: float, reach: int, n_out: int) -> None:
        self.segment, self.threshold, self.reach = segment, threshold, reach
        self._buffer = _memory.empty(n_out, _complex(segment))
        self._power = np.empty(segment.n_spans)

    def __call__(self, template: np.ndarray) -> _Found | None:
        sigma = self.segment.correlate(template, self._buffer, self._power)
        if not 0 < sigma < np.inf:
            return None
        scale = 4.0 * self.segment.delta_f / sigma
        z = fft.ifft(self._buffer, norm="forward", out=self._buffer)
        index = cluster(real(z), self.threshold / scale, self.reach)
        return _Found(index * (self.segment.n // z.size), z[index] * scale, sigma)


@dataclass(frozen=True)
class _Step:
    """How samples between coarse ones relate to these, for one template and one step; SNRs.

    Attributes
    ----------
    step : coarse samples are every step-th
    ratio, margin : a coarse sample next to a peak is no quieter than ratio times the peak less margin
    weights : complex128 (2, step - 1), linear prediction from the coarse samples before and after
    spread : float64 (step - 1,), by so much a sample may exceed its prediction
    """

    step: int
    ratio: float
    margin: float
    weights: np.ndarray
    spread: np.ndarray


class _Adaptive:
    """Triggers of the full rate from every d-th sample, d chosen for each template; None for one without power."""

    def __init__(self, segment: _Segment, threshold: float, reach: int) -> None:
        self.segment, self.threshold, self.reach = segment, threshold, reach
        self._plain = _Plain(segment, threshold, reach, segment.n)
        self._steps = [step for step in (2, 4) if segment.n % (2 * step) == 0]
        first = segment.kmin + SPAN * np.arange(segment.n_spans)
        width = np.minimum(first + SPAN, segment.kmax) - first
        lags = np.arange(max(self._steps, default=1) + 1)[:, None]
        # A span counts as flat: the mean of its phases is that of its middle, a little shorter.
        phase = 2 * np.pi / segment.n * lags * (first + 0.5 * (width - 1))
        length = np.sinc(lags * width / segment.n) / np.sinc(lags / segment.n)
        self._turn = np.stack([length * np.cos(phase), length * np.sin(phase)])
        self._guess = max(self._steps, default=1)
        self._buffers = {step: _memory.empty(segment.n // step, _complex(segment)) for step in self._steps}
        self._power = np.empty(segment.n_spans)

    def _choose(self, power: np.ndarray) -> _Step | None:
        """The cheapest step for a template with these parts of its norm; None for the full rate."""
        segment = self.segment
        best, least = None, _TRANSFORM_COST * segment.n
        for step in self._steps:
            ratio, weights, left = predictor(power, self._turn, step)
            if ratio < _LEAST_RATIO:
                continue
            spread = _FINE_GUARD * np.sqrt(left) + 1e-3
            # Noise exceeds a level in a share exp(-level^2 / 2) of the samples; a low threshold makes that too many.
            sums = sum(math.exp(-0.5 * max(self.threshold - s, 0.0) ** 2) for s in spread.tolist()) * segment.n / step
            cost = _TRANSFORM_COST * segment.n / step + _SUM_COST * sums * (segment.kmax - segment.kmin)
            if cost < least:
                best = _Step(step, ratio, _COARSE_GUARD * math.sqrt(1.0 - ratio * ratio), weights, spread)
                least = cost
        return best

    def __call__(self, template: np.ndarray) -> _Found | None:
        if self._guess == 1:
            return self._plain(template)
        buffer = self._buffers[self._guess]
        sigma = self.segment.correlate(template, buffer, self._power)
        if not 0 < sigma < np.inf:
            return None
        how = self._choose(self._power)
        if how is None:
            return self._plain(template)
        if how.step != self._guess:
            # Templates of a bank are alike: the guess is right nearly always. It decides nothing but the time.
            self._guess, buffer = how.step, self._buffers[how.step]
            self.segment.correlate(template, buffer, self._power)
        scale = 4.0 * self.segment.delta_f / sigma
        found = self._fine(template, fft.ifft(buffer, norm="forward", out=buffer), how, scale)
        if found is None:  # so loud for so long that one long transform is cheaper
            return self._plain(template)
        index, z = found
        keep = loudest(index, z, self.threshold / scale, self.reach)
        return _Found(index[keep], z[keep] * scale, sigma)

    def _fine(self, template: np.ndarray, coarse: np.ndarray, how: _Step, scale: float) -> tuple[np.ndarray, np.ndarray] | None:
        """Full-rate samples that may be triggers, ascending, and their values; None where they are too many."""
        segment = self.segment
        index, z = candidates(
            coarse,
            how.step,
            how.ratio,
            how.margin / scale,
            how.weights,
            how.spread / scale,
            self.threshold / scale,
            self.reach,
        )
        unknown = np.flatnonzero(index % how.step)
        if unknown.size:
            if _SUM_COST * unknown.size * (segment.kmax - segment.kmin) > _TRANSFORM_COST * segment.n:
                return None
            exact = np.empty(unknown.size, np.complex128)
            correlations(real(template), segment.over_whitened, segment.kmin, segment.kmax, index[unknown], segment.n, exact)
            z[unknown] = exact
        return index, z


def _complex(segment: _Segment) -> np.dtype:
    """Complex dtype of the precision of a segment."""
    return np.result_type(segment.gain.dtype, np.complex64)
