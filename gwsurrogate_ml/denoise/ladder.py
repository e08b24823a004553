"""The ladder of checks of a witness cleaner on a mock: ASD ratios, range, SNR of injections, nulls, self-subtraction.

Everything is measured on seeds that nothing was fitted to, beside the oracle (the best estimate on the same data).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gwsurrogate_ml.denoise.metrics import asd_ratio, binary_power, inspiral_range, matched_filter_snr, snr_gain
from gwsurrogate_ml.denoise.mock import Mock, MockData
from gwsurrogate_ml.kernels.psd import welch

Cleaner = Callable[[Any, Any], np.ndarray]
"""(strain, witnesses) -> cleaned values (n,)."""

BANDS = ((10.0, 20.0), (20.0, 50.0), (50.0, 75.0), (75.0, 150.0), (150.0, 300.0))
MARGIN = 8.0
"""Seconds at both ends that do not count: filters start there."""
MASSES = (30.0, 30.0)


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
    by band, `range` in Mpc; each a mean over the seeds
    """
    rows: dict[str, list[dict[str, Any]]] = {}
    for seed in seeds:
        data = mock.draw(duration, seed)
        series = {"raw": data.strain.value, "oracle": data.strain.value - data.best}
        series |= {name: clean(data.strain, data.witnesses) for name, clean in cleaners.items()}
        spectra = {name: _psd(values, mock.sampling_frequency) for name, values in series.items()}
        f = _frequencies(mock.sampling_frequency)
        for name, psd in spectra.items():
            rows.setdefault(name, []).append(_figures(mock, f, spectra["raw"], psd, spectra["oracle"]))
    result: dict[str, Any] = {"limit": mock.limit(MASSES), "causal_limit": mock.limit(MASSES, causal=True)}
    return result | {"cleaners": {name: _mean(entries) for name, entries in rows.items()}}


def _frequencies(rate: float) -> np.ndarray:
    return np.arange(round(2.0 * rate) + 1) * 0.25


def _psd(values: np.ndarray, rate: float) -> np.ndarray:
    cut = round(MARGIN * rate)
    return welch(values[cut:-cut], rate, 4.0, average="mean")[1]


def _figures(mock: Mock, f: np.ndarray, raw: np.ndarray, psd: np.ndarray, oracle: np.ndarray) -> dict[str, Any]:
    power = binary_power(f, *MASSES)
    bands = [band for band in BANDS if band[1] < f[-1]]
    figures: dict[str, Any] = {
        "snr_gain": snr_gain(f, raw, psd, power),
        "range_mpc": inspiral_range(f, psd),
        "asd_ratio": {f"{low:g}-{high:g} Hz": asd_ratio(f, raw, psd, (low, high)) for low, high in bands},
    }
    if mock.couplings:
        best = snr_gain(f, raw, oracle, power)
        figures["score"] = mock.score(f, psd, reference_psd=raw)
        figures["score_of_oracle"] = float(np.log(figures["snr_gain"]) / np.log(best))
        figures["score_by_band"] = {
            f"{low:g}-{high:g} Hz": float(
                np.log(snr_gain(f, raw, psd, power, (low, high))) / np.log(snr_gain(f, raw, oracle, power, (low, high)))
            )
            for low, high in bands
            if snr_gain(f, raw, oracle, power, (low, high)) > 1.005
        }
    return figures


def _mean(entries: Sequence[Any]) -> Any:
    if isinstance(entries[0], dict):
        return {key: _mean([entry[key] for entry in entries]) for key in entries[0]}
    return float(np.mean(entries))


def injections(
    data: MockData, clean: Cleaner, template: np.ndarray, n: int, sampling_frequency: float
) -> dict[str, float]:
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
    margin, size = round(MARGIN * sampling_frequency), template.size
    starts = np.linspace(margin, quiet.size - margin - size, n).astype(int)
    loud = data.strain.copy()
    for first in starts:
        loud.value[first : first + size] += template
    clean_quiet, clean_loud = clean(data.strain, data.witnesses), clean(loud, data.witnesses)
    grid = np.arange(size // 2 + 1) * sampling_frequency / size
    psds = [
        np.interp(grid, _frequencies(sampling_frequency), _psd(x, sampling_frequency)) for x in (quiet, clean_quiet)
    ]

    def snr(series: np.ndarray, psd: np.ndarray) -> np.ndarray:
        return np.array(
            [matched_filter_snr(series[a : a + size], template, psd, sampling_frequency).real for a in starts]
        )

    before, after = snr(np.asarray(loud.value), psds[0]), snr(clean_loud, psds[1])
    own = matched_filter_snr(template, template, psds[1], sampling_frequency).real
    share = snr(clean_loud - clean_quiet, psds[1])
    return {
        "n": n,
        "snr_before": float(before.mean()),
        "snr_after": float(after.mean()),
        "snr_gain": float(after.mean() / before.mean()),
        "self_subtraction": float(np.mean(np.abs(1.0 - share / own))),
    }
