"""NRSur7dq2's limit of spins along the orbit: (2,2) and higher modes in its co-orbital frame, in the package's convention.

NRSur7dq2's own fits do not know that aligned spins stay aligned, nor that modes mirror at the orbital plane: integrated, its
spins lean by up to 0.03, and h_{l,-m} is not (-1)^l conj(h_lm) to rounding. Here the spins are held along the orbit, the orbital
frequency is integrated with them, and the mirrored part of the co-orbital modes is kept.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.stats import qmc

from data_prep import chunks
from data_prep.nrsur7dq2 import model
from gwsurrogate_ml.conventions import ModeKey
from gwsurrogate_ml.scale import Mapper

MODES: tuple[ModeKey, ...] = ((2, 1), (3, 3), (3, 2), (4, 4), (4, 3))
"""Order of the modes in `coorbital`."""


@dataclass(frozen=True)
class AlignedSet:
    """What is generated; the same config gives the same set."""

    n: int = 1024
    chunk: int = 128
    q_max: float = 2.0
    chi_max: float = 0.8
    seed: int = 20170520


def design(config: AlignedSet) -> np.ndarray:
    """Scrambled Sobol points (n, 3): q, chi1, chi2, each uniform."""
    u = qmc.Sobol(3, seed=config.seed).random(config.n)
    return np.column_stack([1 + (config.q_max - 1) * u[:, 0], config.chi_max * (2 * u[:, 1:] - 1)])


def place(l: int, m: int) -> int:
    """Row of (l, m) among NRSur7dq2's modes, (2, -2), (2, -1), ..., (4, 4)."""
    return l * l - 4 + l + m


def mirrored(modes: np.ndarray, l: int, m: int) -> np.ndarray:
    """(l, m) (n_t,) without what breaks h_{l,-m} = (-1)^l conj(h_lm), from co-orbital modes (21, n_t)."""
    return 0.5 * (modes[place(l, m)] + (-1) ** l * np.conj(modes[place(l, -m)]))


def one_binary(q: float, chi1: float, chi2: float) -> dict[str, np.ndarray]:
    """What NRSur7dq2 gives for spins held along the orbit.

    Returns
    -------
    dict of arrays
        amp22 and phase22 (2000,): h22 = amp22 exp(-i phase22), phase22 0 at t = 0; coorbital (5, 2000) complex64:
        h_lm exp(i m phase22 / 2) for `MODES`, in LAL's frame and sign, which are NRSur7dq2's own; at NRSur7dq2's times
    """
    truth = model()
    t, state = truth.t_coorb, np.array([1.0, 0, 0, 0, 0, 0, 0, chi1, 0, 0, chi2])
    # The first three steps are of fourth-order Runge-Kutta, and have middles.
    rows = [2 * k if k < 3 else k + 3 for k in range(len(truth.tds))]
    omega = [float(truth.dynamics_sur.get_omega(row, q, state)) for row in rows]
    orbital = CubicSpline(truth.tds, omega).antiderivative()(t)
    spins = [np.outer(np.ones(len(t)), [0.0, 0.0, chi]) for chi in (chi1, chi2)]
    found = truth.get_coorb_waveform(q, *spins)
    leading = mirrored(found, 2, 2)
    ahead = np.angle(leading)
    phase = 2 * orbital - ahead
    coorbital = [mirrored(found, l, m) * np.exp(-0.5j * m * ahead) for l, m in MODES]
    return {
        "amp22": np.abs(leading),
        "phase22": phase - CubicSpline(t, phase)(0.0),
        "coorbital": np.array(coorbital).astype(np.complex64),
    }


def _chunk(job: tuple[int, np.ndarray, np.ndarray, Path]) -> int:
    index, parameters, _, path = job
    rows = [one_binary(*row) for row in parameters]
    chunks.write(path, {"parameters": parameters} | {key: np.stack([row[key] for row in rows]) for key in rows[0]})
    return index


def generate(out: Path, config: AlignedSet, workers: int = 2, mapper: Mapper | None = None) -> None:
    """Write every missing chunk of `config` to the folder `out`; see `chunks.prepare` and `chunks.complete`."""
    times = np.array(model().t_coorb)
    chunks.prepare(out, asdict(config), {"times": times})
    chunks.complete(out, _chunk, design(config), config.chunk, times, workers, mapper)
