"""Training set of precessing binaries where no simulations are: of SEOBNRv5PHM what `data_prep.nrsur7dq2` takes from NRSur7dq2.

SEOBNRv5PHM: Ramos-Buades et al. 2023, arXiv:2303.18046, with the antisymmetric modes of Estelles et al. 2025, arXiv:2506.19911,
through `pyseobnr`. Its co-precessing frame is of minimal rotation about the Newtonian orbital angular momentum; the orbital phase
is a quarter of the phase difference of its co-precessing (2,-2) and (2,2), as in NRSur7dq2. After the end of its dynamics the spins
are carried with the frame, which precesses about the remnant's spin.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.stats import qmc

from data_prep import chunks
from data_prep.nrsur7dq2 import isotropic, mode_times, nodes, turned
from gwsurrogate_ml.conventions import MTSUN_SI
from gwsurrogate_ml.scale import Mapper
from gwsurrogate_ml.surrogate.precessing.coorbital import KNOWN

STEP = 0.2
"""M between two samples."""
LONGER = 1.1
"""How much earlier than the first node a waveform is to begin, and again if it does not."""


@dataclass(frozen=True)
class EobSet:
    """What is generated; the same config gives the same set."""

    n: int = 2048
    chunk: int = 32
    q_min: float = 1.8
    q_max: float = 6.2
    chi_max: float = 0.9
    seed: int = 20230318


def design(config: EobSet) -> np.ndarray:
    """Scrambled Sobol points (n, 7): (q - 1) / (q + 1) uniform, spins (at the start) of uniform magnitude and isotropic."""
    u = qmc.Sobol(7, seed=config.seed).random(config.n)
    first, last = (np.array([config.q_min, config.q_max]) - 1) / (np.array([config.q_min, config.q_max]) + 1)
    nu = first + (last - first) * u[:, 0]
    return np.column_stack([(1 + nu) / (1 - nu), isotropic(u[:, 1:], config.chi_max)])


def start(q: float, chi_1: np.ndarray, chi_2: np.ndarray, before: float) -> float:
    """Orbital frequency (rad / M) about `before` (M) before the merger: TaylorT3 to order 1.5 (Buonanno et al. 2009,
    arXiv:0907.0700)."""
    m_1, m_2 = q / (1 + q), 1 / (1 + q)
    eta = m_1 * m_2
    beta = sum((113 / 12 * m**2 + 25 / 4 * eta) * float(chi[2]) for m, chi in ((m_1, chi_1), (m_2, chi_2)))
    theta = (eta * before / 5) ** -0.125
    series = 1 + (743 / 2688 + 11 / 32 * eta) * theta**2 - 0.3 * (np.pi - beta / 4) * theta**3
    return float(theta**3 / 8 * series)


def _smooth(times: np.ndarray, values: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`values` (n, k) and their slopes at the times `at`, through every fifth point."""
    spline = CubicSpline(times[::5], values[::5])
    return spline(at), spline(at, 1)


def _carried(model: Any, times: np.ndarray, frame: Any) -> np.ndarray:
    """Both spins (n, 6) in the inertial frame; from the end of the dynamics on turned about the remnant's spin as the frame is."""
    import quaternion

    dynamics = model.dynamics
    spline = CubicSpline(
        dynamics[:, 0] - dynamics[0, 0] + times[0], np.asarray(model.splines["everything"](dynamics[:, 6]))[:, 4:10]
    )
    end = model.t_attach - dynamics[0, 0] + times[0]
    out = spline(np.minimum(times, end))
    after = times > end
    axis, seen = quaternion.as_rotation_matrix(model.quatI2J)[:, 2], quaternion.as_rotation_matrix(frame[after])[:, :, 2]
    flat = seen - (seen @ axis)[:, None] * axis
    if np.linalg.norm(flat, axis=1).min() > 1e-6:
        x = flat[0] / np.linalg.norm(flat[0])
        angle = np.unwrap(np.arctan2(flat @ np.cross(axis, x), flat @ x))[:, None]
        for part in (slice(0, 3), slice(3, 6)):
            s = out[after, part]
            along = (s @ axis)[:, None] * axis
            out[after, part] = along + (s - along) * np.cos(angle) + np.cross(axis, s) * np.sin(angle)
    return out


