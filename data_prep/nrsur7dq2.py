"""Training set of precessing binaries: rates of NRSur7dq2's dynamics and modes of its co-orbital frame, with the spins then.

NRSur7dq2: Blackman et al. 2017, arXiv:1705.07089, through the package of that name (a tool of data preparation). The
co-precessing frame is of minimal rotation, the co-orbital frame is turned from it by the orbital phase about z. At every node
of the model's own grid of times, for the spins that each binary has there, the set holds what its dynamics gives: the orbital
frequency, the angular velocity of the co-precessing frame and the rates of the spins, all by their components in the
co-orbital frame.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.stats import qmc

from data_prep import chunks
from gwsurrogate_ml.errors import ConfigError
from gwsurrogate_ml.scale import Mapper

FINE = -60.0
"""M: from here on the modes are kept between the nodes too."""


@dataclass(frozen=True)
class PrecessingSet:
    """What is generated; the same config gives the same set."""

    n: int = 4096
    chunk: int = 64
    q_max: float = 2.0
    chi_max: float = 0.8
    seed: int = 20170519


def design(config: PrecessingSet) -> np.ndarray:
    """Scrambled Sobol points (n, 7): q uniform, spins (at the first time, x from the lighter to the heavier body) of uniform
    magnitude and isotropic."""
    u = qmc.Sobol(7, seed=config.seed).random(config.n)
    return np.column_stack([1 + (config.q_max - 1) * u[:, 0], isotropic(u[:, 1:], config.chi_max)])


def isotropic(u: np.ndarray, chi_max: float) -> np.ndarray:
    """Both spins (n, 6) of uniform magnitude up to `chi_max` and isotropic directions, from points (n, 6) of the unit cube."""
    spins = []
    for magnitude, cosine, azimuth in (u[:, :3].T, u[:, 3:].T):
        z, phi = 2 * cosine - 1, 2 * np.pi * azimuth
        flat = np.sqrt(1 - z**2)
        spins.append((chi_max * magnitude)[:, None] * np.stack([flat * np.cos(phi), flat * np.sin(phi), z], axis=1))
    return np.concatenate(spins, axis=1)


@cache
def model() -> Any:
    """NRSur7dq2, loaded once.

    Raises
    ------
    ConfigError
        if it is not installed
    """
    try:
        from NRSur7dq2 import NRSurrogate7dq2
    except ImportError as error:
        raise ConfigError("NRSur7dq2 is not installed here: run this in the environment that `make nr` sets up") from error
    return NRSurrogate7dq2()


def nodes() -> np.ndarray:
    """Times in M (235,) of the dynamics."""
    return np.array(model().tds)


def mode_times() -> np.ndarray:
    """Times in M of the modes: the nodes, and the middles between them from `FINE` on."""
    at = nodes()
    middles = 0.5 * (at[1:] + at[:-1])
    return np.sort(np.concatenate([at, middles[middles > FINE]]))


def turned(spin: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Co-orbital components (n, 3) of vectors given in the co-precessing frame."""
    c, s = np.cos(phase), np.sin(phase)
    x, y, z = spin.T
    return np.stack([x * c + y * s, y * c - x * s, z], axis=1)


def one_binary(q: float, chi_1: np.ndarray, chi_2: np.ndarray, times: np.ndarray) -> dict[str, np.ndarray]:
    """What NRSur7dq2 gives for spins at its first time.

    Returns
    -------
    dict of arrays
        spins (235, 6): of both bodies, co-orbital; rates (235, 9): orbital frequency, x and y of the frame's angular velocity,
        rates of the spins in the co-precessing frame, all by co-orbital components; phase (235,), orbital; frame (235, 4):
        quaternion from the co-precessing to the inertial frame, scalar first; modes (21, n) complex64: co-orbital,
        (2, -2) ... (4, 4), at `times`
    """
    truth = model()
    quaternion, phase, spin_1, spin_2 = truth.get_dynamics(q, chi_1, chi_2)
    spins = np.concatenate([turned(spin_1, phase), turned(spin_2, phase)], axis=1)
    rates = np.empty((len(phase), 9))
    for k, row in enumerate(spins):
        state = np.concatenate([[1.0, 0.0, 0.0, 0.0, 0.0], row])
        rate = truth.dynamics_sur.get_time_deriv_from_index(2 * k if k < 3 else k + 3, q, state)
        # dq/dt = q (0, w) / 2 at q = 1
        rates[k] = np.concatenate([rate[4:5], 2 * rate[1:3], rate[5:]])
    dense = truth.t_coorb
    at = CubicSpline(truth.tds, np.column_stack([phase, spin_1, spin_2]))(dense)
    for part, chi in ((slice(1, 4), chi_1), (slice(4, 7), chi_2)):
        length = np.linalg.norm(at[:, part], axis=1)
        at[:, part] *= (np.linalg.norm(chi) / np.where(length > 0, length, 1.0))[:, None]
    coorbital = truth.get_coorb_waveform(q, turned(at[:, 1:4], at[:, 0]), turned(at[:, 4:], at[:, 0]))
    modes = CubicSpline(dense, coorbital, axis=1)(times)
    return {"spins": spins, "rates": rates, "phase": phase, "frame": quaternion.T, "modes": modes.astype(np.complex64)}


def _chunk(job: tuple[int, np.ndarray, np.ndarray, Path]) -> int:
    index, parameters, times, path = job
    rows = [one_binary(row[0], row[1:4], row[4:], times) for row in parameters]
    chunks.write(path, {"parameters": parameters} | {key: np.stack([row[key] for row in rows]) for key in rows[0]})
    return index


def generate(out: Path, config: PrecessingSet, workers: int = 2, mapper: Mapper | None = None) -> None:
    """Write every missing chunk of `config` to the folder `out`; see `chunks.prepare` and `chunks.complete`."""
    times = mode_times()
    chunks.prepare(out, asdict(config), {"times": times, "nodes": nodes()})
    chunks.complete(out, _chunk, design(config), config.chunk, times, workers, mapper)
