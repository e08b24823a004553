"""Parameters of injections estimated from raw and from witness-cleaned strain: the last step of the cleaner's ladder.

The cleaned data hold all that the raw ones do about the signal, and more: the posterior must narrow, still cover the truth,
and move by no more than sqrt(sigma_raw^2 - sigma_cleaned^2), the spread of the difference between an estimate and a more
efficient one (Hausman 1978, Econometrica 46, 1251).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gwsurrogate_ml.binaries import Binaries
from gwsurrogate_ml.denoise.witness.bench.mock import START, preset
from gwsurrogate_ml.denoise.witness.cleaner import WitnessCleaner
from gwsurrogate_ml.inference.sampling.rounds import SamplingOptions
from gwsurrogate_ml.waveform.model import Grid

if TYPE_CHECKING:
    from gwsurrogate_ml.inference.analysis.estimator import Estimator

RATE = 4096.0
SPAN, EVENT = 128.0, 100.0
"""Length of the data of each injection (most of it measures the noise), and where in it the merger is, s."""
JUDGED = ("chirp_mass", "mass_ratio", "chi_eff", "luminosity_distance")
_COLUMNS = ("mass_1", "mass_2", "chi_1", "chi_2", "luminosity_distance", "theta_jn", "ra", "dec")
BINARIES: tuple[dict[str, float], ...] = tuple(
    dict(zip(_COLUMNS, values, strict=True))
    for values in (
        (38.0, 30.0, 0.1, -0.1, 700.0, 0.4, 1.4, -1.2),
        (45.0, 28.0, 0.4, 0.2, 900.0, 2.6, 3.9, 0.4),
        (32.0, 31.0, -0.3, 0.1, 650.0, 0.7, 5.2, 0.9),
        (52.0, 39.0, 0.2, -0.3, 1200.0, 0.3, 0.6, -0.5),
    )
)
"""Injections within the shipped estimator's range; phase 1, psi 0.3."""
TRAINING, DRAWS = 512.0, 4_000
"""Seconds of data that a cleaner is fitted to, and weighted draws of each posterior."""


def injection_template(sampling_frequency: float) -> np.ndarray:
    """h_plus of 30 + 30 Msun at 400 Mpc, face on, from the shipped surrogate: (4 s,), its peak after 3.5 s."""
    from gwsurrogate_ml.surrogate.load import load_surrogate

    equal = Binaries.aligned(30.0, 30.0, 0.0, 0.0)
    h = load_surrogate("nr22").quadrupole(equal, Grid(4.0, sampling_frequency, 20.0))[0]
    series = np.fft.irfft(h) * sampling_frequency / 400.0  # the model is at 1 Mpc
    return np.asarray(np.roll(series, round(3.5 * sampling_frequency)))


def shift_in_sigma(raw: np.ndarray, cleaned: np.ndarray) -> float:
    """Shift of the mean between two sets of draws, in units of sqrt(sigma_raw^2 - sigma_cleaned^2).

    The difference of variances is taken as at least a tenth of the raw one: it is itself uncertain.

    Parameters
    ----------
    raw, cleaned : (n,) draws of a parameter

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> round(shift_in_sigma(rng.normal(0, 2, 100_000), rng.normal(1.7, 1, 100_000)), 1)
    1.0
    """
    difference = max(float(raw.var() - cleaned.var()), 0.1 * float(raw.var()))
    return float((cleaned.mean() - raw.mean()) / np.sqrt(difference))


