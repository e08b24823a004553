"""Training waveforms of the early inspiral: SEOBNRv5HM before the set `eob` begins, made in parallel and resumable.

The set has the form of that of `data_prep.eob`, on other times. A waveform of 320,000 M has millions of samples, its smooth parts a
few thousand points: the modes are taken from pyseobnr where it has them at the times of its own integration, before it samples
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from data_prep import chunks, eob
from data_prep.eob import MODES, EobConfig, initial_frequency

PADS = 8
"""Times of the surrogate's own knots after the first of them: splines know from these how the early part goes on."""
STEP = 0.03
"""Relative step of the times: a cubic spline through the phase is then good to 1e-4 rad."""


@dataclass(frozen=True)
class InspiralConfig:
    """What is generated; the same config gives the same set. `join` is the `duration` of the surrogate's own set."""

    n: int = 1024
    chunk: int = 64
    q_max: float = 10.5
    chi_max: float = 0.93
    duration: float = 320_000.0
    join: float = 22_000.0
    seed: int = 20170817


def times(config: InspiralConfig) -> np.ndarray:
    """Times in M from -`duration` to the first of `eob.knots`, and `PADS` more of these."""
    n = int(np.ceil(np.log(config.duration / config.join) / np.log1p(STEP)))
    early = -np.geomspace(config.duration, config.join, n + 1)[:-1]
    return np.concatenate([early, eob.knots(config.join)[: PADS + 1]])


class _Found(Exception):
    """The modes where pyseobnr integrated: raised to leave it before it samples them."""


@contextmanager
def _unsampled() -> Iterator[None]:
    from pyseobnr.models import SEOBNRv5HM

    def leave(t: np.ndarray, _: np.ndarray, modes: dict[Any, np.ndarray], phase: np.ndarray, **__: Any) -> None:
        raise _Found(t, modes, phase)

    own, SEOBNRv5HM.interpolate_modes_fast = SEOBNRv5HM.interpolate_modes_fast, leave
    SEOBNRv5HM.logger.disabled = True
    try:
        yield
    finally:
        SEOBNRv5HM.interpolate_modes_fast = own
        SEOBNRv5HM.logger.disabled = False


def integrated(q: float, chi1: float, chi2: float, omega: float) -> tuple[np.ndarray, np.ndarray, dict[Any, np.ndarray]]:
    """Times in M (0 at the peak of |h22|), orbital phase and modes of SEOBNRv5HM from an orbital frequency (rad / M) on."""
    from pyseobnr.generate_waveform import Ham_aligned_opt, SEOBNRv5HM, SEOBNRv5RRForce

    settings = {"return_modes": list(MODES)}
    model = SEOBNRv5HM.SEOBNRv5HM_opt(q, chi1, chi2, omega, Ham_aligned_opt, SEOBNRv5RRForce(), settings)
    try:
        with _unsampled():
            model()
    except _Found as found:
        t, modes, phase = found.args
        # The merger is attached at the peak of |h22|, by construction of the model.
        return t - model.t_attach, phase, modes
    raise RuntimeError("pyseobnr did not interpolate its modes: another version than 0.3")


def one_waveform(q: float, chi1: float, chi2: float, at: np.ndarray) -> dict[str, np.ndarray]:
    """As `eob.one_waveform`, at the `times`; `phase22` is zero at the last of them."""
    needed = -at[0] + 100.0
    omega = 0.98 * initial_frequency(q, chi1, chi2, needed)
    for _ in range(8):
        t, orbital, modes = integrated(q, chi1, chi2, omega)
        if -t[0] >= needed:
            break
        omega *= 0.99 * min(1.0, (-t[0] / needed) ** (3 / 8))
    else:
        raise RuntimeError(f"no start frequency gives {needed} M for q={q}, chi1={chi1}, chi2={chi2}")
    keep = t < at[-1] + 5000.0
    t, orbital = t[keep], orbital[keep]
    h22 = modes[2, 2][keep]
    # h22 is nearly -exp(-2i phi): without that turn all modes are slow, and the branch of the phase is the same for every binary.
    phase = 2.0 * orbital + np.pi - np.angle(-h22 * np.exp(2j * orbital))
    phase22 = CubicSpline(t, phase)(at)
    coorbital = np.stack([CubicSpline(t, modes[l, m][keep] * np.exp(0.5j * m * phase))(at) for l, m in MODES[1:]])
    return {
        "amp22": CubicSpline(t, np.abs(h22))(at),
        "phase22": phase22 - phase22[-1],
        "coorbital": coorbital.astype(np.complex64),
    }


def _chunk(job: tuple[int, np.ndarray, np.ndarray, Path]) -> int:
    index, parameters, at, path = job
    rows = [one_waveform(q, chi1, chi2, at) for q, chi1, chi2 in parameters]
    chunks.write(path, {"parameters": parameters} | {key: np.stack([row[key] for row in rows]) for key in rows[0]})
    return index


def generate(out: Path, config: InspiralConfig, workers: int = 2) -> None:
    """Write every missing chunk of `config` to the folder `out`; raises as `eob.generate`, resumes as it does."""
    at = times(config)
    points = eob.design(EobConfig(n=config.n, q_max=config.q_max, chi_max=config.chi_max, seed=config.seed))
    chunks.prepare(out, asdict(config), {"times": at})
    chunks.complete(out, _chunk, points, config.chunk, at, workers)
