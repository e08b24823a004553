"""Training waveforms for stage 1: SEOBNRv5HM modes on a fixed knot grid, generated in parallel and resumable.

SEOBNRv5HM: Pompili et al. 2023, arXiv:2303.18039, through `pyseobnr` (a tool of data preparation, never an import of the
library). Each chunk is one file, written under a temporary name and renamed, so a killed run loses at most one chunk.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.stats import qmc

from data_prep import chunks
from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.scale import Mapper

MODES = ((2, 2), (2, 1), (3, 3), (3, 2), (4, 4), (4, 3), (5, 5))


@dataclass(frozen=True)
class EobConfig:
    """What is generated: numbers of points, ranges and duration; the same config gives the same set."""

    n: int = 16384
    chunk: int = 64
    q_max: float = 10.5
    chi_max: float = 0.93
    duration: float = 22_000.0
    ringdown: float = 130.0
    seed: int = 20150914


def knots(duration: float = 22_000.0, ringdown: float = 130.0) -> np.ndarray:
    """Non-uniform times in M from -`duration` to `ringdown`: 2 % steps in the inspiral, 1 M from -30 M to 60 M.

    The spacing keeps the error of a cubic spline through amplitude and phase below 1e-6 (5/384 h^4 |f''''|).
    """
    late = np.concatenate([np.arange(-100.0, -30.0, 2.0), np.arange(-30.0, 60.0, 1.0), np.arange(60.0, ringdown + 1, 2.0)])
    n_early = int(np.ceil(np.log(duration / 100.0) / np.log1p(0.02)))
    early = -np.geomspace(duration, 100.0, n_early + 1)[:-1]
    return np.concatenate([early, late])


def design(config: EobConfig) -> np.ndarray:
    """Scrambled Sobol points (n, 3) of (q, chi1, chi2), denser towards every face of the box."""
    u = qmc.Sobol(3, seed=config.seed).random(config.n)
    u = 0.4 * u + 0.6 * (1 - np.cos(np.pi * u)) / 2
    q = np.exp(u[:, 0] * np.log(config.q_max))
    chi = config.chi_max * (2 * u[:, 1:] - 1)
    return np.column_stack([q, chi])


def initial_frequency(q: float, chi1: float, chi2: float, duration: float) -> float:
    """Orbital frequency (rad / M) about `duration` before merger: Newtonian time plus 1PN and spin-orbit terms."""
    eta = q / (1 + q) ** 2
    m1, m2 = q / (1 + q), 1 / (1 + q)
    beta = (113 / 12 * m1**2 + 25 / 4 * eta) * chi1 + (113 / 12 * m2**2 + 25 / 4 * eta) * chi2
    omega = (5 / (256 * eta * duration)) ** (3 / 8)
    for _ in range(20):
        v2 = omega ** (2 / 3)
        time = 5 / (256 * eta) * v2**-4 * (1 + (743 / 252 + 11 / 3 * eta) * v2 - (32 / 5 * np.pi - 8 / 5 * beta) * v2**1.5)
        omega *= (max(time, 0.2 * duration) / duration) ** (3 / 8)
    return float(omega)


def one_waveform(q: float, chi1: float, chi2: float, times: np.ndarray, step: float = 0.1) -> dict[str, np.ndarray]:
    """SEOBNRv5HM modes at `times` (M; 0 at the spline-refined peak of |h22|), from samples every `step` M.

    Returns `amp22`, `phase22` (float64, (n,); h22 = amp22 exp(-i phase22), phase zero at t = 0) and `coorbital`
    (complex64, (6, n)) for the other `MODES`: h_lm = coorbital exp(-i m phase22 / 2) once the orbital phase is zero at t = 0.
    """
    from pyseobnr.generate_waveform import generate_modes_opt

    needed = -times[0] + 20.0
    omega = 0.97 * initial_frequency(q, chi1, chi2, needed)
    settings = {"return_modes": list(MODES), "M": 50.0, "dt": step * 50.0 * MTSUN_SI}
    for _ in range(6):
        t, modes = generate_modes_opt(q, chi1, chi2, omega, approximant="SEOBNRv5HM", settings=settings)
        h22 = modes["2,2"]
        k = int(np.argmax(np.abs(h22)))
        if t[k] - t[0] >= needed:
            break
        omega *= 0.98 * min(1.0, ((t[k] - t[0]) / needed) ** (3 / 8))
    else:
        raise RuntimeError(f"no start frequency gives {needed} M for q={q}, chi1={chi1}, chi2={chi2}")
    near = CubicSpline(t[k - 20 : k + 21], np.abs(h22[k - 20 : k + 21]))
    roots = near.derivative().roots(extrapolate=False)
    peak = float(roots[np.argmax(near(roots))])
    # One point in 1 M is plenty before -200 M and saves most of the time.
    first = int(np.searchsorted(t, peak + times[0])) - 20
    late = int(np.searchsorted(t, peak - 200.0))
    last = min(len(t), int(np.searchsorted(t, peak + times[-1])) + 20)
    keep = np.concatenate([np.arange(first, late, round(1 / step)), np.arange(late, last)])
    # The orbital phase starts near zero, where h22 ~ -exp(-2i phi): unwrapped from there, its branch (and with it the sign
    # of the odd-m modes) is the same for every binary.
    full = (np.pi - np.unwrap(np.angle(-h22)))[keep]
    t = t[keep] - peak
    phase = full - CubicSpline(t, full)(0.0)
    amp22 = CubicSpline(t, np.abs(h22[keep]))(times)
    phase22 = CubicSpline(t, phase)(times)
    coorbital = np.stack([CubicSpline(t, modes[f"{l},{m}"][keep] * np.exp(0.5j * m * full))(times) for l, m in MODES[1:]])
    return {"amp22": amp22, "phase22": phase22, "coorbital": coorbital.astype(np.complex64)}


def _chunk(job: tuple[int, np.ndarray, np.ndarray, Path]) -> int:
    index, parameters, times, path = job
    rows = [one_waveform(q, chi1, chi2, times) for q, chi1, chi2 in parameters]
    chunks.write(path, {"parameters": parameters} | {key: np.stack([row[key] for row in rows]) for key in rows[0]})
    return index


def generate(out: Path, config: EobConfig, workers: int = 2, mapper: Mapper | None = None) -> None:
    """Write every missing chunk of `config` to the folder `out`: `workers` processes of one thread each, or a `mapper`'s workers.

    A killed run resumes: chunks that are there are kept, and every chunk depends on the configuration alone.

    Raises
    ------
    ConfigError
        if `out` holds a set made with another config
    DataError
        if `out` holds a damaged chunk
    """
    times = knots(config.duration, config.ringdown)
    chunks.prepare(out, asdict(config), {"times": times})
    chunks.complete(out, _chunk, design(config), config.chunk, times, workers, mapper)