def parameters_before_and_after(
    estimator: Estimator,
    *,
    mock: str = "o3_like",
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Posteriors of the injections `BINARIES` in H1 and L1 of a mock, from raw and from cleaned strain.

    Each detector has its own cleaner, fitted to `TRAINING` seconds; every injection has noise of its own.

    Parameters
    ----------
    estimator : Estimator
        for H1 and L1
    mock : str
        name of a preset with couplings
    seed : int
        of the noise; fits and injections use seeds apart from those of the other checks
    progress : callable(stage, done, total), optional

    Returns
    -------
    dict: `injections`, for each `injected`, `raw` and `cleaned` (5 %, 50 % and 95 % by parameter, sample efficiency,
    log Bayes factor, optimal SNR), `shift` (`shift_in_sigma`) and `narrower` (sigma cleaned / raw) by parameter; and over
    all: `rms_shift` (1 is expected), `mean_narrower`, `inside_90_raw` and `inside_90_cleaned` (fractions, 0.9 is expected)
    """
    report = progress or (lambda *_: None)
    source = preset(mock, sampling_frequency=RATE)
    cleaners = []
    for i in range(2):
        data = source.draw(TRAINING, 2001 + i + 1000 * seed)
        cleaners.append(WitnessCleaner.fit(data.strain, data.witnesses))
    rows = []
    for k, binary in enumerate(BINARIES):
        report("parameters before and after", k, len(BINARIES))
        rows.append(_one(estimator, source, cleaners, binary, 3001 + 2 * k + 1000 * seed))
    report("parameters before and after", len(BINARIES), len(BINARIES))
    shifts = np.array([[row["shift"][key] for key in JUDGED] for row in rows])
    inside = {name: float(np.mean([row["inside_90"][name][key] for row in rows for key in JUDGED])) for name in ("raw", "cleaned")}
    return {
        "mock": mock,
        "training_s": TRAINING,
        "draws": DRAWS,
        "injections": rows,
        "rms_shift": float(np.sqrt(np.mean(shifts**2))),
        "largest_shift": float(np.abs(shifts).max()),
        "mean_narrower": {key: float(np.mean([row["narrower"][key] for row in rows])) for key in JUDGED},
        "inside_90_raw": inside["raw"],
        "inside_90_cleaned": inside["cleaned"],
    }


def _one(
    estimator: Estimator, source: Any, cleaners: Sequence[WitnessCleaner], binary: dict[str, float], seed: int
) -> dict[str, Any]:
    from gwsurrogate_ml.conventions import chirp_mass_from_components, effective_spin
    from gwsurrogate_ml.strain.data import StrainData
    from gwsurrogate_ml.strain.simulate import simulate
    from gwsurrogate_ml.surrogate.load import load_surrogate

    gps = START + EVENT
    truth = {"phase": 1.0, "psi": 0.3, "geocent_time": gps} | binary
    silent = simulate(truth, load_surrogate("nr22"), duration=32.0, sampling_frequency=RATE, gps=gps, zero_noise=True, f_min=20.0)
    series: dict[str, dict[str, Any]] = {"raw": {}, "cleaned": {}}
    for i, (detector, signal) in enumerate(silent.series.items()):
        data = source.draw(SPAN, seed + i)
        strain = data.strain.copy()
        first = round((signal.t0.value - strain.t0.value) * RATE)
        strain.value[first : first + len(signal)] += signal.value
        series["raw"][detector] = strain
        series["cleaned"][detector] = cleaners[i](strain, data.witnesses)
    m_1, m_2 = truth["mass_1"], truth["mass_2"]
    truth |= {
        "chirp_mass": float(chirp_mass_from_components(m_1, m_2)),
        "mass_ratio": m_2 / m_1,
        "chi_eff": float(effective_spin(m_1 / m_2, truth["chi_1"], truth["chi_2"])),
    }
    draws: dict[str, dict[str, np.ndarray]] = {}
    inside: dict[str, dict[str, bool]] = {}
    row: dict[str, Any] = {"injected": truth, "inside_90": inside}
    # The time is known, and both are to be cut alike.
    options = SamplingOptions(centre_time=False)
    for name, by_detector in series.items():
        result = estimator.sample(StrainData.from_series(by_detector, gps=gps), n=DRAWS, seed=seed, options=options)
        draws[name] = {key: result.posterior[key].to_numpy() for key in JUDGED}
        row[name] = {
            "sample_efficiency": float(result.sample_efficiency),
            "log_bayes_factor": float(result.log_bayes_factor),
        }
        inside[name] = {}
        for key, values in draws[name].items():
            low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
            row[name][key] = {"lower_90": float(low), "median": float(middle), "upper_90": float(high)}
            inside[name][key] = bool(low <= truth[key] <= high)
    row["shift"] = {key: shift_in_sigma(draws["raw"][key], draws["cleaned"][key]) for key in JUDGED}
    row["narrower"] = {key: float(draws["cleaned"][key].std() / draws["raw"][key].std()) for key in JUDGED}
    return row