def one_binary(q: float, chi_1: np.ndarray, chi_2: np.ndarray, at_nodes: np.ndarray, times: np.ndarray) -> dict[str, np.ndarray]:
    """What `data_prep.nrsur7dq2.one_binary` gives, for spins a little before the first of `at_nodes` (n,).

    Phase and frame are those of the first node, and `parameters` (7,) hold the spins there.
    """
    import quaternion
    from pyseobnr.generate_waveform import generate_modes_opt

    t, before = np.zeros(1), -LONGER * float(at_nodes[0])
    settings = {"enable_antisymmetric_modes": True, "M": 50.0, "dt": STEP * 50.0 * MTSUN_SI}
    while t[0] > at_nodes[0]:
        omega = start(q, chi_1, chi_2, before)
        *_, model = generate_modes_opt(q, chi_1, chi_2, omega, approximant="SEOBNRv5PHM", debug=True, settings=settings)
        t, before = np.asarray(model.t), LONGER * before
    # h22 = +A exp(-2i phase) with x from the lighter to the heavier body: LAL's sign is the other.
    modes = -np.stack([model.imr_full.get(mode, np.zeros(len(t), complex)) for mode in KNOWN])
    phase = 0.25 * np.unwrap(np.angle(modes[KNOWN.index((2, -2))]) - np.angle(modes[KNOWN.index((2, 2))]))
    phase -= np.pi * np.round(phase[0] / np.pi)
    frame = model.quatI2J * model.quatP2J
    vectors, matrices = _carried(model, t, frame), quaternion.as_rotation_matrix(frame)
    seen = np.concatenate([np.einsum("nij,ni->nj", matrices, vectors[:, k : k + 3]) for k in (0, 3)], axis=1)
    (q_at, q_slope), (phase_at, omega_at) = (
        _smooth(t, quaternion.as_float_array(frame), at_nodes),
        _smooth(t, phase[:, None], at_nodes),
    )
    spins_at, spin_slope = _smooth(t, seen, at_nodes)
    phase_at, q_at = phase_at[:, 0], q_at / np.linalg.norm(q_at, axis=1)[:, None]
    turn = quaternion.as_quat_array(q_at)
    angular = 2 * quaternion.as_float_array(turn.conj() * quaternion.as_quat_array(q_slope))[:, 1:]
    rates = [turned(angular, phase_at)[:, :2]] + [turned(spin_slope[:, k : k + 3], phase_at) for k in (0, 3)]
    orders = np.array([m for _, m in KNOWN])
    need = np.flatnonzero((t[::4] > times[0] - 10) & (t[::4] < times[-1] + 10)) * 4
    turned_back = modes[:, need] * np.exp(1j * orders[:, None] * phase[need])
    early = CubicSpline(t[need], turned_back, axis=1)(times)
    spins = np.concatenate([turned(spins_at[:, k : k + 3], phase_at) for k in (0, 3)], axis=1)
    by_phase = np.quaternion(np.cos(phase_at[0] / 2), 0, 0, np.sin(phase_at[0] / 2))
    first = turn[0] * by_phase
    return {
        "parameters": np.concatenate([[q], spins[0]]),
        "spins": spins,
        "rates": np.concatenate([omega_at, *rates], axis=1),
        "phase": phase_at - phase_at[0],
        "frame": quaternion.as_float_array(first.conj() * turn * by_phase),
        "modes": early.astype(np.complex64),
    }


def _chunk(job: tuple[int, np.ndarray, np.ndarray, Path]) -> int:
    index, parameters, times, path = job
    at_nodes = np.load(path.parent / "nodes.npy")
    rows = [one_binary(row[0], row[1:4], row[4:], at_nodes, times) for row in parameters]
    chunks.write(path, {key: np.stack([row[key] for row in rows]) for key in rows[0]})
    return index


def generate(out: Path, config: EobSet, workers: int = 2, mapper: Mapper | None = None) -> None:
    """Write every missing chunk of `config` to the folder `out`; see `chunks.prepare` and `chunks.complete`."""
    times = mode_times()
    chunks.prepare(out, asdict(config), {"times": times, "nodes": nodes()})
    chunks.complete(out, _chunk, design(config), config.chunk, times, workers, mapper)
