"""The ladder of checks of a witness cleaner on a mock: ASD ratios, range, SNR of injections, nulls, self-subtraction.

Everything is measured on seeds that nothing was fitted to, beside the oracle (the best estimate on the same data).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.denoise.witness.bench.metrics import (
    asd_ratio,
    binary_power,
    inspiral_range,
    matched_filter_snr,
    snr_gain,
)
from gwsurrogate_ml.denoise.witness.bench.mock import Mock, MockData
from gwsurrogate_ml.errors import DataError
from gwsurrogate_ml.kernels.psd import welch

if TYPE_CHECKING:
    from gwpy.timeseries import TimeSeries

Cleaner = Callable[[Any, Any], np.ndarray]
"""(strain, witnesses) -> cleaned values (n,)."""

BANDS = ((10.0, 20.0), (20.0, 50.0), (50.0, 75.0), (75.0, 150.0), (150.0, 300.0))
MARGIN = 8.0
"""Seconds at both ends that do not count: filters start there."""
MASSES = (30.0, 30.0)
RESOLUTION = 0.25
"""Of the spectra in which all is measured, Hz."""
EDGES = (50.0, 75.0)
"""Where the default bands of the cleaner join, Hz."""


def climb(mock: Mock, cleaners: Mapping[str, Cleaner], seeds: Sequence[int], duration: float = 512.0) -> dict[str, Any]:
    """Figures of merit of cleaners on held-out realisations of a mock.

    Parameters
    ----------
    mock : Mock
    cleaners : mapping from name to callable(strain, witnesses) -> (n,)
    seeds : of the realisations, none used in fitting
    duration : float, s, of each

    Returns
    -------
    dict: `limit` and `causal_limit` (analytic gain in SNR), and for every cleaner and the oracle `snr_gain` (30 + 30 Msun),
    `score` (fraction of the analytic log-gain), `score_of_oracle` (of the oracle's on the same data), `asd_ratio` and `score`
    by band, `range` in Mpc, `edges` (see `edge_steps`); each a mean over the seeds, and in `worst_of_seeds` the lowest SNR
    gain and scores of any seed
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for seed in seeds:
        data = mock.draw(duration, seed)
        series = {"raw": data.strain.value, "oracle": data.strain.value - data.best}
        series |= {name: clean(data.strain, data.witnesses) for name, clean in cleaners.items()}
        spectra = {name: spectrum(values, mock.sampling_frequency)[1] for name, values in series.items()}
        f = np.arange(spectra["raw"].size) * RESOLUTION
        for name, psd in spectra.items():
            rows.setdefault(name, []).append(_judged(mock, f, spectra["raw"], psd, spectra["oracle"]))
    result: dict[str, Any] = {"limit": mock.limit(MASSES), "causal_limit": mock.limit(MASSES, causal=True)}
    return result | {"cleaners": {name: _mean(entries) | _worst(entries) for name, entries in rows.items()}}


def spectrum(values: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (Hz) and one-sided PSD (1/Hz) of a series without its margins, by 4 s segments."""
    cut = round(MARGIN * rate)
    return welch(values[cut:-cut], rate, 1.0 / RESOLUTION, average="mean")


def spectrum_of_gappy(values: np.ndarray, usable: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """As `spectrum`, over the stretches without a gap alone; each counts by its length.

    Parameters
    ----------
    values : (n,) float64
    usable : (n,) bool
    rate : float, Hz

    Raises
    ------
    DataError
        if no stretch is as long as one segment
    """
    size = round(rate / RESOLUTION)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], usable.astype(np.int8), [0]])))
    runs = [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= size]
    if not runs:
        raise DataError(f"no stretch of {1 / RESOLUTION:g} s is without a gap: no spectrum can be measured")
    parts = [welch(values[a:b], rate, 1.0 / RESOLUTION, average="mean") for a, b in runs]
    return parts[0][0], np.average([psd for _, psd in parts], axis=0, weights=[b - a for a, b in runs])


def edge_steps(frequencies: np.ndarray, psd: np.ndarray, best: np.ndarray, edges: Sequence[float]) -> dict[str, float]:
    """Power after cleaning over that after the best cleaning, within 1 Hz of each edge over that 2 to 6 Hz away.

    1 where two bands join without a step; the sampling error is some per cent.
    """
    away = {edge: np.abs(frequencies - edge) for edge in edges}
    return {
        f"{edge:g} Hz": float(np.mean((psd / best)[distance <= 1.0]) / np.mean((psd / best)[(distance >= 2.0) & (distance <= 6.0)]))
        for edge, distance in away.items()
    }


def figures(frequencies: np.ndarray, raw: np.ndarray, psd: np.ndarray) -> dict[str, Any]:
    """Gain in optimal SNR, range and ASD ratio by band of a spectrum (n_f,) after cleaning beside that before, 1/Hz."""
    bands = [band for band in BANDS if band[1] < frequencies[-1]]
    return {
        "snr_gain": snr_gain(frequencies, raw, psd, binary_power(frequencies, *MASSES)),
        "range_mpc": inspiral_range(frequencies, psd),
        "asd_ratio": {f"{low:g}-{high:g} Hz": asd_ratio(frequencies, raw, psd, (low, high)) for low, high in bands},
    }


def _judged(mock: Mock, f: np.ndarray, raw: np.ndarray, psd: np.ndarray, oracle: np.ndarray) -> dict[str, Any]:
    result, power = figures(f, raw, psd), binary_power(f, *MASSES)
    bands = [band for band in BANDS if band[1] < f[-1]]
    if mock.couplings:
        best = snr_gain(f, raw, oracle, power)
        result["score"] = mock.score(f, psd, reference_psd=raw)
        result["score_of_oracle"] = float(np.log(result["snr_gain"]) / np.log(best))
        result["edges"] = edge_steps(f, psd, oracle, EDGES)
        result["score_by_band"] = {
            f"{low:g}-{high:g} Hz": float(
                np.log(snr_gain(f, raw, psd, power, (low, high))) / np.log(snr_gain(f, raw, oracle, power, (low, high)))
            )
            for low, high in bands
            if snr_gain(f, raw, oracle, power, (low, high)) > 1.005
        }
    return result


def _mean(entries: Sequence[Any]) -> Any:
    if isinstance(entries[0], dict):
        return {key: _mean([entry[key] for entry in entries]) for key in entries[0]}
    return float(np.mean(entries))


def _worst(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    keys = [key for key in ("snr_gain", "score", "score_of_oracle") if key in entries[0]]
    return {"worst_of_seeds": {key: float(min(entry[key] for entry in entries)) for key in keys}}


def injected(strain: TimeSeries, template: np.ndarray, n: int) -> tuple[TimeSeries, np.ndarray]:
    """Strain with `n` copies of a template (n_t,) evenly spread over it, and their first samples (n,)."""
    loud, margin = strain.copy(), round(MARGIN * strain.sample_rate.value)
    starts = np.linspace(margin, len(strain) - margin - template.size, n).astype(int)
    for first in starts:
        loud.value[first : first + template.size] += template
    return loud, starts


def _filtered(series: np.ndarray, noise: np.ndarray, template: np.ndarray, starts: np.ndarray, rate: float) -> np.ndarray:
    """Matched-filter SNR (n,) at each start, weighted with the PSD of `noise`."""
    size = template.size
    psd = np.interp(np.arange(size // 2 + 1) * rate / size, *spectrum(noise, rate))
    return np.array([matched_filter_snr(series[a : a + size], template, psd, rate).real for a in starts])


def share_of_signal(
    share: np.ndarray, noise: np.ndarray, template: np.ndarray, starts: np.ndarray, rate: float
) -> tuple[np.ndarray, float]:
    """Fraction of each signal's SNR that its share of a cleaned series lacks (n,), and the whole signal's SNR.

    Parameters
    ----------
    share : (n_s,) cleaned strain with signals less that without
    noise : (n_s,) cleaned strain without signals: its PSD weights the SNR
    template : (n_t,)
    starts : (n,) first samples of the signals
    rate : float, Hz
    """
    own = _filtered(template, noise, template, np.zeros(1, int), rate)[0]
    return np.asarray(1.0 - _filtered(share, noise, template, starts, rate) / own), float(own)


def injections(data: MockData, clean: Cleaner, template: np.ndarray, n: int, sampling_frequency: float) -> dict[str, float]:
    """Matched-filter SNR of injections before and after, and what the cleaning took from the signal itself.

    Parameters
    ----------
    data : MockData that the cleaner was not fitted to
    clean : callable(strain, witnesses) -> (n,)
    template : (n_t,) strain of the signal
    n : int
        injections, evenly spread over the data
    sampling_frequency : float, Hz

    Returns
    -------
    dict: mean `snr_before` and `snr_after` (real part of the filter with the true template, in the measured PSD of raw and
    of cleaned strain), their ratio `snr_gain`, and `self_subtraction`, the mean of |1 - SNR of the signal's share of the
    cleaned strain / SNR of the signal|
    """
    quiet = np.asarray(data.strain.value, np.float64)
    loud, starts = injected(data.strain, template, n)
    clean_quiet, clean_loud = clean(data.strain, data.witnesses), clean(loud, data.witnesses)
    before = _filtered(np.asarray(loud.value), quiet, template, starts, sampling_frequency)
    after = _filtered(clean_loud, clean_quiet, template, starts, sampling_frequency)
    lost, _ = share_of_signal(clean_loud - clean_quiet, clean_quiet, template, starts, sampling_frequency)
    return {
        "n": n,
        "snr_before": float(before.mean()),
        "snr_after": float(after.mean()),
        "snr_gain": float(after.mean() / before.mean()),
        "self_subtraction": float(np.mean(np.abs(lost))),
    }
